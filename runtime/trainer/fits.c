// Transforms fitted to the data (rule 19): means, deviations, least and greatest values are
// estimated on the training rows, in double, before training begins, and stand in states.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { BATCH = 256 };

typedef struct {
  double mean, square, least, greatest; // square: sum of squared distances from the mean
  int64_t n;
} Estimate;

static bool is_of(const Dataset *dataset, const NnrtFit *fit) {
  return &dataset->program->data[fit->data] == dataset->data;
}

void fits_need(Dataset *dataset) {
  const NnrtProgram *program = dataset->program;
  for (uint32_t i = 0; i < program->n_fit; i++)
    if (is_of(dataset, &program->fit[i]))
      dataset_need(dataset, &program->function[program->fit[i].function]);
}

static void add_value(Estimate *e, double x) { // Welford
  if (isnan(x))
    return;
  double before = x - e->mean;
  e->n++;
  e->mean += before / (double)e->n;
  e->square += before * (x - e->mean);
  e->least = e->n == 1 || x < e->least ? x : e->least;
  e->greatest = e->n == 1 || x > e->greatest ? x : e->greatest;
}

static void add_rows(Estimate *estimate, int64_t count, const Call *call, int64_t n) {
  const float *value = call_result(call, NNRT_OUTPUT, 0);
  int64_t each = type_elements(&call->function->result[0].type);
  for (int64_t i = 0; i < n * each; i++)
    add_value(&estimate[i % each % count], (double)value[i]);
}

// A column that never changes is moved, not stretched.
static void put_estimate(const Values *values, const NnrtFit *fit, const Estimate *e, int64_t i) {
  float *first = (float *)values->state[fit->state[0]] + i;
  float *second = fit->state[1] == NNRT_NONE ? NULL : (float *)values->state[fit->state[1]] + i;
  double deviation = e->n ? sqrt(e->square / (double)e->n) : 0;
  if (!e->n) {
    *first = 0;
    if (second)
      *second = 1;
    return;
  }
  *first = (float)(fit->kind == NNRT_FIT_MIN_MAX ? e->least : e->mean);
  if (fit->kind == NNRT_FIT_STANDARDIZE)
    *second = deviation > 0 ? (float)deviation : 1;
  if (fit->kind == NNRT_FIT_MIN_MAX)
    *second = (float)(e->greatest > e->least ? e->greatest : e->least + 1);
}

static bool estimate_one(Values *values, Dataset *dataset, const NnrtFit *fit, NnrtPool *pool,
                         Failure *failure) {
  Split rows;
  NnrtModel *model = NULL;
  Call call = {0};
  int64_t count = type_elements(&values->program->state[fit->state[0]].type);
  Estimate *estimate = calloc((size_t)count, sizeof *estimate);
  bool good = estimate || failf(failure, "not enough memory for the estimates");
  good = good && dataset_split(dataset, SPLIT_TRAIN, &rows, failure) &&
         model_open(&model, values->program, pool, BATCH, &fit->function, 1, failure) &&
         call_open(&call, model, values, fit->function, BATCH, failure);
  if (good)
    call_set(&call, 1, 1, 0);
  for (int64_t first = 0; good && first < rows.rows; first += BATCH) {
    int64_t n = rows.rows - first < BATCH ? rows.rows - first : BATCH;
    n = call_gather(&call, &rows, NULL, first, n, failure);
    good = n >= 0 && (!n || call_run(&call, n, failure));
    if (good && n)
      add_rows(estimate, count, &call, n);
  }
  for (int64_t i = 0; good && i < count; i++)
    put_estimate(values, fit, &estimate[i], i);
  call_close(&call);
  nnrt_close(model);
  free(estimate);
  return good;
}

// In order: an estimate may be of what an earlier one has filled or scaled.
bool fits_estimate(Values *values, Dataset *dataset, NnrtPool *pool, Failure *failure) {
  const NnrtProgram *program = values->program;
  for (uint32_t i = 0; i < program->n_fit; i++)
    if (is_of(dataset, &program->fit[i]) &&
        !estimate_one(values, dataset, &program->fit[i], pool, failure))
      return false;
  return true;
}
