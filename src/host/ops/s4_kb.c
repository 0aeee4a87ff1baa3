/* The KB term: the product of two transforms of different lengths, as published. */
#include "host/ops/s4_liquid.h"

#include <string.h>

#include "host/cpu.h"

static int64_t rows_length(const EbbS4Liquid *liquid) { return liquid->Lk + liquid->L; }
static int64_t taps_length(const EbbS4Liquid *liquid) { return rows_length(liquid) / 2 + 1; }

int64_t ebb_s4_kb_floats(const EbbS4Liquid *liquid) {
  if (liquid->kind != EBB_S4_KB) return 0;
  const int64_t n = rows_length(liquid);
  return 2 * ebb_row_floats(2 * taps_length(liquid)) + ebb_row_floats(n) + 2 * ebb_spectrum_floats(n);
}

/* The kernels as the published code lays them out before it cuts them to m' taps: k_0 from 0, k_1 reversed
 * from L. */
static void gather_taps(const EbbS4Liquid *liquid, const float *k, int64_t stride, float *restrict taps) {
  const int64_t m = taps_length(liquid), L = liquid->L, Lk = liquid->Lk;
  memset(taps, 0, sizeof(float) * (size_t)m);
  for (int64_t l = 0; l < m && l < Lk; l++) taps[l] = k[l];
  if (liquid->channels == 2)
    for (int64_t l = L; l < m && l < L + Lk; l++) taps[l] += k[stride + Lk - 1 - (l - L)];
}

void ebb_s4_kb_begin(EbbS4Kb *kb, const EbbS4Liquid *liquid, int64_t h, const float *k, int64_t stride,
                     float *work) {
  const int64_t n = rows_length(liquid), m = taps_length(liquid);
  const int64_t taps_floats = ebb_row_floats(2 * m), spectrum_floats = ebb_spectrum_floats(n);
  kb->mix = ebb_s4_mix_of(liquid, h);
  kb->taps = (EbbC32 *)(void *)work;
  kb->taps_grad = (EbbC32 *)(void *)(work + taps_floats);
  kb->row = work + 2 * taps_floats;
  kb->spectrum = (EbbC32 *)(void *)(kb->row + ebb_row_floats(n));
  kb->kept = (EbbC32 *)(void *)(kb->row + ebb_row_floats(n) + spectrum_floats);
  kb->work = work + ebb_s4_kb_floats(liquid);
  gather_taps(liquid, k, stride, kb->row);
  ebb_fft_forward(liquid->taps_fft, kb->row, kb->taps);
  for (int64_t j = m / 2 + 1; j < m; j++) kb->taps[j] = ebb_c32_conj(kb->taps[m - j]);
  memset(kb->taps_grad, 0, sizeof(EbbC32) * (size_t)m);
}

/* Transform of x = the mix of the streams, padded to n. */
static void transform_mix(EbbS4Kb *kb, const float *u) {
  const EbbS4Liquid *liquid = kb->mix.liquid;
  memset(kb->row, 0, sizeof(float) * (size_t)rows_length(liquid));
  ebb_s4_mix(&kb->mix, u, kb->row, kb->work);
  ebb_fft_forward(liquid->rows_fft, kb->row, kb->spectrum);
}

/* A real row has real first and (n even) last bins; what a product leaves there in the imaginary part is
 * dropped. */
static void make_hermitian(EbbC32 *spectrum, int64_t n) {
  spectrum[0].im = 0.0f;
  if (n % 2 == 0) spectrum[n / 2].im = 0.0f;
}

void ebb_s4_kb_forward(EbbS4Kb *kb, const float *u, float *restrict out) {
  const EbbS4Liquid *liquid = kb->mix.liquid;
  const int64_t n = rows_length(liquid), bins = taps_length(liquid);
  const float scale = 1.0f / (float)n;
  transform_mix(kb, u);
  for (int64_t j = 0; j < bins; j++) kb->spectrum[j] = ebb_c32_mul(kb->spectrum[j], kb->taps[j]);
  make_hermitian(kb->spectrum, n);
  ebb_fft_inverse(liquid->rows_fft, kb->spectrum, kb->row);
  for (int64_t t = 0; t < liquid->L; t++) out[t] += scale * kb->row[t];
}

void ebb_s4_kb_back(EbbS4Kb *kb, const float *u, const float *g, float *restrict du) {
  const EbbS4Liquid *liquid = kb->mix.liquid;
  const int64_t n = rows_length(liquid), bins = taps_length(liquid);
  const float scale = 1.0f / (float)n;
  transform_mix(kb, u);
  memset(kb->row, 0, sizeof(float) * (size_t)n);
  for (int64_t t = 0; t < liquid->L; t++) kb->row[t] = scale * g[t];
  ebb_fft_forward(liquid->rows_fft, kb->row, kb->kept);
  /* Bins other than the first and (n even) the last stand for two of the full transform. */
  for (int64_t j = 0; j < bins; j++) {
    const float weight = j == 0 || 2 * j == n ? 1.0f : 2.0f;
    EbbC32 product = ebb_c32_scale(ebb_c32_mul_conj(kb->kept[j], kb->spectrum[j]), weight);
    kb->taps_grad[j] = ebb_c32_add(kb->taps_grad[j], product);
    kb->kept[j] = ebb_c32_mul_conj(kb->kept[j], kb->taps[j]);
  }
  make_hermitian(kb->kept, n);
  ebb_fft_inverse(liquid->rows_fft, kb->kept, kb->row);
  ebb_s4_mix_back(&kb->mix, u, kb->row, du, kb->work);
}

/* The taps are real: their gradient is the real part of the inverse transform, which is the inverse of the
   spectrum's Hermitian part. */
void ebb_s4_kb_end(EbbS4Kb *kb, float *dk, int64_t stride) {
  const EbbS4Liquid *liquid = kb->mix.liquid;
  const int64_t m = taps_length(liquid), L = liquid->L, Lk = liquid->Lk;
  EbbC32 *half = kb->spectrum;
  for (int64_t j = 0; j <= m / 2; j++) {
    EbbC32 mirror = ebb_c32_conj(kb->taps_grad[(m - j) % m]);
    half[j] = ebb_c32_scale(ebb_c32_add(kb->taps_grad[j], mirror), 0.5f);
  }
  ebb_fft_inverse(liquid->taps_fft, half, kb->row);
  for (int64_t l = 0; l < m && l < Lk; l++) dk[l] += kb->row[l];
  if (liquid->channels == 2)
    for (int64_t l = L; l < m && l < L + Lk; l++) dk[stride + Lk - 1 - (l - L)] += kb->row[l];
}
