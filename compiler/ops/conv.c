// Convolution: one operation of three tensors, image, filter and result. Any of them can be made of
// the other two, so that its gradients are itself again, at every order.
#include "ops/conv.h"
#include "ops/batching.h"
#include "ops/rules.h"

#include <string.h>

enum { A_WRT, A_STRIDES, A_DILATION, A_LOW, A_HIGH, A_GROUPS, A_SIZE, A_PARTS, N_CONV_ATTRS };

static const char *const role_name[] = {"out", "in", "filter"};
// The arguments, by what is made.
static const ConvRole argument_role[][2] = {
    [CONV_OUT] = {CONV_IN, CONV_FILTER},
    [CONV_IN] = {CONV_OUT, CONV_FILTER},
    [CONV_FILTER] = {CONV_IN, CONV_OUT},
};

// ---- shapes ------------------------------------------------------------------------------------

const char *expect_numbers(Module *m, const Attr *attr, const char *name, Dim least) {
  if (attr->n != 2)
    return words(m, "%s takes two numbers, for height and width", name);
  for (uint32_t i = 0; i < 2; i++)
    if (attr->dims[i] < least)
      return words(m, "%s can't be %lld", name, (long long)attr->dims[i]);
  return NULL;
}

Dim window_places(Dim in, Dim low, Dim high, Dim extent, Dim stride) {
  Dim padded = in + low + high;
  return extent > padded ? 0 : (padded - extent) / stride + 1;
}

static Dim extent_of(const ConvShape *s, uint32_t axis) {
  return s->dilation[axis] * (s->filter[axis] - 1) + 1;
}

static bool role_named(const char *name, ConvRole *role) {
  for (uint32_t i = 0; i < 3; i++)
    if (strcmp(role_name[i], name) == 0) {
      *role = (ConvRole)i;
      return true;
    }
  return false;
}

// What can be read off the arguments and attributes, unchecked. groups: of concrete tensors, where
// N is known.
static ConvShape measure(const Type *x, const Type *y, const Attr *attr, Dim groups) {
  ConvShape s = {.groups = groups, .parts = attr[A_PARTS].i};
  const Type *type[3] = {NULL, NULL, NULL};
  role_named(attr[A_WRT].s, &s.wrt);
  type[argument_role[s.wrt][0]] = x;
  type[argument_role[s.wrt][1]] = y;
  const Type *in = type[CONV_IN], *filter = type[CONV_FILTER], *out = type[CONV_OUT];
  s.images = x->dim[0];
  s.channels = in ? in->dim[3] : filter->dim[2] * groups;
  s.depth = filter ? filter->dim[2] : s.channels / groups;
  s.features = out ? out->dim[3] : filter->dim[3];
  for (uint32_t i = 0; i < 2; i++) {
    s.stride[i] = attr[A_STRIDES].dims[i];
    s.dilation[i] = attr[A_DILATION].dims[i];
    s.low[i] = attr[A_LOW].dims[i];
    s.high[i] = attr[A_HIGH].dims[i];
    s.in[i] = in ? in->dim[1 + i] : attr[A_SIZE].dims[i];
    s.filter[i] = filter ? filter->dim[i] : attr[A_SIZE].dims[i];
    s.out[i] = window_places(s.in[i], s.low[i], s.high[i], extent_of(&s, i), s.stride[i]);
  }
  return s;
}

ConvShape conv_shape(const Inst *inst) {
  return measure(&inst->arg[0]->type, &inst->arg[1]->type, inst->attr, inst->attr[A_GROUPS].i);
}

