// Pictures in Graphviz's language. `--emit=dot`: the network by layers, of the first function that
// predicts or evaluates; `--emit=dot-STAGE`: the IR of every function after that stage.
#include "tools/tools.h"
#include "ops/op.h"

#include <string.h>

enum { LABEL_CHARACTERS = 28 };

static void put_label(Text *out, const char *text, size_t n) {
  size_t shown = n > LABEL_CHARACTERS ? LABEL_CHARACTERS - 2 : n;
  for (size_t i = 0; i < shown; i++)
    if (text[i] == '\n')
      text_put(out, " ");
    else
      text_printf(out, text[i] == '"' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
  text_put(out, shown < n ? ".." : "");
}

// For one row: without the star of what is batched.
static const char *row_type(const Module *m, const Type *type) {
  Type row = *type;
  row.batched = false;
  return type_text(m->arena, &row);
}

// ---- the network by layers ----------------------------------------------------------------------

// A layer, an expression in the body of one, or an argument of the function.
typedef struct {
  const NnrtLayer *layer; // a box; NULL: an expression
  const char *inside;     // the path of the layer around it, or NULL
  Span span;              // of an expression
  const char *port;       // of an argument
  Type type;              // of what it made last
  bool seen;              // something of it depends on the input
} Box;

typedef struct {
  const Module *m;
  Text *out;
  BUF(Box) box;
  uint32_t *of;      // by Value.id: box + 1
  NameNumbers drawn; // edges: "3 7"
} Picture;

static bool is_inside(const char *path, const char *around) {
  size_t n = strlen(around);
  return path && strncmp(path, around, n) == 0 && path[n] == '.';
}

static const NnrtLayer *find_layer(const Module *m, const char *path) {
  for (uint32_t i = 0; path && i < m->program->n_layer; i++)
    if (strcmp(m->program->layer[i].path, path) == 0)
      return &m->program->layer[i];
  return NULL;
}

static bool has_parts(const Module *m, const NnrtLayer *layer) {
  for (uint32_t i = 0; i < m->program->n_layer; i++)
    if (is_inside(m->program->layer[i].path, layer->path))
      return true;
  return false;
}

// The expression in the body of the innermost layer that the place belongs to: calls of functions
// are not looked into.
static const Loc *outermost(const Module *m, LocId id) {
  const Loc *loc = &m->loc.at[id];
  while (loc->parent && m->loc.at[loc->parent].layer == loc->layer)
    loc = &m->loc.at[loc->parent];
  return loc;
}

static uint32_t box_at(Picture *p, LocId id) {
  const Loc *loc = outermost(p->m, id);
  const NnrtLayer *layer = find_layer(p->m, loc->layer);
  Box new = {.inside = loc->layer, .span = loc->span};
  if (layer && !has_parts(p->m, layer))
    new = (Box){.layer = layer};
  for (uint32_t i = 0; i < p->box.n; i++) {
    const Box *b = &p->box.at[i];
    bool same_span = b->span.start == new.span.start && b->span.end == new.span.end &&
                     b->span.file == new.span.file;
    if (!b->port && b->layer == new.layer && (new.layer || (b->inside == new.inside &&same_span)))
      return i;
  }
  buf_push(p->m->arena, &p->box, new);
  return p->box.n - 1;
}

static int64_t count_parameters(const Module *m, const NnrtLayer *layer) {
  int64_t count = 0;
  for (uint32_t k = 0; k < layer->n_param; k++) {
    const NnrtType *t = &m->program->param[layer->param[k]].type;
    int64_t n = 1;
    for (uint32_t d = 0; d < t->rank; d++)
      n *= t->dim[d];
    count += n;
  }
  return count;
}

static void put_box(const Picture *p, uint32_t i) {
  const Box *b = &p->box.at[i];
  Text *out = p->out;
  text_printf(out, "  b%u [", i);
  if (b->layer) {
    const char *dot = strrchr(b->layer->path, '.');
    int64_t count = count_parameters(p->m, b->layer);
    text_printf(out, "shape=box, style=\"filled,rounded\", fillcolor=\"#dbe9f6\", label=\"%s\\n%s",
                b->layer->kind, dot ? dot + 1 : b->layer->path);
    text_printf(out, "\\n%s", row_type(p->m, &b->type));
    if (count)
      text_printf(out, "\\n%lld parameters", (long long)count);
  } else if (b->port) {
    text_put(out, "shape=box, style=filled, fillcolor=\"#e8f3df\", label=\"");
    put_label(out, b->port, strlen(b->port));
    text_printf(out, "\\n%s", row_type(p->m, &b->type));
  } else {
    text_put(out, "shape=ellipse, label=\"");
    put_label(out, p->m->s->source.at[b->span.file].text + b->span.start,
              b->span.end - b->span.start);
  }
  text_put(out, "\"];\n");
}

// The innermost layer around a path; NULL: none. (Between the two there may be the name of an
// array.)
static const NnrtLayer *layer_around(const Module *m, const char *path) {
  const NnrtLayer *found = NULL;
  for (uint32_t i = 0; i < m->program->n_layer; i++) {
    const NnrtLayer *layer = &m->program->layer[i];
    if (is_inside(path, layer->path) && (!found || strlen(layer->path) > strlen(found->path)))
      found = layer;
  }
  return found;
}

// The boxes of one layer's body, then those of its parts, each in a frame.
static void put_frame(Picture *p, const NnrtLayer *layer) {
  const char *path = layer ? layer->path : NULL;
  if (layer)
    text_printf(p->out,
                "  subgraph \"cluster %s\" {\n  label=\"%s  %s\"; labeljust=l; style=rounded; "
                "color=\"#8899aa\";\n",
                path, layer->kind, strrchr(path, '.') ? strrchr(path, '.') + 1 : path);
  for (uint32_t i = 0; i < p->box.n; i++) {
    const Box *b = &p->box.at[i];
    const NnrtLayer *around =
        b->layer ? layer_around(p->m, b->layer->path) : find_layer(p->m, b->inside);
    bool here = around == layer;
    if (here && b->seen)
      put_box(p, i);
  }
  for (uint32_t i = 0; i < p->m->program->n_layer; i++) {
    const NnrtLayer *part = &p->m->program->layer[i];
    if (layer_around(p->m, part->path) == layer && has_parts(p->m, part))
      put_frame(p, part);
  }
  if (layer)
    text_put(p->out, "  }\n");
}

static void put_edge(Picture *p, uint32_t from, uint32_t to, const Type *type) {
  const char *key = intern(p->m->s, arena_printf(p->m->arena, "%u %u", from, to));
  if (from == to || names_get(&p->drawn, key))
    return;
  names_set(p->m->arena, &p->drawn, key, 1);
  text_printf(p->out, "  b%u -> b%u [label=\"%s\"];\n", from, to, row_type(p->m, type));
}

static void find_boxes(Picture *p, const Function *f) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == NNRT_COLUMN) {
      Box new = {
          .port = f->arg_port[i].name, .type = f->body->arg[i]->type, .seen = true, .inside = NULL};
      buf_push(p->m->arena, &p->box, new);
      p->of[f->body->arg[i]->id] = p->box.n;
    }
  for (const Inst *i = f->body->first; i; i = i->next) {
    bool fed = i->op == OP_random;
    for (uint32_t k = 0; k < i->n_args; k++)
      fed |= p->of[i->arg[k]->id] != 0;
    if (!fed || !i->n_results)
      continue;
    uint32_t box = box_at(p, i->loc);
    p->box.at[box].seen = true;
    p->box.at[box].type = i->result[0]->type;
    for (uint32_t k = 0; k < i->n_results; k++)
      p->of[i->result[k]->id] = box + 1;
  }
}

