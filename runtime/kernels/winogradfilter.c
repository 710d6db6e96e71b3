// Filters of convolutions by Winograd's F(4 x 4, 3 x 3), into their form and back, and the gradient
// by a filter, which is the convolution read from its end: G^T [(B^T d B) . (A o A^T)] G, summed
// over tiles. In: images and the gradient of the output, a range of tiles (nnrt_winograd.h). Out:
// the middle, 36 matrices, in parts; then G^T .. G of their sum.
#include "winogradform.h"

// ---- the gradient by the filter, in its form ---------------------------------------------------

// The rows of B^T, up to four numbers each, and of A.
typedef struct {
  int row[4];
  float by[4];
} Mix;
static const Mix window_mix[WINDOW] = {
    {{0, 2, 4, 4}, {A2 * B2, -(A2 + B2), 1, 0}}, {{1, 2, 3, 4}, {-A * B2, -B2, A, 1}},
    {{1, 2, 3, 4}, {A * B2, -B2, -A, 1}},        {{1, 2, 3, 4}, {-B * A2, -A2, B, 1}},
    {{1, 2, 3, 4}, {B * A2, -A2, -B, 1}},        {{1, 3, 5, 5}, {A2 * B2, -(A2 + B2), 1, 0}},
};
static const Mix tile_mix[WINDOW] = {
    {{0, 1, 2, 3}, {1, 0, 0, 0}},        {{0, 1, 2, 3}, {1, A, A2, A2 *A}},
    {{0, 1, 2, 3}, {1, -A, A2, -A2 *A}}, {{0, 1, 2, 3}, {1, B, B2, B2 *B}},
    {{0, 1, 2, 3}, {1, -B, B2, -B2 *B}}, {{0, 1, 2, 3}, {0, 0, 0, 1}},
};

// Of a square of `size` pixels: the mixed row, a register of channels of each of its pixels.
KERNEL void mix_rows(const Mix *mix, const Square *pixel, int size, int64_t c, float *to) {
#pragma clang loop unroll(disable)
  for (int j = 0; j < size; j++) {
    vec sum = scaled(mix->by[0], load_vec(pixel->at[mix->row[0] * size + j] + c));
    sum = plus(sum, mix->by[1], load_vec(pixel->at[mix->row[1] * size + j] + c));
    sum = plus(sum, mix->by[2], load_vec(pixel->at[mix->row[2] * size + j] + c));
    *(vec *)(to + j * WIDTH) =
        plus(sum, mix->by[3], load_vec(pixel->at[mix->row[3] * size + j] + c));
  }
}

typedef struct {
  const NnrtDirect *s;
  const NnrtWinogradSums *t;
  int64_t rows, cols;       // of tiles, in an image
  int64_t line, lines;      // of the positions: six of them each
  int64_t column, columns;  // features
  int64_t in_plane, in_row; // of the windows' form: floats from position to position, tile to tile
  int64_t out_plane, out_strip; // of the tiles' form, strip by strip
  float *in_form, *out_form, *zero, *half;
} Sums;

LATE void window_lines(const Sums *k, const float *in, int64_t tile, float *to) {
  const NnrtDirect *s = k->s;
  Square pixel;
  window_at(&pixel, s, in, place_of(tile, k->rows, k->cols), k->zero);
#pragma clang loop unroll(disable)
  for (int64_t c = 0; c < s->C; c += WIDTH)
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < k->lines; i++) {
      mix_rows(&window_mix[k->line + i], &pixel, WINDOW, c, k->half);
      Line l = of_window(load_line(k->half, WIDTH, WINDOW));
      store_line(&l, to + i * WINDOW * k->in_plane + c, k->in_plane, WINDOW);
    }
}

// The gradient of a tile, strip by strip.
LATE void tile_lines(const Sums *k, const float *out, int64_t tile, float *to) {
  const NnrtDirect *s = k->s;
  Place at = place_of(tile, k->rows, k->cols);
  Square pixel;
  square(&pixel, out + at.image * s->OH * s->OW * s->F, s->OH, s->OW, s->F, at.y, at.x, TILE,
         k->zero);
#pragma clang loop unroll(disable)
  for (int64_t f = 0; f < k->columns; f += WIDTH)
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < k->lines; i++) {
      mix_rows(&tile_mix[k->line + i], &pixel, TILE, k->column + f, k->half);
      Line l = of_tile(load_line(k->half, WIDTH, TILE));
      store_line(&l, to + i * WINDOW * k->out_plane + f / COLUMNS * k->out_strip + f % COLUMNS,
                 k->out_plane, WINDOW);
    }
}

