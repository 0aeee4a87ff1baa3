// Speech Commands, spoken digits and a user's recordings, on small archives in the published layouts and on
// the real digits.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "host/data/mfcc.h"
#include "host/data/sklearn_split.h"
#include "support/loaded.h"
#include "support/real_data.h"
#include "support/wav_file.h"

namespace {

namespace fs = std::filesystem;
using namespace ebb_test;
using Numbers = std::vector<int16_t>;
using Order = std::vector<int64_t>;

struct Split {
  Order train, test;
};

Split sklearn(Order items, double share, uint32_t seed, const std::vector<int32_t> &labels = {},
              int n_classes = 0) {
  int64_t n_train = 0;
  EXPECT_EQ(ebb_sklearn_split(items.data(), int64_t(items.size()), share, seed,
                              labels.empty() ? nullptr : labels.data(), n_classes, &n_train),
            EBB_OK)
      << ebb_error();
  return {Order(items.begin(), items.begin() + n_train), Order(items.begin() + n_train, items.end())};
}

Order counted(int64_t n) {
  Order items;
  for (int64_t i = 0; i < n; i++) items.push_back(i);
  return items;
}

// The expected numbers are those of scikit-learn 1.9.1.
TEST(SklearnSplit, PlainIsBitEqual) {
  const Split first = sklearn(counted(41), 0.7, 0), second = sklearn(first.test, 0.5, 1);
  EXPECT_EQ(first.train, (Order{2,  40, 18, 15, 22, 16, 37, 8,  13, 5,  17, 14, 34, 7,
                                33, 1,  26, 12, 32, 24, 6,  23, 21, 19, 9,  39, 3,  0}));
  EXPECT_EQ(second.train, (Order{11, 38, 30, 36, 20, 31}));
  EXPECT_EQ(second.test, (Order{29, 4, 10, 28, 35, 27, 25}));
}

TEST(SklearnSplit, StratifiedIsBitEqual) {
  std::vector<int32_t> labels;
  for (int i = 0; i < 41; i++) labels.push_back(i % 7 ? (i * i + i / 3) % 3 : 1);
  const Split first = sklearn(counted(41), 0.7, 0, labels, 3),
              second = sklearn(first.test, 0.5, 1, labels, 3);
  EXPECT_EQ(first.train, (Order{32, 35, 23, 2,  30, 0,  12, 31, 15, 5,  10, 39, 27, 19,
                                26, 9,  14, 40, 18, 37, 21, 36, 24, 29, 33, 3,  34, 16}));
  EXPECT_EQ(second.train, (Order{7, 8, 22, 20, 13, 38}));
  EXPECT_EQ(second.test, (Order{1, 4, 28, 25, 11, 17, 6}));
}

int64_t checksum(const Order &order) {
  int64_t sum = 0;
  for (size_t i = 0; i < order.size(); i++) sum += int64_t(i + 1) * order[i];
  return sum;
}

TEST(SklearnSplit, ManyClassesAreBitEqual) {
  std::vector<int32_t> labels;
  for (uint64_t i = 0; i < 3497; i++) labels.push_back(int32_t((i * 2654435761U % 4294967296U >> 8) % 10));
  const Split first = sklearn(counted(3497), 0.7, 0, labels, 10),
              second = sklearn(first.test, 0.5, 1, labels, 10);
  EXPECT_EQ(first.train.size(), 2447U);
  EXPECT_EQ(checksum(first.train), 5239754708);
  EXPECT_EQ(checksum(second.train), 251719520);
  EXPECT_EQ(checksum(second.test), 248946253);
}

// ---- Speech Commands ----

const char *const words[] = {"bed",    "cat",    "down",  "five",     "forward", "go",     "house",
                             "left",   "marvin", "no",    "on",       "right",   "sheila", "tree",
                             "up",     "visual", "yes",   "backward", "bird",    "dog",    "eight",
                             "follow", "four",   "happy", "learn",    "nine",    "off",    "one",
                             "seven",  "six",    "stop",  "three",    "two",     "wow",    "zero"};

class Audio : public testing::Test {
protected:
  fs::path root;
  void SetUp() override {
    root = fs::path(testing::TempDir()) / "ebb_audio";
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }
  std::string folder() const { return root.string(); }

