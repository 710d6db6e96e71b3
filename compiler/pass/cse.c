// does:   merges instructions that compute the same thing, drops dead ones
// needs:  any IR before fuse
// leaves: the same program with every value made once
// cost:   linear: one hash table per function
#include "ops/op.h"

#include <string.h>

static uint64_t mix(uint64_t h, uint64_t x) {
  h = (h ^ x) * 0x9e3779b97f4a7c15u;
  return h ^ (h >> 29);
}

static uint64_t attr_hash(const Attr *a) {
  uint64_t h = (uint64_t)a->kind, bits = 0;
  if (a->kind == A_DIMS)
    for (uint32_t i = 0; i < a->n; i++)
      h = mix(h, (uint64_t)a->dims[i]);
  else if (a->kind == A_FLOAT)
    memcpy(&bits, &a->f, sizeof bits);
  else if (a->kind == A_ELEM)
    bits = (uint64_t)a->elem;
  else if (a->kind == A_STR)
    bits = (uint64_t)(uintptr_t)a->s;
  else if (a->kind == A_INT)
    bits = (uint64_t)a->i;
  else if (a->kind == A_DATA)
    bits = (uint64_t)(uintptr_t)a->data;
  return mix(h, bits);
}

static bool attr_equal(const Attr *a, const Attr *b) {
  if (a->kind != b->kind)
    return false;
  if (a->kind == A_DIMS)
    return a->n == b->n && memcmp(a->dims, b->dims, a->n * sizeof *a->dims) == 0;
  if (a->kind == A_FLOAT) // by bits: -0.0 is not 0.0
    return memcmp(&a->f, &b->f, sizeof a->f) == 0;
  if (a->kind == A_ELEM)
    return a->elem == b->elem;
  if (a->kind == A_STR)
    return a->s == b->s;
  if (a->kind == A_DATA)
    return a->data == b->data;
  return a->i == b->i;
}

static uint64_t inst_hash(const Inst *inst) {
  uint64_t h = mix(0, (uint64_t)inst->op);
  for (uint32_t i = 0; i < inst->n_args; i++)
    h = mix(h, (uint64_t)(uintptr_t)inst->arg[i]);
  for (uint32_t i = 0; i < inst->n_attrs; i++)
    h = mix(h, attr_hash(&inst->attr[i]));
  return h;
}

// Equal instructions in equal order: ids are dense per body.
static bool body_equal(const Region *a, const Region *b) {
  if (a->n_arg != b->n_arg)
    return false;
  for (uint32_t i = 0; i < a->n_arg; i++)
    if (!type_equal(&a->arg[i]->type, &b->arg[i]->type))
      return false;
  const Inst *i = a->first, *k = b->first;
  for (; i && k; i = i->next, k = k->next) {
    if (i->op != k->op || i->n_args != k->n_args || i->n_attrs != k->n_attrs)
      return false;
    for (uint32_t n = 0; n < i->n_args; n++)
      if (i->arg[n]->id != k->arg[n]->id)
        return false;
    for (uint32_t n = 0; n < i->n_attrs; n++)
      if (!attr_equal(&i->attr[n], &k->attr[n]))
        return false;
    if (i->body && !body_equal(i->body, k->body))
      return false;
  }
  return i == k;
}

static bool inst_equal(const Inst *a, const Inst *b) {
  if (a->op != b->op || a->n_args != b->n_args || a->n_results != b->n_results)
    return false;
  for (uint32_t i = 0; i < a->n_args; i++)
    if (a->arg[i] != b->arg[i])
      return false;
  for (uint32_t i = 0; i < a->n_attrs; i++)
    if (!attr_equal(&a->attr[i], &b->attr[i]))
      return false;
  return !a->body || body_equal(a->body, b->body);
}

static void order_commutative(Inst *inst) {
  if ((op_table[inst->op]->flags & OPF_COMMUTES) && inst->arg[0]->id > inst->arg[1]->id) {
    Value *x = inst->arg[0];
    inst->arg[0] = inst->arg[1];
    inst->arg[1] = x;
  }
}

static bool can_merge(const Inst *inst) {
  return op_table[inst->op]->kind != K_CONTROL || inst->op == OP_scan;
}

// What each value was merged into; arguments are rewritten as the walk meets them. Ids are fresh
// and dense.
static void cse_region(Arena *arena, Region *r) {
  uint32_t n = r->n_arg, cap = 16;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  while (cap < 2 * n)
    cap *= 2;
  Value **with = arena_array(arena, Value *, n);
  Inst **slot = arena_array(arena, Inst *, cap);
  for (Inst *i = r->first, *next; i; i = next) {
    next = i->next;
    if (i->body)
      cse_region(arena, i->body);
    for (uint32_t k = 0; k < i->n_args; k++)
      if (with[i->arg[k]->id])
        i->arg[k] = with[i->arg[k]->id];
    if (!can_merge(i))
      continue;
    order_commutative(i);
    uint64_t h = inst_hash(i);
    while (slot[h & (cap - 1)] && !inst_equal(slot[h & (cap - 1)], i))
      h++;
    Inst *same = slot[h & (cap - 1)];
    if (!same) {
      slot[h & (cap - 1)] = i;
      continue;
    }
    for (uint32_t k = 0; k < i->n_results; k++)
      with[i->result[k]->id] = same->result[k];
    ir_remove(i);
  }
}

void pass_cse(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++) {
    ir_number(m->fn.at[k]);
    cse_region(m->arena, m->fn.at[k]->body);
    ir_remove_dead(m->fn.at[k]);
  }
}
