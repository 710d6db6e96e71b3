// Convolutions of the exercises against oneDNN with the layouts that it likes best, on one thread,
// in one run, alternating, the best of many short rounds; forward, gradient by the input, by the
// filter; and their share of the FMA peak measured in the same run. Sizes are constants, as in
// generated code; so are tiles. Compiled with -DTILES this file prints the header of those that are
// to be measured: whose names begin like one of the arguments, or all.
// make bench-convolutions [SHAPES="RES_1 B7"]
#include "nnrt_direct.h"

#include <stdio.h>
#include <string.h>

// Name, images; size, channels of the image; channels of the result, filter; stride, padding.
// clang-format off
#define CONVOLUTIONS(X)                                                                            \
  X(B3_1, 32, 28, 1, 32, 3, 1, 0)      X(B3_2, 32, 13, 32, 64, 3, 1, 0)                            \
  X(B3_3, 32, 5, 64, 128, 3, 1, 0)     X(B2_2, 16, 26, 32, 64, 3, 1, 0)                            \
  X(B7_1, 2, 180, 3, 32, 3, 1, 0)      X(B7_2, 2, 89, 32, 64, 3, 1, 0)                             \
  X(B7_3, 2, 43, 64, 128, 3, 1, 0)     X(B7_4, 4, 20, 128, 256, 3, 1, 0)                           \
  X(B7_5, 4, 9, 256, 512, 3, 1, 0)                                                                 \
  X(VGG_1_1, 1, 224, 3, 64, 3, 1, 1)   X(VGG_1_2, 1, 224, 64, 64, 3, 1, 1)                         \
  X(VGG_2_1, 1, 112, 64, 128, 3, 1, 1) X(VGG_2_2, 1, 112, 128, 128, 3, 1, 1)                       \
  X(VGG_3_1, 1, 56, 128, 256, 3, 1, 1) X(VGG_3_2, 1, 56, 256, 256, 3, 1, 1)                        \
  X(VGG_4_1, 2, 28, 256, 512, 3, 1, 1) X(VGG_4_2, 2, 28, 512, 512, 3, 1, 1)                        \
  X(VGG_5_1, 4, 14, 512, 512, 3, 1, 1)                                                             \
  X(RES_1, 2, 224, 3, 64, 7, 2, 3)     X(RES_2a, 2, 56, 64, 64, 1, 1, 0)                           \
  X(RES_2b, 2, 56, 64, 64, 3, 1, 1)    X(RES_2c, 2, 56, 64, 256, 1, 1, 0)                          \
  X(RES_2d, 2, 56, 256, 64, 1, 1, 0)   X(RES_3s, 2, 56, 256, 512, 1, 2, 0)                         \
  X(RES_3a, 2, 56, 256, 128, 1, 1, 0)  X(RES_3t, 2, 56, 128, 128, 3, 2, 1)                         \
  X(RES_3b, 4, 28, 128, 128, 3, 1, 1)  X(RES_3c, 4, 28, 128, 512, 1, 1, 0)                         \
  X(RES_3d, 4, 28, 512, 128, 1, 1, 0)  X(RES_4t, 4, 28, 256, 256, 3, 2, 1)                         \
  X(RES_4b, 8, 14, 256, 256, 3, 1, 1)  X(RES_4c, 8, 14, 256, 1024, 1, 1, 0)                        \
  X(RES_4d, 8, 14, 1024, 256, 1, 1, 0) X(RES_5s, 8, 14, 1024, 2048, 1, 2, 0)                       \
  X(RES_5b, 8, 7, 512, 512, 3, 1, 1)   X(RES_5c, 8, 7, 512, 2048, 1, 1, 0)                         \
  X(RES_5d, 8, 7, 2048, 512, 1, 1, 0)
