// Programs and IR that nobody would write: every example, test program and IR text, changed at a
// few places (always the same ones), goes through the whole compiler up to the plan. It may be
// refused, but never with a crash, an internal error or without an end. IR is read, printed and
// read again, and goes on from the pass whose input it is. A failure names its number; `fuzz
// NUMBER` shows the text and runs that one alone, `fuzz FIRST COUNT` a range.
#include "compiled.h"
#include "optest.h"
#include "pass/elaborate.h"
#include "tools/tools.h"

#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
#if defined(__SANITIZE_ADDRESS__)
  TEXTS = 4000,
#else
  TEXTS = 20000,
#endif
  SECONDS = 20, // for one text, on a busy machine
  MOST_REPORTED = 10,
};

static const struct {
  const char *name;
  void (*run)(Module *m);
} passes[] = {
#define PASS(name, doc) {#name, pass_##name},
#include "passes.def"
#undef PASS
};
enum { N_PASSES = sizeof passes / sizeof *passes };

typedef struct {
  const char *name, *path, *text; // name: the path, or path@pass
  size_t n;
  bool is_ir;
  uint32_t pass; // IR: the next pass
} Input;
typedef BUF(Input) Inputs;

// ---- the compiler ------------------------------------------------------------------------------

static void verify(Module *m, const char *after) {
  const char *wrong = ir_verify(m);
  if (wrong)
    ice("after %s: %s", after, wrong);
}

static uint32_t pass_named(const char *name, size_t n) {
  for (uint32_t i = 0; i < N_PASSES; i++)
    if (strlen(passes[i].name) == n && strncmp(passes[i].name, name, n) == 0)
      return i;
  return N_PASSES;
}

static void run_passes(Session *s, Module *m, uint32_t first) {
  for (uint32_t i = first; i < N_PASSES && s->n_error == 0; i++) {
    passes[i].run(m);
    if (s->n_error == 0)
      verify(m, passes[i].name);
  }
  if (s->n_error || first > pass_named("fuse", 4)) // fuse sees to what the tables need
    return;
  Text text = {.arena = s->perm};
  codegen_tables(m, &(CodegenOptions){.cpu = "native", .blas = BLAS_OWN, .jobs = 1});
  print_plan(m, 32, &text);
}

static const char *printed(Module *m) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  return text.at ? text.at : "";
}

static void compile_ir(Session *s, uint32_t file, uint32_t pass) {
  Module *m = ir_read(s, file);
  if (!m)
    return;
  const char *once = printed(m);
  Module *again = ir_read(s, source_add(s, "again.ir", once, strlen(once)));
  if (!again)
    ice("what was printed can't be read back");
  if (strcmp(once, printed(again)) != 0)
    ice("printed differently after it was read back");
  run_passes(s, m, pass);
}

static void compile_program(Session *s, uint32_t file) {
  Module *m = elaborate(s, file, &(ElabOptions){0});
  if (m && s->n_error == 0) {
    verify(m, "elaborate");
    run_passes(s, m, 0);
  } else if (s->n_error == 0)
    ice("no module and no error");
}

// Was it accepted?
static bool compile(const Input *in, const char *text, size_t n) {
  Session *s = session_create();
  uint32_t file = source_add(s, in->path, text, n);
  if (in->is_ir)
    compile_ir(s, file, in->pass);
  else
    compile_program(s, file);
  FILE *out = fopen("/dev/null", "w");
  diag_print(s, out);
  fclose(out);
  bool sound = s->n_error == 0;
  session_destroy(s);
  return sound;
}

// ---- inputs ------------------------------------------------------------------------------------

static void add_files(Session *s, Inputs *inputs, const char *pattern) {
  glob_t found;
  if (glob(pattern, 0, NULL, &found) != 0)
    return;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *path = found.gl_pathv[i];
    uint32_t file = source_read(s, path);
    const Source *source = &s->source.at[file];
    Input in = {source->path,
                source->path,
                source->text,
                source->n,
                strcmp(path + strlen(path) - 3, ".ir") == 0,
                N_PASSES};
    const char *folder = "tests/pass/";
    if (strstr(path, ".out.ir"))
      continue;
    if (strncmp(path, folder, strlen(folder)) == 0)
      in.pass = pass_named(path + strlen(folder), strcspn(path + strlen(folder), "/"));
    buf_push(s->perm, inputs, in);
  }
  globfree(&found);
}

// What a program is before each pass.
static void add_stages(Session *s, Inputs *inputs, const char *path) {
  Module *m = elaborate(s, source_read(s, path), &(ElabOptions){0});
  for (uint32_t i = 0; m && s->n_error == 0 && i < N_PASSES; i++) {
    const char *text = printed(m);
    const char *name = arena_printf(s->perm, "%s@%s", path, passes[i].name);
    if (i == 0 || strcmp(passes[i].name, "simplify") != 0 ||
        strcmp(passes[i - 1].name, "batch") == 0)
      buf_push(s->perm, inputs, (Input){name, path, text, strlen(text), true, i});
    passes[i].run(m);
  }
}

