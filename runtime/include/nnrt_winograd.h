// Convolutions of 3 x 3 taps by Winograd's minimal filtering F(4 x 4, 3 x 3) (Winograd 1980; Lavin
// and Gray 2016): pixels are made 16 at a time, a tile of 4 x 4 from a window of 6 x 6, with 36
// multiplications where the definition takes 144. Pure functions of the shape, used by the compiler
// and by runtime/kernels/winograd.c.
//
// A filter [3, 3, C, F] has the form [36, F / 32, C, 32]: for each of the 36 positions of a window
// a matrix of C x F, in strips of 32 columns.
#ifndef NNRT_WINOGRAD_H
#define NNRT_WINOGRAD_H

#include "nnrt_direct.h"

enum {
  NNRT_WINOGRAD_TILE = 4,   // pixels of a tile along one axis,
  NNRT_WINOGRAD_WINDOW = 6, // and of the window that it sees
  NNRT_WINOGRAD_POSITIONS = 36,
  NNRT_WINOGRAD_STRIP = 32,   // columns of a filter's form that lie together
  NNRT_WINOGRAD_GROUP = 4,    // tiles that a thread takes at least
  NNRT_WINOGRAD_BLOCK = 28,   // tiles that are worked on together: two register blocks
  NNRT_WINOGRAD_ROWS = 16,    // channels of a filter that are brought into its form at a time
  NNRT_WINOGRAD_HALF = 640,   // floats: a transform along one axis, and a row of pixels
  NNRT_WINOGRAD_PIXELS = 100, // of an image, from which on it measures faster for a few images,
  NNRT_WINOGRAD_ALONE = 256,  // and for a single one, with the filter brought into form for it
};

// The points of the transforms but for 0 and infinity: +-a and +-b. With these the largest error is
// 2 to 3 times that of the definition, a third of that with the usual 1 and 2.
#define NNRT_WINOGRAD_A 0.75
#define NNRT_WINOGRAD_B 1.5

static inline int64_t nnrt_winograd_tiles(const NnrtDirect *s) { // of one image
  return nnrt_direct_pieces(s->OH, NNRT_WINOGRAD_TILE) *
         nnrt_direct_pieces(s->OW, NNRT_WINOGRAD_TILE);
}

// True if it is defined here for `of` (channels in whole vectors and strips) and measures faster.
// few: that may be of one image.
static inline bool nnrt_winograd_pays(const NnrtDirect *s, NnrtDirectOf of, bool few) {
  bool taps = s->KH == 3 && s->KW == 3 && s->stride_h == 1 && s->stride_w == 1 &&
              s->dilation_h == 1 && s->dilation_w == 1 && s->groups == 1;
  int64_t strips = of == NNRT_DIRECT_IN ? s->C : s->F, vectors = of == NNRT_DIRECT_IN ? s->F : s->C;
  bool padded = s->pad_top <= 2 && s->OH - s->H - s->pad_top <= 0 && s->pad_left <= 2 &&
                s->OW - s->W - s->pad_left <= 0; // by no more than the filter reaches
  return taps && padded && strips % NNRT_WINOGRAD_STRIP == 0 && vectors % 16 == 0 &&
         s->OH * s->OW >= (few ? NNRT_WINOGRAD_ALONE : NNRT_WINOGRAD_PIXELS);
}

// Floats from position to position, and from tile to tile, of `tiles` tiles of `channels` numbers:
// lines a power of two apart would push each other out of the caches.
static inline int64_t nnrt_winograd_row(int64_t channels) {
  return channels + 16;
}
static inline int64_t nnrt_winograd_plane(int64_t tiles, int64_t channels) {
  return tiles * nnrt_winograd_row(channels) + 16;
}

// A tile of the gradient by a filter's form: a sum over one part of the pixels' tiles, of `lines`
// times six positions, for so many columns; `terms` pixels' tiles are added up at a time.
typedef struct NnrtWinogradSums {
  int64_t parts, lines, columns, terms;
} NnrtWinogradSums;

// All positions at once where they stay in the L2 cache: the images are then read once for each
// block of columns. Else six of them, of many columns.
static inline NnrtWinogradSums nnrt_winograd_sums(const NnrtDirect *s) {
  enum { SMALL = 8192, TILES = 6 };
  if (s->C * s->F > SMALL)
    return (NnrtWinogradSums){1, 1, s->F < 256 ? s->F : 256, s->C < 256 ? 56 : 28};
  int64_t columns = s->F < 64 ? s->F : 64;
  return (NnrtWinogradSums){nnrt_direct_pieces(TILES, nnrt_direct_pieces(s->F, columns)),
                            NNRT_WINOGRAD_WINDOW, columns, 28};
}
static inline int64_t nnrt_winograd_sums_tiles(const NnrtDirect *s, const NnrtWinogradSums *t) {
  return t->parts * (NNRT_WINOGRAD_WINDOW / t->lines) * nnrt_direct_pieces(s->F, t->columns);
}

// Bytes of scratch per thread: of images,
static inline int64_t nnrt_winograd_scratch(const NnrtDirect *s) {
  int64_t planes = NNRT_WINOGRAD_POSITIONS * (nnrt_winograd_plane(NNRT_WINOGRAD_BLOCK, s->C) +
                                              nnrt_winograd_plane(NNRT_WINOGRAD_BLOCK, s->F));
  return (planes + NNRT_WINOGRAD_HALF + s->C) * (int64_t)sizeof(float);
}

// of the gradient by a filter's form,
static inline int64_t nnrt_winograd_sums_scratch(const NnrtDirect *s, const NnrtWinogradSums *t) {
  int64_t planes = t->lines * NNRT_WINOGRAD_WINDOW *
                   (nnrt_winograd_plane(t->terms, s->C) + t->terms * t->columns);
  return (planes + NNRT_WINOGRAD_HALF + s->C + s->F) * (int64_t)sizeof(float);
}

// and of a filter on its way into its form, or back.
static inline int64_t nnrt_winograd_form_scratch(void) {
  return (NNRT_WINOGRAD_HALF + 9 * NNRT_WINOGRAD_ROWS * NNRT_WINOGRAD_STRIP) *
         (int64_t)sizeof(float);
}

#endif
