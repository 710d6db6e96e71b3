// Convolutions of 3 x 3 taps by Winograd's F(4 x 4, 3 x 3) (nnrt_winograd.h): out = A^T [(G g G^T)
// . (B^T d B)] A for each tile, where the sum over channels makes the middle 36 products of
// matrices. The gradient by the filter is the same read from its end: G^T [(B^T d B) . (A o A^T)]
// G. In: images, a filter in its form, a range of groups of tiles. Out: pixels, 16 channels at a
// time, each through the epilogue.
//
// The matrices are those of the points 0, a, -a, b, -b and infinity. With a = 3/4, b = 3/2 the
// error is 2 to 3 times that of the definition, a third of that of the usual 1 and 2.
#include "directblock.h"
#include "nnrt_winograd.h"

enum {
  TILE = NNRT_WINOGRAD_TILE,
  WINDOW = NNRT_WINOGRAD_WINDOW,
  POSITIONS = NNRT_WINOGRAD_POSITIONS,
  COLUMNS = NNRT_WINOGRAD_STRIP, // of a strip
};
#define A 0.75f
#define B 1.5f
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

// ---- out = in * filter -------------------------------------------------------------------------

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
  Place at = place_of(tile, k->rows, k->cols);
  Square pixel;
  square(&pixel, in + at.image * s->H * s->W * s->C, s->H, s->W, s->C, at.y - s->pad_top,
         at.x - s->pad_left, WINDOW, k->zero);
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
  Place at = place_of(tile, k->rows, k->cols);
  Square pixel;
  square(&pixel, in + at.image * s->H * s->W * s->C, s->H, s->W, s->C, at.y - s->pad_top,
         at.x - s->pad_left, WINDOW, k->zero);
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
