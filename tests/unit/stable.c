// The stable forms of pass simplify, in the compiled code's float32, at inputs where the formula as
// written overflows, cancels or divides 0 by 0: values and gradients are finite and right, and
// those of the plain formula are not (a test that can't tell the two apart would test nothing).
#include "compiled.h"
#include "optest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = 4 };

// A formula of %0 (and %2, a label), its value to be multiplied by %1 and added up.
typedef struct {
  const char *name, *x_type, *y_type, *label, *text;
  bool one_per_row;
  double absolute; // how far values may be off; 0: by a part of themselves only
  // Exact: the value at row `x` (class k), and the gradient with respect to class i of a sum of
  // c[k] times the value at class k.
  double (*value)(const double *x, int label, int k);
  double (*slope)(const double *x, int label, int k, int i);
} Form;

static double sigmoid(double x) {
  return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}

static double softplus(double x) {
  return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
}

static double log_sum(const double *x) {
  double most = x[0], sum = 0;
  for (int i = 1; i < CLASSES; i++)
    most = x[i] > most ? x[i] : most;
  for (int i = 0; i < CLASSES; i++)
    sum += exp(x[i] - most);
  return most + log(sum);
}

static double share(const double *x, int k) {
  return exp(x[k] - log_sum(x));
}

#define UNUSED_ROW (void)label, (void)k
#define ONE_NUMBER(name, y, dy)                                                                    \
  static double value_##name(const double *x, int label, int k) {                                  \
    UNUSED_ROW;                                                                                    \
    return y;                                                                                      \
  }                                                                                                \
  static double slope_##name(const double *x, int label, int k, int i) {                           \
    UNUSED_ROW;                                                                                    \
    (void)i;                                                                                       \
    return dy;                                                                                     \
  }
ONE_NUMBER(sigmoid, sigmoid(x[0]), sigmoid(x[0]) * sigmoid(-x[0]))
ONE_NUMBER(log_sigmoid, -softplus(-x[0]), sigmoid(-x[0]))
ONE_NUMBER(log_other, -softplus(x[0]), -sigmoid(x[0]))
ONE_NUMBER(softplus, softplus(x[0]), sigmoid(x[0]))
ONE_NUMBER(softmax, share(x, k), share(x, k) * ((i == k) - share(x, i)))
ONE_NUMBER(log_softmax, x[k] - log_sum(x), (i == k) - share(x, i))
ONE_NUMBER(log_sum, log_sum(x), share(x, i))
ONE_NUMBER(log_pick, x[label] - log_sum(x), (i == label) - share(x, i))

#define SOFTMAX                                                                                    \
  "  %10 = exp %0 : f32[N, 4]\n"                                                                   \
  "  %11 = sum %10 axes=[1] : f32[N]\n"                                                            \
  "  %12 = broadcast %11 axes=[0] to=[N, 4] : f32[N, 4]\n"                                         \
  "  %13 = div %10, %12 : f32[N, 4]\n"
#define ONE "  %10 = const elem=f32 dims=[N] value=1 : f32[N]\n"
#define EXACT(name) .value = value_##name, .slope = slope_##name
#define PER_ROW .x_type = "f32[N]", .y_type = "f32[N]", .one_per_row = true

