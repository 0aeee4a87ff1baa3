// Generation of convolution kernels at the shapes of the Long Range Arena's experiments.
#include <cmath>
#include <string>

#include "ebb/ops/ssm.h"
#include "support/floor.h"
#include "support/node.h"

namespace {

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

EbbSsmConfig config_of(const Shape &shape) {
  EbbSsmConfig config = {};
  config.H = shape.H, config.N = shape.N, config.channels = shape.channels;
  config.length = config.l_max = shape.L, config.rate = 1;
  config.dt_min = 0.001, config.dt_max = 0.1;
  config.lr_dt = config.lr_A = config.lr_B = NAN;
  config.readout = shape.readout;
  return config;
}

// Operations on a pair of a pole and a node (nplr) or of a mode and a tap (diag), per ebb/ops/ssm_nplr.h and
// ssm_diag.h; the transforms and the readout are not counted.
double operations(const Shape &shape, bool backward) {
  double modes = double(shape.H) * double(shape.N / 2), products = 2.0 * double(shape.channels) + 2;
  if (std::string(shape.op) == "ssm_diag")
    return modes * double(shape.L) * double(shape.channels) * (backward ? 8 : 4);
  return modes * double(shape.L / 2) * (backward ? 30 + 16 * products : 12 + 8 * products);
}

void run(benchmark::State &state, const Shape &shape, bool backward) {
  const int outputs = shape.readout == EBB_SSM_NO_READOUT ? 1 : 2;
  const double seconds = ebb_bench::Node(shape.op, config_of(shape), {}, backward, outputs).time(state);
  // The kernels are written, or their gradients read, once.
  const double bytes = 4.0 * double(shape.H * shape.L * (shape.channels + outputs - 1));
  const double flops = operations(shape, backward);
  ebb_bench::report(state, seconds, {bytes, flops, flops / 2, 0}); // nearly all are multiply-adds
}

} // namespace

void ebb_bench::register_benches() {
  for (const Shape &shape : shapes)
    for (bool backward : {false, true})
      add(std::string("kernel/") + shape.name + (backward ? "/backward" : "/forward"),
          [shape, backward](benchmark::State &state) { run(state, shape, backward); })
          ->MeasureProcessCPUTime();
}
