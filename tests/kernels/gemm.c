// Products against a naive chain of the same operations, bit for bit, and against double: every
// operand form, sizes around the blocks, any cut into ranges of tiles, sizes known and not known
// when compiled, pages that can't be touched around all memory.
#include "test.h"
#include "../../runtime/kernels/gemm.c"

typedef enum { NN, TN, NT, TT } Form;
static const char *const form_name[] = {"NN", "TN", "NT", "TT"};

typedef struct {
  Form form;
  int64_t batch, M, N, K;
} Shape;
typedef void Product(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *a,
                     const float *b, float *c, const Shape *s, NnrtGemmTile tile);

// Columns that tell the place; what is stored twice is seen twice.
KERNEL v16f place(v16f acc, const NnrtArgs *args, int64_t row, int64_t col, int32_t lanes) {
  float *seen = args->buf[0];
  int64_t width = args->size[0];
  for (int i = 0; i < lanes; i++)
    seen[row * width + col + i] += (float)(row * 3 + col + i);
  return acc + SPLAT(row) - SPLAT(2 * col);
}

KERNEL void call(const NnrtArgs *args, int64_t tile0, int64_t tile1, const float *a, const float *b,
                 float *c, Form form, int64_t M, int64_t N, int64_t K, NnrtGemmTile tile,
                 int64_t depth, bool packs, NnrtEpilogue epilogue) {
  bool a_turned = form == TN || form == TT, b_turned = form == NT || form == TT;
  nnrt_gemm_f32(args, tile0, tile1, a, M * K, a_turned ? 1 : K, a_turned ? M : 1, b, K * N,
                b_turned ? 1 : N, b_turned ? K : 1, c, N, M, N, K, tile.rows, tile.cols, depth,
                packs, epilogue);
}

static bool is_packed(const Shape *s) {
  return nnrt_gemm_packs(s->M, s->N, s->K, s->form == NT || s->form == TT);
}

static __attribute__((noinline)) void any_size(const NnrtArgs *args, int64_t tile0, int64_t tile1,
                                               const float *a, const float *b, float *c,
                                               const Shape *s, NnrtGemmTile tile) {
  call(args, tile0, tile1, a, b, c, s->form, s->M, s->N, s->K, tile,
       nnrt_gemm_depth(s->M, s->N, s->K), is_packed(s), NULL);
}
static __attribute__((noinline)) void with_epilogue(const NnrtArgs *args, int64_t tile0,
                                                    int64_t tile1, const float *a, const float *b,
                                                    float *c, const Shape *s, NnrtGemmTile tile) {
  call(args, tile0, tile1, a, b, c, s->form, s->M, s->N, s->K, tile,
       nnrt_gemm_depth(s->M, s->N, s->K), is_packed(s), place);
}

// As the code generator calls it: the weight's sizes are constants, the batch is not. Of many rows
// 64 are one example's.
#define BATCH(n) ((n) >= 600 ? -64 : -1)
#define CONSTANT(name, FORM, M_, N_, K_)                                                           \
  static __attribute__((noinline)) void name(const NnrtArgs *args, int64_t tile0, int64_t tile1,   \
                                             const float *a, const float *b, float *c,             \
                                             const Shape *s, NnrtGemmTile tile) {                  \
    int64_t M = FORM == TN ? M_ : BATCH(M_), K = FORM == TN ? BATCH(K_) : K_;                      \
    bool packs = nnrt_gemm_packs(M, N_, K, FORM == NT);                                            \
    tile = nnrt_gemm_tile(M, N_, K, packs);                                                        \
    call(args, tile0, tile1, a, b, c, FORM, FORM == TN ? M_ : s->M, N_, FORM == TN ? s->K : K_,    \
         tile, nnrt_gemm_depth(M, N_, K), packs, NULL);                                            \
  }
#define CONSTANTS(X)                                                                               \
  X(nn_37_64, NN, 32, 64, 37)                                                                      \
  X(nn_64_10, NN, 33, 10, 64)                                                                      \
  X(nn_64_1, NN, 7, 1, 64)                                                                         \
  X(nn_19_100, NN, 1, 100, 19)                                                                     \
  X(tn_37_64, TN, 37, 64, 32)                                                                      \
  X(tn_64_1, TN, 64, 1, 33)                                                                        \
  X(tn_50_130, TN, 50, 130, 128)                                                                   \
  X(tn_300_260, TN, 300, 260, 530)                                                                 \
  X(tn_70_90, TN, 70, 90, 1100)                                                                    \
  X(tn_260_300, TN, 260, 300, 700)                                                                 \
  X(nn_40_70, NN, 700, 70, 40)                                                                     \
  X(nn_20_128, NN, 640, 128, 20)                                                                   \
  X(nt_40_64, NT, 650, 64, 40)                                                                     \
  X(nt_64_37, NT, 32, 37, 64)                                                                      \
  X(nt_10_64, NT, 33, 64, 10)                                                                      \
  X(nt_1_64, NT, 5, 64, 1)
CONSTANTS(CONSTANT)

static int failed;

static const float *element(const Shape *s, const float *p, bool turned, int64_t i, int64_t row,
                            int64_t col, int64_t rows, int64_t cols) {
  (void)s;
  return p + i * rows * cols + (turned ? col * rows + row : row * cols + col);
}

