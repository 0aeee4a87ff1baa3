// Reservoirs against their formulas, drawn weights, states that are saved.
#include <gtest/gtest.h>
#include <lapacke.h>
#include <omp.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ebb/reservoir.h"
#include "ebb/ridge.h"
#include "ebb/rng.h"
#include "ebb/safetensors.h"
#include "support/golden.h"

namespace {

using Doubles = std::vector<double>;

struct Free {
  void operator()(EbbReservoir *r) const { ebb_reservoir_destroy(r); }
  void operator()(EbbReservoirState *s) const { ebb_reservoir_state_destroy(s); }
};
using Reservoir = std::unique_ptr<EbbReservoir, Free>;
using State = std::unique_ptr<EbbReservoirState, Free>;

Doubles drawn(int64_t n, uint64_t stream, double scale = 1) {
  Doubles out;
  for (int64_t i = 0; i < n; i++)
    out.push_back(scale * (2 * ebb_unit_double(ebb_random(stream, 0, 0, uint64_t(i))) - 1));
  return out;
}

const EbbSpiking kSpiking = {/*dt=*/0.5,
                             /*tau_m=*/10,
                             /*tau_syn=*/4,
                             /*v_th=*/1,
                             /*v_reset=*/-0.25,
                             /*gain_in=*/0.7,
                             /*gain_syn=*/5,
                             /*refractory_steps=*/3};

Reservoir echo_of(double leak, int inputs, int units, const Doubles &W_in, const Doubles &W) {
  const EbbEcho echo = {leak};
  const EbbReservoirWeights weights = {W_in.data(), W.data()};
  EbbReservoir *made = nullptr;
  EXPECT_EQ(ebb_reservoir_echo(&echo, inputs, units, &weights, &made), EBB_OK) << ebb_error();
  return Reservoir(made);
}

Reservoir spiking_of(const EbbSpiking &spiking, int inputs, int units, const Doubles &W_in,
                     const Doubles &W) {
  const EbbReservoirWeights weights = {W_in.data(), W.data()};
  EbbReservoir *made = nullptr;
  EXPECT_EQ(ebb_reservoir_spiking(&spiking, inputs, units, &weights, &made), EBB_OK) << ebb_error();
  return Reservoir(made);
}

Reservoir echo_drawn(int inputs, int units, const EbbReservoirDraw &draw) {
  const EbbEcho echo = {0.3};
  EbbReservoir *made = nullptr;
  EXPECT_EQ(ebb_reservoir_echo_draw(&echo, inputs, units, &draw, &made), EBB_OK) << ebb_error();
  return Reservoir(made);
}

State state_of(const Reservoir &r, int batch) {
  EbbReservoirState *made = nullptr;
  EXPECT_EQ(ebb_reservoir_state_create(r.get(), batch, &made), EBB_OK) << ebb_error();
  return State(made);
}

Doubles run(const Reservoir &r, const State &state, int batch, int steps, const Doubles &u) {
  Doubles y(size_t(batch * steps * ebb_reservoir_units(r.get())));
  EXPECT_EQ(ebb_reservoir_run(r.get(), state.get(), steps, u.data(), y.data()), EBB_OK) << ebb_error();
  return y;
}

double radius_of(const Reservoir &r) {
  double radius = -1;
  EXPECT_EQ(ebb_reservoir_radius(r.get(), &radius), EBB_OK) << ebb_error();
  return radius;
}

double drive(const Doubles &W_in, const Doubles &W, int inputs, int units, int unit, const double *u,
             const Doubles &x) {
  double sum = 0;
  for (int i = 0; i < inputs; i++) sum += W_in[size_t(unit * inputs + i)] * u[i];
  for (int j = 0; j < units; j++) sum += W[size_t(unit * units + j)] * x[size_t(j)];
  return sum;
}

TEST(Echo, Formula) {
  for (const auto &[units, inputs, batch] :
       {std::tuple(1, 1, 1), std::tuple(7, 3, 2), std::tuple(33, 1, 5)}) {
    const int steps = 9;
    Doubles W_in = drawn(units * inputs, 1), W = drawn(units * units, 2),
            u = drawn(batch * steps * inputs, 3);
    W[0] = 0;
    Reservoir r = echo_of(0.4, inputs, units, W_in, W);
    Doubles y = run(r, state_of(r, batch), batch, steps, u);
    for (int b = 0; b < batch; b++) {
      Doubles h(size_t(units), 0.0);
      for (int t = 0; t < steps; t++) {
        Doubles next = h;
        for (int i = 0; i < units; i++)
          next[size_t(i)] =
              0.6 * h[size_t(i)] +
              0.4 * std::tanh(drive(W_in, W, inputs, units, i, &u[size_t((b * steps + t) * inputs)], h));
        h = next;
        for (int i = 0; i < units; i++)
          EXPECT_NEAR(y[size_t((b * steps + t) * units + i)], h[size_t(i)], 1e-14);
      }
    }
  }
}

// One unit without recurrent weights, worked out step by step.
TEST(Spiking, OneUnit) {
  const EbbSpiking s = {/*dt=*/1,
                        /*tau_m=*/2,
                        /*tau_syn=*/1,
                        /*v_th=*/1,
                        /*v_reset=*/0,
                        /*gain_in=*/2,
                        /*gain_syn=*/1,
                        /*refractory_steps=*/2};
  Reservoir r = spiking_of(s, 1, 1, {1}, {0});
  State state = state_of(r, 1);
  const double e = std::exp(-1.0), fade = std::exp(-0.5);
  const double current1 = 2, v1 = 1; // v reaches the threshold: a spike at once
  Doubles y = run(r, state, 1, 1, {1});
  EXPECT_DOUBLE_EQ(ebb_reservoir_field(state.get(), "current")[0], current1);
  EXPECT_GE(v1, s.v_th);
  EXPECT_EQ(ebb_reservoir_field(state.get(), "spike")[0], 1);
  EXPECT_EQ(ebb_reservoir_field(state.get(), "v")[0], 0);
  EXPECT_EQ(ebb_reservoir_field(state.get(), "refractory")[0], 2);
  EXPECT_EQ(y[0], 1);
  y = run(r, state, 1, 2, {1, 0}); // refractory for two steps: v stands still, the current goes on
  EXPECT_EQ(ebb_reservoir_field(state.get(), "v")[0], 0);
  EXPECT_DOUBLE_EQ(ebb_reservoir_field(state.get(), "current")[0], (2 * e + 2) * e);
  EXPECT_DOUBLE_EQ(y[1], fade * fade);
  EXPECT_EQ(ebb_reservoir_field(state.get(), "refractory")[0], 0);
  run(r, state, 1, 1, {0});
  EXPECT_DOUBLE_EQ(ebb_reservoir_field(state.get(), "v")[0], 0.5 * (2 * e + 2) * e * e);
  EXPECT_EQ(ebb_reservoir_field(state.get(), "spike")[0], 0);
  EXPECT_EQ(ebb_reservoir_field(state.get(), "h"), nullptr);
}

TEST(Spiking, Formula) {
  const int units = 19, inputs = 3, batch = 2, steps = 80;
  const EbbSpiking &s = kSpiking;
  Doubles W_in = drawn(units * inputs, 4, 3), W = drawn(units * units, 5, 2),
          u = drawn(batch * steps * inputs, 6);
  for (double &x : u) x = x > 0.6;
  Reservoir r = spiking_of(s, inputs, units, W_in, W);
  Doubles y = run(r, state_of(r, batch), batch, steps, u);
  int spikes = 0;
  for (int b = 0; b < batch; b++) {
    Doubles v(size_t(units), s.v_reset), current(size_t(units), 0.0), spike = current, trace = current,
                                                                      left = current;
    for (int t = 0; t < steps; t++) {
      const Doubles before = spike;
      for (size_t i = 0; i < size_t(units); i++) {
        current[i] =
            current[i] * std::exp(-s.dt / s.tau_syn) +
            s.gain_in * drive(W_in, W, inputs, units, int(i), &u[size_t((b * steps + t) * inputs)], before);
        spike[i] = 0;
        if (left[i] > 0) {
          left[i]--;
        } else {
          v[i] += s.dt / s.tau_m * (-(v[i] - s.v_reset) + s.gain_syn * current[i]);
          if (v[i] >= s.v_th) spike[i] = 1, v[i] = s.v_reset, left[i] = s.refractory_steps, spikes++;
        }
        trace[i] = trace[i] * std::exp(-s.dt / s.tau_m) + spike[i];
        EXPECT_NEAR(y[size_t((b * steps + t) * units) + i], trace[i], 1e-13);
      }
    }
  }
  EXPECT_GT(spikes, 50);
}

TEST(Reservoir, StepsEqualARunAndThreadsChangeNothing) {
  const int units = 21, inputs = 2, batch = 5, steps = 12;
  const EbbReservoirDraw draw = {0.3, 3, 4, 9};
  EbbReservoir *made = nullptr;
  ASSERT_EQ(ebb_reservoir_spiking_draw(&kSpiking, inputs, units, &draw, &made), EBB_OK) << ebb_error();
  Reservoir r(made);
  Doubles u = drawn(batch * steps * inputs, 8, 2);
  omp_set_num_threads(1);
  const Doubles whole = run(r, state_of(r, batch), batch, steps, u);
  omp_set_num_threads(3);
  EXPECT_EQ(run(r, state_of(r, batch), batch, steps, u), whole);
  State state = state_of(r, batch);
  for (int t = 0; t < steps; t++) {
    Doubles now(size_t(batch * inputs)), y(size_t(batch * units));
    for (int b = 0; b < batch; b++)
      for (int i = 0; i < inputs; i++) now[size_t(b * inputs + i)] = u[size_t((b * steps + t) * inputs + i)];
    ASSERT_EQ(ebb_reservoir_step(r.get(), state.get(), now.data(), y.data()), EBB_OK);
    for (int b = 0; b < batch; b++)
      for (int i = 0; i < units; i++)
        EXPECT_EQ(y[size_t(b * units + i)], whole[size_t((b * steps + t) * units + i)]);
  }
  ebb_reservoir_state_reset(state.get());
  EXPECT_EQ(run(r, state, batch, steps, u), whole);
}

TEST(Draw, DensityAndRadius) {
  for (int units : {2, 50, 256}) {
    Reservoir r = echo_drawn(3, units, {0.1, 0.9, 1, 7});
    EXPECT_EQ(ebb_reservoir_synapses(r.get()), int64_t(units) * std::max(1, int(std::rint(0.1 * units))));
    EXPECT_NEAR(radius_of(r), 0.9, 1e-9) << units;
  }
  EXPECT_NEAR(radius_of(echo_drawn(1, 1, {1, 0.5, 1, 7})), 0.5, 1e-12);
  EXPECT_EQ(radius_of(echo_drawn(1, 30, {0.5, 0, 1, 7})), 0);
}

// The stored form of a reservoir.
struct Stored {
  std::vector<int64_t> start, column;
  Doubles value, W_in;
};

Stored stored(const Reservoir &r) {
  const std::string path = testing::TempDir() + "stored.safetensors";
  EXPECT_EQ(ebb_reservoir_save(r.get(), nullptr, path.c_str()), EBB_OK) << ebb_error();
  EbbSafetensors *file = nullptr;
  EXPECT_EQ(ebb_safetensors_open(path.c_str(), &file), EBB_OK);
  Stored out;
  out.start.resize(size_t(ebb_reservoir_units(r.get())) + 1);
  out.column.resize(size_t(ebb_reservoir_synapses(r.get())));
  out.value.resize(out.column.size());
  out.W_in.resize(size_t(ebb_reservoir_units(r.get()) * ebb_reservoir_inputs(r.get())));
  const auto find = [&](const char *name) { return ebb_safetensors_find(file, name); };
  EXPECT_EQ(ebb_stored_integers(find("W.start"), out.start.data(), int64_t(out.start.size())), EBB_OK);
  EXPECT_EQ(ebb_stored_integers(find("W.column"), out.column.data(), int64_t(out.column.size())), EBB_OK);
  EXPECT_EQ(ebb_stored_doubles(find("W.value"), out.value.data(), int64_t(out.value.size())), EBB_OK);
  EXPECT_EQ(ebb_stored_doubles(find("W_in"), out.W_in.data(), int64_t(out.W_in.size())), EBB_OK);
  ebb_safetensors_close(file);
  return out;
}

TEST(Draw, EveryUnitListensToDistinctUnits) {
  const int units = 40;
  const Stored s = stored(echo_drawn(2, units, {0.25, 0.9, 0.5, 3}));
  std::vector<int> heard(units, 0);
  for (int row = 0; row < units; row++) {
    ASSERT_EQ(s.start[size_t(row) + 1] - s.start[size_t(row)], 10);
    for (int64_t i = s.start[size_t(row)]; i < s.start[size_t(row) + 1]; i++) {
      if (i > s.start[size_t(row)]) EXPECT_GT(s.column[size_t(i)], s.column[size_t(i) - 1]);
      heard[size_t(s.column[size_t(i)])]++;
    }
  }
  for (int n : heard) EXPECT_GT(n, 0) << "10 of 40 units each: none is left out but with probability 1e-5";
  EXPECT_LT(*std::min_element(s.W_in.begin(), s.W_in.end()), -0.3);
  EXPECT_GE(*std::min_element(s.W_in.begin(), s.W_in.end()), -0.5);
  EXPECT_EQ(stored(echo_drawn(2, units, {0.25, 0.9, 0.5, 3})).value, s.value);
  EXPECT_NE(stored(echo_drawn(2, units, {0.25, 0.9, 0.5, 4})).value, s.value);
}

TEST(Radius, KnownMatrices) {
  EXPECT_NEAR(radius_of(echo_of(1, 1, 2, {1, 1}, {0, -2, 2, 0})), 2, 1e-14)
      << "a pair of imaginary eigenvalues";
  EXPECT_NEAR(radius_of(echo_of(1, 1, 2, {1, 1}, {-3, 5, 0, 1})), 3, 1e-14);
  EXPECT_EQ(radius_of(echo_of(1, 1, 2, {1, 1}, {0, 0, 0, 0})), 0);
}

// 700 units in pairs that turn: eigenvalues of modulus up to 1.5, hidden by a change of basis.
TEST(Radius, ArnoldiFindsAComplexPair) {
  const int n = 700;
  Doubles W(size_t(n * n), 0.0), W_in(size_t(n), 1.0);
  for (int i = 0; i < n; i += 2) {
    const double modulus = i ? 0.9 * i / n : 1.5, angle = 0.3 + i;
    const double c = modulus * std::cos(angle), s = modulus * std::sin(angle);
    W[size_t(i * n + i)] = W[size_t((i + 1) * n + i + 1)] = c;
    W[size_t(i * n + i + 1)] = -s, W[size_t((i + 1) * n + i)] = s;
    if (i) W[size_t((i - 1) * n + i)] = 0.2; // triangular between the blocks: eigenvalues stay
  }
  EXPECT_NEAR(radius_of(echo_of(1, 1, n, W_in, W)), 1.5, 1e-6);
}

TEST(Radius, ArnoldiAgreesWithLapack) {
  const int n = 600;
  Reservoir r = echo_drawn(1, n, {0.02, 0.9, 1, 5});
  const Stored s = stored(r);
  Doubles full(size_t(n * n), 0.0), re(full.size() / size_t(n)), im(re.size());
  for (int row = 0; row < n; row++)
    for (int64_t i = s.start[size_t(row)]; i < s.start[size_t(row) + 1]; i++)
      full[size_t(row) * n + size_t(s.column[size_t(i)])] = s.value[size_t(i)];
  double none[1];
  ASSERT_EQ(
      LAPACKE_dgeev(LAPACK_ROW_MAJOR, 'N', 'N', n, full.data(), n, re.data(), im.data(), none, 1, none, 1),
      0);
  double radius = 0;
  for (size_t i = 0; i < size_t(n); i++) radius = std::max(radius, std::hypot(re[i], im[i]));
  EXPECT_NEAR(radius, 0.9, 0.9e-3);
}

// A cyclic shift has eigenvalues on the unit circle only, which converge last.
TEST(Radius, CyclicShift) {
  const int n = 600;
  Doubles W(size_t(n * n), 0.0), W_in(size_t(n), 1.0);
  for (int i = 0; i < n; i++) W[size_t(i * n + (i + 1) % n)] = 1;
  EXPECT_NEAR(radius_of(echo_of(1, 1, n, W_in, W)), 1, 1e-3);
}

TEST(Reservoir, GoldenRadius) {
  const auto path = ebb_test::golden_folder("cells") / "reservoir_esn.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no conformance cases beside the source tree";
  EbbSafetensors *file = nullptr;
  ASSERT_EQ(ebb_safetensors_open(path.c_str(), &file), EBB_OK);
  const EbbStoredTensor *tensor = ebb_safetensors_find(file, "W");
  const int n = int(tensor->shape.dim[0]);
  Doubles W(size_t(n * n)), W_in(size_t(n), 1.0);
  ASSERT_EQ(ebb_stored_doubles(tensor, W.data(), n * n), EBB_OK);
  ebb_safetensors_close(file);
  EXPECT_NEAR(radius_of(echo_of(1, 1, n, W_in, W)), 0.9, 1e-12);
}

// The echo state property: what the state was at first is forgotten.
TEST(Echo, ForgetsItsFirstState) {
  Reservoir r = echo_drawn(1, 60, {0.1, 0.9, 1, 2});
  State a = state_of(r, 1), b = state_of(r, 1);
  for (int i = 0; i < 60; i++) ebb_reservoir_field(b.get(), "h")[i] = i % 2 ? 1 : -1;
  Doubles u = drawn(400, 11), ya = run(r, a, 1, 400, u), yb = run(r, b, 1, 400, u);
  EXPECT_GT(std::fabs(ya[0] - yb[0]), 0.1);
  for (int i = 0; i < 60; i++) EXPECT_NEAR(ya[size_t(399 * 60 + i)], yb[size_t(399 * 60 + i)], 1e-6);
}

// A readout recalls an input of three steps ago from the state.
TEST(Echo, ReadoutRecallsThePast) {
  const EbbEcho echo = {1};
  const EbbReservoirDraw draw = {0.1, 0.8, 0.3, 1};
  EbbReservoir *made = nullptr;
  ASSERT_EQ(ebb_reservoir_echo_draw(&echo, 1, 80, &draw, &made), EBB_OK);
  Reservoir r(made);
  const int warm = 100, train = 900, test = 300, all = warm + train + test;
  Doubles u = drawn(all, 12, 0.8), h = run(r, state_of(r, 1), 1, all, u), target;
  for (int t = 0; t < all; t++) target.push_back(t < 3 ? 0 : u[size_t(t - 3)]);
  EbbRidge *ridge = nullptr;
  ASSERT_EQ(ebb_ridge_create(80, 1, true, &ridge), EBB_OK);
  ASSERT_EQ(ebb_ridge_add(ridge, train, &h[size_t(warm * 80)], &target[size_t(warm)]), EBB_OK);
  Doubles W(81), predicted(size_t(test), 0.0);
  ASSERT_EQ(ebb_ridge_solve(ridge, 1e-8, W.data()), EBB_OK) << ebb_error();
  ebb_ridge_apply(ridge, W.data(), test, &h[size_t((warm + train) * 80)], predicted.data());
  ebb_ridge_destroy(ridge);
  double error = 0, power = 0;
  for (int t = 0; t < test; t++) {
    const double wanted = target[size_t(warm + train + t)];
    error += (predicted[size_t(t)] - wanted) * (predicted[size_t(t)] - wanted);
    power += wanted * wanted;
  }
  EXPECT_LT(std::sqrt(error / power), 0.05);
}

TEST(Reservoir, SaysWhatIsWrong) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EbbReservoir *made = nullptr;
  const auto echo_error = [&](double leak, EbbReservoirDraw draw, int inputs = 1, int units = 4) {
    const EbbEcho echo = {leak};
    EXPECT_NE(ebb_reservoir_echo_draw(&echo, inputs, units, &draw, &made), EBB_OK);
    EXPECT_EQ(made, nullptr);
    return std::string(ebb_error());
  };
  EXPECT_EQ(echo_error(0, {0.5, 1, 1, 0}), "leak of a reservoir is 0; it is above 0, up to 1");
  EXPECT_EQ(echo_error(1.5, {0.5, 1, 1, 0}), "leak of a reservoir is 1.5; it is above 0, up to 1");
  EXPECT_NE(echo_error(nan, {0.5, 1, 1, 0}).find("leak of a reservoir is"), std::string::npos);
  EXPECT_EQ(echo_error(1, {0, 1, 1, 0}), "density of a reservoir is 0; it is above 0, up to 1");
  EXPECT_EQ(echo_error(1, {0.5, -1, 1, 0}), "spectral_radius of a reservoir is -1; it is 0 or more");
  EXPECT_EQ(echo_error(1, {0.5, 1, nan, 0}).rfind("input_scale of a reservoir is", 0), 0U);
  EXPECT_NE(echo_error(1, {0.5, 1, 1, 0}, 0).find("4 units and 0 inputs"), std::string::npos);

