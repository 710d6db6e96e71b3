// The results of predict: lines for people, JSON lines, or csv.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

static double value_at(const void *values, uint32_t elem, int64_t i) {
  switch (elem) {
  case NNRT_F32:
    return (double)((const float *)values)[i];
  case NNRT_F64:
    return ((const double *)values)[i];
  case NNRT_I32:
    return ((const int32_t *)values)[i];
  case NNRT_BF16: {
    uint32_t bits = (uint32_t)((const uint16_t *)values)[i] << 16;
    float value;
    memcpy(&value, &bits, 4);
    return (double)value;
  }
  }
  return ((const uint8_t *)values)[i];
}

// One output of one row, seen as numbers.
typedef struct {
  const NnrtOutput *output;
  const void *values;
  int64_t first, count;
  const char *path; // of its picture
} Cell;

static double cell_value(const Cell *cell, int64_t i) {
  return value_at(cell->values, cell->output->type.elem, cell->first + i);
}

static int64_t top_count(const Cell *cell) {
  return cell->output->top < cell->count ? cell->output->top : cell->count;
}

// The greatest value after those at `before` (earlier ones win ties); -1 at first.
static int64_t next_greatest(const Cell *cell, int64_t before) {
  int64_t best = -1;
  double limit = before < 0 ? 0 : cell_value(cell, before);
  for (int64_t i = 0; i < cell->count; i++) {
    double value = cell_value(cell, i);
    bool later = before < 0 || value < limit || (value == limit && i > before);
    if (later && (best < 0 || value > cell_value(cell, best)))
      best = i;
  }
  return best;
}

const char *word_name(const NnrtWords *words, int64_t k, char number[NUMBER_TEXT]) {
  const char *at = words->words;
  int64_t first = words->coding == NNRT_AS_TOKENS ? 2 : 0;
  if (first && k < first)
    return k ? "?" : NULL;
  if (k - first >= words->n_word || k < 0) {
    snprintf(number, NUMBER_TEXT, "%lld", (long long)k);
    return number;
  }
  for (k -= first; k > 0; k--)
    at += strlen(at) + 1;
  return at;
}

static const char *name_of(const Cell *cell, int64_t k, char number[NUMBER_TEXT]) {
  return word_name(&cell->output->words, k, number);
}

// A name among others on one line.
static void put_name(String *line, const Cell *cell, int64_t k) {
  char number[NUMBER_TEXT];
  for (const char *at = name_of(cell, k, number); at && *at; at++)
    if (*at == '\n' || *at == '\t')
      string_put(line, *at == '\n' ? "\\n" : "\\t");
    else
      string_printf(line, "%c", *at);
}

static void put_cell_text(String *text, const Cell *cell) {
  char number[NUMBER_TEXT];
  bool words = cell->output->words.split == NNRT_WORDS;
  for (int64_t i = 0, n = 0; i < cell->count; i++) {
    const char *name = name_of(cell, (int64_t)cell_value(cell, i), number);
    if (name)
      string_printf(text, "%s%s", words && n++ ? " " : "", name);
  }
}

void put_text(String *text, const NnrtOutput *output, const void *values) {
  put_cell_text(text, &(Cell){output, values, 0, type_elements(&output->type), NULL});
}

static void put_json_text(String *line, const Cell *cell) {
  String text = {0};
  put_cell_text(&text, cell);
  string_put_json(line, text.at ? text.at : "");
  string_free(&text);
}

static void put_json_name(String *line, const Cell *cell, int64_t k) {
  char number[NUMBER_TEXT];
  const char *name = name_of(cell, k, number);
  if (cell->output->words.n_word && name != number)
    string_put_json(line, name ? name : "");
  else
    string_printf(line, "%lld", (long long)k);
}

