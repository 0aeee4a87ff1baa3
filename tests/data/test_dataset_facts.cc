// What ebb data describe counts, and how it chooses to draw.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "host/data/dataset_facts.h"
#include "host/metrics/gallery.h"

namespace {

// Three sequences of 1, 2 and 4 steps of two features.
struct Small {
  std::vector<int64_t> offset{0, 1, 3, 7};
  std::vector<float> values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, NAN};
  std::vector<int32_t> labels{1, 1, 0};
  std::vector<int64_t> order{2, 0};
  EbbDataset dataset = {};
  Small() {
    dataset.n_classes = dataset.d_output = 2;
    dataset.d_input = 2, dataset.n_towers = 1, dataset.longest = 4;
    dataset.variable_length = true;
    EbbSamples &train = dataset.split[EBB_TRAIN];
    train.n_samples = 3, train.offset = offset.data(), train.values = values.data(),
    train.labels = labels.data();
    EbbSamples &test = dataset.split[EBB_TEST];
    test = train;
    test.order = order.data(), test.n_samples = 2, test.n_stored = 3;
  }
};

TEST(SplitFacts, CountsWhatBatchesShow) {
  Small small;
  EbbSplitFacts facts;
  ASSERT_EQ(ebb_split_facts(&small.dataset, EBB_TRAIN, &facts), EBB_OK) << ebb_error();
  EXPECT_EQ(facts.n_steps, 7);
  const int64_t lengths[] = {1, 1, 2, 2, 4};
  for (int q = 0; q < FACTS_QUANTILES; q++) EXPECT_EQ(facts.length[q], lengths[q]) << q;
  EXPECT_EQ(facts.count[0], 1);
  EXPECT_EQ(facts.count[1], 2);
  EXPECT_EQ(facts.values.n, 13);
  EXPECT_EQ(facts.values.n_strange, 1);
  EXPECT_EQ(facts.values.least, 1);
  EXPECT_EQ(facts.values.most, 13);
  EXPECT_DOUBLE_EQ(facts.values.mean, 7);
  EXPECT_DOUBLE_EQ(facts.values.deviation, std::sqrt(14)); // (13^2 - 1) / 12
  free(facts.count);
  ASSERT_EQ(ebb_split_facts(&small.dataset, EBB_TEST, &facts), EBB_OK) << ebb_error();
  EXPECT_EQ(facts.n_steps, 5);
  EXPECT_EQ(facts.count[0], 1);
  EXPECT_EQ(facts.count[1], 1);
  free(facts.count);
  ASSERT_EQ(ebb_split_facts(&small.dataset, EBB_VALIDATION, &facts), EBB_OK) << ebb_error();
  EXPECT_EQ(facts.n_samples, 0);
  free(facts.count);
}

TEST(SplitFacts, MemoryCountsSharedArraysOnce) {
  Small small;
  EXPECT_EQ(ebb_dataset_bytes(&small.dataset), 4 * 8 + 14 * 4 + 3 * 4 + 2 * 8);
}

TEST(Gallery, KindsOfPictures) {
  EbbDataset d = {};
  auto kind = [&](int64_t vocabulary, int64_t d_input, int64_t longest) {
    d.vocabulary = vocabulary, d.d_input = d_input, d.longest = longest;
    return ebb_gallery_kind(&d);
  };
  EXPECT_EQ(kind(0, 1, 1024), EBB_GALLERY_IMAGES);
  EXPECT_EQ(kind(0, 3, 1024), EBB_GALLERY_IMAGES);
  EXPECT_EQ(kind(0, 28, 28), EBB_GALLERY_IMAGES);
  EXPECT_EQ(kind(256, 0, 1024), EBB_GALLERY_IMAGES);
  EXPECT_EQ(kind(0, 1, 1000), EBB_GALLERY_CURVES);
  EXPECT_EQ(kind(0, 2, 1024), EBB_GALLERY_CURVES);
  EXPECT_EQ(kind(0, 8, 1000), EBB_GALLERY_CURVES);
  EXPECT_EQ(kind(0, 9, 1000), EBB_GALLERY_MAPS);
  EXPECT_EQ(kind(18, 0, 1024), EBB_GALLERY_TOKENS);
  d.per_step = true;
  EXPECT_EQ(kind(0, 1, 1024), EBB_GALLERY_CURVES);
  d.per_step = false, d.variable_length = true;
  EXPECT_EQ(kind(0, 1, 1024), EBB_GALLERY_CURVES);
}

} // namespace
