// Batch norm with lengths: what stands behind the end of a row is in nothing that it computes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ebb/ops/batch_norm.h"
#include "support/expect_near.h"
#include "support/has_cuda.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::bytes_of;
using ebb_test::Doubles;
using ebb_test::expect_near;
using ebb_test::Floats;
using ebb_test::integer_tensor;
using ebb_test::OpCase;
using ebb_test::OpInput;
using ebb_test::OpRun;
using ebb_test::random_tensor;
using ebb_test::Stored;
using ebb_test::Tensor;
using Lengths = std::vector<int32_t>;

const EbbBatchNormConfig kConfig = {1e-5, 0.1};

struct Shape {
  int64_t H, L;
  Lengths lengths;
  int64_t B() const { return int64_t(lengths.size()); }
  size_t at(int64_t b, int64_t h, int64_t l) const { return size_t((b * H + h) * L + l); }
};

class NormPaddingOn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, NormPaddingOn, testing::ValuesIn(ebb_test::devices()));

// ---- checks that every op passes: finite differences and others

TEST_P(NormPaddingOn, PassesTheOpChecks) {
  const Shape shapes[] = {{5, 37, {37, 1, 20}},
                          {3, 40, {0, 40, 7, 39}},
                          {1, 8200, {8200, 5003}},
                          {3, 1, {1, 0, 1, 1, 0}},
                          {2, 6, {0, 2}}};
  for (const Shape &s : shapes)
    for (bool training : {true, false}) {
      OpInput x, lengths;
      x.shape = std::vector<int64_t>{s.B(), s.H, s.L};
      lengths.shape = std::vector<int64_t>(1, s.B()), lengths.type = EBB_I32, lengths.grad = false,
      lengths.integers = s.lengths;
      OpCase test;
      test.name = "batch norm with lengths, L " + std::to_string(s.L) + (training ? "" : ", evaluation");
      test.op = "batch_norm", test.config = bytes_of(kConfig), test.inputs = {x, lengths};
      test.training = training;
      ebb_test::check_op(test, GetParam());
    }
}

// ---- values

struct Results {
  Floats y, dx, dweight, dbias, running_mean, running_var;
};

Results results_of(const Shape &s, const Floats &x, const Floats &dy, const std::string &device,
                   bool training = true, EbbDtype storage = EBB_F32, bool given = true) {
  std::vector<Tensor> inputs = {{{s.B(), s.H, s.L}, x, {}, true}};
  if (given) inputs.push_back(integer_tensor({s.B()}, s.lengths));
  OpRun run("batch_norm", kConfig, inputs, 1, 2, true, device, device == "cpu" ? EBB_F32 : storage);
  EXPECT_EQ(run.status, EBB_OK) << ebb_error();
  run.set_param("weight", random_tensor({s.H}, 22, 0.5, 1.5).floats);
  run.set_param("bias", random_tensor({s.H}, 23).floats);
  run.run.training = training;
  EXPECT_EQ(run.forward(), EBB_OK) << ebb_error();
  run.backward(dy);
  return {run.output(),           run.input_grad(),          run.param_grad("weight"),
          run.param_grad("bias"), run.param("running_mean"), run.param("running_var")};
}

