#include "host/data/compact.h"

#include <stdlib.h>

#include "host/data/raw.h"
#include "host/data/sample_arrays.h"

enum { TOKENS = 2 }; /* place among the sample arrays */

static void narrow(const int32_t *from, size_t n, EbbRawType type, void *to) {
  uint8_t *bytes = to;
  int16_t *words = to;
  if (type == EBB_RAW_U8)
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)from[i];
  else
    for (size_t i = 0; i < n; i++) words[i] = (int16_t)from[i];
}

/* Splits from `split` on that have its tokens get their raw form. */
static EbbStatus compact_from(EbbDataset *dataset, int split, EbbRawType type) {
  const EbbSamples *samples = &dataset->split[split];
  int32_t *tokens = samples->tokens;
  const size_t n = ebb_sample_array_bytes(dataset, samples, TOKENS) / sizeof *tokens;
  void *raw = malloc(n * ebb_raw_bytes(type) + 1);
  if (!raw) return ebb_fail(EBB_MEMORY, "no memory for %zu tokens", n);
  narrow(tokens, n, type, raw);
  for (int other = split; other < EBB_SPLITS; other++) {
    if (dataset->split[other].tokens != tokens) continue;
    dataset->split[other].tokens = NULL;
    dataset->split[other].raw = raw, dataset->split[other].raw_type = type;
  }
  free(tokens);
  return EBB_OK;
}

EbbStatus ebb_dataset_compact(EbbDataset *dataset) {
  if (dataset->mapping || dataset->vocabulary > INT16_MAX + 1) return EBB_OK;
  const EbbRawType type = dataset->vocabulary <= UINT8_MAX + 1 ? EBB_RAW_U8 : EBB_RAW_I16;
  for (int split = 0; split < EBB_SPLITS; split++)
    if (dataset->split[split].tokens) EBB_TRY(compact_from(dataset, split, type));
  return EBB_OK;
}
