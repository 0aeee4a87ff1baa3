#include "ebb/ops/cell.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/cells.h"
#include "host/cell/reference.h"
#include "support/cell_programs.h"
#include "support/cell_reference.h"
#include "support/cell_run.h"
#include "support/op_check.h"

namespace {

using ebb_test::CellInputs;
using ebb_test::CellPtr;
using ebb_test::CellReference;
using ebb_test::config_of;
using ebb_test::Floats;
using ebb_test::formula_cell;
using ebb_test::OpCase;
using ebb_test::OpInput;
using ebb_test::OpRun;
using ebb_test::outputs_of;
using ebb_test::params_of;
using ebb_test::random_tensor;
using ebb_test::sections_cell;
using ebb_test::Tensor;

// ---- programs against finite differences ----

OpInput floats(std::vector<int64_t> shape, double low, double high) {
  OpInput input;
  input.shape = std::move(shape), input.low = low, input.high = high;
  return input;
}

OpCase cell_case(const std::string &name, const EbbCell *cell, int64_t B, int64_t T, const CellInputs &with,
                 double low = -1, double high = 1) {
  OpCase c;
  c.name = name + " B " + std::to_string(B) + " T " + std::to_string(T), c.op = "cell";
  c.config = ebb_test::bytes_of(config_of(cell, with));
  c.inputs = {floats({B, T, cell->inputs}, low, high)};
  if (with.state) c.inputs.push_back(floats({B, cell->states}, low, high));
  if (with.elapsed) c.inputs.push_back(floats({B, T}, 0.2, 1.5));
  if (with.lengths) {
    OpInput lengths;
    lengths.shape = {B}, lengths.type = EBB_I32, lengths.grad = false;
    lengths.integers = {int32_t(T), 0, int32_t((T + 1) / 2), 1};
    if (B == 1) lengths.integers = {int32_t((T + 1) / 2)};
    c.inputs.push_back(lengths);
  }
  c.outputs = outputs_of(cell), c.differentiable = {0, 1};
  return c;
}

TEST(CellGradients, EveryFormula) {
  for (int code = 0; code < EBB_CELL_CODES; code++) {
    if (ebb_cell_code_operands(EbbCellCode(code)) < 0) continue;
    const CellPtr cell = formula_cell(EbbCellCode(code), 5);
    OpCase c =
        cell_case(ebb_cell_code_name(EbbCellCode(code)), cell.get(), 3, 2, {true, true, false}, 0.5, 1.5);
    c.step = 0.01; // gradients may be small beside results
    // x away from the limits of the clamp, and the products of WITHIN from theirs.
    if (code == EBB_CELL_CLAMP) c.inputs[0].floats = c.inputs[1].floats = {0.5F, 1, 1.5F, 0.9F, 1.1F};
    if (code == EBB_CELL_WITHIN) c.inputs[0].floats = {0.3F, 3, 0.2F, 4, 3.5F};
    for (const std::string &device : ebb_test::devices()) check_op(c, device);
  }
}

TEST(CellGradients, EverySectionAndMotion) {
  for (const EbbCellSpace output : {EBB_CELL_TEMP, EBB_CELL_SEQ, EBB_CELL_STATE})
    for (const int64_t B : {1, 2, 3, 5, 16, 17, 33}) {
      const CellPtr cell = sections_cell(9, 7, output);
      for (const std::string &device : ebb_test::devices())
        check_op(cell_case("sections", cell.get(), B, B > 5 ? 3 : 5, {B != 2, B != 3, B != 5}), device);
    }
}

TEST(CellGradients, OneStepOneUnit) {
  const CellPtr cell = sections_cell(1, 1);
  for (const int64_t B : {1, 4}) {
    OpCase c = cell_case("one", cell.get(), B, 1, {});
    c.step = 0.1; // of the size of the one element, which may be near 0
    for (const std::string &device : ebb_test::devices()) check_op(c, device);
  }
}

// More steps than a chunk holds, for tiles of one sample and of sixteen.
TEST(CellGradients, SeveralChunksOfSteps) {
  const CellPtr cell = sections_cell(4, 3);
  for (const std::string &device : ebb_test::devices())
    check_op(cell_case("chunks", cell.get(), 1, 131, {true, true, true}), device);
  for (const std::string &device : ebb_test::devices())
    check_op(cell_case("chunks", cell.get(), 35, 19, {true, true, true}), device);
}

// More repetitions than results of BODY are kept for.
TEST(CellGradients, ManyRepetitions) {
  const CellPtr cell = formula_cell(EBB_CELL_TANH, 5, 20000);
  OpCase c = cell_case("repetitions", cell.get(), 1, 2, {});
  c.frozen = {"p", "q", "two"};
  check_op(c);
}

TEST(CellGradients, WithoutInputGradients) {
  const CellPtr cell = sections_cell(4, 3);
  OpCase c = cell_case("no input gradients", cell.get(), 3, 4, {true, true, false});
  for (OpInput &input : c.inputs) input.grad = false;
  for (const std::string &device : ebb_test::devices()) check_op(c, device);
}

// ---- values ----

void expect_close(float value, float expected, const std::string &what) {
  EXPECT_NEAR(value, expected, 2e-5F * (1 + std::fabs(expected))) << what;
}

// Against the program taken literally.
void compare_on(const EbbCell *cell, int64_t B, int64_t T, const CellInputs &with,
                const std::string &device) {
  SCOPED_TRACE(std::string(cell->name) + ", B " + std::to_string(B));
  std::vector<Tensor> in = {random_tensor({B, T, cell->inputs}, 1)};
  if (with.state) in.push_back(random_tensor({B, cell->states}, 2));
  if (with.elapsed) in.push_back(random_tensor({B, T}, 3, 0, 2));
  std::vector<int32_t> lengths;
  for (int64_t b = 0; b < B; b++) lengths.push_back(int32_t((b * 5 + 3) % (T + 1)));
  if (with.lengths) in.push_back(ebb_test::integer_tensor({B}, lengths));
  OpRun run("cell", config_of(cell, with), in, outputs_of(cell), 2, B % 2 == 1, device);
  ASSERT_EQ(run.status, EBB_OK) << ebb_error();
  ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
  const Floats y = run.output(0), states = run.output(1);
  const size_t O = size_t(cell->output.width), S = size_t(cell->states), I = size_t(cell->inputs);
  for (size_t b = 0; b < size_t(B); b++) {
    CellReference reference(cell, params_of(run, cell));
    if (with.state) std::copy_n(&in[1].floats[b * S], S, reference.state.begin());
    for (size_t t = 0; t < size_t(T); t++) {
      const size_t row = b * size_t(T) + t;
      const bool ended = with.lengths && int32_t(t) >= lengths[b];
      Floats expected(O);
      if (!ended)
        expected =
            reference.step(&in[0].floats[row * I], with.elapsed ? in[with.state ? 2 : 1].floats[row] : 1);
      for (size_t o = 0; o < O; o++) expect_close(y[row * O + o], expected[o], "y");
      for (size_t s = 0; s < S; s++) expect_close(states[row * S + s], reference.state[s], "states");
    }
    if (cell->rate.width) expect_close(run.output(2)[b], reference.rate, "rates");
  }
}

void compare(const EbbCell *cell, int64_t B, int64_t T, const CellInputs &with) {
  for (const std::string &device : ebb_test::devices()) compare_on(cell, B, T, with, device);
}

TEST(CellValues, AgreeWithTheProgramTakenLiterally) {
  for (const EbbCellSpace output : {EBB_CELL_TEMP, EBB_CELL_SEQ, EBB_CELL_STATE})
    for (const int64_t B : {1, 2, 3, 5, 16, 17, 33})
      compare(sections_cell(9, 7, output).get(), B, 6, {B != 2, B != 3, B != 5});
  compare(sections_cell(4, 19).get(), 40, 20, {true, true, true});
  compare(sections_cell(4, 3).get(), 1, 140, {});
}

double relative_error(const Floats &value, const std::vector<double> &expected) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); i++)
    error += std::pow(double(value[i]) - expected[i], 2), norm += expected[i] * expected[i];
  return std::sqrt(error / norm);
}

