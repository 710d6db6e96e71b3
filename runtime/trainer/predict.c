// predict: rows of a split of the data, or of files: csv, idx, PNG and JPEG pictures, told by their
// content.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { BATCH = 64, PICTURES = 16 }; // PICTURES: rows that are drawn if no --limit is given

typedef struct {
  const Run *run;
  const NnrtPredict *predict;
  const NnrtFunction *function;
  bool *needed;      // per predict->input
  uint32_t n_needed; // of them
  Call *call;
  Values *values;
  Printer printer;
  int64_t batch, left; // rows still to print
} Predictor;

static bool print_table(Predictor *p, const Split *split, const char *file, bool file_is_row,
                        Failure *failure) {
  for (int64_t first = 0; first < split->rows && p->left > 0; first += p->batch) {
    int64_t n = split->rows - first < p->batch ? split->rows - first : p->batch;
    n = n < p->left ? n : p->left;
    n = call_gather(p->call, split, NULL, first, n, failure);
    if (n < 0 || (n && !call_run(p->call, n, failure)))
      return false;
    for (int64_t i = 0; i < n; i++)
      if (!print_row(&p->printer, i, file_is_row ? -1 : p->call->place[i], file, failure))
        return false;
    p->left -= n;
  }
  return true;
}

// ---- Files ------------------------------------------------------------------------------------

// Columns as they lie in a file of the user's: `stride` 1 counts files (idx), otherwise values
// (csv).
static NnrtColumn *pack_columns(const Predictor *p, bool by_file, Failure *failure) {
  uint32_t n = p->predict->n_input, next = 0;
  NnrtColumn *column = malloc((n + 1) * sizeof *column);
  if (!column) {
    failf(failure, "not enough memory for the columns of %s", p->predict->name);
    return NULL;
  }
  for (uint32_t i = 0; i < n; i++) {
    column[i] = p->predict->input[i];
    column[i].first = next;
    column[i].header = NULL;
    if (p->needed[i])
      next += by_file ? 1 : (uint32_t)type_elements(&column[i].type);
  }
  return column;
}

// Of a zip the one source that all needed columns are in, or NULL.
static const NnrtSource *one_side(const Predictor *p, const NnrtSource *source) {
  uint32_t side = NNRT_NONE;
  for (uint32_t i = 0; i < p->predict->n_input; i++) {
    if (!p->needed[i])
      continue;
    if (side != NNRT_NONE && side != p->predict->input[i].side)
      return NULL;
    side = p->predict->input[i].side;
  }
  return side == NNRT_NONE ? NULL : &source->side[side];
}

static const NnrtSource *train_source(const Predictor *p) {
  const NnrtSource *source = &p->run->program->data[p->predict->data].train;
  return source->kind == NNRT_ZIP ? one_side(p, source) : source;
}

// The data's own source, if it reads texts or csv.
static const NnrtSource *source_like(const Predictor *p) {
  const NnrtProgram *program = p->run->program;
  if (p->predict->data == NNRT_NONE)
    return NULL;
  const NnrtData *data = &program->data[p->predict->data];
  const NnrtSource *train = train_source(p);
  bool text = train && (train->kind == NNRT_CSV || train->kind == NNRT_TEXT ||
                        train->kind == NNRT_TEXT_FOLDERS);
  return text ? train : data->test.kind == NNRT_CSV ? &data->test : NULL;
}

static bool load_and_print(Predictor *p, const NnrtSource *source, const NnrtColumn *column,
                           Failure *failure) {
  TableRequest request = {.column = column,
                          .n_column = p->predict->n_input,
                          .needed = p->needed,
                          .data_name = p->predict->name};
  Table table = {0};
  bool good = table_load(&table, source, &request, failure);
  if (good) {
    Split split = {&table, 0, table.rows, SPLIT_NONE, NULL};
    good = print_table(p, &split, source->file[0], false, failure);
  }
  table_free(&table);
  return good;
}

// Does the file begin with names of columns? It must where columns are found by name; it may where
// they are numbers.
static bool find_header(const Predictor *p, const char *path, NnrtSource *source,
                        Failure *failure) {
  bool by_name = source->header && source->n_keep, words = false;
  for (uint32_t i = 0; i < p->predict->n_input; i++) {
    by_name |= p->predict->input[i].header != NULL;
    words |= p->predict->input[i].words.coding != NNRT_AS_NUMBER;
  }
  if (by_name || (words && !source->header)) {
    source->header = by_name;
    return true;
  }
  return csv_has_header(path, source, &source->header, failure);
}

