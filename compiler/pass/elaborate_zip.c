// zip(csv(...), folders(...)): rows put together of several sources, in order or by a key (rule
// 33). `row[k]` is the record of source k, so `row[0].price`, `row[1].image`. Each source has a
// DataInfo of its own, a side, for what is counted and checked in its files; columns and fields are
// those of the whole.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

// ---- the source --------------------------------------------------------------------------------

static bool wrong_zip(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "source", "%s", what);
  diag_note(e->s, d, (Span){0}, "%s", advice);
  return false;
}

static bool zip_setting(Elab *e, DataInfo *data, Node *arg, NnrtSource *s) {
  if (strcmp(arg->name, "key") != 0) {
    Diagnostic *d =
        diag_error(e->s, arg->span, "unknown-setting", "zip(...) has no setting `%s`", arg->name);
    diag_note(e->s, d, (Span){0}, "it has key");
    return false;
  }
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), arg->a, NULL);
  e->target = target;
  s->key = v.kind == V_STRING ? v.s : NULL;
  if (v.kind == V_STRING || v.kind == V_ERROR)
    return v.kind == V_STRING;
  diag_error(e->s, arg->a->span, "setting-value", "key is the name of a column, not %s",
             val_text(e, v));
  return false;
}

static bool side_fits(Elab *e, const DataSource *side, const char *key) {
  uint32_t kind = side->s.kind;
  if (kind == NNRT_ZIP)
    return wrong_zip(e, side->span, "zip(...) within zip(...)", "name all sources in one");
  if (side->s.window)
    return wrong_zip(e, side->span, "windows are not put together with other rows",
                     "cut the columns that belong together of one csv(...)");
  if (side->s.shuffled)
    return wrong_zip(e, side->span, "rows of one source in another order fit no others",
                     "zip(...) |> shuffled(seed = 1) keeps them together");
  bool named =
      (kind == NNRT_CSV && side->s.header) || kind == NNRT_FOLDERS || kind == NNRT_TEXT_FOLDERS;
  return !key || named ||
         wrong_zip(e, side->span, "these rows have no key",
                   "csv(...) with a header has a column of that name, a file in folders its name");
}

bool zip_source(Elab *e, DataInfo *data, Node *call, DataSource *out) {
  bool good = true;
  out->s.kind = NNRT_ZIP;
  out->side = arena_array(e->m->arena, DataSource, call->list.n + 1);
  for (uint32_t i = 0; i < call->list.n; i++)
    if (call->list.at[i]->name)
      good &= zip_setting(e, data, call->list.at[i], &out->s);
    else
      good &= source_make(e, data, call->list.at[i]->a, &out->side[out->s.n_side++]);
  for (uint32_t k = 0; k < out->s.n_side && good; k++)
    good = side_fits(e, &out->side[k], out->s.key);
  return good && (out->s.n_side >= 2 ||
                  wrong_zip(e, call->span, "zip(...) puts two sources or more together",
                            "zip(csv(\"prices.csv\"), folders(\"photos\"), key = \"id\")"));
}

// ---- sides -------------------------------------------------------------------------------------

static DataSource side_source(const DataSource *source, uint32_t k) {
  return source->s.kind == NNRT_ZIP ? source->side[k] : (DataSource){0};
}

static void add_side(Elab *e, DataInfo *data, uint32_t k) {
  DataInfo *side = arena_new(e->m->arena, DataInfo);
  *side = (DataInfo){.name = data->name,
                     .decl = data->decl,
                     .scope = data->scope,
                     .index = NNRT_NONE,
                     .resolved = true,
                     .whole = data,
                     .place = k,
                     .train = side_source(&data->train, k),
                     .validate = side_source(&data->validate, k),
                     .test = side_source(&data->test, k),
                     .validate_last = data->validate_last,
                     .validate_span = data->validate_span};
  side->field.at = data->field.at;
  side->field.n = data->field.n;
  side->let.at = data->let.at;
  side->let.n = data->let.n;
  side->train.s.shuffled |= data->train.s.shuffled || data->train.s.key;
  buf_push(e->m->arena, &data->side, side);
}

