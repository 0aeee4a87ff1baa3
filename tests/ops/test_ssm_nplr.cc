#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "ebb/ops/ssm_nplr.h"
#include "support/op_check.h"
#include "support/ssm_bench.h"

using namespace ebb_test;

namespace {

const SsmVariant variants[] = {
    {"plain", [](EbbSsmConfig &) {}},
    {"bidirectional", [](EbbSsmConfig &c) { c.channels = 2; }},
    {"one_copy", [](EbbSsmConfig &c) { c.n_ssm = 1; }},
    {"two_copies_bidirectional", [](EbbSsmConfig &c) { c.n_ssm = 2, c.channels = 2; }},
    {"odd_length", [](EbbSsmConfig &c) { c.l_max = c.length = 21; }},
    {"shorter_than_l_max", [](EbbSsmConfig &c) { c.length = 13; }},
    {"longer_than_l_max", [](EbbSsmConfig &c) { c.length = 50; }},
    {"no_l_max", [](EbbSsmConfig &c) { c.l_max = 0, c.length = 23; }},
    {"length_1", [](EbbSsmConfig &c) { c.l_max = c.length = 1; }},
    {"length_2", [](EbbSsmConfig &c) { c.l_max = c.length = 2; }},
    {"one_mode", [](EbbSsmConfig &c) { c.N = 2; }},
    {"odd_state", [](EbbSsmConfig &c) { c.N = 7; }},
    {"many_nodes", [](EbbSsmConfig &c) { c.l_max = c.length = 1030, c.H = 2; }},
    {"rate_2", [](EbbSsmConfig &c) { c.rate = 2; }},
    {"relu", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_RELU; }},
    {"none", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_NONE; }},
    {"sigmoid", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_SIGMOID; }},
    {"softplus", [](EbbSsmConfig &c) { c.real_type = EBB_SSM_SOFTPLUS; }},
    {"lagt", [](EbbSsmConfig &c) { c.measure = EBB_SSM_LAGT; }},
    {"hippo", [](EbbSsmConfig &c) { c.measure = EBB_SSM_HIPPO; }},
    {"fourier", [](EbbSsmConfig &c) { c.measure = EBB_SSM_FOURIER; }},
    {"fourier_bidirectional_many_nodes",
     [](EbbSsmConfig &c) {
       c.measure = EBB_SSM_FOURIER, c.channels = 2, c.N = 16, c.l_max = c.length = 515, c.n_ssm = 1, c.H = 2;
     }},
    {"fourier_relu", [](EbbSsmConfig &c) { c.measure = EBB_SSM_FOURIER, c.real_type = EBB_SSM_RELU; }},
    {"legt", [](EbbSsmConfig &c) { c.measure = EBB_SSM_LEGT, c.rank = 2; }},
    {"legt_bidirectional_odd",
     [](EbbSsmConfig &c) {
       c.measure = EBB_SSM_LEGT, c.rank = 2, c.channels = 2, c.n_ssm = 2, c.l_max = c.length = 35;
     }},
    {"legt_readout_one_copy",
     [](EbbSsmConfig &c) {
       c.measure = EBB_SSM_LEGT, c.rank = 2, c.readout = EBB_SSM_LEARNED, c.n_ssm = 1;
       c.l_max = c.length = 130, c.H = 9;
     }},
    {"legs_rank_2", [](EbbSsmConfig &c) { c.rank = 2; }},
    {"fourier_rank_2_readout",
     [](EbbSsmConfig &c) { c.measure = EBB_SSM_FOURIER, c.rank = 2, c.readout = EBB_SSM_ONES; }},
    {"diag_lin", [](EbbSsmConfig &c) { c.measure = EBB_SSM_DIAG_LIN; }},
    {"readout_ones", [](EbbSsmConfig &c) { c.readout = EBB_SSM_ONES; }},
    {"readout_learned", [](EbbSsmConfig &c) { c.readout = EBB_SSM_LEARNED; }},
    {"readout_learned_one_copy_long",
     [](EbbSsmConfig &c) { c.readout = EBB_SSM_LEARNED, c.n_ssm = 1, c.l_max = c.length = 130, c.H = 9; }},
};

class Nplr : public testing::TestWithParam<SsmVariant> {};

