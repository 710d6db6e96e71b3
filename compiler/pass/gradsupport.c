// Rule 12 beyond elementwise chains. A gradient that is 0 where a `select` took the other side
// stays 0 on its way back through broadcasts, products, reductions and loops; but 0 times what is
// infinite there is NaN. So with the gradient of a value goes its support, a condition; it goes
// back through an operation as gradients do: where any number of the support comes in. A factor of
// a product that is not finite makes the whole row or column of the product so; then no number of
// it was taken, or the loss itself is not finite. Hence a factor may be read as 0 where nothing of
// its row or column belongs to the support.
//
// Not carried: conditions that are drawn (dropout: what one step leaves out the next one takes),
// and those known when compiling (which side is taken is the same for all data).
#include "pass/gradmask.h"

#include <string.h>

// ---- conditions --------------------------------------------------------------------------------

enum { DRAWN = 1, OF_DATA = 2, PICKED = 4, MAX_DEPTH = 10 };

static bool is_iota(const Value *v) {
  while (v->def && v->def->n_args == 1 &&
         (op_table[v->def->op]->kind == K_SHAPE || v->def->op == OP_convert))
    v = v->def->arg[0];
  return v->def && v->def->op == OP_iota;
}

// What a condition is made of.
static unsigned made_of(const Value *v, int depth) {
  if (depth == 0)
    return OF_DATA;
  if (!v->def) {
    const Inst *loop = v->region->owner;
    bool slice = loop && v->index >= scan_shape(loop).carries + scan_shape(loop).captures;
    return loop ? made_of(loop->arg[v->index], depth - 1) | (slice ? OF_DATA : 0) : OF_DATA;
  }
  OpKind kind = op_table[v->def->op]->kind;
  if (kind == K_RANDOM)
    return DRAWN;
  unsigned parts = kind == K_SOURCE || kind == K_ELEM || kind == K_SHAPE ? 0 : OF_DATA;
  if (v->def->op == OP_eq && (is_iota(v->def->arg[0]) || is_iota(v->def->arg[1])))
    parts |= PICKED;
  for (uint32_t i = 0; i < v->def->n_args; i++)
    parts |= made_of(v->def->arg[i], depth - 1);
  return parts;
}

// select(s == 0, 0, sqrt(s)), in which s is finite.
static bool is_root(const Inst *select) {
  const Inst *c = select->arg[0]->def, *root = select->arg[2]->def;
  return c && c->op == OP_eq && root && root->op == OP_sqrt && c->arg[0] == root->arg[0];
}

static Value *not_of(Builder *b, Value *c) {
  return c->def && c->def->op == OP_not ? c->def->arg[0] : ir_unary(b, OP_not, c);
}

static bool opposite(const Value *s, const Value *t) {
  return (s->def && s->def->op == OP_not && s->def->arg[0] == t) ||
         (t->def && t->def->op == OP_not && t->def->arg[0] == s);
}

Value *support_of_sum(Builder *b, Value *s, Value *t) {
  if (!s || !t || opposite(s, t))
    return NULL;
  if (s == t)
    return s;
  const Inst *both = s->def && s->def->op == OP_and ? s->def : NULL,
             *other = t->def && t->def->op == OP_and ? t->def : NULL;
  if (both && other && both->arg[0] == other->arg[0] && opposite(both->arg[1], other->arg[1]))
    return both->arg[0]; // the two sides of one select
  return ir_binary(b, OP_or, s, t);
}

static Type truth(Type type) {
  type.elem = TY_BOOL;
  type.range = 0;
  return type;
}

static Value *is_positive(Builder *b, Value *x) {
  return ir_binary(b, OP_gt, x, ir_const(b, x->type, 0));
}

// ---- axes --------------------------------------------------------------------------------------

static bool is_among(const uint32_t *axes, uint32_t n, uint32_t axis) {
  for (uint32_t i = 0; i < n; i++)
    if (axes[i] == axis)
      return true;
  return false;
}

// Repeated along all axes that are left out: the source, with the others.
static Value *along_repeated(Builder *b, Value *s, const uint32_t *axes, uint32_t n) {
  const Inst *spread = s->def && s->def->op == OP_broadcast ? s->def : NULL;
  if (!spread)
    return NULL;
  const Attr *kept = inst_attr(spread, "axes");
  uint32_t place[MAX_RANK], to[MAX_RANK];
  Type type = s->type;
  type.rank = 0;
  for (uint32_t i = 0; i < s->type.rank; i++) {
    place[i] = type.rank;
    if (!is_among(axes, n, i))
      type.dim[type.rank++] = s->type.dim[i];
  }
  for (uint32_t i = 0; i < kept->n; i++) {
    if (is_among(axes, n, (uint32_t)kept->dims[i]))
      return NULL;
    to[i] = place[kept->dims[i]];
  }
  return kept->n == type.rank ? spread->arg[0] : ir_broadcast(b, spread->arg[0], to, type);
}

Value *support_along(Builder *b, Value *s, const uint32_t *axes, uint32_t n) {
  if (!n)
    return s;
  Value *source = along_repeated(b, s, axes, n);
  return source ? source : is_positive(b, ir_sum(b, ir_convert(b, s, TY_F32), axes, n));
}

// The axes 0 .. rank-1 that are not among these.
static uint32_t other_axes(const Dim *axes, uint32_t n, uint32_t rank, uint32_t *out) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < rank; i++) {
    bool among = false;
    for (uint32_t k = 0; k < n; k++)
      among |= axes[k] == (Dim)i;
    if (!among)
      out[count++] = i;
  }
  return count;
}

