// A small pool of threads. Workers sleep on a futex between regions, after spinning for about as
// long as a sleep and a wake would cost; they never spin when there are more threads than CPUs.
//
// A region starts when the caller changes `start` and ends with a barrier. Barriers count arrivals
// in groups of 8 (one cache line each), the last of a group counts for it at the root, and all wait
// for one word, `round`, to change.
//
// Workers keep off the CPU that the caller was last seen on: where few CPUs share a cache, a kernel
// wakes a thread on the CPU where it slept even if another thread is busy there, and two threads of
// a region then take turns on one CPU for tens of milliseconds.
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { GROUP = 8, MAX_THREADS = 1024, WIDTH_BITS = 11, SPIN_NANOSECONDS = 20000 };

typedef struct {
  _Alignas(64) atomic_uint arrived;
} Group;

typedef struct {
  NnrtPool *pool;
  int thread;
  int avoided; // the CPU that it keeps off, or -1
  pthread_t id;
} Worker;

// A word that threads wait for, and how many of them sleep.
typedef struct {
  _Alignas(64) atomic_uint word;
  atomic_uint sleeping;
} Signal;

struct NnrtPool {
  Signal start; // number of the region << WIDTH_BITS | its threads (0: end of the workers)
  Signal round; // number of the barrier
  Group root, group[(MAX_THREADS + GROUP - 1) / GROUP];
  _Alignas(64) int threads;
  uint32_t spins;   // looks at a word before sleeping
  uint32_t barrier; // rounds so far, kept by the caller's thread between regions
  int width;        // threads of this region
  NnrtTask task;
  void *context;
  Worker *worker;
  atomic_int caller_cpu; // -1: not known
  cpu_set_t allowed;     // of the thread that opened the pool
};

static void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The word when it is no longer `old`, or after so many looks.
static uint32_t watch(Signal *s, uint32_t old, uint32_t spins) {
  uint32_t now = old;
  for (uint32_t i = 0; i < spins; i++) {
    if ((now = atomic_load_explicit(&s->word, memory_order_acquire)) != old)
      break;
    pause_cpu();
  }
  return now;
}

