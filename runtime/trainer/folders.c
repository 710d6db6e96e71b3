// Folders of pictures or texts, one per class: pets/train/cat/1.jpg. The classes are those that the
// source names, or the folders in the order of their names, numbered as the compiler counted them;
// rows are ordered by class, then by name. Pictures are read when they are wanted (pictures.c),
// texts in textfolders.c.
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

typedef struct {
  char **at;
  size_t n;
} Names;

static int by_name(const void *x, const void *y) {
  return strcmp(*(char *const *)x, *(char *const *)y);
}

static void names_free(Names *names) {
  for (size_t i = 0; i < names->n; i++)
    free(names->at[i]);
  free(names->at);
  *names = (Names){0};
}

static bool names_add(Names *names, const char *text, Failure *failure) {
  char **more = realloc(names->at, (names->n + 1) * sizeof *more);
  char *copy = strdup(text);
  if (more)
    names->at = more;
  if (!more || !copy) {
    free(copy);
    return failf(failure, "not enough memory for the names in a folder");
  }
  names->at[names->n++] = copy;
  return true;
}

static bool list(const char *path, NnrtEntry entry, Names *names, Failure *failure) {
  DIR *dir = opendir(path);
  if (!dir)
    return failf(failure, "%s: can't be read: %s", path, strerror(errno));
  bool good = true;
  for (struct dirent *at; good && (at = readdir(dir));)
    if (nnrt_folder_entry(path, at->d_name, entry))
      good = names_add(names, at->d_name, failure);
  closedir(dir);
  if (names->n)
    qsort(names->at, names->n, sizeof *names->at, by_name);
  return good;
}

bool column_is_class(const NnrtColumn *column) {
  return column->header && !strcmp(column->header, "class");
}

static const NnrtColumn *class_column(const TableRequest *request) {
  for (uint32_t i = 0; i < request->n_column; i++)
    if (column_is_class(&request->column[i]))
      return &request->column[i];
  return NULL;
}

// ---- rows -------------------------------------------------------------------------------------

static bool add_files(ClassFiles *files, const char *root, const char *class, int32_t index,
                      NnrtEntry entry, size_t *room, Failure *failure) {
  Names names = {0};
  String path = {0};
  string_printf(&path, "%s/%s", root, class);
  bool good = !path.no_memory && list(path.at, entry, &names, failure);
  for (size_t i = 0; good && i < names.n; i++) {
    if ((size_t)files->rows == *room) {
      *room = 2 * *room + 64;
      char **more = realloc(files->path, *room * sizeof *more);
      files->path = more ? more : files->path;
      int32_t *classes = realloc(files->class, *room * sizeof *classes);
      files->class = classes ? classes : files->class;
      if (!more || !classes) {
        good = failf(failure, "%s: not enough memory for its files", root);
        break;
      }
    }
    String file = {0};
    string_printf(&file, "%s/%s", path.at, names.at[i]);
    files->path[files->rows] = file.at;
    files->class[files->rows] = index;
    files->rows += file.at != NULL;
  }
  names_free(&names);
  string_free(&path);
  return good;
}

// The number of the class that this folder is: as the program names them, else by order.
static bool class_of(const NnrtColumn *column, const char *root, const Names *folders, size_t i,
                     int32_t *index, Failure *failure) {
  *index = (int32_t)i;
  if (!column)
    return true;
  const char *word = column->words.words;
  for (uint32_t k = 0; k < column->words.n_word; k++, word += strlen(word) + 1)
    if (!strcmp(word, folders->at[i])) {
      *index = (int32_t)k;
      return true;
    }
  if (column->words.n_word)
    return failf(failure,
                 "%s/%s: \"%s\" is none of the %u classes that \"%s\" has; they were "
                 "counted when the program was compiled",
                 root, folders->at[i], folders->at[i], column->words.n_word, column->name);
  if (column->type.range && (int64_t)folders->n > column->type.range)
    return failf(failure, "%s: has %zu folders, but \"%s\" is one of %lld classes", root,
                 folders->n, column->name, (long long)column->type.range);
  return true;
}

