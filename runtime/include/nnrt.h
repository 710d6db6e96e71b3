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
  NNRT_PARAM,     // program.param[index]: trained weights (results alias their argument)
  NNRT_SLOT,      // program.slot[index]: optimizer state
  NNRT_STATE,     // program.state[index]: moving statistics
  NNRT_ROW_STATE, // program.row_state[index], for N rows: lives from batch to batch (rule 25)
  NNRT_COLUMN,    // data.column[index], for N rows; in a predict function predict.input[index]
  NNRT_CONFIG,    // program.config[index], one f32
  NNRT_STEP,      // one i32: this optimizer update, from 1
  NNRT_ITERATION, // one i32, from 1: differs from STEP in steps that are repeated
  NNRT_EPOCH,     // one i32: this epoch, from 1
  NNRT_FRESH,     // one i32: 1 in the first batch of an epoch, where row states begin anew
  NNRT_SEED,      // one i32
  NNRT_EXAMPLE,   // i32[N]: each row's number in the whole data
  NNRT_PLACE,     // i32[N]: which of the pictures of a drawing each row is for, from 0
  NNRT_SCALAR,    // f32: stop.input[index] of a stop function, total[index] of figures.T
  NNRT_METRIC,    // result, one f32: train.metric[index]
  NNRT_WEIGHT,    // result, one f32: what the sums of weighted metrics are divided by
  NNRT_TOTAL,     // result, f32: train.total[index], summed over the rows of the call
  NNRT_OUTPUT,    // result: predict.output[index]
  NNRT_GRAD,      // result: gradient of program.param[index]
  NNRT_GRAD_PART, // likewise, where stop_gradient leaves out a part that differences would see
} NnrtRole;

typedef struct {
  const char *name;
  NnrtType type;
  uint32_t role, index;
  uint32_t buffer; // in NnrtFunction.buffer
} NnrtPort;

// Where a buffer lives. Arena buffers are placed by nnrt_plan(); slices lie in another buffer; the
// others come with the call.
enum { NNRT_ARENA, NNRT_ARG, NNRT_RESULT, NNRT_CONSTANT, NNRT_SLICE };
typedef struct {
  int64_t fixed, per_n; // bytes: fixed + per_n * N
  uint32_t kind;
  uint32_t index; // NNRT_ARG, NNRT_RESULT: which port; NNRT_CONSTANT: program.constant[index];
                  // NNRT_SLICE: the buffer in which it is one of several pieces of its own size
  uint32_t first, last; // arena: the phases in which it is alive, inclusive
  uint32_t alias;       // shares the storage of this buffer (in place), or NNRT_NONE
  uint32_t loop;        // number of the loop in whose turns it lives or moves; 0: none
  // NNRT_SLICE: in turn t it is piece (start + step * t), with a ring: % ring.
  int64_t start, step, ring;
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
  uint32_t
      loop; // number of the loop around it; 0: none. Operations and bytes are those of all turns
  uint32_t loc;
} NnrtLaunch;

// The launches [first, end), so many turns in a row: a scan. Phases of its launches are no others'.
typedef struct {
  uint32_t first, end;
  uint32_t first_buffer, end_buffer; // the buffers of its turns are among these
  uint32_t outer;                    // number of the loop around it, a lower one; 0: none
  bool barrier; // between turns; else each thread goes on to the next turn by itself
  int64_t turns;
} NnrtLoop;

typedef struct {
  const char *name; // "step.Mlp", "eval.Mlp", "predict.Class", "init", "stop.Mlp", "grad.Mlp"
  const NnrtPort *arg, *result;
  uint32_t n_arg, n_result;
  const NnrtLaunch *launch;
  uint32_t n_launch;
  const NnrtLoop *loop; // number k is loop[k - 1]
  uint32_t n_loop;
  const NnrtBuffer *buffer;
  uint32_t n_buffer;
  const uint32_t *launch_buf;
  const int64_t *launch_size;
} NnrtFunction;

// ---- What the trainer needs to know -------------------------------------------------------------

typedef struct {    // a named tensor that lives between calls
  const char *name; // path: "dense.weight"; slots: "Train/adam.m/dense.weight"
  NnrtType type;
  uint32_t loc, zero; // zero: instead of padding, so that equal programs are equal bytes
} NnrtTensor;

