// A data set by name and settings, released at the end.
#ifndef EBB_TESTS_LOADED_H
#define EBB_TESTS_LOADED_H

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ebb/data.h"

namespace ebb_test {

struct Loaded {
  EbbDataset *set = nullptr;
  EbbStatus status = EBB_OK;
  std::string error;

  Loaded(const std::string &name, const std::string &folder, const std::vector<std::string> &keys = {}) {
    EbbConfig *config = nullptr;
    EXPECT_EQ(ebb_config_create(&config), EBB_OK);
    std::vector<std::string> all = {"dataset._name_=" + name, "dataset.data_dir=" + folder};
    all.insert(all.end(), keys.begin(), keys.end());
    for (const std::string &key : all)
      EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
    status = ebb_dataset_load(config, &set);
    if (status != EBB_OK) error = ebb_error();
    ebb_config_destroy(config);
  }
  Loaded(const Loaded &) = delete;
  Loaded &operator=(const Loaded &) = delete;
  ~Loaded() { ebb_dataset_destroy(set); }

  const EbbSamples &split(EbbSplit which) const { return set->split[which]; }
  std::vector<int64_t> counts() const {
    return {split(EBB_TRAIN).n_samples, split(EBB_VALIDATION).n_samples, split(EBB_TEST).n_samples};
  }
  // Row `step` of sample `s`.
  std::vector<float> row(EbbSplit which, int64_t s, int64_t step = 0) const {
    const float *at = split(which).values + (split(which).offset[s] + step) * set->d_input;
    return std::vector<float>(at, at + set->d_input);
  }
};

} // namespace ebb_test

#endif
