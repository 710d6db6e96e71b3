// Steps on the rows of a source: `csv(...) |> numeric_columns |> drop("Id") |> drop_missing`,
// `csv(...).volume |> min_max |> windows(history = 6, forecast = 24)`,
// `text(...) |> characters |> windows(257)`. What decides shapes is looked up in the file now; the
// rest is told to the trainer.
#include "foreign.h"
#include "pass/elaborate_program.h"

#include <string.h>

static bool wrong_step(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "row-step", "%s", what);
  diag_note(e->s, d, (Span){0}, "%s", advice);
  return false;
}

static Val compile_time(Elab *e, DataInfo *data, Node *expr) {
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), expr, NULL);
  e->target = target;
  return v;
}

static NodeList arguments(const Node *step) {
  return step->kind == N_CALL ? step->list : (NodeList){0};
}

static bool no_arguments(Elab *e, Node *step, const char *name) {
  if (!arguments(step).n)
    return true;
  diag_error(e->s, step->span, "row-step", "%s takes no arguments", name);
  return false;
}

// ---- columns -----------------------------------------------------------------------------------

static bool file_needed(Elab *e, DataSource *out, Node *step, const char *name) {
  if (out->s.kind != NNRT_CSV)
    return wrong_step(e, step->span, format(e, "%s is a step on the rows of csv(...)", name),
                      "other rows are what the program says");
  if (out->s.n_file && !files_missing(out))
    return !out->facts->wrong;
  Diagnostic *d = diag_error(e->s, step->span, "file-needed",
                             "%s needs the file while compiling: it decides how many columns there "
                             "are (rule 19)",
                             name);
  diag_note(e->s, d, out->span, "\"%s\" is not found in $NN_DATA, here or beside the program",
            files_missing(out) ? files_missing(out) : "");
  return false;
}

typedef struct {
  BUF(uint32_t) place;
} Places;

static void set_kept(Elab *e, DataSource *out, const Places *kept) {
  NnrtSource *s = &out->s;
  const char **name = arena_array(e->m->arena, const char *, kept->place.n + 1);
  for (uint32_t i = 0; i < kept->place.n; i++)
    name[i] = out->facts->name[kept->place.at[i]];
  s->keep = kept->place.at;
  s->keep_name = s->header ? name : NULL;
  s->n_keep = kept->place.n;
}

static bool numeric_columns(Elab *e, DataSource *out, Node *step) {
  if (!file_needed(e, out, step, "numeric_columns") || !no_arguments(e, step, "numeric_columns"))
    return false;
  const bool *text = source_text(e, out, true);
  Places kept = {0};
  for (int64_t k = 0; text && k < source_width(out); k++)
    if (!text[source_field(out, (uint32_t)k)])
      buf_push(e->m->arena, &kept.place, source_field(out, (uint32_t)k));
  if (!kept.place.n)
    return wrong_step(e, step->span, "no column of the file is numeric",
                      "a text that stands for \"no value\" is named by `missing`");
  set_kept(e, out, &kept);
  return true;
}

static bool drop_names(Elab *e, DataInfo *data, DataSource *out, Node *step, bool *dropped) {
  NodeList list = arguments(step);
  for (uint32_t i = 0; i < list.n; i++) {
    Val v = compile_time(e, data, list.at[i]->a);
    uint32_t k = 0;
    if (v.kind == V_ERROR)
      return false;
    if (v.kind == V_INT && v.i >= 0 && v.i < source_width(out)) {
      dropped[source_field(out, (uint32_t)v.i)] = true;
      continue;
    }
    if (v.kind != V_STRING || !out->s.header)
      return wrong_step(e, list.at[i]->span, "drop(...) takes names or places of columns",
                        "drop(\"Id\"); without a header, drop(0)");
    while (k < out->facts->width && strcmp(out->facts->name[k], v.s) != 0)
      k++;
    if (k == out->facts->width) {
      Diagnostic *d = diag_error(e->s, list.at[i]->span, "data-mismatch",
                                 "\"%s\" has no column `%s`", out->facts->path, v.s);
      const char *near = nearest_name(v.s, out->facts->name, out->facts->width);
      if (near)
        diag_note(e->s, d, (Span){0}, "did you mean \"%s\"?", near);
      else
        files_note_columns(e, d, out->facts);
      return false;
    }
    dropped[k] = true;
  }
  return true;
}

