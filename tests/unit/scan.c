// scan: gradients of first and second order against central
// differences, and the same values after the passes, the last of which writes the turns out.
// Programs are IR text; the last result is the loss.
#include "optest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  const char *name, *text;
} Case;

static const Case cases[] = {
    {"recurrent layer",
     "func @f(%0: f32[4, 2, 3] column 0, %1: f32[2, 3] column 1, %2: f32[3, 3] param 0) {\n"
     "%3, %4 = scan %1, %2, %0 carries=1 captures=1 length=4 {\n"
     "  ^(%0: f32[2, 3], %1: f32[3, 3], %2: f32[2, 3])\n"
     "  %3 = dot %0, %1 ca=[1] cb=[0] : f32[2, 3]\n"
     "  %4 = add %3, %2 : f32[2, 3]\n"
     "  %5 = tanh %4 : f32[2, 3]\n"
     "  yield %5, %5\n"
     "} : f32[2, 3], f32[4, 2, 3]\n"
     "%5 = mul %4, %0 : f32[4, 2, 3]\n"
     "%6 = sum %5 axes=[0, 1, 2] : f32\n"
     "%7 = sum %3 axes=[0, 1] : f32\n"
     "%8 = add %6, %7 : f32\n"
     "return %8 output 0 }"},
    {"in reverse, without the last carry",
     "func @f(%0: f32[3, 2] column 0, %1: f32[2] column 1, %2: f32[2] param 0) {\n"
     "%3, %4 = scan %1, %2, %0 carries=1 captures=1 length=3 reverse=1 {\n"
     "  ^(%0: f32[2], %1: f32[2], %2: f32[2])\n"
     "  %3 = mul %0, %1 : f32[2]\n"
     "  %4 = sin %3 : f32[2]\n"
     "  %5 = mul %4, %2 : f32[2]\n"
     "  %6 = add %5, %0 : f32[2]\n"
     "  yield %6, %5\n"
     "} : f32[2], f32[3, 2]\n"
     "%5 = mul %4, %4 : f32[3, 2]\n"
     "%6 = sum %5 axes=[0, 1] : f32\n"
     "return %6 output 0 }"},
    {"two carries that change places, a count, a choice",
     "func @f(%0: f32[2] column 0, %1: f32[2] column 1) {\n"
     "%2 = const elem=i32 dims=[] value=0 : i32\n"
     "%3 = iota dims=[5] : i32[5]\n"
     "%4, %5, %6, %7 = scan %0, %1, %2, %3 carries=3 captures=0 length=5 {\n"
     "  ^(%0: f32[2], %1: f32[2], %2: i32, %3: i32)\n"
     "  %4 = const elem=i32 dims=[] value=2 : i32\n"
     "  %5 = lt %3, %4 : bool\n"
     "  %6 = broadcast %5 axes=[] to=[2] : bool[2]\n"
     "  %7 = exp %0 : f32[2]\n"
     "  %8 = mul %0, %1 : f32[2]\n"
     "  %9 = select %6, %7, %8 : f32[2]\n"
     "  %10 = sin %9 : f32[2]\n"
     "  %11 = add %2, %3 : i32\n"
     "  yield %1, %10, %11, %11\n"
     "} : f32[2], f32[2], i32, i32[5]\n"
     "%8 = mul %4, %5 : f32[2]\n"
     "%9 = sum %8 axes=[0] : f32\n"
     "return %9 output 0 }"},
    {"a scan in a scan, one weight in both",
     "func @f(%0: f32[2, 3, 2, 2] column 0, %1: f32[2, 2] column 1, %2: f32[2, 2] param 0) {\n"
     "%3, %4 = scan %1, %2, %0 carries=1 captures=1 length=2 {\n"
     "  ^(%0: f32[2, 2], %1: f32[2, 2], %2: f32[3, 2, 2])\n"
     "  %3 = dot %0, %1 ca=[1] cb=[0] : f32[2, 2]\n"
     "  %4, %5 = scan %3, %1, %2 carries=1 captures=1 length=3 reverse=1 {\n"
     "    ^(%0: f32[2, 2], %1: f32[2, 2], %2: f32[2, 2])\n"
     "    %3 = dot %0, %1 ca=[1] cb=[0] : f32[2, 2]\n"
     "    %4 = mul %3, %2 : f32[2, 2]\n"
     "    %5 = tanh %4 : f32[2, 2]\n"
     "    yield %5, %3\n"
     "  } : f32[2, 2], f32[3, 2, 2]\n"
     "  %6 = sum %5 axes=[0] : f32[2, 2]\n"
     "  %7 = mul %6, %4 : f32[2, 2]\n"
     "  yield %4, %7\n"
     "} : f32[2, 2], f32[2, 2, 2]\n"
     "%5 = sum %4 axes=[0, 1, 2] : f32\n"
     "return %5 output 0 }"},
    {"a bias, a table and a factor are captured",
     "func @f(%0: f32[3, 2] param 0, %1: f32[2] param 1, %2: f32 param 2, %3: i32[4]<3> column 0) "
     "{\n"
     "%4 = const elem=f32 dims=[2] value=0.5 : f32[2]\n"
     "%5 = scan %4, %0, %1, %2, %3 carries=1 captures=3 length=4 {\n"
     "  ^(%0: f32[2], %1: f32[3, 2], %2: f32[2], %3: f32, %4: i32<3>)\n"
     "  %5 = gather %1, %4 : f32[2]\n"
     "  %6 = add %0, %5 : f32[2]\n"
     "  %7 = add %6, %2 : f32[2]\n"
     "  %8 = broadcast %3 axes=[] to=[2] : f32[2]\n"
     "  %9 = mul %7, %8 : f32[2]\n"
     "  %10 = sin %9 : f32[2]\n"
     "  yield %10\n"
     "} : f32[2]\n"
     "%6 = sum %5 axes=[0] : f32\n"
     "return %6 output 0 }"},
    {"a product inside that feeds no carry, one outside it",
     "func @f(%0: f32[3, 2, 2] column 0, %1: f32[2, 2] param 0, %2: f32[2, 2] param 1) {\n"
     "%3 = const elem=f32 dims=[2, 2] value=0 : f32[2, 2]\n"
     "%4, %5 = scan %3, %1, %2, %0 carries=1 captures=2 length=3 {\n"
     "  ^(%0: f32[2, 2], %1: f32[2, 2], %2: f32[2, 2], %3: f32[2, 2])\n"
     "  %4 = exp %3 : f32[2, 2]\n"
     "  %5 = dot %4, %1 ca=[1] cb=[0] : f32[2, 2]\n"
     "  %6 = dot %1, %2 ca=[0] cb=[1] : f32[2, 2]\n"
     "  %7 = dot %0, %6 ca=[1] cb=[0] : f32[2, 2]\n"
     "  %8 = add %5, %7 : f32[2, 2]\n"
     "  %9 = sigmoid %8 : f32[2, 2]\n"
     "  %10 = dot %2, %9 ca=[1] cb=[0] : f32[2, 2]\n"
     "  %11 = mul %10, %9 : f32[2, 2]\n"
     "  yield %9, %11\n"
     "} : f32[2, 2], f32[3, 2, 2]\n"
     "%6 = sum %5 axes=[0, 1, 2] : f32\n"
     "return %6 output 0 }"},
};

