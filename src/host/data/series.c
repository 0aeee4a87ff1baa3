#include "host/data/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ebb_series_release(EbbSeries *series) {
  free(series->x);
  free(series->targets);
  free(series->elapsed);
  free(series->labels);
  *series = (EbbSeries){0};
}

/* Room for `capacity` elements of `size` bytes in *memory. */
static EbbStatus resize(void *memory, int64_t capacity, size_t size) {
  void *old;
  memcpy(&old, memory, sizeof old);
  void *grown = realloc(old, (size_t)capacity * size);
  if (!grown) return ebb_fail(EBB_MEMORY, "no memory for a recording of %lld rows", (long long)capacity);
  memcpy(memory, &grown, sizeof grown);
  return EBB_OK;
}

static EbbStatus grow(EbbSeries *s, bool timed) {
  if (s->n < s->capacity) return EBB_OK;
  const int64_t capacity = s->capacity ? 2 * s->capacity : 1024;
  EBB_TRY(resize(&s->x, capacity, (size_t)s->d_input * sizeof(float)));
  if (s->d_output > 0)
    EBB_TRY(resize(&s->targets, capacity, (size_t)s->d_output * sizeof(float)));
  else
    EBB_TRY(resize(&s->labels, capacity, sizeof(int32_t)));
  if (timed) EBB_TRY(resize(&s->elapsed, capacity, sizeof(float)));
  s->capacity = capacity;
  return EBB_OK;
}

static void put(EbbSeries *s, const float *x, const float *targets, int32_t label) {
  memcpy(s->x + s->n * s->d_input, x, (size_t)s->d_input * sizeof *x);
  if (s->d_output > 0)
    memcpy(s->targets + s->n * s->d_output, targets, (size_t)s->d_output * sizeof *targets);
  else
    s->labels[s->n] = label;
  s->n++;
}

EbbStatus ebb_series_append(EbbSeries *series, const float *x, const float *targets, int32_t label) {
  EBB_TRY(grow(series, false));
  put(series, x, targets, label);
  return EBB_OK;
}

EbbStatus ebb_series_append_timed(EbbSeries *series, const float *x, const float *targets, int32_t label,
                                  float elapsed) {
  EBB_TRY(grow(series, true));
  series->elapsed[series->n] = elapsed;
  put(series, x, targets, label);
  return EBB_OK;
}

/* Column `column` of x or the targets: the first row's, and the step to the next. */
static float *column_of(const EbbSeries *s, EbbColumns which, int64_t column, int64_t *step) {
  *step = which == EBB_INPUTS ? s->d_input : s->d_output;
  return (which == EBB_INPUTS ? s->x : s->targets) + column;
}

/* The sum over all rows of (value - from)^power, power 1 or 2. */
static double sum(const EbbSpan *spans, int n_spans, EbbColumns which, int64_t column, double from, int power,
                  int64_t *n) {
  double total = 0;
  *n = 0;
  for (int i = 0; i < n_spans; i++) {
    int64_t step;
    const float *at = column_of(spans[i].series, which, column, &step);
    for (int64_t row = spans[i].begin; row < spans[i].end; row++) {
      const double distance = (double)at[row * step] - from;
      total += power == 1 ? distance : distance * distance;
    }
    *n += spans[i].end - spans[i].begin;
  }
  return total;
}

EbbMoments ebb_series_moments(const EbbSpan *spans, int n_spans, EbbColumns which, int64_t column) {
  int64_t n;
  EbbMoments moments = {0, 1};
  const double total = sum(spans, n_spans, which, column, 0, 1, &n);
  if (n == 0) return moments;
  moments.mean = total / (double)n;
  moments.deviation = sqrt(sum(spans, n_spans, which, column, moments.mean, 2, &n) / (double)n);
  if (!(moments.deviation > 0)) moments.deviation = 1;
  return moments;
}

void ebb_series_scale(EbbSeries *series, EbbColumns which, int64_t column, EbbMoments moments) {
  int64_t step;
  float *at = column_of(series, which, column, &step);
  for (int64_t row = 0; row < series->n; row++)
    at[row * step] = (float)(((double)at[row * step] - moments.mean) / moments.deviation);
}
