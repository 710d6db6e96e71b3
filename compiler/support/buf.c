// Growable arrays and text: doubling copies inside an arena.
#include "support/buf.h"

#include <stdio.h>
#include <string.h>

void *buf_grow(Arena *arena, void *at, uint32_t n, uint32_t *cap, size_t item) {
  if (n < *cap)
    return at;
  *cap = *cap ? *cap * 2 : 8;
  void *wider = arena_alloc(arena, *cap * item);
  if (n)
    memcpy(wider, at, n * item);
  return wider;
}

static void text_reserve(Text *text, size_t more) {
  if (text->n + more + 1 <= text->cap)
    return;
  size_t cap = text->cap ? text->cap * 2 : 256;
  while (cap < text->n + more + 1)
    cap *= 2;
  char *wider = arena_alloc(text->arena, cap);
  if (text->n)
    memcpy(wider, text->at, text->n);
  text->at = wider;
  text->cap = cap;
}

void text_putn(Text *text, const char *s, size_t n) {
  text_reserve(text, n);
  memcpy(text->at + text->n, s, n);
  text->n += n;
  text->at[text->n] = 0;
}

void text_put(Text *text, const char *s) {
  text_putn(text, s, strlen(s));
}

void text_printf(Text *text, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, again);
  va_end(again);
  text_reserve(text, (size_t)n);
  vsnprintf(text->at + text->n, (size_t)n + 1, format, args);
  va_end(args);
  text->n += (size_t)n;
}
