#include "host/data/idx.h"

enum { UNSIGNED_BYTES = 8 };

static uint32_t big_endian(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

EbbStatus ebb_idx_parse(const char *bytes, size_t length, const char *origin, int rank, EbbIdx *out) {
  *out = (EbbIdx){.rank = rank, .size = 1};
  const uint8_t *u = (const uint8_t *)bytes;
  const size_t header = 4 + 4 * (size_t)rank;
  if (length < 4 || u[0] != 0 || u[1] != 0)
    return ebb_fail(EBB_FORMAT, "%s: no IDX file: it begins with other bytes", origin);
  if (u[2] != UNSIGNED_BYTES || u[3] != rank)
    return ebb_fail(EBB_FORMAT, "%s: an IDX array of type %u with %u dimensions, expected bytes (8) with %d",
                    origin, (unsigned)u[2], (unsigned)u[3], rank);
  if (length < header) return ebb_fail(EBB_FORMAT, "%s: the header is cut off", origin);
  uint64_t size = 1;
  for (int d = 0; d < rank; d++) {
    out->dim[d] = big_endian(u + 4 + 4 * d);
    if (__builtin_mul_overflow(size, (uint64_t)out->dim[d], &size) || size > length)
      return ebb_fail(EBB_FORMAT, "%s: the file is cut off: %zu bytes cannot hold its dimensions", origin,
                      length);
  }
  if (size != length - header)
    return ebb_fail(EBB_FORMAT, "%s: %zu bytes of elements, but its dimensions say %llu", origin,
                    length - header, (unsigned long long)size);
  out->size = (int64_t)size;
  out->bytes = u + header;
  return EBB_OK;
}
