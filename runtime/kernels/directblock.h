// The register block of convolutions, forward and both backward: `across` x `along` entries (pixels
// of an image, or rows of a filter) by nr vectors of channels, each the sum over three nested
// steps of one number of x times a packed row of channels.
#ifndef NNRT_DIRECTBLOCK_H
#define NNRT_DIRECTBLOCK_H

#define VECTORS(X) X(0) X(1)
#include "block.h"

#if NNRT_LEVEL == 4 // 32 registers: 28 sums, 2 of channels, 1 of x
enum { DIRECT_HEIGHT = 14, DIRECT_WIDTH = 2 };
#elif NNRT_LEVEL == 3 // 16 registers of 8 lanes: 12 sums, 2 of channels, 1 of x
enum { DIRECT_HEIGHT = 6, DIRECT_WIDTH = 1 };
#else                 // 16 registers of 4 lanes: 8 sums, 4 of channels, 1 of x, 1 product
enum { DIRECT_HEIGHT = 2, DIRECT_WIDTH = 1 };
#endif

typedef struct {
  const float *x;
  int64_t x_along, x_across; // from entry to entry
  int64_t n[3], step[3];     // steps of the sum, the outermost first, and how far x goes in each
  const float *row;          // of channels, one per step,
  int64_t row_step;          // so far apart
  float *sum;
  int64_t sum_along, sum_across;
  bool first;        // else go on from the sums in `sum`
  bool fetches;      // a constant: what the next block will read is fetched meanwhile,
  const float *next; // `next_step` bytes further with each step
  int64_t next_step;
} DirectBlock;

// Which entries of a line each column of taps reaches.
enum { DIRECT_EDGES = 3 };
typedef struct {
  int taps, from[DIRECT_EDGES], to[DIRECT_EDGES];
} DirectEdges;

typedef struct { // how far a block has come
  const float *row;
  const char *next;
} DirectPlace;

// One step of the sum, for entries [from, to) of each line. What the taps of an edge have in common
// must not be kept in registers from one to the next: sums need them all.
KERNEL void direct_step(const DirectBlock *p, Row *acc, const float *x, const float *row,
                        int entries, int along, int nr, int from, int to) {
  Row channels = load_row(row, nr);
  __atomic_signal_fence(__ATOMIC_ACQUIRE);
#define STEP(i)                                                                                    \
  if (i < entries && i % along >= from && i % along < to)                                          \
    multiply_row(&acc[i], x[i / along * p->x_across + i % along * p->x_along], &channels, nr);
  ROWS(STEP)
#undef STEP
}

KERNEL void direct_fetch_next(const DirectBlock *p, DirectPlace *at) {
  if (p->fetches) {
    __builtin_prefetch(at->next);
    at->next += p->next_step;
  }
}

// clang-format off
#define BEGIN(i)                                                                                   \
  if (i < entries)                                                                                 \
    acc[i] = load_row(p->sum + i / along * p->sum_across + i % along * p->sum_along,               \
                      p->first ? 0 : nr);
#define END(i)                                                                                     \
  if (i < entries)                                                                                 \
    store_row(&acc[i], p->sum + i / along * p->sum_across + i % along * p->sum_along, nr);
// clang-format on

// across, along and nr are constants after inlining.
LATE void direct_block(const DirectBlock *p, int across, int along, int nr) {
  Row acc[MAX_HEIGHT];
  DirectPlace at = {p->row, (const char *)p->next};
  const int entries = across * along;
  ROWS(BEGIN)
#pragma clang loop unroll(disable)
  for (int64_t i0 = 0; i0 < p->n[0]; i0++)
#pragma clang loop unroll(disable)
    for (int64_t i1 = 0; i1 < p->n[1]; i1++) {
      const float *x = p->x + i0 * p->step[0] + i1 * p->step[1];
#pragma clang loop unroll(disable)
      for (int64_t i = p->n[2]; i > 0; i--, x += p->step[2], at.row += p->row_step) {
        direct_step(p, acc, x, at.row, entries, along, nr, 0, along);
        direct_fetch_next(p, &at);
      }
    }
  ROWS(END)
}

