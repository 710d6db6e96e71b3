// What kernels in C share. They are compiled to bitcode, once per CPU level, with the optimiser
// off, and specialised by the code generator: it calls them with constant arguments and inlines
// them. Explicit FMA only; no contraction, no reassociation. Reductions have 16 fixed lanes.
#ifndef NNRT_KERNEL_H
#define NNRT_KERNEL_H

#include <stdint.h>
#include "nnrt.h"

#define KERNEL static inline __attribute__((always_inline, unused))
#ifndef LATE // inlined when its arguments are constants; KERNEL where they are already
#define LATE static __attribute__((noinline, hot, unused))
#endif
#define EXPORT __attribute__((always_inline)) // seen by the code generator, which makes it internal

enum { LANES = 16 };
typedef float v16f __attribute__((vector_size(64), aligned(4)));
typedef int32_t v16i __attribute__((vector_size(64), aligned(4)));
typedef uint32_t v16u __attribute__((vector_size(64), aligned(4)));
typedef double v16d __attribute__((vector_size(128), aligned(8)));

#ifndef NNRT_LEVEL // 2, 3 or 4: the x86-64 level this is compiled for
#if defined(__AVX512F__)
#define NNRT_LEVEL 4
#elif defined(__FMA__)
#define NNRT_LEVEL 3
#else
#define NNRT_LEVEL 2
#endif
#endif

#if NNRT_LEVEL >= 3
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#else // x86-64-v2 has none: rounded twice, in software it would be a hundred times slower
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

// ---- Vectors of bits and of doubles; selection by a mask of lanes (all ones or zero)
// ---------------
typedef int64_t v16l __attribute__((vector_size(128), aligned(8)));
#define SELECT(mask, a, b) ((v16f)(((mask) & (v16i)(a)) | (~(mask) & (v16i)(b))))
#define SELECT64(mask, a, b) ((v16d)(((mask) & (v16l)(a)) | (~(mask) & (v16l)(b))))
#define SPLAT(x) ((float)(x) - (v16f){0})
#define SPLAT64(x) ((double)(x) - (v16d){0})

// ---- Functions of 16 lanes (math.c, math64.c) ---------------------------------------------------
v16f nnrt_exp_f32(v16f x);
v16f nnrt_log_f32(v16f x);
v16f nnrt_log1p_f32(v16f x);
v16f nnrt_expm1_f32(v16f x);
v16f nnrt_tanh_f32(v16f x);
v16f nnrt_sigmoid_f32(v16f x);  // 1 / (1 + e^-x)
v16f nnrt_softplus_f32(v16f x); // log(1 + e^x)
v16f nnrt_sin_f32(v16f x);
v16f nnrt_cos_f32(v16f x);
v16f nnrt_erf_f32(v16f x);
v16f nnrt_pow_f32(v16f x, v16f y);
v16d nnrt_exp_f64(v16d x);
v16d nnrt_log_f64(v16d x);
v16d nnrt_log1p_f64(v16d x);
v16d nnrt_expm1_f64(v16d x);
v16d nnrt_tanh_f64(v16d x);
v16d nnrt_sigmoid_f64(v16d x);
v16d nnrt_softplus_f64(v16d x);
v16d nnrt_sin_f64(v16d x);
v16d nnrt_cos_f64(v16d x);
v16d nnrt_erf_f64(v16d x);
v16d nnrt_pow_f64(v16d x, v16d y);

// sin and cos of 2 pi t, 0 <= t < 1.
v16f nnrt_sin_turn_f32(v16f t);
v16f nnrt_cos_turn_f32(v16f t);

// ---- Random draws (random.c); the bits are those of nnrt_random.h -------------------------------
typedef enum { NNRT_RANDOM_BITS, NNRT_RANDOM_UNIFORM, NNRT_RANDOM_NORMAL } NnrtRandomKind;
// Elements [from, to) of a draw of rows of `width` elements; example[row], or NULL: 0. Fastest
// where from and to are multiples of width, or of 64 in rows of 128 and more. out: i32 for BITS,
// else f32.
void nnrt_random_32(NnrtRandomKind kind, int32_t seed, uint64_t hash, int32_t step,
                    const int32_t *example, int64_t width, void *out, int64_t from, int64_t to);
// Any 16 elements, for loops: a quarter as fast.
v16u nnrt_random_lanes(NnrtRandomKind kind, int32_t seed, uint64_t hash, int32_t step, v16u example,
                       v16u element);

