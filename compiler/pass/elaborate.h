// What the parts of `elaborate` share. The pass turns trees into per-example IR and the program
// tables.
//   elaborate.c          entry: files, top-level names, the order of work
//   elaborate_library.c  modules of the standard library, parsed as far as they are used
//   elaborate_expr.c     expressions, blocks, compile-time control, patterns
//   elaborate_call.c     calls of fn, layer, model, primitives; instances; params
//   elaborate_type.c     types, dimension variables, unification, broadcasting (rules 3, 4, 11)
//   elaborate_try.c      declarations that nothing uses, for their errors (elaborate_names.c)
//   elaborate_builtin.c  what names of the core mean: sum, max, reshape, normal, ...
//   elaborate_loss.c     what is looked at where a loss of the library is called (rule 23)
//   elaborate_advice.c   lines of help under an error
//   elaborate_data.c     data blocks: sources, columns, fields
//   elaborate_train.c    train, optimizer, report, stop, predict: the functions of the module
#ifndef NNC_ELABORATE_H
#define NNC_ELABORATE_H

#include "ast.h"
#include "ir/ir.h"
#include "ops/op.h"

typedef struct Elab Elab;         // one run of the pass
typedef struct Scope Scope;       // names visible at a point
typedef struct Val Val;           // what an expression is
typedef struct Instance Instance; // one layer or model, made once, applied many times
typedef struct Target Target;     // the IR function under construction
typedef struct Param Param;
typedef struct DataInfo DataInfo; // elaborate_data.c

typedef enum {
  V_ERROR,     // already reported: swallows what follows from it
  V_INT,       // i    compile-time; dimensions, hyperparameters, counters (rule 10)
  V_FLOAT,     // f    compile-time number
  V_BOOL,      // i
  V_STRING,    // s
  V_TENSOR,    // t    a value of the IR; also run-time scalars (config, step)
  V_TUPLE,     // list
  V_LIST,      // list compile-time array: numbers, layers, ... ([1, 2], for ... yield layer)
  V_FUNCTION,  // fn, layer or model not yet applied: decl + scope + arguments bound so far; or
               // builtin
  V_INSTANCE,  // instance
  V_DATA,      // data
  V_OPTIMIZER, // decl + bound arguments
  V_SHAPELESS, // a draw or initialiser whose shape is still to come from its surroundings (rule 39)
  V_TOP,       // t = probabilities, i = how many: only as the last value of predict
  V_PICTURE,   // t = height, width, channels of so many, or points; picture: how it is shown
  V_ROW,       // data: `row` in a data block; elaborate_expr calls elab_row() where it is indexed
  V_CONFIG, // i: which. Only in scopes: elab_name makes it elab_config() of the current target, and
            // where there is no target, or a compile-time number is wanted, rule 30 is the error
  V_MODULE, // scope: a file named by `use ... as`
  V_WEIGHTS, // import: what the weights of an instance begin as
  V_NONE,    // a block without a value
} ValKind;

struct Val {
  ValKind kind;
  int64_t i;
  double f;
  const char *s;
  Value *t;
  Val *list;
  uint32_t n;
  Node *decl; // V_FUNCTION, V_OPTIMIZER
  const struct Builtin *builtin;
  Scope *scope; // V_FUNCTION: where decl stands; its bound first-list arguments are in `bound`
  Scope *bound;
  Instance *instance;
  DataInfo *data;
  struct Picture *picture;  // V_PICTURE
  const NnrtImport *import; // V_WEIGHTS
  struct Application *app;  // of the result of an application: `y.name` (rule 15)
  struct Shapeless *draw;   // V_SHAPELESS
  uint32_t depth;  // V_FUNCTION, V_INSTANCE: calls around the place where it was named (rule 38)
  uint32_t config; // V_TENSOR that is a config: its number + 1, so that another function finds it
  bool training;   // V_INSTANCE: as `training(...)` gives it
  uint8_t ones;    // V_TENSOR: bit i: axis i is a literal 1, so it may stretch (rule 3)
  Span span;       // where the value came from: for "the other side"
};

