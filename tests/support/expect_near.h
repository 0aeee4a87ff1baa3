// Comparing what an op gives with values in double.
#ifndef EBB_TESTS_EXPECT_NEAR_H
#define EBB_TESTS_EXPECT_NEAR_H

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ebb_test {

// Every element within tolerance (1 + |expected|).
template <class T>
void expect_near(const std::vector<float> &got, const std::vector<T> &expected, double tolerance,
                 const char *what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); i++)
    ASSERT_NEAR(got[i], expected[i], tolerance * (1 + std::fabs(expected[i]))) << what << ", element " << i;
}

} // namespace ebb_test

#define FORWARD(run) ASSERT_EQ((run).forward(), EBB_OK) << ebb_error()

#endif
