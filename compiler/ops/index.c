// Rows by number: gather and scatter_add, each the other's transpose; add_rows, the same
// sums added to a table.
#include "ops/batching.h"
#include "ops/rules.h"

#include <string.h>

static const char *expect_index(Module *m, Value *index) {
  if (index->type.elem == TY_I32 || index->type.elem == TY_U8)
    return NULL;
  return words(m, "rows are numbered by i32 or u8, not by %s", type_text(m->arena, &index->type));
}

static int64_t inner_count(const Type *type, uint32_t from) {
  int64_t n = 1;
  for (uint32_t i = from; i < type->rank; i++)
    n *= type->dim[i];
  return n;
}

// ---- gather: dtable = scatter_add(index, dy) ---------------------------------------------------

static const char *type_gather(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  (void)attr;
  const Type *table = &arg[0]->type, *index = &arg[1]->type;
  const char *wrong = expect_index(m, arg[1]);
  if (wrong)
    return wrong;
  if (table->rank == 0)
    return words(m, "%s has no rows", type_text(m->arena, table));
  if (index->range && table->dim[0] >= 0 && index->range > table->dim[0])
    return words(m, "an index below %lld is used on %lld rows", (long long)index->range,
                 (long long)table->dim[0]);
  if (index->rank + table->rank - 1 > MAX_RANK)
    return words(m, "the result would have more than %d dimensions", MAX_RANK);
  *result = *index;
  result->elem = table->elem;
  result->range = table->range;
  result->batched = any_batched(arg, n);
  for (uint32_t i = 1; i < table->rank; i++)
    result->dim[result->rank++] = table->dim[i];
  return NULL;
}

static void grad_gather(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Attr rows = attr_int(inst->arg[0]->type.dim[0]);
  Value *args[] = {inst->arg[1], dres[0]};
  if (grad_wanted(sink, inst, 0))
    grad_add(sink, b, inst, 0, ir_inst(b, OP_scatter_add, args, 2, &rows, 1)->result[0]);
}

// A number that is no row gives NaN: it is seen, and nothing is read outside the table.
static void eval_gather(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  double nothing = elem_is_float(inst->result[0]->type.elem) ? __builtin_nan("") : 0;
  int64_t width = inner_count(&arg[0]->type, 1), rows = arg[0]->type.dim[0];
  for (int64_t i = 0; i < arg[1]->count; i++) {
    int64_t row = (int64_t)arg[1]->at[i];
    for (int64_t k = 0; k < width; k++)
      result[0]->at[i * width + k] = row >= 0 && row < rows ? arg[0]->at[row * width + k] : nothing;
  }
}

OP(gather){
    .name = "gather",
    .doc = "Rows of a table by their numbers: table[index]. A number that is no row gives NaN "
           "(0 where elements are whole).",
    .sig = "table, index",
    .math = "dtable = scatter_add(index, dy)",
    .kind = K_INDEX,
    .example = "f32[5, 3], i32[4]<5> | f32[6], i32[2, 2]<6> | f32[4, 2, 3], u8<4>",
    .type_fn = type_gather,
    .grad = grad_gather,
    .batch = batch_gather,
    .eval = eval_gather,
    .kernel = "gather",
};

// ---- scatter_add: dupdate = gather(dy, index) --------------------------------------------------

static const char *type_scatter_add(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                    Type *result) {
  const Type *index = &arg[0]->type, *update = &arg[1]->type;
  const char *wrong = expect_index(m, arg[0]);
  if (!wrong)
    wrong = expect_number(m, arg[1]);
  if (wrong)
    return wrong;
  Type front = *update;
  front.rank = index->rank;
  if (update->rank < index->rank || !type_same_shape(&front, index))
    return words(m, "there must be one row of %s for each number of %s",
                 type_text(m->arena, update), type_text(m->arena, index));
  *result = unranged(*update);
  result->batched = any_batched(arg, n);
  result->rank = 0;
  result->dim[result->rank++] = attr[0].i;
  for (uint32_t i = index->rank; i < update->rank; i++)
    result->dim[result->rank++] = update->dim[i];
  return NULL;
}

static void grad_scatter_add(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *args[] = {dres[0], inst->arg[0]};
  if (grad_wanted(sink, inst, 1))
    grad_add(sink, b, inst, 1, ir_inst(b, OP_gather, args, 2, NULL, 0)->result[0]);
}

