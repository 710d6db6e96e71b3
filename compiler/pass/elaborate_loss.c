// What is looked at where a loss or metric of the library is called, so that the user reads about
// his own call and not about the library's formula: labels that don't belong to the scores
// (errors), and three warnings of rule 23: probabilities taken for scores, scores taken for
// probabilities, arguments that look swapped. In: the arguments. Out: false after an error.
// And the mean of what a mask left (rule 32).
#include "ops/rules.h"
#include "pass/elaborate_core.h"

#include <string.h>

typedef struct {
  Elab *e;
  const Node *decl;
  const Arg *a, *b; // scores and label; prediction and target
  Span span;        // of the call
} Loss;

static const Arg *argument(const Node *decl, const Arg *arg, uint32_t n, uint32_t k) {
  uint32_t position = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (arg[i].name ? arg[i].name == decl->params.at[k]->name : position == k)
      return &arg[i];
    position += !arg[i].name;
  }
  return NULL;
}

static const Type *tensor_type(const Arg *arg) {
  return arg->v.kind == V_TENSOR ? &arg->v.t->type : NULL;
}

// ---- labels and scores --------------------------------------------------------------------------

static void note_argument(const Loss *c, Diagnostic *d, const Arg *arg, const char *what) {
  Span from = arg->v.span.file ? arg->v.span : arg->span;
  diag_note(c->e->s, d, from, "the %s, %s", what, val_text(c->e, arg->v));
}

static Diagnostic *wrong(const Loss *c, const Arg *at, const char *code, const char *text) {
  return elab_error(c->e, at->span, code, "%s: %s", c->decl->name, text);
}

static bool swapped_label(const Loss *c) {
  Diagnostic *d = wrong(c, c->a, "type-mismatch", "a label stands where the scores belong");
  note_argument(c, d, c->a, "label");
  diag_note(c->e->s, d, (Span){0}, "the scores come first: %s(%s, %s)", c->decl->name,
            c->decl->params.at[0]->name, c->decl->params.at[1]->name);
  return false;
}

static bool other_range(const Loss *c, Dim scores, Dim labels) {
  Arena *arena = c->e->s->perm;
  const char *text = arena_printf(arena, "%lld scores, but the label is one of %lld",
                                  (long long)scores, (long long)labels);
  Diagnostic *d = wrong(c, c->b, "range-mismatch", text);
  note_argument(c, d, c->a, "scores");
  note_argument(c, d, c->b, "label");
  diag_note(c->e->s, d, (Span){0}, "the last layer has one unit for each class: Dense(%lld)",
            (long long)labels);
  return false;
}

static bool other_places(const Loss *c, const Type *scores, const Type *label) {
  const char *text =
      arena_printf(c->e->s->perm, "scores %s want a label index<%lld>%s, found %s",
                   type_user_text(c->e, scores), (long long)scores->dim[scores->rank - 1],
                   scores->rank > 1 ? dims_text(c->e->s->perm, scores->dim, scores->rank - 1u) : "",
                   val_text(c->e, c->b->v));
  Diagnostic *d = wrong(c, c->b, "shape-mismatch", text);
  note_argument(c, d, c->a, "scores");
  note_argument(c, d, c->b, "label");
  if (scores->rank > 1 && !label->rank)
    diag_note(c->e->s, d, (Span){0},
              "for one label per example make one axis of all: `|> Flatten` before the last Dense");
  else if (label->rank >= scores->rank)
    diag_note(c->e->s, d, (Span){0},
              "a label for each place of a sequence wants scores for each place: recurrent layers "
              "keep them with `sequences = true`");
  return false;
}

static bool number_as_label(const Loss *c, Dim classes) {
  Diagnostic *d = wrong(c, c->b, "type-mismatch", "a label is wanted, found a number");
  note_argument(c, d, c->b, "target");
  diag_note(c->e->s, d, (Span){0},
            "declare the field as a label: `index<%lld>` instead of `f32`; or give one-hot, "
            "f32[%lld]",
            (long long)classes, (long long)classes);
  return false;
}

