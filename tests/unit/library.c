// The library is parsed by pieces: they are the declarations that the whole file has, in order, and
// nothing is between them.
#include "pass/elaborate.h"

#include <stdio.h>
#include <string.h>

static const char *check_file(Session *s, const StdlibFile *f) {
  uint32_t file = source_add(s, f->name, f->text, f->n), n = 0;
  const Node *whole = parse_source(s, file);
  Span part = {.file = file};
  while (next_piece(&s->source.at[file], part.end, &part.start, &part.end)) {
    const Node *piece = parse_part(s, part);
    if (piece->list.n != 1)
      return "a piece is not one declaration";
    if (n < whole->list.n)
      whole->list.at[n]->doc = NULL; // it stands before the piece, for `nnc doc` alone
    if (n == whole->list.n || !same_tree(piece->list.at[0], whole->list.at[n]))
      return "a piece is not what the file has there";
    if (piece->list.at[0]->name_span.start != whole->list.at[n]->name_span.start)
      return "a piece has other places";
    n++;
  }
  return n == whole->list.n ? NULL : "declarations are missing";
}

int main(void) {
  for (const StdlibFile *f = stdlib_files; f->name; f++) {
    Session *s = session_create();
    const char *wrong = check_file(s, f);
    if (!wrong && s->diag.n)
      wrong = s->diag.at[0]->text;
    printf(wrong ? "FAIL library %s: %s\n" : "PASS library %s\n", f->name, wrong);
    session_destroy(s);
  }
  return 0;
}
