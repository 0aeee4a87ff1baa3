/* Forward of s4_scan; see s4_scan.cuh for the layout. Bytes: u once, y and `pre` once, in training 8 M / 32
   bytes of kept states an element; with 32 modes the arithmetic, about 15 instructions a mode and step, takes
   longer. */
#include "kernels/s4_scan.cuh"

namespace {

/* y = drop(act(2 sum + D u)) of the block's rows at this lane's step t, or the sum so far where other parts
   of the modes follow. */
template <int P>
__device__ __forceinline__ void finish_tile(const EbbS4ScanArgs &args, const ScanPlace<P> &at, int64_t part,
                                            int64_t row, int64_t t, const float *sums, const float *u,
                                            const float *factor) {
  const EbbS4Epilogue &epilogue = args.epilogue;
#pragma unroll
  for (int i = 0; i < at.rows; i++) {
    if (i >= at.there() || t >= args.L) continue;
    const int64_t element = (row + i) * args.L + t;
    float total = scan_total(sums, at, i);
    if (part > 0) total += args.carry[element];
    if (part + 1 < args.layout.parts) {
      args.carry[element] = total;
      continue;
    }
    const float x = 2.0f * total + (epilogue.D ? epilogue.D[at.first + i] * u[i] : 0.0f);
    if (epilogue.pre) scan_put(epilogue.pre, args.storage, element, x);
    scan_put(args.y, args.storage, element, factor[i] * ebb_s4_activate(epilogue.activation, x));
  }
}

template <int P, int S, bool BOUND>
__global__ void __launch_bounds__(128)
    s4_scan_forward(const EbbS4ScanArgs args, const S4Drop drop, const int64_t part) {
  EBB_SHARED(float, shared);
  constexpr int R = ScanPlace<P>::rows;
  float *tile_u = shared, *sums = shared + R * SCAN_PITCH;
  const int64_t b = blockIdx.x / args.layout.channel_groups;
  const ScanPlace<P> at(args.H, blockIdx.x % args.layout.channel_groups);
  const int64_t row = b * args.H + at.first, valid = ebb_s4_valid(args.lengths, b, args.L);
  const ScanModes<S> modes = scan_modes<P, S>(args, at, part);
  const bool first_warp = at.warp == 0;
  EbbC32 x[S];
  float next[R], factor[R];
  for (int s = 0; s < S; s++) x[s] = ebb_c32_make(0.0f, 0.0f);
  scan_load<R>(args.u, args.storage, row, at.there(), args.L, valid, at.lane, next);
  scan_factors(drop, row, args.L, at.lane, factor);
  for (int64_t tile = 0; tile < args.checks; tile++) {
    float now[R];
#pragma unroll
    for (int i = 0; i < R; i++) {
      now[i] = next[i];
      if (first_warp) tile_u[i * SCAN_PITCH + at.lane] = now[i];
    }
    if (args.states) {
      float2 *kept = scan_states<P, S>(args, at, part, b, tile);
      for (int s = 0; s < S; s++) kept[s * EBB_WARP] = make_float2(x[s].re, x[s].im);
    }
    __syncthreads();
    /* The next tile is on its way while this one is worked on. */
    const int64_t t = tile * SCAN_TILE + at.lane;
    if (first_warp) scan_load<R>(args.u, args.storage, row, at.there(), args.L, valid, t + SCAN_TILE, next);
    for (int q = 0; q < scan_steps(args.L, tile); q += SCAN_STEPS) {
      float u[SCAN_STEPS], value[SCAN_STEPS];
      scan_read(tile_u + at.row * SCAN_PITCH + q, u);
#pragma unroll
      for (int i = 0; i < SCAN_STEPS; i++) {
        value[i] = 0.0f;
#pragma unroll
        for (int s = 0; s < S; s++) {
          EbbC32 free;
          const EbbC32 g = scan_gate<BOUND>(modes.a[s], modes.b[s], u[i], args.bound, &free);
          x[s] = ebb_scan_step(g, modes.b[s], u[i], x[s]);
          value[i] += modes.c[s].re * x[s].re - modes.c[s].im * x[s].im;
        }
      }
      scan_sum(value, at, sums + (at.warp * R + at.row) * SCAN_PITCH + q);
    }
    __syncthreads();
    if (first_warp && scan_drops_steps(drop)) scan_factors(drop, row, args.L, t, factor);
    if (first_warp) finish_tile(args, at, part, row, t, sums, now, factor);
  }
}

template <int P, int S, bool BOUND>
EbbStatus launch(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part) {
  const EbbScanLayout *layout = &args->layout;
  const S4Drop drop = s4_drop_of(run, &args->epilogue);
  const size_t rows = (size_t)(layout->rows + layout->rows * layout->warps);
  return EBB_LAUNCH(
      run, (s4_scan_forward<P, S, BOUND>), dim3((unsigned)(args->batch * layout->channel_groups)),
      dim3((unsigned)layout->warps * EBB_WARP), rows * SCAN_PITCH * sizeof(float), *args, drop, part);
}

const EbbScanForm forms[] = EBB_SCAN_FORMS(launch);

} // namespace

EbbStatus ebb_scan_forward_part(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part) {
  return ebb_scan_launch(forms, args, run, part);
}
