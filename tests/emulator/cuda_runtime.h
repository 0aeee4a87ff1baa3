/* The CUDA runtime on the host: the C interface and, for C++, the language of kernels. */
#ifndef EBB_EMULATOR_CUDA_RUNTIME_H
#define EBB_EMULATOR_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"
#include "ebb_emulator.h"

#ifdef __cplusplus
#include "kernel_atomics.h"
#include "kernel_language.h"
#include "kernel_math.h"
#include "kernel_memory.h"

template <class T> inline cudaError_t cudaMalloc(T **pointer, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void **>(pointer), bytes);
}
template <class T> inline cudaError_t cudaMallocHost(T **pointer, size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void **>(pointer), bytes);
}
template <class T>
inline cudaError_t cudaFuncSetAttribute(T *kernel, enum cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}
template <class T>
inline cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, T *kernel) {
  return cudaFuncGetAttributes(attributes, reinterpret_cast<const void *>(kernel));
}
template <class T>
inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, T *kernel, int block_size,
                                                                 size_t shared_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void *>(kernel),
                                                       block_size, shared_bytes);
}
#endif

#endif
