// Random convolutional networks compiled and run against the reference evaluator, poisoned: odd
// sizes, strides, dilations, paddings, groups; behind each convolution what its epilogue may hold
// (bias, activations, residuals, masks), pooling, gradients. Any number of threads gives the same
// bits. `compiled_images SEED` runs that one alone and prints it.
#include "compiled.h"
#include "optest.h"
#include "random_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NETWORKS = 14, NETWORKS_WHEN_SLOW = 4, MOST_ROWS = 5, MOST_ARGS_OF_GRAD = 6 };

typedef struct {
  Builder b;
  Function *f;
  Draw draw;
  uint32_t n_param, n_column, n_output;
  BUF(Value *) result;
  BUF(Port) port;
} Net;

static uint32_t below(Net *t, uint32_t n) {
  return (uint32_t)(draw_unit(&t->draw) * n);
}

static Value *argument(Net *t, NnrtRole role, const Dim *dim, uint8_t rank) {
  Type type = {.elem = TY_F32, .rank = rank};
  memcpy(type.dim, dim, rank * sizeof *dim);
  uint32_t *n = role == NNRT_PARAM ? &t->n_param : &t->n_column;
  const char *name = arena_printf(t->b.m->arena, "%c%u", role == NNRT_PARAM ? 'p' : 'x', *n);
  return ir_add_arg(t->f, type, (Port){role, (*n)++, intern(t->b.m->s, name)});
}

static void add_result(Net *t, Value *v) {
  const char *name = arena_printf(t->b.m->arena, "y%u", t->n_output);
  Port port = {NNRT_OUTPUT, t->n_output++, intern(t->b.m->s, name)};
  buf_push(t->b.m->arena, &t->result, v);
  buf_push(t->b.m->arena, &t->port, port);
}

// ---- layers ------------------------------------------------------------------------------------

static Attr pair(Net *t, Dim a, Dim b) {
  return attr_dims(t->b.m->arena, (Dim[]){a, b}, 2);
}

static Value *convolve(Net *t, Value *x) {
  const Dim channels = x->type.dim[3];
  const Dim features[] = {1, 5, 16, 24, 33, 40};
  Dim groups = below(t, 4) == 0 ? channels : channels % 2 == 0 && below(t, 4) == 0 ? 2 : 1;
  Dim each = groups == channels ? 1 : features[below(t, 6)];
  Dim k[2], stride[2], dilation[2], low[2], high[2];
  for (int i = 0; i < 2; i++) {
    k[i] = 1 + below(t, 3);
    stride[i] = below(t, 2) ? 1 : 1 + below(t, 3);
    dilation[i] = stride[i] == 1 && below(t, 4) == 0 ? 2 : 1;
    low[i] = below(t, (uint32_t)k[i]);
    high[i] = below(t, (uint32_t)k[i]);
    if (dilation[i] * (k[i] - 1) >= x->type.dim[1 + i] + low[i] + high[i])
      k[i] = 1;
  }
  Value *filter = argument(t, NNRT_PARAM, (Dim[]){k[0], k[1], channels / groups, each * groups}, 4);
  Attr attr[] = {attr_str(intern(t->b.m->s, "out")), pair(t, stride[0], stride[1]),
                 pair(t, dilation[0], dilation[1]),  pair(t, low[0], low[1]),
                 pair(t, high[0], high[1]),          attr_int(groups),
                 attr_dims(t->b.m->arena, NULL, 0)};
  Value *y = ir_inst(&t->b, OP_conv, (Value *[]){x, filter}, 2, attr, 7)->result[0];
  return ir_binary(&t->b, OP_mul, y, ir_const(&t->b, y->type, 0.125));
}

static Value *biased(Net *t, Value *x) {
  Value *bias = argument(t, NNRT_PARAM, &x->type.dim[3], 1);
  return ir_binary(&t->b, OP_add, x, ir_broadcast(&t->b, bias, (uint32_t[]){3}, x->type));
}

