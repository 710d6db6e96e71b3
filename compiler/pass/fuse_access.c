// What every value made by a group reads from memory and through which index map; who reads it;
// which groups depend on which.
#include "pass/fuse.h"

#include <string.h>

enum { MAX_PATH = 64, TYPICAL_ROWS = 128 };

int64_t dim_estimate(Dim d) {
  return d < 0 ? -d * TYPICAL_ROWS : d;
}

Dim value_count(const Fuse *fz, uint32_t id) {
  return type_count(&fz->node[id].value->type);
}

int64_t bytes_estimate(const Fuse *fz, uint32_t id) {
  static const int64_t bytes[] = {4, 8, 2, 4, 1, 1}; // by ElemType
  return dim_estimate(value_count(fz, id)) * bytes[fz->node[id].value->type.elem];
}

bool is_reduce(const Node *node) {
  return node->value->def && op_table[node->value->def->op]->kind == K_REDUCE;
}

bool is_scan_result(const Node *node) {
  return node->value->def && node->value->def->op == OP_scan;
}

bool reads_memory(const Inst *inst) {
  const OpDef *op = op_table[inst->op];
  return op->kernel || op->kind == K_CONTRACT || inst->op == OP_scan;
}

bool is_elementwise(const Node *node) {
  OpKind kind = node->value->def ? op_table[node->value->def->op]->kind : K_CONTROL;
  return kind == K_ELEM || kind == K_SHAPE || kind == K_SOURCE;
}

// ---- accesses -----------------------------------------------------------------------------------

typedef struct {
  Fuse *fz;
  Node *reader;
  const Inst *path[MAX_PATH]; // index maps between reader and leaf
  uint32_t n_path;
} Walk;

static void add_access(Walk *w, uint32_t leaf) {
  View view = view_of_tensor(&w->fz->node[leaf].value->type);
  for (uint32_t i = w->n_path; i-- > 0;)
    view = view_through(&view, w->path[i]);
  buf_push(w->fz->arena, &w->reader->access, (Access){leaf, view});
}

static void walk_arguments(Walk *w, const Inst *inst);

static void walk_value(Walk *w, const Value *v) {
  if (w->fz->node[v->id].role != V_FREE)
    add_access(w, v->id);
  else
    walk_arguments(w, v->def);
}

static void walk_arguments(Walk *w, const Inst *inst) {
  bool map = op_table[inst->op]->kind == K_SHAPE;
  if (map && w->n_path == MAX_PATH)
    ice("fuse: more than %d index maps in a row", MAX_PATH);
  if (map)
    w->path[w->n_path++] = inst;
  for (uint32_t i = 0; i < inst->n_args; i++)
    walk_value(w, inst->arg[i]);
  w->n_path -= map;
}

static void add_user(Fuse *fz, uint32_t leaf, uint32_t user) {
  Ids *users = &fz->node[leaf].user;
  if (!users->n || users->at[users->n - 1] != user)
    buf_push(fz->arena, users, user);
}

static const Node *user_of(const Fuse *fz, const Node *node, uint32_t k) {
  return &fz->node[node->user.at[k]];
}

// Elementwise chains that end in new params, slots or state. Later values first: a value's users
// are known when it is looked at.
void fill_update_only(Fuse *fz) {
  for (uint32_t id = fz->n; id-- > 0;) {
    Node *node = &fz->node[id];
    bool only = node->overwrites != NO_VALUE || (node->user.n && !node->returned);
    for (uint32_t k = 0; k < node->user.n; k++)
      only &= user_of(fz, node, k)->update_only && is_elementwise(user_of(fz, node, k));
    node->update_only = only;
  }
}

static void fill_access(Fuse *fz, Node *node) {
  Walk w = {.fz = fz, .reader = node};
  node->access.n = 0;
  walk_arguments(&w, node->value->def);
}

void fuse_analyse(Fuse *fz) {
  for (uint32_t id = 0; id < fz->n; id++) {
    fz->node[id].access.n = 0;
    fz->node[id].user.n = 0;
  }
  for (uint32_t id = 0; id < fz->n; id++) {
    Node *node = &fz->node[id];
    if (node->role != V_NODE)
      continue;
    fill_access(fz, node);
    for (uint32_t k = 0; k < node->access.n; k++)
      add_user(fz, node->access.at[k].leaf, id);
  }
  fill_update_only(fz);
}

// Users are sorted.
static void insert_user(Fuse *fz, uint32_t leaf, uint32_t user) {
  Ids *users = &fz->node[leaf].user;
  uint32_t k = users->n;
  while (k && users->at[k - 1] > user)
    k--;
  if (k && users->at[k - 1] == user)
    return;
  buf_push(fz->arena, users, user);
  memmove(&users->at[k + 1], &users->at[k], (users->n - 1 - k) * sizeof user);
  users->at[k] = user;
}

static void remove_user(Fuse *fz, uint32_t leaf, uint32_t user) {
  Ids *users = &fz->node[leaf].user;
  uint32_t n = 0;
  for (uint32_t k = 0; k < users->n; k++)
    if (users->at[k] != user)
      users->at[n++] = users->at[k];
  users->n = n;
}

static void forget_access(Fuse *fz, uint32_t id) {
  Node *node = &fz->node[id];
  for (uint32_t k = 0; k < node->access.n; k++)
    remove_user(fz, node->access.at[k].leaf, id);
  node->access.n = 0;
}

