/* The scan over time. A lane is a channel of a row, counted through over rows so that few channels leave no
   lane idle; neighbours read neighbours. A thread takes LNN_STEPS steps, the warps of a block consecutive
   stretches of time: each composes its steps to one map h -> P h + S, every thread goes through the warps'
   maps in order, and then through its own steps. Longer sequences go on with the block's last state. Backward
   is the same from the end: with G = dL/dh_t from later steps, g = dh_t + G, da = g gain, dtau = g slope
   (h_{t-1} - a), G' = keep g. Bytes: 12 an element forward, 24 backward. */
#include <float.h>

#include "kernels/fault.cuh"
#include "kernels/lnn_scan.cuh"
#include "kernels/storage.cuh"

enum { LNN_STEPS = 4, MOST_WARPS = 16, CHECK_THREADS = 256 };

/* One thread's channel: row b, channel h, and where it lies in a (B, H) tensor. */
struct Channel {
  int64_t b, h, edge;
  bool valid;
};

__device__ __forceinline__ Channel channel_of(const EbbLnnScanArgs &args) {
  const int64_t edge = (int64_t)blockIdx.x * EBB_WARP + threadIdx.x % EBB_WARP;
  const bool valid = edge < args.B * args.H;
  return {valid ? edge / args.H : 0, valid ? edge % args.H : 0, valid ? edge : 0, valid};
}

__device__ __forceinline__ int64_t at(const EbbLnnScanArgs &args, const Channel &c, int64_t t) {
  return (c.b * args.T + t) * args.H + c.h;
}

/* What step t does; nothing where there is none or the row stands still. */
__device__ __forceinline__ EbbLnnFactor factor_of(const EbbLnnScanArgs &args, const Channel &c, int64_t t) {
  EbbLnnFactor all = {1, 0, 0};
  if (!c.valid || t < 0 || t >= args.T || !ebb_lnn_moves(&args, c.b, t)) return all;
  const float tau = args.tau[at(args, c, t)], dt = ebb_lnn_elapsed(&args, c.b, t);
  if (!args.adaptive) {
    const EbbLnnFactor one = ebb_lnn_step(&args.solver, tau, dt / (float)args.solver.steps);
    all = one;
    for (int s = 1; s < args.solver.steps; s++) all = ebb_lnn_chain(all, one);
    return all;
  }
  const int64_t frame = c.b / args.control.group_rows * args.T + t;
  const double *taken = args.taken + frame * args.control.attempts;
  for (int s = 0; s < args.counts[frame]; s++)
    all = ebb_lnn_chain(all, ebb_lnn_step(&args.solver, tau, dt * (float)taken[s]));
  return all;
}

/* The map of a thread's steps, and the maps of all warps before it applied to `state`, which becomes the
   state behind the last warp. maps: (warps, 2, 32) of shared memory. */
__device__ __forceinline__ float go_through(float P, float S, float &state, float *maps) {
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int warps = (int)blockDim.x / EBB_WARP;
  maps[2 * warp * EBB_WARP + lane] = P, maps[(2 * warp + 1) * EBB_WARP + lane] = S;
  __syncthreads();
  float mine = state;
  for (int w = 0; w < warps; w++) {
    if (w == warp) mine = state;
    state = maps[2 * w * EBB_WARP + lane] * state + maps[(2 * w + 1) * EBB_WARP + lane];
  }
  __syncthreads();
  return mine;
}

__global__ void lnn_scan_forward(EbbLnnScanArgs args) {
  EBB_SHARED(float, maps);
  const Channel c = channel_of(args);
  const int warp = (int)threadIdx.x / EBB_WARP;
  float state = args.h0 && c.valid ? args.h0[c.edge] : 0.0f;
  for (int64_t chunk = 0; chunk < args.T; chunk += blockDim.x / EBB_WARP * LNN_STEPS) {
    const int64_t first = chunk + warp * LNN_STEPS;
    float keep[LNN_STEPS], add[LNN_STEPS], P = 1, S = 0;
#pragma unroll
    for (int k = 0; k < LNN_STEPS; k++) {
      const EbbLnnFactor factor = factor_of(args, c, first + k);
      keep[k] = factor.keep;
      add[k] = factor.gain != 0 ? factor.gain * args.a[at(args, c, first + k)] : 0.0f;
      P *= keep[k], S = S * keep[k] + add[k];
    }
    float h = go_through(P, S, state, maps);
#pragma unroll
    for (int k = 0; k < LNN_STEPS; k++) {
      h = keep[k] * h + add[k];
      if (c.valid && first + k < args.T)
        args.h[at(args, c, first + k)] = ebb_lnn_moves(&args, c.b, first + k) ? h : 0.0f;
    }
  }
  if (args.final && c.valid && warp == 0) args.final[c.edge] = state;
}

/* Step t from the gradient G of its state from later steps; returns that of the state before. */
__device__ __forceinline__ float step_back(const EbbLnnScanArgs &args, const Channel &c, int64_t t,
                                           const EbbLnnFactor &factor, float dh, float G) {
  const int64_t i = at(args, c, t);
  const bool moves = ebb_lnn_moves(&args, c.b, t);
  const float g = moves ? dh + G : 0.0f;
  const float before = !moves ? 0.0f : t > 0 ? args.h[i - args.H] : args.h0 ? args.h0[c.edge] : 0.0f;
  if (args.dtau) store_or_add(args.dtau, i, g * factor.slope * (before - args.a[i]), args.add_dtau);
  if (args.da) store_or_add(args.da, i, g * factor.gain, args.add_da);
  return moves ? factor.keep * g : G;
}

