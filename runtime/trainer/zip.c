// Rows put together of several sources (rule 33): row i of each, or those that have the same key: a
// column of csv, the name of a file without its end. Sources that no needed column is in aren't
// read.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

bool keys_add(Keys *keys, const char *text, size_t length, Failure *failure) {
  if (keys->n == keys->room) {
    int64_t room = 2 * keys->room + 64;
    char **more = realloc(keys->at, (size_t)room * sizeof *more);
    if (!more)
      return failf(failure, "not enough memory for the keys of rows");
    keys->at = more;
    keys->room = room;
  }
  char *copy = strndup(text, length);
  if (!copy)
    return failf(failure, "not enough memory for the keys of rows");
  keys->at[keys->n++] = copy;
  return true;
}

static void keys_free(Keys *keys) {
  for (int64_t i = 0; i < keys->n; i++)
    free(keys->at[i]);
  free(keys->at);
}

static const char *side_name(const NnrtSource *side) {
  return side->n_file ? side->file[0] : side->kind == NNRT_GENERATED ? "generated(...)" : "rows";
}

// ---- Keys --------------------------------------------------------------------------------------

static bool file_keys(const NnrtSource *side, const TableRequest *request, Keys *keys,
                      Failure *failure) {
  ClassFiles *files = calloc(1, sizeof *files);
  TableRequest none = *request;
  char *root = NULL;
  none.n_column = 0;
  bool good = (files || failf(failure, "not enough memory for %s", request->data_name)) &&
              request_path(request, side->file[0], &root, failure) &&
              class_files(files, side, root, &none, failure);
  for (int64_t i = 0; good && i < files->rows; i++) {
    const char *slash = strrchr(files->path[i], '/'), *name = slash ? slash + 1 : files->path[i];
    const char *dot = strrchr(name, '.');
    good = keys_add(keys, name, dot ? (size_t)(dot - name) : strlen(name), failure);
  }
  class_files_free(files);
  free(root);
  return good;
}

typedef struct {
  const char *key;
  int64_t row;
} KeyRow;

static int by_key(const void *x, const void *y) {
  return strcmp(((const KeyRow *)x)->key, ((const KeyRow *)y)->key);
}

static KeyRow *sorted_keys(const Keys *keys, const char *name, const char *key, Failure *failure) {
  KeyRow *row = malloc((size_t)(keys->n + 1) * sizeof *row);
  if (!row) {
    failf(failure, "not enough memory for the keys of rows");
    return NULL;
  }
  for (int64_t i = 0; i < keys->n; i++)
    row[i] = (KeyRow){keys->at[i], i};
  qsort(row, (size_t)keys->n, sizeof *row, by_key);
  for (int64_t i = 1; i < keys->n; i++)
    if (!strcmp(row[i - 1].key, row[i].key)) {
      failf(failure, "%s: two rows have the %s \"%s\"", name, key, row[i].key);
      free(row);
      return NULL;
    }
  return row;
}

// order[i]: the row of the second source that belongs to row i of the first.
static bool match(const Keys *first, const Keys *second, const NnrtSource *source, uint32_t k,
                  int64_t *order, Failure *failure) {
  const char *name = side_name(&source->side[k]), *other = side_name(&source->side[0]);
  KeyRow *row = sorted_keys(second, name, source->key, failure);
  bool good = row != NULL;
  for (int64_t i = 0; good && i < first->n; i++) {
    KeyRow wanted = {first->at[i], 0};
    const KeyRow *found = bsearch(&wanted, row, (size_t)second->n, sizeof *row, by_key);
    good = found || failf(failure, "%s: has no row with the %s \"%s\", which %s has", name,
                          source->key, first->at[i], other);
    order[i] = found ? found->row : 0;
  }
  free(row);
  return good;
}

static bool reorder_column(TableColumn *column, const int64_t *order, int64_t rows,
                           Failure *failure) {
  size_t row = elem_bytes(column->elem) * (size_t)column->count;
  char *values = allocate(rows * column->count, elem_bytes(column->elem), "data", failure);
  for (int64_t i = 0; values && i < rows; i++)
    memcpy(values + row * (size_t)i, (char *)column->values + row * (size_t)order[i], row);
  if (!values)
    return false;
  free(column->owner);
  column->owner = column->values = values;
  return true;
}

static bool reorder(Table *side, const int64_t *order, Failure *failure) {
  bool good = true;
  for (uint32_t i = 0; i < side->n_column && good; i++)
    good = !side->column[i].values || reorder_column(&side->column[i], order, side->rows, failure);
  if (!good || !side->files)
    return good;
  char **path = malloc((size_t)side->rows * sizeof *path + 1); // pictures aren't read yet
  for (int64_t i = 0; path && i < side->rows; i++)
    path[i] = side->files->path[order[i]];
  if (path)
    memcpy(side->files->path, path, (size_t)side->rows * sizeof *path);
  free(path);
  return path || failf(failure, "not enough memory for the names of files");
}

