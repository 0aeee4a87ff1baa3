#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "ebb/data.h"

namespace {

/* Token data whose sequence q is filled with q + 1 and has length_of(q) elements; label = sample, modulo 10.
 */
struct Set {
  EbbDataset dataset = {};
  std::vector<int64_t> offset{0};
  std::vector<int32_t> tokens, labels;
  std::vector<float> values, targets;

  Set(int64_t n, int64_t (*length_of)(int64_t), int64_t towers = 1) {
    for (int64_t q = 0; q < n * towers; q++) {
      for (int64_t i = 0; i < length_of(q); i++) {
        tokens.push_back(static_cast<int32_t>(q + 1));
        for (int feature = 0; feature < 3; feature++)
          values.push_back(static_cast<float>(10 * (q + 1) + feature));
      }
      offset.push_back(static_cast<int64_t>(tokens.size()));
    }
    for (int64_t s = 0; s < n; s++) {
      labels.push_back(static_cast<int32_t>(s % 10));
      targets.push_back(static_cast<float>(s));
      targets.push_back(-static_cast<float>(s));
    }
    snprintf(dataset.name, sizeof dataset.name, "made up");
    dataset.n_classes = dataset.d_output = 10;
    dataset.n_towers = towers;
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.n_samples = n;
    samples.offset = offset.data();
    samples.tokens = tokens.data();
    samples.labels = labels.data();
  }
  void use_values() {
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.tokens = nullptr, samples.labels = nullptr;
    samples.values = values.data(), samples.targets = targets.data();
    dataset.n_classes = 0, dataset.d_output = 2, dataset.d_input = 3;
  }
};

using Loader = std::unique_ptr<EbbLoader, decltype(&ebb_loader_destroy)>;

Loader open_loader(const Set &set, const EbbLoaderConfig &config) {
  EbbLoader *loader = nullptr;
  EXPECT_EQ(ebb_loader_create(&set.dataset, EBB_TRAIN, &config, &loader), EBB_OK) << ebb_error();
  return {loader, ebb_loader_destroy};
}

const EbbBatch &batch_of(const Loader &loader, int64_t epoch, int64_t index) {
  const EbbBatch *batch = nullptr;
  EXPECT_EQ(ebb_loader_batch(loader.get(), epoch, index, &batch), EBB_OK) << ebb_error();
  return *batch;
}

EbbLoaderConfig plain(int64_t batch_size) {
  EbbLoaderConfig config = {};
  config.batch_size = batch_size;
  config.bucket_quantum = 1;
  config.seed = 9;
  return config;
}

int64_t uneven(int64_t q) { return 1 + q * 37 % 61; }

/* The samples of an epoch in the order of its batches, real rows only. */
std::vector<int32_t> order_of(const Loader &loader, int64_t epoch) {
  std::vector<int32_t> order;
  for (int64_t index = 0; index < ebb_loader_batches(loader.get()); index++) {
    const EbbBatch &batch = batch_of(loader, epoch, index);
    for (int64_t row = 0; row < batch.n_valid; row++) order.push_back(batch.tokens[row * batch.length] - 1);
  }
  return order;
}

bool each_once(std::vector<int32_t> order, int32_t n) {
  std::sort(order.begin(), order.end());
  for (int32_t s = 0; s < n; s++) {
    if (static_cast<size_t>(s) >= order.size() || order[s] != s) return false;
  }
  return static_cast<int32_t>(order.size()) == n;
}

double fill_of(const Loader &loader) {
  double used = 0, all = 0;
  for (int64_t index = 0; index < ebb_loader_batches(loader.get()); index++) {
    const EbbBatch &batch = batch_of(loader, 0, index);
    all += static_cast<double>(batch.n_valid * batch.length);
    for (int64_t row = 0; row < batch.n_valid; row++) used += batch.lengths[row];
  }
  return used / all;
}

TEST(Loader, InOrderWithPaddingAndFiller) {
  Set set(7, uneven);
  Loader loader = open_loader(set, plain(3));
  ASSERT_EQ(ebb_loader_batches(loader.get()), 3);
  for (int64_t index = 0; index < 3; index++) {
    const EbbBatch &batch = batch_of(loader, 4, index);
    int64_t valid = index < 2 ? 3 : 1, longest = 0;
    ASSERT_EQ(batch.rows, 3);
    ASSERT_EQ(batch.n_valid, valid);
    for (int64_t row = 0; row < 3; row++) {
      int64_t s = row < valid ? 3 * index + row : 3 * index;
      longest = std::max(longest, uneven(s));
      EXPECT_EQ(batch.lengths[row], uneven(s));
      EXPECT_EQ(batch.labels[row], s % 10);
      EXPECT_EQ(batch.weights[row], row < valid ? 1.0F : 0.0F);
      for (int64_t i = 0; i < batch.length; i++) {
        ASSERT_EQ(batch.tokens[row * batch.length + i], i < uneven(s) ? s + 1 : 0)
            << index << " " << row << " " << i;
      }
    }
    EXPECT_EQ(batch.length, longest);
    EXPECT_EQ(batch.values, nullptr);
    EXPECT_EQ(batch.targets, nullptr);
  }
}

TEST(Loader, EverySampleOnceAnEpoch) {
  Set set(101, uneven);
  for (bool shuffle : {false, true}) {
    for (int64_t window : {0, 1, 4, 1000}) {
      EbbLoaderConfig config = plain(8);
      config.shuffle = shuffle, config.sort_window = window;
      Loader loader = open_loader(set, config);
      for (int64_t epoch : {0, 1, 5})
        EXPECT_TRUE(each_once(order_of(loader, epoch), 101)) << shuffle << window;
    }
  }
}

TEST(Loader, DropsTheLastBatch) {
  Set set(101, uneven);
  EbbLoaderConfig config = plain(8);
  config.shuffle = config.drop_last = true;
  std::set<int32_t> dropped;
  for (int64_t window : {0, 5}) {
    config.sort_window = window;
    Loader loader = open_loader(set, config);
    EXPECT_EQ(ebb_loader_batches(loader.get()), 12);
    for (int64_t epoch = 0; epoch < 20; epoch++) {
      std::vector<int32_t> order = order_of(loader, epoch);
      std::set<int32_t> seen(order.begin(), order.end());
      EXPECT_EQ(order.size(), 96U);
      EXPECT_EQ(seen.size(), 96U);
      for (int32_t s = 0; s < 101; s++) {
        if (!seen.count(s)) dropped.insert(s);
      }
    }
  }
  EXPECT_GT(dropped.size(), 50U) << "the same samples are dropped again and again";
}

TEST(Loader, PureFunctionOfSeedEpochAndIndex) {
  Set set(64, uneven);
  EbbLoaderConfig config = plain(4);
  config.shuffle = true, config.sort_window = 3;
  Loader a = open_loader(set, config), b = open_loader(set, config);
  std::map<std::pair<int64_t, int64_t>, std::vector<int32_t>> seen;
  for (int64_t epoch = 0; epoch < 3; epoch++) {
    for (int64_t index = 0; index < 16; index++) {
      const EbbBatch &batch = batch_of(a, epoch, index);
      seen[{epoch, index}].assign(batch.tokens, batch.tokens + batch.rows * batch.length);
    }
  }
  for (int64_t step = 47; step >= 0; step--) {
    int64_t epoch = step % 3, index = step / 3;
    const EbbBatch &batch = batch_of(b, epoch, index);
    EXPECT_EQ(std::vector<int32_t>(batch.tokens, batch.tokens + batch.rows * batch.length),
              (seen[{epoch, index}]));
  }
  config.seed++;
  Loader c = open_loader(set, config);
  EXPECT_NE(order_of(a, 0), order_of(c, 0));
  EXPECT_NE(order_of(a, 0), order_of(a, 1));
}

/* Over many epochs each sample comes first about equally often. */
TEST(Loader, ShuffleIsUniform) {
  Set set(10, uneven);
  EbbLoaderConfig config = plain(1);
  config.shuffle = true;
  Loader loader = open_loader(set, config);
  int count[10][10] = {};
  const int n = 4000;
  for (int64_t epoch = 0; epoch < n; epoch++) {
    std::vector<int32_t> order = order_of(loader, epoch);
    for (int place = 0; place < 10; place++) count[place][order[place]]++;
  }
  for (auto &row : count) {
    for (int times : row) EXPECT_NEAR(times, n / 10.0, 90);
  }
}

TEST(Loader, SortWindowReducesPadding) {
  Set set(600, uneven);
  EbbLoaderConfig config = plain(10);
  config.shuffle = true;
  double without = fill_of(open_loader(set, config));
  config.sort_window = 10;
  double with = fill_of(open_loader(set, config));
  EXPECT_LT(without, .65);
  EXPECT_GT(with, .9);
}

/* Sorted windows without shuffling: rising lengths, ties in the order of the data. */
TEST(Loader, SortIsStable) {
  Set set(40, [](int64_t q) -> int64_t { return 1 + q % 4; });
  EbbLoaderConfig config = plain(5);
  config.sort_window = 4;
  std::vector<int32_t> order = order_of(open_loader(set, config), 0);
  ASSERT_EQ(order.size(), 40U);
  for (int i = 1; i < 40; i++) {
    if (i == 20) continue;
    int32_t before = order[i - 1], after = order[i];
    EXPECT_TRUE(before % 4 < after % 4 || (before % 4 == after % 4 && before < after)) << i;
    EXPECT_EQ(before / 20, after / 20) << "samples leave their window";
  }
}

TEST(Loader, WindowsBatchesAreShuffled) {
  Set set(160, uneven);
  EbbLoaderConfig config = plain(4);
  config.shuffle = true, config.sort_window = 40;
  Loader loader = open_loader(set, config);
  std::vector<int64_t> lengths;
  for (int64_t index = 0; index < 40; index++) lengths.push_back(batch_of(loader, 0, index).length);
  EXPECT_FALSE(std::is_sorted(lengths.begin(), lengths.end()));
}

TEST(Loader, QuantumAndBounds) {
  Set set(60, uneven);
  EbbLoaderConfig config = plain(1);
  config.bucket_quantum = 16;
  Loader loader = open_loader(set, config);
  EXPECT_EQ(ebb_loader_longest(loader.get()), 64);
  for (int64_t s = 0; s < 60; s++) EXPECT_EQ(batch_of(loader, 0, s).length, (uneven(s) + 15) / 16 * 16);
  config.l_max = 50;
  loader = open_loader(set, config);
  EXPECT_EQ(ebb_loader_longest(loader.get()), 50);
  for (int64_t s = 0; s < 60; s++) {
    const EbbBatch &batch = batch_of(loader, 0, s);
    EXPECT_EQ(batch.length, std::min<int64_t>((uneven(s) + 15) / 16 * 16, 50));
    EXPECT_EQ(batch.lengths[0], std::min<int64_t>(uneven(s), 50));
  }
  config.pad_to_l_max = true, config.l_max = 100;
  loader = open_loader(set, config);
  EXPECT_EQ(ebb_loader_longest(loader.get()), 100);
  for (int64_t s = 0; s < 60; s++) {
    const EbbBatch &batch = batch_of(loader, 0, s);
    EXPECT_EQ(batch.length, 100);
    EXPECT_EQ(batch.tokens[uneven(s)], 0);
  }
}

TEST(Loader, LongestIsReachedAndNeverExceeded) {
  Set set(101, uneven);
  EbbLoaderConfig config = plain(8);
  config.shuffle = true, config.bucket_quantum = 8, config.sort_window = 3;
  Loader loader = open_loader(set, config);
  int64_t longest = 0;
  for (int64_t index = 0; index < ebb_loader_batches(loader.get()); index++) {
    longest = std::max(longest, batch_of(loader, 0, index).length);
  }
  EXPECT_EQ(longest, ebb_loader_longest(loader.get()));
}

TEST(Loader, ValuesAndTargets) {
  Set set(5, uneven);
  set.use_values();
  Loader loader = open_loader(set, plain(2));
  for (int64_t index = 0; index < 3; index++) {
    const EbbBatch &batch = batch_of(loader, 0, index);
    EXPECT_EQ(batch.tokens, nullptr);
    EXPECT_EQ(batch.labels, nullptr);
    for (int64_t row = 0; row < 2; row++) {
      int64_t s = row < batch.n_valid ? 2 * index + row : 2 * index;
      EXPECT_EQ(batch.targets[2 * row], static_cast<float>(s));
      EXPECT_EQ(batch.targets[2 * row + 1], -static_cast<float>(s));
      for (int64_t i = 0; i < 3 * batch.length; i++) {
        float expected = i < 3 * uneven(s) ? static_cast<float>(10 * (s + 1) + i % 3) : 0.0F;
        ASSERT_EQ(batch.values[row * 3 * batch.length + i], expected) << index << " " << row << " " << i;
      }
    }
  }
}

/* Both towers share one length; second towers stand behind all the first ones, fillers repeat both. */
/* Element e of sequence q has label (q + e) % 10, targets (q, e) and stands 0.5 + e after the one before. */
struct StepSet : Set {
  std::vector<float> elapsed;
  StepSet(int64_t n, bool classes) : Set(n, uneven) {
    use_values();
    labels.clear(), targets.clear();
    for (int64_t q = 0; q < n; q++)
      for (int64_t e = 0; e < offset[size_t(q) + 1] - offset[size_t(q)]; e++) {
        labels.push_back(int32_t((q + e) % 10));
        targets.push_back(float(q)), targets.push_back(float(e));
        elapsed.push_back(0.5F + float(e));
      }
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.labels = classes ? labels.data() : nullptr;
    samples.targets = classes ? nullptr : targets.data();
    samples.elapsed = elapsed.data();
    dataset.per_step = true;
    dataset.n_classes = classes ? 10 : 0, dataset.d_output = classes ? 10 : 2;
  }
};

TEST(Loader, TargetsOfEveryStep) {
  for (bool classes : {true, false}) {
    StepSet set(5, classes);
    EbbLoaderConfig config = plain(4);
    config.bucket_quantum = 3;
    Loader loader = open_loader(set, config);
    for (int64_t index = 0; index < 2; index++) {
      const EbbBatch &batch = batch_of(loader, 0, index);
      ASSERT_EQ(batch.labels != nullptr, classes);
      ASSERT_EQ(batch.targets != nullptr, !classes);
      for (int64_t row = 0; row < batch.rows; row++) {
        const bool filler = row >= batch.n_valid;
        const int64_t q = 4 * index + (filler ? 0 : row);
        for (int64_t e = 0; e < batch.length; e++) {
          const size_t at = size_t(row * batch.length + e);
          const bool real = e < batch.lengths[row];
          EXPECT_EQ(batch.weights[at], real && !filler ? 1.0F : 0.0F);
          EXPECT_EQ(batch.elapsed[at], real ? 0.5F + float(e) : 1.0F);
          if (classes) EXPECT_EQ(batch.labels[at], real ? (q + e) % 10 : 0);
          if (!classes) EXPECT_EQ(batch.targets[2 * at], real ? float(q) : 0.0F);
          if (!classes) EXPECT_EQ(batch.targets[2 * at + 1], real ? float(e) : 0.0F);
        }
      }
    }
  }
}

TEST(Loader, MajorityOfSteps) {
  StepSet set(3, true);
  std::fill(set.labels.begin(), set.labels.end(), 4);
  set.labels[0] = 2;
  int32_t label = 0;
  const double n = double(set.labels.size());
  EXPECT_EQ(ebb_dataset_majority(&set.dataset, EBB_TRAIN, &label), (n - 1) / n);
  EXPECT_EQ(label, 4);
}

TEST(Loader, Retrieval) {
  Set set(5, uneven, 2);
  EbbLoaderConfig config = plain(3);
  config.sort_window = 2;
  Loader loader = open_loader(set, config);
  std::vector<int32_t> seen;
  for (int64_t index = 0; index < 2; index++) {
    const EbbBatch &batch = batch_of(loader, 0, index);
    int64_t longest = 0;
    for (int64_t row = 0; row < 3; row++) {
      int32_t first = batch.tokens[row * batch.length] - 1,
              second = batch.tokens[(3 + row) * batch.length] - 1;
      EXPECT_EQ(first % 2, 0);
      EXPECT_EQ(second, first + 1);
      EXPECT_EQ(batch.lengths[row], uneven(first));
      EXPECT_EQ(batch.lengths[3 + row], uneven(second));
      EXPECT_EQ(batch.labels[row], first / 2);
      longest = std::max({longest, uneven(first), uneven(second)});
      if (row < batch.n_valid) seen.push_back(first / 2);
      EXPECT_TRUE(row < batch.n_valid || first == batch.tokens[0] - 1);
    }
    EXPECT_EQ(batch.length, longest);
  }
  EXPECT_TRUE(each_once(seen, 5));
}

TEST(Loader, RefusesBadSettings) {
  Set set(5, uneven);
  const struct {
    void (*change)(EbbLoaderConfig *);
    const char *part;
  } rows[] = {
      {[](EbbLoaderConfig *c) { c->batch_size = 0; }, "batch size is 0"},
      {[](EbbLoaderConfig *c) { c->batch_size = INT64_MAX; }, "batch size is 9223372036854775807"},
      {[](EbbLoaderConfig *c) { c->bucket_quantum = 0; }, "bucket quantum is 0"},
      {[](EbbLoaderConfig *c) { c->sort_window = -1; }, "sort window is -1"},
      {[](EbbLoaderConfig *c) { c->l_max = -1; }, "l_max is -1"},
      {[](EbbLoaderConfig *c) { c->pad_to_l_max = true; }, "needs an l_max"},
      {[](EbbLoaderConfig *c) { c->batch_size = 6, c->drop_last = true; }, "at most 5"},
  };
  for (const auto &row : rows) {
    EbbLoaderConfig config = plain(2);
    row.change(&config);
    EbbLoader *loader = nullptr;
    EXPECT_EQ(ebb_loader_create(&set.dataset, EBB_TRAIN, &config, &loader), EBB_INVALID);
    EXPECT_EQ(loader, nullptr);
    EXPECT_NE(std::string(ebb_error()).find(row.part), std::string::npos) << ebb_error();
    EXPECT_NE(std::string(ebb_error()).find("training split of 'made up'"), std::string::npos) << ebb_error();
  }
  EbbLoaderConfig config = plain(2);
  EbbLoader *empty = nullptr;
  EXPECT_EQ(ebb_loader_create(&set.dataset, EBB_TEST, &config, &empty), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("test split of 'made up': the split has no samples"),
            std::string::npos);
  Loader loader = open_loader(set, config);
  const EbbBatch *batch = nullptr;
  for (auto [epoch, index] : {std::pair<int64_t, int64_t>{-1, 0}, {0, -1}, {0, 3}}) {
    EXPECT_EQ(ebb_loader_batch(loader.get(), epoch, index, &batch), EBB_INVALID);
    EXPECT_EQ(batch, nullptr);
  }
}

TEST(Loader, TooLargeABufferIsAnError) {
  Set set(5, uneven);
  EbbLoaderConfig config = plain(1 << 20);
  config.l_max = INT32_MAX, config.pad_to_l_max = true;
  EbbLoader *loader = nullptr;
  EXPECT_EQ(ebb_loader_create(&set.dataset, EBB_TRAIN, &config, &loader), EBB_MEMORY);
  EXPECT_EQ(loader, nullptr);
}

} // namespace
