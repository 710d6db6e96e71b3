// Parts and joins of tensors: slice, pad, concat. Like shape.c they only move elements.
#include "ops/batching.h"
#include "ops/rules.h"

#include <string.h>

static bool all_are(const Attr *dims, Dim value) {
  for (uint32_t i = 0; i < dims->n; i++)
    if (dims->dims[i] != value)
      return false;
  return true;
}

static Value *pad(Builder *b, Value *x, const Dim *low, const Dim *high, double value) {
  uint32_t n = x->type.rank;
  Attr attr[] = {attr_dims(b->m->arena, low, n), attr_dims(b->m->arena, high, n),
                 attr_float(value)};
  return ir_inst(b, OP_pad, &x, 1, attr, 3)->result[0];
}

Value *slice_of(Builder *b, Value *x, const Dim *start, const Dim *limit, const Dim *stride) {
  uint32_t n = x->type.rank;
  Attr attr[] = {attr_dims(b->m->arena, start, n), attr_dims(b->m->arena, limit, n),
                 attr_dims(b->m->arena, stride, n)};
  return ir_inst(b, OP_slice, &x, 1, attr, 3)->result[0];
}

static const char *expect_count(Module *m, const Attr *attr, uint32_t n, const Type *x) {
  for (uint32_t i = 0; i < n; i++)
    if (attr[i].n != x->rank)
      return words(m, "%u numbers are given for the %u axes of %s", attr[i].n, x->rank,
                   type_text(m->arena, x));
  return NULL;
}

// ---- slice: dx = dy between zeros --------------------------------------------------------------

static const char *slice_axis(Module *m, Dim dim, Dim start, Dim limit, Dim stride, Dim *result) {
  if (start == 0 && limit == dim && stride == 1) {
    *result = dim; // the only slice of dimension N
    return NULL;
  }
  if (dim < 0 || start < 0 || limit > dim || start > limit || stride < 1)
    return words(m, "%s to %s by %s is no part of a dimension of %s", dim_text(m->arena, start),
                 dim_text(m->arena, limit), dim_text(m->arena, stride), dim_text(m->arena, dim));
  *result = (limit - start + stride - 1) / stride;
  return NULL;
}

static const char *type_slice(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                              Type *result) {
  (void)n;
  const Type *x = &arg[0]->type;
  const char *wrong = expect_count(m, attr, 3, x);
  *result = *x;
  for (uint32_t i = 0; !wrong && i < x->rank; i++)
    wrong = slice_axis(m, x->dim[i], attr[0].dims[i], attr[1].dims[i], attr[2].dims[i],
                       &result->dim[i]);
  return wrong;
}

// stride - 1 zeros after every element along the axis, by way of an axis of size `stride`.
static Value *spaced(Builder *b, Value *x, uint32_t axis, Dim stride) {
  Dim split[MAX_RANK + 1], low[MAX_RANK + 1] = {0}, high[MAX_RANK + 1] = {0}, joined[MAX_RANK];
  uint32_t rank = x->type.rank;
  // The elements before and in `axis` first: that needs three axes only, whatever the rank.
  Type outer = x->type, inner = x->type;
  outer.rank = (uint8_t)(axis + 1);
  inner.rank = (uint8_t)(rank - axis - 1);
  memmove(inner.dim, x->type.dim + axis + 1, sizeof(Dim) * inner.rank);
  split[0] = type_count(&outer);
  split[1] = 1;
  split[2] = type_count(&inner);
  high[1] = stride - 1;
  memcpy(joined, x->type.dim, sizeof joined);
  joined[axis] *= stride;
  return ir_reshape(b, pad(b, ir_reshape(b, x, split, 3), low, high, 0), joined, rank);
}

Value *slice_back(Builder *b, Value *d, const Dim *start, const Dim *stride, const Type *x) {
  Dim high[MAX_RANK], none[MAX_RANK] = {0}, ones[MAX_RANK], limit[MAX_RANK];
  bool cut = false;
  for (uint32_t i = 0; i < x->rank; i++)
    if (stride[i] > 1)
      d = spaced(b, d, i, stride[i]);
  for (uint32_t i = 0; i < x->rank; i++) {
    Dim rest = x->dim[i] < 0 ? 0 : x->dim[i] - start[i] - d->type.dim[i];
    high[i] = rest < 0 ? 0 : rest;
    limit[i] = d->type.dim[i] + (rest < 0 ? rest : 0); // zeros after the last element
    cut |= rest < 0;
    ones[i] = 1;
  }
  if (cut)
    d = slice_of(b, d, none, limit, ones);
  return pad(b, d, start, high, 0);
}

