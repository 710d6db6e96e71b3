// The patterns, each with the formula that overflows, cancels or divides 0 by 0, and what it
// becomes:
//
//   exp(x) / sum(exp(x))        e / sum(e), e = exp(x - max x)             softmax
//   log(exp(x) / s)             x - log s                                  log-softmax
//   log(pick(exp(x) / s))       pick(x) - log s                            sparse cross-entropy
//   log(sum(exp(x)))            m + log(sum(exp(x - m))), m = max x        log-sum-exp
//   1 / (1 + exp(-x))           sigmoid(x)
//   log(sigmoid(x))             -softplus(-x)                              binary cross-entropy
//   log(1 - sigmoid(x))         -softplus(x)
//   log(1 + exp(x)), log1p(exp(x))   softplus(x)
//   sum(c * (x - mean x))       0                                          gradient of a variance
//
// The shift by the maximum is no part of the gradient: softmax doesn't change with it.
#include "pass/stable.h"

#include <math.h>

static Inst *def_of(Value *v, Op op) {
  return v->def && v->def->op == op ? v->def : NULL;
}

static bool is_const(Value *v, double c) {
  Inst *b = def_of(v, OP_broadcast);
  Inst *d = def_of(b ? b->arg[0] : v, OP_const);
  return d && inst_attr(d, "value")->f == c;
}

// Do a and b compute the same thing? By structure, a few levels deep: cse has not run yet.
static bool same_value(const Value *a, const Value *b, int depth) {
  if (a == b)
    return true;
  if (depth == 0 || !a->def || !b->def || a->def->op != b->def->op || a->index != b->index ||
      a->def->n_args != b->def->n_args || !type_equal(&a->type, &b->type) ||
      op_table[a->def->op]->kind == K_SOURCE || op_table[a->def->op]->kind == K_CONTROL ||
      a->def->n_attrs)
    return false;
  for (uint32_t i = 0; i < a->def->n_args; i++)
    if (!same_value(a->def->arg[i], b->def->arg[i], depth - 1))
      return false;
  return true;
}

// broadcast(sum(x)) back along the summed axes, as softmax's denominator is; NULL if v isn't that.
static Inst *spread_sum(Value *v) {
  Inst *spread = def_of(v, OP_broadcast);
  Inst *sum = spread ? def_of(spread->arg[0], OP_sum) : NULL;
  if (!sum || !type_same_shape(&sum->arg[0]->type, &v->type))
    return NULL;
  const Attr *kept = inst_attr(spread, "axes"), *summed = inst_attr(sum, "axes");
  for (uint32_t i = 0; i < kept->n; i++)
    for (uint32_t k = 0; k < summed->n; k++)
      if (kept->dims[i] == summed->dims[k])
        return NULL;
  return sum;
}

static Value *spread_like(Builder *b, Value *reduced, const Inst *reduce) {
  const Attr *axes = inst_attr(reduce, "axes");
  uint32_t kept[MAX_RANK], n = 0;
  for (uint32_t i = 0; i < reduce->arg[0]->type.rank; i++) {
    bool gone = false;
    for (uint32_t k = 0; k < axes->n; k++)
      gone |= axes->dims[k] == (Dim)i;
    if (!gone)
      kept[n++] = i;
  }
  Type to = reduce->arg[0]->type;
  to.elem = reduced->type.elem;
  return ir_broadcast(b, reduced, kept, to);
}

// Is x already something minus its maximum over at least the axes of `reduce`?
static bool is_shifted(Value *x) {
  Inst *sub = def_of(x, OP_sub);
  Inst *spread = sub ? def_of(sub->arg[1], OP_broadcast) : NULL;
  Value *m = spread ? spread->arg[0] : NULL;
  Inst *stop = m ? def_of(m, OP_stop_gradient) : NULL;
  return m && def_of(stop ? stop->arg[0] : m, OP_max_along) != NULL;
}

// max of x over the axes of `reduce`, no part of the gradient.
static Value *shift_of(Builder *b, Value *x, const Inst *reduce) {
  Value *m = ir_inst(b, OP_max_along, &x, 1, reduce->attr, 1)->result[0];
  return ir_unary(b, OP_stop_gradient, m);
}

