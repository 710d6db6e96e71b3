// The rows of one source: inline and generated ones here, files through idx.c and csv.c.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

static bool wanted(const TableRequest *request, uint32_t column) {
  return !request->needed || request->needed[column];
}

bool table_allocate(Table *table, const TableRequest *request, int64_t rows, Failure *failure) {
  table->rows = rows;
  table->n_column = request->n_column;
  table->column = calloc(request->n_column + 1, sizeof *table->column);
  if (!table->column)
    return failf(failure, "not enough memory for the columns of %s", request->data_name);
  for (uint32_t i = 0; i < request->n_column; i++) {
    TableColumn *column = &table->column[i];
    column->elem = request->column[i].type.elem;
    column->count = column->step = type_elements(&request->column[i].type);
    int64_t values;
    if (!wanted(request, i))
      continue;
    if (__builtin_mul_overflow(rows, column->count, &values))
      values = INT64_MAX;
    column->owner = column->values =
        allocate(values, elem_bytes(column->elem), request->column[i].name, failure);
    if (!column->values)
      return false;
  }
  return true;
}

void table_free(Table *table) {
  for (uint32_t i = 0; table->column && i < table->n_column; i++) {
    pictures_close(table->column[i].pictures);
    free(table->column[i].owner);
  }
  class_files_free(table->files);
  for (uint32_t k = 0; k < table->n_side; k++)
    table_free(&table->side[k]);
  free(table->side);
  free(table->column);
  *table = (Table){0};
}

bool request_path(const TableRequest *request, const char *name, char **path, Failure *failure) {
  if (request->program_path)
    return file_search(name, request->data_folder, request->program_path, path, failure);
  *path = strdup(name);
  return *path || failf(failure, "not enough memory for a file name");
}

// Whole numbers: indices within their range, integers within their type.
static const char *integer_limits(const NnrtType *type, double value, char expected[64]) {
  double least = type->elem == NNRT_I32 && !type->range ? INT32_MIN : 0;
  double most = type->range              ? (double)type->range - 1
                : type->elem == NNRT_I32 ? INT32_MAX
                : type->elem == NNRT_U8  ? 255
                                         : 1;
  if (value >= least && value <= most && value == floor(value))
    return NULL;
  snprintf(expected, 64, "%s from %.0f to %.0f", type->range ? "an index" : "a whole number", least,
           most);
  return expected;
}

const char *table_store(TableColumn *column, const NnrtType *type, int64_t index, double value,
                        char expected[64]) {
  if (column->elem == NNRT_F32 || column->elem == NNRT_F64) {
    if (column->elem == NNRT_F64)
      ((double *)column->values)[index] = value;
    else if (isfinite(value) && fabs(value) > 3.4028235677973366e38) // rounds to infinity
      return "a number that fits f32";
    else
      ((float *)column->values)[index] = (float)value;
    return NULL;
  }
  if (column->elem == NNRT_BF16)
    return "f32 (bf16 data is not read yet)";
  const char *wrong = integer_limits(type, value, expected);
  if (wrong)
    return wrong;
  if (column->elem == NNRT_I32)
    ((int32_t *)column->values)[index] = (int32_t)value;
  else
    ((uint8_t *)column->values)[index] = (uint8_t)value;
  return NULL;
}

static bool load_inline(Table *table, const NnrtSource *source, const TableRequest *request,
                        Failure *failure) {
  if (!table_allocate(table, request, source->rows, failure))
    return false;
  char expected[64];
  for (uint32_t i = 0; i < request->n_column; i++) {
    TableColumn *column = &table->column[i];
    if (!column->values)
      continue;
    const NnrtColumn *as = &request->column[i];
    if (!as->place && as->first + column->count > source->width)
      return failf(failure, "%s: the rows have %lld values, \"%s\" needs values %u to %lld",
                   request->data_name, (long long)source->width, as->name, as->first,
                   (long long)(as->first + column->count - 1));
    for (int64_t row = 0; row < source->rows; row++) {
      for (int64_t k = 0; k < column->count; k++) {
        double value =
            source->value[row * source->width + (as->place ? as->place[k] : as->first + k)];
        const char *wrong =
            table_store(column, &as->type, row * column->count + k, value, expected);
        if (wrong)
          return failf(failure, "%s, row %lld: \"%s\" is %g, expected %s", request->data_name,
                       (long long)row, as->name, value, wrong);
      }
    }
  }
  return true;
}

