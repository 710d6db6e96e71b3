// Transforms that are estimated on the training rows (rule 19): standardize, min_max without
// bounds, fill(mean). The estimates are states of the program, saved with the weights; a function
// per transform gives the trainer the values that they are estimated of.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

static bool kind_of(const char *name, uint32_t *kind) {
  static const char *const names[] = {"standardize", "min_max", "fill"}; // as NnrtFitKind
  for (*kind = 0; *kind < 3; ++*kind)
    if (strcmp(name, names[*kind]) == 0)
      return true;
  return false;
}

// ---- the estimates -----------------------------------------------------------------------------

static const char *state_path(Elab *e, const DataInfo *data, const Field *f, const char *what) {
  const char *path = format(e, "%s.%s.%s", data->name, f ? f->name : "series", what);
  for (uint32_t i = 0, k = 2; i < e->state.n; i++)
    if (strcmp(e->state.at[i]->path, path) == 0) {
      path = format(e, "%s.%s.%s_%u", data->name, f ? f->name : "series", what, k++);
      i = UINT32_MAX; // again from the start
    }
  return intern(e->s, path);
}

static Param *new_state(Elab *e, DataInfo *data, Node *node, const char *what, int64_t first,
                        Type type) {
  Param *p = arena_new(e->m->arena, Param);
  Node *init = arena_new(e->m->arena, Node);
  *init = (Node){.kind = N_INT, .span = node->span, .ival = first};
  *p = (Param){.path = state_path(e, data, data->computing, what),
               .type = type,
               .init = init,
               .scope = data_scope(data),
               .loc = elab_loc(e, node->span),
               .index = e->state.n,
               .is_state = true};
  buf_push(e->s->perm, &e->state, p);
  return p;
}

static Fitted *find_fit(DataInfo *data, const Node *node) {
  for (uint32_t i = 0; i < data->fit.n; i++)
    if (data->fit.at[i].node == node)
      return &data->fit.at[i];
  return NULL;
}

// In the data, or in the one that it is computed of.
static Fitted *find_stored_fit(DataInfo *data, const Node *node) {
  Fitted *f = find_fit(data, node);
  return f || data->part.n != 1 ? f : find_stored_fit(data->part.at[0], node);
}

static Fitted *fit_of(Elab *e, DataInfo *data, const FitCall *call, uint32_t kind, Type type,
                      bool pooled) {
  static const char *const what[][2] = {
      {"mean", "deviation"}, {"least", "greatest"}, {"fill", NULL}};
  Fitted *known = find_fit(data, call->node);
  if (known)
    return known;
  type.batched = false;
  if (pooled)
    type = type_scalar(type.elem);
  Fitted f = {call->node, call->operand, pooled ? NULL : data->computing, kind, pooled, {0}};
  for (uint32_t k = 0; k < 2 && what[kind][k]; k++)
    f.state[k] = new_state(e, data, call->node, what[kind][k], k, type);
  buf_push(e->m->arena, &data->fit, f);
  return &data->fit.at[data->fit.n - 1];
}

// ---- formulas ----------------------------------------------------------------------------------

static Value *estimate(Elab *e, const Fitted *f, uint32_t k, const Type *type) {
  return broadcast_to(e, elab_param(e, f->state[k]), type);
}

// (x - a) / (b - a), or (x - mean) / deviation; inverse: back.
static Value *scaled(Elab *e, const Fitted *f, Value *x, bool inverse) {
  Builder *b = &e->target->b;
  Value *from = estimate(e, f, 0, &x->type), *by = estimate(e, f, 1, &x->type);
  if (f->kind == NNRT_FIT_MIN_MAX)
    by = ir_binary(b, OP_sub, by, from);
  return inverse ? ir_binary(b, OP_add, ir_binary(b, OP_mul, x, by), from)
                 : ir_binary(b, OP_div, ir_binary(b, OP_sub, x, from), by);
}

// Missing values are the only ones that differ from themselves.
static Value *filled(Elab *e, Value *x, Value *with) {
  Builder *b = &e->target->b;
  return ir_select(b, ir_binary(b, OP_eq, x, x), x, with);
}

// Empty cells are no error.
static void see_missing(DataInfo *data) {
  if (!data->train.s.missing)
    data->train.s.missing = "";
  if (!data->validate.s.missing)
    data->validate.s.missing = data->train.s.missing;
  if (!data->test.s.missing)
    data->test.s.missing = data->train.s.missing;
}

static Val fill_value(Elab *e, DataInfo *data, const FitCall *call, Value *x) {
  Node *arg = call->argument;
  see_missing(data);
  for (uint32_t k = 0; k < data->side.n; k++)
    see_missing(data->side.at[k]);
  if (name_is(arg, "mean")) {
    Fitted *f = fit_of(e, data, call, NNRT_FIT_FILL, x->type, false);
    return val_tensor(filled(e, x, estimate(e, f, 0, &x->type)));
  }
  Value *with = elab_tensor(e, elab_expr(e, data_scope(data), arg, NULL), NULL, arg->span);
  if (!with)
    return val_error();
  if (with->type.rank || with->type.elem != x->type.elem) {
    diag_error(e->s, arg->span, "row-step", "fill(...) takes one number, or `mean`");
    return val_error();
  }
  return val_tensor(filled(e, x, broadcast_to(e, with, &x->type)));
}