static uint32_t sleep_until_change(Signal *s, uint32_t old) {
  uint32_t now;
  atomic_fetch_add(&s->sleeping, 1);
  while ((now = atomic_load(&s->word)) == old)
    syscall(SYS_futex, &s->word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
  atomic_fetch_sub(&s->sleeping, 1);
  return now;
}

static uint32_t wait_change(Signal *s, uint32_t old, uint32_t spins) {
  uint32_t now = watch(s, old, spins);
  return now != old ? now : sleep_until_change(s, old);
}

static void change(Signal *s, uint32_t value) {
  atomic_store(&s->word, value);
  if (atomic_load(&s->sleeping) > 0)
    syscall(SYS_futex, &s->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

// True for the last of `members` to arrive; the counter is 0 again then.
static bool arrive(atomic_uint *counter, uint32_t members) {
  if (atomic_fetch_add_explicit(counter, 1, memory_order_acq_rel) + 1 < members)
    return false;
  atomic_store_explicit(counter, 0, memory_order_relaxed);
  return true;
}

static void barrier(NnrtPool *pool, int thread, uint32_t round) {
  uint32_t width = (uint32_t)pool->width, groups = (width + GROUP - 1) / GROUP;
  uint32_t mine = (uint32_t)thread / GROUP;
  uint32_t members = mine + 1 < groups ? GROUP : width - mine * GROUP;
  if (arrive(&pool->group[mine].arrived, members) &&
      (groups == 1 || arrive(&pool->root.arrived, groups)))
    change(&pool->round, round + 1);
  else
    wait_change(&pool->round, round, pool->spins);
}

void nnrt_pool_barrier(NnrtPool *pool, NnrtPlace *place) {
  if (pool->width > 1)
    barrier(pool, place->thread, place->round++);
}

// Only where each thread can have a CPU.
static void keep_off_the_caller(Worker *self) {
  int cpu = atomic_load_explicit(&self->pool->caller_cpu, memory_order_relaxed);
  cpu_set_t others = self->pool->allowed;
  if (cpu < 0 || cpu == self->avoided || self->pool->spins == 0)
    return;
  CPU_CLR((unsigned)cpu, &others);
  if (CPU_COUNT(&others) > 0)
    sched_setaffinity(0, sizeof others, &others);
  self->avoided = cpu;
}

// Before it sleeps: to move on the way to work would cost more than the work of a small region.
static uint32_t next_region(Worker *self, uint32_t seen) {
  uint32_t now = watch(&self->pool->start, seen, self->pool->spins);
  if (now != seen)
    return now;
  keep_off_the_caller(self);
  return sleep_until_change(&self->pool->start, seen);
}

static void *work(void *argument) {
  Worker *self = argument;
  NnrtPool *pool = self->pool;
  uint32_t seen = 0;
  keep_off_the_caller(self);
  for (;;) {
    seen = next_region(self, seen);
    int width = (int)(seen & ((1u << WIDTH_BITS) - 1));
    if (width == 0)
      return NULL;
    if (self->thread >= width)
      continue; // not in this region; the pool's fields may be changing again
    NnrtPlace place = {self->thread, pool->barrier};
    pool->task(pool->context, &place);
    nnrt_pool_barrier(pool, &place);
  }
}

void nnrt_pool_run(NnrtPool *pool, int threads, NnrtTask task, void *context) {
  NnrtPlace place = {0, pool->barrier};
  pool->width = threads;
  if (threads > 1) {
    pool->task = task;
    pool->context = context;
    if (atomic_load_explicit(&pool->caller_cpu, memory_order_relaxed) >= 0)
      atomic_store_explicit(&pool->caller_cpu, sched_getcpu(), memory_order_relaxed);
    uint32_t region =
        (atomic_load_explicit(&pool->start.word, memory_order_relaxed) >> WIDTH_BITS) + 1;
    change(&pool->start, region << WIDTH_BITS | (uint32_t)threads);
  }
  task(context, &place);
  nnrt_pool_barrier(pool, &place);
  pool->barrier = place.round;
}

// ---- How many threads ---------------------------------------------------------------------------

static bool read_text(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return false;
  ssize_t n = read(file, text, size - 1);
  close(file);
  text[n > 0 ? n : 0] = 0;
  return n > 0;
}

// CPUs that "QUOTA PERIOD" allows, at least 1; INT_MAX for "max" or nonsense.
static int quota_cpus(const char *quota, const char *period) {
  long long q = atoll(quota), p = atoll(period);
  if (q <= 0 || p <= 0)
    return INT_MAX;
  long long cpus = (q + p - 1) / p;
  return cpus < MAX_THREADS ? (int)cpus : INT_MAX;
}

// Control groups, version 2: the tightest cpu.max from this process's group up to the root.
static int unified_quota(void) {
  char groups[4096], path[4096 + 64], text[128];
  int cpus = INT_MAX;
  if (!read_text("/proc/self/cgroup", groups, sizeof groups))
    return cpus;
  char *group = strstr(groups, "0::/");
  if (!group)
    return cpus;
  group += 3;
  group[strcspn(group, "\n")] = 0;
  for (;;) {
    strcpy(path, "/sys/fs/cgroup");
    strcat(path, group);
    strcat(path, "/cpu.max");
    char *space;
    if (read_text(path, text, sizeof text) && (space = strchr(text, ' '))) {
      int here = quota_cpus(text, space);
      cpus = here < cpus ? here : cpus;
    }
    char *slash = strrchr(group, '/');
    if (!slash)
      return cpus;
    *slash = 0;
  }
}

static int legacy_quota(void) {
  char quota[64], period[64];
  if (!read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
      !read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
    return INT_MAX;
  return quota_cpus(quota, period);
}

static int usable_cpus(void) {
  cpu_set_t set;
  int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  int unified = unified_quota(), legacy = legacy_quota();
  cpus = unified < cpus ? unified : cpus;
  return legacy < cpus ? legacy : cpus;
}

// Looks at a word that take SPIN_NANOSECONDS: a pause is 40 to 140 cycles, by the CPU.
static uint32_t measure_spins(void) {
  enum { TRIES = 200 };
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < TRIES; i++)
    pause_cpu();
  clock_gettime(CLOCK_MONOTONIC, &to);
  int64_t took = (to.tv_sec - from.tv_sec) * 1000000000LL + (to.tv_nsec - from.tv_nsec);
  int64_t spins = (int64_t)SPIN_NANOSECONDS * TRIES / (took > 0 ? took : 1);
  return spins < 50 ? 50 : spins > 20000 ? 20000 : (uint32_t)spins;
}

NnrtPool *nnrt_pool_open(int threads) {
  int cpus = usable_cpus();
  threads = threads <= 0 ? cpus : threads < MAX_THREADS ? threads : MAX_THREADS;
  NnrtPool *pool = aligned_alloc(64, sizeof *pool);
  if (!pool)
    return NULL;
  memset(pool, 0, sizeof *pool);
  pool->threads = 1;
  pool->width = 1;
  pool->spins = threads <= cpus ? measure_spins() : 0;
  bool known = sched_getaffinity(0, sizeof pool->allowed, &pool->allowed) == 0;
  atomic_init(&pool->caller_cpu, known ? sched_getcpu() : -1);
  pool->worker = calloc((size_t)threads, sizeof *pool->worker);
  if (!pool->worker) {
    free(pool);
    return NULL;
  }
  for (int i = 1; i < threads; i++) { // fewer, if the system gives no more
    pool->worker[i] = (Worker){.pool = pool, .thread = i, .avoided = -1};
    if (pthread_create(&pool->worker[i].id, NULL, work, &pool->worker[i]) != 0)
      break;
    pool->threads = i + 1;
  }
  return pool;
}

void nnrt_pool_close(NnrtPool *pool) {
  if (!pool)
    return;
  uint32_t region = (atomic_load(&pool->start.word) >> WIDTH_BITS) + 1;
  change(&pool->start, region << WIDTH_BITS);
  for (int i = 1; i < pool->threads; i++)
    pthread_join(pool->worker[i].id, NULL);
  free(pool->worker);
  free(pool);
}

int nnrt_pool_threads(const NnrtPool *pool) {
  return pool->threads;
}
