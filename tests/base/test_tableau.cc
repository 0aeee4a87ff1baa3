// The tables of Runge-Kutta methods are consistent: what the numbers must satisfy among themselves.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "ebb/tableau.h"

namespace {

double value(const double *polynomial, int degree, double z) {
  double sum = 0;
  for (int k = degree; k >= 0; k--) sum = sum * z + polynomial[k];
  return sum;
}

TEST(Tableau, IsFoundByName) {
  for (const char *name : {"euler", "midpoint", "heun", "rk4", "dopri5"}) {
    ASSERT_NE(ebb_tableau_find(name), nullptr) << name;
    EXPECT_STREQ(ebb_tableau_find(name)->name, name);
  }
  EXPECT_EQ(ebb_tableau_find("rk5"), nullptr);
  EXPECT_EQ(ebb_tableau_at(-1), nullptr);
  EXPECT_EQ(ebb_tableau_at(ebb_tableau_count()), nullptr);
}

TEST(Tableau, IsConsistent) {
  for (int m = 0; m < ebb_tableau_count(); m++) {
    const EbbTableau *t = ebb_tableau_at(m);
    SCOPED_TRACE(t->name);
    double weights = 0, errors = 0, size = 0;
    for (int i = 0; i < t->stages; i++) {
      double row = 0;
      for (int j = 0; j < EBB_STAGES; j++) {
        row += t->a[i][j];
        if (j >= i) EXPECT_EQ(t->a[i][j], 0) << "not explicit";
      }
      EXPECT_NEAR(row, t->c[i], 1e-14);
      weights += t->b[i], errors += t->b_error[i], size += std::fabs(t->b_error[i]);
    }
    EXPECT_NEAR(weights, 1, 1e-15);
    EXPECT_NEAR(errors, 0, 1e-15);
    EXPECT_EQ(size > 0, t->adaptive);
  }
}

// R(z) = e^z up to the order, the error estimate starts one power behind the embedded order 4, and |R| leaves
// 1 at the limit.
TEST(Tableau, PolynomialsFollowTheExponential) {
  for (int m = 0; m < ebb_tableau_count(); m++) {
    const EbbTableau *t = ebb_tableau_at(m);
    SCOPED_TRACE(t->name);
    double step[EBB_STAGES + 1], error[EBB_STAGES + 1], factorial = 1;
    ebb_tableau_polynomials(t, step, error);
    for (int k = 0; k <= t->order; factorial *= ++k) EXPECT_NEAR(step[k], 1 / factorial, 1e-15) << k;
    for (int k = 0; k <= 4; k++) EXPECT_NEAR(error[k], 0, 1e-16) << k;
    if (t->adaptive) EXPECT_GT(std::fabs(error[5]), 1e-5);
    EXPECT_NEAR(std::fabs(value(step, t->stages, -t->real_limit)), 1, 1e-12);
    for (double z = 0.01; z < t->real_limit; z += 0.01)
      EXPECT_LT(std::fabs(value(step, t->stages, -z)), 1) << z;
    EXPECT_GT(std::fabs(value(step, t->stages, -t->real_limit - 0.01)), 1);
  }
}

} // namespace
