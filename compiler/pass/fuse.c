// does:   puts every operation into a group that becomes one launch: elementwise chains join the
//         product, reduction or loop that makes what they read
// needs:  batched IR after layout
// leaves: groups, literals and the return (forms: compiler/HACKING.md)
// cost:   a walk over dependences per join: quadratic at worst, in values
#include "ops/conv.h"
#include "pass/fuse.h"

#include <string.h>

enum {
  ROW_ELEMENTS = 4096,  // 16 KB: a row that is gone through several times stays in L1
  SMALL_CONSTANT = 256, // elements: kept as a table
};

FuseGroup *group_new(Fuse *fz, GroupKind kind, Dim rows, Dim columns) {
  FuseGroup *g = arena_new(fz->arena, FuseGroup);
  *g = (FuseGroup){.kind = kind, .rows = rows, .columns = columns};
  buf_push(fz->arena, &fz->group, g);
  return g;
}

void group_add(Fuse *fz, FuseGroup *g, uint32_t v) {
  fz->node[v].group = g;
  buf_push(fz->arena, &g->member, v);
  fuse_joined(fz, v);
}

// ---- what fits where ----------------------------------------------------------------------------

typedef struct {
  Fuse *fz;
  const FuseGroup *space, *g, *other;
  uint32_t next;
} Fit;

static bool inside(const Fit *fit, uint32_t id) {
  const FuseGroup *g = fit->fz->node[id].group;
  return (g && (g == fit->g || g == fit->other)) || id == fit->next;
}

// Is every tensor of the group that v reads of `count` elements and read at v's own element?
static bool reads_flat(const Fit *fit, uint32_t v, Dim count) {
  const Node *node = &fit->fz->node[v];
  for (uint32_t k = 0; k < node->access.n; k++)
    if (inside(fit, node->access.at[k].leaf) &&
        (value_count(fit->fz, node->access.at[k].leaf) != count ||
         !access_is_flat(fit->fz, &node->access.at[k], count)))
      return false;
  return true;
}

static bool fits_loop(const Fit *fit, uint32_t v) {
  Dim count = fit->space->rows;
  return is_elementwise(&fit->fz->node[v]) && value_count(fit->fz, v) == count &&
         reads_flat(fit, v, count);
}

// A value over [R, C] reads others of it at its element, and values of the rows at its row.
static bool reads_row(const Fit *fit, uint32_t v) {
  const Node *node = &fit->fz->node[v];
  Dim rows = fit->space->rows, columns = fit->space->columns, full = dim_mul(rows, columns);
  for (uint32_t k = 0; k < node->access.n; k++) {
    const Access *a = &node->access.at[k];
    if (!inside(fit, a->leaf))
      continue;
    Dim count = value_count(fit->fz, a->leaf);
    MapClass c = access_class(fit->fz, a, rows, columns);
    bool of_row = count == rows && (c == MAP_ROW || (c == MAP_ONE && rows == 1)) &&
                  dim_estimate(columns) <= ROW_ELEMENTS;
    if (!of_row && !(count == full && access_is_flat(fit->fz, a, full)))
      return false;
  }
  return true;
}

static bool fits_row(const Fit *fit, uint32_t v) {
  const Node *node = &fit->fz->node[v];
  Dim rows = fit->space->rows, full = dim_mul(rows, fit->space->columns);
  if (is_reduce(node))
    return value_count(fit->fz, v) == rows && reads_row(fit, v);
  if (!is_elementwise(node))
    return false;
  return value_count(fit->fz, v) == full
             ? reads_row(fit, v)
             : value_count(fit->fz, v) == rows && reads_flat(fit, v, rows);
}

// Values over [R, C] are never stored by a column group: all their readers are in it.
static bool stays_inside(const Fit *fit, uint32_t v) {
  const Node *node = &fit->fz->node[v];
  for (uint32_t k = 0; k < node->user.n; k++)
    if (!inside(fit, node->user.at[k]))
      return false;
  return !node->returned;
}

