// `nnc eval`: a function of IR run by the reference evaluator, in double, on made-up arguments.
#include "tools/tools.h"
#include "ops/op.h"

// A fixed pattern in [-1, 1), whole numbers below the range for indices.
static Tensor *pattern_argument(Session *s, const Type *type, int64_t n, uint32_t which) {
  Tensor *t = tensor_new(s->perm, *type, n);
  for (int64_t i = 0; i < t->count; i++) {
    uint32_t h = (uint32_t)i * 2654435761u + which * 40503u + 12345u;
    h = (h ^ (h >> 15)) * 2246822519u;
    double u = (double)(h >> 8) / 16777216.0;
    int64_t range = type->range ? type->range : type->elem == TY_BOOL ? 2 : 10;
    t->at[i] = elem_is_float(type->elem) ? 2 * u - 1 : (double)(int64_t)(u * (double)range);
  }
  return t;
}

static void print_tensor(const Function *f, uint32_t i, const Tensor *t, Text *out, Arena *arena) {
  text_printf(out, "%s : %s =", f->result_port[i].name ? f->result_port[i].name : "result",
              type_text(arena, &t->type));
  for (int64_t k = 0; k < t->count; k++)
    text_printf(out, " %.9g", t->at[k]);
  text_put(out, "\n");
}

const char *eval_pattern(Session *s, const Function *f, int64_t n, Text *out) {
  const char *why = ir_eval_limit(f, n, s->perm);
  if (why)
    return why;
  const Tensor **arg = arena_array(s->perm, const Tensor *, f->body->n_arg);
  Tensor **result = arena_array(s->perm, Tensor *, f->n_result);
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    arg[i] = pattern_argument(s, &f->body->arg[i]->type, n, i);
  why = ir_eval(f, n, arg, result, s->perm);
  for (uint32_t i = 0; i < f->n_result && !why; i++)
    print_tensor(f, i, result[i], out, s->perm);
  return why;
}
