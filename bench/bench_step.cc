// Whole training steps at the shapes of the Long Range Arena's experiments: inputs written, forward,
// backward, gradient norm, AdamW, gradients cleared. train_step/<config>/<liquid>, with the degree where it
// is not 2. On a GPU the step is recorded once and replayed, as in training, and x_model is its time over the
// modelled one.
//   OMP_NUM_THREADS      threads (default: all)
//   EBB_BENCH_BATCH      samples a step instead of the configuration's; shows in the name as <config>_b<n>
//   EBB_BENCH_LAYERS     layers instead of the configuration's; shows in the name as <config>_l<n>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/model.h"
#include "ebb/optim.h"
#include "ebb/rng.h"
#include "support/bench.h"

namespace {

using ebb_bench::must;

struct Config {
  std::string name;
  int64_t B, H, N, L, layers, vocabulary, classes; // vocabulary 0: one real input a step
  double dt_min, dt_max, dropout;
  bool bidirectional, lengths, mean; // mean: layer norm after the block and mean pooling as well
  EbbNorm norm;
  bool pairs, large; // pairs: of documents, so 2 B rows; large: too large for most machines without a GPU
  double model_ms;   // 0: none
};

// Long Range Arena, and the quickstart's model.
// model_ms: a modelled step of an H200 with float32 tensors and TF32 products, without the cost of launches.
// It sums, over the parts of all layers, the larger of the time to move their bytes at 4.3 TB/s (27 passes
// over float32 tensors of B H L elements: convolution 5, output products 9, gates, residual and norms 13) and
// the time of their arithmetic: transforms at 25 TFLOP/s, 12 B H L H operations of the output products at 400
// TFLOP/s, and the Cauchy sums of the kernels at 33.4e12 instructions a second.
const Config configs[] = {
    {"listops", 12, 128, 7, 2048, 9, 18, 10, 0.002, 0.2, 0.01, false, true, true, EBB_NORM_BATCH, false,
     false, 1.04},
    {"imdb", 8, 128, 7, 4096, 4, 135, 2, 0.002, 0.2, 0.1, false, true, true, EBB_NORM_BATCH, false, false,
     0.64},
    {"aan", 16, 256, 64, 4000, 6, 98, 2, 0.001, 0.1, 0.2, false, true, true, EBB_NORM_BATCH, true, true, 7.6},
    {"cifar", 50, 512, 512, 1024, 6, 0, 10, 0.002, 0.2, 0.1, true, false, true, EBB_NORM_LAYER_SCALAR, false,
     false, 7.7},
    {"pathfinder", 4, 256, 64, 1024, 6, 0, 2, 0.001, 0.1, 0, false, false, false, EBB_NORM_BATCH, false,
     false, 0.27},
    {"pathx", 8, 320, 64, 16384, 6, 0, 2, 0.0001, 0.1, 0, false, false, true, EBB_NORM_BATCH, false, true,
     11.4},
    {"small", 32, 64, 16, 256, 3, 18, 10, 0.001, 0.1, 0, false, true, true, EBB_NORM_BATCH, false, false, 0},
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
  m.decoder = c.pairs ? EBB_DECODER_RETRIEVAL : EBB_DECODER_SEQUENCE,
  m.pooling = c.mean ? EBB_POOLING_MEAN : EBB_POOLING_LAST;
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
  const double rows = double(c.B) * (c.pairs ? 2 : 1) * double(c.H), n = 2.0 * double(c.L),
               C = c.bidirectional ? 2 : 1;
  const double products = 3 * 2 * rows * double(c.L) * 2 * double(c.H);
  const double transforms = 5 * rows * 2.5 * n * std::log2(n);
  const double pairs = double(c.H) * std::floor(double(c.N) / 2) * std::floor(double(c.L) / 2);
  const double kernel = pairs * (42 + 24 * (2 * C + 2));
  return double(c.layers) * (products + transforms + kernel);
}

// A model with random data, ready to train.
class Trainer {
public:
  Trainer(const Config &c, const Liquid &liquid) : config_(c), device_(ebb_bench::device()) {
    const EbbSequence model = model_of(c, liquid);
    must(ebb_params_create(device_, &params_));
    must(ebb_graph_create(params_, nullptr, true, &graph_));
    if (ebb_bench::options().storage != EBB_F32)
      must(ebb_graph_store_activations(graph_, ebb_bench::options().storage));
    must(ebb_sequence_record(graph_, &model, c.B, c.L, &values_));
    must(ebb_params_place(params_, 1));
    must(ebb_graph_init_params(graph_));
    must(ebb_graph_layout(graph_));
    must(ebb_tally_create(device_, &tally_));
    must(ebb_optimizer_create(params_, tally_, &optimizer_));
    void *memory = nullptr;
    must(ebb_device_alloc(device_, sizeof(float), "the loss's gradient", &memory));
    loss_gradient_ = static_cast<float *>(memory);
    const float one = 1;
    must(ebb_device_write(device_, loss_gradient_, &one, sizeof one));
    draw_batch();
  }
  Trainer(const Trainer &) = delete;
  Trainer &operator=(const Trainer &) = delete;
  ~Trainer() {
    ebb_optimizer_destroy(optimizer_);
    ebb_tally_destroy(device_, tally_);
    ebb_device_free(device_, loss_gradient_);
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
  }

