/* ListOps in the published format: basic_{train,val,test}.tsv. */
#ifndef EBB_HOST_DATA_LISTOPS_LOAD_H
#define EBB_HOST_DATA_LISTOPS_LOAD_H

#include <stdio.h>

#include "ebb/loading.h"
#include "host/data/cache_key.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct EbbListopsOptions {
  const char
      *folder;   /* with the files, or with listops-1000/ in it; NULL: $EBB_DATA/listops or data/listops */
  int64_t l_max; /* longest sequence, added tokens included; 0: any */
  bool append_bos, append_eos;
  int64_t max_samples;       /* of the training split; 0: all. The vocabulary is that of the whole file. */
  const EbbLoading *loading; /* told of the bytes that are read; or NULL */
} EbbListopsOptions;

/* Errors: NOT_FOUND, FORMAT (file and line), INVALID, IO, INTERRUPTED, MEMORY. */
EbbStatus ebb_listops_load(const EbbListopsOptions *options, EbbDataset **out) EBB_MUST_CHECK;

/* What a cache of it depends on. Errors: NOT_FOUND, IO, MEMORY. */
EbbStatus ebb_listops_sources(const EbbConfig *config, EbbCacheKey *key) EBB_MUST_CHECK;

/* ebb_listops_load from open files; origin[split] names each in errors. */
EbbStatus ebb_listops_read(const EbbListopsOptions *options, FILE *const file[EBB_SPLITS],
                           const char *const origin[EBB_SPLITS], EbbDataset **out) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
