// Values of the ops around the state-space layer against plain loops in double.
#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/dropout.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/encode_linear.h"
#include "ebb/ops/gelu.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/mse.h"
#include "ebb/ops/pool.h"
#include "ebb/ops/retrieval.h"
#include "ebb/ops/s4_out.h"
#include "ebb/ops/transpose.h"
#include "host/dropout.h"
#include "host/rows.h"
#include "support/expect_near.h"
#include "support/linear_config.h"
#include "support/no_config.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::Doubles;
using ebb_test::expect_near;
using ebb_test::Floats;
using ebb_test::integer_tensor;
using ebb_test::NoConfig;
using ebb_test::OpRun;
using ebb_test::random_tensor;
using ebb_test::Tensor;

class NnValues : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, NnValues, testing::ValuesIn(ebb_test::devices()));

TEST(Rows, SumsOfAnyLengthAreThoseInDouble) {
  for (int64_t n : {1, 15, 31, 32, 33, 1023, 1024, 1057, 5000}) {
    const Floats x = random_tensor({n}, 1, 90, 110).floats, y = random_tensor({n}, 2).floats;
    double sum = 0, squares = 0, dot = 0;
    for (size_t i = 0; i < x.size(); i++) {
      sum += x[i];
      squares += (x[i] - 100.0) * (x[i] - 100.0);
      dot += (x[i] - 100.0) * y[i];
    }
    EXPECT_NEAR(ebb_row_sum(x.data(), n), sum, 1e-5 * double(n)) << n;
    EXPECT_NEAR(ebb_row_squares(x.data(), 100, n), squares, 1e-5 * double(n)) << n;
    EXPECT_NEAR(ebb_row_dot(x.data(), 100, y.data(), n), dot, 1e-5 * double(n)) << n;
  }
}

TEST(Rows, MomentsKeepTheVarianceOfShiftedData) {
  const Floats x = random_tensor({9000}, 3, 9999.5, 10000.5).floats;
  EbbMoments moments = {};
  for (int i = 0; i < 3; i++) ebb_moments_add_row(&moments, x.data() + 3000 * i, 3000);
  double mean = 0, squares = 0;
  for (float v : x) mean += v;
  mean /= 9000;
  for (float v : x) squares += (v - mean) * (v - mean);
  EXPECT_EQ(moments.count, 9000);
  EXPECT_NEAR(moments.mean, mean, 1e-4);
  EXPECT_NEAR(moments.squares / squares, 1, 1e-5);
}

TEST(Dropout, RowsAreTheDrawsOneByOne) {
  const EbbRun run = {nullptr, true, 123456789012345ULL, 77};
  for (uint64_t first : {0ULL, 1ULL, 6ULL, 4000000003ULL}) {
    Floats factor(203, -1);
    ebb_dropout_row(&run, 5, 0.25F, first, int64_t(factor.size()), factor.data());
    int kept = 0;
    for (size_t i = 0; i < factor.size(); i++) {
      const float expected = ebb_dropout_factor(ebb_random(run.seed, run.step, 5, first + i), 0.25F);
      ASSERT_EQ(factor[i], expected) << first << " " << i;
      kept += expected != 0;
    }
    EXPECT_NEAR(kept, 152, 30);
    EXPECT_FLOAT_EQ(ebb_dropout_scale(0.25F), 4.0F / 3);
  }
}

