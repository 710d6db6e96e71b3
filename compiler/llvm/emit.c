// The code builder that operation records see (Emit of op.h): elementwise code on 16 lanes. No
// fast-math flags anywhere: what is written is what is computed.
#include "llvm/gen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  Emit emit; // first: an Emit * is an EmitLLVM *
  Gen *g;
} EmitLLVM;

static Gen *gen_of(Emit *e) {
  return ((EmitLLVM *)e)->g;
}

static EVal value(LLVMValueRef v, ElemType elem) {
  return (EVal){v, elem};
}

// BF16 is computed in float and rounded where it is stored.
static bool is_float(ElemType elem) {
  return elem_is_float(elem);
}

// Identities of reductions are infinite: the end of the range then.
static int64_t int_constant(ElemType elem, double v) {
  if (elem == TY_BOOL)
    return v != 0;
  double low = elem == TY_I32 ? INT32_MIN : 0, high = elem == TY_I32 ? INT32_MAX : UINT8_MAX;
  return (int64_t)(v < low ? low : v > high ? high : v);
}

static EVal emit_constant(Emit *e, ElemType elem, double v) {
  Gen *g = gen_of(e);
  LLVMTypeRef type = LLVMGetElementType(gen_lanes(g, elem));
  LLVMValueRef c = is_float(elem)
                       ? LLVMConstReal(type, elem == TY_F64 ? v : (double)(float)v)
                       : LLVMConstInt(type, (unsigned long long)int_constant(elem, v), true);
  return value(gen_splat(g, c), elem);
}

static LLVMValueRef call_same(Gen *g, const char *name, LLVMValueRef x) {
  LLVMTypeRef type = LLVMTypeOf(x);
  return gen_intrinsic(g, name, &type, 1, &x, 1);
}

static LLVMValueRef unary_float(Gen *g, EOp op, LLVMValueRef x) {
  switch (op) {
  case E_NEG:
    return LLVMBuildFNeg(g->b, x, "");
  case E_SQRT:
    return call_same(g, "llvm.sqrt", x);
  case E_ABS:
    return call_same(g, "llvm.fabs", x);
  case E_FLOOR:
    return call_same(g, "llvm.floor", x);
  case E_ROUND:
    return call_same(g, "llvm.roundeven", x);
  default:
    ice("operation %d on floats", (int)op);
  }
}

static LLVMValueRef unary_int(Gen *g, EOp op, EVal x) {
  switch (op) {
  case E_NEG:
    return LLVMBuildNeg(g->b, x.v, "");
  case E_NOT:
    return LLVMBuildNot(g->b, x.v, "");
  case E_FLOOR:
  case E_ROUND:
    return x.v;
  case E_ABS: {
    LLVMTypeRef type = LLVMTypeOf(x.v);
    return x.elem == TY_I32 ? gen_intrinsic(g, "llvm.abs", &type, 1,
                                            (LLVMValueRef[]){x.v, LLVMConstInt(g->i1, 0, false)}, 2)
                            : x.v;
  }
  default:
    ice("operation %d on integers", (int)op);
  }
}

static EVal emit_unary(Emit *e, EOp op, EVal x) {
  Gen *g = gen_of(e);
  return value(is_float(x.elem) ? unary_float(g, op, x.v) : unary_int(g, op, x), x.elem);
}

static LLVMValueRef binary_float(Gen *g, EOp op, LLVMValueRef x, LLVMValueRef y) {
  switch (op) {
  case E_ADD:
    return LLVMBuildFAdd(g->b, x, y, "");
  case E_SUB:
    return LLVMBuildFSub(g->b, x, y, "");
  case E_MUL:
    return LLVMBuildFMul(g->b, x, y, "");
  case E_DIV:
    return LLVMBuildFDiv(g->b, x, y, "");
  case E_LT:
    return LLVMBuildFCmp(g->b, LLVMRealOLT, x, y, "");
  case E_LE:
    return LLVMBuildFCmp(g->b, LLVMRealOLE, x, y, "");
  case E_EQ:
    return LLVMBuildFCmp(g->b, LLVMRealOEQ, x, y, "");
  case E_NE:
    return LLVMBuildFCmp(g->b, LLVMRealUNE, x, y, "");
  default:
    ice("operation %d on floats", (int)op);
  }
}

// Division by zero would trap, also in lanes that nobody asked for: the result is then x / 1.
static LLVMValueRef safe_divide(Gen *g, LLVMValueRef x, LLVMValueRef y, bool is_signed) {
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(y));
  LLVMValueRef one = gen_splat(g, LLVMConstInt(LLVMGetElementType(LLVMTypeOf(y)), 1, false));
  LLVMValueRef is_zero = LLVMBuildICmp(g->b, LLVMIntEQ, y, zero, "");
  LLVMValueRef divisor = LLVMBuildSelect(g->b, is_zero, one, y, "");
  return is_signed ? LLVMBuildSDiv(g->b, x, divisor, "") : LLVMBuildUDiv(g->b, x, divisor, "");
}

static LLVMValueRef compare_int(Gen *g, EOp op, LLVMValueRef x, LLVMValueRef y, bool is_signed) {
  switch (op) {
  case E_LT:
    return LLVMBuildICmp(g->b, is_signed ? LLVMIntSLT : LLVMIntULT, x, y, "");
  case E_LE:
    return LLVMBuildICmp(g->b, is_signed ? LLVMIntSLE : LLVMIntULE, x, y, "");
  case E_EQ:
    return LLVMBuildICmp(g->b, LLVMIntEQ, x, y, "");
  case E_NE:
    return LLVMBuildICmp(g->b, LLVMIntNE, x, y, "");
  default:
    ice("operation %d on integers", (int)op);
  }
}

