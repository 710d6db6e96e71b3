// What names of the core mean: one table (name, signature, handler), then every operation record
// that is flagged OPF_USER under its own name. Everything else is in stdlib/.
#include "foreign.h"
#include "pass/elaborate_core.h"
#include "pass/elaborate_shape.h"

#include <math.h>
#include <string.h>

// ---- small ones -------------------------------------------------------------------------------

// The numbers that the names in a condition stand for: ": rate is 1.5".
static void put_values(Elab *e, Scope *scope, const Node *n, Text *out) {
  const Entry *entry = n && n->kind == N_NAME && scope ? scope_find(scope, n->name) : NULL;
  const Val *v = entry && entry->ready ? &entry->val : NULL;
  if (v && (v->kind == V_INT || v->kind == V_FLOAT) &&
      !strstr(out->at ? out->at : "", arena_printf(e->s->perm, " %s is ", n->name)))
    text_printf(out, "%s %s is %g", out->n ? "," : ":", n->name, number_of(*v));
  if (!n || n->kind == N_NAME)
    return;
  put_values(e, scope, n->a, out);
  put_values(e, scope, n->b, out);
  for (uint32_t i = 0; n->kind != N_CALL && i < n->list.n; i++)
    put_values(e, scope, n->list.at[i], out);
}

static Val do_assert(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  if (arg[0].v.kind != V_BOOL) {
    elab_error(e, arg[0].span, "not-constant",
               "assert needs a condition known when compiling, found %s", val_text(e, arg[0].v));
    return val_error();
  }
  if (arg[0].v.i)
    return val_kind(V_NONE);
  Text values = {.arena = e->s->perm};
  put_values(e, arg[0].scope, arg[0].node, &values);
  elab_error(e, span, "assertion", "%s%s",
             arg[1].v.kind == V_STRING ? arg[1].v.s : "this condition does not hold",
             values.n ? values.at : "");
  return val_error();
}

// div(7, 2) = 3: whole numbers, rounded down.
static Val do_div(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  int64_t x, y;
  if (!elab_int(e, arg[0].v, "the dividend", arg[0].span, &x) ||
      !elab_int(e, arg[1].v, "the divisor", arg[1].span, &y))
    return val_error();
  if (y == 0) {
    elab_error(e, span, "inexact-division", "division by 0");
    return val_error();
  }
  int64_t q = x / y;
  return val_int(x % y != 0 && (x < 0) != (y < 0) ? q - 1 : q);
}

static Val truth_error(Elab *e, Val v, Span span) {
  if (v.kind != V_ERROR)
    diag_note(e->s,
              elab_error(e, span, "wrong-type", "select needs a truth value first, found %s",
                         val_text(e, v)),
              (Span){0}, "a comparison gives truth values: select(x > 0, a, b)");
  return val_error();
}

// The wanted type reaches the branches: select(young, 0, 1) is an index where one is wanted.
static Val typed_branch(Elab *e, const Arg *arg, const Type *want) {
  if (!want || want->elem != TY_I32 || arg->v.kind != V_INT)
    return arg->v;
  Type scalar = {.elem = TY_I32, .range = want->range};
  return elab_fit(e, arg->v, &scalar, arg->span, "this value", (Span){0});
}

// An index here, a number there (rule 22); a whole number that was written fits an index.
static bool mixes_index(Elab *e, const Val *v, Span span) {
  bool index[2], number[2];
  for (int i = 0; i < 2; i++) {
    index[i] = v[i].kind == V_TENSOR && v[i].t->type.range;
    number[i] = v[i].kind == V_FLOAT || (v[i].kind == V_TENSOR && v[i].t->type.elem == TY_F32);
  }
  if (!(index[0] && number[1]) && !(index[1] && number[0]))
    return false;
  Diagnostic *d = elab_error(e, span, "index-arithmetic",
                             "select between %s and %s: an index is a name, not a number",
                             val_text(e, v[0]), val_text(e, v[1]));
  note_origins(e, d, v, 2, span);
  diag_note(e->s, d, (Span){0},
            "one_hot(i) has numbers; what a loop carries is an index where that is written, "
            "`at: index<10> = 0`");
  return true;
}

