// What code is made for: a CPU level or this machine, and LLVM's target machine for it.
#include "llvm/gen.h"

#include <string.h>

#include <llvm-c/Target.h>

// Is "+name" among the comma-separated features?
static bool has_feature(const char *features, const char *name) {
  size_t n = strlen(name);
  for (const char *p = features; p; p = strchr(p, ',')) {
    p += *p == ',';
    if (p[0] == '+' && strncmp(p + 1, name, n) == 0 && (p[1 + n] == ',' || p[1 + n] == 0))
      return true;
  }
  return false;
}

static bool has_all(const char *features, const char *const *names) {
  for (; *names; names++)
    if (!has_feature(features, *names))
      return false;
  return true;
}

static int host_level(const char *features) {
  static const char *const v4[] = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", NULL};
  static const char *const v3[] = {"avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe", NULL};
  static const char *const v2[] = {"sse4.2", "ssse3", "popcnt", "cx16", NULL};
  if (has_all(features, v3))
    return has_all(features, v4) ? 4 : 3;
  return has_all(features, v2) ? 2 : 1;
}

static const char *target_native(Arena *arena, Target *target) {
  char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
  target->cpu = arena_printf(arena, "%s", cpu);
  target->features = arena_printf(arena, "%s", features);
  LLVMDisposeMessage(cpu);
  LLVMDisposeMessage(features);
  target->level = host_level(target->features);
  if (target->level < 2)
    return arena_printf(
        arena, "this machine's CPU (%s) lacks SSE4.2 (x86-64-v2), the least that is supported",
        target->cpu);
  return NULL;
}

const char *target_find(Arena *arena, const char *name, Target *target) {
  static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  target->name = name;
  LLVMInitializeX86TargetInfo(); // here and not below: compile threads come later
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  if (strcmp(name, "native") == 0)
    return target_native(arena, target);
  for (int i = 0; i < 3; i++)
    if (strcmp(name, levels[i]) == 0) {
      target->cpu = levels[i];
      target->features = "";
      target->level = i + 2;
      return NULL;
    }
  return arena_printf(arena, "unknown CPU level `%s`", name);
}

LLVMTargetMachineRef target_machine(const Target *target) {
  LLVMTargetRef t;
  char *error = NULL;
  if (LLVMGetTargetFromTriple("x86_64-pc-linux-gnu", &t, &error))
    ice("LLVM has no x86-64 back end: %s", error);
  return LLVMCreateTargetMachine(t, "x86_64-pc-linux-gnu", target->cpu, target->features,
                                 LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
}
