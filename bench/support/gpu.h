// What benches ask of a GPU beyond ebb/device.h.
#ifndef EBB_BENCH_SUPPORT_GPU_H
#define EBB_BENCH_SUPPORT_GPU_H

#include <functional>

#include "ebb/device.h"

namespace ebb_bench {

struct Gpu {
  // Seconds between two events around the work that `give` gives to the device.
  double (*seconds)(EbbDevice *device, const std::function<void()> &give);
  // Normal numbers of standard deviation 0.1 in device memory.
  void (*fill)(EbbDevice *device, float *memory, int64_t size);
  // One product of two n by n float32 matrices, in the device's precision.
  void (*multiply)(EbbDevice *device, const float *a, const float *b, float *c, int64_t n);
  // Multiply-adds by every lane of the GPU; returns how many in all.
  double (*multiply_add)(EbbDevice *device, int rounds, float *out);
  int64_t (*cache_bytes)(EbbDevice *device); // L2
};

// NULL in a build without CUDA.
const Gpu *gpu();

} // namespace ebb_bench

#endif