static const Function *pictured(const Module *m) {
  static const char *const wanted[] = {"predict.", "eval.", "step."};
  for (int k = 0; k < 3; k++)
    for (uint32_t i = 0; i < m->fn.n; i++)
      if (strncmp(m->fn.at[i]->name, wanted[k], strlen(wanted[k])) == 0)
        return m->fn.at[i];
  return NULL;
}

const char *print_network(const Module *m, Text *out) {
  const Function *f = pictured(m);
  if (!f)
    return "the program neither trains nor predicts: there is nothing to draw";
  uint32_t n = f->body->n_arg;
  ir_number((Function *)f);
  for (const Inst *i = f->body->first; i; i = i->next)
    n += i->n_results;
  Picture p = {.m = m, .out = out, .of = arena_array(m->arena, uint32_t, n + 1)};
  find_boxes(&p, f);
  text_printf(
      out,
      "digraph \"%s\" {\n  node [fontname=\"Helvetica\", fontsize=11, margin=\"0.12,0.06\"];"
      "\n  edge [fontname=\"Helvetica\", fontsize=9, color=\"#555555\"];\n  "
      "fontname=\"Helvetica\"; fontsize=11;\n",
      f->name);
  put_frame(&p, NULL);
  for (const Inst *i = f->body->first; i; i = i->next)
    for (uint32_t k = 0; k < i->n_args && i->n_results; k++)
      if (p.of[i->arg[k]->id] && p.of[i->result[0]->id])
        put_edge(&p, p.of[i->arg[k]->id] - 1, p.of[i->result[0]->id] - 1, &i->arg[k]->type);
  text_put(out, "}\n");
  return NULL;
}

