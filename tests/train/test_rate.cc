// A trained model at another sampling rate: dataset.subsample leaves samples out and makes the steps of the
// state spaces as many times as long.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "ebb/train.h"
#include "support/wav_file.h"

namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;

// Tones of 5 and of 10 cycles a recording, at any phase: without another step length the first, with every
// second sample left out, looks like the second.
class Rate : public testing::TestWithParam<std::string> {
protected:
  fs::path root;
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_rate";
    fs::remove_all(root);
    for (int i = 0; i < 120; i++)
      for (int tone = 0; tone < 2; tone++) {
        std::vector<int16_t> whole, half;
        for (int t = 0; t < 256; t++)
          whole.push_back(int16_t(8000 * std::sin(2 * M_PI * 5 * (tone + 1) * t / 256 + 0.37 * i)));
        for (int t = 0; t < 256; t += 2) half.push_back(whole[size_t(t)]);
        const std::string name = std::string(tone ? "high" : "low") + "/" + std::to_string(i) + ".wav";
        ebb_test::write_wav(root / "whole" / name, whole);
        ebb_test::write_wav(root / "half" / name, half);
      }
  }
  void TearDown() override { fs::remove_all(root); }

  EbbExperiment *experiment(const Keys &keys) const {
    Keys all = {"dataset._name_=wav",
                "dataset.data_dir=" + (root / "whole").string(),
                "dataset.test_split=0.3",
                "model.d_model=8",
                "model.n_layers=1",
                "model.layer.d_state=16",
                "loader.batch_size=20",
                "optimizer.lr=0.01",
                "trainer.max_epochs=12",
                "threads=2",
                "device=cpu"};
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
  EbbScores test_scores(const Keys &keys) const {
    EbbScores scores = {};
    EbbExperiment *made = experiment(keys);
    if (!made) return scores;
    EXPECT_EQ(ebb_experiment_load(made, (root / "run" / "last.safetensors").c_str()), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_experiment_evaluate(made, EBB_TEST, nullptr, &scores), EBB_OK) << ebb_error();
    ebb_experiment_destroy(made);
    return scores;
  }
};

INSTANTIATE_TEST_SUITE_P(Layers, Rate,
                         testing::Values("model.layer={mode: nplr}",
                                         "model.layer={mode: diag, measure: diag-lin}",
                                         "model.layer={mode: diag, measure: diag-lin, liquid_kernel: scan}"));

TEST_P(Rate, HalfTheSamplesGiveTheSameAnswers) {
  EbbExperiment *trained = experiment({GetParam()});
  ASSERT_NE(trained, nullptr);
  ASSERT_EQ(ebb_experiment_train(trained, (root / "run").c_str(), false, nullptr), EBB_OK) << ebb_error();
  ebb_experiment_destroy(trained);
  const EbbScores whole = test_scores({GetParam()});
  const EbbScores half = test_scores({GetParam(), "dataset.subsample=2"});
  const EbbScores unaware = test_scores({GetParam(), "dataset.data_dir=" + (root / "half").string()});
  EXPECT_GT(whole.metric[EBB_METRIC_ACCURACY], 0.95);
  EXPECT_GT(half.metric[EBB_METRIC_ACCURACY], 0.9);
  EXPECT_LT(half.loss, whole.loss + 0.3 * (unaware.loss - whole.loss));
  EXPECT_GT(unaware.loss, half.loss);
}

} // namespace
