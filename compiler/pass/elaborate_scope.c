// Names and places: scopes with lazy entries, the chain of calls being elaborated, small
// constructors of Val, and how values are named in messages.
#include "pass/elaborate_core.h"

#include <string.h>

// ---- values -----------------------------------------------------------------------------------

Val val_kind(ValKind kind) {
  return (Val){.kind = kind};
}
Val val_int(int64_t i) {
  return (Val){.kind = V_INT, .i = i};
}
Val val_float(double f) {
  return (Val){.kind = V_FLOAT, .f = f};
}
Val val_tensor(Value *t) {
  return t ? (Val){.kind = V_TENSOR, .t = t} : val_error();
}
Val val_error(void) {
  return (Val){.kind = V_ERROR};
}

Val val_tuple(Elab *e, ValKind kind, const Val *list, uint32_t n) {
  Val v = {.kind = kind, .n = n, .list = arena_array(e->s->perm, Val, n + 1)};
  if (n)
    memcpy(v.list, list, sizeof *list * n);
  return v;
}

const char *type_user_text(Elab *e, const Type *type) {
  Arena *arena = e->s->perm;
  const char *dims = type->rank ? dims_text(arena, type->dim, type->rank) : "";
  if (type->range)
    return arena_printf(arena, "index<%lld>%s", (long long)type->range, dims);
  return arena_printf(arena, "%s%s", type->elem == TY_I32 ? "int" : elem_name(type->elem), dims);
}

const char *decl_kind(const Node *decl) {
  switch ((int)decl->kind) {
  case N_FN:
    return "fn";
  case N_LAYER:
    return "layer";
  case N_MODEL:
    return "model";
  case N_OPTIMIZER:
    return "optimizer";
  case N_TRAIN:
    return "train block";
  case N_PREDICT:
    return "predict block";
  default:
    return "data block";
  }
}

const char *val_text(Elab *e, Val v) {
  Arena *arena = e->s->perm;
  switch (v.kind) {
  case V_ERROR:
    return "an error";
  case V_INT:
    return arena_printf(arena, "%lld", (long long)v.i);
  case V_FLOAT:
    return arena_printf(arena, "%g", v.f);
  case V_BOOL:
    return v.i ? "true" : "false";
  case V_STRING:
    return arena_printf(arena, "\"%s\"", v.s);
  case V_TENSOR:
    return v.config ? "a config" : type_user_text(e, &v.t->type);
  case V_TUPLE:
    return arena_printf(arena, "a tuple of %u values", v.n);
  case V_LIST:
    return arena_printf(arena, "a list of %u values", v.n);
  case V_FUNCTION:
    return v.builtin ? arena_printf(arena, "the function %s", v.builtin->name)
                     : arena_printf(arena, "the %s %s", decl_kind(v.decl), v.decl->name);
  case V_INSTANCE:
    return arena_printf(arena, "the %s %s", decl_kind(v.instance->decl), v.instance->kind);
  case V_DATA:
    return "a data block";
  case V_OPTIMIZER:
    return arena_printf(arena, "the optimizer %s", v.decl->name);
  case V_SHAPELESS:
    return "a draw without a shape";
  case V_TOP:
    return "the result of top(...)";
  case V_PICTURE:
    return v.picture->form == NNRT_AS_PICTURE ? "a picture" : "a picture of many rows";
  case V_ROW:
    return "the row";
  case V_CONFIG:
    return "a config";
  case V_MODULE:
    return "a module";
  case V_WEIGHTS:
    return "weights of a file";
  case V_NONE:
    return "no value";
  }
  return "?";
}

// ---- scopes -----------------------------------------------------------------------------------

Scope *scope_new(Elab *e, Scope *parent) {
  Scope *scope = arena_new(e->s->perm, Scope);
  scope->parent = parent;
  return scope;
}

struct ScopeIndex {
  NameNumbers number; // of a name: the place of its last entry, from 1
  BUF(Entry *) entry;
};

static void index_entry(Elab *e, Scope *scope, Entry *entry) {
  if (!scope->index)
    scope->index = arena_new(e->s->perm, struct ScopeIndex);
  buf_push(e->s->perm, &scope->index->entry, entry);
  names_set(e->s->perm, &scope->index->number, entry->name, scope->index->entry.n);
}

Entry *scope_own(const Scope *scope, const char *name) {
  if (scope->is_file) {
    uint32_t number = scope->index ? names_get(&scope->index->number, name) : 0;
    return number ? scope->index->entry.at[number - 1] : NULL;
  }
  Entry *found = NULL; // the last one: `let` may shadow
  for (Entry *n = scope->first; n; n = n->next)
    if (n->name == name)
      found = n;
  return found;
}

