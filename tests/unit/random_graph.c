// See random_graph.h. A pool of values grows by one operation at a time, mostly over recent values,
// so that chains, diamonds and values with several readers all occur.
#include "random_graph.h"
#include "ops/op.h"
#include "optest.h"

enum { MAX_COUNT = 4096, MAX_ARGS = 14 };

typedef BUF(Value *) Pool; // f32, of one region

typedef struct {
  Builder b;
  Function *f;
  Draw draw;
  RandomGraph kind;
  Pool pool;
  uint32_t depth; // of the scans around what is being made
  uint32_t n_param, n_slot, n_column;
  BUF(Value *) result;
  BUF(Port) port; // one per result
} Graph;

static uint32_t below(Graph *g, uint32_t n) {
  return (uint32_t)(draw_unit(&g->draw) * n);
}

static Value *keep(Graph *g, Value *v) {
  buf_push(g->b.m->arena, &g->pool, v);
  return v;
}

// Recent values more often than old ones.
static Value *any_value(Graph *g) {
  uint32_t back = below(g, below(g, 2) ? 6 : g->pool.n);
  return g->pool.at[g->pool.n - 1 - back % g->pool.n];
}

// An argument, or a part of one in a scan.
static bool is_exact(const Value *v) {
  const Inst *scan = v->region->owner;
  if (v->def || !scan)
    return !v->def;
  return v->index >= scan_shape(scan).carries && is_exact(scan->arg[v->index]);
}

// Exact in f32 too, so that what jumps (comparisons, argmax) jumps alike in both; NULL if there is
// none.
static Value *any_exact(Graph *g) {
  for (uint32_t k = below(g, g->pool.n), i = 0; i < g->pool.n; i++) {
    Value *v = g->pool.at[(k + i) % g->pool.n];
    if (is_exact(v))
      return v;
  }
  return NULL;
}

// Functions get new arguments as long as there is room, bodies never.
static bool has_room(const Graph *g) {
  return g->depth == 0 && g->f->body->n_arg < MAX_ARGS;
}

static Dim any_dim(Graph *g) {
  static const Dim small[] = {1, 2, 3, 4, 5, 7, 8, 16}, big[] = {1, 3, 10, 16, 17, 31, 33, 64};
  return (g->kind.big ? big : small)[below(g, 8)];
}

static bool has_rows(const Type *type) {
  for (uint32_t i = 0; i < type->rank; i++)
    if (type->dim[i] < 0)
      return true;
  return false;
}

static Dim size_of(const Type *type) {
  Dim count = type_count(type);
  return count < 0 ? -count * 8 : count;
}

static Value *argument(Graph *g, NnrtRole role, Type type) {
  uint32_t *n = role == NNRT_PARAM ? &g->n_param : role == NNRT_SLOT ? &g->n_slot : &g->n_column;
  const char *name = role == NNRT_PARAM ? "p" : role == NNRT_SLOT ? "s" : "x";
  Port port = {role, *n, intern(g->b.m->s, arena_printf(g->b.m->arena, "%s%u", name, *n))};
  (*n)++;
  return ir_add_arg(g->f, type, port);
}

// A value of exactly this shape: one of the pool, a broadcast number, or a new argument.
static Value *of_shape(Graph *g, const Type *type) {
  for (uint32_t k = 0; k < 8; k++) {
    Value *v = any_value(g);
    if (type_same_shape(&v->type, type))
      return v;
  }
  Type wanted = *type;
  wanted.elem = TY_F32, wanted.range = 0;
  if (below(g, 3) == 0 || !has_room(g))
    return ir_const(&g->b, wanted, (double)below(g, 64) / 16 - 2);
  return keep(g, argument(g, has_rows(type) ? NNRT_COLUMN : NNRT_PARAM, wanted));
}

// ---- one operation ------------------------------------------------------------------------------

static Value *make_unary(Graph *g) {
  static const Op ops[] = {OP_neg, OP_abs, OP_relu, OP_tanh, OP_sigmoid, OP_softplus, OP_sin};
  Value *x = any_value(g);
  if (below(g, 6) == 0) // exp of something bounded
    return ir_unary(&g->b, OP_exp, ir_unary(&g->b, OP_tanh, x));
  return ir_unary(&g->b, ops[below(g, 7)], x);
}