TEST_P(NnValues, EmbeddingGathersRowsAndAddsGradientsUp) {
  const int64_t B = 2, L = 21, V = 7, H = 18;
  const std::vector<int32_t> tokens = {3, 3, 0, 6, 1, 1, 1, 5, 3, 0, 0, 0, 0, 2, 6, 3, 3, 0, 0, 0, 0,
                                       5, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 5, 4, 3, 2, 1, 0, 3};
  OpRun run("embedding", EbbEmbeddingConfig{V, H}, {integer_tensor({B, L}, tokens)}, 1, 1, true, GetParam());
  FORWARD(run);
  const Floats w = run.param("weight"), dy = random_tensor({B, H, L}, 4).floats;
  run.backward(dy);
  Doubles y(size_t(B * H * L)), dw(w.size());
  for (int64_t b = 0; b < B; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t l = 0; l < L; l++) {
        const size_t from = size_t(tokens[size_t(b * L + l)] * H + h), at = size_t((b * H + h) * L + l);
        y[at] = w[from];
        dw[from] += dy[at];
      }
  expect_near(run.output(), y, 0, "y");
  expect_near(run.param_grad("weight"), dw, 1e-6, "dweight");
}

TEST_P(NnValues, EncodeLinearProjectsEveryStep) {
  for (int64_t I : {1, 4}) {
    const int64_t B = 2, L = 530, H = 3;
    const Tensor x = random_tensor({B, L, I}, 5);
    OpRun run("encode_linear", EbbEncodeLinearConfig{I, H}, {x}, 1, 1, true, GetParam());
    FORWARD(run);
    const Floats w = run.param("weight"), bias = run.param("bias");
    Doubles y(size_t(B * H * L));
    for (int64_t b = 0; b < B; b++)
      for (int64_t h = 0; h < H; h++)
        for (int64_t l = 0; l < L; l++) {
          double sum = bias[size_t(h)];
          for (int64_t i = 0; i < I; i++)
            sum += double(w[size_t(h * I + i)]) * x.floats[size_t((b * L + l) * I + i)];
          y[size_t((b * H + h) * L + l)] = sum;
        }
    expect_near(run.output(), y, 1e-6, "y");
  }
}

struct NormShape {
  int64_t B, H, L;
  size_t at(int64_t b, int64_t h, int64_t l) const { return size_t((b * H + h) * L + l); }
};

struct OutCase {
  bool glu;
  float dropout;
  bool tie, residual, training;
};

// y, dh, dresidual, dweight and dbias of one output projection in double.
struct OutReference {
  Doubles y, dh, dresidual, dweight, dbias;
};

OutReference out_reference(const OutCase &c, const NormShape &s, const Tensor &h, const Tensor &r,
                           const Floats &w, const Floats &bias, const Floats &dy, const EbbRun &run) {
  const int64_t O = c.glu ? 2 * s.H : s.H;
  OutReference e = {Doubles(dy.size()), Doubles(dy.size()), Doubles(dy.begin(), dy.end()), Doubles(w.size()),
                    Doubles(bias.size())};
  for (int64_t b = 0; b < s.B; b++)
    for (int64_t l = 0; l < s.L; l++) {
      Doubles o(bias.begin(), bias.end()), d_o(static_cast<size_t>(O));
      for (int64_t j = 0; j < O; j++)
        for (int64_t i = 0; i < s.H; i++)
          o[size_t(j)] += double(w[size_t(j * s.H + i)]) * h.floats[s.at(b, i, l)];
      for (int64_t j = 0; j < s.H; j++) {
        const uint64_t element = c.tie ? uint64_t(b * s.H + j) : uint64_t(s.at(b, j, l));
        const bool drops = c.training && c.dropout > 0;
        const double factor =
            drops ? ebb_dropout_factor(ebb_random(run.seed, run.step, 0, element), c.dropout) : 1;
        const double gate = c.glu ? 1 / (1 + std::exp(-o[size_t(s.H + j)])) : 1, a = o[size_t(j)];
        const double g = dy[s.at(b, j, l)] * factor;
        e.y[s.at(b, j, l)] = (c.residual ? r.floats[s.at(b, j, l)] : 0) + factor * a * gate;
        d_o[size_t(j)] = g * gate;
        if (c.glu) d_o[size_t(s.H + j)] = g * a * gate * (1 - gate);
      }
      for (int64_t j = 0; j < O; j++) {
        e.dbias[size_t(j)] += d_o[size_t(j)];
        for (int64_t i = 0; i < s.H; i++) {
          e.dweight[size_t(j * s.H + i)] += d_o[size_t(j)] * h.floats[s.at(b, i, l)];
          e.dh[s.at(b, i, l)] += d_o[size_t(j)] * w[size_t(j * s.H + i)];
        }
      }
    }
  return e;
}

