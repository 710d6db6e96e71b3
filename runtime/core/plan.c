// Where the arena buffers of a function lie, for a given number of rows. Pure: the same tables and
// the same n give the same offsets, in the compiler that prints the plan and in the runtime that
// uses it.
//
// Two buffers may share bytes only if their phases don't meet. The largest is placed first, each in
// the tightest gap that holds it among the buffers alive with it (best fit; the lowest on a tie).
#include "nnrt.h"

static const int64_t elem_bytes[] = {[NNRT_F32] = 4, [NNRT_F64] = 8, [NNRT_BF16] = 2,
                                     [NNRT_I32] = 4, [NNRT_U8] = 1,  [NNRT_BOOL] = 1};

int64_t nnrt_type_bytes(const NnrtType *type, int64_t n) {
  int64_t bytes = elem_bytes[type->elem];
  for (uint32_t i = 0; i < type->rank; i++)
    bytes *= type->dim[i] < 0 ? -type->dim[i] * n : type->dim[i];
  return bytes;
}

int64_t nnrt_tiles(const NnrtLaunch *launch, int64_t n) {
  int64_t rows = launch->rows_per_tile;
  return launch->tiles_fixed * (rows ? (launch->tiles_per_n * n + rows - 1) / rows : 1);
}

static int64_t round_up(int64_t bytes) {
  return (bytes + NNRT_ALIGN - 1) / NNRT_ALIGN * NNRT_ALIGN;
}

// A line more than the greediest launch wants, so that threads share none.
int64_t nnrt_scratch(const NnrtFunction *f) {
  int64_t most = 0;
  for (uint32_t i = 0; i < f->n_launch; i++)
    most = f->launch[i].scratch > most ? f->launch[i].scratch : most;
  return round_up(most) + NNRT_ALIGN;
}

// What a buffer takes up: whole cache lines, and one more that kernels may read.
static int64_t extent(const NnrtBuffer *b, int64_t n) {
  return round_up(b->fixed + b->per_n * n) + NNRT_ALIGN;
}

static bool owns_arena(const NnrtBuffer *b) {
  return b->kind == NNRT_ARENA && b->alias == NNRT_NONE;
}

static bool meet(const NnrtBuffer *a, const NnrtBuffer *b) {
  return a->first <= b->last && b->first <= a->last;
}

// From `at` on, the first byte taken by a placed buffer alive with b, or INT64_MAX; 0 if `at` is
// taken.
static int64_t free_until(const NnrtFunction *f, int64_t n, const NnrtBuffer *b,
                          const int64_t *offset, int64_t at) {
  int64_t end = INT64_MAX;
  for (uint32_t i = 0; i < f->n_buffer; i++) {
    const NnrtBuffer *other = &f->buffer[i];
    if (offset[i] < 0 || !owns_arena(other) || !meet(b, other))
      continue;
    if (offset[i] <= at && at < offset[i] + extent(other, n))
      return 0;
    if (offset[i] > at && offset[i] < end)
      end = offset[i];
  }
  return end;
}

static int64_t best_fit(const NnrtFunction *f, int64_t n, const NnrtBuffer *b,
                        const int64_t *offset) {
  int64_t size = extent(b, n), best = 0, best_gap = -1;
  for (uint32_t i = 0; i <= f->n_buffer; i++) {
    int64_t at = 0; // the arena's start, or just behind a buffer alive with b
    if (i < f->n_buffer) {
      if (offset[i] < 0 || !owns_arena(&f->buffer[i]) || !meet(b, &f->buffer[i]))
        continue;
      at = offset[i] + extent(&f->buffer[i], n);
    }
    int64_t end = free_until(f, n, b, offset, at);
    if (end < at + size)
      continue;
    int64_t gap = end == INT64_MAX ? INT64_MAX : end - at;
    if (best_gap < 0 || gap < best_gap || (gap == best_gap && at < best)) {
      best = at;
      best_gap = gap;
    }
  }
  return best;
}

static uint32_t largest_unplaced(const NnrtFunction *f, int64_t n, const int64_t *offset) {
  uint32_t largest = NNRT_NONE;
  for (uint32_t i = 0; i < f->n_buffer; i++)
    if (owns_arena(&f->buffer[i]) && offset[i] < 0 &&
        (largest == NNRT_NONE || extent(&f->buffer[i], n) > extent(&f->buffer[largest], n)))
      largest = i;
  return largest;
}

int64_t nnrt_plan(const NnrtFunction *f, int64_t n, int64_t *offset) {
  int64_t peak = 0;
  for (uint32_t i = 0; i < f->n_buffer; i++)
    offset[i] = -1;
  for (uint32_t i; (i = largest_unplaced(f, n, offset)) != NNRT_NONE;) {
    offset[i] = best_fit(f, n, &f->buffer[i], offset);
    int64_t end = offset[i] + extent(&f->buffer[i], n);
    peak = end > peak ? end : peak;
  }
  for (uint32_t i = 0; i < f->n_buffer; i++) {
    uint32_t root = i;
    while (f->buffer[root].alias != NNRT_NONE)
      root = f->buffer[root].alias;
    offset[i] = f->buffer[root].kind == NNRT_ARENA ? offset[root] : -1;
  }
  return peak;
}
