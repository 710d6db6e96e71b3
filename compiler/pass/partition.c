// Tiles follow from shapes alone, never from the number of threads: the same bits for any number.
// Small groups that go through the examples are cut by examples, all alike, so that a chain of them
// (the forward pass of a small network, the turns of a recurrent one) needs no barrier.
#include "pass/partition.h"
#include "nnrt_gemm.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "pass/groups.h"

enum {
  TYPICAL_ROWS = 128,
  LOOP_TILES = 16,    // enough for several threads
  LOOP_LEAST = 2048,  // elements: a tile that is worth being one
  LOOP_MOST = 16384,  // elements: a tile of a few arrays stays in L2
  ROW_WORK = 1024,    // elements of a tile of rows
  COLUMN_WORK = 4096, // elements of a tile of columns
  KERNEL_WORK = 4096,
  IMAGE_WORK = 1024,      // elements of an image that is worth two threads
  TABLE_TILES = 64,       // of add_rows: each reads all numbers of rows, and few name its own
  FILTER_ROWS = 8,        // of a convolution's filter, a tile of its gradient
  EXAMPLES = 16,          // of a tile by examples
  EXAMPLE_MOST = 1024,    // elements of one example: more is worth a barrier
  LOOP_WEIGHTS = 1 << 17, // as NNRT_GEMM_WHOLE, in the body of a scan: half an L2 cache
};

static Dim estimate(Dim d) {
  return d < 0 ? -d * TYPICAL_ROWS : d;
}

static Dim round_up(Dim n, Dim to) {
  return (n + to - 1) / to * to;
}

static Dim loop_tile(Dim count) {
  Dim tile = round_up(estimate(count) / LOOP_TILES, 64);
  return tile < LOOP_LEAST ? LOOP_LEAST : tile > LOOP_MOST ? LOOP_MOST : tile;
}

static Dim row_tile(Dim columns) {
  Dim rows = ROW_WORK / (estimate(columns) ? estimate(columns) : 1);
  return rows < 1 ? 1 : rows >= 16 ? rows / 16 * 16 : rows;
}

static Dim column_tile(Dim rows) {
  Dim columns = COLUMN_WORK / (estimate(rows) ? estimate(rows) : 1);
  return columns < 16 ? 16 : columns > 1024 ? 1024 : columns / 16 * 16;
}

// Rows of pixels: as many as are work enough, but an image in at least two pieces, all alike, as
// convolutions are cut (nnrt_direct.h): of a single image a thread reads what it has made itself.
// A store to a line that another core has read costs more than the work on it.
static Dim image_tile(const Type *image, Dim width) {
  Dim all = image->dim[1], most = KERNEL_WORK / width;
  Dim pieces = most < 1 ? all : (all + most - 1) / most;
  if (pieces < 2 && all * width >= IMAGE_WORK)
    pieces = 2;
  return pieces < 2 ? KERNEL_WORK / width * width : (all + pieces - 1) / pieces * width;
}

// Whole rows of the result: gather and scatter_add work by row, those of images by rows of pixels.
// An element of a filter is a sum over all pixels: a few rows of features are work enough.
static Dim kernel_tile(const Inst *inst) {
  const Type *result = &inst->result[0]->type;
  Dim width = result->rank > 1 ? result->dim[result->rank - 1] : 1;
  bool image = op_table[inst->op]->kind == K_WINDOW;
  if (makes_filter(inst))
    return width > 0 ? FILTER_ROWS * width : KERNEL_WORK;
  if (image || inst->op == OP_sample || inst->op == OP_sample_add)
    width *= result->dim[2];
  if (width <= 0)
    width = 1;
  if (image && result->dim[1] > 0)
    return image_tile(result, width);
  if (inst->op == OP_add_rows)
    return width * round_up(estimate(result->dim[0]), TABLE_TILES) / TABLE_TILES;
  return width >= KERNEL_WORK ? width : KERNEL_WORK / width * width;
}

// ---- by examples --------------------------------------------------------------------------------

// Elements of a value that belong to one example: they are neighbours. 0: it isn't per example.
static Dim per_example(const Type *type) {
  Dim count = type_count(type);
  return count < 0 ? -count : 0;
}

