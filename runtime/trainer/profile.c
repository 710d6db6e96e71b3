// profile: time of a training step by kernel and by layer, with the rate of each and its share of
// what the CPU's multiply-add units can do.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { WARM_UP = 3 };
static const double least_seconds = 1.0; // measured for so long, or --steps
enum { MOST_STEPS = 100000 };

typedef struct {
  const Run *run;
  const NnrtProgram *program;
  const NnrtTrain *train;
  Dataset dataset;
  NnrtModel *model;
  Call call;
  int64_t n, steps;
  double *seconds, total, peak; // per launch; of all steps; GFLOP/s of all threads
} Profile;

static bool run_steps(Profile *p, Failure *failure) {
  int64_t wanted = p->run->options->steps > 0 ? p->run->options->steps : MOST_STEPS;
  double start = 0;
  for (int64_t i = 0; i < WARM_UP + wanted; i++) {
    if (i == WARM_UP) {
      nnrt_profile(p->model, p->train->step, p->seconds);
      start = seconds_now();
    }
    call_set(&p->call, i + 1, 1, p->train->seed);
    if (!call_run(&p->call, p->n, failure))
      return false;
    p->steps = i + 1 - WARM_UP;
    if (p->steps > 0 && p->run->options->steps <= 0 && seconds_now() - start > least_seconds)
      break;
  }
  p->total = seconds_now() - start;
  nnrt_profile(p->model, p->train->step, NULL);
  return true;
}

// The innermost layer that the launch belongs to.
static const char *layer_of(const NnrtProgram *program, const NnrtLaunch *launch) {
  const char *layer = launch->loc < program->n_loc ? program->loc[launch->loc].layer : NULL;
  return layer && *layer ? layer : "-";
}

typedef struct {
  const char *name, *layer;
  double seconds, flops; // per step
  uint32_t launches;
} Row;

static int by_time(const void *a, const void *b) {
  double x = ((const Row *)a)->seconds, y = ((const Row *)b)->seconds;
  return (x < y) - (x > y);
}

static void print_profile_row(const Profile *p, const Row *row, bool layer, double step) {
  double rate = row->seconds > 0 ? row->flops / row->seconds * 1e-9 : 0;
  if (log_form(p->run->options) == LOG_JSON) {
    String line = {0};
    string_put(&line, layer ? "{\"layer\":" : "{\"kernel\":");
    string_put_json(&line, layer ? row->layer : row->name);
    if (!layer) {
      string_put(&line, ",\"layer\":");
      string_put_json(&line, row->layer);
    }
    string_printf(&line, ",\"microseconds\":%.3f,\"gflops\":%.3f,\"share_of_peak\":%.4f}",
                  row->seconds * 1e6, rate, rate / p->peak);
    puts(line.at ? line.at : "");
    string_free(&line);
    return;
  }
  printf("%10.2f us %5.1f%% %9.2f GFLOP/s %5.1f%%  %-20s %s\n", row->seconds * 1e6,
         step > 0 ? 100 * row->seconds / step : 0, rate, 100 * rate / p->peak, row->layer,
         layer ? "" : row->name);
}

static void print_rows(const Profile *p, Row *row, uint32_t count, bool layer, double step) {
  if (log_form(p->run->options) != LOG_JSON)
    printf("\n%13s %6s %17s %6s  %-20s %s\n", "time/step", "share", "rate", "peak", "layer",
           layer ? "" : "kernel");
  qsort(row, count, sizeof *row, by_time);
  for (uint32_t i = 0; i < count; i++)
    print_profile_row(p, &row[i], layer, step);
}

static Row launch_row(const Profile *p, uint32_t i) {
  const NnrtLaunch *launch = &p->call.function->launch[i];
  return (Row){launch->name ? launch->name : "?", layer_of(p->program, launch),
               p->seconds[i] / (double)p->steps,
               launch->flops_fixed + launch->flops_per_n * (double)p->n, 1};
}

static uint32_t add_to_layers(Row *layer, uint32_t count, const Row *row) {
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(layer[i].layer, row->layer))
      continue;
    layer[i].seconds += row->seconds;
    layer[i].flops += row->flops;
    return count;
  }
  layer[count] = *row;
  return count + 1;
}

static bool print_profile(const Profile *p, Failure *failure) {
  uint32_t count = p->call.function->n_launch, layers = 0;
  Row *row = calloc(2 * (size_t)count + 1, sizeof *row), *layer = row + count;
  double step = p->total / (double)p->steps, kernels = 0, flops = 0;
  if (!row)
    return failf(failure, "not enough memory for the table");
  for (uint32_t i = 0; i < count; i++) {
    row[i] = launch_row(p, i);
    layers = add_to_layers(layer, layers, &row[i]);
    kernels += row[i].seconds;
    flops += row[i].flops;
  }
  Row whole = {"step", "step", step, flops, count};
  if (log_form(p->run->options) == LOG_JSON) {
    print_profile_row(p, &whole, true, step);
  } else {
    printf("%s: batch %lld, %d threads, %lld steps\n", p->call.function->name, (long long)p->n,
           nnrt_pool_threads(p->run->pool), (long long)p->steps);
    printf("one step %.2f us, of it %.2f us in kernels; %.2f GFLOP/s, %.1f%% of the peak %.1f "
           "GFLOP/s\n",
           step * 1e6, kernels * 1e6, flops / step * 1e-9, 100 * flops / step * 1e-9 / p->peak,
           p->peak);
  }
  print_rows(p, layer, layers, true, step);
  print_rows(p, row, count, false, step);
  free(row);
  return true;
}

static bool open_profile(Profile *p, const Values *values, Failure *failure) {
  const NnrtTrain *train = p->train;
  Split split;
  p->n = option_or(p->run->options->batch, train->batch > 0 ? train->batch : 1);
  if (train->data != NNRT_NONE) {
    if (!dataset_open(&p->dataset, p->program, train->data, p->run->options, failure))
      return false;
    dataset_need(&p->dataset, &p->program->function[train->step]);
    if (!dataset_split(&p->dataset, SPLIT_TRAIN, &split, failure))
      return false;
    p->n = p->n < split.rows ? p->n : split.rows;
  }
  if (!model_open(&p->model, p->program, p->run->pool, p->n, &train->step, 1, failure) ||
      !call_open(&p->call, p->model, values, train->step, p->n, failure))
    return false;
  if (train->data != NNRT_NONE)
    call_gather(&p->call, &split, NULL, 0, p->n);
  else
    call_number_rows(&p->call, 0, p->n);
  p->seconds = calloc(p->call.function->n_launch + 1, sizeof *p->seconds);
  return p->seconds || failf(failure, "not enough memory for the profile");
}

bool command_profile(const Run *run, int *status, Failure *failure) {
  (void)status;
  Values values = {0};
  uint32_t block = train_block(run, failure);
  if (block == NNRT_NONE)
    return false;
  Profile p = {.run = run, .program = run->program, .train = &run->program->train[block]};
  p.peak = cpu_peak_gflops(run->program->cpu_level) * nnrt_pool_threads(run->pool);
  bool good = values_open(&values, run->program, run->options, failure) &&
              values_initialise(&values, run->pool, p.train->seed, failure) &&
              open_profile(&p, &values, failure) && run_steps(&p, failure) &&
              print_profile(&p, failure);
  free(p.seconds);
  call_close(&p.call);
  nnrt_close(p.model);
  dataset_close(&p.dataset);
  values_close(&values);
  return good;
}
