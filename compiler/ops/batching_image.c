// How operations on images act once axis 0 is the batch: their images are batches already, of
// [B, H, W, C], so rows of them are just more of them.
#include "ops/batching.h"
#include "ops/conv.h"
#include "ops/op.h"

// [R, B, ...] to [R*B, ...].
static Value *joined(Builder *b, Value *x) {
  Dim dims[MAX_RANK] = {x->type.dim[0] * x->type.dim[1]};
  for (uint32_t i = 2; i < x->type.rank; i++)
    dims[i - 1] = x->type.dim[i];
  return ir_reshape(b, x, dims, x->type.rank - 1);
}

static Value *parted(Builder *b, Value *x, Dim rows) {
  Dim dims[MAX_RANK] = {rows, x->type.dim[0] / rows};
  for (uint32_t i = 1; i < x->type.rank; i++)
    dims[i + 1] = x->type.dim[i];
  return ir_reshape(b, x, dims, x->type.rank + 1);
}

static Value *again(Builder *b, const Inst *inst, Value *const *arg, const Attr *attr) {
  return ir_inst(b, inst->op, arg, inst->n_args, attr, inst->n_attrs)->result[0];
}

Value *batch_images(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  Value *all[3];
  for (uint32_t i = 0; i < inst->n_args; i++)
    all[i] = joined(b, with_rows(b, arg[i], batched[i], rows));
  return parted(b, again(b, inst, all, inst->attr), rows);
}

// ---- filters that differ from row to row: each row is a group of channels of its own -----------

// [R, a, b, c, d] to [a, b, c, R*d].
static Value *rows_inside(Builder *b, Value *x) {
  const uint32_t perm[] = {1, 2, 3, 0, 4};
  Value *y = ir_transpose(b, x, perm);
  const Dim *d = y->type.dim;
  return ir_reshape(b, y, (Dim[]){d[0], d[1], d[2], d[3] * d[4]}, 4);
}

static Value *rows_outside(Builder *b, Value *x, Dim rows) {
  const uint32_t perm[] = {3, 0, 1, 2, 4};
  const Dim *d = x->type.dim;
  Value *y = ir_reshape(b, x, (Dim[]){d[0], d[1], d[2], rows, d[3] / rows}, 5);
  return ir_transpose(b, y, perm);
}

static Value *conv_by_groups(Builder *b, Inst *inst, Value *const *arg, const bool *batched,
                             Dim rows) {
  Value *all[2];
  Attr attr[16];
  for (uint32_t i = 0; i < 2; i++)
    all[i] = rows_inside(b, with_rows(b, arg[i], batched[i], rows));
  for (uint32_t i = 0; i < inst->n_attrs; i++)
    attr[i] = &inst->attr[i] == inst_attr(inst, "groups") ? attr_int(inst->attr[i].i * rows)
                                                          : inst->attr[i];
  return rows_outside(b, again(b, inst, all, attr), rows);
}

Value *batch_conv(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  if (conv_shape(inst).wrt == CONV_FILTER || batched[1])
    return conv_by_groups(b, inst, arg, batched, rows);
  Value *all[2] = {joined(b, arg[0]), arg[1]};
  return parted(b, again(b, inst, all, inst->attr), rows);
}
