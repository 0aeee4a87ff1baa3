// The ops on rows of features, as dense layers of recurrent models need them: checks of op_check.h, values
// against plain loops in double, a CUDA device against the CPU, and errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "ebb/ops/activation.h"
#include "ebb/ops/last_step.h"
#include "ebb/ops/residual.h"
#include "ebb/ops/reverse.h"
#include "ebb/ops/row_norm.h"
#include "ebb/ops/swiglu.h"
#include "support/expect_near.h"
#include "support/has_cuda.h"
#include "support/linear_config.h"
#include "support/no_config.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::bytes_of;
using ebb_test::Doubles;
using ebb_test::expect_near;
using ebb_test::Floats;
using ebb_test::integer_tensor;
using ebb_test::NoConfig;
using ebb_test::OpCase;
using ebb_test::OpInput;
using ebb_test::OpRun;
using ebb_test::random_tensor;
using ebb_test::relative_error;
using ebb_test::Tensor;

EbbLinearConfig inputs_first(int64_t O) {
  EbbLinearConfig config = ebb_test::linear_config(O);
  config.inputs_first = true, config.glorot = true;
  return config;
}
const EbbRowNormConfig kNorm = {1e-5, true, nullptr, nullptr};

// ---- checks of op_check.h

OpInput floats(std::vector<int64_t> shape, double low = -2, double high = 2) {
  OpInput input;
  input.shape = std::move(shape), input.low = low, input.high = high;
  return input;
}

OpCase one(std::string name, const char *op, std::vector<unsigned char> config, std::vector<OpInput> inputs) {
  OpCase test;
  test.name = std::move(name), test.op = op, test.config = std::move(config), test.inputs = std::move(inputs);
  return test;
}

std::vector<OpCase> cases() {
  OpInput lengths;
  lengths.shape = {3}, lengths.type = EBB_I32, lengths.grad = false, lengths.integers = {5, 1, 3};
  std::vector<OpCase> all = {
      one("row norm", "row_norm", bytes_of(kNorm), {floats({70, 37})}),
      one("row norm of one row", "row_norm", bytes_of(kNorm), {floats({3})}),
      one("swiglu", "swiglu", bytes_of(NoConfig{}), {floats({3, 700}), floats({3, 700})}),
      one("residual", "residual", bytes_of(EbbResidualConfig{0}), {floats({3, 7}), floats({3, 7})}),
      one("residual, dropout", "residual", bytes_of(EbbResidualConfig{0.3}),
          {floats({5, 700}), floats({5, 700})}),
      one("dropout alone", "residual", bytes_of(EbbResidualConfig{0.3}), {floats({5, 703})}),
      one("reverse", "reverse", bytes_of(EbbReverseConfig{false}), {floats({3, 5, 7})}),
      one("reverse, lengths", "reverse", bytes_of(EbbReverseConfig{false}), {floats({3, 5, 7}), lengths}),
      one("join", "join", bytes_of(NoConfig{}), {floats({3, 5, 7}), floats({3, 5, 1})}),
      one("larger join", "join", bytes_of(NoConfig{}), {floats({2, 70, 3}), floats({2, 70, 33})}),
      one("last step", "last_step", bytes_of(NoConfig{}), {floats({3, 5, 7})}),
      one("last step, lengths", "last_step", bytes_of(NoConfig{}), {floats({3, 5, 7}), lengths}),
      one("linear, inputs first", "linear", bytes_of(inputs_first(70)), {floats({5, 9})}),
      one("larger linear, inputs first", "linear", bytes_of(inputs_first(130)), {floats({1030, 9})}),
  };
  // The kink of relu would show in differences; its input stays on one side.
  for (int kind = 0; kind < EBB_ACTIVATIONS; kind++)
    all.push_back(one("activation " + std::to_string(kind), "activation",
                      bytes_of(EbbActivationConfig{EbbActivation(kind), 0.1F}),
                      {kind == EBB_ACTIVATION_RELU ? floats({3, 37}, 0.5, 2) : floats({3, 5000}, -4, 4)}));
  return all;
}

