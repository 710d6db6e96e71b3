// The table of all records, and their signatures: "x, y; axes: dims, axis: int = -1".
// Arguments come before the semicolon, attributes (name, kind, default) after it.
#include "ops/op.h"

#include <stdlib.h>
#include <string.h>

const OpDef *const op_table[N_OPS] = {
#define X(name) &op_##name,
#include "oplist.h"
#undef X
};

Op op_find(const char *name) {
  for (Op op = 0; op < N_OPS; op++)
    if (strcmp(op_table[op]->name, name) == 0)
      return op;
  return N_OPS;
}

struct AttrSigs {
  bool known;
  uint32_t n;
  AttrSig *at;
};

static const char *skip_space(const char *p) {
  while (*p == ' ')
    p++;
  return p;
}

// The attributes' part of a signature: "" if there is none.
static const char *attributes_of(const char *sig) {
  const char *semicolon = strchr(sig, ';');
  return semicolon ? skip_space(semicolon + 1) : "";
}

static size_t word_length(const char *p) {
  return strcspn(p, ":,= ");
}

static AttrKind kind_named(const char *name, size_t n) {
  static const char *const names[] = {"int", "float", "dims", "str", "elem", "data"};
  for (int i = 0; i < 6; i++)
    if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0)
      return (AttrKind)(A_INT + i);
  ice("a signature has the unknown attribute kind '%.*s'", (int)n, name);
}

static ElemType elem_named(const char *p, size_t n) {
  for (ElemType e = TY_F32; e <= TY_BOOL; e++)
    if (strlen(elem_name(e)) == n && memcmp(elem_name(e), p, n) == 0)
      return e;
  ice("a signature has the unknown element type '%.*s'", (int)n, p);
}

static Attr default_value(Module *m, AttrKind kind, const char *p) {
  size_t n = strcspn(p, ",");
  switch (kind) {
  case A_INT:
    return attr_int(strtoll(p, NULL, 10));
  case A_FLOAT:
    return attr_float(strtod(p, NULL));
  case A_DIMS:
    return attr_dims(m->arena, NULL, 0); // "[]" is the only default there is
  case A_STR:
    return attr_str(intern_n(m->s, p + 1, n - 2));
  case A_ELEM:
    return attr_elem(elem_named(p, n));
  case A_NONE:
  case A_DATA:
    break;
  }
  ice("a signature gives a default that can't be one: '%s'", p);
}

// Parses one attribute at p into sig and returns where the next one starts.
static const char *parse_attribute(Module *m, const char *p, AttrSig *sig) {
  size_t n = word_length(p);
  sig->name = intern_n(m->s, p, n);
  p = skip_space(p + n);
  if (*p != ':')
    ice("attribute '%s' of a signature has no kind", sig->name);
  p = skip_space(p + 1);
  n = word_length(p);
  sig->kind = kind_named(p, n);
  p = skip_space(p + n);
  if (*p == '=') {
    p = skip_space(p + 1);
    sig->has_default = true;
    sig->value = default_value(m, sig->kind, p);
  }
  p += strcspn(p, ",");
  return *p ? skip_space(p + 1) : p;
}

static void parse_signature(Module *m, struct AttrSigs *sigs, const char *p) {
  BUF(AttrSig) list = {0};
  while (*p) {
    AttrSig sig = {0};
    p = parse_attribute(m, p, &sig);
    buf_push(m->arena, &list, sig);
  }
  *sigs = (struct AttrSigs){true, list.n, list.at};
}

uint32_t op_attrs(Module *m, Op op, const AttrSig **attrs) {
  if (!m->sigs)
    m->sigs = arena_array(m->arena, struct AttrSigs, N_OPS);
  struct AttrSigs *sigs = &m->sigs[op];
  if (!sigs->known)
    parse_signature(m, sigs, attributes_of(op_table[op]->sig));
  *attrs = sigs->at;
  return sigs->n;
}

const Attr *inst_attr(const Inst *inst, const char *name) {
  const char *p = attributes_of(op_table[inst->op]->sig);
  size_t n = strlen(name);
  for (uint32_t i = 0; i < inst->n_attrs; i++) {
    if (word_length(p) == n && memcmp(p, name, n) == 0)
      return &inst->attr[i];
    p += strcspn(p, ",");
    p = *p ? skip_space(p + 1) : p;
  }
  ice("%s has no attribute '%s'", op_table[inst->op]->name, name);
}

// "x, y" is two; "xs..." and "seed, step, example..." take any number from what comes before.
void op_arity(Op op, uint32_t *least, uint32_t *most) {
  const char *p = op_table[op]->sig;
  *least = *most = 0;
  while (*p && *p != ';') {
    size_t n = strcspn(p, ",;");
    if (n >= 3 && memcmp(p + n - 3, "...", 3) == 0)
      *most = UINT32_MAX;
    else
      *least += 1;
    p += n;
    p = *p == ',' ? skip_space(p + 1) : p;
  }
  if (*most < *least)
    *most = *least;
}
