// Arithmetic on tensors: broadcasting (rule 3), operators, `@`.
// In: values and the places they were written; out: a value, or V_ERROR after a message.
#include "pass/elaborate_core.h"

#include <string.h>

// ---- shapes -----------------------------------------------------------------------------------

// The shape that two operands have together (rule 3); false if they don't fit.
bool join_shapes(const Type *a, uint8_t a_ones, const Type *b, uint8_t b_ones, Type *out,
                 uint8_t *ones) {
  const Type *big = a->rank >= b->rank ? a : b;
  *out = *big;
  *ones = a->rank >= b->rank ? a_ones : b_ones;
  if (a->rank != b->rank) {
    const Type *small = big == a ? b : a;
    uint32_t skip = big->rank - small->rank;
    for (uint32_t i = 0; i < small->rank; i++)
      if (small->dim[i] != big->dim[skip + i])
        return false;
    return true;
  }
  *ones = 0;
  for (uint32_t i = 0; i < a->rank; i++) {
    bool a1 = a->dim[i] == 1 && (a_ones >> i & 1), b1 = b->dim[i] == 1 && (b_ones >> i & 1);
    if (a->dim[i] != b->dim[i] && !a1 && !b1)
      return false;
    out->dim[i] = a1 ? b->dim[i] : a->dim[i];
    if ((a1 || b1) && out->dim[i] == 1)
      *ones |= (uint8_t)(1u << i);
  }
  return true;
}

// x with the shape of `to`: its axes are the last ones of `to`; axes of length 1 stretch.
Value *broadcast_to(Elab *e, Value *x, const Type *to) {
  if (type_same_shape(&x->type, to))
    return x;
  uint32_t axes[MAX_RANK], n = 0, skip = to->rank - x->type.rank;
  Dim dims[MAX_RANK];
  for (uint32_t i = 0; i < x->type.rank; i++)
    if (x->type.dim[i] == to->dim[skip + i]) {
      dims[n] = x->type.dim[i];
      axes[n++] = skip + i;
    }
  Builder *b = building(e);
  bool was_kept = n < x->type.rank && x->def && x->def->op == OP_reshape; // sum(x, keep = true)
  if (was_kept && x->def->arg[0]->type.rank == n)
    x = x->def->arg[0];
  return ir_broadcast(b, ir_reshape(b, x, dims, n), axes, *to); // without the axes that stretch
}

// Operands: where they come from, those that were made elsewhere; else which one is which.
void note_origins(Elab *e, Diagnostic *d, const Val *v, uint32_t n, Span span) {
  for (uint32_t i = 0; i < n; i++) {
    Span o = v[i].span;
    bool within = o.file == span.file && o.start >= span.start && o.end <= span.end;
    bool whole = within && o.start == span.start && o.end == span.end;
    if (v[i].kind == V_TENSOR && o.file && !whole && !(within && is_library(e, o)))
      diag_note(e->s, d, o,
                v[i].config ? "%s is declared here"
                : within    ? "this is %s"
                            : "%s comes from here",
                val_text(e, v[i]));
  }
}

// Do the axes of `small` lead in `big`, where the last ones are compared?
static bool leads(const Type *small, const Type *big) {
  for (uint32_t i = 0; i < small->rank; i++)
    if (small->rank >= big->rank || small->dim[i] != big->dim[i])
      return false;
  return small->rank > 0;
}

static const char *shape_advice(Elab *e, const char *what, const Type *a, const Type *b) {
  const Type *big = a->rank > b->rank ? a : b, *small = big == a ? b : a;
  if (strcmp(what, "`*`") == 0 && b->rank == 2 && a->rank && a->dim[a->rank - 1] == b->dim[0])
    return "`*` goes element by element; the product of matrices is `@`";
  if (big->rank == small->rank + 1 && big->dim[big->rank - 1] == 1)
    return "an axis of length 1 is an axis: x[.., 0] takes it away, x[.., _] adds one";
  if (big->rank != small->rank && type_count(a) == type_count(b))
    return arena_printf(e->s->perm, "both have %lld elements: reshape or Flatten makes them alike",
                        (long long)type_count(a));
  if (leads(small, big) && big->rank == small->rank + 1)
    return arena_printf(e->s->perm,
                        "shapes are lined up at their ends: x[.., _] makes %s one number for each "
                        "of the first axis",
                        type_user_text(e, small));
  for (uint32_t i = 0; big->rank == small->rank && i < a->rank; i++)
    if (a->dim[i] != b->dim[i] && (a->dim[i] == 1 || b->dim[i] == 1))
      return "an axis stretches where it is written as 1 (`f32[1, n]`, x[_], keep = true), not "
             "where a variable happens to be 1 (rule 3)";
  return "element by element, a shape goes with the same shape, with one that ends in it, and with "
         "one number (rule 3)";
}

