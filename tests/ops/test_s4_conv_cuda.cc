// The convolution on a GPU against the CPU, for every length of transform and around its borders.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "ebb/ops/s4_conv.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

using namespace ebb_test;

namespace {

struct Case {
  int64_t B, H, L, Lk;
  bool bidirectional = false, lengths = false;
  EbbS4LiquidConfig liquid = {};
  double dropout = 0.3;
  bool tie = false;
  EbbS4Activation activation = EBB_S4_GELU;
};

std::string text_of(const Case &c) {
  return "B " + std::to_string(c.B) + " H " + std::to_string(c.H) + " L " + std::to_string(c.L) + " Lk " +
         std::to_string(c.Lk) + " liquid " + std::to_string(c.liquid.kind) + " degree " +
         std::to_string(c.liquid.degree) + " allcombs " + std::to_string(c.liquid.allcombs);
}

// Numbers that bfloat16 holds exactly; mostly positive, so that dD is not what is left of large terms.
Tensor activations(const Case &c, uint64_t stream) {
  Tensor t = random_tensor({c.B, c.H, c.L}, stream, -0.5, 1);
  t.floats = Stored(EBB_BF16, t.floats).floats(), t.activation = true;
  return t;
}

std::vector<Tensor> inputs_of(const Case &c) {
  std::vector<Tensor> inputs = {activations(c, 1), random_tensor({c.bidirectional ? 2 : 1, c.H, c.Lk}, 2)};
  std::vector<int32_t> lengths;
  for (int64_t b = 0; b < c.B; b++) lengths.push_back(int32_t(c.L - b * c.L / c.B));
  if (c.lengths) inputs.push_back(integer_tensor({c.B}, lengths));
  return inputs;
}

using Results = std::map<std::string, Floats>;

Results results_of(const Case &c, const std::string &device, EbbDtype storage = EBB_F32) {
  EbbS4ConvConfig config = {};
  config.bidirectional = c.bidirectional;
  config.epilogue = {true, c.activation, c.dropout, c.tie};
  config.liquid = c.liquid;
  OpRun run("s4_conv", config, inputs_of(c), 1, 2, true, device, storage);
  require(run.status);
  if (c.liquid.kind != EBB_S4_PLAIN)
    for (const char *name : {"liquid.B", "liquid.C", "liquid.w", "liquid.log_dt"})
      run.set_param(name, random_tensor({int64_t(run.param(name).size())}, 7, -1, -0.2).floats);
  require(run.forward());
  run.backward(activations(c, 3).floats);
  return {
      {"y", run.output()}, {"du", run.input_grad()}, {"dk", run.input_grad(1)}, {"dD", run.param_grad("D")}};
}

void compare(const Case &c) {
  SCOPED_TRACE(text_of(c));
  Results cpu = results_of(c, "cpu"), gpu = results_of(c, "cuda");
  for (const auto &[name, expected] : cpu) EXPECT_LT(relative_error(gpu[name], expected), 3e-6) << name;
}

class S4ConvCuda : public testing::Test {
protected:
  void SetUp() override {
    if (devices().back() != "cuda") GTEST_SKIP() << "no CUDA device";
  }
};

TEST_F(S4ConvCuda, EveryTransformLength) {
  for (int64_t n = 256; n <= 16384; n *= 2)
    for (int64_t L : {n / 2 + 1, n - 1, n}) {
      const bool odd = L % 2;
      compare({odd ? 3 : 1, odd ? 1 : 3, L, odd ? L : L - 5, odd, L == n - 1, {}, 0.3, L == n / 2 + 1});
    }
}

TEST_F(S4ConvCuda, RowsBeyondABlock) {
  compare({3, 2, 16385, 16385, true, true});
  compare({2, 3, 20000, 70, false, false});
  compare({2, 2, 17000, 17000, true, true, {EBB_S4_POLYB, 3, true, EBB_S4_TANH, 0, 3}});
  compare({1, 2, 16400, 16400, false, false, {EBB_S4_POLYB, 4, false, EBB_S4_LECUN, 1, 2}});
}

TEST_F(S4ConvCuda, LiquidTerms) {
  for (int64_t L : {37, 300, 1024, 1027, 2050, 4096, 5000, 9001})
    for (bool bidirectional : {false, true}) {
      const EbbS4Contract contract = bidirectional ? EBB_S4_LECUN : EBB_S4_NO_CONTRACT;
      const int64_t degree = L < 2000 ? 4 : L < 5000 ? 3 : 2;
      compare({3, 2, L, L - 3, bidirectional, bidirectional, {EBB_S4_POLYB, degree, true, contract, 0, 5}});
      if (L < 2000)
        compare({2, 3, L, L, bidirectional, true, {EBB_S4_POLYB, degree, false, contract, 1, 40}});
    }
}

// Lengths n = Lk + L, n/2 + 1 of both parities and prime; kernels that the cut shortens; more channels than
// one chunk takes.
TEST_F(S4ConvCuda, TransformsOfDifferentLengths) {
  for (int64_t L : {9, 37, 300, 1024})
    for (bool bidirectional : {false, true})
      for (bool allcombs : {false, true}) {
        const EbbS4Contract contract = bidirectional ? EBB_S4_TANH : EBB_S4_NO_CONTRACT;
        const int64_t Lk = allcombs ? L : L / 2 + 1;
        compare({3, 5, L, Lk, bidirectional, allcombs, {EBB_S4_KB, 3, allcombs, contract, 0, 3}});
      }
  compare({16, 6, 22000, 22000, false, false, {EBB_S4_KB, 2, true, EBB_S4_NO_CONTRACT, 1, 2}});
}

// Batches that are more than a GPU works on at a time, so that runs of several rows share their sums: of
// short rows many in a block; of long ones with sums in device memory, and with more runs than blocks.
TEST_F(S4ConvCuda, RunsOfRows) {
  compare({13, 700, 9, 9, true, true});
  compare({13, 701, 13, 9, false, true, {EBB_S4_POLYB, 2, true, EBB_S4_TANH, 0, 2}});
  compare({2, 67, 8200, 8200, true, true});
  compare({1, 265, 4100, 4100, false, false});
}

// Without an activation y and du alone are rounded, to 8 bits; with GELU also what its derivative is taken
// of.
TEST_F(S4ConvCuda, Bfloat16IsRoundedFloat32) {
  for (int64_t L : {9, 1027, 4096, 8200, 16390})
    for (EbbS4Activation activation : {EBB_S4_IDENTITY, EBB_S4_GELU}) {
      Case c = {3, 2, L, L, true, true, {EBB_S4_POLYB, 2, true, EBB_S4_TANH, 0, 2}};
      c.activation = activation;
      SCOPED_TRACE(text_of(c));
      Results cpu = results_of(c, "cpu"), gpu = results_of(c, "cuda", EBB_BF16);
      for (const auto &[name, expected] : cpu) {
        const bool rounded = name == "y" || name == "du" || activation == EBB_S4_GELU;
        EXPECT_LT(relative_error(gpu[name], expected), rounded ? std::ldexp(1, -8) : 3e-6)
            << name << " with activation " << activation;
      }
    }
}

} // namespace
