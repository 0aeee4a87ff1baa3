#include "ebb/data.h"

#include <stdlib.h>

void ebb_dataset_destroy(EbbDataset *dataset) {
  if (!dataset) return;
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbSamples *samples = &dataset->split[split];
    free(samples->offset);
    free(samples->tokens);
    free(samples->values);
    free(samples->labels);
    free(samples->targets);
    free(samples->elapsed);
  }
  if (dataset->token_text) {
    for (int64_t id = 0; id < dataset->vocabulary; id++) free(dataset->token_text[id]);
    free((void *)dataset->token_text);
  }
  free(dataset->class_weights);
  free(dataset);
}

/* One pass a class over the labels, so that no memory is needed. */
double ebb_dataset_majority(const EbbDataset *dataset, EbbSplit split, int32_t *label) {
  const EbbSamples *samples = &dataset->split[split];
  int64_t most = 0, n = samples->n_samples;
  if (dataset->per_step && n > 0) n = samples->offset[n];
  *label = 0;
  for (int32_t class_index = 0; class_index < dataset->n_classes; class_index++) {
    int64_t count = 0;
    for (int64_t s = 0; s < n; s++) count += samples->labels[s] == class_index;
    if (count > most) most = count, *label = class_index;
  }
  return n ? (double)most / (double)n : 0;
}
