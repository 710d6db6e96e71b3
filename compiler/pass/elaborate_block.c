// Blocks and statements: let, assignment, yield; compile-time `if`; unrolled `for` (rules 12, 13,
// 40).
#include "pass/elaborate_core.h"

#include <string.h>

// ---- names of patterns ------------------------------------------------------------------------

static bool is_instance(Val v) {
  while (v.kind == V_LIST && v.n)
    v = v.list[0];
  return v.kind == V_INSTANCE;
}

static void bind_one(Elab *e, Scope *scope, Node *name, Val v, bool assignable, bool remember) {
  if (name->kind == N_HOLE)
    return;
  if (!v.span.file)
    v.span = name->span;
  name_instances(e, v, name->name);
  if (assignable)
    scope_add_assignable(e, scope, name->name, v, name->span);
  else
    scope_add(e, scope, name->name, v, name->span);
  if (remember && !is_instance(v)) // y.name is what it gives, not the instance
    app_remember(e, e->app, name->name, v);
}

void wrong_parts(Elab *e, const Node *pattern, const Node *value, Val v) {
  Diagnostic *d = elab_error(e, pattern->span, "wrong-type", "%u names for %s", pattern->list.n,
                             val_text(e, v));
  if (value)
    diag_note(e->s, d, value->span, "the value");
  if (v.kind == V_TENSOR && value && value->kind == N_SCAN)
    diag_note(e->s, d, (Span){0},
              "the value of a scan is what it carries, then what it yields: `yield` stacks one "
              "value of each turn");
  else if (v.kind == V_TENSOR && v.t->type.rank)
    diag_note(e->s, d, (Span){0},
              "it is one tensor, not a tuple: one name takes it, v[0] is its first element");
  else
    diag_note(e->s, d, (Span){0}, "%s",
              v.kind == V_TUPLE || v.kind == V_LIST
                  ? "as many names as values: `_` stands for one that isn't needed"
                  : "it is one value: one name takes it");
}

void bind_pattern(Elab *e, Scope *scope, Node *binding, Val v, bool assignable, bool remember) {
  Node *pattern = binding->kind == N_BINDING ? binding->a : binding;
  if (pattern->kind != N_TUPLE) {
    bind_one(e, scope, pattern, v, assignable, remember);
    return;
  }
  bool parts = (v.kind == V_TUPLE || v.kind == V_LIST) && v.n == pattern->list.n;
  if (!parts && v.kind != V_ERROR)
    wrong_parts(e, pattern, binding->b, v);
  for (uint32_t i = 0; i < pattern->list.n; i++)
    bind_one(e, scope, pattern->list.at[i], parts ? v.list[i] : val_error(), assignable, remember);
}

// The value of `name: type = b`, fitted to its type.
Val binding_value(Elab *e, Scope *scope, Node *binding) {
  Type want;
  bool known = binding->type && type_known(e, scope, binding->type, &want);
  const char *name = binding->a->kind == N_NAME ? binding->a->name : "the value";
  DrawPlace naming = elab_naming(e, binding->a->kind == N_NAME ? name : NULL);
  Val v = elab_expr(e, scope, binding->b, known ? &want : NULL);
  e->naming = naming;
  if (v.kind == V_NONE) {
    Diagnostic *d = elab_error(e, binding->b->span, "wrong-type", "this has no value");
    diag_note(e->s, d, (Span){0}, "%s",
              binding->b->kind == N_IF
                  ? "`if` has a value only with `else`"
                  : "a loop gives what it carries, `with h = x { h = ... }`, and what it yields");
    return val_error();
  }
  // A draw that still waits for its shape is drawn once, for all uses of the name.
  Fit fit = {
      .name = name, .from = "this", .span = binding->b->span, .declared = true, .fill = true};
  return fit_type(e, scope, binding->type, v, &fit);
}

void elab_let(Elab *e, Scope *scope, Node *let) {
  for (uint32_t i = 0; i < let->list.n; i++) {
    Node *binding = let->list.at[i];
    if (binding->kind == N_BINDING)
      bind_pattern(e, scope, binding, binding_value(e, scope, binding), false, true);
  }
}

