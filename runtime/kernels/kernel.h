// What kernels in C share. They are compiled to bitcode, once per CPU level, with the optimiser off,
// and specialised by the code generator: it calls them with constant arguments and inlines them.
// Explicit FMA only; no contraction, no reassociation. Reductions have 16 fixed lanes.
#ifndef NNRT_KERNEL_H
#define NNRT_KERNEL_H

#include <stdint.h>
#include "nnrt.h"

#define KERNEL static inline __attribute__((always_inline, unused))
#define EXPORT __attribute__((always_inline, used)) inline // seen by the code generator

enum { LANES = 16 };
typedef float v16f __attribute__((vector_size(64), aligned(4)));
typedef int32_t v16i __attribute__((vector_size(64), aligned(4)));
typedef uint32_t v16u __attribute__((vector_size(64), aligned(4)));
typedef double v16d __attribute__((vector_size(128), aligned(8)));

#if defined(__FMA__)
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#else // x86-64-v2 has none: rounded twice, in software it would be a hundred times slower
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

// A generated function on 16 neighbours of one row of a product: lanes [col, col+16) of row `row`.
// It may read its operands past the row's end (buffers have slack) but stores extra results only for
// `lanes` lanes. It returns what is stored in the product's own buffer.
typedef v16f (*NnrtEpilogue)(v16f acc, const NnrtArgs *args, int64_t row, int64_t col, int32_t lanes);

// C[m, n] = epilogue(sum_k A[m, k] B[k, n]) for rows [m0, m1) and columns [n0, n1).
// A[m, k] = a[m*a_m + k*a_k], B[k, n] = b[k*b_k + n*b_n], C[m, n] = c[m*ldc + n]. One of b_k, b_n is 1.
// Each element is one chain of FMAs over k = 0, 1, ..., K-1: the same bits for any blocking.
// scratch: room for a packed panel of B (and of A), see nnrt_gemm_scratch() in gemm.c.
// void nnrt_gemm_f32(const float *a, int64_t a_m, int64_t a_k, const float *b, int64_t b_k, int64_t b_n,
//                    float *c, int64_t ldc, int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t K,
//                    void *scratch, NnrtEpilogue epilogue, const NnrtArgs *args);

#endif
