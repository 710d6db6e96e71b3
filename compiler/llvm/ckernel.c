// Groups of kind `kernel`: one operation that a function of runtime/kernels does, called with the
// constants of the operation. Tiles are runs of elements of the result; where the kernel works by
// rows, a tile does the rows that begin in it.
#include "llvm/gen.h"

#include <string.h>

#include "ops/conv.h"

typedef struct {
  const Inst *inst;
  LLVMValueRef from, to; // elements of the result
  LLVMValueRef out;      // NULL where it isn't stored
  LLVMValueRef epilogue; // NULL where there is none
} Call;

// A region argument, maybe behind reshapes.
static LLVMValueRef argument_buffer(Kernel *k, const Value *v) {
  v = value_root(v);
  if (v->def)
    ice("codegen: a kernel's argument is computed in its group");
  return k->buf[v->index];
}

static LLVMValueRef argument(Kernel *k, const Call *c, uint32_t i) {
  return argument_buffer(k, c->inst->arg[i]);
}

static LLVMValueRef number_argument(Kernel *k, const Call *c, uint32_t i) {
  return LLVMBuildLoad2(k->g->b, k->g->i32, argument(k, c, i), "");
}

static LLVMValueRef small(Kernel *k, bool flag) {
  return LLVMConstInt(k->g->i1, flag, false);
}

static void must_call(Kernel *k, const char *name, LLVMValueRef *args, unsigned n) {
  if (!gen_call(k->g, name, args, n))
    ice("codegen: runtime/kernels has no %s of %u arguments", name, n);
}

// ---- random ------------------------------------------------------------------------------------

static int64_t random_kind(const char *kind) {
  enum { BITS, UNIFORM, NORMAL }; // as NnrtRandomKind of kernel.h
  return strcmp(kind, "bits") == 0 ? BITS : strcmp(kind, "uniform") == 0 ? UNIFORM : NORMAL;
}

static void call_random(Kernel *k, const Call *c) {
  Gen *g = k->g;
  Type row = {.rank = 0};
  const Attr *dims = inst_attr(c->inst, "dims");
  for (uint32_t i = 0; i < dims->n; i++)
    row.dim[row.rank++] = dims->dims[i];
  bool per_example = c->inst->n_args > 2;
  LLVMValueRef args[] = {gen_i32(g, random_kind(inst_attr(c->inst, "kind")->s)),
                         number_argument(k, c, 0),
                         kernel_size(k, 2),
                         number_argument(k, c, 1),
                         per_example ? argument(k, c, 2) : LLVMConstNull(g->ptr),
                         group_is_random(k->group) ? kernel_size(k, 0)
                                                   : kernel_dim(k, type_count(&row)),
                         c->out,
                         c->from,
                         c->to};
  must_call(k, "nnrt_random_32", args, sizeof args / sizeof *args);
}

// ---- rows by number ----------------------------------------------------------------------------

static LLVMValueRef row_width(Kernel *k, const Type *type, uint32_t from) {
  Type row = {.rank = 0};
  for (uint32_t i = from; i < type->rank; i++)
    row.dim[row.rank++] = type->dim[i];
  return kernel_dim(k, type_count(&row));
}

// The first row that begins at element i or after it.
static LLVMValueRef row_from(Kernel *k, LLVMValueRef i, LLVMValueRef width) {
  LLVMValueRef up = LLVMBuildSub(k->g->b, build_add(k, i, width), gen_i64(k->g, 1), "");
  return LLVMBuildUDiv(k->g->b, up, width, "");
}

static bool of_bytes(const Value *index) {
  return index->type.elem == TY_U8;
}

static void call_gather(Kernel *k, const Call *c) {
  enum { FLOAT_NAN = 0x7fc00000 };
  const Value *table = c->inst->arg[0], *index = c->inst->arg[1];
  if (table->type.elem != TY_F32 && table->type.elem != TY_I32)
    ice("codegen: gather from %s", elem_name(table->type.elem));
  LLVMValueRef width = row_width(k, &table->type, 1);
  LLVMValueRef args[] = {argument(k, c, 0),
                         kernel_dim(k, table->type.dim[0]),
                         argument(k, c, 1),
                         small(k, of_bytes(index)),
                         width,
                         gen_i32(k->g, table->type.elem == TY_F32 ? FLOAT_NAN : 0),
                         c->out,
                         row_from(k, c->from, width),
                         row_from(k, c->to, width)};
  must_call(k, "nnrt_gather_32", args, sizeof args / sizeof *args);
}

