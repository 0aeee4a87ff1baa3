/* Products of inputs and their gradients, one row at a time. */
#include "host/ops/s4_liquid.h"

#include <string.h>

#include "host/cpu.h"

/* Rows of work: streams 0 .. p-1 (0 is u itself and only for gradients), then a row for the gradient in hand.
 */
int64_t ebb_s4_streams_floats(const EbbS4Liquid *liquid) {
  return liquid->kind == EBB_S4_PLAIN ? 0 : (liquid->degree + 2) * ebb_row_floats(liquid->L);
}

static const int32_t *runs_of(const EbbS4Liquid *liquid, int64_t q, int64_t *count) {
  const int32_t *entry = liquid->runs + 2 * (q - 2);
  *count = entry[1];
  return liquid->runs + entry[0];
}

/* v[t] of all q-subsets: a run has one product of its prefix times consecutive inputs. */
static void combine(const EbbS4Liquid *liquid, int64_t q, const float *restrict u, float *restrict v) {
  int64_t count;
  const int32_t *run = runs_of(liquid, q, &count);
  for (int64_t r = 0; r < count; r++, run += q + 2) {
    float product = 1.0f;
    for (int64_t i = 0; i < q - 1; i++) product *= u[run[3 + i]];
    const float *restrict x = u + run[1];
    float *restrict to = v + run[0];
    for (int32_t j = 0; j < run[2]; j++) to[j] = product * x[j];
  }
}

static void combine_back(const EbbS4Liquid *liquid, int64_t q, const float *restrict u,
                         const float *restrict gv, float *restrict du) {
  int64_t count;
  const int32_t *run = runs_of(liquid, q, &count);
  for (int64_t r = 0; r < count; r++, run += q + 2) {
    const int32_t *prefix = run + 3;
    const float *restrict x = u + run[1], *restrict g = gv + run[0];
    float *restrict dx = du + run[1];
    float product = 1.0f, sum = 0.0f;
    for (int64_t i = 0; i < q - 1; i++) product *= u[prefix[i]];
#pragma omp simd reduction(+ : sum)
    for (int32_t j = 0; j < run[2]; j++) {
      sum += g[j] * x[j];
      dx[j] += product * g[j];
    }
    for (int64_t i = 0; i < q - 1; i++) {
      float others = sum;
      for (int64_t j = 0; j < q - 1; j++) others *= j == i ? 1.0f : u[prefix[j]];
      du[prefix[i]] += others;
    }
  }
}

/* v[t] = x[t] x[t-1]. */
static void shift(int64_t L, const float *restrict x, float *restrict v) {
  v[0] = 0.0f;
  for (int64_t t = 1; t < L; t++) v[t] = x[t] * x[t - 1];
}

/* dx[t] += gv[t] x[t-1] + gv[t+1] x[t+1]. */
static void shift_back(int64_t L, const float *restrict x, const float *restrict gv, float *restrict dx) {
  for (int64_t t = 1; t < L; t++) dx[t] += gv[t] * x[t - 1];
  for (int64_t t = 0; t + 1 < L; t++) dx[t] += gv[t + 1] * x[t + 1];
}

static double next_power(const EbbS4Mix *mix, double power) {
  return ebb_s4_next_power(mix->liquid->kind, mix->s, power);
}

/* The stream after `previous` (v_{i-1}; u for i = 1) as one row of work. */
static void stream(const EbbS4Liquid *liquid, int64_t i, const float *u, const float *previous, float *v) {
  if (liquid->allcombs)
    combine(liquid, i + 1, u, v);
  else
    shift(liquid->L, previous, v);
}

void ebb_s4_mix(const EbbS4Mix *mix, const float *restrict u, float *restrict out, float *restrict work) {
  const EbbS4Liquid *liquid = mix->liquid;
  const int64_t L = liquid->L, row = ebb_row_floats(L);
  const EbbS4Contract contract = liquid->contract;
  const float *previous = u;
  double power = 1.0;
  for (int64_t i = 1; i < liquid->degree; i++) {
    float *v = work + (i % 2) * row;
    power = next_power(mix, power);
    const float flipped = (float)(mix->flipped * power), straight = (float)(mix->straight * power);
    stream(liquid, i, u, previous, v);
    if (contract == EBB_S4_NO_CONTRACT)
      for (int64_t t = 0; t < L; t++) out[t] += flipped * v[L - 1 - t];
    else
      for (int64_t t = 0; t < L; t++) out[t] += flipped * ebb_s4_contract(contract, v[L - 1 - t]);
    if (liquid->channels == 2 && mix->straight != 0.0)
      for (int64_t t = 0; t < L; t++) out[t] += straight * ebb_s4_contract(contract, v[t]);
    previous = v;
  }
}

