// Types and dimensions: what a written type means where it stands, unification of dimension variables
// (rule 11), and fitting values to declared types (rules 4, 10, 21, 22).
#include "pass/elaborate_core.h"

#include <string.h>

// ---- dimensions --------------------------------------------------------------------------------------

// The compile-time number that `name` stands for as a dimension: a const, a hyperparameter, a variable
// already bound. Nothing else in scope counts.
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
static Entry *rest_entry(Elab *e, Scope *scope) { return scope_find(scope, intern(e->s, "..")); }

static bool elem_of(Elab *e, const Node *type, ElemType *out) {
  static const struct {
    const char *name;
    ElemType elem;
  } table[] = {{"f32", TY_F32}, {"index", TY_I32}, {"bool", TY_BOOL}, {"int", TY_I32}, {"i32", TY_I32}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(type->name, table[i].name) == 0)
      return *out = table[i].elem, true;
  static const char *const names[] = {"f32", "index", "bool", "int", "fn", "layer"};
  if (strcmp(type->name, "f64") == 0 || strcmp(type->name, "bf16") == 0 || strcmp(type->name, "f16") == 0) {
    elab_error(e, type->name_span, "not-yet", "elements of type %s are not supported yet: write f32",
               type->name);
    return false;
  }
  Diagnostic *d = elab_error(e, type->name_span, "unknown-type", "there is no type `%s`", type->name);
  const char *near = nearest_name(type->name, names, 6);
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  return false;
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
      out->dim[out->rank++] = one;
    }
  }
  return true;
}

bool type_known(Elab *e, Scope *scope, Node *type, Type *out) {
  *out = (Type){0};
  if (!type || type->kind != N_TYPE || strcmp(type->name, "_") == 0 || strcmp(type->name, "fn") == 0 ||
      strcmp(type->name, "layer") == 0 || (strcmp(type->name, "int") == 0))
    return false;
  if (!elem_of(e, type, &out->elem))
    return false;
  Dim range = 0;
  if (type->a && !dim_known(e, scope, type->a, &range))
    return false;
  out->range = range;
  return dims_known(e, scope, type, out);
}

static void unknown_dim(Elab *e, Scope *scope, Node *d) {
  if (d->kind != N_NAME || scope_find(scope, d->name)) {
    elab_error(e, d->span, "unknown-dimension", "this dimension is not known here");
    return;
  }
  Diagnostic *diag = elab_error(e, d->span, "unknown-name", "there is no dimension `%s` here", d->name);
  const char *const *names;
  uint32_t n = scope_names(e, scope, &names);
  const char *near = nearest_name(d->name, names, n);
  if (near)
    diag_note(e->s, diag, (Span){0}, "did you mean `%s`?", near);
}

Type elab_type(Elab *e, Scope *scope, Node *type) {
  Type out;
  uint32_t errors = e->s->n_error;
  if (type_known(e, scope, type, &out))
    return out;
  if (e->s->n_error > errors)
    return out;
  Dim dim;
  for (uint32_t i = 0; type->kind == N_TYPE && i < type->list.n; i++) {
    Node *d = type->list.at[i];
    if (d->kind == N_HOLE || d->kind == N_DIM_REST) {
      elab_error(e, d->span, "unknown-dimension", "every dimension must be written out here");
      return out;
    }
    if (!dim_known(e, scope, d, &dim)) {
      unknown_dim(e, scope, d);
      return out;
    }
  }
  if (type->kind == N_TYPE && type->a && type->a->kind != N_HOLE && !dim_known(e, scope, type->a, &dim))
    unknown_dim(e, scope, type->a);
  else
    elab_error(e, type->span, "wrong-type", "a tensor type with all its dimensions is wanted here");
  return out;
}

// ---- unification ---------------------------------------------------------------------------------------

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
  n->from = u->fit->from;
  n->constant = true;
}

static const char *dim_source(Unify *u, const Node *d) {
  const Source *src = &u->e->s->source.at[d->span.file];
  return arena_strndup(u->e->s->perm, src->text + d->span.start, d->span.end - d->span.start);
}