// A symbolic dimension is known by name while a signature is unified; results are always constants.
struct Param {
  const char *path; // "dense.weight"
  Type type;
  Node *init; // expression, elaborated in `scope` when @init is made
  Scope *scope;
  Instance *owner;
  LocId loc;
  uint32_t index; // in NnrtProgram.param
  bool trainable; // some train block selects it
  bool is_state;  // `state` of a layer: index is in NnrtProgram.state, it is in Elab.state
  bool by_row;    // per_row(...) (rule 25): index is in NnrtProgram.row_state; in Elab.row_state
};

struct Instance {
  const char *path, *kind; // "mlp.dense_2", "Dense"
  Node *decl;
  Scope *bound;         // hyperparameters
  Instance *parent;     // NULL: top level
  BUF(Instance *) part; // in order of creation; a part is found again by (site, turn)
  BUF(Param *) param;
  Node *site;           // the expression that created it
  uint32_t turn;        // number of its iteration in unrolled `for`s, or occurrence
  BUF(Instance *) made; // created while this one was applied: where a part is found again
  NameNumbers names;    // of parts, taken: the last number tried after it
  const char *name;     // last element of path; NULL until it is named or first applied
  bool applied;         // it is in Elab.applied
  Node *in_fn;          // the fn, train, predict or data block it was created in, or NULL (rule 5)
  Type result;          // of its last application: for summary
  const NnrtImport *import; // `weights = "file"`, or NULL
};

// How the tensor of a V_PICTURE is shown.
typedef struct Picture {
  uint32_t form; // NNRT_AS_PICTURE: f32[n, height, width, channels]; of many rows:
                 // NNRT_AS_SCATTER: f32[n, 2]; NNRT_AS_CONFUSION: a class; ..._MISCLASSIFIED
  int64_t scale, rows, columns; // pixels become squares of `scale`
  Value *with[2];               // the colour of points; the true class; both classes
  uint32_t n_with;
} Picture;

typedef struct {
  Param *state;
  Value *value;
} StateUpdate;

typedef struct { // the calls that led to an error, to be added to its notes
  Diagnostic *of;
  DiagNote *first, *last;
} CallChain;

// The sums of one report: what total(x) gave, in order.
typedef struct {
  BUF(Value *) at;
} Totals;

typedef BUF(StateUpdate) StateUpdates;

// The function being built. Values that come from outside become its arguments on first use.
struct Target {
  Elab *e;
  Function *fn;
  Builder b;
  struct ScanBody *scan;   // whose body is being made, the innermost, or NULL
  bool training;           // a minimize step (rule 6): see elab_training()
  BUF(Param *) over_param; // what is trained here
  struct {                 // arguments made so far, by Port.index
    BUF(Value *) value;
  } made[NNRT_GRAD_PART + 1]; // by role
  DataInfo *data;             // whose columns are in scope
  bool initial;               // init: draws run once, unbatched (rule 39)
  bool iterates;              // step and grad: draws change with the step; elsewhere step is 0
  struct Columns *input;      // predict: its own table of columns instead of the data's
  uint32_t fixed;             // > 0 in data fields and predict: target_seed() is the constant 0 too
  StateUpdates update;        // new values of layers' states, one per state (training only)
  NameNumbers stream;         // random streams: how often each name was used so far
  const char *place;          // the step whose formulas are being elaborated, or NULL
  bool outer;     // formulas of the train block: their draws are those of all its steps (rule 7)
  bool repeats;   // a step that is repeated: its own draws are fresh each time
  bool pieces;    // part.T: its batch is a piece of a greater one (rule 28)
  Span warned;    // the last place that was warned about for it
  bool presents;  // predict and draw: the value is for readers, so `text` is a form of it
  Totals *totals; // of the report being elaborated, or NULL
  int64_t grid_rows, grid_columns; // of the grid that is being drawn; 0: none is
};

// Draws are called after the `let` or field they stand in, if they do so directly.
typedef struct {
  const char *name;
  Instance *inside;
  struct Frame *frame;
} DrawPlace;

