// A module under construction: starts as the bitcode of runtime/kernels for the target's level,
// made internal and freed of what clang decided about the CPU; generated functions are added; then
// LLVM's optimiser runs over the whole.
#include "llvm/gen.h"

#include <stdlib.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/Transforms/PassBuilder.h>

// build/kernels.o
extern const char kernels_v2[], kernels_v2_end[], kernels_v3[], kernels_v3_end[], kernels_v4[],
    kernels_v4_end[];

static LLVMMemoryBufferRef kernels_of(int level) {
  static const struct {
    const char *begin, *end;
  } level_bytes[] = {
      {kernels_v2, kernels_v2_end}, {kernels_v3, kernels_v3_end}, {kernels_v4, kernels_v4_end}};
  const char *begin = level_bytes[level - 2].begin;
  size_t size = (size_t)(level_bytes[level - 2].end - begin);
  return LLVMCreateMemoryBufferWithMemoryRange(begin, size, "kernels", false);
}

// ---- attributes --------------------------------------------------------------------------------

void gen_add_attribute(Gen *g, LLVMValueRef fn, unsigned index, const char *name) {
  unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(fn, index, LLVMCreateEnumAttribute(g->context, kind, 0));
}

static void add_text_attribute(Gen *g, LLVMValueRef fn, const char *name, const char *value) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(g->context, name, (unsigned)strlen(name), value,
                                                 (unsigned)strlen(value));
  LLVMAddAttributeAtIndex(fn, LLVMAttributeFunctionIndex, a);
}

void gen_function_attributes(Gen *g, LLVMValueRef fn) {
  gen_add_attribute(g, fn, (unsigned)LLVMAttributeFunctionIndex, "nounwind");
  // LLVM prefers 256 bits on several CPUs that run 512 at full speed.
  add_text_attribute(g, fn, "prefer-vector-width", "512");
}

// Functions inline only into functions of the same target: the module's target machine decides.
static void adopt_function(Gen *g, LLVMValueRef fn) {
  static const char *const target[] = {"target-cpu", "target-features", "tune-cpu",
                                       "min-legal-vector-width"};
  for (int i = 0; i < 4; i++)
    LLVMRemoveStringAttributeAtIndex(fn, (unsigned)LLVMAttributeFunctionIndex, target[i],
                                     (unsigned)strlen(target[i]));
  LLVMSetLinkage(fn, LLVMInternalLinkage);
  add_text_attribute(g, fn, "prefer-vector-width", "512");
}

static void adopt_kernels(Gen *g) {
  static const char *const roots[] = {"llvm.used", "llvm.compiler.used"};
  for (int i = 0; i < 2; i++) {
    LLVMValueRef v = LLVMGetNamedGlobal(g->module, roots[i]);
    if (v)
      LLVMDeleteGlobal(v);
  }
  for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
    if (!LLVMIsDeclaration(f))
      adopt_function(g, f);
  for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v))
    if (!LLVMIsDeclaration(v))
      LLVMSetLinkage(v, LLVMInternalLinkage);
}

// ---- opening, optimising -----------------------------------------------------------------------

static void make_types(Gen *g) {
  LLVMContextRef c = g->context;
  g->i1 = LLVMInt1TypeInContext(c);
  g->i8 = LLVMInt8TypeInContext(c);
  g->i16 = LLVMInt16TypeInContext(c);
  g->i32 = LLVMInt32TypeInContext(c);
  g->i64 = LLVMInt64TypeInContext(c);
  g->f32 = LLVMFloatTypeInContext(c);
  g->f64 = LLVMDoubleTypeInContext(c);
  g->ptr = LLVMPointerTypeInContext(c, 0);
  g->none = LLVMVoidTypeInContext(c);
  g->args_type =
      LLVMStructTypeInContext(c, (LLVMTypeRef[]){g->ptr, g->ptr, g->i64, g->ptr}, 4, false);
}

static void quiet(LLVMDiagnosticInfoRef info, void *state) {
  (void)info, (void)state;
}

static void open_module(Gen *g) {
  g->machine = target_machine(g->target);
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(g->machine);
  LLVMSetModuleDataLayout(g->module, layout);
  LLVMDisposeTargetData(layout);
  LLVMSetTarget(g->module, "x86_64-pc-linux-gnu");
  LLVMSetModuleIdentifier(g->module, "program", 7);
  LLVMSetSourceFileName(g->module, "program", 7);
  g->b = LLVMCreateBuilderInContext(g->context);
  make_types(g);
}

