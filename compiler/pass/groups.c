// Reading the shape of a group from its body.
#include "pass/groups.h"
#include "nnrt_gemm.h"
#include "ops/op.h"

#include <string.h>

typedef BUF(const Inst *) GroupList;

const char *const group_kind_name[] = {"loop", "row", "column", "dot", "kernel"};

GroupKind group_kind(const Inst *group) {
  const char *kind = inst_attr(group, "kind")->s;
  for (int i = 0; i < 5; i++)
    if (strcmp(kind, group_kind_name[i]) == 0)
      return (GroupKind)i;
  ice("a group of kind \"%s\"", kind);
}

bool group_reduces_columns(const Inst *reduce) {
  for (uint32_t i = 0; i < reduce->n_attrs; i++)
    if (reduce->attr[i].kind == A_DIMS)
      return reduce->attr[i].dims[0] == 0;
  return false;
}

static bool is_anchor(const Inst *inst, GroupKind kind) {
  const OpDef *op = op_table[inst->op];
  switch (kind) {
  case G_LOOP:
    return false;
  case G_ROW:
  case G_COLUMN:
    return op->kind == K_REDUCE;
  case G_DOT:
    return op->kind == K_CONTRACT;
  case G_KERNEL:
    return op->kernel != NULL;
  case G_SCAN:
    return false;
  }
  return false;
}

static void dot_shape(GroupShape *s) {
  const Type *a = &s->anchor->arg[0]->type, *to = &s->anchor->result[0]->type;
  uint32_t lead = (uint32_t)inst_attr(s->anchor, "batch")->i;
  s->batch = lead ? to->dim[0] : 1;
  s->rows = to->dim[lead];
  s->columns = to->dim[lead + 1];
  s->depth = a->dim[inst_attr(s->anchor, "ca")->dims[0]];
  bool transposed = inst_attr(s->anchor, "cb")->dims[0] == lead + 1;
  s->packed = nnrt_gemm_packs(s->rows, s->columns, s->depth, transposed);
}

GroupShape group_shape(const Inst *group) {
  GroupShape s = {.kind = group_kind(group), .columns = 1, .batch = 1, .depth = 1};
  for (const Inst *i = group->body->first; i && !s.anchor; i = i->next)
    if (is_anchor(i, s.kind))
      s.anchor = i;
  if (!s.anchor && s.kind != G_LOOP)
    ice("a group of kind %s without its operation", group_kind_name[s.kind]);
  if (s.kind == G_LOOP || s.kind == G_KERNEL)
    s.rows = type_count(&group->result[0]->type);
  else if (s.kind == G_DOT)
    dot_shape(&s);
  else {
    s.rows = s.anchor->arg[0]->type.dim[0];
    s.columns = s.anchor->arg[0]->type.dim[1];
  }
  return s;
}

static void collect_groups(Arena *arena, const Region *body, GroupList *out) {
  for (const Inst *i = body->first; i; i = i->next) {
    if (i->op == OP_group)
      buf_push(arena, out, i);
    else if (i->op == OP_scan)
      collect_groups(arena, i->body, out);
  }
}

uint32_t groups_of(Arena *arena, const Function *f, const Inst ***groups) {
  GroupList list = {0};
  collect_groups(arena, f->body, &list);
  *groups = list.at;
  return list.n;
}

// ---- loops of any size --------------------------------------------------------------------------

enum { FLAT_FROM = 4096 }; // fewer elements an example are worth a loop of their own

static bool is_flat_step(const Inst *inst, Dim count) {
  const OpDef *op = op_table[inst->op];
  if (inst->op == OP_broadcast)
    return type_count(&inst->arg[0]->type) == 1;
  if (inst->op != OP_const && inst->op != OP_reshape && inst->op != OP_yield && op->kind != K_ELEM)
    return false;
  for (uint32_t i = 0; i < inst->n_results; i++) {
    Dim n = type_count(&inst->result[i]->type);
    if (n != count && n != 1)
      return false;
  }
  return true;
}

