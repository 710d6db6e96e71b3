// How a convolution is cut into tiles: pure functions of its shape, the same for every CPU level,
// used by the compiler (schedule, tables) and by the kernels of runtime/kernels/direct.c. N, the
// number of images, is known only at run time and enters nothing but the number of tiles.
#ifndef NNRT_DIRECT_H
#define NNRT_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

// in [N, H, W, C], filter [KH, KW, C / groups, F], out [N, OH, OW, F]. Zeros lie around `in`:
// pad_top above and pad_left before it; what is needed below and behind follows from OH and OW.
typedef struct NnrtDirect {
  int64_t N, H, W, C, OH, OW, F, KH, KW, groups;
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
} NnrtDirect;

typedef enum { NNRT_DIRECT_OUT, NNRT_DIRECT_IN, NNRT_DIRECT_FILTER } NnrtDirectOf;

// A tile of `out` or `in`: `rows` rows of one image, `columns` channels of one group. A tile of
// the filter: `rows` of its KH rows, `depth` channels of `in`, `columns` channels of `out`.
typedef struct NnrtDirectTile {
  int64_t rows, columns, depth;
  int64_t per_image;          // tiles of one image in a block of columns; 0: of the filter
  int64_t blocks;             // the number of tiles is this, times N * per_image
  int64_t window, sum;        // where they begin in scratch, in floats; first lies a packed panel
  int64_t images, image_rows; // of the filter: images, or rows of one, that are taken at a time
  int64_t parts;              // of the filter: sums, each over a part of the pixels
  int64_t scratch;            // bytes per thread
} NnrtDirectTile;

enum {
  NNRT_DIRECT_STRIP = 32,          // columns of a register block
  NNRT_DIRECT_ENTRIES = 16,        // its most rows
  NNRT_DIRECT_COLUMNS = 64,        // of a tile, at most
  NNRT_DIRECT_WINDOW = 48 * 1024,  // floats of a tile's pixels: a fifth of an L2 cache
  NNRT_DIRECT_WORK = 2000 * 1000,  // multiplications that are enough for a tile
  NNRT_DIRECT_SHARED = 100 * 1000, // that two threads should share where there is but one image
  NNRT_DIRECT_PIXELS = 64,         // and pixels, over which a panel's way to the core pays
  NNRT_DIRECT_FILTER_TILES = 8,    // where there are fewer, they are made smaller or in parts
  NNRT_DIRECT_FILTER_WINDOW = 24 * 1024,
};

static inline int64_t nnrt_direct_pieces(int64_t n, int64_t by) {
  return (n + by - 1) / by;
}
static inline int64_t nnrt_direct_up(int64_t n, int64_t by) {
  return nnrt_direct_pieces(n, by) * by;
}
static inline int64_t nnrt_direct_strip(int64_t columns) {
  return columns <= NNRT_DIRECT_STRIP / 2 ? NNRT_DIRECT_STRIP / 2 : NNRT_DIRECT_STRIP;
}

// One filter per channel: in, filter and out go channel by channel, in lanes.
static inline bool nnrt_direct_depthwise(const NnrtDirect *s) {
  return s->groups > 1 && s->groups == s->C && s->C == s->F;
}

// True if no tap of `out` reads a zero that lies around `in`.
static inline bool nnrt_direct_inside(const NnrtDirect *s) {
  return s->pad_top <= 0 && s->pad_left <= 0 &&
         (s->OH - 1) * s->stride_h + (s->KH - 1) * s->dilation_h - s->pad_top < s->H &&
         (s->OW - 1) * s->stride_w + (s->KW - 1) * s->dilation_w - s->pad_left < s->W;
}

// Floats of the pixels that `rows` rows of `out` are made of; of `in`, those of one phase.
static inline int64_t nnrt_direct_window(const NnrtDirect *s, bool in, int64_t rows) {
  if (in)
    return (nnrt_direct_pieces(rows, s->stride_h) + (s->KH - 1) * s->dilation_h) *
           (nnrt_direct_pieces(s->W, s->stride_w) + (s->KW - 1) * s->dilation_w) *
           (s->F / s->groups);
  return ((rows - 1) * s->stride_h + (s->KH - 1) * s->dilation_h + 1) *
         ((s->OW - 1) * s->stride_w + (s->KW - 1) * s->dilation_w + 1) * (s->C / s->groups);
}

// The most rows whose pixels stay in cache and which are no more work than a tile should be.
static inline int64_t nnrt_direct_rows(const NnrtDirect *s, bool in, int64_t all, int64_t work) {
  int64_t step = in ? s->stride_h : 1, rows = step, width = in ? s->W : s->OW;
  while (rows < all && nnrt_direct_window(s, in, rows + step) <= NNRT_DIRECT_WINDOW &&
         (rows * width < NNRT_DIRECT_PIXELS || (rows + step) * width * work <= NNRT_DIRECT_WORK))
    rows += step;
  return nnrt_direct_up(nnrt_direct_pieces(all, nnrt_direct_pieces(all, rows)), step); // all alike
}

