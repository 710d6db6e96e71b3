// Cells of csv lines, words and characters of texts, for the compiler and the trainer alike.
#include <string.h>
#include "nnrt_text.h"

static bool is_blank(const NnrtSource *source, char c) {
  return (c == ' ' || c == '\t') && (c != source->separator || c == ' ');
}

static bool ends_cell(const NnrtSource *source, char c) {
  return c == source->separator || (source->separator == ' ' && c == '\t');
}

// From the opening quote to behind the closing one, or NULL.
static const char *quoted_end(const char *at, const char *end) {
  for (at++; at < end; at++) {
    if (*at == '"' && (at + 1 == end || at[1] != '"'))
      return at + 1;
    at += *at == '"';
  }
  return NULL;
}

static const char *skip_blanks(const NnrtSource *source, const char *at, const char *end) {
  while (at < end && is_blank(source, *at))
    at++;
  return at;
}

// `at` is behind a cell: where the next one begins.
static const char *after_cell(const NnrtSource *source, const char *at, const char *end) {
  if (source->separator == ' ') {
    at = skip_blanks(source, at, end);
    return at < end ? at : NULL;
  }
  return at < end ? at + 1 : NULL;
}

NnrtCellStatus nnrt_next_cell(const NnrtSource *source, const char **at, const char *end,
                              NnrtCell *cell) {
  if (!*at)
    return NNRT_NO_CELL;
  const char *from = skip_blanks(source, *at, end), *to = from;
  if (from < end && *from == '"' && !source->no_quotes) {
    const char *close = quoted_end(from, end), *after = close;
    if (!close)
      return NNRT_OPEN_QUOTE;
    if (source->separator != ' ')
      after = skip_blanks(source, close, end);
    if (after < end && !ends_cell(source, *after))
      return NNRT_AFTER_QUOTE;
    *cell = (NnrtCell){from + 1, (size_t)(close - from) - 2};
    *at = after_cell(source, after, end);
    return NNRT_ONE_CELL;
  }
  while (to < end && !ends_cell(source, *to))
    to++;
  *at = after_cell(source, to, end);
  while (to > from && is_blank(source, to[-1]))
    to--;
  *cell = (NnrtCell){from, (size_t)(to - from)};
  return NNRT_ONE_CELL;
}

bool nnrt_next_line(const char **at, const char *end, NnrtCell *line, int64_t *lines) {
  while (*at < end) {
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    const char *from = *at, *to = newline ? newline : end;
    *at = newline ? newline + 1 : end;
    ++*lines;
    if (to > from && to[-1] == '\r')
      to--;
    if (to > from) {
      *line = (NnrtCell){from, (size_t)(to - from)};
      return true;
    }
  }
  return false;
}

static const char *skip_digits(const char *at, const char *end) {
  while (at < end && *at >= '0' && *at <= '9')
    at++;
  return at;
}

bool nnrt_is_number(const NnrtCell *cell) {
  const char *at = cell->at, *end = at + cell->length;
  if (at < end && (*at == '+' || *at == '-'))
    at++;
  const char *whole = at;
  at = skip_digits(at, end);
  bool digits = at > whole;
  if (at < end && *at == '.') {
    const char *fraction = ++at;
    at = skip_digits(at, end);
    digits |= at > fraction;
  }
  if (!digits)
    return false;
  if (at < end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at < end && (*at == '+' || *at == '-'))
      at++;
    const char *exponent = at;
    at = skip_digits(at, end);
    if (at == exponent)
      return false;
  }
  return at == end;
}

bool nnrt_is_missing(const NnrtSource *source, const NnrtCell *cell) {
  return source->missing && (!cell->length || (cell->length == strlen(source->missing) &&
                                               !memcmp(cell->at, source->missing, cell->length)));
}

// ---- Tokens -----------------------------------------------------------------------------------

static bool in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '\'' ||
         (unsigned char)c >= 128;
}

// Bytes of the UTF-8 character that begins here, 1 if none does.
static size_t character_length(const char *at, const char *end) {
  unsigned char c = (unsigned char)*at;
  size_t n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
  if (c >= 0xf8 || (size_t)(end - at) < n)
    return 1;
  for (size_t i = 1; i < n; i++)
    if (((unsigned char)at[i] & 0xc0) != 0x80)
      return 1;
  return n;
}

bool nnrt_next_token(uint32_t split, const char **at, const char *end, NnrtCell *token) {
  const char *from = *at, *to;
  if (split == NNRT_WORDS)
    while (from < end && (!in_word(*from) || *from == '\''))
      from++;
  if (from == end) {
    *at = end;
    return false;
  }
  to = from;
  if (split == NNRT_WORDS)
    while (to < end && in_word(*to))
      to++;
  else
    to += character_length(from, end);
  *token = (NnrtCell){from, (size_t)(to - from)};
  *at = to;
  return true;
}

const char *nnrt_not_utf8(const char *at, const char *end) {
  while (at < end) {
    size_t n = character_length(at, end);
    if (n == 1 && (unsigned char)*at >= 128)
      return at;
    at += n;
  }
  return NULL;
}

char nnrt_lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

uint64_t nnrt_text_hash(const NnrtCell *cell, bool lower) { // FNV-1a
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < cell->length; i++)
    h = (h ^ (unsigned char)(lower ? nnrt_lower(cell->at[i]) : cell->at[i])) * 1099511628211u;
  return h;
}

bool nnrt_text_equal(const NnrtCell *x, const NnrtCell *y, bool lower) {
  if (x->length != y->length)
    return false;
  for (size_t i = 0; i < x->length; i++)
    if ((lower ? nnrt_lower(x->at[i]) : x->at[i]) != y->at[i])
      return false;
  return true;
}
