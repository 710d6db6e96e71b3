// csv files, plain or gzipped, the rows of several one after the other: one row per line, fields
// between separators, "quoted" where needed. Only the fields that a column uses are read as
// numbers; text elsewhere in the line doesn't matter.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "nnrt_text.h"
#include "trainer.h"

typedef struct {
  char *path;
  Bytes file;
  const NnrtSource *source;
  const char *at, *end; // what is left of the text
  int64_t line;         // of the row that was read last, from 1
  NnrtCell *field;      // of that row
  int64_t n_field, capacity;
  char *header;      // copies of the header's names, one after the other, or NULL
  const char **name; // n_name of them
  int64_t n_name;
  uint32_t *whole; // n_whole fields in which no value may be missing
  uint32_t n_whole;
  int64_t width;   // fields that the columns take
  int64_t **place; // per column: the field of each of its values; NULL: not needed
  uint32_t n_place;
  WordIndex *words; // per column
} Csv;

static bool add_field(Csv *csv, NnrtCell field, Failure *failure) {
  if (csv->n_field == csv->capacity) {
    int64_t capacity = csv->capacity ? csv->capacity * 2 : 64;
    NnrtCell *grown = realloc(csv->field, (size_t)capacity * sizeof *grown);
    if (!grown)
      return failf(failure, "%s: not enough memory for the fields of line %lld", csv->path,
                   (long long)csv->line);
    csv->field = grown;
    csv->capacity = capacity;
  }
  csv->field[csv->n_field++] = field;
  return true;
}

static bool split_line(Csv *csv, NnrtCell line, Failure *failure) {
  const char *at = line.at, *end = at + line.length;
  NnrtCell cell;
  csv->n_field = 0;
  for (;;) {
    NnrtCellStatus status = nnrt_next_cell(csv->source, &at, end, &cell);
    if (status == NNRT_NO_CELL)
      return true;
    if (status != NNRT_ONE_CELL)
      return failf(failure, "%s: line %lld, column %lld: %s", csv->path, (long long)csv->line,
                   (long long)csv->n_field + 1,
                   status == NNRT_OPEN_QUOTE ? "a quote (\") is opened but not closed in this line"
                                             : "text after the closing quote");
    if (!add_field(csv, cell, failure))
      return false;
  }
}

// The next line that isn't empty. false with a message.
static bool next_row(Csv *csv, bool *end, Failure *failure) {
  NnrtCell line;
  if (nnrt_next_line(&csv->at, csv->end, &line, &csv->line))
    return split_line(csv, line, failure);
  *end = true;
  return true;
}

// What was found, short enough and clean enough for a message.
static const char *field_text(NnrtCell field, char text[48]) {
  size_t length = field.length < 32 ? field.length : 32;
  if (!length)
    return "nothing";
  size_t to = 0;
  text[to++] = '"';
  for (size_t i = 0; i < length; i++)
    text[to++] = (unsigned char)field.at[i] < 0x20 ? '?' : field.at[i];
  if (length < field.length) {
    memcpy(text + to, "...", 3);
    to += 3;
  }
  text[to++] = '"';
  text[to] = 0;
  return text;
}

// ---- Which field goes where -------------------------------------------------------------------

// A first line of numbers is a row whose file has no header: taking it for names would lose it.
// 0,1,2,... are names that some programs write.
static bool names_are_numbers(const Csv *csv) {
  double value;
  bool counting = true;
  for (int64_t i = 0; i < csv->n_field; i++) {
    if (!parse_number(csv->field[i].at, csv->field[i].length, &value))
      return false;
    counting = counting && value == (double)i;
  }
  return !counting;
}

static bool read_header(Csv *csv, Failure *failure) {
  bool end = false;
  if (!next_row(csv, &end, failure))
    return false;
  if (end)
    return failf(failure, "%s: is empty, expected a line with the names of the columns", csv->path);
  if (names_are_numbers(csv))
    return failf(failure,
                 "%s: line %lld is all numbers, expected the names of the columns; if the file has "
                 "no such line, say header = false",
                 csv->path, (long long)csv->line);
  size_t length = 0;
  for (int64_t i = 0; i < csv->n_field; i++)
    length += csv->field[i].length + 1;
  csv->header = malloc(length + 1);
  csv->name = malloc((size_t)csv->n_field * sizeof *csv->name);
  if (!csv->header || !csv->name)
    return failf(failure, "%s: not enough memory for its header", csv->path);
  char *to = csv->header;
  for (int64_t i = 0; i < csv->n_field; i++) {
    csv->name[i] = to;
    memcpy(to, csv->field[i].at, csv->field[i].length);
    to += csv->field[i].length;
    *to++ = 0;
  }
  csv->n_name = csv->n_field;
  return true;
}