static bool unify_dim(Unify *u, Node *d, Dim actual) {
  Elab *e = u->e;
  Dim want;
  if (d->kind == N_HOLE)
    return true;
  if (dim_known(e, u->scope, d, &want)) {
    if (want == actual)
      return true;
    if (d->kind == N_NAME)
      u->other = dim_entry(e, u->scope, d->name);
    if (d->kind == N_INT)
      return mismatch(u, "%lld is wanted, found %lld", (long long)want, (long long)actual);
    return mismatch(u, "%s is %lld, found %lld", dim_source(u, d), (long long)want, (long long)actual);
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
  return mismatch(u, "`..` is %s, found %s", dims_text(arena, before, known->val.n),
                  dims_text(arena, dims, n));
}

static bool unify_dims(Unify *u, Node *type, const Type *actual) {
  uint32_t n = type->list.n, rest = n;
  for (uint32_t i = 0; i < n; i++)
    if (type->list.at[i]->kind == N_DIM_REST) {
      if (rest < n)
        return mismatch(u, "`..` stands twice in one type");
      rest = i;
    }
  if (rest == n ? actual->rank != n : actual->rank + 1u < n)
    return mismatch(u, "%s%u ax%s wanted, found %u", rest < n ? "at least " : "", rest < n ? n - 1 : n,
                    (rest < n ? n - 1 : n) == 1 ? "is is" : "es are", actual->rank);
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
          return false;
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

// ---- fitting -------------------------------------------------------------------------------------------

// The type as written, with the values of its names where they are known: "f32[.., in]".
static const char *type_source(Elab *e, const Node *type) {
  const Source *src = &e->s->source.at[type->span.file];
  return arena_strndup(e->s->perm, src->text + type->span.start, type->span.end - type->span.start);
}

static Val fit_failed(Elab *e, Node *type, Val v, const Fit *fit, const char *why, const Entry *other) {
  if (why && !*why)
    return val_error(); // said already
  Diagnostic *d = elab_error(e, fit->span, "type-mismatch", "%s: %s is wanted, found %s", fit->what,
                             type_source(e, type), val_text(e, v));
  if (why)
    diag_label(e->s, d, "%s", why);
  if (other && other->where.file)
    diag_note(e->s, d, other->where, "%s = %s comes from %s", other->name,
              other->val.kind == V_INT ? val_text(e, other->val) : "these axes",
              other->from ? other->from : "here");
  diag_note(e->s, d, type->span, "declared here");
  bool within = v.span.file == fit->span.file && v.span.start >= fit->span.start && v.span.end <= fit->span.end;
  if (v.kind == V_TENSOR && v.span.file && !within)
    diag_note(e->s, d, v.span, "%s comes from here", val_text(e, v));
  if (v.kind == V_TENSOR && type->kind == N_TYPE && type->list.n == 1 && v.t->type.rank > 1)
    diag_note(e->s, d, (Span){0}, "`|> Flatten` makes one axis of all");
  if (v.kind == V_FUNCTION || v.kind == V_INSTANCE)
    diag_note(e->s, d, (Span){0}, "it has not been called");
  return val_error();
}

// A whole number or truth value that was written, for elements of an index, bool or f32 type.
static bool literal_fits(Elab *e, Scope *scope, Node *type, Val v, const Fit *fit, Type *as) {
  ElemType elem;
  if (!elem_of(e, type, &elem))
    return false;
  *as = type_scalar(elem);
  if (elem == TY_BOOL)
    return v.kind == V_BOOL;
  if (elem == TY_F32)
    return is_number(v);
  Dim range;
  if (v.kind != V_INT || !type->a || !dim_known(e, scope, type->a, &range))
    return false;
  as->range = range;
  if (v.i >= 0 && v.i < range)
    return true;
  elab_error(e, fit->span, "out-of-range", "%s: %lld is not one of the %lld values of index<%lld>",
             fit->what, (long long)v.i, (long long)range, (long long)range);
  return false;
}

// Rule 4: axes of length 1 come and go where the declared type is fully concrete.
static bool drop_ones(Elab *e, const Type *want, Val *v) {
  const Type *t = &v->t->type;
  uint32_t i = 0, k = 0;
  while (i < t->rank || k < want->rank) {
    if (i < t->rank && k < want->rank && t->dim[i] == want->dim[k])
      i++, k++;
    else if (i < t->rank && t->dim[i] == 1)
      i++;
    else if (k < want->rank && want->dim[k] == 1)
      k++;
    else
      return false;
  }
  if (!type_same_shape(t, want)) {
    Span from = v->span;
    *v = val_tensor(ir_reshape(building(e), v->t, want->dim, want->rank));
    v->span = from;
  }
  return true;
}

// To a tensor, with the elements that the type wants where the language converts silently.
static bool fit_tensor(Elab *e, Scope *scope, Node *type, Val *v, const Fit *fit) {
  Type want;
  uint32_t errors = e->s->n_error;
  bool known = type_known(e, scope, type, &want);
  if (e->s->n_error > errors)
    return false;
  Span from = v->span;
  if (is_number(*v) || v->kind == V_BOOL) {
    Type as;
    if (!literal_fits(e, scope, type, *v, fit, &as))
      return e->s->n_error > errors ? (v->kind = V_ERROR, false) : true;
    if (known && want.rank && fit->fill)
      as = want;
    at(e, fit->span);
    *v = val_tensor(elab_tensor(e, *v, &as, fit->span));
  } else if (v->kind == V_LIST || is_shapeless(*v) || is_initialiser(*v)) {
    if (v->kind != V_LIST && !known && type->list.n && !fit->bind)
      known = false;
    ElemType elem = TY_F32;
    elem_of(e, type, &elem);
    Type part = type_scalar(elem);
    Dim range = 0;
    if (type->a && dim_known(e, scope, type->a, &range))
      part.range = range;
    *v = val_tensor(elab_tensor(e, *v, known ? &want : v->kind == V_LIST ? &part : NULL, fit->span));
  }
  if (v->kind == V_ERROR)
    return false;
  if (v->kind != V_TENSOR)
    return true;
  v->span = from;
  ElemType elem;
  if (elem_of(e, type, &elem) && elem == TY_F32 && v->t->type.elem == TY_I32 && !v->t->type.range) {
    at(e, fit->span);
    v->t = ir_convert(building(e), v->t, TY_F32);
  }
  if (known && fit->declared && want.elem == v->t->type.elem) {
    at(e, fit->span);
    drop_ones(e, &want, v);
  }
  return true;
}

// `int`, `f32`, `bool` without a shape: numbers known when compiling stay such.
static bool fit_scalar(Elab *e, Node *type, Val *v) {
  if (type->has_shape || type->a)
    return false;
  if (strcmp(type->name, "int") == 0)
    return v->kind == V_INT;
  if (strcmp(type->name, "bool") == 0)
    return v->kind == V_BOOL;
  if (strcmp(type->name, "f32") != 0 || !is_number(*v))
    return false;
  (void)e;
  if (v->kind == V_INT)
    *v = (Val){.kind = V_FLOAT, .f = (double)v->i, .span = v->span};
  return true;
}

static Val fit_ints(Elab *e, Scope *scope, Node *type, Val v, const Fit *fit) {
  if (v.kind != V_LIST && v.kind != V_TUPLE)
    return fit_failed(e, type, v, fit, NULL, NULL);
  for (uint32_t i = 0; i < v.n; i++)
    if (v.list[i].kind != V_INT)
      return fit_failed(e, type, v, fit, "its elements must be whole numbers known when compiling", NULL);
  Unify u = {e, scope, fit, NULL, NULL};
  Type shape = {.rank = 1, .dim = {v.n}};
  if (!unify_dims(&u, type, &shape))
    return fit_failed(e, type, v, fit, u.why, u.other);
  return v;
}

static Val fit_callable(Elab *e, Node *type, Val v, const Fit *fit) {
  bool layer = strcmp(type->name, "layer") == 0;
  if (v.kind == V_INSTANCE)
    return v;
  if (v.kind != V_FUNCTION || (layer && (v.builtin || v.decl->kind == N_FN)))
    return fit_failed(e, type, v, fit, NULL, NULL);
  return v;
}

static Val fit_tuple(Elab *e, Scope *scope, Node *type, Val v, const Fit *fit) {
  if (v.kind != V_TUPLE || v.n != type->list.n)
    return fit_failed(e, type, v, fit, NULL, NULL);
  for (uint32_t i = 0; i < v.n; i++) {
    Val part = fit_type(e, scope, type->list.at[i], v.list[i], fit);
    if (part.kind == V_ERROR)
      return part;
    v.list[i] = part;
  }
  return v;
}

static bool is_named(const Node *type, const char *name) { return strcmp(type->name, name) == 0; }

Val fit_type(Elab *e, Scope *scope, Node *type, Val v, const Fit *fit) {
  if (v.kind == V_ERROR || !type)
    return v;
  if (type->kind == N_TYPE_TUPLE)
    return fit_tuple(e, scope, type, v, fit);
  if (type->kind != N_TYPE || is_named(type, "_"))
    return v;
  if (is_named(type, "fn") || is_named(type, "layer"))
    return fit_callable(e, type, v, fit);
  if (fit_scalar(e, type, &v))
    return v;
  if (is_named(type, "int"))
    return type->has_shape ? fit_ints(e, scope, type, v, fit) : fit_failed(e, type, v, fit, NULL, NULL);
  if (!fit_tensor(e, scope, type, &v, fit))
    return val_error();
  if (v.kind != V_TENSOR)
    return fit_failed(e, type, v, fit, NULL, NULL);
  Unify u = {e, scope, fit, NULL, NULL};
  if (!unify_type(&u, type, &v.t->type))
    return fit_failed(e, type, v, fit, u.why, u.other);
  v.ones = literal_ones(type, &v.t->type, v.ones);
  return v;
}

// The contract with the data and train parts: a concrete type, rule 4 applies.
Val elab_fit(Elab *e, Val v, const Type *want, Span span, const char *what, Span other) {
  if (v.kind == V_ERROR)
    return v;
  Type as = *want;
  if (v.kind == V_INT && want->range && (v.i < 0 || v.i >= want->range)) {
    elab_error(e, span, "out-of-range", "%s: %lld is not one of the %lld values of index<%lld>", what,
               (long long)v.i, (long long)want->range, (long long)want->range);
    return val_error();
  }
  if (is_number(v) || v.kind == V_BOOL)
    as = (Type){.elem = want->elem, .range = want->range};
  Value *t = elab_tensor(e, v, &as, span);
  if (!t)
    return val_error();
  Val r = val_tensor(t);
  r.span = v.span;
  at(e, span);
  bool elem = t->type.elem == want->elem && (!want->range || (t->type.range && t->type.range <= want->range));
  if (elem && drop_ones(e, want, &r))
    return r;
  Diagnostic *d = elab_error(e, span, "type-mismatch", "%s: %s is wanted, found %s", what,
                             type_user_text(e, want), val_text(e, val_tensor(t)));
  if (other.file)
    diag_note(e->s, d, other, "declared here");
  return val_error();
}