static Value *make_binary(Graph *g) {
  static const Op ops[] = {OP_add, OP_sub, OP_max, OP_min, OP_mul};
  Value *x = any_value(g), *y = of_shape(g, &x->type);
  Op op = ops[below(g, 5)];
  if (op == OP_mul) // bounded
    x = ir_unary(&g->b, OP_sin, x);
  return below(g, 2) ? ir_binary(&g->b, op, x, y) : ir_binary(&g->b, op, y, x);
}

static Value *make_select(Graph *g) {
  Value *x = any_exact(g);
  if (!x)
    return NULL;
  Value *y = of_shape(g, &x->type), *z = of_shape(g, &x->type);
  if (below(g, 4) == 0)
    return ir_unary(&g->b, OP_step, x);
  Value *c = ir_binary(&g->b, OP_gt, x, ir_const(&g->b, x->type, 0.2501));
  return ir_select(&g->b, c, y, below(g, 2) ? z : ir_const(&g->b, x->type, 0.5));
}

// New axes before, between or after: a bias, a value per row, a number.
static Value *make_broadcast(Graph *g) {
  Value *x = any_value(g);
  uint32_t axes[MAX_RANK], rank = x->type.rank, more = 1 + below(g, 2);
  if (rank + more > 4)
    return NULL;
  Type to = x->type;
  to.rank = (uint8_t)(rank + more);
  uint32_t from = 0, left = more;
  bool rows = has_rows(&x->type);
  for (uint32_t i = 0; i < to.rank; i++) {
    bool new_axis = left && (from == rank || below(g, 2));
    if (!new_axis) {
      axes[from] = i;
      to.dim[i] = x->type.dim[from++];
      continue;
    }
    left--;
    to.dim[i] = !rows && i == 0 && below(g, 2) ? -1 : any_dim(g);
    rows |= to.dim[i] < 0;
  }
  return size_of(&to) > MAX_COUNT ? NULL : ir_broadcast(&g->b, x, axes, to);
}

static Value *make_reduce(Graph *g) {
  Value *x = any_value(g), *exact = any_exact(g);
  uint32_t axes[MAX_RANK], n = 0, op = below(g, 4);
  if (op == 0 && exact && exact->type.rank)
    return ir_convert(&g->b, ir_unary(&g->b, OP_argmax, exact), TY_F32);
  if (!x->type.rank)
    return NULL;
  for (uint32_t i = 0; i < x->type.rank; i++)
    if (below(g, 2))
      axes[n++] = i;
  if (!n)
    axes[n++] = below(g, x->type.rank);
  if (op == 1)
    return ir_max(&g->b, x, axes, n);
  return ir_unary(&g->b, below(g, 2) ? OP_tanh : OP_neg, ir_sum(&g->b, x, axes, n));
}

// Shifted by the greatest, exp, over the sum: what losses are made of.
static Value *make_softmax(Graph *g) {
  Value *x = any_value(g);
  if (x->type.rank < 2)
    return NULL;
  uint32_t axis = x->type.rank - 1u, kept[MAX_RANK];
  for (uint32_t i = 0; i < axis; i++)
    kept[i] = i;
  Value *m = ir_broadcast(&g->b, ir_max(&g->b, x, &axis, 1), kept, x->type);
  Value *e = ir_unary(&g->b, OP_exp, ir_binary(&g->b, OP_sub, x, m));
  Value *s = ir_broadcast(&g->b, ir_sum(&g->b, e, &axis, 1), kept, x->type);
  return ir_binary(&g->b, OP_div, e, s);
}

static Value *make_transpose(Graph *g) {
  Value *x = any_value(g);
  uint32_t perm[MAX_RANK];
  for (uint32_t i = 0; i < x->type.rank; i++)
    perm[i] = i;
  for (uint32_t i = x->type.rank; i > 1; i--) {
    uint32_t k = below(g, i), t = perm[k];
    perm[k] = perm[i - 1];
    perm[i - 1] = t;
  }
  return x->type.rank < 2 ? NULL : ir_transpose(&g->b, x, perm);
}