static bool fits_column(const Fit *fit, uint32_t v) {
  const Node *node = &fit->fz->node[v];
  Dim columns = fit->space->columns, full = dim_mul(fit->space->rows, columns);
  if (is_reduce(node))
    return value_count(fit->fz, v) == columns && reads_flat(fit, v, full);
  if (!is_elementwise(node))
    return false;
  if (value_count(fit->fz, v) == full)
    return reads_flat(fit, v, full) && stays_inside(fit, v);
  return value_count(fit->fz, v) == columns && reads_flat(fit, v, columns);
}

static bool reads_places(const Fit *fit, uint32_t v) {
  const Node *node = &fit->fz->node[v];
  for (uint32_t k = 0; k < node->access.n; k++) {
    uint32_t leaf = node->access.at[k].leaf;
    if (inside(fit, leaf) && fit->fz->node[leaf].value->def->op == OP_pool_argmax)
      return true;
  }
  return false;
}

// An epilogue: everything that it reads has an address from row and column. Updates stay out:
// gradients are stored, and the update is the next loop over them.
static bool fits_epilogue(const Fit *fit, uint32_t v) {
  const Node *node = &fit->fz->node[v];
  Dim rows = fit->space->rows, columns = fit->space->columns, full = dim_mul(rows, columns);
  if (!is_elementwise(node) || node->update_only || value_count(fit->fz, v) != full ||
      reads_places(fit, v))
    return false;
  for (uint32_t k = 0; k < node->access.n; k++)
    if (access_class(fit->fz, &node->access.at[k], rows, columns) == MAP_OTHER)
      return false;
  return reads_flat(fit, v, full);
}

bool space_accepts(Fuse *fz, const FuseGroup *space, const FuseGroup *g, const FuseGroup *other,
                   uint32_t v, uint32_t next) {
  Fit fit = {fz, space, g, other, next};
  switch (space->kind) {
  case G_LOOP:
    return fits_loop(&fit, v);
  case G_ROW:
    return fits_row(&fit, v);
  case G_COLUMN:
    return fits_column(&fit, v);
  case G_DOT:
  case G_KERNEL:
    return fits_epilogue(&fit, v);
  case G_SCAN:
    return false;
  }
  return false;
}

// ---- the walk -----------------------------------------------------------------------------------

// Bytes that needn't be read again, and needn't be written if v is the only reader. What is cheap
// to recompute is hardly a reason.
static int64_t bytes_saved(const Fuse *fz, const FuseGroup *g, uint32_t v) {
  const Node *node = &fz->node[v];
  int64_t saved = 0;
  for (uint32_t k = 0; k < node->access.n; k++) {
    const Node *leaf = &fz->node[node->access.at[k].leaf];
    if (leaf->group != g)
      continue;
    int64_t bytes = bytes_estimate(fz, leaf->value->id);
    bool cheap = g->kind == G_LOOP && (op_table[leaf->value->def->op]->flags & OPF_CHEAP);
    saved += cheap ? bytes / 2 : leaf->user.n == 1 && !leaf->returned ? 2 * bytes : bytes;
  }
  return saved;
}

typedef struct {
  FuseGroup *g;
  int64_t saved;
  FuseGroup space; // what g becomes
} Choice;

// g may become `kind`: a loop turns into the group of the reduction that reads it.
static void consider(Fuse *fz, FuseGroup *g, uint32_t v, const FuseGroup *wanted, int64_t shared,
                     Choice *best) {
  FuseGroup space = {.kind = g->kind, .rows = g->rows, .columns = g->columns};
  if (wanted)
    space = *wanted;
  bool turns = space.kind != g->kind;
  if (g->closed || (turns && g->kind != G_LOOP) ||
      (!turns && (space.rows != g->rows || space.columns != g->columns)))
    return;
  if (turns && g->rows != dim_mul(space.rows, space.columns))
    return;
  for (uint32_t i = 0; turns && i < g->member.n; i++)
    if (!space_accepts(fz, &space, g, NULL, g->member.at[i], v))
      return;
  int64_t saved = bytes_saved(fz, g, v) + shared;
  if (g == best->g || saved < best->saved || !space_accepts(fz, &space, g, NULL, v, v) ||
      path_around(fz, g, v))
    return;
  *best = (Choice){g, saved, space};
}

