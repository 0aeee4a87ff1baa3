#include "host/cpu.h"
#include "host/learn/optim_kernels.h"
#include "host/rows.h"

enum { BLOCK = 16384, PARTIALS = 256 };

static void update_block(const EbbUpdate *update, const EbbUpdateGroup *group, const EbbAdamWRates *rates,
                         int64_t at, int64_t n) {
  float *restrict value = update->value + at, *restrict m = update->m + at, *restrict v = update->v + at;
  const float *restrict grad = update->grad + at;
  const EbbAdamWRates r = *rates;
  for (int64_t i = 0; i < n; i++) {
    float first = m[i], second = v[i];
    value[i] = ebb_adamw_update(&r, value[i], grad[i], &first, &second);
    m[i] = first, v[i] = second;
  }
  if (group->constraint != EBB_FREE)
    for (int64_t i = 0; i < n; i++) value[i] = ebb_constrained(value[i], group->low, group->high);
}

static EbbStatus update_all(EbbDevice *device, const EbbUpdate *update) {
  if (!ebb_tally_update(update->tally, *update->square_sum)) return EBB_OK;
  const double scale = ebb_grad_clip_scale(update->tally->norm, *update->most_norm);
  for (int g = 0; g < update->n_groups; g++) {
    const EbbUpdateGroup *group = &update->groups[g];
    EbbAdamWRates rates = group->rates;
    rates.grad_scale = (float)scale;
#pragma omp parallel for num_threads(ebb_device_threads(device))
    for (int64_t at = group->begin; at < group->end; at += BLOCK)
      update_block(update, group, &rates, at, ebb_min64(BLOCK, group->end - at));
  }
  return ebb_device_zero(device, update->grad, (size_t)update->size * sizeof *update->grad);
}

static EbbStatus square_sum(EbbDevice *device, const float *x, int64_t size, double *partial, double *sum) {
  const int64_t share = (size + PARTIALS - 1) / PARTIALS;
#pragma omp parallel for num_threads(ebb_device_threads(device))
  for (int64_t p = 0; p < PARTIALS; p++) {
    const int64_t width = ebb_min64(share, size - p * share);
    partial[p] = width > 0 ? ebb_row_squares(x + p * share, 0, width) : 0;
  }
  *sum = 0;
  for (int p = 0; p < PARTIALS; p++) *sum += partial[p];
  return EBB_OK;
}

static EbbStatus mix(EbbDevice *device, float *average, const float *value, int64_t size, float weight) {
#pragma omp parallel for num_threads(ebb_device_threads(device))
  for (int64_t at = 0; at < size; at += BLOCK) {
    float *restrict a = average + at;
    const float *restrict p = value + at;
    for (int64_t i = 0; i < ebb_min64(BLOCK, size - at); i++) a[i] += weight * (p[i] - a[i]);
  }
  return EBB_OK;
}

static EbbStatus swap(EbbDevice *device, float *a, float *b, int64_t size) {
#pragma omp parallel for num_threads(ebb_device_threads(device))
  for (int64_t i = 0; i < size; i++) {
    const float kept = a[i];
    a[i] = b[i], b[i] = kept;
  }
  return EBB_OK;
}

static EbbStatus tally(EbbDevice *device, EbbTally *tally_, const float *loss, const float *scores,
                       const float *weights, int64_t n) {
  (void)device;
  double samples = 0;
  for (int64_t b = 0; b < n; b++) samples += (double)weights[b];
  ebb_tally_count(tally_, *loss, scores, samples);
  return EBB_OK;
}

const EbbOptimKernels ebb_optim_cpu = {square_sum, update_all, mix, swap, tally};
