// The gradient of a convolution by its filter. In: the image and the gradient of the output, a
// range of tiles (nnrt_direct.h), each the owner of some rows of the filter. Out: those rows,
// through the epilogue. A register block is (kernel column x input channel) x output channels and
// takes the sum over pixels: so many images, or rows of one, at a time as stay in cache, their
// windows copied where zeros lie around the image and rows of channels packed where they lie far
// apart. Sums go on in scratch, in order of images, rows and columns: one chain for each element of
// the filter.
#include "directblock.h"
#include "nnrt_direct.h"

enum { NEAR = 256 }; // floats: rows of channels that are no further apart are read in place

typedef struct {
  int64_t group, tap, taps, channel, channels, column, columns;
} Tile;

// What is the same for all tiles.
typedef struct {
  const NnrtDirect *s;
  const NnrtDirectTile *t;
  const float *in, *out; // out: the gradient
  float *window, *packed, *sum;
  int64_t C, F;
  int nr;
  bool in_copied, out_packed;
} Task;

typedef struct {
  const float *x;
  int64_t x_pixel, x_line, x_image;
  const float *row;
  int64_t row_step, strip_step; // from pixel to pixel; from strip to strip
  int64_t images, rows;
  bool first;
} Piece;

KERNEL int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

// Sums of `across` x `along` entries, from entry (tap, entry) of the tile on.
KERNEL void entries(const Task *k, const Tile *at, const Piece *p, int64_t tap, int64_t entry,
                    const float *x, int across, int along) {
  const NnrtDirect *s = k->s;
  const int64_t line = s->KW * at->channels * k->t->columns;
  DirectBlock b = {
      .x = x,
      .x_along = 1,
      .x_across = s->dilation_h * p->x_line,
      .n = {p->images, p->rows, s->OW},
      .step = {p->x_image, s->stride_h * p->x_line, s->stride_w * p->x_pixel},
      .row = p->row,
      .row_step = p->row_step,
      .sum = k->sum + tap * line + entry * k->t->columns,
      .sum_along = k->t->columns,
      .sum_across = line,
      .first = p->first,
  };
#pragma clang loop unroll(disable)
  for (int64_t c = 0; c < at->columns; c += LANES * k->nr) {
    direct_block(&b, across, along, k->nr);
    b.row += p->strip_step;
    b.sum += LANES * k->nr;
  }
}

// `n` entries that are neighbours in x; `of`: n where it is constant, else -1.
KERNEL void run(const Task *k, const Tile *at, const Piece *p, int64_t tap, int64_t entry,
                const float *x, int64_t n, int64_t of, int across) {
  const int along = of > 0 ? direct_along(of, 1) : DIRECT_HEIGHT;
  int64_t i = 0;
#pragma clang loop unroll(disable)
  for (; i + along <= n; i += along)
    entries(k, at, p, tap, entry + i, x + i, across, along);
  if (of > 0 && of % along != 0)
    entries(k, at, p, tap, entry + i, x + i, across, (int)(of % along));
  if (of > 0)
    return;
#define REST(m)                                                                                    \
  if (m < DIRECT_HEIGHT && i + m <= n) {                                                           \
    entries(k, at, p, tap, entry + i, x + i, across, m);                                           \
    i += m;                                                                                        \
  }
  REST(8) REST(4) REST(2) REST(1)
#undef REST
}

