// Operations that only move elements: generated code turns them into index maps where it can.
#include "ops/batching.h"
#include "ops/rules.h"

#include <string.h>

static const char *type_of_dims(Module *m, const Type *x, const Attr *dims, Type *result) {
  uint32_t symbolic = 0;
  *result = *x;
  if (dims->n > MAX_RANK)
    return words(m, "%u dimensions, at most %d are possible", dims->n, MAX_RANK);
  result->rank = (uint8_t)dims->n;
  memset(result->dim, 0, sizeof result->dim);
  for (uint32_t i = 0; i < dims->n; i++) {
    result->dim[i] = dims->dims[i];
    symbolic += dims->dims[i] < 0;
  }
  return symbolic > 1 ? "the dimension N occurs twice" : NULL;
}

// One number per axis of x.
static const char *expect_per_axis(Module *m, const Attr *attr, const char *name, const Type *x) {
  if (attr->n == x->rank)
    return NULL;
  return words(m, "%s has %u numbers for the %u axes of %s", name, attr->n, x->rank,
               type_text(m->arena, x));
}

// ---- broadcast: dx = dy summed over the new axes -----------------------------------------------

static const char *type_broadcast(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                  Type *result) {
  (void)n;
  const Type *x = &arg[0]->type;
  const char *wrong = expect_per_axis(m, &attr[0], "axes", x);
  if (!wrong)
    wrong = type_of_dims(m, x, &attr[1], result);
  if (!wrong)
    wrong = expect_axes(m, &attr[0], result->rank);
  for (uint32_t i = 0; !wrong && i < x->rank; i++)
    if (x->dim[i] != result->dim[attr[0].dims[i]])
      wrong = words(m, "axis %u of %s does not fit %s", i, type_text(m->arena, x),
                    type_text(m->arena, result));
  return wrong;
}

static void grad_broadcast(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  const Attr *axes = inst_attr(inst, "axes");
  uint32_t fresh[MAX_RANK], n = 0, k = 0;
  for (uint32_t i = 0; i < dres[0]->type.rank; i++)
    if (k < axes->n && axes->dims[k] == i)
      k++;
    else
      fresh[n++] = i;
  grad_add(sink, b, inst, 0, ir_sum(b, dres[0], fresh, n));
}

static Value *fold_broadcast(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_broadcast);
  const Attr *axes = inst_attr(inst, "axes");
  if (type_same_shape(&inst->arg[0]->type, &inst->result[0]->type))
    return inst->arg[0];
  if (!inner)
    return fold_moved_constant(b, inst);
  const Attr *first = inst_attr(inner, "axes");
  uint32_t both[MAX_RANK];
  for (uint32_t i = 0; i < first->n; i++)
    both[i] = (uint32_t)axes->dims[first->dims[i]];
  return ir_broadcast(b, inner->arg[0], both, inst->result[0]->type);
}

static void eval_broadcast(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const Attr *axes = inst_attr(inst, "axes");
  int64_t at[MAX_RANK], from[MAX_RANK];
  for (int64_t i = 0; i < result[0]->count; i++) {
    position_of(&result[0]->type, i, at);
    for (uint32_t k = 0; k < axes->n; k++)
      from[k] = at[axes->dims[k]];
    result[0]->at[i] = arg[0]->at[flat_of(&arg[0]->type, from)];
  }
}

OP(broadcast){
    .name = "broadcast",
    .doc = "x repeated along new axes. Axis i of x becomes axis axes[i] of the result, whose "
           "dimensions are `to`.",
    .sig = "x; axes: dims, to: dims",
    .math = "dx = dy summed over the new axes",
    .kind = K_SHAPE,
    .flags = OPF_CHEAP,
    .example =
        "f32[4]; axes=[1] to=[3, 4] | f32; axes=[] to=[2, 3] | f32[3, 2]; axes=[0, 2] to=[3, 4, 2]",
    .type_fn = type_broadcast,
    .grad = grad_broadcast,
    .fold = fold_broadcast,
    .batch = batch_broadcast,
    .eval = eval_broadcast,
};

// ---- reshape: dx = dy reshaped back ------------------------------------------------------------

static const char *type_reshape(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                Type *result) {
  (void)n;
  const char *wrong = type_of_dims(m, &arg[0]->type, &attr[0], result);
  if (wrong || type_count(&arg[0]->type) == type_count(result))
    return wrong;
  return words(m, "%s has %s elements, %s has %s", type_text(m->arena, &arg[0]->type),
               dim_text(m->arena, type_count(&arg[0]->type)), type_text(m->arena, result),
               dim_text(m->arena, type_count(result)));
}

static Value *reshape_like(Builder *b, Value *x, const Type *type) {
  return ir_reshape(b, x, type->dim, type->rank);
}

static void grad_reshape(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, reshape_like(b, dres[0], &inst->arg[0]->type));
}

static Value *fold_reshape(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_reshape);
  if (type_same_shape(&inst->arg[0]->type, &inst->result[0]->type))
    return inst->arg[0];
  if (inner)
    return reshape_like(b, inner->arg[0], &inst->result[0]->type);
  return fold_moved_constant(b, inst);
}

static void eval_reshape(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)inst, (void)n;
  memcpy(result[0]->at, arg[0]->at, sizeof(double) * (size_t)result[0]->count);
}

