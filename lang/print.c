// The tree and the tokens as text: `--emit=ast` and `--emit=tokens`. Stable: tests compare them.
#include "parse.h"
#include "nn.tab.h"

// The name of each kind, and what its children a, b, c and list are called where one must tell
// them apart.
static const struct {
  const char *name, *a, *b, *c, *list;
} kinds[] = {
    [N_FILE] = {"FILE"},
    [N_USE] = {"USE"},
    [N_CONST] = {"CONST"},
    [N_CONFIG] = {"CONFIG"},
    [N_LET] = {"LET"},
    [N_FN] = {"FN"},
    [N_LAYER] = {"LAYER"},
    [N_MODEL] = {"MODEL"},
    [N_OPTIMIZER] = {"OPTIMIZER"},
    [N_DATA] = {"DATA", .a = "from", .b = "equals"},
    [N_TRAIN] = {"TRAIN", .a = "on"},
    [N_PREDICT] = {"PREDICT", .a = "on"},
    [N_PARAMETER] = {"PARAMETER", .a = "default"},
    [N_TYPE] = {"TYPE", .a = "range"},
    [N_TYPE_TUPLE] = {"TYPE_TUPLE"},
    [N_DIM_REST] = {"DIM_REST"},
    [N_HOLE] = {"HOLE"},
    [N_BLOCK] = {"BLOCK"},
    [N_PARAM] = {"PARAM"},
    [N_STATE] = {"STATE"},
    [N_BINDING] = {"BINDING", .b = "value"},
    [N_YIELD] = {"YIELD"},
    [N_ASSIGN] = {"ASSIGN", .b = "value"},
    [N_FIELD] = {"FIELD", .a = "value"},
    [N_SETTING] = {"SETTING"},
    [N_WHERE] = {"WHERE"},
    [N_MINIMIZE] = {"MINIMIZE", .b = "with", .list = "over"},
    [N_REPORT] = {"REPORT", .a = "every"},
    [N_DRAW] = {"DRAW", .a = "every"},
    [N_STOP] = {"STOP"},
    [N_STEP] = {"STEP"},
    [N_NAME] = {"NAME"},
    [N_INT] = {"INT"},
    [N_FLOAT] = {"FLOAT"},
    [N_BOOL] = {"BOOL"},
    [N_STRING] = {"STRING"},
    [N_TUPLE] = {"TUPLE"},
    [N_ARRAY] = {"ARRAY"},
    [N_CALL] = {"CALL", .a = "callee"},
    [N_ARG] = {"ARG"},
    [N_INDEX] = {"INDEX", .a = "of"},
    [N_RANGE] = {"RANGE", .a = "from", .b = "to"},
    [N_MEMBER] = {"MEMBER"},
    [N_UNARY] = {"UNARY"},
    [N_BINARY] = {"BINARY"},
    [N_PIPE] = {"PIPE"},
    [N_IF] = {"IF", .a = "condition", .b = "then", .c = "else"},
    [N_FOR] = {"FOR", .b = "in", .c = "to", .list = "with"},
    [N_SCAN] = {"SCAN", .b = "in", .c = "to", .list = "with"},
    [N_ERROR] = {"ERROR"},
};

const char *node_kind_name(NodeKind kind) {
  return kinds[kind].name;
}

static void put_quoted(Text *out, const char *text) {
  text_put(out, "\"");
  for (; *text; text++) {
    if (*text == '\n' || *text == '\t' || *text == '\r')
      text_put(out, *text == '\n' ? "\\n" : *text == '\t' ? "\\t" : "\\r");
    else
      text_printf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
  }
  text_put(out, "\"");
}

static void put_operator(Text *out, int op) {
  static const char *const words[] = {"not", "and", "or", "==", "!=", "<=", ">="};
  if (op >= OP_NOT)
    text_printf(out, " %s", words[op - OP_NOT]);
  else
    text_printf(out, " %c", op);
}

// What the node says besides its children.
static void put_facts(Text *out, const Node *n) {
  if (n->name) {
    text_put(out, " ");
    if (n->is_path || n->kind == N_STRING)
      put_quoted(out, n->name);
    else
      text_put(out, n->name);
  }
  if (n->kind == N_INT || n->kind == N_BOOL)
    text_printf(out, " %lld", (long long)n->ival);
  if (n->kind == N_FLOAT)
    text_printf(out, " %.17g", n->fval);
  if (n->op)
    put_operator(out, n->op);
  if (n->alias)
    text_printf(out, " as %s", n->alias);
  if (n->unit)
    text_printf(out, " every %s", n->unit);
  if (n->maximize)
    text_put(out, " maximize");
  if (n->kind == N_TYPE && n->has_shape)
    text_put(out, " []");
  if (n->has_params && n->params.n == 0)
    text_put(out, " ()");
  if (n->has_params2 && n->params2.n == 0)
    text_put(out, " second ()");
  if (n->doc) {
    text_put(out, " doc ");
    put_quoted(out, n->doc);
  }
}

static void put_node(Text *out, const char *role, const Node *n, int depth);

static void put_list(Text *out, const char *role, NodeList list, int depth) {
  for (uint32_t i = 0; i < list.n; i++)
    put_node(out, role, list.at[i], depth);
}

static void put_node(Text *out, const char *role, const Node *n, int depth) {
  if (!n)
    return;
  text_printf(out, "%*s", depth * 2, "");
  if (role)
    text_printf(out, "%s: ", role);
  text_put(out, kinds[n->kind].name);
  put_facts(out, n);
  text_printf(out, " %u..%u\n", n->span.start, n->span.end);
  put_list(out, "parameter", n->params, depth + 1);
  put_list(out, "second", n->params2, depth + 1);
  bool loop = n->kind == N_FOR || n->kind == N_SCAN || n->kind == N_BINDING;
  if (!loop) // a binding's type comes after its pattern
    put_node(out, "type", n->type, depth + 1);
  put_node(out, kinds[n->kind].a, n->a, depth + 1);
  if (loop)
    put_node(out, "type", n->type, depth + 1);
  bool with_last = n->kind == N_MINIMIZE;
  if (with_last)
    put_list(out, kinds[n->kind].list, n->list, depth + 1);
  put_node(out, kinds[n->kind].b, n->b, depth + 1);
  put_node(out, kinds[n->kind].c, n->c, depth + 1);
  if (!with_last)
    put_list(out, kinds[n->kind].list, n->list, depth + 1);
  put_node(out, "body", n->body, depth + 1);
}

void print_ast(const Node *node, Text *out) {
  put_node(out, NULL, node, 0);
}

void print_tokens(Session *s, uint32_t file, Text *out) {
  Parse p = parse_whole(s, file);
  scan_source(&p);
  filter_newlines(&p);
  const char *source = s->source.at[file].text;
  for (uint32_t i = 0; i < p.token.n; i++) {
    const Token *t = &p.token.at[i];
    text_printf(out, "%u..%u %s", t->span.start, t->span.end, token_kind_name(t->kind));
    if (t->kind == T_NAME || t->kind == T_INT || t->kind == T_FLOAT || t->kind == T_STRING) {
      text_put(out, " ");
      text_putn(out, source + t->span.start, t->span.end - t->span.start);
    }
    text_put(out, "\n");
  }
}