static void put_plain(String *line, const Cell *cell) {
  char number[NUMBER_TEXT];
  int64_t at = -1;
  switch (cell->output->form) {
  case NNRT_AS_TOP:
    for (int64_t i = 0; i < top_count(cell) && (at = next_greatest(cell, at)) >= 0; i++) {
      string_put(line, i ? ", " : "");
      put_name(line, cell, at);
      string_printf(line, " (%.2f%%)", 100 * cell_value(cell, at));
    }
    break;
  case NNRT_AS_CLASS:
    put_name(line, cell, (int64_t)cell_value(cell, 0));
    break;
  case NNRT_AS_TEXT:
    put_cell_text(line, cell);
    break;
  case NNRT_AS_PICTURE:
    string_put(line, cell->path);
    break;
  default:
    for (int64_t i = 0; i < cell->count; i++)
      string_printf(line, "%s%s", i ? " " : "", figure_text(cell_value(cell, i), number));
  }
}

static void put_json(String *line, const Cell *cell) {
  int64_t at = -1;
  if (cell->output->form == NNRT_AS_CLASS) {
    put_json_name(line, cell, (int64_t)cell_value(cell, 0));
    return;
  }
  if (cell->output->form == NNRT_AS_TEXT) {
    put_json_text(line, cell);
    return;
  }
  if (cell->output->form == NNRT_AS_PICTURE) {
    string_put_json(line, cell->path);
    return;
  }
  bool list = cell->output->form == NNRT_AS_TOP || cell->count != 1 || cell->output->type.rank;
  string_put(line, list ? "[" : "");
  if (cell->output->form == NNRT_AS_TOP) {
    for (int64_t i = 0; i < top_count(cell) && (at = next_greatest(cell, at)) >= 0; i++) {
      string_printf(line, "%s{\"class\":", i ? "," : "");
      put_json_name(line, cell, at);
      string_put(line, ",\"probability\":");
      string_put_json_number(line, cell_value(cell, at));
      string_put(line, "}");
    }
  } else {
    for (int64_t i = 0; i < cell->count; i++) {
      string_put(line, i ? "," : "");
      string_put_json_number(line, cell_value(cell, i));
    }
  }
  string_put(line, list ? "]" : "");
}

static void put_csv_cell(String *csv, const Cell *cell) {
  int64_t at = -1;
  char number[NUMBER_TEXT];
  String text = {0};
  switch (cell->output->form) {
  case NNRT_AS_TOP:
    for (int64_t i = 0; i < top_count(cell); i++) {
      at = next_greatest(cell, at);
      string_put(csv, ",");
      if (at >= 0)
        string_put_csv(csv, name_of(cell, at, number));
      string_put(csv, ",");
      if (at >= 0)
        string_printf(csv, "%.9g", cell_value(cell, at));
    }
    return;
  case NNRT_AS_CLASS:
    string_put(csv, ",");
    string_put_csv(csv, name_of(cell, (int64_t)cell_value(cell, 0), number));
    return;
  case NNRT_AS_TEXT:
    put_cell_text(&text, cell);
    string_put(csv, ",");
    string_put_csv(csv, text.at ? text.at : "");
    string_free(&text);
    return;
  case NNRT_AS_PICTURE:
    string_put(csv, ",");
    string_put_csv(csv, cell->path);
    return;
  }
  for (int64_t i = 0; i < cell->count; i++)
    string_printf(csv, ",%.9g", cell_value(cell, i));
}

static void put_csv_names(String *csv, const Cell *cell) {
  const char *name = cell->output->name;
  if (cell->output->form == NNRT_AS_TOP) {
    for (int64_t i = 1; i <= top_count(cell); i++)
      string_printf(csv, ",%s_%lld,%s_%lld_probability", name, (long long)i, name, (long long)i);
    return;
  }
  for (int64_t i = 0; i < cell->count; i++) {
    string_put(csv, ",");
    string_put(csv, name);
    if (cell->output->form == NNRT_AS_TEXT || cell->output->form == NNRT_AS_PICTURE)
      return;
    if (cell->count > 1)
      string_printf(csv, "_%lld", (long long)i);
  }
}

