// Calls: of fn, of layers and models (in two steps where they have settings), the pipe, what the
// data and train parts call by hand.
#include "pass/elaborate_core.h"

#include <string.h>

// ---- running a body ---------------------------------------------------------------------------

// Binds the variables of an initialiser's result, which only the surroundings know (rule 39). What
// has inputs says with them what its dimensions are.
static void bind_result(Elab *e, Scope *scope, Node *decl, const Type *want) {
  Type known;
  uint32_t inputs = decl->has_params2 ? decl->params2.n : decl->params.n;
  if (want && !inputs && decl->type && decl->type->kind == N_TYPE &&
      !type_known(e, scope, decl->type, &known))
    type_bind(e, scope, decl->type, want);
}

static Val fit_result(Elab *e, Scope *scope, Node *decl, Val v) {
  if (v.kind == V_NONE) {
    Diagnostic *d = elab_error(e, decl->name_span, "wrong-type",
                               "%s has no value: its last line must be one", decl->name);
    note_no_value(e, d, decl->body);
    return val_error();
  }
  const Node *last = decl->body->list.n ? decl->body->list.at[decl->body->list.n - 1] : decl->body;
  bool within = v.span.file == last->span.file && v.span.start >= last->span.start &&
                v.span.end <= last->span.end;
  Fit fit = {.owner = decl->name, // of an `if`, the branch that was taken
             .span = last->kind == N_IF && within ? v.span : last->span,
             .declared = true,
             .from = "here",
             .scope = scope,
             .decl = decl};
  Val r = fit_type(e, scope, decl->type, v, &fit);
  r.app = v.app;
  return r;
}

static Val run_body(Elab *e, Scope *scope, Node *decl, const Type *want) {
  uint32_t errors = e->s->n_error;
  bind_result(e, scope, decl, want);
  Type result;
  bool known = decl->type && type_known(e, scope, decl->type, &result);
  if (e->s->n_error > errors)
    return val_error();
  Val v = elab_block(e, scope, decl->body, known ? &result : decl->type ? NULL : want);
  if (v.kind == V_NONE && e->s->n_error > errors)
    return val_error();
  return v.kind == V_ERROR ? v : fit_result(e, scope, decl, v);
}

static bool refuse_recursion(Elab *e, Val called, Node *decl, Node *site, Span span) {
  if (!frame_recursive(e, called, decl, site))
    return false;
  const char *chain = decl->name; // from the outermost call of it on
  const Frame *f = e->frame;
  for (; f && f->decl != decl; f = f->up)
    chain = arena_printf(e->s->perm, "%s calls %s", f->decl->name, chain);
  Diagnostic *d = diag_error(
      e->s, span, "recursion", chain == decl->name ? "%s calls itself" : "%s calls itself: %s",
      decl->name, arena_printf(e->s->perm, "%s calls %s", decl->name, chain));
  diag_note(e->s, d, decl->name_span, "declared here");
  diag_note(e->s, d, (Span){0},
            "calls are expanded when compiling, this would not end (rule 38): `for i in 0..n` "
            "repeats layers, `scan` goes through time");
  return true;
}

// fn: parameters in a scope over `bound` (its settings) or over the file it stands in.
static Val call_fn(Elab *e, Val f, Arg *arg, uint32_t n, Node *site, Span span, const Type *want) {
  Node *decl = f.decl;
  if (refuse_recursion(e, f, decl, site, span))
    return val_error();
  NodeList params = decl->has_params2 ? decl->params2 : decl->params;
  Scope *scope = scope_new(e, f.bound ? f.bound : f.scope);
  if (!check_loss(e, decl, arg, n, span) ||
      !bind_arguments(e, scope, decl, params, arg, n, span, false))
    return val_error();
  decl->elaborated = true;
  Place place = place_save(e);
  Frame frame;
  frame_push(e, &frame, decl, site, span);
  e->context = context_in(e, e->context, site, -1);
  e->app = NULL;
  e->yields = NULL;
  Val v = run_body(e, scope, decl, want);
  place_restore(e, place);
  at(e, span);
  if (v.kind == V_TENSOR)
    v.span = span;
  return v;
}

