#include "host/ops/s4_pairs.h"

#include <string.h>

EbbStatus ebb_s4_lengths_setup(EbbSetup *setup, int input, int64_t B, const int32_t **lengths) {
  if (ebb_setup_inputs(setup) <= input) return EBB_OK;
  EBB_TRY(ebb_setup_input(setup, input, EBB_I32, 1, true, (void *)lengths));
  const int64_t rows = ebb_setup_shape(setup, input).dim[0];
  if (rows == B) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: %lld lengths for a batch of %lld", ebb_setup_where(setup), (long long)rows,
                  (long long)B);
}

EbbStatus ebb_s4_pairs_setup(EbbSetup *setup, int64_t taps_and_row, int64_t *n, const float **twiddles) {
  *n = ebb_pair_length(taps_and_row);
  return ebb_setup_table(setup, ebb_pair_table_bytes(*n), ebb_pair_table_fill, n, (void *)twiddles);
}

void ebb_s4_fill_half(int64_t n, float *restrict half, const float *restrict from, int64_t count) {
  if (count) memcpy(half, from, sizeof(float) * (size_t)count);
  memset(half + count, 0, sizeof(float) * (size_t)(n - count));
}

void ebb_s4_load_pair(const EbbS4Batch *batch, int64_t b, int64_t h, const float *u, float *z) {
  const int64_t n = batch->fft.n;
  ebb_s4_fill_half(n, z, u + ebb_s4_row_start(batch, b, h), ebb_s4_row(batch, b, h).valid);
  z += ebb_pair_imag(n);
  if (b + 1 < batch->B)
    ebb_s4_fill_half(n, z, u + ebb_s4_row_start(batch, b + 1, h), ebb_s4_row(batch, b + 1, h).valid);
  else
    ebb_s4_fill_half(n, z, NULL, 0);
}

static double load_grad(const EbbS4Batch *batch, const EbbS4Epilogue *epilogue, const EbbRun *run, int64_t b,
                        int64_t h, const float *dy, const float *u, float *half) {
  const EbbS4Row row = ebb_s4_row(batch, b, h);
  const int64_t start = ebb_s4_row_start(batch, b, h);
  ebb_s4_finish_back(epilogue, run, &row, dy + start, half);
  memset(half + batch->L, 0, sizeof(float) * (size_t)(batch->fft.n - batch->L));
  return epilogue->dD ? ebb_s4_dot(row.valid, half, u + start) : 0.0;
}

double ebb_s4_load_grads(const EbbS4Batch *batch, const EbbS4Epilogue *epilogue, const EbbRun *run, int64_t b,
                         int64_t h, const float *dy, const float *u, float *z) {
  float *second = z + ebb_pair_imag(batch->fft.n);
  double dD = load_grad(batch, epilogue, run, b, h, dy, u, z);
  if (b + 1 < batch->B) return dD + load_grad(batch, epilogue, run, b + 1, h, dy, u, second);
  ebb_s4_fill_half(batch->fft.n, second, NULL, 0);
  return dD;
}

void ebb_s4_place_taps(const EbbS4Batch *batch, int64_t taps, const float *restrict k, float *restrict z) {
  const float scale = 1.0f / (float)batch->fft.n;
  memset(z, 0, sizeof(float) * (size_t)ebb_pair_floats(batch->fft.n));
  for (int64_t j = 0; j < taps; j++) z[j] = scale * k[j];
}

void ebb_s4_kernel_spectrum(const EbbS4Batch *batch, int64_t taps, const float *k, float *z) {
  ebb_s4_place_taps(batch, taps, k, z);
  ebb_pair_forward(&batch->fft, z);
}

void ebb_s4_kernel_grad(const EbbS4Batch *batch, int64_t taps, float *spectrum, bool add, float *dk) {
  const float scale = 1.0f / (float)batch->fft.n;
  ebb_pair_inverse(&batch->fft, spectrum);
  if (!add) memset(dk, 0, sizeof(float) * (size_t)taps);
  for (int64_t j = 0; j < taps; j++) dk[j] += scale * spectrum[j];
}
