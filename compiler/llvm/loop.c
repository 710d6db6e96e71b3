// Groups of kind `loop`: elementwise over one space. Where the body has index maps that tell axes
// apart, and the last axis is long enough for 16 lanes, the loop goes row by row: operands are then
// plain vectors or single numbers. Else it runs over the flat space.
#include "llvm/gen.h"

enum {
  ROWS_FROM = 12, // a last axis of so many elements is worth a loop of its own
  AHEAD = 256,    // elements between a store and the line asked for: measured, as is ROWS_AHEAD
  ROWS_AHEAD = 6,
  FAR = 1 << 17, // elements of a weight that comes from a shared cache or from memory
};

static Dim count_of(const Value *v) {
  return type_count(&v->type);
}

static void store_all(Kernel *k, const Pos *const *pos) {
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  // All values first: a result may take the storage of an argument that another one reads.
  for (uint32_t i = 0; i < n; i++)
    value[i] = body_value(k, k->yield->arg[i], pos[i]);
  for (uint32_t i = 0; i < n; i++)
    body_store_yield(k, i, value[i], pos[i]);
}

// One position for all results of one shape, so that what they share is computed once.
static const Pos *const *yield_positions(Kernel *k, const Pos *first) {
  uint32_t n = k->yield->n_args;
  const Pos **pos = arena_array(k->g->arena, const Pos *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    const Type *type = &k->yield->arg[i]->type;
    for (uint32_t j = 0; j < i && !pos[i]; j++)
      if (type_same_shape(type, &k->yield->arg[j]->type))
        pos[i] = pos[j];
    if (!pos[i])
      pos[i] = i ? pos_reshape(k, first, type) : first;
  }
  return pos;
}

// What is stored here may be in a shared cache, or be written by another core last. Asked for in
// time the lines come in parallel, not one store after the other: a store of 16 numbers is one
// line. Of what another core has only read, see take_chunk.
static void ask_ahead(Kernel *k, LLVMValueRef flat) {
  Gen *g = k->g;
  LLVMValueRef one = LLVMConstInt(g->i32, 1, 0), three = LLVMConstInt(g->i32, 3, 0);
  for (uint32_t y = 0; y < k->yield->n_args; y++) {
    if (k->yield->arg[y]->type.elem != TY_F32)
      continue;
    LLVMValueRef buf = k->buf[k->group->n_args + y];
    LLVMValueRef line = LLVMBuildGEP2(g->b, g->f32, buf, &flat, 1, "");
    gen_intrinsic(g, "llvm.prefetch", &g->ptr, 1, (LLVMValueRef[]){line, one, three, one}, 4);
  }
}

static void flat_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  (void)state;
  const Pos *first = pos_make(k, &k->yield->arg[0]->type, coord_at(i, 1), mask);
  if (!mask)
    ask_ahead(k, build_add(k, i, gen_i64(k->g, AHEAD)));
  store_all(k, yield_positions(k, first));
}

static void row_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  LLVMValueRef *row = state;
  const Pos *first =
      pos_matrix(k, &k->yield->arg[0]->type, coord_at(*row, 0), coord_at(i, 1), mask);
  store_all(k, yield_positions(k, first));
}

// Elements [from, to) of the flat space, row by row.
static void by_rows(Kernel *k, LLVMValueRef from, LLVMValueRef to, LLVMValueRef width) {
  LLVMBuilderRef b = k->g->b;
  LLVMValueRef zero = gen_i64(k->g, 0);
  LLVMValueRef last = LLVMBuildSub(b, build_add(k, to, width), gen_i64(k->g, 1), "");
  Loop loop =
      loop_begin(k, LLVMBuildSDiv(b, from, width, ""), LLVMBuildSDiv(b, last, width, ""), 1);
  LLVMValueRef start = build_mul(k, loop.i, width);
  LLVMValueRef low = gen_intrinsic(k->g, "llvm.smax", &k->g->i64, 1,
                                   (LLVMValueRef[]){LLVMBuildSub(b, from, start, ""), zero}, 2);
  LLVMValueRef high = build_min(k, LLVMBuildSub(b, to, start, ""), width);
  LLVMValueRef row = loop.i;
  lanes_loop(k, low, high, row_chunk, &row);
  loop_end(k, &loop);
}

static bool op_tells_axes(const Inst *inst) {
  switch (inst->op) {
  case OP_broadcast:
    return count_of(inst->arg[0]) != 1;
  case OP_iota:
    return inst->result[0]->type.rank > 1;
  case OP_transpose:
  case OP_slice:
  case OP_reverse:
  case OP_pad:
  case OP_concat:
    return true;
  default:
    return false;
  }
}

static bool wants_rows(Kernel *k) {
  const Type *type = &k->yield->arg[0]->type;
  if (type->rank < 2)
    return false;
  Dim width = type->dim[type->rank - 1];
  bool tells = false;
  for (const Inst *inst = k->body->first; inst; inst = inst->next)
    tells |= op_tells_axes(inst);
  return tells && (width < 0 || width >= ROWS_FROM);
}

