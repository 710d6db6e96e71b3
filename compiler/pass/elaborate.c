// does:   turns the trees of a program and of what it uses into per-example IR and the program
// tables needs:  parsed files leaves: a module without user errors (the last pass that reports
// any), or NULL cost:   linear in the expanded program
//
// This file: the order of work, files (`use`), top-level names of the user's files
// (elaborate_library.c: of the library's). Names are lazy: a declaration is
// looked at when something names it, so that their order doesn't matter.
#include "foreign.h"
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- -D ---------------------------------------------------------------------------------------

typedef BUF(const char *) Names;

static const char *defined(Elab *e, const char *name) {
  for (uint32_t i = 0; i < e->n_define; i++)
    if (strcmp(e->define[i].name, name) == 0)
      return e->define[i].value;
  return NULL;
}

static void read_defines(Elab *e, const ElabOptions *options) {
  struct Definition *list = arena_array(e->s->perm, struct Definition, options->n_define + 1);
  for (uint32_t i = 0; i < options->n_define; i++) {
    const char *text = options->define[i], *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    list[i].name = intern_n(e->s, text, n);
    list[i].value = equals ? equals + 1 : "";
  }
  e->define = list;
  e->n_define = options->n_define;
  e->check = options->check;
}

// The number, truth value or word after `name=`.
static Val defined_value(Elab *e, const char *name, const char *text) {
  char *end;
  errno = 0;
  long long i = strtoll(text, &end, 10);
  if (*text && !*end && !errno)
    return val_int(i);
  double f = strtod(text, &end);
  if (*text && !*end)
    return val_float(f);
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
    return (Val){.kind = V_BOOL, .i = *text == 't'};
  if (!*text)
    diag_error(e->s, (Span){0}, "bad-define", "-D %s needs a value: -D %s=1", name, name);
  return (Val){.kind = *text ? V_STRING : V_ERROR, .s = intern(e->s, text)};
}

static bool is_const_of(const Node *file, const char *name, Names *names, Arena *arena) {
  bool found = false;
  for (uint32_t i = 0; i < file->list.n; i++) {
    const Node *decl = file->list.at[i];
    for (uint32_t k = 0; decl->kind == N_CONST && k < decl->list.n; k++) {
      const Node *pattern = decl->list.at[k]->a;
      if (pattern->kind != N_NAME)
        continue;
      found |= strcmp(pattern->name, name) == 0;
      buf_push(arena, names, pattern->name);
    }
  }
  return found;
}

static void check_defines(Elab *e) {
  for (uint32_t i = 0; i < e->n_define; i++) {
    Names names = {0};
    bool found = false;
    for (SourceModule *m = e->modules; m; m = m->next)
      if (!m->is_std)
        found |= is_const_of(m->file, e->define[i].name, &names, e->s->perm);
    if (found)
      continue;
    Diagnostic *d = diag_error(e->s, (Span){0}, "unknown-name", "-D %s: there is no const `%s`",
                               e->define[i].name, e->define[i].name);
    const char *near = nearest_name(e->define[i].name, names.at, names.n);
    if (near)
      diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  }
}

// ---- values of top-level names ----------------------------------------------------------------

typedef struct {
  Node *binding;
  Scope *scope;
  const char *name;
  int part; // of a pattern with several names, or -1
  bool is_std;
} TopName;

// -D name=text in the place of `was`, which says what kind of value it must be.
static Val replaced(Elab *e, const TopName *t, Val was, const char *text) {
  Val v = defined_value(e, t->name, text);
  if (v.kind == V_ERROR || was.kind == V_ERROR)
    return val_error();
  if (v.kind == V_INT && was.kind == V_FLOAT)
    v = val_float((double)v.i);
  if (v.kind == was.kind)
    return v;
  Diagnostic *d = diag_error(e->s, (Span){0}, "bad-define", "-D %s=%s: `%s` is %s", t->name, text,
                             t->name, val_text(e, was));
  diag_note(e->s, d, t->binding->span, "declared here");
  return val_error();
}

