// Kernels that keep one unit of the GPU busy.
#ifndef EBB_BENCH_SUPPORT_GPU_UNITS_H
#define EBB_BENCH_SUPPORT_GPU_UNITS_H

#include "ebb/device.h"

namespace ebb_bench {

// Multiply-adds in float32 by all lanes of all multiprocessors: `rounds` times 64 each; *operations: how many
// in all. out: one float.
EbbStatus gpu_multiply_add(EbbDevice *device, int rounds, float *out, double *operations);

} // namespace ebb_bench

#endif
