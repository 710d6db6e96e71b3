// Data blocks: settings, fields and the raw columns that the fields read. A field is a formula,
// computed inside each function that uses it; what is stored is the raw column.
#include "foreign.h"
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

// Functions on raw data that the language has and this compiler doesn't do yet.
static const char *const later_functions[] = {
    "augment", "recode",      "numeric_columns", "drop",  "drop_missing", "shuffled",
    "without", "standardize", "vocabulary",      "words", "lower",        "characters",
    "pad",     "resize",      "windows",         "fill",  "preprocess"};
static const char *const later_settings[] = {"take",   "cache",   "classes", "key",
                                             "weight", "shuffle", "balance", "names"};
static const char *const settings[] = {"train", "test", "validate", "rows"};

static bool one_of(const char *name, const char *const *names, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}
#define ONE_OF(name, names) one_of(name, names, sizeof(names) / sizeof *(names))

void elab_data_declare(Elab *e, Scope *scope, Node *decl) {
  DataInfo *data = arena_new(e->m->arena, DataInfo);
  data->name = decl->name;
  data->decl = decl;
  data->scope = scope;
  data->index = NNRT_NONE;
  buf_push(e->m->arena, &program_of(e)->data, data);
  Val v = {.kind = V_DATA, .data = data, .span = decl->name_span};
  scope_add(e, scope, decl->name, v, decl->name_span);
}

// ---- settings ----------------------------------------------------------------------------------

// `last(1000)`, `last(0.2)`: rows of the training source that are set aside.
static bool validate_last(Elab *e, DataInfo *data, Node *call) {
  Target *target = e->target;
  e->target = NULL;
  Node *arg = call->list.n == 1 ? call->list.at[0]->a : NULL;
  double n = 0;
  bool good =
      arg && elab_number(e, elab_expr(e, data->scope, arg, NULL), "last(...)", arg->span, &n);
  e->target = target;
  if (arg && !good)
    return false;
  if (arg && n > 0 && (n < 1 || n == (double)(int64_t)n)) {
    data->validate_last = n;
    return true;
  }
  Diagnostic *d = diag_error(e->s, call->span, "setting-value",
                             "last(...) takes a number of rows or a fraction below 1");
  diag_note(e->s, d, (Span){0}, "last(1000) is the last thousand rows, last(0.2) the last fifth");
  return false;
}

static bool set_validate(Elab *e, DataInfo *data, Node *value) {
  data->validate_span = value->span;
  if (value->kind == N_CALL && name_is(value->a, "last"))
    return validate_last(e, data, value);
  if (value->kind == N_CALL && name_is(value->a, "kfold")) {
    not_yet(e, value->span, "cross-validation, kfold(...)");
    return false;
  }
  return source_make(e, data, value, &data->validate);
}

static bool unknown_setting(Elab *e, Node *item) {
  if (ONE_OF(item->name, later_settings)) {
    not_yet(e, item->span, "the setting `%s` of a data block", item->name);
    return false;
  }
  Diagnostic *d =
      diag_error(e->s, item->name_span, "unknown-setting", "data has no setting `%s`", item->name);
  const char *near = nearest_name(item->name, settings, 4), *advice = foreign_setting(item->name);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else
    diag_note(e->s, d, (Span){0},
              "settings are train, test, validate and rows; a field is written with "
              "its type, `%s: f32 = ...`",
              item->name);
  return false;
}

static bool given_already(Elab *e, Span first, Node *item) {
  if (!first.file)
    return false;
  Diagnostic *d =
      diag_error(e->s, item->name_span, "duplicate-setting", "`%s` is given twice", item->name);
  diag_note(e->s, d, first, "first here");
  return true;
}

static bool resolve_setting(Elab *e, DataInfo *data, Node *item) {
  bool train = strcmp(item->name, "train") == 0 || strcmp(item->name, "rows") == 0;
  if (train)
    return !given_already(e, data->train.span, item) && source_make(e, data, item->a, &data->train);
  if (strcmp(item->name, "test") == 0)
    return !given_already(e, data->test.span, item) && source_make(e, data, item->a, &data->test);
  if (strcmp(item->name, "validate") == 0)
    return !given_already(e, data->validate_span, item) && set_validate(e, data, item->a);
  return unknown_setting(e, item);
}

// ---- items -------------------------------------------------------------------------------------

static bool later_function(Elab *e, Node *n) {
  if (!n)
    return false;
  if (n->kind == N_NAME && ONE_OF(n->name, later_functions)) {
    not_yet(e, n->span, "`%s`", n->name);
    return true;
  }
  if (n->kind == N_PIPE)
    return later_function(e, n->a) || later_function(e, n->b);
  return n->kind == N_CALL && later_function(e, n->a);
}

