// main of every bench: the flags of bench.h, then Google Benchmark's.
#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>

#include "support/bench.h"

namespace {

void run(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (!std::strcmp(argv[i], "--help")) std::puts(ebb_bench::kFlags);
  ebb_bench::open_device(&argc, argv, "cpu");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) throw std::runtime_error(ebb_bench::kFlags);
  for (const auto &[name, value] : ebb_bench::described()) benchmark::AddCustomContext(name, value);
  ebb_bench::register_benches();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  ebb_bench::close_device();
}

} // namespace

int main(int argc, char **argv) {
  try {
    run(argc, argv);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
  return 0;
}