static Val apply_instance(Elab *e, Val f, Arg *arg, uint32_t n, Node *site, Span span,
                          const Type *want) {
  Instance *instance = f.instance, *forced = e->forced;
  Node *decl = instance->decl;
  if (refuse_recursion(e, f, decl, site, span))
    return val_error();
  instance_path(e, instance);
  NodeList params = decl->has_params2 ? decl->params2 : decl->params;
  Scope *scope = scope_new(e, instance->bound);
  if (!bind_arguments(e, scope, decl, params, arg, n, span, false))
    return val_error();
  decl->elaborated = true;
  Place place = place_save(e);
  Application *app = arena_new(e->s->perm, Application), *outer = e->app;
  app->instance = instance;
  Frame frame;
  frame_push(e, &frame, decl, site, span);
  e->inside = instance;
  e->context = NULL;
  e->app = app;
  e->yields = NULL;
  e->make_state = NULL;
  if (!instance->applied) {
    instance->applied = true;
    buf_push(e->s->perm, &e->applied, instance);
  }
  if (f.training)
    e->forced = instance;
  Val v = run_body(e, scope, decl, want);
  e->forced = forced;
  place_restore(e, place);
  at(e, span);
  v.app = app;
  v.span = span;
  if (v.kind == V_TENSOR)
    instance->result = v.t->type;
  app_remember(e, outer, instance->name, v);
  return v;
}

// ---- settings ---------------------------------------------------------------------------------

static Val bind_settings(Elab *e, Val f, Arg *arg, uint32_t n, Node *site, Span span) {
  Scope *bound = scope_new(e, f.scope);
  const Arg *weights = take_weights(f, arg, &n);
  if (!bind_arguments(e, bound, f.decl, f.decl->params, arg, n, span, true))
    return val_error();
  f.bound = bound;
  f.span = (Span){0};
  if (f.decl->kind == N_FN)
    return f;
  Val made = instance_at(e, f, site);
  instance_weights(e, made.instance, weights);
  return made;
}

static bool needs_settings(Val f) {
  return f.kind == V_FUNCTION && !f.builtin && f.decl->has_params2 && !f.bound;
}

Val call_settle(Elab *e, Val f, Node *site, Span span) {
  if (!needs_settings(f))
    return f;
  for (uint32_t i = 0; i < f.decl->params.n; i++)
    if (!f.decl->params.at[i]->a)
      return f; // it is passed on as it is: who calls it gives the settings
  return bind_settings(e, f, NULL, 0, site, span);
}

Val call_without_arguments(Elab *e, Val f, const Type *want, Span span) {
  f = call_settle(e, f, f.decl, span);
  return f.kind == V_ERROR ? f : call_fn(e, f, NULL, 0, f.decl, span, want);
}

Val elab_optimizer(Elab *e, Val v, Span span) {
  if (v.kind == V_OPTIMIZER)
    v.decl->elaborated = true;
  if (v.kind != V_OPTIMIZER || v.bound)
    return v;
  return call_value(e, v, NULL, 0, v.decl, span, NULL);
}

static Val call_optimizer(Elab *e, Val v, Arg *arg, uint32_t n, Span span) {
  Scope *bound = scope_new(e, v.scope);
  if (v.bound && n == 2 && e->make_state)
    return optimizer_inner(e, v, arg[0].v, arg[1].v);
  if (v.bound) {
    elab_error(e, span, "not-callable", "the optimizer has its settings already");
    return val_error();
  }
  if (v.decl->has_params2 && !bind_arguments(e, bound, v.decl, v.decl->params, arg, n, span, true))
    return val_error();
  v.bound = bound;
  return v;
}

// A function of the file whose name means a value here.
static const Entry *hidden_function(Elab *e, const Node *name) {
  const Entry *n = name->kind == N_NAME && e->global ? scope_own(e->global, name->name) : NULL;
  return n && n->val.kind == V_FUNCTION ? n : NULL;
}

// ---- one call ---------------------------------------------------------------------------------

