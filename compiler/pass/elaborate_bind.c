// Arguments to parameters: by position and by name, defaults, types (principle 9: what is wrong is
// said with both sides).
#include "foreign.h"
#include "pass/elaborate_core.h"

#include <string.h>

static const char *plural(uint32_t n) {
  return n == 1 ? "" : "s";
}

static void too_many(Elab *e, const Node *decl, NodeList params, const Arg *extra, uint32_t n,
                     bool settings, bool piped) {
  Diagnostic *d =
      elab_error(e, extra->span, "wrong-arguments", "%s takes %u %s%s, found %u", decl->name,
                 params.n, settings ? "setting" : "argument", plural(params.n), n);
  diag_note(e->s, d, decl->name_span, "declared here");
  const Node *type = params.n ? params.at[params.n - 1]->type : NULL;
  if (settings && extra->v.kind == V_TENSOR)
    diag_note(e->s, d, (Span){0}, "settings come first: %s(settings)(x)", decl->name);
  else if (extra->v.kind == V_INT && type && type->has_shape && strcmp(type->name, "int") == 0)
    diag_note(e->s, d, (Span){0}, "several numbers are a list: %s([...])", decl->name);
  else
    diag_note(e->s, d, (Span){0}, "it is called as %s%s", call_text(e, decl),
              piped ? ", and what stands before `|>` is the first argument" : "");
}

static int find_param(NodeList params, const char *name) {
  for (uint32_t i = 0; i < params.n; i++)
    if (params.at[i]->name == name)
      return (int)i;
  return -1;
}

static void unknown_argument(Elab *e, const Node *decl, NodeList params, const Arg *arg) {
  const char **names = arena_array(e->s->perm, const char *, params.n + 1);
  Text list = {.arena = e->s->perm};
  for (uint32_t i = 0; i < params.n; i++) {
    names[i] = params.at[i]->name;
    text_printf(&list, "%s%s", i ? ", " : "", names[i]);
  }
  Diagnostic *d = elab_error(e, arg->name_span, "wrong-arguments", "%s has no argument `%s`",
                             decl->name, arg->name);
  const char *near = foreign_argument(arg->name), *extra = foreign_extra(arg->name);
  bool same = near && find_param(params, intern(e->s, near)) >= 0; // it has another name here
  if (!same)
    near = nearest_name(arg->name, names, params.n);
  if (extra && !same)
    diag_note(e->s, d, (Span){0}, "%s", extra);
  else if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else if (params.n)
    diag_note(e->s, d, (Span){0}, "it has: %s", list.at);
  diag_note(e->s, d, decl->name_span, "declared here");
}

static void given_twice(Elab *e, const Node *decl, const char *name, const Arg *arg,
                        const Arg *first) {
  Diagnostic *d = elab_error(e, arg->span, "wrong-arguments", "`%s` is given twice", name);
  diag_note(e->s, d, first->span, "first here%s", first->name ? "" : ", by its place");
  diag_note(e->s, d, decl->name_span, "declared here");
}

// Which argument goes to which parameter; false after an error.
static bool assign_arguments(Elab *e, const Node *decl, NodeList params, Arg *arg, uint32_t n,
                             bool settings, Arg **of) {
  bool ok = true;
  uint32_t position = 0;
  for (uint32_t i = 0; i < n; i++) {
    int k = arg[i].name ? find_param(params, arg[i].name) : (int)position++;
    if (arg[i].name && k < 0) {
      unknown_argument(e, decl, params, &arg[i]);
      ok = false;
    } else if (k >= (int)params.n) {
      too_many(e, decl, params, &arg[i], n, settings, arg[0].piped);
      return false;
    } else if (of[k]) {
      if (arg[i].v.kind != V_ERROR)
        given_twice(e, decl, params.at[k]->name, &arg[i], of[k]);
      ok = false;
    } else
      of[k] = &arg[i];
  }
  return ok;
}

// Dense(x): the input where a setting belongs.
static bool is_input_as_setting(const Node *decl, const Node *param, const Arg *arg,
                                bool settings) {
  const Node *t = param->type;
  Val v = arg->v;
  if (!settings || arg->name || !decl->has_params2 || !t || t->kind != N_TYPE || t->has_shape)
    return false;
  bool number = strcmp(t->name, "int") == 0 || strcmp(t->name, "bool") == 0;
  if (v.kind == V_INSTANCE) // l2(Net)
    return number || strcmp(t->name, "f32") == 0;
  return v.kind == V_TENSOR && (number || strcmp(t->name, "fn") == 0 || v.t->type.rank > 0);
}

