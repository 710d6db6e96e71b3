// Gzipped files, told by their content.
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "trainer.h"

bool gzip_is(const Bytes *bytes) {
  return bytes->size >= 2 && bytes->at[0] == 0x1f && bytes->at[1] == 0x8b;
}

static bool grow(Bytes *content, size_t *capacity, size_t want) {
  size_t more = *capacity < want / 2 ? *capacity * 2 : want;
  uint8_t *at = realloc(content->at, more + 1);
  if (!at)
    return false;
  content->at = at;
  *capacity = more;
  return true;
}

// One step of output into what is left of the buffer.
static int inflate_some(z_stream *stream, Bytes *content, size_t capacity) {
  size_t room = capacity - content->size;
  stream->next_out = content->at + content->size;
  stream->avail_out = room > 1u << 30 ? 1u << 30 : (uInt)room;
  uInt before = stream->avail_out;
  int status = inflate(stream, Z_NO_FLUSH);
  content->size += before - stream->avail_out;
  return status;
}

static void feed(z_stream *stream, const Bytes *packed, size_t *fed) {
  if (stream->avail_in)
    return;
  size_t left = packed->size - *fed;
  stream->next_in = packed->at + *fed;
  stream->avail_in = left > 1u << 30 ? 1u << 30 : (uInt)left;
  *fed += stream->avail_in;
}

// Several members one after the other are one content (RFC 1952).
static bool inflate_members(z_stream *stream, const char *path, const Bytes *packed, size_t want,
                            Bytes *content, size_t capacity, bool *complete, Failure *failure) {
  size_t fed = 0;
  for (;;) {
    if (content->size == capacity && capacity < want && !grow(content, &capacity, want))
      return failf(failure, "%s: not enough memory for its content (over %zu bytes)", path,
                   capacity);
    if (content->size == want)
      return true;
    feed(stream, packed, &fed);
    int status = inflate_some(stream, content, capacity);
    if (status == Z_STREAM_END) {
      feed(stream, packed, &fed);
      if (!stream->avail_in) {
        *complete = true;
        return true;
      }
      status = inflateReset(stream);
    }
    if (status == Z_BUF_ERROR && !stream->avail_in && fed == packed->size)
      return failf(failure, "%s: the gzip data ends too early: %zu bytes could be unpacked", path,
                   content->size);
    if (status != Z_OK && status != Z_BUF_ERROR)
      return failf(failure, "%s: the gzip data is damaged after %zu unpacked bytes%s%s", path,
                   content->size, stream->msg ? ": " : "", stream->msg ? stream->msg : "");
  }
}

bool gzip_inflate(const char *path, const Bytes *packed, size_t want, Bytes *content,
                  bool *complete, Failure *failure) {
  z_stream stream = {0};
  *complete = false;
  size_t capacity = packed->size * 4 + 64;
  capacity = capacity < want ? capacity : want;
  *content = (Bytes){malloc(capacity + 1), 0};
  if (!content->at || inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) {
    free(content->at);
    return failf(failure, "%s: not enough memory to unpack it", path);
  }
  bool good = inflate_members(&stream, path, packed, want, content, capacity, complete, failure);
  inflateEnd(&stream);
  if (good)
    content->at[content->size] = 0;
  else
    free(content->at);
  return good;
}
