// Train blocks: the formulas (what is minimised, what is reported) and the functions made from
// them, eval.T, step.T and grad.T; step.T.critic and grad.T.critic where the block has steps. What
// is trained, how, and when it stops are in elaborate_over.c, elaborate_optimizer.c and
// elaborate_stop.c.
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

static void add_lets(Elab *e, Scope *scope, NodeList items) {
  for (uint32_t i = 0; i < items.n; i++)
    if (items.at[i]->kind == N_LET)
      elab_let(e, scope, items.at[i]);
}

// The names of the block: its `let`s are formulas, elaborated in every function anew (rule 8).
Scope *train_scope(Elab *e, Train *t) {
  Scope *scope = scope_new(e, t->scope);
  scope_add_lazy(e, scope, intern(e->s, "step"), step_number, NULL, (Span){0});
  scope_add_lazy(e, scope, intern(e->s, "epoch"), epoch_number, NULL, (Span){0});
  e->target->data = t->data;
  if (t->data)
    scope = elab_data_scope(e, t->data, scope);
  scope = scope_new(e, scope);
  e->target->outer = true;
  add_lets(e, scope, t->node->list);
  e->target->outer = false;
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
    else
      note_uncalled(e, d, v, expr->span);
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
              "an index is a name for one of several things; no mean is taken of it: "
              "accuracy(scores, label) counts those that are right");
    return NULL;
  }
  return ir_convert(&e->target->b, x, TY_F32);
}

// What is only shown sees the states from before the step and gives them no new values (rules 8,
// 25): the batch counts once, where it is minimised.
static Value *reported(Elab *e, Scope *scope, Node *expr) {
  Target *target = e->target;
  StateUpdates minimised = target->update;
  target->update = (StateUpdates){0};
  Value *x = one_number(e, scope, expr, "report");
  target->update = minimised;
  return x;
}

static Value *batch_sum(Builder *b, Value *x) {
  return x->type.batched ? ir_inst(b, OP_batch_sum, &x, 1, NULL, 0)->result[0] : x;
}

static Value *rows(Builder *b) {
  return ir_inst(b, OP_count, NULL, 0, NULL, 0)->result[0];
}

// The sum of the losses, before any batch sum: batched only if all of them are.
static Value *loss_sum(Elab *e, Value *const *loss, uint32_t n) {
  Builder *b = &e->target->b;
  bool all = true;
  for (uint32_t i = 0; i < n; i++)
    all &= loss[i]->type.batched;
  Value *sum = NULL;
  for (uint32_t i = 0; i < n; i++) {
    Value *x = loss[i];
    if (!all && x->type.batched)
      x = ir_binary(b, OP_div, batch_sum(b, x), rows(b));
    sum = sum ? ir_binary(b, OP_add, sum, x) : x;
  }
  return sum;
}

// The loss, each loss where there are several, the reports.
static uint32_t step_metrics(const Step *step) {
  uint32_t n = step->minimize.n;
  return (n > 0) + (n > 1 ? n : 0) + step->report.n;
}

bool all_climb(const Step *step) {
  for (uint32_t i = 0; i < step->minimize.n; i++)
    if (!step->minimize.at[i].node->maximize)
      return false;
  return true;
}

// What is minimised, as it is minimised and (of maximize another sign) as it is reported.
static bool make_losses(Elab *e, const Train *t, const Step *step, Formulas *f, uint32_t *n) {
  Builder *b = &e->target->b;
  uint32_t count = step->minimize.n;
  bool good = true;
  f->loss = arena_array(e->m->arena, Value *, count);
  for (uint32_t i = 0; i < count; i++) {
    Node *node = step->minimize.at[i].node;
    Value *x = one_number(e, f->scope, node->a, node->maximize ? "maximize" : "minimize");
    f->loss[i] = x && node->maximize ? ir_unary(b, OP_neg, x) : x;
    good &= x != NULL;
    f->metric[count > 1 ? 1 + i : 0] = x;
  }
  if (!good || !count)
    return good;
  if (!weighted_losses(e, t, step, f))
    return false;
  f->sum = loss_sum(e, f->loss, count);
  if (count > 1)
    f->metric[0] = all_climb(step) ? ir_unary(b, OP_neg, f->sum) : f->sum;
  *n = count > 1 ? 1 + count : 1;
  return true;
}

