/* Any bytes are refused with a sentence or are an array whose every number can be read. */
#include <stdint.h>
#include <stdlib.h>

#include "host/data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  EbbNpy npy;
  const EbbStatus status = ebb_npy_parse((const char *)bytes, length, "input", &npy);
  if (status != EBB_OK && status != EBB_FORMAT && status != EBB_UNSUPPORTED) abort();
  int64_t size = 1;
  for (int d = 0; d < npy.rank && status == EBB_OK; d++) size *= npy.dim[d];
  if (status == EBB_OK && (size != npy.size || (size_t)size > length)) abort();
  volatile float sum = 0;
  for (int64_t i = 0; i < npy.size && status == EBB_OK; i++) sum = sum + npy.values[i];
  ebb_npy_release(&npy);
  return 0;
}
