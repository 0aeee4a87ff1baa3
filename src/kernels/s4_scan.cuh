/* What the forward and the backward kernel of s4_scan share: where a thread stands, the constants of its
   modes, tiles of inputs, and sums over the modes of a row.

   One lane holds `S` modes of one row (b, h) in registers through all steps, P lanes make a row; see
   EbbScanLayout. A block is the warps of one row, or one warp with 32 / P rows, so the hardware spreads rows
   over multiprocessors and no block waits for another. Time goes in tiles of 32 steps: inputs of a tile are
   staged in shared memory, read there by all lanes of their row; every 8 steps the modes are summed by
   shuffles that halve the steps a lane is responsible for, about one shuffle a step. */
#ifndef EBB_KERNELS_S4_SCAN_CUH
#define EBB_KERNELS_S4_SCAN_CUH

#include "ebb/ops/s4_scan.h"
#include "kernels/s4_epilogue.cuh"

/* PITCH keeps rows of a tile aligned to 16 bytes and, read by 8 rows at once, in distinct banks. */
enum { SCAN_TILE = EBB_SCAN_INTERVAL, SCAN_STEPS = 8, SCAN_PITCH = SCAN_TILE + 4 };

/* Of a block: its batch row and first channel. Of a thread: its row among the block's, its place there. */
template <int P> struct ScanPlace {
  static constexpr int rows = EBB_WARP / P;
  int lane, warp, warps, row, place;
  int64_t H, first;

  __device__ ScanPlace(int64_t channels, int64_t channel_group)
      : lane((int)threadIdx.x % EBB_WARP), warp((int)threadIdx.x / EBB_WARP),
        warps((int)blockDim.x / EBB_WARP), row(lane / P), place(lane % P), H(channels),
        first(channel_group * rows) {}
  __device__ int64_t channel() const { return first + row; }
  /* Rows of the block that exist. */
  __device__ int there() const { return H - first < rows ? (int)(H - first) : rows; }
};

/* abar, bbar and C of a thread's modes; 0 where there is no mode. */
template <int S> struct ScanModes { EbbC32 a[S], b[S], c[S]; };

template <int P, int S>
__device__ __forceinline__ int64_t scan_mode_index(const ScanPlace<P> &at, int64_t part, int s) {
  return part * EBB_SCAN_PART + (at.warp * S + s) * P + at.place;
}

template <int P, int S>
__device__ __forceinline__ ScanModes<S> scan_modes(const EbbS4ScanArgs &args, const ScanPlace<P> &at,
                                                   int64_t part) {
  ScanModes<S> modes;
  for (int s = 0; s < S; s++) {
    const int64_t m = scan_mode_index<P, S>(at, part, s), i = at.channel() * args.M + m;
    modes.a[s] = modes.b[s] = modes.c[s] = ebb_c32_make(0.0f, 0.0f);
    if (at.channel() >= args.H || m >= args.M) continue;
    const float4 ab = load4(args.constants, 4 * i);
    modes.a[s] = ebb_c32_make(ab.x, ab.y), modes.b[s] = ebb_c32_make(ab.z, ab.w);
    modes.c[s] = ebb_c32_make(args.C[2 * i], args.C[2 * i + 1]);
  }
  return modes;
}

/* g and, in `free`, g before the bound. */
template <bool BOUND>
__device__ __forceinline__ EbbC32 scan_gate(EbbC32 a, EbbC32 b, float u, float bound, EbbC32 *free) {
  *free = ebb_scan_gate(a, b, u);
  return BOUND ? ebb_c32_scale(*free, ebb_scan_factor(*free, bound)) : *free;
}

/* Where the block's kept states before tile `tile` of batch row b lie; step over s by EBB_WARP. */
template <int P, int S>
__device__ __forceinline__ float2 *scan_states(const EbbS4ScanArgs &args, const ScanPlace<P> &at,
                                               int64_t part, int64_t b, int64_t tile) {
  const int64_t row = (part * args.batch + b) * args.layout.channel_groups + at.first / at.rows;
  const int64_t warp = (row * args.checks + tile) * at.warps + at.warp;
  return reinterpret_cast<float2 *>(args.states) + warp * S * EBB_WARP + at.lane;
}

/* An element of an activation. How it is stored is asked here and not a template's parameter: few of the
   kernels' instructions are these, and there are half as many kernels to compile. */
__device__ __forceinline__ float scan_get(const float *x, EbbDtype storage, int64_t i) {
  return storage == EBB_BF16 ? load(as<EbbBf16>(x), i) : load(x, i);
}
__device__ __forceinline__ void scan_put(float *x, EbbDtype storage, int64_t i, float value) {
  if (storage == EBB_BF16)
    store(as<EbbBf16>(x), i, value);
  else
    store(x, i, value);
}

