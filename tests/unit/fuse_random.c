// Random functions through layout, fuse and schedule: after each pass they verify, print and read
// back, and compute the same. Then the launches are run as the runtime would: in the memory of the
// plan, in any order within a phase, results in place of arguments.
#include "llvm/codegen.h"
#include "ops/op.h"
#include "pass/groups.h"
#include "optest.h"
#include "random_graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  Session *s;
  Module *m;
  Function *f;
  int64_t n;
  const Tensor **args;
  Tensor **wanted;
} Case;

static const char *compare(Arena *arena, const Function *f, Tensor *const *wanted,
                           Tensor *const *got) {
  for (uint32_t i = 0; i < f->n_result; i++) {
    double d = difference(wanted[i], got[i]);
    if (!(d < 1e-9))
      return arena_printf(arena, "result %u (%s) is off by %g", i, f->result_port[i].name, d);
  }
  return NULL;
}

static const char *check_text(const Case *c) {
  Text once = {.arena = c->s->perm}, twice = {.arena = c->s->perm};
  ir_print(c->m, &once);
  Module *again = ir_read(c->s, source_add(c->s, "printed", once.at, once.n));
  if (!again)
    return "what is printed can't be read";
  ir_print(again, &twice);
  return strcmp(once.at, twice.at) ? "print-read-print differs" : NULL;
}

static const char *check_pass(const Case *c) {
  const char *wrong = ir_verify(c->m);
  if (wrong)
    return wrong;
  Tensor **got = arena_array(c->s->perm, Tensor *, c->f->n_result + 1);
  wrong = ir_eval(c->f, c->n, c->args, got, c->s->perm);
  if (!wrong)
    wrong = compare(c->s->perm, c->f, c->wanted, got);
  return wrong ? wrong : check_text(c);
}

// ---- the runtime, played ------------------------------------------------------------------------

typedef struct {
  const Case *c;
  const NnrtFunction *table;
  const Inst **group; // by launch
  double *arena;      // one per byte of the plan; NaN where nothing was written
  double **base;      // by buffer
  int64_t *offset, peak;
} Play;

static uint32_t root_of(const NnrtFunction *t, uint32_t b) {
  while (t->buffer[b].alias != NNRT_NONE)
    b = t->buffer[b].alias;
  return b;
}

// Storage of arguments, results and constants; the arena is cleared to NaN.
static void play_open(Play *p) {
  Arena *arena = p->c->s->perm;
  const NnrtFunction *t = p->table;
  p->offset = arena_array(arena, int64_t, t->n_buffer + 1);
  p->base = arena_array(arena, double *, t->n_buffer + 1);
  p->peak = nnrt_plan(t, p->c->n, p->offset);
  p->arena = arena_array(arena, double, p->peak + 1);
  for (int64_t i = 0; i < p->peak; i++)
    p->arena[i] = NAN;
  for (uint32_t i = 0; i < t->n_buffer; i++) {
    uint32_t root = root_of(t, i);
    const NnrtBuffer *b = &t->buffer[root];
    if (b->kind == NNRT_ARENA)
      p->base[i] = p->arena + p->offset[i];
    else if (p->base[root])
      p->base[i] = p->base[root];
    else
      p->base[i] = p->base[root] = arena_array(arena, double, b->fixed + b->per_n * p->c->n + 1);
  }
  for (uint32_t i = 0; i < t->n_arg; i++)
    memcpy(p->base[t->arg[i].buffer], p->c->args[i]->at,
           sizeof(double) * (size_t)p->c->args[i]->count);
}

static double constant_element(const NnrtConstant *c, int64_t i) {
  switch (c->type.elem) {
  case NNRT_F32:
    return ((const float *)c->bytes)[i];
  case NNRT_I32:
    return ((const int32_t *)c->bytes)[i];
  default:
    return NAN; // random_graph makes no others
  }
}

static void load_constants(Play *p) {
  const NnrtFunction *t = p->table;
  for (uint32_t i = 0; i < t->n_buffer; i++) {
    const NnrtConstant *c = &p->c->m->program->constant[t->buffer[i].index];
    for (int64_t k = 0; t->buffer[i].kind == NNRT_CONSTANT && k < t->buffer[i].fixed / 4; k++)
      p->base[i][k] = constant_element(c, k);
  }
}