Entry *scope_find(Scope *scope, const char *name) {
  for (; scope; scope = scope->parent) {
    Entry *n = scope_own(scope, name);
    if (n)
      return n;
  }
  return NULL;
}

Entry *scope_put(Elab *e, Scope *scope, const char *name, Val v, Span where) {
  Entry *old = scope->is_file ? scope_own(scope, name) : NULL;
  if (old) {
    Diagnostic *d = diag_error(e->s, where, "declared-twice", "`%s` is declared twice", name);
    diag_note(e->s, d, old->where, "first declared here");
    diag_note(e->s, d, (Span){0}, "a file has one of each name: give one of them another");
  }
  Entry *n = arena_new(e->s->perm, Entry);
  *n = (Entry){.name = name, .val = v, .where = where, .ready = true, .top = scope->is_file};
  if (scope->last)
    scope->last->next = n;
  else
    scope->first = n;
  scope->last = n;
  if (scope->is_file)
    index_entry(e, scope, n);
  return n;
}

void scope_add(Elab *e, Scope *scope, const char *name, Val v, Span where) {
  scope_put(e, scope, name, v, where);
}

void scope_add_assignable(Elab *e, Scope *scope, const char *name, Val v, Span where) {
  scope_put(e, scope, name, v, where)->assignable = true;
}

void scope_add_lazy(Elab *e, Scope *scope, const char *name, Val (*make)(Elab *, void *), void *ctx,
                    Span where) {
  Entry *n = scope_put(e, scope, name, val_error(), where);
  n->make = make;
  n->ctx = ctx;
  n->ready = false;
}

const Val *scope_get(const Scope *scope, const char *name) {
  Entry *n = scope_own(scope, name);
  return n ? &n->val : NULL;
}

// Does v hold for every function, or only for the one being built?
static bool is_timeless(Val v) {
  return v.kind == V_INT || v.kind == V_FLOAT || v.kind == V_BOOL || v.kind == V_STRING ||
         v.kind == V_ERROR || v.kind == V_DATA || v.kind == V_MODULE || v.kind == V_WEIGHTS ||
         (v.kind == V_FUNCTION && !v.bound);
}

Val entry_value(Elab *e, Entry *entry) {
  if (!entry->make || (entry->ready && (is_timeless(entry->val) || entry->target == e->target)))
    return entry->val;
  if (entry->making) {
    Diagnostic *d =
        elab_error(e, entry->where, "recursion", "`%s` is computed from itself", entry->name);
    for (const Entry *n = e->making; n && n != entry; n = n->outer)
      diag_note(e->s, d, n->where, "by way of `%s`", n->name);
    diag_note(e->s, d, (Span){0},
              "declarations may come in any order, but one must come first: give one of them a "
              "value that needs none of the others");
    return val_error();
  }
  Place place = place_save(e);
  place_enter_top(e);
  struct ScanBody *from = scan_leave(e, NULL); // it may be used after the loop as well
  entry->making = true;
  entry->outer = e->making;
  e->making = entry;
  Val v = entry->make(e, entry->ctx);
  e->making = entry->outer;
  entry->making = false;
  scan_return(e, from);
  place_restore(e, place);
  if (!v.span.file)
    v.span = entry->where;
  entry->val = v;
  entry->target = e->target;
  entry->ready = true;
  return v;
}

uint32_t scope_names(Elab *e, Scope *scope, const char *const **names) {
  BUF(const char *) list = {0};
  for (; scope; scope = scope->parent)
    for (Entry *n = scope->first; n; n = n->next)
      buf_push(e->s->perm, &list, n->name);
  const char *const *more;
  uint32_t n = builtin_names(e, &more);
  for (uint32_t i = 0; i < n; i++)
    buf_push(e->s->perm, &list, more[i]);
  *names = list.at;
  return list.n;
}

// ---- places -----------------------------------------------------------------------------------

Place place_save(const Elab *e) {
  return (Place){e->inside, e->call,   e->frame, e->context,
                 e->app,    e->yields, e->block, e->make_state};
}

void place_restore(Elab *e, Place p) {
  e->inside = p.inside;
  e->call = p.call;
  e->frame = p.frame;
  e->context = p.context;
  e->app = p.app;
  e->yields = p.yields;
  e->block = p.block;
  e->make_state = p.make_state;
}

// e->block stays: fields of a data block are lazy too.
void place_enter_top(Elab *e) {
  Node *block = e->block;
  place_restore(e, (Place){0});
  e->block = block;
}

static Context **context_bucket(const ContextTable *t, const Context *up, const Node *site,
                                int64_t turn) {
  uintptr_t hash = ((uintptr_t)up >> 4) * 31 + ((uintptr_t)site >> 4) * 7 + (uintptr_t)turn;
  return &t->bucket[hash % t->size];
}

