// Elementary functions of 16 lanes against libm in double: samples over all floats, and the edges.
// The bounds are those stated in the kernels.
#include "test.h"
#include "../../runtime/kernels/math.c"
#include "../../runtime/kernels/math64.c"

static int failed;

static void report(const char *name, bool ok, const char *why, double error, double at) {
  if (ok)
    printf("PASS math-v%d/%s (%.2f ulp)\n", NNRT_LEVEL, name, error);
  else
    printf("FAIL math-v%d/%s: %s (%.3g ulp at %a)\n", NNRT_LEVEL, name, why, error, at);
  failed += !ok;
}

// In units of the last place of a float (double: digits = 53, least = -1074) near `right`.
static double ulps(double got, double right, int digits, int least, double most) {
  if (isnan(got) || isnan(right))
    return isnan(got) && isnan(right) ? 0 : INFINITY;
  if (got == right)
    return signbit(got) == signbit(right) || right != 0 ? 0 : INFINITY;
  if (isinf(got) || isinf(right)) // rounding may cross the largest number
    return fabs(isinf(got) ? right : got) >= most ? 0.5 : INFINITY;
  int e;
  frexp(right, &e);
  e -= digits;
  return fabs(got - right) / ldexp(1, e < least ? least : e);
}
static double ulps32(double got, double right) {
  return ulps(got, right, 24, -149, 0x1.fffffep127);
}

static const float edges[] = {0.0f,
                              -0.0f,
                              0x1p-149f,
                              -0x1p-149f,
                              0x1p-126f,
                              -0x1p-126f,
                              0x1.fffffep127f,
                              -0x1.fffffep127f,
                              INFINITY,
                              -INFINITY,
                              NAN,
                              1.0f,
                              -1.0f,
                              0.5f,
                              -0.5f,
                              2.0f,
                              -2.0f,
                              88.72283f,
                              88.722839f,
                              -87.336f,
                              -103.97f,
                              -103.98f,
                              -104.1f,
                              1e-8f,
                              -1e-8f,
                              0x1p24f,
                              -0x1p24f,
                              1e10f,
                              -1e30f,
                              0.92773f,
                              0.92774f,
                              3.0f,
                              -3.0f,
                              3.5f,
                              -17.5f,
                              -0.99999994f,
                              0.41421f,
                              0.41422f,
                              -0.29289f,
                              -0.2928f,
                              9.999f,
                              10.001f,
                              0.70710677f,
                              0.70710683f};
enum { N_EDGES = sizeof edges / sizeof *edges };

typedef void Many(const float *x, float *y); // of 16
static void compare(const char *name, Many *f, double (*right)(double), double bound) {
  double worst = 0, where = 0;
  float x[LANES], y[LANES];
  for (uint64_t pattern = 0; pattern < 1ull << 32; pattern += 16 * 4099) {
    for (int i = 0; i < LANES; i++) {
      uint32_t bits32 = (uint32_t)(pattern + (uint64_t)i * 4099);
      memcpy(&x[i], &bits32, 4);
      // every third: where functions bend
      if (pattern / (16 * 4099) % 3 == 0)
        x[i] = (float)((double)(int32_t)bits32 * 0x1p-31 * (i & 1 ? 110 : 2));
      if (pattern < N_EDGES * 16 * 4099 && i == 5)
        x[i] = edges[pattern / (16 * 4099)];
    }
    f(x, y);
    for (int i = 0; i < LANES; i++) {
      double e = ulps32(y[i], right((double)x[i]));
      if (!(e <= worst))
        worst = e, where = x[i];
    }
  }
  report(name, worst <= bound, "too far from libm", worst, where);
}

static double sigmoid(double x) {
  return 1 / (1 + exp(-x));
}
static double softplus(double x) {
  return x > 40 ? x : log1p(exp(x));
}

