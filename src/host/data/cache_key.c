#include "host/data/cache_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "ebb/file.h"

enum { SMALL_FILE = 64 * 1024 };

static EbbStatus no_memory(const EbbCacheKey *key) {
  return ebb_fail(EBB_MEMORY, "no memory for the cache's key of '%s'", key->name ? key->name : "?");
}

/* Whether a line "  name: value" of the group dataset says where things are rather than what they are. */
static bool is_about_places(const char *line) {
  static const char *const names[] = {"data_dir", "cache", "cache_dir", "n_workers"};
  line += strspn(line, " ");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const size_t length = strlen(names[i]);
    if (strncmp(line, names[i], length) == 0 && line[length] == ':') return true;
  }
  return false;
}

/* The indented lines below "dataset:". */
static void copy_settings(const char *yaml, FILE *to) {
  bool inside = false;
  for (const char *line = yaml; *line;) {
    const size_t length = strcspn(line, "\n");
    if (*line != ' ')
      inside = strncmp(line, "dataset:", 8) == 0;
    else if (inside && !is_about_places(line))
      fprintf(to, "%.*s\n", (int)length, line + 2);
    line += length + (line[length] == '\n');
  }
}

EbbStatus ebb_cache_key_begin(EbbCacheKey *key, const EbbConfig *config, int version) {
  *key = (EbbCacheKey){0};
  const char *name = ebb_config_string(config, "dataset._name_");
  char *yaml = NULL;
  key->name = strdup(name ? name : "");
  key->settings_text = open_memstream(&key->settings, &key->settings_bytes);
  key->sources_text = open_memstream(&key->sources, &key->sources_bytes);
  if (!key->name || !key->settings_text || !key->sources_text) return no_memory(key);
  fprintf(key->settings_text, "loader: %s, version %d\n", key->name, version);
  EBB_TRY(ebb_config_yaml(config, &yaml));
  copy_settings(yaml, key->settings_text);
  free(yaml);
  return EBB_OK;
}

void ebb_cache_key_release(EbbCacheKey *key) {
  if (key->settings_text) fclose(key->settings_text);
  if (key->sources_text) fclose(key->sources_text);
  free(key->name);
  free(key->folder);
  free(key->settings);
  free(key->sources);
  *key = (EbbCacheKey){0};
}

EbbStatus ebb_cache_key_folder(EbbCacheKey *key, const char *folder) {
  free(key->folder);
  key->folder = strdup(folder);
  return key->folder ? EBB_OK : no_memory(key);
}

void ebb_cache_key_setting(EbbCacheKey *key, const char *name, const char *value) {
  fprintf(key->settings_text, "%s: %s\n", name, value);
}

void ebb_cache_key_cut(EbbCacheKey *key, const EbbConfig *config) {
  const bool given = strcmp(ebb_config_origin(config, "dataset.l_max"), "default") != 0;
  ebb_cache_key_setting(key, "dataset.l_max is", given ? "given" : "the default");
}

static EbbStatus add_contents(EbbCacheKey *key, const char *path) {
  char *text = NULL;
  size_t length = 0;
  EBB_TRY(ebb_file_read(path, SMALL_FILE, &text, &length));
  fprintf(key->sources_text, ", checksum %08lx\n", crc32_z(0, (const unsigned char *)text, length));
  free(text);
  return EBB_OK;
}

static EbbStatus add_file(EbbCacheKey *key, const char *name, const char *path) {
  struct stat info;
  if (stat(path, &info) != 0)
    return ebb_fail(errno == ENOENT ? EBB_NOT_FOUND : EBB_IO, "%s: %s", path, strerror(errno));
  key->source_bytes += (int64_t)info.st_size;
  fprintf(key->sources_text, "%s: %lld bytes", name, (long long)info.st_size);
  if (S_ISREG(info.st_mode) && info.st_size <= SMALL_FILE) return add_contents(key, path);
  fprintf(key->sources_text, ", changed %lld.%09ld\n", (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  return EBB_OK;
}

EbbStatus ebb_cache_key_file(EbbCacheKey *key, const char *name) {
  char *path;
  if (asprintf(&path, "%s/%s", key->folder ? key->folder : ".", name) < 0) return no_memory(key);
  const EbbStatus status = add_file(key, name, path);
  free(path);
  return status;
}

static EbbStatus add_files(EbbCacheKey *key, const char *folder, int open_folder,
                           const EbbFolderList *files) {
  uLong crc = 0;
  int64_t bytes = 0;
  for (int i = 0; i < files->n; i++) {
    struct stat info;
    if (fstatat(open_folder, files->name[i], &info, 0) != 0)
      return ebb_fail(errno == ENOENT ? EBB_NOT_FOUND : EBB_IO, "%s/%s: %s", folder, files->name[i],
                      strerror(errno));
    const int64_t facts[] = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    crc = crc32_z(crc, (const unsigned char *)files->name[i], strlen(files->name[i]) + 1);
    crc = crc32_z(crc, (const unsigned char *)facts, sizeof facts);
    bytes += facts[0];
  }
  key->source_bytes += bytes;
  fprintf(key->sources_text, "%s: %d files, %lld bytes, checksum of names, sizes and times %08lx\n", folder,
          files->n, (long long)bytes, crc);
  return EBB_OK;
}

EbbStatus ebb_cache_key_files(EbbCacheKey *key, const char *folder, const EbbFolderList *files) {
  char *path;
  if (asprintf(&path, "%s/%s", key->folder ? key->folder : ".", folder) < 0) return no_memory(key);
  const int open_folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const EbbStatus status = open_folder < 0
                               ? ebb_fail(EBB_IO, "cannot open the folder '%s': %s", path, strerror(errno))
                               : add_files(key, folder, open_folder, files);
  if (open_folder >= 0) close(open_folder);
  free(path);
  return status;
}

static bool end_text(FILE **text) {
  const bool whole = !ferror(*text);
  const bool closed = fclose(*text) == 0;
  *text = NULL;
  return whole && closed;
}

EbbStatus ebb_cache_key_end(EbbCacheKey *key) {
  const bool settings = end_text(&key->settings_text), sources = end_text(&key->sources_text);
  return settings && sources ? EBB_OK : no_memory(key);
}

int64_t ebb_cache_key_bytes(const EbbCacheKey *key) {
  return key->expected > 0 ? key->expected : key->source_bytes;
}

uint32_t ebb_cache_key_number(const EbbCacheKey *key) {
  return (uint32_t)crc32_z(0, (const unsigned char *)key->settings, key->settings_bytes);
}