  // Five recordings a word: takes 0 .. 2 are training, 3 validation, 4 test; take k of word w is full of
  // 100 w + k, and take 1 is one short.
  void write_archive() const {
    std::string validation, test;
    for (int w = 0; w < 35; w++) {
      for (int k = 0; k < 5; k++) {
        const std::string name = std::string(words[w]) + "/aa_nohash_" + std::to_string(k) + ".wav";
        write_wav(root / name, Numbers(k == 1 ? 15999 : 16000, int16_t(100 * w + k)));
        if (k == 3) validation += name + "\n";
        if (k == 4) test += name + "\r\n";
      }
    }
    write_file(root / "validation_list.txt", validation);
    write_file(root / "testing_list.txt", test);
    write_wav(root / "_background_noise_" / "hum.wav", Numbers(100000, 5));
  }
};

// A batch of a split as training sees it.
struct Batch {
  EbbLoader *loader = nullptr;
  const EbbBatch *batch = nullptr;
  Batch(const Loaded &data, EbbSplit split, int64_t rows, int64_t stride = 1) {
    EbbLoaderConfig config = {};
    config.batch_size = rows, config.bucket_quantum = 1, config.stride = stride;
    EXPECT_EQ(ebb_loader_create(data.set, split, &config, &loader), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_loader_batch(loader, 0, 0, &batch), EBB_OK) << ebb_error();
  }
  ~Batch() { ebb_loader_destroy(loader); }
  Batch(const Batch &) = delete;
  Batch &operator=(const Batch &) = delete;
};

const std::vector<std::string> l_max = {"dataset.l_max=16000"};

// A recording more in a word's folder is noticed, and what the lists do not know is for training.
TEST_F(Audio, SpeechIsPreparedOnce) {
  write_archive();
  const Loaded plain("sc", folder(), {"dataset.l_max=16000", "dataset.cache=off"});
  ASSERT_EQ(plain.status, EBB_OK) << plain.error;
  for (int i = 0; i < 2; i++) {
    const Loaded cached("sc", folder(), {"dataset.l_max=16000", "dataset.cache=on"});
    ASSERT_EQ(cached.status, EBB_OK) << cached.error;
    EXPECT_NE(cached.set->mapping, nullptr);
    EXPECT_EQ(cached.counts(), plain.counts());
    for (EbbSplit split : {EBB_TRAIN, EBB_VALIDATION, EBB_TEST}) {
      const Batch a(plain, split, 35), b(cached, split, 35);
      EXPECT_EQ(memcmp(a.batch->values, b.batch->values, 35 * 16000 * sizeof(float)), 0);
      EXPECT_EQ(memcmp(a.batch->labels, b.batch->labels, 35 * sizeof(int32_t)), 0);
    }
  }
  const std::string word = folder() + "/bed/";
  for (const auto &entry : std::filesystem::directory_iterator(word)) {
    std::filesystem::copy_file(entry.path(), word + "another.wav");
    break;
  }
  const Loaded more("sc", folder(), {"dataset.l_max=16000", "dataset.cache=on"});
  ASSERT_EQ(more.status, EBB_OK) << more.error;
  EXPECT_EQ(more.counts()[0], plain.counts()[0] + 1);
  EXPECT_EQ(Loaded("sc", folder(), {"dataset.cache=on"}).status, EBB_INVALID) << "l_max was not given";
}

TEST_F(Audio, AllWordsAsPublished) {
  write_archive();
  const Loaded data("sc", folder(), l_max);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{105, 35, 35}));
  EXPECT_EQ(data.set->n_classes, 35);
  EXPECT_EQ(data.set->longest, 16000);
  EXPECT_FALSE(data.set->variable_length);
  EXPECT_NE(data.split(EBB_TRAIN).raw, nullptr) << "kept in 16 bits";
  // Means and unbiased deviations of a time index over the training split, by hand.
  std::vector<double> train, last;
  for (int w = 0; w < 35; w++)
    for (int k = 0; k < 3; k++) train.push_back(100 * w + k), last.push_back(k == 1 ? 0 : 100 * w + k);
  const auto expected = [](const std::vector<double> &values, double x, double eps) {
    double mean = 0, squares = 0;
    for (double v : values) mean += v / double(values.size());
    for (double v : values) squares += (v - mean) * (v - mean);
    return (x - mean) / (std::sqrt(squares / double(values.size() - 1)) + eps);
  };
  for (const double eps : {0.32768, 0.0}) {
    const Loaded again("sc", folder(), {"dataset.l_max=16000", "dataset.eps=" + std::to_string(eps)});
    const Batch test(again, EBB_TEST, 35), training(again, EBB_TRAIN, 105);
    for (int w = 0; w < 35; w++) {
      EXPECT_EQ(test.batch->labels[w], w);
      EXPECT_NEAR(test.batch->values[w * 16000 + 8000], expected(train, 100 * w + 4, 32768 * eps), 1e-5);
      EXPECT_NEAR(test.batch->values[w * 16000 + 15999], expected(last, 100 * w + 4, 32768 * eps), 1e-5);
      EXPECT_NEAR(training.batch->values[(3 * w + 1) * 16000 + 15999], expected(last, 0, 32768 * eps), 1e-5)
          << "padding is normalised like the rest";
    }
  }
}

