#include "host/data/batch.h"

#include <stdlib.h>
#include <string.h>

#include "host/data/raw.h"

/* No machine has so much for one buffer. */
static const size_t MOST_BYTES = (size_t)1 << 38;

/* ---- which steps ---- */

/* The shown steps of one sequence: step t is element first + place_of(t). */
typedef struct Steps {
  size_t first, n;    /* n shown steps */
  size_t total;       /* steps of the batch, the rest being padding */
  size_t stride;      /* between shown steps */
  const int32_t *map; /* the data set's permutation, or NULL */
} Steps;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t stride_of(const EbbShown *shown) {
  return shown->config.stride > 1 ? shown->config.stride : 1;
}

static int64_t strided(const EbbShown *shown, int64_t length) {
  const int64_t stride = stride_of(shown);
  return length / stride + (length % stride != 0);
}

/* q counts stored sequences. */
static int64_t sequence_length(const EbbShown *shown, int64_t q) {
  const int64_t length = shown->samples->offset[q + 1] - shown->samples->offset[q];
  return strided(shown, shown->config.l_max > 0 ? least(length, shown->config.l_max) : length);
}

int64_t ebb_shown_length(const EbbShown *shown, int64_t s) {
  const int64_t towers = shown->dataset->n_towers, q = towers * ebb_stored_sample(shown->samples, s);
  int64_t length = sequence_length(shown, q);
  for (int64_t tower = 1; tower < towers; tower++) {
    const int64_t other = sequence_length(shown, q + tower);
    if (other > length) length = other;
  }
  return length;
}

int64_t ebb_shown_padded(const EbbShown *shown, int64_t longest) {
  const EbbLoaderConfig *config = &shown->config;
  if (config->pad_to_l_max) return strided(shown, config->l_max);
  int64_t quantum = config->bucket_quantum, rounded = (longest + quantum - 1) / quantum * quantum;
  if (rounded < 1) rounded = quantum;
  return config->l_max > 0 ? least(rounded, strided(shown, config->l_max)) : rounded;
}

static Steps steps_of(const EbbShown *shown, int64_t q, const EbbBatch *batch) {
  return (Steps){.first = (size_t)shown->samples->offset[q],
                 .n = (size_t)sequence_length(shown, q),
                 .total = (size_t)batch->length,
                 .stride = (size_t)stride_of(shown),
                 .map = shown->dataset->permutation};
}

static bool in_a_row(const Steps *steps) { return steps->stride == 1 && !steps->map; }

/* Place of shown step t in its sequence. */
static size_t place_of(const Steps *steps, size_t t) {
  const size_t place = t * steps->stride;
  return steps->map ? (size_t)steps->map[place] : place;
}

static EbbStatus check_permutation(const EbbDataset *dataset) {
  for (int64_t t = 0; t < dataset->longest; t++)
    if (dataset->permutation[t] < 0 || dataset->permutation[t] >= dataset->longest)
      return ebb_fail(EBB_INVALID, "step %lld of the permutation is %d, which is not in 0..%lld",
                      (long long)t, (int)dataset->permutation[t], (long long)dataset->longest - 1);
  return EBB_OK;
}

static EbbStatus check_order(const EbbSamples *samples) {
  for (int64_t i = 0; i < samples->n_samples; i++)
    if (samples->order[i] < 0 || samples->order[i] >= samples->n_stored)
      return ebb_fail(EBB_INVALID, "sample %lld is stored sample %lld, but there are %lld of these",
                      (long long)i, (long long)samples->order[i], (long long)samples->n_stored);
  return EBB_OK;
}

static EbbStatus check_length(const EbbDataset *dataset, int64_t s, int64_t length) {
  if (dataset->permutation && length != dataset->longest)
    return ebb_fail(EBB_INVALID, "sample %lld has %lld steps, but the permutation is of %lld", (long long)s,
                    (long long)length, (long long)dataset->longest);
  if (dataset->scale_per_position && length > dataset->longest)
    return ebb_fail(EBB_INVALID, "sample %lld has %lld steps, but there are scales for %lld", (long long)s,
                    (long long)length, (long long)dataset->longest);
  return EBB_OK;
}

EbbStatus ebb_shown_check(const EbbShown *shown) {
  const EbbDataset *dataset = shown->dataset;
  const EbbSamples *samples = shown->samples;
  if (dataset->permutation) EBB_TRY(check_permutation(dataset));
  if (samples->order) EBB_TRY(check_order(samples));
  for (int64_t s = 0; s < samples->n_samples; s++) {
    const int64_t *offset = samples->offset + dataset->n_towers * ebb_stored_sample(samples, s);
    for (int64_t tower = 0; tower < dataset->n_towers; tower++)
      EBB_TRY(check_length(dataset, s, offset[tower + 1] - offset[tower]));
  }
  return EBB_OK;
}

