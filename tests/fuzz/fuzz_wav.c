/* Any bytes are refused with a sentence or are a recording whose every number can be read. */
#include <stdint.h>
#include <stdlib.h>

#include "host/data/wav.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  EbbWav wav;
  const EbbStatus status = ebb_wav_parse((const char *)bytes, length, "input", &wav);
  if (status != EBB_OK && status != EBB_FORMAT && status != EBB_UNSUPPORTED) abort();
  if (status == EBB_OK && (wav.n_frames < 1 || (size_t)wav.n_frames > length || wav.rate < 1)) abort();
  volatile int sum = 0;
  for (int64_t i = 0; status == EBB_OK && i < wav.n_frames * wav.n_channels; i++) sum = sum ^ wav.numbers[i];
  ebb_wav_release(&wav);
  return 0;
}
