// Elementwise comparison, logic, choice and conversion.
#include "ops/rules.h"

#include <math.h>

// ---- comparisons: bool; any two of equal type --------------------------------------------------

static const char *type_compare(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                Type *result) {
  (void)n, (void)attr;
  *result = unranged(arg[0]->type);
  result->elem = TY_BOOL;
  result->batched = any_batched(arg, 2);
  return expect_alike(m, arg[0], arg[1]);
}

static EVal emit_compare(Emit *e, EOp op, EVal x, EVal y) {
  return e->binary(e, op, x, y);
}

#define COMPARISON_EXAMPLE "f32[3, 4], f32[3, 4] | i32[5], i32[5]"
#define EMIT_AS(op, how)                                                                           \
  static EVal emit_##op(Emit *e, const Inst *inst, const EVal *arg) {                              \
    (void)inst;                                                                                    \
    return how;                                                                                    \
  }

EVAL_BINARY(lt, x < y)
EVAL_BINARY(le, x <= y)
EVAL_BINARY(gt, x > y)
EVAL_BINARY(ge, x >= y)
EVAL_BINARY(eq, x == y)
EVAL_BINARY(ne, x != y)
EMIT_AS(lt_op, emit_compare(e, E_LT, arg[0], arg[1]))
EMIT_AS(le, emit_compare(e, E_LE, arg[0], arg[1]))
EMIT_AS(gt, emit_compare(e, E_LT, arg[1], arg[0]))
EMIT_AS(ge, emit_compare(e, E_LE, arg[1], arg[0]))
EMIT_AS(eq, emit_compare(e, E_EQ, arg[0], arg[1]))
EMIT_AS(ne, emit_compare(e, E_NE, arg[0], arg[1]))

OP(lt){
    .name = "lt",
    .doc = "x < y.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD,
    .example = COMPARISON_EXAMPLE,
    .type_fn = type_compare,
    .fold = fold_constants,
    .eval = eval_lt,
    .emit = emit_lt_op,
};

OP(le){
    .name = "le",
    .doc = "x <= y.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD,
    .example = COMPARISON_EXAMPLE,
    .type_fn = type_compare,
    .fold = fold_constants,
    .eval = eval_le,
    .emit = emit_le,
};

OP(gt){
    .name = "gt",
    .doc = "x > y.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD,
    .example = COMPARISON_EXAMPLE,
    .type_fn = type_compare,
    .fold = fold_constants,
    .eval = eval_gt,
    .emit = emit_gt,
};

OP(ge){
    .name = "ge",
    .doc = "x >= y.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD,
    .example = COMPARISON_EXAMPLE,
    .type_fn = type_compare,
    .fold = fold_constants,
    .eval = eval_ge,
    .emit = emit_ge,
};

OP(eq){
    .name = "eq",
    .doc = "x == y.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD | OPF_COMMUTES,
    .example = COMPARISON_EXAMPLE,
    .type_fn = type_compare,
    .fold = fold_constants,
    .eval = eval_eq,
    .emit = emit_eq,
};

OP(ne){
    .name = "ne",
    .doc = "x != y: true if either is NaN.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD | OPF_COMMUTES,
    .example = COMPARISON_EXAMPLE,
    .type_fn = type_compare,
    .fold = fold_constants,
    .eval = eval_ne,
    .emit = emit_ne,
};

// ---- and, or, not ------------------------------------------------------------------------------

static const char *type_logic(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                              Type *result) {
  (void)attr;
  *result = arg[0]->type;
  result->batched = any_batched(arg, n);
  for (uint32_t i = 0; i < n; i++)
    if (arg[i]->type.elem != TY_BOOL)
      return words(m, "it needs bool, not %s", type_text(m->arena, &arg[i]->type));
  return n == 2 ? expect_shape(m, arg[0], arg[1]) : NULL;
}

// The constant `absorbing` decides, its opposite changes nothing.
static Value *fold_logic(Builder *b, Inst *inst, double absorbing) {
  Value *known = fold_constants(b, inst);
  if (known)
    return known;
  for (uint32_t i = 0; i < 2; i++)
    if (is_splat_of(inst->arg[i], !absorbing) || inst->arg[0] == inst->arg[1])
      return inst->arg[1 - i];
    else if (is_splat_of(inst->arg[i], absorbing))
      return inst->arg[i];
  return NULL;
}

static Value *fold_and(Builder *b, Inst *inst) {
  return fold_logic(b, inst, 0);
}
static Value *fold_or(Builder *b, Inst *inst) {
  return fold_logic(b, inst, 1);
}

static Value *fold_not(Builder *b, Inst *inst) {
  Inst *inner = made_by(inst->arg[0], OP_not);
  return inner ? inner->arg[0] : fold_constants(b, inst);
}

EVAL_BINARY(and, x != 0 && y != 0)
EVAL_BINARY(or, x != 0 || y != 0)
EVAL_UNARY(not, x == 0)
EMIT_AS(and, e->binary(e, E_AND, arg[0], arg[1]))
EMIT_AS(or, e->binary(e, E_OR, arg[0], arg[1]))
EMIT_AS(not, e->unary(e, E_NOT, arg[0]))

