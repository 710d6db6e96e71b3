// Random functions, some with loops and gradients, compiled and run against the reference
// evaluator: what simplify, hoist, fuse, schedule, the planner and the code generator do to them
// must not show. A failure names the seed; `compiled_random SEED` runs that one alone and prints
// it, `compiled_random FIRST COUNT` a range.
#include "compiled.h"
#include "optest.h"
#include "random_graph.h"

#include <stdio.h>
#include <stdlib.h>

enum { PER_MODULE = 25, GRAPHS = 1000, GRAPHS_WHEN_SLOW = 150, MOST_ROWS = 33 };

static RandomGraph kind_of(uint64_t seed) {
  return (RandomGraph){.operations = 4 + (uint32_t)(seed * 7 % 13),
                       .updates = seed % 3 == 0,
                       .big = seed % 10 == 0,
                       .scans = seed % 5 == 1,
                       .gradients = seed % 4 == 1};
}

static CodegenOptions options_for(uint64_t first) {
  static const char *const cpu[] = {"native", "native", "x86-64-v3", "x86-64-v2"};
  return (CodegenOptions){cpu[first / PER_MODULE % 4], BLAS_OWN, 1};
}

// Evaluated as it was made, before any pass.
static const char *evaluate(const Module *before, uint32_t f, int64_t n, const Tensor **args,
                            Tensor **want) {
  return ir_eval(before->fn.at[f], n, args, want, before->arena);
}

static const char *compare(Compiled *c, const Module *before, uint32_t f, uint64_t seed) {
  static const int64_t rows[] = {1, 7, 16, MOST_ROWS};
  Arena *arena = before->arena;
  uint32_t n_result = before->fn.at[f]->n_result;
  Tensor **want = arena_array(arena, Tensor *, n_result + 1),
         **got = arena_array(arena, Tensor *, n_result + 1);
  const char *why = NULL;
  for (int i = 0; i < 4 && !why; i++) {
    const Tensor **args = random_arguments(arena, before->fn.at[f], rows[i], seed + (uint64_t)i);
    why = evaluate(before, f, rows[i], args, want);
    if (!why)
      why = compiled_run(c, f, rows[i], args, got);
    for (uint32_t r = 0; r < n_result && !why; r++) {
      double d = difference(want[r], got[r]);
      if (!(d < 1e-3))
        why = arena_printf(arena, "N = %lld, result %u is off by %.3g", (long long)rows[i], r, d);
    }
  }
  return why;
}

static Module *random_module(Session *s, uint64_t first, uint64_t n) {
  Module *m = module_create(s);
  for (uint64_t seed = first; seed < first + n; seed++)
    random_graph(m, arena_printf(s->perm, "graph%llu", (unsigned long long)seed), seed,
                 kind_of(seed));
  return m;
}

// Of every second module: loops are taken apart, what is equal is merged.
static const char *optimise(Module *m) {
  void (*const pass[])(Module *) = {pass_simplify, pass_hoist, pass_grad,    pass_simplify,
                                    pass_cse,      pass_hoist, pass_simplify};
  const char *wrong = NULL;
  for (size_t i = 0; i < sizeof pass / sizeof *pass && !wrong; i++) {
    pass[i](m);
    wrong = ir_verify(m);
  }
  return wrong;
}

static void print_module(const Module *m, const char *title) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  printf("---- %s\n%s", title, text.at);
}

static uint32_t test_module(const Backend *backend, uint64_t first, uint64_t n) {
  Session *s = session_create();
  Module *before = random_module(s, first, n), *m = random_module(s, first, n);
  CodegenOptions options = options_for(first);
  Compiled c;
  uint32_t failed = 0;
  pass_grad(before);
  const char *why = first / PER_MODULE % 2 ? optimise(m) : NULL;
  pass_grad(m);
  if (!why)
    why = make_groups(m);
  if (n == 1) {
    print_module(before, "as made");
    print_module(m, "scheduled");
  }
  if (!why)
    why = compiled_open(backend, m, &options, MOST_ROWS, &c);
  if (why)
    report(false, "random graphs compile",
           arena_printf(s->perm, "from seed %llu", (unsigned long long)first), why);
  for (uint32_t f = 0; f < n && !why; f++) {
    const char *wrong = compare(&c, before, f, first + f);
    failed += wrong != NULL;
    if (wrong)
      report(false, "random graph",
             arena_printf(s->perm, "seed %llu for %s", (unsigned long long)first + f, options.cpu),
             wrong);
  }
  if (!why)
    compiled_close(&c);
  session_destroy(s);
  return why ? (uint32_t)n : failed;
}

int main(int argc, char **argv) {
  Session *s = session_create();
  Backend backend;
  const char *why = backend_load(s, &backend);
  uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  uint64_t count = argc > 2        ? strtoull(argv[2], NULL, 10)
                   : argc > 1      ? 1
                   : getenv("SAN") ? GRAPHS_WHEN_SLOW
                                   : GRAPHS;
  uint32_t failed = 0;
  for (uint64_t i = 0; i < count && !why; i += PER_MODULE)
    failed += test_module(&backend, first + i, count - i < PER_MODULE ? count - i : PER_MODULE);
  const char *text =
      arena_printf(s->perm, "%llu, %u of them wrong", (unsigned long long)count, failed);
  report(!why && failed == 0, "random graphs compiled against evaluated", text, why);
  session_destroy(s);
  return report_status();
}