// Gradients of parameters are sums over 96 000 sub-steps here; a float alone would lose them.
TEST(CellValues, GradientsOfLongSequencesAreAsAccurateAsShortOnes) {
  EbbLtc ltc = ebb_ltc_defaults(2, 3);
  EbbCell *made = nullptr;
  ASSERT_EQ(ebb_cell_ltc(&ltc, &made), EBB_OK);
  const CellPtr cell(made);
  const int64_t T = 16000;
  const Tensor x = random_tensor({1, T, 2}, 1);
  OpRun run("cell", config_of(made), {x}, outputs_of(made));
  ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
  run.backward(Floats(size_t(T * made->output.width), 1));
  const std::vector<double> in(x.floats.begin(), x.floats.end()), dy(size_t(T * made->output.width), 1);
  std::vector<double> y(dy.size()), states(size_t(T * made->states)), dx(in.size());
  std::vector<std::vector<double>> value(size_t(made->n_params)), grad(value);
  EbbCellReference reference = {};
  reference.B = 1, reference.T = T, reference.x = in.data(), reference.y = y.data(),
  reference.states = states.data();
  reference.dy = dy.data(), reference.dx = dx.data();
  for (size_t p = 0; p < value.size(); p++) {
    const Floats floats = run.param(made->param[p].name);
    value[p].assign(floats.begin(), floats.end()), grad[p].resize(floats.size());
    reference.value[p] = value[p].data(), reference.grad[p] = grad[p].data();
  }
  ASSERT_EQ(ebb_cell_reference(made, &reference), EBB_OK) << ebb_error();
  EXPECT_LT(relative_error(run.output(0), y), 1e-6);
  EXPECT_LT(relative_error(run.input_grad(0), dx), 2e-6);
  for (size_t p = 0; p < value.size(); p++)
    if (grad[p] != std::vector<double>(grad[p].size()))
      EXPECT_LT(relative_error(run.param_grad(made->param[p].name), grad[p]), 1e-6) << made->param[p].name;
}

