// The figures of a split: sums over rows in double, divided by the rows; the evaluation of a split;
// the command eval.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

static size_t total_elements(const NnrtTrain *train) {
  const NnrtTotal *last = train->n_total ? &train->total[train->n_total - 1] : NULL;
  return last ? (size_t)(last->first + last->count) : 0;
}

bool figures_open(Figures *figures, const NnrtTrain *train, Call *formula, Failure *failure) {
  size_t n = train->n_metric, n_total = total_elements(train);
  *figures = (Figures){.train = train, .formula = formula};
  figures->sum = calloc(2 * n + n_total + 1, sizeof(double));
  if (!figures->sum)
    return failf(failure, "not enough memory for the figures");
  figures->count = figures->sum + n;
  figures->total = figures->count + n;
  return true;
}

void figures_close(Figures *figures) {
  free(figures->sum);
}

void figures_clear(Figures *figures) {
  figures->rows = 0;
  for (uint32_t i = 0; i < figures->train->n_metric; i++)
    figures->sum[i] = figures->count[i] = 0;
  for (size_t i = 0; i < total_elements(figures->train); i++)
    figures->total[i] = 0;
}

static void add_totals(Figures *figures, const Call *call, uint32_t first, uint32_t n) {
  for (uint32_t i = 0; i < call->function->n_result; i++) {
    const NnrtPort *port = &call->function->result[i];
    if (port->role != NNRT_TOTAL || port->index < first || port->index >= first + n)
      continue;
    const NnrtTotal *total = &figures->train->total[port->index];
    for (int64_t k = 0; k < total->count; k++)
      figures->total[total->first + k] += (double)((const float *)call->result[i])[k];
  }
}

static void add_metrics(Figures *figures, const Call *call, int64_t n, uint32_t first,
                        uint32_t end) {
  const float *weight = call_result(call, NNRT_WEIGHT, 0);
  for (uint32_t i = 0; i < call->function->n_result; i++) {
    const NnrtPort *port = &call->function->result[i];
    if (port->role != NNRT_METRIC || port->index < first || port->index >= end)
      continue;
    bool weighted = weight && figures->train->metric[port->index].weighted;
    figures->count[port->index] += weighted ? (double)*weight : (double)n;
    double value = (double)*(const float *)call->result[i];
    if (figures->train->metric[port->index].kind == NNRT_METRIC_MEAN)
      figures->sum[port->index] += value;
    else
      figures->sum[port->index] = value;
  }
}

void figures_add(Figures *figures, const Call *call, int64_t n) {
  figures->rows += n;
  add_metrics(figures, call, n, 0, figures->train->n_metric);
  add_totals(figures, call, 0, figures->train->n_total);
}

void figures_add_step(Figures *figures, const Call *call, int64_t n, const NnrtStep *step) {
  add_metrics(figures, call, n, step->loss, step->loss + step->n_metric);
  add_totals(figures, call, step->total, step->n_total);
}

static double formula_value(const Figures *figures, uint32_t metric) {
  Call *call = figures->formula;
  Failure failure;
  for (uint32_t i = 0; i < call->function->n_arg; i++) {
    const NnrtPort *port = &call->function->arg[i];
    if (port->role != NNRT_SCALAR)
      continue;
    const NnrtTotal *total = &figures->train->total[port->index];
    for (int64_t k = 0; k < total->count; k++)
      ((float *)call->arg[i])[k] = (float)figures->total[total->first + k];
  }
  const float *value = call_result(call, NNRT_METRIC, metric);
  return value && call_run(call, 1, &failure) ? (double)*value : NAN;
}

bool figures_due(const Figures *figures, uint32_t metric) {
  uint32_t every = figures->train->metric[metric].every;
  return every <= 1 || !figures->epoch || (figures->epoch > 0 && figures->epoch % every == 0);
}

bool figures_rare(const NnrtTrain *train, int64_t epoch) {
  bool any = false;
  for (uint32_t i = 0; i < train->n_metric; i++)
    any |= train->metric[i].every > 1 && epoch % train->metric[i].every == 0;
  return any;
}

void figures_take_rare(Figures *figures, const Figures *from, int64_t epoch) {
  figures->epoch = epoch;
  for (uint32_t i = 0; i < figures->train->n_metric; i++) {
    const NnrtMetric *metric = &figures->train->metric[i];
    if (metric->every <= 1)
      continue;
    figures->sum[i] = from->sum[i];
    figures->count[i] = from->count[i];
    for (uint32_t k = metric->total; k < metric->total + metric->n_total; k++) {
      const NnrtTotal *total = &figures->train->total[k];
      memcpy(figures->total + total->first, from->total + total->first,
             sizeof(double) * (size_t)total->count);
    }
  }
}

double figures_value(const Figures *figures, uint32_t metric) {
  if (!figures_due(figures, metric))
    return NAN;
  if (figures->train->metric[metric].kind == NNRT_METRIC_VALUE)
    return figures->sum[metric];
  if (figures->train->metric[metric].kind == NNRT_METRIC_FORMULA)
    return formula_value(figures, metric);
  return figures->count[metric] > 0 ? figures->sum[metric] / figures->count[metric] : NAN;
}

