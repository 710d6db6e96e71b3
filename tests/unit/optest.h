// What the tests of operations share: examples of records as functions, values to run them on.
#ifndef OPTEST_H
#define OPTEST_H

#include "ir/ir.h"
#include "ops/op.h"

enum { MOST_EXAMPLES = 16, MOST_ARGS = 8 };

typedef struct {
  Type arg[MOST_ARGS];
  uint32_t n_arg;
  Attr attr[MOST_ARGS];
  const char *text;
} Example;

// All examples of a record; NULL, or what is wrong with its text.
const char *read_examples(Module *m, Op op, Example *example, uint32_t *n);
uint32_t attribute_count(Module *m, Op op);
// The operation applied to arguments of f (or to `b`'s region).
Inst *apply_example(Builder *b, Op op, const Example *example, Value *const *args);

typedef struct {
  uint64_t state;
} Draw;
double draw_unit(Draw *d); // [0, 1)
// Values that the record's domain, kinks and the type allow.
Tensor *draw_tensor(Draw *d, Arena *arena, const OpDef *def, const Type *type, int64_t n);
double difference(const Tensor *a,
                  const Tensor *b); // greatest |a-b| / (1 + |a|); equal NaNs count 0

void report(bool ok, const char *test, const char *what, const char *why);
int report_status(void); // for main

#endif
