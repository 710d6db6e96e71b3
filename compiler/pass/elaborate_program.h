// What the parts that elaborate data, train and predict blocks share (elaborate.h is their contract
// with the rest of the pass).
//   elaborate_data.c       data blocks: fields, columns, `row`
//   elaborate_settings.c   data blocks: settings
//   elaborate_row.c        the raw record: `row[0]`, `row.price`
//   elaborate_source.c     idx(...), csv(...), rows written in the program, generated(n)
//   elaborate_steps.c      steps on the rows of a source: drop_missing, windows, ...
//   elaborate_files.c      what can be seen in the data files while compiling
//   elaborate_cells.c      what is counted in csv files and texts: names, words, columns of text
//   elaborate_folders.c    folders(...), text_folders(...), cifar(...): classes, texts
//   elaborate_zip.c        zip(...): rows of several sources, side by side
//   elaborate_pictures.c   pictures of folders(...) and cifar(...)
//   elaborate_augment.c    augment(...) of pictures, and what `preview` shows
//   elaborate_words.c      from cells to values: recode, vocabulary and pad, without
//   elaborate_fitted.c     standardize, min_max, fill: estimated on the training rows
//   elaborate_items.c      train blocks: items and settings
//   elaborate_train.c      train blocks: the functions eval, step, grad
//   elaborate_over.c       what is trained
//   elaborate_optimizer.c  updates of parameters and slots
//   elaborate_gradients.c  weight, accumulate, clip
//   elaborate_totals.c     reports that are formulas of totals
//   elaborate_stop.c       `stop when`, `keep best(...)`
//   elaborate_drawing.c    `draw NAME = grid(...) every 4 epochs`
//   elaborate_predict.c    predict blocks
//   elaborate_tables.c     targets and their arguments, configs, init, the tables of NnrtProgram
#ifndef NNC_ELABORATE_PROGRAM_H
#define NNC_ELABORATE_PROGRAM_H

#include "pass/elaborate.h"
#include "nnrt_text.h"

enum { IDX_U8 = 8 };

typedef struct Columns {
  BUF(NnrtColumn) at;
} Columns;

// What a data file says about itself, as far as its first bytes tell.
typedef struct {
  const char *path;  // where it was found; NULL: it was not
  const char *wrong; // why it can't be what the program says, or NULL
  uint32_t code;     // idx: the type byte of the header; IDX_U8 is what pictures have
  uint32_t rank;     // idx: axes of one record
  int64_t rows, dim[MAX_RANK];
  const char **name; // csv: the cells of the first line
  uint32_t width;    // csv: how many
  NnrtCell *row;     // text_folders: `rows` texts, once they are read
  const char *text;  // csv, text: the content, as far as it was read
  size_t n_text;
  bool all;                          // that is all of it
  const bool *text_column, *sampled; // csv: per column, of all rows and of the first
} FileFacts;

typedef struct { // of the rows of windows(...): `row.history`
  const char *name;
  int64_t first, count;
} WindowPart;

typedef struct DataSource {
  NnrtSource s;
  Span span; // the expression
  Node *node;
  FileFacts *facts; // one per file
  bool opened;      // files_look() was here
  // Of windows: the column that they are cut from, what they are called, what is fitted before.
  bool has_series;
  const char *series; // NULL: by its place
  uint32_t series_place;
  BUF(WindowPart) part;
  Node *scaling;
  NnrtWords letters;       // of NNRT_TEXT
  struct DataSource *side; // of NNRT_ZIP: s.n_side
} DataSource;

typedef struct { // the rows of csv files, one after the other
  DataSource *source;
  uint32_t file;
  bool whole;   // else the first rows of each file
  int64_t text; // of text_folders: which is next
  const char *at, *end;
  int64_t lines;
  BUF(NnrtCell) cell;
} RowReader;