static bool find_by_name(const Csv *csv, const char *name, uint32_t *position, Failure *failure) {
  int64_t found = -1;
  for (int64_t i = 0; i < csv->n_name; i++) {
    if (strcmp(csv->name[i], name))
      continue;
    if (found >= 0)
      return failf(failure, "%s: columns %lld and %lld are both called \"%s\"", csv->path,
                   (long long)found + 1, (long long)i + 1, name);
    found = i;
  }
  *position = (uint32_t)found;
  if (found >= 0)
    return true;
  const char *near = closest_name(name, csv->name, (size_t)csv->n_name);
  return near ? failf(failure, "%s: has no column \"%s\"; did you mean \"%s\"?", csv->path, name,
                      near)
              : failf(failure, "%s: has no column \"%s\" among its %lld", csv->path, name,
                      (long long)csv->n_name);
}

// The field of value `k` of the row, after the steps that leave columns out.
static bool field_of(const Csv *csv, uint32_t k, uint32_t *field, Failure *failure) {
  const NnrtSource *s = csv->source;
  *field = k;
  if (!s->n_keep)
    return true;
  if (k >= s->n_keep)
    return failf(failure, "%s: value %u is read, but %u are kept of each row", csv->path, k,
                 s->n_keep);
  *field = s->keep[k];
  return !csv->name || !s->keep_name || find_by_name(csv, s->keep_name[k], field, failure);
}

static bool column_places(Csv *csv, uint32_t i, const NnrtColumn *column, Failure *failure) {
  int64_t n = column_cells(column);
  csv->place[i] = malloc((size_t)n * sizeof **csv->place + 1);
  if (!csv->place[i])
    return failf(failure, "not enough memory for the columns of %s", csv->path);
  if (column->header && !csv->name)
    return failf(failure, "%s: \"%s\" is asked for by name, but the file is read without a header",
                 csv->path, column->header);
  uint32_t field = 0;
  if (column->header && !find_by_name(csv, column->header, &field, failure))
    return false;
  for (int64_t k = 0; k < n; k++) {
    uint32_t at = column->place ? column->place[k] : column->first + (uint32_t)k;
    if (!column->header && !field_of(csv, at, &field, failure))
      return false;
    csv->place[i][k] = column->header ? field + k : field;
  }
  return true;
}

// Which fields each column is made of; *width: how many fields that takes.
static bool find_positions(Csv *csv, const TableRequest *request, int64_t *width,
                           Failure *failure) {
  *width = 0;
  csv->place = calloc(request->n_column + 1, sizeof *csv->place);
  csv->words = calloc(request->n_column + 1, sizeof *csv->words);
  csv->n_place = request->n_column;
  if (!csv->place || !csv->words)
    return failf(failure, "not enough memory for the columns of %s", csv->path);
  for (uint32_t i = 0; i < request->n_column; i++) {
    const NnrtColumn *column = &request->column[i];
    if (request->needed && !request->needed[i])
      continue;
    if (!column_places(csv, i, column, failure) ||
        !words_open(&csv->words[i], &column->words, failure))
      return false;
    for (int64_t k = 0; k < column_cells(column); k++)
      *width = csv->place[i][k] >= *width ? csv->place[i][k] + 1 : *width;
  }
  return true;
}

static bool find_whole(Csv *csv, Failure *failure) {
  const NnrtSource *s = csv->source;
  csv->whole = malloc((s->n_whole + 1) * sizeof *csv->whole);
  if (!csv->whole)
    return failf(failure, "not enough memory for the columns of %s", csv->path);
  for (uint32_t i = 0; i < s->n_whole; i++) {
    csv->whole[i] = s->whole[i];
    if (csv->name && s->whole_name && !find_by_name(csv, s->whole_name[i], &csv->whole[i], failure))
      return false;
  }
  csv->n_whole = s->n_whole;
  return true;
}

// ---- Rows -------------------------------------------------------------------------------------

static bool bad_field(const Csv *csv, int64_t field, const char *column, const char *expected,
                      bool header_likely, Failure *failure) {
  char found[48];
  return failf(failure, "%s: line %lld, column %lld%s%s%s: %s, expected %s for \"%s\"%s", csv->path,
               (long long)csv->line, (long long)field + 1, csv->name ? " (" : "",
               csv->name && field < csv->n_name ? csv->name[field] : "", csv->name ? ")" : "",
               field_text(csv->field[field], found), expected, column,
               header_likely ? "; if this line names the columns, say header = true" : "");
}

