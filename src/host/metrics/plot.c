#include "ebb/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plot_curves.h"
#include "plot_script.h"

enum { COMPLAINT_BYTES = 600 };

/* Files in memory: gnuplot reads its script from one and complains into another, so no pipe can block. */
typedef struct Streams {
  int script, picture, complaint;
} Streams;

static EbbStatus write_script(int fd, const EbbRunCurves *runs, int count, bool svg) {
  int copy = dup(fd);
  FILE *script = copy < 0 ? NULL : fdopen(copy, "w");
  if (!script) {
    if (copy >= 0) close(copy);
    return ebb_fail(EBB_IO, "cannot write gnuplot's script: %s", strerror(errno));
  }
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  locale_t before = plain ? uselocale(plain) : (locale_t)0;
  ebb_plot_script(script, runs, count, svg);
  if (plain) {
    uselocale(before);
    freelocale(plain);
  }
  bool failed = ferror(script) != 0;
  failed = fclose(script) != 0 || failed;
  if (failed || lseek(fd, 0, SEEK_SET) != 0)
    return ebb_fail(EBB_IO, "cannot write gnuplot's script: %s", strerror(errno));
  return EBB_OK;
}

static int spawn_gnuplot(const Streams *streams, pid_t *child) {
  char program[] = "gnuplot", settings[] = "--default-settings";
  char *arguments[] = {program, settings, NULL};
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  const int from[] = {streams->script, streams->picture, streams->complaint};
  for (int to = 0; to < 3 && !error; to++) error = posix_spawn_file_actions_adddup2(&actions, from[to], to);
  if (!error) error = posix_spawnp(child, program, &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* gnuplot's own words on one line. */
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

static EbbStatus run_gnuplot(const Streams *streams, const char *picture) {
  pid_t child;
  int error = spawn_gnuplot(streams, &child);
  if (error == ENOENT || error == EACCES)
    return ebb_fail(EBB_NOT_FOUND, "gnuplot is needed to draw '%s' and is not in PATH: install gnuplot-nox",
                    picture);
  if (error) return ebb_fail(EBB_DEVICE, "cannot start gnuplot: %s", strerror(error));
  int result = 0;
  while (waitpid(child, &result, 0) < 0)
    if (errno != EINTR) return ebb_fail(EBB_DEVICE, "cannot wait for gnuplot: %s", strerror(errno));
  struct stat info;
  if (WIFEXITED(result) && WEXITSTATUS(result) == 0 && fstat(streams->picture, &info) == 0 &&
      info.st_size > 0)
    return EBB_OK;
  char text[COMPLAINT_BYTES];
  read_complaint(streams->complaint, text);
  return ebb_fail(EBB_DEVICE, "gnuplot could not draw '%s': %s", picture, *text ? text : "it gave no reason");
}

static EbbStatus draw(int picture_fd, const char *picture, const EbbRunCurves *runs, int count, bool svg) {
  Streams streams = {.script = memfd_create("ebb-plot", MFD_CLOEXEC),
                     .picture = picture_fd,
                     .complaint = memfd_create("ebb-plot-errors", MFD_CLOEXEC)};
  EbbStatus status = EBB_OK;
  if (streams.script < 0 || streams.complaint < 0)
    status = ebb_fail(EBB_IO, "cannot create a file in memory: %s", strerror(errno));
  if (status == EBB_OK) status = write_script(streams.script, runs, count, svg);
  if (status == EBB_OK) status = run_gnuplot(&streams, picture);
  if (streams.script >= 0) close(streams.script);
  if (streams.complaint >= 0) close(streams.complaint);
  return status;
}

static EbbStatus draw_atomically(const char *temporary, const char *picture, const EbbRunCurves *runs,
                                 int count, bool svg) {
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return ebb_fail(EBB_IO, "cannot write '%s': %s", picture, strerror(errno));
  EbbStatus status = draw(fd, picture, runs, count, svg);
  bool synced = fsync(fd) == 0, closed = close(fd) == 0;
  if (status == EBB_OK && (!synced || !closed || rename(temporary, picture) != 0))
    status = ebb_fail(EBB_IO, "cannot write '%s': %s", picture, strerror(errno));
  if (status != EBB_OK) unlink(temporary);
  return status;
}

static EbbStatus plot(const char *const *folders, EbbRunCurves *runs, int count, const char *picture,
                      bool svg) {
  for (int i = 0; i < count; i++) EBB_TRY(ebb_curves_read(folders[i], &runs[i]));
  char *temporary;
  if (asprintf(&temporary, "%s.%ld.tmp", picture, (long)getpid()) < 0)
    return ebb_fail(EBB_MEMORY, "no memory to draw '%s'", picture);
  EbbStatus status = draw_atomically(temporary, picture, runs, count, svg);
  free(temporary);
  return status;
}

EbbStatus ebb_plot_runs(const char *const *run_folders, int count, const char *picture) {
  const char *ending = strrchr(picture, '.');
  bool svg = ending && strcmp(ending, ".svg") == 0;
  if (!svg && !(ending && strcmp(ending, ".png") == 0))
    return ebb_fail(EBB_INVALID, "cannot draw '%s': the name of a picture ends in .png or .svg", picture);
  if (count < 1) return ebb_fail(EBB_INVALID, "no run was given to draw into '%s'", picture);
  EbbRunCurves *runs = calloc((size_t)count, sizeof *runs);
  if (!runs) return ebb_fail(EBB_MEMORY, "no memory to draw %d runs", count);
  EbbStatus status = plot(run_folders, runs, count, picture, svg);
  for (int i = 0; i < count; i++) ebb_curves_free(&runs[i]);
  free(runs);
  return status;
}
