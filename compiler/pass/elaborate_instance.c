// Instances of layers and models: made once per occurrence and turn (rule 5), found again when
// another function elaborates the same body; their names (rule 16), parameters, state and training
// mode (rule 6).
#include "pass/elaborate_core.h"

#include <ctype.h>
#include <string.h>

// The fn or block that would be the one to create parameters here, or NULL inside layers and at top
// level.
static Node *creator_fn(const Elab *e) {
  if (e->frame && e->frame->decl && e->frame->decl->kind == N_FN)
    return e->frame->decl;
  return e->inside ? e->inside->in_fn : e->block;
}

static Instance *find_made(const Elab *e, Instance *creator, const Node *site, uint32_t turn) {
  uint32_t n = creator ? creator->made.n : e->top.n;
  Instance *const *list = creator ? creator->made.at : e->top.at;
  for (uint32_t i = 0; i < n; i++)
    if (list[i]->site == site && list[i]->turn == turn)
      return list[i];
  return NULL;
}

// Layers given as settings become parts of the layer that got them, named by the setting.
static void adopt(Elab *e, Instance *child, Instance *parent, const char *name) {
  if (child->name || child->decl->kind == N_MODEL)
    return;
  child->parent = parent;
  instance_name(e, child, name);
}

Val instance_at(Elab *e, Val f, Node *site) {
  bool global = f.decl->kind == N_MODEL && !f.decl->has_params2;
  Instance *creator = global ? NULL : e->inside;
  uint32_t turn = global || !e->context ? 0 : e->context->id;
  if (global)
    site = f.decl;
  Instance *instance = find_made(e, creator, site, turn);
  if (!instance) {
    instance = arena_new(e->s->perm, Instance);
    *instance = (Instance){
        .kind = f.decl->name, .decl = f.decl, .parent = creator, .site = site, .turn = turn};
    instance->in_fn = global ? NULL : creator_fn(e);
    if (creator)
      buf_push(e->s->perm, &creator->made, instance);
    else
      buf_push(e->s->perm, &e->top, instance);
    if (global)
      instance_name(e, instance, f.decl->name);
  }
  instance->bound = f.bound ? f.bound : f.scope; // settings may hold values of this function
  for (Entry *n = f.bound ? f.bound->first : NULL; n; n = n->next)
    if (n->val.kind == V_INSTANCE && n->val.instance->parent == creator)
      adopt(e, n->val.instance, instance, n->name);
  return (Val){.kind = V_INSTANCE, .instance = instance, .decl = f.decl, .depth = f.depth};
}

// ---- names ------------------------------------------------------------------------------------

// The names of the instance's siblings.
static NameNumbers *names_around(Elab *e, const Instance *instance) {
  return instance->parent ? &instance->parent->names : &e->names;
}

void instance_name(Elab *e, Instance *instance, const char *name) {
  if (instance->name)
    return;
  const char *unique = intern(e->s, name);
  NameNumbers *names = names_around(e, instance);
  const char *base = unique;
  uint32_t i = names_get(names, base);
  while (names_get(names, unique))
    unique = intern(e->s, arena_printf(e->s->perm, "%s_%u", name, ++i));
  names_set(e->s->perm, names, base, i ? i : 1);
  if (unique != base)
    names_set(e->s->perm, names, unique, 1);
  instance->name = unique;
  if (instance->parent)
    buf_push(e->s->perm, &instance->parent->part, instance);
}

// "mlp.dense_2": unnamed parts are called after their kind.
const char *instance_path(Elab *e, Instance *instance) {
  if (instance->path)
    return instance->path;
  if (!instance->name) {
    char *kind = arena_strndup(e->s->perm, instance->kind, strlen(instance->kind));
    for (char *p = kind; *p; p++)
      *p = (char)tolower((unsigned char)*p);
    instance_name(e, instance, kind);
  }
  const char *parent = instance->parent ? instance_path(e, instance->parent) : NULL;
  instance->path = !parent
                       ? instance->name
                       : intern(e->s, arena_printf(e->s->perm, "%s.%s", parent, instance->name));
  return instance->path;
}

// "block.0" in the first turn of an unrolled loop, "block.1.0" in the first of one inside the
// second.
static const char *name_in_turn(Elab *e, const Context *context, const char *name) {
  if (!context)
    return name;
  name = name_in_turn(e, context->up, name);
  return context->turn < 0 ? name
                           : arena_printf(e->s->perm, "%s.%lld", name, (long long)context->turn);
}

