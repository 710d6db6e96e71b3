// Fitting values to declared types: the implicit changes (rules 4, 10, 22), and the messages that
// show both sides.
#include "pass/elaborate_core.h"

#include <string.h>

// ---- fitting ----------------------------------------------------------------------------------

static bool is_named(const Node *type, const char *name) {
  return strcmp(type->name, name) == 0;
}

// The type as written, with the values of its names where they are known: "f32[.., in]".
static const char *type_source(Elab *e, const Node *type) {
  const Source *src = &e->s->source.at[type->span.file];
  return arena_strndup(e->s->perm, src->text + type->span.start, type->span.end - type->span.start);
}

static const char *fit_what(Elab *e, const Fit *fit) {
  Arena *arena = e->s->perm;
  if (fit->what)
    return fit->what;
  if (!fit->name)
    return arena_printf(arena, "the result of %s", fit->owner);
  return fit->owner ? arena_printf(arena, "`%s` of %s", fit->name, fit->owner)
                    : arena_printf(arena, "`%s`", fit->name);
}

// `..` stands for other axes than before: mse(Net(x), y) of f32[1] and f32.
static const char *rest_advice(Val v, const Entry *rest) {
  bool number = v.kind == V_TENSOR && !v.t->type.rank, one = rest->val.n == 1;
  if (number && one && rest->val.list[0].i == 1)
    return "a model declared `-> f32` gives the number itself, without the axis of length 1";
  if (number && one)
    return "a model `-> f32` that ends in Dense(1) gives one number; a score for each of several "
           "classes is compared with a label index<n> by cross_entropy";
  return "`..` stands for the same axes wherever it is in one signature";
}

static Val fit_failed(Elab *e, Node *type, Val v, const Fit *fit, const char *why,
                      const Entry *other) {
  if (why && !*why)
    return val_error(); // said already
  Diagnostic *d = elab_error(e, fit->span, "type-mismatch", "%s: %s is wanted, found %s",
                             fit_what(e, fit), type_source(e, type), val_text(e, v));
  if (why)
    diag_label(e->s, d, "%s", why);
  const char *from = other && other->from ? other->from : "here";
  if (other && other->where.file && other->val.kind == V_INT)
    diag_note(e->s, d, other->where, "%s = %s comes from %s", other->name, val_text(e, other->val),
              from);
  else if (other && other->where.file)
    diag_note(e->s, d, other->where, "`..` comes from %s", from);
  diag_note(e->s, d, type->span, "declared here");
  bool within = v.span.file == fit->span.file && v.span.start >= fit->span.start &&
                v.span.end <= fit->span.end;
  if (v.kind == V_TENSOR && v.span.file && !within)
    diag_note(e->s, d, v.span, "%s comes from here", val_text(e, v));
  bool rest = other && other->val.kind == V_LIST;
  const char *advice = rest ? rest_advice(v, other) : fit_advice(e, type, v, fit);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  return val_error();
}

static bool outside_index(Elab *e, Span span, const char *what, int64_t i, int64_t range) {
  Diagnostic *d =
      elab_error(e, span, "out-of-range", "%s: %lld is not one of the values of index<%lld>", what,
                 (long long)i, (long long)range);
  diag_note(e->s, d, (Span){0}, "they are counted from 0: the last one is %lld",
            (long long)range - 1);
  return false;
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
  return outside_index(e, fit->span, fit_what(e, fit), v.i, range);
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
    *v = val_tensor(elab_tensor(e, *v,
                                known               ? &want
                                : v->kind == V_LIST ? &part
                                                    : NULL,
                                fit->span));
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
  if (known && fit->declared && want.elem == v->t->type.elem && type_concrete(e, scope, type)) {
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
      return fit_failed(e, type, v, fit, "its elements must be whole numbers known when compiling",
                        NULL);
  Type shape = {.rank = 1, .dim = {v.n}};
  Entry *other;
  const char *why = unify_shape(e, scope, type, &shape, fit, &other);
  if (why)
    return fit_failed(e, type, v, fit, why, other);
  return v;
}

static Val fit_callable(Elab *e, Node *type, Val v, const Fit *fit) {
  bool layer = strcmp(type->name, "layer") == 0;
  if (v.kind == V_INSTANCE || (v.kind == V_OPTIMIZER && !layer))
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
    return type->has_shape ? fit_ints(e, scope, type, v, fit)
                           : fit_failed(e, type, v, fit, NULL, NULL);
  if (!fit_tensor(e, scope, type, &v, fit))
    return val_error();
  if (v.kind != V_TENSOR)
    return fit_failed(e, type, v, fit, NULL, NULL);
  Entry *other;
  const char *why = unify(e, scope, type, &v.t->type, fit, &other);
  if (why)
    return fit_failed(e, type, v, fit, why, other);
  v.ones = literal_ones(type, &v.t->type, v.ones);
  return v;
}

static const char *other_type_advice(Elab *e, const Type *want, const Type *found) {
  if (want->range && !found->range)
    return "a column of whole numbers is an index, no formula of numbers; a field index<_> counts "
           "the "
           "values of its column, whatever they are";
  if (found->range && !want->range)
    return "a label is a name, not a number: declare the field f32 to have it as a number";
  if (want->range && found->range)
    return "every value must be one that is wanted: the smaller range goes into the greater";
  if ((want->elem == TY_BOOL) != (found->elem == TY_BOOL))
    return "comparisons give truth values, x > 0; f32(x) makes numbers of them";
  return arena_printf(e->s->perm, "one of the two is wrong: %s is what the value is%s",
                      type_user_text(e, found),
                      found->rank == 1 ? ", and f32[_] is as long as the value" : "");
}

// The contract with the data and train parts: a concrete type, rule 4 applies.
Val elab_fit(Elab *e, Val v, const Type *want, Span span, const char *what, Span other) {
  if (v.kind == V_ERROR)
    return v;
  Type as = *want;
  if (v.kind == V_INT && want->range && (v.i < 0 || v.i >= want->range)) {
    outside_index(e, span, what, v.i, want->range);
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
  bool elem = t->type.elem == want->elem &&
              (!want->range || (t->type.range && t->type.range <= want->range));
  if (elem && drop_ones(e, want, &r))
    return r;
  Diagnostic *d = elab_error(e, span, "type-mismatch", "%s: %s is wanted, found %s", what,
                             type_user_text(e, want), val_text(e, val_tensor(t)));
  if (other.file)
    diag_note(e->s, d, other, "declared here");
  note_origins(e, d, &r, 1, span);
  diag_note(e->s, d, (Span){0}, "%s", other_type_advice(e, want, &t->type));
  return val_error();
}
