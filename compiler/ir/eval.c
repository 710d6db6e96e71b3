// The reference evaluator: runs a function in double, one naive operation after the other. It is
// what gradient checks, tests of passes and tests of generated code compare with. Values are never
// rounded to their element types; whole numbers and bool are doubles too.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

#include <string.h>

typedef struct {
  const Module *m;
  int64_t n; // N
  Arena *arena;
} Eval;

static const char *const per_example = "the function is per example: run pass batch first";
enum { MOST_ELEMENTS = 1 << 27 }; // of one tensor: 1 GiB

static bool too_large(const Type *type, int64_t n) {
  double count = 1;
  for (uint32_t i = 0; i < type->rank; i++)
    count *= (double)(type->dim[i] < 0 ? -type->dim[i] * n : type->dim[i]);
  return count > MOST_ELEMENTS;
}

static const char *const words = "a value of %s, too large to evaluate for %lld rows";

static const char *values_too_large(const Region *r, int64_t n, Arena *arena) {
  const char *wrong = NULL;
  for (const Inst *i = r->first; i && !wrong; i = i->next) {
    for (uint32_t k = 0; k < i->n_results; k++)
      if (too_large(&i->result[k]->type, n))
        return arena_printf(arena, words, type_text(arena, &i->result[k]->type), (long long)n);
    if (i->body)
      wrong = values_too_large(i->body, n, arena);
  }
  return wrong;
}

const char *ir_eval_limit(const Function *f, int64_t n, Arena *arena) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (too_large(&f->body->arg[i]->type, n))
      return arena_printf(arena, words, type_text(arena, &f->body->arg[i]->type), (long long)n);
  return values_too_large(f->body, n, arena);
}

static bool tensor_fits(const Tensor *t, const Type *type, int64_t n) {
  if (t->type.rank != type->rank)
    return false;
  for (uint32_t i = 0; i < type->rank; i++)
    if (t->type.dim[i] != (type->dim[i] < 0 ? -type->dim[i] * n : type->dim[i]))
      return false;
  return true;
}

static const char *eval_region(const Eval *e, const Region *r, const Tensor *const *args,
                               Tensor **results);

static Tensor *copy_of(const Tensor *t, Arena *arena) {
  Tensor *copy = tensor_new(arena, t->type, 1);
  memcpy(copy->at, t->at, sizeof(double) * (size_t)t->count);
  return copy;
}

// Slice `k` of a sequence, as the body's argument.
static Tensor *slice_of(const Eval *e, const Tensor *t, const Type *type, int64_t k) {
  Tensor *slice = arena_new(e->arena, Tensor);
  *slice = *t;
  slice->type.rank--;
  for (uint32_t i = 0; i < slice->type.rank; i++)
    slice->type.dim[i] = t->type.dim[i + 1];
  slice->type.range = type->range;
  slice->count = t->count / t->type.dim[0];
  slice->at = t->at + k * slice->count;
  return slice;
}

// Turn `k`: from the carries in `carry` to the new ones, and one slice of each stack.
static const char *eval_turn(const Eval *e, const Inst *scan, int64_t k, const Tensor *const *args,
                             Tensor **carry, Tensor **stack) {
  ScanShape shape = scan_shape(scan);
  Eval turn = {e->m, e->n, arena_create()};
  const Tensor **in = arena_array(turn.arena, const Tensor *, scan->n_args + 1);
  Tensor **out = arena_array(turn.arena, Tensor *, scan->n_results + 1);
  for (uint32_t i = 0; i < scan->n_args; i++)
    in[i] = i < shape.carries ? carry[i]
            : i < shape.carries + shape.captures
                ? args[i]
                : slice_of(&turn, args[i], &scan->body->arg[i]->type, k);
  const char *wrong = eval_region(&turn, scan->body, in, out);
  for (uint32_t i = 0; i < shape.carries && !wrong; i++)
    carry[i] = copy_of(out[i], e->arena);
  for (uint32_t i = 0; i < shape.yields && !wrong; i++)
    memcpy(stack[i]->at + k * out[shape.carries + i]->count, out[shape.carries + i]->at,
           sizeof(double) * (size_t)out[shape.carries + i]->count);
  wrong = wrong ? arena_printf(e->arena, "%s", wrong) : NULL;
  arena_destroy(turn.arena);
  return wrong;
}

