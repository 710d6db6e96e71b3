// Builders of the tree, called by the grammar's actions, and the way into the parser.
#include "parse.h"
#include "nn.tab.h"

static uint32_t taller(uint32_t height, const Node *child) {
  return child && child->height > height ? child->height : height;
}

static uint32_t tallest(uint32_t height, NodeList list) {
  for (uint32_t i = 0; i < list.n; i++)
    height = taller(height, list.at[i]);
  return height;
}

// Every node passes here when its children are known. A tree that is too high becomes N_ERROR, so
// that whoever walks trees may recurse.
static Node *finish(Parse *p, Node *n) {
  uint32_t height = taller(0, n->a);
  height = taller(taller(height, n->b), n->c);
  height = taller(taller(height, n->type), n->body);
  height = tallest(tallest(tallest(height, n->list), n->params), n->params2);
  if (height >= MAX_HEIGHT) {
    report_too_deep(p, n->span);
    *n = (Node){.kind = N_ERROR, .span = n->span};
  }
  n->height = height >= MAX_HEIGHT ? 1 : height + 1;
  return n;
}

static Node *node_new(Parse *p, NodeKind kind, Span span) {
  Node *n = arena_new(p->s->perm, Node);
  n->kind = kind;
  n->span = span;
  n->height = 1;
  return n;
}

static void take_name(Node *n, const Node *name) {
  n->name = name->name;
  n->name_span = name->span;
  n->is_path = name->is_path;
}

static NodeList list_of(const NodeSeq *seq) {
  return seq ? (NodeList){seq->at, seq->n} : (NodeList){0};
}

NodeSeq *seq_new(Parse *p) {
  return arena_new(p->s->perm, NodeSeq);
}

NodeSeq *seq_add(Parse *p, NodeSeq *seq, Node *node) {
  if (node)
    buf_push(p->s->perm, seq, node);
  return seq;
}

NodeSeq *seq_before(Parse *p, Node *first, NodeSeq *rest) {
  NodeSeq *seq = seq_add(p, seq_new(p), first);
  for (uint32_t i = 0; i < rest->n; i++)
    seq_add(p, seq, rest->at[i]);
  return seq;
}

Node *ast_leaf(Parse *p, NodeKind kind, Span span) {
  return node_new(p, kind, span);
}

Node *ast_parenthesised(Span span, Node *e) {
  e->span = span;
  return e;
}

Node *ast_name(Parse *p, Span span, const char *name) {
  Node *n = node_new(p, N_NAME, span);
  n->name = name;
  n->name_span = span;
  return n;
}

Node *ast_path_more(Parse *p, Node *path, Node *name, Span span) {
  if (path->is_path)
    syntax_error(p, name->span, "syntax", "a file is named by its string alone");
  Node *n = ast_name(p, span, NULL);
  n->name = intern(p->s, arena_printf(p->s->perm, "%s.%s", path->name, name->name));
  return n;
}

Node *ast_path_string(Parse *p, Span span, const char *text) {
  Node *n = ast_name(p, span, text);
  n->is_path = true;
  return n;
}

Node *ast_list(Parse *p, NodeKind kind, Span span, NodeSeq *list) {
  Node *n = node_new(p, kind, span);
  n->list = list_of(list);
  return finish(p, n);
}

Node *ast_one(Parse *p, NodeKind kind, Span span, Node *a) {
  Node *n = node_new(p, kind, span);
  n->a = a;
  return finish(p, n);
}

Node *ast_file(Parse *p, Span span, NodeSeq *list) {
  return ast_list(p, N_FILE, span, list);
}

Node *ast_doc(Parse *p, Node *decl) {
  uint32_t low = 0, high = p->doc.n;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (p->doc.at[middle].at < decl->span.start)
      low = middle + 1;
    else
      high = middle;
  }
  if (low < p->doc.n && p->doc.at[low].at == decl->span.start)
    decl->doc = p->doc.at[low].text;
  return decl;
}

