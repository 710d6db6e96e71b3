// Builtins that reduce along axes or move elements.
#include "pass/elaborate_shape.h"

#include <string.h>

static bool given(const Arg *arg) {
  return arg->v.kind != V_NONE;
}

static Value *operand(Elab *e, const Arg *arg) {
  Value *x = elab_tensor(e, arg->v, NULL, arg->span);
  at(e, arg->span);
  return x;
}

// An axis, negative from the end.
static bool axis_of(Elab *e, Val v, uint32_t rank, Span span, uint32_t *out) {
  int64_t k;
  if (!elab_int(e, v, "an axis", span, &k))
    return false;
  if (k < -(int64_t)rank || k >= (int64_t)rank) {
    Diagnostic *d =
        rank ? elab_error(e, span, "out-of-range",
                          "there is no axis %lld: the value has %u ax%s, 0%s%s", (long long)k, rank,
                          rank == 1 ? "is" : "es", rank == 1 ? "" : " to ",
                          rank == 1 ? "" : arena_printf(e->s->perm, "%u", rank - 1))
             : elab_error(e, span, "out-of-range", "there is no axis %lld: the value is one number",
                          (long long)k);
    diag_note(e->s, d, (Span){0},
              "the batch is no axis: axes are counted from 0 in one example, -1 is the last");
    return false;
  }
  *out = (uint32_t)(k < 0 ? k + rank : k);
  return true;
}

// axis = 1, axes = [0, 1], axes = leading; all if not given. In increasing order.
static bool axes_of(Elab *e, const Arg *axes, const Arg *axis, uint32_t rank, bool *chosen) {
  const Arg *a = given(axes) ? axes : axis;
  for (uint32_t i = 0; i < rank; i++)
    chosen[i] = !given(a);
  if (!given(a))
    return true;
  if (a->v.kind == V_STRING && strcmp(a->v.s, "leading") == 0) {
    for (uint32_t i = 0; i + 1 < rank; i++)
      chosen[i] = true;
    return true;
  }
  uint32_t n = a->v.kind == V_LIST ? a->v.n : 1, k;
  for (uint32_t i = 0; i < n; i++) {
    if (!axis_of(e, a->v.kind == V_LIST ? a->v.list[i] : a->v, rank, a->span, &k))
      return false;
    chosen[k] = true;
  }
  return true;
}

static bool keep_of(Elab *e, const Arg *keep, bool *out) {
  *out = given(keep) && keep->v.i;
  if (!given(keep) || keep->v.kind == V_BOOL)
    return true;
  elab_error(e, keep->span, "not-constant", "`keep` is true or false");
  return false;
}

static Value *truth_to_number(Elab *e, Value *x) {
  Builder *b = building(e);
  if (x->type.elem != TY_BOOL)
    return x;
  Type f = x->type;
  f.elem = TY_F32;
  f.batched = false;
  return ir_select(b, x, ir_const(b, f, 1), ir_const(b, f, 0));
}

static Value *reduce(Elab *e, const char *name, Value *x, const uint32_t *axes, uint32_t n) {
  Builder *b = building(e);
  int64_t count = 1;
  for (uint32_t i = 0; i < n; i++)
    count *= x->type.dim[axes[i]];
  if (strcmp(name, "max") == 0)
    return ir_max(b, x, axes, n);
  if (strcmp(name, "min") == 0)
    return n ? ir_inst(b, OP_min_along, &x, 1, (Attr[]){attr_axes(e->m->arena, axes, n)}, 1)
                   ->result[0]
             : x;
  Value *sum = ir_sum(b, x, axes, n);
  Type t = sum->type;
  t.batched = false;
  if (strcmp(name, "sum") == 0 || (strcmp(name, "mean") == 0 && count == 1))
    return sum;
  if (strcmp(name, "mean") == 0)
    return ir_binary(b, OP_div, sum, ir_const(b, t, (double)count));
  bool all = strcmp(name, "all") == 0;
  return ir_binary(b, all ? OP_eq : OP_gt, sum, ir_const(b, t, all ? (double)count : 0));
}

static void note_wants(Elab *e, Diagnostic *d, bool truth, const Type *found) {
  const char *advice = truth          ? "truth values are wanted: x > 0"
                       : found->range ? "an index is a name, not a number: one_hot(i) has numbers"
                                      : "f32(x) makes numbers of truth values";
  diag_note(e->s, d, (Span){0}, "%s", advice);
}

