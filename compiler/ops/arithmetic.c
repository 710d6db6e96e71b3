// Elementwise arithmetic on numbers: f32, f64, bf16, and i32 where it says so.
// Arguments have equal shapes: broadcasting is an operation of its own.
#include "ops/rules.h"

#include <math.h>

#define BINARY_EXAMPLE "f32[3, 4], f32[3, 4]"

// Constants stand on the right: rules and patterns have one case less.
static Value *constant_to_the_right(Builder *b, Inst *inst) {
  double unused;
  if (!is_splat(inst->arg[0], &unused) || is_splat(inst->arg[1], &unused))
    return NULL;
  return ir_binary(b, inst->op, inst->arg[1], inst->arg[0]);
}

// ---- add: z = x + y     dx = dz, dy = dz -------------------------------------------------------

EVAL_BINARY(add, x + y)

static void grad_add_op(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, dres[0]);
  grad_add(sink, b, inst, 1, dres[0]);
}

static Value *fold_add(Builder *b, Inst *inst) {
  Value *x = inst->arg[0], *y = inst->arg[1], *known = fold_constants(b, inst);
  Inst *minus;
  if (known)
    return known;
  if (is_splat_of(y, 0))
    return x;
  if (is_splat_of(x, 0))
    return y;
  if ((minus = made_by(y, OP_neg)))
    return ir_binary(b, OP_sub, x, minus->arg[0]);
  if ((minus = made_by(x, OP_neg)))
    return ir_binary(b, OP_sub, y, minus->arg[0]);
  return constant_to_the_right(b, inst);
}

static EVal emit_add_op(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return emit_add(e, arg[0], arg[1]);
}

OP(add){
    .name = "add",
    .doc = "x + y.",
    .sig = "x, y",
    .math = "dx = dz, dy = dz",
    .kind = K_ELEM,
    .flags = OPF_COMMUTES | OPF_CHEAP,
    .example = BINARY_EXAMPLE " | i32[5], i32[5]",
    .type_fn = type_number_binary,
    .grad = grad_add_op,
    .fold = fold_add,
    .eval = eval_add,
    .emit = emit_add_op,
};

// ---- sub: z = x - y     dx = dz, dy = -dz ------------------------------------------------------

EVAL_BINARY(sub, x - y)

static void grad_sub(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, dres[0]);
  if (grad_wanted(sink, inst, 1))
    grad_add(sink, b, inst, 1, negated(b, dres[0]));
}

static Value *fold_sub(Builder *b, Inst *inst) {
  Value *x = inst->arg[0], *y = inst->arg[1], *known = fold_constants(b, inst);
  Inst *minus;
  if (known)
    return known;
  if (is_splat_of(y, 0))
    return x;
  if (is_splat_of(x, 0))
    return negated(b, y);
  if ((minus = made_by(y, OP_neg)))
    return ir_binary(b, OP_add, x, minus->arg[0]);
  return fold_descent(b, inst);
}

static EVal emit_sub_op(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return emit_sub(e, arg[0], arg[1]);
}

OP(sub){
    .name = "sub",
    .doc = "x - y.",
    .sig = "x, y",
    .math = "dx = dz, dy = -dz",
    .kind = K_ELEM,
    .flags = OPF_CHEAP,
    .example = BINARY_EXAMPLE " | i32[5], i32[5]",
    .type_fn = type_number_binary,
    .grad = grad_sub,
    .fold = fold_sub,
    .eval = eval_sub,
    .emit = emit_sub_op,
};

// ---- mul: z = x * y     dx = dz * y, dy = dz * x -----------------------------------------------

EVAL_BINARY(mul, x *y)

static void grad_mul(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  for (uint32_t i = 0; i < 2; i++)
    if (grad_wanted(sink, inst, i))
      grad_add(sink, b, inst, i, ir_binary(b, OP_mul, dres[0], inst->arg[1 - i]));
}

// (x * c1) * c2 = x * (c1 c2): gradients make such chains.
static Value *fold_mul_chain(Builder *b, Value *x, double c) {
  Inst *inner = made_by(x, OP_mul);
  double d;
  if (!inner || !is_splat(inner->arg[1], &d) || !elem_is_float(x->type.elem))
    return NULL;
  return times(b, inner->arg[0], round_to(x->type.elem, c * d));
}

static Value *fold_mul(Builder *b, Inst *inst) {
  Value *x = inst->arg[0], *y = inst->arg[1], *known = fold_constants(b, inst);
  Inst *mx = made_by(x, OP_neg), *my = made_by(y, OP_neg);
  double c;
  if (known)
    return known;
  if (is_splat(y, &c)) {
    if (c == 1)
      return x;
    if (c == 0 && !elem_is_float(x->type.elem)) // 0 * NaN is NaN
      return y->type.batched == inst->result[0]->type.batched ? y : NULL;
    if (c == -1)
      return negated(b, x);
    return mx ? times(b, mx->arg[0], -c) : fold_mul_chain(b, x, c);
  }
  if (mx && my)
    return ir_binary(b, OP_mul, mx->arg[0], my->arg[0]);
  return constant_to_the_right(b, inst);
}

