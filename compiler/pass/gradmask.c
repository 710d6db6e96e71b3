// Gradients to a side that a `select` did not take (rule 12). Its own rule sends exactly 0 there,
// but the instructions of that side multiply by their derivatives, and 0 times the infinite
// derivative of sqrt at 0 is NaN. So along elementwise chains the condition is carried on:
// select(c, dz, 0) * f'(x) becomes select(c, select(c, dz, 0) * f'(x), 0).
#include "pass/gradmask.h"

static Inst *made_by(const Value *v, Op op) {
  return v->def && v->def->op == op ? v->def : NULL;
}

static bool is_zero(const Value *v) {
  Inst *constant = made_by(v, OP_const);
  return constant && inst_attr(constant, "value")->f == 0;
}

// What v is a constant multiple of, itself included.
static Value *unscaled(Value *v) {
  for (;;) {
    if (made_by(v, OP_neg) || made_by(v, OP_convert))
      v = v->def->arg[0];
    else if (made_by(v, OP_mul) && made_by(v->def->arg[1], OP_const))
      v = v->def->arg[0];
    else if (made_by(v, OP_mul) && made_by(v->def->arg[0], OP_const))
      v = v->def->arg[1];
    else
      return v;
  }
}

GradMask grad_mask(Builder *b, Value *d) {
  d = unscaled(d);
  Inst *inst = d->def;
  if (!inst)
    return (GradMask){NULL, false};
  if (inst->op == OP_select && is_zero(inst->arg[2]))
    return (GradMask){inst->arg[0], true};
  if (inst->op == OP_select && is_zero(inst->arg[1]))
    return (GradMask){inst->arg[0], false};
  if (op_table[inst->op]->kind != K_SHAPE || inst->n_args != 1 || inst->op == OP_pad)
    return (GradMask){NULL, false};
  GradMask mask = grad_mask(b, inst->arg[0]);
  if (mask.condition) // moved as d was
    mask.condition = ir_inst(b, inst->op, &mask.condition, 1, inst->attr, inst->n_attrs)->result[0];
  return mask;
}

bool grad_is_multiple(Value *d, const Value *of) {
  return of && unscaled(d) == of;
}

Value *grad_masked(Builder *b, GradMask mask, Value *d, const Value *from) {
  if (!mask.condition || unscaled(d) == from || !type_same_shape(&mask.condition->type, &d->type))
    return d;
  Value *zero = ir_const(b, d->type, 0);
  return mask.taken ? ir_select(b, mask.condition, d, zero) : ir_select(b, mask.condition, zero, d);
}