class RowsOps : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, RowsOps, testing::ValuesIn(ebb_test::devices()));

TEST_P(RowsOps, PassesTheOpChecks) {
  for (const OpCase &test : cases()) ebb_test::check_op(test, GetParam());
}

// ---- values

struct Activation {
  EbbActivation kind;
  std::function<double(double)> value, slope;
};

std::vector<Activation> activations() {
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  auto normal = [](double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2))); };
  return {
      {EBB_ACTIVATION_SILU, [=](double x) { return x * sigmoid(x); },
       [=](double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }},
      {EBB_ACTIVATION_SOFTPLUS, [](double x) { return std::log1p(std::exp(std::min(x, 20.0))); },
       [=](double x) { return x > 20 ? 0 : sigmoid(x); }},
      {EBB_ACTIVATION_TANH, [](double x) { return std::tanh(x); },
       [](double x) { return 1 - std::tanh(x) * std::tanh(x); }},
      {EBB_ACTIVATION_SIGMOID, sigmoid, [=](double x) { return sigmoid(x) * (1 - sigmoid(x)); }},
      {EBB_ACTIVATION_RELU, [](double x) { return std::max(x, 0.0); },
       [](double x) { return x > 0 ? 1 : 0; }},
      {EBB_ACTIVATION_GELU, [=](double x) { return x * normal(x); },
       [=](double x) { return normal(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }},
      {EBB_ACTIVATION_LECUN_TANH, [](double x) { return 1.7159 * std::tanh(0.666 * x); },
       [](double x) { return 1.7159 * 0.666 / std::pow(std::cosh(0.666 * x), 2); }},
  };
}

TEST_P(RowsOps, ActivationsAreTheFunctionsTheyAreNamedFor) {
  ASSERT_EQ(activations().size(), size_t(EBB_ACTIVATIONS));
  for (const Activation &f : activations()) {
    SCOPED_TRACE(f.kind);
    Tensor x = random_tensor({1003}, 1, -30, 30);
    x.floats[0] = 20.5F, x.floats[1] = 19.5F, x.floats[2] = -80, x.floats[3] = 0;
    const Floats dy = random_tensor({1003}, 2).floats;
    OpRun run("activation", EbbActivationConfig{f.kind, 0.25F}, {x}, 1, 1, true, GetParam());
    ASSERT_EQ(run.forward(), EBB_OK);
    run.backward(dy);
    Doubles y, dx;
    for (size_t i = 0; i < dy.size(); i++)
      y.push_back(f.value(x.floats[i]) + 0.25), dx.push_back(dy[i] * f.slope(x.floats[i]));
    expect_near(run.output(), y, 2e-6, "value");
    expect_near(run.input_grad(), dx, 2e-6, "gradient");
  }
}

TEST_P(RowsOps, RowNormNormalisesTheLastAxis) {
  const Tensor x = random_tensor({9, 33}, 3, 99, 101);
  const Floats weight = random_tensor({33}, 4, 0.5, 1.5).floats, bias = random_tensor({33}, 5).floats;
  OpRun run("row_norm", kNorm, {x}, 1, 1, true, GetParam());
  run.set_param("weight", weight), run.set_param("bias", bias);
  ASSERT_EQ(run.forward(), EBB_OK);
  Doubles expected;
  for (size_t r = 0; r < 9; r++) {
    double mean = 0, var = 0;
    for (size_t h = 0; h < 33; h++) mean += double(x.floats[r * 33 + h]) / 33;
    for (size_t h = 0; h < 33; h++) var += std::pow(x.floats[r * 33 + h] - mean, 2) / 33;
    for (size_t h = 0; h < 33; h++)
      expected.push_back((x.floats[r * 33 + h] - mean) / std::sqrt(var + 1e-5) * weight[h] + bias[h]);
  }
  expect_near(run.output(), expected, 3e-5, "y");
}

