/* Reads Pathfinder folders as they are published, or made by ebb_pathfinder_generate. */
#ifndef EBB_HOST_DATA_PATHFINDER_LOAD_H
#define EBB_HOST_DATA_PATHFINDER_LOAD_H

#include "ebb/loading.h"
#include "ebb/pathfinder.h"
#include "host/data/cache_key.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbPathfinderOptions {
  const char
      *folder; /* which has pathfinder<resolution>; or NULL: $EBB_DATA/pathfinder, or data/pathfinder */
  int64_t resolution;
  EbbPathfinderLevel level;
  int64_t pool;              /* pixels are means over pool x pool; divides the resolution, at most 8 */
  bool tokenize;             /* a grey level is a token, else a value in -1..1 */
  int64_t l_max;             /* an image may not be longer */
  double val_split;          /* share of the validation; the test has a tenth */
  int64_t max_samples;       /* of training; 0: all */
  const EbbLoading *loading; /* told of the images that are read; or NULL */
} EbbPathfinderOptions;

/* Images are sequences of pixels, row by row, in the order of the metadata; empty files are left out, as
   published. The splits are consecutive parts of torch's permutation of seed 42: training, validation, test.
   Errors: NOT_FOUND, FORMAT and IO name file and metadata line; STATE (the folder is still being made);
   INVALID (pool, l_max), INTERRUPTED, MEMORY. */
EbbStatus ebb_pathfinder_load(const EbbPathfinderOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* What a cache of it depends on: the metadata, and of every folder of images the time of its last change,
   which an image that is written over in its place does not alter. Errors: as above. */
EbbStatus ebb_pathfinder_sources(const EbbPathfinderOptions *options, EbbCacheKey *key) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
