#include <random>
#include <vector>

#include "support/bench.h"
#include "support/gpu_fill.h"

namespace ebb_bench {

void gpu_fill(EbbDevice *device, float *memory, int64_t size) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0F, 0.1F);
  std::vector<float> host(static_cast<size_t>(size));
  for (float &x : host) x = normal(generator);
  must(ebb_device_write(device, memory, host.data(), host.size() * sizeof(float)));
}

} // namespace ebb_bench
