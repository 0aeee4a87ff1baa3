// The liquid scan: checks of op_check.h, values of every solver against the solver itself step by step in
// double, irregular times, lengths and states, guards, and a CUDA device against the CPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ebb/lnn.h"
#include "ebb/ode.h"
#include "ebb/ops/lnn_scan.h"
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

EbbLnnScanConfig solver(const std::string &name, int64_t steps = 1) {
  EbbLnnScanConfig config;
  if (ebb_lnn_solver(name.c_str(), steps, &config) != EBB_OK) throw std::runtime_error(ebb_error());
  return config;
}

// Every solver, and dopri5 with equal steps too.
std::vector<EbbLnnScanConfig> solvers() {
  std::vector<EbbLnnScanConfig> all = {solver("exact")};
  for (const char *name : {"euler", "midpoint", "heun", "rk4"})
    for (int64_t steps : {1, 3}) all.push_back(solver(name, steps));
  EbbLnnScanConfig fixed = solver("dopri5", 2), own = solver("dopri5");
  fixed.adaptive = false, own.per_sample = true;
  all.insert(all.end(), {solver("dopri5"), fixed, own});
  return all;
}

std::string name_of(const EbbLnnScanConfig &c) {
  return std::string(c.tableau ? c.tableau->name : "exact") + " x " + std::to_string(c.steps) +
         (c.adaptive ? " adaptive" : "") + (c.per_sample ? " each" : "");
}

// ---- checks of op_check.h

OpCase check_of(EbbLnnScanConfig config, std::vector<int64_t> shape, bool all_inputs) {
  const int64_t B = shape[0], T = shape[1], H = shape[2];
  config.elapsed = config.lengths = config.h0 = config.final = all_inputs;
  OpInput tau, a, elapsed, lengths, h0;
  tau.shape = a.shape = shape, tau.low = 0.6, tau.high = 3;
  elapsed.shape = {B, T}, elapsed.grad = false, elapsed.floats = {1, 0.3F, 0, 1.4F, 0.7F};
  lengths.shape = {B}, lengths.type = EBB_I32, lengths.grad = false;
  lengths.integers = {int32_t(T), int32_t(T / 2), 0};
  h0.shape = {B, H};
  OpCase test;
  test.name = name_of(config), test.op = "lnn_scan", test.config = bytes_of(config);
  test.inputs = {tau, a};
  if (all_inputs) test.inputs = {tau, a, elapsed, lengths, h0};
  if (all_inputs) test.outputs = 2, test.differentiable = {0, 1};
  // The choice of adaptive steps is a constant to the gradient, and jumps in differences: all steps are
  // accepted here, and those that are short enough do not hang on tau.
  if (config.adaptive) test.step = 1e-3;
  return test;
}

class LnnScan : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, LnnScan, testing::ValuesIn(ebb_test::devices()));

TEST_P(LnnScan, PassesTheOpChecks) {
  for (EbbLnnScanConfig config : solvers()) {
    if (config.adaptive) config.rtol = 1, config.atol = 1, config.first_step = 0.2;
    ebb_test::check_op(check_of(config, {3, 9, 5}, true), GetParam());
    ebb_test::check_op(check_of(config, {1, 1, 1}, false), GetParam());
  }
  ebb_test::check_op(check_of(solver("exact"), {3, 70, 33}, true), GetParam());
  ebb_test::check_op(check_of(solver("rk4", 2), {2, 150, 131}, true), GetParam());
}

// ---- values

// dh/dt = (a - h) / tau of all elements.
struct Leak {
  const float *tau, *a;
  size_t n;
};

EbbStatus leak(void *context, int64_t, int64_t, double, const double *h, double *dhdt) {
  const Leak &l = *static_cast<Leak *>(context);
  for (size_t i = 0; i < l.n; i++) dhdt[i] = (double(l.a[i]) - h[i]) / double(l.tau[i]);
  return EBB_OK;
}

