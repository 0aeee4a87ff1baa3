// One sample of a data set as a batch shows it.
#ifndef EBB_TESTS_SHOWN_H
#define EBB_TESTS_SHOWN_H

#include <vector>

#include "support/loaded.h"

namespace ebb_test {

struct Shown {
  std::vector<std::vector<int32_t>> tokens; // a tower each
  std::vector<float> values;                // (L, d_input)
  std::vector<int32_t> labels;              // one, or one a step
};

inline Shown show(const Loaded &data, EbbSplit split, int64_t index) {
  Shown shown;
  EbbLoaderConfig config = {};
  config.batch_size = config.bucket_quantum = 1;
  EbbLoader *loader = nullptr;
  const EbbBatch *batch = nullptr;
  EXPECT_EQ(ebb_loader_create(data.set, split, &config, &loader), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_loader_batch(loader, 0, index, &batch), EBB_OK) << ebb_error();
  if (batch) {
    for (int64_t tower = 0; batch->tokens && tower < data.set->n_towers; tower++)
      shown.tokens.emplace_back(batch->tokens + tower * batch->length,
                                batch->tokens + tower * batch->length + batch->lengths[tower]);
    if (batch->values) shown.values.assign(batch->values, batch->values + batch->length * data.set->d_input);
    shown.labels.assign(batch->labels, batch->labels + (data.set->per_step ? batch->length : 1));
  }
  ebb_loader_destroy(loader);
  return shown;
}

} // namespace ebb_test

#endif
