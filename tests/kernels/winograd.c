// Convolutions in Winograd's form and both of their gradients against naive sums in double: odd
// sizes, all paddings, one and several strips, any cut into ranges of tiles, pages that can't be
// touched around every operand, result and scratch, an epilogue that counts what it sees.
#include "naive.h"
#include "../../runtime/kernels/winograd.c"
#include "../../runtime/kernels/winogradfilter.c"

// Of the largest: sums of a few hundred terms, each in 36 positions whose numbers are larger.
static const double error = 1e-5;
static int failed, cases;

static __attribute__((noinline)) void images(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                             const float *x, const float *form, float *to,
                                             const NnrtDirect *s, bool epilogue) {
  if (epilogue)
    nnrt_winograd_out_f32(args, tile0, tile1, x, form, to, s->N, s, place);
  else
    nnrt_winograd_out_f32(args, tile0, tile1, x, form, to, s->N, s, NULL);
}

static void compare(const NnrtDirect *s, NnrtDirectOf of, const char *what, const float *got,
                    const double *want, int64_t n) {
  static const char *const name[] = {"out", "in", "filter"};
  double most = 1, worst = 0;
  for (int64_t i = 0; i < n; i++) {
    double d = fabs((double)got[i] - want[i]);
    most = fabs(want[i]) > most ? fabs(want[i]) : most;
    worst = d <= worst ? worst : isnan(d) ? INFINITY : d;
  }
  cases++;
  if (worst <= error * most)
    return;
  failed++;
  printf(
      "FAIL winograd %s: %s of %ldx%ldx%ldx%ld -> %ldx%ldx%ld, pad %ld %ld: off by %.2g of %.3g\n",
      what, name[of], (long)s->N, (long)s->H, (long)s->W, (long)s->C, (long)s->OH, (long)s->OW,
      (long)s->F, (long)s->pad_top, (long)s->pad_left, worst, most);
}

static void guards(const char *what, bool stand) {
  if (stand)
    return;
  failed++;
  printf("FAIL winograd %s: writes outside\n", what);
}

// Images, in `ranges` ranges of tiles: of the gradient by the image `s` is that of the turned one.
static void check_images(const NnrtDirect *s, NnrtDirectOf of, const float *x, const float *filter,
                         const double *want, int ranges, bool epilogue, TestEnd end) {
  int64_t n = s->N * s->OH * s->OW * s->F, forms = POSITIONS * s->C * s->F;
  int64_t scratch_n = nnrt_winograd_scratch(s) / 4;
  int64_t tiles = nnrt_direct_pieces(s->N * nnrt_winograd_tiles(s), NNRT_WINOGRAD_GROUP);
  int64_t blocks = s->F / COLUMNS * (s->C / NNRT_WINOGRAD_ROWS);
  float *form = test_floats(forms, end), *to = test_floats(n, end),
        *scratch = test_floats(scratch_n, end);
  float *seen = calloc((size_t)n + 1, sizeof *seen);
  double *sum = malloc(sizeof *sum * (size_t)n);
  void *buf[] = {seen};
  int64_t sizes[] = {s->F};
  int64_t room_n = nnrt_winograd_form_scratch() / 4;
  float *room = test_floats(room_n, end);
  NnrtArgs form_args = {.scratch = room};
  NnrtArgs args = {.buf = buf, .size = sizes, .n = s->N, .scratch = scratch};
  for (int i = 0; i < ranges; i++)
    nnrt_winograd_form_f32(&form_args, blocks * i / ranges, blocks * (i + 1) / ranges, filter,
                           of == NNRT_DIRECT_IN, s->C, s->F, form);
  for (int i = 0; i < ranges; i++)
    images(&args, tiles * i / ranges, tiles * (i + 1) / ranges, x, form, to, s, epilogue);
  for (int64_t i = 0; i < n; i++) {
    sum[i] = want[i];
    if (epilogue)
      sum[i] += (double)(i / s->F % 7) - (double)(i % s->F / LANES * LANES);
    if (epilogue && seen[i] != 1)
      sum[i] = INFINITY;
  }
  compare(s, of, epilogue ? "with an epilogue" : "bare", to, sum, n);
  guards("images", test_surroundings_stand(to, n * 4) && test_surroundings_stand(form, forms * 4) &&
                       test_surroundings_stand(scratch, scratch_n * 4) &&
                       test_surroundings_stand(room, room_n * 4));
  test_free(form, forms * 4), test_free(to, n * 4), test_free(scratch, scratch_n * 4),
      test_free(room, room_n * 4);
  free(seen), free(sum);
}

