// Programs of random expressions: every builtin, prelude function and operator, with arguments of
// every kind and shape, in models that are trained and in predict blocks. Most are refused; what is
// accepted goes through the compiler. `fuzz_expressions SEED` shows one program and what becomes of
// it, `fuzz_expressions 0 COUNT` tries more or fewer.
#include "fuzzing.h"
#include "optest.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
  Draw draw;
  Text text;
  bool gentle;    // of f32[3] mostly, so that more is accepted
  uint32_t n_let; // a0 .. are named so far
} Writer;

static uint32_t below(Writer *w, uint32_t n) {
  return (uint32_t)(draw_unit(&w->draw) * n);
}

#define ONE_OF(w, list) (list)[below(w, sizeof(list) / sizeof *(list))]

// Names of the program that write_program makes, numbers, lists, draws.
static const char *const atoms[] = {
    "x",
    "x",
    "m",
    "m",
    "s",
    "i",
    "k",
    "b",
    "w",
    "w",
    "u",
    "rate",
    "size",
    "2",
    "0.5",
    "-1",
    "0",
    "1e30",
    "[1, 2, 3]",
    "[0.5, 2]",
    "true",
    "zeros",
    "normal",
    "normal[3]",
    "ones[3, 3]",
    "uniform[]",
    "(x, m)",
    "[x, w]",
    "iota(3)",
    "relu",
    "\"a\"",
    "constant(2)",
    "step",
    "normal(0, 1)",
    "[[1, 2, 3], [4, 5, 6], [7, 8, 9]]",
};

static const char *const gentle_atoms[] = {"x", "w", "s", "2", "0.5", "rate", "m", "u", "x[0]"};
static const char *const gentle_functions[] = {
    "sum",      "mean",    "max",         "min",     "norm",          "exp",  "log",     "log1p",
    "expm1",    "sqrt",    "rsqrt",       "tanh",    "abs",           "erf",  "sigmoid", "relu",
    "softplus", "softmax", "log_softmax", "selu",    "sin",           "sign", "floor",   "elu",
    "gelu",     "swish",   "reverse",     "flatten", "stop_gradient", "f32",
};
static const char *const gentle_operators[] = {"+", "-", "*", "/"};

static const char *const functions[] = {
    // builtins
    "sum",
    "mean",
    "max",
    "min",
    "all",
    "any",
    "argmax",
    "one_hot",
    "dot",
    "norm",
    "reshape",
    "flatten",
    "transpose",
    "reverse",
    "concat",
    "split",
    "pad",
    "iota",
    "shape",
    "size",
    "rank",
    "len",
    "f32",
    "select",
    "clip",
    "ceil",
    "batch_sum",
    "batch_roll",
    "batch_mean",
    "stop_gradient",
    "grad",
    "top",
    "integer",
    "div",
    "exp",
    "log",
    "log1p",
    "expm1",
    "sqrt",
    "rsqrt",
    "tanh",
    "sigmoid",
    "softplus",
    "relu",
    "sin",
    "cos",
    "erf",
    "abs",
    "sign",
    "floor",
    "round",
    "pow",
    "step",
    "normal",
    "uniform",
    "bernoulli",
    "integers",
    // the prelude
    "linear",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "swish",
    "softmax",
    "log_softmax",
    "heaviside",
    "min_max(0, 2)",
    "mse",
    "mae",
    "huber",
    "hinge",
    "cross_entropy",
    "bce",
    "at_label",
    "cross_entropy_probability",
    "cross_entropy_normalized",
    "bce_probability",
    "accuracy",
    "top_k_accuracy",
    "binary_accuracy",
    "constant",
};

static const char *const operators[] = {"+",  "-", "*",  "/",  "%",  "@",   "^",
                                        "==", "<", ">=", "!=", "or", "and", "|>"};

static const char *const indices[] = {
    "[0]", "[-1]",    "[i]", "[k]",    "[0..2]", "[1..]", "[.., 0]",
    "[_]", "[0, ..]", "[5]", "[2..1]", "[..]",   "[x]",
};

static const char *const named[] = {
    "axis = 0", "axis = -1", "axes = [0, 1]", "keep = true", "axes = leading",
    "axis = 7", "n = 4",     "value = 2",     "high = 1",    "k = 2",
};

static void write_expression(Writer *w, uint32_t depth);

static void write_atom(Writer *w) {
  if (w->n_let && below(w, 3) == 0)
    text_printf(&w->text, "a%u", below(w, w->n_let));
  else
    text_put(&w->text, w->gentle ? ONE_OF(w, gentle_atoms) : ONE_OF(w, atoms));
}

static void write_call(Writer *w, uint32_t depth) {
  uint32_t n = 1 + (!w->gentle && below(w, 2) ? below(w, 3) : 0);
  text_printf(&w->text, "%s(", w->gentle ? ONE_OF(w, gentle_functions) : ONE_OF(w, functions));
  for (uint32_t i = 0; i < n; i++) {
    text_put(&w->text, i ? ", " : "");
    write_expression(w, depth);
  }
  if (!w->gentle && below(w, 4) == 0)
    text_printf(&w->text, ", %s", ONE_OF(w, named));
  text_put(&w->text, ")");
}

static void write_loop(Writer *w, uint32_t depth) {
  text_put(&w->text, "for j in 0..2 with h = ");
  write_expression(w, depth);
  text_put(&w->text, " { h = h + ");
  write_expression(w, depth);
  text_put(&w->text, " }");
}

static void write_pair(Writer *w, const char *before, const char *between, const char *after,
                       uint32_t depth) {
  text_put(&w->text, before);
  write_expression(w, depth);
  text_put(&w->text, between);
  write_expression(w, depth);
  text_put(&w->text, after);
}

