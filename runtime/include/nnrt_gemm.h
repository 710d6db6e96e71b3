// How a product is cut into tiles: pure functions of its shape, the same for every CPU level, used
// by the compiler (schedule, tables) and by the kernel. Measured; see "Products" in
// compiler/HACKING.md.
#ifndef NNRT_GEMM_H
#define NNRT_GEMM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  int64_t rows, cols; // of C that one tile makes; cols is a multiple of 16
  uint32_t scratch;   // bytes per thread
} NnrtGemmTile;

// Terms of the sum that are taken at a time: a panel of B of so many rows stays in the L2 cache.
// K < 0: -K terms an example; batches of few terms need little room.
static inline int64_t nnrt_gemm_depth(int64_t K) {
  enum { MOST = 2048, OF_BATCHES = 512 };
  return K == 0 ? 1 : K > 0 && K < MOST ? K : K < 0 && K > -16 ? OF_BATCHES : MOST;
}

// Are panels copied into scratch? Of B, where its columns lie apart (`transposed`: B[k, n] has its
// neighbours along k) it must be; else it pays where many row blocks use it and rows of B are so
// long that the lines of a panel would push each other out of the caches; then of A too where it
// lies transposed. M < 0: -M rows an example.
static inline bool nnrt_gemm_packs(int64_t M, int64_t N, bool transposed) {
  return N != 1 && (transposed || (N >= 256 && (M >= 256 || M <= -32)));
}

// Bytes of scratch: the tile's sums, and the panels.
static inline uint32_t nnrt_gemm_scratch(int64_t rows, int64_t cols, int64_t K, bool packed) {
  int64_t depth = packed ? (nnrt_gemm_depth(K) + 15) / 16 * 16 : 0;
  return (uint32_t)((rows * cols + depth * (cols + rows)) * (int64_t)sizeof(float));
}

// Tile of C[M, N] = sum over K. M, K < 0: not known (they depend on the number of rows of a call).
// packed: what nnrt_gemm_packs says.
static inline NnrtGemmTile nnrt_gemm_tile(int64_t M, int64_t N, int64_t K, bool packed) {
  // As small as costs nothing, so that two threads share even 32 x 64. Columns are split rather
  // than rows: a thread keeps to its columns of a weight, forward, in the gradient and in the
  // update.
  NnrtGemmTile t = {32, N >= 0 && N <= 128 ? 32 : 64, 0};
  if (N >= 0 && N < t.cols)
    t.cols = N > 16 ? (N + 15) / 16 * 16 : 16;
  if (M >= 0 && M < t.rows)
    t.rows = M > 0 ? M : 1;
  t.scratch = nnrt_gemm_scratch(t.rows, t.cols, K, packed);
  return t;
}

// The order of tiles: all row blocks of a column block, then the next column block; then the next
// matrix of a batch. Neighbours share the panel of B.
static inline int64_t nnrt_gemm_tiles(int64_t M, int64_t N, int64_t rows, int64_t cols) {
  return ((M + rows - 1) / rows) * ((N + cols - 1) / cols);
}

#endif