static void shape_error(Elab *e, const char *what, const Val *v, uint32_t n, Span span) {
  Text list = {.arena = e->s->perm};
  for (uint32_t i = 0; i < n; i++)
    text_printf(&list, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " and ", val_text(e, v[i]));
  Diagnostic *d =
      elab_error(e, span, "shape-mismatch", "%s: the shapes %s don't fit together", what, list.at);
  note_origins(e, d, v, n, span);
  if (n > 1 && v[0].kind == V_TENSOR && v[1].kind == V_TENSOR)
    diag_note(e->s, d, (Span){0}, "%s", shape_advice(e, what, &v[0].t->type, &v[1].t->type));
}

// ---- elements ---------------------------------------------------------------------------------

static bool is_tensor_like(Val v) {
  return v.kind == V_TENSOR || v.kind == V_LIST || is_simple(v) || v.kind == V_SHAPELESS;
}

static bool not_a_tensor(Elab *e, const char *what, Val v, Span span) {
  if (v.kind == V_ERROR)
    return true;
  if (is_tensor_like(v) && v.kind != V_STRING)
    return false;
  Diagnostic *d =
      elab_error(e, span, "wrong-type", "%s needs numbers, found %s", what, val_text(e, v));
  note_uncalled(e, d, v, v.span);
  return true;
}

// The element type of a set of operands: f32 where any is, bool only where all are.
static bool join_elements(Elab *e, const char *what, const Val *v, uint32_t n, Span span,
                          Type *out) {
  bool any_float = false, any_int = false, any_bool = false;
  *out = type_scalar(TY_F32);
  for (uint32_t i = 0; i < n; i++) {
    if (v[i].kind == V_TENSOR) {
      const Type *t = &v[i].t->type;
      any_float |= elem_is_float(t->elem);
      any_int |= t->elem == TY_I32 || t->elem == TY_U8;
      any_bool |= t->elem == TY_BOOL;
      if (t->range && (!out->range || t->range > out->range))
        out->range = t->range;
    } else {
      any_float |= v[i].kind == V_FLOAT || v[i].kind == V_LIST;
      any_bool |= v[i].kind == V_BOOL;
    }
  }
  if (any_bool && (any_float || any_int)) {
    Diagnostic *d = elab_error(e, span, "wrong-type", "%s mixes truth values and numbers", what);
    note_origins(e, d, v, n, span);
    diag_note(e->s, d, (Span){0}, "f32(x) makes numbers of truth values, 1 and 0; x > 0 compares");
    return false;
  }
  out->elem = any_bool ? TY_BOOL : any_int && !any_float ? TY_I32 : TY_F32;
  return true;
}

bool arith_align(Elab *e, const char *what, Val *v, Value **out, uint32_t n, Span span,
                 uint8_t *ones) {
  for (uint32_t i = 0; i < n; i++)
    if (not_a_tensor(e, what, v[i], span))
      return false;
  Type elem, shape = {0};
  if (!join_elements(e, what, v, n, span, &elem))
    return false;
  *ones = 0;
  at(e, span);
  for (uint32_t i = 0; i < n; i++) { // lists become tensors before shapes are compared
    if (v[i].kind != V_LIST)
      continue;
    Value *t = elab_tensor(e, v[i], NULL, span);
    if (!t)
      return false;
    v[i].kind = V_TENSOR;
    v[i].t = t;
  }
  for (uint32_t i = 0; i < n; i++) {
    if (v[i].kind != V_TENSOR)
      continue;
    Type joined;
    uint8_t joined_ones;
    if (!join_shapes(&shape, *ones, &v[i].t->type, v[i].ones, &joined, &joined_ones)) {
      shape_error(e, what, v, n, span);
      return false;
    }
    shape = joined;
    *ones = joined_ones;
  }
  Type want = shape;
  want.elem = elem.elem;
  want.batched = false;
  want.range = 0;
  for (uint32_t i = 0; i < n; i++) {
    Value *x =
        is_shapeless(v[i]) ? draw_make(e, v[i], &want, span) : elab_tensor(e, v[i], &want, span);
    if (!x)
      return false;
    at(e, span);
    out[i] = broadcast_to(e, ir_convert(building(e), x, want.elem), &want);
  }
  return true;
}