typedef struct {
  const char *name, *help;
  double value, min, max; // min > max: unbounded
} NnrtConfig;

typedef enum {
  NNRT_NO_SOURCE,
  NNRT_IDX,
  NNRT_CSV,
  NNRT_INLINE,
  NNRT_GENERATED,
  NNRT_TEXT,         // one text; its rows are windows of `window` characters
  NNRT_FOLDERS,      // pictures class/name.jpg: columns "image" and "class"
  NNRT_CIFAR,        // CIFAR-10 records, likewise
  NNRT_TEXT_FOLDERS, // texts class/name: columns "text" and "class"
  NNRT_ZIP,          // rows of several sources, side by side
  NNRT_COMPUTED      // of other data, by data.part: column k is output k of their functions
} NnrtSourceKind;
typedef struct NnrtSource {
  uint32_t kind;
  const char *const *file; // gz by its content. idx: `width` files, one per part of the record,
                           // then those with the rows that follow
  uint32_t n_file;
  bool header;         // csv: the first line names the columns
  char separator;      // csv
  const char *missing; // csv: text that stands for "no value" (as an empty cell does), or NULL
  bool no_quotes;      // csv: a quote is a character like others
  bool strict;         // folders: a picture that can't be read ends the run, else it is left out
  // csv: the columns that rows consist of, by place or, where the file names them, by name; none:
  // all. And those in which no cell may be missing, or the row is left out (drop_missing).
  const uint32_t *keep, *whole;
  const char *const *keep_name, *const *whole_name;
  uint32_t n_keep, n_whole;
  const char *const *class_name; // folders: which are read, in this order; none: all there are
  uint32_t n_class;
  bool drop_missing; // n_whole 0: in no column at all
  bool shuffled;     // the rows in the order of this seed, before anything is set aside
  int64_t shuffle_seed;
  int64_t window, stride; // rows are windows of so many values or characters, each begins `stride`
                          // behind the one before; 0: no windows
  int64_t rows, width;    // inline: rows x width values; generated: rows; idx: files of a record
  const double *value;    // inline
  const struct NnrtSource *side; // zip
  uint32_t n_side;
  const char *key; // zip: rows that have the same value in this column belong together; NULL: row i
  uint32_t loc;
} NnrtSource;

// How the text of a cell becomes values.
typedef enum {
  NNRT_AS_NUMBER,
  NNRT_AS_CODE,   // one of the words: its number in `code`
  NNRT_AS_NAME,   // one of the words: its place
  NNRT_AS_TOKENS, // its tokens, so many as the type has elements: 0 padding, 1 a token that is
                  // none of the words, k + 2 word k. Without padding and strangers (whole): k
  NNRT_AS_LENGTH, // how many tokens, at most `most`
} NnrtCoding;
typedef enum { NNRT_WORDS, NNRT_CHARACTERS } NnrtSplit;
typedef struct {
  uint32_t coding;
  const char *words; // n_word texts, each ended by a zero byte
  uint32_t n_byte, n_word;
  const double *code; // NNRT_AS_CODE
  uint32_t split;     // NNRT_AS_TOKENS, NNRT_AS_LENGTH
  bool lower;         // A to Z become a to z before
  bool pad_front;     // else behind; what is too long is cut at the same side
  int64_t most;
} NnrtWords;

// One raw column as functions take it (fields are computed inside the functions).
// idx: part `first`, converted to type.elem after a range check.
// csv / inline: values [first, first + product(dims)) of the row, or the csv column called
// `header`. generated: the row's number (i32). Of windows: so many values from `first` on.
typedef struct {
  const char *name;   // "image", "label" or "row[0]": for messages
  const char *header; // csv column by name, "image" or "class" of pictures, or NULL
  NnrtType type;      // of one row: no N in it
  uint32_t first;
  uint32_t loc;
  const uint32_t *place; // csv, inline: where in the row each value is; NULL: first, first + 1, ...
  uint32_t n_place;
  uint32_t side;    // zip: which source
  uint32_t resized; // 1: pictures of any size are made to fit
  NnrtWords words;
} NnrtColumn;

