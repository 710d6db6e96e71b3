// x[...]: constants, ranges, `..`, new axes, an index value; and x.name.
#include "foreign.h"
#include "pass/elaborate_core.h"

#include <string.h>

Value *slice_axis(Elab *e, Value *x, uint32_t axis, Dim start, Dim limit) {
  const Type *t = &x->type;
  if (start == 0 && limit == t->dim[axis])
    return x;
  Dim from[MAX_RANK] = {0}, to[MAX_RANK], stride[MAX_RANK];
  for (uint32_t i = 0; i < t->rank; i++) {
    to[i] = t->dim[i];
    stride[i] = 1;
  }
  from[axis] = start;
  to[axis] = limit;
  Arena *arena = e->m->arena;
  Attr attr[] = {attr_dims(arena, from, t->rank), attr_dims(arena, to, t->rank),
                 attr_dims(arena, stride, t->rank)};
  return ir_inst(building(e), OP_slice, &x, 1, attr, 3)->result[0];
}

static Value *drop_axis(Elab *e, Value *x, uint32_t axis) {
  Dim dims[MAX_RANK];
  uint32_t n = 0;
  for (uint32_t i = 0; i < x->type.rank; i++)
    if (i != axis)
      dims[n++] = x->type.dim[i];
  return ir_reshape(building(e), x, dims, n);
}

// ---- by an index value ------------------------------------------------------------------------

// sum(select(i == k, x, 0)) over axis k: the row of x, as products would pick it.
static Value *pick_row(Elab *e, Value *x, Value *i, uint32_t axis) {
  Builder *b = building(e);
  Type wide = x->type;
  wide.elem = TY_I32;
  wide.batched = false;
  Attr attr[] = {attr_dims(e->m->arena, wide.dim, wide.rank), attr_int(axis), attr_elem(TY_I32)};
  Value *numbers = ir_inst(b, OP_iota, NULL, 0, attr, 3)->result[0];
  Value *which = ir_broadcast(b, i, NULL, wide);
  Type zero = x->type;
  zero.batched = false;
  Value *kept = ir_select(b, ir_binary(b, OP_eq, numbers, which), x, ir_const(b, zero, 0));
  return ir_sum(b, kept, &axis, 1);
}

static bool check_range(Elab *e, const Type *x, uint32_t axis, const Type *i, Span span) {
  if (i->range && i->range == x->dim[axis])
    return true;
  Diagnostic *d;
  if (!i->range)
    d = elab_error(e, span, "wrong-type",
                   "an axis is indexed by a number known when compiling or by an index value, "
                   "found %s",
                   type_user_text(e, i));
  else
    d = elab_error(e, span, "range-mismatch", "%s picks from %lld, but this axis of %s has %lld",
                   type_user_text(e, i), (long long)i->range, type_user_text(e, x),
                   (long long)x->dim[axis]);
  diag_note(e->s, d, (Span){0}, "a field declared index<%lld> picks from this axis",
            (long long)x->dim[axis]);
  return false;
}

static Val index_axis(Elab *e, Value *x, uint32_t axis, Value *i, Span span) {
  if (!check_range(e, &x->type, axis, &i->type, span))
    return val_error();
  at(e, span);
  if (i->type.rank == 0 && (x->type.batched || axis > 0 || x->type.rank == 1) &&
      x->type.elem == TY_F32)
    return val_tensor(pick_row(e, x, i, axis));
  if (axis != 0 || x->type.batched) {
    elab_error(e, span, "not-yet",
               "indexing a computed tensor by an array of indices is not supported yet");
    return val_error();
  }
  Type result;
  const char *wrong = ir_check(e->m, OP_gather, (Value *[]){x, i}, 2, NULL, 0, &result);
  if (wrong) {
    elab_error(e, span, "shape-mismatch", "%s", wrong);
    return val_error();
  }
  return val_tensor(ir_inst(building(e), OP_gather, (Value *[]){x, i}, 2, NULL, 0)->result[0]);
}

Val index_take(Elab *e, Value *x, Value *i, Span span) {
  return index_axis(e, x, 0, i, span);
}

