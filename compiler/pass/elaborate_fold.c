// Arithmetic on what is known when compiling (rule 10): whole numbers stay whole, nothing is cut
// off.
#include "pass/elaborate_core.h"

#include <math.h>
#include <string.h>

bool is_number(Val v) {
  return v.kind == V_INT || v.kind == V_FLOAT;
}
double number_of(Val v) {
  return v.kind == V_INT ? (double)v.i : v.f;
}

const char *operator_text(int op) { // for messages
  static const struct {
    int op;
    const char *text;
  } table[] = {{OP_NOT, "`not`"}, {OP_AND, "`and`"}, {OP_OR, "`or`"}, {OP_EQ, "`==`"},
               {OP_NE, "`!=`"},   {OP_LE, "`<=`"},   {OP_GE, "`>=`"}, {'+', "`+`"},
               {'-', "`-`"},      {'*', "`*`"},      {'/', "`/`"},    {'%', "`%`"},
               {'@', "`@`"},      {'^', "`^`"},      {'<', "`<`"},    {'>', "`>`"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].op == op)
      return table[i].text;
  return "?";
}

// ---- numbers known when compiling -------------------------------------------------------------

bool fold_function(const char *name, const double *x, uint32_t n, double *out) {
  static const struct {
    const char *name;
    double (*f)(double);
  } one[] = {{"sqrt", sqrt},   {"exp", exp},     {"log", log}, {"abs", fabs}, {"floor", floor},
             {"round", rint},  {"ceil", ceil},   {"sin", sin}, {"cos", cos},  {"tanh", tanh},
             {"log1p", log1p}, {"expm1", expm1}, {"erf", erf}};
  static const struct {
    const char *name;
    double (*f)(double, double);
  } two[] = {{"pow", pow}, {"max", fmax}, {"min", fmin}};
  for (size_t i = 0; n == 1 && i < sizeof one / sizeof *one; i++)
    if (strcmp(one[i].name, name) == 0)
      return *out = one[i].f(x[0]), true;
  for (size_t i = 0; n == 2 && i < sizeof two / sizeof *two; i++)
    if (strcmp(two[i].name, name) == 0)
      return *out = two[i].f(x[0], x[1]), true;
  return false;
}

Val val_bool(bool b) {
  return (Val){.kind = V_BOOL, .i = b};
}

static Val fold_ints(Elab *e, int op, int64_t x, int64_t y, Span span) {
  int64_t r = 0;
  bool over = false;
  switch (op) {
  case '+':
    over = __builtin_add_overflow(x, y, &r);
    break;
  case '-':
    over = __builtin_sub_overflow(x, y, &r);
    break;
  case '*':
    over = __builtin_mul_overflow(x, y, &r);
    break;
  case '/':
    if (y == 0 || x % y) {
      Diagnostic *d = elab_error(e, span, "inexact-division", "%lld / %lld is not a whole number",
                                 (long long)x, (long long)y);
      diag_note(e->s, d, (Span){0},
                "write %lld.0 / %lld for a fraction, div(%lld, %lld) to round down", (long long)x,
                (long long)y, (long long)x, (long long)y);
      return val_error();
    }
    r = x / y;
    break;
  case '%':
    if (y <= 0) {
      elab_error(e, span, "inexact-division", "`%%` by %lld: it needs a positive number",
                 (long long)y);
      return val_error();
    }
    r = (x % y + y) % y;
    break;
  case '^':
    if (y < 0)
      return val_float(pow((double)x, (double)y));
    r = 1;
    for (int64_t i = 0; i < y && !over; i++)
      over = __builtin_mul_overflow(r, x, &r);
    break;
  }
  if (over) {
    elab_error(e, span, "too-large", "the result does not fit into 64 bits");
    return val_error();
  }
  return val_int(r);
}

static bool fold_compare(int op, double x, double y) {
  switch (op) {
  case OP_EQ:
    return x == y;
  case OP_NE:
    return x != y;
  case '<':
    return x < y;
  case '>':
    return x > y;
  case OP_LE:
    return x <= y;
  default:
    return x >= y;
  }
}

bool is_comparison(int op) {
  return op == OP_EQ || op == OP_NE || op == '<' || op == '>' || op == OP_LE || op == OP_GE;
}

Val fold_numbers(Elab *e, int op, Val a, Val b, Span span) {
  if (is_comparison(op))
    return val_bool(fold_compare(op, number_of(a), number_of(b)));
  if (a.kind == V_INT && b.kind == V_INT)
    return fold_ints(e, op, a.i, b.i, span);
  double x = number_of(a), y = number_of(b);
  switch (op) {
  case '+':
    return val_float(x + y);
  case '-':
    return val_float(x - y);
  case '*':
    return val_float(x * y);
  case '/':
    return val_float(x / y);
  case '^':
    return val_float(pow(x, y));
  }
  elab_error(e, span, "wrong-type", "%s needs whole numbers, found %s and %s", operator_text(op),
             val_text(e, a), val_text(e, b));
  return val_error();
}

bool is_simple(Val v) {
  return is_number(v) || v.kind == V_BOOL || v.kind == V_STRING;
}

// Equality of names of modes (`padding == same`) and of true and false; and, or.
// `false and x`, `true or x`: what is known decides; else x does.
static bool fold_known(int op, Val a, Val b, Val *out) {
  Val known = a.kind == V_BOOL ? a : b, other = a.kind == V_BOOL ? b : a;
  bool truth = other.kind == V_TENSOR && other.t->type.elem == TY_BOOL;
  if (known.kind != V_BOOL || !truth || (op != OP_AND && op != OP_OR))
    return false;
  return *out = (known.i != 0) == (op == OP_OR) ? known : other, true;
}

bool fold_other(int op, Val a, Val b, Val *out) {
  if (fold_known(op, a, b, out))
    return true;
  if (a.kind != b.kind || !is_simple(a))
    return false;
  bool same = a.kind == V_STRING ? strcmp(a.s, b.s) == 0 : a.i == b.i;
  if (op == OP_EQ || op == OP_NE)
    return *out = val_bool(same == (op == OP_EQ)), true;
  if (a.kind != V_BOOL || (op != OP_AND && op != OP_OR))
    return false;
  return *out = val_bool(op == OP_AND ? a.i && b.i : a.i || b.i), true;
}