const char *gen_open(Gen *g, Arena *arena, const Target *target, Blas blas) {
  *g = (Gen){.arena = arena, .target = target, .blas = blas, .context = LLVMContextCreate()};
  LLVMContextSetDiagnosticHandler(g->context, quiet, NULL);
  LLVMMemoryBufferRef bytes = kernels_of(target->level);
  bool failed = LLVMParseBitcodeInContext2(g->context, bytes, &g->module);
  LLVMDisposeMemoryBuffer(bytes);
  if (failed)
    return arena_printf(arena, "the kernels for level %d can't be read", target->level);
  open_module(g);
  adopt_kernels(g);
  return NULL;
}

void gen_open_empty(Gen *g, Arena *arena, const Target *target) {
  *g = (Gen){.arena = arena, .target = target, .context = LLVMContextCreate()};
  g->module = LLVMModuleCreateWithNameInContext("program", g->context);
  open_module(g);
}

void gen_close(Gen *g) {
  if (g->b)
    LLVMDisposeBuilder(g->b);
  if (g->module)
    LLVMDisposeModule(g->module);
  if (g->machine)
    LLVMDisposeTargetMachine(g->machine);
  LLVMContextDispose(g->context);
}

static const char *run_passes(Gen *g, const char *passes) {
  LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
  LLVMPassBuilderOptionsSetLoopVectorization(o, 1);
  LLVMPassBuilderOptionsSetSLPVectorization(o, 1);
  LLVMPassBuilderOptionsSetLoopUnrolling(o, 1);
  LLVMErrorRef error = LLVMRunPasses(g->module, passes, g->machine, o);
  LLVMDisposePassBuilderOptions(o);
  if (!error)
    return NULL;
  char *text = LLVMGetErrorMessage(error);
  const char *why = arena_printf(g->arena, "LLVM: %s", text);
  LLVMDisposeErrorMessage(text);
  return why;
}

// What runtime/kernels calls LATE has got its constants: now it is inlined, and what they make dead
// is not even copied.
static void inline_late(Gen *g) {
  unsigned late = LLVMGetEnumAttributeKindForName("hot", 3);
  unsigned never = LLVMGetEnumAttributeKindForName("noinline", 8);
  unsigned at = (unsigned)LLVMAttributeFunctionIndex;
  for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
    if (LLVMGetEnumAttributeAtIndex(f, at, late)) {
      LLVMRemoveEnumAttributeAtIndex(f, at, never);
      gen_add_attribute(g, f, at, "alwaysinline");
    }
}

// Kernels take their epilogues as constant function pointers: the first round of inlining makes
// them plain calls, the second inlines those. Then what default<O2> would do, without its
// repetitions: there is one function per kernel, nothing recursive, and loops are written as
// vectors already. Measured on the MNIST MLP: half the time of default<O2>, the same speed of the
// products. The inner functions (kernel.c) are inlined last, so that their promises about pointers
// count until then.
#define COMBINE "instcombine<no-verify-fixpoint>,"
static const char to_constants[] =
    "globaldce,always-inline,function(sroa,early-cse,simplifycfg),always-inline,globaldce,"
    "function(sroa,early-cse<memssa>,simplifycfg)";
static const char pipeline[] =
    "always-inline,globaldce,function(simplifycfg,sroa,early-cse<memssa>," COMBINE "simplifycfg,"
    "loop-mssa(loop-rotate,licm),loop(indvars,loop-unroll-full),sroa,gvn," COMBINE "simplifycfg,"
    "loop-mssa(licm),dse,adce,loop-unroll," COMBINE "simplifycfg),"
    "cgscc(inline),globaldce,function(early-cse,simplifycfg)";

const char *gen_optimise(Gen *g) {
  char *wrong = NULL;
  if (LLVMVerifyModule(g->module, LLVMReturnStatusAction, &wrong))
    ice("generated code is not valid: %s", wrong);
  LLVMDisposeMessage(wrong);
  const char *wrong_pass = run_passes(g, to_constants);
  inline_late(g);
  return wrong_pass ? wrong_pass : run_passes(g, pipeline);
}

// ---- types and small values --------------------------------------------------------------------

LLVMTypeRef gen_elem(Gen *g, ElemType elem) {
  switch (elem) {
  case TY_F32:
    return g->f32;
  case TY_F64:
    return g->f64;
  case TY_BF16:
    return g->i16;
  case TY_I32:
    return g->i32;
  case TY_U8:
  case TY_BOOL:
    return g->i8;
  }
  ice("element type %d", (int)elem);
}

