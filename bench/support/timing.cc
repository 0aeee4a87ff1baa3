// Timing of repeated work. On a GPU it is recorded, and the recording replayed between two events.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "support/bench.h"
#include "support/gpu.h"

namespace ebb_bench {

namespace {

const double kMeasurement = 0.005; // seconds of replays between two events
const double kMostReplays = 1000;

class Recording {
public:
  explicit Recording(const std::function<void()> &work) {
    must(ebb_device_record_begin(device()));
    try {
      work();
    } catch (...) {
      (void)!ebb_device_record_end(device(), false, &recording_);
      throw;
    }
    must(ebb_device_record_end(device(), true, &recording_));
  }
  Recording(const Recording &) = delete;
  Recording &operator=(const Recording &) = delete;
  ~Recording() { ebb_device_release(device(), recording_); }
  void replay() const { must(ebb_device_replay(device(), recording_)); }

private:
  EbbRecording *recording_ = nullptr;
};

void time_on_gpu(benchmark::State &state, const Repeated &repeated) {
  const auto feed = [&] {
    if (repeated.feed) repeated.feed();
  };
  // Libraries choose and load kernels at their first uses.
  for (int i = 0; i < 2; i++) feed(), repeated.work();
  must(ebb_device_sync(device()));
  const Recording recording(repeated.work);
  const auto seconds = [&](int64_t replays) {
    return gpu()->seconds(device(), [&] {
      for (int64_t i = 0; i < replays; i++) feed(), recording.replay();
    });
  };
  (void)seconds(1); // a graph's first run is slower
  const double each = std::max(seconds(2) / 2, 1e-7);
  const int64_t batch = int64_t(std::clamp(std::ceil(kMeasurement / each), 1.0, kMostReplays));
  while (state.KeepRunningBatch(batch)) state.SetIterationTime(seconds(batch));
  must(ebb_device_sync(device())); // tells what kernels found wrong
}

} // namespace

benchmark::internal::Benchmark *add(const std::string &name, std::function<void(benchmark::State &)> run) {
  auto *bench = benchmark::RegisterBenchmark(name.c_str(), [run](benchmark::State &state) {
    try {
      run(state);
    } catch (const std::exception &error) {
      state.SkipWithError(error.what());
    }
  });
  bench->Unit(benchmark::kMillisecond);
  return on_gpu() ? bench->UseManualTime() : bench->UseRealTime();
}

void time_repeated(benchmark::State &state, const Repeated &repeated) {
  if (on_gpu()) return time_on_gpu(state, repeated);
  while (state.KeepRunning()) {
    if (repeated.feed) repeated.feed();
    repeated.work();
  }
}

} // namespace ebb_bench
