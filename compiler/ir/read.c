// Text to IR: what ir/print.c writes (the form is described in ir.h). Types of results are inferred
// by the operations' rules and compared with those written.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  Module *m;
  const char *p;     // next character
  const char *error; // the first one, or NULL; then everything returns at once
  const char *where; // of the error
} Reader;

typedef struct { // %numbers of one region
  BUF(Value *) at;
} Values;

static void fail(Reader *r, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(Reader *r, const char *where, const char *format, ...) {
  va_list args;
  if (r->error)
    return;
  va_start(args, format);
  r->error = arena_vprintf(r->m->arena, format, args);
  va_end(args);
  r->where = where;
}

// ---- words -------------------------------------------------------------------------------------

static void skip(Reader *r) {
  for (;;) {
    while (isspace((unsigned char)*r->p))
      r->p++;
    if (r->p[0] != '/' || r->p[1] != '/')
      return;
    r->p += strcspn(r->p, "\n");
  }
}

static bool accept(Reader *r, const char *text) {
  size_t n = strlen(text);
  skip(r);
  if (r->error || strncmp(r->p, text, n) != 0)
    return false;
  if (isalnum((unsigned char)text[n - 1]) && (isalnum((unsigned char)r->p[n]) || r->p[n] == '_'))
    return false; // only the beginning of a longer word
  r->p += n;
  return true;
}

static void expect(Reader *r, const char *text) {
  if (!accept(r, text))
    fail(r, r->p, "expected '%s'", text);
}

// Letters, digits, _ and .
static const char *word(Reader *r) {
  skip(r);
  size_t n = 0;
  while (isalnum((unsigned char)r->p[n]) || r->p[n] == '_' || r->p[n] == '.')
    n++;
  if (n == 0)
    fail(r, r->p, "expected a name");
  r->p += n;
  return intern_n(r->m->s, r->p - n, n);
}

static int64_t integer(Reader *r) {
  skip(r);
  char *end;
  long long i = strtoll(r->p, &end, 10);
  if (end == r->p || i > INT64_C(1) << 40 || i < -(INT64_C(1) << 40))
    fail(r, r->p, "expected a whole number");
  r->p = end;
  return i;
}

static uint32_t small(Reader *r) {
  const char *at = r->p;
  int64_t i = integer(r);
  if (i < 0 || i > UINT32_MAX)
    fail(r, at, "the number is out of range");
  return (uint32_t)i;
}

static double number(Reader *r) {
  skip(r);
  if (accept(r, "nan"))
    return NAN;
  char *end;
  double x = strtod(r->p, &end);
  if (end == r->p)
    fail(r, r->p, "expected a number");
  r->p = end;
  return x;
}

static int hex_byte(const char *p) {
  char digits[3] = {p[0], p[0] ? p[1] : 0, 0};
  char *end;
  long value = strtol(digits, &end, 16);
  return end == digits + 2 ? (int)value : -1;
}

// One character of a string, escapes undone; -1 at a mistake.
static int string_char(Reader *r) {
  if (*r->p != '\\')
    return (unsigned char)*r->p++;
  char kind = *++r->p;
  if (kind == 'x') {
    int byte = hex_byte(r->p + 1);
    r->p += byte < 0 ? 0 : 3;
    return byte;
  }
  if (!kind)
    return -1;
  return (unsigned char)*r->p++;
}

static const char *string(Reader *r) {
  Text text = {.arena = r->m->arena};
  expect(r, "\"");
  const char *start = r->p;
  while (!r->error && *r->p != '"') {
    int c = *r->p ? string_char(r) : -1;
    if (c <= 0)
      fail(r, start, "the string is not ended, or holds a bad escape");
    text_putn(&text, (char[]){(char)c}, 1);
  }
  if (!r->error)
    r->p++;
  return intern_n(r->m->s, text.at ? text.at : "", text.n);
}

// ---- types and attributes ----------------------------------------------------------------------

static bool accept_elem(Reader *r, ElemType *elem) {
  for (ElemType e = TY_F32; e <= TY_BOOL; e++)
    if (accept(r, elem_name(e))) {
      *elem = e;
      return true;
    }
  return false;
}

static Dim dim(Reader *r) {
  if (accept(r, "N"))
    return -1;
  int64_t i = integer(r);
  if (*r->p != 'N')
    return i;
  if (i <= 0)
    fail(r, r->p, "a dimension can't be %lld times N", (long long)i);
  r->p++;
  return -i;
}

static Attr dims(Reader *r) {
  BUF(Dim) list = {0};
  expect(r, "[");
  if (!accept(r, "]")) {
    do
      buf_push(r->m->arena, &list, dim(r));
    while (accept(r, ","));
    expect(r, "]");
  }
  return attr_dims(r->m->arena, list.at, list.n);
}

static void set_dims(Reader *r, const char *at, Type *type, const Attr *list) {
  uint32_t symbolic = 0;
  double count = 1;
  if (list->n > MAX_RANK) {
    fail(r, at, "a type has at most %d dimensions", MAX_RANK);
    return;
  }
  for (uint32_t i = 0; i < list->n; i++) {
    type->dim[i] = list->dims[i];
    symbolic += list->dims[i] < 0;
    count *= (double)llabs(list->dims[i]);
  }
  type->rank = (uint8_t)list->n;
  if (symbolic > 1 || count > 1e15)
    fail(r, at, symbolic > 1 ? "the dimension N occurs twice" : "the type is too large");
}

static Type type(Reader *r) {
  Type t = {0};
  t.batched = accept(r, "*");
  const char *at = r->p;
  if (!accept_elem(r, &t.elem))
    fail(r, r->p, "expected a type");
  if (*r->p == '[') {
    Attr list = dims(r);
    set_dims(r, at, &t, &list);
  }
  if (*r->p == '<') {
    expect(r, "<");
    t.range = integer(r);
    expect(r, ">");
  }
  return t;
}

static const Tensor *tensor(Reader *r) {
  const char *at = r->p;
  Type t = type(r);
  Dim count = r->error ? 0 : type_count(&t);
  if (count < 0 || count > INT64_C(1) << 28 || t.batched) {
    fail(r, at, "a literal must have constant dimensions");
    count = 0;
  }
  if (r->error)
    return NULL;
  Tensor *data = tensor_new(r->m->arena, t, 0);
  expect(r, "{");
  for (int64_t i = 0; i < data->count && !r->error; i++) {
    if (i)
      expect(r, ",");
    data->at[i] = number(r);
  }
  expect(r, "}");
  return data;
}

static Attr attr_value(Reader *r, AttrKind kind) {
  ElemType elem = TY_F32;
  switch (kind) {
  case A_INT:
    return attr_int(integer(r));
  case A_FLOAT:
    return attr_float(number(r));
  case A_DIMS:
    return dims(r);
  case A_STR:
    return attr_str(string(r));
  case A_ELEM:
    if (!accept_elem(r, &elem))
      fail(r, r->p, "expected an element type");
    return attr_elem(elem);
  case A_DATA:
    return attr_data(tensor(r));
  case A_NONE:
    break;
  }
  return (Attr){0};
}

// name=value ... ; those not given stay A_NONE, which ir_inst fills.
static uint32_t attributes(Reader *r, Op op, Attr *attr, uint32_t most) {
  const AttrSig *sig;
  uint32_t n = op_attrs(r->m, op, &sig);
  if (n > most)
    ice("%s has %u attributes", op_table[op]->name, n);
  memset(attr, 0, sizeof *attr * most);
  for (skip(r); !r->error && islower((unsigned char)*r->p); skip(r)) {
    const char *at = r->p, *name = word(r);
    uint32_t i = 0;
    while (i < n && sig[i].name != name)
      i++;
    expect(r, "=");
    if (i == n)
      fail(r, at, "%s has no attribute '%s'", op_table[op]->name, name);
    else
      attr[i] = attr_value(r, sig[i].kind);
  }
  return n;
}

// ---- values and instructions -------------------------------------------------------------------

enum { MAX_ATTRS = 8 };

static uint32_t value_number(Reader *r) {
  expect(r, "%");
  const char *at = r->p;
  uint32_t id = small(r);
  if (id > 10000000)
    fail(r, at, "the number is out of range");
  return r->error ? 0 : id;
}

static void define(Reader *r, Values *values, const char *at, uint32_t id, Value *v) {
  while (values->at.n <= id)
    buf_push(r->m->arena, &values->at, NULL);
  if (values->at.at[id])
    fail(r, at, "%%%u is defined twice", id);
  values->at.at[id] = v;
}

static Value *use(Reader *r, const Values *values) {
  skip(r);
  const char *at = r->p;
  uint32_t id = value_number(r);
  if (id < values->at.n && values->at.at[id])
    return values->at.at[id];
  fail(r, at, "%%%u is not defined before it is used", id);
  return NULL;
}

static Port port(Reader *r) {
  const char *at = r->p, *name = word(r);
  for (uint32_t i = 0; i <= NNRT_GRAD; i++)
    if (strcmp(ir_role_names[i], name) == 0) {
      Port p = {(NnrtRole)i, small(r), NULL};
      skip(r);
      if (*r->p == '"')
        p.name = string(r);
      return p;
    }
  fail(r, at, "there is no role '%s'", name);
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
  skip(r);
  line->start = r->p;
  if (*r->p != '%')
    return;
  do
    buf_push(r->m->arena, &line->result, value_number(r));
  while (accept(r, ","));
  expect(r, "=");
}

static void line_operation(Reader *r, Line *line, const Values *values) {
  skip(r);
  const char *at = r->p, *name = word(r);
  line->op = op_find(name);
  if (!r->error && line->op == N_OPS)
    fail(r, at, "there is no operation '%s'", name);
  skip(r);
  if (r->error || *r->p != '%')
    return;
  do {
    buf_push(r->m->arena, &line->arg, use(r, values));
    if (line->op == OP_return)
      buf_push(r->m->arena, &line->port, port(r));
  } while (accept(r, ","));
}

static void region(Reader *r, Region *body, Values *values);

static void group_body(Reader *r, Inst *group) {
  Values values = {0};
  expect(r, "{");
  expect(r, "^");
  expect(r, "(");
  for (uint32_t i = 0; i < group->n_args && !r->error; i++) {
    if (i)
      expect(r, ",");
    skip(r);
    const char *at = r->p;
    uint32_t id = value_number(r);
    expect(r, ":");
    Type t = type(r);
    if (!r->error && !type_equal(&t, &group->arg[i]->type))
      fail(r, at, "the group's argument is %s", type_text(r->m->arena, &group->arg[i]->type));
    define(r, &values, at, id, group->body->arg[i]);
  }
  expect(r, ")");
  region(r, group->body, &values);
}

static void line_types(Reader *r, const Line *line, Inst *inst, Values *values) {
  if (line->result.n != inst->n_results)
    fail(r, line->start, "%s has %u results here", op_table[inst->op]->name, inst->n_results);
  for (uint32_t i = 0; i < inst->n_results && !r->error; i++) {
    expect(r, i ? "," : ":");
    skip(r);
    const char *at = r->p;
    Type t = type(r);
    if (!r->error && !ir_type_fits(&t, &inst->result[i]->type))
      fail(r, at, "the result is %s", type_text(r->m->arena, &inst->result[i]->type));
    inst->result[i]->type = t;
    define(r, values, line->start, line->result.at[i], inst->result[i]);
  }
}

static void line_end(Reader *r, Inst *inst) {
  if (accept(r, "@")) {
    const char *at = r->p;
    inst->loc = small(r);
    if (inst->loc >= r->m->loc.n)
      fail(r, at, "there is no loc %u", inst->loc);
  }
  skip(r);
  if (*r->p == '"' && inst->n_results)
    inst->result[0]->name = string(r);
}

static bool belongs_here(const Region *body, Op op) {
  return op == OP_return ? !body->owner : op == OP_yield ? body->owner != NULL : true;
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
    fail(r, line->start, "%s: %s", op_table[line->op]->name, wrong);
    return NULL;
  }
  if (line->op == OP_return) {
    ir_return(&b, line->arg.at, line->port.at, line->arg.n);
    return body->last;
  }
  return ir_inst(&b, line->op, line->arg.at, line->arg.n, line->attr, line->n_attr);
}