// One row step by step through the general solver.
Doubles reference(const EbbLnnScanConfig &c, const Floats &tau, const Floats &a, int64_t T, int64_t H,
                  double dt) {
  Doubles h(size_t(H), 0), out;
  for (int64_t t = 0; t < T; t++) {
    Leak context = {&tau[size_t(t * H)], &a[size_t(t * H)], size_t(H)};
    const EbbOdeRhs rhs = {&context, leak, nullptr};
    EbbOdeConfig config = c.adaptive ? ebb_ode_adaptive() : ebb_ode_fixed();
    if (c.tableau) config.tableau = c.tableau;
    config.dt = dt / double(c.steps), config.atol = c.atol, config.rtol = c.rtol;
    config.first_step = c.first_step * dt, config.max_steps = c.attempts;
    if (!c.tableau)
      for (size_t i = 0; i < size_t(H); i++)
        h[i] = context.a[i] + (h[i] - context.a[i]) * std::exp(-dt / context.tau[i]);
    else if (ebb_ode_solve(&config, &rhs, 1, H, 0, dt, h.data(), nullptr) != EBB_OK)
      throw std::runtime_error(ebb_error());
    out.insert(out.end(), h.begin(), h.end());
  }
  return out;
}

TEST_P(LnnScan, StepsAsTheSolverDoes) {
  const int64_t T = 37, H = 19;
  const Tensor tau = random_tensor({1, T, H}, 1, 0.5, 3), a = random_tensor({1, T, H}, 2);
  for (EbbLnnScanConfig config : solvers())
    for (float dt : {1.0F, 0.25F}) {
      SCOPED_TRACE(name_of(config) + " dt " + std::to_string(dt));
      config.elapsed = true;
      OpRun run("lnn_scan", config, {tau, a, {{1, T}, Floats(size_t(T), dt)}}, 1, 1, true, GetParam());
      ASSERT_EQ(run.status, EBB_OK) << ebb_error();
      ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
      expect_near(run.output(), reference(config, tau.floats, a.floats, T, H, double(dt)), 2e-6, "h");
    }
}

// Tiny steps lose no digits: 1 - keep is not taken from keep.
TEST_P(LnnScan, ShortTimesKeepTheirDigits) {
  for (const char *name : {"exact", "rk4"}) {
    EbbLnnScanConfig c = solver(name);
    c.elapsed = true;
    OpRun run("lnn_scan", c, {{{1, 1, 1}, {2}}, {{1, 1, 1}, {1}}, {{1, 1}, {1e-6F}}}, 1, 1, true, GetParam());
    ASSERT_EQ(run.forward(), EBB_OK);
    EXPECT_NEAR(run.output()[0] / 5e-7, 1, 1e-6) << name;
  }
}

TEST_P(LnnScan, NoTimeIsTheIdentityAndLengthsFreezeTheState) {
  const int64_t B = 2, T = 5, H = 3;
  for (EbbLnnScanConfig config : solvers()) {
    SCOPED_TRACE(name_of(config));
    config.elapsed = config.lengths = config.h0 = config.final = true;
    const Tensor h0 = random_tensor({B, H}, 3);
    OpRun run("lnn_scan", config,
              {random_tensor({B, T, H}, 4, 0.5, 3),
               random_tensor({B, T, H}, 5),
               {{B, T}, {0, 0, 1, 1, 1, 1, 0.5F, 0, 1, 1}},
               integer_tensor({B}, {2, 3}),
               h0},
              2, 1, true, GetParam());
    ASSERT_EQ(run.status, EBB_OK) << ebb_error();
    ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
    const Floats h = run.output(), final = run.output(1);
    for (size_t i = 0; i < size_t(H); i++) {
      EXPECT_EQ(h[i], h0.floats[i]);
      EXPECT_EQ(final[i], h0.floats[i]) << "row 0 had no time";
      EXPECT_NEAR(h[size_t((T + 2) * H) + i], h[size_t((T + 1) * H) + i], 1e-6) << "dt = 0";
      // A parallel scan rounds a state that it hands on in another order.
      EXPECT_NEAR(final[size_t(H) + i], h[size_t((T + 2) * H) + i], 1e-6);
      for (size_t t = 2; t < 5; t++) EXPECT_EQ(h[t * size_t(H) + i], 0);
    }
  }
}

