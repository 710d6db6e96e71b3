// Examples of records as functions, values to run them on.
#include "optest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *read_examples(Module *m, Op op, Example *example, uint32_t *n) {
  const char *p = op_table[op]->example;
  *n = 0;
  do {
    Example *e = &example[(*n)++];
    while (*p == ' ' || *p == '|')
      p++;
    *e = (Example){.text = p};
    const char *wrong = ir_read_example(m, op, p, e->arg, &e->n_arg, e->attr);
    if (wrong)
      return wrong;
    p = strchr(p, '|');
  } while (p && *n < MOST_EXAMPLES);
  return NULL;
}

uint32_t attribute_count(Module *m, Op op) {
  const AttrSig *sig;
  return op_attrs(m, op, &sig);
}

Inst *apply_example(Builder *b, Op op, const Example *example, Value *const *args) {
  return ir_inst(b, op, args, example->n_arg, example->attr, attribute_count(b->m, op));
}

double draw_unit(Draw *d) { // SplitMix64
  uint64_t z = d->state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static void domain_of(const OpDef *def, double *low, double *high) {
  *low = -2;
  *high = 2;
  if (def->domain && strcmp(def->domain, "positive") == 0)
    *low = 0.3;
  else if (def->domain)
    sscanf(def->domain, "%lf..%lf", low, high);
}

static double draw_float(Draw *d, const OpDef *def) {
  double low, high, x;
  bool near;
  domain_of(def, &low, &high);
  do {
    x = low + (high - low) * draw_unit(d);
    near = false;
    for (int i = 0; i < def->n_kinks; i++)
      near |= fabs(x - def->kinks[i]) < 0.01;
  } while (near);
  return x;
}

static double draw_whole(Draw *d, const Type *type) {
  if (type->elem == TY_BOOL)
    return draw_unit(d) < 0.5;
  if (type->range)
    return floor(draw_unit(d) * (double)type->range);
  return type->elem == TY_U8 ? floor(draw_unit(d) * 256) : floor(draw_unit(d) * 11) - 5;
}

Tensor *draw_tensor(Draw *d, Arena *arena, const OpDef *def, const Type *type, int64_t n) {
  Tensor *t = tensor_new(arena, *type, n);
  for (int64_t i = 0; i < t->count; i++)
    t->at[i] = elem_is_float(type->elem) ? draw_float(d, def) : draw_whole(d, type);
  return t;
}

double difference(const Tensor *a, const Tensor *b) {
  double worst = a->count == b->count ? 0 : INFINITY;
  for (int64_t i = 0; i < a->count && i < b->count; i++) {
    double x = a->at[i], y = b->at[i];
    if (x == y || (isnan(x) && isnan(y)))
      continue;
    double off = fabs(x - y) / (1 + fabs(x));
    worst = isnan(off) || off > worst ? (isnan(off) ? INFINITY : off) : worst;
  }
  return worst;
}

static int failures;

void report(bool ok, const char *test, const char *what, const char *why) {
  if (ok)
    printf("PASS %s/%s\n", test, what);
  else
    printf("FAIL %s/%s: %s\n", test, what, why ? why : "wrong");
  failures += !ok;
}

int report_status(void) {
  return failures != 0;
}
