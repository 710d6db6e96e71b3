// The driver of this folder: finds the distinct kernels of a module, has them generated and optimised,
// and writes the result as an object, as text, or into this process.
#include "llvm/gen.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

// ---- distinct kernels ------------------------------------------------------------------------------------

typedef struct {
  const Inst *group;
  const char *key, *name;
} Unit;
typedef struct {
  BUF(Unit) unit;
  const char *const **name; // [function][launch]: the kernel's name
} Units;

static uint32_t count_groups(const Function *f) {
  uint32_t n = 0;
  for (const Inst *inst = f->body->first; inst; inst = inst->next)
    n += inst->op == OP_group;
  return n;
}

static const char *unit_for(Arena *arena, Units *u, const Inst *group, const char *suffix) {
  const char *key = kernel_key(arena, group);
  for (uint32_t i = 0; i < u->unit.n; i++)
    if (strcmp(u->unit.at[i].key, key) == 0)
      return u->unit.at[i].name;
  const char *kind = inst_attr(group, "kind")->s;
  const char *name = arena_printf(arena, "nnrt_k%u_%s%s", u->unit.n, kind, suffix);
  buf_push(arena, &u->unit, (Unit){group, key, name});
  return name;
}

static Units find_units(Arena *arena, const Module *m, const char *suffix) {
  Units u = {.name = arena_array(arena, const char *const *, m->fn.n + 1)};
  for (uint32_t f = 0; f < m->fn.n; f++) {
    uint32_t n = 0;
    const char **name = arena_array(arena, const char *, count_groups(m->fn.at[f]) + 1);
    for (const Inst *inst = m->fn.at[f]->body->first; inst; inst = inst->next)
      if (inst->op == OP_group)
        name[n++] = unit_for(arena, &u, inst, suffix);
    u.name[f] = name;
  }
  return u;
}

// ---- one module -------------------------------------------------------------------------------------------

// A module with all kernels and, if suffix is given, the program's tables; optimised.
static const char *build_module(Gen *g, Arena *arena, const Module *m, const CodegenOptions *options,
                                const char *suffix, Units *units, Target *target) {
  const char *why = target_find(arena, options->cpu, target);
  if (!why)
    why = gen_open(g, arena, target, options->blas);
  if (why)
    return why;
  *units = find_units(arena, m, suffix ? suffix : "");
  for (uint32_t i = 0; i < units->unit.n; i++)
    kernel_build(g, units->unit.at[i].group, units->unit.at[i].name);
  if (suffix)
    program_emit(g, m, suffix, units->name);
  return gen_optimise(g);
}

static const char *write_file(Gen *g, LLVMCodeGenFileType type, const char *path) {
  char *error = NULL;
  if (!LLVMTargetMachineEmitToFile(g->machine, g->module, path, type, &error))
    return NULL;
  const char *why = arena_printf(g->arena, "can't write %s: %s", path, error);
  LLVMDisposeMessage(error);
  return why;
}

static const char *to_memory(Gen *g, LLVMCodeGenFileType type, LLVMMemoryBufferRef *bytes) {
  char *error = NULL;
  if (!LLVMTargetMachineEmitToMemoryBuffer(g->machine, g->module, type, &error, bytes))
    return NULL;
  const char *why = arena_printf(g->arena, "LLVM: %s", error);
  LLVMDisposeMessage(error);
  return why;
}

static const char *put_assembly(Gen *g, Text *out) {
  LLVMMemoryBufferRef bytes;
  const char *why = to_memory(g, LLVMAssemblyFile, &bytes);
  if (why)
    return why;
  text_putn(out, LLVMGetBufferStart(bytes), LLVMGetBufferSize(bytes));
  LLVMDisposeMemoryBuffer(bytes);
  return NULL;
}

static const char *write_module(Gen *g, const char *kind, const char *path, Text *out) {
  if (strcmp(kind, "obj") == 0)
    return write_file(g, LLVMObjectFile, path);
  if (strcmp(kind, "asm") == 0)
    return put_assembly(g, out);
  char *text = LLVMPrintModuleToString(g->module);
  text_put(out, text);
  LLVMDisposeMessage(text);
  return NULL;
}

