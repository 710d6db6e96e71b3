// Train blocks: the formulas (what is minimised, what is reported) and the functions made from
// them, eval.T, step.T and grad.T. What is trained, how, and when it stops are in elaborate_over.c,
// elaborate_optimizer.c and elaborate_stop.c.
#include "pass/elaborate_program.h"

#include <string.h>

// ---- formulas ----------------------------------------------------------------------------------

// `step` and `epoch` as numbers of a formula.
static Val number_of(Elab *e, NnrtRole role, const char *name) {
  Target *t = e->target;
  return val_tensor(
      ir_convert(&t->b, target_argument(t, type_scalar(TY_I32), role, 0, name), TY_F32));
}

static Val step_number(Elab *e, void *ctx) {
  (void)ctx;
  return number_of(e, NNRT_STEP, "step");
}

static Val epoch_number(Elab *e, void *ctx) {
  (void)ctx;
  return number_of(e, NNRT_EPOCH, "epoch");
}

static Scope *train_scope(Elab *e, Train *t) {
  Scope *scope = scope_new(e, t->scope);
  scope_add_lazy(e, scope, intern(e->s, "step"), step_number, NULL, (Span){0});
  scope_add_lazy(e, scope, intern(e->s, "epoch"), epoch_number, NULL, (Span){0});
  e->target->data = t->data;
  if (t->data)
    scope = elab_data_scope(e, t->data, scope);
  scope = scope_new(e, scope);
  for (uint32_t i = 0; i < t->node->list.n; i++)
    if (t->node->list.at[i]->kind == N_LET)
      elab_let(e, scope, t->node->list.at[i]);
  return scope;
}

// One number of f32: what is minimised or reported. NULL after an error.
static Value *one_number(Elab *e, Scope *scope, Node *expr, const char *what) {
  Val v = elab_expr(e, scope, expr, NULL);
  if (v.kind == V_ERROR)
    return NULL;
  bool number = v.kind == V_INT || v.kind == V_FLOAT || v.kind == V_TENSOR || v.kind == V_BOOL;
  if (!number) {
    Diagnostic *d = diag_error(e->s, expr->span, "not-a-number", "%s wants a number, found %s",
                               what, val_text(e, v));
    if (v.kind == V_TUPLE && v.n == 2 && v.list[1].kind == V_OPTIMIZER)
      diag_note(e->s, d, (Span){0}, "the optimizer follows `with`: minimize LOSS with adam(0.001)");
    else if (v.kind == V_FUNCTION || v.kind == V_INSTANCE)
      diag_note(e->s, d, (Span){0}, "it has not been called");
    return NULL;
  }
  if (v.kind == V_BOOL)
    v = val_float((double)v.i);
  Value *x = elab_tensor(e, v, NULL, expr->span);
  if (!x)
    return NULL;
  if (x->type.rank) {
    Diagnostic *d =
        diag_error(e->s, expr->span, "not-a-number",
                   "%s wants one number for each example, found %s", what, val_text(e, v));
    diag_note(e->s, d, (Span){0}, "write mean(...) or sum(...)");
    return NULL;
  }
  if (x->type.range) {
    Diagnostic *d = diag_error(e->s, expr->span, "not-a-number", "%s wants a number, found %s",
                               what, val_text(e, v));
    diag_note(e->s, d, (Span){0},
              "an index is a name for one of several things; no mean is taken of it");
    return NULL;
  }
  return ir_convert(&e->target->b, x, TY_F32);
}

static Value *batch_sum(Builder *b, Value *x) {
  return x->type.batched ? ir_inst(b, OP_batch_sum, &x, 1, NULL, 0)->result[0] : x;
}

static Value *rows(Builder *b) {
  return ir_inst(b, OP_count, NULL, 0, NULL, 0)->result[0];
}

// The sum of the losses, before any batch sum: batched only if all of them are.
static Value *loss_sum(Elab *e, const Train *t, Value *const *loss) {
  Builder *b = &e->target->b;
  bool all = true;
  for (uint32_t i = 0; i < t->minimize.n; i++)
    all &= loss[i]->type.batched;
  Value *sum = NULL;
  for (uint32_t i = 0; i < t->minimize.n; i++) {
    Value *x = loss[i];
    if (!all && x->type.batched)
      x = ir_binary(b, OP_div, batch_sum(b, x), rows(b));
    sum = sum ? ir_binary(b, OP_add, sum, x) : x;
  }
  return sum;
}

static void add_metric(Elab *e, Train *t, const char *name, const Value *x) {
  NnrtMetric m = {name, x->type.batched ? NNRT_METRIC_MEAN : NNRT_METRIC_VALUE};
  buf_push(e->m->arena, &t->metric, m);
}

