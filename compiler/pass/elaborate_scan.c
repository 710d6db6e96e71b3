// `scan`: a loop over time that stays one in the program (rule 13). Its body is elaborated once, in
// a region of its own; what it reads from outside becomes captures when it is done. So the layers
// that it calls are one instance for all turns (rule 5), and its draws are keyed by the turn as
// well (rule 7): each turn has a key of its own, drawn before the loop, in place of the seed.
#include "pass/elaborate_core.h"
#include "pass/scans.h"

#include <string.h>

typedef struct {
  Node *binding, *name; // N_BINDING, N_NAME or N_HOLE
  Value *init;
  Span span;
} Carry;

struct ScanBody {
  struct ScanBody *up;
  Node *node;
  Region *region;
  Builder outer, inner; // of the region around it; of the body, while that is not current
  int64_t length;
  BUF(Value *) sequence; // as the slices are: the last arguments of the body
  Value *key;            // of the turn, or NULL
  Scope *loop;           // the carries
  BUF(Carry) carry;
  BUF(StateUpdate) state; // before the loop
};
typedef struct ScanBody ScanBody;

// ---- outside and inside ------------------------------------------------------------------------

ScanBody *scan_leave(Elab *e, ScanBody *to) {
  Target *t = e->target;
  ScanBody *from = t ? t->scan : NULL, *below = from;
  if (from == to)
    return from;
  from->inner = t->b;
  while (below->up != to && below->up)
    below = below->up;
  t->b = below->outer;
  t->scan = below->up;
  return from;
}

void scan_return(Elab *e, ScanBody *from) {
  if (!e->target || e->target->scan == from)
    return;
  e->target->b = from->inner;
  e->target->scan = from;
}

ScanBody *scan_around(const Elab *e, const Region *r) {
  ScanBody *s = e->target ? e->target->scan : NULL;
  while (s && s->region != r)
    s = s->up;
  return s;
}

bool scan_outlives(const Elab *e, const ScanBody *scan) {
  for (const ScanBody *s = e->target ? e->target->scan : NULL; s; s = s->up)
    if (s == scan)
      return true;
  return !scan;
}

static Value *add_slice(Elab *e, ScanBody *s, Value *sequence) {
  Type type = sequence->type;
  for (uint32_t i = 1; i < type.rank; i++)
    type.dim[i - 1] = type.dim[i];
  type.rank--;
  buf_push(e->m->arena, &s->sequence, sequence);
  return ir_region_arg(s->region, type, e->m->arena);
}

// One number for each turn, drawn from the key around the loop.
Value *scan_key(Elab *e) {
  ScanBody *s = e->target->scan;
  if (!s)
    return target_seed(e->target);
  if (s->key)
    return s->key;
  ScanBody *from = scan_leave(e, s->up);
  Dim length = s->length;
  Target *t = e->target;
  Value *arg[] = {scan_key(e), t->outer ? target_iteration(t) : target_step(t)};
  Attr attr[] = {attr_str(intern(e->s, "bits")), attr_str(elab_stream(e, "turn")),
                 attr_dims(e->m->arena, &length, 1)};
  Value *keys = ir_inst(building(e), OP_random, arg, 2, attr, 3)->result[0];
  scan_return(e, from);
  return s->key = add_slice(e, s, keys);
}

// ---- what it goes over -------------------------------------------------------------------------

static Value *counted(Elab *e, Scope *scope, Node *node, Val from) {
  int64_t a, b;
  if (!elab_int(e, from, "the first bound", node->b->span, &a) ||
      !elab_int(e, elab_expr(e, scope, node->c, NULL), "the second bound", node->c->span, &b))
    return NULL;
  if (a < 0 || b <= a) {
    Diagnostic *d =
        elab_error(e, node->b->span, "out-of-range",
                   "`scan` makes at least one turn, found %lld..%lld", (long long)a, (long long)b);
    diag_note(e->s, d, (Span){0}, "0..n are the numbers 0 to n - 1");
    return NULL;
  }
  at(e, node->span);
  Dim length = b - a;
  Attr attr[] = {attr_dims(e->m->arena, &length, 1), attr_int(0), attr_elem(TY_I32)};
  Value *turns = ir_inst(building(e), OP_iota, NULL, 0, attr, 3)->result[0];
  if (a)
    turns = ir_binary(building(e), OP_add, turns, ir_const(building(e), turns->type, (double)a));
  return ir_inst(building(e), OP_convert, &turns, 1, (Attr[]){attr_elem(TY_I32), attr_int(b)}, 2)
      ->result[0];
}