// A sequence in two parts, the state handed over, is the sequence.
TEST_P(LnnScan, GoesOnFromAState) {
  const int64_t T = 40, H = 7, cut = 17;
  const Tensor tau = random_tensor({1, T, H}, 6, 0.5, 3), a = random_tensor({1, T, H}, 7);
  auto part = [&](const Tensor &whole, int64_t from, int64_t steps) {
    return Tensor{{1, steps, H},
                  Floats(whole.floats.begin() + from * H, whole.floats.begin() + (from + steps) * H)};
  };
  for (EbbLnnScanConfig config : solvers()) {
    config.final = true;
    OpRun whole("lnn_scan", config, {tau, a}, 2, 1, true, GetParam());
    OpRun first("lnn_scan", config, {part(tau, 0, cut), part(a, 0, cut)}, 2, 1, true, GetParam());
    ASSERT_EQ(whole.forward(), EBB_OK);
    ASSERT_EQ(first.forward(), EBB_OK);
    config.h0 = true;
    OpRun second("lnn_scan", config,
                 {part(tau, cut, T - cut), part(a, cut, T - cut), {{1, H}, first.output(1)}}, 2, 1, true,
                 GetParam());
    ASSERT_EQ(second.forward(), EBB_OK);
    expect_near(second.output(1), whole.output(1), 2e-6, name_of(config).c_str());
  }
}

// The log holds what the general solver tried.
TEST_P(LnnScan, LogsWhatItTries) {
  EbbLnnScanConfig config = solver("dopri5");
  config.log = true, config.rtol = 1e-5, config.atol = 1e-7, config.first_step = 1;
  const Tensor tau = random_tensor({1, 1, 5}, 8, 0.1, 0.5), a = random_tensor({1, 1, 5}, 9);
  OpRun run("lnn_scan", config, {tau, a}, 2, 1, true, GetParam());
  ASSERT_EQ(run.forward(), EBB_OK);
  const Floats log = run.output(1);
  Leak context = {tau.floats.data(), a.floats.data(), 5};
  const EbbOdeRhs rhs = {&context, leak, nullptr};
  EbbOdeConfig ode = ebb_ode_adaptive();
  ode.rtol = 1e-5, ode.atol = 1e-7, ode.first_step = 1;
  EbbOdeTape *tape = nullptr;
  ASSERT_EQ(ebb_ode_tape_create(&tape), EBB_OK);
  Doubles h(5, 0);
  ASSERT_EQ(ebb_ode_solve(&ode, &rhs, 1, 5, 0, 1, h.data(), tape), EBB_OK);
  int64_t count = 0, rejected = 0;
  const EbbOdeTrial *trial = ebb_ode_tape_trials(tape, &count);
  ASSERT_LT(count, 100);
  for (int64_t i = 0; i < count; i++) {
    EXPECT_NEAR(log[size_t(3 * i)], trial[i].t, 1e-5);
    EXPECT_NEAR(log[size_t(3 * i + 1)], trial[i].dt, 1e-5);
    EXPECT_NEAR(log[size_t(3 * i + 2)], trial[i].error, 1e-4 * trial[i].error + 1e-6);
    rejected += !trial[i].accepted;
  }
  EXPECT_GT(rejected, 0);
  EXPECT_EQ(log[size_t(3 * count + 1)], 0);
  ebb_ode_tape_destroy(tape);
}

// ---- guards and errors

Tensor filled(std::vector<int64_t> shape, float value) {
  return {shape, Floats(size_t(ebb_test::size_of(shape)), value)};
}