static const char *eval_scan(const Eval *e, const Inst *scan, const Tensor *const *args,
                             Tensor **results) {
  ScanShape shape = scan_shape(scan);
  for (uint32_t i = 0; i < scan->n_results; i++)
    if (scan->result[i]->type.batched)
      return per_example;
  for (uint32_t i = 0; i < shape.carries; i++)
    results[i] = (Tensor *)args[i]; // only read
  for (uint32_t i = shape.carries; i < scan->n_results; i++)
    results[i] = tensor_new(e->arena, scan->result[i]->type, e->n);
  const char *wrong = NULL;
  for (int64_t k = 0; k < shape.length && !wrong; k++)
    wrong = eval_turn(e, scan, shape.reverse ? shape.length - 1 - k : k, args, results,
                      results + shape.carries);
  return wrong;
}

static const char *eval_inst(const Eval *e, const Inst *inst, Tensor **value) {
  const OpDef *def = op_table[inst->op];
  const Tensor **args = arena_array(e->arena, const Tensor *, inst->n_args + 1);
  Tensor **results = arena_array(e->arena, Tensor *, inst->n_results + 1);
  const char *wrong = NULL;
  for (uint32_t i = 0; i < inst->n_args; i++)
    args[i] = value[inst->arg[i]->id];
  if (inst->op == OP_scan)
    wrong = eval_scan(e, inst, args, results);
  else if (inst->body)
    wrong = eval_region(e, inst->body, args, results);
  else if (!def->eval)
    return arena_printf(e->arena, "%s can't be evaluated: run pass %s first", def->name,
                        inst->op == OP_grad ? "grad" : "batch");
  else {
    for (uint32_t i = 0; i < inst->n_results; i++) {
      if (inst->result[i]->type.batched)
        return per_example;
      results[i] = tensor_new(e->arena, inst->result[i]->type, e->n);
    }
    def->eval(inst, e->n, args, results);
  }
  for (uint32_t i = 0; i < inst->n_results; i++)
    value[inst->result[i]->id] = results[i];
  return wrong;
}

// Ids are fresh and dense. results: what the last instruction names.
static const char *eval_region(const Eval *e, const Region *r, const Tensor *const *args,
                               Tensor **results) {
  uint32_t n = r->n_arg;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  Tensor **value = arena_array(e->arena, Tensor *, n + 1);
  for (uint32_t i = 0; i < r->n_arg; i++)
    value[r->arg[i]->id] = (Tensor *)args[i]; // only read
  for (const Inst *i = r->first; i != r->last; i = i->next) {
    const char *wrong = eval_inst(e, i, value);
    if (wrong)
      return wrong;
  }
  for (uint32_t i = 0; i < r->last->n_args; i++)
    results[i] = value[r->last->arg[i]->id];
  return NULL;
}

const char *ir_eval(const Function *f, int64_t n, const Tensor *const *args, Tensor **results,
                    Arena *arena) {
  Eval e = {f->module, n, arena};
  for (uint32_t i = 0; i < f->body->n_arg; i++) {
    const Type *type = &f->body->arg[i]->type;
    if (type->batched)
      return per_example;
    if (!tensor_fits(args[i], type, n))
      return arena_printf(arena, "argument %u is %s, %s is needed with N = %lld", i,
                          type_text(arena, &args[i]->type), type_text(arena, type), (long long)n);
  }
  ir_number((Function *)f);
  return eval_region(&e, f->body, args, results);
}
