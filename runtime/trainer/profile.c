// profile: time of a training step by kernel and by layer, with the rate of each and its share of
// what the CPU's multiply-add units can do.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { WARM_UP = 3, MOST_STEPS = 100000 };
static const double least_seconds =
    0.5; // measured for so long, twice, unless --steps says how often

typedef struct {
  const Run *run;
  const NnrtProgram *program;
  uint32_t function, data;  // program.function[], program.data[] or NNRT_NONE
  const NnrtColumn *column; // that the function reads
  uint32_t n_column;
  Dataset dataset;
  NnrtModel *model;
  Call call;
  int64_t n, steps;
  double *times;               // of the steps that weren't watched
  double *seconds, step, peak; // per launch, of all steps; median of times; GFLOP/s of all threads
} Profile;

static bool run_step(Profile *p, int64_t step, Failure *failure) {
  call_set(&p->call, step, 1, 1);
  return call_run(&p->call, p->n, failure);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool run_steps(Profile *p, Failure *failure) {
  int64_t wanted = p->run->options->steps,
          most = wanted > 0 && wanted < MOST_STEPS ? wanted : MOST_STEPS;
  for (int64_t i = 0; i < WARM_UP; i++)
    if (!run_step(p, i + 1, failure))
      return false;
  double begin = seconds_now(), before = begin, now = begin;
  for (p->steps = 0; p->steps < most && (wanted > 0 || now - begin < least_seconds); before = now) {
    if (!run_step(p, p->steps + 1, failure))
      return false;
    now = seconds_now();
    p->times[p->steps++] = now - before;
  }
  qsort(p->times, (size_t)p->steps, sizeof *p->times, by_size);
  p->step = p->times[p->steps / 2];
  nnrt_profile(p->model, p->function, p->seconds);
  for (int64_t i = 0; i < p->steps; i++)
    if (!run_step(p, i + 1, failure))
      return false;
  nnrt_profile(p->model, p->function, NULL);
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

static void print_profile_row(const Profile *p, const Row *row, bool layer, double whole) {
  double rate = row->seconds > 0 ? row->flops / row->seconds * 1e-9 : 0;
  if (log_form(p->run->options) == LOG_JSON) {
    String line = {0};
    string_put(&line, "{\"function\":");
    string_put_json(&line, p->call.function->name);
    string_put(&line, layer ? ",\"layer\":" : ",\"kernel\":");
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
         whole > 0 ? 100 * row->seconds / whole : 0, rate, 100 * rate / p->peak, row->layer,
         layer ? "" : row->name);
}

static void print_rows(const Profile *p, Row *row, uint32_t count, bool layer, double whole) {
  if (log_form(p->run->options) != LOG_JSON)
    printf("\n%13s %6s %17s %6s  %-20s %s\n", "time", "share", "rate", "peak", "layer",
           layer ? "" : "kernel");
  qsort(row, count, sizeof *row, by_time);
  for (uint32_t i = 0; i < count; i++)
    print_profile_row(p, &row[i], layer, whole);
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
  double step = p->step, kernels = 0, flops = 0;
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
    printf("one step %.2f us (median); %.2f us in kernels when watched; %.2f GFLOP/s, %.1f%% of "
           "the peak %.1f "
           "GFLOP/s\n",
           step * 1e6, kernels * 1e6, flops / step * 1e-9, 100 * flops / step * 1e-9 / p->peak,
           p->peak);
  }
  print_rows(p, layer, layers, true, kernels);
  print_rows(p, row, count, false, kernels);
  free(row);
  return true;
}

// What --block says: a predict block, or step `index` of a train block; *more: it has others.
static bool choose_function(Profile *p, uint32_t index, bool *more, Failure *failure) {
  const NnrtProgram *program = p->program;
  const char *wanted = p->run->options->block;
  int64_t batch = 1;
  for (uint32_t i = 0; wanted && i < program->n_predict; i++) {
    const NnrtPredict *predict = &program->predict[i];
    if (strcmp(wanted, predict->name))
      continue;
    p->function = predict->function;
    p->data = predict->data;
    p->column = predict->input;
    p->n_column = predict->n_input;
    p->n = option_or(p->run->options->batch, batch);
    return true;
  }
  uint32_t block = train_block(p->run, failure);
  if (block == NNRT_NONE)
    return false;
  const NnrtTrain *train = &program->train[block];
  p->function = train->step[index].step;
  *more = index + 1 < train->n_step;
  p->data = train->data;
  if (p->data != NNRT_NONE) {
    p->column = program->data[p->data].column;
    p->n_column = program->data[p->data].n_column;
  }
  p->n = option_or(p->run->options->batch, train->batch > 0 ? train->batch : batch);
  return true;
}

static bool open_rows(Profile *p, Values *values, Split *split, Failure *failure) {
  if (!dataset_open(&p->dataset, p->program, p->data, p->run->options, failure))
    return false;
  bool *needed = calloc(p->n_column + 1, sizeof *needed);
  if (!needed)
    return failf(failure, "not enough memory for the columns");
  free(p->dataset.needed);
  p->dataset.needed = needed;
  p->dataset.values = values;
  p->dataset.pool = p->run->pool;
  p->dataset.column = p->column;
  p->dataset.n_column = p->n_column;
  dataset_need(&p->dataset, &p->program->function[p->function]);
  if (!dataset_split(&p->dataset, SPLIT_TRAIN, split, failure))
    return false;
  p->n = p->n < split->rows ? p->n : split->rows;
  return true;
}

// Without data (a predict block's own inputs) the rows are zeros: times don't depend on them.
static bool open_profile(Profile *p, Values *values, Failure *failure) {
  Split split;
  if (p->data != NNRT_NONE && !open_rows(p, values, &split, failure))
    return false;
  if (!values_open_rows(values, p->n, failure) ||
      !model_open(&p->model, p->program, p->run->pool, p->n, &p->function, 1, failure) ||
      !call_open(&p->call, p->model, values, p->function, p->n, failure))
    return false;
  if (p->data != NNRT_NONE)
    p->n = call_gather(&p->call, &split, NULL, 0, p->n, failure);
  else
    call_number_rows(&p->call, 0, p->n);
  if (p->n <= 0)
    return !p->n && failf(failure, "none of the first rows' pictures can be read");
  p->seconds = calloc(p->call.function->n_launch + 1, sizeof *p->seconds);
  p->times = calloc(MOST_STEPS, sizeof *p->times);
  return (p->seconds && p->times) || failf(failure, "not enough memory for the profile");
}

static bool profile_step(const Run *run, Values *values, uint32_t index, bool *more,
                         Failure *failure) {
  Profile p = {.run = run, .program = run->program};
  p.peak = cpu_peak_gflops(run->program->cpu_level) * nnrt_pool_threads(run->pool);
  bool good = choose_function(&p, index, more, failure) && open_profile(&p, values, failure) &&
              run_steps(&p, failure) && print_profile(&p, failure);
  free(p.seconds);
  free(p.times);
  call_close(&p.call);
  values_close_rows(values);
  nnrt_close(p.model);
  dataset_close(&p.dataset);
  return good;
}

bool command_profile(const Run *run, int *status, Failure *failure) {
  (void)status;
  Values values = {0};
  int64_t seed = run->options->seed != INT64_MIN ? run->options->seed : 1;
  bool good = values_open(&values, run->program, run->options, failure) &&
              values_initialise(&values, run->pool, seed, failure),
       more = true;
  for (uint32_t i = 0; good && more; i++) {
    more = false;
    if (i && log_form(run->options) != LOG_JSON)
      puts("");
    good = profile_step(run, &values, i, &more, failure);
  }
  values_close(&values);
  return good;
}
