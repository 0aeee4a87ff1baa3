// Batches prepared by threads: the same bytes in the same order, whatever is asked for and whenever it ends.
#include <gtest/gtest.h>

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "ebb/data.h"
#include "host/data/prefetch.h"

namespace {

using Loader = std::unique_ptr<EbbLoader, decltype(&ebb_loader_destroy)>;

// 101 sequences of uneven length with two raw values, an elapsed time and a target a step.
struct Data {
  EbbDataset dataset = {};
  std::vector<int64_t> offset{0}, order;
  std::vector<uint8_t> raw;
  std::vector<float> elapsed, targets, scale{0.1F, 3}, shift{-2, 7};

  Data() {
    for (int64_t s = 0; s < 101; s++) {
      for (int64_t t = 0; t < 1 + s * 37 % 89; t++) {
        raw.push_back(uint8_t(s)), raw.push_back(uint8_t(t));
        elapsed.push_back(float(s) + 0.5F), targets.push_back(float(t - s));
      }
      offset.push_back(int64_t(elapsed.size()));
      order.push_back(s * 10 % 101);
    }
    snprintf(dataset.name, sizeof dataset.name, "uneven");
    dataset.d_output = 1, dataset.d_input = 2, dataset.n_towers = 1, dataset.longest = 89;
    dataset.per_step = true;
    dataset.scale = scale.data(), dataset.offset = shift.data();
    EbbSamples &samples = dataset.split[EBB_TRAIN];
    samples.n_samples = samples.n_stored = 101;
    samples.offset = offset.data(), samples.order = order.data(), samples.raw = raw.data();
    samples.elapsed = elapsed.data(), samples.targets = targets.data();
  }
  Loader open(int64_t workers) const {
    EbbLoaderConfig config = {};
    config.batch_size = 4, config.shuffle = true, config.bucket_quantum = 8, config.sort_window = 5;
    config.seed = 11, config.n_workers = workers;
    EbbLoader *loader = nullptr;
    EXPECT_EQ(ebb_loader_create(&dataset, EBB_TRAIN, &config, &loader), EBB_OK) << ebb_error();
    return {loader, ebb_loader_destroy};
  }
};

std::vector<char> bytes_of(const EbbBatch &batch) {
  std::vector<char> all;
  const auto add = [&all](const void *from, size_t bytes) {
    const char *at = static_cast<const char *>(from);
    all.insert(all.end(), at, at + bytes);
  };
  const size_t steps = size_t(batch.rows * batch.length);
  add(&batch.length, sizeof batch.length), add(&batch.n_valid, sizeof batch.n_valid);
  add(batch.values, steps * 8), add(batch.elapsed, steps * 4), add(batch.targets, steps * 4);
  add(batch.weights, steps * 4), add(batch.lengths, size_t(batch.rows) * 4);
  return all;
}

const EbbBatch &batch_at(const Loader &loader, int64_t epoch, int64_t index) {
  const EbbBatch *batch = nullptr;
  EXPECT_EQ(ebb_loader_batch(loader.get(), epoch, index, &batch), EBB_OK) << ebb_error();
  return *batch;
}

size_t threads() {
  size_t n = 0;
  for ([[maybe_unused]] const auto &entry : std::filesystem::directory_iterator("/proc/self/task")) n++;
  return n;
}

// A thread that was joined may be listed a moment longer.
bool threads_become(size_t wanted) {
  for (int i = 0; i < 1000 && threads() != wanted; i++) usleep(1000);
  return threads() == wanted;
}

TEST(Prefetch, BatchesAreTheSameWithAnyNumberOfThreads) {
  const Data data;
  const Loader reference = data.open(0);
  for (int64_t workers : {1, 2, 3, 64, 4096}) {
    const Loader loader = data.open(workers);
    ASSERT_EQ(ebb_loader_batches(loader.get()), 26);
    for (int64_t epoch : {0, 1, 2})
      for (int64_t index = 0; index < 26; index++)
        ASSERT_EQ(bytes_of(batch_at(loader, epoch, index)), bytes_of(batch_at(reference, epoch, index)))
            << workers << " threads, epoch " << epoch << ", batch " << index;
  }
}

// As a resumed run, a limited epoch and a repeated batch ask.
TEST(Prefetch, AnyOrderOfAskingGivesTheSame) {
  const Data data;
  const Loader reference = data.open(0), loader = data.open(3);
  const EbbPlace asked[] = {{4, 17}, {4, 18}, {4, 17}, {4, 17}, {5, 0},  {5, 1}, {0, 25}, {0, 25},
                            {1, 0},  {1, 1},  {1, 2},  {9, 0},  {1, 3},  {1, 4}, {1, 5},  {1, 6},
                            {1, 7},  {1, 8},  {1, 20}, {2, 25}, {3, 25}, {4, 0}};
  for (const EbbPlace &place : asked)
    ASSERT_EQ(bytes_of(batch_at(loader, place.epoch, place.index)),
              bytes_of(batch_at(reference, place.epoch, place.index)))
        << place.epoch << " " << place.index;
  const EbbBatch *batch = nullptr;
  EXPECT_EQ(ebb_loader_batch(loader.get(), 4, 26, &batch), EBB_INVALID);
  EXPECT_EQ(bytes_of(batch_at(loader, 4, 1)), bytes_of(batch_at(reference, 4, 1)));
}

TEST(Prefetch, TheCallersBatchIsLeftAloneUntilTheNextCall) {
  const Data data;
  const Loader loader = data.open(4);
  for (int64_t index = 0; index < 26; index++) {
    const EbbBatch &batch = batch_at(loader, 0, index);
    const std::vector<char> before = bytes_of(batch);
    usleep(500);
    ASSERT_EQ(bytes_of(batch), before) << index;
  }
}

TEST(Prefetch, ThreadsEndWithTheLoader) {
  const Data data;
  const size_t before = threads();
  for (int taken = 0; taken < 12; taken++) {
    const Loader loader = data.open(5);
    for (int64_t index = 0; index < taken; index++) batch_at(loader, 0, index);
    EXPECT_TRUE(threads_become(taken ? before + 5 : before)) << threads() << " after " << taken;
  }
  EXPECT_TRUE(threads_become(before));
}

TEST(Prefetch, OneBatchNeedsNoThreads) {
  const Data data;
  EbbLoaderConfig config = {};
  config.batch_size = 101, config.bucket_quantum = 1, config.n_workers = 8;
  EbbLoader *loader = nullptr;
  const size_t before = threads();
  ASSERT_EQ(ebb_loader_create(&data.dataset, EBB_TRAIN, &config, &loader), EBB_OK);
  const EbbBatch *batch = nullptr;
  EXPECT_EQ(ebb_loader_batch(loader, 3, 0, &batch), EBB_OK);
  EXPECT_EQ(threads(), before);
  ebb_loader_destroy(loader);
}

// ---- the queue itself ----

// Slots hold the item planned for them, filled as its negative; how far planning is ahead of taking.
struct Items {
  EbbPlace planned[3];
  int64_t filled[3];
  int64_t furthest = -1;
};

EbbPrefetchWork work_on(Items *items) {
  EbbPrefetchWork work = {};
  work.context = items, work.n_items = 50;
  work.plan = [](void *context, EbbPlace place, int slot) {
    Items *to = static_cast<Items *>(context);
    to->planned[slot] = place, to->filled[slot] = 0, to->furthest = place.index;
  };
  work.fill = [](void *context, int slot) {
    Items *to = static_cast<Items *>(context);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    if (sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM))
      to->filled[slot] = -1 - to->planned[slot].index;
  };
  return work;
}

TEST(Prefetch, QueueIsBoundedAndItsThreadsLeaveSignalsAlone) {
  Items items;
  const EbbPrefetchWork work = work_on(&items);
  EbbPrefetch *prefetch = nullptr;
  ASSERT_EQ(ebb_prefetch_create(&work, 2, 3, &prefetch), EBB_OK);
  for (int64_t epoch : {0, 1})
    for (int64_t index = 0; index < 50; index++) {
      int slot = -1;
      ASSERT_EQ(ebb_prefetch_take(prefetch, {epoch, index}, &slot), EBB_OK);
      ASSERT_EQ(items.planned[slot].index, index);
      ASSERT_EQ(items.planned[slot].epoch, epoch);
      ASSERT_EQ(items.filled[slot], -1 - index);
      ASSERT_EQ(items.furthest, std::min<int64_t>(index + 2, 49));
    }
  ebb_prefetch_destroy(prefetch);
  ebb_prefetch_destroy(nullptr);
}

} // namespace
