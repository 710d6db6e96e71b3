// Pictures: picture(x), grid(x, r, c), scatter(xy, colour = label), confusion(said, label),
// misclassified(x, said, label), and plane(low, high), the points of a grid. In come values of the
// current target, out comes a V_PICTURE: what predict writes and what `draw` draws as a PNG
// (elaborate_predict.c, elaborate_drawing.c).
#include "pass/elaborate_core.h"
#include "pass/elaborate_program.h"

enum { MOST_SCALE = 64, MOST_SIDE = 256, MOST_CLASSES = 1000 };

static Val not_a_picture(Elab *e, const char *name, Val v, Span span) {
  Diagnostic *d = elab_error(e, span, "picture-value", "%s: found %s, which is no picture", name,
                             val_text(e, v));
  diag_note(e->s, d, (Span){0},
            "a picture is f32[height, width], f32[height, width, 1] or "
            "f32[height, width, 3], 0 black and 1 white");
  return val_error();
}

// The last axes as height, width, channels; what stands before them counts pictures.
static bool picture_axes(const Type *t, bool several, Dim out[4]) {
  bool channels = t->rank >= 3 && (t->dim[t->rank - 1] == 1 || t->dim[t->rank - 1] == 3);
  if (channels && several && t->rank == 3 && !t->batched) // f32[n, h, 3]: n pictures of width 3
    channels = false;
  uint32_t own = channels ? 3 : 2;
  if (t->elem != TY_F32 || (t->rank != own && !(several && t->rank == own + 1)))
    return false;
  uint32_t first = t->rank - own;
  out[0] = first ? t->dim[0] : 1;
  out[1] = t->dim[first];
  out[2] = t->dim[first + 1];
  out[3] = channels ? t->dim[first + 2] : 1;
  return true;
}

static Value *one_picture(Elab *e, const char *name, const Arg *arg, bool several) {
  Dim dim[4];
  Value *x = elab_tensor(e, arg->v, NULL, arg->span);
  if (!x)
    return NULL;
  if (picture_axes(&x->type, several, dim))
    return ir_reshape(building(e), x, dim, 4);
  not_a_picture(e, name, val_tensor(x), arg->span);
  return NULL;
}

// A whole number of an argument; `otherwise` where it is not given.
static bool whole(Elab *e, const Builtin *b, const Arg *arg, const char *what, int64_t most,
                  int64_t otherwise, int64_t *out) {
  *out = otherwise;
  if (arg->v.kind == V_NONE)
    return true;
  if (!elab_int(e, arg->v, what, arg->span, out))
    return false;
  if (*out >= 1 && *out <= most)
    return true;
  elab_error(e, arg->span, "out-of-range", "%s: %s is %lld, expected 1 to %lld", b->name, what,
             (long long)*out, (long long)most);
  return false;
}

static Val picture_val(Elab *e, Value *x, Picture p) {
  Val v = {.kind = V_PICTURE, .t = x, .picture = arena_new(e->s->perm, Picture)};
  *v.picture = p;
  return v;
}

void picture_output(const Picture *p, NnrtOutput *out) {
  out->form = p->form;
  out->scale = (uint32_t)p->scale;
  out->rows = (uint32_t)p->rows;
  out->columns = (uint32_t)p->columns;
}

static void push_output(Elab *e, Value *x, uint32_t k, NnrtOutput *out, Results *results) {
  out->type = nnrt_type(&x->type);
  buf_push(e->m->arena, &results->value, elab_for_each_row(e, x));
  buf_push(e->m->arena, &results->port, (Port){NNRT_OUTPUT, k, out->name});
}

uint32_t picture_outputs(Elab *e, const DataInfo *data, Val v, const char *name,
                         NnrtOutput out[PICTURE_OUTPUTS], Results *results) {
  const Picture *p = v.picture;
  for (uint32_t k = 0; k <= p->n_with; k++) {
    Value *x = k ? p->with[k - 1] : v.t;
    out[k] = (NnrtOutput){.name = name, .form = x->type.range ? NNRT_AS_CLASS : NNRT_AS_NUMBERS};
    const NnrtWords *words = x->type.range ? names_of(data, x->type.range) : NULL;
    if (words)
      out[k].words = *words;
    if (!k)
      picture_output(p, out);
    push_output(e, x->type.range ? x : ir_convert(building(e), x, TY_F32), k, &out[k], results);
  }
  return 1 + p->n_with;
}

// ---- picture ----------------------------------------------------------------------------------

static Val apply_prelude(Elab *e, const char *name, Val *arg, uint32_t n, Span span) {
  Val fn = elab_name(e, e->prelude, intern(e->s, name), span);
  return elab_apply(e, fn, arg, n, span, NULL);
}

static Value *in_colour(Elab *e, Value *x, Span span) {
  Dim dim[3] = {x->type.dim[1], x->type.dim[2], x->type.dim[3]};
  Val v = val_tensor(ir_reshape(building(e), x, dim, 3));
  v = dim[2] == 3 ? v : apply_prelude(e, "coloured", &v, 1, span);
  return v.kind == V_TENSOR ? v.t : NULL;
}