static void region(Reader *r, Region *body, Values *values) {
  while (!accept(r, "}") && !r->error) {
    Line line = {0};
    line_results(r, &line);
    line_operation(r, &line, values);
    if (!r->error)
      line.n_attr = attributes(r, line.op, line.attr, MAX_ATTRS);
    Inst *inst = build_line(r, body, &line);
    if (!inst)
      return;
    if (inst->body)
      group_body(r, inst);
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
  skip(r);
  const char *at = r->p;
  Loc loc = {0};
  if (small(r) != r->m->loc.n)
    fail(r, at, "locations are numbered 1, 2, 3, ...");
  expect(r, "=");
  const char *path = string(r);
  loc.span.start = small(r);
  expect(r, "..");
  loc.span.end = small(r);
  if (accept(r, "in"))
    loc.parent = small(r);
  if (loc.parent >= r->m->loc.n)
    fail(r, at, "there is no loc %u yet", loc.parent);
  if (accept(r, "layer"))
    loc.layer = string(r);
  if (r->error)
    return;
  loc.span.file = source_named(r->m->s, path);
  buf_push(r->m->arena, &r->m->loc, loc);
}

static void function_arguments(Reader *r, Function *f, Values *values) {
  expect(r, "(");
  if (accept(r, ")"))
    return;
  do {
    skip(r);
    const char *at = r->p;
    uint32_t id = value_number(r);
    expect(r, ":");
    Type t = type(r);
    skip(r);
    Port p = port(r);
    if (!r->error)
      define(r, values, at, id, ir_add_arg(f, t, p));
  } while (accept(r, ","));
  expect(r, ")");
}

static void function(Reader *r) {
  Values values = {0};
  expect(r, "@");
  const char *at = r->p, *name = *r->p == '"' ? string(r) : word(r);
  if (!r->error && ir_find_function(r->m, name))
    fail(r, at, "there are two functions @%s", name);
  if (r->error)
    return;
  Function *f = ir_function(r->m, name);
  function_arguments(r, f, &values);
  expect(r, "{");
  region(r, f->body, &values);
}

Module *ir_read(Session *s, uint32_t file) {
  // The text is copied as a pointer: reading locations may add sources and move the table.
  const char *text = s->source.at[file].text;
  Reader r = {.m = module_create(s), .p = text};
  for (skip(&r); *r.p && !r.error; skip(&r))
    if (accept(&r, "loc"))
      location(&r);
    else if (accept(&r, "func"))
      function(&r);
    else
      fail(&r, r.p, "expected 'loc' or 'func'");
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

const char *ir_read_example(Module *m, Op op, const char *text, Type *arg, uint32_t *n_arg,
                            Attr *attr) {
  Reader r = {.m = m, .p = text};
  *n_arg = 0;
  skip(&r);
  if (*r.p && *r.p != ';' && *r.p != '|')
    do
      arg[(*n_arg)++] = type(&r);
    while (accept(&r, ",") && *n_arg < MAX_RANK);
  if (accept(&r, ";"))
    attributes(&r, op, attr, MAX_ATTRS);
  else
    memset(attr, 0, sizeof *attr * MAX_ATTRS);
  skip(&r);
  if (!r.error && *r.p && *r.p != '|')
    fail(&r, r.p, "expected '|' or the end at '%s'", r.p);
  return r.error;
}
