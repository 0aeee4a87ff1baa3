// Dropout inside of a cell: the op that puts factors behind its inputs, and the CfC cell that multiplies the
// layers of its backbone by them.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "ebb/cells.h"
#include "ebb/ops/dropout_columns.h"
#include "support/cell_programs.h"
#include "support/cell_run.h"
#include "support/expect_near.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace ebb_test {
namespace {

using Doubles = std::vector<double>;

class CellDropout : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, CellDropout, testing::ValuesIn(devices()),
                         [](const auto &named) { return named.param; });

OpInput floats(std::vector<int64_t> shape) {
  OpInput input;
  input.shape = std::move(shape);
  return input;
}

// ---- the columns

TEST_P(CellDropout, ColumnsPassTheOpChecks) {
  for (const auto &[shape, columns] : std::vector<std::pair<std::vector<int64_t>, int64_t>>{
           {{1, 1, 1}, 1}, {{3, 5, 7}, 9}, {{2, 70, 3}, 66}}) {
    OpCase c;
    c.name = "dropout columns " + std::to_string(columns), c.op = "dropout_columns";
    c.config = bytes_of(EbbDropoutColumnsConfig{columns, 0.3}), c.inputs = {floats(shape)};
    check_op(c, GetParam());
  }
}

// Factor (row, column) is the draw of element row W + column in training, and 1 in evaluation.
TEST_P(CellDropout, ColumnsAreTheDrawsOfTheirElements) {
  for (const auto &[I, W] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 5}, {4, 64}, {2, 129}, {257, 3}}) {
    SCOPED_TRACE(std::to_string(I) + " + " + std::to_string(W));
    const int64_t B = 3, T = 5;
    const Tensor x = random_tensor({B, T, I}, 1);
    OpRun run("dropout_columns", EbbDropoutColumnsConfig{W, 0.25}, {x}, 1, 2, true, GetParam());
    ASSERT_EQ(run.status, EBB_OK) << ebb_error();
    for (const bool training : {true, false}) {
      run.run.training = training;
      FORWARD(run);
      const Floats y = run.output();
      ASSERT_EQ(y.size(), size_t(B * T * (I + W)));
      for (int64_t row = 0; row < B * T; row++) {
        const float *at = &y[size_t(row * (I + W))];
        for (int64_t i = 0; i < I; i++) ASSERT_EQ(at[i], x.floats[size_t(row * I + i)]);
        for (int64_t w = 0; w < W; w++) {
          const uint32_t word = ebb_random(run.run.seed, run.run.step, 0, uint64_t(row * W + w));
          ASSERT_EQ(at[I + w], training ? ebb_dropout_factor(word, 0.25F) : 1.0F) << row << ' ' << w;
        }
      }
    }
    const Tensor dy = random_tensor({B, T, I + W}, 2);
    run.backward(dy.floats);
    const Floats dx = run.input_grad();
    for (int64_t i = 0; i < B * T * I; i++)
      ASSERT_EQ(dx[size_t(i)], dy.floats[size_t(i / I * (I + W) + i % I)]) << i;
  }
}

TEST(CellDropoutErrors, AreFoundWhenTheyAreRecorded) {
  const Tensor x = random_tensor({2, 3, 4}, 1);
  const auto expect = [](const OpRun &run, EbbStatus code, const char *word) {
    EXPECT_EQ(run.status, code);
    EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << ebb_error();
  };
  expect(OpRun("dropout_columns", EbbDropoutColumnsConfig{2, 1}, {x}), EBB_INVALID, "dropout 1");
  expect(OpRun("dropout_columns", EbbDropoutColumnsConfig{2, -0.1}, {x}), EBB_INVALID, "dropout -0.1");
  expect(OpRun("dropout_columns", EbbDropoutColumnsConfig{0, 0.1}, {x}), EBB_INVALID, "0 columns");
  expect(OpRun("dropout_columns", EbbDropoutColumnsConfig{2, 0.1}, {random_tensor({2, 3}, 1)}), EBB_SHAPE,
         "(2, 3)");
}

// ---- the cell

EbbCfc three_layers(int64_t I, int64_t H, int64_t units) {
  EbbCfc cfc = ebb_cfc_defaults(I, H);
  cfc.backbone_layers = 3, cfc.backbone_units = units, cfc.backbone_dropout = true;
  return cfc;
}

CellPtr made(const EbbCfc &cfc) {
  EbbCell *cell = nullptr;
  if (ebb_cell_cfc(&cfc, &cell) != EBB_OK) throw std::runtime_error(ebb_error());
  return CellPtr(cell);
}

// x of random numbers, and factors that drop half of the units.
Tensor with_factors(int64_t B, int64_t T, int64_t I, int64_t W) {
  Tensor x = random_tensor({B, T, I + W}, 1);
  for (size_t i = 0; i < x.floats.size(); i++)
    if (int64_t(i) % (I + W) >= I) x.floats[i] = x.floats[i] < 0 ? 0 : 2;
  return x;
}

