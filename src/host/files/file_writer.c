#include "ebb/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct EbbFileWriter {
  char *path, *folder, *temporary;
  FILE *stream; /* holds the lock on the temporary until it is closed */
  uint64_t written;
  bool pending; /* the temporary exists */
  bool failed;
};

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Removes a temporary that nobody holds locked. A lock, unlike a process id, cannot be mistaken for another
   process's after a restart. The name must still mean the locked file: its writer may have renamed it and
   begun another one since. */
static void remove_if_stale(int folder, const char *name) {
  struct stat opened, named;
  int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) &&
      fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&opened, &named))
    unlinkat(folder, name, 0);
  close(fd);
}

/* Whether `name` is "<base>.tmp-<digits>". */
static bool is_temporary_of(const char *name, const char *base) {
  const char *mark = ".tmp-";
  size_t length = strlen(base);
  if (strncmp(name, base, length) != 0 || strncmp(name + length, mark, strlen(mark)) != 0) return false;
  const char *digits = name + length + strlen(mark);
  return *digits && strspn(digits, "0123456789") == strlen(digits);
}

static void remove_stale(const EbbFileWriter *writer) {
  const char *slash = strrchr(writer->path, '/'), *base = slash ? slash + 1 : writer->path;
  DIR *folder = opendir(writer->folder);
  if (!folder) return;
  for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
    if (is_temporary_of(entry->d_name, base)) remove_if_stale(dirfd(folder), entry->d_name);
  closedir(folder);
}

static EbbStatus fail_create(const EbbFileWriter *writer, int error) {
  if (error == EEXIST)
    return ebb_fail(EBB_STATE, "%s: is being written already: its temporary file '%s' exists and is in use",
                    writer->path, writer->temporary);
  return ebb_fail(EBB_IO, "%s: cannot create the temporary file '%s': %s", writer->path, writer->temporary,
                  strerror(error));
}

/* Creates and locks the temporary. Between the two another process may take it for a stale one and remove it;
   it then has no link left and is created again. Where locks do not exist nothing is removed as stale. */
static EbbStatus open_temporary(EbbFileWriter *writer) {
  for (;;) {
    struct stat info;
    int fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return fail_create(writer, errno);
    bool locked = flock(fd, LOCK_EX) == 0;
    if (locked && fstat(fd, &info) == 0 && info.st_nlink == 0) {
      close(fd);
      continue;
    }
    writer->pending = true;
    writer->stream = fdopen(fd, "w");
    if (writer->stream) return EBB_OK;
    close(fd);
    return ebb_fail(EBB_MEMORY, "%s: no memory for its buffer", writer->path);
  }
}

static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return strdup(".");
  return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static EbbStatus begin(EbbFileWriter *writer, const char *path) {
  struct stat info;
  if (!*path) return ebb_fail(EBB_INVALID, "the name of a file to write is empty");
  writer->path = strdup(path);
  writer->folder = folder_of(path);
  if (!writer->path || !writer->folder ||
      asprintf(&writer->temporary, "%s.tmp-%ld", path, (long)getpid()) < 0)
    return ebb_fail(EBB_MEMORY, "%s: no memory for its name", path);
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
    return ebb_fail(EBB_INVALID, "%s: is %s and cannot be replaced by a file", path,
                    S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
  remove_stale(writer);
  return open_temporary(writer);
}

EbbStatus ebb_file_writer_create(const char *path, EbbFileWriter **out) {
  *out = NULL;
  EbbFileWriter *writer = calloc(1, sizeof *writer);
  if (!writer) return ebb_fail(EBB_MEMORY, "%s: no memory for a file writer", path);
  EbbStatus status = begin(writer, path);
  if (status == EBB_OK)
    *out = writer;
  else
    ebb_file_writer_destroy(writer);
  return status;
}

static EbbStatus fail_write(EbbFileWriter *writer, const char *what, int error) {
  writer->failed = true;
  return ebb_fail(EBB_IO, "%s: cannot %s: %s", writer->path, what, strerror(error));
}

EbbStatus ebb_file_writer_write(EbbFileWriter *writer, const void *data, size_t length) {
  errno = 0;
  if (length && fwrite(data, 1, length, writer->stream) != length) {
    char what[96];
    snprintf(what, sizeof what, "write %zu bytes after the first %" PRIu64, length, writer->written);
    return fail_write(writer, what, errno);
  }
  writer->written += length;
  return EBB_OK;
}

EbbStatus ebb_file_writer_print(EbbFileWriter *writer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  errno = 0;
  int n = vfprintf(writer->stream, format, arguments);
  va_end(arguments);
  if (n < 0) {
    char what[96];
    snprintf(what, sizeof what, "write text after the first %" PRIu64 " bytes", writer->written);
    return fail_write(writer, what, errno);
  }
  writer->written += (uint64_t)n;
  return EBB_OK;
}

/* File systems without folder syncing say EINVAL. */
static EbbStatus sync_folder(EbbFileWriter *writer) {
  int fd = open(writer->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_write(writer, "open its folder to sync it", errno);
  int error = fsync(fd) ? errno : 0;
  close(fd);
  return error && error != EINVAL ? fail_write(writer, "sync its folder", error) : EBB_OK;
}

EbbStatus ebb_file_writer_commit(EbbFileWriter *writer) {
  if (writer->failed)
    return ebb_fail(EBB_IO, "%s: is not replaced because an earlier write to it failed", writer->path);
  if (!writer->pending) return ebb_fail(EBB_STATE, "%s: was committed already", writer->path);
  if (fflush(writer->stream)) {
    char what[96];
    snprintf(what, sizeof what, "write all of %" PRIu64 " bytes", writer->written);
    return fail_write(writer, what, errno);
  }
  if (fsync(fileno(writer->stream))) return fail_write(writer, "sync the temporary file", errno);
  if (rename(writer->temporary, writer->path)) return fail_write(writer, "rename the temporary file", errno);
  writer->pending = false;
  return sync_folder(writer);
}

void ebb_file_writer_destroy(EbbFileWriter *writer) {
  if (!writer) return;
  if (writer->pending) unlink(writer->temporary);
  if (writer->stream) fclose(writer->stream);
  free(writer->path);
  free(writer->folder);
  free(writer->temporary);
  free(writer);
}