// The folders that the source names, in its order; else those that there are.
static bool class_folders(const NnrtSource *source, const char *root, Names *names,
                          Failure *failure) {
  if (!source->n_class)
    return list(root, NNRT_ENTRY_FOLDER, names, failure);
  bool good = true;
  for (uint32_t i = 0; good && i < source->n_class; i++)
    good = (nnrt_folder_entry(root, source->class_name[i], NNRT_ENTRY_FOLDER) ||
            failf(failure, "%s: has no folder \"%s\"", root, source->class_name[i])) &&
           names_add(names, source->class_name[i], failure);
  return good;
}

bool class_files(ClassFiles *files, const NnrtSource *source, const char *root,
                 const TableRequest *request, Failure *failure) {
  bool texts = source->kind == NNRT_TEXT_FOLDERS;
  const NnrtColumn *class = class_column(request);
  Names folders = {0};
  size_t room = 0;
  int32_t index;
  bool good = class_folders(source, root, &folders, failure);
  for (size_t i = 0; good && i < folders.n; i++)
    good = class_of(class, root, &folders, i, &index, failure) &&
           add_files(files, root, folders.at[i], index,
                     texts ? NNRT_ENTRY_FILE : NNRT_ENTRY_PICTURE, &room, failure);
  if (good && !files->rows)
    good = failf(failure, "%s: holds no folders with %s", root,
                 texts ? "texts (class/name.txt)" : "pictures (class/name.jpg, class/name.png)");
  names_free(&folders);
  return good;
}

void class_files_free(ClassFiles *files) {
  for (int64_t i = 0; files && i < files->rows; i++)
    free(files->path[i]);
  if (files) {
    free(files->path);
    free(files->class);
  }
  free(files);
}

// ---- columns ----------------------------------------------------------------------------------

static bool fill_class(TableColumn *to, const NnrtColumn *column, const ClassFiles *files,
                       Failure *failure) {
  char expected[64];
  for (int64_t i = 0; i < files->rows; i++) {
    const char *wrong = table_store(to, &column->type, i, files->class[i], expected);
    if (wrong)
      return failf(failure, "%s: class %d, expected %s for \"%s\"", files->path[i],
                   (int)files->class[i], wrong, column -> name);
  }
  return true;
}

static bool fill_columns(Table *table, const TableRequest *request, Failure *failure) {
  bool *classes = calloc(request->n_column + 1, sizeof *classes);
  TableRequest known = *request; // of the pictures nothing is kept here
  known.needed = classes;
  for (uint32_t i = 0; classes && i < request->n_column; i++)
    classes[i] = column_is_class(&request->column[i]) && (!request->needed || request->needed[i]);
  bool good = classes ? table_allocate(table, &known, table->files->rows, failure)
                      : failf(failure, "not enough memory for %s", request->data_name);
  for (uint32_t i = 0; good && i < request->n_column; i++) {
    const NnrtColumn *column = &request->column[i];
    if (classes[i])
      good = fill_class(&table->column[i], column, table->files, failure);
    else if (!column_is_class(column) && (!request->needed || request->needed[i])) {
      table->column[i].elem = NNRT_U8;
      table->column[i].pictures = pictures_open(table->files, column, failure);
      good = table->column[i].pictures != NULL;
    }
  }
  free(classes);
  return good;
}

bool folders_load(Table *table, const NnrtSource *source, const TableRequest *request,
                  Failure *failure) {
  char *root = NULL;
  ClassFiles *files = calloc(1, sizeof *files);
  table->files = files;
  table->strict = source->strict;
  bool good = (files || failf(failure, "not enough memory for %s", request->data_name)) &&
              request_path(request, source->file[0], &root, failure) &&
              class_files(files, source, root, request, failure) &&
              fill_columns(table, request, failure);
  free(root);
  return good;
}
