// Groups of kind `column`: reductions of [R, C] over R, then what is elementwise over [C]. Rows are
// taken in order, up to 64 columns side by side, one chain of additions per column. Sums of floats
// go in blocks of 64 rows, whose sums are added with what each addition loses: means of a large
// batch are exact to a bit or two.
#include "llvm/gen.h"

enum { MOST_CHUNKS = 4, BLOCK_ROWS = 64 };

typedef struct {
  Reductions all;
  const Type *space;
  Acc *acc;                   // [reduction][chunk]
  LLVMValueRef *total, *lost; // likewise, in memory: of the blocks before
} Columns;

static Acc *acc_at(const Columns *s, uint32_t reduction, uint32_t chunk) {
  return &s->acc[reduction * MOST_CHUNKS + chunk];
}

static LLVMValueRef chunk_start(Kernel *k, LLVMValueRef column, uint32_t chunk) {
  return build_add(k, column, gen_i64(k->g, (int64_t)chunk * LANES));
}

static void add_row(Kernel *k, Columns *s, LLVMValueRef row, LLVMValueRef column, uint32_t chunks,
                    LLVMValueRef *mask) {
  for (uint32_t c = 0; c < chunks; c++) {
    Coord at = coord_at(chunk_start(k, column, c), 1);
    const Pos *pos = pos_matrix(k, s->space, coord_at(row, 0), at, mask[c]);
    for (uint32_t j = 0; j < s->all.n; j++)
      acc_add(k, acc_at(s, j, c), body_value(k, s->all.at[j].inst->arg[0], pos), coord_at(row, 0),
              mask[c]);
  }
}

static void store_columns(Kernel *k, Columns *s, LLVMValueRef column, uint32_t chunk,
                          LLVMValueRef mask) {
  kernel_forget(k);
  for (uint32_t j = 0; j < s->all.n; j++)
    k->anchor[kernel_value_number(k, s->all.at[j].inst->result[0])] =
        acc_lanes(k, acc_at(s, j, chunk));
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  const Pos **pos = arena_array(k->g->arena, const Pos *, n + 1);
  for (uint32_t y = 0; y < n; y++) {
    pos[y] = pos_make(k, &k->yield->arg[y]->type, coord_at(chunk_start(k, column, chunk), 1), mask);
    value[y] = body_value(k, k->yield->arg[y], pos[y]);
  }
  for (uint32_t y = 0; y < n; y++)
    body_store_yield(k, y, value[y], pos[y]);
}

// ---- blocks of rows
// ------------------------------------------------------------------------------

static LLVMValueRef *lanes_in_memory(Kernel *k, uint32_t n) {
  LLVMValueRef *at = arena_array(k->g->arena, LLVMValueRef, n);
  for (uint32_t i = 0; i < n; i++)
    at[i] = gen_alloca(k->g, gen_vector(k->g->f32), 64);
  return at;
}

// Are there blocks, and of this reduction?
static bool sums_blocks(const Columns *s, uint32_t reduction) {
  const Inst *inst = s->all.at[reduction].inst;
  Dim rows = s->space->dim[0];
  return inst->op == OP_sum && inst->arg[0]->type.elem == TY_F32 && (rows < 0 || rows > BLOCK_ROWS);
}

static bool any_blocks(const Columns *s) {
  for (uint32_t j = 0; j < s->all.n; j++)
    if (sums_blocks(s, j))
      return true;
  return false;
}

// total + x and what this loses, exactly (Knuth's two-sum).
static void add_block(Kernel *k, Columns *s, uint32_t at) {
  LLVMBuilderRef b = k->g->b;
  LLVMTypeRef type = gen_vector(k->g->f32);
  LLVMValueRef x = acc_lanes(k, &s->acc[at]).v, total = LLVMBuildLoad2(b, type, s->total[at], "");
  LLVMValueRef sum = LLVMBuildFAdd(b, total, x, ""), part = LLVMBuildFSub(b, sum, total, "");
  LLVMValueRef low = LLVMBuildFSub(b, total, LLVMBuildFSub(b, sum, part, ""), "");
  low = LLVMBuildFAdd(b, low, LLVMBuildFSub(b, x, part, ""), "");
  LLVMValueRef lost = LLVMBuildLoad2(b, type, s->lost[at], "");
  LLVMBuildStore(b, LLVMBuildFAdd(b, lost, low, ""), s->lost[at]);
  LLVMBuildStore(b, sum, s->total[at]);
}

// The sum of all blocks; where that is infinite, what was lost is no number.
static void take_total(Kernel *k, Columns *s, uint32_t at) {
  LLVMBuilderRef b = k->g->b;
  LLVMTypeRef type = gen_vector(k->g->f32);
  LLVMValueRef total = LLVMBuildLoad2(b, type, s->total[at], "");
  LLVMValueRef lost = LLVMBuildLoad2(b, type, s->lost[at], "");
  LLVMValueRef number = LLVMBuildFCmp(b, LLVMRealORD, lost, lost, "");
  LLVMValueRef sum = LLVMBuildFAdd(b, total, lost, "");
  LLVMBuildStore(b, LLVMBuildSelect(b, number, sum, total, ""), s->acc[at].value);
}