// ---- by what is known when compiling ----------------------------------------------------------

// A bound or position: negative ones count from the end.
static bool position(Elab *e, Scope *scope, Node *item, Dim size, Dim most, const char *what,
                     Dim *out) {
  if (!elab_int(e, elab_expr(e, scope, item, NULL), what, item->span, out))
    return false;
  Dim k = *out < 0 ? *out + size : *out;
  if (k >= 0 && k <= most) {
    *out = k;
    return true;
  }
  Diagnostic *d =
      elab_error(e, item->span, "out-of-range", "%s %lld is outside: this axis has %lld", what,
                 (long long)*out, (long long)size);
  diag_note(e->s, d, (Span){0},
            "places are counted from 0, and an end is the place behind it: "
            "x[0..%lld] is all of them",
            (long long)size);
  return false;
}

static bool range_bounds(Elab *e, Scope *scope, Node *item, Dim size, Dim *from, Dim *to) {
  *from = 0;
  *to = size;
  if (item->a && !position(e, scope, item->a, size, size, "the start", from))
    return false;
  if (item->b && !position(e, scope, item->b, size, size, "the end", to))
    return false;
  if (*from < *to)
    return true;
  Diagnostic *d = elab_error(e, item->span, "out-of-range", "nothing lies between %lld and %lld",
                             (long long)*from, (long long)*to);
  diag_note(e->s, d, (Span){0}, "a range goes up, without its end, within 0..%lld: x[0..2] is two",
            (long long)size);
  return false;
}

typedef struct {
  Elab *e;
  Scope *scope;
  Value *x;
  uint32_t axis;
  uint8_t ones;
} Walk;

static bool new_axis(Walk *w, Node *item) {
  Dim dims[MAX_RANK + 1];
  if (w->x->type.rank == MAX_RANK) {
    elab_error(w->e, item->span, "too-large", "more than %d axes", MAX_RANK);
    return false;
  }
  uint32_t n = 0;
  for (uint32_t i = 0; i <= w->x->type.rank; i++) {
    if (i == w->axis)
      dims[n++] = 1;
    if (i < w->x->type.rank)
      dims[n++] = w->x->type.dim[i];
  }
  w->x = ir_reshape(building(w->e), w->x, dims, n);
  w->ones |= (uint8_t)(1u << w->axis++);
  return true;
}

static bool take_range(Walk *w, Node *item) {
  Dim from, to;
  if (!range_bounds(w->e, w->scope, item, w->x->type.dim[w->axis], &from, &to))
    return false;
  w->x = slice_axis(w->e, w->x, w->axis++, from, to);
  return true;
}

static bool take_one(Walk *w, Node *item) {
  Elab *e = w->e;
  Val v = elab_expr(e, w->scope, item, NULL);
  if (v.kind == V_ERROR)
    return false;
  at(e, item->span);
  if (v.kind == V_TENSOR) {
    Val r = index_axis(e, w->x, w->axis, v.t, item->span);
    if (r.kind == V_ERROR)
      return false;
    w->axis += v.t->type.rank;
    w->x = r.t;
    return true;
  }
  Dim size = w->x->type.dim[w->axis], k;
  if (!elab_int(e, v, "a position", item->span, &k))
    return false;
  if (k < -size || k >= size) {
    Diagnostic *d = elab_error(e, item->span, "out-of-range",
                               "position %lld is outside: this axis of %s has %lld", (long long)k,
                               type_user_text(e, &w->x->type), (long long)size);
    diag_note(e->s, d, (Span){0}, "positions are 0 to %lld, or -1, the last, to -%lld",
              (long long)size - 1, (long long)size);
    return false;
  }
  k = k < 0 ? k + size : k;
  w->x = drop_axis(e, slice_axis(e, w->x, w->axis, k, k + 1), w->axis);
  return true;
}

