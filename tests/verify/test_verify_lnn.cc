// Conformance cases of the ODE solver, liquid networks and leaky attention, on every device.
#include <gtest/gtest.h>

#include <string>

#include "ebb/verify.h"
#include "support/golden.h"
#include "support/op_check.h"

namespace {

void print_failed(void *, const EbbVerifyRow *row) {
  if (!row->passed)
    ADD_FAILURE() << row->tensor << ": error " << row->error << ", tolerance " << row->tolerance;
}

void expect_agreement(const std::string &prefix, int least) {
  const auto files = ebb_test::golden_files("cells", prefix);
  if (files.empty()) GTEST_SKIP() << "no conformance cases; set EBB_TEST_GOLDEN";
  EXPECT_GE(int(files.size()), least);
  for (const std::string &device : ebb_test::devices())
    for (const std::string &file : files) {
      SCOPED_TRACE(file + " on " + device);
      EbbVerifyReport report = {nullptr, print_failed, nullptr};
      EbbVerifyResult result = {};
      ASSERT_EQ(ebb_verify_case(file.c_str(), device.c_str(), 0, &report, &result), EBB_OK) << ebb_error();
      EXPECT_GT(result.compared, 0);
      EXPECT_EQ(result.failed, 0);
    }
}

TEST(GoldenCells, OdeSolver) { expect_agreement("odesolver", 1); }
TEST(GoldenCells, LiquidNetworks) { expect_agreement("edifice", 11); }
TEST(GoldenCells, LeakyAttention) { expect_agreement("leakyattn", 4); }

} // namespace
