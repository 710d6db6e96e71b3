// Runs the functions of a program: tables of launches, walked by all threads of one region, with
// barriers between phases. In: a program, arguments and results by pointer. Nothing is allocated
// after nnrt_open; the same bits come out for any number of threads, since tiles are fixed by
// shape.
#include "pool.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

// A thread is worth waking for so much work. Operations and bytes per second are those of one core,
// on the low side.
static const double grain_seconds = 1.0e-6, flops_per_second = 60e9, bytes_per_second = 25e9;

// Short functions run on all their threads or on the caller alone, whichever is faster just now:
// other processes may want the CPUs, and a barrier then waits for the scheduler. Both are tried for
// a few runs, at intervals that grow while the answer stays. (The results are the same bits either
// way.)
enum { TRIAL = 32, SETTLED = 1024, LONG_SETTLED = 16 * SETTLED };
static const double long_run = 1e-3; // seconds: not worth trying
typedef struct {
  bool alone;                 // the way in use
  int trial;                  // 1: of the way in use, 2: of the other; 0: settled
  uint32_t left, settled;     // runs until the next decision; runs between trials
  double spent, worst, first; // seconds of this trial, of its slowest run; of the trial before
} Choice;

// One function, ready to run.
typedef struct {
  int64_t *offset;    // per buffer, in the arena; -1: comes with the call
  uint32_t *root;     // per buffer: whose storage it has
  uint32_t n_binding; // entries of launch_buf in use
  int64_t n;          // `threads` and `width` are for so many rows; -1: none yet
  int *threads;       // per launch
  int width;          // the most of them
  void **base;        // per buffer: where it is in this call
  void **binding;     // launch_buf, as pointers
  double *seconds;    // profile, or NULL
  Choice choice;
} Prepared;

struct NnrtModel {
  const NnrtProgram *program;
  NnrtPool *pool;
  int64_t max_n;
  Prepared *function; // per function of the program; `offset` NULL: not opened
  char *arena;
  int64_t planned, scratch, mapped; // bytes: buffers, scratch per thread, all
  bool poison;
};

typedef struct {
  NnrtModel *model;
  const NnrtFunction *f;
  Prepared *p;
  int64_t n;
  int most; // threads of this run
} Call;

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// ---- Opening ------------------------------------------------------------------------------------

static uint32_t root_of(const NnrtFunction *f, uint32_t buffer) {
  while (f->buffer[buffer].alias != NNRT_NONE)
    buffer = f->buffer[buffer].alias;
  return buffer;
}

// Room for everything `p` points to, in one block that starts at p->offset.
static bool prepare(const NnrtFunction *f, Prepared *p) {
  for (uint32_t i = 0; i < f->n_launch; i++) {
    uint32_t end = f->launch[i].buf0 + f->launch[i].n_buf;
    p->n_binding = end > p->n_binding ? end : p->n_binding;
  }
  size_t buffers = f->n_buffer, launches = f->n_launch;
  size_t bytes = buffers * (sizeof *p->offset + sizeof *p->base + sizeof *p->root) +
                 p->n_binding * sizeof *p->binding + launches * sizeof *p->threads;
  char *block = calloc(1, bytes ? bytes : 1);
  if (!block)
    return false;
  p->offset = (int64_t *)(void *)block; // pointers and int64_t first: all stay aligned
  p->base = (void **)(p->offset + buffers);
  p->binding = p->base + buffers;
  p->root = (uint32_t *)(p->binding + p->n_binding);
  p->threads = (int *)(p->root + buffers);
  p->n = -1;
  p->choice = (Choice){.trial = 1, .left = TRIAL, .settled = SETTLED};
  for (uint32_t i = 0; i < f->n_buffer; i++)
    p->root[i] = root_of(f, i);
  return true;
}

static int64_t round_up(int64_t bytes) {
  return (bytes + NNRT_ALIGN - 1) / NNRT_ALIGN * NNRT_ALIGN;
}

