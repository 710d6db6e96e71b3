// The canonical text of a group: two groups with equal texts are one kernel. Values are numbers in
// order, places in the source are left out.
#include "llvm/gen.h"

static void put_type(Text *out, const Type *type) {
  text_printf(out, "%d[", (int)type->elem);
  for (uint32_t i = 0; i < type->rank; i++)
    text_printf(out, "%lld,", (long long)type->dim[i]);
  text_put(out, "]");
}

static void put_tensor(Text *out, const Tensor *t) {
  put_type(out, &t->type);
  for (int64_t i = 0; i < t->count; i++)
    text_printf(out, "%a,", t->at[i]);
}

static void put_attr(Text *out, const Attr *a) {
  switch (a->kind) {
  case A_NONE:
    break;
  case A_INT:
    text_printf(out, "%lld", (long long)a->i);
    break;
  case A_FLOAT:
    text_printf(out, "%a", a->f);
    break;
  case A_DIMS:
    for (uint32_t i = 0; i < a->n; i++)
      text_printf(out, "%lld,", (long long)a->dims[i]);
    break;
  case A_STR:
    text_put(out, a->s);
    break;
  case A_ELEM:
    text_printf(out, "%d", (int)a->elem);
    break;
  case A_DATA:
    put_tensor(out, a->data);
    break;
  }
  text_put(out, ";");
}

uint32_t region_number(const Region *r) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < r->n_arg; i++)
    r->arg[i]->id = n++;
  for (const Inst *inst = r->first; inst; inst = inst->next)
    for (uint32_t i = 0; i < inst->n_results; i++)
      inst->result[i]->id = n++;
  return n;
}

static void put_inst(Text *out, const Inst *inst) {
  text_printf(out, "%s(", op_table[inst->op]->name);
  for (uint32_t i = 0; i < inst->n_args; i++)
    text_printf(out, "%u,", inst->arg[i]->id);
  text_put(out, ")");
  const Attr *stream = inst->op == OP_random ? inst_attr(inst, "stream") : NULL;
  for (uint32_t i = 0; i < inst->n_attrs; i++)
    if (&inst->attr[i] != stream) // a number of the launch
      put_attr(out, &inst->attr[i]);
  for (uint32_t i = 0; i < inst->n_results; i++)
    put_type(out, &inst->result[i]->type);
  text_put(out, "\n");
}

const char *kernel_key(Arena *arena, const Inst *group) {
  static const char *const parts[] = {"kind", "tile", "inplace"};
  Text out = {.arena = arena};
  for (int i = 0; i < 3; i++)
    put_attr(&out, inst_attr(group, parts[i]));
  region_number(group->body);
  for (uint32_t i = 0; i < group->body->n_arg; i++)
    put_type(&out, &group->body->arg[i]->type);
  for (const Inst *inst = group->body->first; inst; inst = inst->next)
    put_inst(&out, inst);
  return out.at;
}