/* gv = (weights applied to g) phi'(v); carried: what later streams sent to this one. */
static void stream_grad(const EbbS4Mix *mix, double power, const float *restrict g, const float *restrict v,
                        float *restrict gv) {
  const int64_t L = mix->liquid->L;
  const EbbS4Contract contract = mix->liquid->contract;
  const float flipped = (float)(mix->flipped * power), straight = (float)(mix->straight * power);
  for (int64_t t = 0; t < L; t++) gv[t] = flipped * g[L - 1 - t];
  if (mix->straight != 0.0)
    for (int64_t t = 0; t < L; t++) gv[t] += straight * g[t];
  if (contract != EBB_S4_NO_CONTRACT)
    for (int64_t t = 0; t < L; t++) gv[t] *= ebb_s4_contract_grad(contract, v[t]);
}

static void combinations_back(const EbbS4Mix *mix, const float *restrict u, const float *restrict g,
                              float *restrict du, float *restrict work) {
  const EbbS4Liquid *liquid = mix->liquid;
  float *v = work, *gv = work + ebb_row_floats(liquid->L);
  double power = 1.0;
  for (int64_t i = 1; i < liquid->degree; i++) {
    power = next_power(mix, power);
    if (liquid->contract != EBB_S4_NO_CONTRACT) combine(liquid, i + 1, u, v);
    stream_grad(mix, power, g, v, gv);
    combine_back(liquid, i + 1, u, gv, du);
  }
}

/* Every power up to the last stream's, recomputed because they are used from the last to the first. */
static double power_of(const EbbS4Mix *mix, int64_t i) {
  double power = 1.0;
  for (int64_t j = 0; j < i; j++) power = next_power(mix, power);
  return power;
}

static void shifts_back(const EbbS4Mix *mix, const float *restrict u, const float *restrict g,
                        float *restrict du, float *restrict work) {
  const EbbS4Liquid *liquid = mix->liquid;
  const int64_t L = liquid->L, row = ebb_row_floats(L), last = liquid->degree - 1;
  float *carried = work + liquid->degree * row, *gv = carried + row;
  memcpy(work, u, sizeof(float) * (size_t)L);
  for (int64_t i = 1; i <= last; i++) shift(L, work + (i - 1) * row, work + i * row);
  memset(carried, 0, sizeof(float) * (size_t)L);
  for (int64_t i = last; i > 0; i--) {
    stream_grad(mix, power_of(mix, i), g, work + i * row, gv);
    for (int64_t t = 0; t < L; t++) gv[t] += carried[t];
    memset(carried, 0, sizeof(float) * (size_t)L);
    shift_back(L, work + (i - 1) * row, gv, carried);
  }
  for (int64_t t = 0; t < L; t++) du[t] += carried[t];
}

void ebb_s4_mix_back(const EbbS4Mix *mix, const float *restrict u, const float *restrict g,
                     float *restrict du, float *restrict work) {
  if (mix->liquid->allcombs)
    combinations_back(mix, u, g, du, work);
  else
    shifts_back(mix, u, g, du, work);
}

EbbS4Mix ebb_s4_mix_of(const EbbS4Liquid *liquid, int64_t h) {
  EbbS4Constants constants = {0, {0, 0}};
  const bool kb = liquid->kind == EBB_S4_KB;
  for (int64_t m = 0; m < liquid->M; m++) ebb_s4_add_mode(liquid, h, m, &constants);
  return (EbbS4Mix){.liquid = liquid,
                    .s = constants.s,
                    .flipped = kb ? 1.0 : constants.c[0],
                    .straight = kb ? 0.0 : constants.c[1]};
}