typedef struct {
  Session *s;
  Module *m;
  Function *f;
  Tensor *in[MOST_ARGS];
  uint32_t wrt[MOST_ARGS], n_wrt;
} Program;

static Program read_program(Session *s, const Case *c) {
  Program p = {.s = s};
  p.m = ir_read(s, source_add(s, c->name, c->text, strlen(c->text)));
  if (!p.m)
    return p;
  p.f = p.m->fn.at[0];
  Draw draw = {77};
  for (uint32_t i = 0; i < p.f->body->n_arg; i++) {
    const Type *type = &p.f->body->arg[i]->type;
    p.in[i] = draw_tensor(&draw, s->perm, op_table[OP_add], type, 1);
    if (elem_is_float(type->elem))
      p.wrt[p.n_wrt++] = i;
  }
  return p;
}

// Weights that differ from element to element, so that a gradient in the wrong place shows.
static Value *weighted(Builder *b, Value *x, double phase) {
  Tensor *w = tensor_new(b->m->arena, x->type, 1);
  uint32_t axes[MAX_RANK];
  for (int64_t i = 0; i < w->count; i++)
    w->at[i] = cos(phase + 1.7 * (double)i);
  for (uint32_t i = 0; i < MAX_RANK; i++)
    axes[i] = i;
  return ir_sum(b, ir_binary(b, OP_mul, x, ir_literal(b, w)), axes, x->type.rank);
}