static Val index_tensor(Elab *e, Scope *scope, Node *node, Value *x, Span from) {
  uint32_t used = 0, rest = 0;
  for (uint32_t i = 0; i < node->list.n; i++) {
    used += node->list.at[i]->kind != N_DIM_REST && node->list.at[i]->kind != N_HOLE;
    rest += node->list.at[i]->kind == N_DIM_REST;
  }
  if (used > x->type.rank || rest > 1) {
    Diagnostic *d = elab_error(
        e, node->span, "shape-mismatch",
        x->type.rank ? "%s has %u ax%s, but %u ind%s given" : "%s is one value, without axes",
        type_user_text(e, &x->type), x->type.rank, x->type.rank == 1 ? "is" : "es", used,
        used == 1 ? "ex is" : "ices are");
    diag_note(e->s, d, from, "it comes from here");
    bool row = node->a->kind == N_NAME && strcmp(node->a->name, "row") == 0 && !x->type.rank;
    diag_note(e->s, d, (Span){0},
              row ? "rows that are generated have no values: `row` is the number of the row"
                  : "the batch is no axis: a field is indexed in one example");
    return val_error();
  }
  Walk w = {.e = e, .scope = scope, .x = x};
  for (uint32_t i = 0; i < node->list.n; i++) {
    Node *item = node->list.at[i];
    at(e, node->span);
    bool ok = true;
    if (item->kind == N_DIM_REST)
      w.axis += x->type.rank - used;
    else if (item->kind == N_HOLE)
      ok = new_axis(&w, item);
    else
      ok = item->kind == N_RANGE ? take_range(&w, item) : take_one(&w, item);
    if (!ok)
      return val_error();
  }
  Val r = val_tensor(w.x);
  r.ones = w.ones;
  return r;
}

static Val index_list(Elab *e, Scope *scope, Node *node, Val list) {
  if (node->list.n != 1 || node->list.at[0]->kind == N_HOLE ||
      node->list.at[0]->kind == N_DIM_REST) {
    at(e, node->span);
    Value *t = elab_tensor(e, list, NULL, node->span);
    return t ? index_tensor(e, scope, node, t, list.span) : val_error();
  }
  Node *item = node->list.at[0];
  Dim from, to;
  if (item->kind == N_RANGE) {
    if (!range_bounds(e, scope, item, list.n, &from, &to))
      return val_error();
    return val_tuple(e, list.kind, list.list + from, (uint32_t)(to - from));
  }
  Val i = elab_expr(e, scope, item, NULL);
  if (i.kind == V_TENSOR) {
    Value *t = elab_tensor(e, list, NULL, node->span);
    return t ? index_axis(e, t, 0, i.t, node->span) : val_error();
  }
  if (!elab_int(e, i, "a position", item->span, &from))
    return val_error();
  if (from < -(Dim)list.n || from >= (Dim)list.n) {
    Diagnostic *d =
        elab_error(e, item->span, "out-of-range", "position %lld is outside: there are %u elements",
                   (long long)from, list.n);
    diag_note(e->s, d, (Span){0}, "positions are counted from 0, -1 is the last");
    return val_error();
  }
  return list.list[from < 0 ? from + (Dim)list.n : from];
}

// normal[150], zeros[units], uniform[]: the shape of a draw.
static Val index_draw(Elab *e, Scope *scope, Node *node, Val draw, const Type *want) {
  Type type = type_scalar(TY_F32);
  if (want && want->range)
    type = (Type){.elem = TY_I32, .range = want->range};
  uint8_t ones = 0;
  for (uint32_t i = 0; i < node->list.n; i++) {
    Node *item = node->list.at[i];
    Dim d;
    if (item->kind == N_RANGE || item->kind == N_DIM_REST || item->kind == N_HOLE) {
      elab_error(e, item->span, "wrong-type",
                 "the shape of a draw is a list of numbers: normal[3, 4]");
      return val_error();
    }
    if (!elab_int(e, elab_expr(e, scope, item, NULL), "a dimension", item->span, &d))
      return val_error();
    if (d < 1 || type.rank == MAX_RANK) {
      elab_error(e, item->span, "out-of-range", "%lld is no dimension", (long long)d);
      return val_error();
    }
    if (item->kind == N_INT && d == 1)
      ones |= (uint8_t)(1u << type.rank);
    type.dim[type.rank++] = d;
  }
  at(e, node->span);
  Val r = val_tensor(draw_make(e, draw, &type, node->span));
  r.ones = ones;
  return r;
}

