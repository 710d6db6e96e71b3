// The typed tensor IR. Everything lives in the module's arena.
//
// Life of a function: `elaborate` makes it per example (types carry `batched`), `batch` makes the
// batch an axis (`batched` is gone, dimension N appears), the later passes rewrite it, `fuse` puts
// every operation into a `group`, `schedule` orders the groups. The verifier runs after every pass.
//
// Text form (ir/print.c, ir/read.c; printed, read, printed again it is byte-identical):
//
//   loc 1 = "mnist.nn" 120..140
//   loc 2 = "<std>/layers.nn" 310..321 in 1 layer "dense"
//   func @eval.Mlp(%0: f32[784, 10] param 0 "dense.weight", %1: u8[N, 28, 28] column 0 "image",
//                  %2: i32[N]<10> column 1 "label") {
//     %3 = convert %1 elem=f32 : f32[N, 28, 28] @1
//     %4 = reshape %3 to=[N, 784] : f32[N, 784] @1
//     %5 = dot %4, %0 ca=[1] cb=[0] batch=0 : f32[N, 10] @2
//     %9 = group %4, %0 kind="dot" tile=[4, 64] phase=0 {
//       ^(%0: f32[N, 784], %1: f32[784, 10])
//       %2 = dot %0, %1 ca=[1] cb=[0] batch=0 : f32[N, 10] @2
//       yield %2
//     } : f32[N, 10] @2
//     return %8 metric 0 "loss", %9 metric 1 "accuracy"
//     %10, %11 = scan %5, %0, %9 carries=1 captures=1 length=80 reverse=0 {
//       ^(%0: f32[N, 10], %1: f32[10, 10], %2: f32[N, 10])
//       %3 = dot %0, %1 ca=[1] cb=[0] batch=0 : f32[N, 10]
//       %4 = add %3, %2 : f32[N, 10]
//       yield %4, %4
//     } : f32[N, 10], f32[80, N, 10]
//   }
// A per-example batched type is written with a star: *f32[784].
#ifndef NNC_IR_H
#define NNC_IR_H

#include "support/session.h"
#include "nnrt.h"

typedef int64_t Dim; // >= 0: constant; -k: k*N, N the number of rows (examples)
enum { MAX_RANK = 8 };
typedef enum { TY_F32, TY_F64, TY_BF16, TY_I32, TY_U8, TY_BOOL } ElemType; // as NnrtElem
typedef struct {
  ElemType elem;
  uint8_t rank;
  bool batched; // only before pass `batch`
  Dim dim[MAX_RANK];
  int64_t range; // index<range> (elem i32 or u8), else 0
} Type;

typedef uint32_t LocId; // index into Module.loc; 0: nowhere
typedef struct {
  Span span;
  LocId parent;      // the call that instantiated it, or 0
  const char *layer; // path of the innermost layer application, or NULL
} Loc;

typedef struct Value Value;
typedef struct Inst Inst;
typedef struct Region Region;
typedef struct Function Function;
typedef struct Module Module;

// A dense tensor of doubles: literals, and everything in the reference evaluator.
typedef struct {
  Type type;     // constant dims only
  int64_t count; // product of dims
  double *at;
} Tensor;

// Op: OP_add, OP_dot, ... from the records in compiler/ops (build/oplist.h).
typedef enum {
#define X(name) OP_##name,
#include "oplist.h"
#undef X
  N_OPS
} Op;

struct Value {
  Type type;
  Inst *def;      // NULL: argument of `region`
  Region *region; // where it is defined
  uint32_t index; // result or argument number
  uint32_t
      id; // dense per region after ir_number(); UINT32_MAX until then; renumbered by the printer
  uint32_t uses; // valid after ir_count_uses()
  const char *name;
  Value *with; // what it was replaced by (ir_forward), or NULL
};

typedef enum { A_NONE, A_INT, A_FLOAT, A_DIMS, A_STR, A_ELEM, A_DATA } AttrKind;
typedef struct { // order, names and kinds are fixed by OpDef.sig: an array, no dictionary
  AttrKind kind;
  uint32_t n; // A_DIMS: how many
  union {
    int64_t i;
    double f;
    const Dim *dims;
    const char *s; // interned
    ElemType elem;
    const Tensor *data;
  };
} Attr;

