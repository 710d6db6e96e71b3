// What training says: a bar on a terminal, plain lines or JSON elsewhere, and the history file.
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "trainer.h"

LogForm log_form(const Options *options) {
  if (options->log != LOG_AUTO)
    return options->log;
  return isatty(STDOUT_FILENO) ? LOG_BAR : LOG_PLAIN;
}

// ---- The bar ----------------------------------------------------------------------------------

void progress_clear_bar(Progress *progress) {
  if (!progress->bar_shown)
    return;
  fputs("\r\033[K", stdout);
  fflush(stdout);
  progress->bar_shown = false;
}

static int terminal_width(void) {
  struct winsize size;
  return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col > 20 ? size.ws_col : 80;
}

static void put_duration(String *line, double seconds) {
  long whole = (long)(seconds + 0.5);
  if (seconds < 10)
    string_printf(line, "%.1fs", seconds);
  else if (whole < 120)
    string_printf(line, "%lds", whole);
  else if (whole < 7200)
    string_printf(line, "%ldm%02lds", whole / 60, whole % 60);
  else
    string_printf(line, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
}

static void put_figures(String *line, const Figures *figures, const char *prefix) {
  char number[NUMBER_TEXT];
  for (uint32_t i = 0; i < figures->train->n_metric; i++)
    if (figures_due(figures, i))
      string_printf(line, "  %s%s %s", prefix, figures->train->metric[i].name,
                    figure_text(figures_value(figures, i), number));
}

static void put_place(String *line, const Progress *progress, int64_t epoch) {
  if (progress->epochs)
    string_printf(line, "epoch %lld/%lld", (long long)epoch, (long long)progress->epochs);
  else
    string_printf(line, "epoch %lld", (long long)epoch);
}

static void draw_bar(Progress *progress, int64_t epoch, int64_t done, int64_t of,
                     const Figures *figures, double now) {
  enum { WIDTH = 24 };
  String line = {0};
  int filled = of > 0 ? (int)(done * WIDTH / of) : 0;
  put_place(&line, progress, epoch);
  string_put(&line, "  [");
  for (int i = 0; i < WIDTH; i++)
    string_put(&line, i < filled ? "=" : i == filled ? ">" : " ");
  string_printf(&line, "] %lld/%lld", (long long)done, (long long)of);
  put_figures(&line, figures, "");
  string_put(&line, "  ETA ");
  double began = progress->epochs ? progress->epoch_started : progress->started;
  put_duration(&line, (now - began) / (double)(done ? done : 1) * (double)(of - done));
  int width = terminal_width() - 1;
  printf("\r%.*s\033[K", width, line.at ? line.at : "");
  fflush(stdout);
  string_free(&line);
  progress->bar_shown = true;
}

void progress_step(Progress *progress, int64_t epoch, int64_t step_in_epoch, int64_t step,
                   const Figures *figures) {
  if (progress->log != LOG_BAR)
    return;
  double now = seconds_now();
  if (now - progress->drawn < 0.1 || now - progress->started < 0.2)
    return;
  progress->drawn = now;
  if (progress->epochs)
    draw_bar(progress, epoch, step_in_epoch, progress->steps_per_epoch, figures, now);
  else
    draw_bar(progress, epoch, step, progress->steps, figures, now);
}

// ---- Lines ------------------------------------------------------------------------------------

static void put_json_figures(String *line, const Figures *figures, const char *prefix) {
  for (uint32_t i = 0; i < figures->train->n_metric; i++) {
    String name = {0};
    if (!figures_due(figures, i))
      continue;
    string_printf(&name, "%s%s", prefix, figures->train->metric[i].name);
    string_put(line, ",");
    string_put_json(line, name.at ? name.at : "");
    string_put(line, ":");
    string_put_json_number(line, figures_value(figures, i));
    string_free(&name);
  }
}

static void put_json_block(String *line, const Progress *progress) {
  if (progress->program->n_train < 2)
    return;
  string_put(line, "\"block\":");
  string_put_json(line, progress->train->name);
  string_put(line, ",");
}

static void print_line(Progress *progress, String *line) {
  progress_clear_bar(progress);
  printf("%s\n", line->at ? line->at : "");
  fflush(stdout);
  string_free(line);
}

void progress_log(Progress *progress, int64_t step, const Figures *figures) {
  String line = {0};
  if (progress->quiet)
    return;
  if (progress->log == LOG_JSON) {
    string_put(&line, "{");
    put_json_block(&line, progress);
    string_printf(&line, "\"step\":%lld", (long long)step);
    put_json_figures(&line, figures, "");
    string_put(&line, "}");
  } else {
    string_printf(&line, "step %lld", (long long)step);
    if (progress->steps)
      string_printf(&line, "/%lld", (long long)progress->steps);
    put_figures(&line, figures, "");
  }
  print_line(progress, &line);
}

void progress_memory(const Progress *progress, int64_t batch, int64_t arena) {
  String line = {0};
  if (progress->quiet || progress->log != LOG_JSON)
    return;
  string_put(&line, "{");
  put_json_block(&line, progress);
  string_printf(&line, "\"batch\":%lld,\"arena\":%lld}", (long long)batch, (long long)arena);
  puts(line.at ? line.at : "");
  string_free(&line);
}

void progress_text(Progress *progress, const char *path, const char *text) {
  String line = {0};
  if (progress->log == LOG_JSON) {
    string_put(&line, "{");
    put_json_block(&line, progress);
    string_put(&line, "\"file\":");
    string_put_json(&line, path);
    string_put(&line, ",\"text\":");
    string_put_json(&line, text);
    string_put(&line, "}");
  } else
    string_printf(&line, "%s:\n%s", path, text);
  print_line(progress, &line);
}

static void print_epoch(Progress *progress, int64_t epoch, int64_t step, const Figures *figures,
                        const Figures *validation, double seconds) {
  String line = {0};
  if (progress->log == LOG_JSON) {
    string_put(&line, "{");
    put_json_block(&line, progress);
    string_printf(&line, "\"epoch\":%lld,\"step\":%lld", (long long)epoch, (long long)step);
    put_json_figures(&line, figures, "");
    if (validation)
      put_json_figures(&line, validation, "val_");
    string_printf(&line, ",\"seconds\":%.3f", seconds);
    if (progress->waited >= 0)
      string_printf(&line, ",\"waited\":%.3f", progress->waited);
    string_put(&line, "}");
  } else {
    put_place(&line, progress, epoch);
    put_figures(&line, figures, "");
    if (validation)
      put_figures(&line, validation, "val_");
    string_put(&line, "  ");
    put_duration(&line, seconds);
    if (progress->waited > 0.1 && progress->waited > 0.1 * seconds) {
      string_put(&line, " (");
      put_duration(&line, progress->waited);
      string_put(&line, " of it waiting for pictures)");
    }
  }
  print_line(progress, &line);
}

// ---- History: a csv with a line per epoch -----------------------------------------------------

// Columns are those of all train blocks together, in order of first use.
static bool named_before(const NnrtProgram *program, uint32_t block, uint32_t metric) {
  const char *name = program->train[block].metric[metric].name;
  for (uint32_t i = 0; i <= block; i++)
    for (uint32_t k = 0; k < (i == block ? metric : program->train[i].n_metric); k++)
      if (!strcmp(program->train[i].metric[k].name, name))
        return true;
  return false;
}

static void put_value(String *history, const Figures *figures, const char *name) {
  for (uint32_t i = 0; figures && i < figures->train->n_metric; i++)
    if (!strcmp(figures->train->metric[i].name, name) && figures_due(figures, i))
      string_printf(history, "%.9g", figures_value(figures, i));
}

static bool has_validation(const NnrtProgram *program) {
  for (uint32_t i = 0; i < program->n_train; i++) {
    const NnrtData *data =
        program->train[i].data == NNRT_NONE ? NULL : &program->data[program->train[i].data];
    if (data && (data->validate.kind != NNRT_NO_SOURCE || data->validate_last > 0))
      return true;
  }
  return false;
}

// One line: names if figures is NULL, values otherwise.
static void put_history(Progress *progress, const Figures *figures, const Figures *validation) {
  const NnrtProgram *program = progress->program;
  String *history = &progress->history;
  for (int val = 0; val < 1 + has_validation(program); val++) {
    for (uint32_t i = 0; i < program->n_train; i++) {
      for (uint32_t k = 0; k < program->train[i].n_metric; k++) {
        const char *name = program->train[i].metric[k].name;
        if (named_before(program, i, k))
          continue;
        if (figures)
          string_put(history, ",");
        else
          string_printf(history, ",%s%s", val ? "val_" : "", name);
        if (figures)
          put_value(history, val ? validation : figures, name);
      }
    }
  }
  string_put(history, "\n");
}

static bool write_history(Progress *progress, Failure *failure) {
  if (progress->history.no_memory)
    return failf(failure, "not enough memory for the history");
  Piece piece = {progress->history.at, progress->history.length};
  progress->history_written = seconds_now();
  return file_write(progress->history_path, &piece, 1, failure);
}

static bool add_history(Progress *progress, int64_t epoch, int64_t step, const Figures *figures,
                        const Figures *validation, double seconds, Failure *failure) {
  if (!progress->history_path)
    return true;
  if (!progress->history.length) {
    string_put(&progress->history, "block,epoch,step,seconds");
    put_history(progress, NULL, NULL);
  }
  string_put_csv(&progress->history, progress->train->name);
  string_printf(&progress->history, ",%lld,%lld,%.3f", (long long)epoch, (long long)step, seconds);
  put_history(progress, figures, validation);
  // The whole file is replaced each time, at most once a second: a reader never sees half a line.
  return seconds_now() - progress->history_written < 1 || write_history(progress, failure);
}

bool progress_epoch(Progress *progress, int64_t epoch, int64_t step, const Figures *figures,
                    const Figures *validation, Failure *failure) {
  double now = seconds_now(), seconds = now - progress->epoch_started;
  if (progress->quiet) {
    progress->epoch_started = now;
    return true;
  }
  print_epoch(progress, epoch, step, figures, validation, seconds);
  progress->epoch_started = seconds_now();
  return curves_add(&progress->curves, progress->train, epoch, figures, validation, failure) &&
         add_history(progress, epoch, step, figures, validation, seconds, failure);
}

void progress_start(Progress *progress, const NnrtTrain *train, int64_t epochs, int64_t steps,
                    int64_t steps_per_epoch) {
  progress->train = train;
  progress->epochs = steps ? 0 : epochs;
  progress->steps = steps;
  progress->steps_per_epoch = steps_per_epoch;
  progress->started = progress->epoch_started = seconds_now();
  if (progress->program->n_train > 1 && progress->log != LOG_JSON && !progress->quiet)
    printf("train %s\n", train->name);
}

bool progress_finish(Progress *progress, Failure *failure) {
  progress_clear_bar(progress);
  if (progress->history_path && progress->history.length && !write_history(progress, failure))
    return false;
  return curves_write(&progress->curves, progress->program, failure);
}

void progress_close(Progress *progress) {
  string_free(&progress->history);
  curves_close(&progress->curves);
}