static bool all_per_example(const Inst *group) {
  for (uint32_t i = 0; i < group->n_results; i++)
    if (!per_example(&group->result[i]->type))
      return false;
  return true;
}

static Partition by_examples(Dim tile, Dim columns, uint32_t n) {
  return (Partition){PART_ROWS, {tile, columns}, n, EXAMPLES, 0};
}

// True if the group is cut by examples.
static bool cut_by_examples(const Inst *group, const GroupShape *s, bool in_loop, Partition *p) {
  KernelTiles own;
  if (!all_per_example(group) || s->kind == G_COLUMN || s->rows >= 0 ||
      (s->anchor && kernel_tiles(s->anchor, &own)))
    return false;
  Dim each = -s->rows; // rows of the space that belong to one example
  switch (s->kind) {
  case G_DOT: {
    bool small = s->batch == 1 && s->columns > 0 && s->depth > 0 &&
                 s->columns * s->depth <= (in_loop ? LOOP_WEIGHTS : NNRT_GEMM_WHOLE);
    // All columns in one tile, in whole strips of the kernel.
    *p = by_examples(EXAMPLES * each, s->columns <= 16 ? 16 : round_up(s->columns, 32), 2);
    return small && each * (s->columns + s->depth) <= EXAMPLE_MOST;
  }
  case G_ROW:
    *p = by_examples(EXAMPLES * each, 0, 1);
    return s->columns > 0 && each * s->columns <= EXAMPLE_MOST;
  default:
    *p = by_examples(EXAMPLES * each, 0, 1);
    return each <= EXAMPLE_MOST;
  }
}

// ---- by blocks ----------------------------------------------------------------------------------

// The product whose gradient of a weight this loop works on, if it is a loop over one: NULL if not.
// Such an update takes the product's tiles: a thread then updates what it has just made, and
// neither weights nor optimizer state wander from one core's cache to the other's.
static const Inst *product_before(const Inst *loop) {
  const Type *space = &loop->result[0]->type;
  if (space->rank != 2 || space->dim[0] < 0 || space->dim[1] < 0)
    return NULL;
  for (uint32_t i = 0; i < loop->n_results; i++)
    if (!type_same_shape(&loop->result[i]->type, space))
      return NULL;
  for (uint32_t i = 0; i < loop->n_args; i++) {
    const Inst *def = loop->arg[i]->def;
    if (def && def->op == OP_group && group_kind(def) == G_DOT &&
        type_same_shape(&loop->arg[i]->type, space))
      return def;
  }
  return NULL;
}

static Partition by_blocks(const GroupShape *s) {
  NnrtGemmTile t = nnrt_gemm_tile(s->rows, s->columns, s->depth, s->packed);
  bool matrix = s->batch == 1 && s->rows >= 0 && s->columns >= 0;
  return (Partition){matrix ? PART_BLOCKS : PART_OTHER, {t.rows, t.cols}, 2, s->rows, s->columns};
}

// -------------------------------------------------------------------------------------------------

static Partition by_neighbours(Dim tile) {
  return (Partition){PART_OTHER, {tile, 0}, 1, 0, 0};
}

Partition partition_of(const Inst *group, bool in_loop) {
  GroupShape s = group_shape(group);
  Partition p;
  if (cut_by_examples(group, &s, in_loop, &p))
    return p;
  switch (s.kind) {
  case G_LOOP: {
    const Inst *product = product_before(group);
    return product ? partition_of(product, in_loop) : by_neighbours(loop_tile(s.rows));
  }
  case G_ROW:
    return by_neighbours(row_tile(s.columns));
  case G_COLUMN:
    return by_neighbours(column_tile(s.rows));
  case G_DOT:
    return by_blocks(&s);
  case G_KERNEL:
    return by_neighbours(kernel_tile(s.anchor));
  case G_SCAN:
    break;
  }
  ice("a group of no kind");
}

bool partition_equal(const Partition *a, const Partition *b) {
  if (a->kind != b->kind || a->rows != b->rows || a->columns != b->columns)
    return false;
  bool blocks = a->kind == PART_BLOCKS && a->tile[0] == b->tile[0] && a->tile[1] == b->tile[1];
  return a->kind == PART_ROWS || blocks;
}

// ---- what a tile reads --------------------------------------------------------------------------

