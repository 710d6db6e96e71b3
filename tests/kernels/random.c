// Random draws against nnrt_random.h, one number at a time; narrow and wide rows, any range;
// moments.
#include "test.h"
#include "../../runtime/kernels/math.c"
#include "../../runtime/kernels/math64.c"
#include "../../runtime/kernels/random.c"

static int failed;
static const uint64_t hash = 0x0123456789abcdefull;
static const int32_t seed = -7, step = 12345;
static const char *const kind_name[] = {"bits", "uniform", "normal"};

static void report(const char *what, int kind, bool ok) {
  printf("%s random-v%d/%s-%s%s\n", ok ? "PASS" : "FAIL", NNRT_LEVEL, kind_name[kind], what,
         ok ? "" : ": differs");
  failed += !ok;
}

static double reference(int kind, int32_t example, int64_t element) {
  NnrtRandomBlock b = nnrt_random_block(seed, hash, step, example, (uint32_t)(element / 4));
  uint32_t lane = element & 3;
  if (kind == NNRT_RANDOM_BITS)
    return (int32_t)b.word[lane];
  if (kind == NNRT_RANDOM_UNIFORM)
    return (b.word[lane] >> 8) * 0x1p-24;
  double r = sqrt(-2 * log((b.word[lane & ~1u] >> 8) * 0x1p-24 + 0x1p-24));
  double angle = 2 * M_PI * ((b.word[lane | 1] >> 8) * 0x1p-24);
  return lane & 1 ? r * sin(angle) : r * cos(angle);
}

static bool near(int kind, const void *at, double right) {
  if (kind == NNRT_RANDOM_BITS)
    return *(const int32_t *)at == right;
  double error = fabs(*(const float *)at - right);
  return kind == NNRT_RANDOM_UNIFORM ? error == 0 : error <= 1.5e-6;
}

enum { MOST = 4096 };
static int32_t example[MOST];

// Numbers [from, to) of rows of `width`; what lies outside must stay.
static bool right(int kind, int64_t width, int64_t rows, int64_t from, int64_t to, bool by_row) {
  static uint32_t out[MOST];
  memset(out, 0x5a, sizeof out);
  nnrt_random_32((NnrtRandomKind)kind, seed, hash, step, by_row ? example : NULL, width, out + 64,
                 from, to);
  bool ok = true;
  for (int64_t i = -64; i < rows * width + 64; i++)
    if (i < from || i >= to)
      ok &= out[64 + i] == 0x5a5a5a5a;
    else
      ok &= near(kind, &out[64 + i], reference(kind, by_row ? example[i / width] : 0, i % width));
  return ok;
}

static void test_kind(int kind) {
  static const int64_t widths[] = {1, 3, 4, 10, 63, 64, 65, 127, 128, 129, 200, 512};
  bool ok = true, part = true;
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    for (int64_t rows = 1; rows <= 7; rows += 3) {
      int64_t count = widths[i] * rows;
      ok &= right(kind, widths[i], rows, 0, count, true) &&
            right(kind, widths[i], rows, 0, count, false);
      part &= right(kind, widths[i], rows, count / 3, count - count / 4, true);
    }
  report("all", kind, ok);
  report("range", kind, part);
  bool lanes = true;
  v16u numbers = {0, 5, 1, 2, 3, 99, 4, 7, 6, 15, 64, 65, 66, 67, 1000, 3}, rows;
  for (int i = 0; i < LANES; i++)
    rows[i] = (uint32_t)(i / 3);
  v16u got = nnrt_random_lanes((NnrtRandomKind)kind, seed, hash, step, rows, numbers);
  for (int i = 0; i < LANES; i++) {
    uint32_t bits32 = got[i];
    lanes &= near(kind, &bits32, reference(kind, (int32_t)rows[i], numbers[i]));
  }
  report("lanes", kind, lanes);
}

static void test_moments(int kind, double mean, double variance) {
  enum { COUNT = 1 << 18 };
  float *x = malloc(COUNT * sizeof *x);
  nnrt_random_32((NnrtRandomKind)kind, seed, hash, step, NULL, COUNT, x, 0, COUNT);
  double sum = 0, squares = 0, pairs = 0;
  for (int i = 0; i < COUNT; i++) {
    sum += x[i] - mean;
    squares += (x[i] - mean) * (x[i] - mean);
    pairs += i ? (x[i] - mean) * (x[i - 1] - mean) : 0;
  }
  double tolerance =
      5 / sqrt((double)COUNT); // five standard deviations, where the variance is <= 1
  report("moments", kind,
         fabs(sum / COUNT) < tolerance && fabs(squares / COUNT - variance) < 1.5 * tolerance &&
             fabs(pairs / COUNT) < tolerance);
  free(x);
}

int main(void) {
  if (!test_can_run("random"))
    return 0;
  for (int i = 0; i < MOST; i++)
    example[i] = i * 7919 - 1000;
  for (int kind = 0; kind < 3; kind++)
    test_kind(kind);
  test_moments(NNRT_RANDOM_UNIFORM, 0.5, 1.0 / 12);
  test_moments(NNRT_RANDOM_NORMAL, 0, 1);
  return failed != 0;
}
