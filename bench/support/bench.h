// What the benches share: the device of --device, and timing of work on it.
#ifndef EBB_BENCH_SUPPORT_BENCH_H
#define EBB_BENCH_SUPPORT_BENCH_H

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ebb/device.h"
#include "ebb/shape.h"

namespace ebb_bench {

// The flags that every bench takes beside Google Benchmark's.
struct Options {
  std::string device = "cpu";                     // --device=cpu|cuda|cuda:<index>
  EbbPrecision precision = EBB_PRECISION_FLOAT32; // --precision=float32|tf32|bf16: of matrix products
  EbbDtype storage = EBB_F32;                     // --storage=float32|bf16: of tensors between layers
};
const Options &options();
bool on_gpu();
// Bytes of one stored element.
double storage_bytes();

const char *const kFlags =
    "ebb's flags: --device=cpu|cuda|cuda:<index> --precision=float32|tf32|bf16 --storage=float32|bf16";
// Takes these flags out of the arguments and opens the device, `otherwise` without --device.
void open_device(int *argc, char **argv, const char *otherwise);
void close_device();
EbbDevice *device();
// What was chosen, by name.
std::vector<std::pair<std::string, std::string>> described();

// Throws std::runtime_error with ebb's sentence where status is not EBB_OK.
void must(EbbStatus status);

// Defined by each bench: calls `add` for its cases. Runs when the flags are known.
void register_benches();

// A case that reports wall time on the CPU and the GPU's own time on a GPU. What `run` throws becomes the
// case's error.
benchmark::internal::Benchmark *add(const std::string &name, std::function<void(benchmark::State &)> run);

const int kMeasurements = 10;
const double kReplaySeconds = 0.005;

// Work that is done again and again.
struct Repeated {
  std::function<void()> work; // on a GPU recorded once and replayed
  std::function<void()> feed; // may be empty; the host's part, before each work
};
// Returns the seconds of one run: on a GPU the median of kMeasurements, each of as many replays as take
// kReplaySeconds.
double time_repeated(benchmark::State &state, const Repeated &repeated);

} // namespace ebb_bench

#endif
