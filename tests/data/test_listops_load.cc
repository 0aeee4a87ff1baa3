#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "host/data/listops_load.h"

namespace {

namespace fs = std::filesystem;

const std::string header = "Source\tTarget\r\n";
const std::string good = header + "( ( ( [MAX 2 ) 9 ) ] )\t9\r\n7\t7\r\n( ( ( [MIN 2 ) 9 ) ] )\t2\r\n";

class ListopsLoad : public testing::Test {
protected:
  fs::path root;
  EbbDataset *dataset = nullptr;
  EbbListopsOptions options = {};
  std::string folder;

  void SetUp() override {
    const auto *info = testing::UnitTest::GetInstance()->current_test_info();
    root = fs::path(testing::TempDir()) / (std::string("ebb_listops_load_") + info->name());
    fs::remove_all(root);
    fs::create_directories(root);
    folder = root.string();
    options.folder = folder.c_str();
    options.append_eos = true;
    put(root, good, good, good);
  }
  void TearDown() override {
    ebb_dataset_destroy(dataset);
    fs::remove_all(root);
  }
  static void put(const fs::path &to, const std::string &train, const std::string &val,
                  const std::string &test) {
    std::ofstream(to / "basic_train.tsv", std::ios::binary) << train;
    std::ofstream(to / "basic_val.tsv", std::ios::binary) << val;
    std::ofstream(to / "basic_test.tsv", std::ios::binary) << test;
  }
  EbbStatus load() {
    ebb_dataset_destroy(dataset);
    return ebb_listops_load(&options, &dataset);
  }
  std::string text(EbbSplit split, int64_t sample) const {
    const EbbSamples &samples = dataset->split[split];
    std::string joined;
    for (int64_t i = samples.offset[sample]; i < samples.offset[sample + 1]; i++) {
      joined += (joined.empty() ? "" : " ") + std::string(dataset->token_text[samples.tokens[i]]);
    }
    return joined;
  }
  void expect_error(EbbStatus code, const std::string &part) {
    EXPECT_EQ(load(), code);
    EXPECT_EQ(dataset, nullptr);
    EXPECT_NE(std::string(ebb_error()).find(part), std::string::npos) << ebb_error();
  }
};

/* Counts in the training split: 2, 9, X twice; 7, [MAX, [MIN once. */
TEST_F(ListopsLoad, VocabularyAndTokens) {
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  const std::vector<std::string> expected = {"<pad>", "<unk>", "<eos>", "2", "9", "X", "7", "[MAX", "[MIN"};
  ASSERT_EQ(dataset->vocabulary, static_cast<int64_t>(expected.size()));
  for (size_t id = 0; id < expected.size(); id++) EXPECT_EQ(dataset->token_text[id], expected[id]);
  EXPECT_STREQ(dataset->name, "listops");
  EXPECT_EQ(dataset->n_classes, 10);
  EXPECT_EQ(dataset->d_output, 10);
  EXPECT_EQ(dataset->d_input, 0);
  EXPECT_EQ(dataset->n_towers, 1);
  EXPECT_EQ(dataset->longest, 5);
  EXPECT_TRUE(dataset->variable_length);
  for (int split = 0; split < EBB_SPLITS; split++) {
    const EbbSamples &samples = dataset->split[split];
    ASSERT_EQ(samples.n_samples, 3);
    EXPECT_EQ(samples.labels[0], 9);
    EXPECT_EQ(samples.labels[2], 2);
    EXPECT_EQ(samples.offset[0], 0);
    EXPECT_EQ(text(static_cast<EbbSplit>(split), 0), "[MAX 2 9 X <eos>");
    EXPECT_EQ(text(static_cast<EbbSplit>(split), 1), "7 <eos>");
  }
}

TEST_F(ListopsLoad, LineFeedAloneAndUnknownTokens) {
  put(root, "Source\tTarget\n( ( ( [SM 1 ) 1 ) ] )\t2\n", "Source\tTarget\n( ( ( [MED 1 ) 8 ) ] )\t4\n",
      good);
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  EXPECT_EQ(dataset->vocabulary, 6);
  EXPECT_EQ(text(EBB_TRAIN, 0), "[SM 1 1 X <eos>");
  EXPECT_EQ(text(EBB_VALIDATION, 0), "<unk> 1 <unk> X <eos>");
}

TEST_F(ListopsLoad, AddedTokensAndTruncation) {
  options.append_bos = true, options.l_max = 4;
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  EXPECT_EQ(text(EBB_TRAIN, 0), "<bos> [MAX 2 <eos>");
  EXPECT_EQ(dataset->longest, 4);
  EXPECT_STREQ(dataset->token_text[2], "<bos>");
  EXPECT_EQ(dataset->vocabulary, 8) << "9 and X are cut off before they are counted";
  options.append_bos = options.append_eos = false, options.l_max = 0;
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  EXPECT_EQ(text(EBB_TRAIN, 0), "[MAX 2 9 X");
  EXPECT_STREQ(dataset->token_text[2], "2");
  options.append_eos = true, options.l_max = 1;
  expect_error(EBB_INVALID, "dataset.l_max 1 must be above the 1 tokens");
}

TEST_F(ListopsLoad, MaxSamplesCutsTrainingOnly) {
  options.max_samples = 1;
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  EXPECT_EQ(dataset->split[EBB_TRAIN].n_samples, 1);
  EXPECT_EQ(dataset->split[EBB_TEST].n_samples, 3);
  EXPECT_EQ(dataset->vocabulary, 9) << "the vocabulary is the whole file's";
  EXPECT_EQ(text(EBB_TRAIN, 0), "[MAX 2 9 X <eos>");
  options.max_samples = 100;
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  EXPECT_EQ(dataset->split[EBB_TRAIN].n_samples, 3);
}

TEST_F(ListopsLoad, Majority) {
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  int32_t *labels = dataset->split[EBB_TEST].labels, label = -1;
  labels[0] = 4, labels[1] = 2, labels[2] = 4;
  EXPECT_DOUBLE_EQ(ebb_dataset_majority(dataset, EBB_TEST, &label), 2.0 / 3);
  EXPECT_EQ(label, 4);
}

TEST_F(ListopsLoad, FindsTheFolder) {
  fs::path nested = root / "release/listops-1000";
  fs::create_directories(nested);
  put(nested, good, good, good);
  std::string outer = (root / "release").string();
  options.folder = outer.c_str();
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  fs::rename(nested, root / "release/listops");
  expect_error(EBB_NOT_FOUND, "basic_train.tsv' does not exist; `ebb data listops " + outer + "` makes");
  EXPECT_NE(std::string(ebb_error()).find("or take dataset.data_dir="), std::string::npos) << ebb_error();
  ASSERT_EQ(setenv("EBB_DATA", outer.c_str(), 1), 0);
  options.folder = nullptr;
  EXPECT_EQ(load(), EBB_OK) << ebb_error();
  ASSERT_EQ(unsetenv("EBB_DATA"), 0);
  fs::path before = fs::current_path();
  fs::create_directories(root / "work/data");
  fs::rename(root / "release/listops", root / "work/data/listops");
  fs::current_path(root / "work");
  EXPECT_EQ(load(), EBB_OK) << ebb_error();
  fs::current_path(before);
}

TEST_F(ListopsLoad, MissingFiles) {
  fs::remove(root / "basic_test.tsv");
  expect_error(EBB_NOT_FOUND, "basic_test.tsv' does not exist");
  fs::create_directories(root / "basic_test.tsv");
  expect_error(EBB_IO, "basic_test.tsv");
}

TEST_F(ListopsLoad, MalformedFiles) {
  const struct {
    std::string text, part;
  } rows[] = {
      {"", "basic_val.tsv: the file is empty"},
      {header, "basic_val.tsv: no sample follows the header"},
      {"7\t7\r\n", "basic_val.tsv:1: the header 'Source<TAB>Target' is missing"},
      {"Source Target\r\n7\t7\r\n", "basic_val.tsv:1: the line has 1 tab-separated fields, expected 2"},
      {header + "7\t7\r\n7 7\r\n", "basic_val.tsv:3: the line has 1 tab-separated fields, expected 2"},
      {header + "\r\n7\t7\r\n", "basic_val.tsv:2: the line has 1 tab"},
      {header + "7\t7\t7\r\n", "basic_val.tsv:2: the line has 3 tab"},
      {header + "7\t10\r\n", "basic_val.tsv:2: the label '10' is not one of 0..9"},
      {header + "7\t\r\n", "basic_val.tsv:2: the label '' is not"},
      {header + "7\t-1\r\n", "the label '-1' is not"},
      {header + "7\t7.0\r\n", "the label '7.0' is not"},
      {header + "\t7\r\n", "basic_val.tsv:2: the source is empty"},
      {header + "( )\t7\r\n", "basic_val.tsv:2: the source is empty"},
      {header + "7\t7\r\n7\t7", "basic_val.tsv:3: the last line has no line end; the file is cut off"},
      {header + "( ( [MAX 7 ) ]\t7\r\n", "basic_val.tsv:2: a bracket is not closed"},
      {header + "( [MAX 7 )\t7\r\n", "basic_val.tsv:2: a bracket is not closed"},
      {header + "7 )\t7\r\n", "basic_val.tsv:2: a bracket is closed that was not opened"},
      {header + "7 ]\t7\r\n", "basic_val.tsv:2: a bracket is closed that was not opened"},
      {header + "12\t7\r\n", "basic_val.tsv:2: '12' is no ListOps token"},
      {header + "[ ]\t7\r\n", "basic_val.tsv:2: '[' is no ListOps token"},
      {header + "<eos>\t7\r\n", "basic_val.tsv:2: '<eos>' is no ListOps token"},
      {header + "hello\t7\r\n", "basic_val.tsv:2: 'hello' is no ListOps token"},
      {header + std::string("7\0\t7\r\n", 6), "basic_val.tsv:2: a NUL byte"},
      {header + "7 \xFF\t7\r\n", "basic_val.tsv:2: the line is not valid UTF-8"},
      {header + "7 \xC0\x80\t7\r\n", "basic_val.tsv:2: the line is not valid UTF-8"},
      {header + "7 \xED\xA0\x80\t7\r\n", "basic_val.tsv:2: the line is not valid UTF-8"},
      {header + "\xE2\x82", "basic_val.tsv:2: the last line has no line end"},
      {header + "7\t\xE2\x82\r\n", "basic_val.tsv:2: the line is not valid UTF-8"},
      {header + "7\xC3\xA9\t7\r\n", "is no ListOps token"},
  };
  for (const auto &row : rows) {
    put(root, good, row.text, good);
    expect_error(EBB_FORMAT, row.part);
  }
}

TEST_F(ListopsLoad, MalformedTrainingFile) {
  put(root, header + "7\t7\r\n7\tx\r\n", good, good);
  expect_error(EBB_FORMAT, "basic_train.tsv:3: the label 'x'");
  options.max_samples = 1;
  expect_error(EBB_FORMAT, "basic_train.tsv:3: the label 'x'");
}

/* What the generator writes, the loader reads: 15 kinds of tokens and three specials. */
TEST_F(ListopsLoad, ReadsTheGeneratorsFiles) {
  EbbListopsConfig config = {};
  config.n_train = 200, config.n_val = 20, config.n_test = 30;
  config.max_depth = config.max_args = 10;
  config.min_length = 100, config.max_length = 300;
  ASSERT_EQ(ebb_listops_generate(folder.c_str(), &config), EBB_OK) << ebb_error();
  options.l_max = 2048;
  ASSERT_EQ(load(), EBB_OK) << ebb_error();
  EXPECT_EQ(dataset->vocabulary, 18);
  EXPECT_STREQ(dataset->token_text[3], "X");
  EXPECT_LE(dataset->longest, 300);
  EXPECT_EQ(dataset->split[EBB_TRAIN].n_samples, 200);
  EXPECT_EQ(dataset->split[EBB_VALIDATION].n_samples, 20);
  EXPECT_EQ(dataset->split[EBB_TEST].n_samples, 30);
}

} // namespace
