// What the parts that elaborate data, train and predict blocks share (elaborate.h is their contract
// with the rest of the pass).
//   elaborate_data.c       data blocks: settings, fields, columns, `row`
//   elaborate_row.c        the raw record: `row[0]`, `row.price`
//   elaborate_source.c     idx(...), csv(...), rows written in the program, generated(n)
//   elaborate_files.c      what can be seen in the data files while compiling
//   elaborate_items.c      train blocks: items and settings
//   elaborate_train.c      train blocks: the functions eval, step, grad
//   elaborate_over.c       what is trained
//   elaborate_optimizer.c  updates of parameters and slots
//   elaborate_stop.c       `stop when`
//   elaborate_predict.c    predict blocks
//   elaborate_tables.c     targets and their arguments, configs, init, the tables of NnrtProgram
#ifndef NNC_ELABORATE_PROGRAM_H
#define NNC_ELABORATE_PROGRAM_H

#include "pass/elaborate.h"

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
} FileFacts;

typedef struct {
  NnrtSource s;
  Span span; // the expression
  Node *node;
  FileFacts *facts; // one per file
} DataSource;

typedef struct {
  Node *node; // N_FIELD or N_LET's N_BINDING
  const char *name;
  Type type;
  bool typed; // `type` was written
  bool bad;   // it was reported
} Field;

struct DataInfo {
  const char *name;
  Node *decl;
  Scope *scope;   // of its file
  uint32_t index; // in NnrtProgram.data, or NNRT_NONE: nothing uses it yet
  bool resolved;  // data_resolve() was here
  bool bad;       // it was reported; don't go on
  DataSource train, validate, test;
  double validate_last;
  Span validate_span;
  BUF(Field) field, let;
  Columns column;
  const Field *computing; // now: gives `row[0]` its shape
  bool named;             // a column has been called after it
};

typedef struct {
  Node *binding, *decl;
  Scope *scope;
  double value;
  bool known;
} ConfigInfo;

typedef struct Minimize {
  Node *node;
  bool *selected; // by Param.index: trained by this
  Val optimizer;
} Minimize;

typedef struct {
  Node *node; // N_ARG
  const char *name;
} Report;

typedef struct {
  Node *node;
  const char *name;
  DataInfo *data; // or NULL
  Scope *scope;   // of the file
  BUF(Minimize) minimize;
  BUF(Report) report;
  BUF(NnrtMetric) metric;
  Node *stop, *batch_node, *epochs_node, *steps_node, *seed_node, *log_node;
  BUF(NnrtStopInput) stop_input;
  BUF(uint32_t) slot;
  bool incomplete; // an item was refused: it may be what seems to be missing
  NnrtTrain table;
} Train;

// The values of a train block's formulas in one function.
typedef struct {
  Scope *scope;
  Value **loss;   // one per minimize; negated for maximize
  Value **metric; // [0]: the sum of the losses
} Formulas;

typedef struct Program {
  BUF(DataInfo *) data; // declared
  BUF(DataInfo *) used; // by index
  BUF(ConfigInfo) config;
  BUF(NnrtTensor) slot;
  BUF(NnrtTrain) train;
  BUF(NnrtPredict) predict;
  BUF(NnrtLayer) layer;
  uint32_t init; // its function
} Program;

Program *program_of(Elab *e);

// elaborate_tables.c
Target *target_begin(Elab *e, const char *name);
void target_drop(Target *t); // the function was only a trial
uint32_t target_end(Target *t, Value *const *values, const Port *ports, uint32_t n); // its index
NnrtType nnrt_type(const Type *t);
const char *node_source(Elab *e, const Node *node); // the text as written
const char *format(Elab *e, const char *text, ...) __attribute__((format(printf, 2, 3)));
void not_yet(Elab *e, Span span, const char *what, ...) __attribute__((format(printf, 3, 4)));
bool name_is(const Node *node, const char *name); // N_NAME of that name
double config_value(Elab *e, ConfigInfo *c);
void make_init(Elab *e);
void fill_program(Elab *e);

// elaborate_row.c: the raw record
Val row_number(Elab *e, void *data); // `row` of generated data

// elaborate_source.c: false after an error.
bool source_make(Elab *e, DataInfo *data, Node *expr, DataSource *out);

// elaborate_files.c
void files_look(Elab *e, DataInfo *data, DataSource *source);
bool files_check_column(Elab *e, DataInfo *data, const DataSource *source, const NnrtColumn *c,
                        Span span);

// elaborate_data.c
void data_resolve(Elab *e, DataInfo *data);
void data_use(Elab *e, DataInfo *data);          // gives it an index
void data_check_fields(Elab *e, DataInfo *data); // all of them, also those that nothing uses

// elaborate_items.c
void train_add_item(Elab *e, Train *t, Node *item);
void train_read_settings(Elab *e, Train *t);

// elaborate_train.c, elaborate_over.c, elaborate_optimizer.c, elaborate_stop.c, elaborate_predict.c
void make_train(Elab *e, Scope *scope, Node *decl);
void over_resolve(Elab *e, Train *t, const Formulas *f);
void over_enter(Elab *e, Train *t, Target *target);
bool optimizer_bind(Elab *e, Minimize *m, Scope *scope); // the optimizer of m, for this target
typedef struct {
  BUF(Value *) value;
  BUF(Port) port;
} Results;
// p and its slots after the update by g.
bool optimizer_update(Elab *e, Train *t, Minimize *m, Param *p, Value *g, Results *params,
                      Results *slots);
void make_stop(Elab *e, Train *t);
void make_predict(Elab *e, Scope *scope, Node *decl);

#endif
