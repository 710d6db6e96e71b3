// Data blocks: settings, fields and the raw columns that the fields read. A field is a formula,
// computed inside each function that uses it; what is stored is the raw column.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

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

// ---- items -------------------------------------------------------------------------------------

// Does the data decide a part of this type: `f32[_]`, `index<classes>`?
static bool is_open(const DataInfo *data, const Node *type) {
  if (type->kind != N_TYPE || strcmp(type->name, "_") == 0)
    return true;
  const Node *range = type->a;
  if (range &&
      (range->kind == N_HOLE || (range->kind == N_NAME && !scope_find(data->scope, range->name))))
    return true;
  for (uint32_t i = 0; i < type->list.n; i++)
    if (type->list.at[i]->kind == N_HOLE)
      return true;
  return false;
}

// What is wrong with one field is said here, once; the others go on.
static Field make_field(Elab *e, DataInfo *data, Node *node, const char *name, Node *value) {
  Field f = {.node = node, .scope = data->scope, .name = name, .draws = name};
  f.open = node->type && is_open(data, node->type);
  f.typed = node->type && !f.open;
  if (!value) {
    Diagnostic *d =
        diag_error(e->s, node->span, "field-value", "the field `%s` has no value", name);
    const Node *from = data->decl->a;
    diag_note(e->s, d, (Span){0},
              from
                  ? "the data that it is from have no such field: write it as a formula of theirs, "
                    "`%s: f32 = ...`"
                  : "say where it comes from: `%s: ... = row[0]`",
              name);
  }
  f.bad = !value || (f.typed && !elab_type(e, data->scope, node->type, &f.type));
  return f;
}

static const Field *field_called(const DataInfo *data, const char *name) {
  for (uint32_t i = 0; data && i < data->field.n; i++)
    if (data->field.at[i].name == name)
      return &data->field.at[i];
  return NULL;
}

// `image: _` of data from other data: the field as it is there.
static const Field *inherited(const DataInfo *data, const Node *item) {
  return item->a ? NULL : field_called(data->base, item->name);
}

static void resolve_field(Elab *e, DataInfo *data, Node *item) {
  const Field *f = inherited(data, item);

  for (uint32_t i = 0; i < data->field.n; i++)
    if (data->field.at[i].name == item->name) {
      Diagnostic *d = diag_error(e->s, item->name_span, "duplicate-name",
                                 "the field `%s` is declared twice", item->name);
      diag_note(e->s, d, data->field.at[i].node->name_span, "first here");
      return;
    }
  buf_push(e->m->arena, &data->field, f ? *f : make_field(e, data, item, item->name, item->a));
}

// `let (a, b) = ...`: each name is a let of its own.
static void tuple_let(Elab *e, DataInfo *data, Node *binding) {
  NodeList names = binding->a->list;
  const char *draws = NULL;
  for (uint32_t i = 0; i < names.n; i++) {
    if (names.at[i]->kind != N_NAME)
      continue;
    draws = draws ? draws : names.at[i]->name;
    Field f = {.node = binding,
               .scope = data->scope,
               .name = names.at[i]->name,
               .draws = draws,
               .place = i + 1};
    buf_push(e->m->arena, &data->let, f);
  }
}

static void resolve_let(Elab *e, DataInfo *data, Node *let) {
  for (uint32_t i = 0; i < let->list.n; i++) {
    Node *binding = let->list.at[i];
    if (binding->a->kind == N_TUPLE)
      tuple_let(e, data, binding);
    else
      buf_push(e->m->arena, &data->let, make_field(e, data, binding, binding->a->name, binding->b));
  }
}

