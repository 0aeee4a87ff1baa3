// The published recordings: counts, statistics and first values of the real files, against an independent
// reading of them, and leak-free splits.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "support/loaded.h"
#include "support/real_data.h"

namespace {

using ebb_test::Loaded;
using Counts = std::vector<int64_t>;
using Floats = std::vector<float>;

const std::vector<std::string> kPaper = {"dataset.protocol=paper"};

void expect_row(const Floats &got, const std::vector<double> &expected, double tolerance = 1e-5) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], expected[i], tolerance) << "feature " << i;
}

double share_of_ones(const EbbSamples &samples) {
  double ones = 0;
  const int64_t n = samples.offset[samples.n_samples];
  for (int64_t i = 0; i < n; i++) ones += samples.labels[i];
  return ones / double(n);
}

void expect_shape(const Loaded &data, int64_t d_input, int64_t n_classes, int64_t d_output, int64_t length) {
  EXPECT_TRUE(data.set->per_step);
  EXPECT_FALSE(data.set->variable_length);
  EXPECT_EQ(data.set->d_input, d_input);
  EXPECT_EQ(data.set->n_classes, n_classes);
  EXPECT_EQ(data.set->d_output, d_output);
  EXPECT_EQ(data.set->longest, length);
  for (EbbSplit split : {EBB_TRAIN, EBB_VALIDATION, EBB_TEST}) {
    const EbbSamples &s = data.split(split);
    EXPECT_EQ(s.offset[s.n_samples], s.n_samples * length);
    EXPECT_EQ(s.labels != nullptr, n_classes > 0);
    EXPECT_EQ(s.targets != nullptr, n_classes == 0);
  }
}

// Mean and deviation of a column over the windows of a split.
std::pair<double, double> moments(const Loaded &data, EbbSplit split, int64_t column) {
  const EbbSamples &s = data.split(split);
  const int64_t n = s.offset[s.n_samples], width = data.set->d_input;
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; i++) sum += double(s.values[i * width + column]);
  for (int64_t i = 0; i < n; i++)
    squares += std::pow(double(s.values[i * width + column]) - sum / double(n), 2);
  return {sum / double(n), std::sqrt(squares / double(n))};
}

TEST(Recordings, OccupancyAsPublished) {
  REAL_DATA(folder, "occupancy");
  const Loaded data("occupancy", folder, kPaper);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  expect_shape(data, 5, 2, 2, 16);
  EXPECT_EQ(data.counts(), (Counts{7315, 812, 1549}));
  expect_row(data.row(EBB_VALIDATION, 0),
             {-1.208712010, 0.157026381, -0.613726066, -0.430201183, -0.192152992});
  expect_row(data.row(EBB_TRAIN, 0), {-1.274273701, 0.054571157, -0.613726066, -0.437625051, -0.302833967});
  // The first test window begins datatest.txt: (23.7 - 20.61908364) / 1.016853998.
  EXPECT_NEAR(data.row(EBB_TEST, 0)[0], 3.0298513, 1e-4);
  EXPECT_NEAR(data.row(EBB_TEST, 332)[0], (21.76 - 20.61908364) / 1.016853998, 1e-5);
  EXPECT_NEAR(share_of_ones(data.split(EBB_TRAIN)), 0.20933014354, 1e-9);
  EXPECT_NEAR(share_of_ones(data.split(EBB_VALIDATION)), 0.22383004926, 1e-9);
  EXPECT_EQ(data.split(EBB_TEST).labels[0], 1);
}

TEST(Recordings, OccupancyInTime) {
  REAL_DATA(folder, "occupancy");
  const Loaded data("occupancy", folder);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  // 8143 rows: 7329 for training, of which 7313 windows begin before the last one; 814 for validation.
  EXPECT_EQ(data.counts(), (Counts{7313, 100, 1549}));
  // z-scored by the training rows: windows one a row see nearly each of them 16 times.
  for (int64_t column = 0; column < 5; column++) {
    const auto [mean, deviation] = moments(data, EBB_TRAIN, column);
    EXPECT_NEAR(mean, 0, 0.01) << column;
    EXPECT_NEAR(deviation, 1, 0.01) << column;
  }
}

TEST(Recordings, TrafficAsPublished) {
  REAL_DATA(folder, "traffic");
  const Loaded data("traffic", folder, kPaper);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  expect_shape(data, 7, 0, 1, 32);
  EXPECT_EQ(data.counts(), (Counts{9033, 1204, 1806}));
  // Temperatures are stored as floats, whose neighbours there are 3e-5 apart.
  expect_row(data.row(EBB_VALIDATION, 0), {0, 1.144129699, 0, 0, 40, 1, 0.707106781}, 3e-5);
  expect_row(data.row(EBB_TEST, 0), {0, -4.445870301, 0, 0, 40, 6, 0.965925826}, 3e-5);
  expect_row(data.row(EBB_TRAIN, 0), {0, -16.01587030, 0, 0, 90, 5, 0.866025404}, 3e-5);
  EXPECT_NEAR(data.split(EBB_VALIDATION).targets[0], 0.771165065, 1e-5);
  EXPECT_NEAR(data.split(EBB_TEST).targets[0], 0.433946175, 1e-5);
  EXPECT_NEAR(data.split(EBB_TRAIN).targets[0], -0.747829876, 1e-5);
  EXPECT_EQ(moments(data, EBB_TRAIN, 0).second, 0) << "the published holiday is never set";
}