// A csv file has the columns of the data's csv; where the data is no csv, just the values needed.
static bool predict_csv(Predictor *p, const char *path, Failure *failure) {
  const NnrtSource *like = source_like(p);
  NnrtSource source = {.kind = NNRT_CSV, .separator = ','};
  if (like)
    source = *like;
  source.file = &path;
  source.n_file = 1;
  source.shuffled = false;
  if (source.kind == NNRT_CSV && !find_header(p, path, &source, failure))
    return false;
  if (like)
    return load_and_print(p, &source, p->predict->input, failure);
  NnrtColumn *column = pack_columns(p, false, failure);
  bool good = column && load_and_print(p, &source, column, failure);
  free(column);
  return good;
}

// As many idx files as the function reads columns, in their order.
static bool predict_idx(Predictor *p, const char *const *path, size_t n_path, Failure *failure) {
  if (n_path < p->n_needed)
    return failf(failure,
                 "%s: predict %s reads %u columns, expected %u idx files one after the other",
                 path[0], p->predict->name, p->n_needed, p->n_needed);
  NnrtSource source = {.kind = NNRT_IDX, .file = path, .n_file = p->n_needed, .width = p->n_needed};
  NnrtColumn *column = pack_columns(p, true, failure);
  bool good = column && load_and_print(p, &source, column, failure);
  free(column);
  return good;
}

// What a picture must be to fill a column of this type. channels 0: any flat size that fits.
static bool wanted_picture(const NnrtType *type, Picture *shape) {
  NnrtType whole = {.elem = type->elem, .range = type->range};
  for (uint32_t i = 0; i < type->rank; i++)
    if (type->dim[i] != 1)
      whole.dim[whole.rank++] = type->dim[i];
  *shape = (Picture){0};
  bool flat = whole.rank == 1 && !type->range && (type->elem == NNRT_U8 || type->elem == NNRT_F32);
  return flat || picture_shape(&whole, shape);
}

static bool fit_picture(const char *path, const Picture *picture, const NnrtColumn *column,
                        Picture *to, Failure *failure) {
  char declared[192];
  int64_t size = type_elements(&column->type);
  to->at = malloc((size_t)size + NNRT_ALIGN);
  if (!to->at)
    return failf(failure, "%s: not enough memory", path);
  if (to->channels)
    return picture_fit(path, picture, column, to, failure);
  if ((int64_t)picture->height * picture->width * picture->channels != size)
    return failf(
        failure, "%s: the picture is %u x %u pixels, expected \"%s\", which is %s (height x width)",
        path, picture->height, picture->width, column->name, shape_text(&column->type, declared));
  memcpy(to->at, picture->at, (size_t)size);
  return true;
}

static bool read_picture(const char *path, const Bytes *file, const NnrtColumn *column, Picture *to,
                         Failure *failure) {
  Picture picture;
  char declared[192];
  if (!wanted_picture(&column->type, to))
    return failf(failure, "%s: a picture can't be \"%s\", which is %s", path, column->name,
                 shape_text(&column->type, declared));
  if (!picture_decode(path, file, to->channels, &picture, failure))
    return false;
  bool good = fit_picture(path, &picture, column, to, failure);
  free(picture.at);
  if (!good)
    free(to->at);
  return good;
}

static bool predict_picture(Predictor *p, const char *path, const Bytes *file, Failure *failure) {
  uint32_t which = 0;
  if (p->n_needed != 1)
    return failf(failure, "%s: predict %s reads %u columns, a picture is only one", path,
                 p->predict->name, p->n_needed);
  while (!p->needed[which])
    which++;
  Picture picture;
  if (!read_picture(path, file, &p->predict->input[which], &picture, failure))
    return false;
  TableColumn *column = calloc(p->predict->n_input, sizeof *column);
  if (!column) {
    free(picture.at);
    return failf(failure, "%s: not enough memory", path);
  }
  int64_t count = type_elements(&p->predict->input[which].type);
  column[which] = (TableColumn){NNRT_U8, count, count, picture.at, picture.at, NULL};
  Table table = {.rows = 1, .column = column, .n_column = p->predict->n_input};
  Split split = {&table, 0, 1, SPLIT_NONE, NULL};
  bool good = print_table(p, &split, path, true, failure);
  table_free(&table);
  return good;
}