Doubles linear(OpRun &run, const std::string &name, const Doubles &x) {
  const Floats weight = run.param(name + ".weight"), bias = run.param(name + ".bias");
  Doubles y(bias.begin(), bias.end());
  for (size_t o = 0; o < y.size(); o++)
    for (size_t i = 0; i < x.size(); i++) y[o] += double(weight[o * x.size() + i]) * x[i];
  return y;
}

// One step of ncps's CfC in default mode with the masks of its Dropout modules given: behind the activation
// of every layer but the first.
void step(OpRun &run, const EbbCfc &cfc, const float *x, Doubles &h) {
  Doubles u(x, x + cfc.I);
  u.insert(u.end(), h.begin(), h.end());
  const float *factor = x + cfc.I;
  for (int64_t layer = 0; layer < cfc.backbone_layers; layer++) {
    u = linear(run, "backbone." + std::to_string(2 * layer), u);
    for (double &value : u) {
      value = 1.7159 * std::tanh(0.666 * value);
      if (layer > 0) value *= double(*factor++);
    }
  }
  const Doubles f1 = linear(run, "ff1", u), f2 = linear(run, "ff2", u), a = linear(run, "time_a", u),
                b = linear(run, "time_b", u);
  for (size_t k = 0; k < h.size(); k++) {
    const double gate = 1 / (1 + std::exp(-(a[k] + b[k])));
    h[k] = std::tanh(f1[k]) * (1 - gate) + gate * std::tanh(f2[k]);
  }
}

TEST_P(CellDropout, FactorsMultiplyTheLayersBehindTheFirst) {
  for (const int64_t B : {1, 3, 17}) {
    const EbbCfc cfc = three_layers(3, 5, 7);
    const int64_t T = 4, width = cfc.I + 2 * cfc.backbone_units;
    const CellPtr cell = made(cfc);
    ASSERT_EQ(cell->inputs, width);
    const Tensor x = with_factors(B, T, cfc.I, 2 * cfc.backbone_units);
    OpRun run("cell", config_of(cell.get()), {x}, 2, 2, true, GetParam());
    ASSERT_EQ(run.status, EBB_OK) << ebb_error();
    FORWARD(run);
    Doubles expected;
    for (int64_t b = 0; b < B; b++) {
      Doubles h(size_t(cfc.H), 0.0);
      for (int64_t t = 0; t < T; t++) {
        step(run, cfc, &x.floats[size_t((b * T + t) * width)], h);
        expected.insert(expected.end(), h.begin(), h.end());
      }
    }
    expect_near(run.output(), expected, 1e-5, "y");
  }
}

// The same parameters, and with factors of 1 the same numbers, as without dropout.
TEST_P(CellDropout, FactorsOfOneAreThePlainCell) {
  EbbCfc cfc = three_layers(3, 5, 7);
  cfc.mixed_memory = true, cfc.proj_size = 4;
  const CellPtr dropped = made(cfc);
  cfc.backbone_dropout = false;
  const CellPtr plain = made(cfc);
  ASSERT_EQ(dropped->n_params, plain->n_params);
  for (int p = 0; p < plain->n_params; p++) {
    EXPECT_STREQ(dropped->param[p].name, plain->param[p].name);
    EXPECT_TRUE(ebb_shape_equal(&dropped->param[p].spec.shape, &plain->param[p].spec.shape));
  }
  const int64_t B = 3, T = 4, I = cfc.I, width = dropped->inputs;
  const Tensor x = random_tensor({B, T, I}, 1);
  Tensor wide = {{B, T, width}, Floats(size_t(B * T * width), 1.0F)};
  for (int64_t i = 0; i < B * T * I; i++) wide.floats[size_t(i / I * width + i % I)] = x.floats[size_t(i)];
  OpRun one("cell", config_of(plain.get()), {x}, 2, 1, true, GetParam());
  OpRun other("cell", config_of(dropped.get()), {wide}, 2, 1, true, GetParam());
  FORWARD(one);
  FORWARD(other);
  expect_near(other.output(0), one.output(0), 1e-6, "y");
  expect_near(other.output(1), one.output(1), 1e-6, "states");
}

TEST_P(CellDropout, HasTheGradientsOfDifferences) {
  for (const bool memory : {false, true}) {
    EbbCfc cfc = three_layers(3, 4, 6);
    cfc.mixed_memory = memory, cfc.activation = EBB_CFC_TANH;
    const CellPtr cell = made(cfc);
    OpCase c;
    c.name = memory ? "with memory" : "alone", c.op = "cell";
    c.config = bytes_of(config_of(cell.get(), {true, true, false}));
    c.inputs = {floats({3, 5, cell->inputs}), floats({3, cell->states}), floats({3, 5})};
    c.inputs[2].low = 0.2, c.inputs[2].high = 1.5;
    c.outputs = 2, c.differentiable = {0, 1};
    check_op(c, GetParam());
  }
}

} // namespace
} // namespace ebb_test