static Value *over_image(Elab *e, const Builtin *b, Value *heat, const Arg *arg, Span span) {
  Value *image = one_picture(e, b->name, arg, false);
  if (!image)
    return NULL;
  const Dim *h = heat->type.dim, *i = image->type.dim;
  if (h[1] != i[1] || h[2] != i[2] || h[3] != 1) {
    Diagnostic *d = elab_error(
        e, span, "picture-value", "heat of %lld x %lld x %lld over a picture of %lld x %lld",
        (long long)h[1], (long long)h[2], (long long)h[3], (long long)i[1], (long long)i[2]);
    diag_note(e->s, d, (Span){0},
              "the heat is one number a pixel, of the picture's height and width");
    return NULL;
  }
  Dim dim[4] = {1, h[1], h[2], 3};
  Value *colours = in_colour(e, image, span);
  if (!colours)
    return NULL;
  Val v[2] = {val_tensor(ir_reshape(building(e), heat, (Dim[]){h[1], h[2], 1}, 3)),
              val_tensor(colours)};
  Val both = apply_prelude(e, "overlay", v, 2, span);
  return both.kind == V_TENSOR ? ir_reshape(building(e), both.t, dim, 4) : NULL;
}

Val picture_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Picture p = {.form = NNRT_AS_PICTURE, .rows = 1, .columns = 1};
  if (arg[0].v.kind == V_PICTURE)
    return not_a_picture(e, b->name, arg[0].v, arg[0].span);
  Value *x = one_picture(e, b->name, &arg[0], false);
  if (!x || !whole(e, b, &arg[1], "the scale", MOST_SCALE, 1, &p.scale))
    return val_error();
  at(e, span);
  if (arg[2].v.kind != V_NONE)
    x = over_image(e, b, x, &arg[2], span);
  return x ? picture_val(e, x, p) : val_error();
}

// ---- grid -------------------------------------------------------------------------------------

// A list of values: all of one shape, side by side.
static Value *listed(Elab *e, const Builtin *b, Val v, Span span) {
  Value *part[MOST_SIDE];
  if (v.n < 1 || v.n > MOST_SIDE) {
    elab_error(e, span, "out-of-range", "%s of %u pictures, expected 1 to %d", b->name, v.n,
               MOST_SIDE);
    return NULL;
  }
  bool batched = false, colour = false;
  for (uint32_t i = 0; i < v.n; i++) {
    part[i] = v.list[i].kind == V_PICTURE
                  ? v.list[i].t
                  : one_picture(e, b->name, &(Arg){.v = v.list[i], .span = span}, false);
    if (!part[i])
      return NULL;
    const Dim *first = part[0]->type.dim, *d = part[i]->type.dim;
    if (d[0] != 1 || d[1] != first[1] || d[2] != first[2]) {
      elab_error(e, span, "shape-mismatch", "%s: pictures of %lld x %lld and %lld x %lld", b->name,
                 (long long)first[1], (long long)first[2], (long long)d[1], (long long)d[2]);
      return NULL;
    }
    batched |= part[i]->type.batched;
    colour |= d[3] == 3;
  }
  for (uint32_t i = 0; i < v.n; i++) {
    Dim dim[4] = {1, part[i]->type.dim[1], part[i]->type.dim[2], 3};
    if (colour && part[i]->type.dim[3] == 1)
      part[i] = ir_reshape(building(e), in_colour(e, part[i], span), dim, 4);
    if (batched)
      part[i] = elab_for_each_row(e, part[i]);
  }
  Attr axis = attr_int(0);
  return v.n == 1 ? part[0] : ir_inst(building(e), OP_concat, part, v.n, &axis, 1)->result[0];
}

// Small pictures are enlarged until they can be seen.
static void enlarge(Picture *p, const Value *x) {
  if (!p->scale)
    while (p->scale < MOST_SCALE && ++p->scale * x->type.dim[1] < 56)
      ;
}

Val grid_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Picture p = {.form = NNRT_AS_PICTURE};
  if (!whole(e, b, &arg[1], "the number of rows", MOST_SIDE, 1, &p.rows) ||
      !whole(e, b, &arg[2], "the number of columns", MOST_SIDE, 1, &p.columns) ||
      !whole(e, b, &arg[3], "the scale", MOST_SCALE, 0, &p.scale))
    return val_error();
  at(e, span);
  Val v = arg[0].v;
  bool list =
      v.kind == V_LIST && v.n && (v.list[0].kind == V_TENSOR || v.list[0].kind == V_PICTURE);
  Value *x = v.kind == V_PICTURE ? v.t
             : list              ? listed(e, b, v, arg[0].span)
                                 : one_picture(e, b->name, &arg[0], true);
  if (!x)
    return val_error();
  enlarge(&p, x);
  return picture_val(e, x, p);
}