static bool prepare_function(NnrtModel *m, uint32_t index) {
  const NnrtFunction *f = &m->program->function[index];
  Prepared *p = &m->function[index];
  if (p->offset)
    return true;
  if (!prepare(f, p))
    return false;
  int64_t bytes = nnrt_plan(f, m->max_n, p->offset);
  m->planned = bytes > m->planned ? bytes : m->planned;
  for (uint32_t i = 0; i < f->n_launch; i++) {
    int64_t scratch = round_up(f->launch[i].scratch);
    m->scratch = scratch > m->scratch ? scratch : m->scratch;
  }
  return true;
}

NnrtStatus nnrt_open(const NnrtProgram *program, NnrtPool *pool, int64_t max_n,
                     const uint32_t *function, uint32_t n_function, NnrtModel **model) {
  *model = NULL;
  if (program->abi != NNRT_ABI || program->bytes != sizeof *program)
    return NNRT_BAD_ABI;
  NnrtModel *m = calloc(1, sizeof *m);
  if (!m)
    return NNRT_NO_MEMORY;
  m->program = program;
  m->pool = pool;
  m->max_n = max_n;
  m->function = calloc(program->n_function + 1, sizeof *m->function);
  bool ok = m->function != NULL;
  for (uint32_t i = 0; ok && i < (function ? n_function : program->n_function); i++)
    ok = prepare_function(m, function ? function[i] : i);
  // Slack behind the last buffer belongs to it; scratch has a line more, so that threads share
  // none.
  m->planned = round_up(m->planned);
  m->scratch += NNRT_ALIGN;
  m->mapped = m->planned + m->scratch * nnrt_pool_threads(pool);
  if (ok) {
    void *arena =
        mmap(NULL, (size_t)m->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m->arena = arena == MAP_FAILED ? NULL : arena;
  }
  if (!m->arena) {
    nnrt_close(m);
    return NNRT_NO_MEMORY;
  }
  *model = m;
  return NNRT_OK;
}

void nnrt_close(NnrtModel *model) {
  if (!model)
    return;
  for (uint32_t i = 0; model->function && i < model->program->n_function; i++)
    free(model->function[i].offset);
  free(model->function);
  if (model->arena)
    munmap(model->arena, (size_t)model->mapped);
  free(model);
}

int64_t nnrt_arena_bytes(const NnrtModel *model) {
  return model->mapped;
}

void nnrt_profile(NnrtModel *model, uint32_t function, double *seconds) {
  model->function[function].seconds = seconds;
}

void nnrt_poison(NnrtModel *model, bool on) {
  model->poison = on;
  for (uint32_t i = 0; i < model->program->n_function; i++)
    model->function[i].n = -1; // the threads are chosen anew
}

// ---- Running ------------------------------------------------------------------------------------

// Seconds of work, roughly.
static double launch_work(const NnrtLaunch *l, int64_t n) {
  double flops = (l->flops_fixed + l->flops_per_n * (double)n) / flops_per_second;
  double bytes = (l->bytes_fixed + l->bytes_per_n * (double)n) / bytes_per_second;
  return flops > bytes ? flops : bytes;
}

// The launches of a phase that need each other's tiles have equally many: they get equal threads.
static void choose_threads(const NnrtModel *m, const NnrtFunction *f, Prepared *p, int64_t n) {
  int most = nnrt_pool_threads(m->pool);
  p->n = n;
  p->width = 1;
  for (uint32_t i = 0, end; i < f->n_launch; i = end) {
    double grains = 0;
    for (end = i; end < f->n_launch && f->launch[end].phase == f->launch[i].phase; end++)
      grains += launch_work(&f->launch[end], n) / grain_seconds;
    int64_t width = grains >= most || m->poison ? most : grains < 1 ? 1 : (int64_t)grains;
    for (uint32_t j = i; j < end; j++) {
      int64_t tiles = nnrt_tiles(&f->launch[j], n);
      p->threads[j] = (int)(tiles < width ? (tiles < 1 ? 1 : tiles) : width);
      p->width = p->threads[j] > p->width ? p->threads[j] : p->width;
    }
  }
}

static bool bind(const NnrtModel *m, const NnrtFunction *f, Prepared *p, void *const *arg,
                 void *const *result) {
  for (uint32_t i = 0; i < f->n_buffer; i++) {
    const NnrtBuffer *b = &f->buffer[p->root[i]];
    switch (b->kind) {
    case NNRT_ARENA:
      p->base[i] = m->arena + p->offset[i];
      break;
    case NNRT_ARG:
      p->base[i] = arg[b->index];
      break;
    case NNRT_RESULT:
      p->base[i] = result[b->index];
      break;
    default: // never written
      p->base[i] = (void *)(uintptr_t)m->program->constant[b->index].bytes;
    }
    if (!p->base[i])
      return false;
  }
  for (uint32_t i = 0; i < p->n_binding; i++)
    p->binding[i] = p->base[f->launch_buf[i]];
  return true;
}

static int threads_of(const Call *c, uint32_t index) {
  return c->p->threads[index] < c->most ? c->p->threads[index] : c->most;
}

static void run_launch(const Call *c, uint32_t index, int thread) {
  const NnrtLaunch *l = &c->f->launch[index];
  int threads = threads_of(c, index);
  if (thread >= threads)
    return;
  int64_t tiles = nnrt_tiles(l, c->n), from = tiles * thread / threads;
  int64_t to = tiles * (thread + 1) / threads;
  if (from == to)
    return;
  NnrtArgs args = {c->p->binding + l->buf0, c->f->launch_size + l->size0, c->n,
                   c->model->arena + c->model->planned + c->model->scratch * thread};
  l->fn(&args, from, to);
}

// Threads that the phase starting at launch `first` uses, and where the next one starts.
static int phase_width(const Call *c, uint32_t first, uint32_t *end) {
  uint32_t i = first;
  int width = 1;
  for (; i < c->f->n_launch && c->f->launch[i].phase == c->f->launch[first].phase; i++)
    width = threads_of(c, i) > width ? threads_of(c, i) : width;
  *end = i;
  return width;
}

// While a program runs, numbers below 2^-126 are 0, for every thread alike. A gradient so small
// changes no weight, but optimizer state decays through this range for thousands of steps, and
// processors take up to a hundred times longer there. The caller's mode comes back afterwards.
static unsigned flush_denormals(void) {
  unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040); // results, and operands
  return mode;
}