static bool same_sides(Elab *e, const DataInfo *data, const DataSource *other) {
  if (other->s.kind != NNRT_ZIP || other->s.n_side == data->train.s.n_side)
    return true;
  Diagnostic *d = diag_error(e->s, other->span, "source",
                             "%u sources are put together here, %u for "
                             "the training rows",
                             other->s.n_side, data->train.s.n_side);
  diag_note(e->s, d, data->train.span, "the training rows");
  return false;
}

// To be called when the fields of the data are known.
void make_sides(Elab *e, DataInfo *data) {
  data->side.n = data->side.cap = 0;
  data->side.at = NULL;
  if (data->train.s.kind != NNRT_ZIP || data->bad)
    return;
  if (!same_sides(e, data, &data->validate) || !same_sides(e, data, &data->test)) {
    data->bad = true;
    return;
  }
  for (uint32_t k = 0; k < data->train.s.n_side; k++) {
    add_side(e, data, k);
    DataInfo *side = data->side.at[k];
    data_check_sources(e, side);
    data->bad |= side->bad;
    data->train.side[k] = side->train; // looked at once
    if (data->validate.s.kind == NNRT_ZIP)
      data->validate.side[k] = side->validate;
    if (data->test.s.kind == NNRT_ZIP)
      data->test.side[k] = side->test;
  }
}

DataInfo *whole_of(DataInfo *data) {
  return data->whole ? data->whole : data;
}

static DataInfo *enter_side(DataInfo *data, int64_t k) {
  DataInfo *side = data->side.at[k];
  side->computing = data->computing;
  return side;
}

// `row`, `row[...]`, `row.name`, of a zip `row[k]`, `row[k][...]`, `row[k].name`: the data that the
// record is of, or NULL.
DataInfo *row_of(DataInfo *data, const Node *node) {
  const Node *base = node->kind == N_INDEX || node->kind == N_MEMBER ? node->a : node;
  if (!data->side.n)
    return name_is(base, "row") ? data : NULL;
  if (base->kind != N_INDEX)
    base = node;
  if (base->kind != N_INDEX || !name_is(base->a, "row") || base->list.n != 1 ||
      base->list.at[0]->kind != N_INT)
    return NULL;
  int64_t k = base->list.at[0]->ival;
  return k >= 0 && k < (int64_t)data->side.n ? enter_side(data, k) : NULL;
}

// `row[1]` of a zip.
Val zip_part(Elab *e, DataInfo *data, Node *expr) {
  int64_t k = -1;
  bool one = expr->kind == N_INDEX && expr->list.n == 1 && expr->list.at[0]->kind == N_INT;
  if (one)
    k = expr->list.at[0]->ival;
  if (!one || k < 0 || k >= (int64_t)data->side.n) {
    Diagnostic *d = diag_error(e->s, expr->span, "row",
                               "these rows are put together of %u sources: row[0] to row[%u]",
                               data->side.n, data->side.n - 1);
    diag_note(e->s, d, data->train.span, "row[0].name, row[1].image and so on");
    return val_error();
  }
  DataInfo *side = enter_side(data, k);
  if (side->train.s.kind == NNRT_GENERATED)
    return row_number(e, side);
  return (Val){.kind = V_ROW, .data = side, .span = expr->span};
}

// ---- tables ------------------------------------------------------------------------------------

// The source as the trainer has it.
NnrtSource source_table(Elab *e, const DataInfo *data, uint32_t split) {
  const DataSource *source = split == 0 ? &data->train : split == 1 ? &data->validate : &data->test;
  NnrtSource s = source->s;
  if (s.kind != NNRT_ZIP)
    return s;
  NnrtSource *side = arena_array(e->m->arena, NnrtSource, s.n_side);
  for (uint32_t k = 0; k < s.n_side; k++)
    side[k] = source_table(e, data->side.at[k], split);
  s.side = side;
  return s;
}
