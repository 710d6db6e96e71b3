// What the records share: checks of types, walks over tensors, small algebra. Only for
// compiler/ops.
#ifndef NNC_RULES_H
#define NNC_RULES_H

#include "ops/op.h"

typedef struct GradSink GradSink;

// ---- types: NULL, or words for a user ----------------------------------------------------------
const char *words(Module *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool any_batched(Value *const *arg, uint32_t n);
bool elem_is_number(ElemType elem); // arithmetic is defined: f32 f64 bf16 i32
const char *expect_float(Module *m, Value *x);
const char *expect_number(Module *m, Value *x);
const char *expect_alike(Module *m, Value *x, Value *y); // elem and shape
const char *expect_shape(Module *m, Value *x, Value *y);
// Axes of a rank: inside, strictly increasing.
const char *expect_axes(Module *m, const Attr *axes, uint32_t rank);
Type unranged(Type type); // the result of arithmetic is no index any more

// ---- walks over tensors ------------------------------------------------------------------------
void position_of(const Type *type, int64_t flat, int64_t *at); // row-major
int64_t flat_of(const Type *type, const int64_t *at);
// Sum of products: flat offset of position `at` with axis i of it having stride stride[i].
void strides_of(const Type *type, int64_t *stride);

// ---- small algebra -----------------------------------------------------------------------------
bool is_splat(const Value *v, double *value); // made by const?
bool is_splat_of(const Value *v, double value);
Inst *made_by(const Value *v, Op op); // the instruction, if it is that operation
Value *like_const(Builder *b, const Value *like, double value); // same type as `like`
// All arguments constants: the constant it comes to (by .eval, rounded to the result's type), or
// NULL.
Value *fold_constants(Builder *b, Inst *inst);
// For shape operations: of a constant, the constant of the result's type.
Value *fold_moved_constant(Builder *b, Inst *inst);
Value *negated(Builder *b, Value *x);
Value *times(Builder *b, Value *x, double k);     // x * constant
Value *masked(Builder *b, Value *mask, Value *x); // mask ? x : 0
Value *slice_of(Builder *b, Value *x, const Dim *start, const Dim *limit, const Dim *stride);
// Its transpose: elements of d where they were in an x of this type, zeros between.
Value *slice_back(Builder *b, Value *d, const Dim *start, const Dim *stride, const Type *x);
Value *fold_descent(Builder *b, Inst *sub); // index.c: of the update of a table, or NULL
double round_to(ElemType elem, double x);
bool exact_power_of_two(double x);

uint32_t axes_of(const Attr *attr, uint32_t *axes); // a dims attribute as axes

// ---- elementwise -------------------------------------------------------------------------------
// ----------------------------------------------------------------------------------- Type rules,
// named after what arguments they take.
typedef const char *TypeRule(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result);
TypeRule type_float_unary, type_number_unary, type_number_binary, type_float_binary;

// eval_NAME: the expression in x (and y) for each element.
#define EVAL_UNARY(op, expression)                                                                 \
  static void eval_##op(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {  \
    (void)inst, (void)n;                                                                           \
    for (int64_t i = 0; i < result[0]->count; i++) {                                               \
      double x = arg[0]->at[i];                                                                    \
      result[0]->at[i] = (expression);                                                             \
    }                                                                                              \
  }
#define EVAL_BINARY(op, expression)                                                                \
  static void eval_##op(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {  \
    (void)n;                                                                                       \
    bool whole = !elem_is_float(inst->arg[0]->type.elem);                                          \
    (void)whole;                                                                                   \
    for (int64_t i = 0; i < result[0]->count; i++) {                                               \
      double x = arg[0]->at[i], y = arg[1]->at[i];                                                 \
      result[0]->at[i] = (expression);                                                             \
    }                                                                                              \
  }
// emit_NAME: one function of runtime/kernels/math.c.
#define EMIT_MATH(op)                                                                              \
  static EVal emit_##op(Emit *e, const Inst *inst, const EVal *arg) {                              \
    return e->math(e, #op, arg, (int)inst->n_args);                                                \
  }

#endif
