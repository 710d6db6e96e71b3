// Scans are changed in place: an argument outside belongs to one of the body, a result to one that
// the body yields. What nothing needs goes, what is there twice becomes one, reversed sequences are
// gone through backward.
#include "pass/scans.h"

#include <string.h>

// ---- adding ------------------------------------------------------------------------------------

static Value **inserted(Arena *arena, Value **list, uint32_t n, uint32_t at, Value *v) {
  Value **more = arena_array(arena, Value *, n + 1);
  for (uint32_t i = 0; i <= n; i++)
    more[i] = i < at ? list[i] : i == at ? v : list[i - 1];
  return more;
}

static void number_list(Value **list, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    list[i]->index = i;
}

static Type type_of_slice(Type type) {
  for (uint32_t i = 1; i < type.rank; i++)
    type.dim[i - 1] = type.dim[i];
  type.rank--;
  return type;
}

static Value *add_argument(Module *m, Inst *scan, uint32_t at, Value *outer, Type type) {
  Region *r = scan->body;
  Value *inner = arena_new(m->arena, Value);
  inner->type = type;
  inner->region = r;
  inner->id = UINT32_MAX;
  scan->arg = inserted(m->arena, scan->arg, scan->n_args, at, outer);
  r->arg = inserted(m->arena, r->arg, r->n_arg, at, inner);
  number_list(r->arg, ++r->n_arg);
  r->cap_arg = r->n_arg;
  scan->n_args++;
  return inner;
}

Value *scan_capture(Module *m, Inst *scan, Value *outer) {
  ScanShape shape = scan_shape(scan);
  uint32_t end = shape.carries + shape.captures;
  for (uint32_t i = shape.carries; i < end; i++)
    if (scan->arg[i] == outer)
      return scan->body->arg[i];
  scan->attr[1].i++;
  return add_argument(m, scan, end, outer, outer->type);
}

Value *scan_sequence(Module *m, Inst *scan, Value *outer) {
  ScanShape shape = scan_shape(scan);
  for (uint32_t i = shape.carries + shape.captures; i < scan->n_args; i++)
    if (scan->arg[i] == outer)
      return scan->body->arg[i];
  return add_argument(m, scan, scan->n_args, outer, type_of_slice(outer->type));
}

static bool is_sequence(const Inst *scan, const Value *inner) {
  ScanShape shape = scan_shape(scan);
  return !inner->def && inner->index >= shape.carries + shape.captures;
}

static Value *add_result(Module *m, Inst *scan, uint32_t at, Type type, Value *yielded) {
  Inst *yield = scan->body->last;
  Value *v = arena_new(m->arena, Value);
  *v = (Value){.type = type, .def = scan, .region = scan->parent, .id = UINT32_MAX};
  yield->arg = inserted(m->arena, yield->arg, yield->n_args++, at, yielded);
  scan->result = inserted(m->arena, scan->result, scan->n_results, at, v);
  number_list(scan->result, ++scan->n_results);
  return v;
}

Value *scan_carry(Module *m, Inst *scan, Value *init, Value **inner) {
  uint32_t last = scan_shape(scan).carries;
  *inner = add_argument(m, scan, last, init, init->type);
  scan->attr[0].i++;
  return add_result(m, scan, last, init->type, *inner);
}

Value *scan_stack(Module *m, Inst *scan, Value *inner) {
  ScanShape shape = scan_shape(scan);
  Inst *yield = scan->body->last;
  if (is_sequence(scan, inner))
    return scan->arg[inner->index];
  for (uint32_t i = shape.carries; i < yield->n_args; i++)
    if (yield->arg[i] == inner)
      return scan->result[i];
  Type type = inner->type;
  type.rank++;
  memmove(type.dim + 1, inner->type.dim, sizeof *inner->type.dim * inner->type.rank);
  type.dim[0] = shape.length;
  return add_result(m, scan, scan->n_results, type, inner);
}

// ---- rows --------------------------------------------------------------------------------------

// Arguments of the body that are batched outside, carries that become so.
static bool spread_to_arguments(Inst *scan) {
  bool any = false;
  for (uint32_t i = 0; i < scan->n_args; i++) {
    Value *inner = scan->body->arg[i];
    bool carry = i < scan_shape(scan).carries;
    bool batched = scan->arg[i]->type.batched || (carry && scan->body->last->arg[i]->type.batched);
    any |= batched && !inner->type.batched;
    inner->type.batched |= batched;
  }
  return any;
}

static void spread_to_scan(Module *m, Inst *scan) {
  while (spread_to_arguments(scan))
    scan_spread_batched(m, scan->body);
  for (uint32_t i = 0; i < scan->n_results; i++)
    scan->result[i]->type.batched |= i < scan_shape(scan).carries
                                         ? scan->body->arg[i]->type.batched
                                         : scan->body->last->arg[i]->type.batched;
}

