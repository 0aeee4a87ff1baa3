// Leaky-integration attention: checks of op_check.h, values against plain loops in double, what masks do, a
// CUDA device against the CPU, and errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ebb/ops/leaky_attention.h"
#include "support/expect_near.h"
#include "support/has_cuda.h"
#include "support/node_run.h"
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
using ebb_test::relative_error;
using ebb_test::Tensor;

// Every mode: heads, tau, causal, published.
std::vector<EbbLeakyAttentionConfig> modes(int64_t heads) {
  std::vector<EbbLeakyAttentionConfig> all;
  for (bool causal : {false, true})
    for (bool published : {false, true}) all.push_back({heads, 0.25, causal, published});
  return all;
}

class LeakyAttention : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, LeakyAttention, testing::ValuesIn(ebb_test::devices()));

OpCase check_of(const EbbLeakyAttentionConfig &config, std::vector<int64_t> shape, bool with_lengths) {
  OpInput x, lengths;
  x.shape = shape, x.low = -2, x.high = 2;
  lengths.shape = {shape[0]}, lengths.type = EBB_I32, lengths.grad = false;
  lengths.integers = {int32_t(shape[1]), int32_t(shape[1] + 1) / 2};
  OpCase test;
  test.name = "leaky attention", test.op = "leaky_attention", test.config = bytes_of(config),
  test.outputs = 2;
  test.inputs = {x, x, x};
  if (with_lengths) test.inputs.push_back(lengths);
  return test;
}

TEST_P(LeakyAttention, PassesTheOpChecks) {
  for (const EbbLeakyAttentionConfig &config : modes(2)) {
    ebb_test::check_op(check_of(config, {3, 7, 6}, true), GetParam());
    ebb_test::check_op(check_of(config, {1, 37, 4}, false), GetParam());
  }
  ebb_test::check_op(check_of({1, 0.25, true, false}, {1, 1, 1}, false), GetParam());
}

// ---- values

struct Expected {
  Doubles y, weights;
};

Expected reference(const EbbLeakyAttentionConfig &c, const Floats &q, const Floats &k, const Floats &v,
                   int64_t B, int64_t T, int64_t D, const std::vector<int32_t> &lengths) {
  const int64_t width = D / c.heads;
  const double leak = 1 - 1 / c.tau;
  Expected out = {Doubles(size_t(B * T * D), 0), {}};
  auto at = [&](int64_t b, int64_t t, int64_t n, int64_t d) {
    return size_t((b * T + t) * D + n * width + d);
  };
  for (int64_t b = 0; b < B; b++)
    for (int64_t n = 0; n < c.heads; n++)
      for (int64_t i = 0; i < T; i++) {
        Doubles p(size_t(T), 0), w(size_t(T), 0);
        double sum = 0, total = 0;
        auto seen = [&](int64_t j) { return j < lengths[size_t(b)] && (!c.causal || j <= i); };
        for (int64_t j = 0; j < T; j++) {
          double score = 0;
          for (int64_t d = 0; d < width; d++)
            score += leak * double(q[at(b, i, n, d)]) * leak * double(k[at(b, j, n, d)]);
          if (seen(j)) sum += p[size_t(j)] = std::exp(score / std::sqrt(double(D)));
        }
        for (int64_t j = 0; j < T; j++) {
          w[size_t(j)] = 1 / (1 + std::exp(-p[size_t(j)] / sum));
          if (!c.published && !seen(j)) w[size_t(j)] = 0;
          total += w[size_t(j)];
        }
        for (int64_t j = 0; j < T; j++) {
          if (!c.published) w[size_t(j)] /= total;
          for (int64_t d = 0; d < width; d++)
            out.y[at(b, i, n, d)] += w[size_t(j)] * double(v[at(b, j, n, d)]);
        }
        out.weights.insert(out.weights.end(), w.begin(), w.end());
      }
  return out;
}

TEST_P(LeakyAttention, IsTheFormula) {
  const int64_t B = 2, T = 35, D = 6;
  const Tensor q = random_tensor({B, T, D}, 1, -2, 2), k = random_tensor({B, T, D}, 2, -2, 2),
               v = random_tensor({B, T, D}, 3);
  const std::vector<int32_t> lengths = {35, 11};
  for (EbbLeakyAttentionConfig config : modes(3))
    for (double tau : {0.25, 0.5, 1.0, -2.0}) {
      config.tau = tau;
      OpRun run("leaky_attention", config, {q, k, v, integer_tensor({B}, lengths)}, 2, 1, true, GetParam());
      ASSERT_EQ(run.status, EBB_OK) << ebb_error();
      ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
      const Expected expected = reference(config, q.floats, k.floats, v.floats, B, T, D, lengths);
      expect_near(run.output(1), expected.weights, 1e-6, "weights");
      expect_near(run.output(), expected.y, 1e-5, "y");
    }
}

