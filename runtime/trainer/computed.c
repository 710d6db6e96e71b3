// Data made of data: the rows of its parts, computed with the weights of this moment (rule 18) and
// kept as a table of their fields; `where` leaves out rows.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { BATCH = 256 };

// Room for so many rows more.
static bool grow(Table *table, int64_t rows, Failure *failure) {
  for (uint32_t i = 0; i < table->n_column; i++) {
    TableColumn *column = &table->column[i];
    size_t row = elem_bytes(column->elem) * (size_t)column->count;
    void *values =
        allocate((table->rows + rows) * column->count, elem_bytes(column->elem), "data", failure);
    if (!values)
      return false;
    if (column->values)
      memcpy(values, column->values, row * (size_t)table->rows);
    free(column->owner);
    column->owner = column->values = values;
  }
  return true;
}

static void append(Table *table, const Call *call, int64_t n) {
  const uint8_t *chosen = call_result(call, NNRT_OUTPUT, table->n_column);
  for (int64_t i = 0; i < n; i++) {
    if (chosen && !chosen[i])
      continue;
    for (uint32_t k = 0; k < table->n_column; k++) {
      const TableColumn *column = &table->column[k];
      size_t row = elem_bytes(column->elem) * (size_t)column->count;
      memcpy((char *)column->values + row * (size_t)table->rows,
             (const char *)call_result(call, NNRT_OUTPUT, k) + row * (size_t)i, row);
    }
    table->rows++;
  }
}

static bool run_part(Table *table, Dataset *of, const NnrtPart *part, SplitKind kind,
                     Failure *failure) {
  Split split;
  NnrtModel *model = NULL;
  Call call = {0};
  bool fits = of->estimates && kind == SPLIT_TRAIN;
  bool good = dataset_split(of, kind, &split, failure) &&
              (!fits || fits_estimate(of->values, of, of->pool, failure)) &&
              grow(table, split.rows, failure) &&
              model_open(&model, of->program, of->pool, BATCH, &part->function, 1, failure) &&
              call_open(&call, model, of->values, part->function, BATCH, failure);
  if (good)
    call_set(&call, 1, 1, 0);
  for (int64_t first = 0; good && first < split.rows; first += BATCH) {
    int64_t n = split.rows - first < BATCH ? split.rows - first : BATCH;
    n = call_gather(&call, &split, NULL, first, n, failure);
    good = n >= 0 && (n == 0 || call_run(&call, n, failure));
    if (good)
      append(table, &call, n);
  }
  call_close(&call);
  nnrt_close(model);
  return good;
}

bool computed_load(Table *table, const Dataset *dataset, SplitKind kind, Failure *failure) {
  const NnrtData *data = dataset->data;
  Options options = {.data = dataset->data_folder};
  bool good = true;
  if (!dataset->values)
    return failf(failure, "%s: this command can't compute its rows", data->name);
  table->n_column = data->n_column;
  table->column = calloc(data->n_column + 1, sizeof *table->column);
  if (!table->column)
    return failf(failure, "not enough memory for the columns of %s", data->name);
  for (uint32_t i = 0; i < data->n_column; i++) {
    TableColumn *column = &table->column[i];
    column->elem = data->column[i].type.elem;
    column->count = column->step = type_elements(&data->column[i].type);
  }
  for (uint32_t k = 0; good && k < (kind == SPLIT_TRAIN ? data->n_part : 1); k++) {
    Dataset of = {0};
    good = dataset_open(&of, dataset->program, data->part[k].data, &options, failure);
    of.values = dataset->values;
    of.pool = dataset->pool;
    of.is_part = true;
    of.estimates = dataset->estimates;
    of.fold = good && of.data->folds ? dataset->fold : 0;
    if (good)
      dataset_need(&of, &dataset->program->function[data->part[k].function]);
    if (good)
      fits_need(&of);
    good = good && run_part(table, &of, &data->part[k], kind, failure);
    dataset_close(&of);
  }
  if (good && !table->rows && !dataset->is_part)
    good = failf(failure, "%s: `where` leaves no rows", data->name);
  if (!good)
    table_free(table);
  return good;
}