void scan_spread_batched(Module *m, Region *body) {
  for (Inst *i = body->first; i; i = i->next) {
    if (i->op == OP_scan)
      spread_to_scan(m, i);
    if (i->body || i->n_results == 0)
      continue;
    Type *rule = arena_array(m->arena, Type, i->n_args + 1);
    if (ir_check(m, i->op, i->arg, i->n_args, i->attr, i->n_attrs, rule))
      continue; // the verifier says so
    for (uint32_t k = 0; k < i->n_results; k++)
      i->result[k]->type.batched = rule[k].batched;
  }
}

// ---- what is needed ----------------------------------------------------------------------------

typedef struct {
  Inst *scan;
  ScanShape shape;
  bool *value;  // by Value.id in the body
  bool *result; // by number
} Needed;

static void need_value(Needed *n, Value *v) {
  n->value[v->id] = true;
}

// From the results that are needed to the values they are made of.
static void need_backwards(Needed *n) {
  const Inst *yield = n->scan->body->last;
  for (uint32_t i = 0; i < yield->n_args; i++)
    if (n->result[i])
      need_value(n, yield->arg[i]);
  for (const Inst *i = yield->prev; i; i = i->prev) {
    bool any = false;
    for (uint32_t k = 0; k < i->n_results; k++)
      any |= n->value[i->result[k]->id];
    for (uint32_t k = 0; k < i->n_args && any; k++)
      need_value(n, i->arg[k]);
  }
}

// A carry is needed if its last value is, or if something needed reads it in the body.
static void need_carries(Needed *n) {
  bool more = true;
  while (more) {
    more = false;
    need_backwards(n);
    for (uint32_t i = 0; i < n->shape.carries; i++)
      if (!n->result[i] && n->value[n->scan->body->arg[i]->id])
        more = n->result[i] = true;
  }
}

static uint32_t values_in(const Region *r) {
  uint32_t n = r->n_arg;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  return n;
}

// Ids and uses are fresh.
static Needed needed_of(Arena *arena, Inst *scan) {
  Needed n = {.scan = scan, .shape = scan_shape(scan)};
  n.value = arena_array(arena, bool, values_in(scan->body) + 1);
  n.result = arena_array(arena, bool, scan->n_results + 1);
  for (uint32_t i = 0; i < scan->n_results; i++)
    n.result[i] = scan->result[i]->uses > 0;
  need_carries(&n);
  return n;
}

static uint32_t compacted(Value **list, uint32_t n, const bool *keep) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n; i++)
    if (keep[i])
      list[kept++] = list[i];
  return kept;
}

static bool drop_unneeded(Arena *arena, Inst *scan) {
  Needed n = needed_of(arena, scan);
  Region *r = scan->body;
  bool *arg = arena_array(arena, bool, scan->n_args + 1);
  uint32_t carries = 0, captures = 0, n_args = scan->n_args, n_results = scan->n_results;
  for (uint32_t i = 0; i < scan->n_args; i++) {
    arg[i] = i < n.shape.carries ? n.result[i] : n.value[r->arg[i]->id];
    carries += arg[i] && i < n.shape.carries;
    captures += arg[i] && i >= n.shape.carries && i < n.shape.carries + n.shape.captures;
  }
  r->last->n_args = compacted(r->last->arg, n_results, n.result);
  scan->n_results = compacted(scan->result, n_results, n.result);
  scan->n_args = compacted(scan->arg, n_args, arg);
  r->n_arg = compacted(r->arg, n_args, arg);
  number_list(r->arg, r->n_arg);
  number_list(scan->result, scan->n_results);
  scan->attr[0] = attr_int(carries);
  scan->attr[1] = attr_int(captures);
  return scan->n_args != n_args || scan->n_results != n_results;
}

// ---- what is there twice, or need not be there -------------------------------------------------

static Builder at_start(Module *m, const Inst *scan) {
  return (Builder){.m = m, .region = scan->body, .before = scan->body->first, .loc = scan->loc};
}

// The constant that `outer` is, made in the body with the type of the argument; or NULL.
static Value *sunk(Module *m, const Inst *scan, const Value *outer, Type type) {
  Builder b = at_start(m, scan);
  if (!outer->def || op_table[outer->def->op]->kind != K_SOURCE)
    return NULL;
  if (outer->def->op == OP_const)
    return ir_const(&b, type, inst_attr(outer->def, "value")->f);
  if (outer->def->op == OP_literal || !type_equal(&type, &outer->type))
    return NULL;
  return ir_inst(&b, outer->def->op, NULL, 0, outer->def->attr, outer->def->n_attrs)->result[0];
}

static bool sink_constants(Module *m, Inst *scan) {
  bool any = false;
  for (uint32_t i = scan_shape(scan).carries; i < scan->n_args; i++) {
    Value *inner = scan->body->arg[i];
    Value *constant = inner->uses ? sunk(m, scan, scan->arg[i], inner->type) : NULL;
    if (constant)
      ir_replace(inner, constant);
    any |= constant != NULL;
  }
  return any;
}