// One matrix, `n` tiles' share of it.
KERNEL void add_products(const Sums *k, int64_t position, int64_t n, bool first, float *sum) {
  const int64_t C = k->s->C;
  const int along = direct_along(C, 1);
#pragma clang loop unroll(disable)
  for (int64_t f = 0; f < k->columns; f += LANES * DIRECT_WIDTH) {
    int64_t strip = f / COLUMNS, c = 0;
    DirectBlock b = {
        .x = k->in_form + position * k->in_plane,
        .x_along = 1,
        .n = {1, 1, n},
        .step = {0, 0, k->in_row},
        .row = k->out_form + position * k->out_plane + strip * k->out_strip + f % COLUMNS,
        .row_step = COLUMNS,
        .sum = sum + strip * C * COLUMNS + f % COLUMNS,
        .sum_along = COLUMNS,
        .first = first,
    };
#pragma clang loop unroll(disable)
    for (; c + along <= C; c += along, b.x += along, b.sum += along * COLUMNS)
      direct_block(&b, 1, along, DIRECT_WIDTH);
    if (C % along != 0)
      direct_block(&b, 1, (int)(C % along), DIRECT_WIDTH);
  }
}

// What the next tiles are made of is asked for while products are added up: the share of one
// position.
LATE void fetch_share(const Sums *k, const float *in, const float *out, int64_t first, int64_t end,
                      int64_t position) {
  const int64_t terms = k->t->terms, positions = k->lines * WINDOW;
#pragma clang loop unroll(disable)
  for (int64_t i = first + position * terms / positions;
       i < first + (position + 1) * terms / positions && i < end; i++) {
    Place at = place_of(i, k->rows, k->cols);
    fetch_window(k->s, in, at);
    fetch_tile(k->s, out + k->column, at, k->columns, false);
  }
}

// The sums over tiles [first, end), from position 0 of the tile's lines on.
KERNEL void add_tiles(const Sums *k, const float *in, const float *out, int64_t first, int64_t end,
                      float *sum) {
  const int64_t terms = k->t->terms, plane = k->s->C * k->s->F;
  if (first == end)
#pragma clang loop unroll(disable)
    for (int64_t j = 0; j < k->lines * WINDOW; j++)
      direct_zero(sum + j * plane, k->s->C * k->columns);
  bool begins = true;
#pragma clang loop unroll(disable)
  for (; first < end; first += terms, begins = false) {
    int64_t n = end - first < terms ? end - first : terms;
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < n; i++) {
      window_lines(k, in, first + i, k->in_form + i * k->in_row);
      tile_lines(k, out, first + i, k->out_form + i * COLUMNS);
    }
#pragma clang loop unroll(disable)
    for (int64_t j = 0; j < k->lines * WINDOW; j++) {
      fetch_share(k, in, out, first + terms, end, j);
      add_products(k, j, n, begins, sum + j * plane);
    }
  }
}

// Tiles go line by line, then to the next columns, then to the next part.
EXPORT void nnrt_winograd_sums_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                   const float *in, const float *out, float *sums, int64_t N,
                                   const NnrtDirect *s, const NnrtWinogradSums *t) {
  Sums k = {.s = s,
            .t = t,
            .rows = nnrt_direct_pieces(s->OH, TILE),
            .cols = nnrt_direct_pieces(s->OW, TILE),
            .lines = t->lines,
            .in_plane = nnrt_winograd_plane(t->terms, s->C),
            .in_row = nnrt_winograd_row(s->C),
            .out_plane = t->terms * t->columns,
            .out_strip = t->terms * COLUMNS,
            .in_form = args->scratch};
  k.out_form = k.in_form + t->lines * WINDOW * k.in_plane;
  k.half = k.out_form + t->lines * WINDOW * k.out_plane;
  k.zero = k.half + NNRT_WINOGRAD_HALF;
  direct_zero(k.zero, s->C + s->F);
  const int64_t tiles = N * k.rows * k.cols, groups = WINDOW / t->lines,
                blocks = nnrt_direct_pieces(s->F, t->columns);
#pragma clang loop unroll(disable)
  for (int64_t number = tile0; number < tile1; number++) {
    const int64_t part = number / groups / blocks;
    k.line = number % groups * t->lines;
    k.column = number / groups % blocks * t->columns;
    k.columns =
        s->F % t->columns == 0 || s->F - k.column > t->columns ? t->columns : s->F - k.column;
    add_tiles(&k, in, out, part * tiles / t->parts, (part + 1) * tiles / t->parts,
              sums + ((part * POSITIONS + k.line * WINDOW) * s->F + k.column) * s->C);
  }
}

// ---- filters -----------------------------------------------------------------------------------

enum { ROWS_OF_FORM = NNRT_WINOGRAD_ROWS };

