// Text to cells, words and characters: what the compiler counts in a file and what the trainer
// reads from it are cut by the same functions. Nothing is copied; a cell points into the text.
#ifndef NNRT_TEXT_H
#define NNRT_TEXT_H

#include "nnrt.h"

typedef struct {
  const char *at;
  size_t length;
} NnrtCell;

typedef enum { NNRT_ONE_CELL, NNRT_NO_CELL, NNRT_OPEN_QUOTE, NNRT_AFTER_QUOTE } NnrtCellStatus;

// The next cell of the line that ends at `end`, blanks around it and quotes taken off (doubled
// quotes stay doubled). *at: where to go on; NULL after the last cell. A separator of ' ' is any
// number of blanks and tabs.
NnrtCellStatus nnrt_next_cell(const NnrtSource *source, const char **at, const char *end,
                              NnrtCell *cell);
// The next line that isn't empty, without its end; false if there is none. lines: counts all.
bool nnrt_next_line(const char **at, const char *end, NnrtCell *line, int64_t *lines);
// Decimal text of exactly `length` bytes, nothing around it: no hex, inf or nan.
bool nnrt_is_number(const NnrtCell *cell);
bool nnrt_is_missing(const NnrtSource *source, const NnrtCell *cell);

// The next token by `split` (NnrtSplit); false at the end. Words are runs of letters, digits and
// apostrophes (none in front), bytes above 127 being letters; characters are those of UTF-8, and
// single bytes where the text is none.
bool nnrt_next_token(uint32_t split, const char **at, const char *end, NnrtCell *token);
// The first byte that no UTF-8 character begins or goes on with, or NULL.
const char *nnrt_not_utf8(const char *at, const char *end);
char nnrt_lower(char c); // A to Z
uint64_t nnrt_text_hash(const NnrtCell *cell, bool lower);
bool nnrt_text_equal(const NnrtCell *x, const NnrtCell *y, bool lower); // y is lower already

#endif
