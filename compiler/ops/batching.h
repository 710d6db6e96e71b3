// The `.batch` rules that operation records name.
#ifndef NNC_BATCHING_H
#define NNC_BATCHING_H

#include "ops/op.h"

#define BATCH_RULE(name)                                                                           \
  Value *batch_##name(Builder *b, Inst *inst, Value *const *arg, const bool *batched)
BATCH_RULE(broadcast);
BATCH_RULE(reshape);
BATCH_RULE(transpose);
BATCH_RULE(slice);
BATCH_RULE(pad);
BATCH_RULE(axes); // sum and the like: attribute `axes` alone
BATCH_RULE(axis); // argmax, reverse, concat: attribute `axis` alone
BATCH_RULE(dot);
BATCH_RULE(batch_sum);
BATCH_RULE(batch_roll);
BATCH_RULE(gather);
BATCH_RULE(scatter_add);
BATCH_RULE(add_rows);
BATCH_RULE(conv);
BATCH_RULE(images); // pooling, sampling: every argument is images

// x over the batch: broadcast to [N, ...] unless it is there already.
Value *with_rows(Builder *b, Value *x, bool batched, Dim rows);
// How many rows: N in pass batch, the turns of a loop in pass hoist.
Dim rows_of(const Inst *inst, Value *const *arg, const bool *batched);

#endif
