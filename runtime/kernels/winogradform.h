// What convolutions in Winograd's form F(4 x 4, 3 x 3) (nnrt_winograd.h) and their gradients share:
// the transforms along one axis, windows and tiles of images. The matrices are those of the points
// 0, a, -a, b, -b and infinity.
#ifndef NNRT_WINOGRADFORM_H
#define NNRT_WINOGRADFORM_H

#include "directblock.h"
#include "nnrt_winograd.h"

enum {
  TILE = NNRT_WINOGRAD_TILE,
  WINDOW = NNRT_WINOGRAD_WINDOW,
  POSITIONS = NNRT_WINOGRAD_POSITIONS,
  COLUMNS = NNRT_WINOGRAD_STRIP, // of a strip
};
#define A ((float)NNRT_WINOGRAD_A)
#define B ((float)NNRT_WINOGRAD_B)
#define A2 (A * A)
#define B2 (B * B)
#define FILTER_A (1 / (2 * A2 * (A2 - B2)))
#define FILTER_B (1 / (2 * B2 * (B2 - A2)))

// ---- transforms along one axis -----------------------------------------------------------------

// A register: six of them and what is made of them should fit.
enum { WIDTH = NNRT_LEVEL == 4 ? 16 : NNRT_LEVEL == 3 ? 8 : 4 };
typedef float vec __attribute__((vector_size(WIDTH * 4), aligned(4)));
typedef struct {
  vec at[WINDOW];
} Line;

KERNEL vec load_vec(const float *p) {
  return *(const vec *)p;
}
KERNEL vec scaled(float a, vec x) {
  return (a - (vec){0}) * x;
}
KERNEL vec plus(vec x, float a, vec y) {
  return FMA(a - (vec){0}, y, x);
}

KERNEL Line of_window(Line d) { // B^T d
  vec even_a = plus(d.at[4], -B2, d.at[2]), odd_a = plus(d.at[3], -B2, d.at[1]);
  vec even_b = plus(d.at[4], -A2, d.at[2]), odd_b = plus(d.at[3], -A2, d.at[1]);
  return (Line){{plus(plus(d.at[4], -(A2 + B2), d.at[2]), A2 * B2, d.at[0]), plus(even_a, A, odd_a),
                 plus(even_a, -A, odd_a), plus(even_b, B, odd_b), plus(even_b, -B, odd_b),
                 plus(plus(d.at[5], -(A2 + B2), d.at[3]), A2 * B2, d.at[1])}};
}

KERNEL Line to_tile(Line m) { // A^T m: four numbers
  vec sum_a = m.at[1] + m.at[2], less_a = m.at[1] - m.at[2];
  vec sum_b = m.at[3] + m.at[4], less_b = m.at[3] - m.at[4];
  return (Line){{m.at[0] + sum_a + sum_b, plus(scaled(A, less_a), B, less_b),
                 plus(scaled(A2, sum_a), B2, sum_b),
                 plus(plus(m.at[5], A2 * A, less_a), B2 * B, less_b)}};
}

KERNEL Line of_tile(Line y) { // A y, of four numbers
  vec even_a = plus(y.at[0], A2, y.at[2]), odd_a = plus(y.at[1], A2, y.at[3]);
  vec even_b = plus(y.at[0], B2, y.at[2]), odd_b = plus(y.at[1], B2, y.at[3]);
  return (Line){{y.at[0], plus(even_a, A, odd_a), plus(even_a, -A, odd_a), plus(even_b, B, odd_b),
                 plus(even_b, -B, odd_b), y.at[3]}};
}

KERNEL Line of_taps(Line g) { // G g, of three numbers
  vec even_a = scaled(FILTER_A, plus(g.at[0], A2, g.at[2]));
  vec even_b = scaled(FILTER_B, plus(g.at[0], B2, g.at[2]));
  return (Line){{scaled(1 / (A2 * B2), g.at[0]), plus(even_a, FILTER_A * A, g.at[1]),
                 plus(even_a, -FILTER_A * A, g.at[1]), plus(even_b, FILTER_B * B, g.at[1]),
                 plus(even_b, -FILTER_B * B, g.at[1]), g.at[2]}};
}

