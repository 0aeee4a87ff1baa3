// Data sets that are prepared once: the same samples from the cache, and a change of any file is noticed.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/loaded.h"

namespace {

namespace fs = std::filesystem;
using ebb_test::Loaded;
using Keys = std::vector<std::string>;

class CachedSets : public testing::Test {
protected:
  fs::path root;
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_cached_sets";
    fs::remove_all(root);
  }
  void TearDown() override { fs::remove_all(root); }
  void write(const std::string &name, const std::string &text) const {
    fs::create_directories((root / name).parent_path());
    std::ofstream(root / name, std::ios::binary) << text;
  }
  // A later time of the same file, as if somebody had edited it.
  void touch(const std::string &name) const {
    fs::last_write_time(root / name, fs::last_write_time(root / name) + std::chrono::seconds(2));
  }
  std::vector<fs::path> caches() const {
    std::vector<fs::path> all;
    if (fs::exists(root / "cache"))
      for (const auto &entry : fs::directory_iterator(root / "cache")) all.push_back(entry.path());
    return all;
  }
};

// Batches of both in the same order.
void expect_same_batches(const Loaded &a, const Loaded &b) {
  ASSERT_EQ(a.status, EBB_OK) << a.error;
  ASSERT_EQ(b.status, EBB_OK) << b.error;
  ASSERT_EQ(a.counts(), b.counts());
  EbbLoaderConfig config = {};
  config.batch_size = 2, config.bucket_quantum = 1, config.shuffle = true;
  for (int split = 0; split < EBB_SPLITS; split++) {
    EbbLoader *loader[2] = {};
    ASSERT_EQ(ebb_loader_create(a.set, EbbSplit(split), &config, &loader[0]), EBB_OK) << ebb_error();
    ASSERT_EQ(ebb_loader_create(b.set, EbbSplit(split), &config, &loader[1]), EBB_OK) << ebb_error();
    for (int64_t i = 0; i < ebb_loader_batches(loader[0]); i++) {
      const EbbBatch *x = nullptr, *y = nullptr;
      ASSERT_EQ(ebb_loader_batch(loader[0], 0, i, &x), EBB_OK);
      ASSERT_EQ(ebb_loader_batch(loader[1], 0, i, &y), EBB_OK);
      ASSERT_EQ(x->length, y->length);
      const size_t steps = size_t(x->rows * x->length);
      if (x->tokens) EXPECT_EQ(memcmp(x->tokens, y->tokens, steps * sizeof *x->tokens), 0);
      if (x->values)
        EXPECT_EQ(memcmp(x->values, y->values, steps * size_t(a.set->d_input) * sizeof *x->values), 0);
      if (x->labels) EXPECT_EQ(memcmp(x->labels, y->labels, size_t(x->rows) * sizeof *x->labels), 0);
      if (x->targets) EXPECT_EQ(memcmp(x->targets, y->targets, size_t(x->rows) * sizeof *x->targets), 0);
    }
    for (EbbLoader *one : loader) ebb_loader_destroy(one);
  }
}

// ---- IMDB ----

class CachedImdb : public CachedSets {
protected:
  const Keys keys = {"dataset.val_split=0.25", "dataset.min_freq=1", "dataset.cache=on"};

  void write_tree() const {
    for (const char *part : {"train", "test"})
      for (int i = 0; i < 8; i++) {
        const std::string end = std::to_string(i) + (i % 2 ? "_9.txt" : "_2.txt");
        write(std::string("aclImdb/") + part + (i % 2 ? "/pos/" : "/neg/") + end,
              "review " + std::string(size_t(1 + i), char('a' + i)) + " of " + part);
      }
  }
  Loaded load(const std::string &extra = "dataset.level=char") const {
    Keys all = keys;
    all.push_back(extra);
    return Loaded("imdb", root.string(), all);
  }
  // Whether loading again makes the cache anew.
  bool makes_anew() const {
    const fs::path cache = caches().at(0);
    const auto before = fs::last_write_time(cache);
    fs::last_write_time(cache, before - std::chrono::hours(1));
    const Loaded data = load();
    EXPECT_EQ(data.status, EBB_OK) << data.error;
    return fs::last_write_time(cache) > before - std::chrono::minutes(1);
  }
};

TEST_F(CachedImdb, IsTheSameFromTheCache) {
  write_tree();
  for (const char *level : {"dataset.level=char", "dataset.level=word"}) {
    const Loaded plain("imdb", root.string(),
                       {"dataset.val_split=0.25", "dataset.min_freq=1", "dataset.cache=off", level});
    const Loaded first = load(level), second = load(level);
    EXPECT_EQ(plain.set->mapping, nullptr);
    EXPECT_NE(second.set->mapping, nullptr);
    expect_same_batches(plain, first);
    expect_same_batches(plain, second);
    ASSERT_EQ(second.set->vocabulary, plain.set->vocabulary);
    for (int64_t id = 0; id < plain.set->vocabulary; id++)
      EXPECT_STREQ(second.set->token_text[id], plain.set->token_text[id]);
  }
  EXPECT_EQ(caches().size(), 2U) << "one of characters and one of words";
}

