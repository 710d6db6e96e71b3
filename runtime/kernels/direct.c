// Direct convolutions of f32 images, channels last, and their gradient by the input, which is the
// same sum over another image. In: an image and a filter, a range of tiles (nnrt_direct.h). Out:
// pixels, 16 channels at a time, each through the epilogue. The filter of a tile's columns is
// packed into scratch, once for all images; so is the window of pixels that a tile needs where
// zeros lie around it. A register block of pixels x channels then takes the whole sum without a
// branch.
#include "directblock.h"
#include "nnrt_direct.h"

// One image of a tile: out[t, u, f] = sum over taps (i, j) and channels c of
// x[t*stride_h + i*dilation_h + top, u*stride_w + j*dilation_w + left, c] * panel[i, j, c, f].
// The gradient by the input is one of these per phase of the stride.
typedef struct {
  const float *x;
  int64_t H, W, pixel; // floats from pixel to pixel
  int64_t channels, taps_h, taps_w;
  int64_t stride_h, stride_w, dilation_h, dilation_w, top, left;
  bool copied;                   // the window has to be, for the zeros around
  bool skips;                    // taps that would read them are left out; across is 1 then
  int64_t rows, cols;            // of pixels to make
  int across, along;             // of a block of them: constants
  int64_t tail, less;            // columns left over; in lines of one pixel less: constants
  int64_t at, at_right, at_down; // number of the first pixel; of its neighbours
} View;

typedef struct {
  const NnrtArgs *args;
  NnrtEpilogue epilogue;
  float *out;
  int64_t ld, first;   // out[pixel*ld + first + column]
  int64_t columns, of; // of this tile; of a group (a constant)
  int nr;              // vectors of a strip: a constant
  bool direct;         // sums are made in place
  const float *panel;  // strip by strip
  float *window, *sum;
} Target;

KERNEL Target target_of(const NnrtArgs *args, NnrtEpilogue epilogue, const NnrtDirectTile *tile,
                        float *out, int64_t ld, int64_t first, int64_t columns, int64_t of) {
  const int nr = of <= LANES ? 1 : DIRECT_WIDTH;
  float *const scratch = args->scratch;
  return (Target){.args = args,
                  .epilogue = epilogue,
                  .out = out,
                  .ld = ld,
                  .first = first,
                  .columns = columns,
                  .of = of,
                  .nr = nr,
                  .direct = !epilogue && out && of % (LANES * nr) == 0,
                  .panel = scratch,
                  .window = scratch + tile->window,
                  .sum = scratch + tile->sum};
}

// ---- blocks ------------------------------------------------------------------------------------

// The sums of a block, made in t->sum, row by row of nr vectors.
KERNEL void finish(const Target *t, const View *v, int64_t at, int64_t column, int across,
                   int along) {
  const float *sum = t->sum;
#pragma clang loop unroll(disable)
  for (int y = 0; y < across; y++)
#pragma clang loop unroll(disable)
    for (int x = 0; x < along; x++, sum += LANES * t->nr)
#pragma clang loop unroll(disable)
      for (int64_t f = column; f < column + LANES * t->nr && f < t->columns; f += LANES) {
        const int32_t lanes =
            t->of % LANES == 0 || t->columns - f >= LANES ? LANES : (int32_t)(t->columns - f);
        int64_t pixel = at + y * v->at_down + x * v->at_right;
        v16f value = load(sum + f - column);
        if (t->epilogue)
          value = t->epilogue(value, t->args, pixel, t->first + f, lanes);
        if (t->out)
          store_lanes(t->out + pixel * t->ld + t->first + f, value, lanes);
      }
}

// The block at a pixel: where it reads and writes. The lines of `out` are asked for before they are
// written, and what the next block will read while this one is computed.
KERNEL DirectBlock block_at(const Target *t, const View *v, const DirectBlock *from, int64_t u,
                            int64_t at, int64_t column, int across, int along) {
  const int64_t terms = v->taps_h * v->taps_w * v->channels;
  DirectBlock b = *from;
  b.x += u * b.x_along;
  b.sum = t->direct ? t->out + at * t->ld + t->first + column : t->sum;
  b.sum_along = t->direct ? v->at_right * t->ld : LANES * t->nr;
  b.sum_across = t->direct ? v->at_down * t->ld : LANES * t->nr * along;
  if (!v->copied && v->at_right == 1 && terms > 0) { // of phases it is no gain
    b.fetches = true;
    b.next = b.x + along * b.x_along + (b.n[0] - 1) * b.step[0];
    b.next_step = (along * b.x_along * (int64_t)sizeof(float) + terms - 1) / terms;
  }
  if (t->out && v->at_right == 1)
#pragma clang loop unroll(disable)
    for (int y = 0; y < across; y++)
#pragma clang loop unroll(disable)
      for (int i = 0; i < along; i++) {
        float *to = t->out + (at + y * v->at_down + i * v->at_right) * t->ld + t->first + column;
        __builtin_prefetch(to, 1);
        if (t->nr > 1)
          __builtin_prefetch(to + LANES, 1);
      }
  return b;
}

