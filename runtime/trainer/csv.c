// csv files, plain or gzipped: one row per line, fields between separators, "quoted" where needed.
// Only the fields that a column uses are read as numbers; text elsewhere in the line doesn't
// matter.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

typedef struct {
  const char *at;
  size_t length;
} Field;

typedef struct {
  const char *path;
  char separator;
  const char *missing;
  const char *at, *end; // what is left of the text
  int64_t line;         // of the row that was read last, from 1
  Field *field;         // of that row
  int64_t n_field, capacity;
  char *header;      // copies of the header's names, one after the other, or NULL
  const char **name; // n_name of them
  int64_t n_name;
} Csv;

static bool is_blank(const Csv *csv, char c) {
  return (c == ' ' || c == '\t') && c != csv->separator;
}

static bool add_field(Csv *csv, const char *from, const char *to, Failure *failure) {
  if (csv->n_field == csv->capacity) {
    int64_t capacity = csv->capacity ? csv->capacity * 2 : 64;
    Field *field = realloc(csv->field, (size_t)capacity * sizeof *field);
    if (!field)
      return failf(failure, "%s: not enough memory for the fields of line %lld", csv->path,
                   (long long)csv->line);
    csv->field = field;
    csv->capacity = capacity;
  }
  while (from < to && is_blank(csv, *from))
    from++;
  while (to > from && is_blank(csv, to[-1]))
    to--;
  csv->field[csv->n_field++] = (Field){from, (size_t)(to - from)};
  return true;
}

// From the opening quote to behind the closing one; doubled quotes stay doubled (no number has
// any).
static const char *quoted_end(const char *at, const char *end) {
  for (at++; at < end; at++) {
    if (*at == '\n')
      return NULL;
    if (*at == '"' && (at + 1 == end || at[1] != '"'))
      return at + 1;
    at += *at == '"';
  }
  return NULL;
}

static bool read_quoted(Csv *csv, const char **at, const char *end, Failure *failure) {
  const char *close = quoted_end(*at, end), *after = close;
  if (!close)
    return failf(failure,
                 "%s: line %lld, column %lld: a quote (\") is opened but not closed in this line",
                 csv->path, (long long)csv->line, (long long)csv->n_field + 1);
  while (after < end && is_blank(csv, *after))
    after++;
  if (after < end && *after != csv->separator)
    return failf(failure, "%s: line %lld, column %lld: text after the closing quote", csv->path,
                 (long long)csv->line, (long long)csv->n_field + 1);
  const char *open = *at + 1;
  *at = after;
  return add_field(csv, open, close - 1, failure);
}

static bool split_line(Csv *csv, const char *at, const char *end, Failure *failure) {
  csv->n_field = 0;
  for (;;) {
    while (at < end &&
           (is_blank(csv, *at) || (csv->separator == ' ' && (*at == ' ' || *at == '\t'))))
      at++;
    if (at < end && *at == '"') {
      if (!read_quoted(csv, &at, end, failure))
        return false;
    } else {
      const char *from = at;
      while (at < end && *at != csv->separator && !(csv->separator == ' ' && *at == '\t'))
        at++;
      if (!(csv->separator == ' ' && from == end && csv->n_field) &&
          !add_field(csv, from, at, failure))
        return false;
    }
    if (at == end)
      return true;
    at++;
  }
}

// The next line that isn't empty. false at the end of the text, or with a message.
static bool next_row(Csv *csv, bool *end, Failure *failure) {
  while (csv->at < csv->end) {
    const char *newline = memchr(csv->at, '\n', (size_t)(csv->end - csv->at));
    const char *from = csv->at, *to = newline ? newline : csv->end;
    csv->at = newline ? newline + 1 : csv->end;
    csv->line++;
    if (to > from && to[-1] == '\r')
      to--;
    if (to > from)
      return split_line(csv, from, to, failure);
  }
  *end = true;
  return true;
}

