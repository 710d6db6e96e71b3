// Convolutions of the general path (depthwise, groups of N, any other) and both of their gradients
// against naive sums in double: strides, dilations, paddings of each side, any cut into ranges of
// rows, pages that can't be touched around all memory, an epilogue that counts what it sees.
#include "test.h"
#include "../../runtime/kernels/conv.c"

typedef enum { OUT, IN, FILTER } Of;
static int failed, cases;

// result += the product of the other two, for every (pixel of out, tap, channel, feature).
static void naive(const NnrtConv *s, Of of, const float *const *operand, double *result) {
  int64_t C = s->channels / s->groups, F = s->features / s->groups;
  for (int64_t pixel = 0; pixel < s->images * s->out[0] * s->out[1]; pixel++)
    for (int64_t tap = 0; tap < s->filter[0] * s->filter[1]; tap++) {
      int64_t n = pixel / s->out[1] / s->out[0];
      int64_t y = pixel / s->out[1] % s->out[0] * s->stride[0] +
                  tap / s->filter[1] * s->dilation[0] - s->low[0];
      int64_t x =
          pixel % s->out[1] * s->stride[1] + tap % s->filter[1] * s->dilation[1] - s->low[1];
      if (y < 0 || x < 0 || y >= s->in[0] || x >= s->in[1])
        continue;
      for (int64_t c = 0; c < s->channels; c++)
        for (int64_t f = c / C * F; f < (c / C + 1) * F; f++) {
          int64_t at[] = {pixel * s->features + f,
                          ((n * s->in[0] + y) * s->in[1] + x) * s->channels + c,
                          (tap * C + c % C) * s->features + f};
          result[at[of]] += (double)operand[(of + 1) % 3][at[(of + 1) % 3]] *
                            (double)operand[(of + 2) % 3][at[(of + 2) % 3]];
        }
    }
}

// Adds what tells the place; what is stored twice is seen twice.
static v16f place(v16f acc, const NnrtArgs *args, int64_t row, int64_t col, int32_t lanes) {
  float *seen = args->buf[0];
  for (int i = 0; i < lanes; i++)
    seen[row * args->size[0] + col + i] += 1;
  return acc + SPLAT(row % 7 - col);
}

static __attribute__((noinline)) void run(const NnrtArgs *args, const NnrtConv *s, Of of,
                                          float *const *tensor, int64_t row0, int64_t row1,
                                          NnrtEpilogue end) {
  if (of == OUT)
    nnrt_conv_out_f32(args, s, tensor[IN], tensor[FILTER], tensor[OUT], row0, row1, end);
  else if (of == IN)
    nnrt_conv_in_f32(args, s, tensor[OUT], tensor[FILTER], tensor[IN], row0, row1, end);
  else
    nnrt_conv_filter_f32(args, s, tensor[IN], tensor[OUT], tensor[FILTER], row0, row1, end);
}

static void fail(const NnrtConv *s, Of of, const char *what) {
  static const char *const name[] = {"out", "in", "filter"};
  failed++;
  printf("FAIL conv-v%d: %s of %s, %ldx%ldx%ldx%ld, filter %ldx%ldx%ld groups %ld, stride %ld %ld "
         "dilation %ld %ld pad %ld %ld -> %ldx%ld\n",
         NNRT_LEVEL, what, name[of], (long)s->images, (long)s->in[0], (long)s->in[1],
         (long)s->channels, (long)s->filter[0], (long)s->filter[1], (long)s->features,
         (long)s->groups, (long)s->stride[0], (long)s->stride[1], (long)s->dilation[0],
         (long)s->dilation[1], (long)s->low[0], (long)s->low[1], (long)s->out[0], (long)s->out[1]);
}

