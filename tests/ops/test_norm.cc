// The norms: values against plain loops in double, the checks of op_check.h, CUDA against the CPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ebb/ops/batch_norm.h"
#include "ebb/ops/layer_norm.h"
#include "ebb/ops/layer_norm_scalar.h"
#include "support/expect_near.h"
#include "support/has_cuda.h"
#include "support/no_config.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::bytes_of;
using ebb_test::Doubles;
using ebb_test::expect_near;
using ebb_test::Floats;
using ebb_test::NoConfig;
using ebb_test::OpCase;
using ebb_test::OpInput;
using ebb_test::OpRun;
using ebb_test::random_tensor;
using ebb_test::Stored;
using ebb_test::Tensor;

const EbbBatchNormConfig kBatch = {1e-5, 0.1};
const EbbLayerNormConfig kLayer = {1e-5};

class NormOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, NormOn, testing::ValuesIn(ebb_test::devices()));

// ---- checks that every op passes

std::vector<OpCase> cases() {
  std::vector<OpCase> all;
  const auto add = [&](const char *name, const char *op, std::vector<unsigned char> config,
                       std::vector<int64_t> shape, bool training = true) {
    OpInput x;
    x.shape = std::move(shape);
    OpCase test;
    test.name = name, test.op = op, test.config = std::move(config), test.inputs = {x};
    test.training = training;
    all.push_back(test);
  };
  const auto batch = bytes_of(kBatch), layer = bytes_of(kLayer), scalar = bytes_of(NoConfig{});
  add("batch norm", "batch_norm", batch, {3, 5, 37});
  add("batch norm, rows of four", "batch_norm", batch, {2, 3, 40});
  add("batch norm, rows of one", "batch_norm", batch, {70, 3, 1});
  add("batch norm, several blocks a channel", "batch_norm", batch, {2, 1, 8200});
  add("batch norm, running statistics", "batch_norm", batch, {3, 5, 37}, false);
  add("layer norm", "layer_norm", layer, {3, 5, 37});
  add("layer norm, several tiles", "layer_norm", layer, {2, 4, 300});
  add("layer norm, several warps", "layer_norm", layer, {2, 70, 33});
  add("layer norm, one column", "layer_norm", layer, {1, 9, 1});
  add("scalar layer norm", "layer_norm_scalar", scalar, {3, 5, 37});
  add("scalar layer norm, several tiles", "layer_norm_scalar", scalar, {2, 4, 300});
  add("scalar layer norm, several warps", "layer_norm_scalar", scalar, {2, 70, 33});
  return all;
}

TEST_P(NormOn, PassesTheOpChecks) {
  for (const OpCase &test : cases()) ebb_test::check_op(test, GetParam());
}

// ---- values

struct Shape3 {
  int64_t B, H, L;
  size_t at(int64_t b, int64_t h, int64_t l) const { return size_t((b * H + h) * L + l); }
};

TEST_P(NormOn, BatchNormInTrainingNormalisesAndUpdatesRunningStatistics) {
  const Shape3 s = {3, 4, 1500};
  const Tensor x = random_tensor({s.B, s.H, s.L}, 6, 4, 5);
  OpRun run("batch_norm", kBatch, {x}, 1, 1, true, GetParam());
  run.set_param("weight", {1, 2, -1, 0.5F});
  run.set_param("bias", {0, 1, 2, 3});
  FORWARD(run);
  const Floats weight = run.param("weight"), bias = run.param("bias");
  Doubles y(x.floats.size()), running_mean(4), running_var(4);
  const double n = double(s.B * s.L);
  for (int64_t h = 0; h < s.H; h++) {
    double mean = 0, squares = 0;
    for (int64_t b = 0; b < s.B; b++)
      for (int64_t l = 0; l < s.L; l++) mean += x.floats[s.at(b, h, l)] / n;
    for (int64_t b = 0; b < s.B; b++)
      for (int64_t l = 0; l < s.L; l++) squares += std::pow(x.floats[s.at(b, h, l)] - mean, 2);
    for (int64_t b = 0; b < s.B; b++)
      for (int64_t l = 0; l < s.L; l++)
        y[s.at(b, h, l)] =
            (x.floats[s.at(b, h, l)] - mean) / std::sqrt(squares / n + 1e-5) * weight[size_t(h)] +
            bias[size_t(h)];
    running_mean[size_t(h)] = 0.1 * mean;
    running_var[size_t(h)] = 0.9 + 0.1 * squares / (n - 1);
  }
  expect_near(run.output(), y, 2e-6, "y");
  expect_near(run.param("running_mean"), running_mean, 1e-6, "running_mean");
  expect_near(run.param("running_var"), running_var, 1e-6, "running_var");
}

