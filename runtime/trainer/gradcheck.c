// gradcheck: the gradients that this program computes against central differences of its own loss,
// (L(x + h d) - L(x - h d)) / 2h = grad . d, along the gradient, along random directions, and in
// the elements with the largest gradients among random ones. Everything is f32, so each difference
// comes with its own noise; the step h is varied, and a check passes if it does for one of them:
// short steps drown in rounding, long ones cross the kinks of relu.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { RANDOM_DIRECTIONS = 2, ELEMENTS = 3, CANDIDATES = 32, MOST_ROWS = 64 };
static const double tolerance = 0.01; // relative

typedef struct {
  const NnrtProgram *program;
  const NnrtTrain *train;
  const NnrtStep *step;
  Values *values;
  Call *call;
  int64_t n;
  uint64_t random; // state of the generator
} Checker;

typedef struct {
  double given, measured, error; // grad . d, the difference, |given - measured| / larger
  bool passed, seen;             // seen: the difference stood out from the noise
  bool between;                  // passed, or given lies between the slopes of the two sides
  bool at_kink;                  // passed only so
} Check;

static double next_random(uint64_t *state) { // uniform in [-1, 1), splitmix64
  uint64_t x = *state += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return (double)((x ^ x >> 31) >> 11) * 0x1p-52 - 1;
}

static bool loss_of(const Checker *c, double *loss, Failure *failure) {
  if (!call_run(c->call, c->n, failure))
    return false;
  const float *result = call_result(c->call, NNRT_METRIC, c->step->loss);
  bool mean = c->train->metric[c->step->loss].kind == NNRT_METRIC_MEAN;
  *loss = result ? (double)*result / (mean ? (double)c->n : 1) : NAN;
  return true;
}

// The loss at base + h * direction.
static bool loss_at(const Checker *c, float *param, const float *base, const float *direction,
                    int64_t count, double h, double *loss, Failure *failure) {
  for (int64_t i = 0; i < count; i++)
    param[i] = (float)((double)base[i] + h * (double)direction[i]);
  bool good = loss_of(c, loss, failure);
  memcpy(param, base, (size_t)count * sizeof *param);
  return good;
}

// What was really moved differs from h * direction by the rounding of the sums.
static double given_change(const float *base, const float *gradient, const float *direction,
                           int64_t count, double h) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) {
    float up = (float)((double)base[i] + h * (double)direction[i]);
    float down = (float)((double)base[i] - h * (double)direction[i]);
    sum += (double)gradient[i] * ((double)up - (double)down);
  }
  return sum / (2 * h);
}

// One step size. A kink between x - h d and x + h d bends the difference: the gradient then lies
// between the slopes on the two sides, and half their distance is allowed for.
static Check check_size(double given, double at, double up, double down, double h) {
  double measured = (up - down) / (2 * h);
  double larger = fmax(fabs(given), fabs(measured)), difference = fabs(given - measured);
  double noise = 4 * (double)FLT_EPSILON * fmax(fabs(up), fabs(down)) / h;
  double bend = fabs(up - 2 * at + down) / (2 * h);
  bool passed = difference <= tolerance * larger + noise;
  return (Check){.given = given,
                 .measured = measured,
                 .error = larger > 0 ? difference / larger : 0,
                 .passed = passed,
                 .seen = larger > 20 * noise,
                 .between = passed || difference <= tolerance * larger + noise + bend};
}

// The best agreement of those that stand out from the noise; without any of those, the best. For
// the shortest step that stands out, kinks are allowed for.
static bool check_direction(const Checker *c, float *param, const float *base,
                            const float *gradient, const float *direction, int64_t count,
                            Check *check, Failure *failure) {
  double at;
  bool between = false;
  *check = (Check){.error = INFINITY};
  if (!loss_of(c, &at, failure))
    return false;
  for (double h = 0.1; h > 2e-4; h /= 3) {
    double up, down;
    if (!loss_at(c, param, base, direction, count, h, &up, failure) ||
        !loss_at(c, param, base, direction, count, -h, &down, failure))
      return false;
    Check now = check_size(given_change(base, gradient, direction, count, h), at, up, down, h);
    between = now.seen ? now.between : between;
    if ((now.seen && !check->seen) || (now.seen == check->seen && now.error < check->error))
      *check = now;
  }
  check->at_kink = !check->passed && check->seen && between;
  check->passed = check->passed || check->at_kink;
  return true;
}

// ---- The checks of one parameter --------------------------------------------------------------

static void scale_to_length(float *direction, int64_t count, double length) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++)
    sum += (double)direction[i] * (double)direction[i];
  for (int64_t i = 0; i < count; i++)
    direction[i] = sum > 0 ? (float)((double)direction[i] * length / sqrt(sum)) : 0;
}

