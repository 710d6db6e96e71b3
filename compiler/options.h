// The command line of nnc.
#ifndef NNC_OPTIONS_H
#define NNC_OPTIONS_H

#include "llvm/codegen.h"

enum { EXIT_USER = 1, MAX_DEFINES = 256 };

typedef struct {
  const char *input, *output, *emit, *passes, *function;
  const char *cpu;
  const char *define[MAX_DEFINES];
  uint32_t n_define;
  CodegenOptions codegen;
  bool is_static, strip, time_passes;
  int64_t n;   // rows for --emit=plan and `nnc eval`
  char **rest; // after --, for `nnc run`
  int n_rest;
} Options;

// argv: what follows the command's name. A wrong option is told and ends the program.
Options read_options(int argc, char **argv);

#endif
