// Products: one operation, bilinear, whose gradients are two more of it.
#include "ops/batching.h"
#include "ops/rules.h"

typedef struct { // the axes of one side of a product
  uint32_t contract[MAX_RANK], n_contract;
  uint32_t free[MAX_RANK], n_free; // in order
} Side;

static Side side_of(const Attr *contract, uint32_t rank, uint32_t batch) {
  Side side = {.n_contract = axes_of(contract, side.contract)};
  for (uint32_t axis = batch; axis < rank; axis++) {
    bool summed = false;
    for (uint32_t i = 0; i < side.n_contract; i++)
      summed |= side.contract[i] == axis;
    if (!summed)
      side.free[side.n_free++] = axis;
  }
  return side;
}

static const char *check_contract(Module *m, const Attr *axes, const Type *type, uint32_t batch) {
  uint32_t seen = 0;
  for (uint32_t i = 0; i < axes->n; i++) {
    Dim axis = axes->dims[i];
    if (axis < (Dim)batch || axis >= type->rank || seen >> axis & 1)
      return words(m, "axis %lld of %s can't be summed over", (long long)axis,
                   type_text(m->arena, type));
    seen |= 1u << axis;
  }
  return NULL;
}

static const char *check_pairs(Module *m, const Type *a, const Type *b, const Attr *attr) {
  for (Dim i = 0; i < attr[2].i; i++)
    if (a->dim[i] != b->dim[i])
      return words(m, "the sizes of axis %lld differ, %s and %s", (long long)i,
                   dim_text(m->arena, a->dim[i]), dim_text(m->arena, b->dim[i]));
  for (uint32_t i = 0; i < attr[0].n; i++) {
    Dim da = a->dim[attr[0].dims[i]], db = b->dim[attr[1].dims[i]];
    if (da != db)
      return words(m, "the inner sizes differ, %s and %s", dim_text(m->arena, da),
                   dim_text(m->arena, db));
  }
  return NULL;
}

static const char *dot_result(Module *m, const Type *a, const Type *b, const Attr *attr,
                              Type *result) {
  uint32_t batch = (uint32_t)attr[2].i;
  Side sa = side_of(&attr[0], a->rank, batch), sb = side_of(&attr[1], b->rank, batch);
  if (batch + sa.n_free + sb.n_free > MAX_RANK)
    return words(m, "the result would have more than %d dimensions", MAX_RANK);
  *result = type_scalar(a->elem);
  for (uint32_t i = 0; i < batch; i++)
    result->dim[result->rank++] = a->dim[i];
  for (uint32_t i = 0; i < sa.n_free; i++)
    result->dim[result->rank++] = a->dim[sa.free[i]];
  for (uint32_t i = 0; i < sb.n_free; i++)
    result->dim[result->rank++] = b->dim[sb.free[i]];
  uint32_t symbolic = 0;
  for (uint32_t i = 0; i < result->rank; i++)
    symbolic += result->dim[i] < 0;
  return symbolic > 1 ? "the dimension N would occur twice in the result" : NULL;
}

static const char *type_dot(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                            Type *result) {
  const Type *a = &arg[0]->type, *b = &arg[1]->type;
  const char *wrong = expect_float(m, arg[0]);
  if (wrong)
    return wrong;
  if (a->elem != b->elem)
    return words(m, "the element types differ: %s and %s", type_text(m->arena, a),
                 type_text(m->arena, b));
  if (attr[2].i < 0 || attr[2].i > a->rank || attr[2].i > b->rank)
    return words(m, "there are no %lld common axes", (long long)attr[2].i);
  if (attr[0].n != attr[1].n)
    return "as many axes of the first must be summed as of the second";
  if ((wrong = check_contract(m, &attr[0], a, (uint32_t)attr[2].i)) ||
      (wrong = check_contract(m, &attr[1], b, (uint32_t)attr[2].i)) ||
      (wrong = check_pairs(m, a, b, attr)) || (wrong = dot_result(m, a, b, attr, result)))
    return wrong;
  result->batched = any_batched(arg, n);
  return NULL;
}

// ---- dot: y = a . b     da = dy . b over b's free axes, db = a . dy over a's free axes ---------

// The gradient of one side. dy is [batch, free a, free b]. Summing dy's axes of the other side
// against the other side's free axes leaves [batch, own free, other's contracted]; either order of
// the two operands is as good, so the one is taken that needs no transposition, if there is one.
typedef struct {
  Side own, other;
  uint32_t batch, rank; // of this side
  uint32_t other_in_dy; // where the other side's free axes start in dy
  bool own_free_first;  // order of operands
} SideGrad;

// origin[i]: which axis of this side axis i of the product is.
static void product_order(const SideGrad *g, uint32_t *origin) {
  uint32_t n = 0, pair[MAX_RANK];
  for (uint32_t i = 0; i < g->batch; i++)
    origin[n++] = i;
  // The other side's contracted axes appear in its own order, not in the order of the pairs.
  uint32_t n_pair = 0;
  for (uint32_t axis = 0; axis < MAX_RANK; axis++)
    for (uint32_t k = 0; k < g->other.n_contract; k++)
      if (g->other.contract[k] == axis)
        pair[n_pair++] = g->own.contract[k];
  for (uint32_t part = 0; part < 2; part++)
    if ((part == 0) == g->own_free_first)
      for (uint32_t i = 0; i < g->own.n_free; i++)
        origin[n++] = g->own.free[i];
    else
      for (uint32_t i = 0; i < n_pair; i++)
        origin[n++] = pair[i];
}

