// The same training on the CPU and on a GPU, and what a GPU owes to itself: reruns and resumed runs to the
// bit.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "support/op_check.h"
#include "support/tiny_listops.h"

namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;

Keys operator+(Keys a, const Keys &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

bool has_gpu() {
  for (const std::string &device : ebb_test::devices())
    if (device == "cuda") return true;
  return false;
}

const Keys kDiagonal = {"model.layer.mode=diag", "model.layer.measure=diag-lin"};

const Keys kDroppedBackbone = {"model.layer._name_=cfc", "model.layer.backbone_layers=3",
                               "model.layer.backbone_units=10", "model.layer.backbone_dropout=0.3"};

class Devices : public ebb_test::TinyListops {
protected:
  void SetUp() override {
    if (!has_gpu()) GTEST_SKIP() << "this build or machine has no CUDA device";
    TinyListops::SetUp();
  }

  // Trains into root/name; returns the loss of each batch.
  std::vector<double> train(const std::string &name, const Keys &keys, bool resume = false) {
    EbbExperiment *made = experiment(keys + Keys{"trainer.log_every_n_steps=1"});
    if (!made) {
      ADD_FAILURE() << ebb_error();
      return {};
    }
    EXPECT_EQ(ebb_experiment_train(made, (root / name).c_str(), resume, nullptr), EBB_OK) << ebb_error();
    ebb_experiment_destroy(made);
    return losses(name);
  }
  std::vector<double> losses(const std::string &name) const {
    std::vector<double> found;
    std::ifstream file(root / name / "metrics.jsonl");
    const std::regex pattern("\"train/batch_loss\": ?([-0-9.e+]+)");
    for (std::string line; std::getline(file, line);) {
      std::smatch match;
      if (std::regex_search(line, match, pattern)) found.push_back(std::stod(match[1]));
    }
    return found;
  }
  std::string bytes(const std::string &name) const {
    std::ifstream file(root / name / "last.safetensors", std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  // Twenty steps from the same start agree, step by step.
  void expect_agreement(const Keys &keys, double tolerance) {
    SCOPED_TRACE(testing::PrintToString(keys));
    const std::vector<double> cpu = train("cpu", keys + Keys{"device=cpu"});
    const std::vector<double> cuda = train("cuda", keys + Keys{"device=cuda"});
    ASSERT_GE(cpu.size(), 20U);
    ASSERT_EQ(cuda.size(), cpu.size());
    for (size_t step = 0; step < cpu.size(); step++)
      EXPECT_NEAR(cuda[step], cpu[step], tolerance * std::fabs(cpu[step])) << "step " << step;
    fs::remove_all(root / "cpu");
    fs::remove_all(root / "cuda");
  }
};

TEST_F(Devices, TwentyStepsAgreeForEveryLiquidKernel) {
  const std::vector<Keys> settings = {
      {"model.layer.liquid_kernel=null"},
      {"model.layer.liquid_kernel=polyb", "model.layer.bidirectional=true"},
      {"model.layer.liquid_kernel=kb", "model.layer.liquid_degree=3"},
      {"model.layer.liquid_kernel=series", "model.layer.liquid_degree=3"},
      kDiagonal + Keys{"model.layer.liquid_kernel=scan"},
      kDiagonal + Keys{"model.layer.liquid_kernel=series"},
  };
  for (const Keys &keys : settings) expect_agreement(keys, 2e-4);
}

TEST_F(Devices, TwentyStepsAgreeForOtherModelsAndUpdates) {
  const std::vector<Keys> settings = {
      {"model.norm=batch", "model.layer.postact=glu", "model.layer.tie_dropout=false"},
      {"model.norm=batch", "model.norm_padding=exclude", "decoder.use_lengths=true"},
      {"model.transposed=true", "model.prenorm=false"},
      {"trainer.accumulate_grad_batches=3", "trainer.max_epochs=5"},
      {"trainer.gradient_clip_val=0.1", "trainer.ema_decay=0.9"},
      {"loader.batch_size=7", "loader.drop_last=false", "decoder.use_lengths=true"},
  };
  for (const Keys &keys : settings) expect_agreement(keys, 2e-4);
}

TEST_F(Devices, TwentyStepsAgreeForRecurrentCells) {
  const std::vector<Keys> settings = {
      {"model.layer._name_=ltc", "model.layer.bidirectional=true", "model.dropout=0.2"},
      {"model.layer._name_=cfc", "trainer.truncated_bptt_steps=7"},
      kDroppedBackbone + Keys{"model.layer.bidirectional=true", "trainer.truncated_bptt_steps=7"},
      kDroppedBackbone + Keys{"model.layer.mixed_memory=true", "decoder.use_lengths=true"},
      {"model.layer._name_=wired_cfc", "model.layer.mixed_memory=true", "decoder.use_lengths=true"},
      {"model.layer._name_=lnn", "model.layer.ffn=true", "model.layer.solver=euler", "model.layer.unfolds=4",
       "model.layer.unstable=warn"},
  };
  for (const Keys &keys : settings)
    expect_agreement(keys + Keys{"model.d_model=6", "model.n_layers=1"}, 2e-4);
}

TEST_F(Devices, BfloatActivationsFollowTheFloatOnes) {
  const std::vector<double> exact = train("exact", {"device=cuda"});
  const std::vector<double> stored = train("stored", {"device=cuda", "trainer.activations=bf16"});
  ASSERT_EQ(exact.size(), stored.size());
  for (size_t step = 0; step < exact.size(); step++) EXPECT_NEAR(stored[step], exact[step], 0.03) << step;
  EXPECT_NE(exact, stored);
}

TEST_F(Devices, RerunsAreEqualToTheBit) {
  for (const Keys &keys : {Keys{"model.layer.liquid_kernel=series"}, kDroppedBackbone,
                           kDiagonal + Keys{"model.layer.liquid_kernel=scan", "trainer.activations=bf16"}}) {
    train("one", keys + Keys{"device=cuda"});
    train("two", keys + Keys{"device=cuda"});
    EXPECT_FALSE(bytes("one").empty());
    EXPECT_EQ(bytes("one"), bytes("two"));
    fs::remove_all(root / "one");
    fs::remove_all(root / "two");
  }
}

TEST_F(Devices, AResumedRunEqualsAnUnbrokenOneToTheBit) {
  for (const Keys &model : {Keys{"model.layer.liquid_kernel=polyb"}, kDroppedBackbone}) {
    const Keys keys = model + Keys{"device=cuda", "trainer.ema_decay=0.9"};
    train("whole", keys);
    train("broken", keys + Keys{"trainer.max_steps=7"});
    train("broken", keys, true);
    EXPECT_EQ(losses("whole"), losses("broken"));
    EXPECT_FALSE(bytes("whole").empty());
    EXPECT_EQ(bytes("whole"), bytes("broken"));
    fs::remove_all(root / "whole");
    fs::remove_all(root / "broken");
  }
}

TEST_F(Devices, AnEvaluationAgrees) {
  EbbScores scores[2] = {};
  int i = 0;
  for (const char *device : {"device=cpu", "device=cuda"}) {
    EbbExperiment *made = experiment({device, "model.norm=batch"});
    ASSERT_NE(made, nullptr) << ebb_error();
    ASSERT_EQ(ebb_experiment_evaluate(made, EBB_TRAIN, nullptr, &scores[i]), EBB_OK) << ebb_error();
    ebb_experiment_destroy(made);
    i++;
  }
  EXPECT_NEAR(scores[0].loss, scores[1].loss, 1e-5);
  EXPECT_EQ(scores[0].score, scores[1].score);
  EXPECT_EQ(scores[1].samples, 80);
}

// The loss of a batch in the middle of an epoch is infinite: training ends with a sentence that names it.
TEST_F(Devices, ALossThatIsNotFiniteIsNamed) {
  EbbExperiment *made = experiment({"device=cuda", "optimizer.lr=1000", "model.layer.lr.dt=1000"});
  ASSERT_NE(made, nullptr) << ebb_error();
  EXPECT_EQ(ebb_experiment_train(made, (root / "run").c_str(), false, nullptr), EBB_NUMERIC);
  const std::string sentence = ebb_error();
  EXPECT_NE(sentence.find("step 1"), std::string::npos) << sentence;
  EXPECT_NE(sentence.find("layers."), std::string::npos) << sentence;
  ebb_experiment_destroy(made);
}

} // namespace
