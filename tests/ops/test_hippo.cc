#include "ebb/hippo.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/ssm_bench.h"

using namespace ebb_test;

namespace {

struct Spectrum {
  std::vector<Complex> w, B, P, second; // columns of P
};

Spectrum spectrum(EbbSsmMeasure measure, int64_t N, int64_t copies, int64_t rank) {
  size_t size = size_t(copies * (N / 2));
  std::vector<EbbC64> w(size), B(size), P(2 * size);
  if (ebb_hippo_spectrum(measure, N, copies, rank, w.data(), B.data(), rank ? P.data() : nullptr) != EBB_OK)
    throw std::runtime_error(ebb_error());
  Spectrum out;
  for (size_t i = 0; i < size; i++) {
    out.w.emplace_back(w[i].re, w[i].im);
    out.B.emplace_back(B[i].re, B[i].im);
    out.P.emplace_back(P[i].re, P[i].im);
    out.second.emplace_back(P[size + i].re, P[size + i].im);
  }
  return out;
}

// The HiPPO matrices by their definitions.
struct Hippo {
  size_t N;
  Doubles A, b;
  Doubles correction; // A + correction is normal
};

Hippo hippo(EbbSsmMeasure measure, size_t N) {
  Hippo out{N, Doubles(N * N), Doubles(N), Doubles(N * N)};
  for (size_t i = 0; i < N; i++) {
    double ri = std::sqrt(2.0 * double(i) + 1), fi = i == 0 ? 1 : i % 2 ? 0 : std::sqrt(2.0);
    out.b[i] = measure == EBB_SSM_LEGS   ? ri
               : measure == EBB_SSM_LEGT ? ri / 2
               : measure == EBB_SSM_LAGT ? 1
                                         : fi;
    for (size_t j = 0; j < N; j++) {
      double rr = ri * std::sqrt(2.0 * double(j) + 1), fj = j == 0 ? 1 : j % 2 ? 0 : std::sqrt(2.0);
      double sign = (i + j) % 2 ? -1 : 1, &a = out.A[i * N + j], &c = out.correction[i * N + j];
      if (measure == EBB_SSM_LEGS) a = i > j ? -rr : i == j ? -double(i) - 1 : 0, c = rr / 2;
      if (measure == EBB_SSM_LEGT) a = -0.5 * rr * (i < j ? sign : 1), c = sign > 0 ? rr / 2 : 0;
      if (measure == EBB_SSM_LAGT) a = i > j ? -1 : i == j ? -0.5 : 0, c = 0.5;
      if (measure == EBB_SSM_FOURIER) {
        double k = double(std::min(i, j) / 2);
        a = (i % 2 == 0 && j == i + 1 ? -M_PI * k : j % 2 == 0 && i == j + 1 ? M_PI * k : 0) - fi * fj;
        c = fi * fj;
      }
    }
  }
  return out;
}

// left^T (z - A - t correction)^-1 right: what the state space does, whatever its basis.
Complex resolvent(const Hippo &h, Complex z, double t, const Doubles &left, const Doubles &right) {
  size_t N = h.N;
  std::vector<Complex> a(N * N), x(right.begin(), right.end());
  for (size_t i = 0; i < N * N; i++) a[i] = (i % (N + 1) ? 0.0 : z) - h.A[i] - t * h.correction[i];
  for (size_t i = 0; i < N; i++)
    for (size_t r = 0; r < N; r++) {
      if (r == i) continue;
      Complex f = a[r * N + i] / a[i * N + i];
      for (size_t j = i; j < N; j++) a[r * N + j] -= f * a[i * N + j];
      x[r] -= f * x[i];
    }
  Complex sum = 0;
  for (size_t i = 0; i < N; i++) sum += left[i] * x[i] / a[i * N + i];
  return sum;
}

// x^* (z - diag(w))^-1 y over the conjugate-closed modes.
Complex modal(const Spectrum &s, Complex z, const std::vector<Complex> &x, const std::vector<Complex> &y) {
  Complex sum = 0;
  for (size_t m = 0; m < s.w.size(); m++)
    sum += std::conj(x[m]) * y[m] / (z - s.w[m]) + x[m] * std::conj(y[m]) / (z - std::conj(s.w[m]));
  return sum;
}

class Measures : public testing::TestWithParam<EbbSsmMeasure> {};

TEST_P(Measures, ModesActAsTheMatrixDoes) {
  for (size_t N : {2, 8, 16}) {
    Hippo h = hippo(GetParam(), N);
    Spectrum s = spectrum(GetParam(), int64_t(N), 1, 2);
    for (Complex z : {Complex(1, 0.5), Complex(0.3, -7), Complex(4, 20)}) {
      Complex normal = modal(s, z, s.B, s.B), want = resolvent(h, z, 1, h.b, h.b);
      EXPECT_LT(std::abs(normal - want), 1e-10 * std::abs(want)) << "N " << N;
      Complex bp = modal(s, z, s.B, s.P), bs = modal(s, z, s.B, s.second);
      Complex pb = modal(s, z, s.P, s.B), sb = modal(s, z, s.second, s.B);
      Complex pp = 1.0 + modal(s, z, s.P, s.P), ps = modal(s, z, s.P, s.second);
      Complex sp = modal(s, z, s.second, s.P), ss = 1.0 + modal(s, z, s.second, s.second);
      Complex low_rank = (bp * (ss * pb - ps * sb) + bs * (pp * sb - sp * pb)) / (pp * ss - ps * sp);
      Complex full = normal - low_rank, exact = resolvent(h, z, 0, h.b, h.b);
      EXPECT_LT(std::abs(full - exact), 1e-9 * std::abs(exact)) << "N " << N;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Measures,
                         testing::Values(EBB_SSM_LEGS, EBB_SSM_LEGT, EBB_SSM_LAGT, EBB_SSM_FOURIER));

TEST(HippoGauge, LegsModesHaveOnePhase) {
  for (int64_t N : {7, 8, 64, 512}) {
    Spectrum s = spectrum(EBB_SSM_LEGS, N, 1, 1);
    for (size_t m = 0; m < s.w.size(); m++) {
      EXPECT_NEAR(std::abs(s.B[m] - std::sqrt(2.0) * s.P[m]), 0, 1e-9 * std::abs(s.B[m]));
      EXPECT_LT(s.w[m].imag(), 0);
      if (m) EXPECT_LT(s.w[m - 1].imag(), s.w[m].imag());
    }
  }
  // N = 2 by hand: S has eigenvectors (1, +-i) / sqrt 2.
  Spectrum s = spectrum(EBB_SSM_LEGS, 2, 1, 1);
  EXPECT_NEAR(s.w[0].imag(), -std::sqrt(3.0) / 2, 1e-12);
  EXPECT_NEAR(s.B[0].real(), std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(std::abs(s.B[0].imag()), std::sqrt(1.5), 1e-12);
}

TEST(HippoCopies, MixturesTakeHalfEach) {
  Spectrum mixed = spectrum(EBB_SSM_HIPPO, 8, 4, true), legs = spectrum(EBB_SSM_LEGS, 8, 1, 1);
  Spectrum fourier = spectrum(EBB_SSM_FOURIER, 8, 1, 1);
  for (size_t c = 0; c < 4; c++)
    for (size_t m = 0; m < 4; m++) EXPECT_EQ(mixed.w[c * 4 + m], (c < 2 ? legs : fourier).w[m]);
  Spectrum diag = spectrum(EBB_SSM_DIAG, 8, 2, 1);
  EXPECT_EQ(diag.w[1].imag(), 8 / M_PI * (8 / 3.0 - 1));
  EXPECT_EQ(diag.w[5].imag(), M_PI);
}

TEST(HippoErrors, NameWhatIsWrong) {
  EbbC64 z[16];
  EXPECT_EQ(ebb_hippo_spectrum(EBB_SSM_LEGS, 1, 1, 1, z, z, nullptr), EBB_INVALID);
  EXPECT_EQ(ebb_hippo_spectrum(EBB_SSM_FOURIER, 7, 1, 1, z, z, nullptr), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("even"), std::string::npos);
  EXPECT_EQ(ebb_hippo_spectrum(EBB_SSM_HIPPO, 8, 3, 1, z, z, nullptr), EBB_INVALID);
  EXPECT_EQ(ebb_hippo_spectrum(EBB_SSM_LEGT, 8, 1, 1, z, z, z + 8), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("rank 2"), std::string::npos);
}

// The spectra that published models start from.
TEST(HippoGolden, InitialSpectra) {
  if (!ssm_golden_present()) GTEST_SKIP() << "no conformance cases beside the source tree";
  for (const char *name : {"s4_diag_lin", "s4_diag_inv", "s4_diag_legs", "s4_diag_legsfull", "s4_nplr_legs",
                           "s4_nplr_legs_N7", "s4_nplr_hippo"}) {
    SsmGolden golden = ssm_golden(name);
    SsmBench bench(golden.diagonal, golden.config);
    EXPECT_LT(relative_error(bench.get("kernel.w_imag"), golden.tensor.at("param.kernel.w_imag")), 1e-6)
        << name;
    EXPECT_LT(relative_error(bench.get("kernel.inv_w_real"), golden.tensor.at("param.kernel.inv_w_real")),
              1e-5)
        << name;
  }
}

TEST(SsmInit, DrawsHaveTheirDistribution) {
  EbbSsmConfig config = ssm_config(false);
  config.H = 500, config.N = 16, config.n_ssm = 1, config.dt_min = 0.001, config.dt_max = 0.1;
  SsmBench bench(false, config);
  double square = 0, mean = 0;
  for (double c : bench.get("kernel.C")) square += c * c, mean += c;
  EXPECT_NEAR(square / (500 * 8), 1, 0.05);
  EXPECT_NEAR(mean / (500 * 16), 0, 0.03);
  double low = 0, high = -100, sum = 0;
  for (double v : bench.get("kernel.log_dt")) low = std::min(low, v), high = std::max(high, v), sum += v;
  EXPECT_GE(low, std::log(0.001) - 1e-6);
  EXPECT_LE(high, std::log(0.1) + 1e-6);
  EXPECT_NEAR(sum / 500, std::log(0.01), 0.2);
}

TEST(SsmInit, LiquidBuffersHoldTheDraws) {
  for (bool diagonal : {false, true}) {
    EbbSsmConfig config = ssm_config(diagonal);
    config.measure = EBB_SSM_LEGS, config.liquid_buffers = true;
    SsmBench bench(diagonal, config);
    Doubles C = bench.get("kernel.C"), liquid = bench.get("liquid.C"), w = bench.get("liquid.w");
    for (size_t i = 0; i < C.size(); i++) EXPECT_EQ(liquid[i], i % 2 ? -C[i] : C[i]);
    EXPECT_EQ(bench.get("liquid.B"), bench.get("kernel.B"));
    EXPECT_EQ(bench.get("liquid.log_dt"), bench.get("kernel.log_dt"));
    EXPECT_NEAR(w[0], -0.5, 1e-7);
    EXPECT_EQ(w[1], bench.get("kernel.w_imag")[0]);
  }
}

} // namespace
