// One group becomes one function of the runtime's form. It only takes the launch's buffers out of
// NnrtArgs and calls an inner function whose pointers are `noalias`: LLVM then knows that a store
// to a result doesn't change an operand, and inlines the inner function at the end.
#include "llvm/gen.h"

#include <string.h>

enum { ARGS_BUF = 0, ARGS_SIZE = 1, ARGS_N = 2 };

// ---- a body being generated --------------------------------------------------------------------

uint32_t kernel_value_number(const Kernel *k, const Value *v) {
  if (v->region != k->body || v->id >= k->n_value)
    ice("codegen: a value of another region");
  return v->id;
}

static LLVMValueRef load_invariant(Kernel *k, LLVMTypeRef type, LLVMValueRef p, const char *name) {
  Gen *g = k->g;
  LLVMValueRef load = LLVMBuildLoad2(g->b, type, p, name);
  unsigned kind = LLVMGetMDKindIDInContext(g->context, "invariant.load", 14);
  LLVMSetMetadata(load, kind,
                  LLVMMetadataAsValue(g->context, LLVMMDNodeInContext2(g->context, NULL, 0)));
  return load;
}

LLVMValueRef kernel_size(Kernel *k, int64_t i) {
  Gen *g = k->g;
  LLVMValueRef at = LLVMBuildStructGEP2(g->b, g->args_type, k->args, ARGS_SIZE, "");
  LLVMValueRef sizes = load_invariant(k, g->ptr, at, "sizes"), index = gen_i64(g, i);
  LLVMValueRef size = LLVMBuildInBoundsGEP2(g->b, g->i64, sizes, &index, 1, "");
  return load_invariant(k, g->i64, size, "");
}

int64_t kernel_width(const Kernel *k, Dim d) {
  for (uint32_t i = 0; i < k->n_width; i++)
    if (k->width[i] == d)
      return i;
  return -1;
}

// What a launch has before its widths and numbers (add_sizes in tables.c): of rows and columns both
// lengths, and the tile.
int64_t kernel_sizes_before(const Kernel *k) {
  return strcmp(k->kind, "column") == 0 ? 3 : 2;
}

LLVMValueRef kernel_dim(Kernel *k, Dim d) {
  int64_t width = kernel_width(k, d);
  if (width >= 0)
    return kernel_size(k, kernel_sizes_before(k) + width);
  if (k->rows && d == k->rows) {
    LLVMValueRef rows = kernel_size(k, 0);
    return d > 0 ? rows : build_mul(k, k->n, LLVMBuildNeg(k->g->b, rows, ""));
  }
  return d >= 0 ? gen_i64(k->g, d) : build_mul(k, k->n, gen_i64(k->g, -d));
}

void kernel_forget(Kernel *k) {
  memset(k->memo, 0, sizeof *k->memo * (k->n_value + 1));
  k->maps = NULL;
}

// The argument whose storage yield i takes, or -1.
static int64_t inplace_argument(const Inst *group, uint32_t yield) {
  const Attr *pairs = inst_attr(group, "inplace");
  for (uint32_t i = 0; i + 1 < pairs->n; i += 2)
    if (pairs->dims[i] == yield)
      return pairs->dims[i + 1];
  return -1;
}

static void kernel_init(Kernel *k, Gen *g, const Inst *group, LLVMValueRef fn) {
  *k = (Kernel){.g = g, .group = group, .body = group->body, .yield = group->body->last, .fn = fn};
  k->kind = inst_attr(group, "kind")->s;
  k->emit = emit_create(g);
  k->n_width = group_widths(group, k->width);
  k->rows = group_is_columns(group) ? group_shape(group).rows : 0;
  k->n_value = region_number(k->body);
  k->memo = arena_array(g->arena, Memo *, k->n_value + 1);
  k->anchor = arena_array(g->arena, EVal, k->n_value + 1);
  k->buf = arena_array(g->arena, LLVMValueRef, group->n_args + group->n_results + 1);
  k->read_only = arena_array(g->arena, bool, group->n_args + 1);
  for (uint32_t i = 0; i < group->n_args; i++)
    k->read_only[i] = true;
  for (uint32_t i = 0; i < group->n_results; i++)
    if (inplace_argument(group, i) >= 0)
      k->read_only[inplace_argument(group, i)] = false;
}

static void load_arguments(Kernel *k) {
  Gen *g = k->g;
  LLVMValueRef n = LLVMBuildStructGEP2(g->b, g->args_type, k->args, ARGS_N, "");
  LLVMValueRef table = LLVMBuildStructGEP2(g->b, g->args_type, k->args, ARGS_BUF, "");
  k->n = load_invariant(k, g->i64, n, "n");
  table = load_invariant(k, g->ptr, table, "bufs");
  for (uint32_t i = 0; i < k->group->n_args + k->group->n_results; i++) {
    LLVMValueRef index = gen_i64(g, i);
    int64_t shared = i < k->group->n_args ? -1 : inplace_argument(k->group, i - k->group->n_args);
    LLVMValueRef p = LLVMBuildInBoundsGEP2(g->b, g->ptr, table, &index, 1, "");
    k->buf[i] = shared >= 0 ? k->buf[shared] : load_invariant(k, g->ptr, p, "");
  }
}

