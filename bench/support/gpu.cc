#include "support/gpu.h"

#include "host/with_cuda.h"

namespace ebb_bench {

extern const Gpu cuda;

const Gpu *gpu() { return EBB_CUDA_ENTRY(&cuda); }

} // namespace ebb_bench