Val arith_elementwise(Elab *e, Op op, Val *v, uint32_t n, Span span) {
  const char *what = arena_printf(e->s->perm, "`%s`", op_table[op]->name);
  for (uint32_t i = 0; i < n; i++)
    if (v[i].kind == V_TENSOR && v[i].t->type.elem != TY_F32 && op != OP_select) {
      bool index = v[i].t->type.range != 0;
      if (index) {
        Diagnostic *d =
            elab_error(e, span, "index-arithmetic", "%s of %s: an index is a name, not a number",
                       what, val_text(e, v[i]));
        note_origins(e, d, &v[i], 1, span);
        diag_note(e->s, d, (Span){0}, "one_hot(i) makes numbers of it");
        return val_error();
      }
      if (v[i].t->type.elem == TY_I32)
        v[i].t = ir_convert(building(e), v[i].t, TY_F32);
    }
  Value *x[4];
  uint8_t ones;
  if (n > 4 || !arith_align(e, what, v, x, n, span, &ones))
    return val_error();
  for (uint32_t i = 0; i < n; i++)
    x[i] = ir_convert(building(e), x[i], x[i]->type.elem == TY_I32 ? TY_F32 : x[i]->type.elem);
  Type result;
  const char *wrong = ir_check(e->m, op, x, n, NULL, 0, &result);
  if (wrong) {
    elab_error(e, span, "wrong-type", "%s: %s", what, wrong);
    return val_error();
  }
  at(e, span);
  Val r = val_tensor(ir_inst(building(e), op, x, n, NULL, 0)->result[0]);
  r.ones = ones;
  return r;
}

// ---- operators --------------------------------------------------------------------------------

static Value *compare(Elab *e, int op, Value *x, Value *y) {
  Builder *b = building(e);
  switch (op) {
  case OP_EQ:
    return ir_binary(b, OP_eq, x, y);
  case OP_NE:
    return ir_binary(b, OP_ne, x, y);
  case '<':
    return ir_binary(b, OP_lt, x, y);
  case '>':
    return ir_binary(b, OP_gt, x, y);
  case OP_LE:
    return ir_binary(b, OP_le, x, y);
  default:
    return ir_binary(b, OP_ge, x, y);
  }
}

// x ^ 2 and the like are products: exact, and cheaper than the general power.
static Value *power(Elab *e, Value *x, Value *y, Val exponent) {
  Builder *b = building(e);
  if (is_number(exponent)) {
    double k = number_of(exponent);
    if (k == 1)
      return x;
    if (k == 2)
      return ir_binary(b, OP_mul, x, x);
    if (k == 3)
      return ir_binary(b, OP_mul, ir_binary(b, OP_mul, x, x), x);
    if (k == 0.5)
      return ir_unary(b, OP_sqrt, x);
  }
  return ir_binary(b, OP_pow, x, y);
}

static Value *emit_binary(Elab *e, int op, Value *x, Value *y, Val exponent) {
  Builder *b = building(e);
  switch (op) {
  case '+':
    return ir_binary(b, OP_add, x, y);
  case '-':
    return ir_binary(b, OP_sub, x, y);
  case '*':
    return ir_binary(b, OP_mul, x, y);
  case '/':
    return ir_binary(b, OP_div, x, y);
  case '%':
    return ir_binary(b, OP_mod, x, y);
  case '^':
    return power(e, x, y, exponent);
  case OP_AND:
    return ir_binary(b, OP_and, x, y);
  case OP_OR:
    return ir_binary(b, OP_or, x, y);
  default:
    return compare(e, op, x, y);
  }
}

static int64_t range_of(Val v) {
  return v.kind == V_TENSOR ? v.t->type.range : 0;
}

