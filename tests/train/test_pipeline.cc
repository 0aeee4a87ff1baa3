// Training does not depend on how its batches come: threads, caches and a stop in the middle leave every
// parameter as it was.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/tiny_listops.h"

namespace {

class Pipeline : public ebb_test::TinyListops {
protected:
  std::vector<std::string> keys_of(const std::vector<std::string> &more) const {
    std::vector<std::string> keys = {"loader.shuffle=true", "loader.sort_window=3",
                                     "dataset.cache_dir=" + (root / "cache").string()};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }
  // Trains into root/name; every parameter afterwards.
  std::vector<float> train(const std::string &name, const std::vector<std::string> &more,
                           EbbStatus expected = EBB_OK, const EbbWatcher *watcher = nullptr,
                           bool resume = false) const {
    EbbExperiment *made = experiment(keys_of(more));
    if (!made) {
      ADD_FAILURE() << ebb_error();
      return {};
    }
    EXPECT_EQ(ebb_experiment_train(made, (root / name).c_str(), resume, watcher), expected) << ebb_error();
    const EbbParams *params = ebb_experiment_params(made);
    const float *values = ebb_params_flat(params, EBB_FLAT_VALUE);
    std::vector<float> all(values, values + ebb_params_size(params));
    ebb_experiment_destroy(made);
    return all;
  }
};

TEST_F(Pipeline, ThreadsAndCachesChangeNothing) {
  const std::vector<float> reference = train("reference", {"loader.num_workers=0", "dataset.cache=off"});
  ASSERT_FALSE(reference.empty());
  EXPECT_EQ(train("threads", {"loader.num_workers=3", "dataset.cache=off"}), reference);
  EXPECT_EQ(train("made", {"loader.num_workers=0", "dataset.cache=on"}), reference);
  EXPECT_EQ(train("mapped", {"loader.num_workers=2", "dataset.cache=on"}), reference);
  EXPECT_EQ(train("limited", {"loader.num_workers=2", "trainer.limit_train_batches=3"}),
            train("limited0", {"loader.num_workers=0", "trainer.limit_train_batches=3"}));
}

TEST_F(Pipeline, StopInAnEpochAndResume) {
  const std::vector<std::vector<std::string>> models = {
      {},
      {"model.layer._name_=cfc", "model.layer.backbone_layers=3", "model.layer.backbone_units=10",
       "model.layer.backbone_dropout=0.3"}};
  for (size_t i = 0; i < models.size(); i++) {
    const auto with = [&](const char *workers) {
      std::vector<std::string> keys = models[i];
      keys.push_back(std::string("loader.num_workers=") + workers);
      return keys;
    };
    const std::string number = std::to_string(i);
    const std::vector<float> reference = train("reference" + number, with("0"));
    int batches = 0;
    EbbWatcher watcher = {};
    watcher.context = &batches;
    watcher.stop = [](void *context) { return ++*static_cast<int *>(context) == 4; };
    train("stopped" + number, with("3"), EBB_INTERRUPTED, &watcher);
    EXPECT_EQ(train("stopped" + number, with("2"), EBB_OK, nullptr, true), reference);
  }
}

} // namespace
