// Warnings about names that are declared and never mentioned. By the text alone: a branch that is
// not taken still counts as a use.
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

static void warn(Elab *e, const Node *within, const Node *skip, const char *what, const char *name,
                 Span span) {
  Search s = {skip, name};
  if (*name != '_' && !mentions(within, &s))
    diag_warning(e->s, span, "unused", "the %s `%s` is never used", what, name);
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
  if (n->kind == N_LET)
    for (uint32_t i = 0; i < n->list.n; i++)
      if (n->list.at[i]->kind == N_BINDING)
        warn_pattern(e, decl, n->list.at[i], "value");
  const Node *parts[] = {n->a, n->b, n->c, n->body};
  for (int i = 0; i < 4; i++)
    warn_lets(e, decl, parts[i]);
  for (uint32_t i = 0; i < n->list.n; i++)
    warn_lets(e, decl, n->list.at[i]);
}

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

static void warn_declaration(Elab *e, const Node *file, const Node *decl) {
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
    warn(e, file, decl, decl->kind == N_DATA ? "data" : decl_kind(decl), decl->name,
         decl->name_span);
    break;
  case N_USE:
    for (uint32_t i = 0; i < decl->list.n; i++)
      warn(e, file, decl, "imported name", decl->list.at[i]->name, decl->list.at[i]->span);
    break;
  }
}

void warn_unused(Elab *e, Node *file) {
  for (uint32_t i = 0; i < file->list.n; i++) {
    const Node *decl = file->list.at[i];
    if (!only_for_others(file))
      warn_declaration(e, file, decl);
    if (decl->kind == N_FN || decl->kind == N_LAYER || decl->kind == N_MODEL ||
        decl->kind == N_OPTIMIZER || decl->kind == N_TRAIN || decl->kind == N_PREDICT)
      warn_lets(e, decl, decl);
  }
}
