// What convolutions and pooling share: rows of lanes, and which places of two images meet.
#ifndef NNRT_WINDOW_H
#define NNRT_WINDOW_H

#include "kernel.h"

KERNEL v16f load_lanes(const float *p, int64_t lanes) {
  if (lanes >= LANES)
    return *(const v16f *)p;
  v16f v = {0};
#pragma clang loop unroll(full)
  for (int i = 0; i < LANES - 1; i++)
    if (i < lanes)
      v[i] = p[i];
  return v;
}

KERNEL v16f load_16(const float *p) {
  return *(const v16f *)p;
}

KERNEL int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// The number of an element of the kernel's other side: i * stride + k * dilation - low, or -1 if
// there is none below `size`.
KERNEL int64_t covered(int64_t i, int64_t k, int64_t stride, int64_t dilation, int64_t low,
                       int64_t size) {
  int64_t at = i * stride + k * dilation - low;
  return at >= 0 && at < size ? at : -1;
}

// The pixel of the result that reads pixel `at` by element k of the filter, or -1.
KERNEL int64_t reader(int64_t at, int64_t k, int64_t stride, int64_t dilation, int64_t low,
                      int64_t size) {
  int64_t i = at + low - k * dilation;
  return i >= 0 && i % stride == 0 && i / stride < size ? i / stride : -1;
}

#endif
