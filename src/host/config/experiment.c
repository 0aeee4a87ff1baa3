#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/config/config_row.h"

#ifndef EBB_EXPERIMENTS_DIR
#error "the build defines EBB_EXPERIMENTS_DIR (source tree) and EBB_INSTALLED_EXPERIMENTS_DIR"
#endif

enum { N_FOLDERS = 3, N_NEAR = 3, NAME_BYTES = 128 };

/* The experiments nearest to a name that does not exist, nearest first. */
typedef struct Near {
  const char *wanted;
  char name[N_NEAR][NAME_BYTES];
  int distance[N_NEAR];
} Near;

static int list_folders(const char *folders[N_FOLDERS]) {
  const char *own = getenv("EBB_EXPERIMENTS");
  int n = 0;
  if (own && *own) folders[n++] = own;
  folders[n++] = EBB_EXPERIMENTS_DIR;
  folders[n++] = EBB_INSTALLED_EXPERIMENTS_DIR;
  return n;
}

static EbbStatus check_name(const char *name) {
  EbbConfigQuote quote = ebb_config_quote(name, strlen(name));
  bool inside = *name && *name != '/' && !strstr(name, "..") && strlen(name) < NAME_BYTES;
  if (inside) return EBB_OK;
  return ebb_fail(EBB_INVALID, "'%s' is not the name of an experiment, such as lra/s4-lra-listops",
                  quote.text);
}

/* lra/s4-lra-imdb is also near to "s4-lra-imdb", "imdb" to neither. */
static int distance_to(const char *wanted, const char *name) {
  const char *slash = strrchr(name, '/'), *wanted_slash = strrchr(wanted, '/');
  int whole = ebb_name_distance(wanted, name);
  int last = ebb_name_distance(wanted_slash ? wanted_slash + 1 : wanted, slash ? slash + 1 : name);
  return last < INT_MAX && last + 1 < whole ? last + 1 : whole;
}

static void note(Near *near, const char *name, size_t length) {
  char candidate[NAME_BYTES];
  if (length >= sizeof candidate) return;
  memcpy(candidate, name, length);
  candidate[length] = 0;
  int distance = distance_to(near->wanted, candidate), place = 0;
  for (; place < N_NEAR && distance >= near->distance[place]; place++) {
    if (strcmp(near->name[place], candidate) == 0) return;
  }
  if (place == N_NEAR) return;
  for (int i = N_NEAR - 1; i > place; i--) {
    memcpy(near->name[i], near->name[i - 1], NAME_BYTES);
    near->distance[i] = near->distance[i - 1];
  }
  memcpy(near->name[place], candidate, NAME_BYTES);
  near->distance[place] = distance;
}

static int by_name(const FTSENT **a, const FTSENT **b) { return strcmp((*a)->fts_name, (*b)->fts_name); }

/* A folder that cannot be read holds no hints; the sentence names it anyway. */
static void search_folder(Near *near, const char *folder) {
  char *roots[] = {(char *)folder, NULL};
  FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
  if (!tree) return;
  size_t prefix = strlen(folder) + 1;
  for (FTSENT *entry = fts_read(tree); entry; entry = fts_read(tree)) {
    if (entry->fts_level > 3) (void)fts_set(tree, entry, FTS_SKIP);
    size_t length = entry->fts_pathlen;
    bool yaml =
        entry->fts_info == FTS_F && length > prefix + 5 && strcmp(entry->fts_path + length - 5, ".yaml") == 0;
    if (yaml) note(near, entry->fts_path + prefix, length - prefix - 5);
  }
  (void)fts_close(tree);
}

static EbbStatus not_found(const char *name, const char *const *folders, int n_folders) {
  Near near = {.wanted = name, .distance = {INT_MAX, INT_MAX, INT_MAX}};
  char searched[1024] = "", hints[N_NEAR * NAME_BYTES + 64] = "none was found";
  size_t used = 0;
  for (int i = 0; i < n_folders; i++) {
    search_folder(&near, folders[i]);
    if (used < sizeof searched) {
      used += (size_t)snprintf(searched + used, sizeof searched - used, "%s%s", i ? ", " : "", folders[i]);
    }
  }
  used = 0;
  for (int i = 0; i < N_NEAR && *near.name[i]; i++) {
    used += (size_t)snprintf(hints + used, sizeof hints - used, "%s%s", i ? ", " : "", near.name[i]);
  }
  return ebb_fail(EBB_NOT_FOUND, "no experiment '%s'; the nearest: %s; searched %s", name, hints, searched);
}

EbbStatus ebb_config_load_experiment(EbbConfig *config, const char *name) {
  EBB_TRY(check_name(name));
  const char *folders[N_FOLDERS];
  int n_folders = list_folders(folders);
  for (int i = 0; i < n_folders; i++) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s.yaml", folders[i], name);
    if (length < (int)sizeof path && access(path, F_OK) == 0) return ebb_config_load_file(config, path);
  }
  return not_found(name, folders, n_folders);
}
