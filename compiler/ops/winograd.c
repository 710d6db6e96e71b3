// Convolutions of 3 x 3 taps in Winograd's form F(4 x 4, 3 x 3), as pass layout makes them where
// they measure faster (runtime/include/nnrt_winograd.h): the filter in its form, the images made
// with it, and the way back for the gradient of a filter. The matrices are those of the kernels.
#include "ops/conv.h"
#include "ops/rules.h"

#include <string.h>

enum {
  TILE = NNRT_WINOGRAD_TILE,
  WINDOW = NNRT_WINOGRAD_WINDOW,
  POSITIONS = NNRT_WINOGRAD_POSITIONS,
  STRIP = NNRT_WINOGRAD_STRIP,
  TAPS = 3,
};
enum { A_LOW, A_HIGH, A_PARTS };

// ---- matrices, of the points 0, a, -a, b, -b, infinity -----------------------------------------

#define A NNRT_WINOGRAD_A
#define B NNRT_WINOGRAD_B
#define A2 (A * A)
#define B2 (B * B)
#define FILTER_A (1 / (2 * A2 * (A2 - B2)))
#define FILTER_B (1 / (2 * B2 * (B2 - A2)))

typedef double Matrix[WINDOW][WINDOW];
static const Matrix of_window = {
    // B^T
    {A2 * B2, 0, -(A2 + B2), 0, 1, 0}, {0, -A *B2, -B2, A, 1, 0}, {0, A *B2, -B2, -A, 1, 0},
    {0, -B *A2, -A2, B, 1, 0},         {0, B *A2, -A2, -B, 1, 0}, {0, A2 *B2, 0, -(A2 + B2), 0, 1},
};
static const Matrix of_tile = {
    // A, four columns
    {1},          {1, A, A2, A2 *A}, {1, -A, A2, -A2 *A}, {1, B, B2, B2 *B}, {1, -B, B2, -B2 *B},
    {0, 0, 0, 1},
};
static const Matrix of_taps = {
    // G, three columns
    {1 / (A2 * B2)},
    {FILTER_A, FILTER_A *A, FILTER_A *A2},
    {FILTER_A, -FILTER_A *A, FILTER_A *A2},
    {FILTER_B, FILTER_B *B, FILTER_B *B2},
    {FILTER_B, -FILTER_B *B, FILTER_B *B2},
    {0, 0, 1},
};

// to[rows][rows] = m from[cols][cols] m^T, or with `back` to[cols][cols] = m^T from[rows][rows] m,
// where m has WINDOW rows and n columns.
static void transform(const Matrix m, int n, bool back, const double *from, double *to) {
  int in = back ? WINDOW : n, out = back ? n : WINDOW;
  for (int i = 0; i < out; i++)
    for (int j = 0; j < out; j++) {
      double sum = 0;
      for (int p = 0; p < in; p++)
        for (int q = 0; q < in; q++)
          sum += (back ? m[p][i] * m[q][j] : m[i][p] * m[j][q]) * from[p * in + q];
      to[i * out + j] = sum;
    }
}

// ---- shapes ------------------------------------------------------------------------------------

WinogradShape winograd_shape(const Inst *inst) {
  const Type *x = &inst->arg[0]->type, *y = &inst->result[0]->type;
  bool sums = inst->op == OP_winograd_sums;
  const Type *form = sums ? y : &inst->arg[1]->type, *out = sums ? &inst->arg[1]->type : y;
  WinogradShape s = {.images = x->dim[0]};
  const Dim *low = inst->attr[A_LOW].dims;
  s.of = (NnrtDirect){.H = x->dim[1],
                      .W = x->dim[2],
                      .C = x->dim[3],
                      .OH = out->dim[1],
                      .OW = out->dim[2],
                      .F = form->dim[1] * STRIP,
                      .KH = TAPS,
                      .KW = TAPS,
                      .groups = 1,
                      .stride_h = 1,
                      .stride_w = 1,
                      .dilation_h = 1,
                      .dilation_w = 1,
                      .pad_top = low[0],
                      .pad_left = low[1]};
  return s;
}

