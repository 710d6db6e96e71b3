// What the generated code looks like: epilogues and kernels in C are inlined away (no call is left
// but LLVM's own intrinsics), and elementary functions run on whole vectors.
#include "compiled.h"
#include "optest.h"

#include <stdio.h>
#include <string.h>

static const char *emit_text(const Backend *backend, Session *s, const char *path, const char *cpu,
                             const char *kind, Text *out) {
  uint32_t file = source_read(s, path);
  Module *m = file ? ir_read(s, file) : NULL;
  if (!m)
    return "it can't be read";
  CodegenOptions options = {cpu, BLAS_OWN, 2};
  codegen_tables(m, &options);
  return backend->emit(m, &options, "", kind, NULL, out);
}

// The first call of LLVM text that isn't an intrinsic, or NULL.
static const char *stray_call(Session *s, const char *text) {
  for (const char *p = text; (p = strstr(p, "call ")); p++) {
    size_t n = strcspn(p, "\n");
    const char *callee = memchr(p, '@', n);
    if (!callee || strncmp(callee, "@llvm.", 6) != 0)
      return arena_printf(s->perm, "%.*s", (int)n, p);
  }
  return NULL;
}

static void test_calls(const Backend *backend, const char *cpu) {
  Session *s = session_create();
  Text text = {.arena = s->perm};
  const char *why = emit_text(backend, s, "tests/codegen/groups.ir", cpu, "llvm", &text);
  if (!why)
    why = stray_call(s, text.at);
  report(!why, "no call is left for", cpu, why);
  report(text.at && strstr(text.at, "_dot(") && !strstr(text.at, "@epilogue("),
         "epilogues are inlined for", cpu, "a function epilogue is left");
  session_destroy(s);
}

// Scalar arithmetic in assembly: none is wanted.
static const char *scalar_arithmetic(const char *text) {
  static const char *const words[] = {"mulss", "addss", "subss",      "divss",
                                      "mulsd", "addsd", "fmadd213ss", "call"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strstr(text, words[i]))
      return words[i];
  return NULL;
}

static void test_vectors(const Backend *backend, const char *cpu) {
  Session *s = session_create();
  Text text = {.arena = s->perm};
  const char *why = emit_text(backend, s, "tests/codegen/math.ir", cpu, "asm", &text);
  report(!why, "assembly for", cpu, why);
  if (!why) {
    const char *scalar = scalar_arithmetic(text.at);
    report(!scalar, "elementary functions are vectors for", cpu, scalar);
    const char *width = strcmp(cpu, "x86-64-v4") == 0   ? "%zmm"
                        : strcmp(cpu, "x86-64-v3") == 0 ? "%ymm"
                                                        : "%xmm";
    report(strstr(text.at, width) != NULL, "registers are as wide as they come for", cpu, width);
  }
  session_destroy(s);
}

// The same text for any number of compile threads.
static void test_threads(const Backend *backend) {
  Session *s = session_create();
  Text text[2] = {{.arena = s->perm}, {.arena = s->perm}};
  const char *why = NULL;
  for (int i = 0; i < 2 && !why; i++) {
    uint32_t file = source_read(s, "tests/codegen/groups.ir");
    Module *m = ir_read(s, file);
    CodegenOptions options = {"x86-64-v3", BLAS_OWN, i ? 3 : 1};
    codegen_tables(m, &options);
    why = backend->emit(m, &options, "", "asm", NULL, &text[i]);
  }
  report(!why && text[0].n == text[1].n && memcmp(text[0].at, text[1].at, text[0].n) == 0,
         "code is the same for", "1 and 3 compile threads", why ? why : "it differs");
  session_destroy(s);
}

int main(void) {
  static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  Session *s = session_create();
  Backend backend;
  const char *why = backend_load(s, &backend);
  report(!why, "code generator", "loads", why);
  for (int i = 0; i < 3 && !why; i++) {
    test_calls(&backend, levels[i]);
    test_vectors(&backend, levels[i]);
  }
  if (!why)
    test_threads(&backend);
  session_destroy(s);
  return report_status();
}
