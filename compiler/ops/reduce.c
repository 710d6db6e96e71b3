// Reductions over axes: what is left keeps its order.
#include "ops/batching.h"
#include "ops/rules.h"

#include <math.h>

static bool has_axis(const Attr *axes, uint32_t axis) {
  for (uint32_t i = 0; i < axes->n; i++)
    if (axes->dims[i] == axis)
      return true;
  return false;
}

static const char *type_reduce(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  (void)n;
  const Type *x = &arg[0]->type;
  *result = unranged(*x);
  result->rank = 0;
  for (uint32_t i = 0; i < x->rank; i++)
    if (!has_axis(&attr[0], i))
      result->dim[result->rank++] = x->dim[i];
  const char *wrong = expect_axes(m, &attr[0], x->rank);
  return wrong ? wrong : expect_number(m, arg[0]);
}

static const char *type_extreme(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                Type *result) {
  const char *wrong = type_reduce(m, arg, n, attr, result);
  for (uint32_t i = 0; !wrong && i < attr[0].n; i++)
    if (arg[0]->type.dim[attr[0].dims[i]] == 0)
      wrong = "there is no greatest or smallest of no elements";
  return wrong;
}

// y as large as x again: every reduced axis is new.
static Value *spread(Builder *b, Value *y, const Attr *axes, const Type *to) {
  uint32_t kept[MAX_RANK], n = 0;
  for (uint32_t i = 0; i < to->rank; i++)
    if (!has_axis(axes, i))
      kept[n++] = i;
  return ir_broadcast(b, y, kept, *to);
}

static void reduce(const Inst *inst, const Tensor *x, Tensor *y, double first,
                   double (*combine)(double, double)) {
  const Attr *axes = inst_attr(inst, "axes");
  int64_t at[MAX_RANK], left[MAX_RANK];
  for (int64_t i = 0; i < y->count; i++)
    y->at[i] = first;
  for (int64_t i = 0; i < x->count; i++) {
    position_of(&x->type, i, at);
    uint32_t n = 0;
    for (uint32_t k = 0; k < x->type.rank; k++)
      if (!has_axis(axes, k))
        left[n++] = at[k];
    double *into = &y->at[flat_of(&y->type, left)];
    *into = combine(*into, x->at[i]);
  }
}

// Axes of size 1 and no axes: only the shape changes.
static Value *fold_trivial(Builder *b, Inst *inst) {
  Value *x = inst->arg[0];
  const Attr *axes = inst_attr(inst, "axes");
  const Type *type = &inst->result[0]->type;
  for (uint32_t i = 0; i < axes->n; i++)
    if (x->type.dim[axes->dims[i]] != 1)
      return NULL;
  return ir_reshape(b, x, type->dim, type->rank);
}

static double flops_reduce(const Inst *inst, int64_t n) {
  double count = 1;
  for (uint32_t i = 0; i < inst->arg[0]->type.rank; i++) {
    Dim d = inst->arg[0]->type.dim[i];
    count *= (double)(d < 0 ? -d * n : d);
  }
  return count;
}

// ---- sum: dx = dy, spread over the axes --------------------------------------------------------

static double combine_sum(double a, double x) {
  return a + x;
}

static void eval_sum(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  reduce(inst, arg[0], result[0], 0, combine_sum);
}

static void grad_sum(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, spread(b, dres[0], inst_attr(inst, "axes"), &inst->arg[0]->type));
}

static Value *row_count(Builder *b) {
  return ir_inst(b, OP_count, NULL, 0, NULL, 0)->result[0];
}

// x * (how many elements a sum adds): dimension N makes it a number known only at run time.
static Value *times_dims(Builder *b, Value *x, const Type *of, const Attr *axes) {
  double constant = 1;
  bool rows = false;
  for (uint32_t i = 0; i < axes->n; i++) {
    Dim d = of->dim[axes->dims[i]];
    constant *= (double)(d < 0 ? -d : d);
    rows |= d < 0;
  }
  x = times(b, x, constant);
  if (!rows)
    return x;
  Type type = unranged(x->type);
  Value *n = ir_convert(b, row_count(b), x->type.elem);
  return ir_binary(b, OP_mul, x, ir_broadcast(b, n, NULL, type));
}

