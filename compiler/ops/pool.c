// Pooling: the greatest of each window. Its gradient goes by the place in the window where it was
// found; pool_gather and pool_scatter, which read and write by such places, are each other's
// transposes. (The mean of a window is a conv.)
#include "ops/conv.h"
#include "ops/batching.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

enum { A_WINDOW, A_STRIDES, A_LOW, A_HIGH, A_SIZE, N_POOL_ATTRS };
enum { MOST_BYTES = 256 }; // a window of no more places is numbered in bytes

// ---- shapes ------------------------------------------------------------------------------------

// in: the height and width of the images that the windows are laid on.
static PoolShape measure(const Type *type, const Dim *in, const Attr *attr) {
  PoolShape s = {.images = type->dim[0], .channels = type->dim[3]};
  for (uint32_t i = 0; i < 2; i++) {
    s.in[i] = in[i];
    s.window[i] = attr[A_WINDOW].dims[i];
    s.stride[i] = attr[A_STRIDES].dims[i];
    s.low[i] = attr[A_LOW].dims[i];
    s.out[i] = window_places(in[i], s.low[i], attr[A_HIGH].dims[i], s.window[i], s.stride[i]);
  }
  return s;
}

static const Dim *image_size(const Type *x, const Attr *attr) {
  return attr[A_SIZE].n ? attr[A_SIZE].dims : x->dim + 1;
}

PoolShape pool_shape(const Inst *inst) {
  const Type *x = &inst->arg[0]->type;
  return measure(x, image_size(x, inst->attr), inst->attr);
}

static const char *check_windows(Module *m, const PoolShape *s) {
  for (uint32_t i = 0; i < 2; i++) {
    if (!s->out[i])
      return words(m, "the window, %lld x %lld, is larger than the image, %lld x %lld",
                   (long long)s->window[0], (long long)s->window[1], (long long)s->in[0],
                   (long long)s->in[1]);
    if (s->low[i] >= s->window[i] || (s->out[i] - 1) * s->stride[i] - s->low[i] >= s->in[i])
      return "the padding is as large as the window: there is nothing in it";
  }
  return NULL;
}

static const char *check_pool(Module *m, Value *x, const Attr *attr, PoolShape *s) {
  const char *wrong;
  const Type *type = &x->type;
  if (type->rank != 4 || type->dim[1] < 1 || type->dim[2] < 1)
    return words(m, "%s are no images [N, H, W, C]", type_text(m->arena, type));
  if ((wrong = expect_float(m, x)) ||
      (wrong = expect_numbers(m, &attr[A_WINDOW], "the window", 1)) ||
      (wrong = expect_numbers(m, &attr[A_STRIDES], "the stride", 1)) ||
      (wrong = expect_numbers(m, &attr[A_LOW], "the padding", 0)) ||
      (wrong = expect_numbers(m, &attr[A_HIGH], "the padding", 0)))
    return wrong;
  if (attr[A_SIZE].n && (wrong = expect_numbers(m, &attr[A_SIZE], "size", 1)))
    return wrong;
  *s = measure(type, image_size(type, attr), attr);
  return check_windows(m, s);
}

static Type images_of(const PoolShape *s, const Dim *size, ElemType elem) {
  Type type = type_scalar(elem);
  type.rank = 4;
  type.dim[0] = s->images;
  type.dim[1] = size[0];
  type.dim[2] = size[1];
  type.dim[3] = s->channels;
  return type;
}

static const char *expect_places(Module *m, Value *places, const PoolShape *s) {
  Type wanted = images_of(s, s->out, TY_I32);
  if (!type_same_shape(&places->type, &wanted))
    return words(m, "there are places for %s, not for %s", type_text(m->arena, &places->type),
                 type_text(m->arena, &wanted));
  if (places->type.elem != TY_I32 && places->type.elem != TY_U8)
    return words(m, "places are numbered by i32 or u8, not by %s",
                 type_text(m->arena, &places->type));
  return NULL;
}

// ---- walks -------------------------------------------------------------------------------------