// clang-format on
#define OUT_SIZE(H, K, S, P) (((H) + 2 * (P) - (K)) / (S) + 1)
#define SHAPE(name, N_, H_, C_, F_, K_, S_, P_)                                                    \
  static const NnrtDirect name = {.N = N_,                                                         \
                                  .H = H_,                                                         \
                                  .W = H_,                                                         \
                                  .C = C_,                                                         \
                                  .OH = OUT_SIZE(H_, K_, S_, P_),                                  \
                                  .OW = OUT_SIZE(H_, K_, S_, P_),                                  \
                                  .F = F_,                                                         \
                                  .KH = K_,                                                        \
                                  .KW = K_,                                                        \
                                  .groups = 1,                                                     \
                                  .stride_h = S_,                                                  \
                                  .stride_w = S_,                                                  \
                                  .dilation_h = 1,                                                 \
                                  .dilation_w = 1,                                                 \
                                  .pad_top = P_,                                                   \
                                  .pad_left = P_};

#ifdef TILES
CONVOLUTIONS(SHAPE)

static void print(const char *name, const NnrtDirect *s, NnrtDirectOf of) {
  NnrtDirectTile t = nnrt_direct_tile(s, of);
  printf("static const NnrtDirectTile tile_%s_%d = {%ld, %ld, %ld, %ld, %ld, %ld, %ld, %ld, %ld, "
         "%ld, %ld};\n",
         name, of, (long)t.rows, (long)t.columns, (long)t.depth, (long)t.per_image, (long)t.blocks,
         (long)t.window, (long)t.sum, (long)t.images, (long)t.image_rows, (long)t.parts,
         (long)t.scratch);
}

static int chosen(const char *name, int n, char **begin) {
  for (int i = 0; i < n; i++)
    if (strncmp(name, begin[i], strlen(begin[i])) == 0)
      return 1;
  return n == 0;
}

