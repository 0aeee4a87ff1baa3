/* Any bytes are refused with a sentence or hold an array whose every number can be read. */
#include <stdint.h>
#include <stdlib.h>

#include "host/data/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  EbbNpy npy;
  bool found;
  const EbbStatus status = ebb_npz_read((const char *)bytes, length, "input", "trainx", &found, &npy);
  if (status != EBB_OK && status != EBB_FORMAT && status != EBB_UNSUPPORTED) abort();
  if (!found && npy.values) abort();
  volatile float sum = 0;
  for (int64_t i = 0; status == EBB_OK && i < npy.size; i++) sum = sum + npy.values[i];
  ebb_npy_release(&npy);
  return 0;
}