OP(and){
    .name = "and",
    .doc = "Both are true.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD | OPF_COMMUTES,
    .example = "bool[7], bool[7]",
    .type_fn = type_logic,
    .fold = fold_and,
    .eval = eval_and,
    .emit = emit_and,
};

OP(or){
    .name = "or",
    .doc = "At least one is true.",
    .sig = "x, y",
    .math = "dx = 0, dy = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD | OPF_COMMUTES,
    .example = "bool[7], bool[7]",
    .type_fn = type_logic,
    .fold = fold_or,
    .eval = eval_or,
    .emit = emit_or,
};

OP(not ){
    .name = "not",
    .doc = "True where x is false.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP | OPF_ZERO_GRAD,
    .example = "bool[7]",
    .type_fn = type_logic,
    .fold = fold_not,
    .eval = eval_not,
    .emit = emit_not,
};

// ---- select: z = c ? x : y     dx = c ? dz : 0, dy = c ? 0 : dz --------------------------------

static const char *type_select(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  (void)n, (void)attr;
  if (arg[0]->type.elem != TY_BOOL)
    return words(m, "the condition is %s, not bool", type_text(m->arena, &arg[0]->type));
  const char *wrong = expect_shape(m, arg[0], arg[1]);
  if (!wrong)
    wrong = expect_alike(m, arg[1], arg[2]);
  int64_t r1 = arg[1]->type.range, r2 = arg[2]->type.range;
  *result = arg[1]->type;
  result->range = r1 && r2 ? (r1 > r2 ? r1 : r2) : 0;
  result->batched = any_batched(arg, 3);
  return wrong;
}

// The side not taken gets exactly 0, also where dz is infinite or NaN: a multiplication by the mask
// would not do that.
static void grad_select(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *zero = like_const(b, dres[0], 0);
  if (grad_wanted(sink, inst, 1))
    grad_add(sink, b, inst, 1, ir_select(b, inst->arg[0], dres[0], zero));
  if (grad_wanted(sink, inst, 2))
    grad_add(sink, b, inst, 2, ir_select(b, inst->arg[0], zero, dres[0]));
}

// The factor of x that is 0 wherever this condition is false, or NULL.
static Value *vanishing_factor(const Value *x, const Value *condition, int depth) {
  const Inst *def = x->def;
  if (!def || depth == 0 || (def->op != OP_mul && def->op != OP_neg))
    return NULL;
  for (uint32_t i = 0; i < def->n_args; i++) {
    Inst *inner = made_by(def->arg[i], OP_select);
    if (inner && inner->arg[0] == condition && is_splat_of(inner->arg[2], 0))
      return def->arg[i];
    Value *factor = vanishing_factor(def->arg[i], condition, depth - 1);
    if (factor)
      return factor;
  }
  return NULL;
}

// select(c, f d, 0) with d = select(c, x, 0): whether d is 0 says it, too, and c (of what a layer
// gave, kept for it) isn't read.
static Value *fold_masked_again(Builder *b, Inst *inst) {
  if (!elem_is_float(inst->result[0]->type.elem) || !is_splat_of(inst->arg[2], 0))
    return NULL;
  Value *d = vanishing_factor(inst->arg[1], inst->arg[0], 3);
  if (!d)
    return NULL;
  Value *some = ir_binary(b, OP_ne, d, like_const(b, d, 0));
  return ir_select(b, some, inst->arg[1], inst->arg[2]);
}

static Value *fold_select(Builder *b, Inst *inst) {
  double c, x, y;
  Inst *negation = made_by(inst->arg[0], OP_not);
  if (is_splat(inst->arg[0], &c))
    return inst->arg[c != 0 ? 1 : 2];
  if (inst->arg[1] == inst->arg[2])
    return inst->arg[1];
  if (is_splat(inst->arg[1], &x) && is_splat(inst->arg[2], &y) && x == y && x != 0)
    return inst->arg[1];
  if (negation)
    return ir_select(b, negation->arg[0], inst->arg[2], inst->arg[1]);
  return fold_masked_again(b, inst);
}

static void eval_select(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)inst, (void)n;
  for (int64_t i = 0; i < result[0]->count; i++)
    result[0]->at[i] = arg[0]->at[i] != 0 ? arg[1]->at[i] : arg[2]->at[i];
}

EMIT_AS(select, e->select(e, arg[0], arg[1], arg[2]))

OP(select){
    .name = "select",
    .doc = "x where the condition is true, y elsewhere.",
    .sig = "condition, x, y",
    .math =
        "dx = dz where the condition is true, else exactly 0; dy = dz where false, else exactly 0",
    .kind = K_ELEM,
    .flags = OPF_CHEAP,
    .example = "bool[3, 4], f32[3, 4], f32[3, 4] | bool[5], i32[5]<7>, i32[5]<7>",
    .type_fn = type_select,
    .grad = grad_select,
    .fold = fold_select,
    .eval = eval_select,
    .emit = emit_select,
};

// ---- convert: dx = dy converted back -----------------------------------------------------------

