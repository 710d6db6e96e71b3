// Pooling of images [N, H, W, C]: the greatest of each window and the place where it is found, and
// what goes by such places. A call makes whole rows of pixels, 16 channels at a time; it may read
// past the last channel (buffers have slack).
#include "window.h"

// ---- the greatest ------------------------------------------------------------------------------

typedef struct {
  v16f most;
  v16i place;
} Greatest;

// Of rows [i0, i1) and columns [j0, j1) of a window whose first pixel is (or would be) at x. Of
// equals the first; NaN is greater than anything.
KERNEL Greatest greatest(const NnrtWindows *s, const float *x, int64_t i0, int64_t i1, int64_t j0,
                         int64_t j1) {
  const int64_t line = s->in[1] * s->channels;
  Greatest g = {load_16(x + i0 * line + j0 * s->channels),
                (v16i){0} + (int32_t)(i0 * s->window[1] + j0)};
  for (int64_t i = i0; i < i1; i++)
    for (int64_t j = j0; j < j1; j++) {
      v16f v = load_16(x + i * line + j * s->channels);
      v16i take = (v > g.most) | ((v != v) & (g.most == g.most));
      g.most = SELECT(take, v, g.most);
      g.place = (take & (int32_t)(i * s->window[1] + j)) | (~take & g.place);
    }
  return g;
}

KERNEL void store_places(void *places, bool bytes, int64_t at, v16i place, int64_t lanes) {
  typedef uint8_t v16b __attribute__((vector_size(16), aligned(1)));
  if (bytes && lanes == LANES)
    *(v16b *)((uint8_t *)places + at) = __builtin_convertvector(place, v16b);
  else
    for (int64_t l = 0; l < lanes; l++)
      if (bytes)
        ((uint8_t *)places)[at + l] = (uint8_t)place[l];
      else
        ((int32_t *)places)[at + l] = place[l];
}

EXPORT void nnrt_pool_max_f32(const NnrtArgs *args, const NnrtWindows *shape, const float *x,
                              void *places, bool bytes, float *out, int64_t row0, int64_t row1,
                              NnrtEpilogue epilogue) {
  const NnrtWindows s = *shape;
  const NnrtSink to = {args, epilogue, out, s.channels};
#pragma clang loop unroll(disable)
  for (int64_t r = row0; r < row1; r++) {
    const int64_t h = r % s.out[0] * s.stride[0] - s.low[0];
    const int64_t i0 = h < 0 ? -h : 0, i1 = least(s.window[0], s.in[0] - h);
    const float *line = x + (r / s.out[0] * s.in[0] + h) * s.in[1] * s.channels;
#pragma clang loop unroll(disable)
    for (int64_t ow = 0; ow < s.out[1]; ow++) {
      const int64_t w = ow * s.stride[1] - s.low[1];
      const int64_t j0 = w < 0 ? -w : 0, j1 = least(s.window[1], s.in[1] - w);
      const bool whole = i0 == 0 && j0 == 0 && i1 == s.window[0] && j1 == s.window[1];
#pragma clang loop unroll(disable)
      for (int64_t c = 0; c < s.channels; c += LANES) {
        const int64_t lanes = s.channels % LANES == 0 ? LANES : least(LANES, s.channels - c);
        const int64_t pixel = r * s.out[1] + ow;
        const float *first = line + w * s.channels + c;
        Greatest g = whole ? greatest(&s, first, 0, s.window[0], 0, s.window[1])
                           : greatest(&s, first, i0, i1, j0, j1);
        if (out || epilogue)
          put_lanes(&to, pixel, c, g.most, lanes);
        if (places)
          store_places(places, bytes, pixel * s.channels + c, g.place, lanes);
      }
    }
  }
}

// ---- by places ---------------------------------------------------------------------------------

KERNEL int64_t place_at(const void *places, bool bytes, int64_t at) {
  return bytes ? ((const uint8_t *)places)[at] : ((const int32_t *)places)[at];
}

KERNEL v16i places_at(const void *places, bool bytes, int64_t at) {
  typedef uint8_t v16b __attribute__((vector_size(16), aligned(1)));
  typedef int32_t v16w __attribute__((vector_size(64), aligned(4)));
  return bytes ? __builtin_convertvector(*(const v16b *)((const uint8_t *)places + at), v16i)
               : *(const v16w *)((const int32_t *)places + at);
}