static LLVMValueRef binary_int(Gen *g, EOp op, LLVMValueRef x, LLVMValueRef y, bool is_signed) {
  switch (op) {
  case E_ADD:
    return LLVMBuildAdd(g->b, x, y, "");
  case E_SUB:
    return LLVMBuildSub(g->b, x, y, "");
  case E_MUL:
    return LLVMBuildMul(g->b, x, y, "");
  case E_DIV:
    return safe_divide(g, x, y, is_signed);
  case E_AND:
  case E_BITAND:
    return LLVMBuildAnd(g->b, x, y, "");
  case E_OR:
    return LLVMBuildOr(g->b, x, y, "");
  case E_SHL:
    return LLVMBuildShl(g->b, x, y, "");
  case E_SHR:
    return LLVMBuildLShr(g->b, x, y, "");
  default:
    return compare_int(g, op, x, y, is_signed);
  }
}

static bool is_comparison(EOp op) {
  return op == E_LT || op == E_LE || op == E_EQ || op == E_NE;
}

static EVal emit_binary(Emit *e, EOp op, EVal x, EVal y) {
  Gen *g = gen_of(e);
  LLVMValueRef v = is_float(x.elem) ? binary_float(g, op, x.v, y.v)
                                    : binary_int(g, op, x.v, y.v, x.elem == TY_I32);
  return value(v, is_comparison(op) ? TY_BOOL : x.elem);
}

// x86-64-v2 has no FMA instruction: rounded twice there; in software it would be a hundred times
// slower.
static EVal emit_fma(Emit *e, EVal a, EVal b, EVal c) {
  Gen *g = gen_of(e);
  if (!is_float(a.elem) || !gen_has_fma(g))
    return emit_binary(e, E_ADD, emit_binary(e, E_MUL, a, b), c);
  LLVMTypeRef type = LLVMTypeOf(a.v);
  LLVMValueRef v = gen_intrinsic(g, "llvm.fma", &type, 1, (LLVMValueRef[]){a.v, b.v, c.v}, 3);
  return value(v, a.elem);
}

static EVal emit_select(Emit *e, EVal c, EVal x, EVal y) {
  return value(LLVMBuildSelect(gen_of(e)->b, c.v, x.v, y.v, ""), x.elem);
}

// ---- conversions -------------------------------------------------------------------------------

static LLVMValueRef to_bool(Gen *g, EVal x) {
  LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x.v));
  return is_float(x.elem) ? LLVMBuildFCmp(g->b, LLVMRealUNE, x.v, zero, "")
                          : LLVMBuildICmp(g->b, LLVMIntNE, x.v, zero, "");
}

// Out of range: the nearest value that there is; NaN gives 0 (a plain conversion would be
// undefined).
static LLVMValueRef float_to_int(Gen *g, EVal x, ElemType to) {
  LLVMTypeRef types[2] = {gen_lanes(g, to), LLVMTypeOf(x.v)};
  return gen_intrinsic(g, to == TY_I32 ? "llvm.fptosi.sat" : "llvm.fptoui.sat", types, 2,
                       (LLVMValueRef[]){x.v}, 1);
}

static LLVMValueRef to_float(Gen *g, EVal x, ElemType to) {
  LLVMTypeRef type = gen_lanes(g, to);
  if (x.elem == TY_I32)
    return LLVMBuildSIToFP(g->b, x.v, type, "");
  if (!is_float(x.elem))
    return LLVMBuildUIToFP(g->b, x.v, type, "");
  if (to == TY_F64)
    return LLVMBuildFPExt(g->b, x.v, type, "");
  return x.elem == TY_F64 ? LLVMBuildFPTrunc(g->b, x.v, type, "") : x.v;
}

static LLVMValueRef int_to_int(Gen *g, EVal x, ElemType to) {
  LLVMTypeRef type = gen_lanes(g, to);
  if (to == TY_I32)
    return LLVMBuildZExt(g->b, x.v, type, "");
  return x.elem == TY_I32 ? LLVMBuildTrunc(g->b, x.v, type, "")
                          : LLVMBuildZExt(g->b, x.v, type, "");
}

static EVal emit_convert(Emit *e, EVal x, ElemType to) {
  Gen *g = gen_of(e);
  if (x.elem == to)
    return x;
  if (to == TY_BOOL)
    return value(to_bool(g, x), to);
  if (is_float(to))
    return value(to_float(g, x, to), to);
  return value(is_float(x.elem) ? float_to_int(g, x, to) : int_to_int(g, x, to), to);
}

static EVal emit_math(Emit *e, const char *name, const EVal *args, int n) {
  Gen *g = gen_of(e);
  char symbol[64];
  snprintf(symbol, sizeof symbol, "nnrt_%s_%s", name, args[0].elem == TY_F64 ? "f64" : "f32");
  LLVMValueRef v[8];
  for (int i = 0; i < n && i < 8; i++)
    v[i] = args[i].v;
  LLVMValueRef call = gen_call(g, symbol, v, (unsigned)n);
  if (!call)
    ice("there is no kernel %s of %d arguments", symbol, n);
  return value(call, args[0].elem);
}

Emit *emit_create(Gen *g) {
  EmitLLVM *e = arena_new(g->arena, EmitLLVM);
  e->g = g;
  e->emit = (Emit){emit_unary,    emit_binary,  emit_fma, emit_select,
                   emit_constant, emit_convert, emit_math};
  return &e->emit;
}
