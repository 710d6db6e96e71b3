// Text to IR: what ir/print.c writes (the form is described in ir.h). Types of results are inferred
// by the operations' rules and compared with those written.
#include "ir/ir.h"
#include "ir/text.h"
#include "ir/reader.h"
#include "ops/op.h"

#include <ctype.h>
#include <string.h>

typedef struct { // %numbers of one region
  BUF(Value *) at;
} Values;

// ---- values and instructions -------------------------------------------------------------------

static uint32_t value_number(Reader *r) {
  read_expect(r, "%");
  const char *at = r->p;
  uint32_t id = read_small(r);
  if (id > 10000000)
    read_fail(r, at, "the number is out of range");
  return r->error ? 0 : id;
}

static void define(Reader *r, Values *values, const char *at, uint32_t id, Value *v) {
  while (values->at.n <= id)
    buf_push(r->m->arena, &values->at, NULL);
  if (values->at.at[id])
    read_fail(r, at, "%%%u is defined twice", id);
  values->at.at[id] = v;
}

static Value *use(Reader *r, const Values *values) {
  read_skip(r);
  const char *at = r->p;
  uint32_t id = value_number(r);
  if (id < values->at.n && values->at.at[id])
    return values->at.at[id];
  read_fail(r, at, "%%%u is not defined before it is used", id);
  return NULL;
}

static Port port(Reader *r) {
  const char *at = r->p, *name = read_word(r);
  for (uint32_t i = 0; i <= NNRT_GRAD_PART; i++)
    if (strcmp(ir_role_names[i], name) == 0) {
      Port p = {(NnrtRole)i, read_small(r), NULL};
      read_skip(r);
      if (*r->p == '"')
        p.name = read_string(r);
      return p;
    }
  read_fail(r, at, "there is no role '%s'", name);
  return (Port){0};
}

typedef struct {
  BUF(uint32_t) result; // numbers
  BUF(Value *) arg;
  BUF(Port) port; // of return
  Attr attr[MAX_ATTRS];
  uint32_t n_attr;
  Op op;
  const char *start;
} Line;

static void line_results(Reader *r, Line *line) {
  read_skip(r);
  line->start = r->p;
  if (*r->p != '%')
    return;
  do
    buf_push(r->m->arena, &line->result, value_number(r));
  while (read_accept(r, ","));
  read_expect(r, "=");
}

static void line_operation(Reader *r, Line *line, const Values *values) {
  read_skip(r);
  const char *at = r->p, *name = read_word(r);
  line->op = op_find(name);
  if (!r->error && line->op == N_OPS)
    read_fail(r, at, "there is no operation '%s'", name);
  read_skip(r);
  if (r->error || *r->p != '%')
    return;
  do {
    buf_push(r->m->arena, &line->arg, use(r, values));
    if (line->op == OP_return)
      buf_push(r->m->arena, &line->port, port(r));
  } while (read_accept(r, ","));
}

static void region(Reader *r, Region *body, Values *values);

static void inst_body(Reader *r, Inst *inst) {
  Values values = {0};
  const Type *rule = ir_body_args(r->m, inst);
  read_expect(r, "{");
  read_expect(r, "^");
  read_expect(r, "(");
  for (uint32_t i = 0; i < inst->n_args && !r->error; i++) {
    if (i)
      read_expect(r, ",");
    read_skip(r);
    const char *at = r->p;
    uint32_t id = value_number(r);
    read_expect(r, ":");
    Type t = read_type(r);
    if (!r->error && !ir_body_arg_fits(inst, i, &t, &rule[i]))
      read_fail(r, at, "the %s's argument is %s", op_table[inst->op]->name,
                type_text(r->m->arena, &rule[i]));
    inst->body->arg[i]->type = t;
    define(r, &values, at, id, inst->body->arg[i]);
  }
  read_expect(r, ")");
  region(r, inst->body, &values);
}

static void line_types(Reader *r, const Line *line, Inst *inst, Values *values) {
  if (line->result.n != inst->n_results)
    read_fail(r, line->start, "%s has %u results here", op_table[inst->op]->name, inst->n_results);
  for (uint32_t i = 0; i < inst->n_results && !r->error; i++) {
    read_expect(r, i ? "," : ":");
    read_skip(r);
    const char *at = r->p;
    Type t = read_type(r);
    if (!r->error && !ir_type_fits(&t, &inst->result[i]->type))
      read_fail(r, at, "the result is %s", type_text(r->m->arena, &inst->result[i]->type));
    inst->result[i]->type = t;
    define(r, values, line->start, line->result.at[i], inst->result[i]);
  }
}

static void line_end(Reader *r, Inst *inst) {
  if (read_accept(r, "@")) {
    const char *at = r->p;
    inst->loc = read_small(r);
    if (inst->loc >= r->m->loc.n)
      read_fail(r, at, "there is no loc %u", inst->loc);
  }
  read_skip(r);
  if (*r->p == '"' && inst->n_results)
    inst->result[0]->name = read_string(r);
}

static bool belongs_here(const Region *body, Op op) {
  return op == OP_return ? !body->owner : op == OP_yield ? body->owner != NULL : true;
}

