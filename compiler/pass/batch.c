// does:   turns one example into a batch: every batched value gets a leading axis N
// needs:  per-example IR from elaborate (types carry `batched`)
// leaves: IR over [N, ...]; no type is `batched`
// cost:   linear in instructions
#include "ops/op.h"

static Type with_batch(Type t) {
  if (!t.batched)
    return t;
  for (uint32_t i = t.rank; i > 0; i--)
    t.dim[i] = t.dim[i - 1];
  t.dim[0] = -1;
  t.rank++;
  t.batched = false;
  return t;
}

// An unbatched operand of an elementwise operation is the same for every row.
static Value *over_batch(Builder *b, Value *x) {
  uint32_t axes[MAX_RANK];
  Type to = x->type;
  to.batched = true;
  to = with_batch(to);
  for (uint32_t i = 0; i < x->type.rank; i++)
    axes[i] = i + 1;
  return ir_broadcast(b, x, axes, to);
}

static void batch_inst(Builder *b, Inst *inst, Value **with) {
  const OpDef *op = op_table[inst->op];
  Value **arg = arena_array(b->m->arena, Value *, inst->n_args);
  bool *batched = arena_array(b->m->arena, bool, inst->n_args), any = false;
  for (uint32_t i = 0; i < inst->n_args; i++) {
    batched[i] = inst->arg[i]->type.batched;
    any |= batched[i];
    arg[i] = with[inst->arg[i]->id] ? with[inst->arg[i]->id] : inst->arg[i];
  }
  b->before = inst;
  b->loc = inst->loc;
  if (op->batch && any) {
    with[inst->result[0]->id] = op->batch(b, inst, arg, batched);
    return;
  }
  if (op->kind == K_ELEM && any)
    for (uint32_t i = 0; i < inst->n_args; i++)
      if (!batched[i])
        arg[i] = over_batch(b, arg[i]);
  Inst *again = ir_inst(b, inst->op, arg, inst->n_args, inst->attr, inst->n_attrs);
  for (uint32_t i = 0; i < inst->n_results; i++)
    with[inst->result[i]->id] = again->result[i];
}

static void batch_function(Function *f) {
  Module *m = f->module;
  ir_number(f);
  uint32_t n = f->body->n_arg;
  for (const Inst *i = f->body->first; i; i = i->next)
    n += i->n_results;
  Value **with = arena_array(m->arena, Value *, n);
  Builder b = {.m = m, .region = f->body};
  // The types of all old values are still per example while new instructions are made from them.
  Value **arg = arena_array(m->arena, Value *, f->body->n_arg);
  for (uint32_t i = 0; i < f->body->n_arg; i++) {
    arg[i] = arena_new(m->arena, Value);
    *arg[i] = *f->body->arg[i];
    arg[i]->type = with_batch(arg[i]->type);
    with[f->body->arg[i]->id] = arg[i];
  }
  Inst *last = f->body->last;
  for (Inst *i = f->body->first, *next; i != last; i = next) {
    next = i->next;
    batch_inst(&b, i, with);
    ir_remove(i);
  }
  for (uint32_t i = 0; i < last->n_args; i++)
    last->arg[i] = with[last->arg[i]->id];
  f->body->arg = arg;
}

void pass_batch(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    batch_function(m->fn.at[k]);
}