TEST_P(NormPaddingOn, StatisticsAreThoseOfTheValidPositions) {
  const Shape s = {3, 23, {0, 23, 1, 11}};
  const Tensor x = random_tensor({s.B(), s.H, s.L}, 6, 4, 5), dy = random_tensor({s.B(), s.H, s.L}, 7);
  const Results got = results_of(s, x.floats, dy.floats, GetParam());
  const Floats weight = random_tensor({s.H}, 22, 0.5, 1.5).floats, bias = random_tensor({s.H}, 23).floats;
  Doubles y(x.floats.size()), dx(y), dweight(3), dbias(3), running_mean(3), running_var(3);
  const double n = 35;
  for (int64_t h = 0; h < s.H; h++) {
    const auto valid = [&](const auto &visit) {
      for (int64_t b = 0; b < s.B(); b++)
        for (int64_t l = 0; l < s.lengths[size_t(b)]; l++) visit(s.at(b, h, l));
    };
    const size_t c = size_t(h);
    double mean = 0, squares = 0;
    valid([&](size_t i) { mean += x.floats[i] / n; });
    valid([&](size_t i) { squares += std::pow(x.floats[i] - mean, 2); });
    const double rstd = 1 / std::sqrt(squares / n + 1e-5);
    valid([&](size_t i) {
      const double normal = (x.floats[i] - mean) * rstd;
      y[i] = normal * weight[c] + bias[c];
      dbias[c] += dy.floats[i], dweight[c] += dy.floats[i] * normal;
    });
    valid([&](size_t i) {
      const double normal = (x.floats[i] - mean) * rstd;
      dx[i] = weight[c] * rstd * (dy.floats[i] - dbias[c] / n - normal * dweight[c] / n);
    });
    running_mean[c] = 0.1 * mean, running_var[c] = 0.9 + 0.1 * squares / (n - 1);
  }
  expect_near(got.y, y, 5e-6, "y, 0 behind the ends");
  expect_near(got.dx, dx, 5e-6, "dx, 0 behind the ends");
  expect_near(got.dweight, dweight, 5e-6, "dweight");
  expect_near(got.dbias, dbias, 5e-6, "dbias");
  expect_near(got.running_mean, running_mean, 1e-6, "running_mean");
  expect_near(got.running_var, running_var, 1e-6, "running_var");
}

// The positions l < n of every row.
Floats cut(const Floats &from, const Shape &s, int64_t n) {
  Floats out;
  for (int64_t row = 0; row < s.B() * s.H; row++)
    out.insert(out.end(), from.begin() + row * s.L, from.begin() + row * s.L + n);
  return out;
}

// However much padding there is, and whatever is in it, finite or not.
TEST_P(NormPaddingOn, PaddingChangesNothing) {
  for (bool training : {true, false})
    for (int64_t L : {13, 16, 64, 5000}) {
      const int64_t n = 13;
      const Shape longer = {3, L, Lengths(4, int32_t(n))}, exact = {3, n, Lengths(4, int32_t(n))};
      const Tensor dy = random_tensor({4, 3, L}, 31);
      Floats x = random_tensor({4, 3, L}, 30).floats;
      for (size_t i = 0; i < x.size(); i++)
        if (int64_t(i) % L >= n) x[i] = i % 2 ? NAN : 1e30F;
      const Results padded = results_of(longer, x, dy.floats, GetParam(), training);
      const Results plain = results_of(exact, cut(x, longer, n), cut(dy.floats, longer, n), GetParam(),
                                       training, EBB_F32, false);
      const double tolerance = GetParam() == "cpu" ? 0 : 2e-6; // CUDA adds in an order that depends on L
      expect_near(cut(padded.y, longer, n), plain.y, tolerance, "y");
      expect_near(cut(padded.dx, longer, n), plain.dx, tolerance, "dx");
      expect_near(padded.dweight, plain.dweight, tolerance, "dweight");
      expect_near(padded.dbias, plain.dbias, tolerance, "dbias");
      expect_near(padded.running_mean, plain.running_mean, tolerance, "running_mean");
      expect_near(padded.running_var, plain.running_var, tolerance, "running_var");
    }
}

// ---- errors

TEST_P(NormPaddingOn, RefusesLengthsOutsideTheSequence) {
  for (int32_t wrong : {-1, 6}) {
    OpRun run("batch_norm", kConfig, {random_tensor({3, 2, 5}, 1), integer_tensor({3}, {5, wrong, 0})}, 1, 1,
              true, GetParam());
    EXPECT_EQ(run.forward(), EBB_INVALID);
    const std::string said = ebb_error();
    EXPECT_NE(said.find("row 1 has length " + std::to_string(wrong) + ", which is outside 0..5"),
              std::string::npos)
        << said;
  }
}

