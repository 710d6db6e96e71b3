// For tests of convolutions: sums in double by the definition, and an epilogue that counts.
#ifndef NAIVE_H
#define NAIVE_H

#include "test.h"
#include "nnrt_direct.h"

// result += the product of the other two, for every (pixel of out, tap, channel of in, of out).
static void naive(const NnrtDirect *s, NnrtDirectOf of, const float *in, const float *filter,
                  const float *out, double *result) {
  int64_t C = s->C / s->groups, F = s->F / s->groups;
  for (int64_t pixel = 0; pixel < s->N * s->OH * s->OW; pixel++)
    for (int64_t tap = 0; tap < s->KH * s->KW; tap++) {
      int64_t n = pixel / s->OW / s->OH, oy = pixel / s->OW % s->OH, ox = pixel % s->OW;
      int64_t y = oy * s->stride_h + tap / s->KW * s->dilation_h - s->pad_top;
      int64_t x = ox * s->stride_w + tap % s->KW * s->dilation_w - s->pad_left;
      if (y < 0 || x < 0 || y >= s->H || x >= s->W)
        continue;
      for (int64_t c = 0; c < s->C; c++)
        for (int64_t f = c / C * F; f < (c / C + 1) * F; f++) {
          int64_t i = ((n * s->H + y) * s->W + x) * s->C + c, o = pixel * s->F + f;
          int64_t w = (tap * C + c % C) * s->F + f;
          if (of == NNRT_DIRECT_OUT)
            result[o] += (double)in[i] * (double)filter[w];
          else if (of == NNRT_DIRECT_IN)
            result[i] += (double)out[o] * (double)filter[w];
          else
            result[w] += (double)in[i] * (double)out[o];
        }
    }
}

// Adds what tells the place; what is stored twice is seen twice.
KERNEL v16f place(v16f acc, const NnrtArgs *args, int64_t row, int64_t col, int32_t lanes) {
  float *seen = args->buf[0];
  for (int i = 0; i < lanes; i++)
    seen[row * args->size[0] + col + i] += 1;
  return acc + SPLAT(row % 7) - SPLAT(col);
}

#endif
