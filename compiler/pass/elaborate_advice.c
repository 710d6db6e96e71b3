// What to do about a value that doesn't fit its declared type, and about a name that is not known
// here but elsewhere. In: both sides. Out: one line for `help`, or NULL where the message says
// enough.
#include "pass/elaborate_core.h"

#include <string.h>

// Are the sizes of a written type these numbers?
static bool has_sizes(Node *const *written, uint32_t n, const Dim *dim, uint32_t rank) {
  bool same = n == rank;
  for (uint32_t i = 0; same && i < n; i++)
    same = written[i]->kind == N_INT && written[i]->ival == dim[i];
  return same;
}

// f32[32, 64] is wanted, found f32[64]: the first axis was meant for the batch.
static bool has_batch_axis(const Node *type, const Type *t) {
  return t->rank && type->list.n == t->rank + 1u && type->list.at[0]->kind == N_INT &&
         has_sizes(type->list.at + 1, type->list.n - 1, t->dim, t->rank);
}

// The order in which `type` has the axes of t: "2, 0, 1"; NULL if they are not the same sizes.
static const char *other_order(Elab *e, const Node *type, const Type *t) {
  Text order = {.arena = e->s->perm};
  bool used[MAX_RANK] = {0};
  if (type->list.n != t->rank || t->rank < 2)
    return NULL;
  for (uint32_t i = 0; i < t->rank; i++) {
    const Node *d = type->list.at[i];
    uint32_t k = 0;
    while (k < t->rank && (used[k] || d->kind != N_INT || d->ival != t->dim[k]))
      k++;
    if (k == t->rank)
      return NULL;
    used[k] = true;
    text_printf(&order, "%s%u", i ? ", " : "", k);
  }
  return order.at;
}

// f32[T, in], as the library calls the axes of a sequence.
static bool wants_sequence(const Node *type) {
  return type->list.n == 2 && type->list.at[0]->kind == N_NAME &&
         strcmp(type->list.at[0]->name, "T") == 0;
}

static bool is_named(const Node *type, const char *name) {
  return strcmp(type->name, name) == 0;
}

static bool has_rest(const Node *type) {
  for (uint32_t i = 0; i < type->list.n; i++)
    if (type->list.at[i]->kind == N_DIM_REST)
      return true;
  return false;
}

// mse(prediction, kind): a loss of numbers gets a label of several classes.
static bool is_loss_of_numbers(const Fit *fit) {
  return fit->owner && (strcmp(fit->owner, "mse") == 0 || strcmp(fit->owner, "mae") == 0 ||
                        strcmp(fit->owner, "huber") == 0);
}

static const char *element_advice(const Node *type, const Type *t, const Fit *fit) {
  if (t->range && t->rank && wants_sequence(type))
    return "a label is a name, not a number: `|> Embedding(units)` makes a vector of each";
  if (t->range && is_named(type, "f32") && is_loss_of_numbers(fit))
    return "a label is a name, not a number: cross_entropy(scores, label) is the loss for it; a "
           "field declared f32 has it as a number";
  if (t->range && is_named(type, "f32"))
    return "a label is a name, not a number: one_hot(x) has numbers, and a field declared f32 has "
           "the label as a number";
  if (is_named(type, "index") && !t->range)
    return elem_is_float(t->elem)
               ? "numbers in the data become labels where the field is declared index<n>"
               : "integers(0, 2), argmax(x) and columns of data give an index";
  if (is_named(type, "index") && t->range && type->a && type->a->kind == N_INT)
    return "every value of it must be one that is wanted: the smaller range goes into the greater";
  if (is_named(type, "bool") && t->elem != TY_BOOL)
    return "truth values are wanted, as comparisons give them: x > 0";
  return NULL;
}

// f32[28, 28, 1] or f32[.., H, W, C] is wanted, found f32[28, 28].
static bool is_axis_short(const Node *type, const Type *t) {
  uint32_t n = type->list.n - (has_rest(type) ? 1 : 0);
  const Node *last = type->list.n ? type->list.at[type->list.n - 1] : NULL;
  if (!last || n != t->rank + 1u)
    return false;
  return (last->kind == N_INT && last->ival == 1) ||
         (last->kind == N_NAME && strcmp(last->name, "C") == 0);
}