KERNEL void pixels(const Target *t, const View *v, const DirectBlock *from, int64_t u, int64_t row,
                   int64_t column, int across, int along) {
  const int64_t at = v->at + row * v->at_down + u * v->at_right;
  DirectBlock b = block_at(t, v, from, u, at, column, across, along);
  if (b.step[1] == v->channels) // the taps of a row are neighbours
    b.n[1] = 1, b.n[2] = v->taps_w * v->channels;
  direct_block(&b, across, along, t->nr);
  if (!t->direct)
    finish(t, v, at, column, across, along);
}

// Which of `n` pixels from `u` on each column of taps reaches.
KERNEL DirectEdges edges_at(const View *v, int64_t u, int n) {
  DirectEdges e = {0};
  bool all = true;
#define TAP(j)                                                                                     \
  if (j < v->taps_w) {                                                                             \
    int64_t x = v->left + j * v->dilation_w + u * v->stride_w, rest = v->W - x;                    \
    int64_t from = x < 0 ? (v->stride_w - 1 - x) / v->stride_w : 0;                                \
    int64_t to = rest > 0 ? (rest + v->stride_w - 1) / v->stride_w : 0;                            \
    e.from[j] = (int)(from < n ? from : n);                                                        \
    e.to[j] = (int)(to < n ? to : n);                                                              \
    all = all && e.from[j] == 0 && e.to[j] == n;                                                   \
  }
  // clang-format off
  TAP(0) TAP(1) TAP(2)
  // clang-format on
#undef TAP
      e.taps = all ? 0 : (int)v->taps_w;
  return e;
}

// True if zeros can be left out: only the first and the last block of a line meet any.
KERNEL bool can_skip(const View *v) {
  int64_t end = v->cols - (v->tail > 0 ? v->tail : v->along); // of the blocks between
  return v->taps_w <= DIRECT_EDGES && v->channels >= LANES &&
         (end < 2 * v->along || (edges_at(v, v->along, v->along).taps == 0 &&
                                 edges_at(v, end - v->along, v->along).taps == 0));
}

// Leaves out rows of taps above and below the image.
KERNEL void skip_rows(const Target *t, const View *v, DirectBlock *b, int64_t row) {
  int64_t y = v->top + row * v->stride_h, rest = v->H - y;
  int64_t from = y < 0 ? (v->dilation_h - 1 - y) / v->dilation_h : 0;
  int64_t to = rest > 0 ? (rest + v->dilation_h - 1) / v->dilation_h : 0;
  to = to < v->taps_h ? to : v->taps_h;
  b->n[0] = from < to ? to - from : 0;
  b->x += from * b->step[0];
  b->row += from * v->taps_w * v->channels * LANES * t->nr;
}

KERNEL void edge_pixels(const Target *t, const View *v, const DirectBlock *from, int64_t u,
                        int64_t row, int64_t column, int along) {
  const int64_t at = v->at + row * v->at_down + u * v->at_right;
  DirectBlock b = block_at(t, v, from, u, at, column, 1, along);
  DirectEdges edges = edges_at(v, u, along);
  direct_edge_block(&b, along, t->nr, (int)v->taps_w, edges.from[0], edges.to[0], edges.from[1],
                    edges.to[1], edges.from[2], edges.to[2]);
  if (!t->direct)
    finish(t, v, at, column, 1, along);
}

