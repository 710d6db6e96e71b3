// Types and dimensions: what a written type means where it stands, unification of dimension
// variables (rule 11).
#include "foreign.h"
#include "pass/elaborate_core.h"

#include <string.h>

// ---- dimensions -------------------------------------------------------------------------------

// The compile-time number that `name` stands for as a dimension: a const, a hyperparameter, a
// variable already bound. Nothing else in scope counts.
static Entry *dim_entry(Elab *e, Scope *scope, const char *name) {
  Entry *n = scope_find(scope, name);
  if (!n || (n->make && !n->constant))
    return NULL;
  return entry_value(e, n).kind == V_INT ? n : NULL;
}

static bool names_known(Elab *e, Scope *scope, const Node *n) {
  switch ((int)n->kind) {
  case N_NAME:
    return dim_entry(e, scope, n->name) || (scope_find(scope, n->name) != NULL);
  case N_INT:
    return true;
  case N_UNARY:
    return names_known(e, scope, n->a);
  case N_BINARY:
    return names_known(e, scope, n->a) && names_known(e, scope, n->b);
  case N_CALL:
    for (uint32_t i = 0; i < n->list.n; i++)
      if (!names_known(e, scope, n->list.at[i]->a))
        return false;
    return true;
  case N_MEMBER:
  case N_INDEX:
    return names_known(e, scope, n->a);
  }
  return false;
}

bool dim_known(Elab *e, Scope *scope, Node *dim, Dim *out) {
  if (dim->kind == N_NAME) {
    Entry *n = dim_entry(e, scope, dim->name);
    if (n)
      *out = entry_value(e, n).i;
    return n != NULL;
  }
  if (dim->kind == N_HOLE || dim->kind == N_DIM_REST || !names_known(e, scope, dim))
    return false;
  return elab_int(e, elab_expr(e, scope, dim, NULL), "a dimension", dim->span, out);
}

// The axes that `..` stands for in this signature, if it was met before.
static Entry *rest_entry(Elab *e, Scope *scope) {
  return scope_find(scope, intern(e->s, ".."));
}

bool elem_of(Elab *e, const Node *type, ElemType *out) {
  static const struct {
    const char *name;
    ElemType elem;
  } table[] = {
      {"f32", TY_F32}, {"index", TY_I32}, {"bool", TY_BOOL}, {"int", TY_I32}, {"i32", TY_I32}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(type->name, table[i].name) == 0) {
      *out = table[i].elem;
      if (!type->a || strcmp(type->name, "index") == 0)
        return true;
      diag_note(e->s,
                elab_error(e, type->span, "wrong-type", "only an index has a range: index<10>"),
                (Span){0}, "a shape stands in [ ]: %s[%s]", type->name, node_source(e, type->a));
      return false;
    }
  static const char *const names[] = {"f32", "index", "bool", "int", "fn", "layer"};
  if (strcmp(type->name, "f64") == 0 || strcmp(type->name, "bf16") == 0 ||
      strcmp(type->name, "f16") == 0) {
    Diagnostic *d = elab_error(e, type->name_span, "not-yet",
                               "elements of type %s are not supported yet: write f32", type->name);
    if (strcmp(type->name, "f64") == 0)
      diag_note(e->s, d, (Span){0}, "`nnc eval FILE.nn` computes in double, for comparison");
    return false;
  }
  Diagnostic *d =
      elab_error(e, type->name_span, "unknown-type", "there is no type `%s`", type->name);
  const char *near = foreign_type(type->name);
  if (!near)
    near = nearest_name(type->name, names, 6);
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  return false;
}

static void too_small(Elab *e, const Node *d, Dim is) {
  const char *text = node_source(e, d);
  if (d->kind == N_INT)
    elab_error(e, d->span, "out-of-range", "%s is no size: an axis has at least 1", text);
  else
    elab_error(e, d->span, "out-of-range", "%s is %lld, but an axis has at least 1", text,
               (long long)is);
}

