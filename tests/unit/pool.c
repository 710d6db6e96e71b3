// The thread pool and the loop over launches, on a program made by hand: every tile once, phases in
// order, the same result for any number of threads, profile, poison, bad calls.
// Also built alone under ThreadSanitizer (tests/cli/pool_tsan.sh).
#include "../../runtime/core/pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;

static void check(bool ok, const char *name, int threads) {
  printf(ok ? "PASS pool/%s %d\n" : "FAIL pool/%s %d: wrong\n", name, threads);
  failed += !ok;
}

// ---- Barriers: each thread writes its cell, then looks at its neighbour's -----------------------

enum { CELLS = 64, ROUNDS = 20 };
typedef struct {
  NnrtPool *pool;
  int threads, wrong[CELLS];
  int cell[2][CELLS];
} Ring;

static void go_round(void *context, NnrtPlace *place) {
  Ring *r = context;
  int t = place->thread;
  for (int i = 0; i < ROUNDS; i++) {
    r->cell[i & 1][t] = 1000 * i + t;
    nnrt_pool_barrier(r->pool, place);
    int next = (t + 1) % r->threads;
    r->wrong[t] += r->cell[i & 1][next] != 1000 * i + next;
  }
}

static void test_barriers(int threads) {
  Ring ring = {.pool = nnrt_pool_open(threads)};
  int wrong = nnrt_pool_threads(ring.pool) != threads;
  for (int repeat = 0; repeat < 30; repeat++) // regions of changing width
    for (int width = 1; width <= threads; width = 2 * width + (repeat & 1)) {
      ring.threads = width;
      nnrt_pool_run(ring.pool, width, go_round, &ring);
    }
  for (int t = 0; t < threads; t++)
    wrong += ring.wrong[t];
  nnrt_pool_close(ring.pool);
  check(wrong == 0, "barriers", threads);
}

// ---- A program: y = reversed(x * 2) + 1 over n rows of 3, then total = sum(y) -------------------

enum { WIDE = 3 };
static void twice(const NnrtArgs *args, int64_t tile0, int64_t tile1) {
  const float *x = args->buf[0];
  float *out = args->buf[1];
  for (int64_t i = tile0; i < tile1; i++)
    out[i] = 2 * x[i];
}
static void reversed(const NnrtArgs *args, int64_t tile0, int64_t tile1) {
  const float *x = args->buf[0];
  float *out = args->buf[1], *scratch = args->scratch;
  int64_t count = args->size[0] * args->n;
  for (int64_t i = tile0; i < tile1; i++) {
    scratch[0] = x[count - 1 - i];
    out[i] = scratch[0] + 1;
  }
}
static void total(const NnrtArgs *args, int64_t tile0, int64_t tile1) {
  const float *x = args->buf[0];
  float *out = args->buf[1], sum = 0;
  for (int64_t i = 0; i < args->n * WIDE; i++)
    sum += x[i];
  for (int64_t i = tile0; i < tile1; i++)
    out[i] = sum;
}

#define ROWS_OF_3                                                                                  \
  {                                                                                                \
    .elem = NNRT_F32, .rank = 2, .dim = { -1, WIDE }                                               \
  }
static const NnrtPort arguments[] = {{"x", ROWS_OF_3, NNRT_COLUMN, 0, 0}};
static const NnrtPort results[] = {{"y", ROWS_OF_3, NNRT_OUTPUT, 0, 2},
                                   {"total", {.elem = NNRT_F32}, NNRT_METRIC, 0, 3}};
#define OF_ROWS .per_n = 12, .alias = NNRT_NONE
static const NnrtBuffer buffers[] = {{.kind = NNRT_ARG, OF_ROWS, .last = 2},
                                     {.kind = NNRT_ARENA, OF_ROWS, .last = 1},
                                     {.kind = NNRT_RESULT, OF_ROWS, .first = 1, .last = 2},
                                     {.fixed = 4,
                                      .kind = NNRT_RESULT,
                                      .index = 1,
                                      .first = 2,
                                      .last = 2,
                                      .alias = NNRT_NONE,
                                      .loop = NNRT_NONE}};
static const uint32_t launch_buf[] = {0, 1, 1, 2, 2, 3};
static const int64_t launch_size[] = {WIDE};
#define ROWS_BY_ONE                                                                                \
  .n_buf = 2, .n_read = 1, .n_size = 1, .tiles_fixed = 1, .tiles_per_n = WIDE, .rows_per_tile = 1, \
  .flops_per_n = 1e6