// What may end a convolution.
static Value *end(Net *t, Value *x) {
  static const Op activation[] = {OP_relu, OP_tanh, OP_sigmoid};
  Value *zero = ir_const(&t->b, x->type, 0), *other;
  switch (below(t, 6)) {
  case 0:
  case 1:
    return biased(t, x);
  case 2:
  case 3:
    return ir_unary(&t->b, activation[below(t, 3)], x);
  case 4:
    other = argument(t, NNRT_COLUMN, x->type.dim, 4);
    return ir_binary(&t->b, OP_add, x, other);
  default:
    other = argument(t, NNRT_COLUMN, x->type.dim, 4);
    return ir_select(&t->b, ir_binary(&t->b, OP_gt, other, zero), x, zero);
  }
}

static Value *pooled(Net *t, Value *x) {
  Dim window = 2 + below(t, 2), stride = 1 + below(t, 3), low = below(t, 2);
  if (x->type.dim[1] < window || x->type.dim[2] < window)
    return x;
  Attr attr[] = {pair(t, window, window), pair(t, stride, stride), pair(t, low, low), pair(t, 0, 0),
                 attr_dims(t->b.m->arena, NULL, 0)};
  return ir_inst(&t->b, OP_pool_max, &x, 1, attr, 5)->result[0];
}

static Value *layer(Net *t, Value *x) {
  x = convolve(t, x);
  for (uint32_t ends = below(t, 4); ends > 0; ends--) {
    if (below(t, 5) == 0)
      add_result(t, ir_unary(&t->b, OP_neg, x));
    x = end(t, x);
  }
  if (below(t, 2) == 0) // as layers have it
    x = ir_unary(&t->b, OP_relu, biased(t, x));
  return below(t, 3) == 0 ? pooled(t, x) : x;
}

static void add_gradients(Net *t, Value *loss) {
  Value *arg[1 + MOST_ARGS_OF_GRAD] = {loss};
  uint32_t n = 1;
  for (uint32_t i = 0; i < t->f->body->n_arg && n <= MOST_ARGS_OF_GRAD; i++)
    arg[n++] = t->f->body->arg[i];
  const Inst *grad = ir_inst(&t->b, OP_grad, arg, n, NULL, 0);
  for (uint32_t i = 0; i + 1 < n; i++)
    add_result(t, grad->result[i]);
}

static void network(Module *m, uint64_t seed) {
  static const Dim channels[] = {1, 3, 4, 16, 17, 20};
  Net t = {.draw = {seed * 0x9e3779b97f4a7c15u + 5}};
  t.f = ir_function(m, arena_printf(m->arena, "network%llu", (unsigned long long)seed));
  t.b = (Builder){.m = m, .region = t.f->body};
  Dim size[] = {-1, 3 + below(&t, 12), 3 + below(&t, 12), channels[below(&t, 6)]};
  Value *x = argument(&t, NNRT_COLUMN, size, 4);
  for (uint32_t layers = 1 + below(&t, 2); layers > 0; layers--)
    x = layer(&t, x);
  add_result(&t, x);
  if (seed % 3)
    add_gradients(&t, ir_sum(&t.b, ir_unary(&t.b, OP_tanh, x), (uint32_t[]){0, 1, 2, 3}, 4));
  ir_return(&t.b, t.result.at, t.port.at, t.result.n);
  ir_remove_dead(t.f);
}

// ---- running -----------------------------------------------------------------------------------

static Module *module_of(Session *s, uint64_t seed) {
  Module *m = module_create(s);
  network(m, seed);
  return m;
}

static const char *prepare(Module *m) {
  void (*const pass[])(Module *) = {pass_simplify, pass_grad, pass_simplify, pass_cse,
                                    pass_simplify};
  const char *wrong = ir_verify(m);
  for (size_t i = 0; i < sizeof pass / sizeof *pass && !wrong; i++) {
    pass[i](m);
    wrong = ir_verify(m);
  }
  return wrong ? wrong : make_groups(m);
}