// Adds the dims of `type` to out as far as they are known; false at the first that isn't.
static bool dims_known(Elab *e, Scope *scope, Node *type, Type *out) {
  for (uint32_t i = 0; i < type->list.n; i++) {
    Node *d = type->list.at[i];
    Dim one;
    if (d->kind == N_DIM_REST) {
      Entry *rest = rest_entry(e, scope);
      if (!rest || out->rank + rest->val.n > MAX_RANK)
        return false;
      for (uint32_t k = 0; k < rest->val.n; k++)
        out->dim[out->rank++] = rest->val.list[k].i;
    } else {
      if (!dim_known(e, scope, d, &one) || out->rank == MAX_RANK)
        return false;
      if (one < 1) {
        too_small(e, d, one);
        return false;
      }
      out->dim[out->rank++] = one;
    }
  }
  return true;
}

enum { MAX_ELEMENTS_LOG2 = 40 };

static bool too_many_elements(Elab *e, const Node *type, const Type *t) {
  double count = 1;
  for (uint32_t i = 0; i < t->rank; i++)
    count *= (double)t->dim[i];
  if (count <= (double)(1ll << MAX_ELEMENTS_LOG2))
    return false;
  elab_error(e, type->span, "too-large", "%g elements", count);
  return true;
}

bool type_known(Elab *e, Scope *scope, Node *type, Type *out) {
  *out = (Type){0};
  if (!type || type->kind != N_TYPE || strcmp(type->name, "_") == 0 ||
      strcmp(type->name, "fn") == 0 || strcmp(type->name, "layer") == 0 ||
      (strcmp(type->name, "int") == 0))
    return false;
  if (!elem_of(e, type, &out->elem))
    return false;
  Dim range = 0;
  if (!type->a && strcmp(type->name, "index") == 0) {
    Diagnostic *d = elab_error(e, type->span, "wrong-type", "an index needs its range: index<n>");
    diag_note(e->s, d, (Span){0}, "%s",
              type->has_shape ? "the number of things stands in < >, in [ ] stands a shape"
                              : "of how many things is it one? index<10> is one of ten, 0 to 9");
    return false;
  }
  if (type->a && !dim_known(e, scope, type->a, &range))
    return false;
  if (type->a && range < 1) {
    elab_error(e, type->a->span, "out-of-range", "an index has at least one value, found %lld",
               (long long)range);
    return false;
  }
  out->range = range;
  return dims_known(e, scope, type, out) && !too_many_elements(e, type, out);
}

static bool dim_concrete(Elab *e, Scope *scope, const Node *d) {
  if (d->kind == N_NAME) {
    const Entry *n = dim_entry(e, scope, d->name);
    return n && !n->from;
  }
  bool all = d->kind != N_HOLE && d->kind != N_DIM_REST;
  if (d->a && d->kind != N_CALL)
    all &= dim_concrete(e, scope, d->a);
  if (d->b)
    all &= dim_concrete(e, scope, d->b);
  for (uint32_t i = 0; i < d->list.n; i++)
    all &= dim_concrete(e, scope, d->list.at[i]);
  return all;
}

bool type_concrete(Elab *e, Scope *scope, const Node *type) {
  for (uint32_t i = 0; i < type->list.n; i++)
    if (!dim_concrete(e, scope, type->list.at[i]))
      return false;
  return true;
}

// A name in arithmetic on dimensions that nothing gave a value.
static const Node *unbound_name(Scope *scope, const Node *d) {
  if (d->kind == N_NAME)
    return scope_find(scope, d->name) ? NULL : d;
  const Node *found = d->a && d->kind != N_CALL ? unbound_name(scope, d->a) : NULL;
  if (!found && d->b)
    found = unbound_name(scope, d->b);
  for (uint32_t i = 0; !found && i < d->list.n; i++)
    found = unbound_name(scope, d->list.at[i]);
  return found;
}

