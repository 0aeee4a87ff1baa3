/* The emulated device finds planted bugs, says where they are, and is silent about their correct twins. */
#include "device_array.h"
#include "ebb_emulator.h"
#include "kernels.h"
#include <string>

namespace {

const std::vector<float> ones((size_t)planted_n, 1.0f);

struct Memory {
  DeviceArray<float> in{ones}, out{ones}, unwritten{(size_t)planted_n};
  std::vector<float> host = ones;
  PlantedMemory memory;

  Memory() {
    float *freed;
    EXPECT_EQ(cudaMalloc(&freed, (size_t)planted_n * sizeof(float)), cudaSuccess);
    EXPECT_EQ(cudaFree(freed), cudaSuccess);
    memory = {in.get(), out.get(), unwritten.get(), freed, host.data()};
  }
};

/* The parts of `says` in their order. */
void expect_says(const std::string &report, const std::string &says) {
  size_t at = 0, from = 0;
  while (from <= says.size()) {
    size_t to = std::min(says.find('|', from), says.size());
    std::string part = says.substr(from, to - from);
    size_t found = report.find(part, at);
    EXPECT_NE(found, std::string::npos) << "'" << part << "' is not, or not in its place, in: " << report;
    if (found == std::string::npos) return;
    at = found + part.size();
    from = to + 1;
  }
}

#if defined(__SANITIZE_ADDRESS__)
const bool asan = true;
#else
const bool asan = false;
#endif

std::vector<Planted> found_here(bool deadly) {
  std::vector<Planted> bugs;
  for (int i = 0; i < planted_count; i++) {
    const Planted &bug = planted_bugs[i];
    bool reported = bug.deadlock || ebb_emulator_checks() != 0;
    if (deadly ? !reported && bug.asan && asan : reported) bugs.push_back(bug);
  }
  return bugs;
}

std::string name_of(const testing::TestParamInfo<Planted> &info) { return info.param.name; }

class PlantedBug : public testing::TestWithParam<Planted> {
protected:
  ~PlantedBug() override { ebb_emulator_reset(); }
};

TEST_P(PlantedBug, IsReported) {
  const Planted &bug = GetParam();
  Memory memory;
  Stream stream;
  ASSERT_EQ(bug.launch(true, memory.memory, stream), cudaSuccess) << "a launch itself succeeds";
  EXPECT_STREQ(ebb_emulator_report(), "") << "nothing runs before it has to";
  EXPECT_EQ(cudaStreamSynchronize(stream), bug.error);
  expect_says(ebb_emulator_report(), bug.says);
  EXPECT_EQ(cudaMemset(memory.memory.in, 0, 4), bug.error) << "the error stays";
  ebb_emulator_reset();
  EXPECT_EQ(cudaMemset(memory.memory.in, 0, 4), cudaSuccess);
}

INSTANTIATE_TEST_SUITE_P(Emulator, PlantedBug, testing::ValuesIn(found_here(false)), name_of);

class PlantedDeath : public testing::TestWithParam<Planted> {};

TEST_P(PlantedDeath, IsSeenByAddressSanitizer) {
  const Planted &bug = GetParam();
  Memory memory;
  bug.launch(true, memory.memory, nullptr);
  EXPECT_DEATH(cudaDeviceSynchronize(), "AddressSanitizer|illegal access");
  ebb_emulator_reset();
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PlantedDeath);
INSTANTIATE_TEST_SUITE_P(Emulator, PlantedDeath, testing::ValuesIn(found_here(true)), name_of);

class CorrectTwin : public testing::TestWithParam<Planted> {};

TEST_P(CorrectTwin, IsNotReported) {
  Memory memory;
  for (int rerun = 0; rerun < 2; rerun++) {
    ASSERT_EQ(GetParam().launch(false, memory.memory, nullptr), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_STREQ(ebb_emulator_report(), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Emulator, CorrectTwin, testing::ValuesIn(planted_bugs, planted_bugs + planted_count),
                         name_of);

} // namespace
