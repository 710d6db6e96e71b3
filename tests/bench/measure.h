// What the benchmarks of kernels share: the clock, random operands, the FMA peak measured in the
// same run.
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "../../runtime/kernels/kernel.h"

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void fill(float *p, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    p[i] = (float)(rand() % 2001 - 1000) * 1e-3f;
}

// Memory as the runtime takes it: with large pages where there is much of it. Kernels may read 16
// lanes past the end.
static inline float *numbers(int64_t n) {
  size_t large = (size_t)2 << 20, bytes = (size_t)n * sizeof(float) + 64;
  size_t unit = bytes < 2 * large ? 64 : large;
  bytes = (bytes + unit - 1) / unit * unit;
  float *p = aligned_alloc(unit, bytes);
  if (unit == large)
    madvise(p, bytes, MADV_HUGEPAGE);
  fill(p, n + 16);
  return p;
}

static inline double peak(void) {
  enum { CHAINS = 16, STEPS = 20000 };
  v16f acc[CHAINS], half = SPLAT(0.5f);
  double best = 1;
  for (int i = 0; i < CHAINS; i++)
    acc[i] = SPLAT(i);
  for (int round = 0; round < 20; round++) {
    double start = now();
    for (int k = 0; k < STEPS; k++) {
#pragma clang loop unroll(full)
      for (int i = 0; i < CHAINS; i++)
        acc[i] = FMA(acc[i], half, half);
      __asm__ volatile("");
    }
    best = now() - start < best ? now() - start : best;
  }
  volatile float keep = 0;
  for (int i = 0; i < CHAINS; i++)
    keep = keep + acc[i][i];
  return CHAINS * LANES * 2.0 * STEPS / best * 1e-9;
}

#endif
