// Products of f32 matrices: register-blocked micro-kernels around constant sizes, specialised by
// the code generator. In: operands by strides, a range of tiles. Out: C, each element passed
// through the epilogue. A tile's sums go through a small buffer in scratch (row-major, tile_cols
// wide), so that one copy of the epilogue serves every block height, and long sums can be taken in
// pieces.
#include "block.h"
#include "nnrt_gemm.h"

// The register block: HEIGHT(nr) rows by nr vectors of 16 lanes, nr <= WIDTH. Heights divide 16
// where they can (usual batches then have no tail); enough chains to hide the latency of an FMA, no
// spills.
#if NNRT_LEVEL == 4 // 32 registers of 16 lanes
#ifndef GEMM_WIDTH
#define GEMM_WIDTH 2
#define GEMM_HEIGHT(nr) ((nr) == 1 ? 16 : 8)
#endif
#elif NNRT_LEVEL == 3 // 16 registers of 8 lanes: 6 x 2 of them, 2 of B, 1 of A
#define GEMM_WIDTH 1
#define GEMM_HEIGHT(nr) 6
#else // 16 registers of 4 lanes: 2 x 4 of them, 4 of B, 1 of A, 1 product
#define GEMM_WIDTH 1
#define GEMM_HEIGHT(nr) 2
#endif
enum {
  WIDTH = GEMM_WIDTH,
  STRIP = LANES * WIDTH, // columns
  HEIGHT = GEMM_HEIGHT(WIDTH),
  ROW_WIDTH = NNRT_LEVEL >= 3 ? 4 : 2, // of a product of one row
  AHEAD = 16,                          // rows that lie apart are asked for so early
  FAR = 3 << 19,                       // elements of a B that no cache keeps for the next row
  FAR_AHEAD = 8,                       // rows of it, that is asked for early
  FAR_COLUMNS = 1024,
};

// What the next tile reads and this one writes is asked for meanwhile: a bit with each term. Of a
// deep sum, what the next piece reads: A and B (`write`), of each a line of every row.
typedef struct {
  const char *read, *write;
  int64_t read_step, write_step; // bytes
} Fetch;

typedef struct {
  const float *a; // A[m, k] = a[m*a_m + k*a_k]
  int64_t a_m, a_k;
  const float *b; // B[k, n] = b[k*b_k + n]; packed: strip by strip, b_k = STRIP
  int64_t b_k;
  bool packed;       // B; a constant,
  bool flows, apart; // and what is asked for early: see Fetch; terms that lie apart in memory,
  bool deep;         // and of the next piece
  bool far;          // one row, and a B that comes from memory
  int64_t room;      // terms of a packed strip
  int64_t K;         // terms of this piece
  bool first;        // else go on from the sums in `sum`
  const float *next_a, *next_b; // deep: what the next piece begins with
  int64_t cols;
  float *sum;           // the tile's sums
  int64_t ld;           // of sum
  int64_t M, tile_rows; // constants that tell whether rows can be left over
} Block;

// sum[m .. m+mr, n .. n+16*nr] (+)= A B. mr and nr are constants after inlining.
LATE void block(const Block *p, Fetch *fetch, int mr, int nr, int64_t m, int64_t n) {
  Row acc[MAX_HEIGHT];
  float *sum = p->sum + m * p->ld + n;
  const float *a = p->a + m * p->a_m;
  const float *b = p->b + (p->packed ? n * p->room : n);
  const char *read = fetch->read, *write = fetch->write;
#define BEGIN(i)                                                                                   \
  if (i < mr)                                                                                      \
    acc[i] = load_row(sum + i * p->ld, p->first ? 0 : nr);
  ROWS(BEGIN)
#pragma clang loop unroll(disable)
  for (int64_t k = p->K; k > 0; k--) {
    Row bv = load_row(b, nr);
#define STEP(i)                                                                                    \
  if (i < mr)                                                                                      \
    multiply_row(&acc[i], a[i * p->a_m], &bv, nr);
    ROWS(STEP)
    if (p->apart) {
      __builtin_prefetch(a + AHEAD * p->a_k);
      __builtin_prefetch(b + AHEAD * p->b_k);
      __builtin_prefetch(b + AHEAD * p->b_k + LANES * (nr - 1));
    }
    if (p->flows || p->deep) {
      __builtin_prefetch(read, 0, 2);
      if (p->deep)
        __builtin_prefetch(write, 0, 2);
      else
        __builtin_prefetch(write, 1);
      read += fetch->read_step;
      write += fetch->write_step;
    }
    a += p->a_k;
    b += p->b_k;
  }
  if (p->flows)
    fetch->read = read, fetch->write = write;
#define END(i)                                                                                     \
  if (i < mr)                                                                                      \
    store_row(&acc[i], sum + i * p->ld, nr);
  ROWS(END)
}

