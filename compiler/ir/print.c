// IR to text. The form is described in ir.h; ir/read.c reads it back. All attributes are written,
// also those that have their default value.
#include "ir/ir.h"
#include "ir/text.h"
#include "ops/op.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ir_role_names[] = {"param",  "slot",    "state",     "row_state", "column",
                                     "config", "step",    "iteration", "epoch",     "fresh",
                                     "seed",   "example", "place",     "scalar",    "metric",
                                     "weight", "total",   "output",    "grad",      "grad_part"};

static void put_string(Text *out, const char *s) {
  text_put(out, "\"");
  for (; *s; s++)
    if (*s == '"' || *s == '\\')
      text_printf(out, "\\%c", *s);
    else if ((unsigned char)*s < ' ')
      text_printf(out, "\\x%02x", (unsigned char)*s);
    else
      text_putn(out, s, 1);
  text_put(out, "\"");
}

// The shortest decimal that reads back as the same double.
static void put_number(Text *out, double x) {
  static const int digits[] = {6, 9, 12, 15, 16, 17};
  char text[40];
  for (int i = 0; i < 6; i++) {
    snprintf(text, sizeof text, "%.*g", digits[i], x);
    if (isnan(x) || strtod(text, NULL) == x)
      break;
  }
  text_put(out, isnan(x) ? "nan" : text);
}

static void put_dims(Text *out, const Dim *dim, uint32_t n) {
  text_put(out, dims_text(out->arena, dim, n));
}

static void put_type(Text *out, const Type *type) {
  text_put(out, type_text(out->arena, type));
}

static void put_tensor(Text *out, const Tensor *t) {
  put_type(out, &t->type);
  text_put(out, "{");
  for (int64_t i = 0; i < t->count; i++) {
    text_put(out, i ? ", " : "");
    put_number(out, t->at[i]);
  }
  text_put(out, "}");
}

static void put_attr(Text *out, const Attr *attr) {
  switch (attr->kind) {
  case A_INT:
    text_printf(out, "%lld", (long long)attr->i);
    break;
  case A_FLOAT:
    put_number(out, attr->f);
    break;
  case A_DIMS:
    put_dims(out, attr->dims, attr->n);
    break;
  case A_STR:
    put_string(out, attr->s);
    break;
  case A_ELEM:
    text_put(out, elem_name(attr->elem));
    break;
  case A_DATA:
    put_tensor(out, attr->data);
    break;
  case A_NONE:
    break;
  }
}

static void put_port(Text *out, const Port *port) {
  text_printf(out, " %s %u", ir_role_names[port->role], port->index);
  if (port->name) {
    text_put(out, " ");
    put_string(out, port->name);
  }
}

static void put_values(Text *out, Value *const *values, uint32_t n) {
  for (uint32_t i = 0; i < n; i++)
    text_printf(out, "%s%%%u", i ? ", " : "", values[i]->id);
}

static void put_region(Text *out, const Region *r, Module *m, int indent);

static void put_arguments(Text *out, const Inst *inst) {
  const Port *ports = inst->op == OP_return ? inst->parent->fn->result_port : NULL;
  for (uint32_t i = 0; i < inst->n_args; i++) {
    text_printf(out, "%s%%%u", i ? ", " : " ", inst->arg[i]->id);
    if (ports && i < inst->parent->fn->n_result)
      put_port(out, &ports[i]);
  }
}

static void put_body(Text *out, const Inst *inst, Module *m, int indent) {
  const Region *r = inst->body;
  text_printf(out, " {\n%*s^(", indent + 2, "");
  for (uint32_t i = 0; i < r->n_arg; i++) {
    text_printf(out, "%s%%%u: ", i ? ", " : "", r->arg[i]->id);
    put_type(out, &r->arg[i]->type);
  }
  text_put(out, ")\n");
  put_region(out, r, m, indent + 2);
  text_printf(out, "%*s}", indent, "");
}

static void put_inst(Text *out, const Inst *inst, Module *m, int indent) {
  const AttrSig *sig;
  uint32_t n = op_attrs(m, inst->op, &sig);
  put_values(out, inst->result, inst->n_results);
  text_printf(out, "%s%s", inst->n_results ? " = " : "", op_table[inst->op]->name);
  put_arguments(out, inst);
  for (uint32_t i = 0; i < n && i < inst->n_attrs; i++) {
    text_printf(out, " %s=", sig[i].name);
    put_attr(out, &inst->attr[i]);
  }
  if (inst->body)
    put_body(out, inst, m, indent);
  for (uint32_t i = 0; i < inst->n_results; i++) {
    text_put(out, i ? ", " : " : ");
    put_type(out, &inst->result[i]->type);
  }
  if (inst->loc)
    text_printf(out, " @%u", inst->loc);
  if (inst->n_results && inst->result[0]->name) {
    text_put(out, " ");
    put_string(out, inst->result[0]->name);
  }
}

static void put_region(Text *out, const Region *r, Module *m, int indent) {
  for (const Inst *i = r->first; i; i = i->next) {
    text_printf(out, "%*s", indent, "");
    put_inst(out, i, m, indent);
    text_put(out, "\n");
  }
}

void ir_print_inst(const Inst *inst, Text *out) {
  put_inst(out, inst, inst->parent->fn->module, 0);
}

bool ir_plain_name(const char *name) {
  for (const char *p = name; *p; p++)
    if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.')
      return false;
  return *name != 0;
}

void ir_print_function(const Function *f, Text *out) {
  ir_number((Function *)f); // numbers are for printing: no meaning is changed
  text_put(out, "func @");
  if (ir_plain_name(f->name))
    text_put(out, f->name);
  else
    put_string(out, f->name);
  text_put(out, "(");
  for (uint32_t i = 0; i < f->body->n_arg; i++) {
    text_printf(out, "%s\n    %%%u: ", i ? "," : "", f->body->arg[i]->id);
    put_type(out, &f->body->arg[i]->type);
    put_port(out, &f->arg_port[i]);
  }
  text_put(out, ") {\n");
  put_region(out, f->body, f->module, 2);
  text_put(out, "}\n");
}

static void put_loc(Text *out, const Module *m, uint32_t id) {
  const Loc *loc = &m->loc.at[id];
  const char *path = loc->span.file ? m->s->source.at[loc->span.file].path : "";
  text_printf(out, "loc %u = ", id);
  put_string(out, path);
  text_printf(out, " %u..%u", loc->span.start, loc->span.end);
  if (loc->parent)
    text_printf(out, " in %u", loc->parent);
  if (loc->layer) {
    text_put(out, " layer ");
    put_string(out, loc->layer);
  }
  text_put(out, "\n");
}

void ir_print(const Module *m, Text *out) {
  for (uint32_t i = 1; i < m->loc.n; i++)
    put_loc(out, m, i);
  for (uint32_t i = 0; i < m->fn.n; i++) {
    text_put(out, i || m->loc.n > 1 ? "\n" : "");
    ir_print_function(m->fn.at[i], out);
  }
}
