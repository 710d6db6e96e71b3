// Where 16 lanes are in a tensor, and how a position in a result becomes one in an operand. A
// position is a list of blocks of neighbouring axes, each with one flat coordinate: `reshape` only
// regroups them, so that a chain of reshapes, broadcasts and transposes ends in a plain load with
// stride 1 or 0 wherever that is possible. Coordinates that don't step evenly from lane to lane
// become a vector.
#include "llvm/gen.h"

Coord coord_at(LLVMValueRef base, int64_t step) {
  return (Coord){base, step, NULL};
}

static Coord coord_zero(Kernel *k) {
  return coord_at(gen_i64(k->g, 0), 0);
}

static LLVMValueRef splat_i32(Kernel *k, int64_t value) {
  return gen_splat(k->g, gen_i32(k->g, value));
}

LLVMValueRef coord_lanes(Kernel *k, Coord a) {
  if (a.lane)
    return a.lane;
  return LLVMBuildMul(k->g->b, gen_iota(k->g), splat_i32(k, a.step), "");
}

Coord coord_add(Kernel *k, Coord a, Coord b) {
  Coord sum = coord_at(build_add(k, a.base, b.base), a.step + b.step);
  if (a.lane || b.lane)
    sum.lane = LLVMBuildAdd(k->g->b, coord_lanes(k, a), coord_lanes(k, b), "");
  return sum;
}

Coord coord_scale(Kernel *k, Coord a, Dim by) {
  LLVMValueRef factor = kernel_dim(k, by);
  Coord c = coord_at(build_mul(k, a.base, factor), by >= 0 ? a.step * by : 0);
  if (a.lane || (a.step && by < 0)) {
    LLVMValueRef f = gen_splat(k->g, LLVMBuildTrunc(k->g->b, factor, k->g->i32, ""));
    c.lane = LLVMBuildMul(k->g->b, coord_lanes(k, a), f, "");
  }
  return c;
}

// ---- division: one flat coordinate into two ----------------------------------------------------

static bool is_uniform(Coord a) {
  return a.step == 0 && !a.lane;
}

// Rounded down, the remainder not negative: positions outside (masked) may be negative.
static void divide_scalar(Kernel *k, LLVMValueRef x, LLVMValueRef d, LLVMValueRef *q,
                          LLVMValueRef *r) {
  LLVMBuilderRef b = k->g->b;
  LLVMValueRef quotient = LLVMBuildSDiv(b, x, d, ""), rest = LLVMBuildSRem(b, x, d, "");
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x));
  LLVMValueRef below = LLVMBuildICmp(b, LLVMIntSLT, rest, zero, "");
  *r = LLVMBuildAdd(b, rest, LLVMBuildSelect(b, below, d, zero, ""), "");
  *q = LLVMBuildAdd(b, quotient, LLVMBuildSExt(b, below, LLVMTypeOf(x), ""), "");
}

// (base + lane) / d = base / d + (base % d + lane) / d: the lanes need only 32 bits.
static void divide(Kernel *k, Coord a, Dim by, Coord *q, Coord *r) {
  Gen *g = k->g;
  LLVMValueRef d = kernel_dim(k, by), rest;
  *q = *r = coord_zero(k);
  divide_scalar(k, a.base, d, &q->base, &rest);
  if (is_uniform(a)) {
    r->base = rest;
    return;
  }
  LLVMValueRef rest32 = gen_splat(g, LLVMBuildTrunc(g->b, rest, g->i32, ""));
  LLVMValueRef d32 = gen_splat(g, LLVMBuildTrunc(g->b, d, g->i32, ""));
  LLVMValueRef x = LLVMBuildAdd(g->b, rest32, coord_lanes(k, a), "");
  if (!a.lane && a.step > 0) {
    q->lane = LLVMBuildUDiv(g->b, x, d32, "");
    r->lane = LLVMBuildURem(g->b, x, d32, "");
  } else {
    divide_scalar(k, x, d32, &q->lane, &r->lane);
  }
}

// ---- positions ---------------------------------------------------------------------------------

