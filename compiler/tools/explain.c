// `nnc explain CODE`: the section of lang/ERRORS.md on a code. The build embeds that file.
#include "tools/tools.h"

#include <string.h>

// Where the line after `at` begins; the end of the text if there is none.
static const char *next_line(const char *at) {
  const char *end = strchr(at, '\n');
  return end ? end + 1 : at + strlen(at);
}

// Is the line at `at` the heading "## code"?
static bool is_heading(const char *at, const char *code) {
  size_t n = strlen(code);
  return strncmp(at, "## ", 3) == 0 && strncmp(at + 3, code, n) == 0 &&
         (at[3 + n] == '\n' || at[3 + n] == 0);
}

const char *explain_text(Session *s, const char *code) {
  const char *start = errors_text;
  while (*start && !is_heading(start, code))
    start = next_line(start);
  if (!*start || !*code)
    return NULL;
  const char *end = next_line(start);
  while (*end && strncmp(end, "## ", 3) != 0)
    end = next_line(end);
  while (end - start > 1 && end[-1] == '\n' && end[-2] == '\n') // blank lines before the next one
    end--;
  return arena_strndup(s->perm, start, (size_t)(end - start));
}

uint32_t explain_codes(Session *s, const char *const **codes) {
  BUF(const char *) list = {0};
  for (const char *at = errors_text; *at; at = next_line(at))
    if (strncmp(at, "## ", 3) == 0)
      buf_push(s->perm, &list, arena_strndup(s->perm, at + 3, strcspn(at + 3, "\n")));
  *codes = list.at;
  return list.n;
}