// The results become: loss, its gradients, a second loss made of these, and its gradients.
static void add_gradients(Program *p) {
  Inst *end = p->f->body->last;
  Builder b = {.m = p->m, .region = p->f->body, .before = end};
  Value *out[4 * MOST_ARGS], *args[MOST_ARGS + 1] = {end->arg[0]}, *second = NULL;
  Port ports[4 * MOST_ARGS];
  uint32_t n = p->n_wrt;
  for (uint32_t i = 0; i < n; i++)
    args[i + 1] = p->f->body->arg[p->wrt[i]];
  out[0] = args[0];
  Inst *g = ir_inst(&b, OP_grad, args, n + 1, NULL, 0);
  for (uint32_t i = 0; i < n; i++) {
    out[1 + i] = g->result[i];
    Value *part = weighted(&b, g->result[i], 1 + i);
    second = second ? ir_binary(&b, OP_add, second, part) : part;
  }
  args[0] = out[1 + n] = second;
  g = ir_inst(&b, OP_grad, args, n + 1, NULL, 0);
  for (uint32_t i = 0; i < n; i++)
    out[2 + n + i] = g->result[i];
  for (uint32_t i = 0; i < 2 + 2 * n; i++)
    ports[i] = (Port){NNRT_OUTPUT, i, NULL};
  ir_remove(end);
  b.before = NULL;
  ir_return(&b, out, ports, 2 + 2 * n);
}

static double loss_at(const Program *p, uint32_t loss, double *x, double value) {
  Tensor *out[4 * MOST_ARGS];
  Arena *arena = arena_create();
  double old = *x;
  *x = value;
  ir_eval(p->f, 1, (const Tensor *const *)p->in, out, arena);
  *x = old;
  double result = out[loss]->at[0];
  arena_destroy(arena);
  return result;
}

static double worst_slope(const Program *p, uint32_t loss, uint32_t arg, const Tensor *gradient) {
  const double h = 1e-5;
  double worst = 0;
  for (int64_t i = 0; i < p->in[arg]->count; i++) {
    double *at = &p->in[arg]->at[i], x = *at;
    double slope = (loss_at(p, loss, at, x + h) - loss_at(p, loss, at, x - h)) / (2 * h);
    double off = fabs(slope - gradient->at[i]) / (1 + fabs(slope));
    worst = off <= worst ? worst : off; // NaN is worse than anything
  }
  return worst;
}

static const char *check_slopes(Program *p) {
  Tensor *out[4 * MOST_ARGS];
  add_gradients(p);
  pass_grad(p->m);
  const char *wrong = ir_verify(p->m);
  wrong = wrong ? wrong : ir_eval(p->f, 1, (const Tensor *const *)p->in, out, p->s->perm);
  for (uint32_t order = 0; !wrong && order < 2; order++)
    for (uint32_t i = 0; !wrong && i < p->n_wrt; i++) {
      uint32_t loss = order * (1 + p->n_wrt);
      double off = worst_slope(p, loss, p->wrt[i], out[loss + 1 + i]);
      if (!(off < 2e-6))
        wrong =
            arena_printf(p->s->perm, "order %u, argument %u: off by %g", order + 1, p->wrt[i], off);
    }
  return wrong;
}

static const char *run_passes(Module *m) {
  void (*const passes[])(Module *) = {pass_simplify, pass_hoist, pass_grad,    pass_simplify,
                                      pass_cse,      pass_hoist, pass_simplify};
  for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
    passes[i](m);
    const char *wrong = ir_verify(m);
    if (wrong)
      return arena_printf(m->s->perm, "after pass %zu: %s", i, wrong);
  }
  return NULL;
}

static const char *printed(Module *m) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  return text.at;
}

static const char *check_text(Session *s, Module *m) {
  const char *first = printed(m);
  Module *again = ir_read(s, source_add(s, "printed.ir", first, strlen(first)));
  if (!again)
    return arena_printf(s->perm, "not read back: %s", s->diag.at[s->diag.n - 1]->text);
  return strcmp(first, printed(again)) ? "printed differently after reading" : NULL;
}

static const char *check_passes(Session *s, const Case *c, const Program *plain) {
  Program p = read_program(s, c);
  Tensor *a[4 * MOST_ARGS], *b[4 * MOST_ARGS];
  add_gradients(&p);
  const char *wrong = run_passes(p.m);
  wrong = wrong ? wrong : check_text(s, p.m);
  wrong = wrong ? wrong : ir_eval(plain->f, 1, (const Tensor *const *)plain->in, a, s->perm);
  wrong = wrong ? wrong : ir_eval(p.f, 1, (const Tensor *const *)plain->in, b, s->perm);
  for (uint32_t i = 0; !wrong && i < plain->f->n_result; i++)
    if (!(difference(a[i], b[i]) < 1e-6))
      wrong = arena_printf(s->perm, "after the passes result %u is off by %g", i,
                           difference(a[i], b[i]));
  return wrong;
}

int main(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Session *s = session_create();
    Program p = read_program(s, &cases[i]);
    const char *wrong = p.m ? check_slopes(&p) : s->diag.at[0]->text;
    report(!wrong, "scan/gradient", cases[i].name, wrong);
    wrong = p.m ? check_passes(s, &cases[i], &p) : wrong;
    report(!wrong, "scan/passes", cases[i].name, wrong);
    session_destroy(s);
  }
  return report_status();
}
