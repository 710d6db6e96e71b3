// Builtins that are about shapes: handlers of the table in elaborate_builtin.c.
#ifndef NNC_ELABORATE_SHAPE_H
#define NNC_ELABORATE_SHAPE_H

#include "pass/elaborate_core.h"

#define HANDLER(name)                                                                              \
  Val shape_##name(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want)
HANDLER(reduce); // sum, mean, max, min, all, any
HANDLER(argmax);
HANDLER(one_hot);
HANDLER(dot);
HANDLER(norm);
HANDLER(reshape);
HANDLER(flatten);
HANDLER(transpose);
HANDLER(reverse);
HANDLER(concat);
HANDLER(split);
HANDLER(pad);
HANDLER(iota);
HANDLER(of); // shape, size, rank, len
HANDLER(f32);

// ---- elaborate_image.c
Val image_conv(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val image_conv_transpose(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val image_max_pool(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);

// ---- elaborate_weights.c
Val weights_known(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);
Val weights_list(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want);

#endif