__global__ void lnn_scan_backward(EbbLnnScanArgs args) {
  EBB_SHARED(float, maps);
  const Channel c = channel_of(args);
  const int warp = (int)threadIdx.x / EBB_WARP;
  float state = args.dfinal && c.valid ? args.dfinal[c.edge] : 0.0f;
  for (int64_t chunk = 0; chunk < args.T; chunk += blockDim.x / EBB_WARP * LNN_STEPS) {
    const int64_t last = args.T - 1 - chunk - warp * LNN_STEPS;
    EbbLnnFactor factor[LNN_STEPS];
    float dh[LNN_STEPS], P = 1, S = 0;
#pragma unroll
    for (int k = 0; k < LNN_STEPS; k++) {
      const int64_t t = last - k;
      factor[k] = factor_of(args, c, t);
      const bool counts = args.dh && c.valid && t >= 0 && ebb_lnn_moves(&args, c.b, t);
      dh[k] = counts ? args.dh[at(args, c, t)] : 0.0f;
      P *= factor[k].keep, S = factor[k].keep * (S + dh[k]);
    }
    float G = go_through(P, S, state, maps);
#pragma unroll
    for (int k = 0; k < LNN_STEPS; k++)
      if (c.valid && last - k >= 0) G = step_back(args, c, last - k, factor[k], dh[k], G);
  }
  if (args.dh0 && c.valid && warp == 0) store_or_add(args.dh0, c.edge, state, args.add_dh0);
}

/* ---- what the inputs may be ---- */

__global__ void lnn_check_rows(EbbLnnScanArgs args, EbbFault *fault) {
  const int64_t i = (int64_t)blockIdx.x * CHECK_THREADS + threadIdx.x;
  if (args.lengths && i < args.B && (args.lengths[i] < 0 || args.lengths[i] > args.T))
    ebb_fault(fault, EBB_FAULT_LNN_LENGTH, (double)i, (double)args.lengths[i], (double)args.T, 0);
  if (!args.elapsed || i >= args.B * args.T) return;
  const float dt = args.elapsed[i];
  if (!(dt >= 0 && dt <= FLT_MAX))
    ebb_fault(fault, EBB_FAULT_LNN_ELAPSED, (double)(i / args.T), (double)(i % args.T), (double)dt, 0);
}

/* The largest dt / (steps tau); positive floats are ordered as their bits are. */
__global__ void lnn_check_stiffness(EbbLnnScanArgs args, EbbFault *fault) {
  const int64_t i = (int64_t)blockIdx.x * CHECK_THREADS + threadIdx.x, row = i / args.H;
  if (i >= args.B * args.T * args.H || !ebb_lnn_moves(&args, row / args.T, row % args.T)) return;
  const float dt = ebb_lnn_elapsed(&args, row / args.T, row % args.T) / (float)args.solver.steps;
  const float ratio = dt / args.tau[i];
  if (args.guard == EBB_LNN_ERROR && ratio > args.solver.limit)
    ebb_fault(fault, EBB_FAULT_LNN_STIFF, (double)(row / args.T), (double)(row % args.T), (double)ratio,
              (double)args.solver.limit);
  if (args.stiffness && ratio > 0) atomicMax(reinterpret_cast<int *>(args.stiffness), __float_as_int(ratio));
}

static EbbStatus check(const EbbLnnScanArgs *args, const EbbRun *run) {
  EbbFault *fault = ebb_fault_of(run);
  if (args->lengths || args->elapsed)
    EBB_TRY(EBB_LAUNCH(run, lnn_check_rows, dim3(ebb_blocks(args->B * args->T, CHECK_THREADS)),
                       dim3(CHECK_THREADS), 0, *args, fault));
  if (args->guard != EBB_LNN_WARN && args->guard != EBB_LNN_ERROR) return EBB_OK;
  if (args->stiffness) EBB_TRY(ebb_cuda_zero(run, args->stiffness, sizeof *args->stiffness));
  return EBB_LAUNCH(run, lnn_check_stiffness, dim3(ebb_blocks(args->B * args->T * args->H, CHECK_THREADS)),
                    dim3(CHECK_THREADS), 0, *args, fault);
}

/* ---- launches ---- */

static unsigned warps_of(const EbbLnnScanArgs *args) {
  const unsigned wanted = ebb_blocks(args->T, LNN_STEPS);
  return wanted < MOST_WARPS ? wanted : (unsigned)MOST_WARPS;
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbLnnScanArgs *args = (const EbbLnnScanArgs *)args_;
  const unsigned warps = warps_of(args);
  EBB_TRY(check(args, run));
  if (args->adaptive) return ebb_launch_lnn_adaptive(args, run);
  return EBB_LAUNCH(run, lnn_scan_forward, dim3(ebb_blocks(args->B * args->H, EBB_WARP)),
                    dim3(warps * EBB_WARP), warps * 2 * EBB_WARP * sizeof(float), *args);
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbLnnScanArgs *args = (const EbbLnnScanArgs *)args_;
  const unsigned warps = warps_of(args);
  return EBB_LAUNCH(run, lnn_scan_backward, dim3(ebb_blocks(args->B * args->H, EBB_WARP)),
                    dim3(warps * EBB_WARP), warps * 2 * EBB_WARP * sizeof(float), *args);
}

extern "C" const EbbKernels ebb_lnn_scan_cuda = {forward, backward};
