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

#endif
