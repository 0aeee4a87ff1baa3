#include "host/data/sample_arrays.h"

#include <stddef.h>
#include <string.h>

#include "host/data/raw.h"

/* ---- of a split ---- */

static int64_t stored(const EbbSamples *samples) {
  return samples->order ? samples->n_stored : samples->n_samples;
}

static int64_t elements(const EbbDataset *dataset, const EbbSamples *samples) {
  return samples->offset[stored(samples) * dataset->n_towers];
}

static int64_t targets(const EbbDataset *dataset, const EbbSamples *samples) {
  return dataset->per_step ? elements(dataset, samples) : stored(samples);
}

static int64_t order_count(const EbbDataset *dataset, const EbbSamples *samples) {
  (void)dataset;
  return samples->n_samples;
}

static int64_t offset_count(const EbbDataset *dataset, const EbbSamples *samples) {
  return stored(samples) * dataset->n_towers + 1;
}

static int64_t values_count(const EbbDataset *dataset, const EbbSamples *samples) {
  return elements(dataset, samples) * dataset->d_input;
}

static int64_t raw_bytes(const EbbDataset *dataset, const EbbSamples *samples) {
  const int64_t width = dataset->vocabulary > 0 ? 1 : dataset->d_input;
  return elements(dataset, samples) * width * (int64_t)ebb_raw_bytes(samples->raw_type);
}

static int64_t targets_count(const EbbDataset *dataset, const EbbSamples *samples) {
  return targets(dataset, samples) * dataset->d_output;
}

#define EBB_ARRAY(member, count)                                                                             \
  { offsetof(EbbSamples, member), count, sizeof *((EbbSamples *)0)->member }
static const struct {
  size_t at; /* of the pointer in EbbSamples */
  int64_t (*count)(const EbbDataset *dataset, const EbbSamples *samples);
  size_t item;
} sample_rows[EBB_SAMPLE_ARRAYS] = {EBB_ARRAY(order, order_count),
                                    EBB_ARRAY(offset, offset_count),
                                    EBB_ARRAY(tokens, elements),
                                    EBB_ARRAY(values, values_count),
                                    {offsetof(EbbSamples, raw), raw_bytes, 1},
                                    EBB_ARRAY(labels, targets),
                                    EBB_ARRAY(targets, targets_count),
                                    EBB_ARRAY(elapsed, elements)};
#undef EBB_ARRAY

static void *pointer_at(const void *from, size_t at) {
  void *array;
  memcpy(&array, (const char *)from + at, sizeof array);
  return array;
}

void *ebb_sample_array(const EbbSamples *samples, int index) {
  return pointer_at(samples, sample_rows[index].at);
}

void ebb_set_sample_array(EbbSamples *samples, int index, void *array) {
  memcpy((char *)samples + sample_rows[index].at, &array, sizeof array);
}

size_t ebb_sample_array_bytes(const EbbDataset *dataset, const EbbSamples *samples, int index) {
  return (size_t)sample_rows[index].count(dataset, samples) * sample_rows[index].item;
}

bool ebb_array_is_earlier(const EbbDataset *dataset, int split, const void *array) {
  for (int earlier = 0; earlier < split; earlier++)
    for (int i = 0; i < EBB_SAMPLE_ARRAYS; i++)
      if (ebb_sample_array(&dataset->split[earlier], i) == array) return true;
  return false;
}

/* ---- of the data set ---- */

static int64_t classes_count(const EbbDataset *dataset) { return dataset->n_classes; }

static int64_t scale_count(const EbbDataset *dataset) {
  return (dataset->scale_per_position ? dataset->longest : 1) * dataset->d_input;
}

static int64_t permutation_count(const EbbDataset *dataset) { return dataset->longest; }

static const struct {
  size_t at; /* of the pointer in EbbDataset */
  int64_t (*count)(const EbbDataset *dataset);
} dataset_rows[EBB_DATASET_ARRAYS] = {{offsetof(EbbDataset, class_weights), classes_count},
                                      {offsetof(EbbDataset, scale), scale_count},
                                      {offsetof(EbbDataset, offset), scale_count},
                                      {offsetof(EbbDataset, permutation), permutation_count}};

void *ebb_dataset_array(const EbbDataset *dataset, int index) {
  return pointer_at(dataset, dataset_rows[index].at);
}

void ebb_set_dataset_array(EbbDataset *dataset, int index, void *array) {
  memcpy((char *)dataset + dataset_rows[index].at, &array, sizeof array);
}

/* Floats and 32-bit integers all. */
size_t ebb_dataset_array_bytes(const EbbDataset *dataset, int index) {
  return (size_t)dataset_rows[index].count(dataset) * 4;
}