// All formulas of a step in the current target; false after an error.
static bool make_formulas(Elab *e, const Train *t, const Step *step, Scope *outer, Formulas *f) {
  Target *target = e->target;
  bool named = *step->name != 0, good;
  uint32_t n = 0;
  target->place = named ? step->name : NULL;
  target->outer = t->step.at[0] != t->whole && !named;
  f->scope = outer;
  if (named) {
    f->scope = scope_new(e, outer);
    add_lets(e, f->scope, step->node->list);
  }
  f->metric = arena_array(e->m->arena, Value *, step_metrics(step));
  f->totals = arena_array(e->m->arena, Totals, step_metrics(step));
  good = make_losses(e, t, step, f, &n);
  for (uint32_t i = 0; i < step->report.n; i++) {
    target->totals = &f->totals[n + i];
    f->metric[n + i] = reported(e, f->scope, step->report.at[i].node->a);
    good &= f->metric[n + i] != NULL;
  }
  target->totals = NULL;
  target->place = NULL;
  target->outer = false;
  return good;
}

// A metric as the runtime takes it: a sum over rows or a value, by what it is in evaluation mode.
// In training mode noise may make one per example of what is the same for all.
static Value *metric_value(Elab *e, const NnrtMetric *m, Value *x) {
  Builder *b = &e->target->b;
  bool batched = x->type.batched;
  if (batched == (m->kind == NNRT_METRIC_MEAN))
    return batch_sum(b, x);
  return ir_binary(b, batched ? OP_div : OP_mul, batch_sum(b, x), rows(b));
}

static void push_metrics(Elab *e, const Train *t, const Step *step, const Formulas *f,
                         Results *out) {
  for (uint32_t i = 0; i < step_metrics(step); i++) {
    uint32_t k = step->metric + i;
    if (t->metric.at[k].every > 1 && e->target->training)
      continue; // the trainer evaluates it, now and then
    if (t->metric.at[k].kind == NNRT_METRIC_FORMULA) {
      push_totals(e, t, k, &f->totals[i], out);
      continue;
    }
    buf_push(e->m->arena, &out->value, metric_value(e, &t->metric.at[k], f->metric[i]));
    buf_push(e->m->arena, &out->port, (Port){NNRT_METRIC, k, t->metric.at[k].name});
  }
}

// Do the reports of the block come with the metrics of this step? They are values from before the
// first step (rule 8).
static bool has_block_reports(const Train *t, const Step *step) {
  return step == t->step.at[0] && step != t->whole;
}

// ---- eval.T -------------------------------------------------------------------------------------

static void add_metric(Elab *e, Train *t, const Step *step, const char *name, const Value *x,
                       Span span) {
  const char *full = *step->name ? format(e, "%s.%s", step->name, name) : name;
  NnrtMetric m = {.name = intern(e->s, full),
                  .kind = x->type.batched ? NNRT_METRIC_MEAN : NNRT_METRIC_VALUE};
  for (uint32_t i = 0; i < t->metric.n; i++)
    if (t->metric.at[i].name == m.name) {
      Diagnostic *d =
          diag_error(e->s, span, "duplicate-report", "`%s` is reported already", m.name);
      diag_note(e->s, d, (Span){0}, "of several losses each is reported: loss_1, loss_2, ...");
    }
  buf_push(e->m->arena, &t->metric, m);
}

