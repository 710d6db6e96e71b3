// Weights as .safetensors: an 8-byte length, a JSON header, the tensors. Written as a whole or not
// at all; read with every claim of the file checked before anything is copied.
#include <stdlib.h>
#include <string.h>
#include "trainer.h"

// Parameters first, then moving statistics: one list for writing and for matching.
typedef struct {
  const NnrtTensor *tensor;
  void *bytes;
  size_t size;
} Entry;

typedef struct {
  const char *name;
  const Json *about;
  size_t begin, end; // in the data part
} Stored;

static Entry *list_entries(const Values *values, size_t *count, Failure *failure) {
  const NnrtProgram *program = values->program;
  *count = (size_t)program->n_param + program->n_state;
  Entry *entry = calloc(*count + 1, sizeof *entry);
  if (!entry) {
    failf(failure, "not enough memory for the list of weights");
    return NULL;
  }
  for (size_t i = 0; i < *count; i++) {
    bool param = i < program->n_param;
    size_t k = param ? i : i - program->n_param;
    entry[i].tensor = param ? &program->param[k] : &program->state[k];
    entry[i].bytes = param ? values->param[k] : values->state[k];
    entry[i].size =
        (size_t)type_elements(&entry[i].tensor->type) * elem_bytes(entry[i].tensor->type.elem);
  }
  return entry;
}

char *weights_path(const NnrtProgram *program, const Options *options) {
  String path = {0};
  string_printf(&path, options->out ? "%s" : "%s.safetensors",
                options->out ? options->out : program->name);
  return path.at;
}

// ---- Writing ----------------------------------------------------------------------------------

static void put_header(String *header, const NnrtProgram *program, const Entry *entry,
                       size_t count) {
  string_put(header, "{\"__metadata__\":{\"format\":\"nnc\",\"program\":");
  string_put_json(header, program->name);
  string_put(header, ",\"source_hash\":");
  string_put_json(header, program->source_hash ? program->source_hash : "");
  string_put(header, ",\"compiler\":");
  string_put_json(header, program->compiler ? program->compiler : "");
  string_put(header, "}");
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    const NnrtType *type = &entry[i].tensor->type;
    string_put(header, ",");
    string_put_json(header, entry[i].tensor->name);
    string_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", elem_text(type->elem));
    for (uint32_t k = 0; k < type->rank; k++)
      string_printf(header, "%s%lld", k ? "," : "", (long long)type->dim[k]);
    string_printf(header, "],\"data_offsets\":[%zu,%zu]}", at, at + entry[i].size);
    at += entry[i].size;
  }
  string_put(header, "}");
  while (header->length % 8 && !header->no_memory) // so that the tensors are aligned
    string_put(header, " ");
}

static bool write_entries(const NnrtProgram *program, const Entry *entry, size_t count,
                          const char *path, Failure *failure) {
  String header = {0};
  put_header(&header, program, entry, count);
  Piece *piece = calloc(count + 2, sizeof *piece);
  uint8_t length[8];
  for (int i = 0; i < 8; i++)
    length[i] = (uint8_t)((uint64_t)header.length >> 8 * i);
  bool good = piece && !header.no_memory;
  if (good) {
    piece[0] = (Piece){length, sizeof length};
    piece[1] = (Piece){header.at, header.length};
    for (size_t i = 0; i < count; i++)
      piece[i + 2] = (Piece){entry[i].bytes, entry[i].size};
    good = file_write(path, piece, count + 2, failure);
  } else {
    failf(failure, "%s: not enough memory to write it", path);
  }
  free(piece);
  string_free(&header);
  return good;
}

bool weights_save(const Values *values, const char *path, Failure *failure) {
  size_t count;
  Entry *entry = list_entries(values, &count, failure);
  bool good = entry && write_entries(values->program, entry, count, path, failure);
  free(entry);
  return good;
}

// ---- Reading: is the file sound? --------------------------------------------------------------

static bool whole(const Json *json, size_t *value) {
  if (!json || json->kind != JSON_NUMBER ||
      !(json->number >= 0 && json->number <= 9007199254740992.0) ||
      json->number != (double)(size_t)json->number)
    return false;
  *value = (size_t)json->number;
  return true;
}

