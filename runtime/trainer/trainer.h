// What the parts of the trainer share: the command line program inside every executable.
// Each part returns false after it has put one complete message into a Failure; main.c prints it.
// Nothing here is global, but for the flag that the handler of Ctrl-C sets (loop.c).
#ifndef NNRT_TRAINER_H
#define NNRT_TRAINER_H

#include <signal.h>
#include <stdio.h>
#include "nnrt.h"
#include "nnrt_text.h"

// ---- Failures, strings, numbers (text.c) ------------------------------------------------------

typedef struct {
  char text[4096]; // one message, without "error: " and without the newline at its end
} Failure;

// Sets the message; returns false, so that `return failf(...)` reads well.
bool failf(Failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));

// A growing text. All-zero is empty; `at` is NUL-terminated once anything was put.
typedef struct {
  char *at;
  size_t length, capacity;
  bool no_memory; // something could not be put
} String;

void string_printf(String *string, const char *format, ...) __attribute__((format(printf, 2, 3)));
void string_put(String *string, const char *text);
void string_put_json(String *string, const char *text);    // with its quotes
void string_put_json_number(String *string, double value); // null where JSON has no number
void string_put_count(String *string, int64_t value);      // 1,234,567
void string_put_csv(String *string, const char *text);     // quoted where needed
void string_clear(String *string);
void string_free(String *string);

enum { NUMBER_TEXT = 32 };
char *figure_text(double value, char text[NUMBER_TEXT]); // a figure for people: "0.0712", "1234.5"
char *shape_text(const NnrtType *type, char text[192]);  // "28x28x1", "number" for a scalar
// Decimal text of exactly `length` bytes, nothing around it: no hex, inf or nan.
bool parse_number(const char *text, size_t length, double *value);
bool parse_integer(const char *text, int64_t min, int64_t max, int64_t *value);
// The nearest of the names if one is near, else NULL.
const char *closest_name(const char *name, const char *const *names, size_t count);

// Zeroed memory with NNRT_ALIGN alignment and slack; freed by free(). NULL after failf.
void *allocate(int64_t count, size_t item, const char *what, Failure *failure);
int64_t type_elements(const NnrtType *type); // elements, with N = 1
size_t elem_bytes(uint32_t elem);
const char *elem_text(uint32_t elem);
double seconds_now(void);

// ---- Files (file.c, gzip.c, image.c) ----------------------------------------------------------

typedef struct {
  uint8_t *at;
  size_t size;
} Bytes;

// The whole file as it lies on the disk. Only regular files.
bool file_read(const char *path, Bytes *bytes, Failure *failure);
bool file_exists(const char *path);
// Replaces the file as a whole or not at all: a good file at `path` survives every failure.
typedef struct {
  const void *at;
  size_t size;
} Piece;
bool file_write(const char *path, const Piece *pieces, size_t count, Failure *failure);
// The whole content, plain or gzipped (csv.c).
bool file_unpacked(const char *path, Bytes *file, Failure *failure);
// Could file_write(path) succeed? Asked before hours of work.
bool file_check_writable(const char *path, Failure *failure);
// Looks for a data file as users are promised: --data, $NN_DATA, here, the folder of the .nn file.
// found: malloc'd path.
bool file_search(const char *name, const char *data_folder, const char *program_path, char **found,
                 Failure *failure);

bool gzip_is(const Bytes *bytes);
// The first `want` bytes of the content, fewer if it ends before. SIZE_MAX: all of it.
// complete: the content ended there, and its checksum is right.
bool gzip_inflate(const char *path, const Bytes *packed, size_t want, Bytes *content,
                  bool *complete, Failure *failure);

// ---- Pictures (picture.c, image.c, jpeg.c, pictures.c, folders.c, cifar.c) --------------------

// Pixels, row by row, in 1 (grey), 3 (RGB) or 4 (RGBA) channels, 0..255.
typedef struct {
  uint8_t *at;
  uint32_t height, width, channels;
} Picture;

bool png_is(const Bytes *bytes);
bool jpeg_is(const Bytes *bytes);
// channels: 0 keeps grey or RGB as the file has it. picture->at: malloc'd.
bool png_read(const char *path, const Bytes *file, uint32_t channels, Picture *picture,
              Failure *failure);