static void eval_scatter_add(const Inst *inst, int64_t n, const Tensor *const *arg,
                             Tensor **result) {
  (void)inst, (void)n;
  int64_t width = inner_count(&arg[1]->type, arg[0]->type.rank), rows = result[0]->type.dim[0];
  memset(result[0]->at, 0, sizeof(double) * (size_t)result[0]->count);
  for (int64_t i = 0; i < arg[0]->count; i++) {
    int64_t row = (int64_t)arg[0]->at[i];
    for (int64_t k = 0; k < width && row >= 0 && row < rows; k++)
      result[0]->at[row * width + k] += arg[1]->at[i * width + k];
  }
}

OP(scatter_add){
    .name = "scatter_add",
    .doc =
        "A table of `rows` rows (-k: k*N of them), zero but for the updates added to the rows that "
        "index names, in order. Numbers that are no row are left out.",
    .sig = "index, update; rows: int",
    .math = "dupdate = gather(dy, index)",
    .kind = K_INDEX,
    .example = "i32[4]<5>, f32[4, 3]; rows=5 | i32[2, 2]<3>, f32[2, 2]; rows=6",
    .type_fn = type_scatter_add,
    .grad = grad_scatter_add,
    .batch = batch_scatter_add,
    .eval = eval_scatter_add,
    .kernel = "scatter_add",
};

// ---- add_rows: dtable = dy, dupdate = gather(dy, index) ----------------------------------------

static const char *type_add_rows(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                 Type *result) {
  (void)attr;
  if (arg[0]->type.rank == 0)
    return words(m, "%s has no rows", type_text(m->arena, &arg[0]->type));
  Attr rows = attr_int(arg[0]->type.dim[0]);
  const char *wrong = type_scatter_add(m, arg + 1, n - 1, &rows, result);
  if (wrong)
    return wrong;
  if (!type_same_shape(&arg[0]->type, result) || arg[0]->type.elem != result->elem)
    return words(m, "rows of %s can't be added to %s", type_text(m->arena, &arg[2]->type),
                 type_text(m->arena, &arg[0]->type));
  result->batched = any_batched(arg, n);
  return NULL;
}

static void grad_add_rows(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *args[] = {dres[0], inst->arg[1]};
  if (grad_wanted(sink, inst, 0))
    grad_add(sink, b, inst, 0, dres[0]);
  if (grad_wanted(sink, inst, 2))
    grad_add(sink, b, inst, 2, ir_inst(b, OP_gather, args, 2, NULL, 0)->result[0]);
}

static void eval_add_rows(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  eval_scatter_add(inst, n, arg + 1, result);
  for (int64_t i = 0; i < result[0]->count; i++)
    result[0]->at[i] += arg[0]->at[i];
}

OP(add_rows){
    .name = "add_rows",
    .doc = "The table with the updates added to the rows that index names, in order. Numbers that "
           "are no row are left out.",
    .sig = "table, index, update",
    .math = "dtable = dy, dupdate = gather(dy, index)",
    .kind = K_INDEX,
    .example = "f32[5, 3], i32[4]<5>, f32[4, 3] | f32[6, 2], i32[2, 2]<6>, f32[2, 2, 2]",
    .type_fn = type_add_rows,
    .grad = grad_add_rows,
    .batch = batch_add_rows,
    .eval = eval_add_rows,
    .kernel = "add_rows",
};

// k is one number for all elements, spread over `like`; NULL if it isn't.
static Value *spread_again(Builder *b, Value *k, const Type *like) {
  double c;
  if (is_splat(k, &c))
    return ir_const(b, unranged(*like), c);
  Inst *spread = made_by(k, OP_broadcast);
  return spread && spread->arg[0]->type.rank == 0 ? ir_broadcast(b, spread->arg[0], NULL, *like)
                                                  : NULL;
}

// table - k * scatter_add(index, update), as gradient descent writes it: where few rows of a
// parameter get a gradient, the others aren't touched.
Value *fold_descent(Builder *b, Inst *sub) {
  enum { BATCH = 128 }; // rows of a batch, where more are rare
  Value *table = sub->arg[0];
  Inst *scaled = made_by(sub->arg[1], OP_mul), *scatter = NULL;
  Value *k = NULL;
  for (uint32_t i = 0; scaled && !scatter && i < 2; i++) {
    scatter = made_by(scaled->arg[i], OP_scatter_add);
    k = scaled->arg[1 - i];
  }
  if (!scatter || table->def || !elem_is_float(table->type.elem))
    return NULL;
  int64_t count = type_count(&scatter->arg[0]->type);
  Value *update = scatter->arg[1], *factor = spread_again(b, k, &update->type);
  if (!factor || (count < 0 ? -count * BATCH : count) > table->type.dim[0])
    return NULL;
  Value *step = negated(b, ir_binary(b, OP_mul, update, factor));
  Value *args[] = {table, scatter->arg[0], step};
  return ir_inst(b, OP_add_rows, args, 3, NULL, 0)->result[0];
}