// C~ (I - Abar^n)^-1 by the geometric series, which converges because Abar^n contracts.
std::vector<Complex> untransform(const DenseSystem &system, const std::vector<Complex> &C, int64_t n) {
  std::vector<Complex> term = closed(C), sum = term;
  for (int round = 0; round < 4000; round++) {
    double size = 0;
    for (int64_t l = 0; l < n; l++) term = system.apply_left(term);
    for (size_t i = 0; i < sum.size(); i++) sum[i] += term[i], size += std::abs(term[i]);
    if (size < 1e-13) break;
  }
  return sum;
}

TEST_P(Nplr, GradientsAndDeterminism) {
  OpCase test;
  EbbSsmConfig config = varied(false, GetParam());
  test.name = GetParam().name;
  test.op = "ssm_nplr";
  test.config = bytes_of(config);
  test.outputs = config.readout == EBB_SSM_NO_READOUT ? 1 : 2;
  if (test.outputs == 2) test.differentiable = {0, 1};
  bool near_axis = config.measure == EBB_SSM_FOURIER || config.measure == EBB_SSM_LEGT;
  // sigmoid starts at x = 0, so its difference step has no scale of its own; that of fourier and legt must be
  // small beside Re w.
  if (config.real_type == EBB_SSM_SIGMOID || near_axis)
    test.adjust = [config](EbbParams *params) {
      double re = config.real_type == EBB_SSM_SIGMOID ? -0.6 : -0.1;
      size_t count = size_t(ebb_ssm_copies(&config) * ebb_ssm_modes(&config));
      std::vector<float> x(count, float(ebb_ssm_real_inverse(config.real_type, re)));
      ASSERT_EQ(ebb_params_write(params, "node.kernel.inv_w_real", x.data(), int64_t(count)), EBB_OK);
    };
  if (config.length == 1) test.frozen = {"kernel.log_dt"}; // does not depend on it at z = 0
  test.step = 1e-3;
  test.tolerance = 2e-2;
  for (const std::string &device : devices()) check_op(test, device);
}

void check_kernel(const EbbSsmConfig &config, const std::string &device) {
  SCOPED_TRACE(device);
  SsmBench bench(false, config, 2, true, device);
  bench.forward();
  double n = bench.get("kernel.L")[0];
  size_t Lk = size_t(ebb_ssm_kernel_length(&config)), H = size_t(config.H);
  for (int64_t c = 0; c < config.channels; c++)
    for (int64_t h = 0; h < config.H; h++) {
      ChannelValues v = channel_values(bench, config, false, h, c);
      DenseSystem system = dense_bilinear(v.w, v.B, v.P, v.dt);
      std::vector<Complex> C = untransform(system, v.C, std::llround(n / config.rate));
      auto at = bench.k.begin() + std::ptrdiff_t((size_t(c) * H + size_t(h)) * Lk);
      EXPECT_LT(relative_error(Doubles(at, at + std::ptrdiff_t(Lk)), system.kernel(C, Lk)), 5e-6)
          << "kernel " << c << " channel " << h;
      if (config.readout == EBB_SSM_NO_READOUT) continue;
      auto e = bench.ke.begin() + std::ptrdiff_t(size_t(h) * Lk);
      std::vector<Complex> ones(v.w.size() * 2, 1.0);
      EXPECT_LT(relative_error(Doubles(e, e + std::ptrdiff_t(Lk)), system.kernel(ones, Lk)), 1e-6);
    }
}

TEST_P(Nplr, KernelIsThatOfTheDenseRecurrence) {
  for (const std::string &device : devices()) check_kernel(varied(false, GetParam()), device);
}

INSTANTIATE_TEST_SUITE_P(All, Nplr, testing::ValuesIn(variants), name_of);

TEST(NplrTransform, IsCTimesIMinusThePower) {
  EbbSsmConfig config = ssm_config(false);
  config.l_max = 0, config.length = 24;
  SsmBench bench(false, config);
  ChannelValues before = channel_values(bench, config, false, 1);
  bench.forward();
  ChannelValues after = channel_values(bench, config, false, 1);
  EXPECT_EQ(bench.get("kernel.L")[0], 24);
  DenseSystem system = dense_bilinear(before.w, before.B, before.P, before.dt);
  std::vector<Complex> power = closed(before.C);
  for (int l = 0; l < 24; l++) power = system.apply_left(power);
  for (size_t m = 0; m < after.C.size(); m++)
    EXPECT_LT(std::abs(after.C[m] - (before.C[m] - power[m])), 1e-6);
}

