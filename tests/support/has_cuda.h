// Whether the tests have a CUDA device, a real or an emulated one.
#ifndef EBB_TESTS_HAS_CUDA_H
#define EBB_TESTS_HAS_CUDA_H

#include <algorithm>

#include "support/op_check.h"

namespace ebb_test {

inline bool has_cuda() {
  const auto names = devices();
  return std::find(names.begin(), names.end(), "cuda") != names.end();
}

} // namespace ebb_test

#endif
