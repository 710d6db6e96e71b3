// Predict blocks: predict.P computes its outputs for each row, in evaluation mode, with fixed keys
// for draws. The rows are those of a data block, or of the block's own parameters.
#include "pass/elaborate_program.h"

#include <string.h>

typedef struct {
  Node *node;
  DataInfo *data;
  Columns input;
  BUF(NnrtOutput) output;
  Results results;
} Predict;

// ---- inputs -------------------------------------------------------------------------------------

typedef struct {
  Type type;
  uint32_t index;
  const char *name;
  const Node *written; // its type
} Input;

static Val predict_input(Elab *e, void *ctx) {
  const Input *in = ctx;
  Val v = val_tensor(target_argument(e->target, in->type, NNRT_COLUMN, in->index, in->name));
  v.ones = literal_ones(in->written, &in->type, 0);
  return v;
}

static bool add_parameter(Elab *e, Predict *p, Scope *scope, Node *param, uint32_t *first) {
  if (!param->type || param->a) {
    Diagnostic *d =
        diag_error(e->s, param->span, "predict-input",
                   param->a ? "an input of predict has no default" : "the input `%s` needs a type",
                   param->name);
    diag_note(e->s, d, (Span){0}, "`predict P(x: f32[2]) { ... }`");
    return false;
  }
  Type type;
  if (!elab_type(e, scope, param->type, &type))
    return false;
  NnrtColumn c = {.name = param->name,
                  .type = nnrt_type(&type),
                  .first = *first,
                  .loc = elab_loc(e, param->span)};
  *first += (uint32_t)type_count(&type);
  buf_push(e->m->arena, &p->input.at, c);
  Input *in = arena_new(e->m->arena, Input);
  *in = (Input){type, p->input.at.n - 1, param->name, param->type};
  in->type.batched = true;
  scope_add_lazy(e, scope, param->name, predict_input, in, param->span);
  return true;
}

static Scope *predict_scope(Elab *e, Predict *p, Scope *file) {
  Node *node = p->node;
  if (node->a) {
    Val v = elab_expr(e, file, node->a, NULL);
    if (v.kind != V_DATA) {
      if (v.kind != V_ERROR)
        diag_error(e->s, node->a->span, "not-data", "expected a data block after `on`, found %s",
                   val_text(e, v));
      return NULL;
    }
    p->data = v.data;
    data_use(e, v.data);
    if (v.data->bad)
      return NULL;
  }
  if (node->params.n && p->data) {
    Diagnostic *d = diag_error(e->s, node->params.at[0]->span, "predict-input",
                               "a predict block has its own inputs or `on` data, not both");
    diag_note(e->s, d, (Span){0},
              "leave out `on` to give `%s` when it runs, or this list to read fields of the data",
              node->params.at[0]->name);
    return NULL;
  }
  e->target->data = p->data;
  Scope *scope = p->data ? elab_data_scope(e, p->data, file) : scope_new(e, file);
  uint32_t first = 0;
  for (uint32_t i = 0; i < node->params.n; i++)
    if (!add_parameter(e, p, scope, node->params.at[i], &first))
      return NULL;
  return scope_new(e, scope);
}

// ---- outputs ------------------------------------------------------------------------------------

// The same for every row: given to every row.
Value *elab_for_each_row(Elab *e, Value *x) {
  Builder *b = &e->target->b;
  if (x->type.batched)
    return x;
  ElemType elem = x->type.elem;
  Value *zero =
      ir_binary(b, OP_mul, target_example(e->target), ir_const(b, type_scalar(TY_I32), 0));
  Type type = x->type;
  type.elem = TY_I32;
  type.range = 0;
  type.batched = true;
  zero = ir_convert(b, ir_broadcast(b, zero, NULL, type), elem == TY_I32 ? TY_I32 : TY_F32);
  return ir_binary(b, OP_add, x, zero);
}

// What an output is called: the name written last, else the block's.
static const char *output_name(Elab *e, const Predict *p, const Node *n, uint32_t k,
                               uint32_t total) {
  while (n && n->kind == N_PIPE)
    n = n->b;
  while (n && n->kind == N_CALL)
    n = n->a;
  bool shown = name_is(n, "picture") || name_is(n, "grid"); // how, not what
  if (n && (n->kind == N_NAME || n->kind == N_MEMBER) && total > 1 && !shown)
    return n->name;
  return total > 1 ? format(e, "%s.%u", p->node->name, k) : p->node->name;
}