KERNEL Line to_taps(Line u) { // G^T u: three numbers
  vec sum_a = scaled(FILTER_A, u.at[1] + u.at[2]), sum_b = scaled(FILTER_B, u.at[3] + u.at[4]);
  vec less_a = u.at[1] - u.at[2], less_b = u.at[3] - u.at[4];
  return (Line){{plus(sum_a + sum_b, 1 / (A2 * B2), u.at[0]),
                 plus(scaled(FILTER_A * A, less_a), FILTER_B * B, less_b),
                 plus(plus(u.at[5], A2, sum_a), B2, sum_b)}};
}

// Of n numbers, `step` floats apart.
// clang-format off
KERNEL Line load_line(const float *p, int64_t step, int n) {
  Line l = {{{0}}};
#define LOAD_LINE(i)                                                                               \
  if (i < n)                                                                                       \
    l.at[i] = load_vec(p + i * step);
  LOAD_LINE(0) LOAD_LINE(1) LOAD_LINE(2) LOAD_LINE(3) LOAD_LINE(4) LOAD_LINE(5)
#undef LOAD_LINE
      return l;
}

KERNEL void store_line(const Line *l, float *p, int64_t step, int n) {
#define STORE_LINE(i)                                                                              \
  if (i < n)                                                                                       \
    *(vec *)(p + i * step) = l->at[i];
  STORE_LINE(0) STORE_LINE(1) STORE_LINE(2) STORE_LINE(3) STORE_LINE(4) STORE_LINE(5)
#undef STORE_LINE
}
// clang-format on

// ---- images ------------------------------------------------------------------------------------

typedef struct {
  int64_t image, y, x; // its first pixel
} Place;

KERNEL Place place_of(int64_t tile, int64_t rows, int64_t cols) {
  return (Place){tile / (rows * cols), tile / cols % rows * TILE, tile % cols * TILE};
}

// The pixels of a square of images: `zero` where there is none.
typedef struct {
  const float *at[WINDOW * WINDOW];
} Square;

KERNEL void square(Square *to, const float *x, int64_t H, int64_t W, int64_t channels, int64_t top,
                   int64_t left, int size, const float *zero) {
#pragma clang loop unroll(disable)
  for (int i = 0; i < size; i++)
#pragma clang loop unroll(disable)
    for (int j = 0; j < size; j++) {
      int64_t y = top + i, z = left + j;
      bool inside = y >= 0 && y < H && z >= 0 && z < W;
      to->at[i * size + j] = inside ? x + (y * W + z) * channels : zero;
    }
}

// The window of the tile at a place.
KERNEL void window_at(Square *to, const NnrtDirect *s, const float *in, Place at,
                      const float *zero) {
  square(to, in + at.image * s->H * s->W * s->C, s->H, s->W, s->C, at.y - s->pad_top,
         at.x - s->pad_left, WINDOW, zero);
}

KERNEL void fetch(const float *p, int64_t n, bool write) {
#pragma clang loop unroll(disable)
  for (int64_t i = 0; i < n; i += LANES)
    if (write)
      __builtin_prefetch(p + i, 1, 2);
    else
      __builtin_prefetch(p + i, 0, 2);
}

// What a window sees that the one on its left does not.
KERNEL void fetch_window(const NnrtDirect *s, const float *in, Place at) {
  const int64_t x = at.x - s->pad_left + WINDOW - TILE;
#pragma clang loop unroll(disable)
  for (int64_t y = at.y - s->pad_top; y < at.y - s->pad_top + WINDOW; y++)
    if (y >= 0 && y < s->H && x + TILE <= s->W)
      fetch(in + ((at.image * s->H + y) * s->W + x) * s->C, TILE * s->C, false);
}

// `columns` channels of a tile.
KERNEL void fetch_tile(const NnrtDirect *s, const float *out, Place at, int64_t columns,
                       bool write) {
#pragma clang loop unroll(disable)
  for (int64_t y = at.y; y < at.y + TILE && y < s->OH; y++)
#pragma clang loop unroll(disable)
    for (int64_t x = at.x; x < at.x + TILE && x < s->OW; x++)
      fetch(out + ((at.image * s->OH + y) * s->OW + x) * s->F, columns, write);
}

// A line of pixels, down (from one to the next `WINDOW` further) or across.
KERNEL Line load_pixels(const float *const *at, int64_t c, int step) {
  return (Line){{load_vec(at[0] + c), load_vec(at[step] + c), load_vec(at[2 * step] + c),
                 load_vec(at[3 * step] + c), load_vec(at[4 * step] + c),
                 load_vec(at[5 * step] + c)}};
}

#endif
