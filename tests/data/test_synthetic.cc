// The tasks made from a seed: their definitions, splits and seeds, and that one of them is learnt.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "ebb/train.h"
#include "support/loaded.h"

namespace {

using namespace ebb_test;
using Keys = std::vector<std::string>;
using Floats = std::vector<float>;

TEST(Copying, SymbolsBlanksMarkers) {
  const Loaded data(
      "copying", ".",
      {"dataset.n_samples=1000", "dataset.l_noise=7", "dataset.l_memorize=3", "dataset.n_tokens=6"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{800, 100, 100}));
  EXPECT_EQ(data.set->vocabulary, 7);
  EXPECT_EQ(data.set->n_classes, 5);
  EXPECT_TRUE(data.set->per_step);
  EXPECT_EQ(data.set->longest, 13);
  const EbbSamples &all = data.split(EBB_TRAIN);
  std::vector<int> drawn(6);
  for (int64_t s = 0; s < 1000; s++)
    for (int64_t t = 0; t < 13; t++) {
      const int32_t token = all.tokens[13 * s + t] - 1, label = all.labels[13 * s + t];
      if (t < 3) drawn[size_t(token)]++;
      if (t >= 3 && t < 10) EXPECT_EQ(token, 0);
      if (t >= 10) EXPECT_EQ(token, 5);
      EXPECT_EQ(label, t < 10 ? 0 : all.tokens[13 * s + t - 10] - 1);
    }
  EXPECT_EQ(drawn[0] + drawn[5], 0);
  for (int symbol = 1; symbol <= 4; symbol++) EXPECT_NEAR(drawn[size_t(symbol)], 750, 100);
}

TEST(Adding, OneMarkInEachHalf) {
  for (const int length : {2, 3, 50}) {
    const Loaded data("adding", ".", {"dataset.n_samples=2000", "dataset.length=" + std::to_string(length)});
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    const EbbSamples &all = data.split(EBB_TRAIN);
    double error = 0;
    for (int64_t s = 0; s < 2000; s++) {
      float sum = 0;
      int marks[2] = {};
      for (int64_t t = 0; t < length; t++) {
        const float *x = all.values + 2 * (s * length + t);
        EXPECT_TRUE(x[0] >= 0 && x[0] < 1 && (x[1] == 0 || x[1] == 1));
        sum += x[0] * x[1];
        if (x[1] == 1) marks[t >= length / 2]++;
      }
      EXPECT_EQ(marks[0], 1);
      EXPECT_EQ(marks[1], 1);
      EXPECT_EQ(all.targets[s], sum);
      error += (sum - 1) * (sum - 1) / 2000;
    }
    EXPECT_NEAR(error, 1.0 / 6, 0.02);
  }
}

TEST(Delay, TargetIsThePast) {
  const Loaded data("delay", ".",
                    {"dataset.n_samples=500", "dataset.length=64", "dataset.lag=5", "dataset.freq=3"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  const EbbSamples &all = data.split(EBB_TEST);
  double power = 0, high = 0;
  for (int64_t s = 0; s < 500; s++) {
    const float *x = all.values + 64 * s, *y = all.targets + 64 * s;
    EXPECT_EQ(x[0], 0);
    double mean = 0, real = 0, imaginary = 0;
    for (int64_t t = 0; t < 64; t++) {
      EXPECT_EQ(y[t], t < 5 ? 0 : x[t - 5]);
      mean += x[t] / 64.0;
      real += x[t] * std::cos(2 * M_PI * 4 * double(t) / 64),
          imaginary += x[t] * std::sin(2 * M_PI * 4 * double(t) / 64);
    }
    for (int64_t t = 0; t < 64; t++) power += (x[t] - mean) * (x[t] - mean) / 64 / 500;
    high = std::max(high, std::hypot(real, imaginary));
  }
  EXPECT_NEAR(std::sqrt(power), 0.5, 0.03);
  EXPECT_LT(high, 1e-4) << "nothing above 3 cycles a sample";
}

TEST(Synthetic, SeedsAndSamplesDiffer) {
  const Keys few = {"dataset.n_samples=10", "dataset.length=20"};
  Keys other = few;
  other.push_back("dataset.seed=1");
  const Loaded a("adding", ".", few), again("adding", ".", few), b("adding", ".", other);
  std::set<Floats> samples;
  for (int64_t s = 0; s < 10; s++) {
    const Floats first(a.split(EBB_TRAIN).values + 40 * s, a.split(EBB_TRAIN).values + 40 * s + 40);
    const Floats second(again.split(EBB_TRAIN).values + 40 * s, again.split(EBB_TRAIN).values + 40 * s + 40);
    const Floats third(b.split(EBB_TRAIN).values + 40 * s, b.split(EBB_TRAIN).values + 40 * s + 40);
    EXPECT_EQ(first, second);
    samples.insert(first), samples.insert(third);
  }
  EXPECT_EQ(samples.size(), 20U);
}

TEST(Synthetic, SizesThatDoNotFitAreRefused) {
  const struct {
    std::string name;
    Keys keys;
    std::string says;
  } rows[] = {{"adding", {"dataset.length=1"}, "dataset.length"},
              {"delay", {"dataset.length=10", "dataset.lag=10"}, "dataset.lag"},
              {"delay", {"dataset.length=10", "dataset.lag=1", "dataset.freq=6"}, "dataset.freq"},
              {"copying", {"dataset.n_samples=10", "dataset.val_split=0.5"}, "dataset.val_split"},
              {"adding", {"dataset.n_samples=3", "dataset.length=3000"}, "dataset.l_max=3000"}};
  for (const auto &row : rows) {
    const Loaded data(row.name, ".", row.keys);
    EXPECT_EQ(data.status, EBB_INVALID) << row.says;
    EXPECT_NE(data.error.find(row.says), std::string::npos) << data.error;
  }
}

// Whole training: the loss falls far below what is reached without memory.
double trained_loss(const Keys &keys) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "ebb_synthetic_run";
  fs::remove_all(folder);
  Keys all = {"device=cpu",
              "threads=2",
              "model.d_model=16",
              "model.n_layers=2",
              "model.layer.d_state=16",
              "model.layer.mode=diag",
              "model.layer.measure=diag-lin",
              "model.layer.postact=glu",
              "optimizer.lr=0.01",
              "loader.batch_size=20"};
  all.insert(all.end(), keys.begin(), keys.end());
  EbbConfig *config = nullptr;
  EbbExperiment *experiment = nullptr;
  EbbScores scores = {};
  EXPECT_EQ(ebb_config_create(&config), EBB_OK);
  for (const std::string &key : all)
    EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_experiment_create(config, &experiment), EBB_OK) << ebb_error();
  ebb_config_destroy(config);
  if (!experiment) return NAN;
  EXPECT_EQ(ebb_experiment_train(experiment, folder.c_str(), false, nullptr), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_experiment_evaluate(experiment, EBB_TEST, nullptr, &scores), EBB_OK) << ebb_error();
  ebb_experiment_destroy(experiment);
  fs::remove_all(folder);
  return scores.loss;
}

TEST(Synthetic, AddingIsLearnt) {
  EXPECT_LT(trained_loss({"dataset._name_=adding", "dataset.n_samples=1000", "dataset.length=20",
                          "trainer.max_epochs=12"}),
            0.3 / 6);
}

TEST(Synthetic, DelayIsLearnt) {
  EXPECT_LT(trained_loss({"dataset._name_=delay", "dataset.n_samples=400", "dataset.length=64",
                          "dataset.lag=8", "trainer.max_epochs=8"}),
            0.05);
}

TEST(Synthetic, CopyingIsLearnt) {
  const double without_memory = 3 * std::log(4) / 11;
  EXPECT_LT(trained_loss({"dataset._name_=copying", "dataset.n_samples=1000", "dataset.l_noise=5",
                          "dataset.l_memorize=3", "dataset.n_tokens=6", "trainer.max_epochs=12"}),
            0.5 * without_memory);
}

} // namespace