static Dim flat_count(const Inst *group) {
  const Attr *tile = inst_attr(group, "tile");
  Dim count = type_count(&group->result[0]->type);
  if (group_kind(group) != G_LOOP || tile->n != 1 || count == 1 || count == 0)
    return 0;
  for (uint32_t i = 0; i < group->body->n_arg; i++) {
    Dim n = type_count(&group->body->arg[i]->type);
    if (n != count && n != 1)
      return 0;
  }
  for (const Inst *inst = group->body->first; inst; inst = inst->next)
    if (!is_flat_step(inst, count))
      return 0;
  return count;
}

static bool is_affine_step(const Inst *inst) {
  switch (inst->op) {
  case OP_const:
  case OP_reshape:
  case OP_broadcast:
  case OP_add:
  case OP_sub:
  case OP_mul:
    return inst->result[0]->type.elem == TY_F32;
  default:
    return inst->op == OP_yield;
  }
}

bool group_is_affine(const Inst *group) {
  if (group->n_results != 1 || group->n_args > 1 || flat_count(group) <= 0)
    return false;
  for (const Inst *inst = group->body->first; inst; inst = inst->next)
    if (!is_affine_step(inst))
      return false;
  return true;
}

bool group_is_flat(const Inst *group) {
  Dim count = flat_count(group);
  return count > 0 || -count >= FLAT_FROM;
}

bool group_is_random(const Inst *group) {
  const Inst *first = group->body->first;
  return group_kind(group) == G_KERNEL && first->op == OP_random && first->n_args == 2 &&
         first->next->op == OP_yield && type_count(&group->result[0]->type) > 0;
}

// ---- loops by rows of any length ----------------------------------------------------------------

enum {
  WIDE_FROM = 16, // below, an example's row is part of 16 lanes
  IMAGE_RANK = 4, // only networks of images have many of them
};

typedef struct {
  const Type *type; // of the space
  Dim *width;
  uint32_t n;
  bool maps; // something tells the axes apart
} Widths;

static bool add_width(Widths *w, Dim d) {
  if (d < WIDE_FROM)
    return d == 0;
  for (uint32_t i = 0; i < w->n; i++)
    if (w->width[i] == d)
      return true;
  if (w->n == MOST_WIDTHS)
    return false;
  w->width[w->n++] = d;
  return true;
}

// One number, a row, or of the space's rank and alike but for the last axis.
static bool add_widths_of(Widths *w, const Value *v) {
  const Type *type = &v->type;
  if (type_count(type) == 1)
    return true;
  if (type->rank != 1 && type->rank != w->type->rank)
    return false;
  for (uint32_t i = 0; i + 1 < type->rank; i++)
    if (type->dim[i] != w->type->dim[i])
      return false;
  return add_width(w, type->dim[type->rank - 1]);
}

static bool pads_last(Widths *w, const Attr *a) {
  for (uint32_t i = 0; i + 1 < a->n; i++)
    if (a->dims[i] != 0)
      return false;
  return add_width(w, a->dims[a->n - 1]);
}

static bool add_step(Widths *w, const Inst *inst) {
  uint32_t last = w->type->rank - 1u;
  const Type *from = inst->n_args ? &inst->arg[0]->type : NULL;
  switch (inst->op) {
  case OP_broadcast:
    w->maps |= from->rank == 1;
    return type_count(from) == 1 ||
           (from->rank == 1 && inst_attr(inst, "axes")->dims[0] == (Dim)last);
  case OP_iota:
    w->maps = true;
    return inst_attr(inst, "axis")->i == (int64_t)last;
  case OP_pad:
    w->maps = true;
    return from->rank == w->type->rank && pads_last(w, inst_attr(inst, "low")) &&
           pads_last(w, inst_attr(inst, "high"));
  default:
    return inst->op == OP_const || inst->op == OP_yield || op_table[inst->op]->kind == K_ELEM;
  }
}

// All rows' numbers, in whatever shape, or one row's; or one number.
static bool is_of_columns(const Value *v, const GroupShape *s) {
  Dim count = type_count(&v->type);
  return count == 1 || count == s->columns || count == s->rows * s->columns;
}

