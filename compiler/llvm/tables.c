// The function tables of a program from its scheduled functions: launches, buffers and their lives,
// ports, and what a step costs. No LLVM: linked into nnc too, for --emit=plan.
#include "llvm/codegen.h"
#include "nnrt_gemm.h"
#include "nnrt_random.h"
#include "ops/conv.h"
#include "ops/op.h"
#include "pass/groups.h"
#include "pass/partition.h"

#include <string.h>

typedef struct { // one function
  Arena *arena;
  NnrtProgram *program;
  const Function *f;
  BUF(NnrtBuffer) buffer; // Value.id: its buffer
  BUF(NnrtLoop) loop;
  BUF(NnrtLaunch) launch;
  BUF(uint32_t) launch_buf;
  BUF(int64_t) launch_size;
} Tables;

typedef struct { // fixed + per_n * N
  double fixed, per_n;
} Linear;

static NnrtType table_type(const Type *type) {
  NnrtType t = {.elem = (uint32_t)type->elem, .rank = type->rank, .range = type->range};
  memcpy(t.dim, type->dim, sizeof *t.dim * type->rank);
  return t;
}

static NnrtBuffer buffer_of_type(const Type *type, uint32_t kind, uint32_t index) {
  NnrtType one = {.elem = (uint32_t)type->elem};
  int64_t elem = nnrt_type_bytes(&one, 0);
  Dim count = type_count(type);
  NnrtBuffer b = {.kind = kind, .index = index, .alias = NNRT_NONE};
  *(count < 0 ? &b.per_n : &b.fixed) = elem * (count < 0 ? -count : count);
  return b;
}

static Linear buffer_bytes(const NnrtBuffer *b) {
  return (Linear){(double)b->fixed, (double)b->per_n};
}

static void add(Linear *sum, Linear x) {
  sum->fixed += x.fixed;
  sum->per_n += x.per_n;
}

// ---- constants ----------------------------------------------------------------------------------

static void put_element(void *bytes, ElemType elem, int64_t i, double x) {
  switch (elem) {
  case TY_F32:
    ((float *)bytes)[i] = (float)x;
    break;
  case TY_F64:
    ((double *)bytes)[i] = x;
    break;
  case TY_BF16: { // rounded to even
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    ((uint16_t *)bytes)[i] = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    break;
  }
  case TY_I32:
    ((int32_t *)bytes)[i] = (int32_t)x;
    break;
  case TY_U8:
  case TY_BOOL:
    ((uint8_t *)bytes)[i] = (uint8_t)x;
    break;
  }
}

// With the slack that every buffer has.
static uint32_t add_constant(Tables *t, const Inst *literal) {
  const Tensor *data = inst_attr(literal, "data")->data;
  const Type *type = &literal->result[0]->type;
  NnrtConstant constant = {.type = table_type(type)};
  char *bytes = arena_alloc(t->arena, (size_t)nnrt_type_bytes(&constant.type, 0) + NNRT_ALIGN);
  for (int64_t i = 0; i < data->count; i++)
    put_element(bytes, type->elem, i, data->at[i]);
  constant.bytes = bytes;
  uint32_t n = t->program->n_constant;
  NnrtConstant *all = arena_array(t->arena, NnrtConstant, n + 1);
  if (n)
    memcpy(all, t->program->constant, sizeof *all * n);
  all[n] = constant;
  t->program->constant = all;
  t->program->n_constant = n + 1;
  return n;
}

// ---- buffers ------------------------------------------------------------------------------------

static NnrtBuffer *add_buffer(Tables *t, Value *v, uint32_t kind, uint32_t index) {
  v->id = t->buffer.n;
  buf_push(t->arena, &t->buffer, buffer_of_type(&v->type, kind, index));
  return &t->buffer.at[v->id];
}

static const Value *argument_of_port(const Function *f, const Port *port) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == port->role && f->arg_port[i].index == port->index)
      return f->body->arg[i];
  return NULL;
}

static void use_buffer(Tables *t, const Value *v, uint32_t phase) {
  NnrtBuffer *b = &t->buffer.at[v->id];
  if (phase > b->last)
    b->last = phase;
}

// ---- launches -----------------------------------------------------------------------------------

