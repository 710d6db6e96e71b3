// does:   expands every `grad loss, x...` into the reverse-mode program, in place
// needs:  batched IR; loss is one number
// leaves: no `grad`, no `stop_gradient`, no `tap`; only values that a wanted gradient needs get one
// cost:   linear in instructions per `grad`
#include "ops/op.h"
#include "pass/gradmask.h"

struct GradSink {
  Value **adjoint;    // by Value.id: the gradient of the loss with respect to it, so far
  const bool *active; // by Value.id: does it depend on something differentiated for?
  uint32_t n;         // values that were numbered; later ones (the gradients) have none
  GradMask mask;      // of the gradient of the elementwise instruction at hand
  Value *dres;        // that gradient
};

bool grad_wanted(struct GradSink *sink, Inst *inst, uint32_t arg) {
  return sink->active[inst->arg[arg]->id];
}

void grad_add(struct GradSink *sink, Builder *b, Inst *inst, uint32_t arg, Value *d) {
  Value *x = inst->arg[arg];
  if (!sink->active[x->id])
    return;
  if (!type_same_shape(&d->type, &x->type))
    ice("grad of %s: argument %u is %s, its gradient %s", op_table[inst->op]->name, arg,
        type_text(b->m->arena, &x->type), type_text(b->m->arena, &d->type));
  d = grad_masked(b, sink->mask, d, sink->dres);
  Value *old = sink->adjoint[x->id];
  sink->adjoint[x->id] = old ? ir_binary(b, OP_add, old, d) : d;
}

// Values that depend on one of the x of `g`, by id.
static bool *compute_active(Module *m, const Function *f, const Inst *g, uint32_t n) {
  bool *active = arena_array(m->arena, bool, n);
  for (uint32_t i = 1; i < g->n_args; i++)
    active[g->arg[i]->id] = true;
  for (const Inst *i = f->body->first; i != g; i = i->next) {
    if (op_table[i->op]->flags & OPF_ZERO_GRAD)
      continue;
    bool any = false;
    for (uint32_t k = 0; k < i->n_args; k++)
      any |= active[i->arg[k]->id];
    if (any)
      for (uint32_t k = 0; k < i->n_results; k++)
        active[i->result[k]->id] = true;
  }
  return active;
}

static bool depends(const struct GradSink *sink, const Inst *inst) {
  for (uint32_t k = 0; k < inst->n_args; k++)
    if (sink->active[inst->arg[k]->id])
      return true;
  return false;
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
  op->grad(b, inst, dres, sink);
}

static void expand(Function *f, Inst *g) {
  Module *m = f->module;
  ir_number(f);
  uint32_t n = f->body->n_arg;
  for (const Inst *i = f->body->first; i; i = i->next)
    n += i->n_results;
  struct GradSink sink = {.n = n, .active = compute_active(m, f, g, n)};
  sink.adjoint = arena_array(m->arena, Value *, n);
  Builder b = {.m = m, .region = f->body, .before = g, .loc = g->loc};
  sink.adjoint[g->arg[0]->id] = ir_const(&b, g->arg[0]->type, 1);
  for (Inst *i = g->prev, *prev; i; i = prev) {
    prev = i->prev;
    bool of_gradients = i->n_results && i->result[0]->id >= n;
    // Gradients are put directly before `g`: skip what was added while walking.
    if (!of_gradients)
      differentiate(&b, &sink, i);
  }
  b.loc = g->loc;
  for (uint32_t i = 1; i < g->n_args; i++) {
    Value *d = sink.adjoint[g->arg[i]->id];
    if (!d)
      d = ir_const(&b, g->arg[i]->type, 0);
    ir_replace(g->result[i - 1], d);
  }
  ir_remove(g);
}

static void drop_marks(Function *f) {
  for (Inst *i = f->body->first, *next; i; i = next) {
    next = i->next;
    if (i->op == OP_stop_gradient || i->op == OP_tap) {
      ir_replace(i->result[0], i->arg[0]);
      ir_remove(i);
    }
  }
}

void pass_grad(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++) {
    Function *f = m->fn.at[k];
    // In order: an outer gradient comes after the inner one that it differentiates.
    for (Inst *i = f->body->first, *next; i; i = next) {
      next = i->next;
      if (i->op == OP_grad)
        expand(f, i);
    }
    drop_marks(f);
    ir_remove_dead(f);
  }
}
