// Gradients to a side that a `select` did not take (rule 12): gradmask.c along elementwise chains,
// gradsupport.c through everything else.
#ifndef NNC_GRADMASK_H
#define NNC_GRADMASK_H

#include "pass/grad.h"

// Where d is known to be exactly 0, because a select did not take that side.
typedef struct {
  Value *condition; // NULL: nothing is known
  bool taken;       // d is 0 wherever condition is not this
} GradMask;

GradMask grad_mask(Builder *b, Value *d);
// d, made from `from` that has the mask: 0 there as well, whatever it was multiplied by.
Value *grad_masked(Builder *b, GradMask mask, Value *d, const Value *from);
bool grad_is_multiple(Value *d, const Value *of); // by a constant

// The support of the gradient of a value: a condition of its shape outside of which the gradient is
// exactly 0, because a `select` of the program took the other side. NULL: nothing is known. Of
// argument `arg` of inst, given that of its (one) result:
Value *support_of_argument(Builder *b, Inst *inst, uint32_t arg, Value *support);
Value *support_of_sum(Builder *b, Value *s, Value *t); // of two gradients added
bool support_starts(const Inst *inst);                 // is it a select that gives one?
bool support_is_param(const Value *v);                 // nothing is behind it, and it is finite
// Axes of s are left out: is it true anywhere along them?
Value *support_along(Builder *b, Value *s, const uint32_t *axes, uint32_t n);
// For a product: inst with 0 in place of what belongs to no part of the support. What is left out
// there may be infinite.
Inst *support_product(Builder *b, Inst *inst, Value *support);
// d with 0 outside of the support; d itself if `mask` or the operation makes sure of that already.
Value *support_masked(Builder *b, const Inst *inst, Value *support, GradMask mask, Value *d);

#endif
