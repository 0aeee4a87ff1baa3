// Values to spikes.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "ebb/spikes.h"

namespace {

using Doubles = std::vector<double>;
const double kNan = std::numeric_limits<double>::quiet_NaN();

Doubles rate(const Doubles &x, uint64_t seed, uint64_t step) {
  Doubles spike(x.size(), -1.0);
  EXPECT_EQ(ebb_spikes_rate(int64_t(x.size()), x.data(), seed, step, spike.data()), EBB_OK) << ebb_error();
  return spike;
}

TEST(Rate, FollowsTheValue) {
  const int steps = 4000;
  const Doubles x = {0, 0.25, 0.9, 1, -3, 7};
  Doubles spikes(x.size(), 0.0);
  for (int step = 0; step < steps; step++) {
    const Doubles now = rate(x, 1, uint64_t(step));
    for (size_t i = 0; i < x.size(); i++) spikes[i] += now[i];
  }
  EXPECT_EQ(spikes[0], 0);
  EXPECT_EQ(spikes[3], steps);
  EXPECT_EQ(spikes[4], 0);
  EXPECT_EQ(spikes[5], steps);
  EXPECT_NEAR(spikes[1] / steps, 0.25, 4 * std::sqrt(0.25 * 0.75 / steps));
  EXPECT_NEAR(spikes[2] / steps, 0.9, 4 * std::sqrt(0.9 * 0.1 / steps));
}

TEST(Rate, IsAFunctionOfSeedAndStep) {
  const Doubles half(64, 0.5);
  EXPECT_EQ(rate(half, 1, 2), rate(half, 1, 2));
  EXPECT_NE(rate(half, 1, 2), rate(half, 1, 3));
  EXPECT_NE(rate(half, 1, 2), rate(half, 2, 2));
}

TEST(Latency, LargerIsSooner) {
  const Doubles x = {1, 0.5, 0, 0.05, 3};
  Doubles spike(5 * 5, -1.0);
  ASSERT_EQ(ebb_spikes_latency(5, x.data(), 0.05, 5, spike.data()), EBB_OK);
  const std::vector<int> at = {0, 2, -1, 4, 0};
  for (int t = 0; t < 5; t++)
    for (int i = 0; i < 5; i++) EXPECT_EQ(spike[size_t(t * 5 + i)], at[size_t(i)] == t) << t << ' ' << i;
  ASSERT_EQ(ebb_spikes_latency(5, x.data(), 0, 1, spike.data()), EBB_OK);
  EXPECT_EQ(std::accumulate(spike.begin(), spike.begin() + 5, 0.0), 5) << "one step takes all";
}

TEST(Delta, SendsOnChange) {
  const Doubles x = {0, 1, 0.4, 1, 0.6, 1, 0.7, -2, 0.2, -2};
  Doubles sent(2, kNan), spike(5 * 4, -1.0);
  ASSERT_EQ(ebb_spikes_delta(2, 5, x.data(), 0.5, sent.data(), spike.data()), EBB_OK);
  const Doubles expected = {0, 0, 0, 0,  // taken without a spike
                            0, 0, 0, 0,  // 0.4 is too little
                            1, 0, 0, 0,  // 0.6 rose
                            0, 0, 0, 1,  // the second fell by 3: one spike
                            0, 0, 0, 0}; // from 0.6 to 0.2 is too little
  EXPECT_EQ(spike, expected);
  EXPECT_EQ(sent, (Doubles{0.6, -2}));
}

// Two runs over halves equal one over all, because `sent` carries on.
TEST(Delta, GoesOnWhereItStopped) {
  const Doubles x = {0.1, 0.7, 0.2, 0.9, 0.35, -0.4, 0.0, 0.5};
  Doubles whole(16), halves(16), sent(1, kNan), again(1, kNan);
  ASSERT_EQ(ebb_spikes_delta(1, 8, x.data(), 0.3, sent.data(), whole.data()), EBB_OK);
  ASSERT_EQ(ebb_spikes_delta(1, 3, x.data(), 0.3, again.data(), halves.data()), EBB_OK);
  ASSERT_EQ(ebb_spikes_delta(1, 5, &x[3], 0.3, again.data(), &halves[6]), EBB_OK);
  EXPECT_EQ(whole, halves);
  EXPECT_GT(std::accumulate(whole.begin(), whole.end(), 0.0), 3);
}

TEST(Spikes, SaysWhatIsWrong) {
  const Doubles bad = {0, kNan};
  Doubles out(8), sent(2, 0.25);
  EXPECT_EQ(ebb_spikes_rate(2, bad.data(), 0, 0, out.data()), EBB_NUMERIC);
  EXPECT_NE(std::string(ebb_error()).find("x[1] is"), std::string::npos);
  EXPECT_EQ(ebb_spikes_latency(2, bad.data(), 0, 2, out.data()), EBB_NUMERIC);
  EXPECT_EQ(ebb_spikes_latency(1, bad.data(), 0, 0, out.data()), EBB_INVALID);
  EXPECT_EQ(ebb_spikes_delta(2, 1, bad.data(), 0.1, sent.data(), out.data()), EBB_NUMERIC);
  EXPECT_EQ(sent, (Doubles{0.25, 0.25}));
  EXPECT_EQ(ebb_spikes_delta(1, 1, bad.data(), 0, sent.data(), out.data()), EBB_INVALID);
}

} // namespace
