// The products of a warp against sums in double of operands that are rounded here.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cuda/mma.h"
#include "support/has_cuda.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

using namespace ebb_test;

namespace {

constexpr int kRows = 16, kColumns = 8;

// The nearest number with `bits` bits of mantissa after the leading one; ties away from 0, or to even.
float rounded(float x, int bits, bool even) {
  int exponent;
  const double mantissa = std::frexp(double(x), &exponent), scale = std::ldexp(1.0, bits + 1);
  const double scaled = mantissa * scale;
  return float(std::ldexp((even ? std::nearbyint(scaled) : std::round(scaled)) / scale, exponent));
}

float without_low_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits &= 0xffffe000U;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

class Array {
public:
  Array(EbbDevice *device, const Floats &values) : device_(device), size_(values.size()) {
    require(ebb_device_alloc(device, size_ * sizeof(float), "a test", &memory_));
    require(ebb_device_write(device, memory_, values.data(), size_ * sizeof(float)));
  }
  ~Array() { ebb_device_free(device_, memory_); }
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  float *at() const { return static_cast<float *>(memory_); }
  Floats read() const {
    Floats out(size_);
    require(ebb_device_read(device_, out.data(), memory_, size_ * sizeof(float)));
    return out;
  }

private:
  EbbDevice *device_;
  size_t size_;
  void *memory_ = nullptr;
};

Floats product(bool bf16, bool round, const Floats &a, const Floats &b, const Floats &d) {
  EbbDevice *device = nullptr;
  require(ebb_device_open("cuda", 1, &device));
  Floats result;
  {
    const Array at(device, a), bt(device, b), dt(device, d);
    const EbbRun run = {device, true, 1, 1};
    const MmaCheck check = {bf16, round, at.at(), bt.at(), dt.at()};
    require(mma_check(&run, &check));
    result = dt.read();
  }
  ebb_device_close(device);
  return result;
}

template <class Round> void expect_product(bool bf16, bool round, Round rounding, uint64_t seed) {
  const int K = bf16 ? 16 : 8;
  const Floats a = random_tensor({kRows, K}, seed).floats, b = random_tensor({K, kColumns}, seed + 1).floats;
  const Floats before = random_tensor({kRows, kColumns}, seed + 2).floats;
  const Floats got = product(bf16, round, a, b, before);
  for (int i = 0; i < kRows; i++)
    for (int j = 0; j < kColumns; j++) {
      double sum = before[size_t(i * kColumns + j)];
      for (int k = 0; k < K; k++)
        sum += double(rounding(a[size_t(i * K + k)])) * double(rounding(b[size_t(k * kColumns + j)]));
      // A few float32 sums of numbers of order 1; a wrong rounding shows as 1e-4.
      EXPECT_NEAR(double(got[size_t(i * kColumns + j)]), sum, 4e-6) << i << ", " << j;
    }
}

class Mma : public ::testing::Test {
protected:
  void SetUp() override {
    if (!ebb_test::has_cuda()) GTEST_SKIP() << "no CUDA device";
  }
};

TEST_F(Mma, MultipliesInTf32) {
  expect_product(
      false, true, [](float x) { return rounded(x, 10, false); }, 1);
}

TEST_F(Mma, IgnoresTheLowBitsOfTf32) { expect_product(false, false, without_low_bits, 4); }

TEST_F(Mma, MultipliesInBf16) {
  expect_product(
      true, true, [](float x) { return rounded(x, 7, true); }, 7);
}

TEST_F(Mma, RoundsTiesOfTf32AwayFromZeroAndKeepsWhatIsNotFinite) {
  const struct {
    float from, to;
  } rows[] = {{1 + 0x1p-11F, 1 + 0x1p-10F},
              {-1 - 0x1p-11F, -1 - 0x1p-10F},
              {1 + 0x1p-12F, 1},
              {1 + 3 * 0x1p-12F, 1 + 0x1p-10F},
              {2 - 0x1p-12F, 2},
              {INFINITY, INFINITY},
              {-INFINITY, -INFINITY}};
  for (const auto &row : rows) {
    Floats a(kRows * 8, 0), b(8 * kColumns, 0);
    a[0] = row.from, b[0] = 1;
    EXPECT_EQ(product(false, true, a, b, Floats(kRows * kColumns, 0))[0], row.to) << row.from;
  }
  Floats a(kRows * 8, 0), b(8 * kColumns, 0);
  a[0] = NAN, b[0] = 1;
  EXPECT_TRUE(std::isnan(product(false, true, a, b, Floats(kRows * kColumns, 0))[0]));
}

} // namespace
