// Elementwise functions of one argument, floating point. y is the result, dy its gradient.
#include "ops/rules.h"

#include <math.h>

#define FUNCTION_EXAMPLE "f32[3, 4]"

static void chain(Builder *b, Inst *inst, Value *dy, Value *slope, GradSink *sink) {
  grad_add(sink, b, inst, 0, ir_binary(b, OP_mul, dy, slope));
}

static void chain_div(Builder *b, Inst *inst, Value *dy, Value *by, GradSink *sink) {
  grad_add(sink, b, inst, 0, ir_binary(b, OP_div, dy, by));
}

static Value *plus(Builder *b, Value *x, double k) {
  return ir_binary(b, OP_add, x, like_const(b, x, k));
}

static Value *one_minus(Builder *b, Value *x) {
  return ir_binary(b, OP_sub, like_const(b, x, 1), x);
}

// ---- exp: dx = dy * y --------------------------------------------------------------------------

EVAL_UNARY(exp, exp(x))
EMIT_MATH(exp)

static void grad_exp(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain(b, inst, dres[0], inst->result[0], sink);
}

OP(exp){
    .name = "exp",
    .doc = "e to the power x.",
    .sig = "x",
    .math = "dx = dy * y",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_exp,
    .fold = fold_constants,
    .eval = eval_exp,
    .emit = emit_exp,
};

// ---- log: dx = dy / x --------------------------------------------------------------------------

EVAL_UNARY(log, log(x))
EMIT_MATH(log)

static void grad_log(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain_div(b, inst, dres[0], inst->arg[0], sink);
}

OP(log){
    .name = "log",
    .doc = "The natural logarithm: -inf at 0, NaN below.",
    .sig = "x",
    .math = "dx = dy / x",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .domain = "positive",
    .type_fn = type_float_unary,
    .grad = grad_log,
    .fold = fold_constants,
    .eval = eval_log,
    .emit = emit_log,
};

// ---- log1p: dx = dy / (1 + x) ------------------------------------------------------------------

EVAL_UNARY(log1p, log1p(x))
EMIT_MATH(log1p)

static void grad_log1p(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain_div(b, inst, dres[0], plus(b, inst->arg[0], 1), sink);
}

OP(log1p){
    .name = "log1p",
    .doc = "log(1 + x), exact for small x.",
    .sig = "x",
    .math = "dx = dy / (1 + x)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .domain = "-0.7..2",
    .type_fn = type_float_unary,
    .grad = grad_log1p,
    .fold = fold_constants,
    .eval = eval_log1p,
    .emit = emit_log1p,
};

// ---- expm1: dx = dy * (y + 1) ------------------------------------------------------------------

EVAL_UNARY(expm1, expm1(x))
EMIT_MATH(expm1)

static void grad_expm1(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain(b, inst, dres[0], plus(b, inst->result[0], 1), sink);
}

OP(expm1){
    .name = "expm1",
    .doc = "exp(x) - 1, exact for small x.",
    .sig = "x",
    .math = "dx = dy * (y + 1)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_expm1,
    .fold = fold_constants,
    .eval = eval_expm1,
    .emit = emit_expm1,
};

// ---- sqrt: dx = dy / (2 y) ---------------------------------------------------------------------

EVAL_UNARY(sqrt, sqrt(x))

static void grad_sqrt(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain_div(b, inst, times(b, dres[0], 0.5), inst->result[0], sink);
}

static EVal emit_sqrt(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return e->unary(e, E_SQRT, arg[0]);
}

OP(sqrt){
    .name = "sqrt",
    .doc = "The square root, correctly rounded.",
    .sig = "x",
    .math = "dx = dy / (2 y)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .domain = "positive",
    .type_fn = type_float_unary,
    .grad = grad_sqrt,
    .fold = fold_constants,
    .eval = eval_sqrt,
    .emit = emit_sqrt,
};

// ---- rsqrt: dx = -dy y^3 / 2 -------------------------------------------------------------------

EVAL_UNARY(rsqrt, 1 / sqrt(x))

static void grad_rsqrt(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *y = inst->result[0], *y2 = ir_binary(b, OP_mul, y, y);
  chain(b, inst, times(b, dres[0], -0.5), ir_binary(b, OP_mul, y2, y), sink);
}

// Not the processor's estimate: its bits differ between makers.
static EVal emit_rsqrt(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return emit_div(e, emit_const(e, arg[0], 1), e->unary(e, E_SQRT, arg[0]));
}

OP(rsqrt){
    .name = "rsqrt",
    .doc = "1 / sqrt(x).",
    .sig = "x",
    .math = "dx = -dy * y^3 / 2",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .domain = "positive",
    .type_fn = type_float_unary,
    .grad = grad_rsqrt,
    .fold = fold_constants,
    .eval = eval_rsqrt,
    .emit = emit_rsqrt,
};

// ---- tanh: dx = dy * (1 - y^2) -----------------------------------------------------------------

EVAL_UNARY(tanh, tanh(x))
EMIT_MATH(tanh)