// ---- assignment -------------------------------------------------------------------------------

// outside: a scan lies between here and what is found.
static Entry *find_assigned(Scope *scope, const char *name, bool *outside) {
  *outside = false;
  for (; scope; scope = scope->parent) {
    Entry *n = scope_own(scope, name);
    if (n)
      return n;
    *outside |= scope->is_loop;
  }
  return NULL;
}

// Of an argument `where` is what was given for it.
static Span declared_at(Elab *e, const Entry *n) {
  const Node *decl = e->frame ? e->frame->decl : NULL;
  for (uint32_t i = 0; decl && i < decl->params.n + decl->params2.n; i++) {
    const Node *p = i < decl->params.n ? decl->params.at[i] : decl->params2.at[i - decl->params.n];
    if (p->name == n->name && n->constant)
      return p->span;
  }
  return n->where;
}

static void assign_one(Elab *e, Scope *scope, Node *name, Val v) {
  if (name->kind == N_HOLE)
    return;
  if (name->kind != N_NAME) {
    elab_error(e, name->span, "not-assignable", "only a name can be assigned");
    return;
  }
  bool outside;
  Entry *n = find_assigned(scope, name->name, &outside);
  if (n && outside && n->assignable) {
    Diagnostic *d = elab_error(e, name->span, "not-assignable",
                               "`%s` is not carried by this `scan`", name->name);
    diag_note(e->s, d, n->where, "it is carried here");
    diag_note(e->s, d, (Span){0}, "carry it: `scan ... with %s = %s { ... }`", name->name,
              name->name);
    return;
  }
  if (!n) {
    Diagnostic *d =
        elab_error(e, name->span, "unknown-name", "there is no `%s` to assign", name->name);
    diag_note(e->s, d, (Span){0}, "a new name is made by `let %s = ...`", name->name);
    scope_add(e, scope, name->name, val_error(), name->span);
    return;
  }
  if (!n->assignable) {
    Diagnostic *d =
        elab_error(e, name->span, "not-assignable", "`%s` can't be assigned", name->name);
    Span declared = declared_at(e, n);
    if (declared.file)
      diag_note(e->s, d, declared, "declared here");
    if (n->is_param)
      diag_note(e->s, d, (Span){0},
                "training alone changes a parameter; what a layer itself changes is a state: "
                "`state %s: ... = ...`",
                name->name);
    else
      diag_note(
          e->s, d, (Span){0},
          "it keeps its value: a loop hands a value on by `with %s = %s`, elsewhere `let` gives "
          "the new one a name of its own",
          name->name, name->name);
    return;
  }
  if (!v.span.file)
    v.span = name->span;
  n->val = state_assign(e, name->name, n->val, v, name->span);
}

static void assign(Elab *e, Scope *scope, Node *stmt) {
  Val v = elab_expr(e, scope, stmt->b, NULL);
  if (stmt->a->kind != N_TUPLE) {
    assign_one(e, scope, stmt->a, v);
    return;
  }
  bool parts = v.kind == V_TUPLE && v.n == stmt->a->list.n;
  if (!parts && v.kind != V_ERROR)
    wrong_parts(e, stmt->a, stmt->b, v);
  for (uint32_t i = 0; i < stmt->a->list.n; i++)
    assign_one(e, scope, stmt->a->list.at[i], parts ? v.list[i] : val_error());
}

static void yield(Elab *e, Scope *scope, Node *stmt) {
  Val v = elab_expr(e, scope, stmt->a, NULL);
  if (!e->yields)
    diag_note(e->s, elab_error(e, stmt->span, "misplaced", "`yield` stands in a loop"), (Span){0},
              "the value of a layer or function is its last line, without `yield`");
  else
    buf_push(e->s->perm, &e->yields->item, v);
}

