/* How kernels are started and where they find what changes from step to step. */
#ifndef EBB_KERNELS_LAUNCH_CUH
#define EBB_KERNELS_LAUNCH_CUH

#include <cuda_runtime.h>

#include "ebb/op.h"
#include "host/device/cuda.h"

/* Launches `kernel` on the run's stream and returns an EbbStatus that names kernel, grid, block and shared
   bytes where it failed. A kernel with several template arguments stands in parentheses. */
#ifdef EBB_CUDA_EMULATED
/* A kernel with its arguments, evaluated now, for every emulated thread to call later. */
template <class... Parameters, class... Arguments>
static inline auto ebb_bind_kernel(void (*kernel)(Parameters...), Arguments... arguments) {
  return [=]() { kernel(static_cast<Parameters>(arguments)...); };
}
#define EBB_LAUNCH_ON(stream, kernel, grid, block, shared, ...)                                              \
  ebb_emulator_launch(#kernel, grid, block, shared, stream, ebb_bind_kernel(kernel, __VA_ARGS__))
#else
#define EBB_LAUNCH_ON(stream, kernel, grid, block, shared, ...)                                              \
  [&]() -> cudaError_t {                                                                                     \
    cudaError_t raised_ = ebb_raise_shared_limit(kernel, shared);                                            \
    if (raised_ != cudaSuccess) return raised_;                                                              \
    (kernel)<<<grid, block, shared, stream>>>(__VA_ARGS__);                                                  \
    return cudaPeekAtLastError();                                                                            \
  }()
#endif
#define EBB_LAUNCH(run, kernel, grid, block, shared, ...)                                                    \
  ebb_launch((run)->device, #kernel, dim3(grid), dim3(block), shared, [&](cudaStream_t stream_) {            \
    return EBB_LAUNCH_ON(stream_, kernel, grid, block, shared, __VA_ARGS__);                                 \
  })

/* Declares `type *name`, the block's dynamic shared memory. Once a kernel, at its top. */
#ifdef EBB_CUDA_EMULATED
#define EBB_SHARED(type, name) type *name = static_cast<type *>(ebb_emulator_shared())
#else
#define EBB_SHARED(type, name)                                                                               \
  extern __shared__ __align__(128) unsigned char ebb_shared_memory[];                                        \
  type *name = reinterpret_cast<type *>(ebb_shared_memory)
#endif

/* Blocks start with 48 KiB of dynamic shared memory allowed; more has to be asked for. */
template <class Kernel> static inline cudaError_t ebb_raise_shared_limit(Kernel *kernel, size_t shared) {
  if (shared <= 48 * 1024) return cudaSuccess;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
}

static inline EbbStatus ebb_launched(cudaError_t error, const char *kernel, dim3 grid, dim3 block,
                                     size_t shared) {
  if (error == cudaSuccess) return EBB_OK;
  (void)cudaGetLastError();
  return ebb_fail(
      EBB_DEVICE, "kernel %s with grid (%u, %u, %u), block (%u, %u, %u) and %zu bytes of shared memory: %s",
      kernel, grid.x, grid.y, grid.z, block.x, block.y, block.z, shared, cudaGetErrorString(error));
}

/* What EBB_LAUNCH stands for: `start` launches on a stream. */
template <class Start>
static inline EbbStatus ebb_launch(EbbDevice *device, const char *kernel, dim3 grid, dim3 block,
                                   size_t shared, Start start) {
  cudaStream_t stream;
  EBB_TRY(ebb_cuda_stream(device, &stream));
  return ebb_launched(start(stream), kernel, grid, block, shared);
}

/* Device memory: seed and step of the run in progress; pass it to kernels that draw random numbers. */
static inline const EbbCudaStep *ebb_step_of(const EbbRun *run) { return ebb_cuda_step(run->device); }

/* Device memory: where kernels note input that they cannot work on. */
static inline EbbFault *ebb_fault_of(const EbbRun *run) { return ebb_cuda_fault(run->device); }

/* The device's services for a run: see host/device/cuda.h and ebb/device.h. */
static inline EbbStatus ebb_cuda_zero(const EbbRun *run, void *memory, size_t bytes) {
  return ebb_device_zero(run->device, memory, bytes);
}
static inline EbbStatus ebb_cuda_copy(const EbbRun *run, void *to, const void *from, size_t bytes) {
  return ebb_device_copy(run->device, to, from, bytes);
}
static inline EbbStatus ebb_cuda_gemm(const EbbRun *run, const EbbCudaGemm *gemm) {
  return ebb_cuda_gemm(run->device, gemm);
}
static inline EbbStatus ebb_cuda_fft_r2c(const EbbRun *run, const EbbCudaFft *fft, const float *x,
                                         EbbC32 *X) {
  return ebb_cuda_fft_r2c(run->device, fft, x, X);
}
static inline EbbStatus ebb_cuda_fft_c2r(const EbbRun *run, const EbbCudaFft *fft, EbbC32 *X, float *x) {
  return ebb_cuda_fft_c2r(run->device, fft, X, x);
}
static inline EbbStatus ebb_cuda_fft_c2c(const EbbRun *run, const EbbCudaFft *fft, const EbbC32 *from,
                                         EbbC32 *to, bool inverse) {
  return ebb_cuda_fft_c2c(run->device, fft, from, to, inverse);
}

/* Blocks of `size` that cover n. */
static inline unsigned ebb_blocks(int64_t n, int64_t size) { return (unsigned)((n + size - 1) / size); }

/* Threads of a block that has work for n: whole warps, `most` at most. */
static inline unsigned ebb_threads(int64_t n, int64_t most) {
  return n < most ? 32 * ebb_blocks(n, 32) : (unsigned)most;
}

#endif
