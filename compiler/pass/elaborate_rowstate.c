// State with one entry per row of the batch, `state kept: f32[units] = per_row(zeros)` (rule 25).
// Row i of a batch goes on where row i of the batch before ended. In training mode it is an
// argument of the step, [N, ...], that is the initial value in the first batch of an epoch;
// elsewhere it is the initial value. It is neither saved nor shared between blocks.
#include "pass/elaborate_core.h"

#include <string.h>

bool is_row_state(const Node *binding) {
  const Node *start = binding->b;
  return start && start->kind == N_CALL && start->a->kind == N_NAME &&
         strcmp(start->a->name, "per_row") == 0;
}

bool row_state_check(Elab *e, const Node *binding, bool state) {
  const Node *start = binding->b;
  if (!state) {
    Diagnostic *d = elab_error(e, start->span, "row-state",
                               "a parameter is one for all examples, per_row(...) begins a state "
                               "with one value for each row of the batch");
    diag_note(e->s, d, (Span){0}, "what is kept from batch to batch is a state: `state %s: ...`",
              binding->a->name);
    return false;
  }
  if (start->list.n != 1 || start->list.at[0]->name) {
    Diagnostic *d = elab_error(e, start->span, "row-state",
                               "per_row takes the value that each row begins with, found %u values",
                               start->list.n);
    diag_note(e->s, d, (Span){0}, "write per_row(zeros)");
    return false;
  }
  if (e->target && e->target->scan) {
    Diagnostic *d = elab_error(e, start->span, "row-state",
                               "state for each row can't be kept by a layer that a `scan` applies "
                               "in every turn");
    diag_note(
        e->s, d, (Span){0},
        "keep it in the layer around the scan, and carry it: scan x in xs with h = kept { ... "
        "}");
    return false;
  }
  return true;
}

// Is this the first batch of an epoch? Over the shape of x.
static Value *is_fresh(Elab *e, const Type *x) {
  Builder *b = building(e);
  Value *fresh = target_argument(e->target, type_scalar(TY_I32), NNRT_FRESH, 0, "fresh");
  Value *yes = ir_binary(b, OP_ne, fresh, ir_const(b, type_scalar(TY_I32), 0));
  Type type = *x;
  type.elem = TY_BOOL;
  type.range = 0;
  type.batched = false;
  return broadcast_to(e, yes, &type);
}

// A value that is the same for all rows, as one for each: the choice between it and itself.
Value *row_batched(Elab *e, Value *x) {
  Value *example = target_example(e->target);
  if (x->type.batched || !example)
    return x;
  Type type = x->type;
  type.elem = TY_BOOL;
  type.range = 0;
  type.batched = true;
  Value *always = ir_binary(building(e), OP_eq, example, example);
  return ir_select(building(e), broadcast_to(e, always, &type), x, x);
}

Value *row_state_now(Elab *e, Param *p, Scope *scope, Node *binding) {
  for (uint32_t i = 0; i < e->target->update.n; i++)
    if (e->target->update.at[i].state == p)
      return e->target->update.at[i].value;
  Value *initial = initial_value(e, p, scope, binding->b->list.at[0]->a);
  if (!initial)
    return NULL;
  initial = row_batched(e, initial);
  if (!elab_training(e))
    return initial;
  Type type = p->type;
  type.batched = true;
  Value *kept = target_argument(e->target, type, NNRT_ROW_STATE, p->index, p->path);
  return ir_select(building(e), is_fresh(e, &type), initial, kept);
}
