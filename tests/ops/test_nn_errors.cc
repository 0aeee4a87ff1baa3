// What the ops around the state-space layer say about bad input.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "ebb/ops/batch_norm.h"
#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/encode_linear.h"
#include "ebb/ops/layer_norm.h"
#include "ebb/ops/layer_norm_scalar.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/mse.h"
#include "ebb/ops/pool.h"
#include "ebb/ops/retrieval.h"
#include "ebb/ops/s4_out.h"
#include "support/linear_config.h"
#include "support/no_config.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::integer_tensor;
using ebb_test::NoConfig;
using ebb_test::OpRun;
using ebb_test::random_tensor;
using ebb_test::Tensor;

void expect_sentence(const std::string &says) {
  EXPECT_NE(std::string(ebb_error()).find(says), std::string::npos)
      << "'" << ebb_error() << "' lacks '" << says << "'";
}

void expect_node() {
  EXPECT_NE(std::string(ebb_error()).find("node"), std::string::npos)
      << "the node is not named: " << ebb_error();
}

template <class Config>
void expect_setup(EbbStatus code, const char *says, const char *op, const Config &config,
                  const std::vector<Tensor> &inputs, int outputs = 1) {
  OpRun run(op, config, inputs, outputs);
  EXPECT_EQ(run.status, code);
  expect_sentence(says);
  expect_node();
}

template <class Config>
void expect_forward(const char *says, const char *op, const Config &config, const std::vector<Tensor> &inputs,
                    int outputs = 1) {
  OpRun run(op, config, inputs, outputs);
  ASSERT_EQ(run.status, EBB_OK) << ebb_error();
  EXPECT_EQ(run.forward(), EBB_INVALID);
  expect_sentence(says);
  expect_node();
}

// Bad values in device memory: a GPU hears of them when it waits, and its backward pass has run by then.
template <class Config>
void expect_fault(const char *says, const char *op, const Config &config, const std::vector<Tensor> &inputs,
                  int outputs = 1) {
  for (const std::string &device : ebb_test::devices()) {
    SCOPED_TRACE(device);
    OpRun run(op, config, inputs, outputs, 1, true, device);
    ASSERT_EQ(run.status, EBB_OK) << ebb_error();
    EXPECT_EQ(run.forward(), EBB_INVALID);
    expect_sentence(says);
    if (device == "cpu") {
      expect_node();
      continue;
    }
    run.backward(ebb_test::Floats(run.output().size(), 1));
    EXPECT_NO_THROW(run.output()); // waits for it
  }
}

TEST(NnErrors, ShapesAndSettings) {
  const Tensor x = random_tensor({2, 3, 4}, 1), flat = random_tensor({4, 3}, 2),
               odd = random_tensor({3, 3}, 3);
  const Tensor three = integer_tensor({3}, {1, 2, 3}), tokens = integer_tensor({2, 2}, {0, 1, 2, 3});
  const Tensor one_channel = random_tensor({2, 1, 4}, 4);
  expect_setup(EBB_INVALID, "0 tokens", "embedding", EbbEmbeddingConfig{0, 4}, {tokens});
  expect_setup(EBB_SHAPE, "expected i32", "embedding", EbbEmbeddingConfig{4, 4}, {flat});
  expect_setup(EBB_INVALID, "from 0 to 4 features", "encode_linear", EbbEncodeLinearConfig{0, 4}, {x});
  expect_setup(EBB_SHAPE, "4 features, the encoder expects 5", "encode_linear", EbbEncodeLinearConfig{5, 4},
               {x});
  expect_setup(EBB_INVALID, "momentum 2", "batch_norm", EbbBatchNormConfig{1e-5, 2}, {x});
  expect_setup(EBB_INVALID, "eps -1", "layer_norm", EbbLayerNormConfig{-1}, {x});
  expect_setup(EBB_INVALID, "one channel", "layer_norm_scalar", NoConfig{}, {one_channel});
  expect_setup(EBB_INVALID, "dropout 1", "s4_out", EbbS4OutConfig{true, 1, true}, {x});
  expect_setup(EBB_SHAPE, "the residual is (2, 1, 4)", "s4_out", EbbS4OutConfig{true, 0, true},
               {x, one_channel});
  expect_setup(EBB_SHAPE, "3 lengths for a batch of 2", "pool", EbbPoolConfig{EBB_POOL_MEAN}, {x, three});
  expect_setup(EBB_INVALID, "0 outputs", "linear", ebb_test::linear_config(0), {flat});
  expect_setup(EBB_SHAPE, "scalar", "linear", ebb_test::linear_config(2), {random_tensor({}, 5)});
  expect_setup(EBB_SHAPE, "3 rows cannot be split", "retrieval", NoConfig{}, {odd});
  expect_setup(EBB_SHAPE, "the labels are (3), but the prediction's rows are (4)", "cross_entropy",
               EbbCrossEntropyConfig{}, {flat, three}, 2);
  expect_setup(EBB_SHAPE, "needs at least 2", "cross_entropy", EbbCrossEntropyConfig{}, {flat}, 2);
  expect_setup(EBB_SHAPE, "the targets are (3, 3)", "mse", NoConfig{}, {flat, odd});
  expect_setup(EBB_SHAPE, "the weights are (3), but the prediction's rows are (4)", "mse", NoConfig{},
               {flat, flat, random_tensor({3}, 6)});
}