typedef struct {
  PoolShape s;
  int64_t window;               // flat number of the window's element in [images, out, channels]
  int64_t image, channel, h, w; // of its first place
} Window;

static Window window_at(const PoolShape *s, int64_t flat) {
  Type space = images_of(s, s->out, TY_F32);
  int64_t at[MAX_RANK];
  position_of(&space, flat, at);
  return (Window){
      *s, flat, at[0], at[3], at[1] * s->stride[0] - s->low[0], at[2] * s->stride[1] - s->low[1]};
}

// The element of the images at a place of a window, or -1: it is padding or no place at all.
static int64_t element_at(const Window *w, int64_t place) {
  const PoolShape *s = &w->s;
  int64_t h = w->h + place / s->window[1], x = w->w + place % s->window[1];
  if (place < 0 || place >= s->window[0] * s->window[1] || h < 0 || h >= s->in[0] || x < 0 ||
      x >= s->in[1])
    return -1;
  return ((w->image * s->in[0] + h) * s->in[1] + x) * s->channels + w->channel;
}

// The first of the greatest; NaN is greater than anything.
static int64_t greatest_place(const Window *w, const double *x) {
  int64_t best = -1;
  double most = 0;
  for (int64_t i = 0; i < w->s.window[0] * w->s.window[1]; i++) {
    int64_t k = element_at(w, i);
    if (k >= 0 && (best < 0 || x[k] > most || (isnan(x[k]) && !isnan(most)))) {
      best = i;
      most = x[k];
    }
  }
  return best;
}

// The shape with the number of images that there are.
static PoolShape concrete(const Inst *inst, const Tensor *x) {
  return measure(&x->type, image_size(&x->type, inst->attr), inst->attr);
}

// ---- pool_max: dx = pool_scatter(dy, pool_argmax(x)) -------------------------------------------

static const char *type_pool_max(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                 Type *result) {
  (void)n;
  PoolShape s;
  const char *wrong = check_pool(m, arg[0], attr, &s);
  if (wrong)
    return wrong;
  *result = images_of(&s, s.out, arg[0]->type.elem);
  result->batched = arg[0]->type.batched;
  return NULL;
}

static void grad_pool_max(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Attr attr[N_POOL_ATTRS];
  memcpy(attr, inst->attr, sizeof *attr * A_SIZE);
  Value *args[] = {dres[0], ir_inst(b, OP_pool_argmax, inst->arg, 1, attr, A_SIZE)->result[0]};
  attr[A_SIZE] = attr_dims(b->m->arena, inst->arg[0]->type.dim + 1, 2);
  grad_add(sink, b, inst, 0, ir_inst(b, OP_pool_scatter, args, 2, attr, N_POOL_ATTRS)->result[0]);
}

static void eval_pool_max(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  PoolShape s = concrete(inst, arg[0]);
  for (int64_t i = 0; i < result[0]->count; i++) {
    Window w = window_at(&s, i);
    result[0]->at[i] = arg[0]->at[element_at(&w, greatest_place(&w, arg[0]->at))];
  }
}

// A convolution, maybe with a bias.
static bool is_convolution(const Value *v, bool *biased) {
  const Inst *def = v->def;
  *biased = def && def->op == OP_add && def->arg[1]->def && def->arg[1]->def->op == OP_broadcast;
  if (*biased) {
    const Attr *axes = inst_attr(def->arg[1]->def, "axes");
    *biased = axes->n == 1 && axes->dims[0] == 3;
    def = def->arg[0]->def;
  }
  return def && def->op == OP_conv;
}

// The greatest of what a bias and relu make is made of the greatest: they don't change an order.
// Fewer elements go through them, forward and back. (Of convolutions only: there no infinite
// derivative waits for relu's mask.)
static Value *fold_pool_max(Builder *b, Inst *inst) {
  bool biased;
  Inst *def = inst->arg[0]->def;
  bool relu = def && def->op == OP_relu && is_convolution(def->arg[0], &biased);
  if (!relu && !(is_convolution(inst->arg[0], &biased) && biased))
    return NULL;
  Value *most = ir_inst(b, OP_pool_max, def->arg, 1, inst->attr, inst->n_attrs)->result[0];
  if (relu)
    return ir_unary(b, OP_relu, most);
  Value *bias = ir_broadcast(b, def->arg[1]->def->arg[0], (uint32_t[]){3}, most->type);
  return ir_binary(b, OP_add, most, bias);
}

