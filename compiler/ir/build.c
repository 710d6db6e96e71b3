// Making IR: modules, functions, instructions. Types of results come from the operations' rules, so
// that an instruction exists only with correct types.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

#include <string.h>

Module *module_create(Session *s) {
  Module *m = arena_new(s->perm, Module);
  m->s = s;
  m->arena = s->perm;
  buf_push(m->arena, &m->loc, (Loc){0});
  return m;
}

static Region *region_new(Arena *arena, Function *f, Inst *owner) {
  Region *r = arena_new(arena, Region);
  r->fn = f;
  r->owner = owner;
  return r;
}

Function *ir_function(Module *m, const char *name) {
  Function *f = arena_new(m->arena, Function);
  f->name = intern(m->s, name);
  f->module = m;
  f->body = region_new(m->arena, f, NULL);
  buf_push(m->arena, &m->fn, f);
  return f;
}

Function *ir_find_function(const Module *m, const char *name) {
  for (uint32_t i = 0; i < m->fn.n; i++)
    if (strcmp(m->fn.at[i]->name, name) == 0)
      return m->fn.at[i];
  return NULL;
}

LocId ir_loc(Module *m, Span span, LocId parent, const char *layer) {
  const Loc *last = &m->loc.at[m->loc.n - 1];
  bool same = last->span.file == span.file && last->span.start == span.start &&
              last->span.end == span.end && last->parent == parent && last->layer == layer;
  if (!same || m->loc.n == 1)
    buf_push(m->arena, &m->loc, (Loc){span, parent, layer});
  return m->loc.n - 1;
}

Value *ir_region_arg(Region *r, Type type, Arena *arena) {
  r->arg = buf_grow(arena, r->arg, r->n_arg, &r->cap_arg, sizeof *r->arg);
  Value *v = arena_new(arena, Value);
  v->type = type;
  v->region = r;
  v->index = r->n_arg;
  r->arg[r->n_arg++] = v;
  return v;
}

Value *ir_add_arg(Function *f, Type type, Port port) {
  Arena *arena = f->module->arena;
  uint32_t n = f->body->n_arg;
  f->arg_port = buf_grow(arena, f->arg_port, n, &f->cap_port, sizeof port);
  f->arg_port[n] = port;
  Value *v = ir_region_arg(f->body, type, arena);
  v->name = port.name;
  return v;
}

void ir_return(Builder *b, Value *const *values, const Port *ports, uint32_t n) {
  Function *f = b->region->fn;
  ir_inst(b, OP_return, values, n, NULL, 0);
  f->n_result = n;
  f->result_port = arena_array(b->m->arena, Port, n + 1);
  if (n)
    memcpy(f->result_port, ports, sizeof *ports * n);
}

// ---- instructions ------------------------------------------------------------------------------

static const char *fill_attrs(Module *m, Op op, const Attr *given, uint32_t n_given, Attr **out,
                              uint32_t *n_out) {
  const AttrSig *sig;
  uint32_t n = op_attrs(m, op, &sig);
  if (n_given > n)
    return arena_printf(m->arena, "it takes %u attributes, %u are given", n, n_given);
  Attr *attr = arena_array(m->arena, Attr, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    bool absent = i >= n_given || given[i].kind == A_NONE;
    if (absent && !sig[i].has_default)
      return arena_printf(m->arena, "attribute '%s' is missing", sig[i].name);
    attr[i] = absent ? sig[i].value : given[i];
    if (attr[i].kind != sig[i].kind)
      return arena_printf(m->arena, "attribute '%s' is of the wrong kind", sig[i].name);
  }
  *out = attr;
  *n_out = n;
  return NULL;
}

static const char *check_arity(Module *m, Op op, uint32_t n) {
  uint32_t least, most;
  op_arity(op, &least, &most);
  if (n >= least && n <= most)
    return NULL;
  return arena_printf(m->arena, "it takes %s%u argument%s, %u given",
                      most > least ? "at least " : "", least, least == 1 ? "" : "s", n);
}