TEST(NnErrors, TokensOutsideTheVocabulary) {
  for (int32_t bad : {-1, 10, std::numeric_limits<int32_t>::max()})
    expect_fault(("token " + std::to_string(bad) + " at row 1, position 2 is outside 0..9").c_str(),
                 "embedding", EbbEmbeddingConfig{10, 4}, {integer_tensor({2, 3}, {0, 9, 1, 2, 3, bad})});
}

TEST(NnErrors, BatchNormOfOneValueInTrainingOnly) {
  const std::vector<Tensor> x = {random_tensor({1, 3, 1}, 1)};
  const EbbBatchNormConfig config = {1e-5, 0.1};
  expect_forward("more than one value a channel", "batch_norm", config, x);
  OpRun run("batch_norm", config, x);
  run.run.training = false;
  EXPECT_EQ(run.forward(), EBB_OK);
}

TEST(NnErrors, LengthsOutsideTheSequence) {
  for (EbbPoolKind kind : {EBB_POOL_MEAN, EBB_POOL_LAST})
    for (int32_t bad : {-3, 0, 5})
      expect_fault(("row 1 has length " + std::to_string(bad) + ", which is outside 1..4").c_str(), "pool",
                   EbbPoolConfig{kind}, {random_tensor({2, 3, 4}, 1), integer_tensor({2}, {4, bad})});
}

TEST(NnErrors, LabelsOutsideTheClasses) {
  for (int32_t bad : {-1, 3})
    expect_fault(("the label " + std::to_string(bad) + " of row 2 is outside 0..2").c_str(), "cross_entropy",
                 EbbCrossEntropyConfig{}, {random_tensor({4, 3}, 1), integer_tensor({4}, {0, 2, bad, 1})}, 2);
}

TEST(NnErrors, WeightsThatCannotAverage) {
  const Tensor x = random_tensor({2, 3}, 1), labels = integer_tensor({2}, {0, 1});
  const struct {
    std::vector<float> weights;
    const char *says;
  } rows[] = {{{1, -1}, "row 1 has weight -1"},
              {{std::numeric_limits<float>::infinity(), 1}, "row 0 has weight inf"},
              {{std::numeric_limits<float>::quiet_NaN(), 1}, "row 0 has weight"},
              {{0, 0}, "all 2 rows have weight 0"}};
  for (const auto &row : rows) {
    expect_fault(row.says, "cross_entropy", EbbCrossEntropyConfig{}, {x, labels, Tensor{{2}, row.weights}},
                 2);
    expect_fault(row.says, "mse", NoConfig{}, {x, x, Tensor{{2}, row.weights}}, 2);
  }
}

} // namespace