static bool config_as_constant(Elab *e, const Node *param, const Arg *arg) {
  const Node *t = param->type;
  bool wanted = t && t->kind == N_TYPE && !t->has_shape &&
                (strcmp(t->name, "int") == 0 || strcmp(t->name, "bool") == 0);
  if (!wanted || (arg->v.kind != V_CONFIG && !arg->v.config))
    return false;
  Diagnostic *d =
      elab_error(e, arg->span, "not-constant", "`%s` must be known when compiling", param->name);
  diag_note(e->s, d, arg->v.span, "a config is only known when the program runs: make it `const`");
  return true;
}

static bool is_any_shape(const Node *type) { // f32[..]
  return type && type->kind == N_TYPE && type->list.n == 1 && type->list.at[0]->kind == N_DIM_REST;
}

static bool is_called(const Node *type) {
  return type && type->kind == N_TYPE &&
         (strcmp(type->name, "fn") == 0 || strcmp(type->name, "layer") == 0);
}

// bool[.., S]: what is true (or false) everywhere needs no axes.
static bool is_truth_of_any_rank(const Node *type) {
  bool rest = false;
  for (uint32_t i = 0; type && type->kind == N_TYPE && i < type->list.n; i++)
    rest |= type->list.at[i]->kind == N_DIM_REST;
  return rest && type->list.n > 1 && strcmp(type->name, "bool") == 0;
}

static Val bind_one(Elab *e, Scope *into, const Node *decl, Node *param, const Arg *arg, Span call,
                    bool settings) {
  Span made = is_library(e, param->span) || !param->a ? call : param->a->span; // by its default
  Fit fit = {
      .name = param->name, .owner = decl->name, .bind = true, .span = arg ? arg->span : made};
  fit.scope = arg ? arg->scope : NULL;
  if (arg && config_as_constant(e, param, arg))
    return val_error();
  if (arg && is_input_as_setting(decl, param, arg, settings)) {
    const char *as = call_text(e, decl), *inputs = strchr(as, ')') + 1;
    Diagnostic *d = elab_error(e, arg->span, "settings-first", "settings come first: %s", as);
    diag_label(e->s, d, "this is an input");
    diag_note(e->s, d, (Span){0}, "or x |> %.*s", (int)(inputs - as), as);
    return val_error();
  }
  Type want;
  bool known = !arg && param->type && type_known(e, into, param->type, &want);
  fit.fill = !arg || (is_number(arg->v) && is_any_shape(param->type)); // bce(scores, 1)
  Val v = arg ? arg->v : elab_expr(e, into, param->a, known ? &want : NULL);
  bool callable = is_called(param->type);
  if (v.kind == V_BOOL && is_truth_of_any_rank(param->type))
    return v;
  if (callable && v.kind == V_OPTIMIZER)
    v = elab_optimizer(e, v, fit.span);
  if (callable && v.kind == V_FUNCTION && !v.builtin && v.decl->has_params2 && !v.bound)
    v = call_settle(e, v, arg && arg->node ? arg->node : param, fit.span);
  return fit_type(e, into, param->type, v, &fit);
}

// What has no default and is not given: "`h` and `c`".
static uint32_t missing_names(Elab *e, NodeList params, Arg **of, const char **list,
                              const Node **first) {
  uint32_t n = 0;
  *list = "";
  for (uint32_t i = params.n; i-- > 0;) {
    const Node *param = params.at[i];
    if (of[i] || param->a)
      continue;
    *list = arena_printf(e->s->perm, "`%s`%s%s", param->name,
                         n == 0   ? ""
                         : n == 1 ? " and "
                                  : ", ",
                         *list);
    *first = param;
    n++;
  }
  return n;
}