static void grad_slice(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  const Dim *start = inst_attr(inst, "start")->dims, *stride = inst_attr(inst, "stride")->dims;
  grad_add(sink, b, inst, 0, slice_back(b, dres[0], start, stride, &inst->arg[0]->type));
}

static Value *fold_slice_of_slice(Builder *b, Inst *inst, Inst *inner) {
  const Attr *s1 = inst_attr(inner, "start"), *t1 = inst_attr(inner, "stride");
  const Attr *s2 = inst_attr(inst, "start"), *t2 = inst_attr(inst, "stride");
  const Type *type = &inst->result[0]->type;
  Dim start[MAX_RANK], limit[MAX_RANK], stride[MAX_RANK];
  for (uint32_t i = 0; i < s1->n; i++) {
    start[i] = s1->dims[i] + s2->dims[i] * t1->dims[i];
    stride[i] = t1->dims[i] * t2->dims[i];
    Dim n = type->dim[i];
    limit[i] = n < 0 ? n : n == 0 ? start[i] : start[i] + (n - 1) * stride[i] + 1;
  }
  return slice_of(b, inner->arg[0], start, limit, stride);
}

static Value *fold_slice(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_slice);
  if (type_same_shape(&inst->arg[0]->type, &inst->result[0]->type))
    return inst->arg[0];
  return inner ? fold_slice_of_slice(b, inst, inner) : fold_moved_constant(b, inst);
}

static void eval_slice(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const Attr *start = inst_attr(inst, "start"), *stride = inst_attr(inst, "stride");
  int64_t at[MAX_RANK];
  for (int64_t i = 0; i < result[0]->count; i++) {
    position_of(&result[0]->type, i, at);
    for (uint32_t k = 0; k < start->n; k++)
      at[k] = start->dims[k] + at[k] * stride->dims[k];
    result[0]->at[i] = arg[0]->at[flat_of(&arg[0]->type, at)];
  }
}

OP(slice){
    .name = "slice",
    .doc = "The elements start, start + stride, ... before limit, on every axis.",
    .sig = "x; start: dims, limit: dims, stride: dims",
    .math = "dx = dy between zeros",
    .kind = K_SHAPE,
    .example = "f32[5, 4]; start=[1, 0] limit=[4, 4] stride=[1, 1] | "
               "f32[7]; start=[1] limit=[6] stride=[2] | f32[2, 7]; start=[0, 0] limit=[2, 7] "
               "stride=[1, 4]",
    .type_fn = type_slice,
    .grad = grad_slice,
    .fold = fold_slice,
    .batch = batch_slice,
    .eval = eval_slice,
};

// ---- pad: dx = the part of dy where x is -------------------------------------------------------

static const char *type_pad(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                            Type *result) {
  (void)n;
  const Type *x = &arg[0]->type;
  const char *wrong = expect_count(m, attr, 2, x);
  *result = *x;
  for (uint32_t i = 0; !wrong && i < x->rank; i++) {
    Dim low = attr[0].dims[i], high = attr[1].dims[i];
    if (low < 0 || high < 0)
      return "a padding can't be negative";
    if (x->dim[i] < 0 && (low || high))
      return "the dimension N can't be padded";
    result->dim[i] += x->dim[i] < 0 ? 0 : low + high;
  }
  return wrong;
}

static void grad_pad(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  const Attr *low = inst_attr(inst, "low");
  const Type *x = &inst->arg[0]->type;
  Dim limit[MAX_RANK], ones[MAX_RANK];
  for (uint32_t i = 0; i < x->rank; i++) {
    limit[i] = x->dim[i] < 0 ? x->dim[i] : low->dims[i] + x->dim[i];
    ones[i] = 1;
  }
  grad_add(sink, b, inst, 0, slice_of(b, dres[0], low->dims, limit, ones));
}

static Value *fold_pad(Builder *b, Inst *inst) {
  if (all_are(inst_attr(inst, "low"), 0) && all_are(inst_attr(inst, "high"), 0))
    return inst->arg[0];
  if (is_splat_of(inst->arg[0], inst_attr(inst, "value")->f))
    return fold_moved_constant(b, inst);
  return NULL;
}

static void eval_pad(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const Attr *low = inst_attr(inst, "low");
  double value = inst_attr(inst, "value")->f;
  int64_t at[MAX_RANK];
  for (int64_t i = 0; i < result[0]->count; i++)
    result[0]->at[i] = value;
  for (int64_t i = 0; i < arg[0]->count; i++) {
    position_of(&arg[0]->type, i, at);
    for (uint32_t k = 0; k < low->n; k++)
      at[k] += low->dims[k];
    result[0]->at[flat_of(&result[0]->type, at)] = arg[0]->at[i];
  }
}

