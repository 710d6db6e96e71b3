// Convolutions by filters of one pixel as the compiler makes them (fold_conv in
// compiler/ops/conv.c): products over the channels (runtime/kernels/gemm.c), of the pixels that a
// stride leaves.
#include "own.h"
#include "../../../runtime/kernels/gemm.c"

// The pixels that the filter sees, one after the other, behind what a product needs of scratch.
KERNEL const float *pixels_seen(const NnrtArgs *args, uint32_t used, const float *in, int64_t N,
                                const NnrtDirect *s) {
  if (s->stride_h == 1 && s->stride_w == 1)
    return in;
  float *const seen = (float *)args->scratch + used / sizeof(float), *to = seen;
  for (int64_t i = 0; i < N * s->OH; i++)
    for (int64_t u = 0; u < s->OW; u++, to += s->C) {
      int64_t row = i / s->OH * s->H + i % s->OH * s->stride_h;
      __builtin_memcpy(to, in + (row * s->W + u * s->stride_w) * s->C,
                       (size_t)s->C * sizeof(float));
    }
  return seen;
}

// The way back: zeros in all others.
KERNEL void spread(const float *seen, float *in, int64_t N, const NnrtDirect *s) {
  for (int64_t i = 0; i < N * s->H; i++)
    for (int64_t u = 0; u < s->W; u++, in += s->C)
      if (i % s->H % s->stride_h == 0 && u % s->stride_w == 0) {
        __builtin_memcpy(in, seen, (size_t)s->C * sizeof(float));
        seen += s->C;
      } else {
        __builtin_memset(in, 0, (size_t)s->C * sizeof(float));
      }
}

KERNEL void out_of(const NnrtArgs *args, const float *in, const float *filter, float *out,
                   int64_t N, const NnrtDirect *s) {
  const int64_t C = s->C, F = s->F, each = s->OH * s->OW, M = N * each;
  bool packs = nnrt_gemm_packs(-each, F, C, false);
  NnrtGemmTile t = nnrt_gemm_tile(-each, F, C, packs);
  nnrt_gemm_f32(args, 0, nnrt_gemm_tiles(M, F, t.rows, t.cols),
                pixels_seen(args, t.scratch, in, N, s), 0, C, 1, filter, 0, F, 1, out, F, M, F, C,
                t.rows, t.cols, nnrt_gemm_depth(-each, F, C), packs, NULL);
}

KERNEL void in_of(const NnrtArgs *args, const float *out, const float *filter, float *in, int64_t N,
                  const NnrtDirect *s) {
  const int64_t C = s->C, F = s->F, each = s->OH * s->OW, M = N * each;
  const bool all = s->stride_h == 1 && s->stride_w == 1;
  bool packs = nnrt_gemm_packs(-each, C, F, true);
  NnrtGemmTile t = nnrt_gemm_tile(-each, C, F, packs);
  float *seen = all ? in : (float *)args->scratch + t.scratch / sizeof(float);
  nnrt_gemm_f32(args, 0, nnrt_gemm_tiles(M, C, t.rows, t.cols), out, 0, F, 1, filter, 0, 1, F, seen,
                C, M, C, F, t.rows, t.cols, nnrt_gemm_depth(-each, C, F), packs, NULL);
  if (!all)
    spread(seen, in, N, s);
}

KERNEL void filter_of(const NnrtArgs *args, const float *in, const float *out, float *filter,
                      int64_t N, const NnrtDirect *s) {
  const int64_t C = s->C, F = s->F, each = s->OH * s->OW;
  bool packs = nnrt_gemm_packs(C, F, -each, false);
  NnrtGemmTile t = nnrt_gemm_tile(C, F, -each, packs);
  nnrt_gemm_f32(args, 0, nnrt_gemm_tiles(C, F, t.rows, t.cols),
                pixels_seen(args, t.scratch, in, N, s), 0, 1, C, out, 0, F, 1, filter, F, C, F,
                N * each, t.rows, t.cols, nnrt_gemm_depth(C, F, -each), packs, NULL);
}

#define DEFINE_ONE(name, of, K, P)                                                                 \
  OWN(name##_##of) {                                                                               \
    if (ONE_PIXEL(K, P))                                                                           \
      of##_of(args, a, b, c, N, &name);                                                            \
  }
#define DEFINE(name, N_, H_, C_, F_, K_, S_, P_)                                                   \
  DEFINE_ONE(name, out, K_, P_)                                                                    \
  DEFINE_ONE(name, in, K_, P_)                                                                     \
  DEFINE_ONE(name, filter, K_, P_)
CHOSEN(DEFINE)

#define ENTRY_out(name, N_, H_, C_, F_, K_, S_, P_) ONE_PIXEL(K_, P_) ? name##_out : NULL,
#define ENTRY_in(name, N_, H_, C_, F_, K_, S_, P_) ONE_PIXEL(K_, P_) ? name##_in : NULL,
#define ENTRY_filter(name, N_, H_, C_, F_, K_, S_, P_) ONE_PIXEL(K_, P_) ? name##_filter : NULL,
TABLE_OF(product, out, CHOSEN)
TABLE_OF(product, in, CHOSEN)
TABLE_OF(product, filter, CHOSEN)