  const auto spiking_error = [&](auto change) {
    EbbSpiking s = kSpiking;
    change(s);
    const EbbReservoirDraw draw = {0.5, 1, 1, 0};
    EXPECT_EQ(ebb_reservoir_spiking_draw(&s, 1, 4, &draw, &made), EBB_INVALID);
    return std::string(ebb_error());
  };
  EXPECT_EQ(spiking_error([](EbbSpiking &s) {
              s.tau_syn = 0;
            }).rfind("tau_syn of a reservoir is 0; it is above 0", 0),
            0U);
  EXPECT_NE(spiking_error([](EbbSpiking &s) { s.v_reset = 1; }).find("v_th 1 is not above v_reset 1"),
            std::string::npos);
  EXPECT_NE(spiking_error([](EbbSpiking &s) { s.dt = 20; }).find("dt 20 is not below 2 tau_m = 20"),
            std::string::npos);
  EXPECT_NE(spiking_error([](EbbSpiking &s) { s.refractory_steps = -1; }).find("refractory_steps"),
            std::string::npos);

  const EbbEcho echo = {1};
  const double bad[] = {1, nan}, good[] = {1, 1, 1, 1};
  const EbbReservoirWeights weights = {bad, good};
  EXPECT_EQ(ebb_reservoir_echo(&echo, 1, 2, &weights, &made), EBB_NUMERIC);
  EXPECT_NE(std::string(ebb_error()).find("W_in[1] is"), std::string::npos);
}

