// Builtins on images [.., height, width, channels] and sequences [.., time, channels]: convolution,
// its transpose, max pooling. The operations work on images; a sequence is one of height 1, and
// leading axes are more images. What doesn't fit is said in the terms of the program.
#include "ops/conv.h"
#include "pass/elaborate_core.h"
#include "pass/elaborate_shape.h"

#include <string.h>

typedef struct {
  Elab *e;
  const char *name; // of the builtin
  Span span;
  uint32_t axes; // 2: images, 1: sequences
  Value *x;      // as it came
  Dim in[2], window[2], stride[2], dilation[2], low[2], high[2];
} Windows;

static bool given(const Arg *arg) {
  return arg->v.kind != V_NONE;
}

// ---- settings ----------------------------------------------------------------------------------

static bool is_list(Val v) {
  return v.kind == V_LIST || v.kind == V_TUPLE;
}

static bool setting_error(const Windows *w, const Arg *arg, const char *what) {
  if (arg->v.kind != V_ERROR)
    elab_error(w->e, arg->span, "wrong-arguments", "%s: the %s is %s, found %s", w->name, what,
               w->axes == 2 ? "a number, or two for height and width" : "a number",
               val_text(w->e, arg->v));
  return false;
}

// A number for all axes or one for each; 1 if it isn't given.
static bool per_axis(const Windows *w, const Arg *arg, const char *what, Dim *out) {
  out[0] = out[1] = 1;
  if (!given(arg))
    return true;
  bool list = is_list(arg->v);
  if (list && arg->v.n != w->axes)
    return setting_error(w, arg, what);
  for (uint32_t i = 0; i < w->axes; i++) {
    Val v = list ? arg->v.list[i] : arg->v;
    Dim *to = &out[2 - w->axes + i];
    if (v.kind != V_INT && v.kind != V_TENSOR)
      return setting_error(w, arg, what);
    if (!elab_int(w->e, v, what, arg->span, to))
      return false;
    if (*to < 1) {
      diag_note(w->e->s,
                elab_error(w->e, arg->span, "out-of-range", "%s: a %s of %lld", w->name, what,
                           (long long)*to),
                (Span){0}, "it is at least 1");
      return false;
    }
  }
  return true;
}

static Dim extent(const Windows *w, uint32_t axis) {
  return w->dilation[axis] * (w->window[axis] - 1) + 1;
}

// Padding of one axis: a number for both sides or (before, after).
static bool pad_axis(Windows *w, const Arg *arg, Val v, uint32_t axis) {
  Val side[] = {v, v};
  if (is_list(v) && v.n == 2)
    memcpy(side, v.list, sizeof side);
  else if (v.kind != V_INT)
    return setting_error(w, arg, "padding");
  if (!elab_int(w->e, side[0], "padding", arg->span, &w->low[axis]) ||
      !elab_int(w->e, side[1], "padding", arg->span, &w->high[axis]))
    return false;
  if (w->low[axis] >= 0 && w->high[axis] >= 0)
    return true;
  elab_error(w->e, arg->span, "out-of-range", "%s: a padding can't be negative", w->name);
  return false;
}

static bool pad_by_numbers(Windows *w, const Arg *arg) {
  Val v = arg->v;
  bool each = w->axes == 2 && is_list(v);
  if (each && v.n != 2)
    return setting_error(w, arg, "padding");
  for (uint32_t i = 2 - w->axes; i < 2; i++)
    if (!pad_axis(w, arg, each ? v.list[i] : v, i))
      return false;
  return true;
}

typedef enum { PAD_VALID, PAD_SAME, PAD_NUMBERS } Padding;

static bool padding_of(Windows *w, const Arg *arg, Padding *out) {
  *out = PAD_VALID;
  if (!given(arg))
    return true;
  if (arg->v.kind != V_STRING) {
    *out = PAD_NUMBERS;
    return pad_by_numbers(w, arg);
  }
  *out = strcmp(arg->v.s, "same") == 0 ? PAD_SAME : PAD_VALID;
  if (*out == PAD_SAME || strcmp(arg->v.s, "valid") == 0)
    return true;
  elab_error(w->e, arg->span, "wrong-arguments",
             "%s: the padding is valid, same or numbers, not \"%s\"", w->name, arg->v.s);
  return false;
}

