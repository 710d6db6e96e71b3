// What a minimize trains: `over` (rule 9). In: the loss of eval.T, so that every instance exists
// and what the loss depends on can be read off the IR. Out: Minimize.selected, Param.trainable.
#include "pass/elaborate_program.h"

#include <string.h>

// Parameters that `loss` is computed from, by Param.index; not through stop_gradient.
static bool *compute_dependence(Elab *e, Value *loss) {
  Function *f = e->target->fn;
  Arena *arena = e->m->arena;
  ir_number(f);
  uint32_t n = f->body->n_arg;
  for (const Inst *i = f->body->first; i; i = i->next)
    n += i->n_results;
  bool *needed = arena_array(arena, bool, n + 1), *params = arena_array(arena, bool, e->param.n);
  needed[loss->id] = true;
  for (const Inst *i = f->body->last; i; i = i->prev) {
    bool any = false;
    for (uint32_t k = 0; k < i->n_results; k++)
      any |= needed[i->result[k]->id];
    if (!any || (op_table[i->op]->flags & OPF_ZERO_GRAD))
      continue;
    for (uint32_t k = 0; k < i->n_args; k++)
      needed[i->arg[k]->id] = true;
  }
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == NNRT_PARAM && needed[f->body->arg[i]->id])
      params[f->arg_port[i].index] = true;
  return params;
}

// ---- what an item of `over` names ---------------------------------------------------------------

static void select_instance(Elab *e, const Instance *instance, bool *out) {
  for (uint32_t i = 0; i < e->param.n; i++)
    if (instance_holds(instance, e->param.at[i]))
      out[i] = true;
}

// '*' stands for any characters, '?' for one.
static bool matches(const char *pattern, const char *text) {
  if (*pattern == '*')
    return matches(pattern + 1, text) || (*text && matches(pattern, text + 1));
  if (!*pattern || !*text)
    return *pattern == *text;
  return (*pattern == '?' || *pattern == *text) && matches(pattern + 1, text + 1);
}

// A pattern fits a path, or any run of whole elements of it ("block5_*" fits
// "base.block5_conv1.weight").
static bool matches_path(Elab *e, const char *pattern, const char *path) {
  for (const char *start = path; start; start = strchr(start, '.')) {
    start += *start == '.';
    for (const char *end = start;; end++) {
      end += strcspn(end, ".");
      if (matches(pattern, intern_n(e->s, start, (size_t)(end - start))))
        return true;
      if (!*end)
        break;
    }
  }
  return false;
}

static bool select_value(Elab *e, Val v, Node *item, bool *out) {
  const Function *f = e->target->fn;
  switch ((int)v.kind) {
  case V_ERROR:
    return false;
  case V_INSTANCE:
    select_instance(e, v.instance, out);
    return true;
  case V_STRING:
    for (uint32_t i = 0; i < e->param.n; i++)
      out[i] |= matches_path(e, v.s, e->param.at[i]->path);
    return true;
  case V_LIST:
  case V_TUPLE:
    for (uint32_t i = 0; i < v.n; i++)
      if (!select_value(e, v.list[i], item, out))
        return false;
    return true;
  case V_TENSOR:
    if (!v.t->def && f->arg_port[v.t->index].role == NNRT_PARAM) {
      out[f->arg_port[v.t->index].index] = true;
      return true;
    }
  }
  Diagnostic *d = diag_error(e->s, item->span, "over",
                             "expected something that has parameters, found %s", val_text(e, v));
  diag_note(e->s, d, (Span){0},
            "a model, a layer that `let` or `as` names, one of its parameters, a list "
            "of them, or a pattern like \"block5_*\"");
  return false;
}

// `last(4, base)`: the last direct parts, those without parameters too.
static bool select_last(Elab *e, Scope *scope, Node *item, bool *out) {
  Node *count = item->list.at[0]->a, *of = item->list.at[1]->a;
  int64_t n;
  Val v = elab_expr(e, scope, of, NULL);
  if (v.kind == V_ERROR ||
      !elab_int(e, elab_expr(e, scope, count, NULL), "how many parts", count->span, &n))
    return false;
  if (v.kind != V_INSTANCE) {
    diag_error(e->s, of->span, "over", "last(...) counts the parts of a layer or model, found %s",
               val_text(e, v));
    return false;
  }
  uint32_t parts = v.instance->part.n;
  if (n < 1 || n > parts) {
    diag_error(e->s, count->span, "over", "%lld of %u parts of %s", (long long)n, parts,
               v.instance->path);
    return false;
  }
  for (uint32_t i = parts - (uint32_t)n; i < parts; i++)
    select_instance(e, v.instance->part.at[i], out);
  return true;
}