// One number, or one axis of known length, is wanted, and there are more axes.
static const char *axes_advice(Elab *e, const Node *type, const Type *t, const Fit *fit) {
  Arena *arena = e->s->perm;
  uint32_t n = type->list.n;
  Dim last = t->dim[t->rank - 1];
  if (last == 1 && n + 1 == t->rank && (!fit->declared || n))
    return "an axis of length 1 is an axis: x[.., 0] takes it away";
  if (n == 0 && t->rank == 1)
    return fit->name
               ? "x[0] is one of them, sum(x) and mean(x) make one number of all"
               : "a last layer of one unit, Dense(1), makes one number; so do sum(x), mean(x)";
  if (n == 0)
    return arena_printf(arena,
                        "there is one for each of %lld places: mean(x) makes one of all; a "
                        "recurrent layer without `sequences = true` gives its last state alone",
                        (long long)t->dim[0]);
  if (n == 1 && has_sizes(type->list.at, 1, &last, 1))
    return "the last axis fits, those before it are too many: `|> Flatten` before the last layer "
           "makes one axis of all, mean(x, axis = 0) one vector of many";
  return n == 1 ? "`|> Flatten` makes one axis of all" : NULL;
}

// The sizes of a declaration and of a value differ, and nothing says which one is meant.
static const char *size_advice(Elab *e, const Node *type, const Type *t, const Fit *fit) {
  static const char *const any[] = {"f32[n]", "f32[H, W]", "f32[H, W, C]"};
  const char *found = type_user_text(e, t);
  if (is_library(e, type->span) || t->range || !t->rank)
    return NULL;
  if (!fit->name)
    return arena_printf(e->s->perm, "declare `-> %s`, or change the last line", found);
  if (fit->declared)
    return arena_printf(e->s->perm, "`%s: %s` is what the value is", fit->name, found);
  for (uint32_t i = 0; i < type->list.n; i++)
    if (type->list.at[i]->kind != N_INT)
      return NULL;
  if (t->rank > 3 || type->list.n != t->rank || fit->what || !is_named(type, "f32"))
    return NULL;
  return arena_printf(e->s->perm, "`%s: %s` would take this, `%s: %s` any size", fit->name, found,
                      fit->name, any[t->rank - 1]);
}

// `Price(price)` where a field is called as the input is: `facts`.
static const char *other_value(Elab *e, const Node *type, const Type *t, const Fit *fit) {
  Entry *n = fit->name && !fit->declared && fit->scope ? scope_find(fit->scope, fit->name) : NULL;
  Val v = n ? entry_value(e, n) : val_error();
  if (v.kind != V_TENSOR || type_equal(&v.t->type, t) || has_rest(type) ||
      !has_sizes(type->list.at, type->list.n, v.t->type.dim, v.t->type.rank) ||
      type->list.n != v.t->type.rank)
    return NULL;
  return arena_printf(e->s->perm, "did you mean `%s`, which is %s?", fit->name, val_text(e, v));
}

// The result of a layer of the library that applies a function given to it.
static const char *function_given(Elab *e, const Fit *fit) {
  for (uint32_t i = 0; fit->decl && is_library(e, fit->decl->span) && i < fit->decl->params.n;
       i++) {
    const Node *param = fit->decl->params.at[i];
    Entry *n = param->type && param->type->kind == N_TYPE && is_named(param->type, "fn")
                   ? scope_find(fit->scope, param->name)
                   : NULL;
    if (n && n->val.kind == V_FUNCTION)
      return arena_printf(e->s->perm,
                          "`%s` is %s: it must give the shape that it takes, number by number",
                          param->name, val_text(e, n->val));
  }
  return NULL;
}

static const char *tensor_advice(Elab *e, const Node *type, const Type *t, const Fit *fit) {
  const char *advice = element_advice(type, t, fit);
  if (!advice && has_batch_axis(type, t))
    advice = "programs are written for one example: the batch is no axis, leave its size out";
  if (!advice && wants_sequence(type) && t->rank == 1)
    advice = "a sequence of vectors is wanted, this is one vector: recurrent layers give all their "
             "states with `sequences = true`; x[.., _] is a sequence of numbers";
  const char *order = advice ? NULL : other_order(e, type, t);
  if (order)
    advice = arena_printf(e->s->perm, "the axes are in another order: transpose(x, [%s])", order);
  if (!advice)
    advice = function_given(e, fit);
  if (!advice)
    advice = other_value(e, type, t, fit);
  if (!advice && t->rank > type->list.n && !has_rest(type))
    advice = axes_advice(e, type, t, fit);
  if (!advice && t->rank == 1 && has_rest(type) && type->list.n == 4)
    advice = "a vector has no height and width: convolution and pooling stand before Flatten";
  if (!advice && t->rank >= 2 && is_axis_short(type, t))
    advice = "an axis of length 1 is written x[.., _]: a grey image has one channel";
  return advice ? advice : size_advice(e, type, t, fit);
}

