// Where each piece stands. A statement is indented by four blanks in each block; a line that goes
// on by four more. What the author aligned stays aligned: a line that goes on below a token of a
// line before it, and tokens of one kind that stand in one column of neighbouring lines with more
// blanks before one of them than it needs. Comments after neighbouring lines are aligned always.
#include "format.h"
#include "nn.tab.h"

#include <stdlib.h>

// What is in a bracket is indented against this.
static uint32_t base(const Format *f, uint32_t opener) {
  const Piece *p = &f->piece.at[opener];
  uint32_t line = format_line_first(f, opener);
  const Piece *first = &f->piece.at[line];
  bool own = p->kind != T_LBRACE || first->kind == T_ELSE || first->kind == T_RBRACE;
  if (own || p->open != f->piece.at[p->statement].open) // a block in a bracket of this line
    return first->column;
  return f->piece.at[format_line_first(f, p->statement)].column;
}

static uint32_t inside(const Format *f, uint32_t opener) {
  return opener ? base(f, opener) + FORMAT_INDENT : 0;
}

// Would one put something below this token? It begins a part of the line.
static bool begins_part(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  return (p->first && p->kind != T_COMMENT) || p->kind == T_LPAREN || p[-1].kind == T_LPAREN ||
         p[-1].kind == T_LBRACKET || (p->kind != T_COMMENT && format_gap(f, i) > 0);
}

// The token of an earlier line of this statement and bracket below which the author put this line.
static uint32_t aligned_with(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  uint32_t lowest = p->open > p->statement ? p->open + 1 : p->statement;
  for (uint32_t k = i - 1; k >= lowest && k; k--) {
    const Piece *q = &f->piece.at[k];
    if (q->line != p->line && q->source == p->source && begins_part(f, k))
      return k;
  }
  return 0;
}

static uint32_t comment_indentation(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  uint32_t k = i;
  while (k < f->piece.n && f->piece.at[k].kind == T_COMMENT)
    k++;
  if (k == f->piece.n || (p->open && f->piece.at[p->open].match == k))
    return inside(f, p->open);
  return format_indentation(f, k, true);
}

// Of a line that goes on, where the author aligned it with nothing.
static uint32_t going_on(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  if (p->kind == T_ELSE && f->piece.at[i - 1].kind == T_RBRACE)
    return base(f, f->piece.at[i - 1].match);
  if (p->open > p->statement)
    return inside(f, p->open);
  uint32_t start = f->piece.at[format_line_first(f, p->statement)].column;
  return p->kind == T_LBRACE ? start : start + FORMAT_INDENT;
}

uint32_t format_indentation(const Format *f, uint32_t i, bool aligned) {
  const Piece *p = &f->piece.at[i];
  if (p->kind == T_COMMENT)
    return comment_indentation(f, i);
  if (p->match && p->match < i) {
    const Piece *opener = &f->piece.at[p->match];
    bool below = aligned && opener->source == p->source && opener->kind != T_LBRACE;
    return below ? opener->column : base(f, p->match);
  }
  if (p->statement == i)
    return inside(f, p->open);
  uint32_t above = aligned ? aligned_with(f, i) : 0;
  return above ? f->piece.at[above].column : going_on(f, i);
}

static void place(Format *f, uint32_t i) {
  Piece *p = &f->piece.at[i];
  p->column = p->first ? format_indentation(f, i, true)
                       : p[-1].column + p[-1].width + format_gap(f, i) + p->pad;
}

// ---- columns ------------------------------------------------------------------------------------

// Tokens that may stand below each other: what begins an operand, or the same token.
static int shape_of(const Piece *p) {
  switch (p->kind) {
  case T_COMMENT:
  case T_EQUALS:
  case T_COLON:
  case T_PIPE:
  case T_ARROW:
  case T_LBRACE:
  case T_RBRACE:
  case T_RPAREN:
  case T_RBRACKET:
  case T_COMMA:
  case T_PLUS:
  case T_STAR:
  case T_SLASH:
  case T_AT:
  case T_EQ:
  case T_LT:
  case T_GT:
  case T_OVER:
  case T_WITH:
  case T_AS:
  case T_AND:
  case T_OR:
    return p->kind;
  }
  return T_NAME;
}

static bool in_brackets(const Format *f, const Piece *p) {
  return p->open && f->piece.at[p->open].kind != T_LBRACE;
}

static bool are_alike(const Format *f, const Piece *a, const Piece *b) {
  if (a->kind == T_COMMENT || b->kind == T_COMMENT)
    return a->kind == b->kind;
  return a->source == b->source && shape_of(a) == shape_of(b) &&
         in_brackets(f, a) == in_brackets(f, b);
}

// The piece above `i` in the same column of the line before, both not first.
static uint32_t above(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  uint32_t first = format_line_first(f, i);
  if (first <= 1 || f->piece.at[first - 1].line + 1 != p->line)
    return 0;
  for (uint32_t k = first - 1; !f->piece.at[k].first; k--)
    if (are_alike(f, p, &f->piece.at[k]))
      return k;
  return 0;
}

static bool is_spread(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i];
  return p->kind == T_COMMENT || p->source > p[-1].source + p[-1].width + format_gap(f, i);
}

typedef struct {
  uint32_t source, first, last, id; // column in the source, pieces
  bool spread;
} Group;

static int by_source(const void *a, const void *b) {
  const Group *x = a, *y = b;
  return x->source != y->source ? (x->source < y->source ? -1 : 1) : x->id < y->id ? -1 : 1;
}

// The members of a group stand on lines that follow each other, so each has at most one above it.
static Group *find_groups(Format *f) {
  BUF(Group) group = {0};
  buf_push(f->s->perm, &group, (Group){0});
  for (uint32_t i = 1; i < f->piece.n; i++) {
    uint32_t up = f->piece.at[i].first ? 0 : above(f, i);
    if (!up)
      continue;
    if (!f->piece.at[up].group) {
      f->piece.at[up].group = group.n;
      Group new = {f->piece.at[up].source, up, up, group.n, is_spread(f, up)};
      buf_push(f->s->perm, &group, new);
    }
    Group *g = &group.at[f->piece.at[i].group = f->piece.at[up].group];
    g->last = i;
    g->spread |= is_spread(f, i);
    if (f->piece.at[i].kind == T_COMMENT)
      g->source = UINT32_MAX; // when all else stands
  }
  f->n_group = group.n;
  return group.at;
}

static void align(Format *f, const Group *g) {
  uint32_t column = 0, start = format_line_first(f, g->first);
  if (f->piece.at[start].statement && f->piece.at[start].statement < start)
    start = format_line_first(f, f->piece.at[start].statement);
  for (uint32_t i = start; i <= g->last; i++) {
    place(f, i);
    if (f->piece.at[i].group == g->id && f->piece.at[i].column > column)
      column = f->piece.at[i].column;
  }
  for (uint32_t i = g->first; i <= g->last; i++)
    if (f->piece.at[i].group == g->id)
      f->piece.at[i].pad = column - f->piece.at[i].column;
}

void format_columns(Format *f) {
  Group *group = find_groups(f);
  for (uint32_t i = 1; i < f->piece.n; i++)
    place(f, i);
  qsort(group + 1, f->n_group - 1, sizeof *group, by_source);
  for (uint32_t k = 1; k < f->n_group; k++)
    if (group[k].spread)
      align(f, &group[k]);
  for (uint32_t i = 1; i < f->piece.n; i++)
    place(f, i);
}
