// idx files (MNIST's format), plain or gzipped: two zero bytes, a type, a rank, big-endian sizes,
// then the values. One file per record part; row i of the data is row i of every file. Joined
// sources have several such sets of files, one after the other.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { IDX_U8 = 8, IDX_I8 = 9, IDX_I16 = 11, IDX_I32 = 12, IDX_F32 = 13, IDX_F64 = 14 };

typedef struct {
  const char *path;
  uint32_t type, rank;
  uint32_t size[NNRT_MAX_RANK + 1];
  Bytes file;    // as on the disk
  Bytes content; // unpacked: header and values
  size_t header; // bytes
  size_t row;    // values per row
  bool given;    // a column owns the content now
} Idx;

static size_t value_bytes(uint32_t type) {
  switch (type) {
  case IDX_U8:
  case IDX_I8:
    return 1;
  case IDX_I16:
    return 2;
  case IDX_I32:
  case IDX_F32:
    return 4;
  case IDX_F64:
    return 8;
  }
  return 0;
}

static uint64_t big_endian(const uint8_t *at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++)
    value = value << 8 | at[i];
  return value;
}

bool idx_is(const Bytes *bytes) {
  return bytes->size >= 4 && !bytes->at[0] && !bytes->at[1] && value_bytes(bytes->at[2]) &&
         bytes->at[3];
}

// The first `want` bytes of the content, packed or not.
static bool read_content(Idx *idx, size_t want, bool *complete, Failure *failure) {
  if (gzip_is(&idx->file)) {
    if (idx->content.at != idx->file.at)
      free(idx->content.at);
    idx->content = (Bytes){0};
    bool good = gzip_inflate(idx->path, &idx->file, want, &idx->content, complete, failure);
    if (!good)
      idx->content = (Bytes){0};
    return good;
  }
  idx->content = idx->file;
  *complete = idx->file.size <= want;
  return true;
}

static bool read_header(Idx *idx, Failure *failure) {
  bool complete;
  if (!read_content(idx, 4 + 4 * 255, &complete, failure))
    return false;
  const Bytes *head = &idx->content;
  if (head->size < 4)
    return failf(failure,
                 "%s: has %zu bytes, expected an idx file, which begins with 4 bytes of "
                 "type and rank",
                 idx->path, head->size);
  if (!idx_is(head))
    return failf(failure,
                 "%s: begins with bytes %02x %02x %02x %02x, which is no idx file (expected "
                 "00 00, a type 08, 09, 0b to 0e, and a rank)",
                 idx->path, head->at[0], head->at[1], head->at[2], head->at[3]);
  idx->type = head->at[2];
  idx->rank = head->at[3];
  if (idx->rank > NNRT_MAX_RANK + 1)
    return failf(failure, "%s: the header says rank %u, at most %d is read", idx->path, idx->rank,
                 NNRT_MAX_RANK + 1);
  idx->header = 4 + 4 * (size_t)idx->rank;
  if (head->size < idx->header)
    return failf(failure, "%s: ends within its header: %zu bytes, rank %u needs %zu", idx->path,
                 head->size, idx->rank, idx->header);
  for (uint32_t i = 0; i < idx->rank; i++)
    idx->size[i] = (uint32_t)big_endian(head->at + 4 + 4 * i, 4);
  return true;
}

static void sizes_text(const Idx *idx, uint32_t from, char text[160]) {
  size_t length = 0;
  text[0] = 0;
  for (uint32_t i = from; i < idx->rank; i++)
    length += (size_t)snprintf(text + length, 160 - length, "%s%" PRIu32, i > from ? "x" : "",
                               idx->size[i]);
  if (from == idx->rank)
    strcpy(text, "one number");
}

