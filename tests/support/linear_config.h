// A linear layer as torch has it: weight (O, I), torch's initial values.
#ifndef EBB_TESTS_LINEAR_CONFIG_H
#define EBB_TESTS_LINEAR_CONFIG_H

#include "ebb/ops/linear.h"

namespace ebb_test {

inline EbbLinearConfig linear_config(int64_t outputs) {
  EbbLinearConfig config = {};
  config.O = outputs;
  return config;
}

} // namespace ebb_test

#endif
