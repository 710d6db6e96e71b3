// The gradient of a scan is a scan in the other direction. Its carries are the gradients of the
// carries; its yields are those of the slices. How it is made: the sweep puts gradients behind the
// forward values, into the forward body itself; then they move into a body of their own. What they
// read of the forward values is made again there if that is one cheap operation of what is known,
// and otherwise saved: a stack that the forward scan yields. A captured value's gradient is a sum
// over time: after the loop (grad_time.c), else it is added up in one more carry.
#include "pass/grad_scan.h"
#include "pass/gradmask.h"
#include "pass/scans.h"

// ---- the sweep, in the forward body ------------------------------------------------------------

static uint32_t values_in(const Region *r) {
  uint32_t n = r->n_arg;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  return n;
}

// A carry depends on what is differentiated for if it starts or goes on so.
static bool *active_in_body(Module *m, const Inst *scan, GradSink *outer) {
  const Region *r = scan->body;
  bool *active = arena_array(m->arena, bool, values_in(r) + 1), more = true;
  for (uint32_t i = 0; i < scan->n_args; i++)
    active[r->arg[i]->id] =
        elem_is_float(r->arg[i]->type.elem) && grad_wanted(outer, (Inst *)scan, i);
  while (more) {
    more = false;
    grad_spread_active(r->first, r->last, active);
    for (uint32_t i = 0; i < scan_shape(scan).carries; i++)
      if (active[r->last->arg[i]->id] && !active[r->arg[i]->id] &&
          elem_is_float(r->arg[i]->type.elem))
        more = active[r->arg[i]->id] = true;
  }
  return active;
}

// Stands in the forward body for what will be an argument of the backward body.
static Value *stand_in(ScanGrad *g, const Type *type) {
  Value *v = arena_new(g->m->arena, Value);
  v->type = *type;
  v->type.range = 0;
  v->region = g->scan->body;
  return v;
}

static Type truth_of(const Value *v) {
  Type type = v->type;
  type.elem = TY_BOOL;
  type.range = 0;
  return type;
}

// Do the carries' gradients need a support? If one comes from outside or begins in the body.
static bool has_supports(const ScanGrad *g, Value *const *dres) {
  for (uint32_t i = 0; i < g->scan->n_results; i++)
    if (dres[i] && grad_support(g->outer, g->scan->result[i]))
      return true;
  for (const Inst *i = g->scan->body->first; i; i = i->next)
    if (support_starts(i))
      return true;
  return false;
}

static void seed(ScanGrad *g, Builder *in, Value *const *dres) {
  const Inst *yield = g->scan->body->last;
  bool supports = has_supports(g, dres);
  for (uint32_t i = 0; i < g->scan->n_results; i++) {
    bool carry = i < g->shape.carries;
    if (carry ? !g->active[g->scan->body->arg[i]->id] : !dres[i] || !g->active[yield->arg[i]->id])
      continue;
    g->given[i] = stand_in(g, &yield->arg[i]->type);
    if (carry ? supports : grad_support(g->outer, g->scan->result[i]) != NULL) {
      Type type = truth_of(yield->arg[i]);
      g->given_support[i] = stand_in(g, &type);
    }
    grad_seed(g->sink, in, yield->arg[i], g->given[i], g->given_support[i]);
  }
}

static Value *gradient_or_zero(ScanGrad *g, Builder *in, Value *v) {
  Value *d = grad_of(g->sink, v);
  Type type = v->type;
  type.range = 0;
  return d ? d : ir_const(in, type, 0);
}

static Value *support_or_constant(ScanGrad *g, Builder *in, const Value *v) {
  bool any = grad_of(g->sink, v) != NULL;
  Value *support = any ? grad_support(g->sink, v) : NULL;
  return support ? support : ir_const(in, truth_of(v), any);
}

// Fills g->wanted and g->wanted_support: what the way back has to give.
static void collect(ScanGrad *g, Builder *in) {
  const Region *r = g->scan->body;
  for (uint32_t i = 0; i < g->scan->n_args; i++) {
    bool carry = i < g->shape.carries;
    if (carry && g->given[i])
      g->wanted[i] = gradient_or_zero(g, in, r->arg[i]);
    if (carry && g->given_support[i])
      g->wanted_support[i] = support_or_constant(g, in, r->arg[i]);
    if (!carry && grad_wanted(g->outer, g->scan, i))
      g->wanted[i] = grad_of(g->sink, r->arg[i]);
    if (!carry && g->wanted[i] && r->arg[i]->type.rank < MAX_RANK && !support_is_param(r->arg[i]))
      g->wanted_support[i] = grad_support(g->sink, r->arg[i]);
  }
}