static Dim dims_product(const Dim *dim, uint32_t first, uint32_t end) {
  Dim p = 1;
  for (uint32_t i = first; i < end; i++) {
    if (p < 0 && dim[i] < 0)
      ice("a dimension of N times N");
    p *= dim[i];
  }
  return p;
}

static Dim block_count(const Pos *pos, const Block *b) {
  return dims_product(pos->dim, b->first, b->end);
}

Coord pos_flat(Kernel *k, const Pos *pos) {
  if (pos->has_flat)
    return pos->flat;
  Coord at = pos->block[0].at;
  for (uint32_t i = 1; i < pos->n_block; i++)
    at = coord_add(k, coord_scale(k, at, block_count(pos, &pos->block[i])), pos->block[i].at);
  return at;
}

// Cuts the block that holds `axis` in two before it.
static void split_before(Kernel *k, Pos *pos, uint32_t axis) {
  uint32_t i = 0;
  while (i < pos->n_block && pos->block[i].end <= axis)
    i++;
  if (i == pos->n_block || pos->block[i].first == axis)
    return;
  if (!pos->has_flat) { // simpler now than from the parts
    pos->flat = pos_flat(k, pos);
    pos->has_flat = true;
  }
  for (uint32_t j = pos->n_block++; j > i; j--)
    pos->block[j] = pos->block[j - 1];
  Block *left = &pos->block[i], *right = left + 1;
  Coord at = left->at;
  left->end = right->first = axis;
  if (block_count(pos, left) == 1)
    left->at = coord_zero(k);
  else if (block_count(pos, right) == 1)
    right->at = coord_zero(k);
  else
    divide(k, at, block_count(pos, right), &left->at, &right->at);
}

Coord pos_axis(Kernel *k, Pos *pos, uint32_t axis) {
  split_before(k, pos, axis);
  split_before(k, pos, axis + 1);
  for (uint32_t i = 0; i < pos->n_block; i++)
    if (pos->block[i].first == axis)
      return pos->block[i].at;
  ice("a position has no axis %u", axis);
}

static Pos *pos_empty(Kernel *k, const Type *type, LLVMValueRef mask) {
  Pos *pos = arena_new(k->g->arena, Pos);
  pos->rank = type->rank;
  for (uint32_t i = 0; i < type->rank; i++)
    pos->dim[i] = type->dim[i];
  pos->mask = mask;
  return pos;
}

static void add_block(Pos *pos, uint32_t first, uint32_t end, Coord at) {
  pos->block[pos->n_block++] = (Block){first, end, at};
}

Pos *pos_make(Kernel *k, const Type *type, Coord at, LLVMValueRef mask) {
  Pos *pos = pos_empty(k, type, mask);
  add_block(pos, 0, pos->rank, at);
  return pos;
}

Pos *pos_matrix(Kernel *k, const Type *type, Coord row, Coord column, LLVMValueRef mask) {
  Pos *pos = pos_empty(k, type, mask);
  add_block(pos, 0, pos->rank - 1u, row);
  add_block(pos, pos->rank - 1u, pos->rank, column);
  return pos;
}

// Is a the smaller count? One with N in it counts as the greater.
static bool smaller(Dim a, Dim b) {
  if ((a < 0) != (b < 0))
    return a >= 0;
  return (a < 0 ? -a : a) < (b < 0 ? -b : b);
}

// One block of `to` from blocks of `from`, starting at *i and at axis *j of `to`: the shortest runs
// of equal count.
static void regroup(Kernel *k, const Pos *from, uint32_t *i, Pos *to, uint32_t *j) {
  const Block *b = &from->block[(*i)++];
  Coord at = b->at;
  Dim have = block_count(from, b), want = 1;
  uint32_t first = *j;
  while (have != want) {
    if (smaller(have, want)) {
      if (*i == from->n_block)
        ice("a reshape changes the number of elements");
      b = &from->block[(*i)++];
      at = coord_add(k, coord_scale(k, at, block_count(from, b)), b->at);
      have *= block_count(from, b);
    } else {
      if (*j == to->rank)
        ice("a reshape changes the number of elements");
      want *= to->dim[(*j)++];
    }
  }
  while (*j < to->rank && to->dim[*j] == 1)
    (*j)++;
  if (*j > first)
    add_block(to, first, *j, at);
}

