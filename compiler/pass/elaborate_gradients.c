// What happens to gradients before the optimizer sees them: `clip norm(1.0)`, `clip value(0.5)`,
// over all parameters of one minimize (rule 29).
#include "pass/elaborate_program.h"

#include <string.h>

static Value *spread(Elab *e, Value *x, const Type *type) {
  Type to = *type;
  to.elem = x->type.elem;
  return ir_broadcast(&e->target->b, x, NULL, to);
}

static Value *squares(Elab *e, Value *const *grad, uint32_t n) {
  Builder *b = &e->target->b;
  uint32_t axes[MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
  Value *sum = NULL;
  for (uint32_t i = 0; i < n; i++) {
    Value *square = ir_binary(b, OP_mul, grad[i], grad[i]);
    if (square->type.rank)
      square = ir_sum(b, square, axes, square->type.rank);
    square = ir_convert(b, square, TY_F32);
    sum = sum ? ir_binary(b, OP_add, sum, square) : square;
  }
  return sum;
}

// g * limit / max(norm, limit): longer ones are made as long as the limit.
static void clip_norm(Elab *e, Value *limit, Value **grad, uint32_t n) {
  Builder *b = &e->target->b;
  Value *norm = ir_unary(b, OP_sqrt, squares(e, grad, n));
  Value *scale = ir_binary(b, OP_div, limit, ir_binary(b, OP_max, norm, limit));
  for (uint32_t i = 0; i < n; i++)
    grad[i] = ir_binary(b, OP_mul, grad[i],
                        spread(e, ir_convert(b, scale, grad[i]->type.elem), &grad[i]->type));
}

static void clip_value(Elab *e, Value *limit, Value **grad, uint32_t n) {
  Builder *b = &e->target->b;
  for (uint32_t i = 0; i < n; i++) {
    Value *high = spread(e, ir_convert(b, limit, grad[i]->type.elem), &grad[i]->type);
    grad[i] = ir_binary(b, OP_max, ir_unary(b, OP_neg, high), ir_binary(b, OP_min, grad[i], high));
  }
}

bool clip_gradients(Elab *e, Train *t, Scope *scope, Value **grad, uint32_t n) {
  Node *call = t->clip_node ? t->clip_node->a : NULL;
  if (!call || !n)
    return true;
  bool norm = call->kind == N_CALL && name_is(call->a, "norm");
  if (call->kind != N_CALL || (!norm && !name_is(call->a, "value")) || call->list.n != 1 ||
      call->list.at[0]->name) {
    Diagnostic *d = diag_error(e->s, call->span, "setting-value",
                               "expected `clip norm(1.0)` or `clip value(0.5)`");
    diag_note(e->s, d, (Span){0},
              "norm shortens all gradients together, value cuts each number (rule 29)");
    return false;
  }
  Node *arg = call->list.at[0]->a;
  Val v = elab_expr(e, scope, arg, NULL);
  bool positive = (v.kind != V_INT || v.i > 0) && (v.kind != V_FLOAT || v.f > 0);
  Value *limit = v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, arg->span);
  if (!limit)
    return false;
  if (limit->type.rank || limit->type.batched || limit->type.range || !positive) {
    diag_error(e->s, arg->span, "setting-value",
               "the limit of clip is one positive number, found %s", val_text(e, v));
    return false;
  }
  e->target->b.loc = elab_loc(e, call->span);
  limit = ir_convert(&e->target->b, limit, TY_F32);
  if (norm)
    clip_norm(e, limit, grad, n);
  else
    clip_value(e, limit, grad, n);
  return true;
}