typedef struct {
  LLVMValueRef row, column; // the row, and the first column of the tile
} Place;

// Lines of a weight that other cores have read in this step, too, must be taken from them before
// they can be written, which a prefetch doesn't do, only a store: of what stands there anyway.
// Nobody else reads them any more. All of a tile at once, they are half as dear as one by one
// between the roots and divisions of the update.
static void take_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  (void)mask;
  Gen *g = k->g;
  const Place *at = state;
  LLVMValueRef row = build_mul(k, at->row, gen_i64(g, k->yield->arg[0]->type.dim[1]));
  LLVMValueRef flat = build_add(k, row, build_add(k, at->column, i));
  for (uint32_t a = 0; a < k->group->n_args; a++) {
    if (k->read_only[a] || k->group->arg[a]->uses < 2 || k->group->arg[a]->type.elem != TY_F32)
      continue;
    LLVMValueRef line = LLVMBuildGEP2(g->b, g->f32, k->buf[a], &flat, 1, "");
    LLVMValueRef same = LLVMBuildLoad2(g->b, g->i32, line, "");
    LLVMSetVolatile(same, true);
    LLVMSetVolatile(LLVMBuildStore(g->b, same, line), true);
  }
}

static void block_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  const Place *at = state;
  LLVMValueRef column = build_add(k, at->column, i);
  const Type *type = &k->yield->arg[0]->type;
  if (type_count(type) >= FAR) {
    LLVMValueRef below = build_add(k, at->row, gen_i64(k->g, ROWS_AHEAD));
    ask_ahead(k, build_add(k, build_mul(k, below, gen_i64(k->g, type->dim[1])), column));
  }
  const Pos *first =
      pos_matrix(k, &k->yield->arg[0]->type, coord_at(at->row, 0), coord_at(column, 1), mask);
  store_all(k, yield_positions(k, first));
}

// `chunk` for the columns of rows [top, bottom) of a tile.
static void walk_tile(Kernel *k, Place *at, LLVMValueRef top, LLVMValueRef bottom,
                      LLVMValueRef columns, Chunk *chunk) {
  Loop loop = loop_begin(k, top, bottom, 1);
  at->row = loop.i;
  lanes_loop(k, gen_i64(k->g, 0), columns, chunk, at);
  loop_end(k, &loop);
}

// Tiles are blocks of a matrix, as those of the product before: row blocks, then column blocks.
static void by_blocks(Kernel *k, const Type *type, const Attr *tile) {
  LLVMBuilderRef b = k->g->b;
  LLVMValueRef rows = gen_i64(k->g, tile->dims[0]), columns = gen_i64(k->g, tile->dims[1]);
  LLVMValueRef height = gen_i64(k->g, type->dim[0]), width = gen_i64(k->g, type->dim[1]);
  LLVMValueRef down = gen_i64(k->g, (type->dim[0] + tile->dims[0] - 1) / tile->dims[0]);
  Loop tiles = loop_begin(k, k->tile0, k->tile1, 1);
  LLVMValueRef top = build_mul(k, LLVMBuildSRem(b, tiles.i, down, ""), rows);
  LLVMValueRef bottom = build_min(k, build_add(k, top, rows), height);
  Place at = {.column = build_mul(k, LLVMBuildSDiv(b, tiles.i, down, ""), columns)};
  LLVMValueRef left = LLVMBuildSub(b, width, at.column, "");
  bool whole = type->dim[1] % tile->dims[1] == 0;
  LLVMValueRef across = whole ? columns : build_min(k, left, columns);
  if (type_count(type) < FAR)
    walk_tile(k, &at, top, bottom, across, take_chunk);
  walk_tile(k, &at, top, bottom, across, block_chunk);
  loop_end(k, &tiles);
}

void kernel_loop(Kernel *k) {
  const Type *type = &k->yield->arg[0]->type;
  const Attr *tiles = inst_attr(k->group, "tile");
  if (tiles->n == 2) {
    by_blocks(k, type, tiles);
    return;
  }
  LLVMValueRef tile = gen_i64(k->g, tiles->dims[0]), count = kernel_dim(k, type_count(type));
  if (k->n_width || group_is_flat(k->group)) {
    count = kernel_size(k, 0), tile = kernel_size(k, 1);
    if (type_count(type) < 0) // a multiple of the rows
      count = LLVMBuildNeg(k->g->b, build_mul(k, k->n, count), "");
  }
  LLVMValueRef from = build_mul(k, k->tile0, tile);
  LLVMValueRef to = build_min(k, build_mul(k, k->tile1, tile), count);
  if (wants_rows(k))
    by_rows(k, from, to, kernel_dim(k, type->dim[type->rank - 1]));
  else
    lanes_loop(k, from, to, flat_chunk, NULL);
}
