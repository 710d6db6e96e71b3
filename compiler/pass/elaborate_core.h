// What only the core of `elaborate` shares: scopes, calls, shapes. The data and train parts see
// elaborate.h alone.
#ifndef NNC_ELABORATE_CORE_H
#define NNC_ELABORATE_CORE_H

#include "pass/elaborate.h"

typedef struct Entry Entry;
struct Entry {
  const char *name;
  Val val;
  Span where;
  Val (*make)(Elab *, void *); // lazy: not NULL
  void *ctx;
  const Target *target; // for which `val` was made
  bool ready, making;
  bool assignable, constant; // constant: a const, which a dimension may name though it is lazy
  bool top;                  // of a file
  bool is_param;
  const char *from; // of a dimension variable: what gave it its value
  Entry *outer;     // while it is being made: what needs it
  Entry *next;
};
struct Scope {
  Scope *parent;
  Entry *first, *last;
  bool is_file; // names are declared once, and found by `index`
  struct ScopeIndex *index;
  bool is_loop; // of a scan: what lies outside can't be assigned inside
};

// A call being elaborated.
typedef struct Frame Frame;
struct Frame {
  Frame *up;
  Node *decl, *site;
  Span call;
  uint32_t depth; // 1: the outermost
};

// Where in the expanded body of an instance we are. Interned: equal chains are one pointer.
typedef struct Context Context;
struct Context {
  Context *up, *next;
  const Node *site;
  int64_t turn;
  uint32_t id;
};

typedef struct ContextTable {
  Context **bucket;
  uint32_t n, size;
} ContextTable;

// The values of parts and lets of one application.
typedef struct {
  const char *name;
  Val val;
  uint32_t times;
} AppItem;
typedef struct Application {
  Instance *instance;
  BUF(AppItem) item;
} Application;

typedef struct Yields {
  BUF(Val) item;
} Yields;

// A draw or initialiser that waits for its shape, or arithmetic on one.
typedef struct Shapeless Shapeless;
struct Shapeless {
  const char *draw; // "normal", "zeros", ...; or NULL
  Val fn;           // kind V_FUNCTION: a fn without arguments whose result type takes the shape
  int op;           // operator of N_BINARY, or 0
  Op elementwise;   // applied to arg, if neither draw, fn nor op
  Val *arg;
  uint32_t n;
  Span span;
  const char *stream;
  bool outer;  // Target.outer where it was written
  Value *made; // `let` names one draw: the same value for every use of the name
  const Target *target;
  Type type;
  struct ScanBody *scan; // the scan around it
};

typedef struct SourceModule SourceModule;
struct SourceModule {
  const char *path;
  Node *file;
  Scope *scope;
  bool is_std;
  SourceModule *next;
};

typedef struct {
  Val v;
  const char *name; // keyword, or NULL
  Span span, name_span;
  Node *node;   // or NULL
  Scope *scope; // in which the node stands
  bool piped;   // it stands before `|>`
} Arg;

// What is saved around the elaboration of a body that lies elsewhere.
typedef struct {
  Instance *inside;
  LocId call;
  Frame *frame;
  Context *context;
  Application *app;
  Yields *yields;
  Node *block;
  Val (*make_state)(Elab *, Scope *, Node *, void *);
} Place;

// ---- elaborate_scope.c
Entry *scope_find(Scope *scope, const char *name);
Entry *scope_own(const Scope *scope, const char *name);
Entry *scope_put(Elab *e, Scope *scope, const char *name, Val v, Span where);
Val entry_value(Elab *e, Entry *entry);
// All names visible from `scope`, for nearest_name.
uint32_t scope_names(Elab *e, Scope *scope, const char *const **names);
Place place_save(const Elab *e);
void place_restore(Elab *e, Place place);
void place_enter_top(Elab *e); // nothing around: for top-level names
Context *context_in(Elab *e, Context *up, const Node *site, int64_t turn);
void frame_push(Elab *e, Frame *frame, Node *decl, Node *site, Span call);
void frame_pop(Elab *e);
uint32_t frame_depth(const Elab *e);
bool frame_recursive(const Elab *e, Val f, const Node *decl, const Node *site);
const char *type_user_text(Elab *e, const Type *type); // as the user writes it: "index<10>[3]"
Val val_tuple(Elab *e, ValKind kind, const Val *list, uint32_t n);
Val val_kind(ValKind kind);
void at(Elab *e, Span span);         // place of the instructions that follow
bool in_program(Elab *e, Span span); // a function is being made; else an error
Builder *building(Elab *e);
bool is_library(const Elab *e, Span span); // in a file of the standard library
void elab_finish_errors(Elab *e);