// scatter_add, or add_rows, whose arguments stand behind a table.
static void call_scatter_add(Kernel *k, const Call *c) {
  uint32_t first = c->inst->op == OP_add_rows;
  const Value *index = c->inst->arg[first], *update = c->inst->arg[first + 1];
  if (update->type.elem != TY_F32)
    ice("codegen: %s of %s", op_table[c->inst->op]->name, elem_name(update->type.elem));
  LLVMValueRef width = row_width(k, &update->type, index->type.rank);
  LLVMValueRef args[] = {argument(k, c, 0), // the same pointer as `out`, where it is in place
                         argument(k, c, first),
                         small(k, of_bytes(index)),
                         kernel_dim(k, type_count(&index->type)),
                         argument(k, c, first + 1),
                         width,
                         c->out,
                         row_from(k, c->from, width),
                         row_from(k, c->to, width)};
  unsigned n = sizeof args / sizeof *args;
  if (first)
    must_call(k, "nnrt_add_rows_f32", args, n);
  else
    must_call(k, "nnrt_scatter_add_f32", args + 1, n - 1);
}

// ---- images ------------------------------------------------------------------------------------

// An NnrtConv or NnrtWindows: numbers in memory that the optimiser sees through. Constants are
// known there whatever is asked of them; a variable with one of its fields chosen at run time would
// stay in memory, and with it all the others.
static LLVMValueRef shape_argument(Kernel *k, const Dim *number, unsigned n) {
  Gen *g = k->g;
  LLVMValueRef *value = arena_array(g->arena, LLVMValueRef, n);
  LLVMTypeRef type = LLVMArrayType2(g->i64, n);
  bool constant = true;
  for (unsigned i = 0; i < n; i++) {
    value[i] = kernel_dim(k, number[i]);
    constant &= LLVMIsConstant(value[i]) != 0;
  }
  if (constant) {
    LLVMValueRef shape = LLVMAddGlobal(g->module, type, "shape");
    LLVMSetInitializer(shape, LLVMConstArray2(g->i64, value, n));
    LLVMSetGlobalConstant(shape, true);
    LLVMSetLinkage(shape, LLVMInternalLinkage);
    return shape;
  }
  LLVMValueRef shape = gen_alloca(g, type, 8);
  for (unsigned i = 0; i < n; i++) {
    LLVMValueRef at = gen_i64(g, i);
    LLVMBuildStore(g->b, value[i], LLVMBuildGEP2(g->b, g->i64, shape, &at, 1, ""));
  }
  return shape;
}

static void must_be_f32(const Call *c, const Value *v) {
  if (v->type.elem != TY_F32)
    ice("codegen: %s of %s", op_table[c->inst->op]->name, elem_name(v->type.elem));
}

// An NnrtDirect, but for the number of images.
static LLVMValueRef direct_shape(Kernel *k, const NnrtDirect *s) {
  const Dim size[] = {0,           s->H,        s->W,          s->C,          s->OH,
                      s->OW,       s->F,        s->KH,         s->KW,         s->groups,
                      s->stride_h, s->stride_w, s->dilation_h, s->dilation_w, s->pad_top,
                      s->pad_left};
  return shape_argument(k, size, sizeof size / sizeof *size);
}

// Its tiles are the kernel's own (tables.c counts them).
static void call_direct(Kernel *k, const Call *c, const NnrtDirect *s, const NnrtDirectTile *t) {
  ConvShape shape = conv_shape(c->inst);
  const Dim tile[] = {t->rows, t->columns, t->depth,      t->per_image, t->blocks, t->window,
                      t->sum,  t->images,  t->image_rows, t->parts,     t->scratch};
  LLVMValueRef args[] = {k->args,
                         k->tile0,
                         k->tile1,
                         argument(k, c, 0),
                         argument(k, c, 1),
                         c->out,
                         kernel_dim(k, shape.images),
                         direct_shape(k, s),
                         shape_argument(k, tile, sizeof tile / sizeof *tile),
                         c->epilogue};
  static const char *const name[] = {"nnrt_direct_out_f32", "nnrt_direct_in_f32",
                                     "nnrt_direct_filter_f32"};
  must_call(k, name[shape.wrt], args, sizeof args / sizeof *args);
}

