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

// An arena of so many bytes asks for huge pages: addresses are looked up less often.
enum { HUGE_PAGES = 4 << 20 };

// A thread is worth waking for so much work. Operations and bytes per second are those of one core,
// on the low side.
static const double grain_seconds = 0.7e-6, flops_per_second = 60e9, bytes_per_second = 25e9;

// Short functions run on all their threads or on the caller alone, whichever is faster just now:
// other processes may want the CPUs, and a barrier then waits for the scheduler. Both are tried for
// a few runs, at intervals that grow while the answer stays. (The results are the same bits either
// way.)
enum { TRIAL = 32, SETTLED = 128, LONG_SETTLED = 128 * SETTLED };
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
  void **frame;       // per thread: where each buffer is just now, then launch_buf as pointers;
                      // last, for which `bound` that is
  size_t frame_size;  // pointers: whole cache lines
  void **given;       // arguments and results of the last run
  uintptr_t bound;    // how often they were others than in the run before
  double *seconds;    // profile, or NULL
  Choice choice;
} Prepared;

struct NnrtModel {
  const NnrtProgram *program;
  NnrtPool *pool;
  int64_t max_n;
  Prepared *function; // per function of the program; `frame` NULL: not opened
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
  void *const *arg, *const *result;
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
static bool prepare(const NnrtFunction *f, Prepared *p, size_t threads) {
  for (uint32_t i = 0; i < f->n_launch; i++) {
    uint32_t end = f->launch[i].buf0 + f->launch[i].n_buf;
    p->n_binding = end > p->n_binding ? end : p->n_binding;
  }
  size_t buffers = f->n_buffer, launches = f->n_launch, line = NNRT_ALIGN / sizeof(void *);
  p->frame_size = (buffers + p->n_binding + line) / line * line;
  size_t pointers = threads * p->frame_size + f->n_arg + f->n_result;
  size_t bytes = pointers * sizeof *p->frame + buffers * (sizeof *p->offset + sizeof *p->root) +
                 launches * sizeof *p->threads;
  char *block = aligned_alloc(NNRT_ALIGN, (bytes + NNRT_ALIGN) / NNRT_ALIGN * NNRT_ALIGN);
  if (!block)
    return false;
  memset(block, 0, bytes);
  p->frame = (void **)(void *)block; // pointers and int64_t first: all stay aligned
  p->given = p->frame + threads * p->frame_size;
  p->offset = (int64_t *)(void *)(p->frame + pointers);
  p->root = (uint32_t *)(void *)(p->offset + buffers);
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
  if (p->frame)
    return true;
  if (!prepare(f, p, (size_t)nnrt_pool_threads(m->pool)))
    return false;
  int64_t bytes = nnrt_plan(f, m->max_n, p->offset), scratch = nnrt_scratch(f);
  m->planned = bytes > m->planned ? bytes : m->planned;
  m->scratch = scratch > m->scratch ? scratch : m->scratch;
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
  m->mapped = m->planned + m->scratch * nnrt_pool_threads(pool);
  if (ok && m->mapped) {
    void *arena =
        mmap(NULL, (size_t)m->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m->arena = arena == MAP_FAILED ? NULL : arena;
    if (m->arena && m->mapped >= HUGE_PAGES)
      madvise(arena, (size_t)m->mapped, MADV_HUGEPAGE);
  }
  if (!ok || (m->mapped && !m->arena)) {
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
    free(model->function[i].frame);
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

// Where threads needn't wait for each other between turns, they share out all turns at once.
static double work_at_once(const NnrtFunction *f, const NnrtLaunch *l, int64_t n) {
  double work = launch_work(l, n);
  for (uint32_t loop = l->loop; loop; loop = f->loop[loop - 1].outer)
    if (f->loop[loop - 1].barrier)
      work /= (double)f->loop[loop - 1].turns;
  return work;
}

// The launches of a phase that need each other's tiles have equally many: they get equal threads.
static void choose_threads(const NnrtModel *m, const NnrtFunction *f, Prepared *p, int64_t n) {
  int most = nnrt_pool_threads(m->pool);
  p->n = n;
  p->width = 1;
  for (uint32_t i = 0, end; i < f->n_launch; i = end) {
    double grains = 0;
    for (end = i; end < f->n_launch && f->launch[end].phase == f->launch[i].phase; end++)
      grains += work_at_once(f, &f->launch[end], n) / grain_seconds;
    int64_t width = grains >= most || m->poison ? most : grains < 1 ? 1 : (int64_t)grains;
    for (uint32_t j = i; j < end; j++) {
      int64_t tiles = nnrt_tiles(&f->launch[j], n);
      p->threads[j] = (int)(tiles < width ? (tiles < 1 ? 1 : tiles) : width);
      p->width = p->threads[j] > p->width ? p->threads[j] : p->width;
    }
  }
}

// ---- Where buffers are --------------------------------------------------------------------------

// What one thread knows of a call.
typedef struct {
  const Call *c;
  NnrtPlace *place;
  void **base, **binding; // its frame
  int since;              // threads that worked since the last barrier; 0: nothing has begun
  bool first, last;       // turn of all loops around (poison)
} Walk;

static Walk walk_open(const Call *c, NnrtPlace *place) {
  Walk w = {.c = c, .place = place, .first = true, .last = true};
  w.base = c->p->frame + c->p->frame_size * (size_t)place->thread;
  w.binding = w.base + c->f->n_buffer;
  return w;
}

static void *slice_base(const Walk *w, uint32_t buffer, int64_t turn) {
  const NnrtBuffer *b = &w->c->f->buffer[buffer];
  int64_t piece = b->start + b->step * turn;
  if (b->ring)
    piece %= b->ring;
  return (char *)w->base[b->index] + piece * (b->fixed + b->per_n * w->c->n);
}

static void *buffer_base(const Walk *w, uint32_t buffer) {
  const Call *c = w->c;
  const NnrtBuffer *b = &c->f->buffer[c->p->root[buffer]];
  switch (b->kind) {
  case NNRT_ARENA:
    return c->model->arena + c->p->offset[buffer];
  case NNRT_ARG:
    return c->arg[b->index];
  case NNRT_RESULT:
    return c->result[b->index];
  default: // never written
    return (void *)(uintptr_t)c->model->program->constant[b->index].bytes;
  }
}

static void bind_launches(const Walk *w, uint32_t first, uint32_t end) {
  for (uint32_t i = first; i < end; i++) {
    const NnrtLaunch *l = &w->c->f->launch[i];
    for (uint32_t k = l->buf0; k < l->buf0 + l->n_buf; k++)
      w->binding[k] = w->base[w->c->f->launch_buf[k]];
  }
}

static bool same_pointers(void **known, void *const *given, uint32_t n) {
  bool same = true;
  for (uint32_t i = 0; i < n; i++) {
    same &= known[i] == given[i];
    known[i] = given[i];
  }
  return same;
}

// Steps of a training are given the same memory each time: threads then find their frames done.
static void note_given(const Call *c) {
  Prepared *p = c->p;
  bool args = same_pointers(p->given, c->arg, c->f->n_arg);
  bool results = same_pointers(p->given + c->f->n_arg, c->result, c->f->n_result);
  if (!p->bound || p->n != c->n || !args || !results)
    p->bound++;
}

// False if the caller gave no memory for an argument or a result. Slices come last, each after what
// it lies in.
static bool bind(const Walk *w) {
  const NnrtFunction *f = w->c->f;
  void **known = w->base + w->c->p->frame_size - 1;
  if ((uintptr_t)*known == w->c->p->bound)
    return true;
  bool ok = true;
  for (uint32_t i = 0; i < f->n_buffer; i++)
    if (f->buffer[i].kind != NNRT_SLICE)
      ok &= (w->base[i] = buffer_base(w, i)) != NULL;
  for (uint32_t i = 0; ok && f->n_loop && i < f->n_buffer; i++)
    if (f->buffer[i].kind == NNRT_SLICE)
      w->base[i] = slice_base(w, i, 0);
  bind_launches(w, 0, f->n_launch);
  *known = (void *)(ok ? w->c->p->bound : 0);
  return ok;
}

static void bind_turn(const Walk *w, const NnrtLoop *loop, int64_t turn) {
  const NnrtFunction *f = w->c->f;
  for (uint32_t i = loop->first_buffer; i < loop->end_buffer; i++)
    if (f->buffer[i].kind == NNRT_SLICE && f->loop + f->buffer[i].loop - 1 == loop)
      w->base[i] = slice_base(w, i, turn);
  bind_launches(w, loop->first, loop->end);
}

// ---- Walking ------------------------------------------------------------------------------------

static int threads_of(const Call *c, uint32_t index) {
  return c->p->threads[index] < c->most ? c->p->threads[index] : c->most;
}

static void run_launch(const Walk *w, uint32_t index) {
  const Call *c = w->c;
  const NnrtLaunch *l = &c->f->launch[index];
  int threads = threads_of(c, index), thread = w->place->thread;
  if (thread >= threads)
    return;
  int64_t tiles = nnrt_tiles(l, c->n), from = tiles * thread / threads;
  int64_t to = tiles * (thread + 1) / threads;
  if (from == to)
    return;
  NnrtArgs args = {w->binding + l->buf0, c->f->launch_size + l->size0, c->n,
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

// The launches [first, end) by this thread, all turns if they are those of a loop.
static void run_launches(const Walk *w, uint32_t first, uint32_t end, const NnrtLoop *loop) {
  for (int64_t turn = 0; turn < (loop ? loop->turns : 1); turn++) {
    if (loop)
      bind_turn(w, loop, turn);
    for (uint32_t j = first; j < end; j++)
      run_launch(w, j);
  }
}

// One phase: the launches [first, end). loop: it is all of a loop that needs no barrier; else NULL.
typedef void RunPhase(Walk *w, uint32_t first, uint32_t end, const NnrtLoop *loop);

// A barrier is left out while thread 0 works alone.
static void run_phase(Walk *w, uint32_t first, uint32_t end, const NnrtLoop *loop) {
  int width = phase_width(w->c, first, &end);
  if (w->since > 0 && (width > 1 || w->since > 1)) {
    nnrt_pool_barrier(w->c->model->pool, w->place);
    w->since = 1;
  }
  w->since = width > w->since ? width : w->since;
  run_launches(w, first, end, loop);
}

static void run_range(Walk *w, uint32_t first, uint32_t end, uint32_t outer, RunPhase *run);

// The number of the loop that begins at launch i inside loop `outer`; 0: none.
static uint32_t loop_at(const NnrtFunction *f, uint32_t i, uint32_t outer) {
  uint32_t loop = f->launch[i].loop;
  if (loop == outer)
    return 0;
  while (f->loop[loop - 1].outer != outer)
    loop = f->loop[loop - 1].outer;
  return loop;
}

static void run_loop(Walk *w, uint32_t number, RunPhase *run) {
  const NnrtLoop *loop = &w->c->f->loop[number - 1];
  bool first = w->first, last = w->last;
  for (int64_t turn = 0; turn < loop->turns; turn++) {
    w->first = first && turn == 0;
    w->last = last && turn == loop->turns - 1;
    bind_turn(w, loop, turn);
    run_range(w, loop->first, loop->end, number, run);
  }
  w->first = first;
  w->last = last;
}

static void run_range(Walk *w, uint32_t first, uint32_t end, uint32_t outer, RunPhase *run) {
  const NnrtFunction *f = w->c->f;
  for (uint32_t i = first, next; i < end; i = next) {
    uint32_t loop = loop_at(f, i, outer);
    if (!loop) {
      phase_width(w->c, i, &next);
      run(w, i, next, NULL);
      continue;
    }
    next = f->loop[loop - 1].end;
    if (f->loop[loop - 1].barrier)
      run_loop(w, loop, run);
    else
      run(w, i, next, &f->loop[loop - 1]);
  }
}

static void walk_with(void *context, NnrtPlace *place, RunPhase *run) {
  unsigned mode = flush_denormals();
  const Call *c = context;
  Walk w = walk_open(c, place);
  if (place->thread > 0) // the caller's thread has done it
    bind(&w);
  run_range(&w, 0, c->f->n_launch, 0, run);
  _mm_setcsr(mode);
}

// What every thread does.
static void walk(void *context, NnrtPlace *place) {
  walk_with(context, place, run_phase);
}

// With a barrier around every launch.
static void profile_phase(Walk *w, uint32_t first, uint32_t end, const NnrtLoop *loop) {
  const Call *c = w->c;
  for (int64_t turn = 0; turn < (loop ? loop->turns : 1); turn++) {
    if (loop)
      bind_turn(w, loop, turn);
    for (uint32_t i = first; i < end; i++) {
      nnrt_pool_barrier(c->model->pool, w->place);
      double start = w->place->thread == 0 ? seconds_now() : 0;
      run_launch(w, i);
      nnrt_pool_barrier(c->model->pool, w->place);
      if (w->place->thread == 0)
        c->p->seconds[i] += seconds_now() - start;
    }
  }
}

static void walk_profiled(void *context, NnrtPlace *place) {
  walk_with(context, place, profile_phase);
}

// NaN in all element types (255, -1): what is read too early or too late shows. What lives around
// a loop is poisoned before its first turn and after its last one.
static void poison_buffers(const Walk *w, bool first, const NnrtLaunch *l) {
  const Call *c = w->c;
  for (uint32_t i = 0; i < c->f->n_buffer; i++) {
    const NnrtBuffer *b = &c->f->buffer[i];
    bool now = b->loop == l->loop || (first ? w->first : w->last);
    if (now && b->kind == NNRT_ARENA && b->alias == NNRT_NONE &&
        (first ? b->first : b->last) == l->phase)
      memset(w->base[i], 255, (size_t)round_up(b->fixed + b->per_n * c->n) + NNRT_ALIGN);
  }
}

// One thread after the other, the last one first: a tile that needs another thread's shows.
static void poison_phase(Walk *w, uint32_t first, uint32_t end, const NnrtLoop *loop) {
  const NnrtModel *m = w->c->model;
  void *scratch = m->arena + m->planned + m->scratch * w->place->thread;
  if (w->place->thread == 0)
    poison_buffers(w, true, &w->c->f->launch[first]);
  memset(scratch, 255, (size_t)m->scratch);
  for (int turn = w->c->most - 1; turn >= 0; turn--) {
    nnrt_pool_barrier(m->pool, w->place);
    if (turn == w->place->thread)
      run_launches(w, first, end, loop);
  }
  nnrt_pool_barrier(m->pool, w->place);
  if (w->place->thread == 0)
    poison_buffers(w, false, &w->c->f->launch[first]);
}

static void walk_poisoned(void *context, NnrtPlace *place) {
  walk_with(context, place, poison_phase);
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
  if (!p->frame)
    return NNRT_BAD_CALL;
  Call call = {model, f, p, n, 1, arg, result};
  note_given(&call);
  Walk caller = walk_open(&call, &(NnrtPlace){0});
  if (!bind(&caller))
    return NNRT_BAD_CALL;
  bool known = p->n == n;
  if (!known)
    choose_threads(model, f, p, n);
  call.most = p->width;
  if (p->seconds || model->poison)
    nnrt_pool_run(model->pool, p->width, p->seconds ? walk_profiled : walk_poisoned, &call);
  else
    run_chosen(&call, known && p->width > 1);
  return NNRT_OK;
}