TEST(Reservoir, InputsThatAreNoNumbersLeaveTheStateAlone) {
  Reservoir r = echo_drawn(2, 5, {0.5, 0.9, 1, 1});
  State state = state_of(r, 1);
  run(r, state, 1, 1, {0.3, 0.4});
  const Doubles before(ebb_reservoir_field(state.get(), "h"), ebb_reservoir_field(state.get(), "h") + 5);
  const double u[] = {1, 2, 3, std::numeric_limits<double>::infinity()};
  EXPECT_EQ(ebb_reservoir_run(r.get(), state.get(), 2, u, nullptr), EBB_NUMERIC);
  EXPECT_NE(std::string(ebb_error()).find("input u[3] is inf"), std::string::npos);
  EXPECT_EQ(Doubles(ebb_reservoir_field(state.get(), "h"), ebb_reservoir_field(state.get(), "h") + 5),
            before);
  Reservoir other = echo_drawn(2, 5, {0.5, 0.9, 1, 1});
  EXPECT_EQ(ebb_reservoir_step(other.get(), state.get(), u, nullptr), EBB_INVALID);
  EbbReservoirState *none = nullptr;
  EXPECT_EQ(ebb_reservoir_state_create(r.get(), 0, &none), EBB_INVALID);
}

TEST(Reservoir, RestoredItGoesOnBitForBit) {
  const std::string path = testing::TempDir() + "reservoir.safetensors";
  const EbbReservoirDraw draw = {0.2, 3, 4, 5};
  EbbReservoir *made = nullptr;
  ASSERT_EQ(ebb_reservoir_spiking_draw(&kSpiking, 2, 30, &draw, &made), EBB_OK);
  Reservoir r(made);
  State state = state_of(r, 3);
  run(r, state, 3, 25, drawn(3 * 25 * 2, 20, 2));
  ASSERT_EQ(ebb_reservoir_save(r.get(), state.get(), path.c_str()), EBB_OK) << ebb_error();
  EbbReservoir *again = nullptr;
  EbbReservoirState *later = nullptr;
  ASSERT_EQ(ebb_reservoir_restore(path.c_str(), &again, &later), EBB_OK) << ebb_error();
  Reservoir restored(again);
  State restored_state(later);
  const Doubles u = drawn(3 * 25 * 2, 21, 2);
  EXPECT_EQ(run(restored, restored_state, 3, 25, u), run(r, state, 3, 25, u));
  ASSERT_EQ(ebb_reservoir_save(r.get(), nullptr, path.c_str()), EBB_OK);
  ASSERT_EQ(ebb_reservoir_restore(path.c_str(), &again, &later), EBB_OK) << ebb_error();
  EXPECT_EQ(later, nullptr);
  ebb_reservoir_destroy(again);
}

