// Reading words, numbers, types and attributes of IR text. Only for compiler/ir/read*.c.
#ifndef NNC_IR_READER_H
#define NNC_IR_READER_H

#include "ops/op.h"

typedef struct {
  Module *m;
  const char *p;     // next character
  const char *error; // the first one, or NULL; then everything returns at once
  const char *where; // of the error
} Reader;

enum { MAX_ATTRS = 8 };

// Remembers the first mistake only.
void read_fail(Reader *r, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void read_skip(Reader *r); // spaces and comments
bool read_accept(Reader *r, const char *text);
void read_expect(Reader *r, const char *text);
const char *read_word(Reader *r); // letters, digits, _ and .
int64_t read_integer(Reader *r);
uint32_t read_small(Reader *r);
const char *read_string(Reader *r);
Type read_type(Reader *r);
// name=value ... ; those not given stay A_NONE, which ir_inst fills. Returns how many op has.
uint32_t read_attributes(Reader *r, Op op, Attr *attr, uint32_t most);

#endif
