// The one interface between generated programs, the compiler that lays them out, and the runtime.
// Plain data: a program is a set of constant tables. Shapes are rows of int64_t; a dimension < 0 is
// -k for k*N, N being the number of rows (examples) of a call.
#ifndef NNRT_H
#define NNRT_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define NNRT_ABI 1
#define NNRT_MAX_RANK 8
#define NNRT_ALIGN                                                                                 \
  64 // every buffer starts at a multiple of it and has so many bytes of readable slack
#define NNRT_NONE UINT32_MAX

typedef enum { NNRT_F32, NNRT_F64, NNRT_BF16, NNRT_I32, NNRT_U8, NNRT_BOOL } NnrtElem;

typedef struct {
  uint32_t elem, rank;
  int64_t dim[NNRT_MAX_RANK];
  int64_t range; // index<range>: values 0 .. range-1 (elem NNRT_I32 or NNRT_U8); else 0
} NnrtType;

// ---- Kernels -----------------------------------------------------------------------------------

// All that a kernel sees. There are no globals.
typedef struct {
  void *const *buf;    // this launch's buffers, in the kernel's order
  const int64_t *size; // constants of this launch (NnrtLaunch.size)
  int64_t n;           // rows of this call
  void *scratch;       // NnrtLaunch.scratch bytes, this thread's own, 64-byte aligned
} NnrtArgs;
// Does tiles [tile0, tile1). Tiles are fixed by shape, never by the number of threads.
typedef void (*NnrtKernel)(const NnrtArgs *args, int64_t tile0, int64_t tile1);

// ---- A function: a table of launches ------------------------------------------------------------

// What an argument or result of a function is; `index` points into the table named here.
typedef enum {
  NNRT_PARAM,   // program.param[index]: trained weights (results alias their argument)
  NNRT_SLOT,    // program.slot[index]: optimizer state
  NNRT_STATE,   // program.state[index]: moving statistics
  NNRT_COLUMN,  // data.column[index], for N rows; in a predict function predict.input[index]
  NNRT_CONFIG,  // program.config[index], one f32
  NNRT_STEP,    // one i32: this optimizer update, from 1
  NNRT_EPOCH,   // one i32: this epoch, from 1
  NNRT_SEED,    // one i32
  NNRT_EXAMPLE, // i32[N]: each row's number in the whole data
  NNRT_SCALAR,  // one f32: stop.input[index] of a stop function
  NNRT_METRIC,  // result, one f32: train.metric[index]; metric 0 is the loss
  NNRT_OUTPUT,  // result: predict.output[index]
  NNRT_GRAD,    // result: gradient of program.param[index]
} NnrtRole;

typedef struct {
  const char *name;
  NnrtType type;
  uint32_t role, index;
  uint32_t buffer; // in NnrtFunction.buffer
} NnrtPort;

// Where a buffer lives. Arena buffers are placed by nnrt_plan(); the others come with the call.
enum { NNRT_ARENA, NNRT_ARG, NNRT_RESULT, NNRT_CONSTANT };
typedef struct {
  int64_t fixed, per_n; // bytes: fixed + per_n * N
  uint32_t kind,
      index; // NNRT_ARG / NNRT_RESULT: which port; NNRT_CONSTANT: program.constant[index]
  uint32_t first, last; // arena: the phases in which it is alive, inclusive
  uint32_t alias;       // shares the storage of this buffer (in place), or NNRT_NONE
} NnrtBuffer;

typedef struct {
  NnrtKernel fn;
  const char *name;       // "dot+bias+relu": for the profile and the plan
  uint32_t buf0, n_buf;   // NnrtFunction.launch_buf[buf0 ...]: the kernel's buffers,
  uint32_t n_read;        // of which the first n_read are only read, the others are written
  uint32_t size0, n_size; // NnrtFunction.launch_size[size0 ...]
  int64_t tiles_fixed, tiles_per_n, rows_per_tile;
  // number of tiles: tiles_fixed * (rows_per_tile ? ceil(tiles_per_n * N / rows_per_tile) : 1)
  double flops_fixed, flops_per_n, bytes_fixed, bytes_per_n;
  uint32_t scratch; // bytes per thread
  // Launches of one phase run without a barrier between them, each thread takes its tiles of one
  // after the other: a launch that needs another one's results has as many tiles and needs only the
  // same tile.
  uint32_t phase;
  uint32_t loc;
} NnrtLaunch;