static void call_conv(Kernel *k, const Call *c) {
  NnrtDirect direct;
  NnrtDirectTile direct_tile;
  if (conv_direct(c->inst, &direct, &direct_tile)) {
    call_direct(k, c, &direct, &direct_tile);
    return;
  }
  ConvShape s = conv_shape(c->inst);
  must_be_f32(c, c->inst->result[0]);
  const Dim number[] = {s.images,      s.channels,    s.features,  s.groups,
                        s.in[0],       s.in[1],       s.filter[0], s.filter[1],
                        s.out[0],      s.out[1],      s.stride[0], s.stride[1],
                        s.dilation[0], s.dilation[1], s.low[0],    s.low[1]};
  LLVMValueRef width = row_width(k, &c->inst->result[0]->type, s.wrt == CONV_FILTER ? 3 : 2);
  LLVMValueRef args[] = {k->args,
                         shape_argument(k, number, sizeof number / sizeof *number),
                         argument(k, c, 0),
                         argument(k, c, 1),
                         c->out,
                         row_from(k, c->from, width),
                         row_from(k, c->to, width),
                         c->epilogue};
  static const char *const name[] = {"nnrt_conv_out_f32", "nnrt_conv_in_f32",
                                     "nnrt_conv_filter_f32"};
  must_call(k, name[s.wrt], args, sizeof args / sizeof *args);
}

// A filter and its form: tiles are the kernel's own, as those of the other two.
static void call_form(Kernel *k, const Call *c) {
  bool back = c->inst->op == OP_winograd_taps;
  const Dim *form = (back ? c->inst->arg[0] : c->inst->result[0])->type.dim;
  LLVMValueRef rows = kernel_dim(k, form[2]),
               columns = kernel_dim(k, form[1] * NNRT_WINOGRAD_STRIP);
  if (back) {
    LLVMValueRef args[] = {k->args,
                           k->tile0,
                           k->tile1,
                           argument(k, c, 0),
                           gen_i64(k->g, form[0] / NNRT_WINOGRAD_POSITIONS),
                           rows,
                           columns,
                           c->out};
    must_call(k, "nnrt_winograd_taps_f32", args, sizeof args / sizeof *args);
    return;
  }
  LLVMValueRef args[] = {
      k->args, k->tile0, k->tile1, argument(k, c, 0), small(k, c->inst->attr[0].i != 0),
      rows,    columns,  c->out};
  must_call(k, "nnrt_winograd_form_f32", args, sizeof args / sizeof *args);
}

static void call_winograd(Kernel *k, const Call *c) {
  WinogradShape s = winograd_shape(c->inst);
  LLVMValueRef args[] = {k->args,
                         k->tile0,
                         k->tile1,
                         argument(k, c, 0),
                         argument(k, c, 1),
                         c->out,
                         kernel_dim(k, s.images),
                         direct_shape(k, &s.of),
                         c->epilogue};
  unsigned n = sizeof args / sizeof *args;
  if (c->inst->op == OP_winograd) {
    must_call(k, "nnrt_winograd_out_f32", args, n);
    return;
  }
  NnrtWinogradSums t = winograd_sums_tile(c->inst);
  const Dim tile[] = {t.parts, t.lines, t.columns, t.terms};
  args[n - 1] = shape_argument(k, tile, sizeof tile / sizeof *tile);
  must_call(k, "nnrt_winograd_sums_f32", args, n);
}

// What the group yields of a pool_argmax: NULL if nothing.
static const Value *yielded_places(Kernel *k) {
  for (uint32_t i = 0; i < k->yield->n_args; i++) {
    const Value *v = value_root(k->yield->arg[i]);
    if (v->def && v->def->op == OP_pool_argmax)
      return k->yield->arg[i];
  }
  return NULL;
}

static LLVMValueRef yield_buffer(Kernel *k, const Value *yielded) {
  uint32_t i = 0;
  while (k->yield->arg[i] != yielded)
    i++;
  return k->buf[k->group->n_args + i];
}