// A register of each tap, `tap` floats apart, into their form, `plane` floats apart.
KERNEL void taps_form(const float *taps, int64_t tap, float *half, float *to, int64_t plane) {
#pragma clang loop unroll(disable)
  for (int j = 0; j < 3; j++) {
    Line l = of_taps(load_line(taps + j * tap, 3 * tap, 3));
    store_line(&l, half + j * WIDTH, 3 * WIDTH, WINDOW);
  }
#pragma clang loop unroll(disable)
  for (int i = 0; i < WINDOW; i++) {
    Line l = of_taps(load_line(half + i * 3 * WIDTH, WIDTH, 3));
    store_line(&l, to + i * WINDOW * plane, plane, WINDOW);
  }
}

// Taps from the last to the first, features and channels exchanged: 16 rows of 32 columns of each.
KERNEL void turn_taps(const float *filter, int64_t rows, int64_t columns, float *to) {
#pragma clang loop unroll(disable)
  for (int tap = 8; tap >= 0; tap--)
#pragma clang loop unroll(disable)
    for (int64_t n = 0; n < COLUMNS; n += 4) {
      const float *from = filter + (tap * columns + n) * rows;
      const float *column[] = {from, from + rows, from + 2 * rows, from + 3 * rows};
#pragma clang loop unroll(disable)
      for (int64_t k = 0; k < ROWS_OF_FORM; k += 4)
        transpose_4(column, k, to + ((8 - tap) * ROWS_OF_FORM + k) * COLUMNS + n, COLUMNS);
    }
}

EXPORT void nnrt_winograd_form_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                   const float *filter, bool turned, int64_t rows, int64_t columns,
                                   float *form) {
  float *const half = args->scratch, *const taps = half + NNRT_WINOGRAD_HALF;
  const int64_t blocks = rows / ROWS_OF_FORM, plane = rows * columns;
#pragma clang loop unroll(disable)
  for (int64_t number = tile0; number < tile1; number++) {
    const int64_t column = number / blocks * COLUMNS, first = number % blocks * ROWS_OF_FORM;
    float *to = form + column * rows + first * COLUMNS;
    if (turned)
      turn_taps(filter + column * rows + first, rows, columns, taps);
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < ROWS_OF_FORM; i++)
#pragma clang loop unroll(disable)
      for (int64_t j = 0; j < COLUMNS; j += WIDTH)
        if (turned)
          taps_form(taps + i * COLUMNS + j, ROWS_OF_FORM * COLUMNS, half, to + i * COLUMNS + j,
                    plane);
        else
          taps_form(filter + (first + i) * columns + column + j, plane, half, to + i * COLUMNS + j,
                    plane);
  }
}

// A register of each position.
KERNEL void add_parts(const float *from, int64_t plane, int64_t parts, float *to) {
#pragma clang loop unroll(disable)
  for (int64_t position = 0; position < POSITIONS; position++) {
    const float *part = from + position * plane;
    vec sum = load_vec(part);
#pragma clang loop unroll(disable)
    for (int64_t i = 1; i < parts; i++)
      sum += load_vec(part + i * POSITIONS * plane);
    *(vec *)(to + position * WIDTH) = sum;
  }
}

EXPORT void nnrt_winograd_taps_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                   const float *form, int64_t parts, int64_t rows, int64_t columns,
                                   float *filter) {
  float *const half = args->scratch, *const whole = half + NNRT_WINOGRAD_HALF;
  const int64_t blocks = rows / ROWS_OF_FORM, plane = rows * columns;
#pragma clang loop unroll(disable)
  for (int64_t number = tile0; number < tile1; number++) {
    const int64_t column = number / blocks * COLUMNS, first = number % blocks * ROWS_OF_FORM;
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < ROWS_OF_FORM * COLUMNS; i += WIDTH) {
      const float *from = form + column * rows + first * COLUMNS + i;
      int64_t apart = plane;
      if (parts > 1) {
        add_parts(from, plane, parts, whole);
        from = whole, apart = WIDTH;
      }
      float *to = filter + (first + i / COLUMNS) * columns + column + i % COLUMNS;
#pragma clang loop unroll(disable)
      for (int j = 0; j < WINDOW; j++) {
        Line l = to_taps(load_line(from + j * apart, WINDOW * apart, WINDOW));
        store_line(&l, half + j * WIDTH, WINDOW * WIDTH, 3);
      }
#pragma clang loop unroll(disable)
      for (int j = 0; j < 3; j++) {
        Line l = to_taps(load_line(half + j * WINDOW * WIDTH, WIDTH, WINDOW));
        store_line(&l, to + j * 3 * plane, plane, 3);
      }
    }
  }
}
