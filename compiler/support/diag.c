// Diagnostics: collected while the compiler works, printed in source order at the end.
#include "support/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PRINTED = 20 };

static Diagnostic *diag_add(Session *s, Severity severity, Span span, const char *code,
                            const char *format, va_list args) {
  Diagnostic *d = arena_new(s->perm, Diagnostic);
  d->severity = severity;
  d->span = span;
  d->code = code;
  d->text = arena_vprintf(s->perm, format, args);
  // The same complaint about the same place is said once.
  for (uint32_t i = 0; i < s->diag.n; i++) {
    Diagnostic *o = s->diag.at[i];
    if (o->span.file == span.file && o->span.start == span.start && o->span.end == span.end &&
        strcmp(o->text, d->text) == 0)
      return d;
  }
  buf_push(s->perm, &s->diag, d);
  if (severity == DIAG_ERROR)
    s->n_error++;
  return d;
}

Diagnostic *diag_error(Session *s, Span span, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  Diagnostic *d = diag_add(s, DIAG_ERROR, span, code, format, args);
  va_end(args);
  return d;
}

Diagnostic *diag_warning(Session *s, Span span, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  Diagnostic *d = diag_add(s, DIAG_WARNING, span, code, format, args);
  va_end(args);
  return d;
}

void diag_label(Session *s, Diagnostic *d, const char *format, ...) {
  va_list args;
  va_start(args, format);
  d->label = arena_vprintf(s->perm, format, args);
  va_end(args);
}

void diag_note(Session *s, Diagnostic *d, Span span, const char *format, ...) {
  DiagNote *note = arena_new(s->perm, DiagNote);
  va_list args;
  va_start(args, format);
  note->text = arena_vprintf(s->perm, format, args);
  va_end(args);
  note->span = span;
  if (d->last_note)
    d->last_note->next = note;
  else
    d->note = note;
  d->last_note = note;
}

static int by_place(const void *x, const void *y) {
  const Diagnostic *a = *(Diagnostic *const *)x, *b = *(Diagnostic *const *)y;
  if (a->span.file != b->span.file)
    return a->span.file < b->span.file ? -1 : 1;
  if (a->span.start != b->span.start)
    return a->span.start < b->span.start ? -1 : 1;
  return (a->span.end > b->span.end) - (a->span.end < b->span.end);
}

enum { MAX_WIDTH = 120, BEFORE = 40 }; // of a line as it is shown; of it before the mark, if cut

// A part of a line: [from, to) of the file.
typedef struct {
  uint32_t from, to;
  bool cut_before, cut_after;
} Shown;

static bool continues(char c) { // a byte of UTF-8 that takes no column
  return (c & 0xc0) == 0x80;
}

// A line; of a long one what is near `at`.
static Shown shown_line(const Source *src, uint32_t line, uint32_t at) {
  Shown s = {.from = src->line[line - 1]};
  s.to = s.from;
  while (s.to < src->n && src->text[s.to] != '\n')
    s.to++;
  if (s.to > s.from && src->text[s.to - 1] == '\r')
    s.to--;
  if (s.to - s.from <= MAX_WIDTH)
    return s;
  s.cut_before = at > s.from + MAX_WIDTH - BEFORE;
  if (s.cut_before)
    s.from = at - BEFORE;
  while (s.cut_before && continues(src->text[s.from]))
    s.from++;
  s.cut_after = s.to - s.from > MAX_WIDTH;
  if (s.cut_after)
    s.to = s.from + MAX_WIDTH;
  while (s.cut_after && continues(src->text[s.to]))
    s.to--;
  return s;
}

static bool is_library(const Source *src) {
  return strncmp(src->path, "<std>/", 6) == 0;
}