static bool direct_shape(const Inst *inst, NnrtDirect *shape) {
  if (inst->op != OP_conv || inst->result[0]->type.elem != TY_F32)
    return false;
  ConvShape s = conv_shape(inst);
  *shape = (NnrtDirect){.H = s.in[0],
                        .W = s.in[1],
                        .C = s.channels,
                        .OH = s.out[0],
                        .OW = s.out[1],
                        .F = s.features,
                        .KH = s.filter[0],
                        .KW = s.filter[1],
                        .groups = s.groups,
                        .stride_h = s.stride[0],
                        .stride_w = s.stride[1],
                        .dilation_h = s.dilation[0],
                        .dilation_w = s.dilation[1],
                        .pad_top = s.low[0],
                        .pad_left = s.low[1]};
  if (s.groups <= 0 || s.channels <= 0 || s.features <= 0 || nnrt_direct_depthwise(shape))
    return false;
  for (int i = 0; i < 2; i++)
    if (s.in[i] <= 0 || s.out[i] <= 0 || s.filter[i] <= 0)
      return false;
  return true;
}

static NnrtDirectOf direct_of(const Inst *inst) {
  ConvRole wrt = conv_shape(inst).wrt;
  return wrt == CONV_OUT ? NNRT_DIRECT_OUT : wrt == CONV_IN ? NNRT_DIRECT_IN : NNRT_DIRECT_FILTER;
}

// The tile has as many parts as it should.
static bool direct(const Inst *inst, NnrtDirect *shape, NnrtDirectTile *tile) {
  if (!direct_shape(inst, shape))
    return false;
  *tile = nnrt_direct_tile(shape, direct_of(inst));
  return true;
}

bool conv_direct(const Inst *inst, NnrtDirect *shape, NnrtDirectTile *tile) {
  if (!direct(inst, shape, tile))
    return false;
  if (!tile->per_image) {
    tile->blocks = tile->blocks / tile->parts * inst->attr[A_PARTS].i;
    tile->parts = inst->attr[A_PARTS].i;
  }
  return true;
}

bool conv_winograd(const Inst *inst, bool few, NnrtDirect *shape) {
  return direct_shape(inst, shape) && inst->attr[A_PARTS].i == 1 &&
         nnrt_winograd_pays(shape, direct_of(inst), few);
}

Dim conv_parts(const Inst *inst) {
  NnrtDirect shape;
  NnrtDirectTile tile;
  return direct(inst, &shape, &tile) && !tile.per_image ? tile.parts : 1;
}

static const char *check_conv_attributes(Module *m, const Attr *attr) {
  const char *wrong;
  ConvRole wrt;
  if (!role_named(attr[A_WRT].s, &wrt))
    return words(m, "there is no wrt=\"%s\"", attr[A_WRT].s);
  if ((wrong = expect_numbers(m, &attr[A_STRIDES], "the stride", 1)) ||
      (wrong = expect_numbers(m, &attr[A_DILATION], "the dilation", 1)) ||
      (wrong = expect_numbers(m, &attr[A_LOW], "the padding", 0)) ||
      (wrong = expect_numbers(m, &attr[A_HIGH], "the padding", 0)))
    return wrong;
  if (attr[A_GROUPS].i == 0)
    return "there can't be 0 groups";
  if (attr[A_PARTS].i < 1 || (attr[A_PARTS].i > 1 && wrt != CONV_FILTER))
    return words(m, "there can't be %lld parts", (long long)attr[A_PARTS].i);
  return wrt == CONV_OUT ? NULL : expect_numbers(m, &attr[A_SIZE], "size", 1);
}

static const char *check_tensors(Module *m, Value *const *arg) {
  const char *wrong;
  for (uint32_t i = 0; i < 2; i++) {
    const Type *type = &arg[i]->type;
    if ((wrong = expect_float(m, arg[i])))
      return wrong;
    if (type->rank != 4)
      return words(m, "%s has %u axes, not 4", type_text(m->arena, type), type->rank);
    if (type->dim[1] < 1 || type->dim[2] < 0)
      return words(m, "%s has no rows of pixels", type_text(m->arena, type));
  }
  return arg[0]->type.elem == arg[1]->type.elem ? NULL : "the element types differ";
}

static bool divides(Dim groups, Dim of) {
  return (groups < 0) == (of < 0) && of % groups == 0;
}

