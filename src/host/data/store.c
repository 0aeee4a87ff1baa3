#include "host/data/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- growing arrays ---- */

/* Room for `n` elements of `bytes`; *array stays where there is none. */
static bool grow(void **array, int64_t n, size_t bytes) {
  size_t total;
  if (__builtin_mul_overflow((size_t)n, bytes, &total)) return false;
  void *more = realloc(*array, total ? total : 1);
  if (more) *array = more;
  return more != NULL;
}

static size_t step_bytes(const EbbStore *store) {
  const size_t width = (size_t)store->dataset->d_input;
  static const size_t number[] = {sizeof(float), sizeof(int16_t), sizeof(int32_t)};
  return store->kind == EBB_STORE_TOKENS ? number[store->kind] : number[store->kind] * width;
}

static void **elements_of(EbbStore *store) {
  return store->kind == EBB_STORE_FLOATS ? (void **)&store->samples.values
         : store->kind == EBB_STORE_I16  ? &store->samples.raw
                                         : (void **)&store->samples.tokens;
}

static bool reserve_targets(EbbStore *store, const EbbSample *sample, int64_t places) {
  EbbSamples *s = &store->samples;
  if (sample->labels && !grow((void **)&s->labels, places, sizeof *s->labels)) return false;
  const size_t width = (size_t)store->dataset->d_output * sizeof *s->targets;
  return !sample->targets || grow((void **)&s->targets, places, width);
}

static bool reserve(EbbStore *store, const EbbSample *sample) {
  EbbSamples *s = &store->samples;
  const bool per_step = store->dataset->per_step;
  const int64_t steps = s->offset[s->n_samples] + sample->n_steps;
  if (s->n_samples == store->capacity) {
    const int64_t capacity = 2 * store->capacity + 64;
    if (!grow((void **)&s->offset, capacity + 1, sizeof *s->offset)) return false;
    if (!per_step && !reserve_targets(store, sample, capacity)) return false;
    store->capacity = capacity;
  }
  if (steps <= store->steps && store->steps > 0) return true;
  const int64_t room = steps + steps / 2;
  if (!grow(elements_of(store), room, step_bytes(store))) return false;
  if (per_step && !reserve_targets(store, sample, room)) return false;
  store->steps = room;
  return true;
}

EbbStatus ebb_store_create(const char *name, EbbStoreKind kind, EbbStore *store) {
  *store = (EbbStore){.kind = kind, .dataset = calloc(1, sizeof *store->dataset)};
  store->samples.offset = calloc(1, sizeof *store->samples.offset);
  if (!store->dataset || !store->samples.offset)
    return ebb_fail(EBB_MEMORY, "no memory for the data set '%s'", name);
  store->samples.raw_type = EBB_RAW_I16;
  store->dataset->n_towers = 1;
  snprintf(store->dataset->name, sizeof store->dataset->name, "%s", name);
  return EBB_OK;
}

void ebb_store_release(EbbStore *store) {
  EbbSamples *s = &store->samples;
  void *const arrays[] = {s->offset, s->tokens, s->values, s->raw, s->labels, s->targets};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) free(arrays[i]);
  ebb_dataset_destroy(store->dataset);
  *store = (EbbStore){0};
}

EbbStatus ebb_store_add(EbbStore *store, const EbbSample *sample) {
  EbbSamples *s = &store->samples;
  if (!reserve(store, sample))
    return ebb_fail(EBB_MEMORY, "no memory for sample %lld of '%s'", (long long)s->n_samples,
                    store->dataset->name);
  const size_t bytes = step_bytes(store), width = (size_t)store->dataset->d_output;
  const int64_t begin = s->offset[s->n_samples];
  const size_t place = (size_t)(store->dataset->per_step ? begin : s->n_samples);
  const size_t places = store->dataset->per_step ? (size_t)sample->n_steps : 1;
  if (sample->n_steps > 0)
    memcpy((char *)*elements_of(store) + (size_t)begin * bytes, sample->elements,
           (size_t)sample->n_steps * bytes);
  if (sample->labels) memcpy(s->labels + place, sample->labels, places * sizeof *s->labels);
  if (sample->targets)
    memcpy(s->targets + place * width, sample->targets, places * width * sizeof *s->targets);
  if (s->n_samples == 0 || sample->n_steps < store->shortest) store->shortest = sample->n_steps;
  if (sample->n_steps > store->longest) store->longest = sample->n_steps;
  s->offset[++s->n_samples] = begin + sample->n_steps;
  return EBB_OK;
}

/* ---- splits ---- */

EbbStatus ebb_store_view(EbbStore *store, EbbSplit split, const int64_t *order, int64_t first, int64_t n) {
  EbbSamples *view = &store->dataset->split[split];
  free(view->order);
  *view = (EbbSamples){.n_samples = n, .order = malloc(((size_t)n + 1) * sizeof *view->order)};
  if (!view->order) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld samples", (long long)n);
  for (int64_t i = 0; i < n; i++) view->order[i] = order ? order[i] : first + i;
  return EBB_OK;
}

static void keep(EbbSamples *view, int64_t max_samples) {
  const int64_t n = view->n_samples;
  if (max_samples < 1 || max_samples >= n) return;
  for (int64_t i = 0; i < max_samples; i++) view->order[i] = view->order[i * n / max_samples];
  view->n_samples = max_samples;
}

EbbStatus ebb_store_finish(EbbStore *store, int64_t max_samples, EbbDataset **out) {
  static const char *const names[EBB_SPLITS] = {"training", "validation", "test"};
  EbbDataset *dataset = store->dataset;
  for (int split = 0; split < EBB_SPLITS; split++)
    if (dataset->split[split].n_samples < 1)
      return ebb_fail(EBB_FORMAT, "%s: there are no %s samples (%lld samples in all)", dataset->name,
                      names[split], (long long)store->samples.n_samples);
  keep(&dataset->split[EBB_TRAIN], max_samples);
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples view = dataset->split[split];
    dataset->split[split] = store->samples;
    dataset->split[split].n_samples = view.n_samples;
    dataset->split[split].order = view.order;
    dataset->split[split].n_stored = store->samples.n_samples;
  }
  dataset->longest = store->longest;
  dataset->variable_length = store->shortest != store->longest;
  *out = dataset;
  *store = (EbbStore){0};
  return EBB_OK;
}

EbbStatus ebb_store_check_cut(const EbbStore *store, const EbbConfig *config) {
  const int64_t l_max = ebb_config_integer_or(config, "dataset.l_max", 0);
  if (l_max == 0 || store->longest <= l_max) return EBB_OK;
  if (strcmp(ebb_config_origin(config, "dataset.l_max"), "default") != 0) return EBB_OK;
  return ebb_fail(EBB_INVALID,
                  "%s: the longest sample has %lld steps, and dataset.l_max cuts at %lld by default; set "
                  "dataset.l_max=%lld to keep all, or less to cut",
                  store->dataset->name, (long long)store->longest, (long long)l_max,
                  (long long)store->longest);
}
