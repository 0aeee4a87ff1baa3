/* Data sets that are prepared once and mapped from then on. */
#ifndef EBB_HOST_DATA_CACHE_H
#define EBB_HOST_DATA_CACHE_H

#include "ebb/loading.h"
#include "host/data/cache_key.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A loader whose work is worth keeping. */
typedef struct EbbCachedLoader {
  int version; /* raised with every change of the loader that changes what it makes */
  /* Calls ebb_cache_key_folder, then ebb_cache_key_file for every file that `load` reads, and may set
     key->expected. */
  EbbStatus (*sources)(const EbbConfig *config, EbbCacheKey *key);
  EbbStatus (*load)(const EbbConfig *config, const EbbLoading *loading, EbbDataset **out);
} EbbCachedLoader;

/* Maps <cache folder>/<data set>-<number of the settings>.ebbcache where that was made from the same files
   with the same settings; else loads, writes it and maps it. The folder is dataset.cache_dir, or `cache` in
   the folder of the data. dataset.cache: auto is for data sets of 32 MiB and more, on for all, off for none.
   A cache that is damaged or of other files is made again, with a line that says so. Two processes at once:
   one prepares, the other waits. A folder that cannot be written is an error if it was named, else the data
   set is loaded without. Errors: those of the loader; IO (disk full), INTERRUPTED, MEMORY. */
EbbStatus ebb_cached_load(const EbbCachedLoader *loader, const EbbConfig *config, const EbbLoading *loading,
                          EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
