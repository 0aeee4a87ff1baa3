#include "host/data/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ebb/file.h"
#include "host/data/cache_file.h"
#include "host/data/cache_lock.h"
#include "host/data/compact.h"

enum { CACHE_AUTO, CACHE_ON, CACHE_OFF }; /* in the order of the key's choices */

static const int64_t WORTH_KEEPING = (int64_t)32 << 20;
static const double GIB = 1024.0 * 1024.0 * 1024.0;

/* One load with its cache. */
typedef struct Work {
  const EbbCachedLoader *loader;
  const EbbConfig *config;
  const EbbLoading *loading;
  EbbCacheKey key;
  char *folder, *path;
} Work;

static EbbStatus load_plain(const Work *work, EbbDataset **out) {
  return work->loader->load(work->config, work->loading, out);
}

static EbbStatus make_key(Work *work) {
  EBB_TRY(ebb_cache_key_begin(&work->key, work->config, work->loader->version));
  EBB_TRY(work->loader->sources(work->config, &work->key));
  return ebb_cache_key_end(&work->key);
}

static EbbStatus make_path(Work *work) {
  const char *folder = ebb_config_string(work->config, "dataset.cache_dir");
  const EbbCacheKey *key = &work->key;
  const int made = folder ? asprintf(&work->folder, "%s", folder)
                          : asprintf(&work->folder, "%s/cache", key->folder ? key->folder : ".");
  if (made < 0) work->folder = NULL;
  if (made < 0 || asprintf(&work->path, "%s/%s-%08x.ebbcache", work->folder, key->name,
                           (unsigned)ebb_cache_key_number(key)) < 0) {
    work->path = NULL;
    return ebb_fail(EBB_MEMORY, "no memory for the name of the cache of '%s'", key->name);
  }
  return EBB_OK;
}

/* *out stays NULL where there is no cache that fits; a line says why, unless there is none at all. */
static EbbStatus try_cache(const Work *work, EbbDataset **out) {
  const EbbStatus status = ebb_cache_read(work->path, &work->key, work->loading, out);
  if (status == EBB_OK || status == EBB_NOT_FOUND) return EBB_OK;
  if (status == EBB_INTERRUPTED || status == EBB_MEMORY) return status;
  ebb_loading_line(work->loading, "the cache of '%s' is made again: %s", work->key.name, ebb_error());
  return EBB_OK;
}

/* Whether a cache can be written. */
static EbbStatus open_folder(const Work *work, bool *writable) {
  EbbStatus status = ebb_folder_create(work->folder);
  if (status == EBB_OK) status = ebb_folder_check_writable(work->folder);
  *writable = status == EBB_OK;
  const bool named = ebb_config_string(work->config, "dataset.cache_dir") != NULL;
  if (status == EBB_OK || status == EBB_MEMORY) return status;
  if (named) return ebb_fail_within(status, "dataset.cache_dir");
  ebb_loading_line(work->loading,
                   "'%s' is loaded without a cache (%s); name a folder for it with dataset.cache_dir",
                   work->key.name, ebb_error());
  return EBB_OK;
}

/* Says what preparing takes, and refuses at once what cannot end well. */
static EbbStatus check_room(const Work *work) {
  struct statvfs info;
  const int64_t bytes = work->key.expected;
  if (statvfs(work->folder, &info) != 0) return EBB_OK;
  const double room = (double)info.f_bavail * (double)info.f_frsize;
  if (bytes > 0 && room < (double)bytes)
    return ebb_fail(
        EBB_IO,
        "the cache of '%s' takes %.2f GiB, but in '%s' %.2f GiB are free; make room, name another "
        "folder with dataset.cache_dir, or go without: dataset.cache=off",
        work->key.name, (double)bytes / GIB, work->folder, room / GIB);
  ebb_loading_line(work->loading, "preparing '%s' once: its cache takes %s %.2f GiB in %s (%.2f GiB free)",
                   work->key.name, bytes > 0 ? "about" : "at most",
                   (double)ebb_cache_key_bytes(&work->key) / GIB, work->folder, room / GIB);
  return EBB_OK;
}

static EbbStatus prepare(const Work *work, EbbDataset **out) {
  EBB_TRY(check_room(work));
  EBB_TRY(load_plain(work, out));
  EBB_TRY(ebb_dataset_compact(*out));
  return ebb_cache_write(work->path, &work->key, *out, work->loading);
}

/* Prepares the cache and takes the data set from it, so that a first run sees the bytes of later ones. */
static EbbStatus make_cache(const Work *work, EbbDataset **out) {
  EbbDataset *loaded = NULL;
  EbbStatus status = prepare(work, &loaded);
  if (status == EBB_OK) status = ebb_cache_read(work->path, &work->key, work->loading, out);
  ebb_dataset_destroy(loaded);
  return status;
}

static EbbStatus make_alone(const Work *work, EbbDataset **out) {
  EbbCacheLock lock;
  bool waited;
  EbbStatus status = ebb_cache_lock(work->path, work->loading, &lock, &waited);
  if (status == EBB_OK && waited) status = try_cache(work, out);
  if (status == EBB_OK && !*out) status = make_cache(work, out);
  ebb_cache_unlock(&lock);
  return status;
}

static EbbStatus load_with_cache(Work *work, EbbDataset **out) {
  bool writable;
  EBB_TRY(make_path(work));
  EBB_TRY(try_cache(work, out));
  if (*out) return EBB_OK;
  EBB_TRY(open_folder(work, &writable));
  return writable ? make_alone(work, out) : load_plain(work, out);
}

/* A file that is missing is the loader's to explain. */
static EbbStatus load(Work *work, int mode, EbbDataset **out) {
  const EbbStatus status = make_key(work);
  if (status == EBB_NOT_FOUND) return load_plain(work, out);
  EBB_TRY(status);
  if (mode == CACHE_AUTO && ebb_cache_key_bytes(&work->key) < WORTH_KEEPING) return load_plain(work, out);
  return load_with_cache(work, out);
}

EbbStatus ebb_cached_load(const EbbCachedLoader *loader, const EbbConfig *config, const EbbLoading *loading,
                          EbbDataset **out) {
  *out = NULL;
  Work work = {.loader = loader, .config = config, .loading = loading};
  const int mode = ebb_config_choice(config, "dataset.cache");
  const EbbStatus status = mode == CACHE_OFF ? load_plain(&work, out) : load(&work, mode, out);
  ebb_cache_key_release(&work.key);
  free(work.folder);
  free(work.path);
  return status;
}