// Graphs of other lengths over the same parameters: 24 -> 48 -> 96.
TEST(NplrTransform, DoublesWhenASequenceIsLonger) {
  EbbSsmConfig config = ssm_config(false);
  config.l_max = 0, config.length = 24;
  SsmBench first(false, config);
  first.forward();
  EbbSsmConfig longer = config;
  longer.length = 90;
  SsmBench second(false, longer);
  for (const char *name : {"kernel.C", "kernel.B", "kernel.P", "kernel.inv_w_real", "kernel.w_imag",
                           "kernel.log_dt", "kernel.L"})
    second.set(name, first.get(name));
  second.forward();
  EXPECT_EQ(second.get("kernel.L")[0], 96);
  ChannelValues v = channel_values(second, longer, false, 2);
  DenseSystem system = dense_bilinear(v.w, v.B, v.P, v.dt);
  Doubles want = system.kernel(untransform(system, channel_values(first, config, false, 2).C, 24), 90);
  auto at = second.k.begin() + 2 * 90;
  EXPECT_LT(relative_error(Doubles(at, at + 90), want), 5e-6);
}

TEST(NplrAccuracy, Length16384State64) {
  EbbSsmConfig config = ssm_config(false);
  config.H = 2, config.N = 64, config.l_max = config.length = 16384, config.dt_min = 1e-4,
  config.dt_max = 1e-2;
  config.deterministic = true;
  for (const std::string &device : devices()) {
    SsmBench bench(false, config, 2, false, device);
    std::vector<ChannelValues> before;
    for (int64_t h = 0; h < 2; h++) before.push_back(channel_values(bench, config, false, h));
    bench.forward();
    for (size_t h = 0; h < 2; h++) {
      const ChannelValues &v = before[h];
      Doubles want = dense_bilinear(v.w, v.B, v.P, v.dt).kernel(closed(v.C), 16384);
      auto at = bench.k.begin() + std::ptrdiff_t(h) * 16384;
      EXPECT_LT(relative_error(Doubles(at, at + 16384), want), 5e-6) << "channel " << h << " on " << device;
    }
  }
}

// sum_l dk_l k_l of one channel by the dense recurrence.
double dense_loss(const ChannelValues &v, int64_t n, const Doubles &dk) {
  DenseSystem system = dense_bilinear(v.w, v.B, v.P, v.dt);
  Doubles k = system.kernel(untransform(system, v.C, n), dk.size());
  return std::inner_product(k.begin(), k.end(), dk.begin(), 0.0);
}

// Poles next to the axis: differences of the dense system in double. Losing the cancelling terms of a near
// node in float would show as errors of 1e-2 and more.
class NplrNear : public testing::TestWithParam<EbbSsmMeasure> {};

void check_near(EbbSsmMeasure measure, int64_t rank, const std::string &device) {
  SCOPED_TRACE(device);
  EbbSsmConfig config = ssm_config(false);
  config.rank = rank, config.measure = measure, config.H = config.n_ssm = 1, config.N = 12;
  config.length = config.l_max = 64, config.dt_min = config.dt_max = 0.05;
  SsmBench bench(false, config, 2, true, device);
  bench.forward();
  Doubles dk;
  for (int l = 0; l < 64; l++) dk.push_back(std::cos(0.3 * l));
  bench.backward(dk);
  ChannelValues v = channel_values(bench, config, false, 0);
  Doubles re = bench.grad("kernel.inv_w_real"), im = bench.grad("kernel.w_imag"), want_re, want_im;
  for (size_t m = 0; m < v.w.size(); m++) {
    auto slope = [&](Complex by) {
      ChannelValues up = v, down = v;
      up.w[m] += by, down.w[m] -= by;
      return (dense_loss(up, 64, dk) - dense_loss(down, 64, dk)) / (2 * std::abs(by));
    };
    want_re.push_back(slope(1e-4) * v.w[m].real());
    want_im.push_back(slope(Complex(0, 1e-4)));
  }
  EXPECT_LT(relative_error(re, want_re), 1e-5);
  EXPECT_LT(relative_error(im, want_im), 1e-5);
}

