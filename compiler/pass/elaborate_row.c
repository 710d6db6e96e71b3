// The raw record of a reader: `row[0]`, `row[1..17]`, `row.price`, and `row` of generated data.
// Each use becomes a column of the data and an argument of the current function.
#include "pass/elaborate_program.h"

#include <string.h>

static bool same_type(const NnrtType *x, const NnrtType *y) {
  return x->elem == y->elem && x->rank == y->rank && x->range == y->range &&
         memcmp(x->dim, y->dim, sizeof *x->dim * x->rank) == 0;
}

static bool same_column(const NnrtColumn *x, const NnrtColumn *y) {
  bool header =
      x->header == y->header || (x->header && y->header && strcmp(x->header, y->header) == 0);
  return header && x->first == y->first && same_type(&x->type, &y->type);
}

static uint32_t column_index(Elab *e, DataInfo *data, const NnrtColumn *column) {
  Columns *to = e->target->input ? e->target->input : &data->column;
  for (uint32_t i = 0; i < to->at.n; i++)
    if (same_column(&to->at.at[i], column))
      return i;
  buf_push(e->m->arena, &to->at, *column);
  return to->at.n - 1;
}

Val row_number(Elab *e, void *ctx) {
  DataInfo *data = ctx;
  Type type = type_scalar(TY_I32);
  NnrtColumn c = {.name = "row", .type = nnrt_type(&type), .loc = elab_loc(e, data->train.span)};
  type.batched = true;
  uint32_t k = column_index(e, data, &c);
  return val_tensor(target_argument(e->target, type, NNRT_COLUMN, k, "row"));
}

// `first`, `header` and the type are set; a value of the column, f32 where it isn't an index.
static Val column_value(Elab *e, DataInfo *data, Node *expr, NnrtColumn *c, Type type) {
  const Field *f = data->computing;
  c->name = f && !data->named && f->node->kind == N_FIELD ? f->name : node_source(e, expr);
  data->named = true;
  c->type = nnrt_type(&type);
  c->loc = elab_loc(e, expr->span);
  Span place = f && f->node->type ? span_join(f->node->name_span, f->node->type->span) : expr->span;
  if (f && f->node->kind != N_FIELD)
    place = expr->span;
  if (!files_check_column(e, data, &data->train, c, place) ||
      !files_check_column(e, data, &data->validate, c, place))
    return val_error();
  uint32_t k = column_index(e, data, c);
  Columns *to = e->target->input ? e->target->input : &data->column;
  type.batched = true;
  Value *x = target_argument(e->target, type, NNRT_COLUMN, k, to->at.at[k].name);
  Val v = val_tensor(type.range ? x : ir_convert(&e->target->b, x, TY_F32));
  v.span = expr->span;
  return v;
}

static Val wrong_row(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "row", "%s", what);
  diag_note(e->s, d, (Span){0}, "%s", advice);
  return val_error();
}

// The field is this expression itself, not something computed from it.
static bool is_direct(const DataInfo *data, const Node *expr) {
  const Field *f = data->computing;
  return f && (f->node->kind == N_FIELD ? f->node->a : f->node->b) == expr;
}

// ---- idx ---------------------------------------------------------------------------------------

// One record's shape: that of the field, which the file must agree with; without one, the file's.
static bool idx_type(Elab *e, DataInfo *data, Node *expr, int64_t part, const Type *want,
                     Type *out) {
  const Field *f = data->computing;
  const FileFacts *facts = data->train.facts ? &data->train.facts[part] : NULL;
  bool direct = is_direct(data, expr), known = facts && facts->path && !facts->wrong;
  if (!want && f && f->typed && (direct || !known || facts->rank <= f->type.rank))
    want = &f->type;
  ElemType elem = known && facts->code != IDX_U8 ? TY_F32 : TY_U8;
  if (want) {
    *out = *want;
    out->elem = want->range && direct ? TY_I32 : elem;
    out->range = want->range && direct ? want->range : 0;
    return true;
  }
  if (known) {
    *out = type_scalar(elem);
    out->rank = (uint8_t)facts->rank;
    memcpy(out->dim, facts->dim, sizeof *facts->dim * facts->rank);
    return true;
  }
  wrong_row(e, expr->span, "the shape of this part of the record is not known",
            "write the type: `let x: f32[28, 28] = row[0]`");
  return false;
}

static Val idx_part(Elab *e, DataInfo *data, Node *expr, const Type *want) {
  Node *item = expr->list.at[0];
  int64_t part = 0;
  if (item->kind == N_RANGE || item->kind == N_DIM_REST || item->kind == N_HOLE)
    return wrong_row(e, item->span, "a record of idx files has whole parts, one per file",
                     "row[0] is the record's part in the first file, row[1] in the second");
  if (!elab_int(e, elab_expr(e, data->scope, item, NULL), "the part of the record", item->span,
                &part))
    return val_error();
  if (part < 0 || part >= data->train.s.n_file) {
    Diagnostic *d =
        diag_error(e->s, item->span, "row", "there is no part %lld: the source has %u file%s",
                   (long long)part, data->train.s.n_file, data->train.s.n_file == 1 ? "" : "s");
    diag_note(e->s, d, data->train.span, "the source");
    return val_error();
  }
  Type type;
  if (!idx_type(e, data, expr, part, want, &type))
    return val_error();
  NnrtColumn c = {.first = (uint32_t)part};
  return column_value(e, data, expr, &c, type);
}

