// Reductions: 16 running results, one per lane, and a fixed tree over the lanes at the end. The
// order of additions depends on nothing but the number of elements, so that every way of fusing a
// reduction gives the same bits.
#include "llvm/gen.h"

#include <math.h>

static bool is_argmax(const Acc *acc) {
  return acc->index != NULL;
}

double reduce_identity(const Inst *reduce) {
  return reduce->op == OP_argmax ? -INFINITY : op_table[reduce->op]->identity;
}

Acc acc_create(Kernel *k, const Inst *reduce) {
  Acc acc = {.reduce = reduce, .elem = reduce->arg[0]->type.elem};
  acc.value = gen_alloca(k->g, gen_lanes(k->g, acc.elem), 64);
  if (reduce->op == OP_argmax)
    acc.index = gen_alloca(k->g, gen_vector(k->g->i32), 64);
  return acc;
}

static EVal current(Kernel *k, const Acc *acc) {
  return (EVal){LLVMBuildLoad2(k->g->b, gen_lanes(k->g, acc->elem), acc->value, ""), acc->elem};
}

static EVal current_index(Kernel *k, const Acc *acc) {
  return (EVal){LLVMBuildLoad2(k->g->b, gen_vector(k->g->i32), acc->index, ""), TY_I32};
}

void acc_reset(Kernel *k, const Acc *acc) {
  LLVMBuildStore(k->g->b, k->emit->constant(k->emit, acc->elem, reduce_identity(acc->reduce)).v,
                 acc->value);
  if (is_argmax(acc))
    LLVMBuildStore(k->g->b, k->emit->constant(k->emit, TY_I32, 0).v, acc->index);
}

static void add_argmax(Kernel *k, const Acc *acc, EVal x, Coord at) {
  Gen *g = k->g;
  EVal best = current(k, acc), index = current_index(k, acc);
  EVal base = {gen_splat(g, LLVMBuildTrunc(g->b, at.base, g->i32, "")), TY_I32};
  EVal here = emit_add(k->emit, base, (EVal){coord_lanes(k, at), TY_I32});
  EVal take = emit_lt(k->emit, best, x);
  LLVMBuildStore(g->b, k->emit->select(k->emit, take, x, best).v, acc->value);
  LLVMBuildStore(g->b, k->emit->select(k->emit, take, here, index).v, acc->index);
}

void acc_add(Kernel *k, const Acc *acc, EVal x, Coord at, LLVMValueRef mask) {
  Emit *e = k->emit;
  if (mask)
    x = e->select(e, (EVal){mask, TY_BOOL}, x,
                  e->constant(e, acc->elem, reduce_identity(acc->reduce)));
  if (is_argmax(acc))
    add_argmax(k, acc, x, at);
  else
    LLVMBuildStore(k->g->b, op_table[acc->reduce->op]->combine(e, current(k, acc), x).v,
                   acc->value);
}

EVal acc_lanes(Kernel *k, const Acc *acc) {
  return is_argmax(acc) ? current_index(k, acc) : current(k, acc);
}

// Lane l gets what was in lane l + by.
static EVal moved_down(Kernel *k, EVal x, int by) {
  LLVMValueRef lanes[LANES];
  for (int i = 0; i < LANES; i++)
    lanes[i] = gen_i32(k->g, (i + by) % LANES);
  LLVMValueRef order = LLVMConstVector(lanes, LANES);
  return (EVal){LLVMBuildShuffleVector(k->g->b, x.v, LLVMGetPoison(LLVMTypeOf(x.v)), order, ""),
                x.elem};
}

// The greater value; of equals the one that comes first.
static void join_argmax(Kernel *k, EVal *value, EVal *index, int by) {
  Emit *e = k->emit;
  EVal other = moved_down(k, *value, by), other_index = moved_down(k, *index, by);
  EVal first =
      e->binary(e, E_AND, e->binary(e, E_EQ, *value, other), emit_lt(e, other_index, *index));
  EVal take = e->binary(e, E_OR, emit_lt(e, *value, other), first);
  *value = e->select(e, take, other, *value);
  *index = e->select(e, take, other_index, *index);
}

static EVal splat_first(Kernel *k, EVal x) {
  LLVMValueRef zero = LLVMConstNull(gen_vector(k->g->i32));
  return (EVal){LLVMBuildShuffleVector(k->g->b, x.v, LLVMGetPoison(LLVMTypeOf(x.v)), zero, ""),
                x.elem};
}

EVal acc_across(Kernel *k, const Acc *acc) {
  EVal value = current(k, acc), index = {0};
  if (is_argmax(acc))
    index = current_index(k, acc);
  for (int by = LANES / 2; by; by /= 2)
    if (is_argmax(acc))
      join_argmax(k, &value, &index, by);
    else
      value = op_table[acc->reduce->op]->combine(k->emit, value, moved_down(k, value, by));
  return splat_first(k, is_argmax(acc) ? index : value);
}

// ---- the reductions of a body ------------------------------------------------------------------

// The greatest level among the reductions that v is computed from; 0 if there is none.
static uint32_t level_of(Kernel *k, uint32_t *level, const Value *v) {
  if (!v->def)
    return 0;
  uint32_t *known = &level[kernel_value_number(k, v)]; // level + 1
  if (*known)
    return *known - 1;
  uint32_t most = 0;
  for (uint32_t i = 0; i < v->def->n_args; i++) {
    uint32_t l = level_of(k, level, v->def->arg[i]);
    most = l > most ? l : most;
  }
  most += body_is_anchor(v);
  *known = most + 1;
  return most;
}

Reductions reductions_of(Kernel *k) {
  Reductions r = {arena_array(k->g->arena, Reduction, k->n_value + 1), 0, 0};
  uint32_t *level = arena_array(k->g->arena, uint32_t, k->n_value + 1);
  for (const Inst *inst = k->body->first; inst; inst = inst->next)
    if (inst->n_results && op_table[inst->op]->kind == K_REDUCE) {
      uint32_t l = level_of(k, level, inst->result[0]);
      r.at[r.n++] = (Reduction){inst, l};
      r.levels = l > r.levels ? l : r.levels;
    }
  return r;
}
