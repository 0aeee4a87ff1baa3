// The time-varying scan: published cases, and double-precision loops of the recurrence.
#include "ebb/ops/s4_scan.h"

#include <gtest/gtest.h>

#include <complex>
#include <filesystem>
#include <map>

#include "support/golden.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

using namespace ebb_test;

namespace {

using Complex = std::complex<double>;

const char *const kParams[] = {"kernel.C", "kernel.B", "kernel.log_dt", "kernel.inv_w_real", "kernel.w_imag"};

EbbSsmConfig ssm_of(int64_t H, int64_t N, int64_t n_ssm, int64_t L) {
  EbbSsmConfig config = {};
  config.H = H, config.N = N, config.n_ssm = n_ssm, config.channels = 1, config.length = L;
  config.rate = 1, config.measure = EBB_SSM_DIAG_LIN, config.dt_min = 0.01, config.dt_max = 0.3;
  config.lr_dt = config.lr_A = config.lr_B = NAN;
  return config;
}

TEST(S4Scan, PublishedLayers) {
  int cases = 0;
  for (const std::string &file : golden_files("s4", "s4_scan_")) {
    SCOPED_TRACE(std::filesystem::path(file).filename().string());
    Golden golden(file);
    const auto shape = golden.shape("input.u");
    EbbS4ScanConfig config = {};
    config.ssm =
        ssm_of(shape[1], int64_t(golden.number("d_state", 0)), int64_t(golden.number("n_ssm", 0)), shape[2]);
    for (const std::string &device : devices()) {
      SCOPED_TRACE(device);
      NodeRun run("s4_scan", config, {{shape, golden.floats("input.u")}}, 2, device);
      for (const char *name : kParams) run.set(name, golden.floats(std::string("param.") + name));
      EXPECT_LT(relative_error(run.forward(), golden.floats("expect.y")), golden.tolerance("output"));
      run.backward(golden.floats("cotangent.y"));
      EXPECT_LT(relative_error(run.input_grad(0), golden.floats("expect.grad.u")), golden.tolerance("grad"));
      for (const char *name : kParams)
        EXPECT_LT(relative_error(run.param_grad(name), golden.floats(std::string("expect.grad.") + name)),
                  golden.tolerance("grad"))
            << name;
    }
    cases++;
  }
  if (!cases) GTEST_SKIP() << "no cases under " << golden_folder("s4");
}

struct Case {
  int64_t B, H, L, N, n_ssm;
  EbbSsmDisc disc;
  double bound;
  bool lengths;
};

struct Reference {
  Case c;
  std::vector<int32_t> lengths;
  // In the order of kParams, then u and D.
  std::vector<double> values[7];

  double at(size_t which, int64_t i) const { return values[which][size_t(i)]; }