// As in Keras: of an uneven padding the greater half comes after.
static void pad_by_word(Windows *w, Padding padding) {
  for (uint32_t i = 2 - w->axes; i < 2; i++) {
    Dim places = (w->in[i] + w->stride[i] - 1) / w->stride[i];
    Dim all = (places - 1) * w->stride[i] + extent(w, i) - w->in[i];
    all = all < 0 ? 0 : all;
    w->low[i] = padding == PAD_SAME ? all / 2 : 0;
    w->high[i] = padding == PAD_SAME ? all - all / 2 : 0;
  }
}

// ---- images ------------------------------------------------------------------------------------

static const char *size_text(const Windows *w, const Dim *size) {
  Arena *arena = w->e->s->perm;
  return w->axes == 1 ? arena_printf(arena, "%lld", (long long)size[1])
                      : arena_printf(arena, "%lld x %lld", (long long)size[0], (long long)size[1]);
}

// [3, 224, 224] is an image of height 3 here: rarely what is meant.
static bool looks_channels_first(const Windows *w) {
  const Type *t = &w->x->type;
  const Dim *d = t->dim + t->rank - 3;
  return w->axes == 2 && t->rank >= 3 && d[0] <= 4 && d[1] == d[2] && d[2] > 4;
}

static void note_channels(const Windows *w, Diagnostic *d) {
  const Dim *dim = w->x->type.dim + w->x->type.rank - 3;
  if (looks_channels_first(w))
    diag_note(w->e->s, d, (Span){0},
              "the channels come last: f32[%lld, %lld, %lld], by transpose(x, [1, 2, 0])",
              (long long)dim[1], (long long)dim[2], (long long)dim[0]);
}

static bool rank_error(const Windows *w, const Arg *arg) {
  const Type *type = &w->x->type;
  Diagnostic *d =
      elab_error(w->e, arg->span, "shape-mismatch", "%s works on %s, found %s", w->name,
                 w->axes == 2 ? "images [height, width, channels]" : "sequences [time, channels]",
                 val_text(w->e, arg->v));
  if (type->rank == w->axes)
    diag_note(w->e->s, d, (Span){0}, "%s: x[.., _]",
              w->axes == 2 ? "a grey image has one channel" : "a row of numbers has one channel");
  return false;
}

// Reads the images; everything else of *w is still to come.
static bool take_images(Windows *w, Elab *e, const Builtin *b, const Arg *arg, Span span) {
  *w = (Windows){.e = e, .name = b->name, .span = span, .axes = strchr(b->name, '1') ? 1 : 2};
  w->x = elab_tensor(e, arg->v, NULL, arg->span);
  if (!w->x)
    return false;
  at(e, span);
  if (w->x->type.rank <= w->axes)
    return rank_error(w, arg);
  if (!elem_is_float(w->x->type.elem)) {
    if (w->x->type.range || w->x->type.elem == TY_BOOL) {
      elab_error(e, arg->span, "wrong-type", "%s of %s", b->name, val_text(e, arg->v));
      return false;
    }
    w->x = ir_convert(building(e), w->x, TY_F32);
  }
  const Dim *dim = w->x->type.dim + w->x->type.rank - 1 - w->axes;
  w->in[0] = w->axes == 2 ? dim[0] : 1;
  w->in[1] = dim[w->axes - 1];
  return true;
}

// As the operations want them: [N, H, W, C].
static Value *images(const Windows *w) {
  const Type *t = &w->x->type;
  Dim dims[] = {1, w->in[0], w->in[1], t->dim[t->rank - 1]};
  for (uint32_t i = 0; i + w->axes + 1 < t->rank; i++)
    dims[0] *= t->dim[i];
  return ir_reshape(building(w->e), w->x, dims, 4);
}

// [N, H, W, F] with the leading axes of x.
static Val like_x(const Windows *w, Value *y) {
  Dim dims[MAX_RANK];
  uint32_t n = 0;
  for (uint32_t i = 0; i + w->axes + 1 < w->x->type.rank; i++)
    dims[n++] = w->x->type.dim[i];
  for (uint32_t i = 3 - w->axes; i < 4; i++)
    dims[n++] = y->type.dim[i];
  return val_tensor(ir_reshape(building(w->e), y, dims, n));
}