// Enough of the content to tell what it is.
static bool peek(const char *path, const Bytes *file, Bytes *head, Failure *failure) {
  bool complete;
  if (gzip_is(file))
    return gzip_inflate(path, file, 16, head, &complete, failure);
  *head = (Bytes){malloc(17), file->size < 16 ? file->size : 16};
  if (!head->at)
    return failf(failure, "%s: not enough memory", path);
  memcpy(head->at, file->at, head->size);
  return true;
}

static bool predict_file(Predictor *p, size_t *index, Failure *failure) {
  const char *const *path = p->run->options->file + *index;
  Bytes file = {0}, head = {0};
  bool good = file_read(*path, &file, failure) && peek(*path, &file, &head, failure);
  bool idx = good && idx_is(&head);
  if (good && (png_is(&head) || jpeg_is(&head)))
    good = predict_picture(p, *path, &file, failure);
  else if (idx)
    good = predict_idx(p, path, p->run->options->n_file - *index, failure);
  else if (good)
    good = predict_csv(p, *path, failure);
  *index += idx ? p->n_needed : 1;
  free(head.at);
  free(file.at);
  return good;
}

// ---- Rows -------------------------------------------------------------------------------------

// A picture of many rows: NAME.png.
static bool draws_rows(const NnrtPredict *predict) {
  return predict->n_output && predict->output->form > NNRT_AS_PICTURE;
}

static bool draw_rows(Predictor *p, Split *split, Failure *failure) {
  String path = {0};
  NnrtDraw draw = {.name = p->predict->name,
                   .function = p->predict->function,
                   .n_output = p->predict->n_output,
                   .output = p->predict->output};
  split->rows = split->rows < p->left ? split->rows : p->left;
  string_printf(&path, "%s%s.png", drawings_folder(&p->run->drawings), draw.name);
  bool good = (path.at || failf(failure, "not enough memory")) &&
              draw_picture(&draw, p->call, split, path.at, NULL, failure);
  if (good && p->printer.log == LOG_JSON)
    printf("{\"picture\":\"%s\",\"rows\":%lld}\n", path.at, (long long)split->rows);
  else if (good)
    printf("%s: %lld rows\n", path.at, (long long)split->rows);
  string_free(&path);
  return good;
}

static bool predict_data(Predictor *p, Failure *failure) {
  Dataset dataset;
  Split split;
  const Run *run = p->run;
  bool good = dataset_open(&dataset, run->program, p->predict->data, run->options, failure);
  if (good) {
    free(dataset.needed);
    dataset.column = p->predict->input;
    dataset.n_column = p->predict->n_input;
    dataset.needed = p->needed;
    dataset.values = p->values;
    dataset.pool = run->pool;
    SplitKind kind = dataset_default_split(&dataset, run->options);
    good = dataset_split(&dataset, kind, &split, failure) &&
           (draws_rows(p->predict) ? draw_rows(p, &split, failure)
                                   : print_table(p, &split, NULL, false, failure));
    dataset.needed = NULL;
  }
  dataset_close(&dataset);
  return good;
}

// A block that reads nothing: draws, `--count` of them.
static bool predict_draws(Predictor *p, Failure *failure) {
  p->left = option_or(p->run->options->count, 1);
  for (int64_t first = 0; p->left > 0; first += p->batch) {
    int64_t n = p->left < p->batch ? p->left : p->batch;
    call_number_rows(p->call, first, n);
    if (!call_run(p->call, n, failure))
      return false;
    for (int64_t i = 0; i < n; i++)
      if (!print_row(&p->printer, i, first + i, NULL, failure))
        return false;
    p->left -= n;
  }
  return true;
}

