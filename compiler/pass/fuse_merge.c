// After the walk: values that are cheaper to compute again where they are read than to store, and
// groups that become one because they sweep over the same space.
#include "pass/fuse.h"

enum { MAX_RECOMPUTED = 6, SMALL_ROWS = 1 << 16 };

// ---- recomputing instead of storing -------------------------------------------------------------

typedef struct {
  Fuse *fz;
  uint32_t v;
  Ids set;  // what would be computed again: v and what only leads to it
  Ids leaf; // what that reads from memory
  bool cheap;
} Recompute;

static bool has(const Ids *ids, uint32_t id) {
  for (uint32_t i = 0; i < ids->n; i++)
    if (ids->at[i] == id)
      return true;
  return false;
}

static bool used_outside(const Fuse *fz, uint32_t v) {
  const Node *node = &fz->node[v];
  for (uint32_t k = 0; k < node->user.n; k++)
    if (fz->node[node->user.at[k]].group != node->group)
      return true;
  return false;
}

static bool is_stored(const Fuse *fz, uint32_t v) {
  return fz->node[v].returned || used_outside(fz, v);
}

static bool collect(Recompute *r, uint32_t v) {
  Fuse *fz = r->fz;
  const Node *node = &fz->node[v];
  const OpDef *op = op_table[node->value->def->op];
  if (op->kind != K_ELEM || r->set.n == MAX_RECOMPUTED)
    return false;
  buf_push(fz->arena, &r->set, v);
  r->cheap &= (op->flags & OPF_CHEAP) != 0;
  for (uint32_t k = 0; k < node->access.n; k++) {
    uint32_t leaf = node->access.at[k].leaf;
    bool same_group = fz->node[leaf].group == node->group && node->group;
    if (has(&r->set, leaf))
      continue;
    if (!same_group || is_stored(fz, leaf)) {
      if (!has(&r->leaf, leaf))
        buf_push(fz->arena, &r->leaf, leaf);
    } else if (!access_is_flat(fz, &node->access.at[k], value_count(fz, leaf)) || !collect(r, leaf))
      return false;
  }
  return true;
}

// Everything recomputed is for one other group: then it moves there, whatever it costs.
static bool moves_to(const Recompute *r, const FuseGroup *to) {
  for (uint32_t i = 0; i < r->set.n; i++) {
    const Node *node = &r->fz->node[r->set.at[i]];
    for (uint32_t k = 0; k < node->user.n; k++)
      if (r->fz->node[node->user.at[k]].group != to && !has(&r->set, node->user.at[k]))
        return false;
  }
  return true;
}

static bool reads_leaf(const Fuse *fz, const FuseGroup *g, uint32_t leaf) {
  const Ids *users = &fz->node[leaf].user;
  for (uint32_t k = 0; k < users->n; k++)
    if (fz->node[users->at[k]].group == g)
      return true;
  return false;
}

// Each element once, in another order, in a loop or a row: then what moves there is made in that
// order.
static bool reads_permuted(const Recompute *r, uint32_t user, const Access *a) {
  const FuseGroup *to = r->fz->node[user].group;
  return (to->kind == G_LOOP || to->kind == G_ROW) && !a->view.other && moves_to(r, to) &&
         value_count(r->fz, user) == value_count(r->fz, r->v);
}