Val index_expr(Elab *e, Scope *scope, Node *node, const Type *want) {
  Val base = elab_expr(e, scope, node->a, NULL);
  switch ((int)base.kind) {
  case V_ERROR:
    return base;
  case V_ROW:
    return elab_row(e, base.data, node, want);
  case V_TENSOR:
    return index_tensor(e, scope, node, base.t, base.span);
  case V_LIST:
  case V_TUPLE:
    return index_list(e, scope, node, base);
  case V_SHAPELESS:
    return index_draw(e, scope, node, base, want);
  case V_FUNCTION:
    if (is_initialiser(base))
      return index_draw(e, scope, node, base, want);
  }
  Diagnostic *d = elab_error(e, node->span, "wrong-type", "%s can't be indexed", val_text(e, base));
  note_uncalled(e, d, base, node->a->span);
  return val_error();
}

// ---- x.name -----------------------------------------------------------------------------------

enum { MOST_LISTED = 12 }; // parts, in a message

// What stands in ( ) after `member`: "" where it isn't called, NULL: too long to repeat.
static const char *written_arguments(Elab *e, const Node *member) {
  uint32_t start = member->span.end;
  const char *text = e->s->source.at[member->span.file].text;
  if (text[start] != '(')
    return "";
  uint32_t end = start;
  int depth = 0;
  do {
    depth += (text[end] == '(') - (text[end] == ')');
    end++;
  } while (depth && text[end]);
  return short_source(e, (Span){member->span.file, start + 1, end - 1});
}

// x.mean(axis = 0): mean(x, axis = 0)
static const char *no_methods(Elab *e, const Node *member) {
  const char *x = short_source(e, member->a->span), *rest = written_arguments(e, member);
  return arena_printf(e->s->perm, "there are no methods, only functions: %s(%s%s%s)", member->name,
                      x ? x : "x", !rest || *rest ? ", " : "", rest ? rest : "...");
}

static Val no_member(Elab *e, Node *node, const char *of, const char *const *names, uint32_t n) {
  Diagnostic *d =
      elab_error(e, node->name_span, "unknown-name", "%s has no part `%s`", of, node->name);
  const char *near = nearest_name(node->name, names, n);
  const char *advice = foreign_name(node->name);
  if (!near && !advice && builtin_find(e, node->name))
    advice = no_methods(e, node);
  Text list = {.arena = e->s->perm};
  for (uint32_t i = 0; i < n && n <= MOST_LISTED; i++)
    text_printf(&list, "%s%s", i ? ", " : "", names[i]);
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else if (list.n)
    diag_note(e->s, d, (Span){0}, "it has: %s", list.at);
  return val_error();
}

static bool is_repeated(Elab *e, const AppItem *item, Span span) {
  if (item->times > 1) {
    Diagnostic *d =
        elab_error(e, span, "ambiguous", "`%s` was computed %u times in this application",
                   item->name, item->times);
    diag_note(e->s, d, (Span){0},
              "name the one you mean where it is computed, with `let` or `as` (rule 15)");
  }
  return item->times > 1;
}

// The values of NAME.0, NAME.1, ...: of an array of layers, or of the turns of a loop; else V_NONE.
static Val values_of_turns(Elab *e, const Application *app, const char *name, Span span) {
  BUF(Val) list = {0};
  for (;;) {
    const char *element = intern(e->s, arena_printf(e->s->perm, "%s.%u", name, list.n));
    const AppItem *found = NULL;
    for (uint32_t i = 0; i < app->item.n; i++)
      if (name_begins(app->item.at[i].name, element))
        found = &app->item.at[i];
    if (!found)
      return list.n ? val_tuple(e, V_LIST, list.at, list.n) : val_kind(V_NONE);
    Val v = found->name != element ? values_of_turns(e, app, element, span) : found->val;
    if (v.kind == V_ERROR || (found->name == element && is_repeated(e, found, span)))
      return val_error();
    buf_push(e->s->perm, &list, v);
  }
}

