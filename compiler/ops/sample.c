// Bilinear sampling of images at coordinates of their own, and its transpose: what `augment` turns,
// moves and zooms pictures with. Coordinates count pixels from 0; outside of an image its border
// goes on.
#include "ops/batching.h"
#include "ops/rules.h"

#include <math.h>
#include <string.h>

typedef struct {
  int64_t low, high; // neighbouring pixels
  double part;       // how far it is from the lower to the higher
} Coordinate;

static Coordinate coordinate(double at, int64_t size) {
  double most = (double)size - 1, c = at > 0 ? at : 0; // NaN: 0, but for the part
  c = c < most ? c : most;
  int64_t low = (int64_t)c;
  return (Coordinate){low, low + 1 < size ? low + 1 : low, isnan(at) ? at : c - (double)low};
}

// The four pixels that are mixed at point i, and their weights.
typedef struct {
  int64_t pixel[4];
  double weight[4];
} Corners;

static Corners corners_at(const Type *image, const Tensor *y, const Tensor *z, int64_t i) {
  int64_t each = y->type.dim[1] * y->type.dim[2], row = i / each * image->dim[1];
  Coordinate v = coordinate(y->at[i], image->dim[1]), u = coordinate(z->at[i], image->dim[2]);
  int64_t low = (row + v.low) * image->dim[2], high = (row + v.high) * image->dim[2];
  return (Corners){
      {low + u.low, low + u.high, high + u.low, high + u.high},
      {(1 - v.part) * (1 - u.part), (1 - v.part) * u.part, v.part * (1 - u.part), v.part * u.part}};
}

static const char *expect_points(Module *m, Value *y, Value *z, const char **wrong) {
  if (!(*wrong = expect_float(m, y)) && !(*wrong = expect_alike(m, y, z)) && y->type.rank != 3)
    *wrong = words(m, "%s are no coordinates [N, rows, columns]", type_text(m->arena, &y->type));
  return *wrong;
}

static Type images_of(const Type *points, Dim height, Dim width, Dim channels) {
  Type type = *points;
  type.rank = 4;
  type.dim[1] = height;
  type.dim[2] = width;
  type.dim[3] = channels;
  return type;
}

// ---- sample ------------------------------------------------------------------------------------

static const char *type_sample(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  (void)attr;
  const char *wrong;
  const Type *x = &arg[0]->type, *y = &arg[1]->type;
  if (expect_points(m, arg[1], arg[2], &wrong))
    return wrong;
  if (x->rank != 4 || x->elem != y->elem || x->dim[0] != y->dim[0])
    return words(m, "%s are no images [N, H, W, C] for the coordinates %s", type_text(m->arena, x),
                 type_text(m->arena, y));
  if (x->dim[1] > 1 << 15 || x->dim[2] > 1 << 15)
    return words(m, "an image of %lld x %lld pixels is too large", (long long)x->dim[1],
                 (long long)x->dim[2]);
  *result = images_of(y, y->dim[1], y->dim[2], x->dim[3]);
  result->batched = any_batched(arg, n);
  return NULL;
}

static Value *sampled(Builder *b, Value *x, Value *y, Value *z) {
  Value *args[] = {x, y, z};
  return ir_inst(b, OP_sample, args, 3, NULL, 0)->result[0];
}

// How fast x grows from one whole coordinate to the next, along y or z: 0 outside of the image.
static Value *slope(Builder *b, Inst *inst, uint32_t along) {
  Value *low[] = {inst->arg[1], inst->arg[2]}, *high[] = {inst->arg[1], inst->arg[2]};
  low[along] = ir_unary(b, OP_floor, low[along]);
  high[along] = ir_binary(b, OP_add, low[along], like_const(b, low[along], 1));
  return ir_binary(b, OP_sub, sampled(b, inst->arg[0], high[0], high[1]),
                   sampled(b, inst->arg[0], low[0], low[1]));
}

static void grad_sample(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *args[] = {inst->arg[1], inst->arg[2], dres[0]};
  Attr size = attr_dims(b->m->arena, inst->arg[0]->type.dim + 1, 2);
  Attr channels = attr_dims(b->m->arena, (Dim[]){3}, 1);
  if (grad_wanted(sink, inst, 0))
    grad_add(sink, b, inst, 0, ir_inst(b, OP_sample_add, args, 3, &size, 1)->result[0]);
  for (uint32_t i = 0; i < 2; i++) {
    if (!grad_wanted(sink, inst, 1 + i))
      continue;
    Value *each = ir_binary(b, OP_mul, dres[0], slope(b, inst, i));
    grad_add(sink, b, inst, 1 + i, ir_inst(b, OP_sum, &each, 1, &channels, 1)->result[0]);
  }
}

static void eval_sample(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)inst, (void)n;
  int64_t channels = arg[0]->type.dim[3];
  for (int64_t i = 0; i < arg[1]->count; i++) {
    Corners at = corners_at(&arg[0]->type, arg[1], arg[2], i);
    for (int64_t c = 0; c < channels; c++) {
      double sum = 0;
      for (int k = 0; k < 4; k++)
        sum += at.weight[k] * arg[0]->at[at.pixel[k] * channels + c];
      result[0]->at[i * channels + c] = sum;
    }
  }
}