TEST_P(NnValues, S4OutValuesAndGradientsOfEveryVariant) {
  const NormShape s = {2, 20, 1100}; // tiles of unequal width
  const Tensor h = random_tensor({s.B, s.H, s.L}, 10), r = random_tensor({s.B, s.H, s.L}, 11);
  const Floats dy = random_tensor({s.B, s.H, s.L}, 12).floats;
  for (const OutCase &c : {OutCase{true, 0, true, false, true}, OutCase{true, 0.25F, true, true, true},
                           OutCase{true, 0.25F, false, true, true}, OutCase{false, 0.25F, false, false, true},
                           OutCase{false, 0, true, true, true}, OutCase{true, 0.25F, true, true, false}}) {
    OpRun run("s4_out", EbbS4OutConfig{c.glu, c.dropout, c.tie},
              c.residual ? std::vector<Tensor>{h, r} : std::vector<Tensor>{h}, 1, 2, true, GetParam());
    run.run.training = c.training;
    FORWARD(run);
    run.backward(dy);
    const Floats w = run.param("output_linear.weight"), bias = run.param("output_linear.bias");
    const OutReference e = out_reference(c, s, h, r, w, bias, dy, run.run);
    expect_near(run.output(), e.y, 2e-6, "y");
    expect_near(run.input_grad(0), e.dh, 3e-6, "dh");
    if (c.residual) expect_near(run.input_grad(1), e.dresidual, 0, "dresidual");
    expect_near(run.param_grad("output_linear.weight"), e.dweight, 3e-5, "dweight");
    expect_near(run.param_grad("output_linear.bias"), e.dbias, 3e-5, "dbias");
  }
}

TEST_P(NnValues, S4OutGraphWithoutBackwardGivesTheSame) {
  const std::vector<Tensor> inputs = {random_tensor({2, 20, 1100}, 10), random_tensor({2, 20, 1100}, 11)};
  OpRun with("s4_out", EbbS4OutConfig{true, 0, true}, inputs, 1, 1, true, GetParam());
  OpRun without("s4_out", EbbS4OutConfig{true, 0, true}, inputs, 1, 1, false, GetParam());
  FORWARD(with);
  FORWARD(without);
  EXPECT_EQ(with.output(), without.output());
}

TEST_P(NnValues, PoolMeanAndLastOfTheValidSteps) {
  const Tensor x = random_tensor({3, 2, 40}, 13);
  const std::vector<int32_t> lengths = {40, 1, 7};
  for (EbbPoolKind kind : {EBB_POOL_MEAN, EBB_POOL_LAST}) {
    OpRun run("pool", EbbPoolConfig{kind}, {x, integer_tensor({3}, lengths)}, 1, 1, true, GetParam()),
        whole("pool", EbbPoolConfig{kind}, {x}, 1, 1, true, GetParam());
    FORWARD(run);
    FORWARD(whole);
    Doubles expected;
    for (size_t row = 0; row < 6; row++) {
      const size_t length = size_t(lengths[row / 2]);
      double sum = 0;
      for (size_t l = 0; l < length; l++) sum += x.floats[row * 40 + l];
      expected.push_back(kind == EBB_POOL_MEAN ? sum / double(length) : x.floats[row * 40 + length - 1]);
    }
    expect_near(run.output(), expected, 1e-6, "y");
    EXPECT_EQ(whole.output()[0], run.output()[0]);
    const Floats dy = {1, 2, 3, 4, 5, 6};
    run.backward(dy);
    const Floats dx = run.input_grad();
    EXPECT_EQ(dx[5 * 40 + 7], 0);
    EXPECT_FLOAT_EQ(dx[5 * 40 + 6], kind == EBB_POOL_MEAN ? 6.0F / 7 : 6.0F);
    EXPECT_FLOAT_EQ(dx[2 * 40], 3);
  }
}

