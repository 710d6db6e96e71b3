// The reference evaluator against numbers worked out by hand or published: everything else is
// compared with it. Also the bits of random draws.
#include "optest.h"
#include "nnrt_random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Literals as arguments a, b, c; one operation; the numbers expected.
typedef struct {
  const char *name, *a, *b, *c, *op, *type, *expected; // data: "f32[2]{1, 2}"
} Case;

static const Case cases[] = {
    {"dot", "f32[2, 3]{1, 2, 3, 4, 5, 6}", "f32[3, 2]{1, 0, 0, 1, 1, 1}", NULL,
     "dot %a, %b ca=[1] cb=[0]", "f32[2, 2]", "4 5 10 11"},
    {"dot-batch", "f32[2, 2]{1, 2, 3, 4}", "f32[2, 2]{5, 6, 7, 8}", NULL,
     "dot %a, %b ca=[1] cb=[1] batch=1", "f32[2]", "17 53"},
    {"dot-outer", "f32[2]{1, 2}", "f32[3]{3, 4, 5}", NULL, "dot %a, %b ca=[] cb=[]", "f32[2, 3]",
     "3 4 5 6 8 10"},
    {"transpose", "f32[2, 3]{1, 2, 3, 4, 5, 6}", NULL, NULL, "transpose %a perm=[1, 0]",
     "f32[3, 2]", "1 4 2 5 3 6"},
    {"broadcast", "f32[2]{1, 2}", NULL, NULL, "broadcast %a axes=[0] to=[2, 3]", "f32[2, 3]",
     "1 1 1 2 2 2"},
    {"slice", "f32[6]{0, 1, 2, 3, 4, 5}", NULL, NULL, "slice %a start=[1] limit=[6] stride=[2]",
     "f32[3]", "1 3 5"},
    {"pad", "f32[2]{1, 2}", NULL, NULL, "pad %a low=[1] high=[2] value=9", "f32[5]", "9 1 2 9 9"},
    {"reverse", "f32[2, 2]{1, 2, 3, 4}", NULL, NULL, "reverse %a axis=0", "f32[2, 2]", "3 4 1 2"},
    {"concat", "f32[2, 1]{1, 2}", "f32[2, 2]{3, 4, 5, 6}", NULL, "concat %a, %b axis=1",
     "f32[2, 3]", "1 3 4 2 5 6"},
    {"sum", "f32[2, 3]{1, 2, 3, 4, 5, 6}", NULL, NULL, "sum %a axes=[0]", "f32[3]", "5 7 9"},
    {"max-sees-nan", "f32[2, 2]{1, nan, 3, 2}", NULL, NULL, "max_along %a axes=[1]", "f32[2]",
     "nan 3"},
    {"min", "f32[2, 2]{1, 5, 3, 2}", NULL, NULL, "min_along %a axes=[1]", "f32[2]", "1 2"},
    {"argmax-first-of-equals", "f32[2, 3]{1, 3, 3, 0, 0, 0}", NULL, NULL, "argmax %a", "i32[2]<3>",
     "1 0"},
    {"gather", "f32[3, 2]{1, 2, 3, 4, 5, 6}", "i32[2]{2, 0}", NULL, "gather %a, %b", "f32[2, 2]",
     "5 6 1 2"},
    {"gather-no-row", "f32[3]{1, 2, 3}", "i32[2]{3, -1}", NULL, "gather %a, %b", "f32[2]",
     "nan nan"},
    {"gather-no-whole-row", "i32[3]{1, 2, 3}", "i32[3]{3, 1, -1}", NULL, "gather %a, %b", "i32[3]",
     "0 2 0"},
    {"scatter-adds", "i32[3]{1, 1, 5}", "f32[3]{1, 2, 4}", NULL, "scatter_add %a, %b rows=3",
     "f32[3]", "0 3 0"},
    {"adds-rows", "f32[3]{1, 2, 3}", "i32[4]{1, 1, 5, 0}", "f32[4]{1, 2, 4, 8}",
     "add_rows %a, %b, %c", "f32[3]", "9 5 3"},
    {"iota", NULL, NULL, NULL, "iota dims=[2, 3] axis=1", "i32[2, 3]", "0 1 2 0 1 2"},
    {"count", NULL, NULL, NULL, "count", "f32", "3"},
    {"floor-division", "i32[4]{7, -7, 7, -7}", "i32[4]{2, 2, -2, 0}", NULL, "div %a, %b", "i32[4]",
     "3 -4 -4 0"},
    {"mod-whole", "i32[4]{7, -7, 7, 5}", "i32[4]{3, 3, -3, 0}", NULL, "mod %a, %b", "i32[4]",
     "1 2 -2 0"},
    {"mod", "f32[2]{5.5, -5.5}", "f32[2]{2, 2}", NULL, "mod %a, %b", "f32[2]", "1.5 0.5"},
    {"relu-sees-nan", "f32[3]{-1, nan, 2}", NULL, NULL, "relu %a", "f32[3]", "0 nan 2"},
    {"max-of-two-sees-nan", "f32[3]{nan, 1, 1}", "f32[3]{1, nan, 2}", NULL, "max %a, %b", "f32[3]",
     "nan nan 2"},
    {"round-to-even", "f32[4]{0.5, 1.5, -2.5, 2.6}", NULL, NULL, "round %a", "f32[4]", "0 2 -2 3"},
    {"convert-towards-zero", "f32[3]{1.9, -1.9, 0}", NULL, NULL, "convert %a elem=i32", "i32[3]",
     "1 -1 0"},
    {"convert-to-bool", "f32[3]{1.9, -1.9, 0}", NULL, NULL, "convert %a elem=bool", "bool[3]",
     "1 1 0"},
    {"select", "bool[2]{1, 0}", "f32[2]{1, 2}", "f32[2]{3, 4}", "select %a, %b, %c", "f32[2]",
     "1 4"},
    {"sigmoid-far-out", "f32[2]{-1000, 1000}", NULL, NULL, "sigmoid %a", "f32[2]", "0 1"},
    {"softplus-far-out", "f32[2]{-1000, 1000}", NULL, NULL, "softplus %a", "f32[2]", "0 1000"},
    {"sign", "f32[4]{-3, 0, 2, nan}", NULL, NULL, "sign %a", "f32[4]", "-1 0 1 nan"},
    {"step", "f32[3]{-3, 0, 2}", NULL, NULL, "step %a", "f32[3]", "0 0 1"},
    {"not-a-number-differs", "f32[2]{nan, 1}", "f32[2]{nan, 1}", NULL, "ne %a, %b", "bool[2]",
     "1 0"},
    {"scan-carries", "f32{1}", "f32[3]{1, 2, 3}", NULL,
     "scan %a, %b carries=1 captures=0 length=3 { ^(%a: f32, %b: f32) %c = mul %a, %b : f32 "
     "%d = add %c, %b : f32 yield %d }",
     "f32", "21"},
    {"scan-in-reverse", "f32{1}", "f32[3]{1, 2, 3}", NULL,
     "scan %a, %b carries=1 captures=0 length=3 reverse=1 { ^(%a: f32, %b: f32) "
     "%c = mul %a, %b : f32 %d = add %c, %b : f32 yield %d }",
     "f32", "15"},
    {"scan-stacks", "f32[2]{1, 2}", "f32[3, 2]{1, 2, 3, 4, 5, 6}", NULL,
     "scan %a, %b carries=0 captures=1 length=3 reverse=1 { ^(%a: f32[2], %b: f32[2]) "
     "%c = add %a, %b : f32[2] yield %c }",
     "f32[3, 2]", "2 4 4 6 6 8"},
    {"scan-in-a-scan", "f32{1}", "f32[2, 2]{1, 2, 3, 4}", NULL,
     "scan %a, %b carries=1 captures=0 length=2 { ^(%a: f32, %b: f32[2]) "
     "%c = scan %a, %b carries=1 captures=0 length=2 reverse=1 { ^(%a: f32, %b: f32) "
     "%c = mul %a, %b : f32 %d = add %c, %b : f32 yield %d } : f32 yield %c }",
     "f32", "75"},
};

