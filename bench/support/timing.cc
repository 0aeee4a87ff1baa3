// Timing of repeated work. On a GPU it is recorded, and the recording replayed between two events.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "support/bench.h"
#include "support/gpu.h"

namespace ebb_bench {

namespace {

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

double time_on_gpu(benchmark::State &state, const Repeated &repeated) {
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
  const int64_t replays = int64_t(std::clamp(std::ceil(kReplaySeconds / each), 1.0, kMostReplays));
  std::vector<double> measured;
  while (state.KeepRunning()) {
    measured.push_back(seconds(replays) / double(replays));
    state.SetIterationTime(measured.back());
  }
  must(ebb_device_sync(device())); // tells what kernels found wrong
  std::sort(measured.begin(), measured.end());
  return measured[measured.size() / 2];
}

double time_on_cpu(benchmark::State &state, const Repeated &repeated) {
  const auto start = std::chrono::steady_clock::now();
  while (state.KeepRunning()) {
    if (repeated.feed) repeated.feed();
    repeated.work();
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  return passed.count() / double(state.iterations());
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
  // A fixed number of iterations spares Google Benchmark's search for one, which would build each model
  // several times.
  return on_gpu() ? bench->UseManualTime()->Iterations(kMeasurements) : bench->UseRealTime();
}

double time_repeated(benchmark::State &state, const Repeated &repeated) {
  return on_gpu() ? time_on_gpu(state, repeated) : time_on_cpu(state, repeated);
}

} // namespace ebb_bench