void ended_sequences(const std::string &device) {
  const CellPtr cell = sections_cell(4, 3);
  const int64_t B = 5, T = 6;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor x = random_tensor({B, T, 4}, 1), elapsed = random_tensor({B, T}, 2, 0.1, 1);
  const std::vector<int32_t> lengths = {6, 0, 2, 3, 1};
  for (size_t b = 0; b < 5; b++)
    for (size_t t = size_t(lengths[b]); t < 6; t++) {
      elapsed.floats[b * 6 + t] = nan; // behind the end nothing is read
      for (size_t i = 0; i < 4; i++) x.floats[(b * 6 + t) * 4 + i] = nan;
    }
  OpRun run("cell", config_of(cell.get(), {false, true, true}),
            {x, elapsed, ebb_test::integer_tensor({B}, lengths)}, 3, 1, true, device);
  ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
  run.backward(Floats(size_t(B * T * cell->output.width), 1));
  const Floats y = run.output(0), states = run.output(1), dx = run.input_grad(0);
  const size_t S = size_t(cell->states), O = size_t(cell->output.width);
  for (float v : states) EXPECT_TRUE(std::isfinite(v));
  for (int p = 0; p < cell->n_params; p++)
    if (!cell->param[p].constant)
      for (float v : run.param_grad(cell->param[p].name))
        EXPECT_TRUE(std::isfinite(v)) << cell->param[p].name;
  for (size_t b = 0; b < 5; b++)
    for (size_t t = size_t(lengths[b]); t < 6; t++) {
      for (size_t o = 0; o < O; o++) EXPECT_EQ(y[(b * 6 + t) * O + o], 0);
      for (size_t i = 0; i < 4; i++) EXPECT_EQ(dx[(b * 6 + t) * 4 + i], 0);
      for (size_t s = 0; s < S; s++)
        EXPECT_EQ(states[(b * 6 + t) * S + s], t ? states[(b * 6 + t - 1) * S + s] : 0);
    }
}

TEST(CellValues, EndedSequencesKeepTheirStateAndTakeNoGradient) {
  for (const std::string &device : ebb_test::devices()) {
    SCOPED_TRACE(device);
    ended_sequences(device);
  }
}