// ---- Rows by number (index.c); an index of u8 (index_bytes) or i32
// ------------------------------------ out[i, :] = table[index[i], :] for i in [from, to); elements
// of 4 bytes, `missing` for no row.
void nnrt_gather_32(const void *table, int64_t rows, const void *index, bool index_bytes,
                    int64_t width, uint32_t missing, void *out, int64_t from, int64_t to);
// out[r, :] = sum of update[i, :] over index[i] = r, in order of i, for r in [row0, row1).
void nnrt_scatter_add_f32(const void *index, bool index_bytes, int64_t count, const float *update,
                          int64_t width, float *out, int64_t row0, int64_t row1);
// out = table, with the same sums added row by row; out may be the table itself.
void nnrt_add_rows_f32(const float *table, const void *index, bool index_bytes, int64_t count,
                       const float *update, int64_t width, float *out, int64_t row0, int64_t row1);

// ---- Epilogues ---------------------------------------------------------------------------------
// A generated function on 16 neighbours of one row of a result: lanes [col, col+16) of row `row`
// (of images a row is a pixel). It may read its operands past the row's end (buffers have slack)
// but stores extra results only for `lanes` lanes. It returns what is stored in the kernel's own
// buffer.
typedef v16f (*NnrtEpilogue)(v16f acc, const NnrtArgs *args, int64_t row, int64_t col,
                             int32_t lanes);

// Stores the first `lanes` lanes (1..16). Never reads or writes past them.
KERNEL void store_lanes(float *p, v16f v, int32_t lanes) {
#if NNRT_LEVEL >= 4
  __builtin_ia32_storeups512_mask((void *)p, v, (uint16_t)(0xffffu >> (16 - lanes)));
#else
  if (lanes == LANES) {
    *(v16f *)p = v;
    return;
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < LANES - 1; i++)
    if (i < lanes)
      p[i] = v[i];
#endif
}

// Where results go: rows `ld` apart. `end` or `out` may be NULL.
typedef struct {
  const NnrtArgs *args;
  NnrtEpilogue end;
  float *out;
  int64_t ld;
} NnrtSink;

KERNEL void put_lanes(const NnrtSink *s, int64_t row, int64_t col, v16f v, int64_t lanes) {
  if (s->end)
    v = s->end(v, s->args, row, col, (int32_t)lanes);
  if (s->out)
    store_lanes(s->out + row * s->ld + col, v, (int32_t)lanes);
}

// ---- Images [N, H, W, C] (conv.c, windows.c); 0 is height, 1 is width
// ---------------------------- Shapes are constants of the caller (but for what depends on the
// number of rows): they fold away.
typedef struct {
  int64_t images, channels, features, groups;
  int64_t in[2], filter[2], out[2], stride[2], dilation[2], low[2];
} NnrtConv;
// in [images, in, channels], filter [filter, channels / groups, features], out [images, out,
// features]: out[n, y, x, f] = sum of in[n, y*stride + i*dilation - low, ..., c] * filter[i, j, c,
// f]. Each function makes one of the three of the other two: its rows [row0, row1), of `images *
// out[0]` rows of pixels, `images * in[0]` rows of pixels, or filter[0] * filter[1] * channels /
// groups rows of features.
void nnrt_conv_out_f32(const NnrtArgs *args, const NnrtConv *shape, const float *in,
                       const float *filter, float *out, int64_t row0, int64_t row1,
                       NnrtEpilogue epilogue);
void nnrt_conv_in_f32(const NnrtArgs *args, const NnrtConv *shape, const float *out,
                      const float *filter, float *in, int64_t row0, int64_t row1,
                      NnrtEpilogue epilogue);
void nnrt_conv_filter_f32(const NnrtArgs *args, const NnrtConv *shape, const float *in,
                          const float *out, float *filter, int64_t row0, int64_t row1,
                          NnrtEpilogue epilogue);

typedef struct {
  int64_t images, channels, in[2], out[2], window[2], stride[2], low[2];
} NnrtWindows;
// Rows [row0, row1) of `images * out[0]` rows of pixels: the greatest of each window, into out, and
// its place in the window, into places (u8 if bytes, else i32). What is NULL isn't made.
void nnrt_pool_max_f32(const NnrtArgs *args, const NnrtWindows *shape, const float *x, void *places,
                       bool bytes, float *out, int64_t row0, int64_t row1, NnrtEpilogue epilogue);
// The elements at these places.
void nnrt_pool_gather_f32(const NnrtArgs *args, const NnrtWindows *shape, const float *x,
                          const void *places, bool bytes, float *out, int64_t row0, int64_t row1,
                          NnrtEpilogue epilogue);
