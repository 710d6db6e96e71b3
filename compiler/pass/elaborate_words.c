// Steps from the raw cells of a row to values, in the fields of a data block:
//   row[1..17] |> recode(y = 1, n = 0)                    texts that stand for numbers
//   row.text |> lower |> words |> vocabulary(20000) |> pad(80, side = pre)
//   row |> without("SalePrice")                           the other values
//   x |> standardize, x |> min_max, x |> fill(mean)       see elaborate_fitted.c
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

// One step: what it is called, what it is applied to, its arguments.
typedef struct {
  const char *name;
  Node *node, *operand;
  Node *const *arg;
  uint32_t n;
} Stage;

static bool read_step(Node *node, Stage *step) {
  Node *stage = node->kind == N_PIPE ? node->b : node;
  Node *callee = stage->kind == N_CALL ? stage->a : stage;
  if ((node->kind != N_PIPE && node->kind != N_CALL) || callee->kind != N_NAME)
    return false;
  bool pipe = node->kind == N_PIPE, call = stage->kind == N_CALL;
  *step = (Stage){.name = callee->name, .node = node};
  step->arg = call ? stage->list.at : NULL;
  step->n = call ? stage->list.n : 0;
  if (pipe)
    step->operand = node->a;
  else if (step->n && !step->arg[0]->name) {
    step->operand = step->arg[0]->a;
    step->arg++;
    step->n--;
  }
  return step->operand != NULL;
}

static Val wrong_value(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "row-step", "%s", what);
  diag_note(e->s, d, (Span){0}, "%s", advice);
  return val_error();
}

static Val compile_time(Elab *e, DataInfo *data, Node *expr) {
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), expr, NULL);
  e->target = target;
  return v;
}

// The expression behind a name that a `let` of the block gives.
static Node *behind(const DataInfo *data, Node *node) {
  for (uint32_t i = 0; node->kind == N_NAME && i < data->let.n; i++)
    if (data->let.at[i].name == node->name && data->let.at[i].node->b)
      return data->let.at[i].node->b;
  return node;
}

static NodeWords *node_words(Elab *e, DataInfo *data, const Node *node, bool *made) {
  for (uint32_t i = 0; i < data->words.n; i++)
    if (data->words.at[i].node == node)
      return *made = true, &data->words.at[i];
  buf_push(e->m->arena, &data->words, (NodeWords){.node = node});
  *made = false;
  return &data->words.at[data->words.n - 1];
}

// ---- recode ------------------------------------------------------------------------------------

static bool read_codes(Elab *e, DataInfo *data, const Stage *step, NnrtWords *words) {
  double *code = arena_array(e->m->arena, double, step->n + 1);
  Text bytes = {.arena = e->m->arena};
  for (uint32_t i = 0; i < step->n; i++) {
    Node *arg = step->arg[i];
    if (!arg->name) {
      wrong_value(e, arg->span, "recode(...) takes texts and the numbers they stand for",
                  "recode(y = 1, n = 0), recode(\"n.a.\" = 0)");
      return false;
    }
    if (!elab_number(e, compile_time(e, data, arg->a), "the number of a text", arg->a->span,
                     &code[i]))
      return false;
    text_putn(&bytes, arg->name, strlen(arg->name) + 1);
  }
  *words = (NnrtWords){.coding = NNRT_AS_CODE,
                       .words = bytes.at,
                       .n_byte = (uint32_t)bytes.n,
                       .n_word = step->n,
                       .code = code};
  return true;
}

static Val recode(Elab *e, DataInfo *data, const Stage *step) {
  RowPart part;
  bool made;
  DataInfo *from = row_of(data, step->operand);
  if (!from || from->train.s.kind != NNRT_CSV)
    return wrong_value(e, step->operand->span, "recode(...) reads raw cells of csv(...)",
                       "row[1..17] |> recode(y = 1, n = 0)");
  if (!step->n)
    return wrong_value(e, step->node->span, "recode(...) needs what the texts stand for",
                       "recode(y = 1, n = 0)");
  if (!row_part(e, from, step->operand, &part))
    return val_error();
  NodeWords *words = node_words(e, data, step->node, &made);
  if (!made && !read_codes(e, data, step, &words->words))
    return val_error();
  if (!words->words.n_word)
    return val_error();
  return row_values(e, from, step->node, &part, &words->words);
}