// Reads the values after checking that the file can hold what the header says.
static bool read_values(Idx *idx, Failure *failure) {
  size_t bytes = value_bytes(idx->type), total = 0;
  char sizes[160];
  sizes_text(idx, 0, sizes);
  idx->row = 1;
  bool fits = true;
  for (uint32_t i = 1; i < idx->rank; i++)
    fits = fits && !__builtin_mul_overflow(idx->row, (size_t)idx->size[i], &idx->row);
  fits = fits && !__builtin_mul_overflow(idx->row, bytes, &total) &&
         !__builtin_mul_overflow(total, (size_t)idx->size[0], &total) &&
         !__builtin_add_overflow(total, idx->header, &total) && total < PTRDIFF_MAX;
  // Deflate packs at most 1032 to 1: what claims more isn't even unpacked.
  size_t most = gzip_is(&idx->file) ? idx->file.size * 1040 : idx->file.size;
  if (!fits || total > most)
    return failf(failure, "%s: the header says %s values of %zu bytes, but the file's %zu bytes %s",
                 idx->path, sizes, bytes, idx->file.size,
                 gzip_is(&idx->file) ? "can't unpack to so many" : "end before");
  bool complete;
  if (!read_content(idx, total + 1, &complete, failure))
    return false;
  if (idx->content.size != total)
    return failf(
        failure,
        "%s: the header says %s values of %zu bytes, %zu bytes in all, but there are %s%zu",
        idx->path, sizes, bytes, total,
        gzip_is(&idx->file) && idx->content.size > total ? "at least " : "", idx->content.size);
  return true;
}

static bool idx_open(Idx *idx, const char *path, Failure *failure) {
  *idx = (Idx){.path = path};
  return file_read(path, &idx->file, failure) && read_header(idx, failure) &&
         read_values(idx, failure);
}

static void idx_close(Idx *idx);

// Puts the records of `more` behind those that there are.
static bool append(Idx *idx, const Idx *more, Failure *failure) {
  char sizes[160], others[160];
  sizes_text(idx, 1, sizes);
  sizes_text(more, 1, others);
  if (idx->type != more->type || idx->row != more->row || strcmp(sizes, others) != 0)
    return failf(failure, "%s: each row is %s of type %02x, but in %s %s of type %02x", more->path,
                 others, more->type, idx->path, sizes, idx->type);
  size_t size = more->content.size - more->header;
  uint8_t *both = allocate((int64_t)(idx->content.size + size), 1, more->path, failure);
  if (!both)
    return false;
  memcpy(both, idx->content.at, idx->content.size);
  memcpy(both + idx->content.size, more->content.at + more->header, size);
  if (idx->content.at != idx->file.at)
    free(idx->content.at);
  idx->content = (Bytes){both, idx->content.size + size};
  idx->size[0] += more->size[0];
  return true;
}

static void idx_close(Idx *idx) {
  if (idx->content.at != idx->file.at && !idx->given)
    free(idx->content.at);
  if (idx->content.at != idx->file.at || !idx->given)
    free(idx->file.at);
  *idx = (Idx){0};
}

// Rule 4: axes of length 1 may differ, nothing else.
static bool same_shape(const Idx *idx, const NnrtType *type) {
  uint32_t i = 1, j = 0;
  for (;;) {
    while (i < idx->rank && idx->size[i] == 1)
      i++;
    while (j < type->rank && type->dim[j] == 1)
      j++;
    if (i == idx->rank || j == type->rank)
      return i == idx->rank && j == type->rank;
    if ((int64_t)idx->size[i++] != type->dim[j++])
      return false;
  }
}

static double value_at(const Idx *idx, const uint8_t *at) {
  switch (idx->type) {
  case IDX_I8:
    return (int8_t)*at;
  case IDX_I16:
    return (int16_t)big_endian(at, 2);
  case IDX_I32:
    return (int32_t)big_endian(at, 4);
  case IDX_F32: {
    uint32_t bits = (uint32_t)big_endian(at, 4);
    float value;
    memcpy(&value, &bits, 4);
    return (double)value;
  }
  case IDX_F64: {
    uint64_t bits = big_endian(at, 8);
    double value;
    memcpy(&value, &bits, 8);
    return value;
  }
  }
  return *at;
}

static bool convert(Idx *idx, TableColumn *to, const NnrtColumn *column, int64_t rows,
                    Failure *failure) {
  size_t bytes = value_bytes(idx->type);
  const uint8_t *at = idx->content.at + idx->header;
  char expected[64];
  for (int64_t i = 0; i < rows * to->count; i++, at += bytes) {
    double value = value_at(idx, at);
    const char *wrong = table_store(to, &column->type, i, value, expected);
    if (wrong)
      return failf(failure, "%s: row %lld is %g, expected %s for \"%s\"", idx->path,
                   (long long)(i / to->count), value, wrong, column->name);
  }
  return true;
}

// Bytes without a range stay as they are; a batch is converted when it is gathered.
static bool keep_bytes(Idx *idx, TableColumn *to, Failure *failure) {
  to->elem = NNRT_U8;
  if (!idx->given) { // no copy: the column takes the file's memory
    idx->given = true;
    to->owner = idx->content.at;
    to->values = idx->content.at + idx->header;
    return true;
  }
  size_t size = idx->content.size - idx->header;
  to->owner = to->values = allocate((int64_t)size, 1, idx->path, failure);
  if (to->values)
    memcpy(to->values, idx->content.at + idx->header, size);
  return to->values != NULL;
}