#define MANY(name)                                                                                 \
  static __attribute__((noinline)) void many_##name(const float *x, float *y) {                    \
    *(v16f *)y = nnrt_##name##_f32(*(const v16f *)x);                                              \
  }
// clang-format off
MANY(exp) MANY(log) MANY(log1p) MANY(expm1) MANY(tanh) MANY(sigmoid) MANY(softplus) MANY(sin) MANY(cos) MANY(erf)
    // clang-format on

    static void test_pow(void) {
  double worst = 0, where = 0;
  uint64_t state = 1;
  float x[LANES], y[LANES], z[LANES];
  for (int turn = 0; turn < N_EDGES * N_EDGES + 20000; turn++) {
    for (int i = 0; i < LANES; i++) {
      x[i] = (float)exp((test_random(&state) - 0.5) * 40);
      y[i] = (float)((test_random(&state) - 0.5) * (i & 1 ? 10 : 200));
      if (i % 4 == 0) // whole powers of negative numbers
        x[i] = -x[i], y[i] = rintf(y[i]);
    }
    if (turn < N_EDGES * N_EDGES)
      x[3] = edges[turn / N_EDGES], y[3] = edges[turn % N_EDGES];
    *(v16f *)z = nnrt_pow_f32(*(const v16f *)x, *(const v16f *)y);
    for (int i = 0; i < LANES; i++) {
      double e = ulps32(z[i], pow((double)x[i], (double)y[i]));
      if (!(e <= worst))
        worst = e, where = x[i];
    }
  }
  report("pow", worst <= 0.6, "too far from libm", worst, where);
}

typedef v16d Function64(v16d);
static void compare64(const char *name, void (*f)(const double *, double *),
                      double (*right)(double), double bound) {
  double worst = 0, where = 0, x[LANES], y[LANES];
  uint64_t state = 7;
  for (int turn = 0; turn < 30000; turn++) {
    for (int i = 0; i < LANES; i++) {
      double r = test_random(&state) - 0.5;
      x[i] = i < 4 ? 4 * r : i < 8 ? 1500 * r : ldexp(r, (int)(2100 * (test_random(&state) - 0.5)));
      if (turn < N_EDGES && i == 9)
        x[i] = edges[turn];
    }
    f(x, y);
    for (int i = 0; i < LANES; i++) {
      double e = ulps(y[i], right(x[i]), 53, -1074, 0x1.fffffffffffffp1023);
      if (!(e <= worst))
        worst = e, where = x[i];
    }
  }
  report(name, worst <= bound, "too far from libm", worst, where);
}

#define MANY64(name)                                                                               \
  static __attribute__((noinline)) void many64_##name(const double *x, double *y) {                \
    *(v16d *)y = nnrt_##name##_f64(*(const v16d *)x);                                              \
  }
// clang-format off
MANY64(exp) MANY64(log) MANY64(sigmoid) MANY64(softplus) MANY64(tanh) MANY64(erf)
    // clang-format on

    int main(void) {
  if (!test_can_run("math"))
    return 0;
  compare("exp", many_exp, exp, 1.1);
  compare("log", many_log, log, 1);
  compare("log1p", many_log1p, log1p, 1.2);
  compare("expm1", many_expm1, expm1, 1.6);
  compare("tanh", many_tanh, tanh, 2.3);
  compare("sigmoid", many_sigmoid, sigmoid, 2.5);
  compare("softplus", many_softplus, softplus, 2);
  compare("sin", many_sin, sin, 0.6);
  compare("cos", many_cos, cos, 0.6);
  compare("erf", many_erf, erf, 1.5);
  test_pow();
  compare64("exp64", many64_exp, exp, 1.2);
  compare64("log64", many64_log, log, 1);
  compare64("sigmoid64", many64_sigmoid, sigmoid, 3);
  compare64("softplus64", many64_softplus, softplus, 3);
  compare64("tanh64", many64_tanh, tanh, 0);
  compare64("erf64", many64_erf, erf, 0);
  return failed != 0;
}
