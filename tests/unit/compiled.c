// Running compiled code in a test; see compiled.h.
#include "compiled.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *backend_load(Session *s, Backend *backend) {
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n < 0)
    return "no /proc/self/exe";
  self[n] = 0;
  *strrchr(self, '/') = 0;
  void *lib = dlopen(arena_printf(s->perm, "%s/../../nnc-llvm.so", self), RTLD_NOW | RTLD_LOCAL);
  if (!lib)
    return arena_printf(s->perm, "%s", dlerror());
  *(void **)&backend->emit = dlsym(lib, "codegen_emit");
  *(void **)&backend->jit = dlsym(lib, "codegen_jit");
  return backend->emit && backend->jit ? NULL : "nnc-llvm.so lacks codegen_emit or codegen_jit";
}

const char *make_groups(Module *m) {
  static const struct {
    const char *name;
    void (*run)(Module *m);
  } pass[] = {{"layout", pass_layout}, {"fuse", pass_fuse}, {"schedule", pass_schedule}};
  for (size_t i = 0; i < sizeof pass / sizeof *pass; i++) {
    pass[i].run(m);
    const char *wrong = ir_verify(m);
    if (wrong)
      return arena_printf(m->arena, "after %s: %s", pass[i].name, wrong);
  }
  return NULL;
}

const char *compiled_open(const Backend *backend, Module *m, const CodegenOptions *options,
                          int64_t max_n, Compiled *c) {
  *c = (Compiled){.m = m};
  codegen_tables(m, options);
  const char *why = backend->jit(m, options);
  if (why)
    return why;
  c->pool = nnrt_pool_open(2);
  if (!c->pool || nnrt_open(m->program, c->pool, max_n, NULL, 0, &c->model) != NNRT_OK)
    return "nnrt_open failed";
  nnrt_poison(c->model, true);
  return NULL;
}

void compiled_close(Compiled *c) {
  nnrt_close(c->model);
  nnrt_pool_close(c->pool);
}

// ---- tensors of doubles and buffers of elements ------------------------------------------------

static int64_t type_bytes(const Type *type, int64_t count) {
  static const int64_t size[] = {4, 8, 2, 4, 1, 1};
  return size[type->elem] * count;
}

static void put(void *bytes, ElemType elem, int64_t i, double x) {
  if (elem == TY_F32)
    ((float *)bytes)[i] = (float)x;
  else if (elem == TY_F64)
    ((double *)bytes)[i] = x;
  else if (elem == TY_I32)
    ((int32_t *)bytes)[i] = (int32_t)x;
  else
    ((uint8_t *)bytes)[i] = (uint8_t)x;
}

static double get(const void *bytes, ElemType elem, int64_t i) {
  if (elem == TY_F32)
    return ((const float *)bytes)[i];
  if (elem == TY_F64)
    return ((const double *)bytes)[i];
  return elem == TY_I32 ? ((const int32_t *)bytes)[i] : ((const uint8_t *)bytes)[i];
}

static void *buffer_for(const Type *type, int64_t count) {
  size_t bytes = ((size_t)type_bytes(type, count) + 2 * NNRT_ALIGN - 1) / NNRT_ALIGN * NNRT_ALIGN;
  void *p = aligned_alloc(NNRT_ALIGN, bytes);
  memset(p, 0xa5, bytes);
  return p;
}

static void *argument_for(const Function *f, const Port *port, void *const *arg) {
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    if (f->arg_port[i].role == port->role && f->arg_port[i].index == port->index &&
        (port->role == NNRT_PARAM || port->role == NNRT_SLOT || port->role == NNRT_STATE))
      return arg[i];
  return NULL;
}

static void fill(void *buffer, const Tensor *t) {
  for (int64_t i = 0; i < t->count; i++)
    put(buffer, t->type.elem, i, t->at[i]);
}

const char *compiled_run(Compiled *c, uint32_t fn, int64_t n, const Tensor *const *args,
                         Tensor **results) {
  const Function *f = c->m->fn.at[fn];
  Value *const *returned = f->body->last->arg;
  void **arg = calloc(f->body->n_arg + 1, sizeof *arg),
       **result = calloc(f->n_result + 1, sizeof *result);
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    fill(arg[i] = buffer_for(&args[i]->type, args[i]->count), args[i]);
  for (uint32_t i = 0; i < f->n_result; i++) {
    results[i] = tensor_new(c->m->arena, returned[i]->type, n);
    void *shared = argument_for(f, &f->result_port[i], arg);
    result[i] = shared ? shared : buffer_for(&results[i]->type, results[i]->count);
  }
  NnrtStatus status = nnrt_run(c->model, fn, n, arg, result);
  for (uint32_t i = 0; i < f->n_result; i++)
    for (int64_t k = 0; k < results[i]->count; k++)
      results[i]->at[k] = get(result[i], results[i]->type.elem, k);
  for (uint32_t i = 0; i < f->n_result; i++)
    if (!argument_for(f, &f->result_port[i], arg))
      free(result[i]);
  for (uint32_t i = 0; i < f->body->n_arg; i++)
    free(arg[i]);
  free(arg);
  free(result);
  return status == NNRT_OK ? NULL : "nnrt_run failed";
}

static bool differs(double got, double want, double most) {
  if (isnan(got) || isnan(want))
    return isnan(got) != isnan(want);
  if (isinf(got) || isinf(want))
    return got != want;
  return fabs(got - want) > most * (1 + fabs(want));
}

const char *compiled_against_eval(Compiled *c, uint32_t fn, int64_t n, const Tensor *const *args,
                                  double most) {
  const Function *f = c->m->fn.at[fn];
  Arena *arena = c->m->arena;
  Tensor **got = arena_array(arena, Tensor *, f->n_result + 1);
  Tensor **want = arena_array(arena, Tensor *, f->n_result + 1);
  const char *why = ir_eval(f, n, args, want, arena);
  if (!why)
    why = compiled_run(c, fn, n, args, got);
  for (uint32_t i = 0; i < f->n_result && !why; i++)
    for (int64_t k = 0; k < want[i]->count && !why; k++)
      if (differs(got[i]->at[k], want[i]->at[k], most))
        why = arena_printf(arena, "N = %lld: element %lld of result %u is %.9g, should be %.9g",
                           (long long)n, (long long)k, i, got[i]->at[k], want[i]->at[k]);
  return why;
}
