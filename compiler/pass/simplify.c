// does:   local algebra (each record's .fold), stable forms found by pattern, composites into
// smaller
//         operations (.lower), dead code
// needs:  any IR before fuse
// leaves: no operation that has .lower
// cost:   linear a round; rounds until nothing changes, at most a few
#include "ops/op.h"
#include "pass/scans.h"
#include "pass/stable.h"

enum { MAX_ROUNDS = 32 };

static bool simplify_inst(Builder *b, Inst *inst) {
  const OpDef *op = op_table[inst->op];
  b->before = inst;
  b->loc = inst->loc;
  if (op->lower && op->lower(b, inst))
    return true;
  if (inst->n_results != 1)
    return false;
  Value *better = op->fold ? op->fold(b, inst) : NULL;
  if (!better)
    better = stable_form(b, inst);
  if (!better || better == inst->result[0])
    return false;
  ir_forward(inst->result[0], better);
  ir_remove(inst);
  return true;
}

static bool simplify_region(Module *m, Region *r) {
  Builder b = {.m = m, .region = r};
  bool changed = false;
  for (Inst *i = r->first, *next; i; i = next) {
    next = i->next;
    ir_resolve(i);
    if (i->body)
      changed |= simplify_region(m, i->body);
    else
      changed |= simplify_inst(&b, i);
  }
  return changed;
}

static void simplify_function(Function *f) {
  bool changed = true;
  for (int round = 0; changed && round < MAX_ROUNDS; round++) {
    changed = simplify_region(f->module, f->body);
    changed |= scan_tidy(f);
    ir_remove_dead(f);
  }
}

void pass_simplify(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    simplify_function(m->fn.at[k]);
}