static bool field_type(Elab *e, DataInfo *data, Node *type, Type *out) {
  if (type->name && strcmp(type->name, "_") == 0) {
    not_yet(e, type->span, "a field of inferred type");
    return false;
  }
  uint32_t errors = e->s->n_error;
  *out = elab_type(e, data->scope, type);
  return e->s->n_error == errors;
}

// What is wrong with one field is said here, once; the others go on.
static Field make_field(Elab *e, DataInfo *data, Node *node, const char *name, Node *value) {
  Field f = {.node = node, .name = name, .typed = node->type != NULL};
  if (!value) {
    Diagnostic *d =
        diag_error(e->s, node->span, "field-value", "the field `%s` has no value", name);
    diag_note(e->s, d, (Span){0}, "say where it comes from: `%s: ... = row[0]`", name);
  }
  f.bad =
      !value || later_function(e, value) || (f.typed && !field_type(e, data, node->type, &f.type));
  return f;
}

static void resolve_field(Elab *e, DataInfo *data, Node *item) {
  for (uint32_t i = 0; i < data->field.n; i++)
    if (data->field.at[i].name == item->name) {
      Diagnostic *d = diag_error(e->s, item->name_span, "duplicate-name",
                                 "the field `%s` is declared twice", item->name);
      diag_note(e->s, d, data->field.at[i].node->name_span, "first here");
      return;
    }
  buf_push(e->m->arena, &data->field, make_field(e, data, item, item->name, item->a));
}

static void resolve_let(Elab *e, DataInfo *data, Node *let) {
  for (uint32_t i = 0; i < let->list.n; i++) {
    Node *binding = let->list.at[i];
    if (binding->a->kind != N_NAME)
      not_yet(e, binding->a->span, "a tuple in a `let` of a data block");
    else
      buf_push(e->m->arena, &data->let, make_field(e, data, binding, binding->a->name, binding->b));
  }
}

static bool resolve_item(Elab *e, DataInfo *data, Node *item) {
  switch ((int)item->kind) {
  case N_SETTING:
    return resolve_setting(e, data, item);
  case N_FIELD:
    resolve_field(e, data, item);
    return true;
  case N_LET:
    resolve_let(e, data, item);
    return true;
  case N_WHERE:
    not_yet(e, item->span, "`where` in a data block");
    return false;
  default: // N_ERROR: the parser said so
    return false;
  }
}

// Not the same source again: validation and test are read as the training rows are.
static bool same_kind(Elab *e, DataInfo *data, const DataSource *other, const char *what) {
  const DataSource *train = &data->train;
  if (other->s.kind == NNRT_NO_SOURCE || other->s.kind == train->s.kind)
    return true;
  Diagnostic *d = diag_error(e->s, other->span, "source",
                             "the %s rows are read in another way than the training rows", what);
  diag_note(e->s, d, train->span, "the training rows come from here");
  return false;
}

static void resolve_checks(Elab *e, DataInfo *data) {
  Node *decl = data->decl;
  if (!data->bad && data->train.s.kind == NNRT_NO_SOURCE) {
    Diagnostic *d = diag_error(e->s, decl->name_span, "source", "`%s` has no rows", decl->name);
    diag_note(e->s, d, (Span){0},
              "say where they come from: train = idx(...), csv(...), "
              "rows = [[...], ...] or generated(n)");
    data->bad = true;
  }
  if (data->bad)
    return;
  data->bad |= !same_kind(e, data, &data->validate, "validation");
  data->bad |= !same_kind(e, data, &data->test, "test");
  const NnrtSource *train = &data->train.s;
  bool counted = train->kind == NNRT_INLINE || train->kind == NNRT_GENERATED;
  if (counted && data->validate_last >= (double)train->rows) {
    Diagnostic *d =
        diag_error(e->s, data->validate_span, "setting-value",
                   "nothing is left to train on: there are %lld rows", (long long)train->rows);
    diag_note(e->s, d, data->train.span, "the rows");
    data->bad = true;
  }
  files_look(e, data, &data->train);
  files_look(e, data, &data->validate);
  files_look(e, data, &data->test);
}

void data_resolve(Elab *e, DataInfo *data) {
  if (data->resolved)
    return;
  data->resolved = true;
  Node *decl = data->decl;
  if (decl->a || decl->b) {
    Node *from = decl->a ? decl->a : decl->b;
    not_yet(e, from->span, "data computed from other data");
    data->bad = true;
    return;
  }
  for (uint32_t i = 0; i < decl->list.n; i++)
    data->bad |= !resolve_item(e, data, decl->list.at[i]);
  resolve_checks(e, data);
}

