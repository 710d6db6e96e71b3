// Programs and IR that nobody would write: every example, test program and IR text, changed at a
// few places (always the same ones), goes through the compiler. A failure names the input and the
// round; `fuzz INPUT ROUND` shows that text and what becomes of it; `fuzz COUNT` tries more or
// fewer texts.
#include "fuzzing.h"
#include "optest.h"
#include "pass/elaborate.h"

#include <ctype.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *name, *path, *text; // name: the path, or path@pass
  size_t n;
  bool is_ir;
  uint32_t pass; // IR: the next pass
} Input;
typedef BUF(Input) Inputs;

// ---- inputs ------------------------------------------------------------------------------------

enum { NO_PASS = 99 };

static uint32_t pass_named(const char *name, size_t n) {
  for (uint32_t i = 0; fuzz_pass(i, NULL); i++)
    if (strlen(fuzz_pass(i, NULL)) == n && strncmp(fuzz_pass(i, NULL), name, n) == 0)
      return i;
  return NO_PASS;
}

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
                NO_PASS};
    const char *folder = "tests/pass/";
    if (strstr(path, ".out.ir"))
      continue;
    if (strncmp(path, folder, strlen(folder)) == 0)
      in.pass = pass_named(path + strlen(folder), strcspn(path + strlen(folder), "/"));
    if (in.pass > pass_named("fuse", 4)) // what fuse promises is not for others to write
      in.pass = NO_PASS;
    buf_push(s->perm, inputs, in);
  }
  globfree(&found);
}

// What a program is before each pass.
static void add_stages(Session *s, Inputs *inputs, const char *path) {
  void (*run)(Module * m);
  Module *m = elaborate(s, source_read(s, path), &(ElabOptions){0});
  for (uint32_t i = 0; m && s->n_error == 0 && fuzz_pass(i, &run); i++) {
    const char *pass = fuzz_pass(i, NULL), *text = fuzz_print(m);
    const char *name = arena_printf(s->perm, "%s@%s", path, pass);
    if (i == pass_named(pass, strlen(pass)))
      buf_push(
          s->perm, inputs,
          (Input){name, path, text, strlen(text), true, strcmp(pass, "schedule") ? i : NO_PASS});
    run(m);
  }
}

// ---- changes: on words, numbers, marks and white space, one token each --------------------------

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

typedef struct {
  Session *s;
  Inputs inputs;
} Context;

static FuzzText text_of(Context *c, const Input *in, uint32_t round) {
  FuzzText t = {.path = in->path, .is_ir = in->is_ir, .pass = in->pass};
  t.name = arena_printf(c->s->perm, "%s %u", in->name, round);
  t.text = changed(in, round, &t.n);
  return t;
}

static FuzzText make_text(void *ctx, uint32_t number) {
  Context *c = ctx;
  return text_of(c, &c->inputs.at[number % c->inputs.n], number / c->inputs.n);
}

static void run_one(Context *c, const char *name, uint32_t round) {
  for (uint32_t i = 0; i < c->inputs.n; i++)
    if (strcmp(c->inputs.at[i].name, name) == 0) {
      FuzzText t = text_of(c, &c->inputs.at[i], round);
      const char *pass = fuzz_pass(t.pass, NULL);
      printf("---- %s\n%s\n", !t.is_ir ? "a program" : pass ? pass : "read", t.text);
      fflush(stdout);
      fuzz_compile(&t, stderr);
      free(t.text);
    }
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

int main(int argc, char **argv) {
  Context c = {.s = session_create()};
  collect(c.s, &c.inputs);
  if (c.inputs.n < 100)
    report(false, "fuzz", "inputs", "they are not found: it runs in the repository's root");
  else if (argc == 3)
    run_one(&c, argv[1], (uint32_t)strtoul(argv[2], NULL, 10));
  else
    fuzz_run(c.s, "fuzz", make_text, &c,
             argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : FUZZ_TEXTS);
  session_destroy(c.s);
  return report_status();
}
