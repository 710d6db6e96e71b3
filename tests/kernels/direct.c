// Convolutions and both of their gradients against naive sums in double: strides, padding,
// dilation, groups, few and many channels, any cut into ranges of tiles, pages that can't be
// touched around every operand, result and scratch, an epilogue that counts what it sees.
#include "naive.h"
#include "../../runtime/kernels/direct.c"
#define Tile FilterTile
#define finish filter_finish
#define tile_at filter_tile_at
#include "../../runtime/kernels/directfilter.c"
#undef Tile

enum { PARTS = 3 };
static int failed, cases;

static __attribute__((noinline)) void bare(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                           NnrtDirectOf of, const float *a, const float *b,
                                           float *c, const NnrtDirect *s, const NnrtDirectTile *t) {
  if (of == NNRT_DIRECT_OUT)
    nnrt_direct_out_f32(args, tile0, tile1, a, b, c, s->N, s, t, NULL);
  else if (of == NNRT_DIRECT_IN)
    nnrt_direct_in_f32(args, tile0, tile1, a, b, c, s->N, s, t, NULL);
  else
    nnrt_direct_filter_f32(args, tile0, tile1, a, b, c, s->N, s, t, NULL);
}

static __attribute__((noinline)) void with_epilogue(const NnrtArgs *args, int64_t tile0,
                                                    int64_t tile1, NnrtDirectOf of, const float *a,
                                                    const float *b, float *c, const NnrtDirect *s,
                                                    const NnrtDirectTile *t) {
  if (of == NNRT_DIRECT_OUT)
    nnrt_direct_out_f32(args, tile0, tile1, a, b, c, s->N, s, t, place);
  else if (of == NNRT_DIRECT_IN)
    nnrt_direct_in_f32(args, tile0, tile1, a, b, c, s->N, s, t, place);
  else
    nnrt_direct_filter_f32(args, tile0, tile1, a, b, c, s->N, s, t, place);
}

static void fail(const NnrtDirect *s, NnrtDirectOf of, const char *what) {
  static const char *const name[] = {"out", "in", "filter"};
  failed++;
  printf("FAIL %s: %s of %ldx%ldx%ldx%ld, filter %ldx%ldx%ld groups %ld, stride %ld %ld dilation "
         "%ld %ld pad %ld %ld -> %ldx%ld\n",
         what, name[of], (long)s->N, (long)s->H, (long)s->W, (long)s->C, (long)s->KH, (long)s->KW,
         (long)s->F, (long)s->groups, (long)s->stride_h, (long)s->stride_w, (long)s->dilation_h,
         (long)s->dilation_w, (long)s->pad_top, (long)s->pad_left, (long)s->OH, (long)s->OW);
}

typedef struct {
  int64_t n, width, terms; // elements, of a row; terms of a sum
} Size;

static Size size_of(const NnrtDirect *s, NnrtDirectOf of) {
  int64_t C = s->C / s->groups, F = s->F / s->groups, taps = s->KH * s->KW;
  return of == NNRT_DIRECT_OUT  ? (Size){s->N * s->OH * s->OW * s->F, s->F, taps * C}
         : of == NNRT_DIRECT_IN ? (Size){s->N * s->H * s->W * s->C, s->C, taps * F}
                                : (Size){taps * C * s->F, s->F, s->N * s->OH * s->OW};
}

// Adds up what was made in parts.
static void add_parts(float *result, float *seen, int64_t n, int64_t parts) {
  for (int64_t i = n; i < n * parts; i++) {
    result[i % n] += result[i];
    seen[i % n] *= seen[i];
  }
}

// One result, in `ranges` ranges of tiles; a filter's gradient also in more parts than there are
// pieces.
static void check_one(const NnrtDirect *s, NnrtDirectOf of, const float *const *operand, int ranges,
                      bool epilogue, TestEnd end) {
  NnrtDirectTile t = nnrt_direct_tile(s, of);
  Size size = size_of(s, of);
  if (of == NNRT_DIRECT_FILTER && ranges > 1)
    t.blocks = t.blocks / t.parts * PARTS, t.parts = PARTS;
  int64_t parts = of == NNRT_DIRECT_FILTER ? t.parts : 1;
  int64_t tiles = nnrt_direct_tiles(&t, s->N), scratch_n = t.scratch / 4;
  float *result = test_floats(size.n * parts, end), *scratch = test_floats(scratch_n, end);
  float *seen = calloc((size_t)(size.n * parts) + 1, sizeof *seen);
  double *want = calloc((size_t)size.n + 1, sizeof *want);
  void *buf[] = {seen};
  int64_t sizes[] = {size.width};
  NnrtArgs args = {.buf = buf, .size = sizes, .n = s->N, .scratch = scratch};
  const float *a = operand[of == NNRT_DIRECT_IN ? 2 : 0],
              *b = operand[of == NNRT_DIRECT_FILTER ? 2 : 1];
  for (int i = 0; i < ranges; i++)
    (epilogue ? with_epilogue : bare)(&args, tiles * i / ranges, tiles * (i + 1) / ranges, of, a, b,
                                      result, s, &t);
  naive(s, of, operand[0], operand[1], operand[2], want);
  double worst = 0;
  bool surroundings = test_surroundings_stand(result, size.n * parts * 4);
  add_parts(result, seen, size.n, parts);
  for (int64_t i = 0; i < size.n; i++) {
    if (epilogue) {
      for (int64_t k = i; k < size.n * parts; k += size.n)
        want[i] += (double)(k / size.width % 7) - (double)(i % size.width);
      // The number of lanes of a call begins at its column.
      want[i] += (double)(parts * (i % size.width % (size.width / s->groups) % LANES));
      if (seen[i] != 1)
        worst = INFINITY;
    }
    double error = fabs((double)result[i] - want[i]);
    worst = error <= worst ? worst : isnan(error) ? INFINITY : error;
  }
  if (worst > 1e-6 * (double)(size.terms + 16 * parts * parts))
    fail(s, of, "values");
  if (!surroundings || !test_surroundings_stand(scratch, scratch_n * 4))
    fail(s, of, "guards");
  cases++;
  test_free(result, size.n * parts * 4), test_free(scratch, scratch_n * 4), free(seen), free(want);
}

