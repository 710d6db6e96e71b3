// Functions under construction and the tables of the program: arguments made on first use, configs,
// the function `init`, and NnrtProgram at the end.
#include "pass/elaborate_program.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

Program *program_of(Elab *e) {
  if (!e->program)
    e->program = arena_new(e->m->arena, Program);
  return e->program;
}

const char *format(Elab *e, const char *text, ...) {
  va_list args;
  va_start(args, text);
  const char *s = arena_vprintf(e->m->arena, text, args);
  va_end(args);
  return s;
}

void not_yet(Elab *e, Span span, const char *what, ...) {
  va_list args;
  va_start(args, what);
  const char *text = arena_vprintf(e->m->arena, what, args);
  va_end(args);
  diag_error(e->s, span, "not-yet", "%s: the language has it, this compiler doesn't yet", text);
}

bool name_is(const Node *node, const char *name) {
  return node && node->kind == N_NAME && strcmp(node->name, name) == 0;
}

const char *node_source(Elab *e, const Node *node) {
  const Source *src = &e->s->source.at[node->span.file];
  return intern_n(e->s, src->text + node->span.start, node->span.end - node->span.start);
}

// ---- targets -----------------------------------------------------------------------------------

Target *target_begin(Elab *e, const char *name) {
  Target *t = arena_new(e->m->arena, Target);
  t->e = e;
  t->fn = ir_function(e->m, name);
  t->b = (Builder){.m = e->m, .region = t->fn->body};
  e->target = t;
  e->inside = NULL;
  e->call = 0;
  return t;
}

static void target_leave(Target *t) {
  t->e->target = NULL;
  t->e->inside = NULL;
  t->e->call = 0;
}

void target_drop(Target *t) {
  Module *m = t->e->m;
  if (m->fn.n == 0 || m->fn.at[m->fn.n - 1] != t->fn)
    ice("elaborate: %s is not the last function", t->fn->name);
  m->fn.n--;
  target_leave(t);
}

uint32_t target_end(Target *t, Value *const *values, const Port *ports, uint32_t n) {
  ir_return(&t->b, values, ports, n);
  ir_remove_dead(t->fn);
  Module *m = t->e->m;
  target_leave(t);
  for (uint32_t i = 0; i < m->fn.n; i++)
    if (m->fn.at[i] == t->fn)
      return i;
  ice("elaborate: %s is no function of the module", t->fn->name);
}

Value *target_argument(Target *t, Type type, NnrtRole role, uint32_t index, const char *name) {
  while (t->made[role].value.n <= index)
    buf_push(t->e->m->arena, &t->made[role].value, NULL);
  Value **made = &t->made[role].value.at[index];
  if (!*made)
    *made = ir_add_arg(t->fn, type, (Port){role, index, intern(t->e->s, name)});
  return *made;
}

static Value *constant_key(Target *t) {
  return ir_const(&t->b, type_scalar(TY_I32), 0);
}

Value *target_step(Target *t) {
  if (!t->iterates || t->fixed)
    return constant_key(t);
  return target_argument(t, type_scalar(TY_I32), NNRT_STEP, 0, "step");
}

Value *target_iteration(Target *t) {
  if (!t->repeats || t->fixed)
    return target_step(t);
  return target_argument(t, type_scalar(TY_I32), NNRT_ITERATION, 0, "iteration");
}

Value *target_epoch(Target *t) {
  if (t->fixed)
    return constant_key(t);
  return target_argument(t, type_scalar(TY_I32), NNRT_EPOCH, 0, "epoch");
}

Value *target_seed(Target *t) {
  if (t->fixed)
    return constant_key(t);
  return target_argument(t, type_scalar(TY_I32), NNRT_SEED, 0, "seed");
}

Value *target_example(Target *t) {
  if (t->initial)
    return NULL;
  Type type = type_scalar(TY_I32);
  type.batched = true;
  return target_argument(t, type, NNRT_EXAMPLE, 0, "example");
}

// ---- configs -----------------------------------------------------------------------------------

void elab_config_declare(Elab *e, Scope *scope, Node *decl, Node *binding) {
  Program *p = program_of(e);
  if (binding->a->kind != N_NAME) {
    diag_note(
        e->s,
        diag_error(e->s, binding->a->span, "config-value", "a config is one number with one name"),
        (Span){0}, "one after the other: config lr = 0.01, rate = 0.5");
    return;
  }
  if (binding->b->kind == N_ARRAY || binding->b->kind == N_TUPLE) {
    diag_note(e->s,
              diag_error(e->s, binding->b->span, "config-value",
                         "a config is one number, found %u values", binding->b->list.n),
              (Span){0}, "it is a flag of the trainer; what is more is a const: const %s = ...",
              binding->a->name);
    scope_add(e, scope, binding->a->name, val_error(), binding->a->span);
    return;
  }
  Val v = {.kind = V_CONFIG, .i = p->config.n, .span = binding->span};
  buf_push(e->m->arena, &p->config, (ConfigInfo){.binding = binding, .decl = decl, .scope = scope});
  scope_add(e, scope, binding->a->name, v, binding->a->span);
}