// Joins two neighbouring axes, or cuts one in two.
static Value *make_reshape(Graph *g) {
  Value *x = any_value(g);
  const Type *type = &x->type;
  Dim dims[MAX_RANK];
  uint32_t n = 0, at = type->rank ? below(g, type->rank) : 0;
  bool join = at + 1u < type->rank && below(g, 2);
  if (!type->rank || type->rank > 3)
    return NULL;
  for (uint32_t i = 0; i < type->rank; i++) {
    Dim d = type->dim[i], by = d % 2 == 0 ? 2 : d % 3 == 0 ? 3 : 1;
    if (join && i == at)
      d *= type->dim[++i];
    else if (i == at) {
      dims[n++] = d / by;
      d = by;
    }
    dims[n++] = d;
  }
  return ir_reshape(&g->b, x, dims, n);
}

static Value *make_window(Graph *g) {
  Value *x = any_value(g);
  Type t = x->type;
  uint32_t axis = t.rank ? below(g, t.rank) : 0;
  Arena *arena = g->b.m->arena;
  if (!t.rank || t.dim[axis] < 2)
    return NULL;
  Dim zero[MAX_RANK] = {0}, low[MAX_RANK] = {0}, one[MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
  switch (below(g, 4)) {
  case 0:
    return ir_inst(&g->b, OP_reverse, &x, 1, (Attr[]){attr_int(axis)}, 1)->result[0];
  case 1:
    return ir_inst(&g->b, OP_concat, (Value *[]){x, x}, 2, (Attr[]){attr_int(axis)}, 1)->result[0];
  case 2: {
    low[axis] = 1 + below(g, 2);
    zero[axis] = below(g, 2);
    Attr attr[] = {attr_dims(arena, low, t.rank), attr_dims(arena, zero, t.rank), attr_float(0.25)};
    return ir_inst(&g->b, OP_pad, &x, 1, attr, 3)->result[0];
  }
  default: {
    low[axis] = below(g, 2);
    one[axis] = 1 + below(g, 2);
    Attr attr[] = {attr_dims(arena, low, t.rank), attr_dims(arena, t.dim, t.rank),
                   attr_dims(arena, one, t.rank)};
    return ir_inst(&g->b, OP_slice, &x, 1, attr, 3)->result[0];
  }
  }
}

// The other side: [K, M] or [M, K], a new param or what the pool has.
static Value *make_dot(Graph *g) {
  Value *x = any_value(g), *y = any_value(g);
  if (!x->type.rank)
    return NULL;
  uint32_t ca = below(g, x->type.rank), cb = 0;
  Dim depth = x->type.dim[ca];
  if (below(g, 2) || !y->type.rank || y->type.dim[cb] != depth ||
      (has_rows(&y->type) && depth > 0)) {
    Type other = {.elem = TY_F32, .rank = 2};
    cb = below(g, 2);
    other.dim[cb] = depth;
    other.dim[1 - cb] = any_dim(g);
    y = of_shape(g, &other);
  }
  Type result = {.rank = 2, .dim = {type_count(&x->type) / depth, type_count(&y->type) / depth}};
  if ((result.dim[0] < 0 && result.dim[1] < 0) || size_of(&result) > MAX_COUNT ||
      x->type.rank + y->type.rank > 6)
    return NULL;
  Value *v = ir_dot(&g->b, x, y, &ca, &cb, 1, 0);
  return below(g, 4) ? ir_unary(&g->b, OP_tanh, v) : v;
}

// One product per row: [N, a, k] with [N, k, b].
static Value *make_batched_dot(Graph *g) {
  Value *x = any_value(g);
  if (x->type.rank != 3 || (has_rows(&x->type) && x->type.dim[0] > 0))
    return NULL;
  Value *y = of_shape(g, &x->type);
  uint32_t axis = 1 + below(g, 2);
  return ir_unary(&g->b, OP_tanh, ir_dot(&g->b, x, y, &axis, &axis, 1, 1));
}

static Value *make_gather(Graph *g) {
  Value *table = any_value(g);
  if (table->type.rank != 2 || has_rows(&table->type))
    return NULL;
  Type index = {.elem = TY_I32, .rank = 1, .dim = {-1}, .range = table->type.dim[0]};
  if (!has_room(g))
    return NULL;
  Value *at = argument(g, NNRT_COLUMN, index);
  return ir_inst(&g->b, OP_gather, (Value *[]){table, at}, 2, NULL, 0)->result[0];
}

// ---- a scan -------------------------------------------------------------------------------------

static Value *make_one(Graph *g);

// What is gone through: of the pool, if the time is the first axis of something there.
static Value *any_sequence(Graph *g, int64_t length) {
  for (uint32_t k = 0; k < 8; k++) {
    Value *v = any_value(g);
    if (v->type.rank && v->type.dim[0] == length)
      return v;
  }
  Type type = {.elem = TY_F32, .rank = 3, .dim = {length, below(g, 4) ? -1 : 4, any_dim(g)}};
  return has_room(g) ? keep(g, argument(g, has_rows(&type) ? NNRT_COLUMN : NNRT_PARAM, type))
                     : NULL;
}

// Moderate after any number of turns.
static void end_turn(Graph *g, uint32_t carries, int64_t length) {
  Region *body = g->b.region;
  Value *last[8];
  uint32_t n = carries;
  for (uint32_t i = 0; i < carries; i++) {
    Value *v = of_shape(g, &body->arg[i]->type);
    last[i] = v->def ? ir_unary(&g->b, OP_tanh, v) : v;
  }
  for (uint32_t i = below(g, 3); i > 0; i--) {
    Value *v = any_value(g);
    if (v->type.rank < 4 && size_of(&v->type) * length <= MAX_COUNT)
      last[n++] = v;
  }
  ir_inst(&g->b, OP_yield, last, n, NULL, 0);
}

static void make_turn(Graph *g, const Inst *scan, uint32_t carries, int64_t length) {
  Builder outer = g->b;
  Pool outside = g->pool;
  g->b.region = scan->body;
  g->pool = (Pool){0};
  g->depth++;
  for (uint32_t i = 0; i < scan->body->n_arg; i++)
    keep(g, scan->body->arg[i]);
  for (uint32_t i = 2 + below(g, 6); i > 0; i--) {
    Value *v = make_one(g);
    if (v && size_of(&v->type) <= MAX_COUNT)
      keep(g, v);
  }
  end_turn(g, carries, length);
  g->depth--;
  g->pool = outside;
  g->b = outer;
}

// Some carries, captures and sequences, forward or backward in time; a capture may be a carry too.
static Value *make_scan(Graph *g) {
  Value *arg[8];
  uint32_t carries = 1 + below(g, 3), captures = below(g, 3), n = carries + captures;
  int64_t length = 1 + below(g, 5);
  if (g->depth == 2)
    return NULL;
  for (uint32_t i = 0; i < n; i++)
    arg[i] = any_value(g);
  for (uint32_t i = below(g, 3); i > 0; i--)
    if ((arg[n] = any_sequence(g, length)))
      n++;
  Attr attr[] = {attr_int(carries), attr_int(captures), attr_int(length), attr_int(below(g, 2))};
  Inst *scan = ir_inst(&g->b, OP_scan, arg, n, attr, 4);
  make_turn(g, scan, carries, length);
  for (uint32_t i = 1; i < scan->n_results; i++)
    keep(g, scan->result[i]);
  return scan->result[0];
}

static Value *make_one(Graph *g) {
  if (g->kind.scans && below(g, 4) == 0)
    return make_scan(g);
  static Value *(*const make[])(Graph *) = {
      make_unary,  make_unary,  make_binary,      make_binary,    make_binary,
      make_binary, make_select, make_select,      make_broadcast, make_broadcast,
      make_reduce, make_reduce, make_transpose,   make_reshape,   make_window,
      make_dot,    make_dot,    make_batched_dot, make_softmax,   make_gather};
  return make[below(g, sizeof make / sizeof *make)](g);
}

// ---- the whole function -------------------------------------------------------------------------

static void add_result(Graph *g, Value *v, Port port) {
  buf_push(g->b.m->arena, &g->result, v);
  buf_push(g->b.m->arena, &g->port, port);
}

static bool is_updated(const Graph *g, const Port *port) {
  for (uint32_t i = 0; i < g->port.n; i++)
    if (g->port.at[i].role == port->role && g->port.at[i].index == port->index)
      return true;
  return false;
}

// p' = p - v/16, and a moving average, for a value of p's shape. What follows may read old and new.
static void update(Graph *g, Value *p) {
  Value *v = of_shape(g, &p->type), *rate = ir_const(&g->b, p->type, 0.0625);
  if (below(g, 2)) {
    Value *s = argument(g, NNRT_SLOT, p->type);
    Value *kept = ir_binary(&g->b, OP_mul, s, ir_const(&g->b, p->type, 0.9));
    v = keep(g, ir_binary(&g->b, OP_add, kept, ir_unary(&g->b, OP_tanh, v)));
    add_result(g, v, g->f->arg_port[s->index]);
  }
  Value *next = ir_binary(&g->b, OP_sub, p, ir_binary(&g->b, OP_mul, v, rate));
  add_result(g, keep(g, next), g->f->arg_port[p->index]);
}

static void update_some(Graph *g, uint32_t one_in) {
  uint32_t n = g->f->body->n_arg;
  for (uint32_t i = 0; i < n; i++) {
    Port port = g->f->arg_port[i];
    if (port.role == NNRT_PARAM && !is_updated(g, &port) && below(g, one_in) == 0)
      update(g, g->f->body->arg[i]);
  }
}

// Of the loss by up to four arguments.
static void add_gradients(Graph *g, Value *loss) {
  Value *arg[5] = {loss};
  uint32_t n = 1;
  for (uint32_t i = 0; i < g->f->body->n_arg && n < 5; i++)
    if (g->f->body->arg[i]->type.elem == TY_F32)
      arg[n++] = g->f->body->arg[i];
  const Inst *grad = ir_inst(&g->b, OP_grad, arg, n, NULL, 0);
  for (uint32_t i = 0; i + 1 < n; i++) {
    const char *name = intern(g->b.m->s, arena_printf(g->b.m->arena, "d%u", i));
    add_result(g, grad->result[i], (Port){NNRT_OUTPUT, 10 + i, name});
  }
}

static void finish(Graph *g) {
  uint32_t outputs = 1 + below(g, 3), axes[MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
  for (uint32_t i = 0; i < outputs; i++) {
    const char *name = intern(g->b.m->s, arena_printf(g->b.m->arena, "y%u", i));
    add_result(g, any_value(g), (Port){NNRT_OUTPUT, i, name});
  }
  if (g->kind.updates)
    update_some(g, 2);
  Value *v = any_value(g);
  Value *loss = ir_sum(&g->b, v, axes, v->type.rank);
  add_result(g, loss, (Port){NNRT_METRIC, 0, intern(g->b.m->s, "loss")});
  if (g->kind.gradients)
    add_gradients(g, loss);
  ir_return(&g->b, g->result.at, g->port.at, g->result.n);
}

Function *random_graph(Module *m, const char *name, uint64_t seed, RandomGraph kind) {
  Graph g = {.kind = kind, .draw = {seed * 0x9e3779b97f4a7c15u + 1}};
  g.f = ir_function(m, name);
  g.b = (Builder){.m = m, .region = g.f->body};
  for (uint32_t i = 0; i < 3; i++) {
    Type x = {
        .elem = TY_F32, .rank = (uint8_t)(1 + below(&g, 3)), .dim = {-1, any_dim(&g), any_dim(&g)}};
    keep(&g, argument(&g, NNRT_COLUMN, x));
  }
  keep(&g, argument(&g, NNRT_PARAM,
                    (Type){.elem = TY_F32, .rank = 2, .dim = {any_dim(&g), any_dim(&g)}}));
  for (uint32_t i = 0; i < kind.operations; i++) {
    Value *v = make_one(&g);
    if (v && size_of(&v->type) <= MAX_COUNT)
      keep(&g, v);
    if (kind.updates && below(&g, 4) == 0)
      update_some(&g, 4);
  }
  finish(&g);
  ir_remove_dead(g.f);
  const char *wrong = ir_verify(m);
  if (wrong)
    ice("random_graph: %s", wrong);
  return g.f;
}

const Tensor **random_arguments(Arena *arena, const Function *f, int64_t n, uint64_t seed) {
  Draw draw = {seed * 0x9e3779b97f4a7c15u + 77};
  const Tensor **args = arena_array(arena, const Tensor *, f->body->n_arg + 1);
  for (uint32_t i = 0; i < f->body->n_arg; i++) {
    Tensor *t = tensor_new(arena, f->body->arg[i]->type, n);
    for (int64_t k = 0; k < t->count; k++) {
      double u = draw_unit(&draw);
      t->at[k] = t->type.range ? (double)(int64_t)(u * (double)t->type.range)
                               : (double)(int64_t)(u * 256 - 128) / 64;
    }
    args[i] = t;
  }
  return args;
}