// Rows of other data: one after the last column, an output says which rows are chosen, if not all.
typedef struct {
  uint32_t data, function; // program.data[], program.function[]
} NnrtPart;

typedef struct {
  const char *name;
  NnrtSource train, validate, test; // kind NNRT_NO_SOURCE where not given
  double validate_last; // < 1: that fraction of train's last rows; >= 1: a count; 0: none
  int64_t folds;        // of cross-validation; 0: none
  int64_t skip, take;   // of the training rows: those left out first; at most so many (0: all)
  const NnrtColumn *column;
  uint32_t n_column;
  const char *path;     // of the .nn file that declares it: for the search of files
  const NnrtPart *part; // NNRT_COMPUTED: in this order; validation and test rows are of the first
  uint32_t n_part;
  uint32_t preview; // function whose output 0 is a variant of a picture; NNRT_NONE: none
} NnrtData;

// What is estimated on the training rows before training, into program.state[state[k]].
typedef enum {
  NNRT_FIT_STANDARDIZE, // mean, deviation
  NNRT_FIT_MIN_MAX,     // least, greatest
  NNRT_FIT_FILL         // mean of what isn't missing
} NnrtFitKind;
typedef struct {
  uint32_t data, function; // output 0 of the function is what the estimate is of
  uint32_t kind, state[2];
  bool pooled; // one estimate for all elements
} NnrtFit;

// Sum over rows / rows; the last batch's value; result of train.figures.
enum { NNRT_METRIC_MEAN, NNRT_METRIC_VALUE, NNRT_METRIC_FORMULA };
typedef struct {
  const char *name; // "loss", "accuracy"
  uint32_t kind;
  uint32_t every;          // epochs from one value to the next; more than 1: not of step functions
  uint32_t total, n_total; // FORMULA: of train.total[total ...]
  uint32_t weighted;       // 1: divided by the weights of the rows, not by their number
} NnrtMetric;

typedef struct {
  int64_t first, count; // elements: of the totals before it; its own
} NnrtTotal;

enum { NNRT_STOP_EPOCH, NNRT_STOP_STEP, NNRT_STOP_TRAIN, NNRT_STOP_VAL, NNRT_STOP_STALLED };
typedef struct { // one scalar input of a stop function
  uint32_t kind;
  uint32_t metric;     // TRAIN, VAL, STALLED: which
  bool of_val, rising; // STALLED: of the validation's figure; greater is better
  double patience, by; // STALLED: 1 if it did not improve by more than `by` for `patience` epochs
} NnrtStopInput;

typedef struct {             // `keep best(val.loss)`: training ends with the weights of that epoch
  bool best, of_val, rising; // rising: greater is better
  uint32_t metric;
} NnrtKeep;

typedef struct {           // one update of some of the parameters
  const char *name;        // "critic"; "" where the block has one step
  uint32_t step, grad;     // program.function[]
  uint32_t repeat;         // times in an iteration
  uint32_t loss, n_metric; // train.metric[loss ...]: its figures, the first what is minimised
  uint32_t total, n_total; // train.total[total ...]: likewise
  uint32_t part;           // adds to the gradients alone; only where train.accumulate > 1
} NnrtStep;

enum {
  NNRT_AS_NUMBERS,
  NNRT_AS_TOP,
  NNRT_AS_CLASS,
  NNRT_AS_TEXT,
  NNRT_AS_PICTURE,
  NNRT_AS_SCATTER,
  NNRT_AS_CONFUSION,
  NNRT_AS_MISCLASSIFIED
};
typedef struct {
  const char *name;
  NnrtType type; // of one row
  uint32_t form; // AS_TOP: the `top` greatest with their probabilities; AS_CLASS: an index;
                 // AS_TEXT: indices one after the other; AS_PICTURE: f32[n, height, width, 1 | 3],
                 // 0 .. 1; of many rows, alone in a predict: AS_SCATTER: n points f32[n, 2],
                 // then maybe their colour; AS_CONFUSION: the class that was said, then the true
                 // one; AS_MISCLASSIFIED: a picture, then both
  uint32_t top;
  uint32_t scale, rows, columns, zero; // AS_PICTURE: squares of so many pixels; a grid of pictures
  NnrtWords words; // what the values of the index, or the places of AS_TOP, are called
} NnrtOutput;