// Does axis 0 of the argument become axis 0 of the result, whole and in order?
static bool keeps_first_axis(const Inst *inst) {
  const Type *from = &inst->arg[0]->type, *to = &inst->result[0]->type;
  if (from->rank == 0 || to->rank == 0 || from->dim[0] >= 0 || from->dim[0] != to->dim[0])
    return false;
  switch (inst->op) {
  case OP_broadcast:
    return inst_attr(inst, "axes")->dims[0] == 0;
  case OP_transpose:
    return inst_attr(inst, "perm")->dims[0] == 0;
  case OP_reverse:
  case OP_concat:
    return inst_attr(inst, "axis")->i != 0;
  default: // slice, pad: the axis would have become shorter or longer
    return true;
  }
}

// Is what this operation makes of an example made of that example alone? `first`, `others`: does it
// read by its first argument, by another one?
static bool stays_in_example(const Inst *inst, bool first, bool others) {
  switch (op_table[inst->op]->kind) {
  case K_ELEM:
  case K_SOURCE:
    return true;
  case K_SHAPE:
    return inst->op == OP_reshape || keeps_first_axis(inst);
  case K_REDUCE:
    return per_example(&inst->result[0]->type) && !group_reduces_columns(inst);
  case K_CONTRACT: // [M, K] x [K, N], M per example
    return inst->arg[0]->type.dim[0] < 0 && inst_attr(inst, "ca")->dims[0] == 1 && !others;
  case K_INDEX:
    return inst->op == OP_gather && per_example(&inst->result[0]->type) && !first;
  case K_WINDOW: // of images, by a filter that is the same for all
    return inst->result[0]->type.dim[0] < 0 &&
           ((inst->op != OP_conv && inst->op != OP_winograd) || !others);
  case K_RANDOM:
    return per_example(&inst->result[0]->type) != 0;
  case K_CONTROL:
    return inst->op == OP_yield;
  }
  return false;
}

// Values that depend on region argument `arg` get the id 1 (order in the body is order of use).
bool partition_reads_own(const Inst *group, const Partition *p, uint32_t arg) {
  const Region *body = group->body;
  if (p->kind == PART_ROWS && !per_example(&group->arg[arg]->type))
    return false;
  for (uint32_t i = 0; i < body->n_arg; i++)
    body->arg[i]->id = i == arg;
  for (const Inst *i = body->first; i; i = i->next) {
    bool first = i->n_args && i->arg[0]->id, others = false;
    for (uint32_t k = 1; k < i->n_args; k++)
      others |= i->arg[k]->id != 0;
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->id = first || others;
    bool element = op_table[i->op]->kind == K_ELEM || i->op == OP_yield;
    bool own = p->kind == PART_ROWS ? stays_in_example(i, first, others) : element;
    if ((first || others) && !own)
      return false;
  }
  return true;
}

// ---- turns of a scan ----------------------------------------------------------------------------

static bool is_one_phase(const Region *body) {
  const Inst *first = NULL;
  for (const Inst *i = body->first; i; i = i->next) {
    if (i->op == OP_scan)
      return false;
    if (i->op != OP_group)
      continue;
    first = first ? first : i;
    if (inst_attr(i, "phase")->i != inst_attr(first, "phase")->i)
      return false;
  }
  return true;
}

// Do all that read the carry take only what they will have made themselves in the turn before?
static bool carry_stays(const Region *body, uint32_t carry) {
  const Inst *maker = body->last->arg[carry]->def;
  if (!maker || maker->op != OP_group)
    return false;
  Partition made = partition_of(maker, true);
  for (const Inst *i = body->first; i; i = i->next)
    for (uint32_t k = 0; i->op == OP_group && k < i->n_args; k++) {
      if (i->arg[k] != body->arg[carry])
        continue;
      Partition p = partition_of(i, true);
      if (!partition_equal(&made, &p) || !partition_reads_own(i, &p, k))
        return false;
    }
  return true;
}

bool scan_needs_barrier(const Inst *scan) {
  if (!is_one_phase(scan->body))
    return true;
  uint32_t carries = scan_shape(scan).carries;
  for (uint32_t i = 0; i < carries; i++)
    if (!carry_stays(scan->body, i))
      return true;
  return false;
}
