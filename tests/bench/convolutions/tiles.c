// Prints the header of the convolutions that are to be measured, whose names begin like one of the
// arguments, or of all: the constants of their tiles, and CHOSEN, which lists them.
#include "shapes.h"

#include <stdio.h>
#include <string.h>

CONVOLUTIONS(SHAPE)

static void print(const char *name, const NnrtDirect *s, NnrtDirectOf of) {
  NnrtDirectTile t = nnrt_direct_tile(s, of);
  printf("static const NnrtDirectTile tile_%s_%d = {%ld, %ld, %ld, %ld, %ld, %ld, %ld, %ld, %ld, "
         "%ld, %ld};\n",
         name, of, (long)t.rows, (long)t.columns, (long)t.depth, (long)t.per_image, (long)t.blocks,
         (long)t.window, (long)t.sum, (long)t.images, (long)t.image_rows, (long)t.parts,
         (long)t.scratch);
}

static int chosen(const char *name, int n, char **begin) {
  for (int i = 0; i < n; i++)
    if (strncmp(name, begin[i], strlen(begin[i])) == 0)
      return 1;
  return n == 0;
}

int main(int argc, char **argv) {
#define PRINT(name, ...)                                                                           \
  if (chosen(#name, argc - 1, argv + 1)) {                                                         \
    print(#name, &name, NNRT_DIRECT_OUT);                                                          \
    print(#name, &name, NNRT_DIRECT_IN);                                                           \
    print(#name, &name, NNRT_DIRECT_FILTER);                                                       \
  }
  CONVOLUTIONS(PRINT)
  printf("#define CHOSEN(X)");
#define NAME(name, ...)                                                                            \
  if (chosen(#name, argc - 1, argv + 1))                                                           \
    printf(" \\\n  X(%s, %s)", #name, #__VA_ARGS__);
  CONVOLUTIONS(NAME)
  printf("\n");
  return 0;
}
