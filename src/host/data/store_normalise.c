/* z-scores of stored samples by their training split. */
#include <math.h>
#include <stdlib.h>

#include "host/data/store.h"

/* Sums over the training split for `width` columns: column c of a step's numbers, or of a sample's. */
typedef struct Columns {
  int64_t width;
  int64_t n;    /* numbers a column */
  double *mean; /* (width), then the sums of squared distances behind it */
  double *spread;
} Columns;

static double number_at(const EbbStore *store, int64_t i) {
  return store->kind == EBB_STORE_I16 ? ((const int16_t *)store->samples.raw)[i] : store->samples.values[i];
}

/* Calls of `take` for every training number of every column: first the means, then the spreads. */
static void sum_pass(const EbbStore *store, Columns *c, bool spreads) {
  const EbbSamples *train = &store->dataset->split[EBB_TRAIN];
  const int64_t *offset = store->samples.offset, width = store->dataset->d_input;
  for (int64_t i = 0; i < train->n_samples; i++) {
    const int64_t begin = offset[train->order[i]] * width, end = offset[train->order[i] + 1] * width;
    for (int64_t at = begin, column = 0; at < end; at++) {
      const double value = number_at(store, at), distance = value - c->mean[column];
      if (spreads)
        c->spread[column] += distance * distance;
      else
        c->spread[column] += value;
      if (++column == c->width) column = 0;
    }
  }
}

static int64_t numbers_a_column(const EbbStore *store, int64_t width) {
  const EbbSamples *train = &store->dataset->split[EBB_TRAIN];
  int64_t steps = 0;
  for (int64_t i = 0; i < train->n_samples; i++)
    steps += store->samples.offset[train->order[i] + 1] - store->samples.offset[train->order[i]];
  return steps * store->dataset->d_input / width;
}

static EbbStatus measure(const EbbStore *store, int64_t width, Columns *c) {
  *c = (Columns){.width = width,
                 .n = numbers_a_column(store, width),
                 .mean = calloc(2 * (size_t)width, sizeof *c->mean)};
  if (!c->mean) {
    (void)ebb_fail(EBB_MEMORY, "no memory for the statistics of '%s'", store->dataset->name);
    return EBB_MEMORY;
  }
  c->spread = c->mean + width;
  sum_pass(store, c, false);
  for (int64_t i = 0; i < width; i++) {
    c->mean[i] = c->n > 0 ? c->spread[i] / (double)c->n : 0;
    c->spread[i] = 0;
  }
  sum_pass(store, c, true);
  return EBB_OK;
}

static EbbStatus set_scales(EbbStore *store, const Columns *c, const double *deviation) {
  EbbDataset *dataset = store->dataset;
  dataset->scale = malloc((size_t)c->width * sizeof *dataset->scale);
  dataset->offset = malloc((size_t)c->width * sizeof *dataset->offset);
  if (!dataset->scale || !dataset->offset)
    return ebb_fail(EBB_MEMORY, "no memory for the scales of '%s'", dataset->name);
  for (int64_t i = 0; i < c->width; i++) {
    dataset->scale[i] = (float)(1 / deviation[i]);
    dataset->offset[i] = (float)(-c->mean[i] / deviation[i]);
  }
  return EBB_OK;
}

static void rewrite(EbbStore *store, const Columns *c, const double *deviation) {
  const int64_t n = store->samples.offset[store->samples.n_samples] * c->width;
  float *values = store->samples.values;
  for (int64_t at = 0, column = 0; at < n; at++) {
    values[at] = (float)((values[at] - c->mean[column]) / deviation[column]);
    if (++column == c->width) column = 0;
  }
}

EbbStatus ebb_store_normalise(EbbStore *store) {
  Columns c;
  EBB_TRY(measure(store, store->dataset->d_input, &c));
  for (int64_t i = 0; i < c.width; i++) c.spread[i] = c.spread[i] > 0 ? sqrt(c.spread[i] / (double)c.n) : 1;
  EbbStatus status = EBB_OK;
  if (store->kind == EBB_STORE_I16)
    status = set_scales(store, &c, c.spread);
  else
    rewrite(store, &c, c.spread);
  free(c.mean);
  return status;
}

EbbStatus ebb_store_normalise_steps(EbbStore *store, double eps) {
  Columns c;
  EBB_TRY(measure(store, store->longest * store->dataset->d_input, &c));
  for (int64_t i = 0; i < c.width; i++) {
    const double deviation = c.n > 1 ? sqrt(c.spread[i] / (double)(c.n - 1)) : 0;
    c.spread[i] = deviation + 32768 * eps > 0 ? deviation + 32768 * eps : 1;
  }
  const EbbStatus status = set_scales(store, &c, c.spread);
  store->dataset->scale_per_position = true;
  free(c.mean);
  return status;
}