// The line with the span marked; tabs count as one column. Lines of the library have no number:
// they are not the user's to open.
static void print_line(const Source *src, FILE *out, Span span, uint32_t line, const char *label) {
  Shown s = shown_line(src, line, span.start);
  if (is_library(src))
    fprintf(out, "      | ");
  else
    fprintf(out, "%5u | ", line);
  fprintf(out, "%s%.*s%s\n      | %s", s.cut_before ? "..." : "", (int)(s.to - s.from),
          src->text + s.from, s.cut_after ? "..." : "", s.cut_before ? "   " : "");
  for (uint32_t i = s.from; i < span.start; i++)
    if (!continues(src->text[i]))
      fputc(src->text[i] == '\t' ? '\t' : ' ', out);
  uint32_t stop = span.end < s.to ? span.end : s.to, i = span.start;
  do // at least one caret
    if (i >= src->n || !continues(src->text[i]))
      fputc('^', out);
  while (++i < stop);
  if (label)
    fprintf(out, " %s", label);
  fputc('\n', out);
}

// "file:line:col: what" and the line.
static void print_place(Session *s, FILE *out, Span span, const char *what, const char *text,
                        const char *label) {
  if (!span.file) {
    fprintf(out, "%s: %s\n", what, text);
    return;
  }
  const Source *src = &s->source.at[span.file];
  if (span.start > src->n) // IR read from text may name files that have changed or are absent
    span.start = src->n;
  uint32_t line, column;
  source_position(src, span.start, &line, &column);
  if (is_library(src))
    fprintf(out, "%s: %s: %s\n", src->path, what, text);
  else
    fprintf(out, "%s:%u:%u: %s: %s\n", src->path, line, column, what, text);
  print_line(src, out, span, line, label);
}

void diag_print(Session *s, void *file) {
  FILE *out = file;
  if (s->diag.n == 0)
    return;
  qsort(s->diag.at, s->diag.n, sizeof *s->diag.at, by_place);
  uint32_t errors = 0, warnings = 0;
  for (uint32_t i = 0; i < s->diag.n; i++) {
    Diagnostic *d = s->diag.at[i];
    if (d->severity == DIAG_ERROR ? errors++ >= MAX_PRINTED : warnings++ >= MAX_PRINTED)
      continue;
    char what[80];
    snprintf(what, sizeof what, "%s[%s]", d->severity == DIAG_ERROR ? "error" : "warning", d->code);
    print_place(s, out, d->span, what, d->text, d->label);
    for (DiagNote *n = d->note; n; n = n->next)
      print_place(s, out, n->span, n->span.file ? "note" : "  help", n->text, NULL);
  }
  if (errors > MAX_PRINTED)
    fprintf(out, "(%u more errors not shown)\n", errors - MAX_PRINTED);
  if (errors)
    fprintf(out, "%u error%s; `nnc explain CODE` tells more\n", errors, errors == 1 ? "" : "s");
}

// Optimal string alignment distance, cut off at 64 characters.
static uint32_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  if (n > 63 || m > 63)
    return 99;
  uint32_t d[64][64];
  for (size_t i = 0; i <= n; i++)
    d[i][0] = (uint32_t)i;
  for (size_t j = 0; j <= m; j++)
    d[0][j] = (uint32_t)j;
  for (size_t i = 1; i <= n; i++)
    for (size_t j = 1; j <= m; j++) {
      uint32_t change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      uint32_t best = d[i - 1][j] + 1 < d[i][j - 1] + 1 ? d[i - 1][j] + 1 : d[i][j - 1] + 1;
      if (change < best)
        best = change;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          d[i - 2][j - 2] + 1 < best)
        best = d[i - 2][j - 2] + 1;
      d[i][j] = best;
    }
  return d[n][m];
}

const char *nearest_name(const char *name, const char *const *names, uint32_t n) {
  const char *best = NULL;
  uint32_t limit = (uint32_t)strlen(name) / 3 + 1, least = limit + 1;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t d = distance(name, names[i]);
    if (d < least && d < strlen(name)) {
      least = d;
      best = names[i];
    }
  }
  return best;
}

void ice(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("nnc: internal error: ", stderr);
  vfprintf(stderr, format, args);
  va_end(args);
  fputs("\nThis is a fault of nnc, not of your program. Please report it with the program that "
        "shows it.\n",
        stderr);
  exit(70);
}
