#include "host/cpu.h"
#include "host/learn/optim_kernels.h"
#include "host/rows.h"

enum { BLOCK = 16384, PARTIALS = 256 };

static void adamw_block(const EbbOptimRange *range, const EbbAdamWRates *rates, int64_t at, int64_t n) {
  float *restrict value = range->value + at, *restrict m = range->m + at, *restrict v = range->v + at;
  const float *restrict grad = range->grad + at;
  const EbbAdamWRates r = *rates;
  for (int64_t i = 0; i < n; i++) {
    float first = m[i], second = v[i];
    value[i] = ebb_adamw_update(&r, value[i], grad[i], &first, &second);
    m[i] = first, v[i] = second;
  }
  if (range->constraint == EBB_NONNEGATIVE)
    for (int64_t i = 0; i < n; i++) value[i] = value[i] < 0 ? 0 : value[i];
}

static EbbStatus adamw(EbbDevice *device, const EbbOptimRange *range, const EbbAdamWRates *rates) {
#pragma omp parallel for num_threads(ebb_device_threads(device))
  for (int64_t at = range->begin; at < range->end; at += BLOCK)
    adamw_block(range, rates, at, ebb_min64(BLOCK, range->end - at));
  return EBB_OK;
}

static EbbStatus square_sum(EbbDevice *device, const float *x, int64_t size, double *sum) {
  double partial[PARTIALS] = {0};
  const int64_t share = (size + PARTIALS - 1) / PARTIALS;
#pragma omp parallel for num_threads(ebb_device_threads(device))
  for (int64_t p = 0; p < PARTIALS; p++)
    if (p * share < size) partial[p] = ebb_row_squares(x + p * share, 0, ebb_min64(share, size - p * share));
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

const EbbOptimKernels ebb_optim_cpu = {adamw, square_sum, mix, swap};