// A scalar known when compiling reduces to itself.
Val shape_reduce(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  bool extreme = b->name[0] == 'm' && b->name[1] != 'e';
  const Arg *axes = &arg[extreme ? 2 : 1], *keep = axes + 1, *axis = axes + 2;
  if (is_number(arg[0].v))
    return arg[0].v;
  Value *x = operand(e, &arg[0]);
  if (!x)
    return val_error();
  bool truth = b->name[0] == 'a';
  if (x->type.range || truth != (x->type.elem == TY_BOOL && truth)) {
    Diagnostic *d = elab_error(e, arg[0].span, x->type.range ? "index-arithmetic" : "wrong-type",
                               "%s takes %s, found %s", b->name, truth ? "truth values" : "numbers",
                               type_user_text(e, &x->type));
    note_origins(e, d, &arg[0].v, 1, arg[0].span);
    note_wants(e, d, truth, &x->type);
    return val_error();
  }
  bool chosen[MAX_RANK], keeps;
  if (!axes_of(e, axes, axis, x->type.rank, chosen) || !keep_of(e, keep, &keeps))
    return val_error();
  at(e, span);
  if (strcmp(b->name, "mean") == 0)
    warn_masked_mean(e, x, span);
  x = truth_to_number(e, x);
  if (x->type.elem == TY_I32)
    x = ir_convert(building(e), x, TY_F32);
  uint32_t list[MAX_RANK], n = 0;
  Dim kept[MAX_RANK];
  uint8_t ones = 0;
  for (uint32_t i = 0; i < x->type.rank; i++) {
    kept[i] = chosen[i] ? 1 : x->type.dim[i];
    if (chosen[i]) {
      list[n++] = i;
      ones |= (uint8_t)(1u << i);
    }
  }
  Value *r = reduce(e, b->name, x, list, n);
  if (!keeps)
    return val_tensor(r);
  Val v = val_tensor(ir_reshape(building(e), r, kept, x->type.rank));
  v.ones = ones;
  return v;
}

Val shape_argmax(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  if (!x)
    return val_error();
  if (!x->type.rank) {
    Diagnostic *d = elab_error(e, arg[0].span, "wrong-type",
                               "argmax needs at least one axis, found %s", val_text(e, arg[0].v));
    diag_note(e->s, d, (Span){0}, "it says which of several numbers is the greatest");
    return val_error();
  }
  if (x->type.range) {
    elab_error(e, arg[0].span, "index-arithmetic", "argmax of %s: an index is a name, not a number",
               val_text(e, arg[0].v));
    return val_error();
  }
  at(e, span);
  return val_tensor(ir_unary(building(e), OP_argmax, truth_to_number(e, x)));
}

// one_hot(i): f32[.., n], 1 at i. n is the range of i unless i is known when compiling.
Val shape_one_hot(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  int64_t n = 0;
  if (given(&arg[1]) && !elab_int(e, arg[1].v, "the number of classes", arg[1].span, &n))
    return val_error();
  Type index = {.elem = TY_I32, .range = n};
  if (arg[0].v.kind == V_INT && n)
    arg[0].v = elab_fit(e, arg[0].v, &index, arg[0].span, "one_hot", (Span){0});
  Value *i = operand(e, &arg[0]);
  if (!i)
    return val_error();
  if (!i->type.range || (n && n != i->type.range) || i->type.rank == MAX_RANK) {
    bool other = n && i->type.range && n != i->type.range;
    Diagnostic *d = other ? elab_error(e, arg[0].span, "range-mismatch",
                                       "one_hot of an index<%lld> for %lld classes",
                                       (long long)i->type.range, (long long)n)
                          : elab_error(e, arg[0].span, "wrong-type",
                                       "one_hot needs an index, found %s", val_text(e, arg[0].v));
    if (arg[0].v.span.file)
      diag_note(e->s, d, arg[0].v.span, "it is declared here");
    if (other)
      diag_note(e->s, d, (Span){0}, "as many scores as classes: the last layer is Dense(%lld)",
                (long long)i->type.range);
    return val_error();
  }
  Type to = i->type;
  to.batched = false;
  to.range = 0;
  uint32_t axes[MAX_RANK];
  for (uint32_t k = 0; k < to.rank; k++)
    axes[k] = k;
  to.dim[to.rank++] = i->type.range;
  at(e, span);
  Builder *build = building(e);
  Attr attr[] = {attr_dims(e->m->arena, to.dim, to.rank), attr_int(to.rank - 1), attr_elem(TY_I32)};
  Value *numbers = ir_inst(build, OP_iota, NULL, 0, attr, 3)->result[0];
  Value *hit = ir_binary(build, OP_eq, numbers, ir_broadcast(build, i, axes, to));
  to.elem = TY_F32;
  return val_tensor(ir_select(build, hit, ir_const(build, to, 1), ir_const(build, to, 0)));
}

