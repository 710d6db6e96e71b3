// A token that can't stand where it stands, as syntax_error.c and syntax_advice.c see it.
#ifndef NNC_SURPRISE_H
#define NNC_SURPRISE_H

#include "parse.h"

typedef struct {
  Parse *p;
  const Token *found, *before; // before: NULL at the start of the file
  const char *const *expected; // names of the grammar
  int n;
} Surprise;

bool takes(const Surprise *u, const char *name); // would the grammar have taken it?
bool wants_declaration(const Surprise *u);       // between declarations
const char *syntax_advice(const Surprise *u);    // what to do about it, or NULL

#endif
