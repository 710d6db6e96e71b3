// Running compiled code in a test: a module is compiled in this process and each function's results
// are compared with the reference evaluator's.
#ifndef COMPILED_H
#define COMPILED_H

#include "ir/ir.h"
#include "llvm/codegen.h"

typedef struct { // build/nnc-llvm.so
  const char *(*emit)(Module *, const CodegenOptions *, const char *, const char *, const char *,
                      Text *);
  const char *(*jit)(Module *, const CodegenOptions *);
} Backend;
// NULL, or why not. It lies beside nnc, two folders above this test.
const char *backend_load(Session *s, Backend *backend);

// layout, fuse, schedule, each followed by the verifier. NULL, or what is wrong.
const char *make_groups(Module *m);

typedef struct {
  Module *m;
  NnrtModel *model;
  NnrtPool *pool;
} Compiled;
// m has its groups. NULL, or why not.
const char *compiled_open(const Backend *backend, Module *m, const CodegenOptions *options,
                          int64_t max_n, Compiled *c);
void compiled_close(Compiled *c);
// Results of function f for n rows, as doubles. NULL, or why not.
const char *compiled_run(Compiled *c, uint32_t f, int64_t n, const Tensor *const *args,
                         Tensor **results);
// Runs both ways. NULL, or which result differs (by more than `most`, relative to 1 + its size).
const char *compiled_against_eval(Compiled *c, uint32_t f, int64_t n, const Tensor *const *args,
                                  double most);

#endif
