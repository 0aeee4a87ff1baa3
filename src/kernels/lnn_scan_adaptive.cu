/* Adaptive sub-steps in float64: one block a group of rows, since every sub-step waits for the error of the
   one before, over all rows of the group. A thread keeps its elements, so only the sums need barriers. */
#include "kernels/fault.cuh"
#include "kernels/lnn_scan.cuh"

enum { THREADS_MOST = 1024 };

/* A block's group: elements first .. first + count - 1 of the (B, H) states. */
struct Group {
  int64_t index, first, count;
};

__device__ __forceinline__ int64_t source(const EbbLnnScanArgs &args, int64_t i, int64_t t) {
  return (i / args.H * args.T + t) * args.H + i % args.H;
}

/* The rms error of a sub-step that all elements try; 0 where none moves. Every thread gets it. */
__device__ __forceinline__ double try_all(const EbbLnnScanArgs &args, const Group &group, int64_t t,
                                          double dt, double *scratch) {
  double sum = 0, moving = 0;
  for (int64_t i = group.first + threadIdx.x; i < group.first + group.count; i += blockDim.x) {
    const int64_t b = i / args.H, from = source(args, i, t);
    if (!ebb_lnn_moves(&args, b, t)) continue;
    sum += ebb_lnn_try(&args.control, (double)args.tau[from], (double)args.a[from],
                       dt * (double)ebb_lnn_elapsed(&args, b, t), args.state[i], &args.trial[i]);
    moving += 1;
  }
  sum = block_sum(sum, scratch);
  moving = block_sum(moving, scratch);
  return moving > 0 ? sqrt(sum / moving) : 0;
}

__device__ __forceinline__ void accept(const EbbLnnScanArgs &args, const Group &group, int64_t t) {
  for (int64_t i = group.first + threadIdx.x; i < group.first + group.count; i += blockDim.x)
    if (ebb_lnn_moves(&args, i / args.H, t)) args.state[i] = args.trial[i];
}

/* Step t of the group. */
__device__ __forceinline__ void walk(const EbbLnnScanArgs &args, const Group &group, int64_t t,
                                     double *scratch, EbbFault *fault) {
  const int64_t frame = group.index * args.T + t, attempts = args.control.attempts;
  double time = 0, dt = args.control.first_step;
  float *log = args.log ? args.log + frame * attempts * 3 : nullptr;
  int count = 0;
  int64_t tried = 0;
  for (; time < 1 && tried < attempts; tried++) {
    dt = dt < 1 - time ? dt : 1 - time;
    const double error = try_all(args, group, t, dt, scratch);
    if (log && threadIdx.x == 0)
      log[3 * tried] = (float)time, log[3 * tried + 1] = (float)dt, log[3 * tried + 2] = (float)error;
    if (error <= 1) {
      accept(args, group, t);
      if (threadIdx.x == 0) args.taken[frame * attempts + count] = dt;
      count++, time += dt;
    }
    dt *= ebb_tableau_growth(error);
  }
  if (log)
    for (int64_t i = 3 * tried + threadIdx.x; i < 3 * attempts; i += blockDim.x) log[i] = 0;
  if (threadIdx.x > 0) return;
  args.counts[frame] = count;
  if (time < 1)
    ebb_fault(fault, EBB_FAULT_LNN_ATTEMPTS, (double)t, (double)(group.first / args.H), time,
              (double)attempts);
}

__global__ void lnn_scan_adaptive(EbbLnnScanArgs args, EbbFault *fault) {
  EBB_SHARED(double, scratch);
  const int64_t count = args.control.group_rows * args.H;
  const Group group = {(int64_t)blockIdx.x, (int64_t)blockIdx.x * count, count};
  for (int64_t i = group.first + threadIdx.x; i < group.first + count; i += blockDim.x)
    args.state[i] = args.h0 ? (double)args.h0[i] : 0;
  for (int64_t t = 0; t < args.T; t++) {
    walk(args, group, t, scratch, fault);
    for (int64_t i = group.first + threadIdx.x; i < group.first + count; i += blockDim.x)
      args.h[source(args, i, t)] = ebb_lnn_moves(&args, i / args.H, t) ? (float)args.state[i] : 0.0f;
  }
  if (!args.final) return;
  for (int64_t i = group.first + threadIdx.x; i < group.first + count; i += blockDim.x)
    args.final[i] = (float)args.state[i];
}

EbbStatus ebb_launch_lnn_adaptive(const EbbLnnScanArgs *args, const EbbRun *run) {
  const dim3 threads(ebb_threads(args->control.group_rows * args->H, THREADS_MOST));
  return EBB_LAUNCH(run, lnn_scan_adaptive, dim3((unsigned)args->control.groups), threads,
                    EBB_WARP * sizeof(double), *args, ebb_fault_of(run));
}
