#include "host/data/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Sizes of a ZIP archive's records without their texts, and the signs they begin with. */
enum { END_BYTES = 22, ENTRY_BYTES = 46, LOCAL_BYTES = 30, STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };
static const uint32_t END_SIGN = 0x06054B50, ENTRY_SIGN = 0x02014B50, LOCAL_SIGN = 0x04034B50;
static const uint32_t ELSEWHERE = 0xFFFFFFFF; /* a number that only a 64-bit record has */

typedef struct Archive {
  const unsigned char *bytes;
  size_t length;
  const char *origin;
} Archive;

typedef struct Entry {
  size_t packed, size, local; /* bytes in the archive and of the file; where its local header is */
  uint32_t method, checksum;
} Entry;

static uint32_t u16(const unsigned char *b) { return b[0] | (uint32_t)b[1] << 8; }
static uint32_t u32(const unsigned char *b) { return u16(b) | u16(b + 2) << 16; }

static EbbStatus damaged(const Archive *a, const char *what) {
  (void)ebb_fail(EBB_FORMAT, "%s: %s; the file is damaged or cut off", a->origin, what);
  return EBB_FORMAT;
}

/* The end record stands last, but for a comment. */
static const unsigned char *find_end(const Archive *a) {
  const size_t most = 65535 + END_BYTES, from = a->length > most ? a->length - most : 0;
  for (size_t at = a->length; at >= from + END_BYTES; at--) {
    const unsigned char *b = a->bytes + at - END_BYTES;
    if (u32(b) == END_SIGN && at + u16(b + 20) == a->length) return b;
  }
  return NULL;
}

static EbbStatus read_entry(const Archive *a, const unsigned char *b, Entry *out) {
  *out = (Entry){.method = u16(b + 10),
                 .checksum = u32(b + 16),
                 .packed = u32(b + 20),
                 .size = u32(b + 24),
                 .local = u32(b + 42)};
  if (out->packed == ELSEWHERE || out->size == ELSEWHERE || out->local == ELSEWHERE)
    return ebb_fail(EBB_UNSUPPORTED, "%s: arrays of 4 GiB and more are not read", a->origin);
  if (u16(b + 8) & ENCRYPTED) return ebb_fail(EBB_UNSUPPORTED, "%s: the archive is encrypted", a->origin);
  return EBB_OK;
}

static EbbStatus find_entry(const Archive *a, const char *file, bool *found, Entry *out) {
  *found = false;
  const unsigned char *end = find_end(a);
  if (!end) return ebb_fail(EBB_FORMAT, "%s: no .npz file, or its end is missing", a->origin);
  const uint32_t n = u16(end + 10);
  size_t at = u32(end + 16), wanted = strlen(file);
  for (uint32_t i = 0; i < n; i++) {
    const unsigned char *b = a->bytes + at;
    if (at > a->length || a->length - at < ENTRY_BYTES || u32(b) != ENTRY_SIGN)
      return damaged(a, "its list of arrays is not where it should be");
    const size_t name = u16(b + 28), all = ENTRY_BYTES + name + u16(b + 30) + u16(b + 32);
    if (a->length - at < all) return damaged(a, "its list of arrays is not whole");
    *found = name == wanted && memcmp(b + ENTRY_BYTES, file, name) == 0;
    if (*found) return read_entry(a, b, out);
    at += all;
  }
  return EBB_OK;
}

/* The packed bytes of an entry: behind its local header, whose extra field may differ from the entry's. */
static EbbStatus find_data(const Archive *a, const Entry *entry, const unsigned char **data) {
  const unsigned char *b = a->bytes + entry->local;
  if (entry->local > a->length || a->length - entry->local < LOCAL_BYTES || u32(b) != LOCAL_SIGN)
    return damaged(a, "an array is not where its list says");
  const size_t before = LOCAL_BYTES + u16(b + 26) + u16(b + 28), left = a->length - entry->local;
  if (left < before || left - before < entry->packed) return damaged(a, "an array is not whole");
  *data = b + before;
  return EBB_OK;
}

static EbbStatus unpack(const Archive *a, const Entry *entry, const unsigned char *data, char *out) {
  if (entry->method == STORED) {
    if (entry->packed != entry->size) return damaged(a, "an array has two sizes");
    memcpy(out, data, entry->size);
    return EBB_OK;
  }
  if (entry->method != DEFLATED)
    return ebb_fail(EBB_UNSUPPORTED, "%s: compression %u; numpy writes 0 and 8", a->origin, entry->method);
  z_stream stream = {.next_in = (Bytef *)(uintptr_t)data,
                     .avail_in = (uInt)entry->packed,
                     .next_out = (Bytef *)out,
                     .avail_out = (uInt)entry->size};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return ebb_fail(EBB_MEMORY, "%s: no memory to unpack", a->origin);
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return result == Z_STREAM_END && stream.avail_out == 0 ? EBB_OK : damaged(a, "an array does not unpack");
}

static EbbStatus parse(const Archive *a, const Entry *entry, const char *file, char *unpacked, EbbNpy *out) {
  char *origin = NULL;
  if (crc32(0, (const Bytef *)unpacked, (uInt)entry->size) != entry->checksum)
    return damaged(a, "an array's checksum does not fit");
  if (asprintf(&origin, "%s(%s)", a->origin, file) < 0)
    return ebb_fail(EBB_MEMORY, "%s: no memory for a name", a->origin);
  const EbbStatus status = ebb_npy_parse(unpacked, entry->size, origin, out);
  free(origin);
  return status;
}

static EbbStatus read_array(const Archive *a, const char *file, bool *found, EbbNpy *out) {
  enum { MOST_GAIN = 1032 }; /* deflate makes at most so many bytes of one */
  Entry entry = {0};
  const unsigned char *data = NULL;
  EBB_TRY(find_entry(a, file, found, &entry));
  if (!*found) return EBB_OK;
  EBB_TRY(find_data(a, &entry, &data));
  if (entry.size / MOST_GAIN > entry.packed) return damaged(a, "an array has an absurd size");
  char *unpacked = malloc(entry.size + 1);
  if (!unpacked) return ebb_fail(EBB_MEMORY, "%s: no memory for %zu bytes", a->origin, entry.size);
  EbbStatus status = unpack(a, &entry, data, unpacked);
  if (status == EBB_OK) status = parse(a, &entry, file, unpacked, out);
  free(unpacked);
  return status;
}

EbbStatus ebb_npz_read(const char *bytes, size_t length, const char *origin, const char *name, bool *found,
                       EbbNpy *out) {
  const Archive archive = {(const unsigned char *)bytes, length, origin};
  *out = (EbbNpy){0};
  *found = false;
  char *file = NULL;
  if (asprintf(&file, "%s.npy", name) < 0) return ebb_fail(EBB_MEMORY, "%s: no memory for a name", origin);
  const EbbStatus status = read_array(&archive, file, found, out);
  free(file);
  return status;
}
