/* Loading of data sets that takes long: what it tells while it works, and how it is stopped. */
#ifndef EBB_LOADING_H
#define EBB_LOADING_H

#include "ebb/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Any may be NULL. All are called from the thread that loads. */
typedef struct EbbLoading {
  void *context;
  void (*progress)(void *context, const char *label, int64_t done, int64_t total, const char *unit);
  void (*line)(void *context, const char *text); /* something worth keeping on the screen */
  bool (*stop)(void *context);                   /* true ends the work; nothing half done stays */
} EbbLoading;

/* ebb_dataset_load with progress. Where dataset.cache asks for it, what is loaded is kept in
   dataset.cache_dir and found there the next time: see host/data/cache.h. Errors: as ebb_dataset_load;
   INTERRUPTED; IO (the cache's disk is full). loading may be NULL. */
EbbStatus ebb_dataset_load_watched(const EbbConfig *config, const EbbLoading *loading,
                                   EbbDataset **out) EBB_MUST_CHECK;

/* For loaders, now and then: tells progress and asks whether to stop. Errors: INTERRUPTED. loading may be
   NULL. */
EbbStatus ebb_loading_step(const EbbLoading *loading, const char *label, int64_t done, int64_t total,
                           const char *unit) EBB_MUST_CHECK;
/* Tells a line. */
void ebb_loading_line(const EbbLoading *loading, const char *format, ...) EBB_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