struct Elab {
  Session *s;
  Module *m;
  Node *file;          // the user's program
  BUF(Param *) param;  // all, in order of creation
  BUF(Instance *) top; // top-level instances (models, lets)
  NameNumbers names;   // theirs, as Instance.names
  Scope *prelude, *global;
  Target *target;   // current, or NULL while only compile-time values are wanted
  Instance *inside; // the instance whose body is being elaborated, or NULL
  Instance *forced; // `training(...)` of it is being applied: it is in training mode, or NULL
  LocId call;       // parent for new locations
  const struct Definition { const char *name, *value; } * define; // -D name=value
  uint32_t n_define;
  bool check;              // see ElabOptions
  struct Program *program; // tables under construction (elaborate_tables.c)
  BUF(Param *) state;      // `state` of layers, in order of creation
  BUF(Param *) row_state;  // likewise, one per row of the batch
  BUF(Instance *) applied; // in order of first application: for summary
  // What `state` in a block means. NULL: state of the layer being applied. The optimizer sets it:
  // called for each binding; gives the current value; the name is then added to `scope` as
  // assignable.
  Val (*make_state)(Elab *e, Scope *scope, Node *binding, void *ctx);
  void *state_ctx;
  Node *block;          // the train, predict or data declaration being elaborated: set by its part
  struct Entry *making; // the lazy name whose value is being made, or NULL
  struct Frame *frame;  // calls being elaborated, innermost first
  struct Context *context;       // fn calls and turns of `for` since `inside` began
  struct Application *app;       // of `inside`
  struct SourceModule *modules;  // files read so far
  struct ContextTable *contexts; // all of them
  struct Yields *yields;         // of the innermost `for`
  struct Builtin *builtins;      // by Op: operations that are called by their names
  NameNumbers builtin_names;     // numbers of all builtins (elaborate_builtin.c)
  BUF(CallChain) chains;         // of errors, until the end
  const char *drawing;           // prefix for names of random streams: the param being initialised
  DrawPlace naming;              // the `let` or field that is being computed
};

// ---- core, used by the data and train parts (elaborate_expr.c and _call.c) ----------------------
Val elab_expr(Elab *e, Scope *scope, Node *expr,
              const Type *want); // want: type from the surroundings, or NULL
Val elab_block(Elab *e, Scope *scope, Node *block, const Type *want);
Val elab_apply(Elab *e, Val callee, Val *arg, uint32_t n, Span span, const Type *want);
void elab_let(Elab *e, Scope *scope, Node *let); // adds names to scope
Val elab_name(Elab *e, Scope *scope, const char *name, Span span);
Scope *scope_new(Elab *e, Scope *parent);
void scope_add(Elab *e, Scope *scope, const char *name, Val v, Span where);
// Lazily computed names: `make` is called on the first use (top-level lets, data fields, models).
void scope_add_lazy(Elab *e, Scope *scope, const char *name, Val (*make)(Elab *, void *), void *ctx,
                    Span where);