TEST_P(NplrNear, GradientsAreThoseOfTheDenseSystem) {
  for (const std::string &device : devices()) {
    check_near(GetParam(), 2, device);
    if (GetParam() != EBB_SSM_LEGT) check_near(GetParam(), 1, device);
  }
}

INSTANTIATE_TEST_SUITE_P(Measures, NplrNear,
                         testing::Values(EBB_SSM_LEGS, EBB_SSM_LAGT, EBB_SSM_FOURIER, EBB_SSM_LEGT));

// Sizes at the borders of the GPU's tiles: 256 nodes a block forward and, by the number of channels, 128 to
// 512 backward, 128 and 256 modes in shared memory, 32 modes a warp, 32 time steps of the readout.
const SsmVariant large[] = {
    {"block_of_nodes", [](EbbSsmConfig &c) { c.l_max = c.length = 512, c.N = 64, c.H = 2; }},
    {"odd_and_one_more", [](EbbSsmConfig &c) { c.l_max = c.length = 1027, c.N = 66, c.H = 3; }},
    {"cut", [](EbbSsmConfig &c) { c.l_max = 1100, c.length = 700, c.N = 62, c.channels = 2, c.H = 2; }},
    {"128_modes", [](EbbSsmConfig &c) { c.l_max = c.length = 96, c.N = 256, c.channels = 2, c.H = 2; }},
    {"129_modes", [](EbbSsmConfig &c) { c.l_max = c.length = 96, c.N = 258, c.H = 2; }},
    {"300_modes", [](EbbSsmConfig &c) { c.l_max = c.length = 64, c.N = 600, c.channels = 2, c.H = 1; }},
    {"chunks_of_256", [](EbbSsmConfig &c) { c.l_max = c.length = 514, c.N = 4, c.H = 150; }},
    {"chunks_of_512", [](EbbSsmConfig &c) { c.l_max = c.length = 1027, c.N = 4, c.H = 128, c.n_ssm = 1; }},
    {"many_channels_of_a_copy", [](EbbSsmConfig &c) { c.n_ssm = 2, c.H = 38, c.N = 10; }},
    {"near",
     [](EbbSsmConfig &c) { c.measure = EBB_SSM_FOURIER, c.l_max = c.length = 1300, c.N = 64, c.H = 2; }},
    {"near_rank_2_bidirectional",
     [](EbbSsmConfig &c) {
       c.measure = EBB_SSM_LEGT, c.rank = 2, c.channels = 2, c.l_max = c.length = 600, c.N = 300, c.H = 1;
     }},
    {"readout_64_steps",
     [](EbbSsmConfig &c) { c.readout = EBB_SSM_LEARNED, c.l_max = c.length = 64, c.N = 64, c.H = 3; }},
    {"readout_65_steps_rank_2",
     [](EbbSsmConfig &c) {
       c.readout = EBB_SSM_ONES, c.rank = 2, c.l_max = c.length = 65, c.N = 66, c.H = 3, c.n_ssm = 1;
     }},
    {"readout_one_step", [](EbbSsmConfig &c) { c.readout = EBB_SSM_LEARNED, c.l_max = c.length = 1; }},
    {"readout_150_modes",
     [](EbbSsmConfig &c) { c.readout = EBB_SSM_LEARNED, c.l_max = c.length = 100, c.N = 300, c.H = 2; }},
    {"readout_in_scratch",
     [](EbbSsmConfig &c) {
       c.readout = EBB_SSM_LEARNED, c.rank = 2, c.l_max = c.length = 40, c.N = 600, c.H = 1;
     }},
};

class NplrDevices : public testing::TestWithParam<SsmVariant> {};

