// What an operation is: one record per operation, in one file per family. Passes ask the record;
// there is no switch over operations outside this folder.
//
// To add one: write OP(name) { ... }; in the file of its family. The Makefile finds it
// (build/oplist.h); `make check` walks the records: each has a doc, a shape rule, .eval, a gradient
// (or NO_GRAD / ZERO_GRAD), exactly one way to be compiled (.emit, .kernel, .lower), and an
// .example for the tests.
#ifndef NNC_OP_H
#define NNC_OP_H

#include "ir/ir.h"

typedef enum {
  K_ELEM,     // result[i] = f(arg[i]...): all shapes equal
  K_SOURCE,   // const, literal, iota, count: no tensor argument
  K_SHAPE,    // only moves elements: broadcast reshape transpose slice pad reverse concat
  K_REDUCE,   // sum, max, argmax over axes
  K_CONTRACT, // dot
  K_INDEX,    // gather, scatter_add, sample: elements found by values
  K_WINDOW,   // conv, pool_max and the like: on [N, H, W, C]
  K_RANDOM,   // random
  K_CONTROL,  // grad, stop_gradient, batch_sum, scan, group, return, yield
} OpKind;

enum {
  OPF_COMMUTES = 1,
  OPF_NO_GRAD = 2,   // asking for a gradient through it is an error
  OPF_ZERO_GRAD = 4, // its gradient is exactly zero (comparisons, step, argmax)
  OPF_CHEAP = 8,     // worth computing again in every user
  OPF_TERMINATOR = 16,
  OPF_USER = 32,    // callable by its name in .nn (elementwise ones)
  OPF_KINK = 64,    // not differentiable somewhere: tests keep inputs away from .kinks
  OPF_LAYOUT = 128, // only pass layout makes it, when gradients and rows are done
};

typedef enum {
  RESULT_ONE,
  RESULT_NONE,    // return, yield
  RESULT_OF_XS,   // one per argument after the first: grad
  RESULT_OF_BODY, // what the body yields: group, scan
} ResultCount;

// Elementwise code generation: always 16 lanes at a time. EVal is an LLVM value that only llvm/ can
// see.
typedef struct EVal {
  void *v; // <16 x T>; bool is <16 x i1>
  ElemType elem;
} EVal;
typedef enum {
  E_ADD,
  E_SUB,
  E_MUL,
  E_DIV,
  E_NEG,
  E_LT,
  E_LE,
  E_EQ,
  E_NE,
  E_AND,
  E_OR,
  E_NOT,
  E_SQRT,
  E_ABS,
  E_FLOOR,
  E_ROUND,
  E_BITAND,
  E_SHL,
  E_SHR
} EOp;
typedef struct Emit Emit;
struct Emit { // filled by llvm/emit.c
  EVal (*unary)(Emit *, EOp, EVal);
  EVal (*binary)(Emit *, EOp, EVal, EVal); // equal elem; float, int or bool as it fits
  EVal (*fma)(Emit *, EVal a, EVal b, EVal c);
  EVal (*select)(Emit *, EVal c, EVal x, EVal y);
  EVal (*constant)(Emit *, ElemType, double);
  EVal (*convert)(Emit *, EVal, ElemType);
  // A function of runtime/kernels/math.c on 16 lanes, inlined: "exp" is nnrt_exp_f32 or
  // nnrt_exp_f64.
  EVal (*math)(Emit *, const char *name, const EVal *args, int n);
};

struct GradSink; // where a gradient rule puts its results; see pass/grad.c