// The lines of the next piece that are asked for while the block at row m is made.
KERNEL Fetch fetch_piece(const Block *p, int64_t m, int mr) {
  int64_t at = m / mr * LANES, row = sizeof(float);
  return (Fetch){(const char *)(p->next_a + at % p->tile_rows),
                 (const char *)(p->next_b + at % p->cols), p->a_k * row, p->b_k * row};
}

// All rows of one column strip of nr vectors: blocks of full height, then 8, 4, 2, 1.
KERNEL void strip(const Block *p, Fetch *fetch, int nr, int64_t rows, int64_t n) {
  const int mr = GEMM_HEIGHT(nr);
  int64_t m = 0;
  for (; m + mr <= rows; m += mr) {
    if (p->deep)
      *fetch = fetch_piece(p, m, mr);
    block(p, fetch, mr, nr, m, n);
  }
  if (p->tile_rows % mr == 0 && p->M % mr == 0)
    return; // known at compile time where M is
#define REST(h)                                                                                    \
  if (h < mr && m + h <= rows) {                                                                   \
    block(p, fetch, h, nr, m, n);                                                                  \
    m += h;                                                                                        \
  }
  REST(8) REST(4) REST(2) REST(1)
}

// A single row takes as long as B takes to arrive: wide strips, so that whole cache lines and pages
// of it come in order.
KERNEL int64_t row_sums(const Block *p, Fetch *fetch, int64_t cols) {
  int64_t n = 0;
  for (; n + LANES * ROW_WIDTH <= cols; n += LANES * ROW_WIDTH)
    block(p, fetch, 1, ROW_WIDTH, 0, n);
  return n;
}

// sum[0 .. cols] (+)= `terms` terms from k on.
KERNEL void far_terms(const Block *p, int64_t k, int terms, int64_t cols) {
  const float *a = p->a + k * p->a_k, *b = p->b + k * p->b_k;
#pragma clang loop unroll(disable)
  for (int64_t n = 0; n < cols; n += LANES * ROW_WIDTH, b += LANES * ROW_WIDTH) {
    Row acc = load_row(p->sum + n, k ? ROW_WIDTH : 0);
#pragma clang loop unroll(full)
    for (int i = 0; i < terms; i++) {
      Row bv = load_row(b + i * p->b_k, ROW_WIDTH);
      for (int j = 0; j < ROW_WIDTH; j++)
        __builtin_prefetch(b + (i + FAR_AHEAD) * p->b_k + LANES * j, 0, 2);
      multiply_row(&acc, a[i * p->a_k], &bv, ROW_WIDTH);
    }
    store_row(&acc, p->sum + n, ROW_WIDTH);
  }
}

// A single row where B comes from memory: the columns of several tiles, in long pieces, and lines
// asked for early, into the second cache. A few terms each time: sums pass through registers
// seldom.
KERNEL int64_t far_row_sums(const Block *p, int64_t cols) {
  const int64_t whole = cols - cols % (LANES * ROW_WIDTH);
  int64_t k = 0;
#pragma clang loop unroll(disable)
  for (; k + 4 <= p->K; k += 4)
    far_terms(p, k, 4, whole);
#pragma clang loop unroll(disable)
  for (; k < p->K; k++)
    far_terms(p, k, 1, whole);
  return whole;
}

