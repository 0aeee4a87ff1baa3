/* LTC forward, see ltc.cuh. Bytes a step: the sensory sums, y and the state, once. */
#include "kernels/ltc.cuh"

namespace {

template <int N>
__device__ __forceinline__ void store_step(const CellView &a, const EbbCellLtc &ltc,
                                           const LtcTarget<N> &target, int64_t row, float v, bool padding) {
  if (target.lane > 0 || !target.here) return;
  a.states[row * a.S + target.j] = v;
  if (target.output < 0) return;
  const float y = v * ltc_weight(a, ltc, target.output) + ltc_bias(a, ltc, target.output);
  a.y[row * a.O + target.output] = padding ? 0.0f : y;
}

/* shared: two vectors of all neurons; a sub-step reads one and writes the other. */
template <int N, bool FAST>
__device__ __forceinline__ void run_sample(const CellView &a, const EbbCellLtc &ltc,
                                           const LtcTarget<N> &target, float *shared, int64_t b,
                                           EbbFault *fault) {
  const int64_t length = cell_length(a, b);
  float v = a.state && target.here ? a.state[b * a.S + target.j] : 0.0f;
  int at = 0;
  if (threadIdx.x == 0) cell_check_length(a, b, fault);
  if (target.lane == 0) shared[target.j] = v;
  __syncthreads();
  LtcStep next = length > 0 ? ltc_step(a, ltc, target.j, target.here, b * a.T) : LtcStep{0, 0, 0};
  for (int64_t t = 0; t < a.T; t++) {
    const LtcStep step = next;
    if (t + 1 < length) next = ltc_step(a, ltc, target.j, target.here, b * a.T + t + 1);
    if (t < length && threadIdx.x == 0) cell_check_elapsed(step.elapsed, b, t, fault);
    for (int r = 0; t < length && r < a.repeat; r++) {
      float in[9];
      ltc_operands<N, FAST>(target, ltc, step, shared + at, v, in);
      v = ebb_cell_ltc_fused(in);
      at = N - at;
      if (target.lane == 0) shared[at + target.j] = v;
      __syncthreads();
    }
    store_step(a, ltc, target, b * a.T + t, v, t >= length);
  }
}

template <int N, bool FAST>
__global__ void __launch_bounds__(LtcSize<N>::THREADS, 1)
    ltc_forward(const CellView a, const EbbCellLtc ltc, EbbFault *fault) {
  EBB_SHARED(float, shared);
  const LtcTarget<N> target(a, ltc);
  for (int64_t b = blockIdx.x; b < a.B; b += gridDim.x) {
    run_sample<N, FAST>(a, ltc, target, shared, b, fault);
    __syncthreads();
  }
}

template <int N, bool FAST> EbbStatus launch(const EbbCellArgs &args, const EbbRun *run) {
  const CellView a = cell_view(args, run, CELL_STEPS, false);
  return EBB_LAUNCH(run, (ltc_forward<N, FAST>), dim3((unsigned)a.program.blocks), dim3(LtcSize<N>::THREADS),
                    2 * N * sizeof(float), a, args.cuda.ltc, ebb_fault_of(run));
}

} // namespace

EbbStatus cell_ltc_forward(const EbbCellArgs &args, const EbbRun *run) {
  return LTC_DISPATCH(launch, args, run);
}