typedef struct {
  const char *name; // "step.Mlp", "eval.Mlp", "predict.Class", "init", "stop.Mlp", "grad.Mlp"
  const NnrtPort *arg, *result;
  uint32_t n_arg, n_result;
  const NnrtLaunch *launch;
  uint32_t n_launch;
  const NnrtBuffer *buffer;
  uint32_t n_buffer;
  const uint32_t *launch_buf;
  const int64_t *launch_size;
} NnrtFunction;

// ---- What the trainer needs to know -------------------------------------------------------------

typedef struct {    // a named tensor that lives between calls
  const char *name; // path: "dense.weight"; slots: "Train/adam.m/dense.weight"
  NnrtType type;
  uint32_t loc;
} NnrtTensor;

typedef struct {
  const char *name, *help;
  double value, min, max; // min > max: unbounded
} NnrtConfig;

typedef enum { NNRT_NO_SOURCE, NNRT_IDX, NNRT_CSV, NNRT_INLINE, NNRT_GENERATED } NnrtSourceKind;
typedef struct {
  uint32_t kind;
  const char *const *file; // idx: one file per record part; csv: one file. gz by its content
  uint32_t n_file;
  bool header;         // csv: the first line names the columns
  char separator;      // csv
  const char *missing; // csv: text that stands for "no value", or NULL
  int64_t rows, width; // inline: rows x width values; generated: rows
  const double *value; // inline
  uint32_t loc;
} NnrtSource;

// One raw column as functions take it (fields are computed inside the functions).
// idx: part `first`, converted to type.elem after a range check.
// csv / inline: values [first, first + product(dims)) of the row, or the csv column called
// `header`. generated: the row's number (i32).
typedef struct {
  const char *name;   // "image", "label" or "row[0]": for messages
  const char *header; // csv column by name, or NULL
  NnrtType type;      // of one row: no N in it
  uint32_t first;
  uint32_t loc;
} NnrtColumn;

typedef struct {
  const char *name;
  NnrtSource train, validate, test; // kind NNRT_NO_SOURCE where not given
  double validate_last; // < 1: that fraction of train's last rows; >= 1: a count; 0: none
  const NnrtColumn *column;
  uint32_t n_column;
  const char *path; // of the .nn file that declares it: for the search of files
} NnrtData;

enum { NNRT_METRIC_MEAN, NNRT_METRIC_VALUE }; // sum over rows / rows, or the last batch's value
typedef struct {
  const char *name; // "loss", "accuracy"
  uint32_t kind;
} NnrtMetric;

enum { NNRT_STOP_EPOCH, NNRT_STOP_STEP, NNRT_STOP_TRAIN, NNRT_STOP_VAL, NNRT_STOP_STALLED };
typedef struct { // one scalar input of a stop function
  uint32_t kind;
  uint32_t metric;     // TRAIN, VAL, STALLED: which
  bool of_val;         // STALLED: of the validation's figure
  double patience, by; // STALLED: 1 if it did not improve by more than `by` for `patience` epochs
} NnrtStopInput;

typedef struct {
  const char *name;
  uint32_t data;                   // program.data[], or NNRT_NONE
  uint32_t step, eval, grad, stop; // program.function[]; stop may be NNRT_NONE
  const NnrtMetric *metric;
  uint32_t n_metric;
  const NnrtStopInput *stop_input;
  uint32_t n_stop_input;
  int64_t batch, epochs, steps,
      log_every; // steps: 0 if epochs rule; log_every: steps, 0 = per epoch
  int64_t seed;
  const uint32_t *slot; // program.slot[] that this block owns
  uint32_t n_slot;
  double flops_forward, flops_step; // per row
} NnrtTrain;

enum { NNRT_AS_NUMBERS, NNRT_AS_TOP, NNRT_AS_CLASS };
typedef struct {
  const char *name;
  NnrtType type; // of one row
  uint32_t form; // AS_TOP: the `top` greatest with their probabilities; AS_CLASS: an index
  uint32_t top;
} NnrtOutput;
typedef struct {
  const char *name;
  uint32_t data; // or NNRT_NONE: inputs are `input`
  uint32_t function;
  const NnrtColumn *input; // the columns that it reads: those of data, or its own parameters
  uint32_t n_input;
  const NnrtOutput *output;
  uint32_t n_output;
} NnrtPredict;