static double flops_pool(const Inst *inst, int64_t n) {
  PoolShape s = pool_shape(inst);
  Type type = images_of(&s, s.out, TY_F32);
  Dim count = type_count(&type);
  return (double)(count < 0 ? -count * n : count) * (double)(s.window[0] * s.window[1]);
}

#define POOL_EXAMPLES                                                                              \
  "f32[1, 4, 6, 2]; window=[2, 2] strides=[2, 2] low=[0, 0] high=[0, 0] | "                        \
  "f32[2, 5, 7, 1]; window=[3, 2] strides=[2, 3] low=[1, 0] high=[1, 1] | "                        \
  "f32[1, 5, 3, 3]; window=[3, 3] strides=[1, 1] low=[1, 1] high=[1, 1]"

OP(pool_max){
    .name = "pool_max",
    .doc = "The greatest element of each window of images [N, H, W, C], for each channel. NaN if "
           "there is one. Padding is not looked at.",
    .sig = "x; window: dims, strides: dims, low: dims, high: dims, size: dims = []",
    .math = "dx = pool_scatter(dy, pool_argmax(x))",
    .kind = K_WINDOW,
    .example = POOL_EXAMPLES,
    .type_fn = type_pool_max,
    .grad = grad_pool_max,
    .fold = fold_pool_max,
    .batch = batch_images,
    .eval = eval_pool_max,
    .kernel = "pool",
    .flops = flops_pool,
};

// ---- pool_argmax: whole numbers, no gradient ---------------------------------------------------

static const char *type_pool_argmax(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                    Type *result) {
  const char *wrong = type_pool_max(m, arg, n, attr, result);
  if (wrong)
    return wrong;
  result->range = attr[A_WINDOW].dims[0] * attr[A_WINDOW].dims[1];
  result->elem = result->range <= MOST_BYTES ? TY_U8 : TY_I32;
  return NULL;
}

static void eval_pool_argmax(const Inst *inst, int64_t n, const Tensor *const *arg,
                             Tensor **result) {
  (void)n;
  PoolShape s = concrete(inst, arg[0]);
  for (int64_t i = 0; i < result[0]->count; i++) {
    Window w = window_at(&s, i);
    result[0]->at[i] = (double)greatest_place(&w, arg[0]->at);
  }
}

OP(pool_argmax){
    .name = "pool_argmax",
    .doc = "Where in its window the element is that pool_max gives: its number, row by row. Of "
           "equals the first.",
    .sig = "x; window: dims, strides: dims, low: dims, high: dims, size: dims = []",
    .math = "dx = 0",
    .kind = K_WINDOW,
    .flags = OPF_ZERO_GRAD,
    .example = POOL_EXAMPLES,
    .type_fn = type_pool_argmax,
    .batch = batch_images,
    .eval = eval_pool_argmax,
    .kernel = "pool",
    .flops = flops_pool,
};

// ---- pool_gather: dx = pool_scatter(dy, places) ------------------------------------------------

static const char *type_pool_gather(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                    Type *result) {
  PoolShape s;
  const char *wrong = check_pool(m, arg[0], attr, &s);
  if (wrong || (wrong = expect_places(m, arg[1], &s)))
    return wrong;
  *result = images_of(&s, s.out, arg[0]->type.elem);
  result->batched = any_batched(arg, n);
  return NULL;
}

static void grad_pool_gather(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  if (!grad_wanted(sink, inst, 0))
    return;
  Attr attr[N_POOL_ATTRS];
  memcpy(attr, inst->attr, sizeof attr);
  attr[A_SIZE] = attr_dims(b->m->arena, inst->arg[0]->type.dim + 1, 2);
  Value *args[] = {dres[0], inst->arg[1]};
  grad_add(sink, b, inst, 0, ir_inst(b, OP_pool_scatter, args, 2, attr, N_POOL_ATTRS)->result[0]);
}