/* ---- one sequence ---- */

/* The `bytes` of every shown step, then zeros. */
static void gather(const Steps *steps, const void *from, size_t bytes, void *to) {
  const char *stored = (const char *)from + steps->first * bytes;
  char *row = to;
  if (in_a_row(steps) && steps->n > 0)
    memcpy(row, stored, steps->n * bytes);
  else
    for (size_t t = 0; t < steps->n; t++) memcpy(row + t * bytes, stored + place_of(steps, t) * bytes, bytes);
  memset(row + steps->n * bytes, 0, (steps->total - steps->n) * bytes);
}

static void gather_raw_tokens(const EbbSamples *samples, const Steps *steps, int32_t *row) {
  const size_t bytes = ebb_raw_bytes(samples->raw_type);
  const char *stored = (const char *)samples->raw + steps->first * bytes;
  if (in_a_row(steps))
    ebb_raw_tokens(samples->raw_type, stored, steps->n, row);
  else
    for (size_t t = 0; t < steps->n; t++)
      ebb_raw_tokens(samples->raw_type, stored + place_of(steps, t) * bytes, 1, row + t);
  memset(row + steps->n, 0, (steps->total - steps->n) * sizeof *row);
}

/* Steps in a row are turned in one go where one scale is for all numbers or each has its own. */
static void gather_raw_values(const EbbShown *shown, const Steps *steps, float *row) {
  static const float one = 1, zero = 0;
  const EbbSamples *samples = shown->samples;
  const EbbDataset *dataset = shown->dataset;
  const size_t width = (size_t)dataset->d_input, bytes = width * ebb_raw_bytes(samples->raw_type);
  const char *stored = (const char *)samples->raw + steps->first * bytes;
  const bool scaled = dataset->scale != NULL, by_place = scaled && dataset->scale_per_position;
  const float *scale = scaled ? dataset->scale : &one, *offset = scaled ? dataset->offset : &zero;
  const bool single = !by_place && (!scaled || width == 1);
  if (in_a_row(steps) && (single || by_place))
    ebb_raw_values(samples->raw_type, stored, steps->n * width, scale, offset, single, row);
  else
    for (size_t t = 0; t < steps->n; t++) {
      const size_t place = place_of(steps, t), at = by_place ? place * width : 0;
      ebb_raw_values(samples->raw_type, stored + place * bytes, width, scale + at, offset + at, single,
                     row + t * width);
    }
  memset(row + steps->n * width, 0, (steps->total - steps->n) * width * sizeof *row);
}

/* Times between shown steps: those of the steps left out are part of them. A permutation has no times. */
static void gather_elapsed(const Steps *steps, const float *from, float *row) {
  const float *stored = from + steps->first;
  for (size_t t = 0; t < steps->n; t++) {
    float sum = stored[place_of(steps, t)];
    for (size_t skipped = 1; t > 0 && !steps->map && skipped < steps->stride; skipped++)
      sum += stored[t * steps->stride - skipped];
    row[t] = sum;
  }
  for (size_t t = steps->n; t < steps->total; t++) row[t] = 1;
}

/* Stored sequence q becomes row `row` of the batch. */
static void copy_sequence(const EbbShown *shown, int64_t q, int64_t row, EbbBatch *batch) {
  const EbbSamples *samples = shown->samples;
  const Steps steps = steps_of(shown, q, batch);
  const size_t at = (size_t)row * steps.total, width = (size_t)shown->dataset->d_input;
  batch->lengths[row] = (int32_t)steps.n;
  if (samples->tokens) gather(&steps, samples->tokens, sizeof *batch->tokens, batch->tokens + at);
  if (samples->values)
    gather(&steps, samples->values, width * sizeof *batch->values, batch->values + at * width);
  if (samples->raw && batch->tokens) gather_raw_tokens(samples, &steps, batch->tokens + at);
  if (samples->raw && batch->values) gather_raw_values(shown, &steps, batch->values + at * width);
  if (samples->elapsed) gather_elapsed(&steps, samples->elapsed, batch->elapsed + at);
}

/* ---- targets ---- */

