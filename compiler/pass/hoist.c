// does:   moves out of scans what depends on no carry. What is the same in every turn is computed
//         once before the loop; products (gathers, reductions) of slices are made for all turns at
//         once, before it; products that feed no carry, after it
// needs:  batched IR, simplified
// leaves: the same program; cheap values stay where they are read, unless a product needs them
// cost:   linear in instructions of bodies, times their depth
#include "ops/op.h"
#include "pass/scans.h"

typedef enum { SAME, SLICE, VARYING } Depends; // on nothing of the turn, on slices, on carries

typedef struct {
  Module *m;
  Inst *scan;
  ScanShape shape;
  Depends *depends; // by id
  bool *moved;      // by id of values: computed before the loop
  bool *late;       // by id: computed after it
  Value **outside;  // by id: what it is before the loop (of all turns, if SLICE), or after it
} Hoist;

// ---- what can move -----------------------------------------------------------------------------

static bool is_heavy(const Inst *inst) {
  OpKind kind = op_table[inst->op]->kind;
  return kind == K_CONTRACT || kind == K_INDEX || kind == K_REDUCE;
}

// Can it be computed for all turns at once? By its rule for batches.
static bool can_lift(const Hoist *h, const Inst *inst) {
  const OpDef *op = op_table[inst->op];
  if (inst->n_results != 1 || inst->result[0]->type.rank == MAX_RANK)
    return false;
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (inst->arg[i]->type.rank == MAX_RANK)
      return false;
  if (inst->op == OP_gather)
    return h->depends[inst->arg[0]->id] == SAME;
  return op->kind == K_ELEM ||
         (op->batch && (op->kind == K_SHAPE || op->kind == K_CONTRACT || op->kind == K_REDUCE));
}

static bool is_pure(const Inst *inst) {
  return op_table[inst->op]->kind != K_CONTROL && inst->n_results == 1;
}

static Depends depends_of(const Hoist *h, const Inst *inst) {
  Depends d = is_pure(inst) ? SAME : VARYING;
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (h->depends[inst->arg[i]->id] > d)
      d = h->depends[inst->arg[i]->id];
  return d == SLICE && !can_lift(h, inst) ? VARYING : d;
}

static void find_depends(Hoist *h) {
  const Region *r = h->scan->body;
  for (uint32_t i = 0; i < r->n_arg; i++)
    h->depends[r->arg[i]->id] = i < h->shape.carries                       ? VARYING
                                : i < h->shape.carries + h->shape.captures ? SAME
                                                                           : SLICE;
  for (const Inst *i = r->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_results; k++)
      h->depends[i->result[k]->id] = depends_of(h, i);
}

// The same in every turn and not cheap: or of all turns, and better done at once.
static bool should_move(const Hoist *h, const Inst *inst) {
  const OpDef *op = op_table[inst->op];
  switch (h->depends[inst->result[0]->id]) {
  case SAME:
    return is_heavy(inst) || op->kind == K_RANDOM ||
           (op->kind == K_ELEM && !(op->flags & OPF_CHEAP) && inst->result[0]->type.rank);
  case SLICE:
    return is_heavy(inst);
  case VARYING:
    break;
  }
  return false;
}

// An elementwise operation on nothing but what moves joins it: the end of a product costs nothing.
static bool joins(const Hoist *h, const Inst *inst) {
  bool any = false;
  if (op_table[inst->op]->kind != K_ELEM || h->depends[inst->result[0]->id] == VARYING)
    return false;
  for (uint32_t i = 0; i < inst->n_args; i++) {
    const Value *v = inst->arg[i];
    any |= h->moved[v->id] && v->uses == 1;
    if (h->depends[v->id] == SLICE && !h->moved[v->id])
      return false;
  }
  return any;
}

static void mark_moved(Hoist *h) {
  for (const Inst *i = h->scan->body->first; i; i = i->next)
    if (i->n_results == 1)
      h->moved[i->result[0]->id] = should_move(h, i) || joins(h, i);
}

// ---- values outside ----------------------------------------------------------------------------

