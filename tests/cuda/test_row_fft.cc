// The transforms of one block against sums in double.
#include <gtest/gtest.h>

#include "cuda/row_fft.h"
#include "host/fft_row.h"
#include "support/node_run.h"
#include "support/op_check.h"

using namespace ebb_test;

namespace {

class Memory {
public:
  Memory(EbbDevice *device, size_t bytes) : device_(device), bytes_(bytes) {
    require(ebb_device_alloc(device, bytes, "a test", &memory_));
  }
  ~Memory() { ebb_device_free(device_, memory_); }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  template <class T> T *as() const { return static_cast<T *>(memory_); }
  void write(const void *from) { require(ebb_device_write(device_, memory_, from, bytes_)); }
  template <class T> std::vector<T> read() const {
    std::vector<T> out(bytes_ / sizeof(T));
    require(ebb_device_read(device_, out.data(), memory_, bytes_));
    return out;
  }

private:
  EbbDevice *device_;
  size_t bytes_;
  void *memory_ = nullptr;
};

// The bin at a place of the spectrum, from the radices of the passes.
int64_t bin_at(int64_t n, int64_t place) {
  const int64_t points = EBB_ROW_POINTS(n), second = EBB_ROW_SECOND(n), third = EBB_ROW_THIRD(n);
  const int64_t t = place % EBB_ROW_THREADS(n), k = place / EBB_ROW_THREADS(n);
  const int64_t q = t / third + k / second * second, q3 = k % third;
  const int64_t q2 = t % third + k % second / third * third;
  return q + points * (q2 + second * q3);
}

struct Rows {
  int64_t n, rows;
  std::vector<float> x;
  std::vector<EbbC32> k;

  // sum_j x_j w^(j (4 bin + 1)).
  EbbC64 spectrum(int64_t row, int64_t bin) const {
    EbbC64 sum = {0, 0};
    for (int64_t j = 0; j < n; j++) {
      const double angle = -M_PI / 2 * double(j * (4 * bin + 1) % (4 * n)) / double(n);
      const double value = double(x[size_t(row * n + j)]);
      sum.re += value * std::cos(angle), sum.im += value * std::sin(angle);
    }
    return sum;
  }
  // Lag l of the kernel, modulo x^2n + 1: the points' imaginary parts are lags n .. 2n - 1, negated.
  double lag(int64_t row, int64_t l) const {
    if (l < 0) return -lag(row, l + 2 * n);
    return l < n ? double(k[size_t(row * n + l)].re) : -double(k[size_t(row * n + l - n)].im);
  }
  double convolved(int64_t row, int64_t t) const {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += double(x[size_t(row * n + j)]) * lag(row, t - j);
    return sum;
  }
};

Rows rows_of(int64_t n, int64_t count) {
  Rows rows = {n, count, numbers(size_t(n * count), 1), {}};
  const auto k = numbers(size_t(2 * n * count), 2);
  for (size_t i = 0; i < size_t(n * count); i++) rows.k.push_back({k[2 * i], k[2 * i + 1]});
  return rows;
}

class RowFft : public testing::TestWithParam<int64_t> {
protected:
  void SetUp() override {
    if (ebb_device_open("cuda", 1, &device_) != EBB_OK) GTEST_SKIP() << ebb_error();
  }
  void TearDown() override { ebb_device_close(device_); }
  EbbDevice *device_ = nullptr;
};

TEST_P(RowFft, SpectraAndConvolutions) {
  const int64_t n = GetParam(), count = 3;
  const Rows rows = rows_of(n, count);
  const size_t values = size_t(n * count);
  std::vector<char> host(ebb_row_fft_table_bytes(n));
  ebb_row_fft_table_fill(&n, host.data());
  Memory table(device_, host.size()), x(device_, 4 * values), k(device_, 8 * values),
      spectrum(device_, 8 * values), y(device_, 4 * values), whole(device_, 8 * values);
  table.write(host.data()), x.write(rows.x.data()), k.write(rows.k.data());
  const RowFftCheck check = {int(n),        int(count),        table.as<void>(),
                             x.as<float>(), k.as<EbbC32>(),    spectrum.as<EbbC32>(),
                             y.as<float>(), whole.as<EbbC32>()};
  const EbbRun run = {device_, true, 1, 1};
  require(row_fft_check(&run, &check));

  // Every value of the small transforms, a sample of the large ones.
  const int64_t step = n <= 512 ? 1 : n / 512 * 2 + 1;
  const auto X = spectrum.read<EbbC32>();
  double error = 0, norm = 0;
  for (int64_t i = 0; i < n * count; i += step) {
    const EbbC64 expected = rows.spectrum(i / n, bin_at(n, i % n));
    error += std::pow(double(X[size_t(i)].re) - expected.re, 2) +
             std::pow(double(X[size_t(i)].im) - expected.im, 2);
    norm += ebb_c64_norm2(expected);
  }
  EXPECT_LT(std::sqrt(error / norm), 4e-7);

  const auto first = y.read<float>();
  const auto points = whole.read<EbbC32>();
  double error_first = 0;
  error = norm = 0;
  for (int64_t i = 0; i < n * count; i += step) {
    const double low = rows.convolved(i / n, i % n), high = rows.convolved(i / n, i % n + n);
    error_first += std::pow(double(first[size_t(i)]) / double(n) - low, 2);
    error += std::pow(double(points[size_t(i)].re) / double(n) - low, 2) +
             std::pow(double(points[size_t(i)].im) / double(n) + high, 2);
    norm += low * low + high * high;
  }
  EXPECT_LT(std::sqrt(error_first / norm), 5e-7);
  EXPECT_LT(std::sqrt(error / norm), 5e-7);
}

INSTANTIATE_TEST_SUITE_P(Lengths, RowFft, testing::Values(256, 512, 1024, 2048, 4096, 8192, 16384));

TEST(RowFftLength, IsTheSmallestThatHoldsTheRow) {
  EXPECT_EQ(ebb_row_fft_length(1), 256);
  EXPECT_EQ(ebb_row_fft_length(256), 256);
  EXPECT_EQ(ebb_row_fft_length(257), 512);
  EXPECT_EQ(ebb_row_fft_length(16384), 16384);
  EXPECT_EQ(ebb_row_fft_length(16385), 0);
}

} // namespace