TEST_P(RowsOps, LinearTakesWeightsInputsFirst) {
  const Tensor x = random_tensor({4, 3}, 6);
  OpRun run("linear", inputs_first(2), {x}, 1, 1, true, GetParam());
  const Floats weight = {1, 2, 3, 4, 5, 6}; // (3, 2)
  run.set_param("weight", weight), run.set_param("bias", {0.5F, -1});
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats y = run.output();
  for (size_t r = 0; r < 4; r++) {
    const float *row = &x.floats[3 * r];
    EXPECT_NEAR(y[2 * r], row[0] + 3 * row[1] + 5 * row[2] + 0.5, 1e-5);
    EXPECT_NEAR(y[2 * r + 1], 2 * row[0] + 4 * row[1] + 6 * row[2] - 1, 1e-5);
  }
}

TEST(RowsInit, IsThatOfAxon) {
  OpRun dense("linear", inputs_first(50), {random_tensor({1, 70}, 7)});
  OpRun norm("row_norm", kNorm, {random_tensor({1, 300}, 8)});
  EbbRowNormConfig ones = kNorm;
  ones.glorot = false;
  OpRun plain("row_norm", ones, {random_tensor({1, 300}, 8)});
  auto largest = [](const Floats &v) {
    float most = 0;
    for (float x : v) most = std::max(most, std::fabs(x));
    return most;
  };
  EXPECT_NEAR(largest(dense.param("weight")), std::sqrt(6.0 / 120), 1e-3);
  EXPECT_EQ(largest(dense.param("bias")), 0);
  EXPECT_NEAR(largest(norm.param("weight")), std::sqrt(3.0 / 300), 2e-3);
  EXPECT_EQ(largest(norm.param("bias")), 0);
  EXPECT_EQ(plain.param("weight"), Floats(300, 1.0F));
}

TEST_P(RowsOps, DropoutScalesWhatItKeepsAndRestsInEvaluation) {
  const Tensor x = random_tensor({4001}, 9), r = random_tensor({4001}, 10, 1, 2);
  OpRun run("residual", EbbResidualConfig{0.25}, {x, r}, 1, 1, true, GetParam());
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats dropped = run.output();
  size_t lost = 0;
  for (size_t i = 0; i < dropped.size(); i++) {
    const float added = dropped[i] - x.floats[i];
    lost += std::fabs(added) < 1e-6F;
    if (std::fabs(added) > 1e-6F) ASSERT_NEAR(added, r.floats[i] / 0.75F, 1e-5);
  }
  EXPECT_NEAR(double(lost) / 4001, 0.25, 0.03);
  run.run.training = false;
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats plain = run.output();
  for (size_t i = 0; i < plain.size(); i++) ASSERT_NEAR(plain[i], x.floats[i] + r.floats[i], 1e-6);
}

TEST_P(RowsOps, LastStepHeedsLengths) {
  const Tensor x = random_tensor({3, 4, 5}, 11);
  OpRun run("last_step", NoConfig{}, {x, integer_tensor({3}, {4, 1, 2})}, 1, 1, true, GetParam());
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats y = run.output();
  const size_t step[] = {3, 0, 1};
  for (size_t b = 0; b < 3; b++)
    for (size_t h = 0; h < 5; h++) EXPECT_EQ(y[b * 5 + h], x.floats[(b * 4 + step[b]) * 5 + h]);
}