static Val do_select(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b;
  Val c = arg[0].v;
  if (c.kind == V_BOOL)
    return c.i ? arg[1].v : arg[2].v;
  if (c.kind != V_TENSOR || c.t->type.elem != TY_BOOL)
    return truth_error(e, c, arg[0].span);
  Val v[2] = {typed_branch(e, &arg[1], want), typed_branch(e, &arg[2], want)};
  for (int i = 0; i < 2; i++)
    if (is_initialiser(v[i]))
      v[i] = draw_op(e, '+', 0, (Val[]){v[i], val_float(0)}, 2, span);
  if (mixes_index(e, v, span))
    return val_error();
  if (is_shapeless(v[0]) && is_shapeless(v[1]))
    v[0] = val_tensor(draw_make(e, v[0], &c.t->type, span));
  Value *x[2];
  uint8_t ones;
  if (!arith_align(e, "select", v, x, 2, span, &ones))
    return val_error();
  Type shape; // the condition and the values stretch to each other
  if (!join_shapes(&c.t->type, c.ones, &x[0]->type, ones, &shape, &ones)) {
    Diagnostic *d =
        elab_error(e, span, "shape-mismatch", "select: the shapes %s and %s don't fit together",
                   val_text(e, c), type_user_text(e, &x[0]->type));
    diag_note(e->s, d, arg[0].span, "the condition, %s", val_text(e, c));
    diag_note(e->s, d, (Span){0},
              "it has one truth value for each number, or for each along the last axes (rule 3)");
    return val_error();
  }
  at(e, span);
  Value *r = ir_select(building(e), broadcast_to(e, c.t, &shape), broadcast_to(e, x[0], &shape),
                       broadcast_to(e, x[1], &shape));
  if (v[0].kind == V_TENSOR && v[0].t->type.range > r->type.range)
    r->type.range = v[0].t->type.range;
  Val out = val_tensor(r);
  out.ones = ones;
  return out;
}

static Val do_clip(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Val v[2] = {arg[0].v, arg[1].v};
  Val low = arith_elementwise(e, OP_max, v, 2, span);
  if (low.kind == V_ERROR)
    return low;
  Val w[2] = {low, arg[2].v};
  return arith_elementwise(e, OP_min, w, 2, span);
}

// Where each row stands for itself, nothing may depend on the others (rule 26).
static bool may_see_batch(Elab *e, const char *name, Span span) {
  if (!e->block || (e->block->kind != N_PREDICT && e->block->kind != N_DATA))
    return true;
  bool predict = e->block->kind == N_PREDICT;
  Diagnostic *d = elab_error(e, span, "batch-dependent", "%s in %s: %s", name,
                             predict ? "predict" : "a data block",
                             predict ? "what is predicted for a row may not depend on the others"
                                     : "a field is computed from its own row");
  diag_note(e->s, d, (Span){0}, "%s",
            !predict ? "what depends on the batch is computed in a layer, or in the train block"
            : strcmp(name, "batch_roll") == 0
                ? "other rows are there in training alone: in a layer, `if training`"
                : "in a layer take it only `if training`, and keep its mean in a `state` for the "
                  "rest");
  return false;
}

// Truth values count.
static Value *as_numbers(Elab *e, Value *x) {
  Builder *b = building(e);
  Type number = x->type;
  number.elem = TY_F32;
  number.range = 0;
  if (x->type.elem == TY_BOOL) {
    number.batched = false;
    return ir_select(b, x, ir_const(b, number, 1), ir_const(b, number, 0));
  }
  return ir_convert(b, x, TY_F32);
}

// Of accumulated batches each has statistics of its own: not those of the united batch (rule 28).
static void warn_of_pieces(Elab *e, const char *name, Span span) {
  Target *target = e->target;
  if (!target || !target->pieces)
    return;
  for (const Frame *f = e->frame; f && is_library(e, span); f = f->up)
    span = f->call;
  if (target->warned.file == span.file && target->warned.start == span.start)
    return;
  target->warned = span;
  Diagnostic *d =
      diag_warning(e->s, span, "batch-in-pieces",
                   "%s is of each batch alone, not of those that `accumulate` unites", name);
  diag_note(e->s, d, (Span){0},
            "so this is not quite what one greater batch would give (rule 28); LayerNorm has no "
            "such statistics");
}

