// Advice under a syntax error: what people mean who write so, mostly out of habit from another
// language. In: the surprise. Out: one line for `help`, or NULL. Each habit is a function; the
// first that knows the case speaks.
#include "surprise.h"

#include "foreign.h"
#include "nn.tab.h"

#include <string.h>

#define SAY(...) arena_printf(u->p->s->perm, __VA_ARGS__)

static bool is_word(const Token *t) {
  return t && t->name && t->kind != T_STRING;
}

static bool adjacent(const Token *a, const Token *b) {
  return a && a->span.end == b->span.start;
}

static const Token *line_start(const Surprise *u) {
  const Token *t = u->found;
  while (t > u->p->token.at && !t->first)
    t--;
  return t;
}

// def, return, while, lambda, elif: found, or just read as a name.
static const char *foreign_word(const Surprise *u) {
  const char *advice = u->found->kind == T_NAME ? foreign_name(u->found->name) : NULL;
  if (!advice && is_word(u->before) && !u->found->first)
    advice = foreign_name(u->before->name);
  return advice;
}

// loss.backward(), optimizer.step(), optimizer.zero_grad()
static const char *training_loop(const Surprise *u) {
  const Token *t = line_start(u);
  if (!is_word(t) || t[1].kind != T_DOT || !is_word(&t[2]))
    return NULL;
  const char *name = t[2].name;
  if (strcmp(name, "backward") && strcmp(name, "step") && strcmp(name, "zero_grad"))
    return NULL;
  return "gradients and updates are made by `minimize LOSS with OPTIMIZER`: leave it out";
}

static const char *declaration(const Surprise *u) {
  if (!wants_declaration(u) || !is_word(u->found))
    return NULL;
  const char *name = u->found->name;
  switch (u->found[1].kind) {
  case T_EQUALS:
    return SAY("write `const %s = ...`, or `config` for a flag of the trainer, `let` for a value",
               name);
  case T_DOT:
    if (is_word(&u->found[2]) && foreign_method(u->found[2].name))
      return foreign_method(u->found[2].name);
    // fall through
  case T_LPAREN:
    return "nothing is called outside of blocks; a network is trained by `train NAME on DATA { ... "
           "}`";
  }
  return NULL;
}

static const char *token_text(const Surprise *u, const Token *t) {
  const Source *source = &u->p->s->source.at[u->p->file];
  return arena_strndup(u->p->s->perm, source->text + t->span.start, t->span.end - t->span.start);
}

// `epochs = 30` in a train block; `x: f32 = 1` in a function.
static const char *setting(const Surprise *u) {
  if ((u->found->kind != T_EQUALS && u->found->kind != T_COLON) || !is_word(u->before) ||
      !u->before->first)
    return NULL;
  const char *name = u->before->name;
  if (!takes(u, "FLOAT"))
    return u->found->kind == T_COLON && takes(u, "=")
               ? SAY("a value is named by `let`: let %s: ...", name)
               : NULL;
  const char *advice = foreign_setting(name), *value = token_text(u, &u->found[1]);
  return advice ? advice
                : SAY("in a train block a setting stands before its value: `%s %s`, not `%s %s %s`",
                      name, value, name, token_kind_name(u->found->kind), value);
}

static const char *clause(const Surprise *u) {
  if (u->found->kind == T_OVER && line_start(u)->kind == T_MINIMIZE)
    return "`over` stands before `with`: minimize LOSS over PARTS with OPTIMIZER";
  if (takes(u, "minimize") && !takes(u, "FLOAT") && is_word(u->found))
    return foreign_setting(u->found->name);
  if (takes(u, "when") && u->before && u->before->kind == T_STOP)
    return "the condition follows `when`: stop when stalled(val.loss, 3)";
  if (u->found->kind == T_WITH && u->found->first)
    return "`with` belongs to loops and `minimize`; what has no gradient is stop_gradient(x)";
  if (takes(u, "with") && takes(u, "over") && !u->found->first)
    return "the optimizer follows `with`: minimize LOSS with adam(0.001)";
  return NULL;
}

