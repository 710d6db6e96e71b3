// What differentiating a function and differentiating the body of a scan share.
#ifndef NNC_GRAD_H
#define NNC_GRAD_H

#include "ops/op.h"

typedef struct GradSink GradSink;

// Marks in `active`, by Value.id, what depends on marked values, from `first` to before `end`.
void grad_spread_active(const Inst *first, const Inst *end, bool *active);
// No gradient yet. n: how many values are numbered; active: those that get one.
GradSink *grad_sink(Module *m, uint32_t n, const bool *active);
// Adds d, of that support (pass/gradmask.h), to the gradient of v.
void grad_seed(GradSink *sink, Builder *b, const Value *v, Value *d, Value *support);
Value *grad_of(const GradSink *sink, const Value *v); // so far, or NULL
Value *grad_support(const GradSink *sink, const Value *v);
// What the rule of inst gives argument `arg` for d; NULL: nothing.
Value *grad_alone(Builder *b, Inst *inst, uint32_t arg, Value *d);
// From `last` back to the start of its region; gradients are put at b. last may be NULL.
void grad_sweep(GradSink *sink, Builder *b, Inst *last);

#endif