static bool store_cell(const Csv *csv, Table *table, const TableRequest *request, uint32_t i,
                       int64_t k, int64_t row, Failure *failure) {
  char expected[64];
  TableColumn *column = &table->column[i];
  int64_t field = csv->place[i][k];
  NnrtCell cell = csv->field[field];
  const NnrtColumn *as = &request->column[i];
  const char *wrong;
  double value = NAN;
  bool missing = nnrt_is_missing(csv->source, &cell);
  if (as->words.coding == NNRT_AS_TOKENS)
    wrong = words_tokens(&csv->words[i], &cell, column, as, row, expected);
  else if (as->words.coding == NNRT_AS_NUMBER && !missing &&
           !parse_number(cell.at, cell.length, &value))
    return bad_field(csv, field, as->name, "a number", row == 0 && !csv->name, failure);
  else {
    wrong = as->words.coding == NNRT_AS_NUMBER
                ? NULL
                : words_value(&csv->words[i], &cell, missing, &value);
    if (!wrong)
      wrong = table_store(column, &as->type, row * column->count + k, value, expected);
  }
  return !wrong || bad_field(csv, field, as->name, wrong, false, failure);
}

static bool store_row(const Csv *csv, Table *table, const TableRequest *request, int64_t row,
                      Failure *failure) {
  for (uint32_t i = 0; i < request->n_column; i++)
    for (int64_t k = 0; csv->place[i] && k < column_cells(&request->column[i]); k++)
      if (!store_cell(csv, table, request, i, k, row, failure))
        return false;
  return true;
}

// Rows with a missing value are left out where the source says drop_missing.
static bool is_dropped(const Csv *csv) {
  for (int64_t i = 0; csv->source->drop_missing && i < csv->n_field; i++)
    if (!csv->n_whole && nnrt_is_missing(csv->source, &csv->field[i]))
      return true;
  for (uint32_t i = 0; i < csv->n_whole; i++)
    if (csv->whole[i] < csv->n_field && nnrt_is_missing(csv->source, &csv->field[csv->whole[i]]))
      return true;
  return false;
}

// An upper bound of the rows: no more than lines, and no more than the bytes allow.
static int64_t most_rows(const Csv *csv, int64_t width) {
  int64_t lines = 0, fitting = (csv->end - csv->at) / (width ? width : 1) + 1;
  for (const char *at = csv->at; at < csv->end; lines++) {
    const char *newline = memchr(at, '\n', (size_t)(csv->end - at));
    at = newline ? newline + 1 : csv->end;
  }
  return lines < fitting ? lines : fitting;
}

static bool check_count(const Csv *csv, int64_t columns, int64_t width, bool first,
                        Failure *failure) {
  if (csv->n_field < width && first)
    return failf(failure,
                 "%s: line %lld has %lld column%s, expected at least %lld (separator '%c')",
                 csv->path, (long long)csv->line, (long long)csv->n_field,
                 csv->n_field == 1 ? "" : "s", (long long)width, csv->source->separator);
  if (csv->n_field != columns)
    return failf(failure, "%s: line %lld has %lld column%s, expected %lld as in the %s", csv->path,
                 (long long)csv->line, (long long)csv->n_field, csv->n_field == 1 ? "" : "s",
                 (long long)columns, first && !csv->name ? "file before it" : "lines above it");
  return true;
}

// Behind those that the table has.
static bool read_rows(Csv *csv, Table *table, const TableRequest *request, int64_t *columns,
                      Failure *failure) {
  for (bool end = false, first = true;; first = false) {
    if (!next_row(csv, &end, failure))
      return false;
    if (end)
      return true;
    if (!*columns)
      *columns = csv->n_field;
    if (!check_count(csv, *columns, csv->width, first, failure))
      return false;
    if (is_dropped(csv))
      continue;
    if (!store_row(csv, table, request, table->rows++, failure))
      return false;
  }
}

static void csv_close(Csv *csv) {
  free(csv->file.at);
  free(csv->path);
  for (uint32_t i = 0; csv->place && i < csv->n_place; i++)
    free(csv->place[i]);
  for (uint32_t i = 0; csv->words && i < csv->n_place; i++)
    words_close(&csv->words[i]);
  free(csv->place);
  free(csv->words);
  free(csv->whole);
  free(csv->field);
  free(csv->header);
  free(csv->name);
}

