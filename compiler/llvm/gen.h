// Inside the code generator: one LLVM module under construction (Gen), one kernel in it (Kernel),
// and the index maps (Pos) by which a group's body is read backwards from its yields to its
// arguments. This folder is the only one that includes llvm-c.
#ifndef NNC_GEN_H
#define NNC_GEN_H

#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

#include "llvm/codegen.h"
#include "ops/op.h"
#include "pass/groups.h"

enum { LANES = 16 };

// ---- target.c: what we compile for -------------------------------------------------------------

typedef struct {
  const char *name;           // as in NnrtProgram.cpu: "native", "x86-64-v3"
  const char *cpu, *features; // LLVM's names
  int level;                  // 2, 3, 4: which bitcode of the kernels
} Target;
// NULL, or why not.
const char *target_find(Arena *arena, const char *name, Target *target);
LLVMTargetMachineRef target_machine(const Target *target);

// ---- gen.c: a module ---------------------------------------------------------------------------

typedef struct Gen {
  Arena *arena;
  const Target *target;
  Blas blas;
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMTargetMachineRef machine;
  LLVMBuilderRef b;
  LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, none;
  LLVMTypeRef args_type; // NnrtArgs
} Gen;

// The module holds the kernels in C of the target's level; generated functions are added to it.
const char *gen_open(Gen *g, Arena *arena, const Target *target, Blas blas);
// A module of constants only.
void gen_open_empty(Gen *g, Arena *arena, const Target *target);
void gen_close(Gen *g);
const char *gen_optimise(Gen *g);

LLVMTypeRef gen_elem(Gen *g, ElemType elem);  // of one element in memory
LLVMTypeRef gen_lanes(Gen *g, ElemType elem); // <16 x T> in registers; bool is <16 x i1>
LLVMTypeRef gen_vector(LLVMTypeRef elem);     // <16 x elem>
LLVMValueRef gen_i64(Gen *g, int64_t value);
LLVMValueRef gen_i32(Gen *g, int64_t value);
LLVMValueRef gen_splat(Gen *g, LLVMValueRef scalar);
LLVMValueRef gen_iota(Gen *g); // <16 x i32> 0, 1, ..., 15
// An alloca in the entry block of the function being built, so that it costs nothing in a loop.
LLVMValueRef gen_alloca(Gen *g, LLVMTypeRef type, unsigned align);
// Calls a function of runtime/kernels (or any declared one); clang passes wide vectors by pointer
// where the target has no registers for them. NULL if there is no such function.
LLVMValueRef gen_call(Gen *g, const char *name, LLVMValueRef *args, unsigned n);
LLVMValueRef gen_intrinsic(Gen *g, const char *name, LLVMTypeRef *types, unsigned n_types,
                           LLVMValueRef *args, unsigned n);
// Attributes that every generated function has.
void gen_function_attributes(Gen *g, LLVMValueRef fn);
void gen_add_attribute(Gen *g, LLVMValueRef fn, unsigned index, const char *name);
bool gen_has_fma(const Gen *g);

// ---- emit.c: elementwise code ------------------------------------------------------------------

typedef struct Kernel Kernel;
Emit *emit_create(Gen *g);

// ---- pos.c: where in a tensor 16 lanes are -----------------------------------------------------

// Lane l is at base + l*step, or at base + lane[l] if lane is given.
typedef struct {
  LLVMValueRef base; // i64
  int64_t step;
  LLVMValueRef lane; // <16 x i32> or NULL
} Coord;
// Axes [first, end) of the tensor, flattened (row-major), are at `at`.
typedef struct {
  uint32_t first, end;
  Coord at;
} Block;
typedef struct Pos {
  uint32_t rank, n_block;
  Dim dim[MAX_RANK];
  Block block[MAX_RANK + 1]; // in order, covering all axes; one with no axes for a scalar
  LLVMValueRef mask;         // <16 x i1>: lanes that are inside; NULL: all
  bool has_flat;             // `flat` is the whole tensor's flat index
  Coord flat;
} Pos;

Coord coord_at(LLVMValueRef base, int64_t step);
Coord coord_add(Kernel *k, Coord a, Coord b);
Coord coord_scale(Kernel *k, Coord a, Dim by);
LLVMValueRef coord_lanes(Kernel *k, Coord a); // <16 x i32> offsets from base
// The whole tensor's flat index.
Coord pos_flat(Kernel *k, const Pos *pos);
// The coordinate on one axis; splits the block it lies in.
Coord pos_axis(Kernel *k, Pos *pos, uint32_t axis);
// A tensor of `type` at flat index `at`.
Pos *pos_make(Kernel *k, const Type *type, Coord at, LLVMValueRef mask);
// The same elements where the tensor has the shape of `type` (equal counts).
Pos *pos_reshape(Kernel *k, const Pos *pos, const Type *type);
// All axes but the last at `row` (flattened), the last at `column`.
Pos *pos_matrix(Kernel *k, const Type *type, Coord row, Coord column, LLVMValueRef mask);
// A tensor of `type` whose axis i runs along axis axes[i] of pos (or is 1 long).
Pos *pos_select_axes(Kernel *k, Pos *pos, const Type *type, const uint32_t *axes);
// pos with another coordinate on one axis, in a tensor of `type`.
Pos *pos_with_axis(Kernel *k, Pos *pos, const Type *type, uint32_t axis, Coord at);
// Into [0, dim) if it is the same for all lanes: such a load isn't masked.
Coord coord_clamp(Kernel *k, Coord a, Dim dim);
LLVMValueRef coord_less(Kernel *k, Coord a, LLVMValueRef limit); // <16 x i1>: a < limit (i64)