// The reader takes r's value at its own element, and can address what that is computed from.
static bool user_takes(const Recompute *r, uint32_t user) {
  Fuse *fz = r->fz;
  const Node *node = &fz->node[user];
  const FuseGroup *to = node->group;
  Dim count = value_count(fz, r->v);
  if ((!is_elementwise(node) && !is_reduce(node)) || node->value->def->op == OP_reshape)
    return false;
  for (uint32_t k = 0; k < node->access.n; k++)
    if (node->access.at[k].leaf == r->v && !access_is_flat(fz, &node->access.at[k], count) &&
        !reads_permuted(r, user, &node->access.at[k]))
      return false;
  if (!r->cheap && !moves_to(r, to))
    return false;
  int64_t more = 0;
  for (uint32_t i = 0; i < r->leaf.n; i++)
    if (!reads_leaf(fz, to, r->leaf.at[i]))
      more += bytes_estimate(fz, r->leaf.at[i]);
  if (more > 3 * 4 * dim_estimate(count) + 1024) // what writing it and reading it again costs
    return false;
  bool epilogue = to->kind == G_DOT || to->kind == G_KERNEL;
  for (uint32_t i = 0; epilogue && i < r->set.n; i++)
    for (uint32_t k = 0; k < fz->node[r->set.at[i]].access.n; k++)
      if (access_class(fz, &fz->node[r->set.at[i]].access.at[k], to->rows, to->columns) ==
          MAP_OTHER)
        return false;
  return true;
}

static bool worth_recomputing(Recompute *r) {
  Fuse *fz = r->fz;
  const Node *node = &fz->node[r->v];
  if (node->role != V_NODE || node->returned || !used_outside(fz, r->v) || !collect(r, r->v))
    return false;
  for (uint32_t k = 0; k < node->user.n; k++)
    if (fz->node[node->user.at[k]].group != node->group && !user_takes(r, node->user.at[k]))
      return false;
  return true;
}

static void remove_member(FuseGroup *g, uint32_t v) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < g->member.n; i++)
    if (g->member.at[i] != v)
      g->member.at[n++] = g->member.at[i];
  g->member.n = n;
  g->dead = n == 0;
}

// Readers first: what they no longer read may then be recomputed too.
void fuse_recompute(Fuse *fz) {
  for (uint32_t v = fz->n; v-- > 0;) {
    Recompute r = {.fz = fz, .v = v, .cheap = true};
    if (!worth_recomputing(&r))
      continue;
    for (uint32_t i = 0; i < r.set.n; i++)
      remove_member(fz->node[r.set.at[i]].group, r.set.at[i]);
    fuse_set_free(fz, &r.set);
  }
  fill_update_only(fz);
}

// ---- merging ------------------------------------------------------------------------------------

static bool outside_reaches(Fuse *fz, FuseGroup *dependence, void *pair) {
  FuseGroup **ab = pair; // ab[0] is the group that `dependence` is a dependence of
  return dependence != ab[0] && dependence != ab[1] && group_reaches_too(fz, ab[1], dependence);
}

// Is there a path between a and b, either way, through a third group?
static bool path_between(Fuse *fz, FuseGroup *a, FuseGroup *b) {
  for (int turn = 0; turn < 2; turn++) {
    FuseGroup *ab[2] = {turn ? a : b, turn ? b : a};
    fz->visits++;
    for (uint32_t i = 0; i < ab[0]->member.n; i++)
      if (each_dependence(fz, &fz->node[ab[0]->member.at[i]], outside_reaches, ab))
        return true;
  }
  return false;
}

static bool all_fit(Fuse *fz, const FuseGroup *space, const FuseGroup *a, const FuseGroup *b) {
  for (uint32_t i = 0; i < a->member.n; i++)
    if (!space_accepts(fz, space, a, b, a->member.at[i], NO_VALUE))
      return false;
  for (uint32_t i = 0; i < b->member.n; i++)
    if (!space_accepts(fz, space, a, b, b->member.at[i], NO_VALUE))
      return false;
  return true;
}

// The group that both become: two of a kind over one space, or a loop inside rows or columns.
static const FuseGroup *common_space(const FuseGroup *a, const FuseGroup *b) {
  if (a->kind == b->kind)
    return a->rows == b->rows && a->columns == b->columns && a->kind != G_DOT ? a : NULL;
  const FuseGroup *loop = a->kind == G_LOOP ? a : b, *other = a->kind == G_LOOP ? b : a;
  bool mixes = loop->kind == G_LOOP && (other->kind == G_ROW || other->kind == G_COLUMN);
  return mixes ? other : NULL;
}

