/* Wirings in files: which kind a name means. */
#include <string.h>

#include "host/wiring/wiring_internal.h"

static bool is_tensors(const char *path) {
  const char *ending = strrchr(path, '.');
  return ending && strcmp(ending, ".safetensors") == 0;
}

static EbbStatus check(const EbbWiring *wiring, int inputs) {
  if (inputs && inputs != wiring->inputs)
    return ebb_fail(EBB_MISMATCH, "is wired to %d inputs, where %d are needed", wiring->inputs, inputs);
  return ebb_wiring_check(wiring);
}

EbbStatus ebb_wiring_read(const char *path, int inputs, EbbWiring **out) {
  EBB_TRY(is_tensors(path) ? wiring_read_tensors(path, out) : wiring_read_text(path, out));
  EbbStatus status = check(*out, inputs);
  if (status != EBB_OK) status = ebb_fail_within(status, "wiring '%s'", path);
  return wiring_finish(status, *out, out);
}

EbbStatus ebb_wiring_write(const EbbWiring *wiring, const char *path) {
  return is_tensors(path) ? wiring_write_tensors(wiring, path) : wiring_write_text(wiring, path);
}
