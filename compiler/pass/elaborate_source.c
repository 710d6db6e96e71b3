// Where the rows of a data block come from: idx(...), csv(...), rows written in the program,
// generated(n). In: the expression after `train =`, `rows =` and so on; out: an NnrtSource.
#include "foreign.h"
#include "pass/elaborate_program.h"

#include <string.h>

static const char *const sources[] = {"idx",     "csv",   "generated",    "text",
                                      "folders", "cifar", "text_folders", "zip"};
enum { N_SOURCES = sizeof sources / sizeof *sources };

static Val compile_time(Elab *e, DataInfo *data, Node *expr) {
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), expr, NULL);
  e->target = target;
  return v;
}

bool file_name(Elab *e, DataInfo *data, Node *expr, const char **out) {
  Val v = compile_time(e, data, expr);
  if (v.kind == V_STRING && v.s[0]) {
    *out = v.s;
    return true;
  }
  if (v.kind != V_ERROR)
    diag_error(e->s, expr->span, "source", "expected the name of a file, found %s", val_text(e, v));
  return false;
}

static bool idx_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s) {
  const char **file = arena_array(e->m->arena, const char *, call->list.n);
  s->kind = NNRT_IDX;
  s->n_file = call->list.n;
  s->width = s->n_file;
  s->file = file;
  if (call->list.n == 0) {
    Diagnostic *d = diag_error(e->s, call->span, "source",
                               "idx(...) needs one file for each part "
                               "of a record");
    diag_note(e->s, d, (Span){0},
              "idx(\"images.gz\", \"labels.gz\"): row[0] is the image, row[1] "
              "the label");
    return false;
  }
  bool good = true;
  for (uint32_t i = 0; i < call->list.n; i++) {
    Node *arg = call->list.at[i];
    if (arg->name) {
      diag_error(e->s, arg->span, "unknown-setting", "idx(...) has no setting `%s`", arg->name);
      good = false;
    } else
      good &= file_name(e, data, arg->a, &file[i]);
  }
  return good;
}

static bool is_idx(const Node *expr) {
  return expr->kind == N_CALL && name_is(expr->a, "idx");
}

// idx(...) + idx(...): the rows of the one, then those of the other.
static bool idx_sum(Elab *e, DataInfo *data, Node *expr, NnrtSource *s) {
  NnrtSource more = {0};
  bool nested = expr->a->kind == N_BINARY && expr->a->op == '+';
  if (!is_idx(expr->b) || (!nested && !is_idx(expr->a))) {
    Diagnostic *d =
        diag_error(e->s, expr->span, "source", "only sources of idx files are joined by `+`");
    diag_note(e->s, d, (Span){0},
              "several files are csv(\"a.csv\", \"b.csv\"); of two data blocks, "
              "`data Both = A + B` has the rows of both");
    return false;
  }
  if (!(nested ? idx_sum : idx_source)(e, data, expr->a, s) || !idx_source(e, data, expr->b, &more))
    return false;
  if (more.width != s->width) {
    Diagnostic *d =
        diag_error(e->s, expr->b->span, "source", "records of %lld parts follow on %lld",
                   (long long)more.width, (long long)s->width);
    diag_note(e->s, d, expr->a->span, "the first ones");
    return false;
  }
  const char **file = arena_array(e->m->arena, const char *, s->n_file + more.n_file);
  memcpy(file, s->file, sizeof *file * s->n_file);
  memcpy(file + s->n_file, more.file, sizeof *file * more.n_file);
  s->file = file;
  s->n_file += more.n_file;
  return true;
}

static bool csv_switch(Elab *e, Val v, const char *name, Span span, bool *on) {
  if (v.kind != V_BOOL) {
    Diagnostic *d = diag_error(e->s, span, "setting-value", "%s is true or false, not %s", name,
                               val_text(e, v));
    diag_note(e->s, d, (Span){0}, "%s = false", name);
    return false;
  }
  *on = v.i != 0;
  return true;
}

static bool csv_separator(Elab *e, Val v, Span span, NnrtSource *s) {
  if (v.kind != V_STRING || strlen(v.s) != 1) {
    Diagnostic *d = diag_error(e->s, span, "setting-value",
                               "separator is a text of one character, not %s", val_text(e, v));
    diag_note(e->s, d, (Span){0}, "\",\" \";\" \"\\t\" and the like");
    return false;
  }
  s->separator = v.s[0];
  return true;
}