// One piece of the sum, for all entries of the tile.
KERNEL void piece(const Task *k, const Tile *at, const Piece *p) {
  const NnrtDirect *s = k->s;
  const bool even = k->C % k->t->depth == 0;
  const bool joined = s->dilation_w == 1 && p->x_pixel == at->channels; // columns are neighbours
  if (even && k->t->depth == k->C && s->dilation_w == 1 && s->KW * k->C <= DIRECT_HEIGHT / 2 &&
      k->t->rows == s->KH && joined) {
    const int line = (int)(s->KW * k->C), across = direct_across(s->KH, line);
    int64_t tap = 0;
#pragma clang loop unroll(disable)
    for (; tap + across <= s->KH; tap += across)
      entries(k, at, p, tap, 0, p->x + tap * s->dilation_h * p->x_line, across, line);
    if (s->KH % across != 0)
      entries(k, at, p, tap, 0, p->x + tap * s->dilation_h * p->x_line, (int)(s->KH % across),
              line);
    return;
  }
#pragma clang loop unroll(disable)
  for (int64_t tap = 0; tap < at->taps; tap++) {
    const float *x = p->x + tap * s->dilation_h * p->x_line;
    if (joined && even)
      run(k, at, p, tap, 0, x, s->KW * k->t->depth, s->KW * k->t->depth, 1);
    else
#pragma clang loop unroll(disable)
      for (int64_t j = 0; j < s->KW; j++)
        run(k, at, p, tap, j * at->channels, x + j * s->dilation_w * p->x_pixel, at->channels,
            even ? k->t->depth : -1, 1);
  }
}

// Windows of `images` images, or of `rows` rows of one, for the channels of a tile.
KERNEL void copy_in(const Task *k, const Tile *at, Piece *p, int64_t image, int64_t row) {
  const NnrtDirect *s = k->s;
  const float *in = k->in + at->group * k->C + at->channel;
  int64_t top = row * s->stride_h - s->pad_top + at->tap * s->dilation_h;
  p->x_pixel = s->C, p->x_line = s->W * s->C, p->x_image = s->H * s->W * s->C;
  p->x = in + image * p->x_image + top * p->x_line - s->pad_left * s->C;
  if (!k->in_copied)
    return;
  Window w = {.H = s->H,
              .W = s->W,
              .pixel = s->C,
              .channels = at->channels,
              .top = top,
              .left = -s->pad_left,
              .rows = (p->rows - 1) * s->stride_h + (at->taps - 1) * s->dilation_h + 1,
              .cols = (s->OW - 1) * s->stride_w + (s->KW - 1) * s->dilation_w + 1};
  p->x_pixel = at->channels, p->x_line = w.cols * p->x_pixel, p->x_image = w.rows * p->x_line;
  p->x = k->window;
#pragma clang loop unroll(disable)
  for (int64_t i = 0; i < p->images; i++) {
    w.x = in + (image + i) * s->H * s->W * s->C;
    direct_window(&w, k->window + i * p->x_image);
  }
}

// Rows of channels, strip by strip, zeros past the last.
KERNEL void pack_out(const Task *k, const Tile *at, Piece *p, int64_t pixel, int64_t pixels) {
  const float *out = k->out + pixel * k->s->F + at->group * k->F + at->column;
  p->row = out, p->row_step = k->s->F, p->strip_step = LANES * k->nr;
  if (!k->out_packed)
    return;
  p->row = k->packed, p->row_step = LANES * k->nr, p->strip_step = pixels * LANES * k->nr;
  float *to = k->packed;
#pragma clang loop unroll(disable)
  for (int64_t c = 0; c < at->columns; c += LANES * k->nr)
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < pixels; i++) {
      direct_fetch(out + (i + DIRECT_AHEAD) * k->s->F + c, LANES * k->nr);
#pragma clang loop unroll(disable)
      for (int j = 0; j < k->nr; j++, to += LANES)
        *(v16f *)to = load_first(out + i * k->s->F + c + LANES * j, at->columns - c - LANES * j);
    }
}