static Linear inst_flops(const Inst *inst) {
  const OpDef *op = op_table[inst->op];
  if (op->flops) {
    double fixed = op->flops(inst, 0);
    return (Linear){fixed, op->flops(inst, 1) - fixed};
  }
  Dim count = op->kind == K_ELEM ? type_count(&inst->result[0]->type) : 0;
  return (Linear){count > 0 ? (double)count : 0, count < 0 ? (double)-count : 0};
}

static Linear group_flops(const Inst *group) {
  Linear sum = {0, 0};
  for (const Inst *i = group->body->first; i; i = i->next)
    add(&sum, inst_flops(i));
  return sum;
}

// "dot+add+relu": what is computed, in order; shapes and constants are not named.
static const char *launch_name(Arena *arena, const Inst *group) {
  enum { MOST = 5 };
  Text text = {.arena = arena};
  uint32_t n = 0;
  const char *last = NULL;
  for (const Inst *i = group->body->first; i; i = i->next) {
    const OpDef *op = op_table[i->op];
    if (op->kind == K_SHAPE || op->kind == K_SOURCE || op->kind == K_CONTROL || op->name == last)
      continue;
    if (n < MOST)
      text_printf(&text, "%s%s", n ? "+" : "", op->name);
    else if (n == MOST)
      text_put(&text, "+..");
    n++;
    last = op->name;
  }
  return n ? text.at : "copy";
}

// ceil(n / tile) tiles, n a Dim; what may depend on N goes into tiles_per_n.
static void count_tiles(NnrtLaunch *l, Dim n, Dim tile) {
  if (n >= 0) {
    l->tiles_fixed *= (n + tile - 1) / tile;
    return;
  }
  l->tiles_per_n = -n;
  l->rows_per_tile = tile;
}

static void set_tiles(NnrtLaunch *l, const GroupShape *s, const Attr *tile, const Type *space) {
  l->tiles_fixed = 1;
  KernelTiles own;
  if (s->anchor && kernel_tiles(s->anchor, &own)) {
    count_tiles(l, own.rows, own.rows_per_tile);
    l->tiles_fixed *= own.blocks;
    l->scratch = (uint32_t)own.scratch;
    return;
  }
  if (s->kind == G_LOOP && tile->n == 2) {
    count_tiles(l, space->dim[0], tile->dims[0]);
    count_tiles(l, space->dim[1], tile->dims[1]);
    return;
  }
  count_tiles(l, s->kind == G_COLUMN ? s->columns : s->rows, tile->dims[0]);
  if (s->kind == G_DOT) {
    count_tiles(l, s->columns, tile->dims[1]);
    count_tiles(l, s->batch, 1);
    int64_t depth = nnrt_gemm_depth(s->rows, s->columns, s->depth);
    l->scratch = nnrt_gemm_scratch(tile->dims[0], tile->dims[1], depth, s->packed);
  }
}