static const char *same_bits(Arena *arena, Tensor **a, Tensor **b, uint32_t n, int threads) {
  for (uint32_t r = 0; r < n; r++)
    if (memcmp(a[r]->at, b[r]->at, sizeof *a[r]->at * (size_t)a[r]->count) != 0)
      return arena_printf(arena, "result %u differs between 2 threads and %d", r, threads);
  return NULL;
}

static const char *other_threads(Compiled *c, int threads, int64_t n, const Tensor **args,
                                 Tensor **want) {
  Arena *arena = c->m->arena;
  uint32_t n_result = c->m->fn.at[0]->n_result;
  Tensor **got = arena_array(arena, Tensor *, n_result + 1);
  Compiled other = {.m = c->m, .pool = nnrt_pool_open(threads)};
  const char *why = NULL;
  if (!other.pool || nnrt_open(c->m->program, other.pool, n, NULL, 0, &other.model) != NNRT_OK)
    return "nnrt_open failed";
  why = compiled_run(&other, 0, n, args, got);
  if (!why)
    why = same_bits(arena, want, got, n_result, threads);
  compiled_close(&other);
  return why;
}

static const char *compare(Compiled *c, const Module *before, uint64_t seed) {
  Arena *arena = before->arena;
  uint32_t n_result = before->fn.at[0]->n_result;
  Tensor **want = arena_array(arena, Tensor *, n_result + 1),
         **got = arena_array(arena, Tensor *, n_result + 1);
  const char *why = NULL;
  for (int64_t n = 1; n <= MOST_ROWS && !why; n += 2) {
    const Tensor **args = random_arguments(arena, before->fn.at[0], n, seed);
    why = ir_eval(before->fn.at[0], n, args, want, arena);
    if (!why)
      why = compiled_run(c, 0, n, args, got);
    for (uint32_t r = 0; r < n_result && !why; r++) {
      double d = difference(want[r], got[r]);
      if (!(d < 1e-4))
        why = arena_printf(arena, "N = %lld, result %u is off by %.3g", (long long)n, r, d);
    }
    for (int threads = 1; threads <= 3 && !why; threads += 2)
      why = other_threads(c, threads, n, args, got);
  }
  return why;
}

static void print_module(const Module *m) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  puts(text.at);
}

static bool test_network(const Backend *backend, uint64_t seed, bool print) {
  static const char *const cpu[] = {"native", "x86-64-v3", "native", "x86-64-v2"};
  CodegenOptions options = {cpu[seed % 4], BLAS_OWN, 1};
  Session *s = session_create();
  Module *before = module_of(s, seed), *m = module_of(s, seed);
  Compiled c;
  pass_grad(before);
  const char *why = prepare(m);
  if (print)
    print_module(m);
  if (!why)
    why = compiled_open(backend, m, &options, MOST_ROWS, &c);
  if (!why) {
    why = compare(&c, before, seed);
    compiled_close(&c);
  }
  if (why)
    report(false, "convolutional network",
           arena_printf(s->perm, "seed %llu for %s", (unsigned long long)seed, options.cpu), why);
  session_destroy(s);
  return !why;
}

int main(int argc, char **argv) {
  Session *s = session_create();
  Backend backend;
  const char *why = backend_load(s, &backend);
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  uint64_t count = argc > 2        ? strtoull(argv[2], NULL, 10)
                   : argc > 1      ? 1
                   : getenv("SAN") ? NETWORKS_WHEN_SLOW
                                   : NETWORKS;
  uint32_t wrong = 0;
  for (uint64_t seed = first; seed < first + count && !why; seed++)
    wrong += !test_network(&backend, seed, argc == 2);
  report(!why && wrong == 0, "convolutional networks compiled against evaluated",
         arena_printf(s->perm, "%llu, %u of them wrong", (unsigned long long)count, wrong), why);
  session_destroy(s);
  return report_status();
}
