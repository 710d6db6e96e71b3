// Computed data (rules 18, 33): `A + B` has the rows of both, `where` chooses some, `cache = true`
// keeps all. Their fields are stored: before a train block begins, the trainer runs rows.D.k over
// the rows of part k, with the weights of that moment, in evaluation mode. Data from such data have
// its fields as columns. In: declarations. Out: columns, one per field, and NnrtPart.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

// ---- what the rows are of -----------------------------------------------------------------------

static bool add_part(Elab *e, DataInfo *data, Node *expr) {
  if (expr->kind == N_BINARY && expr->op == '+')
    return add_part(e, data, expr->a) && add_part(e, data, expr->b);
  DataInfo *part = data_other(e, data, expr, "");
  if (!part)
    return false;
  const DataInfo *first = data->part.n ? data->part.at[0] : part;
  if (part->folds && part->folds != first->folds) {
    Diagnostic *d = diag_error(e->s, expr->span, "setting-value",
                               "`%s` has %lld folds, `%s`, the first part, has %s", part->name,
                               (long long)part->folds, first->name,
                               first->folds ? format(e, "%lld", (long long)first->folds) : "none");
    diag_note(e->s, d, part->validate_span, "validation rows are those of the first part");
    return false;
  }
  buf_push(e->m->arena, &data->part, part);
  return !part->bad;
}

static const Field *field_of(const DataInfo *data, const char *name) {
  for (uint32_t i = 0; i < data->field.n; i++)
    if (data->field.at[i].name == name)
      return &data->field.at[i];
  return NULL;
}

// Validation and test rows are those of the first part.
static void set_sources(DataInfo *data) {
  const DataInfo *first = data->part.at[0];
  data->train.s = (NnrtSource){.kind = NNRT_COMPUTED};
  bool validate =
      first->validate_last > 0 || first->folds || first->validate.s.kind != NNRT_NO_SOURCE;
  data->stored = data;
  data->folds = first->folds;
  data->validate.s = (NnrtSource){.kind = validate ? NNRT_COMPUTED : NNRT_NO_SOURCE};
  data->test.s =
      (NnrtSource){.kind = first->test.s.kind != NNRT_NO_SOURCE ? NNRT_COMPUTED : NNRT_NO_SOURCE};
  data->validate_last = 0;
  data->skip = data->take = 0;
}

// `A + B`: the fields that all of them have.
bool joined_resolve(Elab *e, DataInfo *data) {
  Node *expr = data->decl->b;
  if (!add_part(e, data, expr))
    return false;
  const DataInfo *first = data->part.at[0];
  for (uint32_t i = 0; i < first->field.n; i++) {
    bool all = true;
    for (uint32_t k = 1; k < data->part.n; k++)
      all &= field_of(data->part.at[k], first->field.at[i].name) != NULL;
    if (all)
      buf_push(e->m->arena, &data->field, first->field.at[i]);
  }
  if (!data->field.n) {
    Diagnostic *d = diag_error(e->s, expr->span, "source", "these data have no field in common");
    for (uint32_t k = 0; k < data->part.n; k++)
      diag_note(e->s, d, data->part.at[k]->decl->name_span, "%s is declared here",
                data->part.at[k]->name);
    diag_note(e->s, d, (Span){0},
              "joined data have the fields that all parts have, by their names");
    return false;
  }
  set_sources(data);
  return true;
}

// The rows as they would be without `where` or `cache` are the one part.
void chosen_resolve(Elab *e, DataInfo *data) {
  DataInfo *all = arena_new(e->m->arena, DataInfo);
  *all = *data;
  all->where = all->cache = NULL;
  data->part.n = 0;
  data->part.at = NULL;
  data->part.cap = 0;
  buf_push(e->m->arena, &data->part, all);
  make_sides(e, all);
  set_sources(data);
}

// The columns are the fields of the nearest data that stores them; its rows are the one part.
void from_computed(Elab *e, DataInfo *data) {
  data->stored = data->base->stored;
  buf_push(e->m->arena, &data->part, data->stored);
}

// ---- fields are columns -------------------------------------------------------------------------

static Value *part_field(Elab *e, Scope *scope, const Field *f) {
  Val v = elab_name(e, scope, f->name, f->node->name_span);
  return v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, f->node->span);
}

static Target *begin_part(Elab *e, DataInfo *part, const char *name, Scope **scope) {
  Target *t = target_begin(e, name);
  t->data = part;
  t->fixed = 1;
  *scope = elab_data_scope(e, part, part->scope);
  return t;
}

// The types are those of the first part, found by a trial.
static void find_columns(Elab *e, DataInfo *data) {
  Place place = place_save(e);
  Target *outer = e->target;
  Scope *scope;
  place_enter_top(e);
  Target *t = begin_part(e, data->part.at[0], "fields", &scope);
  for (uint32_t i = 0; i < data->field.n; i++) {
    const Field *f = &data->field.at[i];
    Value *x = part_field(e, scope, f);
    NnrtColumn c = {.name = f->name, .first = i};
    if (x)
      c.type = nnrt_type(&x->type);
    else
      data->bad = true;
    buf_push(e->m->arena, &data->column.at, c);
  }
  target_drop(t);
  e->target = outer;
  place_restore(e, place);
}

static void make_columns(Elab *e, DataInfo *data) {
  if (data->column.at.n)
    return;
  if (data->stored == data) {
    find_columns(e, data);
    return;
  }
  make_columns(e, data->stored);
  data->bad |= data->stored->bad;
  for (uint32_t i = 0; i < data->stored->column.at.n; i++)
    buf_push(e->m->arena, &data->column.at, data->stored->column.at.at[i]);
}

