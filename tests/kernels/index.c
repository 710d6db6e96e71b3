// gather, scatter_add and add_rows: odd widths, both types of index, numbers that are no row,
// ranges of owners.
#include "test.h"
#include "../../runtime/kernels/index.c"

enum { ROWS = 11, COUNT = 40, WIDEST = 33 };
static float table[ROWS * WIDEST], update[COUNT * WIDEST];
static int32_t whole[COUNT];
static uint8_t bytes[COUNT];
static int failed;

static bool gathered(bool by_bytes, int64_t width) {
  float out[COUNT * WIDEST + 1];
  for (int i = 0; i < COUNT * WIDEST + 1; i++)
    out[i] = -5;
  union {
    float f;
    uint32_t u;
  } nan = {NAN};
  nnrt_gather_32(table, ROWS, by_bytes ? (const void *)bytes : whole, by_bytes, width, nan.u, out,
                 2, COUNT - 1);
  for (int64_t i = 0; i < COUNT; i++)
    for (int64_t k = 0; k < width; k++) {
      int64_t row = by_bytes ? bytes[i] : whole[i];
      float got = out[i * width + k];
      bool no_row = row < 0 || row >= ROWS;
      if (i < 2 || i >= COUNT - 1 ? got != -5
          : no_row                ? !isnan(got)
                                  : got != table[row * width + k])
        return false;
    }
  return true;
}

static bool scattered(bool by_bytes, int64_t width) {
  float out[ROWS * WIDEST];
  const void *index = by_bytes ? (const void *)bytes : whole;
  for (int i = 0; i < ROWS * WIDEST; i++)
    out[i] = NAN;
  nnrt_scatter_add_f32(index, by_bytes, COUNT, update, width, out, 0, 4); // two owners
  nnrt_scatter_add_f32(index, by_bytes, COUNT, update, width, out, 4, ROWS);
  for (int64_t row = 0; row < ROWS; row++)
    for (int64_t k = 0; k < width; k++) {
      float sum = 0;
      for (int64_t i = 0; i < COUNT; i++)
        sum += (by_bytes ? bytes[i] : whole[i]) == row ? update[i * width + k] : 0;
      if (out[row * width + k] != sum)
        return false;
    }
  return true;
}

static bool added(bool by_bytes, int64_t width, bool in_place) {
  float out[ROWS * WIDEST];
  const void *index = by_bytes ? (const void *)bytes : whole;
  for (int i = 0; i < ROWS * WIDEST; i++)
    out[i] = in_place ? table[i] : NAN;
  const float *from = in_place ? out : table;
  nnrt_add_rows_f32(from, index, by_bytes, COUNT, update, width, out, 4, ROWS); // two owners
  nnrt_add_rows_f32(from, index, by_bytes, COUNT, update, width, out, 0, 4);
  for (int64_t row = 0; row < ROWS; row++)
    for (int64_t k = 0; k < width; k++) {
      float sum = table[row * width + k];
      for (int64_t i = 0; i < COUNT; i++)
        if ((by_bytes ? bytes[i] : whole[i]) == row)
          sum += update[i * width + k];
      if (out[row * width + k] != sum)
        return false;
    }
  return true;
}

int main(void) {
  if (!test_can_run("index"))
    return 0;
  uint64_t state = 3;
  for (int i = 0; i < ROWS * WIDEST; i++)
    table[i] = (float)test_random(&state);
  for (int i = 0; i < COUNT * WIDEST; i++)
    update[i] = (float)test_random(&state);
  for (int i = 0; i < COUNT; i++) {
    bytes[i] = (uint8_t)(test_random(&state) * (ROWS + 1));
    whole[i] = i == 5   ? -1
               : i == 6 ? INT32_MIN
               : i == 7 ? INT32_MAX
                        : (int32_t)(test_random(&state) * (ROWS + 1));
  }
  static const int64_t widths[] = {1, 2, 15, 16, 17, WIDEST};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
      bool g = gathered(by_bytes, widths[i]), s = scattered(by_bytes, widths[i]);
      bool a = added(by_bytes, widths[i], false) && added(by_bytes, widths[i], true);
      const char *type = by_bytes ? "u8" : "i32";
      printf(g ? "PASS index-v%d/gather-%s-%d\n" : "FAIL index-v%d/gather-%s-%d: differs\n",
             NNRT_LEVEL, type, (int)widths[i]);
      printf(s ? "PASS index-v%d/scatter-%s-%d\n" : "FAIL index-v%d/scatter-%s-%d: differs\n",
             NNRT_LEVEL, type, (int)widths[i]);
      printf(a ? "PASS index-v%d/add-%s-%d\n" : "FAIL index-v%d/add-%s-%d: differs\n", NNRT_LEVEL,
             type, (int)widths[i]);
      failed += !g + !s + !a;
    }
  return failed != 0;
}
