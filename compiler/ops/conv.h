// The shape of a convolution, read from its instruction: for the code generator and for tools.
#ifndef NNC_CONV_H
#define NNC_CONV_H

#include "ir/ir.h"
#include "nnrt_winograd.h"

typedef enum { CONV_OUT, CONV_IN, CONV_FILTER } ConvRole; // which of the three tensors is made

// in [images, in[0], in[1], channels], filter [filter[0], filter[1], channels / groups, features],
// out [images, out[0], out[1], features]. images, or channels, features and groups together, may be
// multiples of N.
typedef struct {
  ConvRole wrt;
  Dim images, channels, features, groups, depth; // depth: channels / groups
  Dim in[2], filter[2], out[2];
  Dim stride[2], dilation[2], low[2], high[2];
  Dim parts; // of a filter: so many sums
} ConvShape;
ConvShape conv_shape(const Inst *inst);
// True if the kernels of runtime/kernels/direct.c make this; their shape, without the number of
// images, and their tile.
bool conv_direct(const Inst *inst, NnrtDirect *shape, NnrtDirectTile *tile);
// In how many sums they would make it best.
Dim conv_parts(const Inst *inst);

// Of winograd and winograd_sums: `of` without the number of images.
typedef struct {
  Dim images;
  NnrtDirect of;
} WinogradShape;
WinogradShape winograd_shape(const Inst *inst);
NnrtWinogradSums winograd_sums_tile(const Inst *inst); // how winograd_sums is cut
// Is what it makes a filter, in whatever form, not images?
bool makes_filter(const Inst *inst);
// Is a conv made faster in Winograd's form, if of few images, too? Its shape, without their number.
bool conv_winograd(const Inst *inst, bool few, NnrtDirect *shape);

// Tiles of an operation whose kernel has its own: per_n of each of `rows` (a Dim, 1: none),
// `blocks` times; bytes of scratch per thread. False: it is cut by elements of its result.
typedef struct {
  Dim rows;
  int64_t rows_per_tile, blocks, scratch;
} KernelTiles;
bool kernel_tiles(const Inst *inst, KernelTiles *tiles);

typedef struct { // of an operation on windows: in [images, in[0], in[1], channels]
  Dim images, channels, in[2], out[2];
  Dim window[2], stride[2], low[2];
} PoolShape;
PoolShape pool_shape(const Inst *inst);

// How many places a window has along an axis; 0: it is larger than the axis with its padding.
Dim window_places(Dim in, Dim low, Dim high, Dim extent, Dim stride);
// NULL, or what is wrong: n numbers of at least `least` each.
const char *expect_numbers(Module *m, const Attr *attr, const char *name, Dim least);

#endif