typedef struct {
  Node *node;   // N_FIELD or N_LET's N_BINDING
  Scope *scope; // of the file where it stands
  const char *name;
  const char *draws; // what its draws are called after: names of one tuple have the same
  uint32_t place;    // of a name in a tuple, from 1; 0: it is no tuple
  Type type;
  bool typed; // `type` was written and is known
  bool open;  // it was written with `_` or names that the data decides
  bool bad;   // it was reported
} Field;

// What is estimated on the training rows: found again by the place where it is written.
typedef struct {
  Node *node, *operand;
  const Field *field;
  uint32_t kind; // NnrtFitKind
  bool pooled;   // one for all elements
  struct Param *state[2];
} Fitted;

typedef struct { // what a column's words were counted to be, by the expression
  const Node *node;
  NnrtWords words;
} NodeWords;

struct DataInfo {
  const char *name;
  Node *decl;
  Scope *scope;   // of its file
  uint32_t index; // in NnrtProgram.data, or NNRT_NONE: nothing uses it yet
  bool resolved;  // data_resolve() was here
  bool bad;       // it was reported; don't go on
  DataSource train, validate, test;
  double validate_last;
  int64_t folds, skip, take; // as in NnrtData
  DataInfo *base;            // `from`: whose rows these are
  Span validate_span, take_span;
  BUF(Field) field, let;
  Columns column;
  const Field *computing; // now: gives `row[0]` its shape
  bool named;             // a column has been called after it
  BUF(Fitted) fit;
  BUF(NodeWords) words;
  const Field *augmented;      // the first field or let with augment(...), or NULL
  uint32_t preview;            // its function, or NNRT_NONE
  Node *where;                 // N_WHERE, or NULL
  Node *cache;                 // `cache = true`, or NULL
  BUF(struct DataInfo *) part; // computed: what its rows are of
  struct DataInfo *stored;     // whose fields are the columns: itself where it is joined, chosen or
                               // kept, that in data from such data; else NULL
  const NnrtPart *parts;       // as tables, at the end
  BUF(struct DataInfo *) side; // of NNRT_ZIP: one per source
  struct DataInfo *whole;      // of a side: whose it is, at this place
  uint32_t place;
};

// In which the formulas of now are read: of the field's file, which may be that of the data's base.
static inline Scope *data_scope(const DataInfo *data) {
  return data->computing ? data->computing->scope : data->scope;
}

typedef struct {
  Node *binding, *decl;
  Scope *scope;
  double value;
  bool known;
} ConfigInfo;

typedef struct Minimize {
  Node *node;
  bool *selected; // by Param.index: trained by this
  bool *depends;  // likewise: what is minimised is computed from it
  Val optimizer;
} Minimize;

typedef struct {
  Node *node; // N_ARG
  const char *name;
  int64_t every; // epochs; 0: each
} Report;

typedef struct {          // a report that is a formula of totals
  uint32_t metric, first; // in Train.metric; its first total in Train.total
  Totals total;           // in eval.T, as `value` is
  Value *value;
  Span span;
} TotalFormula;

typedef struct {     // of `draw`
  Node *item, *node; // N_DRAW, N_ARG
  const char *name;
} Drawing;

// What is updated together. A block without `step` items has one step; what stands in it is the
// block's.
typedef struct {
  Node *node;       // N_STEP or N_TRAIN
  const char *name; // "critic", or ""
  BUF(Minimize) minimize;
  BUF(Report) report;
  Node *repeat_node;
  uint32_t metric; // in Train.metric: the loss, each of several losses, the reports
  NnrtStep table;
} Step;