// Numbers in f32; indices and truth values can't be multiplied.
static bool dot_operand(Elab *e, const Builtin *b, const Arg *arg, Val *v) {
  *v = arg->v;
  const Type *type = v->kind == V_TENSOR ? &v->t->type : NULL;
  if (v->kind == V_BOOL || (type && (type->range || type->elem == TY_BOOL))) {
    Diagnostic *d =
        elab_error(e, arg->span, type && type->range ? "index-arithmetic" : "wrong-type",
                   "%s takes numbers, found %s", b->name, val_text(e, *v));
    note_origins(e, d, v, 1, arg->span);
    note_wants(e, d, false, type ? type : &(Type){.elem = TY_BOOL});
    return false;
  }
  if (type && type->elem == TY_I32) {
    at(e, arg->span);
    v->t = ir_convert(building(e), v->t, TY_F32);
  }
  return true;
}

Val shape_dot(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Val v[2];
  Value *x[2];
  uint8_t ones;
  if (!dot_operand(e, b, &arg[0], &v[0]) || !dot_operand(e, b, &arg[1], &v[1]))
    return val_error();
  if (!arith_align(e, "dot", v, x, 2, span, &ones))
    return val_error();
  at(e, span);
  uint32_t axes[MAX_RANK];
  for (uint32_t i = 0; i < x[0]->type.rank; i++)
    axes[i] = i;
  return val_tensor(
      ir_sum(building(e), ir_binary(building(e), OP_mul, x[0], x[1]), axes, x[0]->type.rank));
}

Val shape_norm(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  Arg both[2] = {arg[0], arg[0]};
  Val square = shape_dot(e, b, both, span, want);
  if (square.kind == V_ERROR)
    return square;
  // The gradient at 0 is 0, not 0 / 0: select sends nothing to the side not taken.
  Builder *build = building(e);
  Value *zero = ir_const(build, square.t->type, 0);
  Value *at_zero = ir_binary(build, OP_eq, square.t, zero);
  return val_tensor(ir_select(build, at_zero, zero, ir_unary(build, OP_sqrt, square.t)));
}

// ---- shapes -----------------------------------------------------------------------------------

static bool dims_of(Elab *e, const Arg *arg, Dim *dims, uint32_t *n) {
  Val v = arg->v;
  if (v.kind != V_LIST && v.kind != V_TUPLE && v.kind != V_INT) {
    elab_error(e, arg->span, "wrong-type", "a shape is a list of numbers, found %s",
               val_text(e, v));
    return false;
  }
  *n = v.kind == V_INT ? 1 : v.n;
  if (*n > MAX_RANK) {
    elab_error(e, arg->span, "too-large", "%u axes, at most %d are possible", *n, MAX_RANK);
    return false;
  }
  for (uint32_t i = 0; i < *n; i++)
    if (!elab_int(e, v.kind == V_INT ? v : v.list[i], "a dimension", arg->span, &dims[i]))
      return false;
  return true;
}

// One dimension may be -1: what is left.
Val shape_reshape(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  Dim dims[MAX_RANK], count = 1;
  uint32_t n;
  if (!x || !dims_of(e, &arg[1], dims, &n))
    return val_error();
  Dim all = type_count(&x->type);
  int rest = -1;
  bool fits = true;
  for (uint32_t i = 0; fits && i < n; i++) {
    if (dims[i] == -1 && rest < 0) {
      rest = (int)i;
      continue;
    }
    fits = dims[i] >= 1 && dims[i] <= all / count;
    count *= fits ? dims[i] : 1;
  }
  if (fits && rest >= 0 && all % count == 0) {
    dims[rest] = all / count;
    count = all;
  }
  if (!fits || count != all) {
    Text wanted = {.arena = e->s->perm}; // as it was written: -1 is no number of rows here
    for (uint32_t i = 0; i < n; i++)
      text_printf(&wanted, "%s%lld", i ? ", " : "", (long long)dims[i]);
    Diagnostic *d = elab_error(e, span, "shape-mismatch", "reshape: %s has %lld elements, [%s] %s",
                               val_text(e, arg[0].v), (long long)all, n ? wanted.at : "",
                               fits ? "has another number" : "can't have them");
    note_origins(e, d, &arg[0].v, 1, arg[0].span);
    diag_note(e->s, d, (Span){0},
              "the sizes multiply to %lld; one of them may be -1, what is left; the batch is none "
              "of them",
              (long long)all);
    return val_error();
  }
  at(e, span);
  Val r = val_tensor(ir_reshape(building(e), x, dims, n));
  const Node *list = arg[1].node;
  for (uint32_t i = 0; list && list->kind == N_ARRAY && i < n; i++)
    if (list->list.at[i]->kind == N_INT && dims[i] == 1)
      r.ones |= (uint8_t)(1u << i);
  return r;
}

