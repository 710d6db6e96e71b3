// Index maps: where an element that a group reads lies in the tensor behind reshapes, broadcasts,
// transposes and slices. layout and fuse decide with them what is one sweep through memory.
#ifndef NNC_INDEXMAP_H
#define NNC_INDEXMAP_H

#include "ir/ir.h"

// A value as a view of the memory of the tensor behind it: one stride per axis, in elements.
typedef struct {
  uint32_t rank;
  Dim extent[MAX_RANK * 2], stride[MAX_RANK * 2]; // a stride may be a multiple of N too
  bool other;                                     // no such strides: padded, reversed, shifted, ...
} View;

// How a value over a space [R, C] reads a tensor.
typedef enum {
  MAP_FLAT,   // the same flat element; the tensor has R*C of them
  MAP_ROW,    // element r
  MAP_COLUMN, // element c
  MAP_ONE,    // one number
  MAP_OTHER,
} MapClass;

Dim dim_mul(Dim a, Dim b); // ICE on N * N
View view_of_tensor(const Type *type);
// The view of inst's result, given that of its argument. inst is a shape operation; concat is
// `other`.
View view_through(const View *v, const Inst *inst);
// `leaf`: the tensor that is viewed. C of a flat space is 1, or R is.
MapClass view_class(const View *v, const Type *leaf, Dim rows, Dim columns);

#endif
