/* Any bytes are refused with a sentence or are whole records with labels from 0 to 9. */
#include <stdint.h>
#include <stdlib.h>

#include "host/data/images.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  enum { RECORD = 3073 };
  int64_t n;
  const EbbStatus status = ebb_cifar_check((const char *)bytes, length, "input", &n);
  if (status != EBB_OK && (status != EBB_FORMAT || !*ebb_error())) abort();
  if (status != EBB_OK) return 0;
  if (n < 1 || (size_t)n * RECORD != length) abort();
  for (int64_t i = 0; i < n; i++)
    if (bytes[i * RECORD] > 9) abort();
  return 0;
}
