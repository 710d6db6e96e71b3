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
  return type->list.n == t->rank + 1u && type->list.at[0]->kind == N_INT &&
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

static const char *tensor_advice(Elab *e, const Node *type, const Type *t, const Fit *fit) {
  if (t->range && t->rank && wants_sequence(type))
    return "a label is a name, not a number: `|> Embedding(units)` makes a vector of each";
  if (t->range && strcmp(type->name, "f32") == 0)
    return "a label is a name, not a number; declare the field f32 to have it as a number";
  if (strcmp(type->name, "index") == 0 && !t->range && elem_is_float(t->elem))
    return "numbers in the data become labels where the field is declared index<n>";
  if (has_batch_axis(type, t))
    return "programs are written for one example: the batch is no axis, leave its size out";
  if (wants_sequence(type) && t->rank == 1)
    return "a sequence of vectors is wanted, this is one vector: recurrent layers give all their "
           "states with `sequences = true`; x[.., _] is a sequence of numbers";
  const char *order = other_order(e, type, t);
  if (order)
    return arena_printf(e->s->perm, "the axes are in another order: transpose(x, [%s])", order);
  if (type->list.n == 1 && t->rank > 1 && type->list.at[0]->kind != N_DIM_REST)
    return "`|> Flatten` makes one axis of all";
  bool one = t->rank && t->dim[t->rank - 1] == 1 && type->list.n < t->rank;
  if (one && !fit->declared)
    return "an axis of length 1 is an axis: x[.., 0] takes it away";
  return NULL;
}

const char *fit_advice(Elab *e, const Node *type, Val v, const Fit *fit) {
  if (type->kind != N_TYPE)
    return NULL;
  bool fn = strcmp(type->name, "fn") == 0, layer = strcmp(type->name, "layer") == 0;
  if (fn && v.kind == V_STRING)
    return arena_printf(e->s->perm, "a function is named without quotes: %s", v.s);
  if (fn && is_number(v))
    return "a function is wanted, such as relu; the size of the input is never given";
  if (fn && v.kind == V_TENSOR)
    return "the function itself is wanted, not what it computes";
  if (v.kind == V_TENSOR)
    return tensor_advice(e, type, &v.t->type, fit);
  if (v.kind == V_FUNCTION || v.kind == V_INSTANCE)
    return layer ? "`fn` in the place of `layer` takes functions and layers"
                 : "it has not been called";
  if (strcmp(type->name, "int") == 0 && v.kind == V_FLOAT)
    return "int is a whole number known when compiling; div(a, b) rounds down";
  return NULL;
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

bool note_elsewhere(Elab *e, Diagnostic *d, const char *name) {
  if (strcmp(name, "row") == 0)
    return diag_note(e->s, d, (Span){0}, "`row` is the record that a data block reads"), true;
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
    return true;
  }
  return false;
}