// Whether it names a constant that is wrong itself: reported there.
static bool names_error(Elab *e, Scope *scope, const Node *d) {
  if (d->kind == N_NAME) {
    Entry *n = scope_find(scope, d->name);
    return n && (!n->make || n->constant) && entry_value(e, n).kind == V_ERROR;
  }
  bool found = (d->a && names_error(e, scope, d->a)) || (d->b && names_error(e, scope, d->b));
  for (uint32_t i = 0; !found && i < d->list.n; i++)
    found = names_error(e, scope, d->list.at[i]);
  return found;
}

// A name like this one that stands for a whole number.
static const char *near_dimension(Elab *e, Scope *scope, const char *name) {
  BUF(const char *) names = {0};
  for (; scope; scope = scope->parent)
    for (Entry *n = scope->first; n; n = n->next)
      if (dim_entry(e, scope, n->name))
        buf_push(e->s->perm, &names, n->name);
  return nearest_name(name, names.at, names.n);
}

static void unknown_dim(Elab *e, Scope *scope, Node *d) {
  const Entry *found = d->kind == N_NAME ? scope_find(scope, d->name) : NULL;
  int64_t n_config;
  if (found && found->val.kind == V_CONFIG) { // rule 30, in words
    elab_int(e, found->val, "a dimension", d->span, &n_config);
    return;
  }
  if (names_error(e, scope, d))
    return;
  const Node *unbound = d->kind == N_NAME ? NULL : unbound_name(scope, d);
  if (d->kind != N_NAME || found) {
    Diagnostic *diag =
        unbound ? elab_error(e, d->span, "unknown-dimension",
                             "the dimension `%s` is not known here", unbound->name)
                : elab_error(e, d->span, "unknown-dimension", "this dimension is not known here");
    if (unbound)
      diag_note(e->s, diag, (Span){0},
                "a variable gets its value where it stands alone in the type of an input");
    return;
  }
  Diagnostic *diag =
      elab_error(e, d->span, "unknown-name", "there is no dimension `%s` here", d->name);
  const char *near = near_dimension(e, scope, d->name);
  if (near)
    diag_note(e->s, diag, (Span){0}, "did you mean `%s`?", near);
  else
    diag_note(e->s, diag, (Span){0},
              "`const %s = ...` gives it a value; so does the type of an input where it stands "
              "alone: f32[%s]",
              d->name, d->name);
}

bool elab_type(Elab *e, Scope *scope, Node *type, Type *out) {
  uint32_t errors = e->s->n_error;
  if (type_known(e, scope, type, out))
    return true;
  if (e->s->n_error > errors)
    return false;
  Dim dim;
  for (uint32_t i = 0; type->kind == N_TYPE && i < type->list.n; i++) {
    Node *d = type->list.at[i];
    if (d->kind == N_HOLE || d->kind == N_DIM_REST) {
      diag_note(
          e->s,
          elab_error(e, d->span, "unknown-dimension", "every dimension must be written out here"),
          (Span){0},
          "a number, a const or a variable of the input's type: f32[4, n]; `_` and `..` stand "
          "in the types of inputs");
      return false;
    }
    if (!dim_known(e, scope, d, &dim)) {
      unknown_dim(e, scope, d);
      return false;
    }
    if (dim < 1)
      return false; // said already, perhaps of another place with the same size
  }
  if (type->kind == N_TYPE && type->a && type->a->kind != N_HOLE &&
      !dim_known(e, scope, type->a, &dim))
    unknown_dim(e, scope, type->a);
  else {
    Diagnostic *d = elab_error(e, type->span, "wrong-type",
                               "a type of tensors with all its dimensions is wanted, found %s",
                               node_source(e, type));
    diag_note(e->s, d, (Span){0}, "f32 is a number, index<10> a label of ten, f32[4] a vector");
  }
  return false;
}

// ---- unification ------------------------------------------------------------------------------

typedef struct {
  Elab *e;
  Scope *scope;
  const Fit *fit;
  const char *why; // of the mismatch
  Entry *other;    // the variable that had another value, or NULL
} Unify;

