#include "append_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static EbbStatus refused(const char *what, const char *path, int error) {
  bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return ebb_fail(EBB_IO, "cannot %s '%s': %s%s", what, path, full ? "the disk is full: " : "",
                  strerror(error));
}

EbbStatus ebb_append_open(const char *path, bool exclusive, EbbAppendFile *file, bool *existed) {
  *file = EBB_APPEND_FILE_CLOSED;
  *existed = false;
  int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (exclusive ? O_EXCL : 0);
  int fd = open(path, flags, 0666);
  if (fd < 0 && exclusive && errno == EEXIST) {
    *existed = true;
    return EBB_OK;
  }
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) {
    EbbStatus status = refused("open", path, errno);
    if (fd >= 0) close(fd);
    return status;
  }
  char *copy = strdup(path);
  if (!copy) {
    close(fd);
    return ebb_fail(EBB_MEMORY, "no memory to open '%s'", path);
  }
  *file = (EbbAppendFile){.fd = fd, .path = copy, .length = (int64_t)info.st_size};
  return EBB_OK;
}

EbbStatus ebb_append_write(EbbAppendFile *file, const void *bytes, size_t size) {
  const char *from = bytes;
  size_t done = 0;
  while (done < size) {
    ssize_t n = write(file->fd, from + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      EbbStatus status = refused("write", file->path, n < 0 ? errno : ENOSPC);
      /* The first failure is the one to tell; a resumed run cuts a partial record too. */
      if (done > 0) (void)!ftruncate(file->fd, (off_t)file->length);
      return status;
    }
    done += (size_t)n;
  }
  file->length += (int64_t)size;
  return EBB_OK;
}

EbbStatus ebb_append_cut(EbbAppendFile *file, int64_t length) {
  if (length >= file->length) return EBB_OK;
  if (ftruncate(file->fd, (off_t)length) != 0) return refused("shorten", file->path, errno);
  file->length = length;
  return EBB_OK;
}

EbbStatus ebb_append_sync(EbbAppendFile *file) {
  /* EINVAL: a device or pipe that has nothing to synchronise. */
  if (fsync(file->fd) != 0 && errno != EINVAL) return refused("write", file->path, errno);
  return EBB_OK;
}

void ebb_append_close(EbbAppendFile *file) {
  if (file->fd >= 0) close(file->fd);
  free(file->path);
  *file = EBB_APPEND_FILE_CLOSED;
}
