// Groups of kind `row` whose rows are short: 16 rows side by side, one per lane, all columns
// unrolled. What is computed once per row (a logarithm, a division) is then computed for 16 rows at
// a time, and no lane is idle. The order of every reduction is that of row.c, element j in lane j
// mod 16 and the same tree, so that both ways give the same bits.
#include "llvm/gen.h"

typedef struct {
  Reductions all;
  const Type *space;
  int64_t width;
  const Pos **column; // the space at each column
} Short;

typedef struct { // one of the 16 running results of row.c, for 16 rows
  EVal value, index;
} Slot;

// ---- one reduction -----------------------------------------------------------------------------

static void take(Kernel *k, const Inst *reduce, Slot *slot, EVal x, int64_t column) {
  Emit *e = k->emit;
  if (reduce->op != OP_argmax) {
    slot->value = op_table[reduce->op]->combine(e, slot->value, x);
    return;
  }
  EVal better = emit_lt(e, slot->value, x);
  slot->value = e->select(e, better, x, slot->value);
  slot->index = e->select(e, better, e->constant(e, TY_I32, (double)column), slot->index);
}

static void join(Kernel *k, const Inst *reduce, Slot *a, const Slot *b) {
  Emit *e = k->emit;
  if (reduce->op != OP_argmax) {
    a->value = op_table[reduce->op]->combine(e, a->value, b->value);
    return;
  }
  EVal first =
      e->binary(e, E_AND, e->binary(e, E_EQ, a->value, b->value), emit_lt(e, b->index, a->index));
  EVal better = e->binary(e, E_OR, emit_lt(e, a->value, b->value), first);
  a->value = e->select(e, better, b->value, a->value);
  a->index = e->select(e, better, b->index, a->index);
}

static EVal reduce_columns(Kernel *k, Short *s, const Inst *reduce) {
  Slot slot[LANES];
  ElemType elem = reduce->arg[0]->type.elem;
  EVal identity = k->emit->constant(k->emit, elem, reduce_identity(reduce));
  for (int i = 0; i < LANES; i++)
    slot[i] = (Slot){identity, k->emit->constant(k->emit, TY_I32, 0)};
  for (int64_t c = 0; c < s->width; c++)
    take(k, reduce, &slot[c % LANES], body_value(k, reduce->arg[0], s->column[c]), c);
  for (int by = LANES / 2; by; by /= 2)
    for (int i = 0; i < by; i++)
      join(k, reduce, &slot[i], &slot[i + by]);
  return reduce->op == OP_argmax ? slot[0].index : slot[0].value;
}

// ---- results -----------------------------------------------------------------------------------

static bool is_of_space(Kernel *k, const Short *s, uint32_t yield) {
  return type_count(&k->yield->arg[yield]->type) == type_count(s->space);
}

// All values first: a result may take the storage of an argument that another one reads.
static void store_column(Kernel *k, Short *s, int64_t c) {
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  const Pos **pos = arena_array(k->g->arena, const Pos *, n + 1);
  for (uint32_t y = 0; y < n; y++)
    if (is_of_space(k, s, y)) {
      const Type *type = &k->yield->arg[y]->type;
      pos[y] = type_same_shape(type, s->space) ? s->column[c] : pos_reshape(k, s->column[c], type);
      value[y] = body_value(k, k->yield->arg[y], pos[y]);
    }
  for (uint32_t y = 0; y < n; y++)
    if (pos[y])
      body_store_yield(k, y, value[y], pos[y]);
}

static void store_rows(Kernel *k, const Short *s, LLVMValueRef row, LLVMValueRef mask) {
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  const Pos **pos = arena_array(k->g->arena, const Pos *, n + 1);
  for (uint32_t y = 0; y < n; y++)
    if (!is_of_space(k, s, y)) {
      pos[y] = pos_make(k, &k->yield->arg[y]->type, coord_at(row, 1), mask);
      value[y] = body_value(k, k->yield->arg[y], pos[y]);
    }
  for (uint32_t y = 0; y < n; y++)
    if (pos[y])
      body_store_yield(k, y, value[y], pos[y]);
}

// Everything is one block of code: what one reduction computes per element the next one finds made.
static void rows_chunk(Kernel *k, void *state, LLVMValueRef row, LLVMValueRef mask) {
  Short *s = state;
  for (uint32_t j = 0; j < s->all.n; j++)
    k->anchor[kernel_value_number(k, s->all.at[j].inst->result[0])] = (EVal){0};
  for (int64_t c = 0; c < s->width; c++)
    s->column[c] = pos_matrix(k, s->space, coord_at(row, 1), coord_at(gen_i64(k->g, c), 0), mask);
  for (uint32_t j = 0; j < s->all.n; j++) {
    const Inst *reduce = s->all.at[j].inst;
    k->anchor[kernel_value_number(k, reduce->result[0])] = reduce_columns(k, s, reduce);
  }
  for (int64_t c = 0; c < s->width; c++)
    store_column(k, s, c);
  store_rows(k, s, row, mask);
}

void kernel_short_row(Kernel *k, const Reductions *all, LLVMValueRef from, LLVMValueRef to) {
  Short s = {.all = *all, .space = &all->at[0].inst->arg[0]->type};
  s.width = s.space->dim[s.space->rank - 1];
  s.column = arena_array(k->g->arena, const Pos *, s.width + 1);
  lanes_loop(k, from, to, rows_chunk, &s);
}

bool row_is_short(Kernel *k, const Type *space) {
  enum { MOST_COLUMNS = 32, MOST_CODE = 1500 };
  Dim width = space->dim[space->rank - 1];
  Type rows = *space;
  rows.rank--;
  Dim count = type_count(&rows);
  return width > 0 && width <= MOST_COLUMNS && (count < 0 || count >= LANES) &&
         width * (Dim)k->n_value <= MOST_CODE;
}