// The whole content of a file, plain or gzipped.
bool file_unpacked(const char *path, Bytes *file, Failure *failure) {
  Bytes content;
  bool complete;
  if (!file_read(path, file, failure))
    return false;
  if (!gzip_is(file))
    return true;
  if (!gzip_inflate(path, file, PTRDIFF_MAX, &content, &complete, failure))
    return false;
  free(file->at);
  *file = content;
  return true;
}

static bool csv_open(Csv *csv, const NnrtSource *source, Failure *failure) {
  csv->source = source;
  if (!file_unpacked(csv->path, &csv->file, failure))
    return false;
  csv->at = (const char *)csv->file.at;
  csv->end = csv->at + csv->file.size;
  if (csv->file.size >= 3 && !memcmp(csv->at, "\xef\xbb\xbf", 3))
    csv->at += 3;
  return true;
}

static bool same_header(const Csv *csv, const Csv *first, Failure *failure) {
  bool same = csv->n_name == first->n_name;
  for (int64_t i = 0; same && i < csv->n_name; i++)
    same = !strcmp(csv->name[i], first->name[i]);
  return same || failf(failure, "%s: its columns are not those of %s", csv->path, first->path);
}

// Opens file i of the source; *rows grows by the rows that it may have.
static bool open_one(Csv *csv, uint32_t i, const NnrtSource *source, const TableRequest *request,
                     int64_t *rows, Failure *failure) {
  if (!request_path(request, source->file[i], &csv[i].path, failure) ||
      !csv_open(&csv[i], source, failure) || (source->header && !read_header(&csv[i], failure)) ||
      !same_header(&csv[i], &csv[0], failure) ||
      !find_positions(&csv[i], request, &csv[i].width, failure) || !find_whole(&csv[i], failure))
    return false;
  *rows += most_rows(&csv[i], csv[i].width);
  return true;
}

bool csv_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure) {
  Csv *csv = calloc(source->n_file + 1, sizeof *csv);
  int64_t rows = 0;
  bool good = csv || failf(failure, "not enough memory for %s", request->data_name);
  for (uint32_t i = 0; good && i < source->n_file; i++)
    good = open_one(csv, i, source, request, &rows, failure);
  good = good && table_allocate(table, request, rows, failure);
  if (good) {
    int64_t columns = csv->n_name;
    table->rows = 0;
    for (uint32_t i = 0; good && i < source->n_file; i++)
      good = read_rows(&csv[i], table, request, &columns, failure);
  }
  for (uint32_t i = 0; csv && i < source->n_file; i++)
    csv_close(&csv[i]);
  free(csv);
  return good;
}

static bool file_keys(Csv *csv, const char *name, Keys *keys, Failure *failure) {
  uint32_t field;
  if (!read_header(csv, failure) || !find_by_name(csv, name, &field, failure) ||
      !find_whole(csv, failure))
    return false;
  for (bool end = false;;) {
    if (!next_row(csv, &end, failure))
      return false;
    if (end)
      return true;
    if (!check_count(csv, csv->n_name, 0, false, failure))
      return false;
    if (!is_dropped(csv) &&
        !keys_add(keys, csv->field[field].at, csv->field[field].length, failure))
      return false;
  }
}

bool csv_keys(const NnrtSource *source, const TableRequest *request, const char *name, Keys *keys,
              Failure *failure) {
  bool good = true;
  for (uint32_t i = 0; good && i < source->n_file; i++) {
    Csv csv = {0};
    good = request_path(request, source->file[i], &csv.path, failure) &&
           csv_open(&csv, source, failure) && file_keys(&csv, name, keys, failure);
    csv_close(&csv);
  }
  return good;
}

// Does the file begin with a line that is no numbers? Asked about files given to predict.
bool csv_has_header(const char *path, const NnrtSource *source, bool *header, Failure *failure) {
  bool end = false;
  Csv csv = {.path = strdup(path)};
  bool good = (csv.path || failf(failure, "%s: not enough memory", path)) &&
              csv_open(&csv, source, failure) && next_row(&csv, &end, failure);
  *header = good && !end && csv.n_field > 0 && csv.field[0].length > 0;
  for (int64_t i = 0; *header && i < csv.n_field; i++) // one number in it, and it is a row
    *header = !nnrt_is_number(&csv.field[i]);
  csv_close(&csv);
  return good;
}
