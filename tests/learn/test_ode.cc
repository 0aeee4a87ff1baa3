// The ODE solver: orders of all methods, step control, the adjoint against differences, and its errors.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "ebb/ode.h"

namespace {

using Doubles = std::vector<double>;

// dx_i/dt = theta_0 sin(t) x_j + theta_1 tanh(x_i) - 0.3 x_i x_j with j = i + 1 around the circle; each row
// for itself.
struct Wave {
  int64_t D;
  Doubles theta = {0.8, -0.5};
};

EbbStatus wave(void *context, int64_t, int64_t rows, double t, const double *x, double *dxdt) {
  const Wave &w = *static_cast<Wave *>(context);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < w.D; i++) {
      const double a = x[r * w.D + i], b = x[r * w.D + (i + 1) % w.D];
      dxdt[r * w.D + i] = w.theta[0] * std::sin(t) * b + w.theta[1] * std::tanh(a) - 0.3 * a * b;
    }
  return EBB_OK;
}

EbbStatus wave_vjp(void *context, int64_t, int64_t rows, double t, const double *x, const double *g,
                   double *dx, double *dtheta) {
  const Wave &w = *static_cast<Wave *>(context);
  for (int64_t i = 0; i < rows * w.D; i++) dx[i] = 0;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < w.D; i++) {
      const int64_t at = r * w.D + i, next = r * w.D + (i + 1) % w.D;
      const double a = x[at], b = x[next], slope = 1 - std::tanh(a) * std::tanh(a);
      dx[at] += g[at] * (w.theta[1] * slope - 0.3 * b);
      dx[next] += g[at] * (w.theta[0] * std::sin(t) - 0.3 * a);
      dtheta[0] += g[at] * std::sin(t) * b;
      dtheta[1] += g[at] * std::tanh(a);
    }
  return EBB_OK;
}

EbbOdeRhs rhs_of(Wave *w) { return {w, wave, wave_vjp}; }

Doubles start(int64_t B, int64_t D) {
  Doubles x(size_t(B * D));
  for (size_t i = 0; i < x.size(); i++) x[i] = std::sin(1.7 * double(i) + 0.4);
  return x;
}

Doubles solve(const EbbOdeConfig &config, Wave w, Doubles x, int64_t B, double t0 = 0.2, double t1 = 1.7,
              EbbOdeTape *tape = nullptr) {
  const EbbOdeRhs rhs = rhs_of(&w);
  EXPECT_EQ(ebb_ode_solve(&config, &rhs, B, w.D, t0, t1, x.data(), tape), EBB_OK) << ebb_error();
  return x;
}

