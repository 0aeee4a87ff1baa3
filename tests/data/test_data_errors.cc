// What a user is told whose files are not where they are looked for, or not whole: what is wrong, where, and
// what to do.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "ebb/loading.h"
#include "host/data/data_elsewhere.h"
#include "support/loaded.h"

namespace {

namespace fs = std::filesystem;
using ebb_test::Loaded;

class DataErrors : public testing::Test {
protected:
  fs::path root;
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_data_errors";
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }
  void write(const std::string &name, const std::string &text = "x") const {
    fs::create_directories((root / name).parent_path());
    std::ofstream(root / name, std::ios::binary) << text;
  }
  // "" where there is none.
  std::string elsewhere(const std::string &folder, const std::vector<const char *> &names) const {
    std::vector<const char *> all = names;
    all.push_back(nullptr);
    char *found = ebb_data_elsewhere(folder.c_str(), all.data());
    const std::string text = found ? found : "";
    free(found);
    return text;
  }
  void says(const std::string &set, const std::string &folder, EbbStatus status,
            const std::vector<std::string> &parts, const std::vector<std::string> &keys = {}) const {
    const Loaded data(set, folder, keys);
    EXPECT_EQ(data.status, status) << set << ": " << data.error;
    for (const std::string &part : parts)
      EXPECT_NE(data.error.find(part), std::string::npos) << part << " is not in: " << data.error;
  }
};

TEST_F(DataErrors, FoldersNearbyAreFound) {
  write("a/b/c/file.bin"), write("a/packed/other.bin.gz"), fs::create_directories(root / "a/b/mark/inner");
  const std::string a = (root / "a").string();
  EXPECT_EQ(elsewhere(a, {"file.bin"}), a + "/b/c") << "two levels below";
  EXPECT_EQ(elsewhere(a + "/b", {"file.bin"}), a + "/b/c");
  EXPECT_EQ(elsewhere(root.string(), {"file.bin"}), "") << "three levels below";
  EXPECT_EQ(elsewhere(a + "/b/c/none", {"file.bin"}), a + "/b/c") << "above a folder that is not there";
  EXPECT_EQ(elsewhere(a + "/b/c/x/y/", {"file.bin"}), a + "/b/c");
  EXPECT_EQ(elsewhere(a + "/b/c/x/y/z", {"file.bin"}), "") << "three levels above";
  EXPECT_EQ(elsewhere(a, {"other.bin"}), a + "/packed") << "packed";
  EXPECT_EQ(elsewhere(a, {"none", "mark/inner"}), a + "/b") << "a folder";
  EXPECT_EQ(elsewhere(a, {}), "");
  write("a/z/file.bin");
  EXPECT_EQ(elsewhere(a, {"file.bin"}), a + "/z") << "the nearer one";
}

TEST_F(DataErrors, LevelsTooHighAndTooLowAreTold) {
  const std::string at = root.string();
  write("imdb/aclImdb/train/neg/0_1.txt"), write("imdb/aclImdb/train/pos/0_9.txt");
  says("imdb", at, EBB_NOT_FOUND, {"take dataset.data_dir=" + at + "/imdb"});
  says("imdb", at + "/imdb/aclImdb/train/neg", EBB_NOT_FOUND,
       {"neg/imdb_train.tsv' does not exist", "take dataset.data_dir=" + at + "/imdb/aclImdb"});
  write("c10/cifar-10-batches-bin/data_batch_1.bin");
  says("cifar", at, EBB_NOT_FOUND, {"take dataset.data_dir=" + at + "/c10/cifar-10-batches-bin"});
  write("speech/validation_list.txt"), write("speech/dog/a.wav");
  says("sc", at + "/speech/dog", EBB_NOT_FOUND, {"take dataset.data_dir=" + at + "/speech"});
  write("lists/basic_train.tsv");
  says("listops", at, EBB_NOT_FOUND, {"take dataset.data_dir=" + at + "/lists"});
  write("paths/pathfinder32/curv_contour_length_14/metadata/0.npy");
  says("pathfinder", at + "/paths/pathfinder32/curv_contour_length_14", EBB_NOT_FOUND,
       {"take dataset.data_dir=" + at + "/paths"});
  says("pathfinder", at, EBB_NOT_FOUND, {"take dataset.data_dir=" + at + "/paths"});
}

