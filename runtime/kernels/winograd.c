// Convolutions of 3 x 3 taps by Winograd's F(4 x 4, 3 x 3): out = A^T [(G g G^T) . (B^T d B)] A for
// each tile, where the sum over channels makes the middle 36 products of matrices. In: images, a
// filter in its form, a range of groups of tiles. Out: pixels, 16 channels at a time, each through
// the epilogue.
#include "winogradform.h"

typedef struct {
  const NnrtArgs *args;
  NnrtEpilogue epilogue;
  const NnrtDirect *s;
  int64_t rows, cols;                      // of tiles, in an image
  int64_t in_plane, out_plane;             // floats from position to position,
  int64_t in_row, out_row;                 // from tile to tile
  float *in_form, *out_form, *zero, *half; // half: a transform along one axis
} Images;

// The windows of a tile in their form: 36 numbers for each channel.
LATE void window_form(const Images *k, const float *in, int64_t tile, float *to) {
  const NnrtDirect *s = k->s;
  Square pixel;
  window_at(&pixel, s, in, place_of(tile, k->rows, k->cols), k->zero);
#pragma clang loop unroll(disable)
  for (int64_t c = 0; c < s->C; c += WIDTH) {
#pragma clang loop unroll(disable)
    for (int j = 0; j < WINDOW; j++) {
      Line l = of_window(load_pixels(pixel.at + j, c, WINDOW));
      store_line(&l, k->half + j * WIDTH, WINDOW * WIDTH, WINDOW);
    }
#pragma clang loop unroll(disable)
    for (int i = 0; i < WINDOW; i++) {
      Line l = of_window(load_line(k->half + i * WINDOW * WIDTH, WIDTH, WINDOW));
      store_line(&l, to + i * WINDOW * k->in_plane + c, k->in_plane, WINDOW);
    }
  }
}

// `n` tiles by one strip of the filter, for one position.
KERNEL void strip(const Images *k, int64_t position, int64_t n, const float *filter,
                  int64_t column) {
  DirectBlock b = {
      .x = k->in_form + position * k->in_plane,
      .x_along = k->in_row,
      .n = {1, 1, k->s->C},
      .step = {0, 0, 1},
      .row = filter,
      .row_step = COLUMNS,
      .sum = k->out_form + position * k->out_plane + column,
      .sum_along = k->out_row,
      .first = true,
  };
  int64_t i = 0;
#define TILES(m)                                                                                   \
  {                                                                                                \
    direct_block(&b, 1, m, DIRECT_WIDTH);                                                          \
    b.x += m * b.x_along, b.sum += m * b.sum_along, i += m;                                        \
  }
#pragma clang loop unroll(disable)
  while (i + DIRECT_HEIGHT <= n)
    TILES(DIRECT_HEIGHT)
#define REST(m)                                                                                    \
  if (m < DIRECT_HEIGHT && i + m <= n)                                                             \
  TILES(m)
  REST(8) REST(4) REST(2) REST(1)
#undef REST
#undef TILES
}

// Sixteen channels of a tile's pixels.
KERNEL void finish(const Images *k, const Place *at, const float *form, int64_t f, float *out) {
  const NnrtDirect *s = k->s;
  float *const pixel = k->half + TILE * WINDOW * LANES;
#pragma clang loop unroll(disable)
  for (int j = 0; j < WINDOW; j++)
#pragma clang loop unroll(disable)
    for (int c = 0; c < LANES; c += WIDTH) {
      Line l = to_tile(load_line(form + j * k->out_plane + c, WINDOW * k->out_plane, WINDOW));
      store_line(&l, k->half + j * LANES + c, WINDOW * LANES, TILE);
    }
#pragma clang loop unroll(disable)
  for (int64_t i = 0; i < TILE && at->y + i < s->OH; i++) {
#pragma clang loop unroll(disable)
    for (int c = 0; c < LANES; c += WIDTH) {
      Line l = to_tile(load_line(k->half + i * WINDOW * LANES + c, LANES, WINDOW));
      store_line(&l, pixel + c, LANES, TILE);
    }
    const int64_t row = (at->image * s->OH + at->y + i) * s->OW + at->x;
#pragma clang loop unroll(disable)
    for (int64_t j = 0; j < TILE && at->x + j < s->OW; j++) {
      v16f value = load(pixel + j * LANES);
      if (k->epilogue)
        value = k->epilogue(value, k->args, row + j, f, LANES);
      if (out)
        *(v16f *)(out + (row + j) * s->F + f) = value;
    }
  }
}

EXPORT void nnrt_winograd_out_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                  const float *in, const float *filter, float *out, int64_t N,
                                  const NnrtDirect *s, NnrtEpilogue epilogue) {
  enum { BLOCK = NNRT_WINOGRAD_BLOCK, GROUP = NNRT_WINOGRAD_GROUP };
  Images k = {.args = args,
              .epilogue = epilogue,
              .s = s,
              .rows = nnrt_direct_pieces(s->OH, TILE),
              .cols = nnrt_direct_pieces(s->OW, TILE),
              .in_plane = nnrt_winograd_plane(BLOCK, s->C),
              .out_plane = nnrt_winograd_plane(BLOCK, s->F),
              .in_row = nnrt_winograd_row(s->C),
              .out_row = nnrt_winograd_row(s->F),
              .in_form = args->scratch};
  k.out_form = k.in_form + POSITIONS * k.in_plane;
  k.half = k.out_form + POSITIONS * k.out_plane;
  k.zero = k.half + NNRT_WINOGRAD_HALF;
  direct_zero(k.zero, s->C);
  int64_t end = N * k.rows * k.cols;
  end = tile1 * GROUP < end ? tile1 * GROUP : end;
#pragma clang loop unroll(disable)
  for (int64_t first = tile0 * GROUP; first < end; first += BLOCK) {
    int64_t n = end - first < BLOCK ? end - first : BLOCK;
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < n; i++)
      window_form(&k, in, first + i, k.in_form + i * k.in_row);
    const float *row = filter;
#pragma clang loop unroll(disable)
    for (int64_t position = 0; position < POSITIONS; position++) {
      if (position < n && first + position + BLOCK < end)
        fetch_window(s, in, place_of(first + position + BLOCK, k.rows, k.cols));
      if (position < n && out)
        fetch_tile(s, out, place_of(first + position, k.rows, k.cols), s->F, true);
#pragma clang loop unroll(disable)
      for (int64_t f = 0; f < s->F; f += COLUMNS, row += COLUMNS * s->C)
#pragma clang loop unroll(disable)
        for (int64_t c = 0; c < COLUMNS; c += LANES * DIRECT_WIDTH)
          strip(&k, position, n, row + c, f + c);
    }
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < n; i++) {
      Place at = place_of(first + i, k.rows, k.cols);
#pragma clang loop unroll(disable)
      for (int64_t f = 0; f < s->F; f += LANES)
        finish(&k, &at, k.out_form + i * k.out_row + f, f, out);
    }
  }
}
