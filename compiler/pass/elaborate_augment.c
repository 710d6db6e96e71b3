// `augment(...)` in a data field (rule 34): the library's `augmented` in the functions that train,
// nothing elsewhere; `sample`, the bilinear sampling that it is made of; preview.D, the function
// that gives the variants of a field for `./trainer preview`.
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

#include <string.h>

static Val augment_error(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = elab_error(e, span, "row-step", "%s", what);
  diag_note(e->s, d, (Span){0}, "%s", advice);
  return val_error();
}

// ---- sample(x, y, z) ---------------------------------------------------------------------------

// x: f32[h, w, c]; y, z: f32[i, k], in pixels; outside of x is its nearest border.
Val do_sample(Elab *e, const Builtin *builtin, Arg *arg, Span span, const Type *want) {
  (void)builtin, (void)want;
  Value *v[3];
  for (int i = 0; i < 3; i++)
    if (!(v[i] = elab_tensor(e, arg[i].v, NULL, arg[i].span)))
      return val_error();
  const Type *x = &v[0]->type;
  if (x->rank != 3 || x->elem != TY_F32 || v[1]->type.rank != 2 || v[1]->type.elem != TY_F32 ||
      !type_same_shape(&v[1]->type, &v[2]->type)) {
    elab_error(e, span, "shape-mismatch",
               "sample takes a picture f32[h, w, c] and two f32[i, k] of coordinates, found %s, %s "
               "and %s",
               val_text(e, arg[0].v), val_text(e, arg[1].v), val_text(e, arg[2].v));
    return val_error();
  }
  at(e, span);
  Builder *b = building(e);
  Dim points[] = {1, v[1]->type.dim[0], v[1]->type.dim[1]};
  Dim out[] = {points[1], points[2], x->dim[2]};
  Value *args[] = {ir_reshape(b, v[0], (Dim[]){1, x->dim[0], x->dim[1], x->dim[2]}, 4),
                   ir_reshape(b, v[1], points, 3), ir_reshape(b, v[2], points, 3)};
  return val_tensor(ir_reshape(b, ir_inst(b, OP_sample, args, 3, NULL, 0)->result[0], out, 3));
}

// ---- augment(...) ------------------------------------------------------------------------------

enum { MOST_SETTINGS = 16 };
typedef struct {
  Arg arg[MOST_SETTINGS];
  uint32_t n;
} Settings;

static void put(Elab *e, Settings *s, const char *name, Val v, Span span) {
  s->arg[s->n++] = (Arg){.v = v, .name = intern(e->s, name), .span = span, .name_span = span};
}

static bool flip_setting(Elab *e, Settings *s, const Node *value) {
  bool both = name_is(value, "both");
  if (both || name_is(value, "horizontal"))
    put(e, s, "horizontal", (Val){.kind = V_BOOL, .i = 1}, value->span);
  if (both || name_is(value, "vertical"))
    put(e, s, "vertical", (Val){.kind = V_BOOL, .i = 1}, value->span);
  if (both || name_is(value, "horizontal") || name_is(value, "vertical"))
    return true;
  augment_error(e, value->span, "flip is horizontal, vertical or both",
                "horizontal exchanges left and right");
  return false;
}

static bool amount(Elab *e, Scope *scope, Node *value, const char *name, double most, double *out) {
  if (!elab_number(e, elab_expr(e, scope, value, NULL), name, value->span, out))
    return false;
  if (*out >= 0 && *out <= most)
    return true;
  augment_error(e, value->span, format(e, "%s is from 0 to %g, not %g", name, most, *out),
                "it is the greatest change, in either direction");
  return false;
}

// brightness = 0.2 is (0.8, 1.2).
static bool factor_setting(Elab *e, Scope *scope, Settings *s, const Node *arg) {
  Node *value = arg->a;
  double low, high;
  bool good;
  if (value->kind == N_TUPLE && value->list.n == 2) {
    good = amount(e, scope, value->list.at[0], arg->name, 100, &low) &&
           amount(e, scope, value->list.at[1], arg->name, 100, &high);
  } else {
    good = amount(e, scope, value, arg->name, 1, &high);
    low = 1 - high;
    high = 1 + high;
  }
  if (!good)
    return false;
  put(e, s, format(e, "%s_low", arg->name), val_float(low), value->span);
  put(e, s, format(e, "%s_high", arg->name), val_float(high), value->span);
  return true;
}