static bool is_column_step(const Inst *inst, Dim columns) {
  const OpDef *op = op_table[inst->op];
  if (inst->op == OP_broadcast) {
    const Type *from = &inst->arg[0]->type, *to = &inst->result[0]->type;
    uint32_t last = to->rank - 1u;
    return type_count(from) == 1 || (from->rank == 1 && inst_attr(inst, "axes")->dims[0] == last &&
                                     to->dim[last] == columns);
  }
  return inst->op == OP_const || inst->op == OP_count || inst->op == OP_reshape ||
         inst->op == OP_yield || op->kind == K_ELEM || op->kind == K_REDUCE;
}

bool group_is_columns(const Inst *group) {
  if (group_kind(group) != G_COLUMN)
    return false;
  GroupShape s = group_shape(group);
  bool few = s.rows < 0 ? -s.rows * s.columns < FLAT_FROM : s.rows < 2 || s.rows == s.columns;
  if (few || s.columns < WIDE_FROM)
    return false;
  for (uint32_t i = 0; i < group->body->n_arg; i++)
    if (!is_of_columns(group->body->arg[i], &s))
      return false;
  for (const Inst *inst = group->body->first; inst; inst = inst->next) {
    for (uint32_t i = 0; i < inst->n_results; i++)
      if (!is_of_columns(inst->result[i], &s))
        return false;
    if (!is_column_step(inst, s.columns))
      return false;
  }
  return true;
}

uint32_t group_widths(const Inst *group, Dim *width) {
  if (group_is_columns(group)) {
    width[0] = group_shape(group).columns;
    return 1;
  }
  Widths w = {.type = &group->result[0]->type, .width = width};
  Dim count = type_count(w.type);
  if (group_kind(group) != G_LOOP || inst_attr(group, "tile")->n != 1 ||
      w.type->rank < IMAGE_RANK || (count < 0 ? -count : count) < FLAT_FROM)
    return 0;
  for (uint32_t i = 0; i < group->n_results; i++)
    if (!type_same_shape(&group->result[i]->type, w.type))
      return 0;
  for (uint32_t i = 0; i < group->body->n_arg; i++)
    if (!add_widths_of(&w, group->body->arg[i]))
      return 0;
  for (const Inst *inst = group->body->first; inst; inst = inst->next) {
    for (uint32_t i = 0; i < inst->n_results; i++)
      if (!add_widths_of(&w, inst->result[i]))
        return 0;
    if (!add_step(&w, inst))
      return 0;
  }
  return w.maps ? w.n : 0;
}

// ---- products of any depth: filters of one pixel ------------------------------------------------

enum { DEEP_FROM = 64, DEEP_TO = 2048 }; // terms: constant loops below, several pieces from there

static const Value *side_root(const Value *v) {
  while (v->def && v->def->op == OP_reshape)
    v = v->def->arg[0];
  return v;
}

bool group_side(const Inst *dot, const Value *v) {
  for (uint32_t i = 0; i < 2; i++)
    for (const Value *s = dot->arg[i]; s; s = s->def ? s->def->arg[0] : NULL)
      if (s == v)
        return true;
  return false;
}

bool group_is_deep(const Inst *group) {
  if (group_kind(group) != G_DOT)
    return false;
  GroupShape s = group_shape(group);
  if (s.anchor->arg[0]->type.elem != TY_F32 || s.depth < DEEP_FROM || s.depth >= DEEP_TO ||
      side_root(s.anchor->arg[0])->def || side_root(s.anchor->arg[1])->def ||
      side_root(s.anchor->arg[1])->type.rank != IMAGE_RANK)
    return false;
  for (const Inst *inst = group->body->first; inst; inst = inst->next)
    for (uint32_t i = 0; i < inst->n_args && inst != s.anchor; i++)
      if (group_side(s.anchor, inst->arg[i]) && !group_side(s.anchor, inst->result[0]))
        return false; // the epilogue reads it too
  return true;
}
