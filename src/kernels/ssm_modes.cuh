/* The last step of backward of the diagonal ops: from gradients of every channel's modes to those of the
   parameters, which channels of one copy share. */
#ifndef EBB_KERNELS_SSM_MODES_CUH
#define EBB_KERNELS_SSM_MODES_CUH

#include "ebb/ops/ssm_mode.h"
#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

/* Where a channel's mode keeps its gradient: planes Re w, Im w, Re B, Im B, log dt of (H, M). */
__device__ __forceinline__ void ssm_keep_grad(double *planes, int64_t size, int64_t i,
                                              const EbbSsmModeGrad &grad) {
  planes[i] = grad.w.re, planes[size + i] = grad.w.im;
  planes[2 * size + i] = grad.B.re, planes[3 * size + i] = grad.B.im;
  planes[4 * size + i] = grad.log_dt;
}

enum { SSM_MODES_WARPS = 8, SSM_MODES_SHARED = SSM_MODES_WARPS * 4 * EBB_WARP };

/* 32 modes of one copy: warps share the copy's channels, then the warps' sums are added in order. */
__device__ __forceinline__ void ssm_add_copy(const EbbSsmDiagonal &diagonal, const double *planes,
                                             int64_t copy, int64_t m, double *shared) {
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int64_t H = diagonal.config.H, M = ebb_ssm_modes(&diagonal.config);
  const int64_t copies = ebb_ssm_copies(&diagonal.config);
  double total[4] = {0, 0, 0, 0};
  for (int64_t h = copy + copies * warp; m < M && h < H; h += copies * SSM_MODES_WARPS)
    for (int i = 0; i < 4; i++) total[i] += planes[i * H * M + h * M + m];
  for (int i = 0; i < 4; i++) shared[(warp * 4 + i) * EBB_WARP + lane] = total[i];
  __syncthreads();
  if (warp > 0 || m >= M) return;
  for (int w = 1; w < SSM_MODES_WARPS; w++)
    for (int i = 0; i < 4; i++) total[i] += shared[(w * 4 + i) * EBB_WARP + lane];
  ebb_ssm_diagonal_add(&diagonal, copy * M + m, total);
}

/* log dt of one channel a warp. */
__device__ __forceinline__ void ssm_add_log_dt(const EbbSsmDiagonal &diagonal, const double *planes,
                                               int64_t h) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const int64_t H = diagonal.config.H, M = ebb_ssm_modes(&diagonal.config);
  double total = 0;
  for (int64_t m = lane; h < H && m < M; m += EBB_WARP) total += planes[4 * H * M + h * M + m];
  total = warp_sum(total);
  if (lane == 0 && h < H && diagonal.dlog_dt) diagonal.dlog_dt[h] += (float)total;
}

/* The first copies ceil(M / 32) blocks take w and B, the others log dt of 8 channels each. */
static __global__ void ssm_add_modes(const EbbSsmDiagonal diagonal, const double *planes) {
  EBB_SHARED(double, shared);
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int64_t chunks = (ebb_ssm_modes(&diagonal.config) + EBB_WARP - 1) / EBB_WARP;
  const int64_t block = blockIdx.x, first = ebb_ssm_copies(&diagonal.config) * chunks;
  if (block < first)
    ssm_add_copy(diagonal, planes, block / chunks, block % chunks * EBB_WARP + lane, shared);
  else
    ssm_add_log_dt(diagonal, planes, (block - first) * SSM_MODES_WARPS + warp);
}

/* Adds planes (5, H, M) to the gradients of the parameters. */
static inline EbbStatus ebb_ssm_add_modes(const EbbSsmDiagonal *diagonal, const double *planes,
                                          const EbbRun *run) {
  const int64_t chunks = (ebb_ssm_modes(&diagonal->config) + EBB_WARP - 1) / EBB_WARP;
  const unsigned blocks = (unsigned)(ebb_ssm_copies(&diagonal->config) * chunks) +
                          ebb_blocks(diagonal->config.H, SSM_MODES_WARPS);
  return EBB_LAUNCH(run, ssm_add_modes, dim3(blocks), dim3(SSM_MODES_WARPS * EBB_WARP),
                    SSM_MODES_SHARED * sizeof(double), *diagonal, planes);
}

#endif
