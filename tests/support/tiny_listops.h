// A folder with 80 short ListOps expressions, and experiments on them.
#ifndef EBB_TESTS_TINY_LISTOPS_H
#define EBB_TESTS_TINY_LISTOPS_H

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "ebb/train.h"

namespace ebb_test {

class TinyListops : public testing::Test {
protected:
  std::filesystem::path root;

  void SetUp() override {
    root = std::filesystem::path(testing::TempDir()) / "ebb_tiny_listops";
    std::filesystem::remove_all(root);
    std::filesystem::create_directories(root);
    EbbListopsConfig listops = {};
    listops.n_train = 80, listops.n_val = 8, listops.n_test = 8;
    listops.max_depth = 4, listops.max_args = 4;
    listops.min_length = 5, listops.max_length = 40;
    listops.seed = 1;
    ASSERT_EQ(ebb_listops_generate(root.c_str(), &listops), EBB_OK) << ebb_error();
  }
  void TearDown() override { std::filesystem::remove_all(root); }

  // Two blocks of eight channels, ten batches of eight samples an epoch, in up to five lengths. NULL where
  // the settings are refused; ebb_error() then says why.
  EbbExperiment *experiment(const std::vector<std::string> &keys) const {
    std::vector<std::string> all = {"dataset.data_dir=" + root.string(),
                                    "dataset._name_=listops",
                                    "dataset.l_max=40",
                                    "model.d_model=8",
                                    "model.n_layers=2",
                                    "model.dropout=0.1",
                                    "model.layer.d_state=8",
                                    "loader.batch_size=8",
                                    "loader.shuffle=false",
                                    "loader.bucket_quantum=8",
                                    "trainer.max_epochs=2",
                                    "trainer.log_every_n_steps=1000",
                                    "threads=2",
                                    "device=cpu"};
    all.insert(all.end(), keys.begin(), keys.end());
    EbbConfig *config = nullptr;
    EbbExperiment *made = nullptr;
    EXPECT_EQ(ebb_config_create(&config), EBB_OK);
    for (const std::string &key : all)
      EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
    if (ebb_experiment_create(config, &made) != EBB_OK) made = nullptr;
    ebb_config_destroy(config);
    return made;
  }
};

} // namespace ebb_test

#endif