static void name_elements(Elab *e, Val v, const char *name) {
  if (v.kind == V_INSTANCE)
    instance_name(e, v.instance, name);
  if (v.kind == V_LIST || v.kind == V_TUPLE)
    for (uint32_t i = 0; i < v.n; i++)
      name_elements(e, v.list[i], arena_printf(e->s->perm, "%s.%u", name, i));
}

void name_instances(Elab *e, Val v, const char *name) {
  if (v.kind == V_INSTANCE || v.kind == V_LIST || v.kind == V_TUPLE)
    name_elements(e, v, name_in_turn(e, e->context, name));
}

// `as name`: unlike `let`, it can't give the name to something else.
void name_stage(Elab *e, Instance *instance, const char *name, Span span) {
  const char *full = intern(e->s, name_in_turn(e, e->context, name));
  if (!instance->name && names_get(names_around(e, instance), full)) {
    Diagnostic *d = elab_error(e, span, "duplicate-name", "another part is called `%s`", full);
    const Instance *other = instance->parent ? instance_part(instance->parent, full) : NULL;
    if (other && other->site)
      diag_note(e->s, d, other->site->span, "the other one");
    diag_note(e->s, d, (Span){0}, "names of parameters begin with it: choose another");
  }
  instance_name(e, instance, full);
}

// Is it `element` or something in it: "z.1" and "z.1.0" for "z.1"?
bool name_begins(const char *name, const char *element) {
  size_t n = strlen(element);
  return strncmp(name, element, n) == 0 && (!name[n] || name[n] == '.');
}

static bool any_begins(const Instance *instance, const char *element) {
  for (uint32_t i = 0; i < instance->part.n; i++)
    if (name_begins(instance->part.at[i]->name, element))
      return true;
  return false;
}

// The parts NAME.0, NAME.1, ...: an array of layers, or those of an unrolled loop; else V_NONE.
Val instance_parts(Elab *e, Instance *instance, const char *name) {
  BUF(Val) list = {0};
  for (;;) {
    const char *element = intern(e->s, arena_printf(e->s->perm, "%s.%u", name, list.n));
    if (!any_begins(instance, element))
      return list.n ? val_tuple(e, V_LIST, list.at, list.n) : val_kind(V_NONE);
    Instance *part = instance_part(instance, element);
    buf_push(e->s->perm, &list,
             part ? (Val){.kind = V_INSTANCE, .instance = part}
                  : instance_parts(e, instance, element));
  }
}

Instance *instance_part(Instance *instance, const char *name) {
  for (uint32_t i = 0; i < instance->part.n; i++)
    if (instance->part.at[i]->name == name)
      return instance->part.at[i];
  return NULL;
}

Param *instance_param(Instance *instance, const char *name) {
  for (uint32_t i = 0; i < instance->param.n; i++) {
    const char *dot = strrchr(instance->param.at[i]->path, '.');
    if (strcmp(dot ? dot + 1 : instance->param.at[i]->path, name) == 0)
      return instance->param.at[i];
  }
  return NULL;
}

static bool is_within(const Instance *inner, const Instance *outer) {
  for (; inner; inner = inner->parent)
    if (inner == outer)
      return true;
  return false;
}

bool instance_holds(const Instance *instance, const Param *p) {
  return is_within(p->owner, instance);
}

// ---- training mode (rule 6) -------------------------------------------------------------------

static bool has_params(const Instance *instance) { // state is none
  for (uint32_t i = 0; i < instance->param.n; i++)
    if (!instance->param.at[i]->is_state)
      return true;
  for (uint32_t i = 0; i < instance->part.n; i++)
    if (has_params(instance->part.at[i]))
      return true;
  return false;
}

static bool selected(const Target *t, const Instance *instance) {
  for (uint32_t i = 0; i < t->over_param.n; i++)
    if (is_within(t->over_param.at[i]->owner, instance))
      return true;
  return false;
}

bool elab_training(Elab *e) {
  const Target *t = e->target;
  if (e->forced && is_within(e->inside, e->forced))
    return true;
  if (!t || !t->training)
    return false;
  const Instance *instance = e->inside;
  while (instance && !has_params(instance) && instance->parent)
    instance = instance->parent;
  return !instance || !has_params(instance) || selected(t, instance);
}

// ---- parameters and state ---------------------------------------------------------------------

Value *elab_param(Elab *e, Param *p) {
  for (uint32_t i = 0; p->is_state && i < e->target->update.n; i++)
    if (e->target->update.at[i].state == p)
      return e->target->update.at[i].value;
  return target_argument(e->target, p->type, p->is_state ? NNRT_STATE : NNRT_PARAM, p->index,
                         p->path);
}