static const char *check_groups(Module *m, const ConvShape *s) {
  if (!divides(s->groups, s->features))
    return words(m, "%s features are not %s equal groups", dim_text(m->arena, s->features),
                 dim_text(m->arena, s->groups));
  if (!divides(s->groups, s->channels))
    return words(m, "%s channels are not %s equal groups", dim_text(m->arena, s->channels),
                 dim_text(m->arena, s->groups));
  if (s->depth * s->groups != s->channels)
    return words(m, "the image has %s channels, the filter takes %s",
                 dim_text(m->arena, s->channels), dim_text(m->arena, s->depth * s->groups));
  return NULL;
}

static Type made_type(const ConvShape *s, ElemType elem) {
  Dim dims[][4] = {
      [CONV_OUT] = {s->images, s->out[0], s->out[1], s->features},
      [CONV_IN] = {s->images, s->in[0], s->in[1], s->channels},
      [CONV_FILTER] = {s->parts * s->filter[0], s->filter[1], s->depth, s->features},
  };
  Type type = type_scalar(elem);
  type.rank = 4;
  memcpy(type.dim, dims[s->wrt], sizeof dims[0]);
  return type;
}

static const char *type_conv(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  const char *wrong = check_conv_attributes(m, attr);
  if (wrong || (wrong = check_tensors(m, arg)))
    return wrong;
  ConvShape s = measure(&arg[0]->type, &arg[1]->type, attr, attr[A_GROUPS].i);
  if ((wrong = check_groups(m, &s)))
    return wrong;
  if (!s.out[0] || !s.out[1])
    return words(m, "the filter, %lld x %lld, is larger than the image, %lld x %lld",
                 (long long)extent_of(&s, 0), (long long)extent_of(&s, 1), (long long)s.in[0],
                 (long long)s.in[1]);
  const Type *out = s.wrt == CONV_OUT ? NULL : &arg[s.wrt == CONV_FILTER]->type;
  if (out && (out->dim[0] != s.images || out->dim[1] != s.out[0] || out->dim[2] != s.out[1] ||
              out->dim[3] != s.features))
    return words(m, "the result of this convolution is not %s", type_text(m->arena, out));
  *result = made_type(&s, arg[0]->type.elem);
  result->batched = any_batched(arg, n);
  uint32_t symbolic = 0;
  for (uint32_t i = 0; i < 4; i++)
    symbolic += result->dim[i] < 0;
  return symbolic > 1 ? "the dimension N would occur twice in the result" : NULL;
}

// ---- gradients, values -------------------------------------------------------------------------

// The tensor `wrt` of the convolution that inst belongs to, made of the other two.
static Value *conv_like(Builder *b, const Inst *inst, ConvRole wrt, Value *const *tensor) {
  ConvShape s = conv_shape(inst);
  Attr attr[N_CONV_ATTRS];
  memcpy(attr, inst->attr, sizeof attr);
  attr[A_WRT] = attr_str(intern(b->m->s, role_name[wrt]));
  const Dim *size = wrt == CONV_IN ? s.in : s.filter;
  attr[A_SIZE] = attr_dims(b->m->arena, size, wrt == CONV_OUT ? 0 : 2);
  Value *args[] = {tensor[argument_role[wrt][0]], tensor[argument_role[wrt][1]]};
  return ir_inst(b, OP_conv, args, 2, attr, N_CONV_ATTRS)->result[0];
}

static void grad_conv(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  ConvRole wrt = conv_shape(inst).wrt;
  if (inst->attr[A_PARTS].i != 1)
    ice("grad: conv in parts, as layout makes it");
  Value *tensor[3];
  tensor[wrt] = dres[0];
  for (uint32_t i = 0; i < 2; i++)
    tensor[argument_role[wrt][i]] = inst->arg[i];
  for (uint32_t i = 0; i < 2; i++)
    if (grad_wanted(sink, inst, i))
      grad_add(sink, b, inst, i, conv_like(b, inst, argument_role[wrt][i], tensor));
}