// Then nothing else is said about the call.
static bool any_missing(Elab *e, const Node *decl, NodeList params, Arg **of, Span call,
                        bool settings) {
  const Node *first = NULL;
  const char *list;
  for (uint32_t i = 0; i < params.n; i++) // settings-first is the error
    if (of[i] && is_input_as_setting(decl, params.at[i], of[i], settings))
      return false;
  uint32_t n = missing_names(e, params, of, &list, &first);
  if (n == 0)
    return false;
  Diagnostic *d = elab_error(e, call, "wrong-arguments", "%s needs the %s%s %s", decl->name,
                             settings ? "setting" : "argument", plural(n), list);
  diag_note(e->s, d, first->span, "declared here");
  const Val *given = of[0] ? &of[0]->v : NULL;
  if (settings && is_called(first->type) && strcmp(first->type->name, "layer") == 0)
    diag_note(e->s, d, (Span){0}, "it is a layer as well, one of its own: %s(..., %s = LSTM(8))",
              decl->name, first->name);
  else if (given && given->kind == V_LIST && given->n == params.n)
    diag_note(e->s, d, (Span){0}, "inputs are given one by one, without [ ]: %s",
              call_text(e, decl));
  else if (!given && decl->kind == N_MODEL && !settings)
    diag_note(e->s, d, (Span){0}, "a model is there once, by its name, and is applied: %s",
              call_text(e, decl));
  else
    diag_note(e->s, d, (Span){0}, "it is called as %s", call_text(e, decl));
  return true;
}

// Two arguments, each of the type that the other one's parameter has: they are said once.
static bool are_swapped(Elab *e, Scope *into, const Node *decl, NodeList params, Arg **of) {
  for (uint32_t i = 0; i < params.n; i++)
    for (uint32_t k = i + 1; k < params.n; k++) {
      Type a, b;
      Node *first = params.at[i]->type, *second = params.at[k]->type;
      if (!of[i] || !of[k] || of[i]->v.kind != V_TENSOR || of[k]->v.kind != V_TENSOR || !first ||
          !second || !type_concrete(e, into, first) || !type_concrete(e, into, second) ||
          !type_known(e, into, first, &a) || !type_known(e, into, second, &b))
        continue;
      const Type *x = &of[i]->v.t->type, *y = &of[k]->v.t->type;
      bool fit = x->elem == a.elem && x->range == a.range && type_same_shape(x, &a);
      bool other = x->elem == b.elem && x->range == b.range && type_same_shape(x, &b) &&
                   y->elem == a.elem && y->range == a.range && type_same_shape(y, &a);
      if (fit || !other)
        continue;
      const char *p = params.at[i]->name, *q = params.at[k]->name;
      Diagnostic *d =
          elab_error(e, of[i]->span, "type-mismatch", "`%s` of %s: %s is wanted, found %s", p,
                     decl->name, type_user_text(e, &a), val_text(e, of[i]->v));
      diag_label(e->s, d, "this is what `%s` wants", q);
      diag_note(e->s, d, of[k]->span, "and this, %s, what `%s` wants", val_text(e, of[k]->v), p);
      diag_note(e->s, d, params.at[i]->span, "declared here");
      diag_note(e->s, d, (Span){0}, "give them in the order of the declaration: %s",
                call_text(e, decl));
      return true;
    }
  return false;
}

// f32[2 * n] where n isn't known yet: another parameter binds it (rule 11).
static bool has_unknown_arithmetic(Elab *e, Scope *scope, const Node *type) {
  Dim dim;
  for (uint32_t i = 0; type && type->kind == N_TYPE && i < type->list.n; i++) {
    Node *d = type->list.at[i];
    if ((d->kind == N_BINARY || d->kind == N_UNARY) && !dim_known(e, scope, d, &dim))
      return true;
  }
  return false;
}

bool bind_arguments(Elab *e, Scope *into, const Node *decl, NodeList params, Arg *arg, uint32_t n,
                    Span span, bool settings) {
  Arg **of = arena_array(e->s->perm, Arg *, params.n + 1);
  if (!assign_arguments(e, decl, params, arg, n, settings, of) ||
      any_missing(e, decl, params, of, span, settings) || are_swapped(e, into, decl, params, of))
    return false;
  bool ok = true;
  bool *later = arena_array(e->s->perm, bool, params.n + 1);
  for (uint32_t i = 0; i < params.n; i++)
    later[i] = of[i] && has_unknown_arithmetic(e, into, params.at[i]->type);
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t i = 0; i < params.n; i++) {
      if (later[i] != (pass == 1))
        continue;
      Node *param = params.at[i];
      if (!of[i] && !param->a) { // an input stands in the place of a setting: that is the error
        ok = false;
        continue;
      }
      Val v = bind_one(e, into, decl, param, of[i], span, settings);
      ok &= v.kind != V_ERROR;
      if (v.kind == V_TENSOR && v.config) // initialisers read it in another function
        v = (Val){.kind = V_CONFIG, .i = v.config - 1, .span = v.span};
      scope_put(e, into, param->name, v, of[i] ? of[i]->span : param->span)->constant = true;
    }
  return ok;
}