typedef struct {
  Node *node;
  const char *name;
  DataInfo *data; // or NULL
  Scope *scope;   // of the file
  BUF(Step *) step;
  Step *whole; // of a block without `step` items; else it holds the reports of the block
  BUF(NnrtMetric) metric;
  BUF(NnrtTotal) total;
  BUF(TotalFormula) formula;
  Node *stop, *batch_node, *epochs_node, *steps_node, *seed_node, *log_node, *clip_node, *keep_node,
      *weight_node, *accumulate_node;
  BUF(NnrtStopInput) stop_input;
  BUF(uint32_t) slot;
  BUF(Drawing) drawing;
  BUF(NnrtDraw) draw;
  bool incomplete; // an item was refused: it may be what seems to be missing
  NnrtTrain table;
} Train;

// The values of a step's formulas in one function.
typedef struct {
  Scope *scope;
  Value **loss;   // one per minimize; negated for maximize
  Value *weight;  // of each row, or NULL
  Value *sum;     // of the losses: what is minimised
  Value **metric; // step_metrics() of them, in the order of Train.metric
  Totals *totals; // likewise: what each is a formula of; none: a figure of the rows
} Formulas;

typedef struct Program {
  BUF(DataInfo *) data; // declared
  BUF(DataInfo *) used; // by index
  BUF(ConfigInfo) config;
  BUF(NnrtTensor) slot;
  BUF(NnrtTrain) train;
  BUF(NnrtPredict) predict;
  BUF(NnrtLayer) layer;
  BUF(NnrtImport) import;
  BUF(NnrtFit) fit;
  uint32_t init; // its function
} Program;

Program *program_of(Elab *e);

// elaborate_tables.c
Target *target_begin(Elab *e, const char *name);
void target_drop(Target *t); // the function was only a trial
uint32_t target_end(Target *t, Value *const *values, const Port *ports, uint32_t n); // its index
NnrtType nnrt_type(const Type *t);
const char *format(Elab *e, const char *text, ...) __attribute__((format(printf, 2, 3)));
void not_yet(Elab *e, Span span, const char *what, ...) __attribute__((format(printf, 3, 4)));
bool name_is(const Node *node, const char *name); // N_NAME of that name
double config_value(Elab *e, ConfigInfo *c);
void make_init(Elab *e);
void fill_program(Elab *e);

// elaborate_cells.c. false: a file isn't there.
bool rows_open(Elab *e, DataSource *source, bool whole, RowReader *r);
bool rows_next(Elab *e, RowReader *r);
int64_t source_width(const DataSource *source); // values of a row; -1 if only the file knows
uint32_t source_field(const DataSource *source, uint32_t k);
const bool *source_text(Elab *e, DataSource *source, bool whole); // NULL: not known
bool count_names(Elab *e, DataSource *source, const uint32_t *field, uint32_t n, NnrtWords *out);
bool count_tokens(Elab *e, const DataInfo *data, DataSource *source, uint32_t field, uint32_t most,
                  NnrtWords *out);
bool count_characters(Elab *e, DataSource *source, NnrtWords *out);

// elaborate_steps.c: `source |> step`; false after an error.
bool source_steps(Elab *e, DataInfo *data, Node *expr, DataSource *out);

// elaborate_words.c: which cell's tokens `row.length` counts, and how; false: no text is padded
bool row_length(Elab *e, DataInfo *data, Node **part, NnrtWords *words);

// elaborate_predict.c: what the values of this index are called, or NULL
const NnrtWords *names_of(const DataInfo *data, int64_t range);
Value *elab_for_each_row(Elab *e, Value *x); // what is the same for every row, given to every row
bool is_text(const Node *n); // `x |> text`, `text(x)`: letters or words, as they are read
bool check_text(Elab *e, const NnrtOutput *o, Span span); // can it be? else the error

// elaborate_drawing.c
void add_drawings(Elab *e, Train *t, Node *item);
void make_drawings(Elab *e, Train *t);
Scope *train_scope(Elab *e, Train *t); // elaborate_train.c: the names of the block