static bool load_generated(Table *table, const NnrtSource *source, const TableRequest *request,
                           Failure *failure) {
  int64_t first = table->first_example;
  if (!table_allocate(table, request, source->rows, failure))
    return false;
  char expected[64];
  for (uint32_t i = 0; i < request->n_column; i++) {
    TableColumn *column = &table->column[i];
    for (int64_t row = 0; column->values && row < source->rows; row++) {
      const char *wrong = table_store(column, &request->column[i].type, row * column->count,
                                      (double)(first + row), expected);
      if (wrong)
        return failf(failure, "%s: row number %lld of \"%s\", expected %s", request->data_name,
                     (long long)(first + row), request->column[i].name, wrong);
    }
  }
  return true;
}

// Rows become windows of neighbouring rows: nothing is copied, each begins `stride` further on.
bool table_windows(Table *table, const NnrtSource *source, const TableRequest *request,
                   Failure *failure) {
  if (table->rows < source->window)
    return failf(failure, "%s: %lld values are less than a window of %lld", request->data_name,
                 (long long)table->rows, (long long)source->window);
  table->rows = (table->rows - source->window) / source->stride + 1;
  for (uint32_t i = 0; i < table->n_column; i++) {
    TableColumn *column = &table->column[i];
    if (!column->values)
      continue;
    column->values =
        (char *)column->values + elem_bytes(column->elem) * (size_t)request->column[i].first;
    column->count = type_elements(&request->column[i].type);
    column->step = source->stride;
  }
  return true;
}

// Windows of a column of csv: one number a row is read.
static bool series_load(Table *table, const NnrtSource *source, const TableRequest *request,
                        Failure *failure) {
  NnrtColumn *column = calloc(request->n_column + 1, sizeof *column);
  TableRequest single = *request;
  if (!column)
    return failf(failure, "not enough memory for the columns of %s", request->data_name);
  for (uint32_t i = 0; i < request->n_column; i++) {
    column[i] = request->column[i];
    column[i].type.rank = 0;
    column[i].first = 0;
  }
  single.column = column;
  bool good =
      csv_load(table, source, &single, failure) && table_windows(table, source, request, failure);
  free(column);
  return good;
}

bool table_load(Table *table, const NnrtSource *source, const TableRequest *request,
                Failure *failure) {
  bool good = false;
  switch ((NnrtSourceKind)source->kind) {
  case NNRT_IDX:
    good = idx_load(table, source, request, failure);
    break;
  case NNRT_CSV:
    good = source->window ? series_load(table, source, request, failure)
                          : csv_load(table, source, request, failure);
    break;
  case NNRT_TEXT:
    good = text_load(table, source, request, failure);
    break;
  case NNRT_INLINE:
    good = load_inline(table, source, request, failure);
    break;
  case NNRT_GENERATED:
    good = load_generated(table, source, request, failure);
    break;
  case NNRT_FOLDERS:
    good = folders_load(table, source, request, failure);
    break;
  case NNRT_ZIP:
    good = zip_load(table, source, request, failure);
    break;
  case NNRT_TEXT_FOLDERS:
    good = text_folders_load(table, source, request, failure);
    break;
  case NNRT_CIFAR:
    good = cifar_load(table, source, request, failure);
    break;
  case NNRT_COMPUTED: // computed_load
  case NNRT_NO_SOURCE:
    failf(failure, "%s: no source of rows is given", request->data_name);
  }
  if (good && table->rows == 0)
    good = failf(failure, "%s: there are no rows%s%s", request->data_name,
                 source->n_file ? " in " : "", source->n_file ? source->file[0] : "");
  if (!good)
    table_free(table);
  return good;
}