static const char *play_launch(Play *p, uint32_t launch) {
  Arena *arena = p->c->s->perm;
  const Inst *group = p->group[launch];
  const uint32_t *buf = p->table->launch_buf + p->table->launch[launch].buf0;
  Function body = {.body = group->body, .module = p->c->m};
  const Tensor **args = arena_array(arena, const Tensor *, group->n_args + 1);
  Tensor **results = arena_array(arena, Tensor *, group->n_results + 1);
  for (uint32_t i = 0; i < group->n_args; i++) {
    Tensor *t = tensor_new(arena, group->arg[i]->type, p->c->n);
    memcpy(t->at, p->base[buf[i]], sizeof(double) * (size_t)t->count);
    args[i] = t;
  }
  const char *wrong = ir_eval(&body, p->c->n, args, results, arena);
  for (uint32_t i = 0; !wrong && i < group->n_results; i++)
    memcpy(p->base[buf[group->n_args + i]], results[i]->at,
           sizeof(double) * (size_t)results[i]->count);
  return wrong;
}

// An argument in place may be read only at the element being written: change element `at` of it,
// and no other element of any result may change.
static const char *check_in_place(Play *p, uint32_t launch, uint32_t argument, int64_t at) {
  Arena *arena = p->c->s->perm;
  const Inst *group = p->group[launch];
  const uint32_t *buf = p->table->launch_buf + p->table->launch[launch].buf0;
  Function body = {.body = group->body, .module = p->c->m};
  const Tensor **args = arena_array(arena, const Tensor *, group->n_args + 1);
  Tensor **before = arena_array(arena, Tensor *, group->n_results + 1);
  Tensor **after = arena_array(arena, Tensor *, group->n_results + 1);
  Tensor *changed = NULL;
  for (uint32_t i = 0; i < group->n_args; i++) {
    Tensor *t = tensor_new(arena, group->arg[i]->type, p->c->n);
    memcpy(t->at, p->base[buf[i]], sizeof(double) * (size_t)t->count);
    args[i] = t;
    changed = i == argument ? t : changed;
  }
  const char *wrong = ir_eval(&body, p->c->n, args, before, arena);
  at %= changed->count;
  changed->at[at] += 0.37;
  wrong = wrong ? wrong : ir_eval(&body, p->c->n, args, after, arena);
  for (uint32_t r = 0; r < group->n_results && !wrong; r++)
    for (int64_t i = 0; i < before[r]->count; i++)
      if (before[r]->at[i] != after[r]->at[i] && (i != at || before[r]->count != changed->count))
        return "an argument in place is read at another element";
  return wrong;
}

static const char *check_in_places(Play *p, uint32_t launch) {
  const Attr *pairs = inst_attr(p->group[launch], "inplace");
  const char *wrong = NULL;
  for (uint32_t i = 0; i + 1 < pairs->n && !wrong; i += 2)
    for (int64_t at = 0; at < 3 && !wrong; at++)
      wrong = check_in_place(p, launch, (uint32_t)pairs->dims[i + 1], at * 7);
  return wrong;
}

// Does launch i, or another one of the phase that has still to run, make something that k reads?
static bool must_wait(const NnrtFunction *t, const bool *done, uint32_t from, uint32_t k) {
  for (uint32_t i = from; i < k; i++)
    for (uint32_t w = t->launch[i].n_read; !done[i] && w < t->launch[i].n_buf; w++)
      for (uint32_t r = 0; r < t->launch[k].n_buf; r++)
        if (t->launch_buf[t->launch[i].buf0 + w] == t->launch_buf[t->launch[k].buf0 + r])
          return true;
  return false;
}

// The launches of a phase in order or, if `backwards`, always the last one that needn't wait for
// another: their order must not matter.
static const char *play_phase(Play *p, uint32_t from, uint32_t end, bool backwards) {
  const NnrtFunction *t = p->table;
  bool *done = arena_array(p->c->s->perm, bool, t->n_launch + 1);
  const char *wrong = NULL;
  for (uint32_t turn = from; turn < end && !wrong; turn++) {
    uint32_t launch = turn;
    if (backwards)
      for (launch = end - 1; done[launch] || must_wait(t, done, from, launch);)
        launch--;
    done[launch] = true;
    wrong = check_in_places(p, launch);
    wrong = wrong ? wrong : play_launch(p, launch);
  }
  return wrong;
}