// ---- body.c: the value of 16 elements ----------------------------------------------------------

typedef struct Memo {
  const Value *value;
  const Pos *pos;
  EVal result;
  struct Memo *next;
} Memo;
typedef struct PosMemo { // a map applied to a position gives the same position again
  const Inst *inst;
  const Pos *from;
  Pos *to;
  struct PosMemo *next;
} PosMemo;

struct Kernel {
  Gen *g;
  Emit *emit;
  const Inst *group;
  const char *kind;
  Region *body;
  const Inst *yield;
  LLVMValueRef fn, args, tile0, tile1, n; // n: rows of the call, i64
  LLVMValueRef *buf;                      // per group argument, then per yield
  bool *read_only;                        // per group argument: no yield takes its storage
  Memo **memo;                            // by value number; forgotten at each new block of code
  PosMemo *maps;
  EVal *anchor; // by value number: anchors that are made; v NULL: not yet
  uint32_t n_value;
  Dim width[MOST_WIDTHS]; // numbers that the launch has, see kernel_sizes_before
  uint32_t n_width;
  Dim rows; // of columns, which the launch has too; or 0
};

uint32_t kernel_value_number(const Kernel *k, const Value *v);
LLVMValueRef kernel_dim(Kernel *k, Dim d);
// Which of k->width d is, or -1.
int64_t kernel_width(const Kernel *k, Dim d);
int64_t kernel_sizes_before(const Kernel *k); // them among the launch's numbers
// NnrtArgs.size[i]: what differs between launches of one kernel (tables.c).
LLVMValueRef kernel_size(Kernel *k, int64_t i);
void kernel_forget(Kernel *k); // values made so far are not to be used by the code that follows
// The value at pos; lanes outside pos->mask are of no meaning.
EVal body_value(Kernel *k, const Value *v, const Pos *pos);
EVal body_load(Kernel *k, LLVMValueRef buffer, ElemType elem, Coord at, LLVMValueRef mask);
void body_store(Kernel *k, LLVMValueRef buffer, EVal value, Coord at, LLVMValueRef mask);
// Stores yield i at pos, whose flat index it shares.
void body_store_yield(Kernel *k, uint32_t i, EVal value, const Pos *pos);
const Value *value_root(const Value *v);
bool body_is_anchor(const Value *v); // a reduction, a product, an operation on images

// ---- flow.c: loops -----------------------------------------------------------------------------