TEST_P(LnnScan, GuardsAgainstSubStepsBeyondTheLimit) {
  Tensor tau = filled({2, 3, 2}, 1);
  tau.floats[8] = 0.2F; // row 1, step 1: dt / tau = 5
  const Tensor a = filled({2, 3, 2}, 1);
  EbbLnnScanConfig config = solver("rk4");
  config.guard = EBB_LNN_ERROR;
  OpRun strict("lnn_scan", config, {tau, a}, 1, 1, true, GetParam());
  EXPECT_EQ(strict.forward(), EBB_INVALID);
  for (const char *word : {"row 1", "step 1", "5", "2.785"})
    EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << word << " in: " << ebb_error();
  config.steps = 2;
  OpRun enough("lnn_scan", config, {tau, a}, 1, 1, true, GetParam());
  EXPECT_EQ(enough.forward(), EBB_OK);

  config.steps = 1, config.guard = EBB_LNN_WARN;
  OpRun warned("lnn_scan", config, {tau, a}, 2, 1, true, GetParam());
  ASSERT_EQ(warned.forward(), EBB_OK);
  EXPECT_NEAR(warned.output(1)[0], 5, 1e-5);

  config.guard = EBB_LNN_EXACT;
  OpRun mended("lnn_scan", config, {tau, a}, 1, 1, true, GetParam());
  ASSERT_EQ(mended.forward(), EBB_OK);
  const double before = 1 - (1 - 1 + 0.5 - 1.0 / 6 + 1.0 / 24); // rk4 from 0 with z = -1
  EXPECT_NEAR(mended.output()[6], before, 1e-6);
  EXPECT_NEAR(mended.output()[8], 1 + (before - 1) * std::exp(-5), 1e-6);
}

TEST_P(LnnScan, BadTimesAndLengthsAreNamed) {
  const Tensor tau = filled({2, 3, 2}, 1), a = filled({2, 3, 2}, 1);
  EbbLnnScanConfig config = solver("exact");
  config.elapsed = true;
  for (float bad : {-1.0F, NAN, INFINITY}) {
    Tensor dt = filled({2, 3}, 1);
    dt.floats[5] = bad;
    OpRun run("lnn_scan", config, {tau, a, dt}, 1, 1, true, GetParam());
    EXPECT_EQ(run.forward(), EBB_INVALID);
    EXPECT_NE(std::string(ebb_error()).find("row 1, step 2"), std::string::npos) << ebb_error();
  }
  config.elapsed = false, config.lengths = true;
  for (int32_t bad : {-1, 4}) {
    OpRun run("lnn_scan", config, {tau, a, integer_tensor({2}, {3, bad})}, 1, 1, true, GetParam());
    EXPECT_EQ(run.forward(), EBB_INVALID);
    EXPECT_NE(std::string(ebb_error()).find("row 1 has length"), std::string::npos) << ebb_error();
  }
}

TEST_P(LnnScan, ExhaustedAttemptsAreAnError) {
  EbbLnnScanConfig config = solver("dopri5");
  config.atol = config.rtol = 1e-10, config.attempts = 5;
  OpRun run("lnn_scan", config, {filled({1, 2, 3}, 0.5F), filled({1, 2, 3}, 1)}, 1, 1, true, GetParam());
  EXPECT_EQ(run.forward(), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("in 5 sub-steps"), std::string::npos) << ebb_error();
  Tensor a = filled({3, 2, 1}, 0);
  a.floats[3] = 1; // row 1, step 1: the only one that moves
  config.per_sample = true;
  OpRun own("lnn_scan", config, {filled({3, 2, 1}, 0.5F), a}, 1, 3, true, GetParam());
  EXPECT_EQ(own.forward(), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("step 1 of row 1"), std::string::npos) << ebb_error();
}

