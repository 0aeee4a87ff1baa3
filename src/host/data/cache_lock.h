/* One process at a time prepares a cache. */
#ifndef EBB_HOST_DATA_CACHE_LOCK_H
#define EBB_HOST_DATA_CACHE_LOCK_H

#include "ebb/loading.h"

typedef struct EbbCacheLock {
  char *path; /* "<cache>.lock", there only while it is held */
  int file;
} EbbCacheLock;

/* Takes the lock of a cache; *waited tells whether somebody else held it. A killed holder's lock is free, and
   where the file system has no locks everybody gets one: then the last to finish wins. Lifetime:
   ebb_cache_unlock, after an error too. Errors: IO, MEMORY, INTERRUPTED while waiting. */
EbbStatus ebb_cache_lock(const char *cache, const EbbLoading *loading, EbbCacheLock *lock,
                         bool *waited) EBB_MUST_CHECK;
void ebb_cache_unlock(EbbCacheLock *lock);

#endif
