// Newlines that count and brackets that pair. In: the raw tokens of nn.l. Out: the tokens of the
// grammar, in which every bracket has its partner (a missing one is reported and put in, a stray
// one reported and left out), so that the parser can skip a bracket as a whole.
//
// A newline is no token inside ( and [, after or before a token that shows that the line goes on.
#include "parse.h"
#include "nn.tab.h"

typedef struct {
  uint32_t at; // token of the opening bracket
  bool angle;  // a `<` stands before on this level, so that the next `>` may close a type
} Level;

typedef struct {
  Parse *p;
  const Token *raw;
  BUF(Level) level;  // [0]: outside all brackets
  bool closed_angle; // the last token was the `>` of index<10>
  bool in_comment;   // the bracket reported last was closed in a comment
} Filter;

static int closer_of(int opener) {
  return opener == T_LPAREN ? T_RPAREN : opener == T_LBRACKET ? T_RBRACKET : T_RBRACE;
}

static bool is_binary(int kind) {
  switch (kind) {
  case T_AND:
  case T_OR:
  case T_EQ:
  case T_NE:
  case T_LT:
  case T_LE:
  case T_GT:
  case T_GE:
  case T_PLUS:
  case T_MINUS:
  case T_STAR:
  case T_SLASH:
  case T_PERCENT:
  case T_AT:
  case T_CARET:
    return true;
  }
  return false;
}

static bool goes_on_after(int kind) {
  switch (kind) {
  case T_COMMA:
  case T_EQUALS:
  case T_COLON:
  case T_DOT:
  case T_LPAREN:
  case T_LBRACKET:
  case T_LBRACE:
  case T_ARROW:
  case T_PIPE:
  case T_NOT:
  case T_ELSE:
  case T_OVER:
  case T_WITH:
    return true;
  }
  return is_binary(kind);
}

static bool goes_on_before(Filter *f, const Token *t) {
  switch (t->kind) {
  case T_PIPE:
  case T_ARROW:
  case T_LBRACE:
  case T_DOT:
  case T_ELSE:
  case T_OVER:
  case T_WITH:
    return true;
  case T_MINUS: { // `- b` goes on, `-b` begins an expression
    char next = f->p->s->source.at[f->p->file].text[t->span.end];
    return next == ' ' || next == '\t' || next == '\n' || next == '\r';
  }
  }
  return is_binary(t->kind);
}

static Level *top(Filter *f) {
  return &f->level.at[f->level.n - 1];
}
static Token *opener(Filter *f) {
  return &f->p->token.at[top(f)->at];
}
static bool in_round(Filter *f) {
  return f->level.n > 1 && opener(f)->kind != T_LBRACE;
}
static Token *last_token(Filter *f) {
  return f->p->token.n ? &f->p->token.at[f->p->token.n - 1] : NULL;
}

static void put(Filter *f, Token t) {
  buf_push(f->p->s->perm, &f->p->token, t);
}

static void put_made(Filter *f, int kind) {
  Token *last = last_token(f);
  uint32_t at = last ? last->span.end : 0;
  put(f, (Token){.kind = kind, .span = {f->p->file, at, at}, .made = true});
}

static void open_level(Filter *f, Token t) {
  buf_push(f->p->s->perm, &f->level, (Level){.at = f->p->token.n});
  put(f, t);
}

// Takes the innermost bracket off; its closer is the token put last.
static void close_level(Filter *f) {
  opener(f)->match = f->p->token.n - 1;
  last_token(f)->match = top(f)->at;
  f->level.n--;
}

static uint32_t line_of(Filter *f, Span span) {
  uint32_t line, column;
  source_position(&f->p->s->source.at[f->p->file], span.start, &line, &column);
  return line;
}

// The closer may be in a string without end, which was reported.
static bool string_swallowed(Filter *f, const Token *open) {
  const Token *end = f->p->token.at + f->p->token.n;
  for (const Token *t = open; t < end; t++)
    if (t->kind == T_STRING && t->made && line_of(f, t->span) == line_of(f, open->span))
      return true;
  return false;
}

// `7 // 2`: the rest of the line is a comment.
static const Span *comment_swallowed(Filter *f, const Token *open) {
  for (uint32_t i = 0; i < f->p->comment.n; i++) {
    const Span *c = &f->p->comment.at[i];
    if (c->start > open->span.start)
      return line_of(f, *c) == line_of(f, open->span) ? c : NULL;
  }
  return NULL;
}

static Diagnostic *report_open(Filter *f) {
  Token *t = opener(f);
  t->made = true;
  if (string_swallowed(f, t))
    return NULL;
  Diagnostic *d =
      syntax_error(f->p, t->span, "syntax", "this `%s` is never closed", token_kind_name(t->kind));
  const Span *comment = d && t->kind != T_LBRACE ? comment_swallowed(f, t) : NULL;
  f->in_comment = comment != NULL;
  if (comment)
    diag_note(f->p->s, d, *comment,
              "the rest of the line is a comment; a division that rounds down is div(a, b)");
  return d;
}

// The last line under a bracket that is never closed; `kind`: of the bracket.
static void advise_closing(Filter *f, Diagnostic *d, int kind, const char *where) {
  if (d && !f->in_comment)
    diag_note(f->p->s, d, (Span){0}, "write `%s` %s", token_kind_name(closer_of(kind)), where);
}

// Closes all brackets above `level` with tokens that are not in the text.
static void close_down_to(Filter *f, uint32_t level) {
  while (f->level.n > level) {
    put_made(f, closer_of(opener(f)->kind));
    close_level(f);
  }
}