// A row that chooses its own steps is not touched by a stiff neighbour; in one group it is.
TEST_P(LnnScan, RowsMayChooseTheirOwnSteps) {
  Tensor tau = random_tensor({2, 4, 3}, 10, 0.5, 1);
  const Tensor a = random_tensor({2, 4, 3}, 11);
  const Tensor tau0 = {{1, 4, 3}, Floats(tau.floats.begin(), tau.floats.begin() + 12)};
  const Tensor a0 = {{1, 4, 3}, Floats(a.floats.begin(), a.floats.begin() + 12)};
  for (size_t i = 12; i < 24; i++) tau.floats[i] *= 0.05F;
  EbbLnnScanConfig config = solver("dopri5");
  OpRun alone("lnn_scan", config, {tau0, a0}, 1, 1, true, GetParam());
  OpRun coupled("lnn_scan", config, {tau, a}, 1, 1, true, GetParam());
  config.per_sample = true;
  OpRun own("lnn_scan", config, {tau, a}, 1, 1, true, GetParam());
  for (OpRun *run : {&alone, &coupled, &own}) ASSERT_EQ(run->forward(), EBB_OK) << ebb_error();
  auto first_row = [](OpRun &run) {
    const Floats h = run.output();
    return Floats(h.begin(), h.begin() + 12);
  };
  EXPECT_EQ(first_row(own), first_row(alone));
  EXPECT_NE(first_row(coupled), first_row(alone));
}

TEST(LnnScanErrors, AreFoundWhenTheyAreRecorded) {
  const Tensor x = filled({2, 3, 2}, 1);
  auto refused = [&](const EbbLnnScanConfig &config, std::vector<Tensor> inputs, EbbStatus code,
                     const std::string &word) {
    EXPECT_EQ(OpRun("lnn_scan", config, inputs, config.log ? 2 : 1).status, code);
    EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << word << " in: " << ebb_error();
  };
  EbbLnnScanConfig config = solver("euler");
  config.steps = 0;
  refused(config, {x, x}, EBB_INVALID, "0 sub-steps");
  config = solver("rk4"), config.adaptive = true;
  refused(config, {x, x}, EBB_INVALID, "rk4");
  config = solver("rk4"), config.log = true;
  refused(config, {x, x}, EBB_INVALID, "log");
  config = solver("dopri5"), config.rtol = -1;
  refused(config, {x, x}, EBB_INVALID, "tolerances");
  config = solver("dopri5"), config.first_step = 2;
  refused(config, {x, x}, EBB_INVALID, "first step");
  config = solver("dopri5"), config.attempts = 0;
  refused(config, {x, x}, EBB_INVALID, "0 attempts");
  config = solver("exact");
  refused(config, {x, filled({2, 3, 1}, 1)}, EBB_SHAPE, "(2, 3, 1)");
  config.elapsed = true;
  refused(config, {x, x, filled({3, 2}, 1)}, EBB_SHAPE, "elapsed");
  config.elapsed = false, config.h0 = true;
  refused(config, {x, x, filled({2, 3}, 1)}, EBB_SHAPE, "h0");
}

// ---- a CUDA device against the CPU

TEST(LnnScanCuda, GivesWhatTheCpuGives) {
  if (!ebb_test::has_cuda()) GTEST_SKIP() << "needs a GPU";
  for (const std::vector<int64_t> &shape : std::vector<std::vector<int64_t>>{
           {1, 1, 1}, {2, 4, 31}, {1, 5, 32}, {3, 63, 33}, {1, 64, 5}, {2, 201, 16}})
    for (EbbLnnScanConfig config : solvers()) {
      SCOPED_TRACE(name_of(config) + " T " + std::to_string(shape[1]));
      const int64_t B = shape[0], T = shape[1], H = shape[2];
      config.elapsed = config.lengths = config.h0 = true;
      std::vector<int32_t> lengths = std::vector<int32_t>(size_t(B), int32_t(T));
      lengths.back() = int32_t(T + 1) / 2;
      std::vector<std::vector<Floats>> results;
      for (const char *device : {"cpu", "cuda"}) {
        OpRun run("lnn_scan", config,
                  {random_tensor(shape, 12, 0.6, 3), random_tensor(shape, 13),
                   random_tensor({B, T}, 14, 0, 1.5), integer_tensor({B}, lengths),
                   random_tensor({B, H}, 15)},
                  1, 2, true, device);
        ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
        run.backward(random_tensor(shape, 16).floats);
        results.push_back({run.output(), run.input_grad(0), run.input_grad(1), run.input_grad(4)});
      }
      for (size_t i = 0; i < 4; i++) EXPECT_LT(relative_error(results[1][i], results[0][i]), 3e-6) << i;
    }
}

} // namespace
