#include "host/data/dataset_facts.h"

#include <math.h>
#include <stdlib.h>

#include "host/data/raw.h"

enum { BATCH = 64 };

/* Welford's running mean; deviation holds the sum of squares until it is settled. */
static void take(EbbRange *range, double value) {
  if (!isfinite(value)) {
    range->n_strange++;
    return;
  }
  if (range->n++ == 0) range->least = range->most = value;
  range->least = fmin(range->least, value);
  range->most = fmax(range->most, value);
  const double distance = value - range->mean;
  range->mean += distance / (double)range->n;
  range->deviation += distance * (value - range->mean);
}

static void settle(EbbRange *range) {
  if (range->n > 0) range->deviation = sqrt(range->deviation / (double)range->n);
}

static void take_label(const EbbDataset *dataset, EbbSplitFacts *facts, int32_t label) {
  if (label >= 0 && label < dataset->n_classes) facts->count[label]++;
  facts->n_labels++;
}

static void take_sequence(const EbbDataset *dataset, const EbbBatch *batch, int64_t row,
                          EbbSplitFacts *facts) {
  const int64_t begin = row * batch->length, length = batch->lengths[row], width = dataset->d_input;
  facts->n_steps += length;
  for (int64_t i = 0; batch->values && i < length * width; i++)
    take(&facts->values, (double)batch->values[begin * width + i]);
  for (int64_t i = 0; batch->tokens && i < length; i++) take(&facts->tokens, batch->tokens[begin + i]);
}

static void take_targets(const EbbDataset *dataset, const EbbBatch *batch, int64_t row,
                         EbbSplitFacts *facts) {
  const int64_t begin = dataset->per_step ? row * batch->length : row;
  const int64_t n = dataset->per_step ? batch->lengths[row] : 1, width = dataset->d_output;
  for (int64_t i = 0; batch->labels && i < n; i++) take_label(dataset, facts, batch->labels[begin + i]);
  for (int64_t i = 0; batch->targets && i < n * width; i++)
    take(&facts->targets, (double)batch->targets[begin * width + i]);
}

static int compare_lengths(const void *a, const void *b) {
  const int64_t p = *(const int64_t *)a, q = *(const int64_t *)b;
  return (p > q) - (p < q);
}

static EbbStatus read_batches(const EbbDataset *dataset, EbbLoader *loader, int64_t *lengths,
                              EbbSplitFacts *facts) {
  int64_t n = 0;
  for (int64_t b = 0; b < ebb_loader_batches(loader); b++) {
    const EbbBatch *batch;
    EBB_TRY(ebb_loader_batch(loader, 0, b, &batch));
    for (int64_t s = 0; s < batch->n_valid; s++) {
      for (int64_t t = 0; t < dataset->n_towers; t++) {
        take_sequence(dataset, batch, t * batch->rows + s, facts);
        lengths[n++] = batch->lengths[t * batch->rows + s];
      }
      take_targets(dataset, batch, s, facts);
    }
  }
  qsort(lengths, (size_t)n, sizeof *lengths, compare_lengths);
  for (int q = 0; q < FACTS_QUANTILES; q++) facts->length[q] = lengths[(n - 1) * q / (FACTS_QUANTILES - 1)];
  return EBB_OK;
}

EbbStatus ebb_split_facts(const EbbDataset *dataset, EbbSplit split, EbbSplitFacts *facts) {
  const EbbSamples *samples = &dataset->split[split];
  *facts = (EbbSplitFacts){.n_samples = samples->n_samples};
  if (dataset->n_classes > 0) {
    facts->count = calloc((size_t)dataset->n_classes, sizeof *facts->count);
    if (!facts->count) return ebb_fail(EBB_MEMORY, "no memory to count the labels");
  }
  if (samples->n_samples == 0) return EBB_OK;
  const EbbLoaderConfig config = {.batch_size = samples->n_samples < BATCH ? samples->n_samples : BATCH,
                                  .bucket_quantum = 1};
  EbbLoader *loader;
  EBB_TRY(ebb_loader_create(dataset, split, &config, &loader));
  int64_t *lengths = malloc((size_t)(samples->n_samples * dataset->n_towers) * sizeof *lengths);
  EbbStatus status = lengths ? read_batches(dataset, loader, lengths, facts)
                             : ebb_fail(EBB_MEMORY, "no memory for the lengths of the sequences");
  free(lengths);
  ebb_loader_destroy(loader);
  settle(&facts->values);
  settle(&facts->targets);
  settle(&facts->tokens);
  return status;
}

static bool is_known(const EbbDataset *dataset, int split, const void *array) {
  for (int earlier = 0; earlier < split; earlier++) {
    const EbbSamples *s = &dataset->split[earlier];
    const void *const all[] = {s->offset, s->tokens, s->values, s->raw, s->labels, s->targets, s->elapsed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      if (all[i] == array) return true;
  }
  return false;
}

int64_t ebb_dataset_bytes(const EbbDataset *dataset) {
  size_t bytes = 0;
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples *s = &dataset->split[split];
    if (!s->offset) continue;
    const size_t stored = (size_t)(s->order ? s->n_stored : s->n_samples), towers = (size_t)dataset->n_towers;
    const size_t steps = (size_t)s->offset[stored * towers], targets = dataset->per_step ? steps : stored;
    const size_t width = (size_t)dataset->d_input, raw = ebb_raw_bytes(s->raw_type);
    const struct {
      const void *array;
      size_t bytes;
    } rows[] = {{s->offset, (stored * towers + 1) * sizeof *s->offset},
                {s->tokens, steps * sizeof *s->tokens},
                {s->values, steps * width * sizeof *s->values},
                {s->raw, steps * (dataset->vocabulary ? 1 : width) * raw},
                {s->labels, targets * sizeof *s->labels},
                {s->targets, targets * (size_t)dataset->d_output * sizeof *s->targets},
                {s->elapsed, steps * sizeof *s->elapsed}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      if (rows[i].array && !is_known(dataset, split, rows[i].array)) bytes += rows[i].bytes;
    if (s->order) bytes += (size_t)s->n_samples * sizeof *s->order;
  }
  return (int64_t)bytes;
}
