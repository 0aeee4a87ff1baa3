/* cuFFT plans for setup functions; no CUDA header is needed here. */
#ifndef EBB_HOST_DEVICE_CUDA_FFT_H
#define EBB_HOST_DEVICE_CUDA_FFT_H

#include "ebb/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Batched transforms by cuFFT, unnormalised. Real to complex: rows of n floats, `real_stride` apart, to rows
   of n/2 + 1 complex numbers, `complex_stride` (in complex numbers) apart; complex to real the other way
   round, which destroys its input; complex: rows of n complex numbers, either direction. */
typedef enum EbbCudaFftKind { EBB_FFT_R2C, EBB_FFT_C2R, EBB_FFT_C2C } EbbCudaFftKind;
typedef struct EbbCudaFftSpec {
  EbbCudaFftKind kind;
  int64_t n, batch, real_stride, complex_stride; /* C2C: input stride, output stride */
} EbbCudaFftSpec;
typedef struct EbbCudaFft EbbCudaFft;

struct EbbSetup;
/* A plan for an op's setup: NULL while measuring and on other backends. Made once per spec and kept by the
   device. */
EbbStatus ebb_setup_cuda_fft(struct EbbSetup *setup, const EbbCudaFftSpec *spec,
                             const EbbCudaFft **out) EBB_MUST_CHECK;
#ifdef __cplusplus
}
#endif
#endif
