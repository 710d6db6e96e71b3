// Expressions: one function over the kinds of nodes, names, and the change from what is known when
// compiling to tensors.
#include "foreign.h"
#include "pass/elaborate_core.h"

#include <string.h>

// ---- names ------------------------------------------------------------------------------------

// Names that mean something without being declared.
static bool special_name(Elab *e, const char *name, Span span, Val *out) {
  if (strcmp(name, "training") == 0)
    return *out = (Val){.kind = V_BOOL, .i = elab_training(e)}, true;
  bool step = strcmp(name, "step") == 0;
  if (!step && strcmp(name, "epoch") != 0)
    return false;
  if (e->inside) {
    Diagnostic *d = elab_error(e, span, "misplaced", "`%s` does not exist inside layers", name);
    diag_note(e->s, d, (Span){0}, "pass it as an argument");
    return *out = val_error(), true;
  }
  if (!e->target)
    return false;
  return *out = val_tensor(step ? target_step(e->target) : target_epoch(e->target)), true;
}

// What is forgotten once is missing everywhere; that is one mistake.
static bool said_unknown(const Elab *e, const char *name) {
  const char *text = arena_printf(e->s->perm, "there is no `%s`", name);
  for (uint32_t i = 0; i < e->s->diag.n; i++)
    if (strcmp(e->s->diag.at[i]->text, text) == 0)
      return true;
  return false;
}

Val unknown_name(Elab *e, Scope *scope, const char *name, Span span) {
  const char *module = module_with(e, name), *advice = foreign_name(name), *near = NULL;
  if ((module || advice) && said_unknown(e, name))
    return val_error();
  Diagnostic *d = elab_error(e, span, "unknown-name", "there is no `%s`", name);
  const char *const *names;
  uint32_t n = scope_names(e, scope, &names);
  if (module)
    diag_note(e->s, d, (Span){0}, "std.%s has it: `use std.%s: %s`", module, module, name);
  else if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else if (note_elsewhere(e, d, name))
    return val_error();
  else if ((near = nearest_name(name, names, n)))
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else
    note_fields(e, d);
  return val_error();
}

// A run-time scalar, where there is a program to run; elsewhere it stays V_CONFIG and its user
// complains.
static Val config_value(Elab *e, Val v) {
  if (!e->target)
    return v;
  Val r = val_tensor(elab_config(e, (uint32_t)v.i));
  r.span = v.span;
  r.config = (uint32_t)v.i + 1;
  return r;
}

Val elab_name(Elab *e, Scope *scope, const char *name, Span span) {
  Entry *n = scope_find(scope, name);
  if (n) {
    Val v = entry_value(e, n);
    if (n->top)
      v.depth = frame_depth(e);
    return v.kind == V_CONFIG ? config_value(e, v) : v;
  }
  Val v;
  if (special_name(e, name, span, &v))
    return v;
  const Builtin *b = builtin_find(e, name);
  if (!b)
    return unknown_name(e, scope, name, span);
  if (b->is_draw)
    return draw_leaf(e, b->name, span);
  if (b->is_mode)
    return (Val){.kind = V_STRING, .s = b->name};
  return (Val){.kind = V_FUNCTION, .builtin = b};
}

// A bare name of a layer or model with one list of parameters is an instance (rule 5). node:
// N_NAME, or N_MEMBER of a module whose scope is given.
Val name_expr(Elab *e, Scope *scope, Node *node) {
  Val v = elab_name(e, scope, node->name, node->span);
  bool layer = v.kind == V_FUNCTION && !v.builtin && v.decl->kind != N_FN && !v.decl->has_params2;
  return layer ? instance_at(e, v, node) : v;
}

// ---- to tensors -------------------------------------------------------------------------------

static bool all_numbers(Val v, Type *shape, uint32_t depth) {
  if (is_number(v) || v.kind == V_BOOL)
    return depth == shape->rank;
  if (v.kind != V_LIST || depth >= MAX_RANK || v.n == 0)
    return false;
  if (depth == shape->rank)
    shape->dim[shape->rank++] = v.n;
  if (shape->dim[depth] != (Dim)v.n)
    return false;
  for (uint32_t i = 0; i < v.n; i++)
    if (!all_numbers(v.list[i], shape, depth + 1))
      return false;
  return true;
}