// ---- scatter ----------------------------------------------------------------------------------

// Points f32[2], or a list of them: clouds, each of its own colour.
static Value *points(Elab *e, const Builtin *b, const Arg *arg) {
  Value *x = elab_tensor(e, arg->v, NULL, arg->span);
  if (!x)
    return NULL;
  uint32_t rank = x->type.rank;
  if (x->type.elem == TY_F32 && (rank == 1 || rank == 2) && x->type.dim[rank - 1] == 2)
    return ir_reshape(building(e), x, (Dim[]){rank == 2 ? x->type.dim[0] : 1, 2}, 2);
  Diagnostic *d = elab_error(e, arg->span, "picture-value", "%s: expected points f32[2], found %s",
                             b->name, val_text(e, arg->v));
  diag_note(e->s, d, (Span){0}, "or a list of such clouds of points: scatter([real, made])");
  return NULL;
}

Val scatter_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want, (void)span;
  Picture p = {.form = NNRT_AS_SCATTER};
  Value *x = points(e, b, &arg[0]);
  if (!x)
    return val_error();
  Value *colour = NULL;
  if (arg[1].v.kind != V_NONE && !(colour = elab_tensor(e, arg[1].v, NULL, arg[1].span)))
    return val_error();
  if (colour && colour->type.rank) {
    elab_error(e, arg[1].span, "picture-value",
               "%s: the colour of a point is one number or one class, found %s", b->name,
               val_text(e, arg[1].v));
    return val_error();
  }
  if (colour && x->type.dim[0] > 1) {
    elab_error(e, arg[1].span, "picture-value", "%s: of several clouds each has its own colour",
               b->name);
    return val_error();
  }
  p.with[0] = colour;
  p.n_with = colour != NULL;
  return picture_val(e, x, p);
}

// ---- confusion, misclassified -----------------------------------------------------------------

// A class, or the greatest of scores.
static Value *class_of(Elab *e, const Builtin *b, const Arg *arg) {
  Value *x = elab_tensor(e, arg->v, NULL, arg->span);
  if (!x)
    return NULL;
  if (x->type.elem == TY_F32 && x->type.rank == 1)
    x = ir_unary(building(e), OP_argmax, x);
  if (x->type.rank == 0 && x->type.range >= 2 && x->type.range <= MOST_CLASSES)
    return x;
  Diagnostic *d = elab_error(e, arg->span, "picture-value", "%s: expected a class, found %s",
                             b->name, val_text(e, arg->v));
  diag_note(e->s, d, (Span){0}, "index<n>, or a score for each class, f32[n]; n up to %d",
            MOST_CLASSES);
  return NULL;
}

static bool two_classes(Elab *e, const Builtin *b, const Arg *arg, Value *out[2], Span span) {
  for (uint32_t i = 0; i < 2; i++)
    if (!(out[i] = class_of(e, b, &arg[i])))
      return false;
  if (out[0]->type.range == out[1]->type.range)
    return true;
  elab_error(e, span, "shape-mismatch", "%s: one of %lld classes was said, one of %lld is true",
             b->name, (long long)out[0]->type.range, (long long)out[1]->type.range);
  return false;
}

Val confusion_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Value *class[2];
  at(e, span);
  if (!two_classes(e, b, arg, class, span))
    return val_error();
  Picture p = {.form = NNRT_AS_CONFUSION, .with = {class[1]}, .n_with = 1};
  return picture_val(e, class[0], p);
}

Val misclassified_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Picture p = {.form = NNRT_AS_MISCLASSIFIED, .n_with = 2};
  at(e, span);
  Value *x = one_picture(e, b->name, &arg[0], false);
  if (!x || !two_classes(e, b, arg + 1, p.with, span) ||
      !whole(e, b, &arg[3], "the number of rows", MOST_SIDE, 5, &p.rows) ||
      !whole(e, b, &arg[4], "the number of columns", MOST_SIDE, 8, &p.columns) ||
      !whole(e, b, &arg[5], "the scale", MOST_SCALE, 0, &p.scale))
    return val_error();
  enlarge(&p, x);
  return picture_val(e, x, p);
}

// ---- plane ------------------------------------------------------------------------------------

Val plane_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Target *t = e->target;
  if (!t || !t->grid_rows) {
    Diagnostic *d =
        elab_error(e, span, "picture-value", "%s(low, high) stands in a grid only", b->name);
    diag_note(e->s, d, (Span){0},
              "in a train block: draw NAME = grid(Decoder(plane(-2, 2)), 16, "
              "16)");
    return val_error();
  }
  Type place = type_scalar(TY_I32);
  place.batched = true;
  at(e, span);
  Value *k = ir_convert(&t->b, target_argument(t, place, NNRT_PLACE, 0, "place"), TY_F32);
  Val v[5] = {val_tensor(k), arg[0].v, arg[1].v, val_int(t->grid_rows), val_int(t->grid_columns)};
  return apply_prelude(e, "plane_point", v, 5, span);
}