  void discretise(int64_t h, int64_t m, Complex &a, Complex &b) const {
    const int64_t M = c.N / 2, i = h % (c.n_ssm ? c.n_ssm : c.H) * M + m;
    const double dt = std::exp(at(2, h));
    const Complex w(-std::exp(at(3, i)), at(4, i)), B(at(1, 2 * i), at(1, 2 * i + 1));
    if (c.disc == EBB_SSM_BILINEAR) {
      a = (1.0 + dt / 2 * w) / (1.0 - dt / 2 * w), b = dt * B / (1.0 - dt / 2 * w);
      return;
    }
    a = std::exp(dt * w), b = B * (std::exp(dt * w) - 1.0) / w;
  }
  std::vector<double> forward() const {
    std::vector<double> y(size_t(c.B * c.H * c.L));
    for (int64_t b = 0; b < c.B; b++)
      for (int64_t h = 0; h < c.H; h++)
        for (int64_t m = 0; m < c.N / 2; m++) mode(b, h, m, y);
    return y;
  }
  void mode(int64_t b, int64_t h, int64_t m, std::vector<double> &y) const {
    Complex abar, bbar, x = 0;
    discretise(h, m, abar, bbar);
    const int64_t i = h * (c.N / 2) + m;
    const Complex C(at(0, 2 * i), at(0, 2 * i + 1));
    for (int64_t t = 0; t < c.L; t++) {
      const size_t e = size_t((b * c.H + h) * c.L + t);
      const double u = lengths.empty() || t < lengths[size_t(b)] ? values[5][e] : 0.0;
      Complex g = abar + bbar * u;
      if (c.bound > 0 && std::abs(g) > c.bound) g *= c.bound / std::abs(g);
      x = g * x + bbar * u;
      y[e] += 2 * (C * x).real() + (m == 0 ? at(6, h) * u : 0.0);
    }
  }
};

std::vector<NodeInput> inputs_of(const Case &c) {
  std::vector<NodeInput> inputs = {{{c.B, c.H, c.L}, numbers(size_t(c.B * c.H * c.L), 1)}};
  if (c.lengths) {
    std::vector<int32_t> lengths;
    for (int64_t b = 0; b < c.B; b++) lengths.push_back(int32_t(c.L - b * c.L / c.B));
    inputs.push_back({{c.B}, {}, lengths});
  }
  return inputs;
}

EbbS4ScanConfig config_of(const Case &c) {
  EbbS4ScanConfig config = {};
  config.ssm = ssm_of(c.H, c.N, c.n_ssm, c.L);
  config.ssm.disc = c.disc;
  config.contraction = c.bound;
  config.epilogue.skip = true;
  return config;
}

double dot(const std::vector<float> &a, const std::vector<float> &b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); i++) sum += double(a[i]) * double(b[i]);
  return sum;
}

void check_gradients(NodeRun &run, const Reference &reference, const std::vector<float> &w) {
  std::vector<std::vector<float>> grads;
  for (const char *name : kParams) grads.push_back(run.param_grad(name));
  grads.push_back(run.input_grad(0));
  grads.push_back(run.param_grad("D"));
  for (size_t which = 0; which < grads.size(); which++) {
    const auto direction = numbers(grads[which].size(), 10 + which);
    auto loss = [&](double step) {
      Reference moved = reference;
      for (size_t i = 0; i < direction.size(); i++) moved.values[which][i] += step * double(direction[i]);
      const auto y = moved.forward();
      double sum = 0;
      for (size_t i = 0; i < y.size(); i++) sum += y[i] * double(w[i]);
      return sum;
    };
    const double h = 1e-5, numeric = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
    EXPECT_NEAR(numeric, dot(grads[which], direction),
                1e-4 * std::sqrt(dot(grads[which], grads[which])) + 1e-5)
        << "gradient " << which;
  }
}

void check(const Case &c, const std::string &device) {
  const auto inputs = inputs_of(c);
  NodeRun run("s4_scan", config_of(c), inputs, 2, device);
  Reference reference = {c, {}, {}};
  if (c.lengths) reference.lengths = inputs[1].integers;
  const auto D = numbers(size_t(c.H), 4);
  run.set("D", D);
  run.set("kernel.B", numbers(run.get("kernel.B").size(), 5, 2.0F));
  for (size_t i = 0; i < 5; i++) {
    const auto value = run.get(kParams[i]);
    reference.values[i].assign(value.begin(), value.end());
  }
  reference.values[5].assign(inputs[0].floats.begin(), inputs[0].floats.end());
  reference.values[6].assign(D.begin(), D.end());
  EXPECT_LT(relative_error(run.forward(), reference.forward()), 1e-5);
  const auto w = numbers(inputs[0].floats.size(), 6);
  run.backward(w);
  check_gradients(run, reference, w);
}