NnrtWinogradSums winograd_sums_tile(const Inst *inst) {
  WinogradShape s = winograd_shape(inst);
  NnrtWinogradSums t = nnrt_winograd_sums(&s.of);
  t.parts = inst->attr[A_PARTS].i;
  return t;
}

bool makes_filter(const Inst *inst) {
  return inst->op == OP_winograd_form || inst->op == OP_winograd_sums ||
         inst->op == OP_winograd_taps ||
         (inst->op == OP_conv && conv_shape(inst).wrt == CONV_FILTER);
}

bool kernel_tiles(const Inst *inst, KernelTiles *t) {
  NnrtDirect conv;
  NnrtDirectTile tile;
  *t = (KernelTiles){.rows = 1, .rows_per_tile = 1, .blocks = 1};
  if (conv_direct(inst, &conv, &tile)) {
    t->rows = tile.per_image ? conv_shape(inst).images * tile.per_image : 1;
    t->blocks = tile.blocks;
    t->scratch = tile.scratch;
    return true;
  }
  if (inst->op == OP_winograd_form || inst->op == OP_winograd_taps) {
    const Dim *form = (inst->op == OP_winograd_form ? inst->result[0] : inst->arg[0])->type.dim;
    t->blocks = form[1] * nnrt_direct_pieces(form[2], NNRT_WINOGRAD_ROWS);
    t->scratch = nnrt_winograd_form_scratch();
    return true;
  }
  if (inst->op != OP_winograd && inst->op != OP_winograd_sums)
    return false;
  WinogradShape s = winograd_shape(inst);
  if (inst->op == OP_winograd) {
    t->rows = s.images * nnrt_winograd_tiles(&s.of);
    t->rows_per_tile = NNRT_WINOGRAD_GROUP;
    t->scratch = nnrt_winograd_scratch(&s.of);
    return true;
  }
  NnrtWinogradSums sums = winograd_sums_tile(inst);
  t->blocks = nnrt_winograd_sums_tiles(&s.of, &sums);
  t->scratch = nnrt_winograd_sums_scratch(&s.of, &sums);
  return true;
}

static Type of_rank_4(ElemType elem, Dim a, Dim b, Dim c, Dim d) {
  Type type = type_scalar(elem);
  type.rank = 4;
  memcpy(type.dim, (Dim[]){a, b, c, d}, sizeof(Dim[4]));
  return type;
}

// The height and width of what is made of the images: NULL, or what is wrong.
static const char *check_images(Module *m, const Value *x, const Attr *attr, Dim *out) {
  const char *wrong;
  const Type *type = &x->type;
  if (type->rank != 4 || type->elem != TY_F32 || type->dim[1] < 1 || type->dim[2] < 1 ||
      type->dim[3] < 1)
    return words(m, "%s are no images [N, H, W, C]", type_text(m->arena, type));
  if ((wrong = expect_numbers(m, &attr[A_LOW], "the padding", 0)) ||
      (wrong = expect_numbers(m, &attr[A_HIGH], "the padding", 0)))
    return wrong;
  for (uint32_t i = 0; i < 2; i++) {
    if (attr[A_LOW].dims[i] >= TAPS || attr[A_HIGH].dims[i] >= TAPS)
      return "the padding is as large as the filter";
    out[i] = window_places(type->dim[1 + i], attr[A_LOW].dims[i], attr[A_HIGH].dims[i], TAPS, 1);
    if (!out[i])
      return "the filter is larger than the image";
  }
  return NULL;
}

static const char *expect_form(Module *m, const Type *form, Dim parts) {
  return form->rank == 4 && form->elem == TY_F32 && form->dim[0] > 0 &&
                 form->dim[0] == POSITIONS * parts && form->dim[1] > 0 && form->dim[2] > 0 &&
                 form->dim[3] == STRIP
             ? NULL
             : words(m, "%s is no filter in Winograd's form", type_text(m->arena, form));
}

