// Groups of kind `kernel`: one operation that a function of runtime/kernels does, called with the
// constants of the operation.
#include "llvm/gen.h"

#include <string.h>
void kernel_c(Kernel *k) { ice("codegen: kernel %s", k->kind); }
