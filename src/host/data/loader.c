#include "ebb/data.h"

#include <stdlib.h>
#include <string.h>

#include "ebb/rng.h"

/* Random streams of the order, apart from the nodes of a graph. */
enum { SAMPLE_NODE = 0xDA7A, BATCH_NODE = 0xDA7B };

/* No machine has so much for one buffer. */
static const size_t MOST_BYTES = (size_t)1 << 38;

typedef struct Chunk {
  int64_t first, n; /* samples order[first] .. order[first + n - 1] */
} Chunk;

struct EbbLoader {
  const EbbDataset *dataset;
  const EbbSamples *samples;
  EbbLoaderConfig config;
  int64_t n_batches, n_used; /* samples that one epoch shows */
  int64_t longest;
  int64_t epoch;        /* of order and chunks; -1: none yet */
  int64_t *order;       /* (n_samples) */
  int64_t *sorted;      /* scratch of one window; NULL without sorting */
  int64_t *length_rank; /* (longest sequence + 2) */
  Chunk *chunks;        /* (n_batches) */
  EbbBatch batch;
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Length of one sequence as the batch shows it, of a sample (its longest tower), and of a batch. */
static int64_t sequence_length(const EbbLoader *loader, int64_t q) {
  int64_t length = loader->samples->offset[q + 1] - loader->samples->offset[q];
  return loader->config.l_max > 0 ? least(length, loader->config.l_max) : length;
}

static int64_t sample_length(const EbbLoader *loader, int64_t s) {
  int64_t towers = loader->dataset->n_towers, length = sequence_length(loader, towers * s);
  for (int64_t t = 1; t < towers; t++) {
    int64_t other = sequence_length(loader, towers * s + t);
    if (other > length) length = other;
  }
  return length;
}

static int64_t padded_length(const EbbLoaderConfig *config, int64_t length) {
  if (config->pad_to_l_max) return config->l_max;
  int64_t quantum = config->bucket_quantum, rounded = (length + quantum - 1) / quantum * quantum;
  if (rounded < 1) rounded = quantum;
  return config->l_max > 0 ? least(rounded, config->l_max) : rounded;
}

/* Fisher-Yates with one draw a place, a pure function of (seed, epoch). */
static void shuffle_order(EbbLoader *loader, int64_t epoch) {
  for (int64_t i = loader->samples->n_samples - 1; i > 0; i--) {
    uint32_t word = ebb_random(loader->config.seed, (uint64_t)epoch, SAMPLE_NODE, (uint64_t)i);
    int64_t j = ebb_below(word, (uint32_t)i + 1), swap = loader->order[i];
    loader->order[i] = loader->order[j];
    loader->order[j] = swap;
  }
}

/* Stable counting sort by length: it needs no memory of its own, unlike qsort. */
static void sort_window(EbbLoader *loader, int64_t *order, int64_t n) {
  int64_t *rank = loader->length_rank, longest = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t length = sample_length(loader, order[i]);
    if (length > longest) longest = length;
  }
  memset(rank, 0, (size_t)(longest + 2) * sizeof *rank);
  for (int64_t i = 0; i < n; i++) rank[sample_length(loader, order[i]) + 1]++;
  for (int64_t length = 0; length < longest; length++) rank[length + 1] += rank[length];
  for (int64_t i = 0; i < n; i++) loader->sorted[rank[sample_length(loader, order[i])]++] = order[i];
  memcpy(order, loader->sorted, (size_t)n * sizeof *order);
}

static void shuffle_chunks(EbbLoader *loader, int64_t epoch, int64_t first, int64_t n) {
  for (int64_t i = n - 1; i > 0; i--) {
    uint32_t word = ebb_random(loader->config.seed, (uint64_t)epoch, BATCH_NODE, (uint64_t)(first + i));
    int64_t j = ebb_below(word, (uint32_t)i + 1);
    Chunk swap = loader->chunks[first + i];
    loader->chunks[first + i] = loader->chunks[first + j];
    loader->chunks[first + j] = swap;
  }
}