void unused_turn(Elab *e, const Node *body, Val v) {
  if (v.kind == V_NONE || v.kind == V_ERROR)
    return;
  const Node *last = body->list.at[body->list.n - 1];
  Diagnostic *d = elab_error(e, last->span, "unused-value", "this value is not used");
  diag_note(e->s, d, (Span){0},
            "a turn of a loop gives something by `yield`, or hands it on: "
            "... with h = x { h = ... }");
}

static void unused_value(Elab *e, Node *stmt, Val v) {
  if (v.kind == V_NONE || v.kind == V_ERROR)
    return;
  Diagnostic *d = elab_error(e, stmt->span, "unused-value", "this value is not used");
  diag_note(e->s, d, (Span){0},
            "only the last line of a block may be a bare value: did the line above end "
            "too early?");
}

Val elab_block(Elab *e, Scope *outer, Node *block, const Type *want) {
  Scope *scope = scope_new(e, outer);
  Val last = val_kind(V_NONE);
  for (uint32_t i = 0; i < block->list.n; i++) {
    Node *stmt = block->list.at[i];
    bool is_last = i + 1 == block->list.n;
    last = val_kind(V_NONE);
    switch ((int)stmt->kind) {
    case N_LET:
      elab_let(e, scope, stmt);
      break;
    case N_PARAM:
      param_statement(e, scope, stmt);
      break;
    case N_STATE:
      state_statement(e, scope, stmt);
      break;
    case N_ASSIGN:
      assign(e, scope, stmt);
      break;
    case N_YIELD:
      yield(e, scope, stmt);
      break;
    default:
      last = elab_expr(e, scope, stmt, is_last ? want : NULL);
      if (!is_last && last.kind == V_ERROR)
        return last; // what `assert` asked for does not hold: the rest may rely on it
      if (!is_last)
        unused_value(e, stmt, last);
    }
  }
  return last;
}

// ---- if ---------------------------------------------------------------------------------------

// A config that a condition names, or NULL.
static const Entry *config_in(Scope *scope, const Node *n) {
  if (!n)
    return NULL;
  Entry *found = n->kind == N_NAME ? scope_find(scope, n->name) : NULL;
  if (found && found->val.kind == V_CONFIG)
    return found;
  const Entry *left = n->kind == N_BINARY || n->kind == N_UNARY ? config_in(scope, n->a) : NULL;
  return left || n->kind != N_BINARY ? left : config_in(scope, n->b);
}

Val if_expr(Elab *e, Scope *scope, Node *node, const Type *want) {
  Val c = elab_expr(e, scope, node->a, NULL);
  if (c.kind == V_ERROR)
    return c;
  if (c.kind != V_BOOL) {
    Diagnostic *d = elab_error(e, node->a->span, "not-constant",
                               "`if` needs a condition known when compiling, found %s",
                               c.kind == V_TENSOR && c.t->type.elem == TY_BOOL
                                   ? "one that is computed when the program runs"
                                   : val_text(e, c));
    const Entry *config = config_in(scope, node->a);
    if (config)
      diag_note(e->s, d, config->where,
                "a config is only known when the program runs: make it `const`");
    if (c.kind == V_TENSOR)
      diag_note(e->s, d, (Span){0}, "select(condition, a, b) chooses between values");
    else
      diag_note(e->s, d, (Span){0}, "a condition is true or false, as comparisons are: n == 1");
    return val_error();
  }
  Node *branch = c.i ? node->b : node->c;
  if (!branch)
    return val_kind(V_NONE);
  Val v = branch->kind == N_BLOCK ? elab_block(e, scope, branch, want)
                                  : elab_expr(e, scope, branch, want);
  return node->c ? v : val_kind(v.kind == V_ERROR ? V_ERROR : V_NONE);
}

// ---- for --------------------------------------------------------------------------------------

enum { MAX_TURNS = 10000, MAX_CONTEXTS = 200000 };