const char *ir_check_filled(Module *m, Op op, Value *const *args, uint32_t n_args, const Attr *attr,
                            Type *result) {
  const char *wrong = check_arity(m, op, n_args);
  if (!wrong && op_table[op]->type_fn)
    wrong = op_table[op]->type_fn(m, args, n_args, attr, result);
  return wrong;
}

const char *ir_check(Module *m, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
                     uint32_t n_attrs, Type *result) {
  Attr *attr;
  uint32_t n;
  const char *wrong = fill_attrs(m, op, attrs, n_attrs, &attr, &n);
  return wrong ? wrong : ir_check_filled(m, op, args, n_args, attr, result);
}

static uint32_t result_count(const OpDef *def, uint32_t n_args) {
  switch (def->results) {
  case RESULT_ONE:
    return 1;
  case RESULT_OF_XS:
    return n_args - 1;
  case RESULT_NONE:
  case RESULT_OF_BODY:
    return 0;
  }
  return 0;
}

static void make_results(Module *m, Inst *inst, const Type *types, uint32_t n) {
  inst->n_results = n;
  inst->result = arena_array(m->arena, Value *, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    Value *v = arena_new(m->arena, Value);
    v->type = types[i];
    v->def = inst;
    v->region = inst->parent;
    v->index = i;
    v->id = UINT32_MAX; // until the next ir_number()
    inst->result[i] = v;
  }
}

static void link_before(Inst *inst, Region *r, Inst *before) {
  inst->parent = r;
  inst->next = before;
  inst->prev = before ? before->prev : r->last;
  *(inst->prev ? &inst->prev->next : &r->first) = inst;
  *(before ? &before->prev : &r->last) = inst;
}

Region *ir_region(Function *f) {
  return region_new(f->module->arena, f, NULL);
}

Type *ir_body_args(Module *m, const Inst *inst) {
  Type *types = arena_array(m->arena, Type, inst->n_args + 1);
  for (uint32_t i = 0; i < inst->n_args; i++)
    types[i] = inst->arg[i]->type;
  if (op_table[inst->op]->body_args)
    op_table[inst->op]->body_args(inst, types);
  return types;
}

const char *ir_body_results(Module *m, const Inst *inst, Type **types) {
  const Inst *yield = inst->body->last;
  *types = arena_array(m->arena, Type, yield->n_args + 1);
  for (uint32_t i = 0; i < yield->n_args; i++)
    (*types)[i] = yield->arg[i]->type;
  if (!op_table[inst->op]->body_results)
    return NULL;
  return op_table[inst->op]->body_results(m, inst, *types);
}

static void make_body(Module *m, Inst *inst) {
  const Type *types = ir_body_args(m, inst);
  inst->body = region_new(m->arena, inst->parent->fn, inst);
  for (uint32_t i = 0; i < inst->n_args; i++)
    ir_region_arg(inst->body, types[i], m->arena);
}

// The yield that ends a body says what the results of its instruction are.
void ir_end_body(Module *m, Inst *inst) {
  Type *types;
  const char *wrong = ir_body_results(m, inst, &types);
  if (wrong)
    ice("building %s: %s", op_table[inst->op]->name, wrong);
  make_results(m, inst, types, inst->body->last->n_args);
}

static Inst *build_inst(Builder *b, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
                        uint32_t n_attrs) {
  Module *m = b->m;
  Type few[4], *types = n_args < 4 ? few : arena_array(m->arena, Type, n_args);
  Inst *inst = arena_new(m->arena, Inst);
  const char *wrong = fill_attrs(m, op, attrs, n_attrs, &inst->attr, &inst->n_attrs);
  if (!wrong)
    wrong = ir_check_filled(m, op, args, n_args, inst->attr, types);
  if (wrong)
    ice("building %s: %s", op_table[op]->name, wrong);
  inst->op = op;
  inst->loc = b->loc;
  inst->n_args = n_args;
  inst->arg = arena_array(m->arena, Value *, n_args + 1);
  if (n_args)
    memcpy(inst->arg, args, sizeof *args * n_args);
  link_before(inst, b->region, b->before);
  make_results(m, inst, types, result_count(op_table[op], n_args));
  return inst;
}