/* With drop_last the remainder is dropped before sorting: else always the longest would go. */
static void arrange_epoch(EbbLoader *loader, int64_t epoch) {
  const EbbLoaderConfig *config = &loader->config;
  for (int64_t s = 0; s < loader->samples->n_samples; s++) loader->order[s] = s;
  if (config->shuffle) shuffle_order(loader, epoch);
  for (int64_t b = 0; b < loader->n_batches; b++) {
    int64_t first = b * config->batch_size;
    loader->chunks[b] = (Chunk){first, least(config->batch_size, loader->n_used - first)};
  }
  for (int64_t b = 0; config->sort_window > 0 && b < loader->n_batches; b += config->sort_window) {
    int64_t n = least(config->sort_window, loader->n_batches - b);
    int64_t first = loader->chunks[b].first,
            end = loader->chunks[b + n - 1].first + loader->chunks[b + n - 1].n;
    sort_window(loader, loader->order + first, end - first);
    if (config->shuffle) shuffle_chunks(loader, epoch, b, n);
  }
  loader->epoch = epoch;
}

/* Sequence q of the data becomes row `row` of the batch. */
static void copy_sequence(EbbLoader *loader, int64_t q, int64_t row) {
  const EbbSamples *samples = loader->samples;
  EbbBatch *batch = &loader->batch;
  size_t length = (size_t)sequence_length(loader, q), total = (size_t)batch->length;
  size_t begin = (size_t)samples->offset[q];
  batch->lengths[row] = (int32_t)length;
  if (batch->tokens) {
    int32_t *to = batch->tokens + (size_t)row * total;
    if (length > 0) memcpy(to, samples->tokens + begin, length * sizeof *to);
    memset(to + length, 0, (total - length) * sizeof *to);
  }
  if (batch->values) {
    size_t width = (size_t)loader->dataset->d_input;
    float *to = batch->values + (size_t)row * total * width;
    if (length > 0) memcpy(to, samples->values + begin * width, length * width * sizeof *to);
    memset(to + length * width, 0, (total - length) * width * sizeof *to);
  }
  if (batch->elapsed) {
    float *to = batch->elapsed + (size_t)row * total;
    if (length > 0) memcpy(to, samples->elapsed + begin, length * sizeof *to);
    for (size_t i = length; i < total; i++) to[i] = 1;
  }
}

/* The targets of sample s become those of row `row`; a filler row weighs nothing. */
static void copy_target(EbbLoader *loader, int64_t s, int64_t row, bool filler) {
  EbbBatch *batch = &loader->batch;
  batch->weights[row] = filler ? 0.0F : 1.0F;
  if (batch->labels) batch->labels[row] = loader->samples->labels[s];
  if (batch->targets) {
    size_t width = (size_t)loader->dataset->d_output;
    memcpy(batch->targets + (size_t)row * width, loader->samples->targets + (size_t)s * width,
           width * sizeof *batch->targets);
  }
}

/* The same where every step has a target. */
static void copy_step_targets(EbbLoader *loader, int64_t s, int64_t row, bool filler) {
  const EbbSamples *samples = loader->samples;
  EbbBatch *batch = &loader->batch;
  size_t length = (size_t)sequence_length(loader, s), total = (size_t)batch->length;
  size_t begin = (size_t)samples->offset[s], first = (size_t)row * total;
  for (size_t i = 0; i < total; i++) batch->weights[first + i] = !filler && i < length ? 1.0F : 0.0F;
  if (batch->labels) {
    if (length > 0) memcpy(batch->labels + first, samples->labels + begin, length * sizeof *batch->labels);
    memset(batch->labels + first + length, 0, (total - length) * sizeof *batch->labels);
  }
  if (batch->targets) {
    size_t width = (size_t)loader->dataset->d_output;
    float *to = batch->targets + first * width;
    if (length > 0) memcpy(to, samples->targets + begin * width, length * width * sizeof *to);
    memset(to + length * width, 0, (total - length) * width * sizeof *to);
  }
}

