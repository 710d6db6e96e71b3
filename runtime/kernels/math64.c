// Elementary functions on 16 doubles. exp and log (and what is made of them) are vectors; the
// others go lane by lane through libm: f64 is for checking, not for speed.
#include "kernel.h"

#include <math.h>

KERNEL v16d absolute64(v16d x) {
  return (v16d)((v16l)x & INT64_MAX);
}

KERNEL v16d power_of_2_64(v16l n) {
  return (v16d)((n + 1023) << 52);
}

// Error <= 1.2 ulp.
EXPORT v16d nnrt_exp_f64(v16d x) {
  const v16d magic = SPLAT64(0x1.8p52);
  x = SELECT64(x < -746.0, SPLAT64(-746), x);
  x = SELECT64(x > 710.0, SPLAT64(710), x);
  v16d shifted = x * 0x1.71547652b82fep0 + magic, whole = shifted - magic;
  v16l n = (v16l)shifted - (v16l)magic, half = n >> 1;
  // ln 2 in two parts; whole * the first is exact.
  v16d high = x - whole * 0x1.62e42feep-1, low = whole * 0x1.a39ef35793c76p-33, r = high - low;
  // e^r = 1 + 2r / (2 - r (..)) - as fdlibm's __ieee754_exp
  v16d t = r * r;
  v16d p = t * (0x1.555555555553ep-3 +
                t * (-0x1.6c16c16bebd93p-9 +
                     t * (0x1.1566aaf25de2cp-14 +
                          t * (-0x1.bbd41c5d26bf1p-20 + t * 0x1.6376972bea4d0p-25))));
  v16d c = r - p;
  v16d y = 1.0 + (r * c / (2.0 - c) - low + high);
  return y * power_of_2_64(half) * power_of_2_64(n - half);
}

// Error <= 1 ulp (fdlibm's __ieee754_log).
EXPORT v16d nnrt_log_f64(v16d x) {
  v16l tiny = x < 0x1p-1022;
  v16l b = (v16l)SELECT64(tiny, x * 0x1p54, x) - 0x3fe6a09e667f3bcd; // sqrt(1/2)
  v16d k = __builtin_convertvector((b >> 52) - (tiny & 54), v16d);
  v16d f = (v16d)((b & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1.0;
  v16d s = f / (2.0 + f), z = s * s, w = z * z, half_square = 0.5 * f * f;
  v16d even = w * (0x1.999999997fa04p-2 + w * (0x1.c71c51d8e78afp-3 + w * 0x1.39a09d078c69fp-3));
  v16d odd =
      z * (0x1.5555555555593p-1 +
           w * (0x1.2492494229359p-2 + w * (0x1.7466496cb03dep-3 + w * 0x1.2f112df3e5244p-3)));
  v16d y = s * (half_square + (odd + even)) + k * 0x1.a39ef35793c76p-33;
  y = k * 0x1.62e42feep-1 + ((y - half_square) + f);
  y = SELECT64(x == 0.0, SPLAT64(-INFINITY), y);
  y = SELECT64(x < 0.0, SPLAT64(NAN), y);
  return SELECT64((x != x) | (x == INFINITY), x, y);
}

// Error <= 3 ulp.
EXPORT v16d nnrt_sigmoid_f64(v16d x) {
  v16d e = nnrt_exp_f64(-absolute64(x));
  return SELECT64(x < 0.0, e, SPLAT64(1)) / (1.0 + e);
}

// The error of libm.
#define BY_LANE(name)                                                                              \
  EXPORT v16d nnrt_##name##_f64(v16d x) {                                                          \
    v16d y;                                                                                        \
    for (int i = 0; i < LANES; i++)                                                                \
      y[i] = name(x[i]);                                                                           \
    return y;                                                                                      \
  }
BY_LANE(log1p)
BY_LANE(expm1)
BY_LANE(tanh)
BY_LANE(sin)
BY_LANE(cos)
BY_LANE(erf)

EXPORT v16d nnrt_softplus_f64(v16d x) {
  return SELECT64(x < 0.0, SPLAT64(0), x) + nnrt_log1p_f64(nnrt_exp_f64(-absolute64(x)));
}

EXPORT v16d nnrt_pow_f64(v16d x, v16d y) {
  v16d z;
  for (int i = 0; i < LANES; i++)
    z[i] = pow(x[i], y[i]);
  return z;
}
