// Named tensors in memory: opened by their content, found by name, their values made f32 in our
// order of axes.
#include <stdlib.h>
#include <string.h>
#include "tensors.h"

size_t dtype_bytes(const char *dtype) {
  static const struct {
    const char *name;
    size_t bytes;
  } known[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
               {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
               {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].name, dtype))
      return known[i].bytes;
  return 0;
}

bool dtype_is_float(const char *dtype) {
  return !strcmp(dtype, "F16") || !strcmp(dtype, "BF16") || !strcmp(dtype, "F32") ||
         !strcmp(dtype, "F64");
}

// ---- Files ------------------------------------------------------------------------------------

static int by_name(const void *a, const void *b) {
  return strcmp(((const StoredTensor *)a)->name, ((const StoredTensor *)b)->name);
}

bool tensors_sort(TensorFile *tensors, const char *path, Failure *failure) {
  qsort(tensors->at, tensors->n, sizeof *tensors->at, by_name);
  for (size_t i = 1; i < tensors->n; i++)
    if (!strcmp(tensors->at[i - 1].name, tensors->at[i].name))
      return failf(failure, "%s: tensor \"%s\" is there twice", path, tensors->at[i].name);
  return true;
}

const StoredTensor *tensors_find(const TensorFile *tensors, const char *name) {
  StoredTensor key = {.name = (char *)(uintptr_t)name};
  return tensors->n ? bsearch(&key, tensors->at, tensors->n, sizeof key, by_name) : NULL;
}

bool tensors_open(TensorFile *tensors, const char *path, Failure *failure) {
  *tensors = (TensorFile){0};
  if (!file_read(path, &tensors->file, failure)) {
    tensors->file.at = NULL;
    return false;
  }
  return npz_is(&tensors->file) ? npz_list(tensors, path, failure)
                                : safetensors_list(tensors, path, failure);
}

void tensors_close(TensorFile *tensors) {
  for (size_t i = 0; i < tensors->n; i++)
    free(tensors->at[i].name);
  for (size_t i = 0; i < tensors->n_unpacked; i++)
    free(tensors->unpacked[i]);
  free(tensors->unpacked);
  free(tensors->at);
  free(tensors->file.at);
  *tensors = (TensorFile){0};
}

// ---- Axes -------------------------------------------------------------------------------------

// Which axis of the file is axis `i` of ours: filters (and outputs) first become last, places come
// first: OIHW to HWIO, OIL to LIO, OI to IO.
static uint32_t axis_from(uint32_t layout, uint32_t rank, uint32_t i) {
  if (layout != NNRT_LAYOUT_OIHW || rank < 2)
    return i;
  return i + 2 < rank ? i + 2 : i + 2 == rank ? 1 : 0;
}

void tensor_shape(const StoredTensor *tensor, uint32_t layout, int64_t dim[NNRT_MAX_RANK]) {
  for (uint32_t i = 0; i < tensor->rank; i++)
    dim[i] = tensor->dim[axis_from(layout, tensor->rank, i)];
}

// ---- Values -----------------------------------------------------------------------------------

static double half_value(uint16_t bits) {
  int exponent = bits >> 10 & 31;
  double fraction = bits & 1023, value;
  if (exponent == 31)
    value = fraction != 0 ? __builtin_nan("") : __builtin_inf();
  else if (exponent)
    value = (1 + fraction / 1024) * (exponent >= 15 ? (double)(1 << (exponent - 15))
                                                    : 1.0 / (double)(1 << (15 - exponent)));
  else
    value = fraction / 16777216; // 2^-24
  return bits >> 15 ? -value : value;
}

typedef enum { READ_F16, READ_BF16, READ_F32, READ_F64 } Reader;

static double value_at(const uint8_t *at, Reader reader, size_t i) {
  uint16_t half;
  float single;
  double full;
  switch (reader) {
  case READ_F16:
    memcpy(&half, at + 2 * i, 2);
    return half_value(half);
  case READ_BF16:
    memcpy(&half, at + 2 * i, 2);
    uint32_t wide = (uint32_t)half << 16;
    memcpy(&single, &wide, 4);
    return (double)single;
  case READ_F32:
    memcpy(&single, at + 4 * i, 4);
    return (double)single;
  case READ_F64:
    break;
  }
  memcpy(&full, at + 8 * i, 8);
  return full;
}

static Reader reader_of(const char *dtype) {
  return !strcmp(dtype, "F16")    ? READ_F16
         : !strcmp(dtype, "BF16") ? READ_BF16
         : !strcmp(dtype, "F64")  ? READ_F64
                                  : READ_F32;
}

void tensor_values(const StoredTensor *tensor, uint32_t layout, double scale, float *to) {
  uint32_t rank = tensor->rank;
  int64_t step[NNRT_MAX_RANK] = {0}, dim[NNRT_MAX_RANK] = {1}, at[NNRT_MAX_RANK] = {0};
  int64_t own[NNRT_MAX_RANK], count = 1; // elements from one to the next along the file's axes
  for (uint32_t k = 0; k < rank; k++) {
    uint32_t axis = tensor->columns ? k : rank - 1 - k;
    own[axis] = count;
    count *= tensor->dim[axis];
  }
  tensor_shape(tensor, layout, dim);
  for (uint32_t i = 0; i < rank; i++)
    step[i] = own[axis_from(layout, rank, i)];
  Reader reader = reader_of(tensor->dtype);
  int64_t from = 0;
  for (int64_t i = 0; i < count; i++) {
    to[i] = (float)(value_at(tensor->at, reader, (size_t)from) * scale);
    for (uint32_t axis = rank; axis-- > 0;) {
      from += step[axis];
      if (++at[axis] < dim[axis])
        break;
      from -= step[axis] * dim[axis];
      at[axis] = 0;
    }
  }
}
