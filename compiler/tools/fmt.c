// `nnc fmt [--check] FILE...`: files rewritten in place, each whole or not at all; `-` is a filter.
#include "tools/tools.h"
#include "ast.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int complain(const char *path) {
  fprintf(stderr, "nnc: can't write %s: %s\n", path, strerror(errno));
  return 1;
}

// Through a file beside it, which takes its place and its permissions.
static int rewrite(Session *s, const char *path, const Text *text) {
  struct stat st;
  const char *temp = arena_printf(s->perm, "%s.%d.part", path, (int)getpid());
  FILE *f = fopen(temp, "wb");
  bool ok = f && fwrite(text->at ? text->at : "", 1, text->n, f) == text->n;
  ok = f && fclose(f) == 0 && ok;
  ok = ok && stat(path, &st) == 0 && chmod(temp, st.st_mode & 07777) == 0;
  if (ok && rename(temp, path) == 0)
    return 0;
  int status = complain(path);
  unlink(temp);
  return status;
}

static int format_file(Session *s, const char *path, bool check) {
  bool filter = strcmp(path, "-") == 0;
  uint32_t file = source_read(s, filter ? "/dev/stdin" : path);
  if (!file) {
    fprintf(stderr, "nnc: can't read %s: %s\n", path, strerror(errno));
    return 1;
  }
  Text text = {.arena = s->perm};
  uint32_t errors = s->n_error;
  s->n_error = 0;
  bool ok = format_source(s, file, &text);
  s->n_error += errors;
  if (!ok)
    return 1;
  const Source *source = &s->source.at[file];
  bool same = source->n == text.n && memcmp(source->text, text.n ? text.at : "", text.n) == 0;
  if (check && !same)
    printf("%s\n", path);
  else if (filter && !check)
    fwrite(text.at ? text.at : "", 1, text.n, stdout);
  else if (!same)
    return rewrite(s, path, &text);
  return check && !same;
}

int command_fmt(Session *s, int argc, char **argv) {
  bool check = false;
  int files = 0, status = 0;
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], "--check") == 0)
      check = true;
    else if (argv[i][0] == '-' && argv[i][1]) {
      fprintf(stderr, "nnc: fmt has no option `%s`; it has --check\n", argv[i]);
      return 1;
    } else
      files++;
  if (!files)
    fputs("usage: nnc fmt [--check] FILE...    (- for stdin to stdout)\n", stderr);
  for (int i = 0; i < argc; i++)
    if (strcmp(argv[i], "--check") != 0)
      status |= format_file(s, argv[i], check);
  return files ? status : 1;
}
