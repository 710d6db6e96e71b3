// Failures, growing strings, numbers as text, and memory: what every part of the trainer uses.
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "trainer.h"

bool failf(Failure *failure, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(failure->text, sizeof failure->text, format, args);
  va_end(args);
  return false;
}

static bool string_reserve(String *string, size_t more) {
  if (string->no_memory)
    return false;
  if (string->capacity - string->length > more)
    return true;
  size_t capacity = string->capacity ? string->capacity : 256;
  while (capacity - string->length <= more && capacity < SIZE_MAX / 2)
    capacity *= 2;
  char *at = realloc(string->at, capacity);
  if (!at) {
    string->no_memory = true;
    return false;
  }
  string->at = at;
  string->capacity = capacity;
  return true;
}

void string_printf(String *string, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length >= 0 && string_reserve(string, (size_t)length + 1)) {
    vsnprintf(string->at + string->length, (size_t)length + 1, format, again);
    string->length += (size_t)length;
  }
  va_end(again);
}

static void put_bytes(String *string, const char *text, size_t length) {
  if (!string_reserve(string, length + 1))
    return;
  memcpy(string->at + string->length, text, length);
  string->length += length;
  string->at[string->length] = 0;
}

void string_put(String *string, const char *text) {
  put_bytes(string, text, strlen(text));
}

void string_put_json(String *string, const char *text) {
  put_bytes(string, "\"", 1);
  for (const char *c = text; *c; c++) {
    if (*c == '"' || *c == '\\')
      string_printf(string, "\\%c", *c);
    else if ((unsigned char)*c < 0x20)
      string_printf(string, "\\u%04x", (unsigned)(unsigned char)*c);
    else
      put_bytes(string, c, 1);
  }
  put_bytes(string, "\"", 1);
}

void string_put_json_number(String *string, double value) {
  if (isfinite(value))
    string_printf(string, "%.9g", value);
  else
    string_put(string, "null");
}

void string_put_count(String *string, int64_t value) {
  char digits[NUMBER_TEXT];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)value);
  for (int i = 0; i < length; i++) {
    put_bytes(string, &digits[i], 1);
    int left = length - 1 - i;
    if (left > 0 && left % 3 == 0 && digits[i] != '-')
      put_bytes(string, ",", 1);
  }
}

void string_put_csv(String *string, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    string_put(string, text);
    return;
  }
  put_bytes(string, "\"", 1);
  for (const char *c = text; *c; c++)
    put_bytes(string, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
  put_bytes(string, "\"", 1);
}

void string_clear(String *string) {
  string->length = 0;
  if (string->at)
    string->at[0] = 0;
}

void string_free(String *string) {
  free(string->at);
  *string = (String){0};
}

char *figure_text(double value, char text[NUMBER_TEXT]) {
  double size = fabs(value);
  const char *format = "%.4f";
  if (!isfinite(value) || (size > 0 && size < 1e-3) || size >= 1e6)
    format = "%.4g";
  else if (size >= 1000)
    format = "%.1f";
  else if (size >= 10)
    format = "%.3f";
  snprintf(text, NUMBER_TEXT, format, value);
  return text;
}

char *shape_text(const NnrtType *type, char text[192]) {
  if (!type->rank) {
    strcpy(text, "one number");
    return text;
  }
  size_t length = 0;
  for (uint32_t i = 0; i < type->rank; i++)
    length += (size_t)snprintf(text + length, 192 - length, "%s%lld", i ? "x" : "",
                               (long long)type->dim[i]);
  return text;
}

// Powers of ten that are exact in double: a number of at most 15 digits times or over one of them
// is correctly rounded. Everything else goes the slow way.
static double power_of_ten(int exponent) {
  static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  return power[exponent];
}

static bool parse_slowly(const char *text, size_t length, double *value) {
  char copy[512], *end;
  if (length >= sizeof copy)
    return false;
  memcpy(copy, text, length);
  copy[length] = 0;
  *value = strtod(copy, &end);
  return end == copy + length && isfinite(*value);
}