static bool csv_setting(Elab *e, DataInfo *data, Node *arg, NnrtSource *s) {
  static const char *const names[] = {"header", "separator", "missing", "quotes"};
  bool known = false;
  for (size_t i = 0; i < 4; i++)
    known |= strcmp(arg->name, names[i]) == 0;
  if (!known) {
    Diagnostic *d =
        diag_error(e->s, arg->span, "unknown-setting", "csv(...) has no setting `%s`", arg->name);
    const char *near = nearest_name(arg->name, names, 4), *other = foreign_argument(arg->name);
    if (other && strcmp(other, "separator") == 0)
      near = other;
    diag_note(e->s, d, (Span){0},
              near ? "did you mean `%s`?" : "it has header, separator, missing, quotes", near);
    return false;
  }
  Val v = compile_time(e, data, arg->a);
  if (v.kind == V_ERROR)
    return false;
  if (strcmp(arg->name, "header") == 0)
    return csv_switch(e, v, "header", arg->a->span, &s->header);
  if (strcmp(arg->name, "quotes") == 0) {
    bool quotes;
    bool good = csv_switch(e, v, "quotes", arg->a->span, &quotes);
    s->no_quotes = good && !quotes;
    return good;
  }
  if (strcmp(arg->name, "separator") == 0)
    return csv_separator(e, v, arg->a->span, s);
  if (v.kind == V_STRING) {
    s->missing = v.s;
    return true;
  }
  diag_error(e->s, arg->a->span, "setting-value",
             "missing is the text that stands for \"no value\", not %s", val_text(e, v));
  return false;
}

static bool csv_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s) {
  const char **file = arena_array(e->m->arena, const char *, call->list.n + 1);
  *s = (NnrtSource){.kind = NNRT_CSV, .file = file, .header = true, .separator = ','};
  bool good = true;
  for (uint32_t i = 0; i < call->list.n; i++) {
    Node *arg = call->list.at[i];
    if (arg->name)
      good &= csv_setting(e, data, arg, s);
    else
      good &= file_name(e, data, arg->a, &file[s->n_file++]);
  }
  if (s->n_file == 0) {
    diag_note(e->s, diag_error(e->s, call->span, "source", "csv(...) needs the name of a file"),
              (Span){0}, "csv(\"table.csv\")");
    good = false;
  }
  return good;
}

// text("file"): one text, cut into windows by the steps after it.
static bool text_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s) {
  const char **file = arena_array(e->m->arena, const char *, 1);
  *s = (NnrtSource){.kind = NNRT_TEXT, .file = file, .n_file = 1};
  if (call->list.n == 1 && !call->list.at[0]->name)
    return file_name(e, data, call->list.at[0]->a, &file[0]);
  diag_note(e->s, diag_error(e->s, call->span, "source", "text(...) takes the name of a file"),
            (Span){0}, "text(\"book.txt\") |> characters |> windows(257)");
  return false;
}

static bool generated_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s) {
  s->kind = NNRT_GENERATED;
  s->width = 1;
  if (call->list.n != 1 || call->list.at[0]->name) {
    Diagnostic *d =
        diag_error(e->s, call->span, "source",
                   "generated(n) takes one number, how many rows, found %u", call->list.n);
    diag_note(e->s, d, (Span){0}, "generated(1000)");
    return false;
  }
  Node *arg = call->list.at[0]->a;
  if (!elab_int(e, compile_time(e, data, arg), "the number of rows", arg->span, &s->rows))
    return false;
  if (s->rows >= 1 && s->rows <= INT32_MAX)
    return true;
  Diagnostic *d = diag_error(e->s, arg->span, "setting-value",
                             "%lld rows are generated, but at least 1 is needed, at most %d",
                             (long long)s->rows, INT32_MAX);
  diag_note(e->s, d, (Span){0}, "generated(1000): fields are computed for each of 1000 rows");
  return false;
}

// ---- rows written in the program ----------------------------------------------------------------

static bool inline_cell(Elab *e, const Node *cell, Val v, double *out) {
  if (v.kind != V_STRING)
    return elab_number(e, v, "a value of a row", cell->span, out);
  Diagnostic *d = diag_error(e->s, cell->span, "not-constant",
                             "a value of a row must be a number, found %s", val_text(e, v));
  diag_note(e->s, d, (Span){0},
            "rows that are written are numbers, labels are counted from 0; texts are read from "
            "csv(\"file\")");
  return false;
}