// What every thread does. A barrier is left out while thread 0 works alone.
static void walk(void *context, NnrtPlace *place) {
  unsigned mode = flush_denormals();
  const Call *c = context;
  int since = 1; // threads that worked since the last barrier
  for (uint32_t i = 0, end; i < c->f->n_launch; i = end) {
    int width = phase_width(c, i, &end);
    if (i > 0 && (width > 1 || since > 1)) {
      nnrt_pool_barrier(c->model->pool, place);
      since = 1;
    }
    since = width > since ? width : since;
    for (uint32_t j = i; j < end; j++)
      run_launch(c, j, place->thread);
  }
  _mm_setcsr(mode);
}

// NaN in all element types (255, -1): what is read too early or too late shows.
static void poison_buffers(const Call *c, bool first, uint32_t phase) {
  for (uint32_t i = 0; i < c->f->n_buffer; i++) {
    const NnrtBuffer *b = &c->f->buffer[i];
    if (b->kind == NNRT_ARENA && b->alias == NNRT_NONE && (first ? b->first : b->last) == phase)
      memset(c->p->base[i], 255, (size_t)round_up(b->fixed + b->per_n * c->n) + NNRT_ALIGN);
  }
}

// The same with a barrier around every launch.
static void walk_profiled(void *context, NnrtPlace *place) {
  unsigned mode = flush_denormals();
  const Call *c = context;
  for (uint32_t i = 0; i < c->f->n_launch; i++) {
    nnrt_pool_barrier(c->model->pool, place);
    double start = place->thread == 0 ? seconds_now() : 0;
    run_launch(c, i, place->thread);
    nnrt_pool_barrier(c->model->pool, place);
    if (place->thread == 0)
      c->p->seconds[i] += seconds_now() - start;
  }
  _mm_setcsr(mode);
}

