/* Real transforms against the defining sum, their inverse, and the choice of fast lengths. */
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include "host/cpu.h"
#include "host/device/fft.h"
}

namespace {

using Aligned = std::unique_ptr<float[], decltype(&std::free)>;

Aligned aligned_floats(int64_t count) {
  return Aligned(static_cast<float *>(std::aligned_alloc(64, sizeof(float) * ebb_row_floats(count))),
                 &std::free);
}

using Plan = std::unique_ptr<EbbFft, decltype(&ebb_fft_destroy)>;

Plan plan_of(int64_t n) {
  EbbFft *fft = nullptr;
  EXPECT_EQ(ebb_fft_create(n, &fft), EBB_OK) << ebb_error();
  return Plan(fft, &ebb_fft_destroy);
}

float sample(int64_t t) { return std::sin(0.7F * static_cast<float>(t)) + 0.1F * static_cast<float>(t % 7); }

class FftLength : public testing::TestWithParam<int64_t> {};

TEST_P(FftLength, EqualsTheDefiningSumAndInverts) {
  const int64_t n = GetParam();
  Plan fft = plan_of(n);
  ASSERT_EQ(ebb_fft_length(fft.get()), n);
  Aligned x = aligned_floats(n), back = aligned_floats(n), spectrum = aligned_floats(ebb_spectrum_floats(n));
  auto *X = reinterpret_cast<EbbC32 *>(spectrum.get());
  for (int64_t t = 0; t < n; t++) x[t] = sample(t);
  ebb_fft_forward(fft.get(), x.get(), X);
  for (int64_t j = 0; j <= n / 2; j++) {
    double re = 0, im = 0;
    for (int64_t t = 0; t < n; t++) {
      const double angle = -2 * M_PI * static_cast<double>(j * t % n) / static_cast<double>(n);
      re += sample(t) * std::cos(angle), im += sample(t) * std::sin(angle);
    }
    ASSERT_NEAR(X[j].re, re, 2e-6 * static_cast<double>(n) + 1e-6) << "bin " << j;
    ASSERT_NEAR(X[j].im, im, 2e-6 * static_cast<double>(n) + 1e-6) << "bin " << j;
  }
  for (int64_t t = 0; t < n; t++) ASSERT_EQ(x[t], sample(t)) << "the input is kept";
  ebb_fft_inverse(fft.get(), X, back.get());
  for (int64_t t = 0; t < n; t++)
    ASSERT_NEAR(back[t] / static_cast<float>(n), sample(t), 1e-5) << "sample " << t;
}

INSTANTIATE_TEST_SUITE_P(Lengths, FftLength, testing::Values(1, 2, 3, 16, 33, 64, 97, 250, 1024, 1025));

TEST(Fft, ManyThreadsPlanAndTransformAtOnce) {
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> threads;
  for (auto &result : results)
    threads.emplace_back([&result] {
      for (int64_t n = 60; n < 90; n++) {
        Plan fft = plan_of(n);
        Aligned x = aligned_floats(n), spectrum = aligned_floats(ebb_spectrum_floats(n));
        for (int64_t t = 0; t < n; t++) x[t] = sample(t);
        ebb_fft_forward(fft.get(), x.get(), reinterpret_cast<EbbC32 *>(spectrum.get()));
        result.insert(result.end(), spectrum.get(), spectrum.get() + n);
      }
    });
  for (std::thread &thread : threads) thread.join();
  for (const auto &result : results) EXPECT_EQ(result, results[0]);
}

TEST(Fft, RefusesLengthsThatCannotBe) {
  EbbFft *fft = nullptr;
  EXPECT_EQ(ebb_fft_create(0, &fft), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("at least 1, not 0"), std::string::npos) << ebb_error();
  EXPECT_EQ(ebb_fft_create(int64_t{1} << 40, &fft), EBB_UNSUPPORTED);
  EXPECT_EQ(fft, nullptr);
}

TEST(Fft, GoodLengthsAreEvenAndSmooth) {
  EXPECT_EQ(ebb_fft_good_length(0), 2);
  EXPECT_EQ(ebb_fft_good_length(1), 2);
  EXPECT_EQ(ebb_fft_good_length(7), 8);
  EXPECT_EQ(ebb_fft_good_length(2047), 2048);
  EXPECT_EQ(ebb_fft_good_length(2049), 2160);
  EXPECT_EQ(ebb_fft_good_length(7999), 8000);
}

} // namespace
