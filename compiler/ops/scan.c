// scan: a closed body, run once for each turn. Arguments are the carries' first values, then
// captures (the same in every turn), then sequences, whose axis 0 is time. The body has one
// argument for each: a carry, a capture, a slice. It yields the carries' new values, then what is
// stacked on a new axis 0. `reverse`: turn k reads and writes at length-1-k.
#include "ops/rules.h"

static uint32_t count_of(const Attr *attr) {
  return (uint32_t)attr->i;
}

// NULL: x is a sequence of `length` slices.
static const char *expect_sequence(Module *m, Value *x, int64_t length) {
  const Type *type = &x->type;
  if (type->rank && type->dim[0] == length)
    return NULL;
  return words(m, "a sequence is %s, not %lld slices", type_text(m->arena, type),
               (long long)length);
}

static const char *type_scan(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)result;
  if (attr[0].i < 0 || attr[1].i < 0 || attr[0].i > n || attr[1].i > n - attr[0].i)
    return words(m, "%lld carries and %lld captures of %u arguments", (long long)attr[0].i,
                 (long long)attr[1].i, n);
  if (attr[2].i < 1)
    return words(m, "its length is %lld, not at least 1", (long long)attr[2].i);
  if (attr[3].i != 0 && attr[3].i != 1)
    return "reverse is 0 or 1";
  for (uint32_t i = count_of(&attr[0]) + count_of(&attr[1]); i < n; i++) {
    const char *wrong = expect_sequence(m, arg[i], attr[2].i);
    if (wrong)
      return wrong;
  }
  return NULL;
}

static Type without_axis0(Type type) {
  for (uint32_t i = 1; i < type.rank; i++)
    type.dim[i - 1] = type.dim[i];
  type.dim[--type.rank] = 0;
  return type;
}

static void scan_body_args(const Inst *inst, Type *arg) {
  ScanShape shape = scan_shape(inst);
  for (uint32_t i = 0; i < inst->n_args; i++) {
    const Type type = inst->arg[i]->type;
    arg[i] = i < shape.carries + shape.captures ? type : without_axis0(type);
  }
}

// A carry of the body may be batched where its first or its new value is not.
static bool is_carry_of(const Type *value, const Type *carry) {
  Type same = *value;
  same.batched |= carry->batched;
  same.range = carry->range;
  return type_equal(&same, carry) && (!carry->range || value->range == carry->range);
}

static const char *scan_body_results(Module *m, const Inst *inst, Type *result) {
  ScanShape shape = scan_shape(inst);
  const Inst *yield = inst->body->last;
  if (yield->n_args < shape.carries)
    return words(m, "%u carries, but the body yields %u values", shape.carries, yield->n_args);
  for (uint32_t i = 0; i < shape.carries; i++) {
    const Type *carry = &inst->body->arg[i]->type, *new = &yield->arg[i]->type;
    result[i] = *carry;
    if (!is_carry_of(&inst->arg[i]->type, carry) || !is_carry_of(new, carry))
      return words(m, "carry %u starts as %s, is %s in the body and becomes %s", i,
                   type_text(m->arena, &inst->arg[i]->type), type_text(m->arena, carry),
                   type_text(m->arena, new));
  }
  for (uint32_t i = shape.carries; i < yield->n_args; i++) {
    const Type *slice = &yield->arg[i]->type;
    if (slice->rank == MAX_RANK)
      return words(m, "the stack of %s would have more than %d dimensions",
                   type_text(m->arena, slice), MAX_RANK);
    result[i] = *slice;
    result[i].rank++;
    result[i].dim[0] = shape.length;
    for (uint32_t k = 0; k < slice->rank; k++)
      result[i].dim[k + 1] = slice->dim[k];
  }
  return NULL;
}

ScanShape scan_shape(const Inst *inst) {
  ScanShape shape = {.carries = count_of(&inst->attr[0]),
                     .captures = count_of(&inst->attr[1]),
                     .length = inst->attr[2].i,
                     .reverse = inst->attr[3].i != 0};
  shape.sequences = inst->n_args - shape.carries - shape.captures;
  const Inst *yield = inst->body ? inst->body->last : NULL;
  if (yield && yield->op == OP_yield)
    shape.yields = yield->n_args - shape.carries;
  return shape;
}

OP(scan){
    .name = "scan",
    .doc = "A loop over time. Arguments: first values of the carries, captures (the same in every "
           "turn), sequences of `length` slices on axis 0. Its body gives the carries' new values, "
           "then values that are stacked on a new axis 0. Results: the last carries, the stacks.",
    .sig = "xs...; carries: int, captures: int, length: int, reverse: int = 0",
    .math = "a scan with the stacked values that the way back needs, and one in reverse",
    .kind = K_CONTROL,
    .results = RESULT_OF_BODY,
    .example = "f32[3], f32[4, 3]; carries=1 captures=0 length=4 reverse=0",
    .type_fn = type_scan,
    .grad = grad_scan,
    .body_args = scan_body_args,
    .body_results = scan_body_results,
};