// Kind 0: the gradient itself; then random ones, half along it so that they can be seen; then
// elements.
static void make_direction(Checker *c, const float *gradient, float *direction, int64_t count,
                           int kind) {
  double gradient_length = 0;
  for (int64_t i = 0; i < count; i++)
    gradient_length += (double)gradient[i] * (double)gradient[i];
  gradient_length = sqrt(gradient_length);
  if (kind <= RANDOM_DIRECTIONS) {
    for (int64_t i = 0; kind && i < count; i++)
      direction[i] = (float)next_random(&c->random);
    if (kind)
      scale_to_length(direction, count, 1);
    for (int64_t i = 0; i < count; i++)
      direction[i] = (kind ? direction[i] : 0) +
                     (gradient_length > 0 ? (float)((double)gradient[i] / gradient_length) : 0);
    scale_to_length(direction, count, 1);
    return;
  }
  int64_t best = 0;
  for (int i = 0; i < CANDIDATES; i++) {
    int64_t at = (int64_t)((next_random(&c->random) + 1) / 2 * (double)count);
    if (i == 0 || fabsf(gradient[at]) > fabsf(gradient[best]))
      best = at;
  }
  memset(direction, 0, (size_t)count * sizeof *direction);
  direction[best] = 1;
}

typedef struct {
  int passed, failed, unseen, kinks;
  double worst;
} Tally;

static bool check_param(Checker *c, uint32_t index, const float *gradient_now, Tally *tally,
                        Check *bad, Failure *failure) {
  const NnrtTensor *tensor = &c->program->param[index];
  int64_t count = type_elements(&tensor->type);
  float *memory = allocate(3 * count, sizeof *memory, tensor->name, failure);
  if (!memory)
    return false;
  float *base = memory, *gradient = memory + count, *direction = memory + 2 * count;
  memcpy(base, c->values->param[index], (size_t)count * sizeof *base);
  memcpy(gradient, gradient_now, (size_t)count * sizeof *gradient);
  bool good = true;
  int checks = count > 1 ? 1 + RANDOM_DIRECTIONS + ELEMENTS : 1;
  for (int kind = 0; good && kind < checks; kind++) {
    Check check;
    make_direction(c, gradient, direction, count, kind);
    good = check_direction(c, c->values->param[index], base, gradient, direction, count, &check,
                           failure);
    tally->passed += check.passed && check.seen;
    tally->unseen += check.passed && !check.seen;
    if (!check.passed && !tally->failed++)
      *bad = check;
    tally->kinks += check.at_kink;
    if (check.passed && check.seen && !check.at_kink && check.error > tally->worst)
      tally->worst = check.error;
  }
  free(memory);
  return good;
}

static void print_param(const Run *run, const char *name, const Tally *tally, const Check *bad) {
  String line = {0};
  if (log_form(run->options) == LOG_JSON) {
    string_put(&line, "{\"parameter\":");
    string_put_json(&line, name);
    string_printf(&line, ",\"passed\":%d,\"failed\":%d,\"too_small\":%d,\"worst\":", tally->passed,
                  tally->failed, tally->unseen);
    string_put_json_number(&line, tally->worst);
    string_put(&line, "}");
  } else {
    string_printf(&line, "%s  %-32s", tally->failed ? "FAIL" : "ok  ", name);
    if (tally->failed)
      string_printf(&line, "  %d of %d differ: gradient %.6g, difference %.6g", tally->failed,
                    tally->failed + tally->passed + tally->unseen, bad->given, bad->measured);
    else
      string_printf(&line, "  %d checks, largest error %.2g%%", tally->passed, 100 * tally->worst);
    if (tally->unseen)
      string_printf(&line, "  (%d below the noise)", tally->unseen);
    if (tally->kinks)
      string_printf(&line, "  (%d at a kink)", tally->kinks);
  }
  puts(line.at ? line.at : "");
  string_free(&line);
}

static void print_skipped(const Run *run, const char *name) {
  String line = {0};
  if (log_form(run->options) == LOG_JSON) {
    string_put(&line, "{\"parameter\":");
    string_put_json(&line, name);
    string_put(&line, ",\"skipped\":\"stop_gradient\"}");
  } else
    string_printf(
        &line,
        "skip  %-32s  the loss also depends on it through stop_gradient, which differences "
        "don't leave out",
        name);
  puts(line.at ? line.at : "");
  string_free(&line);
}

static const char *verdict(int failed, int seen, int skipped) {
  if (failed)
    return "gradients differ";
  if (!seen)
    return "no gradient can be compared";
  return skipped ? "all gradients that can be compared agree" : "all gradients agree";
}

