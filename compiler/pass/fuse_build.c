// From the plan to IR: which results take the storage of their arguments, an order, and the groups.
#include "pass/fuse.h"

#include <string.h>

// ---- storage of new params, slots and state -----------------------------------------------------

static bool leads_to_reduce(const Fuse *fz, const FuseGroup *g, uint32_t v) {
  const Node *node = &fz->node[v];
  for (uint32_t k = 0; k < node->user.n; k++) {
    const Node *user = &fz->node[node->user.at[k]];
    if (user->group == g && (is_reduce(user) || leads_to_reduce(fz, g, node->user.at[k])))
      return true;
  }
  return false;
}

// add_rows reads and writes a row at once, and reads no other argument in the same storage.
static bool is_table_of_rows(const Node *reader, uint32_t table) {
  const Inst *def = reader->value->def;
  if (!def || def->op != OP_add_rows)
    return false;
  const Value *update = def->arg[2];
  while (update->def && update->def->op == OP_reshape)
    update = update->def->arg[0];
  return def->arg[0]->id == table && update->id != table;
}

// Does the group of v read the argument that v overwrites only at the element being written?
static bool reads_in_place(const Fuse *fz, uint32_t v) {
  const Node *node = &fz->node[v];
  const Ids *readers = &fz->node[node->overwrites].user;
  Dim count = value_count(fz, v);
  for (uint32_t k = 0; k < readers->n; k++) {
    const Node *reader = &fz->node[readers->at[k]];
    if (reader->group != node->group)
      continue;
    if (is_table_of_rows(reader, node->overwrites))
      continue;
    if (!is_elementwise(reader) || value_count(fz, readers->at[k]) != count ||
        leads_to_reduce(fz, node->group, readers->at[k]))
      return false;
    for (uint32_t i = 0; i < reader->access.n; i++)
      if (reader->access.at[i].leaf == node->overwrites &&
          !access_is_flat(fz, &reader->access.at[i], count))
        return false;
  }
  return true;
}

// Can all other readers of the old value run before the group of v?
static bool readers_come_first(Fuse *fz, uint32_t v) {
  const Ids *readers = &fz->node[fz->node[v].overwrites].user;
  fz->visits++;
  for (uint32_t k = 0; k < readers->n; k++) {
    FuseGroup *g = fz->node[readers->at[k]].group;
    if (g != fz->node[v].group && group_reaches_too(fz, fz->node[v].group, g))
      return false;
  }
  return true;
}

// What a returned value is a reshape of.
static Node *returned_root(Fuse *fz, const Value *v) {
  while (fz->node[v->id].role == V_FREE)
    v = v->def->arg[0];
  return &fz->node[v->id];
}

// The result is made elsewhere and copied over the argument when nobody reads that any more.
static void copy_result(Fuse *fz, uint32_t v) {
  Node *node = &fz->node[v];
  Inst *ret = fz->body->last;
  Builder b = {.m = fz->m, .region = fz->body, .before = ret, .loc = node->value->def->loc};
  Attr to = attr_dims(fz->arena, node->yield_type->dim, node->yield_type->rank);
  Value *copy = ir_inst(&b, OP_reshape, &node->value, 1, &to, 1)->result[0];
  for (uint32_t i = 0; i < ret->n_args; i++)
    if (returned_root(fz, ret->arg[i]) == node) // one result has it: fuse.c copied for others
      ret->arg[i] = copy;
  uint32_t id = fuse_add_value(fz, copy);
  Node *new = &fz->node[id];
  new->returned = true;
  new->yield_type = node->yield_type;
  new->overwrites = node->overwrites;
  fz->node[node->overwrites].overwritten_by = id;
  buf_push(fz->arena, &new->access, (Access){v, view_of_tensor(&node->value->type)});
  buf_push(fz->arena, &node->user, id);
  FuseGroup *g = group_new(fz, G_LOOP, value_count(fz, v), 1);
  g->closed = true;
  group_add(fz, g, id);
  node->returned = false;
  node->yield_type = NULL;
  node->overwrites = NO_VALUE;
}