static bool fits(const Windows *w, const char *what) {
  bool fit = true;
  for (uint32_t i = 0; i < 2; i++)
    fit &= window_places(w->in[i], w->low[i], w->high[i], extent(w, i), w->stride[i]) > 0;
  if (fit)
    return true;
  Dim covers[] = {extent(w, 0), extent(w, 1)};
  Diagnostic *d = elab_error(
      w->e, w->span, "shape-mismatch", "%s: the %s of %s does not fit into %s of %s", w->name, what,
      size_text(w, covers), w->axes == 2 ? "an image" : "a sequence", size_text(w, w->in));
  note_channels(w, d);
  if (!looks_channels_first(w))
    diag_note(w->e->s, d, (Span){0},
              "`padding = same` keeps the size; fewer or smaller steps "
              "before leave more");
  return false;
}

// ---- convolution -------------------------------------------------------------------------------

static Value *take_filter(Windows *w, const Arg *arg) {
  Value *filter = elab_tensor(w->e, arg->v, NULL, arg->span);
  if (!filter)
    return NULL;
  at(w->e, w->span);
  filter = ir_convert(building(w->e), filter, TY_F32);
  const Type *t = &filter->type;
  if (t->rank != w->axes + 2) {
    elab_error(w->e, arg->span, "shape-mismatch", "%s: a kernel is %s, found %s", w->name,
               w->axes == 2 ? "[height, width, channels, filters]" : "[length, channels, filters]",
               val_text(w->e, arg->v));
    return NULL;
  }
  Dim dims[] = {1, t->dim[0], t->dim[w->axes], t->dim[w->axes + 1]};
  w->window[0] = w->axes == 2 ? t->dim[0] : 1;
  w->window[1] = t->dim[w->axes - 1];
  return w->axes == 2 ? filter : ir_reshape(building(w->e), filter, dims, 4);
}

static bool check_groups(const Windows *w, Dim channels, Dim features, Dim groups) {
  if (groups >= 1 && channels % groups == 0 && features % groups == 0)
    return true;
  if (groups < 1)
    diag_note(
        w->e->s,
        elab_error(w->e, w->span, "out-of-range", "%s: %lld groups", w->name, (long long)groups),
        (Span){0}, "at least 1, which is how it is usually");
  else
    diag_note(w->e->s,
              elab_error(w->e, w->span, "shape-mismatch",
                         "%s: %lld %s can't be shared out among %lld groups", w->name,
                         (long long)(channels % groups ? channels : features),
                         channels % groups ? "channels" : "filters", (long long)groups),
              (Span){0}, "the number of groups divides the channels and the filters");
  return false;
}

static bool check_channels(const Windows *w, const Arg *arg, Dim has, Dim takes) {
  if (has == takes)
    return true;
  Diagnostic *d = elab_error(w->e, w->span, "shape-mismatch",
                             "%s: %s has %lld channels, the kernel %s takes %lld", w->name,
                             type_user_text(w->e, &w->x->type), (long long)has,
                             val_text(w->e, arg->v), (long long)takes);
  note_channels(w, d);
  return false;
}

typedef struct {
  Value *filter;
  Dim groups;
  Padding padding;
} Filter;

// x, filter, stride, padding, dilation, groups
static bool take_conv(Windows *w, Arg *arg, Filter *f) {
  f->groups = 1;
  f->filter = take_filter(w, &arg[1]);
  return f->filter && per_axis(w, &arg[2], "stride", w->stride) &&
         padding_of(w, &arg[3], &f->padding) && per_axis(w, &arg[4], "dilation", w->dilation) &&
         (!given(&arg[5]) ||
          elab_int(w->e, arg[5].v, "the number of groups", arg[5].span, &f->groups));
}

static Value *conv(const Windows *w, const char *wrt, const Filter *f, const Dim *size) {
  Arena *arena = w->e->m->arena;
  Attr attr[] = {attr_str(intern(w->e->s, wrt)),      attr_dims(arena, w->stride, 2),
                 attr_dims(arena, w->dilation, 2),    attr_dims(arena, w->low, 2),
                 attr_dims(arena, w->high, 2),        attr_int(f->groups),
                 attr_dims(arena, size, size ? 2 : 0)};
  Value *args[] = {images(w), f->filter};
  return ir_inst(building(w->e), OP_conv, args, 2, attr, 7)->result[0];
}