void no_time_and_nan(const std::string &device) {
  EbbLtc ltc = ebb_ltc_defaults(3, 5);
  EbbCell *made = nullptr;
  ASSERT_EQ(ebb_cell_ltc(&ltc, &made), EBB_OK);
  const CellPtr cell(made);
  const int64_t B = 18, T = 3;
  Tensor x = random_tensor({B, T, 3}, 1), elapsed = random_tensor({B, T}, 2, 0, 0);
  OpRun still("cell", config_of(made, {false, true, false}), {x, elapsed}, outputs_of(made), 1, true, device);
  ASSERT_EQ(still.forward(), EBB_OK) << ebb_error();
  for (float v : still.output(1)) EXPECT_EQ(v, 0); // at rest, without time
  still.backward(Floats(size_t(B * T * made->output.width), 1));
  for (float v : still.input_grad(1)) EXPECT_TRUE(std::isfinite(v));
  const size_t row = 7;
  x.floats[(row * 3 + 1) * 3 + 2] = std::numeric_limits<float>::quiet_NaN();
  OpRun run("cell", config_of(made), {x}, outputs_of(made), 1, true, device);
  ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
  const Floats states = run.output(1);
  for (size_t b = 0; b < size_t(B); b++)
    for (size_t t = 0; t < 3; t++)
      for (size_t s = 0; s < 5; s++)
        EXPECT_EQ(std::isnan(states[(b * 3 + t) * 5 + s]), b == row && t >= 1) << b << ' ' << t;
}

TEST(CellValues, NoTimeIsFiniteAndNaNStaysNaN) {
  for (const std::string &device : ebb_test::devices()) {
    SCOPED_TRACE(device);
    no_time_and_nan(device);
  }
}

// Where synapses are few, a bad number reaches only what listens to it, in tiles of every size.
void not_finite(float bad, int64_t B, const std::string &device) {
  const CellPtr cell = sections_cell(9, 7);
  Tensor x = random_tensor({B, 3, 9}, 1);
  x.floats[9] = bad;
  OpRun run("cell", config_of(cell.get()), {x}, 3, 1, true, device);
  ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
  const size_t S = size_t(cell->states);
  const Floats states = run.output(1);
  CellReference reference(cell.get(), params_of(run, cell.get()));
  for (size_t t = 0; t < 3; t++) {
    reference.step(&x.floats[t * 9], 1);
    for (size_t s = 0; s < S; s++)
      EXPECT_EQ(std::isfinite(states[t * S + s]), std::isfinite(reference.state[s])) << t << ' ' << s;
  }
  for (size_t i = 3 * S; i < states.size(); i++) EXPECT_TRUE(std::isfinite(states[i]));
}

TEST(CellValues, WhatIsNotFiniteGoesWhereTheProgramSendsIt) {
  for (const std::string &device : ebb_test::devices())
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
      for (const int64_t B : {1, 3, 5, 17, 33}) {
        SCOPED_TRACE(device + ", B " + std::to_string(B));
        not_finite(bad, B, device);
      }
}

TEST(CellValues, SameBitsWithAnyNumberOfThreads) {
  const CellPtr cell = sections_cell(9, 7);
  const std::vector<Tensor> in = {random_tensor({37, 11, 9}, 1), random_tensor({37, cell->states}, 2)};
  Floats y, dx, dWh;
  for (int threads : {1, 2, 3}) {
    OpRun run("cell", config_of(cell.get(), {true, false, false}), in, 3, threads);
    ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
    run.backward(Floats(size_t(37 * 11 * cell->output.width), 0.5F));
    if (threads > 1) {
      EXPECT_EQ(y, run.output(0));
      EXPECT_EQ(dx, run.input_grad(0));
      EXPECT_EQ(dWh, run.param_grad("Wh"));
    }
    y = run.output(0), dx = run.input_grad(0), dWh = run.param_grad("Wh");
  }
}

TEST(CellValues, OrthogonalParametersStartOrthogonal) {
  ebb_test::CellWriter w("orthogonal", 3);
  const EbbCellRef wide = w.param("wide", {3, 7}, 0, 1), tall = w.param("tall", {7, 3}, 0, 1);
  w.cell->param[0].orthogonal = w.cell->param[1].orthogonal = true;
  const EbbCellRef z = w.linear(wide, 7, 3, true, ebb_cell_x(w.cell.get()));
  const EbbCellRef h = ebb_cell_state(w.cell.get(), 3), y = w.linear(tall, 3, 7, true, z);
  ebb_cell_begin(w.cell.get(), EBB_CELL_STEP, 1);
  ebb_cell_move(w.cell.get(), h, y);
  const CellPtr cell = w.finish(h);
  OpRun run("cell", config_of(cell.get()), {random_tensor({1, 1, 3}, 1)}, 2);
  ASSERT_EQ(run.status, EBB_OK) << ebb_error();
  const Floats a = run.param("wide"), b = run.param("tall");
  for (size_t i = 0; i < 3; i++)
    for (size_t j = 0; j < 3; j++) {
      double rows = 0, columns = 0;
      for (size_t k = 0; k < 7; k++)
        rows += double(a[i * 7 + k]) * a[j * 7 + k], columns += double(b[k * 3 + i]) * b[k * 3 + j];
      EXPECT_NEAR(rows, i == j, 1e-6);
      EXPECT_NEAR(columns, i == j, 1e-6);
    }
  EXPECT_NE(a[0], b[0]);
}

