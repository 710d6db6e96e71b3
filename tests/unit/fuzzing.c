// Running the compiler on texts that may bring it down; see fuzzing.h.
#include "fuzzing.h"
#include "llvm/codegen.h"
#include "optest.h"
#include "pass/elaborate.h"
#include "tools/tools.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  SECONDS = 20, // for one text, on a busy machine
  MOST_REPORTED = 10,
  MOST_MEMORY = 1 << 30,
  ROWS = 3,
  MOST_ELEMENTS = 1000, // of a tensor that is evaluated
};

static const struct {
  const char *name;
  void (*run)(Module *m);
} passes[] = {
#define PASS(name, doc) {#name, pass_##name},
#include "passes.def"
#undef PASS
};

// ---- the compiler ------------------------------------------------------------------------------

const char *fuzz_pass(uint32_t i, void (**run)(Module *m)) {
  if (i >= sizeof passes / sizeof *passes)
    return NULL;
  if (run)
    *run = passes[i].run;
  return passes[i].name;
}

static void verify(Module *m, const char *after) {
  const char *wrong = ir_verify(m);
  if (wrong)
    ice("after %s: %s", after, wrong);
}

static void run_passes(Session *s, Module *m, uint32_t first) {
  bool fused = false;
  for (uint32_t i = first; fuzz_pass(i, NULL) && s->n_error == 0; i++) {
    passes[i].run(m);
    fused |= strcmp(passes[i].name, "fuse") == 0;
    if (s->n_error == 0)
      verify(m, passes[i].name);
  }
  if (s->n_error || !fused) // fuse sees to what the tables need
    return;
  Text text = {.arena = s->perm};
  codegen_tables(m, &(CodegenOptions){.cpu = "native", .blas = BLAS_OWN, .jobs = 1});
  print_plan(m, 32, &text);
}

const char *fuzz_print(Module *m) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  return text.at ? text.at : "";
}

static bool is_small(const Type *type) {
  double count = 1;
  for (uint32_t i = 0; i < type->rank; i++)
    count *= (double)(type->dim[i] < 0 ? -type->dim[i] * ROWS : type->dim[i]);
  return count < MOST_ELEMENTS;
}

static bool is_small_function(const Function *f) {
  bool small = true;
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    small &= is_small(&f->body->arg[i]->type);
  for (const Inst *i = f->body->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_results; k++)
      small &= is_small(&i->result[k]->type);
  return small;
}

static const Tensor **draw_arguments(const Function *f) {
  static const OpDef plain = {.name = "plain"};
  Arena *arena = f->module->arena;
  const Tensor **args = arena_array(arena, const Tensor *, f->body->n_arg + 1);
  Draw draw = {f->body->n_arg};
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    args[i] = draw_tensor(&draw, arena, &plain, &f->body->arg[i]->type, ROWS);
  return args;
}

static void evaluate(Function *f) {
  if (!is_small_function(f))
    return;
  Tensor **results = arena_array(f->module->arena, Tensor *, f->n_result + 1);
  ir_eval(f, ROWS, draw_arguments(f), results, f->module->arena);
}

// ---- before and after the passes, both in double ------------------------------------------------

// Batched and differentiated, else as it was elaborated.
static Module *plain_module(Session *s, Module *m) {
  const char *text = fuzz_print(m);
  Module *plain = ir_read(s, source_add(s, "elaborated.ir", text, strlen(text)));
  if (!plain)
    ice("elaborated IR can't be read back");
  pass_batch(plain);
  pass_grad(plain);
  return plain;
}

static bool all_finite(const Function *f, Tensor *const *results) {
  for (uint32_t i = 0; i < f->n_result; i++)
    for (int64_t k = 0; k < results[i]->count; k++)
      if (!isfinite(results[i]->at[k]))
        return false;
  return true;
}

// Roughly: constants are rounded to f32 where they are folded, and what follows may enlarge that. A
// stable form may be finite where the formula is not, and the other way round for infinite numbers.
static bool agree(double want, double got, bool finite) {
  return !isfinite(want) || fabs(want) > 1e37 || (!finite && !isfinite(got)) ||
         fabs(got - want) <= 1e-3 * (1 + fabs(want));
}

