// Compact storage: raw numbers, views, scales, strides and permutations, against batches of plain storage.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ebb/data.h"

namespace {

using Loader = std::unique_ptr<EbbLoader, decltype(&ebb_loader_destroy)>;

// Sequences of numbers, as raw bytes, raw 16-bit numbers or floats.
struct Numbers {
  EbbDataset dataset = {};
  std::vector<int64_t> offset{0};
  std::vector<uint8_t> bytes;
  std::vector<int16_t> words;
  std::vector<float> floats, scale, shift;
  std::vector<int32_t> labels;

  Numbers(const std::vector<int64_t> &lengths, int64_t width) {
    int64_t longest = 0;
    for (int64_t length : lengths) {
      for (int64_t i = 0; i < length * width; i++) {
        const int number = int((bytes.size() * 101 + 7) % 256);
        bytes.push_back(uint8_t(number));
        words.push_back(int16_t((number - 128) * 256 + number));
        floats.push_back(float(number));
      }
      offset.push_back(int64_t(bytes.size()) / width);
      labels.push_back(int32_t(labels.size()));
      longest = std::max(longest, length);
    }
    snprintf(dataset.name, sizeof dataset.name, "numbers");
    dataset.n_classes = dataset.d_output = int64_t(lengths.size());
    dataset.d_input = width, dataset.n_towers = 1, dataset.longest = longest;
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.n_samples = int64_t(lengths.size());
    samples.offset = offset.data(), samples.labels = labels.data();
  }
  EbbSamples &store(EbbRawType type) {
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.raw_type = type;
    samples.raw = type == EBB_RAW_U8 ? static_cast<void *>(bytes.data()) : words.data();
    return samples;
  }
  void scaled(size_t n) {
    for (size_t i = 0; i < n; i++) {
      scale.push_back(0.5F + 0.25F * float(i)), shift.push_back(3.0F - float(i));
    }
    dataset.scale = scale.data(), dataset.offset = shift.data();
  }
};

EbbLoaderConfig plain(int64_t batch_size) {
  EbbLoaderConfig config = {};
  config.batch_size = batch_size, config.bucket_quantum = 1, config.seed = 3;
  return config;
}

Loader open_loader(const EbbDataset &dataset, const EbbLoaderConfig &config, EbbSplit split = EBB_TRAIN) {
  EbbLoader *loader = nullptr;
  EXPECT_EQ(ebb_loader_create(&dataset, split, &config, &loader), EBB_OK) << ebb_error();
  return {loader, ebb_loader_destroy};
}

const EbbBatch &batch_of(const Loader &loader, int64_t index = 0) {
  const EbbBatch *batch = nullptr;
  EXPECT_EQ(ebb_loader_batch(loader.get(), 0, index, &batch), EBB_OK) << ebb_error();
  return *batch;
}

std::string refusal(const EbbDataset &dataset) {
  EbbLoader *loader = nullptr;
  const EbbLoaderConfig config = plain(1);
  EXPECT_EQ(ebb_loader_create(&dataset, EBB_TRAIN, &config, &loader), EBB_INVALID);
  return ebb_error();
}

// The powers of two in `scaled` make every product and sum exact, fused or not.
TEST(Compact, ValuesAreNumberTimesScalePlusOffset) {
  for (int64_t width : {1, 3})
    for (EbbRawType type : {EBB_RAW_U8, EBB_RAW_I16})
      for (int form = 0; form < 3; form++) {
        Numbers set({5, 1, 19, 8}, width);
        set.store(type);
        if (form) set.scaled(size_t(form == 1 ? width : 19 * width));
        set.dataset.scale_per_position = form == 2;
        const Loader loader = open_loader(set.dataset, plain(4));
        const EbbBatch &batch = batch_of(loader);
        ASSERT_EQ(batch.length, 19);
        ASSERT_EQ(batch.tokens, nullptr);
        for (int64_t row = 0; row < 4; row++)
          for (int64_t i = 0; i < 19 * width; i++) {
            const size_t at = size_t(set.offset[size_t(row)] * width + i);
            const bool real = i < batch.lengths[row] * width;
            const size_t which = size_t(form == 2 ? i : i % width);
            const float number = !real ? 0 : type == EBB_RAW_U8 ? set.bytes[at] : set.words[at];
            const float value = form ? number * set.scale[which] + set.shift[which] : number;
            ASSERT_EQ(batch.values[row * 19 * width + i], real ? value : 0) << form << " " << row << " " << i;
          }
      }
}

TEST(Compact, RawTokensAreTokens) {
  Numbers set({5, 1, 19, 8}, 1);
  std::vector<int32_t> tokens(set.bytes.begin(), set.bytes.end());
  set.dataset.vocabulary = 256, set.dataset.d_input = 0;
  set.store(EBB_RAW_U8);
  const Loader compact = open_loader(set.dataset, plain(3));
  EbbDataset wide = set.dataset;
  wide.split[EBB_TRAIN].raw = nullptr, wide.split[EBB_TRAIN].tokens = tokens.data();
  const Loader reference = open_loader(wide, plain(3));
  for (int64_t index = 0; index < 2; index++) {
    const EbbBatch &a = batch_of(compact, index), &b = batch_of(reference, index);
    ASSERT_EQ(a.length, b.length);
    ASSERT_EQ(a.values, nullptr);
    EXPECT_EQ(memcmp(a.tokens, b.tokens, size_t(3 * a.length) * sizeof(int32_t)), 0) << index;
  }
}

// Every combination of storage, stride, permutation and cut, element by element.
TEST(Compact, StridesAndPermutationsPickStoredSteps) {
  const int64_t width = 2, steps = 11;
  std::vector<int32_t> permutation;
  for (int32_t t = 0; t < steps; t++) permutation.push_back(t * 4 % int32_t(steps));
  for (bool raw : {true, false})
    for (bool permuted : {true, false})
      for (int64_t stride : {1, 2, 3})
        for (int64_t l_max : {0, 7}) {
          Numbers set({steps, steps, steps}, width);
          if (raw) {
            set.store(EBB_RAW_U8);
            set.scaled(size_t(steps * width));
            set.dataset.scale_per_position = true;
          } else {
            set.dataset.split[EBB_TRAIN].values = set.floats.data();
          }
          if (permuted) set.dataset.permutation = permutation.data();
          EbbLoaderConfig config = plain(3);
          config.stride = stride, config.l_max = l_max, config.pad_to_l_max = l_max > 0;
          const Loader loader = open_loader(set.dataset, config);
          const EbbBatch &batch = batch_of(loader);
          ASSERT_EQ(batch.length, ((l_max ? l_max : steps) + stride - 1) / stride);
          for (int64_t row = 0; row < 3; row++) {
            ASSERT_EQ(batch.lengths[row], batch.length);
            for (int64_t i = 0; i < batch.length * width; i++) {
              const int64_t step = i / width * stride;
              const int64_t place = (permuted ? permutation[size_t(step)] : step) * width + i % width;
              const float number = set.floats[size_t(row * steps * width + place)];
              const float value = raw ? number * set.scale[size_t(place)] + set.shift[size_t(place)] : number;
              ASSERT_EQ(batch.values[row * batch.length * width + i], value) << stride << " " << i;
            }
          }
        }
}

TEST(Compact, StrideRoundsUpSumsTimesAndTakesTargetsAlong) {
  Numbers set({5, 1, 6}, 1);
  std::vector<float> elapsed(set.bytes.size());
  for (size_t e = 0; e < elapsed.size(); e++) elapsed[e] = float(1 << (e % 6));
  std::vector<int32_t> targets(set.bytes.begin(), set.bytes.end());
  EbbSamples &samples = set.store(EBB_RAW_U8);
  samples.elapsed = elapsed.data(), samples.labels = targets.data();
  set.dataset.per_step = true;
  EbbLoaderConfig config = plain(3);
  config.stride = 2;
  const Loader loader = open_loader(set.dataset, config);
  const EbbBatch &batch = batch_of(loader);
  ASSERT_EQ(batch.length, 3);
  const int32_t lengths[] = {3, 1, 3};
  for (int64_t row = 0; row < 3; row++) {
    ASSERT_EQ(batch.lengths[row], lengths[row]);
    const size_t first = size_t(set.offset[size_t(row)]);
    for (int64_t t = 0; t < 3; t++) {
      const bool real = t < lengths[row];
      const size_t e = first + size_t(2 * t);
      const float time = !real ? 1 : t ? elapsed[e] + elapsed[e - 1] : elapsed[e];
      EXPECT_EQ(batch.elapsed[row * 3 + t], time) << row << " " << t;
      EXPECT_EQ(batch.weights[row * 3 + t], real ? 1 : 0);
      EXPECT_EQ(batch.labels[row * 3 + t], real ? targets[e] : 0);
    }
  }
}

// Two splits share one storage; the batches are those of samples copied in that order.
TEST(Compact, ViewsShowStoredSamplesInTheirOrder) {
  const std::vector<int64_t> lengths = {4, 7, 2, 9, 5, 3};
  Numbers set(lengths, 1);
  set.store(EBB_RAW_U8);
  std::vector<int64_t> train = {5, 0, 3, 2}, test = {4, 1};
  set.dataset.split[EBB_TEST] = set.dataset.split[EBB_TRAIN];
  for (EbbSplit split : {EBB_TRAIN, EBB_TEST}) {
    std::vector<int64_t> &order = split == EBB_TRAIN ? train : test;
    EbbSamples &samples = set.dataset.split[split];
    samples.order = order.data(), samples.n_samples = int64_t(order.size()), samples.n_stored = 6;
    EbbLoaderConfig config = plain(int64_t(order.size()));
    config.bucket_quantum = 4;
    const Loader loader = open_loader(set.dataset, config, split);
    const EbbBatch &batch = batch_of(loader);
    ASSERT_EQ(batch.length, split == EBB_TRAIN ? 12 : 8);
    for (size_t row = 0; row < order.size(); row++) {
      const size_t s = size_t(order[row]);
      ASSERT_EQ(batch.lengths[row], lengths[s]);
      EXPECT_EQ(batch.labels[row], set.labels[s]);
      for (int64_t t = 0; t < batch.length; t++)
        EXPECT_EQ(batch.values[int64_t(row) * batch.length + t],
                  t < lengths[s] ? set.bytes[size_t(set.offset[s] + t)] : 0);
    }
  }
}

// Sorting by length must look at the view's samples, not at those stored in the same places.
TEST(Compact, ViewsAreSortedByTheirOwnLengths) {
  Numbers set({1, 9, 2, 8, 3, 7, 4, 6}, 1);
  EbbSamples &samples = set.store(EBB_RAW_U8);
  std::vector<int64_t> order = {1, 0, 3, 2};
  samples.order = order.data(), samples.n_samples = 4, samples.n_stored = 8;
  EbbLoaderConfig config = plain(2);
  config.sort_window = 2;
  const Loader loader = open_loader(set.dataset, config);
  EXPECT_EQ(batch_of(loader, 0).length, 2);
  EXPECT_EQ(batch_of(loader, 1).length, 9);
  EXPECT_EQ(ebb_loader_longest(loader.get()), 9);
}

TEST(Compact, MajorityIsTheViews) {
  Numbers set({2, 2, 2, 2, 2}, 1);
  EbbSamples &samples = set.store(EBB_RAW_U8);
  set.labels = {0, 1, 1, 2, 1};
  samples.labels = set.labels.data();
  std::vector<int64_t> order = {3, 0, 0};
  samples.order = order.data(), samples.n_samples = 3, samples.n_stored = 5;
  int32_t label = -1;
  EXPECT_DOUBLE_EQ(ebb_dataset_majority(&set.dataset, EBB_TRAIN, &label), 2.0 / 3);
  EXPECT_EQ(label, 0);
  std::vector<int32_t> of_steps = {0, 0, 1, 1, 1, 1, 2, 1, 1, 1};
  samples.labels = of_steps.data();
  set.dataset.per_step = true;
  order = {3, 2, 3};
  EXPECT_DOUBLE_EQ(ebb_dataset_majority(&set.dataset, EBB_TRAIN, &label), 4.0 / 6);
  EXPECT_EQ(label, 1);
}

TEST(Compact, WhatDoesNotFitIsRefused) {
  Numbers set({4, 6}, 1);
  EbbSamples &samples = set.store(EBB_RAW_U8);
  std::vector<int32_t> permutation = {0, 1, 2, 3, 5, 4};
  set.dataset.permutation = permutation.data();
  EXPECT_NE(refusal(set.dataset).find("sample 0 has 4 steps, but the permutation is of 6"),
            std::string::npos);
  permutation[5] = 6;
  EXPECT_NE(refusal(set.dataset).find("step 5 of the permutation is 6"), std::string::npos);
  set.dataset.permutation = nullptr;
  set.scaled(5);
  set.dataset.longest = 5, set.dataset.scale_per_position = true;
  EXPECT_NE(refusal(set.dataset).find("sample 1 has 6 steps, but there are scales for 5"), std::string::npos);
  set.dataset.scale_per_position = false;
  std::vector<int64_t> order = {1, 2};
  samples.order = order.data(), samples.n_stored = 2;
  EXPECT_NE(refusal(set.dataset).find("sample 1 is stored sample 2"), std::string::npos);
}

// Under a sanitizer an array that is freed twice or never fails this.
TEST(Compact, SharedArraysAreFreedOnce) {
  EbbDataset *dataset = static_cast<EbbDataset *>(calloc(1, sizeof *dataset));
  EbbSamples shared = {};
  shared.offset = static_cast<int64_t *>(malloc(16)), shared.raw = malloc(16);
  shared.labels = static_cast<int32_t *>(malloc(16));
  for (EbbSamples &samples : dataset->split) {
    samples = shared;
    samples.order = static_cast<int64_t *>(malloc(16));
  }
  dataset->scale = static_cast<float *>(malloc(16)), dataset->offset = static_cast<float *>(malloc(16));
  dataset->permutation = static_cast<int32_t *>(malloc(16));
  ebb_dataset_destroy(dataset);
}

} // namespace