// Rule 22: indices are compared, never added; two kinds of index are never the same thing.
static bool check_indices(Elab *e, int op, Val a, Val b, Span span) {
  int64_t n = range_of(a), m = range_of(b);
  if (!n && !m)
    return true;
  if (!is_comparison(op)) {
    Diagnostic *d =
        elab_error(e, span, "index-arithmetic", "%s on %s: an index is a name, not a number",
                   operator_text(op), val_text(e, n ? a : b));
    Val index = n ? a : b;
    note_origins(e, d, &index, 1, span);
    diag_note(e->s, d, (Span){0}, "one_hot(i) makes numbers of it; `==` compares labels");
    return false;
  }
  if (n && m && n != m) {
    Diagnostic *d = elab_error(e, span, "range-mismatch", "%s compares %s with %s",
                               operator_text(op), val_text(e, a), val_text(e, b));
    note_origins(e, d, (Val[]){a, b}, 2, span);
    diag_note(e->s, d, (Span){0}, "one of n things is compared with one of the same n things");
    return false;
  }
  Val k = n ? b : a, index = n ? a : b;
  int64_t most = (n ? n : m) - 1;
  if (k.kind == V_INT && (k.i < 0 || k.i > most)) {
    Diagnostic *d =
        elab_error(e, span, "out-of-range", "%lld is never an %s, whose values are 0 to %lld",
                   (long long)k.i, val_text(e, index), (long long)most);
    note_origins(e, d, &index, 1, span);
    diag_note(e->s, d, (Span){0}, "things are counted from 0");
    return false;
  }
  return true;
}

static void to_float(Elab *e, Val *v) {
  if (v->kind == V_INT)
    *v = (Val){.kind = V_FLOAT, .f = (double)v->i, .span = v->span};
  else if (v->kind == V_TENSOR && v->t->type.elem == TY_I32)
    v->t = ir_convert(building(e), v->t, TY_F32);
}

Val arith_binary(Elab *e, int op, Val a, Val b, Span span, Span a_span, Span b_span) {
  if (a.kind == V_ERROR || b.kind == V_ERROR)
    return val_error();
  Val folded;
  if (is_number(a) && is_number(b) && op != '@' && op != OP_AND && op != OP_OR)
    return fold_numbers(e, op, a, b, span);
  if (fold_other(op, a, b, &folded))
    return folded;
  if (op == '@')
    return arith_matmul(e, a, b, span);
  const char *what = operator_text(op);
  if ((!is_shapeless(a) && not_a_tensor(e, what, a, a_span)) ||
      (!is_shapeless(b) && not_a_tensor(e, what, b, b_span)) || !check_indices(e, op, a, b, span))
    return val_error();
  bool a_scalar = is_simple(a) || (a.kind == V_TENSOR && !a.t->type.rank);
  bool b_scalar = is_simple(b) || (b.kind == V_TENSOR && !b.t->type.rank);
  if ((is_shapeless(a) && (b_scalar || is_shapeless(b))) || (is_shapeless(b) && a_scalar))
    return draw_op(e, op, 0, (Val[]){a, b}, 2, span);
  at(e, span);
  if (op == '/' || op == '^') {
    to_float(e, &a);
    to_float(e, &b);
  }
  Val v[2] = {a, b};
  Value *x[2];
  uint8_t ones;
  if (!arith_align(e, what, v, x, 2, span, &ones))
    return val_error();
  bool logical = op == OP_AND || op == OP_OR, truth = x[0]->type.elem == TY_BOOL;
  if (logical != truth && !(truth && (op == OP_EQ || op == OP_NE))) {
    Diagnostic *d =
        elab_error(e, span, "wrong-type", "%s needs %s, found %s and %s", what,
                   logical ? "truth values" : "numbers", val_text(e, a), val_text(e, b));
    diag_note(e->s, d, (Span){0},
              logical ? "comparisons give truth values: x > 0" : "f32(x) makes numbers of them");
    return val_error();
  }
  at(e, span);
  Val r = val_tensor(emit_binary(e, op, x[0], x[1], b));
  r.ones = ones;
  return r;
}

