/* LTC backward, see ltc.cuh: each step's sub-steps again from the state before it, then backwards. Gradients
   of parameters stay in registers over all time of a block's samples; a sub-step backward needs one barrier,
   between the parts of the states' gradients that the warps make and their sums. */
#include "kernels/ltc.cuh"

namespace {

/* What a lane adds up: of its synapses, and one of the target's five parameters (CM .. BIAS). */
enum { CM, GLEAK, VLEAK, WEIGHT, BIAS };

template <int N> struct Sums {
  float gn[LtcSize<N>::SYNAPSES], gd[LtcSize<N>::SYNAPSES], d[LtcSize<N>::SYNAPSES], vd[LtcSize<N>::SYNAPSES];
  float own;
};

/* A block's shared memory: of each sub-step of the step the states before it and both sums, (repeat + 1, N),
   (repeat, N) twice; parts of gradients, (2, warps, N). */
template <int N> struct Memory {
  float *v;
  int repeat;
  __device__ __forceinline__ float *numerator() const { return v + (repeat + 1) * N; }
  __device__ __forceinline__ float *denominator() const { return v + (2 * repeat + 1) * N; }
  __device__ __forceinline__ float *part() const { return v + (3 * repeat + 1) * N; }
  static size_t bytes(int64_t repeat) {
    return sizeof(float) * (size_t)(N * (3 * repeat + 1) + 2 * LtcSize<N>::WARPS * N);
  }
};

/* The target's own sum of the parts; every lane gets it. */
template <int N> __device__ __forceinline__ float sum_parts(const LtcTarget<N> &target, const float *part) {
  float sum = 0;
  for (int warp = target.lane; warp < LtcSize<N>::WARPS; warp += LTC_LANES) sum += part[warp * N + target.j];
  return ltc_lane_sum(sum);
}

/* Through the synapses of one sub-step, gn and gd being the gradients of the target's sums. What the sources'
   states get, over the four targets of a warp, goes to the warp's part. */
template <int N, bool FAST>
__device__ __forceinline__ void synapses_back(const LtcTarget<N> &target, const float *v, float gn, float gd,
                                              Sums<N> &sums, float *part) {
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
#pragma unroll
  for (int k = 0; k < LtcSize<N>::SYNAPSES; k++) {
    const float above = v[target.source(k)] - target.mu[k], open = ltc_sigmoid<FAST>(target.sigma[k] * above);
    const float n = open * gn, d = open * gd;
    const float slope = (1.0f - open) * (n * target.pull[k] + d * target.w[k]);
    sums.gn[k] += n, sums.gd[k] += d, sums.d[k] += slope, sums.vd[k] += above * slope;
    float dv = target.exists >> k & 1u ? target.sigma[k] * slope : 0.0f;
    dv += __shfl_xor_sync(EBB_FULL_WARP, dv, 8);
    dv += __shfl_xor_sync(EBB_FULL_WARP, dv, 16);
    if (lane < LTC_LANES) part[warp * N + target.source(k)] = dv;
  }
}

/* The sub-steps of a step, kept. */
template <int N, bool FAST>
__device__ __forceinline__ void run_again(const CellView &a, const EbbCellLtc &ltc,
                                          const LtcTarget<N> &target, const Memory<N> &memory,
                                          const LtcStep &step, float v) {
  if (target.lane == 0) memory.v[target.j] = v;
  __syncthreads();
  for (int r = 0; r < a.repeat; r++) {
    float in[9];
    ltc_operands<N, FAST>(target, ltc, step, memory.v + r * N, v, in);
    v = ebb_cell_ltc_fused(in);
    if (target.lane == 0) {
      memory.v[(r + 1) * N + target.j] = v;
      memory.numerator()[r * N + target.j] = in[1], memory.denominator()[r * N + target.j] = in[2];
    }
    __syncthreads();
  }
}

/* From the gradient g of the state after the step to that before it. sensory: gradients of the step's sums,
   added to. Returns the target's part of elapsed time's. */
template <int N, bool FAST>
__device__ __forceinline__ float run_back(const CellView &a, const EbbCellLtc &ltc,
                                          const LtcTarget<N> &target, const Memory<N> &memory,
                                          const LtcStep &step, float &g, float (&sensory)[2], Sums<N> &sums) {
  float elapsed = 0;
  for (int r = a.repeat - 1; r >= 0; r--) {
    const int at = r * N + target.j;
    const float in[9] = {memory.v[at],
                         memory.numerator()[at],
                         memory.denominator()[at],
                         target.cm,
                         target.gleak,
                         target.vleak,
                         step.elapsed,
                         ltc.scale,
                         ltc.epsilon};
    float d[9], *part = memory.part() + (r % 2) * LtcSize<N>::WARPS * N;
    ebb_cell_ltc_fused_grad(in, memory.v[at + N], g, d);
    sensory[0] += d[1], sensory[1] += d[2], elapsed += d[6];
    const int lane = target.lane;
    sums.own += lane == CM ? d[3] : lane == GLEAK ? d[4] : lane == VLEAK ? d[5] : 0.0f;
    synapses_back<N, FAST>(target, memory.v + r * N, d[1], d[2], sums, part);
    __syncthreads();
    g = d[0] + sum_parts(target, part);
  }
  return elapsed;
}

/* Adds the gradient of the row's elapsed time, of all targets; scratch: 32 floats. */
template <int N>
__device__ __forceinline__ void store_elapsed(const CellView &a, const LtcTarget<N> &target, float elapsed,
                                              int64_t row, float *scratch) {
  if (!a.delapsed) return;
  __syncthreads();
  const float sum = block_sum(target.lane == 0 && target.here ? elapsed : 0.0f, scratch);
  if (threadIdx.x == 0) a.delapsed[row] += sum;
}

template <int N, bool FAST>
__device__ __forceinline__ void step_back(const CellView &a, const EbbCellLtc &ltc,
                                          const LtcTarget<N> &target, const Memory<N> &memory, int64_t b,
                                          int64_t t, float &g, Sums<N> &sums) {
  const int64_t row = b * a.T + t;
  const float *before = t > 0 ? a.states + (row - 1) * a.S : a.state ? a.state + b * a.S : nullptr;
  const LtcStep step = ltc_step(a, ltc, target.j, target.here, row);
  float sensory[2] = {0, 0};
  run_again<N, FAST>(a, ltc, target, memory, step, before && target.here ? before[target.j] : 0.0f);
  if (a.dy && target.output >= 0) {
    const float dy = a.dy[row * a.O + target.output];
    const float v = memory.v[a.repeat * N + target.j];
    sums.own += target.lane == WEIGHT ? dy * v : target.lane == BIAS ? dy : 0.0f;
    g += dy * ltc_weight(a, ltc, target.output);
  }
  const float elapsed = run_back<N, FAST>(a, ltc, target, memory, step, g, sensory, sums);
  if (target.lane == 0 && target.here && ltc.sensory >= 0) {
    float *to = a.dseq + row * a.seqs + ltc.sensory + target.j;
    to[0] = sensory[0], to[ltc.H] = sensory[1];
  }
  store_elapsed(a, target, elapsed, row, memory.part());
}

/* Now and then sums are added to the block's part in device memory, which keeps what is lost in rounding far
   below that of one long sum. */
enum { FLUSH = 64 };

template <int N>
__device__ __forceinline__ void flush_sums(const CellView &a, const EbbCellLtc &ltc,
                                           const LtcTarget<N> &target, Sums<N> &sums) {
  float *part = a.program.part + (int64_t)blockIdx.x * a.program.sums;
  float4 *synapse = reinterpret_cast<float4 *>(part + a.program.sums_of[ltc.table]);
#pragma unroll
  for (int k = 0; k < LtcSize<N>::SYNAPSES; k++) {
    const int i = target.source(k), at = target.here && i < ltc.H ? ltc.position[i * ltc.H + target.j] : -1;
    if (at >= 0) {
      const float4 sum = synapse[at];
      synapse[at] =
          make_float4(sum.x + sums.gn[k], sum.y + sums.gd[k], sum.z + sums.d[k], sum.w + sums.vd[k]);
    }
    sums.gn[k] = sums.gd[k] = sums.d[k] = sums.vd[k] = 0.0f;
  }
  const int lane = target.lane, i = lane < WEIGHT ? target.j : target.output;
  const int32_t at = lane == CM       ? ltc.dcm
                     : lane == GLEAK  ? ltc.dgleak
                     : lane == VLEAK  ? ltc.dvleak
                     : lane == WEIGHT ? ltc.dweight
                     : lane == BIAS   ? ltc.dbias
                                      : -1;
  if (at >= 0 && target.here && i >= 0) part[at + i] += sums.own;
  sums.own = 0.0f;
}

template <int N, bool FAST>
__device__ __forceinline__ void run_sample(const CellView &a, const EbbCellLtc &ltc,
                                           const LtcTarget<N> &target, const Memory<N> &memory, int64_t b,
                                           Sums<N> &sums) {
  const int64_t length = cell_length(a, b);
  float g = 0;
  for (int64_t t = a.T - 1; t >= 0; t--) {
    if (a.dstates && target.here) g += a.dstates[(b * a.T + t) * a.S + target.j];
    if (t < length) step_back<N, FAST>(a, ltc, target, memory, b, t, g, sums);
    if (t % FLUSH == 0) flush_sums(a, ltc, target, sums);
    if (a.truncate > 0 && t > 0 && t % a.truncate == 0) g = 0;
  }
  if (!a.dstate || target.lane > 0 || !target.here) return;
  const int64_t at = b * a.S + target.j;
  a.dstate[at] = (a.add_dstate ? a.dstate[at] : 0.0f) + g;
}

template <int N, bool FAST>
__global__ void __launch_bounds__(LtcSize<N>::THREADS, 1)
    ltc_backward(const CellView a, const EbbCellLtc ltc) {
  EBB_SHARED(float, shared);
  const LtcTarget<N> target(a, ltc);
  const Memory<N> memory = {shared, a.repeat};
  Sums<N> sums = {};
  for (int64_t b = blockIdx.x; b < a.B; b += gridDim.x) run_sample<N, FAST>(a, ltc, target, memory, b, sums);
}

template <int N, bool FAST> EbbStatus launch(const EbbCellArgs &args, const EbbRun *run) {
  const CellView a = cell_view(args, run, CELL_STEPS, true);
  return EBB_LAUNCH(run, (ltc_backward<N, FAST>), dim3((unsigned)a.program.blocks), dim3(LtcSize<N>::THREADS),
                    Memory<N>::bytes(a.repeat), a, args.cuda.ltc);
}

} // namespace

EbbStatus cell_ltc_backward(const EbbCellArgs &args, const EbbRun *run) {
  return LTC_DISPATCH(launch, args, run);
}