// ---- errors ----

void expect_sentence(const std::string &says) {
  EXPECT_NE(std::string(ebb_error()).find(says), std::string::npos)
      << "'" << ebb_error() << "' lacks '" << says << "'";
}

void expect_setup(EbbStatus code, const char *says, const EbbCellConfig &config,
                  const std::vector<Tensor> &in) {
  OpRun run("cell", config, in, outputs_of(config.cell));
  EXPECT_EQ(run.status, code);
  expect_sentence(says), expect_sentence("node");
}

TEST(CellErrors, Shapes) {
  const CellPtr cell = sections_cell(4, 3);
  const Tensor x = random_tensor({2, 5, 4}, 1), wrong = random_tensor({2, 4}, 2);
  const auto with = [&](const CellInputs &o) { return config_of(cell.get(), o); };
  expect_setup(EBB_SHAPE, "x has 3 features; cell 'sections' was made for 4", with({}),
               {random_tensor({2, 5, 3}, 1)});
  expect_setup(EBB_SHAPE, "state has shape (2, 4), expected (2, 9)", with({true, false, false}), {x, wrong});
  expect_setup(EBB_SHAPE, "elapsed has shape (2, 4), expected (2, 5)", with({false, true, false}),
               {x, wrong});
  expect_setup(EBB_SHAPE, "lengths has shape (3), expected (2)", with({false, false, true}),
               {x, ebb_test::integer_tensor({3}, {1, 1, 1})});
  expect_setup(EBB_SHAPE, "1 inputs; x, elapsed are needed", with({false, true, false}), {x});
  EbbCellConfig unstable = config_of(formula_cell(EBB_CELL_ADD, 4).get());
  const CellPtr silent = formula_cell(EBB_CELL_ADD, 4);
  unstable.cell = silent.get(), unstable.unstable_fails = true;
  expect_setup(EBB_INVALID, "does not know its rate", unstable, {x});
}

void expect_forward(EbbStatus code, const char *says, const EbbCellConfig &config,
                    const std::vector<Tensor> &in) {
  for (const std::string &device : ebb_test::devices()) {
    SCOPED_TRACE(device);
    OpRun run("cell", config, in, outputs_of(config.cell), 1, true, device);
    ASSERT_EQ(run.status, EBB_OK) << ebb_error();
    EXPECT_EQ(run.forward(), code);
    expect_sentence(says);
  }
}

TEST(CellErrors, Values) {
  const CellPtr cell = sections_cell(4, 3);
  const Tensor x = random_tensor({2, 3, 4}, 1);
  const float inf = std::numeric_limits<float>::infinity();
  for (const float bad : {-0.5F, inf, std::numeric_limits<float>::quiet_NaN()})
    expect_forward(EBB_INVALID, "row 1, step 2", config_of(cell.get(), {false, true, false}),
                   {x, {{2, 3}, {1, 1, 1, 1, 1, bad}}});
  for (const int32_t bad : {-1, 4})
    expect_forward(EBB_INVALID, "of row 1 is outside 0..3", config_of(cell.get(), {false, false, true}),
                   {x, ebb_test::integer_tensor({2}, {3, bad})});
}

TEST(CellErrors, UnstableSolver) {
  EbbLtcAaai ltc = ebb_ltc_aaai_defaults(32, 32);
  ltc.solver = EBB_LTC_EULER, ltc.step = 0.5;
  EbbCell *made = nullptr;
  ASSERT_EQ(ebb_cell_ltc_aaai(&ltc, &made), EBB_OK);
  const CellPtr cell(made);
  EbbCellConfig config = config_of(made);
  config.unstable_fails = true;
  expect_forward(EBB_NUMERIC, "row 0 meets rate x step", config, {random_tensor({3, 2, 32}, 1)});
}

} // namespace