const char *codegen_emit(Module *m, const CodegenOptions *options, const char *suffix, const char *kind,
                         const char *path, Text *out) {
  Gen g = {0};
  Units units;
  Target target;
  const char *why = build_module(&g, m->arena, m, options, suffix, &units, &target);
  if (!why)
    why = write_module(&g, kind, path, out);
  gen_close(&g);
  return why;
}

const char *codegen_emit_index(Session *s, const char *const *suffixes, uint32_t n, const char *path) {
  Target target;
  const char *why = target_find(s->perm, "x86-64-v2", &target);
  if (why)
    return why;
  Gen g;
  gen_open_empty(&g, s->perm, &target);
  program_emit_index(&g, suffixes, n);
  why = write_file(&g, LLVMObjectFile, path);
  gen_close(&g);
  return why;
}

// ---- in this process ----------------------------------------------------------------------------------------

static const char *error_text(Arena *arena, LLVMErrorRef error) {
  if (!error)
    return NULL;
  char *text = LLVMGetErrorMessage(error);
  const char *why = arena_printf(arena, "JIT: %s", text);
  LLVMDisposeErrorMessage(text);
  return why;
}

static const char *load_openblas(void) {
  void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_GLOBAL);
  if (!lib)
    return "libopenblas.so.0 can't be loaded";
  void (*set_threads)(int);
  *(void **)&set_threads = dlsym(lib, "openblas_set_num_threads");
  if (set_threads)
    set_threads(1);
  return NULL;
}

static const char *jit_open(Arena *arena, LLVMOrcLLJITRef *jit) {
  const char *why = error_text(arena, LLVMOrcCreateLLJIT(jit, NULL));
  if (why)
    return why;
  LLVMOrcDefinitionGeneratorRef process;
  why = error_text(arena, LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                              &process, LLVMOrcLLJITGetGlobalPrefix(*jit), NULL, NULL));
  if (!why)
    LLVMOrcJITDylibAddGenerator(LLVMOrcLLJITGetMainJITDylib(*jit), process);
  return why;
}

static const char *jit_kernel(Arena *arena, LLVMOrcLLJITRef jit, const char *name, NnrtKernel *fn) {
  LLVMOrcExecutorAddress address = 0;
  const char *why = error_text(arena, LLVMOrcLLJITLookup(jit, &address, name));
  *(void **)fn = (void *)(uintptr_t)address;
  return why;
}

static const char *jit_launches(Module *m, const Units *units, LLVMOrcLLJITRef jit) {
  const char *why = NULL;
  if (m->program->n_function != m->fn.n)
    ice("codegen: %u functions in the tables, %u in the module", m->program->n_function, m->fn.n);
  for (uint32_t f = 0; f < m->fn.n; f++) {
    const NnrtFunction *function = &m->program->function[f];
    if (function->n_launch != count_groups(m->fn.at[f]))
      ice("codegen: %s has %u launches and %u groups", function->name, function->n_launch,
          count_groups(m->fn.at[f]));
    for (uint32_t i = 0; i < function->n_launch && !why; i++) {
      // The tables are constant for those who run them; here they are being made.
      NnrtLaunch *launch = (NnrtLaunch *)(uintptr_t)&function->launch[i];
      why = jit_kernel(m->arena, jit, units->name[f][i], &launch->fn);
    }
  }
  return why;
}

const char *codegen_jit(Module *m, const CodegenOptions *options) {
  Gen g = {0};
  Units units;
  Target target;
  LLVMMemoryBufferRef object;
  LLVMOrcLLJITRef jit;
  const char *why = codegen_uses_openblas(m, options) ? load_openblas() : NULL;
  if (!why)
    why = build_module(&g, m->arena, m, options, NULL, &units, &target);
  if (!why)
    why = to_memory(&g, LLVMObjectFile, &object);
  if (g.context)
    gen_close(&g);
  if (!why)
    why = jit_open(m->arena, &jit);
  if (!why)
    why = error_text(m->arena, LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), object));
  return why ? why : jit_launches(m, &units, jit);
}
