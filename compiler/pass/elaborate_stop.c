// `stop when`: a function stop.T over numbers that the training loop knows after an epoch. Metrics,
// `val.x` and `stalled(...)` become its inputs; the rest is an ordinary expression.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

typedef struct {
  Train *train;
  NnrtStopInput input;
  bool is_bool;
} Input;

static Val stop_input(Elab *e, void *ctx) {
  const Input *in = ctx;
  Train *t = in->train;
  uint32_t k = t->stop_input.n;
  buf_push(e->m->arena, &t->stop_input, in->input);
  Value *x =
      target_argument(e->target, type_scalar(TY_F32), NNRT_SCALAR, k, format(e, "stop.%u", k));
  if (in->is_bool)
    x = ir_binary(&e->target->b, OP_lt, ir_const(&e->target->b, type_scalar(TY_F32), 0.5), x);
  return val_tensor(x);
}

static void add_input(Elab *e, Train *t, Scope *scope, const char *name, NnrtStopInput input,
                      bool is_bool) {
  Input *in = arena_new(e->m->arena, Input);
  *in = (Input){t, input, is_bool};
  scope_add_lazy(e, scope, intern(e->s, name), stop_input, in, t->stop->span);
}

// ---- metrics by name ----------------------------------------------------------------------------

static bool metric_index(Elab *e, Train *t, const char *name, Span span, uint32_t *out) {
  const char **names = arena_array(e->m->arena, const char *, t->metric.n);
  for (uint32_t i = 0; i < t->metric.n; i++) {
    names[i] = t->metric.at[i].name;
    if (strcmp(names[i], name) == 0) {
      *out = i;
      return true;
    }
  }
  Diagnostic *d = diag_error(e->s, span, "unknown-metric", "nothing called `%s` is reported", name);
  const char *near = nearest_name(name, names, t->metric.n);
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  Text list = {.arena = e->m->arena};
  for (uint32_t i = 0; i < t->metric.n; i++)
    text_printf(&list, "%s%s", i ? ", " : "", names[i]);
  diag_note(e->s, d, (Span){0},
            near ? "there are: %s" : "there are: %s; `report NAME = ...` makes others", list.at);
  return false;
}

static bool has_validation(Elab *e, Train *t, Span span) {
  if (t->data &&
      (t->data->validate_last > 0 || t->data->folds || t->data->validate.s.kind != NNRT_NO_SOURCE))
    return true;
  Diagnostic *d = diag_error(e->s, span, "no-validation",
                             "there are no validation figures: `%s` sets no "
                             "rows aside",
                             t->data ? t->data->name : t->name);
  if (t->data)
    diag_note(e->s, d, t->data->decl->name_span,
              "add `validate = last(0.1)` or another source here");
  return false;
}

// "critic.loss" of a name or of members of names; NULL for anything else.
static const char *dotted(Elab *e, const Node *n) {
  if (n->kind == N_NAME)
    return n->name;
  const char *of = n->kind == N_MEMBER ? dotted(e, n->a) : NULL;
  return of ? intern(e->s, format(e, "%s.%s", of, n->name)) : NULL;
}

// Does it name a figure: `val.loss`, `val.critic.loss`, `critic.loss`? (`loss` alone is a name of
// the scope.)
static bool names_figure(const Train *t, Scope *scope, const Node *n) {
  while (n->kind == N_MEMBER && n->a->kind == N_MEMBER)
    n = n->a;
  if (n->kind != N_MEMBER)
    return false;
  bool step = name_is(n->a, "val") ||
              (t->step.n && n->a->kind == N_NAME && !scope_find(scope, n->a->name)); // misspelt
  for (uint32_t i = 0; i < t->step.n; i++)
    step |= *t->step.at[i]->name && name_is(n->a, t->step.at[i]->name);
  return step;
}