static void compare(Function *f, Function *g) {
  if (!is_small_function(f) || !is_small_function(g))
    return;
  Arena *arena = f->module->arena;
  const Tensor **args = draw_arguments(f);
  Tensor **want = arena_array(arena, Tensor *, f->n_result + 1);
  Tensor **got = arena_array(arena, Tensor *, f->n_result + 1);
  const char *why = ir_eval(f, ROWS, args, want, arena);
  if (!why)
    why = ir_eval(g, ROWS, args, got, arena);
  if (why)
    ice("%s: %s", f->name, why);
  bool finite = all_finite(f, want);
  for (uint32_t i = 0; i < f->n_result; i++)
    for (int64_t k = 0; k < want[i]->count; k++)
      if (!agree(want[i]->at[k], got[i]->at[k], finite))
        ice("%s: the passes make %.9g of %.9g in result %u", f->name, got[i]->at[k], want[i]->at[k],
            i);
}

static void compile_ir(Session *s, uint32_t file, uint32_t pass) {
  Module *m = ir_read(s, file);
  if (!m)
    return;
  const char *once = fuzz_print(m);
  Module *again = ir_read(s, source_add(s, "again.ir", once, strlen(once)));
  if (!again)
    ice("what was printed can't be read back");
  if (strcmp(once, fuzz_print(again)) != 0)
    ice("printed differently after it was read back");
  for (uint32_t i = 0; i < again->fn.n; i++)
    evaluate(again->fn.at[i]);
  run_passes(s, m, pass);
}

static void compile_program(Session *s, uint32_t file) {
  Module *m = elaborate(s, file, &(ElabOptions){0});
  if (m && s->n_error == 0) {
    verify(m, "elaborate");
    Module *plain = plain_module(s, m);
    run_passes(s, m, 0);
    for (uint32_t i = 0; i < m->fn.n && s->n_error == 0; i++)
      compare(plain->fn.at[i], m->fn.at[i]);
  } else if (s->n_error == 0)
    ice("no module and no error");
}

bool fuzz_compile(const FuzzText *t, FILE *diagnostics) {
  Session *s = session_create();
  uint32_t file = source_add(s, t->path, t->text, t->n);
  if (t->is_ir)
    compile_ir(s, file, t->pass);
  else
    compile_program(s, file);
  diag_print(s, diagnostics);
  bool sound = s->n_error == 0;
  session_destroy(s);
  return sound;
}

// ---- each in a child that may die ---------------------------------------------------------------

typedef struct {
  uint32_t number; // that the child is at, in shared memory
  uint32_t sound;
} Progress;

static void child(FuzzMake *make, void *ctx, Progress *progress, uint32_t end, int said) {
  FILE *nowhere = fopen("/dev/null", "w");
#if !defined(__SANITIZE_ADDRESS__)
  setrlimit(RLIMIT_AS, &(struct rlimit){MOST_MEMORY, MOST_MEMORY});
#endif
  mallopt(M_TRIM_THRESHOLD, 1 << 30); // what one text frees, the next one takes
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  dup2(said, 2);
  for (; progress->number < end; progress->number++) {
    alarm(SECONDS);
    FuzzText t = make(ctx, progress->number);
    progress->sound += fuzz_compile(&t, nowhere);
    free(t.text);
  }
  _exit(0);
}

// The first line that tells what happened.
static const char *first_line(Session *s, int said) {
  char text[400];
  ssize_t n = pread(said, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = 0;
  const char *start = text + strspn(text, "=\n");
  return arena_printf(s->perm, "%.*s", (int)strcspn(start, "\n"), start);
}

static void report_death(Session *s, const char *test, const FuzzText *t, int status, int said) {
  const char *line = first_line(s, said);
  if (WIFSIGNALED(status))
    line = arena_printf(s->perm, "%s %s", strsignal(WTERMSIG(status)), line);
  report(false, test, t->name, line);
  free(t->text);
}

static bool clear(int said) {
  return ftruncate(said, 0) == 0 && lseek(said, 0, SEEK_SET) == 0;
}

void fuzz_run(Session *s, const char *test, FuzzMake *make, void *ctx, uint32_t end) {
  Progress *progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char name[] = "/tmp/nnc-fuzz-XXXXXX";
  int said = mkstemp(name), status = 0;
  uint32_t failed = 0;
  unlink(name);
  for (; progress->number < end && failed < MOST_REPORTED && clear(said); progress->number++) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
      child(make, ctx, progress, end, said);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status == 0)
      break;
    failed++;
    FuzzText t = make(ctx, progress->number);
    report_death(s, test, &t, status, said);
  }
  const char *text = arena_printf(s->perm, "%u texts, %u are sound", end, progress->sound);
  bool reached = progress->number == end && progress->sound > end / 20;
  report(!failed && reached, test, text, failed ? "see above" : "too few of them");
  close(said);
}
