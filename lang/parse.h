// What lexer, newline filter, grammar, error messages and tree builders share. Nothing outside
// lang/ includes this; the parser's users see ast.h.
//
//   nn.l            bytes -> raw tokens, a newline being one of them
//   newline.c       raw tokens -> the tokens of the grammar: newlines that count, brackets that
//   pair nn.y            tokens -> calls of the builders below syntax_error.c  an unexpected token
//   -> words ast.c           the builders; parse_source print.c         print_tokens, print_ast
#ifndef NNC_PARSE_H
#define NNC_PARSE_H

#include "ast.h"

typedef struct {
  int kind; // T_... of nn.tab.h; T_YYEOF at the end; T_NN_error: reported, the parser recovers
  Span span;
  bool first;       // first on its line
  bool made;        // stands for something wrong that was reported: nothing more is said about it
  uint32_t match;   // of a bracket: index of its partner in the filtered list
  const char *name; // names, words, strings (unescaped): interned
  int64_t i;
  double f;
} Token;

typedef struct {
  uint32_t at;      // byte of the declaration's first token
  const char *text; // lines without `///` and one space, joined by newlines
} Doc;

typedef struct {
  Session *s;
  uint32_t file, start, end; // what is read: these bytes of it
  BUF(Token) token;
  BUF(Doc) doc;
  BUF(Span) comment;          // every comment in order, `///` too: what a formatter has to keep
  BUF(Span) stray;            // closers without an opener, not yet reported
  BUF(const char *) bad_name; // names in other letters than ours, each said once
  bool hash_comment;          // said once
  uint32_t headless;          // place + 1 of the last declaration whose `{` was missing
  uint32_t n_error;           // reported so far in this file; after MAX_SYNTAX_ERRORS silence
  bool too_deep;              // said once
  uint32_t found;             // token that the parser read last
  uint32_t next;              // and the one it reads next
  Node *root;
} Parse;

static inline Parse parse_whole(Session *s, uint32_t file) {
  return (Parse){.s = s, .file = file, .end = s->source.at[file].n};
}

enum { MAX_SYNTAX_ERRORS = 50, MAX_HEIGHT = 1000 };

// nn.l: appends all raw tokens, and the comments. Reports lexical errors.
void scan_source(Parse *p);
// newline.c: replaces raw tokens by those of the grammar.
void filter_newlines(Parse *p);
// syntax_error.c: NULL when enough has been said about this file.
Diagnostic *syntax_error(Parse *p, Span span, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// syntax_error.c: the token before p->next can't stand there; `expected` holds the grammar's names.
void report_unexpected(Parse *p, const char *const *expected, int n);
void report_strays(Parse *p); // syntax_error.c: p->stray, after parsing
void report_too_deep(Parse *p, Span span);
const char *token_kind_name(int kind); // nn.y: as in the grammar: "let", ")", "NAME"
const char *token_words(Parse *p,
                        const Token *token); // "`)`", "the name `x`", "the end of the line"

// A list under construction.
typedef BUF(Node *) NodeSeq;
NodeSeq *seq_new(Parse *p);
NodeSeq *seq_add(Parse *p, NodeSeq *seq, Node *node); // a NULL node adds nothing
NodeSeq *seq_before(Parse *p, Node *first, NodeSeq *rest);

// ast.c: one builder per construct. Names come as N_NAME nodes, whose text and span are taken over.
Node *ast_name(Parse *p, Span span, const char *name);
Node *ast_path_more(Parse *p, Node *path, Node *name, Span span);
Node *ast_path_string(Parse *p, Span span, const char *text);
Node *ast_list(Parse *p, NodeKind kind, Span span, NodeSeq *list);
Node *ast_one(Parse *p, NodeKind kind, Span span, Node *a); // kinds with a single child `a`
Node *ast_parenthesised(Span span, Node *e); // no node of its own; the span takes the brackets in
Node *ast_leaf(Parse *p, NodeKind kind, Span span);
Node *ast_file(Parse *p, Span span, NodeSeq *list);
Node *ast_doc(Parse *p, Node *decl); // gives the declaration its `///` text
Node *ast_use(Parse *p, Span span, Node *path, NodeSeq *names, Node *alias);
Node *ast_function(Parse *p, NodeKind kind, Span span, Node *name, NodeSeq *params,
                   NodeSeq *params2, Node *result, Node *body);
Node *ast_data(Parse *p, Span span, Node *name, Node *from, NodeSeq *list, Node *equals);
Node *ast_train(Parse *p, NodeKind kind, Span span, Node *name, Node *on, NodeSeq *list);
Node *ast_predict(Parse *p, Span span, Node *name, NodeSeq *params, Node *on, Node *body);
Node *ast_typed(Parse *p, NodeKind kind, Span span, Node *name, Node *type, Node *a);
Node *ast_type(Parse *p, Span span, Node *name, Node *dim, NodeSeq *shape);
Node *ast_type_word(Parse *p, Span span, const char *word);
Node *ast_binding(Parse *p, Span span, Node *pattern, Node *type, Node *value);
Node *ast_pattern_tuple(Parse *p, Span span, NodeSeq *list);
Node *ast_assign(Parse *p, Span span, Node *left, Node *value);
Node *ast_minimize(Parse *p, Span span, bool maximize, Node *e, NodeSeq *over, Node *with);
Node *ast_report(Parse *p, NodeKind kind, Span span, NodeSeq *args, Node *every, Node *unit);
Node *ast_int(Parse *p, Span span, int64_t value);
Node *ast_float(Parse *p, Span span, double value);
Node *ast_bool(Parse *p, Span span, bool value);
Node *ast_string(Parse *p, Span span, const char *text);
Node *ast_arg(Parse *p, Span span, Node *keyword, Node *value);
Node *ast_apply(Parse *p, NodeKind kind, Span span, Node *callee, NodeSeq *list);
Node *ast_range(Parse *p, Span span, Node *from, Node *to);
Node *ast_member(Parse *p, Span span, Node *a, Node *name);
Node *ast_unary(Parse *p, Span span, int op, Node *a);
Node *ast_binary(Parse *p, int op, Span op_span, Node *a, Node *b);
Node *ast_pipe(Parse *p, Span span, Span op_span, Node *a, Node *b, Node *alias);
Node *ast_if(Parse *p, Span span, Node *condition, Node *yes, Node *no);
Node *ast_loop(Parse *p, NodeKind kind, Span span, Node *pattern, Node *from, Node *to,
               NodeSeq *carries, Node *body);

#endif
