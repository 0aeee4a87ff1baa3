#include <curand.h>

#include <stdexcept>
#include <string>

#include "host/device/cuda.h"
#include "support/bench.h"
#include "support/gpu_fill.h"

namespace ebb_bench {

namespace {

void check(curandStatus_t status, const char *what) {
  if (status != CURAND_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": cuRAND's status " + std::to_string(int(status)));
}

} // namespace

// cuRAND makes normal numbers in pairs; the last one of an odd size keeps what is there.
void gpu_fill(EbbDevice *device, float *memory, int64_t size) {
  curandGenerator_t generator = nullptr;
  check(curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_PHILOX4_32_10), "making a generator");
  curandStatus_t status = curandSetStream(generator, ebb_cuda_stream(device));
  if (status == CURAND_STATUS_SUCCESS) status = curandSetPseudoRandomGeneratorSeed(generator, 1);
  if (status == CURAND_STATUS_SUCCESS && size > 1)
    status = curandGenerateNormal(generator, memory, size_t(size - size % 2), 0.0F, 0.1F);
  must(ebb_device_sync(device));
  check(curandDestroyGenerator(generator), "releasing a generator");
  check(status, "filling memory with random numbers");
}

} // namespace ebb_bench
