// Elementary functions on 16 floats, for loops and epilogues; correct over the whole range:
// infinities, NaN, denormal arguments and results. The error bounds stated (in units of the last
// place) are those that tests/kernels/math.c asserts against libm in double.
#include "kernel.h"

#include <math.h>

static const float ln2_high = 0x1.62e4p-1f; // 15 bits: n * ln2_high is exact
static const float ln2_low = 0x1.7f7d1cp-20f;

KERNEL v16i bits(v16f x) {
  return (v16i)x;
}
KERNEL v16f float_of(v16i x) {
  return __builtin_convertvector(x, v16f);
}
KERNEL v16f absolute(v16f x) {
  return (v16f)((v16i)x & 0x7fffffff);
}
KERNEL v16f with_sign(v16f x, v16f sign) { // x >= 0
  return (v16f)((v16i)x | ((v16i)sign & INT32_MIN));
}
// NaN stays NaN.
KERNEL v16f clamp(v16f x, float low, float high) {
  x = SELECT(x < SPLAT(low), SPLAT(low), x);
  return SELECT(x > SPLAT(high), SPLAT(high), x);
}
KERNEL v16f power_of_2(v16i n) { // -126 <= n <= 127
  return (v16f)((n + 127) << 23);
}

// x = n ln 2 + r, |r| <= ln(2) / 2, for |x| < 2^15. Any n for NaN.
KERNEL v16f reduce_exp(v16f x, v16i *n) {
  const v16f magic = SPLAT(0x1.8p23f);
  v16f shifted = FMA(x, SPLAT(0x1.715476p0f), magic);
  v16f whole = shifted - magic;
  *n = bits(shifted) - bits(magic);
  return FMA(whole, SPLAT(-ln2_low), FMA(whole, SPLAT(-ln2_high), x));
}

// (e^r - 1 - r) / r^2 on |r| <= 0.35
KERNEL v16f exp_tail(v16f r) {
  v16f p = SPLAT(0x1.a12a42p-13f);
  p = FMA(p, r, SPLAT(0x1.6d4920p-10f));
  p = FMA(p, r, SPLAT(0x1.1110e0p-7f));
  p = FMA(p, r, SPLAT(0x1.5554e4p-5f));
  p = FMA(p, r, SPLAT(0x1.555556p-3f));
  return FMA(p, r, SPLAT(0.5f));
}

// Error <= 1.1 ulp.
EXPORT v16f nnrt_exp_f32(v16f x) {
  v16i n;
  v16f r = reduce_exp(clamp(x, -104.0f, 89.0f), &n);
  v16f p = FMA(exp_tail(r) * r, r, r) + 1.0f;
  v16i half = n >> 1; // two factors: 2^n itself may be out of range or denormal
  return p * power_of_2(half) * power_of_2(n - half);
}

// Error <= 1.6 ulp.
EXPORT v16f nnrt_expm1_f32(v16f x) {
  v16i n;
  v16f r = reduce_exp(clamp(x, -20.0f, 89.0f), &n);
  v16f p = FMA(exp_tail(r) * r, r, r);
  v16f half = power_of_2(n - 1); // 2^n for n = 128 is out of range
  v16f big = 2.0f * FMA(half, p, half - 0.5f);
  return SELECT(n == 0, with_sign(absolute(p), x), big); // keeps denormals and -0
}

// log(2^k (1 + f) (1 + c)) for sqrt(1/2) <= 1 + f < sqrt(2) and tiny c (as fdlibm does it).
KERNEL v16f log_core(v16f f, v16f k, v16f c) {
  v16f s = f / (2.0f + f), z = s * s, w = z * z;
  v16f even = w * FMA(w, SPLAT(0xf89e26.0p-26f), SPLAT(0xccce13.0p-25f));
  v16f odd = z * FMA(w, SPLAT(0x91e9ee.0p-25f), SPLAT(0xaaaaaa.0p-24f));
  v16f half_square = 0.5f * f * f;
  v16f small = FMA(s, half_square + (odd + even), FMA(k, SPLAT(0x1.2fefa2p-17f), c));
  return FMA(k, SPLAT(0x1.62e3p-1f), (small - half_square) + f);
}

// Splits x > 0 (normal) into 2^k (1 + f).
KERNEL v16f split_log(v16f x, v16i *k) {
  v16i b = bits(x) - 0x3f3504f3; // sqrt(1/2)
  *k = b >> 23;
  return (v16f)((b & 0x7fffff) + 0x3f3504f3) - 1.0f;
}