// The sums of a tile are rows from `first` on.
KERNEL void finish(const Task *k, const Tile *at, const NnrtArgs *args, int64_t first,
                   float *filter, NnrtEpilogue epilogue) {
  const NnrtDirect *s = k->s;
  const float *sum = k->sum;
#pragma clang loop unroll(disable)
  for (int64_t tap = 0; tap < at->taps; tap++)
#pragma clang loop unroll(disable)
    for (int64_t j = 0; j < s->KW; j++)
#pragma clang loop unroll(disable)
      for (int64_t c = 0; c < at->channels; c++, sum += k->t->columns)
#pragma clang loop unroll(disable)
        for (int64_t f = 0; f < at->columns; f += LANES) {
          int32_t lanes = k->F % LANES == 0 ? LANES : (int32_t)least(at->columns - f, LANES);
          int64_t row = first + ((at->tap + tap) * s->KW + j) * k->C + at->channel + c;
          int64_t column = at->group * k->F + at->column + f;
          v16f value = load(sum + f);
          if (epilogue)
            value = epilogue(value, args, row, column, lanes);
          if (filter)
            store_lanes(filter + row * s->F + column, value, lanes);
        }
}

// Tiles go row by row of the filter, then to the next input channels, output channels, groups.
KERNEL Tile tile_at(const Task *k, int64_t number) {
  const NnrtDirectTile *t = k->t;
  int64_t taps = (k->s->KH + t->rows - 1) / t->rows, depths = (k->C + t->depth - 1) / t->depth;
  int64_t blocks = (k->F + t->columns - 1) / t->columns;
  Tile at = {.tap = number % taps * t->rows,
             .channel = number / taps % depths * t->depth,
             .column = number / taps / depths % blocks * t->columns,
             .group = number / taps / depths / blocks};
  at.taps = k->s->KH % t->rows == 0 ? t->rows : least(t->rows, k->s->KH - at.tap);
  at.channels = k->C % t->depth == 0 ? t->depth : least(t->depth, k->C - at.channel);
  at.columns = k->F % t->columns == 0 ? t->columns : least(t->columns, k->F - at.column);
  return at;
}

// The sum over one part of the pixels.
KERNEL void part(const Task *k, const Tile *at, int64_t N, int64_t number) {
  const NnrtDirect *s = k->s;
  const NnrtDirectTile *t = k->t;
  const int64_t rows = nnrt_direct_pieces(s->OH, t->image_rows);
  const int64_t pieces = nnrt_direct_pieces(N, t->images) * rows;
  const int64_t first = number * pieces / t->parts, end = (number + 1) * pieces / t->parts;
  Piece p = {.first = true};
  if (first == end)
    direct_zero(k->sum, t->rows * s->KW * t->depth * t->columns);
#pragma clang loop unroll(disable)
  for (int64_t i = first; i < end; i++, p.first = false) {
    int64_t image = i / rows * t->images, row = i % rows * t->image_rows;
    p.images = t->images == 1 ? 1 : least(t->images, N - image);
    p.rows = s->OH % t->image_rows == 0 ? t->image_rows : least(t->image_rows, s->OH - row);
    copy_in(k, at, &p, image, row);
    pack_out(k, at, &p, (image * s->OH + row) * s->OW, p.images * p.rows * s->OW);
    piece(k, at, &p);
  }
}

EXPORT void nnrt_direct_filter_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                   const float *in, const float *out, float *filter, int64_t N,
                                   const NnrtDirect *s, const NnrtDirectTile *t,
                                   NnrtEpilogue epilogue) {
  float *const scratch = args->scratch;
  Task k = {.s = s,
            .t = t,
            .in = in,
            .out = out,
            .window = scratch + t->window,
            .packed = scratch,
            .sum = scratch + t->sum,
            .C = s->C / s->groups,
            .F = s->F / s->groups};
  const int64_t tiles = t->blocks / t->parts;
  k.nr = k.F <= LANES ? 1 : DIRECT_WIDTH;
  k.in_copied = !nnrt_direct_inside(s) || s->C * s->stride_w > NEAR;
  k.out_packed = k.F % (LANES * k.nr) != 0 || s->F > NEAR;
#pragma clang loop unroll(disable)
  for (int64_t number = tile0; number < tile1; number++) {
    Tile at = tile_at(&k, number % tiles);
    part(&k, &at, N, number / tiles);
    finish(&k, &at, args, number / tiles * s->KH * s->KW * k.C, filter, epilogue);
  }
}