static bool other_distribution(const Loss *c) {
  const char *text = arena_printf(c->e->s->perm, "scores %s and a one-hot target %s",
                                  val_text(c->e, c->a->v), val_text(c->e, c->b->v));
  Diagnostic *d = wrong(c, c->b, "shape-mismatch", text);
  note_argument(c, d, c->a, "scores");
  note_argument(c, d, c->b, "target");
  diag_note(c->e->s, d, (Span){0},
            "both have one number for each class: %lld classes need Dense(%lld) at the end",
            (long long)c->b->v.t->type.dim[c->b->v.t->type.rank - 1u],
            (long long)c->b->v.t->type.dim[c->b->v.t->type.rank - 1u]);
  return false;
}

static bool check_label(const Loss *c) {
  const Type *scores = tensor_type(c->a), *label = tensor_type(c->b);
  if (!scores || !label)
    return true;
  if (scores->range && label->rank && !label->range)
    return swapped_label(c);
  if (!elem_is_float(scores->elem) || !scores->rank)
    return true;
  Dim classes = scores->dim[scores->rank - 1];
  bool places = label->rank + 1u == scores->rank;
  for (uint32_t i = 0; places && i < label->rank; i++)
    places = label->dim[i] == scores->dim[i];
  if (label->range && !places)
    return other_places(c, scores, label);
  if (label->range)
    return label->range == classes || other_range(c, classes, label->range);
  if (!elem_is_float(label->elem))
    return true;
  if (places)
    return number_as_label(c, classes);
  return type_same_shape(scores, label) || other_distribution(c);
}

// ---- warnings -----------------------------------------------------------------------------------

static const Inst *maker(const Value *x) {
  const Inst *def = x->def;
  while (def && (def->op == OP_reshape || def->op == OP_broadcast)) // f32[1] to f32
    def = def->arg[0]->def;
  return def;
}

static bool is_softmax(const Inst *div) {
  if (div->op != OP_div || div->n_args != 2)
    return false;
  const Inst *e = div->arg[0]->def, *spread = div->arg[1]->def;
  return e && e->op == OP_exp && spread && spread->op == OP_broadcast && spread->arg[0]->def &&
         spread->arg[0]->def->op == OP_sum && spread->arg[0]->def->arg[0] == div->arg[0];
}

static void warn_probabilities(const Loss *c) {
  const Inst *def = tensor_type(c->a) ? maker(c->a->v.t) : NULL;
  bool sigmoid = def && def->op == OP_sigmoid;
  if (!def || (!sigmoid && !is_softmax(def)))
    return;
  const char *was = sigmoid ? "sigmoid" : "softmax";
  Diagnostic *d = diag_warning(c->e->s, c->span, "probabilities-as-scores",
                               "%s takes scores, but this has been through %s", c->decl->name, was);
  diag_note(c->e->s, d, c->a->v.span, "these are probabilities");
  diag_note(c->e->s, d, (Span){0}, "leave %s out, or use %s_probability", was, c->decl->name);
}

// x @ w + b: any number may come out.
static bool is_affine(const Value *x) {
  const Inst *def = maker(x);
  if (def && (def->op == OP_add || def->op == OP_sub))
    return is_affine(def->arg[0]) || is_affine(def->arg[1]);
  return def && def->op == OP_dot;
}

static void warn_scores(const Loss *c) {
  if (!tensor_type(c->a) || !is_affine(c->a->v.t))
    return;
  bool many = strcmp(c->decl->name, "cross_entropy_probability") == 0;
  Diagnostic *d = diag_warning(
      c->e->s, c->span, "scores-as-probabilities",
      "%s takes probabilities, but this comes from a layer without activation", c->decl->name);
  diag_note(c->e->s, d, c->a->v.span, "these are scores, any numbers");
  diag_note(c->e->s, d, (Span){0}, "use %s, or end the model with %s",
            many ? "cross_entropy" : "bce", many ? "softmax" : "sigmoid");
}

enum { MAX_LOOK = 400 }; // instructions: enough for a formula on data, or to meet a last layer

