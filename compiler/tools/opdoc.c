// lang/OPS.md, from the records of the operations: `nnc --list-ops`. The committed file is compared
// with this by the tests.
#include "tools/tools.h"
#include "ops/op.h"

#include <string.h>

static const struct {
  OpKind kind;
  const char *title, *text;
} chapters[] = {
    {K_ELEM, "Elementwise",
     "All arguments have the same shape, and so has the result. Before pass `batch` an argument "
     "that is "
     "the same for all rows may meet one that is not."},
    {K_SOURCE, "Sources", "No tensor argument."},
    {K_SHAPE, "Shape", "Elements are moved, none is computed."},
    {K_REDUCE, "Reductions", "Some axes are gone in the result; the others keep their order."},
    {K_CONTRACT, "Products", "Sums of products."},
    {K_INDEX, "Rows by number", "Elements are found by values of another tensor."},
    {K_WINDOW, "Images", "Channels last: [N, H, W, C]."},
    {K_RANDOM, "Random draws", "Functions of a seed, without state."},
    {K_CONTROL, "Program", "Gradients, the batch, kernels, ends."},
};

static const struct {
  uint32_t flag;
  const char *text;
} notes[] = {
    {OPF_USER, "can be called by its name in `.nn`"},
    {OPF_COMMUTES, "its arguments may change places"},
    {OPF_CHEAP, "cheap: computed again where that saves memory"},
    {OPF_ZERO_GRAD, "its gradient is exactly zero"},
    {OPF_NO_GRAD, "has no gradient"},
    {OPF_LAYOUT, "made by pass layout, when gradients are done"},
};

static void put_notes(Text *out, const OpDef *def) {
  bool any = false;
  for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
    if (def->flags & notes[i].flag) {
      text_printf(out, "%s%s", any ? "; " : "\nNotes: ", notes[i].text);
      any = true;
    }
  text_put(out, any ? ".\n" : "");
}

static void put_example(Text *out, const OpDef *def) {
  size_t n = strcspn(def->example, "|");
  while (n && def->example[n - 1] == ' ')
    n--;
  if (n)
    text_printf(out, "\nFor example with `%.*s`.\n", (int)n, def->example);
}

static void put_op(Text *out, const OpDef *def) {
  text_printf(out, "\n### %s\n\n`%s(%s)`\n\n%s\n", def->name, def->name, def->sig, def->doc);
  text_printf(out, "\nGradient: %s.\n", def->math);
  put_notes(out, def);
  put_example(out, def);
}

void print_op_docs(Text *out) {
  text_put(out,
           "# Operations of the IR\n\n"
           "Generated from the records in `compiler/ops` by `nnc --list-ops`; don't edit.\n\n"
           "After the name stand the arguments, then the attributes with their kinds and "
           "defaults. In gradients, `y` or `z` is\nthe result and `dx` the gradient of the loss "
           "with respect to `x`. Arithmetic is on f32, f64, bf16 and, where it\nmakes sense, "
           "i32.\n");
  for (size_t c = 0; c < sizeof chapters / sizeof *chapters; c++) {
    text_printf(out, "\n## %s\n\n%s\n", chapters[c].title, chapters[c].text);
    for (Op op = 0; op < N_OPS; op++)
      if (op_table[op]->kind == chapters[c].kind)
        put_op(out, op_table[op]);
  }
}
