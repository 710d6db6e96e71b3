// The register block that products and convolutions are made of, as straight-line code for rows
// 0..15 and vectors 0..3, of which constants keep what is used: loops to be unrolled would take
// LLVM more than half of the time that it spends on a product.
#ifndef NNRT_BLOCK_H
#define NNRT_BLOCK_H

#include "kernel.h"

enum { MAX_HEIGHT = 16 };
#define ROWS(X)                                                                                    \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#ifndef VECTORS // of a row; the includer may need fewer
#define VECTORS(X) X(0) X(1) X(2) X(3)
#endif

typedef struct {
  v16f at[4];
} Row;

KERNEL v16f load(const float *p) {
  return *(const v16f *)p;
}

KERNEL Row load_row(const float *p, int nr) {
  Row r = {{{0}}};
#define LOAD(j)                                                                                    \
  if (j < nr)                                                                                      \
    r.at[j] = load(p + LANES * j);
  VECTORS(LOAD)
  return r;
}

KERNEL void store_row(const Row *r, float *p, int nr) {
#define STORE(j)                                                                                   \
  if (j < nr)                                                                                      \
    *(v16f *)(p + LANES * j) = r->at[j];
  VECTORS(STORE)
}

KERNEL void multiply_row(Row *sum, float a, const Row *b, int nr) {
  v16f v = SPLAT(a);
#define MULTIPLY(j)                                                                                \
  if (j < nr)                                                                                      \
    sum->at[j] = FMA(v, b->at[j], sum->at[j]);
  VECTORS(MULTIPLY)
}

// 4 x 4 floats with neighbours along k, transposed.
KERNEL void transpose_4(const float *const *column, int64_t k, float *to, int64_t ld) {
  typedef float v4f __attribute__((vector_size(16), aligned(4)));
  v4f x = *(const v4f *)(column[0] + k), y = *(const v4f *)(column[1] + k);
  v4f z = *(const v4f *)(column[2] + k), w = *(const v4f *)(column[3] + k);
  v4f xz = __builtin_shufflevector(x, z, 0, 4, 1, 5),
      yw = __builtin_shufflevector(y, w, 0, 4, 1, 5);
  *(v4f *)to = __builtin_shufflevector(xz, yw, 0, 4, 1, 5);
  *(v4f *)(to + ld) = __builtin_shufflevector(xz, yw, 2, 6, 3, 7);
  xz = __builtin_shufflevector(x, z, 2, 6, 3, 7);
  yw = __builtin_shufflevector(y, w, 2, 6, 3, 7);
  *(v4f *)(to + 2 * ld) = __builtin_shufflevector(xz, yw, 0, 4, 1, 5);
  *(v4f *)(to + 3 * ld) = __builtin_shufflevector(xz, yw, 2, 6, 3, 7);
}

#endif