OP(reshape){
    .name = "reshape",
    .doc =
        "The same elements in the same order (the last axis runs fastest) with other dimensions.",
    .sig = "x; to: dims",
    .math = "dx = dy reshaped back",
    .kind = K_SHAPE,
    .flags = OPF_CHEAP,
    .example = "f32[3, 4]; to=[2, 6] | f32[3, 4]; to=[12] | f32; to=[1, 1]",
    .type_fn = type_reshape,
    .grad = grad_reshape,
    .fold = fold_reshape,
    .batch = batch_reshape,
    .eval = eval_reshape,
};

// ---- transpose: dx = dy transposed back --------------------------------------------------------

static const char *type_transpose(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                  Type *result) {
  (void)n;
  const Type *x = &arg[0]->type;
  const char *wrong = expect_per_axis(m, &attr[0], "perm", x);
  uint32_t seen = 0;
  *result = *x;
  for (uint32_t i = 0; !wrong && i < x->rank; i++) {
    Dim axis = attr[0].dims[i];
    if (axis < 0 || axis >= x->rank || seen >> axis & 1)
      return "perm must name every axis once";
    seen |= 1u << axis;
    result->dim[i] = x->dim[axis];
  }
  return wrong;
}

static void grad_transpose(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  const Attr *perm = inst_attr(inst, "perm");
  uint32_t back[MAX_RANK];
  for (uint32_t i = 0; i < perm->n; i++)
    back[perm->dims[i]] = i;
  grad_add(sink, b, inst, 0, ir_transpose(b, dres[0], back));
}

// Axes of size 1 may go anywhere without an element moving.
static bool keeps_order(const Type *x, const Attr *perm) {
  Dim last = -1;
  for (uint32_t i = 0; i < perm->n; i++) {
    if (x->dim[perm->dims[i]] == 1)
      continue;
    if (perm->dims[i] < last)
      return false;
    last = perm->dims[i];
  }
  return true;
}

static Value *fold_transpose(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_transpose);
  const Attr *perm = inst_attr(inst, "perm");
  if (keeps_order(&inst->arg[0]->type, perm))
    return reshape_like(b, inst->arg[0], &inst->result[0]->type);
  if (!inner)
    return fold_moved_constant(b, inst);
  const Attr *first = inst_attr(inner, "perm");
  uint32_t both[MAX_RANK];
  for (uint32_t i = 0; i < perm->n; i++)
    both[i] = (uint32_t)first->dims[perm->dims[i]];
  return ir_transpose(b, inner->arg[0], both);
}

static void eval_transpose(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const Attr *perm = inst_attr(inst, "perm");
  int64_t at[MAX_RANK], from[MAX_RANK];
  for (int64_t i = 0; i < result[0]->count; i++) {
    position_of(&result[0]->type, i, at);
    for (uint32_t k = 0; k < perm->n; k++)
      from[perm->dims[k]] = at[k];
    result[0]->at[i] = arg[0]->at[flat_of(&arg[0]->type, from)];
  }
}

OP(transpose){
    .name = "transpose",
    .doc = "Axis i of the result is axis perm[i] of x.",
    .sig = "x; perm: dims",
    .math = "dx = dy transposed back",
    .kind = K_SHAPE,
    .example = "f32[3, 4]; perm=[1, 0] | f32[2, 3, 4]; perm=[2, 0, 1]",
    .type_fn = type_transpose,
    .grad = grad_transpose,
    .fold = fold_transpose,
    .batch = batch_transpose,
    .eval = eval_transpose,
};

// ---- reverse: dx = dy reversed -----------------------------------------------------------------

static const char *type_reverse(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                Type *result) {
  (void)n;
  *result = arg[0]->type;
  if (attr[0].i >= 0 && attr[0].i < arg[0]->type.rank)
    return NULL;
  return words(m, "there is no axis %lld in %s", (long long)attr[0].i,
               type_text(m->arena, &arg[0]->type));
}

static Value *reverse(Builder *b, Value *x, int64_t axis) {
  return ir_inst(b, OP_reverse, &x, 1, (Attr[]){attr_int(axis)}, 1)->result[0];
}

static void grad_reverse(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, reverse(b, dres[0], inst_attr(inst, "axis")->i));
}

static Value *fold_reverse(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_reverse);
  int64_t axis = inst_attr(inst, "axis")->i;
  if (inst->arg[0]->type.dim[axis] == 1)
    return inst->arg[0];
  if (inner && inst_attr(inner, "axis")->i == axis)
    return inner->arg[0];
  return fold_moved_constant(b, inst);
}

static void eval_reverse(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  int64_t axis = inst_attr(inst, "axis")->i, at[MAX_RANK];
  for (int64_t i = 0; i < result[0]->count; i++) {
    position_of(&result[0]->type, i, at);
    at[axis] = result[0]->type.dim[axis] - 1 - at[axis];
    result[0]->at[i] = arg[0]->at[flat_of(&arg[0]->type, at)];
  }
}

OP(reverse){
    .name = "reverse",
    .doc = "One axis in the opposite order.",
    .sig = "x; axis: int",
    .math = "dx = dy reversed",
    .kind = K_SHAPE,
    .example = "f32[3, 4]; axis=1 | f32[5]; axis=0",
    .type_fn = type_reverse,
    .grad = grad_reverse,
    .fold = fold_reverse,
    .batch = batch_axis,
    .eval = eval_reverse,
};
