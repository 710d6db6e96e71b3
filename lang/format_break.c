// Lines wider than FORMAT_WIDTH, broken where the grammar lets a line go on. One break a pass and a
// line, the outermost first: a block on one line, a pipe, `over` and `with`, arguments, operators.
// In: columns. Out: pieces marked `first`, with a place in the source that says below what they go.
#include "format.h"
#include "nn.tab.h"

typedef struct {
  Format *f;
  uint32_t first, end; // the line's pieces, without a comment at its end
} Line;

// Puts piece i on a line of its own; `below`: the piece that it is aligned with, 0: none.
static void start_line(Format *f, uint32_t i, uint32_t below) {
  f->piece.at[i].first = true;
  f->piece.at[i].column = below ? f->piece.at[below].column : format_indentation(f, i, false);
}

// The piece after `i`, or the closer of a bracket opened at `i`: what is between is left out.
static uint32_t skip(const Line *l, uint32_t i) {
  const Piece *p = &l->f->piece.at[i];
  if (p->match <= i)
    return i + 1;
  return p->match < l->end ? p->match : l->end;
}

static bool break_block(Line *l, uint32_t open) {
  Format *f = l->f;
  uint32_t close = f->piece.at[open].match;
  if (close >= l->end || close == open + 1)
    return false;
  start_line(f, open + 1, 0);
  for (uint32_t i = open + 1; i < close; i++)
    if (f->piece.at[i].kind == T_SEMICOLON && f->piece.at[i].open == open)
      start_line(f, i + 1, 0);
  start_line(f, close, 0);
  return true;
}

static bool break_blocks(Line *l) {
  bool any = false;
  for (uint32_t i = l->first; i < l->end; i = skip(l, i))
    if (l->f->piece.at[i].kind == T_LBRACE)
      any |= break_block(l, i);
  return any;
}

// Does the line begin a statement that is an expression, up to piece i?
static bool is_expression(const Line *l, uint32_t i) {
  static const int begins[] = {T_NAME, T_LPAREN, T_LBRACKET, T_INT, T_FLOAT, T_STRING};
  const Piece *p = &l->f->piece.at[l->first];
  bool found = false;
  for (int k = 0; k < 6; k++)
    found |= p->statement == l->first && p->kind == begins[k];
  for (uint32_t k = l->first; k < i; k = skip(l, k))
    found &= l->f->piece.at[k].kind != T_EQUALS && l->f->piece.at[k].kind != T_COLON;
  return found;
}

// Before every piece of kind a or b between two pieces, outside of the brackets between them.
static bool break_before(Line *l, uint32_t from, uint32_t to, int a, int b) {
  Format *f = l->f;
  bool any = false;
  for (uint32_t i = from; i < to; i = skip(l, i))
    if (i > from && (f->piece.at[i].kind == a || f->piece.at[i].kind == b)) {
      bool pipeline = a == T_PIPE && from == l->first && is_expression(l, i);
      start_line(f, i, pipeline ? l->first : 0);
      any = true;
    }
  return any;
}

static uint32_t end_column(const Format *f, uint32_t i) {
  return f->piece.at[i].column + f->piece.at[i].width;
}

// After the last comma that fits; the rest goes below the first thing after `open`, which is a
// bracket or the word before bindings.
static bool break_arguments(Line *l, uint32_t open, uint32_t to) {
  Format *f = l->f;
  uint32_t last = 0, any = 0;
  for (uint32_t i = open + 1; i < to; i = skip(l, i))
    if (f->piece.at[i].kind == T_COMMA && i + 1 < to) {
      any = i;
      if (end_column(f, i) <= FORMAT_WIDTH)
        last = i;
    }
  if (f->piece.at[open + 1].column > FORMAT_WIDTH / 2 + 10 && open > l->first + 1) {
    start_line(f, open + 1, 0);
    return any || to > open + 1;
  }
  if (last)
    start_line(f, last + 1, open + 1);
  return last;
}

static int looseness(const Piece *p) {
  switch (p->kind) {
  case T_OR:
    return 5;
  case T_AND:
    return 4;
  case T_PLUS:
    return 3;
  case T_MINUS:
    return p->binary ? 3 : 0;
  case T_STAR:
  case T_SLASH:
  case T_AT:
    return 2;
  }
  return 0;
}

// Before the last of the loosest operators that fit.
static bool break_operator(Line *l, uint32_t from, uint32_t to) {
  Format *f = l->f;
  uint32_t best = 0;
  for (uint32_t i = from + 1; i < to; i = skip(l, i)) {
    int how = looseness(&f->piece.at[i]);
    uint32_t column = f->piece.at[i].column;
    if (how && column <= FORMAT_WIDTH && column >= FORMAT_WIDTH * 2 / 5 &&
        (!best || how >= looseness(&f->piece.at[best])))
      best = i;
  }
  if (best)
    start_line(f, best, 0);
  return best;
}

// The second parameters go below the first; else the last parameter that fits ends the line.
static bool break_declaration(Line *l) {
  Format *f = l->f;
  uint32_t open = l->first;
  while (open < l->end && f->piece.at[open].kind != T_LPAREN)
    open++;
  uint32_t close = open < l->end ? f->piece.at[open].match : 0;
  if (!close || f->piece.at[l->first].statement != l->first || f->piece.at[l->first].open)
    return false;
  if (close + 1 < l->end && f->piece.at[close + 1].kind == T_LPAREN) {
    start_line(f, close + 1, open);
    return true;
  }
  return break_arguments(l, open, close < l->end ? close : l->end);
}

static bool break_bracket(Line *l, uint32_t from, uint32_t to);

// Between two pieces of the line: outside of brackets first, then in the bracket that is too wide.
static bool break_between(Line *l, uint32_t from, uint32_t to) {
  switch (l->f->piece.at[from].kind) {
  case T_FN:
  case T_LAYER:
  case T_MODEL:
  case T_OPTIMIZER:
  case T_PREDICT:
    if (from == l->first && break_declaration(l))
      return true;
    break;
  case T_LET:
  case T_PARAM:
  case T_STATE:
  case T_CONST:
  case T_CONFIG:
  case T_REPORT:
    if (from == l->first && break_arguments(l, from, to))
      return true;
  }
  return break_before(l, from, to, T_PIPE, T_PIPE) || break_before(l, from, to, T_OVER, T_WITH) ||
         break_operator(l, from, to) || break_bracket(l, from, to) ||
         break_before(l, from, to, T_ARROW, T_ARROW);
}

static bool break_bracket(Line *l, uint32_t from, uint32_t to) {
  const Format *f = l->f;
  for (uint32_t i = from; i < to; i = skip(l, i)) {
    const Piece *p = &f->piece.at[i];
    bool bracket = p->match > i && p->kind != T_LBRACE;
    uint32_t close = p->match < to ? p->match : to;
    if (bracket && end_column(f, close - 1) >= FORMAT_WIDTH && p->column < FORMAT_WIDTH)
      if (break_arguments(l, i, close) || break_between(l, i + 1, close))
        return true;
  }
  return false;
}

void format_break(Format *f) {
  for (uint32_t i = 1, end; i < f->piece.n; i = end) {
    end = format_line_end(f, i);
    Line l = {f, i, f->piece.at[end - 1].kind == T_COMMENT ? end - 1 : end};
    if (l.end > l.first && end_column(f, l.end - 1) > FORMAT_WIDTH)
      if (!break_blocks(&l))
        break_between(&l, l.first, l.end);
  }
}