// What log gives for arguments that are not positive and finite.
KERNEL v16f log_edges(v16f y, v16f x) {
  y = SELECT(x == 0.0f, SPLAT(-INFINITY), y);
  y = SELECT(x < 0.0f, SPLAT(NAN), y);
  return SELECT((x != x) | (x == INFINITY), x, y);
}

// Error <= 1 ulp.
EXPORT v16f nnrt_log_f32(v16f x) {
  v16i tiny = x < 0x1p-126f, k;
  v16f f = split_log(SELECT(tiny, x * 0x1p25f, x), &k);
  return log_edges(log_core(f, float_of(k - (tiny & 25)), SPLAT(0)), x);
}

// Error <= 1.2 ulp.
EXPORT v16f nnrt_log1p_f32(v16f x) {
  v16f u = 1.0f + x;
  v16i k;
  v16f f = split_log(u, &k);
  v16f lost = SELECT(x >= 1.0f, 1.0f - (u - x), x - (u - 1.0f)) / u; // what rounding 1 + x lost
  v16i near = (x > -0.2928f) & (x < 0.4142f); // 1 + x needs no scaling: f is x
  f = SELECT(near, x, f);
  k = ~near & k;
  lost = SELECT(near, SPLAT(0), lost);
  v16f y = log_edges(log_core(f, float_of(k), lost), u);
  return SELECT(absolute(x) < 0x1p-24f, x, y); // keeps denormals and -0
}

// Error <= 2.3 ulp.
EXPORT v16f nnrt_tanh_f32(v16f x) {
  v16f t = nnrt_expm1_f32(2.0f * clamp(absolute(x), 0.0f, 10.0f));
  return with_sign(absolute(t / (t + 2.0f)), x);
}

// Error <= 2.5 ulp.
EXPORT v16f nnrt_sigmoid_f32(v16f x) {
  v16f e = nnrt_exp_f32(-absolute(x));
  return SELECT(x < 0.0f, e, SPLAT(1)) / (1.0f + e);
}

// Error <= 2 ulp.
EXPORT v16f nnrt_softplus_f32(v16f x) {
  return SELECT(x < 0.0f, SPLAT(0), x) + nnrt_log1p_f32(nnrt_exp_f32(-absolute(x)));
}

// ---- sin and cos: in double, from musl ----------------------------------------------------------

// Arguments from 2^24 on: rare, one by one.
static __attribute__((noinline, cold)) void trig_large(const float *x, float *y, int quarter) {
  for (int i = 0; i < LANES; i++)
    if (!(fabsf(x[i]) < 0x1p24f))
      y[i] = (float)(quarter ? cos((double)x[i]) : sin((double)x[i]));
}

// sin(x + quarter * pi/2)
KERNEL v16f trig(v16f x, int quarter) {
  v16i large = ~(absolute(x) < 0x1p24f);
  v16d a = __builtin_convertvector(SELECT(large, SPLAT(0), x), v16d), magic = SPLAT64(0x1.8p52);
  v16d shifted = a * 0x1.45f306dc9c883p-1 + magic, whole = shifted - magic;
  v16l n = (v16l)shifted + quarter; // its last two bits count
  // pi/2 in parts of 29 bits, so that products with `whole` are exact.
  v16d r = a - whole * 0x1.921fb54p0;
  r = r - whole * 0x1.10b4611p-30;
  r = r - whole * 0x1.4c4c6628b80dcp-59;
  v16d z = r * r, w = z * z, s = z * r;
  v16d sine = (r + s * (-0x15555554cbac77.0p-55 + z * 0x111110896efbb2.0p-59)) +
              s * w * (-0x1a00f9e2cae774.0p-65 + z * 0x16cd878c3b46a7.0p-71);
  v16d cosine = ((1.0 + z * -0x1ffffffd0c5e81.0p-54) + w * 0x155553e1053a42.0p-57) +
                w * z * (-0x16c087e80f1e27.0p-62 + z * 0x199342e0ee5069.0p-68);
  v16d y = SELECT64((n & 1) != 0, cosine, sine);
  y = (v16d)((v16l)y ^ ((n & 2) << 62));
  v16f result = __builtin_convertvector(y, v16f);
  int any = 0;
#pragma clang loop unroll(full)
  for (int i = 0; i < LANES; i++)
    any |= large[i];
  if (any) {
    float in[LANES], out[LANES];
    *(v16f *)in = x;
    *(v16f *)out = result;
    trig_large(in, out, quarter);
    result = *(const v16f *)out;
  }
  return quarter ? result : SELECT(absolute(x) < 0x1p-12f, x, result); // keeps -0
}

