// Weights as .safetensors: an 8-byte length, a JSON header, the tensors. Every claim of a file is
// checked: types, shapes, places; the tensors lie one behind the other and fill the file.
#include <stdlib.h>
#include <string.h>
#include "tensors.h"

// ---- Writing ----------------------------------------------------------------------------------

static void put_header(String *header, const NnrtProgram *program, const Weight *weight,
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
    const NnrtType *type = &weight[i].tensor->type;
    string_put(header, ",");
    string_put_json(header, weight[i].tensor->name);
    string_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", elem_text(type->elem));
    for (uint32_t k = 0; k < type->rank; k++)
      string_printf(header, "%s%lld", k ? "," : "", (long long)type->dim[k]);
    string_printf(header, "],\"data_offsets\":[%zu,%zu]}", at, at + weight[i].size);
    at += weight[i].size;
  }
  string_put(header, "}");
  while (header->length % 8 && !header->no_memory) // so that the tensors are aligned
    string_put(header, " ");
}

bool safetensors_write(const NnrtProgram *program, const Weight *weight, size_t count,
                       const char *path, Failure *failure) {
  String header = {0};
  put_header(&header, program, weight, count);
  Piece *piece = calloc(count + 2, sizeof *piece);
  uint8_t length[8];
  for (int i = 0; i < 8; i++)
    length[i] = (uint8_t)((uint64_t)header.length >> 8 * i);
  bool good = piece && !header.no_memory;
  if (good) {
    piece[0] = (Piece){length, sizeof length};
    piece[1] = (Piece){header.at, header.length};
    for (size_t i = 0; i < count; i++)
      piece[i + 2] = (Piece){weight[i].bytes, weight[i].size};
    good = file_write(path, piece, count + 2, failure);
  } else {
    failf(failure, "%s: not enough memory to write it", path);
  }
  free(piece);
  string_free(&header);
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

typedef struct {
  const char *path;
  size_t data, data_size; // where the tensors begin in the file, and how many bytes they are
} Place;

static bool check_shape(const Place *place, const Json *about, const Json *shape, size_t *size,
                        StoredTensor *stored, Failure *failure) {
  for (const Json *d = shape->child; d; d = d->next) {
    size_t dim;
    if (!whole(d, &dim) || __builtin_mul_overflow(*size, dim, size) ||
        stored->rank == NNRT_MAX_RANK)
      return failf(failure, "%s: tensor \"%s\" has an impossible shape", place->path, about->name);
    stored->dim[stored->rank++] = (int64_t)dim;
  }
  return true;
}

static bool check_tensor(const Place *place, const uint8_t *file, Json *about, StoredTensor *stored,
                         Failure *failure) {
  const char *path = place->path;
  const Json *dtype = NULL, *shape = NULL, *offsets = NULL;
  size_t begin, end;
  if (about->kind == JSON_OBJECT) {
    dtype = json_member(about, "dtype");
    shape = json_member(about, "shape");
    offsets = json_member(about, "data_offsets");
  }
  if (!dtype || dtype->kind != JSON_STRING || !shape || shape->kind != JSON_ARRAY || !offsets ||
      offsets->kind != JSON_ARRAY || !whole(offsets->child, &begin) ||
      !whole(offsets->child->next, &end) || offsets->child->next->next)
    return failf(failure, "%s: tensor \"%s\" lacks a dtype, a shape or two data_offsets", path,
                 about->name);
  size_t bytes = dtype_bytes(dtype->text), size = bytes;
  if (!bytes)
    return failf(failure, "%s: tensor \"%s\" has the unknown dtype \"%.32s\"", path, about->name,
                 dtype->text);
  if (!check_shape(place, about, shape, &size, stored, failure))
    return false;
  if (begin > end || end > place->data_size)
    return failf(failure, "%s: tensor \"%s\" claims bytes %zu to %zu of %zu: %s", path, about->name,
                 begin, end, place->data_size,
                 begin > end ? "they end before they begin" : "the file is cut off");
  if (end - begin != size)
    return failf(failure, "%s: tensor \"%s\" has %zu bytes, its shape and dtype need %zu", path,
                 about->name, end - begin, size);
  stored->at = file + place->data + begin;
  stored->size = size;
  snprintf(stored->dtype, sizeof stored->dtype, "%s", dtype->text);
  stored->name = about->name; // theirs from here on
  about->name = NULL;
  return true;
}

static int by_place(const void *a, const void *b) {
  const StoredTensor *x = a, *y = b;
  if (x->at != y->at)
    return x->at < y->at ? -1 : 1;
  return (x->size > y->size) - (x->size < y->size);
}

// The tensors lie one behind the other and fill the data: no overlap, no gap, nothing behind them.
static bool check_places(const Place *place, TensorFile *tensors, Failure *failure) {
  qsort(tensors->at, tensors->n, sizeof *tensors->at, by_place);
  size_t at = 0;
  for (size_t i = 0; i < tensors->n; i++) {
    size_t begin = (size_t)(tensors->at[i].at - tensors->file.at) - place->data;
    if (begin != at)
      return failf(failure, "%s: tensor \"%s\" begins at byte %zu, expected %zu: %s", place->path,
                   tensors->at[i].name, begin, at,
                   begin < at ? "it overlaps another" : "there is a gap before it");
    at = begin + tensors->at[i].size;
  }
  if (at != place->data_size)
    return failf(failure, "%s: %zu bytes lie behind the last tensor", place->path,
                 place->data_size - at);
  return tensors_sort(tensors, place->path, failure);
}

static bool list_header(TensorFile *tensors, const Place *place, Json *header, Failure *failure) {
  size_t n = 0;
  for (const Json *member = header->child; member; member = member->next)
    n++;
  tensors->at = calloc(n + 1, sizeof *tensors->at);
  if (!tensors->at)
    return failf(failure, "%s: not enough memory for its %zu tensors", place->path, n);
  for (Json *member = header->child; member; member = member->next)
    if (strcmp(member->name, "__metadata__") &&
        !check_tensor(place, tensors->file.at, member, &tensors->at[tensors->n++], failure))
      return false;
  return check_places(place, tensors, failure);
}

bool safetensors_list(TensorFile *tensors, const char *path, Failure *failure) {
  const Bytes *file = &tensors->file;
  uint64_t length = 0;
  for (int i = 7; i >= 0 && file->size >= 8; i--)
    length = length << 8 | file->at[i];
  if (file->size < 8 || length < 2 || length > file->size - 8)
    return failf(failure,
                 "%s: is no .safetensors file, or is cut off: it has %zu bytes, its header "
                 "claims %llu",
                 path, file->size, (unsigned long long)length);
  Place place = {path, (size_t)length + 8, file->size - (size_t)length - 8};
  String why = {0};
  Json *header = json_parse((const char *)file->at + 8, (size_t)length, &why);
  bool good;
  if (header && header->kind == JSON_OBJECT)
    good = list_header(tensors, &place, header, failure);
  else
    good = failf(failure, "%s: is no .safetensors file: %s", path,
                 why.at ? why.at : "its header is no JSON object");
  string_free(&why);
  json_free(header);
  return good;
}