TEST_P(RowsOps, ReverseTurnsWhatIsThereAndIntervalsWithIt) {
  const Tensor x = random_tensor({3, 4, 5}, 17);
  OpRun run("reverse", EbbReverseConfig{false}, {x, integer_tensor({3}, {4, 0, 3})}, 1, 1, true, GetParam());
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats y = run.output();
  const size_t step[] = {3, 2, 1, 0, /**/ 0, 1, 2, 3, /**/ 2, 1, 0, 3};
  for (size_t row = 0; row < 12; row++)
    for (size_t c = 0; c < 5; c++)
      EXPECT_EQ(y[row * 5 + c], x.floats[(row / 4 * 4 + step[row]) * 5 + c]) << row;
  // Rows at times 1, 3, 7 and 15: from the last one back, 8, 4 and 2 lie between them.
  Tensor elapsed = random_tensor({1, 4}, 18);
  elapsed.floats = {1, 2, 4, 8};
  OpRun intervals("reverse", EbbReverseConfig{true}, {elapsed}, 1, 0, false, GetParam());
  ASSERT_EQ(intervals.forward(), EBB_OK);
  EXPECT_EQ(intervals.output(), Floats({1, 8, 4, 2}));
}

TEST_P(RowsOps, JoinPutsFeaturesSideBySide) {
  const Tensor a = random_tensor({2, 3, 2}, 19), b = random_tensor({2, 3, 3}, 20);
  OpRun run("join", NoConfig{}, {a, b}, 1, 2, true, GetParam());
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats y = run.output();
  for (size_t row = 0; row < 6; row++)
    for (size_t c = 0; c < 5; c++)
      EXPECT_EQ(y[row * 5 + c], c < 2 ? a.floats[row * 2 + c] : b.floats[row * 3 + c - 2]);
}

// ---- errors

void expect_words(EbbStatus got, EbbStatus code, const std::string &word) {
  EXPECT_EQ(got, code);
  EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << word << " in: " << ebb_error();
}

TEST_P(RowsOps, LengthsOutsideTheSequenceAreNamed) {
  for (int32_t bad : {0, 5, -7}) {
    OpRun run("last_step", NoConfig{}, {random_tensor({2, 4, 3}, 12), integer_tensor({2}, {4, bad})}, 1, 1,
              true, GetParam());
    expect_words(run.forward(), EBB_INVALID, "row 1 has length " + std::to_string(bad));
  }
  for (int32_t bad : {5, -1}) {
    OpRun run("reverse", EbbReverseConfig{false},
              {random_tensor({2, 4, 3}, 12), integer_tensor({2}, {4, bad})}, 1, 1, true, GetParam());
    expect_words(run.forward(), EBB_INVALID, "row 1 has length " + std::to_string(bad));
  }
}

TEST(RowsErrors, AreFoundWhenTheyAreRecorded) {
  const Tensor a = random_tensor({2, 3}, 13), b = random_tensor({3, 2}, 14), scalar = random_tensor({}, 15);
  EbbRowNormConfig bad_eps = kNorm;
  bad_eps.eps = -1;
  expect_words(OpRun("swiglu", NoConfig{}, {a, b}).status, EBB_SHAPE, "(3, 2)");
  expect_words(OpRun("residual", EbbResidualConfig{0}, {a, b}).status, EBB_SHAPE, "(3, 2)");
  expect_words(OpRun("residual", EbbResidualConfig{1}, {a, a}).status, EBB_INVALID, "dropout 1");
  expect_words(OpRun("activation", EbbActivationConfig{EBB_ACTIVATIONS, 0}, {a}).status, EBB_INVALID,
               "activation");
  expect_words(OpRun("row_norm", kNorm, {scalar}).status, EBB_SHAPE, "scalar");
  expect_words(OpRun("row_norm", bad_eps, {a}).status, EBB_INVALID, "eps");
  expect_words(OpRun("join", NoConfig{}, {random_tensor({2, 4, 3}, 16), random_tensor({2, 3, 3}, 16)}).status,
               EBB_SHAPE, "(2, 4, 3)");
  expect_words(OpRun("reverse", EbbReverseConfig{true}, {random_tensor({2, 4, 3}, 16)}).status, EBB_SHAPE,
               "(2, 4, 3)");
  expect_words(
      OpRun("last_step", NoConfig{}, {random_tensor({2, 4, 3}, 16), integer_tensor({3}, {1, 1, 1})}).status,
      EBB_SHAPE, "3 lengths");
}

