// Draws and initialisers (rules 7 and 39): `normal`, `uniform`, `zeros`, a fn without arguments.
// They wait for a shape from an annotation or from the other operand; then they become
// instructions.
#include "pass/elaborate_core.h"

#include <string.h>

bool is_shapeless(Val v) {
  return v.kind == V_SHAPELESS;
}

static bool has_settings(Val v) { // given, or all by their defaults
  bool all = true;
  for (uint32_t i = 0; i < v.decl->params.n; i++)
    all &= v.decl->params.at[i]->a != NULL;
  return v.bound || all;
}

bool is_initialiser(Val v) {
  return v.kind == V_FUNCTION && !v.builtin && v.decl->kind == N_FN &&
         (v.decl->has_params2 ? v.decl->params2.n == 0 && has_settings(v) : v.decl->params.n == 0);
}

DrawPlace elab_naming(Elab *e, const char *name) {
  DrawPlace before = e->naming;
  e->naming = (DrawPlace){name, e->inside, e->frame};
  return before;
}

// The name of the `let` or fn around a draw, so that draws elsewhere don't matter to it.
static const char *named_place(Elab *e) {
  if (e->naming.name && e->naming.inside == e->inside && e->naming.frame == e->frame)
    return arena_printf(e->s->perm, "%s/", e->naming.name);
  const Node *decl = e->frame ? e->frame->decl : NULL;
  return decl && decl->kind == N_FN ? arena_printf(e->s->perm, "%s/", decl->name) : "";
}

// A name for the stream of random numbers: the place in the expanded program (rule 7).
const char *elab_stream(Elab *e, const char *name) {
  const char *path = e->drawing ? e->drawing : e->inside ? instance_path(e, e->inside) : "";
  const char *base = arena_printf(e->s->perm, "%s%s%s%s", path, *path ? "/" : "",
                                  e->drawing ? "" : named_place(e), name);
  Target *t = e->target;
  if (t && t->place && !e->drawing)
    base = arena_printf(e->s->perm, "%s/%s", t->place, base);
  base = intern(e->s, base);
  if (!t)
    return base;
  uint32_t times = names_get(&t->stream, base) + 1;
  names_set(e->s->perm, &t->stream, base, times);
  return times == 1 ? base : intern(e->s, arena_printf(e->s->perm, "%s#%u", base, times));
}

static Val shapeless(Elab *e, Shapeless s) {
  Shapeless *p = arena_new(e->s->perm, Shapeless);
  *p = s;
  p->scan = e->target ? e->target->scan : NULL;
  return (Val){.kind = V_SHAPELESS, .draw = p, .span = s.span};
}

static bool is_constant_draw(const char *name) {
  return strcmp(name, "zeros") == 0 || strcmp(name, "ones") == 0;
}

Val draw_leaf(Elab *e, const char *name, Span span) {
  Shapeless s = {.draw = name, .span = span, .outer = e->target && e->target->outer};
  if (!is_constant_draw(name))
    s.stream = elab_stream(e, name);
  return shapeless(e, s);
}

Val draw_op(Elab *e, int op, Op elementwise, const Val *arg, uint32_t n, Span span) {
  Shapeless s = {.op = op,
                 .elementwise = elementwise,
                 .arg = val_tuple(e, V_TUPLE, arg, n).list,
                 .n = n,
                 .span = span};
  return shapeless(e, s);
}

// ---- settings of a draw: uniform(-1, 1), integers(0, 9), bernoulli(0.8) -----------------------

typedef struct {
  const char *name;
  uint32_t least, most;
  const char *takes, *example;
} Settings;

