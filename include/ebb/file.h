/* Files and folders: whole reads, atomic writes, and errors that say which path failed and why. */
#ifndef EBB_FILE_H
#define EBB_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads all of a file (pipes too) and appends a NUL that *length does not count. Errors: NOT_FOUND, IO,
   INVALID (more than max_bytes), MEMORY. Lifetime: the caller frees *text. */
EbbStatus ebb_file_read(const char *path, size_t max_bytes, char **text, size_t *length) EBB_MUST_CHECK;

/* Whether there is something at `path` that is no folder. */
bool ebb_file_exists(const char *path);

/* Makes a folder and all that lead to it; one that stands already is no error. Errors: IO (which component
   and why), INVALID (empty path), MEMORY. */
EbbStatus ebb_folder_create(const char *path) EBB_MUST_CHECK;

/* Writes and removes a probe file, so that read-only and full disks show before hours of work. Errors:
   NOT_FOUND, IO, MEMORY. */
EbbStatus ebb_folder_check_writable(const char *path) EBB_MUST_CHECK;

/* Writes "<path>.tmp-<pid>" and renames it to `path` on commit, so `path` is always the old or the new file,
   whole. The temporary is locked while it is written; create removes temporaries of the same `path` that
   killed processes left behind. */
typedef struct EbbFileWriter EbbFileWriter;

/* Errors: INVALID (`path` is empty, a folder or a device), IO (which call and why), STATE (this process is
   writing `path` already), MEMORY. */
EbbStatus ebb_file_writer_create(const char *path, EbbFileWriter **out) EBB_MUST_CHECK;
/* Errors: IO (path, bytes and why: a full disk, a limit). */
EbbStatus ebb_file_writer_write(EbbFileWriter *writer, const void *data, size_t length) EBB_MUST_CHECK;
EbbStatus ebb_file_writer_print(EbbFileWriter *writer, const char *format, ...)
    EBB_PRINTF(2, 3) EBB_MUST_CHECK;
/* Flushes, syncs, renames and syncs the folder; nothing may be written after it. Errors: IO, also where an
   earlier write failed; STATE (a second commit). */
EbbStatus ebb_file_writer_commit(EbbFileWriter *writer) EBB_MUST_CHECK;
/* Frees the writer; without a commit the temporary is removed and `path` is as it was. NULL is allowed. */
void ebb_file_writer_destroy(EbbFileWriter *writer);

#ifdef __cplusplus
}
#endif
#endif
