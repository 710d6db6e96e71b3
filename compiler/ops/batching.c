// How operations that name axes act once axis 0 is the batch: the `.batch` rules of the records.
// arg[i] has become [N, ...] where batched[i]; the result is the batched result.
#include "ops/op.h"
#include "ops/batching.h"

Value *with_rows(Builder *b, Value *x, bool batched, Dim rows) {
  if (batched)
    return x;
  uint32_t axes[MAX_RANK];
  Type to = x->type;
  to.rank++;
  to.dim[0] = rows;
  for (uint32_t i = 0; i < x->type.rank; i++) {
    axes[i] = i + 1;
    to.dim[i + 1] = x->type.dim[i];
  }
  return ir_broadcast(b, x, axes, to);
}

// Attribute `name` of inst, as a list of axes moved on by one, with `first` before them if wanted.
static Attr shifted(Builder *b, const Inst *inst, const char *name, const Dim *first, Dim by) {
  const Attr *old = inst_attr(inst, name);
  Dim dims[MAX_RANK + 1];
  uint32_t n = 0;
  if (first)
    dims[n++] = *first;
  for (uint32_t i = 0; i < old->n; i++)
    dims[n++] = old->dims[i] + by;
  return attr_dims(b->m->arena, dims, n);
}

static const Dim zero = 0, one = 1;

Dim rows_of(const Inst *inst, Value *const *arg, const bool *batched) {
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (batched[i])
      return arg[i]->type.dim[0];
  ice("%s is batched without a batched argument", op_table[inst->op]->name);
}

static Value *again(Builder *b, Inst *inst, Value *const *arg, const Attr *attr) {
  return ir_inst(b, inst->op, arg, inst->n_args, attr, inst->n_attrs)->result[0];
}

Value *batch_broadcast(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  Attr attr[2] = {shifted(b, inst, "axes", &zero, 1), shifted(b, inst, "to", &rows, 0)};
  return again(b, inst, arg, attr);
}

Value *batch_reshape(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  Attr attr = shifted(b, inst, "to", &rows, 0);
  return again(b, inst, arg, &attr);
}

Value *batch_transpose(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  (void)batched;
  Attr attr = shifted(b, inst, "perm", &zero, 1);
  return again(b, inst, arg, &attr);
}

Value *batch_slice(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  Attr attr[3] = {shifted(b, inst, "start", &zero, 0), shifted(b, inst, "limit", &rows, 0),
                  shifted(b, inst, "stride", &one, 0)};
  return again(b, inst, arg, attr);
}

Value *batch_pad(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  (void)batched;
  Attr attr[3] = {shifted(b, inst, "low", &zero, 0), shifted(b, inst, "high", &zero, 0),
                  *inst_attr(inst, "value")};
  return again(b, inst, arg, attr);
}

Value *batch_axes(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  (void)batched;
  Attr attr = shifted(b, inst, "axes", NULL, 1);
  return again(b, inst, arg, &attr);
}

Value *batch_axis(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Value **all = arena_array(b->m->arena, Value *, inst->n_args);
  for (uint32_t i = 0; i < inst->n_args; i++)
    all[i] = with_rows(b, arg[i], batched[i], rows_of(inst, arg, batched));
  Attr attr = attr_int(inst_attr(inst, "axis")->i + 1);
  return again(b, inst, all, &attr);
}

static uint32_t axes_of(const Inst *inst, const char *name, uint32_t by, uint32_t *axes) {
  const Attr *a = inst_attr(inst, name);
  for (uint32_t i = 0; i < a->n; i++)
    axes[i] = (uint32_t)a->dims[i] + by;
  return a->n;
}

// Only the right side has rows: its product is [N, free of b, free of a]; put the left's axes
// first.
static Value *dot_right_batched(Builder *b, const Inst *inst, Value *x, Value *y,
                                const uint32_t *ca, const uint32_t *cb, uint32_t n) {
  uint32_t free_a = inst->arg[0]->type.rank - n, free_b = inst->arg[1]->type.rank - n;
  Value *yx = ir_dot(b, y, x, cb, ca, n, 0);
  uint32_t perm[MAX_RANK] = {0};
  for (uint32_t i = 0; i < free_a; i++)
    perm[1 + i] = 1 + free_b + i;
  for (uint32_t i = 0; i < free_b; i++)
    perm[1 + free_a + i] = 1 + i;
  return free_a ? ir_transpose(b, yx, perm) : yx;
}

