// Warnings about names: declared and never mentioned, hidden by `let` before any use (rule 13), a
// const in a type where a variable may be meant (rule 11). By the text alone: a branch that is not
// taken still counts as a use.
#include "pass/elaborate_core.h"

typedef struct {
  const Node *skip; // the declaration itself
  const char *name;
} Search;

static bool mentions(const Node *n, const Search *s);

static bool list_mentions(NodeList list, const Search *s) {
  for (uint32_t i = 0; i < list.n; i++)
    if (mentions(list.at[i], s))
      return true;
  return false;
}

// Names are declared by bindings, parameters and patterns, mentioned everywhere else.
static bool mentions(const Node *n, const Search *s) {
  if (!n || n == s->skip)
    return false;
  bool uses_name = n->kind == N_NAME || n->kind == N_MEMBER || n->kind == N_FIELD;
  if (uses_name && n->name == s->name)
    return true;
  const Node *pattern = n->kind == N_BINDING || n->kind == N_FOR || n->kind == N_SCAN ? n->a : NULL;
  if (n->a != pattern && mentions(n->a, s))
    return true;
  return mentions(n->b, s) || mentions(n->c, s) || mentions(n->type, s) || mentions(n->body, s) ||
         list_mentions(n->list, s) || list_mentions(n->params, s) || list_mentions(n->params2, s);
}

// How often each name is mentioned in a tree: for the names of a file, which may be many.
static void count_mentions(Elab *e, const Node *n, NameNumbers *count) {
  if (!n)
    return;
  if (n->name && (n->kind == N_NAME || n->kind == N_MEMBER || n->kind == N_FIELD))
    names_set(e->s->perm, count, n->name, names_get(count, n->name) + 1);
  bool pattern = n->kind == N_BINDING || n->kind == N_FOR || n->kind == N_SCAN;
  const Node *child[] = {pattern ? NULL : n->a, n->b, n->c, n->type, n->body};
  for (int i = 0; i < 5; i++)
    count_mentions(e, child[i], count);
  const NodeList list[] = {n->list, n->params, n->params2};
  for (int i = 0; i < 3; i++)
    for (uint32_t k = 0; k < list[i].n; k++)
      count_mentions(e, list[i].at[k], count);
}

static Diagnostic *warn_name(Elab *e, const char *what, const char *name, Span span) {
  return diag_warning(e->s, span, "unused", "the %s `%s` is never used", what, name);
}

static void advise(Elab *e, Diagnostic *d, const char *name) {
  diag_note(e->s, d, (Span){0}, "leave it out, or call it `_%s` if it is meant", name);
}

static void warn(Elab *e, const Node *within, const Node *skip, const char *what, const char *name,
                 Span span) {
  Search s = {skip, name};
  if (*name == '_' || mentions(within, &s))
    return;
  Diagnostic *d = warn_name(e, what, name, span);
  if (skip->kind == N_USE)
    diag_note(e->s, d, (Span){0}, "leave it out of `use`");
  else
    advise(e, d, name);
}

static void warn_pattern(Elab *e, const Node *within, const Node *binding, const char *what) {
  const Node *pattern = binding->a;
  if (pattern->kind == N_NAME)
    warn(e, within, binding, what, pattern->name, pattern->span);
  for (uint32_t i = 0; pattern->kind == N_TUPLE && i < pattern->list.n; i++)
    if (pattern->list.at[i]->kind == N_NAME)
      warn(e, within, binding, what, pattern->list.at[i]->name, pattern->list.at[i]->span);
}

// Lets of a body, however deep. `decl`: where a use may stand.
static void warn_lets(Elab *e, const Node *decl, const Node *n) {
  if (!n)
    return;
  if (n->kind == N_LET || n->kind == N_PARAM)
    for (uint32_t i = 0; i < n->list.n; i++)
      if (n->list.at[i]->kind == N_BINDING)
        warn_pattern(e, decl, n->list.at[i], n->kind == N_LET ? "value" : "param");
  const Node *parts[] = {n->a, n->b, n->c, n->body};
  for (int i = 0; i < 4; i++)
    warn_lets(e, decl, parts[i]);
  for (uint32_t i = 0; i < n->list.n; i++)
    warn_lets(e, decl, n->list.at[i]);
}