static void check_filter(const NnrtDirect *s, const float *in, const float *out, const double *want,
                         int ranges, TestEnd end) {
  NnrtWinogradSums t = nnrt_winograd_sums(s);
  if (ranges > 1)
    t = (NnrtWinogradSums){ranges, t.lines == 1 ? 6 : 1, 32, 5}; // more parts than some have tiles
  int64_t n = 9 * s->C * s->F, forms = POSITIONS * s->C * s->F * t.parts;
  int64_t scratch_n = nnrt_winograd_sums_scratch(s, &t) / 4;
  int64_t tiles = nnrt_winograd_sums_tiles(s, &t);
  int64_t blocks = s->F / COLUMNS * (s->C / NNRT_WINOGRAD_ROWS);
  float *form = test_floats(forms, end), *to = test_floats(n, end),
        *scratch = test_floats(scratch_n, end);
  int64_t room_n = nnrt_winograd_form_scratch() / 4;
  float *room = test_floats(room_n, end);
  NnrtArgs form_args = {.scratch = room};
  NnrtArgs args = {.n = s->N, .scratch = scratch};
  for (int i = 0; i < ranges; i++)
    nnrt_winograd_sums_f32(&args, tiles * i / ranges, tiles * (i + 1) / ranges, in, out, form, s->N,
                           s, &t);
  for (int i = 0; i < ranges; i++)
    nnrt_winograd_taps_f32(&form_args, blocks * i / ranges, blocks * (i + 1) / ranges, form,
                           t.parts, s->C, s->F, to);
  compare(s, NNRT_DIRECT_FILTER, "bare", to, want, n);
  guards("filter", test_surroundings_stand(to, n * 4) && test_surroundings_stand(form, forms * 4) &&
                       test_surroundings_stand(scratch, scratch_n * 4) &&
                       test_surroundings_stand(room, room_n * 4));
  test_free(form, forms * 4), test_free(to, n * 4), test_free(scratch, scratch_n * 4),
      test_free(room, room_n * 4);
}

static void check(int64_t N, int64_t H, int64_t W, int64_t C, int64_t F, int64_t top, int64_t left,
                  int64_t bottom, int64_t right) {
  NnrtDirect s = {.N = N,
                  .H = H,
                  .W = W,
                  .C = C,
                  .F = F,
                  .KH = 3,
                  .KW = 3,
                  .groups = 1,
                  .OH = H + top + bottom - 2,
                  .OW = W + left + right - 2,
                  .stride_h = 1,
                  .stride_w = 1,
                  .dilation_h = 1,
                  .dilation_w = 1,
                  .pad_top = top,
                  .pad_left = left};
  NnrtDirect turned = s;
  turned.H = s.OH, turned.W = s.OW, turned.OH = H, turned.OW = W, turned.C = F, turned.F = C;
  turned.pad_top = 2 - top, turned.pad_left = 2 - left;
  uint64_t state = (uint64_t)(H * 31 + C * 7 + F);
  TestEnd end = cases % 2 ? TEST_FIRST : TEST_LAST;
  int64_t n_in = N * H * W * C, n_filter = 9 * C * F, n_out = N * s.OH * s.OW * F;
  float *in = test_numbers(n_in, end, &state), *filter = test_numbers(n_filter, end, &state),
        *out = test_numbers(n_out, end, &state);
  double *want_out = calloc((size_t)n_out, 8), *want_in = calloc((size_t)n_in, 8),
         *want_filter = calloc((size_t)n_filter, 8);
  naive(&s, NNRT_DIRECT_OUT, in, filter, out, want_out);
  naive(&s, NNRT_DIRECT_IN, in, filter, out, want_in);
  naive(&s, NNRT_DIRECT_FILTER, in, filter, out, want_filter);
  for (int ranges = 1; ranges <= 3; ranges += 2) {
    check_images(&s, NNRT_DIRECT_OUT, in, filter, want_out, ranges, ranges > 1, end);
    if (C % COLUMNS == 0)
      check_images(&turned, NNRT_DIRECT_IN, out, filter, want_in, ranges, ranges > 1, end);
    check_filter(&s, in, out, want_filter, ranges, end);
  }
  test_free(in, n_in * 4), test_free(filter, n_filter * 4), test_free(out, n_out * 4);
  free(want_out), free(want_in), free(want_filter);
}

int main(void) {
  if (!test_can_run("kernels/winograd"))
    return 0;
  check(1, 4, 4, 16, 32, 1, 1, 1, 1);
  check(2, 5, 7, 32, 32, 0, 0, 0, 0);
  check(1, 3, 3, 32, 64, 0, 0, 0, 0);
  check(3, 1, 2, 32, 32, 1, 2, 1, 1);
  check(1, 9, 6, 48, 96, 2, 0, 0, 1);
  check(2, 14, 13, 64, 32, 1, 1, 1, 1);
  check(5, 11, 11, 32, 160, 0, 1, 2, 0);
  check(1, 21, 33, 32, 64, 1, 1, 1, 1); // 54 tiles: more than a block
  check(9, 8, 12, 96, 32, 2, 2, 2, 2);  // 108: more than are added up at a time
  if (!failed)
    printf("PASS kernels/winograd-v%d: %d results\n", NNRT_LEVEL, cases);
  return failed != 0;
}