TEST(S4Scan, FollowsTheRecurrence) {
  for (const Case &c : {Case{1, 1, 1, 2, 0, EBB_SSM_BILINEAR, 0, false},
                        {2, 3, 17, 7, 3, EBB_SSM_BILINEAR, 0, true},
                        {5, 4, 70, 8, 1, EBB_SSM_ZOH, 0, false},
                        {3, 7, 33, 16, 0, EBB_SSM_ZOH, 0, true},
                        {2, 2, 150, 64, 2, EBB_SSM_BILINEAR, 0.97, false},
                        {2, 2, 40, 150, 1, EBB_SSM_BILINEAR, 0, false},
                        {20, 2, 64, 6, 0, EBB_SSM_BILINEAR, 0.9, true},
                        {1, 2, 300, 256, 0, EBB_SSM_ZOH, 0.95, false},
                        {2, 9, 32, 8, 9, EBB_SSM_BILINEAR, 0, false},
                        {1, 3, 31, 34, 0, EBB_SSM_ZOH, 0.9, true},
                        {1, 2, 65, 520, 1, EBB_SSM_BILINEAR, 0, true},
                        {2, 1, 5, 1100, 0, EBB_SSM_BILINEAR, 0.9, false}}) {
    SCOPED_TRACE("B " + std::to_string(c.B) + " H " + std::to_string(c.H) + " L " + std::to_string(c.L) +
                 " N " + std::to_string(c.N) + " bound " + std::to_string(c.bound));
    for (const std::string &device : devices()) {
      SCOPED_TRACE(device);
      check(c, device);
    }
  }
}

TEST(S4Scan, TheBoundKeepsStatesFinite) {
  const Case free = {1, 1, 4000, 4, 0, EBB_SSM_BILINEAR, 0, false};
  for (double bound : {0.0, 1.0}) {
    Case c = free;
    c.bound = bound;
    auto inputs = inputs_of(c);
    for (float &u : inputs[0].floats) u = 3.0F;
    for (const std::string &device : devices()) {
      NodeRun run("s4_scan", config_of(c), inputs, 2, device);
      run.set("kernel.B", {1, 0, 1, 0});
      run.set("kernel.log_dt", {-1});
      bool finite = true;
      for (float y : run.forward()) finite = finite && std::isfinite(y);
      EXPECT_EQ(finite, bound > 0) << "bound " << bound << " on " << device;
    }
  }
}

TEST(S4Scan, RefusesWhatCannotBe) {
  auto failure = [](EbbS4ScanConfig config) -> std::string {
    try {
      NodeRun run("s4_scan", config, {{{1, 2, 8}, numbers(16, 1)}});
    } catch (const std::runtime_error &error) {
      return error.what();
    }
    return "no failure";
  };
  const EbbS4ScanConfig good = config_of({1, 2, 8, 4, 0, EBB_SSM_BILINEAR, 0, false});
  EXPECT_EQ(failure(good), "no failure");
  EbbS4ScanConfig bad = good;
  bad.contraction = -1;
  EXPECT_NE(failure(bad).find("contraction is -1"), std::string::npos) << failure(bad);
  bad = good;
  bad.ssm.disc = EBB_SSM_DSS;
  EXPECT_NE(failure(bad).find("bilinear or zoh"), std::string::npos) << failure(bad);
  bad = good;
  bad.ssm.channels = 2;
  EXPECT_NE(failure(bad).find("bidirectional"), std::string::npos) << failure(bad);
  bad = good;
  bad.ssm.H = 3;
  EXPECT_NE(failure(bad).find("u has 2 channels, the configuration 3"), std::string::npos) << failure(bad);
}

// Output and gradients of one node on a device, by name.
std::map<std::string, std::vector<float>> results_of(const Case &c, const EbbS4ScanConfig &config,
                                                     const std::string &device) {
  const auto inputs = inputs_of(c);
  NodeRun run("s4_scan", config, inputs, 2, device);
  run.set("kernel.B", numbers(run.get("kernel.B").size(), 5, 2.0F));
  std::map<std::string, std::vector<float>> results;
  results["y"] = run.forward();
  run.backward(numbers(inputs[0].floats.size(), 6));
  results["du"] = run.input_grad(0);
  for (const char *name : kParams) results[name] = run.param_grad(name);
  results["D"] = run.param_grad("D");
  return results;
}