static bool batched_tensor(Elab *e, const char *name, const Arg *arg, Span span, Value **out) {
  *out = elab_tensor(e, arg->v, NULL, arg->span);
  if (!*out || !may_see_batch(e, name, span))
    return false;
  if ((*out)->type.batched) {
    warn_of_pieces(e, name, span);
    return true;
  }
  Diagnostic *d =
      elab_error(e, arg->span, "not-batched", "%s: this value is the same for every example", name);
  note_origins(e, d, &arg->v, 1, arg->span);
  diag_note(e->s, d, (Span){0},
            "what is computed from parameters, configs and numbers alone is there once: leave %s "
            "out",
            name);
  return false;
}

// batch_sum(x), batch_mean(x): the only ways out of one example (rule 1).
static Val do_batch(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Value *x;
  if (!batched_tensor(e, b->name, &arg[0], span, &x))
    return val_error();
  at(e, span);
  Builder *build = building(e);
  Value *sum = ir_unary(build, OP_batch_sum, as_numbers(e, x));
  if (strcmp(b->name, "batch_sum") == 0)
    return val_tensor(sum);
  Value *n = ir_inst(build, OP_count, NULL, 0, NULL, 0)->result[0];
  return val_tensor(ir_binary(build, OP_div, sum, broadcast_to(e, n, &sum->type)));
}

// total(x), in reports: the sum over all rows of the split (rule 31).
static Val do_total(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Target *target = e->target;
  if (!target || !target->totals || target->scan) {
    Diagnostic *d = elab_error(e, span, "total", "%s(...) stands in a report alone", b->name);
    diag_note(e->s, d, (Span){0},
              target && target->totals
                  ? "in a `scan` it would be a sum in every turn; take it of what the scan gives"
                  : "`report f1(scores, label)`: a formula of totals is computed once, after all "
                    "rows of an epoch. For the sum over a batch there is batch_sum(...)");
    return val_error();
  }
  Value *x = elab_tensor(e, arg[0].v, NULL, arg[0].span);
  if (!x)
    return val_error();
  at(e, span);
  Builder *build = building(e);
  x = as_numbers(e, x);
  Value *rows = ir_inst(build, OP_count, NULL, 0, NULL, 0)->result[0];
  Value *sum = x->type.batched ? ir_unary(build, OP_batch_sum, x)
                               : ir_binary(build, OP_mul, x, broadcast_to(e, rows, &x->type));
  buf_push(e->m->arena, &target->totals->at, sum);
  return val_tensor(sum);
}

// batch_roll(x, k): for each example the value of its k-th neighbour in the batch (rule 27).
static Val do_batch_roll(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Value *x;
  int64_t k;
  if (!batched_tensor(e, b->name, &arg[0], span, &x) ||
      !elab_int(e, arg[1].v, "which neighbour", arg[1].span, &k))
    return val_error();
  at(e, span);
  Attr attr = attr_int(k);
  Val r = val_tensor(ir_inst(building(e), OP_batch_roll, &x, 1, &attr, 1)->result[0]);
  r.ones = arg[0].v.ones;
  return r;
}

static Val do_stop_gradient(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *x = elab_tensor(e, arg[0].v, NULL, arg[0].span);
  if (!x)
    return val_error();
  at(e, span);
  Val r = val_tensor(ir_unary(building(e), OP_stop_gradient, x));
  r.ones = arg[0].v.ones;
  return r;
}

// top(p, k): for predict, the k likeliest classes.
static Val do_top(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)span, (void)want;
  Val r = {.kind = V_TOP, .span = arg[2].span};
  if (arg[2].v.kind == V_STRING)
    r.s = arg[2].v.s;
  else if (arg[2].v.kind != V_NONE)
    elab_error(e, arg[2].span, "wrong-type", "`names` is a file of them, one a line, found %s",
               val_text(e, arg[2].v));
  r.t = elab_tensor(e, arg[0].v, NULL, arg[0].span);
  if (!r.t || !elab_int(e, arg[1].v, "how many", arg[1].span, &r.i))
    return val_error();
  if (r.t->type.rank == 1 && r.i >= 1 && r.i <= r.t->type.dim[0])
    return r;
  if (r.t->type.rank == 1)
    diag_note(e->s,
              elab_error(e, arg[1].span, "out-of-range", "top(%lld) of %lld classes",
                         (long long)r.i, (long long)r.t->type.dim[0]),
              (Span){0}, "1 to %lld of them can be shown", (long long)r.t->type.dim[0]);
  else
    diag_note(e->s,
              elab_error(e, span, "wrong-type",
                         "top(k) takes a vector, a number for each class, found %s",
                         type_user_text(e, &r.t->type)),
              (Span){0}, "of numbers that are no classes, give the value itself");
  return val_error();
}