Pos *pos_reshape(Kernel *k, const Pos *pos, const Type *type) {
  Pos *to = pos_empty(k, type, pos->mask);
  uint32_t i = 0, j = 0;
  while (i < pos->n_block)
    regroup(k, pos, &i, to, &j);
  if (j < to->rank)
    add_block(to, j, to->rank, coord_zero(k));
  if (to->n_block == 0)
    add_block(to, 0, 0, coord_zero(k));
  return to;
}

// Does a block of pos start at axes[i] and run on as axes[i+1], ... do? Returns how many axes, or
// 0.
static uint32_t same_run(const Pos *pos, const uint32_t *axes, uint32_t i, uint32_t n, Coord *at) {
  for (uint32_t j = 0; j < pos->n_block; j++) {
    const Block *b = &pos->block[j];
    uint32_t length = b->end - b->first;
    if (b->first != axes[i] || length == 0 || i + length > n)
      continue;
    uint32_t m = 1;
    while (m < length && axes[i + m] == b->first + m)
      m++;
    *at = b->at;
    return m == length ? m : 0;
  }
  return 0;
}

Pos *pos_select_axes(Kernel *k, Pos *pos, const Type *type, const uint32_t *axes) {
  Pos *to = pos_empty(k, type, pos->mask);
  for (uint32_t i = 0; i < type->rank;) {
    Coord at;
    uint32_t m = same_run(pos, axes, i, type->rank, &at);
    if (m == 0) {
      at = pos_axis(k, pos, axes[i]);
      m = 1;
    }
    bool spread = m == 1 && type->dim[i] == 1;
    add_block(to, i, i + m, spread ? coord_zero(k) : at);
    i += m;
  }
  if (to->n_block == 0)
    add_block(to, 0, 0, coord_zero(k));
  return to;
}

Pos *pos_with_axis(Kernel *k, Pos *pos, const Type *type, uint32_t axis, Coord at) {
  pos_axis(k, pos, axis);
  Pos *to = arena_new(k->g->arena, Pos);
  *to = *pos;
  to->has_flat = false;
  for (uint32_t i = 0; i < type->rank; i++)
    to->dim[i] = type->dim[i];
  for (uint32_t i = 0; i < to->n_block; i++)
    if (to->block[i].first == axis)
      to->block[i].at = at;
  return to;
}

Coord coord_clamp(Kernel *k, Coord a, Dim dim) {
  if (!is_uniform(a))
    return a;
  Gen *g = k->g;
  LLVMValueRef last = LLVMBuildSub(g->b, kernel_dim(k, dim), gen_i64(g, 1), "");
  LLVMValueRef low =
      gen_intrinsic(g, "llvm.smax", &g->i64, 1, (LLVMValueRef[]){a.base, gen_i64(g, 0)}, 2);
  return coord_at(build_min(k, low, last), 0);
}

// base + lane >= limit, without 64-bit vectors: lane >= limit - base.
LLVMValueRef coord_less(Kernel *k, Coord a, LLVMValueRef limit) {
  Gen *g = k->g;
  if (is_uniform(a))
    return gen_splat(g, LLVMBuildICmp(g->b, LLVMIntSLT, a.base, limit, ""));
  LLVMValueRef left = LLVMBuildSub(g->b, limit, a.base, "");
  int64_t most = INT32_MAX;
  left = build_min(k, left, gen_i64(g, most));
  left = gen_intrinsic(g, "llvm.smax", &g->i64, 1, (LLVMValueRef[]){left, gen_i64(g, -most)}, 2);
  LLVMValueRef left32 = gen_splat(g, LLVMBuildTrunc(g->b, left, g->i32, ""));
  return LLVMBuildICmp(g->b, LLVMIntSLT, coord_lanes(k, a), left32, "");
}
