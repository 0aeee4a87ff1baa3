#include "ebb/data.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "host/data/sample_arrays.h"

/* Arrays in a mapped file go with it. */
static void free_array(const EbbDataset *dataset, void *array) {
  const char *mapped = dataset->mapping, *at = array;
  if (!mapped || at < mapped || at >= mapped + dataset->mapping_bytes) free(array);
}

static void free_arrays(const EbbDataset *dataset) {
  for (int split = EBB_SPLITS - 1; split >= 0; split--)
    for (int i = 0; i < EBB_SAMPLE_ARRAYS; i++) {
      void *array = ebb_sample_array(&dataset->split[split], i);
      if (array && !ebb_array_is_earlier(dataset, split, array)) free_array(dataset, array);
    }
  for (int i = 0; i < EBB_DATASET_ARRAYS; i++) free_array(dataset, ebb_dataset_array(dataset, i));
}

void ebb_dataset_destroy(EbbDataset *dataset) {
  if (!dataset) return;
  free_arrays(dataset);
  if (dataset->mapping) munmap(dataset->mapping, dataset->mapping_bytes);
  if (dataset->token_text) {
    for (int64_t id = 0; id < dataset->vocabulary; id++) free(dataset->token_text[id]);
    free((void *)dataset->token_text);
  }
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
