#include "run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebb/file.h"
#include "ebb/safetensors.h"
#include "host/files/checkpoint_internal.h"

EbbStatus run_path(const char *folder, const char *file, char path[CLI_PATH_BYTES]) {
  size_t length = strlen(folder);
  const char *slash = length && folder[length - 1] == '/' ? "" : "/";
  int used = snprintf(path, CLI_PATH_BYTES, "%s%s%s", folder, slash, file);
  return used < CLI_PATH_BYTES ? EBB_OK
                               : ebb_fail(EBB_INVALID, "the name of folder '%.60s...' is too long", folder);
}

EbbStatus run_folder_name(const char *given, char path[CLI_PATH_BYTES]) {
  size_t length = strlen(given);
  while (length > 1 && given[length - 1] == '/') length--;
  if (!length || length >= CLI_PATH_BYTES)
    return ebb_fail(EBB_INVALID, "the name of the run folder, '%.60s', is empty or too long", given);
  memcpy(path, given, length);
  path[length] = 0;
  return EBB_OK;
}

bool is_folder(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

EbbStatus run_checkpoint(const char *run_or_file, char path[CLI_PATH_BYTES]) {
  if (!is_folder(run_or_file)) {
    if (ebb_file_exists(run_or_file)) return run_folder_name(run_or_file, path);
    return ebb_fail(EBB_NOT_FOUND, "'%s' does not exist; give a run folder or a checkpoint", run_or_file);
  }
  EBB_TRY(run_path(run_or_file, "best.safetensors", path));
  if (ebb_file_exists(path)) return EBB_OK;
  EBB_TRY(run_path(run_or_file, "last.safetensors", path));
  if (ebb_file_exists(path)) return EBB_OK;
  return ebb_fail(EBB_NOT_FOUND, "folder '%s' has neither best.safetensors nor last.safetensors",
                  run_or_file);
}

EbbStatus run_folder_new(const char *name, char path[CLI_PATH_BYTES]) {
  char flat[256];
  snprintf(flat, sizeof flat, "%s", name);
  for (char *c = flat; *c; c++)
    if (*c == '/') *c = '-';
  EBB_TRY(ebb_folder_create("runs"));
  for (int n = 1;; n++) {
    snprintf(path, CLI_PATH_BYTES, "runs/%s-%d", flat, n);
    if (mkdir(path, 0777) == 0) return EBB_OK;
    if (errno != EEXIST) return ebb_fail(EBB_IO, "cannot make folder '%s': %s", path, strerror(errno));
  }
}

/* A lock that the system drops when the process ends, however it ends. File systems without locks pass. */
EbbStatus run_folder_claim(const char *path, int *claim) {
  EBB_TRY(ebb_folder_create(path));
  *claim = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*claim < 0) return ebb_fail(EBB_IO, "cannot open folder '%s': %s", path, strerror(errno));
  bool taken = flock(*claim, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  return taken ? ebb_fail(EBB_STATE, "another process is training in '%s'", path) : EBB_OK;
}

void run_folder_release(int claim) {
  if (claim >= 0) close(claim);
}

EbbStatus run_state(const char *checkpoint, EbbTrainState *state) {
  EbbSafetensors *file = NULL;
  EBB_TRY(ebb_safetensors_open(checkpoint, &file));
  EbbStatus status = ebb_checkpoint_read_state(file, checkpoint, state);
  ebb_safetensors_close(file);
  return status;
}
