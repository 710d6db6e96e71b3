// Random functions over a batch of N rows, and arguments for them: what the passes and the code
// generator are tried on. The same seed gives the same function.
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "ir/ir.h"

typedef struct {
  uint32_t operations; // about so many
  bool updates;        // some params and slots are overwritten
  bool big;            // larger axes, so that there are several tiles
  bool scans;          // loops among the operations, also in each other
  bool gradients;      // results are gradients, too: pass grad is needed
} RandomGraph;

// Elementwise operations, broadcasts, reductions, products, transposes, reshapes, slices, pads,
// concatenations, comparisons, gathers, loops. Values stay of moderate size, so that f32 can be
// compared with double. Verified.
Function *random_graph(Module *m, const char *name, uint64_t seed, RandomGraph kind);
// One tensor for every argument of f, with N = n. Values are multiples of 1/64: exact in f32.
const Tensor **random_arguments(Arena *arena, const Function *f, int64_t n, uint64_t seed);

#endif