struct Inst {
  Op op;
  uint32_t n_args, n_results, n_attrs;
  Value **arg, **result;
  Attr *attr;
  Region *body;     // of `group` and `scan`, else NULL
  bool of_gradient; // made by pass grad
  LocId loc;
  Inst *prev, *next;
  Region *parent;
};

struct Region { // closed: reads only its own arguments and values
  Value **arg;
  uint32_t n_arg, cap_arg;
  Inst *first, *last; // the last is `return` (of a function) or `yield` (of a body)
  Inst *owner;        // NULL: a function's body, or one that no instruction has taken yet
  Function *fn;
};

typedef struct { // of an argument or a result of a function
  NnrtRole role;
  uint32_t index;   // into the table that the role names, see nnrt.h
  const char *name; // interned
} Port;

struct Function {
  const char *name; // "init", "step.T", "eval.T", "grad.T", "stop.T", "predict.P"
  Region *body;
  Port *arg_port; // one per body->arg
  uint32_t cap_port;
  Port *result_port; // one per argument of `return`. A result with role PARAM, SLOT or STATE takes
                     // the storage of the argument with the same role and index
  uint32_t n_result;
  Module *module;
};

struct Module {
  Session *s;
  Arena *arena;
  BUF(Function *) fn;
  BUF(Loc) loc;          // [0] unused
  NnrtProgram *program;  // what the trainer needs; function tables are filled by codegen.
                         // NULL for a module read from text
  struct AttrSigs *sigs; // parsed signatures, made on demand by op_attrs()
};

// ---- types --------------------------------------------------------------------------------------
const char *elem_name(ElemType elem);                  // "f32"
const char *type_text(Arena *arena, const Type *type); // "f32[N, 784]", "i32[N]<10>", "*f32[3]"
const char *dim_text(Arena *arena, Dim dim);           // "784", "N", "28N"
const char *dims_text(Arena *arena, const Dim *dim, uint32_t n); // "[N, 784]"
bool type_equal(const Type *a, const Type *b);                   // all fields
bool type_same_shape(const Type *a, const Type *b);              // rank and dims
Type type_scalar(ElemType elem);
Dim type_count(const Type *type); // product of dims; negative: times N. ICE if N appears twice
bool elem_is_float(ElemType elem);
bool ir_is_stored(NnrtRole role); // lives from call to call: a result takes its argument's storage

// ---- building (ir/build.c) ----------------------------------------------------------------------
typedef struct {
  Module *m;
  Region *region;
  Inst *before; // insert before this; NULL: at the end of region
  LocId loc;    // given to every new instruction
} Builder;

Module *module_create(Session *s);
Function *ir_function(Module *m, const char *name);
Value *ir_add_arg(Function *f, Type type, Port port);
Value *ir_region_arg(Region *r, Type type, Arena *arena);
// Ends the function. ports: one per value.
void ir_return(Builder *b, Value *const *values, const Port *ports, uint32_t n);
Function *ir_find_function(const Module *m, const char *name);
LocId ir_loc(Module *m, Span span, LocId parent, const char *layer);

// The general form: types of the results are inferred by the op's rule; a broken rule is an ICE.
// attrs in the order of OpDef.sig; attributes left out at the end, or of kind A_NONE, take their
// defaults. OP_group and OP_scan make their bodies too, with one region argument per argument;
// build in it with a Builder whose region is inst->body. OP_yield in that body ends it and makes
// the results.
Inst *ir_inst(Builder *b, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
              uint32_t n_attrs);
// A body before its instruction: build in it, end it with OP_yield, then give it to ir_inst_with,
// which makes the instruction around it. Its arguments must have the types that the operation wants
// (a scan's carry may be batched where its first value is not).
Region *ir_region(Function *f);
Inst *ir_inst_with(Builder *b, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
                   uint32_t n_attrs, Region *body);
// The same instruction on other arguments of the same types; a body is copied.
Inst *ir_copy(Builder *b, const Inst *inst, Value *const *args);
// Would ir_inst accept it? Returns NULL, or why not in words (for user errors).
const char *ir_check(Module *m, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
                     uint32_t n_attrs, Type *result);

