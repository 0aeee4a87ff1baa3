/* The convolution of rows that are too long for one block's transform: the same transforms (kernels/fft.cuh)
   by cuFFT, a run of channels at a time so that their spectra stay small. Between them a thread an element:
   rows turned by w^j on the way in and out, products, and sums over the batch. About 60 bytes an element and
   transform pass; what this costs against one block matters only beyond 16384 steps. */
#include "kernels/s4_conv.cuh"

#include "host/device/cuda_fft.h"

enum { LONG_THREADS = 256 };

/* Channels h0 .. of a run; (b, c) is row b chunk + c of its spectra. */
struct LongPlace {
  int64_t j, row, c, h;
  bool here; /* there is such a channel, and such a point */
};
static __device__ __forceinline__ LongPlace long_place(const EbbS4ConvArgs &a, int64_t h0, int64_t blocks) {
  const int64_t row = blockIdx.x / blocks, c = row % a.cuda.chunk;
  const int64_t j = blockIdx.x % blocks * LONG_THREADS + (int)threadIdx.x;
  return {j, row, c, h0 + c, h0 + c < a.H && j < a.n};
}
static __device__ __forceinline__ EbbC32 long_turn(const EbbS4ConvArgs &a, int64_t j) {
  return fft_get((const float2 *)(const void *)a.twiddles + j, 0);
}

__global__ void long_taps(const EbbS4ConvArgs a, int64_t h0, int64_t blocks) {
  const LongPlace p = long_place(a, h0, blocks);
  const float scale = 1.0f / (float)a.n, *k = a.k + p.h * a.Lk;
  const int64_t back = a.n - 1 - p.j;
  EbbC32 z = ebb_c32_make(0.0f, 0.0f);
  if (p.here && p.j < a.Lk) z.re = scale * k[p.j];
  if (p.here && a.bidirectional && back < a.Lk) z.im = scale * k[a.H * a.Lk + back];
  if (p.here && p.j == 0 && a.epilogue.D) z.re += scale * a.epilogue.D[p.h];
  if (p.j < a.n) a.cuda.spectra[p.row * a.n + p.j] = p.here ? ebb_c32_mul(z, long_turn(a, p.j)) : z;
}

/* Rows of u (x NULL) or of x, turned. */
template <class S>
__global__ void long_rows(const EbbS4ConvArgs a, int64_t h0, int64_t blocks, const float *x, EbbC32 *z) {
  const LongPlace p = long_place(a, h0, blocks);
  const ConvRow row = conv_row(a, p.row / a.cuda.chunk, p.h);
  float value = 0.0f;
  if (p.here && p.j < a.L && (x || p.j < row.valid))
    value = x ? x[row.start + p.j] : load(as<S>(a.u), row.start + p.j);
  if (p.j < a.n) z[p.row * a.n + p.j] = ebb_c32_scale(long_turn(a, p.j), value);
}

/* z *= K, or conj(K). */
__global__ void long_multiply(const EbbS4ConvArgs a, int64_t blocks, bool conjugate, EbbC32 *z) {
  const LongPlace p = long_place(a, 0, blocks);
  if (p.j >= a.n) return;
  const EbbC32 k = a.cuda.spectra[p.c * a.n + p.j], at = z[p.row * a.n + p.j];
  z[p.row * a.n + p.j] = conjugate ? ebb_c32_mul_conj(at, k) : ebb_c32_mul(at, k);
}

__global__ void long_store_x(const EbbS4ConvArgs a, int64_t h0, int64_t blocks) {
  const LongPlace p = long_place(a, h0, blocks);
  if (!p.here || p.j >= a.L) return;
  const ConvRow row = conv_row(a, p.row / a.cuda.chunk, p.h);
  a.cuda.x[row.start + p.j] = ebb_c32_mul_conj(a.cuda.inputs[p.row * a.n + p.j], long_turn(a, p.j)).re;
}

template <class S> __global__ void long_store_du(const EbbS4ConvArgs a, int64_t h0, int64_t blocks) {
  const LongPlace p = long_place(a, h0, blocks);
  if (!p.here || p.j >= a.L) return;
  const ConvRow row = conv_row(a, p.row / a.cuda.chunk, p.h);
  const int64_t i = row.start + p.j;
  float du = ebb_c32_mul_conj(a.cuda.grads[p.row * a.n + p.j], long_turn(a, p.j)).re;
  if (a.cuda.extra) du += a.cuda.extra[i];
  if (p.j < row.valid || !a.add_du) store_or_add(as<S>(a.du), i, p.j < row.valid ? du : 0.0f, a.add_du);
}

__global__ void long_correlate(const EbbS4ConvArgs a, int64_t blocks) {
  const LongPlace p = long_place(a, 0, blocks);
  if (p.j >= a.n) return;
  EbbC32 sum = ebb_c32_make(0.0f, 0.0f);
  for (int64_t b = 0; b < a.B; b++) {
    const int64_t i = (b * a.cuda.chunk + p.c) * a.n + p.j;
    sum = ebb_c32_add(sum, ebb_c32_mul_conj(a.cuda.grads[i], a.cuda.inputs[i]));
  }
  a.cuda.sums[p.c * a.n + p.j] = sum;
}

__global__ void long_store_dk(const EbbS4ConvArgs a, int64_t h0, int64_t blocks) {
  const LongPlace p = long_place(a, h0, blocks);
  if (!p.here) return;
  const EbbC32 lag = ebb_c32_mul_conj(a.cuda.sums[p.c * a.n + p.j], long_turn(a, p.j));
  conv_store_dk(a, p.h, a.n, p.j, ebb_c32_scale(lag, 1.0f / (float)a.n));
}