bool jpeg_read(const char *path, const Bytes *file, uint32_t channels, Picture *picture,
               Failure *failure);
bool png_write(const char *path, const Picture *picture, Failure *failure);
bool picture_size_allowed(const char *path, uint32_t height, uint32_t width, Failure *failure);
bool picture_decode(const char *path, const Bytes *file, uint32_t channels, Picture *picture,
                    Failure *failure);
// Height, width and channels of a picture of this type; false: no picture has it.
bool picture_shape(const NnrtType *type, Picture *shape);
// Into `to`, whose channels the picture has: as it is, or resized if the column says so.
bool picture_fit(const char *path, const Picture *picture, const NnrtColumn *column,
                 const Picture *to, Failure *failure);
// fits: false if the picture is good, but isn't what the column wants.
bool picture_read(const char *path, const NnrtColumn *column, const Picture *to, bool *fits,
                  Failure *failure);

typedef struct { // of folders, a folder for each class: one file a row
  char **path;
  int32_t *class;
  int64_t rows;
} ClassFiles;
void class_files_free(ClassFiles *files);
typedef struct Pictures Pictures; // a column of them, read ahead by threads

// ---- JSON (json.c) ----------------------------------------------------------------------------

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonKind;
typedef struct Json {
  JsonKind kind;
  double number;      // JSON_NUMBER, JSON_BOOL
  char *text;         // JSON_STRING
  char *name;         // of a member of an object
  struct Json *child; // first of an array or object
  struct Json *next;
} Json;

Json *json_parse(const char *text, size_t size, String *why); // NULL, and why
void json_free(Json *json);
const Json *json_member(const Json *object, const char *name);

// ---- Options (options.c, help.c) --------------------------------------------------------------

typedef enum {
  COMMAND_TRAIN,
  COMMAND_EVAL,
  COMMAND_PREDICT,
  COMMAND_SUMMARY,
  COMMAND_GRADCHECK,
  COMMAND_PROFILE,
  COMMAND_PREVIEW,
  COMMAND_HELP,
  COMMAND_VERSION
} Command;
typedef enum { LOG_AUTO, LOG_PLAIN, LOG_JSON, LOG_BAR } LogForm;
typedef enum { SPLIT_TRAIN, SPLIT_VALIDATE, SPLIT_TEST, SPLIT_NONE } SplitKind;

typedef struct {
  Command command;
  int64_t epochs, steps, batch, seed, threads, count; // -1: not given
  SplitKind split;                                    // SPLIT_NONE: not given
  LogForm log;
  const char *out, *load, *data, *history, *csv; // NULL: not given
  const char *curves;                            // NULL: not given
  const char *pictures;                          // the folder for them, or NULL
  const char *block;                             // train or predict block by name, or NULL
  bool partial;                                  // --load takes what fits
  float *config;                                 // one per program.config
  const char *const *file;                       // predict: the files
  size_t n_file;
} Options;

bool options_parse(const NnrtProgram *program, int argc, char **argv, Options *options,
                   Failure *failure);
void options_free(Options *options);
// One line per flag that every program has, for the parser and for --help.
typedef struct {
  const char *name, *operand, *help;
} Flag;
extern const Flag trainer_flags[];
extern const size_t trainer_flag_count;
void help_print(const NnrtProgram *program, const char *self);

// ---- Data (data.c, table.c, idx.c, csv.c) -----------------------------------------------------

// The rows of one source, a column at a time. Values lie as stored in the file where that is
// smaller (u8 for f32) and are converted when a batch is gathered.
typedef struct {
  uint32_t elem; // as stored
  int64_t count; // elements per row
  int64_t step;  // from the first element of a row to that of the next: less than count in windows
  void *values;  // NULL: not loaded
  void *owner;   // the allocation that values lie in
  Pictures *pictures; // in the place of values: read when they are wanted
} TableColumn;
typedef struct Table {
  int64_t rows, first_example; // first_example: number of row 0 in the whole data
  TableColumn *column;
  uint32_t n_column;
  ClassFiles *files;  // of folders
  struct Table *side; // of a zip: n_side, without their columns
  uint32_t n_side;
  bool strict;    // a picture that can't be read is a failure
  int64_t broken; // pictures left out so far
} Table;
typedef struct {
  Table *table;
  int64_t first, rows;
  SplitKind kind;
  const int64_t *order; // row i of the split is row order[first + i] of the table; NULL: first + i
} Split;
int64_t split_row(const Split *split, int64_t i);

