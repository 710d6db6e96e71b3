// Convolutions in Winograd's form as the compiler makes them (in_winograd_form in
// compiler/pass/layout.c): the filter is brought into its form each time, or back out of it.
#include "own.h"
#include "../../../runtime/kernels/winograd.c"
#include "../../../runtime/kernels/winogradfilter.c"

enum { FORM = 1 << 22 }; // floats of scratch that come before a form

KERNEL float *form_of(const NnrtArgs *args) {
  return (float *)args->scratch + FORM;
}

KERNEL int64_t form_tiles(int64_t rows, int64_t columns) {
  return columns / NNRT_WINOGRAD_STRIP * (rows / NNRT_WINOGRAD_ROWS);
}

KERNEL void images_of(const NnrtArgs *args, const float *x, const float *filter, bool turned,
                      float *y, int64_t N, const NnrtDirect *s) {
  int64_t groups = nnrt_direct_pieces(N * nnrt_winograd_tiles(s), NNRT_WINOGRAD_GROUP);
  nnrt_winograd_form_f32(args, 0, form_tiles(s->C, s->F), filter, turned, s->C, s->F,
                         form_of(args));
  nnrt_winograd_out_f32(args, 0, groups, x, form_of(args), y, N, s, NULL);
}

KERNEL void filter_of(const NnrtArgs *args, const float *in, const float *out, float *filter,
                      int64_t N, const NnrtDirect *s) {
  const NnrtWinogradSums t = nnrt_winograd_sums(s);
  nnrt_winograd_sums_f32(args, 0, nnrt_winograd_sums_tiles(s, &t), in, out, form_of(args), N, s,
                         &t);
  nnrt_winograd_taps_f32(args, 0, form_tiles(s->C, s->F), form_of(args), t.parts, s->C, s->F,
                         filter);
}

#define DEFINED(from, to, K, S) ((K) == 3 && (S) == 1 && (from) % 16 == 0 && (to) % 32 == 0)
#define DEFINE(name, N_, H_, C_, F_, K_, S_, P_)                                                   \
  static const NnrtDirect turned_##name = {.N = N_,                                                \
                                           .H = OUT_SIZE(H_, K_, S_, P_),                          \
                                           .W = OUT_SIZE(H_, K_, S_, P_),                          \
                                           .C = F_,                                                \
                                           .OH = H_,                                               \
                                           .OW = H_,                                               \
                                           .F = C_,                                                \
                                           .KH = K_,                                               \
                                           .KW = K_,                                               \
                                           .groups = 1,                                            \
                                           .stride_h = 1,                                          \
                                           .stride_w = 1,                                          \
                                           .dilation_h = 1,                                        \
                                           .dilation_w = 1,                                        \
                                           .pad_top = K_ - 1 - P_,                                 \
                                           .pad_left = K_ - 1 - P_};                               \
  OWN(name##_out) {                                                                                \
    if (DEFINED(C_, F_, K_, S_))                                                                   \
      images_of(args, a, b, false, c, N, &name);                                                   \
  }                                                                                                \
  OWN(name##_in) {                                                                                 \
    if (DEFINED(F_, C_, K_, S_))                                                                   \
      images_of(args, a, b, true, c, N, &turned_##name);                                           \
  }                                                                                                \
  OWN(name##_filter) {                                                                             \
    if (DEFINED(C_, F_, K_, S_))                                                                   \
      filter_of(args, a, b, c, N, &name);                                                          \
  }
CHOSEN(DEFINE)

#define ENTRY_out(name, N_, H_, C_, F_, K_, S_, P_) DEFINED(C_, F_, K_, S_) ? name##_out : NULL,
#define ENTRY_in(name, N_, H_, C_, F_, K_, S_, P_) DEFINED(F_, C_, K_, S_) ? name##_in : NULL,
#define ENTRY_filter(name, N_, H_, C_, F_, K_, S_, P_)                                             \
  DEFINED(C_, F_, K_, S_) ? name##_filter : NULL,
TABLE_OF(winograd, out, CHOSEN)
TABLE_OF(winograd, in, CHOSEN)
TABLE_OF(winograd, filter, CHOSEN)