static bool resolve_item(Elab *e, DataInfo *data, Node *item) {
  switch ((int)item->kind) {
  case N_SETTING:
    return data_setting(e, data, item);
  case N_FIELD:
    resolve_field(e, data, item);
    return true;
  case N_LET:
    resolve_let(e, data, item);
    return true;
  case N_WHERE:
    if (data->where)
      diag_note(e->s, diag_error(e->s, item->span, "duplicate-setting", "`where` is given twice"),
                (Span){0}, "join the conditions: where a and b");
    data->where = item;
    return true;
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
  diag_note(e->s, d, (Span){0}, "the same reader with the same settings and steps, of other files");
  return false;
}

// Classes that are said once are those of all rows.
static void same_classes(DataSource *source, const DataSource *train) {
  if (source->s.n_class || source->s.kind != train->s.kind)
    return;
  source->s.class_name = train->s.class_name;
  source->s.n_class = train->s.n_class;
}

void data_check_sources(Elab *e, DataInfo *data) {
  Node *decl = data->decl;
  if (!data->bad && data->train.s.kind == NNRT_NO_SOURCE) {
    Diagnostic *d = diag_error(e->s, decl->name_span, "source", "`%s` has no rows", decl->name);
    diag_note(e->s, d, (Span){0},
              "say where they come from: train = idx(...), csv(...), folders(...), "
              "rows = [[...], ...] or generated(n)");
    data->bad = true;
  }
  if (data->bad)
    return;
  data->bad |= !same_kind(e, data, &data->validate, "validation");
  data->bad |= !same_kind(e, data, &data->test, "test");
  const NnrtSource *train = &data->train.s;
  if (train->kind == NNRT_TEXT && (!train->window || !data->train.letters.n_word)) {
    Diagnostic *d = diag_error(e->s, data->train.span, "row-step", "a text is one row");
    diag_note(e->s, d, (Span){0}, "cut it: text(...) |> characters |> windows(257)");
    data->bad = true;
    return;
  }
  bool counted = train->kind == NNRT_INLINE || train->kind == NNRT_GENERATED;
  if (counted && data->validate_last >= (double)train->rows) {
    Diagnostic *d =
        diag_error(e->s, data->validate_span, "setting-value",
                   "nothing is left to train on: there are %lld rows", (long long)train->rows);
    diag_note(e->s, d, data->train.span, "the rows");
    diag_note(e->s, d, (Span){0}, "a part of them: last(0.2) is the last fifth");
    data->bad = true;
  }
  bool folders = train->kind == NNRT_FOLDERS || train->kind == NNRT_TEXT_FOLDERS;
  if (folders && data->validate_last > 0 && !train->shuffled) {
    Diagnostic *d = diag_warning(e->s, data->validate_span, "ordered-rows",
                                 "the last rows of folders are of the last classes alone");
    diag_note(e->s, d, data->train.span, "the rows, folder by folder");
    diag_note(e->s, d, (Span){0}, "in any order: %s(...) |> shuffled(seed = 1)",
              train->kind == NNRT_FOLDERS ? "folders" : "text_folders");
  }
  same_classes(&data->validate, &data->train);
  same_classes(&data->test, &data->train);
  files_look(e, data, &data->train);
  files_look(e, data, &data->validate);
  files_look(e, data, &data->test);
}

// The other data that an expression of `data` stands for, resolved. `where`: said behind what was
// expected.
DataInfo *data_other(Elab *e, DataInfo *data, Node *expr, const char *where) {
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data->scope, expr, NULL);
  e->target = target;
  if (v.kind == V_DATA && v.data != data) {
    data_resolve(e, v.data);
    return v.data;
  }
  if (v.kind != V_ERROR) {
    Diagnostic *d = diag_error(e->s, expr->span, "not-data", "expected other data%s, found %s",
                               where, v.kind == V_DATA ? "these data themselves" : val_text(e, v));
    diag_note(e->s, d, (Span){0}, "another data block is named, with rows of its own");
  }
  return NULL;
}

// Rows, lets and rows set aside are those of the other data (rule 33); fields are named one by one.
static bool resolve_from(Elab *e, DataInfo *data) {
  DataInfo *base = data_other(e, data, data->decl->a, " after `from`");
  if (!base)
    return false;
  if (base->bad)
    return false;
  data->base = base;
  data->train = base->train;
  data->validate = base->validate;
  data->test = base->test;
  data->validate_last = base->validate_last;
  data->folds = base->folds;
  data->skip = base->skip;
  data->take = base->take;
  if (base->stored)
    from_computed(e, data);
  for (uint32_t i = 0; i < base->let.n && base->stored != base; i++)
    buf_push(e->m->arena, &data->let, base->let.at[i]);
  return true;
}

void data_resolve(Elab *e, DataInfo *data) {
  if (data->resolved)
    return;
  data->resolved = true;
  Node *decl = data->decl;
  if (decl->b ? !joined_resolve(e, data) : decl->a && !resolve_from(e, data))
    data->bad = true;
  if (decl->b || data->bad)
    return;
  for (uint32_t i = 0; i < decl->list.n; i++)
    data->bad |= !resolve_item(e, data, decl->list.at[i]);
  data_check_sources(e, data);
  make_sides(e, data);
  if (!data->bad && (data->where || data->cache))
    chosen_resolve(e, data);
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
  Node *operand; // a part of its formula alone
} Computing;

static Scope *inner_scope(Elab *e, DataInfo *data, Scope *outer);