static const NnrtLaunch launches[] = {
    {.fn = twice, .name = "twice", ROWS_BY_ONE},
    {.fn = reversed, .name = "reversed", .buf0 = 2, ROWS_BY_ONE, .scratch = 4, .phase = 1},
    {.fn = total,
     .name = "total",
     .buf0 = 4,
     .n_buf = 2,
     .n_read = 1,
     .tiles_fixed = 1,
     .flops_fixed = 1,
     .phase = 2}};
static const NnrtFunction functions[] = {{.name = "f",
                                          .arg = arguments,
                                          .result = results,
                                          .n_arg = 1,
                                          .n_result = 2,
                                          .launch = launches,
                                          .n_launch = 3,
                                          .buffer = buffers,
                                          .n_buffer = 4,
                                          .launch_buf = launch_buf,
                                          .launch_size = launch_size}};
static const NnrtProgram program = {
    .abi = NNRT_ABI, .bytes = sizeof(NnrtProgram), .function = functions, .n_function = 1};

enum { MAX_ROWS = 500 };
typedef struct {
  float x[MAX_ROWS * WIDE + 16], y[MAX_ROWS * WIDE + 16], total[16];
} Tensors;

static bool right(NnrtModel *model, Tensors *t, int64_t n) {
  void *arg[] = {t->x}, *result[] = {t->y, t->total};
  memset(t->y, 0, sizeof t->y);
  if (nnrt_run(model, 0, n, arg, result) != NNRT_OK)
    return false;
  float sum = 0;
  for (int64_t i = 0; i < n * WIDE; i++) {
    float y = 2 * t->x[n * WIDE - 1 - i] + 1;
    if (t->y[i] != y)
      return false;
    sum += y;
  }
  return t->total[0] == sum && t->y[n * WIDE] == 0;
}

// What is kept between calls with the same memory must not be used for other memory, be it one
// tensor's.
static bool right_elsewhere(NnrtModel *model, Tensors *t, int64_t n) {
  Tensors *other = calloc(1, sizeof *other);
  for (int i = 0; i < MAX_ROWS * WIDE; i++)
    other->x[i] = (float)(i % 5);
  bool ok = true;
  for (int turn = 0; turn < 6; turn++)
    ok &= right(model, turn % 3 ? t : other, n);
  void *arg[] = {t->x}, *result[] = {other->y, t->total};
  ok &= right(model, t, n) && nnrt_run(model, 0, n, arg, result) == NNRT_OK;
  ok &= memcmp(other->y, t->y, (size_t)n * WIDE * sizeof *t->y) == 0;
  free(other);
  return ok;
}

static void test_run(int threads) {
  NnrtPool *pool = nnrt_pool_open(threads);
  NnrtModel *model;
  Tensors *t = calloc(1, sizeof *t);
  for (int i = 0; i < MAX_ROWS * WIDE; i++)
    t->x[i] = (float)(i % 71) * 0.37f;
  check(nnrt_open(&program, pool, MAX_ROWS, NULL, 0, &model) == NNRT_OK, "open", threads);
  bool ok = true;
  static const int64_t rows[] = {0, 1, 2, 7, 32, 33, MAX_ROWS, 1, MAX_ROWS};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int repeat = 0; repeat < 20; repeat++)
      ok &= right(model, t, rows[i]);
  check(ok, "run", threads);
  check(right_elsewhere(model, t, 33), "other-memory", threads);
  double seconds[3] = {0};
  nnrt_profile(model, 0, seconds);
  nnrt_poison(model, true);
  check(right(model, t, 33) && right(model, t, MAX_ROWS), "poison", threads);
  check(seconds[0] > 0 && seconds[1] > 0 && seconds[2] > 0, "profile", threads);
  void *arg[] = {t->x}, *missing[] = {t->y, NULL};
  check(nnrt_run(model, 0, MAX_ROWS + 1, arg, missing) == NNRT_BAD_CALL &&
            nnrt_run(model, 0, 1, arg, missing) == NNRT_BAD_CALL &&
            nnrt_run(model, 1, 1, arg, missing) == NNRT_BAD_CALL,
        "bad-calls", threads);
  check(right(model, t, 1), "after-bad-calls", threads);
  nnrt_close(model);
  nnrt_pool_close(pool);
  free(t);
}

int main(void) {
  static const int threads[] = {1, 2, 3, 5, 8, 17, 40};
  for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
    test_barriers(threads[i]);
    test_run(threads[i]);
  }
  NnrtPool *pool = nnrt_pool_open(0);
  check(nnrt_pool_threads(pool) >= 1, "default-threads", nnrt_pool_threads(pool));
  nnrt_pool_close(pool);
  NnrtProgram old = program;
  NnrtModel *model;
  old.abi = NNRT_ABI + 1;
  check(nnrt_open(&old, NULL, 1, NULL, 0, &model) == NNRT_BAD_ABI, "abi", 0);
  return failed != 0;
}
