// For tests of kernels in C: each is built once per CPU level (BUILD/tests/kernels/NAME-vLEVEL)
// from the kernel's own source, and skips itself where the machine lacks the level.
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime/kernels/kernel.h"

static inline bool test_can_run(const char *name) {
  __builtin_cpu_init();
  bool can = NNRT_LEVEL <= 2 || (NNRT_LEVEL == 3 ? __builtin_cpu_supports("x86-64-v3")
                                                 : __builtin_cpu_supports("x86-64-v4"));
  if (!can)
    printf("SKIP %s-v%d: this CPU has no x86-64-v%d\n", name, NNRT_LEVEL, NNRT_LEVEL);
  return can;
}

// A number in [0, 1): a linear congruence is random enough here.
static inline double test_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 33) / 2147483648.0;
}

#endif
