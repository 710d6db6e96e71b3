// Convolutions of images [N, H, W, C] that direct.c has no form for (depthwise, groups of N), one
// function per tensor that is made. A call makes whole rows of it; each element is made by one
// thread in one fixed order.
#include "window.h"

// ---- conv, wrt = "out" -------------------------------------------------------------------------

enum { PIXELS = 6, ROWS = 8 };

// Pixels [w0, w0 + PIXELS) of a row, 16 features from f.
KERNEL void out_block(const NnrtConv *s, const float *in, const float *filter, const NnrtSink *out,
                      int64_t row, int64_t w0, int64_t f, int64_t lanes) {
  int64_t depth = s->channels / s->groups, channel = f / (s->features / s->groups) * depth;
  int64_t oh = row % s->out[0];
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
      put_lanes(out, row * s->out[1] + w0 + p, f, sum[p], lanes);
}

// One channel makes one feature: 16 of them at a time.
KERNEL void out_depthwise(const NnrtConv *s, const float *in, const float *filter,
                          const NnrtSink *out, int64_t row) {
  int64_t oh = row % s->out[0];
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
      put_lanes(out, row * s->out[1] + ow, f, sum, lanes);
    }
}

KERNEL bool is_depthwise(const NnrtConv *s) {
  return s->groups == s->channels && s->features == s->channels;
}

KERNEL void out_row(const NnrtConv *s, const float *in, const float *filter, const NnrtSink *out,
                    int64_t row) {
  int64_t each = s->features / s->groups;
  for (int64_t g = 0; g < s->groups; g++)
    for (int64_t f = 0; f < each; f += LANES)
      for (int64_t w = 0; w < s->out[1]; w += PIXELS)
        out_block(s, in, filter, out, row, w, g * each + f, least(LANES, each - f));
}

EXPORT void nnrt_conv_out_f32(const NnrtArgs *args, const NnrtConv *shape, const float *in,
                              const float *filter, float *out, int64_t row0, int64_t row1,
                              NnrtEpilogue epilogue) {
  const NnrtConv s = *shape;
  const NnrtSink to = {args, epilogue, out, s.features};
  for (int64_t r = row0; r < row1; r++) {
    const float *image = in + r / s.out[0] * s.in[0] * s.in[1] * s.channels;
    if (is_depthwise(&s))
      out_depthwise(&s, image, filter, &to, r);
    else
      out_row(&s, image, filter, &to, r);
  }
}

// ---- conv, wrt = "in" --------------------------------------------------------------------------

// Pixels w0, w0 + stride, ... of a row, which the same elements of the filter reach: `lanes`
// channels from c, of group g.
KERNEL void in_block(const NnrtConv *s, const float *out, const float *filter, const NnrtSink *in,
                     int64_t row, int64_t w0, int64_t g, int64_t c, int64_t lanes) {
  int64_t depth = s->channels / s->groups, each = s->features / s->groups, h = row % s->in[0];
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
      put_lanes(in, row * s->in[1] + w0 + p * s->stride[1], g * depth + c, sum[p], lanes);
}

KERNEL void in_depthwise(const NnrtConv *s, const float *out, const float *filter,
                         const NnrtSink *in, int64_t row) {
  int64_t h = row % s->in[0];
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
      put_lanes(in, row * s->in[1] + w, f, sum, lanes);
    }
}

KERNEL void in_row(const NnrtConv *s, const float *out, const float *filter, const NnrtSink *in,
                   int64_t row) {
  int64_t depth = s->channels / s->groups;
  for (int64_t g = 0; g < s->groups; g++)
    for (int64_t c = 0; c < depth; c += LANES)
      for (int64_t phase = 0; phase < least(s->stride[1], s->in[1]); phase++)
        for (int64_t w = phase; w < s->in[1]; w += PIXELS * s->stride[1])
          in_block(s, out, filter, in, row, w, g, c, least(LANES, depth - c));
}

EXPORT void nnrt_conv_in_f32(const NnrtArgs *args, const NnrtConv *shape, const float *out,
                             const float *filter, float *in, int64_t row0, int64_t row1,
                             NnrtEpilogue epilogue) {
  const NnrtConv s = *shape;
  const NnrtSink to = {args, epilogue, in, s.channels};
  for (int64_t r = row0; r < row1; r++) {
    const float *result = out + r / s.in[0] * s.out[0] * s.out[1] * s.features;
    if (is_depthwise(&s))
      in_depthwise(&s, result, filter, &to, r);
    else
      in_row(&s, result, filter, &to, r);
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
KERNEL void filter_block(const NnrtConv *s, const float *in, const float *out,
                         const NnrtSink *filter, int64_t row, int64_t rows, int64_t f,
                         int64_t lanes) {
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
      put_lanes(filter, row + k, f, total[k], lanes);
}

KERNEL void filter_depthwise(const NnrtConv *s, const float *in, const float *out,
                             const NnrtSink *filter, int64_t place, int64_t f, int64_t lanes) {
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
  put_lanes(filter, place, f, total, lanes);
}

EXPORT void nnrt_conv_filter_f32(const NnrtArgs *args, const NnrtConv *shape, const float *in,
                                 const float *out, float *filter, int64_t row0, int64_t row1,
                                 NnrtEpilogue epilogue) {
  const NnrtConv s = *shape;
  const NnrtSink to = {args, epilogue, filter, s.features};
  int64_t depth = s.channels / s.groups, each = s.features / s.groups;
  for (int64_t r = row0, rows; r < row1; r += rows) {
    rows = least(least(ROWS, row1 - r), depth - r % depth);
    if (is_depthwise(&s))
      for (int64_t f = 0; f < s.features; f += LANES)
        filter_depthwise(&s, in, out, &to, r, f, least(LANES, s.features - f));
    else
      for (int64_t g = 0; g < s.groups; g++)
        for (int64_t f = 0; f < each; f += LANES)
          filter_block(&s, in, out, &to, r, rows, g * each + f, least(LANES, each - f));
  }
}
