// Products against OpenBLAS on one thread, in one run, alternating, the best of many rounds; the
// measured FMA peak; and what a parallel region and a barrier cost. Sizes are constants, as in
// generated code. make bench-kernels
#include "../../runtime/kernels/gemm.c"
#include "../../runtime/core/pool.h"
#include "measure.h"

#include <cblas.h>
#include <stdio.h>

extern char *openblas_get_corename(void);
extern void openblas_set_num_threads(int);

typedef enum { NN, TN, NT } Form;
typedef void Product(const NnrtArgs *args, int64_t tiles, const float *a, const float *b, float *c,
                     int64_t M, int64_t K);

// The number of rows of a call is known only at run time: M, or K of a weight gradient.
// clang-format off
#define PRODUCTS(X) \
  X(NN, 128, 512, 784) X(TN, 784, 512, 128) X(NT, 128, 784, 512) X(NN, 32, 64, 784) \
  X(TN, 784, 64, 32) X(NT, 32, 784, 64) X(NN, 128, 512, 512) X(TN, 512, 512, 128) \
  X(NT, 128, 512, 512) X(NN, 32, 64, 64) X(TN, 64, 64, 32) X(NT, 32, 64, 64) \
  X(NN, 32, 64, 37) X(TN, 37, 64, 32) X(NN, 128, 10, 512) X(TN, 512, 10, 128) \
  X(NT, 128, 512, 10) X(NN, 32, 10, 64) X(NN, 32, 1, 64) X(TN, 64, 1, 32) \
  X(NT, 32, 64, 1) X(NN, 1, 512, 784) X(NN, 1, 10, 512) X(NN, 1024, 1024, 1024) \
  X(NT, 1024, 1024, 1024) X(NN, 2048, 1536, 384) X(NN, 2048, 384, 1536) X(NN, 2048, 384, 384) \
  X(NT, 2048, 384, 1536) X(NT, 2048, 1536, 384) X(TN, 384, 1536, 2048) X(TN, 1536, 384, 2048) X(TN, 128, 512, 2560)
// clang-format on
enum { TN_TERMS = 32 }; // of one example, as in sequences
#define DEPTH(form, K) ((form) == TN ? -TN_TERMS : (K))
#define PACKS(form, M, N, K) nnrt_gemm_packs(M, N, DEPTH(form, K), (form) == NT)
#define DEFINE(form, M_, N, K_)                                                                    \
  static __attribute__((noinline)) void form##_##M_##_##N##_##K_(                                  \
      const NnrtArgs *args, int64_t tiles, const float *a, const float *b, float *c, int64_t M,    \
      int64_t K) {                                                                                 \
    bool packs = PACKS(form, M_, N, K_);                                                           \
    NnrtGemmTile t = nnrt_gemm_tile(form == TN ? M_ : -1, N, DEPTH(form, K_), packs);              \
    int64_t rows = form == TN ? M_ : M, depth = form == TN ? K : K_;                               \
    nnrt_gemm_f32(args, 0, tiles, a, 0, form == TN ? 1 : K_, form == TN ? M_ : 1, b, 0,            \
                  form == NT ? 1 : N, form == NT ? K_ : 1, c, N, rows, N, depth, t.rows, t.cols,   \
                  nnrt_gemm_depth(form == TN ? M_ : -1, N, DEPTH(form, K_)), packs, NULL);         \
  }
PRODUCTS(DEFINE)

static void compare(Form form, Product *product, int64_t M, int64_t N, int64_t K) {
  bool packs = PACKS(form, M, N, K);
  NnrtGemmTile t = nnrt_gemm_tile(form == TN ? M : -1, N, DEPTH(form, K), packs);
  float *a = numbers(M * K), *b = numbers(K * N), *c = numbers(M * N),
        *scratch = numbers(t.scratch / 4);
  NnrtArgs args = {NULL, NULL, M, scratch};
  int64_t tiles = nnrt_gemm_tiles(M, N, t.rows, t.cols);
  double flops = 2.0 * (double)(M * N * K), own = 1, blas = 1;
  int times = 1 + (int)(1e7 / flops);
  for (int round = 0; round < 25; round++) {
    double start = now();
    for (int i = 0; i < times; i++)
      product(&args, tiles, a, b, c, M, K);
    double middle = now();
    for (int i = 0; i < times; i++)
      cblas_sgemm(CblasRowMajor, form == TN ? CblasTrans : CblasNoTrans,
                  form == NT ? CblasTrans : CblasNoTrans, (int)M, (int)N, (int)K, 1, a,
                  (int)(form == TN ? M : K), b, (int)(form == NT ? K : N), 0, c, (int)N);
    double end = now();
    own = (middle - start) / times < own ? (middle - start) / times : own;
    blas = (end - middle) / times < blas ? (end - middle) / times : blas;
  }
  static const char *const name[] = {"NN", "TN", "NT"};
  printf("%s %4d x %4d x %4d  %8.2f us %6.1f GFLOP/s  OpenBLAS %6.1f  ratio %.2f\n", name[form],
         (int)M, (int)N, (int)K, own * 1e6, flops / own * 1e-9, flops / blas * 1e-9, blas / own);
  free(a), free(b), free(c), free(scratch);
}

static void empty(void *context, NnrtPlace *place) {
  (void)context, (void)place;
}

typedef struct {
  NnrtPool *pool;
  int times;
} Barriers;

static void only_barriers(void *context, NnrtPlace *place) {
  Barriers *b = context;
  for (int i = 0; i < b->times; i++)
    nnrt_pool_barrier(b->pool, place);
}

static void measure_pool(void) {
  Barriers b = {nnrt_pool_open(0), 10000};
  int threads = nnrt_pool_threads(b.pool);
  double region = 1, barrier = 1;
  for (int round = 0; round < 20; round++) {
    double start = now();
    for (int i = 0; i < b.times; i++)
      nnrt_pool_run(b.pool, threads, empty, NULL);
    double middle = now();
    nnrt_pool_run(b.pool, threads, only_barriers, &b);
    double end = now();
    region = (middle - start) / b.times < region ? (middle - start) / b.times : region;
    barrier = (end - middle) / b.times < barrier ? (end - middle) / b.times : barrier;
  }
  printf("%d threads: a region %.0f ns, a barrier %.0f ns\n", threads, region * 1e9, barrier * 1e9);
  nnrt_pool_close(b.pool);
}

int main(void) {
  openblas_set_num_threads(1);
  printf("FMA peak of one core %.1f GFLOP/s; OpenBLAS kernels: %s\n", peak(),
         openblas_get_corename());
#define RUN(form, M, N, K) compare(form, form##_##M##_##N##_##K, M, N, K);
  PRODUCTS(RUN)
  printf("FMA peak of one core %.1f GFLOP/s\n", peak());
  measure_pool();
  return 0;
}
