/* What CUDA kernels' launchers ask of the device: its stream, what changes from step to step, matrix products
   and Fourier transforms. C API, so that this header serves host C and CUDA sources. */
#ifndef EBB_HOST_DEVICE_CUDA_H
#define EBB_HOST_DEVICE_CUDA_H

#include <cuda_runtime_api.h>

#include "ebb/complex.h"
#include "ebb/device.h"
#include "ebb/fault.h"
#include "ebb/shape.h"
#include "host/device/cuda_fft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In device memory, so that a captured step can be replayed with other values. */
typedef struct EbbCudaStep {
  uint64_t seed, step;
} EbbCudaStep;

/* The stream that work is given to; what has been uploaded goes ahead of it. */
EbbStatus ebb_cuda_stream(EbbDevice *device, cudaStream_t *stream) EBB_MUST_CHECK;
const EbbCudaStep *ebb_cuda_step(const EbbDevice *device);
EbbFault *ebb_cuda_fault(const EbbDevice *device);
int ebb_cuda_multiprocessors(const EbbDevice *device);
/* Most dynamic shared memory a block can ask for, in bytes. */
int64_t ebb_cuda_shared_limit(const EbbDevice *device);
/* Of matrix products with float32 operands. */
EbbPrecision ebb_cuda_precision(const EbbDevice *device);

/* EBB_OK for cudaSuccess, otherwise DEVICE with the sentence "<what>: <CUDA's words>". */
EbbStatus ebb_cuda_check(cudaError_t error, const char *what) EBB_MUST_CHECK;

/* C = alpha op(A) op(B) + beta C for `batch` matrices, row-major with leading dimensions, op(A) (m, k), op(B)
   (k, n); stride: elements from one matrix of the batch to the next, 0 for one that serves all (not C).
   Types: a and b both F32 or both BF16; c F32, or BF16 where a and b are. F32 operands are multiplied in the
   device's precision. */
typedef struct EbbCudaMatrix {
  const void *data;
  EbbDtype type;
  int64_t ld, stride;
  bool transpose;
} EbbCudaMatrix;
typedef struct EbbCudaGemm {
  EbbCudaMatrix a, b;
  void *c;
  EbbDtype type_c;
  int64_t ldc, stride_c;
  int64_t m, n, k, batch;
  float alpha, beta;
} EbbCudaGemm;
EbbStatus ebb_cuda_gemm(EbbDevice *device, const EbbCudaGemm *gemm) EBB_MUST_CHECK;

EbbStatus ebb_cuda_fft_r2c(EbbDevice *device, const EbbCudaFft *fft, const float *x,
                           EbbC32 *X) EBB_MUST_CHECK;
EbbStatus ebb_cuda_fft_c2r(EbbDevice *device, const EbbCudaFft *fft, EbbC32 *X, float *x) EBB_MUST_CHECK;
EbbStatus ebb_cuda_fft_c2c(EbbDevice *device, const EbbCudaFft *fft, const EbbC32 *from, EbbC32 *to,
                           bool inverse) EBB_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
