// What a data file's first bytes say, held against its declaration while compiling. A file that
// isn't there is no error: the executable looks for it again, in the same places.
#include "pass/elaborate_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

enum { MAX_LINE = 1 << 20 };

// $NN_DATA, the current folder, the folder of the .nn file: the order of the executables.
static gzFile open_in(Elab *e, const char *folder, const char *name, const char **path) {
  *path = folder && folder[0] ? format(e, "%s/%s", folder, name) : name;
  FILE *f = fopen(*path, "rb"); // gzopen would open folders too
  if (!f)
    return NULL;
  fclose(f);
  return gzopen(*path, "rb");
}

// file: that of the .nn source which names it.
static gzFile open_data(Elab *e, uint32_t file, const char *name, const char **path) {
  if (name[0] == '/')
    return open_in(e, NULL, name, path);
  const char *program = e->s->source.at[file].path, *slash = strrchr(program, '/');
  const char *env = getenv("NN_DATA");
  gzFile f = env && env[0] ? open_in(e, env, name, path) : NULL;
  if (!f)
    f = open_in(e, NULL, name, path);
  if (!f && slash)
    f = open_in(e, intern_n(e->s, program, (size_t)(slash - program)), name, path);
  return f;
}

bool files_names(Elab *e, uint32_t file, const char *name, NnrtWords *out) {
  char *line = arena_alloc(e->m->arena, MAX_LINE);
  Text words = {.arena = e->m->arena};
  const char *path;
  gzFile f = open_data(e, file, name, &path);
  if (!f)
    return false;
  *out = (NnrtWords){.coding = NNRT_AS_NAME};
  while (gzgets(f, line, MAX_LINE)) {
    text_putn(&words, line, strcspn(line, "\r\n"));
    text_putn(&words, "", 1);
    out->n_word++;
  }
  gzclose(f);
  out->words = words.at;
  out->n_byte = (uint32_t)words.n;
  return true;
}

// ---- idx ---------------------------------------------------------------------------------------

static int64_t big_endian(const unsigned char *p) {
  return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | p[3];
}

static const char *idx_look(gzFile f, FileFacts *facts) {
  unsigned char head[4], dim[4];
  if (gzread(f, head, 4) != 4 || head[0] || head[1] || head[3] < 1 || head[3] > MAX_RANK)
    return "it doesn't begin as an idx file does";
  facts->code = head[2];
  facts->rank = head[3] - 1u;
  for (uint32_t i = 0; i < head[3]; i++) {
    if (gzread(f, dim, 4) != 4)
      return "it ends within its header";
    *(i ? &facts->dim[i - 1] : &facts->rows) = big_endian(dim);
  }
  return NULL;
}

static const char *record_text(Elab *e, const int64_t *dim, uint32_t rank) {
  Text t = {.arena = e->m->arena};
  text_put(&t, rank ? "" : "a single number");
  for (uint32_t i = 0; i < rank; i++)
    text_printf(&t, "%s%lld", i ? "x" : "", (long long)dim[i]);
  return t.at;
}

// Equal but for axes of length 1 (rule 4).
static bool same_dims(const int64_t *x, uint32_t n, const int64_t *y, uint32_t m) {
  uint32_t i = 0, k = 0;
  for (;;) {
    while (i < n && x[i] == 1)
      i++;
    while (k < m && y[k] == 1)
      k++;
    if (i == n || k == m)
      return i == n && k == m;
    if (x[i++] != y[k++])
      return false;
  }
}

static bool idx_check(Elab *e, const FileFacts *facts, const NnrtColumn *c, Span span,
                      Span source) {
  Diagnostic *d;
  if (same_dims(facts->dim, facts->rank, c->type.dim, c->type.rank))
    return true;
  d = diag_error(e->s, span, "data-mismatch",
                 "`%s` is declared as %s, but each record of \"%s\" is %s", c->name,
                 record_text(e, c->type.dim, c->type.rank), facts->path,
                 record_text(e, facts->dim, facts->rank));
  diag_note(e->s, d, source, "the file is named here; it has %lld records", (long long)facts->rows);
  diag_note(e->s, d, (Span){0},
            c->type.rank < facts->rank
                ? "declare the field as it is in the file, and Flatten or reshape it in the model"
                : "declare the field as it is in the file: its shape can't be changed in reading");
  return false;
}

// The files of this part of the record: of joined sources there are several.
static bool idx_check_all(Elab *e, const DataSource *source, const NnrtColumn *c, Span span) {
  for (uint32_t i = c->first; i < source->s.n_file; i += (uint32_t)source->s.width) {
    const FileFacts *f = &source->facts[i];
    if (f->path && !f->wrong && !idx_check(e, f, c, span, source->span))
      return false;
  }
  return true;
}