static const char *play_phases(Play *p, bool backwards) {
  const NnrtFunction *t = p->table;
  const char *wrong = NULL;
  for (uint32_t i = 0, end; i < t->n_launch && !wrong; i = end) {
    for (end = i; end < t->n_launch && t->launch[end].phase == t->launch[i].phase;)
      end++;
    wrong = play_phase(p, i, end, backwards);
  }
  return wrong;
}

static const char *play(const Case *c, bool backwards) {
  Play p = {.c = c, .table = &c->m->program->function[0]};
  Arena *arena = c->s->perm;
  uint32_t n = groups_of(arena, c->f, &p.group);
  if (n != p.table->n_launch)
    return "launches and groups differ in number";
  play_open(&p);
  load_constants(&p);
  const char *wrong = play_phases(&p, backwards);
  Tensor **got = arena_array(arena, Tensor *, c->f->n_result + 1);
  for (uint32_t i = 0; i < c->f->n_result && !wrong; i++) {
    got[i] = tensor_new(arena, c->f->body->last->arg[i]->type, c->n);
    memcpy(got[i]->at, p.base[p.table->result[i].buffer], sizeof(double) * (size_t)got[i]->count);
  }
  return wrong ? wrong : compare(arena, c->f, c->wanted, got);
}

// ---- one seed -----------------------------------------------------------------------------------

static const char *run_pass(Case *c, const char *name, void (*pass)(Module *)) {
  pass(c->m);
  const char *wrong = check_pass(c);
  return wrong ? arena_printf(c->s->perm, "after %s: %s", name, wrong) : NULL;
}

static const char *try_seed(Session *s, uint64_t seed, RandomGraph kind, int64_t n) {
  Case c = {.s = s, .m = module_create(s), .n = n};
  c.f = random_graph(c.m, "f", seed, kind);
  c.args = random_arguments(s->perm, c.f, n, seed);
  c.wanted = arena_array(s->perm, Tensor *, c.f->n_result + 1);
  const char *wrong = ir_eval(c.f, n, c.args, c.wanted, s->perm);
  if (!wrong)
    wrong = run_pass(&c, "layout", pass_layout);
  if (!wrong)
    wrong = run_pass(&c, "fuse", pass_fuse);
  if (!wrong)
    wrong = run_pass(&c, "schedule", pass_schedule);
  if (wrong)
    return wrong;
  CodegenOptions options = {0};
  codegen_tables(c.m, &options);
  for (int backwards = 0; backwards < 2 && !wrong; backwards++)
    wrong = play(&c, backwards);
  return wrong ? arena_printf(s->perm, "run by its tables: %s", wrong) : NULL;
}

static void try_seeds(const char *name, uint64_t from, uint64_t to, RandomGraph kind, int64_t n) {
  char why[1024] = "";
  for (uint64_t seed = from; seed < to && !*why; seed++) {
    Session *s = session_create();
    const char *wrong = try_seed(s, seed, kind, n);
    if (wrong)
      snprintf(why, sizeof why, "seed %llu: %s", (unsigned long long)seed, wrong);
    session_destroy(s);
  }
  report(!*why, "fuse_random", name, why);
}

// fuse_random [SEED]: only that one.
int main(int argc, char **argv) {
  uint64_t only = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  uint64_t from = only ? only : 1;
#define TO(count) (only ? only + 1 : from + (count))
  try_seeds("small functions", from, TO(300), (RandomGraph){.operations = 8}, 5);
  try_seeds("large functions", from, TO(100), (RandomGraph){.operations = 40}, 3);
  try_seeds("updates in place", from, TO(300), (RandomGraph){.operations = 15, .updates = true}, 4);
  try_seeds("one row", from, TO(50), (RandomGraph){.operations = 20, .updates = true}, 1);
  try_seeds("several tiles", from, TO(20), (RandomGraph){.operations = 12, .big = true}, 33);
  return report_status();
}