static const char *type_winograd(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                                 Type *result) {
  Dim out[2];
  const Type *x = &arg[0]->type, *form = &arg[1]->type;
  const char *wrong = check_images(m, arg[0], attr, out);
  if (wrong || (wrong = expect_form(m, form, 1)))
    return wrong;
  if (x->dim[3] != form->dim[2])
    return words(m, "the image has %lld channels, the filter takes %lld", (long long)x->dim[3],
                 (long long)form->dim[2]);
  *result = of_rank_4(TY_F32, x->dim[0], out[0], out[1], form->dim[1] * STRIP);
  result->batched = any_batched(arg, n);
  return NULL;
}

static const char *type_sums(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)n;
  Dim out[2];
  const Type *x = &arg[0]->type, *d = &arg[1]->type;
  const char *wrong = check_images(m, arg[0], attr, out);
  if (wrong)
    return wrong;
  if (d->rank != 4 || d->elem != TY_F32 || d->dim[0] != x->dim[0] || d->dim[1] != out[0] ||
      d->dim[2] != out[1] || d->dim[3] < 1 || d->dim[3] % STRIP != 0)
    return words(m, "the result of this convolution is not %s", type_text(m->arena, d));
  if (attr[A_PARTS].i < 1)
    return "there is at least one part";
  *result = of_rank_4(TY_F32, POSITIONS * attr[A_PARTS].i, d->dim[3] / STRIP, x->dim[3], STRIP);
  return NULL;
}

static const char *type_form(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)n;
  const Type *x = &arg[0]->type;
  Dim columns = attr[0].i ? x->dim[2] : x->dim[3], rows = attr[0].i ? x->dim[3] : x->dim[2];
  if (x->rank != 4 || x->elem != TY_F32 || x->dim[0] != TAPS || x->dim[1] != TAPS || rows < 1 ||
      columns < 1 || columns % STRIP != 0)
    return words(m, "%s is no filter of 3 x 3 taps and a multiple of %d columns",
                 type_text(m->arena, x), STRIP);
  *result = of_rank_4(TY_F32, POSITIONS, columns / STRIP, rows, STRIP);
  return NULL;
}

static const char *type_taps(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                             Type *result) {
  (void)n, (void)attr;
  const Type *form = &arg[0]->type;
  const char *wrong = expect_form(m, form, form->dim[0] / POSITIONS);
  if (wrong)
    return wrong;
  *result = of_rank_4(TY_F32, TAPS, TAPS, form->dim[2], form->dim[1] * STRIP);
  return NULL;
}

// ---- values ------------------------------------------------------------------------------------

// Element of a form with C rows and F columns.
static int64_t form_at(int64_t position, int64_t c, int64_t f, int64_t C, int64_t F) {
  return ((position * (F / STRIP) + f / STRIP) * C + c) * STRIP + f % STRIP;
}

// A square of one channel of the images, zeros outside.
static void square(const Tensor *x, int64_t image, int64_t top, int64_t left, int64_t channel,
                   int size, double *to) {
  const Dim *dim = x->type.dim;
  for (int i = 0; i < size; i++)
    for (int j = 0; j < size; j++) {
      int64_t h = top + i, w = left + j;
      bool inside = h >= 0 && h < dim[1] && w >= 0 && w < dim[2];
      to[i * size + j] = inside ? x->at[((image * dim[1] + h) * dim[2] + w) * dim[3] + channel] : 0;
    }
}

typedef struct {
  NnrtDirect s;
  const Tensor *other; // a form, or the gradient of the result
  double *result;
} Walk;

typedef struct { // of one channel: its window of a tile in its form
  int64_t image, y, x, channel, part;
  double window[POSITIONS];
} Place;

