// IR as text: printed, read and printed again it is the same, with locations, groups, ports,
// literals and names; what is not IR is refused with a place, however it is damaged.
#include "optest.h"

#include <stdio.h>
#include <string.h>

// Exactly as the printer writes it.
static const char *const module_text =
    "loc 1 = \"mnist.nn\" 120..140\n"
    "loc 2 = \"<std>/layers.nn\" 310..321 in 1 layer \"dense\"\n"
    "loc 3 = \"\" 0..0 in 2\n"
    "\n"
    "func @eval.Mlp(\n"
    "    %0: f32[784, 10] param 0 \"dense.weight\",\n"
    "    %1: u8[N, 28, 28] column 0 \"image\",\n"
    "    %2: i32[N]<10> column 1 \"a \\\"label\\\"\\\\\\x0a\",\n"
    "    %3: f32 config 3) {\n"
    "  %4 = convert %1 elem=f32 range=0 : f32[N, 28, 28] @1\n"
    "  %5 = reshape %4 to=[28N, 28] : f32[28N, 28] @1 \"image.flat\"\n"
    "  %6 = reshape %5 to=[N, 784] : f32[N, 784]\n"
    "  %7 = const elem=f32 dims=[] value=0.1 range=0 : f32\n"
    "  %8 = const elem=f32 dims=[N, 10] value=-inf range=0 : f32[N, 10]\n"
    "  %9 = const elem=i32 dims=[] value=7 range=10 : i32<10> @3\n"
    "  %10 = literal data=f32[2, 2]{1, -0, nan, 1.0000001} : f32[2, 2]\n"
    "  %11, %12 = group %6, %0 kind=\"dot\" tile=[4, 64] phase=2 inplace=[1, 0] {\n"
    "    ^(%0: f32[N, 784], %1: f32[784, 10])\n"
    "    %2 = dot %0, %1 ca=[1] cb=[0] batch=0 : f32[N, 10] @2\n"
    "    yield %2, %0\n"
    "  } : f32[N, 10], f32[N, 784] @2\n"
    "  %13 = random %9, %9 kind=\"uniform\" stream=\"dense.weight\" dims=[3] : f32[3]\n"
    "  return %11 metric 0 \"loss\", %0 param 0 \"dense.weight\" @1\n"
    "}\n"
    "\n"
    "func @\"odd name\"() {\n"
    "  return\n"
    "}\n"
    "\n"
    "func @per.example(\n"
    "    %0: *f32[3] column 0,\n"
    "    %1: f32[3] param 0) {\n"
    "  %2 = mul %0, %1 : *f32[3]\n"
    "  %3 = sum %2 axes=[0] : *f32\n"
    "  %4 = batch_sum %3 : f32\n"
    "  %5, %6 = grad %4, %1, %0 : f32[3], *f32[3]\n"
    "  return %5 grad 0, %6 output 0\n"
    "}\n";

static Module *read_text(Session *s, const char *text, size_t n) {
  return ir_read(s, source_add(s, "test.ir", text, n));
}

static const char *printed(Module *m) {
  Text text = {.arena = m->arena};
  ir_print(m, &text);
  return text.at;
}

static void first_difference(const char *a, const char *b) {
  size_t i = 0;
  while (a[i] && a[i] == b[i])
    i++;
  fprintf(stderr, "expected: %.80s\nfound:    %.80s\n", a + i, b + i);
}

static void test_identical(void) {
  Session *s = session_create();
  Module *m = read_text(s, module_text, strlen(module_text));
  const char *again = m ? printed(m) : "";
  if (!m)
    diag_print(s, stderr);
  else if (strcmp(module_text, again))
    first_difference(module_text, again);
  report(m && !strcmp(module_text, again), "ir_roundtrip", "identical", "printed differently");
  bool found = m && m->loc.n == 4 && m->loc.at[2].parent == 1 &&
               strcmp(m->loc.at[2].layer, "dense") == 0 &&
               strcmp(s->source.at[m->loc.at[2].span.file].path, "<std>/layers.nn") == 0;
  report(found, "ir_roundtrip", "call chains", "locations are lost");
  session_destroy(s);
}

// Attributes with defaults may be left out by hand; spaces and comments don't matter.
static void test_by_hand(void) {
  Session *s = session_create();
  const char *text = "// a comment\nfunc @f(%3:f32[2,3] column 0){ // another\n"
                     "%5=dot %3,%3 ca=[0,1] cb=[0,1]:f32\n return %5 metric 0}";
  const char *wanted = "func @f(\n    %0: f32[2, 3] column 0) {\n"
                       "  %1 = dot %0, %0 ca=[0, 1] cb=[0, 1] batch=0 : f32\n"
                       "  return %1 metric 0\n}\n";
  Module *m = read_text(s, text, strlen(text));
  report(m && !strcmp(printed(m), wanted), "ir_roundtrip", "by hand", "read wrongly");
  session_destroy(s);
}

// ---- what is refused ---------------------------------------------------------------------------

