// What the parts of `fuse` share: the plan of groups for one function, before they are built.
//   fuse.c         the walk that puts every instruction into a group
//   fuse_access.c  what reads what, and through which index map; which group depends on which
//   fuse_merge.c   recomputing instead of storing; merging groups
//   fuse_build.c   storage of results, order, making the groups
#ifndef NNC_FUSE_H
#define NNC_FUSE_H

#include "ops/op.h"
#include "pass/groups.h"
#include "pass/indexmap.h"

enum { NO_VALUE = UINT32_MAX };
typedef BUF(uint32_t) Ids;

typedef struct FuseGroup {
  GroupKind kind;
  Dim rows, columns; // the space. loop: count, 1. dot: B*M, N. image: pixels, channels
  Ids member;        // values, in program order
  bool closed;       // takes no more members
  bool dead;         // merged into another, or emptied
  uint32_t visit;    // stamp of the last walk that came here
  uint32_t high;     // no value of it, or of a group that it needs, has a greater number
  Inst *built;       // fuse_build.c
  enum { WAITING, OPEN, BUILT } order;
} FuseGroup;

// One tensor that a value reads, behind index maps. The view is over the value's own shape, or over
// its argument's where that is another (reductions, products).
typedef struct {
  uint32_t leaf;
  View view;
} Access;

typedef enum {
  V_LEAF, // a function's argument, or a literal
  V_FREE, // computed where it is read: index maps, sources, cheap recomputation
  V_NODE, // made by a group
} ValueRole;

typedef struct { // one value
  Value *value;
  ValueRole role;
  FuseGroup *group;   // V_NODE
  BUF(Access) access; // V_NODE: what it reads
  Ids user;           // nodes that read it; a reader is listed once
  bool returned;
  bool update_only;        // leads only to new params, slots and state
  uint32_t overwrites;     // the argument whose storage it takes over, or NO_VALUE
  uint32_t overwritten_by; // the inverse
  const Type *yield_type;  // the shape in which it is returned; NULL: its own
  Value *built;            // the result of the group that makes it
  Value *copy;             // fuse_build.c: its copy in the body of the group `copied_into`
  const FuseGroup *copied_into;
} Node;

typedef struct {
  Region *body; // of a function or of a scan
  Function *f;  // NULL: the body is a scan's
  Module *m;
  Arena *arena;
  Node *node; // by Value.id
  uint32_t n, cap;
  BUF(FuseGroup *) group;
  uint32_t visits;
} Fuse;

// ---- fuse_access.c ------------------------------------------------------------------------------
void fuse_analyse(Fuse *fz); // roles must be set; fills access, user, update_only
void fill_update_only(Fuse *fz);
// Values that are computed again where they are read; update_only is left as it was.
void fuse_set_free(Fuse *fz, const Ids *set);
uint32_t fuse_add_value(Fuse *fz, Value *v); // of an instruction made after numbering
Dim value_count(const Fuse *fz, uint32_t id);
int64_t dim_estimate(Dim d); // with N = 128
int64_t bytes_estimate(const Fuse *fz, uint32_t id);
bool is_elementwise(const Node *node); // or an index map that is kept in memory
bool is_reduce(const Node *node);
bool is_scan_result(const Node *node);
// Does the instruction read whole tensors in memory: a product, a kernel, a scan?
bool reads_memory(const Inst *inst);
Value *behind_reshapes(Value *v); // but not behind a copy
// Is the access the same flat element, over `count` of them?
bool access_is_flat(const Fuse *fz, const Access *a, Dim count);
MapClass access_class(const Fuse *fz, const Access *a, Dim rows, Dim columns);
typedef bool GroupVisit(Fuse *fz, FuseGroup *dependence, void *ctx); // true: stop
// The groups other than its own that a value needs: of what it reads, and of the readers of what it
// overwrites.
bool each_dependence(Fuse *fz, const Node *v, GroupVisit *visit, void *ctx);
// To be called when v has joined its group, and when it reads other values than before: what needs
// the group learns how far its needs go.
void fuse_joined(Fuse *fz, uint32_t v);
void fuse_raise(Fuse *fz, FuseGroup *g, uint32_t high);
// Must group `to` run after `from`, because of some group outside both or directly?
bool group_reaches(Fuse *fz, FuseGroup *from, FuseGroup *to);
// The same in a walk that began with fz->visits++ and was for the same `from`: what has not led
// there is not gone through again.
bool group_reaches_too(Fuse *fz, FuseGroup *from, FuseGroup *to);
// Would a path from `g` through another group lead to what v reads (or overwrites)?
bool path_around(Fuse *fz, FuseGroup *g, uint32_t v);

// ---- fuse.c, fuse_merge.c, fuse_build.c ---------------------------------------------------------
FuseGroup *group_new(Fuse *fz, GroupKind kind, Dim rows, Dim columns);
void group_add(Fuse *fz, FuseGroup *g, uint32_t v);
// Could a group of this kind and space hold v beside the members of g (and of `other`, or NULL)?
// Asks for spaces and index maps, not for paths. `next`: a value about to be added, or NO_VALUE.
bool space_accepts(Fuse *fz, const FuseGroup *space, const FuseGroup *g, const FuseGroup *other,
                   uint32_t v, uint32_t next);
void fuse_recompute(Fuse *fz);
void fuse_merge(Fuse *fz);
void fuse_build(Fuse *fz);

#endif