/* x at step t of the block's rows, one a register; 0 past `valid`. row: flat index (b, first channel). */
template <int R>
__device__ __forceinline__ void scan_load(const float *x, EbbDtype storage, int64_t row, int there, int64_t L,
                                          int64_t valid, int64_t t, float into[R]) {
#pragma unroll
  for (int i = 0; i < R; i++)
    into[i] = i < there && t < valid ? scan_get(x, storage, (row + i) * L + t) : 0.0f;
}

/* Steps of a tile that are worked on: those below L, in whole groups of SCAN_STEPS. */
__device__ __forceinline__ int scan_steps(int64_t L, int64_t tile) {
  const int64_t left = L - tile * SCAN_TILE, steps = SCAN_STEPS;
  return left < SCAN_TILE ? (int)((left + steps - 1) / steps * steps) : (int)SCAN_TILE;
}

/* SCAN_STEPS values from a row of a tile. */
__device__ __forceinline__ void scan_read(const float *tile, float into[SCAN_STEPS]) {
  const float4 low = load4(tile, 0), high = load4(tile, 4);
  into[0] = low.x, into[1] = low.y, into[2] = low.z, into[3] = low.w;
  into[4] = high.x, into[5] = high.y, into[6] = high.z, into[7] = high.w;
}

/* Sums the P lanes of a row step by step and writes the sums to tile[0 .. 7]. Lanes exchange halves of their
   steps: each keeps the sum over two lanes of half as many, until one step is left. */
template <int P>
__device__ __forceinline__ void scan_sum(float value[SCAN_STEPS], const ScanPlace<P> &at, float *tile) {
#pragma unroll
  for (int mask = 1; mask < P; mask *= 2) {
    const int keep = SCAN_STEPS / 2 / mask;
    const bool upper = at.lane & mask;
#pragma unroll
    for (int i = 0; i < keep; i++) {
      const float mine = upper ? value[keep + i] : value[i], yours = upper ? value[i] : value[keep + i];
      value[i] = mine + __shfl_xor_sync(EBB_FULL_WARP, yours, mask);
    }
    if (keep == 0) value[0] += __shfl_xor_sync(EBB_FULL_WARP, value[0], mask);
  }
  const int step = (at.place & 1) * 4 + (at.place & 2) + (at.place & 4) / 4;
  if (at.place >= SCAN_STEPS) return;
  tile[step] = value[0];
  if (P == 4) tile[step + 1] = value[1];
}

/* The warps' sums of row i at this lane's step. */
template <int P>
__device__ __forceinline__ float scan_total(const float *sums, const ScanPlace<P> &at, int i) {
  float total = 0.0f;
  for (int warp = 0; warp < at.warps; warp++)
    total += sums[(warp * ScanPlace<P>::rows + i) * SCAN_PITCH + at.lane];
  return total;
}

/* Dropout factors of the block's rows at this lane's step t; tied ones are the same at every step. */
template <int R>
__device__ __forceinline__ void scan_factors(const S4Drop &drop, int64_t row, int64_t L, int64_t t,
                                             float (&factor)[R]) {
  if constexpr (R % 4 == 0) {
#pragma unroll
    for (int i = 0; i < R; i += 4) {
      float four[4];
      s4_drop_factors<0, 1>(drop, row + i, L, t, four);
      for (int k = 0; k < 4; k++) factor[i + k] = four[k];
    }
  } else {
#pragma unroll
    for (int i = 0; i < R; i++) factor[i] = s4_drop_factor(drop, row + i, L, t);
  }
}
__device__ __forceinline__ bool scan_drops_steps(const S4Drop &drop) {
  return drop.drop.p > 0.0f && !drop.tie;
}

/* Forward and backward of part `part` of the modes. */
EbbStatus ebb_scan_forward_part(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part);
EbbStatus ebb_scan_backward_part(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part);

typedef EbbStatus (*EbbScanLaunch)(const EbbS4ScanArgs *args, const EbbRun *run, int64_t part);

/* A kernel's launchers for one way to lay out modes, without and with a bound. */
typedef struct EbbScanForm {
  int lanes, each;
  EbbScanLaunch launch[2];
} EbbScanForm;
#define EBB_SCAN_FORM(launch, P, S)                                                                          \
  {                                                                                                          \
    P, S, { launch<P, S, false>, launch<P, S, true> }                                                        \
  }
/* All that ebb_scan_layout can ask for. */
#define EBB_SCAN_FORMS(launch)                                                                               \
  {                                                                                                          \
    EBB_SCAN_FORM(launch, 4, 1), EBB_SCAN_FORM(launch, 8, 1), EBB_SCAN_FORM(launch, 16, 1),                  \
        EBB_SCAN_FORM(launch, 32, 1), EBB_SCAN_FORM(launch, 32, 2), EBB_SCAN_FORM(launch, 32, 4)             \
  }

static inline EbbStatus ebb_scan_launch(const EbbScanForm *form, const EbbS4ScanArgs *args, const EbbRun *run,
                                        int64_t part) {
  while (form->lanes != args->layout.lanes || form->each != args->layout.each) form++;
  return form->launch[args->bound > 0.0f](args, run, part);
}

#endif