Inst *ir_inst(Builder *b, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
              uint32_t n_attrs) {
  Inst *inst = build_inst(b, op, args, n_args, attrs, n_attrs);
  if (op_table[op]->results == RESULT_OF_BODY)
    make_body(b->m, inst);
  if (op == OP_yield && b->region->owner)
    ir_end_body(b->m, b->region->owner);
  return inst;
}

Inst *ir_inst_with(Builder *b, Op op, Value *const *args, uint32_t n_args, const Attr *attrs,
                   uint32_t n_attrs, Region *body) {
  Inst *inst = build_inst(b, op, args, n_args, attrs, n_attrs);
  body->owner = inst;
  inst->body = body;
  ir_end_body(b->m, inst);
  return inst;
}

static Region *copy_body(Builder *b, Region *from) {
  Arena *arena = b->m->arena;
  Value **with = arena_array(arena, Value *, ir_number_region(from) + 1);
  Builder in = {.m = b->m, .region = ir_region(b->region->fn)};
  for (uint32_t i = 0; i < from->n_arg; i++)
    with[i] = ir_region_arg(in.region, from->arg[i]->type, arena);
  for (const Inst *i = from->first; i; i = i->next) {
    Value **arg = arena_array(arena, Value *, i->n_args + 1);
    for (uint32_t k = 0; k < i->n_args; k++)
      arg[k] = with[i->arg[k]->id];
    const Inst *copy = ir_copy(&in, i, arg);
    for (uint32_t k = 0; k < i->n_results; k++)
      with[i->result[k]->id] = copy->result[k];
  }
  return in.region;
}

Inst *ir_copy(Builder *b, const Inst *inst, Value *const *args) {
  LocId loc = b->loc;
  b->loc = inst->loc;
  Inst *copy = inst->body ? ir_inst_with(b, inst->op, args, inst->n_args, inst->attr, inst->n_attrs,
                                         copy_body(b, inst->body))
                          : ir_inst(b, inst->op, args, inst->n_args, inst->attr, inst->n_attrs);
  for (uint32_t i = 0; i < inst->n_results; i++)
    copy->result[i]->type = inst->result[i]->type;
  b->loc = loc;
  return copy;
}

void ir_remove(Inst *inst) {
  Region *r = inst->parent;
  if (!r)
    return; // removed already
  *(inst->prev ? &inst->prev->next : &r->first) = inst->next;
  *(inst->next ? &inst->next->prev : &r->last) = inst->prev;
  inst->prev = inst->next = NULL;
  inst->parent = NULL;
}

void ir_move_before(Inst *inst, Inst *before) {
  ir_remove(inst);
  link_before(inst, before->parent, before);
}

// ---- shorthands for one operation each ---------------------------------------------------------

static Value *one(Builder *b, Op op, Value *const *args, uint32_t n, const Attr *attrs,
                  uint32_t n_attrs) {
  return ir_inst(b, op, args, n, attrs, n_attrs)->result[0];
}

Value *ir_unary(Builder *b, Op op, Value *x) {
  return one(b, op, &x, 1, NULL, 0);
}

Value *ir_binary(Builder *b, Op op, Value *x, Value *y) {
  return one(b, op, (Value *[]){x, y}, 2, NULL, 0);
}

Value *ir_select(Builder *b, Value *c, Value *x, Value *y) {
  return one(b, OP_select, (Value *[]){c, x, y}, 3, NULL, 0);
}

