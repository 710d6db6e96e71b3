// Behind a convolution or a product, what adds, subtracts, multiplies or divides by one number per
// channel becomes x * scale + shift: batch normalisation by its moving statistics, and the bias
// before it, cost the epilogue two operations, and scale and shift are made once, of C numbers.
//
// Only where nothing else reads what lies between (statistics of the batch would, and a gradient
// that needs what is centred), so that x is rounded as it was: the sum behind it has an error of
// the size of x itself, and x * scale + shift adds none that is larger. Not in the body of a scan:
// scale and shift would be made in every turn.
#include "pass/affine.h"

enum { MOST = 16 }; // operations of a chain

typedef struct {
  Value *base; // x
  Inst *step[MOST];
  uint32_t n; // steps; the last one comes first
} Chain;

// c if v is broadcast(c), one number per place along the last axis; else NULL.
static Value *per_channel(const Value *v) {
  const Inst *spread = v->def && v->def->op == OP_broadcast ? v->def : NULL;
  if (!spread || v->type.elem != TY_F32 || spread->arg[0]->type.rank != 1 ||
      spread->arg[0]->type.dim[0] < 0)
    return NULL;
  return inst_attr(spread, "axes")->dims[0] == v->type.rank - 1 ? spread->arg[0] : NULL;
}

// The argument that is one number per channel, the other one goes on: 1, or 0 where the operation
// commutes; -1: no step of a chain.
static int channel_argument(const Inst *inst) {
  if (inst->op != OP_add && inst->op != OP_sub && inst->op != OP_mul && inst->op != OP_div)
    return -1;
  if (per_channel(inst->arg[1]))
    return 1;
  bool commutes = inst->op == OP_add || inst->op == OP_mul;
  return commutes && per_channel(inst->arg[0]) ? 0 : -1;
}

// Through reshapes that keep the channels.
static const Value *behind_reshapes(const Value *v) {
  while (v->def && v->def->op == OP_reshape && v->uses == 1 && v->type.rank > 0 &&
         v->def->arg[0]->type.rank > 0 &&
         v->type.dim[v->type.rank - 1] == v->def->arg[0]->type.dim[v->def->arg[0]->type.rank - 1])
    v = v->def->arg[0];
  return v;
}

// The chain that ends with `last`; false if it is none, or as short as it can be.
static bool find_chain(Inst *last, Chain *c) {
  bool scaled = false;
  Inst *i = last;
  int k;
  for (c->n = 0; i && c->n < MOST && (k = channel_argument(i)) >= 0; i = c->base->def) {
    scaled |= i->op == OP_mul || i->op == OP_div;
    c->step[c->n++] = i;
    c->base = i->arg[1 - k];
    if (c->base->uses != 1)
      break;
  }
  if (c->n < 3 || !scaled || c->base->uses != 1)
    return false;
  const Value *x = behind_reshapes(c->base);
  return x->uses == 1 && x->def &&
         (x->def->op == OP_conv || x->def->op == OP_winograd || x->def->op == OP_dot);
}

// x op v, x being `start` if there is none yet.
static Value *combine(Builder *b, Op op, Value *x, double start, Value *v) {
  if (!x && (op == OP_add || op == OP_mul))
    return v;
  return ir_binary(b, op, x ? x : ir_const(b, v->type, start), v);
}

static Value *spread(Builder *b, Value *c, Type to) {
  return ir_broadcast(b, c, &(uint32_t){to.rank - 1u}, to);
}

static Value *scale_and_shift(Builder *b, const Chain *c) {
  Value *scale = NULL, *shift = NULL;
  for (uint32_t k = c->n; k-- > 0;) {
    const Inst *i = c->step[k];
    Value *v = per_channel(i->arg[channel_argument(i)]);
    if (i->op == OP_add || i->op == OP_sub) {
      shift = combine(b, i->op, shift, 0, v);
      continue;
    }
    scale = combine(b, i->op, scale, 1, v);
    shift = shift ? ir_binary(b, i->op, shift, v) : NULL;
  }
  Value *y = ir_binary(b, OP_mul, c->base, spread(b, scale, c->base->type));
  return shift ? ir_binary(b, OP_add, y, spread(b, shift, c->base->type)) : y;
}

// From the end: the first step that is met is the last of its chain.
void affine_chains(Function *f) {
  Chain c;
  ir_count_uses(f);
  for (Inst *i = f->body->last, *before; i; i = before) {
    before = i->prev;
    if (i->n_results != 1 || i->result[0]->uses == 0 || !find_chain(i, &c))
      continue;
    Builder b = {.m = f->module, .region = f->body, .before = i, .loc = i->loc};
    ir_forward(i->result[0], scale_and_shift(&b, &c));
    for (uint32_t k = 0; k < c.n; k++)
      c.step[k]->result[0]->uses = 0;
  }
  for (Inst *i = f->body->first; i; i = i->next)
    ir_resolve(i);
}