// Settings and inputs. An argument of a fn may be there for the sake of who calls it.
static void warn_inputs(Elab *e, const Node *decl) {
  for (uint32_t i = 0; i < decl->params.n; i++)
    warn(e, decl, decl->params.at[i], decl->has_params2 ? "setting" : "input",
         decl->params.at[i]->name, decl->params.at[i]->span);
  for (uint32_t i = 0; i < decl->params2.n; i++)
    warn(e, decl, decl->params2.at[i], "input", decl->params2.at[i]->name,
         decl->params2.at[i]->span);
}

// ---- rule 13: `let` may give a name to another value, once the old one was used -----------------

// What stands in a block, in order: statements, and each binding of a `let` for itself.
typedef BUF(const Node *) Steps;

static Steps steps_of(Elab *e, const Node *block) {
  Steps steps = {0};
  for (uint32_t i = 0; i < block->list.n; i++) {
    const Node *stmt = block->list.at[i];
    for (uint32_t k = 0; stmt->kind == N_LET && k < stmt->list.n; k++)
      buf_push(e->s->perm, &steps, stmt->list.at[k]);
    if (stmt->kind != N_LET)
      buf_push(e->s->perm, &steps, stmt);
  }
  return steps;
}

static bool declares(const Node *step, const char *name) {
  return step->kind == N_BINDING && step->a->kind == N_NAME && step->a->name == name;
}

// `name` was declared before steps[from]: is it declared again before anything mentions it?
static void warn_hidden(Elab *e, const Steps *steps, uint32_t from, const char *what,
                        const char *name, Span old) {
  Search s = {NULL, name};
  for (uint32_t i = from; i < steps->n && *name != '_'; i++) {
    if (mentions(steps->at[i], &s))
      return;
    if (!declares(steps->at[i], name))
      continue;
    bool later = false; // a name that nothing mentions is reported as such
    for (uint32_t k = i + 1; k < steps->n; k++)
      later |= mentions(steps->at[k], &s);
    if (!later)
      return;
    Diagnostic *d = warn_name(e, what, name, old);
    diag_note(e->s, d, steps->at[i]->span, "from here on the name means another value");
    diag_note(e->s, d, (Span){0}, "leave the first one out, or give the second another name");
    return;
  }
}

static void warn_hidden_in(Elab *e, const Node *n) {
  if (!n)
    return;
  if (n->kind == N_BLOCK) {
    Steps steps = steps_of(e, n);
    for (uint32_t i = 0; i < steps.n; i++)
      if (steps.at[i]->kind == N_BINDING && steps.at[i]->a->kind == N_NAME)
        warn_hidden(e, &steps, i + 1, "value", steps.at[i]->a->name, steps.at[i]->a->span);
  }
  const Node *parts[] = {n->a, n->b, n->c, n->body};
  for (int i = 0; i < 4; i++)
    warn_hidden_in(e, parts[i]);
  for (uint32_t i = 0; i < n->list.n; i++)
    warn_hidden_in(e, n->list.at[i]);
}

static void warn_hidden_params(Elab *e, const Node *decl, NodeList params) {
  Steps steps = steps_of(e, decl->body);
  for (uint32_t i = 0; i < params.n; i++)
    warn_hidden(e, &steps, 0, "argument", params.at[i]->name, params.at[i]->span);
}

// ---- rule 11: `const n = 3` makes f32[n] one size --------------------------------------------

static bool names_param(const Node *decl, const char *name) {
  for (uint32_t i = 0; i < decl->params.n; i++)
    if (decl->params.at[i]->name == name)
      return true;
  return false;
}

static const Node *captured(NodeList params, const char *name) {
  for (uint32_t i = 0; i < params.n; i++) {
    const Node *type = params.at[i]->type;
    for (uint32_t k = 0; type && k < type->list.n; k++)
      if (type->list.at[k]->kind == N_NAME && type->list.at[k]->name == name)
        return type->list.at[k];
  }
  return NULL;
}

