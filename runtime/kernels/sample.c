// Bilinear sampling of images [N, H, W, C] at coordinates [N, rows, columns], and its transpose.
// Outside of an image its border goes on; a coordinate that is no number gives NaN.
#include "kernel.h"

typedef struct {
  v16i low;  // the pixel before, of 16 points
  v16f part; // how far it is to the next
  v16i on;   // how far that is: 1, or 0 at the last pixel
} Between;

KERNEL Between between(v16f at, int64_t size) {
  v16f most = SPLAT(size - 1), c = SELECT(at > SPLAT(0), at, SPLAT(0));
  c = SELECT(c < most, c, most);
  v16i low = __builtin_convertvector(c, v16i);
  v16f part = c - __builtin_convertvector(low, v16f);
  return (Between){low, SELECT(at == at, part, at), -(low < (int32_t)(size - 1))};
}

// The four pixels around a point.
typedef struct {
  const float *at, *right, *below, *both;
  float across, down; // how far the point is to the right and below
} Corners;

KERNEL void mix(const Corners *p, float *to, int64_t C) {
  for (int64_t c = 0; c < C; c++) {
    float top = FMA(p->across, p->right[c] - p->at[c], p->at[c]),
          bottom = FMA(p->across, p->both[c] - p->below[c], p->below[c]);
    to[c] = FMA(p->down, bottom - top, top);
  }
}

// Red, green and blue in one vector: the fourth is read, and left.
KERNEL void mix_colours(const Corners *p, float *to) {
  typedef float v4f __attribute__((vector_size(16), aligned(4)));
  typedef float v2f __attribute__((vector_size(8), aligned(4)));
  v4f at = *(const v4f *)p->at, below = *(const v4f *)p->below;
  v4f across = p->across - (v4f){0}, down = p->down - (v4f){0};
  v4f top = FMA(across, *(const v4f *)p->right - at, at),
      bottom = FMA(across, *(const v4f *)p->both - below, below);
  v4f mixed = FMA(down, bottom - top, top);
  *(v2f *)to = __builtin_shufflevector(mixed, mixed, 0, 1);
  to[2] = mixed[2];
}

// Sixteen points of a row; what is read past its end is left.
KERNEL void sample_points(const NnrtSample *s, const float *image, const float *y, const float *z,
                          float *out, int64_t lanes) {
  int64_t C = s->channels;
  Between v = between(*(const v16f *)y, s->height), u = between(*(const v16f *)z, s->width);
  int32_t first[LANES], right[LANES], below[LANES];
  float down[LANES], across[LANES];
  *(v16i *)first = (v.low * (int32_t)s->width + u.low) * (int32_t)C;
  *(v16i *)right = u.on * (int32_t)C;
  *(v16i *)below = v.on * (int32_t)(s->width * C);
  *(v16f *)down = v.part;
  *(v16f *)across = u.part;
  for (int64_t i = 0; i < lanes; i++) {
    const float *at = image + first[i], *under = at + below[i];
    Corners p = {at, at + right[i], under, under + right[i], across[i], down[i]};
    if (C == 3)
      mix_colours(&p, out + i * C);
    else
      mix(&p, out + i * C, C);
  }
}

EXPORT void nnrt_sample_f32(const NnrtSample *s, const float *x, const float *y, const float *z,
                            float *out, int64_t row0, int64_t row1) {
  int64_t C = s->channels;
  for (int64_t row = row0; row < row1; row++) {
    const float *image = x + row / s->rows * s->height * s->width * C;
    for (int64_t k = 0; k < s->columns; k += LANES) {
      int64_t at = row * s->columns + k, lanes = s->columns - k;
      sample_points(s, image, y + at, z + at, out + at * C, lanes < LANES ? lanes : LANES);
    }
  }
}

// Row h of an image, if the part of the pixels d that falls on it, `weight` of point i, is any.
KERNEL void add_pixel(float *row, const float *d, int64_t width, int64_t C, float z, float weight) {
  Between u = between(SPLAT(z), width);
  for (int64_t channel = 0; channel < C; channel++) {
    float *to = row + u.low[0] * C + channel, share = weight * d[channel];
    to[0] += share - share * u.part[0];
    to[u.on[0] * C] += share * u.part[0];
  }
}

EXPORT void nnrt_sample_add_f32(const NnrtSample *s, const float *y, const float *z, const float *d,
                                float *out, int64_t row0, int64_t row1) {
  int64_t C = s->channels, each = s->rows * s->columns;
  for (int64_t row = row0; row < row1; row++) {
    float *to = out + row * s->width * C;
    int64_t first = row / s->height * each, h = row % s->height;
    for (int64_t k = 0; k < s->width * C; k++)
      to[k] = 0;
    for (int64_t i = first; i < first + each;
         i++) { // in order: the owner of a row adds it up alone
      Between v = between(SPLAT(y[i]), s->height);
      if (v.low[0] == h)
        add_pixel(to, d + i * C, s->width, C, z[i], 1 - v.part[0]);
      if (v.low[0] + v.on[0] == h)
        add_pixel(to, d + i * C, s->width, C, z[i], v.part[0]);
    }
  }
}