static const struct {
  const char *name, *text, *says; // the message contains `says`
} bad[] = {
    {"no-function", "hello", "expected 'loc' or 'func'"},
    {"unknown-operation", "func @f() { %0 = frob : f32 return }", "no operation 'frob'"},
    {"unknown-attribute", "func @f() { %0 = count foo=1 : f32 return }", "no attribute 'foo'"},
    {"undefined-value", "func @f() { %1 = exp %0 : f32 return }", "%0 is not defined"},
    {"used-before-defined",
     "func @f(%0: f32 column 0) { %1 = exp %2 : f32 %2 = exp %0 : f32 return }",
     "%2 is not defined"},
    {"defined-twice", "func @f(%0: f32 column 0) { %0 = count : f32 return }", "defined twice"},
    {"wrong-type-written", "func @f(%0: f32[3] column 0) { %1 = exp %0 : f32[4] return }",
     "the result is f32[3]"},
    {"shapes-differ",
     "func @f(%0: f32[3] column 0, %1: f32[4] column 1) { %2 = add %0, %1 : f32[3] return }",
     "the shapes differ: f32[3] and f32[4]"},
    {"missing-attribute", "func @f(%0: f32[3] column 0) { %1 = sum %0 : f32 return }",
     "attribute 'axes' is missing"},
    {"too-few-arguments", "func @f(%0: f32 column 0) { %1 = add %0 : f32 return }",
     "it takes 2 arguments, 1 given"},
    {"no-return", "func @f(%0: f32 column 0) { %1 = exp %0 : f32 }", "does not end with return"},
    {"after-return", "func @f(%0: f32 column 0) { return %0 output 0 %1 = exp %0 : f32 return }",
     "before the end"},
    {"yield-outside", "func @f(%0: f32 column 0) { yield %0 }", "can't stand here"},
    {"group-reads-outside",
     "func @f(%0: f32 column 0, %1: f32 column 1) { %2 = group %0 kind=\"loop\" { ^(%0: f32) "
     "%2 = add %0, %1 : f32 yield %2 } : f32 return }",
     "%1 is not defined"},
    {"group-argument-type",
     "func @f(%0: f32 column 0) { %2 = group %0 kind=\"loop\" { ^(%0: i32) yield %0 } : f32 "
     "return }",
     "the group's argument is f32"},
    {"two-rows", "func @f(%0: f32[N, N] column 0) { return }", "N occurs twice"},
    {"too-large", "func @f(%0: f32[1000000000, 1000000000] column 0) { return }", "too large"},
    {"too-many-dimensions", "func @f(%0: f32[1, 1, 1, 1, 1, 1, 1, 1, 1] column 0) { return }",
     "at most 8"},
    {"unknown-role", "func @f(%0: f32 spam 0) { return }", "no role 'spam'"},
    {"same-port-twice", "func @f(%0: f32 param 0, %1: f32 param 0) { return }",
     "two arguments are param 0"},
    {"argument-that-is-a-result", "func @f(%0: f32 metric 0) { return }",
     "an argument can't be a metric"},
    {"result-that-is-an-argument", "func @f(%0: f32 column 0) { return %0 column 0 }",
     "a result can't be a column"},
    {"aliased-result-of-another-type",
     "func @f(%0: f32[3] param 0) { %1 = sum %0 axes=[0] : f32 return %1 param 0 }",
     "its argument is f32[3]"},
    {"unknown-loc", "func @f() { %0 = count : f32 @3 return }", "there is no loc 3"},
    {"loc-out-of-order", "loc 2 = \"a.nn\" 1..2", "numbered 1, 2, 3"},
    {"same-function-twice", "func @f() { return } func @f() { return }", "two functions @f"},
    {"open-string", "func @f() { %0 = random %0 kind=\"uni", "not defined"},
    {"literal-too-short", "func @f() { %0 = literal data=f32[3]{1, 2} : f32[3] return }",
     "expected ','"},
    {"literal-of-rows", "func @f() { %0 = literal data=f32[N]{1} : f32[N] return }",
     "constant dimensions"},
    {"range-of-floats", "func @f(%0: f32[3]<4> column 0) { return }", "can't have a range"},
};

static void test_refused(void) {
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    Session *s = session_create();
    Module *m = read_text(s, bad[i].text, strlen(bad[i].text));
    const char *said = s->diag.n ? s->diag.at[0]->text : "nothing";
    bool right = !m && s->diag.n == 1 && strcmp(s->diag.at[0]->code, "ir-syntax") == 0 &&
                 strstr(said, bad[i].says);
    report(right, "ir_roundtrip/refused", bad[i].name, said);
    session_destroy(s);
  }
}

// ---- damage: every beginning, and bytes changed, dropped or doubled ----------------------------

static bool survives(const char *text, size_t n) {
  Session *s = session_create();
  Module *m = read_text(s, text, n);
  bool right = m ? s->diag.n == 0 : s->diag.n == 1;
  session_destroy(s);
  return right;
}

static void test_damaged(void) {
  size_t n = strlen(module_text);
  bool right = true;
  char text[4000];
  Draw draw = {5};
  for (size_t i = 0; i < n; i++)
    right &= survives(module_text, i);
  report(right, "ir_roundtrip", "every beginning", "neither read nor refused once");
  for (int round = 0; round < 3000; round++) {
    size_t at = (size_t)(draw_unit(&draw) * (double)n), rest = (size_t)(draw_unit(&draw) * 3);
    static const char marks[] = "0123456789%[]{}<>*@,:;=\"N-\\ abcx";
    memcpy(text, module_text, at);
    text[at] = marks[(size_t)(draw_unit(&draw) * (double)(sizeof marks - 1))];
    strcpy(text + at + 1, module_text + (at + rest < n ? at + rest : n));
    right &= survives(text, strlen(text));
  }
  report(right, "ir_roundtrip", "damaged", "neither read nor refused once");
}

int main(void) {
  test_identical();
  test_by_hand();
  test_refused();
  test_damaged();
  return report_status();
}