static Val member_of_application(Elab *e, Node *node, Application *app) {
  BUF(const char *) names = {0};
  for (uint32_t i = 0; i < app->item.n; i++) {
    if (app->item.at[i].name == node->name)
      return is_repeated(e, &app->item.at[i], node->name_span) ? val_error() : app->item.at[i].val;
    buf_push(e->s->perm, &names, app->item.at[i].name);
  }
  Val turns = values_of_turns(e, app, node->name, node->name_span);
  if (turns.kind != V_NONE)
    return turns;
  return no_member(e, node, app->instance->kind, names.at, names.n);
}

static Val member_of_instance(Elab *e, Node *node, Instance *instance) {
  Instance *part = instance_part(instance, node->name);
  if (part)
    return (Val){.kind = V_INSTANCE, .instance = part};
  Param *param = instance_param(instance, node->name);
  if (param)
    return val_tensor(elab_param(e, param));
  Val array = instance_parts(e, instance, node->name);
  if (array.kind != V_NONE)
    return array;
  BUF(const char *) names = {0};
  for (uint32_t i = 0; i < instance->part.n; i++)
    buf_push(e->s->perm, &names, instance->part.at[i]->name);
  for (uint32_t i = 0; i < instance->param.n; i++)
    buf_push(e->s->perm, &names, strrchr(instance->param.at[i]->path, '.') + 1);
  Val r = no_member(e, node, instance->kind, names.at, names.n);
  if (!instance->param.n && !instance->part.n && e->s->diag.n)
    diag_note(e->s, e->s->diag.at[e->s->diag.n - 1], (Span){0},
              "its parts are known once it has been applied");
  return r;
}

static Val member_of_module(Elab *e, Node *node, Scope *module) {
  if (scope_own(module, node->name))
    return name_expr(e, module, node);
  BUF(const char *) names = {0};
  for (Entry *n = module->first; n; n = n->next)
    buf_push(e->s->perm, &names, n->name);
  return no_member(e, node, "the module", names.at, names.n);
}

// x.mean(), x.shape: functions here.
static void no_method(Elab *e, Scope *scope, Node *node, Val base) {
  Diagnostic *d = elab_error(e, node->name_span, "unknown-name", "%s has no part `%s`",
                             val_text(e, base), node->name);
  const char *advice = foreign_name(node->name);
  if (scope_find(scope, node->name) || builtin_find(e, node->name))
    diag_note(e->s, d, (Span){0}, "%s", no_methods(e, node));
  else if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  else
    diag_note(e->s, d, (Span){0},
              "what a layer or model computes has parts, those that `let` and `as` name in it; "
              "a function's value and a field have none");
}

static Val member_of_data(Elab *e, Node *node, DataInfo *data) {
  int64_t n = data_counted(e, data, node->name);
  if (n)
    return val_int(n);
  Diagnostic *d = elab_error(e, node->name_span, "unknown-name",
                             "nothing called `%s` is counted in this data", node->name);
  diag_note(e->s, d, (Span){0},
            "a field `label: index<%s> = row[0]` counts its values, where the file is there "
            "(rule 21); fields are seen in blocks `on` the data",
            node->name);
  return val_error();
}

Val member_expr(Elab *e, Scope *scope, Node *node, const Type *want) {
  Val base = elab_expr(e, scope, node->a, NULL);
  if (base.kind == V_ERROR)
    return base;
  if (base.kind == V_ROW)
    return elab_row(e, base.data, node, want);
  if (base.kind == V_INSTANCE)
    return member_of_instance(e, node, base.instance);
  if (base.kind == V_MODULE)
    return member_of_module(e, node, base.scope);
  if (base.app)
    return member_of_application(e, node, base.app);
  if (base.kind == V_DATA)
    return member_of_data(e, node, base.data);
  no_method(e, scope, node, base);
  return val_error();
}