// Claims are taken back, then granted one by one: what was granted orders readers before writers.
static void settle_storage(Fuse *fz) {
  uint32_t n = fz->n;
  uint32_t *wanted = arena_array(fz->arena, uint32_t, n + 1);
  for (uint32_t v = 0; v < n; v++) {
    wanted[v] = fz->node[v].overwrites;
    fz->node[v].overwrites = NO_VALUE;
  }
  for (uint32_t v = 0; v < n; v++) {
    fz->node[v].overwrites = wanted[v];
    if (wanted[v] != NO_VALUE && (!reads_in_place(fz, v) || !readers_come_first(fz, v)))
      copy_result(fz, v);
  }
}

// ---- building -----------------------------------------------------------------------------------

typedef struct {
  Fuse *fz;
  FuseGroup *g;
  Builder body;
  Ids arg; // leaves, in the order of the group's arguments
} Build;

static uint32_t argument_index(const Build *b, uint32_t leaf) {
  for (uint32_t i = 0; i < b->arg.n; i++)
    if (b->arg.at[i] == leaf)
      return i;
  return NO_VALUE;
}

static Value *value_inside(Build *b, const Value *v);

static Value *argument_inside(Build *b, const Value *v) {
  uint32_t i = argument_index(b, v->id);
  if (i == NO_VALUE)
    ice("fuse: a group reads a value that it was not given");
  return ir_reshape(&b->body, b->body.region->arg[i], v->type.dim, v->type.rank);
}

static Value *clone(Build *b, const Inst *inst) {
  Value **args = arena_array(b->fz->arena, Value *, inst->n_args + 1);
  for (uint32_t i = 0; i < inst->n_args; i++)
    args[i] = value_inside(b, inst->arg[i]);
  b->body.loc = inst->loc;
  if (inst->op == OP_reshape) // also a copy: the group is the copy
    return ir_reshape(&b->body, args[0], inst->result[0]->type.dim, inst->result[0]->type.rank);
  return ir_inst(&b->body, inst->op, args, inst->n_args, inst->attr, inst->n_attrs)->result[0];
}

static Value *value_inside(Build *b, const Value *v) {
  Node *node = &b->fz->node[v->id];
  if (node->copied_into != b->g) {
    bool outside = node->role == V_LEAF || (node->role == V_NODE && node->group != b->g);
    node->copy = outside ? argument_inside(b, v) : clone(b, v->def);
    node->copied_into = b->g;
  }
  return node->copy;
}

static void collect_arguments(Build *b) {
  for (uint32_t i = 0; i < b->g->member.n; i++) {
    const Node *node = &b->fz->node[b->g->member.at[i]];
    for (uint32_t k = 0; k < node->access.n; k++) {
      uint32_t leaf = node->access.at[k].leaf;
      if (b->fz->node[leaf].group != b->g && argument_index(b, leaf) == NO_VALUE)
        buf_push(b->fz->arena, &b->arg, leaf);
    }
  }
}

static bool is_yielded(const Fuse *fz, uint32_t v) {
  const Node *node = &fz->node[v];
  for (uint32_t k = 0; k < node->user.n; k++)
    if (fz->node[node->user.at[k]].group != node->group)
      return true;
  return node->returned;
}

// The operation that the group is about: its product or first reduction, else its last one.
static LocId group_loc(const Fuse *fz, const FuseGroup *g) {
  for (uint32_t i = 0; i < g->member.n; i++)
    if (!is_elementwise(&fz->node[g->member.at[i]]))
      return fz->node[g->member.at[i]].value->def->loc;
  return fz->node[g->member.at[g->member.n - 1]].value->def->loc;
}

static void set_attr(Inst *inst, const char *name, Attr value) {
  const Attr *at = inst_attr(inst, name);
  inst->attr[at - inst->attr] = value;
}

static void yield_results(Build *b, Inst *group) {
  Fuse *fz = b->fz;
  uint32_t n = 0, n_pairs = 0;
  Value **values = arena_array(fz->arena, Value *, b->g->member.n + 1);
  Dim *pairs = arena_array(fz->arena, Dim, 2 * b->g->member.n + 1);
  Node **nodes = arena_array(fz->arena, Node *, b->g->member.n + 1);
  for (uint32_t i = 0; i < b->g->member.n; i++) {
    Node *node = &fz->node[b->g->member.at[i]];
    if (!is_yielded(fz, b->g->member.at[i]))
      continue;
    const Type *type = node->yield_type ? node->yield_type : &node->value->type;
    uint32_t arg = node->overwrites == NO_VALUE ? NO_VALUE : argument_index(b, node->overwrites);
    if (arg != NO_VALUE) {
      pairs[n_pairs++] = n;
      pairs[n_pairs++] = arg;
    }
    values[n] = ir_reshape(&b->body, value_inside(b, node->value), type->dim, type->rank);
    nodes[n++] = node;
  }
  b->body.loc = group->loc;
  ir_inst(&b->body, OP_yield, values, n, NULL, 0);
  for (uint32_t i = 0; i < n; i++)
    nodes[i]->built = group->result[i];
  set_attr(group, "inplace", attr_dims(fz->arena, pairs, n_pairs));
}