// exp(x) / sum(exp(x)), x not shifted yet.
static Value *stable_softmax(Builder *b, Inst *div) {
  Inst *exp = def_of(div->arg[0], OP_exp), *sum = spread_sum(div->arg[1]);
  if (!exp || !sum || is_shifted(exp->arg[0]) || !same_value(sum->arg[0], div->arg[0], 4))
    return NULL;
  Value *x = exp->arg[0];
  Value *e = ir_unary(b, OP_exp, ir_binary(b, OP_sub, x, spread_like(b, shift_of(b, x, sum), sum)));
  Value *s = ir_inst(b, OP_sum, &e, 1, sum->attr, sum->n_attrs)->result[0];
  return ir_binary(b, OP_div, e, spread_like(b, s, sum));
}

// 1 / (1 + exp(-x))
static Value *stable_sigmoid(Builder *b, Inst *div) {
  Inst *add = is_const(div->arg[0], 1) ? def_of(div->arg[1], OP_add) : NULL;
  if (!add)
    return NULL;
  for (uint32_t i = 0; i < 2; i++) {
    Inst *exp = def_of(add->arg[i], OP_exp);
    if (exp && is_const(add->arg[1 - i], 1))
      return ir_unary(b, OP_sigmoid, ir_unary(b, OP_neg, exp->arg[0]));
  }
  return NULL;
}

static Value *stable_div(Builder *b, Inst *div) {
  Value *v = stable_softmax(b, div);
  return v ? v : stable_sigmoid(b, div);
}

// log(exp(x) / s) = x - log s, s > 0 spread over x
static Value *log_of_ratio(Builder *b, Inst *div) {
  Inst *exp = def_of(div->arg[0], OP_exp), *spread = def_of(div->arg[1], OP_broadcast);
  if (!exp || !spread)
    return NULL;
  const Attr *attr = spread->attr;
  Value *log = ir_unary(b, OP_log, spread->arg[0]);
  Value *wide = ir_inst(b, OP_broadcast, &log, 1, attr, spread->n_attrs)->result[0];
  return ir_binary(b, OP_sub, exp->arg[0], wide);
}

static bool names_axis(const Attr *axes, Dim axis) {
  for (uint32_t i = 0; i < axes->n; i++)
    if (axes->dims[i] == axis)
      return true;
  return false;
}

// 0, 1, 2, ... along `axis`, the same along every other.
static bool counts_along(Value *v, Dim axis) {
  Inst *spread = def_of(v, OP_broadcast);
  Inst *iota = def_of(spread ? spread->arg[0] : v, OP_iota);
  Dim own = iota ? inst_attr(iota, "axis")->i : -1;
  return iota && (spread ? inst_attr(spread, "axes")->dims[own] : own) == axis;
}

// One index below `n`, the same along `axis`.
static bool is_index_of(Value *v, Dim axis, Dim n) {
  Inst *spread = def_of(v, OP_broadcast);
  return spread && !names_axis(inst_attr(spread, "axes"), axis) && v->type.range &&
         v->type.range <= n;
}

// Is exactly one element along the summed axis chosen?
static bool is_one_hot(Inst *eq, Inst *sum) {
  const Attr *axes = inst_attr(sum, "axes");
  if (axes->n != 1)
    return false;
  Dim axis = axes->dims[0], n = eq->arg[0]->type.dim[axis];
  for (uint32_t i = 0; i < 2; i++)
    if (counts_along(eq->arg[i], axis) && is_index_of(eq->arg[1 - i], axis, n))
      return true;
  return false;
}

// What select(c, x, 0), or x * select(c, 1, 0), lets through where c is true.
static Value *chosen_by(Value *v, Value **c) {
  Inst *pick = def_of(v, OP_select), *mul = def_of(v, OP_mul);
  if (pick) {
    *c = pick->arg[0];
    return is_const(pick->arg[2], 0) ? pick->arg[1] : NULL;
  }
  for (uint32_t i = 0; mul && i < 2; i++) {
    Inst *one = def_of(mul->arg[i], OP_select);
    if (one && is_const(one->arg[1], 1) && is_const(one->arg[2], 0)) {
      *c = one->arg[0];
      return mul->arg[1 - i];
    }
  }
  return NULL;
}

// log(sum(select(i == k, exp(x) / s, 0))) with one k per row: the picked logit minus log s.
static Value *log_of_pick(Builder *b, Inst *sum) {
  Value *c, *share = chosen_by(sum->arg[0], &c);
  Inst *eq = share ? def_of(c, OP_eq) : NULL, *div = share ? def_of(share, OP_div) : NULL;
  Value *log = eq && div && is_one_hot(eq, sum) ? log_of_ratio(b, div) : NULL;
  if (!log)
    return NULL;
  Value *zero = ir_const(b, log->type, 0), *chosen = ir_select(b, c, log, zero);
  return ir_inst(b, OP_sum, &chosen, 1, sum->attr, sum->n_attrs)->result[0];
}