// Saliency-0007.png of a row, Saliency-photo.png of a file.
static const char *picture_path(Printer *printer, uint32_t output, int64_t row, const char *file) {
  String *path = &printer->path;
  string_clear(path);
  string_put(path, drawings_folder(printer->drawings));
  string_put(path, printer->predict->output[output].name);
  if (file) {
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file,
               *dot = strrchr(name, '.');
    string_printf(path, "-%.*s", (int)(dot && dot > name ? dot - name : (long)strlen(name)), name);
  }
  if (row >= 0)
    string_printf(path, "-%04lld", (long long)row);
  string_put(path, ".png");
  return path->at ? path->at : "";
}

static Cell cell_of(Printer *printer, uint32_t output, int64_t i, int64_t row, const char *file) {
  const NnrtOutput *o = &printer->predict->output[output];
  int64_t count = type_elements(&o->type);
  const char *path = o->form == NNRT_AS_PICTURE ? picture_path(printer, output, row, file) : NULL;
  return (Cell){o, call_result(printer->call, NNRT_OUTPUT, output), i * count, count, path};
}

static bool write_pictures(Printer *printer, int64_t i, int64_t row, const char *file,
                           Failure *failure) {
  for (uint32_t k = 0; k < printer->predict->n_output; k++) {
    const NnrtOutput *o = &printer->predict->output[k];
    if (o->form != NNRT_AS_PICTURE)
      continue;
    Cell cell = cell_of(printer, k, i, row, file);
    if (!picture_write(o, (const float *)cell.values + cell.first, o->type.dim[0], cell.path,
                       failure))
      return false;
  }
  return true;
}

static void put_csv_row(Printer *printer, int64_t i, int64_t row, const char *file) {
  String *csv = &printer->csv;
  uint32_t outputs = printer->predict->n_output;
  if (!printer->rows) {
    string_put(csv, file ? "file,row" : "row");
    for (uint32_t k = 0; k < outputs; k++) {
      Cell cell = cell_of(printer, k, i, row, file);
      put_csv_names(csv, &cell);
    }
    string_put(csv, "\n");
  }
  if (file) {
    string_put_csv(csv, file);
    string_put(csv, ",");
  }
  string_printf(csv, "%lld", (long long)(row < 0 ? 0 : row));
  for (uint32_t k = 0; k < outputs; k++) {
    Cell cell = cell_of(printer, k, i, row, file);
    put_csv_cell(csv, &cell);
  }
  string_put(csv, "\n");
}

static void put_json_row(String *line, Printer *printer, int64_t i, int64_t row, const char *file) {
  string_put(line, "{");
  if (file) {
    string_put(line, "\"file\":");
    string_put_json(line, file);
    string_put(line, ",");
  }
  string_printf(line, "\"row\":%lld", (long long)(row < 0 ? 0 : row));
  for (uint32_t k = 0; k < printer->predict->n_output; k++) {
    Cell cell = cell_of(printer, k, i, row, file);
    string_put(line, ",");
    string_put_json(line, cell.output->name);
    string_put(line, ":");
    put_json(line, &cell);
  }
  string_put(line, "}");
}

static void put_plain_row(String *line, Printer *printer, int64_t i, int64_t row,
                          const char *file) {
  if (file)
    string_printf(line, "%s%s", file, row < 0 ? "" : " ");
  if (row >= 0)
    string_printf(line, "row %lld", (long long)row);
  string_put(line, ":");
  for (uint32_t k = 0; k < printer->predict->n_output; k++) {
    Cell cell = cell_of(printer, k, i, row, file);
    string_printf(line, "%s ", k ? ";" : "");
    if (printer->predict->n_output > 1)
      string_printf(line, "%s ", cell.output->name);
    put_plain(line, &cell);
  }
}

bool print_row(Printer *printer, int64_t i, int64_t row, const char *file, Failure *failure) {
  String line = {0};
  if (!write_pictures(printer, i, row, file, failure))
    return false;
  if (printer->to_csv)
    put_csv_row(printer, i, row, file);
  else if (printer->log == LOG_JSON)
    put_json_row(&line, printer, i, row, file);
  else
    put_plain_row(&line, printer, i, row, file);
  if (!printer->to_csv)
    puts(line.at ? line.at : "");
  printer->rows++;
  string_free(&line);
  return true;
}
