// Convolutions of the exercises, as the compiler makes them, against oneDNN with the algorithms and
// layouts that it likes best: one thread each, one run, alternating, the median of many short
// rounds by one clock; forward, gradient by the input, by the filter; and their share of the FMA
// peak measured in the same run. make bench-convolutions [SHAPES="RES_1 B7"]
#include "nnrt_winograd.h"
#include "shapes.h"
#include "tiles.h"
#include "../measure.h"

#include <dnnl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

CHOSEN(SHAPE)

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
  bool direct; // the algorithm that it uses
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

static void peer_open(Peer *p, const NnrtDirect *s, NnrtDirectOf of, dnnl_alg_kind_t by) {
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
  need(dnnl_convolution_forward_desc_init(&forward, dnnl_forward_training, by, &x, &w, NULL, &y,
                                          stride, pad, behind));
  dnnl_primitive_desc_t hint, pd;
  need(dnnl_primitive_desc_create(&hint, &forward, NULL, p->engine, NULL));
  pd = hint;
  if (of == NNRT_DIRECT_IN)
    need(dnnl_convolution_backward_data_desc_init(&desc, by, &x, &w, &y, stride, pad, behind));
  if (of == NNRT_DIRECT_FILTER)
    need(dnnl_convolution_backward_weights_desc_init(&desc, by, &x, &w, NULL, &y, stride, pad,
                                                     behind));
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
  const dnnl_convolution_desc_t *used;
  need(dnnl_primitive_desc_query(pd, dnnl_query_convolution_d, 0, &used));
  p->direct = used->alg_kind == dnnl_convolution_direct;
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

static const char *const of_name[] = {"forward", "by the input", "by the filter"};
enum { LEAST = 9, MOST = 999, SCRATCH = 1 << 24 }; // rounds; floats
#ifndef SECONDS
#define SECONDS 0.25
#endif

typedef struct {
  double log_ratio[3], least[3], log_any[3], least_any[3];
  int measured;
} Totals;

typedef struct {
  Convolution *run;
  char letter;
} Choice;

// What the compiler takes.
static Choice own_of(const NnrtDirect *s, int shape, NnrtDirectOf of) {
  Convolution *const *const product[] = {product_out, product_in, product_filter};
  Convolution *const *const winograd[] = {winograd_out, winograd_in, winograd_filter};
  Convolution *const *const direct[] = {direct_out, direct_in, direct_filter};
  if (product[of][shape])
    return (Choice){product[of][shape], 'p'};
  if (winograd[of][shape] && nnrt_winograd_pays(s, of, false))
    return (Choice){winograd[of][shape], 'w'};
  return (Choice){direct[of][shape], ' '};
}

typedef struct {
  Convolution *run;
  NnrtArgs args;
  const float *a, *b;
  float *c;
} Own;

static void own_run(const Own *own) {
  own->run(&own->args, own->a, own->b, own->c, own->args.n);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *time, int n) {
  qsort(time, (size_t)n, sizeof *time, by_size);
  return time[n / 2];
}

typedef struct {
  double own, peer; // seconds
} Times;

static Times alternate(const Own *own, Peer *peer, double flops) {
  int times = 1 + (int)(3e7 / flops), rounds = (int)(SECONDS * 1e11 / flops / times);
  double ours[MOST], theirs[MOST];
  rounds = rounds < LEAST ? LEAST : rounds > MOST ? MOST : rounds;
  own_run(own);
  peer_run(peer);
  for (int round = 0; round < rounds; round++) {
    double start = now();
    for (int i = 0; i < times; i++)
      own_run(own);
    double middle = now();
    for (int i = 0; i < times; i++)
      peer_run(peer);
    ours[round] = (middle - start) / times;
    theirs[round] = (now() - middle) / times;
  }
  return (Times){median(ours, rounds), median(theirs, rounds)};
}

// Of oneDNN's speed by the algorithm that it chooses; 0 if that is the direct one.
static double other_ratio(Peer *peer, const Own *own, const NnrtDirect *s, NnrtDirectOf of,
                          double flops) {
  double ratio = 0;
  peer_open(peer, s, of, dnnl_convolution_auto);
  if (!peer->direct) {
    Times t = alternate(own, peer, flops);
    ratio = t.peer / t.own;
  }
  peer_close(peer);
  return ratio;
}

static void add_ratio(double ratio, double *log_ratio, double *least) {
  *log_ratio += log(ratio);
  *least = ratio < *least ? ratio : *least;
}

static void measure(Peer *peer, const NnrtDirect *s, NnrtDirectOf of, Choice choice, float *room,
                    double fma, Totals *totals) {
  int64_t in = s->N * s->H * s->W * s->C, filter = s->KH * s->KW * s->C * s->F;
  int64_t out = s->N * s->OH * s->OW * s->F;
  float *a = numbers(of == NNRT_DIRECT_IN ? out : in);
  float *b = numbers(of == NNRT_DIRECT_FILTER ? out : filter);
  float *c = numbers(of == NNRT_DIRECT_OUT  ? out
                     : of == NNRT_DIRECT_IN ? in
                                            : filter * NNRT_DIRECT_FILTER_TILES);
  Own own = {choice.run, {.n = s->N, .scratch = room}, a, b, c};
  double flops = 2.0 * (double)(out * s->KH * s->KW * s->C);
  peer_open(peer, s, of, dnnl_convolution_direct);
  Times t = alternate(&own, peer, flops);
  peer_close(peer);
  double ratio = t.peer / t.own, other = other_ratio(peer, &own, s, of, flops);
  bool faster = other > 0 && other < ratio;
  printf(" | %6.1f%c %3.0f%% %6.1f %5.2f", flops / t.own * 1e-9, choice.letter,
         flops / t.own * 1e-7 / fma, flops / t.peer * 1e-9, ratio);
  faster ? printf(" %5.2f", other) : printf("      ");
  add_ratio(ratio, &totals->log_ratio[of], &totals->least[of]);
  add_ratio(faster ? other : ratio, &totals->log_any[of], &totals->least_any[of]);
  free(a), free(b), free(c);
}

static void line(Peer *peer, const char *name, const NnrtDirect *s, int shape, float *room,
                 double fma, Totals *totals) {
  printf("%-8s %3dx%3dx%3dx%4d -> %4d, %dx%d /%d +%d", name, (int)s->N, (int)s->H, (int)s->W,
         (int)s->C, (int)s->F, (int)s->KH, (int)s->KW, (int)s->stride_h, (int)s->pad_top);
  for (NnrtDirectOf of = NNRT_DIRECT_OUT; of <= NNRT_DIRECT_FILTER; of++)
    measure(peer, s, of, own_of(s, shape, of), room, fma, totals);
  printf("\n");
  fflush(stdout);
  totals->measured++;
}

static bool chosen(const char *name, int n, char **begin) {
  for (int i = 0; i < n; i++)
    if (strncmp(name, begin[i], strlen(begin[i])) == 0)
      return true;
  return n == 0;
}

int main(int argc, char **argv) {
  setenv("OMP_NUM_THREADS", "1", 1);
  Peer peer;
  need(dnnl_engine_create(&peer.engine, dnnl_cpu, 0));
  need(dnnl_stream_create(&peer.stream, peer.engine, dnnl_stream_default_flags));
  double fma = peak();
  float *room = numbers(SCRATCH);
  Totals totals = {.least = {9, 9, 9}, .least_any = {9, 9, 9}};
  printf("One thread, FMA peak %.1f GFLOP/s. Each: GFLOP/s, share of it, oneDNN's GFLOP/s, ratio\n"
         "%-8s%34s | %-29s | %-29s | %s\n",
         fma, "", "", of_name[0], of_name[1], of_name[2]);
  int shape = 0;
#define RUN(name, ...)                                                                             \
  if (chosen(#name, argc - 1, argv + 1))                                                           \
    line(&peer, #name, &name, shape, room, fma, &totals);                                          \
  shape++;
  CHOSEN(RUN)
  for (int of = 0; of < 3 && totals.measured; of++)
    printf("%s: geometric mean of %d ratios %.2f, least %.2f; whatever its algorithm %.2f, %.2f\n",
           of_name[of], totals.measured, exp(totals.log_ratio[of] / totals.measured),
           totals.least[of], exp(totals.log_any[of] / totals.measured), totals.least_any[of]);
  return 0;
}