// One column, A with neighbours along m: lanes along m, one chain per element.
KERNEL void lane_sums(const Block *p, int64_t rows) {
  for (int64_t m = 0; m < rows; m += LANES) {
    v16f acc = {0};
    for (int64_t k = 0; k < p->K; k++)
      acc = FMA(*(const v16f *)(p->a + m + k * p->a_k), p->b[k * p->b_k] - (v16f){0}, acc);
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++)
      if (m + i < rows)
        p->sum[(m + i) * p->ld] = acc[i];
  }
}

// The sums of a tile, `cols` columns of it; N % STRIP says what the last strip can be.
KERNEL void tile_sums(const Block *p, Fetch *fetch, int64_t rows, int64_t cols, int64_t N) {
  if (p->deep) // for rows that are no whole block
    *fetch = fetch_piece(p, 0, 1);
  int64_t n = p->far                    ? far_row_sums(p, cols)
              : p->M == 1 && !p->packed ? row_sums(p, fetch, cols)
                                        : 0;
#pragma clang loop unroll(disable)
  for (; n + STRIP <= cols; n += STRIP)
    strip(p, fetch, WIDTH, rows, n);
  int64_t rest = N % STRIP; // known where N is, unlike cols - n
  if (n >= cols || rest == 0)
    return;
  // Half a strip more is cheaper than to compile a second kind of strip; the panel has room for it,
  // and so have the sums, but rows in place may not be read so far.
  if (WIDTH == 1 || rest > LANES || (N > LANES * ROW_WIDTH && (p->packed || rest == LANES)))
    strip(p, fetch, WIDTH, rows, n);
  else
    strip(p, fetch, 1, rows, n);
}

// ---- panels -------------------------------------------------------------------------------------

// 16 columns, some past the end: 16 terms of four at a time, a whole line of each.
KERNEL void pack_few(const float *b, int64_t b_n, int64_t K, int64_t n16, int64_t cols, float *to) {
  for (int64_t k16 = 0; k16 < K; k16 += LANES)
#pragma clang loop unroll(disable)
    for (int64_t n = 0; n < LANES; n += 4) {
      const float *column[4];
#define COLUMN(i) column[i] = b + (n16 + n + i < cols ? n16 + n + i : cols - 1) * b_n;
      // clang-format off
      COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
      // clang-format on
#pragma clang loop unroll(disable)
          for (int64_t k = k16; k < k16 + LANES; k += 4)
              transpose_4(column, k, to + n + k * STRIP, STRIP);
    }
}

// panel[k, n] = b[k + n*b_n] for K terms (16 at a time: the panel has room) and `cols` columns.
// Columns past the end repeat the last one; terms past the end are neighbours that no sum takes.
// Columns a multiple of 4 KB apart push each other out of the cache, if they are more than a few.
KERNEL void pack(const float *b, int64_t b_n, int64_t K, int64_t cols, float *panel, int64_t room) {
  for (int64_t n = 0; n < cols; n += LANES) {
    float *to = panel + n / STRIP * STRIP * room + n % STRIP;
    if (n + LANES > cols || b_n % 1024 == 0) {
      pack_few(b, b_n, K, n, cols, to);
      continue;
    }
#pragma clang loop unroll(disable)
    for (int64_t k = 0; k < K; k += 4)
      transpose_16(b + n * b_n + k, b_n, to + k * STRIP, STRIP);
  }
}

// The same where the columns of a term are neighbours, in strips of `width`.
KERNEL void copy(const float *b, int64_t b_k, int64_t K, int64_t cols, float *panel, int64_t room,
                 int64_t width) {
#pragma clang loop unroll(disable)
  for (int64_t k = 0; k < K; k++)
    for (int64_t n = 0; n < cols; n += LANES)
      *(v16f *)(panel + n / width * width * room + k * width + n % width) = load(b + k * b_k + n);
}

