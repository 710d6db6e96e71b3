// Distinct kernels, shared out among LLVM modules. Kernel i goes into module i mod K, K depends on
// the number of kernels alone, and every module is compiled in its own context by one thread:
// objects are identical for any number of threads.
#include "llvm/gen.h"
#include "pass/groups.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { KERNELS_PER_MODULE = 6, MOST_MODULES = 8 };

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

Units find_units(Arena *arena, const Module *m, const char *suffix) {
  Units u = {.name = arena_array(arena, const char *const *, m->fn.n + 1)};
  if (m->program->n_function != m->fn.n)
    ice("codegen: %u functions in the tables, %u in the module", m->program->n_function, m->fn.n);
  for (uint32_t f = 0; f < m->fn.n; f++) {
    const Inst **group;
    ir_count_uses(m->fn.at[f]); // a loop asks who else reads what it overwrites
    uint32_t n = groups_of(arena, m->fn.at[f], &group);
    if (m->program->function[f].n_launch != n)
      ice("codegen: %s has %u launches and %u groups", m->fn.at[f]->name,
          m->program->function[f].n_launch, n);
    const char **name = arena_array(arena, const char *, n + 1);
    for (uint32_t i = 0; i < n; i++)
      name[i] = unit_for(arena, &u, group[i], suffix);
    u.name[f] = name;
  }
  return u;
}

// ---- compiling ---------------------------------------------------------------------------------

typedef struct {
  const Module *m;
  const CodegenOptions *options;
  const char *suffix;
  const Units *units;
  const Target *target;
  Form form;
  Parts *parts;
  atomic_uint next;             // module to be compiled
  char why[MOST_MODULES][2000]; // empty: compiled
} Work;

static const char *put_part(Gen *g, Form form, LLVMMemoryBufferRef *part) {
  if (form == AS_LLVM) {
    char *text = LLVMPrintModuleToString(g->module);
    *part = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "llvm");
    LLVMDisposeMessage(text);
    return NULL;
  }
  char *error = NULL;
  LLVMCodeGenFileType type = form == AS_OBJECT ? LLVMObjectFile : LLVMAssemblyFile;
  if (!LLVMTargetMachineEmitToMemoryBuffer(g->machine, g->module, type, &error, part))
    return NULL;
  const char *why = arena_printf(g->arena, "LLVM: %s", error);
  LLVMDisposeMessage(error);
  return why;
}

static const char *compile_module(Work *w, Arena *arena, uint32_t number) {
  Gen g;
  const char *why = gen_open(&g, arena, w->target, w->options->blas);
  if (why)
    return why;
  for (uint32_t i = number; i < w->units->unit.n; i += w->parts->n)
    kernel_build(&g, w->units->unit.at[i].group, w->units->unit.at[i].name);
  if (w->suffix && number == 0)
    program_emit(&g, w->m, w->suffix, w->units->name);
  why = gen_optimise(&g);
  if (!why)
    why = put_part(&g, w->form, &w->parts->at[number]);
  gen_close(&g);
  return why;
}

static void *compile_thread(void *state) {
  Work *w = state;
  for (;;) {
    uint32_t number = atomic_fetch_add(&w->next, 1);
    if (number >= w->parts->n)
      return NULL;
    Arena *arena = arena_create();
    const char *why = compile_module(w, arena, number);
    snprintf(w->why[number], sizeof w->why[number], "%s", why ? why : "");
    arena_destroy(arena);
  }
}

static void run_threads(Work *w) {
  pthread_t thread[MOST_MODULES];
  uint32_t n = w->options->jobs > 1 ? (uint32_t)w->options->jobs : 1, started = 0;
  n = n < w->parts->n ? n : w->parts->n;
  while (started + 1 < n && pthread_create(&thread[started], NULL, compile_thread, w) == 0)
    started++;
  compile_thread(w); // this one works too, alone if no other could be started
  for (uint32_t i = 0; i < started; i++)
    pthread_join(thread[i], NULL);
}

const char *compile_modules(const Module *m, const CodegenOptions *options, const char *suffix,
                            const Units *units, Form form, Parts *parts) {
  Target target;
  const char *why = target_find(m->arena, options->cpu, &target);
  if (why)
    return why;
  uint32_t n = (units->unit.n + KERNELS_PER_MODULE - 1) / KERNELS_PER_MODULE;
  parts->n = n < 1 ? 1 : n > MOST_MODULES ? MOST_MODULES : n;
  parts->at = arena_array(m->arena, LLVMMemoryBufferRef, parts->n);
  Work w = {.m = m, .options = options, .suffix = suffix, .units = units, .target = &target};
  w.form = form;
  w.parts = parts;
  run_threads(&w);
  for (uint32_t i = 0; i < parts->n; i++)
    if (w.why[i][0])
      return arena_printf(m->arena, "%s", w.why[i]);
  return NULL;
}
