// From a token that can't stand where it stands to words. In: the token, and the names that the
// grammar would have taken there. Out: one diagnostic, with advice for the well-known traps.
#include "surprise.h"

#include "nn.tab.h"

#include <string.h>

Diagnostic *syntax_error(Parse *p, Span span, const char *code, const char *format, ...) {
  if (p->n_error >= MAX_SYNTAX_ERRORS)
    return NULL;
  p->n_error++;
  va_list args;
  va_start(args, format);
  const char *text = arena_vprintf(p->s->perm, format, args);
  va_end(args);
  return diag_error(p->s, span, code, "%s", text);
}

bool has_syntax_errors(const Session *s) {
  for (uint32_t i = 0; i < s->diag.n; i++) {
    const char *code = s->diag.at[i]->code;
    if (strcmp(code, "syntax") == 0 || strcmp(code, "lexical") == 0 || strcmp(code, "nesting") == 0)
      return true;
  }
  return false;
}

void report_too_deep(Parse *p, Span span) {
  Diagnostic *d = p->too_deep ? NULL
                              : syntax_error(p, span, "nesting",
                                             "nested too deeply: expressions and blocks can be %d "
                                             "deep",
                                             MAX_HEIGHT);
  if (d)
    diag_note(p->s, d, (Span){0}, "name parts of it by `let`, or repeat it by `for`");
  p->too_deep = true;
}

const char *token_words(Parse *p, const Token *t) {
  switch (t->kind) {
  case T_NEWLINE:
    return "the end of the line";
  case T_YYEOF:
    return "the end of the file";
  case T_NAME:
    return arena_printf(p->s->perm, "the name `%s`", t->name);
  case T_STRING:
    return "a string";
  case T_INT:
  case T_FLOAT:
    return "a number";
  }
  return arena_printf(p->s->perm, "`%s`", token_kind_name(t->kind));
}

bool takes(const Surprise *u, const char *name) {
  for (int i = 0; i < u->n; i++)
    if (strcmp(u->expected[i], name) == 0)
      return true;
  return false;
}

bool wants_declaration(const Surprise *u) {
  return takes(u, "use") && takes(u, "fn") && !takes(u, "minimize");
}

static bool is_reserved(int kind) {
  return kind >= T_LET && kind <= T_HOLE;
}
static bool is_soft(int kind) {
  return kind >= T_USE && kind <= T_EVERY;
}
static bool is_operator(int kind) {
  return (kind >= T_PLUS && kind <= T_GE);
}

static bool starts_expression(int kind) {
  switch (kind) {
  case T_NAME:
  case T_STRING:
  case T_INT:
  case T_FLOAT:
  case T_LPAREN:
  case T_LBRACKET:
  case T_IF:
  case T_FOR:
  case T_SCAN:
  case T_NOT:
  case T_TRUE:
  case T_FALSE:
  case T_MINUS:
    return true;
  }
  return is_soft(kind);
}

static bool starts_statement(int kind) {
  return starts_expression(kind) || kind == T_LET || kind == T_PARAM || kind == T_STATE ||
         kind == T_YIELD || kind == T_FN;
}

// What stands for a whole class of tokens, by the tokens that only that class has. NULL: no class.
static const char *expected_class(const Surprise *u) {
  bool name = takes(u, "use") && takes(u, "minimize"), expression = takes(u, "FLOAT");
  if (wants_declaration(u))
    return "a declaration (`use`, `const`, `config`, `let`, `data`, `fn`, `layer`, `model`, "
           "`optimizer`, `train` or `predict`)";
  if (takes(u, "minimize") && !name)
    return "a clause of a train block (`minimize`, `report`, ...), a setting (`batch 64`)";
  if (takes(u, "yield"))
    return "a statement";
  if (expression && takes(u, "..") && !takes(u, "not"))
    return "a dimension";
  if (expression && takes(u, "..") && takes(u, "_"))
    return "an index";
  if (expression)
    return "an expression";
  if (name && takes(u, "where") && takes(u, "let"))
    return "a field, a setting, `let`, `where`";
  if (name && takes(u, "fn"))
    return "a type";
  if (name && takes(u, "STRING"))
    return "a module (`std.layers`) or a file (`\"name.nn\"`)";
  if (name && takes(u, "("))
    return "a name, or names in parentheses";
  return name ? "a name" : NULL;
}

