// Pictures: folders("pets/train") with a folder for each class, cifar("data_batch_1.bin"). A row is
// `row.image`, bytes from 0 to 255, and `row.class`; `row.image |> resize(180, 180)` makes pictures
// of any size fit. The classes are counted while compiling (rule 21).
#include "pass/elaborate_program.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { CIFAR_SIDE = 32, CIFAR_CLASSES = 10, LARGEST = 1 << 13 };

static bool wrong_source(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "source", "%s", what);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  return false;
}

static bool setting(Elab *e, DataInfo *data, Node *arg, NnrtSource *s) {
  if (s->kind != NNRT_FOLDERS || strcmp(arg->name, "strict") != 0) {
    Diagnostic *d = diag_error(e->s, arg->span, "unknown-setting", "%s(...) has no setting `%s`",
                               s->kind == NNRT_FOLDERS ? "folders" : "cifar", arg->name);
    if (s->kind == NNRT_FOLDERS)
      diag_note(e->s, d, (Span){0}, "it has strict");
    return false;
  }
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), arg->a, NULL);
  e->target = target;
  s->strict = v.i != 0;
  if (v.kind == V_BOOL || v.kind == V_ERROR)
    return v.kind == V_BOOL;
  diag_error(e->s, arg->a->span, "setting-value", "strict is true or false, not %s",
             val_text(e, v));
  return false;
}

bool picture_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s) {
  const char **file = arena_array(e->m->arena, const char *, call->list.n + 1);
  bool folders = name_is(call->a, "folders"), good = true;
  s->kind = folders ? NNRT_FOLDERS : NNRT_CIFAR;
  s->file = file;
  for (uint32_t i = 0; i < call->list.n; i++) {
    Node *arg = call->list.at[i];
    if (arg->name)
      good &= setting(e, data, arg, s);
    else
      good &= file_name(e, data, arg->a, &file[s->n_file++]);
  }
  if (folders && s->n_file != 1)
    return wrong_source(e, call->span, "folders(...) takes one folder",
                        "folders(\"pets/train\"): it holds a folder for each class");
  if (!s->n_file)
    return wrong_source(e, call->span, "cifar(...) needs the name of a file",
                        "cifar(\"data_batch_1.bin\"), several one after the other");
  return good;
}

// ---- classes -----------------------------------------------------------------------------------

static int by_name(const void *x, const void *y) {
  return strcmp(*(const char *const *)x, *(const char *const *)y);
}

// The folders in it, in order, as words.
static bool count_classes(Elab *e, const FileFacts *facts, NnrtWords *out) {
  BUF(const char *) name = {0};
  DIR *dir = facts && facts->path ? opendir(facts->path) : NULL;
  if (!dir)
    return false;
  for (struct dirent *entry; (entry = readdir(dir));)
    if (nnrt_folder_entry(facts->path, entry->d_name, true))
      buf_push(e->m->arena, &name, intern(e->s, entry->d_name));
  closedir(dir);
  if (name.n)
    qsort(name.at, name.n, sizeof *name.at, by_name);
  Text bytes = {.arena = e->m->arena};
  for (uint32_t i = 0; i < name.n; i++)
    text_putn(&bytes, name.at[i], strlen(name.at[i]) + 1);
  out->words = bytes.at;
  out->n_byte = (uint32_t)bytes.n;
  out->n_word = name.n;
  return name.n > 0;
}

bool picture_classes(Elab *e, const DataSource *source, NnrtWords *out) {
  static const char cifar[] =
      "airplane\0automobile\0bird\0cat\0deer\0dog\0frog\0horse\0ship\0truck";
  *out = (NnrtWords){.coding = NNRT_AS_NAME};
  if (source->s.kind == NNRT_FOLDERS)
    return count_classes(e, source->facts, out);
  out->words = cifar;
  out->n_byte = sizeof cifar;
  out->n_word = CIFAR_CLASSES;
  return true;
}

static const NnrtWords *classes_of(Elab *e, DataInfo *data, Node *expr) {
  for (uint32_t i = 0; i < data->words.n; i++)
    if (data->words.at[i].node == expr)
      return &data->words.at[i].words;
  NodeWords words = {.node = expr};
  picture_classes(e, &data->train, &words.words);
  buf_push(e->m->arena, &data->words, words);
  return &data->words.at[data->words.n - 1].words;
}

static Val class_value(Elab *e, DataInfo *data, Node *expr) {
  const NnrtWords *words = classes_of(e, data, expr);
  const Field *f = data->computing;
  bool direct = row_is_direct(data, expr);
  Type type = type_scalar(TY_I32);
  if (!words->n_word && f && f->open && direct)
    return not_counted(e, data, expr);
  type.range = direct && f->typed && f->type.range ? f->type.range : words->n_word;
  NnrtColumn c = {.header = intern(e->s, "class")};
  if (words->n_word) {
    if (!names_fit(e, data, expr, words, &type))
      return val_error();
    c.words = *words;
  }
  return row_column(e, data, expr, &c, type);
}

