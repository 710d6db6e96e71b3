// Groups of kind `dot`: one product and what is elementwise over its result. The product is the C
// kernel of runtime/kernels/gemm.c (or OpenBLAS, blas.c), called with constants for all that is
// constant; the rest of the body is its epilogue (epilogue.c). Products of other element types are
// a plain loop.
#include "llvm/gen.h"
#include "nnrt_gemm.h"

static const Inst *find_dot(Kernel *k) {
  for (const Inst *inst = k->body->first; inst; inst = inst->next)
    if (inst->op == OP_dot)
      return inst;
  ice("codegen: a dot group without a dot");
}

// A region argument, maybe behind reshapes: the buffer is row-major either way.
static LLVMValueRef operand_buffer(Kernel *k, const Value *v) {
  v = value_root(v);
  if (v->def)
    ice("codegen: a product of something computed in its group");
  return k->buf[v->index];
}

DotShape dot_shape(Kernel *k, const Inst *dot) {
  const Type *x = &dot->arg[0]->type, *y = &dot->arg[1]->type;
  const Attr *ca = inst_attr(dot, "ca"), *cb = inst_attr(dot, "cb");
  uint32_t batch = (uint32_t)inst_attr(dot, "batch")->i;
  if (ca->n != 1 || batch > 1 || x->rank != batch + 2 || y->rank != batch + 2)
    ice("codegen: a product of a form that layout should have changed");
  uint32_t ka = (uint32_t)ca->dims[0], kb = (uint32_t)cb->dims[0];
  uint32_t m = 2 * batch + 1 - ka, n = 2 * batch + 1 - kb;
  bool a_k_last = ka > m, b_k_last = kb > n;
  DotShape s = {.a = operand_buffer(k, dot->arg[0]), .b = operand_buffer(k, dot->arg[1])};
  LLVMValueRef one = gen_i64(k->g, 1);
  s.dim_m = x->dim[m], s.dim_n = y->dim[n], s.dim_k = x->dim[ka];
  s.dim_batch = batch ? x->dim[0] : 1;
  s.dim_b_n = b_k_last ? s.dim_k : 1;
  s.M = kernel_dim(k, s.dim_m);
  s.N = kernel_dim(k, s.dim_n);
  enum { SIZE_K = 3 };
  s.K = group_is_deep(k->group) ? kernel_size(k, SIZE_K) : kernel_dim(k, s.dim_k);
  s.batch = kernel_dim(k, s.dim_batch);
  s.a_m = a_k_last ? s.K : one;
  s.a_k = a_k_last ? one : s.M;
  s.b_k = b_k_last ? one : s.N;
  s.b_n = b_k_last ? s.K : one;
  s.a_i = batch ? build_mul(k, s.M, s.K) : gen_i64(k->g, 0);
  s.b_i = batch ? build_mul(k, s.K, s.N) : gen_i64(k->g, 0);
  return s;
}

// ---- own kernel ---------------------------------------------------------------------------------

static void own_product(Kernel *k, const Inst *dot) {
  Gen *g = k->g;
  DotShape s = dot_shape(k, dot);
  const Attr *tile = inst_attr(k->group, "tile");
  Epilogue end = epilogue_of(k, dot);
  bool packs = nnrt_gemm_packs(s.dim_m, s.dim_n, s.dim_k, s.dim_b_n != 1);
  int64_t depth = nnrt_gemm_depth(s.dim_m, s.dim_n, s.dim_k);
  LLVMValueRef args[] = {k->args,
                         k->tile0,
                         k->tile1,
                         s.a,
                         s.a_i,
                         s.a_m,
                         s.a_k,
                         s.b,
                         s.b_i,
                         s.b_k,
                         s.b_n,
                         end.out,
                         s.N,
                         s.M,
                         s.N,
                         s.K,
                         gen_i64(g, tile->dims[0]),
                         gen_i64(g, tile->dims[1]),
                         depth == s.dim_k ? s.K : gen_i64(g, depth),
                         LLVMConstInt(g->i1, packs, 0),
                         end.fn};
  if (!gen_call(g, "nnrt_gemm_f32", args, sizeof args / sizeof *args))
    ice("codegen: runtime/kernels has no nnrt_gemm_f32 of this form");
}

// ---- tiles, for the loops that are generated here ----------------------------------------------

static LLVMValueRef ceil_divide(Kernel *k, LLVMValueRef x, LLVMValueRef by) {
  LLVMValueRef up = LLVMBuildSub(k->g->b, build_add(k, x, by), gen_i64(k->g, 1), "");
  return LLVMBuildSDiv(k->g->b, up, by, "");
}