Val shape_flatten(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  if (!x)
    return val_error();
  at(e, span);
  Dim all = type_count(&x->type);
  return val_tensor(ir_reshape(building(e), x, &all, 1));
}

Val shape_transpose(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  if (!x)
    return val_error();
  uint32_t perm[MAX_RANK], rank = x->type.rank, n = rank;
  Dim order[MAX_RANK];
  for (uint32_t i = 0; i < rank; i++)
    order[i] = rank - 1 - i;
  if (given(&arg[1]) && !dims_of(e, &arg[1], order, &n))
    return val_error();
  bool seen[MAX_RANK] = {false}, ok = n == rank;
  for (uint32_t i = 0; ok && i < rank; i++) {
    ok = order[i] >= 0 && order[i] < (Dim)rank && !seen[order[i]];
    if (ok)
      seen[perm[i] = (uint32_t)order[i]] = true;
  }
  if (!ok) {
    Diagnostic *d = elab_error(e, given(&arg[1]) ? arg[1].span : span, "wrong-arguments",
                               "transpose: the order must name each of the %u axes of %s once",
                               rank, val_text(e, arg[0].v));
    diag_note(e->s, d, (Span){0},
              "axes are counted from 0, and the batch is none: [1, 0] turns a matrix");
    return val_error();
  }
  at(e, span);
  return val_tensor(ir_transpose(building(e), x, perm));
}

Val shape_reverse(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  uint32_t axis = 0;
  if (!x || !axis_of(e, given(&arg[1]) ? arg[1].v : val_int(0), x->type.rank,
                     given(&arg[1]) ? arg[1].span : span, &axis))
    return val_error();
  at(e, span);
  return val_tensor(
      ir_inst(building(e), OP_reverse, &x, 1, (Attr[]){attr_int(axis)}, 1)->result[0]);
}

Val shape_concat(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  BUF(Value *) parts = {0};
  bool one_list = !given(&arg[1]) && (arg[0].v.kind == V_LIST || arg[0].v.kind == V_TUPLE);
  uint32_t count = one_list ? arg[0].v.n : 4;
  Type elem; // numbers that are written become what the tensors beside them are
  const Type *like = NULL;
  for (uint32_t i = 0; i < count; i++) {
    Val v = one_list ? arg[0].v.list[i] : arg[i].v;
    if (v.kind == V_TENSOR) {
      elem = (Type){.elem = v.t->type.elem, .range = v.t->type.range};
      like = &elem;
    }
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!one_list && !given(&arg[i]))
      continue;
    Value *x =
        elab_tensor(e, one_list ? arg[0].v.list[i] : arg[i].v, like, arg[one_list ? 0 : i].span);
    if (!x)
      return val_error();
    buf_push(e->s->perm, &parts, x);
  }
  uint32_t axis = 0;
  if (!parts.n || !axis_of(e, given(&arg[4]) ? arg[4].v : val_int(0), parts.at[0]->type.rank,
                           given(&arg[4]) ? arg[4].span : span, &axis))
    return val_error();
  Type result;
  Attr attr = attr_int(axis);
  const char *wrong = ir_check(e->m, OP_concat, parts.at, parts.n, &attr, 1, &result);
  if (wrong) {
    Text list = {.arena = e->s->perm};
    for (uint32_t i = 0; i < parts.n; i++)
      text_printf(&list, "%s%s",
                  i == 0            ? ""
                  : i + 1 < parts.n ? ", "
                                    : " and ",
                  type_user_text(e, &parts.at[i]->type));
    Diagnostic *d = elab_error(e, span, "shape-mismatch",
                               "concat: %s can't be joined along axis %u, as they differ elsewhere",
                               list.at, axis);
    if (one_list)
      note_origins(e, d, arg[0].v.list, arg[0].v.n, span);
    diag_note(e->s, d, (Span){0}, "all axes but the one that is joined have the same sizes");
    return val_error();
  }
  at(e, span);
  return val_tensor(ir_inst(building(e), OP_concat, parts.at, parts.n, &attr, 1)->result[0]);
}

