// Walks all operation records. Each must be complete; its examples must build, verify, print and
// read back, and evaluate; its gradient must agree with central differences to second order; its
// folds with what they replace; its batch rule with row after row. A record without the data for
// this fails.
#include "optest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  Session *s;
  Draw draw;
} Walk;

// ---- completeness ------------------------------------------------------------------------------

static const char *missing_text(const OpDef *def) {
  if (!def->doc || strlen(def->doc) < 4)
    return "no doc";
  if (!def->sig)
    return "no sig";
  if (!def->math || !*def->math)
    return "no math";
  return def->example ? NULL : "no example";
}

static const char *missing_rules(const OpDef *def) {
  bool zero = def->flags & OPF_ZERO_GRAD, none = def->flags & (OPF_NO_GRAD | OPF_LAYOUT);
  if (!def->type_fn && def->results != RESULT_NONE)
    return "no type rule";
  if (!def->eval && def->kind != K_CONTROL)
    return "no eval";
  if (def->kind != K_SOURCE && (def->grad != NULL) + zero + none != 1)
    return "not exactly one of grad, ZERO_GRAD, NO_GRAD";
  if ((def->flags & OPF_KINK) && !def->n_kinks && !def->domain)
    return "kinks without saying where";
  return NULL;
}

// One way to be compiled. What only moves or makes elements is an index map in the code generator,
// what reduces says how two values combine.
static const char *wrong_ways(const OpDef *def) {
  int ways =
      (def->emit != NULL) + (def->kernel != NULL) + (def->lower != NULL) + (def->combine != NULL);
  if (ways > 1)
    return "more than one way to be compiled";
  if (def->kind == K_ELEM && !def->emit)
    return "elementwise without emit";
  if ((def->kind == K_CONTRACT || def->kind == K_INDEX || def->kind == K_RANDOM) && !def->kernel)
    return "no kernel";
  if (def->kind == K_REDUCE && !def->combine && !(def->flags & OPF_ZERO_GRAD))
    return "a reduction that does not say how two values combine";
  return NULL;
}

static void test_complete(Op op) {
  const OpDef *def = op_table[op];
  const char *wrong = missing_text(def);
  wrong = wrong ? wrong : missing_rules(def);
  wrong = wrong ? wrong : wrong_ways(def);
  if (!wrong && op_find(def->name) != op)
    wrong = "it is not found by its name";
  report(!wrong, "ops_walk/complete", def->name, wrong);
}

// ---- one example as a function -----------------------------------------------------------------

typedef struct {
  Module *m;
  Function *f;
  Builder b;
  Value *arg[MOST_ARGS];
  uint32_t n_arg;
} Build;

static Build begin(Walk *w, const Type *types, uint32_t n) {
  Build f = {.m = module_create(w->s), .n_arg = n};
  f.f = ir_function(f.m, "f");
  for (uint32_t i = 0; i < n; i++)
    f.arg[i] = ir_add_arg(f.f, types[i], (Port){NNRT_COLUMN, i, NULL});
  f.b = (Builder){.m = f.m, .region = f.f->body};
  return f;
}

static void finish(Build *f, Value *const *values, uint32_t n) {
  Port *ports = arena_array(f->m->arena, Port, n + 1);
  for (uint32_t i = 0; i < n; i++)
    ports[i] = (Port){NNRT_OUTPUT, i, NULL};
  ir_return(&f->b, values, ports, n);
}

static const char *printed(Module *m) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  return text.at;
}

static const char *check_text(Walk *w, Module *m) {
  const char *first = printed(m);
  uint32_t file = source_add(w->s, "printed.ir", first, strlen(first));
  Module *again = ir_read(w->s, file);
  if (!again)
    return arena_printf(w->s->perm, "not read back: %s", w->s->diag.at[w->s->diag.n - 1]->text);
  return strcmp(first, printed(again)) ? "printed differently after reading" : NULL;
}

static bool is_special(Op op) { // their examples can't stand alone
  return op_table[op]->results == RESULT_OF_BODY || op_table[op]->flags & OPF_TERMINATOR;
}