static void copy_numbers(Val v, double **out) {
  if (v.kind != V_LIST) {
    *(*out)++ = v.kind == V_BOOL ? (double)v.i : number_of(v);
    return;
  }
  for (uint32_t i = 0; i < v.n; i++)
    copy_numbers(v.list[i], out);
}

static bool first_is_bool(Val v) {
  while (v.kind == V_LIST && v.n)
    v = v.list[0];
  return v.kind == V_BOOL;
}

// all_numbers fixes the rank by the first path down; ragged lists fail.
static Value *literal_tensor(Elab *e, Val v, const Type *want, Span span) {
  Type type = {.elem = first_is_bool(v) ? TY_BOOL : TY_F32};
  for (Val deep = v; deep.kind == V_LIST && deep.n && type.rank < MAX_RANK; deep = deep.list[0])
    type.dim[type.rank++] = deep.n;
  if (!all_numbers(v, &type, 0))
    return NULL;
  if (want && want->elem == TY_I32) {
    type.elem = TY_I32;
    type.range = want->range;
  }
  Tensor *data = tensor_new(e->m->arena, type, 0);
  double *out = data->at;
  copy_numbers(v, &out);
  for (int64_t i = 0; type.elem == TY_I32 && i < data->count; i++)
    if (data->at[i] != (double)(int64_t)data->at[i] ||
        (type.range && (data->at[i] < 0 || data->at[i] >= (double)type.range))) {
      elab_error(e, span, "out-of-range", "%g is not one of the %lld values of the index",
                 data->at[i], (long long)type.range);
      return NULL;
    }
  at(e, span);
  return ir_literal(building(e), data);
}

// [a, b]: tensors of one shape, side by side along a new first axis.
static Value *stacked(Elab *e, Val v, const Type *want, Span span) {
  Val *part = arena_array(e->s->perm, Val, v.n + 1);
  Value **row = arena_array(e->s->perm, Value *, v.n + 1);
  Type elem = want ? (Type){.elem = want->elem, .range = want->range} : type_scalar(TY_F32);
  for (uint32_t i = 0; i < v.n; i++) {
    Value *t = elab_tensor(e, v.list[i], &elem, span);
    if (!t)
      return NULL;
    part[i] = val_tensor(t);
    if (i &&
        (!type_same_shape(&t->type, &part[0].t->type) || t->type.elem != part[0].t->type.elem)) {
      Diagnostic *d = elab_error(e, span, "shape-mismatch",
                                 "the elements of an array must be alike, found %s and %s",
                                 val_text(e, part[0]), val_text(e, part[i]));
      note_origins(e, d, (Val[]){v.list[0], v.list[i]}, 2, span);
      diag_note(e->s, d, (Span){0},
                "`concat([a, b])` joins vectors of different lengths; inputs are given one by one");
      return NULL;
    }
    Dim dims[MAX_RANK + 1] = {1};
    if (t->type.rank == MAX_RANK) {
      elab_error(e, span, "too-large", "more than %d axes", MAX_RANK);
      return NULL;
    }
    memcpy(dims + 1, t->type.dim, sizeof *dims * t->type.rank);
    at(e, span);
    row[i] = ir_reshape(building(e), t, dims, t->type.rank + 1u);
  }
  if (v.n == 1)
    return row[0];
  return ir_inst(building(e), OP_concat, row, v.n, (Attr[]){attr_int(0)}, 1)->result[0];
}

static Value *constant(Elab *e, Val v, const Type *want, Span span) {
  Type type = want ? *want : type_scalar(v.kind == V_BOOL ? TY_BOOL : TY_F32);
  type.batched = false;
  if ((v.kind == V_BOOL) != (type.elem == TY_BOOL)) {
    elab_error(e, span, "wrong-type", "%s is wanted, found %s", type_user_text(e, &type),
               val_text(e, v));
    return NULL;
  }
  double x = v.kind == V_BOOL ? (double)v.i : number_of(v);
  if (type.elem == TY_I32 && v.kind != V_INT) {
    elab_error(e, span, "wrong-type", "a whole number is wanted, found %s", val_text(e, v));
    return NULL;
  }
  at(e, span);
  return ir_const(building(e), type, x);
}