typedef struct {
  const NnrtColumn *column;
  uint32_t n_column;
  const bool *needed;       // per column; NULL: all
  const char *data_folder;  // --data
  const char *program_path; // of the .nn file; NULL: names are paths as they are
  const char *data_name;    // "Mnist", for messages
} TableRequest;

bool table_load(Table *table, const NnrtSource *source, const TableRequest *request,
                Failure *failure);
void table_free(Table *table);
// Parts of table_load
bool table_allocate(Table *table, const TableRequest *request, int64_t rows, Failure *failure);
bool idx_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure);
bool idx_is(const Bytes *bytes);
bool folders_load(Table *table, const NnrtSource *source, const TableRequest *request,
                  Failure *failure);
bool text_folders_load(Table *table, const NnrtSource *source, const TableRequest *request,
                       Failure *failure);
bool class_files(ClassFiles *files, const NnrtSource *source, const char *root,
                 const TableRequest *request, Failure *failure);
bool column_is_class(const NnrtColumn *column);
typedef struct { // what rows of a zip are found by
  char **at;
  int64_t n, room;
} Keys;
bool zip_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure);
bool keys_add(Keys *keys, const char *text, size_t length, Failure *failure);
// The cells of the column of this name.
bool csv_keys(const NnrtSource *source, const TableRequest *request, const char *name, Keys *keys,
              Failure *failure);
bool cifar_load(Table *table, const NnrtSource *source, const TableRequest *request,
                Failure *failure);
bool csv_has_header(const char *path, const NnrtSource *source, bool *header, Failure *failure);
bool csv_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure);
// Stores one number after checking that it fits the column. NULL, or what was expected.
const char *table_store(TableColumn *column, const NnrtType *type, int64_t index, double value,
                        char expected[64]);
bool request_path(const TableRequest *request, const char *name, char **path, Failure *failure);
bool table_windows(Table *table, const NnrtSource *source, const TableRequest *request,
                   Failure *failure);
bool text_load(Table *table, const NnrtSource *source, const TableRequest *request,
               Failure *failure);

// The words of a column, to be looked up (words.c).
typedef struct {
  const NnrtWords *list;
  NnrtCell *word;
  uint32_t *slot; // hash table: word + 1, or 0
  uint64_t mask;
} WordIndex;
bool words_open(WordIndex *index, const NnrtWords *list, Failure *failure);
void words_close(WordIndex *index);
// NULL, or what was expected. A missing value is NAN.
const char *words_value(const WordIndex *index, const NnrtCell *cell, bool missing, double *value);
const char *words_tokens(const WordIndex *index, const NnrtCell *cell, TableColumn *column,
                         const NnrtColumn *as, int64_t row, char expected[64]);
int64_t column_cells(const NnrtColumn *column); // of a row of csv that it is made of

typedef struct {
  const NnrtProgram *program;
  const NnrtData *data;
  const char *data_folder;
  const NnrtColumn *column; // those of data, or of a predict block
  uint32_t n_column;
  bool *needed;   // per column
  Table table[3]; // by SplitKind; validate's is empty if it is the end of train
  bool loaded[3];
  int64_t *order[3];     // of the rows of each table, NULL: as they lie
  int64_t fold;          // from 1: it validates; 0: none does, all rows train
  bool is_part;          // of other data: it may have no rows
  struct Values *values; // what computed rows are computed with
  NnrtPool *pool;
  bool estimates; // training begins: transforms are fitted, also those of what rows are of
} Dataset;

bool dataset_open(Dataset *dataset, const NnrtProgram *program, uint32_t data,
                  const Options *options, Failure *failure);