static size_t dtype_bytes(const char *dtype) {
  static const struct {
    const char *name;
    size_t bytes;
  } known[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1},
               {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
               {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(known[i].name, dtype))
      return known[i].bytes;
  return 0;
}

static bool check_tensor(const char *path, const Json *about, size_t data_size, Stored *stored,
                         Failure *failure) {
  const Json *dtype = NULL, *shape = NULL, *offsets = NULL;
  if (about->kind == JSON_OBJECT) {
    dtype = json_member(about, "dtype");
    shape = json_member(about, "shape");
    offsets = json_member(about, "data_offsets");
  }
  if (!dtype || dtype->kind != JSON_STRING || !shape || shape->kind != JSON_ARRAY || !offsets ||
      offsets->kind != JSON_ARRAY || !whole(offsets->child, &stored->begin) ||
      !whole(offsets->child->next, &stored->end) || offsets->child->next->next)
    return failf(failure, "%s: tensor \"%s\" lacks a dtype, a shape or two data_offsets", path,
                 about->name);
  size_t bytes = dtype_bytes(dtype->text), size = bytes, dim;
  if (!bytes)
    return failf(failure, "%s: tensor \"%s\" has the unknown dtype \"%.32s\"", path, about->name,
                 dtype->text);
  for (const Json *d = shape->child; d; d = d->next)
    if (!whole(d, &dim) || __builtin_mul_overflow(size, dim, &size))
      return failf(failure, "%s: tensor \"%s\" has an impossible shape", path, about->name);
  if (stored->begin > stored->end || stored->end > data_size)
    return failf(failure, "%s: tensor \"%s\" claims bytes %zu to %zu of %zu: %s", path, about->name,
                 stored->begin, stored->end, data_size,
                 stored->begin > stored->end ? "they end before they begin"
                                             : "the file is cut off");
  if (stored->end - stored->begin != size)
    return failf(failure, "%s: tensor \"%s\" has %zu bytes, its shape and dtype need %zu", path,
                 about->name, stored->end - stored->begin, size);
  stored->name = about->name;
  stored->about = about;
  return true;
}

static int by_place(const void *a, const void *b) {
  const Stored *x = a, *y = b;
  if (x->begin != y->begin)
    return x->begin < y->begin ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const Stored *)a)->name, ((const Stored *)b)->name);
}

// The tensors lie one behind the other and fill the data: no overlap, no gap, nothing behind them.
static bool check_places(const char *path, Stored *stored, size_t count, size_t data_size,
                         Failure *failure) {
  qsort(stored, count, sizeof *stored, by_place);
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    if (stored[i].begin != at)
      return failf(failure, "%s: tensor \"%s\" begins at byte %zu, expected %zu: %s", path,
                   stored[i].name, stored[i].begin, at,
                   stored[i].begin < at ? "it overlaps another" : "there is a gap before it");
    at = stored[i].end;
  }
  if (at != data_size)
    return failf(failure, "%s: %zu bytes lie behind the last tensor", path, data_size - at);
  qsort(stored, count, sizeof *stored, by_name);
  for (size_t i = 1; i < count; i++)
    if (!strcmp(stored[i - 1].name, stored[i].name))
      return failf(failure, "%s: tensor \"%s\" is there twice", path, stored[i].name);
  return true;
}

static bool list_stored(const char *path, const Json *header, size_t data_size, Stored **list,
                        size_t *count, Failure *failure) {
  size_t n = 0;
  for (const Json *member = header->child; member; member = member->next)
    n++;
  Stored *stored = calloc(n + 1, sizeof *stored);
  if (!stored)
    return failf(failure, "%s: not enough memory for its %zu tensors", path, n);
  *list = stored;
  for (const Json *member = header->child; member; member = member->next)
    if (strcmp(member->name, "__metadata__") &&
        !check_tensor(path, member, data_size, &stored[(*count)++], failure))
      return false;
  return check_places(path, stored, *count, data_size, failure);
}

// ---- Reading: does it fit this program? -------------------------------------------------------

static bool same_type(const Json *about, const NnrtType *type, String *found) {
  const char *dtype = json_member(about, "dtype")->text;
  uint32_t i = 0;
  bool same = !strcmp(dtype, elem_text(type->elem));
  string_printf(found, "%.16s[", dtype);
  for (const Json *d = json_member(about, "shape")->child; d; d = d->next, i++) {
    string_printf(found, "%s%.0f", i ? ", " : "", d->number);
    same = same && i < type->rank && (double)type->dim[i] == d->number;
  }
  string_put(found, "]");
  return same && i == type->rank;
}

static void put_type(String *list, const NnrtType *type) {
  string_printf(list, "%s[", elem_text(type->elem));
  for (uint32_t i = 0; i < type->rank; i++)
    string_printf(list, "%s%lld", i ? ", " : "", (long long)type->dim[i]);
  string_put(list, "]");
}