static void make_tile(const Walk *w, const Place *at) {
  const NnrtDirect *s = &w->s;
  double form[POSITIONS], tile[TILE * TILE];
  for (int64_t f = 0; f < s->F; f++) {
    for (int p = 0; p < POSITIONS; p++)
      form[p] = at->window[p] * w->other->at[form_at(p, at->channel, f, s->C, s->F)];
    transform(of_tile, TILE, true, form, tile);
    for (int64_t i = 0; i < TILE && at->y + i < s->OH; i++)
      for (int64_t j = 0; j < TILE && at->x + j < s->OW; j++)
        w->result[((at->image * s->OH + at->y + i) * s->OW + at->x + j) * s->F + f] +=
            tile[i * TILE + j];
  }
}

static void add_tile(const Walk *w, const Place *at) {
  const NnrtDirect *s = &w->s;
  double form[POSITIONS], tile[TILE * TILE];
  for (int64_t f = 0; f < s->F; f++) {
    square(w->other, at->image, at->y, at->x, f, TILE, tile);
    transform(of_tile, TILE, false, tile, form);
    for (int p = 0; p < POSITIONS; p++)
      w->result[form_at(at->part * POSITIONS + p, at->channel, f, s->C, s->F)] +=
          at->window[p] * form[p];
  }
}

static void walk_tiles(const Inst *inst, const Tensor *const *arg, Tensor *result, int64_t parts,
                       void (*tile)(const Walk *w, const Place *at)) {
  Walk w = {winograd_shape(inst).of, arg[1], result->at};
  Type space = {.rank = 4,
                .dim = {arg[0]->type.dim[0], nnrt_direct_pieces(w.s.OH, TILE),
                        nnrt_direct_pieces(w.s.OW, TILE), w.s.C}};
  int64_t count = type_count(&space), at[MAX_RANK], tiles = count / w.s.C;
  memset(result->at, 0, sizeof(double) * (size_t)result->count);
  for (int64_t i = 0; i < count; i++) {
    double window[WINDOW * WINDOW];
    position_of(&space, i, at);
    // The part whose share of the tiles this one is in.
    int64_t part = ((i / w.s.C + 1) * parts - 1) / tiles;
    Place place = {at[0], at[1] * TILE, at[2] * TILE, at[3], part, {0}};
    square(arg[0], at[0], place.y - w.s.pad_top, place.x - w.s.pad_left, at[3], WINDOW, window);
    transform(of_window, WINDOW, false, window, place.window);
    tile(&w, &place);
  }
}

static void eval_winograd(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  walk_tiles(inst, arg, result[0], 1, make_tile);
}

static void eval_sums(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  walk_tiles(inst, arg, result[0], inst->attr[A_PARTS].i, add_tile);
}

static void eval_form(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const Dim *form = inst->result[0]->type.dim;
  int64_t C = form[2], F = form[1] * STRIP;
  bool turned = inst->attr[0].i != 0;
  double taps[TAPS * TAPS], to[POSITIONS];
  for (int64_t c = 0; c < C; c++)
    for (int64_t f = 0; f < F; f++) {
      for (int t = 0; t < TAPS * TAPS; t++)
        taps[t] = turned ? arg[0]->at[((TAPS * TAPS - 1 - t) * F + f) * C + c]
                         : arg[0]->at[(t * C + c) * F + f];
      transform(of_taps, TAPS, false, taps, to);
      for (int p = 0; p < POSITIONS; p++)
        result[0]->at[form_at(p, c, f, C, F)] = to[p];
    }
}

static void eval_taps(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const Dim *form = inst->arg[0]->type.dim;
  int64_t C = form[2], F = form[1] * STRIP;
  double from[POSITIONS], taps[TAPS * TAPS];
  for (int64_t c = 0; c < C; c++)
    for (int64_t f = 0; f < F; f++) {
      memset(from, 0, sizeof from);
      for (int64_t p = 0; p < form[0]; p++)
        from[p % POSITIONS] += arg[0]->at[form_at(p, c, f, C, F)];
      transform(of_taps, TAPS, true, from, taps);
      for (int t = 0; t < TAPS * TAPS; t++)
        result[0]->at[(t * C + c) * F + f] = taps[t];
    }
}