// ---- the IR -------------------------------------------------------------------------------------

static const char *kind_of(const Inst *inst) {
  const Attr *kind = inst->op == OP_group ? inst_attr(inst, "kind") : NULL;
  return kind ? kind->s : op_table[inst->op]->name;
}

static void put_function(const Function *f, uint32_t number, Text *out) {
  const Module *m = f->module;
  ir_number((Function *)f);
  text_printf(out, "  subgraph \"cluster %s\" {\n  label=\"%s\"; labeljust=l;\n", f->name, f->name);
  for (uint32_t i = 0; i < f->body->n_arg; i++) {
    const char *name = f->arg_port[i].name ? f->arg_port[i].name : "";
    text_printf(out, "  f%uv%u [shape=box, style=filled, fillcolor=\"#e8f3df\", label=\"", number,
                i);
    put_label(out, name, strlen(name));
    text_printf(out, "\\n%s\"];\n", type_text(m->arena, &f->body->arg[i]->type));
  }
  for (const Inst *i = f->body->first; i; i = i->next) {
    uint32_t id = i->n_results ? i->result[0]->id : UINT32_MAX;
    const char *layer = m->loc.at[i->loc].layer;
    text_printf(out, "  f%uv%u [shape=%s, label=\"%s", number, id, i->body ? "box" : "ellipse",
                kind_of(i));
    for (uint32_t k = 0; k < i->n_results; k++)
      text_printf(out, "\\n%%%u: %s", i->result[k]->id, type_text(m->arena, &i->result[k]->type));
    text_printf(out, "%s%s\"];\n", layer ? "\\n" : "", layer ? layer : "");
    for (uint32_t k = 0; k < i->n_args; k++) {
      const Inst *def = i->arg[k]->def;
      text_printf(out, "  f%uv%u -> f%uv%u;\n", number, def ? def->result[0]->id : i->arg[k]->id,
                  number, id);
    }
  }
  text_put(out, "  }\n");
}

void print_ir_graph(const Module *m, Text *out) {
  text_put(out, "digraph ir {\n  node [fontname=\"Helvetica\", fontsize=10];\n  "
                "edge [color=\"#555555\"];\n");
  for (uint32_t i = 0; i < m->fn.n; i++)
    put_function(m->fn.at[i], i, out);
  text_put(out, "}\n");
}