// The last instruction of a body: now the results of the instruction around it can be made.
static Inst *build_yield(Reader *r, Region *body, const Line *line) {
  Inst *owner = body->owner;
  Type *types;
  body->owner = NULL;
  Inst *yield =
      ir_inst(&(Builder){r->m, body, NULL, 0}, OP_yield, line->arg.at, line->arg.n, NULL, 0);
  body->owner = owner;
  const char *wrong = ir_body_results(r->m, owner, &types);
  if (wrong)
    read_fail(r, line->start, "%s: %s", op_table[owner->op]->name, wrong);
  else
    ir_end_body(r->m, owner);
  return yield;
}

// Makes the instruction if its operation takes it; NULL after an error.
static Inst *build_line(Reader *r, Region *body, Line *line) {
  Builder b = {r->m, body, NULL, 0};
  Type *types = arena_array(r->m->arena, Type, line->arg.n + 1);
  if (r->error)
    return NULL;
  const char *wrong =
      ir_check(r->m, line->op, line->arg.at, line->arg.n, line->attr, line->n_attr, types);
  if (!wrong && !belongs_here(body, line->op))
    wrong = "it can't stand here";
  if (wrong) {
    read_fail(r, line->start, "%s: %s", op_table[line->op]->name, wrong);
    return NULL;
  }
  if (line->op == OP_return) {
    ir_return(&b, line->arg.at, line->port.at, line->arg.n);
    return body->last;
  }
  if (line->op == OP_yield)
    return build_yield(r, body, line);
  return ir_inst(&b, line->op, line->arg.at, line->arg.n, line->attr, line->n_attr);
}

static void region(Reader *r, Region *body, Values *values) {
  while (!read_accept(r, "}") && !r->error) {
    Line line = {0};
    line_results(r, &line);
    line_operation(r, &line, values);
    if (!r->error)
      line.n_attr = read_attributes(r, line.op, line.attr, MAX_ATTRS);
    Inst *inst = build_line(r, body, &line);
    if (!inst)
      return;
    if (inst->body)
      inst_body(r, inst);
    line_types(r, &line, inst, values);
    line_end(r, inst);
  }
}

// ---- functions, locations, modules -------------------------------------------------------------

static uint32_t source_named(Session *s, const char *path) {
  if (!*path)
    return 0;
  for (uint32_t i = 1; i < s->source.n; i++)
    if (strcmp(s->source.at[i].path, path) == 0)
      return i;
  uint32_t file = source_read(s, path);
  return file ? file : source_add(s, path, "", 0);
}

static void location(Reader *r) {
  read_skip(r);
  const char *at = r->p;
  Loc loc = {0};
  if (read_small(r) != r->m->loc.n)
    read_fail(r, at, "locations are numbered 1, 2, 3, ...");
  read_expect(r, "=");
  const char *path = read_string(r);
  loc.span.start = read_small(r);
  read_expect(r, "..");
  loc.span.end = read_small(r);
  if (read_accept(r, "in"))
    loc.parent = read_small(r);
  if (loc.parent >= r->m->loc.n)
    read_fail(r, at, "there is no loc %u yet", loc.parent);
  if (read_accept(r, "layer"))
    loc.layer = read_string(r);
  if (r->error)
    return;
  loc.span.file = source_named(r->m->s, path);
  buf_push(r->m->arena, &r->m->loc, loc);
}

static void function_arguments(Reader *r, Function *f, Values *values) {
  read_expect(r, "(");
  if (read_accept(r, ")"))
    return;
  do {
    read_skip(r);
    const char *at = r->p;
    uint32_t id = value_number(r);
    read_expect(r, ":");
    Type t = read_type(r);
    read_skip(r);
    Port p = port(r);
    if (!r->error)
      define(r, values, at, id, ir_add_arg(f, t, p));
  } while (read_accept(r, ","));
  read_expect(r, ")");
}

static void function(Reader *r) {
  Values values = {0};
  read_expect(r, "@");
  const char *at = r->p, *name = *r->p == '"' ? read_string(r) : read_word(r);
  if (!r->error && ir_find_function(r->m, name))
    read_fail(r, at, "there are two functions @%s", name);
  if (r->error)
    return;
  Function *f = ir_function(r->m, name);
  function_arguments(r, f, &values);
  read_expect(r, "{");
  region(r, f->body, &values);
}

Module *ir_read(Session *s, uint32_t file) {
  // The text is copied as a pointer: reading locations may add sources and move the table.
  const char *text = s->source.at[file].text;
  Reader r = {.m = module_create(s), .p = text};
  for (read_skip(&r); *r.p && !r.error; read_skip(&r))
    if (read_accept(&r, "loc"))
      location(&r);
    else if (read_accept(&r, "func"))
      function(&r);
    else
      read_fail(&r, r.p, "expected 'loc' or 'func'");
  Span span = {file, 0, 0};
  if (r.error) {
    span.start = (uint32_t)(r.where - text);
    span.end = span.start + (*r.where != 0);
  } else
    r.error = ir_verify(r.m);
  if (!r.error)
    return r.m;
  diag_error(s, span, "ir-syntax", "%s", r.error);
  return NULL;
}