static Val make_const(Elab *e, void *ctx) {
  TopName *t = ctx;
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, t->scope, t->binding->b, NULL);
  e->target = target;
  bool constant = is_number(v) || v.kind == V_BOOL || v.kind == V_STRING || v.kind == V_LIST ||
                  v.kind == V_TUPLE || v.kind == V_ERROR;
  if (!constant) {
    diag_note(e->s,
              diag_error(e->s, t->binding->b->span, "not-constant",
                         "a const is a number known when compiling, found %s", val_text(e, v)),
              (Span){0}, "a layer or a function gets a name by `let`: let %s = ...", t->name);
    return val_error();
  }
  Fit fit = {.name = t->name, .from = "this", .span = t->binding->b->span};
  v = fit_type(e, t->scope, t->binding->type, v, &fit);
  const char *given = t->is_std ? NULL : defined(e, t->name);
  if (given)
    v = replaced(e, t, v, given);
  v.span = t->binding->span;
  return v;
}

static Val make_let(Elab *e, void *ctx) {
  TopName *t = ctx;
  Node *block = e->block;
  e->block = NULL;
  Type want;
  bool known = t->binding->type && type_known(e, t->scope, t->binding->type, &want);
  Val v = elab_expr(e, t->scope, t->binding->b, known ? &want : NULL);
  Fit fit = {
      .name = t->name, .from = "this", .span = t->binding->b->span, .declared = true, .fill = true};
  v = fit_type(e, t->scope, t->binding->type, v, &fit);
  e->block = block;
  if (t->part >= 0 && v.kind != V_ERROR) {
    if ((v.kind != V_TUPLE && v.kind != V_LIST) || v.n != t->binding->a->list.n) {
      wrong_parts(e, t->binding->a, t->binding->b, v);
      return val_error();
    }
    v = v.list[t->part];
  }
  v.span = t->binding->span;
  name_instances(e, v, t->name);
  return v;
}

// A const called `size` does not hide size(x) from anyone by accident; a fn called so would.
static void shadow_warning(Elab *e, const SourceModule *m, const char *name, Span where,
                           bool callable) {
  bool hides = scope_own(e->prelude, name) || (callable && builtin_find(e, name));
  if (hides && !m->is_std)
    diag_note(
        e->s,
        diag_warning(e->s, where, "shadows", "`%s` hides the standard library's `%s`", name, name),
        (Span){0}, "every `%s` of this file means this one: another name keeps both", name);
}

static void declare_name(Elab *e, SourceModule *m, Node *binding, Node *name, int part,
                         bool constant) {
  if (name->kind != N_NAME)
    return;
  TopName *t = arena_new(e->s->perm, TopName);
  *t = (TopName){binding, m->scope, name->name, part, m->is_std};
  shadow_warning(e, m, name->name, name->span, false);
  scope_add_lazy(e, m->scope, name->name, constant ? make_const : make_let, t, name->span);
  m->scope->last->constant = constant;
}

static void declare_bindings(Elab *e, SourceModule *m, Node *decl) {
  for (uint32_t i = 0; i < decl->list.n; i++) {
    Node *binding = decl->list.at[i];
    if (binding->kind != N_BINDING)
      continue;
    if (decl->kind == N_CONFIG) {
      shadow_warning(e, m, binding->a->kind == N_NAME ? binding->a->name : "", binding->a->span,
                     false);
      elab_config_declare(e, m->scope, decl, binding);
    } else if (binding->a->kind == N_TUPLE)
      for (uint32_t k = 0; k < binding->a->list.n; k++)
        declare_name(e, m, binding, binding->a->list.at[k], (int)k, decl->kind == N_CONST);
    else
      declare_name(e, m, binding, binding->a, -1, decl->kind == N_CONST);
  }
}

// Settings and arguments are in one scope.
void check_parameters(Elab *e, const Node *decl) {
  uint32_t n = decl->params.n;
  for (uint32_t i = 0; i < n + decl->params2.n; i++)
    for (uint32_t k = 0; k < i; k++) {
      const Node *p = i < n ? decl->params.at[i] : decl->params2.at[i - n];
      const Node *q = k < n ? decl->params.at[k] : decl->params2.at[k - n];
      if (p->name != q->name)
        continue;
      Diagnostic *d =
          diag_error(e->s, p->span, "declared-twice", "`%s` is declared twice", p->name);
      diag_note(e->s, d, q->span, "first declared here");
      diag_note(e->s, d, (Span){0}, "settings and inputs have different names");
    }
}

