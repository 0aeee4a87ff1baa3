// Mel-frequency cepstral coefficients against numbers of another implementation.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/data/mfcc.h"

namespace {

constexpr int64_t kSamples = 16000, kFrames = 161;

// Half a second of noise, a quarter that is a hundred times quieter, and silence.
std::vector<int16_t> signal() {
  std::vector<int16_t> samples;
  for (int64_t i = 0; i < kSamples; i++) {
    const int64_t loud = ((i * (i / 16 + 37)) % 4001 - 2000) * (1 + i % 3);
    samples.push_back(int16_t(i < 8000 ? loud : i < 12000 ? int64_t(std::floor(double(loud) / 100)) : 0));
  }
  return samples;
}

std::vector<float> coefficients_of(const std::vector<int16_t> &samples, bool decibels) {
  EbbMfcc *mfcc = nullptr;
  std::vector<float> out(size_t(ebb_mfcc_frames(int64_t(samples.size())) * EBB_MFCC_COEFFICIENTS));
  EXPECT_EQ(ebb_mfcc_create(int64_t(samples.size()), decibels, &mfcc), EBB_OK) << ebb_error();
  ebb_mfcc_make(mfcc, samples.data(), out.data());
  ebb_mfcc_destroy(mfcc);
  return out;
}

struct Frame {
  int64_t frame;
  double coefficient[5]; // 0, 1, 2, 7 and 19
};

struct Expected {
  bool decibels;
  std::vector<Frame> frames;
  double sum, squares; // of all
};

// Of the signal above, by a program in Python of float64 that follows the documentation of
// torchaudio.transforms.MFCC step by step: mirrored padding, a sum over sines and cosines, the filters of
// melscale_fbanks, create_dct. Frame 80 sees both levels, 120 the last of the sound.
const Expected kExpected[] = {
    {false,
     {{0, {-44.628127, -5.308797, 18.232462, 1.509761, -1.005599}},
      {1, {-12.497116, 0.819706, -0.599195, -2.331190, 0.774540}},
      {80, {-25.985661, -14.609982, -5.233445, -0.748455, -0.137426}},
      {120, {-92.387194, -6.594913, 1.416767, -2.121220, -1.699873}},
      {160, {-110.524084, 0, 0, 0, 0}}},
     -13132.160619,
     851668.440587},
    {true,
     {{0, {-196.636817, -26.255264, 77.532093, 4.065307, -5.600146}},
      {1, {-56.010433, 1.123438, -4.984044, -11.775415, 3.485618}},
      {80, {-114.594182, -65.890619, -25.110993, -4.901505, -0.473111}},
      {120, {-411.718651, -35.375890, 6.611592, -9.994352, -9.646611}},
      {160, {-535.551079, 0, 0, 0, 0}}},
     -62324.200385,
     18682533.315289},
};

TEST(Mfcc, AreThoseOfTheReference) {
  static const int of_column[] = {0, 1, 2, 7, 19};
  for (const Expected &expected : kExpected) {
    SCOPED_TRACE(expected.decibels ? "decibels" : "logarithms");
    const std::vector<float> got = coefficients_of(signal(), expected.decibels);
    ASSERT_EQ(int64_t(got.size()), kFrames * EBB_MFCC_COEFFICIENTS);
    for (const Frame &frame : expected.frames)
      for (int i = 0; i < 5; i++)
        EXPECT_NEAR(got[size_t(frame.frame * EBB_MFCC_COEFFICIENTS + of_column[i])], frame.coefficient[i],
                    1e-5 * (1 + std::fabs(expected.frames[0].coefficient[0])))
            << "frame " << frame.frame << ", coefficient " << of_column[i];
    double sum = 0, squares = 0;
    for (float v : got) sum += double(v), squares += double(v) * double(v);
    EXPECT_NEAR(sum, expected.sum, 1e-5 * std::fabs(expected.sum));
    EXPECT_NEAR(squares, expected.squares, 1e-5 * expected.squares);
  }
}

// Any length: every frame is whole, and a sound far from the ends moves with its frame.
TEST(Mfcc, FramesAreHundredSamplesApart) {
  for (int64_t n : {101, 199, 200, 250, 1000}) {
    std::vector<int16_t> samples(size_t(n), 0);
    samples[size_t(n / 2)] = 20000;
    for (float v : coefficients_of(samples, false)) EXPECT_TRUE(std::isfinite(v));
  }
  std::vector<int16_t> early(1000, 0), late(1000, 0);
  for (size_t i = 0; i < 150; i++) early[300 + i] = late[500 + i] = int16_t(3000 * std::sin(0.3 * double(i)));
  const std::vector<float> a = coefficients_of(early, false), b = coefficients_of(late, false);
  for (size_t i = 0; i < 7 * EBB_MFCC_COEFFICIENTS; i++)
    EXPECT_EQ(a[1 * EBB_MFCC_COEFFICIENTS + i], b[3 * EBB_MFCC_COEFFICIENTS + i]);
}

// Silence: nothing is minus infinity, and all coefficients but the first are 0.
TEST(Mfcc, SilenceIsFinite) {
  const std::vector<float> logs = coefficients_of(std::vector<int16_t>(400, 0), false),
                           decibels = coefficients_of(std::vector<int16_t>(400, 0), true);
  EXPECT_NEAR(logs[0], 8 * std::log(1e-6), 1e-3);
  EXPECT_NEAR(decibels[0], 8 * -100.0, 1e-3);
  for (int k = 1; k < EBB_MFCC_COEFFICIENTS; k++) EXPECT_NEAR(logs[size_t(k)], 0, 1e-4);
}

} // namespace
