// Ops around the state-space layer and the optimiser step, at the shapes of the long-range-arena experiments.
// out/<config>: output projection with GLU, tied dropout and residual; norm/<config>: batch norm (cifar:
// layer norm); embed/<config>; adamw/<parameters>. GB/s counts each operand once; GFLOP/s counts the matrix
// products.
#include <string>

#include "ebb/ops/batch_norm.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/layer_norm.h"
#include "ebb/ops/s4_out.h"
#include "ebb/optim.h"
#include "support/floor.h"
#include "support/node.h"

namespace {

using ebb_bench::Input;
using ebb_bench::Kind;
using ebb_bench::must;

struct Config {
  const char *name;
  int64_t B, H, L;
};

const Config kConfigs[] = {
    {"listops", 12, 128, 2048},   {"imdb", 8, 128, 4096}, {"cifar", 50, 512, 1024},
    {"pathfinder", 4, 256, 1024}, {"sc", 10, 128, 16000},
};

Input layer(const Config &c) { return {Kind::kLayer, {c.B, c.H, c.L}}; }
double layer_bytes(const Config &c) { return ebb_bench::storage_bytes() * double(c.B * c.H * c.L); }

void bench_out(benchmark::State &state, const Config &c, bool backward) {
  const EbbS4OutConfig config = {true, 0.1F, true};
  const double seconds = ebb_bench::Node("s4_out", config, {layer(c), layer(c)}, backward).time(state);
  const double flops = 4.0 * double(c.H * c.H * c.B * c.L);
  ebb_bench::report(state, seconds, {(backward ? 6 : 5) * layer_bytes(c), 0, 0, flops * (backward ? 2 : 1)});
}

void bench_norm(benchmark::State &state, const Config &c, bool backward) {
  const EbbBatchNormConfig batch = {1e-5, 0.1};
  const EbbLayerNormConfig over_channels = {1e-5};
  const double seconds = std::string(c.name) == "cifar"
                             ? ebb_bench::Node("layer_norm", over_channels, {layer(c)}, backward).time(state)
                             : ebb_bench::Node("batch_norm", batch, {layer(c)}, backward).time(state);
  ebb_bench::report(state, seconds, {(backward ? 3 : 2) * layer_bytes(c), 0, 0, 0});
}

void bench_embed(benchmark::State &state, const Config &c, bool backward) {
  const EbbEmbeddingConfig config = {135, c.H};
  const double seconds =
      ebb_bench::Node("embedding", config, {{Kind::kTokens, {c.B, c.L}}}, backward).time(state);
  ebb_bench::report(state, seconds, {layer_bytes(c), 0, 0, 0});
}

// Parameters of one group, and their optimiser.
class Parameters {
public:
  explicit Parameters(int64_t size) {
    must(ebb_params_create(ebb_bench::device(), &params_));
    EbbParamSpec spec = {};
    spec.name = "weight", spec.shape = ebb_shape_from(1, &size), spec.draw = EBB_DRAW_NORMAL, spec.a = 1;
    int index = -1;
    must(ebb_params_declare(params_, "node", &spec, &index));
    must(ebb_params_place(params_, 1));
    must(ebb_optimizer_create(params_, nullptr, &optimizer_));
  }
  Parameters(const Parameters &) = delete;
  Parameters &operator=(const Parameters &) = delete;
  ~Parameters() {
    ebb_optimizer_destroy(optimizer_);
    ebb_params_destroy(params_);
  }
  void set() {
    const EbbAdamW config = {1e-3, 1e-2, 0.9, 0.999, 1e-8};
    must(ebb_optimizer_set(optimizer_, &config, ++step_, 1, 0));
  }
  void update() { must(ebb_optimizer_update(optimizer_)); }

private:
  EbbParams *params_ = nullptr;
  EbbOptimizer *optimizer_ = nullptr;
  int64_t step_ = 0;
};

void bench_adamw(benchmark::State &state, int64_t size) {
  Parameters parameters(size);
  const double seconds =
      ebb_bench::time_repeated(state, {[&] { parameters.update(); }, [&] { parameters.set(); }});
  ebb_bench::report(state, seconds, {36.0 * double(size), 0, 0, 0});
}

} // namespace

void ebb_bench::register_benches() {
  const struct {
    const char *name;
    void (*bench)(benchmark::State &, const Config &, bool);
  } kinds[] = {{"out", bench_out}, {"norm", bench_norm}, {"embed", bench_embed}};
  for (const auto &kind : kinds)
    for (const Config &c : kConfigs)
      for (bool backward : {false, true}) {
        auto *bench = kind.bench;
        add(std::string(kind.name) + "/" + c.name + (backward ? "/backward" : "/forward"),
            [bench, c, backward](benchmark::State &state) { bench(state, c, backward); });
      }
  for (int64_t size : {100000, 1000000, 10000000})
    add("adamw/" + std::to_string(size), [size](benchmark::State &state) { bench_adamw(state, size); });
}
