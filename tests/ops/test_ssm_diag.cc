#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "ebb/ops/ssm_diag.h"
#include "support/op_check.h"
#include "support/ssm_bench.h"

using namespace ebb_test;

namespace {

const SsmVariant variants[] = {
    {"lin", [](EbbSsmConfig &) {}},
    {"inv", [](EbbSsmConfig &c) { c.measure = EBB_SSM_DIAG_INV; }},
    {"legs_spectrum", [](EbbSsmConfig &c) { c.measure = EBB_SSM_DIAG_LEGS; }},
    {"legs", [](EbbSsmConfig &c) { c.measure = EBB_SSM_LEGS; }},
    {"legt", [](EbbSsmConfig &c) { c.measure = EBB_SSM_LEGT; }},
    {"lagt", [](EbbSsmConfig &c) { c.measure = EBB_SSM_LAGT; }},
    {"fourier", [](EbbSsmConfig &c) { c.measure = EBB_SSM_FOURIER; }},
    {"hippo", [](EbbSsmConfig &c) { c.measure = EBB_SSM_HIPPO; }},
    {"half_inv_half_lin", [](EbbSsmConfig &c) { c.measure = EBB_SSM_DIAG; }},
    {"zoh", [](EbbSsmConfig &c) { c.disc = EBB_SSM_ZOH; }},
    {"zoh_small_steps", [](EbbSsmConfig &c) { c.disc = EBB_SSM_ZOH, c.dt_min = 1e-4, c.dt_max = 2e-4; }},
    {"dss", [](EbbSsmConfig &c) { c.disc = EBB_SSM_DSS; }},
    {"bidirectional", [](EbbSsmConfig &c) { c.channels = 2; }},
    {"one_copy", [](EbbSsmConfig &c) { c.n_ssm = 1; }},
    {"two_copies_bidirectional", [](EbbSsmConfig &c) { c.n_ssm = 2, c.channels = 2; }},
    {"length_1", [](EbbSsmConfig &c) { c.length = 1; }},
    {"length_17", [](EbbSsmConfig &c) { c.length = 17; }},
    {"length_300", [](EbbSsmConfig &c) { c.l_max = 0, c.length = 300; }},
    {"one_mode", [](EbbSsmConfig &c) { c.N = 2; }},
    {"odd_state", [](EbbSsmConfig &c) { c.N = 7; }},
    {"rate_2", [](EbbSsmConfig &c) { c.rate = 2; }},
    {"relu", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_RELU; }},
    {"none", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_NONE; }},
    {"softplus", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_SOFTPLUS; }},
    {"readout_ones", [](EbbSsmConfig &c) { c.readout = EBB_SSM_ONES; }},
    {"readout_learned_bidirectional", [](EbbSsmConfig &c) { c.readout = EBB_SSM_LEARNED, c.channels = 2; }},
};

// The definition, term by term, with exact powers.
Doubles reference(const ChannelValues &v, const std::vector<Complex> &C, const EbbSsmConfig &config) {
  double L = double(ebb_ssm_kernel_length(&config));
  Doubles k(size_t(L), 0.0);
  for (size_t m = 0; m < v.w.size(); m++) {
    Complex x = v.w[m] * v.dt, lambda = std::exp(x), f;
    if (config.disc == EBB_SSM_BILINEAR)
      lambda = (1.0 + x / 2.0) / (1.0 - x / 2.0), f = v.dt / (1.0 - x / 2.0);
    if (config.disc == EBB_SSM_ZOH) f = (lambda - 1.0) / v.w[m];
    if (config.disc == EBB_SSM_DSS) f = 0.5 * (lambda - 1.0) / (v.w[m] * (std::exp(x * L) - 1.0));
    for (size_t l = 0; l < k.size(); l++)
      k[l] += 2 * (v.B[m] * C[m] * f * std::pow(lambda, double(l))).real();
  }
  return k;
}

class Diag : public testing::TestWithParam<SsmVariant> {};

TEST_P(Diag, GradientsAndDeterminism) {
  OpCase test;
  EbbSsmConfig config = varied(true, GetParam());
  test.name = GetParam().name;
  test.op = "ssm_diag";
  test.config = bytes_of(config);
  test.outputs = config.readout == EBB_SSM_NO_READOUT ? 1 : 2;
  if (test.outputs == 2) test.differentiable = {0, 1};
  // Right at the axis the gradient of the real part is lost in the rounding of the difference.
  bool at_axis =
      config.measure == EBB_SSM_LEGT || config.measure == EBB_SSM_LAGT || config.measure == EBB_SSM_FOURIER;
  if (at_axis)
    test.adjust = [](EbbParams *params) {
      std::vector<float> x(16, -1.0f);
      ASSERT_EQ(ebb_params_write(params, "node.kernel.inv_w_real", x.data(), 16), EBB_OK);
    };
  test.step = 1e-3;
  test.tolerance = 2e-2;
  for (const std::string &device : devices()) check_op(test, device);
}