TEST_P(NnValues, LinearProjectsTheLastDimension) {
  const Tensor x = random_tensor({2, 3, 5}, 14);
  OpRun run("linear", ebb_test::linear_config(70), {x}, 1, 1, true, GetParam());
  FORWARD(run);
  const Floats w = run.param("weight"), bias = run.param("bias");
  Doubles y;
  for (size_t r = 0; r < 6; r++)
    for (size_t o = 0; o < 70; o++) {
      double sum = bias[o];
      for (size_t i = 0; i < 5; i++) sum += double(x.floats[r * 5 + i]) * w[o * 5 + i];
      y.push_back(sum);
    }
  expect_near(run.output(), y, 1e-6, "y");
}

TEST_P(NnValues, GeluIsTheExactForm) {
  const Tensor x = random_tensor({7, 11}, 15, -4, 4);
  OpRun run("gelu", NoConfig{}, {x}, 1, 1, true, GetParam());
  FORWARD(run);
  Doubles y;
  for (float v : x.floats) y.push_back(0.5 * v * (1 + std::erf(v / std::sqrt(2.0))));
  expect_near(run.output(), y, 1e-6, "y");
}

TEST_P(NnValues, RetrievalFeaturesOfPairs) {
  OpRun run("retrieval", NoConfig{}, {Tensor{{4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}}}, 1, 1, true, GetParam());
  FORWARD(run);
  EXPECT_EQ(run.output(), (Floats{1, 2, 5, 6, -4, -4, 5, 12, 3, 4, 7, 8, -4, -4, 21, 32}));
}

TEST_P(NnValues, CrossEntropyWeightedMeanAndCorrectCount) {
  // Large logits would overflow exp; row 1 has weight 0 and an impossible label; row 3 ties, the first wins.
  const Tensor logits = {{4, 3}, {1000, 999, 990, NAN, 0, 0, 0, 1, -1, 2, 2, 0}};
  const Floats weights = {2, 0, 1, 0.5F};
  OpRun run("cross_entropy", EbbCrossEntropyConfig{},
            {logits, integer_tensor({4}, {0, -7, 2, 1}), Tensor{{4}, weights}}, 2, 1, true, GetParam());
  FORWARD(run);
  const double row0 = std::log(1 + std::exp(-1.0) + std::exp(-10.0));
  const double row2 = std::log(1 + std::exp(1.0) + std::exp(-1.0)) + 1;
  const double row3 = std::log(2 + std::exp(-2.0));
  EXPECT_NEAR(run.output(0)[0], (2 * row0 + row2 + 0.5 * row3) / 3.5, 1e-6);
  EXPECT_EQ(run.output(1), (Floats{2, 0, 1, 0.5F}));
  run.backward({1});
  const Floats d = run.input_grad();
  EXPECT_NEAR(d[0], 2 / 3.5 * (std::exp(-row0) - 1), 1e-6);
  EXPECT_EQ(d[3], 0);
  EXPECT_NEAR(d[8], 1 / 3.5 * (std::exp(-row2) - 1), 1e-6);
}

TEST_P(NnValues, CrossEntropyWithoutWeightsIsThePlainMean) {
  const Tensor logits = random_tensor({5, 4}, 16);
  const Tensor labels = integer_tensor({5}, {0, 1, 2, 3, 0});
  OpRun plain("cross_entropy", EbbCrossEntropyConfig{}, {logits, labels}, 2, 1, true, GetParam());
  OpRun ones("cross_entropy", EbbCrossEntropyConfig{}, {logits, labels, Tensor{{5}, Floats(5, 1)}}, 2, 1,
             true, GetParam());
  FORWARD(plain);
  FORWARD(ones);
  EXPECT_EQ(plain.output(0), ones.output(0));
  EXPECT_EQ(plain.output(1), ones.output(1));
}

