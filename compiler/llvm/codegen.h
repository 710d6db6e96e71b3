// Code generation: scheduled IR to an object file, or to functions in this process.
// Built as a shared object (build/nnc-llvm.so) that the driver loads when it is needed.
#ifndef NNC_CODEGEN_H
#define NNC_CODEGEN_H

#include "ir/ir.h"

typedef enum { BLAS_AUTO, BLAS_OWN, BLAS_OPENBLAS } Blas;
typedef struct {
  const char *cpu; // "native", "x86-64-v2", "-v3", "-v4"
  Blas blas;
  int jobs; // compile threads; objects are identical for any number
} CodegenOptions;

// Fills the function tables of m->program (made if it is NULL) from the scheduled functions:
// launches, buffers, ports; NnrtLaunch.fn stays NULL. Doesn't need LLVM; used by --emit=plan too.
void codegen_tables(Module *m, const CodegenOptions *options);

// One CPU level of a program. kind: "obj" (path is written), "llvm", "asm" (text is appended to
// out). Several levels make several objects; `suffix` ("_v3") goes into the names of global
// symbols. The program table is the global nnrt_program<suffix>. NULL, or why not.
const char *codegen_emit(Module *m, const CodegenOptions *options, const char *suffix,
                         const char *kind, const char *path, Text *out);
// The object with nnrt_programs[]: one entry per suffix, in this order.
const char *codegen_emit_index(Session *s, const char *const *suffixes, uint32_t n,
                               const char *path);
// In this process: NnrtLaunch.fn of m->program are set. The code lives until the process ends.
const char *codegen_jit(Module *m, const CodegenOptions *options);
// true if the program calls OpenBLAS and must be linked with it.
bool codegen_uses_openblas(const Module *m, const CodegenOptions *options);

#endif
