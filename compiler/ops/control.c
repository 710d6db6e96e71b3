// Operations about the program rather than about numbers: gradients, the batch, groups, ends.
#include "ops/batching.h"
#include "ops/rules.h"

#include <string.h>

// ---- grad --------------------------------------------------------------------------------------

// The loss is one number per row before pass batch and has dimension N after it: the gradient is
// that of the sum over the rows.
static const char *type_grad(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)attr;
  const Type *loss = &arg[0]->type;
  bool per_row = loss->rank == 1 && loss->dim[0] < 0 && !loss->batched;
  const char *wrong = expect_float(m, arg[0]);
  if (wrong)
    return wrong;
  if (loss->rank != 0 && !per_row)
    return words(m, "the gradient is taken of one number, not of %s; use mean or sum",
                 type_text(m->arena, loss));
  if (n < 2)
    return "it must be said with respect to what";
  for (uint32_t i = 1; i < n; i++) {
    if ((wrong = expect_float(m, arg[i])))
      return wrong;
    result[i - 1] = arg[i]->type;
  }
  return NULL;
}

OP(grad){
    .name = "grad",
    .doc = "The gradients of the sum of `loss` over the batch with respect to each of xs, one "
           "result each. "
           "Pass grad replaces it by the reverse-mode program.",
    .sig = "loss, xs...",
    .math = "expanded innermost first: by then it is an ordinary program",
    .kind = K_CONTROL,
    .flags = OPF_NO_GRAD,
    .results = RESULT_OF_XS,
    .example = "f32, f32[3, 4], f32[2]",
    .type_fn = type_grad,
};

// ---- stop_gradient: dx = 0 ---------------------------------------------------------------------

static const char *type_same(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)m, (void)n, (void)attr;
  *result = arg[0]->type;
  return NULL;
}

static void eval_same(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)inst, (void)n;
  memcpy(result[0]->at, arg[0]->at, sizeof(double) * (size_t)result[0]->count);
}

OP(stop_gradient){
    .name = "stop_gradient",
    .doc = "x, as a constant for differentiation. Gone after pass grad.",
    .sig = "x",
    .math = "dx = 0",
    .kind = K_CONTROL,
    .flags = OPF_ZERO_GRAD | OPF_CHEAP,
    .example = "f32[3]",
    .type_fn = type_same,
    .eval = eval_same,
};

// ---- tap: dx = dy
// --------------------------------------------------------------------------------

static void grad_tap(Builder *b, Inst *inst, Value *const *dres, struct GradSink *sink) {
  grad_add(sink, b, inst, 0, dres[0]);
}

OP(tap){
    .name = "tap",
    .doc = "x, as a place where a gradient is taken: nothing is simplified across it. Put by pass "
           "batch, gone after pass grad.",
    .sig = "x",
    .math = "dx = dy",
    .kind = K_CONTROL,
    .flags = OPF_CHEAP,
    .example = "f32[3]",
    .type_fn = type_same,
    .grad = grad_tap,
    .eval = eval_same,
};

// ---- batch_sum ---------------------------------------------------------------------------------

static const char *type_batch_sum(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                  Type *result) {
  (void)n, (void)attr;
  *result = unranged(arg[0]->type);
  result->batched = false;
  if (!arg[0]->type.batched)
    return words(m, "%s is the same for every row: there is nothing to add up",
                 type_text(m->arena, &arg[0]->type));
  return expect_number(m, arg[0]);
}

OP(batch_sum){
    .name = "batch_sum",
    .doc = "The sum over all rows. Pass batch makes it a sum over dimension N.",
    .sig = "x",
    .math = "as sum's: taken after pass batch",
    .kind = K_CONTROL,
    .flags = OPF_NO_GRAD,
    .example = "*f32[3]",
    .batch = batch_batch_sum,
    .type_fn = type_batch_sum,
};

// ---- batch_roll --------------------------------------------------------------------------------

static const char *type_batch_roll(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                   Type *result) {
  (void)n, (void)attr;
  *result = arg[0]->type;
  if (!arg[0]->type.batched)
    return words(m, "%s is the same for every row: it has no neighbours",
                 type_text(m->arena, &arg[0]->type));
  return NULL;
}

OP(batch_roll){
    .name = "batch_roll",
    .doc = "For row i the value of row i + k, counted on from the first row after the last. Pass "
           "batch makes it a gather.",
    .sig = "x; k: int",
    .math = "as gather's: taken after pass batch",
    .kind = K_CONTROL,
    .flags = OPF_NO_GRAD,
    .example = "*f32[3]; k=1 | *i32<7>; k=-2",
    .batch = batch_batch_roll,
    .type_fn = type_batch_roll,
};

// ---- group, yield, return ----------------------------------------------------------------------

// Its results are what the yield of its body says.
static const char *type_group(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                              Type *result) {
  (void)arg, (void)n, (void)result;
  static const char *const kinds[] = {"loop", "row", "column", "dot", "kernel"};
  for (int i = 0; i < 5; i++)
    if (strcmp(attr[0].s, kinds[i]) == 0)
      return attr[3].n % 2 ? "inplace lists pairs (yield, argument)" : NULL;
  return words(m, "there is no kind of group called \"%s\"", attr[0].s);
}

OP(group){
    .name = "group",
    .doc = "Operations compiled into one kernel, made by pass fuse. Its body reads only its "
           "arguments. "
           "`inplace` lists pairs: yield, argument whose storage it takes.",
    .sig = "xs...; kind: str, tile: dims = [], phase: int = 0, inplace: dims = []",
    .math = "made after differentiation",
    .kind = K_CONTROL,
    .flags = OPF_NO_GRAD,
    .results = RESULT_OF_BODY,
    .example = "f32[3]; kind=\"loop\" tile=[] phase=0 inplace=[]",
    .type_fn = type_group,
};

OP(yield){
    .name = "yield",
    .doc = "Ends the body of a group: its arguments are the group's results.",
    .sig = "xs...",
    .math = "made after differentiation",
    .kind = K_CONTROL,
    .flags = OPF_NO_GRAD | OPF_TERMINATOR,
    .results = RESULT_NONE,
    .example = "f32[3], i32",
};

OP(return ){
    .name = "return",
    .doc = "Ends a function: its arguments are the function's results.",
    .sig = "xs...",
    .math = "nothing follows it",
    .kind = K_CONTROL,
    .flags = OPF_NO_GRAD | OPF_TERMINATOR,
    .results = RESULT_NONE,
    .example = "f32[3], i32",
};
