// Whole training steps at the shapes of the Long Range Arena's experiments: inputs written, forward,
// backward, gradient norm, AdamW, gradients cleared. train_step/<config>/<liquid>, with the degree where it
// is not 2.
//   OMP_NUM_THREADS      threads (default: all)
//   EBB_BENCH_BATCH      samples a step instead of the configuration's; shows in the name as <config>_b<n>
//   EBB_BENCH_LAYERS     layers instead of the configuration's; shows in the name as <config>_l<n>
#include <benchmark/benchmark.h>
#include <omp.h>

#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/model.h"
#include "ebb/optim.h"
#include "ebb/rng.h"

namespace {

void must(EbbStatus status) {
  if (status != EBB_OK) throw std::runtime_error(ebb_error());
}

struct Config {
  std::string name;
  int64_t B, H, N, L, layers, vocabulary, classes; // vocabulary 0: one real input a step
  double dt_min, dt_max, dropout;
  bool bidirectional, lengths, mean; // mean: layer norm after the block and mean pooling as well
  EbbNorm norm;
};

// Long Range Arena, and the quickstart's model.
const Config configs[] = {
    {"listops", 12, 128, 7, 2048, 9, 18, 10, 0.002, 0.2, 0.01, false, true, true, EBB_NORM_BATCH},
    {"imdb", 8, 128, 7, 4096, 4, 135, 2, 0.002, 0.2, 0.1, false, true, true, EBB_NORM_BATCH},
    {"pathfinder", 4, 256, 64, 1024, 6, 0, 2, 0.001, 0.1, 0, false, false, false, EBB_NORM_BATCH},
    {"cifar", 50, 512, 512, 1024, 6, 0, 10, 0.002, 0.2, 0.1, true, false, true, EBB_NORM_LAYER_SCALAR},
    {"small", 32, 64, 16, 256, 3, 18, 10, 0.001, 0.1, 0, false, true, true, EBB_NORM_BATCH},
};

struct Liquid {
  const char *name;
  EbbLiquid kind;
  int degree;
};

const Liquid liquids[] = {{"null", EBB_LIQUID_NONE, 2},     {"polyb", EBB_LIQUID_POLYB, 2},
                          {"polyb3", EBB_LIQUID_POLYB, 3},  {"kb", EBB_LIQUID_KB, 2},
                          {"series", EBB_LIQUID_SERIES, 2}, {"series3", EBB_LIQUID_SERIES, 3},
                          {"scan", EBB_LIQUID_SCAN, 2}};

EbbSequence model_of(const Config &c, const Liquid &liquid) {
  EbbSequence m{};
  m.encoder = c.vocabulary ? EBB_ENCODER_EMBEDDING : EBB_ENCODER_LINEAR;
  m.vocabulary = c.vocabulary, m.d_input = 1, m.d_model = c.H, m.n_layers = c.layers;
  m.prenorm = c.norm == EBB_NORM_BATCH, m.residual = true, m.norm = c.norm, m.dropout = c.dropout;
  m.decoder = EBB_DECODER_SEQUENCE, m.pooling = c.mean ? EBB_POOLING_MEAN : EBB_POOLING_LAST;
  m.use_lengths = m.pool_lengths = c.lengths, m.d_output = c.classes, m.loss = EBB_LOSS_CROSS_ENTROPY;
  EbbS4Layer &layer = m.layer;
  layer.ssm.N = c.N, layer.ssm.l_max = c.L, layer.ssm.rate = 1, layer.ssm.readout = EBB_SSM_ONES;
  layer.ssm.dt_min = c.dt_min, layer.ssm.dt_max = c.dt_max;
  layer.ssm.lr_dt = NAN, layer.ssm.lr_A = layer.ssm.lr_B = 0.0009;
  layer.ssm.measure = liquid.kind == EBB_LIQUID_SCAN ? EBB_SSM_DIAG_LIN : EBB_SSM_LEGS;
  layer.diagonal = liquid.kind == EBB_LIQUID_SCAN, layer.scan_bound = layer.diagonal ? 1 : 0;
  layer.bidirectional = c.bidirectional;
  layer.skip = layer.gelu = layer.glu = true;
  layer.dropout = c.dropout, layer.tie_dropout = true;
  layer.liquid = liquid.kind, layer.degree = liquid.degree, layer.allcombs = true;
  return m;
}

// Floating-point operations of a step, so that times compare across shapes: the output layers' products
// (forward, and two backward), real transforms of 2 L points at 2.5 n log2 n (u and y; dy, du and again u),
// the kernel's products of poles and nodes as in bench_kernel. Element-wise work and liquid terms are not
// counted.
double operations(const Config &c) {
  const double rows = double(c.B) * double(c.H), n = 2.0 * double(c.L), C = c.bidirectional ? 2 : 1;
  const double products = 3 * 2 * rows * double(c.L) * 2 * double(c.H);
  const double transforms = 5 * rows * 2.5 * n * std::log2(n);
  const double pairs = double(c.H) * std::floor(double(c.N) / 2) * std::floor(double(c.L) / 2);
  const double kernel = pairs * (42 + 24 * (2 * C + 2));
  return double(c.layers) * (products + transforms + kernel);
}

// A model with random data, ready to train.
class Trainer {
public:
  Trainer(const Config &c, const Liquid &liquid) : config_(c) {
    const EbbSequence model = model_of(c, liquid);
    must(ebb_device_open("cpu", omp_get_max_threads(), &device_));
    must(ebb_params_create(device_, &params_));
    must(ebb_graph_create(params_, nullptr, true, &graph_));
    must(ebb_sequence_record(graph_, &model, c.B, c.L, &values_));
    must(ebb_params_place(params_, 1));
    must(ebb_graph_init_params(graph_));
    must(ebb_graph_layout(graph_));
    must(ebb_optimizer_create(params_, nullptr, &optimizer_));
    for (int64_t i = 0; i < c.B * c.L; i++) {
      const uint32_t word = ebb_random(1, 0, 0, uint64_t(i));
      if (c.vocabulary)
        tokens_.push_back(int32_t(ebb_below(word, uint32_t(c.vocabulary))));
      else
        reals_.push_back(ebb_unit_float(word));
    }
    for (int64_t b = 0; b < c.B; b++)
      labels_.push_back(int32_t(ebb_below(ebb_random(1, 1, 0, uint64_t(b)), uint32_t(c.classes))));
    lengths_.assign(size_t(c.B), int32_t(c.L));
    weights_.assign(size_t(c.B), 1.0F);
  }
  Trainer(const Trainer &) = delete;
  Trainer &operator=(const Trainer &) = delete;
  ~Trainer() {
    ebb_optimizer_destroy(optimizer_);
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }

