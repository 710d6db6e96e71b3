// Updates: the body of an optimizer, elaborated once per parameter; its `state`s become slots, one
// tensor each, that live from step to step.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

typedef struct {
  Train *train;
  const Step *step;
  Minimize *minimize;
  Param *param;
  Scope *scope;
  struct {
    const char *name;
    uint32_t index;
    Type type;
    Scope *scope; // where the state was declared
  } slot[16];
  uint32_t n;
} Updating;

// The settings of an optimizer are the same for all examples (rule 29).
static bool settings_are_one(Elab *e, Val optimizer) {
  for (const Entry *n = optimizer.bound->first; n; n = n->next) {
    if (n->val.kind != V_TENSOR || !n->val.t->type.batched)
      continue;
    Diagnostic *d = diag_error(e->s, n->where, "batched-state",
                               "`%s` of %s is one for all examples, this is one per example",
                               n->name, optimizer.decl->name);
    for (uint32_t i = 0; i < optimizer.decl->params.n; i++)
      if (optimizer.decl->params.at[i]->name == n->name)
        diag_note(e->s, d, optimizer.decl->params.at[i]->span, "declared here");
    diag_note(e->s, d, (Span){0},
              "batch_mean(...) is one number for the batch; what weighs examples is `weight w`");
    return false;
  }
  return true;
}

bool optimizer_bind(Elab *e, Minimize *m, Scope *scope) {
  Node *with = m->node->b;
  Span span = with ? with->span : m->node->span;
  Val v = with ? elab_expr(e, scope, with, NULL) : elab_name(e, scope, intern(e->s, "adam"), span);
  if (v.kind == V_ERROR)
    return false;
  bool optimizer =
      v.kind == V_OPTIMIZER || (v.kind == V_FUNCTION && v.decl && v.decl->kind == N_OPTIMIZER);
  if (!optimizer) {
    Diagnostic *d = diag_error(e->s, span, "not-an-optimizer",
                               "expected an optimizer after `with`, "
                               "found %s",
                               val_text(e, v));
    diag_note(e->s, d, (Span){0},
              v.kind == V_LIST || v.kind == V_TUPLE
                  ? "each `minimize` has one; another one trains other parameters: minimize LOSS "
                    "over PARTS with sgd(0.1)"
                  : "sgd(0.01), rmsprop(0.001), adam(0.001), or one of your own");
    return false;
  }
  m->optimizer = elab_optimizer(e, v, span);
  return m->optimizer.kind == V_OPTIMIZER && settings_are_one(e, m->optimizer);
}

// ---- slots --------------------------------------------------------------------------------------

static uint32_t slot_index(Elab *e, Updating *u, const char *state, Type type) {
  Program *p = program_of(e);
  const char *dot = *u->step->name ? "." : "";
  const char *name = format(e, "%s%s%s/%s.%s/%s", u->train->name, dot, u->step->name,
                            u->minimize->optimizer.decl->name, state, u->param->path);
  NnrtTensor slot = {.name = intern(e->s, name), .type = nnrt_type(&type), .loc = u->param->loc};
  buf_push(e->m->arena, &p->slot, slot);
  buf_push(e->m->arena, &u->train->slot, p->slot.n - 1);
  return p->slot.n - 1;
}

static bool is_zero(const Value *x) {
  while (x->def && x->def->op == OP_broadcast)
    x = x->def->arg[0];
  return x->def && x->def->op == OP_const && inst_attr(x->def, "value")->f == 0;
}

// Slots begin as zeros; another first value is taken at step 1.
static Value *begin_with(Elab *e, Value *slot, Value *first) {
  Builder *b = &e->target->b;
  if (is_zero(first))
    return slot;
  Value *step = ir_convert(b, target_step(e->target), TY_F32);
  Value *begun = ir_binary(b, OP_lt, ir_const(b, type_scalar(TY_F32), 1), step);
  Type type = slot->type;
  type.elem = TY_BOOL;
  return ir_select(b, ir_broadcast(b, begun, NULL, type), slot, first);
}

static Val make_state(Elab *e, Scope *scope, Node *binding, void *ctx) {
  Updating *u = ctx;
  if (binding->a->kind != N_NAME || u->n == sizeof u->slot / sizeof *u->slot) {
    diag_note(e->s,
              elab_error(e, binding->span, "optimizer-state",
                         "a state of an optimizer has one name, and there are at most 16"),
              (Span){0}, "one after the other: state m = zeros, v = zeros");
    return val_error();
  }
  Type type = u->param->type;
  if (binding->type && !elab_type(e, scope, binding->type, &type))
    return val_error();
  Val first = elab_fit(e, elab_expr(e, scope, binding->b, &type), &type, binding->b->span,
                       format(e, "the state `%s`", binding->a->name), binding->span);
  Value *x = elab_tensor(e, first, &type, binding->b->span);
  if (!x)
    return val_error();
  uint32_t k = slot_index(e, u, binding->a->name, type);
  u->slot[u->n].name = binding->a->name;
  u->slot[u->n].type = type;
  u->slot[u->n].scope = scope;
  u->slot[u->n++].index = k;
  Value *slot = target_argument(e->target, type, NNRT_SLOT, k, program_of(e)->slot.at[k].name);
  return val_tensor(begin_with(e, slot, x));
}