// `val.loss` or `loss`: which metric, of which rows.
static bool metric_of(Elab *e, Train *t, Node *n, NnrtStopInput *in) {
  const char *name = dotted(e, n);
  if (!name) {
    Diagnostic *d = diag_error(e->s, n->span, "stop", "expected a figure that is reported");
    diag_note(e->s, d, (Span){0}, "`val.loss`, or `loss` for the training rows");
    return false;
  }
  in->of_val = strncmp(name, "val.", 4) == 0;
  Span span = n->kind == N_NAME ? n->span : n->name_span;
  return metric_index(e, t, name + (in->of_val ? 4 : 0), span, &in->metric) &&
         (!in->of_val || has_validation(e, t, n->span));
}

// ---- stalled(val.loss, 3, by = 0.001) -----------------------------------------------------------

static bool stall_setting(Elab *e, Train *t, Node *arg, NnrtStopInput *in) {
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, t->scope, arg->a, NULL);
  e->target = target;
  if (arg->name && strcmp(arg->name, "by") == 0)
    return elab_number(e, v, "`by`", arg->a->span, &in->by);
  int64_t n;
  if (!elab_int(e, v, "the number of epochs to wait", arg->a->span, &n))
    return false;
  in->patience = (double)n;
  if (n >= 1)
    return true;
  diag_error(e->s, arg->a->span, "setting-value", "stalled(...) waits at least 1 epoch, not %lld",
             (long long)n);
  return false;
}

// The figure of a `maximize`: greater is better.
static bool climbs(const Train *t, uint32_t metric) {
  for (uint32_t i = 0; i < t->step.n; i++) {
    const Step *step = t->step.at[i];
    uint32_t k = metric - step->metric, n = step->minimize.n;
    if (metric < step->metric || k > (n > 1 ? n : 0))
      continue;
    if (k)
      return step->minimize.at[k - 1].node->maximize;
    return all_climb(step);
  }
  return false;
}

// Is a greater figure the better one? Of what is maximised, and of measures of being right.
static bool rises(const Train *t, uint32_t metric) {
  static const char *const measures[] = {"accuracy", "binary_accuracy", "top_k_accuracy", "f1",
                                         "auc",      "precision",       "recall",         "r2",
                                         "macro_f1"};
  const char *name = t->metric.at[metric].name, *dot = strrchr(name, '.');
  for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
    if (strcmp(dot ? dot + 1 : name, measures[i]) == 0)
      return true;
  return climbs(t, metric);
}

static bool stalled(Elab *e, Train *t, Node *call, NnrtStopInput *in) {
  *in = (NnrtStopInput){.kind = NNRT_STOP_STALLED};
  bool shape = call->list.n >= 2 && !call->list.at[0]->name;
  for (uint32_t i = 1; i < call->list.n; i++) {
    const char *name = call->list.at[i]->name;
    shape &= i == 1 ? !name || strcmp(name, "patience") == 0 : name && strcmp(name, "by") == 0;
  }
  if (!shape || call->list.n > 3) {
    Diagnostic *d = diag_error(e->s, call->span, "stop",
                               "expected stalled(figure, epochs) or "
                               "stalled(figure, epochs, by = least gain)");
    diag_note(e->s, d, (Span){0},
              "stalled(val.loss, 3): the validation loss has not improved for three "
              "epochs");
    return false;
  }
  bool good = metric_of(e, t, call->list.at[0]->a, in);
  in->rising = good && rises(t, in->metric);
  for (uint32_t i = 1; i < call->list.n; i++)
    good &= stall_setting(e, t, call->list.at[i], in);
  return good;
}

// ---- the condition ------------------------------------------------------------------------------

static Node *named(Elab *e, Train *t, Scope *scope, Node *n, NnrtStopInput in, bool is_bool) {
  Node *name = arena_new(e->m->arena, Node);
  *name = (Node){.kind = N_NAME, .span = n->span, .name_span = n->span};
  name->name = intern(e->s, node_source(e, n)); // no name of the language: "val.loss"
  add_input(e, t, scope, name->name, in, is_bool);
  return name;
}