double distance(const Doubles &a, const Doubles &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

EbbOdeConfig tight() {
  EbbOdeConfig config = ebb_ode_adaptive();
  config.atol = config.rtol = 1e-13, config.max_steps = 100000;
  return config;
}

TEST(Ode, HalvingTheStepDividesTheErrorByTwoToTheOrder) {
  const Doubles exact = solve(tight(), {3}, start(2, 3), 2);
  for (int i = 0; i < ebb_tableau_count(); i++) {
    EbbOdeConfig config = ebb_ode_fixed();
    config.tableau = ebb_tableau_at(i);
    SCOPED_TRACE(config.tableau->name);
    config.dt = 0.1;
    const double coarse = distance(solve(config, {3}, start(2, 3), 2), exact);
    config.dt = 0.05;
    const double fine = distance(solve(config, {3}, start(2, 3), 2), exact);
    EXPECT_NEAR(std::log2(coarse / fine), config.tableau->order, 0.25);
  }
}

TEST(Ode, TheNumberOfFixedStepsIsRounded) {
  Wave w = {1};
  const EbbOdeRhs rhs = rhs_of(&w);
  EbbOdeTape *tape = nullptr;
  ASSERT_EQ(ebb_ode_tape_create(&tape), EBB_OK);
  for (const auto &[dt, steps] : std::vector<std::pair<double, int64_t>>{{0.3, 3}, {0.4, 3}, {5, 1}}) {
    EbbOdeConfig config = ebb_ode_fixed();
    config.dt = dt;
    Doubles x = {0.5};
    int64_t count = 0;
    ASSERT_EQ(ebb_ode_solve(&config, &rhs, 1, 1, 0, 1, x.data(), tape), EBB_OK);
    const EbbOdeTrial *trial = ebb_ode_tape_trials(tape, &count);
    EXPECT_EQ(count, steps);
    EXPECT_DOUBLE_EQ(trial[0].dt, 1.0 / double(steps));
  }
  ebb_ode_tape_destroy(tape);
}

TEST(Ode, ReturnsToWhereItCameFrom) {
  for (EbbOdeConfig config : {ebb_ode_fixed(), tight()}) {
    const Doubles there = solve(config, {4}, start(1, 4), 1);
    EXPECT_LT(distance(solve(config, {4}, there, 1, 1.7, 0.2), start(1, 4)), 1e-8);
    EXPECT_GT(distance(there, start(1, 4)), 0.1);
    EXPECT_EQ(solve(config, {4}, there, 1, 0.2, 0.2), there);
  }
}

// A row that chooses its own steps does what it does alone; steps of the batch are something else.
TEST(Ode, StepsPerSampleAreThoseOfTheRowAlone) {
  EbbOdeConfig config = ebb_ode_adaptive();
  config.rtol = 1e-6, config.atol = 1e-9;
  const EbbOdeConfig coupled_steps = config;
  Doubles x = start(3, 2);
  x[2] = 4, x[3] = -3;
  const Doubles coupled = solve(config, {2}, x, 3);
  config.per_sample = true;
  const Doubles own = solve(config, {2}, x, 3);
  for (size_t b = 0; b < 3; b++) {
    const Doubles alone = solve(coupled_steps, {2}, {x[2 * b], x[2 * b + 1]}, 1);
    EXPECT_EQ(alone[0], own[2 * b]);
    EXPECT_EQ(alone[1], own[2 * b + 1]);
  }
  EXPECT_GT(distance(coupled, own), 0);
  EXPECT_LT(distance(coupled, own), 1e-4);
}

// loss = sum w x(t1), its derivative by central differences; adaptive steps are constants to the gradient, so
// they are compared where the tolerance makes their choice irrelevant.
void check_adjoint(const EbbOdeConfig &config, double tolerance) {
  const int64_t B = 3, D = 3;
  Wave w = {D};
  const EbbOdeRhs rhs = rhs_of(&w);
  EbbOdeTape *tape = nullptr;
  ASSERT_EQ(ebb_ode_tape_create(&tape), EBB_OK);
  solve(config, w, start(B, D), B, 0.2, 1.7, tape);
  Doubles cotangent = start(B, D), dtheta = {0, 0};
  for (double &v : cotangent) v = std::cos(3 * v);
  Doubles g = cotangent;
  ASSERT_EQ(ebb_ode_adjoint(tape, &rhs, g.data(), dtheta.data()), EBB_OK) << ebb_error();
  ebb_ode_tape_destroy(tape);
  auto loss = [&](const Wave &wave_, const Doubles &x) {
    const Doubles y = solve(config, wave_, x, B);
    double sum = 0;
    for (size_t i = 0; i < y.size(); i++) sum += cotangent[i] * y[i];
    return sum;
  };
  const double h = 1e-5;
  for (size_t i = 0; i < g.size(); i++) {
    Doubles more = start(B, D), less = more;
    more[i] += h, less[i] -= h;
    EXPECT_NEAR(g[i], (loss(w, more) - loss(w, less)) / (2 * h), tolerance) << "x0 " << i;
  }
  for (size_t i = 0; i < 2; i++) {
    Wave more = w, less = w;
    more.theta[i] += h, less.theta[i] -= h;
    EXPECT_NEAR(dtheta[i], (loss(more, start(B, D)) - loss(less, start(B, D))) / (2 * h), tolerance) << i;
  }
}

TEST(Ode, AdjointAgreesWithDifferences) {
  for (int i = 0; i < ebb_tableau_count(); i++)
    for (int64_t checkpoint : {1, 3, 7, 100}) {
      EbbOdeConfig config = ebb_ode_fixed();
      config.tableau = ebb_tableau_at(i), config.dt = 0.2, config.checkpoint = checkpoint;
      SCOPED_TRACE(std::string(config.tableau->name) + ", checkpoint " + std::to_string(checkpoint));
      check_adjoint(config, 1e-8);
    }
  for (bool per_sample : {false, true}) {
    EbbOdeConfig config = tight();
    config.checkpoint = 4, config.per_sample = per_sample;
    check_adjoint(config, 1e-6);
  }
}

// What is computed again between kept states are the same bits.
TEST(Ode, CheckpointsDoNotChangeTheGradient) {
  Doubles kept;
  for (int64_t checkpoint : {1, 2, 5, 64}) {
    EbbOdeConfig config = ebb_ode_adaptive();
    config.checkpoint = checkpoint, config.rtol = 1e-7;
    Wave w = {2};
    const EbbOdeRhs rhs = rhs_of(&w);
    EbbOdeTape *tape = nullptr;
    ASSERT_EQ(ebb_ode_tape_create(&tape), EBB_OK);
    solve(config, w, start(2, 2), 2, 0.2, 1.7, tape);
    Doubles g = {1, 2, 3, 4}, dtheta = {0, 0};
    ASSERT_EQ(ebb_ode_adjoint(tape, &rhs, g.data(), dtheta.data()), EBB_OK);
    ebb_ode_tape_destroy(tape);
    g.insert(g.end(), dtheta.begin(), dtheta.end());
    if (kept.empty()) kept = g;
    EXPECT_EQ(g, kept) << checkpoint;
  }
}

EbbStatus still(void *, int64_t, int64_t rows, double, const double *, double *dxdt) {
  for (int64_t i = 0; i < rows * 2; i++) dxdt[i] = 0;
  return EBB_OK;
}

TEST(Ode, AnErrorOfZeroGrowsTheStepFivefold) {
  const EbbOdeRhs rhs = {nullptr, still, nullptr};
  EbbOdeTape *tape = nullptr;
  ASSERT_EQ(ebb_ode_tape_create(&tape), EBB_OK);
  Doubles x = {0, 1};
  EbbOdeConfig config = ebb_ode_adaptive();
  config.atol = 0;
  ASSERT_EQ(ebb_ode_solve(&config, &rhs, 1, 2, 0, 10, x.data(), tape), EBB_OK) << ebb_error();
  int64_t count = 0;
  const EbbOdeTrial *trial = ebb_ode_tape_trials(tape, &count);
  ASSERT_EQ(count, 3);
  EXPECT_DOUBLE_EQ(trial[1].dt, 5);
  EXPECT_DOUBLE_EQ(trial[2].dt, 4);
  EXPECT_EQ(x, (Doubles{0, 1}));
  ebb_ode_tape_destroy(tape);
}

// x' = x^2 from 1 is infinite at t = 1.
EbbStatus blow_up(void *, int64_t, int64_t rows, double, const double *x, double *dxdt) {
  for (int64_t i = 0; i < rows * 2; i++) dxdt[i] = x[i] * x[i];
  return EBB_OK;
}

EbbStatus refuses(void *, int64_t, int64_t, double, const double *, double *) {
  return ebb_fail(EBB_UNSUPPORTED, "no slope here");
}

void expect_error(EbbStatus got, EbbStatus code, std::vector<std::string> words) {
  EXPECT_EQ(got, code);
  for (const std::string &word : words)
    EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << word << " in: " << ebb_error();
}

TEST(Ode, ErrorsNameWhatWentWrong) {
  const EbbOdeRhs rhs = {nullptr, blow_up, nullptr}, none = {nullptr, refuses, nullptr};
  Doubles x = {0, 0, 0, 1};
  EbbOdeConfig config = ebb_ode_adaptive();
  config.max_steps = 20;
  EbbOdeTape *tape = nullptr;
  ASSERT_EQ(ebb_ode_tape_create(&tape), EBB_OK);
  expect_error(ebb_ode_solve(&config, &rhs, 2, 2, 0, 2, x.data(), tape), EBB_NUMERIC,
               {"after 20 steps", "of 2"});
  Doubles g(4);
  expect_error(ebb_ode_adjoint(tape, &rhs, g.data(), nullptr), EBB_STATE, {"tape"});
  ebb_ode_tape_destroy(tape);
  EbbOdeConfig fixed = ebb_ode_fixed();
  x = {0, 0, 0, 1};
  expect_error(ebb_ode_solve(&fixed, &rhs, 2, 2, 0, 2, x.data(), nullptr), EBB_NUMERIC,
               {"element (1, 1)", "infinity", "t = 1.0"});
  x = {0, NAN, 0, 1};
  expect_error(ebb_ode_solve(&fixed, &rhs, 2, 2, 0, 2, x.data(), nullptr), EBB_NUMERIC, {"(0, 1)", "NaN"});
  x = {0, 0, 0, 1};
  expect_error(ebb_ode_solve(&fixed, &none, 2, 2, 0, 2, x.data(), nullptr), EBB_UNSUPPORTED, {"no slope"});
}

TEST(Ode, SettingsThatMakeNoSense) {
  const EbbOdeRhs rhs = {nullptr, still, nullptr};
  const std::vector<std::pair<std::function<void(EbbOdeConfig &)>, std::string>> wrong = {
      {[](EbbOdeConfig &c) { c.tableau = ebb_tableau_find("rk4"); }, "rk4"},
      {[](EbbOdeConfig &c) { c.atol = -1; }, "-1"},
      {[](EbbOdeConfig &c) { c.atol = c.rtol = 0; }, "tolerances"},
      {[](EbbOdeConfig &c) { c.first_step = NAN; }, "first step"},
      {[](EbbOdeConfig &c) { c.max_steps = 0; }, "0 steps"},
      {[](EbbOdeConfig &c) { c.checkpoint = 0; }, "checkpoint"},
      {[](EbbOdeConfig &c) { c.adaptive = false, c.dt = 0; }, "step size 0"},
      {[](EbbOdeConfig &c) { c.adaptive = false, c.dt = 1e-300; }, "too small"},
  };
  for (const auto &[change, word] : wrong) {
    EbbOdeConfig config = ebb_ode_adaptive();
    change(config);
    Doubles x = {0, 1};
    expect_error(ebb_ode_solve(&config, &rhs, 1, 2, 0, 1, x.data(), nullptr), EBB_INVALID, {word});
  }
}

} // namespace