// One line of entries, of which tap j of `taps` reaches only those from `fromj` to `toj`:
// constants, too. All taps are in one loop: in a loop of its own each would push the sums that it
// leaves alone out of their registers.
LATE void direct_edge_block(const DirectBlock *p, int along, int nr, int taps, int from0, int to0,
                            int from1, int to1, int from2, int to2) {
  Row acc[MAX_HEIGHT];
  DirectPlace at = {p->row, (const char *)p->next};
  const int entries = along;
  const int64_t tap = p->n[2] * p->row_step;
  ROWS(BEGIN)
#pragma clang loop unroll(disable)
  for (int64_t i0 = 0; i0 < p->n[0]; i0++, at.row += (taps - 1) * tap) {
    const float *x = p->x + i0 * p->step[0];
#pragma clang loop unroll(disable)
    for (int64_t i = p->n[2]; i > 0; i--, x += p->step[2], at.row += p->row_step) {
#define TAP(j)                                                                                     \
  if (j < taps && from##j < to##j) {                                                               \
    direct_step(p, acc, x + j * p->step[1], at.row + j * tap, entries, along, nr, from##j, to##j); \
    direct_fetch_next(p, &at);                                                                     \
  }
      // clang-format off
      TAP(0) TAP(1) TAP(2)
      // clang-format on
#undef TAP
    }
  }
  ROWS(END)
}
#undef BEGIN
#undef END

// How many entries of a line go in one block: blocks of a line are alike. Entries a multiple of
// 4 KB apart share one set of a cache.
KERNEL int direct_along(int64_t line, int64_t apart) {
  const int64_t most = DIRECT_HEIGHT > 8 && apart % 1024 == 0 ? 7 : DIRECT_HEIGHT;
  return (int)((line - 1) / ((line + most - 1) / most) + 1);
}

// And how many short lines.
KERNEL int direct_across(int64_t lines, int along) {
  int64_t most = DIRECT_HEIGHT / along;
  return (int)((lines - 1) / ((lines + most - 1) / most) + 1);
}

KERNEL v16f load_first(const float *p, int64_t lanes) {
  return lanes > 0 ? load(p) : (v16f){0};
}

KERNEL void direct_zero(float *p, int64_t n) {
#pragma clang loop unroll(disable)
  for (int64_t i = 0; i < n; i++)
    p[i] = 0;
}

enum { DIRECT_AHEAD = 8 }; // pixels: rows of channels that lie apart are asked for so early

KERNEL void direct_fetch(const float *p, int64_t n) {
#pragma clang loop unroll(disable)
  for (int64_t i = 0; i < n; i += LANES)
    __builtin_prefetch(p + i);
}

// Where an image lies and which window of it is wanted: `rows` x `cols` pixels from row `top` and
// column `left`, either of which may lie outside.
typedef struct {
  const float *x;
  int64_t H, W, pixel, channels; // floats from pixel to pixel; those that are wanted
  int64_t top, left, rows, cols;
} Window;

// Pixels side by side, zeros where there is no image.
KERNEL void direct_window(const Window *w, float *to) {
  const int64_t n = w->channels, line = w->cols * n;
  int64_t before = w->left < 0 ? -w->left : 0;
  before = before < w->cols ? before : w->cols;
  int64_t from = w->left > 0 ? w->left : 0, cols = w->W - from;
  cols = cols < w->cols - before ? cols : w->cols - before;
#pragma clang loop unroll(disable)
  for (int64_t y = w->top; y < w->top + w->rows; y++, to += line) {
    if (y < 0 || y >= w->H || cols <= 0) {
      direct_zero(to, line);
      continue;
    }
    const float *x = w->x + (y * w->W + from) * w->pixel;
    direct_zero(to, before * n);
    if (w->pixel == n)
      __builtin_memcpy(to + before * n, x, (size_t)(cols * n) * sizeof(float));
    else
#pragma clang loop unroll(disable)
      for (int64_t i = 0; i < cols; i++) {
        direct_fetch(x + (i + DIRECT_AHEAD) * w->pixel, n);
        __builtin_memcpy(to + (before + i) * n, x + i * w->pixel, (size_t)n * sizeof(float));
      }
    direct_zero(to + (before + cols) * n, (w->cols - before - cols) * n);
  }
}

#endif