// Of a value that was spread over some of the axes: those need no adding up.
static Value *fold_sum_of_broadcast(Builder *b, Inst *inst, Inst *source) {
  const Attr *from = inst_attr(source, "axes"), *over = inst_attr(inst, "axes");
  const Type *whole = &source->result[0]->type;
  for (uint32_t i = 0; i < over->n; i++)
    if (has_axis(from, (uint32_t)over->dims[i]))
      return NULL;
  // All summed axes are new ones: what remains is the broadcast without them.
  uint32_t axes[MAX_RANK];
  for (uint32_t i = 0; i < from->n; i++) {
    axes[i] = (uint32_t)from->dims[i];
    for (uint32_t k = 0; k < over->n; k++)
      axes[i] -= over->dims[k] < from->dims[i];
  }
  Value *less =
      ir_broadcast(b, times_dims(b, source->arg[0], whole, over), axes, inst->result[0]->type);
  return less;
}

// sum of sum: all axes at once, numbered in the inner argument.
static Value *fold_sum_of_sum(Builder *b, Inst *inst, Inst *inner) {
  const Attr *first = inst_attr(inner, "axes"), *second = inst_attr(inst, "axes");
  uint32_t axes[MAX_RANK], n = 0, kept = 0;
  for (uint32_t i = 0; i < inner->arg[0]->type.rank; i++)
    if (has_axis(first, i))
      axes[n++] = i;
    else if (has_axis(second, kept++))
      axes[n++] = i;
  return ir_sum(b, inner->arg[0], axes, n);
}

// sum of c * sum or of sum / c, as the mean over images of means over pixels: one sum over all of
// it, times c or divided by it.
static Value *fold_sum_of_mean(Builder *b, Inst *inst, Inst *scaled) {
  double c;
  if (scaled->op == OP_div) {
    Inst *inner = made_by(scaled->arg[0], OP_sum);
    if (!inner || !is_splat(scaled->arg[1], &c))
      return NULL;
    Value *sum = fold_sum_of_sum(b, inst, inner);
    return ir_binary(b, OP_div, sum, ir_const(b, unranged(sum->type), c));
  }
  for (uint32_t i = 0; i < 2; i++) {
    Inst *inner = made_by(scaled->arg[i], OP_sum);
    if (inner && is_splat(scaled->arg[1 - i], &c))
      return times(b, fold_sum_of_sum(b, inst, inner), c);
  }
  return NULL;
}

static Value *fold_sum(Builder *b, Inst *inst) {
  Value *x = inst->arg[0], *trivial = fold_trivial(b, inst);
  double c;
  if (trivial)
    return trivial;
  if (is_splat(x, &c) && (c == 0 || elem_is_float(x->type.elem)))
    return times_dims(b, ir_const(b, inst->result[0]->type, c), &x->type, inst_attr(inst, "axes"));
  if (made_by(x, OP_broadcast) && elem_is_float(x->type.elem))
    return fold_sum_of_broadcast(b, inst, x->def);
  if ((made_by(x, OP_mul) || made_by(x, OP_div)) && elem_is_float(x->type.elem))
    return fold_sum_of_mean(b, inst, x->def);
  return made_by(x, OP_sum) ? fold_sum_of_sum(b, inst, x->def) : NULL;
}

static EVal emit_combine_sum(Emit *e, EVal acc, EVal x) {
  return emit_add(e, acc, x);
}

OP(sum){
    .name = "sum",
    .doc = "The sum over some axes. It is added in 16 fixed lanes and a fixed tree.",
    .sig = "x; axes: dims",
    .math = "dx = dy, spread over the axes",
    .kind = K_REDUCE,
    .example =
        "f32[3, 4]; axes=[1] | f32[3, 4, 2]; axes=[0, 2] | f32[3]; axes=[0] | i32[4]; axes=[0]",
    .type_fn = type_reduce,
    .grad = grad_sum,
    .fold = fold_sum,
    .batch = batch_axes,
    .eval = eval_sum,
    .combine = emit_combine_sum,
    .identity = 0,
    .flops = flops_reduce,
};

// ---- max_along, min_along: dx = dy / k at the k elements that are the greatest (smallest) ------

// NaN wins, as in max and min.
static double combine_max(double a, double x) {
  return a < x || x != x ? x : a;
}
static double combine_min(double a, double x) {
  return x < a || x != x ? x : a;
}