// ---- pictures ----------------------------------------------------------------------------------

static bool is_picture(const Type *t) {
  return (t->rank == 2 || (t->rank == 3 && (t->dim[2] == 1 || t->dim[2] == 3))) && !t->range;
}

// The first declared picture of this size says whether it is grey; else it is in colour.
static Type type_of_size(const DataInfo *data, int64_t height, int64_t width) {
  Type colour = {.elem = TY_U8, .rank = 3, .dim = {height, width, 3}};
  const Field *now = data->computing;
  uint32_t n = data->field.n;
  for (uint32_t i = 0; i <= n + data->let.n; i++) {
    const Field *f = i == 0 ? now : i <= n ? &data->field.at[i - 1] : &data->let.at[i - n - 1];
    if (!f || !f->typed || !is_picture(&f->type) || f->type.dim[0] != height ||
        f->type.dim[1] != width)
      continue;
    colour.rank = f->type.rank;
    colour.dim[2] = f->type.rank == 3 ? f->type.dim[2] : 0;
    return colour;
  }
  return colour;
}

static Val image_value(Elab *e, DataInfo *data, Node *expr, const Type *type, bool resized) {
  NnrtColumn c = {.header = intern(e->s, "image"), .resized = resized};
  return row_column(e, data, expr, &c, *type);
}

static Val image_as_it_is(Elab *e, DataInfo *data, Node *expr) {
  const Field *f = data->computing;
  bool cifar = data->train.s.kind == NNRT_CIFAR;
  Type type = type_of_size(data, CIFAR_SIDE, CIFAR_SIDE);
  if (cifar)
    return image_value(e, data, expr, &type, false);
  if (!f || !f->typed || !is_picture(&f->type)) {
    Diagnostic *d =
        diag_error(e->s, expr->span, "row", "the size of these pictures is not known here");
    diag_note(e->s, d, (Span){0},
              "row.image |> resize(180, 180), or a field f32[180, 180, 3] = row.image if all "
              "files have this size");
    return val_error();
  }
  type = f->type;
  type.elem = TY_U8;
  return image_value(e, data, expr, &type, false);
}

bool is_picture_source(const DataInfo *data) {
  return data->train.s.kind == NNRT_FOLDERS || data->train.s.kind == NNRT_CIFAR;
}

Val picture_part(Elab *e, DataInfo *data, Node *expr) {
  static const char *const parts[] = {"image", "class"};
  if (expr->kind == N_MEMBER && strcmp(expr->name, "image") == 0)
    return image_as_it_is(e, data, expr);
  if (expr->kind == N_MEMBER && strcmp(expr->name, "class") == 0)
    return class_value(e, data, expr);
  Diagnostic *d = diag_error(e->s, expr->span, "row",
                             "the parts of a row are row.image and "
                             "row.class");
  const char *near = expr->kind == N_MEMBER ? nearest_name(expr->name, parts, 2) : NULL;
  diag_note(e->s, d, data->train.span, near ? "did you mean `%s`?" : "the rows come from here",
            near);
  return val_error();
}

// `row.image |> resize(height, width)`
Val resized_value(Elab *e, DataInfo *data, Node *node, Node *operand, Node *const *arg,
                  uint32_t n) {
  int64_t size[2];
  if (!is_row(operand) || operand->kind != N_MEMBER || strcmp(operand->name, "image") != 0 ||
      !is_picture_source(data) || n != 2 || arg[0]->name || arg[1]->name) {
    Diagnostic *d = diag_error(e->s, node->span, "row-step",
                               "resize(height, width) makes pictures of any size fit");
    diag_note(e->s, d, (Span){0},
              "row.image |> resize(180, 180), of rows of folders(...) or cifar(...)");
    return val_error();
  }
  for (int i = 0; i < 2; i++) {
    Target *target = e->target;
    e->target = NULL;
    Val v = elab_expr(e, data_scope(data), arg[i]->a, NULL);
    e->target = target;
    if (!elab_int(e, v, i ? "the width" : "the height", arg[i]->span, &size[i]))
      return val_error();
    if (size[i] < 1 || size[i] > LARGEST) {
      diag_error(e->s, arg[i]->span, "setting-value", "%lld: a side has 1 to %d pixels",
                 (long long)size[i], LARGEST);
      return val_error();
    }
  }
  Type type = type_of_size(data, size[0], size[1]);
  return image_value(e, data, node, &type, true);
}