static void idx_same_rows(Elab *e, const DataSource *source) {
  uint32_t width = (uint32_t)source->s.width;
  for (uint32_t i = 0; i < source->s.n_file; i++) {
    const FileFacts *f = &source->facts[i], *first = &source->facts[i - i % width];
    if (first->path && f->path && !f->wrong && !first->wrong && f->rows != first->rows)
      diag_note(e->s,
                diag_error(e->s, source->span, "data-mismatch",
                           "\"%s\" has %lld records, \"%s\" has %lld", first->path,
                           (long long)first->rows, f->path, (long long)f->rows),
                (Span){0},
                "record k of each file belongs to one row: are these files of the same set?");
  }
}

// ---- csv ---------------------------------------------------------------------------------------

static const char *csv_look(Elab *e, gzFile f, const NnrtSource *s, FileFacts *facts) {
  char *line = arena_alloc(e->m->arena, MAX_LINE);
  if (!gzgets(f, line, MAX_LINE))
    return "it is empty";
  size_t n = strcspn(line, "\r\n");
  const char *at = line;
  if (strncmp(at, "\xef\xbb\xbf", 3) == 0) // byte order mark
    at += 3;
  BUF(const char *) name = {0};
  NnrtCell cell;
  while (nnrt_next_cell(s, &at, line + n, &cell) == NNRT_ONE_CELL)
    buf_push(e->m->arena, &name, intern_n(e->s, cell.at, cell.length));
  facts->name = name.at;
  facts->width = name.n;
  return NULL;
}

// Rows of several files are read as those of the first: the columns must be the same.
static void csv_same_columns(Elab *e, const DataSource *source) {
  const FileFacts *first = &source->facts[0];
  for (uint32_t i = 1; i < source->s.n_file; i++) {
    const FileFacts *f = &source->facts[i];
    if (!first->path || first->wrong || !f->path || f->wrong)
      continue;
    uint32_t k = 0;
    while (k < f->width && k < first->width &&
           (!source->s.header || strcmp(f->name[k], first->name[k]) == 0))
      k++;
    if (k == f->width && k == first->width)
      continue;
    Diagnostic *d = k < f->width && k < first->width
                        ? diag_error(e->s, source->span, "data-mismatch",
                                     "column %u of \"%s\" is `%s`, of \"%s\" it is `%s`", k,
                                     f->path, f->name[k], first->path, first->name[k])
                        : diag_error(e->s, source->span, "data-mismatch",
                                     "\"%s\" has %u columns, \"%s\" has %u", f->path, f->width,
                                     first->path, first->width);
    diag_note(e->s, d, (Span){0}, "files of one csv(...) have the same columns in the same order");
  }
}

// The content, or its first `most` bytes.
bool files_content(Elab *e, FileFacts *facts, size_t most) {
  enum { FIRST = 1 << 20 };
  if (facts->text && (facts->all || facts->n_text >= most))
    return true;
  gzFile f = gzopen(facts->path, "rb");
  Text text = {.arena = e->m->arena};
  char *chunk = arena_alloc(e->m->arena, FIRST);
  int n = 0;
  while (f && text.n < most && (n = gzread(f, chunk, FIRST)) > 0)
    text_putn(&text, chunk, most - text.n < (size_t)n ? most - text.n : (size_t)n);
  if (!f || n < 0) {
    if (f)
      gzclose(f);
    return false;
  }
  facts->all = text.n < most;
  gzclose(f);
  facts->text = text.at ? text.at : "";
  facts->n_text = text.n;
  if (strncmp(facts->text, "\xef\xbb\xbf", 3) == 0) {
    facts->text += 3;
    facts->n_text -= 3;
  }
  return true;
}

void files_note_columns(Elab *e, Diagnostic *d, const FileFacts *facts) {
  enum { MOST = 20 };
  Text list = {.arena = e->m->arena};
  for (uint32_t i = 0; i < facts->width && i < MOST; i++)
    text_printf(&list, "%s%s", i ? ", " : "", facts->name[i]);
  if (list.n)
    diag_note(e->s, d, (Span){0}, "its columns are: %s%s", list.at,
              facts->width > MOST ? ", ..." : "");
}