static const char *check_example(Walk *w, Op op, const Example *e) {
  Build f = begin(w, e->arg, e->n_arg);
  if (is_special(op))
    return NULL;
  Inst *inst = apply_example(&f.b, op, e, f.arg);
  finish(&f, inst->result, inst->n_results);
  const char *wrong = ir_verify(f.m);
  wrong = wrong ? wrong : check_text(w, f.m);
  if (wrong || !op_table[op]->eval)
    return wrong;
  Tensor *in[MOST_ARGS], *out[MOST_ARGS];
  for (uint32_t i = 0; i < e->n_arg; i++)
    in[i] = draw_tensor(&w->draw, w->s->perm, op_table[op], &e->arg[i], 3);
  return ir_eval(f.f, 3, (const Tensor *const *)in, out, w->s->perm);
}

// ---- gradients against central differences -----------------------------------------------------

// Weights that differ from element to element, so that a gradient in the wrong place shows.
static Value *weighted_sum(Build *f, Value *x, double phase) {
  Tensor *weights = tensor_new(f->m->arena, x->type, 1);
  uint32_t axes[MAX_RANK];
  weights->type.range = 0;
  for (int64_t i = 0; i < weights->count; i++)
    weights->at[i] = cos(phase + 1.7 * (double)i);
  for (uint32_t i = 0; i < x->type.rank; i++)
    axes[i] = i;
  Value *y = ir_binary(&f->b, OP_mul, x, ir_literal(&f->b, weights));
  return ir_sum(&f->b, y, axes, x->type.rank);
}

typedef struct {
  uint32_t wrt[MOST_ARGS], n;
} Wrt;

static Wrt float_args(const Example *e) {
  Wrt wrt = {.n = 0};
  for (uint32_t i = 0; i < e->n_arg; i++)
    if (elem_is_float(e->arg[i].elem))
      wrt.wrt[wrt.n++] = i;
  return wrt;
}

static void put_gradients(Build *f, const Wrt *wrt, Value *loss, Value **out) {
  Value *args[MOST_ARGS + 1] = {loss};
  for (uint32_t i = 0; i < wrt->n; i++)
    args[i + 1] = f->arg[wrt->wrt[i]];
  Inst *g = ir_inst(&f->b, OP_grad, args, wrt->n + 1, NULL, 0);
  for (uint32_t i = 0; i < wrt->n; i++)
    out[i] = g->result[i];
}

// Returns loss, its gradients, a second loss made of these, and its gradients.
static Build gradient_function(Walk *w, Op op, const Example *e, const Wrt *wrt) {
  Build f = begin(w, e->arg, e->n_arg);
  Value *out[4 * MOST_ARGS], *y = apply_example(&f.b, op, e, f.arg)->result[0], *second = NULL;
  ElemType elem = f.arg[wrt->wrt[0]]->type.elem;
  out[0] = weighted_sum(&f, ir_convert(&f.b, y, elem), 0.3);
  put_gradients(&f, wrt, out[0], out + 1);
  for (uint32_t i = 0; i < wrt->n; i++) {
    Value *part = weighted_sum(&f, out[1 + i], 1 + i);
    second = second ? ir_binary(&f.b, OP_add, second, part) : part;
  }
  out[1 + wrt->n] = second;
  put_gradients(&f, wrt, second, out + 2 + wrt->n);
  finish(&f, out, 2 + 2 * wrt->n);
  return f;
}

typedef struct {
  const Function *f;
  Tensor **in;
  uint32_t loss, gradient; // numbers of results
  Arena *arena;
} Slope;

static double loss_at(const Slope *s, double *x, double value) {
  Tensor *out[4 * MOST_ARGS];
  double old = *x;
  *x = value;
  ir_eval(s->f, 1, (const Tensor *const *)s->in, out, s->arena);
  *x = old;
  return out[s->loss]->at[0];
}

// The greatest difference between the gradient of argument `arg` and the slope of the loss.
static double worst_slope(const Slope *s, Tensor *arg, const Tensor *gradient) {
  const double h = 1e-5;
  double worst = 0;
  for (int64_t i = 0; i < arg->count; i++) {
    double x = arg->at[i];
    double slope = (loss_at(s, &arg->at[i], x + h) - loss_at(s, &arg->at[i], x - h)) / (2 * h);
    double off = fabs(slope - gradient->at[i]) / (1 + fabs(slope));
    worst = off <= worst ? worst : off; // NaN is worse than anything
  }
  return worst;
}

