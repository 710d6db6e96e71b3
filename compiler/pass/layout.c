// does:   rewrites products to matrices (rank 2, or 3 with one batch axis) and reductions to rows
//         or columns of a matrix; splits reductions and gradients of filters that would have too
//         few output tiles
// needs:  batched IR without composites
// leaves: every dot [B, M, K] x [B, K, N] or its transposes; every reduction of [R, C] along one
//         axis
// cost:   linear, but for the replacement of each rewritten value
#include "ops/conv.h"
#include "ops/op.h"
#include "pass/affine.h"
#include "pass/indexmap.h"
#include "pass/scans.h"

#include <stdlib.h>
#include <string.h>

enum {
  LONG_ROW = 16384, // elements: a constant reduction longer than this is cut into pieces
  LONG_COLUMN = 1024,
  FEW_COLUMNS = 512, // under 32 tiles of 16
};

static Dim product(const Dim *dim, uint32_t n) {
  Dim p = 1;
  for (uint32_t i = 0; i < n; i++)
    p = dim_mul(p, dim[i]);
  return p;
}

// Through reshapes: two in a row are one.
static Value *reshaped(Builder *b, Value *x, const Dim *dim, uint32_t rank) {
  while (x->def && x->def->op == OP_reshape)
    x = x->def->arg[0];
  return ir_reshape(b, x, dim, rank);
}

// ---- products -----------------------------------------------------------------------------------

typedef struct { // one side of a product
  Value *v;
  uint32_t batch, n_contract, n_free;
  uint32_t contract[MAX_RANK], free[MAX_RANK]; // axes
  bool contract_first;
} Side;

static bool contains(const uint32_t *axes, uint32_t n, uint32_t axis) {
  for (uint32_t i = 0; i < n; i++)
    if (axes[i] == axis)
      return true;
  return false;
}

static Side side_of(Value *v, const Attr *contract, uint32_t batch) {
  Side s = {.v = v, .batch = batch, .n_contract = contract->n};
  for (uint32_t i = 0; i < contract->n; i++)
    s.contract[i] = (uint32_t)contract->dims[i];
  for (uint32_t i = batch; i < v->type.rank; i++)
    if (!contains(s.contract, s.n_contract, i))
      s.free[s.n_free++] = i;
  return s;
}

// Are the axes from .. from+n-1, in order?
static bool is_run(const uint32_t *axes, uint32_t n, uint32_t from) {
  for (uint32_t i = 0; i < n; i++)
    if (axes[i] != from + i)
      return false;
  return true;
}

static void transpose_side(Builder *b, Side *s) {
  uint32_t perm[MAX_RANK], n = 0;
  for (uint32_t i = 0; i < s->batch; i++)
    perm[n++] = i;
  for (uint32_t i = 0; i < s->n_free; i++)
    perm[n++] = s->free[i];
  for (uint32_t i = 0; i < s->n_contract; i++)
    perm[n++] = s->contract[i];
  s->v = ir_transpose(b, s->v, perm);
  for (uint32_t i = 0; i < s->n_free; i++)
    s->free[i] = s->batch + i;
  for (uint32_t i = 0; i < s->n_contract; i++)
    s->contract[i] = s->batch + s->n_free + i;
}

static Dim axes_product(const Value *v, const uint32_t *axes, uint32_t n) {
  Dim p = 1;
  for (uint32_t i = 0; i < n; i++)
    p = dim_mul(p, v->type.dim[axes[i]]);
  return p;
}

// The side as [B, free, contracted] or [B, contracted, free]; no B if there are no batch axes.
static void canonical_side(Builder *b, Side *s, bool prefer_contract_first) {
  uint32_t first = s->batch;
  bool free_first =
      is_run(s->free, s->n_free, first) && is_run(s->contract, s->n_contract, first + s->n_free);
  s->contract_first = is_run(s->contract, s->n_contract, first) &&
                      is_run(s->free, s->n_free, first + s->n_contract);
  if (!free_first && !s->contract_first)
    transpose_side(b, s);
  if (free_first && s->contract_first) // one of the two is empty
    s->contract_first = prefer_contract_first;
  Dim dims[3], batch = product(s->v->type.dim, s->batch);
  Dim free = axes_product(s->v, s->free, s->n_free);
  Dim contract = axes_product(s->v, s->contract, s->n_contract);
  uint32_t n = 0;
  if (s->batch)
    dims[n++] = batch;
  dims[n++] = s->contract_first ? contract : free;
  dims[n++] = s->contract_first ? free : contract;
  s->v = reshaped(b, s->v, dims, n);
}

