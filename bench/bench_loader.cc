// The input pipeline at the shapes of the Long Range Arena and of Speech Commands, on made-up numbers in
// compact storage: loader/<set>/<threads that prepare batches>. The time of a case is the time that the
// training thread spends in ebb_loader_batch for one batch; between two it sleeps for the step time that is
// named, as it does while a GPU works. With 0, the default, items_per_second is batches a second of the
// pipeline alone.
//   EBB_BENCH_STEP_MS    step time in ms; `waited` is then the share of a training's time that the batches
//   cost EBB_BENCH_MIB        storage of each set, default 64; as much as the real one shows the cost of main
//   memory
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "ebb/data.h"
#include "ebb/rng.h"
#include "support/bench.h"

namespace {

using ebb_bench::must;
using Clock = std::chrono::steady_clock;

struct Shape {
  const char *name;
  int64_t shortest, longest, batch, vocabulary; // vocabulary 0: one value a step
  EbbRawType type;
  bool scale_per_position;
};

const Shape shapes[] = {
    {"listops", 501, 2000, 12, 18, EBB_RAW_U8, false},  {"imdb", 52, 4096, 8, 135, EBB_RAW_U8, false},
    {"cifar", 1024, 1024, 50, 0, EBB_RAW_U8, false},    {"pathx", 16384, 16384, 8, 0, EBB_RAW_U8, false},
    {"speech", 16000, 16000, 10, 0, EBB_RAW_I16, true},
};

double environment(const char *name, double otherwise) {
  const char *text = std::getenv(name);
  return text ? std::atof(text) : otherwise;
}

// Made-up samples of one shape.
struct Set {
  EbbDataset dataset = {};
  std::vector<int64_t> offset{0};
  std::vector<uint8_t> bytes;
  std::vector<int32_t> labels;
  std::vector<float> scale, shift;

  explicit Set(const Shape &shape) {
    const size_t item = shape.type == EBB_RAW_U8 ? 1 : 2;
    const int64_t most = int64_t(environment("EBB_BENCH_MIB", 64) * 1024 * 1024) / int64_t(item);
    while (offset.back() + shape.longest <= most || offset.size() < 66) {
      const uint32_t word = ebb_random(1, 2, 3, offset.size());
      offset.push_back(offset.back() + shape.shortest +
                       ebb_below(word, uint32_t(shape.longest - shape.shortest) + 1));
      labels.push_back(int32_t(word % 2));
    }
    bytes.resize(size_t(offset.back()) * item);
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = uint8_t(i * 2654435761U >> 24) % 135;
    const size_t scales = shape.scale_per_position ? size_t(shape.longest) : 1;
    scale.assign(scales, 0.0039F), shift.assign(scales, -0.5F);
    snprintf(dataset.name, sizeof dataset.name, "%s", shape.name);
    dataset.n_classes = dataset.d_output = 2;
    dataset.vocabulary = shape.vocabulary, dataset.d_input = shape.vocabulary ? 0 : 1;
    dataset.n_towers = 1, dataset.longest = shape.longest;
    dataset.scale = scale.data(), dataset.offset = shift.data();
    dataset.scale_per_position = shape.scale_per_position;
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.n_samples = int64_t(labels.size());
    samples.offset = offset.data(), samples.labels = labels.data();
    samples.raw = bytes.data(), samples.raw_type = shape.type;
  }
};

void run(benchmark::State &state, const Shape &shape, int64_t workers) {
  const std::chrono::duration<double, std::milli> step(environment("EBB_BENCH_STEP_MS", 0));
  const Set set(shape);
  EbbLoaderConfig config = {};
  config.batch_size = shape.batch, config.shuffle = config.drop_last = true;
  config.bucket_quantum = 1, config.seed = 1, config.n_workers = workers;
  EbbLoader *loader = nullptr;
  must(ebb_loader_create(&set.dataset, EBB_TRAIN, &config, &loader));
  const int64_t batches = ebb_loader_batches(loader);
  double waited = 0;
  const EbbBatch *batch = nullptr;
  must(ebb_loader_batch(loader, 0, 0, &batch)); // starts the threads
  int64_t n = 1;
  for (auto _ : state) {
    if (step.count() > 0) {
      state.PauseTiming();
      std::this_thread::sleep_for(step);
      state.ResumeTiming();
    }
    const Clock::time_point begin = Clock::now();
    must(ebb_loader_batch(loader, n / batches, n % batches, &batch));
    waited += std::chrono::duration<double>(Clock::now() - begin).count();
    n++;
  }
  ebb_loader_destroy(loader);
  state.SetItemsProcessed(state.iterations());
  if (step.count() > 0)
    state.counters["waited"] = waited / (waited + 1e-3 * step.count() * double(state.iterations()));
}

} // namespace

void ebb_bench::register_benches() {
  for (const Shape &shape : shapes)
    for (int64_t workers : {0, 1, 2, 4})
      add(std::string("loader/") + shape.name + "/" + std::to_string(workers), [shape, workers](
                                                                                   benchmark::State &state) {
        run(state, shape, workers);
      })->Unit(benchmark::kMicrosecond);
}