static Value *sequence_of(Elab *e, Val v, Span span) {
  if (v.kind == V_ERROR)
    return NULL;
  Value *t = v.kind == V_TENSOR || v.kind == V_LIST ? elab_tensor(e, v, NULL, span) : NULL;
  if (t && t->type.rank)
    return t;
  if (t || (v.kind != V_TENSOR && v.kind != V_LIST)) {
    Diagnostic *d =
        elab_error(e, span, "wrong-type", "`scan` goes over the first axis of a tensor, found %s",
                   val_text(e, v));
    if (is_number(v))
      diag_note(e->s, d, (Span){0}, "to count, write `scan t in 0..%s`", val_text(e, v));
    else
      diag_note(e->s, d, (Span){0}, "a sequence is f32[time] or f32[time, features]");
  }
  return NULL;
}

static bool same_length(Elab *e, ScanBody *s, const Value *sequence, Span span) {
  Dim length = sequence->type.dim[0];
  if (!s->length)
    s->length = length;
  if (s->length == length)
    return true;
  Diagnostic *d = elab_error(e, span, "shape-mismatch", "sequences of %lld and of %lld turns",
                             (long long)s->length, (long long)length);
  diag_note(e->s, d, (Span){0},
            "a scan takes one slice of each in every turn: their first axes are equally long; cut "
            "the longer one, x[0..%lld]",
            (long long)(s->length < length ? s->length : length));
  return false;
}

// The value that the pattern names: a slice, or one of each sequence.
static Val slices(Elab *e, Scope *scope, ScanBody *s) {
  Node *node = s->node;
  Val v = elab_expr(e, scope, node->b, NULL);
  if (v.kind == V_ERROR)
    return v;
  bool several = v.kind == V_TUPLE;
  uint32_t n = several ? v.n : 1;
  Val *list = arena_array(e->s->perm, Val, n + 1);
  for (uint32_t i = 0; i < n; i++) {
    Value *sequence = node->c ? counted(e, scope, node, v)
                              : sequence_of(e, several ? v.list[i] : v, node->b->span);
    if (!sequence || !same_length(e, s, sequence, node->b->span))
      return val_error();
    list[i] = val_tensor(sequence); // its slice comes after the carries
  }
  return several ? val_tuple(e, V_TUPLE, list, n) : list[0];
}

static void make_slices(Elab *e, ScanBody *s, Val *v) {
  if (v->kind == V_TENSOR)
    v->t = add_slice(e, s, v->t);
  for (uint32_t i = 0; v->kind == V_TUPLE && i < v->n; i++)
    make_slices(e, s, &v->list[i]);
}

// ---- carries -----------------------------------------------------------------------------------

static void add_carry(Elab *e, ScanBody *s, Scope *scope, Node *binding, Node *name, Val v) {
  Type want;
  bool known = binding->type && type_known(e, scope, binding->type, &want);
  Value *t = v.kind == V_ERROR ? NULL : elab_tensor(e, v, known ? &want : NULL, binding->b->span);
  if (t)
    buf_push(e->s->perm, &s->carry, (Carry){binding, name, t, v.span});
}

// False after an error.
static bool read_carries(Elab *e, Scope *scope, ScanBody *s) {
  uint32_t errors = e->s->n_error;
  bool known = true;
  for (uint32_t i = 0; i < s->node->list.n; i++) {
    Node *binding = s->node->list.at[i], *pattern = binding->a;
    Val v = binding_value(e, scope, binding);
    known &= v.kind != V_ERROR;
    if (pattern->kind != N_TUPLE) {
      add_carry(e, s, scope, binding, pattern, v);
      continue;
    }
    bool parts = v.kind == V_TUPLE && v.n == pattern->list.n;
    if (!parts && v.kind != V_ERROR)
      wrong_parts(e, pattern, binding->b, v);
    for (uint32_t k = 0; parts && k < v.n; k++)
      add_carry(e, s, scope, binding, pattern->list.at[k], v.list[k]);
  }
  return known && e->s->n_error == errors;
}

