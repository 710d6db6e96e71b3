// Operations without tensor arguments: constants, literals, counting numbers, the number of rows.
#include "ops/rules.h"

static const char *dims_to_type(Module *m, const Attr *dims, ElemType elem, Type *result) {
  *result = type_scalar(elem);
  if (dims->n > MAX_RANK)
    return words(m, "%u dimensions, at most %d are possible", dims->n, MAX_RANK);
  result->rank = (uint8_t)dims->n;
  uint32_t symbolic = 0;
  for (uint32_t i = 0; i < dims->n; i++) {
    result->dim[i] = dims->dims[i];
    symbolic += dims->dims[i] < 0;
  }
  return symbolic > 1 ? "the dimension N occurs twice" : NULL;
}

// ---- const -------------------------------------------------------------------------------------

static const char *type_const(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                              Type *result) {
  (void)arg, (void)n;
  const char *wrong = dims_to_type(m, &attr[1], attr[0].elem, result);
  result->range = attr[3].i;
  if (!wrong && attr[3].i && (attr[3].i < 0 || (attr[0].elem != TY_I32 && attr[0].elem != TY_U8)))
    wrong = words(m, "%s has no range of %lld", elem_name(attr[0].elem), (long long)attr[3].i);
  return wrong;
}

static void eval_const(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n, (void)arg;
  double value = inst_attr(inst, "value")->f;
  for (int64_t i = 0; i < result[0]->count; i++)
    result[0]->at[i] = value;
}

OP(const){
    .name = "const",
    .doc = "The same number everywhere. With a range, an index.",
    .sig = "; elem: elem, dims: dims, value: float, range: int = 0",
    .math = "no argument, no gradient",
    .kind = K_SOURCE,
    .flags = OPF_CHEAP,
    .example = "; elem=f32 dims=[3, 4] value=1.5 range=0 | ; elem=i32 dims=[] value=7 range=10",
    .type_fn = type_const,
    .eval = eval_const,
};

// ---- literal -----------------------------------------------------------------------------------

static const char *type_literal(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                Type *result) {
  (void)m, (void)arg, (void)n;
  *result = attr[0].data->type;
  return NULL;
}

static void eval_literal(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n, (void)arg;
  const Tensor *data = inst_attr(inst, "data")->data;
  for (int64_t i = 0; i < data->count; i++)
    result[0]->at[i] = data->at[i];
}

OP(literal){
    .name = "literal",
    .doc = "A tensor written out in the program.",
    .sig = "; data: data",
    .math = "no argument, no gradient",
    .kind = K_SOURCE,
    .example = "; data=f32[2, 2]{1, 2, 3, 4.5}",
    .type_fn = type_literal,
    .eval = eval_literal,
};

// ---- iota --------------------------------------------------------------------------------------

static const char *type_iota(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)arg, (void)n;
  const char *wrong = dims_to_type(m, &attr[0], attr[2].elem, result);
  if (wrong)
    return wrong;
  if (attr[1].i < 0 || attr[1].i >= result->rank)
    return words(m, "there is no axis %lld in %u dimensions", (long long)attr[1].i, result->rank);
  return elem_is_number(attr[2].elem) ? NULL : "it counts in i32 or in floating point";
}

static void eval_iota(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n, (void)arg;
  int64_t axis = inst_attr(inst, "axis")->i, at[MAX_RANK];
  for (int64_t i = 0; i < result[0]->count; i++) {
    position_of(&result[0]->type, i, at);
    result[0]->at[i] = (double)at[axis];
  }
}

OP(iota){
    .name = "iota",
    .doc = "0, 1, 2, ... along one axis.",
    .sig = "; dims: dims, axis: int = 0, elem: elem = i32",
    .math = "no argument, no gradient",
    .kind = K_SOURCE,
    .flags = OPF_CHEAP,
    .example = "; dims=[3, 4] axis=1 elem=i32 | ; dims=[5] axis=0 elem=f32",
    .type_fn = type_iota,
    .eval = eval_iota,
};

// ---- count -------------------------------------------------------------------------------------

static const char *type_count_of_rows(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                      Type *result) {
  (void)m, (void)arg, (void)n, (void)attr;
  *result = type_scalar(TY_F32);
  return NULL;
}

static void eval_count(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)inst, (void)arg;
  result[0]->at[0] = (double)n;
}

OP(count){
    .name = "count",
    .doc = "N, the number of rows of this call, as a number.",
    .sig = "",
    .math = "no argument, no gradient",
    .kind = K_SOURCE,
    .flags = OPF_CHEAP,
    .example = "",
    .type_fn = type_count_of_rows,
    .eval = eval_count,
};
