#include "host/data/gunzip.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

enum { GZIP_ONLY = 16 + MAX_WBITS };
static const size_t FIRST = (size_t)1 << 16;

typedef struct Unpacked {
  char *bytes;
  size_t length, capacity, most;
} Unpacked;

static unsigned at_most_int(size_t n) { return n < INT_MAX ? (unsigned)n : (unsigned)INT_MAX; }

/* Room for more, and a NUL. */
static EbbStatus grow(Unpacked *out, const char *origin) {
  if (out->length + 1 < out->capacity) return EBB_OK;
  if (out->length >= out->most) {
    (void)ebb_fail(EBB_FORMAT, "%s: unpacks to more than %zu bytes; that is no file of this data set", origin,
                   out->most);
    return EBB_FORMAT;
  }
  size_t capacity = out->capacity ? 2 * out->capacity : FIRST;
  if (capacity > out->most + 1) capacity = out->most + 1;
  char *bytes = realloc(out->bytes, capacity);
  if (!bytes) {
    (void)ebb_fail(EBB_MEMORY, "%s: no memory to unpack %zu bytes", origin, capacity);
    return EBB_MEMORY;
  }
  out->bytes = bytes, out->capacity = capacity;
  return EBB_OK;
}

/* One call of inflate; *ended at the end of a member. */
static EbbStatus step(z_stream *z, Unpacked *out, const char *origin, bool *ended) {
  EBB_TRY(grow(out, origin));
  const unsigned room = at_most_int(out->capacity - 1 - out->length);
  z->next_out = (unsigned char *)out->bytes + out->length;
  z->avail_out = room;
  const int result = inflate(z, Z_NO_FLUSH);
  out->length += room - z->avail_out;
  *ended = result == Z_STREAM_END;
  if (result == Z_OK || result == Z_STREAM_END) return EBB_OK;
  if (result == Z_BUF_ERROR && z->avail_in == 0)
    return ebb_fail(EBB_FORMAT, "%s: the file is cut off", origin);
  return ebb_fail(result == Z_MEM_ERROR ? EBB_MEMORY : EBB_FORMAT, "%s: no gzip data, or damaged: %s", origin,
                  z->msg ? z->msg : "unexpected bytes");
}

static EbbStatus unpack(z_stream *z, const char *bytes, size_t length, const char *origin, Unpacked *out) {
  size_t given = 0;
  bool ended = false;
  do {
    if (z->avail_in == 0 && given < length) {
      z->next_in = (unsigned char *)(bytes + given);
      z->avail_in = at_most_int(length - given);
      given += z->avail_in;
    }
    if (ended && inflateReset(z) != Z_OK) return ebb_fail(EBB_MEMORY, "%s: cannot unpack", origin);
    EBB_TRY(step(z, out, origin, &ended));
  } while (!ended || given < length || z->avail_in > 0);
  return EBB_OK;
}

EbbStatus ebb_gunzip(const char *bytes, size_t length, size_t most, const char *origin, char **out,
                     size_t *out_length) {
  *out = NULL, *out_length = 0;
  z_stream z = {0};
  if (inflateInit2(&z, GZIP_ONLY) != Z_OK) return ebb_fail(EBB_MEMORY, "%s: no memory to unpack", origin);
  Unpacked unpacked = {.most = most};
  EbbStatus status = grow(&unpacked, origin);
  if (status == EBB_OK) status = unpack(&z, bytes, length, origin, &unpacked);
  (void)inflateEnd(&z);
  if (status != EBB_OK) {
    free(unpacked.bytes);
    return status;
  }
  unpacked.bytes[unpacked.length] = 0;
  *out = unpacked.bytes, *out_length = unpacked.length;
  return EBB_OK;
}