// What was found, short enough and clean enough for a message.
static const char *field_text(Field field, char text[48]) {
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

static bool find_by_name(const Csv *csv, const NnrtColumn *column, int64_t *position,
                         Failure *failure) {
  *position = -1;
  for (int64_t i = 0; i < csv->n_name; i++) {
    if (strcmp(csv->name[i], column->header))
      continue;
    if (*position >= 0)
      return failf(failure, "%s: columns %lld and %lld are both called \"%s\"", csv->path,
                   (long long)*position + 1, (long long)i + 1, column->header);
    *position = i;
  }
  if (*position >= 0)
    return true;
  const char *near = closest_name(column->header, csv->name, (size_t)csv->n_name);
  return near ? failf(failure, "%s: has no column \"%s\"; did you mean \"%s\"?", csv->path,
                      column->header, near)
              : failf(failure, "%s: has no column \"%s\" among its %lld", csv->path, column->header,
                      (long long)csv->n_name);
}

// position[i]: the first field of column i, -1 if it isn't needed.
static bool find_positions(const Csv *csv, const TableRequest *request, int64_t *position,
                           int64_t *width, Failure *failure) {
  *width = 0;
  for (uint32_t i = 0; i < request->n_column; i++) {
    const NnrtColumn *column = &request->column[i];
    position[i] = -1;
    if (request->needed && !request->needed[i])
      continue;
    position[i] = column->first;
    if (column->header && !csv->name)
      return failf(failure,
                   "%s: \"%s\" is asked for by name, but the file is read without a header",
                   csv->path, column->header);
    if (column->header && !find_by_name(csv, column, &position[i], failure))
      return false;
    int64_t end = position[i] + type_elements(&column->type);
    *width = end > *width ? end : *width;
  }
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

static bool is_missing(const Csv *csv, Field field) {
  return csv->missing && field.length == strlen(csv->missing) &&
         !memcmp(field.at, csv->missing, field.length);
}

static bool store_row(const Csv *csv, Table *table, const TableRequest *request,
                      const int64_t *position, int64_t row, Failure *failure) {
  char expected[64];
  for (uint32_t i = 0; i < request->n_column; i++) {
    TableColumn *column = &table->column[i];
    for (int64_t k = 0; position[i] >= 0 && k < column->count; k++) {
      Field field = csv->field[position[i] + k];
      double value = NAN;
      if (!is_missing(csv, field) && !parse_number(field.at, field.length, &value))
        return bad_field(csv, position[i] + k, request->column[i].name, "a number",
                         row == 0 && !csv->name, failure);
      const char *wrong =
          table_store(column, &request->column[i].type, row * column->count + k, value, expected);
      if (wrong)
        return bad_field(csv, position[i] + k, request->column[i].name, wrong, false, failure);
    }
  }
  return true;
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
                 csv->n_field == 1 ? "" : "s", (long long)width, csv->separator);
  if (csv->n_field != columns)
    return failf(failure, "%s: line %lld has %lld column%s, expected %lld as in the lines above it",
                 csv->path, (long long)csv->line, (long long)csv->n_field,
                 csv->n_field == 1 ? "" : "s", (long long)columns);
  return true;
}

static bool read_rows(Csv *csv, Table *table, const TableRequest *request, int64_t *position,
                      Failure *failure) {
  int64_t width, columns = csv->n_name;
  if (!find_positions(csv, request, position, &width, failure) ||
      !table_allocate(table, request, most_rows(csv, width), failure))
    return false;
  int64_t row = 0;
  for (bool end = false;; row++) {
    if (!next_row(csv, &end, failure))
      return false;
    if (end)
      break;
    if (row == 0 && !csv->name)
      columns = csv->n_field;
    if (!check_count(csv, columns, width, row == 0, failure) ||
        !store_row(csv, table, request, position, row, failure))
      return false;
  }
  table->rows = row;
  return true;
}

static bool unpack(const char *path, Bytes *file, Failure *failure) {
  Bytes content;
  bool complete;
  if (!gzip_is(file))
    return true;
  if (!gzip_inflate(path, file, PTRDIFF_MAX, &content, &complete, failure))
    return false;
  free(file->at);
  *file = content;
  return true;
}

static bool load_path(Table *table, const NnrtSource *source, const TableRequest *request,
                      const char *path, Failure *failure) {
  Bytes file = {0};
  int64_t *position = malloc((request->n_column + 1) * sizeof *position);
  bool good = position ? file_read(path, &file, failure) && unpack(path, &file, failure)
                       : failf(failure, "not enough memory for the columns of %s", path);
  if (good) {
    Csv csv = {.path = path,
               .separator = source->separator ? source->separator : ',',
               .missing = source->missing,
               .at = (const char *)file.at,
               .end = (const char *)file.at + file.size};
    if (file.size >= 3 && !memcmp(csv.at, "\xef\xbb\xbf", 3))
      csv.at += 3;
    good = (!source->header || read_header(&csv, failure)) &&
           read_rows(&csv, table, request, position, failure);
    free(csv.field);
    free(csv.header);
    free(csv.name);
  }
  free(file.at);
  free(position);
  return good;
}

bool csv_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure) {
  char *path = NULL;
  bool good = request_path(request, source->file[0], &path, failure) &&
              load_path(table, source, request, path, failure);
  free(path);
  return good;
}

// Does the file begin with a line that is no numbers? Asked about files given to predict.
bool csv_has_header(const char *path, char separator, bool *header, Failure *failure) {
  Bytes file = {0};
  bool end = false;
  bool good = file_read(path, &file, failure) && unpack(path, &file, failure);
  Csv csv = {.path = path,
             .separator = separator ? separator : ',',
             .at = (const char *)file.at,
             .end = (const char *)file.at + file.size};
  if (good && file.size >= 3 && !memcmp(csv.at, "\xef\xbb\xbf", 3))
    csv.at += 3;
  good = good && next_row(&csv, &end, failure);
  double value;
  *header = good && !end && csv.n_field > 0 && csv.field[0].length > 0;
  for (int64_t i = 0; *header && i < csv.n_field; i++) // one number in it, and it is a row
    *header = !parse_number(csv.field[i].at, csv.field[i].length, &value);
  free(csv.field);
  free(file.at);
  return good;
}