Node *ast_use(Parse *p, Span span, Node *path, NodeSeq *names, Node *alias) {
  Node *n = node_new(p, N_USE, span);
  take_name(n, path);
  n->list = list_of(names);
  n->alias = alias ? alias->name : NULL;
  return finish(p, n);
}

Node *ast_function(Parse *p, NodeKind kind, Span span, Node *name, NodeSeq *params,
                   NodeSeq *params2, Node *result, Node *body) {
  Node *n = node_new(p, kind, span);
  take_name(n, name);
  n->has_params = params != NULL;
  n->has_params2 = params2 != NULL;
  n->params = list_of(params);
  n->params2 = list_of(params2);
  n->type = result;
  n->body = body;
  return finish(p, n);
}

Node *ast_data(Parse *p, Span span, Node *name, Node *from, NodeSeq *list, Node *equals) {
  Node *n = node_new(p, N_DATA, span);
  take_name(n, name);
  n->a = from;
  n->b = equals;
  n->list = list_of(list);
  return finish(p, n);
}

Node *ast_train(Parse *p, NodeKind kind, Span span, Node *name, Node *on, NodeSeq *list) {
  Node *n = node_new(p, kind, span);
  take_name(n, name);
  n->a = on;
  n->list = list_of(list);
  return finish(p, n);
}

Node *ast_predict(Parse *p, Span span, Node *name, NodeSeq *params, Node *on, Node *body) {
  Node *n = node_new(p, N_PREDICT, span);
  take_name(n, name);
  n->has_params = params != NULL;
  n->params = list_of(params);
  n->a = on;
  n->body = body;
  return finish(p, n);
}

Node *ast_typed(Parse *p, NodeKind kind, Span span, Node *name, Node *type, Node *a) {
  Node *n = node_new(p, kind, span);
  take_name(n, name);
  n->type = type;
  n->a = a;
  return finish(p, n);
}

Node *ast_type(Parse *p, Span span, Node *name, Node *dim, NodeSeq *shape) {
  Node *n = node_new(p, N_TYPE, span);
  take_name(n, name);
  n->a = dim;
  n->has_shape = shape != NULL;
  n->list = list_of(shape);
  return finish(p, n);
}

Node *ast_type_word(Parse *p, Span span, const char *word) {
  return ast_type(p, span, ast_name(p, span, intern(p->s, word)), NULL, NULL);
}

Node *ast_binding(Parse *p, Span span, Node *pattern, Node *type, Node *value) {
  Node *n = node_new(p, N_BINDING, span);
  n->a = pattern;
  n->type = type;
  n->b = value;
  return finish(p, n);
}

// `(a)` is `a`: a tuple has two parts or more.
Node *ast_pattern_tuple(Parse *p, Span span, NodeSeq *list) {
  if (list->n == 1 && list->at[0]->kind == N_NAME)
    return list->at[0];
  return ast_list(p, N_TUPLE, span, list);
}

static bool is_assignable(const Node *n) {
  if (n->kind != N_TUPLE)
    return n->kind == N_NAME || n->kind == N_ERROR;
  for (uint32_t i = 0; i < n->list.n; i++)
    if (n->list.at[i]->kind != N_NAME)
      return false;
  return true;
}

Node *ast_assign(Parse *p, Span span, Node *left, Node *value) {
  if (!is_assignable(left)) {
    Diagnostic *d = syntax_error(
        p, left->span, "syntax",
        "expected a name or a tuple of names on the left of `=`, found another expression");
    if (d)
      diag_note(p->s, d, (Span){0},
                "a tensor isn't changed in its place: select(condition, a, b) and concat([a, b]) "
                "make new ones");
  }
  Node *n = node_new(p, N_ASSIGN, span);
  n->a = left;
  n->b = value;
  return finish(p, n);
}