static bool may_create(Elab *e, const Node *stmt, const char *what) {
  Node *fn = e->inside ? creator_fn(e) : e->frame ? e->frame->decl : e->block;
  if (e->inside && !fn)
    return true;
  Diagnostic *d;
  if (fn && e->inside && e->inside->in_fn == fn)
    d = elab_error(e, stmt->span, "make-it-a-layer",
                   "the %s %s can't create %s, as it does by calling %s", decl_kind(fn), fn->name,
                   what, e->inside->kind);
  else
    d = elab_error(e, stmt->span, "make-it-a-layer", "a %s can't create %s",
                   fn ? decl_kind(fn) : "declaration", what);
  if (fn && fn->kind == N_FN)
    diag_note(e->s, d, fn->name_span,
              "make it a layer: `layer %s`; or name the instance outside: `let`", fn->name);
  else
    diag_note(e->s, d, (Span){0},
              "put it into a model, model Net(...) { ... }, and call that here");
  return false;
}

// `..` stands for axes of an input, a parameter has its own (rule 39).
static bool has_shape(Elab *e, const Node *type, bool state) {
  for (uint32_t i = 0; i < type->list.n; i++)
    if (type->list.at[i]->kind == N_DIM_REST && !state) {
      Diagnostic *d = elab_error(e, type->list.at[i]->span, "no-shape",
                                 "how many? A parameter says every axis of its shape");
      diag_note(e->s, d, (Span){0},
                "name the axes in the type of the input, `x: f32[n]`, and here: f32[n]");
      return false;
    }
  return true;
}

// Where an instance was made, if the user wrote it.
static Span application_of(const Elab *e, const Instance *instance) {
  for (; instance; instance = instance->parent)
    if (instance->site && instance->site != instance->decl && !is_library(e, instance->site->span))
      return instance->site->span;
  return (Span){0};
}

// The param or state of the current instance that `binding` declares; made on the first
// application.
static Param *declare(Elab *e, Scope *scope, Node *binding, bool state) {
  Instance *owner = e->inside;
  const char *name = binding->a->name;
  if (!binding->type) {
    Diagnostic *d = elab_error(e, binding->a->span, "wrong-type", "`%s` needs a type", name);
    diag_note(e->s, d, (Span){0}, "its shape is written: %s %s: f32[4, 3] = %s",
              state ? "state" : "param", name, node_source(e, binding->b));
    return NULL;
  }
  Type type;
  if (!elab_type(e, scope, binding->type, &type) || !has_shape(e, binding->type, state))
    return NULL;
  if (type.elem != TY_F32 && !state) {
    Diagnostic *d = elab_error(e, binding->type->span, "wrong-type",
                               "a parameter is made of f32, not of %s", type_user_text(e, &type));
    diag_note(e->s, d, (Span){0},
              "training changes numbers a little at a time; what stays as it is is a `let`");
    return NULL;
  }
  Param *p = instance_param(owner, name);
  if (!p) {
    p = arena_new(e->s->perm, Param);
    const char *path = instance_path(e, owner);
    *p = (Param){.path = intern(e->s, arena_printf(e->s->perm, "%s.%s", path, name)),
                 .type = type,
                 .init = binding->b,
                 .scope = scope,
                 .owner = owner,
                 .is_state = state,
                 .by_row = is_row_state(binding),
                 .loc = elab_loc(e, binding->span)};
    p->index = p->by_row ? e->row_state.n : state ? e->state.n : e->param.n;
    buf_push(e->s->perm, &owner->param, p);
    if (p->by_row)
      buf_push(e->s->perm, &e->row_state, p);
    else if (state)
      buf_push(e->s->perm, &e->state, p);
    else
      buf_push(e->s->perm, &e->param, p);
  } else if (!type_equal(&p->type, &type)) {
    Diagnostic *d = elab_error(e, binding->span, "shared-shape",
                               "`%s` is %s here, but this instance has it "
                               "as %s",
                               p->path, type_user_text(e, &type), type_user_text(e, &p->type));
    Span first = application_of(e, owner);
    if (first.file)
      diag_note(e->s, d, first, "it was made here");
    diag_note(
        e->s, d, (Span){0},
        "an instance that is applied twice needs inputs of the same shape; for a layer of its "
        "own each, write two lets");
    return NULL;
  }
  return p;
}

