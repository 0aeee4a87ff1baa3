/* Any text is refused with a sentence or is cases that fit each other. The first byte chooses the format. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host/data/cases.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(const EbbCases *cases) {
  const EbbDataset *dataset = cases->store.dataset;
  const EbbSamples *s = &cases->store.samples;
  for (int64_t i = 0; i < s->n_samples; i++) {
    if (s->offset[i + 1] <= s->offset[i]) abort();
    if (dataset->n_classes > 0 ? s->labels[i] < 0 || s->labels[i] >= dataset->n_classes
                               : !isfinite(s->targets[i]))
      abort();
  }
  for (int64_t i = 0; i < s->offset[s->n_samples] * dataset->d_input; i++)
    if (!isfinite(s->values[i])) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static EbbStatus (*const readers[])(char *text, size_t n, const char *origin,
                                      EbbCases *cases) = {ebb_ts_read, ebb_arff_read, ebb_ucr_read};
  if (length == 0) return 0;
  char *text = malloc(length);
  EbbCases cases;
  if (!text || ebb_cases_create("fuzz", EBB_MISSING_ZERO, &cases) != EBB_OK) abort();
  memcpy(text, bytes + 1, length - 1);
  text[length - 1] = 0;
  EbbStatus status = readers[bytes[0] % 3](text, length - 1, "input", &cases);
  if (status == EBB_OK) status = ebb_cases_finish(&cases);
  if (status == EBB_OK) check(&cases);
  if (status != EBB_OK && status != EBB_FORMAT && status != EBB_UNSUPPORTED) abort();
  ebb_cases_release(&cases);
  free(text);
  return 0;
}