// integer(13, 64): one whole number of a < = k < = b.
static Val do_integer(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b;
  Val leaf = draw_leaf(e, "integers", span);
  Val draw = draw_call(e, leaf, arg, 2, span, want);
  if (draw.kind == V_ERROR)
    return draw;
  Type type = {.elem = TY_I32, .range = want && want->elem == TY_I32 ? want->range : 0};
  at(e, span);
  return val_tensor(draw_make(e, draw, &type, span));
}

static Val do_elementwise(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  uint32_t n, most;
  op_arity(b->op, &n, &most);
  Val v[4];
  double x[4], folded;
  bool numbers = true, waits = false;
  for (uint32_t i = 0; i < n; i++) {
    v[i] = arg[i].v;
    numbers &= is_number(v[i]);
    if (numbers)
      x[i] = number_of(v[i]);
    if (is_initialiser(v[i]))
      v[i] = draw_op(e, '+', 0, (Val[]){v[i], val_float(0)}, 2, span);
    waits |= is_shapeless(v[i]);
  }
  if (numbers && fold_function(b->name, x, n, &folded))
    return val_float(folded);
  bool tensors = false;
  for (uint32_t i = 0; i < n; i++)
    tensors |= v[i].kind == V_TENSOR && v[i].t->type.rank;
  if (waits && !tensors)
    return draw_op(e, 0, b->op, v, n, span);
  return arith_elementwise(e, b->op, v, n, span);
}

// max(x) and min(x) reduce, max(x, y) compares; the arguments of the first kind are named.
static Val do_extreme(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  Op op = strcmp(b->name, "max") == 0 ? OP_max : OP_min;
  if (arg[1].v.kind == V_NONE)
    return shape_reduce(e, b, arg, span, want);
  Val v[2] = {arg[0].v, arg[1].v};
  if (is_number(v[0]) && is_number(v[1])) {
    double x = number_of(v[0]), y = number_of(v[1]), r = op == OP_max ? fmax(x, y) : fmin(x, y);
    return v[0].kind == V_INT && v[1].kind == V_INT ? val_int((int64_t)r) : val_float(r);
  }
  return arith_elementwise(e, op, v, 2, span);
}

static Val do_ceil(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  if (is_number(arg[0].v))
    return val_float(ceil(number_of(arg[0].v)));
  Val x = arith_unary(e, '-', arg[0].v, span);
  Val f = x.kind == V_ERROR ? x : arith_elementwise(e, OP_floor, &x, 1, span);
  return f.kind == V_ERROR ? f : arith_unary(e, '-', f, span);
}

// ---- the table --------------------------------------------------------------------------------

#define CONV "x, kernel, stride=, padding=, dilation=, groups="