// The groups that make something that v reads.
static void consider_producers(Fuse *fz, uint32_t v, const FuseGroup *wanted, Choice *best) {
  const Node *node = &fz->node[v];
  for (uint32_t k = 0; k < node->access.n; k++) {
    FuseGroup *g = fz->node[node->access.at[k].leaf].group;
    if (g)
      consider(fz, g, v, wanted, 0, best);
  }
}

// Reductions of the same kind and space that read the same tensor.
static void consider_siblings(Fuse *fz, uint32_t v, const FuseGroup *wanted, Choice *best) {
  const Node *node = &fz->node[v];
  for (uint32_t k = 0; k < node->access.n; k++) {
    const Ids *readers = &fz->node[node->access.at[k].leaf].user;
    for (uint32_t i = 0; i < readers->n; i++) {
      FuseGroup *g = fz->node[readers->at[i]].group;
      if (g && g->kind == wanted->kind)
        consider(fz, g, v, wanted, bytes_estimate(fz, node->access.at[k].leaf), best);
    }
  }
}

static void place(Fuse *fz, uint32_t v, const Choice *best, const FuseGroup *alone) {
  if (best->g) {
    best->g->kind = best->space.kind;
    best->g->rows = best->space.rows;
    best->g->columns = best->space.columns;
    group_add(fz, best->g, v);
  } else
    group_add(fz, group_new(fz, alone->kind, alone->rows, alone->columns), v);
}

static void place_elementwise(Fuse *fz, uint32_t v) {
  Choice best = {0};
  consider_producers(fz, v, NULL, &best);
  place(fz, v, &best, &(FuseGroup){.kind = G_LOOP, .rows = value_count(fz, v), .columns = 1});
}

static void place_reduce(Fuse *fz, uint32_t v) {
  const Inst *inst = fz->node[v].value->def;
  const Type *matrix = &inst->arg[0]->type;
  FuseGroup space = {.kind = group_reduces_columns(inst) ? G_COLUMN : G_ROW,
                     .rows = matrix->dim[0],
                     .columns = matrix->dim[1]};
  Choice best = {0};
  consider_producers(fz, v, &space, &best);
  consider_siblings(fz, v, &space, &best);
  place(fz, v, &best, &space);
}

static void place_dot(Fuse *fz, uint32_t v) {
  const Type *type = &fz->node[v].value->type;
  Dim columns = type->dim[type->rank - 1], rows = type->dim[type->rank - 2];
  if (type->rank == 3)
    rows = dim_mul(type->dim[0], rows);
  group_add(fz, group_new(fz, G_DOT, rows, columns), v);
}

// The group that makes pool_max of the same windows: one walk makes both.
static FuseGroup *greatest_of_same(Fuse *fz, uint32_t v) {
  const Inst *inst = fz->node[v].value->def;
  const Ids *readers = &fz->node[fz->node[v].access.at[0].leaf].user;
  for (uint32_t k = 0; inst->op == OP_pool_argmax && k < readers->n; k++) {
    const Node *other = &fz->node[readers->at[k]];
    const Inst *def = other->value->def;
    if (def->op != OP_pool_max || !other->group)
      continue;
    PoolShape a = pool_shape(def), b = pool_shape(inst);
    if (memcmp(&a, &b, sizeof a) == 0 && !path_around(fz, other->group, v))
      return other->group;
  }
  return NULL;
}

// An image has an epilogue: pixels are its rows, channels its columns. Not so a filter, which is
// the gradient that an update reads.
static void place_kernel(Fuse *fz, uint32_t v) {
  const Inst *inst = fz->node[v].value->def;
  const Type *type = &inst->result[0]->type;
  FuseGroup *same = greatest_of_same(fz, v);
  if (same) {
    group_add(fz, same, v);
    return;
  }
  bool image = op_table[inst->op]->kind == K_WINDOW && type->elem == TY_F32 && !makes_filter(inst);
  FuseGroup *g = group_new(fz, G_KERNEL, value_count(fz, v), 1);
  if (image) {
    g->rows = dim_mul(dim_mul(type->dim[0], type->dim[1]), type->dim[2]);
    g->columns = type->dim[3];
  }
  g->closed = !image;
  group_add(fz, g, v);
}