typedef struct {           // one application of a layer or model, in order; for `summary`
  const char *path, *kind; // "dense_2", "Dense"
  NnrtType type;           // of its result for one row
  uint32_t depth;          // 0: the model
  const uint32_t *param;   // program.param[] created by it (not by its parts)
  uint32_t n_param;
} NnrtLayer;

typedef struct {
  uint32_t file, start, end,
      parent; // bytes in file[file]; parent: NnrtLoc that instantiated it, or 0
  uint32_t line;
  const char *layer; // path of the innermost layer application, or NULL
} NnrtLoc;

typedef struct {
  NnrtType type;
  const void *bytes;
} NnrtConstant;

typedef struct {
  uint32_t abi, bytes;                             // bytes = sizeof(NnrtProgram)
  const char *name, *compiler, *cpu, *source_hash; // cpu: "x86-64-v3" or "native"
  uint32_t cpu_level;                              // 2, 3, 4: what it needs
  const NnrtFunction *function;
  uint32_t n_function;
  uint32_t init; // function that makes all params (and states, role NNRT_STATE)
  const NnrtTensor *param, *slot, *state;
  uint32_t n_param, n_slot, n_state;
  const bool *trainable; // per param: some train block changes it
  const NnrtConfig *config;
  uint32_t n_config;
  const NnrtConstant *constant;
  uint32_t n_constant;
  const NnrtData *data;
  uint32_t n_data;
  const NnrtTrain *train;
  uint32_t n_train;
  const NnrtPredict *predict;
  uint32_t n_predict;
  const NnrtLayer *layer;
  uint32_t n_layer;
  const NnrtLoc *loc;
  uint32_t n_loc;
  const char *const *file;
  uint32_t n_file;
} NnrtProgram;

extern const NnrtProgram *const nnrt_programs[]; // one per CPU level, best first, NULL at the end

// ---- Core: layout and execution (no main, no stdio, no globals) ---------------------------------

typedef enum { NNRT_OK, NNRT_NO_MEMORY, NNRT_BAD_ABI, NNRT_BAD_CALL } NnrtStatus;

// Places the arena buffers of `f` for n rows: offset[i] for each buffer, the arena's size as
// result. Pure: the compiler prints with it what the runtime will do.
int64_t nnrt_plan(const NnrtFunction *f, int64_t n, int64_t *offset);
int64_t nnrt_tiles(const NnrtLaunch *launch, int64_t n);
int64_t nnrt_type_bytes(const NnrtType *type, int64_t n);

typedef struct NnrtPool NnrtPool;
// threads <= 0: from the affinity mask and the cgroup's quota.
NnrtPool *nnrt_pool_open(int threads);
void nnrt_pool_close(NnrtPool *pool);
int nnrt_pool_threads(const NnrtPool *pool);

typedef struct NnrtModel NnrtModel;
// Allocates one arena that fits every function in `function[n_function]` (NULL: all) for up to
// max_n rows; nothing is allocated afterwards.
NnrtStatus nnrt_open(const NnrtProgram *program, NnrtPool *pool, int64_t max_n,
                     const uint32_t *function, uint32_t n_function, NnrtModel **model);
// arg[i] / result[i] point to the tensors of f->arg[i] / f->result[i]; a result with the same role
// and index as an argument (params, slots, state) must get the same pointer.
NnrtStatus nnrt_run(NnrtModel *model, uint32_t function, int64_t n, void *const *arg,
                    void *const *result);
int64_t nnrt_arena_bytes(const NnrtModel *model);
void nnrt_close(NnrtModel *model);
// Per-launch seconds of one run of `function`, added to seconds[launch]; NULL switches it off.
void nnrt_profile(NnrtModel *model, uint32_t function, double *seconds);
// Fills arena buffers with NaN before first use and after last use, and runs the threads of a phase
// one after the other, the last one first (tests).
void nnrt_poison(NnrtModel *model, bool on);

// ---- Trainer ------------------------------------------------------------------------------------

// The whole command line program; main() calls it with nnrt_programs.
int nnrt_trainer_main(const NnrtProgram *const *programs, int argc, char **argv);

#endif