static const char *wrong(const Shape *s, const float *a, const float *b, const float *c,
                         bool epilogue) {
  bool lanes = s->N == 1 && (s->form == NN || s->form == NT); // 16 chains, see nnrt_gemm_f32
  for (int64_t row = 0; row < s->batch * s->M; row++)
    for (int64_t n = 0; n < s->N; n++) {
      int64_t i = row / s->M, m = row % s->M;
      float chain = 0;
      double exact = 0, size = 0;
      for (int64_t k = 0; k < s->K; k++) {
        float x = *element(s, a, s->form == TN || s->form == TT, i, m, k, s->M, s->K);
        float y = *element(s, b, s->form == NT || s->form == TT, i, k, n, s->K, s->N);
        chain = NNRT_LEVEL >= 3 ? fmaf(x, y, chain) : x * y + chain;
        exact += (double)x * y;
        size += fabs((double)x * y);
      }
      float got = c[row * s->N + n],
            right = epilogue ? chain + (float)row - (float)(n / LANES * LANES * 2) : chain;
      if (!lanes && got != right)
        return "not the chain over k";
      if (!epilogue && !(fabs(got - exact) <= size * 0x1p-24 * (4 + (double)s->K)))
        return "far from double";
    }
  return NULL;
}

static const char *run(const Shape *s, Product *product, bool epilogue, const Shape *known,
                       TestEnd end) {
  int64_t M = known && s->form != TN ? BATCH(known->M) : s->M;
  int64_t K = known && s->form == TN ? BATCH(known->K) : s->K;
  bool packed = nnrt_gemm_packs(M, s->N, K, s->form == NT || s->form == TT);
  NnrtGemmTile tile = nnrt_gemm_tile(M, s->N, K, packed);
  int64_t na = s->batch * s->M * s->K, nb = s->batch * s->K * s->N, nc = s->batch * s->M * s->N;
  int64_t ns = tile.scratch / 4,
          tiles = s->batch * nnrt_gemm_tiles(s->M, s->N, tile.rows, tile.cols);
  uint64_t state = (uint64_t)(s->M * 31 + s->N * 17 + s->K);
  float *a = test_numbers(na, end, &state), *b = test_numbers(nb, end, &state),
        *c = test_floats(nc, end), *scratch = test_floats(ns, end), *seen = test_floats(nc, end);
  memset(seen, 0, (size_t)nc * 4);
  void *buf[] = {seen};
  NnrtArgs args = {buf, &s->N, s->M, scratch};
  for (int64_t t = 0, step = 1; t < tiles;
       t += step, step = step % 3 + 1) // ranges of 1, 2, 3 tiles
    product(&args, t, t + step < tiles ? t + step : tiles, a, b, c, s, tile);
  const char *why = wrong(s, a, b, c, epilogue);
  if (!test_surroundings_stand(c, nc * 4))
    why = "wrote around C";
  if (!test_surroundings_stand(scratch, ns * 4))
    why = "wrote around scratch";
  for (int64_t i = 0; epilogue && i < nc; i++)
    if (seen[i] != (float)(i / s->N * 3 + i % s->N))
      why = "the epilogue doesn't see each element once";
  test_free(a, na * 4), test_free(b, nb * 4), test_free(c, nc * 4), test_free(scratch, ns * 4);
  test_free(seen, nc * 4);
  return why;
}

static void test(const char *name, const Shape *s, Product *product, bool epilogue,
                 const Shape *known) {
  TestEnd end = (s->M + s->N + s->K) % 2 ? TEST_FIRST : TEST_LAST;
  const char *why = run(s, product, epilogue, known, end);
  if (why)
    printf("FAIL gemm-v%d/%s-%s-%dx%dx%dx%d: %s\n", NNRT_LEVEL, name, form_name[s->form],
           (int)s->batch, (int)s->M, (int)s->N, (int)s->K, why);
  failed += why != NULL;
}

static void test_form(Form form) {
  static const int64_t sizes[] = {1, 2, 7, 8, 10, 15, 16, 17, 31, 33, 47, 64, 65, 79};
  enum { COUNT = sizeof sizes / sizeof *sizes };
  int before = failed;
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++)
      for (int k = 0; k < COUNT; k++) {
        Shape s = {form, 1, sizes[i], sizes[j], sizes[k]};
        test("any", &s, any_size, false, NULL);
        if ((i + j + k) % 5 == 0)
          test("epilogue", &s, with_epilogue, true, NULL);
        s.batch = 3;
        if ((i + j + k) % 7 == 0)
          test("batch", &s, any_size, false, NULL);
      }
  static const Shape odd[] = {{NN, 1, 130, 131, 257},
                              {NN, 1, 3, 70, 2500},
                              {NN, 2, 40, 33, 1025},
                              {NN, 1, 1, 513, 784},
                              {NN, 1, 261, 275, 2090}};
  for (int i = 0; i < 5; i++) {
    Shape s = odd[i];
    s.form = form;
    test("large", &s, any_size, false, NULL);
    test("large-epilogue", &s, with_epilogue, true, NULL);
  }
  if (failed == before)
    printf("PASS gemm-v%d/%s\n", NNRT_LEVEL, form_name[form]);
}

int main(void) {
  if (!test_can_run("gemm"))
    return 0;
  for (Form form = NN; form <= TT; form++)
    test_form(form);
  int before = failed;
  static const int64_t rows[] = {0, 1, 5, 40}; // 0: as named
#define RUN(name, FORM, M_, N_, K_)                                                                \
  for (int i = 0; i < 4; i++) {                                                                    \
    Shape named = {FORM, 1, M_, N_, K_}, s = named;                                                \
    if (rows[i])                                                                                   \
      *(FORM == TN ? &s.K : &s.M) = rows[i];                                                       \
    test(#name, &s, name, false, &named);                                                          \
  }
  CONSTANTS(RUN)
  if (failed == before)
    printf("PASS gemm-v%d/constant-sizes\n", NNRT_LEVEL);
  Shape none = {NN, 1, 5, 7, 0};
  test("no-terms", &none, any_size, false, NULL);
  if (failed == before)
    printf("PASS gemm-v%d/no-terms\n", NNRT_LEVEL);
  return failed != 0;
}
