#include "host/data/folder_names.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(int at, const char *name) {
  struct stat facts;
  return fstatat(at, name, &facts, 0) == 0 && S_ISDIR(facts.st_mode);
}

static bool ends_with(const char *name, const char *suffix) {
  const size_t length = strlen(name), end = strlen(suffix);
  return length >= end && strcmp(name + length - end, suffix) == 0;
}

static bool is_wanted(int at, const char *name, const char *suffix) {
  if (name[0] == '.' || (suffix && !ends_with(name, suffix))) return false;
  return is_folder(at, name) == !suffix;
}

static bool append(EbbNames *names, int *capacity, const char *name) {
  if (names->n == *capacity) {
    const int more = 2 * *capacity + 64;
    char **grown = realloc((void *)names->name, (size_t)more * sizeof *grown);
    if (!grown) return false;
    names->name = grown, *capacity = more;
  }
  names->name[names->n] = strdup(name);
  return names->name[names->n++] != NULL;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

EbbStatus ebb_folder_names(const char *folder, const char *suffix, EbbNames *out) {
  *out = (EbbNames){0};
  DIR *stream = opendir(folder);
  if (!stream)
    return ebb_fail(errno == ENOENT ? EBB_NOT_FOUND : EBB_IO, "%s: cannot read the folder: %s", folder,
                    strerror(errno));
  int capacity = 0;
  bool whole = true;
  for (const struct dirent *entry; whole && (entry = readdir(stream)) != NULL;)
    if (is_wanted(dirfd(stream), entry->d_name, suffix)) whole = append(out, &capacity, entry->d_name);
  closedir(stream);
  if (!whole) return ebb_fail(EBB_MEMORY, "%s: no memory for the names of its files", folder);
  if (out->n > 0) qsort((void *)out->name, (size_t)out->n, sizeof *out->name, by_name);
  return EBB_OK;
}

void ebb_names_release(EbbNames *names) {
  for (int i = 0; i < names->n; i++) free(names->name[i]);
  free((void *)names->name);
  *names = (EbbNames){0};
}

int ebb_names_find(const EbbNames *names, const char *name) {
  if (names->n == 0) return -1;
  char **found = bsearch(&name, (void *)names->name, (size_t)names->n, sizeof *names->name, by_name);
  return found ? (int)(found - names->name) : -1;
}
