// `weights = renamed("file", "theirs" = "ours", layout = oihw)` of an instance: its tensors are
// found in the file by name, checked, and what was taken and what wasn't is reported in one line.
#include <stdlib.h>
#include <string.h>
#include "tensors.h"

enum { MOST_LISTED = 12, MOST_NAMED = 4, MOST_STARS = 8, NAME = 512 };

typedef struct {
  const NnrtProgram *program;
  const NnrtImport *import;
  const char *path; // of the file
  TensorFile file;
  char **name;          // per tensor of the file: its path in the program
  const Weight *weight; // of the program
  size_t count;
  bool *covered;
  String wrong; // list of what is missing or doesn't fit
  size_t n_wrong, taken;
  int64_t numbers;
} Import;

// ---- Names ------------------------------------------------------------------------------------

// Does `name` match a pattern of plain characters and stars? from, length: what each star stands
// for, as little as possible.
static bool match_stars(const char *pattern, const char *name, const char **from, size_t *length) {
  for (; *pattern != '*'; pattern++, name++)
    if (*pattern != *name)
      return false;
    else if (!*name)
      return true;
  size_t rest = strlen(name);
  for (size_t n = 0; n <= rest; n++)
    if (match_stars(pattern + 1, name + n, from + 1, length + 1)) {
      *from = name;
      *length = n;
      return true;
    }
  return false;
}

static void put_limited(char to[NAME], size_t *n, const char *text, size_t length) {
  for (size_t i = 0; i < length && *n + 1 < NAME; i++)
    to[(*n)++] = text[i];
  to[*n] = 0;
}

// `from` of the name becomes `to`: a whole name with stars, else it or its first parts.
static bool rename_one(char name[NAME], const char *from, const char *to) {
  const char *part[MOST_STARS + 1];
  size_t length[MOST_STARS + 1], n = 0, k = 0, begins = strlen(from);
  char made[NAME] = "";
  if (strchr(from, '*')) {
    if (!match_stars(from, name, part, length))
      return false;
    for (const char *at = to; *at; at++)
      if (*at == '*') {
        put_limited(made, &n, part[k], length[k]);
        k++;
      } else {
        put_limited(made, &n, at, 1);
      }
  } else {
    if (strncmp(name, from, begins) || (name[begins] && name[begins] != '.'))
      return false;
    put_limited(made, &n, to, strlen(to));
    put_limited(made, &n, name + begins, strlen(name + begins));
  }
  const char *first = *made == '.' ? made + 1 : made; // what was in front is gone
  memmove(name, first, strlen(first) + 1);
  return true;
}

static void with_points(char *to, const char *name) { // Keras and ONNX write conv/kernel
  snprintf(to, NAME, "%s", name);
  for (char *p = to; *p; p++)
    *p = *p == '/' ? '.' : *p;
}

// The names of the file as paths. A renaming that changes nothing is a mistake.
static bool rename_all(Import *i, Failure *failure) {
  const NnrtImport *import = i->import;
  bool *used = calloc(import->n_rename + 1, sizeof *used);
  i->name = calloc(i->file.n + 1, sizeof *i->name);
  bool good = used && i->name;
  for (size_t k = 0; good && k < i->file.n; k++) {
    char name[NAME], from[NAME];
    with_points(name, i->file.at[k].name);
    for (uint32_t r = 0; r < import->n_rename; r++) {
      with_points(from, import->from[r]);
      used[r] |= rename_one(name, from, import->to[r]);
    }
    String path = {0};
    string_printf(&path, "%s.%s", import->instance, name);
    i->name[k] = path.at;
    good = path.at != NULL;
  }
  if (!good)
    failf(failure, "%s: not enough memory for its names", i->path);
  for (uint32_t r = 0; good && r < import->n_rename; r++)
    if (!used[r])
      good =
          failf(failure, "%s: no tensor is called \"%s\", which is to become \"%s\"%s%s%s", i->path,
                import->from[r], import->to[r], i->file.n ? "; the first is \"" : ": it has none",
                i->file.n ? i->file.at[0].name : "", i->file.n ? "\"" : "");
  free(used);
  return good;
}

// ---- Which tensors ----------------------------------------------------------------------------

static bool is_in(const char *path, const char *instance) {
  size_t n = strlen(instance);
  return !strncmp(path, instance, n) && path[n] == '.';
}

// Of instances with weights inside each other the inner one counts.
static const NnrtImport *import_of(const NnrtProgram *program, const char *path) {
  const NnrtImport *found = NULL;
  for (uint32_t k = 0; k < program->n_import; k++)
    if (is_in(path, program->import[k].instance) &&
        (!found || strlen(program->import[k].instance) > strlen(found->instance)))
      found = &program->import[k];
  return found;
}

static size_t find_stored(const Import *i, const char *path) {
  size_t k = 0;
  while (k < i->file.n && strcmp(i->name[k], path))
    k++;
  return k;
}

static void put_wrong(Import *i, const Weight *weight, const StoredTensor *found) {
  if (++i->n_wrong > MOST_LISTED)
    return;
  string_printf(&i->wrong, found ? "\n  %s: expected " : "\n  %s: missing, expected ",
                weight->tensor->name);
  put_weight_type(&i->wrong, &weight->tensor->type);
  if (!found)
    return;
  string_put(&i->wrong, ", found ");
  put_stored_type(&i->wrong, found);
  bool turned = i->import->layout == NNRT_LAYOUT_OIHW;
  if (turned)
    string_put(&i->wrong, " (filters first)");
  if (tensor_fits(found, turned ? NNRT_LAYOUT_HWIO : NNRT_LAYOUT_OIHW, &weight->tensor->type,
                  false))
    string_put(&i->wrong,
               turned ? "; it fits without layout = oihw" : "; it fits with layout = oihw");
}