TEST_P(NormPaddingOn, RefusesToTrainOnOneValue) {
  for (int32_t n : {0, 1}) {
    OpRun run("batch_norm", kConfig, {random_tensor({2, 2, 5}, 1), integer_tensor({2}, {n, 0})}, 1, 1, true,
              GetParam());
    EXPECT_EQ(run.forward(), EBB_INVALID);
    EXPECT_NE(std::string(ebb_error()).find("lengths of the batch add up to " + std::to_string(n)),
              std::string::npos)
        << ebb_error();
    EXPECT_EQ(run.param("running_mean"), Floats({0, 0}));
    EXPECT_EQ(run.param("running_var"), Floats({1, 1}));
    run.run.training = false;
    FORWARD(run);
    const Floats y = run.output();
    EXPECT_EQ(std::count_if(y.begin(), y.end(), [](float v) { return v != 0; }), 2 * n);
  }
}

TEST(NormPadding, RefusesLengthsOfAnotherBatch) {
  OpRun run("batch_norm", kConfig, {random_tensor({3, 2, 5}, 1), integer_tensor({2}, {5, 5})});
  EXPECT_EQ(run.status, EBB_SHAPE);
  EXPECT_NE(std::string(ebb_error()).find("2 lengths for a batch of 3"), std::string::npos) << ebb_error();
}

// ---- CUDA against the CPU

// Around the borders of what a thread (4), a warp and a block take; one block a channel and several.
const Shape kShapes[] = {
    {2, 2, {2}},          {8, 32, {32, 5}},        {33, 31, {0, 31, 1}},        {31, 12, {4, 12, 3, 5, 8}},
    {9, 257, {256, 257}}, {7, 1, Lengths(300, 1)}, {3, 4100, {4100, 17, 2050}}, {5, 8200, {1, 8199}},
    {5, 16404, {9001}}};

void compare(const Shape &s, EbbDtype storage, double tolerance, bool training) {
  SCOPED_TRACE("H " + std::to_string(s.H) + ", L " + std::to_string(s.L));
  const std::vector<int64_t> shape = {s.B(), s.H, s.L};
  const Floats x = Stored(storage, random_tensor(shape, 20, -1, 3).floats).floats();
  const Floats dy = Stored(storage, random_tensor(shape, 21, -1, 2).floats).floats();
  const Results cpu = results_of(s, x, dy, "cpu", training);
  const Results cuda = results_of(s, x, dy, "cuda", training, storage);
  const double sums = 1e-6 * std::sqrt(double(s.B() * s.L)) + 1e-5;
  expect_near(cuda.y, cpu.y, tolerance, "y");
  expect_near(cuda.dx, cpu.dx, tolerance, "dx");
  expect_near(cuda.dweight, cpu.dweight, sums, "dweight");
  expect_near(cuda.dbias, cpu.dbias, sums, "dbias");
  expect_near(cuda.running_mean, cpu.running_mean, 1e-6, "running_mean");
  expect_near(cuda.running_var, cpu.running_var, 1e-6, "running_var");
}

class NormPaddingCuda : public testing::Test {
protected:
  void SetUp() override {
    if (!ebb_test::has_cuda()) GTEST_SKIP() << "needs a GPU";
  }
};

TEST_F(NormPaddingCuda, GivesWhatTheCpuGives) {
  for (const Shape &s : kShapes)
    for (bool training : {true, false}) compare(s, EBB_F32, 2e-5, training);
}

// One rounding of y and of dx to 8 significant bits, as without lengths.
TEST_F(NormPaddingCuda, Bfloat16DiffersByItsRounding) {
  for (const Shape &s : kShapes) compare(s, EBB_BF16, std::ldexp(1, -8) + 2e-5, true);
}

} // namespace
