// Random draws. They have no state: a draw is a function of its name and of where it stands, so
// that neither threads nor the cut of the data into batches nor recomputing changes it. The exact
// bits are defined in nnrt_random.h.
#include "ops/rules.h"
#include "nnrt_random.h"

#include <math.h>
#include <string.h>

static const char *expect_whole_scalar(Module *m, Value *x, const char *name) {
  if (x->type.elem == TY_I32 && x->type.rank == 0 && !x->type.batched)
    return NULL;
  return words(m, "%s is %s, not one i32", name, type_text(m->arena, &x->type));
}

static bool is_kind(const char *kind) {
  return !strcmp(kind, "uniform") || !strcmp(kind, "normal") || !strcmp(kind, "bits");
}

// With `example` the draw is made for each row: *[dims] before pass batch, [N, dims] after it.
static const char *type_random(Module *m, Value *const *arg, uint32_t n, const Attr *attr,
                               Type *result) {
  const char *wrong = expect_whole_scalar(m, arg[0], "the seed");
  if (!wrong)
    wrong = expect_whole_scalar(m, arg[1], "the step");
  if (wrong)
    return wrong;
  if (n > 3)
    return "it takes a seed, a step and at most one example";
  if (!is_kind(attr[0].s))
    return words(m, "the kind is \"uniform\", \"normal\" or \"bits\", not \"%s\"", attr[0].s);
  *result = type_scalar(strcmp(attr[0].s, "bits") ? TY_F32 : TY_I32);
  if (n == 3) {
    const Type *example = &arg[2]->type;
    if (example->elem != TY_I32 || example->rank > 1 || example->batched == (example->rank == 1))
      return words(m, "the example is %s, not *i32 or i32[N]", type_text(m->arena, example));
    result->batched = example->batched;
    if (example->rank)
      result->dim[result->rank++] = example->dim[0];
  }
  for (uint32_t i = 0; i < attr[2].n; i++) {
    if (attr[2].dims[i] < 0 || result->rank == MAX_RANK)
      return "the dimensions of a draw are those of one row, fewer than 8";
    result->dim[result->rank++] = attr[2].dims[i];
  }
  return NULL;
}

static double unit(uint32_t word) {
  return (word >> 8) * 0x1p-24;
}

static double normal(const NnrtRandomBlock *block, uint32_t lane) {
  uint32_t a = block->word[lane & ~1u], b = block->word[lane | 1u];
  double r = sqrt(-2 * log(unit(a) + 0x1p-24)), angle = 2 * M_PI * unit(b);
  return lane & 1 ? r * sin(angle) : r * cos(angle);
}

static void eval_random(const Inst *inst, int64_t n, const Tensor *const *arg, Tensor **result) {
  (void)n;
  const char *kind = inst_attr(inst, "kind")->s;
  uint64_t hash = nnrt_stream_hash(inst_attr(inst, "stream")->s);
  int64_t rows = inst->n_args > 2 && arg[2]->type.rank ? arg[2]->count : 1;
  int64_t width = rows ? result[0]->count / rows : 0;
  for (int64_t i = 0; i < result[0]->count; i++) {
    int64_t row = i / width, element = i % width;
    int32_t example = inst->n_args > 2 ? (int32_t)arg[2]->at[row] : 0;
    NnrtRandomBlock block = nnrt_random_block((int32_t)arg[0]->at[0], hash, (int32_t)arg[1]->at[0],
                                              example, (uint32_t)(element / 4));
    uint32_t lane = element & 3;
    result[0]->at[i] = *kind == 'u'   ? unit(block.word[lane])
                       : *kind == 'n' ? normal(&block, lane)
                                      : (double)(int32_t)block.word[lane];
  }
}

OP(random){
    .name = "random",
    .doc = "Numbers drawn from a seed, a step, each row's example and a stream's name: always the "
           "same "
           "for the same four. Kinds: \"uniform\" in [0, 1), \"normal\" with mean 0 and variance "
           "1, \"bits\" "
           "(i32). `dims` are those of one row; without an example one row is drawn.",
    .sig = "seed, step, example...; kind: str, stream: str, dims: dims",
    .math = "no gradient: the draw depends on no number smoothly",
    .kind = K_RANDOM,
    .flags = OPF_ZERO_GRAD,
    .example =
        "i32, i32; kind=\"uniform\" stream=\"a\" dims=[3, 5] | i32, i32, i32[4]; kind=\"normal\" "
        "stream=\"b\" dims=[3] | i32, i32; kind=\"bits\" stream=\"c\" dims=[2]",
    .type_fn = type_random,
    .eval = eval_random,
    .kernel = "random",
};
