#include "host/data/cache_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const struct timespec PATIENCE = {.tv_nsec = 50 * 1000 * 1000};

/* The holder before removed the file that was opened: it locks nothing any more. */
static bool is_removed(int file) {
  struct stat info;
  return fstat(file, &info) == 0 && info.st_nlink == 0;
}

static EbbStatus wait_for(EbbCacheLock *lock, const char *cache, const EbbLoading *loading) {
  ebb_loading_line(loading, "%s: another process is preparing it; waiting", cache);
  while (flock(lock->file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    if (loading && loading->stop && loading->stop(loading->context))
      return ebb_fail(EBB_INTERRUPTED, "stopped while another process was preparing %s", cache);
    nanosleep(&PATIENCE, NULL);
  }
  return EBB_OK;
}

EbbStatus ebb_cache_lock(const char *cache, const EbbLoading *loading, EbbCacheLock *lock, bool *waited) {
  *lock = (EbbCacheLock){.file = -1};
  *waited = false;
  if (asprintf(&lock->path, "%s.lock", cache) < 0) {
    lock->path = NULL;
    return ebb_fail(EBB_MEMORY, "%s: no memory for the name of its lock", cache);
  }
  do {
    if (lock->file >= 0) close(lock->file);
    lock->file = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock->file < 0) return ebb_fail(EBB_IO, "%s: cannot make the lock: %s", lock->path, strerror(errno));
    if (flock(lock->file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      *waited = true;
      EBB_TRY(wait_for(lock, cache, loading));
    }
  } while (is_removed(lock->file));
  return EBB_OK;
}

/* Only the holder may remove the file; one that gave up waiting finds it taken. */
void ebb_cache_unlock(EbbCacheLock *lock) {
  if (lock->file >= 0) {
    if (flock(lock->file, LOCK_EX | LOCK_NB) == 0 && !is_removed(lock->file)) unlink(lock->path);
    close(lock->file);
  }
  free(lock->path);
  *lock = (EbbCacheLock){.file = -1};
}