static void merge_into(Fuse *fz, FuseGroup *a, FuseGroup *b, const FuseGroup *space) {
  Ids all = {0};
  for (uint32_t i = 0, k = 0; i < a->member.n || k < b->member.n;) {
    bool first = k == b->member.n || (i < a->member.n && a->member.at[i] < b->member.at[k]);
    buf_push(fz->arena, &all, first ? a->member.at[i++] : b->member.at[k++]);
  }
  GroupKind kind = space->kind;
  Dim rows = space->rows, columns = space->columns;
  a->kind = kind, a->rows = rows, a->columns = columns;
  a->member = all;
  for (uint32_t i = 0; i < all.n; i++)
    fz->node[all.at[i]].group = a;
  b->member.n = 0;
  b->dead = true;
  uint32_t high = a->high > b->high ? a->high : b->high;
  a->high = a->high < b->high ? a->high : b->high;
  fuse_raise(fz, a, high);
}

static bool feeds_only(const Fuse *fz, const FuseGroup *from, const FuseGroup *to) {
  for (uint32_t i = 0; i < from->member.n; i++) {
    const Node *node = &fz->node[from->member.at[i]];
    for (uint32_t k = 0; k < node->user.n; k++)
      if (fz->node[node->user.at[k]].group != from && fz->node[node->user.at[k]].group != to)
        return false;
  }
  return true;
}

// A single number that others wait for too is not worth waiting for the rows of another group.
static bool delays_numbers(const Fuse *fz, const FuseGroup *a, const FuseGroup *b) {
  const FuseGroup *loop = a->kind == G_LOOP ? a : b, *other = a->kind == G_LOOP ? b : a;
  return a->kind != b->kind && loop->rows == 1 && !feeds_only(fz, loop, other);
}

static bool try_merge(Fuse *fz, FuseGroup *a, FuseGroup *b) {
  if (!a || !b || a == b || a->dead || b->dead || a->closed || b->closed)
    return false;
  const FuseGroup *space = common_space(a, b);
  if (!space || space->kind == G_KERNEL || delays_numbers(fz, a, b) || !all_fit(fz, space, a, b) ||
      path_between(fz, a, b))
    return false;
  merge_into(fz, a, b, space);
  return true;
}

// Groups that make what a member of g reads, and groups that read the same tensor at the same
// element.
static bool merge_near(Fuse *fz, FuseGroup *g, uint32_t v) {
  const Node *node = &fz->node[v];
  Dim count = value_count(fz, v);
  for (uint32_t k = 0; k < node->access.n; k++) {
    const Node *leaf = &fz->node[node->access.at[k].leaf];
    if (try_merge(fz, leaf->group, g))
      return true;
    bool shared = is_reduce(node) || access_is_flat(fz, &node->access.at[k], count);
    for (uint32_t i = 0; shared && i < leaf->user.n; i++)
      if (try_merge(fz, fz->node[leaf->user.at[i]].group, g))
        return true;
  }
  return false;
}

// Tiny launches cost more than they do: single numbers, and short sums over everything.
static bool is_tiny(const FuseGroup *g) {
  return (g->kind == G_LOOP && g->rows == 1) ||
         (g->kind == G_ROW && g->rows == 1 && dim_estimate(g->columns) < SMALL_ROWS);
}

static bool merge_tiny(Fuse *fz, FuseGroup *g) {
  for (uint32_t i = 0; is_tiny(g) && i < fz->group.n; i++)
    if (is_tiny(fz->group.at[i]) && fz->group.at[i]->kind == g->kind &&
        try_merge(fz, fz->group.at[i], g))
      return true;
  return false;
}

static bool merge_group(Fuse *fz, FuseGroup *g) {
  if (g->dead || g->kind == G_DOT || g->kind == G_KERNEL)
    return false;
  for (uint32_t i = 0; i < g->member.n; i++)
    if (merge_near(fz, g, g->member.at[i]))
      return true;
  return merge_tiny(fz, g);
}

void fuse_merge(Fuse *fz) {
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = 0; i < fz->group.n; i++)
      changed |= merge_group(fz, fz->group.at[i]);
  }
}