Val arith_unary(Elab *e, int op, Val a, Span span) {
  if (a.kind == V_ERROR)
    return a;
  if (op == OP_NOT && a.kind == V_BOOL)
    return val_bool(!a.i);
  if (op == '-' && a.kind == V_INT)
    return val_int(-a.i);
  if (op == '-' && a.kind == V_FLOAT)
    return val_float(-a.f);
  if (is_shapeless(a) && op == '-')
    return draw_op(e, '-', 0, (Val[]){val_float(0), a}, 2, span);
  const char *what = op == OP_NOT ? "`not`" : "`-`";
  if (op == '-' && range_of(a)) {
    Diagnostic *d = elab_error(e, span, "index-arithmetic",
                               "`-` on %s: an index is a name, not a number", val_text(e, a));
    diag_note(e->s, d, (Span){0}, "one_hot(i) makes numbers of it");
    return val_error();
  }
  Value *x;
  uint8_t ones;
  if (!arith_align(e, what, &a, &x, 1, span, &ones))
    return val_error();
  if ((x->type.elem == TY_BOOL) != (op == OP_NOT)) {
    Diagnostic *d = elab_error(e, span, "wrong-type", "%s needs %s, found %s", what,
                               op == OP_NOT ? "truth values" : "numbers", val_text(e, a));
    diag_note(e->s, d, (Span){0},
              op == OP_NOT ? "comparisons give truth values: x > 0"
                           : "f32(x) makes numbers of them");
    return val_error();
  }
  at(e, span);
  Val r = val_tensor(ir_unary(building(e), op == OP_NOT ? OP_not : OP_neg, x));
  r.ones = ones;
  return r;
}

// ---- @ ----------------------------------------------------------------------------------------

static bool matmul_operand(Elab *e, Val *v, Span span) {
  if (v->kind == V_LIST) {
    Value *t = elab_tensor(e, *v, NULL, span);
    *v = val_tensor(t);
  }
  if (v->kind == V_ERROR)
    return false;
  if (v->kind == V_TENSOR && v->t->type.rank && v->t->type.elem == TY_F32)
    return true;
  Diagnostic *d = elab_error(e, span, "wrong-type",
                             "`@` needs vectors or matrices of f32, found %s", val_text(e, *v));
  note_uncalled(e, d, *v, v->span);
  if (v->kind == V_TENSOR && !v->t->type.rank && v->t->type.elem == TY_F32)
    diag_note(e->s, d, (Span){0},
              "it is one number: `*` multiplies by it, x[_] makes a vector of it");
  return false;
}

static const char *product_advice(Elab *e, const Type *x, const Type *y, uint32_t batch) {
  Dim inner = y->dim[y->rank > 1 ? y->rank - 2u : 0], last = x->dim[x->rank - 1];
  if (batch)
    return "the axes before the last two are the same in both, one product for each";
  if (type_count(x) == inner)
    return arena_printf(e->s->perm, "Flatten makes %s into f32[%lld]", type_user_text(e, x),
                        (long long)inner);
  if (y->rank == 1 && x->rank == 2 && x->dim[0] == inner)
    return "a vector stands before its matrix: x @ w, where w is f32[in, out]";
  if (y->rank == 2 && y->dim[1] == last)
    return arena_printf(e->s->perm,
                        "the inputs come first in the shape of a matrix, f32[%lld, %lld]; "
                        "transpose(w, [1, 0]) turns it",
                        (long long)y->dim[1], (long long)y->dim[0]);
  return "the last size of the left side is the first one of the right: f32[4] @ f32[4, 16] is "
         "f32[16]";
}

// x[.., k] @ y[k], x[.., k] @ y[k, n], x[b.., m, k] @ y[b.., k, n].
Val arith_matmul(Elab *e, Val a, Val b, Span span) {
  if (!matmul_operand(e, &a, span) || !matmul_operand(e, &b, span))
    return val_error();
  const Type *x = &a.t->type, *y = &b.t->type;
  uint32_t batch = y->rank > 2 ? y->rank - 2 : 0;
  uint32_t ca = x->rank - 1u, cb = y->rank > 1 ? y->rank - 2u : 0;
  bool fits = x->dim[ca] == y->dim[cb] && (!batch || x->rank == y->rank);
  for (uint32_t i = 0; fits && i < batch; i++)
    fits = x->dim[i] == y->dim[i];
  if (!fits) {
    Diagnostic *d;
    if (!batch)
      d = elab_error(e, span, "shape-mismatch",
                     "`@`: %s @ %s, but the inner sizes %lld and %lld differ", val_text(e, a),
                     val_text(e, b), (long long)x->dim[ca], (long long)y->dim[cb]);
    else
      d = elab_error(e, span, "shape-mismatch",
                     "`@`: %s @ %s, but leading and inner sizes must agree", val_text(e, a),
                     val_text(e, b));
    note_origins(e, d, (Val[]){a, b}, 2, span);
    const char *advice = product_advice(e, x, y, batch);
    if (advice)
      diag_note(e->s, d, (Span){0}, "%s", advice);
    return val_error();
  }
  at(e, span);
  return val_tensor(ir_dot(building(e), a.t, b.t, &ca, &cb, 1, batch));
}
