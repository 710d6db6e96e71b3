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

typedef float v4f __attribute__((vector_size(16), aligned(4)));

// 4 x 4 floats with neighbours along k, transposed.
KERNEL void transpose_4(const float *const *column, int64_t k, float *to, int64_t ld) {
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

// Rows j, j + 4, j + 8, j + 12, four neighbours of each.
KERNEL v16f four_rows(const float *row, int64_t apart, int j) {
  typedef float v8f __attribute__((vector_size(32)));
  v4f a = *(const v4f *)(row + j * apart);
  v4f b = *(const v4f *)(row + (j + 4) * apart);
  v4f c = *(const v4f *)(row + (j + 8) * apart);
  v4f d = *(const v4f *)(row + (j + 12) * apart);
  v8f ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
  v8f cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7);
  return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

// Pairs from x and y by turns, of the lower or the upper half of each four.
KERNEL v16f low_pairs(v16f x, v16f y) {
  return __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
KERNEL v16f high_pairs(v16f x, v16f y) {
  return __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}

// 16 rows of four neighbours, transposed: half the shuffles and a quarter of the stores of
// transpose_4.
KERNEL void transpose_16(const float *row, int64_t apart, float *to, int64_t ld) {
  v16f x = four_rows(row, apart, 0), y = four_rows(row, apart, 1);
  v16f z = four_rows(row, apart, 2), w = four_rows(row, apart, 3);
  v16f xz = low_pairs(x, z), yw = low_pairs(y, w);
  *(v16f *)to = low_pairs(xz, yw);
  *(v16f *)(to + ld) = high_pairs(xz, yw);
  xz = high_pairs(x, z), yw = high_pairs(y, w);
  *(v16f *)(to + 2 * ld) = low_pairs(xz, yw);
  *(v16f *)(to + 3 * ld) = high_pairs(xz, yw);
}

#endif
