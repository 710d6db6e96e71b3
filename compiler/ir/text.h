// What printing, reading and checking share. Only for compiler/ir.
#ifndef NNC_IR_TEXT_H
#define NNC_IR_TEXT_H

#include "ir/ir.h"

extern const char *const ir_role_names[NNRT_GRAD_PART + 1]; // "param", ...
bool ir_plain_name(const char *name);                       // needs no quotes after @
void ir_print_inst(const Inst *inst, Text *out);            // for messages; ids must be fresh
// May a value be of type `is` where the rule gives `rule`? A range may have been forgotten: folding
// replaces an index by the same index of a wider type.
bool ir_type_fits(const Type *is, const Type *rule);

// ir_check with all attributes there (ir/build.c).
const char *ir_check_filled(Module *m, Op op, Value *const *args, uint32_t n_args, const Attr *attr,
                            Type *result);

// Of an instruction with a body: the types that its arguments should have, and those of the results
// (NULL, or what is wrong). ir/build.c
Type *ir_body_args(Module *m, const Inst *inst);
const char *ir_body_results(Module *m, const Inst *inst, Type **types);
void ir_end_body(Module *m, Inst *inst); // makes the results, once its body has its yield
// May argument `i` of the body of `inst` be of type `is`, where `rule` is ir_body_args()[i]?
bool ir_body_arg_fits(const Inst *inst, uint32_t i, const Type *is, const Type *rule);

#endif