typedef struct {
  LLVMValueRef i, step; // i64
  LLVMBasicBlockRef head, body, end;
} Loop;
// for (i = from; i < to; i += step)
Loop loop_begin(Kernel *k, LLVMValueRef from, LLVMValueRef to, int64_t step);
void loop_end(Kernel *k, Loop *loop);
typedef struct {
  LLVMBasicBlockRef then, end;
} If;
If if_begin(Kernel *k, LLVMValueRef condition);
void if_end(Kernel *k, If *branch);
// 16 elements at a time over [from, to): chunk(k, state, i, mask), mask NULL but for the last few.
// Values made in one chunk are forgotten in the next.
typedef void Chunk(Kernel *k, void *state, LLVMValueRef i, LLVMValueRef mask);
void lanes_loop(Kernel *k, LLVMValueRef from, LLVMValueRef to, Chunk *chunk, void *state);
LLVMValueRef lanes_mask(Kernel *k, LLVMValueRef count); // lane < count (i64)
LLVMValueRef build_min(Kernel *k, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef build_mul(Kernel *k, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef build_add(Kernel *k, LLVMValueRef a, LLVMValueRef b);
bool is_const(LLVMValueRef v, int64_t *value);

// ---- reduce.c: combining lanes -----------------------------------------------------------------

typedef struct { // 16 running results, in memory that LLVM turns into registers
  const Inst *reduce;
  LLVMValueRef value, index; // index: argmax only
  ElemType elem;             // of value
} Acc;
double reduce_identity(const Inst *reduce);
Acc acc_create(Kernel *k, const Inst *reduce);
void acc_reset(Kernel *k, const Acc *acc);
// One more element per lane; `at`: its place along the reduced axis.
void acc_add(Kernel *k, const Acc *acc, EVal x, Coord at, LLVMValueRef mask);
EVal acc_lanes(Kernel *k, const Acc *acc);  // one result per lane
EVal acc_across(Kernel *k, const Acc *acc); // all lanes into one, splat
// The reductions of a body, in order, and how many others each of them waits for.
typedef struct {
  const Inst *inst;
  uint32_t level;
} Reduction;
typedef struct {
  Reduction *at;
  uint32_t n, levels;
} Reductions;
Reductions reductions_of(Kernel *k);

// ---- one file per kind of group ----------------------------------------------------------------

void kernel_loop(Kernel *k);
void kernel_row(Kernel *k);
// shortrow.c: the same for rows [from, to) of few columns, 16 rows at a time.
bool row_is_short(Kernel *k, const Type *space);
void kernel_short_row(Kernel *k, const Reductions *all, LLVMValueRef from, LLVMValueRef to);
void kernel_column(Kernel *k);
void kernel_dot(Kernel *k);
void kernel_c(Kernel *k);

// kernel.c: starts code in `fn` (whose parameter `args` is the NnrtArgs) for a group's body.
void kernel_open(Kernel *k, Gen *g, const Inst *group, LLVMValueRef fn, LLVMValueRef args);
// The function of a group, called `name`: void (const NnrtArgs *, i64 tile0, i64 tile1).
void kernel_build(Gen *g, const Inst *group, const char *name);
LLVMValueRef kernel_declare(Gen *g, const char *name);
// key.c: equal texts mean equal kernels.
const char *kernel_key(Arena *arena, const Inst *group);
uint32_t region_number(const Region *r); // Value.id, dense, arguments first; how many there are

// ---- epilogue.c --------------------------------------------------------------------------------

enum { EPILOGUE_STORES = UINT32_MAX }; // in place of a yield: none is returned
// Sets the value of the anchor's 16 elements at pos and stores all yields but `returned`, whose
// value is the result.
EVal epilogue_values(Kernel *k, const Inst *anchor, EVal acc, const Pos *pos, uint32_t returned);
typedef struct {    // what a kernel in C takes, NULL where there is none
  LLVMValueRef out; // the buffer that it stores to
  LLVMValueRef fn;  // NnrtEpilogue
} Epilogue;
Epilogue epilogue_of(Kernel *k, const Inst *anchor);

// ---- products: dot.c, blas.c -------------------------------------------------------------------

typedef struct { // A[i][m, k] = a[i*a_i + m*a_m + k*a_k], B[i][k, n] = b[i*b_i + k*b_k + n*b_n]
  Dim dim_batch, dim_m, dim_n, dim_k, dim_b_n;
  LLVMValueRef a, b, batch, M, N, K;
  LLVMValueRef a_i, a_m, a_k, b_i, b_k, b_n;
} DotShape;
typedef struct { // rows [m0, m1) and columns [n0, n1) of one matrix; row0: its first row in C
  LLVMValueRef matrix, m0, m1, n0, n1, row0;
} DotTile;
typedef struct { // a tile of sums in memory, rows `ld` apart, to be given to the epilogue
  const Inst *dot;
  LLVMValueRef sum, ld;
  LLVMValueRef row, offset; // of the row that is being finished
} DotFinish;
DotShape dot_shape(Kernel *k, const Inst *dot);
DotTile dot_tile(Kernel *k, const DotShape *s, LLVMValueRef number);
void dot_finish(Kernel *k, DotFinish *f, const DotTile *t);
// Which back end makes the product of this group?
bool dot_uses_openblas(const Inst *group, Blas blas);
void dot_openblas(Kernel *k, const Inst *dot);

// ---- modules.c: distinct kernels, shared out among LLVM modules, compiled by several threads ---

typedef struct {
  const Inst *group;
  const char *key, *name;
} Unit;
typedef struct {
  BUF(Unit) unit;
  const char *const **name; // [function][launch]: the kernel's name
} Units;
Units find_units(Arena *arena, const Module *m, const char *suffix);

typedef enum { AS_OBJECT, AS_ASSEMBLY, AS_LLVM } Form;
typedef struct {
  LLVMMemoryBufferRef *at;
  uint32_t n;
} Parts;
// One part per LLVM module; how many there are doesn't depend on options->jobs. suffix NULL:
// without the program's tables. NULL, or why not.
const char *compile_modules(const Module *m, const CodegenOptions *options, const char *suffix,
                            const Units *units, Form form, Parts *parts);

// program.c: m->program as constants of the module, called nnrt_program<suffix>; launch i of
// function f runs the kernel kernel_name[f][i].
void program_emit(Gen *g, const Module *m, const char *suffix,
                  const char *const *const *kernel_name);
// nnrt_programs[]: pointers to nnrt_program<suffix>, NULL at the end.
void program_emit_index(Gen *g, const char *const *suffixes, uint32_t n);

#endif
