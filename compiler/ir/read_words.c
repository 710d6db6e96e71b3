// The words of IR text: names, numbers, strings, types, attributes.
#include "ir/reader.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void read_fail(Reader *r, const char *where, const char *format, ...) {
  va_list args;
  if (r->error)
    return;
  va_start(args, format);
  r->error = arena_vprintf(r->m->arena, format, args);
  va_end(args);
  r->where = where;
}

// ---- words -------------------------------------------------------------------------------------

void read_skip(Reader *r) {
  for (;;) {
    while (isspace((unsigned char)*r->p))
      r->p++;
    if (r->p[0] != '/' || r->p[1] != '/')
      return;
    r->p += strcspn(r->p, "\n");
  }
}

bool read_accept(Reader *r, const char *text) {
  size_t n = strlen(text);
  read_skip(r);
  if (r->error || strncmp(r->p, text, n) != 0)
    return false;
  if (isalnum((unsigned char)text[n - 1]) && (isalnum((unsigned char)r->p[n]) || r->p[n] == '_'))
    return false; // only the beginning of a longer word
  r->p += n;
  return true;
}

void read_expect(Reader *r, const char *text) {
  if (!read_accept(r, text))
    read_fail(r, r->p, "expected '%s'", text);
}

// Letters, digits, _ and .
const char *read_word(Reader *r) {
  read_skip(r);
  size_t n = 0;
  while (isalnum((unsigned char)r->p[n]) || r->p[n] == '_' || r->p[n] == '.')
    n++;
  if (n == 0)
    read_fail(r, r->p, "expected a name");
  r->p += n;
  return intern_n(r->m->s, r->p - n, n);
}

int64_t read_integer(Reader *r) {
  read_skip(r);
  char *end;
  long long i = strtoll(r->p, &end, 10);
  if (end == r->p || i > INT64_C(1) << 40 || i < -(INT64_C(1) << 40))
    read_fail(r, r->p, "expected a whole number");
  r->p = end;
  return i;
}

uint32_t read_small(Reader *r) {
  const char *at = r->p;
  int64_t i = read_integer(r);
  if (i < 0 || i > UINT32_MAX)
    read_fail(r, at, "the number is out of range");
  return (uint32_t)i;
}

