#include "ebb/ops/ssm_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ops/s4_scan.h"
#include "support/node_run.h"
#include "support/ssm_bench.h"

using namespace ebb_test;

namespace {

std::vector<float> floats(const Doubles &value) { return std::vector<float>(value.begin(), value.end()); }

// Host copies of a bench's parameters.
struct Params {
  std::vector<float> C, log_dt, B, P, inv_w_real, w_imag, e;
  double L = 0;
  Params(const SsmBench &bench, const EbbSsmConfig &config, bool diagonal)
      : C(floats(bench.get("kernel.C"))), log_dt(floats(bench.get("kernel.log_dt"))),
        B(floats(bench.get("kernel.B"))), inv_w_real(floats(bench.get("kernel.inv_w_real"))),
        w_imag(floats(bench.get("kernel.w_imag"))) {
    if (!diagonal) P = floats(bench.get("kernel.P")), L = bench.get("kernel.L")[0];
    if (config.readout == EBB_SSM_LEARNED) e = floats(bench.get("kernel.e"));
  }
  EbbSsmStepParams view() const {
    return {C.data(),
            log_dt.data(),
            B.data(),
            inv_w_real.data(),
            w_imag.data(),
            P.data(),
            e.empty() ? nullptr : e.data(),
            L};
  }
};

// y (H,L) of u (H,L), sample by sample.
Doubles run(const EbbSsmStepConfig &config, const EbbSsmStepParams &params, const Doubles &u, size_t L) {
  EbbSsmStep *step = nullptr;
  if (ebb_ssm_step_create(&config, &params, &step) != EBB_OK) throw std::runtime_error(ebb_error());
  size_t H = size_t(config.ssm.H);
  Doubles y(H * L);
  std::vector<double> state(size_t(ebb_ssm_step_state(step)));
  std::vector<float> now(H);
  for (size_t t = 0; t < L; t++) {
    for (size_t h = 0; h < H; h++) now[h] = float(u[h * L + t]);
    ebb_ssm_step_run(step, now.data(), state.data(), now.data());
    for (size_t h = 0; h < H; h++) y[h * L + t] = double(now[h]);
  }
  ebb_ssm_step_destroy(step);
  return y;
}

Doubles convolve(const Doubles &k, const Doubles &v, size_t h, size_t L) {
  Doubles y(L);
  for (size_t t = 0; t < L; t++)
    for (size_t l = 0; l <= t; l++) y[t] += k[h * L + l] * v[t - l];
  return y;
}

// The series by its definition: convolutions with k and ke.
Doubles series(const SsmBench &bench, const Doubles &u, size_t H, size_t L, int degree) {
  Doubles y;
  for (size_t h = 0; h < H; h++) {
    Doubles v(u.begin() + std::ptrdiff_t(h * L), u.begin() + std::ptrdiff_t((h + 1) * L)), sum(L);
    for (int q = 0; q < degree; q++) {
      Doubles part = convolve(bench.k, v, h, L);
      for (size_t t = 0; t < L; t++) sum[t] += part[t];
      if (q + 1 == degree) break;
      Doubles s = convolve(bench.ke, v, h, L);
      for (size_t t = 0; t < L; t++) v[t] = t ? u[h * L + t] * s[t - 1] : 0;
    }
    y.insert(y.end(), sum.begin(), sum.end());
  }
  return y;
}

Doubles wave(size_t n) {
  Doubles u;
  for (size_t i = 0; i < n; i++) u.push_back(std::sin(0.7 * double(i) + 0.01 * double(i * i)));
  return u;
}

class Step : public testing::TestWithParam<bool> {};

TEST_P(Step, PlainAndSeriesEqualTheConvolution) {
  bool diagonal = GetParam();
  for (int64_t L : {1, 2, 37, 64}) {
    for (int degree : {1, 3}) {
      EbbSsmConfig config = ssm_config(diagonal);
      config.H = 10, config.n_ssm = 5, config.length = L, config.l_max = 64, config.readout = EBB_SSM_LEARNED;
      SsmBench bench(diagonal, config, 2, false);
      bench.forward();
      Params params(bench, config, diagonal);
      EbbSsmStepConfig step{config, diagonal, degree == 1 ? EBB_STEP_PLAIN : EBB_STEP_SERIES, degree, 0};
      Doubles u = wave(size_t(10 * L));
      EXPECT_LT(
          relative_error(run(step, params.view(), u, size_t(L)), series(bench, u, 10, size_t(L), degree)),
          1e-5)
          << "L " << L << " degree " << degree;
    }
  }
}

TEST_P(Step, OtherDiscretisationsAndRates) {
  bool diagonal = GetParam();
  for (EbbSsmDisc disc : {EBB_SSM_BILINEAR, EBB_SSM_ZOH, EBB_SSM_DSS}) {
    if (!diagonal && disc != EBB_SSM_BILINEAR) continue;
    EbbSsmConfig config = ssm_config(diagonal);
    config.disc = disc, config.rate = 2, config.length = 16;
    SsmBench bench(diagonal, config, 2, false);
    bench.forward();
    Params params(bench, config, diagonal);
    EbbSsmStepConfig step{config, diagonal, EBB_STEP_PLAIN, 1, 0};
    Doubles u = wave(4 * 16);
    EXPECT_LT(relative_error(run(step, params.view(), u, 16), series(bench, u, 4, 16, 1)), 1e-5) << int(disc);
  }
}

// Internal lengths even, odd and 1, poles next to the axis.
TEST(StepRecovery, KernelOfTheRecurrenceIsThatOfTheConvolution) {
  for (EbbSsmMeasure measure : {EBB_SSM_LEGS, EBB_SSM_FOURIER, EBB_SSM_LAGT, EBB_SSM_LEGT, EBB_SSM_DIAG_LIN})
    for (int64_t L : {1, 2, 63, 200}) {
      EbbSsmConfig config = ssm_config(false);
      config.measure = measure, config.rank = measure == EBB_SSM_LEGT ? 2 : 1, config.N = 20,
      config.length = config.l_max = L;
      SsmBench bench(false, config, 2, false);
      bench.forward();
      Params params(bench, config, false);
      Doubles impulse(size_t(4 * L));
      for (size_t h = 0; h < 4; h++) impulse[h * size_t(L)] = 1;
      EbbSsmStepConfig step{config, false, EBB_STEP_PLAIN, 1, 0};
      EXPECT_LT(relative_error(run(step, params.view(), impulse, size_t(L)), bench.k), 3e-6)
          << "measure " << int(measure) << " L " << L;
    }
}

// No damping at all, and a whole number of turns in n steps: 1 is an eigenvalue of Abar^n.
TEST(StepErrors, SingularTransform) {
  EbbSsmConfig config = ssm_config(false);
  config.H = config.n_ssm = 1, config.N = 2, config.real_type = EBB_SSM_NONE;
  const float C[] = {1, 0}, zero[] = {0, 0}, log_dt[] = {0}, w[] = {0}, one[] = {1, 0};
  EbbSsmStepParams params{C, log_dt, one, w, w, zero, nullptr, 8};
  EbbSsmStepConfig step_config{config, false, EBB_STEP_PLAIN, 1, 0};
  EbbSsmStep *step = nullptr;
  EXPECT_EQ(ebb_ssm_step_create(&step_config, &params, &step), EBB_NUMERIC);
  EXPECT_NE(std::string(ebb_error()).find("channel 0"), std::string::npos) << ebb_error();
}

// The bound of the scan, against the op.
TEST(StepScan, BoundedEqualsTheOp) {
  for (double bound : {0.0, 0.9, 0.999}) {
    EbbS4ScanConfig config{};
    config.ssm = ssm_config(true);
    config.ssm.H = 3, config.ssm.n_ssm = 3, config.ssm.N = 10, config.ssm.length = 50,
    config.ssm.dt_max = 0.5;
    config.contraction = bound;
    std::vector<float> u;
    for (double v : wave(3 * 50)) u.push_back(float(2 * v));
    NodeRun op("s4_scan", config, {{{1, 3, 50}, u}});
    std::vector<float> C = op.get("kernel.C"), log_dt = op.get("kernel.log_dt"), B = op.get("kernel.B"),
                       x = op.get("kernel.inv_w_real"), im = op.get("kernel.w_imag");
    EbbSsmStepParams params{C.data(), log_dt.data(), B.data(), x.data(), im.data(), nullptr, nullptr, 0};
    EbbSsmStepConfig step{config.ssm, true, EBB_STEP_SCAN, 1, bound};
    std::vector<float> want = op.forward(false);
    Doubles y = run(step, params, Doubles(u.begin(), u.end()), 50);
    EXPECT_LT(relative_error(y, Doubles(want.begin(), want.end())), 1e-5) << bound;
  }
}

INSTANTIATE_TEST_SUITE_P(Modes, Step, testing::Bool(), [](const testing::TestParamInfo<bool> &mode) {
  return std::string(mode.param ? "diag" : "nplr");
});

TEST(StepErrors, NameWhatIsWrong) {
  struct Bad {
    void (*change)(EbbSsmStepConfig &);
    EbbStatus status;
    const char *says;
  } bad[] = {{[](EbbSsmStepConfig &c) { c.ssm.channels = 2; }, EBB_UNSUPPORTED, "bidirectional"},
             {[](EbbSsmStepConfig &c) { c.kind = EBB_STEP_SCAN; }, EBB_UNSUPPORTED, "diag"},
             {[](EbbSsmStepConfig &c) { c.kind = EBB_STEP_SERIES; }, EBB_INVALID, "degree"},
             {[](EbbSsmStepConfig &c) { c.ssm.N = 0; }, EBB_INVALID, "d_state"}};
  EbbSsmStepParams none{};
  for (const Bad &b : bad) {
    EbbSsmStepConfig config{ssm_config(false), false, EBB_STEP_PLAIN, 0, 0};
    b.change(config);
    EbbSsmStep *step = nullptr;
    EXPECT_EQ(ebb_ssm_step_create(&config, &none, &step), b.status);
    EXPECT_EQ(step, nullptr);
    EXPECT_NE(std::string(ebb_error()).find(b.says), std::string::npos) << ebb_error();
  }
}

// The conformance cases of the exact liquid recurrences; their y has no D and no activation.
struct Case {
  const char *name;
  EbbSsmStepKind kind;
  int64_t degree;
};

class StepGolden : public testing::TestWithParam<Case> {};

TEST_P(StepGolden, Outputs) {
  if (!ssm_golden_present()) GTEST_SKIP() << "no conformance cases beside the source tree";
  SsmGolden golden = ssm_golden(GetParam().name);
  SsmBench bench(golden.diagonal, golden.config);
  ssm_load(bench, golden);
  Params params(bench, golden.config, golden.diagonal);
  EbbSsmStepConfig config{golden.config, golden.diagonal, GetParam().kind, GetParam().degree, 0};
  const Doubles &u = golden.tensor.at("input.u"), &want = golden.tensor.at("expect.y");
  size_t L = size_t(golden.config.length), row = size_t(golden.config.H) * L;
  for (size_t b = 0; b * row < u.size(); b++) {
    auto at = [&](const Doubles &all) {
      return Doubles(all.begin() + std::ptrdiff_t(b * row), all.begin() + std::ptrdiff_t((b + 1) * row));
    };
    EXPECT_LT(relative_error(run(config, params.view(), at(u), L), at(want)), golden.output_tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, StepGolden,
                         testing::Values(Case{"s4_series_nplr_d1", EBB_STEP_SERIES, 1},
                                         Case{"s4_series_nplr_d2", EBB_STEP_SERIES, 2},
                                         Case{"s4_series_nplr_d3", EBB_STEP_SERIES, 3},
                                         Case{"s4_series_diag_d2", EBB_STEP_SERIES, 2},
                                         Case{"s4_series_diag_d3", EBB_STEP_SERIES, 3},
                                         Case{"s4_scan_diag", EBB_STEP_SCAN, 1}),
                         [](const testing::TestParamInfo<Case> &one) { return std::string(one.param.name); });

} // namespace
