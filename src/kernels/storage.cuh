/* How activations lie in memory: float32, or bfloat16 with float32 arithmetic. Kernels are templates on the
   storage type and go through load and store. */
#ifndef EBB_KERNELS_STORAGE_CUH
#define EBB_KERNELS_STORAGE_CUH

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "ebb/shape.h"

typedef __nv_bfloat16 EbbBf16;

__device__ __forceinline__ float load(const float *x, int64_t i) { return x[i]; }
__device__ __forceinline__ float load(const EbbBf16 *x, int64_t i) { return __bfloat162float(x[i]); }
__device__ __forceinline__ void store(float *x, int64_t i, float value) { x[i] = value; }
__device__ __forceinline__ void store(EbbBf16 *x, int64_t i, float value) { x[i] = __float2bfloat16(value); }

/* x[i] = value, or += where add is set. */
template <class S> __device__ __forceinline__ void store_or_add(S *x, int64_t i, float value, bool add) {
  store(x, i, add ? load(x, i) + value : value);
}

/* Four consecutive elements; i is a multiple of 4 and x aligned to 4 elements. */
__device__ __forceinline__ float4 load4(const float *x, int64_t i) {
  return *reinterpret_cast<const float4 *>(x + i);
}
__device__ __forceinline__ void store4(float *x, int64_t i, float4 value) {
  *reinterpret_cast<float4 *>(x + i) = value;
}
__device__ __forceinline__ float4 load4(const EbbBf16 *x, int64_t i) {
  const uint2 words = *reinterpret_cast<const uint2 *>(x + i);
  return make_float4(__uint_as_float(words.x << 16), __uint_as_float(words.x & 0xffff0000u),
                     __uint_as_float(words.y << 16), __uint_as_float(words.y & 0xffff0000u));
}
__device__ __forceinline__ void store4(EbbBf16 *x, int64_t i, float4 value) {
  EbbBf16 four[4] = {__float2bfloat16(value.x), __float2bfloat16(value.y), __float2bfloat16(value.z),
                     __float2bfloat16(value.w)};
  uint2 words;
  memcpy(&words, four, sizeof words);
  *reinterpret_cast<uint2 *>(x + i) = words;
}

/* Runs `body` with type S standing for the storage that `dtype` names. */
#define EBB_STORAGE_DISPATCH(dtype, S, ...)                                                                  \
  do {                                                                                                       \
    if ((dtype) == EBB_BF16) {                                                                               \
      typedef EbbBf16 S;                                                                                     \
      __VA_ARGS__                                                                                            \
    } else {                                                                                                 \
      typedef float S;                                                                                       \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  } while (0)

/* An args pointer, which is declared float *, as what it is. */
template <class S> static __host__ __device__ __forceinline__ const S *as(const float *x) {
  return reinterpret_cast<const S *>(x);
}
template <class S> static __host__ __device__ __forceinline__ S *as(float *x) {
  return reinterpret_cast<S *>(x);
}

#endif