static bool csv_header_known(Elab *e, const FileFacts *facts, const NnrtColumn *c, Span span,
                             Span source) {
  for (uint32_t i = 0; i < facts->width; i++)
    if (strcmp(facts->name[i], c->header) == 0)
      return true;
  Diagnostic *d =
      diag_error(e->s, span, "data-mismatch", "\"%s\" has no column `%s`", facts->path, c->header);
  const char *near = nearest_name(c->header, facts->name, facts->width);
  diag_note(e->s, d, source, "the file is named here; its first line has %u columns", facts->width);
  if (near)
    diag_note(e->s, d, (Span){0}, "did you mean `%s`?", near);
  else
    files_note_columns(e, d, facts);
  return false;
}

static bool csv_check(Elab *e, const FileFacts *facts, const NnrtColumn *c, Span span,
                      const DataSource *source) {
  if (c->header && source->s.header)
    return csv_header_known(e, facts, c, span, source->span);
  int64_t n = 1, first = c->first;
  for (uint32_t i = 0; i < c->type.rank && c->words.coding != NNRT_AS_TOKENS && !c->place; i++)
    n *= c->type.dim[i];
  for (uint32_t i = 0; i < c->n_place; i++)
    first = c->place[i] > first || source->s.window ? c->place[i] : first;
  if (source->s.n_keep || first + n <= facts->width)
    return true;
  Diagnostic *d =
      diag_error(e->s, span, "data-mismatch",
                 n == 1 ? "column %u is read, but \"%s\" has only columns 0 to %d"
                        : "columns up to %u are read, but \"%s\" has only columns 0 to %d",
                 (uint32_t)(first + n - 1), facts->path, (int)facts->width - 1);
  diag_note(e->s, d, source->span, "the file is named here; its first line has %u values",
            facts->width);
  diag_note(e->s, d, (Span){0},
            "columns are counted from 0, and row[a..b] ends before b: row[0..%u] is all of them",
            facts->width);
  return false;
}

// ---- both --------------------------------------------------------------------------------------

static bool is_folder(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

// As open_data() looks for files.
static const char *find_folder(Elab *e, DataInfo *data, const char *name) {
  const char *program = e->s->source.at[data->decl->span.file].path, *slash = strrchr(program, '/');
  const char *env = getenv("NN_DATA");
  const char *there = env && env[0] ? format(e, "%s/%s", env, name) : name;
  const char *beside = slash ? format(e, "%.*s/%s", (int)(slash - program), program, name) : name;
  if (name[0] != '/' && is_folder(there))
    return there;
  return is_folder(name) ? name : name[0] != '/' && is_folder(beside) ? beside : NULL;
}

void files_look(Elab *e, DataInfo *data, DataSource *source) {
  static const char *text_parts[] = {"text", "class"};
  NnrtSource *s = &source->s;
  if (source->opened)
    return;
  source->opened = true;
  source->facts = arena_array(e->m->arena, FileFacts, s->n_file + 1);
  for (uint32_t i = 0; i < s->n_file; i++) {
    FileFacts *facts = &source->facts[i];
    const char *path;
    if (s->kind == NNRT_FOLDERS || s->kind == NNRT_TEXT_FOLDERS) {
      facts->path = s->file[i] ? find_folder(e, data, s->file[i]) : NULL;
      facts->name = text_parts;
      facts->width = 2;
      if (facts->path)
        folders_look(e, source);
      continue;
    }
    gzFile f = s->file[i] ? open_data(e, data->decl->span.file, s->file[i], &path) : NULL;
    if (!f)
      continue;
    facts->path = path;
    facts->wrong = s->kind == NNRT_IDX   ? idx_look(f, facts)
                   : s->kind == NNRT_CSV ? csv_look(e, f, s, facts)
                                         : NULL;
    gzclose(f);
    if (facts->wrong)
      diag_error(e->s, source->span, "data-mismatch", "\"%s\" can't be read as %s: %s", path,
                 s->kind == NNRT_IDX ? "idx" : "csv", facts->wrong);
  }
  if (s->kind == NNRT_IDX)
    idx_same_rows(e, source);
  if (s->kind == NNRT_CSV)
    csv_same_columns(e, source);
}

const char *files_missing(const DataSource *source) {
  for (uint32_t i = 0; i < source->s.n_file; i++)
    if (!source->facts || !source->facts[i].path)
      return source->s.file[i];
  return NULL;
}

bool files_check_column(Elab *e, DataInfo *data, const DataSource *source, const NnrtColumn *c,
                        Span span) {
  (void)data;
  uint32_t k = source->s.kind == NNRT_IDX ? c->first : 0;
  if (k >= source->s.n_file || !source->facts || !source->facts[k].path || source->facts[k].wrong)
    return true;
  if (source->s.kind == NNRT_TEXT || is_class_source(source))
    return true;
  if (source->s.kind == NNRT_IDX)
    return idx_check_all(e, source, c, span);
  return csv_check(e, &source->facts[k], c, span, source);
}