Val call_value(Elab *e, Val f, Arg *arg, uint32_t n, Node *site, Span span, const Type *want) {
  const Arg *weights;
  switch ((int)f.kind) {
  case V_ERROR:
    return f;
  case V_FUNCTION:
    if (f.builtin)
      return builtin_call(e, f.builtin, arg, n, span, want);
    if (needs_settings(f))
      return bind_settings(e, f, arg, n, site, span);
    if (f.decl->kind == N_FN)
      return call_fn(e, f, arg, n, site, span, want);
    return call_value(e, instance_at(e, f, site), arg, n, site, span, want);
  case V_INSTANCE:
    if (n == 1 && (weights = take_weights(f, arg, &n))) { // Net(weights = "file")
      instance_weights(e, f.instance, weights);
      return f;
    }
    return apply_instance(e, f, arg, n, site, span, want);
  case V_OPTIMIZER:
    return call_optimizer(e, f, arg, n, span);
  case V_SHAPELESS:
    return draw_call(e, f, arg, n, span, want);
  }
  Diagnostic *d = elab_error(e, span, "not-callable", "%s can't be called", val_text(e, f));
  if (f.kind == V_TENSOR && f.span.file)
    diag_note(e->s, d, f.span, "it is this value");
  const Entry *hidden = f.kind == V_TENSOR && site && site->a ? hidden_function(e, site->a) : NULL;
  if (hidden)
    diag_note(e->s, d, hidden->where, "it hides this `%s`: give one of them another name",
              hidden->name);
  else if (f.kind == V_INT)
    diag_note(e->s, d, (Span){0},
              "functions, layers and models are called: a layer of %lld units is Dense(%lld)",
              (long long)f.i, (long long)f.i);
  else
    diag_note(e->s, d, (Span){0}, "functions, layers and models are called, and stand behind `|>`");
  return val_error();
}

// An index that is wanted of select(c, a, b) is wanted of a and b.
static const Type *argument_type(Val f, uint32_t i, const Type *want) {
  bool is_select = f.kind == V_FUNCTION && f.builtin && !strcmp(f.builtin->name, "select");
  return is_select && i > 0 && want && want->elem == TY_I32 ? want : NULL;
}

static Arg *arguments(Elab *e, Scope *scope, NodeList list, Val f, uint32_t before,
                      const Val *first, Span span, const Type *want) {
  Arg *arg = arena_array(e->s->perm, Arg, list.n + before + 1);
  if (before)
    arg[0] = (Arg){.v = *first, .span = span, .piped = true};
  for (uint32_t i = 0; i < list.n; i++) {
    Node *a = list.at[i];
    Node *value = a->kind == N_ARG ? a->a : a;
    Arg *to = &arg[before + i];
    const Type *type = argument_type(f, before + i, want);
    *to = (Arg){
        .v = elab_expr(e, scope, value, type), .span = value->span, .node = value, .scope = scope};
    if (a->kind == N_ARG && a->name)
      to->name = a->name, to->name_span = a->name_span;
    if (a->kind == N_ARG && a->is_path) {
      elab_error(e, a->name_span, "wrong-arguments",
                 "arguments named by strings belong to renamed(...) and recode(...)");
      to->v = val_error();
    }
  }
  return arg;
}

// `training(D)`: D as an instance that is in training mode, whatever is trained (rule 6).
static bool is_training(Scope *scope, const Node *node) {
  return node->kind == N_CALL && node->a->kind == N_NAME &&
         strcmp(node->a->name, "training") == 0 && !scope_find(scope, node->a->name);
}