/* The targets of stored sample s become those of row `row`; a filler row weighs nothing. */
static void copy_target(const EbbShown *shown, int64_t s, int64_t row, bool filler, EbbBatch *batch) {
  batch->weights[row] = filler ? 0.0F : 1.0F;
  if (batch->labels) batch->labels[row] = shown->samples->labels[s];
  if (batch->targets) {
    const size_t width = (size_t)shown->dataset->d_output;
    memcpy(batch->targets + (size_t)row * width, shown->samples->targets + (size_t)s * width,
           width * sizeof *batch->targets);
  }
}

/* The same where every step has a target. */
static void copy_step_targets(const EbbShown *shown, int64_t s, int64_t row, bool filler, EbbBatch *batch) {
  const Steps steps = steps_of(shown, s, batch);
  const size_t at = (size_t)row * steps.total, width = (size_t)shown->dataset->d_output;
  for (size_t t = 0; t < steps.total; t++) batch->weights[at + t] = !filler && t < steps.n ? 1.0F : 0.0F;
  if (batch->labels) gather(&steps, shown->samples->labels, sizeof *batch->labels, batch->labels + at);
  if (batch->targets)
    gather(&steps, shown->samples->targets, width * sizeof *batch->targets, batch->targets + at * width);
}

/* ---- the batch ---- */

void ebb_batch_fill(const EbbShown *shown, const int64_t *samples, int64_t n, EbbBatch *batch) {
  const EbbDataset *dataset = shown->dataset;
  int64_t longest = 0;
  for (int64_t i = 0; i < n; i++) {
    const int64_t length = ebb_shown_length(shown, samples[i]);
    if (length > longest) longest = length;
  }
  batch->length = ebb_shown_padded(shown, longest);
  batch->n_valid = n;
  for (int64_t row = 0; row < batch->rows; row++) {
    const int64_t s = ebb_stored_sample(shown->samples, samples[row < n ? row : 0]);
    for (int64_t tower = 0; tower < dataset->n_towers; tower++)
      copy_sequence(shown, dataset->n_towers * s + tower, tower * batch->rows + row, batch);
    (dataset->per_step ? copy_step_targets : copy_target)(shown, s, row, row >= n, batch);
  }
}

void *ebb_batch_array(int64_t a, int64_t b, int64_t c, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow((size_t)a, (size_t)b, &bytes) ||
      __builtin_mul_overflow(bytes, (size_t)c, &bytes) || __builtin_mul_overflow(bytes, size, &bytes) ||
      bytes > MOST_BYTES) {
    return NULL;
  }
  return calloc(1, bytes ? bytes : 1);
}

EbbStatus ebb_batch_allocate(const EbbShown *shown, int64_t longest, EbbBatch *batch) {
  const EbbDataset *dataset = shown->dataset;
  const EbbSamples *from = shown->samples;
  const int64_t rows = shown->config.batch_size, sequences = rows * dataset->n_towers;
  const int64_t targets = dataset->per_step ? longest : 1; /* a row */
  *batch = (EbbBatch){.rows = rows};
  const bool tokens = from->tokens || (from->raw && dataset->vocabulary > 0);
  const bool values = from->values || (from->raw && dataset->vocabulary == 0);
  bool whole = (batch->lengths = ebb_batch_array(sequences, 1, 1, sizeof *batch->lengths)) != NULL;
  whole &= (batch->weights = ebb_batch_array(rows, targets, 1, sizeof *batch->weights)) != NULL;
  if (tokens)
    whole &= (batch->tokens = ebb_batch_array(sequences, longest, 1, sizeof *batch->tokens)) != NULL;
  if (values) {
    batch->values = ebb_batch_array(sequences, longest, dataset->d_input, sizeof *batch->values);
    whole &= batch->values != NULL;
  }
  if (from->elapsed)
    whole &= (batch->elapsed = ebb_batch_array(sequences, longest, 1, sizeof *batch->elapsed)) != NULL;
  if (from->labels)
    whole &= (batch->labels = ebb_batch_array(rows, targets, 1, sizeof *batch->labels)) != NULL;
  if (from->targets) {
    batch->targets = ebb_batch_array(rows, targets, dataset->d_output, sizeof *batch->targets);
    whole &= batch->targets != NULL;
  }
  if (whole) return EBB_OK;
  return ebb_fail(EBB_MEMORY, "no memory for batches of %lld samples and %lld steps", (long long)rows,
                  (long long)longest);
}

void ebb_batch_release(EbbBatch *batch) {
  free(batch->tokens);
  free(batch->values);
  free(batch->lengths);
  free(batch->elapsed);
  free(batch->labels);
  free(batch->targets);
  free(batch->weights);
  *batch = (EbbBatch){0};
}