// split(x, 4): four equal parts of the last axis, as a tuple.
Val shape_split(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  int64_t n;
  uint32_t axis;
  if (!x || !elab_int(e, arg[1].v, "the number of parts", arg[1].span, &n) ||
      !axis_of(e, given(&arg[2]) ? arg[2].v : val_int(-1), x->type.rank,
               given(&arg[2]) ? arg[2].span : span, &axis))
    return val_error();
  Dim size = x->type.dim[axis];
  if (n < 1 || size % n) {
    Diagnostic *d =
        elab_error(e, span, "shape-mismatch", "split: an axis of %lld is not %lld equal parts",
                   (long long)size, (long long)n);
    note_origins(e, d, &arg[0].v, 1, arg[0].span);
    diag_note(e->s, d, (Span){0}, "parts of other sizes are ranges: x[0..2] and x[2..%lld]",
              (long long)size);
    return val_error();
  }
  at(e, span);
  Val *list = arena_array(e->s->perm, Val, n);
  for (int64_t i = 0; i < n; i++)
    list[i] = val_tensor(slice_axis(e, x, axis, i * (size / n), (i + 1) * (size / n)));
  return val_tuple(e, V_TUPLE, list, (uint32_t)n);
}

Val shape_pad(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = operand(e, &arg[0]);
  Dim low[MAX_RANK], high[MAX_RANK];
  uint32_t n, m;
  double value = 0;
  if (!x || !dims_of(e, &arg[1], low, &n) ||
      !dims_of(e, given(&arg[2]) ? &arg[2] : &arg[1], high, &m) ||
      (given(&arg[3]) && !elab_number(e, arg[3].v, "the value", arg[3].span, &value)))
    return val_error();
  Attr attr[] = {attr_dims(e->m->arena, low, n), attr_dims(e->m->arena, high, m),
                 attr_float(value)};
  Type result;
  const char *wrong = ir_check(e->m, OP_pad, &x, 1, attr, 3, &result);
  if (wrong) {
    elab_error(e, span, "shape-mismatch", "pad: %s", wrong);
    return val_error();
  }
  at(e, span);
  return val_tensor(ir_inst(building(e), OP_pad, &x, 1, attr, 3)->result[0]);
}

// iota(5): 0, 1, 2, 3, 4 as f32.
Val shape_iota(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  int64_t n;
  if (!elab_int(e, arg[0].v, "how many", arg[0].span, &n))
    return val_error();
  if (n < 1) {
    elab_error(e, arg[0].span, "out-of-range", "%lld is no dimension", (long long)n);
    return val_error();
  }
  if (!in_program(e, span))
    return val_error();
  at(e, span);
  Attr attr[] = {attr_dims(e->m->arena, &n, 1), attr_int(0), attr_elem(TY_F32)};
  return val_tensor(ir_inst(building(e), OP_iota, NULL, 0, attr, 3)->result[0]);
}

// shape(x), size(x), rank(x), len(x): known when compiling.
Val shape_of(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)span, (void)want;
  bool list = arg[0].v.kind == V_LIST || arg[0].v.kind == V_TUPLE;
  if (list && strcmp(b->name, "len") == 0)
    return val_int(arg[0].v.n);
  Value *x = operand(e, &arg[0]);
  if (!x)
    return val_error();
  if (strcmp(b->name, "rank") == 0)
    return val_int(x->type.rank);
  if (strcmp(b->name, "size") == 0)
    return val_int(type_count(&x->type));
  if (strcmp(b->name, "len") == 0)
    return val_int(x->type.rank ? x->type.dim[0] : 1);
  Val dims[MAX_RANK];
  for (uint32_t i = 0; i < x->type.rank; i++)
    dims[i] = val_int(x->type.dim[i]);
  return val_tuple(e, V_LIST, dims, x->type.rank);
}

// f32(x): a truth value or a whole number as a number; an index only says its place.
Val shape_f32(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  if (is_number(arg[0].v))
    return val_float(number_of(arg[0].v));
  Value *x = operand(e, &arg[0]);
  if (!x)
    return val_error();
  at(e, span);
  if (x->type.elem == TY_BOOL)
    return val_tensor(truth_to_number(e, x));
  return val_tensor(ir_convert(building(e), x, TY_F32));
}
