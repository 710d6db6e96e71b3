// The reference evaluator: runs a function in double, one naive operation after the other. It is
// what gradient checks, tests of passes and tests of generated code compare with. Values are never
// rounded to their element types; whole numbers and bool are doubles too.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

typedef struct {
  const Module *m;
  int64_t n; // N
  Arena *arena;
} Eval;

enum { MOST_ELEMENTS = 1 << 27 }; // of one tensor: 1 GiB

static bool too_large(const Type *type, int64_t n) {
  double count = 1;
  for (uint32_t i = 0; i < type->rank; i++)
    count *= (double)(type->dim[i] < 0 ? -type->dim[i] * n : type->dim[i]);
  return count > MOST_ELEMENTS;
}

const char *ir_eval_limit(const Function *f, int64_t n, Arena *arena) {
  const char *words = "a value of %s, too large to evaluate for %lld rows";
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (too_large(&f->body->arg[i]->type, n))
      return arena_printf(arena, words, type_text(arena, &f->body->arg[i]->type), (long long)n);
  for (const Inst *i = f->body->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_results; k++)
      if (too_large(&i->result[k]->type, n))
        return arena_printf(arena, words, type_text(arena, &i->result[k]->type), (long long)n);
  return NULL;
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

static const char *eval_inst(const Eval *e, const Inst *inst, Tensor **value) {
  const OpDef *def = op_table[inst->op];
  const Tensor **args = arena_array(e->arena, const Tensor *, inst->n_args + 1);
  Tensor **results = arena_array(e->arena, Tensor *, inst->n_results + 1);
  const char *wrong = NULL;
  for (uint32_t i = 0; i < inst->n_args; i++)
    args[i] = value[inst->arg[i]->id];
  if (inst->body)
    wrong = eval_region(e, inst->body, args, results);
  else if (!def->eval)
    return arena_printf(e->arena, "%s can't be evaluated: run pass %s first", def->name,
                        inst->op == OP_batch_sum ? "batch" : "grad");
  else {
    for (uint32_t i = 0; i < inst->n_results; i++) {
      if (inst->result[i]->type.batched)
        return "the function is per example: run pass batch first";
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
      return "the function is per example: run pass batch first";
    if (!tensor_fits(args[i], type, n))
      return arena_printf(arena, "argument %u is %s, %s is needed with N = %lld", i,
                          type_text(arena, &args[i]->type), type_text(arena, type), (long long)n);
  }
  ir_number((Function *)f);
  return eval_region(&e, f->body, args, results);
}