static const Builtin table[] = {
    {"sum", "x, axes=, keep=, axis=", shape_reduce, N_OPS, false, false},
    {"mean", "x, axes=, keep=, axis=", shape_reduce, N_OPS, false, false},
    {"max", "x, y=, axes=, keep=, axis=", do_extreme, N_OPS, false, false},
    {"min", "x, y=, axes=, keep=, axis=", do_extreme, N_OPS, false, false},
    {"all", "x, axes=, keep=, axis=", shape_reduce, N_OPS, false, false},
    {"any", "x, axes=, keep=, axis=", shape_reduce, N_OPS, false, false},
    {"argmax", "x", shape_argmax, N_OPS, false, false},
    {"one_hot", "i, n=", shape_one_hot, N_OPS, false, false},
    {"dot", "x, y", shape_dot, N_OPS, false, false},
    {"norm", "x", shape_norm, N_OPS, false, false},
    {"reshape", "x, shape", shape_reshape, N_OPS, false, false},
    {"flatten", "x", shape_flatten, N_OPS, false, false},
    {"transpose", "x, order=", shape_transpose, N_OPS, false, false},
    {"reverse", "x, axis=", shape_reverse, N_OPS, false, false},
    {"concat", "parts, b=, c=, d=, axis=", shape_concat, N_OPS, false, false},
    {"split", "x, n, axis=", shape_split, N_OPS, false, false},
    {"pad", "x, low, high=, value=", shape_pad, N_OPS, false, false},
    {"conv1d", CONV, image_conv, N_OPS, false, false},
    {"conv2d", CONV, image_conv, N_OPS, false, false},
    {"conv1d_transpose", CONV ", output_padding=", image_conv_transpose, N_OPS, false, false},
    {"conv2d_transpose", CONV ", output_padding=", image_conv_transpose, N_OPS, false, false},
    {"max_pool1d", "x, window, stride=, padding=", image_max_pool, N_OPS, false, false},
    {"max_pool2d", "x, window, stride=, padding=", image_max_pool, N_OPS, false, false},
    {"iota", "n", shape_iota, N_OPS, false, false},
    {"shape", "x", shape_of, N_OPS, false, false},
    {"size", "x", shape_of, N_OPS, false, false},
    {"rank", "x", shape_of, N_OPS, false, false},
    {"len", "x", shape_of, N_OPS, false, false},
    {"f32", "x", shape_f32, N_OPS, false, false},
    {"select", "condition, a, b", do_select, N_OPS, false, false},
    {"clip", "x, low, high", do_clip, N_OPS, false, false},
    {"ceil", "x", do_ceil, N_OPS, false, false},
    {"batch_sum", "x", do_batch, N_OPS, false, false},
    {"batch_mean", "x", do_batch, N_OPS, false, false},
    {"total", "x", do_total, N_OPS, false, false},
    {"sample", "x, y, z", do_sample, N_OPS, false, false},
    {"batch_roll", "x, k", do_batch_roll, N_OPS, false, false},
    {"stop_gradient", "x", do_stop_gradient, N_OPS, false, false},
    {"grad", "e, x", grad_call, N_OPS, false, false},
    {"top", "p, k, names=", do_top, N_OPS, false, false},
    {"picture", "x, scale=, over_image=", picture_call, N_OPS, false, false},
    {"grid", "x, rows, columns, scale=", grid_call, N_OPS, false, false},
    {"scatter", "xy, colour=", scatter_call, N_OPS, false, false},
    {"confusion", "said, label", confusion_call, N_OPS, false, false},
    {"misclassified", "x, said, label, rows=, columns=, scale=", misclassified_call, N_OPS, false,
     false},
    {"plane", "low, high", plane_call, N_OPS, false, false},
    {"integer", "low, high", do_integer, N_OPS, false, false},
    {"known", "x", weights_known, N_OPS, false, false},
    {"weights", "of", weights_list, N_OPS, false, false},
    {"renamed", "file, layout=, partial=, scale=", NULL, N_OPS, false, false}, // renamed_expr()
    {"assert", "condition, message=", do_assert, N_OPS, false, false},
    {"div", "x, y", do_div, N_OPS, false, false},
    {"normal", "", NULL, N_OPS, true, false},
    {"uniform", "", NULL, N_OPS, true, false},
    {"bernoulli", "", NULL, N_OPS, true, false},
    {"integers", "", NULL, N_OPS, true, false},
    {"zeros", "", NULL, N_OPS, true, false},
    {"ones", "", NULL, N_OPS, true, false},
    {"leading", "", NULL, N_OPS, false, true},
    {"same", "", NULL, N_OPS, false, true},
    {"valid", "", NULL, N_OPS, false, true},
    {"oihw", "", NULL, N_OPS, false, true},
};
enum { N_TABLE = sizeof table / sizeof *table };

// The operations that are called by their names, as builtins. Made once a run.
static const Builtin *operation(Elab *e, Op op) {
  if (!e->builtins)
    e->builtins = arena_array(e->s->perm, Builtin, N_OPS);
  Builtin *b = &e->builtins[op];
  if (!b->name)
    *b = (Builtin){.name = intern(e->s, op_table[op]->name),
                   .sig = op_table[op]->sig,
                   .make = do_elementwise,
                   .op = op};
  return b;
}

static void number_builtins(Elab *e) {
  for (uint32_t op = 0; op < N_OPS; op++)
    if (op_table[op]->flags & OPF_USER)
      names_set(e->s->perm, &e->builtin_names, intern(e->s, op_table[op]->name), N_TABLE + op + 1);
  for (uint32_t i = 0; i < N_TABLE; i++)
    names_set(e->s->perm, &e->builtin_names, intern(e->s, table[i].name), i + 1);
}