// All formulas in the current target; false after an error.
static bool make_formulas(Elab *e, Train *t, Formulas *f) {
  Arena *arena = e->m->arena;
  bool good = true;
  f->scope = train_scope(e, t);
  f->loss = arena_array(arena, Value *, t->minimize.n);
  f->metric = arena_array(arena, Value *, t->report.n + 1);
  for (uint32_t i = 0; i < t->minimize.n; i++) {
    Node *node = t->minimize.at[i].node;
    f->loss[i] = one_number(e, f->scope, node->a, node->maximize ? "maximize" : "minimize");
    good &= f->loss[i] != NULL;
    if (f->loss[i] && node->maximize)
      f->loss[i] = ir_unary(&e->target->b, OP_neg, f->loss[i]);
  }
  for (uint32_t i = 0; i < t->report.n; i++) {
    f->metric[i + 1] = one_number(e, f->scope, t->report.at[i].node->a, "report");
    good &= f->metric[i + 1] != NULL;
  }
  if (good)
    f->metric[0] = loss_sum(e, t, f->loss);
  return good;
}

static void push_metrics(Elab *e, Train *t, const Formulas *f, Results *out, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    buf_push(e->m->arena, &out->value, batch_sum(&e->target->b, f->metric[i]));
    buf_push(e->m->arena, &out->port, (Port){NNRT_METRIC, i, t->metric.at[i].name});
  }
}

// ---- eval.T -------------------------------------------------------------------------------------

// Made first: it creates every instance, so that `over` can name them.
static bool make_eval(Elab *e, Train *t) {
  Formulas f;
  Results out = {0};
  uint32_t errors = e->s->n_error;
  Target *target = target_begin(e, format(e, "eval.%s", t->name));
  if (!make_formulas(e, t, &f)) {
    target_drop(target);
    return false;
  }
  add_metric(e, t, intern(e->s, "loss"), f.metric[0]);
  for (uint32_t i = 0; i < t->report.n; i++)
    add_metric(e, t, t->report.at[i].name, f.metric[i + 1]);
  push_metrics(e, t, &f, &out, t->report.n + 1);
  over_resolve(e, t, &f);
  t->table.eval = target_end(target, out.value.at, out.port.at, out.value.n);
  return e->s->n_error == errors;
}

// ---- step.T and grad.T --------------------------------------------------------------------------

// The gradient of the mean of `loss` over the batch (as it is, if unbatched) for `params`. The mean
// is taken before: it scales one number per row instead of every gradient.
static void gradients(Elab *e, Value *loss, Value *const *params, uint32_t n, Value **out) {
  Builder *b = &e->target->b;
  Value **arg = arena_array(e->m->arena, Value *, n + 1);
  arg[0] = loss->type.batched ? ir_binary(b, OP_div, batch_sum(b, loss), rows(b)) : loss;
  memcpy(arg + 1, params, sizeof *arg * n);
  Inst *grad = ir_inst(b, OP_grad, arg, n + 1, NULL, 0);
  memcpy(out, grad->result, sizeof *out * n);
}

static uint32_t selected_params(Elab *e, const bool *selected, Param **params, Value **values) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < e->param.n; i++)
    if (selected[i]) {
      params[n] = e->param.at[i];
      values[n++] = elab_param(e, e->param.at[i]);
    }
  return n;
}

static bool push_updates(Elab *e, Train *t, const Formulas *f, Results *out) {
  Arena *arena = e->m->arena;
  Results slots = {0};
  bool good = true;
  uint32_t most = e->param.n;
  Param ***param = arena_array(arena, Param **, t->minimize.n);
  Value ***grad = arena_array(arena, Value **, t->minimize.n);
  uint32_t *n = arena_array(arena, uint32_t, t->minimize.n);
  for (uint32_t i = 0; i < t->minimize.n; i++) { // all gradients, then all updates (rule 8)
    Value **value = arena_array(arena, Value *, most);
    param[i] = arena_array(arena, Param *, most);
    grad[i] = arena_array(arena, Value *, most);
    e->target->b.loc = elab_loc(e, t->minimize.at[i].node->a->span);
    n[i] = selected_params(e, t->minimize.at[i].selected, param[i], value);
    gradients(e, f->loss[i], value, n[i], grad[i]);
  }
  for (uint32_t i = 0; i < t->minimize.n; i++) {
    Minimize *m = &t->minimize.at[i];
    good = good && optimizer_bind(e, m, f->scope);
    for (uint32_t k = 0; good && k < n[i]; k++)
      good = optimizer_update(e, t, m, param[i][k], grad[i][k], out, &slots);
  }
  for (uint32_t i = 0; i < slots.value.n; i++) {
    buf_push(arena, &out->value, slots.value.at[i]);
    buf_push(arena, &out->port, slots.port.at[i]);
  }
  return good;
}