static int64_t float_bits(double x) {
  float f = (float)x;
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

static void add_sizes(Tables *t, NnrtLaunch *l, const Inst *group, const GroupShape *s,
                      const Attr *tile) {
  l->size0 = t->launch_size.n;
  if (s->kind == G_DOT)
    buf_push(t->arena, &t->launch_size, s->batch);
  buf_push(t->arena, &t->launch_size, s->rows);
  if (s->kind != G_LOOP && s->kind != G_KERNEL)
    buf_push(t->arena, &t->launch_size, s->columns);
  if (s->kind == G_DOT)
    buf_push(t->arena, &t->launch_size, s->depth);
  for (uint32_t i = 0; i < tile->n; i++)
    buf_push(t->arena, &t->launch_size, tile->dims[i]);
  if (s->anchor && s->anchor->op == OP_random)
    buf_push(t->arena, &t->launch_size,
             (int64_t)nnrt_stream_hash(inst_attr(s->anchor, "stream")->s));
  Dim width[MOST_WIDTHS];
  uint32_t n_width = group_widths(group, width);
  for (uint32_t i = 0; i < n_width; i++)
    buf_push(t->arena, &t->launch_size, width[i]);
  bool numbers = group_is_affine(group) || group_is_columns(group);
  for (const Inst *i = group->body->first; i && numbers; i = i->next)
    if (i->op == OP_const)
      buf_push(t->arena, &t->launch_size, float_bits(inst_attr(i, "value")->f));
  l->n_size = t->launch_size.n - l->size0;
}

static Linear add_bindings(Tables *t, NnrtLaunch *l, const Inst *group) {
  Linear bytes = {0, 0};
  l->buf0 = t->launch_buf.n;
  for (uint32_t i = 0; i < group->n_args + group->n_results; i++) {
    const Value *v = i < group->n_args ? group->arg[i] : group->result[i - group->n_args];
    uint32_t b = v->id;
    buf_push(t->arena, &t->launch_buf, b);
    add(&bytes, buffer_bytes(&t->buffer.at[b]));
  }
  l->n_buf = t->launch_buf.n - l->buf0;
  l->n_read = group->n_args;
  return bytes;
}

static int64_t turns_of(const Tables *t, uint32_t loop) {
  int64_t turns = 1;
  for (; loop; loop = t->loop.at[loop - 1].outer)
    turns *= t->loop.at[loop - 1].turns;
  return turns;
}

static void add_launch(Tables *t, const Inst *group, uint32_t loop) {
  NnrtLaunch l = {.name = launch_name(t->arena, group), .loc = group->loc, .loop = loop};
  GroupShape s = group_shape(group);
  const Attr *tile = inst_attr(group, "tile");
  l.phase = (uint32_t)inst_attr(group, "phase")->i;
  Linear flops = group_flops(group), bytes = add_bindings(t, &l, group);
  double turns = (double)turns_of(t, loop);
  l.flops_fixed = turns * flops.fixed, l.flops_per_n = turns * flops.per_n;
  l.bytes_fixed = turns * bytes.fixed, l.bytes_per_n = turns * bytes.per_n;
  set_tiles(&l, &s, tile, &group->result[0]->type);
  add_sizes(t, &l, group, &s, tile);
  buf_push(t->arena, &t->launch, l);
}

// -------------------------------------------------------------------------------------------------

static void add_group(Tables *t, const Inst *group, uint32_t loop) {
  uint32_t phase = (uint32_t)inst_attr(group, "phase")->i;
  for (uint32_t k = 0; k < group->n_args; k++)
    use_buffer(t, group->arg[k], phase);
  for (uint32_t k = 0; k < group->n_results; k++) {
    NnrtBuffer *b = add_buffer(t, group->result[k], NNRT_ARENA, 0);
    b->first = b->last = phase;
    b->loop = loop;
  }
  add_launch(t, group, loop);
}

// ---- scans --------------------------------------------------------------------------------------

typedef struct {
  const Inst *inst;
  ScanShape shape;
  uint32_t loop, outer; // its number, that of the loop around it
} Scan;

// A value without memory of its own, to be made a slice.
static void add_piece(Tables *t, Value *v) {
  NnrtBuffer *b = add_buffer(t, v, NNRT_ARENA, 0);
  b->first = UINT32_MAX; // it only lives where `whole` lives anyway
}

// v becomes piece `start + step * turn` of `whole`.
static void make_slice(Tables *t, Value *v, uint32_t whole, uint32_t loop, int64_t start,
                       int64_t step) {
  NnrtBuffer *b = &t->buffer.at[v->id];
  if (b->kind != NNRT_ARENA || b->alias != NNRT_NONE)
    ice("tables: a carry or yield of %s has no storage of its own", t->f->name);
  b->kind = NNRT_SLICE;
  b->index = whole;
  b->loop = loop;
  b->start = start;
  b->step = step;
}

// Carries alternate between two pieces of memory: what a turn makes, the next one reads.
static uint32_t add_ring(Tables *t, const Scan *s, const Value *first) {
  NnrtBuffer ring = t->buffer.at[first->id];
  ring.fixed *= 2;
  ring.per_n *= 2;
  ring.loop = s->outer;
  buf_push(t->arena, &t->buffer, ring);
  return t->buffer.n - 1;
}

static void set_ring(Tables *t, const Value *v) {
  t->buffer.at[v->id].ring = 2;
}

static void open_carry(Tables *t, const Scan *s, uint32_t i) {
  uint32_t ring = add_ring(t, s, s->inst->arg[i]);
  make_slice(t, s->inst->arg[i], ring, 0, 0, 0);
  add_piece(t, s->inst->body->arg[i]);
  make_slice(t, s->inst->body->arg[i], ring, s->loop, 0, 1);
  set_ring(t, s->inst->body->arg[i]);
}

static void close_carry(Tables *t, const Scan *s, uint32_t i) {
  uint32_t ring = t->buffer.at[s->inst->arg[i]->id].index;
  make_slice(t, s->inst->body->last->arg[i], ring, s->loop, 1, 1);
  set_ring(t, s->inst->body->last->arg[i]);
  add_piece(t, s->inst->result[i]);
  make_slice(t, s->inst->result[i], ring, 0, s->shape.length % 2, 0);
}

static int64_t first_piece(const Scan *s) {
  return s->shape.reverse ? s->shape.length - 1 : 0;
}

static int64_t direction(const Scan *s) {
  return s->shape.reverse ? -1 : 1;
}

static void open_sequence(Tables *t, const Scan *s, uint32_t i) {
  Value *slice = s->inst->body->arg[i];
  add_piece(t, slice);
  make_slice(t, slice, s->inst->arg[i]->id, s->loop, first_piece(s), direction(s));
}

static void close_stack(Tables *t, const Scan *s, uint32_t i, uint32_t phase) {
  NnrtBuffer *b = add_buffer(t, s->inst->result[i], NNRT_ARENA, 0);
  b->first = phase;
  b->loop = s->outer;
  make_slice(t, s->inst->body->last->arg[i], s->inst->result[i]->id, s->loop, first_piece(s),
             direction(s));
}

static void add_region(Tables *t, const Region *body, uint32_t loop);

// The buffers of its arguments, those of its body, then those of its results. What it reads or
// makes lives as long as all its turns.
static void add_scan(Tables *t, const Inst *inst, uint32_t outer) {
  Scan s = {inst, scan_shape(inst), t->loop.n + 1, outer};
  uint32_t captures = s.shape.carries + s.shape.captures, first_launch = t->launch.n;
  NnrtLoop loop = {.first = first_launch, .outer = outer, .turns = s.shape.length};
  loop.barrier = scan_needs_barrier(inst);
  loop.first_buffer = t->buffer.n;
  buf_push(t->arena, &t->loop, loop);
  for (uint32_t i = 0; i < inst->n_args; i++) {
    if (i < s.shape.carries)
      open_carry(t, &s, i);
    else if (i < captures)
      inst->body->arg[i]->id = inst->arg[i]->id;
    else
      open_sequence(t, &s, i);
  }
  add_region(t, inst->body, s.loop);
  t->loop.at[s.loop - 1].end = t->launch.n;
  t->loop.at[s.loop - 1].end_buffer = t->buffer.n;
  if (t->launch.n == first_launch)
    ice("tables: a scan of %s does nothing", t->f->name);
  uint32_t first = t->launch.at[first_launch].phase, last = t->launch.at[t->launch.n - 1].phase;
  for (uint32_t i = 0; i < inst->n_results; i++) {
    if (i < s.shape.carries)
      close_carry(t, &s, i);
    else
      close_stack(t, &s, i, first);
    use_buffer(t, inst->result[i], last);
  }
  for (uint32_t i = 0; i < inst->n_args; i++)
    use_buffer(t, inst->arg[i], last);
}

static void add_region(Tables *t, const Region *body, uint32_t loop) {
  for (const Inst *i = body->first; i; i = i->next) {
    if (i->op == OP_literal)
      add_buffer(t, i->result[0], NNRT_CONSTANT, add_constant(t, i));
    else if (i->op == OP_reshape)
      i->result[0]->id = i->arg[0]->id;
    else if (i->op == OP_scan)
      add_scan(t, i, loop);
    else if (i->op == OP_group)
      add_group(t, i, loop);
  }
}

// ---- where results lie --------------------------------------------------------------------------

// Results live with the caller; new params, slots and state where the old ones are.
static void place_results(Tables *t) {
  const Function *f = t->f;
  for (uint32_t i = 0; i < f->n_result; i++) {
    const Value *v = f->body->last->arg[i];
    NnrtBuffer *b = &t->buffer.at[v->id];
    const Port *port = &f->result_port[i];
    const Value *old = ir_is_stored(port->role) ? argument_of_port(f, port) : NULL;
    if (v == old)
      continue;
    if (b->kind != NNRT_ARENA)
      ice("tables: result %u of %s has no storage of its own", i, f->name);
    b->kind = NNRT_RESULT;
    b->index = i;
    if (old)
      b->alias = old->id;
  }
}

static void place_in_place(Tables *t, const Inst *group) {
  const Attr *pairs = inst_attr(group, "inplace");
  for (uint32_t i = 0; i + 1 < pairs->n; i += 2) {
    NnrtBuffer *b = &t->buffer.at[group->result[pairs->dims[i]]->id];
    uint32_t with = group->arg[pairs->dims[i + 1]]->id;
    if (b->alias != NNRT_NONE && b->alias != with)
      ice("tables: a result of %s is to share the storage of two buffers", t->f->name);
    b->alias = with;
  }
}

// Who shares the storage of an arena buffer keeps it alive: buffers in one another, from the
// inside.
static void extend_life(Tables *t, const NnrtBuffer *b) {
  uint32_t outer = b->kind == NNRT_SLICE ? b->index : b->alias;
  if (outer == NNRT_NONE)
    return;
  NnrtBuffer *root = &t->buffer.at[outer];
  root->first = b->first < root->first ? b->first : root->first;
  root->last = b->last > root->last ? b->last : root->last;
  extend_life(t, root);
}

// ---- functions ----------------------------------------------------------------------------------

static NnrtPort *ports(const Tables *t, const Port *port, Value *const *v, uint32_t n) {
  NnrtPort *out = arena_array(t->arena, NnrtPort, n + 1);
  for (uint32_t i = 0; i < n; i++)
    out[i] = (NnrtPort){.name = port[i].name,
                        .type = table_type(&v[i]->type),
                        .role = port[i].role,
                        .index = port[i].index,
                        .buffer = v[i]->id};
  return out;
}

static NnrtFunction function_table(NnrtProgram *program, Function *f) {
  Tables t = {.arena = f->module->arena, .program = program, .f = f};
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    add_buffer(&t, f->body->arg[i], NNRT_ARG, i);
  add_region(&t, f->body, 0);
  place_results(&t);
  for (const Inst *i = f->body->first; i; i = i->next)
    if (i->op == OP_group)
      place_in_place(&t, i);
  for (uint32_t i = 0; i < t.buffer.n; i++)
    extend_life(&t, &t.buffer.at[i]);
  return (NnrtFunction){.name = f->name,
                        .arg = ports(&t, f->arg_port, f->body->arg, f->body->n_arg),
                        .result = ports(&t, f->result_port, f->body->last->arg, f->n_result),
                        .n_arg = f->body->n_arg,
                        .n_result = f->n_result,
                        .launch = t.launch.at,
                        .n_launch = t.launch.n,
                        .loop = t.loop.at,
                        .n_loop = t.loop.n,
                        .buffer = t.buffer.at,
                        .n_buffer = t.buffer.n,
                        .launch_buf = t.launch_buf.at,
                        .launch_size = t.launch_size.at};
}

static double flops_per_row(const NnrtProgram *program, uint32_t function) {
  double sum = 0;
  if (function != NNRT_NONE)
    for (uint32_t i = 0; i < program->function[function].n_launch; i++)
      sum += program->function[function].launch[i].flops_per_n;
  return sum;
}

static void fill_train_flops(Arena *arena, NnrtProgram *program) {
  NnrtTrain *train = arena_array(arena, NnrtTrain, program->n_train + 1);
  for (uint32_t i = 0; i < program->n_train; i++) {
    train[i] = program->train[i];
    train[i].flops_forward = flops_per_row(program, train[i].eval);
    train[i].flops_step = 0;
    for (uint32_t k = 0; k < train[i].n_step; k++)
      train[i].flops_step +=
          train[i].step[k].repeat * flops_per_row(program, train[i].step[k].step);
  }
  program->train = train;
}

void codegen_tables(Module *m, const CodegenOptions *options) {
  (void)options;
  if (!m->program) {
    m->program = arena_new(m->arena, NnrtProgram);
    *m->program = (NnrtProgram){.abi = NNRT_ABI,
                                .bytes = sizeof(NnrtProgram),
                                .name = "ir",
                                .compiler = "nnc",
                                .cpu = "",
                                .source_hash = ""};
  }
  NnrtProgram *program = m->program;
  program->constant = NULL;
  program->n_constant = 0;
  NnrtFunction *functions = arena_array(m->arena, NnrtFunction, m->fn.n + 1);
  for (uint32_t k = 0; k < m->fn.n; k++)
    functions[k] = function_table(program, m->fn.at[k]);
  program->function = functions;
  program->n_function = m->fn.n;
  fill_train_flops(m->arena, program);
}
