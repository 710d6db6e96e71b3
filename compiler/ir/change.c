// Changing IR: replacing, numbering, counting uses, dropping what nobody reads.
#include "ir/ir.h"
#include "ops/op.h"

void ir_replace(Value *old, Value *with) {
  for (Inst *i = old->region->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_args; k++)
      if (i->arg[k] == old)
        i->arg[k] = with;
}

void ir_forward(Value *old, Value *with) {
  old->with = with;
}

static Value *final_value(Value *v) {
  Value *last = v;
  while (last->with)
    last = last->with;
  while (v->with) { // the next one is quicker
    Value *next = v->with;
    v->with = last;
    v = next;
  }
  return last;
}

void ir_resolve(Inst *inst) {
  for (uint32_t k = 0; k < inst->n_args; k++)
    if (inst->arg[k]->with)
      inst->arg[k] = final_value(inst->arg[k]);
}

// `with` may be chained: what replaces a value may have been replaced itself. Values made since the
// numbering stay.
void ir_replace_all(Region *r, Value *const *with) {
  for (Inst *i = r->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_args; k++) {
      Value *v = i->arg[k];
      while (v->id != UINT32_MAX && with[v->id] && with[v->id] != v)
        v = with[v->id];
      i->arg[k] = v;
    }
}

uint32_t ir_number_region(Region *r) {
  uint32_t id = 0;
  for (uint32_t i = 0; i < r->n_arg; i++)
    r->arg[i]->id = id++;
  for (Inst *i = r->first; i; i = i->next) {
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->id = id++;
    if (i->body)
      ir_number_region(i->body);
  }
  return id;
}

void ir_number(Function *f) {
  ir_number_region(f->body);
}

void ir_count_uses_region(Region *r) {
  for (uint32_t i = 0; i < r->n_arg; i++)
    r->arg[i]->uses = 0;
  for (Inst *i = r->first; i; i = i->next) {
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->uses = 0;
    for (uint32_t k = 0; k < i->n_args; k++)
      i->arg[k]->uses++;
    if (i->body)
      ir_count_uses_region(i->body);
  }
}

void ir_count_uses(Function *f) {
  ir_count_uses_region(f->body);
}

static bool is_dead(const Inst *inst) {
  if (op_table[inst->op]->flags & OPF_TERMINATOR)
    return false;
  for (uint32_t k = 0; k < inst->n_results; k++)
    if (inst->result[k]->uses)
      return false;
  return true;
}

// Users come after what they use, so one walk from the end finds everything.
static bool remove_dead_in(Region *r) {
  bool any = false;
  for (Inst *i = r->last, *prev; i; i = prev) {
    prev = i->prev;
    if (is_dead(i)) {
      for (uint32_t k = 0; k < i->n_args; k++)
        i->arg[k]->uses--;
      ir_remove(i);
      any = true;
    } else if (i->body)
      any |= remove_dead_in(i->body);
  }
  return any;
}

bool ir_remove_dead(Function *f) {
  ir_count_uses(f);
  return remove_dead_in(f->body);
}
