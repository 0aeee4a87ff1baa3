#include "host/data/windows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/numpy_random.h"

void ebb_windows_release(EbbWindows *windows) {
  free(windows->at);
  *windows = (EbbWindows){0};
}

EbbStatus ebb_windows_add(EbbWindows *windows, const EbbSeries *series, int64_t start) {
  if (windows->n == windows->capacity) {
    const int64_t capacity = windows->capacity ? 2 * windows->capacity : 256;
    EbbWindow *at = realloc(windows->at, (size_t)capacity * sizeof *at);
    if (!at) return ebb_fail(EBB_MEMORY, "no memory for %lld windows", (long long)capacity);
    windows->at = at, windows->capacity = capacity;
  }
  windows->at[windows->n++] = (EbbWindow){series, start};
  return EBB_OK;
}

EbbStatus ebb_windows_cut(EbbWindows *windows, const EbbSpan *span, int64_t length, int64_t stride) {
  for (int64_t start = span->begin; start < span->end - length; start += stride)
    EBB_TRY(ebb_windows_add(windows, span->series, start));
  return EBB_OK;
}

EbbStatus ebb_windows_deal(const EbbWindows *all, uint32_t seed, EbbShares shares,
                           EbbWindows to[EBB_SPLITS]) {
  int64_t *order = malloc(((size_t)all->n + 1) * sizeof *order);
  if (!order) return ebb_fail(EBB_MEMORY, "no memory for the order of %lld windows", (long long)all->n);
  ebb_numpy_permutation(seed, all->n, order);
  const int64_t validation = (int64_t)(shares.validation * (double)all->n);
  const int64_t test = (int64_t)(shares.test * (double)all->n);
  EbbStatus status = EBB_OK;
  for (int64_t i = 0; i < all->n && status == EBB_OK; i++) {
    const EbbSplit split = i < validation ? EBB_VALIDATION : i < validation + test ? EBB_TEST : EBB_TRAIN;
    const EbbWindow *window = &all->at[order[i]];
    status = ebb_windows_add(&to[split], window->series, window->start);
  }
  free(order);
  return status;
}

void ebb_chronological(const EbbSeries *series, EbbShares shares, EbbSpan out[EBB_SPLITS]) {
  const int64_t validation = (int64_t)(shares.validation * (double)series->n);
  const int64_t test = (int64_t)(shares.test * (double)series->n);
  const int64_t first = series->n - validation - test, second = series->n - test;
  out[EBB_TRAIN] = (EbbSpan){series, 0, first};
  out[EBB_VALIDATION] = (EbbSpan){series, first, second};
  out[EBB_TEST] = (EbbSpan){series, second, series->n};
}

static EbbStatus take_memory(EbbSamples *samples, const EbbSeries *model, int64_t n, int64_t length) {
  const size_t steps = (size_t)n * (size_t)length;
  bool whole = (samples->offset = malloc(((size_t)n + 1) * sizeof *samples->offset)) != NULL;
  whole &= (samples->values = malloc(steps * (size_t)model->d_input * sizeof(float))) != NULL;
  if (model->d_output > 0)
    whole &= (samples->targets = malloc(steps * (size_t)model->d_output * sizeof(float))) != NULL;
  else
    whole &= (samples->labels = malloc(steps * sizeof(int32_t))) != NULL;
  if (model->elapsed) whole &= (samples->elapsed = malloc(steps * sizeof(float))) != NULL;
  if (whole) return EBB_OK;
  return ebb_fail(EBB_MEMORY, "no memory for %lld windows of %lld steps", (long long)n, (long long)length);
}

static void copy_window(EbbSamples *samples, const EbbWindow *window, int64_t index, int64_t length) {
  const EbbSeries *from = window->series;
  const size_t at = (size_t)(index * length), row = (size_t)window->start, steps = (size_t)length;
  const size_t in = (size_t)from->d_input, out = (size_t)from->d_output;
  memcpy(samples->values + at * in, from->x + row * in, steps * in * sizeof(float));
  if (samples->targets)
    memcpy(samples->targets + at * out, from->targets + row * out, steps * out * sizeof(float));
  if (samples->labels) memcpy(samples->labels + at, from->labels + row, steps * sizeof(int32_t));
  if (samples->elapsed) memcpy(samples->elapsed + at, from->elapsed + row, steps * sizeof(float));
}

static EbbStatus fill(EbbSamples *samples, const EbbWindows *windows, int64_t n, int64_t length) {
  EBB_TRY(take_memory(samples, windows->at[0].series, n, length));
  for (int64_t i = 0; i < n; i++) copy_window(samples, &windows->at[i], i, length);
  for (int64_t i = 0; i <= n; i++) samples->offset[i] = i * length;
  samples->n_samples = n;
  return EBB_OK;
}

EbbStatus ebb_windows_dataset(const char *name, const EbbWindows windows[EBB_SPLITS], int64_t length,
                              int64_t max_samples, EbbDataset *dataset) {
  static const char *const names[EBB_SPLITS] = {"training", "validation", "test"};
  for (int split = 0; split < EBB_SPLITS; split++) {
    int64_t n = windows[split].n;
    if (n == 0)
      return ebb_fail(EBB_FORMAT,
                      "%s: no window of %lld steps fits into the %s split; the recording is too short", name,
                      (long long)length, names[split]);
    if (split == EBB_TRAIN && max_samples > 0 && n > max_samples) n = max_samples;
    EBB_TRY(fill(&dataset->split[split], &windows[split], n, length));
  }
  const EbbSeries *model = windows[EBB_TRAIN].at[0].series;
  snprintf(dataset->name, sizeof dataset->name, "%s", name);
  dataset->d_input = model->d_input;
  dataset->n_towers = 1;
  dataset->longest = length;
  dataset->per_step = true;
  if (model->d_output > 0) dataset->d_output = model->d_output;
  return EBB_OK;
}