// One line of blocks, without the taps that meet zeros.
KERNEL void skipping_line(const Target *t, const View *v, const DirectBlock *from, int64_t row,
                          int64_t column) {
  DirectBlock b = *from;
  const int64_t last = v->tail > 0 ? v->tail : v->along, end = v->cols - last;
  skip_rows(t, v, &b, row);
  if (v->cols > v->along)
    edge_pixels(t, v, &b, 0, row, column, v->along);
#pragma clang loop unroll(disable)
  for (int64_t u = v->along; u < end; u += v->along)
    pixels(t, v, &b, u, row, column, 1, v->along);
  edge_pixels(t, v, &b, end, row, column, (int)last);
}

// One line of blocks: whole ones, then what is left.
KERNEL void line(const Target *t, const View *v, const DirectBlock *b, int64_t row, int64_t column,
                 int across) {
  int64_t u = 0;
#pragma clang loop unroll(disable)
  for (; u + v->along <= v->cols; u += v->along)
    pixels(t, v, b, u, row, column, across, v->along);
  if (v->tail > 0 && u + v->tail == v->cols)
    pixels(t, v, b, u, row, column, across, (int)v->tail);
  if (v->less > 0 && u + v->less == v->cols)
    pixels(t, v, b, u, row, column, across, (int)v->less);
}

// The block of a row's first pixel.
KERNEL DirectBlock row_of(const DirectBlock *b, int64_t row) {
  DirectBlock of = *b;
  of.x += row * b->x_across;
  return of;
}

// All pixels of a view.
KERNEL void view(const Target *t, const View *v) {
  Window w = {v->x,
              v->H,
              v->W,
              v->pixel,
              v->channels,
              v->top,
              v->left,
              (v->rows - 1) * v->stride_h + (v->taps_h - 1) * v->dilation_h + 1,
              (v->cols - 1) * v->stride_w + (v->taps_w - 1) * v->dilation_w + 1};
  const int64_t pixel = v->copied ? v->channels : v->pixel;
  const int64_t line_width = (v->copied ? w.cols : v->W) * pixel;
  if (v->copied && v->taps_h > 0 && v->taps_w > 0)
    direct_window(&w, t->window);
  DirectBlock b = {
      .x = v->copied ? t->window : v->x + (v->top * v->W + v->left) * pixel,
      .x_along = v->stride_w * pixel,
      .x_across = v->stride_h * line_width,
      .n = {v->taps_h, v->taps_w, v->channels},
      .step = {v->dilation_h * line_width, v->dilation_w * pixel, 1},
      .row = t->panel,
      .row_step = LANES * t->nr,
      .first = true,
  };
#pragma clang loop unroll(disable)
  for (int64_t column = 0; column < t->columns; column += LANES * t->nr) {
    int64_t row = 0;
    if (v->skips)
#pragma clang loop unroll(disable)
      for (; row < v->rows; row++) {
        DirectBlock of = row_of(&b, row);
        skipping_line(t, v, &of, row, column);
      }
#pragma clang loop unroll(disable)
    for (; row + v->across <= v->rows; row += v->across) {
      DirectBlock of = row_of(&b, row);
      line(t, v, &of, row, column, v->across);
    }
    if (v->across > 1)
#pragma clang loop unroll(disable)
      for (; row < v->rows; row++) {
        DirectBlock of = row_of(&b, row);
        line(t, v, &of, row, column, 1);
      }
    b.row += v->taps_h * v->taps_w * v->channels * LANES * t->nr;
  }
}

// ---- out = in * filter -------------------------------------------------------------------------

// panel[k, 0..16*nr] = filter[k, column..] for k < terms.
KERNEL void pack_rows(const float *w, int64_t ld, int64_t terms, int64_t columns, float *panel,
                      int nr) {
#pragma clang loop unroll(disable)
  for (int64_t k = 0; k < terms; k++, w += ld)
#pragma clang loop unroll(disable)
    for (int j = 0; j < nr; j++, panel += LANES)
      *(v16f *)panel = load_first(w + LANES * j, columns - LANES * j);
}

typedef struct {
  int64_t group, column, columns, image, row, rows;
  int64_t panel; // which it needs
} Tile;

// Tiles go image by image, then to the next block of columns, then to the next group.
KERNEL Tile tile_at(const NnrtDirectTile *t, int64_t number, int64_t N, int64_t of, int64_t rows) {
  int64_t per_panel = N * t->per_image, blocks = (of + t->columns - 1) / t->columns;
  Tile at = {.panel = number / per_panel};
  int64_t rest = number % per_panel;
  at.group = at.panel / blocks;
  at.column = at.panel % blocks * t->columns;
  at.columns = of % t->columns == 0 || of - at.column > t->columns ? t->columns : of - at.column;
  at.image = rest / t->per_image;
  at.row = rest % t->per_image * t->rows;
  at.rows = rows % t->rows == 0 || rows - at.row > t->rows ? t->rows : rows - at.row;
  return at;
}