static bool inline_row(Elab *e, DataInfo *data, Node *rows, uint32_t r, NnrtSource *s,
                       double *value) {
  Node *row = rows->list.at[r];
  if (row->kind != N_ARRAY) {
    Diagnostic *d =
        r ? NULL : diag_error(e->s, row->span, "source", "expected a row: [value, ...]");
    if (d) // one row tells of all
      diag_note(e->s, d, (Span){0}, "rows of one value each are written [[1], [2]]");
    return false;
  }
  if (row->list.n != s->width) {
    Diagnostic *d =
        diag_error(e->s, row->span, "source", "this row has %u value%s, the first has %lld",
                   row->list.n, row->list.n == 1 ? "" : "s", (long long)s->width);
    diag_note(e->s, d, rows->list.at[0]->span, "the first row");
    diag_note(e->s, d, (Span){0}, "all rows have as many values as the first: is one missing?");
    return false;
  }
  bool good = true;
  for (uint32_t i = 0; i < row->list.n; i++) {
    Node *cell = row->list.at[i];
    double *out = &value[(int64_t)r * s->width + i];
    if (cell->kind == N_INT) // most cells are literals: thousands of them need no scope
      *out = (double)cell->ival;
    else if (cell->kind == N_FLOAT)
      *out = cell->fval;
    else
      good &= inline_cell(e, cell, compile_time(e, data, cell), out);
  }
  return good;
}

static bool inline_source(Elab *e, DataInfo *data, Node *rows, NnrtSource *s) {
  s->kind = NNRT_INLINE;
  s->rows = rows->list.n;
  s->width = rows->list.at[0]->kind == N_ARRAY ? rows->list.at[0]->list.n : 0;
  double *value = arena_array(e->m->arena, double, s->rows * s->width + 1);
  s->value = value;
  bool good = true;
  for (uint32_t r = 0; r < rows->list.n; r++)
    good &= inline_row(e, data, rows, r, s, value);
  return good;
}

// ---- which one ---------------------------------------------------------------------------------

static bool unknown_source(Elab *e, Node *expr) {
  const char *name = expr->kind == N_CALL && expr->a->kind == N_NAME ? expr->a->name : NULL;
  Diagnostic *d = name ? diag_error(e->s, expr->a->span, "source", "there is no source `%s`", name)
                       : diag_error(e->s, expr->span, "source", "this is no source of rows");
  const char *near = name ? nearest_name(name, sources, N_SOURCES) : NULL;
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else if (name && foreign_name(name))
    diag_note(e->s, d, (Span){0}, "%s", foreign_name(name));
  else if (expr->kind == N_STRING)
    diag_note(e->s, d, (Span){0}, "say how it is read: csv(%s)", node_source(e, expr));
  else if (expr->kind == N_INT || expr->kind == N_FLOAT)
    diag_note(e->s, d, (Span){0}, "a part of the rows is last(%s)", node_source(e, expr));
  else
    diag_note(e->s, d, (Span){0},
              "sources are idx(\"file\", ...), csv(\"file\"), text(\"file\"), folders(\"folder\"), "
              "text_folders(\"folder\"), cifar(\"file\"), generated(n) and rows = [[1, 2], ...]");
  return false;
}

bool source_make(Elab *e, DataInfo *data, Node *expr, DataSource *out) {
  out->span = expr->span;
  out->node = expr;
  out->s.loc = elab_loc(e, expr->span);
  out->s.separator = ',';
  uint32_t loc = out->s.loc;
  bool good;
  if (expr->kind == N_PIPE || expr->kind == N_MEMBER || expr->kind == N_INDEX) {
    good = source_steps(e, data, expr, out);
    out->span = expr->span;
    out->node = expr;
    return good;
  }
  if (expr->kind == N_BINARY && expr->op == '+')
    good = idx_sum(e, data, expr, &out->s);
  else if (expr->kind == N_ARRAY)
    good = inline_source(e, data, expr, &out->s);
  else if (is_idx(expr))
    good = idx_source(e, data, expr, &out->s);
  else if (expr->kind == N_CALL && name_is(expr->a, "csv"))
    good = csv_source(e, data, expr, &out->s);
  else if (expr->kind == N_CALL && name_is(expr->a, "text"))
    good = text_source(e, data, expr, &out->s);
  else if (expr->kind == N_CALL && (name_is(expr->a, "folders") || name_is(expr->a, "cifar") ||
                                    name_is(expr->a, "text_folders")))
    good = class_source(e, data, expr, &out->s);
  else if (expr->kind == N_CALL && name_is(expr->a, "zip"))
    good = zip_source(e, data, expr, out);
  else if (expr->kind == N_CALL && name_is(expr->a, "generated"))
    good = generated_source(e, data, expr, &out->s);
  else
    good = unknown_source(e, expr);
  out->s.loc = loc;
  return good;
}