// One thread after the other, the last one first: a tile that needs another thread's shows.
static void walk_poisoned(void *context, NnrtPlace *place) {
  unsigned mode = flush_denormals();
  const Call *c = context;
  const NnrtModel *m = c->model;
  for (uint32_t i = 0, end; i < c->f->n_launch; i = end) {
    uint32_t phase = c->f->launch[i].phase;
    phase_width(c, i, &end);
    if (place->thread == 0)
      poison_buffers(c, true, phase);
    for (int turn = c->most - 1; turn >= 0; turn--) {
      nnrt_pool_barrier(m->pool, place);
      for (uint32_t j = i; turn == place->thread && j < end; j++) {
        memset(m->arena + m->planned + m->scratch * turn, 255, (size_t)m->scratch);
        run_launch(c, j, turn);
      }
    }
    nnrt_pool_barrier(m->pool, place);
    if (place->thread == 0)
      poison_buffers(c, false, phase);
  }
  _mm_setcsr(mode);
}

static void begin_trial(Choice *c, int trial) {
  c->trial = trial;
  c->left = TRIAL;
  c->spent = c->worst = 0;
}

static void settle(Choice *c, uint32_t runs) {
  c->trial = 0;
  c->left = c->settled = runs;
}

// After a run that took so long.
static void learn(Choice *c, double seconds) {
  c->spent += seconds;
  c->worst = seconds > c->worst ? seconds : c->worst;
  if (--c->left > 0)
    return;
  double usual = c->spent - c->worst;
  if (c->trial == 0) {
    begin_trial(c, 1);
  } else if (c->trial == 1 && usual > TRIAL * long_run) {
    settle(c, LONG_SETTLED);
  } else if (c->trial == 1) {
    c->first = usual;
    c->alone = !c->alone;
    begin_trial(c, 2);
  } else if (usual < c->first) {
    settle(c, SETTLED);
  } else {
    c->alone = !c->alone;
    settle(c, 2 * c->settled < LONG_SETTLED ? 2 * c->settled : LONG_SETTLED);
  }
}

// On as many threads as the choice says; the first run for another number of rows isn't counted.
static void run_chosen(const Call *call, bool count) {
  Choice *c = &call->p->choice;
  int width = c->alone ? 1 : call->p->width;
  Call own = *call;
  own.most = width;
  double start = c->trial ? seconds_now() : 0;
  nnrt_pool_run(call->model->pool, width, walk, &own);
  if (count)
    learn(c, c->trial ? seconds_now() - start : 0);
}

NnrtStatus nnrt_run(NnrtModel *model, uint32_t function, int64_t n, void *const *arg,
                    void *const *result) {
  if (function >= model->program->n_function || n < 0 || n > model->max_n)
    return NNRT_BAD_CALL;
  const NnrtFunction *f = &model->program->function[function];
  Prepared *p = &model->function[function];
  if (!p->offset || !bind(model, f, p, arg, result))
    return NNRT_BAD_CALL;
  bool known = p->n == n;
  if (!known)
    choose_threads(model, f, p, n);
  Call call = {model, f, p, n, p->width};
  if (p->seconds || model->poison)
    nnrt_pool_run(model->pool, p->width, p->seconds ? walk_profiled : walk_poisoned, &call);
  else
    run_chosen(&call, known && p->width > 1);
  return NNRT_OK;
}
