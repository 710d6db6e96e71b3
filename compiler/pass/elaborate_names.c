// Names in the body of a fn, layer, model or optimizer that is not elaborated, because nothing says
// its sizes: every one must mean something. Values stay unknown.
#include "pass/elaborate_core.h"

#include <string.h>

static void visit(Elab *e, Scope *scope, Node *n);

static void declare(Elab *e, Scope *scope, const Node *name) {
  if (name->kind == N_NAME)
    scope_put(e, scope, name->name, val_error(), name->span);
  for (uint32_t i = 0; name->kind == N_TUPLE && i < name->list.n; i++)
    declare(e, scope, name->list.at[i]);
}

// `training`, and in optimizers `step` and `epoch`: elab_name knows more than can be known here.
static bool is_special(const char *name) {
  return strcmp(name, "training") == 0 || strcmp(name, "step") == 0 || strcmp(name, "epoch") == 0 ||
         strcmp(name, "per_row") == 0;
}

static void visit_name(Elab *e, Scope *scope, const Node *n) {
  if (!scope_find(scope, n->name) && !is_special(n->name) && !builtin_find(e, n->name))
    unknown_name(e, scope, n->name, n->span);
}

static void visit_list(Elab *e, Scope *scope, NodeList list) {
  for (uint32_t i = 0; i < list.n; i++)
    visit(e, scope, list.at[i]);
}

static void visit_bindings(Elab *e, Scope *scope, Scope *into, NodeList list) {
  for (uint32_t i = 0; i < list.n; i++) {
    Node *binding = list.at[i];
    if (binding->kind != N_BINDING)
      continue;
    visit(e, scope, binding->type);
    visit(e, scope, binding->b);
    declare(e, into, binding->a);
  }
}

static void visit_loop(Elab *e, Scope *scope, Node *n) {
  Scope *loop = scope_new(e, scope);
  visit(e, scope, n->b);
  visit(e, scope, n->c);
  visit_bindings(e, scope, loop, n->list);
  declare(e, loop, n->a);
  visit(e, loop, n->body);
}

static void visit(Elab *e, Scope *scope, Node *n) {
  if (!n)
    return;
  switch ((int)n->kind) {
  case N_NAME:
    visit_name(e, scope, n);
    return;
  case N_BLOCK:
    visit_list(e, scope_new(e, scope), n->list);
    return;
  case N_LET:
  case N_PARAM:
  case N_STATE:
    visit_bindings(e, scope, scope, n->list);
    return;
  case N_FOR:
  case N_SCAN:
    visit_loop(e, scope, n);
    return;
  }
  visit(e, scope, n->a);
  visit(e, scope, n->b);
  visit(e, scope, n->c);
  visit_list(e, scope, n->list);
}

// Variables of an input's type: names that mean nothing yet (rule 11). Whether one stands alone
// somewhere, so that it gets a value, shows at a call.
static void declare_dims(Elab *e, Scope *scope, const Node *d) {
  if (!d)
    return;
  if (d->kind == N_NAME && !scope_find(scope, d->name))
    declare(e, scope, d);
  if (d->kind != N_CALL)
    declare_dims(e, scope, d->a);
  declare_dims(e, scope, d->b);
  for (uint32_t i = 0; i < d->list.n; i++)
    declare_dims(e, scope, d->list.at[i]);
}

static void visit_params(Elab *e, Scope *scope, NodeList params) {
  for (uint32_t i = 0; i < params.n; i++)
    declare_dims(e, scope, params.at[i]->type);
  for (uint32_t i = 0; i < params.n; i++) {
    visit(e, scope, params.at[i]->type);
    visit(e, scope, params.at[i]->a);
    scope_put(e, scope, params.at[i]->name, val_error(), params.at[i]->span);
  }
}

void check_names(Elab *e, Scope *file, Node *decl) {
  if (decl->kind != N_FN && decl->kind != N_LAYER && decl->kind != N_MODEL &&
      decl->kind != N_OPTIMIZER)
    return;
  Scope *scope = scope_new(e, file);
  visit_params(e, scope, decl->params);
  visit_params(e, scope, decl->params2);
  declare_dims(e, scope, decl->type); // an initialiser's are given by its use
  visit(e, scope, decl->type);
  visit(e, scope, decl->body);
}