static void sweep(ScanGrad *g, Value *const *dres) {
  Region *r = g->scan->body;
  Builder in = {.m = g->m, .region = r, .before = r->last, .loc = g->scan->loc};
  g->last = r->last->prev;
  g->active = active_in_body(g->m, g->scan, g->outer);
  g->sink = grad_sink(g->m, values_in(r), g->active);
  seed(g, &in, dres);
  grad_sweep(g->sink, &in, g->last);
  in.loc = g->scan->loc;
  collect(g, &in);
}

// ---- what to save ------------------------------------------------------------------------------

static Inst *first_backward(const ScanGrad *g) {
  return g->last ? g->last->next : g->scan->body->first;
}

// Fresh ids for all values of the body: forward ones, then backward ones, then stand-ins.
static void number_values(ScanGrad *g) {
  Region *r = g->scan->body;
  uint32_t id = 0;
  for (uint32_t i = 0; i < r->n_arg; i++)
    r->arg[i]->id = id++;
  for (Inst *i = r->first; i != first_backward(g); i = i->next)
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->id = id++;
  g->n_forward = id;
  for (Inst *i = first_backward(g); i; i = i->next)
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->id = id++;
  for (uint32_t i = 0; i < g->scan->n_results; i++)
    if (g->given[i]) {
      g->given[i]->id = id++;
      if (g->given_support[i])
        g->given_support[i]->id = id++;
    }
  g->needed = arena_array(g->m->arena, bool, id + 1);
  g->known = arena_array(g->m->arena, bool, id + 1);
  g->inside = arena_array(g->m->arena, Value *, id + 1);
}

bool grad_is_forward(const ScanGrad *g, const Value *v) {
  return v->id < g->n_forward;
}

static void need(ScanGrad *g, const Value *v) {
  g->needed[v->id] = true;
}

static bool is_needed(const ScanGrad *g, const Inst *inst) {
  for (uint32_t k = 0; k < inst->n_results; k++)
    if (g->needed[inst->result[k]->id])
      return true;
  return false;
}

static void need_backward_values(ScanGrad *g) {
  for (uint32_t i = 0; i < g->scan->n_args; i++)
    if (g->wanted[i] && (i < g->shape.carries || i >= g->shape.carries + g->shape.captures))
      need(g, g->wanted[i]);
  for (uint32_t i = 0; i < g->scan->n_args; i++)
    if (g->wanted_support[i])
      need(g, g->wanted_support[i]);
  for (uint32_t i = 0; i < g->stacked.n; i++)
    if (!grad_is_forward(g, g->stacked.at[i]))
      need(g, g->stacked.at[i]);
  for (uint32_t i = 0; i < g->added.n; i++)
    need(g, g->added.at[i]);
  const Inst *end = first_backward(g);
  for (Inst *i = g->scan->body->last->prev; i && i != end->prev; i = i->prev)
    for (uint32_t k = 0; k < i->n_args && is_needed(g, i); k++)
      need(g, i->arg[k]);
}

static bool is_cheap(const Inst *inst) {
  const OpDef *op = op_table[inst->op];
  return !inst->body && inst->n_results == 1 &&
         (op->flags & OPF_CHEAP || op->kind == K_SHAPE || op->kind == K_SOURCE);
}

static bool all_args(const Inst *inst, const bool *a, const bool *b) {
  for (uint32_t i = 0; i < inst->n_args; i++)
    if (!a[inst->arg[i]->id] && !b[inst->arg[i]->id])
      return false;
  return true;
}

// Known: captures, slices and what is cheap to make of them. A needed value that isn't known is
// made again if it is one cheap operation of others that are there anyway.
static void choose_saved(ScanGrad *g) {
  const Region *r = g->scan->body;
  for (uint32_t i = g->shape.carries; i < r->n_arg; i++)
    g->known[r->arg[i]->id] = true;
  for (const Inst *i = r->first; i != first_backward(g); i = i->next)
    if (is_cheap(i) && all_args(i, g->known, g->known))
      g->known[i->result[0]->id] = true;
  g->again = arena_array(g->m->arena, bool, g->n_forward + 1);
  for (uint32_t id = 0; id < g->n_forward; id++)
    g->again[id] = g->known[id];
  for (const Inst *i = g->last; i; i = i->prev)
    if (is_cheap(i) && is_needed(g, i) && all_args(i, g->known, g->needed))
      g->again[i->result[0]->id] = true;
}

// ---- the backward body -------------------------------------------------------------------------

typedef struct {
  BUF(Value *) outer;
  BUF(Value *) inner;
} ArgList;

typedef struct {
  ScanGrad *g;
  Region *body;
  Builder again; // where forward values are made again
  ArgList carry, capture, sequence;
} Back;

static Value *add_to(Back *back, ArgList *list, Value *outer, const Type *type) {
  Arena *arena = back->g->m->arena;
  Value *v = arena_new(arena, Value);
  v->type = *type;
  v->region = back->body;
  v->id = UINT32_MAX;
  buf_push(arena, &list->outer, outer);
  buf_push(arena, &list->inner, v);
  return v;
}

