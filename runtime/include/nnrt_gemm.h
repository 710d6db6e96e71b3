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

enum {
  NNRT_GEMM_TALL = 64,        // rows an example from which on a product is tall,
  NNRT_GEMM_KEPT = 64 * 1024, // if B has no more elements: it stays in the L2 cache
  NNRT_GEMM_DEEP = 64,        // terms an example from which on the sum over them is deep,
  NNRT_GEMM_PIECE = 256,      // so many of them are taken at a time
  NNRT_GEMM_WHOLE = 8 * 1024, // elements of a weight that each thread reads whole
};

// Many rows, few columns and terms, as pixels times a filter of one: a tile has all columns, so
// that A is read once and C is written in order. M < 0: -M rows an example.
static inline bool nnrt_gemm_tall(int64_t M, int64_t N, int64_t K) {
  return M <= -NNRT_GEMM_TALL && N > 1 && N <= 1024 && K > 0 && N * K <= NNRT_GEMM_KEPT;
}

// A sum over the pixels of all examples: the gradient of such a filter. K < 0: -K an example.
static inline bool nnrt_gemm_deep(int64_t M, int64_t N, int64_t K) {
  return K <= -NNRT_GEMM_DEEP && M >= 32 && N >= 32;
}

// Terms of the sum that are taken at a time: so many rows of B stay in the L2 cache, or in a deep
// sum of both sides. Batches of few terms need little room.
static inline int64_t nnrt_gemm_depth(int64_t M, int64_t N, int64_t K) {
  enum { MOST = 2048, FEW = 512 };
  if (nnrt_gemm_deep(M, N, K))
    return NNRT_GEMM_PIECE;
  if (K < 0 && K > -16)
    return FEW;
  return K == 0 ? 1 : K > 0 && K < MOST ? K : MOST;
}

// Are panels copied into scratch? Of B, where its columns lie apart (`transposed`: B[k, n] has its
// neighbours along k) it must be; else it pays where many row blocks use it and rows of B are so
// long that the lines of a panel would push each other out of the caches; then of A too where it
// lies transposed. Deep sums use a panel too seldom: they ask for its rows ahead.
static inline bool nnrt_gemm_packs(int64_t M, int64_t N, int64_t K, bool transposed) {
  bool wide = N >= 256 && (M >= 256 || M <= -32) && !nnrt_gemm_deep(M, N, K);
  return N != 1 && (transposed || wide || nnrt_gemm_tall(M, N, K));
}

// Bytes of scratch: the tile's sums, and the panels, of whole register blocks.
static inline uint32_t nnrt_gemm_scratch(int64_t rows, int64_t cols, int64_t depth, bool packed) {
  int64_t room = packed ? (depth + 15) / 16 * 16 : 0;
  int64_t panels = room * ((cols + 31) / 32 * 32 + rows + 16);
  return (uint32_t)((rows * cols + panels) * (int64_t)sizeof(float));
}

// Tile of C[M, N] = sum over K. M, K < 0: not known (they depend on the number of rows of a call).
// packed: what nnrt_gemm_packs says.
static inline NnrtGemmTile nnrt_gemm_tile(int64_t M, int64_t N, int64_t K, bool packed) {
  // As small as costs nothing, so that two threads share even 32 x 64. Columns are split rather
  // than rows: a thread keeps to its columns of a weight, forward, in the gradient and in the
  // update.
  NnrtGemmTile t = {32, N >= 0 && N <= 128 ? 32 : 64, 0};
  if (nnrt_gemm_deep(M, N, K)) {
    t.rows = 64;
    t.cols = (M + 63) / 64 * ((N + 63) / 64) < 4 ? 32 : 64;
  }
  if (nnrt_gemm_tall(M, N, K))
    t.cols = N > 32 ? (N + 31) / 32 * 32 : N; // of whole register blocks
  else if (N >= 0 && N < t.cols)
    t.cols = N > 1 ? N : 1;
  // The gradient of such a weight, and so its update: rows that lie together. Beside parts of rows
  // a core fetches unasked what another one is about to write.
  if (K < 0 && !nnrt_gemm_deep(M, N, K) && M >= 32 && N > 32 && M * N <= NNRT_GEMM_WHOLE) {
    t.rows = 16;
    t.cols = N;
  }
  t.cols = (t.cols + 15) / 16 * 16;
  if (M >= 0 && M < t.rows)
    t.rows = M > 0 ? M : 1;
  t.scratch = nnrt_gemm_scratch(t.rows, t.cols, nnrt_gemm_depth(M, N, K), packed);
  return t;
}

// The order of tiles: all row blocks of a column block, then the next column block; then the next
// matrix of a batch. Neighbours share the panel of B.
static inline int64_t nnrt_gemm_tiles(int64_t M, int64_t N, int64_t rows, int64_t cols) {
  return ((M + rows - 1) / rows) * ((N + cols - 1) / cols);
}

#endif
