// Names and sources of one run.
#include "support/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct NameTable {
  const char **slot;
  uint32_t n, cap; // cap is a power of two
} NameTable;

Session *session_create(void) {
  Arena *perm = arena_create();
  Session *s = arena_new(perm, Session);
  s->perm = perm;
  s->names = arena_new(perm, NameTable);
  buf_push(perm, &s->source, (Source){0});
  return s;
}

void session_destroy(Session *s) {
  arena_destroy(s->perm);
}

static uint32_t hash_bytes(const char *text, size_t n) { // FNV-1a
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; i++)
    h = (h ^ (unsigned char)text[i]) * 16777619u;
  return h;
}

static const char **find_slot(NameTable *t, const char *text, size_t n) {
  for (uint32_t i = hash_bytes(text, n);; i++) {
    const char **slot = &t->slot[i & (t->cap - 1)];
    if (!*slot || (strncmp(*slot, text, n) == 0 && (*slot)[n] == 0))
      return slot;
  }
}

static void grow_names(Session *s) {
  NameTable old = *s->names, *t = s->names;
  t->cap = old.cap ? old.cap * 2 : 1024;
  t->slot = arena_array(s->perm, const char *, t->cap);
  for (uint32_t i = 0; i < old.cap; i++)
    if (old.slot[i])
      *find_slot(t, old.slot[i], strlen(old.slot[i])) = old.slot[i];
}

const char *intern_n(Session *s, const char *text, size_t n) {
  NameTable *t = s->names;
  if (2 * (t->n + 1) > t->cap)
    grow_names(s);
  const char **slot = find_slot(t, text, n);
  if (!*slot) {
    *slot = arena_strndup(s->perm, text, n);
    t->n++;
  }
  return *slot;
}

const char *intern(Session *s, const char *text) {
  return intern_n(s, text, strlen(text));
}

static struct NameNumber *find_number(const NameNumbers *t, const char *name) {
  uint64_t h = (uint64_t)(uintptr_t)name * 0x9e3779b97f4a7c15u;
  for (uint32_t i = (uint32_t)(h >> 32);; i++) {
    struct NameNumber *slot = &t->slot[i & (t->cap - 1)];
    if (!slot->name || slot->name == name)
      return slot;
  }
}

uint32_t names_get(const NameNumbers *numbers, const char *name) {
  return numbers->cap ? find_number(numbers, name)->n : 0;
}

void names_set(Arena *arena, NameNumbers *numbers, const char *name, uint32_t n) {
  NameNumbers old = *numbers;
  if (2 * (old.n + 1) > old.cap) {
    numbers->cap = old.cap ? old.cap * 2 : 32;
    numbers->slot = arena_array(arena, struct NameNumber, numbers->cap);
    for (uint32_t i = 0; i < old.cap; i++)
      if (old.slot[i].name)
        *find_number(numbers, old.slot[i].name) = old.slot[i];
  }
  struct NameNumber *slot = find_number(numbers, name);
  numbers->n += slot->name == NULL;
  *slot = (struct NameNumber){name, n};
}

static void find_lines(Session *s, Source *src) {
  const char *end = src->text + src->n;
  uint32_t n = 1;
  for (const char *c = src->text; (c = memchr(c, '\n', (size_t)(end - c))); c++)
    n++;
  src->line = arena_array(s->perm, uint32_t, n);
  src->n_line = 1;
  for (const char *c = src->text; (c = memchr(c, '\n', (size_t)(end - c))); c++)
    src->line[src->n_line++] = (uint32_t)(c - src->text) + 1;
}

uint32_t source_add(Session *s, const char *path, const char *text, size_t n) {
  Source src = {.path = intern(s, path), .n = (uint32_t)n};
  src.text = arena_strndup(s->perm, text, n);
  find_lines(s, &src);
  buf_push(s->perm, &s->source, src);
  return s->source.n - 1;
}

uint32_t source_read(Session *s, const char *path) {
  FILE *f = fopen(path, "rb");
  if (!f)
    return 0;
  Text text = {.arena = s->perm};
  char block[16384];
  size_t n;
  while ((n = fread(block, 1, sizeof block, f)) > 0)
    text_putn(&text, block, n);
  bool bad = ferror(f);
  fclose(f);
  return bad ? 0 : source_add(s, path, text.n ? text.at : "", text.n);
}

void source_position(const Source *source, uint32_t offset, uint32_t *line, uint32_t *column) {
  uint32_t low = 0, high = source->n_line;
  while (high - low > 1) {
    uint32_t mid = low + (high - low) / 2;
    if (source->line[mid] <= offset)
      low = mid;
    else
      high = mid;
  }
  *line = low + 1;
  *column = offset - source->line[low] + 1;
}