// Is x computed from a parameter? `steps`: looks left; at 0 nothing is known.
static bool from_parameter(const Loss *c, const Value *x, uint32_t *steps) {
  if (!*steps)
    return false;
  --*steps;
  const Function *fn = c->e->target->fn;
  if (!x->def)
    return x->region == fn->body && fn->arg_port[x->index].role == NNRT_PARAM;
  for (uint32_t i = 0; i < x->def->n_args; i++)
    if (from_parameter(c, x->def->arg[i], steps))
      return true;
  return false;
}

static void warn_swapped(const Loss *c) {
  uint32_t left = MAX_LOOK, right = MAX_LOOK;
  if (!tensor_type(c->a) || !tensor_type(c->b) || !c->e->target || !c->a->v.t->type.batched ||
      from_parameter(c, c->a->v.t, &left) || !left || !from_parameter(c, c->b->v.t, &right))
    return;
  const char *first = c->decl->params.at[0]->name, *second = c->decl->params.at[1]->name;
  Diagnostic *d = diag_warning(c->e->s, c->span, "swapped-arguments",
                               "the arguments of %s look swapped: no parameter has a part in the "
                               "first, the %s",
                               c->decl->name, first);
  diag_note(c->e->s, d, (Span){0}, "it is %s(%s, %s)", c->decl->name, first, second);
}

static bool is_one_of(const char *name, const char *const *list) {
  for (; *list; list++)
    if (strcmp(name, *list) == 0)
      return true;
  return false;
}

bool check_loss(Elab *e, const Node *decl, const Arg *arg, uint32_t n, Span span) {
  static const char *const of_labels[] = {"cross_entropy",  "cross_entropy_probability",
                                          "accuracy",       "cross_entropy_normalized",
                                          "top_k_accuracy", NULL};
  static const char *const of_scores[] = {"cross_entropy", "bce", NULL};
  static const char *const of_probabilities[] = {"cross_entropy_probability", "bce_probability",
                                                 NULL};
  if (!is_library(e, decl->span) || decl->has_params2 || decl->params.n < 2 || n < 2)
    return true;
  const char *second = decl->params.at[1]->name;
  if (strcmp(second, "target") != 0 && strcmp(second, "label") != 0)
    return true;
  Loss c = {e, decl, argument(decl, arg, n, 0), argument(decl, arg, n, 1), span};
  if (!c.a || !c.b || (is_one_of(decl->name, of_labels) && !check_label(&c)))
    return !c.a || !c.b;
  if (is_library(e, span))
    return true;
  if (is_one_of(decl->name, of_scores))
    warn_probabilities(&c);
  if (is_one_of(decl->name, of_probabilities))
    warn_scores(&c);
  warn_swapped(&c);
  return true;
}

// ---- rule 32 ----------------------------------------------------------------------------------

// Truth values that don't come from a draw: dropout is no mask.
static bool is_drawn(const Value *x, uint32_t depth) {
  if (!x->def || depth == 0)
    return false;
  if (x->def->op == OP_random)
    return true;
  for (uint32_t i = 0; i < x->def->n_args; i++)
    if (is_drawn(x->def->arg[i], depth - 1))
      return true;
  return false;
}

// f32(mask): select(mask, 1, 0).
static bool is_mask(const Value *x) {
  enum { DEPTH = 6 };
  while (x->def && (x->def->op == OP_broadcast || x->def->op == OP_reshape))
    x = x->def->arg[0];
  const Inst *select = made_by(x, OP_select);
  return select && is_splat_of(select->arg[1], 1) && is_splat_of(select->arg[2], 0) &&
         !is_drawn(select->arg[0], DEPTH);
}

// mean(x * f32(mask)) divides by all, also by what the mask leaves out.
void warn_masked_mean(Elab *e, const Value *x, Span span) {
  const Inst *product = made_by(x, OP_mul);
  if (!product || is_library(e, span) || is_mask(product->arg[0]) == is_mask(product->arg[1]))
    return;
  Diagnostic *d = diag_warning(e->s, span, "mean-of-masked",
                               "this mean divides by all, also by those that the mask leaves out");
  diag_note(e->s, d, (Span){0}, "masked_mean(x, mask) divides by those that are left");
}