static void fill_batch(EbbLoader *loader, const Chunk *chunk) {
  EbbBatch *batch = &loader->batch;
  const EbbDataset *dataset = loader->dataset;
  int64_t longest = 0;
  for (int64_t i = 0; i < chunk->n; i++) {
    int64_t length = sample_length(loader, loader->order[chunk->first + i]);
    if (length > longest) longest = length;
  }
  batch->length = padded_length(&loader->config, longest);
  batch->n_valid = chunk->n;
  for (int64_t row = 0; row < batch->rows; row++) {
    int64_t s = loader->order[chunk->first + (row < chunk->n ? row : 0)];
    for (int64_t tower = 0; tower < dataset->n_towers; tower++) {
      copy_sequence(loader, dataset->n_towers * s + tower, tower * batch->rows + row);
    }
    (dataset->per_step ? copy_step_targets : copy_target)(loader, s, row, row >= chunk->n);
  }
}

static EbbStatus check_config(const EbbLoaderConfig *config, int64_t n_samples) {
  long long batch = config->batch_size;
  if (n_samples < 1) return ebb_fail(EBB_INVALID, "the split has no samples");
  if (n_samples > UINT32_MAX) {
    return ebb_fail(EBB_INVALID, "the split has %lld samples; at most %lld are supported",
                    (long long)n_samples, (long long)UINT32_MAX);
  }
  const struct {
    const char *name;
    int64_t value, least;
  } rows[] = {{"batch size", batch, 1},
              {"bucket quantum", config->bucket_quantum, 1},
              {"sort window", config->sort_window, 0},
              {"l_max", config->l_max, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (rows[i].value < rows[i].least || rows[i].value > INT32_MAX) {
      return ebb_fail(EBB_INVALID, "the %s is %lld, but must be in %lld..%d", rows[i].name,
                      (long long)rows[i].value, (long long)rows[i].least, INT32_MAX);
    }
  }
  if (config->pad_to_l_max && config->l_max == 0) {
    return ebb_fail(EBB_INVALID, "padding every batch to l_max needs an l_max above 0");
  }
  if (config->drop_last && batch > n_samples) {
    return ebb_fail(
        EBB_INVALID,
        "the batch size %lld is above the split's %lld samples, so dropping the last incomplete batch "
        "leaves none; choose a batch size of at most %lld",
        batch, (long long)n_samples, (long long)n_samples);
  }
  return EBB_OK;
}

/* a * b * c zeroed elements; NULL when that is too much. */
static void *allocate(int64_t a, int64_t b, int64_t c, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow((size_t)a, (size_t)b, &bytes) ||
      __builtin_mul_overflow(bytes, (size_t)c, &bytes) || __builtin_mul_overflow(bytes, size, &bytes) ||
      bytes > MOST_BYTES) {
    return NULL;
  }
  return calloc(1, bytes ? bytes : 1);
}

static EbbStatus allocate_buffers(EbbLoader *loader, int64_t longest_sample) {
  const EbbDataset *dataset = loader->dataset;
  const EbbSamples *samples = loader->samples;
  EbbBatch *batch = &loader->batch;
  int64_t rows = loader->config.batch_size, sequences = rows * dataset->n_towers, longest = loader->longest;
  batch->rows = rows;
  bool whole = (loader->order = allocate(samples->n_samples, 1, 1, sizeof *loader->order)) != NULL;
  whole &= (loader->chunks = allocate(loader->n_batches, 1, 1, sizeof *loader->chunks)) != NULL;
  whole &= (batch->lengths = allocate(sequences, 1, 1, sizeof *batch->lengths)) != NULL;
  int64_t targets = dataset->per_step ? longest : 1; /* a row */
  whole &= (batch->weights = allocate(rows, targets, 1, sizeof *batch->weights)) != NULL;
  if (loader->config.sort_window > 0) {
    whole &= (loader->sorted = allocate(loader->n_used, 1, 1, sizeof *loader->sorted)) != NULL;
    whole &= (loader->length_rank = allocate(longest_sample + 2, 1, 1, sizeof *loader->length_rank)) != NULL;
  }
  if (samples->tokens) {
    whole &= (batch->tokens = allocate(sequences, longest, 1, sizeof *batch->tokens)) != NULL;
  }
  if (samples->values) {
    whole &= (batch->values = allocate(sequences, longest, dataset->d_input, sizeof *batch->values)) != NULL;
  }
  if (samples->elapsed) {
    whole &= (batch->elapsed = allocate(sequences, longest, 1, sizeof *batch->elapsed)) != NULL;
  }
  if (samples->labels) whole &= (batch->labels = allocate(rows, targets, 1, sizeof *batch->labels)) != NULL;
  if (samples->targets) {
    whole &= (batch->targets = allocate(rows, targets, dataset->d_output, sizeof *batch->targets)) != NULL;
  }
  if (whole) return EBB_OK;
  return ebb_fail(EBB_MEMORY, "no memory for batches of %lld samples and %lld steps", (long long)rows,
                  (long long)longest);
}