static Value *resolve(Back *back, Value *v);

static Value *made_again(Back *back, const Inst *inst) {
  Value **arg = arena_array(back->g->m->arena, Value *, inst->n_args + 1);
  for (uint32_t i = 0; i < inst->n_args; i++)
    arg[i] = resolve(back, inst->arg[i]);
  back->again.loc = inst->loc;
  Value *v =
      ir_inst(&back->again, inst->op, arg, inst->n_args, inst->attr, inst->n_attrs)->result[0];
  v->type = inst->result[0]->type;
  return v;
}

// What a value of the forward body is in the backward body.
static Value *resolve(Back *back, Value *v) {
  ScanGrad *g = back->g;
  uint32_t carries = g->shape.carries;
  if (v->id == UINT32_MAX || g->inside[v->id])
    return v->id == UINT32_MAX ? v : g->inside[v->id];
  if (!grad_is_forward(g, v))
    return v;
  Value *in;
  if (!v->def && v->index >= carries && v->index < carries + g->shape.captures)
    in = add_to(back, &back->capture, g->scan->arg[v->index], &v->type);
  else if (v->def && g->again[v->id])
    in = made_again(back, v->def);
  else
    in = add_to(back, &back->sequence, scan_stack(g->m, g->scan, v), &v->type);
  return g->inside[v->id] = in;
}

static void give_arguments(Back *back, Value *const *dres, Builder *b) {
  ScanGrad *g = back->g;
  for (uint32_t i = 0; i < g->scan->n_results; i++) {
    Value *v = g->given[i];
    if (!v)
      continue;
    Value *outer = dres[i] ? dres[i] : ir_const(b, v->type, 0);
    g->inside[v->id] =
        add_to(back, i < g->shape.carries ? &back->carry : &back->sequence, outer, &v->type);
  }
  for (uint32_t i = 0; i < g->scan->n_results; i++) {
    Value *v = g->given_support[i];
    if (!v)
      continue;
    Value *outer = dres[i] ? grad_support(g->outer, g->scan->result[i]) : NULL;
    if (!outer)
      outer = ir_const(b, v->type, dres[i] != NULL);
    g->inside[v->id] =
        add_to(back, i < g->shape.carries ? &back->carry : &back->sequence, outer, &v->type);
  }
}

// The values that end the body, as values of the forward body: carries (gradients, supports, sums),
// then what is yielded (gradients, supports, stacks).
static void yields_of(ScanGrad *g, Back *back, Builder *b, Value **out, uint32_t *n) {
  for (uint32_t i = 0; i < g->shape.carries; i++)
    if (g->given[i])
      out[(*n)++] = g->wanted[i];
  for (uint32_t i = 0; i < g->shape.carries; i++)
    if (g->given_support[i])
      out[(*n)++] = g->wanted_support[i];
  for (uint32_t i = 0; i < g->added.n; i++) {
    Value *v = g->added.at[i];
    Value *sum = add_to(back, &back->carry, ir_const(b, v->type, 0), &v->type);
    Builder in = {
        .m = g->m, .region = g->scan->body, .before = g->scan->body->last, .loc = g->scan->loc};
    out[(*n)++] = ir_binary(&in, OP_add, sum, v);
  }
  for (uint32_t i = g->shape.carries + g->shape.captures; i < g->scan->n_args; i++)
    if (g->wanted[i])
      out[(*n)++] = g->wanted[i];
  for (uint32_t i = g->shape.carries; i < g->scan->n_args; i++)
    if (g->wanted_support[i])
      out[(*n)++] = g->wanted_support[i];
  for (uint32_t i = 0; i < g->stacked.n; i++)
    if (!grad_is_forward(g, g->stacked.at[i]))
      out[(*n)++] = g->stacked.at[i];
}

// Every needed backward instruction moves before `yield`; the others go.
static void move_instructions(Back *back, Inst *yield) {
  ScanGrad *g = back->g;
  for (Inst *i = first_backward(g), *next; i != g->scan->body->last; i = next) {
    next = i->next;
    bool sum = i->n_results && i->result[0]->id == UINT32_MAX; // of yields_of
    if (!sum && !is_needed(g, i)) {
      ir_remove(i);
      continue;
    }
    ir_move_before(i, yield);
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->region = back->body;
  }
}

static void resolve_arguments(Back *back) {
  Inst *first = back->body->first;
  back->again = (Builder){.m = back->g->m, .region = back->body, .before = first};
  for (Inst *i = first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_args; k++)
      i->arg[k] = resolve(back, i->arg[k]);
}