void fuse_set_free(Fuse *fz, const Ids *set) {
  Ids readers = {0};
  for (uint32_t i = 0; i < set->n; i++) {
    Node *node = &fz->node[set->at[i]];
    for (uint32_t k = 0; k < node->user.n; k++)
      buf_push(fz->arena, &readers, node->user.at[k]);
    forget_access(fz, set->at[i]);
    node->role = V_FREE;
    node->group = NULL;
  }
  for (uint32_t i = 0; i < readers.n; i++) {
    Node *reader = &fz->node[readers.at[i]];
    if (reader->role != V_NODE)
      continue;
    forget_access(fz, readers.at[i]);
    fill_access(fz, reader);
    for (uint32_t k = 0; k < reader->access.n; k++)
      insert_user(fz, reader->access.at[k].leaf, readers.at[i]);
    if (reader->group)
      fuse_joined(fz, readers.at[i]);
  }
  for (uint32_t i = 0; i < set->n; i++)
    fz->node[set->at[i]].user.n = 0;
}

uint32_t fuse_add_value(Fuse *fz, Value *v) {
  if (fz->n == fz->cap)
    ice("fuse: more copies than results");
  v->id = fz->n++;
  fz->node[v->id] =
      (Node){.value = v, .role = V_NODE, .overwrites = NO_VALUE, .overwritten_by = NO_VALUE};
  return v->id;
}

MapClass access_class(const Fuse *fz, const Access *a, Dim rows, Dim columns) {
  return view_class(&a->view, &fz->node[a->leaf].value->type, rows, columns);
}

bool access_is_flat(const Fuse *fz, const Access *a, Dim count) {
  MapClass c = access_class(fz, a, count, 1);
  return c == MAP_FLAT || (c == MAP_ONE && count == 1);
}

// ---- dependences between groups -----------------------------------------------------------------

bool each_dependence(Fuse *fz, const Node *v, GroupVisit *visit, void *ctx) {
  for (uint32_t k = 0; k < v->access.n; k++) {
    FuseGroup *g = fz->node[v->access.at[k].leaf].group;
    if (g && g != v->group && visit(fz, g, ctx))
      return true;
  }
  if (v->overwrites == NO_VALUE)
    return false;
  const Ids *readers = &fz->node[v->overwrites].user;
  for (uint32_t k = 0; k < readers->n; k++) {
    FuseGroup *g = fz->node[readers->at[k]].group;
    if (g && g != v->group && visit(fz, g, ctx))
      return true;
  }
  return false;
}

// To the groups that need v's.
static void raise_readers(Fuse *fz, uint32_t v) {
  const Node *node = &fz->node[v];
  for (uint32_t k = 0; k < node->user.n; k++) {
    FuseGroup *g = fz->node[node->user.at[k]].group;
    if (g)
      fuse_raise(fz, g, node->group->high);
  }
  for (uint32_t k = 0; k < node->access.n; k++) { // whoever overwrites what v reads
    uint32_t writer = fz->node[node->access.at[k].leaf].overwritten_by;
    if (writer != NO_VALUE && fz->node[writer].group)
      fuse_raise(fz, fz->node[writer].group, node->group->high);
  }
}

void fuse_raise(Fuse *fz, FuseGroup *g, uint32_t high) {
  if (g->high >= high)
    return;
  g->high = high;
  for (uint32_t i = 0; i < g->member.n; i++)
    raise_readers(fz, g->member.at[i]);
}

static bool take_high(Fuse *fz, FuseGroup *dependence, void *high) {
  (void)fz;
  uint32_t *h = high;
  *h = dependence->high > *h ? dependence->high : *h;
  return false;
}

void fuse_joined(Fuse *fz, uint32_t v) {
  uint32_t high = v;
  each_dependence(fz, &fz->node[v], take_high, &high);
  fuse_raise(fz, fz->node[v].group, high);
  raise_readers(fz, v);
}

// A group whose needs end before the wanted one begins can't need it.
static bool finds(Fuse *fz, FuseGroup *g, void *wanted) {
  const FuseGroup *w = wanted;
  if (g == wanted)
    return true;
  if (g->visit == fz->visits || (w->member.n && g->high < w->member.at[0]))
    return false;
  g->visit = fz->visits;
  for (uint32_t i = 0; i < g->member.n; i++)
    if (each_dependence(fz, &fz->node[g->member.at[i]], finds, wanted))
      return true;
  return false;
}

bool group_reaches(Fuse *fz, FuseGroup *from, FuseGroup *to) {
  fz->visits++;
  return group_reaches_too(fz, from, to);
}

bool group_reaches_too(Fuse *fz, FuseGroup *from, FuseGroup *to) {
  return from != to && finds(fz, to, from);
}

static bool reached_elsewhere(Fuse *fz, FuseGroup *dependence, void *g) {
  return group_reaches_too(fz, g, dependence);
}

bool path_around(Fuse *fz, FuseGroup *g, uint32_t v) {
  fz->visits++;
  if (each_dependence(fz, &fz->node[v], reached_elsewhere, g))
    return true;
  // Whoever overwrites an argument that v reads comes after v: g must not need it.
  for (uint32_t k = 0; k < fz->node[v].access.n; k++) {
    uint32_t writer = fz->node[fz->node[v].access.at[k].leaf].overwritten_by;
    FuseGroup *later = writer == NO_VALUE ? NULL : fz->node[writer].group;
    if (later && later != g && group_reaches(fz, later, g))
      return true;
  }
  return false;
}