static void declare_function(Elab *e, SourceModule *m, Node *decl) {
  Val v = {.kind = decl->kind == N_OPTIMIZER ? V_OPTIMIZER : V_FUNCTION,
           .decl = decl,
           .scope = m->scope};
  v.span = decl->name_span;
  shadow_warning(e, m, decl->name, decl->name_span, true);
  scope_add(e, m->scope, decl->name, v, decl->name_span);
}

// ---- files ------------------------------------------------------------------------------------

Scope *file_scope(Elab *e) {
  Scope *scope = scope_new(e, e->prelude);
  scope->is_file = true;
  return scope;
}

SourceModule *add_module(Elab *e, const char *path, Scope *scope, bool is_std) {
  SourceModule *m = arena_new(e->s->perm, SourceModule);
  *m = (SourceModule){.path = path, .scope = scope, .is_std = is_std, .next = e->modules};
  return e->modules = m;
}

SourceModule *find_module(const Elab *e, const char *path) {
  for (SourceModule *m = e->modules; m; m = m->next)
    if (m->path == path)
      return m;
  return NULL;
}

static SourceModule *use_std(Elab *e, Node *use) {
  const char *dot = strchr(use->name, '.');
  bool std = dot && strncmp(use->name, "std.", 4) == 0;
  SourceModule *m = std ? std_module(e, dot + 1) : NULL;
  if (m)
    return m;
  Diagnostic *d =
      diag_error(e->s, use->name_span, "unknown-module", "there is no module `%s`", use->name);
  Names names = {0};
  for (const StdlibFile *s = stdlib_files; s->name; s++)
    buf_push(e->s->perm, &names, std_module_of(e, s));
  const char *near = std ? nearest_name(dot + 1, names.at, names.n) : NULL;
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `std.%s`?", near);
  else if (std_module(e, use->name))
    diag_note(e->s, d, (Span){0}, "did you mean `std.%s`?", use->name);
  else if (!std)
    diag_note(e->s, d, (Span){0}, "a file of yours is named in quotes: use \"%s.nn\": ...",
              use->name);
  else if (use->list.n && e->prelude && scope_own(e->prelude, use->list.at[0]->name))
    diag_note(e->s, d, (Span){0}, "`%s` is there without `use`", use->list.at[0]->name);
  else {
    Text list = {.arena = e->s->perm};
    for (uint32_t i = 0; i < names.n; i++)
      if (i == 0 || strcmp(names.at[i], names.at[i - 1]) != 0)
        text_printf(&list, "%sstd.%s", list.n ? ", " : "", names.at[i]);
    diag_note(e->s, d, (Span){0}, "modules are: %s", list.at);
  }
  return NULL;
}

static SourceModule *add_file(Elab *e, const char *path, uint32_t source) {
  SourceModule *m = add_module(e, path, file_scope(e), false);
  m->file = parse_source(e->s, source);
  if (has_syntax_errors(e->s))
    return m;
  declare_names(e, m);
  declare_uses(e, m);
  return m;
}

// A file beside the one that uses it.
static SourceModule *use_file(Elab *e, Node *use) {
  const char *user = e->s->source.at[use->span.file].path, *slash = strrchr(user, '/');
  const char *path = use->name;
  if (slash && *path != '/')
    path = arena_printf(e->s->perm, "%.*s/%s", (int)(slash - user), user, use->name);
  path = intern(e->s, path);
  SourceModule *m = find_module(e, path);
  if (m)
    return m;
  uint32_t source = source_read(e->s, path);
  if (source)
    return add_file(e, path, source);
  Diagnostic *d =
      diag_error(e->s, use->name_span, "missing-file", "can't read %s: %s", path, strerror(errno));
  diag_note(e->s, d, (Span){0}, "files are looked for from the folder of the file that names them");
  return NULL;
}

typedef struct {
  SourceModule *module;
  const char *name;
} Import;

static Val make_import(Elab *e, void *ctx) {
  Import *import = ctx;
  Entry *n = scope_own(import->module->scope, import->name);
  return n ? entry_value(e, n) : val_error();
}

