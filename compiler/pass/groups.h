// What a group is about, read from its body: for schedule, the tables and code generation.
#ifndef NNC_GROUPS_H
#define NNC_GROUPS_H

#include "ir/ir.h"

// G_SCAN: only in the plan of `fuse`, where a scan stands among the groups.
typedef enum { G_LOOP, G_ROW, G_COLUMN, G_DOT, G_KERNEL, G_SCAN } GroupKind;
extern const char *const group_kind_name[]; // as in the attribute `kind`

// Sizes are Dims. loop, kernel: rows = the count, columns = 1. row, column: [R, C]. dot: see below.
typedef struct {
  GroupKind kind;
  Dim rows, columns;
  Dim batch, depth;   // dot: B matrices, K terms; rows = M, columns = N
  const Inst *anchor; // dot, kernel: the operation; row, column: the first reduction; loop: NULL
  bool packed;        // dot: panels of the right side are copied (nnrt_gemm_packs)
} GroupShape;

GroupKind group_kind(const Inst *group);
GroupShape group_shape(const Inst *group);
// A loop without axes, all values of one count or of one number: its code is the same for every
// count. Not of few numbers for each example, where its own code is faster.
bool group_is_flat(const Inst *group);
// A flat loop of at most one argument x: a * x + b. Initial values are made so; code is the same
// for all numbers as well.
bool group_is_affine(const Inst *group);
// Sums over rows, and what follows for each column: code is the same for all rows, columns (but see
// put_column_class in key.c) and numbers of f32. Not of few numbers for each example.
bool group_is_columns(const Inst *group);
// A loop over images whose operands are of one form but for the last axis: its code is the same for
// all lengths of that. Those that occur, in order (shapes, pads, places where parts meet); how
// many, or 0. Of columns: their number.
enum { MOST_WIDTHS = 12 };
uint32_t group_widths(const Inst *group, Dim *width);
// A product by a filter of one pixel that has the number of its terms from its launch; is v a side
// of it, as it is or reshaped?
bool group_is_deep(const Inst *group);
bool group_side(const Inst *dot, const Value *v);
// Random numbers that aren't one row for each example: nothing but their kind decides the code.
bool group_is_random(const Inst *group);
// The groups of a function in the order of its launches, those in scans too; how many.
uint32_t groups_of(Arena *arena, const Function *f, const Inst ***groups);
bool group_reduces_columns(const Inst *reduce); // along axis 0 of its [R, C], not along axis 1

#endif