int main(int argc, char **argv) {
#define PRINT(name, ...)                                                                           \
  if (chosen(#name, argc - 1, argv + 1)) {                                                         \
    print(#name, &name, NNRT_DIRECT_OUT);                                                          \
    print(#name, &name, NNRT_DIRECT_IN);                                                           \
    print(#name, &name, NNRT_DIRECT_FILTER);                                                       \
  }
  CONVOLUTIONS(PRINT)
  printf("#define CHOSEN(X)");
#define NAME(name, ...)                                                                            \
  if (chosen(#name, argc - 1, argv + 1))                                                           \
    printf(" \\\n  X(%s, %s)", #name, #__VA_ARGS__);
  CONVOLUTIONS(NAME)
  printf("\n");
  return 0;
}

#else
#include "tiles.h"
#include "measure.h"
#undef EXPORT
#define EXPORT extern inline __attribute__((gnu_inline, always_inline)) // no copy of unknown size
#include "../../runtime/kernels/direct.c"
#define Tile FilterTile
#define finish filter_finish
#define tile_at filter_tile_at
#include "../../runtime/kernels/directfilter.c"

#include <dnnl.h>
#include <math.h>

typedef void Convolution(const NnrtArgs *args, int64_t tiles, const float *a, const float *b,
                         float *c, int64_t N);

#define DEFINE_ONE(name, of, function)                                                             \
  static __attribute__((noinline)) void name##_##of(                                               \
      const NnrtArgs *args, int64_t tiles, const float *a, const float *b, float *c, int64_t N) {  \
    function(args, 0, tiles, a, b, c, N, &name, &tile_##name##_##of, NULL);                        \
  }
#define DEFINE(name, ...)                                                                          \
  DEFINE_ONE(name, 0, nnrt_direct_out_f32)                                                         \
  DEFINE_ONE(name, 1, nnrt_direct_in_f32)                                                          \
  DEFINE_ONE(name, 2, nnrt_direct_filter_f32)
CHOSEN(SHAPE)
CHOSEN(DEFINE)

// ---- oneDNN ------------------------------------------------------------------------------------

static void need(dnnl_status_t status) {
  if (status != dnnl_success) {
    fprintf(stderr, "oneDNN: status %d\n", (int)status);
    exit(1);
  }
}

typedef struct {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t arg[3];
} Peer;

static dnnl_memory_t memory_of(const Peer *p, const_dnnl_primitive_desc_t pd, dnnl_query_t query) {
  dnnl_memory_t m;
  const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, query, 0);
  need(dnnl_memory_create(&m, md, p->engine, DNNL_MEMORY_ALLOCATE));
  void *data;
  need(dnnl_memory_get_data_handle(m, &data));
  fill(data, (int64_t)(dnnl_memory_desc_get_size(md) / 4));
  return m;
}

static void peer_open(Peer *p, const NnrtDirect *s, NnrtDirectOf of) {
  dnnl_dims_t in = {s->N, s->C, s->H, s->W}, filter = {s->F, s->C, s->KH, s->KW};
  dnnl_dims_t out = {s->N, s->F, s->OH, s->OW}, stride = {s->stride_h, s->stride_w};
  dnnl_dims_t pad = {s->pad_top, s->pad_left};
  dnnl_dims_t behind = {(s->OH - 1) * s->stride_h + s->KH - s->H - s->pad_top,
                        (s->OW - 1) * s->stride_w + s->KW - s->W - s->pad_left};
  dnnl_memory_desc_t x, w, y;
  need(dnnl_memory_desc_init_by_tag(&x, 4, in, dnnl_f32, dnnl_format_tag_any));
  need(dnnl_memory_desc_init_by_tag(&w, 4, filter, dnnl_f32, dnnl_format_tag_any));
  need(dnnl_memory_desc_init_by_tag(&y, 4, out, dnnl_f32, dnnl_format_tag_any));
  dnnl_convolution_desc_t forward, desc;
  need(dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training, dnnl_convolution_direct,
                                          &x, &w, NULL, &y, stride, pad, behind));
  dnnl_primitive_desc_t hint, pd;
  need(dnnl_primitive_desc_create(&hint, &forward, NULL, p->engine, NULL));
  pd = hint;
  if (of == NNRT_DIRECT_IN)
    need(dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &x, &w, &y,
                                                  stride, pad, behind));
  if (of == NNRT_DIRECT_FILTER)
    need(dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &x, &w, NULL,
                                                     &y, stride, pad, behind));
  if (of != NNRT_DIRECT_OUT)
    need(dnnl_primitive_desc_create(&pd, &desc, NULL, p->engine, hint));
  need(dnnl_primitive_create(&p->primitive, pd));
  static const int number[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                   {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
                                   {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS}};
  static const dnnl_query_t query[3][3] = {
      {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
      {dnnl_query_diff_dst_md, dnnl_query_weights_md, dnnl_query_diff_src_md},
      {dnnl_query_src_md, dnnl_query_diff_dst_md, dnnl_query_diff_weights_md}};
  for (int i = 0; i < 3; i++)
    p->arg[i] = (dnnl_exec_arg_t){number[of][i], memory_of(p, pd, query[of][i])};
  if (of != NNRT_DIRECT_OUT)
    dnnl_primitive_desc_destroy(pd);
  dnnl_primitive_desc_destroy(hint);
}

static void peer_run(Peer *p) {
  need(dnnl_primitive_execute(p->primitive, p->stream, 3, p->arg));
  need(dnnl_stream_wait(p->stream));
}

static void peer_close(Peer *p) {
  dnnl_primitive_destroy(p->primitive);
  for (int i = 0; i < 3; i++)
    dnnl_memory_destroy(p->arg[i].memory);
}

// ---- the table ---------------------------------------------------------------------------------

static double log_ratio[3], least_ratio[3] = {9, 9, 9};
static int measured;
enum { LEAST = 10 }; // rounds
#ifndef SECONDS
#define SECONDS 0.25
#endif

// What follows in a program where there are more sums than one.
static void add_parts(float *sum, int64_t n, int64_t parts) {
  for (int64_t k = 1; k < parts; k++)
    for (int64_t i = 0; i < n; i++)
      sum[i] += sum[k * n + i];
}

static void measure(Peer *peer, const NnrtDirect *s, NnrtDirectOf of, const NnrtDirectTile *t,
                    Convolution *own_run, double fma) {
  int64_t in = s->N * s->H * s->W * s->C, filter = s->KH * s->KW * s->C * s->F;
  int64_t out = s->N * s->OH * s->OW * s->F;
  float *a = numbers(of == NNRT_DIRECT_IN ? out : in);
  float *b = numbers(of == NNRT_DIRECT_FILTER ? out : filter);
  float *c = numbers(of == NNRT_DIRECT_OUT ? out : of == NNRT_DIRECT_IN ? in : filter * t->parts);
  float *scratch = numbers(t->scratch / 4);
  NnrtArgs args = {.n = s->N, .scratch = scratch};
  double flops = 2.0 * (double)(out * s->KH * s->KW * s->C), own = 1, theirs = 1;
  int times = 1 + (int)(3e7 / flops), rounds = (int)(SECONDS * 1e11 / flops / times);
  peer_open(peer, s, of);
  for (int round = 0; round < LEAST || round < rounds; round++) {
    double start = now();
    for (int i = 0; i < times; i++) {
      own_run(&args, nnrt_direct_tiles(t, s->N), a, b, c, s->N);
      add_parts(c, filter, t->parts);
    }
    double middle = now();
    for (int i = 0; i < times; i++)
      peer_run(peer);
    double end = now();
    own = (middle - start) / times < own ? (middle - start) / times : own;
    theirs = (end - middle) / times < theirs ? (end - middle) / times : theirs;
  }
  printf(" | %6.1f %3.0f%% %6.1f %5.2f", flops / own * 1e-9, flops / own * 1e-7 / fma,
         flops / theirs * 1e-9, theirs / own);
  log_ratio[of] += log(theirs / own);
  if (theirs / own < least_ratio[of])
    least_ratio[of] = theirs / own;
  peer_close(peer);
  free(a), free(b), free(c), free(scratch);
}

int main(void) {
  setenv("OMP_NUM_THREADS", "1", 1);
  Peer peer;
  need(dnnl_engine_create(&peer.engine, dnnl_cpu, 0));
  need(dnnl_stream_create(&peer.stream, peer.engine, dnnl_stream_default_flags));
  double fma = peak();
  printf("One thread, FMA peak %.1f GFLOP/s. Each: GFLOP/s, share of it, oneDNN's GFLOP/s, ratio\n"
         "%-8s%34s | %-22s | %-22s | %s\n",
         fma, "", "", "forward", "by the input", "by the filter");
#define RUN(name, N_, H_, C_, F_, K_, S_, P_)                                                      \
  {                                                                                                \
    printf("%-8s %3dx%3dx%3dx%4d -> %4d, %dx%d /%d +%d", #name, N_, H_, H_, C_, F_, K_, K_, S_,    \
           P_);                                                                                    \
    measure(&peer, &name, NNRT_DIRECT_OUT, &tile_##name##_0, name##_0, fma);                       \
    measure(&peer, &name, NNRT_DIRECT_IN, &tile_##name##_1, name##_1, fma);                        \
    measure(&peer, &name, NNRT_DIRECT_FILTER, &tile_##name##_2, name##_2, fma);                    \
    printf("\n");                                                                                  \
    fflush(stdout);                                                                                \
    measured++;                                                                                    \
  }
  CHOSEN(RUN)
  for (int of = 0; of < 3 && measured; of++)
    printf("%s: geometric mean of ratios %.2f, least %.2f\n",
           of == NNRT_DIRECT_OUT  ? "forward"
           : of == NNRT_DIRECT_IN ? "by the input"
                                  : "by the filter",
           exp(log_ratio[of] / measured), least_ratio[of]);
  return 0;
}
#endif
