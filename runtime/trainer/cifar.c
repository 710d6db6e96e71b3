// CIFAR-10's binary records, plain or gzipped: one byte of class, then the red, green and blue
// planes of 32 x 32 bytes. Several files are one after the other.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE };

// Channels last; grey with the weights of ITU-R BT.601, as PNG and JPEG are made grey.
static void unpack(const uint8_t *record, uint32_t channels, uint8_t *to) {
  const uint8_t *red = record + 1, *green = red + PLANE, *blue = green + PLANE;
  for (int i = 0; i < PLANE; i++)
    if (channels == 1) {
      to[i] = (uint8_t)((299 * red[i] + 587 * green[i] + 114 * blue[i] + 500) / 1000);
    } else {
      to[3 * i] = red[i];
      to[3 * i + 1] = green[i];
      to[3 * i + 2] = blue[i];
    }
}

static bool fill_image(TableColumn *to, const NnrtColumn *column, const Bytes *content,
                       int64_t rows, Failure *failure) {
  uint8_t pixels[3 * PLANE];
  Picture shape, from = {pixels, SIDE, SIDE, 0};
  char declared[192];
  if (!picture_shape(&column->type, &shape) || shape.channels > 3)
    return failf(failure, "\"%s\" is %s: no picture", column->name,
                 shape_text(&column->type, declared));
  from.channels = shape.channels;
  for (int64_t i = 0; i < rows; i++) {
    shape.at = (uint8_t *)to->values + i * to->count;
    unpack(content->at + i * RECORD, shape.channels, pixels);
    if (!picture_fit(column->name, &from, column, &shape, failure))
      return false;
  }
  return true;
}

static bool fill_class(TableColumn *to, const NnrtColumn *column, const Bytes *content,
                       int64_t rows, Failure *failure) {
  char expected[64];
  for (int64_t i = 0; i < rows; i++) {
    const char *wrong = table_store(to, &column->type, i, content->at[i * RECORD], expected);
    if (wrong)
      return failf(failure, "record %lld has class %d, expected %s for \"%s\"", (long long)i,
                   content->at[i * RECORD], wrong, column->name);
  }
  return true;
}

static bool add_file(const char *path, Bytes *all, Failure *failure) {
  Bytes file = {0};
  if (!file_unpacked(path, &file, failure))
    return false;
  bool good = file.size && file.size % RECORD == 0;
  if (!good)
    failf(failure, "%s: has %zu bytes, no multiple of the %d of a CIFAR-10 record", path, file.size,
          RECORD);
  uint8_t *more = good ? realloc(all->at, all->size + file.size) : NULL;
  if (good && !more)
    good = failf(failure, "%s: not enough memory", path);
  if (more) {
    memcpy(more + all->size, file.at, file.size);
    *all = (Bytes){more, all->size + file.size};
  }
  free(file.at);
  return good;
}

bool cifar_load(Table *table, const NnrtSource *source, const TableRequest *request,
                Failure *failure) {
  Bytes all = {0};
  bool good = true;
  for (uint32_t i = 0; good && i < source->n_file; i++) {
    char *path = NULL;
    good = request_path(request, source->file[i], &path, failure) && add_file(path, &all, failure);
    free(path);
  }
  int64_t rows = (int64_t)(all.size / RECORD);
  good = good && table_allocate(table, request, rows, failure);
  for (uint32_t i = 0; good && i < request->n_column; i++) {
    TableColumn *to = &table->column[i];
    const NnrtColumn *column = &request->column[i];
    if (to->values)
      good = column->header && !strcmp(column->header, "class")
                 ? fill_class(to, column, &all, rows, failure)
                 : fill_image(to, column, &all, rows, failure);
  }
  free(all.at);
  return good;
}
