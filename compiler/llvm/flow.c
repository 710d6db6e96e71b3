// Loops and small arithmetic on indices, folded where both sides are constants.
#include "llvm/gen.h"

bool is_const(LLVMValueRef v, int64_t *value) {
  if (!LLVMIsAConstantInt(v))
    return false;
  *value = LLVMConstIntGetSExtValue(v);
  return true;
}

LLVMValueRef build_add(Kernel *k, LLVMValueRef a, LLVMValueRef b) {
  int64_t c;
  if (is_const(a, &c) && c == 0)
    return b;
  if (is_const(b, &c) && c == 0)
    return a;
  return LLVMBuildNSWAdd(k->g->b, a, b, "");
}

LLVMValueRef build_mul(Kernel *k, LLVMValueRef a, LLVMValueRef b) {
  int64_t c;
  if (is_const(a, &c) && (c == 0 || c == 1))
    return c ? b : a;
  if (is_const(b, &c) && (c == 0 || c == 1))
    return c ? a : b;
  return LLVMBuildNSWMul(k->g->b, a, b, "");
}

LLVMValueRef build_min(Kernel *k, LLVMValueRef a, LLVMValueRef b) {
  int64_t x, y;
  if (is_const(a, &x) && is_const(b, &y))
    return x < y ? a : b;
  return gen_intrinsic(k->g, "llvm.smin", &k->g->i64, 1, (LLVMValueRef[]){a, b}, 2);
}

// ---- loops -------------------------------------------------------------------------------------

static LLVMBasicBlockRef new_block(Kernel *k) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(k->g->b);
  return LLVMAppendBasicBlockInContext(k->g->context, LLVMGetBasicBlockParent(here), "");
}

Loop loop_begin(Kernel *k, LLVMValueRef from, LLVMValueRef to, int64_t step) {
  LLVMBuilderRef b = k->g->b;
  Loop loop = {.head = new_block(k), .body = new_block(k), .end = new_block(k)};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b);
  LLVMBuildBr(b, loop.head);
  LLVMPositionBuilderAtEnd(b, loop.head);
  loop.i = LLVMBuildPhi(b, k->g->i64, "i");
  LLVMAddIncoming(loop.i, &from, &before, 1);
  LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, loop.i, to, ""), loop.body, loop.end);
  LLVMPositionBuilderAtEnd(b, loop.body);
  loop.step = gen_i64(k->g, step);
  kernel_forget(k);
  return loop;
}

void loop_end(Kernel *k, Loop *loop) {
  LLVMBuilderRef b = k->g->b;
  LLVMValueRef next = LLVMBuildNSWAdd(b, loop->i, loop->step, "");
  LLVMBasicBlockRef here = LLVMGetInsertBlock(b);
  LLVMAddIncoming(loop->i, &next, &here, 1);
  LLVMBuildBr(b, loop->head);
  LLVMPositionBuilderAtEnd(b, loop->end);
  kernel_forget(k);
}

If if_begin(Kernel *k, LLVMValueRef condition) {
  If branch = {new_block(k), new_block(k)};
  LLVMBuildCondBr(k->g->b, condition, branch.then, branch.end);
  LLVMPositionBuilderAtEnd(k->g->b, branch.then);
  kernel_forget(k);
  return branch;
}

void if_end(Kernel *k, If *branch) {
  LLVMBuildBr(k->g->b, branch->end);
  LLVMPositionBuilderAtEnd(k->g->b, branch->end);
  kernel_forget(k);
}

LLVMValueRef lanes_mask(Kernel *k, LLVMValueRef count) {
  Gen *g = k->g;
  LLVMTypeRef type = LLVMTypeOf(count);
  LLVMValueRef n = type == g->i32 ? count : LLVMBuildTrunc(g->b, count, g->i32, "");
  return LLVMBuildICmp(g->b, LLVMIntSLT, gen_iota(g), gen_splat(g, n), "");
}

// Few and known: no loop at all, so that LLVM keeps values in registers from pass to pass.
static void lanes_unrolled(Kernel *k, int64_t from, int64_t to, Chunk *chunk, void *state) {
  for (int64_t i = from; i < to; i += LANES) {
    LLVMValueRef mask = to - i >= LANES ? NULL : lanes_mask(k, gen_i64(k->g, to - i));
    chunk(k, state, gen_i64(k->g, i), mask);
  }
}

static void lanes_tail(Kernel *k, LLVMValueRef from, LLVMValueRef to, Chunk *chunk, void *state) {
  LLVMValueRef left = LLVMBuildSub(k->g->b, to, from, "");
  If branch = if_begin(k, LLVMBuildICmp(k->g->b, LLVMIntSGT, left, gen_i64(k->g, 0), ""));
  chunk(k, state, from, lanes_mask(k, left));
  if_end(k, &branch);
}

void lanes_loop(Kernel *k, LLVMValueRef from, LLVMValueRef to, Chunk *chunk, void *state) {
  enum { UNROLLED = 4 * LANES };
  LLVMBuilderRef b = k->g->b;
  int64_t c0, c1;
  bool known = is_const(from, &c0) && is_const(to, &c1);
  kernel_forget(k);
  if (known && c1 - c0 <= UNROLLED) {
    lanes_unrolled(k, c0, c1, chunk, state);
    return;
  }
  LLVMValueRef count = LLVMBuildSub(b, to, from, "");
  LLVMValueRef full = build_add(k, from, LLVMBuildAnd(b, count, gen_i64(k->g, -LANES), ""));
  Loop loop = loop_begin(k, from, full, LANES);
  chunk(k, state, loop.i, NULL);
  loop_end(k, &loop);
  if (!known || (c1 - c0) % LANES)
    lanes_tail(k, full, to, chunk, state);
}
