// Rows that have a class: folders("pets/train") and text_folders("aclImdb/train") with a folder for
// each class, cifar("data_batch_1.bin"). `row.class` is the folder, `row.text` what stands in the
// file. Classes are counted while compiling, unless `classes = [...]` says them (rule 21).
#include "pass/elaborate_program.h"
#include "nnrt_text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CIFAR_CLASSES = 10, CHUNK = 1 << 15 };

bool is_class_source(const DataSource *source) {
  uint32_t kind = source->s.kind;
  return kind == NNRT_FOLDERS || kind == NNRT_CIFAR || kind == NNRT_TEXT_FOLDERS;
}

// ---- the source --------------------------------------------------------------------------------

static bool wrong_source(Elab *e, Span span, const char *what, const char *advice) {
  Diagnostic *d = diag_error(e->s, span, "source", "%s", what);
  if (advice)
    diag_note(e->s, d, (Span){0}, "%s", advice);
  return false;
}

static bool strict_setting(Elab *e, const Node *arg, Val v, NnrtSource *s) {
  s->strict = v.i != 0;
  if (v.kind == V_BOOL)
    return true;
  diag_error(e->s, arg->a->span, "setting-value", "strict is true or false, not %s",
             val_text(e, v));
  return false;
}

static bool classes_setting(Elab *e, const Node *arg, Val v, NnrtSource *s) {
  const char **name = arena_array(e->m->arena, const char *, v.kind == V_LIST ? v.n : 1);
  const char *wrong = v.kind == V_LIST && v.n ? NULL : "classes are names of folders";
  s->class_name = name;
  s->n_class = v.kind == V_LIST ? v.n : 0;
  for (uint32_t i = 0; i < s->n_class && !wrong; i++) {
    name[i] = v.list[i].kind == V_STRING ? v.list[i].s : "";
    if (!*name[i] || strchr(name[i], '/') || name[i][0] == '.')
      wrong = "classes are names of folders";
    for (uint32_t k = 0; k < i && !wrong; k++)
      if (strcmp(name[i], name[k]) == 0)
        wrong = format(e, "the class \"%s\" is given twice", name[i]);
  }
  if (!wrong)
    return true;
  Diagnostic *d = diag_error(e->s, arg->a->span, "setting-value", "%s", wrong);
  diag_note(e->s, d, (Span){0}, "classes = [\"cat\", \"dog\"]: 0 is cat, 1 is dog");
  return false;
}

static bool setting(Elab *e, DataInfo *data, Node *call, Node *arg, NnrtSource *s) {
  bool strict = s->kind == NNRT_FOLDERS && strcmp(arg->name, "strict") == 0;
  if (!strict && (s->kind == NNRT_CIFAR || strcmp(arg->name, "classes") != 0)) {
    Diagnostic *d = diag_error(e->s, arg->span, "unknown-setting", "%s(...) has no setting `%s`",
                               call->a->name, arg->name);
    if (s->kind != NNRT_CIFAR)
      diag_note(e->s, d, (Span){0},
                s->kind == NNRT_FOLDERS ? "it has classes and strict" : "it has classes");
    return false;
  }
  Target *target = e->target;
  e->target = NULL;
  Val v = elab_expr(e, data_scope(data), arg->a, NULL);
  e->target = target;
  if (v.kind == V_ERROR)
    return false;
  return strict ? strict_setting(e, arg, v, s) : classes_setting(e, arg, v, s);
}

