// The convolutions of exercises B2, B3, B7, of VGG16 and of ResNet-50 that are measured, and what
// one of our own is called by. Sizes are constants, as in generated code.
#ifndef SHAPES_H
#define SHAPES_H

#include "nnrt.h"
#include "nnrt_direct.h"

// Name, images; size, channels of the image; channels of the result, filter; stride, padding.
// ResNet-50 has its strides in filters of one pixel, as in the paper and in std.zoo (3a, 4a, 5a),
// or in those of three, as in torchvision (u: of one pixel before them; t).
// clang-format off
#define CONVOLUTIONS(X)                                                                            \
  X(B3_1, 32, 28, 1, 32, 3, 1, 0)      X(B3_2, 32, 13, 32, 64, 3, 1, 0)                            \
  X(B3_3, 32, 5, 64, 128, 3, 1, 0)     X(B2_2, 16, 26, 32, 64, 3, 1, 0)                            \
  X(B7_1, 2, 180, 3, 32, 3, 1, 0)      X(B7_2, 2, 89, 32, 64, 3, 1, 0)                             \
  X(B7_3, 2, 43, 64, 128, 3, 1, 0)     X(B7_4, 4, 20, 128, 256, 3, 1, 0)                           \
  X(B7_5, 4, 9, 256, 512, 3, 1, 0)                                                                 \
  X(VGG_1_1, 1, 224, 3, 64, 3, 1, 1)   X(VGG_1_2, 1, 224, 64, 64, 3, 1, 1)                         \
  X(VGG_2_1, 1, 112, 64, 128, 3, 1, 1) X(VGG_2_2, 1, 112, 128, 128, 3, 1, 1)                       \
  X(VGG_3_1, 1, 56, 128, 256, 3, 1, 1) X(VGG_3_2, 1, 56, 256, 256, 3, 1, 1)                        \
  X(VGG_4_1, 2, 28, 256, 512, 3, 1, 1) X(VGG_4_2, 2, 28, 512, 512, 3, 1, 1)                        \
  X(VGG_5_1, 4, 14, 512, 512, 3, 1, 1)                                                             \
  X(RES_1, 2, 224, 3, 64, 7, 2, 3)                                                                 \
  X(RES_2a, 2, 56, 64, 64, 1, 1, 0)    X(RES_2b, 2, 56, 64, 64, 3, 1, 1)                           \
  X(RES_2c, 2, 56, 64, 256, 1, 1, 0)   X(RES_2d, 2, 56, 256, 64, 1, 1, 0)                          \
  X(RES_3a, 2, 56, 256, 128, 1, 2, 0)  X(RES_3s, 2, 56, 256, 512, 1, 2, 0)                         \
  X(RES_3u, 2, 56, 256, 128, 1, 1, 0)  X(RES_3t, 2, 56, 128, 128, 3, 2, 1)                         \
  X(RES_3b, 4, 28, 128, 128, 3, 1, 1)  X(RES_3c, 4, 28, 128, 512, 1, 1, 0)                         \
  X(RES_3d, 4, 28, 512, 128, 1, 1, 0)                                                              \
  X(RES_4a, 4, 28, 512, 256, 1, 2, 0)  X(RES_4s, 4, 28, 512, 1024, 1, 2, 0)                        \
  X(RES_4u, 4, 28, 512, 256, 1, 1, 0)  X(RES_4t, 4, 28, 256, 256, 3, 2, 1)                         \
  X(RES_4b, 8, 14, 256, 256, 3, 1, 1)  X(RES_4c, 8, 14, 256, 1024, 1, 1, 0)                        \
  X(RES_4d, 8, 14, 1024, 256, 1, 1, 0)                                                             \
  X(RES_5a, 8, 14, 1024, 512, 1, 2, 0) X(RES_5s, 8, 14, 1024, 2048, 1, 2, 0)                       \
  X(RES_5u, 8, 14, 1024, 512, 1, 1, 0) X(RES_5t, 8, 14, 512, 512, 3, 2, 1)                         \
  X(RES_5b, 8, 7, 512, 512, 3, 1, 1)   X(RES_5c, 8, 7, 512, 2048, 1, 1, 0)                         \
  X(RES_5d, 8, 7, 2048, 512, 1, 1, 0)
// clang-format on
#define OUT_SIZE(H, K, S, P) (((H) + 2 * (P) - (K)) / (S) + 1)
#define SHAPE(name, N_, H_, C_, F_, K_, S_, P_)                                                    \
  static const NnrtDirect name = {.N = N_,                                                         \
                                  .H = H_,                                                         \
                                  .W = H_,                                                         \
                                  .C = C_,                                                         \
                                  .OH = OUT_SIZE(H_, K_, S_, P_),                                  \
                                  .OW = OUT_SIZE(H_, K_, S_, P_),                                  \
                                  .F = F_,                                                         \
                                  .KH = K_,                                                        \
                                  .KW = K_,                                                        \
                                  .groups = 1,                                                     \
                                  .stride_h = S_,                                                  \
                                  .stride_w = S_,                                                  \
                                  .dilation_h = 1,                                                 \
                                  .dilation_w = 1,                                                 \
                                  .pad_top = P_,                                                   \
                                  .pad_left = P_};
#define ONE_PIXEL(K, P) ((K) == 1 && (P) == 0) // the compiler makes a product of it

// Makes c, all of it, of a and b: `out` of in and filter, `in` of out and filter, `filter` of in
// and out, whose sums may need up to NNRT_DIRECT_FILTER_TILES times the room.
typedef void Convolution(const NnrtArgs *args, const float *a, const float *b, float *c, int64_t N);

// By place among those that are measured; NULL where the compiler would not take it.
extern Convolution *const direct_out[], *const direct_in[], *const direct_filter[];
extern Convolution *const winograd_out[], *const winograd_in[], *const winograd_filter[];
extern Convolution *const product_out[], *const product_in[], *const product_filter[];

#define TABLE_OF(kind, of, CHOSEN) Convolution *const kind##_##of[] = {CHOSEN(ENTRY_##of)};

#endif
