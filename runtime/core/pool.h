// Threads of the runtime, seen by run.c: one region at a time, barriers inside it.
#ifndef NNRT_POOL_H
#define NNRT_POOL_H

#include "nnrt.h"

// Where a thread is in a region.
typedef struct {
  int thread;     // 0: the caller of nnrt_pool_run
  uint32_t round; // barriers so far
} NnrtPlace;
typedef void (*NnrtTask)(void *context, NnrtPlace *place);

// Runs task on threads 0 .. threads-1 (at most nnrt_pool_threads) and returns when all are done.
void nnrt_pool_run(NnrtPool *pool, int threads, NnrtTask task, void *context);
// Called by all threads of a region: returns when all have come.
void nnrt_pool_barrier(NnrtPool *pool, NnrtPlace *place);

#endif