// Two arguments of one kind that are the same value outside are one inside.
static bool merge_arguments(Inst *scan) {
  ScanShape shape = scan_shape(scan);
  bool any = false;
  for (uint32_t i = shape.carries; i < scan->n_args; i++)
    for (uint32_t k = shape.carries; k < i; k++) {
      bool same_kind = (i < shape.carries + shape.captures) == (k < shape.carries + shape.captures);
      if (!same_kind || scan->arg[i] != scan->arg[k] || !scan->body->arg[i]->uses)
        continue;
      ir_replace(scan->body->arg[i], scan->body->arg[k]);
      scan->body->arg[i]->uses = 0;
      any = true;
    }
  return any;
}

// A carry that never changes is a capture.
static bool capture_constant_carries(Module *m, Inst *scan) {
  bool any = false;
  for (uint32_t i = 0; i < scan_shape(scan).carries; i++) {
    Value *inner = scan->body->arg[i];
    if (scan->body->last->arg[i] != inner || !inner->uses)
      continue;
    any |= inner->uses > 1 || scan->result[i]->uses;
    ir_replace(scan->result[i], scan->arg[i]);
    if (inner->uses > 1)
      ir_replace(inner, scan_capture(m, scan, scan->arg[i]));
    scan->result[i]->uses = 0;
  }
  return any;
}

// What is the stack of `inner`, without stacking it? Or NULL.
static Value *known_stack(Module *m, const Inst *scan, uint32_t number) {
  ScanShape shape = scan_shape(scan);
  Value *inner = scan->body->last->arg[number], *result = scan->result[number];
  Builder b = {.m = m, .region = scan->parent, .before = scan->next, .loc = scan->loc};
  for (uint32_t i = shape.carries; i < number; i++)
    if (scan->body->last->arg[i] == inner)
      return scan->result[i];
  if (is_sequence(scan, inner))
    return scan->arg[inner->index];
  if (inner->def && inner->def->op == OP_const)
    return ir_const(&b, result->type, inst_attr(inner->def, "value")->f);
  if (inner->def || inner->index < shape.carries)
    return NULL;
  uint32_t axes[MAX_RANK];
  for (uint32_t i = 0; i < MAX_RANK; i++)
    axes[i] = i + 1;
  return ir_broadcast(&b, scan->arg[inner->index], axes, result->type);
}

static bool replace_known_stacks(Module *m, Inst *scan) {
  bool any = false;
  for (uint32_t i = scan_shape(scan).carries; i < scan->n_results; i++) {
    if (!scan->result[i]->uses)
      continue;
    Value *known = known_stack(m, scan, i);
    if (known)
      ir_replace(scan->result[i], known);
    any |= known != NULL;
  }
  return any;
}

static bool is_reversed(const Value *x) {
  return x->def && x->def->op == OP_reverse && x->def->attr[0].i == 0;
}

static void reverse_stack(Builder *b, Inst *scan, uint32_t number) {
  Value *old = scan->result[number], *stack = arena_new(b->m->arena, Value);
  *stack = *old;
  scan->result[number] = stack;
  ir_replace(old, ir_inst(b, OP_reverse, &stack, 1, (Attr[]){attr_int(0)}, 1)->result[0]);
}

// Through reversed sequences is through the sequences the other way; the stacks are the other way
// round then, and reversing them back again vanishes.
static bool turn_around(Module *m, Inst *scan) {
  ScanShape shape = scan_shape(scan);
  uint32_t first = shape.carries + shape.captures;
  for (uint32_t i = first; i < scan->n_args; i++)
    if (!is_reversed(scan->arg[i]))
      return false;
  if (shape.sequences == 0)
    return false;
  for (uint32_t i = first; i < scan->n_args; i++)
    scan->arg[i] = scan->arg[i]->def->arg[0];
  scan->attr[3] = attr_int(!shape.reverse);
  Builder b = {.m = m, .region = scan->parent, .before = scan->next, .loc = scan->loc};
  for (uint32_t i = shape.carries; i < scan->n_results; i++)
    reverse_stack(&b, scan, i);
  return true;
}

static bool tidy_region(Function *f, Region *r) {
  Module *m = f->module;
  bool any = false;
  for (Inst *i = r->first; i; i = i->next) {
    if (i->op != OP_scan)
      continue;
    any |= turn_around(m, i);
    any |= merge_arguments(i);
    any |= sink_constants(m, i);
    any |= replace_known_stacks(m, i);
    any |= capture_constant_carries(m, i);
    any |= tidy_region(f, i->body);
  }
  return any;
}

static bool drop_in_region(Arena *arena, Region *r) {
  bool any = false;
  for (Inst *i = r->last; i; i = i->prev)
    if (i->op == OP_scan) {
      any |= drop_unneeded(arena, i);
      any |= drop_in_region(arena, i->body);
    }
  return any;
}

bool scan_tidy(Function *f) {
  ir_remove_dead(f);
  ir_count_uses(f);
  bool any = tidy_region(f, f->body);
  ir_remove_dead(f);
  ir_number(f);
  ir_count_uses(f);
  any |= drop_in_region(f->module->arena, f->body);
  return any;
}