// Rows [row, row + rows) of C from the tile's sums.
KERNEL void finish(const NnrtArgs *args, const float *sum, int64_t ld, float *c, int64_t ldc,
                   int64_t row, int64_t rows, int64_t col, int64_t cols, int64_t N,
                   NnrtEpilogue epilogue) {
#pragma clang loop unroll(disable)
  for (int64_t m = 0; m < rows; m++)
#pragma clang loop unroll(disable)
    for (int64_t n = 0; n < cols; n += LANES) {
      int32_t lanes = N % LANES == 0 || cols - n >= LANES ? LANES : (int32_t)(cols - n);
      v16f v = *(const v16f *)(sum + m * ld + n);
      if (epilogue)
        v = epilogue(v, args, row + m, col + n, lanes);
      if (c)
        store_lanes(c + (row + m) * ldc + col + n, v, lanes);
    }
}

// The fixed tree over 16 lanes that every reduction of this project ends with.
KERNEL float sum_lanes(v16f v) {
  typedef float v8f __attribute__((vector_size(32)));
  typedef float v4f __attribute__((vector_size(16)));
  v8f h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
          __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  v4f q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
  return (q[0] + q[2]) + (q[1] + q[3]);
}

// One column, both operands with neighbours along k: 16 chains per element, four rows at a time.
KERNEL void column_sums(const Block *p, int64_t rows) {
  for (int64_t m = 0; m < rows; m += 4) {
    v16f acc[4] = {{0}};
    const float *a[4];
    int64_t k = 0;
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++)
      a[i] = p->a + (m + i < rows ? m + i : rows - 1) * p->a_m;
    for (; k + LANES <= p->K; k += LANES)
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++)
        acc[i] = FMA(*(const v16f *)(a[i] + k), *(const v16f *)(p->b + k), acc[i]);
    if (k < p->K) {
      v16i lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
      v16i in =
          lane < (int32_t)(p->K - k); // lanes past the end are +0 in both: they change nothing
      v16f b = (v16f)(in & *(const v16i *)(p->b + k));
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++)
        acc[i] = FMA((v16f)(in & *(const v16i *)(a[i] + k)), b, acc[i]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++)
      if (m + i < rows)
        p->sum[(m + i) * p->ld] = sum_lanes(acc[i]);
  }
}

// While a tile is made: rows [tile_rows, 2 * tile_rows) of A, and the tile's own rows of C.
KERNEL Fetch fetch_of(const float *a, int64_t K, const float *c, int64_t ldc, int64_t tile_rows,
                      int64_t tile_cols) {
  int64_t blocks = (tile_cols + STRIP - 1) / STRIP * ((tile_rows + HEIGHT - 1) / HEIGHT);
  int64_t bytes = tile_rows * (int64_t)sizeof(float);
  return (Fetch){(const char *)(a + tile_rows * K), (const char *)c, bytes / blocks,
                 bytes * ldc / (blocks * K)};
}

