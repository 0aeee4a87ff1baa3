/* The exact diagonal liquid recurrence on the device. Forward: a small kernel for abar and bbar in double,
   one for the scan and all that follows it. Backward: the scan's adjoint, one kernel that adds the splits of
   the batch and takes gradients through the discretisation in double, one that adds up the channels of a
   copy. */
#include "kernels/s4_scan.cuh"
#include "kernels/ssm_modes.cuh"

namespace {

enum { THREADS = 128 };

__global__ void scan_constants(const EbbS4ScanArgs args) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= args.H * args.M) return;
  const EbbSsmMode mode = ebb_ssm_mode(&args.diagonal, i / args.M, i % args.M);
  const EbbC32 a = ebb_c32_from(mode.discrete.lambda), b = ebb_c32_from(ebb_ssm_bbar(&mode));
  store4(args.constants, 4 * i, make_float4(a.re, a.im, b.re, b.im));
}

EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbS4ScanArgs *args = static_cast<const EbbS4ScanArgs *>(args_);
  EBB_TRY(
      EBB_LAUNCH(run, scan_constants, dim3(ebb_blocks(args->H * args->M, THREADS)), dim3(THREADS), 0, *args));
  for (int64_t part = 0; part < args->layout.parts; part++) EBB_TRY(ebb_scan_forward_part(args, run, part));
  return EBB_OK;
}

/* One mode of a channel a thread; the first mode's thread also adds dD. */
__global__ void scan_params(const EbbS4ScanArgs args) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, modes = args.H * args.M;
  if (i >= modes) return;
  const int64_t h = i / args.M, m = i % args.M;
  double sums[6] = {0, 0, 0, 0, 0, 0}, dD = 0;
  for (int64_t split = 0; split < args.layout.splits; split++)
    for (int k = 0; k < 6; k++) sums[k] += args.sums[(split * 6 + k) * modes + i];
  for (int k = 0; args.dC && k < 2; k++) args.dC[2 * i + k] += (float)sums[4 + k];
  const EbbSsmMode mode = ebb_ssm_mode(&args.diagonal, h, m);
  ssm_keep_grad(args.shared, modes, i,
                ebb_scan_mode_grad(&mode, ebb_c64_make(sums[0], sums[1]), ebb_c64_make(sums[2], sums[3])));
  if (m > 0 || !args.epilogue.dD) return;
  for (int64_t split = 0; split < args.layout.splits; split++) dD += args.dD_sums[split * args.H + h];
  args.epilogue.dD[h] += (float)dD;
}

EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbS4ScanArgs *args = static_cast<const EbbS4ScanArgs *>(args_);
  for (int64_t part = 0; part < args->layout.parts; part++) EBB_TRY(ebb_scan_backward_part(args, run, part));
  EBB_TRY(
      EBB_LAUNCH(run, scan_params, dim3(ebb_blocks(args->H * args->M, THREADS)), dim3(THREADS), 0, *args));
  return ebb_ssm_add_modes(&args->diagonal, args->shared, run);
}

} // namespace

extern "C" const EbbKernels ebb_s4_scan_cuda = {forward, backward};