static void declare_carries(Elab *e, ScanBody *s) {
  for (uint32_t i = 0; i < s->carry.n; i++) {
    const Carry *c = &s->carry.at[i];
    Val v = val_tensor(ir_region_arg(s->region, c->init->type, e->m->arena));
    v.span = c->span;
    const char *name = c->name->kind == N_NAME ? c->name->name : "_";
    scope_add_assignable(e, s->loop, name, v, c->name->span);
  }
}

// What a carry has become at the end of a turn; NULL after an error.
static Value *new_value(Elab *e, ScanBody *s, const Carry *c, const Entry *entry, Value *old) {
  Type want = old->type;
  want.batched = false;
  if (entry->val.kind == V_ERROR)
    return NULL;
  if (entry->val.kind == V_TENSOR && entry->val.t == old && c->name->kind == N_NAME) {
    Diagnostic *d = diag_warning(e->s, c->name->span, "unused",
                                 "no turn assigns `%s`: it stays what it is", entry->name);
    diag_note(e->s, d, (Span){0}, "`%s = ...` in the body gives it to the next turn", entry->name);
  }
  Val v = entry->val;
  Value *t = v.kind == V_TENSOR ? v.t : elab_tensor(e, v, &want, s->node->span);
  if (!t)
    return NULL;
  bool alike = type_same_shape(&t->type, &want) && t->type.elem == want.elem &&
               (!want.range || t->type.range == want.range);
  if (alike)
    return t;
  Diagnostic *d = elab_error(e, v.span.file ? v.span : s->node->span, "carry-changes",
                             "`%s` is %s after a turn, but %s before it", entry->name,
                             type_user_text(e, &t->type), type_user_text(e, &want));
  diag_note(e->s, d, c->span, "it starts as %s here", type_user_text(e, &want));
  if (type_same_shape(&t->type, &want))
    diag_note(e->s, d, (Span){0}, "say what it is: `with %s: %s = ...`", entry->name,
              type_user_text(e, &t->type));
  else
    diag_note(e->s, d, (Span){0},
              "every turn of a `scan` does the same: what it carries keeps its shape. `for` is "
              "unrolled, there it may change");
  return NULL;
}

// ---- the end of the body -----------------------------------------------------------------------

// The values that the body ends with; false after an error.
static bool last_values(Elab *e, ScanBody *s, const Yields *yields, Value ***out, uint32_t *n) {
  BUF(Value *) list = {0};
  bool ok = true;
  const Entry *entry = s->loop->first;
  for (uint32_t i = 0; i < s->carry.n; i++, entry = entry->next)
    buf_push(e->m->arena, &list, new_value(e, s, &s->carry.at[i], entry, s->region->arg[i]));
  if (yields->item.n > 1) {
    Diagnostic *d = elab_error(e, s->node->span, "wrong-type",
                               "a turn yields once, this body yields %u times", yields->item.n);
    diag_note(e->s, d, (Span){0}, "several values are a tuple: yield (a, b)");
    return false;
  }
  for (uint32_t i = 0; i < yields->item.n; i++) {
    Val v = yields->item.at[i];
    for (uint32_t k = 0; k < (v.kind == V_TUPLE ? v.n : 1); k++)
      buf_push(e->m->arena, &list, elab_tensor(e, v.kind == V_TUPLE ? v.list[k] : v, NULL, v.span));
  }
  for (uint32_t i = 0; i < list.n; i++)
    ok &= list.at[i] != NULL;
  *out = list.at;
  *n = list.n;
  return ok;
}

static void spread_batched(Elab *e, const ScanBody *s) {
  const Inst *yield = s->region->last;
  bool more = true;
  for (uint32_t i = 0; i < s->carry.n; i++)
    s->region->arg[i]->type.batched |= s->carry.at[i].init->type.batched;
  while (more) {
    more = false;
    scan_spread_batched(e->m, s->region);
    for (uint32_t i = 0; i < s->carry.n; i++)
      if (yield->arg[i]->type.batched && !s->region->arg[i]->type.batched)
        more = s->region->arg[i]->type.batched = true;
  }
}