static bool is_soft_word(const char *name) {
  return strcmp(name, "in") == 0 || strcmp(name, "when") == 0 || strcmp(name, "every") == 0;
}

// Tokens worth naming, the likeliest first; operators that could go on are not.
static uint32_t expected_marks(const Surprise *u, bool class, const char **out, uint32_t room) {
  static const char *const order[] = {",",       ")", "]",  ">",    "=",    ":",    "{",
                                      "NEWLINE", "}", "in", "when", "over", "with", "every"};
  bool any_word = takes(u, "use") && takes(u, "minimize"); // `in` is then a name among others
  uint32_t n = 0;
  for (size_t i = 0; i < sizeof order / sizeof *order && n < room; i++)
    if (takes(u, order[i]) && !(any_word && is_soft_word(order[i])) &&
        !(strcmp(order[i], ">") == 0 && takes(u, "<")) && // there it is an operator
        !(strcmp(order[i], "NEWLINE") == 0 && class))
      out[n++] = strcmp(order[i], "NEWLINE") == 0 ? "a new line"
                                                  : arena_printf(u->p->s->perm, "`%s`", order[i]);
  return n;
}

static const char *expected_words(const Surprise *u) {
  const char *word[4];
  uint32_t n = 0;
  const char *class = expected_class(u);
  if (class)
    word[n++] = class;
  n += expected_marks(u, class, word + n, (class ? 2 : 4) - n);
  if (n == 0 && u->n > 0)
    word[n++] = u->n == 1 ? arena_printf(u->p->s->perm, "`%s`", u->expected[0]) : "something else";
  Text text = {.arena = u->p->s->perm};
  for (uint32_t i = 0; i < n; i++) {
    text_put(&text, i == 0 ? "" : i + 1 == n ? " or " : ", ");
    text_put(&text, word[i]);
  }
  return n ? text.at : "nothing more";
}

static Diagnostic *say(const Surprise *u, const char *text) {
  return syntax_error(u->p, u->found->span, "syntax", "%s", text);
}

static void help(const Surprise *u, Diagnostic *d, const char *text) {
  if (d)
    diag_note(u->p->s, d, (Span){0}, "%s", text);
}

// `x |> f / 255`, `a < b < c`: an operator after what can't be its operand.
static bool explain_operator(const Surprise *u) {
  const char *found = token_kind_name(u->found->kind);
  if (!is_operator(u->found->kind) || !takes(u, "|>"))
    return false;
  if (takes(u, "and")) {
    help(u,
         say(u, arena_printf(u->p->s->perm, "comparisons don't chain, found a second `%s`", found)),
         "write both: a < b and b < c");
    return true;
  }
  help(u,
       say(u, arena_printf(u->p->s->perm, "`%s` can't follow a stage of a pipe: `|>` binds loosest",
                           found)),
       arena_printf(u->p->s->perm, "put the pipe in parentheses: (x |> f) %s ...", found));
  return true;
}

// `index<10>=`: two tokens that the lexer takes for one.
static bool explain_angle(const Surprise *u) {
  if (u->found->kind != T_GE || !takes(u, ">"))
    return false;
  help(u, say(u, "expected `>`, found `>=`"), "write a space between them: index<10> = ...");
  return true;
}

static bool explain_two_on_a_line(const Surprise *u) {
  bool line = takes(u, "NEWLINE") && (takes(u, ";") || takes(u, "("));
  if (!line || u->found->first || !starts_statement(u->found->kind) || takes(u, "FLOAT") ||
      u->before == NULL || u->before->kind == T_NEWLINE || u->before->kind == T_SEMICOLON ||
      u->before->kind == T_LBRACE)
    return false;
  Diagnostic *d = say(u, arena_printf(u->p->s->perm, "expected a new line or `;` before %s",
                                      token_words(u->p, u->found)));
  const char *advice = syntax_advice(u);
  help(u, d, advice ? advice : "two statements on one line are parted by `;`");
  return true;
}

static bool explain_reserved(const Surprise *u) {
  if (!is_reserved(u->found->kind) || u->found->kind == T_HOLE || takes(u, "FLOAT") ||
      !takes(u, "NAME") || !takes(u, "minimize"))
    return false;
  const char *word = token_kind_name(u->found->kind);
  help(u,
       say(u, arena_printf(u->p->s->perm, "expected %s, found the reserved word `%s`",
                           expected_words(u), word)),
       takes(u, "report") && (u->found->kind == T_FOR || u->found->kind == T_IF)
           ? "a train block has no statements: `epochs 30` goes through the rows thirty times"
           : arena_printf(u->p->s->perm, "choose another name, such as `%s_`", word));
  return true;
}

