// `nnc fmt`: a source file with its blanks settled. In: a file without syntax errors. Out: its text
// with the same tree and the same comments; formatting it again changes nothing.
#include "format.h"
#include "nn.tab.h"

#include <string.h>

enum { MAX_PASSES = 60 };

// ---- the same tree ------------------------------------------------------------------------------

static bool same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(NodeList a, NodeList b) {
  bool same = a.n == b.n;
  for (uint32_t i = 0; i < a.n && same; i++)
    same = same_tree(a.at[i], b.at[i]);
  return same;
}

static bool same_facts(const Node *a, const Node *b) {
  return a->kind == b->kind && same_text(a->name, b->name) && same_text(a->alias, b->alias) &&
         same_text(a->unit, b->unit) && same_text(a->doc, b->doc) && a->op == b->op &&
         a->ival == b->ival && memcmp(&a->fval, &b->fval, sizeof a->fval) == 0 &&
         a->is_path == b->is_path && a->has_params == b->has_params &&
         a->has_params2 == b->has_params2 && a->has_shape == b->has_shape &&
         a->maximize == b->maximize;
}

bool same_tree(const Node *a, const Node *b) {
  if (!a || !b)
    return a == b;
  return same_facts(a, b) && same_tree(a->a, b->a) && same_tree(a->b, b->b) &&
         same_tree(a->c, b->c) && same_tree(a->type, b->type) && same_tree(a->body, b->body) &&
         same_list(a->list, b->list) && same_list(a->params, b->params) &&
         same_list(a->params2, b->params2);
}

// The next comment of a file, as its pieces have it.
static const Piece *next_comment(const Format *f, uint32_t *i) {
  while (*i < f->piece.n)
    if (f->piece.at[(*i)++].kind == T_COMMENT)
      return &f->piece.at[*i - 1];
  return NULL;
}

static bool same_comments(const Format *a, const Format *b) {
  uint32_t i = 1, k = 1;
  const Piece *x, *y;
  do {
    x = next_comment(a, &i);
    y = next_comment(b, &k);
    if (x && y && (x->n != y->n || memcmp(x->text, y->text, x->n) != 0))
      return false;
  } while (x && y);
  return !x && !y;
}

// ---- text ---------------------------------------------------------------------------------------

// `;` at the end of a line says what the end of the line says.
static bool is_superfluous(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  return p->kind == T_SEMICOLON && !p->first && (i + 1 == f->piece.n || p[1].first);
}

static void put_text(const Format *f, Text *out) {
  uint32_t column = 0;
  for (uint32_t i = 1; i < f->piece.n; i++) {
    const Piece *p = &f->piece.at[i];
    if (is_superfluous(f, i))
      continue;
    bool after_opener = p[-1].kind == T_LBRACE, before_closer = p->kind == T_RBRACE;
    if (p->first && i > 1) {
      text_put(out, p->blank && !after_opener && !before_closer ? "\n\n" : "\n");
      column = 0;
    }
    text_printf(out, "%*s", (int)(p->column > column ? p->column - column : 0), "");
    text_putn(out, p->text, p->n);
    column = p->column + p->width;
  }
  if (f->piece.n > 1)
    text_put(out, "\n");
}

// A broken line's new parts follow their neighbours; what is marked `first` says its own column.
static void shift_columns(Format *f) {
  for (uint32_t i = 2; i < f->piece.n; i++)
    if (!f->piece.at[i].first) {
      Piece *p = &f->piece.at[i];
      p->column = p[-1].column + p[-1].width + format_gap(f, i) + p->pad;
    }
}

static Text format_pass(Session *s, uint32_t file, const Node *root, Format *f) {
  Text out = {.arena = s->perm};
  *f = (Format){.s = s, .file = file};
  format_pieces(f, root);
  format_columns(f);
  format_break(f);
  shift_columns(f);
  put_text(f, &out);
  return out;
}

bool format_source(Session *s, uint32_t file, Text *out) {
  Node *before = parse_source(s, file), *now = before;
  if (s->n_error)
    return false;
  Format first, last;
  *out = format_pass(s, file, now, &first);
  last = first;
  for (int pass = 0; pass < MAX_PASSES; pass++) {
    const Source *source = &s->source.at[file];
    if (out->n == source->n && memcmp(out->n ? out->at : "", source->text, out->n) == 0)
      break;
    file = source_add(s, source->path, out->n ? out->at : "", out->n);
    now = parse_source(s, file);
    if (s->n_error || !same_tree(before, now))
      ice("fmt would change what the program says; the file is left as it is");
    *out = format_pass(s, file, now, &last);
  }
  if (!same_comments(&first, &last))
    ice("fmt would change a comment; the file is left as it is");
  return true;
}
