// The gradients of direct convolutions by the filter (runtime/kernels/directfilter.c).
#include "own.h"
#include "../../../runtime/kernels/directfilter.c"

// What follows in a program where there are more sums than one.
static void add_parts(float *sum, int64_t n, int64_t parts) {
  for (int64_t k = 1; k < parts; k++)
    for (int64_t i = 0; i < n; i++)
      sum[i] += sum[k * n + i];
}

#define DEFINE(name, N_, H_, C_, F_, K_, S_, P_)                                                   \
  OWN(name##_filter) {                                                                             \
    if (ONE_PIXEL(K_, P_))                                                                         \
      return;                                                                                      \
    nnrt_direct_filter_f32(args, 0, nnrt_direct_tiles(&tile_##name##_2, N), a, b, c, N, &name,     \
                           &tile_##name##_2, NULL);                                                \
    add_parts(c, K_ *K_ *C_ *F_, tile_##name##_2.parts);                                           \
  }
CHOSEN(DEFINE)

#define ENTRY_filter(name, N_, H_, C_, F_, K_, S_, P_) ONE_PIXEL(K_, P_) ? NULL : name##_filter,
TABLE_OF(direct, filter, CHOSEN)
