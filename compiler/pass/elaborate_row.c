// The raw record of a reader: `row[0]`, `row[1..17]`, `row.price`, and `row` of generated data.
// Each use becomes a column of the data and an argument of the current function.
#include "pass/elaborate_program.h"

#include <string.h>

static bool same_type(const NnrtType *x, const NnrtType *y) {
  return x->elem == y->elem && x->rank == y->rank && x->range == y->range &&
         memcmp(x->dim, y->dim, sizeof *x->dim * x->rank) == 0;
}

static bool same_words(const NnrtWords *x, const NnrtWords *y) {
  return x->coding == y->coding && x->split == y->split && x->lower == y->lower &&
         x->pad_front == y->pad_front && x->most == y->most && x->n_byte == y->n_byte &&
         x->n_word == y->n_word && (!x->n_byte || memcmp(x->words, y->words, x->n_byte) == 0) &&
         (x->code == y->code ||
          (x->code && y->code && memcmp(x->code, y->code, sizeof *x->code * x->n_word) == 0));
}

static bool same_column(const NnrtColumn *x, const NnrtColumn *y) {
  bool header =
      x->header == y->header || (x->header && y->header && strcmp(x->header, y->header) == 0);
  bool place = x->n_place == y->n_place &&
               (!x->n_place || memcmp(x->place, y->place, sizeof *x->place * x->n_place) == 0);
  return header && place && x->side == y->side && x->first == y->first &&
         x->resized == y->resized && same_type(&x->type, &y->type) &&
         same_words(&x->words, &y->words);
}

static Columns *columns_of(Elab *e, DataInfo *data) {
  return e->target->input ? e->target->input : &whole_of(data)->column;
}

static uint32_t column_index(Elab *e, DataInfo *data, NnrtColumn *column) {
  Columns *to = columns_of(e, data);
  column->side = data->place;
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
Val row_column(Elab *e, DataInfo *data, Node *expr, NnrtColumn *c, Type type) {
  const Field *f = data->computing;
  DataInfo *whole = whole_of(data);
  c->name = f && !whole->named && f->node->kind == N_FIELD ? f->name : node_source(e, expr);
  whole->named = true;
  c->type = nnrt_type(&type);
  c->loc = elab_loc(e, expr->span);
  bool idx = data->train.s.kind == NNRT_IDX; // there the declaration is what differs from the file
  Span place = idx && f && f->node->type && f->node->kind == N_FIELD
                   ? span_join(f->node->name_span, f->node->type->span)
                   : expr->span;
  if (!files_check_column(e, data, &data->train, c, place) ||
      !files_check_column(e, data, &data->validate, c, place))
    return val_error();
  uint32_t k = column_index(e, data, c);
  type.batched = true;
  Value *x = target_argument(e->target, type, NNRT_COLUMN, k, columns_of(e, data)->at.at[k].name);
  Val v = val_tensor(type.range ? x : ir_convert(&e->target->b, x, TY_F32));
  v.span = expr->span;
  return v;
}

static Val wrong_row(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "row", "%s", what);
  diag_note(e->s, d, (Span){0}, "%s", advice);
  return val_error();
}

// The field is this expression itself, or taken from the row by steps, not computed from it.
bool row_is_direct(const DataInfo *data, const Node *expr) {
  const Field *f = data->computing;
  return f && (f->node->kind == N_FIELD ? f->node->a : f->node->b) == expr;
}

// ---- idx ---------------------------------------------------------------------------------------

// One record's shape: that of the field, which the file must agree with; without one, the file's.
static bool idx_type(Elab *e, DataInfo *data, Node *expr, int64_t part, const Type *want,
                     Type *out) {
  const Field *f = data->computing;
  const FileFacts *facts = data->train.facts ? &data->train.facts[part] : NULL;
  bool direct = row_is_direct(data, expr), known = facts && facts->path && !facts->wrong;
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
  if (!elab_int(e, elab_expr(e, data_scope(data), item, NULL), "the part of the record", item->span,
                &part))
    return val_error();
  if (part < 0 || part >= data->train.s.width) {
    Diagnostic *d = diag_error(e->s, item->span, "row",
                               "there is no part %lld: a record has %lld file%s", (long long)part,
                               (long long)data->train.s.width, data->train.s.width == 1 ? "" : "s");
    diag_note(e->s, d, data->train.span, "the source");
    return val_error();
  }
  Type type;
  if (!idx_type(e, data, expr, part, want, &type))
    return val_error();
  NnrtColumn c = {.first = (uint32_t)part};
  return row_column(e, data, expr, &c, type);
}