// ---- The command ------------------------------------------------------------------------------

static bool check_all(const Run *run, Checker *c, int *status, Failure *failure) {
  const NnrtFunction *f = c->call->function;
  double loss;
  int seen = 0, skipped = 0;
  if (!loss_of(c, &loss, failure))
    return false;
  if (!isfinite(loss))
    return failf(failure, "the loss is not finite: there is nothing to check");
  for (uint32_t i = 0; i < f->n_result; i++) {
    uint32_t param = f->result[i].index;
    if (f->result[i].role == NNRT_GRAD_PART) {
      print_skipped(run, c->program->param[param].name);
      skipped++;
    }
    if (f->result[i].role != NNRT_GRAD)
      continue;
    Tally tally = {0};
    Check bad = {0};
    if (c->program->param[param].type.elem != NNRT_F32)
      return failf(failure, "gradcheck: %s is not f32", c->program->param[param].name);
    // Once more: the differences before left the gradients of other weights there.
    if (!loss_of(c, &loss, failure) ||
        !check_param(c, param, c->call->result[i], &tally, &bad, failure))
      return false;
    print_param(run, c->program->param[param].name, &tally, &bad);
    *status |= tally.failed > 0;
    seen += tally.passed;
  }
  if (!*status && !seen && !skipped)
    return failf(failure, "every gradient is below the noise of f32; nothing could be checked");
  if (log_form(run->options) != LOG_JSON)
    puts(verdict(*status, seen, skipped));
  return true;
}

static bool gather(Dataset *dataset, const NnrtTrain *train, Call *call, int64_t *n,
                   Failure *failure) {
  Split split;
  if (train->data == NNRT_NONE) {
    call_number_rows(call, 0, *n);
    return true;
  }
  if (!dataset_split(dataset, SPLIT_TRAIN, &split, failure))
    return false;
  *n = *n < split.rows ? *n : split.rows;
  *n = call_gather(call, &split, NULL, 0, *n, failure);
  return *n > 0 || (!*n && failf(failure, "none of the first rows' pictures can be read"));
}

static bool check_step(const Run *run, Values *values, const NnrtTrain *train, const NnrtStep *step,
                       int *status, Failure *failure) {
  const NnrtProgram *program = run->program;
  int64_t batch = option_or(run->options->batch, train->batch > 0 ? train->batch : 1);
  int64_t n = run->options->batch < 0 && batch > MOST_ROWS ? MOST_ROWS : batch;
  Dataset dataset = {0};
  NnrtModel *model = NULL;
  Call call = {0};
  bool good = true;
  if (train->data != NNRT_NONE) {
    good = dataset_open(&dataset, program, train->data, run->options, failure);
    dataset.values = values;
    dataset.pool = run->pool;
    if (good)
      dataset_need(&dataset, &program->function[step->grad]);
  }
  good = good && model_open(&model, program, run->pool, n, &step->grad, 1, failure) &&
         call_open(&call, model, values, step->grad, n, failure) &&
         gather(&dataset, train, &call, &n, failure);
  if (good) {
    Checker checker = {program, train, step, values, &call, n, 1};
    call_set(&call, 1, 1, run->options->seed != INT64_MIN ? run->options->seed : train->seed);
    good = check_all(run, &checker, status, failure);
  }
  call_close(&call);
  nnrt_close(model);
  dataset_close(&dataset);
  return good;
}

static bool check_block(const Run *run, Values *values, const NnrtTrain *train, int *status,
                        Failure *failure) {
  bool text = log_form(run->options) != LOG_JSON;
  if (run->program->n_train > 1 && text)
    printf("train %s\n", train->name);
  for (uint32_t i = 0; i < train->n_step; i++) {
    if (*train->step[i].name && text)
      printf("step %s\n", train->step[i].name);
    if (!check_step(run, values, train, &train->step[i], status, failure))
      return false;
  }
  return true;
}

bool command_gradcheck(const Run *run, int *status, Failure *failure) {
  const NnrtProgram *program = run->program;
  Values values = {0};
  uint32_t first = train_block(run, failure);
  if (first == NNRT_NONE)
    return false;
  int64_t seed = run->options->seed != INT64_MIN ? run->options->seed : program->train[first].seed;
  bool good = values_open(&values, program, run->options, failure) &&
              weights_begin(&values, run->pool, seed, run->options, stdout, failure);
  uint32_t end = run->options->block ? first + 1 : program->n_train;
  for (uint32_t i = first; good && i < end; i++)
    good = check_block(run, &values, &program->train[i], status, failure);
  values_close(&values);
  return good;
}