static bool is_element(const Token *t) {
  return is_word(t) && (!strcmp(t->name, "f32") || !strcmp(t->name, "index") ||
                        !strcmp(t->name, "bool") || !strcmp(t->name, "int"));
}

static const char *block_start(const Surprise *u) {
  if (!takes(u, "{") || takes(u, "FLOAT"))
    return NULL;
  const Token *start = line_start(u);
  if (is_word(u->found) && (!strcmp(u->found->name, "do") || !strcmp(u->found->name, "begin")))
    return "a block begins with `{` and ends with `}`";
  switch (u->found->kind) {
  case T_COLON:
    if (takes(u, "->") && !u->found[1].first && is_element(&u->found[1]))
      return "the type of the result follows `->`: model Net(x: f32[4]) -> f32[3] { ... }";
    return "a block stands in braces, `{ ... }`, without a colon";
  case T_EQUALS:
    if (start->kind == T_IF || (u->before && !takes(u, "->") && takes(u, "|>")))
      return "equality is written `==`";
    return "what it computes stands in braces: model Net(x: f32[4]) -> f32[3] { ... }";
  case T_NEWLINE:
    return "a block stands in braces: `{ ... }`";
  }
  if (u->before && u->before->kind == T_ON && u->before > u->p->token.at &&
      (u->before[-1].kind == T_TRAIN || u->before[-1].kind == T_PREDICT))
    return SAY("the block needs a name of its own: %s NAME on %s { ... }", u->before[-1].name,
               is_word(u->found) ? u->found->name : "DATA");
  return NULL;
}

// f32(4); train: csv(...); f32[4] x
static const char *type(const Surprise *u) {
  const Token *name = u->before;
  if (!is_word(name) || name == u->p->token.at)
    return NULL;
  bool basic = is_element(name);
  bool after_colon = name[-1].kind == T_COLON || name[-1].kind == T_ARROW;
  if (u->found->kind == T_LPAREN && after_colon && basic)
    return SAY("a shape stands in square brackets: %s[28, 28]", name->name);
  if (u->found->kind == T_LPAREN && name[-1].kind == T_COLON && name > u->p->token.at + 1 &&
      is_word(&name[-2]))
    return SAY("after `:` stands a type, after `=` a value: %s = %s(...)", name[-2].name,
               name->name);
  if ((u->found->kind == T_LBRACKET || is_word(u->found)) && basic && takes(u, ":"))
    return SAY("the name comes first: x: %s", name->name);
  return NULL;
}

static const char *operator(const Surprise *u) {
  switch (u->found->kind) {
  case T_GT:
    if (adjacent(u->before, u->found) && u->before->kind == T_GT)
      return "the pipe is written `|>`";
    if (adjacent(u->before, u->found) && u->before->kind == T_LT)
      return "`not equal` is written `!=`";
    break;
  case T_EQ:
    if (takes(u, "="))
      return "a value is given by `=`; `==` compares";
    break;
  case T_AT:
    if (u->found->first)
      return "there are no decorators: leave it out";
    break;
  case T_EQUALS:
    if (takes(u, ">") && !takes(u, "<")) // there it is an operator
      return "how many things it is one of stands in < >: index<3>";
    if (u->before && u->before->kind == T_REPORT)
      return "`report` has no `=`: report accuracy(scores, label)";
    break;
  case T_DOT:
    if (u->before && u->before->kind == T_DOTS)
      return "all other axes are two points: x[.., 0]";
    break;
  case T_RBRACE:
  case T_NEWLINE:
    if (u->before && u->before->kind == T_PERCENT)
      return "`%` is the rest of a division: a fifth is written 0.2";
    break;
  case T_COLON:
    if (takes(u, "]"))
      return "a range is written with two points: x[0..4]";
    break;
  }
  return NULL;
}