// taken: per tensor of the file.
static bool match_all(Import *i, size_t *of, bool *taken, Failure *failure) {
  for (size_t k = 0; k < i->count; k++) {
    const char *path = i->weight[k].tensor->name;
    of[k] = i->file.n;
    if (import_of(i->program, path) != i->import)
      continue;
    size_t at = find_stored(i, path);
    const StoredTensor *found = at < i->file.n ? &i->file.at[at] : NULL;
    if (!found || !tensor_fits(found, i->import->layout, &i->weight[k].tensor->type, false)) {
      put_wrong(i, &i->weight[k], found);
      continue;
    }
    of[k] = at;
    taken[at] = true;
    i->taken++;
    i->numbers += type_elements(&i->weight[k].tensor->type);
  }
  for (size_t k = 0; k < i->file.n; k++)
    for (size_t other = k + 1; taken[k] && other < i->file.n; other++)
      if (!strcmp(i->name[k], i->name[other]))
        return failf(failure, "%s: \"%s\" and \"%s\" are both %s", i->path, i->file.at[k].name,
                     i->file.at[other].name, i->name[k]);
  return true;
}

// ---- What is said -----------------------------------------------------------------------------

// "; 2 of the file left out: conv10_b_0, conv10_w_0"
static void put_left_out(const Import *i, const bool *taken, String *line) {
  size_t left = 0;
  for (size_t k = 0; k < i->file.n; k++)
    left += !taken[k];
  if (!left)
    return;
  string_printf(line, "; %zu of the file left out: ", left);
  for (size_t k = 0, n = 0; k < i->file.n && n < MOST_NAMED; k++)
    if (!taken[k])
      string_printf(line, "%s%.100s", n++ ? ", " : "", i->file.at[k].name);
  if (left > MOST_NAMED)
    string_put(line, ", ...");
}

static void say_loaded(const Import *i, const bool *taken, FILE *report, LogForm log) {
  String line = {0};
  if (log == LOG_JSON) {
    string_put(&line, "{\"loaded\":");
    string_put_json(&line, i->path);
    string_put(&line, ",\"into\":");
    string_put_json(&line, i->import->instance);
    string_printf(&line, ",\"tensors\":%zu,\"of\":%zu,\"numbers\":%lld}", i->taken,
                  i->taken + i->n_wrong, (long long)i->numbers);
  } else {
    string_printf(&line, "weights of %s: %zu of %zu tensors, ", i->import->instance, i->taken,
                  i->taken + i->n_wrong);
    string_put_count(&line, i->numbers);
    string_printf(&line, " numbers, from %s", i->path);
    put_left_out(i, taken, &line);
    if (i->n_wrong)
      string_printf(&line, "\n  as initialised:%s", i->wrong.at ? i->wrong.at : "");
  }
  if (line.at)
    fprintf(report, "%s\n", line.at);
  string_free(&line);
}

static bool refuse(Import *i, const bool *taken, Failure *failure) {
  String left = {0};
  if (i->n_wrong > MOST_LISTED)
    string_printf(&i->wrong, "\n  and %zu more", i->n_wrong - MOST_LISTED);
  put_left_out(i, taken, &left);
  failf(failure, "%s: the weights don't fit %s:%s\n  %zu of %zu tensors fit%s\n  %s", i->path,
        i->import->instance, i->wrong.at ? i->wrong.at : " (no memory for the list)", i->taken,
        i->taken + i->n_wrong, left.at ? left.at : "",
        i->taken ? "`partial = true` takes those"
                 : "`weights = renamed(FILE, \"theirs\" = \"ours\")` says how names become ours");
  string_free(&left);
  return false;
}

// ---- One file ---------------------------------------------------------------------------------

static bool import_one(Import *i, FILE *report, LogForm log, Failure *failure) {
  size_t *of = calloc(i->count + 1, sizeof *of);
  bool *taken = NULL, good = (of || failf(failure, "not enough memory for the list of weights")) &&
                             tensors_open(&i->file, i->path, failure) && rename_all(i, failure);
  if (good) {
    taken = calloc(i->file.n + 1, sizeof *taken);
    good = taken ? match_all(i, of, taken, failure) : failf(failure, "not enough memory");
  }
  if (good && i->n_wrong && !(i->import->partial && i->taken))
    good = refuse(i, taken, failure);
  for (size_t k = 0; good && k < i->count; k++)
    if (of[k] < i->file.n) {
      tensor_take(&i->file.at[of[k]], i->import->layout, i->import->scale, &i->weight[k]);
      i->covered[k] = true;
    }
  if (good && report)
    say_loaded(i, taken, report, log);
  for (size_t k = 0; i->name && k < i->file.n; k++)
    free(i->name[k]);
  free(i->name);
  free(taken);
  free(of);
  tensors_close(&i->file);
  string_free(&i->wrong);
  return good;
}

bool imports_load(const Weight *weight, size_t count, const NnrtProgram *program,
                  const Options *options, bool *covered, FILE *report, Failure *failure) {
  bool good = true;
  for (uint32_t k = 0; good && k < program->n_import; k++) {
    const NnrtImport *import = &program->import[k];
    char *path = NULL;
    good = file_search(import->file, options->data, import->path, &path, failure);
    Import one = {.program = program,
                  .import = import,
                  .path = path,
                  .weight = weight,
                  .count = count,
                  .covered = covered};
    good = good && import_one(&one, report, log_form(options), failure);
    free(path);
  }
  return good;
}
