#include "host/data/data_elsewhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/file.h"
#include "host/data/folder_list.h"

enum { LEVELS = 2, MOST_FOLDERS = 512 }; /* looked into: a guess must not take long */

static bool has_file(const char *folder, const char *name, const char *suffix) {
  char *path;
  if (asprintf(&path, "%s/%s%s", folder, name, suffix) < 0) return false;
  const bool found = ebb_file_exists(path) || (!*suffix && ebb_folder_exists(path));
  free(path);
  return found;
}

static bool has_any(const char *folder, const char *const *names) {
  for (; *names; names++)
    if (has_file(folder, *names, "") || has_file(folder, *names, ".gz")) return true;
  return false;
}

static char *find_in(const char *folder, const EbbFolderList *inner, const char *const *names, int levels,
                     int *left);

/* The folders in `folder`, and then, with more than one level, those in them. */
static char *find_below(const char *folder, const char *const *names, int levels, int *left) {
  EbbFolderList inner;
  if (ebb_folder_list(folder, NULL, &inner) != EBB_OK) inner.n = 0;
  char *found = find_in(folder, &inner, names, 0, left);
  if (!found && levels > 1) found = find_in(folder, &inner, names, levels - 1, left);
  ebb_folder_list_release(&inner);
  return found;
}

/* levels 0: one of the inner folders itself, else one so far below them. */
static char *find_in(const char *folder, const EbbFolderList *inner, const char *const *names, int levels,
                     int *left) {
  char *found = NULL;
  for (int i = 0; i < inner->n && !found && --*left >= 0; i++) {
    char *path;
    if (asprintf(&path, "%s/%s", folder, inner->name[i]) < 0) return NULL;
    if (levels > 0)
      found = find_below(path, names, levels, left);
    else if (has_any(path, names))
      found = path;
    if (found != path) free(path);
  }
  return found;
}

/* Cuts the last name off; false where there is none. */
static bool go_up(char *path) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') path[--length] = 0;
  char *slash = strrchr(path, '/');
  if (!slash || slash == path || strcmp(slash, "/..") == 0) return false;
  *slash = 0;
  return true;
}

static char *find_above(const char *folder, const char *const *names) {
  char *path = strdup(folder);
  for (int level = 0; path && level < LEVELS && go_up(path); level++)
    if (has_any(path, names)) return path;
  free(path);
  return NULL;
}

char *ebb_data_elsewhere(const char *folder, const char *const *names) {
  int left = MOST_FOLDERS;
  char *found = find_above(folder, names);
  return found ? found : find_below(folder, names, LEVELS, &left);
}