// elaborate_fitted.c
typedef struct {
  const char *name;
  Node *node, *operand; // NULL: of the source
  Node *argument;       // of fill(...), or NULL
} FitCall;
Val fitted_value(Elab *e, DataInfo *data, const FitCall *call, Val x, bool pooled);
Val unscaled_value(Elab *e, Scope *scope, Node *call, Node *value, Node *field);
void make_fits(Elab *e);
Val data_operand(Elab *e, DataInfo *data, const Field *field, Node *expr); // elaborate_data.c

// elaborate_row.c: the raw record
typedef struct {         // some values of a row
  const char *header;    // the one of this name, or NULL
  const uint32_t *place; // NULL: header
  uint32_t n;
  bool single; // a number, not a list of one
} RowPart;
bool row_part(Elab *e, DataInfo *data, Node *expr, RowPart *part); // false after an error
// The part as a column. words: NULL, numbers or names as the file has them.
Val row_values(Elab *e, DataInfo *data, Node *expr, const RowPart *part, const NnrtWords *words);
// The cell's tokens as index<most>[words->most].
Val row_tokens(Elab *e, DataInfo *data, Node *expr, const RowPart *part, const NnrtWords *words,
               int64_t most);
bool row_fields(DataSource *source, const RowPart *part, uint32_t *field); // false: not known
Val row_whole(Elab *e, DataInfo *data, Node *expr);                        // `row` alone
Val row_number(Elab *e, void *data); // `row` of generated data

Val row_column(Elab *e, DataInfo *data, Node *expr, NnrtColumn *c, Type type);
bool row_is_direct(const DataInfo *data, const Node *expr); // the field is this part of the row
bool names_fit(Elab *e, DataInfo *data, Node *expr, const NnrtWords *words, const Type *type);
Val not_counted(Elab *e, DataInfo *data, Node *expr); // the error: the file isn't there

// elaborate_folders.c
bool is_class_source(const DataSource *source); // its rows have a class
bool class_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s);
void folders_look(Elab *e, const DataSource *source);
bool source_classes(Elab *e, const DataSource *source, NnrtWords *out); // false: not known
Val class_value(Elab *e, DataInfo *data, Node *expr);
Val text_part(Elab *e, DataInfo *data, Node *expr);
bool texts_open(Elab *e, DataSource *source); // false: they aren't there, or were refused

// elaborate_zip.c
bool zip_source(Elab *e, DataInfo *data, Node *call, DataSource *out);
void make_sides(Elab *e, DataInfo *data);
DataInfo *whole_of(DataInfo *data);
DataInfo *row_of(DataInfo *data, const Node *node);
Val zip_part(Elab *e, DataInfo *data, Node *expr);
NnrtSource source_table(Elab *e, const DataInfo *data, uint32_t split);

// elaborate_pictures.c
bool is_picture_source(const DataInfo *data);
Val picture_part(Elab *e, DataInfo *data, Node *expr); // row.image, row.class
Val resized_value(Elab *e, DataInfo *data, Node *node, Node *operand, Node *const *arg, uint32_t n);

// elaborate_augment.c
Val augmented_value(Elab *e, Scope *scope, DataInfo *data, Node *node, Val v, Node *const *arg,
                    uint32_t n);
void make_previews(Elab *e);

// elaborate_source.c: false after an error.
bool file_name(Elab *e, DataInfo *data, Node *expr, const char **out);
bool source_make(Elab *e, DataInfo *data, Node *expr, DataSource *out);

// elaborate_files.c
// Names, one a line, of a file that the .nn source `file` names; false: there is none.
bool files_names(Elab *e, uint32_t file, const char *name, NnrtWords *out);
bool files_content(Elab *e, FileFacts *facts, size_t most); // false: it can't be read
void files_look(Elab *e, DataInfo *data, DataSource *source);
void files_note_columns(Elab *e, Diagnostic *d, const FileFacts *facts); // their names
const char *files_missing(const DataSource *source); // the first that isn't there, or NULL
bool files_check_column(Elab *e, DataInfo *data, const DataSource *source, const NnrtColumn *c,
                        Span span);

