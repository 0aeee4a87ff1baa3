#include "host/data/folder_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool ebb_folder_exists(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

void ebb_folder_list_release(EbbFolderList *list) {
  for (int i = 0; i < list->n; i++) free(list->name[i]);
  free((void *)list->name);
  *list = (EbbFolderList){0};
}

static int compare(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static EbbStatus add(EbbFolderList *list, const char *name) {
  if (list->n == list->capacity) {
    const int capacity = 2 * list->capacity + 64;
    char **names = realloc((void *)list->name, (size_t)capacity * sizeof *names);
    if (!names) return ebb_fail(EBB_MEMORY, "no memory for %d names of a folder", capacity);
    list->name = names, list->capacity = capacity;
  }
  list->name[list->n] = strdup(name);
  if (!list->name[list->n]) return ebb_fail(EBB_MEMORY, "no memory for the name '%.60s'", name);
  list->n++;
  return EBB_OK;
}

static bool ends_with(const char *name, const char *suffix) {
  const size_t length = strlen(name), tail = strlen(suffix);
  return length > tail && strcmp(name + (length - tail), suffix) == 0;
}

/* The type that the file system tells, or that of what a link leads to. */
static EbbStatus is_folder(const char *folder, const struct dirent *entry, bool *answer) {
  *answer = entry->d_type == DT_DIR;
  if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK) return EBB_OK;
  char *path;
  if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
    return ebb_fail(EBB_MEMORY, "no memory for the name '%.60s'", entry->d_name);
  *answer = ebb_folder_exists(path);
  free(path);
  return EBB_OK;
}

static EbbStatus read_all(DIR *open, const char *folder, const char *suffix, EbbFolderList *out) {
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(open);
    if (!entry && errno != 0)
      return ebb_fail(EBB_IO, "cannot read the folder '%s': %s", folder, strerror(errno));
    if (!entry) return EBB_OK;
    if (entry->d_name[0] == '.' || (suffix && !ends_with(entry->d_name, suffix))) continue;
    bool inner;
    EBB_TRY(is_folder(folder, entry, &inner));
    if (inner == !suffix) EBB_TRY(add(out, entry->d_name));
  }
}

EbbStatus ebb_folder_list(const char *folder, const char *suffix, EbbFolderList *out) {
  *out = (EbbFolderList){0};
  DIR *open = opendir(folder);
  if (!open) {
    const EbbStatus code = errno == ENOENT || errno == ENOTDIR ? EBB_NOT_FOUND : EBB_IO;
    return ebb_fail(code, "cannot open the folder '%s': %s", folder, strerror(errno));
  }
  const EbbStatus status = read_all(open, folder, suffix, out);
  closedir(open);
  if (out->n > 0) qsort((void *)out->name, (size_t)out->n, sizeof *out->name, compare);
  return status;
}