void check_kernel(const EbbSsmConfig &config, const std::string &device) {
  SCOPED_TRACE(device);
  SsmBench bench(true, config, 2, false, device);
  bench.forward();
  size_t Lk = size_t(ebb_ssm_kernel_length(&config)), H = size_t(config.H);
  for (int64_t c = 0; c < config.channels; c++)
    for (size_t h = 0; h < H; h++) {
      ChannelValues v = channel_values(bench, config, true, int64_t(h), c);
      auto at = bench.k.begin() + std::ptrdiff_t((size_t(c) * H + h) * Lk);
      EXPECT_LT(relative_error(Doubles(at, at + std::ptrdiff_t(Lk)), reference(v, v.C, config)), 1e-6);
      if (config.readout == EBB_SSM_NO_READOUT) continue;
      auto e = bench.ke.begin() + std::ptrdiff_t(h * Lk);
      std::vector<Complex> ones(v.w.size(), 1.0);
      EXPECT_LT(relative_error(Doubles(e, e + std::ptrdiff_t(Lk)), reference(v, ones, config)), 1e-6);
    }
}

TEST_P(Diag, KernelIsTheSumOfPowers) {
  for (const std::string &device : devices()) check_kernel(varied(true, GetParam()), device);
}

INSTANTIATE_TEST_SUITE_P(All, Diag, testing::ValuesIn(variants), name_of);

TEST(DiagAccuracy, Length16384State64) {
  EbbSsmConfig config = ssm_config(true);
  config.H = 2, config.N = 64, config.l_max = config.length = 16384, config.dt_min = 1e-4,
  config.dt_max = 1e-2;
  config.deterministic = true;
  for (const std::string &device : devices()) check_kernel(config, device);
}

std::map<std::string, Doubles> results_of(const EbbSsmConfig &config, const std::string &device) {
  SsmBench bench(true, config, 2, true, device);
  std::map<std::string, Doubles> results;
  bench.forward();
  results["k"] = bench.k;
  if (config.readout != EBB_SSM_NO_READOUT) results["ke"] = bench.ke;
  Doubles dk, dke;
  for (size_t i = 0; i < bench.k.size(); i++) dk.push_back(std::sin(double(i)));
  for (size_t i = 0; i < bench.ke.size(); i++) dke.push_back(std::cos(double(i)));
  bench.backward(dk, dke);
  for (const char *name : {"C", "B", "inv_w_real", "w_imag", "log_dt"})
    results[name] = bench.grad(std::string("kernel.") + name);
  if (config.readout == EBB_SSM_LEARNED) results["e"] = bench.grad("kernel.e");
  return results;
}

// More modes than a warp has lanes, more rows than a tile, more tiles than blocks, lengths around the width.
TEST(DiagGpu, EqualsCpu) {
  if (devices().back() != "cuda") GTEST_SKIP() << "no CUDA device";
  struct Shape {
    int64_t H, N, n_ssm, channels, L;
    EbbSsmReadout readout;
  };
  for (const Shape &s : {Shape{3, 134, 0, 2, 700, EBB_SSM_LEARNED}, Shape{9, 64, 3, 1, 1025, EBB_SSM_ONES},
                         Shape{2, 66, 1, 1, 63, EBB_SSM_NO_READOUT}, Shape{20, 7, 2, 2, 65, EBB_SSM_LEARNED},
                         Shape{1024, 2, 4, 1, 2049, EBB_SSM_NO_READOUT}}) {
    EbbSsmConfig config = ssm_config(true);
    config.H = s.H, config.N = s.N, config.n_ssm = s.n_ssm, config.channels = s.channels;
    config.length = config.l_max = s.L, config.readout = s.readout, config.dt_min = 1e-3;
    auto cpu = results_of(config, "cpu"), gpu = results_of(config, "cuda");
    for (auto &[name, expected] : cpu)
      // Both take sums over blocks of powers in float32, in blocks of their own.
      EXPECT_LT(relative_error(gpu[name], expected), 5e-6) << name << ", N " << s.N << ", L " << s.L;
  }
}

TEST(DiagInit, MixedMeasureNeedsAnEvenNumberOfCopies) {
  EbbSsmConfig config = ssm_config(true);
  config.measure = EBB_SSM_DIAG, config.n_ssm = 1;
  try {
    SsmBench bench(true, config);
    FAIL() << "accepted";
  } catch (const std::runtime_error &error) {
    EXPECT_NE(std::string(error.what()).find("n_ssm must be even, got 1"), std::string::npos) << error.what();
  }
}

class DiagGolden : public testing::TestWithParam<const char *> {};

TEST_P(DiagGolden, KernelAndGradients) {
  if (!ssm_golden_present()) GTEST_SKIP() << "no conformance cases beside the source tree";
  SsmGolden golden = ssm_golden(GetParam());
  for (const std::string &device : devices()) {
    SsmBench bench(true, golden.config, 2, true, device);
    ssm_load(bench, golden);
    bench.forward();
    EXPECT_LT(relative_error(bench.k, golden.tensor.at("expect.k")), golden.output_tolerance) << device;
    bench.backward(kernel_cotangent(golden));
    for (const char *name : {"C", "B", "inv_w_real", "w_imag", "log_dt"}) {
      std::string full = std::string("kernel.") + name;
      EXPECT_LT(relative_error(bench.grad(full), golden.tensor.at("expect.grad." + full)),
                golden.grad_tolerance)
          << full << " on " << device;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, DiagGolden,
                         testing::Values("s4_diag_inv", "s4_diag_legs", "s4_diag_legsfull", "s4_diag_lin",
                                         "s4_diag_lin_bi", "s4_diag_lin_nssm2", "s4_diag_lin_zoh"));

} // namespace