static void check(NnrtDirect s) {
  uint64_t state = (uint64_t)(s.H * 31 + s.C * 7 + s.F);
  int64_t h = s.H + 2 * s.pad_top - (s.KH - 1) * s.dilation_h - 1;
  int64_t w = s.W + 2 * s.pad_left - (s.KW - 1) * s.dilation_w - 1;
  if (h < 0 || w < 0)
    return;
  s.OH = h / s.stride_h + 1, s.OW = w / s.stride_w + 1;
  for (TestEnd end = TEST_FIRST; end <= TEST_LAST; end++) {
    int64_t n[] = {s.N * s.H * s.W * s.C, s.KH * s.KW * s.C / s.groups * s.F,
                   s.N * s.OH * s.OW * s.F};
    float *operand[3];
    for (int i = 0; i < 3; i++)
      operand[i] = test_numbers(n[i], end, &state);
    for (NnrtDirectOf of = NNRT_DIRECT_OUT; of <= NNRT_DIRECT_FILTER; of++)
      check_one(&s, of, (const float *const *)operand, end == TEST_FIRST ? 1 : 3, end == TEST_LAST,
                end);
    for (int i = 0; i < 3; i++)
      test_free(operand[i], n[i] * 4);
  }
}

static void check_geometry(void) {
  static const int64_t channels[][3] = {{1, 5, 1},  {3, 32, 1},  {5, 17, 1},   {32, 48, 1},
                                        {6, 10, 2}, {34, 70, 2}, {12, 12, 12}, {70, 33, 1}};
  for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
    for (int64_t k = 1; k <= 3; k++)
      for (int64_t stride = 1; stride <= 3; stride++)
        for (int64_t pad = 0; pad <= 2; pad++)
          for (int64_t dilation = 1; dilation <= 2; dilation++)
            check((NnrtDirect){.N = 3,
                               .H = 7,
                               .W = 9 + pad,
                               .C = channels[c][0],
                               .F = channels[c][1],
                               .KH = k,
                               .KW = 1 + k % 3,
                               .groups = channels[c][2],
                               .stride_h = stride,
                               .stride_w = 1 + stride % 3,
                               .dilation_h = dilation,
                               .dilation_w = dilation,
                               .pad_top = pad,
                               .pad_left = k > 1 ? pad : 0});
}

// Rows just below and above a register block, several tiles of rows, of columns and of channels.
// A square filter of k, the same on both axes; one group.
static NnrtDirect square(int64_t N, int64_t H, int64_t W, int64_t C, int64_t F, int64_t k,
                         int64_t stride) {
  return (NnrtDirect){.N = N,
                      .H = H,
                      .W = W,
                      .C = C,
                      .F = F,
                      .KH = k,
                      .KW = k,
                      .groups = 1,
                      .stride_h = stride,
                      .stride_w = stride,
                      .dilation_h = 1,
                      .dilation_w = 1,
                      .pad_top = k / 2,
                      .pad_left = k / 2};
}

static void check_sizes(void) {
  for (int64_t width = 1; width <= 31; width++)
    check(square(2, width % 9 + 1, width, 4, 33, 3, 1));
  check(square(2, 30, 29, 66, 130, 3, 1));
  check(square(2, 57, 58, 130, 40, 3, 2));
  check(square(1, 9, 9, 520, 300, 1, 2));
  check(square(2, 3, 3, 256, 512, 1, 1)); // tiles of a filter of one pixel are larger,
  check(square(2, 9, 8, 3, 70, 3, 1));    // those of few entries take all rows
}

int main(void) {
  if (!test_can_run("direct"))
    return 0;
  check_geometry();
  check_sizes();
  if (!failed)
    printf("PASS direct-v%d/%d convolutions\n", NNRT_LEVEL, cases);
  return failed != 0;
}