TEST_P(NormOn, BatchNormInEvaluationUsesRunningStatisticsAndLeavesThem) {
  const Tensor x = random_tensor({2, 2, 3}, 7);
  OpRun run("batch_norm", kBatch, {x}, 1, 1, true, GetParam());
  run.set_param("running_mean", {0.5F, -1});
  run.set_param("running_var", {4, 0.25F});
  run.run.training = false;
  FORWARD(run);
  const double mean[] = {0.5, -1}, var[] = {4, 0.25};
  Doubles y;
  for (size_t i = 0; i < x.floats.size(); i++) {
    const size_t h = i / 3 % 2;
    y.push_back((x.floats[i] - mean[h]) / std::sqrt(var[h] + 1e-5));
  }
  expect_near(run.output(), y, 1e-6, "y");
  EXPECT_EQ(run.param("running_mean"), (Floats{0.5F, -1}));
  EXPECT_EQ(run.param("running_var"), (Floats{4, 0.25F}));
}

// A mean far above the deviation, and different in every part of a channel.
TEST_P(NormOn, BatchNormKeepsTheVarianceOfShiftedData) {
  for (const Shape3 &s : {Shape3{2, 1, 6000}, Shape3{2, 1, 9000}}) {
    Tensor x = random_tensor({s.B, s.H, s.L}, 8, 4999.5, 5000.5);
    for (int64_t l = 0; l < s.L; l++) x.floats[s.at(1, 0, l)] -= 4999;
    OpRun run("batch_norm", EbbBatchNormConfig{1e-5, 1}, {x}, 1, 1, true, GetParam());
    FORWARD(run);
    const double n = double(x.floats.size());
    double mean = 0, squares = 0;
    for (float v : x.floats) mean += v / n;
    for (float v : x.floats) squares += (v - mean) * (v - mean);
    EXPECT_NEAR(run.param("running_mean")[0] / mean, 1, 1e-6);
    EXPECT_NEAR(run.param("running_var")[0] / (squares / (n - 1)), 1, 1e-6);
  }
}

TEST_P(NormOn, BatchNormRefusesToTrainOnOneValue) {
  OpRun run("batch_norm", kBatch, {random_tensor({1, 3, 1}, 9)}, 1, 1, true, GetParam());
  EXPECT_EQ(run.forward(), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("needs more than one value a channel"), std::string::npos);
  run.run.training = false;
  FORWARD(run);
}

TEST_P(NormOn, LayerNormNormalisesEveryColumn) {
  const Shape3 s = {2, 5, 300};
  const Tensor x = random_tensor({s.B, s.H, s.L}, 8, 9, 11);
  OpRun run("layer_norm", kLayer, {x}, 1, 1, true, GetParam());
  run.set_param("weight", {1, 2, -1, 0.5F, 3});
  run.set_param("bias", {0, 1, 2, 3, -4});
  FORWARD(run);
  const Floats weight = run.param("weight"), bias = run.param("bias");
  Doubles y(x.floats.size());
  for (int64_t b = 0; b < s.B; b++)
    for (int64_t l = 0; l < s.L; l++) {
      double mean = 0, var = 0;
      for (int64_t h = 0; h < s.H; h++) mean += x.floats[s.at(b, h, l)] / double(s.H);
      for (int64_t h = 0; h < s.H; h++) var += std::pow(x.floats[s.at(b, h, l)] - mean, 2) / double(s.H);
      for (int64_t h = 0; h < s.H; h++)
        y[s.at(b, h, l)] =
            (x.floats[s.at(b, h, l)] - mean) / std::sqrt(var + 1e-5) * weight[size_t(h)] + bias[size_t(h)];
    }
  expect_near(run.output(), y, 2e-5, "y");
}

TEST_P(NormOn, LayerNormScalarDividesByTheStandardDeviation) {
  const Shape3 s = {2, 3, 140};
  const Tensor x = random_tensor({s.B, s.H, s.L}, 9);
  OpRun run("layer_norm_scalar", NoConfig{}, {x}, 1, 1, true, GetParam());
  run.set_param("s", {1.5F});
  run.set_param("m", {0.25F});
  FORWARD(run);
  Doubles y(x.floats.size());
  for (int64_t b = 0; b < s.B; b++)
    for (int64_t l = 0; l < s.L; l++) {
      double mean = 0, var = 0;
      for (int64_t h = 0; h < s.H; h++) mean += x.floats[s.at(b, h, l)] / double(s.H);
      for (int64_t h = 0; h < s.H; h++) var += std::pow(x.floats[s.at(b, h, l)] - mean, 2) / double(s.H);
      for (int64_t h = 0; h < s.H; h++)
        y[s.at(b, h, l)] = 1.5 / std::sqrt(var) * (x.floats[s.at(b, h, l)] - mean + 0.25);
    }
  expect_near(run.output(), y, 2e-4, "y"); // some columns have a small deviation
}

// ---- CUDA against the CPU

