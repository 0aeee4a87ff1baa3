// Training with a target in every step: losses fall, metrics are logged, and devices agree.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "ebb/train.h"
#include "support/op_check.h"

namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;
using Doubles = std::vector<double>;

// Rows of two waves; `up` is 1 where their sum rose from the row before, `sum` is the sum of the last two
// rows.
class PerStep : public testing::TestWithParam<std::string> {
protected:
  fs::path root;
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_per_step";
    fs::remove_all(root);
    fs::create_directories(root);
    std::ofstream table(root / "table.csv");
    table << "a,b,up,sum\n";
    double last = 0;
    for (int i = 0; i < 700; i++) {
      const double a = std::sin(0.7 * i), b = std::cos(0.31 * i), sum = a + b;
      table << a << "," << b << "," << int(sum + last > 0) << "," << sum + last << "\n";
      last = sum;
    }
  }
  void TearDown() override { fs::remove_all(root); }

  EbbExperiment *experiment(const std::string &device, const Keys &keys) const {
    Keys all = {"dataset._name_=csv",
                "dataset.data_dir=" + root.string(),
                "dataset.file=table.csv",
                "dataset.inputs=a,b",
                "dataset.window=12",
                "model.d_model=8",
                "model.n_layers=2",
                "model.layer.d_state=8",
                "loader.batch_size=5",
                "optimizer._name_=adam",
                "optimizer.lr=0.01",
                "optimizer.weight_decay=0.5",
                "trainer.max_epochs=4",
                "trainer.log_every_n_steps=1",
                "threads=2",
                "device=" + device};
    all.insert(all.end(), keys.begin(), keys.end());
    EbbConfig *config = nullptr;
    EbbExperiment *made = nullptr;
    EXPECT_EQ(ebb_config_create(&config), EBB_OK);
    for (const std::string &key : all)
      EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_experiment_create(config, &made), EBB_OK) << ebb_error();
    ebb_config_destroy(config);
    return made;
  }
  // Trains into root/name; the test split's scores afterwards.
  EbbScores train(const std::string &name, const std::string &device, const Keys &keys) const {
    EbbScores scores = {};
    EbbExperiment *made = experiment(device, keys);
    if (!made) return scores;
    EXPECT_EQ(ebb_experiment_train(made, (root / name).c_str(), false, nullptr), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_experiment_evaluate(made, EBB_TEST, nullptr, &scores), EBB_OK) << ebb_error();
    ebb_experiment_destroy(made);
    return scores;
  }
  Doubles logged(const std::string &name, const std::string &metric) const {
    Doubles found;
    std::ifstream file(root / name / "metrics.jsonl");
    const std::regex pattern("\"" + metric + "\": ?([-0-9.e+]+)");
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (std::regex_search(line, match, pattern)) found.push_back(std::stod(match[1]));
    }
    return found;
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, PerStep, testing::ValuesIn(ebb_test::devices()));

TEST_P(PerStep, ClassesAreLearnt) {
  const Keys keys = {"dataset.labels=up", "task.metrics=f1", "trainer.max_epochs=8"};
  const EbbScores test = train("run", GetParam(), keys);
  const Doubles losses = logged("run", "val/loss"), f1 = logged("run", "val/f1"),
                accuracy = logged("run", "val/accuracy");
  ASSERT_EQ(losses.size(), 8U);
  ASSERT_EQ(f1.size(), 8U);
  ASSERT_EQ(accuracy.size(), 8U);
  EXPECT_LT(losses.back(), 0.6 * losses.front());
  EXPECT_GT(f1.back(), 0.8);
  EXPECT_EQ(test.kind, EBB_METRIC_F1);
  EXPECT_EQ(test.score, test.metric[EBB_METRIC_F1]);
  EXPECT_GT(test.score, 0.8);
  EXPECT_EQ(test.samples, 8 * 12) << "steps are counted";
  EXPECT_TRUE(std::isnan(test.metric[EBB_METRIC_MAE]));
}

TEST_P(PerStep, NumbersAreLearnt) {
  const EbbScores test = train("run", GetParam(), {"dataset.targets=sum", "task.metrics=mae"});
  const Doubles losses = logged("run", "train/loss"), mae = logged("run", "val/mae"),
                rmse = logged("run", "val/rmse");
  ASSERT_EQ(losses.size(), 4U);
  ASSERT_EQ(mae.size(), 4U);
  ASSERT_EQ(rmse.size(), 4U);
  EXPECT_LT(losses.back(), 0.4 * losses.front());
  EXPECT_LT(mae.back(), rmse.back());
  EXPECT_NEAR(test.metric[EBB_METRIC_RMSE] * test.metric[EBB_METRIC_RMSE], test.metric[EBB_METRIC_MSE], 1e-9);
  EXPECT_EQ(test.score, test.metric[EBB_METRIC_MAE]);
  EXPECT_TRUE(std::isnan(test.metric[EBB_METRIC_F1]));
}

TEST_P(PerStep, DevicesAgree) {
  for (const Keys &keys : {Keys{"dataset.labels=up"}, Keys{"dataset.targets=sum,up"}}) {
    train("cpu", "cpu", keys);
    train("other", GetParam(), keys);
    const Doubles cpu = logged("cpu", "train/batch_loss"), other = logged("other", "train/batch_loss");
    ASSERT_GE(cpu.size(), 20U);
    ASSERT_EQ(other.size(), cpu.size());
    for (size_t i = 0; i < 20; i++) EXPECT_NEAR(other[i], cpu[i], 2e-4 * cpu[i]) << i;
    fs::remove_all(root / "cpu");
    fs::remove_all(root / "other");
  }
}

TEST(PerStepSettings, MetricsThatDoNotFitAreRefused) {
  EbbDataset dataset = {};
  dataset.n_classes = dataset.d_output = 3, dataset.d_input = 2, dataset.n_towers = 1,
  dataset.per_step = true;
  EbbConfig *config = nullptr;
  EbbSequence model;
  ASSERT_EQ(ebb_config_create(&config), EBB_OK);
  ASSERT_EQ(ebb_sequence_from_config(config, &dataset, &model), EBB_OK) << ebb_error();
  EXPECT_TRUE(model.per_step);
  ASSERT_EQ(ebb_config_override(config, "task.metrics=f1"), EBB_OK);
  EXPECT_EQ(ebb_sequence_from_config(config, &dataset, &model), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("task.metrics"), std::string::npos) << ebb_error();
  dataset.n_classes = dataset.d_output = 2;
  EXPECT_EQ(ebb_sequence_from_config(config, &dataset, &model), EBB_OK) << ebb_error();
  ASSERT_EQ(ebb_config_override(config, "train.monitor=val/mae"), EBB_OK);
  EXPECT_EQ(ebb_sequence_from_config(config, &dataset, &model), EBB_INVALID);
  dataset.n_classes = 0;
  ASSERT_EQ(ebb_config_override(config, "task.metrics=mae"), EBB_OK);
  EXPECT_EQ(ebb_sequence_from_config(config, &dataset, &model), EBB_OK) << ebb_error();
  dataset.n_towers = 2;
  EXPECT_EQ(ebb_sequence_from_config(config, &dataset, &model), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("a target a step"), std::string::npos) << ebb_error();
  ebb_config_destroy(config);
}

} // namespace
