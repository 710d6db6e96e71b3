// Growable arrays and growable text, both in an arena.
#ifndef NNC_BUF_H
#define NNC_BUF_H

#include "support/arena.h"

// BUF(T) is { T *at; uint32_t n, cap; }. An all-zero one is empty.
#define BUF(T)                                                                                     \
  struct {                                                                                         \
    T *at;                                                                                         \
    uint32_t n, cap;                                                                               \
  }
#define buf_push(arena, buf, ...)                                                                  \
  ((buf)->at = buf_grow((arena), (buf)->at, (buf)->n, &(buf)->cap, sizeof *(buf)->at),             \
   (buf)->at[(buf)->n++] = (__VA_ARGS__))

void *buf_grow(Arena *arena, void *at, uint32_t n, uint32_t *cap, size_t item);

// Text under construction; `at` is always NUL-terminated once anything was put.
typedef struct {
  Arena *arena;
  char *at;
  size_t n, cap;
} Text;

void text_put(Text *text, const char *s);
void text_putn(Text *text, const char *s, size_t n);
void text_printf(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