// All results of a scan at once: nothing joins it.
static void place_scan(Fuse *fz, const Inst *scan) {
  FuseGroup *g = group_new(fz, G_SCAN, 0, 0);
  for (uint32_t i = 0; i < scan->n_results; i++)
    group_add(fz, g, scan->result[i]->id);
  g->closed = true;
}

static void place_value(Fuse *fz, uint32_t v) {
  const Node *node = &fz->node[v];
  if (node->group)
    return;
  if (is_scan_result(node))
    place_scan(fz, node->value->def);
  else if (is_elementwise(node))
    place_elementwise(fz, v);
  else if (is_reduce(node))
    place_reduce(fz, v);
  else if (op_table[node->value->def->op]->kind == K_CONTRACT)
    place_dot(fz, v);
  else
    place_kernel(fz, v);
}

// ---- setting up ---------------------------------------------------------------------------------

// A reshape to the same shape: a copy that was asked for (ir_reshape never makes one).
static bool is_copy(const Inst *inst) {
  return inst->op == OP_reshape && type_same_shape(&inst->arg[0]->type, &inst->result[0]->type);
}

Value *behind_reshapes(Value *v) {
  while (v->def && v->def->op == OP_reshape && !is_copy(v->def))
    v = v->def->arg[0];
  return v;
}

static Value *copy_before(Fuse *fz, Inst *before, Value *v) {
  Builder b = {.m = fz->m, .region = fz->body, .before = before, .loc = before->loc};
  if (v->def && !b.loc)
    b.loc = v->def->loc;
  Attr to = attr_dims(fz->arena, v->type.dim, v->type.rank);
  return ir_inst(&b, OP_reshape, &v, 1, &to, 1)->result[0];
}

// The constant behind the reshapes of v.
static Value *literal_before(Fuse *fz, Inst *before, Value *v) {
  Builder b = {.m = fz->m, .region = fz->body, .before = before, .loc = before->loc};
  double value = inst_attr(behind_reshapes(v)->def, "value")->f;
  Tensor *t = tensor_new(fz->arena, v->type, 0);
  for (int64_t i = 0; i < t->count; i++)
    t->at[i] = value;
  return ir_literal(&b, t);
}

static Value *argument_of_port(const Function *f, const Port *port) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == port->role && f->arg_port[i].index == port->index)
      return f->body->arg[i];
  return NULL;
}

// An argument that is returned as its own new value: nothing to do.
static bool is_unchanged(const Function *f, uint32_t result) {
  if (!f)
    return false;
  const Port *port = &f->result_port[result];
  return ir_is_stored(port->role) && f->body->last->arg[result] == argument_of_port(f, port);
}

static bool made_by_group(const Value *v) {
  if (v->def && v->def->op == OP_scan)
    return false;
  OpKind kind = v->def ? op_table[v->def->op]->kind : K_SOURCE;
  return (kind != K_SHAPE && kind != K_SOURCE) || (v->def && is_copy(v->def));
}

// Every result gets a value of its own, made by a group.
static void insert_copies(Fuse *fz) {
  Inst *ret = fz->body->last;
  ir_count_uses_region(fz->body); // of roots: what is returned already has the mark UINT32_MAX
  for (uint32_t i = 0; i < ret->n_args; i++) {
    Value *root = behind_reshapes(ret->arg[i]);
    bool shared = !made_by_group(root) || root->uses == UINT32_MAX;
    bool unchanged = is_unchanged(fz->f, i);
    if (shared && !unchanged)
      ret->arg[i] = copy_before(fz, ret, ret->arg[i]);
    else
      root->uses = UINT32_MAX;
  }
}