static void declare_all(Elab *e, Scope *scope, Node *stmt, bool state) {
  bool allowed = may_create(e, stmt, state ? "state" : "parameters");
  for (uint32_t i = 0; i < stmt->list.n; i++) {
    Node *binding = stmt->list.at[i];
    if (binding->a->kind != N_NAME) {
      elab_error(e, binding->span, "wrong-type", "a parameter has one name");
      continue;
    }
    bool good = allowed && (!is_row_state(binding) || row_state_check(e, binding, state));
    Param *p = good ? declare(e, scope, binding, state) : NULL;
    Value *now = !p || !e->target ? NULL
                 : p->by_row      ? row_state_now(e, p, scope, binding)
                                  : elab_param(e, p);
    Val v = now ? val_tensor(now) : val_error();
    v.span = binding->span;
    if (p)
      v.ones = literal_ones(binding->type, &p->type, 0);
    if (state)
      scope_add_assignable(e, scope, binding->a->name, v, binding->a->span);
    else
      scope_put(e, scope, binding->a->name, v, binding->a->span)->is_param = true;
  }
}

void param_statement(Elab *e, Scope *scope, Node *stmt) {
  declare_all(e, scope, stmt, false);
}

void state_statement(Elab *e, Scope *scope, Node *stmt) {
  if (!e->make_state) {
    declare_all(e, scope, stmt, true);
    return;
  }
  for (uint32_t i = 0; i < stmt->list.n; i++) {
    Node *binding = stmt->list.at[i];
    Val v = e->make_state(e, scope, binding, e->state_ctx);
    bind_pattern(e, scope, binding, v, true, false);
  }
}

static void set_update(Target *t, Param *state, Value *value) {
  for (uint32_t i = 0; i < t->update.n; i++)
    if (t->update.at[i].state == state) {
      t->update.at[i].value = value;
      return;
    }
  buf_push(t->e->s->perm, &t->update, (StateUpdate){state, value});
}

// `mean = v` where mean is state of the current instance, `old` now: kept in training mode only,
// and without a gradient (rule 25).
Val state_assign(Elab *e, const char *name, Val old, Val v, Span span) {
  Param *p = e->inside && !e->make_state ? instance_param(e->inside, name) : NULL;
  if (!p || !p->is_state || v.kind == V_ERROR)
    return v;
  const char *what = arena_printf(e->s->perm, "the state `%s`", name);
  Val fit = elab_fit(e, v, &p->type, span, what, e->m->loc.at[p->loc].span);
  if (fit.kind != V_TENSOR)
    return old;
  if (fit.t->type.batched && !p->by_row) {
    Diagnostic *d = elab_error(e, span, "batched-state",
                               "`%s` is one for all examples, this value is one "
                               "per example",
                               name);
    diag_note(e->s, d, e->m->loc.at[p->loc].span, "declared here");
    diag_note(e->s, d, (Span){0},
              "batch_mean(...) takes the mean over the batch; `= per_row(...)` in the declaration "
              "keeps one for each row");
    return old;
  }
  if (!elab_training(e))
    return old;
  fit.t = ir_unary(building(e), OP_stop_gradient, p->by_row ? row_batched(e, fit.t) : fit.t);
  set_update(e->target, p, fit.t);
  return fit;
}

Value *initial_value(Elab *e, Param *p, Scope *scope, Node *init) {
  const char *drawing = e->drawing, *what = arena_printf(e->s->perm, "`%s`", p->path);
  e->drawing = p->path;
  Val v = elab_expr(e, scope, init, &p->type);
  Value *t = v.kind == V_ERROR ? NULL : elab_tensor(e, v, &p->type, init->span);
  e->drawing = drawing;
  if (!t || type_same_shape(&t->type, &p->type))
    return t;
  Diagnostic *d =
      elab_error(e, init->span, "type-mismatch", "%s is %s, but its initial value is %s", what,
                 type_user_text(e, &p->type), type_user_text(e, &t->type));
  diag_note(e->s, d, e->m->loc.at[p->loc].span, "declared here");
  diag_note(e->s, d, (Span){0}, "zeros, normal and their like take the shape that is declared");
  return NULL;
}

// The expression of the declaration, in the function `init`.
Value *elab_initial(Elab *e, Param *p) {
  Place place = place_save(e);
  place_enter_top(e);
  e->block = NULL;
  e->inside = p->owner;
  e->call = e->m->loc.at[p->loc].parent;
  Value *t = initial_value(e, p, p->scope, p->init);
  if (t && t->type.batched) {
    elab_error(e, p->init->span, "initial-value",
               "the initial value of `%s` differs from example to example", p->path);
    t = NULL;
  }
  place_restore(e, place);
  return t;
}

void app_remember(Elab *e, Application *app, const char *name, Val v) {
  if (!app || !name)
    return;
  for (uint32_t i = 0; i < app->item.n; i++)
    if (app->item.at[i].name == name) {
      app->item.at[i].times++;
      return;
    }
  buf_push(e->s->perm, &app->item, (AppItem){name, v, 1});
}