static double flops_sample(const Inst *inst, int64_t n) {
  Dim count = type_count(&inst->result[0]->type);
  return 6 * (double)(count < 0 ? -count * n : count);
}

OP(sample){
    .name = "sample",
    .doc = "Pixels of images [N, H, W, C] at coordinates y and z [N, rows, columns], down and to "
           "the right, mixed bilinearly of the four around. Outside of an image its border goes "
           "on.",
    .sig = "x, y, z",
    .math = "dx = sample_add(y, z, dr); dy = sum(dr * (sample(x, floor(y) + 1, z) - sample(x, "
            "floor(y), z))) over channels, dz alike",
    .kind = K_INDEX,
    .flags = OPF_KINK,
    .example = "f32[2, 3, 4, 2], f32[2, 5, 3], f32[2, 5, 3] | f32[1, 4, 3, 1], f32[1, 2, 17], "
               "f32[1, 2, 17] | f32[1, 1, 1, 3], f32[1, 2, 2], f32[1, 2, 2]",
    .kinks = {-1, 0, 1, 2},
    .n_kinks = 4,
    .type_fn = type_sample,
    .grad = grad_sample,
    .batch = batch_images,
    .eval = eval_sample,
    .kernel = "sample",
    .flops = flops_sample,
};

// ---- sample_add --------------------------------------------------------------------------------

static const char *type_sample_add(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                   Type *result) {
  const char *wrong;
  const Type *y = &arg[0]->type, *d = &arg[2]->type;
  if (expect_points(m, arg[0], arg[1], &wrong))
    return wrong;
  Type wanted = images_of(y, y->dim[1], y->dim[2], d->rank == 4 ? d->dim[3] : 1);
  if (!type_same_shape(d, &wanted) || d->elem != y->elem)
    return words(m, "%s are no pixels for the coordinates %s", type_text(m->arena, d),
                 type_text(m->arena, y));
  if (attr[0].n != 2 || attr[0].dims[0] < 1 || attr[0].dims[1] < 1)
    return "the size of an image is a height and a width";
  if (attr[0].dims[0] > 1 << 15 || attr[0].dims[1] > 1 << 15)
    return "an image of this size is too large";
  *result = images_of(y, attr[0].dims[0], attr[0].dims[1], d->dim[3]);
  result->batched = any_batched(arg, n);
  return NULL;
}

// As of sample: d takes the place of the result's gradient, and that of this result x's.
static void grad_sample_add(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  Value *args[] = {dres[0], inst->arg[0], inst->arg[1]};
  Inst *forward = ir_inst(b, OP_sample, args, 3, NULL, 0);
  Attr channels = attr_dims(b->m->arena, (Dim[]){3}, 1);
  if (grad_wanted(sink, inst, 2))
    grad_add(sink, b, inst, 2, forward->result[0]);
  for (uint32_t i = 0; i < 2; i++) {
    if (!grad_wanted(sink, inst, i))
      continue;
    Value *each = ir_binary(b, OP_mul, inst->arg[2], slope(b, forward, i));
    grad_add(sink, b, inst, i, ir_inst(b, OP_sum, &each, 1, &channels, 1)->result[0]);
  }
}

static void eval_sample_add(const Inst *inst, int64_t n, const Tensor *const *arg,
                            Tensor **result) {
  (void)inst, (void)n;
  int64_t channels = arg[2]->type.dim[3];
  memset(result[0]->at, 0, sizeof(double) * (size_t)result[0]->count);
  for (int64_t i = 0; i < arg[0]->count; i++) {
    Corners at = corners_at(&result[0]->type, arg[0], arg[1], i);
    for (int k = 0; k < 4; k++)
      for (int64_t c = 0; c < channels; c++)
        result[0]->at[at.pixel[k] * channels + c] += at.weight[k] * arg[2]->at[i * channels + c];
  }
}

OP(sample_add){
    .name = "sample_add",
    .doc = "Images of height and width `size`, zero but for the pixels d, each shared out among "
           "the four pixels that `sample` mixes at its coordinates.",
    .sig = "y, z, d; size: dims",
    .math = "dd = sample(dr, y, z); dy and dz as sample's",
    .kind = K_INDEX,
    .flags = OPF_KINK,
    .example = "f32[2, 5, 3], f32[2, 5, 3], f32[2, 5, 3, 2]; size=[3, 4] | f32[1, 2, 17], "
               "f32[1, 2, 17], f32[1, 2, 17, 1]; size=[4, 3]",
    .kinks = {-1, 0, 1, 2},
    .n_kinks = 4,
    .type_fn = type_sample_add,
    .grad = grad_sample_add,
    .batch = batch_images,
    .eval = eval_sample_add,
    .kernel = "sample",
    .flops = flops_sample,
};