// This function's columns will be loaded too. To be called before the first split is taken.
void dataset_need(Dataset *dataset, const NnrtFunction *function);
bool dataset_has(const Dataset *dataset, SplitKind kind);
// Are the files of every split there? Contents are read by dataset_split.
bool dataset_check_files(const Dataset *dataset, Failure *failure);
bool dataset_split(Dataset *dataset, SplitKind kind, Split *split, Failure *failure);
// The split asked for by --split, else the first there is of test, validate, train.
SplitKind dataset_default_split(const Dataset *dataset, const Options *options);
void dataset_close(Dataset *dataset);
bool computed_load(Table *table, const Dataset *dataset, SplitKind kind, Failure *failure);
const char *split_name(SplitKind kind);

// ---- Weights and calls (values.c, call.c, weights.c; tensors.h)
// ------------------------------------------

// Everything that lives between calls, in one block.
typedef struct Values {
  const NnrtProgram *program;
  void **param, **slot, **state;
  float *config;
  void *block, **pointers;
  void **row_state, *row_block; // of the block at work: values_open_rows()
} Values;

bool values_open(Values *values, const NnrtProgram *program, const Options *options,
                 Failure *failure);
void values_close(Values *values);
// Room for the states that each row of a batch has (rule 25); they are not saved.
bool values_open_rows(Values *values, int64_t batch, Failure *failure);
void values_close_rows(Values *values);
void values_clear_slots(Values *values, const NnrtTrain *train);
// Parameters and states: kept aside, and taken back. *kept is allocated the first time.
bool values_keep(const Values *values, char **kept, Failure *failure);
void values_take_back(Values *values, const char *kept);
// Runs `init`.
bool values_initialise(const Values *values, NnrtPool *pool, int64_t seed, Failure *failure);
bool weights_save(const Values *values, const char *path, Failure *failure);
// partial: what doesn't fit is reported and left as it is (--partial).
bool weights_load(const Values *values, const char *path, bool partial, Failure *failure);
// What training starts from: initial values and over them what `weights = ...` says; or --load.
// report: where it is said what was read; NULL: nowhere.
bool weights_begin(const Values *values, NnrtPool *pool, int64_t seed, const Options *options,
                   FILE *report, Failure *failure);
// What eval and predict start from: --load, the file that training writes, or, where they give
// everything, the files of `weights = ...`.
bool weights_load_default(const Values *values, NnrtPool *pool, const Options *options,
                          Failure *failure);
// malloc'd "<program>.safetensors", or a copy of --out.
char *weights_path(const NnrtProgram *program, const Options *options);

// One function with its arguments bound.
typedef struct {
  NnrtModel *model;
  const NnrtProgram *program;
  uint32_t index;
  const NnrtFunction *function;
  void **arg, **result;         // per port
  void **own_arg, **own_result; // those that this call allocated, else NULL
  int64_t max_n;
  int64_t *row, *place; // of the rows gathered last: in the table, and in the split
} Call;

bool call_open(Call *call, NnrtModel *model, const Values *values, uint32_t function, int64_t max_n,
               Failure *failure);
void call_set(Call *call, int64_t step, int64_t epoch, int64_t seed); // in iteration `step`
void call_set_iteration(Call *call, int64_t iteration);
void call_set_fresh(Call *call, bool fresh); // are states of rows to begin anew?
// Copies rows into the arguments: row i is split row order(i), or first + i where order is NULL.
typedef struct {
  uint64_t key[4], size;
  unsigned bits; // of each half
} Shuffle;
Shuffle shuffle_make(int64_t rows, int64_t seed, int64_t epoch);
int64_t shuffle_at(const Shuffle *shuffle, int64_t i); // a permutation of 0 .. rows-1
// Rows first, first + 1, ... of the split as the call's arguments. Returns how many: fewer than n
// where pictures can't be read; -1 after a failure.
int64_t call_gather(Call *call, const Split *split, const Shuffle *shuffle, int64_t first,
                    int64_t n, Failure *failure);

// The pictures of a column (pictures.c). After pictures_prepare, those of the rows at [first,
// first + n) are there, and the next ones are being read.
Pictures *pictures_open(const ClassFiles *files, const NnrtColumn *column, Failure *failure);
void pictures_close(Pictures *pictures);
bool pictures_prepare(Pictures *pictures, const Split *split, const Shuffle *shuffle, int64_t first,
                      int64_t n, Failure *failure);
