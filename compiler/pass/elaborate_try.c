// Declarations that nothing uses: elaborated for their errors alone where their inputs' types say
// all sizes, else looked through for names that don't exist. Nothing of it is kept.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

enum { MAX_INPUTS = 16 };

// Arguments of the types that are written; false if they don't say all.
static bool inputs_of(Elab *e, Target *t, Scope *scope, NodeList params, Val *arg) {
  for (uint32_t i = 0; i < params.n; i++) {
    Node *p = params.at[i];
    Type type;
    if (!type_known(e, scope, p->type, &type))
      return false;
    type.batched = true;
    arg[i] = val_tensor(
        ir_add_arg(t->fn, type, (Port){.role = NNRT_COLUMN, .index = i, .name = p->name}));
    arg[i].span = p->span;
    arg[i].ones = literal_ones(p->type, &type, 0);
  }
  return true;
}

static bool settings_have_defaults(const Node *decl) {
  for (uint32_t i = 0; decl->has_params2 && i < decl->params.n; i++)
    if (!decl->params.at[i]->a)
      return false;
  return true;
}

static void try_decl(Elab *e, Scope *scope, Node *decl) {
  NodeList params = decl->has_params2 ? decl->params2 : decl->params;
  Val arg[MAX_INPUTS];
  if (params.n > MAX_INPUTS || params.n == 0 || !settings_have_defaults(decl))
    return;
  Target *t = target_begin(e, "trial");
  uint32_t errors = e->s->n_error, n_params = e->param.n, n_states = e->state.n;
  uint32_t n_row_states = e->row_state.n;
  uint32_t n_applied = e->applied.n, n_top = e->top.n;
  Val f = {.kind = V_FUNCTION, .decl = decl, .scope = scope};
  f = decl->has_params2       ? call_settle(e, f, decl, decl->name_span)
      : decl->kind == N_MODEL ? instance_at(e, f, decl)
                              : f;
  Scope *inner = f.kind == V_INSTANCE ? f.instance->bound : f.bound ? f.bound : scope;
  if (f.kind != V_ERROR && inputs_of(e, t, inner, params, arg))
    elab_apply(e, f, arg, params.n, (Span){0}, NULL);
  decl->elaborated |= e->s->n_error > errors;
  target_drop(t);
  e->param.n = n_params;
  e->state.n = n_states;
  e->row_state.n = n_row_states;
  e->applied.n = n_applied;
  e->top.n = n_top;
}

// Was an error reported that lies in the declaration? Names that are unknown follow from it.
static bool has_error(const Elab *e, const Node *decl) {
  for (uint32_t i = 0; i < e->s->diag.n; i++) {
    const Diagnostic *d = e->s->diag.at[i];
    if (d->severity == DIAG_ERROR && d->span.file == decl->span.file &&
        d->span.start >= decl->span.start && d->span.end <= decl->span.end)
      return true;
  }
  return false;
}

void try_unused(Elab *e, Scope *scope, const Node *file) {
  for (uint32_t i = 0; i < file->list.n; i++) {
    Node *decl = file->list.at[i];
    if (!decl->elaborated && (decl->kind == N_FN || decl->kind == N_LAYER || decl->kind == N_MODEL))
      try_decl(e, scope, decl);
  }
  for (uint32_t i = 0; i < file->list.n; i++)
    if (!file->list.at[i]->elaborated && !has_error(e, file->list.at[i]))
      check_names(e, scope, file->list.at[i]);
}
