// What printing, reading and checking share. Only for compiler/ir.
#ifndef NNC_IR_TEXT_H
#define NNC_IR_TEXT_H

#include "ir/ir.h"

extern const char *const ir_role_names[NNRT_GRAD + 1]; // "param", ...
bool ir_plain_name(const char *name);                  // needs no quotes after @
void ir_print_inst(const Inst *inst, Text *out);       // for messages; ids must be fresh
// May a value be of type `is` where the rule gives `rule`? A range may have been forgotten: folding
// replaces an index by the same index of a wider type.
bool ir_type_fits(const Type *is, const Type *rule);

#endif
