// Every operation's examples, and hand-written groups of every kind, compiled and run against the
// reference evaluator, at every CPU level that this machine runs and with both back ends of
// products.
#include "compiled.h"
#include "optest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  Op op;
  const Example *example;
} Case;
typedef BUF(Case) Cases;

// A function of the example alone: arguments are columns, so that nothing of it is folded.
static void add_function(Module *m, Op op, const Example *example, uint32_t number) {
  Function *f = ir_function(m, arena_printf(m->arena, "%s.%u", op_table[op]->name, number));
  Value *args[MOST_ARGS];
  for (uint32_t i = 0; i < example->n_arg; i++)
    args[i] = ir_add_arg(f, example->arg[i], (Port){NNRT_COLUMN, i, intern(m->s, "x")});
  Builder b = {.m = m, .region = f->body};
  Inst *inst = apply_example(&b, op, example, args);
  Port port = {NNRT_OUTPUT, 0, intern(m->s, "y")};
  ir_return(&b, inst->result, &port, 1);
}

static Module *all_examples(Session *s, Cases *cases) {
  Module *m = module_create(s);
  for (Op op = 0; op < N_OPS; op++) {
    Example *example = arena_array(s->perm, Example, MOST_EXAMPLES);
    uint32_t n = 0;
    if (op_table[op]->kind == K_CONTROL || read_examples(m, op, example, &n))
      continue;
    for (uint32_t i = 0; i < n; i++) {
      add_function(m, op, &example[i], i);
      buf_push(s->perm, cases, (Case){op, &example[i]});
    }
  }
  return m;
}

static const Tensor **draw_arguments(Draw *draw, const Function *f, const OpDef *def, int64_t n) {
  Arena *arena = f->module->arena;
  const Tensor **args = arena_array(arena, const Tensor *, f->body->n_arg + 1);
  for (uint32_t i = 0; i < f->body->n_arg; i++) {
    const Type *type = &f->body->arg[i]->type;
    Tensor *t = draw_tensor(draw, arena, def, type, n);
    for (int64_t k = 0; type->elem == TY_F32 && k < t->count; k++)
      t->at[k] = (float)t->at[k];
    args[i] = t;
  }
  return args;
}

static const char *open_examples(const Backend *backend, Module *m, const CodegenOptions *o,
                                 Compiled *c) {
  const char *why = ir_verify(m);
  if (!why)
    why = make_groups(m);
  return why ? why : compiled_open(backend, m, o, 4, c);
}

static void test_examples(const Backend *backend, const char *cpu) {
  Session *s = session_create();
  Cases cases = {0};
  Module *m = all_examples(s, &cases);
  CodegenOptions options = {cpu, BLAS_OWN, 1};
  Compiled c;
  const char *why = open_examples(backend, m, &options, &c);
  report(!why, "examples compile for", cpu, why);
  Draw draw = {7};
  for (uint32_t i = 0; i < cases.n && !why; i++) {
    const Function *f = m->fn.at[i];
    const OpDef *def = op_table[cases.at[i].op];
    const char *wrong = NULL;
    for (int64_t n = 1; n <= 4 && !wrong; n += 3)
      wrong = compiled_against_eval(&c, i, n, draw_arguments(&draw, f, def, n),
                                    2e-6 * (def->rounding > 0 ? def->rounding : 1));
    report(!wrong, arena_printf(s->perm, "%s compiled for %s:", f->name, cpu),
           cases.at[i].example->text, wrong);
  }
  if (!why)
    compiled_close(&c);
  session_destroy(s);
}

enum { ROWS = 4 };

// The functions of a file, for each of these numbers of rows, the last one the greatest.
static void test_groups(const Backend *backend, const char *path, const int64_t *rows,
                        const char *cpu, Blas blas) {
  Session *s = session_create();
  uint32_t file = source_read(s, path);
  Module *m = file ? ir_read(s, file) : NULL;
  CodegenOptions options = {cpu, blas, 1};
  Compiled c;
  const char *why = m ? ir_verify(m) : "can't be read";
  if (!why)
    why = compiled_open(backend, m, &options, rows[ROWS - 1], &c);
  const char *with = blas == BLAS_OWN ? "own products" : "OpenBLAS";
  report(!why, arena_printf(s->perm, "%s compiles for %s with", path, cpu), with, why);
  static const OpDef plain = {.name = "plain"};
  Draw draw = {11};
  for (uint32_t f = 0; !why && f < m->fn.n; f++) {
    const char *wrong = NULL;
    for (int i = 0; i < ROWS && !wrong; i++)
      wrong = compiled_against_eval(&c, f, rows[i],
                                    draw_arguments(&draw, m->fn.at[f], &plain, rows[i]), 2e-5);
    report(!wrong, arena_printf(s->perm, "groups of %s for %s with", m->fn.at[f]->name, cpu), with,
           wrong);
  }
  if (!why)
    compiled_close(&c);
  session_destroy(s);
}

int main(void) {
  Session *s = session_create();
  Backend backend;
  const char *why = backend_load(s, &backend);
  report(!why, "code generator", "loads", why);
  // Native is the highest level that this machine runs, or more.
  static const char *const levels[] = {"native", "x86-64-v2", "x86-64-v3"};
  static const int64_t rows[ROWS] = {1, 5, 16, 33}, few[ROWS] = {1, 1, 2, 2};
  static const char groups[] = "tests/codegen/groups.ir";
  int n = __builtin_cpu_supports("x86-64-v4") ? 3 : 2;
  for (int i = 0; i < n && !why; i++) {
    test_examples(&backend, levels[i]);
    test_groups(&backend, groups, rows, levels[i], BLAS_OWN);
    test_groups(&backend, "tests/codegen/far.ir", few, levels[i], BLAS_OWN);
  }
  if (!why)
    test_groups(&backend, groups, rows, "native", BLAS_OPENBLAS);
  session_destroy(s);
  return report_status();
}
