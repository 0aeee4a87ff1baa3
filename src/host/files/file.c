#include "ebb/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static EbbStatus fail_open(const char *path) {
  EbbStatus code = errno == ENOENT || errno == ENOTDIR ? EBB_NOT_FOUND : EBB_IO;
  return ebb_fail(code, "%s: cannot open: %s", path, strerror(errno));
}

/* Reads until the end of `fd`; *text may have grown whatever the status is, and is the caller's. */
static EbbStatus read_all(int fd, const char *path, size_t max_bytes, char **text, size_t *length) {
  size_t room = 0, used = 0;
  for (;;) {
    if (used + 1 >= room) {
      room = room ? room * 2 : 4096;
      char *grown = realloc(*text, room);
      if (!grown) return ebb_fail(EBB_MEMORY, "%s: no memory for %zu bytes of its text", path, room);
      *text = grown;
    }
    ssize_t n = read(fd, *text + used, room - used - 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ebb_fail(EBB_IO, "%s: cannot read after %zu bytes: %s", path, used, strerror(errno));
    used += (size_t)n;
    if (used > max_bytes)
      return ebb_fail(EBB_INVALID, "%s: has more than the %zu bytes that are read at most", path, max_bytes);
    if (n == 0) break;
  }
  (*text)[used] = '\0';
  *length = used;
  return EBB_OK;
}

EbbStatus ebb_file_read(const char *path, size_t max_bytes, char **text, size_t *length) {
  *text = NULL;
  *length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_open(path);
  EbbStatus status = read_all(fd, path, max_bytes, text, length);
  close(fd);
  if (status != EBB_OK) {
    free(*text);
    *text = NULL;
  }
  return status;
}

bool ebb_file_exists(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

/* `whole` is the path that the user gave, `part` the component to make. */
static EbbStatus create_component(const char *whole, const char *part) {
  struct stat info;
  if (mkdir(part, 0777) == 0) return EBB_OK;
  int error = errno;
  if (stat(part, &info) == 0) {
    if (S_ISDIR(info.st_mode)) return EBB_OK;
    return ebb_fail(EBB_IO, "%s: cannot create the folder: '%s' exists and is not a folder", whole, part);
  }
  if (strcmp(whole, part) == 0)
    return ebb_fail(EBB_IO, "cannot create the folder '%s': %s", whole, strerror(error));
  return ebb_fail(EBB_IO, "%s: cannot create the folder '%s': %s", whole, part, strerror(error));
}

EbbStatus ebb_folder_create(const char *path) {
  if (!*path) return ebb_fail(EBB_INVALID, "the name of a folder to create is empty");
  char *part = strdup(path);
  if (!part) return ebb_fail(EBB_MEMORY, "%s: no memory for the name of the folder", path);
  EbbStatus status = EBB_OK;
  for (char *end = part + 1; status == EBB_OK && *end; end++) {
    if (*end != '/' || end[-1] == '/') continue;
    *end = '\0';
    status = create_component(path, part);
    *end = '/';
  }
  if (status == EBB_OK) status = create_component(path, part);
  free(part);
  return status;
}

static EbbStatus probe(const char *path, char *name) {
  int fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0) return ebb_fail(EBB_IO, "%s: cannot create a file in this folder: %s", path, strerror(errno));
  EbbStatus status = EBB_OK;
  if (write(fd, "", 1) != 1)
    status = ebb_fail(EBB_IO, "%s: cannot write to a file in this folder: %s", path, strerror(errno));
  close(fd);
  unlink(name);
  return status;
}

EbbStatus ebb_folder_check_writable(const char *path) {
  struct stat info;
  if (stat(path, &info)) return fail_open(path);
  if (!S_ISDIR(info.st_mode)) return ebb_fail(EBB_IO, "%s: is not a folder", path);
  char *name = NULL;
  if (asprintf(&name, "%s/.ebb-probe-XXXXXX", path) < 0)
    return ebb_fail(EBB_MEMORY, "%s: no memory for the name of a probe file", path);
  EbbStatus status = probe(path, name);
  free(name);
  return status;
}