static void add_metrics(Elab *e, Train *t, Step *step, const Formulas *f) {
  uint32_t n = 0, losses = step->minimize.n;
  step->metric = t->metric.n;
  if (losses)
    add_metric(e, t, step, "loss", f->metric[n++], step->node->span);
  for (uint32_t i = 0; losses > 1 && i < losses; i++)
    add_metric(e, t, step, format(e, "loss_%u", i + 1), f->metric[n++], step->node->span);
  step->table.total = t->total.n;
  for (uint32_t i = 0; i < step->report.n; i++, n++) {
    const Report *report = &step->report.at[i];
    add_metric(e, t, step, report->name, f->metric[n], report->node->span);
    add_totals(e, t, step, f, n, report->node->span);
    t->metric.at[t->metric.n - 1].every = (uint32_t)report->every;
  }
  step->table.n_total = t->total.n - step->table.total;
  for (uint32_t i = 0; f->weight && i < (losses > 1 ? losses + 1 : losses); i++)
    t->metric.at[step->metric + i].weighted = true;
  step->table.loss = step->metric;
  step->table.n_metric = n;
}

// Made first: it creates every instance, so that `over` can name them.
static bool make_eval(Elab *e, Train *t) {
  Results out = {0};
  uint32_t errors = e->s->n_error, n = t->step.n;
  Formulas *f = arena_array(e->m->arena, Formulas, n + 1);
  bool good = true;
  Target *target = target_begin(e, format(e, "eval.%s", t->name));
  Scope *scope = train_scope(e, t);
  for (uint32_t i = 0; i < n; i++)
    good &= make_formulas(e, t, t->step.at[i], scope, &f[i]);
  bool reports = has_block_reports(t, t->step.at[0]);
  if (reports)
    good &= make_formulas(e, t, t->whole, scope, &f[n]);
  if (!good) {
    for (uint32_t i = 0; i < n; i++) // their errors don't wait for the next run
      for (uint32_t k = 0; k < t->step.at[i]->minimize.n; k++)
        optimizer_bind(e, &t->step.at[i]->minimize.at[k], f[i].scope);
    target_drop(target);
    return false;
  }
  push_weight(e, &f[0], &out);
  for (uint32_t i = 0; i < n + reports; i++) {
    Step *step = i < n ? t->step.at[i] : t->whole;
    add_metrics(e, t, step, &f[i]);
    push_metrics(e, t, step, &f[i], &out);
  }
  over_resolve(e, t, f);
  t->table.eval = target_end(target, out.value.at, out.port.at, out.value.n);
  return e->s->n_error == errors;
}

// ---- step.T and grad.T --------------------------------------------------------------------------

static uint32_t selected_params(Elab *e, const bool *selected, Param **params, Value **values) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < e->param.n; i++)
    if (selected[i]) {
      params[n] = e->param.at[i];
      values[n++] = elab_param(e, e->param.at[i]);
    }
  return n;
}

typedef BUF(Type) Types;

// What an optimizer has to say about a parameter depends on the type alone.
static bool is_repeated(Elab *e, Types *seen, const Type *type) {
  for (uint32_t i = 0; e->check && i < seen->n; i++)
    if (type_equal(&seen->at[i], type))
      return true;
  buf_push(e->m->arena, seen, *type);
  return false;
}

static bool push_updates(Elab *e, Train *t, Step *step, const Formulas *f, Results *out) {
  Arena *arena = e->m->arena;
  Results slots = {0};
  bool good = true;
  uint32_t most = e->param.n;
  Param ***param = arena_array(arena, Param **, step->minimize.n);
  Value ***grad = arena_array(arena, Value **, step->minimize.n);
  uint32_t *n = arena_array(arena, uint32_t, step->minimize.n);
  for (uint32_t i = 0; i < step->minimize.n; i++) { // all gradients, then all updates (rule 8)
    Value **value = arena_array(arena, Value *, most);
    param[i] = arena_array(arena, Param *, most);
    grad[i] = arena_array(arena, Value *, most);
    e->target->b.loc = elab_loc(e, step->minimize.at[i].node->a->span);
    n[i] = selected_params(e, step->minimize.at[i].selected, param[i], value);
    good = step_gradients(e, t, step, i, f, param[i], value, n[i], grad[i], &slots) && good;
  }
  for (uint32_t i = 0; i < step->minimize.n; i++) {
    Minimize *m = &step->minimize.at[i];
    Types seen = {0};
    good = good && optimizer_bind(e, m, f->scope);
    for (uint32_t k = 0; good && k < n[i]; k++)
      good = is_repeated(e, &seen, &param[i][k]->type) ||
             optimizer_update(e, t, step, m, param[i][k], grad[i][k], out, &slots);
  }
  for (uint32_t i = 0; i < slots.value.n; i++) {
    buf_push(arena, &out->value, slots.value.at[i]);
    buf_push(arena, &out->port, slots.port.at[i]);
  }
  return good;
}

