// What the files that hold our own kernels begin with: copies of them for each shape alone.
#include "../../../runtime/kernels/kernel.h"
#include "shapes.h"
#include "tiles.h"

#undef EXPORT
#define EXPORT extern inline __attribute__((gnu_inline, always_inline)) // no copy of unknown size

CHOSEN(SHAPE)

#define OWN(name)                                                                                  \
  static __attribute__((noinline)) void name(const NnrtArgs *args, const float *a, const float *b, \
                                             float *c, int64_t N)