// Of the products in the middle, which are nearly all.
static double flops_winograd(const Inst *inst, int64_t n) {
  WinogradShape s = winograd_shape(inst);
  double images = (double)(s.images < 0 ? -s.images * n : s.images);
  return 2.0 * POSITIONS * images * (double)(nnrt_winograd_tiles(&s.of) * s.of.C * s.of.F);
}

OP(winograd){
    .name = "winograd",
    .doc = "Convolution of images [N, H, W, C] with a filter of 3 x 3 taps in Winograd's form "
           "[36, F / 32, C, 32]: A^T [(form) . (B^T d B)] A for each tile of 4 x 4 pixels and its "
           "window d of 6 x 6, summed over the channels; `low` and `high` zeros around. Made by "
           "pass layout (Winograd 1980; Lavin and Gray 2016).",
    .sig = "x, form; low: dims, high: dims",
    .math = "none: it is made where gradients are done",
    .kind = K_WINDOW,
    .flags = OPF_LAYOUT,
    .rounding = 30,
    .example = "f32[2, 5, 6, 16], f32[36, 1, 16, 32]; low=[1, 1] high=[1, 1] | "
               "f32[1, 9, 4, 16], f32[36, 2, 16, 32]; low=[0, 2] high=[1, 0]",
    .domain = "-1..1",
    .type_fn = type_winograd,
    .eval = eval_winograd,
    .kernel = "winograd",
    .flops = flops_winograd,
};

OP(winograd_sums){
    .name = "winograd_sums",
    .doc = "Of images [N, H, W, C] and the gradient [N, OH, OW, F] of what `winograd` makes of "
           "them: the gradient by the form, [36, F / 32, C, 32], or so many of them, each over a "
           "share of the tiles.",
    .sig = "x, d; low: dims, high: dims, parts: int = 1",
    .math = "none: it is made where gradients are done",
    .kind = K_WINDOW,
    .flags = OPF_LAYOUT,
    .rounding = 30,
    .example = "f32[2, 5, 6, 16], f32[2, 5, 6, 32]; low=[1, 1] high=[1, 1] | "
               "f32[1, 9, 4, 32], f32[1, 8, 4, 96]; low=[0, 2] high=[1, 0] parts=3",
    .domain = "-1..1",
    .type_fn = type_sums,
    .eval = eval_sums,
    .kernel = "winograd",
    .flops = flops_winograd,
};

OP(winograd_form){
    .name = "winograd_form",
    .doc = "A filter [3, 3, C, F] in Winograd's form G g G^T, [36, F / 32, C, 32]; turned: of "
           "[3, 3, F, C], from the last tap to the first: that of the gradient by the image.",
    .sig = "x; turned: int = 0",
    .math = "none: it is made where gradients are done",
    .kind = K_WINDOW,
    .flags = OPF_LAYOUT,
    .example = "f32[3, 3, 16, 32] | f32[3, 3, 32, 16]; turned=1",
    .type_fn = type_form,
    .eval = eval_form,
    .kernel = "winograd",
};

OP(winograd_taps){
    .name = "winograd_taps",
    .doc = "The transpose of winograd_form: G^T form G, a filter [3, 3, C, F], of the sum of all "
           "forms that there are.",
    .sig = "form",
    .math = "none: it is made where gradients are done",
    .kind = K_WINDOW,
    .flags = OPF_LAYOUT,
    .example = "f32[36, 1, 16, 32] | f32[108, 2, 16, 32]",
    .type_fn = type_taps,
    .eval = eval_taps,
    .kernel = "winograd",
};
