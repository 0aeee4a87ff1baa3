/* The ListOps reader on arbitrary bytes: as the training split, and as the other two behind a good one. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "host/data/listops_load.h"

static const char good[] = "Source\tTarget\r\n( ( ( [MAX 2 ) 9 ) ] )\t9\r\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const EbbDataset *dataset, const EbbListopsOptions *options) {
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples *samples = &dataset->split[split];
    assert(samples->n_samples > 0);
    for (int64_t s = 0; s < samples->n_samples; s++) {
      int64_t length = samples->offset[s + 1] - samples->offset[s];
      assert(length > 0 && length <= dataset->longest && length <= options->l_max);
      assert(samples->labels[s] >= 0 && samples->labels[s] < dataset->n_classes);
    }
    for (int64_t i = 0; i < samples->offset[samples->n_samples]; i++) {
      assert(samples->tokens[i] > 0 && samples->tokens[i] < dataset->vocabulary);
    }
  }
}

static void try_reading(const uint8_t *data, size_t size, int train) {
  static const char *const origin[EBB_SPLITS] = {"train", "validation", "test"};
  const EbbListopsOptions options = {.l_max = 64, .append_eos = true, .append_bos = !train, .max_samples = 3};
  FILE *file[EBB_SPLITS];
  for (int split = 0; split < EBB_SPLITS; split++) {
    int is_good = train != (split == EBB_TRAIN);
    const void *text = is_good ? (const void *)good : data;
    file[split] = fmemopen((void *)text, is_good ? sizeof good - 1 : size, "r");
    assert(file[split]);
  }
  EbbDataset *dataset;
  if (ebb_listops_read(&options, file, origin, &dataset) == EBB_OK) {
    check(dataset, &options);
    ebb_dataset_destroy(dataset);
  }
  for (int split = 0; split < EBB_SPLITS; split++) fclose(file[split]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  try_reading(data, size, 1);
  try_reading(data, size, 0);
  return 0;
}
