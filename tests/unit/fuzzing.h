// Running the compiler on texts that may bring it down: each goes up to the plan, in a child
// process that may die. It may be refused, but never with a crash, an internal error or without an
// end.
#ifndef FUZZING_H
#define FUZZING_H

#include "ir/ir.h"

#include <stdio.h>

typedef struct {
  const char *name; // of a failure: the arguments with which the test shows that text
  const char *path; // as if it were this file
  char *text;       // from malloc
  size_t n;
  bool is_ir;
  uint32_t pass; // IR is read, printed, read again; then it goes on from this pass
} FuzzText;
typedef FuzzText FuzzMake(void *ctx, uint32_t number);

enum {
#if defined(__SANITIZE_ADDRESS__)
  FUZZ_TEXTS = 2000,
#else
  FUZZ_TEXTS = 10000,
#endif
};

// Texts 0 .. count-1; reports failures and, in the end, whether enough of them were sound programs.
void fuzz_run(Session *s, const char *test, FuzzMake *make, void *ctx, uint32_t count);
bool fuzz_compile(const FuzzText *t, FILE *diagnostics); // was it accepted?
const char *fuzz_print(Module *m);
// The name of pass number i; NULL if there are fewer.
const char *fuzz_pass(uint32_t i, void (**run)(Module *m));

#endif
