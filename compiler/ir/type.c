// Types of tensors: names, text, comparison; tensors of doubles.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

static const char *const elem_names[] = {"f32", "f64", "bf16", "i32", "u8", "bool"};

const char *elem_name(ElemType elem) {
  return elem_names[elem];
}

bool elem_is_float(ElemType elem) {
  return elem == TY_F32 || elem == TY_F64 || elem == TY_BF16;
}

const char *dim_text(Arena *arena, Dim dim) {
  if (dim >= 0)
    return arena_printf(arena, "%lld", (long long)dim);
  return dim == -1 ? "N" : arena_printf(arena, "%lldN", (long long)-dim);
}

const char *dims_text(Arena *arena, const Dim *dim, uint32_t n) {
  Text text = {.arena = arena};
  text_put(&text, "[");
  for (uint32_t i = 0; i < n; i++) {
    text_put(&text, i ? ", " : "");
    text_put(&text, dim_text(arena, dim[i]));
  }
  text_put(&text, "]");
  return text.at;
}

// A scalar is written without brackets: "f32".
const char *type_text(Arena *arena, const Type *type) {
  const char *dims = type->rank ? dims_text(arena, type->dim, type->rank) : "";
  const char *star = type->batched ? "*" : "";
  if (type->range)
    return arena_printf(arena, "%s%s%s<%lld>", star, elem_name(type->elem), dims,
                        (long long)type->range);
  return arena_printf(arena, "%s%s%s", star, elem_name(type->elem), dims);
}

bool type_same_shape(const Type *a, const Type *b) {
  if (a->rank != b->rank)
    return false;
  for (uint32_t i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i])
      return false;
  return true;
}

bool type_equal(const Type *a, const Type *b) {
  return a->elem == b->elem && a->batched == b->batched && a->range == b->range &&
         type_same_shape(a, b);
}

Type type_scalar(ElemType elem) {
  return (Type){.elem = elem};
}

Dim type_count(const Type *type) {
  Dim count = 1;
  bool symbolic = false;
  for (uint32_t i = 0; i < type->rank; i++) {
    if (type->dim[i] < 0 && symbolic)
      ice("a type has the dimension N twice");
    symbolic |= type->dim[i] < 0;
    count *= type->dim[i];
  }
  return count;
}

Tensor *tensor_new(Arena *arena, Type type, int64_t n) {
  Tensor *t = arena_new(arena, Tensor);
  t->count = 1;
  for (uint32_t i = 0; i < type.rank; i++) {
    if (type.dim[i] < 0)
      type.dim[i] *= -n;
    t->count *= type.dim[i];
  }
  t->type = type;
  t->at = arena_array(arena, double, t->count + 1);
  return t;
}

bool ir_body_arg_fits(const Inst *inst, uint32_t i, const Type *is, const Type *rule) {
  Type same = *rule;
  if (inst->op == OP_scan && i < scan_shape(inst).carries)
    same.batched |= is->batched; // its new value is batched
  return type_equal(is, &same);
}

bool ir_type_fits(const Type *is, const Type *rule) {
  Type same = *rule;
  if (!is->range || !rule->range)
    same.range = is->range;
  return type_equal(is, &same);
}

bool ir_is_stored(NnrtRole role) {
  return role == NNRT_PARAM || role == NNRT_SLOT || role == NNRT_STATE || role == NNRT_ROW_STATE;
}