// A word where a declaration, a clause or an item should begin: a near word is offered.
static void suggest_word(const Surprise *u, Diagnostic *d) {
  const char *word[64];
  uint32_t n = 0;
  if (!d || u->found->kind != T_NAME)
    return;
  for (int i = 0; i < u->n && n < 64; i++)
    if (u->expected[i][0] >= 'a' && u->expected[i][0] <= 'z')
      word[n++] = u->expected[i];
  const char *near = nearest_name(u->found->name, word, n);
  int next = u->found[1].kind;
  if (near && next != T_EQUALS && next != T_DOT && next != T_LPAREN)
    diag_note(u->p->s, d, (Span){0}, "did you mean `%s`?", near);
}

// The line before went on: where it was noticed is not where it is wrong.
static void point_back(const Surprise *u, Diagnostic *d) {
  if (!d || !u->found->first || !u->before || u->before->kind == T_NEWLINE || u->before->made)
    return;
  if (u->before->kind == T_LBRACE || u->before->kind == T_RBRACE)
    return;
  diag_note(u->p->s, d, u->before->span,
            takes(u, ",") ? "is a `,` missing after this?"
                          : "the line before goes on, as it ends here");
}

// Is it directly inside a round or square bracket of which we know that it is not closed?
static bool in_unclosed(const Parse *p) {
  for (uint32_t i = p->found; i-- > 0;) {
    const Token *t = &p->token.at[i];
    if (t->kind == T_RPAREN || t->kind == T_RBRACKET || t->kind == T_RBRACE)
      i = t->match;
    else if (t->kind == T_LBRACE)
      return false;
    else if (t->kind == T_LPAREN || t->kind == T_LBRACKET)
      if (t->made)
        return true;
  }
  return false;
}

static bool in_column_1(Parse *p, const Token *t) {
  uint32_t line, column;
  source_position(&p->s->source.at[p->file], t->span.start, &line, &column);
  return t->first && column == 1;
}

// What is left over of a declaration that was given up.
static bool is_consequence(const Surprise *u) {
  bool end = u->found->name && strcmp(u->found->name, "end") == 0; // do ... end
  return wants_declaration(u) && u->p->n_error &&
         (u->found->kind == T_RBRACE || end || !in_column_1(u->p, u->found));
}

// Does a declaration begin between two places?
static bool declaration_between(Parse *p, uint32_t from, uint32_t to) {
  for (uint32_t i = 0; i < p->token.n; i++) {
    const Token *t = &p->token.at[i];
    if (t->span.start > from && t->span.start < to && in_column_1(p, t) &&
        (t->kind == T_FN || t->kind == T_LET || (t->kind >= T_USE && t->kind <= T_PREDICT)))
      return true;
  }
  return false;
}

// A `}` too many; not where its `{` is what is missing, as has been said.
void report_strays(Parse *p) {
  for (uint32_t i = 0; i < p->stray.n; i++)
    if (!p->headless || p->stray.at[i].start < p->headless ||
        declaration_between(p, p->headless, p->stray.at[i].start))
      syntax_error(p, p->stray.at[i], "syntax", "this `}` closes nothing");
}

void report_unexpected(Parse *p, const char *const *expected, int n) {
  const Token *found = &p->token.at[p->found];
  Surprise u = {p, found, found > p->token.at ? found - 1 : NULL, expected, n};
  if (found->made || (u.before && u.before->kind == T_NN_error) || in_unclosed(p) ||
      is_consequence(&u))
    return;
  if (takes(&u, "{") && !takes(&u, "NEWLINE") && !takes(&u, "}"))
    p->headless = found->span.start + 1;
  if (explain_angle(&u) || explain_operator(&u) || explain_two_on_a_line(&u) ||
      explain_reserved(&u))
    return;
  Diagnostic *d = say(&u, arena_printf(p->s->perm, "expected %s, found %s", expected_words(&u),
                                       token_words(p, found)));
  const char *advice = syntax_advice(&u);
  if (advice)
    help(&u, d, advice);
  else
    suggest_word(&u, d);
  point_back(&u, d);
}
