// Figures that are no means (rule 31): `total(x)` sums x over all rows of a split, and a report may
// be a formula of such sums (f1, r2). In: reports as eval.T has them. Out: eval.T, step.T and
// part.T give the sums over their rows (NNRT_TOTAL), which the trainer adds up; figures.T is the
// formulas, of the totals.
#include "pass/elaborate_program.h"

#include "ops/op.h"

// Does the report consist of totals? Then all of it does.
static bool is_formula(Elab *e, const Formulas *f, uint32_t i, Span span) {
  if (!f->totals[i].at.n)
    return false;
  if (!f->metric[i]->type.batched)
    return true;
  Diagnostic *d =
      diag_error(e->s, span, "total", "this report mixes totals with a value of each example");
  diag_note(e->s, d, (Span){0}, "write total(...) around what differs from example to example");
  return false;
}

void add_totals(Elab *e, Train *t, Step *step, const Formulas *f, uint32_t i, Span span) {
  uint32_t metric = step->metric + i;
  TotalFormula formula = {
      .metric = metric, .first = t->total.n, .value = f->metric[i], .span = span};
  if (!is_formula(e, f, i, span))
    return;
  formula.total = f->totals[i];
  for (uint32_t k = 0; k < formula.total.at.n; k++) {
    NnrtTotal total = {.first = 0, .count = type_count(&formula.total.at.at[k]->type)};
    if (t->total.n)
      total.first = t->total.at[t->total.n - 1].first + t->total.at[t->total.n - 1].count;
    buf_push(e->m->arena, &t->total, total);
  }
  NnrtMetric *m = &t->metric.at[metric];
  m->kind = NNRT_METRIC_FORMULA;
  m->total = formula.first;
  m->n_total = formula.total.at.n;
  buf_push(e->m->arena, &t->formula, formula);
}

static const TotalFormula *formula_of(const Train *t, uint32_t metric) {
  for (uint32_t i = 0; i < t->formula.n; i++)
    if (t->formula.at[i].metric == metric)
      return &t->formula.at[i];
  ice("elaborate: metric %u has no formula", metric);
}

void push_totals(Elab *e, const Train *t, uint32_t metric, const Totals *totals, Results *out) {
  const TotalFormula *formula = formula_of(t, metric);
  if (totals->at.n != formula->total.at.n) {
    diag_error(e->s, formula->span, "total", "this report has other totals in training");
    return;
  }
  for (uint32_t k = 0; k < totals->at.n; k++) {
    buf_push(e->m->arena, &out->value, totals->at.at[k]);
    buf_push(e->m->arena, &out->port,
             (Port){NNRT_TOTAL, formula->first + k, t->metric.at[metric].name});
  }
}

// ---- figures.T ----------------------------------------------------------------------------------

typedef struct {
  const Value *from;
  Value *to;
} Copied;

typedef struct {
  Elab *e;
  const Function *eval;
  const TotalFormula *formula;
  BUF(Copied) done;
} Copy;

static Value *not_of_totals(Copy *c) {
  Diagnostic *d = diag_error(c->e->s, c->formula->span, "total",
                             "outside of total(...) this report reads more than totals");
  diag_note(c->e->s, d, (Span){0},
            "it is computed once, after all rows: of totals, configs and constants");
  return NULL;
}

static Value *copy_argument(Copy *c, const Value *x) {
  const Port *port = &c->eval->arg_port[x->index];
  return port->role == NNRT_CONFIG ? elab_config(c->e, port->index) : not_of_totals(c);
}

static Value *copy_value(Copy *c, const Value *x);

static Value *copy_inst(Copy *c, const Value *x) {
  const Inst *i = x->def;
  if (i->body || i->n_results != 1 || i->op == OP_count || i->op == OP_batch_sum)
    return not_of_totals(c);
  Value **arg = arena_array(c->e->m->arena, Value *, i->n_args + 1);
  for (uint32_t k = 0; k < i->n_args; k++)
    if (!(arg[k] = copy_value(c, i->arg[k])))
      return NULL;
  Builder *b = &c->e->target->b;
  b->loc = i->loc;
  return ir_inst(b, i->op, arg, i->n_args, i->attr, i->n_attrs)->result[0];
}

// x of eval.T in figures.T; NULL after an error.
static Value *copy_value(Copy *c, const Value *x) {
  const TotalFormula *f = c->formula;
  for (uint32_t k = 0; k < f->total.at.n; k++)
    if (f->total.at.at[k] == x)
      return target_argument(c->e->target, x->type, NNRT_SCALAR, f->first + k,
                             format(c->e, "total.%u", f->first + k));
  for (uint32_t k = 0; k < c->done.n; k++)
    if (c->done.at[k].from == x)
      return c->done.at[k].to;
  Value *to = x->def ? copy_inst(c, x) : copy_argument(c, x);
  buf_push(c->e->m->arena, &c->done, ((Copied){x, to}));
  return to;
}

void make_figures(Elab *e, Train *t) {
  Results out = {0};
  bool good = true;
  t->table.figures = NNRT_NONE;
  if (!t->formula.n)
    return;
  Target *target = target_begin(e, format(e, "figures.%s", t->name));
  e->block = t->node;
  Copy copy = {.e = e, .eval = e->m->fn.at[t->table.eval]};
  for (uint32_t i = 0; i < t->formula.n && good; i++) {
    copy.formula = &t->formula.at[i];
    Value *x = copy_value(&copy, copy.formula->value);
    good = x != NULL;
    buf_push(e->m->arena, &out.value, x);
    buf_push(e->m->arena, &out.port,
             (Port){NNRT_METRIC, copy.formula->metric, t->metric.at[copy.formula->metric].name});
  }
  if (good)
    t->table.figures = target_end(target, out.value.at, out.port.at, out.value.n);
  else
    target_drop(target);
}
