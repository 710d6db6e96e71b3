// Numerically stable forms, found by pattern whoever wrote the formula.
#ifndef NNC_STABLE_H
#define NNC_STABLE_H

#include "ops/op.h"

// A better value for the result of inst, or NULL.
Value *stable_form(Builder *b, Inst *inst);

#endif
