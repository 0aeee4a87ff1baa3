// Every conformance case of the published implementations that this build knows passes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "ebb/verify.h"
#include "support/op_check.h"

namespace {

namespace fs = std::filesystem;

fs::path golden() {
  const char *named = std::getenv("EBB_TEST_GOLDEN");
  return named ? fs::path(named) : fs::path(EBB_SOURCE_DIR) / ".." / "shared" / "golden";
}

void print_failed(void *, const EbbVerifyRow *row) {
  if (!row->passed)
    ADD_FAILURE() << row->tensor << ": error " << row->error << ", tolerance " << row->tolerance;
}

TEST(Golden, S4) {
  const fs::path folder = golden() / "s4";
  if (!fs::exists(folder)) GTEST_SKIP() << "no conformance cases at " << folder << "; set EBB_TEST_GOLDEN";
  int cases = 0;
  for (const std::string &device : ebb_test::devices())
    for (const auto &entry : fs::directory_iterator(folder)) {
      SCOPED_TRACE(entry.path().filename().string() + " on " + device);
      EbbVerifyReport report = {nullptr, print_failed, nullptr};
      EbbVerifyResult result = {};
      ASSERT_EQ(ebb_verify_case(entry.path().c_str(), device.c_str(), 0, &report, &result), EBB_OK)
          << ebb_error();
      EXPECT_GT(result.compared, 0);
      EXPECT_EQ(result.failed, 0);
      cases++;
    }
  EXPECT_GE(cases, 80);
}

TEST(Verify, FilesThatAreNoCases) {
  EbbVerifyResult result = {};
  EXPECT_EQ(ebb_verify_case("/nowhere/case.safetensors", "cpu", 0, nullptr, &result), EBB_NOT_FOUND);
  EXPECT_NE(std::string(ebb_error()).find("/nowhere/case.safetensors"), std::string::npos);
}

} // namespace