static bool fill(Idx *idx, TableColumn *to, const NnrtColumn *column, int64_t rows,
                 Failure *failure) {
  char sizes[160], declared[192];
  if (!same_shape(idx, &column->type)) {
    sizes_text(idx, 1, sizes);
    return failf(failure, "%s: each row is %s, but \"%s\" is declared as %s", idx->path, sizes,
                 column->name, shape_text(&column->type, declared));
  }
  uint32_t elem = column->type.elem;
  if (idx->type == IDX_U8 && !column->type.range && (elem == NNRT_U8 || elem == NNRT_F32))
    return keep_bytes(idx, to, failure);
  int64_t values;
  if (__builtin_mul_overflow(rows, to->count, &values))
    values = INT64_MAX;
  to->owner = to->values = allocate(values, elem_bytes(elem), column->name, failure);
  return to->values && convert(idx, to, column, rows, failure);
}

// Fills every needed column that is this part.
static bool load_part(Table *table, Idx *idx, uint32_t part, const TableRequest *request,
                      const char *first_path, Failure *failure) {
  if (!first_path)
    table->rows = idx->size[0];
  else if (table->rows != (int64_t)idx->size[0])
    return failf(failure, "%s: has %" PRIu32 " rows, but %s has %lld", idx->path, idx->size[0],
                 first_path, (long long)table->rows);
  for (uint32_t i = 0; i < request->n_column; i++) {
    if (request->column[i].first != part || (request->needed && !request->needed[i]))
      continue;
    if (!fill(idx, &table->column[i], &request->column[i], table->rows, failure))
      return false;
  }
  return true;
}

// Files that no needed column is in aren't opened: test data may have no labels.
static bool part_needed(const TableRequest *request, uint32_t part) {
  for (uint32_t i = 0; i < request->n_column; i++)
    if (request->column[i].first == part && (!request->needed || request->needed[i]))
      return true;
  return false;
}

// An unlabelled source: it may be there for predict alone (rule 33).
static bool has_parts(const NnrtSource *source, const TableRequest *request, Failure *failure) {
  for (uint32_t i = 0; i < request->n_column; i++) {
    const NnrtColumn *c = &request->column[i];
    if ((int64_t)c->first >= source->width && (!request->needed || request->needed[i]))
      return failf(failure, "%s: a record has %lld file%s here, \"%s\" is in number %u",
                   source->file[0], (long long)source->width, source->width == 1 ? "" : "s",
                   c->name, c->first + 1);
  }
  return true;
}

// The file of a part; of joined sources all of them. *path: the first one's, for messages.
static bool open_part(Idx *idx, const NnrtSource *source, uint32_t part,
                      const TableRequest *request, char **path, Failure *failure) {
  bool good =
      request_path(request, source->file[part], path, failure) && idx_open(idx, *path, failure);
  for (uint32_t i = part + (uint32_t)source->width; good && i < source->n_file;
       i += (uint32_t)source->width) {
    char *next = NULL;
    Idx more = {0};
    good = request_path(request, source->file[i], &next, failure) &&
           idx_open(&more, next, failure) && append(idx, &more, failure);
    idx_close(&more);
    free(next);
  }
  return good;
}

bool idx_load(Table *table, const NnrtSource *source, const TableRequest *request,
              Failure *failure) {
  bool *needed = calloc(request->n_column + 1, sizeof *needed);
  TableRequest none = *request;
  none.needed = needed; // columns are allocated part by part
  bool good = needed ? table_allocate(table, &none, 0, failure)
                     : failf(failure, "not enough memory for %s", request->data_name);
  free(needed);
  char *first_path = NULL;
  good = good && has_parts(source, request, failure);
  for (uint32_t part = 0; good && part < source->width; part++) {
    if (!part_needed(request, part) && (first_path || part + 1 < source->width))
      continue; // the last one is opened in any case: someone must know the number of rows
    char *path = NULL;
    Idx idx = {0};
    good = open_part(&idx, source, part, request, &path, failure) &&
           load_part(table, &idx, part, request, first_path, failure);
    idx_close(&idx);
    if (!first_path)
      first_path = path;
    else
      free(path);
  }
  free(first_path);
  return good;
}