// ---- elaborate_type.c
// The value of a dimension; false without a message if it names something unknown.
bool dim_known(Elab *e, Scope *scope, Node *dim, Dim *out);
// A type whose every dimension is known; false without a message otherwise.
bool type_known(Elab *e, Scope *scope, Node *type, Type *out);
// Does it name no dimension variables? Then axes of length 1 may come and go (rule 4).
bool type_concrete(Elab *e, Scope *scope, const Node *type);
// Makes v fit a declared type: binds dimension variables in `scope` if `bind`. In messages v is
// `what`; if that is NULL, "`name` of OWNER", without owner "`name`", without a name "the result of
// OWNER"; `from` says in notes about variables where they come from, NULL: from `name`. `declared`:
// a result or field, where axes of length 1 may come and go (rule 4).
typedef struct {
  const char *what, *name, *owner, *from;
  Span span;        // of the value
  Scope *scope;     // for advice: where the value was written; of a result, the body's
  const Node *decl; // of a result: whose
  bool bind, declared, fill;
} Fit;
Val fit_type(Elab *e, Scope *scope, Node *type, Val v, const Fit *fit);
// Binds the free variables of `type` to the dimensions of `want`; false if it doesn't fit.
bool type_bind(Elab *e, Scope *scope, Node *type, const Type *want);

bool elem_of(Elab *e, const Node *type, ElemType *out); // false after an error
// NULL, or how `actual` disagrees with `type` ("" if that was reported); other: the variable that
// had another value, or NULL. unify_shape looks at the dimensions alone.
const char *unify(Elab *e, Scope *scope, Node *type, const Type *actual, const Fit *fit,
                  Entry **other);
const char *unify_shape(Elab *e, Scope *scope, Node *type, const Type *actual, const Fit *fit,
                        Entry **other);

// ---- elaborate_fold.c
Val val_bool(bool b);
const char *operator_text(int op);
bool is_comparison(int op);
bool is_simple(Val v); // a number, truth value or word known when compiling
Val fold_numbers(Elab *e, int op, Val a, Val b, Span span);
bool fold_other(int op, Val a, Val b, Val *out);

// ---- elaborate_arith.c
Val arith_binary(Elab *e, int op, Val a, Val b, Span span, Span a_span, Span b_span);
Val arith_unary(Elab *e, int op, Val a, Span span);
// Equal shapes by rule 3, equal elements; false after an error.
bool arith_align(Elab *e, const char *what, Val *v, Value **out, uint32_t n, Span span,
                 uint8_t *ones);
// Notes under an error at `span`: which operand is what, and where it comes from.
void note_origins(Elab *e, Diagnostic *d, const Val *v, uint32_t n, Span span);
Val arith_elementwise(Elab *e, Op op, Val *v, uint32_t n, Span span);
bool join_shapes(const Type *a, uint8_t a_ones, const Type *b, uint8_t b_ones, Type *out,
                 uint8_t *ones);
Value *broadcast_to(Elab *e, Value *x, const Type *to);
Val arith_matmul(Elab *e, Val a, Val b, Span span);
bool fold_function(const char *name, const double *x, uint32_t n, double *out);
bool is_number(Val v);
double number_of(Val v);

// ---- elaborate_expr.c
Val name_expr(Elab *e, Scope *scope, Node *node);
Val unknown_name(Elab *e, Scope *scope, const char *name, Span span); // the error

// ---- elaborate_index.c
Val index_expr(Elab *e, Scope *scope, Node *node, const Type *want);
Val member_expr(Elab *e, Scope *scope, Node *node, const Type *want);
Val index_take(Elab *e, Value *x, Value *i, Span span); // x[i], i: index<n>
Value *slice_axis(Elab *e, Value *x, uint32_t axis, Dim start, Dim limit);

// ---- elaborate_block.c
Val for_expr(Elab *e, Scope *scope, Node *node);
Val binding_value(Elab *e, Scope *scope, Node *binding); // fitted to its written type
void unused_turn(Elab *e, const Node *body, Val v);      // a loop's body ends in a value: the error
Val if_expr(Elab *e, Scope *scope, Node *node, const Type *want);
// `let (a, b) = v` where v is no tuple of two; value: how it is written, or NULL
void wrong_parts(Elab *e, const Node *pattern, const Node *value, Val v);
void bind_pattern(Elab *e, Scope *scope, Node *binding, Val v, bool assignable, bool remember);

// ---- elaborate_scan.c
Val scan_expr(Elab *e, Scope *scope, Node *node);
// Goes on outside: in the scan `to`, NULL: in the function. Returns where it was.
struct ScanBody *scan_leave(Elab *e, struct ScanBody *to);
void scan_return(Elab *e, struct ScanBody *from);
struct ScanBody *scan_around(const Elab *e, const Region *r);   // whose body is r; NULL: no scan's
bool scan_outlives(const Elab *e, const struct ScanBody *scan); // is it around here?
Value *scan_key(Elab *e);                                       // what draws here take as the seed

// ---- elaborate_call.c
Val call_expr(Elab *e, Scope *scope, Node *node, const Type *want);
Val pipe_expr(Elab *e, Scope *scope, Node *node, const Type *want);
Val call_value(Elab *e, Val f, Arg *arg, uint32_t n, Node *site, Span span, const Type *want);
// A fn or layer whose settings all have defaults, as one that takes its inputs.
Val call_settle(Elab *e, Val f, Node *site, Span span);
Val call_without_arguments(Elab *e, Val f, const Type *want, Span span);
bool is_initialiser(Val v); // a fn without arguments

