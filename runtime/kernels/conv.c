// Convolution and pooling on images [N, H, W, C], one function per tensor that is made. A call
// makes whole rows of it; each element is made by one thread in one fixed order.
#include "kernel.h"

KERNEL v16f load_lanes(const float *p, int64_t lanes) {
  if (lanes >= LANES)
    return *(const v16f *)p;
  v16f v = {0};
#pragma clang loop unroll(full)
  for (int i = 0; i < LANES - 1; i++)
    if (i < lanes)
      v[i] = p[i];
  return v;
}

KERNEL int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// The number of an element of the kernel's other side: i * stride + k * dilation - low, or -1 if
// there is none below `size`.
KERNEL int64_t covered(int64_t i, int64_t k, int64_t stride, int64_t dilation, int64_t low,
                       int64_t size) {
  int64_t at = i * stride + k * dilation - low;
  return at >= 0 && at < size ? at : -1;
}

// ---- conv, wrt = "out" -------------------------------------------------------------------------

enum { PIXELS = 6, ROWS = 8 };

// Pixels [w0, w0 + PIXELS) of a row, 16 features from f.
KERNEL void out_block(const NnrtConv *s, const float *in, const float *filter, float *out,
                      int64_t oh, int64_t w0, int64_t f, int64_t lanes) {
  int64_t depth = s->channels / s->groups, channel = f / (s->features / s->groups) * depth;
  v16f sum[PIXELS] = {{0}};
  for (int64_t i = 0; i < s->filter[0]; i++) {
    int64_t h = covered(oh, i, s->stride[0], s->dilation[0], s->low[0], s->in[0]);
    for (int64_t j = 0; h >= 0 && j < s->filter[1]; j++) {
      const float *from[PIXELS],
          *weight = filter + (i * s->filter[1] + j) * depth * s->features + f;
      bool inside[PIXELS];
#pragma clang loop unroll(full)
      for (int p = 0; p < PIXELS; p++) {
        int64_t w = covered(w0 + p, j, s->stride[1], s->dilation[1], s->low[1], s->in[1]);
        inside[p] = w >= 0 && w0 + p < s->out[1];
        from[p] = in + (h * s->in[1] + (inside[p] ? w : 0)) * s->channels + channel;
      }
      for (int64_t c = 0; c < depth; c++) {
        v16f by = load_lanes(weight + c * s->features, lanes);
#pragma clang loop unroll(full)
        for (int p = 0; p < PIXELS; p++)
          sum[p] = FMA(SPLAT(inside[p] ? from[p][c] : 0), by, sum[p]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < PIXELS; p++)
    if (w0 + p < s->out[1])
      store_lanes(out + (w0 + p) * s->features + f, sum[p], (int32_t)lanes);
}

// One channel makes one feature: 16 of them at a time.
KERNEL void out_depthwise(const NnrtConv *s, const float *in, const float *filter, float *out,
                          int64_t oh) {
  for (int64_t ow = 0; ow < s->out[1]; ow++)
    for (int64_t f = 0; f < s->features; f += LANES) {
      int64_t lanes = least(LANES, s->features - f);
      v16f sum = {0};
      for (int64_t i = 0; i < s->filter[0]; i++)
        for (int64_t j = 0; j < s->filter[1]; j++) {
          int64_t h = covered(oh, i, s->stride[0], s->dilation[0], s->low[0], s->in[0]);
          int64_t w = covered(ow, j, s->stride[1], s->dilation[1], s->low[1], s->in[1]);
          if (h >= 0 && w >= 0)
            sum = FMA(load_lanes(in + (h * s->in[1] + w) * s->channels + f, lanes),
                      load_lanes(filter + (i * s->filter[1] + j) * s->features + f, lanes), sum);
        }
      store_lanes(out + ow * s->features + f, sum, (int32_t)lanes);
    }
}

KERNEL bool is_depthwise(const NnrtConv *s) {
  return s->groups == s->channels && s->features == s->channels;
}

KERNEL void out_row(const NnrtConv *s, const float *in, const float *filter, float *out,
                    int64_t oh) {
  int64_t each = s->features / s->groups;
  for (int64_t g = 0; g < s->groups; g++)
    for (int64_t f = 0; f < each; f += LANES)
      for (int64_t w = 0; w < s->out[1]; w += PIXELS)
        out_block(s, in, filter, out, oh, w, g * each + f, least(LANES, each - f));
}

EXPORT void nnrt_conv_out_f32(const NnrtConv *shape, const float *in, const float *filter,
                              float *out, int64_t row0, int64_t row1) {
  const NnrtConv s = *shape;
  for (int64_t r = row0; r < row1; r++) {
    const float *image = in + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
    float *to = out + r * s.out[1] * s.features;
    if (is_depthwise(&s))
      out_depthwise(&s, image, filter, to, r % s.out[0]);
    else
      out_row(&s, image, filter, to, r % s.out[0]);
  }
}

// ---- conv, wrt = "in" --------------------------------------------------------------------------

// The pixel of the result that reads pixel `at` by element k of the filter, or -1.
KERNEL int64_t reader(int64_t at, int64_t k, int64_t stride, int64_t dilation, int64_t low,
                      int64_t size) {
  int64_t i = at + low - k * dilation;
  return i >= 0 && i % stride == 0 && i / stride < size ? i / stride : -1;
}

// Pixels w0, w0 + stride, ... of a row, which the same elements of the filter reach: `lanes`
// channels from c, of group g.
KERNEL void in_block(const NnrtConv *s, const float *out, const float *filter, float *in, int64_t h,
                     int64_t w0, int64_t g, int64_t c, int64_t lanes) {
  int64_t depth = s->channels / s->groups, each = s->features / s->groups;
  v16f sum[PIXELS] = {{0}};
  for (int64_t i = 0; i < s->filter[0]; i++) {
    int64_t oh = reader(h, i, s->stride[0], s->dilation[0], s->low[0], s->out[0]);
    for (int64_t j = 0; oh >= 0 && j < s->filter[1]; j++) {
      int64_t first = w0 + s->low[1] - j * s->dilation[1];
      if (first % s->stride[1] != 0)
        continue;
      const float *from[PIXELS];
      bool inside[PIXELS];
#pragma clang loop unroll(full)
      for (int p = 0; p < PIXELS; p++) {
        int64_t ow = first / s->stride[1] + p;
        inside[p] = ow >= 0 && ow < s->out[1];
        from[p] = out + (oh * s->out[1] + (inside[p] ? ow : 0)) * s->features + g * each;
      }
      const float *weight = filter + ((i * s->filter[1] + j) * depth + c) * s->features + g * each;
      for (int64_t f = 0; f < each; f++) {
        v16f by = {0};
#pragma clang loop unroll(full)
        for (int l = 0; l < LANES; l++)
          by[l] = l < lanes ? weight[l * s->features + f] : 0;
#pragma clang loop unroll(full)
        for (int p = 0; p < PIXELS; p++)
          sum[p] = FMA(SPLAT(inside[p] ? from[p][f] : 0), by, sum[p]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < PIXELS; p++)
    if (w0 + p * s->stride[1] < s->in[1])
      store_lanes(in + (w0 + p * s->stride[1]) * s->channels + g * depth + c, sum[p],
                  (int32_t)lanes);
}

KERNEL void in_depthwise(const NnrtConv *s, const float *out, const float *filter, float *in,
                         int64_t h) {
  for (int64_t w = 0; w < s->in[1]; w++)
    for (int64_t f = 0; f < s->features; f += LANES) {
      int64_t lanes = least(LANES, s->features - f);
      v16f sum = {0};
      for (int64_t i = 0; i < s->filter[0]; i++)
        for (int64_t j = 0; j < s->filter[1]; j++) {
          int64_t oh = reader(h, i, s->stride[0], s->dilation[0], s->low[0], s->out[0]);
          int64_t ow = reader(w, j, s->stride[1], s->dilation[1], s->low[1], s->out[1]);
          if (oh >= 0 && ow >= 0)
            sum = FMA(load_lanes(out + (oh * s->out[1] + ow) * s->features + f, lanes),
                      load_lanes(filter + (i * s->filter[1] + j) * s->features + f, lanes), sum);
        }
      store_lanes(in + w * s->channels + f, sum, (int32_t)lanes);
    }
}

KERNEL void in_row(const NnrtConv *s, const float *out, const float *filter, float *in, int64_t h) {
  int64_t depth = s->channels / s->groups;
  for (int64_t g = 0; g < s->groups; g++)
    for (int64_t c = 0; c < depth; c += LANES)
      for (int64_t phase = 0; phase < least(s->stride[1], s->in[1]); phase++)
        for (int64_t w = phase; w < s->in[1]; w += PIXELS * s->stride[1])
          in_block(s, out, filter, in, h, w, g, c, least(LANES, depth - c));
}

EXPORT void nnrt_conv_in_f32(const NnrtConv *shape, const float *out, const float *filter,
                             float *in, int64_t row0, int64_t row1) {
  const NnrtConv s = *shape;
  for (int64_t r = row0; r < row1; r++) {
    const float *result = out + r / s.in[0] * s.out[0] * s.out[1] * s.features;
    float *to = in + r * s.in[1] * s.channels;
    if (is_depthwise(&s))
      in_depthwise(&s, result, filter, to, r % s.in[0]);
    else
      in_row(&s, result, filter, to, r % s.in[0]);
  }
}

// ---- conv, wrt = "filter" ----------------------------------------------------------------------

// The sums over one row of pixels of ROWS neighbouring channels, from c, at one place of the
// filter; 16 features from f. Rows are added up one by one: shorter chains of additions lose less.
KERNEL void filter_row(const NnrtConv *s, const float *in, const float *out, int64_t j,
                       int64_t rows, int64_t lanes, v16f *total) {
  v16f sum[ROWS] = {{0}};
  for (int64_t ow = 0; ow < s->out[1]; ow++) {
    int64_t w = covered(ow, j, s->stride[1], s->dilation[1], s->low[1], s->in[1]);
    if (w < 0)
      continue;
    v16f by = load_lanes(out + ow * s->features, lanes);
#pragma clang loop unroll(full)
    for (int k = 0; k < ROWS; k++)
      sum[k] = FMA(SPLAT(k < rows ? in[w * s->channels + k] : 0), by, sum[k]);
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < ROWS; k++)
    total[k] += sum[k];
}

// `rows` neighbouring rows of the filter, of one place in it.
KERNEL void filter_block(const NnrtConv *s, const float *in, const float *out, float *filter,
                         int64_t row, int64_t rows, int64_t f, int64_t lanes) {
  int64_t depth = s->channels / s->groups, place = row / depth;
  int64_t i = place / s->filter[1], j = place % s->filter[1];
  int64_t channel = f / (s->features / s->groups) * depth + row % depth;
  v16f total[ROWS] = {{0}};
  for (int64_t n = 0; n < s->images; n++)
    for (int64_t oh = 0; oh < s->out[0]; oh++) {
      int64_t h = covered(oh, i, s->stride[0], s->dilation[0], s->low[0], s->in[0]);
      if (h >= 0)
        filter_row(s, in + (n * s->in[0] + h) * s->in[1] * s->channels + channel,
                   out + (n * s->out[0] + oh) * s->out[1] * s->features + f, j, rows, lanes, total);
    }
#pragma clang loop unroll(full)
  for (int k = 0; k < ROWS; k++)
    if (k < rows)
      store_lanes(filter + (row + k) * s->features + f, total[k], (int32_t)lanes);
}

KERNEL void filter_depthwise(const NnrtConv *s, const float *in, const float *out, float *filter,
                             int64_t place, int64_t f, int64_t lanes) {
  int64_t i = place / s->filter[1], j = place % s->filter[1];
  v16f total = {0};
  for (int64_t n = 0; n < s->images; n++)
    for (int64_t oh = 0; oh < s->out[0]; oh++) {
      int64_t h = covered(oh, i, s->stride[0], s->dilation[0], s->low[0], s->in[0]);
      v16f sum = {0};
      for (int64_t ow = 0; h >= 0 && ow < s->out[1]; ow++) {
        int64_t w = covered(ow, j, s->stride[1], s->dilation[1], s->low[1], s->in[1]);
        if (w >= 0)
          sum = FMA(
              load_lanes(in + ((n * s->in[0] + h) * s->in[1] + w) * s->channels + f, lanes),
              load_lanes(out + ((n * s->out[0] + oh) * s->out[1] + ow) * s->features + f, lanes),
              sum);
      }
      total += sum;
    }
  store_lanes(filter + place * s->features + f, total, (int32_t)lanes);
}

EXPORT void nnrt_conv_filter_f32(const NnrtConv *shape, const float *in, const float *out,
                                 float *filter, int64_t row0, int64_t row1) {
  const NnrtConv s = *shape;
  int64_t depth = s.channels / s.groups, each = s.features / s.groups;
  for (int64_t r = row0, rows; r < row1; r += rows) {
    rows = least(least(ROWS, row1 - r), depth - r % depth);
    if (is_depthwise(&s))
      for (int64_t f = 0; f < s.features; f += LANES)
        filter_depthwise(&s, in, out, filter, r, f, least(LANES, s.features - f));
    else
      for (int64_t g = 0; g < s.groups; g++)
        for (int64_t f = 0; f < each; f += LANES)
          filter_block(&s, in, out, filter, r, rows, g * each + f, least(LANES, each - f));
  }
}

// ---- pooling -----------------------------------------------------------------------------------

typedef struct {
  v16f most;
  v16i place;
} Greatest;

// 16 channels of the window whose first place is (h0, w0); outside the image nothing is looked at.
KERNEL Greatest greatest(const NnrtWindows *s, const float *image, int64_t h0, int64_t w0,
                         int64_t lanes) {
  Greatest g = {SPLAT(-__builtin_inff()), {0}};
  bool any = false;
  for (int64_t i = 0; i < s->window[0]; i++)
    for (int64_t j = 0; j < s->window[1]; j++) {
      int64_t h = h0 + i, w = w0 + j;
      if (h < 0 || h >= s->in[0] || w < 0 || w >= s->in[1])
        continue;
      v16f x = load_lanes(image + (h * s->in[1] + w) * s->channels, lanes);
      v16i take = (x > g.most) | ((x != x) & (g.most == g.most));
      if (!any)
        take = ~(v16i){0};
      any = true;
      g.most = SELECT(take, x, g.most);
      g.place = (take & (int32_t)(i * s->window[1] + j)) | (~take & g.place);
    }
  return g;
}

KERNEL void store_places(void *places, bool bytes, int64_t at, v16i place, int64_t lanes) {
  for (int64_t l = 0; l < lanes; l++)
    if (bytes)
      ((uint8_t *)places)[at + l] = (uint8_t)place[l];
    else
      ((int32_t *)places)[at + l] = place[l];
}

KERNEL int64_t place_at(const void *places, bool bytes, int64_t at) {
  return bytes ? ((const uint8_t *)places)[at] : ((const int32_t *)places)[at];
}

EXPORT void nnrt_pool_max_f32(const NnrtWindows *shape, const float *x, float *out, void *places,
                              bool bytes, int64_t row0, int64_t row1) {
  const NnrtWindows s = *shape;
  for (int64_t r = row0; r < row1; r++) {
    const float *image = x + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
    int64_t h = r % s.out[0] * s.stride[0] - s.low[0];
    for (int64_t ow = 0; ow < s.out[1]; ow++)
      for (int64_t c = 0; c < s.channels; c += LANES) {
        int64_t lanes = least(LANES, s.channels - c), at = (r * s.out[1] + ow) * s.channels + c;
        Greatest g = greatest(&s, image + c, h, ow * s.stride[1] - s.low[1], lanes);
        if (out)
          store_lanes(out + at, g.most, (int32_t)lanes);
        else
          store_places(places, bytes, at, g.place, lanes);
      }
  }
}

EXPORT void nnrt_pool_gather_f32(const NnrtWindows *shape, const float *x, const void *places,
                                 bool bytes, float *out, int64_t row0, int64_t row1) {
  const NnrtWindows s = *shape;
  for (int64_t r = row0; r < row1; r++) {
    const float *image = x + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
    for (int64_t k = 0; k < s.out[1] * s.channels; k++) {
      int64_t at = r * s.out[1] * s.channels + k, place = place_at(places, bytes, at);
      int64_t h = covered(r % s.out[0], place / s.window[1], s.stride[0], 1, s.low[0], s.in[0]);
      int64_t w = covered(k / s.channels, place % s.window[1], s.stride[1], 1, s.low[1], s.in[1]);
      bool inside = place >= 0 && place < s.window[0] * s.window[1] && h >= 0 && w >= 0;
      out[at] = inside ? image[(h * s.in[1] + w) * s.channels + k % s.channels] : 0;
    }
  }
}

// One row of the images: of every window that reaches into it, in order, what belongs here.
KERNEL void scatter_row(const NnrtWindows *s, const float *x, const void *places, bool bytes,
                        int64_t first, int64_t h, float *out) {
  for (int64_t k = 0; k < s->in[1] * s->channels; k++)
    out[k] = 0;
  for (int64_t i = s->window[0] - 1; i >= 0; i--) { // the rows of windows in order
    int64_t oh = reader(h, i, s->stride[0], 1, s->low[0], s->out[0]);
    for (int64_t ow = 0; oh >= 0 && ow < s->out[1]; ow++)
      for (int64_t j = 0; j < s->window[1]; j++) {
        int64_t w = covered(ow, j, s->stride[1], 1, s->low[1], s->in[1]);
        if (w < 0)
          continue;
        int64_t at = first + (oh * s->out[1] + ow) * s->channels;
        for (int64_t c = 0; c < s->channels; c++) {
          bool here = place_at(places, bytes, at + c) == i * s->window[1] + j;
          out[w * s->channels + c] += here ? x[at + c] : 0;
        }
      }
  }
}

EXPORT void nnrt_pool_scatter_f32(const NnrtWindows *shape, const float *x, const void *places,
                                  bool bytes, float *out, int64_t row0, int64_t row1) {
  const NnrtWindows s = *shape;
  for (int64_t r = row0; r < row1; r++)
    scatter_row(&s, x, places, bytes, r / s.in[0] * s.out[0] * s.out[1] * s.channels, r % s.in[0],
                out + r * s.in[1] * s.channels);
}
