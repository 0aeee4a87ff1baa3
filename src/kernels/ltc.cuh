/* An LTC cell of at most N neurons: a block takes a sample through all of its time. Eight lanes share a
   target; a lane holds N / 8 of its synapses in registers, those of sources lane, lane + 8, ..., and all
   eight make the same update, so that a sub-step forward needs one barrier. Pairs of neurons without synapse
   are worked on with parameters of 0 and their result is put away, as it may not be finite. */
#ifndef EBB_KERNELS_LTC_CUH
#define EBB_KERNELS_LTC_CUH

#include "kernels/cell_reduce.cuh"

enum { LTC_LANES = 8 };

/* tanh within 2^-11 of its value. */
static __device__ __forceinline__ float ltc_tanh(float x) {
#if defined(__CUDA_ARCH__)
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  const float y = ebb_tanhf(x);
  return __int_as_float(__float_as_int(y) & ~0xfff);
#endif
}

/* The sigmoid; FAST within 2^-12, one operation of the special-function unit where there are two. */
template <bool FAST> static __device__ __forceinline__ float ltc_sigmoid(float x) {
  return FAST ? 0.5f + 0.5f * ltc_tanh(0.5f * x) : cell_sigmoid(x);
}

template <int N> struct LtcSize {
  enum { SYNAPSES = N / LTC_LANES, THREADS = N * LTC_LANES, WARPS = THREADS / EBB_WARP };
};

/* What a lane knows of its target. */
template <int N> struct LtcTarget {
  enum { SYNAPSES = LtcSize<N>::SYNAPSES };
  const int j, lane;
  bool here;
  float sigma[SYNAPSES], mu[SYNAPSES], w[SYNAPSES], pull[SYNAPSES]; /* pull: w erev */
  float cm, gleak, vleak;
  unsigned exists; /* bit k: synapse k does */
  int output;      /* its place in y; -1: none */

  __device__ __forceinline__ int source(int k) const { return lane + LTC_LANES * k; }

  __device__ __forceinline__ LtcTarget(const CellView &a, const EbbCellLtc &ltc)
      : j((int)threadIdx.x / LTC_LANES), lane((int)threadIdx.x % LTC_LANES), here(j < ltc.H), exists(0) {
    const float4 *synapse = reinterpret_cast<const float4 *>(a.table[ltc.table].by_source);
#pragma unroll
    for (int k = 0; k < SYNAPSES; k++) {
      const int at = here && source(k) < ltc.H ? ltc.position[source(k) * ltc.H + j] : -1;
      const float4 s = at >= 0 ? synapse[at] : make_float4(0, 0, 0, 0);
      sigma[k] = s.x, mu[k] = s.y, w[k] = s.z, pull[k] = s.w;
      exists |= at >= 0 ? 1u << k : 0u;
    }
    cm = here ? a.arena[ltc.cm + j] : 1.0f;
    gleak = here ? a.arena[ltc.gleak + j] : 0.0f;
    vleak = here ? a.arena[ltc.vleak + j] : 0.0f;
    output = here && j >= ltc.output && j < ltc.output + a.O ? j - ltc.output : -1;
  }
};

/* The mapping of an output, read once a step where a register would be dearer. */
static __device__ __forceinline__ float ltc_weight(const CellView &a, const EbbCellLtc &ltc, int output) {
  return ltc.weight >= 0 ? a.arena[ltc.weight + output] : 1.0f;
}
static __device__ __forceinline__ float ltc_bias(const CellView &a, const EbbCellLtc &ltc, int output) {
  return ltc.bias >= 0 ? a.arena[ltc.bias + output] : 0.0f;
}

/* A step's numbers for a target: its sensory sums and the elapsed time. */
struct LtcStep {
  float numerator, denominator, elapsed;
};

static __device__ __forceinline__ LtcStep ltc_step(const CellView &a, const EbbCellLtc &ltc, int j, bool here,
                                                   int64_t row) {
  const bool adds = here && ltc.sensory >= 0;
  const int64_t at = row * a.seqs + ltc.sensory + j;
  return {adds ? a.seq[at] : 0.0f, adds ? a.seq[at + ltc.H] : 0.0f, cell_elapsed(a, row)};
}

static __device__ __forceinline__ float ltc_lane_sum(float value) {
#pragma unroll
  for (int offset = LTC_LANES / 2; offset > 0; offset /= 2)
    value += __shfl_xor_sync(EBB_FULL_WARP, value, offset);
  return value;
}

/* Operands of ebb_cell_ltc_fused for the target's next sub-step; v: all neurons' (N), own: the target's. */
template <int N, bool FAST>
static __device__ __forceinline__ void ltc_operands(const LtcTarget<N> &target, const EbbCellLtc &ltc,
                                                    const LtcStep &step, const float *v, float own,
                                                    float (&in)[9]) {
  float numerator = 0, denominator = 0;
#pragma unroll
  for (int k = 0; k < LtcSize<N>::SYNAPSES; k++) {
    const float open = ltc_sigmoid<FAST>(target.sigma[k] * (v[target.source(k)] - target.mu[k]));
    numerator += target.exists >> k & 1u ? target.pull[k] * open : 0.0f;
    denominator += target.exists >> k & 1u ? target.w[k] * open : 0.0f;
  }
  in[0] = own;
  in[1] = ltc_lane_sum(numerator) + step.numerator;
  in[2] = ltc_lane_sum(denominator) + step.denominator;
  in[3] = target.cm, in[4] = target.gleak, in[5] = target.vleak;
  in[6] = step.elapsed, in[7] = ltc.scale, in[8] = ltc.epsilon;
}

/* Calls launch<N, FAST>(args, run) with the least N that holds the neurons. */
#define LTC_LAUNCH(N, launch, args, run)                                                                     \
  ((args).approximate ? launch<N, true>(args, run) : launch<N, false>(args, run))
#define LTC_DISPATCH(launch, args, run)                                                                      \
  ((args).cuda.ltc.H <= 16   ? LTC_LAUNCH(16, launch, args, run)                                             \
   : (args).cuda.ltc.H <= 32 ? LTC_LAUNCH(32, launch, args, run)                                             \
                             : LTC_LAUNCH(64, launch, args, run))

#endif
