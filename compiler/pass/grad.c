// does:   expands every `grad loss, x...` into the reverse-mode program, in place
// needs:  batched IR; loss is one number
// leaves: no `grad`, no `stop_gradient`, no `tap`; only values that a wanted gradient needs get one
// cost:   linear in instructions per `grad`
#include "pass/grad.h"
#include "pass/gradmask.h"

struct GradSink {
  Value **adjoint;    // by Value.id: the gradient of the loss with respect to it, so far
  Value **support;    // by Value.id: where that may be other than 0 (rule 12); NULL: anywhere
  const bool *active; // by Value.id: does it depend on something differentiated for?
  // Of the instruction at hand:
  Inst *inst;
  GradMask mask; // of the gradient of its result, if it is elementwise
  Value *dres;   // that gradient
  Value *given;  // its support
  // Of grad_alone: the gradient of one argument of `inst`.
  bool alone;
  uint32_t arg;
  Value *d;
};

bool grad_wanted(struct GradSink *sink, Inst *inst, uint32_t arg) {
  if (sink->alone)
    return arg == sink->arg;
  return sink->active[(sink->inst ? sink->inst : inst)->arg[arg]->id];
}

void grad_seed(GradSink *sink, Builder *b, const Value *v, Value *d, Value *support) {
  Value *old = sink->adjoint[v->id], **where = &sink->support[v->id];
  sink->adjoint[v->id] = old ? ir_binary(b, OP_add, old, d) : d;
  *where = old ? support_of_sum(b, *where, support) : support;
}

void grad_add(struct GradSink *sink, Builder *b, Inst *inst, uint32_t arg, Value *d) {
  if (sink->alone) {
    if (arg == sink->arg)
      sink->d = sink->d ? ir_binary(b, OP_add, sink->d, d) : d;
    return;
  }
  inst = sink->inst;
  Value *x = inst->arg[arg];
  if (!sink->active[x->id])
    return;
  if (!type_same_shape(&d->type, &x->type))
    ice("grad of %s: argument %u is %s, its gradient %s", op_table[inst->op]->name, arg,
        type_text(b->m->arena, &x->type), type_text(b->m->arena, &d->type));
  Value *support = support_of_argument(b, inst, arg, sink->given);
  Value *masked = grad_masked(b, sink->mask, d, sink->dres);
  if (!grad_is_multiple(d, sink->dres))
    masked = support_masked(b, inst, support, sink->mask, masked);
  grad_seed(sink, b, x, masked, support);
}

Value *grad_alone(Builder *b, Inst *inst, uint32_t arg, Value *d) {
  GradSink sink = {.alone = true, .arg = arg};
  op_table[inst->op]->grad(b, inst, &d, &sink);
  return sink.d;
}

void grad_spread_active(const Inst *first, const Inst *end, bool *active) {
  for (const Inst *i = first; i != end; i = i->next) {
    if (op_table[i->op]->flags & OPF_ZERO_GRAD)
      continue;
    bool any = false;
    for (uint32_t k = 0; k < i->n_args; k++)
      any |= active[i->arg[k]->id];
    if (any)
      for (uint32_t k = 0; k < i->n_results; k++)
        active[i->result[k]->id] = true;
  }
}

// Values that depend on one of the x of `g`, by id.
static bool *compute_active(Module *m, const Inst *g, uint32_t n) {
  bool *active = arena_array(m->arena, bool, n);
  for (uint32_t i = 1; i < g->n_args; i++)
    active[g->arg[i]->id] = true;
  grad_spread_active(g->parent->first, g, active);
  return active;
}

static bool depends(const struct GradSink *sink, const Inst *inst) {
  for (uint32_t k = 0; k < inst->n_args; k++)
    if (sink->active[inst->arg[k]->id])
      return true;
  return false;
}

// What the gradient `d` of x is called where IR is printed, so that the chain rule can be followed.
static void name_gradient(Module *m, const Value *x, Value *d) {
  const char *of = x->name;
  const char *layer = x->def ? m->loc.at[x->def->loc].layer : NULL;
  if (!d->def || d->def->op == OP_const || (d->name && !x->name))
    return;
  if (!of)
    of = arena_printf(m->arena, "%s%s%s", op_table[x->def->op]->name, layer ? " of " : "",
                      layer ? layer : "");
  d->name = intern(m->s, arena_printf(m->arena, "gradient of %s", of));
}

