// The parser on whole programs, which it takes without a word, and on damaged ones: whatever the
// bytes, it ends, reports, and gives a sound tree. In: every program of tests/syntax/programs, as
// it is and changed at random places (always the same ones).
#include "ast.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

enum { MUTATIONS = 150 };

static uint32_t random_next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static const char *const pieces[] = {"(",  ")",       "[",  "]",     "{",  "}",    "\n",  "let ",
                                     "\"", "..",      "|>", "=",     ">=", "fn ",  "1.",  "1e",
                                     ";",  "model X", "//", "///",   "-",  "_",    "if ", "for",
                                     ",",  "\xff",    "\\", "9e999", "@",  "over "};

// Copies `text` with some bytes replaced, doubled or left out, and some pieces put in.
static size_t mutate(char *out, const char *text, size_t n, uint32_t *state) {
  size_t k = 0;
  uint32_t rate = 5 + random_next(state) % 200;
  for (size_t i = 0; i < n; i++) {
    uint32_t dice = random_next(state) % rate;
    if (dice == 1)
      out[k++] = (char)random_next(state);
    else if (dice == 2)
      out[k++] = text[random_next(state) % n];
    else if (dice == 3) {
      const char *piece = pieces[random_next(state) % (sizeof pieces / sizeof *pieces)];
      memcpy(out + k, piece, strlen(piece));
      k += strlen(piece);
    } else if (dice == 4)
      i += random_next(state) % 20;
    if (dice != 1 && i < n)
      out[k++] = text[i];
  }
  return k;
}

static const char *check_tree(const Node *n, uint32_t size, bool *error);

static const char *check_list(NodeList list, uint32_t size, bool *error) {
  const char *wrong = NULL;
  for (uint32_t i = 0; i < list.n && !wrong; i++)
    wrong = list.at[i] ? check_tree(list.at[i], size, error) : "a list holds NULL";
  return wrong;
}

static const char *check_tree(const Node *n, uint32_t size, bool *error) {
  if (!n)
    return NULL;
  if (n->span.file == 0 || n->span.start > n->span.end || n->span.end > size)
    return "a span is outside of the file";
  if (n->height > 1001)
    return "the tree is too high";
  *error |= n->kind == N_ERROR;
  const Node *child[] = {n->a, n->b, n->c, n->type, n->body};
  const char *wrong = NULL;
  for (int i = 0; i < 5 && !wrong; i++)
    wrong = check_tree(child[i], size, error);
  wrong = wrong ? wrong : check_list(n->list, size, error);
  wrong = wrong ? wrong : check_list(n->params, size, error);
  return wrong ? wrong : check_list(n->params2, size, error);
}

static const char *check_text(const char *text, size_t n, bool sound) {
  static char message[1000];
  Session *s = session_create();
  uint32_t file = source_add(s, "mutated.nn", text, n);
  bool error = false;
  const char *wrong = check_tree(parse_source(s, file), (uint32_t)n, &error);
  if (!wrong && error && s->n_error == 0)
    wrong = "an ERROR node, but nothing was reported";
  if (!wrong && sound && s->n_error > 0)
    wrong = s->diag.at[0]->text;
  for (uint32_t i = 0; i < s->diag.n && !wrong; i++)
    if (s->diag.at[i]->span.end > n || s->diag.at[i]->span.start > s->diag.at[i]->span.end)
      wrong = "a diagnostic is outside of the file";
  wrong = wrong ? strncpy(message, wrong, sizeof message - 1) : NULL;
  session_destroy(s);
  return wrong;
}

static void check_file(const char *path, uint32_t *state) {
  static char text[1 << 16], changed[1 << 20];
  FILE *f = fopen(path, "rb");
  size_t n = f ? fread(text, 1, sizeof text, f) : 0;
  if (f)
    fclose(f);
  const char *wrong = check_text(text, n, true);
  if (wrong)
    printf("FAIL parse %s: %s\n", path, wrong);
  for (int turn = 0; turn < MUTATIONS && n; turn++) {
    uint32_t before = *state;
    wrong = check_text(changed, mutate(changed, text, n, state), false);
    if (wrong) {
      printf("FAIL parse %s (random state %u): %s\n", path, before, wrong);
      return;
    }
  }
  printf("PASS parse %s\n", path);
}

// `open` as often as it takes to be far beyond any stack: an error, not a crash.
static void check_deep(const char *name, const char *start, const char *open) {
  static char text[1 << 20];
  size_t n = strlen(start), k = strlen(open);
  memcpy(text, start, n);
  for (; n + k < sizeof text; n += k)
    memcpy(text + n, open, k);
  Session *s = session_create();
  bool error = false;
  const char *wrong =
      check_tree(parse_source(s, source_add(s, "deep.nn", text, n)), (uint32_t)n, &error);
  bool said = false;
  for (uint32_t i = 0; i < s->diag.n; i++)
    said |= strcmp(s->diag.at[i]->code, "nesting") == 0;
  if (wrong || !said)
    printf("FAIL parse-deep %s: %s\n", name, wrong ? wrong : "no error of code nesting");
  else
    printf("PASS parse-deep %s\n", name);
  session_destroy(s);
}

int main(void) {
  uint32_t state = 1;
  glob_t found;
  if (glob("tests/syntax/programs/*.nn", 0, NULL, &found) != 0 || found.gl_pathc == 0)
    printf("FAIL parse: no programs in tests/syntax/programs\n");
  else
    for (size_t i = 0; i < found.gl_pathc; i++)
      check_file(found.gl_pathv[i], &state);
  globfree(&found);
  check_deep("parentheses", "let x = ", "(");
  check_deep("indices", "let x = ", "a[");
  check_deep("blocks", "fn f() { ", "if a {");
  check_deep("minus", "let x = ", "-");
  check_deep("powers", "let x = a", " ^ a");
  check_deep("sums", "let x = a", " + a");
  check_deep("stages", "let x = a", " |> a");
  check_deep("else if", "let x = if a { }", " else if a { }");
  return 0;
}