static void import_name(Elab *e, SourceModule *to, SourceModule *from, Node *name) {
  Entry *n = scope_own(from->scope, name->name);
  if (n && (!n->make || n->make != make_import)) {
    Import *import = arena_new(e->s->perm, Import);
    *import = (Import){from, name->name};
    scope_add_lazy(e, to->scope, name->name, make_import, import, name->span);
    to->scope->last->constant = n->constant;
    return;
  }
  if (has_syntax_errors(e->s))
    return; // it may be there, unread
  Diagnostic *d =
      diag_error(e->s, name->span, "unknown-name", "%s has no `%s`", from->path, name->name);
  Names names = {0};
  for (Entry *k = from->scope->first; k; k = k->next)
    buf_push(e->s->perm, &names, k->name);
  const char *other = from->is_std ? module_with(e, name->name) : NULL;
  const char *advice = from->is_std ? foreign_name(name->name) : NULL;
  const char *near = nearest_name(name->name, names.at, names.n);
  if (other)
    diag_note(e->s, d, (Span){0}, "std.%s has it: `use std.%s: %s`", other, other, name->name);
  else if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  scope_add(e, to->scope, name->name, val_error(), name->span);
}

static void declare_use(Elab *e, SourceModule *m, Node *use) {
  SourceModule *from = use->is_path ? use_file(e, use) : use_std(e, use);
  for (uint32_t i = 0; i < use->list.n; i++) {
    if (from)
      import_name(e, m, from, use->list.at[i]);
    else // so that its uses aren't reported as well
      scope_add(e, m->scope, use->list.at[i]->name, val_error(), use->list.at[i]->span);
  }
  if (use->list.n)
    return;
  const char *dot = strrchr(use->name, '.');
  const char *name = use->alias ? use->alias : use->is_path ? NULL : dot ? dot + 1 : use->name;
  Val v = {.kind = from ? V_MODULE : V_ERROR, .scope = from ? from->scope : NULL};
  if (name)
    scope_add(e, m->scope, intern(e->s, name), v, use->name_span);
}

static void declare(Elab *e, SourceModule *m, Node *decl) {
  check_parameters(e, decl);
  switch ((int)decl->kind) {
  case N_CONST:
  case N_CONFIG:
  case N_LET:
    declare_bindings(e, m, decl);
    break;
  case N_FN:
  case N_LAYER:
  case N_MODEL:
  case N_OPTIMIZER:
    declare_function(e, m, decl);
    break;
  case N_DATA:
    elab_data_declare(e, m->scope, decl);
    break;
  }
}

// `use` comes last: files may use each other.
void declare_names(Elab *e, SourceModule *m) {
  for (uint32_t i = 0; i < m->file->list.n; i++)
    declare(e, m, m->file->list.at[i]);
}

void declare_uses(Elab *e, SourceModule *m) {
  for (uint32_t i = 0; i < m->file->list.n; i++)
    if (m->file->list.at[i]->kind == N_USE)
      declare_use(e, m, m->file->list.at[i]);
}

// ---- the pass ---------------------------------------------------------------------------------

// Consts that nothing uses are looked at too.
static void try_consts(Elab *e, Scope *scope) {
  for (Entry *n = scope->first; n; n = n->next)
    if (n->make == make_const)
      entry_value(e, n);
}

// A module of the library that is there without `use`.
static Val module_value(Elab *e, void *name) {
  return (Val){.kind = V_MODULE, .scope = std_module(e, name)->scope};
}

Module *elaborate(Session *s, uint32_t file, const ElabOptions *options) {
  Elab *e = arena_new(s->perm, Elab);
  e->s = s;
  e->m = module_create(s);
  read_defines(e, options);
  if (!std_module(e, "prelude"))
    ice("the standard library has no prelude");
  scope_add_lazy(e, e->prelude, intern(e->s, "preprocess"), module_value, "preprocess", (Span){0});
  SourceModule *user = add_file(e, s->source.at[file].path, file);
  if (has_syntax_errors(s))
    return NULL;
  e->file = user->file;
  e->global = user->scope;
  check_defines(e);
  try_consts(e, user->scope);
  elab_program(e, user->scope);
  try_unused(e, user->scope, user->file);
  elab_finish_errors(e);
  if (s->n_error == 0)
    warn_unused(e, user->file);
  return s->n_error ? NULL : e->m;
}
