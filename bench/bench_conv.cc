// Sequence mixing of S4 layers at the shapes of the Long Range Arena:
// conv/<config>/<liquid>/forward|backward. GB/s counts the activations that must move once; GFLOP/s counts 5
// n log2 n a complex transform of length n.
#include <benchmark/benchmark.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/ops/s4_conv.h"
#include "ebb/ops/s4_scan.h"
#include "ebb/ops/s4_series.h"

namespace {

struct Shape {
  const char *name;
  int64_t B, H, L, N;
  bool bidirectional;
};
// The batch of cifar is a fifth of the published one to fit small machines.
const Shape kShapes[] = {{"listops", 12, 128, 2048, 7, false},
                         {"imdb", 8, 128, 4096, 7, false},
                         {"cifar", 10, 512, 1024, 64, true},
                         {"pathfinder", 4, 256, 1024, 64, false},
                         {"pathx", 8, 320, 16384, 64, false}};
const char *const kLiquids[] = {"none", "polyb2", "polyb3", "polyb2-shift", "kb2", "series2", "scan"};

void require(EbbStatus status) {
  if (status != EBB_OK) throw std::runtime_error(ebb_error());
}

// One node of the wanted kind over inputs of small numbers.
class Node {
public:
  Node(const Shape &shape, const std::string &liquid) : shape_(shape) {
    require(ebb_device_open("cpu", 0, &device_));
    require(ebb_params_create(device_, &params_));
    require(ebb_graph_create(params_, nullptr, true, &graph_));
    input({shape.B, shape.H, shape.L});
    if (liquid == "scan")
      scan();
    else if (liquid == "series2")
      series();
    else
      conv(liquid);
    require(ebb_graph_output(graph_, output_));
    require(ebb_params_place(params_, 1));
    require(ebb_graph_init_params(graph_));
    require(ebb_graph_layout(graph_));
    for (size_t i = 0; i < inputs_.size(); i++)
      require(ebb_graph_write(graph_, inputs_[i], values(inputs_[i], i).data()));
    run_ = {device_, true, 1, 1};
    require(ebb_graph_forward(graph_, &run_));
    require(ebb_graph_write_grad(graph_, output_, values(output_, 9).data()));
  }
  Node(const Node &) = delete;
  Node &operator=(const Node &) = delete;
  ~Node() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }
  void forward() { require(ebb_graph_forward(graph_, &run_)); }
  void backward() { require(ebb_graph_backward(graph_, &run_)); }

private:
  void input(const std::vector<int64_t> &dims) {
    EbbValue value;
    require(ebb_graph_input(graph_, ("input" + std::to_string(inputs_.size())).c_str(), EBB_F32,
                            ebb_shape_from(int(dims.size()), dims.data()), true, &value));
    inputs_.push_back(value);
  }
  std::vector<float> values(EbbValue value, size_t salt) const {
    EbbShape shape = ebb_graph_shape(graph_, value);
    std::vector<float> out(size_t(ebb_shape_size(&shape)));
    for (size_t i = 0; i < out.size(); i++) out[i] = 0.1F * std::sin(float(i % 1009) * (1.0F + float(salt)));
    return out;
  }
  template <class Config> void apply(const char *op, const Config &config) {
    require(ebb_graph_apply(graph_, ebb_op_find(op), "node", &config, sizeof config, inputs_.data(),
                            int(inputs_.size()), &output_, 1));
  }
  void conv(const std::string &liquid) {
    EbbS4ConvConfig config = {};
    config.bidirectional = shape_.bidirectional;
    config.epilogue = {true, EBB_S4_GELU, 0.1, true};
    config.liquid.kind = liquid[0] == 'p' ? EBB_S4_POLYB : liquid[0] == 'k' ? EBB_S4_KB : EBB_S4_PLAIN;
    config.liquid.degree = liquid == "polyb3" ? 3 : 2;
    config.liquid.allcombs = liquid != "polyb2-shift";
    config.liquid.M = shape_.N / 2;
    input({shape_.bidirectional ? 2 : 1, shape_.H, shape_.L});
    apply("s4_conv", config);
  }
  void series() {
    EbbS4SeriesConfig config = {2, {true, EBB_S4_GELU, 0.1, true}};
    input({1, shape_.H, shape_.L});
    input({shape_.H, shape_.L});
    apply("s4_series", config);
  }
  void scan() {
    EbbS4ScanConfig config = {};
    config.epilogue = {true, EBB_S4_GELU, 0.1, true};
    config.ssm.H = shape_.H, config.ssm.N = shape_.N, config.ssm.channels = 1, config.ssm.length = shape_.L;
    config.ssm.rate = 1, config.ssm.measure = EBB_SSM_DIAG_LIN, config.ssm.dt_min = 0.001,
    config.ssm.dt_max = 0.1;
    config.ssm.lr_dt = config.ssm.lr_A = config.ssm.lr_B = NAN;
    apply("s4_scan", config);
  }

  Shape shape_;
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbValue output_ = EBB_NO_VALUE;
  std::vector<EbbValue> inputs_;
  EbbRun run_ = {};
};

void run(benchmark::State &state, const Shape &shape, const std::string &liquid, bool backward) {
  Node node(shape, liquid);
  for (auto _ : state) {
    if (backward)
      node.backward();
    else
      node.forward();
  }
  const double elements = double(shape.B) * double(shape.H) * double(shape.L), n = 2.0 * double(shape.L);
  // Forward reads u and writes y and the pre-activation; backward reads u, dy, the pre-activation and writes
  // du.
  const double bytes = elements * 4 * (backward ? 4 : 3);
  const double transforms =
      double(shape.H) * ((backward ? 3 : 2) * std::ceil(double(shape.B) / 2) + (backward ? 2 : 1));
  const auto rate = benchmark::Counter::kIsIterationInvariantRate;
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, rate);
  if (liquid != "scan")
    state.counters["GFLOP/s"] = benchmark::Counter(transforms * 5 * n * std::log2(n) * 1e-9, rate);
  state.counters["ns/element"] = benchmark::Counter(elements * 1e-9, rate | benchmark::Counter::kInvert);
}

const bool kRegistered = [] {
  for (const Shape &shape : kShapes)
    for (const std::string liquid : kLiquids)
      for (bool backward : {false, true}) {
        const bool causal_only = liquid == "scan" || liquid == "series2";
        if (causal_only && shape.bidirectional) continue;
        const std::string name =
            std::string("conv/") + shape.name + "/" + liquid + (backward ? "/backward" : "/forward");
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State &state) { run(state, shape, liquid, backward); })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime();
      }
  return true;
}();

} // namespace