// ---- csv and rows written in the program --------------------------------------------------------

static bool bound(Elab *e, DataInfo *data, Node *expr, int64_t otherwise, int64_t *out) {
  *out = otherwise;
  if (!expr)
    return true;
  Val v = elab_expr(e, data_scope(data), expr, NULL);
  if (v.kind == V_STRING) {
    wrong_row(e, expr->span, format(e, "a place in the row is a number, found %s", val_text(e, v)),
              format(e, "a column of a csv file with a header is called by its name: row.%s", v.s));
    return false;
  }
  return elab_int(e, v, "the place in the row", expr->span, out);
}

// What an index of all the values of these columns would be.
static void written_range(Elab *e, Diagnostic *d, const DataSource *s, int64_t start, int64_t n) {
  double least = s->s.value[start], most = least;
  bool whole = true;
  for (int64_t r = 0; r < s->s.rows; r++)
    for (int64_t i = start; i < start + n; i++) {
      double x = s->s.value[r * s->s.width + i];
      least = x < least ? x : least;
      most = x > most ? x : most;
      whole &= x == (double)(int64_t)x;
    }
  if (!whole || least < 0)
    diag_note(e->s, d, (Span){0}, "a field of numbers is declared f32");
  else if (least > 0)
    diag_note(e->s, d, (Span){0}, "labels are counted from 0, these are %g to %g: write %g to %g",
              least, most, 0.0, most - least);
  else
    diag_note(e->s, d, (Span){0}, "index<%g> has all that are written: they are 0 to %g", most + 1,
              most);
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
      written_range(e, d, s, start, n);
      return false;
    }
  return true;
}

static uint32_t *range_places(Elab *e, int64_t start, int64_t n) {
  uint32_t *place = arena_array(e->m->arena, uint32_t, n);
  for (int64_t i = 0; i < n; i++)
    place[i] = (uint32_t)(start + i);
  return place;
}

static bool no_part(Elab *e, Span span, const char *what, const char *advice) {
  wrong_row(e, span, what, advice);
  return false;
}

static bool part_range(Elab *e, DataInfo *data, Node *item, int64_t start, int64_t end,
                       RowPart *part) {
  int64_t width = source_width(&data->train);
  bool known = data->train.s.kind == NNRT_INLINE || data->train.s.n_keep || data->train.s.window;
  if (start < 0 || end <= start || end - start > 1 << 20)
    return no_part(e, item->span, "these are no values of the row",
                   "row[a..b] is the values a, a + 1, ... b - 1, counted from 0");
  if (known && end > width) {
    Diagnostic *d =
        diag_error(e->s, item->span, "row", "value %lld is read, but the rows have %lld values",
                   (long long)end - 1, (long long)width);
    diag_note(e->s, d, data->train.span, "the rows; values are counted from 0");
    return false;
  }
  *part = (RowPart){.place = range_places(e, start, end - start),
                    .n = (uint32_t)(end - start),
                    .single = item->kind != N_RANGE};
  return true;
}

static bool indexed_part(Elab *e, DataInfo *data, Node *expr, RowPart *part) {
  int64_t start, end, width = source_width(&data->train);
  if (expr->list.n != 1)
    return no_part(e, expr->span, "a row has one index",
                   "row[0] or row[1..17]; index the result again");
  Node *item = expr->list.at[0];
  if (item->kind == N_DIM_REST || item->kind == N_HOLE)
    return no_part(e, item->span, "say which values", "row[3], row[1..17], row.name");
  if (item->kind != N_RANGE) {
    if (!bound(e, data, item, 0, &start))
      return false;
    bool from_end = start < 0 && width >= 0;
    return part_range(e, data, item, from_end ? start + width : start,
                      from_end ? start + width + 1 : start + 1, part);
  }
  if (!bound(e, data, item->a, 0, &start) || !bound(e, data, item->b, width, &end))
    return false;
  if (width < 0 && (!item->b || start < 0 || end < 0))
    return no_part(e, item->span, "the number of values in a row is not known while compiling",
                   "the file is not there; write both ends, as in row[0..64]");
  return part_range(e, data, item, start < 0 ? start + width : start, end < 0 ? end + width : end,
                    part);
}