static const char *function_advice(Elab *e, Val v, const Fit *fit) {
  if (v.kind == V_STRING)
    return arena_printf(e->s->perm, "a function is named without quotes: %s", v.s);
  if (fit->name && strcmp(fit->name, "inner") == 0)
    return "an optimizer is wanted, such as sgd(0.1)";
  if (is_number(v) && fit->name && strcmp(fit->name, "activation") == 0)
    return "a function is wanted, such as relu; the size of the input is never given";
  return v.kind == V_TENSOR ? "the function itself is wanted, not what it computes"
                            : "a function is wanted, named without arguments, such as relu";
}

const char *fit_advice(Elab *e, const Node *type, Val v, const Fit *fit) {
  if (type->kind != N_TYPE)
    return NULL;
  if (is_named(type, "fn"))
    return function_advice(e, v, fit);
  if (v.kind == V_TENSOR)
    return tensor_advice(e, type, &v.t->type, fit);
  if (v.kind == V_FUNCTION && is_named(type, "layer"))
    return "`fn` in the place of `layer` takes functions and layers";
  if (v.kind == V_FUNCTION || v.kind == V_INSTANCE)
    return uncalled_advice(e, v, fit->span);
  if (is_named(type, "bool"))
    return "it is true or false";
  if (!is_named(type, "int"))
    return NULL;
  if (v.kind == V_FLOAT)
    return "int is a whole number known when compiling; div(a, b) rounds down";
  if (v.kind == V_STRING && strspn(v.s, "0123456789") == strlen(v.s) && *v.s)
    return arena_printf(e->s->perm, "a number is written without quotes: %s", v.s);
  return "one whole number is wanted, known when compiling";
}

// ---- how something is called -------------------------------------------------------------------

static void put_required(Text *out, NodeList params) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < params.n; i++)
    if (!params.at[i]->a)
      text_printf(out, "%s%s", n++ ? ", " : "", params.at[i]->name);
}

const char *call_text(Elab *e, const Node *decl) {
  Text out = {.arena = e->s->perm};
  text_printf(&out, "%s(", decl->name);
  put_required(&out, decl->params);
  if (decl->has_params2 && decl->params.n && decl->params.at[0]->a && out.at[out.n - 1] == '(')
    text_put(&out, decl->params.at[0]->name); // all have defaults: l2(rate)(of)
  text_put(&out, ")");
  if (decl->has_params2) {
    text_put(&out, "(");
    put_required(&out, decl->params2);
    text_put(&out, ")");
  }
  return out.at;
}

const char *short_source(Elab *e, Span span) {
  enum { MOST = 40 };
  const char *text = e->s->source.at[span.file].text + span.start;
  uint32_t n = span.end - span.start;
  if (!span.file || is_library(e, span) || n > MOST || memchr(text, '\n', n))
    return NULL;
  return arena_strndup(e->s->perm, text, n);
}

const char *uncalled_advice(Elab *e, Val v, Span span) {
  const char *as = v.kind == V_FUNCTION && !v.builtin && !v.bound ? call_text(e, v.decl) : NULL;
  const char *written = short_source(e, span);
  if (v.kind == V_INSTANCE && v.instance->decl->kind == N_MODEL && !v.instance->decl->has_params2)
    as = call_text(e, v.instance->decl);
  if (!as && written && v.kind == V_INSTANCE)
    as = arena_printf(e->s->perm, "x |> %s", written);
  if (!as && written)
    as = arena_printf(e->s->perm, "%s(x)", written);
  return as ? arena_printf(e->s->perm, "it has not been called: %s", as) : "it has not been called";
}

void note_uncalled(Elab *e, Diagnostic *d, Val v, Span span) {
  if (v.kind == V_FUNCTION || v.kind == V_INSTANCE)
    diag_note(e->s, d, (Span){0}, "%s", uncalled_advice(e, v, span));
}

