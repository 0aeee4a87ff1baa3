#include "host/data/data_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ebb/file.h"
#include "host/data/data_elsewhere.h"
#include "host/data/gunzip.h"

static const size_t MOST_BYTES = (size_t)1 << 38;
/* A damaged or hostile archive could unpack to anything. */
static const size_t MOST_UNPACKED = (size_t)1 << 30;

void ebb_data_file_release(EbbDataFile *file) {
  free(file->path);
  free(file->text);
  *file = (EbbDataFile){0};
}

static EbbStatus no_memory(const char *file) {
  (void)ebb_fail(EBB_MEMORY, "no memory for the name of '%s'", file);
  return EBB_MEMORY;
}

EbbStatus ebb_data_path(const EbbDataSource *source, const char *file, const char *suffix, char **path) {
  const char *data = getenv("EBB_DATA");
  const char *root = data && *data ? data : "data";
  const bool itself = strcmp(file, ".") == 0;
  const char *slash = itself ? "" : "/", *name = itself ? "" : file;
  const int written = source->folder ? asprintf(path, "%s%s%s%s", source->folder, slash, name, suffix)
                                     : asprintf(path, "%s/%s%s%s%s", root, source->name, slash, name, suffix);
  if (written >= 0) return EBB_OK;
  *path = NULL;
  return no_memory(file);
}

EbbStatus ebb_data_missing_marks(const EbbDataSource *source, const char *path, const char *nor,
                                 const char *const *marks) {
  char *folder = NULL, *elsewhere = NULL;
  if (ebb_data_path(source, ".", "", &folder) == EBB_OK) elsewhere = ebb_data_elsewhere(folder, marks);
  free(folder);
  const EbbStatus status =
      elsewhere ? ebb_fail(EBB_NOT_FOUND,
                           "%s: '%s' does not exist%s, but '%s' is such a folder: take "
                           "dataset.data_dir=%s",
                           source->name, path, nor, elsewhere, elsewhere)
                : ebb_fail(EBB_NOT_FOUND,
                           "%s: '%s' does not exist%s; put %s there (dataset.data_dir names the "
                           "folder; without it $EBB_DATA/%s, or data/%s where EBB_DATA is not set)",
                           source->name, path, nor, source->origin, source->name, source->name);
  free(elsewhere);
  return status;
}

EbbStatus ebb_data_missing(const EbbDataSource *source, const char *path, const char *nor) {
  char *folder = NULL;
  size_t length = 0;
  if (ebb_data_path(source, ".", "", &folder) == EBB_OK) length = strlen(folder);
  const bool inside = length > 0 && strncmp(path, folder, length) == 0 && path[length] == '/';
  const char *const marks[] = {inside ? path + length + 1 : NULL, NULL};
  free(folder);
  return ebb_data_missing_marks(source, path, nor, marks);
}

static EbbStatus read_packed(const EbbDataSource *source, const char *file, EbbDataFile *out) {
  char *packed = NULL, *bytes = NULL;
  size_t length = 0;
  EBB_TRY(ebb_data_path(source, file, ".gz", &packed));
  EbbStatus status = EBB_OK;
  if (!ebb_file_exists(packed))
    status = ebb_data_missing(source, out->path, ", nor does it with .gz");
  else
    status = ebb_file_read(packed, MOST_BYTES, &bytes, &length);
  if (status == EBB_OK) status = ebb_gunzip(bytes, length, MOST_UNPACKED, packed, &out->text, &out->length);
  free(bytes);
  if (status == EBB_OK) {
    free(out->path);
    out->path = packed;
  } else {
    free(packed);
  }
  return status;
}

EbbStatus ebb_data_file_read(const EbbDataSource *source, const char *file, EbbDataFile *out) {
  *out = (EbbDataFile){0};
  EBB_TRY(ebb_data_path(source, file, "", &out->path));
  if (!ebb_file_exists(out->path)) return read_packed(source, file, out);
  return ebb_file_read(out->path, MOST_BYTES, &out->text, &out->length);
}

EbbStatus ebb_user_file_read(const char *name, const char *folder, const char *file, EbbDataFile *out) {
  const bool absolute = file[0] == '/';
  const EbbDataSource source = {name,
                                absolute ? ""
                                : folder ? folder
                                         : ".",
                                "the file that dataset.file names"};
  return ebb_data_file_read(&source, absolute ? file + 1 : file, out);
}

EbbStatus ebb_data_folder(const EbbDataSource *source, char **path) {
  struct stat facts;
  EBB_TRY(ebb_data_path(source, ".", "", path));
  if (stat(*path, &facts) == 0 && S_ISDIR(facts.st_mode)) return EBB_OK;
  const EbbStatus status = ebb_data_missing(source, *path, "");
  free(*path);
  *path = NULL;
  return status;
}