// ---- changes: on words, numbers, marks and white space, one token each
// ---------------------------

typedef struct {
  const char *at;
  size_t n;
} Token;
typedef struct {
  Token *at;
  uint32_t n, room;
} Tokens;

static const char *const words[] = {
    "0",        "1",       "-1",       "2147483647", "4294967296", "1e39", "99999999999999999999",
    "0.5",      "nan",     "f32",      "i32",        "index<3>",   "[",    "]",
    "{",        "}",       "(",        ")",          "<",          ">",    "..",
    ",",        ";",       "\n",       "=",          "==",         "|>",   "->",
    "@",        "^",       "-",        "!",          "_",          "\"",   "//",
    "if",       "else",    "for",      "in",         "let",        "fn",   "model",
    "layer",    "train",   "data",     "predict",    "optimizer",  "use",  "param",
    "state",    "over",    "with",     "minimize",   "report",     "row",  "grad",
    "softmax",  "normal",  "zeros",    "reshape",    "sum",        "mean", "concat",
    "max",      "one_hot", "Dense(0)", "[0, 0]",     "[N]",        "N",    "-2N",
    "axes=[9]", "%0",      "%1",       "%999",       "group",      "*",    "true",
    "batch",    "\xff",    "\xc3\xa9", "x[",         "\\",         "step", "x.y",
};
enum { N_WORDS = sizeof words / sizeof *words };

static size_t token_length(const char *p, size_t left) {
  size_t n = 1;
  bool word = isalnum((unsigned char)*p) || *p == '_', space = isspace((unsigned char)*p);
  while (n < left && (word    ? isalnum((unsigned char)p[n]) || p[n] == '_'
                      : space ? isspace((unsigned char)p[n])
                              : false))
    n++;
  return n;
}

static Tokens tokens_of(const Input *in) {
  Tokens t = {.room = (uint32_t)in->n + 64};
  t.at = calloc(t.room, sizeof *t.at);
  for (size_t i = 0; i < in->n; i += t.at[t.n++].n)
    t.at[t.n] = (Token){in->text + i, token_length(in->text + i, in->n - i)};
  return t;
}

static uint32_t below(Draw *d, uint32_t n) {
  return (uint32_t)(draw_unit(d) * n);
}

static Token some_word(Draw *d) {
  const char *w = words[below(d, N_WORDS)];
  return (Token){w, strlen(w)};
}

static void insert(Tokens *t, uint32_t at, Token token) {
  if (t->n == t->room)
    return;
  memmove(t->at + at + 1, t->at + at, (t->n - at) * sizeof *t->at);
  t->at[at] = token;
  t->n++;
}

static void take_out(Tokens *t, uint32_t at, uint32_t n) {
  n = at + n > t->n ? t->n - at : n;
  memmove(t->at + at, t->at + at + n, (t->n - at - n) * sizeof *t->at);
  t->n -= n;
}

static int class_of(Token t) {
  unsigned char c = (unsigned char)t.at[0];
  return isdigit(c) ? 'd' : isalpha(c) ? 'a' : isspace(c) ? ' ' : 'm';
}

// The next token of a class at or after `at`.
static uint32_t next_of(const Tokens *t, uint32_t at, int class) {
  for (uint32_t i = 0; i < t->n; i++)
    if (class_of(t->at[(at + i) % t->n]) == class)
      return (at + i) % t->n;
  return at;
}

static void change(Tokens *t, Draw *d) {
  static const char *const numbers[] = {"0", "1", "2", "3", "7", "1000", "2147483648", "65536"};
  uint32_t at = below(d, t->n), other = below(d, t->n);
  Token old = t->at[at];
  switch (below(d, 12)) {
  case 0:
    take_out(t, at, 1);
    break;
  case 1:
    take_out(t, at, 1 + below(d, 12));
    break;
  case 2:
    insert(t, at, some_word(d));
    break;
  case 3:
    t->at[at] = some_word(d);
    break;
  case 4:
    t->at[at] = t->at[other];
    t->at[other] = old;
    break;
  case 5:
    t->at[at] = t->at[other];
    break;
  case 6:
    insert(t, other, old);
    break;
  case 7:
  case 8:
  case 9: // one name for another
    t->at[next_of(t, at, 'a')] = t->at[next_of(t, other, 'a')];
    break;
  default:
    other = below(d, sizeof numbers / sizeof *numbers);
    t->at[next_of(t, at, 'd')] = (Token){numbers[other], strlen(numbers[other])};
  }
}

