// preview: eight variants of the first training picture, as augment(...) makes them, in one PNG.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { ROWS = 2, COLUMNS = 4, GAP = 2, LARGEST_SIDE = 1 << 13 };

// What is black and what white: of values that look like parts of 1 or like bytes, those; else the
// least and the greatest there are.
static void value_range(const float *value, int64_t n, float *low, float *high) {
  *low = *high = value[0];
  for (int64_t i = 0; i < n; i++) {
    *low = fminf(*low, value[i]);
    *high = fmaxf(*high, value[i]);
  }
  bool parts = *low >= -0.5f && *high <= 2, bytes = *low >= -64 && *high > 64 && *high <= 512;
  if (parts || bytes) {
    *low = 0;
    *high = parts ? 1 : 255;
  }
  if (!(*high > *low))
    *high = *low + 1;
}

static void put_tile(const Picture *sheet, const Picture *tile, const float *value, int at,
                     float low, float high) {
  size_t top = (size_t)(at / COLUMNS) * (tile->height + GAP),
         left = (size_t)(at % COLUMNS) * (tile->width + GAP);
  for (uint32_t i = 0; i < tile->height; i++)
    for (size_t k = 0; k < (size_t)tile->width * tile->channels; k++) {
      float x = 255 * (value[i * tile->width * tile->channels + k] - low) / (high - low);
      sheet->at[((top + i) * sheet->width + left) * sheet->channels + k] =
          (uint8_t)(x > 0 ? x < 255 ? x + 0.5f : 255 : 0);
    }
}

static bool draw(Call *call, const Picture *tile, int64_t seed, const char *path,
                 Failure *failure) {
  int64_t n = (int64_t)tile->height * tile->width * tile->channels;
  Picture sheet = {NULL, ROWS * tile->height + (ROWS - 1) * GAP,
                   COLUMNS * tile->width + (COLUMNS - 1) * GAP, tile->channels};
  float *values = malloc((size_t)n * ROWS * COLUMNS * sizeof *values), low, high;
  sheet.at = malloc((size_t)sheet.height * sheet.width * sheet.channels);
  bool good = (values && sheet.at) || failf(failure, "not enough memory for the preview");
  for (int i = 0; good && i < ROWS * COLUMNS; i++) {
    call_set(call, i + 1, 1, seed);
    good = call_run(call, 1, failure);
    if (good)
      memcpy(values + i * n, call->result[0], (size_t)n * sizeof *values);
  }
  if (good) {
    memset(sheet.at, 255, (size_t)sheet.height * sheet.width * sheet.channels);
    value_range(values, n * ROWS * COLUMNS, &low, &high);
    for (int i = 0; i < ROWS * COLUMNS; i++)
      put_tile(&sheet, tile, values + i * n, i, low, high);
    good = png_write(path, &sheet, failure);
  }
  free(values);
  free(sheet.at);
  return good;
}

static bool preview_data(const Run *run, uint32_t index, const char *path, Failure *failure) {
  const NnrtProgram *program = run->program;
  uint32_t function = program->data[index].preview;
  const NnrtType *type = &program->function[function].result[0].type;
  NnrtType one = {.elem = NNRT_F32, .rank = type->rank - 1}; // without the rows
  memcpy(one.dim, type->dim + 1, one.rank * sizeof *one.dim);
  Picture tile;
  Dataset dataset = {0};
  Values values = {0};
  NnrtModel *model = NULL;
  Call call = {0};
  Split split;
  char shape[192];
  if (!picture_shape(&one, &tile) || tile.channels > 3 || tile.height > LARGEST_SIDE ||
      tile.width > LARGEST_SIDE)
    return failf(failure, "a field of %s can't be drawn", shape_text(&one, shape));
  bool good = dataset_open(&dataset, program, index, run->options, failure);
  dataset.values = &values;
  dataset.pool = run->pool;
  if (good)
    dataset_need(&dataset, &program->function[function]);
  good = good && values_open(&values, program, run->options, failure) &&
         dataset_split(&dataset, SPLIT_TRAIN, &split, failure) &&
         model_open(&model, program, run->pool, 1, &function, 1, failure) &&
         call_open(&call, model, &values, function, 1, failure);
  int64_t rows = 0;
  for (int64_t row = 0; good && !rows && row < split.rows; row++) {
    rows = call_gather(&call, &split, NULL, row, 1, failure);
    good = rows >= 0;
  }
  int64_t seed = run->options->seed != INT64_MIN ? run->options->seed : 0;
  good = good && draw(&call, &tile, seed, path, failure);
  call_close(&call);
  nnrt_close(model);
  values_close(&values);
  dataset_close(&dataset);
  return good;
}

bool command_preview(const Run *run, int *status, Failure *failure) {
  (void)status;
  const NnrtProgram *program = run->program;
  const char *path = run->options->out ? run->options->out : "preview.png";
  for (uint32_t i = 0; i < program->n_data; i++) {
    if (program->data[i].preview == NNRT_NONE)
      continue;
    if (!preview_data(run, i, path, failure))
      return false;
    if (log_form(run->options) != LOG_JSON)
      printf("8 variants of the first picture of %s written to %s\n", program->data[i].name, path);
    return true;
  }
  return failf(failure, "no data of this program have a picture with augment(...)");
}