// Both lists of contracted axes in the order that a has them in memory.
static void sort_contracted(Side *a, Side *b) {
  for (uint32_t i = 1; i < a->n_contract; i++)
    for (uint32_t k = i; k > 0 && a->contract[k - 1] > a->contract[k]; k--) {
      uint32_t x = a->contract[k], y = b->contract[k];
      a->contract[k] = a->contract[k - 1], b->contract[k] = b->contract[k - 1];
      a->contract[k - 1] = x, b->contract[k - 1] = y;
    }
}

static Value *layout_dot(Builder *b, Inst *dot) {
  uint32_t batch = (uint32_t)inst_attr(dot, "batch")->i;
  Side x = side_of(dot->arg[0], inst_attr(dot, "ca"), batch);
  Side y = side_of(dot->arg[1], inst_attr(dot, "cb"), batch);
  sort_contracted(&x, &y);
  canonical_side(b, &x, false);
  canonical_side(b, &y, true);
  uint32_t lead = batch ? 1 : 0;
  uint32_t ca = lead + !x.contract_first, cb = lead + !y.contract_first;
  if (x.v == dot->arg[0] && y.v == dot->arg[1] && batch <= 1)
    return NULL;
  Value *v = ir_dot(b, x.v, y.v, &ca, &cb, 1, lead);
  return ir_reshape(b, v, dot->result[0]->type.dim, dot->result[0]->type.rank);
}

// ---- reductions ---------------------------------------------------------------------------------

typedef struct {
  Inst *inst;
  bool splits;         // a reduction of partial results gives the same: all but argmax
  uint32_t axes, kept; // bit i: axis i goes, stays; axes of length 1 are in neither
  uint32_t rank;
} Reduce;

// The place of the attribute `axes`; argmax has none: it goes along the last axis.
static uint32_t axes_attr(Module *m, Op op) {
  const AttrSig *sig;
  uint32_t n = op_attrs(m, op, &sig), i = 0;
  while (i < n && strcmp(sig[i].name, "axes") != 0)
    i++;
  return i;
}

static Reduce reduce_of(Builder *b, Inst *inst) {
  Reduce r = {.inst = inst};
  const Type *type = &inst->arg[0]->type;
  uint32_t which = axes_attr(b->m, inst->op);
  r.rank = type->rank;
  r.splits = which < inst->n_attrs;
  if (r.splits)
    for (uint32_t i = 0; i < inst->attr[which].n; i++)
      r.axes |= 1u << inst->attr[which].dims[i];
  else
    r.axes = 1u << (r.rank - 1);
  r.kept = ((1u << r.rank) - 1) & ~r.axes;
  for (uint32_t i = 0; r.splits && i < r.rank; i++)
    if (type->dim[i] == 1)
      r.axes &= ~(1u << i), r.kept &= ~(1u << i);
  return r;
}

static Dim masked_product(const Type *type, uint32_t mask) {
  Dim p = 1;
  for (uint32_t i = 0; i < type->rank; i++)
    if (mask & (1u << i))
      p = dim_mul(p, type->dim[i]);
  return p;
}

// Every axis of `low` comes before every axis of `high`.
static bool before(uint32_t low, uint32_t high) {
  return !low || !high || (31 - __builtin_clz(low)) < __builtin_ctz(high);
}

static Value *reduce_matrix(Builder *b, const Inst *like, Value *x, Dim rows, Dim columns,
                            uint32_t axis) {
  Value *matrix = reshaped(b, x, (Dim[]){rows, columns}, 2);
  Attr *attr = arena_array(b->m->arena, Attr, like->n_attrs);
  for (uint32_t i = 0; i < like->n_attrs; i++)
    attr[i] = like->attr[i];
  uint32_t which = axes_attr(b->m, like->op);
  if (which < like->n_attrs)
    attr[which] = attr_axes(b->m->arena, &axis, 1);
  return ir_inst(b, like->op, &matrix, 1, attr, like->n_attrs)->result[0];
}

// The smallest divisor of n, at least `from` and at most `to`; 0 if there is none.
static Dim divisor(Dim n, Dim from, Dim to) {
  for (Dim d = from; d <= to && d <= n; d++)
    if (n % d == 0)
      return d;
  return 0;
}

