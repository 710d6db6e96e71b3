// The splits of a data block. Sources are read when they are first asked for; the end of train's
// rows serves as validation where `validate = last(n)` says so.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

static const NnrtSource *source_of(const Dataset *dataset, SplitKind kind) {
  return kind == SPLIT_TRAIN      ? &dataset->data->train
         : kind == SPLIT_VALIDATE ? &dataset->data->validate
                                  : &dataset->data->test;
}

const char *split_name(SplitKind kind) {
  static const char *const name[] = {"train", "validate", "test", "none"};
  return name[kind];
}

bool dataset_open(Dataset *dataset, const NnrtProgram *program, uint32_t data,
                  const Options *options, Failure *failure) {
  *dataset =
      (Dataset){.program = program, .data = &program->data[data], .data_folder = options->data};
  dataset->column = dataset->data->column;
  dataset->n_column = dataset->data->n_column;
  dataset->needed = calloc(dataset->n_column + 1, sizeof *dataset->needed);
  return dataset->needed || failf(failure, "not enough memory for %s", dataset->data->name);
}

void dataset_need(Dataset *dataset, const NnrtFunction *function) {
  for (uint32_t i = 0; i < function->n_arg; i++)
    if (function->arg[i].role == NNRT_COLUMN && function->arg[i].index < dataset->n_column)
      dataset->needed[function->arg[i].index] = true;
}

bool dataset_has(const Dataset *dataset, SplitKind kind) {
  if (kind >= SPLIT_NONE)
    return false;
  const NnrtData *data = dataset->data;
  if (kind == SPLIT_VALIDATE && data->folds && data->validate.kind == NNRT_COMPUTED)
    return dataset->fold != 0; // in the last run all rows train
  return source_of(dataset, kind)->kind != NNRT_NO_SOURCE ||
         (kind == SPLIT_VALIDATE && (dataset->data->validate_last > 0 || dataset->fold));
}

static bool check_files(const Dataset *dataset, const NnrtSource *source, Failure *failure) {
  for (uint32_t i = 0; i < source->n_file; i++) {
    char *path = NULL;
    if (!file_search(source->file[i], dataset->data_folder, dataset->data->path, &path, failure))
      return false;
    free(path);
  }
  for (uint32_t k = 0; k < source->n_side; k++)
    if (!check_files(dataset, &source->side[k], failure))
      return false;
  return true;
}

bool dataset_check_files(const Dataset *dataset, Failure *failure) {
  for (int kind = SPLIT_TRAIN; kind < SPLIT_NONE; kind++)
    if (!check_files(dataset, source_of(dataset, (SplitKind)kind), failure))
      return false;
  return true;
}

// Examples are numbered through the sources whose rows are known when compiling.
static int64_t first_example(const Dataset *dataset, SplitKind kind) {
  int64_t first = 0;
  for (int before = SPLIT_TRAIN; before < (int)kind; before++)
    first += source_of(dataset, (SplitKind)before)->rows;
  return first;
}

static bool load(Dataset *dataset, SplitKind kind, Failure *failure) {
  TableRequest request = {.column = dataset->column,
                          .n_column = dataset->n_column,
                          .needed = dataset->needed,
                          .data_folder = dataset->data_folder,
                          .program_path = dataset->data->path ? dataset->data->path : "",
                          .data_name = dataset->data->name};
  if (dataset->loaded[kind])
    return true;
  dataset->table[kind].first_example = first_example(dataset, kind);
  dataset->loaded[kind] =
      source_of(dataset, kind)->kind == NNRT_COMPUTED
          ? computed_load(&dataset->table[kind], dataset, kind, failure)
          : table_load(&dataset->table[kind], source_of(dataset, kind), &request, failure);
  return dataset->loaded[kind];
}

// Rows of train that are kept for validation.
static bool validation_rows(const Dataset *dataset, int64_t rows, int64_t *kept, Failure *failure) {
  double last = dataset->data->validate_last;
  *kept = 0;
  if (last <= 0 || dataset->data->validate.kind != NNRT_NO_SOURCE)
    return true;
  *kept = last < 1 ? (int64_t)((double)rows * last + 0.5) : (int64_t)last;
  return (*kept > 0 && *kept < rows) ||
         failf(failure, "%s: validate = last(%g) of %lld rows leaves %s", dataset->data->name, last,
               (long long)rows, *kept > 0 ? "no rows to train with" : "no rows to validate with");
}

