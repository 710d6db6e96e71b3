// Settings of data blocks: train, test, validate, rows, take, cache. In: one item of the block;
// out: what it sets of the DataInfo.
#include "foreign.h"
#include "pass/elaborate_program.h"

#include <string.h>

static const char *const settings[] = {"train", "test", "validate", "rows", "take", "cache"};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

// ---- settings ----------------------------------------------------------------------------------

// `last(1000)`, `last(0.2)`: rows of the training source that are set aside.
static bool validate_last(Elab *e, DataInfo *data, Node *call) {
  Target *target = e->target;
  e->target = NULL;
  Node *arg = call->list.n == 1 ? call->list.at[0]->a : NULL;
  double n = 0;
  bool good =
      arg && elab_number(e, elab_expr(e, data_scope(data), arg, NULL), "last(...)", arg->span, &n);
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

// `kfold(10)`: rule 20.
static bool validate_folds(Elab *e, DataInfo *data, Node *call) {
  Target *target = e->target;
  e->target = NULL;
  Node *arg = call->list.n == 1 && !call->list.at[0]->name ? call->list.at[0]->a : NULL;
  bool good = arg && elab_int(e, elab_expr(e, data_scope(data), arg, NULL), "the number of folds",
                              arg->span, &data->folds);
  e->target = target;
  if (arg && !good)
    return false;
  if (arg && data->folds >= 2 && data->folds <= 1000000)
    return true;
  Diagnostic *d = diag_error(e->s, call->span, "setting-value",
                             "kfold(...) takes the number of folds, at least 2");
  diag_note(e->s, d, (Span){0}, "kfold(10): each tenth of the rows validates once (rule 20)");
  return false;
}

static bool set_validate(Elab *e, DataInfo *data, Node *value) {
  data->validate_span = value->span;
  if (value->kind == N_CALL && name_is(value->a, "last"))
    return validate_last(e, data, value);
  if (value->kind == N_CALL && name_is(value->a, "kfold"))
    return validate_folds(e, data, value);
  return source_make(e, data, value, &data->validate);
}

// What is said elsewhere.
static const char *setting_advice(const char *name) {
  static const char *const advice[][2] = {
      {"shuffle",
       "training takes the rows in another order in every epoch; `|> shuffled(seed = 1)` "
       "behind a source shuffles them before any are set aside"},
      {"weight", "the weight of a row is said in the train block: `weight w`"},
      {"balance", "rows count more by `weight w` in the train block"},
      {"classes", "they belong to the source: folders(\"pets\", classes = [\"cat\", \"dog\"])"},
      {"key", "it belongs to the source: zip(csv(...), folders(...), key = \"id\")"},
      {"names", "columns of csv(...) are called by its first line"}};
  for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
    if (strcmp(name, advice[i][0]) == 0)
      return advice[i][1];
  return foreign_setting(name);
}

static bool unknown_setting(Elab *e, Node *item) {
  Diagnostic *d =
      diag_error(e->s, item->name_span, "unknown-setting", "data has no setting `%s`", item->name);
  const char *near = nearest_name(item->name, settings, N_SETTINGS),
             *advice = setting_advice(item->name);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else
    diag_note(e->s, d, (Span){0},
              "settings are train, test, validate, rows, take and cache; a field is written with "
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
  diag_note(e->s, d, (Span){0}, "keep one of them");
  return true;
}

// `cache = true`: as data computed once (rule 18).
static bool set_cache(Elab *e, DataInfo *data, Node *item) {
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), item->a, NULL);
  e->target = target;
  data->cache = v.kind == V_BOOL && v.i ? item : NULL;
  if (v.kind != V_BOOL && v.kind != V_ERROR)
    diag_note(e->s,
              diag_error(e->s, item->a->span, "setting-value", "cache is true or false, not %s",
                         val_text(e, v)),
              (Span){0}, "cache = true keeps the rows as they are computed once");
  return v.kind == V_BOOL;
}

// Of the rows that there are so far: those of the data that this is from.
static bool take_part(Elab *e, DataInfo *data, bool first, int64_t n, Span span) {
  if (first)
    data->take = data->take && data->take < n ? data->take : n;
  else if (data->take && data->take <= n) {
    Diagnostic *d =
        diag_error(e->s, span, "setting-value", "nothing is left: there are at most %lld rows",
                   (long long)data->take);
    diag_note(e->s, d, data->base->take_span, "taken here");
    return false;
  } else {
    data->skip += n;
    data->take -= data->take ? n : 0;
  }
  return true;
}

// `take = first(1000)`, `take = rest(1000)`.
static bool set_take(Elab *e, DataInfo *data, Node *call) {
  bool first = call->kind == N_CALL && name_is(call->a, "first");
  int64_t n;
  if ((first || (call->kind == N_CALL && name_is(call->a, "rest"))) && call->list.n == 1) {
    Node *arg = call->list.at[0]->a;
    Target *target = e->target;
    e->target = NULL;
    bool good =
        elab_int(e, elab_expr(e, data_scope(data), arg, NULL), "the number of rows", arg->span, &n);
    e->target = target;
    if (!good)
      return false;
    data->take_span = call->span;
    if (n >= 1)
      return take_part(e, data, first, n, call->span);
  }
  Diagnostic *d = diag_error(e->s, call->span, "setting-value",
                             "expected `take = first(n)` or `take = rest(n)`");
  diag_note(e->s, d, (Span){0}, "the first thousand training rows, or those after them");
  return false;
}

bool data_setting(Elab *e, DataInfo *data, Node *item) {
  bool train = strcmp(item->name, "train") == 0 || strcmp(item->name, "rows") == 0;
  if (train)
    return !given_already(e, data->train.span, item) && source_make(e, data, item->a, &data->train);
  if (strcmp(item->name, "take") == 0)
    return !given_already(e, data->take_span, item) && set_take(e, data, item->a);
  if (strcmp(item->name, "cache") == 0)
    return set_cache(e, data, item);
  if (strcmp(item->name, "test") == 0)
    return !given_already(e, data->test.span, item) && source_make(e, data, item->a, &data->test);
  if (strcmp(item->name, "validate") == 0)
    return !given_already(e, data->validate_span, item) && set_validate(e, data, item->a);
  return unknown_setting(e, item);
}