static Inst *make_scan(Elab *e, ScanBody *s) {
  uint32_t n = s->carry.n + s->sequence.n;
  Value **arg = arena_array(e->m->arena, Value *, n + 1);
  for (uint32_t i = 0; i < n; i++)
    arg[i] = i < s->carry.n ? s->carry.at[i].init : s->sequence.at[i - s->carry.n];
  Attr attr[] = {attr_int(s->carry.n), attr_int(0), attr_int(s->length), attr_int(0)};
  at(e, s->node->span);
  return ir_inst_with(building(e), OP_scan, arg, n, attr, 4, s->region);
}

static void capture_all(Elab *e, Inst *scan) {
  for (Inst *i = scan->body->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_args; k++)
      if (i->arg[k]->region != scan->body)
        i->arg[k] = scan_capture(e->m, scan, i->arg[k]);
}

// State that the body gives a new value is a carry (rule 25).
static void carry_states(Elab *e, ScanBody *s, Inst *scan) {
  Target *t = e->target;
  for (uint32_t i = 0; i < t->update.n; i++) {
    StateUpdate *u = &t->update.at[i];
    if (u->value->region != scan->body)
      continue;
    Param *p = u->state;
    Value *inner, *before = i < s->state.n
                                ? s->state.at[i].value
                                : target_argument(t, p->type, NNRT_STATE, p->index, p->path);
    uint32_t number = scan_shape(scan).carries;
    Value *after = scan_carry(e->m, scan, before, &inner);
    for (Inst *k = scan->body->first; k; k = k->next)
      for (uint32_t a = 0; a < k->n_args; a++)
        if (k->arg[a] == before)
          k->arg[a] = inner;
    scan->body->last->arg[number] = u->value;
    u->value = after;
  }
}

// ---- the loop ----------------------------------------------------------------------------------

static void enter(Elab *e, ScanBody *s) {
  Target *t = e->target;
  s->up = t->scan;
  s->outer = t->b;
  s->region = ir_region(t->fn);
  for (uint32_t i = 0; i < t->update.n; i++)
    buf_push(e->s->perm, &s->state, t->update.at[i]);
}

// Returns the values that the body ends with, or NULL after an error.
static Value **elab_body(Elab *e, ScanBody *s, Scope *turn, uint32_t *n) {
  Yields yields = {0}, *outer_yields = e->yields;
  Application *app = e->app;
  uint32_t errors = e->s->n_error;
  Value **values = NULL;
  e->target->scan = s;
  e->target->b = (Builder){.m = e->m, .region = s->region, .loc = s->outer.loc};
  e->yields = &yields;
  e->app = NULL; // what is named inside is one value per turn
  Val v = elab_block(e, turn, s->node->body, NULL);
  unused_turn(e, s->node->body, v);
  e->yields = outer_yields;
  e->app = app;
  bool ok = e->s->n_error == errors && last_values(e, s, &yields, &values, n);
  if (ok)
    ir_inst(building(e), OP_yield, values, *n, NULL, 0);
  e->target->b = s->outer;
  e->target->scan = s->up;
  return ok ? values : NULL;
}

static Val results(Elab *e, const ScanBody *s, const Inst *scan) {
  BUF(Val) out = {0};
  for (uint32_t i = 0; i < scan->n_results; i++)
    if (i < s->carry.n || i >= scan_shape(scan).carries)
      buf_push(e->s->perm, &out, val_tensor(scan->result[i]));
  if (out.n == 0)
    return val_kind(V_NONE);
  return out.n == 1 ? out.at[0] : val_tuple(e, V_TUPLE, out.at, out.n);
}

Val scan_expr(Elab *e, Scope *scope, Node *node) {
  ScanBody *s = arena_new(e->s->perm, ScanBody);
  *s = (ScanBody){.node = node, .loop = scope_new(e, scope)};
  if (!in_program(e, node->span))
    return val_error();
  Val slice = slices(e, scope, s);
  if (!read_carries(e, scope, s) || slice.kind == V_ERROR)
    return val_error();
  enter(e, s);
  s->loop->is_loop = true;
  declare_carries(e, s);
  make_slices(e, s, &slice);
  Scope *turn = scope_new(e, s->loop);
  bind_pattern(e, turn, node->a, slice, false, false);
  uint32_t n;
  if (!elab_body(e, s, turn, &n))
    return val_error();
  spread_batched(e, s);
  Inst *scan = make_scan(e, s);
  carry_states(e, s, scan);
  capture_all(e, scan);
  return results(e, s, scan);
}
