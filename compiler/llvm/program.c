// The program's tables as constants of the module. They are made in this process with the structs
// of nnrt.h (codegen_tables, elaborate) and copied as they lie in memory: what isn't a pointer byte
// by byte, pointers as described here. Both sides are x86-64, so that the layout is the same.
#include "llvm/gen.h"

#include <stdio.h>
#include <string.h>

typedef enum { TO_TEXT, TO_ARRAY, TO_KERNEL } PointerKind;
struct Layout;
typedef uint64_t Count(const void *object);
typedef struct {
  size_t offset;
  PointerKind kind;
  const struct Layout *to; // TO_ARRAY
  size_t count_offset;     // TO_ARRAY: where its u32 count lies, or what `count` is given
  Count *count;
} Pointer;
typedef struct Layout {
  size_t size;
  uint32_t n_pointer;
  const Pointer *pointer; // by offset
} Layout;

typedef struct {
  Gen *g;
  const char *const *const *kernel_name;
  const NnrtProgram *program;
} Tables;

// ---- what points where -------------------------------------------------------------------------

#define TEXT(S, field)                                                                             \
  { offsetof(S, field), TO_TEXT, NULL, 0, NULL }
#define ARRAY(S, field, n, layout)                                                                 \
  { offsetof(S, field), TO_ARRAY, &layout, offsetof(S, n), NULL }
#define COUNTED(S, field, fn, layout)                                                              \
  { offsetof(S, field), TO_ARRAY, &layout, 0, fn }