static const char *comma(const Surprise *u) {
  if (u->found->kind == T_COMMA && takes(u, "NEWLINE"))
    return "items stand on lines of their own, or are parted by `;`: no comma";
  if (u->before && u->before->kind == T_COMMA && u->found->kind == T_RPAREN)
    return "there are no tuples of one: a list is [4], a number 4";
  return NULL;
}

static const char *no_value(const Surprise *u) {
  const Token *start = line_start(u);
  if (!takes(u, "=") || (u->found->kind != T_NEWLINE && u->found->kind != T_RBRACE) ||
      (start->kind != T_PARAM && start->kind != T_STATE))
    return NULL;
  return SAY("it begins with a value: %s",
             start->kind == T_PARAM ? "... = glorot_uniform, or zeros" : "... = zeros");
}

static const char *no_name(const Surprise *u) {
  bool declares = u->before && (u->before->kind == T_STEP || u->before->kind == T_DATA ||
                                u->before->kind == T_TRAIN || u->before->kind == T_MODEL ||
                                u->before->kind == T_LAYER || u->before->kind == T_PREDICT);
  bool opens = u->found->kind == T_LBRACE || u->found->kind == T_LPAREN;
  return declares && opens && u->before->first
             ? SAY("it needs a name: %s NAME %s ...", u->before->name,
                   token_kind_name(u->found->kind))
             : NULL;
}

static const char *misplaced_keyword(const Surprise *u) {
  if (u->found->kind == T_FOR && takes(u, "]"))
    return "`for` gives a list by itself: for i in 0..3 { yield ... }";
  if (u->found->kind == T_IF && !u->found->first && takes(u, "NEWLINE"))
    return "the condition comes first: if c { a } else { b }; or, for values, select(c, a, b)";
  if (u->found->kind == T_STRING && adjacent(u->before, u->found) && is_word(u->before))
    return "a string has no prefix, and nothing is put into it";
  return NULL;
}

// `minimise loss with adam`: an unknown word at the start of the line was read as a setting.
static const char *first_word(const Surprise *u) {
  static const char *const words[] = {"minimize", "maximize", "report", "draw", "stop"};
  const Token *start = line_start(u);
  if (start == u->found || start->kind != T_NAME || !takes(u, "NEWLINE"))
    return NULL;
  const char *near = nearest_name(start->name, words, 5);
  return near ? SAY("is `%s` meant for `%s`?", start->name, near) : NULL;
}

// adam 0.01: of a function or optimizer, after `with`.
static const char *bare_argument(const Surprise *u) {
  bool number = u->found->kind == T_INT || u->found->kind == T_FLOAT;
  bool name = u->before && u->before->kind == T_NAME && u->before > u->p->token.at;
  if (!number || u->found->first || !name || u->before->first ||
      (u->before[-1].kind != T_WITH && u->before[-1].kind != T_PIPE))
    return NULL;
  return SAY("settings stand in parentheses: %s(%s)", u->before->name, token_text(u, u->found));
}

static const char *missing_comma(const Surprise *u) {
  bool list = takes(u, ",") && (takes(u, ")") || takes(u, "]")) && !takes(u, "FLOAT");
  bool item = is_word(u->found) || u->found->kind == T_INT || u->found->kind == T_FLOAT ||
              u->found->kind == T_STRING || u->found->kind == T_LBRACKET;
  return list && item && !u->found->first ? "is a `,` missing before it?" : NULL;
}

const char *syntax_advice(const Surprise *u) {
  static const char *(*const habit[])(const Surprise *) = {training_loop,
                                                           operator, setting,
                                                           clause,
                                                           foreign_word,
                                                           declaration,
                                                           block_start,
                                                           type,
                                                           comma,
                                                           misplaced_keyword,
                                                           first_word,
                                                           missing_comma,
                                                           bare_argument,
                                                           no_value,
                                                           no_name};
  for (size_t i = 0; i < sizeof habit / sizeof *habit; i++) {
    const char *advice = habit[i](u);
    if (advice)
      return advice;
  }
  return NULL;
}