static const Form forms[] = {
    {"1 / (1 + exp(-x))", PER_ROW, EXACT(sigmoid),
     .text = ONE "  %11 = neg %0 : f32[N]\n  %12 = exp %11 : f32[N]\n"
                 "  %13 = add %10, %12 : f32[N]\n  %20 = div %10, %13 : f32[N]\n"},
    {"log(sigmoid(x))", PER_ROW, EXACT(log_sigmoid),
     .text = "  %10 = sigmoid %0 : f32[N]\n  %20 = log %10 : f32[N]\n"},
    {"log(1 - sigmoid(x))", PER_ROW, EXACT(log_other),
     .text = ONE "  %11 = sigmoid %0 : f32[N]\n  %12 = sub %10, %11 : f32[N]\n"
                 "  %20 = log %12 : f32[N]\n"},
    {"log(1 + exp(x))", PER_ROW, EXACT(softplus),
     .text = ONE "  %11 = exp %0 : f32[N]\n  %12 = add %10, %11 : f32[N]\n"
                 "  %20 = log %12 : f32[N]\n"},
    {"log1p(exp(x))", PER_ROW, EXACT(softplus),
     .text = "  %10 = exp %0 : f32[N]\n  %20 = log1p %10 : f32[N]\n"},
    {"softmax", .x_type = "f32[N, 4]", .y_type = "f32[N, 4]", EXACT(softmax),
     .text = SOFTMAX "  %20 = reshape %13 to=[N, 4] : f32[N, 4]\n"},
    {"log(softmax)", .x_type = "f32[N, 4]", .y_type = "f32[N, 4]", EXACT(log_softmax),
     .absolute = 1e-6, .text = SOFTMAX "  %20 = log %13 : f32[N, 4]\n"},
    {"log(sum(exp(x)))", .x_type = "f32[N, 4]", .y_type = "f32[N]", EXACT(log_sum),
     .one_per_row = true,
     .text = "  %10 = exp %0 : f32[N, 4]\n  %11 = sum %10 axes=[1] : f32[N]\n"
             "  %20 = log %11 : f32[N]\n"},
    {"log(softmax[label])", .x_type = "f32[N, 4]", .y_type = "f32[N]", EXACT(log_pick),
     .one_per_row = true, .absolute = 1e-6,
     .text = SOFTMAX "  %14 = broadcast %2 axes=[0] to=[N, 4] : i32[N, 4]<4>\n"
                     "  %15 = iota dims=[N, 4] axis=1 elem=i32 : i32[N, 4]\n"
                     "  %16 = eq %14, %15 : bool[N, 4]\n"
                     "  %17 = const elem=f32 dims=[N, 4] value=0 : f32[N, 4]\n"
                     "  %18 = select %16, %13, %17 : f32[N, 4]\n"
                     "  %19 = sum %18 axes=[1] : f32[N]\n  %20 = log %19 : f32[N]\n"},
};

// ---- inputs ------------------------------------------------------------------------------------

static const double rows[][CLASSES] = {
    {0, 0, 0, 0},         {1e4, -1e4, 0, 1},      {-1e4, -1e4, -1e4, -1e4},
    {1e4, 1e4, 0, -1e4},  {88, 89, 90, -90},      {-1e4, 1e4, 1e4, 0},
    {20, -20, 0.5, -0.5}, {-100, -104, -90, -88}, {-20, 1, 2, 3},
    {100, 0, -100, 1e4},  {5, -5, 3, 0},          {-5, 1e4, -1e4, 2},
};
enum { ROWS = sizeof rows / sizeof *rows };

static double weight_of(int row, int k) {
  return 0.5 + 0.25 * ((row + 3 * k) % 5);
}

static const Tensor **arguments(Arena *arena, const Function *f, const Form *form) {
  const Tensor **args = arena_array(arena, const Tensor *, 3);
  int wide = form->x_type[4] == 'N' && form->x_type[5] == ',' ? CLASSES : 1;
  Tensor *t[3];
  for (uint32_t i = 0; i < 3; i++)
    args[i] = t[i] = tensor_new(arena, f->body->arg[i]->type, ROWS);
  for (int r = 0; r < ROWS; r++) {
    for (int k = 0; k < wide; k++)
      t[0]->at[r * wide + k] = rows[r][k];
    for (int k = 0; k < (form->one_per_row ? 1 : CLASSES); k++)
      t[1]->at[r * (form->one_per_row ? 1 : CLASSES) + k] = weight_of(r, k);
    t[2]->at[r] = r % CLASSES;
  }
  return args;
}

// ---- the program, with and without simplify ----------------------------------------------------