// The published causal mode leaks: y depends on later values. The masked one does not, nor on padding.
TEST_P(LeakyAttention, OnlyThePublishedModeLeaks) {
  const int64_t T = 9, D = 4;
  const Tensor q = random_tensor({1, T, D}, 4), k = random_tensor({1, T, D}, 5),
               v = random_tensor({1, T, D}, 6);
  Tensor later = v;
  for (size_t i = size_t(5 * D); i < later.floats.size(); i++) later.floats[i] += 1;
  auto first_rows = [&](bool causal, bool published, const Tensor &value, int32_t length) {
    const EbbLeakyAttentionConfig config = {2, 0.25, causal, published};
    OpRun run("leaky_attention", config, {q, k, value, integer_tensor({1}, {length})}, 2, 1, true,
              GetParam());
    EXPECT_EQ(run.forward(), EBB_OK) << ebb_error();
    const Floats y = run.output();
    return Floats(y.begin(), y.begin() + 5 * D);
  };
  EXPECT_EQ(first_rows(true, false, v, 9), first_rows(true, false, later, 9));
  EXPECT_EQ(first_rows(false, false, v, 5), first_rows(false, false, later, 5));
  EXPECT_NE(first_rows(false, false, v, 9), first_rows(false, false, later, 9));
  EXPECT_NE(first_rows(true, true, v, 9), first_rows(true, true, later, 9));
}

TEST_P(LeakyAttention, MaskedRowsSumToOne) {
  const EbbLeakyAttentionConfig config = {1, 0.25, true, false};
  OpRun run("leaky_attention", config,
            {random_tensor({1, 40, 2}, 7), random_tensor({1, 40, 2}, 8), random_tensor({1, 40, 2}, 9)}, 2, 1,
            true, GetParam());
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats w = run.output(1);
  for (size_t i = 0; i < 40; i++) {
    double sum = 0;
    for (size_t j = 0; j < 40; j++) sum += double(w[i * 40 + j]);
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST_P(LeakyAttention, BadLengthsAreNamed) {
  const Tensor x = random_tensor({2, 3, 2}, 10);
  for (int32_t bad : {0, 4, -1}) {
    OpRun run("leaky_attention", EbbLeakyAttentionConfig{1, 0.5, false, false},
              {x, x, x, integer_tensor({2}, {3, bad})}, 2, 1, true, GetParam());
    EXPECT_EQ(run.forward(), EBB_INVALID);
    EXPECT_NE(std::string(ebb_error()).find("row 1 has length"), std::string::npos) << ebb_error();
  }
}

TEST(LeakyAttentionErrors, AreFoundWhenTheyAreRecorded) {
  const Tensor x = random_tensor({2, 3, 4}, 11), other = random_tensor({2, 3, 2}, 12);
  auto refused = [&](EbbLeakyAttentionConfig config, std::vector<Tensor> inputs, EbbStatus code,
                     const std::string &word) {
    EXPECT_EQ(OpRun("leaky_attention", config, inputs, 2).status, code);
    EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << word << " in: " << ebb_error();
  };
  refused({3, 0.5, false, false}, {x, x, x}, EBB_INVALID, "3 heads");
  refused({0, 0.5, false, false}, {x, x, x}, EBB_INVALID, "0 heads");
  refused({2, 0, false, false}, {x, x, x}, EBB_INVALID, "tau");
  refused({2, 0.5, false, false}, {x, other, x}, EBB_SHAPE, "k is (2, 3, 2)");
  refused({2, 0.5, false, false}, {x, x, x, integer_tensor({3}, {1, 1, 1})}, EBB_SHAPE, "3 lengths");
}

// ---- a CUDA device against the CPU; more heads than rows and fewer

TEST(LeakyAttentionCuda, GivesWhatTheCpuGives) {
  if (!ebb_test::has_cuda()) GTEST_SKIP() << "needs a GPU";
  for (const std::vector<int64_t> &shape :
       std::vector<std::vector<int64_t>>{{1, 1, 3}, {2, 33, 12}, {5, 31, 6}, {1, 70, 3}})
    for (const EbbLeakyAttentionConfig &config : modes(3)) {
      std::vector<std::vector<Floats>> results;
      for (const char *device : {"cpu", "cuda"}) {
        std::vector<int32_t> lengths = std::vector<int32_t>(size_t(shape[0]), int32_t(shape[1]));
        lengths[0] = int32_t(shape[1] + 1) / 2;
        OpRun run("leaky_attention", config,
                  {random_tensor(shape, 13, -2, 2), random_tensor(shape, 14, -2, 2), random_tensor(shape, 15),
                   integer_tensor({shape[0]}, lengths)},
                  2, 2, true, device);
        ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
        run.backward(random_tensor(shape, 16).floats);
        results.push_back(
            {run.output(), run.output(1), run.input_grad(0), run.input_grad(1), run.input_grad(2)});
      }
      for (size_t i = 0; i < 5; i++)
        expect_near(results[1][i], results[0][i], 3e-6, std::to_string(i).c_str());
    }
}

} // namespace