// elaborate_joined.c: computed data
bool joined_resolve(Elab *e, DataInfo *data); // false after an error
void chosen_resolve(Elab *e, DataInfo *data); // with `where` or `cache`
void from_computed(Elab *e, DataInfo *data);  // its base is computed
void stored_scope(Elab *e, DataInfo *data, Scope *scope);
void make_parts(Elab *e);

// elaborate_settings.c
bool data_setting(Elab *e, DataInfo *data, Node *item); // false after an error

// elaborate_data.c
void data_resolve(Elab *e, DataInfo *data);
// NULL after an error, which says `where` something else was expected.
DataInfo *data_other(Elab *e, DataInfo *data, Node *expr, const char *where);
void data_use(Elab *e, DataInfo *data);           // gives it an index
void data_check_sources(Elab *e, DataInfo *data); // of files: looks at them
void data_check_fields(Elab *e, DataInfo *data);  // all of them, also those that nothing uses

// elaborate_items.c
void train_add_items(Elab *e, Train *t);
// `every 4 epochs`, `every 100 steps` of an item; both 0 where it has none. false after an error.
void not_data(Elab *e, const Node *on, Val v);                    // after `on`: the error
void note_other_block(Elab *e, Diagnostic *d, const Node *block); // of the same kind and name
bool read_every(Elab *e, const Train *t, const Node *item, int64_t *epochs, int64_t *steps);
void train_read_settings(Elab *e, Train *t);
const char *value_name(const Node *n); // of the function called or the value named, or NULL

// elaborate_train.c, elaborate_over.c, elaborate_optimizer.c, elaborate_stop.c, elaborate_predict.c
void make_train(Elab *e, Scope *scope, Node *decl);
bool all_climb(const Step *step); // only `maximize`: its loss is reported as written
void over_resolve(Elab *e, Train *t, const Formulas *f); // f: one per step
void over_enter(Elab *e, const Step *step, Target *target);
bool optimizer_bind(Elab *e, Minimize *m, Scope *scope); // the optimizer of m, for this target
typedef struct {
  BUF(Value *) value;
  BUF(Port) port;
} Results;
// elaborate_picture.c. The second: outputs and results of a function that has no others; how many.
enum { PICTURE_OUTPUTS = 3 };
void picture_output(const Picture *p, NnrtOutput *out);
uint32_t picture_outputs(Elab *e, const DataInfo *data, Val v, const char *name,
                         NnrtOutput out[PICTURE_OUTPUTS], Results *results);
// p and its slots after the update by g.
bool optimizer_update(Elab *e, Train *t, const Step *step, Minimize *m, Param *p, Value *g,
                      Results *params, Results *slots);
void make_stop(Elab *e, Train *t);
void read_keep(Elab *e, Train *t);

// elaborate_totals.c: metric i of the step where it is a formula of totals; its sums as results
void add_totals(Elab *e, Train *t, Step *step, const Formulas *f, uint32_t i, Span span);
void push_totals(Elab *e, const Train *t, uint32_t metric, const Totals *totals, Results *out);
void make_figures(Elab *e, Train *t);

// elaborate_gradients.c: of loss number i of the step, for the parameters it trains
bool weighted_losses(Elab *e, const Train *t, const Step *step, Formulas *f);
void push_weight(Elab *e, const Formulas *f, Results *out);
void gradients(Elab *e, const Formulas *f, Value *loss, Value *const *params, uint32_t n,
               Value **out);
bool step_gradients(Elab *e, Train *t, Step *step, uint32_t i, const Formulas *f,
                    Param *const *param, Value *const *value, uint32_t n, Value **grad,
                    Results *slots);
bool part_gradients(Elab *e, Train *t, Step *step, uint32_t i, const Formulas *f,
                    Param *const *param, Value *const *value, uint32_t n, Results *slots);
void make_predict(Elab *e, Scope *scope, Node *decl);

#endif