Val image_conv(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Windows w;
  Filter f;
  if (!take_images(&w, e, b, &arg[0], span) || !take_conv(&w, arg, &f))
    return val_error();
  const Dim *shape = f.filter->type.dim;
  Dim channels = w.x->type.dim[w.x->type.rank - 1];
  if (f.padding != PAD_NUMBERS)
    pad_by_word(&w, f.padding);
  if (!check_groups(&w, channels, shape[3], f.groups) ||
      !check_channels(&w, &arg[1], channels, shape[2] * f.groups) || !fits(&w, "kernel"))
    return val_error();
  return like_x(&w, conv(&w, "out", &f, NULL));
}

// The size that a convolution of these settings would make w->in of: of several the one that Keras
// takes, or as in PyTorch where the padding is given in numbers. Sets the padding of words.
static bool transposed_size(Windows *w, Padding padding, Dim extra, Dim *size) {
  for (uint32_t i = 0; i < 2; i++) {
    Dim span = extent(w, i), rest = span - w->stride[i];
    bool real = i >= 2 - w->axes;
    if (padding == PAD_SAME && real) {
      w->low[i] = rest > 0 ? rest / 2 : 0;
      w->high[i] = rest > 0 ? rest - rest / 2 : 0;
    }
    size[i] = (w->in[i] - 1) * w->stride[i] + span - w->low[i] - w->high[i] + (real ? extra : 0);
    if (padding != PAD_NUMBERS && rest < 0 && !extra)
      size[i] -= rest;
    if (size[i] < 1 || (real && extra >= w->stride[i]))
      return false;
  }
  return true;
}

Val image_conv_transpose(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Windows w;
  Filter f;
  Dim size[2], extra = 0;
  if (!take_images(&w, e, b, &arg[0], span) || !take_conv(&w, arg, &f) ||
      (given(&arg[6]) && !elab_int(e, arg[6].v, "output_padding", arg[6].span, &extra)))
    return val_error();
  const Dim *shape = f.filter->type.dim;
  Dim features = w.x->type.dim[w.x->type.rank - 1];
  if (!check_groups(&w, shape[2] * f.groups, features, f.groups) ||
      !check_channels(&w, &arg[1], features, shape[3]))
    return val_error();
  if (extra < 0 || !transposed_size(&w, f.padding, extra, size)) {
    elab_error(e, span, "shape-mismatch",
               "%s: there is no image that a stride and padding like "
               "this would lead to %s from",
               b->name, size_text(&w, w.in));
    return val_error();
  }
  return like_x(&w, conv(&w, "in", &f, size));
}

// ---- pooling -----------------------------------------------------------------------------------

// x, window, stride, padding
Val image_max_pool(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)want;
  Windows w;
  Padding padding;
  if (!take_images(&w, e, b, &arg[0], span) || !per_axis(&w, &arg[1], "window", w.window) ||
      !per_axis(&w, given(&arg[2]) ? &arg[2] : &arg[1], "stride", w.stride) ||
      !padding_of(&w, &arg[3], &padding))
    return val_error();
  w.dilation[0] = w.dilation[1] = 1;
  if (padding != PAD_NUMBERS)
    pad_by_word(&w, padding);
  if (!fits(&w, "window"))
    return val_error();
  Arena *arena = e->m->arena;
  Attr attr[] = {attr_dims(arena, w.window, 2), attr_dims(arena, w.stride, 2),
                 attr_dims(arena, w.low, 2), attr_dims(arena, w.high, 2)};
  Value *x = images(&w);
  Type result;
  const char *wrong = ir_check(e->m, OP_pool_max, &x, 1, attr, 4, &result);
  if (wrong) {
    elab_error(e, span, "shape-mismatch", "%s: %s", b->name, wrong);
    return val_error();
  }
  return like_x(&w, ir_inst(building(e), OP_pool_max, &x, 1, attr, 4)->result[0]);
}
