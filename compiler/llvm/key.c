// The canonical text of a group: two groups with equal texts are one kernel. Values are numbers in
// order, places in the source are left out, and so is what the code takes from its launch
// (tables.c).
#include "llvm/gen.h"

typedef struct {
  Text text;
  Dim count;   // of a flat group: written in the place of shapes
  bool affine; // its constants are left out
  Dim width[MOST_WIDTHS];
  uint32_t n_width; // these are written as their places
  Dim columns;      // of sums over rows of examples: shapes and numbers are left out
  const Inst *deep; // a product of any depth: shapes of its sides are left out
} Key;

static void put_width(Key *key, Dim d) {
  for (uint32_t i = 0; i < key->n_width; i++)
    if (key->width[i] == d) {
      text_printf(&key->text, "$%u,", i);
      return;
    }
  text_printf(&key->text, "%lld,", (long long)d);
}

// Numbers of axes, the last of which may be a width.
static void put_dims(Key *key, const Dim *dim, uint32_t n) {
  for (uint32_t i = 0; i + 1 < n; i++)
    text_printf(&key->text, "%lld,", (long long)dim[i]);
  if (n)
    put_width(key, dim[n - 1]);
}

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

// The type of a value of the body; of a flat group, whether there are all numbers or one.
static void put_value(Key *key, const Value *v) {
  if (key->deep && group_side(key->deep, v))
    text_printf(&key->text, "%u:%d", v->type.rank, (int)v->type.elem);
  else if (key->columns) {
    Dim count = type_count(&v->type);
    text_printf(&key->text, "%d%s", (int)v->type.elem,
                count == 1              ? "."
                : count == key->columns ? "|"
                                        : "*");
  } else if (key->count)
    text_printf(&key->text, "%d%s", (int)v->type.elem, type_count(&v->type) == 1 ? "." : "*");
  else {
    text_printf(&key->text, "%d[", (int)v->type.elem);
    put_dims(key, v->type.dim, v->type.rank);
    text_put(&key->text, "]");
  }
}

static void put_number(Key *key, const Inst *inst, const Attr *a) {
  bool axes = inst->op == OP_broadcast && a == inst_attr(inst, "axes");
  if (a->kind == A_DIMS && !axes)
    put_dims(key, a->dims, a->n);
  else if (key->n_width && inst->op == OP_const && a->kind == A_FLOAT &&
           inst->result[0]->type.elem == TY_I32)
    put_width(key, (Dim)a->f);
  else
    put_attr(&key->text, a);
}

// What the launch has: the stream of random numbers and how many, numbers and shapes of flat
// groups.
static bool of_launch(const Key *key, const Inst *inst, const Attr *a) {
  if (key->columns && inst->op != OP_sum)
    return a->kind == A_DIMS || (inst->op == OP_const && a == inst_attr(inst, "value") &&
                                 inst->result[0]->type.elem == TY_F32);
  if (inst->op == OP_random)
    return a == inst_attr(inst, "stream") || a == inst_attr(inst, "dims");
  if (key->deep && inst->op == OP_reshape && group_side(key->deep, inst->result[0]))
    return true;
  return (key->count && a->kind == A_DIMS) ||
         (key->affine && inst->op == OP_const && a == inst_attr(inst, "value"));
}

static void put_inst(Key *key, const Inst *inst) {
  Text *out = &key->text;
  text_printf(out, "%s(", op_table[inst->op]->name);
  for (uint32_t i = 0; i < inst->n_args; i++)
    text_printf(out, "%u,", inst->arg[i]->id);
  text_put(out, ")");
  for (uint32_t i = 0; i < inst->n_attrs; i++)
    if (!of_launch(key, inst, &inst->attr[i]))
      put_number(key, inst, &inst->attr[i]);
  for (uint32_t i = 0; i < inst->n_results && inst->op != OP_random; i++)
    put_value(key, inst->result[i]);
  text_put(out, "\n");
}

// What decides which loops column.c makes: over whole blocks of columns, whole lanes, or with a
// rest; over blocks of rows or not.
static void put_column_class(Key *key, const GroupShape *s) {
  text_put(&key->text, s->columns % 64 == 0 ? "blocks," : s->columns % LANES == 0 ? "lanes," : "");
  text_put(&key->text, s->rows < 0 ? "rows;" : s->rows > 64 ? "many;" : "few;");
}

const char *kernel_key(Arena *arena, const Inst *group) {
  Key key = {.text = {.arena = arena}, .affine = group_is_affine(group)};
  if (group_is_flat(group))
    key.count = type_count(&group->result[0]->type);
  key.n_width = group_widths(group, key.width);
  GroupShape shape = group_shape(group);
  key.columns = group_is_columns(group) ? shape.columns : 0;
  key.deep = group_is_deep(group) ? shape.anchor : NULL;
  bool any_size = key.count || key.n_width || group_is_random(group);
  put_attr(&key.text, inst_attr(group, "kind"));
  text_put(&key.text, key.deep ? "deep;" : !any_size ? "" : key.count < 0 ? "rows;" : "any;");
  if (!any_size || key.columns)
    put_attr(&key.text, inst_attr(group, "tile"));
  if (key.columns)
    put_column_class(&key, &shape);
  put_attr(&key.text, inst_attr(group, "inplace"));
  region_number(group->body);
  for (uint32_t i = 0; i < group->body->n_arg; i++)
    put_value(&key, group->body->arg[i]);
  for (const Inst *inst = group->body->first; inst; inst = inst->next)
    put_inst(&key, inst);
  return key.text.at;
}
