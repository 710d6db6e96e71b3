// For tests of kernels in C: each is built once per CPU level (BUILD/tests/kernels/NAME-vLEVEL)
// from the kernel's own source, and skips itself where the machine lacks the level.
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../runtime/kernels/kernel.h"

static inline bool test_can_run(const char *name) {
  __builtin_cpu_init();
  bool can = NNRT_LEVEL <= 2 || (NNRT_LEVEL == 3 ? __builtin_cpu_supports("x86-64-v3")
                                                 : __builtin_cpu_supports("x86-64-v4"));
  if (!can)
    printf("SKIP %s-v%d: this CPU has no x86-64-v%d\n", name, NNRT_LEVEL, NNRT_LEVEL);
  return can;
}

// A number in [0, 1): a linear congruence is random enough here.
static inline double test_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 33) / 2147483648.0;
}

// Memory between two pages that nobody may touch. It begins where the first one ends, or ends where
// the other one begins, but for the slack that kernels may read (NNRT_ALIGN bytes, no more). All
// bits of it are set (NaN), and slack stays so.
typedef enum { TEST_FIRST, TEST_LAST } TestEnd;
enum { TEST_PAGE = 4096 };

static inline size_t test_usable(int64_t bytes) {
  return ((size_t)bytes + NNRT_ALIGN + TEST_PAGE - 1) / TEST_PAGE * TEST_PAGE;
}

static inline void *test_memory(int64_t bytes, TestEnd end) {
  size_t usable = test_usable(bytes);
  char *map = mmap(NULL, usable + 2 * TEST_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || mprotect(map + TEST_PAGE, usable, PROT_READ | PROT_WRITE) != 0) {
    perror("mmap");
    exit(1);
  }
  memset(map + TEST_PAGE, 255, usable);
  return map + TEST_PAGE + (end == TEST_FIRST ? 0 : usable - NNRT_ALIGN - (size_t)bytes);
}

// Where the usable pages begin: what is before p is less than a page.
static inline char *test_begin(const void *p) {
  return (char *)((uintptr_t)p / TEST_PAGE * TEST_PAGE);
}

static inline bool test_surroundings_stand(const void *p, int64_t bytes) {
  const unsigned char *from = (const unsigned char *)p,
                      *first = (const unsigned char *)test_begin(p);
  size_t before = (size_t)(from - first), behind = test_usable(bytes) - before - (size_t)bytes;
  size_t wrong = 0;
  for (size_t i = 0; i < before; i++)
    wrong += first[i] != 255;
  for (size_t i = 0; i < behind; i++)
    wrong += from[(size_t)bytes + i] != 255;
  return wrong == 0;
}

static inline void test_free(void *p, int64_t bytes) {
  munmap(test_begin(p) - TEST_PAGE, test_usable(bytes) + 2 * TEST_PAGE);
}

// Floats: memory of n, and n random numbers from -1 to 1.
static inline float *test_floats(int64_t n, TestEnd end) {
  return test_memory(n * 4, end);
}
static inline float *test_numbers(int64_t n, TestEnd end, uint64_t *state) {
  float *p = test_floats(n, end);
  for (int64_t i = 0; i < n; i++)
    p[i] = (float)(test_random(state) * 2 - 1);
  return p;
}

#endif
