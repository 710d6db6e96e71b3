// Builtins for the library's regularisers and optimizers.
// In: values, instances; out: lists of params, what is known when compiling.
#include "pass/elaborate_shape.h"

typedef BUF(Val) Weights;

// known(x): is x a number, truth value or word known when compiling?
Val weights_known(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)e, (void)b, (void)span, (void)want;
  return val_bool(is_simple(arg[0].v));
}

static void add_instance(Elab *e, const Instance *instance, Weights *out) {
  for (uint32_t i = 0; i < instance->param.n; i++) {
    Param *p = instance->param.at[i];
    if (!p->is_state && p->type.rank >= 2)
      buf_push(e->s->perm, out, val_tensor(elab_param(e, p)));
  }
  for (uint32_t i = 0; i < instance->part.n; i++)
    add_instance(e, instance->part.at[i], out);
}

static bool add(Elab *e, Val v, Span span, Weights *out) {
  v = call_settle(e, v, v.decl, span);
  if (v.kind == V_FUNCTION && !v.builtin && v.decl->kind == N_MODEL)
    v = instance_at(e, v, v.decl);
  switch ((int)v.kind) {
  case V_ERROR:
    return false;
  case V_TENSOR:
    buf_push(e->s->perm, out, v);
    return true;
  case V_INSTANCE:
    add_instance(e, v.instance, out);
    return true;
  case V_LIST:
  case V_TUPLE:
    for (uint32_t i = 0; i < v.n; i++)
      if (!add(e, v.list[i], span, out))
        return false;
    return true;
  }
  elab_error(e, span, "wrong-type", "an instance, a param or a list of them is wanted, found %s",
             val_text(e, v));
  return false;
}

static bool is_applied(Val v) {
  return v.kind == V_INSTANCE && v.instance->applied;
}

// weights(x): the params of two axes and more of an instance; a tensor is itself.
Val weights_list(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Weights list = {0};
  if (!in_program(e, span) || !add(e, arg[0].v, arg[0].span, &list))
    return val_error();
  if (list.n)
    return val_tuple(e, V_LIST, list.at, list.n);
  Diagnostic *d =
      elab_error(e, arg[0].span, "over", "%s has no weights here", val_text(e, arg[0].v));
  diag_note(e->s, d, (Span){0},
            is_applied(arg[0].v)
                ? "weights are params of two axes and more: no biases"
                : "a layer has its params once it has been applied: write the loss "
                  "before");
  return val_error();
}