Node *ast_minimize(Parse *p, Span span, bool maximize, Node *e, NodeSeq *over, Node *with) {
  Node *n = node_new(p, N_MINIMIZE, span);
  n->maximize = maximize;
  n->a = e;
  n->list = list_of(over);
  n->b = with;
  return finish(p, n);
}

Node *ast_report(Parse *p, NodeKind kind, Span span, NodeSeq *args, Node *every, Node *unit) {
  Node *n = node_new(p, kind, span);
  n->list = list_of(args);
  n->a = every;
  n->unit = unit ? unit->name : NULL;
  return finish(p, n);
}

Node *ast_int(Parse *p, Span span, int64_t value) {
  Node *n = node_new(p, N_INT, span);
  n->ival = value;
  return n;
}

Node *ast_float(Parse *p, Span span, double value) {
  Node *n = node_new(p, N_FLOAT, span);
  n->fval = value;
  return n;
}

Node *ast_bool(Parse *p, Span span, bool value) {
  Node *n = node_new(p, N_BOOL, span);
  n->ival = value;
  return n;
}

Node *ast_string(Parse *p, Span span, const char *text) {
  Node *n = node_new(p, N_STRING, span);
  n->name = text;
  return n;
}

Node *ast_arg(Parse *p, Span span, Node *keyword, Node *value) {
  Node *n = node_new(p, N_ARG, span);
  if (keyword)
    take_name(n, keyword);
  n->a = value;
  return finish(p, n);
}

Node *ast_apply(Parse *p, NodeKind kind, Span span, Node *callee, NodeSeq *list) {
  Node *n = node_new(p, kind, span);
  n->a = callee;
  n->list = list_of(list);
  return finish(p, n);
}

Node *ast_range(Parse *p, Span span, Node *from, Node *to) {
  Node *n = node_new(p, N_RANGE, span);
  n->a = from;
  n->b = to;
  return finish(p, n);
}

Node *ast_member(Parse *p, Span span, Node *a, Node *name) {
  Node *n = node_new(p, N_MEMBER, span);
  n->a = a;
  take_name(n, name);
  return finish(p, n);
}

Node *ast_unary(Parse *p, Span span, int op, Node *a) {
  Node *n = node_new(p, N_UNARY, span);
  n->op = op;
  n->a = a;
  return finish(p, n);
}

Node *ast_binary(Parse *p, int op, Span op_span, Node *a, Node *b) {
  Node *n = node_new(p, N_BINARY, span_join(a->span, b->span));
  n->op = op;
  n->name_span = op_span;
  n->a = a;
  n->b = b;
  return finish(p, n);
}

Node *ast_pipe(Parse *p, Span span, Span op_span, Node *a, Node *b, Node *alias) {
  Node *n = node_new(p, N_PIPE, span);
  n->name_span = op_span;
  n->a = a;
  n->b = b;
  n->alias = alias ? alias->name : NULL;
  return finish(p, n);
}

Node *ast_if(Parse *p, Span span, Node *condition, Node *yes, Node *no) {
  Node *n = node_new(p, N_IF, span);
  n->a = condition;
  n->b = yes;
  n->c = no;
  return finish(p, n);
}

Node *ast_loop(Parse *p, NodeKind kind, Span span, Node *pattern, Node *from, Node *to,
               NodeSeq *carries, Node *body) {
  Node *n = node_new(p, kind, span);
  n->a = pattern;
  n->b = from;
  n->c = to;
  n->list = list_of(carries);
  n->body = body;
  return finish(p, n);
}

Node *parse_part(Session *s, Span part) {
  Parse p = {.s = s, .file = part.file, .start = part.start, .end = part.end};
  scan_source(&p);
  filter_newlines(&p);
  nn_parse(&p);
  report_strays(&p);
  if (!p.root)
    p.root = ast_list(&p, N_FILE, part, NULL);
  p.root->span = part;
  return p.root;
}

Node *parse_source(Session *s, uint32_t file) {
  return parse_part(s, (Span){file, 0, s->source.at[file].n});
}
