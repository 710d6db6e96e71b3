// Views of tensors under shape operations, and what kind of access they are.
#include "pass/indexmap.h"
#include "ops/op.h"

#include <string.h>

Dim dim_mul(Dim a, Dim b) {
  if (a < 0 && b < 0)
    ice("a size with N twice");
  return a * b;
}

View view_of_tensor(const Type *type) {
  View v = {.rank = type->rank};
  Dim stride = 1;
  for (uint32_t i = type->rank; i-- > 0;) {
    v.extent[i] = type->dim[i];
    v.stride[i] = stride;
    stride = dim_mul(stride, type->dim[i]);
  }
  return v;
}

static void push_axis(View *v, Dim extent, Dim stride) {
  if (v->rank == MAX_RANK * 2) {
    v->other = true;
    return;
  }
  v->extent[v->rank] = extent;
  v->stride[v->rank++] = stride;
}

// Without axes of length 1, neighbours joined where they are one run.
static View merged(const View *v) {
  View m = {.other = v->other};
  for (uint32_t i = 0; i < v->rank; i++) {
    if (v->extent[i] == 1)
      continue;
    Dim last = m.rank ? m.stride[m.rank - 1] : 0;
    bool symbolic_twice = v->extent[i] < 0 && v->stride[i] < 0;
    bool joins =
        m.rank &&
        (v->stride[i] == 0 ? last == 0 : !symbolic_twice && last == v->extent[i] * v->stride[i]);
    if (joins) {
      m.extent[m.rank - 1] = dim_mul(m.extent[m.rank - 1], v->extent[i]);
      m.stride[m.rank - 1] = v->stride[i];
    } else
      push_axis(&m, v->extent[i], v->stride[i]);
  }
  return m;
}

// a / b if that is a whole Dim, else 0.
static Dim dim_div(Dim a, Dim b) {
  if (b == 0 || a % b != 0 || (b < 0 && a > 0))
    return 0;
  return a / b;
}

// Takes axes of product `extent` from the end of v (which shrinks) to the front of `out`'s axes.
static bool take(View *v, Dim extent, View *out) {
  View taken = {0};
  while (extent != 1) {
    if (!v->rank)
      return false;
    Dim *last = &v->extent[v->rank - 1], stride = v->stride[v->rank - 1];
    Dim rest = dim_div(extent, *last);
    if (rest) { // the whole axis, and more
      push_axis(&taken, *last, stride);
      v->rank--;
      extent = rest;
      continue;
    }
    Dim left = dim_div(*last, extent);
    if (!left)
      return false;
    push_axis(&taken, extent, stride);
    *last = left;
    v->stride[v->rank - 1] = stride ? dim_mul(stride, extent) : 0;
    extent = 1;
  }
  for (uint32_t i = taken.rank; i-- > 0;)
    push_axis(out, taken.extent[i], taken.stride[i]);
  return true;
}

static View reshaped_view(const View *v, const Type *to) {
  View from = merged(v), out = {.rank = to->rank, .other = v->other};
  for (uint32_t i = to->rank; i-- > 0 && !out.other;) {
    View axis = {0};
    out.extent[i] = to->dim[i];
    if (to->dim[i] == 1)
      continue;
    bool taken = take(&from, to->dim[i], &axis);
    axis = merged(&axis);
    if (taken && axis.rank == 1)
      out.stride[i] = axis.stride[0];
    else
      out.other = true;
  }
  return out;
}

static View broadcast_view(const View *v, const Inst *inst) {
  const Attr *axes = inst_attr(inst, "axes");
  const Type *to = &inst->result[0]->type;
  View out = {.rank = to->rank, .other = v->other};
  memcpy(out.extent, to->dim, sizeof *to->dim * to->rank);
  for (uint32_t i = 0; i < axes->n; i++)
    if (v->extent[i] == to->dim[axes->dims[i]])
      out.stride[axes->dims[i]] = v->stride[i];
  return out;
}

static View transposed_view(const View *v, const Inst *inst) {
  const Attr *perm = inst_attr(inst, "perm");
  View out = {.rank = v->rank, .other = v->other};
  for (uint32_t i = 0; i < v->rank; i++) {
    out.extent[i] = v->extent[perm->dims[i]];
    out.stride[i] = v->stride[perm->dims[i]];
  }
  return out;
}

// From the first element on; a later start is an offset, which a View doesn't have.
static View sliced_view(const View *v, const Inst *inst) {
  const Attr *start = inst_attr(inst, "start"), *step = inst_attr(inst, "stride");
  View out = *v;
  for (uint32_t i = 0; i < v->rank; i++) {
    out.extent[i] = inst->result[0]->type.dim[i];
    out.stride[i] = step->n ? v->stride[i] * step->dims[i] : v->stride[i];
    out.other |= start->dims[i] != 0;
  }
  return out;
}

View view_through(const View *v, const Inst *inst) {
  if (inst->op == OP_reshape)
    return reshaped_view(v, &inst->result[0]->type);
  if (inst->op == OP_broadcast)
    return broadcast_view(v, inst);
  if (inst->op == OP_transpose)
    return transposed_view(v, inst);
  if (inst->op == OP_slice)
    return sliced_view(v, inst);
  View out = view_of_tensor(&inst->result[0]->type);
  out.other = true;
  return out;
}

static bool all_zero(const View *v) {
  for (uint32_t i = 0; i < v->rank; i++)
    if (v->stride[i])
      return false;
  return true;
}

MapClass view_class(const View *v, const Type *leaf, Dim rows, Dim columns) {
  View outer = merged(v), inner = {0};
  if (v->other)
    return MAP_OTHER;
  Dim count = type_count(leaf);
  if (count == 1 || all_zero(&outer))
    return count == 1 ? MAP_ONE : MAP_OTHER;
  if (outer.rank == 1 && outer.stride[0] == 1 && count == outer.extent[0] &&
      count == dim_mul(rows, columns))
    return MAP_FLAT;
  if (!take(&outer, columns, &inner))
    return MAP_OTHER;
  inner = merged(&inner);
  outer = merged(&outer);
  if (all_zero(&inner) && outer.rank == 1 && outer.stride[0] == 1 && count == rows)
    return MAP_ROW;
  if (all_zero(&outer) && inner.rank == 1 && inner.stride[0] == 1 && count == columns)
    return MAP_COLUMN;
  return MAP_OTHER;
}
