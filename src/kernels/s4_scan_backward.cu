/* Backward of s4_scan; see s4_scan.cuh for the layout. From the last tile to the first: the states of a tile
   are computed again from the kept one and held in shared memory, then the adjoint runs over them. A block
   goes through split_rows batch rows, so that gradients of abar, bbar and C stay in registers (float32 within
   a tile, double across tiles) until one sum a split is written; scan_params of s4_scan.cu adds the splits in
   order. Bytes: u, dy, pre and du once, 8 M / 32 bytes of states an element; with 32 modes the arithmetic,
   about 36 instructions a mode and step, takes longer. */
#include "kernels/s4_scan.cuh"

namespace {

/* What a lane of the first warp has loaded for its step of the block's rows. */
template <int R> struct Given { float u[R], dy[R], pre[R]; };

template <int P, int R>
__device__ __forceinline__ void load_given(const EbbS4ScanArgs &args, const ScanPlace<P> &at, int64_t b,
                                           int64_t t, Given<R> *given) {
  const int64_t row = b * args.H + at.first, L = args.L, valid = ebb_s4_valid(args.lengths, b, L);
  scan_load<R>(args.u, args.storage, row, at.there(), L, valid, t, given->u);
  scan_load<R>(args.dy, args.storage, row, at.there(), L, L, t, given->dy);
  if (args.epilogue.pre) scan_load<R>(args.epilogue.pre, args.storage, row, at.there(), L, L, t, given->pre);
}

/* dL/d(2 Re sum C x + D u) of row i. */
template <int R>
__device__ __forceinline__ float gradient(const EbbS4Epilogue &epilogue, const Given<R> &given, float factor,
                                          int i) {
  const float g = factor * given.dy[i];
  return epilogue.pre ? g * ebb_s4_activate_grad(epilogue.activation, given.pre[i]) : g;
}

/* Gradients of a thread's modes over one tile, and the sums over all of them. */
template <int S> struct Sums {
  double total[S][6], dD;
  float part[S][6], part_dD;
};

template <int S> __device__ __forceinline__ void add_parts(Sums<S> *sums) {
#pragma unroll
  for (int s = 0; s < S; s++)
#pragma unroll
    for (int i = 0; i < 6; i++) sums->total[s][i] += (double)sums->part[s][i], sums->part[s][i] = 0.0f;
  sums->dD += (double)sums->part_dD, sums->part_dD = 0.0f;
}

/* The states before every step of a tile from the one before its first; x ends as the state after its last.
 */
template <int S, bool BOUND>
__device__ __forceinline__ void remember(const ScanModes<S> &modes, float bound, int steps,
                                         const float *tile_u, EbbC32 x[S], float2 *history) {
  for (int q = 0; q < steps; q += SCAN_STEPS) {
    float u[SCAN_STEPS];
    scan_read(tile_u + q, u);
#pragma unroll
    for (int i = 0; i < SCAN_STEPS; i++)
#pragma unroll
      for (int s = 0; s < S; s++) {
        EbbC32 free;
        history[((q + i) * S + s) * EBB_WARP] = make_float2(x[s].re, x[s].im);
        const EbbC32 g = scan_gate<BOUND>(modes.a[s], modes.b[s], u[i], bound, &free);
        x[s] = ebb_scan_step(g, modes.b[s], u[i], x[s]);
      }
  }
}

/* One step back of one mode. lambda: dL/dx[t] without y_t's part on entry, dL/dx[t-1] on exit; now: x[t] on
   entry, x[t-1] on exit. Returns its share of du. */
template <bool BOUND>
__device__ __forceinline__ float step_back(EbbC32 a, EbbC32 b, EbbC32 c, float u, float gy2, float bound,
                                           EbbC32 before, EbbC32 *lambda, EbbC32 *now, float part[6]) {
  EbbC32 free;
  const EbbC32 g = scan_gate<BOUND>(a, b, u, bound, &free);
  const EbbC32 l = ebb_c32_make(lambda->re + gy2 * c.re, lambda->im - gy2 * c.im);
  EbbC32 dg = ebb_c32_mul_conj(l, before);
  if (BOUND) dg = ebb_scan_factor_grad(free, bound, dg);
  const EbbC32 both = ebb_c32_add(l, dg);
  part[0] += dg.re, part[1] += dg.im;
  part[2] += u * both.re, part[3] += u * both.im;
  part[4] += gy2 * now->re, part[5] -= gy2 * now->im;
  *lambda = ebb_c32_mul_conj(l, g);
  *now = before;
  return b.re * both.re + b.im * both.im;
}

/* The adjoint over a tile; the rows' du go to tile_du. */
template <int P, int S, bool BOUND>
__device__ __forceinline__ void tile_back(const ScanModes<S> &modes, const ScanPlace<P> &at, float bound,
                                          int steps, const float *tile_u, const float *tile_g,
                                          const float2 *history, EbbC32 x[S], EbbC32 lambda[S], Sums<S> *sums,
                                          float *tile_du) {
  for (int q = steps - SCAN_STEPS; q >= 0; q -= SCAN_STEPS) {
    float u[SCAN_STEPS], gy[SCAN_STEPS], du[SCAN_STEPS];
    scan_read(tile_u + q, u);
    scan_read(tile_g + q, gy);
#pragma unroll
    for (int i = SCAN_STEPS - 1; i >= 0; i--) {
      du[i] = 0.0f;
      sums->part_dD += gy[i] * u[i];
#pragma unroll
      for (int s = 0; s < S; s++) {
        const float2 before = history[((q + i) * S + s) * EBB_WARP];
        du[i] += step_back<BOUND>(modes.a[s], modes.b[s], modes.c[s], u[i], 2.0f * gy[i], bound,
                                  ebb_c32_make(before.x, before.y), &lambda[s], &x[s], sums->part[s]);
      }
    }
    scan_sum(du, at, tile_du + q);
  }
}

/* du of the block's rows at this lane's step t, or the sum so far where other parts of the modes follow. */
template <int P, int R>
__device__ __forceinline__ void store_du(const EbbS4ScanArgs &args, const ScanPlace<P> &at, int64_t part,
                                         int64_t b, int64_t t, const float *tile_du, const float g[R]) {
  const int64_t row = b * args.H + at.first, valid = ebb_s4_valid(args.lengths, b, args.L);
#pragma unroll
  for (int i = 0; i < R; i++) {
    if (i >= at.there() || t >= args.L || !args.du) continue;
    const int64_t element = (row + i) * args.L + t;
    float total = scan_total(tile_du, at, i);
    if (part > 0) total += args.carry[element];
    if (part + 1 < args.layout.parts) {
      args.carry[element] = total;
      continue;
    }
    if (args.epilogue.D) total += args.epilogue.D[at.first + i] * g[i];
    const float du = t < valid ? total : 0.0f;
    scan_put(args.du, args.storage, element,
             args.add_du ? scan_get(args.du, args.storage, element) + du : du);
  }
}

template <int P, int S>
__device__ __forceinline__ void store_sums(const EbbS4ScanArgs &args, const ScanPlace<P> &at, int64_t part,
                                           int64_t split, const Sums<S> &sums) {
  if (at.channel() >= args.H) return;
  const int64_t modes = args.H * args.M;
  for (int s = 0; s < S; s++) {
    const int64_t m = scan_mode_index<P, S>(at, part, s);
    if (m >= args.M) continue;
#pragma unroll
    for (int i = 0; i < 6; i++)
      args.sums[(split * 6 + i) * modes + at.channel() * args.M + m] = sums.total[s][i];
  }
  if (part == 0 && at.warp == 0 && at.place == 0) args.dD_sums[split * args.H + at.channel()] = sums.dD;
}

/* Shared memory: (rows) u, (rows) g, (warps rows) du, one tile each; then the states of every warp. */
template <int P, int S> struct Shared {
  static constexpr int rows = ScanPlace<P>::rows;
  static constexpr int history = SCAN_TILE * S * EBB_WARP;
  static __host__ size_t bytes(int64_t warps) {
    return (size_t)(2 + warps) * rows * SCAN_PITCH * sizeof(float) + (size_t)warps * history * sizeof(float2);
  }
};

template <int P, int S, bool BOUND>
__global__ void __launch_bounds__(128)
    s4_scan_backward(const EbbS4ScanArgs args, const S4Drop drop, const int64_t part) {
  EBB_SHARED(float, shared);
  constexpr int R = ScanPlace<P>::rows;
  const int64_t split = blockIdx.x / args.layout.channel_groups;
  const ScanPlace<P> at(args.H, blockIdx.x % args.layout.channel_groups);
  float *tile_u = shared, *tile_g = tile_u + R * SCAN_PITCH, *tile_du = tile_g + R * SCAN_PITCH;
  float2 *history = reinterpret_cast<float2 *>(tile_du + at.warps * R * SCAN_PITCH) +
                    at.warp * Shared<P, S>::history + at.lane;
  const ScanModes<S> modes = scan_modes<P, S>(args, at, part);
  const int64_t begin = split * args.layout.split_rows, rest = args.batch - begin;
  const int64_t end = begin + (rest < args.layout.split_rows ? rest : args.layout.split_rows);
  Sums<S> sums = {};
  for (int64_t b = begin; b < end; b++) {
    const int64_t row = b * args.H + at.first;
    EbbC32 lambda[S];
    Given<R> next = {};
    float factor[R];
    for (int s = 0; s < S; s++) lambda[s] = ebb_c32_make(0.0f, 0.0f);
    scan_factors(drop, row, args.L, at.lane, factor);
    if (at.warp == 0) load_given(args, at, b, (args.checks - 1) * SCAN_TILE + at.lane, &next);
    for (int64_t tile = args.checks - 1; tile >= 0; tile--) {
      const int64_t t = tile * SCAN_TILE + at.lane;
      float g[R] = {};
      EbbC32 x[S];
      if (at.warp == 0 && scan_drops_steps(drop)) scan_factors(drop, row, args.L, t, factor);
#pragma unroll
      for (int i = 0; i < R && at.warp == 0; i++) {
        g[i] = gradient(args.epilogue, next, factor[i], i);
        tile_u[i * SCAN_PITCH + at.lane] = next.u[i], tile_g[i * SCAN_PITCH + at.lane] = g[i];
      }
      const float2 *kept = scan_states<P, S>(args, at, part, b, tile);
      for (int s = 0; s < S; s++) x[s] = ebb_c32_make(kept[s * EBB_WARP].x, kept[s * EBB_WARP].y);
      __syncthreads();
      /* The next tile is on its way while this one is worked on. */
      if (at.warp == 0 && tile > 0) load_given(args, at, b, t - SCAN_TILE, &next);
      const int steps = scan_steps(args.L, tile);
      const float *row_u = tile_u + at.row * SCAN_PITCH, *row_g = tile_g + at.row * SCAN_PITCH;
      remember<S, BOUND>(modes, args.bound, steps, row_u, x, history);
      tile_back<P, S, BOUND>(modes, at, args.bound, steps, row_u, row_g, history, x, lambda, &sums,
                             tile_du + (at.warp * R + at.row) * SCAN_PITCH);
      add_parts(&sums);
      __syncthreads();
      if (at.warp == 0) store_du<P, R>(args, at, part, b, t, tile_du, g);
    }
  }
  store_sums<P, S>(args, at, part, split, sums);
}

template <int P, int S, bool BOUND>
EbbStatus launch(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part) {
  const EbbScanLayout *layout = &args->layout;
  const S4Drop drop = s4_drop_of(run, &args->epilogue);
  return EBB_LAUNCH(
      run, (s4_scan_backward<P, S, BOUND>), dim3((unsigned)(layout->splits * layout->channel_groups)),
      dim3((unsigned)layout->warps * EBB_WARP), (Shared<P, S>::bytes(layout->warps)), *args, drop, part);
}

const EbbScanForm forms[] = EBB_SCAN_FORMS(launch);

} // namespace

EbbStatus ebb_scan_backward_part(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part) {
  return ebb_scan_launch(forms, args, run, part);
}
