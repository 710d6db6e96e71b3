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
    Diagnostic *d =
        diag_error(e->s, of->span, "over",
                   "last(...) counts the parts of a layer or model, found %s", val_text(e, v));
    diag_note(e->s, d, (Span){0}, "last(4, Net): the last four layers of the model Net");
    return false;
  }
  uint32_t parts = v.instance->part.n;
  if (n < 1 || n > parts) {
    Diagnostic *d = diag_error(e->s, count->span, "over", "%lld of %u parts of %s", (long long)n,
                               parts, v.instance->path);
    diag_note(e->s, d, (Span){0}, "1 to %u of its parts can be chosen; `summary` lists them",
              parts);
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

// What the loss depends on, as far as a name of `over` says it: its instances without a parent.
static void note_depends(Elab *e, Diagnostic *d, const bool *depends) {
  enum { MOST = 8 };
  const char *named[MOST];
  uint32_t n = 0;
  Text list = {.arena = e->m->arena};
  for (uint32_t i = 0; i < e->param.n && n < MOST; i++) {
    const char *path = e->param.at[i]->path;
    const char *top = intern_n(e->s, path, strcspn(path, "."));
    bool known = !depends[i];
    for (uint32_t k = 0; k < n; k++)
      known |= named[k] == top;
    if (known)
      continue;
    text_printf(&list, "%s%s", n ? ", " : "", top);
    named[n++] = top;
  }
  if (n)
    diag_note(e->s, d, (Span){0}, "it depends on: %s", list.at);
}

// The element of a parameter's path that a pattern without a match is nearest to.
static void note_near(Elab *e, Diagnostic *d, const Node *item) {
  BUF(const char *) name = {0};
  if (item->kind != N_STRING) {
    diag_note(e->s, d, (Span){0}, "`summary` lists the paths of all parameters");
    return;
  }
  for (uint32_t i = 0; i < e->param.n; i++)
    for (const char *at = e->param.at[i]->path; *at; at += *at == '.') {
      size_t n = strcspn(at, ".");
      buf_push(e->m->arena, &name, intern_n(e->s, at, n));
      at += n;
    }
  const char *near = nearest_name(item->name, name.at, name.n);
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean \"%s\"?", near);
  diag_note(e->s, d, (Span){0},
            "a pattern fits a part of a path between points, like \"block5_*\"; `summary` lists "
            "the paths");
}

static void resolve_item(Elab *e, Scope *scope, Minimize *m, Node *item) {
  uint32_t n = e->param.n;
  bool *chosen = arena_array(e->m->arena, bool, n);
  if (!select_item(e, scope, item, chosen))
    return;
  if (!any_of(chosen, NULL, n)) {
    Diagnostic *d =
        diag_error(e->s, item->span, "over",
                   item->kind == N_STRING ? "this selects nothing: it fits the path of no parameter"
                                          : "this selects nothing: there are no parameters in it");
    note_near(e, d, item);
  } else if (!any_of(chosen, m->depends, n)) {
    Diagnostic *d =
        diag_error(e->s, item->span, "over", "what is minimized doesn't depend on this");
    diag_note(e->s, d, m->node->a->span, "this is minimized");
    note_depends(e, d, m->depends);
  }
  for (uint32_t i = 0; i < n; i++)
    m->selected[i] |= chosen[i] && m->depends[i];
}

static void resolve_one(Elab *e, Minimize *m, Scope *scope) {
  for (uint32_t i = 0; i < m->node->list.n; i++)
    resolve_item(e, scope, m, m->node->list.at[i]);
  if (m->node->list.n == 0)
    memcpy(m->selected, m->depends, sizeof *m->depends * e->param.n);
  if (m->node->list.n == 0 && !any_of(m->depends, NULL, e->param.n)) {
    Diagnostic *d = diag_error(e->s, m->node->a->span, "over",
                               "there is nothing to train: this depends on no parameter");
    diag_note(e->s, d, (Span){0},
              "a loss is computed from what a model says: `cross_entropy(Model(x), y)`");
  }
}

