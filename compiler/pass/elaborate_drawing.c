// `draw NAME = grid(...) every 4 epochs` in train blocks (rule 36), pictures and texts: a function
// draw.T.NAME each, in evaluation mode with fixed keys for draws, and the table of what is drawn
// when.
#include "pass/elaborate_program.h"

#include <string.h>

// ---- items --------------------------------------------------------------------------------------

static bool drawing_name_free(Elab *e, const Train *t, const Drawing *new) {
  for (uint32_t i = 0; i < t->drawing.n; i++)
    if (strcmp(t->drawing.at[i].name, new->name) == 0) {
      Diagnostic *d = diag_error(e->s, new->node->span, "duplicate-name",
                                 "two drawings are called `%s`", new->name);
      diag_note(e->s, d, t->drawing.at[i].node->span, "the other one");
      diag_note(e->s, d, (Span){0}, "their files would be the same: `draw NAME = ...`");
      return false;
    }
  return true;
}

void add_drawings(Elab *e, Train *t, Node *item) {
  for (uint32_t i = 0; i < item->list.n; i++) {
    Node *arg = item->list.at[i];
    Drawing d = {item, arg, arg->name ? arg->name : value_name(arg->a)};
    if (!d.name)
      d.name = intern(e->s, "picture");
    if (drawing_name_free(e, t, &d))
      buf_push(e->m->arena, &t->drawing, d);
  }
}

// ---- functions ----------------------------------------------------------------------------------

static const Node *call_of(const Node *n) {
  return n->kind == N_PIPE ? n->b : n;
}

// Rows and columns of the grid around, for plane(): they stand behind what they decide.
static bool read_grid(Elab *e, const Train *t, const Node *expr, Target *target) {
  const Node *call = call_of(expr);
  int64_t *to[] = {NULL, &target->grid_rows, &target->grid_columns};
  static const char *const names[] = {"x", "rows", "columns"};
  if (call->kind != N_CALL || !name_is(call->a, "grid"))
    return true;
  uint32_t place = call == expr ? 0 : 1;
  for (uint32_t i = 0; i < call->list.n; i++) {
    const Node *arg = call->list.at[i];
    uint32_t which = arg->name ? 0 : place++;
    for (uint32_t k = 1; arg->name && k < 3; k++)
      if (strcmp(arg->name, names[k]) == 0)
        which = k;
    if (which < 1 || which > 2)
      continue;
    e->target = NULL;
    Val v = elab_expr(e, t->scope, arg->a, NULL);
    e->target = target;
    if (!elab_int(e, v, "the size of the grid", arg->a->span, to[which]))
      return false;
  }
  return true;
}

static void push_picture(Elab *e, const Train *t, Val v, NnrtDraw *draw, Results *out) {
  const Picture *p = v.picture;
  NnrtOutput *output = arena_array(e->m->arena, NnrtOutput, PICTURE_OUTPUTS);
  draw->n_output = picture_outputs(e, t->data, v, draw->name, output, out);
  draw->output = output;
  int64_t each = v.t->type.dim[0], most = p->rows * p->columns;
  if (p->form == NNRT_AS_PICTURE)
    draw->examples = v.t->type.batched ? (most + each - 1) / each : 1;
}

// Of the first row: `draw text(continued(input))`. false after an error.
static bool push_text(Elab *e, const Train *t, Val v, Span span, NnrtDraw *draw, Results *out) {
  NnrtOutput *o = arena_new(e->m->arena, NnrtOutput);
  Value *x = elab_tensor(e, v, NULL, span);
  if (!x)
    return false;
  const NnrtWords *words = x->type.range ? names_of(t->data, x->type.range) : NULL;
  *o = (NnrtOutput){.name = draw->name, .type = nnrt_type(&x->type), .form = NNRT_AS_TEXT};
  o->type.range = x->type.range;
  if (words)
    o->words = *words;
  if (!check_text(e, o, span))
    return false;
  draw->output = o;
  draw->examples = draw->n_output = 1;
  buf_push(e->m->arena, &out->value, elab_for_each_row(e, x));
  buf_push(e->m->arena, &out->port, (Port){NNRT_OUTPUT, 0, draw->name});
  return true;
}

static bool push_drawing(Elab *e, const Train *t, Node *expr, Val v, NnrtDraw *draw, Results *out) {
  if (v.kind == V_ERROR)
    return false;
  if (v.kind == V_PICTURE) {
    push_picture(e, t, v, draw, out);
    return true;
  }
  if (is_text(expr))
    return push_text(e, t, v, expr->span, draw, out);
  Diagnostic *d = diag_error(e->s, expr->span, "picture-value",
                             "draw wants a picture or a text, found %s", val_text(e, v));
  diag_note(e->s, d, (Span){0},
            "grid(x, rows, columns), picture(x), scatter(xy, colour = label), "
            "confusion(said, label), misclassified(x, said, label) or text(letters)");
  return false;
}

static bool make_drawing(Elab *e, Train *t, const Drawing *drawing) {
  NnrtDraw draw = {.name = drawing->name};
  Results out = {0};
  Node *expr = drawing->node->a;
  if (!read_every(e, t, drawing->item, &draw.every_epochs, &draw.every_steps))
    return false;
  Target *target = target_begin(e, format(e, "draw.%s.%s", t->name, drawing->name));
  target->fixed = 1;
  target->presents = true;
  e->block = t->node;
  bool good = read_grid(e, t, expr, target);
  Val v = good ? elab_expr(e, train_scope(e, t), expr, NULL) : val_error();
  if (!push_drawing(e, t, expr, v, &draw, &out)) {
    target_drop(target);
    return false;
  }
  draw.function = target_end(target, out.value.at, out.port.at, out.value.n);
  buf_push(e->m->arena, &t->draw, draw);
  return true;
}

void make_drawings(Elab *e, Train *t) {
  for (uint32_t i = 0; i < t->drawing.n; i++)
    make_drawing(e, t, &t->drawing.at[i]);
}
