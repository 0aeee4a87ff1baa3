#include "host/data/file_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct File {
  char *path, *temporary;
  int descriptor;
  bool exists; /* the temporary file does */
} File;

struct EbbFileSet {
  char *folder;
  int n_files;
  File file[];
};

static EbbStatus make_folder(const char *folder) {
  char *path = strdup(folder);
  if (!path) return ebb_fail(EBB_MEMORY, "no memory for the folder name '%s'", folder);
  EbbStatus status = EBB_OK;
  for (char *slash = path; slash && status == EBB_OK;) {
    slash = strchr(slash + 1, '/');
    if (slash) *slash = 0;
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
      status = ebb_fail(EBB_IO, "cannot make the folder '%s': %s", path, strerror(errno));
    }
    if (slash) *slash = '/';
  }
  free(path);
  return status;
}

static EbbStatus open_file(File *file, const char *folder, const char *name) {
  if (asprintf(&file->path, "%s/%s", folder, name) < 0) file->path = NULL;
  if (asprintf(&file->temporary, "%s/%s.tmp-%ld", folder, name, (long)getpid()) < 0) file->temporary = NULL;
  if (!file->path || !file->temporary) return ebb_fail(EBB_MEMORY, "no memory for the file name '%s'", name);
  struct stat state;
  if (stat(file->path, &state) == 0 && !S_ISREG(state.st_mode)) {
    return ebb_fail(EBB_IO, "'%s' is in the way: it is not a regular file", file->path);
  }
  file->descriptor = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file->descriptor < 0) {
    return ebb_fail(EBB_IO, "cannot write in the folder '%s': %s", folder, strerror(errno));
  }
  file->exists = true;
  return EBB_OK;
}

static EbbStatus open_files(EbbFileSet *set, const char *folder, const char *const *names) {
  set->folder = strdup(folder);
  if (!set->folder) return ebb_fail(EBB_MEMORY, "no memory for the folder name '%s'", folder);
  for (int i = 0; i < set->n_files; i++) EBB_TRY(open_file(&set->file[i], folder, names[i]));
  return EBB_OK;
}

EbbStatus ebb_file_set_create(const char *folder, const char *const *names, int n_names, EbbFileSet **out) {
  *out = NULL;
  EBB_TRY(make_folder(folder));
  EbbFileSet *set = calloc(1, sizeof *set + (size_t)n_names * sizeof *set->file);
  if (!set) return ebb_fail(EBB_MEMORY, "no memory for the files of '%s'", folder);
  set->n_files = n_names;
  for (int i = 0; i < n_names; i++) set->file[i].descriptor = -1;
  EbbStatus status = open_files(set, folder, names);
  if (status != EBB_OK) {
    ebb_file_set_destroy(set);
    return status;
  }
  *out = set;
  return EBB_OK;
}

EbbStatus ebb_file_set_write(EbbFileSet *set, int index, const char *text, size_t bytes) {
  File *file = &set->file[index];
  while (bytes > 0) {
    ssize_t written = write(file->descriptor, text, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return ebb_fail(EBB_IO, "cannot write '%s': %s; nothing was kept", file->path, strerror(errno));
    }
    text += written;
    bytes -= (size_t)written;
  }
  return EBB_OK;
}

static EbbStatus sync_file(File *file) {
  int failed = fsync(file->descriptor) != 0;
  int error = errno;
  if (close(file->descriptor) != 0 && !failed) failed = 1, error = errno;
  file->descriptor = -1;
  if (failed) return ebb_fail(EBB_IO, "cannot write '%s': %s; nothing was kept", file->path, strerror(error));
  return EBB_OK;
}

/* Old files go first: whenever this is cut short, a file is missing rather than of another set. */
static EbbStatus rename_files(EbbFileSet *set) {
  for (int i = 0; i < set->n_files; i++) {
    if (unlink(set->file[i].path) != 0 && errno != ENOENT) {
      return ebb_fail(EBB_IO, "cannot replace '%s': %s", set->file[i].path, strerror(errno));
    }
  }
  for (int i = 0; i < set->n_files; i++) {
    File *file = &set->file[i];
    if (rename(file->temporary, file->path) != 0) {
      int error = errno;
      for (int j = 0; j < i; j++) unlink(set->file[j].path);
      return ebb_fail(EBB_IO, "cannot rename '%s' to '%s': %s", file->temporary, file->path, strerror(error));
    }
    file->exists = false;
  }
  return EBB_OK;
}

EbbStatus ebb_file_set_commit(EbbFileSet *set) {
  for (int i = 0; i < set->n_files; i++) EBB_TRY(sync_file(&set->file[i]));
  EBB_TRY(rename_files(set));
  int folder = open(set->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    /* Some file systems refuse to sync a folder; the files themselves are safe already. */
    (void)fsync(folder);
    close(folder);
  }
  return EBB_OK;
}

void ebb_file_set_destroy(EbbFileSet *set) {
  if (!set) return;
  for (int i = 0; i < set->n_files; i++) {
    File *file = &set->file[i];
    if (file->descriptor >= 0) close(file->descriptor);
    if (file->exists) unlink(file->temporary);
    free(file->path);
    free(file->temporary);
  }
  free(set->folder);
  free(set);
}