static EVal emit_mul_op(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return emit_mul(e, arg[0], arg[1]);
}

OP(mul){
    .name = "mul",
    .doc = "x * y.",
    .sig = "x, y",
    .math = "dx = dz * y, dy = dz * x",
    .kind = K_ELEM,
    .flags = OPF_COMMUTES | OPF_CHEAP,
    .example = BINARY_EXAMPLE " | i32[5], i32[5]",
    .type_fn = type_number_binary,
    .grad = grad_mul,
    .fold = fold_mul,
    .eval = eval_mul,
    .emit = emit_mul_op,
};

// ---- div: z = x / y     dx = dz / y, dy = -dz * z / y ------------------------------------------

static double divide_whole(double x, double y) {
  return y == 0 ? 0 : floor(x / y);
}

EVAL_BINARY(div, whole ? divide_whole(x, y) : x / y)

static void grad_div(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *y = inst->arg[1], *dx = ir_binary(b, OP_div, dres[0], y);
  grad_add(sink, b, inst, 0, dx);
  if (grad_wanted(sink, inst, 1))
    grad_add(sink, b, inst, 1, negated(b, ir_binary(b, OP_mul, dx, inst->result[0])));
}

static Value *fold_div(Builder *b, Inst *inst) {
  Value *x = inst->arg[0], *known = fold_constants(b, inst);
  double c;
  if (known)
    return known;
  if (!is_splat(inst->arg[1], &c))
    return NULL;
  if (c == 1)
    return x;
  if (elem_is_float(x->type.elem) && exact_power_of_two(c)) // the reciprocal is exact
    return times(b, x, 1 / c);
  return NULL;
}

// Whole numbers: 0 and -1 are kept from the processor's division, which would trap.
static EVal emit_safe_quotient(Emit *e, EVal x, EVal y) {
  EVal zero = emit_const(e, x, 0);
  EVal by_zero = e->binary(e, E_EQ, y, zero),
       by_minus = e->binary(e, E_EQ, y, emit_const(e, x, -1));
  EVal safe = e->select(e, e->binary(e, E_OR, by_zero, by_minus), emit_const(e, x, 1), y);
  EVal q = e->select(e, by_minus, emit_sub(e, zero, x), emit_div(e, x, safe));
  return e->select(e, by_zero, zero, q);
}

// The processor rounds towards zero: where signs differ and there is a rest, one too high.
static EVal emit_floor_quotient(Emit *e, EVal x, EVal y) {
  EVal zero = emit_const(e, x, 0), q = emit_safe_quotient(e, x, y);
  EVal rest = emit_sub(e, x, emit_mul(e, q, y));
  EVal differs = e->binary(e, E_NE, emit_lt(e, rest, zero), emit_lt(e, y, zero));
  EVal inexact = e->binary(e, E_AND, e->binary(e, E_NE, rest, zero), e->binary(e, E_NE, y, zero));
  EVal lower = emit_sub(e, q, emit_const(e, x, 1));
  return e->select(e, e->binary(e, E_AND, differs, inexact), lower, q);
}

static EVal emit_div_op(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  if (arg[0].elem == TY_I32)
    return emit_floor_quotient(e, arg[0], arg[1]);
  return emit_div(e, arg[0], arg[1]);
}

OP(div){
    .name = "div",
    .doc = "x / y. On i32 the quotient is rounded down, and x / 0 is 0.",
    .sig = "x, y",
    .math = "dx = dz / y, dy = -dz * z / y",
    .kind = K_ELEM,
    .flags = OPF_KINK,
    .example = BINARY_EXAMPLE " | i32[5], i32[5]",
    .domain = "0.4..2",
    .type_fn = type_number_binary,
    .grad = grad_div,
    .fold = fold_div,
    .eval = eval_div,
    .emit = emit_div_op,
};

// ---- mod: z = x - floor(x / y) * y     dx = dz, dy = -dz * floor(x / y) ------------------------

EVAL_BINARY(mod, y == 0 && whole ? 0 : x - floor(x / y) * y)

static void grad_mod(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, dres[0]);
  if (!grad_wanted(sink, inst, 1))
    return;
  Value *quotient = ir_unary(b, OP_floor, ir_binary(b, OP_div, inst->arg[0], inst->arg[1]));
  grad_add(sink, b, inst, 1, negated(b, ir_binary(b, OP_mul, dres[0], quotient)));
}