static bool window_part(Elab *e, DataInfo *data, Node *expr, RowPart *part) {
  const DataSource *s = &data->train;
  const char **names = arena_array(e->m->arena, const char *, s->part.n + 1);
  for (uint32_t i = 0; i < s->part.n; i++) {
    names[i] = s->part.at[i].name;
    if (s->part.at[i].name == expr->name) {
      int64_t n = s->part.at[i].count;
      *part = (RowPart){.place = range_places(e, s->part.at[i].first, n), .n = (uint32_t)n};
      return true;
    }
  }
  Diagnostic *d =
      diag_error(e->s, expr->name_span, "row", "the windows have no part `%s`", expr->name);
  const char *near = nearest_name(expr->name, names, s->part.n);
  Text list = {.arena = e->m->arena};
  for (uint32_t i = 0; i < s->part.n; i++)
    text_printf(&list, "%srow.%s", i ? ", " : "", names[i]);
  diag_note(e->s, d, s->span, "they are cut here");
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else if (list.n)
    diag_note(e->s, d, (Span){0}, "they have: %s", list.at);
  return false;
}

static bool named_part(Elab *e, DataInfo *data, Node *expr, RowPart *part) {
  const NnrtSource *s = &data->train.s;
  if (s->window)
    return window_part(e, data, expr, part);
  if (s->kind != NNRT_CSV)
    return no_part(e, expr->span, "these rows have no named parts",
                   "write row[0], row[1] and so on; names come from the first line of a csv file");
  if (!s->header) {
    Diagnostic *d = diag_error(e->s, expr->name_span, "row",
                               "the csv file is read without a header, "
                               "so its columns have no names");
    diag_note(e->s, d, data->train.span, "`header = false` is said here");
    diag_note(e->s, d, (Span){0}, "columns are counted from 0: row[0], row[1], ...");
    return false;
  }
  *part = (RowPart){.header = expr->name, .n = 1, .single = true};
  return true;
}

bool row_part(Elab *e, DataInfo *data, Node *expr, RowPart *part) {
  if (data->train.s.kind == NNRT_TEXT_FOLDERS) {
    *part = (RowPart){.header = "text", .n = 1, .single = true};
    if (expr->kind == N_MEMBER && strcmp(expr->name, "text") == 0)
      return true;
    return no_part(e, expr->span, format(e, "`%s` is no text", node_source(e, expr)),
                   "row.text |> lower |> words |> vocabulary(20000) |> pad(80)");
  }
  bool record = data->whole && expr->kind == N_INDEX && name_is(expr->a, "row"); // row[1] of a zip
  if (expr->kind == N_MEMBER)
    return named_part(e, data, expr, part);
  if (expr->kind == N_INDEX && !record)
    return indexed_part(e, data, expr, part);
  int64_t width = source_width(&data->train);
  if (width < 0)
    return no_part(e, expr->span, "the number of values in a row is not known while compiling",
                   "the file is not there; write both ends, as in row[0..64]");
  *part = (RowPart){.place = range_places(e, 0, width), .n = (uint32_t)width};
  return true;
}

bool row_fields(DataSource *source, const RowPart *part, uint32_t *field) {
  const FileFacts *facts = source->facts;
  for (uint32_t i = 0; part->place && i < part->n; i++)
    field[i] = source_field(source, part->place[i]);
  if (part->place)
    return true;
  for (uint32_t i = 0; facts && i < facts->width; i++)
    if (strcmp(facts->name[i], part->header) == 0) {
      *field = i;
      return true;
    }
  return false;
}

