// Checks that every op must pass, driven by one case a configuration: see check_op.
#ifndef EBB_TESTS_OP_CHECK_H
#define EBB_TESTS_OP_CHECK_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ebb/graph.h"

namespace ebb_test {

struct OpInput {
  std::vector<int64_t> shape;
  EbbDtype type = EBB_F32;
  bool grad = true;
  double low = -1, high = 1;     // float inputs: uniform in [low, high]
  std::vector<int32_t> integers; // integer inputs: the values, repeated to fill
  std::vector<float> floats;     // float inputs with given values, repeated to fill
};

struct OpCase {
  std::string name;
  std::string op;
  std::vector<unsigned char> config;
  std::vector<OpInput> inputs;
  int outputs = 1;
  std::vector<int> differentiable = {0}; // outputs with a gradient
  double tolerance = 1e-2;               // of the directional derivative, relative to the gradient's norm
  double step = 5e-3;                    // finite-difference step for directions of unit variance
  bool training = true;
  std::vector<std::string> frozen = {};              // parameters left out of finite differences
  std::function<void(EbbParams *)> adjust = nullptr; // changes parameters before the run
};

template <class Config> std::vector<unsigned char> bytes_of(const Config &config) {
  auto *first = reinterpret_cast<const unsigned char *>(&config);
  return std::vector<unsigned char>(first, first + sizeof config);
}

// On `device` ("cpu", "cuda"): forward gives finite values from NaN-poisoned memory; a rerun is bit-equal;
// directional finite differences agree with every gradient; a second backward doubles parameter gradients and
// adds to a marked input's gradient; another thread count gives the same bits.
void check_op(const OpCase &test, const std::string &device = "cpu");

// The devices that this build can test.
std::vector<std::string> devices();

} // namespace ebb_test

#endif
