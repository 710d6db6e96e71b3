// The epilogue of a product or of an operation on images: what is elementwise over its result. It
// becomes an internal function on 16 neighbours of a row of the result that is inlined into the
// kernel in C where sums leave it.
#include "llvm/gen.h"

// A result that the kernel in C makes beside the one of `anchor`.
static bool is_second_result(const Inst *anchor, const Value *yielded) {
  const Value *v = value_root(yielded);
  return body_is_anchor(v) && v->def != anchor;
}

// The yield that the kernel in C stores: the first one of floats; EPILOGUE_STORES if there is none.
static uint32_t stored_yield(Kernel *k, const Inst *anchor) {
  for (uint32_t i = 0; i < k->yield->n_args; i++)
    if (k->yield->arg[i]->type.elem == TY_F32 && !is_second_result(anchor, k->yield->arg[i]))
      return i;
  return EPILOGUE_STORES;
}

EVal epilogue_values(Kernel *k, const Inst *anchor, EVal acc, const Pos *pos, uint32_t returned) {
  uint32_t n = k->yield->n_args;
  EVal *value = arena_array(k->g->arena, EVal, n + 1);
  const Pos **at = arena_array(k->g->arena, const Pos *, n + 1);
  k->anchor[kernel_value_number(k, anchor->result[0])] = acc;
  for (uint32_t i = 0; i < n; i++) {
    const Type *type = &k->yield->arg[i]->type;
    if (is_second_result(anchor, k->yield->arg[i]))
      continue;
    bool same = type_same_shape(type, &anchor->result[0]->type);
    at[i] = same ? pos : pos_reshape(k, pos, type);
    value[i] = body_value(k, k->yield->arg[i], at[i]);
  }
  for (uint32_t i = 0; i < n; i++)
    if (at[i] && i != returned)
      body_store_yield(k, i, value[i], at[i]);
  return returned == EPILOGUE_STORES ? acc : value[returned];
}

static LLVMValueRef declare_epilogue(Gen *g) {
  LLVMTypeRef v16f = gen_vector(g->f32);
  LLVMTypeRef type =
      LLVMFunctionType(v16f, (LLVMTypeRef[]){v16f, g->ptr, g->i64, g->i64, g->i32}, 5, false);
  LLVMValueRef fn = LLVMAddFunction(g->module, "epilogue", type);
  LLVMSetLinkage(fn, LLVMInternalLinkage);
  gen_function_attributes(g, fn);
  gen_add_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "alwaysinline");
  return fn;
}

static LLVMValueRef build_epilogue(Kernel *outer, const Inst *anchor, uint32_t returned) {
  Gen *g = outer->g;
  LLVMBasicBlockRef back = LLVMGetInsertBlock(g->b);
  LLVMValueRef fn = declare_epilogue(g);
  Kernel k;
  kernel_open(&k, g, outer->group, fn, LLVMGetParam(fn, 1));
  LLVMValueRef mask = lanes_mask(&k, LLVMGetParam(fn, 4));
  Coord row = coord_at(LLVMGetParam(fn, 2), 0), column = coord_at(LLVMGetParam(fn, 3), 1);
  const Pos *pos = pos_matrix(&k, &anchor->result[0]->type, row, column, mask);
  EVal acc = {LLVMGetParam(fn, 0), TY_F32};
  LLVMBuildRet(g->b, epilogue_values(&k, anchor, acc, pos, returned).v);
  LLVMPositionBuilderAtEnd(g->b, back);
  return fn;
}

Epilogue epilogue_of(Kernel *k, const Inst *anchor) {
  LLVMValueRef null = LLVMConstNull(k->g->ptr);
  uint32_t stored = stored_yield(k, anchor);
  bool bare = true; // nothing is made but what the kernel in C makes
  for (uint32_t i = 0; i < k->yield->n_args; i++)
    bare &= body_is_anchor(value_root(k->yield->arg[i])) &&
            (i == stored || is_second_result(anchor, k->yield->arg[i]));
  return (Epilogue){.out = stored == EPILOGUE_STORES ? null : k->buf[k->group->n_args + stored],
                    .fn = bare ? null : build_epilogue(k, anchor, stored)};
}