// `name` is interned.
const Builtin *builtin_find(Elab *e, const char *name) {
  if (!e->builtin_names.n)
    number_builtins(e);
  uint32_t number = names_get(&e->builtin_names, name);
  if (number > N_TABLE)
    return operation(e, number - N_TABLE - 1);
  return number ? &table[number - 1] : NULL;
}

uint32_t builtin_names(Elab *e, const char *const **names) {
  BUF(const char *) list = {0};
  for (uint32_t i = 0; i < N_TABLE; i++)
    buf_push(e->s->perm, &list, table[i].name);
  for (uint32_t op = 0; op < N_OPS; op++)
    if (op_table[op]->flags & OPF_USER)
      buf_push(e->s->perm, &list, op_table[op]->name);
  *names = list.at;
  return list.n;
}

// ---- arguments by the signature ---------------------------------------------------------------

enum { MAX_PARAMS = 7 };
typedef struct {
  const char *name[MAX_PARAMS];
  bool optional[MAX_PARAMS];
  uint32_t n;
} Sig;

static Sig parse_sig(Elab *e, const char *sig) {
  Sig out = {0};
  while (*sig && *sig != ';') {
    size_t n = strcspn(sig, ",;= ");
    out.name[out.n] = intern_n(e->s, sig, n);
    sig += n;
    out.optional[out.n++] = *sig == '=';
    sig += strspn(sig, "=, ");
  }
  return out;
}

// `write`: what an argument of that name is called here, or NULL; `extra`: advice on it, or NULL;
// none: no argument is given.
static Val wrong_arguments(Elab *e, const Builtin *b, const Sig *sig, Span span, const char *why,
                           const char *write, const char *extra, bool none) {
  Text list = {.arena = e->s->perm};
  for (uint32_t i = 0; i < sig->n; i++)
    text_printf(&list, "%s%s%s", i ? ", " : "", sig->name[i], sig->optional[i] ? " = ..." : "");
  Diagnostic *d = elab_error(e, span, "wrong-arguments", "%s: %s", b->name, why);
  for (uint32_t i = 0; write && i < sig->n; i++)
    if (strcmp(sig->name[i], write) == 0) {
      diag_note(e->s, d, (Span){0}, "did you mean `%s`?", write);
      return val_error();
    }
  if (extra)
    diag_note(e->s, d, (Span){0}, "%s", extra);
  diag_note(e->s, d, (Span){0}, "it is called as %s(%s)%s", b->name, list.n ? list.at : "",
            none ? arena_printf(e->s->perm, "; the function itself is `%s`, without ( )", b->name)
                 : "");
  return val_error();
}

Val builtin_call(Elab *e, const Builtin *b, Arg *arg, uint32_t n, Span span, const Type *want) {
  if (!b->make) {
    elab_error(e, span, "not-callable", "`%s` can't be called", b->name);
    return val_error();
  }
  Sig sig = parse_sig(e, b->sig);
  Arg of[MAX_PARAMS];
  bool given[MAX_PARAMS] = {false};
  for (uint32_t i = 0; i < MAX_PARAMS; i++)
    of[i] = (Arg){.v = val_kind(V_NONE), .span = span};
  for (uint32_t i = 0, position = 0; i < n; i++) {
    uint32_t k = arg[i].name ? 0 : position++;
    while (arg[i].name && k < sig.n && sig.name[k] != arg[i].name)
      k++;
    if (k >= sig.n)
      return wrong_arguments(e, b, &sig, arg[i].name ? arg[i].name_span : arg[i].span,
                             arg[i].name
                                 ? arena_printf(e->s->perm, "it has no argument `%s`", arg[i].name)
                                 : "too many arguments",
                             arg[i].name ? foreign_argument(arg[i].name) : NULL,
                             arg[i].name ? foreign_extra(arg[i].name) : NULL, false);
    if (given[k])
      return wrong_arguments(e, b, &sig, arg[i].span,
                             arena_printf(e->s->perm, "`%s` is given twice", sig.name[k]), NULL,
                             NULL, false);
    given[k] = true;
    of[k] = arg[i];
    if (of[k].v.kind == V_ERROR)
      return val_error();
  }
  for (uint32_t k = 0; k < sig.n; k++)
    if (!given[k] && !sig.optional[k])
      return wrong_arguments(e, b, &sig, span,
                             arena_printf(e->s->perm, "the argument `%s` is missing", sig.name[k]),
                             NULL, NULL, n == 0);
  return b->make(e, b, of, span, want);
}
