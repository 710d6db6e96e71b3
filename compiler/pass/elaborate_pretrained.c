// Weights from files (rule 17): `weights = "file"` or `weights = renamed("file", "theirs" = "ours",
// layout = oihw)` among the settings of a layer. In come calls, out comes what the trainer will
// look for (NnrtImport), kept by the instance.
#include "pass/elaborate_core.h"

#include <string.h>

bool is_renamed(Scope *scope, const Node *node) {
  return node->kind == N_CALL && node->a->kind == N_NAME && strcmp(node->a->name, "renamed") == 0 &&
         !scope_find(scope, node->a->name);
}

typedef struct {
  Elab *e;
  NnrtImport *import;
  BUF(const char *) from, to;
  bool good;
} Renamed;

static uint32_t count_stars(const char *text) {
  uint32_t n = 0;
  for (; *text; text++)
    n += *text == '*';
  return n;
}

static void wrong(Renamed *r, Span span, const char *why) {
  Diagnostic *d = elab_error(r->e, span, "wrong-arguments", "renamed: %s", why);
  diag_note(
      r->e->s, d, (Span){0},
      "it is called as renamed(\"file\", \"theirs\" = \"ours\", layout = oihw, partial = true, "
      "scale = 1.0)");
  r->good = false;
}

static void add_renaming(Renamed *r, const Node *arg, Val v, Span span) {
  enum { MOST_STARS = 8 };
  if (v.kind != V_STRING) {
    wrong(r, span, "a name becomes another name, a text");
    return;
  }
  if (!*arg->name || count_stars(arg->name) > MOST_STARS ||
      count_stars(v.s) > count_stars(arg->name)) {
    wrong(r, span, "what a `*` stands for is put where the other name has one");
    return;
  }
  buf_push(r->e->m->arena, &r->from, arg->name);
  buf_push(r->e->m->arena, &r->to, v.s);
}

static void add_setting(Renamed *r, const Node *arg, Val v, Span span) {
  if (strcmp(arg->name, "layout") == 0 && v.kind == V_STRING && strcmp(v.s, "oihw") == 0)
    r->import->layout = NNRT_LAYOUT_OIHW;
  else if (strcmp(arg->name, "layout") == 0)
    wrong(r, span, "the layout is oihw, as PyTorch and ONNX have it, or none is given");
  else if (strcmp(arg->name, "partial") == 0 && v.kind == V_BOOL)
    r->import->partial = v.i != 0;
  else if (strcmp(arg->name, "scale") == 0)
    r->good &= elab_number(r->e, v, "the scale of weights", span, &r->import->scale);
  else
    wrong(r, arg->name_span,
          arena_printf(r->e->s->perm, "it has no argument `%s` of this kind", arg->name));
}

static void take(Renamed *r, Scope *scope, Node *node, bool first) {
  const Node *arg = node->kind == N_ARG ? node : NULL;
  Node *value = arg ? arg->a : node;
  Val v = elab_expr(r->e, scope, value, NULL);
  if (v.kind == V_ERROR)
    r->good = false;
  else if (arg && arg->is_path)
    add_renaming(r, arg, v, value->span);
  else if (arg && arg->name)
    add_setting(r, arg, v, value->span);
  else if (first && v.kind == V_STRING && *v.s)
    r->import->file = v.s;
  else
    wrong(r, value->span, first ? "the file comes first, a text" : "one file is read");
}

static NnrtImport *import_new(Elab *e, const char *file) {
  NnrtImport *import = arena_new(e->m->arena, NnrtImport);
  import->file = file;
  import->scale = 1;
  return import;
}

Val renamed_expr(Elab *e, Scope *scope, Node *node) {
  Renamed r = {.e = e, .import = import_new(e, NULL), .good = true};
  for (uint32_t i = 0; i < node->list.n && r.good; i++)
    take(&r, scope, node->list.at[i], i == 0);
  if (r.good && !r.import->file)
    wrong(&r, node->span, "a file is wanted");
  if (!r.good)
    return val_error();
  r.import->from = r.from.at;
  r.import->to = r.to.at;
  r.import->n_rename = r.from.n;
  return (Val){.kind = V_WEIGHTS, .import = r.import, .span = node->span};
}

const Arg *take_weights(Val f, Arg *arg, uint32_t *n) {
  bool made = f.kind == V_INSTANCE || f.decl->kind != N_FN; // what can have weights
  for (uint32_t i = 0; i < *n && made; i++)
    if (arg[i].name && strcmp(arg[i].name, "weights") == 0 &&
        (arg[i].v.kind == V_STRING || arg[i].v.kind == V_WEIGHTS)) {
      Arg taken = arg[i]; // it goes to the end, behind the others
      memmove(arg + i, arg + i + 1, (*n - i - 1) * sizeof *arg);
      arg[--*n] = taken;
      return &arg[*n];
    }
  return NULL;
}

void instance_weights(Elab *e, Instance *instance, const Arg *weights) {
  if (!weights)
    return;
  const NnrtImport *import =
      weights->v.kind == V_WEIGHTS ? weights->v.import : import_new(e, weights->v.s);
  if (!*import->file)
    diag_note(e->s,
              elab_error(e, weights->span, "wrong-arguments",
                         "`weights` of %s is the name of a file, found an empty one",
                         instance->kind),
              (Span){0}, "weights = \"net.safetensors\", or leave it out");
  else if (instance->import && instance->import->file != import->file)
    diag_note(e->s,
              elab_error(e, weights->span, "wrong-arguments",
                         "%s is one instance, and begins with the weights of \"%s\" already",
                         instance->kind, instance->import->file),
              (Span){0},
              "a `layer` with a list of settings, L()(x), is made anew by each call L()");
  else if (!instance->import)
    instance->import = import;
}
