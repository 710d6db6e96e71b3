// The direct convolutions and their gradients by the input (runtime/kernels/direct.c).
#include "own.h"
#include "../../../runtime/kernels/direct.c"

#define DEFINE(name, N_, H_, C_, F_, K_, S_, P_)                                                   \
  OWN(name##_out) {                                                                                \
    if (!ONE_PIXEL(K_, P_))                                                                        \
      nnrt_direct_out_f32(args, 0, nnrt_direct_tiles(&tile_##name##_0, N), a, b, c, N, &name,      \
                          &tile_##name##_0, NULL);                                                 \
  }                                                                                                \
  OWN(name##_in) {                                                                                 \
    if (!ONE_PIXEL(K_, P_))                                                                        \
      nnrt_direct_in_f32(args, 0, nnrt_direct_tiles(&tile_##name##_1, N), a, b, c, N, &name,       \
                         &tile_##name##_1, NULL);                                                  \
  }
CHOSEN(DEFINE)

#define ENTRY_out(name, N_, H_, C_, F_, K_, S_, P_) ONE_PIXEL(K_, P_) ? NULL : name##_out,
#define ENTRY_in(name, N_, H_, C_, F_, K_, S_, P_) ONE_PIXEL(K_, P_) ? NULL : name##_in,
TABLE_OF(direct, out, CHOSEN)
TABLE_OF(direct, in, CHOSEN)