struct Results {
  Floats y, dx, first, second, running_mean, running_var; // first, second: gradients of the parameters
};

struct Norm {
  const char *op, *first, *second;
  std::vector<unsigned char> config;
};
const Norm kNorms[] = {{"batch_norm", "weight", "bias", bytes_of(kBatch)},
                       {"layer_norm", "weight", "bias", bytes_of(kLayer)},
                       {"layer_norm_scalar", "s", "m", bytes_of(NoConfig{})}};

template <class Config>
Results results_of(const Norm &norm, const Config &config, const Shape3 &s, const std::string &device,
                   EbbDtype storage, bool training) {
  const std::vector<int64_t> shape = {s.B, s.H, s.L};
  // Both devices start from the same values, bfloat16 or not.
  Tensor x = {shape, Stored(storage, random_tensor(shape, 20, -1, 3).floats).floats(), {}, true};
  const Floats dy = Stored(storage, random_tensor(shape, 21, -1, 2).floats).floats();
  const bool half = storage == EBB_BF16 && device != "cpu";
  OpRun run(norm.op, config, {x}, 1, 2, true, device, half ? EBB_BF16 : EBB_F32);
  const int64_t width = int64_t(run.param(norm.first).size());
  run.set_param(norm.first, random_tensor({width}, 22, 0.5, 1.5).floats);
  run.set_param(norm.second, random_tensor({width}, 23).floats);
  run.run.training = training;
  EXPECT_EQ(run.forward(), EBB_OK) << ebb_error();
  run.backward(dy);
  Results r = {
      run.output(), run.input_grad(), run.param_grad(norm.first), run.param_grad(norm.second), {}, {}};
  if (std::string(norm.op) == "batch_norm")
    r.running_mean = run.param("running_mean"), r.running_var = run.param("running_var");
  return r;
}

Results results_on(const std::string &device, const Norm &norm, const Shape3 &s, EbbDtype storage,
                   bool training) {
  if (std::string(norm.op) == "batch_norm") return results_of(norm, kBatch, s, device, storage, training);
  if (std::string(norm.op) == "layer_norm") return results_of(norm, kLayer, s, device, storage, training);
  return results_of(norm, NoConfig{}, s, device, storage, training);
}

// tolerance: of tensors in the activations' storage. Sums over n values, for parameters, differ by the order
// of their terms: float32 rounds some hundred of them before double takes over.
void compare(const Norm &norm, const Shape3 &s, EbbDtype storage, double tolerance, bool training = true) {
  SCOPED_TRACE(std::string(norm.op) + " (" + std::to_string(s.B) + ", " + std::to_string(s.H) + ", " +
               std::to_string(s.L) + ")");
  const Results cpu = results_on("cpu", norm, s, storage, training);
  const Results cuda = results_on("cuda", norm, s, storage, training);
  const double sums = 1e-6 * std::sqrt(double(s.B * s.L)) + 1e-5;
  expect_near(cuda.y, cpu.y, tolerance, "y");
  expect_near(cuda.dx, cpu.dx, tolerance, "dx");
  expect_near(cuda.first, cpu.first, sums, norm.first);
  expect_near(cuda.second, cpu.second, sums, norm.second);
  expect_near(cuda.running_mean, cpu.running_mean, 1e-6, "running_mean");
  expect_near(cuda.running_var, cpu.running_var, 1e-6, "running_var");
}

class NormCuda : public testing::Test {
protected:
  void SetUp() override {
    if (!ebb_test::has_cuda()) GTEST_SKIP() << "needs a GPU";
  }
};

// Around the borders of what a thread (4), a warp's columns (32), its rows (32) and a block (8 rows a batch)
// take; one block a channel and several; a column too high for shared memory.
const Shape3 kShapes[] = {{1, 2, 2},     {2, 8, 32},   {1, 33, 31},  {3, 31, 11},  {5, 64, 64},
                          {2, 100, 97},  {1, 9, 257},  {300, 7, 1},  {3, 3, 4100}, {2, 5, 8200},
                          {1, 5, 16403}, {1, 2100, 5}, {1, 1050, 34}};

TEST_F(NormCuda, GivesWhatTheCpuGives) {
  for (const Norm &norm : kNorms)
    for (const Shape3 &s : kShapes) compare(norm, s, EBB_F32, 2e-5);
}

TEST_F(NormCuda, GivesWhatTheCpuGivesInEvaluation) {
  for (const Shape3 &s : kShapes) compare(kNorms[0], s, EBB_F32, 2e-5, false);
}

// One rounding of y and of dx to 8 significant bits: half a unit of the last place, 2^-8 of the value at
// most.
TEST_F(NormCuda, Bfloat16DiffersByItsRounding) {
  for (const Norm &norm : kNorms)
    for (const Shape3 &s : kShapes) compare(norm, s, EBB_BF16, std::ldexp(1, -8) + 2e-5);
}

} // namespace