// Naming a parameter may make it: after this the number of parameters is final.
static void touch(Elab *e, Scope *scope, Node *item) {
  if (item->kind != N_CALL || !name_is(item->a, "last"))
    elab_expr(e, scope, item, NULL);
}

static bool select_item(Elab *e, Scope *scope, Node *item, bool *out) {
  if (item->kind == N_CALL && name_is(item->a, "last") && item->list.n == 2)
    return select_last(e, scope, item, out);
  return select_value(e, elab_expr(e, scope, item, NULL), item, out);
}

// ---- rules --------------------------------------------------------------------------------------

static bool any_of(const bool *x, const bool *y, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    if (x[i] && (!y || y[i]))
      return true;
  return false;
}

static void resolve_item(Elab *e, Scope *scope, Minimize *m, Node *item, const bool *depends) {
  uint32_t n = e->param.n;
  bool *chosen = arena_array(e->m->arena, bool, n);
  if (!select_item(e, scope, item, chosen))
    return;
  Span loss = m->node->a->span;
  if (!any_of(chosen, NULL, n)) {
    Diagnostic *d = diag_error(e->s, item->span, "over",
                               "this selects nothing: there are no parameters "
                               "in it");
    diag_note(e->s, d, (Span){0}, "`summary` lists the paths of all parameters");
  } else if (!any_of(chosen, depends, n)) {
    Diagnostic *d =
        diag_error(e->s, item->span, "over", "what is minimized doesn't depend on this");
    diag_note(e->s, d, loss, "this is minimized");
  }
  for (uint32_t i = 0; i < n; i++)
    m->selected[i] |= chosen[i] && depends[i];
}

static void check_apart(Elab *e, const Train *t, uint32_t k) {
  const Minimize *m = &t->minimize.at[k];
  for (uint32_t j = 0; j < k; j++)
    for (uint32_t i = 0; i < e->param.n; i++)
      if (m->selected[i] && t->minimize.at[j].selected[i]) {
        Diagnostic *d = diag_error(e->s, m->node->span, "over", "`%s` is trained by two minimizes",
                                   e->param.at[i]->path);
        diag_note(e->s, d, t->minimize.at[j].node->span, "the other one");
        diag_note(e->s, d, (Span){0}, "say with `over` what each of them trains");
        return;
      }
}

static void resolve_one(Elab *e, Train *t, const Formulas *f, uint32_t k) {
  Minimize *m = &t->minimize.at[k];
  uint32_t before = e->s->n_error;
  for (uint32_t i = 0; i < m->node->list.n; i++)
    touch(e, f->scope, m->node->list.at[i]);
  m->selected = arena_array(e->m->arena, bool, e->param.n);
  if (e->s->n_error != before)
    return;
  bool *depends = compute_dependence(e, f->loss[k]);
  for (uint32_t i = 0; i < m->node->list.n; i++)
    resolve_item(e, f->scope, m, m->node->list.at[i], depends);
  if (m->node->list.n == 0)
    memcpy(m->selected, depends, sizeof *depends * e->param.n);
  if (m->node->list.n == 0 && !any_of(depends, NULL, e->param.n)) {
    Diagnostic *d = diag_error(e->s, m->node->a->span, "over",
                               "there is nothing to train: this depends on no parameter");
    diag_note(e->s, d, (Span){0},
              "a loss is computed from what a model says: `cross_entropy(Model(x), y)`");
  }
}

void over_resolve(Elab *e, Train *t, const Formulas *f) {
  for (uint32_t k = 0; k < t->minimize.n; k++) {
    resolve_one(e, t, f, k);
    check_apart(e, t, k);
    for (uint32_t i = 0; i < e->param.n; i++)
      e->param.at[i]->trainable |= t->minimize.at[k].selected[i];
  }
}

// What the core asks to know which instances are in training mode (rule 6).
void over_enter(Elab *e, Train *t, Target *target) {
  for (uint32_t k = 0; k < t->minimize.n; k++) {
    target->everything |= t->minimize.at[k].node->list.n == 0;
    for (uint32_t i = 0; i < e->param.n; i++)
      if (t->minimize.at[k].selected[i])
        buf_push(e->m->arena, &target->over_param, e->param.at[i]);
  }
}
