// Pooling against naive loops: the greatest of windows and their places (bytes and words), what is
// gathered and scattered by places; windows that overlap, touch or leave pixels out, paddings, any
// cut into ranges of rows, NaN in the image, pages that can't be touched around all memory.
#include "test.h"
#include "../../runtime/kernels/windows.c"

static int failed, cases;

static void fail(const NnrtWindows *s, const char *what) {
  failed++;
  printf("FAIL windows-v%d: %s: %ldx%ldx%ldx%ld, window %ldx%ld stride %ld %ld pad %ld %ld -> "
         "%ldx%ld\n",
         NNRT_LEVEL, what, (long)s->images, (long)s->in[0], (long)s->in[1], (long)s->channels,
         (long)s->window[0], (long)s->window[1], (long)s->stride[0], (long)s->stride[1],
         (long)s->low[0], (long)s->low[1], (long)s->out[0], (long)s->out[1]);
}

// The element of x at place `place` of window `at` (a channel of a pixel of the result), or -1.
static int64_t element(const NnrtWindows *s, int64_t at, int64_t place) {
  int64_t pixel = at / s->channels, n = pixel / s->out[1] / s->out[0];
  int64_t h = pixel / s->out[1] % s->out[0] * s->stride[0] + place / s->window[1] - s->low[0];
  int64_t w = pixel % s->out[1] * s->stride[1] + place % s->window[1] - s->low[1];
  bool inside = h >= 0 && w >= 0 && h < s->in[0] && w < s->in[1];
  return inside ? ((n * s->in[0] + h) * s->in[1] + w) * s->channels + at % s->channels : -1;
}

static int64_t greatest_place(const NnrtWindows *s, const float *x, int64_t at) {
  int64_t best = -1;
  for (int64_t place = 0; place < s->window[0] * s->window[1]; place++) {
    int64_t i = element(s, at, place), j = best < 0 ? -1 : element(s, at, best);
    if (i >= 0 && (j < 0 || x[i] > x[j] || (isnan(x[i]) && !isnan(x[j]))))
      best = place;
  }
  return best;
}

static bool same(float a, float b) {
  return a == b || (isnan(a) && isnan(b));
}

// Everything of one image, in three ranges of rows.
static void check_by(const NnrtWindows *s, TestEnd end, bool bytes) {
  int64_t n = s->images * s->in[0] * s->in[1] * s->channels, places_n = bytes ? 1 : 4;
  int64_t m = s->images * s->out[0] * s->out[1] * s->channels, rows = s->images * s->out[0];
  uint64_t state = (uint64_t)(n * 31 + m);
  float *x = test_numbers(n, end, &state), *most = test_floats(m, end), *got = test_floats(m, end),
        *d = test_numbers(m, end, &state), *back = test_floats(n, end);
  void *places = test_memory(m * places_n, end);
  double *want = calloc((size_t)n, sizeof *want);
  x[n / 2] = NAN;
  NnrtArgs args = {.n = s->images};
  for (int i = 0; i < 3; i++)
    nnrt_pool_max_f32(&args, s, x, places, bytes, most, rows * i / 3, rows * (i + 1) / 3, NULL);
  for (int i = 0; i < 3; i++)
    nnrt_pool_gather_f32(&args, s, x, places, bytes, got, rows * i / 3, rows * (i + 1) / 3, NULL);
  int64_t lines = s->images * s->in[0];
  for (int i = 0; i < 3; i++)
    nnrt_pool_scatter_f32(&args, s, d, places, bytes, back, lines * i / 3, lines * (i + 1) / 3,
                          NULL);
  bool right = true;
  for (int64_t i = 0; i < m; i++) {
    int64_t place = greatest_place(s, x, i), from = element(s, i, place);
    right = right && place_at(places, bytes, i) == place && same(most[i], x[from]) &&
            same(got[i], x[from]);
    want[from] += (double)d[i];
  }
  if (!right)
    fail(s, "the greatest, its place, or what is there");
  right = true;
  for (int64_t i = 0; i < n; i++)
    right = right && fabs((double)back[i] - want[i]) < 1e-5;
  if (!right)
    fail(s, "what is put back");
  if (!test_surroundings_stand(most, m * 4) || !test_surroundings_stand(got, m * 4) ||
      !test_surroundings_stand(back, n * 4) || !test_surroundings_stand(places, m * places_n))
    fail(s, "surroundings");
  cases++;
  test_free(x, n * 4), test_free(most, m * 4), test_free(got, m * 4), test_free(d, m * 4);
  test_free(back, n * 4), test_free(places, m * places_n), free(want);
}

static __attribute__((noinline)) void check(NnrtWindows s, const int64_t *high) {
  for (int i = 0; i < 2; i++) {
    int64_t room = s.in[i] + s.low[i] + high[i] - s.window[i];
    if (room < 0 || s.low[i] >= s.window[i])
      return;
    s.out[i] = room / s.stride[i] + 1;
    if ((s.out[i] - 1) * s.stride[i] - s.low[i] >= s.in[i]) // a window of padding alone
      return;
  }
  for (TestEnd end = TEST_FIRST; end <= TEST_LAST; end++)
    for (int bytes = 0; bytes < 2; bytes++)
      check_by(&s, end, bytes);
}

int main(void) {
  if (!test_can_run("windows"))
    return 0;
  static const int64_t channels[] = {1, 3, 15, 16, 17, 33};
  static const int64_t padding[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 0, 1, 1}, {2, 1, 0, 0}};
  for (int c = 0; c < 6; c++)
    for (int64_t window = 1; window <= 3; window++)
      for (int64_t stride = 1; stride <= 3; stride++)
        for (int pad = 0; pad < 4; pad++)
          check((NnrtWindows){.images = 2,
                              .channels = channels[c],
                              .in = {5, 6 + pad},
                              .window = {window, 1 + window % 3},
                              .stride = {stride, 1 + (stride + window) % 3},
                              .low = {padding[pad][0], padding[pad][1]}},
                padding[pad] + 2);
  if (!failed)
    printf("PASS windows-v%d/%d images\n", NNRT_LEVEL, cases);
  return failed != 0;
}
