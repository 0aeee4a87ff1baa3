/* gzip in memory. */
#ifndef EBB_HOST_DATA_GUNZIP_H
#define EBB_HOST_DATA_GUNZIP_H

#include <stddef.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Unpacks all members of a gzip file and appends a NUL that *out_length does not count. Lifetime: the caller
   frees *out. Errors: FORMAT (no gzip data, damaged, cut off, or more than `most` bytes), naming `origin`;
   MEMORY. */
EbbStatus ebb_gunzip(const char *bytes, size_t length, size_t most, const char *origin, char **out,
                     size_t *out_length) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
