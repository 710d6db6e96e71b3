// Cross-validation (rule 20): the figures of every fold, their mean and deviation.
#include <math.h>
#include <stdlib.h>
#include "trainer.h"

// How often the data of these blocks is to be cut; 0: not at all.
int64_t folds_wanted(const NnrtProgram *program, uint32_t first, uint32_t end) {
  int64_t most = 0;
  for (uint32_t i = first; i < end; i++) {
    uint32_t data = program->train[i].data;
    if (data != NNRT_NONE && program->data[data].folds > most)
      most = program->data[data].folds;
  }
  return most;
}

static uint32_t first_metric(const NnrtProgram *program, uint32_t block) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < block; i++)
    n += program->train[i].n_metric;
  return n;
}

bool folds_open(Folds *folds, const NnrtProgram *program, int64_t count, Failure *failure) {
  *folds = (Folds){.program = program, .folds = count};
  folds->sum = calloc(2 * (size_t)first_metric(program, program->n_train) + 1, sizeof(double));
  folds->square = folds->sum ? folds->sum + first_metric(program, program->n_train) : NULL;
  return folds->sum || failf(failure, "not enough memory for the figures of the folds");
}

void folds_close(Folds *folds) {
  free(folds->sum);
}

static void put_block(String *line, const Folds *folds, const NnrtTrain *train, LogForm log) {
  if (folds->program->n_train < 2)
    return;
  if (log != LOG_JSON) {
    string_printf(line, "  %s", train->name);
    return;
  }
  string_put(line, ",\"block\":");
  string_put_json(line, train->name);
}

static void print_line(String *line, LogForm log) {
  printf("%s%s\n", line->at ? line->at : "", log == LOG_JSON ? "}" : "");
  fflush(stdout);
  string_free(line);
}

void folds_add(Folds *folds, const Figures *figures, int64_t fold, LogForm log) {
  const NnrtTrain *train = figures->train;
  uint32_t first = first_metric(folds->program, (uint32_t)(train - folds->program->train));
  String line = {0};
  char number[NUMBER_TEXT];
  folds->n = fold;
  string_printf(&line, log == LOG_JSON ? "{\"fold\":%lld" : "fold %lld/%lld", (long long)fold,
                (long long)folds->folds);
  put_block(&line, folds, train, log);
  for (uint32_t i = 0; i < train->n_metric; i++) {
    double value = figures_value(figures, i);
    folds->sum[first + i] += value;
    folds->square[first + i] += value * value;
    if (log == LOG_JSON) {
      string_printf(&line, ",\"val_%s\":", train->metric[i].name);
      string_put_json_number(&line, value);
    } else {
      string_printf(&line, "  val_%s %s", train->metric[i].name, figure_text(value, number));
    }
  }
  print_line(&line, log);
}

static void print_block(const Folds *folds, uint32_t block, LogForm log) {
  const NnrtTrain *train = &folds->program->train[block];
  uint32_t first = first_metric(folds->program, block);
  double n = (double)folds->n;
  String line = {0};
  char mean_text[NUMBER_TEXT], deviation_text[NUMBER_TEXT];
  string_printf(&line, log == LOG_JSON ? "{\"folds\":%lld" : "%lld folds", (long long)folds->folds);
  put_block(&line, folds, train, log);
  for (uint32_t i = 0; i < train->n_metric; i++) {
    double mean = folds->sum[first + i] / n;
    double deviation = sqrt(fmax(0, folds->square[first + i] / n - mean * mean));
    if (log == LOG_JSON) {
      string_printf(&line, ",\"val_%s\":", train->metric[i].name);
      string_put_json_number(&line, mean);
      string_printf(&line, ",\"val_%s_deviation\":", train->metric[i].name);
      string_put_json_number(&line, deviation);
    } else {
      string_printf(&line, "  val_%s %s +- %s", train->metric[i].name, figure_text(mean, mean_text),
                    figure_text(deviation, deviation_text));
    }
  }
  print_line(&line, log);
}

void folds_print(const Folds *folds, uint32_t first, uint32_t end, LogForm log) {
  for (uint32_t i = first; i < end; i++)
    if (folds->program->train[i].data != NNRT_NONE &&
        folds->program->data[folds->program->train[i].data].folds)
      print_block(folds, i, log);
  if (log != LOG_JSON)
    printf("last, on all rows:\n");
}