Value *ir_unary(Builder *b, Op op, Value *x);
Value *ir_binary(Builder *b, Op op, Value *x, Value *y); // equal shapes
Value *ir_select(Builder *b, Value *c, Value *x, Value *y);
Value *ir_const(Builder *b, Type type, double value); // splat; type may contain N
Value *ir_literal(Builder *b, const Tensor *data);
Value *ir_convert(Builder *b, Value *x, ElemType elem); // x itself if it is so already
// axes[i] = the result axis that axis i of x becomes; every other axis of `to` is new.
Value *ir_broadcast(Builder *b, Value *x, const uint32_t *axes, Type to);
Value *ir_reshape(Builder *b, Value *x, const Dim *dims, uint32_t rank);
Value *ir_transpose(Builder *b, Value *x,
                    const uint32_t *perm); // result axis i = axis perm[i] of x
Value *ir_sum(Builder *b, Value *x, const uint32_t *axes, uint32_t n);
Value *ir_max(Builder *b, Value *x, const uint32_t *axes, uint32_t n);
// a: [batch.., ..], b: [batch.., ..]: the first `batch` axes run along in both, axes ca of a are
// summed against axes cb of b (same order). Result [batch.., free of a.., free of b..].
Value *ir_dot(Builder *b, Value *x, Value *y, const uint32_t *ca, const uint32_t *cb,
              uint32_t n_contract, uint32_t batch);
Attr attr_int(int64_t i);
Attr attr_float(double f);
Attr attr_str(const char *interned);
Attr attr_elem(ElemType elem);
Attr attr_dims(Arena *arena, const Dim *dims, uint32_t n);
Attr attr_axes(Arena *arena, const uint32_t *axes, uint32_t n);
Attr attr_data(const Tensor *data);

// ---- changing -----------------------------------------------------------------------------------
void ir_replace(Value *old, Value *with); // in the whole region of old (walks it)
// In a walk that visits every later reader: ir_forward notes that `old` is replaced, ir_resolve
// gives an instruction what its arguments were replaced by. Linear, where ir_replace is not.
void ir_forward(Value *old, Value *with);
void ir_resolve(Inst *inst);
// Many replacements at once: with[old->id] or NULL; ids must be fresh (ir_number).
void ir_replace_all(Region *r, Value *const *with);
void ir_remove(Inst *inst);
void ir_move_before(Inst *inst, Inst *before);
uint32_t ir_number_region(Region *r); // dense ids, arguments first; how many; nested regions too
void ir_number(Function *f);          // dense ids, in order, args first; nested regions start anew
void ir_count_uses(Function *f);      // Value.uses
void ir_count_uses_region(Region *r); // likewise, from here on
bool ir_remove_dead(Function *f);     // unused values go; true if any did

// ---- text (ir/print.c, ir/read.c), checking (ir/verify.c), evaluation (ir/eval.c) ---------------
void ir_print(const Module *m, Text *out);
void ir_print_function(const Function *f, Text *out);
// Reads source `file`; errors are reported as users' errors (code "ir-syntax"); NULL then.
Module *ir_read(Session *s, uint32_t file);
// "f32[3, 4], f32[4, 5]; ca=[1] cb=[0] batch=0": an OpDef.example (up to a '|'). NULL, or why not.
const char *ir_read_example(Module *m, Op op, const char *text, Type *arg, uint32_t *n_arg,
                            Attr *attr);
// NULL, or what is wrong (types against rules, dominance, closed regions, ports).
const char *ir_verify(const Module *m);
// Runs f in double on tensors with N = n. results: f->n_result tensors in `arena`.
// NULL, or why not.
const char *ir_eval(const Function *f, int64_t n, const Tensor *const *args, Tensor **results,
                    Arena *arena);
// NULL, or why ir_eval would need too much memory. Ask before making the arguments.
const char *ir_eval_limit(const Function *f, int64_t n, Arena *arena);
Tensor *tensor_new(Arena *arena, Type type, int64_t n); // N in type replaced by n; zeroed

// ---- passes -------------------------------------------------------------------------------------
#define PASS(name, doc) void pass_##name(Module *m);
#include "passes.def"
#undef PASS

#endif
