// grad(e, x) in the body of a scan, where e is made of x partly outside of the loop: what lies
// there between x and the values that the body reads is computed in the body too, so that the way
// from x to e is there whole. In: the body so far, its loss, x; out: the body reads the copies.
// Pass hoist takes what no turn changes out of the loop again.
#include "pass/elaborate_core.h"

// A region around the body: what is known of its values, by id.
typedef struct {
  const Region *region;
  bool *seen;
  Value **copy; // in the body, of a value that is made of x; NULL: it is not
} Level;

typedef struct {
  Elab *e;
  const Value *x;
  Builder b; // the start of the body
  BUF(Level) level;
} Through;

static Level *level_of(Through *t, Region *region) {
  for (uint32_t i = 0; i < t->level.n; i++)
    if (t->level.at[i].region == region)
      return &t->level.at[i];
  Arena *arena = t->e->m->arena;
  uint32_t n = ir_number_region(region);
  Level level = {region, arena_array(arena, bool, n + 1), arena_array(arena, Value *, n + 1)};
  buf_push(arena, &t->level, level);
  return &t->level.at[t->level.n - 1];
}

static Value *in_body(Through *t, Value *v);

// Copies what makes v if that is made of x.
static void look_at(Through *t, const Inst *inst) {
  Value **arg = arena_array(t->e->m->arena, Value *, inst->n_args + 1);
  bool of_x = false;
  for (uint32_t i = 0; i < inst->n_args; i++) {
    arg[i] = in_body(t, inst->arg[i]);
    of_x |= arg[i] != inst->arg[i] || arg[i] == t->x;
  }
  const Inst *copy = of_x ? ir_copy(&t->b, inst, arg) : NULL;
  Level *level = level_of(t, inst->parent);
  for (uint32_t i = 0; i < inst->n_results; i++) {
    level->seen[inst->result[i]->id] = true;
    level->copy[inst->result[i]->id] = copy ? copy->result[i] : NULL;
  }
}

// What v is in the body: a copy if it is made of x outside, else itself.
static Value *in_body(Through *t, Value *v) {
  if (v == t->x || v->region == t->b.region || !v->def)
    return v;
  if (!level_of(t, v->region)->seen[v->id])
    look_at(t, v->def);
  Value *copy = level_of(t, v->region)->copy[v->id];
  return copy ? copy : v;
}

void grad_bring_in(Elab *e, const Value *x, Region *body) {
  if (x->region == body || !body->first)
    return;
  Inst *first = body->first;
  Through t = {.e = e, .x = x, .b = {.m = e->m, .region = body, .before = first}};
  for (Inst *i = first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_args; k++)
      i->arg[k] = in_body(&t, i->arg[k]);
}