// As nnrt_gemm.h numbers them: row blocks, then column blocks, then matrices.
DotTile dot_tile(Kernel *k, const DotShape *s, LLVMValueRef number) {
  LLVMBuilderRef b = k->g->b;
  const Attr *tile = inst_attr(k->group, "tile");
  LLVMValueRef rows = gen_i64(k->g, tile->dims[0]), cols = gen_i64(k->g, tile->dims[1]);
  LLVMValueRef down = ceil_divide(k, s->M, rows), across = ceil_divide(k, s->N, cols);
  LLVMValueRef block = LLVMBuildSDiv(b, number, down, "");
  DotTile t;
  t.m0 = build_mul(k, LLVMBuildSRem(b, number, down, ""), rows);
  t.n0 = build_mul(k, LLVMBuildSRem(b, block, across, ""), cols);
  t.matrix = LLVMBuildSDiv(b, block, across, "");
  t.m1 = build_min(k, build_add(k, t.m0, rows), s->M);
  t.n1 = build_min(k, build_add(k, t.n0, cols), s->N);
  t.row0 = build_mul(k, t.matrix, s->M);
  return t;
}

// ---- products of other types: one chain of multiply-adds per element, 16 columns at a time -----

typedef struct {
  const Inst *dot;
  DotShape shape;
  LLVMValueRef matrix, m, row;
  Acc acc;
  LLVMValueRef sum;
} Plain;

static void plain_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  Plain *p = state;
  const DotShape *s = &p->shape;
  ElemType elem = p->dot->arg[0]->type.elem;
  LLVMTypeRef lanes = gen_lanes(k->g, elem);
  LLVMBuildStore(k->g->b, LLVMConstNull(lanes), p->sum);
  Loop loop = loop_begin(k, gen_i64(k->g, 0), s->K, 1);
  LLVMValueRef a =
      build_add(k, build_mul(k, p->matrix, s->a_i),
                build_add(k, build_mul(k, p->m, s->a_m), build_mul(k, loop.i, s->a_k)));
  LLVMValueRef b = build_add(k, build_mul(k, p->matrix, s->b_i), build_mul(k, loop.i, s->b_k));
  Coord column = coord_scale(k, coord_at(i, 1), s->dim_b_n);
  EVal x = body_load(k, s->a, elem, coord_at(a, 0), NULL);
  EVal y = body_load(k, s->b, elem, coord_add(k, coord_at(b, 0), column), mask);
  EVal sum = {LLVMBuildLoad2(k->g->b, lanes, p->sum, ""), elem};
  LLVMBuildStore(k->g->b, k->emit->fma(k->emit, x, y, sum).v, p->sum);
  loop_end(k, &loop);
  EVal acc = {LLVMBuildLoad2(k->g->b, lanes, p->sum, ""), elem};
  const Pos *pos =
      pos_matrix(k, &p->dot->result[0]->type, coord_at(p->row, 0), coord_at(i, 1), mask);
  epilogue_values(k, p->dot, acc, pos, EPILOGUE_STORES);
}

static void plain_product(Kernel *k, const Inst *dot) {
  Plain p = {.dot = dot, .shape = dot_shape(k, dot)};
  p.sum = gen_alloca(k->g, gen_lanes(k->g, dot->arg[0]->type.elem), 64);
  Loop tiles = loop_begin(k, k->tile0, k->tile1, 1);
  DotTile t = dot_tile(k, &p.shape, tiles.i);
  Loop rows = loop_begin(k, t.m0, t.m1, 1);
  p.matrix = t.matrix;
  p.m = rows.i;
  p.row = build_add(k, t.row0, rows.i);
  lanes_loop(k, t.n0, t.n1, plain_chunk, &p);
  loop_end(k, &rows);
  loop_end(k, &tiles);
}

// ---- OpenBLAS's result, gone over --------------------------------------------------------------

static void finish_chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask) {
  DotFinish *f = state;
  Coord from = coord_at(build_add(k, f->offset, i), 1);
  EVal acc = body_load(k, f->sum, TY_F32, from, mask);
  const Pos *pos =
      pos_matrix(k, &f->dot->result[0]->type, coord_at(f->row, 0), coord_at(i, 1), mask);
  epilogue_values(k, f->dot, acc, pos, EPILOGUE_STORES);
}

void dot_finish(Kernel *k, DotFinish *f, const DotTile *t) {
  LLVMBuilderRef b = k->g->b;
  Loop rows = loop_begin(k, t->m0, t->m1, 1);
  f->row = build_add(k, t->row0, rows.i);
  LLVMValueRef start = build_mul(k, LLVMBuildSub(b, rows.i, t->m0, ""), f->ld);
  f->offset = LLVMBuildSub(b, start, t->n0, "");
  lanes_loop(k, t->n0, t->n1, finish_chunk, f);
  loop_end(k, &rows);
}

void kernel_dot(Kernel *k) {
  const Inst *dot = find_dot(k);
  if (dot->arg[0]->type.elem != TY_F32)
    plain_product(k, dot);
  else if (dot_uses_openblas(k->group, k->g->blas))
    dot_openblas(k, dot);
  else
    own_product(k, dot);
}