Val fitted_value(Elab *e, DataInfo *data, const FitCall *call, Val v, bool pooled) {
  uint32_t kind;
  Value *x = elab_tensor(e, v, NULL, call->node->span);
  if (!x || !kind_of(call->name, &kind))
    return val_error();
  if (!elem_is_float(x->type.elem) || !x->type.batched) {
    diag_error(e->s, call->node->span, "row-step",
               "%s takes numbers that differ from row to row, "
               "found %s",
               call->name, val_text(e, v));
    return val_error();
  }
  at(e, call->node->span);
  Val r = kind == NNRT_FIT_FILL
              ? fill_value(e, data, call, x)
              : val_tensor(scaled(e, fit_of(e, data, call, kind, x->type, pooled), x, false));
  r.span = call->node->span;
  return r;
}

// ---- unscaled(y, field) ------------------------------------------------------------------------

static const Field *field_named(const DataInfo *data, const char *name) {
  for (uint32_t i = 0; i < data->field.n; i++)
    if (data->field.at[i].name == name)
      return &data->field.at[i];
  return NULL;
}

// Undoes the steps of the field's formula, the last one first, as far as they are fitted.
static Value *undo(Elab *e, DataInfo *data, Node *node, Value *y) {
  for (;;) {
    Fitted *f = find_stored_fit(data, node);
    if (!f && data->train.scaling && row_of(data, node))
      f = find_stored_fit(data, data->train.scaling);
    if (!f)
      return y;
    if (f->kind != NNRT_FIT_FILL)
      y = scaled(e, f, y, true);
    if (!f->operand)
      return y;
    node = f->operand;
  }
}

Val unscaled_value(Elab *e, Scope *scope, Node *call, Node *value, Node *name) {
  DataInfo *data = e->target->data;
  const Field *f = data && name && name->kind == N_NAME ? field_named(data, name->name) : NULL;
  if (!f || !f->node->a) {
    Diagnostic *d = elab_error(e, call->span, "wrong-arguments",
                               "unscaled takes a value and the field whose scaling it has");
    diag_note(e->s, d, (Span){0}, "unscaled(Price(x), price), in a block `on` the data");
    return val_error();
  }
  Val field = elab_name(e, scope, f->name, name->span);
  Val v = elab_expr(e, scope, value, NULL);
  Value *y = v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, value->span);
  if (!y || field.kind != V_TENSOR)
    return val_error();
  if (!type_same_shape(&y->type, &field.t->type) || y->type.elem != field.t->type.elem) {
    elab_error(e, call->span, "shape-mismatch", "the value is %s, but `%s` is %s", val_text(e, v),
               f->name, val_text(e, field));
    return val_error();
  }
  at(e, call->span);
  Value *x = undo(e, data, f->node->a, y);
  if (x != y)
    return val_tensor(x);
  bool each = data->part.n > 1;
  Diagnostic *d = elab_error(e, call->span, "row-step",
                             each ? "`%s` may be scaled in another way in each part of its data"
                                  : "`%s` is not scaled",
                             f->name);
  diag_note(e->s, d, f->node->span, "standardize or min_max, fitted to the data, would be here");
  diag_note(e->s, d, (Span){0},
            each ? "scale the field in the parts themselves, or predict on one of them"
                 : "leave unscaled(...) out, or scale the field: `%s: f32 = ... |> standardize`",
            f->name);
  return val_error();
}

// ---- the functions that the trainer estimates from
// -----------------------------------------------

static void push_fit(Elab *e, DataInfo *data, const Fitted *f, uint32_t function) {
  NnrtFit fit = {.data = data->index, .function = function, .kind = f->kind, .pooled = f->pooled};
  for (uint32_t k = 0; k < 2; k++)
    fit.state[k] = f->state[k] ? f->state[k]->index : NNRT_NONE;
  buf_push(e->m->arena, &program_of(e)->fit, fit);
}

static Val whole_window(Elab *e, DataInfo *data) {
  RowPart part = {.n = (uint32_t)data->train.s.window};
  uint32_t *place = arena_array(e->m->arena, uint32_t, part.n);
  for (uint32_t i = 0; i < part.n; i++)
    place[i] = i;
  part.place = place;
  return row_values(e, data, data->train.node, &part, NULL);
}

static void make_fit(Elab *e, DataInfo *data, uint32_t k) {
  const Fitted *f = &data->fit.at[k];
  Target *t = target_begin(e, format(e, "fit.%s.%u", data->name, k));
  t->data = data;
  t->fixed = 1;
  elab_data_scope(e, data, data->scope);
  Val v = f->pooled ? whole_window(e, data) : data_operand(e, data, f->field, f->operand);
  Value *x = v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, f->node->span);
  if (!x)
    return;
  Port port = {NNRT_OUTPUT, 0, intern(e->s, "values")};
  push_fit(e, data, f, target_end(t, &x, &port, 1));
}

void make_fits(Elab *e) {
  Program *p = program_of(e);
  for (uint32_t i = 0; i < p->used.n; i++)
    for (uint32_t k = 0; k < p->used.at[i]->fit.n; k++)
      make_fit(e, p->used.at[i], k);
}