bool evaluate_split(Call *eval, const Split *split, int64_t batch, Figures *figures,
                    Failure *failure) {
  figures_clear(figures);
  for (int64_t first = 0; first < split->rows; first += batch) {
    if (figures->interrupted && *figures->interrupted)
      break;
    int64_t n = split->rows - first < batch ? split->rows - first : batch;
    n = call_gather(eval, split, NULL, first, n, failure);
    if (n < 0 || (n && !call_run(eval, n, failure)))
      return false;
    if (n)
      figures_add(figures, eval, n);
  }
  return true;
}

void figures_print(const Figures *figures, SplitKind kind, const char *block, LogForm log) {
  String line = {0};
  char number[NUMBER_TEXT];
  if (log == LOG_JSON) {
    string_printf(&line, "{\"split\":\"%s\"", split_name(kind));
    if (block) {
      string_put(&line, ",\"block\":");
      string_put_json(&line, block);
    }
  } else {
    string_printf(&line, "%s%s%s", block ? block : "", block ? "  " : "", split_name(kind));
  }
  for (uint32_t i = 0; i < figures->train->n_metric; i++) {
    if (log == LOG_JSON) {
      string_put(&line, ",");
      string_put_json(&line, figures->train->metric[i].name);
      string_put(&line, ":");
      string_put_json_number(&line, figures_value(figures, i));
    } else {
      string_printf(&line, "  %s %s", figures->train->metric[i].name,
                    figure_text(figures_value(figures, i), number));
    }
  }
  printf("%s%s\n", line.at ? line.at : "", log == LOG_JSON ? "}" : "");
  string_free(&line);
}

// ---- eval -------------------------------------------------------------------------------------

// Rows, or for a block without data one batch of draws.
static bool evaluate_block(Dataset *dataset, Call *eval, const Options *options, int64_t batch,
                           Figures *figures, SplitKind *kind, Failure *failure) {
  if (dataset->data) {
    Split split;
    *kind = dataset_default_split(dataset, options);
    return dataset_split(dataset, *kind, &split, failure) &&
           evaluate_split(eval, &split, batch, figures, failure);
  }
  *kind = SPLIT_NONE;
  call_number_rows(eval, 0, batch);
  if (!call_run(eval, batch, failure))
    return false;
  figures_add(figures, eval, batch);
  return true;
}

static bool eval_block(const Run *run, Values *values, const NnrtTrain *train, Failure *failure) {
  const NnrtProgram *program = run->program;
  int64_t batch = option_or(run->options->batch, train->batch > 0 ? train->batch : 1);
  Dataset dataset = {0};
  NnrtModel *model = NULL;
  Call eval = {0}, formula = {0};
  uint32_t functions[] = {train->eval, train->figures};
  uint32_t count = train->figures == NNRT_NONE ? 1 : 2;
  Figures figures = {0};
  SplitKind kind;
  bool good = train->data == NNRT_NONE ||
              dataset_open(&dataset, program, train->data, run->options, failure);
  dataset.values = values;
  dataset.pool = run->pool;
  if (good && dataset.data)
    dataset_need(&dataset, &program->function[train->eval]);
  good = good && model_open(&model, program, run->pool, batch, functions, count, failure) &&
         call_open(&eval, model, values, train->eval, batch, failure) &&
         (count == 1 || call_open(&formula, model, values, train->figures, 1, failure)) &&
         figures_open(&figures, train, &formula, failure);
  if (good) {
    call_set(&eval, 1, 1, run->options->seed != INT64_MIN ? run->options->seed : train->seed);
    good = evaluate_block(&dataset, &eval, run->options, batch, &figures, &kind, failure);
  }
  if (good)
    figures_print(&figures, kind, program->n_train > 1 ? train->name : NULL,
                  log_form(run->options));
  figures_close(&figures);
  call_close(&eval);
  call_close(&formula);
  nnrt_close(model);
  dataset_close(&dataset);
  return good;
}

uint32_t train_block(const Run *run, Failure *failure) {
  const NnrtProgram *program = run->program;
  String list = {0};
  for (uint32_t i = 0; i < program->n_train; i++) {
    if (!run->options->block || !strcmp(run->options->block, program->train[i].name)) {
      string_free(&list);
      return i;
    }
    string_printf(&list, "%s%s", i ? ", " : "", program->train[i].name);
  }
  if (run->options->block && program->n_train)
    failf(failure, "--block: no train block is called \"%s\"; there are %s", run->options->block,
          list.at ? list.at : "none");
  else
    failf(failure, "this program has no train block");
  string_free(&list);
  return NNRT_NONE;
}

bool command_eval(const Run *run, int *status, Failure *failure) {
  (void)status;
  Values values = {0};
  uint32_t first = train_block(run, failure);
  bool good = first != NNRT_NONE && values_open(&values, run->program, run->options, failure) &&
              weights_load_default(&values, run->pool, run->options, failure);
  uint32_t end = run->options->block ? first + 1 : run->program->n_train;
  for (uint32_t i = first; good && i < end; i++)
    good = eval_block(run, &values, &run->program->train[i], failure);
  values_close(&values);
  return good;
}