void scope_add_assignable(Elab *e, Scope *scope, const char *name, Val v, Span where);
// The value that `name` has in exactly this scope now (an assignable one may have been assigned),
// or NULL.
const Val *scope_get(const Scope *scope, const char *name);
// An error here: diag_error, plus notes "in Dense, called from here" for the calls being
// elaborated.
Diagnostic *elab_error(Elab *e, Span span, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// `optimizer` values: fills in defaults for a bare name (`with adam`). Then v.bound holds the
// settings: elaborate v.decl->body in a new scope over v.bound that has p (assignable) and g.
Val elab_optimizer(Elab *e, Val v, Span span);
// The initial value of p in the current target, that of `init`.
Value *elab_initial(Elab *e, Param *p);
// The part of an instance with this name (a sub-instance), or NULL; a param likewise.
Instance *instance_part(Instance *instance, const char *name);
Param *instance_param(Instance *instance, const char *name);
// Is `instance` p's owner or around it?
bool instance_holds(const Instance *instance, const Param *p);
// To a tensor of the current target: literals become constants of `want` (f32 if NULL). NULL after
// an error.
Value *elab_tensor(Elab *e, Val v, const Type *want, Span span);
// A compile-time number; false after an error that names `what`.
bool elab_int(Elab *e, Val v, const char *what, Span span, int64_t *out);
bool elab_number(Elab *e, Val v, const char *what, Span span, double *out);
// A fully concrete type. False otherwise, which has been reported, here or where its const is
// wrong.
bool elab_type(Elab *e, Scope *scope, Node *type, Type *out);
// Which axes of a value of this written type are a literal 1 (Val.ones); `ones`: of the value
// before.
uint8_t literal_ones(const Node *type, const Type *actual, uint8_t ones);
// Fits v to `want`: the implicit changes of rules 4 and 22, else an error with both sides.
Val elab_fit(Elab *e, Val v, const Type *want, Span span, const char *what, Span other);
LocId elab_loc(Elab *e, Span span);
Value *elab_param(Elab *e, Param *p);               // p as an argument of the current target
bool elab_training(Elab *e);                        // rule 6, for the instance being elaborated
const char *elab_stream(Elab *e, const char *name); // rule 7: path of instance + name, made unique
// By Param.index: does `loss` depend on it through a stop_gradient? Then differences of the loss
// say nothing about its gradient.
bool *elab_stopped(Elab *e, const Value *loss);
DrawPlace elab_naming(Elab *e, const char *name);   // from here on; returns what to restore
const char *node_source(Elab *e, const Node *node); // the text as written
const char *val_text(Elab *e, Val v); // for messages: "f32[784]", "the layer Dense", "512"
// Advice on a function or layer, written at `span`, where a value is wanted; nothing on others.
void note_uncalled(Elab *e, Diagnostic *d, Val v, Span span);
Val val_int(int64_t i);
Val val_float(double f);
Val val_tensor(Value *t);
Val val_error(void);

// ---- data and train (elaborate_data.c, elaborate_train.c)
// ------------------------------------------------- Enters data, train and predict blocks of the
// file; then makes every function of the module and fills m->program. Called by elaborate.c when
// all names are known. For every data block, of the user's file and of files it uses: adds its name
// to `scope`, the scope of its file, in which its expressions are elaborated.
void elab_data_declare(Elab *e, Scope *scope, Node *decl);
// Likewise for every binding of a `config` (of any file): adds the name, as V_CONFIG.
void elab_config_declare(Elab *e, Scope *scope, Node *decl, Node *binding);
// `scope`: that of the user's file, where train and predict blocks are elaborated.
void elab_program(Elab *e, Scope *scope);
// `row[0]`, `row[1..17]`, `row.name`: expr is the N_INDEX or N_MEMBER around a V_ROW.
Val elab_row(Elab *e, DataInfo *data, Node *expr, const Type *want);
// Steps on the raw values in a field (`row[1] |> recode(y = 1)`), and `unscaled`: false if `node`
// is none.
bool elab_data_step(Elab *e, Scope *scope, Node *node, Val *out);
// `Pets.classes`: how many things index<classes> is one of (rule 21); 0: nothing is called so.
int64_t data_counted(Elab *e, DataInfo *data, const char *name);
// The fields of `data` as lazy names of a new scope, for the current target.
Scope *elab_data_scope(Elab *e, DataInfo *data, Scope *parent);
// `inner(p, g)` in the body of an optimizer: what `inner` makes of p.
Val optimizer_inner(Elab *e, Val inner, Val p, Val g);
// Configs: one f32 argument of the current target, shared by all uses.
Value *elab_config(Elab *e, uint32_t index);
// The keys of draws (rule 7). Constants where the rules fix them; example is NULL in init.
Value *target_step(Target *t);      // i32 scalar
Value *target_iteration(Target *t); // i32 scalar; target_step() but in steps that are repeated
Value *target_epoch(Target *t);     // i32 scalar
Value *target_seed(Target *t);      // i32 scalar
Value *target_example(Target *t);   // *i32
Value *target_argument(Target *t, Type type, NnrtRole role, uint32_t index, const char *name);

// The pass. Reports user errors through m->s; true if there were none.
// The standard library: stdlib/layers/*.nn are the files of the module `std.layers`.
typedef struct {
  const char *name, *text; // "layers/basic"
  size_t n;
} StdlibFile;
extern const StdlibFile stdlib_files[]; // embedded by the build; name NULL at the end
// The declarations of a file of the library, without a parser: each begins with a letter in column
// 1, and goes on to the next such line. From byte `at` on; false: there is no more.
bool next_piece(const Source *source, uint32_t at, uint32_t *start, uint32_t *end);
typedef struct {
  const char *const *define; // "hidden=256"
  uint32_t n_define;
  bool check; // errors are wanted, no sound module: what could only repeat an error is left out
} ElabOptions;
Module *elaborate(Session *s, uint32_t file, const ElabOptions *options); // NULL after errors

#endif
