// lang/OPS.md is what the records say. After a change: build/nnc --list-ops > lang/OPS.md, or
// BLESS=1 with this test.
#include "optest.h"
#include "tools/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  Session *s = session_create();
  Text now = {.arena = s->perm};
  print_op_docs(&now);
  const char *path = "lang/OPS.md";
  if (getenv("BLESS")) {
    FILE *f = fopen(path, "w");
    if (f) {
      fputs(now.at, f);
      fclose(f);
    }
  }
  uint32_t file = source_read(s, path);
  bool same = file && strcmp(s->source.at[file].text, now.at) == 0;
  report(same, "opdoc", "lang/OPS.md",
         "it is not what the records say: nnc --list-ops > lang/OPS.md");
  session_destroy(s);
  return report_status();
}
