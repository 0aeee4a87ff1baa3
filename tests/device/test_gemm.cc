// Matrix products against sums in double, at sizes around every block boundary.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ebb/rng.h"

extern "C" {
#include "host/cpu.h"
}

namespace {

std::vector<float> draw(int64_t size, uint64_t seed) {
  std::vector<float> x;
  for (int64_t i = 0; i < size; i++) x.push_back(ebb_unit_float(ebb_random(seed, 0, 0, uint64_t(i))) - 0.5F);
  return x;
}

struct Size {
  int64_t m, n, k, spare; // spare: how much wider rows are than they need to be
};

void compare(const Size &s, bool transpose_a, bool transpose_b, float alpha, float beta) {
  const int64_t lda = (transpose_a ? s.m : s.k) + s.spare, ldb = (transpose_b ? s.k : s.n) + s.spare,
                ldc = s.n + s.spare;
  const std::vector<float> a = draw((transpose_a ? s.k : s.m) * lda, 1),
                           b = draw((transpose_b ? s.n : s.k) * ldb, 2);
  const std::vector<float> before = draw(s.m * ldc, 3);
  std::vector<float> c = before;
  EbbGemm gemm{};
  gemm.transpose_a = transpose_a, gemm.transpose_b = transpose_b, gemm.m = s.m, gemm.n = s.n, gemm.k = s.k;
  gemm.alpha = alpha, gemm.beta = beta, gemm.a = a.data(), gemm.lda = lda, gemm.b = b.data(), gemm.ldb = ldb;
  gemm.c = c.data(), gemm.ldc = ldc;
  ebb_cpu_gemm(&gemm);
  const double tolerance = 3e-7 * std::sqrt(double(s.k)) + 1e-6;
  for (int64_t i = 0; i < s.m; i++)
    for (int64_t j = 0; j < ldc; j++) {
      const size_t at = size_t(i * ldc + j);
      if (j >= s.n) {
        ASSERT_EQ(c[at], before[at]) << "wrote beyond row " << i;
        continue;
      }
      double sum = 0;
      for (int64_t t = 0; t < s.k; t++)
        sum += double(a[size_t(transpose_a ? t * lda + i : i * lda + t)]) *
               double(b[size_t(transpose_b ? j * ldb + t : t * ldb + j)]);
      ASSERT_NEAR(c[at], alpha * sum + beta * double(before[at]), tolerance)
          << s.m << "x" << s.n << "x" << s.k << " at " << i << ", " << j;
    }
}

TEST(Gemm, AgreesWithSumsAtEveryBoundary) {
  const Size sizes[] = {{1, 1, 1, 0},     {8, 32, 16, 0},   {7, 31, 5, 3},     {9, 33, 17, 1},
                        {16, 64, 256, 0}, {17, 40, 257, 2}, {257, 33, 300, 5}, {12, 10, 128, 0},
                        {64, 1, 513, 0},  {300, 70, 31, 0}};
  for (const Size &size : sizes)
    for (bool transpose_a : {false, true})
      for (bool transpose_b : {false, true}) {
        compare(size, transpose_a, transpose_b, 1, 0);
        compare(size, transpose_a, transpose_b, 1, 1);
        compare(size, transpose_a, transpose_b, -0.5F, 0.25F);
      }
}

TEST(Gemm, BetaZeroDoesNotReadC) {
  const std::vector<float> a(8 * 300, 1.0F), b(300 * 40, 1.0F);
  std::vector<float> c(8 * 40, std::numeric_limits<float>::quiet_NaN());
  EbbGemm gemm{};
  gemm.m = 8, gemm.n = 40, gemm.k = 300, gemm.alpha = 1, gemm.a = a.data(), gemm.lda = 300;
  gemm.b = b.data(), gemm.ldb = 40, gemm.c = c.data(), gemm.ldc = 40;
  ebb_cpu_gemm(&gemm);
  for (float value : c) ASSERT_EQ(value, 300.0F);
}

} // namespace