static Value *log_sum_exp(Builder *b, Inst *sum) {
  Inst *exp = def_of(sum->arg[0], OP_exp);
  if (!exp || is_shifted(exp->arg[0]))
    return NULL;
  Value *x = exp->arg[0], *m = shift_of(b, x, sum);
  Value *e = ir_unary(b, OP_exp, ir_binary(b, OP_sub, x, spread_like(b, m, sum)));
  Value *s = ir_inst(b, OP_sum, &e, 1, sum->attr, sum->n_attrs)->result[0];
  return ir_binary(b, OP_add, m, ir_unary(b, OP_log, s));
}

// The other term of a sum with 1; NULL if x isn't 1 + something.
static Value *one_plus(Inst *add) {
  return is_const(add->arg[0], 1) ? add->arg[1] : is_const(add->arg[1], 1) ? add->arg[0] : NULL;
}

static Value *stable_log(Builder *b, Inst *log) {
  Inst *def = log->arg[0]->def;
  if (!def)
    return NULL;
  if (def->op == OP_exp)
    return def->arg[0];
  if (def->op == OP_div)
    return log_of_ratio(b, def);
  if (def->op == OP_sum) {
    Value *v = log_of_pick(b, def);
    return v ? v : log_sum_exp(b, def);
  }
  if (def->op == OP_sigmoid)
    return ir_unary(b, OP_neg, ir_unary(b, OP_softplus, ir_unary(b, OP_neg, def->arg[0])));
  if (def->op == OP_sub && is_const(def->arg[0], 1) && def_of(def->arg[1], OP_sigmoid))
    return ir_unary(b, OP_neg, ir_unary(b, OP_softplus, def->arg[1]->def->arg[0]));
  Value *rest = def->op == OP_add ? one_plus(def) : NULL;
  if (rest && def_of(rest, OP_exp))
    return ir_unary(b, OP_softplus, rest->def->arg[0]);
  return NULL;
}

static Value *stable_log1p(Builder *b, Inst *log1p) {
  Inst *exp = def_of(log1p->arg[0], OP_exp);
  return exp ? ir_unary(b, OP_softplus, exp->arg[0]) : NULL;
}

// ---- what is centred
// -----------------------------------------------------------------------------

// Is v the same along this axis, as its form shows?
static bool is_constant_along(const Value *v, Dim axis, int depth) {
  const Inst *def = v->def;
  if (!def || depth == 0)
    return false;
  if (def->op == OP_const)
    return true;
  if (def->op == OP_broadcast) {
    const Attr *axes = inst_attr(def, "axes");
    for (uint32_t i = 0; i < axes->n; i++)
      if (axes->dims[i] == axis)
        return is_constant_along(def->arg[0], (Dim)i, depth - 1);
    return true;
  }
  if (op_table[def->op]->kind != K_ELEM)
    return false;
  for (uint32_t i = 0; i < def->n_args; i++)
    if (!is_constant_along(def->arg[i], axis, depth - 1))
      return false;
  return true;
}

static bool same_axes(const Attr *a, const Attr *b) {
  for (uint32_t i = 0; i < a->n; i++)
    if (!names_axis(b, a->dims[i]))
      return false;
  return a->n == b->n;
}

static bool is_row_count(Value *v) {
  Inst *spread = def_of(v, OP_broadcast);
  return def_of(spread ? spread->arg[0] : v, OP_count) != NULL;
}

static bool constant_of(Value *v, double *c) {
  Inst *spread = def_of(v, OP_broadcast);
  Inst *def = def_of(spread ? spread->arg[0] : v, OP_const);
  *c = def ? inst_attr(def, "value")->f : 0;
  return def != NULL;
}