// The pixels that a filter of one pixel sees: x where it steps over none.
static Value *pixels_seen(Builder *b, Value *x, const ConvShape *s) {
  if (s->stride[0] == 1 && s->stride[1] == 1)
    return x;
  const Dim start[4] = {0}, stride[] = {1, s->stride[0], s->stride[1], 1};
  const Dim limit[] = {s->images, (s->out[0] - 1) * stride[1] + 1, (s->out[1] - 1) * stride[2] + 1,
                       s->channels};
  return slice_of(b, x, start, limit, stride);
}

// A filter of one pixel is a product over the channels.
static Value *fold_conv(Builder *b, Inst *inst) {
  ConvShape s = conv_shape(inst);
  for (uint32_t i = 0; i < 2; i++)
    if (s.filter[i] != 1 || s.low[i] || s.high[i])
      return NULL;
  if (s.groups != 1 || s.parts != 1)
    return NULL;
  Value *x = inst->arg[0], *y = inst->arg[1];
  if (s.wrt != CONV_IN)
    x = pixels_seen(b, x, &s);
  const Type *type = &inst->result[0]->type;
  const Dim matrix[] = {s.channels, s.features};
  const uint32_t first = 0, second = 1, last = 3, pixels[] = {0, 1, 2};
  if (s.wrt == CONV_FILTER)
    return ir_reshape(b, ir_dot(b, x, y, pixels, pixels, 3, 0), type->dim, 4);
  y = ir_reshape(b, y, matrix, 2);
  if (s.wrt == CONV_OUT)
    return ir_dot(b, x, y, &last, &first, 1, 0);
  const Dim start[4] = {0}, stride[] = {1, s.stride[0], s.stride[1], 1};
  return slice_back(b, ir_dot(b, x, y, &last, &second, 1, 0), start, stride, type);
}

typedef struct {
  ConvShape s;
  double *tensor[3];
} ConvEval;

// One pixel of the result and one of the filter: all products of channels and features.
static void add_products(const ConvEval *e, int64_t out, int64_t in, int64_t filter) {
  const ConvShape *s = &e->s;
  int64_t each = s->features / s->groups;
  for (int64_t f = 0; f < s->features; f++)
    for (int64_t c = 0; c < s->depth; c++) {
      double *at[] = {
          [CONV_OUT] = &e->tensor[CONV_OUT][out * s->features + f],
          [CONV_IN] = &e->tensor[CONV_IN][in * s->channels + f / each * s->depth + c],
          [CONV_FILTER] = &e->tensor[CONV_FILTER][(filter * s->depth + c) * s->features + f],
      };
      *at[s->wrt] += *at[argument_role[s->wrt][0]] * *at[argument_role[s->wrt][1]];
    }
}

static void eval_conv(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  Dim groups = inst->attr[A_GROUPS].i;
  ConvEval e = {
      measure(&arg[0]->type, &arg[1]->type, inst->attr, groups < 0 ? -groups * n : groups), {0}};
  const ConvShape *s = &e.s;
  e.tensor[s->wrt] = result[0]->at;
  for (uint32_t i = 0; i < 2; i++)
    e.tensor[argument_role[s->wrt][i]] = arg[i]->at;
  memset(result[0]->at, 0, sizeof(double) * (size_t)result[0]->count);
  Type space = {.rank = 5, .dim = {s->images, s->out[0], s->out[1], s->filter[0], s->filter[1]}};
  int64_t count = type_count(&space), at[MAX_RANK];
  for (int64_t i = 0; i < count; i++) {
    position_of(&space, i, at);
    int64_t h = at[1] * s->stride[0] + at[3] * s->dilation[0] - s->low[0];
    int64_t w = at[2] * s->stride[1] + at[4] * s->dilation[1] - s->low[1];
    int64_t part = ((at[0] + 1) * s->parts - 1) / s->images;
    if (h >= 0 && h < s->in[0] && w >= 0 && w < s->in[1])
      add_products(&e, (at[0] * s->out[0] + at[1]) * s->out[1] + at[2],
                   (at[0] * s->in[0] + h) * s->in[1] + w,
                   (part * s->filter[0] + at[3]) * s->filter[1] + at[4]);
  }
}

