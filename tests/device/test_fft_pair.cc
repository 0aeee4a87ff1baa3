// Convolution and correlation of pairs of rows by scrambled spectra, against the defining sums.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>
#include <vector>

extern "C" {
#include "host/fft_pair.h"
}

namespace {

using Floats = std::unique_ptr<float[], decltype(&std::free)>;

Floats zeros(size_t bytes) {
  Floats floats(static_cast<float *>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), &std::free);
  std::fill_n(floats.get(), bytes / sizeof(float), 0.0F);
  return floats;
}

struct Transform {
  explicit Transform(int64_t n) : table(zeros(ebb_pair_table_bytes(n))), fft{n, table.get()} {
    ebb_pair_table_fill(&n, table.get());
  }
  Floats row() const { return zeros(sizeof(float) * static_cast<size_t>(ebb_pair_floats(fft.n))); }
  Floats table;
  EbbPairFft fft;
};

double wave(int64_t t, int which) {
  const auto x = static_cast<double>(t);
  return which == 0   ? std::sin(0.37 * x * x)
         : which == 1 ? std::cos(1.3 * x + 0.2)
                      : std::exp(-0.02 * x) * std::cos(0.9 * x);
}

class FftPair : public testing::TestWithParam<int64_t> {};

TEST_P(FftPair, ConvolvesAndCorrelatesTwoRowsAtOnce) {
  const int64_t n = GetParam(), im = ebb_pair_imag(n);
  ASSERT_EQ(ebb_pair_length(n), n);
  const Transform transform(n);
  std::vector<double> table[3];
  for (int which = 0; which < 3; which++)
    for (int64_t t = 0; t < n; t++) table[which].push_back(wave(t, which));
  auto value = [&table](int64_t t, int which) { return table[which][static_cast<size_t>(t)]; };
  Floats z = transform.row(), k = transform.row(), g = transform.row(), sum = transform.row();
  for (int64_t t = 0; t < n; t++) {
    z[t] = static_cast<float>(value(t, 0)), z[im + t] = static_cast<float>(value(t, 1));
    k[t] = static_cast<float>(value(t, 2));
    g[t] = static_cast<float>(value(t, 1)), g[im + t] = static_cast<float>(value(t, 2));
  }
  ebb_pair_forward(&transform.fft, z.get());
  ebb_pair_forward(&transform.fft, k.get());
  ebb_pair_forward(&transform.fft, g.get());
  ebb_pair_correlate(n, sum.get(), g.get(), z.get());
  ebb_pair_multiply(n, z.get(), k.get());
  ebb_pair_multiply_conj(n, g.get(), k.get());
  ebb_pair_inverse(&transform.fft, z.get());
  ebb_pair_inverse(&transform.fft, g.get());
  ebb_pair_inverse(&transform.fft, sum.get());
  const auto scale = static_cast<double>(n), tolerance = 2e-5;
  for (int64_t t = 0; t < n; t += 1 + n / 300) {
    double a = 0, b = 0, c = 0, d = 0, both = 0;
    for (int64_t j = 0; j < n; j++) {
      const int64_t before = (t - j + n) % n, after = (t + j) % n;
      a += value(j, 2) * value(before, 0), b += value(j, 2) * value(before, 1);
      c += value(j, 2) * value(after, 1), d += value(j, 2) * value(after, 2);
      both += value(j, 0) * value(after, 1) + value(j, 1) * value(after, 2);
    }
    ASSERT_NEAR(z[t] / scale, a, tolerance) << t;
    ASSERT_NEAR(z[im + t] / scale, b, tolerance) << t;
    ASSERT_NEAR(g[t] / scale, c, tolerance) << t;
    ASSERT_NEAR(g[im + t] / scale, d, tolerance) << t;
    ASSERT_NEAR(sum[t] / scale, both, tolerance * std::sqrt(scale)) << t;
  }
}

INSTANTIATE_TEST_SUITE_P(Lengths, FftPair,
                         testing::Values(256, 512, 768, 1024, 1280, 1536, 2048, 2560, 3072, 4096, 8192, 12288,
                                         16384, 20480, 32768));

TEST(FftPair, LengthsAreTheNextSupported) {
  EXPECT_EQ(ebb_pair_length(1), 256);
  EXPECT_EQ(ebb_pair_length(257), 512);
  EXPECT_EQ(ebb_pair_length(513), 768);
  EXPECT_EQ(ebb_pair_length(769), 1024);
  EXPECT_EQ(ebb_pair_length(1025), 1280);
  EXPECT_EQ(ebb_pair_length(1281), 1536);
  EXPECT_EQ(ebb_pair_length(1537), 2048);
  EXPECT_EQ(ebb_pair_length(4097), 5120);
  EXPECT_EQ(ebb_pair_length(8000), 8192);
  EXPECT_EQ(ebb_pair_length(32000), 32768);
}

} // namespace