// %a, %b, %c are written as %0, %1, %2.
static void put_operation(Text *text, const char *op) {
  for (; *op; op++)
    if (*op == '%')
      text_printf(text, "%%%d", *++op - 'a');
    else
      text_putn(text, op, 1);
}

static const char *type_of(Session *s, const char *literal) {
  return intern_n(s, literal, strcspn(literal, "{"));
}

static Function *function_of(Session *s, const Case *c) {
  const char *data[] = {c->a, c->b, c->c};
  Text text = {.arena = s->perm};
  text_put(&text, "func @f() {\n");
  for (int i = 0; i < 3; i++)
    if (data[i])
      text_printf(&text, "%%%d = literal data=%s : %s\n", i, data[i], type_of(s, data[i]));
  text_put(&text, "%9 = ");
  put_operation(&text, c->op);
  text_printf(&text, " : %s return %%9 output 0 }", c->type);
  Module *m = ir_read(s, source_add(s, c->name, text.at, text.n));
  return m ? m->fn.at[0] : NULL;
}

static const char *check(Session *s, const Case *c) {
  Function *f = function_of(s, c);
  Tensor *out[1];
  if (!f)
    return s->diag.at[0]->text;
  const char *wrong = ir_eval(f, 3, NULL, out, s->perm), *p = c->expected;
  for (int64_t i = 0; !wrong && i < out[0]->count; i++) {
    double want;
    int used = 0;
    if (sscanf(p, "%lf%n", &want, &used) != 1)
      return "more numbers than expected";
    p += used;
    double found = out[0]->at[i];
    if (!(fabs(found - want) < 1e-12) && !(isnan(found) && isnan(want)))
      wrong = arena_printf(s->perm, "element %d is %g, expected %g", (int)i, found, want);
  }
  return wrong || !*p ? wrong : "fewer numbers than expected";
}