static void take_closer(Filter *f, Token t) {
  uint32_t level = f->level.n;
  while (level > 1 && closer_of(f->p->token.at[f->level.at[level - 1].at].kind) != t.kind) {
    if (t.kind != T_RBRACE && f->p->token.at[f->level.at[level - 1].at].kind == T_LBRACE)
      level = 1; // a `)` doesn't look beyond the block it stands in
    else
      level--;
  }
  Diagnostic *d = NULL;
  if (level > 1) {
    int open = opener(f)->kind;
    if (level < f->level.n && (d = report_open(f)))
      diag_note(f->p->s, d, t.span, "`%s` found here", token_kind_name(t.kind));
    advise_closing(f, d, open, "before it");
    close_down_to(f, level);
  } else if (in_round(f) && t.kind != T_RBRACE) { // ( ... ]
    int expected = closer_of(opener(f)->kind);
    d = syntax_error(f->p, t.span, "syntax", "expected `%s`, found `%s`", token_kind_name(expected),
                     token_kind_name(t.kind));
    if (d)
      diag_note(f->p->s, d, opener(f)->span, "to close this `%s`",
                token_kind_name(opener(f)->kind));
    t.kind = expected;
  } else if (t.kind == T_RBRACE) { // its `{` may be what is missing: the parser knows
    buf_push(f->p->s->perm, &f->p->stray, t.span);
    return;
  } else {
    d = syntax_error(f->p, t.span, "syntax", "this `%s` closes nothing", token_kind_name(t.kind));
    if (d)
      diag_note(f->p->s, d, (Span){0}, "leave it out, or open it before");
    return;
  }
  put(f, t);
  close_level(f);
}

static bool is_word(const Token *t) {
  return t->name && t->kind != T_STRING;
}

// `model X`, `use "file"` in column 1: no expression has it, so brackets still open are unclosed.
static bool begins_declaration(Filter *f, const Token *t) {
  if (t->span.start && f->p->s->source.at[f->p->file].text[t->span.start - 1] != '\n')
    return false;
  switch (t->kind) {
  case T_LET: // in a block it is a statement
    return in_round(f);
  case T_USE:
    return t[1].kind == T_STRING || is_word(&t[1]);
  case T_CONST:
  case T_CONFIG:
  case T_LAYER:
  case T_MODEL:
  case T_OPTIMIZER:
  case T_DATA:
  case T_TRAIN:
  case T_PREDICT:
  case T_FN:
    return is_word(&t[1]);
  }
  return false;
}

static bool begins_statement(const Token *t) {
  return t->kind == T_LET || t->kind == T_PARAM || t->kind == T_STATE || t->kind == T_YIELD;
}

// A line that can't stand inside the brackets that are open: they were forgotten.
static void close_forgotten(Filter *f, const Token *t) {
  uint32_t level = f->level.n;
  if (f->level.n > 1 && begins_declaration(f, t))
    level = 1;
  else if (in_round(f) && begins_statement(t))
    while (level > 1 && f->p->token.at[f->level.at[level - 1].at].kind != T_LBRACE)
      level--;
  if (level == f->level.n)
    return;
  int open = opener(f)->kind;
  Diagnostic *d = report_open(f);
  if (d)
    diag_note(f->p->s, d, t->span, "a %s begins here", level == 1 ? "declaration" : "statement");
  advise_closing(f, d, open, "before it");
  close_down_to(f, level);
  put_made(f, T_NN_error); // the parser gives up what it is in, and begins anew
  put_made(f, T_NEWLINE);
}

static void follow_angle(Filter *f, int kind) {
  f->closed_angle = kind == T_GT && top(f)->angle;
  if (kind == T_LT)
    top(f)->angle = true;
  else if (is_binary(kind) || kind == T_COMMA || kind == T_EQUALS || kind == T_NEWLINE)
    if (kind != T_PLUS && kind != T_MINUS && kind != T_STAR && kind != T_SLASH)
      top(f)->angle = false;
}

static void take_newline(Filter *f, Token t, const Token *next) {
  Token *last = last_token(f);
  if (in_round(f) || goes_on_before(f, next) || (last && last->kind == T_NEWLINE))
    return;
  if (last && goes_on_after(last->kind) && !f->closed_angle)
    return;
  follow_angle(f, T_NEWLINE);
  put(f, t);
}

static void take_token(Filter *f, const Token *t) {
  if (t->first)
    close_forgotten(f, t);
  switch (t->kind) {
  case T_LPAREN:
  case T_LBRACKET:
  case T_LBRACE:
    open_level(f, *t);
    f->closed_angle = false;
    break;
  case T_RPAREN:
  case T_RBRACKET:
  case T_RBRACE:
    take_closer(f, *t);
    f->closed_angle = false;
    break;
  default:
    follow_angle(f, t->kind);
    put(f, *t);
  }
}

void filter_newlines(Parse *p) {
  Filter f = {.p = p, .raw = p->token.at};
  buf_push(p->s->perm, &f.level, (Level){0});
  p->token.at = NULL;
  p->token.n = p->token.cap = 0;
  const Token *t = f.raw;
  for (; t->kind != T_YYEOF; t++) {
    if (t->kind != T_NEWLINE) {
      take_token(&f, t);
      continue;
    }
    Token newline = *t;
    while (t[1].kind == T_NEWLINE)
      t++;
    take_newline(&f, newline, t + 1);
  }
  if (f.level.n > 1) {
    int open = opener(&f)->kind;
    advise_closing(&f, report_open(&f), open, "at the end of what it encloses");
    close_down_to(&f, 1);
  }
  put(&f, *t);
}
