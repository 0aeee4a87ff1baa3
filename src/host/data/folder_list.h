/* The names in a folder, in an order that does not depend on the file system. */
#ifndef EBB_HOST_DATA_FOLDER_LIST_H
#define EBB_HOST_DATA_FOLDER_LIST_H

#include <stdbool.h>

#include "ebb/status.h"

typedef struct EbbFolderList {
  char **name;
  int n, capacity;
} EbbFolderList;

/* Files whose name ends with `suffix`, or folders where it is NULL, sorted by bytes; names that begin with a
   dot are left out. Lifetime: ebb_folder_list_release, also after an error. Errors: NOT_FOUND, IO, MEMORY. */
EbbStatus ebb_folder_list(const char *folder, const char *suffix, EbbFolderList *out) EBB_MUST_CHECK;
void ebb_folder_list_release(EbbFolderList *list);

/* Whether there is a folder at `path`. */
bool ebb_folder_exists(const char *path);

#endif