EXPORT void nnrt_direct_out_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *in,
                                const float *filter, float *out, int64_t N, const NnrtDirect *s,
                                const NnrtDirectTile *t, NnrtEpilogue epilogue) {
  const int64_t C = s->C / s->groups, F = s->F / s->groups, terms = s->KH * s->KW * C;
  const int nr = F <= LANES ? 1 : DIRECT_WIDTH, along = direct_along(s->OW, s->C * s->stride_w);
  float *const panel = args->scratch;
  int64_t packed = -1;
#pragma clang loop unroll(disable)
  for (int64_t number = tile0; number < tile1; number++) {
    Tile at = tile_at(t, number, N, F, s->OH);
    Target target =
        target_of(args, epilogue, t, out, s->F, at.group * F + at.column, at.columns, F);
    if (at.panel != packed)
#pragma clang loop unroll(disable)
      for (int64_t c = 0; c < at.columns; c += LANES * nr)
        pack_rows(filter + target.first + c, s->F, terms, at.columns - c, panel + c * terms, nr);
    packed = at.panel;
    View v = {.x = in + at.image * s->H * s->W * s->C + at.group * C,
              .H = s->H,
              .W = s->W,
              .pixel = s->C,
              .channels = C,
              .taps_h = s->KH,
              .taps_w = s->KW,
              .stride_h = s->stride_h,
              .stride_w = s->stride_w,
              .dilation_h = s->dilation_h,
              .dilation_w = s->dilation_w,
              .top = at.row * s->stride_h - s->pad_top,
              .left = -s->pad_left,
              .rows = at.rows,
              .cols = s->OW,
              .along = along,
              .tail = s->OW % along,
              .at = (at.image * s->OH + at.row) * s->OW,
              .at_right = 1,
              .at_down = s->OW};
    v.skips = !nnrt_direct_inside(s) && can_skip(&v);
    v.copied = !nnrt_direct_inside(s) && !v.skips;
    v.across = v.skips ? 1 : direct_across(t->rows, along);
    view(&target, &v);
  }
}

// ---- in = out * filter, turned -----------------------------------------------------------------

// The taps of the filter that reach pixels `phase`, phase + stride, ... of one axis of `in`, from
// the last to the first: taps last, last - step, ...; the first of these reads `out` at `from`,
// the next ones `dilation` further.
typedef struct {
  int64_t taps, last, step, from, dilation;
} Phase;

KERNEL Phase phase_of(int64_t phase, int64_t K, int64_t stride, int64_t dilation, int64_t pad) {
  int64_t first = 0;
#pragma clang loop unroll(disable)
  while (first < K && (phase + pad - first * dilation) % stride != 0)
    first++;
  int64_t step = 1;
#pragma clang loop unroll(disable)
  while (step * dilation % stride != 0)
    step++;
  int64_t taps = first < K ? (K - first - 1) / step + 1 : 0, last = first + (taps - 1) * step;
  return (Phase){taps, last, step, taps ? (phase + pad - last * dilation) / stride : 0,
                 step * dilation / stride};
}

// panel[k, 0..16*nr] = filter[tap, column.., k], k < terms: 4 x 4 at a time. Columns past the end
// repeat the last one; terms past the end go where the next tap will come.
KERNEL void pack_turned(const float *w, int64_t ld, int64_t terms, int64_t columns, float *panel,
                        int nr) {
#pragma clang loop unroll(disable)
  for (int64_t n = 0; n < LANES * nr; n += 4) {
    const float *column[4];
#define COLUMN(i) column[i] = w + (n + i < columns ? n + i : columns - 1) * ld;
    // clang-format off
    COLUMN(0) COLUMN(1) COLUMN(2) COLUMN(3)
    // clang-format on
#undef COLUMN
#pragma clang loop unroll(disable)
        for (int64_t k = 0; k < terms; k += 4)
            transpose_4(column, k, panel + k * LANES * nr + n, LANES * nr);
  }
}

