// Training takes no memory from the host once it has met every batch length.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "ebb/train.h"
#include "support/tiny_listops.h"

namespace {
std::atomic<int64_t> allocations{0};
}

// Counts every allocation of the process: through the sanitizer's hook where one is built in, else by
// standing before the C library's functions.
#ifndef __has_feature
#define __has_feature(name) 0 // clang's way of asking; gcc defines __SANITIZE_*
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) ||     \
    __has_feature(thread_sanitizer)
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                                         void (*)(const volatile void *));
namespace {
void count(const volatile void *, size_t) { allocations++; }
void ignore(const volatile void *) {}
const int installed = __sanitizer_install_malloc_and_free_hooks(count, ignore);
} // namespace
#else
extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *malloc(size_t size) {
  allocations++;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  allocations++;
  return __libc_calloc(count, size);
}
void *realloc(void *memory, size_t size) {
  allocations++;
  return __libc_realloc(memory, size);
}
void *memalign(size_t alignment, size_t size) {
  allocations++;
  return __libc_memalign(alignment, size);
}
void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory ? 0 : ENOMEM;
}
}
#endif

namespace {

// Allocations before each batch was reported, by batch.
struct Watched {
  std::vector<int64_t> at;
};

void on_batch(void *context, const char *label, int64_t, int64_t, const char *) {
  const int64_t now = allocations;
  if (std::string(label).rfind("epoch", 0) == 0) static_cast<Watched *>(context)->at.push_back(now);
}

class Allocation : public ebb_test::TinyListops {
protected:
  // Allocations that each batch of the last of two epochs made; the first has met every batch length.
  std::vector<int64_t> second_epoch(std::vector<std::string> keys) {
    keys.push_back("trainer.ema_decay=0.9");
    const int64_t before = allocations;
    EbbExperiment *made = experiment(keys);
    EXPECT_NE(made, nullptr) << ebb_error();
    EXPECT_GT(allocations, before) << "the library's allocations are not counted";
    Watched watched;
    watched.at.reserve(64);
    EbbWatcher watcher = {};
    watcher.context = &watched;
    watcher.batch = on_batch;
    std::filesystem::remove_all(root / "run");
    EXPECT_EQ(ebb_experiment_train(made, (root / "run").c_str(), false, &watcher), EBB_OK) << ebb_error();
    ebb_experiment_destroy(made);
    EXPECT_EQ(watched.at.size(), 20U);
    std::vector<int64_t> counts;
    for (size_t i = watched.at.size() / 2 + 1; i < watched.at.size(); i++)
      counts.push_back(watched.at[i] - watched.at[i - 1]);
    return counts;
  }
};

} // namespace

// Without kb: its transforms have the published lengths, and FFTW takes a buffer in every run of a plan whose
// length has an awkward factor.
TEST_F(Allocation, NoneInAStepOnceItsLengthIsKnown) {
  const std::vector<std::string> diag = {"model.layer.mode=diag", "model.layer.measure=diag-lin"};
  std::vector<std::vector<std::string>> settings = {
      {"model.layer.liquid_kernel=series"},
      {"model.layer.liquid_kernel=series", "model.layer.liquid_readout=learned"},
      {"model.layer.liquid_kernel=polyb", "model.layer.bidirectional=true", "model.norm=batch"},
      {"model.layer.postact=glu", "trainer.accumulate_grad_batches=2"},
      {diag[0], diag[1], "model.layer.liquid_kernel=scan", "trainer.gradient_clip_val=1"},
      {diag[0], diag[1], "model.layer.liquid_kernel=series", "model.transposed=true"}};
  for (const auto &keys : settings) {
    SCOPED_TRACE(testing::PrintToString(keys));
    for (int64_t made : second_epoch(keys)) EXPECT_EQ(made, 0);
  }
}