// A copy of the condition in which val.x and stalled(...) are names of inputs; NULL after an error.
static Node *rewrite(Elab *e, Train *t, Scope *scope, Node *n) {
  NnrtStopInput in = {0};
  if (names_figure(t, scope, n)) {
    if (!metric_of(e, t, n, &in))
      return NULL;
    in.kind = in.of_val ? NNRT_STOP_VAL : NNRT_STOP_TRAIN;
    return named(e, t, scope, n, in, false);
  }
  if (n->kind == N_CALL && name_is(n->a, "stalled"))
    return stalled(e, t, n, &in) ? named(e, t, scope, n, in, true) : NULL;
  if (n->kind != N_UNARY && n->kind != N_BINARY)
    return n;
  Node *copy = arena_new(e->m->arena, Node);
  *copy = *n;
  copy->a = rewrite(e, t, scope, n->a);
  copy->b = n->b ? rewrite(e, t, scope, n->b) : NULL;
  return copy->a && (copy->b || !n->b) ? copy : NULL;
}

static Scope *stop_scope(Elab *e, Train *t) {
  Scope *scope = scope_new(e, t->scope);
  add_input(e, t, scope, "epoch", (NnrtStopInput){.kind = NNRT_STOP_EPOCH}, false);
  add_input(e, t, scope, "step", (NnrtStopInput){.kind = NNRT_STOP_STEP}, false);
  for (uint32_t i = 0; i < t->metric.n; i++)
    add_input(e, t, scope, t->metric.at[i].name,
              (NnrtStopInput){.kind = NNRT_STOP_TRAIN, .metric = i}, false);
  return scope_new(e, scope);
}

static Value *condition(Elab *e, Train *t) {
  Scope *scope = stop_scope(e, t);
  Node *expr = rewrite(e, t, scope, t->stop->a);
  if (!expr)
    return NULL;
  Val v = elab_expr(e, scope, expr, NULL);
  if (v.kind == V_BOOL)
    return ir_const(&e->target->b, type_scalar(TY_BOOL), (double)v.i);
  if (v.kind == V_TENSOR && v.t->type.elem == TY_BOOL && v.t->type.rank == 0)
    return v.t;
  if (v.kind != V_ERROR) {
    Diagnostic *d = diag_error(e->s, t->stop->a->span, "stop", "expected a condition, found %s",
                               val_text(e, v));
    diag_note(e->s, d, (Span){0},
              "`stop when val.loss < 0.1`, `stop when stalled(val.loss, 3) or "
              "epoch > 99`");
  }
  return NULL;
}

void make_stop(Elab *e, Train *t) {
  t->table.stop = NNRT_NONE;
  if (!t->stop)
    return;
  Target *target = target_begin(e, format(e, "stop.%s", t->name));
  e->block = t->node;
  Value *x = condition(e, t);
  if (!x) {
    target_drop(target);
    return;
  }
  t->table.stop = target_end(target, &x, &(Port){NNRT_METRIC, 0, intern(e->s, "stop")}, 1);
}

// ---- keep best(val.loss) ------------------------------------------------------------------------

void read_keep(Elab *e, Train *t) {
  Node *call = t->keep_node ? t->keep_node->a : NULL;
  NnrtStopInput in = {0};
  if (!call)
    return;
  if (call->kind != N_CALL || !name_is(call->a, "best") || call->list.n != 1 ||
      call->list.at[0]->name) {
    Diagnostic *d = diag_error(e->s, call->span, "setting-value", "expected `keep best(figure)`");
    diag_note(e->s, d, (Span){0},
              "`keep best(val.loss)`: training ends with the weights of the best epoch");
    return;
  }
  if (!metric_of(e, t, call->list.at[0]->a, &in))
    return;
  t->table.keep = (NnrtKeep){
      .best = true, .of_val = in.of_val, .rising = rises(t, in.metric), .metric = in.metric};
}