// The names in the file, where its cells are text or the field wants them counted; the same for
// every use.
static const NnrtWords *counted_names(Elab *e, DataInfo *data, Node *expr, const RowPart *part) {
  DataInfo *whole = whole_of(data);
  for (uint32_t i = 0; i < whole->words.n; i++)
    if (whole->words.at[i].node == expr)
      return whole->words.at[i].words.n_word ? &whole->words.at[i].words : NULL;
  const Field *f = data->computing;
  bool wanted = f && f->open && row_is_direct(data, expr) && f->node->type->a;
  uint32_t *field = arena_array(e->m->arena, uint32_t, part->n + 1);
  const bool *text = data->train.s.kind == NNRT_CSV && row_fields(&data->train, part, field)
                         ? source_text(e, &data->train, false)
                         : NULL;
  for (uint32_t i = 0; text && i < part->n; i++)
    wanted |= field[i] < data->train.facts->width && text[field[i]];
  NodeWords words = {.node = expr};
  if (text && wanted)
    count_names(e, &data->train, field, part->n, &words.words);
  buf_push(e->m->arena, &whole->words, words);
  return words.words.n_word ? &whole->words.at[whole->words.n - 1].words : NULL;
}

bool names_fit(Elab *e, DataInfo *data, Node *expr, const NnrtWords *words, const Type *type) {
  if (words->coding != NNRT_AS_NAME || (int64_t)words->n_word <= type->range)
    return true;
  Diagnostic *d = diag_error(e->s, expr->span, "data-mismatch",
                             "%u different texts stand here, but the field is index<%lld>",
                             words->n_word, (long long)type->range);
  diag_note(e->s, d, data->train.span, "they are counted in the file named here");
  diag_note(e->s, d, (Span){0}, "write index<%u>, or index<_> for as many as there are",
            words->n_word);
  return false;
}

Val not_counted(Elab *e, DataInfo *data, Node *expr) {
  const DataSource *source = &data->train;
  Diagnostic *d = diag_error(e->s, expr->span, "file-needed",
                             "how many different values there are is counted while compiling, but "
                             "the file isn't there (rule 21)");
  diag_note(e->s, d, source->span, "\"%s\" is not found in $NN_DATA, here or beside the program",
            files_missing(source) ? files_missing(source) : "");
  diag_note(e->s, d, data->computing->node->type->span, "the type that counts them");
  diag_note(e->s, d, (Span){0},
            is_class_source(source)
                ? "put the folder there, write how many, index<10>, or say them: classes = "
                  "[\"cat\", \"dog\"] behind the folder"
                : "put the file there, or write how many: index<10>");
  return val_error();
}

Val row_values(Elab *e, DataInfo *data, Node *expr, const RowPart *part, const NnrtWords *words) {
  const Field *f = data->computing;
  const NnrtSource *s = &data->train.s;
  Type type = type_scalar(TY_F32);
  if (s->kind == NNRT_TEXT)
    words = &data->train.letters;
  else if (!words && !s->window)
    words = counted_names(e, data, expr, part);
  bool indexed = row_is_direct(data, expr) && f->typed && f->type.range;
  if (f && f->open && f->node->type->a && row_is_direct(data, expr) && !words)
    return not_counted(e, data, expr);
  if (indexed || (words && words->coding == NNRT_AS_NAME)) {
    type.elem = TY_I32;
    type.range = indexed ? f->type.range : words->n_word;
  }
  if (!part->single) {
    type.rank = 1;
    type.dim[0] = part->n;
  }
  if (words && !names_fit(e, data, expr, words, &type))
    return val_error();
  if (part->place && !check_written(e, data, part->place[0], &type, part->n))
    return val_error();
  NnrtColumn c = {.header = part->header, .first = part->place ? part->place[0] : 0};
  for (uint32_t i = 1; part->place && i < part->n; i++)
    if (part->place[i] != c.first + i) {
      c.place = part->place;
      c.n_place = part->n;
    }
  if (words)
    c.words = *words;
  if (s->window && s->kind == NNRT_CSV) {
    c.header = data->train.series;
    c.place = c.header ? NULL : &data->train.series_place;
    c.n_place = c.place != NULL;
  }
  return row_column(e, data, expr, &c, type);
}