EbbStatus ebb_loader_create(const EbbDataset *dataset, EbbSplit split, const EbbLoaderConfig *config,
                            EbbLoader **out) {
  *out = NULL;
  const EbbSamples *samples = &dataset->split[split];
  int64_t n = samples->n_samples;
  static const char *const names[EBB_SPLITS] = {"training", "validation", "test"};
  EbbStatus status = check_config(config, n);
  if (status != EBB_OK) return ebb_fail_within(status, "%s split of '%s'", names[split], dataset->name);
  EbbLoader *loader = calloc(1, sizeof *loader);
  if (!loader) return ebb_fail(EBB_MEMORY, "no memory for a loader of '%s'", dataset->name);
  loader->dataset = dataset;
  loader->samples = samples;
  loader->config = *config;
  loader->epoch = -1;
  loader->n_batches = n / config->batch_size + (!config->drop_last && n % config->batch_size != 0);
  loader->n_used = config->drop_last ? loader->n_batches * config->batch_size : n;
  int64_t longest_sample = 0;
  for (int64_t s = 0; s < n; s++) {
    int64_t length = sample_length(loader, s);
    if (length > longest_sample) longest_sample = length;
  }
  loader->longest = padded_length(config, longest_sample);
  status = longest_sample <= INT32_MAX
               ? allocate_buffers(loader, longest_sample)
               : ebb_fail(EBB_INVALID, "'%s' has a sequence of %lld steps; at most %d are supported",
                          dataset->name, (long long)longest_sample, INT32_MAX);
  if (status != EBB_OK) {
    ebb_loader_destroy(loader);
    return status;
  }
  *out = loader;
  return EBB_OK;
}

void ebb_loader_destroy(EbbLoader *loader) {
  if (!loader) return;
  free(loader->order);
  free(loader->sorted);
  free(loader->length_rank);
  free(loader->chunks);
  free(loader->batch.tokens);
  free(loader->batch.values);
  free(loader->batch.lengths);
  free(loader->batch.elapsed);
  free(loader->batch.labels);
  free(loader->batch.targets);
  free(loader->batch.weights);
  free(loader);
}

int64_t ebb_loader_batches(const EbbLoader *loader) { return loader->n_batches; }

int64_t ebb_loader_longest(const EbbLoader *loader) { return loader->longest; }

EbbStatus ebb_loader_batch(EbbLoader *loader, int64_t epoch, int64_t index, const EbbBatch **out) {
  *out = NULL;
  if (epoch < 0 || index < 0 || index >= loader->n_batches) {
    return ebb_fail(EBB_INVALID, "batch %lld of epoch %lld does not exist: an epoch has batches 0 to %lld",
                    (long long)index, (long long)epoch, (long long)loader->n_batches - 1);
  }
  if (loader->epoch != epoch) arrange_epoch(loader, epoch);
  fill_batch(loader, &loader->chunks[index]);
  *out = &loader->batch;
  return EBB_OK;
}
