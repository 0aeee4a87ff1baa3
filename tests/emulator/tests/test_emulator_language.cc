/* The language of kernels on the emulated device: what CUDA says each part does. */
#include "cuda_bf16.h"
#include "device_array.h"
#include "ebb_emulator.h"
#include "kernels.h"
#include <cmath>
#include <cstdlib>
#include <limits>

namespace {

TEST(EmulatorLanguage, IndicesCoverGridAndBlock) {
  dim3 grid(3, 2, 2), block(5, 3, 2);
  DeviceArray<int> out((size_t)12 * 30);
  ASSERT_EQ(launch_indices(out.get(), grid, block, nullptr), cudaSuccess);
  std::vector<int> values = out.values();
  for (int b = 0; b < 12; b++)
    for (int t = 0; t < 30; t++) EXPECT_EQ(values[(size_t)(b * 30 + t)], b * 1000 + t);
}

TEST(EmulatorLanguage, Shuffles) {
  DeviceArray<int> out(32 * 6);
  ASSERT_EQ(launch_shuffles(out.get(), nullptr), cudaSuccess);
  std::vector<int> values = out.values();
  for (int lane = 0; lane < 32; lane++) {
    const int *mine = &values[(size_t)(6 * lane)];
    EXPECT_EQ(mine[0], 5);
    EXPECT_EQ(mine[1], lane < 3 ? lane : lane - 3);
    EXPECT_EQ(mine[2], lane % 8 + 3 < 8 ? lane + 3 : lane);
    EXPECT_EQ(mine[3], lane ^ 9);
    EXPECT_EQ(mine[4], lane / 4 * 4 + (lane + 1) % 4);
    EXPECT_EQ(mine[5], lane ^ 1);
  }
}

TEST(EmulatorLanguage, Votes) {
  DeviceArray<unsigned> out(64 * 4);
  ASSERT_EQ(launch_votes(out.get(), nullptr), cudaSuccess);
  std::vector<unsigned> values = out.values();
  for (int t = 0; t < 64; t++) {
    const unsigned *mine = &values[(size_t)(4 * t)];
    EXPECT_EQ(mine[0], 0x49249249u);
    EXPECT_EQ(mine[1], t >= 32 ? 1u : 0u);
    EXPECT_EQ(mine[2], t >= 32 ? 1u : 0u);
    EXPECT_EQ(mine[3], t % 32 < 16 ? 0x00005555u : 0x55550000u);
  }
}

TEST(EmulatorLanguage, BarriersCount) {
  DeviceArray<int> out(96 * 3);
  ASSERT_EQ(launch_barriers(out.get(), nullptr), cudaSuccess);
  std::vector<int> values = out.values();
  for (int t = 0; t < 96; t++) {
    EXPECT_EQ(values[(size_t)(3 * t)], 20);
    EXPECT_EQ(values[(size_t)(3 * t + 1)], 1);
    EXPECT_EQ(values[(size_t)(3 * t + 2)], 0);
  }
}

TEST(EmulatorLanguage, Atomics) {
  DeviceArray<int> counters(std::vector<int>(6, 0));
  DeviceArray<float> sum(std::vector<float>(1, 0.0f));
  ASSERT_EQ(launch_atomics(counters.get(), sum.get(), nullptr), cudaSuccess);
  std::vector<int> values = counters.values();
  EXPECT_EQ(values[0], 127 * 128 / 2);
  EXPECT_EQ(values[1], 127);
  EXPECT_EQ(values[2], -127);
  EXPECT_EQ(values[3], 0x7fffffff);
  EXPECT_GE(values[4], 1);
  EXPECT_GE(values[5], 0);
  EXPECT_EQ(sum.values()[0], 64.0f);
}

TEST(EmulatorLanguage, GridSyncJoinsAllBlocks) {
  const int blocks = 7, n = blocks * 64;
  DeviceArray<int> cells((size_t)n), out((size_t)n);
  ASSERT_EQ(launch_grid_sync(cells.get(), out.get(), blocks, true, nullptr), cudaSuccess);
  std::vector<int> values = out.values();
  for (int i = 0; i < n; i++) EXPECT_EQ(values[(size_t)i], n - 1 - i + 2);
}

TEST(EmulatorLanguage, GridSyncNeedsACooperativeLaunch) {
  DeviceArray<int> cells(128), out(128);
  ASSERT_EQ(launch_grid_sync(cells.get(), out.get(), 2, false, nullptr), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  EXPECT_NE(std::string(ebb_emulator_report()).find("not cooperative"), std::string::npos)
      << ebb_emulator_report();
  ebb_emulator_reset();
}

TEST(EmulatorLanguage, NeighboursMayWriteTheTwoHalvesOfAWord) {
  DeviceArray<uint16_t> out(64);
  ASSERT_EQ(launch_half_words(out.get(), nullptr), cudaSuccess);
  std::vector<uint16_t> values = out.values();
  for (int t = 0; t < 64; t++) EXPECT_EQ(ebb_emulator_bf16_value(values[(size_t)t]), (float)(63 - t));
  EXPECT_STREQ(ebb_emulator_report(), "");
}

TEST(EmulatorLanguage, ConfigurationsThatCudaRefuses) {
  struct {
    dim3 grid, block;
    size_t shared_bytes;
    cudaError_t error;
  } rows[] = {
      {{1}, {1024}, 0, cudaSuccess},
      {{1}, {1025}, 0, cudaErrorInvalidConfiguration},
      {{1}, {32, 33}, 0, cudaErrorInvalidConfiguration},
      {{1}, {1, 1, 65}, 0, cudaErrorInvalidConfiguration},
      {{0}, {32}, 0, cudaErrorInvalidConfiguration},
      {{1}, {0}, 0, cudaErrorInvalidConfiguration},
      {{1, 65536}, {32}, 0, cudaErrorInvalidConfiguration},
      {{1, 1, 65536}, {32}, 0, cudaErrorInvalidConfiguration},
      {{1, 65535}, {1}, 0, cudaSuccess},
      {{70000}, {1}, 0, cudaSuccess},
      {{1}, {32}, 227 * 1024, cudaSuccess},
      {{1}, {32}, 227 * 1024 + 1, cudaErrorInvalidValue},
  };
  for (const auto &row : rows) {
    EXPECT_EQ(launch_nothing(row.grid, row.block, row.shared_bytes, nullptr), row.error);
    EXPECT_EQ(cudaGetLastError(), row.error);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "reading the error clears it";
  }
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST(EmulatorLanguage, CooperativeLaunchesMustFitTheDevice) {
  DeviceArray<int> cells(64), out(64);
  EXPECT_EQ(launch_grid_sync(cells.get(), out.get(), 100000, true, nullptr),
            cudaErrorCooperativeLaunchTooLarge);
  (void)cudaGetLastError();
}

int first_thread_with(const char *order) {
  setenv("EBB_EMULATOR_ORDER", order, 1);
  DeviceArray<int> out(std::vector<int>(1, -1));
  EXPECT_EQ(launch_first_thread(out.get(), nullptr), cudaSuccess);
  return out.values()[0];
}

/* The order is read once a process, so each runs in one of its own. */
TEST(EmulatorLanguageDeath, ThreadsRunInTheOrderAskedFor) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(exit(first_thread_with("forward")), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(exit(first_thread_with("reverse")), testing::ExitedWithCode(63), "");
  EXPECT_EXIT(exit(first_thread_with("sideways")), testing::ExitedWithCode(2),
              "give forward, reverse or random");
}

TEST(EmulatorLanguageDeath, AFullStackIsNamed) {
  DeviceArray<int> out(1);
  ASSERT_EQ(launch_recursion(out.get(), 5, nullptr), cudaSuccess);
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  ASSERT_EQ(launch_recursion(out.get(), 100000, nullptr), cudaSuccess);
  EXPECT_DEATH(cudaDeviceSynchronize(), "local memory overflowed in kernel 'recursion'|stack-overflow");
  ebb_emulator_reset();
}

TEST(EmulatorLanguage, Bfloat16RoundsToNearestEven) {
  EXPECT_EQ(ebb_emulator_bf16_bits(1.0f), 0x3f80);
  EXPECT_EQ(ebb_emulator_bf16_bits(1.00390625f), 0x3f80) << "halfway, the lower one is even";
  EXPECT_EQ(ebb_emulator_bf16_bits(1.01171875f), 0x3f82) << "halfway, the upper one is even";
  EXPECT_EQ(ebb_emulator_bf16_bits(1.0040f), 0x3f81);
  EXPECT_EQ(ebb_emulator_bf16_bits(-INFINITY), 0xff80);
  EXPECT_EQ(ebb_emulator_bf16_bits(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan((float)__nv_bfloat16(NAN)));
}

TEST(EmulatorLanguage, Intrinsics) {
  float s, c;
  sincospif(0.5f, &s, &c);
  EXPECT_EQ(s, 1.0f);
  EXPECT_NEAR(c, 0.0f, 1e-7f);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__brev(1u), 0x80000000u);
  EXPECT_EQ(__umulhi(0x80000000u, 6u), 3u);
  EXPECT_EQ(__float_as_int(1.0f), 0x3f800000);
  EXPECT_EQ(rsqrtf(4.0f), 0.5f);
}

} // namespace