TEST_F(DataErrors, MissingFilesAreExplained) {
  const std::string none = (root / "none").string();
  for (const char *set :
       {"listops", "imdb",   "aan",     "cifar", "mnist", "fashion",   "pathfinder", "sc",
        "fsdd",    "wav",    "text",    "bidmc", "npy",   "occupancy", "traffic",    "ozone",
        "cheetah", "smnist", "gesture", "har",   "power", "person"})
    for (const std::string &folder : {none, root.string()}) {
      const Loaded data(set, folder);
      EXPECT_NE(data.status, EBB_OK) << set;
      EXPECT_NE(data.error.find(folder), std::string::npos) << data.error;
      EXPECT_NE(data.error.find("dataset.data_dir"), std::string::npos) << data.error;
      EXPECT_EQ(data.error.find("/./"), std::string::npos) << data.error;
    }
}

TEST_F(DataErrors, WhatIsNoFolderIsToldSo) {
  write("file");
  fs::create_symlink(root / "loop", root / "loop");
  for (const char *set : {"listops", "imdb", "sc", "cifar", "bidmc", "csv"}) {
    says(set, (root / "file").string(), EBB_INVALID,
         {"dataset.data_dir=" + (root / "file").string(), "no folder"});
    says(set, (root / "loop").string(), EBB_IO, {"dataset.data_dir=", "symbolic links"});
    says(set, (root / "file/inner").string(), EBB_IO, {"dataset.data_dir=", "Not a directory"});
  }
}

TEST_F(DataErrors, WhatEbbMakesIsNamed) {
  const std::string at = root.string();
  says("listops", at, EBB_NOT_FOUND, {"`ebb data listops " + at + "` makes", "listops-1000"});
  says("pathfinder", at, EBB_NOT_FOUND,
       {"`ebb data pathfinder --resolution 32 --level curv_contour_length_14`"});
}

// A part that is gone, or cut off: of published data sets the remedy is always the same.
TEST_F(DataErrors, DamagedFilesAreToBeReplaced) {
  const std::string remedy =
      "put the files of 'imdb' there again, whole, or name another folder with dataset.data_dir";
  write("aclImdb/train/neg/0_1.txt", "bad"), write("aclImdb/train/pos/0_9.txt", "good");
  says("imdb", root.string(), EBB_NOT_FOUND, {"aclImdb/test/neg'", remedy});
  write("aclImdb/test/neg/0_1.txt", "");
  says("imdb", root.string(), EBB_FORMAT, {"aclImdb/test/neg/0_1.txt: the review is empty", remedy});
  write("cifar-10-batches-bin/test_batch.bin"), write("cifar-10-batches-bin/data_batch_1.bin", "x");
  says("cifar", root.string(), EBB_FORMAT,
       {"data_batch_1.bin", "cut off", "put the files of 'cifar' there again"});
  const Loaded own("npy", root.string());
  EXPECT_EQ(own.error.find("again"), std::string::npos) << "a user's own: " << own.error;
}

TEST_F(DataErrors, HeadersWithoutANameForTheRowNumbersAreTold) {
  write("rows.csv", "x,y\n1,2.5,0\n2,2.5,1\n");
  says("csv", root.string(), EBB_FORMAT,
       {"rows.csv:2: the record has 3 fields, but the header 2 names", "add one"},
       {"dataset.file=rows.csv", "dataset.labels=y"});
}

// Reviews that are missing are no error, but are told.
TEST_F(DataErrors, ArchivesThatAreNotWholeAreTold) {
  for (const char *part : {"train", "test"})
    for (const char *file : {"/neg/0_1.txt", "/pos/0_9.txt", "/neg/1_2.txt", "/pos/1_8.txt"})
      write(std::string("aclImdb/") + part + file, "a review");
  EbbConfig *config = nullptr;
  EbbDataset *data = nullptr;
  std::string lines;
  ASSERT_EQ(ebb_config_create(&config), EBB_OK);
  for (const std::string &key : {std::string("dataset._name_=imdb"), "dataset.data_dir=" + root.string()})
    ASSERT_EQ(ebb_config_override(config, key.c_str()), EBB_OK);
  EbbLoading loading = {};
  loading.context = &lines;
  loading.line = [](void *context, const char *text) { *static_cast<std::string *>(context) += text; };
  ASSERT_EQ(ebb_dataset_load_watched(config, &loading, &data), EBB_OK) << ebb_error();
  EXPECT_NE(lines.find("aclImdb/test/pos has 2 of the 12500 published reviews"), std::string::npos) << lines;
  ebb_dataset_destroy(data);
  ebb_config_destroy(config);
}

} // namespace