static Value *spread_over(Builder *b, Value *x, Dim turns) {
  uint32_t axes[MAX_RANK];
  Type to = x->type;
  to.rank++;
  to.dim[0] = turns;
  for (uint32_t i = 0; i < x->type.rank; i++) {
    axes[i] = i + 1;
    to.dim[i + 1] = x->type.dim[i];
  }
  return ir_broadcast(b, x, axes, to);
}

// The instruction for all turns; all[i]: arg[i] has them on axis 0.
static Value *lifted(Hoist *h, Builder *b, Inst *inst, Value **arg, const bool *all) {
  const OpDef *op = op_table[inst->op];
  bool any = false;
  for (uint32_t i = 0; i < inst->n_args; i++)
    any |= all[i];
  b->loc = inst->loc;
  if (any && op->batch)
    return op->batch(b, inst, arg, all);
  for (uint32_t i = 0; any && i < inst->n_args; i++)
    if (!all[i])
      arg[i] = spread_over(b, arg[i], h->shape.length);
  return ir_inst(b, inst->op, arg, inst->n_args, inst->attr, inst->n_attrs)->result[0];
}

// A value of the body that is SAME or SLICE, outside.
static Value *outside(Hoist *h, Builder *b, Value *v) {
  if (h->outside[v->id])
    return h->outside[v->id];
  if (!v->def)
    return h->outside[v->id] = h->scan->arg[v->index];
  Inst *inst = v->def;
  Value **arg = arena_array(h->m->arena, Value *, inst->n_args + 1);
  bool *all = arena_array(h->m->arena, bool, inst->n_args + 1);
  for (uint32_t i = 0; i < inst->n_args; i++) {
    arg[i] = outside(h, b, inst->arg[i]);
    all[i] = h->depends[inst->arg[i]->id] == SLICE;
  }
  return h->outside[v->id] = lifted(h, b, inst, arg, all);
}

// Is it read by something that stays?
static bool *find_read(const Hoist *h, uint32_t n) {
  bool *read = arena_array(h->m->arena, bool, n + 1);
  for (const Inst *i = h->scan->body->first; i; i = i->next)
    if (i->n_results != 1 || !h->moved[i->result[0]->id])
      for (uint32_t k = 0; k < i->n_args; k++)
        read[i->arg[k]->id] = true;
  return read;
}

static bool move_before(Hoist *h, uint32_t n) {
  Builder b = {.m = h->m, .region = h->scan->parent, .before = h->scan};
  const bool *read = find_read(h, n);
  bool any = false;
  for (Inst *i = h->scan->body->first; i; i = i->next) {
    Value *v = i->n_results == 1 ? i->result[0] : NULL;
    if (!v || !h->moved[v->id] || !read[v->id])
      continue;
    Value *out = outside(h, &b, v);
    Value *in = h->depends[v->id] == SAME ? scan_capture(h->m, h->scan, out)
                                          : scan_sequence(h->m, h->scan, out);
    if (in->id == UINT32_MAX) // a new one: what is known of v holds for it
      in->id = v->id;
    ir_replace(v, in);
    any = true;
  }
  return any;
}

// ---- after the loop ----------------------------------------------------------------------------

// Values that carries need, by id: they stay.
static bool *needed_by_carries(const Hoist *h, uint32_t n) {
  bool *needed = arena_array(h->m->arena, bool, n + 1);
  const Inst *yield = h->scan->body->last;
  for (uint32_t i = 0; i < h->shape.carries; i++)
    needed[yield->arg[i]->id] = true;
  for (const Inst *i = yield->prev; i; i = i->prev) {
    bool any = false;
    for (uint32_t k = 0; k < i->n_results; k++)
      any |= needed[i->result[k]->id];
    for (uint32_t k = 0; k < i->n_args && any; k++)
      needed[i->arg[k]->id] = true;
  }
  return needed;
}

static bool has_late_argument(const Hoist *h, const Inst *inst) {
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (h->late[inst->arg[i]->id])
      return true;
  return false;
}