// The element of `image` that window (oh, ow) has at its place; 0 from padding.
KERNEL float element_at(const NnrtWindows *s, const float *image, int64_t oh, int64_t ow,
                        int64_t place, int64_t c) {
  int64_t h = covered(oh, place / s->window[1], s->stride[0], 1, s->low[0], s->in[0]);
  int64_t w = covered(ow, place % s->window[1], s->stride[1], 1, s->low[1], s->in[1]);
  bool inside = place >= 0 && place < s->window[0] * s->window[1] && h >= 0 && w >= 0;
  return inside ? image[(h * s->in[1] + w) * s->channels + c] : 0;
}

EXPORT void nnrt_pool_gather_f32(const NnrtArgs *args, const NnrtWindows *shape, const float *x,
                                 const void *places, bool bytes, float *out, int64_t row0,
                                 int64_t row1, NnrtEpilogue epilogue) {
  const NnrtWindows s = *shape;
  const NnrtSink to = {args, epilogue, out, s.channels};
  for (int64_t r = row0; r < row1; r++) {
    const float *image = x + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
    for (int64_t ow = 0; ow < s.out[1]; ow++)
      for (int64_t c = 0; c < s.channels; c += LANES) {
        const int64_t pixel = r * s.out[1] + ow, lanes = least(LANES, s.channels - c);
        v16f v = {0};
        for (int64_t l = 0; l < lanes; l++)
          v[l] = element_at(&s, image, r % s.out[0], ow,
                            place_at(places, bytes, pixel * s.channels + c + l), c + l);
        put_lanes(&to, pixel, c, v, lanes);
      }
  }
}

typedef struct {
  const float *x;
  const void *places;
  bool bytes;
  int64_t first; // pixel of the image's first window
} Placed;

// What window (oh, ow) puts at its place (i, j), 16 channels from c.
KERNEL v16f placed(const NnrtWindows *s, const Placed *p, int64_t oh, int64_t ow, int64_t i,
                   int64_t j, int64_t c) {
  const int64_t at = (p->first + oh * s->out[1] + ow) * s->channels + c;
  v16i here = places_at(p->places, p->bytes, at) == (int32_t)(i * s->window[1] + j);
  return SELECT(here, load_16(p->x + at), (v16f){0});
}

// Of every window that reaches pixel (h, w), in order.
KERNEL v16f placed_by_all(const NnrtWindows *s, const Placed *p, int64_t h, int64_t w, int64_t c) {
  v16f sum = {0};
  for (int64_t i = s->window[0] - 1; i >= 0; i--) {
    int64_t oh = reader(h, i, s->stride[0], 1, s->low[0], s->out[0]);
    for (int64_t j = s->window[1] - 1; oh >= 0 && j >= 0; j--) {
      int64_t ow = reader(w, j, s->stride[1], 1, s->low[1], s->out[1]);
      if (ow >= 0)
        sum += placed(s, p, oh, ow, i, j, c);
    }
  }
  return sum;
}

EXPORT void nnrt_pool_scatter_f32(const NnrtArgs *args, const NnrtWindows *shape, const float *x,
                                  const void *places, bool bytes, float *out, int64_t row0,
                                  int64_t row1, NnrtEpilogue epilogue) {
  const NnrtWindows s = *shape;
  const NnrtSink to = {args, epilogue, out, s.channels};
  const bool apart = s.window[0] <= s.stride[0] && s.window[1] <= s.stride[1];
#pragma clang loop unroll(disable)
  for (int64_t r = row0; r < row1; r++) {
    const Placed from = {x, places, bytes, r / s.in[0] * s.out[0] * s.out[1]};
    const int64_t h = r % s.in[0];
    const int64_t oh = (h + s.low[0]) / s.stride[0], i = (h + s.low[0]) % s.stride[0];
#pragma clang loop unroll(disable)
    for (int64_t w = 0; w < s.in[1]; w++) {
      const int64_t ow = (w + s.low[1]) / s.stride[1], j = (w + s.low[1]) % s.stride[1];
      const bool reached = i < s.window[0] && oh < s.out[0] && j < s.window[1] && ow < s.out[1];
#pragma clang loop unroll(disable)
      for (int64_t c = 0; c < s.channels; c += LANES) {
        const int64_t lanes = s.channels % LANES == 0 ? LANES : least(LANES, s.channels - c);
        v16f v = !apart    ? placed_by_all(&s, &from, h, w, c)
                 : reached ? placed(&s, &from, oh, ow, i, j, c)
                           : (v16f){0};
        put_lanes(&to, r * s.in[1] + w, c, v, lanes);
      }
    }
  }
}