typedef void OnBlocks(Kernel *k, Columns *s, uint32_t at);

static void each_blocked(Kernel *k, Columns *s, uint32_t chunks, OnBlocks *act) {
  for (uint32_t j = 0; j < s->all.n; j++)
    for (uint32_t c = 0; sums_blocks(s, j) && c < chunks; c++)
      act(k, s, j * MOST_CHUNKS + c);
}

static void clear_total(Kernel *k, Columns *s, uint32_t at) {
  LLVMValueRef zero = LLVMConstNull(gen_vector(k->g->f32));
  LLVMBuildStore(k->g->b, zero, s->total[at]);
  LLVMBuildStore(k->g->b, zero, s->lost[at]);
}

static void clear_block(Kernel *k, Columns *s, uint32_t at) {
  acc_reset(k, &s->acc[at]);
}

static void add_rows(Kernel *k, Columns *s, LLVMValueRef column, uint32_t chunks,
                     LLVMValueRef *mask) {
  Gen *g = k->g;
  LLVMValueRef n = kernel_dim(k, s->space->dim[0]), from = gen_i64(g, 0), to = n;
  bool blocks = any_blocks(s);
  Loop block;
  if (blocks) {
    each_blocked(k, s, chunks, clear_total);
    block = loop_begin(k, from, n, BLOCK_ROWS);
    each_blocked(k, s, chunks, clear_block);
    from = block.i;
    to = build_min(k, build_add(k, from, gen_i64(g, BLOCK_ROWS)), n);
  }
  Loop rows = loop_begin(k, from, to, 1);
  add_row(k, s, rows.i, column, chunks, mask);
  loop_end(k, &rows);
  if (blocks) {
    each_blocked(k, s, chunks, add_block);
    loop_end(k, &block);
    each_blocked(k, s, chunks, take_total);
  }
}

// -------------------------------------------------------------------------------------------------

// `chunks` times 16 columns from `column` on; columns from `end` on are masked, if it is given.
static void reduce_columns(Kernel *k, Columns *s, LLVMValueRef column, uint32_t chunks,
                           LLVMValueRef end) {
  Gen *g = k->g;
  LLVMValueRef mask[MOST_CHUNKS] = {0};
  for (uint32_t c = 0; c < chunks; c++) {
    if (end)
      mask[c] = lanes_mask(k, LLVMBuildSub(g->b, end, chunk_start(k, column, c), ""));
    for (uint32_t j = 0; j < s->all.n; j++)
      acc_reset(k, acc_at(s, j, c));
  }
  add_rows(k, s, column, chunks, mask);
  for (uint32_t c = 0; c < chunks; c++)
    store_columns(k, s, column, c, mask[c]);
}

// Columns [from, to): blocks of 64, then of 16, the last one masked.
static void all_columns(Kernel *k, Columns *s, LLVMValueRef from, LLVMValueRef to, int64_t tile) {
  Gen *g = k->g;
  int64_t width = s->space->dim[1], block = MOST_CHUNKS * LANES;
  if (width < 0 || width >= block) {
    LLVMValueRef count = LLVMBuildSub(g->b, to, from, "");
    LLVMValueRef blocks = LLVMBuildAnd(g->b, count, gen_i64(g, -block), "");
    LLVMValueRef wide_end = build_add(k, from, blocks);
    if (tile >= block) {
      Loop wide = loop_begin(k, from, wide_end, block);
      reduce_columns(k, s, wide.i, MOST_CHUNKS, NULL);
      loop_end(k, &wide);
      from = wide_end;
    }
  }
  if (width > 0 && width % block == 0 && tile % block == 0)
    return;
  Loop narrow = loop_begin(k, from, to, LANES);
  bool whole = width > 0 && width % LANES == 0;
  reduce_columns(k, s, narrow.i, 1, whole ? NULL : to);
  loop_end(k, &narrow);
}

void kernel_column(Kernel *k) {
  Columns s = {.all = reductions_of(k)};
  if (s.all.n == 0 || s.all.levels != 1)
    ice("codegen: a column group with %u reductions on %u levels", s.all.n, s.all.levels);
  s.space = &s.all.at[0].inst->arg[0]->type;
  if (s.space->rank != 2)
    ice("codegen: a column group of rank %u", s.space->rank);
  s.acc = arena_array(k->g->arena, Acc, s.all.n * MOST_CHUNKS);
  for (uint32_t j = 0; j < s.all.n; j++)
    for (uint32_t c = 0; c < MOST_CHUNKS; c++)
      *acc_at(&s, j, c) = acc_create(k, s.all.at[j].inst);
  s.total = lanes_in_memory(k, s.all.n * MOST_CHUNKS);
  s.lost = lanes_in_memory(k, s.all.n * MOST_CHUNKS);
  int64_t tile = inst_attr(k->group, "tile")->dims[0];
  LLVMValueRef width = kernel_dim(k, s.space->dim[1]), t = gen_i64(k->g, tile);
  LLVMValueRef to = build_min(k, build_mul(k, k->tile1, t), width);
  all_columns(k, &s, build_mul(k, k->tile0, t), to, tile);
}
