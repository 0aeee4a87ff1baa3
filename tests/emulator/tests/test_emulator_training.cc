// What a training step asks of a GPU once it has met every batch length.
#include "ebb_emulator.h"

#include <string>
#include <vector>

#include "support/tiny_listops.h"

namespace {

std::vector<EbbEmulatorCalls> after_batch;

void on_batch(void *, const char *label, int64_t, int64_t, const char *) {
  if (std::string(label).rfind("epoch", 0) == 0) after_batch.push_back(ebb_emulator_calls());
}

class EmulatorTraining : public ebb_test::TinyListops {};

// The first run of a length is not recorded and the second is, so the third epoch only replays: one graph,
// which holds the whole step, and one kernel, which puts the batch, the learning rates and the step's number
// in their places.
TEST_F(EmulatorTraining, AStepIsOneGraphAndOneUpload) {
  for (const char *kernel : {"polyb", "kb", "series"}) {
    SCOPED_TRACE(kernel);
    EbbExperiment *made =
        experiment({"device=cuda", std::string("model.layer.liquid_kernel=") + kernel, "trainer.max_epochs=3",
                    "trainer.ema_decay=0.9", "trainer.gradient_clip_val=1", "decoder.use_lengths=true"});
    ASSERT_NE(made, nullptr) << ebb_error();
    EbbWatcher watcher = {};
    watcher.batch = on_batch;
    after_batch.clear();
    ASSERT_EQ(ebb_experiment_train(made, (root / kernel).c_str(), false, &watcher), EBB_OK) << ebb_error();
    ebb_experiment_destroy(made);
    ASSERT_EQ(after_batch.size(), 30U);
    for (size_t i = 21; i < after_batch.size(); i++) {
      EXPECT_EQ(after_batch[i].graphs - after_batch[i - 1].graphs, 1U) << "batch " << i;
      EXPECT_EQ(after_batch[i].kernels - after_batch[i - 1].kernels, 1U) << "batch " << i;
      EXPECT_EQ(after_batch[i].allocations - after_batch[i - 1].allocations, 0U) << "batch " << i;
    }
  }
}

} // namespace