TEST(Reservoir, FilesThatAreWrong) {
  const std::string path = testing::TempDir() + "wrong.safetensors";
  Doubles W_in(3, 1.0), value(2, 1.0), leak(1, 0.5);
  std::vector<int64_t> start{0, 1, 1, 2}, column{0, 2};
  const auto error = [&] {
    const int64_t units[] = {3, 1}, rows[] = {4}, entries[] = {2};
    const EbbShape matrix = ebb_shape_from(2, units), starts = ebb_shape_from(1, rows),
                   list = ebb_shape_from(1, entries), scalar = ebb_shape_from(0, units);
    EbbSafetensorsWriter *w = nullptr;
    EXPECT_EQ(ebb_safetensors_writer_create(&w), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_metadata(w, "format", "ebb-reservoir-1"), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_metadata(w, "kind", "echo"), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(w, "setting.leak", EBB_ST_F64, &scalar, leak.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(w, "W_in", EBB_ST_F64, &matrix, W_in.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(w, "W.start", EBB_ST_I64, &starts, start.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(w, "W.column", EBB_ST_I64, &list, column.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_add(w, "W.value", EBB_ST_F64, &list, value.data()), EBB_OK);
    EXPECT_EQ(ebb_safetensors_writer_commit(w, path.c_str()), EBB_OK);
    ebb_safetensors_writer_destroy(w);
    EbbReservoir *made = nullptr;
    const EbbStatus status = ebb_reservoir_restore(path.c_str(), &made, nullptr);
    EXPECT_EQ(status == EBB_OK, made != nullptr);
    ebb_reservoir_destroy(made);
    return status == EBB_OK ? std::string() : std::string(ebb_error());
  };
  EXPECT_EQ(error(), "");
  column[1] = 3;
  EXPECT_NE(error().find("'W.column'[1] is 3 of 3 units"), std::string::npos);
  column[1] = 2, start[1] = 2;
  EXPECT_NE(error().find("'W.start' falls at row 1"), std::string::npos);
  start[1] = 1, start[3] = 3;
  EXPECT_NE(error().find("does not lead from 0 to 2"), std::string::npos);
  start[3] = 2, leak[0] = 7;
  EXPECT_NE(error().find("leak of a reservoir is 7"), std::string::npos);
  leak[0] = 1, W_in[2] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(error().find("W_in[2] is"), std::string::npos);
  EbbReservoir *made = nullptr;
  EXPECT_EQ(ebb_reservoir_restore("/nowhere/r.safetensors", &made, nullptr), EBB_NOT_FOUND);
}

} // namespace
