// Gradients to a side that a `select` did not take (rule 12).
#ifndef NNC_GRADMASK_H
#define NNC_GRADMASK_H

#include "ops/op.h"

// Where d is known to be exactly 0, because a select did not take that side.
typedef struct {
  Value *condition; // NULL: nothing is known
  bool taken;       // d is 0 wherever condition is not this
} GradMask;

GradMask grad_mask(Builder *b, Value *d);
// d, made from `from` that has the mask: 0 there as well, whatever it was multiplied by.
Value *grad_masked(Builder *b, GradMask mask, Value *d, const Value *from);

#endif