static bool mismatch(Unify *u, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool mismatch(Unify *u, const char *format, ...) {
  va_list args;
  va_start(args, format);
  u->why = arena_vprintf(u->e->s->perm, format, args);
  va_end(args);
  return false;
}

static void bind_dim(Unify *u, const char *name, Val v) {
  Entry *n = scope_put(u->e, u->scope, name, v, u->fit->span);
  const Fit *fit = u->fit;
  n->from = fit->from ? fit->from : arena_printf(u->e->s->perm, "`%s`", fit->name);
  n->constant = true;
}

static const char *dim_source(Unify *u, const Node *d) {
  const Source *src = &u->e->s->source.at[d->span.file];
  return arena_strndup(u->e->s->perm, src->text + d->span.start, d->span.end - d->span.start);
}

// The first name of a dimension: whose value is worth a note.
static const Node *dim_name(const Node *d) {
  if (d->kind == N_NAME)
    return d;
  const Node *found = d->a && d->kind != N_CALL ? dim_name(d->a) : NULL;
  if (!found && d->b)
    found = dim_name(d->b);
  for (uint32_t i = 0; !found && i < d->list.n; i++)
    found = dim_name(d->list.at[i]);
  return found;
}

static bool unify_dim(Unify *u, Node *d, Dim actual) {
  Elab *e = u->e;
  Dim want;
  if (d->kind == N_HOLE)
    return true;
  if (dim_known(e, u->scope, d, &want)) {
    if (want == actual)
      return true;
    const Node *name = dim_name(d);
    if (name)
      u->other = dim_entry(e, u->scope, name->name);
    if (d->kind == N_INT)
      return mismatch(u, "%lld is wanted, found %lld", (long long)want, (long long)actual);
    return mismatch(u, "%s is %lld, found %lld", dim_source(u, d), (long long)want,
                    (long long)actual);
  }
  if (d->kind == N_NAME && u->fit->bind && !scope_own(u->scope, d->name)) {
    bind_dim(u, d->name, val_int(actual));
    return true;
  }
  unknown_dim(e, u->scope, d);
  return mismatch(u, "%s", "");
}

static bool unify_rest(Unify *u, const Dim *dims, uint32_t n) {
  Elab *e = u->e;
  Entry *known = rest_entry(e, u->scope);
  Val *list = arena_array(e->s->perm, Val, n + 1);
  for (uint32_t i = 0; i < n; i++)
    list[i] = val_int(dims[i]);
  if (!known) {
    bind_dim(u, intern(e->s, ".."), (Val){.kind = V_LIST, .list = list, .n = n});
    return true;
  }
  bool same = known->val.n == n;
  for (uint32_t i = 0; same && i < n; i++)
    same = known->val.list[i].i == dims[i];
  if (same)
    return true;
  Dim before[MAX_RANK];
  for (uint32_t i = 0; i < known->val.n && i < MAX_RANK; i++)
    before[i] = known->val.list[i].i;
  u->other = known;
  Arena *arena = e->s->perm;
  return mismatch(u, "`..` is %s, found %s",
                  known->val.n ? dims_text(arena, before, known->val.n) : "no axis",
                  n ? dims_text(arena, dims, n) : "no axis");
}

static bool in_axis(Unify *u, const Type *actual, uint32_t axis) {
  if (actual->rank > 1 && *u->why)
    u->why = arena_printf(u->e->s->perm, "axis %u: %s", axis, u->why);
  return false;
}

static bool unify_dims(Unify *u, Node *type, const Type *actual) {
  uint32_t n = type->list.n, rest = n;
  for (uint32_t i = 0; i < n; i++)
    if (type->list.at[i]->kind == N_DIM_REST) {
      if (rest < n) {
        diag_note(u->e->s,
                  elab_error(u->e, type->list.at[i]->span, "unknown-dimension",
                             "`..` stands twice in one type: where does the first end?"),
                  (Span){0}, "write one of them as axes with names: f32[.., 4, n]");
        return mismatch(u, "%s", "");
      }
      rest = i;
    }
  uint32_t least = rest < n ? n - 1 : n;
  if (least == n && least == 0 && actual->rank)
    return mismatch(u, "one number is wanted");
  if (rest == n ? actual->rank != n : actual->rank < least)
    return mismatch(u, "%s%u ax%s wanted, found %u", rest < n ? "at least " : "", least,
                    least == 1 ? "is is" : "es are", actual->rank);
  uint32_t covered = rest < n ? actual->rank - (n - 1) : 0;
  // Names that stand alone first: arithmetic is only checked (rule 11).
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t i = 0, axis = 0; i < n; i++) {
      Node *d = type->list.at[i];
      bool alone = d->kind != N_BINARY && d->kind != N_UNARY && d->kind != N_CALL;
      if (i == rest) {
        if (pass == 0 && !unify_rest(u, actual->dim + axis, covered))
          return false;
        axis += covered;
      } else {
        if (alone == (pass == 0) && !unify_dim(u, d, actual->dim[axis]))
          return in_axis(u, actual, axis);
        axis++;
      }
    }
  return true;
}