// Class weights scale the loss, not the number it is divided by, nor what is counted. Source: the LTC paper's
// code, tf.losses.sparse_softmax_cross_entropy with weights.
TEST_P(NnValues, CrossEntropyOfStepsWithClassWeights) {
  const Tensor logits = {{2, 3, 2}, {0, 1, 2, 0, 0, 3, 1, 0, 0, 0.5F, NAN, 0}};
  const Tensor labels = {{2, 3}, {}, {1, 1, 0, 0, 1, 9}}, weights = {{2, 3}, {1, 1, 1, 1, 1, 0}};
  OpRun run("cross_entropy", EbbCrossEntropyConfig{2, {0.1F, 1.6F}}, {logits, labels, weights}, 2, 1, true,
            GetParam());
  FORWARD(run);
  const double rows[] = {std::log(1 + std::exp(-1.0)), std::log(1 + std::exp(2.0)),
                         std::log(1 + std::exp(3.0)), std::log(1 + std::exp(-1.0)),
                         std::log(1 + std::exp(-0.5))};
  const double c[] = {1.6, 1.6, 0.1, 0.1, 1.6};
  double loss = 0;
  for (int i = 0; i < 5; i++) loss += c[i] * rows[i] / 5;
  EXPECT_NEAR(run.output(0)[0], loss, 1e-6);
  EXPECT_EQ(run.output(1), (Floats{3, 2, 1, 1})); // correct, tp, fp, fn
  run.backward({1});
  const Floats d = run.input_grad();
  EXPECT_NEAR(d[1], 1.6 / 5 * (std::exp(-rows[0]) - 1), 1e-6);
  EXPECT_NEAR(d[4], 0.1 / 5 * (std::exp(-rows[2]) - 1), 1e-6);
  EXPECT_EQ(d[10], 0);
  EXPECT_EQ(d[11], 0);
}

TEST_P(NnValues, TransposeExchangesTheLastTwoDimensions) {
  const Tensor x = random_tensor({2, 33, 65}, 17);
  OpRun run("transpose", EbbTransposeConfig{}, {x}, 1, 1, true, GetParam());
  FORWARD(run);
  const Floats y = run.output();
  Floats expected(x.floats.size()), back(x.floats.size());
  for (size_t b = 0; b < 2; b++)
    for (size_t r = 0; r < 33; r++)
      for (size_t c = 0; c < 65; c++) expected[(b * 65 + c) * 33 + r] = x.floats[(b * 33 + r) * 65 + c];
  EXPECT_EQ(y, expected);
  run.backward(expected);
  EXPECT_EQ(run.input_grad(), x.floats);
}

TEST_P(NnValues, MseWeightedMeanOfRowMeans) {
  const Tensor x = {{3, 2}, {1, 2, NAN, 0, 5, 7}}, targets = {{3, 2}, {0, 0, 0, 0, 4, 4}};
  OpRun run("mse", NoConfig{}, {x, targets, Tensor{{3}, {1, 0, 3}}}, 2, 1, true, GetParam());
  FORWARD(run);
  EXPECT_FLOAT_EQ(run.output()[0], (1 * 2.5F + 3 * 5.0F) / 4);
  EXPECT_EQ(run.output(1), (Floats{1 * 1.5F + 3 * 2.0F, 0, 0, 0}));
  run.backward({2});
  const Floats d = run.input_grad();
  EXPECT_FLOAT_EQ(d[1], 2.0F * 2 * 2 / 2 / 4);
  EXPECT_EQ(d[2], 0);
  EXPECT_FLOAT_EQ(d[5], 2.0F * 2 * 3 * 3 / 2 / 4);
}

} // namespace