static Target *begin_training(Elab *e, Train *t, const char *name) {
  Target *target = target_begin(e, format(e, "%s.%s", name, t->name));
  e->block = t->node;
  target->iterates = true;
  target->training = true;
  over_enter(e, t, target);
  return target;
}

static bool make_step(Elab *e, Train *t) {
  Formulas f;
  Results out = {0};
  Target *target = begin_training(e, t, "step");
  if (!make_formulas(e, t, &f) || !push_updates(e, t, &f, &out)) {
    target_drop(target);
    return false;
  }
  for (uint32_t i = 0; i < target->update.n; i++) {
    const StateUpdate *u = &target->update.at[i];
    buf_push(e->m->arena, &out.value, u->value);
    buf_push(e->m->arena, &out.port, (Port){NNRT_STATE, u->state->index, u->state->path});
  }
  push_metrics(e, t, &f, &out, t->report.n + 1);
  t->table.step = target_end(target, out.value.at, out.port.at, out.value.n);
  return true;
}

static bool make_grad(Elab *e, Train *t) {
  Arena *arena = e->m->arena;
  Formulas f;
  Results out = {0};
  Target *target = begin_training(e, t, "grad");
  if (!make_formulas(e, t, &f)) {
    target_drop(target);
    return false;
  }
  bool *any = arena_array(arena, bool, e->param.n);
  for (uint32_t i = 0; i < t->minimize.n; i++)
    for (uint32_t k = 0; k < e->param.n; k++)
      any[k] |= t->minimize.at[i].selected[k];
  Param **param = arena_array(arena, Param *, e->param.n);
  Value **value = arena_array(arena, Value *, e->param.n);
  Value **grad = arena_array(arena, Value *, e->param.n);
  uint32_t n = selected_params(e, any, param, value);
  gradients(e, f.metric[0], value, n, grad);
  push_metrics(e, t, &f, &out, 1);
  for (uint32_t i = 0; i < n; i++) {
    buf_push(arena, &out.value, grad[i]);
    buf_push(arena, &out.port, (Port){NNRT_GRAD, param[i]->index, param[i]->path});
  }
  t->table.grad = target_end(target, out.value.at, out.port.at, out.value.n);
  return true;
}

// ---- the block ----------------------------------------------------------------------------------

static bool train_data(Elab *e, Train *t) {
  if (!t->node->a)
    return true;
  e->target = NULL;
  Val v = elab_expr(e, t->scope, t->node->a, NULL);
  if (v.kind == V_DATA) {
    t->data = v.data;
    data_use(e, v.data);
    return !v.data->bad;
  }
  if (v.kind != V_ERROR)
    diag_error(e->s, t->node->a->span, "not-data", "expected a data block after `on`, found %s",
               val_text(e, v));
  return false;
}

static bool train_name_free(Elab *e, Train *t) {
  for (uint32_t i = 0; i < program_of(e)->train.n; i++)
    if (program_of(e)->train.at[i].name == t->name) {
      diag_error(e->s, t->node->name_span, "duplicate-name", "two train blocks are called `%s`",
                 t->name);
      return false;
    }
  return true;
}

void make_train(Elab *e, Scope *scope, Node *decl) {
  Train *t = arena_new(e->m->arena, Train);
  t->node = decl;
  t->name = decl->name;
  t->scope = scope;
  uint32_t errors = e->s->n_error;
  e->block = decl;
  bool data = train_data(e, t) && train_name_free(e, t);
  for (uint32_t i = 0; i < decl->list.n; i++)
    train_add_item(e, t, decl->list.at[i]);
  if (!t->minimize.n && !t->incomplete) {
    Diagnostic *d = diag_error(e->s, decl->name_span, "nothing-minimized", "`%s` minimizes nothing",
                               decl->name);
    diag_note(e->s, d, (Span){0}, "add `minimize LOSS with OPTIMIZER`");
  }
  train_read_settings(e, t);
  if (data && t->minimize.n && make_eval(e, t) && e->s->n_error == errors && make_step(e, t) &&
      make_grad(e, t))
    make_stop(e, t);
  e->block = NULL;
  NnrtTrain *n = &t->table;
  n->name = t->name;
  n->data = t->data ? t->data->index : NNRT_NONE;
  n->metric = t->metric.at;
  n->n_metric = t->metric.n;
  n->stop_input = t->stop_input.at;
  n->n_stop_input = t->stop_input.n;
  n->slot = t->slot.at;
  n->n_slot = t->slot.n;
  buf_push(e->m->arena, &program_of(e)->train, *n);
}