TEST_F(Audio, EverySecondSampleIsThatOfTheWhole) {
  write_archive();
  const Loaded data("sc", folder(), l_max);
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  const Batch whole(data, EBB_TEST, 4), half(data, EBB_TEST, 4, 2);
  ASSERT_EQ(half.batch->length, 8000);
  for (int64_t row = 0; row < 4; row++)
    for (int64_t t = 0; t < 8000; t++)
      ASSERT_EQ(half.batch->values[row * 8000 + t], whole.batch->values[row * 16000 + 2 * t]);
}

TEST_F(Audio, TenCommandsAreDealtByClass) {
  write_archive();
  const Loaded data("sc", folder(), {"dataset.l_max=16000", "dataset.all_classes=false"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.set->n_classes, 10);
  // 50 recordings less the ten short ones: floor(0.7 * 40), then halves.
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{28, 6, 6}));
  const char *const order[] = {"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"};
  std::set<std::pair<int32_t, int16_t>> seen;
  for (int s = 0; s < EBB_SPLITS; s++) {
    const EbbSamples &split = data.split(EbbSplit(s));
    for (int64_t i = 0; i < split.n_samples; i++) {
      const int64_t at = split.order[i];
      const int16_t first = static_cast<const int16_t *>(split.raw)[split.offset[at]];
      EXPECT_STREQ(order[split.labels[at]], words[first / 100]);
      EXPECT_NE(first % 100, 1) << "short recordings are left out";
      EXPECT_TRUE(seen.insert({split.labels[at], first}).second) << "in two splits";
    }
  }
  EXPECT_EQ(seen.size(), 40U);
}

// The same recordings in the same splits, as z-scores of their coefficients.
TEST_F(Audio, CepstralCoefficientsAreThoseOfTheRecordings) {
  write_archive();
  const std::vector<std::string> keys = {"dataset.l_max=16000", "dataset.all_classes=false"};
  const Loaded raw("sc", folder(), keys);
  ASSERT_EQ(raw.status, EBB_OK) << raw.error;
  for (const char *log_mels : {"true", "false"}) {
    std::vector<std::string> more = keys;
    more.insert(more.end(), {"dataset.mfcc=true", std::string("dataset.log_mels=") + log_mels});
    const Loaded data("sc", folder(), more);
    ASSERT_EQ(data.status, EBB_OK) << data.error;
    EXPECT_EQ(data.set->d_input, EBB_MFCC_COEFFICIENTS);
    EXPECT_EQ(data.set->longest, 161);
    EXPECT_EQ(data.counts(), raw.counts());
    EbbMfcc *mfcc = nullptr;
    ASSERT_EQ(ebb_mfcc_create(16000, log_mels == std::string("false"), &mfcc), EBB_OK);
    std::vector<std::vector<float>> made; // of every stored recording
    for (int64_t s = 0; s < raw.split(EBB_TRAIN).n_stored; s++) {
      made.emplace_back(size_t(161 * EBB_MFCC_COEFFICIENTS));
      ebb_mfcc_make(mfcc, static_cast<const int16_t *>(raw.split(EBB_TRAIN).raw) + 16000 * s,
                    made.back().data());
    }
    ebb_mfcc_destroy(mfcc);
    const EbbSamples &train = data.split(EBB_TRAIN);
    for (int k = 0; k < EBB_MFCC_COEFFICIENTS; k++) {
      double mean = 0, squares = 0;
      const double n = double(train.n_samples * 161);
      const auto each = [&](const auto &visit) {
        for (int64_t i = 0; i < train.n_samples; i++)
          for (int64_t t = 0; t < 161; t++)
            visit(double(made[size_t(train.order[i])][size_t(t * EBB_MFCC_COEFFICIENTS + k)]));
      };
      each([&](double v) { mean += v / n; });
      each([&](double v) { squares += (v - mean) * (v - mean); });
      for (int64_t s = 0; s < train.n_stored; s += 7)
        for (int64_t t : {0, 80, 160}) {
          const size_t at = size_t(t * EBB_MFCC_COEFFICIENTS + k);
          EXPECT_NEAR(train.values[size_t(s * 161 * EBB_MFCC_COEFFICIENTS) + at],
                      (double(made[size_t(s)][at]) - mean) / std::sqrt(squares / n), 1e-4);
        }
    }
  }
}