// ---- csv and rows written in the program --------------------------------------------------------

// How many values a row has, or -1 if only the file knows.
static int64_t row_width(const DataInfo *data) {
  const DataSource *s = &data->train;
  if (s->s.kind == NNRT_INLINE)
    return s->s.width;
  return s->facts && s->facts[0].path && !s->facts[0].wrong ? (int64_t)s->facts[0].width : -1;
}

static bool bound(Elab *e, DataInfo *data, Node *expr, int64_t otherwise, int64_t *out) {
  *out = otherwise;
  if (!expr)
    return true;
  return elab_int(e, elab_expr(e, data->scope, expr, NULL), "the place in the row", expr->span,
                  out);
}

// Values written in the program that are to be an index are whole numbers within its range.
static bool check_written(Elab *e, const DataInfo *data, int64_t start, const Type *type,
                          int64_t n) {
  const DataSource *s = &data->train;
  if (s->s.kind != NNRT_INLINE || !type->range)
    return true;
  for (int64_t r = 0; r < s->s.rows; r++)
    for (int64_t i = start; i < start + n; i++) {
      double x = s->s.value[r * s->s.width + i];
      if (x >= 0 && x < (double)type->range && x == (double)(int64_t)x)
        continue;
      Diagnostic *d = diag_error(e->s, s->node->list.at[r]->list.at[i]->span, "index-range",
                                 "%g is no index<%lld>: whole numbers from 0 to %lld", x,
                                 (long long)type->range, (long long)type->range - 1);
      diag_note(e->s, d, data->computing->node->span, "the field that reads it");
      return false;
    }
  return true;
}

static Val value_range(Elab *e, DataInfo *data, Node *expr, Node *item, int64_t start,
                       int64_t end) {
  int64_t width = row_width(data);
  if (start < 0 || end <= start)
    return wrong_row(e, item->span, "these are no values of the row",
                     "row[a..b] is the values a, a + 1, ... b - 1, counted from 0");
  if (data->train.s.kind == NNRT_INLINE && end > width) {
    Diagnostic *d =
        diag_error(e->s, item->span, "row", "value %lld is read, but the rows have %lld values",
                   (long long)end - 1, (long long)width);
    diag_note(e->s, d, data->train.span, "the rows; values are counted from 0");
    return val_error();
  }
  Type type = type_scalar(TY_F32);
  const Field *f = data->computing;
  if (is_direct(data, expr) && f->typed && f->type.range) {
    type.elem = TY_I32;
    type.range = f->type.range;
  }
  if (item->kind == N_RANGE) {
    type.rank = 1;
    type.dim[0] = end - start;
  }
  if (!check_written(e, data, start, &type, end - start))
    return val_error();
  NnrtColumn c = {.first = (uint32_t)start};
  return column_value(e, data, expr, &c, type);
}

static Val value_part(Elab *e, DataInfo *data, Node *expr) {
  Node *item = expr->list.at[0];
  int64_t start, end, width = row_width(data);
  if (item->kind == N_DIM_REST || item->kind == N_HOLE)
    return wrong_row(e, item->span, "say which values", "row[3], row[1..17], row.name");
  if (item->kind != N_RANGE) {
    if (!bound(e, data, item, 0, &start))
      return val_error();
    return value_range(e, data, expr, item, start < 0 && width >= 0 ? start + width : start,
                       start < 0 && width >= 0 ? start + width + 1 : start + 1);
  }
  if (!bound(e, data, item->a, 0, &start) || !bound(e, data, item->b, width, &end))
    return val_error();
  if (width < 0 && (!item->b || start < 0 || end < 0))
    return wrong_row(e, item->span, "the number of values in a row is not known while compiling",
                     "the file is not there; write both ends, as in row[0..64]");
  return value_range(e, data, expr, item, start < 0 ? start + width : start,
                     end < 0 ? end + width : end);
}

static Val named_part(Elab *e, DataInfo *data, Node *expr) {
  const NnrtSource *s = &data->train.s;
  if (s->kind != NNRT_CSV)
    return wrong_row(
        e, expr->span, "these rows have no named parts",
        "write row[0], row[1] and so on; names come from the first line of a csv file");
  if (!s->header) {
    Diagnostic *d = diag_error(e->s, expr->name_span, "row",
                               "the csv file is read without a header, "
                               "so its columns have no names");
    diag_note(e->s, d, data->train.span,
              "`header = false` is said here; write row[0], row[1], ...");
    return val_error();
  }
  Type type = type_scalar(TY_F32);
  const Field *f = data->computing;
  if (is_direct(data, expr) && f->typed && f->type.range) {
    type.elem = TY_I32;
    type.range = f->type.range;
  }
  NnrtColumn c = {.header = expr->name};
  return column_value(e, data, expr, &c, type);
}

Val elab_row(Elab *e, DataInfo *data, Node *expr, const Type *want) {
  if (data->bad || !e->target)
    return val_error();
  if (expr->kind == N_MEMBER)
    return named_part(e, data, expr);
  if (expr->list.n != 1)
    return wrong_row(e, expr->span, "a row has one index",
                     "row[0] or row[1..17]; index the result again");
  if (data->train.s.kind == NNRT_IDX)
    return idx_part(e, data, expr, want);
  return value_part(e, data, expr);
}