static uint64_t seed_of(const char *name, uint32_t round) {
  uint64_t h = round;
  for (; *name; name++)
    h = (h ^ (unsigned char)*name) * 1099511628211u;
  return h;
}

// It is freed by the caller.
static char *changed(const Input *in, uint32_t round, size_t *n) {
  Draw d = {seed_of(in->name, round)};
  Tokens t = tokens_of(in);
  for (uint32_t k = 1 + (round % 2 ? below(&d, 4) : 0); k > 0 && t.n; k--)
    change(&t, &d);
  *n = 0;
  for (uint32_t i = 0; i < t.n; i++)
    *n += t.at[i].n;
  char *text = malloc(*n + 1), *end = text;
  for (uint32_t i = 0; i < t.n; i++) {
    memcpy(end, t.at[i].at, t.at[i].n);
    end += t.at[i].n;
  }
  *end = 0;
  free(t.at);
  return text;
}

static bool compile_round(const Input *in, uint32_t round, bool show) {
  size_t n;
  char *text = changed(in, round, &n);
  if (show)
    printf("---- %s, for %s\n%s\n", in->name,
           !in->is_ir             ? "the compiler"
           : in->pass == N_PASSES ? "the reader"
                                  : passes[in->pass].name,
           text);
  fflush(stdout);
  bool sound = compile(in, text, n);
  free(text);
  return sound;
}

// ---- each in a child that may die
// ----------------------------------------------------------------

typedef struct {
  uint32_t number; // that the child is at, in shared memory
  uint32_t sound;
} Progress;

static void child(const Inputs *inputs, Progress *progress, uint32_t end, int said) {
  dup2(said, 2);
  for (; progress->number < end; progress->number++) {
    alarm(SECONDS);
    uint32_t number = progress->number;
    const Input *in = &inputs->at[number % inputs->n];
    progress->sound += compile_round(in, number / inputs->n, false);
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

static uint32_t failed;

static void report_number(Session *s, const Inputs *inputs, uint32_t number, int status, int said) {
  const Input *in = &inputs->at[number % inputs->n];
  const char *line = first_line(s, said);
  if (WIFSIGNALED(status))
    line = arena_printf(s->perm, "%s %s", strsignal(WTERMSIG(status)), line);
  if (failed++ < MOST_REPORTED)
    report(false, "fuzz", arena_printf(s->perm, "%s %u", in->name, number / inputs->n), line);
}

static void run_all(Session *s, const Inputs *inputs, uint32_t end) {
  Progress *progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char name[] = "/tmp/nnc-fuzz-XXXXXX";
  int said = mkstemp(name), status;
  unlink(name);
  for (progress->number = 0; progress->number < end; progress->number++) {
    if (ftruncate(said, 0) != 0 || lseek(said, 0, SEEK_SET) != 0)
      break;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
      child(inputs, progress, end, said);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status == 0)
      break;
    report_number(s, inputs, progress->number, status, said);
  }
  const char *text = arena_printf(s->perm, "%u texts from %u inputs, %u are still sound", end,
                                  inputs->n, progress->sound);
  bool reached = progress->number == end && progress->sound > end / 10;
  report(failed == 0 && reached, "fuzz", text,
         failed ? "see above" : "it ended early, or nothing is sound");
  close(said);
}

static void collect(Session *s, Inputs *inputs) {
  static const char *const patterns[] = {
      "examples/*/*.nn",   "tests/syntax/*.nn", "tests/syntax/programs/*.nn",
      "tests/errors/*.nn", "tests/count/*.nn",  "tests/shape/*.nn",
      "tests/cli/*.nn",    "stdlib/*.nn",       "tests/pass/*/*.ir",
      "tests/codegen/*.ir"};
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    add_files(s, inputs, patterns[i]);
  static const char *const programs[] = {"examples/digits/digits.nn", "tests/cli/bits.nn",
                                         "tests/cli/prelude.nn"};
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    add_stages(s, inputs, programs[i]);
}

static void run_one(const Inputs *inputs, const char *name, uint32_t round) {
  for (uint32_t i = 0; i < inputs->n; i++)
    if (strcmp(inputs->at[i].name, name) == 0)
      compile_round(&inputs->at[i], round, true);
}

int main(int argc, char **argv) {
  Session *s = session_create();
  Inputs inputs = {0};
  collect(s, &inputs);
  if (inputs.n < 100)
    report(false, "fuzz", "inputs", "they are not found: it runs in the repository's root");
  else if (argc == 3)
    run_one(&inputs, argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
  else
    run_all(s, &inputs, argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : TEXTS);
  session_destroy(s);
  return report_status();
}