void data_use(Elab *e, DataInfo *data) {
  data_resolve(e, data);
  if (data->index != NNRT_NONE)
    return;
  Program *p = program_of(e);
  data->index = p->used.n;
  buf_push(e->m->arena, &p->used, data);
}

// ---- fields ------------------------------------------------------------------------------------

typedef struct {
  DataInfo *data;
  Scope *inner; // row, lets and fields; over the scope of the file
  const Field *field;
} Computing;

static Val compute_here(Elab *e, const Computing *c) {
  const Field *f = c->field;
  if (f->bad)
    return val_error();
  Node *value = f->node->kind == N_FIELD ? f->node->a : f->node->b;
  Val v = elab_expr(e, c->inner, value, f->typed ? &f->type : NULL);
  bool counts = v.kind == V_TENSOR && v.t->type.elem == TY_I32;
  if (f->typed && f->type.elem == TY_F32 && counts) // rule 22: here an index may become a number
    v = val_tensor(ir_convert(&e->target->b, v.t, TY_F32));
  if (f->typed && v.kind != V_ERROR)
    v = elab_fit(e, v, &f->type, value->span, format(e, "the field `%s`", f->name),
                 f->node->type->span);
  if (f->typed && v.kind == V_TENSOR)
    v.ones = literal_ones(f->node->type, &v.t->type, 0);
  v.span = f->node->span;
  return v;
}

// A field or let of the data block, for the current target.
static Val compute(Elab *e, void *ctx) {
  const Computing *c = ctx;
  DataInfo *data = c->data;
  const Field *outer = data->computing;
  Node *block = e->block;
  Instance *inside = e->inside;
  const char *drawing = e->drawing;
  bool named = data->named;
  e->drawing = format(e, "%s.%s", data->name, c->field->name); // the same draws in every function
  data->computing = c->field;
  data->named = false;
  e->block = data->decl;
  e->inside = NULL;
  e->target->fixed++;
  Val v = compute_here(e, c);
  e->target->fixed--;
  e->inside = inside;
  e->block = block;
  e->drawing = drawing;
  data->computing = outer;
  data->named = named;
  return v;
}

static Computing *computing(Elab *e, DataInfo *data, Scope *inner, const Field *field) {
  Computing *c = arena_new(e->m->arena, Computing);
  *c = (Computing){data, inner, field};
  return c;
}

// A field seen from outside: the same value as inside.
static Val outside(Elab *e, void *ctx) {
  const Computing *c = ctx;
  Val v = elab_name(e, c->inner, c->field->name, c->field->node->span);
  v.span = c->field->node->span;
  return v;
}

Scope *elab_data_scope(Elab *e, DataInfo *data, Scope *parent) {
  data_use(e, data);
  Scope *inner = scope_new(e, data->scope), *scope = scope_new(e, parent);
  Span at = data->decl->name_span;
  if (data->train.s.kind == NNRT_GENERATED)
    scope_add_lazy(e, inner, intern(e->s, "row"), row_number, data, at);
  else
    scope_add(e, inner, intern(e->s, "row"), (Val){.kind = V_ROW, .data = data, .span = at}, at);
  for (uint32_t i = 0; i < data->let.n; i++) {
    const Field *f = &data->let.at[i];
    scope_add_lazy(e, inner, f->name, compute, computing(e, data, inner, f), f->node->span);
  }
  for (uint32_t i = 0; i < data->field.n; i++) {
    const Field *f = &data->field.at[i];
    void *ctx = computing(e, data, inner, f);
    scope_add_lazy(e, inner, f->name, compute, ctx, f->node->span);
    scope_add_lazy(e, scope, f->name, outside, ctx, f->node->span);
  }
  return scope;
}

void data_check_fields(Elab *e, DataInfo *data) {
  if (data->bad)
    return;
  Columns saved = data->column;
  uint32_t index = data->index;
  data->index = 0; // a trial: it doesn't make the data used
  data->column = (Columns){0};
  Target *t = target_begin(e, "fields");
  t->data = data;
  Scope *scope = elab_data_scope(e, data, data->scope);
  for (uint32_t i = 0; i < data->field.n; i++)
    elab_name(e, scope, data->field.at[i].name, data->field.at[i].node->name_span);
  target_drop(t);
  data->column = saved;
  data->index = index;
}
