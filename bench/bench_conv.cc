// Sequence mixing of S4 layers at the shapes of the Long Range Arena:
// conv/<config>/<liquid>/forward|backward. GB/s counts the tensors that must move once; GFLOP/s counts 5 L
// log2 L a row's transform (L complex points do for a linear convolution of L values), and the scan's
// operations.
#include <cmath>
#include <string>

#include "ebb/ops/s4_conv.h"
#include "ebb/ops/s4_scan.h"
#include "ebb/ops/s4_series.h"
#include "support/floor.h"
#include "support/node.h"

namespace {

using ebb_bench::Input;
using ebb_bench::Kind;

struct Shape {
  const char *name;
  int64_t B, H, L, N;
  bool bidirectional;
};
const Shape kShapes[] = {{"listops", 12, 128, 2048, 7, false},
                         {"imdb", 8, 128, 4096, 7, false},
                         {"cifar", 50, 512, 1024, 64, true},
                         {"pathfinder", 4, 256, 1024, 64, false},
                         {"pathx", 8, 320, 16384, 64, false}};
const int64_t kCifarBatchOnCpu = 10; // a fifth of the published one, to fit small machines
const char *const kLiquids[] = {"none", "polyb2", "polyb3", "polyb2-shift", "kb2", "series2", "scan"};
const EbbS4EpilogueConfig kEpilogue = {true, EBB_S4_GELU, 0.1, true};

EbbS4ConvConfig conv_config(const Shape &shape, const std::string &liquid) {
  EbbS4ConvConfig config = {};
  config.bidirectional = shape.bidirectional;
  config.epilogue = kEpilogue;
  config.liquid.kind = liquid[0] == 'p' ? EBB_S4_POLYB : liquid[0] == 'k' ? EBB_S4_KB : EBB_S4_PLAIN;
  config.liquid.degree = liquid == "polyb3" ? 3 : 2;
  config.liquid.allcombs = liquid != "polyb2-shift";
  config.liquid.M = shape.N / 2;
  return config;
}

EbbS4ScanConfig scan_config(const Shape &shape) {
  EbbS4ScanConfig config = {};
  config.epilogue = kEpilogue;
  config.ssm.H = shape.H, config.ssm.N = shape.N, config.ssm.channels = 1, config.ssm.length = shape.L;
  config.ssm.rate = 1, config.ssm.measure = EBB_SSM_DIAG_LIN, config.ssm.dt_min = 0.001,
  config.ssm.dt_max = 0.1;
  config.ssm.lr_dt = config.ssm.lr_A = config.ssm.lr_B = NAN;
  return config;
}

// Forward reads u and writes y; backward reads u and dy and writes du. Both touch the kernels and their
// gradients.
ebb_bench::Work work_of(const Shape &shape, const std::string &liquid, bool backward) {
  const double L = double(shape.L), rows = double(shape.B) * double(shape.H), elements = rows * L;
  const double bytes = elements * ebb_bench::storage_bytes() * (backward ? 3 : 2);
  // A state x = (a + b u) x + b u and its share of y: ten operations; backward does them again, the adjoint
  // and three gradients.
  if (liquid == "scan") {
    const double instructions = elements * double(shape.N / 2) * (backward ? 30 : 10);
    return {bytes, instructions, instructions, 0};
  }
  const double kernels = (liquid == "series2" || shape.bidirectional ? 2 : 1) * double(shape.H * shape.L);
  // u and y, or dy, du and again u; the kernels, and in backward their gradients too. In series2 the kernel
  // of ones and the products of degree two come on top.
  const double streams = liquid == "series2" ? 2 : 1;
  const double transforms =
      streams * (backward ? 3 * rows + 2 * double(shape.H) : 2 * rows + double(shape.H));
  const double flops = transforms * 5 * L * std::log2(L); // most of them additions alone
  return {bytes + kernels * 4 * (backward ? 2 : 1), flops, flops, 0};
}

double time_node(benchmark::State &state, const Shape &shape, const std::string &liquid, bool backward) {
  const Input u = {Kind::kLayer, {shape.B, shape.H, shape.L}}, ke = {Kind::kKernel, {shape.H, shape.L}};
  const Input k = {Kind::kKernel, {shape.bidirectional ? 2 : 1, shape.H, shape.L}};
  if (liquid == "scan") return ebb_bench::Node("s4_scan", scan_config(shape), {u}, backward).time(state);
  if (liquid != "series2")
    return ebb_bench::Node("s4_conv", conv_config(shape, liquid), {u, k}, backward).time(state);
  const EbbS4SeriesConfig config = {2, kEpilogue};
  return ebb_bench::Node("s4_series", config, {u, k, ke}, backward).time(state);
}

void run(benchmark::State &state, const Shape &shape, const std::string &liquid, bool backward) {
  const double seconds = time_node(state, shape, liquid, backward);
  ebb_bench::report(state, seconds, work_of(shape, liquid, backward));
  state.counters["ns/element"] = seconds * 1e9 / (double(shape.B) * double(shape.H) * double(shape.L));
}

} // namespace

void ebb_bench::register_benches() {
  for (Shape shape : kShapes) {
    if (!on_gpu() && std::string(shape.name) == "cifar") shape.B = kCifarBatchOnCpu;
    for (const std::string liquid : kLiquids)
      for (bool backward : {false, true}) {
        const bool causal_only = liquid == "scan" || liquid == "series2";
        if (causal_only && shape.bidirectional) continue;
        add(std::string("conv/") + shape.name + "/" + liquid + (backward ? "/backward" : "/forward"),
            [=](benchmark::State &state) { run(state, shape, liquid, backward); });
      }
  }
}