static Value *of_broadcast(Builder *b, const Inst *inst, Value *s) {
  const Attr *kept = inst_attr(inst, "axes");
  uint32_t axes[MAX_RANK], n = other_axes(kept->dims, kept->n, s->type.rank, axes);
  s = support_along(b, s, axes, n);
  return type_same_shape(&s->type, &inst->arg[0]->type) ? s : NULL;
}

static Value *of_reduction(Builder *b, const Inst *inst, Value *s) {
  const Attr *gone = inst_attr(inst, "axes");
  uint32_t kept[MAX_RANK];
  other_axes(gone->dims, gone->n, inst->arg[0]->type.rank, kept);
  return ir_broadcast(b, s, kept, truth(inst->arg[0]->type));
}

// Of a side of a product [batch, free of x, free of y]: true anywhere along the other's free axes.
static Value *of_side(Builder *b, const Inst *inst, uint32_t side, Value *s) {
  const Attr *contract[] = {inst_attr(inst, "ca"), inst_attr(inst, "cb")};
  uint32_t batch = (uint32_t)inst_attr(inst, "batch")->i, n[2], own[MAX_RANK], other[MAX_RANK];
  for (uint32_t i = 0; i < 2; i++)
    n[i] = inst->arg[i]->type.rank - batch - contract[i]->n;
  for (uint32_t i = 0; i < n[!side]; i++)
    other[i] = batch + (side == 0 ? n[0] : 0) + i;
  s = support_along(b, s, other, n[!side]);
  const Type *type = &inst->arg[side]->type;
  other_axes(contract[side]->dims, contract[side]->n, type->rank, own); // batch comes first
  return ir_broadcast(b, s, own, truth(*type));
}

// Parameters are finite, or training has failed.
bool support_is_param(const Value *v) {
  while (v->def && op_table[v->def->op]->kind == K_SHAPE && v->def->n_args == 1)
    v = v->def->arg[0];
  const Inst *loop = v->region->owner;
  if (v->def)
    return false;
  return loop ? loop->op == OP_scan && support_is_param(loop->arg[v->index])
              : v->region->fn->arg_port[v->index].role == NNRT_PARAM;
}

// ---- through an operation ----------------------------------------------------------------------

// By the rule for gradients, with 1 for what belongs to the support and ones for the other factor.
static Value *by_gradient(Builder *b, Inst *inst, uint32_t arg, Value *s) {
  Inst ones = *inst;
  if (inst->op == OP_conv) {
    ones.arg = arena_array(b->m->arena, Value *, inst->n_args);
    for (uint32_t i = 0; i < inst->n_args; i++)
      ones.arg[i] = i == arg ? inst->arg[i] : ir_const(b, inst->arg[i]->type, 1);
  }
  Value *d = grad_alone(b, &ones, arg, ir_convert(b, s, inst->result[0]->type.elem));
  return d ? is_positive(b, d) : NULL;
}

bool support_starts(const Inst *inst) {
  return inst->op == OP_select && !inst->of_gradient && !is_root(inst) &&
         made_of(inst->arg[0], MAX_DEPTH) == OF_DATA;
}

static Value *of_side_taken(Builder *b, const Inst *select, uint32_t arg, Value *s) {
  if (!support_starts(select))
    return s;
  Value *c = arg == 1 ? select->arg[0] : not_of(b, select->arg[0]);
  return s ? ir_binary(b, OP_and, s, c) : c;
}

Value *support_of_argument(Builder *b, Inst *inst, uint32_t arg, Value *s) {
  if (inst->op == OP_select)
    return of_side_taken(b, inst, arg, s);
  if (!s || inst->op == OP_tap)
    return s;
  switch (op_table[inst->op]->kind) {
  case K_ELEM:
    return s;
  case K_SHAPE:
    return inst->op == OP_broadcast ? of_broadcast(b, inst, s) : by_gradient(b, inst, arg, s);
  case K_REDUCE:
    return of_reduction(b, inst, s);
  case K_CONTRACT:
    return inst->op == OP_dot ? of_side(b, inst, arg, s) : NULL;
  case K_INDEX:
  case K_WINDOW:
    return by_gradient(b, inst, arg, s);
  default:
    return NULL;
  }
}

Inst *support_product(Builder *b, Inst *inst, Value *support) {
  if (!support || (inst->op != OP_dot && inst->op != OP_conv))
    return inst;
  Inst *masked = arena_new(b->m->arena, Inst);
  *masked = *inst;
  masked->arg = arena_array(b->m->arena, Value *, inst->n_args);
  for (uint32_t i = 0; i < inst->n_args; i++) {
    Value *x = inst->arg[i];
    Value *s = support_is_param(x) ? NULL : support_of_argument(b, inst, i, support);
    masked->arg[i] = s ? ir_select(b, s, x, ir_const(b, x->type, 0)) : x;
  }
  return masked;
}

// ---- gradients ---------------------------------------------------------------------------------

// Is its gradient only moved and added up, so that 0 stays 0?
static bool moves(const Inst *inst) {
  OpKind kind = op_table[inst->op]->kind;
  return kind == K_SHAPE || kind == K_INDEX || kind == K_CONTRACT || inst->op == OP_conv ||
         inst->op == OP_sum || inst->op == OP_tap || inst->op == OP_select;
}

Value *support_masked(Builder *b, const Inst *inst, Value *support, GradMask mask, Value *d) {
  bool same = mask.taken ? support == mask.condition
                         : support && mask.condition && opposite(support, mask.condition);
  if (!support || same || moves(inst))
    return d;
  return ir_select(b, support, d, ir_const(b, d->type, 0));
}
