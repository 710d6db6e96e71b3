// Gradients before the optimizer sees them: of the mean over the batch or, with `weight w`, of
// sum(w * l) / sum(w) (rule 2); over several batches, `accumulate 4` (rule 28); `clip norm(1.0)`,
// `clip value(0.5)` over all parameters of one minimize (rule 29).
#include "pass/elaborate_program.h"

#include <string.h>

// ---- weight -------------------------------------------------------------------------------------

static Value *batch_sum(Builder *b, Value *x) {
  return x->type.batched ? ir_inst(b, OP_batch_sum, &x, 1, NULL, 0)->result[0] : x;
}

// What sums over the batch are divided by.
static Value *divisor(Builder *b, const Formulas *f) {
  return f->weight ? batch_sum(b, f->weight) : ir_inst(b, OP_count, NULL, 0, NULL, 0)->result[0];
}

static Value *row_weight(Elab *e, const Train *t, const Formulas *f) {
  Node *expr = t->weight_node->a;
  Val v = elab_expr(e, f->scope, expr, NULL);
  Value *w = v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, expr->span);
  if (w && w->type.batched && w->type.rank == 0 && !w->type.range)
    return ir_convert(&e->target->b, w, TY_F32);
  if (w) {
    Diagnostic *d =
        diag_error(e->s, expr->span, "setting-value",
                   "weight wants one number for each example, found %s", val_text(e, v));
    diag_note(e->s, d, (Span){0}, "`weight select(label == 1, 5.0, 1.0)`, or a field");
  }
  return NULL;
}

// The losses become w * l; each must be one per example.
bool weighted_losses(Elab *e, const Train *t, const Step *step, Formulas *f) {
  Builder *b = &e->target->b;
  uint32_t count = step->minimize.n;
  if (!t->weight_node || !count)
    return true;
  f->weight = row_weight(e, t, f);
  for (uint32_t i = 0; f->weight && i < count; i++) {
    if (!f->loss[i]->type.batched) {
      Diagnostic *d = diag_error(e->s, step->minimize.at[i].node->a->span, "setting-value",
                                 "this is one number for the whole batch: rows have no weights in "
                                 "it (rule 2)");
      diag_note(e->s, d, t->weight_node->span, "the weight");
      return false;
    }
    f->loss[i] = ir_binary(b, OP_mul, f->loss[i], f->weight);
    Value **metric = &f->metric[count > 1 ? 1 + i : 0];
    *metric = ir_binary(b, OP_mul, *metric, f->weight);
  }
  return f->weight != NULL;
}

void push_weight(Elab *e, const Formulas *f, Results *out) {
  if (!f->weight)
    return;
  buf_push(e->m->arena, &out->value, batch_sum(&e->target->b, f->weight));
  buf_push(e->m->arena, &out->port, (Port){NNRT_WEIGHT, 0, intern(e->s, "weight")});
}

static void gradients_of(Elab *e, Value *loss, Value *const *params, uint32_t n, Value **out) {
  Value **arg = arena_array(e->m->arena, Value *, n + 1);
  arg[0] = loss;
  memcpy(arg + 1, params, sizeof *arg * n);
  Inst *grad = ir_inst(&e->target->b, OP_grad, arg, n + 1, NULL, 0);
  memcpy(out, grad->result, sizeof *out * n);
}

// The gradient of the mean of `loss` over the batch (as it is, if unbatched) for `params`. The mean
// is taken before: it scales one number per row instead of every gradient.
void gradients(Elab *e, const Formulas *f, Value *loss, Value *const *params, uint32_t n,
               Value **out) {
  Builder *b = &e->target->b;
  if (loss->type.batched)
    loss = ir_binary(b, OP_div, batch_sum(b, loss), divisor(b, f));
  gradients_of(e, loss, params, n, out);
}

// ---- accumulate ---------------------------------------------------------------------------------