// What the data decides is bound to its name: `letters` of index<letters>.
static Val fit_open(Elab *e, const Computing *c, Val v, Span span) {
  const Field *f = c->field;
  Fit fit = {.what = format(e, "the field `%s`", f->name),
             .from = f->name,
             .span = span,
             .bind = true,
             .declared = true,
             .fill = true};
  Type number = type_scalar(TY_F32);
  bool named = f->node->type->name && strcmp(f->node->type->name, "_") != 0;
  if (named && v.kind != V_TENSOR && !is_shapeless(v)) {
    Value *x = elab_tensor(e, v, &number, span);
    v = x ? val_tensor(x) : val_error();
  }
  if (named && strcmp(f->node->type->name, "f32") == 0 && v.kind == V_TENSOR &&
      v.t->type.elem == TY_I32)
    v = val_tensor(ir_convert(&e->target->b, v.t, TY_F32));
  return fit_type(e, c->inner, f->node->type, v, &fit);
}

static Val tuple_part(Elab *e, const Field *f, Val v) {
  uint32_t n = f->node->a->list.n;
  if ((v.kind == V_TUPLE || v.kind == V_LIST) && v.n == n)
    return v.list[f->place - 1];
  if (v.kind != V_ERROR)
    wrong_parts(e, f->node->a, f->node->b, v);
  return val_error();
}

static Val compute_here(Elab *e, const Computing *c) {
  const Field *f = c->field;
  if (f->bad)
    return val_error();
  Node *value = f->node->kind == N_FIELD ? f->node->a : f->node->b;
  Val v = elab_expr(e, c->inner, value, f->typed ? &f->type : NULL);
  if (v.kind == V_ROW)
    v = row_whole(e, v.data, value);
  if (f->place)
    v = tuple_part(e, f, v);
  bool counts = v.kind == V_TENSOR && v.t->type.elem == TY_I32;
  if (f->typed && f->type.elem == TY_F32 && counts) // rule 22: here an index may become a number
    v = val_tensor(ir_convert(&e->target->b, v.t, TY_F32));
  if (f->typed && v.kind != V_ERROR)
    v = elab_fit(e, v, &f->type, value->span, format(e, "the field `%s`", f->name),
                 f->node->type->span);
  if (f->open && v.kind != V_ERROR)
    v = fit_open(e, c, v, value->span);
  if (f->typed && v.kind == V_TENSOR)
    v.ones = literal_ones(f->node->type, &v.t->type, 0);
  v.span = f->node->span;
  return v;
}

// `make` with the places set to this field of the data block.
static Val in_field(Elab *e, const Computing *c, Val (*make)(Elab *, const Computing *)) {
  DataInfo *data = c->data;
  const Field *outer = data->computing;
  Node *block = e->block;
  Instance *inside = e->inside;
  const char *drawing = e->drawing;
  bool named = data->named;
  const DataInfo *root = data; // the same draws in every function, and in data from this data
  while (root->base)
    root = root->base;
  e->drawing = format(e, "%s.%s", root->name, c->field->draws);
  data->computing = c->field;
  data->named = false;
  e->block = data->decl;
  e->inside = NULL;
  e->target->fixed++;
  Val v = make(e, c);
  e->target->fixed--;
  e->inside = inside;
  e->block = block;
  e->drawing = drawing;
  data->computing = outer;
  data->named = named;
  return v;
}

// A field or let of the data block, for the current target.
static Val compute(Elab *e, void *ctx) {
  return in_field(e, ctx, compute_here);
}

static Val compute_operand(Elab *e, const Computing *c) {
  return elab_expr(e, c->inner, c->operand, NULL);
}

// A part of a field's formula.
Val data_operand(Elab *e, DataInfo *data, const Field *field, Node *expr) {
  Computing c = {data, inner_scope(e, data, NULL), field, expr};
  return in_field(e, &c, compute_operand);
}

static Computing *computing(Elab *e, DataInfo *data, Scope *inner, const Field *field) {
  Computing *c = arena_new(e->m->arena, Computing);
  *c = (Computing){data, inner, field, NULL};
  return c;
}

// A field seen from outside: the same value as inside.
static Val outside(Elab *e, void *ctx) {
  const Computing *c = ctx;
  Val v = elab_name(e, c->inner, c->field->name, c->field->node->span);
  v.span = c->field->node->span;
  return v;
}

static Scope *fields_scope(Elab *e, DataInfo *data, const DataInfo *of, Scope *outer);

