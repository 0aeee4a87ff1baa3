#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPLAINT_BYTES = 600 };

const EbbPainter ebb_gnuplot = {.arguments = {"gnuplot", "--default-settings"}, .package = "gnuplot-nox"};

EbbStatus ebb_picture_kind(const char *picture, bool *svg) {
  const char *ending = strrchr(picture, '.');
  *svg = ending && strcmp(ending, ".svg") == 0;
  if (*svg || (ending && strcmp(ending, ".png") == 0)) return EBB_OK;
  return ebb_fail(EBB_INVALID, "cannot draw '%s': the name of a picture ends in .png or .svg", picture);
}

/* Files in memory: the program reads its script from one and complains into another, so no pipe can block. */
typedef struct Streams {
  int script, picture, complaint;
} Streams;

typedef struct Drawing {
  const EbbPainter *painter;
  EbbPictureScript write;
  const void *context;
  const char *picture;
} Drawing;

void ebb_picture_script(EbbPictureScript write, const void *context, FILE *script) {
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  locale_t before = plain ? uselocale(plain) : (locale_t)0;
  write(script, context);
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
}

static EbbStatus write_script(const Drawing *drawing, int fd) {
  const char *program = drawing->painter->arguments[0];
  int copy = dup(fd);
  FILE *script = copy < 0 ? NULL : fdopen(copy, "w");
  if (!script) {
    if (copy >= 0) close(copy);
    return ebb_fail(EBB_IO, "cannot write %s's script: %s", program, strerror(errno));
  }
  ebb_picture_script(drawing->write, drawing->context, script);
  bool failed = ferror(script) != 0;
  failed = fclose(script) != 0 || failed;
  if (failed || lseek(fd, 0, SEEK_SET) != 0)
    return ebb_fail(EBB_IO, "cannot write %s's script: %s", program, strerror(errno));
  return EBB_OK;
}

static int spawn(const EbbPainter *painter, const Streams *streams, pid_t *child) {
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  const int from[] = {streams->script, streams->picture, streams->complaint};
  for (int to = 0; to < 3 && !error; to++) error = posix_spawn_file_actions_adddup2(&actions, from[to], to);
  if (!error)
    error = posix_spawnp(child, painter->arguments[0], &actions, NULL, (char *const *)painter->arguments,
                         environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* The program's own words on one line. */
static void read_complaint(int fd, char text[COMPLAINT_BYTES]) {
  ssize_t n = pread(fd, text, COMPLAINT_BYTES - 1, 0);
  text[n > 0 ? n : 0] = '\0';
  char *to = text;
  for (const char *from = text; *from; from++) {
    char c = *from;
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
    if (c != ' ' || (to > text && to[-1] != ' ')) *to++ = c;
  }
  *to = '\0';
}

static EbbStatus run(const Drawing *drawing, const Streams *streams) {
  const char *program = drawing->painter->arguments[0], *picture = drawing->picture;
  pid_t child;
  int error = spawn(drawing->painter, streams, &child);
  if (error == ENOENT || error == EACCES)
    return ebb_fail(EBB_NOT_FOUND, "%s is needed to draw '%s' and is not in PATH: install %s", program,
                    picture, drawing->painter->package);
  if (error) return ebb_fail(EBB_DEVICE, "cannot start %s: %s", program, strerror(error));
  int result = 0;
  while (waitpid(child, &result, 0) < 0)
    if (errno != EINTR) return ebb_fail(EBB_DEVICE, "cannot wait for %s: %s", program, strerror(errno));
  struct stat info;
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0 && fstat(streams->picture, &info) == 0 &&
      info.st_size > 0)
    return EBB_OK;
  char text[COMPLAINT_BYTES];
  read_complaint(streams->complaint, text);
  return ebb_fail(EBB_DEVICE, "%s could not draw '%s': %s", program, picture,
                  *text ? text : "it gave no reason");
}

static EbbStatus draw(const Drawing *drawing, int picture_fd) {
  Streams streams = {.script = memfd_create("ebb-picture", MFD_CLOEXEC),
                     .picture = picture_fd,
                     .complaint = memfd_create("ebb-picture-errors", MFD_CLOEXEC)};
  EbbStatus status = EBB_OK;
  if (streams.script < 0 || streams.complaint < 0)
    status = ebb_fail(EBB_IO, "cannot create a file in memory: %s", strerror(errno));
  if (status == EBB_OK) status = write_script(drawing, streams.script);
  if (status == EBB_OK) status = run(drawing, &streams);
  if (streams.script >= 0) close(streams.script);
  if (streams.complaint >= 0) close(streams.complaint);
  return status;
}

static EbbStatus draw_atomically(const Drawing *drawing, const char *temporary) {
  const char *picture = drawing->picture;
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return ebb_fail(EBB_IO, "cannot write '%s': %s", picture, strerror(errno));
  EbbStatus status = draw(drawing, fd);
  bool synced = fsync(fd) == 0, closed = close(fd) == 0;
  if (status == EBB_OK && (!synced || !closed || rename(temporary, picture) != 0))
    status = ebb_fail(EBB_IO, "cannot write '%s': %s", picture, strerror(errno));
  if (status != EBB_OK) unlink(temporary);
  return status;
}

EbbStatus ebb_picture_draw(const EbbPainter *painter, EbbPictureScript write, const void *context,
                           const char *picture) {
  char *temporary;
  if (asprintf(&temporary, "%s.%ld.tmp", picture, (long)getpid()) < 0)
    return ebb_fail(EBB_MEMORY, "no memory to draw '%s'", picture);
  const Drawing drawing = {.painter = painter, .write = write, .context = context, .picture = picture};
  EbbStatus status = draw_atomically(&drawing, temporary);
  free(temporary);
  return status;
}