typedef struct OpDef {
  const char *name, *doc; // doc: one or two sentences; -> lang/OPS.md and `nnc --list-ops`
  const char *sig;  // "x, y; axes: dims, axis: int = -1": arguments; attributes with defaults.
                    // "xs..." takes any number of arguments
  const char *math; // the gradient in words: "dx = dy * cos(x)"
  OpKind kind;
  uint32_t flags;
  ResultCount results;
  const char *example; // argument types and attributes for the automatic tests:
                       // "f32[3, 4], f32[4, 5]; ca=[1] cb=[0] batch=0", several separated by '|'
  const char *domain;  // "positive", "-0.9..0.9": values the tests draw; NULL: -2..2
  double kinks[4];     // with OPF_KINK: points that tests keep away from (n_kinks of them)
  int n_kinks;
  // Result type(s) from argument types and attributes (`result` has room for one per argument, and
  // for one). NULL: no results. Returns NULL, or words for a user: what disagrees.
  const char *(*type_fn)(Module *m, Value *const *arg, uint32_t n_arg, const Attr *attr,
                         Type *result);
  // Adds to darg[i] (see grad_add) the gradient of argument i, given that of the results.
  void (*grad)(Builder *b, Inst *inst, Value *const *dres, struct GradSink *sink);
  // RESULT_OF_BODY: types of the body's arguments, and of the results once the body has ended.
  // NULL: those of the arguments and of what is yielded. A word for what is wrong, or NULL.
  void (*body_args)(const Inst *inst, Type *arg);
  const char *(*body_results)(Module *m, const Inst *inst, Type *result);
  // Pass `batch`: the result when arg[i] has become [N, ...] where batched[i]. NULL: K_ELEM gets
  // its other arguments broadcast over N; anything else is built again as it is. ops/batching.c
  Value *(*batch)(Builder *b, Inst *inst, Value *const *arg, const bool *batched);
  Value *(*fold)(Builder *b, Inst *inst); // a simpler value for the result, or NULL: local algebra
  bool (*lower)(Builder *b, Inst *inst);  // rewrites itself into smaller operations (pass simplify)
  // Reference, naive, in double. Shapes are concrete. results are allocated.
  // n: the number of rows N.
  void (*eval)(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result);
  EVal (*emit)(Emit *e, const Inst *inst, const EVal *arg); // K_ELEM
  // K_REDUCE other than argmax: one more element into the running value, which starts at `identity`
  // (on i32, infinities stand for the least and the greatest number).
  EVal (*combine)(Emit *e, EVal acc, EVal x);
  double identity;
  const char
      *kernel; // family of C kernels in runtime/kernels that does it: "gemm", "random", "gather"
  double rounding; // compiled code may be off by so many times what most operations are; 0: once
  double (*flops)(const Inst *inst, int64_t n); // NULL: one per result element for K_ELEM, else 0
} OpDef;

#define OP(x) const OpDef op_##x =
extern const OpDef *const op_table[N_OPS]; // ops/table.c
#define X(name) extern const OpDef op_##name;
#include "oplist.h"
#undef X
Op op_find(const char *name); // N_OPS if there is none

// pass/grad.c: add `d` (same shape as the argument) to the gradient of argument `arg` of inst.
void grad_add(struct GradSink *sink, Builder *b, Inst *inst, uint32_t arg, Value *d);
// pass/grad_scan.c: the gradient rule of scan.
void grad_scan(Builder *b, Inst *inst, Value *const *dres, struct GradSink *sink);
// Is the gradient of this argument wanted at all? Skip work if not.
bool grad_wanted(struct GradSink *sink, Inst *inst, uint32_t arg);

typedef struct { // of a scan; arguments: carries, captures, sequences; results: carries, yields
  uint32_t carries, captures, sequences, yields;
  int64_t length;
  bool reverse;
} ScanShape;
ScanShape scan_shape(const Inst *inst); // ops/scan.c

const Attr *inst_attr(const Inst *inst,
                      const char *name); // by its name in sig; ICE if there is none
// The parsed sig: shared by print, read, and defaults.
typedef struct {
  const char *name;
  AttrKind kind;
  bool has_default;
  Attr value;
} AttrSig;
uint32_t op_attrs(Module *m, Op op, const AttrSig **attrs);
void op_arity(Op op, uint32_t *least, uint32_t *most); // numbers of arguments that its sig allows

static inline EVal emit_add(Emit *e, EVal a, EVal b) {
  return e->binary(e, E_ADD, a, b);
}
static inline EVal emit_sub(Emit *e, EVal a, EVal b) {
  return e->binary(e, E_SUB, a, b);
}
static inline EVal emit_mul(Emit *e, EVal a, EVal b) {
  return e->binary(e, E_MUL, a, b);
}
static inline EVal emit_div(Emit *e, EVal a, EVal b) {
  return e->binary(e, E_DIV, a, b);
}
static inline EVal emit_lt(Emit *e, EVal a, EVal b) {
  return e->binary(e, E_LT, a, b);
}
static inline EVal emit_const(Emit *e, EVal like, double v) {
  return e->constant(e, like.elem, v);
}

#endif