// A predict block reads all of them, in the order of the data.
static void input_columns(Elab *e, const DataInfo *data) {
  Columns *input = e->target->input;
  for (uint32_t i = input ? input->at.n : data->column.at.n; i < data->column.at.n; i++)
    buf_push(e->m->arena, &input->at, data->column.at.at[i]);
}

typedef struct {
  DataInfo *data;
  uint32_t column;
} Stored;

static Val stored(Elab *e, void *ctx) {
  const Stored *s = ctx;
  const NnrtColumn *c = &s->data->column.at.at[s->column];
  Type type = {.elem = (ElemType)c->type.elem,
               .rank = (uint8_t)c->type.rank,
               .batched = true,
               .range = c->type.range};
  memcpy(type.dim, c->type.dim, sizeof *type.dim * type.rank);
  if (s->data->bad)
    return val_error();
  input_columns(e, s->data);
  Val v = val_tensor(target_argument(e->target, type, NNRT_COLUMN, s->column, c->name));
  v.span = s->data->stored->field.at[s->column].node->span;
  return v;
}

// The stored fields by their names.
void stored_scope(Elab *e, DataInfo *data, Scope *scope) {
  make_columns(e, data);
  for (uint32_t i = 0; i < data->stored->field.n; i++) {
    const Field *f = &data->stored->field.at[i];
    Stored *s = arena_new(e->m->arena, Stored);
    *s = (Stored){data, i};
    scope_add_lazy(e, scope, f->name, stored, s, f->node->span);
  }
}

// ---- rows.D.k -----------------------------------------------------------------------------------

static bool same_type(const NnrtType *a, const NnrtType *b) {
  return a->elem == b->elem && a->rank == b->rank && a->range == b->range &&
         memcmp(a->dim, b->dim, sizeof *a->dim * a->rank) == 0;
}

static bool push_field(Elab *e, DataInfo *data, uint32_t i, Value *x, Results *out) {
  const Field *f = &data->stored->field.at[i];
  NnrtType type = nnrt_type(&x->type);
  if (!same_type(&type, &data->column.at.at[i].type) || !x->type.batched) {
    Diagnostic *d =
        diag_error(e->s, data->decl->name_span, "type-mismatch",
                   "the field `%s` has another type in a part of `%s`", f->name, data->name);
    diag_note(e->s, d, f->node->span, "in the first");
    for (uint32_t k = 1; k < data->stored->part.n; k++) {
      const Field *other = field_of(data->stored->part.at[k], f->name);
      if (other && other->node != f->node)
        diag_note(e->s, d, other->node->span, "in %s", data->stored->part.at[k]->name);
    }
    diag_note(e->s, d, (Span){0}, "a field has one type: give one of them another name");
    return false;
  }
  buf_push(e->m->arena, &out->value, x);
  buf_push(e->m->arena, &out->port, (Port){NNRT_OUTPUT, i, f->name});
  return true;
}

static bool push_where(Elab *e, DataInfo *data, Results *out) {
  const char *name = intern(e->s, "where");
  Field where = {.node = data->where, .scope = data->scope, .name = name, .draws = name};
  Val v = data_operand(e, data->part.at[0], &where, data->where->a);
  if (v.kind == V_TENSOR && v.t->type.elem == TY_BOOL && !v.t->type.rank && v.t->type.batched) {
    buf_push(e->m->arena, &out->value, v.t);
    buf_push(e->m->arena, &out->port, (Port){NNRT_OUTPUT, data->column.at.n, where.name});
    return true;
  }
  if (v.kind != V_ERROR)
    diag_note(e->s,
              diag_error(e->s, data->where->span, "wrong-type",
                         "`where` wants a condition on each row, found %s", val_text(e, v)),
              (Span){0}, "it compares fields of the row: where x > 0");
  return false;
}

static void make_part(Elab *e, DataInfo *data, uint32_t k, NnrtPart *out) {
  DataInfo *part = data->part.at[k];
  Results results = {0};
  Scope *scope;
  Target *t = begin_part(e, part, format(e, "rows.%s.%u", data->name, k), &scope);
  bool good = true;
  for (uint32_t i = 0; i < data->stored->field.n && good; i++) {
    Value *x = part_field(e, scope, &data->stored->field.at[i]);
    good = x && push_field(e, data, i, x, &results);
  }
  good = good && (data->stored != data || !data->where || push_where(e, data, &results));
  if (!good) {
    target_drop(t);
    return;
  }
  *out = (NnrtPart){part->index, target_end(t, results.value.at, results.port.at, results.value.n)};
}

// Rule 34: what is kept is as it is outside of training.
static void warn_of_noise(Elab *e, const DataInfo *data) {
  const Field *f = data->cache ? data->part.at[0]->augmented : NULL;
  if (!f)
    return;
  Diagnostic *d = diag_warning(e->s, data->cache->span, "cached-noise",
                               "what is kept is computed once, without augment(...)");
  diag_note(e->s, d, f->node->span, "it would change this in every step of training");
  diag_note(
      e->s, d, (Span){0},
      "vary the pictures in data from it: data More from %s { image: _ = image |> augment(...) }",
      data->name);
}

void make_parts(Elab *e) {
  Program *p = program_of(e);
  for (uint32_t i = 0; i < p->used.n; i++) {
    DataInfo *data = p->used.at[i];
    if (data->part.n)
      make_columns(e, data);
    warn_of_noise(e, data);
    NnrtPart *part = arena_array(e->m->arena, NnrtPart, data->part.n + 1);
    for (uint32_t k = 0; k < data->part.n; k++)
      make_part(e, data, k, &part[k]);
    data->parts = part;
  }
}
