/* Plans of cuFFT, made once per shape and kept by the device. */
#include <cufft.h>
#include <limits.h>
#include <stdlib.h>

#include "host/device/cuda_internal.h"

struct EbbCudaFft {
  EbbCudaFftSpec spec;
  cufftHandle handle;
};

struct EbbCudaPlan {
  EbbCudaFft fft;
  EbbCudaPlan *next;
};

static EbbStatus check(cufftResult result, const char *what, const EbbCudaFftSpec *spec) {
  if (result == CUFFT_SUCCESS) return EBB_OK;
  return ebb_fail(EBB_DEVICE, "%s of %lld Fourier transforms of length %lld: cuFFT fails with code %d", what,
                  (long long)spec->batch, (long long)spec->n, (int)result);
}

static bool same(const EbbCudaFftSpec *a, const EbbCudaFftSpec *b) {
  return a->kind == b->kind && a->n == b->n && a->batch == b->batch && a->real_stride == b->real_stride &&
         a->complex_stride == b->complex_stride;
}

static EbbStatus make_handle(EbbCuda *cuda, EbbCudaFft *fft) {
  static const cufftType types[] = {
      [EBB_FFT_R2C] = CUFFT_R2C, [EBB_FFT_C2R] = CUFFT_C2R, [EBB_FFT_C2C] = CUFFT_C2C};
  const EbbCudaFftSpec *spec = &fft->spec;
  if (spec->n > INT_MAX || spec->batch > INT_MAX || spec->real_stride > INT_MAX ||
      spec->complex_stride > INT_MAX)
    return ebb_fail(EBB_UNSUPPORTED, "%lld Fourier transforms of length %lld are more than cuFFT takes",
                    (long long)spec->batch, (long long)spec->n);
  int n = (int)spec->n, real = (int)spec->real_stride, complex = (int)spec->complex_stride;
  const bool back = spec->kind == EBB_FFT_C2R;
  EBB_TRY(check(cufftPlanMany(&fft->handle, 1, &n, &n, 1, back ? complex : real, &n, 1, back ? real : complex,
                              types[spec->kind], (int)spec->batch),
                "a plan", spec));
  EbbStatus status = check(cufftSetStream(fft->handle, cuda->stream), "a stream", spec);
  if (status != EBB_OK) (void)cufftDestroy(fft->handle);
  return status;
}

EbbStatus ebb_cuda_make_fft(EbbDevice *device, const EbbCudaFftSpec *spec, const EbbCudaFft **out) {
  EbbCuda *cuda = ebb_cuda_of(device);
  for (EbbCudaPlan *plan = cuda->plans; plan; plan = plan->next)
    if (same(&plan->fft.spec, spec)) {
      *out = &plan->fft;
      return EBB_OK;
    }
  EbbCudaPlan *plan = calloc(1, sizeof *plan);
  if (!plan) return ebb_fail(EBB_MEMORY, "no memory for a plan of Fourier transforms");
  plan->fft.spec = *spec;
  EbbStatus status = make_handle(cuda, &plan->fft);
  if (status != EBB_OK) {
    free(plan);
    return status;
  }
  plan->next = cuda->plans;
  cuda->plans = plan;
  *out = &plan->fft;
  return EBB_OK;
}

void ebb_cuda_close_ffts(EbbCuda *cuda) {
  while (cuda->plans) {
    EbbCudaPlan *plan = cuda->plans;
    cuda->plans = plan->next;
    (void)cufftDestroy(plan->fft.handle);
    free(plan);
  }
}

/* cuFFT takes its input without const, but out of place only complex to real writes to it. */
EbbStatus ebb_cuda_fft_r2c(EbbDevice *device, const EbbCudaFft *fft, const float *x, EbbC32 *X) {
  EBB_TRY(ebb_cuda_flush(ebb_cuda_of(device)));
  return check(cufftExecR2C(fft->handle, (cufftReal *)(uintptr_t)x, (cufftComplex *)(void *)X),
               "real to complex", &fft->spec);
}

EbbStatus ebb_cuda_fft_c2r(EbbDevice *device, const EbbCudaFft *fft, EbbC32 *X, float *x) {
  EBB_TRY(ebb_cuda_flush(ebb_cuda_of(device)));
  return check(cufftExecC2R(fft->handle, (cufftComplex *)(void *)X, x), "complex to real", &fft->spec);
}

EbbStatus ebb_cuda_fft_c2c(EbbDevice *device, const EbbCudaFft *fft, const EbbC32 *from, EbbC32 *to,
                           bool inverse) {
  EBB_TRY(ebb_cuda_flush(ebb_cuda_of(device)));
  return check(cufftExecC2C(fft->handle, (cufftComplex *)(uintptr_t)from, (cufftComplex *)(void *)to,
                            inverse ? CUFFT_INVERSE : CUFFT_FORWARD),
               "complex", &fft->spec);
}