// Once for a const. Models take the program's own sizes; layers and functions take any.
static void warn_captured(Elab *e, const Node *file, const Node *name) {
  if (name->kind != N_NAME || name->name[1])
    return;
  for (uint32_t i = 0; i < file->list.n; i++) {
    const Node *decl = file->list.at[i];
    if ((decl->kind != N_FN && decl->kind != N_LAYER) || names_param(decl, name->name))
      continue;
    const Node *dim = captured(decl->params, name->name);
    dim = dim ? dim : captured(decl->params2, name->name);
    if (!dim)
      continue;
    Diagnostic *d = diag_warning(e->s, dim->span, "const-in-type",
                                 "`%s` is a const, so this is one size, not any", name->name);
    diag_note(e->s, d, name->span, "the const");
    diag_note(e->s, d, (Span){0}, "a longer name for the const says that it is meant");
    return;
  }
}

// ---- all of them -------------------------------------------------------------------------------

static const char *binding_kind(const Node *decl) {
  return decl->kind == N_CONST ? "const" : decl->kind == N_CONFIG ? "config" : "value";
}

// A file without train and predict blocks is there to be used by others.
static bool only_for_others(const Node *file) {
  for (uint32_t i = 0; i < file->list.n; i++)
    if (file->list.at[i]->kind == N_TRAIN || file->list.at[i]->kind == N_PREDICT)
      return false;
  return true;
}

// `seen`: what is mentioned in the whole file.
static void warn_declaration(Elab *e, const Node *file, const Node *decl, const NameNumbers *seen) {
  NameNumbers own = {0};
  if (decl->name && decl->kind != N_USE) {
    count_mentions(e, decl, &own);
    if (names_get(seen, decl->name) > names_get(&own, decl->name))
      return;
  }
  switch ((int)decl->kind) {
  case N_CONST:
  case N_CONFIG:
  case N_LET:
    for (uint32_t i = 0; i < decl->list.n; i++)
      if (decl->list.at[i]->kind == N_BINDING)
        warn_pattern(e, file, decl->list.at[i], binding_kind(decl));
    break;
  case N_FN:
  case N_LAYER:
  case N_MODEL:
  case N_OPTIMIZER:
  case N_DATA:
    if (*decl->name != '_')
      advise(e,
             warn_name(e, decl->kind == N_DATA ? "data" : decl_kind(decl), decl->name,
                       decl->name_span),
             decl->name);
    break;
  case N_USE:
    for (uint32_t i = 0; i < decl->list.n; i++)
      warn(e, file, decl, "imported name", decl->list.at[i]->name, decl->list.at[i]->span);
    break;
  }
}

static bool has_body(const Node *decl) {
  return decl->kind == N_FN || decl->kind == N_LAYER || decl->kind == N_MODEL ||
         decl->kind == N_OPTIMIZER || decl->kind == N_PREDICT;
}

void warn_unused(Elab *e, Node *file) {
  NameNumbers seen = {0};
  bool others = only_for_others(file);
  count_mentions(e, file, &seen);
  for (uint32_t i = 0; i < file->list.n; i++) {
    const Node *decl = file->list.at[i];
    if (!others)
      warn_declaration(e, file, decl, &seen);
    if (has_body(decl) || decl->kind == N_TRAIN)
      warn_lets(e, decl, decl);
    if (decl->kind == N_LAYER || decl->kind == N_MODEL)
      warn_inputs(e, decl);
    if (has_body(decl)) {
      warn_hidden_in(e, decl->body);
      warn_hidden_params(e, decl, decl->params);
      warn_hidden_params(e, decl, decl->params2);
    }
    for (uint32_t k = 0; decl->kind == N_CONST && k < decl->list.n; k++)
      if (decl->list.at[k]->kind == N_BINDING)
        warn_captured(e, file, decl->list.at[k]->a);
  }
}