static void eval_pool_gather(const Inst *inst, int64_t n, const Tensor *const *arg,
                             Tensor **result) {
  (void)n;
  PoolShape s = concrete(inst, arg[0]);
  for (int64_t i = 0; i < result[0]->count; i++) {
    Window w = window_at(&s, i);
    int64_t from = element_at(&w, (int64_t)arg[1]->at[i]);
    result[0]->at[i] = from < 0 ? 0 : arg[0]->at[from];
  }
}

OP(pool_gather){
    .name = "pool_gather",
    .doc = "From each window of images the element at its place; 0 from padding.",
    .sig = "x, places; window: dims, strides: dims, low: dims, high: dims, size: dims = []",
    .math = "dx = pool_scatter(dy, places)",
    .kind = K_WINDOW,
    .example = "f32[1, 4, 6, 2], u8[1, 2, 3, 2]<4>; window=[2, 2] strides=[2, 2] low=[0, 0] "
               "high=[0, 0] | f32[2, 5, 3, 1], i32[2, 3, 3, 1]<9>; window=[3, 3] strides=[2, 1] "
               "low=[1, 1] high=[1, 1]",
    .type_fn = type_pool_gather,
    .grad = grad_pool_gather,
    .batch = batch_images,
    .eval = eval_pool_gather,
    .kernel = "pool",
};

// ---- pool_scatter: dy = pool_gather(dx, places) ------------------------------------------------

static const char *type_pool_scatter(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                     Type *result) {
  PoolShape s;
  const char *wrong = check_pool(m, arg[0], attr, &s);
  if (!wrong)
    wrong = expect_numbers(m, &attr[A_SIZE], "size", 1);
  if (wrong || (wrong = expect_places(m, arg[1], &s)))
    return wrong;
  if (!type_same_shape(&arg[0]->type, &arg[1]->type))
    return words(m, "%s and its places, %s, differ in shape", type_text(m->arena, &arg[0]->type),
                 type_text(m->arena, &arg[1]->type));
  *result = images_of(&s, s.in, arg[0]->type.elem);
  result->batched = any_batched(arg, n);
  return NULL;
}

static void grad_pool_scatter(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *args[] = {dres[0], inst->arg[1]};
  if (grad_wanted(sink, inst, 0))
    grad_add(sink, b, inst, 0, ir_inst(b, OP_pool_gather, args, 2, inst->attr, A_SIZE)->result[0]);
}

static void eval_pool_scatter(const Inst *inst, int64_t n, const Tensor *const *arg,
                              Tensor **result) {
  (void)n;
  PoolShape s = concrete(inst, arg[0]);
  memset(result[0]->at, 0, sizeof(double) * (size_t)result[0]->count);
  for (int64_t i = 0; i < arg[0]->count; i++) {
    Window w = window_at(&s, i);
    int64_t to = element_at(&w, (int64_t)arg[1]->at[i]);
    if (to >= 0)
      result[0]->at[to] += arg[0]->at[i];
  }
}

OP(pool_scatter){
    .name = "pool_scatter",
    .doc = "Images of height and width `size`, zero but for the elements of x, each added at its "
           "place in its window.",
    .sig = "x, places; window: dims, strides: dims, low: dims, high: dims, size: dims = []",
    .math = "dx = pool_gather(dy, places)",
    .kind = K_WINDOW,
    .example = "f32[1, 2, 3, 2], u8[1, 2, 3, 2]<4>; window=[2, 2] strides=[2, 2] low=[0, 0] "
               "high=[0, 0] size=[4, 6] | f32[2, 3, 3, 1], i32[2, 3, 3, 1]<9>; window=[3, 3] "
               "strides=[2, 1] low=[1, 1] high=[1, 1] size=[5, 3]",
    .type_fn = type_pool_scatter,
    .grad = grad_pool_scatter,
    .batch = batch_images,
    .eval = eval_pool_scatter,
    .kernel = "pool",
};
