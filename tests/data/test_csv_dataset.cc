// A user's own tables: columns, splits, classes, times, and what is said of bad ones.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "support/loaded.h"

namespace {

namespace fs = std::filesystem;
using Counts = std::vector<int64_t>;
using Floats = std::vector<float>;
using Keys = std::vector<std::string>;
using ebb_test::Loaded;

class CsvDataset : public testing::Test {
protected:
  fs::path folder;
  void SetUp() override {
    folder = fs::path(testing::TempDir()) / "ebb_csv";
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }
  void write(const std::string &name, const std::string &text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  Loaded load(Keys keys) const {
    keys.insert(keys.begin(), {"dataset.file=table.csv", "dataset.window=4", "dataset.normalise=false"});
    return Loaded("csv", folder.string(), keys);
  }
  void expect_error(const Keys &keys, EbbStatus status, const std::vector<std::string> &says) const {
    const Loaded data = load(keys);
    EXPECT_EQ(data.status, status) << data.error;
    for (const std::string &part : says) EXPECT_NE(data.error.find(part), std::string::npos) << data.error;
  }
};

// time, a, b, kind, y: n rows; a counts rows, b is -a, y is 10 a, kind is one of three.
std::string table(int n, const std::string &separator = ",") {
  std::string text = "time" + separator + "a" + separator + "b" + separator + "kind" + separator + "y\n";
  const char *kinds[] = {"cat", "ant", "bee"};
  double now = 100;
  for (int i = 0; i < n; i++) {
    now += 0.5 + i % 2;
    text += std::to_string(now) + separator + std::to_string(i) + separator + std::to_string(-i) + separator +
            kinds[i % 3] + separator + std::to_string(10 * i) + "\n";
  }
  return text;
}

TEST_F(CsvDataset, NumbersToPredict) {
  for (const char *separator : {",", ";", "\t"}) {
    write("table.csv", table(100, separator));
    const Loaded data = load({"dataset.targets=y", "dataset.inputs=a, b"});
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_TRUE(data.set->per_step);
    EXPECT_EQ(data.set->d_input, 2);
    EXPECT_EQ(data.set->d_output, 1);
    EXPECT_EQ(data.set->n_classes, 0);
    // 75, 10 and 15 rows; a window may not end in a part's last row.
    EXPECT_EQ(data.counts(), (Counts{18, 2, 3}));
    EXPECT_EQ(data.row(EBB_VALIDATION, 0), (Floats{75, -75}));
    EXPECT_EQ(data.row(EBB_TEST, 1, 2), (Floats{91, -91}));
    EXPECT_EQ(data.split(EBB_TEST).targets[0], 850);
    EXPECT_EQ(data.split(EBB_TEST).elapsed, nullptr);
  }
}

TEST_F(CsvDataset, ClassesAreSorted) {
  write("table.csv", table(100));
  const Loaded data = load({"dataset.labels=kind", "dataset.inputs=2", "dataset.stride=1"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.set->n_classes, 3);
  EXPECT_EQ(data.set->d_output, 3);
  EXPECT_EQ(data.counts(), (Counts{71, 6, 11}));
  const int32_t sorted[] = {2, 0, 1}; // ant bee cat
  for (int i = 0; i < 4; i++) EXPECT_EQ(data.split(EBB_TRAIN).labels[i], sorted[i % 3]);
}

TEST_F(CsvDataset, ClassesOfWholeNumbersAreSortedByValue) {
  std::string text;
  for (int i = 0; i < 40; i++) text += std::to_string(i) + " " + std::to_string(i % 2 ? 10 : 9) + "\n";
  write("table.csv", text);
  const Loaded data = load({"dataset.labels=2", "dataset.header=false", "dataset.delimiter=blanks",
                            "dataset.test_split=0.2", "dataset.val_split=0.2"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.split(EBB_TRAIN).labels[0], 0);
  EXPECT_EQ(data.split(EBB_TRAIN).labels[1], 1);
}

TEST_F(CsvDataset, TimesBecomeElapsedTimes) {
  write("table.csv", table(100));
  const Loaded data = load({"dataset.targets=y", "dataset.inputs=a", "dataset.time=time"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  const float *elapsed = data.split(EBB_TRAIN).elapsed;
  ASSERT_NE(elapsed, nullptr);
  EXPECT_EQ(Floats(elapsed, elapsed + 4), (Floats{1, 1.5F, 0.5F, 1.5F}));
}

TEST_F(CsvDataset, LastTargetsAndTargetsAhead) {
  write("table.csv", table(100));
  const Loaded last = load({"dataset.targets=y,b", "dataset.inputs=a", "dataset.per_step=false"});
  ASSERT_EQ(last.status, EBB_OK) << last.error;
  EXPECT_FALSE(last.set->per_step);
  EXPECT_EQ(last.split(EBB_TRAIN).targets[0], 30);
  EXPECT_EQ(last.split(EBB_TRAIN).targets[1], -3);
  EXPECT_EQ(last.split(EBB_TRAIN).targets[2], 70);
  const Loaded ahead = load({"dataset.targets=y", "dataset.inputs=a", "dataset.horizon=3"});
  ASSERT_EQ(ahead.status, EBB_OK) << ahead.error;
  EXPECT_EQ(ahead.split(EBB_TRAIN).targets[0], 30);
  EXPECT_EQ(ahead.split(EBB_TRAIN).targets[5], 80);
}

TEST_F(CsvDataset, NormalisationSeesTrainingOnly) {
  write("table.csv", table(100));
  const Loaded data = load({"dataset.targets=y", "dataset.inputs=a", "dataset.normalise=true"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  const double deviation = std::sqrt((75.0 * 75 - 1) / 12); // of 0 .. 74
  EXPECT_NEAR(data.row(EBB_TRAIN, 0)[0], -37 / deviation, 1e-6);
  EXPECT_NEAR(data.row(EBB_TEST, 0)[0], (85 - 37) / deviation, 1e-6);
  EXPECT_NEAR(data.split(EBB_TEST).targets[0], (85 - 37) / deviation, 1e-6);
}

TEST_F(CsvDataset, NoRowIsInTwoSplits) {
  write("table.csv", table(100));
  const Loaded data = load({"dataset.targets=y", "dataset.inputs=a", "dataset.stride=1"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  std::set<float> seen[3];
  for (EbbSplit split : {EBB_TRAIN, EBB_VALIDATION, EBB_TEST}) {
    const EbbSamples &s = data.split(split);
    seen[split].insert(s.values, s.values + s.offset[s.n_samples]);
  }
  EXPECT_LT(*seen[EBB_TRAIN].rbegin(), *seen[EBB_VALIDATION].begin());
  EXPECT_LT(*seen[EBB_VALIDATION].rbegin(), *seen[EBB_TEST].begin());
}

TEST_F(CsvDataset, FilesOfTheirOwn) {
  write("table.csv", table(41));
  write("later.csv", table(21));
  const Loaded data = load({"dataset.labels=kind", "dataset.inputs=a", "dataset.val_file=later.csv",
                            "dataset.test_file=" + (folder / "later.csv").string()});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (Counts{10, 5, 5}));
  write("later.csv", table(20) + "200,1,1,dog,1\n");
  expect_error({"dataset.labels=kind", "dataset.inputs=a", "dataset.val_file=later.csv"}, EBB_FORMAT,
               {"later.csv:22", "'dog' does not occur in dataset.file"});
}

TEST_F(CsvDataset, MissingCells) {
  std::string text = table(60);
  text.replace(text.find(",7,-7,"), 6, ",,-7,");
  write("table.csv", text);
  const Keys keys = {"dataset.targets=y", "dataset.inputs=a"};
  expect_error(keys, EBB_FORMAT, {"table.csv:9", "field 2 is missing", "dataset.missing=last"});
  const Loaded last = load({keys[0], keys[1], "dataset.missing=last"});
  const Loaded zero = load({keys[0], keys[1], "dataset.missing=zero"});
  EXPECT_EQ(last.row(EBB_TRAIN, 1, 3)[0], 6);
  EXPECT_EQ(zero.row(EBB_TRAIN, 1, 3)[0], 0);
}

TEST_F(CsvDataset, BadSettingsAndTablesAreNamed) {
  write("table.csv", table(60));
  expect_error({"dataset.inputs=a"}, EBB_INVALID, {"dataset.targets", "dataset.labels"});
  expect_error({"dataset.labels=kind", "dataset.targets=y"}, EBB_INVALID, {"either"});
  expect_error({"dataset.targets=z"}, EBB_INVALID, {"dataset.targets", "'z'", "1..5"});
  expect_error({"dataset.targets=6"}, EBB_INVALID, {"'6'"});
  expect_error({"dataset.targets=y", "dataset.inputs=y"}, EBB_INVALID, {"column 5", "a use already"});
  expect_error({"dataset.targets=y"}, EBB_FORMAT, {"table.csv:2", "field 4 is 'cat'"});
  expect_error({"dataset.targets=y", "dataset.inputs=a", "dataset.time=b"}, EBB_FORMAT,
               {"table.csv:3", "does not come after"});
  expect_error({"dataset.targets=y", "dataset.inputs=a", "dataset.window=100"}, EBB_FORMAT,
               {"no window of 100 steps fits into the training split"});
  expect_error({"dataset.targets=y", "dataset.inputs=a", "dataset.val_split=0.9"}, EBB_INVALID,
               {"nothing to train on"});
  write("table.csv", table(60) + "1,2,3\n");
  expect_error({"dataset.targets=y", "dataset.inputs=a"}, EBB_FORMAT,
               {"table.csv:62", "3 fields, expected 5"});
  fs::remove(folder / "table.csv");
  expect_error({"dataset.targets=y"}, EBB_NOT_FOUND, {"table.csv", "dataset.file"});
}

} // namespace