static void grad_tanh(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *y = inst->result[0];
  chain(b, inst, dres[0], one_minus(b, ir_binary(b, OP_mul, y, y)), sink);
}

OP(tanh){
    .name = "tanh",
    .doc = "The hyperbolic tangent.",
    .sig = "x",
    .math = "dx = dy * (1 - y^2)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_tanh,
    .fold = fold_constants,
    .eval = eval_tanh,
    .emit = emit_tanh,
};

// ---- sigmoid: dx = dy * y * (1 - y) ------------------------------------------------------------

EVAL_UNARY(sigmoid, x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)))
EMIT_MATH(sigmoid)

static void grad_sigmoid(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *y = inst->result[0];
  chain(b, inst, dres[0], ir_binary(b, OP_mul, y, one_minus(b, y)), sink);
}

OP(sigmoid){
    .name = "sigmoid",
    .doc = "1 / (1 + exp(-x)), without overflow.",
    .sig = "x",
    .math = "dx = dy * y * (1 - y)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_sigmoid,
    .fold = fold_constants,
    .eval = eval_sigmoid,
    .emit = emit_sigmoid,
};

// ---- softplus: dx = dy * sigmoid(x) ------------------------------------------------------------

EVAL_UNARY(softplus, (x > 0 ? x : 0) + log1p(exp(-fabs(x))))
EMIT_MATH(softplus)

static void grad_softplus(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain(b, inst, dres[0], ir_unary(b, OP_sigmoid, inst->arg[0]), sink);
}

OP(softplus){
    .name = "softplus",
    .doc = "log(1 + exp(x)), without overflow.",
    .sig = "x",
    .math = "dx = dy * sigmoid(x)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_softplus,
    .fold = fold_constants,
    .eval = eval_softplus,
    .emit = emit_softplus,
};

// ---- sin: dx = dy * cos(x) ---------------------------------------------------------------------

EVAL_UNARY(sin, sin(x))
EMIT_MATH(sin)

static void grad_sin(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain(b, inst, dres[0], ir_unary(b, OP_cos, inst->arg[0]), sink);
}

OP(sin){
    .name = "sin",
    .doc = "The sine of x radians.",
    .sig = "x",
    .math = "dx = dy * cos(x)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_sin,
    .fold = fold_constants,
    .eval = eval_sin,
    .emit = emit_sin,
};

// ---- cos: dx = -dy * sin(x) --------------------------------------------------------------------

EVAL_UNARY(cos, cos(x))
EMIT_MATH(cos)

static void grad_cos(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  chain(b, inst, negated(b, dres[0]), ir_unary(b, OP_sin, inst->arg[0]), sink);
}

OP(cos){
    .name = "cos",
    .doc = "The cosine of x radians.",
    .sig = "x",
    .math = "dx = -dy * sin(x)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_cos,
    .fold = fold_constants,
    .eval = eval_cos,
    .emit = emit_cos,
};

// ---- erf: dx = dy * 2/sqrt(pi) * exp(-x^2) -----------------------------------------------------

EVAL_UNARY(erf, erf(x))
EMIT_MATH(erf)

static void grad_erf(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *x = inst->arg[0], *square = ir_binary(b, OP_mul, x, x);
  Value *bell = ir_unary(b, OP_exp, negated(b, square));
  chain(b, inst, dres[0], times(b, bell, M_2_SQRTPI), sink);
}

OP(erf){
    .name = "erf",
    .doc = "The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.",
    .sig = "x",
    .math = "dx = dy * 2/sqrt(pi) * exp(-x^2)",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = FUNCTION_EXAMPLE,
    .type_fn = type_float_unary,
    .grad = grad_erf,
    .fold = fold_constants,
    .eval = eval_erf,
    .emit = emit_erf,
};

// ---- floor, round: flat ------------------------------------------------------------------------

EVAL_UNARY(floor, floor(x))
EVAL_UNARY(round, nearbyint(x))

static EVal emit_floor(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return e->unary(e, E_FLOOR, arg[0]);
}

static EVal emit_round(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return e->unary(e, E_ROUND, arg[0]);
}

OP(floor){
    .name = "floor",
    .doc = "The greatest whole number that is not above x.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_ELEM,
    .flags = OPF_USER | OPF_CHEAP | OPF_ZERO_GRAD | OPF_KINK,
    .example = FUNCTION_EXAMPLE,
    .kinks = {-1, 0, 1},
    .n_kinks = 3,
    .type_fn = type_float_unary,
    .fold = fold_constants,
    .eval = eval_floor,
    .emit = emit_floor,
};

OP(round){
    .name = "round",
    .doc = "The nearest whole number; halves go to the even one.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_ELEM,
    .flags = OPF_USER | OPF_CHEAP | OPF_ZERO_GRAD | OPF_KINK,
    .example = FUNCTION_EXAMPLE,
    .kinks = {-1.5, -0.5, 0.5, 1.5},
    .n_kinks = 4,
    .type_fn = type_float_unary,
    .fold = fold_constants,
    .eval = eval_round,
    .emit = emit_round,
};