static EVal emit_mod(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  EVal x = arg[0], y = arg[1];
  if (x.elem != TY_I32)
    return emit_sub(e, x, emit_mul(e, e->unary(e, E_FLOOR, emit_div(e, x, y)), y));
  EVal rest = emit_sub(e, x, emit_mul(e, emit_floor_quotient(e, x, y), y)),
       zero = emit_const(e, x, 0);
  return e->select(e, e->binary(e, E_EQ, y, zero), zero, rest);
}

OP(mod){
    .name = "mod",
    .doc = "What x leaves when divided by y; it has the sign of y. On i32, mod(x, 0) is 0.",
    .sig = "x, y",
    .math = "dx = dz, dy = -dz * floor(x / y)",
    .kind = K_ELEM,
    .flags = OPF_KINK | OPF_USER,
    .example = "f32[7], f32[7] | i32[5], i32[5]",
    .domain = "1.1..1.9",
    .kinks = {1},
    .n_kinks = 1,
    .type_fn = type_number_binary,
    .grad = grad_mod,
    .fold = fold_constants,
    .eval = eval_mod,
    .emit = emit_mod,
};

// ---- pow: z = x^y     dx = dz * y * x^(y-1), dy = dz * z * log x where x > 0, else 0 -----------

EVAL_BINARY(pow, pow(x, y))

static Value *grad_pow_base(Builder *b, Value *x, Value *y, Value *dz) {
  double c;
  Value *less = ir_binary(b, OP_sub, y, like_const(b, y, 1));
  if (is_splat(y, &c))
    less = like_const(b, y, c - 1);
  Value *d = ir_binary(b, OP_mul, dz, ir_binary(b, OP_mul, y, ir_binary(b, OP_pow, x, less)));
  // x^0 is 1 everywhere: without this, 0 * 0^-1 would be NaN.
  return ir_select(b, ir_binary(b, OP_eq, y, like_const(b, y, 0)), like_const(b, dz, 0), d);
}

static void grad_pow(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *x = inst->arg[0], *y = inst->arg[1];
  if (grad_wanted(sink, inst, 0))
    grad_add(sink, b, inst, 0, grad_pow_base(b, x, y, dres[0]));
  if (!grad_wanted(sink, inst, 1))
    return;
  Value *positive = ir_binary(b, OP_gt, x, like_const(b, x, 0));
  Value *safe = ir_select(b, positive, x, like_const(b, x, 1)); // log 1 = 0: the other side is 0
  Value *d = ir_binary(b, OP_mul, inst->result[0], ir_unary(b, OP_log, safe));
  grad_add(sink, b, inst, 1, masked(b, positive, ir_binary(b, OP_mul, dres[0], d)));
}

static Value *fold_pow(Builder *b, Inst *inst) {
  Value *x = inst->arg[0], *known = fold_constants(b, inst);
  double c;
  if (known)
    return known;
  if (!is_splat(inst->arg[1], &c))
    return NULL;
  if (c == 1)
    return x;
  if (c == 2)
    return ir_binary(b, OP_mul, x, x);
  if (c == 3)
    return ir_binary(b, OP_mul, ir_binary(b, OP_mul, x, x), x);
  if (c == 0.5)
    return ir_unary(b, OP_sqrt, x);
  if (c == -1)
    return ir_binary(b, OP_div, like_const(b, x, 1), x);
  return NULL;
}

EMIT_MATH(pow)

OP(pow){
    .name = "pow",
    .doc = "x to the power y. NaN where x < 0 and y is no whole number.",
    .sig = "x, y",
    .math = "dx = dz * y * x^(y-1); dy = dz * z * log(x) where x > 0, else 0",
    .kind = K_ELEM,
    .flags = OPF_USER,
    .example = BINARY_EXAMPLE,
    .domain = "positive",
    .type_fn = type_float_binary,
    .grad = grad_pow,
    .fold = fold_pow,
    .eval = eval_pow,
    .emit = emit_pow,
};

// ---- max, min: NaN passes     dx = dz where x is chosen (x = y: x), dy = dz elsewhere ----------

EVAL_BINARY(max, x < y || y != y ? y : x)
EVAL_BINARY(min, y < x || y != y ? y : x)

static void grad_chosen(Builder *b, Inst *inst, Value *dz, Op first, GradSink *sink) {
  Value *chosen = ir_binary(b, first, inst->arg[0], inst->arg[1]);
  Value *zero = like_const(b, dz, 0);
  if (grad_wanted(sink, inst, 0))
    grad_add(sink, b, inst, 0, ir_select(b, chosen, dz, zero));
  if (grad_wanted(sink, inst, 1))
    grad_add(sink, b, inst, 1, ir_select(b, chosen, zero, dz));
}