// Seconds that the loop waited for pictures of these rows since the last call; < 0: none in them.
double pictures_waited(const Split *split);
// false: it can't be read; failure says why, the first time.
bool pictures_has(Pictures *pictures, int64_t row, Failure *failure);
const uint8_t *pictures_row(const Pictures *pictures, int64_t row);
void call_number_rows(Call *call, int64_t first, int64_t n); // EXAMPLE without data
bool call_run(Call *call, int64_t n, Failure *failure);
// Result with this role and index, or NULL.
const void *call_result(const Call *call, NnrtRole role, uint32_t index);
void call_close(Call *call);
// The functions that training with this block runs, in a new array; one model is opened for them.
uint32_t *train_functions(const NnrtTrain *train, uint32_t *count, Failure *failure);
bool model_open(NnrtModel **model, const NnrtProgram *program, NnrtPool *pool, int64_t max_n,
                const uint32_t *functions, uint32_t count, Failure *failure);

// ---- Figures (figures.c) ----------------------------------------------------------------------

typedef struct { // metrics on their way to an epoch's figures
  const NnrtTrain *train;
  double *sum, *count; // per metric: of its values, and the rows in it
  double *total;       // of elements of train.total
  Call *formula;       // of train.figures: metrics of totals; NULL: there are none
  int64_t rows;
  int64_t epoch; // which metrics there are: all (0), those of this epoch, those of every (-1)
  const volatile sig_atomic_t *interrupted; // ends evaluate_split early; may be NULL
} Figures;

// formula: an open call of train.figures if it has one; it may serve several Figures.
bool figures_open(Figures *figures, const NnrtTrain *train, Call *formula, Failure *failure);
void figures_clear(Figures *figures);
void figures_add(Figures *figures, const Call *call, int64_t n);
// Those of one step only: a step is repeated, what else its function computes is not.
void figures_add_step(Figures *figures, const Call *call, int64_t n, const NnrtStep *step);
bool figures_due(const Figures *figures, uint32_t metric); // else its value is NAN
double figures_value(const Figures *figures, uint32_t metric);
// Takes the metrics of this epoch that step functions don't have.
void figures_take_rare(Figures *figures, const Figures *from, int64_t epoch);
bool figures_rare(const NnrtTrain *train, int64_t epoch); // are there any?
void figures_close(Figures *figures);
bool evaluate_split(Call *eval, const Split *split, int64_t batch, Figures *figures,
                    Failure *failure);
// One line or one JSON object of a split's figures.
void figures_print(const Figures *figures, SplitKind kind, const char *block, LogForm log);

// ---- Estimates on the training rows (fits.c) --------------------------------------------------

void fits_need(Dataset *dataset);
bool fits_estimate(Values *values, Dataset *dataset, NnrtPool *pool, Failure *failure);

// ---- Pictures that programs draw (drawing.c) --------------------------------------------------

typedef struct {
  String folder; // with its slash; where they are written
} Drawings;
bool drawings_open(Drawings *drawings, const NnrtProgram *program, const Options *options,
                   Failure *failure);
void drawings_close(Drawings *drawings);
const char *drawings_folder(const Drawings *drawings);
// `count` pictures of an output NNRT_AS_PICTURE in its grid.
bool picture_write(const NnrtOutput *output, const float *values, int64_t count, const char *path,
                   Failure *failure);
// Writes what `draw`, or a predict of many rows, shows now into a file; of a text, it is added to
// `text` as well.
bool draw_picture(const NnrtDraw *draw, Call *call, const Split *rows, const char *path,
                  String *text, Failure *failure);

// ---- Cross-validation (folds.c) ---------------------------------------------------------------

typedef struct { // the last validation figures of each block, over the folds
  const NnrtProgram *program;
  int64_t folds, n;     // wanted; seen
  double *sum, *square; // per metric of all blocks
} Folds;

int64_t folds_wanted(const NnrtProgram *program, uint32_t first, uint32_t end);
bool folds_open(Folds *folds, const NnrtProgram *program, int64_t count, Failure *failure);
void folds_add(Folds *folds, const Figures *figures, int64_t fold, LogForm log);
void folds_print(const Folds *folds, uint32_t first, uint32_t end, LogForm log);
void folds_close(Folds *folds);

// ---- Curves of the figures (curves.c) ---------------------------------------------------------