static bool predict_rows(Predictor *p, Failure *failure) {
  const Options *options = p->run->options;
  if (draws_rows(p->predict) && (options->n_file || options->csv))
    return failf(failure, "predict %s draws one picture of the rows of its data: no files, no csv",
                 p->predict->name);
  if (options->n_file) {
    if (!p->n_needed)
      return failf(failure, "predict %s computes its rows; it takes no files", p->predict->name);
    if (p->predict->data != NNRT_NONE && !train_source(p))
      return failf(failure,
                   "predict %s reads rows of several sources at once, and takes no files; --data "
                   "FOLDER says where they lie",
                   p->predict->name);
    for (size_t i = 0; i < options->n_file && p->left > 0;)
      if (!predict_file(p, &i, failure))
        return false;
    return true;
  }
  if (p->predict->data != NNRT_NONE)
    return predict_data(p, failure);
  if (!p->n_needed)
    return predict_draws(p, failure);
  return failf(failure, "predict %s needs files: csv, idx or pictures", p->predict->name);
}

static bool write_csv(Predictor *p, Failure *failure) {
  const char *path = p->run->options->csv;
  String *csv = &p->printer.csv;
  Piece piece = {csv->at, csv->length};
  if (csv->no_memory)
    return failf(failure, "%s: not enough memory for the rows", path);
  if (!file_write(path, &piece, 1, failure))
    return false;
  if (p->printer.log == LOG_JSON)
    printf("{\"rows\":%lld}\n", (long long)p->printer.rows);
  else
    printf("%lld rows written to %s\n", (long long)p->printer.rows, path);
  return true;
}

static const NnrtPredict *choose_block(const Run *run, Failure *failure) {
  const NnrtProgram *program = run->program;
  const char *wanted = run->options->block;
  const NnrtPredict *found = NULL;
  String list = {0};
  for (uint32_t i = 0; i < program->n_predict && !found; i++) {
    if (!wanted || !strcmp(wanted, program->predict[i].name))
      found = &program->predict[i];
    string_printf(&list, "%s%s", i ? ", " : "", program->predict[i].name);
  }
  if (!found && wanted && list.at)
    failf(failure, "--block: no predict block is called \"%s\"; there are %s", wanted, list.at);
  else if (!found)
    failf(failure, "this program has no predict block");
  string_free(&list);
  return found;
}

static bool find_needed(Predictor *p, Failure *failure) {
  p->needed = calloc(p->predict->n_input + 1, sizeof *p->needed);
  if (!p->needed)
    return failf(failure, "not enough memory");
  for (uint32_t i = 0; i < p->function->n_arg; i++)
    if (p->function->arg[i].role == NNRT_COLUMN && p->function->arg[i].index < p->predict->n_input)
      p->needed[p->function->arg[i].index] = true;
  for (uint32_t i = 0; i < p->predict->n_input; i++)
    p->n_needed += p->needed[i];
  return true;
}

static bool gives_pictures(const NnrtPredict *predict) {
  for (uint32_t i = 0; i < predict->n_output; i++)
    if (predict->output[i].form == NNRT_AS_PICTURE)
      return true;
  return false;
}

bool command_predict(const Run *run, int *status, Failure *failure) {
  (void)status;
  const Options *options = run->options;
  Values values = {0};
  NnrtModel *model = NULL;
  Call call = {0};
  Predictor p = {.run = run,
                 .predict = choose_block(run, failure),
                 .call = &call,
                 .values = &values,
                 .batch = option_or(options->batch, BATCH),
                 .left = option_or(options->count, INT64_MAX)};
  if (!p.predict)
    return false;
  p.function = &run->program->function[p.predict->function];
  p.printer = (Printer){.predict = p.predict,
                        .call = &call,
                        .log = log_form(options),
                        .to_csv = options->csv != NULL,
                        .drawings = &run->drawings};
  if (options->count < 0 && gives_pictures(p.predict))
    p.left = PICTURES;
  bool good =
      (!options->csv || file_check_writable(options->csv, failure)) && find_needed(&p, failure) &&
      values_open(&values, run->program, options, failure) &&
      weights_load_default(&values, run->pool, options, failure) &&
      model_open(&model, run->program, run->pool, p.batch, &p.predict->function, 1, failure) &&
      call_open(&call, model, &values, p.predict->function, p.batch, failure);
  if (good) {
    call_set(&call, 1, 1, options->seed != INT64_MIN ? options->seed : 0);
    good = predict_rows(&p, failure) && (!options->csv || write_csv(&p, failure));
  }
  string_free(&p.printer.csv);
  string_free(&p.printer.path);
  call_close(&call);
  nnrt_close(model);
  values_close(&values);
  free(p.needed);
  return good;
}
