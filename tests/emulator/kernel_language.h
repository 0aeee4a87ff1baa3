/* The language of kernels: qualifiers, indices, barriers, votes and shuffles. */
#ifndef EBB_EMULATOR_KERNEL_LANGUAGE_H
#define EBB_EMULATOR_KERNEL_LANGUAGE_H

#include "vector_types.h"
#include <algorithm>
#include <functional>
#include <stdint.h>
#include <type_traits>

#define __global__ __attribute__((noinline)) /* so that reports name a line of the kernel */
/* Inlined, as CUDA does mostly: the compiler announces no store of what a call returns. */
#define __device__ __attribute__((always_inline))
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__    __attribute__((noinline))
#define __launch_bounds__(...)

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

/* The running thread's lane. Votes and shuffles return when all lanes of the mask have come. */
int ebb_emulator_lane();
unsigned ebb_emulator_vote(const char *what, unsigned mask, bool predicate);
uint64_t ebb_emulator_shuffle(const char *what, unsigned mask, uint64_t value, int source);
unsigned ebb_emulator_activemask();
/* A barrier of the block; returns in how many threads the predicate held. */
int ebb_emulator_barrier(const char *what, bool predicate);
long long ebb_emulator_clock();

inline void __syncthreads() { ebb_emulator_barrier("__syncthreads", false); }
inline int __syncthreads_count(int predicate) {
  return ebb_emulator_barrier("__syncthreads_count", predicate != 0);
}
inline int __syncthreads_or(int predicate) {
  return ebb_emulator_barrier("__syncthreads_or", predicate != 0) > 0;
}
inline int __syncthreads_and(int predicate) {
  return ebb_emulator_barrier("__syncthreads_and", predicate == 0) == 0;
}

inline void __syncwarp(unsigned mask = 0xffffffffu) { ebb_emulator_vote("__syncwarp", mask, false); }
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return ebb_emulator_vote("__ballot_sync", mask, predicate != 0);
}
inline int __any_sync(unsigned mask, int predicate) {
  return ebb_emulator_vote("__any_sync", mask, predicate != 0) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return ebb_emulator_vote("__all_sync", mask, predicate == 0) == 0;
}
inline unsigned __activemask() { return ebb_emulator_activemask(); }

template <class T> inline T ebb_emulator_shuffle_of(const char *what, unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable<T>::value,
                "a shuffle moves scalars");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = ebb_emulator_shuffle(what, mask, bits, source);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T> inline T __shfl_sync(unsigned mask, T value, int source, int width = warpSize) {
  int segment = ebb_emulator_lane() & ~(width - 1);
  return ebb_emulator_shuffle_of("__shfl_sync", mask, value, segment + (source & (width - 1)));
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  int lane = ebb_emulator_lane(), inside = lane & (width - 1);
  return ebb_emulator_shuffle_of("__shfl_up_sync", mask, value,
                                 inside < (int)delta ? lane : lane - (int)delta);
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize) {
  int lane = ebb_emulator_lane(), inside = lane & (width - 1);
  return ebb_emulator_shuffle_of("__shfl_down_sync", mask, value,
                                 inside + (int)delta >= width ? lane : lane + (int)delta);
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = warpSize) {
  int lane = ebb_emulator_lane(), last = lane | (width - 1), source = lane ^ bits;
  return ebb_emulator_shuffle_of("__shfl_xor_sync", mask, value, source > last ? lane : source);
}

/* Threads of the emulated device see each other's writes at once. */
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {}
inline long long clock64() { return ebb_emulator_clock(); }
template <class T> inline T __ldg(const T *pointer) { return *pointer; }
template <class T> inline T __ldcs(const T *pointer) { return *pointer; }
template <class T> inline T __ldcg(const T *pointer) { return *pointer; }
template <class T> inline void __stcs(T *pointer, T value) { *pointer = value; }
template <class T> inline void __stcg(T *pointer, T value) { *pointer = value; }

#endif