static Module *program(Session *s, const Form *form, bool stable) {
  bool flat = form->one_per_row;
  const char *text = arena_printf(
      s->perm,
      "func @f(%%0: %s column 0, %%1: %s column 1, %%2: i32[N]<4> column 2) {\n%s"
      "  %%21 = mul %%20, %%1 : %s\n  %%22 = sum %%21 axes=%s : f32\n"
      "  %%23 = grad %%22, %%0 : %s\n  return %%20 output 0, %%23 output 1\n}\n",
      form->x_type, form->y_type, form->text, form->y_type, flat ? "[0]" : "[0, 1]", form->x_type);
  Module *m = ir_read(s, source_add(s, "form.ir", text, strlen(text)));
  if (!m)
    return NULL;
  if (stable)
    pass_simplify(m);
  pass_grad(m);
  if (stable)
    pass_simplify(m);
  pass_cse(m);
  return m;
}

static const char *run(const Backend *backend, Session *s, const Form *form, bool stable,
                       Tensor **results) {
  Module *m = program(s, form, stable);
  CodegenOptions options = {"native", BLAS_OWN, 1};
  Compiled c;
  const char *why = m ? make_groups(m) : "the program can't be read";
  if (!why)
    why = compiled_open(backend, m, &options, ROWS, &c);
  if (why)
    return why;
  why = compiled_run(&c, 0, ROWS, arguments(s->perm, m->fn.at[0], form), results);
  compiled_close(&c);
  return why;
}

// ---- judgement ---------------------------------------------------------------------------------

static bool near(double got, double want, double relative, double absolute) {
  return isfinite(got) && fabs(got - want) <= relative * fabs(want) + absolute;
}

// Values to a part of themselves: what is small must not be lost beside 1. Numbers that float32
// can't hold are 0. (The logarithm of a share near 1 is a difference of numbers near 1.)
static const char *wrong_value(Session *s, const Form *form, const Tensor *y) {
  int wide = form->one_per_row ? 1 : CLASSES;
  for (int r = 0; r < ROWS; r++)
    for (int k = 0; k < wide; k++) {
      double want = form->value(rows[r], r % CLASSES, k), got = y->at[r * wide + k];
      if (!near(got, want, 3e-6, form->absolute + 1e-37))
        return arena_printf(s->perm, "row %d, value %d is %.9g, should be %.9g", r, k, got, want);
    }
  return NULL;
}

static double exact_gradient(const Form *form, int r, int i) {
  double sum = 0;
  for (int k = 0; k < (form->one_per_row ? 1 : CLASSES); k++)
    sum += weight_of(r, k) * form->slope(rows[r], r % CLASSES, k, i);
  return sum;
}

static const char *wrong_gradient(Session *s, const Form *form, const Tensor *dx) {
  int wide = dx->type.rank == 2 ? CLASSES : 1;
  for (int r = 0; r < ROWS; r++)
    for (int i = 0; i < wide; i++) {
      double want = exact_gradient(form, r, i), got = dx->at[r * wide + i];
      if (!near(got, want, 3e-6, 1e-6))
        return arena_printf(s->perm, "row %d, gradient %d is %.9g, should be %.9g", r, i, got,
                            want);
    }
  return NULL;
}

static void test_form(const Backend *backend, const Form *form) {
  Session *s = session_create();
  Tensor *plain[2], *stable[2];
  const char *why = run(backend, s, form, false, plain);
  if (!why)
    why = run(backend, s, form, true, stable);
  const char *name = form->name;
  report(!why, "stable: it runs", name, why);
  if (!why) {
    const char *value = wrong_value(s, form, stable[0]),
               *slope = wrong_gradient(s, form, stable[1]);
    report(!value, "stable: values", name, value);
    report(!slope, "stable: gradients", name, slope);
    bool differs = wrong_value(s, form, plain[0]) || wrong_gradient(s, form, plain[1]);
    report(differs, "stable: the plain formula fails", name, "it is right everywhere, too");
  }
  session_destroy(s);
}

int main(void) {
  Session *s = session_create();
  Backend backend;
  const char *why = backend_load(s, &backend);
  report(!why, "stable", "code generator loads", why);
  for (size_t i = 0; !why && i < sizeof forms / sizeof *forms; i++)
    test_form(&backend, &forms[i]);
  session_destroy(s);
  return report_status();
}