// ---- texts -------------------------------------------------------------------------------------

typedef struct {
  Node *part; // the cell
  NnrtWords words;
  bool split, counted;
  int64_t most; // of the vocabulary
  Span vocabulary;
} Tokens;

static bool is_token_step(const char *name) {
  static const char *const names[] = {"lower", "words", "characters", "vocabulary"};
  for (size_t i = 0; i < 4; i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}

static bool is_tokens(const DataInfo *data, Node *node) {
  Stage step;
  node = behind(data, node);
  return read_step(node, &step) && is_token_step(step.name);
}

static bool vocabulary(Elab *e, DataInfo *data, const Stage *step, Tokens *out) {
  if (step->n != 1 || !out->split) {
    wrong_value(e, step->node->span, "vocabulary(n) numbers the tokens of a text",
                "row.text |> lower |> words |> vocabulary(20000) |> pad(80)");
    return false;
  }
  if (!elab_int(e, compile_time(e, data, step->arg[0]->a), "the size of a vocabulary",
                step->arg[0]->span, &out->most))
    return false;
  out->vocabulary = step->arg[0]->span;
  if (out->most >= 3 && out->most <= 1 << 24)
    return true;
  wrong_value(e, step->arg[0]->span, "a vocabulary has at least 3 entries",
              "0 is padding, 1 a word that isn't in it, the others are the commonest words");
  return false;
}

// Reads the steps from the cell on; false after an error.
static bool read_tokens(Elab *e, DataInfo *data, Node *node, Tokens *out) {
  Stage step;
  node = behind(data, node);
  if (row_of(data, node)) {
    out->part = node;
    return true;
  }
  if (!read_step(node, &step) || !is_token_step(step.name)) {
    wrong_value(e, node->span, "a text is a cell of a csv file",
                "row.text |> lower |> words |> vocabulary(20000) |> pad(80)");
    return false;
  }
  if (!read_tokens(e, data, step.operand, out))
    return false;
  if (strcmp(step.name, "vocabulary") == 0)
    return vocabulary(e, data, &step, out);
  if (strcmp(step.name, "lower") == 0)
    out->words.lower = true;
  else {
    out->split = true;
    out->words.split = strcmp(step.name, "words") == 0 ? NNRT_WORDS : NNRT_CHARACTERS;
  }
  return true;
}

static bool pad_setting(Elab *e, const Stage *step, Node *arg, Tokens *out) {
  bool pre = name_is(arg->a, "pre");
  if (strcmp(arg->name, "side") != 0 || (!pre && !name_is(arg->a, "post"))) {
    wrong_value(e, arg->span, "pad(...) takes a length and a side, pre or post",
                "pad(80, side = pre)");
    return false;
  }
  (void)step;
  out->words.pad_front = pre;
  return true;
}

static bool read_pad(Elab *e, DataInfo *data, const Stage *step, Tokens *out) {
  int64_t n = 0;
  out->words.pad_front = true;
  for (uint32_t i = 0; i < step->n; i++)
    if (step->arg[i]->name) {
      if (!pad_setting(e, step, step->arg[i], out))
        return false;
    } else if (!elab_int(e, compile_time(e, data, step->arg[i]->a), "the length",
                         step->arg[i]->span, &n))
      return false;
  out->words.most = n;
  if (n >= 1 && n <= 1 << 20)
    return true;
  wrong_value(e, step->node->span, "pad(...) needs a length", "pad(80, side = pre)");
  return false;
}

static bool count_vocabulary(Elab *e, DataInfo *data, const Stage *step, const RowPart *part,
                             const Tokens *tokens, NnrtWords *out) {
  uint32_t field;
  *out = tokens->words;
  if (row_fields(&data->train, part, &field) &&
      count_tokens(e, data, &data->train, field, (uint32_t)tokens->most - 2, out) && out->n_word) {
    out->coding = NNRT_AS_TOKENS;
    return true;
  }
  if (data->train.facts && data->train.facts->wrong) // said already
    return false;
  Diagnostic *d = diag_error(e->s, tokens->vocabulary, "file-needed",
                             "a vocabulary is counted while compiling, but the file isn't there or "
                             "has no words");
  diag_note(e->s, d, data->train.span, "the file is named here");
  (void)step;
  return false;
}

static Val padded(Elab *e, DataInfo *data, const Stage *step) {
  Tokens tokens = {0};
  RowPart part;
  bool made;
  if (!read_tokens(e, data, step->operand, &tokens) || !read_pad(e, data, step, &tokens))
    return val_error();
  if (!tokens.most)
    return wrong_value(e, step->operand->span, "the tokens have no numbers yet",
                       "put `|> vocabulary(20000)` before pad");
  DataInfo *from = row_of(data, tokens.part);
  if (!row_part(e, from, tokens.part, &part))
    return val_error();
  if (!part.single)
    return wrong_value(e, tokens.part->span, "a text is one cell", "row[2], row.text");
  NodeWords *words = node_words(e, data, step->node, &made);
  if (!made && !count_vocabulary(e, from, step, &part, &tokens, &words->words))
    return val_error();
  if (words->words.coding != NNRT_AS_TOKENS)
    return val_error();
  return row_tokens(e, from, step->node, &part, &words->words, tokens.most);
}

// `row.length`: what the one padded text of the block has. false: there is none.
bool row_length(Elab *e, DataInfo *of, Node **part, NnrtWords *words) {
  DataInfo *data = whole_of(of);
  for (uint32_t i = 0; i < data->field.n; i++) {
    Stage step;
    Tokens tokens = {0};
    Node *value = data->field.at[i].node->a;
    if (!value || !read_step(value, &step) || strcmp(step.name, "pad") != 0 ||
        !is_tokens(data, step.operand))
      continue;
    if (!read_tokens(e, data, step.operand, &tokens) || !read_pad(e, data, &step, &tokens))
      return false;
    if (row_of(data, tokens.part) != of)
      continue;
    *words = tokens.words;
    words->coding = NNRT_AS_LENGTH;
    *part = tokens.part;
    return true;
  }
  return false;
}

// ---- without -----------------------------------------------------------------------------------

static bool left_out(Elab *e, DataInfo *data, const Stage *step, bool *out, const RowPart *all) {
  DataSource *source = &data->train;
  for (uint32_t i = 0; i < step->n; i++) {
    Val v = compile_time(e, data, step->arg[i]->a);
    RowPart one = {.header = v.kind == V_STRING ? v.s : "", .n = 1};
    uint32_t field = v.kind == V_INT && v.i >= 0 ? source_field(source, (uint32_t)v.i) : NNRT_NONE;
    bool known = v.kind == V_INT || (v.kind == V_STRING && row_fields(source, &one, &field)),
         any = 0;
    for (uint32_t k = 0; known && k < all->n; k++)
      if (source_field(source, all->place[k]) == field)
        any = out[k] = true;
    if (!any) {
      diag_error(e->s, step->arg[i]->span, "data-mismatch", "the rows have no column %s",
                 node_source(e, step->arg[i]->a));
      return false;
    }
  }
  return true;
}

static Val without(Elab *e, DataInfo *data, const Stage *step) {
  RowPart all, part = {0};
  data = row_of(data, step->operand);
  if (!data || step->operand->kind == N_MEMBER || !step->n ||
      (data->train.s.kind != NNRT_CSV && data->train.s.kind != NNRT_INLINE) || data->train.s.window)
    return wrong_value(e, step->node->span, "without(...) leaves columns out of a row",
                       "row |> without(\"price\")");
  if (!row_part(e, data, step->operand, &all))
    return val_error();
  bool *out = arena_array(e->m->arena, bool, all.n + 1);
  uint32_t *place = arena_array(e->m->arena, uint32_t, all.n + 1);
  if (!left_out(e, data, step, out, &all))
    return val_error();
  for (uint32_t k = 0; k < all.n; k++)
    if (!out[k])
      place[part.n++] = all.place[k];
  part.place = place;
  if (!part.n)
    return wrong_value(e, step->node->span, "no column is left", "leave fewer out");
  return row_values(e, data, step->node, &part, NULL);
}

// ---- what was counted ---------------------------------------------------------------------------

// `Pets.classes`: how many values index<classes> has there (rule 21); 0: there is no such name.
int64_t data_counted(Elab *e, DataInfo *data, const char *name) {
  data_resolve(e, data);
  if (data->part.n && !data->bad)
    return data_counted(e, data->part.at[0], name);
  for (uint32_t i = 0; i < data->field.n && !data->bad; i++) {
    Node *field = data->field.at[i].node;
    RowPart part;
    NnrtWords words = {0};
    if (!data->field.at[i].open || !field->type->a || !name_is(field->type->a, name) || !field->a)
      continue;
    DataInfo *from = row_of(data, field->a);
    if (data->train.s.kind == NNRT_TEXT)
      return data->train.letters.n_word;
    if (!from)
      continue;
    if (is_class_source(&from->train) && source_classes(e, &from->train, &words))
      return words.n_word;
    if (from->train.s.kind != NNRT_CSV || !row_part(e, from, field->a, &part))
      continue;
    uint32_t *at = arena_array(e->m->arena, uint32_t, part.n + 1);
    if (row_fields(&from->train, &part, at) && count_names(e, &from->train, at, part.n, &words))
      return words.n_word;
  }
  return 0;
}

// ---- which one ---------------------------------------------------------------------------------

static bool is_fitted(const Stage *step) {
  if (strcmp(step->name, "fill") == 0)
    return true;
  return !step->n && (strcmp(step->name, "standardize") == 0 || strcmp(step->name, "min_max") == 0);
}

static Val fitted(Elab *e, Scope *scope, DataInfo *data, const Stage *step) {
  FitCall call = {.name = step->name, .node = step->node, .operand = step->operand};
  if (strcmp(step->name, "fill") == 0) {
    if (step->n != 1 || step->arg[0]->name)
      return wrong_value(e, step->node->span, "fill(...) takes what stands for missing values",
                         "fill(mean), fill(0)");
    call.argument = step->arg[0]->a;
  }
  Val x = elab_expr(e, scope, step->operand, NULL);
  return x.kind == V_ERROR ? x : fitted_value(e, data, &call, x, false);
}

// Only what is written in the block itself, not what a fn does that it calls.
static DataInfo *data_here(const Elab *e) {
  DataInfo *data = e->target ? e->target->data : NULL;
  return data && data->computing && !e->frame && !e->inside ? data : NULL;
}

bool elab_data_step(Elab *e, Scope *scope, Node *node, Val *out) {
  DataInfo *data = data_here(e);
  Stage step;
  if (!e->target || !e->target->data || !read_step(node, &step))
    return false;
  if (strcmp(step.name, "unscaled") == 0 && !scope_find(scope, step.name)) {
    *out = unscaled_value(e, scope, node, step.operand, step.n == 1 ? step.arg[0]->a : NULL);
    return true;
  }
  if (strcmp(step.name, "text") == 0 && !step.n && e->target->presents &&
      !scope_find(scope, step.name)) {
    *out = elab_expr(e, scope, step.operand, NULL); // the form of an output: is_text() asks for it
    return true;
  }
  if (!data)
    return false;
  bool known = true;
  const Entry *found = scope_find(scope, step.name);
  if (is_fitted(&step))
    *out = fitted(e, scope, data, &step);
  else if (strcmp(step.name, "resize") == 0 && row_of(data, step.operand) &&
           (!found || is_library(e, found->where)))
    *out = resized_value(e, data, node, step.operand, step.arg, step.n);
  else if (found)
    return false;
  else if (strcmp(step.name, "recode") == 0)
    *out = recode(e, data, &step);
  else if (strcmp(step.name, "augment") == 0)
    *out = augmented_value(e, scope, data, node, elab_expr(e, scope, step.operand, NULL), step.arg,
                           step.n);
  else if (strcmp(step.name, "without") == 0)
    *out = without(e, data, &step);
  else if (strcmp(step.name, "pad") == 0 && is_tokens(data, step.operand))
    *out = padded(e, data, &step);
  else if (is_token_step(step.name))
    *out = wrong_value(e, node->span, "a text becomes numbers by a vocabulary and a length",
                       "row.text |> lower |> words |> vocabulary(20000) |> pad(80)");
  else
    known = false;
  return known;
}