static double flops_conv(const Inst *inst, int64_t n) {
  ConvShape s = conv_shape(inst);
  Dim factor[] = {s.images, s.out[0], s.out[1], s.features, s.filter[0], s.filter[1], s.depth};
  double flops = 2;
  for (size_t i = 0; i < sizeof factor / sizeof *factor; i++)
    flops *= (double)(factor[i] < 0 ? -factor[i] * n : factor[i]);
  return flops;
}

OP(conv){
    .name = "conv",
    .doc =
        "Convolution of images [N, H, W, C] with a filter [KH, KW, C / groups, F]: y[n, h, w, f] "
        "= sum over i, j, c of x[n, h*sh + i*dh - lh, w*sw + j*dw - lw, c] * filter[i, j, c, f], "
        "zeros outside; features of a group see its channels. wrt=\"in\" and \"filter\" make one "
        "of the other two tensors, where `size` is its height and width, of the result (in its "
        "place) and the one left: the transposes. groups -k: k*N of them. A filter in parts: so "
        "many, one above the other, each summed over a share of the pixels.",
    .sig =
        "x, y; wrt: str, strides: dims, dilation: dims, low: dims, high: dims, groups: int, size: "
        "dims = [], parts: int = 1",
    .math = "the gradient of each tensor is conv of the other two with wrt = that tensor",
    .kind = K_WINDOW,
    .example =
        "f32[1, 5, 4, 2], f32[3, 2, 2, 3]; wrt=\"out\" strides=[1, 1] dilation=[1, 1] low=[0, 0] "
        "high=[0, 0] groups=1 | "
        "f32[2, 5, 7, 1], f32[3, 3, 1, 2]; wrt=\"out\" strides=[2, 3] dilation=[1, 1] low=[1, 1] "
        "high=[1, 0] groups=1 | "
        "f32[1, 7, 6, 4], f32[2, 3, 2, 2]; wrt=\"out\" strides=[3, 1] dilation=[2, 2] low=[0, 2] "
        "high=[1, 2] groups=2 | "
        "f32[1, 4, 5, 3], f32[3, 3, 1, 3]; wrt=\"out\" strides=[1, 2] dilation=[1, 1] low=[1, 1] "
        "high=[1, 1] groups=3 | "
        "f32[2, 3, 3, 2], f32[1, 1, 2, 4]; wrt=\"out\" strides=[1, 1] dilation=[1, 1] low=[0, 0] "
        "high=[0, 0] groups=1 | "
        "f32[1, 3, 2, 2], f32[3, 2, 3, 2]; wrt=\"in\" strides=[2, 1] dilation=[1, 2] low=[1, 1] "
        "high=[1, 1] groups=1 size=[5, 2] | "
        "f32[2, 2, 3, 1], f32[1, 1, 2, 1]; wrt=\"in\" strides=[1, 1] dilation=[1, 1] low=[0, 0] "
        "high=[0, 0] groups=1 size=[2, 3] | "
        "f32[2, 4, 5, 2], f32[2, 2, 2, 4]; wrt=\"filter\" strides=[2, 2] dilation=[1, 1] low=[0, "
        "0] "
        "high=[0, 0] groups=2 size=[2, 3] | "
        "f32[2, 2, 2, 3], f32[2, 2, 2, 2]; wrt=\"filter\" strides=[1, 1] dilation=[1, 1] low=[0, "
        "0] "
        "high=[0, 0] groups=1 size=[1, 1]",
    .type_fn = type_conv,
    .grad = grad_conv,
    .fold = fold_conv,
    .batch = batch_conv,
    .eval = eval_conv,
    .kernel = "conv",
    .flops = flops_conv,
};
