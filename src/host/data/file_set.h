/* Files that appear together: written under temporary names, renamed at the end, gone after a failure. */
#ifndef EBB_HOST_DATA_FILE_SET_H
#define EBB_HOST_DATA_FILE_SET_H

#include <stddef.h>

#include "ebb/status.h"

typedef struct EbbFileSet EbbFileSet;

/* Makes the folder (and those above it) if need be and opens a temporary file for each name.
   Errors: INVALID (a target is a folder), IO (the folder cannot be made or written), STATE (this process is
   writing such a file already), MEMORY. */
EbbStatus ebb_file_set_create(const char *folder, const char *const *names, int n_names,
                              EbbFileSet **out) EBB_MUST_CHECK;
/* Errors: IO (disk full, ...), naming the file. */
EbbStatus ebb_file_set_write(EbbFileSet *set, int index, const char *text, size_t bytes) EBB_MUST_CHECK;
/* Syncs all files to disk and gives them their names; files of an earlier run are replaced. Errors: IO. */
EbbStatus ebb_file_set_commit(EbbFileSet *set) EBB_MUST_CHECK;
/* Removes the temporary files of a set that was not committed. */
void ebb_file_set_destroy(EbbFileSet *set);

#endif