  void step() {
    const EbbRun run = {device_, true, 1, uint64_t(step_++)};
    const EbbAdamW adamw = {0.002, 0.03, 0.9, 0.999, 1e-8};
    const float one = 1;
    float loss = 0;
    double norm = 0;
    must(ebb_graph_write(graph_, values_.input, input()));
    if (values_.lengths != EBB_NO_VALUE) must(ebb_graph_write(graph_, values_.lengths, lengths_.data()));
    must(ebb_graph_write(graph_, values_.labels, labels_.data()));
    must(ebb_graph_write(graph_, values_.weights, weights_.data()));
    must(ebb_graph_forward(graph_, &run));
    must(ebb_graph_read(graph_, values_.loss, &loss));
    must(ebb_graph_write_grad(graph_, values_.loss, &one));
    must(ebb_graph_backward(graph_, &run));
    must(ebb_optimizer_set(optimizer_, &adamw, step_, 1, 0));
    must(ebb_optimizer_update(optimizer_));
    must(ebb_optimizer_norm(optimizer_, &norm));
    must(ebb_grad_check(params_, norm));
  }
  double bytes() const {
    return double(ebb_graph_memory(graph_).total) +
           4.0 * double(EBB_FLATS) * double(ebb_params_size(params_));
  }

private:
  const void *input() const {
    return config_.vocabulary ? static_cast<const void *>(tokens_.data()) : reals_.data();
  }

  Config config_;
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbOptimizer *optimizer_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbSequenceValues values_{};
  std::vector<int32_t> tokens_, labels_, lengths_;
  std::vector<float> reals_, weights_;
  int64_t step_ = 0;
};

void time_steps(benchmark::State &state, const Config &config, const Liquid &liquid) {
  Trainer trainer(config, liquid);
  trainer.step(); // memory touched, arguments bound
  while (state.KeepRunning()) trainer.step();
  using benchmark::Counter;
  state.counters["samples/s"] = Counter(double(config.B), Counter::kIsIterationInvariantRate);
  state.counters["GFLOP/s"] = Counter(operations(config) * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["MiB"] = trainer.bytes() / (1024 * 1024);
  state.counters["threads"] = omp_get_max_threads();
}

void run(benchmark::State &state, const Config &config, const Liquid &liquid) {
  try {
    time_steps(state, config, liquid);
  } catch (const std::runtime_error &error) {
    state.SkipWithError(error.what());
  }
}

// The environment's number replaces `value` and shows in the name.
void override_with(const char *variable, const char *mark, int64_t *value, std::string *name) {
  const char *text = std::getenv(variable);
  const long long number = text ? std::atoll(text) : 0;
  if (number <= 0 || number == *value) return;
  *value = number;
  *name += mark + std::to_string(number);
}

const bool registered = [] {
  for (Config config : configs) {
    override_with("EBB_BENCH_BATCH", "_b", &config.B, &config.name);
    override_with("EBB_BENCH_LAYERS", "_l", &config.layers, &config.name);
    for (const Liquid &liquid : liquids) {
      if (config.bidirectional && liquid.kind >= EBB_LIQUID_SERIES) continue; // these two are causal
      benchmark::RegisterBenchmark(("train_step/" + config.name + "/" + liquid.name).c_str(),
                                   [config, liquid](benchmark::State &state) { run(state, config, liquid); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime()
          ->MeasureProcessCPUTime();
    }
  }
  return true;
}();

} // namespace
