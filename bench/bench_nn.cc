// Ops around the state-space layer and the optimiser step, at the shapes of the long-range-arena experiments.
// out/<config>: output projection with GLU, tied dropout and residual; norm/<config>: batch norm (cifar:
// layer norm); embed/<config>; adamw/<parameters>. B/s counts each operand once; flop/s counts the matrix
// products.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/ops/batch_norm.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/layer_norm.h"
#include "ebb/ops/s4_out.h"
#include "ebb/optim.h"
#include "ebb/rng.h"

namespace {

void must(EbbStatus status) {
  if (status == EBB_OK) return;
  std::fprintf(stderr, "%s\n", ebb_error());
  std::abort();
}

struct Config {
  const char *name;
  int64_t B, H, L;
};

const Config kConfigs[] = {
    {"listops", 12, 128, 2048},   {"imdb", 8, 128, 4096}, {"cifar", 50, 512, 1024},
    {"pathfinder", 4, 256, 1024}, {"sc", 10, 128, 16000},
};

// One op with its inputs drawn once; threads: all of the machine.
class Node {
public:
  Node(const char *op, const void *config, size_t config_size,
       const std::vector<std::vector<int64_t>> &shapes, EbbDtype type = EBB_F32) {
    must(ebb_device_open("cpu", 0, &device));
    must(ebb_params_create(device, &params));
    must(ebb_graph_create(params, nullptr, true, &graph));
    std::vector<EbbValue> inputs;
    for (const auto &shape : shapes) {
      EbbValue value;
      must(ebb_graph_input(graph, "x", type, ebb_shape_from(int(shape.size()), shape.data()), type == EBB_F32,
                           &value));
      inputs.push_back(value);
    }
    EbbValue y;
    must(ebb_graph_apply(graph, ebb_op_find(op), "node", config, config_size, inputs.data(),
                         int(inputs.size()), &y, 1));
    must(ebb_graph_output(graph, y));
    must(ebb_params_place(params, 1));
    must(ebb_graph_layout(graph));
    for (EbbValue value : inputs) fill(value, type);
    run.device = device;
    must(ebb_graph_forward(graph, &run));
    fill_grad(y);
  }
  Node(const Node &) = delete;
  Node &operator=(const Node &) = delete;
  ~Node() {
    ebb_graph_destroy(graph);
    ebb_params_destroy(params);
    ebb_device_close(device);
  }

  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  EbbGraph *graph = nullptr;
  EbbRun run = {nullptr, true, 1, 1};

private:
  void fill(EbbValue value, EbbDtype type) {
    EbbShape shape = ebb_graph_shape(graph, value);
    std::vector<float> floats;
    std::vector<int32_t> tokens;
    for (int64_t i = 0; i < ebb_shape_size(&shape); i++)
      if (type == EBB_F32)
        floats.push_back(float(ebb_unit_double(ebb_random(1, 2, 0, uint64_t(i))) - 0.5));
      else
        tokens.push_back(int32_t(ebb_below(ebb_random(1, 2, 0, uint64_t(i)), 100)));
    must(ebb_graph_write(graph, value, type == EBB_F32 ? static_cast<void *>(floats.data()) : tokens.data()));
  }
  void fill_grad(EbbValue y) {
    EbbShape shape = ebb_graph_shape(graph, y);
    std::vector<float> dy(size_t(ebb_shape_size(&shape)), 0.5F);
    must(ebb_graph_write_grad(graph, y, dy.data()));
  }
};

struct Work {
  double flops, forward_bytes, backward_bytes;
};

void time_node(benchmark::State &state, Node &node, bool backward, const Work &work) {
  while (state.KeepRunning())
    must(backward ? ebb_graph_backward(node.graph, &node.run) : ebb_graph_forward(node.graph, &node.run));
  const double bytes = backward ? work.backward_bytes : work.forward_bytes,
               flops = work.flops * (backward ? 2 : 1);
  using benchmark::Counter;
  state.counters["B/s"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1000);
  if (flops > 0)
    state.counters["flop/s"] = Counter(flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

void bench_out(benchmark::State &state, const Config &c, bool backward) {
  const EbbS4OutConfig config = {true, 0.1F, true};
  Node node("s4_out", &config, sizeof config, {{c.B, c.H, c.L}, {c.B, c.H, c.L}});
  const double x = 4.0 * double(c.B * c.H * c.L);
  time_node(state, node, backward, {4.0 * double(c.H * c.H * c.B * c.L), 5 * x, 6 * x});
}

void bench_norm(benchmark::State &state, const Config &c, bool backward) {
  const EbbBatchNormConfig batch = {1e-5, 0.1};
  const EbbLayerNormConfig layer = {1e-5};
  const bool over_channels = std::string(c.name) == "cifar";
  Node node(over_channels ? "layer_norm" : "batch_norm",
            over_channels ? static_cast<const void *>(&layer) : &batch,
            over_channels ? sizeof layer : sizeof batch, {{c.B, c.H, c.L}});
  const double x = 4.0 * double(c.B * c.H * c.L);
  time_node(state, node, backward, {0, 2 * x, 3 * x});
}

void bench_embed(benchmark::State &state, const Config &c, bool backward) {
  const EbbEmbeddingConfig config = {135, c.H};
  Node node("embedding", &config, sizeof config, {{c.B, c.L}}, EBB_I32);
  const double x = 4.0 * double(c.B * c.H * c.L);
  time_node(state, node, backward, {0, x, x});
}

void bench_adamw(benchmark::State &state, int64_t size) {
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  must(ebb_device_open("cpu", 0, &device));
  must(ebb_params_create(device, &params));
  EbbParamSpec spec = {};
  spec.name = "weight", spec.shape = ebb_shape_from(1, &size), spec.draw = EBB_DRAW_NORMAL, spec.a = 1;
  int index = -1;
  must(ebb_params_declare(params, "node", &spec, &index));
  must(ebb_params_place(params, 1));
  const EbbAdamW config = {1e-3, 1e-2, 0.9, 0.999, 1e-8};
  EbbOptimizer *optimizer = nullptr;
  must(ebb_optimizer_create(params, nullptr, &optimizer));
  int64_t step = 0;
  while (state.KeepRunning()) {
    must(ebb_optimizer_set(optimizer, &config, ++step, 1, 0));
    must(ebb_optimizer_update(optimizer));
  }
  using benchmark::Counter;
  state.counters["B/s"] = Counter(36.0 * double(size), Counter::kIsIterationInvariantRate, Counter::kIs1000);
  ebb_optimizer_destroy(optimizer);
  ebb_params_destroy(params);
  ebb_device_close(device);
}

const bool registered = [] {
  const struct {
    const char *name;
    void (*bench)(benchmark::State &, const Config &, bool);
  } kinds[] = {{"out", bench_out}, {"norm", bench_norm}, {"embed", bench_embed}};
  for (const auto &kind : kinds)
    for (const Config &c : kConfigs)
      for (bool backward : {false, true}) {
        const std::string name =
            std::string(kind.name) + "/" + c.name + (backward ? "/backward" : "/forward");
        auto *bench = kind.bench;
        benchmark::RegisterBenchmark(name.c_str(),
                                     [bench, c, backward](benchmark::State &s) { bench(s, c, backward); })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
  for (int64_t size : {100000, 1000000, 10000000})
    benchmark::RegisterBenchmark(("adamw/" + std::to_string(size)).c_str(),
                                 [size](benchmark::State &s) { bench_adamw(s, size); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  return true;
}();

} // namespace