void note_no_value(Elab *e, Diagnostic *d, const Node *body) {
  const Node *last = body->list.n ? body->list.at[body->list.n - 1] : NULL;
  const Node *name = last && last->kind == N_LET && last->list.n ? last->list.at[0]->a : NULL;
  if (name && name->kind == N_NAME && last->list.n == 1) {
    diag_note(e->s, d, last->span, "`let` names a value and gives none");
    diag_note(e->s, d, (Span){0}, "write `%s` on a line behind it", name->name);
  } else if (last && last->kind == N_IF && !last->c) {
    diag_note(e->s, d, last->span, "`if` has a value only with `else`");
    diag_note(e->s, d, (Span){0}, "add `else { ... }`");
  } else
    diag_note(e->s, d, (Span){0}, "the last line of a block is its value: an expression");
}

// ---- names that are declared elsewhere
// ------------------------------------------------------------

// The binding of `name` below n, or NULL.
static const Node *binding_in(const Node *n, const char *name) {
  if (!n)
    return NULL;
  if (n->kind == N_BINDING && n->a->kind == N_NAME && n->a->name == name)
    return n;
  const Node *part[] = {n->a, n->b, n->c, n->body}, *found = NULL;
  for (int i = 0; i < 4 && !found; i++)
    found = binding_in(part[i], name);
  for (uint32_t i = 0; i < n->list.n && !found; i++)
    found = binding_in(n->list.at[i], name);
  return found;
}

static const Node *field_in(const Node *data, const char *name) {
  for (uint32_t i = 0; i < data->list.n; i++)
    if (data->list.at[i]->kind == N_FIELD && data->list.at[i]->name == name)
      return data->list.at[i];
  return NULL;
}

static void note_field(Elab *e, Diagnostic *d, const Node *data, const Node *field) {
  const Node *block = e->frame ? NULL : e->block;
  diag_note(e->s, d, field->span, "it is a field of %s", data->name);
  if (block && (block->kind == N_TRAIN || block->kind == N_PREDICT))
    diag_note(e->s, d, (Span){0}, "fields are known in blocks on their data: %s %s on %s { ... }",
              block->kind == N_TRAIN ? "train" : "predict", block->name, data->name);
  else
    diag_note(e->s, d, (Span){0},
              "fields are known in train and predict blocks; models get them "
              "as inputs");
}

void note_fields(Elab *e, Diagnostic *d) {
  const Node *block = e->frame ? NULL : e->block;
  const Node *on = block && (block->kind == N_TRAIN || block->kind == N_PREDICT) ? block->a : NULL;
  Text list = {.arena = e->s->perm};
  for (uint32_t i = 0; on && on->kind == N_NAME && i < e->file->list.n; i++) {
    const Node *data = e->file->list.at[i];
    for (uint32_t k = 0; data->kind == N_DATA && data->name == on->name && k < data->list.n; k++)
      if (data->list.at[k]->kind == N_FIELD)
        text_printf(&list, "%s%s", list.n ? ", " : "", data->list.at[k]->name);
  }
  if (list.n)
    diag_note(e->s, d, (Span){0}, "the fields of %s are: %s", on->name, list.at);
}

bool note_elsewhere(Elab *e, Diagnostic *d, const char *name) {
  if (strcmp(name, "row") == 0) {
    diag_note(e->s, d, (Span){0}, "`row` is the record that a data block reads");
    return note_fields(e, d), true;
  }
  const Node *own = e->frame ? e->frame->decl : NULL, *found = NULL;
  if (own && (found = binding_in(own->body, name))) {
    diag_note(e->s, d, found->span, "it is declared here, and known from the next line on");
    return true;
  }
  if (!own && e->block && e->block->kind == N_TRAIN && (found = binding_in(e->block, name))) {
    diag_note(e->s, d, found->span, "declared here, it is known in this step alone");
    diag_note(e->s, d, (Span){0}, "a `let` before the steps is known in all of them");
    return true;
  }
  for (uint32_t i = 0; e->file && i < e->file->list.n; i++) {
    const Node *decl = e->file->list.at[i];
    if (decl->kind == N_DATA && (found = field_in(decl, name)))
      return note_field(e, d, decl, found), true;
    bool body = decl->kind == N_FN || decl->kind == N_LAYER || decl->kind == N_MODEL;
    if (!body || decl == own || !(found = binding_in(decl->body, name)))
      continue;
    diag_note(e->s, d, found->span, "a name inside of %s is not known outside", decl->name);
    if (decl->kind != N_FN)
      diag_note(e->s, d, (Span){0},
                "it is a part of an application: let y = %s(...), then y.%s (rule 15)", decl->name,
                name);
    return true;
  }
  return false;
}