// The taps of a phase, for the columns of a tile, strip by strip. -> past the end
KERNEL float *pack_phase(const float *filter, const NnrtDirect *s, const Tile *at, const Phase *h,
                         const Phase *w, float *panel, int nr) {
  const int64_t C = s->C / s->groups, F = s->F / s->groups;
#pragma clang loop unroll(disable)
  for (int64_t c = 0; c < at->columns; c += LANES * nr)
#pragma clang loop unroll(disable)
    for (int64_t i = 0; i < h->taps; i++)
#pragma clang loop unroll(disable)
      for (int64_t j = 0; j < w->taps; j++, panel += F * LANES * nr) {
        int64_t tap = (h->last - i * h->step) * s->KW + w->last - j * w->step;
        pack_turned(filter + (tap * C + at->column + c) * s->F + at->group * F, s->F, F,
                    at->columns - c, panel, nr);
      }
  return panel;
}

EXPORT void nnrt_direct_in_f32(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *out,
                               const float *filter, float *in, int64_t N, const NnrtDirect *s,
                               const NnrtDirectTile *t, NnrtEpilogue epilogue) {
  const int64_t C = s->C / s->groups, F = s->F / s->groups;
  const int64_t widest = (s->W + s->stride_w - 1) / s->stride_w;
  const int nr = C <= LANES ? 1 : DIRECT_WIDTH, along = direct_along(widest, s->F);
  const bool one = s->stride_h == 1 && s->stride_w == 1; // then all about phases is constant
  float *const scratch = args->scratch;
  int64_t packed = -1;
#pragma clang loop unroll(disable)
  for (int64_t number = tile0; number < tile1; number++) {
    Tile at = tile_at(t, number, N, C, s->H);
    Target target = target_of(args, epilogue, t, in, s->C, at.group * C + at.column, at.columns, C);
    float *panel = scratch;
#pragma clang loop unroll(disable)
    for (int64_t p = 0; p < s->stride_h; p++)
#pragma clang loop unroll(disable)
      for (int64_t q = 0; q < s->stride_w; q++) {
        Phase h = phase_of(p, s->KH, s->stride_h, s->dilation_h, s->pad_top);
        Phase w = phase_of(q, s->KW, s->stride_w, s->dilation_w, s->pad_left);
        if (one)
          h = (Phase){s->KH, s->KH - 1, 1, s->pad_top - (s->KH - 1) * s->dilation_h, s->dilation_h},
          w = (Phase){s->KW, s->KW - 1, 1, s->pad_left - (s->KW - 1) * s->dilation_w,
                      s->dilation_w};
        target.panel = panel;
        if (at.panel != packed)
          pack_phase(filter, s, &at, &h, &w, panel, nr);
        panel += (at.columns + LANES * nr - 1) / (LANES * nr) * (LANES * nr) * h.taps * w.taps * F;
        View v = {.x = out + at.image * s->OH * s->OW * s->F + at.group * F,
                  .H = s->OH,
                  .W = s->OW,
                  .pixel = s->F,
                  .channels = F,
                  .taps_h = h.taps,
                  .taps_w = w.taps,
                  .stride_h = 1,
                  .stride_w = 1,
                  .dilation_h = h.dilation,
                  .dilation_w = w.dilation,
                  .top = at.row / s->stride_h + h.from,
                  .left = w.from,
                  .copied = s->KH > 1 || s->KW > 1 || s->pad_top != 0 || s->pad_left != 0 ||
                            s->OH * s->stride_h < s->H || s->OW * s->stride_w < s->W,
                  .rows = (at.rows - p + s->stride_h - 1) / s->stride_h,
                  .cols = (s->W - q + s->stride_w - 1) / s->stride_w,
                  .across =
                      direct_across(t->rows / s->stride_h + (t->rows % s->stride_h != 0), along),
                  .along = along,
                  .tail = widest % along,
                  .less = s->W % s->stride_w == 0 ? 0 : (widest - 1) % along,
                  .at = (at.image * s->H + at.row + p) * s->W + q,
                  .at_right = s->stride_w,
                  .at_down = s->stride_h * s->W};
        if (one) {
          v.rows = at.rows;
          v.cols = s->W;
          v.skips = v.copied && can_skip(&v);
          v.copied = v.copied && !v.skips;
          v.across = v.skips ? 1 : v.across;
        }
        if (v.rows > 0 && v.cols > 0)
          view(&target, &v);
      }
    packed = at.panel;
  }
}
