// Changing scans in place: their arguments, results and body go together.
#ifndef NNC_SCANS_H
#define NNC_SCANS_H

#include "ops/op.h"

// `outer` as a capture or a sequence of the scan: the body's argument. One that is there already is
// found.
Value *scan_capture(Module *m, Inst *scan, Value *outer);
Value *scan_sequence(Module *m, Inst *scan, Value *outer);
// One more carry, the last one: its result. `inner` is the body's argument; what it becomes is to
// be put into the yield in place of it.
Value *scan_carry(Module *m, Inst *scan, Value *init, Value **inner);
// Before pass batch: which values of a body are batched, given its arguments and what it reads.
void scan_spread_batched(Module *m, Region *body);
// A value of the body, stacked: the result outside; a sequence's slice is the sequence.
Value *scan_stack(Module *m, Inst *scan, Value *inner);
// Drops carries, captures, sequences and yields that nothing needs, merges equal ones, makes
// constants inside; in bodies as well. True if something changed.
bool scan_tidy(Function *f);

#endif