static Value *no_shape(Elab *e, Val v, Span span) {
  Diagnostic *d =
      elab_error(e, span, "no-shape", "how many? The shape of this draw is not known here");
  bool elsewhere =
      v.kind == V_SHAPELESS && (v.draw->span.start != span.start || v.draw->span.file != span.file);
  if (elsewhere)
    diag_note(e->s, d, v.draw->span, "drawn here");
  if (v.kind == V_SHAPELESS && v.draw->draw)
    diag_note(e->s, d, (Span){0}, "write %s[150] for a vector, %s[] for one number", v.draw->draw,
              v.draw->draw);
  else
    diag_note(e->s, d, (Span){0}, "write the shape of one of the draws: normal[150], or normal[]");
  return NULL;
}

Value *elab_tensor(Elab *e, Val v, const Type *want, Span span) {
  switch ((int)v.kind) {
  case V_ERROR:
    return NULL;
  case V_TENSOR:
    if (e->target && v.t->region->fn != e->target->fn) {
      Diagnostic *d = elab_error(e, span, "initial-value",
                                 "an initial value can't be made of this %s, which is only known "
                                 "when the program runs",
                                 val_text(e, v));
      diag_note(e->s, d, v.span, "it is computed here");
      diag_note(e->s, d, (Span){0},
                "an initial value is made of numbers, configs and draws, before there is data");
      return NULL;
    }
    return v.t;
  }
  bool made = is_number(v) || v.kind == V_BOOL || v.kind == V_LIST || is_shapeless(v) ||
              is_initialiser(v); // a tensor can be made of it
  if (made && !in_program(e, span))
    return NULL;
  switch ((int)v.kind) {
  case V_INT:
  case V_FLOAT:
  case V_BOOL:
    return constant(e, v, want, span);
  case V_LIST: {
    uint32_t errors = e->s->n_error;
    Value *t = literal_tensor(e, v, want, span);
    if (t || e->s->n_error > errors)
      return t;
    if (v.n)
      return stacked(e, v, want, span);
    break;
  }
  case V_SHAPELESS:
    return want ? draw_make(e, v, want, span) : no_shape(e, v, span);
  case V_FUNCTION:
    if (is_initialiser(v))
      return want ? draw_make(e, v, want, span) : no_shape(e, v, span);
  }
  Diagnostic *d = elab_error(e, span, "wrong-type", "a tensor is wanted, found %s", val_text(e, v));
  note_uncalled(e, d, v, span);
  if (v.kind == V_TUPLE)
    diag_note(e->s, d, (Span){0},
              "x[0] is the first of them, `let (a, b) = ...` names each; a loop gives its carries, "
              "then what was yielded");
  if (v.kind == V_DATA)
    diag_note(e->s, d, (Span){0},
              "data are named after `on`; how many rows there are is a figure: `report rows = "
              "total(1)`");
  return NULL;
}

// ---- to numbers -------------------------------------------------------------------------------

static void not_constant(Elab *e, Val v, const char *what, const char *wanted, Span span) {
  if (v.kind == V_ERROR)
    return;
  Diagnostic *d =
      elab_error(e, span, "not-constant", "%s must be %s known when compiling, found %s", what,
                 wanted, val_text(e, v));
  if (v.kind == V_CONFIG || v.config)
    diag_note(e->s, d, v.span, "a config is only known when the program runs: make it `const`");
  else if (v.kind == V_TENSOR) {
    note_origins(e, d, &v, 1, span);
    diag_note(e->s, d, (Span){0},
              "sizes, counts and settings are the same in every run: a number, a `const`, or a "
              "size of the input's type");
  }
}

