/* What a folder holds, in the order of strcmp. */
#ifndef EBB_HOST_DATA_FOLDER_NAMES_H
#define EBB_HOST_DATA_FOLDER_NAMES_H

#include <stdbool.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbNames {
  char **name; /* (n) without the folder */
  int n;
} EbbNames;

/* The folders in `folder`, or (suffix) its files whose names end so; hidden ones are left out. Lifetime:
   ebb_names_release, after an error too. Errors: NOT_FOUND and IO name the folder; MEMORY. */
EbbStatus ebb_folder_names(const char *folder, const char *suffix, EbbNames *out) EBB_MUST_CHECK;
void ebb_names_release(EbbNames *names);
/* The place of a name, or -1. */
int ebb_names_find(const EbbNames *names, const char *name);

#ifdef __cplusplus
}
#endif
#endif
