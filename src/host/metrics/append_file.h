/* A file that only grows, by whole records: a record that does not fit on the disk leaves nothing behind. */
#ifndef EBB_HOST_METRICS_APPEND_FILE_H
#define EBB_HOST_METRICS_APPEND_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbAppendFile {
  int fd;
  char *path;
  int64_t length;
} EbbAppendFile;

#define EBB_APPEND_FILE_CLOSED ((EbbAppendFile){.fd = -1, .path = NULL, .length = 0})

/* Opens or creates the file. With `exclusive` an existing file is left alone and *existed is set (the file
   is then closed and the status OK). Errors: IO, MEMORY. */
EbbStatus ebb_append_open(const char *path, bool exclusive, EbbAppendFile *file,
                          bool *existed) EBB_MUST_CHECK;
/* Appends all `size` bytes or none. Errors: IO. */
EbbStatus ebb_append_write(EbbAppendFile *file, const void *bytes, size_t size) EBB_MUST_CHECK;
/* Shortens the file to `length` bytes. Errors: IO. */
EbbStatus ebb_append_cut(EbbAppendFile *file, int64_t length) EBB_MUST_CHECK;
/* Returns when the bytes are on the disk. Errors: IO. */
EbbStatus ebb_append_sync(EbbAppendFile *file) EBB_MUST_CHECK;
/* Closes; a closed file may be closed again. */
void ebb_append_close(EbbAppendFile *file);

#ifdef __cplusplus
}
#endif
#endif