static Val training_expr(Elab *e, Scope *scope, Node *node) {
  if (node->list.n != 1) {
    Diagnostic *d = elab_error(e, node->span, "wrong-arguments",
                               "training(...) takes one layer or model, found %u", node->list.n);
    diag_note(e->s, d, (Span){0}, "`training(D)(x)` applies D as in training");
    return val_error();
  }
  Node *of = node->list.at[0]->a;
  Val v = elab_expr(e, scope, of, NULL);
  if (v.kind == V_FUNCTION && !v.builtin)
    v = call_settle(e, v, of, of->span);
  if (v.kind == V_FUNCTION && !v.builtin && v.decl->kind != N_FN && !needs_settings(v))
    v = instance_at(e, v, of);
  if (v.kind == V_ERROR)
    return v;
  if (v.kind != V_INSTANCE) {
    Diagnostic *d = elab_error(e, of->span, "not-callable",
                               "training(...) wants a layer or model, found %s", val_text(e, v));
    diag_note(e->s, d, (Span){0}, "`training(D)(x)` applies D as in training");
    return val_error();
  }
  v.training = true;
  return v;
}

// `step(x)` is the activation; `step` alone counts updates.
static Val callee_value(Elab *e, Scope *scope, Node *callee) {
  if (callee->kind == N_NAME && !scope_find(scope, callee->name)) {
    const Builtin *b = builtin_find(e, callee->name);
    if (b && !b->is_draw && !b->is_mode)
      return (Val){.kind = V_FUNCTION, .builtin = b};
  }
  return elab_expr(e, scope, callee, NULL);
}

Val call_expr(Elab *e, Scope *scope, Node *node, const Type *want) {
  if (is_training(scope, node))
    return training_expr(e, scope, node);
  if (is_renamed(scope, node))
    return renamed_expr(e, scope, node);
  Val f = callee_value(e, scope, node->a);
  Arg *arg = arguments(e, scope, node->list, f, 0, NULL, node->span, want);
  return call_value(e, f, arg, node->list.n, node, node->span, want);
}

// ---- |> ---------------------------------------------------------------------------------------

static Val take_name(Elab *e, Val f, Node *pipe) {
  if (!pipe->alias)
    return f;
  Span stage = {pipe->span.file, pipe->b->span.start, pipe->span.end}; // the stage and its name
  if (f.kind == V_INSTANCE)
    name_stage(e, f.instance, pipe->alias, stage);
  else if (f.kind != V_ERROR)
    diag_note(e->s,
              elab_error(e, stage, "misplaced", "`as %s` names a layer; %s is none", pipe->alias,
                         val_text(e, f)),
              (Span){0}, "a value is named by `let %s = ...`", pipe->alias);
  return f;
}

// x |> f(a): f(a)(x) where f has settings, else f(x, a).
Val pipe_expr(Elab *e, Scope *scope, Node *node, const Type *want) {
  Val x = elab_expr(e, scope, node->a, NULL);
  Node *stage = node->b;
  Arg first = {.v = x, .span = node->a->span, .node = node->a, .scope = scope, .piped = true};
  if (stage->kind != N_CALL || is_training(scope, stage)) {
    Val f = take_name(e, call_settle(e, callee_value(e, scope, stage), stage, stage->span), node);
    if (x.kind == V_ERROR || f.kind == V_ERROR)
      return val_error();
    return call_value(e, f, &first, 1, stage, stage->span, want);
  }
  Val f = callee_value(e, scope, stage->a);
  if (needs_settings(f)) {
    Arg *arg = arguments(e, scope, stage->list, f, 0, NULL, stage->span, NULL);
    f = take_name(e, call_value(e, f, arg, stage->list.n, stage, stage->span, NULL), node);
    return x.kind == V_ERROR ? x : call_value(e, f, &first, 1, stage, stage->span, want);
  }
  take_name(e, f, node);
  Arg *arg = arguments(e, scope, stage->list, f, 1, &x, node->a->span, NULL);
  return x.kind == V_ERROR ? x : call_value(e, f, arg, stage->list.n + 1, stage, stage->span, want);
}

Val elab_apply(Elab *e, Val callee, Val *arg, uint32_t n, Span span, const Type *want) {
  Arg *list = arena_array(e->s->perm, Arg, n + 1);
  for (uint32_t i = 0; i < n; i++)
    list[i] = (Arg){.v = arg[i], .span = span};
  Node *site = callee.kind == V_INSTANCE ? callee.instance->decl : callee.decl;
  Val f = call_settle(e, callee, site, span);
  return call_value(e, f, list, n, site, span, want);
}
