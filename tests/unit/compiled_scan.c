// Scans compiled and run against the reference evaluator, with poisoned buffers and the threads of
// each phase one after the other: carries, captures, sequences, stacks, both directions, nested
// loops, turns with and without a barrier between them.
#include "compiled.h"
#include "ops/op.h"
#include "optest.h"
#include "random_graph.h"

#include <string.h>

typedef struct {
  const char *name;
  bool barrier; // between turns: what the tables must say
  const char *ir;
} Case;

static const Case cases[] = {
    {"a recurrent layer", false,
     "func @f(%0: f32[5, N, 3] column 0 \"x\", %1: f32[3, 4] param 0 \"w\", %2: f32[4, 4] param 1 "
     "\"u\") {\n"
     "  %3 = const elem=f32 dims=[N, 4] value=0.25 : f32[N, 4]\n"
     "  %4, %5 = scan %3, %1, %2, %0 carries=1 captures=2 length=5 {\n"
     "    ^(%0: f32[N, 4], %1: f32[3, 4], %2: f32[4, 4], %3: f32[N, 3])\n"
     "    %4 = dot %3, %1 ca=[1] cb=[0] : f32[N, 4]\n"
     "    %5 = dot %0, %2 ca=[1] cb=[0] : f32[N, 4]\n"
     "    %6 = add %4, %5 : f32[N, 4]\n"
     "    %7 = tanh %6 : f32[N, 4]\n"
     "    yield %7, %7\n"
     "  } : f32[N, 4], f32[5, N, 4]\n"
     "  return %4 output 0 \"h\", %5 output 1 \"hs\"\n"
     "}\n"},
    {"two carries change places, backwards", false,
     "func @f(%0: f32[4, N, 3] column 0 \"x\", %1: f32[N, 3] column 1 \"a\", %2: f32[N, 3] column "
     "2 \"b\") {\n"
     "  %3, %4, %5 = scan %1, %2, %0 carries=2 captures=0 length=4 reverse=1 {\n"
     "    ^(%0: f32[N, 3], %1: f32[N, 3], %2: f32[N, 3])\n"
     "    %3 = mul %0, %2 : f32[N, 3]\n"
     "    %4 = sub %3, %1 : f32[N, 3]\n"
     "    yield %1, %4, %3\n"
     "  } : f32[N, 3], f32[N, 3], f32[4, N, 3]\n"
     "  %6 = mul %5, %0 : f32[4, N, 3]\n"
     "  return %3 output 0 \"p\", %4 output 1 \"q\", %6 output 2 \"r\"\n"
     "}\n"},
    {"the batch is mixed in every turn", true,
     "func @f(%0: f32[3, N, 4] column 0 \"x\", %1: f32[N, 4] column 1 \"h\") {\n"
     "  %2, %3 = scan %1, %0 carries=1 captures=0 length=3 {\n"
     "    ^(%0: f32[N, 4], %1: f32[N, 4])\n"
     "    %2 = sum %0 axes=[0] : f32[4]\n"
     "    %3 = broadcast %2 axes=[1] to=[N, 4] : f32[N, 4]\n"
     "    %4 = tanh %3 : f32[N, 4]\n"
     "    %5 = add %1, %4 : f32[N, 4]\n"
     "    %6 = relu %5 : f32[N, 4]\n"
     "    yield %6, %2\n"
     "  } : f32[N, 4], f32[3, 4]\n"
     "  return %2 output 0 \"h\", %3 output 1 \"sums\"\n"
     "}\n"},
    {"a loop in a loop", true,
     "func @f(%0: f32[3, 2, N, 4] column 0 \"x\", %1: f32[N, 4] column 1 \"h\", %2: f32[4, 4] "
     "param 0 \"w\") {\n"
     "  %3, %4 = scan %1, %2, %0 carries=1 captures=1 length=3 {\n"
     "    ^(%0: f32[N, 4], %1: f32[4, 4], %2: f32[2, N, 4])\n"
     "    %3 = tanh %0 : f32[N, 4]\n"
     "    %4, %5 = scan %3, %1, %2 carries=1 captures=1 length=2 reverse=1 {\n"
     "      ^(%0: f32[N, 4], %1: f32[4, 4], %2: f32[N, 4])\n"
     "      %3 = dot %0, %1 ca=[1] cb=[0] : f32[N, 4]\n"
     "      %4 = add %3, %2 : f32[N, 4]\n"
     "      %5 = tanh %4 : f32[N, 4]\n"
     "      yield %5, %4\n"
     "    } : f32[N, 4], f32[2, N, 4]\n"
     "    %6 = add %4, %0 : f32[N, 4]\n"
     "    yield %6, %5\n"
     "  } : f32[N, 4], f32[3, 2, N, 4]\n"
     "  return %3 output 0 \"h\", %4 output 1 \"inner\"\n"
     "}\n"},
    {"numbers of turns and rows by number", false,
     "func @f(%0: i32[4, N]<5> column 0 \"x\", %1: f32[5, 3] param 0 \"table\") {\n"
     "  %2 = const elem=f32 dims=[N, 3] value=0 : f32[N, 3]\n"
     "  %3 = iota elem=i32 dims=[4] axis=0 : i32[4]\n"
     "  %4 = scan %2, %1, %0, %3 carries=1 captures=1 length=4 {\n"
     "    ^(%0: f32[N, 3], %1: f32[5, 3], %2: i32[N]<5>, %3: i32)\n"
     "    %4 = gather %1, %2 : f32[N, 3]\n"
     "    %5 = convert %3 elem=f32 : f32\n"
     "    %6 = broadcast %5 axes=[] to=[N, 3] : f32[N, 3]\n"
     "    %7 = mul %4, %6 : f32[N, 3]\n"
     "    %8 = add %0, %7 : f32[N, 3]\n"
     "    yield %8\n"
     "  } : f32[N, 3]\n"
     "  return %4 output 0 \"sum\"\n"
     "}\n"},
    {"what was stacked is gone through again", false,
     "func @f(%0: f32[6, N, 2] column 0 \"x\", %1: f32[2, 2] param 0 \"w\") {\n"
     "  %2 = const elem=f32 dims=[N, 2] value=1 : f32[N, 2]\n"
     "  %3, %4 = scan %2, %1, %0 carries=1 captures=1 length=6 {\n"
     "    ^(%0: f32[N, 2], %1: f32[2, 2], %2: f32[N, 2])\n"
     "    %3 = dot %0, %1 ca=[1] cb=[0] : f32[N, 2]\n"
     "    %4 = add %3, %2 : f32[N, 2]\n"
     "    %5 = tanh %4 : f32[N, 2]\n"
     "    yield %5, %0\n"
     "  } : f32[N, 2], f32[6, N, 2]\n"
     "  %5, %6 = scan %3, %1, %4 carries=1 captures=1 length=6 reverse=1 {\n"
     "    ^(%0: f32[N, 2], %1: f32[2, 2], %2: f32[N, 2])\n"
     "    %3 = mul %0, %2 : f32[N, 2]\n"
     "    %4 = dot %3, %1 ca=[1] cb=[1] : f32[N, 2]\n"
     "    yield %4, %3\n"
     "  } : f32[N, 2], f32[6, N, 2]\n"
     "  %7 = reshape %4 to=[6N, 2] : f32[6N, 2]\n"
     "  %8 = reshape %6 to=[6N, 2] : f32[6N, 2]\n"
     "  %9 = dot %7, %8 ca=[0] cb=[0] : f32[2, 2]\n"
     "  return %5 output 0 \"dh\", %9 output 1 \"dw\"\n"
     "}\n"},
};

static const char *run_case(const Backend *backend, Session *s, const Case *c) {
  static const int64_t rows[] = {1, 7, 16, 33};
  Module *m = ir_read(s, source_add(s, c->name, c->ir, strlen(c->ir)));
  if (!m)
    return "it can't be read";
  CodegenOptions options = {"native", BLAS_OWN, 1};
  Compiled compiled;
  const char *why = make_groups(m);
  if (why || (why = compiled_open(backend, m, &options, 33, &compiled)))
    return why;
  const NnrtFunction *table = &m->program->function[0];
  if (table->n_loop == 0 || table->loop[0].barrier != c->barrier)
    why = c->barrier ? "turns need a barrier" : "turns need no barrier";
  for (int i = 0; i < 4 && !why; i++)
    why = compiled_against_eval(&compiled, 0, rows[i],
                                random_arguments(s->perm, m->fn.at[0], rows[i], 7), 1e-4);
  compiled_close(&compiled);
  return why;
}

int main(void) {
  Session *s = session_create();
  Backend backend;
  const char *why = backend_load(s, &backend);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *wrong = why ? why : run_case(&backend, s, &cases[i]);
    report(!wrong, "scan compiled", cases[i].name, wrong);
  }
  session_destroy(s);
  return report_status();
}