static const Settings *settings_of(const char *draw) {
  static const Settings table[] = {
      {"uniform", 0, 2, "nothing, or the two ends", "uniform(-1, 1)"},
      {"normal", 0, 2, "nothing, or mean and deviation", "normal(0, 0.1)"},
      {"bernoulli", 1, 1, "one number, the probability of 1", "bernoulli(0.8)"},
      {"integers", 2, 2, "two whole numbers, the least and the greatest", "integers(0, 9)"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(table[i].name, draw) == 0)
      return &table[i];
  return NULL;
}

static Val wrong_settings(Elab *e, const Settings *t, uint32_t n, Span span) {
  Diagnostic *d = elab_error(e, span, "wrong-arguments", "`%s` takes %s, found %u argument%s",
                             t->name, t->takes, n, n == 1 ? "" : "s");
  diag_note(e->s, d, (Span){0}, "%s; how many are drawn stands in [ ]: %s[3]", t->example,
            t->least ? t->example : t->name);
  return val_error();
}

Val draw_call(Elab *e, Val leaf, Arg *arg, uint32_t n, Span span, const Type *want) {
  (void)want;
  const char *name = leaf.draw->draw;
  const Settings *takes = name && !leaf.draw->n ? settings_of(name) : NULL;
  if (!takes) {
    Diagnostic *d =
        elab_error(e, span, "not-callable", "%s can't be called", name ? name : val_text(e, leaf));
    if (name)
      diag_note(e->s, d, (Span){0}, "a shape stands in [ ]: %s[3, 4]", name);
    return val_error();
  }
  bool named = false;
  for (uint32_t i = 0; i < n; i++)
    named |= arg[i].name != NULL;
  if (n < takes->least || n > takes->most || named || (takes->most == 2 && n == 1))
    return wrong_settings(e, takes, n, span);
  Shapeless s = *leaf.draw;
  s.arg = arena_array(e->s->perm, Val, 2);
  for (uint32_t i = 0; i < n; i++) {
    if (arg[i].v.kind == V_ERROR)
      return val_error();
    s.arg[i] = arg[i].v;
  }
  s.n = n;
  s.span = span;
  return shapeless(e, s);
}

// ---- making it --------------------------------------------------------------------------------

static Value *random_value(Elab *e, const char *distribution, const Shapeless *s,
                           const Type *type) {
  Target *t = e->target;
  Value *arg[3] = {target_seed(t), s->outer ? target_iteration(t) : target_step(t), NULL};
  uint32_t n = 2;
  if (t->scan)
    arg[0] = scan_key(e);
  arg[2] = target_example(t);
  if (arg[2])
    n = 3;
  Attr attr[] = {attr_str(intern(e->s, distribution)), attr_str(s->stream),
                 attr_dims(e->m->arena, type->dim, type->rank)};
  return ir_inst(building(e), OP_random, arg, n, attr, 3)->result[0];
}

static Val made(Value *t) {
  return val_tensor(t);
}

// a + (b - a) * u
static Val scaled(Elab *e, Val u, Val base, Val scale, Span span) {
  Val part = arith_binary(e, '*', u, scale, span, span, span);
  return arith_binary(e, '+', part, base, span, span, span);
}

static Val make_integers(Elab *e, const Shapeless *s, const Type *type) {
  int64_t low, high;
  if (!elab_int(e, s->arg[0], "the least", s->span, &low) ||
      !elab_int(e, s->arg[1], "the greatest", s->span, &high))
    return val_error();
  if (high < low) {
    elab_error(e, s->span, "wrong-arguments", "from %lld to %lld there is nothing", (long long)low,
               (long long)high);
    return val_error();
  }
  Val u = made(random_value(e, "uniform", s, type));
  Val x = scaled(e, u, val_float((double)low), val_float((double)(high - low + 1)), s->span);
  Value *v = ir_unary(building(e), OP_floor, x.t);
  bool index = type->elem == TY_I32 && type->range;
  if (index && (low < 0 || high >= type->range)) {
    elab_error(e, s->span, "out-of-range", "%lld to %lld are not all in index<%lld>",
               (long long)low, (long long)high, (long long)type->range);
    return val_error();
  }
  Attr attr[] = {attr_elem(TY_I32), attr_int(index ? type->range : 0)};
  return made(ir_inst(building(e), OP_convert, &v, 1, attr, 2)->result[0]);
}

static Val make_draw(Elab *e, const Shapeless *s, const Type *type) {
  Span span = s->span;
  Type f32 = *type;
  f32.elem = TY_F32;
  f32.range = 0;
  f32.batched = false;
  if (is_constant_draw(s->draw))
    return made(ir_const(building(e), *type, s->draw[0] == 'o'));
  const Settings *takes = settings_of(s->draw);
  if (s->n < takes->least)
    return wrong_settings(e, takes, s->n, span);
  if (strcmp(s->draw, "integers") == 0)
    return make_integers(e, s, type);
  if (strcmp(s->draw, "bernoulli") == 0) {
    Val u = made(random_value(e, "uniform", s, &f32));
    Val p = s->arg[0];
    if (is_shapeless(p) || is_initialiser(p))
      p = val_tensor(draw_make(e, p, &f32, span));
    Val c = arith_binary(e, '<', u, p, span, span, span);
    if (c.kind != V_TENSOR)
      return c;
    Type chosen = c.t->type;
    chosen.elem = TY_F32;
    chosen.batched = false;
    return made(ir_select(building(e), c.t, ir_const(building(e), chosen, 1),
                          ir_const(building(e), chosen, 0)));
  }
  Val u = made(random_value(e, s->draw, s, &f32));
  if (!s->n)
    return u;
  Val scale = s->arg[1];
  if (s->draw[0] == 'u')
    scale = arith_binary(e, '-', s->arg[1], s->arg[0], span, span, span);
  return scaled(e, u, s->arg[0], scale, span);
}

// Shapeless operands get the shape; scalars stay; then the operation as written.
static Val make_operation(Elab *e, const Shapeless *s, const Type *type) {
  Val arg[3];
  for (uint32_t i = 0; i < s->n; i++) {
    arg[i] = s->arg[i];
    if (is_shapeless(arg[i]) || is_initialiser(arg[i]))
      arg[i] = val_tensor(draw_make(e, arg[i], type, s->span));
    if (arg[i].kind == V_ERROR)
      return arg[i];
  }
  if (s->op)
    return arith_binary(e, s->op, arg[0], arg[1], s->span, s->span, s->span);
  return arith_elementwise(e, s->elementwise, arg, s->n, s->span);
}

Value *draw_make(Elab *e, Val v, const Type *type, Span span) {
  if (!in_program(e, span))
    return NULL;
  if (is_initialiser(v)) {
    Val r = call_without_arguments(e, v, type, span);
    return r.kind == V_ERROR ? NULL : elab_tensor(e, r, type, span);
  }
  Shapeless *s = v.draw;
  if (s->made && s->target == e->target) {
    if (type_same_shape(&s->type, type))
      return s->made;
    Diagnostic *d = elab_error(e, span, "shape-mismatch", "one draw can't be %s and %s",
                               type_user_text(e, &s->type), type_user_text(e, type));
    diag_note(e->s, d, s->span, "drawn here; a `let` names one draw");
    return NULL;
  }
  // Drawn where it was written: a name outside a scan is one draw for all its turns.
  bool around = scan_outlives(e, s->scan);
  struct ScanBody *from = around ? scan_leave(e, s->scan) : NULL;
  at(e, s->span);
  Val r = s->draw ? make_draw(e, s, type) : make_operation(e, s, type);
  if (around)
    scan_return(e, from);
  if (r.kind != V_TENSOR)
    return NULL;
  if (!type_same_shape(&r.t->type, type)) {
    Diagnostic *d =
        elab_error(e, s->span, "shape-mismatch", "a draw of %s becomes %s by its settings",
                   type_user_text(e, type), type_user_text(e, &r.t->type));
    diag_note(e->s, d, (Span){0},
              "the numbers it is multiplied by and added to keep its shape: one number, or the "
              "trailing axes (rules 3, 39)");
    return NULL;
  }
  s->made = r.t;
  s->target = e->target;
  s->type = *type;
  return r.t;
}