// What the loop goes over, as a list.
static bool turns_of(Elab *e, Scope *scope, Node *node, Val *out) {
  Val from = elab_expr(e, scope, node->b, NULL);
  if (from.kind == V_ERROR)
    return false;
  if (node->c) {
    int64_t a, b;
    if (!elab_int(e, from, "the first bound", node->b->span, &a) ||
        !elab_int(e, elab_expr(e, scope, node->c, NULL), "the second bound", node->c->span, &b))
      return false;
    if (b - a > MAX_TURNS) {
      elab_error(e, node->span, "too-large", "%lld turns; `for` is unrolled, at most %d",
                 (long long)(b - a), MAX_TURNS);
      return false;
    }
    uint32_t n = b > a ? (uint32_t)(b - a) : 0;
    *out = (Val){.kind = V_LIST, .n = n, .list = arena_array(e->s->perm, Val, n + 1)};
    for (uint32_t i = 0; i < n; i++)
      out->list[i] = val_int(a + i);
    return true;
  }
  if (from.kind == V_LIST || from.kind == V_TUPLE)
    return *out = from, true;
  if (from.kind != V_TENSOR || !from.t->type.rank) {
    elab_error(e, node->b->span, "wrong-type",
               "`for` goes over numbers (0..n), a list or the first axis of "
               "a tensor, found %s",
               val_text(e, from));
    return false;
  }
  const Type *t = &from.t->type;
  *out = (Val){.kind = V_LIST, .n = (uint32_t)t->dim[0]};
  out->list = arena_array(e->s->perm, Val, out->n + 1);
  for (uint32_t i = 0; i < out->n; i++) {
    at(e, node->b->span);
    Value *row = slice_axis(e, from.t, 0, i, i + 1);
    out->list[i] = val_tensor(ir_reshape(building(e), row, t->dim + 1, t->rank - 1u));
  }
  return true;
}

static void add_carries(Elab *e, Scope *scope, Scope *loop, Node *node) {
  for (uint32_t i = 0; i < node->list.n; i++)
    bind_pattern(e, loop, node->list.at[i], binding_value(e, scope, node->list.at[i]), true, false);
}

// The values of the carries in order, then the yields.
static Val loop_value(Elab *e, Scope *loop, Yields *yields, bool yielded) {
  BUF(Val) out = {0};
  for (Entry *n = loop->first; n; n = n->next)
    buf_push(e->s->perm, &out, n->val);
  if (yielded)
    buf_push(e->s->perm, &out, val_tuple(e, V_LIST, yields->item.at, yields->item.n));
  if (out.n == 0)
    return val_kind(V_NONE);
  return out.n == 1 ? out.at[0] : val_tuple(e, V_TUPLE, out.at, out.n);
}

static bool has_yield(const Node *block) {
  for (uint32_t i = 0; block && i < block->list.n; i++) {
    const Node *stmt = block->list.at[i];
    if (stmt->kind == N_YIELD || (stmt->kind == N_IF && (has_yield(stmt->b) || has_yield(stmt->c))))
      return true;
  }
  return block && block->kind == N_IF && (has_yield(block->b) || has_yield(block->c));
}

Val for_expr(Elab *e, Scope *scope, Node *node) {
  Val turns;
  Scope *loop = scope_new(e, scope);
  bool ok = turns_of(e, scope, node, &turns);
  add_carries(e, scope, loop, node);
  Yields yields = {0}, *outer_yields = e->yields;
  Context *outer = e->context;
  uint32_t errors = e->s->n_error;
  e->yields = &yields;
  for (uint32_t i = 0; ok && i < turns.n && e->s->n_error == errors; i++) {
    e->context = context_in(e, outer, node, i);
    if (e->context->id > MAX_CONTEXTS) {
      elab_error(e, node->span, "too-large", "more than %d turns; `for` is unrolled when compiling",
                 MAX_CONTEXTS);
      break;
    }
    Scope *turn = scope_new(e, loop);
    bind_pattern(e, turn, node->a, turns.list[i], false, false);
    Val v = elab_block(e, turn, node->body, NULL);
    unused_turn(e, node->body, v);
  }
  e->context = outer;
  e->yields = outer_yields;
  if (!ok || e->s->n_error > errors)
    return val_error();
  return loop_value(e, loop, &yields, has_yield(node->body));
}