// One instruction: from the gradients of its results to those of its arguments.
static void differentiate(Builder *b, struct GradSink *sink, Inst *inst) {
  const OpDef *op = op_table[inst->op];
  if ((op->flags & OPF_ZERO_GRAD) || !depends(sink, inst))
    return;
  Value **dres = arena_array(b->m->arena, Value *, inst->n_results);
  bool any = false;
  for (uint32_t k = 0; k < inst->n_results; k++)
    any |= (dres[k] = sink->adjoint[inst->result[k]->id]) != NULL;
  if (!any)
    return;
  for (uint32_t k = 0; k < inst->n_results; k++)
    if (dres[k])
      name_gradient(b->m, inst->result[k], dres[k]);
  b->loc = inst->loc;
  if (!op->grad) {
    Session *s = b->m->s;
    Diagnostic *d = diag_error(s, b->m->loc.at[inst->loc].span, "no-gradient",
                               "`%s` has no gradient", op->name);
    diag_note(s, d, (Span){0},
              "what is minimised must not depend on a parameter through it; "
              "stop_gradient(...) says that this is meant");
    return;
  }
  bool elementwise = op->kind == K_ELEM && inst->n_results == 1;
  sink->dres = elementwise ? dres[0] : NULL;
  sink->mask = elementwise ? grad_mask(b, dres[0]) : (GradMask){NULL, false};
  sink->given = inst->n_results == 1 ? sink->support[inst->result[0]->id] : NULL;
  sink->inst = inst;
  op->grad(b, support_product(b, inst, sink->given), dres, sink);
}

GradSink *grad_sink(Module *m, uint32_t n, const bool *active) {
  GradSink *sink = arena_new(m->arena, GradSink);
  *sink = (GradSink){.active = active,
                     .adjoint = arena_array(m->arena, Value *, n + 1),
                     .support = arena_array(m->arena, Value *, n + 1)};
  return sink;
}

Value *grad_of(const GradSink *sink, const Value *v) {
  return sink->adjoint[v->id];
}

Value *grad_support(const GradSink *sink, const Value *v) {
  return sink->support[v->id];
}

void grad_sweep(GradSink *sink, Builder *b, Inst *last) {
  for (Inst *i = last, *prev; i; i = prev) {
    prev = i->prev;
    differentiate(b, sink, i);
  }
}

// A second derivative takes no `select` of the first for one of the program.
static void mark_made(Inst *inst) {
  inst->of_gradient = true;
  for (Inst *i = inst->body ? inst->body->first : NULL; i; i = i->next)
    mark_made(i);
}

static void expand(Function *f, Inst *g) {
  Module *m = f->module;
  ir_number(f);
  uint32_t n = g->parent->n_arg;
  for (const Inst *i = g->parent->first; i; i = i->next)
    n += i->n_results;
  GradSink *sink = grad_sink(m, n, compute_active(m, g, n));
  Builder b = {.m = m, .region = g->parent, .before = g, .loc = g->loc};
  Inst *last = g->prev;
  grad_seed(sink, &b, g->arg[0], ir_const(&b, g->arg[0]->type, 1), NULL);
  grad_sweep(sink, &b, last);
  b.loc = g->loc;
  for (uint32_t i = 1; i < g->n_args; i++) {
    Value *d = grad_of(sink, g->arg[i]);
    if (!d)
      d = ir_const(&b, g->arg[i]->type, 0);
    if (g->arg[i]->name || g->arg[i]->def)
      name_gradient(m, g->arg[i], d);
    ir_forward(g->result[i - 1], d);
  }
  for (Inst *i = last ? last->next : g->parent->first; i != g; i = i->next)
    mark_made(i);
  ir_remove(g);
}

static void drop_marks(Region *r) {
  for (Inst *i = r->first, *next; i; i = next) {
    next = i->next;
    ir_resolve(i);
    if (i->body)
      drop_marks(i->body);
    if (i->op == OP_stop_gradient || i->op == OP_tap) {
      ir_forward(i->result[0], i->arg[0]);
      ir_remove(i);
    }
  }
}

// In order: an outer gradient comes after the inner one that it differentiates.
static void expand_in(Function *f, Region *r) {
  for (Inst *i = r->first, *next; i; i = next) {
    next = i->next;
    ir_resolve(i);
    if (i->op == OP_grad)
      expand(f, i);
    else if (i->body)
      expand_in(f, i->body);
  }
}

void pass_grad(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++) {
    Function *f = m->fn.at[k];
    expand_in(f, f->body);
    drop_marks(f->body);
    ir_remove_dead(f);
  }
}
