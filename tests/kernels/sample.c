// Bilinear sampling and its transpose against naive loops in double: coordinates inside, at and far
// outside of the border, infinite and no numbers; one to many channels, any cut into ranges of
// rows, pages that can't be touched around all memory.
#include "test.h"
#include "../../runtime/kernels/sample.c"

static int failed, cases;

// Where a coordinate lies: the pixel before, and how far it is to the next one.
static int64_t split(float at, int64_t size, double *part) {
  double c = fmin(fmax((double)at, 0), (double)(size - 1)); // of no number: 0
  int64_t low = (int64_t)c;
  *part = isnan(at) ? NAN : c - (double)low;
  return low;
}

// The four pixels around point i (of channel 0) and their weights.
static void corners(const NnrtSample *s, const float *y, const float *z, int64_t i, int64_t *at,
                    double *weight) {
  double down, across;
  int64_t v = split(y[i], s->height, &down), u = split(z[i], s->width, &across);
  int64_t image = i / (s->rows * s->columns) * s->height;
  for (int k = 0; k < 4; k++) {
    int64_t h = v + (v + k / 2 < s->height ? k / 2 : 0), w = u + (u + k % 2 < s->width ? k % 2 : 0);
    at[k] = ((image + h) * s->width + w) * s->channels;
    weight[k] = (k / 2 ? down : 1 - down) * (k % 2 ? across : 1 - across);
  }
}

static bool near(float got, double want) {
  return isnan(want) ? isnan(got) : fabs((double)got - want) < 1e-4;
}

// Coordinates from -2 to 2 pixels behind the last one; some of them are special.
static void coordinates(float *p, int64_t n, int64_t size, uint64_t *state) {
  static const float special[] = {0, -0.0f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN};
  for (int64_t i = 0; i < n; i++)
    p[i] =
        i % 11 == 10 ? special[i / 11 % 7] : (float)(test_random(state) * (double)(size + 4) - 2);
}

static __attribute__((noinline)) void sample(const NnrtSample *s, const float *x, const float *y,
                                             const float *z, float *out, int64_t rows) {
  for (int i = 0; i < 3; i++)
    nnrt_sample_f32(s, x, y, z, out, rows * i / 3, rows * (i + 1) / 3);
}

static __attribute__((noinline)) void sample_add(const NnrtSample *s, const float *y,
                                                 const float *z, const float *d, float *out,
                                                 int64_t rows) {
  for (int i = 0; i < 3; i++)
    nnrt_sample_add_f32(s, y, z, d, out, rows * i / 3, rows * (i + 1) / 3);
}

static void check(const NnrtSample *s, int64_t images, TestEnd end) {
  int64_t points = images * s->rows * s->columns, m = points * s->channels;
  int64_t n = images * s->height * s->width * s->channels;
  uint64_t state = (uint64_t)(n * 31 + m);
  float *x = test_numbers(n, end, &state), *y = test_floats(points, end),
        *z = test_floats(points, end), *out = test_floats(m, end),
        *d = test_numbers(m, end, &state), *back = test_floats(n, end);
  coordinates(y, points, s->height, &state);
  coordinates(z, points, s->width, &state);
  double *want = calloc((size_t)n, sizeof *want);
  sample(s, x, y, z, out, images * s->rows);
  sample_add(s, y, z, d, back, images * s->height);
  bool right = true;
  for (int64_t i = 0; i < points; i++) {
    int64_t at[4];
    double weight[4];
    corners(s, y, z, i, at, weight);
    for (int64_t c = 0; c < s->channels; c++) {
      double sum = 0;
      for (int k = 0; k < 4; k++) {
        sum += weight[k] * (double)x[at[k] + c];
        want[at[k] + c] += weight[k] * (double)d[i * s->channels + c];
      }
      right = right && near(out[i * s->channels + c], sum);
    }
  }
  for (int64_t i = 0; i < n; i++)
    right = right && near(back[i], want[i]);
  right = right && test_surroundings_stand(out, m * 4) && test_surroundings_stand(back, n * 4);
  if (!right) {
    failed++;
    printf("FAIL sample-v%d: %ld images of %ldx%ldx%ld at %ldx%ld points\n", NNRT_LEVEL,
           (long)images, (long)s->height, (long)s->width, (long)s->channels, (long)s->rows,
           (long)s->columns);
  }
  cases++;
  test_free(x, n * 4), test_free(y, points * 4), test_free(z, points * 4), test_free(out, m * 4);
  test_free(d, m * 4), test_free(back, n * 4), free(want);
}

int main(void) {
  if (!test_can_run("sample"))
    return 0;
  static const int64_t sizes[][4] = {{1, 1, 1, 1},  {1, 7, 3, 2},   {7, 1, 2, 17}, {5, 9, 5, 9},
                                     {8, 8, 4, 16}, {3, 15, 7, 31}, {6, 5, 1, 33}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    for (int64_t channels = 1; channels <= 5; channels++)
      for (TestEnd end = TEST_FIRST; end <= TEST_LAST; end++)
        check(&(NnrtSample){.height = sizes[i][0],
                            .width = sizes[i][1],
                            .channels = channels,
                            .rows = sizes[i][2],
                            .columns = sizes[i][3]},
              2, end);
  if (!failed)
    printf("PASS sample-v%d/%d images\n", NNRT_LEVEL, cases);
  return failed != 0;
}