// ---- elaborate_advice.c
// NULL: nothing to say.
const char *fit_advice(Elab *e, const Node *type, Val v, const Fit *fit);
void note_fields(Elab *e, Diagnostic *d);                      // what there is in a block on data
bool note_elsewhere(Elab *e, Diagnostic *d, const char *name); // false: the name is nowhere else
const char *call_text(Elab *e, const Node *decl);       // "Dense(units)(x)": what has no default
const char *short_source(Elab *e, Span span);           // what the user wrote; NULL: too long
const char *uncalled_advice(Elab *e, Val v, Span span); // of a function or layer, written there
void note_no_value(Elab *e, Diagnostic *d, const Node *body); // of a block that should have one

// ---- elaborate_loss.c
// At a call of a fn: does a loss of the library get what it takes? false after an error.
bool check_loss(Elab *e, const Node *decl, const Arg *arg, uint32_t n, Span span);
void warn_masked_mean(Elab *e, const Value *x, Span span);

// ---- elaborate_bind.c
bool bind_arguments(Elab *e, Scope *into, const Node *decl, NodeList params, Arg *arg, uint32_t n,
                    Span span, bool settings);
const char *decl_kind(const Node *decl); // "fn", "layer", ...

// ---- elaborate_instance.c
Val instance_at(Elab *e, Val f, Node *site);
void instance_name(Elab *e, Instance *instance, const char *name);
const char *instance_path(Elab *e, Instance *instance);
void name_instances(Elab *e, Val v, const char *name);
void name_stage(Elab *e, Instance *instance, const char *name, Span span);
Val instance_parts(Elab *e, Instance *instance, const char *name);
bool name_begins(const char *name, const char *element);
void param_statement(Elab *e, Scope *scope, Node *stmt);
void state_statement(Elab *e, Scope *scope, Node *stmt);
Val state_assign(Elab *e, const char *name, Val old, Val v, Span span);
Value *initial_value(Elab *e, Param *p, Scope *scope, Node *init); // here; NULL after an error
// elaborate_rowstate.c: state with one value for each row of the batch
bool is_row_state(const Node *binding);
bool row_state_check(Elab *e, const Node *binding, bool state);
Value *row_state_now(Elab *e, Param *p, Scope *scope, Node *binding); // NULL after an error
Value *row_batched(Elab *e, Value *x);
void app_remember(Elab *e, Application *app, const char *name, Val v);

// ---- elaborate_pretrained.c
bool is_renamed(Scope *scope, const Node *node); // a call of renamed(...)
Val renamed_expr(Elab *e, Scope *scope, Node *node);
// Takes `weights = "file"` out of the settings of a layer; NULL: there is none.
const Arg *take_weights(Val f, Arg *arg, uint32_t *n);
void instance_weights(Elab *e, Instance *instance, const Arg *weights); // NULL: as initialised

// ---- elaborate_draw.c
Val draw_leaf(Elab *e, const char *name, Span span);
Val draw_call(Elab *e, Val leaf, Arg *arg, uint32_t n, Span span, const Type *want);
Val draw_op(Elab *e, int op, Op elementwise, const Val *arg, uint32_t n, Span span);
Value *draw_make(Elab *e, Val v, const Type *type, Span span);
bool is_shapeless(Val v);

// ---- elaborate_grad.c
typedef struct Builtin Builtin;
Val grad_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);

// ---- elaborate_through.c
// What the body reads and is made of x outside is made in the body from here on.
void grad_bring_in(Elab *e, const Value *x, Region *body);

// ---- elaborate_picture.c
Val picture_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val grid_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val scatter_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val confusion_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val misclassified_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val plane_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);

// ---- elaborate_builtin.c
struct Builtin {
  const char *name, *sig; // "x, axes = all, keep = false"
  Val (*make)(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
  Op op;                 // elementwise operation called by its own name
  bool is_draw, is_mode; // `normal`: waits for a shape; `leading`: a word for an argument
};
const Builtin *builtin_find(Elab *e, const char *name);
Val do_sample(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
uint32_t builtin_names(Elab *e, const char *const **names);
Val builtin_call(Elab *e, const Builtin *b, Arg *arg, uint32_t n, Span span, const Type *want);

// ---- elaborate.c: files
Scope *file_scope(Elab *e);
SourceModule *add_module(Elab *e, const char *path, Scope *scope, bool is_std);
SourceModule *find_module(const Elab *e, const char *path); // NULL: not read so far
void declare_names(Elab *e, SourceModule *m);               // all but `use`
void declare_uses(Elab *e, SourceModule *m);
void check_parameters(Elab *e, const Node *decl);

// ---- elaborate_library.c
SourceModule *std_module(Elab *e, const char *name); // "layers"; NULL: there is none
const char *std_module_of(Elab *e, const StdlibFile *f);
const char *module_with(Elab *e, const char *name); // the standard module that declares it, or NULL

// ---- elaborate_try.c, elaborate_names.c
void try_unused(Elab *e, Scope *scope, const Node *file);
void check_names(Elab *e, Scope *file, Node *decl);

// ---- elaborate_unused.c
void warn_unused(Elab *e, Node *file);

#endif