typedef struct {
  const NnrtTrain *train;
  uint32_t metric;
  double epoch, value[2]; // of training and, or NAN, validation rows
} CurvePoint;
typedef struct {
  const char *path; // NULL: none are wanted
  CurvePoint *at;
  size_t n, capacity;
} Curves;
bool curves_add(Curves *curves, const NnrtTrain *train, int64_t epoch, const Figures *figures,
                const Figures *validation, Failure *failure);
bool curves_write(const Curves *curves, const NnrtProgram *program, Failure *failure);
void curves_close(Curves *curves);

// ---- Progress and history (progress.c) --------------------------------------------------------

typedef struct {
  const NnrtProgram *program;
  const NnrtTrain *train;
  LogForm log; // never LOG_AUTO
  int64_t epochs, steps, steps_per_epoch;
  double started, epoch_started, drawn; // seconds
  double waited;                        // of this epoch, for pictures; < 0: there are none
  bool bar_shown;
  bool quiet; // in a fold: its result is printed at its end
  const char *history_path;
  String history;
  double history_written;
  Curves curves;
} Progress;

LogForm log_form(const Options *options);
void progress_start(Progress *progress, const NnrtTrain *train, int64_t epochs, int64_t steps,
                    int64_t steps_per_epoch);
void progress_step(Progress *progress, int64_t epoch, int64_t step_in_epoch, int64_t step,
                   const Figures *figures);
void progress_log(Progress *progress, int64_t step, const Figures *figures);
bool progress_epoch(Progress *progress, int64_t epoch, int64_t step, const Figures *figures,
                    const Figures *validation, Failure *failure);
// A text that was drawn into the file `path`.
// The bytes that a block has allocated for values and scratch (JSON only).
void progress_memory(const Progress *progress, int64_t batch, int64_t arena);
void progress_text(Progress *progress, const char *path, const char *text);
void progress_clear_bar(Progress *progress);
bool progress_finish(Progress *progress, Failure *failure);
void progress_close(Progress *progress);

// ---- Commands ---------------------------------------------------------------------------------

typedef struct {
  const NnrtProgram *program;
  const Options *options;
  NnrtPool *pool;
  const char *self; // argv[0]
  Drawings drawings;
} Run;

// Exit status through *status (0 unless said otherwise); false: failure says why.
bool command_train(const Run *run, int *status, Failure *failure);
bool command_eval(const Run *run, int *status, Failure *failure);
bool command_predict(const Run *run, int *status, Failure *failure);
bool command_summary(const Run *run, int *status, Failure *failure);
bool command_gradcheck(const Run *run, int *status, Failure *failure);
bool command_preview(const Run *run, int *status, Failure *failure);
bool command_profile(const Run *run, int *status, Failure *failure);
int64_t option_or(int64_t given, int64_t otherwise);
// The block called options.block, or the first; NNRT_NONE and failf if there is none so called.
uint32_t train_block(const Run *run, Failure *failure);
// What predict prints, a row at a time (predict_print.c).
void put_text(String *text, const NnrtOutput *output, const void *values); // NNRT_AS_TEXT, one row
typedef struct {
  const NnrtPredict *predict;
  const Call *call;
  LogForm log;
  bool to_csv;
  String csv;   // everything, if to_csv
  int64_t rows; // printed so far
  const Drawings *drawings;
  String path; // of the row's picture, where it is to be printed
} Printer;
// Row `i` of the call's results, called `row` of `file` (NULL: of the data). row -1: the file is
// the row.
bool print_row(Printer *printer, int64_t i, int64_t row, const char *file, Failure *failure);
// What value k of an index with these names is called: its number, if it has none. NULL: nothing
// (padding).
const char *word_name(const NnrtWords *words, int64_t k, char number[NUMBER_TEXT]);

// ---- CPU (cpu.c) ------------------------------------------------------------------------------

int cpu_level(void); // 1 .. 4 of x86-64-v1 .. v4
// The first program that this CPU can run.
const NnrtProgram *cpu_choose(const NnrtProgram *const *programs, Failure *failure);
// FMA rate of one core with the vectors of this level, in GFLOP/s.
double cpu_peak_gflops(uint32_t level);

#endif
