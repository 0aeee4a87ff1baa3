#include "support/floor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "support/bench.h"
#include "support/gpu.h"
#include "support/memory.h"

namespace ebb_bench {

namespace {

const double kLongEnough = 0.01; // seconds: larger work would not measure better
const size_t kLargestCopy = size_t(1) << 30;
const int64_t kLargestProduct = 8192;
const int kMostRounds = 1 << 16;

double least_seconds(const std::function<void()> &give) {
  double least = gpu()->seconds(device(), give);
  for (int i = 0; i < 5; i++) least = std::min(least, gpu()->seconds(device(), give));
  return least;
}

void report_floor(benchmark::State &state, double seconds, const Work &work) {
  const Rates &r = rates();
  const double memory = work.bytes / r.copy;
  const double floor =
      std::max({memory, work.instructions / r.instructions, work.product_flops / r.products});
  state.counters["floor_us"] = floor * 1e6;
  state.counters["x_floor"] = seconds / floor;
  state.counters["x_bytes"] = seconds / memory;
  if (work.bytes < double(gpu()->cache_bytes(device()))) state.SetLabel("data fits into the cache");
}

} // namespace

// Doubles the size until the work takes long enough.
double measure_copy() {
  for (size_t bytes = kLargestCopy / 256;; bytes *= 2) {
    const Memory from(bytes), to(bytes);
    gpu()->fill(device(), from.floats(), int64_t(bytes / sizeof(float)));
    const double seconds =
        least_seconds([&] { must(ebb_device_copy(device(), to.floats(), from.floats(), bytes)); });
    if (bytes == kLargestCopy || seconds > kLongEnough) return 2 * double(bytes) / seconds;
  }
}

double measure_instructions() {
  const Memory out(sizeof(float));
  for (int rounds = 1;; rounds *= 2) {
    double operations = 0;
    const double seconds =
        least_seconds([&] { operations = gpu()->multiply_add(device(), rounds, out.floats()); });
    if (rounds == kMostRounds || seconds > kLongEnough) return operations / seconds;
  }
}

double measure_products() {
  for (int64_t n = 64;; n *= 2) {
    const size_t bytes = size_t(n * n) * sizeof(float);
    const Memory a(bytes), b(bytes), c(bytes);
    for (const Memory *operand : {&a, &b}) gpu()->fill(device(), operand->floats(), n * n);
    const double seconds =
        least_seconds([&] { gpu()->multiply(device(), a.floats(), b.floats(), c.floats(), n); });
    if (n == kLargestProduct || seconds > kLongEnough) return 2 * double(n) * double(n) * double(n) / seconds;
  }
}

const Rates &rates() {
  static const Rates measured = [] {
    const Rates r = {measure_copy(), measure_instructions(), measure_products()};
    benchmark::AddCustomContext("copy_TB/s", std::to_string(r.copy * 1e-12));
    benchmark::AddCustomContext("float32_Tops", std::to_string(r.instructions * 1e-12));
    benchmark::AddCustomContext("products_TFLOP/s", std::to_string(r.products * 1e-12));
    return r;
  }();
  return measured;
}

void report(benchmark::State &state, double seconds, const Work &work) {
  const double flops = work.flops + work.product_flops;
  state.counters["GB/s"] = work.bytes * 1e-9 / seconds;
  if (flops > 0) state.counters["GFLOP/s"] = flops * 1e-9 / seconds;
  if (on_gpu()) report_floor(state, seconds, work);
}

} // namespace ebb_bench