LLVMTypeRef gen_vector(LLVMTypeRef elem) {
  return LLVMVectorType(elem, LANES);
}

LLVMTypeRef gen_lanes(Gen *g, ElemType elem) {
  return gen_vector(elem == TY_BOOL ? g->i1 : elem == TY_BF16 ? g->f32 : gen_elem(g, elem));
}

LLVMValueRef gen_i64(Gen *g, int64_t value) {
  return LLVMConstInt(g->i64, (unsigned long long)value, true);
}

LLVMValueRef gen_i32(Gen *g, int64_t value) {
  return LLVMConstInt(g->i32, (unsigned long long)value, true);
}

LLVMValueRef gen_splat(Gen *g, LLVMValueRef scalar) {
  if (LLVMIsConstant(scalar)) {
    LLVMValueRef all[LANES];
    for (int i = 0; i < LANES; i++)
      all[i] = scalar;
    return LLVMConstVector(all, LANES);
  }
  LLVMTypeRef v = gen_vector(LLVMTypeOf(scalar));
  LLVMValueRef one = LLVMBuildInsertElement(g->b, LLVMGetPoison(v), scalar, gen_i32(g, 0), "");
  return LLVMBuildShuffleVector(g->b, one, LLVMGetPoison(v), LLVMConstNull(gen_vector(g->i32)), "");
}

LLVMValueRef gen_iota(Gen *g) {
  LLVMValueRef all[LANES];
  for (int i = 0; i < LANES; i++)
    all[i] = gen_i32(g, i);
  return LLVMConstVector(all, LANES);
}

bool gen_has_fma(const Gen *g) {
  return g->target->level >= 3;
}

// ---- calls -------------------------------------------------------------------------------------

LLVMValueRef gen_alloca(Gen *g, LLVMTypeRef type, unsigned align) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
  LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(LLVMGetBasicBlockParent(here));
  LLVMValueRef first = LLVMGetFirstInstruction(entry);
  if (first)
    LLVMPositionBuilderBefore(g->b, first);
  else
    LLVMPositionBuilderAtEnd(g->b, entry);
  LLVMValueRef slot = LLVMBuildAlloca(g->b, type, "");
  LLVMSetAlignment(slot, align);
  LLVMPositionBuilderAtEnd(g->b, here);
  return slot;
}

static bool by_value(LLVMValueRef fn, unsigned param) {
  unsigned kind = LLVMGetEnumAttributeKindForName("byval", 5);
  return LLVMGetEnumAttributeAtIndex(fn, param + 1, kind) != NULL;
}

LLVMValueRef gen_call(Gen *g, const char *name, LLVMValueRef *args, unsigned n) {
  LLVMValueRef fn = LLVMGetNamedFunction(g->module, name);
  if (!fn || LLVMCountParams(fn) != n)
    return NULL;
  LLVMValueRef *passed = arena_array(g->arena, LLVMValueRef, n + 1);
  for (unsigned i = 0; i < n; i++) {
    passed[i] = args[i];
    if (by_value(fn, i)) {
      passed[i] = gen_alloca(g, LLVMTypeOf(args[i]), 128);
      LLVMSetAlignment(LLVMBuildStore(g->b, args[i], passed[i]), 128);
    }
  }
  LLVMValueRef call = LLVMBuildCall2(g->b, LLVMGlobalGetValueType(fn), fn, passed, n, "");
  for (unsigned i = 0; i < n; i++)
    if (by_value(fn, i)) {
      unsigned kind = LLVMGetEnumAttributeKindForName("byval", 5);
      LLVMAttributeRef a = LLVMCreateTypeAttribute(g->context, kind, LLVMTypeOf(args[i]));
      LLVMAddCallSiteAttribute(call, i + 1, a);
    }
  return call;
}

LLVMValueRef gen_intrinsic(Gen *g, const char *name, LLVMTypeRef *types, unsigned n_types,
                           LLVMValueRef *args, unsigned n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  if (!id)
    ice("LLVM has no intrinsic %s", name);
  LLVMValueRef fn = LLVMGetIntrinsicDeclaration(g->module, id, types, n_types);
  LLVMTypeRef type = LLVMIntrinsicGetType(g->context, id, types, n_types);
  return LLVMBuildCall2(g->b, type, fn, args, n, "");
}