// A parameter that both train, or NULL.
static const Param *common(const Elab *e, const Minimize *a, const Minimize *b) {
  for (uint32_t i = 0; i < e->param.n; i++)
    if (a->selected[i] && b->selected[i])
      return e->param.at[i];
  return NULL;
}

// Rule 8: in one step every parameter has one gradient.
static void check_apart(Elab *e, const Step *step, uint32_t k) {
  const Minimize *m = &step->minimize.at[k];
  for (uint32_t j = 0; j < k; j++) {
    const Param *p = common(e, m, &step->minimize.at[j]);
    if (!p)
      continue;
    Diagnostic *d =
        diag_error(e->s, m->node->span, "over", "`%s` is trained by two minimizes", p->path);
    diag_note(e->s, d, step->minimize.at[j].node->span, "the other one");
    diag_note(e->s, d, (Span){0},
              *step->name ? "say with `over` what each of them trains, or make two steps"
                          : "say with `over` what each of them trains, or put each into a `step`");
    return;
  }
}

// Rule 9: without `over`, nothing is trained by accident that another step trains on purpose.
static void check_default(Elab *e, const Train *t, const Step *step, const Minimize *m) {
  for (uint32_t i = 0; i < t->step.n; i++) {
    const Step *other = t->step.at[i];
    for (uint32_t k = 0; other != step && k < other->minimize.n; k++) {
      const Minimize *o = &other->minimize.at[k];
      const Param *p = o->node->list.n ? common(e, m, o) : NULL;
      if (!p)
        continue;
      Diagnostic *d = diag_error(e->s, m->node->span, "over",
                                 "this depends on `%s`, which the step `%s` trains: say with "
                                 "`over` what this one trains",
                                 p->path, other->name);
      diag_note(e->s, d, o->node->list.at[0]->span, "trained there");
      note_depends(e, d, m->depends);
      return;
    }
  }
}

static void check_steps(Elab *e, Train *t) {
  for (uint32_t i = 0; i < t->step.n; i++)
    for (uint32_t k = 0; k < t->step.at[i]->minimize.n; k++) {
      Minimize *m = &t->step.at[i]->minimize.at[k];
      check_apart(e, t->step.at[i], k);
      if (m->node->list.n == 0)
        check_default(e, t, t->step.at[i], m);
      for (uint32_t p = 0; p < e->param.n; p++)
        e->param.at[p]->trainable |= m->selected[p];
    }
}

void over_resolve(Elab *e, Train *t, const Formulas *f) {
  uint32_t before = e->s->n_error;
  for (uint32_t i = 0; i < t->step.n; i++)
    for (uint32_t k = 0; k < t->step.at[i]->minimize.n; k++) {
      NodeList over = t->step.at[i]->minimize.at[k].node->list;
      for (uint32_t n = 0; n < over.n; n++)
        touch(e, f[i].scope, over.at[n]);
    }
  if (e->s->n_error != before)
    return;
  for (uint32_t i = 0; i < t->step.n; i++)
    for (uint32_t k = 0; k < t->step.at[i]->minimize.n; k++) {
      Minimize *m = &t->step.at[i]->minimize.at[k];
      m->selected = arena_array(e->m->arena, bool, e->param.n);
      m->depends = compute_dependence(e, f[i].loss[k]);
      resolve_one(e, m, f[i].scope);
    }
  if (e->s->n_error == before)
    check_steps(e, t);
}

// What the core asks to know which instances are in training mode (rule 6).
void over_enter(Elab *e, const Step *step, Target *target) {
  for (uint32_t k = 0; k < step->minimize.n; k++)
    for (uint32_t i = 0; i < e->param.n; i++)
      if (step->minimize.at[k].selected[i])
        buf_push(e->m->arena, &target->over_param, e->param.at[i]);
}