// The first values of carries are made in the memory that the scan goes on with: each is a value of
// its own.
static void insert_first_carries(Fuse *fz, Inst *scan) {
  uint32_t carries = scan_shape(scan).carries;
  for (uint32_t k = 0; k < carries; k++)
    scan->arg[k] = copy_before(fz, scan, scan->arg[k]);
}

// Operands of products, kernels and scans must lie in memory: a constant becomes a literal, or is
// made by a group.
static void insert_operands(Fuse *fz) {
  for (Inst *i = fz->body->first; i; i = i->next) {
    if (i->op == OP_scan)
      insert_first_carries(fz, i);
    for (uint32_t k = 0; reads_memory(i) && k < i->n_args; k++) {
      Value *root = behind_reshapes(i->arg[k]);
      if (!root->def || op_table[root->def->op]->kind != K_SOURCE || root->def->op == OP_literal)
        continue;
      Dim count = type_count(&root->type);
      bool small = root->def->op == OP_const && count >= 0 && count <= SMALL_CONSTANT;
      i->arg[k] = small ? literal_before(fz, i, i->arg[k]) : copy_before(fz, i, i->arg[k]);
    }
  }
}

// An index map that a product or kernel reads through is made in memory; a reshape is not needed
// there.
static void set_roles(Fuse *fz) {
  for (Inst *i = fz->body->first; i; i = i->next) {
    const OpDef *op = op_table[i->op];
    if (i->n_results > 1 && i->op != OP_scan)
      ice("fuse: %s has several results", op->name);
    bool free = (op->kind == K_SHAPE && !is_copy(i)) || op->kind == K_SOURCE;
    for (uint32_t k = 0; k < i->n_results; k++)
      fz->node[i->result[k]->id].role = i->op == OP_literal ? V_LEAF : free ? V_FREE : V_NODE;
    for (uint32_t k = 0; reads_memory(i) && k < i->n_args; k++) {
      Node *root = &fz->node[behind_reshapes(i->arg[k])->id];
      if (root->role == V_FREE)
        root->role = V_NODE;
    }
  }
}

static void set_results(Fuse *fz) {
  const Function *f = fz->f;
  for (uint32_t i = 0; i < fz->body->last->n_args; i++) {
    if (is_unchanged(f, i))
      continue;
    Value *v = fz->body->last->arg[i];
    Node *root = &fz->node[behind_reshapes(v)->id];
    const Value *old =
        f && ir_is_stored(f->result_port[i].role) ? argument_of_port(f, &f->result_port[i]) : NULL;
    root->returned = true;
    root->yield_type = &v->type;
    if (old) {
      root->overwrites = old->id;
      fz->node[old->id].overwritten_by = root->value->id;
    }
  }
}

static void number_values(Fuse *fz) {
  Region *body = fz->body;
  fz->n = ir_number_region(body);
  fz->cap = fz->n + body->last->n_args; // a result that can't be made in place gets a copy
  fz->node = arena_array(fz->arena, Node, fz->cap);
  for (uint32_t i = 0; i < fz->cap; i++)
    fz->node[i].overwrites = fz->node[i].overwritten_by = NO_VALUE;
  for (uint32_t i = 0; i < body->n_arg; i++)
    fz->node[i].value = body->arg[i];
  for (const Inst *i = body->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_results; k++)
      fz->node[i->result[k]->id].value = i->result[k];
}

static void fuse_region(Module *m, Region *body, Function *f) {
  Fuse fz = {.body = body, .f = f, .m = m, .arena = m->arena};
  for (Inst *i = body->first; i; i = i->next)
    if (i->op == OP_scan)
      fuse_region(m, i->body, NULL);
  insert_copies(&fz);
  insert_operands(&fz);
  number_values(&fz);
  set_roles(&fz);
  set_results(&fz);
  fuse_analyse(&fz);
  for (uint32_t v = 0; v < fz.n; v++)
    if (fz.node[v].role == V_NODE)
      place_value(&fz, v);
  fuse_recompute(&fz);
  fuse_merge(&fz);
  fuse_build(&fz);
}

void pass_fuse(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++)
    fuse_region(m, m->fn.at[k]->body, m->fn.at[k]);
}