static bool elem_is_whole(ElemType elem) {
  return elem == TY_I32 || elem == TY_U8;
}

static const char *type_convert(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                Type *result) {
  (void)n;
  *result = arg[0]->type;
  result->elem = attr[0].elem;
  if (attr[1].i < 0)
    return words(m, "a range must be positive, not %lld", (long long)attr[1].i);
  if (attr[1].i)
    result->range = attr[1].i;
  if (!elem_is_whole(attr[0].elem))
    result->range = 0;
  return NULL;
}

static void grad_convert(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  if (elem_is_float(inst->arg[0]->type.elem) && elem_is_float(dres[0]->type.elem))
    grad_add(sink, b, inst, 0, ir_convert(b, dres[0], inst->arg[0]->type.elem));
}

// Does every value of `from` survive in `to`?
static bool is_widening(ElemType from, ElemType to) {
  static const uint8_t wider[] = {
      [TY_F32] = 1 << TY_F32 | 1 << TY_F64,
      [TY_F64] = 1 << TY_F64,
      [TY_BF16] = 1 << TY_BF16 | 1 << TY_F32 | 1 << TY_F64,
      [TY_I32] = 1 << TY_I32 | 1 << TY_F64,
      [TY_U8] = 1 << TY_U8 | 1 << TY_I32 | 1 << TY_F32 | 1 << TY_F64 | 1 << TY_BF16,
      [TY_BOOL] = 0x3f,
  };
  return wider[from] >> to & 1;
}

static Value *fold_convert(Builder *b, Inst *inst) {
  Value *x = inst->arg[0];
  Inst *inner = made_by(x, OP_convert);
  if (type_equal(&x->type, &inst->result[0]->type))
    return x;
  if (inner && is_widening(inner->arg[0]->type.elem, x->type.elem) && !inst->result[0]->type.range)
    return ir_convert(b, inner->arg[0], inst->result[0]->type.elem);
  return fold_constants(b, inst);
}

// Floating point to whole numbers goes towards zero; anything to bool asks whether it is not 0.
static void eval_convert(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  ElemType to = inst_attr(inst, "elem")->elem;
  for (int64_t i = 0; i < result[0]->count; i++) {
    double x = arg[0]->at[i];
    result[0]->at[i] = to == TY_BOOL ? x != 0 : elem_is_whole(to) ? trunc(x) : x;
  }
}

EMIT_AS(convert, e->convert(e, arg[0], inst_attr(inst, "elem")->elem))

OP(convert){
    .name = "convert",
    .doc = "The same values as another element type. Floating point becomes whole towards zero. A "
           "range promises that the values lie in 0 .. range-1; without one that of x is kept.",
    .sig = "x; elem: elem, range: int = 0",
    .math = "dx = dy converted back; 0 for whole numbers",
    .kind = K_ELEM,
    .flags = OPF_CHEAP,
    .example = "u8[3, 4]; elem=f32 | i32[5]<7>; elem=f32 | f32[5]; elem=f64 | bool[5]; elem=i32",
    .type_fn = type_convert,
    .grad = grad_convert,
    .fold = fold_convert,
    .eval = eval_convert,
    .emit = emit_convert,
};

// ---- step, relu --------------------------------------------------------------------------------

EVAL_UNARY(step, x > 0)
EVAL_UNARY(relu, x < 0 ? 0 : x)
EMIT_AS(step, e->select(e, emit_lt(e, emit_const(e, arg[0], 0), arg[0]), emit_const(e, arg[0], 1),
                        emit_const(e, arg[0], 0)))
EMIT_AS(relu, e->select(e, emit_lt(e, arg[0], emit_const(e, arg[0], 0)), emit_const(e, arg[0], 0),
                        arg[0]))

// Asks y, which the backward pass has anyway: x need not be kept. y > 0 exactly where x > 0.
static void grad_relu(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *y = inst->result[0];
  grad_add(sink, b, inst, 0, masked(b, ir_binary(b, OP_gt, y, like_const(b, y, 0)), dres[0]));
}

static Value *fold_relu(Builder *b, Inst *inst) {
  return made_by(inst->arg[0], OP_relu) ? inst->arg[0] : fold_constants(b, inst);
}

OP(step){
    .name = "step",
    .doc = "1 where x > 0, else 0.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_ELEM,
    .flags = OPF_USER | OPF_CHEAP | OPF_ZERO_GRAD | OPF_KINK,
    .example = "f32[3, 4]",
    .kinks = {0},
    .n_kinks = 1,
    .type_fn = type_float_unary,
    .fold = fold_constants,
    .eval = eval_step,
    .emit = emit_step,
};

OP(relu){
    .name = "relu",
    .doc = "0 where x < 0, else x: NaN passes and is seen.",
    .sig = "x",
    .math = "dx = dy where y > 0, else 0",
    .kind = K_ELEM,
    .flags = OPF_USER | OPF_CHEAP | OPF_KINK,
    .example = "f32[3, 4]",
    .kinks = {0},
    .n_kinks = 1,
    .type_fn = type_float_unary,
    .grad = grad_relu,
    .fold = fold_relu,
    .eval = eval_relu,
    .emit = emit_relu,
};
