// How a classifier errs, as pictures (confusion.c). What was said and what is true are classes of
// one index, by row.
#ifndef NNRT_CONFUSION_H
#define NNRT_CONFUSION_H

#include "canvas.h"

bool confusion_write(const NnrtOutput *class, const char *name, const int32_t *said,
                     const int32_t *truth, int64_t rows, const char *path, Failure *failure);

typedef struct {
  const NnrtOutput *output; // the picture, what was said, what is true
  const float *image;
  const int32_t *said, *truth;
  int64_t count, wrong, seen; // pictures that are shown, of all wrong ones, of all rows
} Gallery;
bool gallery_write(const Gallery *gallery, const char *name, const char *path, Failure *failure);

#endif