static const char *compare_slopes(Walk *w, const Build *f, const Wrt *wrt, Tensor **in) {
  Tensor *out[4 * MOST_ARGS];
  const char *wrong = ir_eval(f->f, 1, (const Tensor *const *)in, out, w->s->perm);
  for (uint32_t order = 0; !wrong && order < 2; order++)
    for (uint32_t i = 0; !wrong && i < wrt->n; i++) {
      uint32_t loss = order * (1 + wrt->n);
      Arena *arena = arena_create();
      Slope slope = {f->f, in, loss, loss + 1 + i, arena};
      double off = worst_slope(&slope, in[wrt->wrt[i]], out[loss + 1 + i]);
      arena_destroy(arena);
      if (!(off < 2e-6))
        wrong = arena_printf(w->s->perm, "order %u, argument %u: off by %g", order + 1, wrt->wrt[i],
                             off);
    }
  return wrong;
}

// Folding and stable forms must not change what is computed (constants are rounded to f32).
static const char *compare_simplified(Walk *w, Op op, const Example *e, const Wrt *wrt,
                                      const Build *f, Tensor **in) {
  Build g = gradient_function(w, op, e, wrt);
  Tensor *a[4 * MOST_ARGS], *b[4 * MOST_ARGS];
  pass_simplify(g.m);
  pass_grad(g.m);
  pass_simplify(g.m);
  const char *wrong = ir_verify(g.m);
  if (wrong)
    return wrong;
  ir_eval(f->f, 1, (const Tensor *const *)in, a, w->s->perm);
  if ((wrong = ir_eval(g.f, 1, (const Tensor *const *)in, b, w->s->perm)))
    return wrong;
  for (uint32_t i = 0; i < 2 + 2 * wrt->n; i++)
    if (!(difference(a[i], b[i]) < 2e-6))
      return arena_printf(w->s->perm, "simplified, result %u is off by %g", i,
                          difference(a[i], b[i]));
  return NULL;
}

static const char *check_gradient(Walk *w, Op op, const Example *e) {
  const OpDef *def = op_table[op];
  Wrt wrt = float_args(e);
  if (def->kind == K_CONTROL || (def->flags & OPF_LAYOUT) || wrt.n == 0)
    return NULL;
  Build f = gradient_function(w, op, e, &wrt);
  pass_grad(f.m);
  const char *wrong = ir_verify(f.m);
  Tensor *in[MOST_ARGS];
  for (uint32_t i = 0; i < e->n_arg; i++)
    in[i] = draw_tensor(&w->draw, w->s->perm, def, &e->arg[i], 1);
  wrong = wrong ? wrong : compare_slopes(w, &f, &wrt, in);
  return wrong ? wrong : compare_simplified(w, op, e, &wrt, &f, in);
}

// ---- constants: folding against evaluating -----------------------------------------------------

static const char *check_folding(Walk *w, Op op, const Example *e) {
  const OpDef *def = op_table[op];
  if (!def->fold)
    return NULL;
  Build f = begin(w, NULL, 0);
  Value *args[MOST_ARGS];
  for (uint32_t i = 0; i < e->n_arg; i++) {
    Type one = type_scalar(e->arg[i].elem);
    one.range = e->arg[i].range;
    float value = (float)draw_tensor(&w->draw, w->s->perm, def, &one, 1)->at[0];
    args[i] = ir_const(&f.b, e->arg[i], value);
  }
  Inst *inst = apply_example(&f.b, op, e, args);
  Value *folded = def->fold(&f.b, inst), *both[] = {inst->result[0], folded};
  if (!folded)
    return NULL;
  finish(&f, both, 2);
  Tensor *out[2];
  const char *wrong = ir_verify(f.m);
  wrong = wrong ? wrong : ir_eval(f.f, 1, NULL, out, w->s->perm);
  if (wrong)
    return wrong;
  return difference(out[0], out[1]) < 1e-6 ? NULL : "folding constants gives other values";
}

// ---- per example, then batched, against row after row ------------------------------------------

enum { ROWS = 3 };

