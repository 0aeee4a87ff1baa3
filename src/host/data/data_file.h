/* The files of a published data set: where they are looked for, and what is said when they are not there. */
#ifndef EBB_HOST_DATA_DATA_FILE_H
#define EBB_HOST_DATA_DATA_FILE_H

#include <stddef.h>

#include "ebb/status.h"

/* Files stand in `folder`, or without it in $EBB_DATA/<name>, or in data/<name> where EBB_DATA is not set. */
typedef struct EbbDataSource {
  const char *name;
  const char *folder; /* dataset.data_dir, or NULL */
  const char *origin; /* where the files come from, for the error: "put ... there" */
} EbbDataSource;

/* The path of a file of the source, with `suffix` behind it; NULL after an error. Lifetime: the caller frees
   it. Errors: MEMORY. */
EbbStatus ebb_data_path(const EbbDataSource *source, const char *file, const char *suffix,
                        char **path) EBB_MUST_CHECK;
/* NOT_FOUND with a sentence that says where the file comes from and where it belongs, or which folder near
   the source's has it. `nor` goes on behind "does not exist". */
EbbStatus ebb_data_missing(const EbbDataSource *source, const char *path, const char *nor);
/* The same where the source is known by others than this file: by one of `marks`, NULL behind the last. */
EbbStatus ebb_data_missing_marks(const EbbDataSource *source, const char *path, const char *nor,
                                 const char *const *marks);

/* A file in memory: text[length] is 0. */
typedef struct EbbDataFile {
  char *path;
  char *text;
  size_t length;
} EbbDataFile;

/* Reads `file`, or `file`.gz unpacked. Lifetime: ebb_data_file_release, which may follow an error and take a
   zeroed one. Errors: NOT_FOUND says where the file comes from; IO, FORMAT (gzip), INVALID (too large),
   MEMORY.
 */
EbbStatus ebb_data_file_read(const EbbDataSource *source, const char *file, EbbDataFile *out) EBB_MUST_CHECK;
void ebb_data_file_release(EbbDataFile *file);

/* Reads a user's file: `file` where it is absolute, else in `folder`, or (NULL) in the present one. Errors:
   as above. */
EbbStatus ebb_user_file_read(const char *name, const char *folder, const char *file,
                             EbbDataFile *out) EBB_MUST_CHECK;

/* The folder of the source. Lifetime: free(*path). Errors: NOT_FOUND where it does not exist says where the
   files come from; MEMORY. */
EbbStatus ebb_data_folder(const EbbDataSource *source, char **path) EBB_MUST_CHECK;

#endif
