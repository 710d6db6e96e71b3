// Folders of texts, one per class: aclImdb/train/pos/1.txt. A row is one file: columns "text", as
// tokens or their number, and "class". A single file is one row without a class: that is what
// predict takes.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "nnrt_text.h"
#include "trainer.h"

typedef struct {
  Table *table;
  const TableRequest *request;
  const ClassFiles *files;
  WordIndex *words; // per column
} Texts;

static bool is_file(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

static bool one_file(ClassFiles *files, const char *path, Failure *failure) {
  files->path = malloc(sizeof *files->path);
  files->class = malloc(sizeof *files->class);
  char *copy = strdup(path);
  if (!files->path || !files->class || !copy) {
    free(copy);
    return failf(failure, "%s: not enough memory", path);
  }
  *files->path = copy;
  *files->class = -1;
  files->rows = 1;
  return true;
}

static bool store(const Texts *t, uint32_t i, int64_t row, const NnrtCell *text, Failure *failure) {
  const NnrtColumn *as = &t->request->column[i];
  const char *path = t->files->path[row], *wrong;
  TableColumn *to = &t->table->column[i];
  char expected[64];
  double value;
  if (column_is_class(as)) {
    if (t->files->class[row] < 0)
      return failf(failure, "%s: one text has no class, but \"%s\" is read", path, as->name);
    wrong = table_store(to, &as->type, row, t->files->class[row], expected);
  } else if (as->words.coding == NNRT_AS_TOKENS)
    wrong = words_tokens(&t->words[i], text, to, as, row, expected);
  else {
    wrong = words_value(&t->words[i], text, false, &value);
    wrong = wrong ? wrong : table_store(to, &as->type, row, value, expected);
  }
  return !wrong || failf(failure, "%s: expected %s for \"%s\"", path, wrong, as->name);
}

static bool read_row(const Texts *t, int64_t row, Failure *failure) {
  const char *path = t->files->path[row];
  Bytes file = {0};
  if (!file_unpacked(path, &file, failure))
    return false;
  NnrtCell text = {(const char *)file.at, file.size};
  const char *bad = nnrt_not_utf8(text.at, text.at + text.length);
  bool good = !bad || failf(failure, "%s: is no UTF-8 text: byte %lld is %02x", path,
                            (long long)(bad - text.at), (unsigned)(unsigned char)*bad);
  for (uint32_t i = 0; good && i < t->request->n_column; i++)
    good = !t->table->column[i].values || store(t, i, row, &text, failure);
  free(file.at);
  return good;
}

static bool read_rows(Texts *t, Failure *failure) {
  uint32_t n = t->request->n_column;
  t->words = calloc(n + 1, sizeof *t->words);
  bool good = t->words || failf(failure, "not enough memory for %s", t->request->data_name);
  good = good && table_allocate(t->table, t->request, t->files->rows, failure);
  for (uint32_t i = 0; good && i < n; i++)
    good = words_open(&t->words[i], &t->request->column[i].words, failure);
  for (int64_t row = 0; good && row < t->files->rows; row++)
    good = read_row(t, row, failure);
  for (uint32_t i = 0; t->words && i < n; i++)
    words_close(&t->words[i]);
  free(t->words);
  return good;
}

bool text_folders_load(Table *table, const NnrtSource *source, const TableRequest *request,
                       Failure *failure) {
  char *root = NULL;
  ClassFiles *files = calloc(1, sizeof *files);
  Texts texts = {.table = table, .request = request, .files = files};
  table->files = files;
  bool good = (files || failf(failure, "not enough memory for %s", request->data_name)) &&
              request_path(request, source->file[0], &root, failure) &&
              (is_file(root) ? one_file(files, root, failure)
                             : class_files(files, source, root, request, failure)) &&
              read_rows(&texts, failure);
  free(root);
  return good;
}