Val row_tokens(Elab *e, DataInfo *data, Node *expr, const RowPart *part, const NnrtWords *words,
               int64_t most) {
  Type type = {.elem = TY_I32, .range = most, .rank = 1, .dim = {words->most}};
  NnrtColumn c = {
      .header = part->header, .first = part->place ? part->place[0] : 0, .words = *words};
  return row_column(e, data, expr, &c, type);
}

// Windows of a scaled series are scaled as the series was.
static Val window_value(Elab *e, DataInfo *data, Node *expr, const RowPart *part) {
  Val v = row_values(e, data, expr, part, NULL);
  Node *scaling = data->train.scaling;
  if (!scaling || v.kind == V_ERROR)
    return v;
  const Node *name = scaling->kind == N_CALL ? scaling->a : scaling;
  FitCall call = {.name = name->name, .node = scaling};
  return fitted_value(e, data, &call, v, true);
}

static Val file_value(Elab *e, DataInfo *data, Node *expr) {
  RowPart part;
  if (!row_part(e, data, expr, &part))
    return val_error();
  return data->train.s.window ? window_value(e, data, expr, &part)
                              : row_values(e, data, expr, &part, NULL);
}

static Val no_record(Elab *e, const DataInfo *data, Node *expr) {
  Diagnostic *d =
      diag_error(e->s, expr->span, "row",
                 "`%s` is computed: its rows have fields, and no raw record", data->stored->name);
  diag_note(e->s, d, data->stored->decl->name_span, "declared here");
  diag_note(e->s, d, (Span){0}, "take its fields by their names: `x: _`");
  return val_error();
}

Val row_whole(Elab *e, DataInfo *data, Node *expr) {
  if (data->bad || !e->target)
    return val_error();
  if (data->stored)
    return no_record(e, data, expr);
  if (data->side.n)
    return zip_part(e, data, expr);
  if (data->train.s.kind == NNRT_IDX)
    return wrong_row(e, expr->span, "a record of idx files has whole parts, one per file",
                     "row[0] is the record's part in the first file, row[1] in the second");
  if (data->train.s.kind == NNRT_TEXT_FOLDERS)
    return text_part(e, data, expr);
  return is_picture_source(data) ? picture_part(e, data, expr) : file_value(e, data, expr);
}

// `row.length`: how many tokens a padded text has, if there is one and no column of that name.
static bool length_value(Elab *e, DataInfo *data, Node *expr, Val *out) {
  RowPart part = {.header = expr->name, .n = 1};
  NnrtWords words;
  Node *cell;
  uint32_t field;
  bool texts = data->train.s.kind == NNRT_TEXT_FOLDERS;
  if ((data->train.s.kind != NNRT_CSV && !texts) || strcmp(expr->name, "length") != 0 ||
      (data->train.s.header && row_fields(&data->train, &part, &field)) ||
      !row_length(e, data, &cell, &words))
    return false;
  *out = row_part(e, data, cell, &part) ? row_values(e, data, expr, &part, &words) : val_error();
  return true;
}

Val elab_row(Elab *e, DataInfo *data, Node *expr, const Type *want) {
  if (data->bad || !e->target)
    return val_error();
  Val length;
  if (data->stored)
    return no_record(e, data, expr);
  if (data->side.n)
    return zip_part(e, data, expr);
  if (is_picture_source(data))
    return picture_part(e, data, expr);
  if (expr->kind == N_MEMBER && length_value(e, data, expr, &length))
    return length;
  if (data->train.s.kind == NNRT_TEXT_FOLDERS)
    return text_part(e, data, expr);
  if (expr->kind == N_INDEX && data->train.s.kind == NNRT_IDX) {
    if (expr->list.n == 1)
      return idx_part(e, data, expr, want);
    return wrong_row(e, expr->span, "a row has one index",
                     "row[0] or row[1..17]; index the result again");
  }
  return file_value(e, data, expr);
}