// Error <= 0.6 ulp.
EXPORT v16f nnrt_sin_f32(v16f x) {
  return trig(x, 0);
}
// Error <= 0.6 ulp.
EXPORT v16f nnrt_cos_f32(v16f x) {
  return trig(x, 1);
}

// In float, for random draws: the nearest quarter turn is taken off exactly. Absolute error <=
// 2^-23.
KERNEL v16f turn(v16f t, int quarter) {
  const v16f magic = SPLAT(0x1.8p23f);
  v16f shifted = 4.0f * t + magic;
  v16i n = bits(shifted) + quarter;
  v16f r = (t - 0.25f * (shifted - magic)) * 0x1.921fb6p2f, z = r * r;
  v16f s =
      FMA(FMA(z, SPLAT(-1.9515295891e-4f), SPLAT(8.3321608736e-3f)), z, SPLAT(-1.6666654611e-1f));
  v16f c =
      FMA(FMA(z, SPLAT(2.4433157118e-5f), SPLAT(-1.3887316255e-3f)), z, SPLAT(4.1666645683e-2f));
  v16f sine = FMA(s * z, r, r), cosine = FMA(FMA(c, z, SPLAT(-0.5f)), z, SPLAT(1));
  return (v16f)(bits(SELECT((n & 1) != 0, cosine, sine)) ^ ((n & 2) << 30));
}
EXPORT v16f nnrt_sin_turn_f32(v16f t) {
  return turn(t, 0);
}
EXPORT v16f nnrt_cos_turn_f32(v16f t) {
  return turn(t, 1);
}

// ---- erf (coefficients after N. Juffa) ----------------------------------------------------------

// Error <= 1.5 ulp.
EXPORT v16f nnrt_erf_f32(v16f x) {
  v16f t = absolute(x), square = x * x;
  v16f far = FMA(SPLAT(-1.72853470e-5f), t, SPLAT(3.83197126e-4f));
  v16f mid = FMA(SPLAT(-3.88396438e-3f), t, SPLAT(2.42546219e-2f));
  far = FMA(far, square, mid);
  far = FMA(far, t, SPLAT(-1.06777877e-1f));
  far = FMA(far, t, SPLAT(-6.34846687e-1f));
  far = FMA(far, t, SPLAT(-1.28717512e-1f));
  far = 1.0f - nnrt_exp_f32(FMA(far, t, -t));
  v16f near = SPLAT(-5.96761703e-4f);
  near = FMA(near, square, SPLAT(4.99119423e-3f));
  near = FMA(near, square, SPLAT(-2.67681349e-2f));
  near = FMA(near, square, SPLAT(1.12819925e-1f));
  near = FMA(near, square, SPLAT(-3.76125336e-1f));
  near = FMA(near, square, SPLAT(1.28379166e-1f));
  near = FMA(near, x, x);
  return SELECT(t > 0.927734375f, with_sign(absolute(far), x), near);
}

// ---- pow: through double ------------------------------------------------------------------------

// As C's powf, all special cases included. Error <= 0.6 ulp.
EXPORT v16f nnrt_pow_f32(v16f x, v16f y) {
  v16d power = nnrt_exp_f64(__builtin_convertvector(y, v16d) *
                            nnrt_log_f64(__builtin_convertvector(absolute(x), v16d)));
  v16f z = __builtin_convertvector(power, v16f), size = absolute(y);
  // From 2^24 on all floats are even; below, the fraction tells. (y has no NaN in what is decided
  // here.)
  v16f whole = __builtin_elementwise_trunc(size), half = 0.5f * whole;
  v16i is_whole = whole == size, is_odd = is_whole & (__builtin_elementwise_trunc(half) != half);
  z = SELECT(absolute(x) == 1.0f, SPLAT(1), z); // also for y = inf
  z = SELECT(is_odd, with_sign(z, x), z);
  z = SELECT((x < 0.0f) & (x != -INFINITY) & ~is_whole, SPLAT(NAN), z);
  z = SELECT((x == 1.0f) | (y == 0.0f), SPLAT(1), z);
  v16i unknown = ((x != x) & (y != 0.0f)) | ((y != y) & (x != 1.0f));
  return SELECT(unknown, SPLAT(NAN), z);
}