bool class_source(Elab *e, DataInfo *data, Node *call, NnrtSource *s) {
  const char **file = arena_array(e->m->arena, const char *, call->list.n + 1);
  bool texts = name_is(call->a, "text_folders"), cifar = name_is(call->a, "cifar"), good = true;
  s->kind = texts ? NNRT_TEXT_FOLDERS : cifar ? NNRT_CIFAR : NNRT_FOLDERS;
  s->header = texts; // row.text, row.class
  s->file = file;
  for (uint32_t i = 0; i < call->list.n; i++) {
    Node *arg = call->list.at[i];
    if (arg->name)
      good &= setting(e, data, call, arg, s);
    else
      good &= file_name(e, data, arg->a, &file[s->n_file++]);
  }
  if (!cifar && s->n_file != 1)
    return wrong_source(e, call->span, format(e, "%s(...) takes one folder", call->a->name),
                        texts ? "text_folders(\"reviews\"): it holds a folder for each class"
                              : "folders(\"pets/train\"): it holds a folder for each class");
  if (!s->n_file)
    return wrong_source(e, call->span, "cifar(...) needs the name of a file",
                        "cifar(\"data_batch_1.bin\"), several one after the other");
  return good;
}

// ---- folders and files -------------------------------------------------------------------------

static int by_name(const void *x, const void *y) {
  return strcmp(*(const char *const *)x, *(const char *const *)y);
}

typedef struct {
  BUF(const char *) at;
} Names;

// The folders or files in it that count, in the order of their names.
static void list(Elab *e, const char *path, NnrtEntry entry, Names *out) {
  DIR *dir = opendir(path);
  if (!dir)
    return;
  for (struct dirent *at; (at = readdir(dir));)
    if (nnrt_folder_entry(path, at->d_name, entry))
      buf_push(e->m->arena, &out->at, intern(e->s, at->d_name));
  closedir(dir);
  if (out->at.n)
    qsort(out->at.at, out->at.n, sizeof *out->at.at, by_name);
}

static Names class_names(Elab *e, const DataSource *source) {
  Names names = {0};
  for (uint32_t i = 0; i < source->s.n_class; i++)
    buf_push(e->m->arena, &names.at, source->s.class_name[i]);
  if (!names.at.n && source->facts && source->facts->path)
    list(e, source->facts->path, NNRT_ENTRY_FOLDER, &names);
  return names;
}

// The folder is there: are the classes?
void folders_look(Elab *e, const DataSource *source) {
  FileFacts *facts = source->facts;
  Names there = {0};
  list(e, facts->path, NNRT_ENTRY_FOLDER, &there);
  facts->wrong = there.at.n ? NULL : "it holds no folders";
  if (!there.at.n) {
    Diagnostic *d =
        diag_error(e->s, source->span, "data-mismatch", "\"%s\" holds no folders", facts->path);
    diag_note(e->s, d, (Span){0}, "one for each class is wanted: %s/CLASS/FILE", facts->path);
  }
  for (uint32_t i = 0; i < source->s.n_class && there.at.n; i++) {
    uint32_t k = 0;
    while (k < there.at.n && strcmp(there.at.at[k], source->s.class_name[i]) != 0)
      k++;
    if (k < there.at.n)
      continue;
    facts->wrong = "a class isn't there";
    Diagnostic *d = diag_error(e->s, source->span, "data-mismatch", "\"%s\" has no folder \"%s\"",
                               facts->path, source->s.class_name[i]);
    const char *near = nearest_name(source->s.class_name[i], there.at.at, there.at.n);
    if (near)
      diag_note(e->s, d, (Span){0}, "did you mean \"%s\"?", near);
  }
}

// ---- row.class ---------------------------------------------------------------------------------

bool source_classes(Elab *e, const DataSource *source, NnrtWords *out) {
  static const char cifar[] =
      "airplane\0automobile\0bird\0cat\0deer\0dog\0frog\0horse\0ship\0truck";
  *out = (NnrtWords){.coding = NNRT_AS_NAME};
  if (source->s.kind == NNRT_CIFAR) {
    out->words = cifar;
    out->n_byte = sizeof cifar;
    out->n_word = CIFAR_CLASSES;
    return true;
  }
  Names names = class_names(e, source);
  Text bytes = {.arena = e->m->arena};
  for (uint32_t i = 0; i < names.at.n; i++)
    text_putn(&bytes, names.at.at[i], strlen(names.at.at[i]) + 1);
  out->words = bytes.at;
  out->n_byte = (uint32_t)bytes.n;
  out->n_word = names.at.n;
  return names.at.n > 0;
}