// ---- one parameter ------------------------------------------------------------------------------

static bool push_result(Elab *e, Updating *u, const Scope *scope, const char *name,
                        const Type *type, Port port, Results *out) {
  const Val *v = scope_get(scope, name);
  Node *body = u->minimize->optimizer.decl->body;
  if (!v || v->kind == V_ERROR)
    return false;
  Val fit = elab_fit(e, *v, type, v->span.file ? v->span : body->span, format(e, "`%s`", name),
                     u->minimize->optimizer.decl->name_span);
  Value *x = elab_tensor(e, fit, type, body->span);
  if (!x)
    return false;
  if (x->type.batched) {
    Diagnostic *d = diag_error(e->s, u->minimize->node->span, "batched-state",
                               "`%s` of %s is one for all examples, its new value one per example",
                               name, u->minimize->optimizer.decl->name);
    diag_note(e->s, d, v->span.file ? v->span : body->span, "computed here");
    return false;
  }
  buf_push(e->m->arena, &out->value, x);
  buf_push(e->m->arena, &out->port, port);
  return true;
}

static bool push_results(Elab *e, Updating *u, const char *p, Results *params, Results *slots) {
  Port port = {NNRT_PARAM, u->param->index, u->param->path};
  bool good = push_result(e, u, u->scope, p, &u->param->type, port, params);
  for (uint32_t i = 0; good && i < u->n; i++) {
    uint32_t k = u->slot[i].index;
    port = (Port){NNRT_SLOT, k, program_of(e)->slot.at[k].name};
    good = push_result(e, u, u->slot[i].scope, u->slot[i].name, &u->slot[i].type, port, slots);
  }
  return good;
}

static bool two_inputs(Elab *e, const Node *decl) {
  if (decl->has_params2 && decl->params2.n == 2)
    return true;
  Diagnostic *d = diag_error(e->s, decl->name_span, "not-an-optimizer",
                             "an optimizer has two lists of parameters, the second is (p, g)");
  diag_note(e->s, d, (Span){0}, "optimizer %s(lr: f32 = 0.01)(p, g) { p = p - lr * g }",
            decl->name);
  return false;
}

// The names that a body sees: settings, the parameter, its gradient, `step`.
static Scope *update_scope(Elab *e, Val optimizer, Val p, Val g) {
  const Node *decl = optimizer.decl;
  Scope *scope = scope_new(e, optimizer.bound);
  scope_add_assignable(e, scope, decl->params2.at[0]->name, p, decl->params2.at[0]->span);
  scope_add(e, scope, decl->params2.at[1]->name, g, decl->params2.at[1]->span);
  Value *updates = ir_convert(&e->target->b, target_step(e->target), TY_F32);
  scope_add(e, scope, intern(e->s, "step"), val_tensor(updates), decl->name_span);
  return scope;
}

// `p - lr * g` for `p = p - lr * g` would train nothing.
static void unused_result(Elab *e, const Node *decl, Val v) {
  if (v.kind == V_NONE || v.kind == V_ERROR)
    return;
  const Node *last = decl->body->list.at[decl->body->list.n - 1];
  Diagnostic *d = elab_error(e, last->span, "unused-value", "this value is not used");
  diag_note(e->s, d, (Span){0}, "an optimizer assigns the new value: %s = ...",
            decl->params2.at[0]->name);
}

Val optimizer_inner(Elab *e, Val v, Val p, Val g) {
  if (!two_inputs(e, v.decl))
    return val_error();
  Scope *scope = update_scope(e, v, p, g);
  uint32_t errors = e->s->n_error;
  elab_block(e, scope, v.decl->body, NULL);
  const Val *moved = scope_get(scope, v.decl->params2.at[0]->name);
  return e->s->n_error == errors && moved ? *moved : val_error();
}

bool optimizer_update(Elab *e, Train *t, const Step *step, Minimize *m, Param *param, Value *g,
                      Results *params, Results *slots) {
  Val optimizer = m->optimizer;
  Node *decl = optimizer.decl;
  if (!two_inputs(e, decl))
    return false;
  const char *p = decl->params2.at[0]->name;
  Updating u = {.train = t, .step = step, .minimize = m, .param = param};
  u.scope = update_scope(e, optimizer, val_tensor(elab_param(e, param)), val_tensor(g));
  Val (*make)(Elab *, Scope *, Node *, void *) = e->make_state;
  void *ctx = e->state_ctx;
  LocId call = e->call;
  e->make_state = make_state;
  e->state_ctx = &u;
  e->call = elab_loc(e, m->node->b ? m->node->b->span : m->node->span);
  uint32_t errors = e->s->n_error;
  Frame frame;
  if (m->node->b)
    frame_push(e, &frame, decl, m->node->b, m->node->b->span);
  unused_result(e, decl, elab_block(e, u.scope, decl->body, NULL));
  if (m->node->b)
    e->frame = frame.up;
  bool good = e->s->n_error == errors && push_results(e, &u, p, params, slots);
  e->make_state = make;
  e->state_ctx = ctx;
  e->call = call;
  return good;
}
