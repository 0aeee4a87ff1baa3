/* The folder of a Pathfinder data set while it is made: what is whole, and with which settings. */
#ifndef EBB_HOST_DATA_PATHFINDER_FOLDER_H
#define EBB_HOST_DATA_PATHFINDER_FOLDER_H

#include <stddef.h>

#include "ebb/pathfinder.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PATHFINDER_BATCH = 1000 /* images a folder, as published */, PATHFINDER_PATH = 4096 };

#define PATHFINDER_UNFINISHED "unfinished.txt" /* there until all images are */

typedef struct EbbPathfinderFolder {
  char path[PATHFINDER_PATH - 128]; /* <folder>/pathfinder<resolution>/<level> */
  char settings[512];               /* what the file says */
  int lock;                         /* that file, open and locked; -1: not open */
} EbbPathfinderFolder;

/* Makes the folder, or finds one that was begun with the same settings and that no process works on.
   Lifetime: until ebb_pathfinder_folder_close, after an error too. Errors: as ebb_pathfinder_generate. */
EbbStatus ebb_pathfinder_folder_open(const char *folder, const EbbPathfinderConfig *config,
                                     EbbPathfinderFolder *out) EBB_MUST_CHECK;
void ebb_pathfinder_folder_close(EbbPathfinderFolder *folder);
/* From now on it is whole. Errors: IO. */
EbbStatus ebb_pathfinder_folder_finish(const EbbPathfinderFolder *folder) EBB_MUST_CHECK;

/* Whether the batch's metadata stands, and none of its n images is empty or missing. */
bool ebb_pathfinder_batch_whole(const EbbPathfinderFolder *folder, int64_t batch, int64_t n);
void ebb_pathfinder_image_path(const EbbPathfinderFolder *folder, int64_t batch, int64_t index,
                               char path[PATHFINDER_PATH]);
void ebb_pathfinder_metadata_path(const EbbPathfinderFolder *folder, int64_t batch,
                                  char path[PATHFINDER_PATH]);

#ifdef __cplusplus
}
#endif
#endif