// The slot of this name, the same in the functions step and part.
static Value *gathered(Elab *e, Train *t, const char *name, Type type, LocId loc, uint32_t *index) {
  Program *p = program_of(e);
  name = intern(e->s, name);
  for (*index = 0; *index < p->slot.n && p->slot.at[*index].name != name; ++*index)
    continue;
  if (*index == p->slot.n) {
    NnrtTensor slot = {.name = name, .type = nnrt_type(&type), .loc = loc};
    buf_push(e->m->arena, &p->slot, slot);
    buf_push(e->m->arena, &t->slot, *index);
  }
  return target_argument(e->target, type, NNRT_SLOT, *index, name);
}

static void put_slot(Elab *e, Value *x, uint32_t index, Results *slots) {
  buf_push(e->m->arena, &slots->value, x);
  buf_push(e->m->arena, &slots->port, (Port){NNRT_SLOT, index, program_of(e)->slot.at[index].name});
}

// Sums of this batch and of those before it; the slots take them (part) or begin anew (step).
static Value *gather(Elab *e, Train *t, const char *name, Value *x, LocId loc, bool part,
                     Results *slots) {
  Builder *b = &e->target->b;
  uint32_t index;
  Type type = x->type;
  Value *sum = ir_binary(b, OP_add, gathered(e, t, name, type, loc, &index), x);
  put_slot(e, part ? sum : ir_const(b, type, 0), index, slots);
  return sum;
}

static bool gather_all(Elab *e, Train *t, const Step *step, uint32_t i, const Formulas *f,
                       Param *const *param, Value *const *value, uint32_t n, bool part,
                       Value **grad, Results *slots) {
  Builder *b = &e->target->b;
  const char *dot = *step->name ? "." : "";
  const char *prefix = format(e, "%s%s%s/gathered.%u", t->name, dot, step->name, i);
  if (!f->loss[i]->type.batched) {
    Diagnostic *d = diag_error(e->s, step->minimize.at[i].node->a->span, "setting-value",
                               "this is one number for the whole batch: it is no sum over batches "
                               "(rule 28)");
    diag_note(e->s, d, t->accumulate_node->span, "accumulate joins batches");
    return false;
  }
  gradients_of(e, batch_sum(b, f->loss[i]), value, n, grad);
  Value *rows = gather(e, t, prefix, ir_convert(b, divisor(b, f), TY_F32), 0, part, slots);
  for (uint32_t k = 0; k < n; k++) {
    const char *name = format(e, "%s/%s", prefix, param[k]->path);
    grad[k] = gather(e, t, name, grad[k], param[k]->loc, part, slots);
    Value *by = ir_convert(b, rows, grad[k]->type.elem);
    Type to = grad[k]->type;
    grad[k] = ir_binary(b, OP_div, grad[k], to.rank ? ir_broadcast(b, by, NULL, to) : by);
  }
  return true;
}

bool part_gradients(Elab *e, Train *t, Step *step, uint32_t i, const Formulas *f,
                    Param *const *param, Value *const *value, uint32_t n, Results *slots) {
  Value **grad = arena_array(e->m->arena, Value *, n + 1);
  return gather_all(e, t, step, i, f, param, value, n, true, grad, slots);
}

static bool clip_gradients(Elab *e, Train *t, Scope *scope, Value **grad, uint32_t n);

bool step_gradients(Elab *e, Train *t, Step *step, uint32_t i, const Formulas *f,
                    Param *const *param, Value *const *value, uint32_t n, Value **grad,
                    Results *slots) {
  if (t->table.accumulate <= 1)
    gradients(e, f, f->loss[i], value, n, grad);
  else if (!gather_all(e, t, step, i, f, param, value, n, false, grad, slots))
    return false;
  return clip_gradients(e, t, f->scope, grad, n);
}

// ---- clip ---------------------------------------------------------------------------------------

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

static bool clip_gradients(Elab *e, Train *t, Scope *scope, Value **grad, uint32_t n) {
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