// One of the three made of the other two, in three ranges of rows.
static void check_one(const NnrtConv *s, Of of, float *const *tensor, const int64_t *n,
                      bool epilogue) {
  int64_t width = of == IN ? s->channels : s->features, count = n[of];
  int64_t rows = of == OUT  ? s->images * s->out[0]
                 : of == IN ? s->images * s->in[0]
                            : count / s->features;
  float *seen = calloc((size_t)count, sizeof *seen);
  double *want = calloc((size_t)count, sizeof *want), worst = 0;
  void *buf[] = {seen};
  NnrtArgs args = {.buf = buf, .size = &width, .n = s->images};
  memset(tensor[of], 255, (size_t)count * 4);
  for (int i = 0; i < 3; i++)
    run(&args, s, of, tensor, rows * i / 3, rows * (i + 1) / 3, epilogue ? place : NULL);
  naive(s, of, (const float *const *)tensor, want);
  for (int64_t i = 0; i < count; i++) {
    int64_t column = i % width, each = width / s->groups;
    // 16 lanes of a call begin at its column: of a group, or of all channels where each is its own.
    if (epilogue)
      want[i] += (double)(i / width % 7 - column) +
                 (double)(each == 1 && is_depthwise(s) ? column % LANES : column % each % LANES);
    double error = fabs((double)tensor[of][i] - want[i]);
    worst = error <= worst ? worst : isnan(error) ? INFINITY : error;
    if (epilogue && seen[i] != 1)
      worst = INFINITY;
  }
  if (worst > 1e-4)
    fail(s, of, "values");
  if (!test_surroundings_stand(tensor[of], count * 4))
    fail(s, of, "surroundings");
  cases++;
  free(seen), free(want);
}

static void check(NnrtConv s, const int64_t *high) {
  for (int i = 0; i < 2; i++) {
    int64_t room = s.in[i] + s.low[i] + high[i] - (s.filter[i] - 1) * s.dilation[i] - 1;
    if (room < 0)
      return;
    s.out[i] = room / s.stride[i] + 1;
  }
  uint64_t state = (uint64_t)(s.channels * 31 + s.features * 7 + s.in[1]);
  const int64_t n[] = {s.images * s.out[0] * s.out[1] * s.features,
                       s.images * s.in[0] * s.in[1] * s.channels,
                       s.filter[0] * s.filter[1] * s.channels / s.groups * s.features};
  for (TestEnd end = TEST_FIRST; end <= TEST_LAST; end++)
    for (Of of = OUT; of <= FILTER; of++) {
      float *tensor[3];
      for (int i = 0; i < 3; i++)
        tensor[i] = test_numbers(n[i], end, &state);
      check_one(&s, of, tensor, n, end == TEST_LAST);
      for (int i = 0; i < 3; i++)
        test_free(tensor[i], n[i] * 4);
    }
}

int main(void) {
  if (!test_can_run("conv"))
    return 0;
  static const int64_t channels[][3] = {{1, 1, 1},    {3, 17, 1},   {17, 5, 1},
                                        {16, 16, 16}, {19, 19, 19}, {6, 34, 2},
                                        {10, 5, 5},   {36, 4, 2},   {5, 15, 5}}; // in, out, groups
  // Before and behind each axis: valid, all around, `same` of an even filter, one side alone.
  static const int64_t padding[][4] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 0, 1, 1}, {2, 1, 0, 0}};
  for (size_t c = 0; c < sizeof channels / sizeof *channels; c++)
    for (int64_t k = 1; k <= 3; k++)
      for (int64_t stride = 1; stride <= 3; stride++)
        for (int64_t dilation = 1; dilation <= 2; dilation++)
          for (int pad = 0; pad < 4; pad++)
            check((NnrtConv){.images = 2,
                             .channels = channels[c][0],
                             .features = channels[c][1],
                             .groups = channels[c][2],
                             .in = {5, 7 + pad},
                             .filter = {k, 1 + k % 3},
                             .stride = {stride, 1 + stride % 3},
                             .dilation = {dilation, 3 - dilation},
                             .low = {padding[pad][0], padding[pad][1]}},
                  padding[pad] + 2);
  if (!failed)
    printf("PASS conv-v%d/%d convolutions\n", NNRT_LEVEL, cases);
  return failed != 0;
}
