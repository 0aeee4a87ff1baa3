/* The metadata of a Pathfinder folder: which images there are, in which order, and their labels. */
#ifndef EBB_HOST_DATA_PATHFINDER_ROWS_H
#define EBB_HOST_DATA_PATHFINDER_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "ebb/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbPathfinderRow {
  size_t name;  /* of the image below the folder, an offset into names */
  int32_t line; /* in metadata/<file>.npy, from 1 */
  int64_t file;
  int32_t label;
} EbbPathfinderRow;

typedef struct EbbPathfinderRows {
  int64_t n, capacity;
  EbbPathfinderRow *row; /* (n) */
  char *names;
  size_t names_length, names_capacity;
} EbbPathfinderRows;

/* Appends the rows of one metadata file in memory, which is text with columns between blanks, or numpy's
   matrix of texts: columns 0 and 1 are the image's folder and name, 3 its label. `text` is written to.
   Errors: FORMAT (`origin`, line), MEMORY. */
EbbStatus ebb_pathfinder_rows_parse(char *text, size_t length, const char *origin, int64_t file,
                                    EbbPathfinderRows *rows) EBB_MUST_CHECK;

/* Reads <folder>/metadata/<number>.npy, in the order of their numbers. Lifetime: ebb_pathfinder_rows_release,
   after an error too. Errors: NOT_FOUND (no such file), FORMAT, IO, MEMORY. */
EbbStatus ebb_pathfinder_rows_read(const char *folder, EbbPathfinderRows *rows) EBB_MUST_CHECK;
void ebb_pathfinder_rows_release(EbbPathfinderRows *rows);

#ifdef __cplusplus
}
#endif
#endif