static void grow_contexts(Elab *e, ContextTable *t) {
  ContextTable old = *t;
  t->size = old.size ? 4 * old.size + 1 : 1021;
  t->bucket = arena_array(e->s->perm, Context *, t->size);
  for (uint32_t i = 0; i < old.size; i++)
    for (Context *c = old.bucket[i], *next; c; c = next) {
      Context **slot = context_bucket(t, c->up, c->site, c->turn);
      next = c->next;
      c->next = *slot;
      *slot = c;
    }
}

Context *context_in(Elab *e, Context *up, const Node *site, int64_t turn) {
  if (!e->contexts)
    e->contexts = arena_new(e->s->perm, ContextTable);
  if (e->contexts->n >= e->contexts->size)
    grow_contexts(e, e->contexts);
  Context **slot = context_bucket(e->contexts, up, site, turn);
  for (Context *c = *slot; c; c = c->next)
    if (c->up == up && c->site == site && c->turn == turn)
      return c;
  Context *c = arena_new(e->s->perm, Context);
  *c = (Context){.up = up, .site = site, .turn = turn, .next = *slot, .id = ++e->contexts->n};
  return *slot = c;
}

void frame_push(Elab *e, Frame *frame, Node *decl, Node *site, Span call) {
  *frame = (Frame){
      .up = e->frame, .decl = decl, .site = site, .call = call, .depth = frame_depth(e) + 1};
  e->frame = frame;
  if (e->target)
    e->call = ir_loc(e->m, call, e->call, e->inside ? e->inside->path : NULL);
}

// Who pushes also saves and restores the place; this is for those who don't.
void frame_pop(Elab *e) {
  e->frame = e->frame->up;
}

uint32_t frame_depth(const Elab *e) {
  return e->frame ? e->frame->depth : 0;
}

enum { MAX_CALLS = 100 };

// The same call again, of something that was named inside it: Residual(Residual(Dense(4))) names
// its inner layer outside and ends. What is passed to itself is caught by the depth.
bool frame_recursive(const Elab *e, Val f, const Node *decl, const Node *site) {
  for (const Frame *at = e->frame; at; at = at->up)
    if (at->decl == decl && at->site == site && f.depth >= at->depth)
      return true;
  return frame_depth(e) >= MAX_CALLS;
}

LocId elab_loc(Elab *e, Span span) {
  return ir_loc(e->m, span, e->call, e->inside ? e->inside->path : NULL);
}

void at(Elab *e, Span span) {
  if (e->target)
    e->target->b.loc = elab_loc(e, span);
}

bool in_program(Elab *e, Span span) {
  if (!e->target) {
    Diagnostic *d = elab_error(e, span, "not-constant", "this must be known when compiling");
    diag_note(e->s, d, (Span){0},
              "a const, a bound or a size is made of numbers and other consts, not of draws and "
              "tensors: those belong into data, layers and train blocks");
  }
  return e->target != NULL;
}

Builder *building(Elab *e) {
  if (!e->target)
    ice("a value of the program is made while only compile-time values are wanted");
  return &e->target->b;
}

bool is_library(const Elab *e, Span span) {
  return span.file && strncmp(e->s->source.at[span.file].path, "<std>/", 6) == 0;
}

Diagnostic *elab_error(Elab *e, Span span, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *text = arena_vprintf(e->s->perm, format, args);
  va_end(args);
  const Frame *f = e->frame;
  Span library = {0};
  while (is_library(e, span) && f) { // the user's line that led into the library is the place
    if (f->call.file && !is_library(e, f->call)) {
      library = span;
      span = f->call;
      text = arena_printf(e->s->perm, "in %s: %s", f->decl->name, text);
    }
    f = f->up;
  }
  Diagnostic *d = diag_error(e->s, span, code, "%s", text), chain = {0};
  if (library.file)
    diag_note(e->s, &chain, library, "the line of the library");
  for (; f; f = f->up)
    if (f->decl && f->call.file)
      diag_note(e->s, &chain, f->call, "in %s, called from here", f->decl->name);
  if (chain.note)
    buf_push(e->s->perm, &e->chains, (CallChain){d, chain.note, chain.last_note});
  return d;
}

// The calls come after all other notes: once nobody adds any more.
void elab_finish_errors(Elab *e) {
  for (uint32_t i = 0; i < e->chains.n; i++) {
    CallChain *c = &e->chains.at[i];
    if (c->of->last_note)
      c->of->last_note->next = c->first;
    else
      c->of->note = c->first;
    c->of->last_note = c->last;
  }
  e->chains.n = 0;
}