TEST(Recordings, TrafficInTime) {
  REAL_DATA(folder, "traffic");
  const Loaded data("traffic", folder);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  // 48204 rows: 36154, 4820 and 7230, windows every 4 rows.
  EXPECT_EQ(data.counts(), (Counts{9031, 1197, 1800}));
  EXPECT_GT(moments(data, EBB_TRAIN, 0).second, 0) << "holidays are seen";
  EXPECT_NEAR(moments(data, EBB_TRAIN, 1).first, 0, 0.02);
}

TEST(Recordings, OzoneAsPublished) {
  REAL_DATA(folder, "ozone");
  const Loaded data("ozone", folder, kPaper);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  expect_shape(data, 72, 2, 2, 626);
  EXPECT_EQ(data.counts(), (Counts{25, 3, 4}));
  ASSERT_NE(data.set->class_weights, nullptr);
  EXPECT_EQ(data.set->class_weights[0], 0.1F);
  EXPECT_EQ(data.set->class_weights[1], 1.6F);
  // Sequence 7 first: rows 7, 11, ...
  Floats first = data.row(EBB_VALIDATION, 0), second = data.row(EBB_VALIDATION, 0, 1);
  first.resize(3), second.resize(3);
  expect_row(first, {-0.203890736, -0.203385593, -0.203024777}, 1e-6);
  expect_row(second, {-0.202808287, -0.202447471, -0.203241267}, 1e-6);
  const EbbSamples &train = data.split(EBB_TRAIN);
  int ones = 0;
  for (int64_t i = 0; i < 626; i++) ones += train.labels[i];
  EXPECT_EQ(ones, 41);
}

TEST(Recordings, OzoneInTime) {
  REAL_DATA(folder, "ozone");
  const Loaded data("ozone", folder);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  // 2534 rows: 1901, 253 and 380, windows of 32 every 4 rows.
  expect_shape(data, 72, 2, 2, 32);
  EXPECT_EQ(data.counts(), (Counts{468, 56, 87}));
}

TEST(Recordings, CheetahPredictsTheNextStep) {
  REAL_DATA(folder, "cheetah");
  for (const auto &keys : {std::vector<std::string>{}, kPaper}) {
    const Loaded data("cheetah", folder, keys);
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    expect_shape(data, 17, 0, 17, 32);
    EXPECT_EQ(data.counts(), (Counts{970, 485, 970}));
    const EbbSamples &test = data.split(EBB_TEST);
    double no_change = 0, low = 0, high = 0;
    const int64_t n = test.offset[test.n_samples] * 17;
    for (int64_t i = 0; i < n; i++) {
      no_change += std::pow(double(test.targets[i]) - double(test.values[i]), 2) / double(n);
      low = std::fmin(low, double(test.values[i])), high = std::fmax(high, double(test.values[i]));
    }
    EXPECT_NEAR(no_change, 62.87, 0.01);
    EXPECT_GE(low, -24.95);
    EXPECT_LE(high, 22.95);
    // The target of a step is the next step's input.
    for (int64_t i = 0; i < 31 * 17; i++) ASSERT_EQ(test.targets[i], test.values[i + 17]);
    // Window 1 begins ten steps behind window 0.
    EXPECT_EQ(data.row(EBB_TEST, 0, 10), data.row(EBB_TEST, 1));
  }
}

TEST(Recordings, SequentialMnist) {
  REAL_DATA(folder, "mnist");
  const Loaded data("smnist", folder);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_FALSE(data.set->per_step);
  EXPECT_EQ(data.counts(), (Counts{54000, 6000, 10000}));
  EXPECT_EQ(data.set->longest, 28);
  EXPECT_EQ(data.set->d_input, 28);
  const int32_t train[] = {5, 0, 4, 1, 9, 2, 1, 3, 1, 4}, test[] = {7, 2, 1, 0, 4, 1, 4};
  for (int i = 0; i < 10; i++) EXPECT_EQ(data.split(EBB_TRAIN).labels[i], train[i]);
  for (int i = 0; i < 7; i++) EXPECT_EQ(data.split(EBB_TEST).labels[i], test[i]);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < 10000 * 784; i++) sum += double(data.split(EBB_TEST).values[i]);
  const double mean = sum / 7840000;
  for (int64_t i = 0; i < 10000 * 784; i++)
    squares += std::pow(double(data.split(EBB_TEST).values[i]) - mean, 2);
  EXPECT_NEAR(mean, 0.13252, 1e-5);
  EXPECT_NEAR(std::sqrt(squares / 7840000), 0.31048, 1e-5);
}

TEST(Recordings, MaxSamplesCutTraining) {
  REAL_DATA(folder, "occupancy");
  const Loaded data("occupancy", folder, {"dataset.max_samples=100"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{100, 100, 1549}));
}

TEST(Recordings, MissingFilesSayWhereTheyComeFrom) {
  for (const char *name : {"occupancy", "traffic", "ozone", "cheetah", "smnist", "fashion_mnist"}) {
    const Loaded data(name, "nowhere");
    EXPECT_EQ(data.status, EBB_NOT_FOUND);
    for (const char *says : {"nowhere/", "put ", "dataset.data_dir", name})
      EXPECT_NE(data.error.find(says), std::string::npos) << data.error;
  }
}

} // namespace