void kernel_open(Kernel *k, Gen *g, const Inst *group, LLVMValueRef fn, LLVMValueRef args) {
  kernel_init(k, g, group, fn);
  k->args = args;
  LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->context, fn, ""));
  load_arguments(k);
}

// ---- the two functions -------------------------------------------------------------------------

typedef void Generate(Kernel *k);

static Generate *generator_of(const char *kind) {
  static const struct {
    const char *kind;
    Generate *generate;
  } table[] = {{"loop", kernel_loop},
               {"row", kernel_row},
               {"column", kernel_column},
               {"dot", kernel_dot},
               {"kernel", kernel_c}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (strcmp(kind, table[i].kind) == 0)
      return table[i].generate;
  ice("codegen: a group of the unknown kind %s", kind);
}

// Products reach their operands also through NnrtArgs (epilogues do): no promises there.
static bool may_promise(const char *kind) {
  return strcmp(kind, "dot") != 0 && strcmp(kind, "kernel") != 0;
}

enum { FIRST_BUFFER = 4 }; // args, tile0, tile1, n, buffers...

static LLVMValueRef inner_function(Kernel *k, const Inst *group, uint32_t n_buf) {
  Gen *g = k->g;
  LLVMTypeRef *types = arena_array(g->arena, LLVMTypeRef, FIRST_BUFFER + n_buf);
  types[0] = g->ptr;
  types[1] = types[2] = types[3] = g->i64;
  for (uint32_t i = 0; i < n_buf; i++)
    types[FIRST_BUFFER + i] = g->ptr;
  LLVMTypeRef type = LLVMFunctionType(g->none, types, FIRST_BUFFER + n_buf, false);
  LLVMValueRef fn = LLVMAddFunction(g->module, "inner", type);
  LLVMSetLinkage(fn, LLVMInternalLinkage);
  gen_function_attributes(g, fn);
  for (uint32_t i = 0; i < n_buf && may_promise(inst_attr(group, "kind")->s); i++)
    gen_add_attribute(g, fn, FIRST_BUFFER + i + 1, "noalias");
  return fn;
}

static void generate_inner(Gen *g, const Inst *group, LLVMValueRef fn) {
  Kernel k;
  kernel_init(&k, g, group, fn);
  k.args = LLVMGetParam(fn, 0);
  k.tile0 = LLVMGetParam(fn, 1);
  k.tile1 = LLVMGetParam(fn, 2);
  k.n = LLVMGetParam(fn, 3);
  uint32_t n_param = FIRST_BUFFER;
  for (uint32_t i = 0; i < group->n_args + group->n_results; i++) {
    int64_t shared = i < group->n_args ? -1 : inplace_argument(group, i - group->n_args);
    k.buf[i] = shared >= 0 ? k.buf[shared] : LLVMGetParam(fn, n_param++);
  }
  LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->context, fn, ""));
  generator_of(k.kind)(&k);
  LLVMBuildRetVoid(g->b);
}

// The buffers that the inner function takes: an in-place pair is one.
static uint32_t distinct_buffers(Kernel *k, LLVMValueRef *out) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < k->group->n_args + k->group->n_results; i++)
    if (i < k->group->n_args || inplace_argument(k->group, i - k->group->n_args) < 0)
      out[n++] = k->buf[i];
  return n;
}

LLVMValueRef kernel_declare(Gen *g, const char *name) {
  LLVMValueRef fn = LLVMGetNamedFunction(g->module, name);
  if (fn)
    return fn;
  LLVMTypeRef type = LLVMFunctionType(g->none, (LLVMTypeRef[]){g->ptr, g->i64, g->i64}, 3, false);
  fn = LLVMAddFunction(g->module, name, type);
  LLVMSetVisibility(fn, LLVMHiddenVisibility);
  return fn;
}

void kernel_build(Gen *g, const Inst *group, const char *name) {
  LLVMValueRef fn = kernel_declare(g, name);
  gen_function_attributes(g, fn);
  Kernel k;
  kernel_open(&k, g, group, fn, LLVMGetParam(fn, 0));
  LLVMValueRef *args =
      arena_array(g->arena, LLVMValueRef, FIRST_BUFFER + group->n_args + group->n_results);
  uint32_t n = distinct_buffers(&k, args + FIRST_BUFFER);
  for (unsigned i = 0; i < 3; i++)
    args[i] = LLVMGetParam(fn, i);
  args[3] = k.n;
  LLVMValueRef inner = inner_function(&k, group, n);
  LLVMBuildCall2(g->b, LLVMGlobalGetValueType(inner), inner, args, FIRST_BUFFER + n, "");
  LLVMBuildRetVoid(g->b);
  generate_inner(g, group, inner);
}