// Rows of `images * in[0]` rows of pixels: the transpose of pool_gather.
void nnrt_pool_scatter_f32(const NnrtArgs *args, const NnrtWindows *shape, const float *x,
                           const void *places, bool bytes, float *out, int64_t row0, int64_t row1,
                           NnrtEpilogue epilogue);

// ---- Sampling (sample.c) -----------------------------------------------------------------------
typedef struct { // images [images, height, width, channels] at [images, rows, columns] points
  int64_t height, width, channels, rows, columns;
} NnrtSample;
// Rows [row0, row1) of `images * rows` rows of points: x at coordinates y, z, bilinearly.
void nnrt_sample_f32(const NnrtSample *shape, const float *x, const float *y, const float *z,
                     float *out, int64_t row0, int64_t row1);
// Rows of `images * height` rows of pixels: its transpose, of the pixels d.
void nnrt_sample_add_f32(const NnrtSample *shape, const float *y, const float *z, const float *d,
                         float *out, int64_t row0, int64_t row1);

// ---- Products (gemm.c) -------------------------------------------------------------------------
// A batch of products: C[i][m, n] = epilogue(sum_k A[i][m, k] B[i][k, n]), C one matrix of batch*M
// rows. A[i][m, k] = a[i*a_i + m*a_m + k*a_k], B[i][k, n] = b[i*b_i + k*b_k + n*b_n]; the row given
// to the epilogue and the row of C are i*M + m; C[row, n] = c[row*ldc + n]. One of b_k, b_n is 1.
// c may be NULL where only the epilogue's own results are wanted; epilogue may be NULL.
// Each element is one chain of FMAs over k = 0, 1, ..., K-1: the same bits for any blocking. (N = 1
// with a_k = b_k = 1 is 16 chains, k mod 16, and a fixed tree.) tile_rows and tile_cols from
// nnrt_gemm_tile() of nnrt_gemm.h, which also says how many tiles there are and how much
// args->scratch. Give constants for all that is constant: what isn't needed folds away.
void nnrt_gemm_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *a, int64_t a_i,
                   int64_t a_m, int64_t a_k, const float *b, int64_t b_i, int64_t b_k, int64_t b_n,
                   float *c, int64_t ldc, int64_t M, int64_t N, int64_t K, int64_t tile_rows,
                   int64_t tile_cols, int64_t depth, bool packs, NnrtEpilogue epilogue);

// ---- Direct convolutions (direct.c, directfilter.c)
// -------------------------------------------------------- Shape and tile (nnrt_direct_tile() of
// nnrt_direct.h) are constants in memory; N is that of the call. The row that the epilogue is given
// is a pixel's number, or (kh, kw, channel) of the filter; the result may be NULL where only the
// epilogue's own are wanted. One chain of FMAs per element, in the order of the filter (of pixels
// for the filter's gradient): the same bits for any blocking.
struct NnrtDirect;
struct NnrtDirectTile;
void nnrt_direct_out_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *in,
                         const float *filter, float *out, int64_t N, const struct NnrtDirect *shape,
                         const struct NnrtDirectTile *tile, NnrtEpilogue epilogue);
void nnrt_direct_in_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *out,
                        const float *filter, float *in, int64_t N, const struct NnrtDirect *shape,
                        const struct NnrtDirectTile *tile, NnrtEpilogue epilogue);
void nnrt_direct_filter_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *in,
                            const float *out, float *filter, int64_t N,
                            const struct NnrtDirect *shape, const struct NnrtDirectTile *tile,
                            NnrtEpilogue epilogue);

// ---- Winograd's form of convolutions (winograd.c), its tiles from nnrt_winograd.h ---------------
// Groups of tiles of out [N, OH, OW, F]: of images and a filter in its form. One chain of FMAs for
// each of 36 positions, the same bits for any cut.
void nnrt_winograd_out_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *in,
                           const float *form, float *out, int64_t N, const struct NnrtDirect *shape,
                           NnrtEpilogue epilogue);
// The gradient by the form, in parts, one after the other.
struct NnrtWinogradSums;
void nnrt_winograd_sums_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *in,
                            const float *out, float *form, int64_t N,
                            const struct NnrtDirect *shape, const struct NnrtWinogradSums *tile);
// Blocks of rows of strips: form [36, columns / 32, rows, 32] of filter [3, 3, rows, columns], or,
// turned, of [3, 3, columns, rows] from the last tap to the first; and the transpose of the former,
// of the sum of the parts.
void nnrt_winograd_form_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *filter,
                            bool turned, int64_t rows, int64_t columns, float *form);
void nnrt_winograd_taps_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *form,
                            int64_t parts, int64_t rows, int64_t columns, float *filter);

#endif
