// does:   writes the turns of every scan one after the other, with slices and stacks outside
// needs:  any IR before fuse
// leaves: no scan
// cost:   turns times instructions of the bodies
#include "ops/op.h"

// Slice k of a sequence, without axis 0.
static Value *turn_of(Builder *b, Value *x, int64_t k, const Type *slice) {
  Dim start[MAX_RANK] = {k}, limit[MAX_RANK], stride[MAX_RANK];
  for (uint32_t i = 0; i < x->type.rank; i++) {
    limit[i] = i ? x->type.dim[i] : k + 1;
    stride[i] = 1;
  }
  Attr attr[] = {attr_dims(b->m->arena, start, x->type.rank),
                 attr_dims(b->m->arena, limit, x->type.rank),
                 attr_dims(b->m->arena, stride, x->type.rank)};
  Value *row = ir_inst(b, OP_slice, &x, 1, attr, 3)->result[0];
  return ir_reshape(b, row, slice->dim, slice->rank);
}

// with[id]: what a value of the body is in this turn.
static void copy_body(Builder *b, const Region *body, Value **with) {
  for (const Inst *i = body->first; i != body->last; i = i->next) {
    Value **arg = arena_array(b->m->arena, Value *, i->n_args + 1);
    for (uint32_t k = 0; k < i->n_args; k++)
      arg[k] = with[i->arg[k]->id];
    b->loc = i->loc;
    Inst *copy = ir_inst(b, i->op, arg, i->n_args, i->attr, i->n_attrs);
    for (uint32_t k = 0; k < i->n_results; k++) {
      copy->result[k]->type = i->result[k]->type;
      with[i->result[k]->id] = copy->result[k];
    }
  }
}

static Value *stacked(Builder *b, Value *const *turn, int64_t n) {
  Value **row = arena_array(b->m->arena, Value *, n);
  Dim dims[MAX_RANK + 1] = {1};
  const Type *type = &turn[0]->type;
  for (uint32_t i = 0; i < type->rank; i++)
    dims[i + 1] = type->dim[i];
  for (int64_t i = 0; i < n; i++)
    row[i] = ir_reshape(b, turn[i], dims, type->rank + 1u);
  return n == 1 ? row[0]
                : ir_inst(b, OP_concat, row, (uint32_t)n, (Attr[]){attr_int(0)}, 1)->result[0];
}

// Ids of the body are fresh.
static void unroll(Module *m, Inst *scan) {
  ScanShape shape = scan_shape(scan);
  Region *r = scan->body;
  Builder b = {.m = m, .region = scan->parent, .before = scan, .loc = scan->loc};
  uint32_t n = r->n_arg, captures = shape.carries + shape.captures;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  Value **with = arena_array(m->arena, Value *, n + 1);
  Value **carry = arena_array(m->arena, Value *, scan->n_results + 1);
  Value **stack = arena_array(m->arena, Value *, shape.yields * shape.length + 1);
  for (uint32_t i = 0; i < shape.carries; i++)
    carry[i] = scan->arg[i];
  for (int64_t turn = 0; turn < shape.length; turn++) {
    int64_t k = shape.reverse ? shape.length - 1 - turn : turn;
    for (uint32_t i = 0; i < r->n_arg; i++)
      with[r->arg[i]->id] = i < shape.carries ? carry[i]
                            : i < captures    ? scan->arg[i]
                                              : turn_of(&b, scan->arg[i], k, &r->arg[i]->type);
    copy_body(&b, r, with);
    for (uint32_t i = 0; i < scan->n_results; i++) {
      Value *v = with[r->last->arg[i]->id];
      if (i < shape.carries)
        carry[i] = v;
      else
        stack[(i - shape.carries) * shape.length + k] = v;
    }
  }
  b.loc = scan->loc;
  for (uint32_t i = 0; i < scan->n_results; i++)
    ir_replace(scan->result[i],
               i < shape.carries
                   ? carry[i]
                   : stacked(&b, stack + (i - shape.carries) * shape.length, shape.length));
  ir_remove(scan);
}

// Inner ones first: then a body has none.
static void unroll_in(Module *m, Function *f, Region *r) {
  for (Inst *i = r->first, *next; i; i = next) {
    next = i->next;
    if (i->op != OP_scan)
      continue;
    unroll_in(m, f, i->body);
    ir_number(f);
    unroll(m, i);
  }
}

void pass_unroll(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    unroll_in(m, m->fn.at[k], m->fn.at[k]->body);
}