static bool drop(Elab *e, DataInfo *data, DataSource *out, Node *step) {
  if (!file_needed(e, out, step, "drop"))
    return false;
  bool *dropped = arena_array(e->m->arena, bool, out->facts->width + 1);
  if (!arguments(step).n)
    return wrong_step(e, step->span, "drop(...) takes names of columns", "drop(\"Id\")");
  if (!drop_names(e, data, out, step, dropped))
    return false;
  Places kept = {0};
  for (int64_t k = 0; k < source_width(out); k++)
    if (!dropped[source_field(out, (uint32_t)k)])
      buf_push(e->m->arena, &kept.place, source_field(out, (uint32_t)k));
  if (!kept.place.n)
    return wrong_step(e, step->span, "no column is left", "drop fewer");
  set_kept(e, out, &kept);
  return true;
}

static bool drop_missing(Elab *e, DataSource *out, Node *step) {
  NnrtSource *s = &out->s;
  if (s->kind != NNRT_CSV)
    return wrong_step(e, step->span, "drop_missing is a step on the rows of csv(...)",
                      "other rows have no missing values");
  if (!no_arguments(e, step, "drop_missing"))
    return false;
  if (!s->missing)
    s->missing = "";
  s->drop_missing = true;
  s->whole = s->keep;
  s->whole_name = s->keep_name;
  s->n_whole = s->n_keep;
  return true;
}

// ---- order -------------------------------------------------------------------------------------

static bool shuffled(Elab *e, DataInfo *data, DataSource *out, Node *step) {
  NodeList list = arguments(step);
  out->s.shuffled = true;
  if (list.n > 1 || (list.n && list.at[0]->name && strcmp(list.at[0]->name, "seed") != 0))
    return wrong_step(e, step->span, "shuffled takes a seed alone", "shuffled(seed = 1)");
  return !list.n || elab_int(e, compile_time(e, data, list.at[0]->a), "the seed", list.at[0]->span,
                             &out->s.shuffle_seed);
}

// ---- windows -----------------------------------------------------------------------------------

static bool window_length(Elab *e, DataInfo *data, Node *arg, int64_t *n) {
  if (!elab_int(e, compile_time(e, data, arg->a), "the length of a window", arg->a->span, n))
    return false;
  if (*n >= 1 && *n <= 1 << 24)
    return true;
  diag_error(e->s, arg->a->span, "setting-value", "%lld: a window has at least one value",
             (long long)*n);
  return false;
}

static bool windows(Elab *e, DataInfo *data, DataSource *out, Node *step) {
  NodeList list = arguments(step);
  NnrtSource *s = &out->s;
  if (s->kind != NNRT_TEXT && !out->has_series)
    return wrong_step(e, step->span, "windows(...) are cut from one column or one text",
                      "csv(\"file.csv\").volume |> windows(history = 6, forecast = 24)");
  if (s->window)
    return wrong_step(e, step->span, "these are windows already", "leave one of them out");
  s->stride = 1;
  for (uint32_t i = 0; i < list.n; i++) {
    int64_t n;
    if (!window_length(e, data, list.at[i], &n))
      return false;
    if (list.at[i]->name && strcmp(list.at[i]->name, "step") == 0) {
      s->stride = n;
      continue;
    }
    WindowPart part = {list.at[i]->name, s->window, n};
    buf_push(e->m->arena, &out->part, part);
    s->window += n;
  }
  return s->window || wrong_step(e, step->span, "windows(...) needs a length",
                                 "windows(257), or windows(history = 6, forecast = 24)");
}

