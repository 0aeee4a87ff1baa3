#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "ebb/data.h"

namespace {

namespace fs = std::filesystem;

class Dataset : public testing::Test {
protected:
  fs::path root;
  EbbConfig *config = nullptr;
  EbbDataset *dataset = nullptr;

  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_dataset";
    fs::remove_all(root);
    ASSERT_EQ(ebb_config_create(&config), EBB_OK) << ebb_error();
  }
  void TearDown() override {
    ebb_dataset_destroy(dataset);
    ebb_config_destroy(config);
    fs::remove_all(root);
  }
  void set(const std::string &assignment) {
    ASSERT_EQ(ebb_config_override(config, assignment.c_str()), EBB_OK) << ebb_error();
  }
};

TEST_F(Dataset, ListopsByItsKeys) {
  EbbListopsConfig made = {};
  made.n_train = 50, made.n_val = made.n_test = 10;
  made.max_depth = made.max_args = 5;
  made.min_length = 20, made.max_length = 60;
  ASSERT_EQ(ebb_listops_generate(root.c_str(), &made), EBB_OK) << ebb_error();
  set("dataset._name_=listops");
  set("dataset.data_dir=" + root.string());
  ASSERT_EQ(ebb_dataset_load(config, &dataset), EBB_OK) << ebb_error();
  EXPECT_STREQ(dataset->name, "listops");
  EXPECT_EQ(dataset->split[EBB_TRAIN].n_samples, 50);
  EXPECT_STREQ(dataset->token_text[2], "<eos>");
  EXPECT_GT(dataset->longest, 30);
  ebb_dataset_destroy(dataset);
  set("dataset.l_max=30");
  set("dataset.append_bos=true");
  set("dataset.append_eos=false");
  set("dataset.max_samples=7");
  ASSERT_EQ(ebb_dataset_load(config, &dataset), EBB_OK) << ebb_error();
  EXPECT_EQ(dataset->longest, 30);
  EXPECT_STREQ(dataset->token_text[2], "<bos>");
  EXPECT_STREQ(dataset->token_text[3], "X");
  EXPECT_EQ(dataset->split[EBB_TRAIN].n_samples, 7);
}

TEST_F(Dataset, MissingFolderAndUnknownName) {
  set("dataset.data_dir=" + root.string());
  EXPECT_EQ(ebb_dataset_load(config, &dataset), EBB_NOT_FOUND);
  EXPECT_NE(std::string(ebb_error()).find("basic_train.tsv' does not exist"), std::string::npos)
      << ebb_error();
  set("dataset._name_=listop");
  EXPECT_EQ(ebb_dataset_load(config, &dataset), EBB_NOT_FOUND);
  EXPECT_EQ(dataset, nullptr);
  EXPECT_NE(std::string(ebb_error()).find("no data set 'listop'"), std::string::npos) << ebb_error();
  EXPECT_NE(std::string(ebb_error()).find("known are: listops"), std::string::npos) << ebb_error();
}

} // namespace
