// Generation of convolution kernels at the shapes of the Long Range Arena's experiments.
#include <benchmark/benchmark.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/graph.h"
#include "ebb/ops/ssm.h"

namespace {

void must(EbbStatus status) {
  if (status != EBB_OK) throw std::runtime_error(ebb_error());
}

struct Shape {
  const char *name;
  const char *op;
  int64_t H, N, L, channels;
  EbbSsmReadout readout;
};

const Shape shapes[] = {
    {"listops", "ssm_nplr", 128, 7, 2048, 1, EBB_SSM_NO_READOUT},
    {"cifar", "ssm_nplr", 512, 512, 1024, 2, EBB_SSM_NO_READOUT},
    {"pathfinder", "ssm_nplr", 256, 64, 1024, 1, EBB_SSM_NO_READOUT},
    {"pathx", "ssm_nplr", 320, 64, 16384, 1, EBB_SSM_NO_READOUT},
    {"listops_series", "ssm_nplr", 128, 7, 2048, 1, EBB_SSM_ONES},
    {"pathfinder_series", "ssm_nplr", 256, 64, 1024, 1, EBB_SSM_ONES},
    {"pathfinder_diag", "ssm_diag", 256, 64, 1024, 1, EBB_SSM_NO_READOUT},
    {"pathx_diag", "ssm_diag", 320, 64, 16384, 1, EBB_SSM_NO_READOUT},
};

// A graph of the one op, ready to run.
class Kernel {
public:
  explicit Kernel(const Shape &shape) {
    EbbSsmConfig config{};
    config.H = shape.H, config.N = shape.N, config.channels = shape.channels;
    config.length = config.l_max = shape.L, config.rate = 1;
    config.dt_min = 0.001, config.dt_max = 0.1;
    config.lr_dt = config.lr_A = config.lr_B = NAN;
    config.readout = shape.readout;
    EbbValue output[2];
    int outputs = shape.readout == EBB_SSM_NO_READOUT ? 1 : 2;
    must(ebb_device_open("cpu", 0, &device_));
    must(ebb_params_create(device_, &params_));
    must(ebb_graph_create(params_, nullptr, true, &graph_));
    must(ebb_graph_apply(graph_, ebb_op_find(shape.op), "kernel", &config, sizeof config, nullptr, 0, output,
                         outputs));
    for (int i = 0; i < outputs; i++) must(ebb_graph_output(graph_, output[i]));
    must(ebb_params_place(params_, 1));
    must(ebb_graph_init_params(graph_));
    run_ = {device_, true, 1, 1};
    forward();
    for (int i = 0; i < outputs; i++) {
      EbbShape size = ebb_graph_shape(graph_, output[i]);
      std::vector<float> ones(size_t(ebb_shape_size(&size)), 1.0f);
      must(ebb_graph_write_grad(graph_, output[i], ones.data()));
    }
  }
  Kernel(const Kernel &) = delete;
  Kernel &operator=(const Kernel &) = delete;
  ~Kernel() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }
  void forward() { must(ebb_graph_forward(graph_, &run_)); }
  void backward() { must(ebb_graph_backward(graph_, &run_)); }

private:
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbRun run_{};
};

// Operations on a pair of a pole and a node (nplr) or of a mode and a tap (diag), per ebb/ops/ssm_nplr.h and
// ssm_diag.h; the transforms and the readout are not counted.
double operations(const Shape &shape, bool backward) {
  double modes = double(shape.H) * double(shape.N / 2), products = 2.0 * double(shape.channels) + 2;
  if (std::string(shape.op) == "ssm_diag")
    return modes * double(shape.L) * double(shape.channels) * (backward ? 8 : 4);
  return modes * double(shape.L / 2) * (backward ? 30 + 16 * products : 12 + 8 * products);
}

void run(benchmark::State &state, const Shape &shape, bool backward) {
  Kernel kernel(shape);
  for (auto _ : state) backward ? kernel.backward() : kernel.forward();
  state.counters["GFLOP/s"] =
      benchmark::Counter(operations(shape, backward) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

const bool registered = [] {
  for (const Shape &shape : shapes)
    for (bool backward : {false, true})
      benchmark::RegisterBenchmark(
          (std::string("kernel/") + shape.name + (backward ? "/backward" : "/forward")).c_str(),
          [shape, backward](benchmark::State &state) { run(state, shape, backward); })
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime()
          ->MeasureProcessCPUTime();
  return true;
}();

} // namespace