// `draw NAME = ... every n epochs`: a file each time. None of both: once, at the end.
typedef struct {
  const char *name;
  uint32_t function, n_output;
  const NnrtOutput *output; // what is drawn: the first says how
  int64_t every_epochs, every_steps;
  int64_t examples; // so many rows: the first of validation, else of training; 0: as many as fit
} NnrtDraw;

typedef struct {
  const char *name;
  uint32_t data;       // program.data[], or NNRT_NONE
  uint32_t eval, stop; // program.function[]; stop may be NNRT_NONE
  const NnrtStep *step;
  uint32_t n_step; // run in this order for each batch
  const NnrtMetric *metric;
  uint32_t n_metric;
  uint32_t figures;       // program.function[]: metrics from totals; NNRT_NONE: there are none
  const NnrtTotal *total; // sums that metrics are formulas of (rule 31)
  uint32_t n_total;
  const NnrtStopInput *stop_input;
  uint32_t n_stop_input;
  NnrtKeep keep;
  int64_t accumulate; // batches to an update; 0 or 1: each
  int64_t batch, epochs, steps,
      log_every; // steps: 0 if epochs rule; log_every: steps, 0 = per epoch
  int64_t seed;
  const uint32_t *slot; // program.slot[] that this block owns
  uint32_t n_slot;
  uint32_t n_draw;
  const NnrtDraw *draw;
  double flops_forward, flops_step; // per row
} NnrtTrain;

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
  uint32_t depth, zero;    // 0: the model
  const uint32_t *param;   // program.param[] created by it (not by its parts)
  uint32_t n_param, zero2; // as in NnrtTensor
} NnrtLayer;

// `weights = "file"`: the parameters and states of an instance begin as what a file says.
typedef enum {
  NNRT_LAYOUT_HWIO, // as ours
  NNRT_LAYOUT_OIHW, // filters, and outputs of a matrix, come first: PyTorch, ONNX
} NnrtLayout;
typedef struct {
  const char *instance;                // path of it
  const char *file, *path;             // path: of the .nn file, for the search
  const char *const *from, *const *to; // names in the file are changed so, one after the other
  uint32_t n_rename, layout, loc;
  uint32_t partial; // 1: what isn't in the file, or doesn't fit, stays as it was initialised
  double scale;
} NnrtImport;

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
  const NnrtTensor *row_state; // types are those of one row
  uint32_t n_param, n_slot, n_state, n_row_state;
  const bool *trainable; // per param: some train block changes it
  const NnrtConfig *config;
  uint32_t n_config;
  const NnrtConstant *constant;
  uint32_t n_constant;
  const NnrtData *data;
  uint32_t n_data;
  const NnrtFit *fit;
  uint32_t n_fit;
  const NnrtTrain *train;
  uint32_t n_train;
  const NnrtPredict *predict;
  uint32_t n_predict;
  const NnrtLayer *layer;
  uint32_t n_layer;
  const NnrtImport *import; // in the order of the instances; one may lie inside another
  uint32_t n_import;
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
int64_t nnrt_scratch(const NnrtFunction *f); // bytes that each thread has beside it
int64_t nnrt_tiles(const NnrtLaunch *launch, int64_t n);
int64_t nnrt_type_bytes(const NnrtType *type, int64_t n);
// Is this entry of a folder one that counts: a folder (of a class), a file that is called as
// pictures are, any file? None that begins with a dot does.
typedef enum { NNRT_ENTRY_FOLDER, NNRT_ENTRY_PICTURE, NNRT_ENTRY_FILE } NnrtEntry;
bool nnrt_folder_entry(const char *folder, const char *name, NnrtEntry entry);

typedef struct NnrtPool NnrtPool;
// threads <= 0: from the affinity mask and the cgroup's quota.
NnrtPool *nnrt_pool_open(int threads);
void nnrt_pool_close(NnrtPool *pool);
int nnrt_pool_threads(const NnrtPool *pool);

typedef struct NnrtModel NnrtModel;
// Allocates one arena that fits every function in `function[n_function]` (NULL: all) for up to
// max_n rows: the most that nnrt_plan() says of one, and nnrt_scratch() likewise for each thread of
// the pool. Nothing is allocated afterwards.
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
