#include "host/data/pathfinder_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebb/file.h"

#define FINISHED "generated.txt"

static void name(const EbbPathfinderFolder *folder, const char *file, char path[PATHFINDER_PATH]) {
  snprintf(path, PATHFINDER_PATH, "%s/%s", folder->path, file);
}

void ebb_pathfinder_image_path(const EbbPathfinderFolder *folder, int64_t batch, int64_t index,
                               char path[PATHFINDER_PATH]) {
  snprintf(path, PATHFINDER_PATH, "%s/imgs/%lld/sample_%lld.png", folder->path, (long long)batch,
           (long long)index);
}

void ebb_pathfinder_metadata_path(const EbbPathfinderFolder *folder, int64_t batch,
                                  char path[PATHFINDER_PATH]) {
  snprintf(path, PATHFINDER_PATH, "%s/metadata/%lld.npy", folder->path, (long long)batch);
}

bool ebb_pathfinder_batch_whole(const EbbPathfinderFolder *folder, int64_t batch, int64_t n) {
  char path[PATHFINDER_PATH];
  ebb_pathfinder_metadata_path(folder, batch, path);
  bool whole = ebb_file_exists(path);
  for (int64_t i = 0; whole && i < n; i++) {
    struct stat info;
    ebb_pathfinder_image_path(folder, batch, i, path);
    whole = stat(path, &info) == 0 && info.st_size > 0;
  }
  return whole;
}

/* The beginnings of samples depend on all of these. */
static void describe(const EbbPathfinderConfig *config, char *text, size_t size) {
  snprintf(text, size,
           "Pathfinder by ebb data pathfinder\nresolution %d\nlevel %s\nsamples %lld\nseed %llu\n"
           "any direction %d\nsingle paddles %d\n",
           config->resolution, ebb_pathfinder_level_name(config->level), (long long)config->n_samples,
           (unsigned long long)config->seed, config->any_direction, config->single_paddles);
}

static EbbStatus check_begun(const EbbPathfinderFolder *folder, const char *path) {
  enum { MOST = 4096 };
  char *text = NULL;
  size_t length;
  EBB_TRY(ebb_file_read(path, MOST, &text, &length));
  const bool same = strcmp(text, folder->settings) == 0;
  free(text);
  return same ? EBB_OK
              : ebb_fail(EBB_STATE,
                         "%s: the images there were begun with other settings; give those that the file "
                         "says, or another folder",
                         path);
}

static EbbStatus check_free(const EbbPathfinderFolder *folder) {
  static const char *const names[] = {FINISHED, "metadata", "imgs"};
  char path[PATHFINDER_PATH];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    name(folder, names[i], path);
    if (access(path, F_OK) == 0)
      return ebb_fail(EBB_STATE, "%s exists already; choose another folder, or remove %s", path,
                      folder->path);
  }
  return EBB_OK;
}

static EbbStatus make(const EbbPathfinderFolder *folder, const char *unfinished) {
  char path[PATHFINDER_PATH];
  EBB_TRY(check_free(folder));
  EBB_TRY(ebb_folder_create(folder->path));
  EbbFileWriter *writer;
  EBB_TRY(ebb_file_writer_create(unfinished, &writer));
  EbbStatus status = ebb_file_writer_write(writer, folder->settings, strlen(folder->settings));
  if (status == EBB_OK) status = ebb_file_writer_commit(writer);
  ebb_file_writer_destroy(writer);
  EBB_TRY(status);
  name(folder, "metadata", path);
  return ebb_folder_create(path);
}

/* A second process would write the images that the first one says are whole. The lock goes with its process,
   however that ends. */
static EbbStatus lock(EbbPathfinderFolder *folder, const char *unfinished) {
  folder->lock = open(unfinished, O_RDONLY | O_CLOEXEC);
  if (folder->lock < 0 && errno == ENOENT) return check_free(folder); /* finished a moment ago */
  if (folder->lock < 0) return ebb_fail(EBB_IO, "%s: cannot open the file: %s", unfinished, strerror(errno));
  if (flock(folder->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return ebb_fail(EBB_STATE,
                    "%s: another process is making these images; wait for it, or choose another folder",
                    folder->path);
  return EBB_OK;
}

void ebb_pathfinder_folder_close(EbbPathfinderFolder *folder) {
  if (folder->lock >= 0) close(folder->lock);
  folder->lock = -1;
}

EbbStatus ebb_pathfinder_folder_open(const char *folder, const EbbPathfinderConfig *config,
                                     EbbPathfinderFolder *out) {
  *out = (EbbPathfinderFolder){.lock = -1};
  const int length = snprintf(out->path, sizeof out->path, "%s/pathfinder%d/%s", folder, config->resolution,
                              ebb_pathfinder_level_name(config->level));
  if (length < 0 || (size_t)length >= sizeof out->path)
    return ebb_fail(EBB_INVALID, "Pathfinder: the folder's name is too long: %.60s...", folder);
  describe(config, out->settings, sizeof out->settings);
  char unfinished[PATHFINDER_PATH];
  name(out, PATHFINDER_UNFINISHED, unfinished);
  EBB_TRY(ebb_file_exists(unfinished) ? check_begun(out, unfinished) : make(out, unfinished));
  return lock(out, unfinished);
}

/* Everything reaches the disk before the folder says that it is whole. */
EbbStatus ebb_pathfinder_folder_finish(const EbbPathfinderFolder *folder) {
  char from[PATHFINDER_PATH], to[PATHFINDER_PATH];
  name(folder, PATHFINDER_UNFINISHED, from);
  name(folder, FINISHED, to);
  const int fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ebb_fail(EBB_IO, "%s: cannot open the folder: %s", folder->path, strerror(errno));
  const bool done = syncfs(fd) == 0 && rename(from, to) == 0 && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  return done ? EBB_OK
              : ebb_fail(EBB_IO, "%s: cannot finish the data set: %s", folder->path, strerror(error));
}