static Tensor *row_of(Walk *w, const Tensor *t, const Type *type, int64_t row) {
  Tensor *one = tensor_new(w->s->perm, *type, 1);
  memcpy(one->at, t->at + row * one->count, sizeof(double) * (size_t)one->count);
  return one;
}

static const char *compare_rows(Walk *w, Op op, const Example *e, uint32_t mask, const Build *f) {
  Tensor *in[MOST_ARGS], *out[MOST_ARGS];
  for (uint32_t i = 0; i < e->n_arg; i++)
    in[i] = draw_tensor(&w->draw, w->s->perm, op_table[op], &f->f->body->arg[i]->type, ROWS);
  const char *wrong = ir_eval(f->f, ROWS, (const Tensor *const *)in, out, w->s->perm);
  for (int64_t row = 0; !wrong && row < ROWS; row++) {
    Build g = begin(w, e->arg, e->n_arg);
    Tensor *row_in[MOST_ARGS], *row_out[MOST_ARGS];
    Inst *inst = apply_example(&g.b, op, e, g.arg);
    finish(&g, inst->result, 1);
    for (uint32_t i = 0; i < e->n_arg; i++)
      row_in[i] = mask >> i & 1 ? row_of(w, in[i], &e->arg[i], row) : in[i];
    wrong = ir_eval(g.f, ROWS, (const Tensor *const *)row_in, row_out, w->s->perm);
    Tensor *part = row_of(w, out[0], &inst->result[0]->type, row);
    if (!wrong && !(difference(row_out[0], part) < 1e-12))
      wrong = arena_printf(w->s->perm, "row %d differs", (int)row);
  }
  return wrong;
}

static const char *check_batched(Walk *w, Op op, const Example *e, uint32_t mask) {
  Example rows = *e;
  for (uint32_t i = 0; i < e->n_arg; i++)
    rows.arg[i].batched = mask >> i & 1;
  Build f = begin(w, rows.arg, rows.n_arg);
  Type result[MOST_ARGS];
  const char *wrong = ir_check(f.m, op, f.arg, f.n_arg, e->attr, attribute_count(f.m, op), result);
  if (wrong)
    return op_table[op]->kind == K_RANDOM ? NULL : wrong; // seed and step are the same for all rows
  Inst *inst = apply_example(&f.b, op, &rows, f.arg);
  if (!inst->result[0]->type.batched)
    return "the result of batched arguments is not batched";
  finish(&f, inst->result, 1);
  if ((wrong = check_text(w, f.m)))
    return wrong;
  pass_batch(f.m);
  wrong = ir_verify(f.m);
  return wrong ? wrong : compare_rows(w, op, e, mask, &f);
}

static const char *check_all_batched(Walk *w, Op op, const Example *e) {
  const char *wrong = NULL;
  if (op_table[op]->kind == K_CONTROL || (op_table[op]->flags & OPF_LAYOUT))
    return NULL;
  for (uint32_t mask = 1; !wrong && mask < 1u << e->n_arg; mask++)
    wrong = check_batched(w, op, e, mask);
  return wrong;
}

// --------------------------------------------------------------------------------------------------

static void test_examples(Op op, const char *test,
                          const char *(*check)(Walk *, Op, const Example *)) {
  Session *s = session_create();
  Walk w = {s, {1000 + op}};
  Module *m = module_create(s);
  Example example[MOST_EXAMPLES];
  uint32_t n;
  const char *wrong = read_examples(m, op, example, &n);
  for (uint32_t i = 0; !wrong && i < n; i++)
    if ((wrong = check(&w, op, &example[i])))
      wrong = arena_printf(s->perm, "%s (example: %.60s)", wrong, example[i].text);
  char name[64];
  snprintf(name, sizeof name, "ops_walk/%s", test);
  report(!wrong, name, op_table[op]->name, wrong);
  session_destroy(s);
}

int main(void) {
  for (Op op = 0; op < N_OPS; op++) {
    test_complete(op);
    if (!op_table[op]->example)
      continue;
    test_examples(op, "example", check_example);
    test_examples(op, "gradient", check_gradient);
    test_examples(op, "folding", check_folding);
    test_examples(op, "batched", check_all_batched);
  }
  return report_status();
}