Value *batch_dot(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  uint32_t ca[MAX_RANK], cb[MAX_RANK], batch = (uint32_t)inst_attr(inst, "batch")->i;
  uint32_t n = axes_of(inst, "ca", batched[0] || batch, ca);
  axes_of(inst, "cb", batched[1] || batch, cb);
  if (batch || (batched[0] && batched[1]))
    return ir_dot(b, with_rows(b, arg[0], batched[0], rows), with_rows(b, arg[1], batched[1], rows),
                  ca, cb, n, batch + 1);
  if (batched[0])
    return ir_dot(b, arg[0], arg[1], ca, cb, n, 0);
  return dot_right_batched(b, inst, arg[0], arg[1], ca, cb, n);
}

Value *batch_batch_sum(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  (void)inst, (void)batched;
  uint32_t axis = 0;
  return ir_sum(b, arg[0], &axis, 1);
}

// Rows (i + k) mod N. In f32, where whole numbers below 2^24 are exact.
Value *batch_batch_roll(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  Attr attr[] = {attr_dims(b->m->arena, &rows, 1), attr_int(0), attr_elem(TY_F32)};
  Value *i = ir_inst(b, OP_iota, NULL, 0, attr, 3)->result[0];
  Value *n = ir_inst(b, OP_count, NULL, 0, NULL, 0)->result[0];
  n = ir_broadcast(b, n, NULL, i->type);
  Value *k = ir_const(b, i->type, (double)inst_attr(inst, "k")->i);
  Value *to = ir_binary(b, OP_add, i, k);
  Value *turns = ir_unary(b, OP_floor, ir_binary(b, OP_div, to, n));
  to = ir_binary(b, OP_sub, to, ir_binary(b, OP_mul, turns, n));
  Value *args[] = {arg[0], ir_convert(b, to, TY_I32)};
  return ir_inst(b, OP_gather, args, 2, NULL, 0)->result[0];
}

// Tables of N rows' own stand one after the other: row r of the table of example n is row n*R + r.
static Value *numbered_in_all(Builder *b, Value *index, Dim rows_each) {
  const Type *type = &index->type;
  Attr attr[] = {attr_dims(b->m->arena, type->dim, type->rank), attr_int(0), attr_elem(TY_I32)};
  Value *example = ir_inst(b, OP_iota, NULL, 0, attr, 3)->result[0];
  Value *first = ir_binary(b, OP_mul, example, ir_const(b, example->type, (double)rows_each));
  return ir_binary(b, OP_add, first, ir_convert(b, index, TY_I32));
}

// [N, R, rest] to [N*R, rest], or back (into = R > 0).
static Value *joined_tables(Builder *b, Value *x, Dim into) {
  const Dim rows = -1;
  Dim dims[MAX_RANK], n = 0;
  if (into) {
    dims[n++] = rows;
    dims[n++] = into;
  } else
    dims[n++] = x->type.dim[0] * x->type.dim[1];
  for (uint32_t i = into ? 1 : 2; i < x->type.rank; i++)
    dims[n++] = x->type.dim[i];
  return ir_reshape(b, x, dims, (uint32_t)n);
}

Value *batch_gather(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  if (!batched[0])
    return again(b, inst, arg, NULL);
  Value *index = with_rows(b, arg[1], batched[1], -1);
  Value *args[] = {joined_tables(b, arg[0], 0), numbered_in_all(b, index, arg[0]->type.dim[1])};
  return again(b, inst, args, NULL);
}

// Each example has a table of its own.
Value *batch_scatter_add(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows_each = inst_attr(inst, "rows")->i;
  Value *index = with_rows(b, arg[0], batched[0], -1);
  Value *args[] = {numbered_in_all(b, index, rows_each), with_rows(b, arg[1], batched[1], -1)};
  Attr attr = attr_int(-rows_each);
  return joined_tables(b, again(b, inst, args, &attr), rows_each);
}

Value *batch_add_rows(Builder *b, Inst *inst, Value *const *arg, const bool *batched) {
  Dim rows = rows_of(inst, arg, batched);
  Value *table = with_rows(b, arg[0], batched[0], rows),
        *index = with_rows(b, arg[1], batched[1], rows);
  Dim rows_each = table->type.dim[1];
  Value *args[] = {joined_tables(b, table, 0), numbered_in_all(b, index, rows_each),
                   with_rows(b, arg[2], batched[2], rows)};
  return joined_tables(b, again(b, inst, args, NULL), rows_each);
}
