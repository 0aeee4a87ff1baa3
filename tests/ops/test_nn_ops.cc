// The checks of op_check.h for the ops around the state-space layer.
#include <gtest/gtest.h>

#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/encode_linear.h"
#include "ebb/ops/gelu.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/mse.h"
#include "ebb/ops/pool.h"
#include "ebb/ops/retrieval.h"
#include "ebb/ops/s4_out.h"
#include "ebb/ops/transpose.h"
#include "support/linear_config.h"
#include "support/no_config.h"
#include "support/op_check.h"

using ebb_test::bytes_of;
using ebb_test::NoConfig;
using ebb_test::OpCase;
using ebb_test::OpInput;

namespace {

OpInput integers(std::vector<int64_t> shape, std::vector<int32_t> values) {
  OpInput input;
  input.shape = std::move(shape), input.type = EBB_I32, input.grad = false,
  input.integers = std::move(values);
  return input;
}

OpInput constants(std::vector<int64_t> shape, std::vector<float> values) {
  OpInput input;
  input.shape = std::move(shape), input.grad = false, input.floats = std::move(values);
  return input;
}

OpInput floats(std::vector<int64_t> shape) {
  OpInput input;
  input.shape = std::move(shape);
  return input;
}

OpCase one(const char *name, const char *op, std::vector<unsigned char> config, std::vector<OpInput> inputs,
           bool training = true) {
  OpCase test;
  test.name = name, test.op = op, test.config = std::move(config), test.inputs = std::move(inputs);
  test.training = training;
  return test;
}

OpCase loss(const char *name, std::vector<OpInput> inputs) {
  OpCase test = one(name, "cross_entropy", bytes_of(EbbCrossEntropyConfig{}), std::move(inputs));
  test.outputs = 2;
  return test;
}

OpCase weighted_classes(const char *name, std::vector<OpInput> inputs) {
  OpCase test = loss(name, std::move(inputs));
  test.config = bytes_of(EbbCrossEntropyConfig{2, {0.1F, 1.6F}});
  return test;
}

OpCase squares(const char *name, std::vector<OpInput> inputs) {
  OpCase test = one(name, "mse", bytes_of(NoConfig{}), std::move(inputs));
  test.outputs = 2;
  return test;
}

std::vector<OpCase> cases() {
  const OpInput x = floats({3, 5, 37}), wide = floats({2, 4, 300}),
                tokens = integers({2, 37}, {4, 0, 9, 9, 9, 0, 2});
  const OpInput lengths = integers({3}, {37, 1, 20}), labels = integers({4}, {2, 0, 4, 1});
  const auto mean = bytes_of(EbbPoolConfig{EBB_POOL_MEAN}), last = bytes_of(EbbPoolConfig{EBB_POOL_LAST});
  const auto out = [](bool glu, float dropout, bool tie) {
    return bytes_of(EbbS4OutConfig{glu, dropout, tie});
  };
  return {
      one("embedding", "embedding", bytes_of(EbbEmbeddingConfig{10, 20}), {tokens}),
      one("encoder of one input", "encode_linear", bytes_of(EbbEncodeLinearConfig{1, 35}),
          {floats({2, 600, 1})}),
      one("encoder of three inputs", "encode_linear", bytes_of(EbbEncodeLinearConfig{3, 35}),
          {floats({2, 40, 3})}),
      one("glu", "s4_out", out(true, 0, true), {x}),
      one("glu, residual", "s4_out", out(true, 0, true), {x, x}),
      one("glu, tied dropout, residual", "s4_out", out(true, 0.3F, true), {x, x}),
      one("glu, dropout, several tiles", "s4_out", out(true, 0.3F, false), {floats({2, 3, 2100})}),
      one("linear output, dropout, residual", "s4_out", out(false, 0.5F, false), {x, x}),
      one("linear output, evaluation", "s4_out", out(false, 0.5F, true), {x}, false),
      one("pool mean", "pool", mean, {x}),
      one("pool mean, lengths", "pool", mean, {x, lengths}),
      one("pool last", "pool", last, {x}),
      one("pool last, lengths", "pool", last, {x, lengths}),
      one("linear", "linear", bytes_of(ebb_test::linear_config(70)), {floats({5, 9})}),
      one("linear of three dimensions", "linear", bytes_of(ebb_test::linear_config(3)), {floats({7, 11, 9})}),
      one("gelu", "gelu", bytes_of(NoConfig{}), {floats({3, 5000})}),
      one("retrieval", "retrieval", bytes_of(NoConfig{}), {floats({6, 7})}),
      loss("cross entropy", {floats({4, 5}), labels}),
      loss("cross entropy, weights", {floats({4, 5}), labels, constants({4}, {1, 0, 0.5F, 2})}),
      loss("cross entropy a step",
           {floats({2, 3, 5}), integers({2, 3}, {2, 0, 4, 1}), constants({2, 3}, {1, 0, 0.5F, 2})}),
      weighted_classes("cross entropy, class weights",
                       {floats({2, 70, 2}), integers({2, 70}, {0, 1, 1}), constants({2, 70}, {1, 1, 0})}),
      squares("mse", {floats({4, 3}), constants({4, 3}, {0.5F, -0.25F, 1})}),
      squares("mse, weights",
              {floats({4, 3}), constants({4, 3}, {0.5F, -0.25F, 1}), constants({4}, {1, 0, 1, 0.5F})}),
      squares("mse a step", {floats({2, 5, 1}), constants({2, 5, 1}, {0.5F, -0.25F, 1}),
                             constants({2, 5}, {1, 0, 1, 0.5F})}),
      one("transpose", "transpose", bytes_of(EbbTransposeConfig{}), {floats({3, 33, 70})}),
      one("transpose of one element", "transpose", bytes_of(EbbTransposeConfig{}), {floats({1, 1, 1})}),
  };
}

class NnOps : public testing::TestWithParam<std::string> {};

TEST_P(NnOps, PassesTheOpChecks) {
  for (const OpCase &test : cases()) ebb_test::check_op(test, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Devices, NnOps, testing::ValuesIn(ebb_test::devices()));

} // namespace