bool elab_int(Elab *e, Val v, const char *what, Span span, int64_t *out) {
  if (v.kind == V_INT)
    return *out = v.i, true;
  not_constant(e, v, what, "a whole number", span);
  return false;
}

bool elab_number(Elab *e, Val v, const char *what, Span span, double *out) {
  if (is_number(v))
    return *out = number_of(v), true;
  not_constant(e, v, what, "a number", span);
  return false;
}

// ---- expressions ------------------------------------------------------------------------------

static Val list_expr(Elab *e, Scope *scope, Node *node, const Type *want, ValKind kind) {
  Val *list = arena_array(e->s->perm, Val, node->list.n + 1);
  Type part;
  const Type *inner = NULL;
  if (want && want->rank && kind == V_LIST) {
    part = *want;
    part.rank--;
    memmove(part.dim, part.dim + 1, sizeof *part.dim * part.rank);
    inner = &part;
  }
  bool bad = false;
  for (uint32_t i = 0; i < node->list.n; i++) {
    list[i] = elab_expr(e, scope, node->list.at[i], inner);
    bad |= list[i].kind == V_ERROR;
  }
  return bad ? val_error() : val_tuple(e, kind, list, node->list.n);
}

static Val binary_expr(Elab *e, Scope *scope, Node *node, const Type *want) {
  const Type *hint = node->op == '@' ? NULL : want;
  Val a = elab_expr(e, scope, node->a, hint), b = elab_expr(e, scope, node->b, hint);
  if (is_initialiser(a))
    a = draw_op(e, '+', 0, (Val[]){a, val_float(0)}, 2, node->a->span);
  if (is_initialiser(b))
    b = draw_op(e, '+', 0, (Val[]){b, val_float(0)}, 2, node->b->span);
  if (a.kind == V_CONFIG || b.kind == V_CONFIG) {
    int64_t n;
    elab_int(e, a.kind == V_CONFIG ? a : b, "this",
             a.kind == V_CONFIG ? node->a->span : node->b->span, &n);
    return val_error();
  }
  return arith_binary(e, node->op, a, b, node->span, node->a->span, node->b->span);
}

static Val expression(Elab *e, Scope *scope, Node *node, const Type *want) {
  Val v;
  switch ((int)node->kind) {
  case N_INT:
    return val_int(node->ival);
  case N_FLOAT:
    return val_float(node->fval);
  case N_BOOL:
    return (Val){.kind = V_BOOL, .i = node->ival};
  case N_STRING:
    return (Val){.kind = V_STRING, .s = node->name};
  case N_NAME:
    return name_expr(e, scope, node);
  case N_TUPLE:
    return list_expr(e, scope, node, want, V_TUPLE);
  case N_ARRAY:
    return list_expr(e, scope, node, want, V_LIST);
  case N_UNARY:
    return arith_unary(e, node->op, elab_expr(e, scope, node->a, want), node->span);
  case N_BINARY:
    return binary_expr(e, scope, node, want);
  case N_CALL:
    return elab_data_step(e, scope, node, &v) ? v : call_expr(e, scope, node, want);
  case N_PIPE:
    return elab_data_step(e, scope, node, &v) ? v : pipe_expr(e, scope, node, want);
  case N_INDEX:
    return index_expr(e, scope, node, want);
  case N_MEMBER:
    return member_expr(e, scope, node, want);
  case N_BLOCK:
    return elab_block(e, scope, node, want);
  case N_IF:
    return if_expr(e, scope, node, want);
  case N_FOR:
    return for_expr(e, scope, node);
  case N_SCAN:
    return scan_expr(e, scope, node);
  case N_ERROR:
    return val_error();
  }
  elab_error(e, node->span, "misplaced", "this can't stand here");
  return val_error();
}

Val elab_expr(Elab *e, Scope *scope, Node *expr, const Type *want) {
  if (expr->kind == N_CALL || expr->kind == N_INDEX || expr->kind == N_MEMBER)
    at(e, expr->span);
  Val v = expression(e, scope, expr, want);
  if (!v.span.file)
    v.span = expr->span;
  return v;
}
