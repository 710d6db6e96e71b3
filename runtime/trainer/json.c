// A reader of JSON (RFC 8259) into a tree, for the headers of weights files. Made for hostile
// input: bounded depth, no recursion beyond it, every length checked.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

enum { DEEPEST = 32 };

typedef struct {
  const char *start, *at, *end;
  String *why;
} Reader;

static Json *give_up(Reader *reader, const char *expected) {
  if (!reader->why->length)
    string_printf(reader->why, "byte %zu of the JSON: expected %s",
                  (size_t)(reader->at - reader->start), expected);
  return NULL;
}

static void skip_blanks(Reader *reader) {
  while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
    reader->at++;
}

static bool take(Reader *reader, char c) {
  skip_blanks(reader);
  if (reader->at == reader->end || *reader->at != c)
    return false;
  reader->at++;
  return true;
}

void json_free(Json *json) {
  while (json) {
    Json *next = json->next;
    json_free(json->child);
    free(json->text);
    free(json->name);
    free(json);
    json = next;
  }
}

static bool read_hex4(Reader *reader, uint32_t *code) {
  *code = 0;
  if (reader->end - reader->at < 4)
    return false;
  for (int i = 0; i < 4; i++) {
    char c = *reader->at++;
    uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                            : 16;
    if (digit > 15)
      return false;
    *code = *code * 16 + digit;
  }
  return true;
}

static char *put_utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xc0 | code >> 6);
    *out++ = (char)(0x80 | (code & 63));
  } else if (code < 0x10000) {
    *out++ = (char)(0xe0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 63));
    *out++ = (char)(0x80 | (code & 63));
  } else {
    *out++ = (char)(0xf0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 63));
    *out++ = (char)(0x80 | (code >> 6 & 63));
    *out++ = (char)(0x80 | (code & 63));
  }
  return out;
}

// After the backslash. NUL and lone surrogates are refused: names are C strings of UTF-8.
static char *read_escape(Reader *reader, char *out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (reader->at == reader->end)
    return NULL;
  char c = *reader->at++;
  const char *known = c ? strchr(from, c) : NULL;
  if (known) {
    *out++ = to[known - from];
    return out;
  }
  uint32_t code, low;
  if (c != 'u' || !read_hex4(reader, &code) || !code || (code >= 0xdc00 && code < 0xe000))
    return NULL;
  if (code >= 0xd800 && code < 0xdc00) {
    if (reader->end - reader->at < 2 || reader->at[0] != '\\' || reader->at[1] != 'u')
      return NULL;
    reader->at += 2;
    if (!read_hex4(reader, &low) || low < 0xdc00 || low >= 0xe000)
      return NULL;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  return put_utf8(out, code);
}

// A string whose opening quote was taken; malloc'd, NULL if it is broken.
static char *read_string(Reader *reader) {
  const char *close = reader->at;
  while (close < reader->end && *close != '"')
    close += *close == '\\' && reader->end - close > 1 ? 2 : 1;
  if (close >= reader->end) {
    give_up(reader, "the string's closing quote");
    return NULL;
  }
  char *text = malloc((size_t)(close - reader->at) + 1), *out = text;
  while (text && reader->at < close) {
    char c = *reader->at++;
    if ((unsigned char)c < 0x20 || (c == '\\' && !(out = read_escape(reader, out)))) {
      give_up(reader, "a legal character in the string");
      free(text);
      return NULL;
    }
    if (c != '\\')
      *out++ = c;
  }
  if (!text) {
    give_up(reader, "more memory");
    return NULL;
  }
  *out = 0;
  reader->at = close + 1;
  return text;
}

static Json *read_value(Reader *reader, int depth);

static bool read_members(Reader *reader, Json *parent, char close, int depth) {
  Json **link = &parent->child;
  if (take(reader, close))
    return true;
  do {
    char *name = NULL;
    if (parent->kind == JSON_OBJECT) {
      if (!take(reader, '"'))
        return give_up(reader, "a name in quotes") != NULL;
      if (!(name = read_string(reader)))
        return false;
      if (!take(reader, ':')) {
        free(name);
        return give_up(reader, "a colon") != NULL;
      }
    }
    *link = read_value(reader, depth + 1);
    if (!*link) {
      free(name);
      return false;
    }
    (*link)->name = name;
    link = &(*link)->next;
  } while (take(reader, ','));
  return take(reader, close) || give_up(reader, close == '}' ? "a comma or }" : "a comma or ]");
}

static bool read_word(Reader *reader, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length))
    return false;
  reader->at += length;
  return true;
}

static bool read_scalar(Reader *reader, Json *json) {
  const char *from = reader->at;
  if (read_word(reader, "null"))
    return true;
  json->kind = JSON_BOOL;
  if (read_word(reader, "false"))
    return true;
  json->number = 1;
  if (read_word(reader, "true"))
    return true;
  json->kind = JSON_NUMBER;
  while (reader->at < reader->end && *reader->at && strchr("+-.0123456789eE", *reader->at))
    reader->at++;
  if (parse_number(from, (size_t)(reader->at - from), &json->number))
    return true;
  reader->at = from;
  return false;
}

static Json *read_value(Reader *reader, int depth) {
  if (depth > DEEPEST)
    return give_up(reader, "fewer nested values");
  Json *json = calloc(1, sizeof *json);
  if (!json)
    return give_up(reader, "more memory");
  bool good;
  if (take(reader, '{')) {
    json->kind = JSON_OBJECT;
    good = read_members(reader, json, '}', depth);
  } else if (take(reader, '[')) {
    json->kind = JSON_ARRAY;
    good = read_members(reader, json, ']', depth);
  } else if (take(reader, '"')) {
    json->kind = JSON_STRING;
    good = (json->text = read_string(reader)) != NULL;
  } else {
    good = read_scalar(reader, json) || give_up(reader, "a value");
  }
  if (good)
    return json;
  json_free(json);
  return NULL;
}

Json *json_parse(const char *text, size_t size, String *why) {
  Reader reader = {text, text, text + size, why};
  Json *json = read_value(&reader, 0);
  skip_blanks(&reader);
  if (json && reader.at != reader.end) {
    json_free(json);
    return give_up(&reader, "the end");
  }
  return json;
}

const Json *json_member(const Json *object, const char *name) {
  for (const Json *member = object->child; member; member = member->next)
    if (member->name && !strcmp(member->name, name))
      return member;
  return NULL;
}
