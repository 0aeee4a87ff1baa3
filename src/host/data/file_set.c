#include "host/data/file_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ebb/file.h"

typedef struct File {
  char *path;
  EbbFileWriter *writer;
} File;

struct EbbFileSet {
  int n_files;
  File file[];
};

static EbbStatus open_files(EbbFileSet *set, const char *folder, const char *const *names) {
  for (int i = 0; i < set->n_files; i++) {
    if (asprintf(&set->file[i].path, "%s/%s", folder, names[i]) < 0) {
      set->file[i].path = NULL;
      return ebb_fail(EBB_MEMORY, "no memory for the file name '%s'", names[i]);
    }
    EBB_TRY(ebb_file_writer_create(set->file[i].path, &set->file[i].writer));
  }
  return EBB_OK;
}

EbbStatus ebb_file_set_create(const char *folder, const char *const *names, int n_names, EbbFileSet **out) {
  *out = NULL;
  EBB_TRY(ebb_folder_create(folder));
  EbbFileSet *set = calloc(1, sizeof *set + (size_t)n_names * sizeof *set->file);
  if (!set) return ebb_fail(EBB_MEMORY, "no memory for the files of '%s'", folder);
  set->n_files = n_names;
  EbbStatus status = open_files(set, folder, names);
  if (status != EBB_OK) {
    ebb_file_set_destroy(set);
    return status;
  }
  *out = set;
  return EBB_OK;
}

EbbStatus ebb_file_set_write(EbbFileSet *set, int index, const char *text, size_t bytes) {
  return ebb_file_writer_write(set->file[index].writer, text, bytes);
}

/* Old files go first: whenever this is cut short, a file is missing rather than of another set. */
EbbStatus ebb_file_set_commit(EbbFileSet *set) {
  for (int i = 0; i < set->n_files; i++) {
    if (unlink(set->file[i].path) != 0 && errno != ENOENT) {
      return ebb_fail(EBB_IO, "%s: cannot replace the file: %s", set->file[i].path, strerror(errno));
    }
  }
  for (int i = 0; i < set->n_files; i++) {
    EbbStatus status = ebb_file_writer_commit(set->file[i].writer);
    if (status == EBB_OK) continue;
    for (int j = 0; j < i; j++) unlink(set->file[j].path);
    return status;
  }
  return EBB_OK;
}

void ebb_file_set_destroy(EbbFileSet *set) {
  if (!set) return;
  for (int i = 0; i < set->n_files; i++) {
    ebb_file_writer_destroy(set->file[i].writer);
    free(set->file[i].path);
  }
  free(set);
}