// Products that feed no carry and are only stacked, with what is made of them.
static void mark_late(Hoist *h, uint32_t n) {
  const bool *needed = needed_by_carries(h, n);
  Region *r = h->scan->body;
  for (const Inst *i = r->first; i; i = i->next) {
    bool start = op_table[i->op]->kind == K_CONTRACT || has_late_argument(h, i);
    if (i->n_results == 1 && start && !needed[i->result[0]->id] && can_lift(h, i))
      h->late[i->result[0]->id] = true;
  }
  for (bool again = true; again;) {
    again = false;
    for (const Inst *i = r->first; i; i = i->next) {
      bool is_late = i->n_results == 1 && h->late[i->result[0]->id];
      bool start = op_table[i->op]->kind == K_CONTRACT || has_late_argument(h, i);
      if (is_late && !start) {
        h->late[i->result[0]->id] = false;
        again = true;
      }
      for (uint32_t k = 0; k < i->n_args && !is_late && i->op != OP_yield; k++)
        if (h->late[i->arg[k]->id]) {
          h->late[i->arg[k]->id] = false;
          again = true;
        }
    }
  }
}

// A value of the body after the loop; *all: of all turns.
static Value *after(Hoist *h, Builder *b, Value *v, bool *all) {
  *all = h->depends[v->id] != SAME;
  if (h->outside[v->id])
    return h->outside[v->id];
  if (!*all)
    return outside(h, b, v);
  if (!h->late[v->id])
    return h->outside[v->id] = scan_stack(h->m, h->scan, v);
  Inst *inst = v->def;
  Value **arg = arena_array(h->m->arena, Value *, inst->n_args + 1);
  bool *of_all = arena_array(h->m->arena, bool, inst->n_args + 1);
  for (uint32_t i = 0; i < inst->n_args; i++)
    arg[i] = after(h, b, inst->arg[i], &of_all[i]);
  return h->outside[v->id] = lifted(h, b, inst, arg, of_all);
}

static bool move_after(Hoist *h) {
  Builder b = {.m = h->m, .region = h->scan->parent, .before = h->scan->next};
  bool any = false, all;
  for (uint32_t i = h->shape.carries; i < h->shape.carries + h->shape.yields; i++) {
    Value *v = h->scan->body->last->arg[i];
    if (!h->late[v->id])
      continue;
    ir_replace(h->scan->result[i], after(h, &b, v, &all));
    any = true;
  }
  return any;
}

// ---- the pass ----------------------------------------------------------------------------------

static Hoist hoist_begin(Module *m, Inst *scan, uint32_t *n) {
  Hoist h = {.m = m, .scan = scan, .shape = scan_shape(scan)};
  *n = scan->body->n_arg;
  for (const Inst *i = scan->body->first; i; i = i->next)
    *n += i->n_results;
  h.depends = arena_array(m->arena, Depends, *n + 1);
  h.moved = arena_array(m->arena, bool, *n + 1);
  h.late = arena_array(m->arena, bool, *n + 1);
  h.outside = arena_array(m->arena, Value *, *n + 1);
  find_depends(&h);
  return h;
}

// Ids and uses are fresh. Loops inside first: what leaves them may leave this one next time.
static bool hoist_region(Module *m, Region *r) {
  bool any = false;
  for (Inst *i = r->first, *next; i; i = next) {
    next = i->next;
    if (i->op != OP_scan)
      continue;
    if (hoist_region(m, i->body)) {
      any = true; // its ids are old now
      continue;
    }
    uint32_t n;
    Hoist h = hoist_begin(m, i, &n);
    mark_moved(&h);
    if (move_before(&h, n)) {
      any = true;
      continue;
    }
    mark_late(&h, n);
    any |= move_after(&h);
  }
  return any;
}

enum { MAX_ROUNDS = 16 };

static bool has_scan(const Function *f) {
  for (const Inst *i = f->body->first; i; i = i->next)
    if (i->op == OP_scan)
      return true;
  return false;
}

void pass_hoist(Module *m) {
  for (uint32_t k = 0; k < m->fn.n; k++) {
    Function *f = m->fn.at[k];
    bool again = has_scan(f);
    for (int round = 0; again && round < MAX_ROUNDS; round++) {
      ir_remove_dead(f);
      ir_number(f);
      ir_count_uses(f);
      again = hoist_region(m, f->body);
      again |= scan_tidy(f);
    }
    if (has_scan(f))
      ir_remove_dead(f);
  }
}