static bool output_numbers(Elab *e, Val v, Span span, Value **out) {
  bool known = v.kind == V_TENSOR || v.kind == V_INT || v.kind == V_FLOAT || v.kind == V_BOOL ||
               v.kind == V_LIST;
  if (!known) {
    Diagnostic *d = v.kind == V_ERROR
                        ? NULL
                        : diag_error(e->s, span, "predict-value",
                                     "predict gives numbers or classes, found %s", val_text(e, v));
    if (v.kind == V_FUNCTION || v.kind == V_INSTANCE)
      note_uncalled(e, d, v, span);
    else if (d)
      diag_note(e->s, d, (Span){0},
                "its value is the last line: what a model computes, several things as (a, b)");
    return false;
  }
  if (v.kind == V_BOOL)
    v = val_float((double)v.i);
  *out = elab_tensor(e, v, NULL, span);
  return *out != NULL;
}

static bool counts(const NnrtWords *w, int64_t range) {
  return w->coding == NNRT_AS_TOKENS ? w->n_word + 2 <= range && range > 0
                                     : w->coding == NNRT_AS_NAME && w->n_word == range;
}

// The names in the data that are so many; NULL if there are none, or several kinds.
const NnrtWords *names_of(const DataInfo *data, int64_t range) {
  const NnrtWords *found = NULL;
  if (data && data->part.n) // of computed data: those of what it is computed of
    return names_of(data->part.at[0], range);
  if (data && counts(&data->train.letters, range))
    found = &data->train.letters;
  for (uint32_t i = 0; data && i < data->words.n; i++) {
    const NnrtWords *w = &data->words.at[i].words;
    if (!counts(w, range))
      continue;
    if (found && (found->n_byte != w->n_byte || memcmp(found->words, w->words, w->n_byte) != 0))
      return NULL;
    found = w;
  }
  return found;
}

static void add_names(Elab *e, const Predict *p, NnrtOutput *o) {
  int64_t range = o->form == NNRT_AS_TOP && o->type.rank == 1 ? o->type.dim[0] : o->type.range;
  const NnrtWords *words = range ? names_of(p->data, range) : NULL;
  NnrtWords classes;
  if (words)
    o->words = *words;
  else if (range && p->data && is_class_source(&p->data->train) && // nothing has used them so far
           source_classes(e, &p->data->train, &classes) && classes.n_word == (uint64_t)range)
    o->words = classes;
}

// top(p, k, names = "file")
static bool add_written_names(Elab *e, Val top, NnrtOutput *o) {
  const char *why;
  if (!files_names(e, top.span.file, top.s, &o->words))
    why = "can't be read";
  else if (o->words.n_word != (uint64_t)o->type.dim[0])
    why = format(e, "has %u lines, and there are %lld classes", o->words.n_word,
                 (long long)o->type.dim[0]);
  else
    return true;
  Diagnostic *d =
      diag_error(e->s, top.span, "predict-value", "the file of names \"%s\" %s", top.s, why);
  diag_note(e->s, d, (Span){0},
            "it is read when compiling, and looked for as data files are: in $NN_DATA, in the "
            "current folder, beside the program; each line is a name");
  return false;
}

// `|> text`: an index sequence as it would be read.
bool check_text(Elab *e, const NnrtOutput *o, Span span) {
  if (o->type.rank == 1 && o->words.n_word)
    return true;
  Diagnostic *d = diag_error(e->s, span, "predict-value",
                             "text wants a sequence of letters or words of the data, found %s",
                             o->type.range ? "an index that has no names there" : "numbers");
  diag_note(e->s, d, (Span){0}, "index<letters>[n], as windows of text(...) have it");
  return false;
}

static bool picture_of_row(Elab *e, Val v, Span span) {
  if (v.picture->form == NNRT_AS_PICTURE)
    return true;
  Diagnostic *d =
      diag_error(e->s, span, "picture-value", "a picture of many rows among results of each");
  diag_note(e->s, d, (Span){0}, "it stands alone: predict Map on Data { scatter(...) }");
  return false;
}