EXPORT void nnrt_gemm_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *a,
                          int64_t a_i, int64_t a_m, int64_t a_k, const float *b, int64_t b_i,
                          int64_t b_k, int64_t b_n, float *c, int64_t ldc, int64_t M, int64_t N,
                          int64_t K, int64_t tile_rows, int64_t tile_cols, int64_t depth,
                          bool packs, NnrtEpilogue epilogue) {
  const int64_t row_tiles = (M + tile_rows - 1) / tile_rows,
                col_tiles = (N + tile_cols - 1) / tile_cols;
  const bool column = N == 1 && (a_m == 1 || (a_k == 1 && b_k == 1)); // K in one piece
  const bool packed = packs && !column;
  // Without an epilogue, and where no strip reaches past the last column, sums are made in C.
  const bool direct = !epilogue && c && !column && N % STRIP == 0;
  const bool packs_a = packed && a_m == 1 && a_k != 1 && b_n == 1;
  // One column block, A row by row: each tile goes on where the one before ended.
  const bool flows = packed && col_tiles == 1 && a_k == 1 && a_m == K && K > 0 && c;
  const bool apart = !packed && a_m == 1 && a_k != 1 && b_n == 1;
  const bool far = M == 1 && !packed && !column && K * N >= FAR; // several tiles, all terms
  const int64_t room = (depth + LANES - 1) / LANES * LANES;
  float *const scratch = args->scratch, *const panel = scratch + tile_rows * tile_cols;
  float *const panel_a = panel + room * ((tile_cols + STRIP - 1) / STRIP * STRIP);
  const int64_t wide = (tile_rows + LANES - 1) / LANES * LANES; // rows of a panel of A
  int64_t in_panel = -1;                                        // the column block that lies packed
  for (int64_t tile = tile0; tile < tile1; tile++) {
    int64_t block_column = tile / row_tiles, matrix = block_column / col_tiles;
    int64_t m0 = tile % row_tiles * tile_rows, n0 = block_column % col_tiles * tile_cols;
    int64_t rows = M - m0 < tile_rows ? M - m0 : tile_rows;
    int64_t cols = N % tile_cols == 0 || N - n0 >= tile_cols ? tile_cols : N - n0;
    if (far) { // as many tiles as their sums have room for
      int64_t most = tile_rows * tile_cols < FAR_COLUMNS ? tile_rows * tile_cols : FAR_COLUMNS;
      int64_t mine = (tile1 - tile) * tile_cols < N - n0 ? (tile1 - tile) * tile_cols : N - n0;
      cols = mine < most ? mine : most;
      tile += (cols - 1) / tile_cols;
    }
    float *const sum = direct ? c + (matrix * M + m0) * ldc + n0 : scratch;
    const int64_t ld = direct ? ldc : tile_cols;
    const float *at = a + matrix * a_i + m0 * a_m, *bt = b + matrix * b_i + n0 * b_n;
    const float *next_a = a + (tile + 1) % row_tiles * tile_rows * a_m; // of the next tile
    const float *next_b = b + (tile + 1) / row_tiles % col_tiles * tile_cols * b_n;
    Fetch fetch = {0};
    if (flows)
      fetch = fetch_of(at, K, c + (matrix * M + m0) * ldc, ldc, tile_rows, tile_cols);
    for (int64_t k = 0; k == 0 || k < K; k += depth) { // once where K <= depth
      int64_t terms = column || far || K - k < depth ? K - k : depth;
      Block p = {.a = at + k * a_k,
                 .a_m = a_m,
                 .a_k = a_k,
                 .b = bt + k * b_k,
                 .b_k = b_k,
                 .packed = packed,
                 .flows = flows,
                 .apart = apart,
                 .deep = apart && depth == NNRT_GEMM_PIECE,
                 .far = far,
                 .room = room,
                 .K = terms,
                 .first = k == 0,
                 .next_a = k + depth < K ? at + (k + depth) * a_k : next_a,
                 .next_b = k + depth < K ? bt + (k + depth) * b_k : next_b,
                 .cols = cols,
                 .sum = sum,
                 .ld = ld,
                 .M = M,
                 .tile_rows = tile_rows};
      if (column) {
        if (a_m == 1)
          lane_sums(&p, rows);
        else
          column_sums(&p, rows);
        break;
      }
      if (packed) {
        if (in_panel != block_column || K > depth)
          b_n == 1 ? copy(p.b, b_k, terms, cols, panel, room, STRIP)
                   : pack(p.b, b_n, terms, cols, panel, room);
        in_panel = block_column;
        p.b = panel;
        p.b_k = STRIP;
      }
      if (packs_a) {
        copy(p.a, a_k, terms, rows, panel_a, room, wide);
        p.a = panel_a;
        p.a_k = wide;
      }
      tile_sums(&p, &fetch, rows, cols, N);
      if (far)
        break;
    }
    if (!direct)
      finish(args, sum, tile_cols, c, ldc, matrix * M + m0, rows, n0, cols, N, epilogue);
  }
}
