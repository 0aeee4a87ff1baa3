/* Matrix products of a warp on tensor cores, with float32 sums: d (16 x 8) += a (16 x K) b (K x 8). Lane l,
   with g = l / 4 and t = l % 4, holds of d rows g and g + 8, columns 2 t and 2 t + 1; of a and b what stands
   at each function. All lanes of the warp call them. Source: PTX ISA, "Matrix Fragments for mma". */
#ifndef EBB_KERNELS_MMA_CUH
#define EBB_KERNELS_MMA_CUH

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#ifdef EBB_CUDA_EMULATED
#include "kernel_mma.h"
#endif

/* x with ten bits of mantissa, to nearest, ties away from 0. */
static __device__ __forceinline__ uint32_t mma_tf32(float x) {
#ifdef EBB_CUDA_EMULATED
  return ebb_emulator_tf32(x);
#else
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
#endif
}

/* Two neighbours of k, rounded to bfloat16. */
static __device__ __forceinline__ uint32_t mma_bf16(float first, float second) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

/* K = 8 in tf32, of a word the upper 19 bits. a: (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4); b: (t, g),
 * (t + 4, g). */
static __device__ __forceinline__ void mma_tf32_16x8x8(float *d, const uint32_t *a, const uint32_t *b) {
#ifdef EBB_CUDA_EMULATED
  ebb_emulator_mma_tf32(d, a, b);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/* K = 16 in bfloat16, two neighbours of k a word, the first one low. a: (g, 2t), (g + 8, 2t), (g, 2t + 8),
   (g + 8, 2t + 8); b: (2t, g), (2t + 8, g). */
static __device__ __forceinline__ void mma_bf16_16x8x16(float *d, const uint32_t *a, const uint32_t *b) {
#ifdef EBB_CUDA_EMULATED
  ebb_emulator_mma_bf16(d, a, b);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

#endif
