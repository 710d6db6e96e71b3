// The sum over time of a value of a loop's body, made after the loop where that is possible: the
// turns' products are one product over all turns, of the stacked factors. What it can't be done for
// is added up in the loop, in a carry.
#include "pass/grad_scan.h"

// How a sum over time is made. Leaves: a value that is added up in the loop, or an operation that
// takes stacks. Others: an operation that is linear in sums over time.
struct TimeSum {
  enum { ADDED, OF_STACKS, OF_SUMS } how;
  Op op;
  Attr attr[3];
  uint32_t n_attrs, n_args;
  uint32_t number[2]; // ADDED, OF_STACKS: in g->added or g->stacked
  TimeSum *part[2];   // OF_SUMS
};

// A capture has no stack.
static bool can_stack(const ScanGrad *g, const Value *v) {
  bool capture = !v->def && grad_is_forward(g, v) && v->index >= g->shape.carries &&
                 v->index < g->shape.carries + g->shape.captures;
  return !capture && v->type.rank < MAX_RANK;
}

// Does it commute with the sum over time, given the stacks of its arguments?
static bool takes_stacks(const ScanGrad *g, const Inst *inst) {
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (!can_stack(g, inst->arg[i]))
      return false;
  return inst->op == OP_sum || inst->op == OP_scatter_add ||
         (inst->op == OP_dot && inst->attr[2].i == 0);
}

static bool is_linear(Op op) {
  return op == OP_add || op == OP_transpose || op == OP_reshape || op == OP_neg ||
         op == OP_broadcast;
}

// The instruction that makes v, if it is one of the way back.
static const Inst *backward_inst(const ScanGrad *g, const Value *v) {
  return grad_is_forward(g, v) ? NULL : v->def;
}

// Is some part of it better made after the loop?
static bool has_stacks(const ScanGrad *g, const Value *v) {
  const Inst *inst = backward_inst(g, v);
  if (!inst || !is_linear(inst->op))
    return inst && takes_stacks(g, inst);
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (has_stacks(g, inst->arg[i]))
      return true;
  return false;
}

static uint32_t number_in_stacked(ScanGrad *g, Value *v) {
  for (uint32_t i = 0; i < g->stacked.n; i++)
    if (g->stacked.at[i] == v)
      return i;
  buf_push(g->m->arena, &g->stacked, v);
  return g->stacked.n - 1;
}

static uint32_t number_in_added(ScanGrad *g, Value *v) {
  for (uint32_t i = 0; i < g->added.n; i++)
    if (g->added.at[i] == v)
      return i;
  buf_push(g->m->arena, &g->added, v);
  return g->added.n - 1;
}

static Attr time_and(Arena *arena, const Attr *axes) {
  uint32_t moved[MAX_RANK] = {0};
  for (uint32_t i = 0; i < axes->n; i++)
    moved[i + 1] = (uint32_t)axes->dims[i] + 1;
  return attr_axes(arena, moved, axes->n + 1);
}

TimeSum *grad_plan_time_sum(ScanGrad *g, Value *v) {
  const Inst *inst = backward_inst(g, v);
  TimeSum *sum = arena_new(g->m->arena, TimeSum);
  if (!has_stacks(g, v)) {
    *sum = (TimeSum){.how = ADDED, .number = {number_in_added(g, v)}};
    return sum;
  }
  *sum = (TimeSum){.how = takes_stacks(g, inst) ? OF_STACKS : OF_SUMS,
                   .op = inst->op,
                   .n_args = inst->n_args,
                   .n_attrs = inst->n_attrs};
  for (uint32_t i = 0; i < inst->n_attrs; i++) {
    bool axes = sum->how == OF_STACKS && inst->attr[i].kind == A_DIMS;
    sum->attr[i] = axes ? time_and(g->m->arena, &inst->attr[i]) : inst->attr[i];
  }
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (sum->how == OF_STACKS)
      sum->number[i] = number_in_stacked(g, inst->arg[i]);
    else
      sum->part[i] = grad_plan_time_sum(g, inst->arg[i]);
  return sum;
}

Value *grad_make_time_sum(const ScanGrad *g, Builder *b, const TimeSum *sum) {
  Value *arg[2];
  if (sum->how == ADDED)
    return g->sum.at[sum->number[0]];
  for (uint32_t i = 0; i < sum->n_args; i++)
    arg[i] = sum->how == OF_STACKS ? g->stack.at[sum->number[i]]
                                   : grad_make_time_sum(g, b, sum->part[i]);
  return ir_inst(b, sum->op, arg, sum->n_args, sum->attr, sum->n_attrs)->result[0];
}