// ---- Order ------------------------------------------------------------------------------------

static bool put_order(Dataset *dataset, SplitKind kind, Failure *failure) {
  int64_t rows = dataset->table[kind].rows;
  if (dataset->order[kind])
    return true;
  dataset->order[kind] = allocate(rows, sizeof(int64_t), "the order of the rows", failure);
  for (int64_t i = 0; dataset->order[kind] && i < rows; i++)
    dataset->order[kind][i] = i;
  return dataset->order[kind] != NULL;
}

static bool shuffle_rows(Dataset *dataset, SplitKind kind, int64_t seed, Failure *failure) {
  if (!put_order(dataset, kind, failure))
    return false;
  Shuffle shuffle = shuffle_make(dataset->table[kind].rows, seed, 0);
  for (int64_t i = 0; i < dataset->table[kind].rows; i++)
    dataset->order[kind][i] = shuffle_at(&shuffle, i);
  return true;
}

// Rows are dealt to the folds in an order that is always the same; those of this fold come last.
static bool order_fold(Dataset *dataset, int64_t *kept, Failure *failure) {
  const Table *table = &dataset->table[SPLIT_TRAIN];
  int64_t folds = dataset->data->folds, at = 0;
  if (table->rows < folds)
    return failf(failure, "%s: %lld rows are too few for %lld folds", dataset->data->name,
                 (long long)table->rows, (long long)folds);
  if (!put_order(dataset, SPLIT_TRAIN, failure))
    return false;
  Shuffle shuffle = shuffle_make(table->rows, dataset->data->train.shuffle_seed, 0);
  for (int last = 0; last < 2; last++)
    for (int64_t i = 0; i < table->rows; i++)
      if ((i % folds == dataset->fold - 1) == last)
        dataset->order[SPLIT_TRAIN][at++] = shuffle_at(&shuffle, i);
  *kept = (table->rows - dataset->fold) / folds + 1;
  return true;
}

// `take = first(1000)`, `take = rest(1000)`: a part of the training rows.
static bool take_rows(const NnrtData *data, Split *split, Failure *failure) {
  if (data->skip && data->skip >= split->rows)
    return failf(failure, "%s: take leaves none of %lld training rows", data->name,
                 (long long)split->rows);
  split->first += data->skip;
  split->rows -= data->skip;
  if (data->take && data->take < split->rows)
    split->rows = data->take;
  return true;
}

bool dataset_split(Dataset *dataset, SplitKind kind, Split *split, Failure *failure) {
  if (!dataset_has(dataset, kind))
    return failf(failure, "%s: has no %s rows", dataset->data->name, split_name(kind));
  bool tail = kind == SPLIT_VALIDATE && dataset->data->validate.kind == NNRT_NO_SOURCE;
  SplitKind from = tail ? SPLIT_TRAIN : kind;
  if (!load(dataset, from, failure))
    return false;
  Table *table = &dataset->table[from];
  int64_t kept = 0;
  if (from == SPLIT_TRAIN && !validation_rows(dataset, table->rows, &kept, failure))
    return false;
  const NnrtSource *source = source_of(dataset, from);
  if (from == SPLIT_TRAIN && dataset->fold && source->kind != NNRT_COMPUTED) {
    if (!order_fold(dataset, &kept, failure))
      return false;
  } else if (source->shuffled && !dataset->order[from] &&
             !shuffle_rows(dataset, from, source->shuffle_seed, failure))
    return false;
  *split = (Split){table, tail ? table->rows - kept : 0, tail ? kept : table->rows - kept, kind,
                   dataset->order[from]};
  if (kind == SPLIT_TRAIN && !take_rows(dataset->data, split, failure))
    return false;
  return true;
}

SplitKind dataset_default_split(const Dataset *dataset, const Options *options) {
  if (options->split != SPLIT_NONE)
    return options->split;
  return dataset_has(dataset, SPLIT_TEST)       ? SPLIT_TEST
         : dataset_has(dataset, SPLIT_VALIDATE) ? SPLIT_VALIDATE
                                                : SPLIT_TRAIN;
}

void dataset_close(Dataset *dataset) {
  for (int kind = 0; kind < 3; kind++)
    table_free(&dataset->table[kind]);
  for (int kind = 0; kind < 3; kind++)
    free(dataset->order[kind]);
  free(dataset->needed);
  *dataset = (Dataset){0};
}
