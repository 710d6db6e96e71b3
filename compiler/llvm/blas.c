// Products by OpenBLAS: per tile one sgemm into this thread's scratch, then the epilogue over the
// tile. The tiles are those of our own kernel, fixed by shape, and OpenBLAS runs single-threaded on
// each, so that the bits don't depend on the number of threads.
#include "llvm/gen.h"
#include "pass/groups.h"

#include <string.h>

// The one rule of --blas=auto: our own kernel, always. Measured on the tiles that a step is cut
// into, one AVX-512 core shared with other work (peak 118 GFLOP/s), own / OpenBLAS: 1024x1024x1024
// 84-105 / 42-51, 100x512x784 100 / 59: OpenBLAS packs its operands again for every tile. A program
// compiled with `auto` then needs no OpenBLAS at all.
static bool wants_openblas(Blas blas) {
  return blas == BLAS_OPENBLAS;
}

bool dot_uses_openblas(const Inst *group, Blas blas) {
  if (!wants_openblas(blas) || strcmp(inst_attr(group, "kind")->s, "dot") != 0)
    return false;
  for (const Inst *inst = group->body->first; inst; inst = inst->next)
    if (inst->op == OP_dot)
      return inst->arg[0]->type.elem == TY_F32;
  return false;
}

bool codegen_uses_openblas(const Module *m, const CodegenOptions *options) {
  for (uint32_t f = 0; f < m->fn.n; f++) {
    const Inst **group;
    uint32_t n = groups_of(m->arena, m->fn.at[f], &group);
    for (uint32_t i = 0; i < n; i++)
      if (dot_uses_openblas(group[i], options->blas))
        return true;
  }
  return false;
}

static LLVMValueRef declare_sgemm(Gen *g, LLVMTypeRef *type) {
  LLVMTypeRef i = g->i32, f = g->f32, p = g->ptr;
  LLVMTypeRef params[] = {i, i, i, i, i, i, f, p, i, p, i, f, p, i};
  *type = LLVMFunctionType(g->none, params, 14, false);
  LLVMValueRef fn = LLVMGetNamedFunction(g->module, "cblas_sgemm");
  return fn ? fn : LLVMAddFunction(g->module, "cblas_sgemm", *type);
}

static LLVMValueRef narrow(Kernel *k, LLVMValueRef x) {
  return LLVMBuildTrunc(k->g->b, x, k->g->i32, "");
}

static LLVMValueRef pointer_at(Kernel *k, LLVMValueRef p, LLVMValueRef i) {
  return LLVMBuildInBoundsGEP2(k->g->b, k->g->f32, p, &i, 1, "");
}

// sum[m, n] of one tile, rows `ld` apart.
static void tile_sgemm(Kernel *k, const DotShape *s, const DotTile *t, LLVMValueRef sum,
                       LLVMValueRef ld) {
  enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
  Gen *g = k->g;
  int64_t one;
  bool a_plain = is_const(s->a_k, &one) && one == 1, b_plain = is_const(s->b_n, &one) && one == 1;
  LLVMValueRef a = build_add(k, build_mul(k, t->matrix, s->a_i), build_mul(k, t->m0, s->a_m));
  LLVMValueRef b = build_add(k, build_mul(k, t->matrix, s->b_i), build_mul(k, t->n0, s->b_n));
  LLVMValueRef m = LLVMBuildSub(g->b, t->m1, t->m0, ""), n = LLVMBuildSub(g->b, t->n1, t->n0, "");
  LLVMTypeRef type;
  LLVMValueRef fn = declare_sgemm(g, &type);
  LLVMValueRef args[] = {gen_i32(g, ROW_MAJOR),
                         gen_i32(g, a_plain ? PLAIN : TRANSPOSED),
                         gen_i32(g, b_plain ? PLAIN : TRANSPOSED),
                         narrow(k, m),
                         narrow(k, n),
                         narrow(k, s->K),
                         LLVMConstReal(g->f32, 1),
                         pointer_at(k, s->a, a),
                         narrow(k, a_plain ? s->a_m : s->a_k),
                         pointer_at(k, s->b, b),
                         narrow(k, b_plain ? s->b_k : s->b_n),
                         LLVMConstReal(g->f32, 0),
                         sum,
                         narrow(k, ld)};
  LLVMBuildCall2(g->b, type, fn, args, 14, "");
}

void dot_openblas(Kernel *k, const Inst *dot) {
  Gen *g = k->g;
  DotShape s = dot_shape(k, dot);
  LLVMValueRef at = LLVMBuildStructGEP2(g->b, g->args_type, k->args, 3, "");
  DotFinish f = {.dot = dot, .ld = gen_i64(g, inst_attr(k->group, "tile")->dims[1])};
  f.sum = LLVMBuildLoad2(g->b, g->ptr, at, "scratch");
  Loop tiles = loop_begin(k, k->tile0, k->tile1, 1);
  DotTile t = dot_tile(k, &s, tiles.i);
  tile_sgemm(k, &s, &t, f.sum, f.ld);
  dot_finish(k, &f, &t);
  loop_end(k, &tiles);
}