static Target *begin_training(Elab *e, const Train *t, const Step *step, const char *name) {
  const char *dot = *step->name ? "." : "";
  Target *target = target_begin(e, format(e, "%s.%s%s%s", name, t->name, dot, step->name));
  e->block = t->node;
  target->iterates = true;
  target->training = true;
  target->repeats = step->table.repeat > 1;
  over_enter(e, step, target);
  return target;
}

// What a step gives besides its updates: new states, figures. Its function is complete then.
static uint32_t end_step(Elab *e, Train *t, Step *step, Target *target, const Formulas *f,
                         const Formulas *block, Results *out) {
  for (uint32_t i = 0; i < target->update.n; i++) {
    const StateUpdate *u = &target->update.at[i];
    buf_push(e->m->arena, &out->value, u->value);
    buf_push(
        e->m->arena, &out->port,
        (Port){u->state->by_row ? NNRT_ROW_STATE : NNRT_STATE, u->state->index, u->state->path});
  }
  push_weight(e, f, out);
  push_metrics(e, t, step, f, out);
  if (has_block_reports(t, step))
    push_metrics(e, t, t->whole, block, out);
  return target_end(target, out->value.at, out->port.at, out->value.n);
}

static bool push_parts(Elab *e, Train *t, Step *step, const Formulas *f, Results *out) {
  bool good = true;
  for (uint32_t i = 0; i < step->minimize.n; i++) {
    Param **param = arena_array(e->m->arena, Param *, e->param.n);
    Value **value = arena_array(e->m->arena, Value *, e->param.n);
    uint32_t n = selected_params(e, step->minimize.at[i].selected, param, value);
    good = part_gradients(e, t, step, i, f, param, value, n, out) && good;
  }
  return good;
}

// step.T, or part.T where the gradients only wait for those of the next batches (rule 28).
static bool make_step(Elab *e, Train *t, Step *step, bool part) {
  Formulas f = {0}, block = {0};
  Results out = {0};
  Target *target = begin_training(e, t, step, part ? "part" : "step");
  target->pieces = part;
  Scope *scope = train_scope(e, t);
  if (!make_formulas(e, t, step, scope, &f) ||
      (has_block_reports(t, step) && !make_formulas(e, t, t->whole, scope, &block)) ||
      !(part ? push_parts(e, t, step, &f, &out) : push_updates(e, t, step, &f, &out))) {
    target_drop(target);
    return false;
  }
  uint32_t function = end_step(e, t, step, target, &f, &block, &out);
  *(part ? &step->table.part : &step->table.step) = function;
  return true;
}

static bool make_grad(Elab *e, Train *t, Step *step) {
  Arena *arena = e->m->arena;
  Formulas f = {0};
  Results out = {0};
  Target *target = begin_training(e, t, step, "grad");
  if (!make_formulas(e, t, step, train_scope(e, t), &f)) {
    target_drop(target);
    return false;
  }
  bool *any = arena_array(arena, bool, e->param.n);
  for (uint32_t i = 0; i < step->minimize.n; i++)
    for (uint32_t k = 0; k < e->param.n; k++)
      any[k] |= step->minimize.at[i].selected[k];
  Param **param = arena_array(arena, Param *, e->param.n);
  Value **value = arena_array(arena, Value *, e->param.n);
  Value **grad = arena_array(arena, Value *, e->param.n);
  uint32_t n = selected_params(e, any, param, value);
  const bool *stopped = elab_stopped(e, f.sum);
  gradients(e, &f, f.sum, value, n, grad);
  buf_push(arena, &out.value, metric_value(e, &t->metric.at[step->metric], f.sum));
  buf_push(arena, &out.port, (Port){NNRT_METRIC, step->metric, t->metric.at[step->metric].name});
  for (uint32_t i = 0; i < n; i++) {
    buf_push(arena, &out.value, grad[i]);
    buf_push(arena, &out.port,
             (Port){stopped[param[i]->index] ? NNRT_GRAD_PART : NNRT_GRAD, param[i]->index,
                    param[i]->path});
  }
  step->table.grad = target_end(target, out.value.at, out.port.at, out.value.n);
  return true;
}