TEST_F(CachedImdb, EveryChangeOfAReviewIsNoticed) {
  write_tree();
  const Loaded first = load();
  ASSERT_EQ(first.status, EBB_OK) << first.error;
  EXPECT_FALSE(makes_anew());
  touch("aclImdb/test/pos/7_9.txt");
  EXPECT_TRUE(makes_anew()) << "another time";
  write("aclImdb/train/neg/0_2.txt", "another review of another length");
  EXPECT_TRUE(makes_anew()) << "another size";
  fs::rename(root / "aclImdb/train/neg/0_2.txt", root / "aclImdb/train/neg/0_3.txt");
  EXPECT_TRUE(makes_anew()) << "another name";
  write("aclImdb/train/pos/99_10.txt", "one more");
  EXPECT_TRUE(makes_anew()) << "one more";
  fs::remove(root / "aclImdb/test/neg/2_2.txt");
  EXPECT_TRUE(makes_anew()) << "one less";
  write("aclImdb/test/neg/notes.md", "no review");
  EXPECT_FALSE(makes_anew());
}

TEST_F(CachedImdb, LinesAreCachedToo) {
  write("imdb_train.tsv", "0\t0_1\tabc\n1\t0_7\tcab\n0\t1_2\tabca\n1\t1_8\tbb\n");
  write("imdb_test.tsv", "0\t0_1\tab\n1\t0_8\tba\n");
  expect_same_batches(load(), load());
  ASSERT_EQ(caches().size(), 1U);
  EXPECT_FALSE(makes_anew());
  write("imdb_test.tsv", "0\t0_1\tab\n1\t0_8\tbc\n");
  EXPECT_TRUE(makes_anew());
}

TEST_F(CachedImdb, MissingFilesAreTheLoadersToExplain) {
  const Loaded data = load();
  EXPECT_EQ(data.status, EBB_NOT_FOUND);
  EXPECT_NE(data.error.find("nor does the folder aclImdb"), std::string::npos) << data.error;
  EXPECT_TRUE(caches().empty());
}

// ---- BIDMC ----

std::string bidmc_cases(int first, int n) {
  std::string text = "@problemName BIDMC32HR\n@timeStamps false\n@targetLabel true\n@data\n";
  for (int i = first; i < first + n; i++)
    text += std::to_string(i) + "," + std::to_string(i) + ",0.25:1,2,3:" + std::to_string(i) + ".5\n";
  return text;
}

TEST_F(CachedSets, BidmcIsTheSameFromTheCache) {
  write("BIDMC32HR_TRAIN.ts", bidmc_cases(0, 30));
  write("BIDMC32HR_TEST.ts", bidmc_cases(30, 11));
  for (const char *deal : {"dataset.reshuffle=true", "dataset.reshuffle=false"}) {
    const Keys cached = {"dataset.target=HR", deal, "dataset.cache=on"};
    const Loaded plain("bidmc", root.string(), {"dataset.target=HR", deal, "dataset.cache=off"});
    const Loaded first("bidmc", root.string(), cached), second("bidmc", root.string(), cached);
    expect_same_batches(plain, first);
    expect_same_batches(plain, second);
    EXPECT_NE(second.set->mapping, nullptr);
  }
  EXPECT_EQ(caches().size(), 2U);
  write("BIDMC32HR_TEST.ts", bidmc_cases(30, 12));
  const Loaded more("bidmc", root.string(), {"dataset.target=HR", "dataset.cache=on"});
  ASSERT_EQ(more.status, EBB_OK) << more.error;
  EXPECT_EQ(more.counts(), (std::vector<int64_t>{29, 6, 7}));
}

// What nobody asked to be cut is refused, cache or not.
TEST_F(CachedSets, NoCacheBringsACutThatNobodyAskedFor) {
  std::string text = "@problemName BIDMC32HR\n@timeStamps false\n@targetLabel true\n@data\n", long_case = "0";
  for (int i = 1; i < 2100; i++) long_case += "," + std::to_string(i % 7);
  for (int i = 0; i < 20; i++) text += long_case + ":" + std::to_string(i) + ".5\n";
  write("BIDMC32RR_TRAIN.ts", text);
  write("BIDMC32RR_TEST.ts", text);
  const Loaded asked("bidmc", root.string(), {"dataset.l_max=2048", "dataset.cache=on"});
  EXPECT_EQ(asked.status, EBB_OK) << asked.error;
  const Loaded silent("bidmc", root.string(), {"dataset.cache=on"});
  EXPECT_EQ(silent.status, EBB_INVALID);
  EXPECT_NE(silent.error.find("dataset.l_max=2100"), std::string::npos) << silent.error;
}

} // namespace
