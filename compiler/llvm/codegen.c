// The entry points of this folder: kernels of a module as an object, as text, or in this process.
#include "llvm/gen.h"

#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>

extern char **environ;

// ---- files -------------------------------------------------------------------------------------

static const char *write_part(Arena *arena, LLVMMemoryBufferRef part, const char *path) {
  size_t n = LLVMGetBufferSize(part);
  FILE *f = fopen(path, "wb");
  bool ok = f && fwrite(LLVMGetBufferStart(part), 1, n, f) == n;
  ok = f && fclose(f) == 0 && ok;
  if (ok)
    return NULL;
  const char *why = arena_printf(arena, "can't write %s: %s", path, strerror(errno));
  unlink(path);
  return why;
}

// ld -r: one object from several.
static const char *join_objects(Arena *arena, const char *const *object, uint32_t n,
                                const char *path) {
  const char **word = arena_array(arena, const char *, n + 5);
  uint32_t k = 0;
  word[k++] = "ld";
  word[k++] = "-r";
  word[k++] = "-o";
  word[k++] = path;
  for (uint32_t i = 0; i < n; i++)
    word[k++] = object[i];
  pid_t child;
  // posix_spawn doesn't change the words.
  int status, error = posix_spawnp(&child, word[0], NULL, NULL, (char **)(uintptr_t)word, environ);
  if (error)
    return arena_printf(arena, "can't run ld: %s", strerror(error));
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  return status ? arena_printf(arena, "can't write %s: ld failed", path) : NULL;
}

static const char *write_objects(Arena *arena, const Parts *parts, const char *path) {
  if (parts->n == 1)
    return write_part(arena, parts->at[0], path);
  const char *why = NULL;
  const char **object = arena_array(arena, const char *, parts->n);
  uint32_t written = 0;
  for (; written < parts->n && !why; written++) {
    object[written] = arena_printf(arena, "%s.%u", path, written);
    why = write_part(arena, parts->at[written], object[written]);
  }
  if (!why)
    why = join_objects(arena, object, parts->n, path);
  for (uint32_t i = 0; i < written; i++)
    unlink(object[i]);
  return why;
}

static void dispose_parts(Parts *parts) {
  for (uint32_t i = 0; i < parts->n; i++)
    if (parts->at[i])
      LLVMDisposeMemoryBuffer(parts->at[i]);
}

const char *codegen_emit(Module *m, const CodegenOptions *options, const char *suffix,
                         const char *kind, const char *path, Text *out) {
  Units units = find_units(m->arena, m, suffix);
  Parts parts = {0};
  Form form = strcmp(kind, "obj") == 0   ? AS_OBJECT
              : strcmp(kind, "asm") == 0 ? AS_ASSEMBLY
                                         : AS_LLVM;
  const char *why = compile_modules(m, options, suffix, &units, form, &parts);
  if (!why && form == AS_OBJECT)
    why = write_objects(m->arena, &parts, path);
  for (uint32_t i = 0; i < parts.n && !why && form != AS_OBJECT; i++)
    text_putn(out, LLVMGetBufferStart(parts.at[i]), LLVMGetBufferSize(parts.at[i]));
  dispose_parts(&parts);
  return why;
}

const char *codegen_emit_index(Session *s, const char *const *suffixes, uint32_t n,
                               const char *path) {
  Target target;
  const char *why = target_find(s->perm, "x86-64-v2", &target);
  if (why)
    return why;
  Gen g;
  LLVMMemoryBufferRef object;
  char *error = NULL;
  gen_open_empty(&g, s->perm, &target);
  program_emit_index(&g, suffixes, n);
  if (LLVMTargetMachineEmitToMemoryBuffer(g.machine, g.module, LLVMObjectFile, &error, &object))
    return arena_printf(s->perm, "LLVM: %s", error);
  why = write_part(s->perm, object, path);
  LLVMDisposeMemoryBuffer(object);
  gen_close(&g);
  return why;
}

// ---- in this process ---------------------------------------------------------------------------

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

static const char *jit_add(Arena *arena, LLVMOrcLLJITRef jit, Parts *parts) {
  const char *why = NULL;
  for (uint32_t i = 0; i < parts->n && !why; i++) {
    LLVMMemoryBufferRef object = parts->at[i];
    parts->at[i] = NULL; // the JIT owns it now
    why =
        error_text(arena, LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), object));
  }
  return why;
}

static const char *jit_launches(Module *m, const Units *units, LLVMOrcLLJITRef jit) {
  const char *why = NULL;
  for (uint32_t f = 0; f < m->fn.n; f++)
    for (uint32_t i = 0; i < m->program->function[f].n_launch && !why; i++) {
      // The tables are constant for those who run them; here they are being made.
      NnrtLaunch *launch = (NnrtLaunch *)(uintptr_t)&m->program->function[f].launch[i];
      LLVMOrcExecutorAddress address = 0;
      why = error_text(m->arena, LLVMOrcLLJITLookup(jit, &address, units->name[f][i]));
      *(void **)&launch->fn = (void *)(uintptr_t)address;
    }
  return why;
}

const char *codegen_jit(Module *m, const CodegenOptions *options) {
  Units units = find_units(m->arena, m, "");
  Parts parts = {0};
  LLVMOrcLLJITRef jit;
  const char *why = codegen_uses_openblas(m, options) ? load_openblas() : NULL;
  if (!why)
    why = compile_modules(m, options, NULL, &units, AS_OBJECT, &parts);
  if (!why)
    why = jit_open(m->arena, &jit);
  if (!why)
    why = jit_add(m->arena, jit, &parts);
  dispose_parts(&parts);
  return why ? why : jit_launches(m, &units, jit);
}