static void build_group(Fuse *fz, FuseGroup *g) {
  Build b = {.fz = fz, .g = g};
  collect_arguments(&b);
  Value **args = arena_array(fz->arena, Value *, b.arg.n + 1);
  for (uint32_t i = 0; i < b.arg.n; i++) {
    const Node *leaf = &fz->node[b.arg.at[i]];
    args[i] = leaf->role == V_LEAF ? leaf->value : leaf->built;
  }
  Builder outer = {
      .m = fz->m, .region = fz->body, .before = fz->body->last, .loc = group_loc(fz, g)};
  Attr kind = attr_str(intern(fz->m->s, group_kind_name[g->kind]));
  Inst *group = ir_inst(&outer, OP_group, args, b.arg.n, &kind, 1);
  b.body = (Builder){.m = fz->m, .region = group->body};
  for (uint32_t i = 0; i < g->member.n; i++)
    value_inside(&b, fz->node[g->member.at[i]].value);
  yield_results(&b, group);
}

// A scan moves behind the groups that make what it reads.
static void build_scan(Fuse *fz, Inst *scan) {
  Builder b = {.m = fz->m, .region = fz->body, .before = fz->body->last, .loc = scan->loc};
  for (uint32_t i = 0; i < scan->n_args; i++) {
    const Type *type = &scan->arg[i]->type;
    const Node *root = &fz->node[behind_reshapes(scan->arg[i])->id];
    Value *v = root->role == V_LEAF ? root->value : root->built;
    scan->arg[i] = ir_reshape(&b, v, type->dim, type->rank);
  }
  ir_move_before(scan, fz->body->last);
  for (uint32_t i = 0; i < scan->n_results; i++)
    fz->node[scan->result[i]->id].built = scan->result[i];
}

// What the groups replace: everything but literals, scans and the end.
static Inst **replaced(const Fuse *fz) {
  uint32_t n = 0;
  for (const Inst *i = fz->body->first; i; i = i->next)
    n++;
  Inst **old = arena_array(fz->arena, Inst *, n + 1);
  n = 0;
  for (Inst *i = fz->body->first; i != fz->body->last; i = i->next)
    if (i->op != OP_literal && i->op != OP_scan)
      old[n++] = i;
  return old;
}

// The end takes the groups' results.
static void set_results(Fuse *fz) {
  Inst *ret = fz->body->last;
  for (uint32_t i = 0; i < ret->n_args; i++) {
    const Node *root = returned_root(fz, ret->arg[i]);
    if (root->role == V_NODE)
      ret->arg[i] = root->built;
  }
}

// ---- order --------------------------------------------------------------------------------------

// Builds a group, before it those that it needs. False: to go on with the others.
static bool build_in_order(Fuse *fz, FuseGroup *g, void *ctx) {
  if (g->order == BUILT)
    return false;
  if (g->order == OPEN)
    ice("fuse: groups of %s wait for each other", fz->f ? fz->f->name : "a scan");
  g->order = OPEN;
  for (uint32_t i = 0; i < g->member.n; i++)
    each_dependence(fz, &fz->node[g->member.at[i]], build_in_order, ctx);
  g->order = BUILT;
  if (g->kind == G_SCAN)
    build_scan(fz, fz->node[g->member.at[0]].value->def);
  else
    build_group(fz, g);
  return false;
}

void fuse_build(Fuse *fz) {
  settle_storage(fz);
  Inst **old = replaced(fz);
  for (uint32_t v = 0; v < fz->n; v++) // as they begin in the program
    if (fz->node[v].group && !fz->node[v].group->dead)
      build_in_order(fz, fz->node[v].group, NULL);
  set_results(fz);
  for (uint32_t i = 0; old[i]; i++)
    ir_remove(old[i]);
  if (fz->f)
    ir_remove_dead(fz->f);
}