// A constant is never batched: it is the same for all rows.
Value *ir_const(Builder *b, Type type, double value) {
  Attr attr[] = {attr_elem(type.elem), attr_dims(b->m->arena, type.dim, type.rank),
                 attr_float(value), attr_int(type.range)};
  return one(b, OP_const, NULL, 0, attr, 4);
}

Value *ir_literal(Builder *b, const Tensor *data) {
  return one(b, OP_literal, NULL, 0, (Attr[]){attr_data(data)}, 1);
}

Value *ir_convert(Builder *b, Value *x, ElemType elem) {
  if (x->type.elem == elem)
    return x;
  return one(b, OP_convert, &x, 1, (Attr[]){attr_elem(elem)}, 1);
}

Value *ir_broadcast(Builder *b, Value *x, const uint32_t *axes, Type to) {
  if (type_same_shape(&x->type, &to))
    return x;
  Attr attr[] = {attr_axes(b->m->arena, axes, x->type.rank),
                 attr_dims(b->m->arena, to.dim, to.rank)};
  return one(b, OP_broadcast, &x, 1, attr, 2);
}

Value *ir_reshape(Builder *b, Value *x, const Dim *dims, uint32_t rank) {
  bool same = x->type.rank == rank;
  for (uint32_t i = 0; same && i < rank; i++)
    same = x->type.dim[i] == dims[i];
  if (same)
    return x;
  return one(b, OP_reshape, &x, 1, (Attr[]){attr_dims(b->m->arena, dims, rank)}, 1);
}

Value *ir_transpose(Builder *b, Value *x, const uint32_t *perm) {
  bool same = true;
  for (uint32_t i = 0; i < x->type.rank; i++)
    same &= perm[i] == i;
  if (same)
    return x;
  return one(b, OP_transpose, &x, 1, (Attr[]){attr_axes(b->m->arena, perm, x->type.rank)}, 1);
}

static Value *reduce(Builder *b, Op op, Value *x, const uint32_t *axes, uint32_t n) {
  return n ? one(b, op, &x, 1, (Attr[]){attr_axes(b->m->arena, axes, n)}, 1) : x;
}

Value *ir_sum(Builder *b, Value *x, const uint32_t *axes, uint32_t n) {
  return reduce(b, OP_sum, x, axes, n);
}

Value *ir_max(Builder *b, Value *x, const uint32_t *axes, uint32_t n) {
  return reduce(b, OP_max_along, x, axes, n);
}

Value *ir_dot(Builder *b, Value *x, Value *y, const uint32_t *ca, const uint32_t *cb,
              uint32_t n_contract, uint32_t batch) {
  Attr attr[] = {attr_axes(b->m->arena, ca, n_contract), attr_axes(b->m->arena, cb, n_contract),
                 attr_int(batch)};
  return one(b, OP_dot, (Value *[]){x, y}, 2, attr, 3);
}

// ---- attributes --------------------------------------------------------------------------------

Attr attr_int(int64_t i) {
  return (Attr){.kind = A_INT, .i = i};
}
Attr attr_float(double f) {
  return (Attr){.kind = A_FLOAT, .f = f};
}
Attr attr_str(const char *interned) {
  return (Attr){.kind = A_STR, .s = interned};
}
Attr attr_elem(ElemType elem) {
  return (Attr){.kind = A_ELEM, .elem = elem};
}
Attr attr_data(const Tensor *data) {
  return (Attr){.kind = A_DATA, .data = data};
}

Attr attr_dims(Arena *arena, const Dim *dims, uint32_t n) {
  Dim *copy = arena_array(arena, Dim, n + 1);
  if (n)
    memcpy(copy, dims, sizeof *copy * n);
  return (Attr){.kind = A_DIMS, .n = n, .dims = copy};
}

Attr attr_axes(Arena *arena, const uint32_t *axes, uint32_t n) {
  Dim *copy = arena_array(arena, Dim, n + 1);
  for (uint32_t i = 0; i < n; i++)
    copy[i] = axes[i];
  return (Attr){.kind = A_DIMS, .n = n, .dims = copy};
}
