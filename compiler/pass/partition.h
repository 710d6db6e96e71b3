// How a group is cut into tiles, and which groups are cut alike: schedule leaves out the barrier
// between two of them where each tile needs only its own tile of the other.
#ifndef NNC_PARTITION_H
#define NNC_PARTITION_H

#include "ir/ir.h"

typedef enum {
  PART_OTHER,  // by neighbours of a flat space, by columns: like no other group
  PART_ROWS,   // by examples: tile t has the examples [t*R, (t+1)*R) of every tensor
  PART_BLOCKS, // by blocks of a matrix, in the order of nnrt_gemm.h
} PartKind;

typedef struct {
  PartKind kind;
  Dim tile[2];
  uint32_t n_tile;   // numbers in the attribute `tile`
  Dim rows, columns; // PART_BLOCKS: of the matrix. PART_ROWS: R, 0
} Partition;

// `in_loop`: in the body of a scan, where what every turn reads stays in the caches.
Partition partition_of(const Inst *group, bool in_loop);
bool partition_equal(const Partition *a, const Partition *b);
// Does a tile of the group read only its own tile of argument `arg`, if that is cut alike?
bool partition_reads_own(const Inst *group, const Partition *p, uint32_t arg);
// Must all threads have ended a turn of this scan before one begins the next?
bool scan_needs_barrier(const Inst *scan);

#endif
