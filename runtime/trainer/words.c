// The words of a column: names of classes, numbers that words stand for, vocabularies. A cell's
// text is looked up in a hash table that is made when the rows are read.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

int64_t column_cells(const NnrtColumn *column) {
  return column->words.coding == NNRT_AS_TOKENS ? 1 : type_elements(&column->type);
}

bool words_open(WordIndex *index, const NnrtWords *list, Failure *failure) {
  uint64_t slots = 16;
  while (slots < (uint64_t)list->n_word * 2)
    slots *= 2;
  *index = (WordIndex){.list = list, .mask = slots - 1};
  index->word = malloc((list->n_word + 1) * sizeof *index->word);
  index->slot = calloc(slots, sizeof *index->slot);
  if (!index->word || !index->slot)
    return failf(failure, "not enough memory for %u words", list->n_word);
  const char *at = list->words;
  for (uint32_t i = 0; i < list->n_word; i++) {
    index->word[i] = (NnrtCell){at, strlen(at)};
    uint64_t h = nnrt_text_hash(&index->word[i], false);
    while (index->slot[h & index->mask])
      h++;
    index->slot[h & index->mask] = i + 1;
    at += index->word[i].length + 1;
  }
  return true;
}

void words_close(WordIndex *index) {
  free(index->word);
  free(index->slot);
}

// The number of the word, or -1.
static int64_t find(const WordIndex *index, const NnrtCell *cell) {
  bool lower = index->list->lower;
  for (uint64_t h = nnrt_text_hash(cell, lower);; h++) {
    uint32_t k = index->slot[h & index->mask];
    if (!k)
      return -1;
    if (nnrt_text_equal(cell, &index->word[k - 1], lower))
      return k - 1;
  }
}

const char *words_value(const WordIndex *index, const NnrtCell *cell, bool missing, double *value) {
  const NnrtWords *list = index->list;
  if (list->coding == NNRT_AS_LENGTH) {
    const char *at = cell->at;
    NnrtCell token;
    for (*value = 0; *value < (double)list->most &&
                     nnrt_next_token(list->split, &at, cell->at + cell->length, &token);)
      ++*value;
    return NULL;
  }
  int64_t k = find(index, cell);
  *value = k < 0 ? NAN : list->coding == NNRT_AS_CODE ? list->code[k] : (double)k;
  if (k >= 0 || missing)
    return NULL;
  return list->coding == NNRT_AS_CODE ? "one of the words of recode"
                                      : "one of the names that the program knows";
}

static const char *store_token(const WordIndex *index, const NnrtCell *token, TableColumn *column,
                               const NnrtColumn *as, int64_t i, char expected[64]) {
  int64_t k = find(index, token);
  return table_store(column, &as->type, i, k < 0 ? 1 : (double)k + 2, expected);
}

// The last `count` tokens where padding stands in front, else the first.
const char *words_tokens(const WordIndex *index, const NnrtCell *cell, TableColumn *column,
                         const NnrtColumn *as, int64_t row, char expected[64]) {
  const char *at = cell->at, *end = at + cell->length;
  uint32_t split = index->list->split;
  NnrtCell token;
  int64_t total = 0, first = row * column->count, skip = 0, pad = 0;
  while (nnrt_next_token(split, &at, end, &token))
    total++;
  if (index->list->pad_front) {
    skip = total > column->count ? total - column->count : 0;
    pad = total < column->count ? column->count - total : 0;
  }
  const char *wrong = NULL;
  for (int64_t i = 0; i < column->count && !wrong; i++)
    wrong = table_store(column, &as->type, first + i, 0, expected);
  at = cell->at;
  for (int64_t i = 0;
       !wrong && i - skip + pad < column->count && nnrt_next_token(split, &at, end, &token); i++)
    if (i >= skip)
      wrong = store_token(index, &token, column, as, first + i - skip + pad, expected);
  return wrong;
}

// ---- Windows of one text ----------------------------------------------------------------------

static bool spell(const WordIndex *index, const char *path, const Bytes *file, TableColumn *column,
                  const NnrtColumn *as, int64_t *rows, Failure *failure) {
  const char *start = (const char *)file->at, *at = start, *end = at + file->size;
  NnrtCell token;
  char expected[64];
  for (*rows = 0; nnrt_next_token(index->list->split, &at, end, &token); ++*rows) {
    int64_t k = find(index, &token);
    if (k < 0)
      return failf(failure,
                   "%s: \"%.*s\" at byte %lld is not among the %u characters that the "
                   "program knows",
                   path, (int)token.length, token.at, (long long)(token.at - start),
                   index->list->n_word);
    if (table_store(column, &as->type, *rows, (double)k, expected))
      return failf(failure, "%s: more characters than the index has values", path);
  }
  return true;
}

static bool text_column(Table *table, const char *path, const Bytes *file, uint32_t i,
                        const NnrtColumn *as, int64_t *rows, Failure *failure) {
  WordIndex index = {0};
  bool good = words_open(&index, &as->words, failure) &&
              spell(&index, path, file, &table->column[i], as, rows, failure);
  words_close(&index);
  return good;
}

static bool text_rows(Table *table, const NnrtSource *source, const TableRequest *request,
                      const char *path, const Bytes *file, Failure *failure) {
  NnrtColumn *column = calloc(request->n_column + 1, sizeof *column);
  TableRequest single = *request;
  int64_t rows = 0;
  if (!column)
    return failf(failure, "not enough memory for the columns of %s", request->data_name);
  for (uint32_t i = 0; i < request->n_column; i++) {
    column[i] = request->column[i];
    column[i].type.rank = 0;
  }
  single.column = column;
  bool good = table_allocate(table, &single, (int64_t)file->size, failure);
  for (uint32_t i = 0; good && i < request->n_column; i++)
    if (table->column[i].values)
      good = text_column(table, path, file, i, &column[i], &rows, failure);
  table->rows = rows;
  free(column);
  return good && table_windows(table, source, request, failure);
}

bool text_load(Table *table, const NnrtSource *source, const TableRequest *request,
               Failure *failure) {
  char *path = NULL;
  Bytes file = {0};
  bool good = request_path(request, source->file[0], &path, failure) &&
              file_unpacked(path, &file, failure) &&
              text_rows(table, source, request, path, &file, failure);
  free(file.at);
  free(path);
  return good;
}
