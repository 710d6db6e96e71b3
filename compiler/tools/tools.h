// The driver's tools, one file each.
#ifndef NNC_TOOLS_H
#define NNC_TOOLS_H

#include "ir/ir.h"

// link.c: objects + libnnrt.a (found beside the nnc executable) make one executable.
typedef struct {
  const char *const *object;
  uint32_t n_object;
  const char *out;
  bool is_static, strip, openblas;
  bool pictures; // it reads JPEG
} LinkOptions;
const char *link_executable(Session *s, const LinkOptions *options); // NULL, or why not

// explain.c: the section of lang/ERRORS.md on a diagnostic code; NULL if there is none.
const char *explain_text(Session *s, const char *code);
uint32_t explain_codes(Session *s, const char *const **codes); // all of them, in the file's order
extern const char errors_text[]; // lang/ERRORS.md, embedded by the build

// opdoc.c: lang/OPS.md, made from the operation records.
void print_op_docs(Text *out);

// fmt.c: `nnc fmt`, given what follows the command's name; the exit status.
int command_fmt(Session *s, int argc, char **argv);

// evaluate.c: the results on arguments of a fixed pattern, for n rows; NULL, or why not.
const char *eval_pattern(Session *s, const Function *f, int64_t n, Text *out);

// doc.c: `nnc doc`, likewise.
int command_doc(Session *s, int argc, char **argv);

// dot.c: --emit=dot, the network by layers; NULL, or why not. --emit=dot-STAGE: the IR.
const char *print_network(const Module *m, Text *out);
void print_ir_graph(const Module *m, Text *out);

// plan.c: --emit=plan, for n rows. m->program has its tables (codegen_tables).
void print_plan(const Module *m, int64_t n, Text *out);

#endif
