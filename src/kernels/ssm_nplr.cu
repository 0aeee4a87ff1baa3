/* Op ssm_nplr: khat at the nodes (ssm_nplr_forward.cu), its inverse transform of any length by cuFFT straight
   into k, or by way of rows that are cut; backward the same way round (ssm_nplr_backward.cu). The readout's
   recurrence stands in ssm_nplr_readout.cu. */
#include "kernels/ssm_nplr.cuh"

#include "kernels/launch.cuh"

enum { THREADS = 256 };

/* Rows of floats, `stride` apart. */
struct Rows {
  int64_t stride, width;
};

/* Copies rows, cut or with zeros behind them. */
__global__ void resize_kernel(const float *from, Rows of, float *to, Rows as, int64_t rows) {
  const int64_t at = (int64_t)blockIdx.x * THREADS + threadIdx.x, row = at / as.width, i = at % as.width;
  if (row < rows) to[row * as.stride + i] = i < of.width ? from[row * of.stride + i] : 0;
}

static EbbStatus resize(const EbbSsmNplrArgs *args, const EbbRun *run, const float *from, Rows of, float *to,
                        Rows as) {
  const int64_t rows = args->config.channels * args->config.H;
  return EBB_LAUNCH(run, resize_kernel, dim3(ebb_blocks(rows * as.width, THREADS)), dim3(THREADS), 0, from,
                    of, to, as, rows);
}

/* k from khat / n. A transform of length 1 is the number itself. */
static EbbStatus transform_back(const EbbSsmNplrArgs *args, const EbbRun *run) {
  const EbbSsmNplrCuda *cuda = &args->cuda;
  if (args->n == 1) return resize(args, run, &cuda->spectrum->re, Rows{2 * cuda->S, 1}, args->k, Rows{1, 1});
  if (!cuda->rows) return ebb_cuda_fft_c2r(run, cuda->inverse, cuda->spectrum, args->k);
  EBB_TRY(ebb_cuda_fft_c2r(run, cuda->inverse, cuda->spectrum, cuda->rows));
  return resize(args, run, cuda->rows, Rows{args->n, args->n}, args->k, Rows{args->Lk, args->Lk});
}

static EbbStatus transform_grad(const EbbSsmNplrArgs *args, const EbbRun *run) {
  const EbbSsmNplrCuda *cuda = &args->cuda;
  if (args->n == 1) return resize(args, run, args->dk, Rows{1, 1}, &cuda->spectrum->re, Rows{2 * cuda->S, 2});
  if (!cuda->rows) return ebb_cuda_fft_r2c(run, cuda->forward, args->dk, cuda->spectrum);
  EBB_TRY(resize(args, run, args->dk, Rows{args->Lk, args->Lk}, cuda->rows, Rows{args->n, args->n}));
  return ebb_cuda_fft_r2c(run, cuda->forward, cuda->rows, cuda->spectrum);
}

static EbbStatus forward(const void *args_, const EbbRun *run) {
  const EbbSsmNplrArgs *args = static_cast<const EbbSsmNplrArgs *>(args_);
  EBB_TRY(ebb_nplr_khat(args, run));
  EBB_TRY(transform_back(args, run));
  return args->ke ? ebb_nplr_readout(args, run) : EBB_OK;
}

static EbbStatus backward(const void *args_, const EbbRun *run) {
  const EbbSsmNplrArgs *args = static_cast<const EbbSsmNplrArgs *>(args_);
  const int64_t shares = args->config.H * args->M * ebb_nplr_shares(ebb_ssm_rank(&args->config));
  if (args->dk) {
    EBB_TRY(transform_grad(args, run));
    EBB_TRY(ebb_nplr_khat_grad(args, run));
  } else {
    EBB_TRY(ebb_cuda_zero(run, args->shared, (size_t)shares * sizeof(double)));
  }
  if (args->dke) EBB_TRY(ebb_nplr_readout_grad(args, run));
  return ebb_nplr_share_grad(args, run);
}

extern "C" const EbbKernels ebb_ssm_nplr_cuda = {forward, backward};
