// Normal numbers of standard deviation 0.1 in device memory: gpu_fill_curand.cc, or gpu_fill_upload.cc where
// there is no cuRAND (the emulated device).
#ifndef EBB_BENCH_SUPPORT_GPU_FILL_H
#define EBB_BENCH_SUPPORT_GPU_FILL_H

#include "ebb/device.h"

namespace ebb_bench {

void gpu_fill(EbbDevice *device, float *memory, int64_t size);

} // namespace ebb_bench

#endif