// Appends a list to the arguments of the scan and of its body.
static uint32_t append(Arena *arena, const ArgList *list, Region *body, Value **arg, uint32_t n) {
  for (uint32_t i = 0; i < list->inner.n; i++) {
    ir_region_arg(body, list->inner.at[i]->type, arena);
    list->inner.at[i]->index = n;
    body->arg[n] = list->inner.at[i];
    arg[n++] = list->outer.at[i];
  }
  return n;
}

static Inst *finish(Back *back, Builder *b) {
  ScanGrad *g = back->g;
  uint32_t n = back->carry.inner.n + back->capture.inner.n + back->sequence.inner.n, at = 0;
  Value **arg = arena_array(g->m->arena, Value *, n + 1);
  at = append(g->m->arena, &back->carry, back->body, arg, at);
  at = append(g->m->arena, &back->capture, back->body, arg, at);
  append(g->m->arena, &back->sequence, back->body, arg, at);
  Attr attr[] = {attr_int(back->carry.inner.n), attr_int(back->capture.inner.n),
                 attr_int(g->shape.length), attr_int(!g->shape.reverse)};
  return ir_inst_with(b, OP_scan, arg, n, attr, 4, back->body);
}

static Inst *make_backward(ScanGrad *g, Value *const *dres, Builder *b) {
  Back back = {.g = g, .body = ir_region(b->region->fn)};
  uint32_t most = 2 * g->scan->n_args + g->added.n + g->stacked.n, n = 0;
  Value **out = arena_array(g->m->arena, Value *, most + 1);
  Builder in = {.m = g->m, .region = back.body, .loc = g->scan->loc};
  give_arguments(&back, dres, b);
  yields_of(g, &back, b, out, &n);
  Inst *yield = ir_inst(&in, OP_yield, out, n, NULL, 0);
  move_instructions(&back, yield);
  resolve_arguments(&back);
  return finish(&back, b);
}

// ---- the rule ----------------------------------------------------------------------------------

static void give(ScanGrad *g, Builder *b, uint32_t i, Value *d, Value *support) {
  if (grad_wanted(g->outer, g->scan, i))
    grad_seed(g->outer, b, g->scan->arg[i], d, support);
}

// Results of the backward scan are in the order of yields_of.
static void give_results(ScanGrad *g, Builder *b, Inst *backward) {
  uint32_t n = 0, captures = g->shape.carries + g->shape.captures, time = 0;
  Value **d = arena_array(g->m->arena, Value *, g->scan->n_args + 1);
  Value **support = arena_array(g->m->arena, Value *, g->scan->n_args + 1);
  for (uint32_t i = 0; i < g->shape.carries; i++)
    if (g->given[i])
      d[i] = backward->result[n++];
  for (uint32_t i = 0; i < g->shape.carries; i++)
    if (g->given_support[i])
      support[i] = backward->result[n++];
  for (uint32_t i = 0; i < g->added.n; i++)
    buf_push(g->m->arena, &g->sum, backward->result[n++]);
  for (uint32_t i = captures; i < g->scan->n_args; i++)
    if (g->wanted[i])
      d[i] = backward->result[n++];
  for (uint32_t i = g->shape.carries; i < g->scan->n_args; i++)
    if (g->wanted_support[i])
      support[i] = backward->result[n++];
  for (uint32_t i = 0; i < g->stacked.n; i++) {
    Value *v = g->stacked.at[i];
    bool forward = grad_is_forward(g, v);
    buf_push(g->m->arena, &g->stack,
             forward ? scan_stack(g->m, g->scan, v) : backward->result[n++]);
  }
  for (uint32_t i = g->shape.carries; i < captures; i++)
    if (g->wanted[i]) {
      d[i] = grad_make_time_sum(g, b, g->time[i]);
      support[i] = support[i] ? support_along(b, support[i], &time, 1) : NULL;
    }
  for (uint32_t i = 0; i < g->scan->n_args; i++)
    if (d[i])
      give(g, b, i, d[i], support[i]);
}

void grad_scan(Builder *b, Inst *scan, Value *const *dres, GradSink *sink) {
  Arena *arena = b->m->arena;
  ScanGrad g = {.m = b->m, .scan = scan, .shape = scan_shape(scan), .outer = sink};
  g.given = arena_array(arena, Value *, scan->n_results + 1);
  g.wanted = arena_array(arena, Value *, scan->n_args + 1);
  g.given_support = arena_array(arena, Value *, scan->n_results + 1);
  g.wanted_support = arena_array(arena, Value *, scan->n_args + 1);
  g.time = arena_array(arena, TimeSum *, scan->n_args + 1);
  sweep(&g, dres);
  number_values(&g);
  for (uint32_t i = g.shape.carries; i < g.shape.carries + g.shape.captures; i++)
    if (g.wanted[i])
      g.time[i] = grad_plan_time_sum(&g, g.wanted[i]);
  need_backward_values(&g);
  choose_saved(&g);
  give_results(&g, b, make_backward(&g, dres, b));
}
