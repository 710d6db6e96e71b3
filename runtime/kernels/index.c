// Rows of tables by their numbers: gather and scatter_add. Numbers that are no row give NaN (0
// where elements are whole), and are left out of sums: nothing outside a table is read or written.
#include "kernel.h"

KERNEL int64_t row_number(const void *index, bool bytes, int64_t i) {
  return bytes ? ((const uint8_t *)index)[i] : ((const int32_t *)index)[i];
}

EXPORT void nnrt_gather_32(const void *table, int64_t rows, const void *index, bool index_bytes,
                           int64_t width, uint32_t missing, void *out, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    int64_t row = row_number(index, index_bytes, i);
    const uint32_t *in = (const uint32_t *)table + row * width;
    uint32_t *at = (uint32_t *)out + i * width;
    if (row < 0 || row >= rows)
      for (int64_t k = 0; k < width; k++)
        at[k] = missing;
    else
      for (int64_t k = 0; k < width; k++)
        at[k] = in[k];
  }
}

// In order: the owner of a row adds it up alone.
KERNEL void add_own_rows(const void *index, bool index_bytes, int64_t count, const float *update,
                         int64_t width, float *out, int64_t row0, int64_t row1) {
  for (int64_t i = 0; i < count; i++) {
    int64_t row = row_number(index, index_bytes, i);
    if (row >= row0 && row < row1)
      for (int64_t k = 0; k < width; k++)
        out[row * width + k] += update[i * width + k];
  }
}

EXPORT void nnrt_scatter_add_f32(const void *index, bool index_bytes, int64_t count,
                                 const float *update, int64_t width, float *out, int64_t row0,
                                 int64_t row1) {
  for (int64_t k = row0 * width; k < row1 * width; k++)
    out[k] = 0;
  add_own_rows(index, index_bytes, count, update, width, out, row0, row1);
}

// table may be out: then other rows aren't touched.
EXPORT void nnrt_add_rows_f32(const float *table, const void *index, bool index_bytes,
                              int64_t count, const float *update, int64_t width, float *out,
                              int64_t row0, int64_t row1) {
  for (int64_t k = row0 * width; table != out && k < row1 * width; k++)
    out[k] = table[k];
  add_own_rows(index, index_bytes, count, update, width, out, row0, row1);
}