// ---- the block ----------------------------------------------------------------------------------

// `train T on Net`: what is named, and the data that there are.
void not_data(Elab *e, const Node *on, Val v) {
  Diagnostic *d = diag_error(e->s, on->span, "not-data",
                             "expected a data block after `on`, found %s", val_text(e, v));
  Text list = {.arena = e->m->arena};
  if (v.decl)
    diag_note(e->s, d, v.decl->name_span, "declared here");
  for (uint32_t i = 0; i < e->file->list.n; i++)
    if (e->file->list.at[i]->kind == N_DATA)
      text_printf(&list, "%s%s", list.n ? ", " : "", e->file->list.at[i]->name);
  if (list.n)
    diag_note(e->s, d, (Span){0}, "data blocks of this file: %s", list.at);
}

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
    not_data(e, t->node->a, v);
  return false;
}

void note_other_block(Elab *e, Diagnostic *d, const Node *block) {
  for (uint32_t i = 0; i < e->file->list.n && e->file->list.at[i] != block; i++) {
    const Node *other = e->file->list.at[i];
    if (other->kind == block->kind && other->name == block->name) {
      diag_note(e->s, d, other->name_span, "the other one");
      return;
    }
  }
}

static bool train_name_free(Elab *e, Train *t) {
  for (uint32_t i = 0; i < program_of(e)->train.n; i++)
    if (program_of(e)->train.at[i].name == t->name) {
      Diagnostic *d = diag_error(e->s, t->node->name_span, "duplicate-name",
                                 "two train blocks are called `%s`", t->name);
      note_other_block(e, d, t->node);
      diag_note(e->s, d, (Span){0}, "figures are named by the block: call one of them otherwise");
      return false;
    }
  return true;
}

static bool make_steps(Elab *e, Train *t) {
  NnrtStep *table = arena_array(e->m->arena, NnrtStep, t->step.n);
  for (uint32_t i = 0; i < t->step.n; i++) {
    Step *step = t->step.at[i];
    if (!make_step(e, t, step, false) || (!e->check && !make_grad(e, t, step)) ||
        (t->table.accumulate > 1 && !make_step(e, t, step, true)))
      return false;
    table[i] = step->table;
  }
  t->table.step = table;
  t->table.n_step = t->step.n;
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
  train_add_items(e, t);
  train_read_settings(e, t);
  if (!decl->a && t->epochs_node) // `on` was forgotten: every field would be an unknown name
    data = false;
  if (data && t->step.n && t->step.at[0]->minimize.n && make_eval(e, t) &&
      e->s->n_error == errors) {
    read_keep(e, t);
    make_figures(e, t);
    if (make_steps(e, t))
      make_stop(e, t);
    make_drawings(e, t);
  }
  e->block = NULL;
  NnrtTrain *n = &t->table;
  n->name = t->name;
  n->data = t->data ? t->data->index : NNRT_NONE;
  n->metric = t->metric.at;
  n->n_metric = t->metric.n;
  n->total = t->total.at;
  n->n_total = t->total.n;
  n->stop_input = t->stop_input.at;
  n->n_stop_input = t->stop_input.n;
  n->slot = t->slot.at;
  n->n_slot = t->slot.n;
  n->draw = t->draw.at;
  n->n_draw = t->draw.n;
  buf_push(e->m->arena, &program_of(e)->train, *n);
}
