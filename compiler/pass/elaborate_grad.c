// grad(e, x), rule 24: one number and what it is computed from. In: the two values; out: the
// operation `grad`, which pass grad expands. Row i of a batched result is the derivative of the
// batch sum of e, that of example i alone unless the batch is mixed on the way from x to e.
#include "pass/elaborate_core.h"

// Of values of one region, and of x, which may lie around it: the body of a scan reads what is
// outside until it is closed. What is made of x there has been brought in (grad_bring_in).
typedef struct {
  const Region *region;
  const Value *x;
  bool *reaches; // by place_of: computed from x
  bool *carries; // and its derivative by x is not zero everywhere
  bool *mixes;   // computed from x of other examples
} Walk;

enum { PLACE_OF_X, PLACE_ELSEWHERE, FIRST_PLACE };

static uint32_t place_of(const Walk *w, const Value *v) {
  if (v == w->x)
    return PLACE_OF_X;
  return v->region == w->region ? FIRST_PLACE + v->id : PLACE_ELSEWHERE;
}

// The sum over the batch inside grad(e, x) leaves the examples apart: the gradient of a sum of
// separate terms by row i is that of term i.
static bool is_separate_sum(const Inst *inst, const Walk *w) {
  return inst->op == OP_batch_sum && !w->mixes[place_of(w, inst->arg[0])];
}

static bool mixes_batch(const Inst *inst, uint32_t arg, const Walk *w) {
  const Value *x = inst->arg[arg];
  if (inst->op == OP_grad && arg == 0) {
    const Inst *sum = x->def;
    return !(sum && is_separate_sum(sum, w));
  }
  return inst->op == OP_batch_sum || inst->op == OP_batch_roll || w->mixes[place_of(w, x)];
}

static void walk_inst(Walk *w, const Inst *inst) {
  bool reaches = false, carries = false, mixes = false;
  for (uint32_t k = 0; k < inst->n_args; k++) {
    uint32_t place = place_of(w, inst->arg[k]);
    reaches |= w->reaches[place];
    carries |= w->carries[place];
    mixes |= w->reaches[place] && mixes_batch(inst, k, w);
  }
  bool zero = op_table[inst->op]->flags & OPF_ZERO_GRAD;
  for (uint32_t k = 0; k < inst->n_results; k++) {
    uint32_t place = place_of(w, inst->result[k]);
    w->reaches[place] |= reaches;
    w->carries[place] |= carries && !zero;
    w->mixes[place] |= mixes;
  }
}

static Walk walk_from(Elab *e, const Value *x, Region *region) {
  ir_number_region(region);
  uint32_t n = FIRST_PLACE + region->n_arg;
  for (const Inst *i = region->first; i; i = i->next)
    n += i->n_results;
  Arena *arena = e->m->arena;
  Walk w = {.region = region,
            .x = x,
            .reaches = arena_array(arena, bool, n),
            .carries = arena_array(arena, bool, n),
            .mixes = arena_array(arena, bool, n)};
  w.reaches[PLACE_OF_X] = w.carries[PLACE_OF_X] = true;
  for (const Inst *i = region->first; i; i = i->next)
    walk_inst(&w, i);
  return w;
}

// `x` as the user wrote it, or what it is called in grad(e, x).
static const char *written(Elab *e, const Arg *arg, const char *otherwise) {
  const char *text = short_source(e, arg->span);
  return text ? arena_printf(e->s->perm, "`%s`", text) : otherwise;
}

static bool refuse_zero(Elab *e, const Walk *w, const Value *loss, Arg *arg, Span span) {
  if (w->carries[place_of(w, loss)])
    return true;
  Diagnostic *d;
  if (w->reaches[place_of(w, loss)]) {
    d = elab_error(e, span, "zero-gradient", "this derivative is zero everywhere");
    diag_note(e->s, d, arg[1].span, "%s changes with this in jumps only",
              written(e, &arg[0], "the first value"));
    diag_note(e->s, d, (Span){0},
              "comparisons, argmax, floor, sign and stop_gradient have no slope: take what comes "
              "before them");
    return false;
  }
  d = elab_error(e, span, "zero-gradient", "%s is not computed from %s",
                 written(e, &arg[0], "the first value"), written(e, &arg[1], "the second"));
  diag_note(e->s, d, arg[1].span, "its gradient by this would be zero");
  diag_note(e->s, d, (Span){0},
            "name what it is computed from: a field, a `let`, a parameter, a part `y.conv3`; an "
            "equal expression written again is another value");
  return false;
}