static bool unify_range(Unify *u, Node *range, int64_t actual) {
  Dim want;
  if (!range)
    return mismatch(u, "an index needs its range: index<n>");
  if (!actual)
    return mismatch(u, "found a whole number without a range");
  if (range->kind == N_HOLE)
    return true;
  if (!dim_known(u->e, u->scope, range, &want))
    return unify_dim(u, range, actual);
  if (actual <= want)
    return true;
  if (range->kind == N_NAME)
    u->other = dim_entry(u->e, u->scope, range->name);
  if (range->kind == N_INT)
    return mismatch(u, "an index of %lld does not fit", (long long)actual);
  return mismatch(u, "%s is %lld, the index has %lld", dim_source(u, range), (long long)want,
                  (long long)actual);
}

static bool unify_type(Unify *u, Node *type, const Type *actual) {
  ElemType elem;
  if (!elem_of(u->e, type, &elem))
    return mismatch(u, "%s", "");
  if (elem != actual->elem)
    return mismatch(u, "%s is wanted, found %s", type->name,
                    actual->range ? "index" : elem_name(actual->elem));
  if (strcmp(type->name, "index") == 0 && !unify_range(u, type->a, actual->range))
    return false;
  return unify_dims(u, type, actual);
}

const char *unify(Elab *e, Scope *scope, Node *type, const Type *actual, const Fit *fit,
                  Entry **other) {
  Unify u = {e, scope, fit, NULL, NULL};
  bool fits = unify_type(&u, type, actual);
  *other = u.other;
  return fits ? NULL : u.why;
}

const char *unify_shape(Elab *e, Scope *scope, Node *type, const Type *actual, const Fit *fit,
                        Entry **other) {
  Unify u = {e, scope, fit, NULL, NULL};
  bool fits = unify_dims(&u, type, actual);
  *other = u.other;
  return fits ? NULL : u.why;
}

bool type_bind(Elab *e, Scope *scope, Node *type, const Type *want) {
  Fit fit = {.bind = true, .from = "the place where it is used"};
  Unify u = {e, scope, &fit, NULL, NULL};
  return type && type->kind == N_TYPE && unify_type(&u, type, want);
}

uint8_t literal_ones(const Node *type, const Type *actual, uint8_t ones) {
  uint32_t n = type->list.n;
  uint8_t out = 0;
  for (uint32_t i = 0, axis = 0; i < n; i++) {
    const Node *d = type->list.at[i];
    if (d->kind == N_DIM_REST) {
      uint32_t covered = actual->rank - (n - 1);
      for (uint32_t k = 0; k < covered; k++, axis++)
        out |= (uint8_t)(ones & (1u << axis));
    } else {
      if ((d->kind == N_INT && d->ival == 1) || (d->kind == N_HOLE && (ones >> axis & 1)))
        out |= (uint8_t)(1u << axis);
      axis++;
    }
  }
  return out;
}
