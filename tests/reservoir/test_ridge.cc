// The readout of a reservoir.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ebb/ridge.h"
#include "ebb/rng.h"

namespace {

using Doubles = std::vector<double>;

struct Free {
  void operator()(EbbRidge *r) const { ebb_ridge_destroy(r); }
};
using Ridge = std::unique_ptr<EbbRidge, Free>;

Ridge ridge_of(int features, int outputs, bool bias = false) {
  EbbRidge *made = nullptr;
  EXPECT_EQ(ebb_ridge_create(features, outputs, bias, &made), EBB_OK) << ebb_error();
  return Ridge(made);
}

Doubles drawn(int64_t n, uint64_t stream) {
  Doubles out;
  for (int64_t i = 0; i < n; i++)
    out.push_back(2 * ebb_unit_double(ebb_random(stream, 0, 0, uint64_t(i))) - 1);
  return out;
}

TEST(Ridge, OneFeature) {
  Ridge r = ridge_of(1, 2);
  const Doubles R = {1, 2, 3}, Y = {1, 0, 1, 1, 2, -1};
  ASSERT_EQ(ebb_ridge_add(r.get(), 3, R.data(), Y.data()), EBB_OK);
  Doubles W(2);
  ASSERT_EQ(ebb_ridge_solve(r.get(), 6, W.data()), EBB_OK) << ebb_error();
  EXPECT_NEAR(W[0], 9.0 / 20, 1e-15);
  EXPECT_NEAR(W[1], -1.0 / 20, 1e-15);
  ASSERT_EQ(ebb_ridge_solve(r.get(), 0, W.data()), EBB_OK) << "solving leaves the sums as they were";
  EXPECT_NEAR(W[0], 9.0 / 14, 1e-15);
}

// Samples of a linear map are recovered; more than one piece of samples, odd sizes.
TEST(Ridge, RecoversALinearMap) {
  const int features = 7, outputs = 3, n = 611;
  for (bool bias : {false, true}) {
    Doubles R = drawn(n * features, 1), map = drawn((features + 1) * outputs, 2), Y(size_t(n * outputs));
    for (int i = 0; i < n; i++)
      for (int o = 0; o < outputs; o++) {
        double sum = bias ? map[size_t(features * outputs + o)] : 0;
        for (int k = 0; k < features; k++) sum += R[size_t(i * features + k)] * map[size_t(k * outputs + o)];
        Y[size_t(i * outputs + o)] = sum;
      }
    Ridge r = ridge_of(features, outputs, bias);
    ASSERT_EQ(ebb_ridge_add(r.get(), 1, R.data(), Y.data()), EBB_OK);
    ASSERT_EQ(ebb_ridge_add(r.get(), n - 1, &R[features], &Y[outputs]), EBB_OK);
    Doubles W(size_t((features + bias) * outputs)), again(Y.size());
    ASSERT_EQ(ebb_ridge_solve(r.get(), 0, W.data()), EBB_OK) << ebb_error();
    for (size_t i = 0; i < W.size(); i++) EXPECT_NEAR(W[i], map[i], 1e-12);
    ebb_ridge_apply(r.get(), W.data(), n, R.data(), again.data());
    for (size_t i = 0; i < Y.size(); i++) EXPECT_NEAR(again[i], Y[i], 1e-12);
  }
}

TEST(Ridge, LambdaSparesTheBias) {
  Ridge r = ridge_of(1, 1, true);
  const Doubles R = {-1, 1}, Y = {4, 6};
  ASSERT_EQ(ebb_ridge_add(r.get(), 2, R.data(), Y.data()), EBB_OK);
  Doubles W(2);
  ASSERT_EQ(ebb_ridge_solve(r.get(), 1e12, W.data()), EBB_OK) << ebb_error();
  EXPECT_NEAR(W[0], 0, 1e-9);
  EXPECT_NEAR(W[1], 5, 1e-9);
}

TEST(Ridge, SingularSystems) {
  Doubles W(3), few = drawn(6, 3), Y = {1, 2};
  Ridge r = ridge_of(3, 1);
  ASSERT_EQ(ebb_ridge_add(r.get(), 2, few.data(), Y.data()), EBB_OK);
  EXPECT_EQ(ebb_ridge_solve(r.get(), 0, W.data()), EBB_NUMERIC);
  EXPECT_NE(
      std::string(ebb_error()).find("3 features over 2 samples are singular with lambda = 0: raise lambda"),
      std::string::npos)
      << ebb_error();
  EXPECT_EQ(ebb_ridge_solve(r.get(), 1e-3, W.data()), EBB_OK);
  Ridge nearly = ridge_of(2, 1); // columns that differ in the last bits
  const Doubles R = {1, 1 + 1e-15, 2, 2, 3, 3}, target = {1, 2, 3};
  ASSERT_EQ(ebb_ridge_add(nearly.get(), 3, R.data(), target.data()), EBB_OK);
  EXPECT_EQ(ebb_ridge_solve(nearly.get(), 0, W.data()), EBB_NUMERIC);
}

TEST(Ridge, SaysWhatIsWrong) {
  EbbRidge *none = nullptr;
  EXPECT_EQ(ebb_ridge_create(0, 1, false, &none), EBB_INVALID);
  EXPECT_EQ(none, nullptr);
  Ridge r = ridge_of(1, 1);
  double W[1];
  EXPECT_EQ(ebb_ridge_solve(r.get(), 0, W), EBB_STATE);
  const double bad[] = {1, std::numeric_limits<double>::quiet_NaN()}, good[] = {1, 1};
  EXPECT_EQ(ebb_ridge_add(r.get(), 2, bad, good), EBB_NUMERIC);
  EXPECT_NE(std::string(ebb_error()).find("features R[1] is"), std::string::npos);
  EXPECT_EQ(ebb_ridge_add(r.get(), 2, good, bad), EBB_NUMERIC);
  EXPECT_EQ(ebb_ridge_solve(r.get(), 1, W), EBB_STATE) << "nothing was added";
  ASSERT_EQ(ebb_ridge_add(r.get(), 2, good, good), EBB_OK);
  EXPECT_EQ(ebb_ridge_solve(r.get(), -1, W), EBB_INVALID);
  EXPECT_EQ(ebb_ridge_solve(r.get(), bad[1], W), EBB_INVALID);
}

} // namespace