// x, if m is the sum of it over these axes, divided by how many there are; else NULL.
static Value *mean_of(Value *m, const Attr *axes) {
  double scale = 1, c;
  int by_rows = 0;
  for (;;) {
    Inst *mul = def_of(m, OP_mul), *div = def_of(m, OP_div);
    if (mul && constant_of(mul->arg[1], &c))
      scale *= c, m = mul->arg[0];
    else if (mul && constant_of(mul->arg[0], &c))
      scale *= c, m = mul->arg[1];
    else if (div && constant_of(div->arg[1], &c))
      scale /= c, m = div->arg[0];
    else if (div && is_row_count(div->arg[1]))
      by_rows++, m = div->arg[0];
    else
      break;
  }
  Inst *sum = def_of(m, OP_sum);
  if (!sum || !same_axes(inst_attr(sum, "axes"), axes))
    return NULL;
  const Value *x = sum->arg[0];
  double n = scale;
  int symbolic = 0;
  for (uint32_t i = 0; i < axes->n; i++) {
    Dim d = x->type.dim[axes->dims[i]];
    n *= (double)(d < 0 ? -d : d);
    symbolic += d < 0;
  }
  return by_rows == symbolic && fabs(n - 1) < 1e-6 ? sum->arg[0] : NULL;
}

// x, if v is the mean of x along these axes, spread over them again; else NULL.
static Value *spread_mean(Value *v, const Attr *axes) {
  Inst *spread = def_of(v, OP_broadcast);
  if (!spread)
    return NULL;
  for (uint32_t k = 0; k < axes->n; k++)
    if (names_axis(inst_attr(spread, "axes"), axes->dims[k]))
      return NULL;
  return mean_of(spread->arg[0], axes);
}

// Is v the mean of -x, or x that of -v, spread?
static bool cancel(Value *x, Value *v, const Attr *axes) {
  Value *of = spread_mean(v, axes);
  Inst *negative = of ? def_of(of, OP_neg) : NULL;
  return negative && negative->arg[0] == x;
}

static bool sums_to_zero(Value *v, const Attr *axes, int depth);

enum { MOST_ADDENDS = 8 };

typedef struct {
  const Attr *axes;
  int depth;
  uint32_t n, n_rest; // addends so far; those of them that don't sum to zero by themselves
  Value *rest[2];
} Addends;

// False: too many to look at, or more than two are left.
static bool take_addends(Addends *a, Value *v) {
  Inst *add = def_of(v, OP_add);
  if (add)
    return take_addends(a, add->arg[0]) && take_addends(a, add->arg[1]);
  if (a->n++ == MOST_ADDENDS)
    return false;
  if (sums_to_zero(v, a->axes, a->depth))
    return true;
  if (a->n_rest == 2)
    return false;
  a->rest[a->n_rest++] = v;
  return true;
}

// Of those that don't sum to zero by themselves one has to be the mean of the other's negative.
static bool add_up_to_zero(Value *sum, const Attr *axes, int depth) {
  Addends a = {.axes = axes, .depth = depth};
  if (!take_addends(&a, sum))
    return false;
  return a.n_rest == 0 || (a.n_rest == 2 && (cancel(a.rest[0], a.rest[1], axes) ||
                                             cancel(a.rest[1], a.rest[0], axes)));
}

// Is the sum of v over these axes 0, but for rounding: a combination of x - mean x?
static bool sums_to_zero(Value *v, const Attr *axes, int depth) {
  Inst *def = v->def;
  if (!def || depth == 0)
    return false;
  if (def->op == OP_neg)
    return sums_to_zero(def->arg[0], axes, depth - 1);
  if (def->op == OP_add)
    return add_up_to_zero(v, axes, depth - 1);
  if (def->op == OP_mul) {
    for (uint32_t i = 0; i < 2; i++) {
      bool scaled = true;
      for (uint32_t k = 0; k < axes->n; k++)
        scaled &= is_constant_along(def->arg[i], axes->dims[k], 6);
      if (scaled)
        return sums_to_zero(def->arg[1 - i], axes, depth - 1);
    }
    return false;
  }
  return def->op == OP_sub && spread_mean(def->arg[1], axes) == def->arg[0];
}

// The variance's gradient by the mean, the gradient of a bias before batch normalisation: rounding,
// at the price of one more walk through memory.
static Value *stable_sum(Builder *b, Inst *sum) {
  if (!elem_is_float(sum->result[0]->type.elem) ||
      !sums_to_zero(sum->arg[0], inst_attr(sum, "axes"), 6))
    return NULL;
  return ir_const(b, sum->result[0]->type, 0);
}

Value *stable_form(Builder *b, Inst *inst) {
  static const struct {
    Op op;
    Value *(*rule)(Builder *, Inst *);
  } rules[] = {
      {OP_div, stable_div}, {OP_log, stable_log}, {OP_log1p, stable_log1p}, {OP_sum, stable_sum}};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (rules[i].op == inst->op)
      return rules[i].rule(b, inst);
  return NULL;
}
