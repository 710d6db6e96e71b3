// Modules of the standard library. In: the embedded files. Out: scopes with a lazy name for every
// function, layer, model and optimizer; a declaration is parsed when something names it, so that a
// program pays for what it uses. Errors see all names all the same.
#include "pass/elaborate_core.h"

#include <ctype.h>
#include <string.h>

typedef struct {
  Span part; // in its file
  Scope *scope;
  Node *decl; // once it is parsed
} Piece;

bool next_piece(const Source *source, uint32_t at, uint32_t *start, uint32_t *end) {
  const char *text = source->text;
  uint32_t found = 0;
  for (const char *c = text + at; c; c = strchr(c, '\n'), c += c != NULL) {
    if (!isalpha((unsigned char)*c))
      continue;
    *(found ? end : start) = (uint32_t)(c - text);
    if (found++)
      return true;
  }
  *end = source->n;
  return found;
}

static Val make_piece(Elab *e, void *ctx) {
  Piece *p = ctx;
  if (!p->decl) {
    const Node *file = parse_part(e->s, p->part);
    if (has_syntax_errors(e->s))
      return val_error();
    p->decl = file->list.at[0];
    check_parameters(e, p->decl);
  }
  return (Val){.kind = p->decl->kind == N_OPTIMIZER ? V_OPTIMIZER : V_FUNCTION,
               .decl = p->decl,
               .scope = p->scope,
               .span = p->decl->name_span};
}

// `layer Dense(...` -> Dense; an empty span for another declaration.
static Span name_of(const Source *source, Span part) {
  static const char *const words[] = {"fn ", "layer ", "model ", "optimizer "};
  for (int i = 0; i < 4; i++) {
    size_t n = strlen(words[i]);
    if (strncmp(source->text + part.start, words[i], n) != 0)
      continue;
    Span name = {part.file, part.start + (uint32_t)n, part.start + (uint32_t)n};
    while (isalnum((unsigned char)source->text[name.end]) || source->text[name.end] == '_')
      name.end++;
    return name;
  }
  return (Span){0};
}

// Enters its functions; what else it declares is parsed now: the result is a file of that.
static Node *index_file(Elab *e, Scope *scope, uint32_t file) {
  Session *s = e->s;
  BUF(Node *) rest = {0};
  Span part = {.file = file};
  while (next_piece(&s->source.at[file], part.end, &part.start, &part.end)) {
    Span name = name_of(&s->source.at[file], part);
    if (name.file) {
      Piece *p = arena_new(s->perm, Piece);
      *p = (Piece){.part = part, .scope = scope};
      const char *text = s->source.at[file].text + name.start;
      scope_add_lazy(e, scope, intern_n(s, text, name.end - name.start), make_piece, p, name);
      continue;
    }
    Node *more = parse_part(s, part);
    for (uint32_t i = 0; i < more->list.n; i++)
      buf_push(s->perm, &rest, more->list.at[i]);
  }
  Node *tree = arena_new(s->perm, Node);
  *tree = (Node){.kind = N_FILE, .list = {rest.at, rest.n}};
  return tree;
}

// Files stdlib/NAME.nn and stdlib/NAME/*.nn are the module NAME.
static bool is_of_module(const StdlibFile *f, const char *name, size_t n) {
  return strncmp(f->name, name, n) == 0 && (!f->name[n] || f->name[n] == '/');
}

const char *std_module_of(Elab *e, const StdlibFile *f) {
  return intern_n(e->s, f->name, strcspn(f->name, "/"));
}

// Its files share one scope.
SourceModule *std_module(Elab *e, const char *name) {
  const char *path = intern(e->s, arena_printf(e->s->perm, "std.%s", name));
  SourceModule *m = find_module(e, path);
  if (m)
    return m;
  Scope *scope = file_scope(e);
  if (!e->prelude)
    e->prelude = scope; // the first module read is the prelude itself
  for (const StdlibFile *f = stdlib_files; f->name; f++)
    if (is_of_module(f, name, strlen(name))) {
      const char *file = arena_printf(e->s->perm, "<std>/%s.nn", f->name);
      m = add_module(e, path, scope, true);
      m->file = index_file(e, scope, source_add(e->s, file, f->text, f->n));
      declare_names(e, m);
    }
  for (SourceModule *k = m; k && k->scope == scope; k = k->next)
    declare_uses(e, k);
  return m;
}

// A search of the texts: for advice only.
const char *module_with(Elab *e, const char *name) {
  for (const StdlibFile *f = stdlib_files; f->name; f++)
    for (int i = 0; i < 3; i++) {
      static const char *const words[] = {"layer", "fn", "model"};
      const char *head = arena_printf(e->s->perm, "\n%s %s", words[i], name);
      const char *hit = strstr(f->text, head);
      char after = hit ? hit[strlen(head)] : 'x';
      if (hit && (after == '(' || after == ' ' || after == '\n'))
        return std_module_of(e, f);
    }
  return NULL;
}