  // The host's part of a step: the batch, the rates, and the number of the step.
  void feed() {
    const EbbAdamW adamw = {0.002, 0.03, 0.9, 0.999, 1e-8};
    step_++;
    must(ebb_device_set_step(device_, 1, uint64_t(step_)));
    must(ebb_optimizer_set(optimizer_, &adamw, step_, 1, 0));
    must(ebb_graph_write(graph_, values_.input, input()));
    if (values_.lengths != EBB_NO_VALUE) must(ebb_graph_write(graph_, values_.lengths, lengths_.data()));
    must(ebb_graph_write(graph_, values_.labels, labels_.data()));
    must(ebb_graph_write(graph_, values_.weights, weights_.data()));
  }
  // The device's part.
  void work() {
    const EbbRun run = {device_, true, 1, uint64_t(step_)};
    must(ebb_graph_forward(graph_, &run));
    must(ebb_tally_add(device_, tally_, floats_of(values_.loss), floats_of(values_.scores),
                       floats_of(values_.weights), config_.B));
    must(ebb_graph_copy_grad(graph_, values_.loss, loss_gradient_));
    must(ebb_graph_backward(graph_, &run));
    must(ebb_optimizer_update(optimizer_));
  }
  // Throws where a loss or a gradient was not finite: the steps after it would have done less.
  void check() const {
    EbbTally tally = {};
    must(ebb_tally_read(device_, tally_, &tally));
    if (tally.failure) throw std::runtime_error("a loss or a gradient was not finite");
  }
  double bytes() const {
    return double(ebb_graph_memory(graph_).total) +
           4.0 * double(EBB_FLATS) * double(ebb_params_size(params_));
  }

private:
  void draw_batch() {
    const Config &c = config_;
    const int64_t rows = c.pairs ? 2 * c.B : c.B;
    for (int64_t i = 0; i < rows * c.L; i++) {
      const uint32_t word = ebb_random(1, 0, 0, uint64_t(i));
      if (c.vocabulary)
        tokens_.push_back(int32_t(ebb_below(word, uint32_t(c.vocabulary))));
      else
        reals_.push_back(ebb_unit_float(word));
    }
    for (int64_t b = 0; b < c.B; b++)
      labels_.push_back(int32_t(ebb_below(ebb_random(1, 1, 0, uint64_t(b)), uint32_t(c.classes))));
    lengths_.assign(size_t(rows), int32_t(c.L));
    weights_.assign(size_t(c.B), 1.0F);
  }
  const void *input() const {
    return config_.vocabulary ? static_cast<const void *>(tokens_.data()) : reals_.data();
  }
  const float *floats_of(EbbValue value) const {
    const void *memory = nullptr;
    must(ebb_graph_memory_of(graph_, value, &memory));
    return static_cast<const float *>(memory);
  }

  const Config config_;
  EbbDevice *const device_;
  EbbParams *params_ = nullptr;
  EbbOptimizer *optimizer_ = nullptr;
  EbbTally *tally_ = nullptr;
  float *loss_gradient_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbSequenceValues values_{};
  std::vector<int32_t> tokens_, labels_, lengths_;
  std::vector<float> reals_, weights_;
  int64_t step_ = 0;
};

void run(benchmark::State &state, const Config &config, const Liquid &liquid) {
  Trainer trainer(config, liquid);
  trainer.feed(), trainer.work(); // memory touched, arguments bound
  const double seconds = ebb_bench::time_repeated(state, {[&] { trainer.work(); }, [&] { trainer.feed(); }});
  trainer.check();
  state.counters["samples/s"] = double(config.B) / seconds;
  state.counters["GFLOP/s"] = operations(config) * 1e-9 / seconds;
  state.counters["MiB"] = trainer.bytes() / (1024 * 1024);
  if (!ebb_bench::on_gpu()) state.counters["threads"] = ebb_device_threads(ebb_bench::device());
  if (!ebb_bench::on_gpu() || config.model_ms == 0) return;
  state.counters["model_ms"] = config.model_ms;
  state.counters["x_model"] = seconds * 1e3 / config.model_ms;
}

// The environment's number replaces `value` and shows in the name; the model is of the published one.
void override_with(const char *variable, const char *mark, int64_t *value, Config *config) {
  const char *text = std::getenv(variable);
  const long long number = text ? std::atoll(text) : 0;
  if (number <= 0 || number == *value) return;
  *value = number;
  config->name += mark + std::to_string(number);
  config->model_ms = 0;
}

} // namespace

void ebb_bench::register_benches() {
  for (Config config : configs) {
    if (config.large && !on_gpu()) continue;
    override_with("EBB_BENCH_BATCH", "_b", &config.B, &config);
    override_with("EBB_BENCH_LAYERS", "_l", &config.layers, &config);
    for (const Liquid &liquid : liquids) {
      if (config.bidirectional && liquid.kind >= EBB_LIQUID_SERIES) continue; // these two are causal
      add("train_step/" + config.name + "/" + liquid.name, [config, liquid](benchmark::State &state) {
        run(state, config, liquid);
      })->MeasureProcessCPUTime();
    }
  }
}