double config_value(Elab *e, ConfigInfo *c) {
  if (c->known)
    return c->value;
  c->known = true;
  Node *type = c->binding->type;
  if (type && (type->has_shape || !type->name || strcmp(type->name, "f32") != 0)) {
    Diagnostic *d = diag_error(e->s, type->span, "config-value", "a config is one number, f32");
    diag_note(e->s, d, (Span){0},
              "leave the type out; what decides a shape or a choice is a const");
  }
  Target *target = e->target;
  e->target = NULL; // its value is the same for every function
  Val v = elab_expr(e, c->scope, c->binding->b, NULL);
  elab_number(e, v, "the value of a config", c->binding->b->span, &c->value);
  e->target = target;
  return c->value;
}

Value *elab_config(Elab *e, uint32_t index) {
  ConfigInfo *c = &program_of(e)->config.at[index];
  return target_argument(e->target, type_scalar(TY_F32), NNRT_CONFIG, index, c->binding->a->name);
}

// ---- init --------------------------------------------------------------------------------------

static void init_all(Elab *e, Param *const *params, uint32_t n, NnrtRole role, Results *out) {
  for (uint32_t i = 0; i < n; i++) {
    Value *x = elab_initial(e, params[i]);
    if (!x)
      continue;
    buf_push(e->m->arena, &out->value, x);
    buf_push(e->m->arena, &out->port, (Port){role, i, params[i]->path});
  }
}

void make_init(Elab *e) {
  Target *t = target_begin(e, "init");
  t->initial = true;
  Results out = {0};
  init_all(e, e->param.at, e->param.n, NNRT_PARAM, &out);
  init_all(e, e->state.at, e->state.n, NNRT_STATE, &out);
  program_of(e)->init = target_end(t, out.value.at, out.port.at, out.value.n);
}

// ---- tables ------------------------------------------------------------------------------------

NnrtType nnrt_type(const Type *t) {
  NnrtType n = {.elem = (uint32_t)t->elem, .rank = t->rank, .range = t->range};
  memcpy(n.dim, t->dim, sizeof *t->dim * t->rank);
  return n;
}

// Where the program lies, for executables that run elsewhere.
static const char *absolute_path(Elab *e, const char *path) {
  char *full = arena_alloc(e->m->arena, PATH_MAX + 1);
  return realpath(path, full) ? full : path;
}

static void add_layer(Elab *e, const Instance *x) {
  uint32_t *param = arena_array(e->m->arena, uint32_t, x->param.n), depth = 0, n = 0;
  for (uint32_t i = 0; i < x->param.n; i++)
    if (!x->param.at[i]->is_state)
      param[n++] = x->param.at[i]->index;
  for (const Instance *up = x->parent; up; up = up->parent)
    depth++;
  NnrtLayer layer = {.path = x->path,
                     .kind = x->kind,
                     .type = nnrt_type(&x->result),
                     .depth = depth,
                     .param = param,
                     .n_param = n};
  buf_push(e->m->arena, &program_of(e)->layer, layer);
  if (!x->import)
    return;
  NnrtImport import = *x->import;
  import.instance = x->path;
  import.path = absolute_path(e, e->s->source.at[x->site->span.file].path);
  buf_push(e->m->arena, &program_of(e)->import, import);
}

static NnrtTensor *tensors(Elab *e, Param *const *params, uint32_t n) {
  NnrtTensor *t = arena_array(e->m->arena, NnrtTensor, n);
  for (uint32_t i = 0; i < n; i++)
    t[i] = (NnrtTensor){params[i]->path, nnrt_type(&params[i]->type), params[i]->loc, 0};
  return t;
}

static void fill_params(Elab *e, NnrtProgram *n) {
  bool *trainable = arena_array(e->m->arena, bool, e->param.n);
  for (uint32_t i = 0; i < e->param.n; i++)
    trainable[i] = e->param.at[i]->trainable;
  n->param = tensors(e, e->param.at, e->param.n);
  n->trainable = trainable;
  n->n_param = e->param.n;
  n->state = tensors(e, e->state.at, e->state.n);
  n->n_state = e->state.n;
  n->row_state = tensors(e, e->row_state.at, e->row_state.n);
  n->n_row_state = e->row_state.n;
}

static void fill_configs(Elab *e, NnrtProgram *n) {
  Program *p = program_of(e);
  NnrtConfig *config = arena_array(e->m->arena, NnrtConfig, p->config.n);
  for (uint32_t i = 0; i < p->config.n; i++) {
    ConfigInfo *c = &p->config.at[i];
    config[i] = (NnrtConfig){.name = c->binding->a->name,
                             .help = c->decl->doc,
                             .value = config_value(e, c),
                             .min = 1,
                             .max = 0};
  }
  n->config = config;
  n->n_config = p->config.n;
}