static double number(Reader *r) {
  read_skip(r);
  if (read_accept(r, "nan"))
    return NAN;
  char *end;
  double x = strtod(r->p, &end);
  if (end == r->p)
    read_fail(r, r->p, "expected a number");
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

const char *read_string(Reader *r) {
  Text text = {.arena = r->m->arena};
  read_expect(r, "\"");
  const char *start = r->p;
  while (!r->error && *r->p != '"') {
    int c = *r->p ? string_char(r) : -1;
    if (c <= 0)
      read_fail(r, start, "the string is not ended, or holds a bad escape");
    text_putn(&text, (char[]){(char)c}, 1);
  }
  if (!r->error)
    r->p++;
  return intern_n(r->m->s, text.at ? text.at : "", text.n);
}

// ---- types and attributes ----------------------------------------------------------------------

static bool accept_elem(Reader *r, ElemType *elem) {
  for (ElemType e = TY_F32; e <= TY_BOOL; e++)
    if (read_accept(r, elem_name(e))) {
      *elem = e;
      return true;
    }
  return false;
}

static Dim dim(Reader *r) {
  if (read_accept(r, "N"))
    return -1;
  int64_t i = read_integer(r);
  if (*r->p != 'N')
    return i;
  if (i <= 0)
    read_fail(r, r->p, "a dimension can't be %lld times N", (long long)i);
  r->p++;
  return -i;
}

static Attr dims(Reader *r) {
  BUF(Dim) list = {0};
  read_expect(r, "[");
  if (!read_accept(r, "]")) {
    do
      buf_push(r->m->arena, &list, dim(r));
    while (read_accept(r, ","));
    read_expect(r, "]");
  }
  return attr_dims(r->m->arena, list.at, list.n);
}

static void set_dims(Reader *r, const char *at, Type *type, const Attr *list) {
  uint32_t symbolic = 0;
  double count = 1;
  if (list->n > MAX_RANK) {
    read_fail(r, at, "a type has at most %d dimensions", MAX_RANK);
    return;
  }
  for (uint32_t i = 0; i < list->n; i++) {
    type->dim[i] = list->dims[i];
    symbolic += list->dims[i] < 0;
    count *= (double)llabs(list->dims[i]);
  }
  type->rank = (uint8_t)list->n;
  if (symbolic > 1 || count > 1e15)
    read_fail(r, at, symbolic > 1 ? "the dimension N occurs twice" : "the type is too large");
}

Type read_type(Reader *r) {
  Type t = {0};
  t.batched = read_accept(r, "*");
  const char *at = r->p;
  if (!accept_elem(r, &t.elem))
    read_fail(r, r->p, "expected a type");
  if (*r->p == '[') {
    Attr list = dims(r);
    set_dims(r, at, &t, &list);
  }
  if (*r->p == '<') {
    read_expect(r, "<");
    t.range = read_integer(r);
    read_expect(r, ">");
  }
  return t;
}

static const Tensor *tensor(Reader *r) {
  const char *at = r->p;
  Type t = read_type(r);
  Dim count = r->error ? 0 : type_count(&t);
  if (count < 0 || count > INT64_C(1) << 28 || t.batched) {
    read_fail(r, at, "a literal must have constant dimensions");
    count = 0;
  }
  if (r->error)
    return NULL;
  Tensor *data = tensor_new(r->m->arena, t, 0);
  read_expect(r, "{");
  for (int64_t i = 0; i < data->count && !r->error; i++) {
    if (i)
      read_expect(r, ",");
    data->at[i] = number(r);
  }
  read_expect(r, "}");
  return data;
}

static Attr attr_value(Reader *r, AttrKind kind) {
  ElemType elem = TY_F32;
  switch (kind) {
  case A_INT:
    return attr_int(read_integer(r));
  case A_FLOAT:
    return attr_float(number(r));
  case A_DIMS:
    return dims(r);
  case A_STR:
    return attr_str(read_string(r));
  case A_ELEM:
    if (!accept_elem(r, &elem))
      read_fail(r, r->p, "expected an element type");
    return attr_elem(elem);
  case A_DATA:
    return attr_data(tensor(r));
  case A_NONE:
    break;
  }
  return (Attr){0};
}

// name=value ... ; those not given stay A_NONE, which ir_inst fills.
uint32_t read_attributes(Reader *r, Op op, Attr *attr, uint32_t most) {
  const AttrSig *sig;
  uint32_t n = op_attrs(r->m, op, &sig);
  if (n > most)
    ice("%s has %u attributes", op_table[op]->name, n);
  memset(attr, 0, sizeof *attr * most);
  for (read_skip(r); !r->error && islower((unsigned char)*r->p); read_skip(r)) {
    const char *at = r->p, *name = read_word(r);
    uint32_t i = 0;
    while (i < n && sig[i].name != name)
      i++;
    read_expect(r, "=");
    if (i == n)
      read_fail(r, at, "%s has no attribute '%s'", op_table[op]->name, name);
    else
      attr[i] = attr_value(r, sig[i].kind);
  }
  return n;
}

const char *ir_read_example(Module *m, Op op, const char *text, Type *arg, uint32_t *n_arg,
                            Attr *attr) {
  Reader r = {.m = m, .p = text};
  *n_arg = 0;
  read_skip(&r);
  if (*r.p && *r.p != ';' && *r.p != '|')
    do
      arg[(*n_arg)++] = read_type(&r);
    while (read_accept(&r, ",") && *n_arg < MAX_RANK);
  if (read_accept(&r, ";"))
    read_attributes(&r, op, attr, MAX_ATTRS);
  else
    memset(attr, 0, sizeof *attr * MAX_ATTRS);
  read_skip(&r);
  if (!r.error && *r.p && *r.p != '|')
    read_fail(&r, r.p, "expected '|' or the end at '%s'", r.p);
  return r.error;
}