// Both devices round khat at every node to float.
TEST_P(NplrDevices, Agree) {
  if (devices().size() < 2) GTEST_SKIP() << "one device only";
  EbbSsmConfig config = varied(false, GetParam());
  SsmBench cpu(false, config), cuda(false, config, 2, true, "cuda");
  std::vector<const char *> names = {"C", "B", "P", "inv_w_real", "w_imag", "log_dt"};
  if (config.readout == EBB_SSM_LEARNED) names.push_back("e");
  for (SsmBench *bench : {&cpu, &cuda}) {
    bench->forward();
    Doubles dk(bench->k.size()), dke(bench->ke.size());
    for (size_t i = 0; i < dk.size(); i++) dk[i] = std::cos(0.7 * double(i));
    for (size_t i = 0; i < dke.size(); i++) dke[i] = std::sin(0.3 * double(i));
    bench->backward(dk, dke);
  }
  EXPECT_LT(relative_error(cuda.k, cpu.k), 2e-6);
  if (!cpu.ke.empty()) EXPECT_LT(relative_error(cuda.ke, cpu.ke), 1e-6);
  for (const char *name : names) {
    if (config.length == 1 && std::string(name) == "log_dt" && cpu.ke.empty()) continue;
    std::string full = std::string("kernel.") + name;
    EXPECT_LT(relative_error(cuda.grad(full), cpu.grad(full)), 1e-5) << full;
  }
}

INSTANTIATE_TEST_SUITE_P(Large, NplrDevices, testing::ValuesIn(large), name_of);

TEST(NplrErrors, NameWhatIsWrong) {
  struct Bad {
    void (*change)(EbbSsmConfig &);
    EbbStatus status;
    const char *says;
  } bad[] = {{[](EbbSsmConfig &c) { c.N = 1; }, EBB_INVALID, "d_state"},
             {[](EbbSsmConfig &c) { c.n_ssm = 3; }, EBB_INVALID, "n_ssm 3"},
             {[](EbbSsmConfig &c) { c.rate = 0; }, EBB_INVALID, "rate"},
             {[](EbbSsmConfig &c) { c.rate = 100; }, EBB_INVALID, "no kernel"},
             {[](EbbSsmConfig &c) { c.channels = 3; }, EBB_INVALID, "channels"},
             {[](EbbSsmConfig &c) { c.dt_min = 1; }, EBB_INVALID, "dt_min"},
             {[](EbbSsmConfig &c) { c.measure = EBB_SSM_LEGT; }, EBB_INVALID, "model.layer.rank=2"},
             {[](EbbSsmConfig &c) { c.rank = 3; }, EBB_INVALID, "rank must be 1 or 2"},
             {[](EbbSsmConfig &c) { c.disc = EBB_SSM_ZOH; }, EBB_UNSUPPORTED, "bilinear"}};
  for (const Bad &b : bad) {
    EbbSsmConfig config = ssm_config(false);
    b.change(config);
    EXPECT_EQ(ebb_ssm_check(&config, false, "layer"), b.status);
    EXPECT_NE(std::string(ebb_error()).find(b.says), std::string::npos) << ebb_error();
  }
}

class NplrGolden : public testing::TestWithParam<const char *> {};

// The gradient of log dt cancels to about a hundredth: rounding dk to float alone moves it by up to 5e-6, and
// each stage in float adds as much, with or without contraction to fused multiply-adds.
TEST_P(NplrGolden, KernelAndGradients) {
  if (!ssm_golden_present()) GTEST_SKIP() << "no conformance cases beside the source tree";
  SsmGolden golden = ssm_golden(GetParam());
  for (const std::string &device : devices()) {
    SsmBench bench(false, golden.config, 2, true, device);
    ssm_load(bench, golden);
    bench.forward();
    EXPECT_LT(relative_error(bench.k, golden.tensor.at("expect.k")), 2e-6) << device;
    bench.backward(kernel_cotangent(golden));
    for (const char *name : {"C", "B", "P", "inv_w_real", "w_imag", "log_dt"}) {
      std::string full = std::string("kernel.") + name;
      const double tolerance = std::string(name) == "log_dt" ? 5e-5 : 2e-5;
      EXPECT_LT(relative_error(bench.grad(full), golden.tensor.at("expect.grad." + full)), tolerance)
          << full << " on " << device;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, NplrGolden,
                         testing::Values("s4_nplr_legs", "s4_nplr_legs_Lgt", "s4_nplr_legs_Llt",
                                         "s4_nplr_legs_Lodd", "s4_nplr_legs_N7", "s4_nplr_legs_bi",
                                         "s4_nplr_legs_double", "s4_nplr_legs_nssm1", "s4_nplr_legs_nssm2",
                                         "s4_nplr_legs_rate2", "s4_nplr_legs_small", "s4_nplr_hippo",
                                         "s4_nplr_fourier"));

} // namespace
