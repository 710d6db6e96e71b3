// Checks that IR is what it claims to be: types against the operations' rules, values defined
// before they are used and in the same region, ends where they belong, ports that fit. It runs
// after every pass.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  const Module *m;
  const Function *f;
  const char *wrong; // the first thing found, or NULL
} Check;

static void wrong_function(Check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong_function(Check *c, const char *format, ...) {
  va_list args;
  if (c->wrong)
    return;
  va_start(args, format);
  const char *text = arena_vprintf(c->m->arena, format, args);
  va_end(args);
  c->wrong = arena_printf(c->m->arena, "func @%s: %s", c->f->name, text);
}

static void wrong_inst(Check *c, const Inst *inst, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void wrong_inst(Check *c, const Inst *inst, const char *format, ...) {
  va_list args;
  if (c->wrong)
    return;
  va_start(args, format);
  const char *text = arena_vprintf(c->m->arena, format, args);
  va_end(args);
  Text line = {.arena = c->m->arena};
  ir_print_inst(inst, &line);
  wrong_function(c, "%s\n  in: %s", text, line.at);
}

static const char *check_type(const Module *m, const Type *type) {
  uint32_t symbolic = 0;
  if (type->elem > TY_BOOL || type->rank > MAX_RANK)
    return "a type is not one";
  for (uint32_t i = 0; i < type->rank; i++)
    symbolic += type->dim[i] < 0;
  if (symbolic > 1)
    return "a type has the dimension N twice";
  if (type->batched && symbolic)
    return arena_printf(m->arena, "%s is batched and has dimension N", type_text(m->arena, type));
  if (type->range < 0 || (type->range && type->elem != TY_I32 && type->elem != TY_U8))
    return arena_printf(m->arena, "%s can't have a range", type_text(m->arena, type));
  return NULL;
}

// Ids are fresh: `seen[id]` is the value defined with that number so far in this region.
static void check_args(Check *c, const Inst *inst, Value *const *seen, uint32_t n) {
  for (uint32_t i = 0; i < inst->n_args; i++) {
    const Value *v = inst->arg[i];
    if (!v)
      wrong_function(c, "%s has an argument that is NULL", op_table[inst->op]->name);
    else if (v->region != inst->parent)
      wrong_inst(c, inst, "argument %u is not a value of this region", i);
    else if (v->id >= n || seen[v->id] != v)
      wrong_inst(c, inst, "argument %u is not defined before it is used", i);
  }
}

static void check_attrs(Check *c, const Inst *inst) {
  const AttrSig *sig;
  uint32_t n = op_attrs((Module *)c->m, inst->op, &sig);
  if (n != inst->n_attrs) {
    wrong_function(c, "%s has %u attributes, not %u", op_table[inst->op]->name, inst->n_attrs, n);
    return;
  }
  for (uint32_t i = 0; i < n; i++)
    if (inst->attr[i].kind != sig[i].kind)
      wrong_inst(c, inst, "attribute '%s' is of the wrong kind", sig[i].name);
}

static uint32_t results_by_rule(const Inst *inst) {
  switch (op_table[inst->op]->results) {
  case RESULT_ONE:
    return 1;
  case RESULT_NONE:
    return 0;
  case RESULT_OF_XS:
    return inst->n_args - 1;
  case RESULT_OF_BODY:
    break;
  }
  const Inst *last = inst->body ? inst->body->last : NULL;
  return last && last->op == OP_yield ? last->n_args : 0;
}

// The body has been checked.
static const Type *rule_of_body(Check *c, const Inst *inst) {
  Type *types;
  const char *wrong = ir_body_results((Module *)c->m, inst, &types);
  if (wrong)
    wrong_inst(c, inst, "%s", wrong);
  return types;
}

static void check_results(Check *c, const Inst *inst, const Type *rule) {
  if (inst->n_results != results_by_rule(inst)) {
    wrong_function(c, "%s has %u results, not %u", op_table[inst->op]->name, inst->n_results,
                   results_by_rule(inst));
    return;
  }
  for (uint32_t i = 0; i < inst->n_results; i++) {
    const Value *v = inst->result[i];
    const char *bad = check_type(c->m, &v->type);
    if (v->def != inst || v->region != inst->parent || v->index != i)
      wrong_inst(c, inst, "result %u does not point back to the instruction", i);
    else if (bad)
      wrong_inst(c, inst, "%s", bad);
    else if (!ir_type_fits(&v->type, &rule[i]))
      wrong_inst(c, inst, "result %u is %s, by the rule %s", i, type_text(c->m->arena, &v->type),
                 type_text(c->m->arena, &rule[i]));
  }
}

static void check_region(Check *c, const Region *r);

static void check_body(Check *c, const Inst *inst) {
  const Region *r = inst->body;
  if (r->n_arg != inst->n_args || r->owner != inst) {
    wrong_function(c, "a %s of %u arguments has a body of %u", op_table[inst->op]->name,
                   inst->n_args, r->n_arg);
    return;
  }
  const Type *rule = ir_body_args((Module *)c->m, inst);
  for (uint32_t i = 0; i < r->n_arg; i++)
    if (!ir_body_arg_fits(inst, i, &r->arg[i]->type, &rule[i]))
      wrong_inst(c, inst, "argument %u is %s outside and %s inside", i,
                 type_text(c->m->arena, &inst->arg[i]->type),
                 type_text(c->m->arena, &r->arg[i]->type));
  check_region(c, r);
}

static void check_inplace(Check *c, const Inst *group) {
  const Attr *pairs = inst_attr(group, "inplace");
  for (uint32_t i = 0; i + 1 < pairs->n; i += 2)
    if (pairs->dims[i] < 0 || pairs->dims[i] >= group->n_results || pairs->dims[i + 1] < 0 ||
        pairs->dims[i + 1] >= group->n_args)
      wrong_inst(c, group, "inplace names a result or an argument that it has not");
}

static void check_inst(Check *c, const Inst *inst) {
  const Module *m = c->m;
  if (inst->loc >= m->loc.n)
    wrong_inst(c, inst, "there is no loc %u", inst->loc);
  if (inst->prev ? inst->prev->next != inst : inst->parent->first != inst)
    wrong_inst(c, inst, "the list of instructions is broken");
  bool wants_body = op_table[inst->op]->results == RESULT_OF_BODY;
  if (wants_body != (inst->body != NULL))
    wrong_inst(c, inst, wants_body ? "it has no body" : "it has a body");
  if (c->wrong)
    return;
  Type few[4], *types = inst->n_args < 4 ? few : arena_array(m->arena, Type, inst->n_args + 1);
  const Type *rule = types;
  const char *bad =
      ir_check_filled((Module *)m, inst->op, inst->arg, inst->n_args, inst->attr, types);
  if (bad)
    wrong_inst(c, inst, "%s", bad);
  if (!c->wrong && inst->body)
    check_body(c, inst);
  if (!c->wrong && inst->body)
    rule = rule_of_body(c, inst);
  if (!c->wrong)
    check_results(c, inst, rule);
  if (!c->wrong && inst->op == OP_group)
    check_inplace(c, inst);
}

static void check_end(Check *c, const Region *r) {
  Op want = r->owner ? OP_yield : OP_return;
  if (!r->last || r->last->op != want)
    wrong_function(c, "%s does not end with %s", r->owner ? "a body" : "it", op_table[want]->name);
  for (const Inst *i = r->first; i && !c->wrong; i = i->next)
    if (i != r->last && op_table[i->op]->flags & OPF_TERMINATOR)
      wrong_inst(c, i, "it stands before the end");
}

static uint32_t count_values(const Region *r) {
  uint32_t n = r->n_arg;
  for (const Inst *i = r->first; i; i = i->next)
    n += i->n_results;
  return n;
}

static void check_region(Check *c, const Region *r) {
  uint32_t n = count_values(r);
  Value **seen = arena_array(c->m->arena, Value *, n + 1);
  for (uint32_t i = 0; i < r->n_arg; i++) {
    const char *bad = check_type(c->m, &r->arg[i]->type);
    if (bad || r->arg[i]->region != r || r->arg[i]->index != i || r->arg[i]->def)
      wrong_function(c, "argument %u: %s", i, bad ? bad : "it does not belong to its region");
    seen[r->arg[i]->id] = r->arg[i];
  }
  check_end(c, r);
  for (const Inst *i = r->first; i && !c->wrong; i = i->next) {
    if (i->parent != r)
      wrong_inst(c, i, "it is linked into a region that is not its own");
    check_args(c, i, seen, n);
    if (!c->wrong)
      check_attrs(c, i);
    if (!c->wrong)
      check_inst(c, i);
    for (uint32_t k = 0; k < i->n_results && !c->wrong; k++)
      seen[i->result[k]->id] = i->result[k];
  }
}

static bool is_result_role(NnrtRole role) {
  return role == NNRT_METRIC || role == NNRT_WEIGHT || role == NNRT_TOTAL || role == NNRT_OUTPUT ||
         role == NNRT_GRAD || role == NNRT_GRAD_PART;
}

typedef struct {
  Port port;
  uint32_t at; // its place
} Placed;

static int by_port(const void *a, const void *b) {
  const Port *x = &((const Placed *)a)->port, *y = &((const Placed *)b)->port;
  if (x->role != y->role)
    return x->role < y->role ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static Placed *sorted_ports(Check *c, const Port *port, uint32_t n, const char *what) {
  Placed *list = arena_array(c->m->arena, Placed, n + 1);
  for (uint32_t i = 0; i < n; i++)
    list[i] = (Placed){port[i], i};
  qsort(list, n, sizeof *list, by_port);
  for (uint32_t i = 1; i < n; i++)
    if (by_port(&list[i - 1], &list[i]) == 0)
      wrong_function(c, "two %s are %s %u", what, ir_role_names[list[i].port.role],
                     list[i].port.index);
  return list;
}

static void check_ports(Check *c, const Placed *args) {
  const Function *f = c->f;
  const Inst *end = f->body->last;
  if (end->n_args != f->n_result) {
    wrong_function(c, "it returns %u values but has %u ports", end->n_args, f->n_result);
    return;
  }
  sorted_ports(c, f->result_port, f->n_result, "results");
  for (uint32_t i = 0; i < f->n_result && !c->wrong; i++) {
    const Port *port = &f->result_port[i];
    if (!is_result_role(port->role) && !ir_is_stored(port->role))
      wrong_function(c, "a result can't be a %s", ir_role_names[port->role]);
    if (!ir_is_stored(port->role))
      continue;
    const Placed wanted = {*port, 0};
    const Placed *of = bsearch(&wanted, args, f->body->n_arg, sizeof *args, by_port);
    if (of && !type_equal(&f->body->arg[of->at]->type, &end->arg[i]->type))
      wrong_function(c, "result %s %u is %s, but its argument is %s", ir_role_names[port->role],
                     port->index, type_text(c->m->arena, &end->arg[i]->type),
                     type_text(c->m->arena, &f->body->arg[of->at]->type));
  }
}

static const Placed *check_arguments(Check *c) {
  for (uint32_t i = 0; i < c->f->body->n_arg; i++)
    if (is_result_role(c->f->arg_port[i].role))
      wrong_function(c, "an argument can't be a %s", ir_role_names[c->f->arg_port[i].role]);
  return sorted_ports(c, c->f->arg_port, c->f->body->n_arg, "arguments");
}

const char *ir_verify(const Module *m) {
  for (uint32_t i = 0; i < m->fn.n; i++) {
    Check c = {m, m->fn.at[i], NULL};
    ir_number(m->fn.at[i]);
    check_region(&c, c.f->body);
    const Placed *args = c.wrong ? NULL : check_arguments(&c);
    if (!c.wrong)
      check_ports(&c, args);
    if (c.wrong)
      return c.wrong;
  }
  return NULL;
}
