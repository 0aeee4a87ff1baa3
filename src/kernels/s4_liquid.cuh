/* The mix of the liquid streams on the device, from the last `span` inputs of a row in shared memory. Source
   and formulas: ebb/ops/s4_liquid.h. */
#ifndef EBB_KERNELS_S4_LIQUID_CUH
#define EBB_KERNELS_S4_LIQUID_CUH

#include "ebb/ops/s4_liquid.h"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

/* The liquid term of a whole batch as kernels of its own. */
typedef struct S4MixRows {
  EbbS4Liquid liquid;
  EbbDtype storage; /* of u */
  const float *u;   /* (B, H, L) */
  const int32_t *lengths;
  int64_t B;
  float *weights; /* (H, degree - 1, 2), made by ebb_s4_mix_weights */
  float *streams; /* (ebb_s4_shift_rows, B, H, L) where streams are shifts */
} S4MixRows;
extern "C" {
EbbStatus ebb_s4_mix_weights(const S4MixRows *mix, const EbbRun *run) EBB_MUST_CHECK;
/* x (B, H, L) += the mix of the streams of u. */
EbbStatus ebb_s4_mix_forward(const S4MixRows *mix, const EbbRun *run, float *x) EBB_MUST_CHECK;
/* du (B, H, L) = the gradient through that mix, from g (B, H, L). */
EbbStatus ebb_s4_mix_backward(const S4MixRows *mix, const EbbRun *run, const float *g,
                              float *du) EBB_MUST_CHECK;
}

/* Weights of channel h: for each stream i = 1 .. p-1 flipped, then straight. All lanes of one warp together.
 */
__device__ __forceinline__ void s4_mix_weights(const EbbS4Liquid &liquid, int64_t h, float *weights) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  EbbS4Constants sum = {0, {0, 0}};
  for (int64_t m = lane; m < liquid.M; m += EBB_WARP) ebb_s4_add_mode(&liquid, h, m, &sum);
  sum.s = warp_sum(sum.s), sum.c[0] = warp_sum(sum.c[0]), sum.c[1] = warp_sum(sum.c[1]);
  if (lane != 0) return;
  const bool kb = liquid.kind == EBB_S4_KB;
  double power = 1.0;
  for (int64_t i = 1; i < liquid.degree; i++) {
    power = ebb_s4_next_power(liquid.kind, sum.s, power);
    float *to = weights + 2 * (h * (liquid.degree - 1) + i - 1);
    to[0] = (float)(kb ? power : sum.c[0] * power);
    to[1] = (float)(kb ? 0.0 : sum.c[1] * power);
  }
}

__device__ __forceinline__ float s4_subset_product(const uint16_t *member, int64_t L, int64_t q, int64_t t,
                                                   const float *last) {
  float product = last[member[t]];
  for (int64_t j = 1; j < q; j++) product *= last[member[j * L + t]];
  return product;
}

/* What the streams of all combinations add to x[t]. weights: of the row's channel; last: its last inputs. */
__device__ __forceinline__ float s4_mix(const EbbS4Liquid &liquid, const float *weights, const float *last,
                                        int64_t t) {
  const char *table = liquid.subsets;
  float sum = 0.0f;
  for (int64_t q = 2; q <= liquid.degree; q++, weights += 2) {
    const uint16_t *member = ebb_s4_subsets(table, liquid.L, liquid.span, q).member;
    const float v = s4_subset_product(member, liquid.L, q, liquid.L - 1 - t, last);
    sum += weights[0] * ebb_s4_contract(liquid.contract, v);
    if (liquid.channels == 2 && weights[1] != 0.0f)
      sum += weights[1] * ebb_s4_contract(liquid.contract, s4_subset_product(member, liquid.L, q, t, last));
    table += ebb_s4_subsets_bytes(liquid.L, liquid.span, q);
  }
  return sum;
}

/* Lane `lane` of `lanes`: its part of what input i of `last` gets through the streams of q-subsets, from g =
   dL/dx. */
__device__ __forceinline__ float s4_mix_back(const EbbS4Liquid &liquid, const EbbS4Subsets &subsets,
                                             int64_t q, const float *weights, const float *last,
                                             const float *g, int i, int lane, int lanes) {
  const int64_t L = liquid.L;
  float sum = 0.0f;
  for (int64_t e = subsets.start[i] + lane; e < subsets.start[i + 1]; e += lanes) {
    const int64_t t = subsets.use[e];
    const float others = s4_subset_product(subsets.other, q * L, q - 1, e, last);
    float gv = weights[0] * g[L - 1 - t] + weights[1] * g[t];
    if (liquid.contract != EBB_S4_NO_CONTRACT) gv *= ebb_s4_contract_grad(liquid.contract, others * last[i]);
    sum += gv * others;
  }
  return sum;
}

/* to[i] = what input i gets through all streams, i < span, by a row's `threads` threads, t among them, in
   groups of LANES that sum in one order. All lanes of the warp come here together. */
template <int LANES>
__device__ __forceinline__ void s4_mix_back_row(const EbbS4Liquid &liquid, const float *weights,
                                                const float *last, const float *g, int t, int threads,
                                                float *to) {
  for (int i = t / LANES; i < (int)liquid.span; i += threads / LANES) {
    const char *table = liquid.subsets;
    float sum = 0.0f;
    for (int64_t q = 2; q <= liquid.degree; q++) {
      const EbbS4Subsets subsets = ebb_s4_subsets(table, liquid.L, liquid.span, q);
      sum += s4_mix_back(liquid, subsets, q, weights + 2 * (q - 2), last, g, i, t % LANES, LANES);
      table += ebb_s4_subsets_bytes(liquid.L, liquid.span, q);
    }
#pragma unroll
    for (int offset = LANES / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(EBB_FULL_WARP, sum, offset);
    if (t % LANES == 0) to[i] = sum;
  }
}

#endif
