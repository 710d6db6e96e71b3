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
  s->packed = nnrt_gemm_packs(s->rows, s->columns, transposed);
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
