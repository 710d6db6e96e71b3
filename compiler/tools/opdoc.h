// The list of operations as a document.
#ifndef NNC_OPDOC_H
#define NNC_OPDOC_H

#include "support/buf.h"

void print_op_docs(Text *out); // lang/OPS.md

#endif