static bool grad_types(Elab *e, const Value *loss, const Value *x, Arg *arg, Span span) {
  if (loss->type.rank || !elem_is_float(loss->type.elem)) {
    Diagnostic *d = elab_error(e, arg[0].span, "wrong-type", "grad is of one number, found %s",
                               val_text(e, arg[0].v));
    diag_note(e->s, d, (Span){0}, "%s",
              loss->type.rank ? "say which: sum(...), max(...), or one of them, s[i]"
                              : "labels and truth values have no slope: a loss or a score has one");
    return false;
  }
  if (!elem_is_float(x->type.elem)) {
    Diagnostic *d = elab_error(e, arg[1].span, "wrong-type", "grad is by numbers, found %s",
                               val_text(e, arg[1].v));
    note_origins(e, d, &arg[1].v, 1, arg[1].span);
    diag_note(e->s, d, (Span){0},
              "a label can't change a little: take the gradient by what an Embedding makes of it");
    return false;
  }
  if (loss->type.batched && !x->type.batched) {
    const char *of = written(e, &arg[0], "e"), *by = written(e, &arg[1], "x");
    Diagnostic *d = elab_error(e, span, "batched-gradient",
                               "%s is one number per example, but %s is one for all", of, by);
    const char *e_text = short_source(e, arg[0].span), *x_text = short_source(e, arg[1].span);
    diag_note(e->s, d, (Span){0}, "take one number for the batch: grad(batch_mean(%s), %s)",
              e_text ? e_text : "e", x_text ? x_text : "x");
    return false;
  }
  return true;
}

// A draw that has its shape by now is a value like any other.
static Value *grad_value(Elab *e, const Arg *arg) {
  Val v = arg->v;
  if (v.kind == V_SHAPELESS && v.draw->made && v.draw->target == e->target)
    return v.draw->made;
  return elab_tensor(e, v, NULL, arg->span);
}

// In the region of the loss, which is the current one.
static Val grad_here(Elab *e, Value *loss, Value *x, Arg *arg, Span span) {
  grad_bring_in(e, x, loss->region);
  Walk w = walk_from(e, x, loss->region);
  if (!refuse_zero(e, &w, loss, arg, span))
    return val_error();
  if (loss->type.batched && w.mixes[place_of(&w, loss)]) {
    Diagnostic *d = diag_warning(e->s, span, "mixed-batch",
                                 "the examples of a batch are mixed on the way from %s to %s",
                                 written(e, &arg[1], "x"), written(e, &arg[0], "e"));
    diag_note(e->s, d, (Span){0},
              "row i of this gradient is the derivative of the sum over the batch by example i, "
              "not of example i's own value; batch_mean or batch_sum, as in batch normalisation, "
              "lies between");
  }
  at(e, span);
  if (loss->type.batched)
    loss = ir_unary(building(e), OP_batch_sum, loss);
  Val r = val_tensor(ir_inst(building(e), OP_grad, (Value *[]){loss, x}, 2, NULL, 0)->result[0]);
  r.ones = arg[1].v.ones;
  return r;
}

// What every turn of a scan would give alike is made around it, where its e is.
Val grad_call(Elab *e, const Builtin *b, Arg *arg, Span span, const Type *want) {
  (void)b, (void)want;
  Value *loss = grad_value(e, &arg[0]), *x = grad_value(e, &arg[1]);
  if (!loss || !x || !grad_types(e, loss, x, arg, span))
    return val_error();
  struct ScanBody *from = scan_leave(e, scan_around(e, loss->region));
  Val r = grad_here(e, loss, x, arg, span);
  scan_return(e, from);
  return r;
}

// ---- stop_gradient ------------------------------------------------------------------------------

static bool holds_stop(const Inst *inst) {
  if (inst->op == OP_stop_gradient)
    return true;
  for (const Inst *i = inst->body ? inst->body->first : NULL; i; i = i->next)
    if (holds_stop(i))
      return true;
  return false;
}

bool *elab_stopped(Elab *e, const Value *loss) {
  Function *f = e->target->fn;
  Arena *arena = e->m->arena;
  ir_number(f);
  uint32_t n = f->body->n_arg;
  for (const Inst *i = f->body->first; i; i = i->next)
    n += i->n_results;
  bool *needed = arena_array(arena, bool, n), *stopped = arena_array(arena, bool, n);
  bool *params = arena_array(arena, bool, e->param.n + 1);
  needed[loss->id] = true;
  for (const Inst *i = f->body->last; i; i = i->prev) {
    bool any = false, stops = holds_stop(i);
    for (uint32_t k = 0; k < i->n_results; k++) {
      any |= needed[i->result[k]->id];
      stops |= stopped[i->result[k]->id];
    }
    bool jumps = op_table[i->op]->flags & OPF_ZERO_GRAD && i->op != OP_stop_gradient;
    for (uint32_t k = 0; any && !jumps && k < i->n_args; k++) {
      needed[i->arg[k]->id] = true;
      stopped[i->arg[k]->id] |= stops;
    }
  }
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == NNRT_PARAM)
      params[f->arg_port[i].index] = stopped[f->body->arg[i]->id];
  return params;
}