OP(pad){
    .name = "pad",
    .doc = "x with low[i] elements before and high[i] after it on axis i, all of one value.",
    .sig = "x; low: dims, high: dims, value: float = 0",
    .math = "dx = the part of dy where x is",
    .kind = K_SHAPE,
    .example = "f32[3, 4]; low=[1, 0] high=[0, 2] value=0 | f32[3]; low=[2] high=[1] value=-1.5",
    .type_fn = type_pad,
    .grad = grad_pad,
    .fold = fold_pad,
    .batch = batch_pad,
    .eval = eval_pad,
};

// ---- concat: each part's gradient is its part of dy --------------------------------------------

static const char *type_concat(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  int64_t axis = attr[0].i;
  if (n == 0)
    return "there is nothing to join";
  *result = arg[0]->type;
  result->batched = any_batched(arg, n);
  if (axis < 0 || axis >= result->rank)
    return words(m, "there is no axis %lld in %s", (long long)axis,
                 type_text(m->arena, &arg[0]->type));
  for (uint32_t i = 1; i < n; i++) {
    Type part = arg[i]->type;
    if (part.dim[axis] < 0 || result->dim[axis] < 0)
      return "the dimension N can't be joined";
    if (part.range != result->range)
      result->range = 0;
    Dim joined = result->dim[axis] + part.dim[axis];
    part.dim[axis] = result->dim[axis];
    if (part.elem != result->elem || !type_same_shape(&part, result))
      return words(m, "%s and %s can't be joined along axis %lld",
                   type_text(m->arena, &arg[0]->type), type_text(m->arena, &arg[i]->type),
                   (long long)axis);
    result->dim[axis] = joined;
  }
  return NULL;
}

static void grad_concat(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  int64_t axis = inst_attr(inst, "axis")->i;
  Dim start[MAX_RANK] = {0}, limit[MAX_RANK], ones[MAX_RANK];
  for (uint32_t i = 0; i < inst->n_args; i++) {
    const Type *part = &inst->arg[i]->type;
    for (uint32_t k = 0; k < part->rank; k++) {
      limit[k] = part->dim[k];
      ones[k] = 1;
    }
    limit[axis] = start[axis] + part->dim[axis];
    if (grad_wanted(sink, inst, i))
      grad_add(sink, b, inst, i, slice_of(b, dres[0], start, limit, ones));
    start[axis] = limit[axis];
  }
}

static Value *fold_concat(Builder *b, Inst *inst) {
  (void)b;
  return inst->n_args == 1 ? inst->arg[0] : NULL;
}

// select(position >= where part i starts, part i padded, what came before): elementwise, so that it
// fuses with what reads it.
static bool lower_concat(Builder *b, Inst *inst) {
  int64_t axis = inst_attr(inst, "axis")->i;
  const Type *type = &inst->result[0]->type;
  Attr attr[] = {attr_dims(b->m->arena, type->dim, type->rank), attr_int(axis), attr_elem(TY_I32)};
  Value *position = ir_inst(b, OP_iota, NULL, 0, attr, 3)->result[0], *joined = NULL;
  Dim low[MAX_RANK] = {0}, high[MAX_RANK] = {0};
  for (uint32_t i = 0; i < inst->n_args; i++) {
    Dim n = inst->arg[i]->type.dim[axis];
    high[axis] = type->dim[axis] - low[axis] - n;
    Value *part = pad(b, inst->arg[i], low, high, 0);
    Value *from = like_const(b, position, (double)low[axis]);
    joined = joined ? ir_select(b, ir_binary(b, OP_ge, position, from), part, joined) : part;
    low[axis] += n;
  }
  ir_forward(inst->result[0], joined); // `simplify` resolves it
  ir_remove(inst);
  return true;
}

static void eval_concat(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  int64_t axis = inst_attr(inst, "axis")->i, start = 0, at[MAX_RANK];
  for (uint32_t part = 0; part < inst->n_args; part++) {
    for (int64_t i = 0; i < arg[part]->count; i++) {
      position_of(&arg[part]->type, i, at);
      at[axis] += start;
      result[0]->at[flat_of(&result[0]->type, at)] = arg[part]->at[i];
    }
    start += arg[part]->type.dim[axis];
  }
}

OP(concat){
    .name = "concat",
    .doc = "The arguments one after the other along one axis.",
    .sig = "xs...; axis: int = 0",
    .math = "dx_i = its part of dy",
    .kind = K_SHAPE,
    .example = "f32[3, 4], f32[3, 2]; axis=1 | f32[2], f32[3], f32[1]; axis=0",
    .type_fn = type_concat,
    .grad = grad_concat,
    .fold = fold_concat,
    .lower = lower_concat,
    .batch = batch_axis,
    .eval = eval_concat,
};