static const NnrtWords *classes_of(Elab *e, DataInfo *data, Node *expr) {
  DataInfo *whole = whole_of(data);
  for (uint32_t i = 0; i < whole->words.n; i++)
    if (whole->words.at[i].node == expr)
      return &whole->words.at[i].words;
  NodeWords words = {.node = expr};
  source_classes(e, &data->train, &words.words);
  buf_push(e->m->arena, &whole->words, words);
  return &whole->words.at[whole->words.n - 1].words;
}

Val class_value(Elab *e, DataInfo *data, Node *expr) {
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

// ---- row.text ----------------------------------------------------------------------------------

// The other parts of a row of text_folders are told from tokens of its text.
Val text_part(Elab *e, DataInfo *data, Node *expr) {
  static const char *const parts[] = {"text", "class", "length"};
  bool text = expr->kind == N_MEMBER && strcmp(expr->name, "text") == 0;
  if (expr->kind == N_MEMBER && strcmp(expr->name, "class") == 0)
    return class_value(e, data, expr);
  Diagnostic *d =
      diag_error(e->s, expr->span, "row",
                 text ? "a text becomes numbers by a vocabulary and a length"
                      : "a row of these has row.text and row.class, and row.length of a text that "
                        "is padded, found %s",
                 node_source(e, expr));
  const char *near = expr->kind == N_MEMBER && !text ? nearest_name(expr->name, parts, 3) : NULL;
  if (text)
    diag_note(e->s, d, (Span){0}, "row.text |> lower |> words |> vocabulary(20000) |> pad(80)");
  else
    diag_note(e->s, d, data->train.span, "the rows come from here");
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  return val_error();
}

static bool read_text(Elab *e, DataSource *source, const char *path, NnrtCell *out) {
  char chunk[CHUNK];
  Text text = {.arena = e->m->arena};
  gzFile f = gzopen(path, "rb");
  int n = -1;
  while (f && (n = gzread(f, chunk, CHUNK)) > 0)
    text_putn(&text, chunk, (size_t)n);
  if (f)
    gzclose(f);
  if (n < 0) {
    diag_error(e->s, source->span, "data-mismatch", "\"%s\" can't be read", path);
    return false;
  }
  *out = (NnrtCell){text.n ? text.at : "", text.n};
  const char *bad = nnrt_not_utf8(out->at, out->at + out->length);
  if (!bad)
    return true;
  Diagnostic *d =
      diag_error(e->s, source->span, "data-mismatch", "\"%s\" is no UTF-8 text: byte %lld is %02x",
                 path, (long long)(bad - out->at), (unsigned)(unsigned char)*bad);
  diag_note(e->s, d, (Span){0}, "convert it: iconv -f LATIN1 -t UTF-8");
  return false;
}

// Reads all texts, the first time. They are the first cells of the rows; the class is the second.
bool texts_open(Elab *e, DataSource *source) {
  FileFacts *facts = source->facts;
  if (!facts || !facts->path || facts->wrong)
    return false;
  if (facts->row)
    return true;
  Names names = class_names(e, source);
  BUF(NnrtCell) row = {0};
  for (uint32_t i = 0; i < names.at.n; i++) {
    const char *folder = format(e, "%s/%s", facts->path, names.at.at[i]);
    Names files = {0};
    list(e, folder, NNRT_ENTRY_FILE, &files);
    for (uint32_t k = 0; k < files.at.n; k++) {
      NnrtCell text;
      if (!read_text(e, source, format(e, "%s/%s", folder, files.at.at[k]), &text)) {
        facts->wrong = "a text can't be read";
        return false;
      }
      buf_push(e->m->arena, &row, text);
    }
  }
  if (!row.n) {
    facts->wrong = "it holds no texts";
    diag_error(e->s, source->span, "data-mismatch", "the folders of \"%s\" hold no files",
               facts->path);
    return false;
  }
  facts->row = row.at;
  facts->rows = row.n;
  return true;
}
