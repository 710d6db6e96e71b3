// The syntax tree of a .nn file. One node type; the table says which fields each kind uses.
#ifndef NNC_AST_H
#define NNC_AST_H

#include "support/session.h"

typedef struct Node Node;
typedef struct {
  Node **at;
  uint32_t n;
} NodeList;

typedef enum {
  // Declarations (items of N_FILE).
  N_FILE,   // list: declarations in source order
  N_USE,    // name: "std.layers" or the file's path; is_path: was a STRING; list: N_NAME imported;
            // alias: name after `as`, or NULL
  N_CONST,  // list: N_BINDING
  N_CONFIG, // list: N_BINDING
  N_LET,    // list: N_BINDING; top level, statement, data item or train item
  N_FN,     // name; params (first list), params2 (second list or has_params2 = false); type: result
  N_LAYER,  // or NULL; body: N_BLOCK
  N_MODEL,  // as N_FN
  N_OPTIMIZER, // as N_FN
  N_DATA,      // name; a: `from` expression or NULL; list: data items; or b: `data X = b`
  N_TRAIN,     // name; a: `on` expression or NULL; list: train items
  N_PREDICT,   // name; params (has_params says if written); a: `on` or NULL; body
  N_PARAMETER, // name; type or NULL; a: default or NULL

  // Types.
  N_TYPE, // name: f32, index, int, bool, fn, layer, "_" ...; a: the <dim> or NULL; list: dims;
          // has_shape: "[...]" was written
  N_TYPE_TUPLE, // list: types
  N_DIM_REST,   // ".." in a shape or in an index
  N_HOLE,       // "_" in a shape, an index or a pattern

  // Blocks and statements.
  N_BLOCK,   // list: statements
  N_PARAM,   // list: N_BINDING
  N_STATE,   // list: N_BINDING
  N_BINDING, // a: pattern (N_NAME or N_TUPLE of N_NAME/N_HOLE); type or NULL; b: value
  N_YIELD,   // a
  N_ASSIGN,  // a: N_NAME or N_TUPLE; b: value
             // any expression node: an expression statement

  // Items of data and train blocks (besides N_LET).
  N_FIELD,    // name; type; a: value or NULL
  N_SETTING,  // name; a: value             (`train = idx(...)`, `batch 64`)
  N_WHERE,    // a
  N_MINIMIZE, // a: expression; list: over; b: with or NULL; maximize: flag
  N_REPORT,   // list: N_ARG; a: `every` count or NULL; unit: the name after it
  N_DRAW,     // as N_REPORT
  N_STOP,     // a: condition
  N_STEP,     // name; list: train items

  // Expressions.
  N_NAME,   // name
  N_INT,    // ival
  N_FLOAT,  // fval
  N_BOOL,   // ival 0 or 1
  N_STRING, // name: the text without quotes, escapes resolved
  N_TUPLE,  // list (2 or more)
  N_ARRAY,  // list (1 or more)
  N_CALL,   // a: callee; list: N_ARG
  N_ARG,    // name: keyword or NULL (is_path: keyword was a STRING); a: value
  N_INDEX,  // a: what is indexed; list: expression | N_RANGE | N_DIM_REST | N_HOLE
  N_RANGE,  // a or NULL, b or NULL: a..b
  N_MEMBER, // a; name
  N_UNARY,  // op: '-' or OP_NOT; a
  N_BINARY, // op; a, b
  N_PIPE,   // a |> b; alias: name after `as`, or NULL
  N_IF,     // a: condition; b: N_BLOCK; c: N_BLOCK, N_IF or NULL
  N_FOR,    // pattern: a; b: collection or first bound; c: second bound (b..c) or NULL;
  N_SCAN,   // list: carries (N_BINDING); body

  N_ERROR, // what the parser could not read; already reported
} NodeKind;

// Operators that are not a single character; the others are their ASCII codes.
typedef enum { OP_NOT = 256, OP_AND, OP_OR, OP_EQ, OP_NE, OP_LE, OP_GE } Operator;

struct Node {
  NodeKind kind;
  Span span;      // the whole construct
  Span name_span; // of `name`, or of the operator in N_BINARY / N_PIPE
  const char *name, *alias, *unit;
  const char *doc; // text of the `///` lines before a declaration, or NULL
  int op;
  int64_t ival;
  double fval;
  bool is_path, has_params, has_params2, has_shape, maximize;
  bool elaborated; // by the compiler: the body of this declaration was looked at
  uint32_t height; // of the tree below it; the parser refuses more than 1000, so recursion is safe
  Node *a, *b, *c, *type, *body;
  NodeList list, params, params2;
};

// lang/nn.y. Never NULL: what can't be read is reported through `s` and left out or N_ERROR.
Node *parse_source(Session *s, uint32_t file);
// Some bytes of a file, whole declarations: an N_FILE of these.
Node *parse_part(Session *s, Span part);
// Some file could not be read to the end: what else might be found would be consequences.
bool has_syntax_errors(const Session *s);
// `--emit=tokens`: one token a line, as the grammar sees them.
void print_tokens(Session *s, uint32_t file, Text *out);
// `--emit=ast`: an indented tree, a node a line with its byte range.
void print_ast(const Node *node, Text *out);
// Equal but for places in the source.
bool same_tree(const Node *a, const Node *b);
// format.c: the file with its blanks settled, the same tree and comments; false: syntax errors.
bool format_source(Session *s, uint32_t file, Text *out);
// The name of a node kind as in print_ast, without "N_".
const char *node_kind_name(NodeKind kind);

#endif