static void call_pool(Kernel *k, const Call *c) {
  Op op = c->inst->op;
  PoolShape s = pool_shape(c->inst);
  must_be_f32(c, c->inst->arg[0]);
  const Dim number[] = {s.images,    s.channels,  s.in[0],     s.in[1],     s.out[0], s.out[1],
                        s.window[0], s.window[1], s.stride[0], s.stride[1], s.low[0], s.low[1]};
  bool extreme = op == OP_pool_max || op == OP_pool_argmax;
  const Value *places = extreme ? yielded_places(k) : c->inst->arg[1];
  LLVMValueRef width = row_width(k, &c->inst->result[0]->type, 2);
  LLVMValueRef args[] = {k->args,
                         shape_argument(k, number, sizeof number / sizeof *number),
                         argument(k, c, 0),
                         !extreme ? argument(k, c, 1)
                         : places ? yield_buffer(k, places)
                                  : LLVMConstNull(k->g->ptr),
                         small(k, places && of_bytes(places)),
                         c->out,
                         row_from(k, c->from, width),
                         row_from(k, c->to, width),
                         c->epilogue};
  must_call(k,
            extreme                ? "nnrt_pool_max_f32"
            : op == OP_pool_gather ? "nnrt_pool_gather_f32"
                                   : "nnrt_pool_scatter_f32",
            args, sizeof args / sizeof *args);
}

static void call_sample(Kernel *k, const Call *c) {
  const Value *result = c->inst->result[0];
  bool forward = c->inst->op == OP_sample;
  const Dim *image = forward ? c->inst->arg[0]->type.dim : result->type.dim,
            *points = c->inst->arg[1]->type.dim;
  must_be_f32(c, result);
  const Dim number[] = {image[1], image[2], image[3], points[1], points[2]};
  LLVMValueRef width = row_width(k, &result->type, 2);
  LLVMValueRef args[] = {shape_argument(k, number, sizeof number / sizeof *number),
                         argument(k, c, 0),
                         argument(k, c, 1),
                         argument(k, c, 2),
                         c->out,
                         row_from(k, c->from, width),
                         row_from(k, c->to, width)};
  must_call(k, forward ? "nnrt_sample_f32" : "nnrt_sample_add_f32", args,
            sizeof args / sizeof *args);
}

// The operation whose result goes through the epilogue: of pool_max and pool_argmax the former.
static const Inst *find_anchor(Kernel *k) {
  const Inst *found = NULL;
  for (const Inst *i = k->body->first; i; i = i->next)
    if (op_table[i->op]->kernel && (!found || found->op == OP_pool_argmax))
      found = i;
  if (!found)
    ice("codegen: a kernel group without its operation");
  return found;
}

void kernel_c(Kernel *k) {
  Call c = {.inst = find_anchor(k)};
  bool any = group_is_random(k->group); // of any size
  LLVMValueRef count =
      any ? kernel_size(k, 0) : kernel_dim(k, type_count(&c.inst->result[0]->type));
  LLVMValueRef tile = any ? kernel_size(k, 1) : gen_i64(k->g, inst_attr(k->group, "tile")->dims[0]);
  c.from = build_mul(k, k->tile0, tile);
  c.to = build_min(k, build_mul(k, k->tile1, tile), count);
  if (c.inst->op == OP_pool_argmax) { // its places are all there is
    c.out = c.epilogue = LLVMConstNull(k->g->ptr);
  } else if (op_table[c.inst->op]->kind == K_WINDOW) {
    Epilogue end = epilogue_of(k, c.inst);
    c.out = end.out;
    c.epilogue = end.fn;
  } else
    c.out = k->buf[k->group->n_args];
  if (c.inst->op == OP_random)
    call_random(k, &c);
  else if (c.inst->op == OP_gather)
    call_gather(k, &c);
  else if (c.inst->op == OP_scatter_add || c.inst->op == OP_add_rows)
    call_scatter_add(k, &c);
  else if (c.inst->op == OP_conv)
    call_conv(k, &c);
  else if (c.inst->op == OP_winograd || c.inst->op == OP_winograd_sums)
    call_winograd(k, &c);
  else if (c.inst->op == OP_winograd_form || c.inst->op == OP_winograd_taps)
    call_form(k, &c);
  else if (c.inst->op == OP_sample || c.inst->op == OP_sample_add)
    call_sample(k, &c);
  else if (op_table[c.inst->op]->kind == K_WINDOW)
    call_pool(k, &c);
  else
    ice("codegen: no kernel for %s", op_table[c.inst->op]->name);
}