static bool one_setting(Elab *e, Scope *scope, Settings *s, const Node *arg) {
  static const char *const names[] = {"rotate", "shift",         "shear",      "zoom",    "crop",
                                      "flip",   "channel_shift", "brightness", "contrast"};
  static const double most[] = {180, 1, 10, 0.99, 0.99, 0, 1000};
  double by;
  for (uint32_t i = 0; arg->name && i < 9; i++) {
    if (strcmp(arg->name, names[i]) != 0)
      continue;
    if (strcmp(arg->name, "flip") == 0)
      return flip_setting(e, s, arg->a);
    if (i > 6)
      return factor_setting(e, scope, s, arg);
    if (!amount(e, scope, arg->a, arg->name, most[i], &by))
      return false;
    put(e, s, names[i], val_float(by), arg->a->span);
    return true;
  }
  const char *near = arg->name ? nearest_name(arg->name, names, 9) : NULL;
  augment_error(e, arg->span,
                arg->name ? format(e, "augment has no setting `%s`", arg->name)
                          : "what augment does is said by names",
                near ? format(e, "did you mean `%s`?", near)
                     : "it has rotate, shift, shear, zoom, crop, flip, channel_shift, brightness, "
                       "contrast");
  return false;
}

static Val apply(Elab *e, DataInfo *data, Settings *s, Value *x, Span span) {
  Builder *b = building(e);
  Dim dims[] = {x->type.dim[0], x->type.dim[1], x->type.rank == 3 ? x->type.dim[2] : 1};
  uint32_t fixed = e->target->fixed, rank = x->type.rank;
  e->target->fixed = 0; // its draws are new in every step
  Val f = elab_name(e, e->prelude, intern(e->s, "augmented"), span);
  f = call_value(e, f, s->arg, s->n, data->decl, span, NULL);
  Arg picture = {.v = val_tensor(ir_reshape(b, x, dims, 3)), .span = span};
  Val y = f.kind == V_ERROR ? f : call_value(e, f, &picture, 1, data->decl, span, NULL);
  e->target->fixed = fixed;
  return y.kind == V_TENSOR ? val_tensor(ir_reshape(building(e), y.t, dims, rank)) : y;
}

Val augmented_value(Elab *e, Scope *scope, DataInfo *data, Node *node, Val v, Node *const *arg,
                    uint32_t n) {
  Settings settings = {.n = 0};
  Value *x = v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, node->span);
  bool good = x != NULL;
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < i; k++)
      if (arg[k]->name && arg[k]->name == arg[i]->name)
        return augment_error(e, arg[i]->span, "this setting is given twice", "once is enough");
    good &= one_setting(e, scope, &settings, arg[i]);
  }
  if (!good)
    return val_error();
  if ((x->type.rank != 2 && x->type.rank != 3) || x->type.elem != TY_F32)
    return augment_error(e, node->span,
                         format(e, "augment takes pictures, found %s", val_text(e, v)),
                         "f32[height, width] or f32[height, width, channels]");
  data->augmented = data->augmented ? data->augmented : data->computing;
  if (!e->target->training)
    return v;
  at(e, node->span);
  return apply(e, data, &settings, x, node->span);
}

// ---- preview.D ---------------------------------------------------------------------------------

static uint32_t make_preview(Elab *e, DataInfo *data) {
  Target *t = target_begin(e, format(e, "preview.%s", data->name));
  t->data = data;
  t->training = t->iterates = true;
  Scope *scope = elab_data_scope(e, data, data->scope);
  const Field *f = data->augmented;
  Val v = elab_name(e, scope, f->name, f->node->name_span);
  Value *x = v.kind == V_ERROR ? NULL : elab_tensor(e, v, NULL, f->node->span);
  if (!x || (x->type.rank != 2 && x->type.rank != 3) || !x->type.batched) {
    target_drop(t);
    return NNRT_NONE;
  }
  Port port = {NNRT_OUTPUT, 0, f->name};
  return target_end(t, &x, &port, 1);
}

void make_previews(Elab *e) {
  Program *p = program_of(e);
  for (uint32_t i = 0; i < p->used.n; i++) {
    DataInfo *data = p->used.at[i];
    bool field = false;
    for (uint32_t k = 0; k < data->field.n; k++)
      field |= data->augmented && data->augmented->name == data->field.at[k].name;
    data->preview = field ? make_preview(e, data) : NNRT_NONE;
  }
}