static bool characters(Elab *e, DataSource *out, Node *step) {
  if (out->s.kind != NNRT_TEXT)
    return wrong_step(e, step->span, "characters of a source are those of text(...)",
                      "in a field: row.text |> characters |> vocabulary(100) |> pad(80)");
  out->letters.split = NNRT_CHARACTERS;
  if (count_characters(e, out, &out->letters) && out->letters.n_word)
    return true;
  Diagnostic *d = diag_error(e->s, step->span, "file-needed",
                             "the characters are counted while compiling, but the file isn't there "
                             "or is empty (rule 21)");
  diag_note(e->s, d, out->span, "\"%s\" is not found in $NN_DATA, here or beside the program",
            out->s.file[0]);
  return false;
}

static bool scaling(Elab *e, DataSource *out, Node *step, const char *name) {
  if (!no_arguments(e, step, name))
    return false;
  if (out->s.window || !out->has_series)
    return wrong_step(e, step->span,
                      format(e, "%s of a source scales one column before windows are cut", name),
                      "in a field: row[1..5] |> standardize");
  out->scaling = step;
  return true;
}

// ---- which one ---------------------------------------------------------------------------------

static bool one_step(Elab *e, DataInfo *data, Node *step, DataSource *out) {
  static const char *const names[] = {"drop_missing", "numeric_columns", "drop",    "shuffled",
                                      "windows",      "characters",      "min_max", "standardize"};
  const Node *callee = step->kind == N_CALL ? step->a : step;
  const char *name = callee->kind == N_NAME ? callee->name : "";
  uint32_t k = 0;
  while (k < 8 && strcmp(name, names[k]) != 0)
    k++;
  switch (k) {
  case 0:
    return drop_missing(e, out, step);
  case 1:
    return numeric_columns(e, out, step);
  case 2:
    return drop(e, data, out, step);
  case 3:
    return shuffled(e, data, out, step);
  case 4:
    return windows(e, data, out, step);
  case 5:
    return characters(e, out, step);
  case 6:
  case 7:
    return scaling(e, out, step, names[k]);
  }
  Diagnostic *d = diag_error(e->s, callee->span, "row-step", "there is no step on rows `%s`",
                             node_source(e, callee));
  const char *near = *name ? nearest_name(name, names, 8) : NULL, *advice = foreign_name(name);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else
    diag_note(e->s, d, (Span){0},
              "steps are drop_missing, numeric_columns, drop(...), shuffled(seed = 1), windows(n); "
              "what changes values stands in the fields");
  return false;
}

// csv(...).volume, csv(...)[1]: one column.
static bool one_column(Elab *e, DataInfo *data, Node *expr, DataSource *out) {
  int64_t k;
  if (!source_make(e, data, expr->a, out))
    return false;
  if (out->s.kind != NNRT_CSV)
    return wrong_step(e, expr->span, "one column is taken of csv(...)", "csv(\"file.csv\").volume");
  out->has_series = true;
  if (expr->kind == N_MEMBER) {
    out->series = expr->name;
    return true;
  }
  if (expr->list.n != 1 || !elab_int(e, compile_time(e, data, expr->list.at[0]), "the column",
                                     expr->list.at[0]->span, &k))
    return false;
  if (k < 0 || k > 1 << 20)
    return wrong_step(e, expr->span, "columns are counted from 0", "csv(\"file.csv\")[1]");
  out->series_place = (uint32_t)k;
  return true;
}

bool source_steps(Elab *e, DataInfo *data, Node *expr, DataSource *out) {
  if (expr->kind != N_PIPE)
    return one_column(e, data, expr, out);
  if (!source_make(e, data, expr->a, out))
    return false;
  files_look(e, data, out);
  return one_step(e, data, expr->b, out);
}