static void eval_max_along(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  reduce(inst, arg[0], result[0], -INFINITY, combine_max);
}

static void eval_min_along(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  reduce(inst, arg[0], result[0], INFINITY, combine_min);
}

static void grad_extreme(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *x = inst->arg[0];
  const Attr *axes = inst_attr(inst, "axes");
  uint32_t over[MAX_RANK], n = axes_of(axes, over);
  Value *is_it = ir_binary(b, OP_eq, x, spread(b, inst->result[0], axes, &x->type));
  Value *k = ir_sum(b, ir_convert(b, is_it, x->type.elem), over, n);
  Value *share = ir_binary(b, OP_div, dres[0], k);
  grad_add(sink, b, inst, 0, masked(b, is_it, spread(b, share, axes, &x->type)));
}

static Value *fold_extreme_along(Builder *b, Inst *inst) {
  Value *trivial = fold_trivial(b, inst);
  return trivial ? trivial : fold_moved_constant(b, inst);
}

static EVal emit_combine(Emit *e, EVal take, EVal acc, EVal x) {
  if (x.elem != TY_I32)
    take = e->binary(e, E_OR, take, e->binary(e, E_NE, x, x));
  return e->select(e, take, x, acc);
}

static EVal emit_combine_max(Emit *e, EVal acc, EVal x) {
  return emit_combine(e, emit_lt(e, acc, x), acc, x);
}

static EVal emit_combine_min(Emit *e, EVal acc, EVal x) {
  return emit_combine(e, emit_lt(e, x, acc), acc, x);
}

OP(max_along){
    .name = "max_along",
    .doc = "The greatest element over some axes. NaN if there is one.",
    .sig = "x; axes: dims",
    .math = "dx = dy / k at the k elements that equal y, else 0",
    .kind = K_REDUCE,
    .example = "f32[3, 4]; axes=[1] | f32[3, 4, 2]; axes=[0, 2] | i32[4]; axes=[0]",
    .type_fn = type_extreme,
    .grad = grad_extreme,
    .fold = fold_extreme_along,
    .batch = batch_axes,
    .eval = eval_max_along,
    .combine = emit_combine_max,
    .identity = -INFINITY,
    .flops = flops_reduce,
};

OP(min_along){
    .name = "min_along",
    .doc = "The smallest element over some axes. NaN if there is one.",
    .sig = "x; axes: dims",
    .math = "dx = dy / k at the k elements that equal y, else 0",
    .kind = K_REDUCE,
    .example = "f32[3, 4]; axes=[1] | f32[3, 4, 2]; axes=[0, 2] | i32[4]; axes=[0]",
    .type_fn = type_extreme,
    .grad = grad_extreme,
    .fold = fold_extreme_along,
    .batch = batch_axes,
    .eval = eval_min_along,
    .combine = emit_combine_min,
    .identity = INFINITY,
    .flops = flops_reduce,
};

// ---- argmax: whole numbers, no gradient --------------------------------------------------------

static const char *type_argmax(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  (void)n, (void)attr;
  *result = arg[0]->type;
  if (result->rank == 0 || result->dim[result->rank - 1] == 0)
    return words(m, "it needs a last axis with elements, not %s",
                 type_text(m->arena, &arg[0]->type));
  Dim last = result->dim[result->rank - 1];
  result->rank--;
  result->elem = TY_I32;
  result->range = last > 0 ? last : 0;
  return expect_number(m, arg[0]);
}

static void eval_argmax(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)inst, (void)n;
  int64_t width = arg[0]->type.dim[arg[0]->type.rank - 1];
  for (int64_t i = 0; i < result[0]->count; i++) {
    const double *row = arg[0]->at + i * width;
    int64_t best = 0;
    for (int64_t k = 1; k < width; k++)
      if (row[k] > row[best])
        best = k;
    result[0]->at[i] = (double)best;
  }
}

OP(argmax){
    .name = "argmax",
    .doc = "Where the greatest element of the last axis is: an index. Of equals the first.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_REDUCE,
    .flags = OPF_ZERO_GRAD,
    .example = "f32[3, 4] | f32[5]",
    .type_fn = type_argmax,
    .eval = eval_argmax,
    .flops = flops_reduce,
};