static void fill_data(Elab *e, NnrtProgram *n) {
  Program *p = program_of(e);
  NnrtData *data = arena_array(e->m->arena, NnrtData, p->used.n);
  for (uint32_t i = 0; i < p->used.n; i++) {
    DataInfo *d = p->used.at[i];
    data[i] = (NnrtData){.name = d->name,
                         .preview = d->preview,
                         .train = source_table(e, d, 0),
                         .validate = source_table(e, d, 1),
                         .test = source_table(e, d, 2),
                         .validate_last = d->validate_last,
                         .folds = d->folds,
                         .skip = d->skip,
                         .take = d->take,
                         .column = d->column.at.at,
                         .n_column = d->column.at.n,
                         .part = d->parts,
                         .n_part = d->part.n,
                         .path = absolute_path(e, e->s->source.at[d->decl->span.file].path)};
  }
  n->data = data;
  n->n_data = p->used.n;
}

// The sources of the run, for messages, and the positions that everything refers to.
static void fill_places(Elab *e, NnrtProgram *n) {
  const char **file = arena_array(e->m->arena, const char *, e->s->source.n);
  for (uint32_t i = 1; i < e->s->source.n; i++)
    file[i] = e->s->source.at[i].path;
  file[0] = "";
  NnrtLoc *loc = arena_array(e->m->arena, NnrtLoc, e->m->loc.n);
  for (uint32_t i = 1; i < e->m->loc.n; i++) {
    const Loc *l = &e->m->loc.at[i];
    loc[i] = (NnrtLoc){.file = l->span.file,
                       .start = l->span.start,
                       .end = l->span.end,
                       .parent = l->parent,
                       .layer = l->layer};
    uint32_t column;
    if (l->span.file)
      source_position(&e->s->source.at[l->span.file], l->span.start, &loc[i].line, &column);
  }
  n->file = file;
  n->n_file = e->s->source.n;
  n->loc = loc;
  n->n_loc = e->m->loc.n;
}

static const char *source_hash(Elab *e) { // of the user's files, FNV-1a
  uint64_t h = 14695981039346656037u;
  for (uint32_t i = 1; i < e->s->source.n; i++) {
    const Source *src = &e->s->source.at[i];
    if (strncmp(src->path, "<std>", 5) == 0)
      continue;
    for (uint32_t k = 0; k < src->n; k++)
      h = (h ^ (unsigned char)src->text[k]) * 1099511628211u;
  }
  return format(e, "%016llx", (unsigned long long)h);
}

static const char *program_name(Elab *e) { // "digits" of "examples/digits/digits.nn"
  const char *path = e->s->source.at[e->file->span.file].path, *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
  return intern_n(e->s, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

void fill_program(Elab *e) {
  Program *p = program_of(e);
  NnrtProgram *n = arena_new(e->m->arena, NnrtProgram);
  for (uint32_t i = 0; i < e->applied.n; i++)
    add_layer(e, e->applied.at[i]);
  n->abi = NNRT_ABI;
  n->bytes = sizeof *n;
  n->name = program_name(e);
  n->compiler = "nnc 0.1";
  n->source_hash = source_hash(e);
  n->init = p->init;
  fill_params(e, n);
  fill_configs(e, n);
  fill_data(e, n);
  n->slot = p->slot.at;
  n->n_slot = p->slot.n;
  n->fit = p->fit.at;
  n->n_fit = p->fit.n;
  n->train = p->train.at;
  n->n_train = p->train.n;
  n->predict = p->predict.at;
  n->n_predict = p->predict.n;
  n->layer = p->layer.at;
  n->n_layer = p->layer.n;
  n->import = p->import.at;
  n->n_import = p->import.n;
  fill_places(e, n);
  e->m->program = n;
}

// ---- all of it ---------------------------------------------------------------------------------

void elab_program(Elab *e, Scope *scope) {
  Program *p = program_of(e);
  uint32_t file = e->file->span.file;
  for (uint32_t i = 0; i < p->data.n; i++)
    if (p->data.at[i]->decl->span.file == file)
      data_resolve(e, p->data.at[i]);
  for (uint32_t i = 0; i < p->config.n; i++)
    config_value(e, &p->config.at[i]);
  for (uint32_t i = 0; i < e->file->list.n; i++)
    if (e->file->list.at[i]->kind == N_TRAIN)
      make_train(e, scope, e->file->list.at[i]);
  for (uint32_t i = 0; i < e->file->list.n; i++)
    if (e->file->list.at[i]->kind == N_PREDICT)
      make_predict(e, scope, e->file->list.at[i]);
  for (uint32_t i = 0; i < p->data.n; i++)
    if (p->data.at[i]->decl->span.file == file)
      data_check_fields(e, p->data.at[i]);
  if (e->s->n_error)
    return;
  make_parts(e);
  if (e->s->n_error)
    return;
  make_fits(e);
  make_previews(e);
  make_init(e);
  fill_program(e);
}
