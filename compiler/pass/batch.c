// does:   turns one example into a batch: every batched value gets a leading axis N
// needs:  per-example IR from elaborate (types carry `batched`)
// leaves: IR over [N, ...]; no type is `batched`; what a gradient is taken by is an argument or
//         behind a `tap`
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

static void batch_region(Module *m, Region *r);

// The first two axes change places: rows and time.
static Value *swapped(Builder *b, Value *x) {
  uint32_t perm[MAX_RANK];
  for (uint32_t i = 0; i < MAX_RANK; i++)
    perm[i] = i < 2 ? 1 - i : i;
  return ir_transpose(b, x, perm);
}

// A carry that is batched in the body starts so and is given on so.
static void batch_carries(Builder *b, const Inst *scan, Value **arg) {
  Inst *yield = scan->body->last;
  Builder in = {.m = b->m, .region = scan->body, .before = yield, .loc = yield->loc};
  for (uint32_t i = 0; i < scan_shape(scan).carries; i++) {
    const Type *carry = &scan->body->arg[i]->type;
    if (carry->rank != arg[i]->type.rank)
      arg[i] = over_batch(b, arg[i]);
    if (carry->rank != yield->arg[i]->type.rank)
      yield->arg[i] = over_batch(&in, yield->arg[i]);
  }
}

// Time stays axis 0 of sequences and stacks, the rows come after it.
static void batch_scan(Builder *b, Inst *scan, Value **arg, const bool *batched, Value **with) {
  ScanShape shape = scan_shape(scan);
  batch_region(b->m, scan->body);
  batch_carries(b, scan, arg);
  for (uint32_t i = shape.carries + shape.captures; i < scan->n_args; i++)
    if (batched[i])
      arg[i] = swapped(b, arg[i]);
  Inst *again = ir_inst_with(b, OP_scan, arg, scan->n_args, scan->attr, scan->n_attrs, scan->body);
  for (uint32_t i = 0; i < scan->n_results; i++) {
    bool stack = i >= shape.carries && scan->result[i]->type.batched;
    with[scan->result[i]->id] = stack ? swapped(b, again->result[i]) : again->result[i];
  }
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
  if (inst->op == OP_scan) {
    batch_scan(b, inst, arg, batched, with);
    return;
  }
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
  ir_number(f);
  batch_region(f->module, f->body);
}

// Ids are fresh.
static void batch_region(Module *m, Region *r) {
  uint32_t n = r->n_arg;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  Value **with = arena_array(m->arena, Value *, n + 1);
  Builder b = {.m = m, .region = r};
  // The types of all old values are still per example while new instructions are made from them.
  Value **arg = arena_array(m->arena, Value *, r->n_arg + 1);
  for (uint32_t i = 0; i < r->n_arg; i++) {
    arg[i] = arena_new(m->arena, Value);
    *arg[i] = *r->arg[i];
    arg[i]->type = with_batch(arg[i]->type);
    with[r->arg[i]->id] = arg[i];
  }
  Inst *last = r->last;
  for (Inst *i = r->first, *next; i != last; i = next) {
    next = i->next;
    batch_inst(&b, i, with);
    ir_remove(i);
  }
  for (uint32_t i = 0; i < last->n_args; i++)
    last->arg[i] = with[last->arg[i]->id];
  r->arg = arg;
  r->cap_arg = r->n_arg;
}

// The stable forms and folds that follow would compute the loss from what x is made of; then its
// derivative by x would be lost. So it would be where pass hoist takes what is made of an argument
// of a loop's body out of the loop.
static void tap_value(Function *f, Value *x) {
  if (x->def ? x->def->op == OP_tap : x->region == f->body)
    return;
  Builder b = {.m = f->module,
               .region = x->region,
               .before = x->def ? x->def->next : x->region->first,
               .loc = x->def ? x->def->loc : 0};
  Value *tap = ir_unary(&b, OP_tap, x);
  ir_replace(x, tap);
  tap->def->arg[0] = x;
}

static void tap_gradients(Function *f, Region *r) {
  for (Inst *i = r->first; i; i = i->next) {
    for (uint32_t k = 1; i->op == OP_grad && k < i->n_args; k++)
      tap_value(f, i->arg[k]);
    if (i->body)
      tap_gradients(f, i->body);
  }
}

void pass_batch(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++) {
    batch_function(m->fn.at[k]);
    tap_gradients(m->fn.at[k], m->fn.at[k]->body);
  }
}