// Rows: [R, C] along C. Few long rows are cut into pieces of equal length, combined by a second
// sum.
static Value *reduce_rows(Builder *b, const Reduce *r, Value *x, Dim rows, Dim columns) {
  Dim pieces = 0;
  if (r->splits && rows > 0 && rows < 32 && columns > LONG_ROW)
    pieces = divisor(columns, (columns + LONG_ROW - 1) / LONG_ROW, 4096);
  if (r->splits && rows == 1 && columns < -64) // over all of [N, k]: first each row
    pieces = -1;
  if (!pieces)
    return reduce_matrix(b, r->inst, x, rows, columns, 1);
  Value *part = reduce_matrix(b, r->inst, x, dim_mul(rows, pieces), columns / pieces, 1);
  return reduce_matrix(b, r->inst, part, rows, pieces, 1);
}

// Columns: [R, C] along R. Few long columns: row i*P + p goes to piece p, then the pieces are
// combined.
static Value *reduce_columns(Builder *b, const Reduce *r, Value *x, Dim rows, Dim columns) {
  Dim pieces = 0, length = llabs(rows); // R = k*N is cut by a divisor of k
  if (columns > 0 && columns < FEW_COLUMNS && length > LONG_COLUMN)
    pieces = divisor(length, (length + LONG_COLUMN - 1) / LONG_COLUMN, 256);
  if (!pieces)
    return reduce_matrix(b, r->inst, x, rows, columns, 0);
  Value *part = reduce_matrix(b, r->inst, x, rows / pieces, pieces * columns, 0);
  return reduce_matrix(b, r->inst, part, pieces, columns, 0);
}

// Kept axes first, then those that go.
static Value *kept_first(Builder *b, const Reduce *r) {
  uint32_t perm[MAX_RANK], n = 0;
  for (uint32_t pass = 0; pass < 2; pass++)
    for (uint32_t i = 0; i < r->rank; i++)
      if (((r->axes >> i) & 1) == pass)
        perm[n++] = i;
  return ir_transpose(b, r->inst->arg[0], perm);
}

// Leading and trailing axes go, those between stay: rows first, then columns.
static Value *reduce_both_ends(Builder *b, const Reduce *r, Dim kept) {
  const Type *type = &r->inst->arg[0]->type;
  uint32_t low = r->axes & ((1u << __builtin_ctz(r->kept)) - 1), high = r->axes & ~low;
  Dim lead = masked_product(type, low);
  Value *rows = reduce_rows(b, r, r->inst->arg[0], dim_mul(lead, kept), masked_product(type, high));
  return reduce_columns(b, r, rows, lead, kept);
}

static bool kept_is_run(const Reduce *r) {
  uint32_t run = r->kept >> __builtin_ctz(r->kept);
  uint32_t between = r->axes >> __builtin_ctz(r->kept) & ((1u << (32 - __builtin_clz(run))) - 1);
  return between == 0;
}

static Value *layout_reduce(Builder *b, Inst *inst) {
  Reduce r = reduce_of(b, inst);
  const Type *type = &inst->arg[0]->type, *to = &inst->result[0]->type;
  Value *x = inst->arg[0], *v;
  Dim kept = masked_product(type, r.kept), gone = masked_product(type, r.axes);
  if (r.splits && !r.axes) // only axes of length 1 go
    v = x;
  else if (before(r.kept, r.axes))
    v = reduce_rows(b, &r, x, kept, gone);
  else if (r.splits && before(r.axes, r.kept))
    v = reduce_columns(b, &r, x, gone, kept);
  else if (r.splits && kept_is_run(&r))
    v = reduce_both_ends(b, &r, kept);
  else
    v = reduce_rows(b, &r, kept_first(b, &r), kept, gone);
  return ir_reshape(b, v, to->dim, to->rank);
}

// ---- convolutions -------------------------------------------------------------------------------

// The gradient by the image is such a convolution too, of a filter that is turned.
static Value *in_winograd_form(Builder *b, const Inst *inst, const NnrtDirect *shape) {
  ConvShape s = conv_shape(inst);
  Attr pads[3] = {[2] = attr_int(nnrt_winograd_sums(shape).parts)};
  for (uint32_t i = 0; i < 2; i++) {
    const Dim *pad = i ? s.high : s.low;
    Dim back[] = {2 - pad[0], 2 - pad[1]};
    pads[i] = attr_dims(b->m->arena, s.wrt == CONV_IN ? back : pad, 2);
  }
  if (s.wrt == CONV_FILTER) {
    Value *sums = ir_inst(b, OP_winograd_sums, inst->arg, 2, pads, 3)->result[0];
    return ir_inst(b, OP_winograd_taps, &sums, 1, NULL, 0)->result[0];
  }
  Attr turned = attr_int(s.wrt == CONV_IN);
  Value *form = ir_inst(b, OP_winograd_form, &inst->arg[1], 1, &turned, 1)->result[0];
  return ir_inst(b, OP_winograd, (Value *[]){inst->arg[0], form}, 2, pads, 2)->result[0];
}