static bool in_order(const SideGrad *g) {
  uint32_t origin[MAX_RANK];
  product_order(g, origin);
  for (uint32_t i = 0; i < g->rank; i++)
    if (origin[i] != i)
      return false;
  return true;
}

static Value *side_gradient(Builder *b, SideGrad g, Value *dy, Value *other) {
  uint32_t in_dy[MAX_RANK], origin[MAX_RANK], perm[MAX_RANK], n = g.other.n_free;
  for (uint32_t i = 0; i < n; i++)
    in_dy[i] = g.other_in_dy + i;
  g.own_free_first = true;
  if (!in_order(&g)) {
    g.own_free_first = false;
    g.own_free_first = !in_order(&g);
  }
  Value *d = g.own_free_first ? ir_dot(b, dy, other, in_dy, g.other.free, n, g.batch)
                              : ir_dot(b, other, dy, g.other.free, in_dy, n, g.batch);
  product_order(&g, origin);
  for (uint32_t i = 0; i < g.rank; i++)
    perm[origin[i]] = i;
  return ir_transpose(b, d, perm);
}

static void grad_dot(Builder *b, Inst *inst, Value *const *dres, GradSink *sink) {
  uint32_t batch = (uint32_t)inst_attr(inst, "batch")->i;
  uint32_t ra = inst->arg[0]->type.rank, rb = inst->arg[1]->type.rank;
  Side sa = side_of(inst_attr(inst, "ca"), ra, batch),
       sb = side_of(inst_attr(inst, "cb"), rb, batch);
  if (grad_wanted(sink, inst, 0)) {
    SideGrad g = {sa, sb, batch, ra, batch + sa.n_free, true};
    grad_add(sink, b, inst, 0, side_gradient(b, g, dres[0], inst->arg[1]));
  }
  if (grad_wanted(sink, inst, 1)) {
    SideGrad g = {sb, sa, batch, rb, batch, true};
    grad_add(sink, b, inst, 1, side_gradient(b, g, dres[0], inst->arg[0]));
  }
}

// Distributes flat number `i` of the contracted space over the axes, in the order of pairs.
static void contract_position(const Side *side, const Type *type, int64_t i, int64_t *at) {
  for (uint32_t k = side->n_contract; k-- > 0;) {
    int64_t d = type->dim[side->contract[k]];
    at[side->contract[k]] = i % d;
    i /= d;
  }
}

static void eval_dot(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  uint32_t batch = (uint32_t)inst_attr(inst, "batch")->i;
  const Type *a = &arg[0]->type, *b = &arg[1]->type;
  Side sa = side_of(inst_attr(inst, "ca"), a->rank, batch);
  Side sb = side_of(inst_attr(inst, "cb"), b->rank, batch);
  int64_t at[MAX_RANK], pa[MAX_RANK] = {0}, pb[MAX_RANK] = {0}, inner = 1;
  for (uint32_t k = 0; k < sa.n_contract; k++)
    inner *= a->dim[sa.contract[k]];
  for (int64_t i = 0; i < result[0]->count; i++) {
    position_of(&result[0]->type, i, at);
    for (uint32_t k = 0; k < batch; k++)
      pa[k] = pb[k] = at[k];
    for (uint32_t k = 0; k < sa.n_free; k++)
      pa[sa.free[k]] = at[batch + k];
    for (uint32_t k = 0; k < sb.n_free; k++)
      pb[sb.free[k]] = at[batch + sa.n_free + k];
    double sum = 0;
    for (int64_t k = 0; k < inner; k++) {
      contract_position(&sa, a, k, pa);
      contract_position(&sb, b, k, pb);
      sum += arg[0]->at[flat_of(a, pa)] * arg[1]->at[flat_of(b, pb)];
    }
    result[0]->at[i] = sum;
  }
}

static double concrete(Dim d, int64_t n) {
  return (double)(d < 0 ? -d * n : d);
}

static double flops_dot(const Inst *inst, int64_t n) {
  const Attr *ca = inst_attr(inst, "ca");
  double flops = 2;
  for (uint32_t i = 0; i < inst->result[0]->type.rank; i++)
    flops *= concrete(inst->result[0]->type.dim[i], n);
  for (uint32_t i = 0; i < ca->n; i++)
    flops *= concrete(inst->arg[0]->type.dim[ca->dims[i]], n);
  return flops;
}

OP(dot){
    .name = "dot",
    .doc = "The sum of products over axes ca of x and cb of y, which belong together in pairs. The "
           "first "
           "`batch` axes run along in both. The result has those, then x's other axes, then y's.",
    .sig = "x, y; ca: dims, cb: dims, batch: int = 0",
    .math = "dx = dz . y over y's own axes, dy = x . dz over x's own axes",
    .kind = K_CONTRACT,
    .example =
        "f32[3, 4], f32[4, 5]; ca=[1] cb=[0] batch=0 | f32[4, 3], f32[5, 4]; ca=[0] cb=[1] batch=0 "
        "| "
        "f32[2, 3, 4], f32[2, 4, 5]; ca=[2] cb=[1] batch=1 | f32[3, 4, 2], f32[2, 3, 5]; ca=[0, 2] "
        "cb=[1, 0] batch=0 | f32[3], f32[4]; ca=[] cb=[] batch=0 | f32[5], f32[5]; ca=[0] cb=[0] "
        "batch=0",
    .type_fn = type_dot,
    .grad = grad_dot,
    .batch = batch_dot,
    .eval = eval_dot,
    .kernel = "gemm",
    .flops = flops_dot,
};
