// Chunked bump allocator. Under ASan each allocation is its own chunk, so that overruns are seen.
#include "support/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
static const size_t least_chunk = 1, most_chunk = 1, mapped_chunk = SIZE_MAX;
#else
static const size_t least_chunk = 64 * 1024, most_chunk = 8 * 1024 * 1024,
                    mapped_chunk = 8 * 1024 * 1024; // larger ones come from the kernel
#endif

typedef struct Chunk {
  struct Chunk *next;
  size_t used, size;
  bool is_mapped;
  _Alignas(16) char data[];
} Chunk;

struct Arena {
  Chunk *head;
  size_t bytes;
};

static void *must(void *p) {
  if (!p) {
    fputs("nnc: out of memory\n", stderr);
    abort();
  }
  return p;
}

Arena *arena_create(void) {
  return must(calloc(1, sizeof(Arena)));
}

void arena_destroy(Arena *arena) {
  for (Chunk *c = arena->head, *next; c; c = next) {
    next = c->next;
    if (c->is_mapped)
      munmap(c, sizeof *c + c->size);
    else
      free(c);
  }
  free(arena);
}

// A large one comes from the kernel, which clears pages as they are touched, large pages if it can.
static Chunk *chunk_new(size_t room) {
  Chunk *c = NULL;
  bool is_mapped = room >= mapped_chunk;
  if (is_mapped) {
    c = mmap(NULL, sizeof(Chunk) + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
             0);
    c = must(c == MAP_FAILED ? NULL : c);
    madvise(c, sizeof(Chunk) + room, MADV_HUGEPAGE);
  } else
    c = must(calloc(1, sizeof(Chunk) + room));
  c->size = room;
  c->is_mapped = is_mapped;
  return c;
}

// As much as there is already, within limits.
static size_t chunk_room(const Arena *arena, size_t size) {
  size_t room = arena->bytes < least_chunk ? least_chunk : arena->bytes;
  room = room > most_chunk ? most_chunk : room;
  return size > room ? size : room;
}

void *arena_alloc(Arena *arena, size_t size) {
  size = (size + 15) & ~(size_t)15;
  arena->bytes += size;
  Chunk *c = arena->head;
  if (!c || c->size - c->used < size) {
    c = chunk_new(chunk_room(arena, size));
    // A large block goes behind the head, so that the head's free room stays in use.
    if (arena->head && c->size - size < arena->head->size - arena->head->used) {
      c->next = arena->head->next;
      arena->head->next = c;
    } else {
      c->next = arena->head;
      arena->head = c;
    }
  }
  void *p = c->data + c->used;
  c->used += size;
  return p;
}

char *arena_strndup(Arena *arena, const char *text, size_t n) {
  char *copy = arena_alloc(arena, n + 1);
  memcpy(copy, text, n);
  return copy;
}

char *arena_vprintf(Arena *arena, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, again);
  va_end(again);
  char *text = arena_alloc(arena, (size_t)n + 1);
  vsnprintf(text, (size_t)n + 1, format, args);
  return text;
}

char *arena_printf(Arena *arena, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = arena_vprintf(arena, format, args);
  va_end(args);
  return text;
}

size_t arena_bytes(const Arena *arena) {
  return arena->bytes;
}