// ---- Philox 4x32-10: the known answers published with Random123 --------------------------------

static const struct {
  uint32_t key[2], counter[4], expected[4];
} answers[] = {
    {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0xa4093822, 0x299f31d0},
     {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_philox(void) {
  bool right = true;
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    NnrtRandomBlock c;
    memcpy(c.word, answers[i].counter, sizeof c.word);
    c = nnrt_philox(answers[i].key[0], answers[i].key[1], c);
    right &= memcmp(c.word, answers[i].expected, sizeof c.word) == 0;
  }
  report(right, "ir_eval", "philox known answers", "other bits");
}

// ---- draws -------------------------------------------------------------------------------------

static Tensor *draw(Session *s, const char *kind, const char *stream, int step, int64_t rows) {
  const char *text = arena_printf(
      s->perm,
      "func @f(%%0: i32[N] example 0) { %%1 = const elem=i32 dims=[] value=11 : i32 "
      "%%2 = const elem=i32 dims=[] value=%d : i32 "
      "%%3 = random %%1, %%2, %%0 kind=\"%s\" stream=\"%s\" dims=[50, 41] : f32[N, 50, 41] "
      "return %%3 output 0 }",
      step, kind, stream);
  Module *m = ir_read(s, source_add(s, "draw", text, strlen(text)));
  Tensor *example = tensor_new(s->perm, (Type){.elem = TY_I32, .rank = 1, .dim = {-1}}, rows);
  for (int64_t i = 0; i < rows; i++)
    example->at[i] = (double)(rows - i);
  Tensor *out[1] = {NULL};
  if (m)
    ir_eval(m->fn.at[0], rows, (const Tensor *const[]){example}, out, s->perm);
  return out[0];
}

static void moments(const Tensor *t, double *mean, double *variance) {
  *mean = *variance = 0;
  for (int64_t i = 0; i < t->count; i++)
    *mean += t->at[i] / (double)t->count;
  for (int64_t i = 0; i < t->count; i++)
    *variance += (t->at[i] - *mean) * (t->at[i] - *mean) / (double)t->count;
}

static void test_draws(void) {
  Session *s = session_create();
  double mean, variance;
  Tensor *uniform = draw(s, "uniform", "a", 1, 10), *normal = draw(s, "normal", "a", 1, 10);
  moments(uniform, &mean, &variance);
  report(fabs(mean - 0.5) < 0.01 && fabs(variance - 1.0 / 12) < 0.003, "ir_eval", "uniform",
         "mean or variance is off");
  moments(normal, &mean, &variance);
  report(fabs(mean) < 0.03 && fabs(variance - 1) < 0.05, "ir_eval", "normal",
         "mean or variance is off");
  // The row of example 1 is the same whatever else is in the batch: last of ten, only one of one.
  Tensor *alone = draw(s, "uniform", "a", 1, 1);
  bool same =
      memcmp(alone->at, uniform->at + 9 * alone->count, sizeof(double) * (size_t)alone->count) == 0;
  report(same, "ir_eval", "a draw belongs to its example", "it depends on the batch");
  bool other = difference(alone, draw(s, "uniform", "b", 1, 1)) > 0.1 &&
               difference(alone, draw(s, "uniform", "a", 2, 1)) > 0.1;
  report(other, "ir_eval", "streams and steps differ", "they are equal");
  session_destroy(s);
}

int main(void) {
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Session *s = session_create();
    const char *wrong = check(s, &cases[i]);
    report(!wrong, "ir_eval", cases[i].name, wrong);
    session_destroy(s);
  }
  test_philox();
  test_draws();
  return report_status();
}