#define LAYOUT(name, S, ...)                                                                       \
  static const Pointer name##_pointers[] = {__VA_ARGS__};                                          \
  static const Layout name = {sizeof(S), sizeof name##_pointers / sizeof(Pointer), name##_pointers}

static const Layout bytes_layout = {1, 0, NULL}, u32_layout = {4, 0, NULL},
                    i64_layout = {8, 0, NULL}, f64_layout = {8, 0, NULL},
                    bool_layout = {sizeof(bool), 0, NULL},
                    buffer_layout = {sizeof(NnrtBuffer), 0, NULL};
static const Pointer text_pointers[] = {{0, TO_TEXT, NULL, 0, NULL}};
static const Layout text_layout = {sizeof(char *), 1, text_pointers};

static uint64_t count_launch_buf(const void *object) {
  const NnrtFunction *f = object;
  uint64_t n = 0;
  for (uint32_t i = 0; i < f->n_launch; i++)
    n = f->launch[i].buf0 + f->launch[i].n_buf > n ? f->launch[i].buf0 + f->launch[i].n_buf : n;
  return n;
}

static uint64_t count_launch_size(const void *object) {
  const NnrtFunction *f = object;
  uint64_t n = 0;
  for (uint32_t i = 0; i < f->n_launch; i++)
    n = f->launch[i].size0 + f->launch[i].n_size > n ? f->launch[i].size0 + f->launch[i].n_size : n;
  return n;
}

static uint64_t count_values(const void *object) {
  const NnrtSource *s = object;
  return s->value ? (uint64_t)(s->rows * s->width) : 0;
}

static uint64_t count_constant_bytes(const void *object) {
  static const uint8_t size[] = {4, 8, 2, 4, 1, 1}; // by NnrtElem
  const NnrtConstant *c = object;
  uint64_t n = size[c->type.elem];
  for (uint32_t i = 0; i < c->type.rank; i++)
    n *= (uint64_t)c->type.dim[i];
  return n;
}

LAYOUT(port_layout, NnrtPort, TEXT(NnrtPort, name));
LAYOUT(launch_layout, NnrtLaunch, {offsetof(NnrtLaunch, fn), TO_KERNEL, NULL, 0, NULL},
       TEXT(NnrtLaunch, name));
static const Layout loop_layout = {sizeof(NnrtLoop), 0, NULL};
LAYOUT(function_layout, NnrtFunction, TEXT(NnrtFunction, name),
       ARRAY(NnrtFunction, arg, n_arg, port_layout),
       ARRAY(NnrtFunction, result, n_result, port_layout),
       ARRAY(NnrtFunction, launch, n_launch, launch_layout),
       ARRAY(NnrtFunction, loop, n_loop, loop_layout),
       ARRAY(NnrtFunction, buffer, n_buffer, buffer_layout),
       COUNTED(NnrtFunction, launch_buf, count_launch_buf, u32_layout),
       COUNTED(NnrtFunction, launch_size, count_launch_size, i64_layout));
LAYOUT(tensor_layout, NnrtTensor, TEXT(NnrtTensor, name));
LAYOUT(config_layout, NnrtConfig, TEXT(NnrtConfig, name), TEXT(NnrtConfig, help));
// Up to the values; what a zip has beyond them, sources within it have not.
#define SOURCE(S, start, field)                                                                    \
  ARRAY(S, field file, field n_file, text_layout), TEXT(S, field missing),                         \
      ARRAY(S, field keep, field n_keep, u32_layout),                                              \
      ARRAY(S, field whole, field n_whole, u32_layout),                                            \
      ARRAY(S, field keep_name, field n_keep, text_layout),                                        \
      ARRAY(S, field whole_name, field n_whole, text_layout),                                      \
      ARRAY(S, field class_name, field n_class, text_layout), {                                    \
    offsetof(S, field value), TO_ARRAY, &f64_layout, start, count_values                           \
  }
LAYOUT(source_layout, NnrtSource, SOURCE(NnrtSource, 0, ));
#define SPLIT(name)                                                                                \
  SOURCE(NnrtData, offsetof(NnrtData, name), name.),                                               \
      ARRAY(NnrtData, name.side, name.n_side, source_layout), TEXT(NnrtData, name.key)
LAYOUT(column_layout, NnrtColumn, TEXT(NnrtColumn, name), TEXT(NnrtColumn, header),
       ARRAY(NnrtColumn, place, n_place, u32_layout),
       ARRAY(NnrtColumn, words.words, words.n_byte, bytes_layout),
       ARRAY(NnrtColumn, words.code, words.n_word, f64_layout));
static const Layout part_layout = {sizeof(NnrtPart), 0, NULL};
LAYOUT(data_layout, NnrtData, TEXT(NnrtData, name), SPLIT(train), SPLIT(validate), SPLIT(test),
       ARRAY(NnrtData, column, n_column, column_layout), TEXT(NnrtData, path),
       ARRAY(NnrtData, part, n_part, part_layout));
LAYOUT(metric_layout, NnrtMetric, TEXT(NnrtMetric, name));
static const Layout total_layout = {sizeof(NnrtTotal), 0, NULL};
static const Layout stop_input_layout = {sizeof(NnrtStopInput), 0, NULL};
static const Layout fit_layout = {sizeof(NnrtFit), 0, NULL};
LAYOUT(step_layout, NnrtStep, TEXT(NnrtStep, name));
LAYOUT(output_layout, NnrtOutput, TEXT(NnrtOutput, name),
       ARRAY(NnrtOutput, words.words, words.n_byte, bytes_layout),
       ARRAY(NnrtOutput, words.code, words.n_word, f64_layout));
LAYOUT(draw_layout, NnrtDraw, TEXT(NnrtDraw, name),
       ARRAY(NnrtDraw, output, n_output, output_layout));
LAYOUT(train_layout, NnrtTrain, TEXT(NnrtTrain, name), ARRAY(NnrtTrain, step, n_step, step_layout),
       ARRAY(NnrtTrain, metric, n_metric, metric_layout),
       ARRAY(NnrtTrain, total, n_total, total_layout),
       ARRAY(NnrtTrain, stop_input, n_stop_input, stop_input_layout),
       ARRAY(NnrtTrain, slot, n_slot, u32_layout), ARRAY(NnrtTrain, draw, n_draw, draw_layout));
LAYOUT(predict_layout, NnrtPredict, TEXT(NnrtPredict, name),
       ARRAY(NnrtPredict, input, n_input, column_layout),
       ARRAY(NnrtPredict, output, n_output, output_layout));
LAYOUT(layer_layout, NnrtLayer, TEXT(NnrtLayer, path), TEXT(NnrtLayer, kind),
       ARRAY(NnrtLayer, param, n_param, u32_layout));
LAYOUT(import_layout, NnrtImport, TEXT(NnrtImport, instance), TEXT(NnrtImport, file),
       TEXT(NnrtImport, path), ARRAY(NnrtImport, from, n_rename, text_layout),
       ARRAY(NnrtImport, to, n_rename, text_layout));
LAYOUT(loc_layout, NnrtLoc, TEXT(NnrtLoc, layer));
LAYOUT(constant_layout, NnrtConstant,
       COUNTED(NnrtConstant, bytes, count_constant_bytes, bytes_layout));
LAYOUT(program_layout, NnrtProgram, TEXT(NnrtProgram, name), TEXT(NnrtProgram, compiler),
       TEXT(NnrtProgram, cpu), TEXT(NnrtProgram, source_hash),
       ARRAY(NnrtProgram, function, n_function, function_layout),
       ARRAY(NnrtProgram, param, n_param, tensor_layout),
       ARRAY(NnrtProgram, slot, n_slot, tensor_layout),
       ARRAY(NnrtProgram, state, n_state, tensor_layout),
       ARRAY(NnrtProgram, row_state, n_row_state, tensor_layout),
       ARRAY(NnrtProgram, trainable, n_param, bool_layout),
       ARRAY(NnrtProgram, config, n_config, config_layout),
       ARRAY(NnrtProgram, constant, n_constant, constant_layout),
       ARRAY(NnrtProgram, data, n_data, data_layout), ARRAY(NnrtProgram, fit, n_fit, fit_layout),
       ARRAY(NnrtProgram, train, n_train, train_layout),
       ARRAY(NnrtProgram, predict, n_predict, predict_layout),
       ARRAY(NnrtProgram, layer, n_layer, layer_layout),
       ARRAY(NnrtProgram, import, n_import, import_layout),
       ARRAY(NnrtProgram, loc, n_loc, loc_layout), ARRAY(NnrtProgram, file, n_file, text_layout));

// ---- constants ---------------------------------------------------------------------------------

typedef struct { // a packed struct under construction
  BUF(LLVMValueRef) field;
  const char *bytes; // not yet in a field
  size_t n_bytes;
} Image;

static LLVMValueRef global_of(Gen *g, LLVMValueRef constant, const char *name, unsigned align) {
  LLVMValueRef v = LLVMAddGlobal(g->module, LLVMTypeOf(constant), name);
  LLVMSetInitializer(v, constant);
  LLVMSetGlobalConstant(v, true);
  LLVMSetAlignment(v, align);
  LLVMSetLinkage(v, LLVMPrivateLinkage);
  LLVMSetUnnamedAddress(v, LLVMGlobalUnnamedAddr);
  return v;
}

static LLVMValueRef text_constant(Gen *g, const char *text) {
  if (!text)
    return LLVMConstNull(g->ptr);
  return global_of(g, LLVMConstStringInContext2(g->context, text, strlen(text), false), "", 1);
}

static void flush_bytes(Gen *g, Image *image) {
  if (image->n_bytes)
    buf_push(g->arena, &image->field,
             LLVMConstStringInContext2(g->context, image->bytes, image->n_bytes, true));
  image->n_bytes = 0;
}

static void put_bytes(Gen *g, Image *image, const char *from, size_t n) {
  if (image->n_bytes && image->bytes + image->n_bytes != from)
    flush_bytes(g, image);
  if (image->n_bytes == 0)
    image->bytes = from;
  image->n_bytes += n;
}

static LLVMValueRef array_constant(Tables *t, const Layout *layout, const void *at, uint64_t n);

static LLVMValueRef kernel_constant(Tables *t, const char *field) {
  const NnrtProgram *p = t->program;
  for (uint32_t f = 0; f < p->n_function; f++) {
    const char *first = (const char *)p->function[f].launch;
    if (field >= first && field < first + p->function[f].n_launch * sizeof(NnrtLaunch)) {
      const char *name = t->kernel_name[f][(size_t)(field - first) / sizeof(NnrtLaunch)];
      return kernel_declare(t->g, name);
    }
  }
  ice("codegen: a launch outside all functions");
}

static uint64_t array_count(const Pointer *p, const char *object) {
  if (p->count)
    return p->count(object + p->count_offset);
  uint32_t n;
  memcpy(&n, object + p->count_offset, sizeof n);
  return n;
}

static LLVMValueRef pointer_constant(Tables *t, const Pointer *p, const char *object) {
  const void *to;
  memcpy(&to, object + p->offset, sizeof to);
  switch (p->kind) {
  case TO_TEXT:
    return text_constant(t->g, to);
  case TO_KERNEL:
    return kernel_constant(t, object);
  case TO_ARRAY:
    return array_constant(t, p->to, to, array_count(p, object));
  }
  return NULL;
}

static void put_object(Tables *t, Image *image, const Layout *layout, const char *object) {
  size_t done = 0;
  for (uint32_t i = 0; i < layout->n_pointer; i++) {
    const Pointer *p = &layout->pointer[i];
    if (p->offset < done)
      ice("codegen: pointers of a table out of order");
    if (p->offset > done)
      put_bytes(t->g, image, object + done, p->offset - done);
    flush_bytes(t->g, image);
    buf_push(t->g->arena, &image->field, pointer_constant(t, p, object));
    done = p->offset + sizeof(void *);
  }
  if (done < layout->size)
    put_bytes(t->g, image, object + done, layout->size - done);
}

static LLVMValueRef image_of(Tables *t, const Layout *layout, const void *at, uint64_t n) {
  Image image = {0};
  for (uint64_t i = 0; i < n; i++)
    put_object(t, &image, layout, (const char *)at + i * layout->size);
  flush_bytes(t->g, &image);
  return LLVMConstStructInContext(t->g->context, image.field.at, image.field.n, true);
}

static LLVMValueRef array_constant(Tables *t, const Layout *layout, const void *at, uint64_t n) {
  if (!at || n == 0)
    return LLVMConstNull(t->g->ptr);
  return global_of(t->g, image_of(t, layout, at, n), "", 64);
}

void program_emit(Gen *g, const Module *m, const char *suffix,
                  const char *const *const *kernel_name) {
  NnrtProgram program = *m->program;
  program.abi = NNRT_ABI;
  program.bytes = sizeof program;
  program.cpu = g->target->name;
  program.cpu_level = (uint32_t)g->target->level;
  Tables t = {g, kernel_name, m->program};
  const char *name = arena_printf(g->arena, "nnrt_program%s", suffix);
  LLVMValueRef v = global_of(g, image_of(&t, &program_layout, &program, 1), name, 64);
  LLVMSetLinkage(v, LLVMExternalLinkage);
}

void program_emit_index(Gen *g, const char *const *suffixes, uint32_t n) {
  LLVMValueRef *all = arena_array(g->arena, LLVMValueRef, n + 1);
  for (uint32_t i = 0; i < n; i++)
    all[i] = LLVMAddGlobal(g->module, g->i8, arena_printf(g->arena, "nnrt_program%s", suffixes[i]));
  all[n] = LLVMConstNull(g->ptr);
  LLVMValueRef v = global_of(g, LLVMConstArray2(g->ptr, all, n + 1), "nnrt_programs", 8);
  LLVMSetLinkage(v, LLVMExternalLinkage);
}
