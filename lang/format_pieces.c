// The pieces of a source file: its tokens and comments in order, and for each what the layout needs
// to know: the bracket and the statement it stands in, and from the tree whether a bracket is a
// call's, a `<` a type's, a `-` between two operands. In: the bytes and their tree, free of errors.
#include "format.h"
#include "nn.tab.h"

#include <string.h>

static uint32_t count_characters(const char *text, uint32_t n) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++)
    count += ((unsigned char)text[i] & 0xc0) != 0x80;
  return count;
}

static void add_piece(Format *f, int kind, Span span) {
  const Source *source = &f->s->source.at[f->file];
  const Piece *last = &f->piece.at[f->piece.n - 1];
  Piece p = {.kind = kind, .text = source->text + span.start, .start = span.start};
  p.n = span.end - span.start;
  while (p.n && strchr(" \t\r\f\v", p.text[p.n - 1])) // of a comment
    p.n--;
  p.width = count_characters(p.text, p.n);
  uint32_t line, column;
  source_position(source, span.start, &line, &column);
  p.line = line - 1;
  p.source = count_characters(source->text + source->line[p.line], column - 1);
  p.first = f->piece.n == 1 || p.line != last->line;
  p.blank = p.first && f->piece.n > 1 && p.line > last->line + 1;
  buf_push(f->s->perm, &f->piece, p);
}

static bool is_opener(int kind) {
  return kind == T_LPAREN || kind == T_LBRACKET || kind == T_LBRACE;
}

static bool is_closer(int kind) {
  return kind == T_RPAREN || kind == T_RBRACKET || kind == T_RBRACE;
}

static void find_brackets(Format *f) {
  uint32_t open = 0;
  for (uint32_t i = 1; i < f->piece.n; i++) {
    Piece *p = &f->piece.at[i];
    if (is_closer(p->kind)) {
      p->match = open;
      f->piece.at[open].match = i;
      open = f->piece.at[open].open;
    }
    p->open = open;
    if (is_opener(p->kind))
      open = i;
  }
}

// Walks the tokens of the grammar beside the pieces: a statement begins after a newline that
// counts.
static void find_statements(Format *f) {
  Parse p = parse_whole(f->s, f->file);
  scan_source(&p);
  filter_newlines(&p);
  uint32_t t = 0;
  for (uint32_t i = 1; i < f->piece.n; i++) {
    Piece *piece = &f->piece.at[i];
    while (p.token.at[t].kind != T_YYEOF &&
           (p.token.at[t].kind == T_NEWLINE || p.token.at[t].span.start < piece->start))
      t++;
    if (piece->kind == T_COMMENT || is_closer(piece->kind))
      continue; // of no statement
    int before = t ? p.token.at[t - 1].kind : T_NEWLINE;
    if (before == T_NEWLINE || before == T_SEMICOLON || before == T_LBRACE)
      piece->statement = i;
    else
      for (uint32_t k = i - 1; k && !piece->statement; k--)
        if (is_closer(f->piece.at[k].kind))
          k = f->piece.at[k].match + 1;
        else if (f->piece.at[k].kind != T_COMMENT)
          piece->statement = f->piece.at[k].statement;
  }
}

// ---- what the tree says -------------------------------------------------------------------------

// The first token at a byte or after it.
static uint32_t piece_at(const Format *f, uint32_t offset) {
  uint32_t low = 1, high = f->piece.n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (f->piece.at[middle].start < offset)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < f->piece.n && f->piece.at[low].kind == T_COMMENT)
    low++;
  return low < f->piece.n ? low : 0;
}

static uint32_t glue(Format *f, uint32_t i, int kind) {
  if (f->piece.at[i].kind == kind)
    f->piece.at[i].glued = true;
  return i;
}

static void mark_type(Format *f, const Node *n) {
  uint32_t i = piece_at(f, n->name_span.end);
  if (n->a) {
    glue(f, i, T_LT);
    f->piece.at[i + 1].glued = true;
    i = glue(f, piece_at(f, n->a->span.end), T_GT) + 1;
  }
  if (n->has_shape && i < f->piece.n)
    glue(f, i, T_LBRACKET);
}

static void mark_parameters(Format *f, const Node *n) {
  if (!n->has_params)
    return;
  uint32_t i = glue(f, piece_at(f, n->name_span.end), T_LPAREN);
  uint32_t second = f->piece.at[i].match + 1;
  while (second < f->piece.n && f->piece.at[second].kind == T_COMMENT)
    second++;
  if (!n->has_params2 || second >= f->piece.n)
    return;
  for (uint32_t k = second; k < f->piece.n && f->piece.at[k].start < n->span.end; k++)
    if (f->piece.at[k].statement == second) // it belongs to the line before
      f->piece.at[k].statement = f->piece.at[i].statement;
  glue(f, second, T_LPAREN);
}

static void mark(Format *f, const Node *n);

static void mark_list(Format *f, NodeList list) {
  for (uint32_t i = 0; i < list.n; i++)
    mark(f, list.at[i]);
}

static void mark(Format *f, const Node *n) {
  if (!n)
    return;
  if (n->kind == N_CALL)
    glue(f, piece_at(f, n->a->span.end), T_LPAREN);
  else if (n->kind == N_INDEX)
    glue(f, piece_at(f, n->a->span.end), T_LBRACKET);
  else if (n->kind == N_BINARY)
    f->piece.at[piece_at(f, n->name_span.start)].binary = true;
  else if (n->kind == N_TYPE)
    mark_type(f, n);
  else
    mark_parameters(f, n);
  const Node *child[] = {n->a, n->b, n->c, n->type, n->body};
  for (int i = 0; i < 5; i++)
    mark(f, child[i]);
  mark_list(f, n->list);
  mark_list(f, n->params);
  mark_list(f, n->params2);
}

void format_pieces(Format *f, const Node *root) {
  Parse p = parse_whole(f->s, f->file);
  scan_source(&p);
  buf_push(f->s->perm, &f->piece, (Piece){0});
  uint32_t c = 0;
  for (uint32_t t = 0; t < p.token.n; t++) {
    const Token *token = &p.token.at[t];
    while (c < p.comment.n && p.comment.at[c].start <= token->span.start)
      add_piece(f, T_COMMENT, p.comment.at[c++]);
    if (token->kind != T_NEWLINE && token->kind != T_YYEOF)
      add_piece(f, token->kind, token->span);
  }
  find_brackets(f);
  find_statements(f);
  mark(f, root);
}

// ---- neighbours ---------------------------------------------------------------------------------

uint32_t format_gap(const Format *f, uint32_t i) {
  const Piece *p = &f->piece.at[i], *before = p - 1;
  if (p->kind == T_COMMENT)
    return 2;
  if (p->glued || before->kind == T_DOT || before->kind == T_DOTS)
    return 0;
  if (before->kind == T_LPAREN || before->kind == T_LBRACKET)
    return 0;
  if (before->kind == T_MINUS && !before->binary)
    return 0;
  switch (p->kind) {
  case T_RPAREN:
  case T_RBRACKET:
  case T_COMMA:
  case T_SEMICOLON:
  case T_COLON:
  case T_DOT:
    return 0;
  case T_DOTS:
    return before->kind == T_COMMA;
  case T_RBRACE:
    return before->kind != T_LBRACE;
  }
  return 1;
}

uint32_t format_line_first(const Format *f, uint32_t i) {
  while (!f->piece.at[i].first)
    i--;
  return i;
}

uint32_t format_line_end(const Format *f, uint32_t i) {
  for (i++; i < f->piece.n && !f->piece.at[i].first; i++)
    ;
  return i;
}