// Every way to lay modes out, rows that do not fill a warp, lengths around the tile, and in the last case
// more gradients than one split of the batch a row has room for.
TEST(S4Scan, GpuEqualsCpu) {
  if (devices().back() != "cuda") GTEST_SKIP() << "no CUDA device";
  for (const Case &c : {Case{4, 1027, 37, 7, 0, EBB_SSM_BILINEAR, 0, true},
                        {2, 1024, 32, 7, 256, EBB_SSM_BILINEAR, 0.97, false},
                        {2, 1025, 33, 14, 1, EBB_SSM_ZOH, 0.97, false},
                        {3, 345, 31, 32, 5, EBB_SSM_BILINEAR, 0, true},
                        {3, 19, 97, 7, 0, EBB_SSM_BILINEAR, 0, true},
                        {2, 3, 129, 64, 3, EBB_SSM_ZOH, 0, false},
                        {2, 3, 63, 66, 0, EBB_SSM_BILINEAR, 0.97, true},
                        {2, 2, 95, 300, 1, EBB_SSM_ZOH, 0.97, true},
                        {5, 520, 1, 1024, 0, EBB_SSM_BILINEAR, 0, false}}) {
    SCOPED_TRACE("H " + std::to_string(c.H) + " L " + std::to_string(c.L) + " N " + std::to_string(c.N));
    EbbS4ScanConfig config = config_of(c);
    config.epilogue = {true, EBB_S4_GELU, 0.3, c.lengths};
    auto cpu = results_of(c, config, "cpu"), gpu = results_of(c, config, "cuda");
    for (auto &[name, expected] : cpu) EXPECT_LT(relative_error(gpu[name], expected), 2e-6) << name;
  }
}

// Numbers that bfloat16 holds exactly.
Tensor half_tensor(const Case &c, uint64_t stream) {
  Tensor t = random_tensor({c.B, c.H, c.L}, stream);
  t.floats = Stored(EBB_BF16, t.floats).floats(), t.activation = true;
  return t;
}

std::map<std::string, std::vector<float>> stored_results(const Case &c, const EbbS4ScanConfig &config,
                                                         const std::string &device, EbbDtype storage) {
  OpRun run("s4_scan", config, {half_tensor(c, 1)}, 1, 2, true, device, storage);
  std::map<std::string, std::vector<float>> results;
  require(run.status);
  require(run.forward());
  run.backward(half_tensor(c, 2).floats);
  results["y"] = run.output(), results["du"] = run.input_grad();
  for (const char *name : kParams) results[name] = run.param_grad(name);
  results["D"] = run.param_grad("D");
  return results;
}

// Without an activation only y and du are rounded, to 8 bits; with GELU also what its derivative is taken of.
TEST(S4Scan, Bfloat16IsRoundedFloat32) {
  if (devices().back() != "cuda") GTEST_SKIP() << "no CUDA device";
  for (const Case &c :
       {Case{9, 460, 45, 7, 0, EBB_SSM_BILINEAR, 0, false}, {2, 2, 64, 64, 0, EBB_SSM_ZOH, 0.97, false}})
    for (EbbS4Activation activation : {EBB_S4_IDENTITY, EBB_S4_GELU}) {
      EbbS4ScanConfig config = config_of(c);
      config.epilogue = {true, activation, 0.3, false};
      auto exact = stored_results(c, config, "cpu", EBB_F32);
      auto half = stored_results(c, config, "cuda", EBB_BF16);
      for (auto &[name, expected] : exact) {
        const bool rounded = name == "y" || name == "du" || activation == EBB_S4_GELU;
        EXPECT_LT(relative_error(half[name], expected), rounded ? std::ldexp(1, -8) : 2e-6)
            << name << " with activation " << activation;
      }
    }
}

TEST(S4Scan, PassesTheOpChecks) {
  for (double bound : {0.0, 0.98}) {
    EbbS4ScanConfig config = config_of({3, 6, 40, 10, 3, EBB_SSM_BILINEAR, bound, false});
    config.epilogue = {true, EBB_S4_GELU, 0.2, bound > 0};
    OpCase test;
    test.name = "s4_scan bound " + std::to_string(bound);
    test.op = "s4_scan";
    test.config = bytes_of(config);
    test.inputs.resize(1);
    test.inputs[0].shape = {3, 6, 40};
    test.step = 1e-3;
    for (const std::string &device : devices()) check_op(test, device);
  }
}

} // namespace
