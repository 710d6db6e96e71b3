// Groups of kind `row`: reductions of [R, C] over C, and what is elementwise over [R, C] or [R]
// around them. Each row is gone over once per level of reductions that wait for one another
// (softmax: the greatest, then the sum), then once for the results; in between nothing is stored. A
// short row of known length is straight-line code, in which LLVM keeps the values of one pass for
// the next.
#include "llvm/gen.h"

typedef struct {
  LLVMValueRef row;
  Reductions all;
  Acc *acc;
  uint32_t level;
} Row;

static const Type *space_of(const Row *s) {
  return &s->all.at[0].inst->arg[0]->type;
}

static void reduce_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  Row *s = state;
  Coord column = coord_at(i, 1);
  const Pos *pos = pos_matrix(k, space_of(s), coord_at(s->row, 0), column, mask);
  for (uint32_t j = 0; j < s->all.n; j++)
    if (s->all.at[j].level == s->level)
      acc_add(k, &s->acc[j], body_value(k, s->all.at[j].inst->arg[0], pos), column, mask);
}

static bool is_of_space(Kernel *k, const Row *s, uint32_t yield) {
  return type_count(&k->yield->arg[yield]->type) == type_count(space_of(s));
}

static void store_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  Row *s = state;
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  const Pos *space = pos_matrix(k, space_of(s), coord_at(s->row, 0), coord_at(i, 1), mask), **pos;
  pos = arena_array(k->g->arena, const Pos *, n + 1);
  for (uint32_t y = 0; y < n; y++)
    if (is_of_space(k, s, y)) {
      const Type *type = &k->yield->arg[y]->type;
      pos[y] = type_same_shape(type, space_of(s)) ? space : pos_reshape(k, space, type);
      value[y] = body_value(k, k->yield->arg[y], pos[y]);
    }
  for (uint32_t y = 0; y < n; y++)
    if (pos[y])
      body_store_yield(k, y, value[y], pos[y]);
}

// All values before the first store: it may be in place of what another one reads.
static void store_row_results(Kernel *k, const Row *s) {
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  const Pos **pos = arena_array(k->g->arena, const Pos *, n + 1);
  for (uint32_t y = 0; y < n; y++)
    if (!is_of_space(k, s, y)) {
      pos[y] = pos_make(k, &k->yield->arg[y]->type, coord_at(s->row, 0), NULL);
      value[y] = body_value(k, k->yield->arg[y], pos[y]);
    }
  for (uint32_t y = 0; y < n; y++)
    if (pos[y])
      body_store_yield(k, y, value[y], pos[y]);
}

static bool has_space_results(Kernel *k, const Row *s) {
  for (uint32_t y = 0; y < k->yield->n_args; y++)
    if (is_of_space(k, s, y))
      return true;
  return false;
}

static void reduce_level(Kernel *k, Row *s, LLVMValueRef width) {
  for (uint32_t j = 0; j < s->all.n; j++)
    if (s->all.at[j].level == s->level)
      acc_reset(k, &s->acc[j]);
  lanes_loop(k, gen_i64(k->g, 0), width, reduce_chunk, s);
  for (uint32_t j = 0; j < s->all.n; j++)
    if (s->all.at[j].level == s->level)
      k->anchor[kernel_value_number(k, s->all.at[j].inst->result[0])] = acc_across(k, &s->acc[j]);
}

void kernel_row(Kernel *k) {
  Row s = {.all = reductions_of(k)};
  if (s.all.n == 0)
    ice("codegen: a row group without a reduction");
  const Type *space = space_of(&s);
  LLVMValueRef width = kernel_dim(k, space->dim[space->rank - 1]);
  Type rows_type = *space;
  rows_type.rank--;
  LLVMValueRef rows = kernel_dim(k, type_count(&rows_type));
  LLVMValueRef tile = gen_i64(k->g, inst_attr(k->group, "tile")->dims[0]);
  LLVMValueRef to = build_min(k, build_mul(k, k->tile1, tile), rows);
  LLVMValueRef from = build_mul(k, k->tile0, tile);
  if (row_is_short(k, space)) {
    kernel_short_row(k, &s.all, from, to);
    return;
  }
  s.acc = arena_array(k->g->arena, Acc, s.all.n);
  for (uint32_t j = 0; j < s.all.n; j++)
    s.acc[j] = acc_create(k, s.all.at[j].inst);
  Loop loop = loop_begin(k, from, to, 1);
  s.row = loop.i;
  for (s.level = 1; s.level <= s.all.levels; s.level++)
    reduce_level(k, &s, width);
  if (has_space_results(k, &s))
    lanes_loop(k, gen_i64(k->g, 0), width, store_chunk, &s);
  kernel_forget(k);
  store_row_results(k, &s);
  loop_end(k, &loop);
}