bool parse_number(const char *text, size_t length, double *value) {
  const char *at = text, *end = text + length;
  bool negative = at < end && *at == '-';
  if (at < end && (*at == '-' || *at == '+'))
    at++;
  uint64_t mantissa = 0;
  int digits = 0, exponent = 0, significant = 0;
  for (bool point = false; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !point));
       at++) {
    if (*at == '.') {
      point = true;
      continue;
    }
    digits = 1;
    if (mantissa || *at != '0')
      significant++;
    if (significant <= 15)
      mantissa = mantissa * 10 + (uint64_t)(*at - '0');
    exponent -= point;
  }
  if (!digits)
    return false;
  if (at < end && (*at == 'e' || *at == 'E')) {
    at++;
    bool down = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
      at++;
    if (at == end)
      return false;
    int written = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
      written = written < 100000 ? written * 10 + (*at - '0') : written;
    exponent += down ? -written : written;
  }
  if (at != end)
    return false;
  if (significant > 15 || exponent < -22 || exponent > 22)
    return parse_slowly(text, length, value);
  double size = (double)mantissa;
  size = exponent < 0 ? size / power_of_ten(-exponent) : size * power_of_ten(exponent);
  *value = negative ? -size : size;
  return true;
}

bool parse_integer(const char *text, int64_t min, int64_t max, int64_t *value) {
  char *end;
  errno = 0;
  long long read = strtoll(text, &end, 10);
  if (end == text || *end || errno || *text == ' ' || read < min || read > max)
    return false;
  *value = read;
  return true;
}

// Edits (insert, remove, change, swap neighbours) between two short names.
static size_t edit_distance(const char *a, const char *b) {
  enum { LONGEST = 64 };
  size_t n = strlen(a), m = strlen(b), row[3][LONGEST + 1];
  if (n > LONGEST || m > LONGEST)
    return LONGEST;
  for (size_t j = 0; j <= m; j++)
    row[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *now = row[i % 3], *up = row[(i - 1) % 3], *upper = row[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
      best = up[j] + 1 < best ? up[j] + 1 : best;
      best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && upper[j - 2] + 1 < best)
        best = upper[j - 2] + 1;
      now[j] = best;
    }
  }
  return row[n % 3][m];
}

const char *closest_name(const char *name, const char *const *names, size_t count) {
  const char *closest = NULL;
  size_t least = strlen(name) / 3 + 2; // fewer edits than this are a slip
  for (size_t i = 0; i < count; i++) {
    size_t distance = edit_distance(name, names[i]);
    if (distance < least) {
      least = distance;
      closest = names[i];
    }
  }
  return closest;
}

// Large blocks ask for huge pages: a pass over the weights looks up fewer addresses.
void *allocate(int64_t count, size_t item, const char *what, Failure *failure) {
  enum { HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE };
  size_t size;
  void *at = NULL;
  if (count < 0 || __builtin_mul_overflow((size_t)count, item, &size) ||
      size > PTRDIFF_MAX - 2 * HUGE_PAGE ||
      posix_memalign(&at, size < LARGE ? NNRT_ALIGN : HUGE_PAGE,
                     (size + 2 * NNRT_ALIGN - 1) / NNRT_ALIGN * NNRT_ALIGN) != 0) {
    failf(failure, "not enough memory for %s (%lld x %zu bytes)", what, (long long)count, item);
    return NULL;
  }
  if (size >= LARGE)
    madvise(at, size, MADV_HUGEPAGE);
  memset(at, 0, size + NNRT_ALIGN);
  return at;
}

int64_t type_elements(const NnrtType *type) {
  int64_t count = 1;
  for (uint32_t i = 0; i < type->rank; i++)
    count *= type->dim[i] < 0 ? -type->dim[i] : type->dim[i];
  return count;
}

size_t elem_bytes(uint32_t elem) {
  static const uint8_t bytes[] = {[NNRT_F32] = 4, [NNRT_F64] = 8, [NNRT_BF16] = 2,
                                  [NNRT_I32] = 4, [NNRT_U8] = 1,  [NNRT_BOOL] = 1};
  return bytes[elem];
}

const char *elem_text(uint32_t elem) {
  static const char *const text[] = {[NNRT_F32] = "F32", [NNRT_F64] = "F64", [NNRT_BF16] = "BF16",
                                     [NNRT_I32] = "I32", [NNRT_U8] = "U8",   [NNRT_BOOL] = "BOOL"};
  return text[elem];
}

double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
