// Weights as .npz: a zip archive of .npy files, stored or deflated, as numpy.savez writes it. Read
// by the directory at its end; each claim of it is checked. Written without compression.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "tensors.h"

enum { LOCAL = 30, CENTRAL = 46, END = 22, STORED = 0, DEFLATED = 8 };
enum { MOST_RATIO = 1040 }; // bytes that no deflated stream makes of one

static uint32_t get16(const uint8_t *at) {
  return (uint32_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at) {
  return get16(at) | get16(at + 2) << 16;
}

static void put16(uint8_t *at, uint32_t x) {
  at[0] = (uint8_t)x;
  at[1] = (uint8_t)(x >> 8);
}

static void put32(uint8_t *at, uint32_t x) {
  put16(at, x);
  put16(at + 2, x >> 16);
}

bool npz_is(const Bytes *bytes) {
  return bytes->size >= 4 && bytes->at[0] == 'P' && bytes->at[1] == 'K' &&
         (get16(bytes->at + 2) == 0x0403 || get16(bytes->at + 2) == 0x0605);
}

// ---- Reading: the archive ---------------------------------------------------------------------

typedef struct {
  const char *path;
  const Bytes *file;
  char name[256]; // of the member
  uint32_t method, crc, packed, size;
  size_t local; // where its own header lies
} Member;

static const uint8_t *find_end(const Bytes *file) {
  for (size_t back = END; back <= file->size && back < END + 65536; back++) {
    const uint8_t *at = file->at + file->size - back;
    if (get32(at) == 0x06054b50)
      return at;
  }
  return NULL;
}

// One entry of the directory at `*at`, which it moves behind it.
static bool read_entry(Member *m, size_t *at, size_t end, Failure *failure) {
  const uint8_t *entry = m->file->at + *at;
  if (end - *at < CENTRAL || get32(entry) != 0x02014b50)
    return failf(failure, "%s: is no .npz file, or is damaged: its directory ends too early",
                 m->path);
  size_t name = get16(entry + 28), length = CENTRAL + name + get16(entry + 30) + get16(entry + 32);
  if (length > end - *at || name >= sizeof m->name || memchr(entry + CENTRAL, 0, name))
    return failf(failure, "%s: is damaged: an impossible name in its directory", m->path);
  memcpy(m->name, entry + CENTRAL, name);
  m->name[name] = 0;
  m->method = get32(entry + 8) >> 16;
  m->crc = get32(entry + 16);
  m->packed = get32(entry + 20);
  m->size = get32(entry + 24);
  m->local = get32(entry + 42);
  *at += length;
  if (get16(entry + 8) & 1)
    return failf(failure, "%s: \"%s\" is encrypted", m->path, m->name);
  if (m->packed == UINT32_MAX || m->size == UINT32_MAX || m->local == UINT32_MAX)
    return failf(failure, "%s: \"%s\" is larger than 4 GB: write a .safetensors file", m->path,
                 m->name);
  return true;
}

static bool inflate_all(const uint8_t *from, const Member *m, uint8_t *to) {
  z_stream z = {.next_in = (Bytef *)(uintptr_t)from,
                .avail_in = m->packed,
                .next_out = to,
                .avail_out = m->size};
  if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
    return false;
  int end = inflate(&z, Z_FINISH);
  inflateEnd(&z);
  return end == Z_STREAM_END && !z.avail_out && !z.avail_in;
}

// The member's content: in the file itself, or unpacked.
static const uint8_t *unpack(TensorFile *tensors, const Member *m, Failure *failure) {
  const Bytes *file = m->file;
  const uint8_t *local = file->at + m->local;
  if (m->local > file->size || file->size - m->local < LOCAL || get32(local) != 0x04034b50) {
    failf(failure, "%s: is damaged: \"%s\" is not where its directory says", m->path, m->name);
    return NULL;
  }
  size_t at = m->local + LOCAL + get16(local + 26) + get16(local + 28);
  if (at > file->size || m->packed > file->size - at) {
    failf(failure, "%s: is cut off: \"%s\" claims more bytes than there are", m->path, m->name);
    return NULL;
  }
  const uint8_t *content = file->at + at;
  if (m->method == DEFLATED) {
    tensors->unpacked_bytes += m->size;
    uint8_t *to = NULL;
    if (tensors->unpacked_bytes / MOST_RATIO <= file->size)
      to = malloc((size_t)m->size + 1);
    if (to)
      tensors->unpacked[tensors->n_unpacked++] = to;
    if (!to || !inflate_all(content, m, to)) {
      failf(failure, "%s: \"%s\" can't be unpacked: it is damaged", m->path, m->name);
      return NULL;
    }
    content = to;
  } else if (m->method != STORED || m->packed != m->size) {
    failf(failure, "%s: \"%s\" is packed in a way (%u) that isn't read here", m->path, m->name,
          m->method);
    return NULL;
  }
  if (crc32(crc32(0, NULL, 0), content, m->size) != m->crc) {
    failf(failure, "%s: \"%s\" is damaged: its checksum is wrong", m->path, m->name);
    return NULL;
  }
  return content;
}

// ---- Reading: one .npy ------------------------------------------------------------------------

// What follows 'key': in the header, blanks skipped; or NULL.
static const char *header_value(const char *header, const char *key) {
  const char *at = strstr(header, key);
  if (!at)
    return NULL;
  at += strlen(key);
  at += strspn(at, " ");
  if (*at++ != ':')
    return NULL;
  return at + strspn(at, " ");
}

static bool read_dtype(const char *text, StoredTensor *stored) {
  static const struct {
    const char *npy, *dtype;
  } known[] = {{"'<f2'", "F16"}, {"'<f4'", "F32"}, {"'<f8'", "F64"}, {"'|b1'", "BOOL"},
               {"'|u1'", "U8"},  {"'|i1'", "I8"},  {"'<i2'", "I16"}, {"'<u2'", "U16"},
               {"'<i4'", "I32"}, {"'<u4'", "U32"}, {"'<i8'", "I64"}, {"'<u8'", "U64"}};
  for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
    if (!strncmp(text, known[i].npy, 5)) {
      strcpy(stored->dtype, known[i].dtype);
      return true;
    }
  return false;
}

static bool read_shape(const char *text, StoredTensor *stored, size_t *size) {
  if (!text || *text++ != '(')
    return false;
  for (;;) {
    text += strspn(text, " ,");
    size_t digits = strspn(text, "0123456789");
    if (!digits)
      return *text == ')';
    int64_t dim;
    char number[24];
    if (digits >= sizeof number || stored->rank == NNRT_MAX_RANK)
      return false;
    memcpy(number, text, digits);
    number[digits] = 0;
    if (!parse_integer(number, 0, INT64_MAX, &dim) ||
        __builtin_mul_overflow(*size, (size_t)dim, size))
      return false;
    stored->dim[stored->rank++] = dim;
    text += digits;
  }
}

static bool read_header(const Member *m, const char *header, StoredTensor *stored,
                        Failure *failure) {
  const char *descr = header_value(header, "'descr'"),
             *order = header_value(header, "'fortran_order'"),
             *shape = header_value(header, "'shape'");
  if (!descr || !order || !shape || (strncmp(order, "True", 4) && strncmp(order, "False", 5)))
    return failf(failure, "%s: \"%s\" is no .npy: it lacks descr, fortran_order or shape", m->path,
                 m->name);
  stored->columns = *order == 'T';
  if (!read_dtype(descr, stored))
    return failf(failure,
                 "%s: \"%s\" has elements of type %.*s; f2, f4, f8 and whole numbers in "
                 "little-endian order are read",
                 m->path, m->name, (int)strcspn(descr, ","), descr);
  stored->size = dtype_bytes(stored->dtype);
  return read_shape(shape, stored, &stored->size) ||
         failf(failure, "%s: \"%s\" has an impossible shape", m->path, m->name);
}

static bool read_npy(const Member *m, const uint8_t *content, StoredTensor *stored,
                     Failure *failure) {
  bool sound = m->size >= 12 && !memcmp(content, "\x93NUMPY", 6) && content[6] >= 1;
  size_t start = sound && content[6] == 1 ? 10 : 12, length = 0;
  if (sound)
    length = start == 10 ? get16(content + 8) : get32(content + 8);
  if (!sound || length > m->size - start)
    return failf(failure, "%s: \"%s\" is no .npy, or is cut off", m->path, m->name);
  char *header = malloc(length + 1);
  if (!header)
    return failf(failure, "%s: not enough memory for a header", m->path);
  memcpy(header, content + start, length);
  header[length] = 0;
  bool good = read_header(m, header, stored, failure);
  free(header);
  stored->at = content + start + length;
  if (good && stored->size != m->size - start - length)
    good = failf(failure, "%s: \"%s\" has %zu bytes of values, its shape and type need %zu",
                 m->path, m->name, m->size - start - length, stored->size);
  return good;
}

static bool read_member(TensorFile *tensors, Member *m, Failure *failure) {
  size_t length = strlen(m->name);
  if (length < 4 || strcmp(m->name + length - 4, ".npy")) // what isn't one is left alone
    return true;
  const uint8_t *content = unpack(tensors, m, failure);
  StoredTensor *stored = &tensors->at[tensors->n];
  if (!content || !read_npy(m, content, stored, failure))
    return false;
  stored->name = strndup(m->name, length - 4);
  if (!stored->name)
    return failf(failure, "%s: not enough memory for its names", m->path);
  tensors->n++;
  return true;
}

bool npz_list(TensorFile *tensors, const char *path, Failure *failure) {
  Member member = {.path = path, .file = &tensors->file};
  const uint8_t *end = find_end(&tensors->file);
  if (!end)
    return failf(failure, "%s: is no .npz file, or is cut off: it has no directory", path);
  size_t n = get16(end + 10), size = get32(end + 12), at = get32(end + 16),
         place = (size_t)(end - tensors->file.at);
  if (at > place || size > place - at || n > size / CENTRAL)
    return failf(failure, "%s: is damaged: its directory lies outside of it", path);
  tensors->at = calloc(n + 1, sizeof *tensors->at);
  tensors->unpacked = calloc(n + 1, sizeof *tensors->unpacked);
  if (!tensors->at || !tensors->unpacked)
    return failf(failure, "%s: not enough memory for its %zu tensors", path, n);
  for (size_t i = 0; i < n; i++)
    if (!read_entry(&member, &at, place, failure) || !read_member(tensors, &member, failure))
      return false;
  return tensors_sort(tensors, path, failure);
}

// ---- Writing ----------------------------------------------------------------------------------

// A member: local header and name, npy header, values; and its entry in the directory.
static void put_npy_header(String *npy, const NnrtType *type) {
  const char *descr = type->elem == NNRT_I32    ? "<i4"
                      : type->elem == NNRT_U8   ? "|u1"
                      : type->elem == NNRT_BOOL ? "|b1"
                      : type->elem == NNRT_F64  ? "<f8"
                                                : "<f4";
  string_printf(npy, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (uint32_t i = 0; i < type->rank; i++)
    string_printf(npy, "%s%lld", i ? ", " : "", (long long)type->dim[i]);
  string_printf(npy, "%s), }", type->rank == 1 ? "," : "");
  while ((10 + npy->length + 1) % 64 && !npy->no_memory)
    string_put(npy, " ");
  string_put(npy, "\n");
}

// What both headers say: from the version that is needed to the length of the name.
static void put_common(uint8_t *at, uint32_t crc, uint32_t size, uint32_t name) {
  put16(at, 20);
  put16(at + 2, 0);
  put16(at + 4, STORED);
  put32(at + 6, 0x00210000); // 1980-01-01: equal weights are equal files
  put32(at + 10, crc);
  put32(at + 14, size);
  put32(at + 18, size);
  put16(at + 22, name);
}

typedef struct {
  char *text; // headers, names: what the pieces point into besides the weights
  size_t used;
  Piece *piece;
  size_t n;
  uint64_t at; // bytes so far
} Archive;

static void add_piece(Archive *a, const void *at, size_t size) {
  a->piece[a->n++] = (Piece){at, size};
  a->at += size;
}

static uint8_t *archive_room(Archive *a, size_t size) {
  uint8_t *at = (uint8_t *)a->text + a->used;
  memset(at, 0, size);
  a->used += size;
  return at;
}

enum { NPY_MOST = 320 }; // bytes of an .npy header of NNRT_MAX_RANK axes

static bool add_member(Archive *a, const Weight *weight, uint8_t *entry, Failure *failure) {
  String npy = {0};
  put_npy_header(&npy, &weight->tensor->type);
  size_t name = strlen(weight->tensor->name) + 4, header = 10 + npy.length;
  if (npy.no_memory || name > 255 || npy.length > NPY_MOST) {
    string_free(&npy);
    return failf(failure, "%.200s: can't be written as .npy", weight->tensor->name);
  }
  uint8_t *local = archive_room(a, LOCAL + name + header);
  sprintf((char *)local + LOCAL, "%s.npy", weight->tensor->name);
  uint8_t *content = local + LOCAL + name;
  memcpy(content, "\x93NUMPY\x01\x00", 8);
  put16(content + 8, (uint32_t)npy.length);
  memcpy(content + 10, npy.at, npy.length);
  string_free(&npy);
  uint32_t crc = (uint32_t)crc32(crc32(0, NULL, 0), content, (uInt)header);
  crc = (uint32_t)crc32_z(crc, weight->bytes, weight->size);
  uint32_t size = (uint32_t)(header + weight->size);
  put32(local, 0x04034b50);
  put_common(local + 4, crc, size, (uint32_t)name);
  put32(entry, 0x02014b50);
  put16(entry + 4, 20);
  put_common(entry + 6, crc, size, (uint32_t)name);
  put32(entry + 42, (uint32_t)a->at);
  sprintf((char *)entry + CENTRAL, "%s.npy", weight->tensor->name);
  add_piece(a, local, LOCAL + name + header);
  add_piece(a, weight->bytes, weight->size);
  return true;
}

static bool write_archive(Archive *a, const Weight *weight, size_t count, const char *path,
                          Failure *failure) {
  uint8_t **entry = calloc(count + 1, sizeof *entry);
  bool good = entry || failf(failure, "%s: not enough memory to write it", path);
  for (size_t i = 0; good && i < count; i++) {
    entry[i] = archive_room(a, CENTRAL + strlen(weight[i].tensor->name) + 5);
    good = add_member(a, &weight[i], entry[i], failure);
  }
  uint64_t start = a->at;
  if (good && start + a->used > UINT32_MAX)
    good = failf(failure, "%s: more than 4 GB: write a .safetensors file", path);
  for (size_t i = 0; good && i < count; i++)
    add_piece(a, entry[i], CENTRAL + get16(entry[i] + 28));
  uint8_t *end = good ? archive_room(a, END) : NULL;
  if (good) {
    put32(end, 0x06054b50);
    put16(end + 8, (uint32_t)count);
    put16(end + 10, (uint32_t)count);
    put32(end + 12, (uint32_t)(a->at - start));
    put32(end + 16, (uint32_t)start);
    add_piece(a, end, END);
    good = file_write(path, a->piece, a->n, failure);
  }
  free(entry);
  return good;
}

bool npz_write(const Weight *weight, size_t count, const char *path, Failure *failure) {
  size_t text = END;
  for (size_t i = 0; i < count; i++)
    text += 2 * strlen(weight[i].tensor->name) + LOCAL + CENTRAL + NPY_MOST + 32;
  if (count >= UINT16_MAX)
    return failf(failure, "%s: too many tensors: write a .safetensors file", path);
  Archive archive = {.text = malloc(text), .piece = calloc(3 * count + 1, sizeof(Piece))};
  bool good = archive.text && archive.piece
                  ? write_archive(&archive, weight, count, path, failure)
                  : failf(failure, "%s: not enough memory to write it", path);
  free(archive.text);
  free(archive.piece);
  return good;
}
