// What the records share: checks of types, walks over tensors, small algebra.
#include "ops/rules.h"

#include <math.h>

const char *words(Module *m, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *text = arena_vprintf(m->arena, format, args);
  va_end(args);
  return text;
}

// ---- types -------------------------------------------------------------------------------------

bool any_batched(Value *const *arg, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (arg[i]->type.batched)
      return true;
  return false;
}

bool elem_is_number(ElemType elem) {
  return elem_is_float(elem) || elem == TY_I32;
}

const char *expect_float(Module *m, Value *x) {
  if (elem_is_float(x->type.elem))
    return NULL;
  return words(m, "it needs floating point, not %s", type_text(m->arena, &x->type));
}

const char *expect_number(Module *m, Value *x) {
  if (elem_is_number(x->type.elem))
    return NULL;
  return words(m, "there is no arithmetic on %s; convert it to f32 or i32 first",
               type_text(m->arena, &x->type));
}

const char *expect_shape(Module *m, Value *x, Value *y) {
  if (type_same_shape(&x->type, &y->type))
    return NULL;
  return words(m, "the shapes differ: %s and %s", type_text(m->arena, &x->type),
               type_text(m->arena, &y->type));
}

const char *expect_alike(Module *m, Value *x, Value *y) {
  if (x->type.elem == y->type.elem)
    return expect_shape(m, x, y);
  return words(m, "the element types differ: %s and %s", type_text(m->arena, &x->type),
               type_text(m->arena, &y->type));
}

const char *expect_axes(Module *m, const Attr *axes, uint32_t rank) {
  for (uint32_t i = 0; i < axes->n; i++) {
    if (axes->dims[i] < 0 || axes->dims[i] >= rank)
      return words(m, "there is no axis %lld in %u dimensions", (long long)axes->dims[i], rank);
    if (i && axes->dims[i] <= axes->dims[i - 1])
      return words(m, "axes must be given once each, in increasing order");
  }
  return NULL;
}

Type unranged(Type type) {
  type.range = 0;
  return type;
}

// ---- walks over tensors ------------------------------------------------------------------------

void position_of(const Type *type, int64_t flat, int64_t *at) {
  for (uint32_t i = type->rank; i-- > 0;) {
    at[i] = flat % type->dim[i];
    flat /= type->dim[i];
  }
}

int64_t flat_of(const Type *type, const int64_t *at) {
  int64_t flat = 0;
  for (uint32_t i = 0; i < type->rank; i++)
    flat = flat * type->dim[i] + at[i];
  return flat;
}

void strides_of(const Type *type, int64_t *stride) {
  int64_t step = 1;
  for (uint32_t i = type->rank; i-- > 0;) {
    stride[i] = step;
    step *= type->dim[i];
  }
}

// ---- small algebra -----------------------------------------------------------------------------

Inst *made_by(const Value *v, Op op) {
  return v->def && v->def->op == op ? v->def : NULL;
}

bool is_splat(const Value *v, double *value) {
  if (!made_by(v, OP_const))
    return false;
  *value = inst_attr(v->def, "value")->f;
  return true;
}

bool is_splat_of(const Value *v, double value) {
  double found;
  return is_splat(v, &found) && found == value;
}

Value *like_const(Builder *b, const Value *like, double value) {
  return ir_const(b, unranged(like->type), value);
}

double round_to(ElemType elem, double x) {
  switch (elem) {
  case TY_F32:
  case TY_BF16: // held as f32: the kernels round when they store
    return (float)x;
  case TY_F64:
    return x;
  case TY_I32:
  case TY_U8:
  case TY_BOOL:
    return trunc(x);
  }
  return x;
}

Value *fold_constants(Builder *b, Inst *inst) {
  Type type = inst->result[0]->type;
  double value[4], folded;
  Tensor scalar[4], result = {type_scalar(type.elem), 1, &folded}, *out = &result;
  const Tensor *in[4];
  if (inst->n_args > 4 || type.batched)
    return NULL;
  for (uint32_t i = 0; i < inst->n_args; i++) {
    if (!is_splat(inst->arg[i], &value[i]))
      return NULL;
    scalar[i] = (Tensor){type_scalar(inst->arg[i]->type.elem), 1, &value[i]};
    in[i] = &scalar[i];
  }
  op_table[inst->op]->eval(inst, 1, in, &out);
  return ir_const(b, type, round_to(type.elem, folded));
}

Value *fold_moved_constant(Builder *b, Inst *inst) {
  double value;
  return is_splat(inst->arg[0], &value) ? ir_const(b, inst->result[0]->type, value) : NULL;
}

Value *negated(Builder *b, Value *x) {
  return ir_unary(b, OP_neg, x);
}

Value *times(Builder *b, Value *x, double k) {
  return ir_binary(b, OP_mul, x, like_const(b, x, k));
}

Value *masked(Builder *b, Value *mask, Value *x) {
  return ir_select(b, mask, x, like_const(b, x, 0));
}

bool exact_power_of_two(double x) {
  int exponent;
  return isfinite(x) && x != 0 && fabs(frexp(x, &exponent)) == 0.5 && exponent > -100 &&
         exponent < 100;
}

uint32_t axes_of(const Attr *attr, uint32_t *axes) {
  for (uint32_t i = 0; i < attr->n; i++)
    axes[i] = (uint32_t)attr->dims[i];
  return attr->n;
}

// ---- elementwise -------------------------------------------------------------------------------

static const char *unary_result(const char *wrong, Value *const *arg, Type *result) {
  *result = unranged(arg[0]->type);
  return wrong;
}

const char *type_float_unary(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)n, (void)attr;
  return unary_result(expect_float(m, arg[0]), arg, result);
}

const char *type_number_unary(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                              Type *result) {
  (void)n, (void)attr;
  return unary_result(expect_number(m, arg[0]), arg, result);
}

static const char *binary_result(Module *m, Value *const *arg, Type *result) {
  *result = unranged(arg[0]->type);
  result->batched = any_batched(arg, 2);
  return expect_alike(m, arg[0], arg[1]);
}

const char *type_number_binary(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  (void)n, (void)attr;
  const char *wrong = expect_number(m, arg[0]);
  return wrong ? wrong : binary_result(m, arg, result);
}

const char *type_float_binary(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                              Type *result) {
  (void)n, (void)attr;
  const char *wrong = expect_float(m, arg[0]);
  return wrong ? wrong : binary_result(m, arg, result);
}