static void add_output(Elab *e, Predict *p, Val v, Span span, const char *name, bool as_text) {
  NnrtOutput o = {.name = name, .form = NNRT_AS_NUMBERS};
  Value *x = NULL;
  if (v.kind == V_PICTURE) {
    if (!picture_of_row(e, v, span))
      return;
    x = v.t;
    picture_output(v.picture, &o);
  } else if (v.kind == V_TOP) {
    x = v.t;
    o.form = NNRT_AS_TOP;
    o.top = (uint32_t)v.i;
  } else if (!output_numbers(e, v, span, &x))
    return;
  if (x->type.elem == TY_I32 && x->type.range && x->type.rank == 0)
    o.form = NNRT_AS_CLASS;
  else if (x->type.elem != TY_F32 && !x->type.range)
    x = ir_convert(&e->target->b, x, TY_F32);
  o.type = nnrt_type(&x->type);
  x = elab_for_each_row(e, x);
  o.type.range = x->type.range;
  if (v.kind == V_TOP && v.s) {
    if (!add_written_names(e, v, &o))
      return;
  } else {
    add_names(e, p, &o);
  }
  if (as_text && !check_text(e, &o, span))
    return;
  if (as_text)
    o.form = NNRT_AS_TEXT;
  uint32_t k = p->output.n;
  buf_push(e->m->arena, &p->output, o);
  buf_push(e->m->arena, &p->results.value, x);
  buf_push(e->m->arena, &p->results.port, (Port){NNRT_OUTPUT, k, name});
}

bool is_text(const Node *n) {
  const Node *f = n && n->kind == N_PIPE ? n->b : n && n->kind == N_CALL ? n->a : NULL;
  return name_is(f, "text");
}

// A scatter and the like: the whole block is one picture.
static void add_picture_of_rows(Elab *e, Predict *p, Val v, Span span) {
  NnrtOutput output[PICTURE_OUTPUTS];
  if (!p->data) {
    Diagnostic *d =
        diag_error(e->s, span, "picture-value", "a picture of many rows needs the rows of data");
    diag_note(e->s, d, (Span){0}, "predict %s on Data { ... }", p->node->name);
    return;
  }
  uint32_t n = picture_outputs(e, p->data, v, p->node->name, output, &p->results);
  for (uint32_t i = 0; i < n; i++)
    buf_push(e->m->arena, &p->output, output[i]);
}

static void add_outputs(Elab *e, Predict *p, Val v) {
  NodeList body = p->node->body->list;
  Node *last = body.n ? body.at[body.n - 1] : NULL;
  if (v.kind == V_PICTURE && v.picture->form != NNRT_AS_PICTURE) {
    add_picture_of_rows(e, p, v, last ? last->span : p->node->span);
    return;
  }
  if (v.kind != V_TUPLE) {
    add_output(e, p, v, last ? last->span : p->node->span, output_name(e, p, last, 0, 1),
               is_text(last));
    return;
  }
  for (uint32_t i = 0; i < v.n; i++) {
    Node *part = last && last->kind == N_TUPLE ? last->list.at[i] : last;
    add_output(e, p, v.list[i], part ? part->span : p->node->span, output_name(e, p, part, i, v.n),
               is_text(part));
  }
}

// ---- the block ----------------------------------------------------------------------------------

static bool predict_name_free(Elab *e, const Node *decl) {
  Program *p = program_of(e);
  for (uint32_t i = 0; i < p->predict.n; i++)
    if (p->predict.at[i].name == decl->name) {
      Diagnostic *d = diag_error(e->s, decl->name_span, "duplicate-name",
                                 "two predict blocks are called `%s`", decl->name);
      note_other_block(e, d, decl);
      diag_note(e->s, d, (Span){0}, "`--block %s` chooses by the name: call one of them otherwise",
                decl->name);
      return false;
    }
  return true;
}

void make_predict(Elab *e, Scope *file, Node *decl) {
  Predict *p = arena_new(e->m->arena, Predict);
  p->node = decl;
  if (!predict_name_free(e, decl))
    return;
  Target *target = target_begin(e, format(e, "predict.%s", decl->name));
  target->input = &p->input;
  target->fixed = 1;
  target->presents = true;
  e->block = decl;
  Scope *scope = predict_scope(e, p, file);
  if (scope)
    add_outputs(e, p, elab_block(e, scope, decl->body, NULL));
  e->block = NULL;
  if (!p->output.n) {
    target_drop(target);
    return;
  }
  NnrtPredict n = {.name = decl->name, .data = p->data ? p->data->index : NNRT_NONE};
  n.function = target_end(target, p->results.value.at, p->results.port.at, p->results.value.n);
  n.input = p->input.at.at;
  n.n_input = p->input.at.n;
  n.output = p->output.at;
  n.n_output = p->output.n;
  buf_push(e->m->arena, &program_of(e)->predict, n);
}