// The fields of what `of` is from, as they are there.
static Scope *base_scope(Elab *e, DataInfo *data, const DataInfo *of, Scope **below) {
  Scope *scope = scope_new(e, of->scope);
  *below = of->base ? fields_scope(e, data, of->base, NULL) : NULL;
  for (uint32_t i = 0; of->base && i < of->base->field.n; i++) {
    const Field *f = &of->base->field.at[i];
    scope_add_lazy(e, scope, f->name, outside, computing(e, data, *below, f), f->node->span);
  }
  return scope;
}

// `row`, the lets, and the fields as `of` declares them: data itself, or what it is from. In the
// formula of a field its own name is the field that it replaces: `image: _ = image |>
// augment(...)`.
static Scope *fields_scope(Elab *e, DataInfo *data, const DataInfo *of, Scope *outer) {
  Scope *below, *inner;
  Span at = data->decl->name_span;
  if (of == data->stored) {
    inner = scope_new(e, data->scope);
    stored_scope(e, data, inner);
    return inner;
  }
  inner = scope_new(e, base_scope(e, data, of, &below));
  if (data->train.s.kind == NNRT_GENERATED)
    scope_add_lazy(e, inner, intern(e->s, "row"), row_number, data, at);
  else
    scope_add(e, inner, intern(e->s, "row"), (Val){.kind = V_ROW, .data = data, .span = at}, at);
  for (uint32_t i = 0; i < of->let.n; i++) {
    const Field *f = &of->let.at[i];
    bool is_own = f->scope == of->scope;
    Computing *c = computing(e, data, is_own ? inner : below, f);
    scope_add_lazy(e, inner, f->name, is_own ? compute : outside, c, f->node->span);
  }
  for (uint32_t i = 0; i < of->field.n; i++) {
    const Field *f = &of->field.at[i], *replaced = field_called(of->base, f->name);
    Computing *c = computing(e, data, inner, f);
    if (outer)
      scope_add_lazy(e, outer, f->name, outside, c, f->node->span);
    if (replaced && replaced->node == f->node) { // as it is there
      c = computing(e, data, below, replaced);
      scope_add_lazy(e, inner, f->name, outside, c, f->node->span);
      continue;
    }
    Computing *own = computing(e, data, inner, f);
    scope_add_lazy(e, inner, f->name, compute, own, f->node->span);
    if (!replaced)
      continue;
    own->inner = scope_new(e, inner);
    c = computing(e, data, below, replaced);
    scope_add_lazy(e, own->inner, f->name, outside, c, replaced->node->span);
  }
  return inner;
}

// `outer` gets the fields as they are seen from outside.
static Scope *inner_scope(Elab *e, DataInfo *data, Scope *outer) {
  return fields_scope(e, data, data, outer);
}

Scope *elab_data_scope(Elab *e, DataInfo *data, Scope *parent) {
  data_use(e, data);
  Scope *scope = scope_new(e, parent);
  if (data->stored == data)
    stored_scope(e, data, scope);
  else
    inner_scope(e, data, scope);
  return scope;
}

// ---- fields that nothing uses ------------------------------------------------------------------

// What a trial adds to the data, to be taken back.
typedef struct {
  uint32_t used, states;
  uint32_t *fits, *columns; // per used data
} Trial;

static Trial trial_begin(Elab *e) {
  Program *p = program_of(e);
  Trial t = {.used = p->used.n, .states = e->state.n};
  t.fits = arena_array(e->m->arena, uint32_t, t.used + 1);
  t.columns = arena_array(e->m->arena, uint32_t, t.used + 1);
  for (uint32_t i = 0; i < t.used; i++) {
    t.fits[i] = p->used.at[i]->fit.n;
    t.columns[i] = p->used.at[i]->column.at.n;
  }
  return t;
}

static void trial_end(Elab *e, const Trial *t) {
  Program *p = program_of(e);
  for (uint32_t i = 0; i < p->used.n; i++) {
    DataInfo *data = p->used.at[i];
    data->fit.n = i < t->used ? t->fits[i] : 0;
    data->column.at.n = i < t->used ? t->columns[i] : 0;
    if (i >= t->used)
      data->index = NNRT_NONE;
  }
  p->used.n = t->used;
  e->state.n = t->states;
}

void data_check_fields(Elab *e, DataInfo *data) {
  if (data->bad)
    return;
  Trial trial = trial_begin(e);
  Target *t = target_begin(e, "fields");
  t->data = data;
  Scope *scope = elab_data_scope(e, data, data->scope);
  for (uint32_t i = 0; i < data->field.n; i++)
    elab_name(e, scope, data->field.at[i].name, data->field.at[i].node->name_span);
  target_drop(t);
  trial_end(e, &trial);
}