enum { MOST_LISTED = 12 };

static size_t put_expected(String *list, const Entry *entry, size_t count, const Stored *stored,
                           size_t n_stored) {
  size_t wrong = 0;
  for (size_t i = 0; i < count; i++) {
    Stored key = {.name = entry[i].tensor->name};
    const Stored *found = bsearch(&key, stored, n_stored, sizeof *stored, by_name);
    String type = {0};
    if (found && same_type(found->about, &entry[i].tensor->type, &type)) {
      string_free(&type);
      continue;
    }
    if (++wrong <= MOST_LISTED) {
      string_printf(list, found ? "\n  %s: expected " : "\n  %s: missing, expected ", key.name);
      put_type(list, &entry[i].tensor->type);
      if (found)
        string_printf(list, ", found %s", type.at ? type.at : "?");
    }
    string_free(&type);
  }
  return wrong;
}

static bool is_expected(const Entry *entry, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(entry[i].tensor->name, name))
      return true;
  return false;
}

static bool match(const char *path, const NnrtProgram *program, const Entry *entry, size_t count,
                  const Stored *stored, size_t n_stored, Failure *failure) {
  String list = {0};
  size_t wrong = put_expected(&list, entry, count, stored, n_stored), extra = 0;
  for (size_t i = 0; i < n_stored; i++)
    if (!is_expected(entry, count, stored[i].name) && ++extra + wrong <= MOST_LISTED)
      string_printf(&list, "\n  %.200s: not in this program", stored[i].name);
  bool good = !wrong && !extra;
  if (wrong + extra > MOST_LISTED)
    string_printf(&list, "\n  and %zu more", wrong + extra - MOST_LISTED);
  if (wrong && extra)
    string_put(&list, "\n  layers may have been renumbered: name them with `as`");
  if (!good)
    failf(failure, "%s: the weights don't fit program %s:%s", path, program->name,
          list.at ? list.at : " (no memory for the list)");
  string_free(&list);
  return good;
}

static bool read_sound(const Values *values, const char *path, const Bytes *file,
                       const Json *header, size_t data, Failure *failure) {
  Stored *stored = NULL;
  size_t count, n_stored = 0;
  Entry *entry = list_entries(values, &count, failure);
  bool good = entry && list_stored(path, header, file->size - data, &stored, &n_stored, failure) &&
              match(path, values->program, entry, count, stored, n_stored, failure);
  for (size_t i = 0; good && i < count; i++) {
    Stored key = {.name = entry[i].tensor->name};
    const Stored *found = bsearch(&key, stored, n_stored, sizeof *stored, by_name);
    memcpy(entry[i].bytes, file->at + data + found->begin, entry[i].size);
  }
  free(stored);
  free(entry);
  return good;
}

static bool read_file(const Values *values, const char *path, const Bytes *file, Failure *failure) {
  uint64_t length = 0;
  for (int i = 7; i >= 0 && file->size >= 8; i--)
    length = length << 8 | file->at[i];
  if (file->size < 8 || length < 2 || length > file->size - 8)
    return failf(failure,
                 "%s: is no .safetensors file, or is cut off: it has %zu bytes, its header "
                 "claims %llu",
                 path, file->size, (unsigned long long)length);
  String why = {0};
  Json *header = json_parse((const char *)file->at + 8, (size_t)length, &why);
  bool good;
  if (header && header->kind == JSON_OBJECT)
    good = read_sound(values, path, file, header, (size_t)length + 8, failure);
  else
    good = failf(failure, "%s: is no .safetensors file: %s", path,
                 why.at ? why.at : "its header is no JSON object");
  string_free(&why);
  json_free(header);
  return good;
}

bool weights_load(const Values *values, const char *path, Failure *failure) {
  Bytes file = {0};
  if (!file_read(path, &file, failure))
    return false;
  bool good = read_file(values, path, &file, failure);
  free(file.at);
  return good;
}

bool weights_load_default(const Values *values, const Options *options, Failure *failure) {
  const NnrtProgram *program = values->program;
  if (options->load)
    return weights_load(values, options->load, failure);
  if (!program->n_param && !program->n_state)
    return true;
  char *path = weights_path(program, options);
  bool good;
  if (path && !file_exists(path))
    good = failf(failure, "%s: no weights yet; train first, or name a file with --load", path);
  else
    good = path ? weights_load(values, path, failure) : failf(failure, "not enough memory");
  free(path);
  return good;
}
