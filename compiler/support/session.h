// One run of the compiler: its memory, names, sources and diagnostics. Passed to everything.
#ifndef NNC_SESSION_H
#define NNC_SESSION_H

#include <stdbool.h>
#include "support/arena.h"
#include "support/buf.h"

// Bytes [start, end) of a file. file 0 is "nowhere".
typedef struct {
  uint32_t file, start, end;
} Span;

typedef struct {
  const char *path; // as shown to the user; "<std>/layers.nn" for embedded modules
  const char *text; // NUL-terminated
  uint32_t n;       // bytes
  uint32_t *line;   // byte at which each line starts
  uint32_t n_line;
} Source;

typedef enum { DIAG_ERROR, DIAG_WARNING } Severity;

typedef struct DiagNote {
  Span span; // file 0: a note without a place, printed as "= help: ..."
  const char *text;
  struct DiagNote *next;
} DiagNote;

typedef struct {
  Severity severity;
  const char *code;  // a slug with a section in lang/ERRORS.md
  const char *text;  // the headline: what was expected, what was found
  const char *label; // short text after the carets, or NULL
  Span span;
  DiagNote *note, *last_note;
} Diagnostic;

typedef struct Session {
  Arena *perm;        // sources, names, trees, IR: lives until the end
  BUF(Source) source; // [0] is unused
  BUF(Diagnostic *) diag;
  uint32_t n_error;
  struct NameTable *names;
} Session;

Session *session_create(void);
void session_destroy(Session *s);

// Interned: equal texts give equal pointers.
const char *intern(Session *s, const char *text);
const char *intern_n(Session *s, const char *text, size_t n);

// A number for each of some interned names, 0 where none was set. All-zero is empty.
typedef struct {
  struct NameNumber {
    const char *name;
    uint32_t n;
  } * slot;
  uint32_t n, cap; // cap is a power of two
} NameNumbers;
uint32_t names_get(const NameNumbers *numbers, const char *name);
void names_set(Arena *arena, NameNumbers *numbers, const char *name, uint32_t n);

// Reads a file (or takes `text`) and gives its id; 0 if it can't be read (errno says why).
uint32_t source_read(Session *s, const char *path);
uint32_t source_add(Session *s, const char *path, const char *text, size_t n);
// 1-based line and column (in bytes) of a byte offset.
void source_position(const Source *source, uint32_t offset, uint32_t *line, uint32_t *column);

// Users' errors. `code` is a slug in lang/ERRORS.md. The result takes notes and a label.
Diagnostic *diag_error(Session *s, Span span, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
Diagnostic *diag_warning(Session *s, Span span, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// The words behind the carets.
void diag_label(Session *s, Diagnostic *d, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// "where the other side came from"; with span.file 0 it is printed as advice: "help: ...".
void diag_note(Session *s, Diagnostic *d, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Prints all, sorted by place, at most 20 errors, then the count.
void diag_print(Session *s, void *file);
// The nearest of `n` names, or NULL if none is near: for "did you mean".
const char *nearest_name(const char *name, const char *const *names, uint32_t n);

// Our own errors: prints the message and exits with 70.
_Noreturn void ice(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline Span span_join(Span a, Span b) {
  if (!a.file)
    return b;
  if (!b.file)
    return a;
  return (Span){a.file, a.start < b.start ? a.start : b.start, a.end > b.end ? a.end : b.end};
}

#endif