// The gradient of a small filter is made in parts.
static Value *layout_conv(Builder *b, Inst *inst, bool few) {
  NnrtDirect shape;
  if (conv_winograd(inst, few, &shape))
    return in_winograd_form(b, inst, &shape);
  const Type *type = &inst->result[0]->type;
  Attr *attr = arena_array(b->m->arena, Attr, inst->n_attrs);
  Dim parts = conv_parts(inst);
  if (parts == 1 || conv_shape(inst).parts > 1)
    return NULL;
  for (uint32_t i = 0; i < inst->n_attrs; i++)
    attr[i] = &inst->attr[i] == inst_attr(inst, "parts") ? attr_int(parts) : inst->attr[i];
  Value *part = ir_inst(b, OP_conv, inst->arg, 2, attr, inst->n_attrs)->result[0];
  Value *all = reshaped(b, part, (Dim[]){parts, type_count(type)}, 2);
  return ir_reshape(b, ir_sum(b, all, (const uint32_t[]){0}, 1), type->dim, type->rank);
}

static Value *layout_inst(Builder *b, Inst *inst, bool few) {
  OpKind kind = op_table[inst->op]->kind;
  if (inst->op == OP_conv)
    return layout_conv(b, inst, few);
  if (kind == K_CONTRACT)
    return layout_dot(b, inst);
  return kind == K_REDUCE ? layout_reduce(b, inst) : NULL;
}

// ---- scans --------------------------------------------------------------------------------------

// Does the product sum along the last axis of a matrix that is the same in every turn?
static bool reads_transposed_capture(const Inst *dot, const ScanShape *shape) {
  const Value *y = dot->arg[1];
  return !y->def && y->index >= shape->carries && y->index < shape->carries + shape->captures &&
         y->type.rank == 2 && inst_attr(dot, "cb")->n == 1 && inst_attr(dot, "cb")->dims[0] == 1 &&
         inst_attr(dot, "batch")->i == 0;
}

// Such a matrix is transposed once, before the loop: the product would do it in every turn.
static void transpose_captures(Module *m, Inst *scan) {
  ScanShape shape = scan_shape(scan);
  Value **transposed = arena_array(m->arena, Value *, scan->n_args + 1); // by capture
  Builder b = {.m = m, .region = scan->parent, .before = scan, .loc = scan->loc};
  for (Inst *i = scan->body->first; i; i = i->next) {
    if (i->op != OP_dot || !reads_transposed_capture(i, &shape))
      continue;
    uint32_t capture = i->arg[1]->index;
    if (!transposed[capture]) {
      Value *outer = ir_transpose(&b, scan->arg[capture], (const uint32_t[]){1, 0});
      transposed[capture] = scan_capture(m, scan, outer);
    }
    i->arg[1] = transposed[capture];
    i->attr[inst_attr(i, "cb") - i->attr] = attr_axes(m->arena, &(uint32_t){0}, 1);
  }
}

static void layout_region(Module *m, Region *body, bool few) {
  Builder b = {.m = m, .region = body};
  for (Inst *i = body->first, *next; i; i = next) {
    next = i->next;
    ir_resolve(i);
    if (i->op == OP_scan) {
      transpose_captures(m, i);
      layout_region(m, i->body, few);
    }
    b.before = i;
    b.loc = i->loc;
    Value *v = layout_inst(&b, i, few);
    if (!v)
      continue;
    ir_forward(i->result[0], v);
    ir_remove(i);
  }
}

// A function without gradients of filters may be called with a single image.
static bool learns_filters(const Function *f) {
  for (const Inst *i = f->body->first; i; i = i->next)
    if (makes_filter(i))
      return true;
  return false;
}

void pass_layout(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++) {
    layout_region(m, m->fn.at[k]->body, !learns_filters(m->fn.at[k]));
    affine_chains(m->fn.at[k]);
    ir_remove_dead(m->fn.at[k]);
  }
}
