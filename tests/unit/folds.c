// What simplify makes of small programs: the expected text of the operations that are left, and the
// same values as before.
#include "optest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  const char *name;
  const char *args; // of the function: "%0: f32[3] column 0"
  const char *body; // the last value defined is returned
  const char *left; // the operations that remain, in order, before `return`
} Case;

static const Case cases[] = {
    {"add-zero", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=0 : f32[3] %2 = add %0, %1 : f32[3]", ""},
    {"zero-add", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=0 : f32[3] %2 = add %1, %0 : f32[3]", ""},
    {"times-one", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=1 : f32[3] %2 = mul %1, %0 : f32[3]", ""},
    {"times-zero-is-kept-for-nan", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=0 : f32[3] %2 = mul %0, %1 : f32[3]", "const mul"},
    {"times-zero-of-whole-numbers", "%0: i32[3] column 0",
     "%1 = const elem=i32 dims=[3] value=0 : i32[3] %2 = mul %0, %1 : i32[3]", "const"},
    {"times-twice", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=2 : f32[3] %2 = mul %0, %1 : f32[3] "
     "%3 = const elem=f32 dims=[3] value=4 : f32[3] %4 = mul %2, %3 : f32[3]",
     "const mul"},
    {"divide-by-power-of-two", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=8 : f32[3] %2 = div %0, %1 : f32[3]", "const mul"},
    {"divide-by-three-stays", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=3 : f32[3] %2 = div %0, %1 : f32[3]", "const div"},
    {"minus-minus", "%0: f32[3] column 0", "%1 = neg %0 : f32[3] %2 = neg %1 : f32[3]", ""},
    {"plus-minus", "%0: f32[3] column 0, %1: f32[3] column 1",
     "%2 = neg %1 : f32[3] %3 = add %0, %2 : f32[3]", "sub"},
    {"minus-minus-other", "%0: f32[3] column 0, %1: f32[3] column 1",
     "%2 = neg %1 : f32[3] %3 = sub %0, %2 : f32[3]", "add"},
    {"square", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=2 : f32[3] %2 = pow %0, %1 : f32[3]", "mul"},
    {"root", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=0.5 : f32[3] %2 = abs %0 : f32[3] "
     "%3 = pow %2, %1 : f32[3]",
     "abs sqrt"},
    {"relu-twice", "%0: f32[3] column 0", "%1 = relu %0 : f32[3] %2 = relu %1 : f32[3]", "relu"},
    {"select-known", "%0: f32[3] column 0, %1: f32[3] column 1",
     "%2 = const elem=bool dims=[3] value=0 : bool[3] %3 = select %2, %0, %1 : f32[3]", ""},
    {"select-not", "%0: bool[3] column 0, %1: f32[3] column 1, %2: f32[3] column 2",
     "%3 = not %0 : bool[3] %4 = select %3, %1, %2 : f32[3]", "select"},
    {"and-true", "%0: bool[3] column 0",
     "%1 = const elem=bool dims=[3] value=1 : bool[3] %2 = and %0, %1 : bool[3]", ""},
    {"or-true", "%0: bool[3] column 0",
     "%1 = const elem=bool dims=[3] value=1 : bool[3] %2 = or %0, %1 : bool[3]", "const"},
    {"convert-up-twice", "%0: u8[3] column 0",
     "%1 = convert %0 elem=i32 range=0 : i32[3] %2 = convert %1 elem=f32 range=0 : f32[3]",
     "convert"},
    {"convert-down-and-up-stays", "%0: f32[3] column 0",
     "%1 = convert %0 elem=i32 range=0 : i32[3] %2 = convert %1 elem=f32 range=0 : f32[3]",
     "convert convert"},
    {"reshape-back", "%0: f32[2, 3] column 0",
     "%1 = reshape %0 to=[6] : f32[6] %2 = reshape %1 to=[2, 3] : f32[2, 3]", ""},
    {"reshape-with-rows", "%0: f32[N, 2, 3] column 0",
     "%1 = reshape %0 to=[2N, 3] : f32[2N, 3] %2 = reshape %1 to=[N, 6] : f32[N, 6]", "reshape"},
    {"transpose-back", "%0: f32[2, 3, 4] column 0",
     "%1 = transpose %0 perm=[1, 2, 0] : f32[3, 4, 2] "
     "%2 = transpose %1 perm=[2, 0, 1] : f32[2, 3, 4]",
     ""},
    {"transpose-twice", "%0: f32[2, 3, 4] column 0",
     "%1 = transpose %0 perm=[1, 2, 0] : f32[3, 4, 2] "
     "%2 = transpose %1 perm=[1, 2, 0] : f32[4, 2, 3]",
     "transpose"},
    {"transpose-of-a-row", "%0: f32[1, 5] column 0", "%1 = transpose %0 perm=[1, 0] : f32[5, 1]",
     "reshape"},
    {"broadcast-twice", "%0: f32[3] column 0",
     "%1 = broadcast %0 axes=[1] to=[2, 3] : f32[2, 3] "
     "%2 = broadcast %1 axes=[0, 2] to=[2, 4, 3] : f32[2, 4, 3]",
     "broadcast"},
    {"broadcast-of-constant", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[3] value=2.5 : f32[3] "
     "%2 = broadcast %1 axes=[1] to=[2, 3] : f32[2, 3]",
     "const"},
    {"reverse-twice", "%0: f32[2, 3] column 0",
     "%1 = reverse %0 axis=1 : f32[2, 3] %2 = reverse %1 axis=1 : f32[2, 3]", ""},
    {"slice-of-slice", "%0: f32[20] column 0",
     "%1 = slice %0 start=[3] limit=[20] stride=[2] : f32[9] "
     "%2 = slice %1 start=[1] limit=[9] stride=[3] : f32[3]",
     "slice"},
    {"slice-of-all", "%0: f32[N, 4] column 0",
     "%1 = slice %0 start=[0, 0] limit=[N, 4] stride=[1, 1] : f32[N, 4]", ""},
    {"pad-by-nothing", "%0: f32[N, 4] column 0",
     "%1 = pad %0 low=[0, 0] high=[0, 0] value=0 : f32[N, 4]", ""},
    {"concat-of-one", "%0: f32[4] column 0", "%1 = concat %0 axis=0 : f32[4]", ""},
    {"concat", "%0: f32[2] column 0, %1: f32[3] column 1", "%2 = concat %0, %1 axis=0 : f32[5]",
     "iota pad pad const ge select"},
    {"sum-of-sum", "%0: f32[2, 3, 4] column 0",
     "%1 = sum %0 axes=[1] : f32[2, 4] %2 = sum %1 axes=[0] : f32[4]", "sum"},
    {"sum-over-one", "%0: f32[2, 1] column 0", "%1 = sum %0 axes=[1] : f32[2]", "reshape"},
    {"sum-of-what-was-spread", "%0: f32[3] column 0",
     "%1 = broadcast %0 axes=[1] to=[2, 3, 4] : f32[2, 3, 4] "
     "%2 = sum %1 axes=[0] : f32[3, 4]",
     "const mul broadcast"},
    {"sum-of-what-was-spread-behind", "%0: f32[2, 3] column 0",
     "%1 = broadcast %0 axes=[1, 3] to=[5, 2, 4, 3] : f32[5, 2, 4, 3] "
     "%2 = sum %1 axes=[0, 2] : f32[2, 3]",
     "const mul"},
    {"sum-over-rows-of-what-was-spread", "%0: f32[3] column 0",
     "%1 = broadcast %0 axes=[1] to=[N, 3] : f32[N, 3] %2 = sum %1 axes=[0] : f32[3]",
     "count broadcast mul"},
    {"sum-of-constant", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[5, 3] value=0.5 : f32[5, 3] %2 = sum %1 axes=[0] : f32[3]",
     "const"},
    {"max-of-constant", "%0: f32[3] column 0",
     "%1 = const elem=f32 dims=[5, 3] value=0.5 : f32[5, 3] %2 = max_along %1 axes=[0] : f32[3]",
     "const"},
};

enum { ROWS = 3 };

// The number that the last "%N =" of the body defines.
static int last_defined(const char *body) {
  int last = 0, id, end;
  for (const char *p = strchr(body, '%'); p; p = strchr(p + 1, '%')) {
    end = 0;
    if (sscanf(p, "%%%d =%n", &id, &end) == 1 && end)
      last = id;
  }
  return last;
}

static Module *read_case(Session *s, const Case *c) {
  char *text = arena_printf(s->perm, "func @f(%s) { %s return %%%d output 0 }", c->args, c->body,
                            last_defined(c->body));
  return ir_read(s, source_add(s, c->name, text, strlen(text)));
}

static Tensor *run(Session *s, const Function *f, const char **wrong) {
  static const OpDef any = {.domain = "-2..2"};
  Draw draw = {7};
  Tensor *in[MOST_ARGS], *out[1] = {NULL};
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    in[i] = draw_tensor(&draw, s->perm, &any, &f->body->arg[i]->type, ROWS);
  *wrong = ir_eval(f, ROWS, (const Tensor *const *)in, out, s->perm);
  return out[0];
}

static const char *operations(Session *s, const Function *f) {
  Text text = {.arena = s->perm};
  text_put(&text, "");
  for (const Inst *i = f->body->first; i != f->body->last; i = i->next)
    text_printf(&text, "%s%s", text.n ? " " : "", op_table[i->op]->name);
  return text.at;
}

static const char *check(Session *s, const Case *c) {
  Module *m = read_case(s, c);
  const char *wrong;
  if (!m)
    return s->diag.at[0]->text;
  Tensor *before = run(s, m->fn.at[0], &wrong);
  if (wrong)
    return wrong;
  pass_simplify(m);
  if ((wrong = ir_verify(m)))
    return wrong;
  const char *left = operations(s, m->fn.at[0]);
  if (strcmp(left, c->left))
    return arena_printf(s->perm, "left: '%s', expected: '%s'", left, c->left);
  Tensor *after = run(s, m->fn.at[0], &wrong);
  if (wrong)
    return wrong;
  return difference(before, after) < 1e-6 ? NULL : "the values changed";
}

int main(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Session *s = session_create();
    const char *wrong = check(s, &cases[i]);
    report(!wrong, "folds", cases[i].name, wrong);
    session_destroy(s);
  }
  return report_status();
}