static bool read_keys(const NnrtSource *source, const TableRequest *request, Keys *keys,
                      Failure *failure) {
  for (uint32_t k = 0; k < source->n_side; k++) {
    const NnrtSource *side = &source->side[k];
    if (!(side->kind == NNRT_CSV ? csv_keys(side, request, source->key, &keys[k], failure)
                                 : file_keys(side, request, &keys[k], failure)))
      return false;
    if (keys[k].n != keys[0].n)
      return failf(failure, "%s: %lld rows of %s, but %lld of %s", request->data_name,
                   (long long)keys[0].n, side_name(source->side), (long long)keys[k].n,
                   side_name(side));
  }
  KeyRow *first = sorted_keys(&keys[0], side_name(source->side), source->key, failure);
  free(first);
  return first != NULL;
}

static bool by_keys(Table *table, const NnrtSource *source, const TableRequest *request,
                    Failure *failure) {
  Keys *keys = calloc(source->n_side, sizeof *keys);
  bool good = (keys || failf(failure, "not enough memory for the keys of rows")) &&
              read_keys(source, request, keys, failure);
  int64_t *order = good ? malloc((size_t)(keys[0].n + 1) * sizeof *order) : NULL;
  good = good && (order || failf(failure, "not enough memory for the order of the rows"));
  for (uint32_t k = 1; good && k < source->n_side; k++)
    good = match(&keys[0], &keys[k], source, k, order, failure) &&
           (!table->side[k].rows || reorder(&table->side[k], order, failure));
  for (uint32_t k = 0; keys && k < source->n_side; k++)
    keys_free(&keys[k]);
  free(keys);
  free(order);
  return good;
}

// ---- Rows --------------------------------------------------------------------------------------

// The source's own columns, as if there were no others.
static bool load_side(Table *table, const NnrtSource *source, uint32_t k,
                      const TableRequest *request, NnrtColumn *column, bool *needed,
                      Failure *failure) {
  TableRequest own = *request;
  bool any = false, none = true;
  own.column = column;
  own.needed = needed;
  for (uint32_t i = 0; i < request->n_column; i++) {
    bool wanted = !request->needed || request->needed[i];
    column[i] = request->column[i];
    needed[i] = wanted && column[i].side == k;
    if (column[i].side != k)
      column[i].header = NULL;
    any |= needed[i];
    none &= !wanted;
  }
  if (!any && !(none && k == 0)) // someone must know the number of rows
    return true;
  Table *side = &table->side[k];
  side->first_example = table->first_example;
  return table_load(side, &source->side[k], &own, failure);
}

static bool same_rows(Table *table, const NnrtSource *source, const TableRequest *request,
                      Failure *failure) {
  uint32_t first = NNRT_NONE;
  for (uint32_t k = 0; k < source->n_side; k++) {
    const Table *side = &table->side[k];
    if (!side->rows)
      continue;
    if (first != NNRT_NONE && side->rows != table->rows)
      return failf(failure, "%s: %lld rows of %s, but %lld of %s", request->data_name,
                   (long long)table->rows, side_name(&source->side[first]), (long long)side->rows,
                   side_name(&source->side[k]));
    first = first == NNRT_NONE ? k : first;
    table->rows = side->rows;
    table->strict |= side->strict;
  }
  return true;
}

static void take_columns(Table *table, const TableRequest *request) {
  for (uint32_t i = 0; i < request->n_column; i++) {
    Table *side = &table->side[request->column[i].side];
    if (!side->column)
      continue;
    table->column[i] = side->column[i];
    side->column[i] = (TableColumn){0};
  }
}

bool zip_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure) {
  NnrtColumn *column = calloc(request->n_column + 1, sizeof *column);
  bool *needed = calloc(request->n_column + 1, sizeof *needed);
  table->side = calloc(source->n_side, sizeof *table->side);
  table->n_side = table->side ? source->n_side : 0;
  table->column = calloc(request->n_column + 1, sizeof *table->column);
  table->n_column = request->n_column;
  bool good = (column && needed && table->side && table->column) ||
              failf(failure, "not enough memory for the columns of %s", request->data_name);
  for (uint32_t k = 0; good && k < source->n_side; k++)
    good = load_side(table, source, k, request, column, needed, failure);
  good = good && same_rows(table, source, request, failure) &&
         (!source->key || by_keys(table, source, request, failure));
  if (good)
    take_columns(table, request);
  free(column);
  free(needed);
  return good;
}
