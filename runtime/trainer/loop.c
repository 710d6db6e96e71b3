// Training: the blocks of the program in order, epochs of shuffled batches, the steps of each
// batch, validation, stop, weights.
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

// Set by the first Ctrl-C; the handler then goes, so that a second one ends the process at once.
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
  interrupted = signal_number;
}

static void catch_interrupts(void) {
  struct sigaction action = {.sa_handler = on_interrupt,
                             .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

// One train block at work.
typedef struct {
  const Run *run;
  const NnrtProgram *program;
  const NnrtTrain *train;
  Values *values;
  Dataset dataset;
  Split rows, validation;
  bool has_data, has_validation;
  NnrtModel *model;
  Call *step_call, eval_call, stop_call, figures_call; // step_call: one per step of the block
  Call *part_call;                                     // likewise, where gradients are accumulated
  Call *draw_call;                                     // one per drawing
  Figures epoch_figures, log_figures, validation_figures;
  Progress *progress;
  int64_t batch, epochs, steps, log_every, seed; // steps: 0 if epochs rule
  int64_t step, epoch;                           // iterations done; running
  double *best;                                  // per stop input: its best figure
  int64_t *best_epoch;
  int64_t fold; // of cross-validation, from 1; 0: none
  char *kept;   // the weights of `keep best`, after the epoch kept_epoch
  double kept_figure;
  int64_t kept_epoch;
  bool by_rows; // states of rows go on in the next batch (rule 25): the data's order, full batches
} Trainer;

static bool open_data(Trainer *t, Failure *failure) {
  const NnrtTrain *train = t->train;
  t->has_data = train->data != NNRT_NONE;
  if (!t->has_data)
    return true;
  if (!dataset_open(&t->dataset, t->program, train->data, t->run->options, failure))
    return false;
  t->dataset.values = t->values;
  t->dataset.pool = t->run->pool;
  for (uint32_t i = 0; i < train->n_step; i++)
    dataset_need(&t->dataset, &t->program->function[train->step[i].step]);
  if (train->eval != NNRT_NONE)
    dataset_need(&t->dataset, &t->program->function[train->eval]);
  for (uint32_t i = 0; i < train->n_draw; i++)
    dataset_need(&t->dataset, &t->program->function[train->draw[i].function]);
  fits_need(&t->dataset);
  t->dataset.fold = t->dataset.data->folds ? t->fold : 0;
  t->dataset.estimates = !t->run->options->load;
  t->has_validation = train->eval != NNRT_NONE && dataset_has(&t->dataset, SPLIT_VALIDATE);
  return dataset_check_files(&t->dataset, failure) &&
         dataset_split(&t->dataset, SPLIT_TRAIN, &t->rows, failure) &&
         (!t->has_validation ||
          dataset_split(&t->dataset, SPLIT_VALIDATE, &t->validation, failure)) &&
         (t->run->options->load || fits_estimate(t->values, &t->dataset, t->run->pool, failure));
}

static bool open_model(Trainer *t, Failure *failure) {
  uint32_t count, *functions = train_functions(t->train, &count, failure);
  bool good = functions &&
              model_open(&t->model, t->program, t->run->pool, t->batch, functions, count, failure);
  free(functions);
  return good;
}

static bool open_calls(Trainer *t, Failure *failure) {
  const NnrtTrain *train = t->train;
  t->step_call = calloc(train->n_step + 1, sizeof *t->step_call);
  t->part_call = calloc(train->n_step + 1, sizeof *t->part_call);
  t->draw_call = calloc(train->n_draw + 1, sizeof *t->draw_call);
  if (!t->step_call || !t->part_call || !t->draw_call)
    return failf(failure, "not enough memory");
  for (uint32_t i = 0; i < train->n_draw; i++)
    if (!call_open(&t->draw_call[i], t->model, t->values, train->draw[i].function, t->batch,
                   failure))
      return false;
  for (uint32_t i = 0; train->accumulate > 1 && i < train->n_step; i++)
    if (!call_open(&t->part_call[i], t->model, t->values, train->step[i].part, t->batch, failure))
      return false;
  for (uint32_t i = 0; i < train->n_step; i++)
    if (!call_open(&t->step_call[i], t->model, t->values, train->step[i].step, t->batch, failure))
      return false;
  return (train->eval == NNRT_NONE ||
          call_open(&t->eval_call, t->model, t->values, train->eval, t->batch, failure)) &&
         (train->figures == NNRT_NONE ||
          call_open(&t->figures_call, t->model, t->values, train->figures, 1, failure)) &&
         (train->stop == NNRT_NONE ||
          call_open(&t->stop_call, t->model, t->values, train->stop, 1, failure));
}

static bool has_row_states(const Trainer *t) {
  for (uint32_t i = 0; i < t->train->n_step; i++) {
    const NnrtFunction *f = &t->program->function[t->train->step[i].step];
    for (uint32_t k = 0; k < f->n_arg; k++)
      if (f->arg[k].role == NNRT_ROW_STATE)
        return true;
  }
  return false;
}

static bool trainer_open(Trainer *t, Failure *failure) {
  const Options *options = t->run->options;
  const NnrtTrain *train = t->train;
  t->batch = option_or(options->batch, train->batch > 0 ? train->batch : 1);
  bool epochs = options->epochs >= 0 && (train->data != NNRT_NONE || t->program->n_train == 1);
  t->steps = options->steps > 0 ? options->steps : epochs ? 0 : train->steps;
  t->epochs = option_or(options->epochs, train->epochs);
  t->log_every = train->log_every;
  t->seed = (options->seed != INT64_MIN ? options->seed : train->seed) + t->fold;
  if (options->steps == 0)
    t->steps = t->epochs = 0;
  if (train->data == NNRT_NONE && !t->steps && options->steps != 0)
    return failf(failure, "train %s has no data: it needs --steps, not --epochs", train->name);
  t->best = calloc(train->n_stop_input + 1, sizeof *t->best);
  t->best_epoch = calloc(train->n_stop_input + 1, sizeof *t->best_epoch);
  if (!t->best || !t->best_epoch)
    return failf(failure, "not enough memory");
  if (!open_data(t, failure))
    return false;
  if (t->has_data && t->batch > t->rows.rows) // memory for more would be for nothing
    t->batch = t->rows.rows;
  t->by_rows = has_row_states(t);
  if (!values_open_rows(t->values, t->batch, failure) || !open_model(t, failure) ||
      !open_calls(t, failure) ||
      !figures_open(&t->epoch_figures, train, &t->figures_call, failure) ||
      !figures_open(&t->log_figures, train, &t->figures_call, failure) ||
      !figures_open(&t->validation_figures, train, &t->figures_call, failure))
    return false;
  t->validation_figures.interrupted = &interrupted;
  t->log_figures.epoch = -1;
  return true;
}

static void trainer_close(Trainer *t) {
  figures_close(&t->epoch_figures);
  figures_close(&t->log_figures);
  figures_close(&t->validation_figures);
  for (uint32_t i = 0; t->step_call && i < t->train->n_step; i++)
    call_close(&t->step_call[i]);
  for (uint32_t i = 0; t->part_call && i < t->train->n_step; i++)
    call_close(&t->part_call[i]);
  for (uint32_t i = 0; t->draw_call && i < t->train->n_draw; i++)
    call_close(&t->draw_call[i]);
  free(t->draw_call);
  free(t->step_call);
  free(t->part_call);
  call_close(&t->eval_call);
  call_close(&t->stop_call);
  call_close(&t->figures_call);
  nnrt_close(t->model);
  dataset_close(&t->dataset);
  values_close_rows(t->values);
  free(t->best);
  free(t->best_epoch);
  free(t->kept);
}

// ---- Drawings ---------------------------------------------------------------------------------

// A picture that can't be written costs the training nothing but itself.
static void draw_now(Trainer *t, uint32_t index, int64_t number) {
  const NnrtDraw *draw = &t->train->draw[index];
  Failure failure;
  String path = {0}, text = {0};
  progress_clear_bar(t->progress);
  string_printf(&path, "%s%s-%04lld.%s", drawings_folder(&t->run->drawings), draw->name,
                (long long)number, draw->output->form == NNRT_AS_TEXT ? "txt" : "png");
  const Split *rows = t->has_validation ? &t->validation : t->has_data ? &t->rows : NULL;
  if (path.at && !draw_picture(draw, &t->draw_call[index], rows, path.at, &text, &failure))
    fprintf(stderr, "warning: draw %s: %s\n", draw->name, failure.text);
  else if (text.at)
    progress_text(t->progress, path.at, text.at);
  string_free(&path);
  string_free(&text);
}

static void draw_every(Trainer *t, bool epoch) {
  for (uint32_t i = 0; !t->progress->quiet && i < t->train->n_draw; i++) {
    const NnrtDraw *draw = &t->train->draw[i];
    int64_t every = epoch ? draw->every_epochs : draw->every_steps;
    int64_t number = epoch ? t->epoch : t->step;
    if (every && number % every == 0)
      draw_now(t, i, number);
  }
}

// Those without `every`: of the weights that training ends with.
static void draw_last(Trainer *t) {
  for (uint32_t i = 0; !t->progress->quiet && i < t->train->n_draw; i++)
    if (!t->train->draw[i].every_epochs && !t->train->draw[i].every_steps)
      draw_now(t, i, t->has_data ? t->epoch : t->step);
}

// ---- Steps ------------------------------------------------------------------------------------

// A loss that is no number never becomes one again.
static bool check_loss(const Trainer *t, uint32_t step, Failure *failure) {
  uint32_t metric = t->train->step[step].loss;
  const float *loss = call_result(&t->step_call[step], NNRT_METRIC, metric);
  if (!loss || isfinite(*loss))
    return true;
  progress_clear_bar(t->progress);
  return failf(failure,
               "%s became %s in epoch %lld, step %lld; training ends here and no "
               "weights are written. A smaller learning rate, scaled inputs or checked "
               "data may help",
               *t->train->step[step].name ? t->train->metric[metric].name : "the loss",
               isnan(*loss) ? "nan" : "infinite", (long long)t->epoch, (long long)t->step);
}

// One step of the iteration, as often as it says; `step` of its formulas counts its updates.
static bool run_step(Trainer *t, uint32_t index, int64_t n, Failure *failure) {
  const NnrtStep *step = &t->train->step[index];
  Call *call = &t->step_call[index];
  for (uint32_t i = 0; i < step->repeat; i++) {
    call_set(call, (t->step - 1) * step->repeat + i + 1, t->epoch, t->seed);
    call_set_iteration(call, t->step);
    if (!call_run(call, n, failure) || !check_loss(t, index, failure))
      return false;
    Figures *figures[] = {&t->epoch_figures, t->log_every > 0 ? &t->log_figures : NULL};
    for (int k = 0; k < 2 && figures[k]; k++)
      if (i == 0)
        figures_add(figures[k], call, n);
      else
        figures_add_step(figures[k], call, n, step);
  }
  return true;
}

static bool run_iteration(Trainer *t, int64_t n, Failure *failure) {
  t->step++;
  for (uint32_t i = 0; i < t->train->n_step; i++)
    if (!run_step(t, i, n, failure))
      return false;
  if (t->log_every > 0 && t->step % t->log_every == 0) {
    progress_log(t->progress, t->step, &t->log_figures);
    figures_clear(&t->log_figures);
  }
  draw_every(t, false);
  return true;
}

// A batch whose gradients wait for those of the next ones (rule 28): no update, the same step.
static bool run_part(Trainer *t, int64_t first, int64_t n, const Shuffle *shuffle,
                     Failure *failure) {
  for (uint32_t i = 0; i < t->train->n_step; i++) {
    Call *call = &t->part_call[i];
    int64_t rows = call_gather(call, &t->rows, shuffle, first, n, failure);
    if (rows < 0)
      return false;
    if (!rows)
      continue;
    call_set(call, t->step * t->train->step[i].repeat + 1, t->epoch, t->seed);
    call_set_iteration(call, t->step + 1);
    if (!call_run(call, rows, failure))
      return false;
    figures_add(&t->epoch_figures, call, rows);
    if (t->log_every > 0)
      figures_add(&t->log_figures, call, rows);
  }
  return true;
}

static bool enough_steps(const Trainer *t) {
  return interrupted || (t->steps && t->step >= t->steps);
}

// The rows that an epoch goes through.
static int64_t epoch_rows(const Trainer *t) {
  return t->by_rows ? t->rows.rows - t->rows.rows % t->batch : t->rows.rows;
}

static void set_fresh(Trainer *t, bool fresh) {
  for (uint32_t i = 0; i < t->train->n_step; i++) {
    call_set_fresh(&t->step_call[i], fresh);
    if (t->train->accumulate > 1)
      call_set_fresh(&t->part_call[i], fresh);
  }
}

static void begin_epoch(Trainer *t) {
  figures_clear(&t->epoch_figures);
  t->epoch_figures.epoch = -1;
}

static bool run_epoch(Trainer *t, Failure *failure) {
  Shuffle all = shuffle_make(t->rows.rows, t->seed, t->epoch), *shuffle = t->by_rows ? NULL : &all;
  int64_t rows = epoch_rows(t);
  begin_epoch(t);
  pictures_waited(&t->rows);
  for (int64_t first = 0; first < rows && !enough_steps(t); first += t->batch) {
    int64_t n = rows - first < t->batch ? rows - first : t->batch;
    set_fresh(t, first == 0);
    bool waits = t->train->accumulate > 1 && first + n < rows &&
                 (first / t->batch + 1) % t->train->accumulate;
    if (waits && !run_part(t, first, n, shuffle, failure))
      return false;
    if (waits)
      continue;
    int64_t got = n;
    for (uint32_t i = 0; got > 0 && i < t->train->n_step; i++)
      got = call_gather(&t->step_call[i], &t->rows, shuffle, first, n, failure);
    if (got >= 0 && got < n && t->by_rows)
      return failf(failure, "state per row needs whole batches, but pictures can't be read");
    if (got < 0 || (got && !run_iteration(t, got, failure)))
      return false;
    progress_step(t->progress, t->epoch, first / t->batch + 1, t->step, &t->epoch_figures);
  }
  t->progress->waited = pictures_waited(&t->rows);
  return true;
}

// Without data an epoch is the stretch between two reports: a tenth of the steps, or log_every.
static bool run_steps_without_data(Trainer *t, Failure *failure) {
  int64_t stretch = t->log_every > 0 ? t->steps : (t->steps + 9) / 10;
  begin_epoch(t);
  t->progress->waited = -1;
  for (int64_t i = 0; i < stretch && !enough_steps(t); i++) {
    for (uint32_t k = 0; k < t->train->n_step; k++)
      call_number_rows(&t->step_call[k], t->step * t->batch, t->batch);
    set_fresh(t, t->step == 0);
    if (!run_iteration(t, t->batch, failure))
      return false;
    progress_step(t->progress, t->epoch, i + 1, t->step, &t->epoch_figures);
  }
  return true;
}

// ---- Stop -------------------------------------------------------------------------------------

static double stop_input(Trainer *t, uint32_t index) {
  const NnrtStopInput *input = &t->train->stop_input[index];
  bool of_val = input->kind == NNRT_STOP_VAL || (input->kind == NNRT_STOP_STALLED && input->of_val);
  double figure = NAN;
  if (input->kind == NNRT_STOP_EPOCH)
    return (double)t->epoch;
  if (input->kind == NNRT_STOP_STEP)
    return (double)t->step;
  if (!of_val || t->has_validation)
    figure = figures_value(of_val ? &t->validation_figures : &t->epoch_figures, input->metric);
  if (input->kind != NNRT_STOP_STALLED)
    return figure;
  if (of_val && !t->has_validation) // the run on all rows after cross-validation
    return 0;
  if (isnan(figure)) // not of this epoch
    return (double)(t->epoch - t->best_epoch[index]) >= input->patience && t->best_epoch[index];
  double gain = input->rising ? figure - t->best[index] : t->best[index] - figure;
  if (!t->best_epoch[index] || gain > input->by) {
    t->best[index] = figure;
    t->best_epoch[index] = t->epoch;
  }
  return (double)(t->epoch - t->best_epoch[index]) >= input->patience;
}

static bool check_stop(Trainer *t, bool *stop, Failure *failure) {
  *stop = false;
  if (t->train->stop == NNRT_NONE)
    return true;
  const NnrtFunction *f = t->stop_call.function;
  call_set(&t->stop_call, t->step, t->epoch, t->seed);
  for (uint32_t i = 0; i < f->n_arg; i++)
    if (f->arg[i].role == NNRT_SCALAR)
      *(float *)t->stop_call.arg[i] = (float)stop_input(t, f->arg[i].index);
  if (!call_run(&t->stop_call, 1, failure))
    return false;
  *stop = f->n_result && *(const uint8_t *)t->stop_call.result[0];
  if (*stop)
    printf(t->progress->log == LOG_JSON
               ? "{\"stopped_after_epoch\":%lld}\n"
               : "stopped: the condition of `stop when` holds after epoch %lld\n",
           (long long)t->epoch);
  return true;
}

// ---- Keep -------------------------------------------------------------------------------------

// The weights of the epoch with the best figure are put aside.
static bool keep_best(Trainer *t, const Figures *validation, Failure *failure) {
  const NnrtKeep *keep = &t->train->keep;
  const Figures *from = keep->of_val ? validation : &t->epoch_figures;
  if (!keep->best || !from)
    return true;
  double figure = figures_value(from, keep->metric);
  if (isnan(figure))
    return true;
  bool better = keep->rising ? figure > t->kept_figure : figure < t->kept_figure;
  if (t->kept_epoch && !better)
    return true;
  t->kept_figure = figure;
  t->kept_epoch = t->epoch;
  return values_keep(t->values, &t->kept, failure);
}

static void take_back_best(Trainer *t) {
  if (!t->kept_epoch)
    return;
  values_take_back(t->values, t->kept);
  if (t->kept_epoch == t->epoch || t->progress->quiet)
    return;
  progress_clear_bar(t->progress);
  printf(t->progress->log == LOG_JSON ? "{\"kept_epoch\":%lld}\n"
                                      : "kept: the weights after epoch %lld\n",
         (long long)t->kept_epoch);
}

// ---- A block ----------------------------------------------------------------------------------

// Reports of every few epochs are of the training rows after the epoch, in evaluation mode.
static bool add_rare_figures(Trainer *t, Failure *failure) {
  if (!t->has_data || interrupted || !figures_rare(t->train, t->epoch))
    return true;
  call_set(&t->eval_call, t->step, t->epoch, t->seed);
  if (!evaluate_split(&t->eval_call, &t->rows, t->batch, &t->validation_figures, failure))
    return false;
  if (!interrupted)
    figures_take_rare(&t->epoch_figures, &t->validation_figures, t->epoch);
  return true;
}

static bool finish_epoch(Trainer *t, bool *stop, Failure *failure) {
  Figures *validation = NULL;
  if (!add_rare_figures(t, failure))
    return false;
  if (t->has_validation && !interrupted) {
    call_set(&t->eval_call, t->step, t->epoch, t->seed);
    validation = &t->validation_figures;
    validation->epoch = t->epoch;
    if (!evaluate_split(&t->eval_call, &t->validation, t->batch, validation, failure))
      return false;
    if (interrupted)
      validation = NULL; // of a part of the rows: no figure
  }
  *stop = false;
  if (!t->epoch_figures.rows)
    return true;
  if (!keep_best(t, validation, failure) ||
      !progress_epoch(t->progress, t->epoch, t->step, &t->epoch_figures, validation, failure))
    return false;
  if (t->has_data && !interrupted)
    draw_every(t, true);
  return interrupted || check_stop(t, stop, failure);
}

// What states of rows mean for the data (rule 25).
static void say_order(const Trainer *t) {
  if (!t->by_rows || t->progress->quiet || t->progress->log == LOG_JSON)
    return;
  printf("note: %s keeps state for each of the %lld rows of a batch (%s)", t->train->name,
         (long long)t->batch, t->program->row_state[0].name);
  int64_t left = t->has_data ? t->rows.rows - epoch_rows(t) : 0;
  if (t->has_data)
    printf(": every batch has so many, in the order of the data, not shuffled; row i goes on where "
           "row i of the batch before ended; each epoch begins anew");
  if (left)
    printf("; the last %lld of %lld rows, less than a batch, are left out", (long long)left,
           (long long)t->rows.rows);
  puts("");
}

static bool run_block(Trainer *t, Failure *failure) {
  int64_t per_epoch = t->has_data ? (epoch_rows(t) + t->batch - 1) / t->batch : t->steps;
  values_clear_slots(t->values, t->train);
  progress_start(t->progress, t->train, t->epochs, t->steps, per_epoch);
  progress_memory(t->progress, t->batch, nnrt_arena_bytes(t->model));
  say_order(t);
  figures_clear(&t->log_figures);
  for (bool stop = false; !stop && !enough_steps(t);) {
    if (!t->steps && t->epoch >= t->epochs)
      break;
    t->epoch++;
    if (!(t->has_data ? run_epoch(t, failure) : run_steps_without_data(t, failure)) ||
        !finish_epoch(t, &stop, failure))
      return false;
  }
  take_back_best(t);
  draw_last(t);
  return true;
}

// What the fold's rows say about the weights that its training ends with.
static bool fold_figures(Trainer *t, Folds *folds, Failure *failure) {
  call_set(&t->eval_call, t->step, t->epoch, t->seed);
  t->validation_figures.epoch = 0;
  if (!evaluate_split(&t->eval_call, &t->validation, t->batch, &t->validation_figures, failure))
    return false;
  if (!interrupted)
    folds_add(folds, &t->validation_figures, t->fold, t->progress->log);
  return true;
}

static bool print_test(Trainer *t, Failure *failure) {
  Split split;
  if (interrupted || !t->has_data || t->train->eval == NNRT_NONE ||
      !dataset_has(&t->dataset, SPLIT_TEST))
    return true;
  t->validation_figures.epoch = 0;
  if (!dataset_split(&t->dataset, SPLIT_TEST, &split, failure) ||
      !evaluate_split(&t->eval_call, &split, t->batch, &t->validation_figures, failure))
    return false;
  if (!interrupted)
    figures_print(&t->validation_figures, SPLIT_TEST,
                  t->program->n_train > 1 ? t->train->name : NULL, t->progress->log);
  return true;
}

static void say_saved(const Run *run, const Progress *progress, const char *path) {
  if (progress->log == LOG_JSON) {
    String line = {0};
    string_put(&line, "{\"saved\":");
    string_put_json(&line, path);
    printf("%s,\"interrupted\":%s}\n", line.at ? line.at : "\"\"", interrupted ? "true" : "false");
    string_free(&line);
  } else if (interrupted) {
    printf("interrupted; weights saved to %s. Go on from there with:\n  %s --load %s\n", path,
           run->self, path);
  } else {
    printf("weights saved to %s\n", path);
  }
  fflush(stdout);
}

// The weights are written before the test rows are read: nothing may cost the training its result.
static bool train_blocks(const Run *run, Values *values, Progress *progress, const char *path,
                         uint32_t first, uint32_t end, Failure *failure) {
  const NnrtProgram *program = run->program;
  bool good = true;
  for (uint32_t i = first; good && i < end && !interrupted; i++) {
    Trainer trainer = {.run = run,
                       .program = program,
                       .train = &program->train[i],
                       .values = values,
                       .progress = progress};
    good = trainer_open(&trainer, failure) && run_block(&trainer, failure);
    progress_clear_bar(progress);
    if (good && (interrupted || i + 1 == end)) {
      good = weights_save(values, path, failure);
      if (good)
        say_saved(run, progress, path);
    }
    good = good && print_test(&trainer, failure);
    trainer_close(&trainer);
  }
  return good;
}

// Every fold begins anew, with the seed and its number (rule 20).
static bool train_fold(const Run *run, Values *values, Progress *progress, Folds *folds,
                       int64_t fold, uint32_t first, uint32_t end, Failure *failure) {
  const NnrtProgram *program = run->program;
  int64_t seed = run->options->seed != INT64_MIN ? run->options->seed : program->train[first].seed;
  Options fresh = *run->options;
  fresh.load = NULL;
  bool good = weights_begin(values, run->pool, seed + fold, &fresh, NULL, failure);
  for (uint32_t i = first; good && i < end && !interrupted; i++) {
    Trainer trainer = {.run = run,
                       .program = program,
                       .train = &program->train[i],
                       .values = values,
                       .progress = progress,
                       .fold = fold};
    good = trainer_open(&trainer, failure) && run_block(&trainer, failure);
    progress_clear_bar(progress);
    if (good && trainer.has_validation && !interrupted)
      good = fold_figures(&trainer, folds, failure);
    trainer_close(&trainer);
  }
  return good;
}

static bool train_folds(const Run *run, Values *values, Progress *progress, int64_t count,
                        uint32_t first, uint32_t end, Failure *failure) {
  Folds folds;
  bool good = folds_open(&folds, run->program, count, failure);
  progress->quiet = true;
  for (int64_t fold = 1; good && fold <= count && !interrupted; fold++)
    good = train_fold(run, values, progress, &folds, fold, first, end, failure);
  progress->quiet = false;
  if (good && !interrupted)
    folds_print(&folds, first, end, progress->log);
  folds_close(&folds);
  return good;
}

static bool train_all(const Run *run, Values *values, Progress *progress, const char *path,
                      Failure *failure) {
  uint32_t first = train_block(run, failure);
  if (first == NNRT_NONE)
    return false;
  uint32_t end = run->options->block ? first + 1 : run->program->n_train;
  int64_t count = folds_wanted(run->program, first, end);
  char *start = NULL;
  bool good = true;
  if (count) { // the last run begins as if there had been none
    good = values_keep(values, &start, failure) &&
           train_folds(run, values, progress, count, first, end, failure);
    values_take_back(values, start);
    free(start);
  }
  return good && train_blocks(run, values, progress, path, first, end, failure);
}

bool command_train(const Run *run, int *status, Failure *failure) {
  const Options *options = run->options;
  const NnrtProgram *program = run->program;
  Values values = {0};
  Progress progress = {.program = program,
                       .log = log_form(options),
                       .history_path = options->history,
                       .curves = {.path = options->curves}};
  char *path = weights_path(program, options);
  int64_t seed = options->seed != INT64_MIN ? options->seed : program->train[0].seed;
  bool good = path ? file_check_writable(path, failure) : failf(failure, "not enough memory");
  good = good && (!options->history || file_check_writable(options->history, failure)) &&
         (!options->curves || file_check_writable(options->curves, failure)) &&
         values_open(&values, program, options, failure) &&
         weights_begin(&values, run->pool, seed, options, stdout, failure);
  if (good) {
    catch_interrupts();
    good = train_all(run, &values, &progress, path, failure);
    Failure second;
    bool written = progress_finish(&progress, good ? failure : &second);
    good = good && written;
  }
  if (good && interrupted)
    *status = 128 + (int)interrupted;
  progress_close(&progress);
  values_close(&values);
  free(path);
  return good;
}
