// Inlining from the outside in: constants of a launch (a shape, the size of a register block)
// decide which parts of a kernel are left, and what is dropped before its callees come in is never
// optimised. Inlined the other way round, a convolution is thousands of blocks before the first
// constant is seen. In: a module of generated functions and of functions from runtime/kernels. Out:
// the same, and a round at a time the calls that may be inlined next.
#include "llvm/gen.h"

#include <string.h>

static const char library[] = "nnrt-library"; // marks functions of runtime/kernels

static bool of_library(LLVMValueRef fn) {
  return LLVMGetStringAttributeAtIndex(fn, (unsigned)LLVMAttributeFunctionIndex, library,
                                       sizeof library - 1) != NULL;
}

static unsigned noinline_kind(void) {
  static const char name[] = "noinline";
  return LLVMGetEnumAttributeKindForName(name, sizeof name - 1);
}

static bool held(LLVMValueRef call) {
  return LLVMGetCallSiteEnumAttribute(call, LLVMAttributeFunctionIndex, noinline_kind()) != NULL;
}

static void hold_calls(Gen *g, LLVMValueRef fn) {
  LLVMAttributeRef noinline = LLVMCreateEnumAttribute(g->context, noinline_kind(), 0);
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
      if (LLVMIsACallInst(i) && !LLVMIsAIntrinsicInst(i))
        LLVMAddCallSiteAttribute(i, LLVMAttributeFunctionIndex, noinline);
}

// Calls inside a function of runtime/kernels wait until it is inlined itself.
void inline_hold(Gen *g, LLVMValueRef fn) {
  gen_add_text_attribute(g, fn, library, "");
  hold_calls(g, fn);
}

static bool release_calls(LLVMValueRef fn) {
  bool any = false;
  for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(fn); b; b = LLVMGetNextBasicBlock(b))
    for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
      if (LLVMIsACallInst(i) && held(i)) {
        LLVMRemoveCallSiteEnumAttribute(i, LLVMAttributeFunctionIndex, noinline_kind());
        any = true;
      }
  return any;
}

// Lets the calls be inlined that have come into generated functions. -> false: there are none
bool inline_release(Gen *g) {
  bool any = false;
  for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
    if (!LLVMIsDeclaration(f) && !of_library(f))
      any |= release_calls(f);
  return any;
}