static inline NnrtDirectTile nnrt_direct_image_tile(const NnrtDirect *s, bool in) {
  int64_t C = s->C / s->groups, F = s->F / s->groups;
  int64_t terms = s->KH * s->KW * (in ? F : C), columns = in ? C : F, all = in ? s->H : s->OH;
  int64_t most = terms * NNRT_DIRECT_COLUMNS > 200 * 1024 ? NNRT_DIRECT_STRIP : NNRT_DIRECT_COLUMNS;
  NnrtDirectTile t = {0};
  t.columns = nnrt_direct_up(columns < most ? columns : most, nnrt_direct_strip(columns));
  t.rows = nnrt_direct_rows(s, in, all, terms * t.columns);
  t.blocks = s->groups * nnrt_direct_pieces(columns, t.columns);
  if (t.blocks == 1 && t.rows >= all &&
      all * (in ? s->W : s->OW) * terms * t.columns >= NNRT_DIRECT_SHARED)
    t.rows = nnrt_direct_up(nnrt_direct_pieces(all, 2), in ? s->stride_h : 1);
  t.per_image = nnrt_direct_pieces(all, t.rows);
  t.window = nnrt_direct_up((terms + 4) * t.columns, 16);
  t.sum = t.window + nnrt_direct_up(nnrt_direct_window(s, in, t.rows), 16);
  t.scratch = (t.sum + NNRT_DIRECT_ENTRIES * NNRT_DIRECT_STRIP) * (int64_t)sizeof(float);
  return t;
}

static inline int64_t nnrt_direct_filter_blocks(const NnrtDirect *s, const NnrtDirectTile *t) {
  return s->groups * nnrt_direct_pieces(s->KH, t->rows) *
         nnrt_direct_pieces(s->C / s->groups, t->depth) *
         nnrt_direct_pieces(s->F / s->groups, t->columns);
}

// Floats of the pixels of `in` that go with `rows` rows of one image of `out`.
static inline int64_t nnrt_direct_filter_window(const NnrtDirect *s, const NnrtDirectTile *t,
                                                int64_t rows) {
  return ((rows - 1) * s->stride_h + (t->rows - 1) * s->dilation_h + 1) *
         ((s->OW - 1) * s->stride_w + (s->KW - 1) * s->dilation_w + 1) * t->depth;
}

// Small filters of large images are made of several sums, each over a part of the pixels: smaller
// tiles would each read all of the images.
static inline int64_t nnrt_direct_parts(const NnrtDirect *s, const NnrtDirectTile *t) {
  int64_t blocks = nnrt_direct_filter_blocks(s, t);
  bool small = 2 * s->KH * s->KW * (s->C / s->groups) <= s->OH * s->OW;
  return small && blocks < NNRT_DIRECT_FILTER_TILES
             ? nnrt_direct_pieces(NNRT_DIRECT_FILTER_TILES, blocks)
             : 1;
}

static inline NnrtDirectTile nnrt_direct_filter_tile(const NnrtDirect *s) {
  int64_t C = s->C / s->groups, F = s->F / s->groups;
  NnrtDirectTile t = {.rows = s->KH, .depth = C < 64 ? C : 64};
  t.columns = nnrt_direct_up(F < 64 ? F : 64, nnrt_direct_strip(F));
  if (s->KH * s->KW == 1 && C % 128 == 0 && F % 128 == 0 &&
      C / 128 * (F / 128) >= NNRT_DIRECT_FILTER_TILES) // a pixel's way to the core pays longer
    t.depth = t.columns = 128;
  t.parts = nnrt_direct_parts(s, &t);
  if (t.parts == 1) {
    if (nnrt_direct_filter_blocks(s, &t) < NNRT_DIRECT_FILTER_TILES)
      t.columns = t.columns < NNRT_DIRECT_STRIP ? t.columns : NNRT_DIRECT_STRIP;
    if (nnrt_direct_filter_blocks(s, &t) < NNRT_DIRECT_FILTER_TILES && t.depth > 32)
      t.depth = 32;
    if (nnrt_direct_filter_blocks(s, &t) < NNRT_DIRECT_FILTER_TILES)
      t.rows = 1;
  }
  t.blocks = t.parts * nnrt_direct_filter_blocks(s, &t);
  t.image_rows = 1;
  while (t.image_rows < s->OH &&
         nnrt_direct_filter_window(s, &t, t.image_rows + 1) <= NNRT_DIRECT_FILTER_WINDOW &&
         (t.image_rows + 1) * s->OW * t.columns <= NNRT_DIRECT_FILTER_WINDOW)
    t.image_rows++;
  t.images = 1;
  int64_t window = nnrt_direct_filter_window(s, &t, t.image_rows);
  int64_t pixels = t.image_rows * s->OW * t.columns;
  if (t.image_rows == s->OH) {
    int64_t more = NNRT_DIRECT_FILTER_WINDOW / (window > pixels ? window : pixels);
    t.images = more < 1 ? 1 : more;
  }
  t.window = nnrt_direct_up(t.images * pixels, 16);
  t.sum = t.window + nnrt_direct_up(t.images * window, 16);
  t.scratch = (t.sum + t.rows * s->KW * t.depth * t.columns) * (int64_t)sizeof(float);
  return t;
}

static inline NnrtDirectTile nnrt_direct_tile(const NnrtDirect *s, NnrtDirectOf of) {
  return of == NNRT_DIRECT_FILTER ? nnrt_direct_filter_tile(s)
                                  : nnrt_direct_image_tile(s, of == NNRT_DIRECT_IN);
}

static inline int64_t nnrt_direct_tiles(const NnrtDirectTile *t, int64_t N) {
  return t->blocks * (t->per_image ? N * t->per_image : 1);
}

#endif