/* dD of a channel: g u over all its rows, by one block in a fixed order. */
template <class S> __global__ void long_dD(const EbbS4ConvArgs a) {
  EBB_SHARED(double, scratch);
  double sum = 0;
  for (int64_t b = 0; b < a.B; b++) {
    const ConvRow row = conv_row(a, b, blockIdx.x);
    for (int64_t t = threadIdx.x; t < row.valid; t += LONG_THREADS)
      sum += (double)(a.cuda.x[row.start + t] * load(as<S>(a.u), row.start + t));
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) a.epilogue.dD[blockIdx.x] += (float)sum;
}

static int64_t long_blocks(const EbbS4ConvArgs *args) { return ebb_blocks(args->n, LONG_THREADS); }
/* Blocks for the points of `rows` rows. */
static dim3 long_grid(const EbbS4ConvArgs *args, int64_t rows) {
  return dim3((unsigned)(rows * long_blocks(args)));
}

static EbbStatus transform(const EbbRun *run, const EbbCudaFft *fft, EbbC32 *z, bool inverse) {
  return ebb_cuda_fft_c2c(run, fft, z, z, inverse);
}

static EbbStatus long_spectra(const EbbS4ConvArgs *args, const EbbRun *run, int64_t h0) {
  const EbbS4ConvCuda *cuda = &args->cuda;
  EBB_TRY(EBB_LAUNCH(run, long_taps, long_grid(args, cuda->chunk), dim3(LONG_THREADS), 0, *args, h0,
                     long_blocks(args)));
  return transform(run, cuda->taps_fft, cuda->spectra, false);
}

/* Spectra of u (x NULL) or of x into z. */
static EbbStatus long_transform(const EbbS4ConvArgs *args, const EbbRun *run, int64_t h0, const float *x,
                                EbbC32 *z) {
  const dim3 grid = long_grid(args, args->B * args->cuda.chunk);
  EBB_STORAGE_DISPATCH(args->storage, S, {
    EBB_TRY(EBB_LAUNCH(run, long_rows<S>, grid, dim3(LONG_THREADS), 0, *args, h0, long_blocks(args), x, z));
  });
  return transform(run, args->cuda.rows_fft, z, false);
}

/* z = the rows of z K, or z conj(K). */
static EbbStatus long_convolve(const EbbS4ConvArgs *args, const EbbRun *run, bool conjugate, EbbC32 *z) {
  EBB_TRY(EBB_LAUNCH(run, long_multiply, long_grid(args, args->B * args->cuda.chunk), dim3(LONG_THREADS), 0,
                     *args, long_blocks(args), conjugate, z));
  return transform(run, args->cuda.rows_fft, z, true);
}

EbbStatus ebb_s4_conv_long_forward(const EbbS4ConvArgs *args, const EbbRun *run) {
  const EbbS4ConvCuda *cuda = &args->cuda;
  for (int64_t h0 = 0; h0 < args->H; h0 += cuda->chunk) {
    EBB_TRY(long_spectra(args, run, h0));
    EBB_TRY(long_transform(args, run, h0, NULL, cuda->inputs));
    EBB_TRY(long_convolve(args, run, false, cuda->inputs));
    EBB_TRY(EBB_LAUNCH(run, long_store_x, long_grid(args, args->B * cuda->chunk), dim3(LONG_THREADS), 0,
                       *args, h0, long_blocks(args)));
  }
  return EBB_OK;
}

static EbbStatus long_kernel_grads(const EbbS4ConvArgs *args, const EbbRun *run, int64_t h0) {
  const EbbS4ConvCuda *cuda = &args->cuda;
  const dim3 grid = long_grid(args, cuda->chunk);
  EBB_TRY(long_transform(args, run, h0, NULL, cuda->inputs));
  EBB_TRY(EBB_LAUNCH(run, long_correlate, grid, dim3(LONG_THREADS), 0, *args, long_blocks(args)));
  EBB_TRY(transform(run, cuda->taps_fft, cuda->sums, true));
  return EBB_LAUNCH(run, long_store_dk, grid, dim3(LONG_THREADS), 0, *args, h0, long_blocks(args));
}

static EbbStatus long_input_grads(const EbbS4ConvArgs *args, const EbbRun *run, int64_t h0) {
  EBB_TRY(long_spectra(args, run, h0));
  EBB_TRY(long_convolve(args, run, true, args->cuda.grads));
  EBB_STORAGE_DISPATCH(args->storage, S, {
    return EBB_LAUNCH(run, long_store_du<S>, long_grid(args, args->B * args->cuda.chunk), dim3(LONG_THREADS),
                      0, *args, h0, long_blocks(args));
  });
}

EbbStatus ebb_s4_conv_long_backward(const EbbS4ConvArgs *args, const EbbRun *run) {
  const EbbS4ConvCuda *cuda = &args->cuda;
  if (args->epilogue.dD)
    EBB_STORAGE_DISPATCH(args->storage, S, {
      EBB_TRY(EBB_LAUNCH(run, long_dD<S>, dim3((unsigned)args->H), dim3(LONG_THREADS), 32 * sizeof(double),
                         *args));
    });
  for (int64_t h0 = 0; h0 < args->H; h0 += cuda->chunk) {
    EBB_TRY(long_transform(args, run, h0, cuda->x, cuda->grads));
    if (args->dk) EBB_TRY(long_kernel_grads(args, run, h0));
    if (args->du) EBB_TRY(long_input_grads(args, run, h0));
  }
  return EBB_OK;
}