static void write_expression(Writer *w, uint32_t depth) {
  if (depth == 0) {
    write_atom(w);
    return;
  }
  switch (below(w, 12)) {
  case 0:
  case 1:
    write_atom(w);
    break;
  case 2:
    if (w->gentle) {
      write_call(w, depth - 1);
      break;
    }
    text_put(&w->text, "(");
    write_expression(w, depth - 1);
    text_printf(&w->text, ")%s", ONE_OF(w, indices));
    break;
  case 3:
    write_pair(w, "if size == 3 { ", " } else { ", " }", depth - 1);
    break;
  case 4:
    write_loop(w, depth - 1);
    break;
  case 5:
  case 6:
  case 7:
    write_pair(w, "(",
               arena_printf(w->text.arena, " %s ",
                            w->gentle ? ONE_OF(w, gentle_operators) : ONE_OF(w, operators)),
               ")", depth - 1);
    break;
  default:
    write_call(w, depth - 1);
  }
}

static void write_lets(Writer *w) {
  w->n_let = 0;
  for (uint32_t n = below(w, 3); n > 0; n--) {
    text_printf(&w->text, "    let a%u = ", w->n_let);
    write_expression(w, 2);
    text_put(&w->text, "\n");
    w->n_let++;
  }
}

// `usual`, but now and then an expression.
static void write_setting(Writer *w, const char *before, const char *usual) {
  text_put(&w->text, before);
  if (below(w, 12) == 0)
    write_expression(w, 2);
  else
    text_put(&w->text, usual);
}

static void write_data(Writer *w) {
  if (below(w, 4))
    text_put(&w->text,
             "data D {\n    rows = [[0, 1], [1, 2], [2, 3], [3, 0]]\n    validate = last(1)\n");
  else
    write_setting(w, "data D {\n    rows = generated(", "8"), text_put(&w->text, ")\n");
  write_setting(w, "    x: f32[3] = ", "normal[3]");
  write_setting(w, "\n    m: f32[3, 3] = ", "normal[3, 3]");
  write_setting(w, "\n    s: f32 = ", "uniform");
  write_setting(w, "\n    i: index<4> = ", "integer(0, 3)");
  write_setting(w, "\n    k: index<4>[2] = ", "integers(0, 3)");
  write_setting(w, "\n    b: bool = ", "uniform[] > 0.5");
  text_put(&w->text, "\n}\n");
}

static void write_training(Writer *w) {
  write_setting(w, "train T on D {\n    let e = ", "1");
  write_setting(w, "\n    minimize F(x, m, s, i, k) * e + ", "0");
  text_printf(&w->text, " with %s(",
              below(w, 2)   ? "sgd"
              : below(w, 2) ? "adam"
              : below(w, 2) ? "rmsprop"
                            : "adamw");
  write_setting(w, "", "0.1");
  write_setting(w, ")\n    report s, r = ", "mean(x)");
  write_setting(w, "\n    batch ", "2");
  write_setting(w, "\n    seed ", "2");
  write_setting(w, "\n    steps ", "2");
  if (below(w, 8) == 0)
    write_setting(w, "\n    stop when ", "loss < 0.1");
  text_put(&w->text, "\n}\n");
}

static void write_model(Writer *w) {
  write_data(w);
  text_put(&w->text,
           "model F(x: f32[3], m: f32[3, 3], s: f32, i: index<4>, k: index<4>[2]) -> f32 {\n");
  write_setting(w, "    param w: f32[3] = ", "uniform(0.1, 1)");
  write_setting(w, ", u: f32[3, 3] = ", "normal(0, 1)");
  write_setting(w, "\n    state n: f32[3] = ", "zeros");
  write_setting(w, "\n    n = ", "n + batch_mean(x)");
  text_put(&w->text, "\n");
  write_lets(w);
  write_setting(w, "    let d = x |> Dense(", "2");
  text_put(&w->text, ")\n    sum(d) + mean(w * w + ");
  write_expression(w, 3);
  text_put(&w->text, ")\n}\n");
  write_training(w);
}

static void write_predict(Writer *w) {
  text_put(&w->text,
           "let w = [0.5, 1, 2], u = 3\n"
           "predict P(x: f32[3], m: f32[3, 3], s: f32, i: index<4>, k: index<3>[2], b: bool) {\n");
  write_lets(w);
  write_pair(w, "    (", ", ", ")\n}\n", 3);
}

static FuzzText write_program(void *ctx, uint32_t seed) {
  Session *s = ctx, *own = session_create();
  Writer w = {.draw = {seed}, .text = {.arena = own->perm}, .gentle = seed % 4 >= 2};
  text_put(&w.text, "use std.layers: Dense\n");
  write_setting(&w, "const size = ", "3");
  write_setting(&w, ", extra = ", "2");
  write_setting(&w, "\nconfig rate = ", "0.5");
  text_put(&w.text, "\n");
  if (seed % 2)
    write_model(&w);
  else
    write_predict(&w);
  FuzzText t = {.name = arena_printf(s->perm, "%u", seed), .path = "random.nn", .n = w.text.n};
  t.text = strdup(w.text.at);
  session_destroy(own);
  return t;
}

int main(int argc, char **argv) {
  Session *s = session_create();
  if (argc == 2) {
    FuzzText t = write_program(s, (uint32_t)strtoul(argv[1], NULL, 10));
    printf("%s\n", t.text);
    fflush(stdout);
    fuzz_compile(&t, stderr);
    free(t.text);
  } else
    fuzz_run(s, "fuzz expressions", write_program, s,
             argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : FUZZ_TEXTS);
  session_destroy(s);
  return report_status();
}