static void grad_max(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_chosen(b, inst, dres[0], OP_ge, sink);
}

static void grad_min(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_chosen(b, inst, dres[0], OP_le, sink);
}

static Value *fold_extreme(Builder *b, Inst *inst) {
  Value *known = fold_constants(b, inst);
  if (known)
    return known;
  return inst->arg[0] == inst->arg[1] ? inst->arg[0] : NULL;
}

static EVal emit_chosen(Emit *e, EVal take_y, EVal x, EVal y) {
  if (x.elem != TY_I32)
    take_y = e->binary(e, E_OR, take_y, e->binary(e, E_NE, y, y));
  return e->select(e, take_y, y, x);
}

static EVal emit_max(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return emit_chosen(e, emit_lt(e, arg[0], arg[1]), arg[0], arg[1]);
}

static EVal emit_min(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return emit_chosen(e, emit_lt(e, arg[1], arg[0]), arg[0], arg[1]);
}

OP(max){
    .name = "max",
    .doc = "The greater of two, element by element. NaN if either is.",
    .sig = "x, y",
    .math = "dx = dz where x >= y, else 0; dy = dz - dx",
    .kind = K_ELEM,
    .flags = OPF_CHEAP,
    .example = BINARY_EXAMPLE " | i32[5], i32[5]",
    .type_fn = type_number_binary,
    .grad = grad_max,
    .fold = fold_extreme,
    .eval = eval_max,
    .emit = emit_max,
};

OP(min){
    .name = "min",
    .doc = "The smaller of two, element by element. NaN if either is.",
    .sig = "x, y",
    .math = "dx = dz where x <= y, else 0; dy = dz - dx",
    .kind = K_ELEM,
    .flags = OPF_CHEAP,
    .example = BINARY_EXAMPLE " | i32[5], i32[5]",
    .type_fn = type_number_binary,
    .grad = grad_min,
    .fold = fold_extreme,
    .eval = eval_min,
    .emit = emit_min,
};

// ---- neg: y = -x     dx = -dy ------------------------------------------------------------------

EVAL_UNARY(neg, -x)

static void grad_neg(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  grad_add(sink, b, inst, 0, negated(b, dres[0]));
}

// -(x - y) is left alone: y - x differs in the sign of zero only, but gains nothing.
static Value *fold_neg(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_neg);
  return inner ? inner->arg[0] : fold_constants(b, inst);
}

static EVal emit_neg(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return e->unary(e, E_NEG, arg[0]);
}

OP(neg){
    .name = "neg",
    .doc = "The negative of x.",
    .sig = "x",
    .math = "dx = -dy",
    .kind = K_ELEM,
    .flags = OPF_CHEAP,
    .example = "f32[3, 4] | i32[5]",
    .type_fn = type_number_unary,
    .grad = grad_neg,
    .fold = fold_neg,
    .eval = eval_neg,
    .emit = emit_neg,
};

// ---- abs: dx = dy * sign(x) --------------------------------------------------------------------

EVAL_UNARY(abs, fabs(x))

static void grad_abs(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *sign = ir_unary(b, OP_sign, inst->arg[0]);
  grad_add(sink, b, inst, 0, ir_binary(b, OP_mul, dres[0], sign));
}

static EVal emit_abs(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  return e->unary(e, E_ABS, arg[0]);
}

OP(abs){
    .name = "abs",
    .doc = "|x|. Its gradient at 0 is taken as 0.",
    .sig = "x",
    .math = "dx = dy * sign(x)",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_KINK | OPF_USER,
    .example = "f32[3, 4] | i32[5]",
    .kinks = {0},
    .n_kinks = 1,
    .type_fn = type_number_unary,
    .grad = grad_abs,
    .fold = fold_constants,
    .eval = eval_abs,
    .emit = emit_abs,
};

// ---- sign: -1, 0, 1 (NaN passes) ---------------------------------------------------------------

EVAL_UNARY(sign, x > 0 ? 1 : x < 0 ? -1 : x)

static EVal emit_sign(Emit *e, const Inst *inst, const EVal *arg) {
  (void)inst;
  EVal x = arg[0], zero = emit_const(e, x, 0);
  EVal negative = e->select(e, emit_lt(e, x, zero), emit_const(e, x, -1), x);
  return e->select(e, emit_lt(e, zero, x), emit_const(e, x, 1), negative);
}

OP(sign){
    .name = "sign",
    .doc = "-1, 0 or 1 as x is negative, zero or positive. NaN passes.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD | OPF_KINK | OPF_USER,
    .example = "f32[3, 4] | i32[5]",
    .kinks = {0},
    .n_kinks = 1,
    .type_fn = type_number_unary,
    .fold = fold_constants,
    .eval = eval_sign,
    .emit = emit_sign,
};