TEST_F(Audio, MaximumOfTrainingIsSpreadOverTheClasses) {
  write_archive();
  const Loaded data("sc", folder(), {"dataset.l_max=16000", "dataset.max_samples=35"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  const EbbSamples &train = data.split(EBB_TRAIN);
  ASSERT_EQ(train.n_samples, 35);
  for (int i = 0; i < 35; i++) EXPECT_EQ(train.labels[train.order[i]], i);
}

TEST_F(Audio, DamagedArchivesAreRefused) {
  const auto says = [this](const std::string &text) {
    const Loaded data("sc", folder(), l_max);
    EXPECT_NE(data.status, EBB_OK);
    EXPECT_NE(data.error.find(text), std::string::npos) << data.error;
  };
  write_archive();
  const Loaded cut("sc", folder());
  EXPECT_EQ(cut.status, EBB_INVALID);
  EXPECT_NE(cut.error.find("dataset.l_max=16000"), std::string::npos) << cut.error;
  write_wav(root / "dog" / "aa_nohash_9.wav", Numbers(16001, 1));
  says("dog/aa_nohash_9.wav: 16001 samples");
  write_wav(root / "dog" / "aa_nohash_9.wav", Numbers(160, 1), {1, 1, 8000, 16});
  says("dog/aa_nohash_9.wav: 8000 samples a second, expected 16000");
  write_wav(root / "dog" / "aa_nohash_9.wav", Numbers(160, 1), {1, 2, 16000, 16});
  says("dog/aa_nohash_9.wav: 2 channels, expected 1");
  fs::remove(root / "dog" / "aa_nohash_9.wav");
  fs::remove(root / "dog" / "aa_nohash_3.wav");
  says("validation_list.txt: of its 35 files 34 are there");
  fs::remove_all(root / "dog");
  fs::create_directories(root / "dog");
  says("dog: the folder has no .wav files");
  fs::remove_all(root / "dog");
  says("dog': No such file");
  fs::remove(root / "testing_list.txt");
  says("testing_list.txt' does not exist");
  const Loaded nowhere("sc", folder() + "/none");
  EXPECT_EQ(nowhere.status, EBB_NOT_FOUND);
  EXPECT_NE(nowhere.error.find("speech_commands_v0.02.tar.gz"), std::string::npos) << nowhere.error;
}

// ---- spoken digits ----

TEST_F(Audio, DigitsAreSplitByTake) {
  for (int digit = 0; digit < 10; digit++)
    for (int take : {0, 4, 5, 9, 10, 49})
      write_wav(root / "recordings" / (std::to_string(digit) + "_ann_" + std::to_string(take) + ".wav"),
                Numbers(size_t(3 + digit), int16_t(take)), {1, 1, 8000, 16});
  const Loaded data("fsdd", folder(), {"dataset.normalise=false"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{20, 20, 20}));
  EXPECT_TRUE(data.set->variable_length);
  EXPECT_EQ(data.set->longest, 12);
  for (int s = 0; s < EBB_SPLITS; s++) {
    const EbbSamples &split = data.split(EbbSplit(s));
    for (int64_t i = 0; i < split.n_samples; i++) {
      const int64_t at = split.order[i], take = static_cast<const int16_t *>(split.raw)[split.offset[at]];
      EXPECT_EQ(split.offset[at + 1] - split.offset[at], 3 + split.labels[at]);
      EXPECT_EQ(s, take < 5 ? EBB_TEST : take < 10 ? EBB_VALIDATION : EBB_TRAIN);
    }
  }
  write_wav(root / "recordings" / "ten_ann_1.wav", Numbers(3, 1), {1, 1, 8000, 16});
  const Loaded misnamed("fsdd", folder());
  EXPECT_EQ(misnamed.status, EBB_FORMAT);
  EXPECT_NE(misnamed.error.find("ten_ann_1.wav: the name is not"), std::string::npos) << misnamed.error;
}

TEST(RealDigits, AsPublished) {
  REAL_DATA(folder, "fsdd");
  const Loaded data("fsdd", folder, {"dataset.l_max=20000"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{2400, 300, 300}));
  EXPECT_EQ(data.set->longest, 18262);
  const EbbSamples &all = data.split(EBB_TEST);
  ASSERT_EQ(all.n_stored, 3000);
  int64_t shortest = 18262;
  for (int64_t s = 0; s < 3000; s++) shortest = std::min(shortest, all.offset[s + 1] - all.offset[s]);
  EXPECT_EQ(shortest, 1148);
  EXPECT_EQ(std::lround(double(all.offset[3000]) / 3000), 3499);
  std::vector<int> digits(10);
  for (int64_t i = 0; i < 300; i++) digits[size_t(all.labels[all.order[i]])]++;
  EXPECT_EQ(digits, std::vector<int>(10, 30));
  // The training split has mean 0 and deviation 1.
  const Batch train(data, EBB_TRAIN, 2400);
  double sum = 0, squares = 0, n = 0;
  for (int64_t row = 0; row < 2400; row++)
    for (int64_t t = 0; t < train.batch->lengths[row]; t++) {
      const double value = train.batch->values[row * train.batch->length + t];
      sum += value, squares += value * value, n++;
    }
  EXPECT_NEAR(sum / n, 0, 1e-4);
  EXPECT_NEAR(squares / n, 1, 1e-3);
}

// ---- a user's recordings ----

TEST_F(Audio, FoldersOfClasses) {
  for (const char *name : {"a", "b"})
    for (int i = 0; i < 10; i++)
      write_wav(root / name / (std::to_string(i) + ".wav"), Numbers(4, int16_t(i)), {1, 2, 11025, 16});
  const Loaded data("wav", folder(), {"dataset.val_split=0.1", "dataset.test_split=0.25"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{13, 2, 5}));
  EXPECT_EQ(data.set->d_input, 2);
  EXPECT_EQ(data.set->longest, 2);
  std::set<int64_t> seen;
  for (int s = 0; s < EBB_SPLITS; s++)
    for (int64_t i = 0; i < data.split(EbbSplit(s)).n_samples; i++)
      seen.insert(data.split(EbbSplit(s)).order[i]);
  EXPECT_EQ(seen.size(), 20U);
  write_wav(root / "b" / "odd.wav", Numbers(4, 1), {1, 1, 11025, 16});
  const Loaded mixed("wav", folder());
  EXPECT_EQ(mixed.status, EBB_FORMAT);
  EXPECT_NE(mixed.error.find("odd.wav: 1 channels, expected 2"), std::string::npos) << mixed.error;
}

TEST_F(Audio, FoldersOfSplits) {
  for (const char *split : {"train", "test"})
    for (const char *name : {"a", "b"})
      for (int i = 0; i < 4; i++)
        write_wav(root / split / name / (std::to_string(i) + ".wav"), Numbers(4, 1));
  const Loaded data("wav", folder(), {"dataset.val_split=0.25"});
  ASSERT_EQ(data.status, EBB_OK) << data.error;
  EXPECT_EQ(data.counts(), (std::vector<int64_t>{6, 2, 8}));
  write_wav(root / "test" / "c" / "0.wav", Numbers(4, 1));
  const Loaded added("wav", folder());
  EXPECT_EQ(added.status, EBB_FORMAT);
  EXPECT_NE(added.error.find("training has no class 'c'"), std::string::npos) << added.error;
}

} // namespace
