#include "ebb/data.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_ARRAYS = 8 };

/* The arrays of a split; returns how many. */
static int list_arrays(const EbbSamples *samples, void *arrays[MOST_ARRAYS]) {
  void *const all[MOST_ARRAYS] = {samples->order, samples->offset, samples->tokens,  samples->values,
                                  samples->raw,   samples->labels, samples->targets, samples->elapsed};
  memcpy(arrays, all, sizeof all);
  return MOST_ARRAYS;
}

/* Views share arrays: those of splits before this one are gone already. */
static bool is_shared_with_earlier(const EbbDataset *dataset, int split, const void *array) {
  void *arrays[MOST_ARRAYS];
  for (int earlier = 0; earlier < split; earlier++) {
    const int n = list_arrays(&dataset->split[earlier], arrays);
    for (int i = 0; i < n; i++)
      if (arrays[i] == array) return true;
  }
  return false;
}

void ebb_dataset_destroy(EbbDataset *dataset) {
  if (!dataset) return;
  for (int split = EBB_SPLITS - 1; split >= 0; split--) {
    void *arrays[MOST_ARRAYS];
    const int n = list_arrays(&dataset->split[split], arrays);
    for (int i = 0; i < n; i++)
      if (arrays[i] && !is_shared_with_earlier(dataset, split, arrays[i])) free(arrays[i]);
  }
  free(dataset->scale);
  free(dataset->offset);
  free(dataset->permutation);
  if (dataset->token_text) {
    for (int64_t id = 0; id < dataset->vocabulary; id++) free(dataset->token_text[id]);
    free((void *)dataset->token_text);
  }
  free(dataset->class_weights);
  free(dataset);
}

static int64_t count_label(const EbbDataset *dataset, const EbbSamples *samples, int32_t label) {
  int64_t count = 0;
  for (int64_t i = 0; i < samples->n_samples; i++) {
    const int64_t s = ebb_stored_sample(samples, i);
    const int64_t begin = dataset->per_step ? samples->offset[s] : s;
    const int64_t end = dataset->per_step ? samples->offset[s + 1] : s + 1;
    for (int64_t at = begin; at < end; at++) count += samples->labels[at] == label;
  }
  return count;
}

static int64_t count_targets(const EbbDataset *dataset, const EbbSamples *samples) {
  int64_t count = 0;
  if (!dataset->per_step) return samples->n_samples;
  for (int64_t i = 0; i < samples->n_samples; i++) {
    const int64_t s = ebb_stored_sample(samples, i);
    count += samples->offset[s + 1] - samples->offset[s];
  }
  return count;
}

/* One pass a class over the labels, so that no memory is needed. */
double ebb_dataset_majority(const EbbDataset *dataset, EbbSplit split, int32_t *label) {
  const EbbSamples *samples = &dataset->split[split];
  const int64_t n = count_targets(dataset, samples);
  int64_t most = 0;
  *label = 0;
  for (int32_t class_index = 0; class_index < dataset->n_classes; class_index++) {
    const int64_t count = count_label(dataset, samples, class_index);
    if (count > most) most = count, *label = class_index;
  }
  return n ? (double)most / (double)n : 0;
}