// ---- a CUDA device against the CPU, at sizes around the borders of the kernels' tiles

struct Sized {
  std::string name;
  std::function<std::vector<Floats>(const std::string &device)> run;
};

template <class Config>
Sized sized(const char *op, std::string name, Config config, std::vector<Tensor> inputs, int floats_in,
            std::vector<std::string> params = {}) {
  return {std::string(op) + " " + name, [=](const std::string &device) {
            OpRun run(op, config, inputs, 1, 1, true, device);
            if (run.status != EBB_OK) throw std::runtime_error(ebb_error());
            if (run.forward() != EBB_OK) throw std::runtime_error(ebb_error());
            std::vector<Floats> all = {run.output()};
            run.backward(random_tensor({int64_t(all[0].size())}, 20).floats);
            for (int i = 0; i < floats_in; i++) all.push_back(run.input_grad(i));
            for (const std::string &param : params) all.push_back(run.param_grad(param));
            return all;
          }};
}

std::vector<Sized> sizes() {
  std::vector<Sized> all;
  for (int64_t n : {1, 3, 1023, 1024, 1028}) {
    const Tensor x = random_tensor({n}, 21, -4, 4), z = random_tensor({n}, 22, -4, 4);
    const std::string name = std::to_string(n);
    for (int kind = 0; kind < EBB_ACTIVATIONS; kind++)
      all.push_back(sized("activation", name, EbbActivationConfig{EbbActivation(kind), 0.1F}, {x}, 1));
    all.push_back(sized("swiglu", name, NoConfig{}, {x, z}, 2));
    all.push_back(sized("residual", name, EbbResidualConfig{0.2}, {x, z}, 2));
  }
  for (auto [R, H] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {5, 31}, {64, 32}, {65, 33}, {300, 130}})
    all.push_back(sized("row_norm", std::to_string(R) + " x " + std::to_string(H), kNorm,
                        {random_tensor({R, H}, 23)}, 1, {"weight", "bias"}));
  for (auto [R, I, O] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {1, 1, 1}, {33, 65, 10}, {1025, 3, 70}, {100, 200, 70}})
    all.push_back(sized("linear", std::to_string(R), inputs_first(O), {random_tensor({R, I}, 24)}, 1,
                        {"weight", "bias"}));
  for (auto [B, T, H] :
       std::vector<std::tuple<int64_t, int64_t, int64_t>>{{1, 1, 1}, {3, 7, 33}, {2, 5, 128}}) {
    const Tensor x = random_tensor({B, T, H}, 25), z = random_tensor({B, T, 3}, 26);
    all.push_back(sized("last_step", std::to_string(T), NoConfig{}, {x}, 1));
    all.push_back(sized("reverse", std::to_string(T), EbbReverseConfig{false}, {x}, 1));
    all.push_back(sized("join", std::to_string(T), NoConfig{}, {x, z}, 2));
    all.push_back(sized("residual", "alone " + std::to_string(T), EbbResidualConfig{0.2}, {x}, 1));
  }
  return all;
}

TEST(RowsCuda, GivesWhatTheCpuGives) {
  if (!ebb_test::has_cuda()) GTEST_SKIP() << "needs a GPU";
  for (const Sized &test : sizes()) {
    SCOPED_TRACE(test.name);
    const auto cpu = test.run("cpu"), cuda = test.run("cuda");
    ASSERT_EQ(cpu.size(), cuda.size());
    // The gradient through a norm of one feature is 0, of which rounding times 1 / sqrt(eps) is left.
    for (size_t i = 0; i < cpu.size(); i++)
      if (test.name == "row_norm 1 x 1")
        expect_near(cuda[i], cpu[i], 3e-5, "1 x 1");
      else
        EXPECT_LT(relative_error(cuda[i], cpu[i]), 3e-6) << i;
  }
}

} // namespace
