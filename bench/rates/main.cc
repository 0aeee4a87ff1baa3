// bench_rates [--device=cuda:<index>]: what a GPU does a second, beside what the models of the other benches
// assume of an H200. One line a rate; a rate that cannot be measured says why.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

#include "host/device/cuda.h"
#include "rates/rates.h"
#include "support/bench.h"
#include "support/floor.h"
#include "support/gpu.h"
#include "support/memory.h"

namespace {

using ebb_bench::Bench;
using ebb_bench::device;
using ebb_bench::gpu;
using ebb_bench::must;

const double kLongEnough = 0.02; // seconds
const int kMostRounds = 1 << 20;

// Seconds a unit of work: rounds are doubled until the kernel takes long enough, then the fastest of five
// counts.
double seconds_each(const Bench &bench, ebb_bench::Start start) {
  for (int rounds = 16;; rounds *= 2) {
    double units = 0;
    const auto once = [&] { return gpu()->seconds(device(), [&] { units = start(bench, rounds); }); };
    double least = once();
    if (rounds < kMostRounds && least < kLongEnough) continue;
    for (int i = 0; i < 4; i++) least = std::min(least, once());
    return least / units;
  }
}

// A recording of `rounds` empty kernels, replayed: seconds a kernel.
double seconds_each_node(const Bench &bench) {
  const int nodes = 2000;
  (void)start_nothing(bench, 1);
  EbbRecording *recording = nullptr;
  must(ebb_device_sync(device()));
  must(ebb_device_record_begin(device()));
  (void)start_nothing(bench, nodes);
  must(ebb_device_record_end(device(), true, &recording));
  double least = 1;
  for (int i = 0; i < 5; i++)
    least = std::min(least, gpu()->seconds(device(), [&] { must(ebb_device_replay(device(), recording)); }));
  ebb_device_release(device(), recording);
  return least / nodes;
}

// Operations a second of float32 products in a precision.
double products(EbbPrecision precision) {
  ebb_device_set_precision(device(), precision);
  const double rate = ebb_bench::measure_products();
  ebb_device_set_precision(device(), ebb_bench::options().precision);
  return rate;
}

// The same of bfloat16 operands.
double bf16_products(const Bench &bench) {
  const int64_t n = 8192;
  const ebb_bench::Memory floats(size_t(n * n) * sizeof(float)), a(size_t(n * n) * 2), b(size_t(n * n) * 2),
      c(size_t(n * n) * 2);
  gpu()->fill(device(), floats.floats(), n * n);
  for (const ebb_bench::Memory *to : {&a, &b}) round_to_bf16(bench, floats.floats(), to->floats(), n * n);
  const EbbCudaGemm gemm = {{a.floats(), EBB_BF16, n, 0, false},
                            {b.floats(), EBB_BF16, n, 0, false},
                            c.floats(),
                            EBB_BF16,
                            n,
                            0,
                            n,
                            n,
                            n,
                            1,
                            1,
                            0};
  double least = 1;
  for (int i = 0; i < 10; i++)
    least = std::min(least, gpu()->seconds(device(), [&] { must(ebb_cuda_gemm(device(), &gemm)); }));
  return 2 * double(n) * double(n) * double(n) / least;
}

struct Row {
  const char *name, *unit;
  double assumed;                               // 0: nothing
  std::function<double(const Bench &)> measure; // in the unit
};

std::function<double(const Bench &)> tera_a_second(ebb_bench::Start start) {
  return [start](const Bench &bench) { return 1e-12 / seconds_each(bench, start); };
}
std::function<double(const Bench &)> microseconds(ebb_bench::Start start) {
  return [start](const Bench &bench) { return 1e6 * seconds_each(bench, start); };
}
std::function<double(const Bench &)> microseconds_in_clusters(ebb_bench::Start start) {
  return [start](const Bench &bench) {
    if (!has_clusters(bench)) throw std::runtime_error("this GPU has no clusters");
    return 1e6 * seconds_each(bench, start);
  };
}

const Row rows[] = {
    {"copy, bytes read and written", "TB/s", 4.3,
     [](const Bench &) { return ebb_bench::measure_copy() * 1e-12; }},
    {"float32 instructions (FMA)", "T/s", 33.4,
     [](const Bench &) { return ebb_bench::measure_instructions() * 1e-12; }},
    {"special function ex2", "T/s", 4.18, tera_a_second(ebb_bench::start_ex2)},
    {"special function rcp", "T/s", 4.18, tera_a_second(ebb_bench::start_rcp)},
    {"special function tanh.approx", "T/s", 4.18, tera_a_second(ebb_bench::start_tanh)},
    {"transforms in shared memory, 1024", "TFLOP/s", 25, tera_a_second(ebb_bench::start_fft_1024)},
    {"transforms in shared memory, 2048", "TFLOP/s", 25, tera_a_second(ebb_bench::start_fft_2048)},
    {"transforms in shared memory, 4096", "TFLOP/s", 25, tera_a_second(ebb_bench::start_fft_4096)},
    {"transforms in shared memory, 8192", "TFLOP/s", 25, tera_a_second(ebb_bench::start_fft_8192)},
    {"transforms in shared memory, 16384", "TFLOP/s", 25, tera_a_second(ebb_bench::start_fft_16384)},
    {"products, float32", "TFLOP/s", 0,
     [](const Bench &) { return products(EBB_PRECISION_FLOAT32) * 1e-12; }},
    {"products, TF32", "TFLOP/s", 400, [](const Bench &) { return products(EBB_PRECISION_TF32) * 1e-12; }},
    {"products, bfloat16 operands", "TFLOP/s", 790, [](const Bench &b) { return bf16_products(b) * 1e-12; }},
    {"barrier of a block", "us", 0, microseconds(ebb_bench::start_block_barriers)},
    {"barrier of a cluster of 2", "us", 0.25, microseconds_in_clusters(ebb_bench::start_cluster_barriers_2)},
    {"barrier of a cluster of 8", "us", 0.25, microseconds_in_clusters(ebb_bench::start_cluster_barriers_8)},
    {"barrier of the grid", "us", 2, microseconds(ebb_bench::start_grid_barriers)},
    {"node of a recorded graph", "us", 2, [](const Bench &bench) { return 1e6 * seconds_each_node(bench); }},
    {"launch of a kernel", "us", 5, microseconds(ebb_bench::start_nothing)},
};

// false: the row could not be measured.
bool print(const Row &row, const Bench &bench) {
  char assumed[32] = "-", ratio[32] = "-";
  try {
    const double value = row.measure(bench);
    if (row.assumed > 0) {
      std::snprintf(assumed, sizeof assumed, "%.3g", row.assumed);
      std::snprintf(ratio, sizeof ratio, "%.2f", value / row.assumed);
    }
    std::printf("%-36s %10.4g %10s %8s  %s\n", row.name, value, assumed, ratio, row.unit);
  } catch (const std::exception &error) {
    std::printf("%-36s %10s %10s %8s  %s\n", row.name, "-", assumed, ratio, error.what());
    return false;
  }
  std::fflush(stdout);
  return true;
}

void run(int argc, char **argv) {
  ebb_bench::open_device(&argc, argv, "cuda");
  if (argc > 1) throw std::runtime_error(std::string(argv[1]) + " is no flag here; " + ebb_bench::kFlags);
  if (!ebb_bench::on_gpu()) throw std::runtime_error("these rates are a GPU's: use --device=cuda");
  const ebb_bench::Memory out(sizeof(float));
  Bench bench = {device(), nullptr, out.floats()};
  must(ebb_cuda_stream(device(), &bench.stream));
  std::printf("%s\n%-36s %10s %10s %8s\n", ebb_device_description(device()), "", "measured", "assumed",
              "ratio");
  for (const Row &row : rows) print(row, bench);
}

} // namespace

int main(int argc, char **argv) {
  try {
    run(argc, argv);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  ebb_bench::close_device();
  return 0;
}
