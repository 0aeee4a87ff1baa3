// What lengths mean to a model: layers always mask by them, pooling and batch norm heed them only if asked
// to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "ebb/model.h"
#include "support/op_check.h"

namespace {

constexpr int64_t kRows = 2, kLength = 6;

// Logits of a model without layers: the pooled embedding through the decoder.
std::vector<float> logits(bool pool_lengths, const std::vector<int32_t> &lengths, EbbPooling pooling) {
  EbbSequence model = {};
  model.encoder = EBB_ENCODER_EMBEDDING;
  model.vocabulary = 7;
  model.d_model = 4;
  model.pooling = pooling;
  model.use_lengths = true;
  model.pool_lengths = pool_lengths;
  model.d_output = 3;
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  EbbGraph *graph = nullptr;
  EbbSequenceValues v = {};
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6, 6, 5, 3, 3, 0, 1}, labels = {0, 1};
  const std::vector<float> weights = {1, 1};
  std::vector<float> out(size_t(kRows * model.d_output));
  EXPECT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
  EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
  EXPECT_EQ(ebb_graph_create(params, nullptr, false, &graph), EBB_OK);
  EXPECT_EQ(ebb_sequence_record(graph, &model, kRows, kLength, &v), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_params_place(params, 5), EBB_OK);
  EXPECT_EQ(ebb_graph_init_params(graph), EBB_OK);
  EXPECT_EQ(ebb_graph_layout(graph), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_graph_write(graph, v.input, tokens.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.lengths, lengths.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.labels, labels.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.weights, weights.data()), EBB_OK);
  EbbRun run = {};
  run.device = device;
  EXPECT_EQ(ebb_graph_forward(graph, &run), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_graph_read(graph, v.logits, out.data()), EBB_OK);
  ebb_graph_destroy(graph);
  ebb_params_destroy(params);
  ebb_device_close(device);
  return out;
}

TEST(SequenceLengths, PoolingHeedsThemOnlyIfAsked) {
  for (EbbPooling pooling : {EBB_POOLING_LAST, EBB_POOLING_MEAN}) {
    EXPECT_EQ(logits(false, {3, 2}, pooling), logits(false, {6, 6}, pooling));
    EXPECT_EQ(logits(true, {6, 6}, pooling), logits(false, {3, 2}, pooling));
    EXPECT_NE(logits(true, {3, 2}, pooling), logits(true, {6, 6}, pooling));
  }
}

// ---- batch norm

struct Step {
  std::vector<float> logits, gradient; // running statistics are among the gradients
};

EbbSequence model_of(const std::string &norm_padding, const std::string &prenorm) {
  EbbConfig *config = nullptr;
  EbbSequence model = {};
  EXPECT_EQ(ebb_config_create(&config), EBB_OK);
  for (const std::string &key :
       {std::string("model.d_model=4"), std::string("model.n_layers=2"), std::string("model.norm=batch"),
        std::string("model.layer.d_state=4"), std::string("model.layer.l_max=64"),
        std::string("decoder.mode=pool"), "model.norm_padding=" + norm_padding, "model.prenorm=" + prenorm})
    EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_sequence_from_keys(config, &model), EBB_OK) << ebb_error();
  ebb_config_destroy(config);
  model.vocabulary = 7, model.d_output = 3, model.use_lengths = model.pool_lengths = true;
  return model;
}

// Of parameters the gradients, of buffers the values.
std::vector<float> read_params(EbbDevice *device, EbbParams *params) {
  std::vector<float> all;
  for (int p = 0; p < ebb_params_count(params); p++) {
    const EbbParam *param = ebb_params_at(params, p);
    std::vector<float> values(size_t(param->size));
    if (param->group >= 0)
      EXPECT_EQ(
          ebb_device_read(device, values.data(), ebb_params_grad(params, p), values.size() * sizeof(float)),
          EBB_OK);
    else
      EXPECT_EQ(ebb_params_read(params, param->name, values.data(), param->size), EBB_OK);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// One training step on three rows of 11 tokens, which do not depend on the length L of the batch.
Step step_of(const EbbSequence &model, int64_t L, const std::string &name) {
  constexpr int64_t B = 3, n = 11;
  std::vector<int32_t> tokens(size_t(B * L)), lengths(B, int32_t(n)), labels = {0, 2, 1};
  for (int64_t i = 0; i < B * n; i++) tokens[size_t(i / n * L + i % n)] = int32_t(1 + (i * i + i / n) % 6);
  const std::vector<float> weights(B, 1), one = {1};
  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  EbbGraph *graph = nullptr;
  EbbSequenceValues v = {};
  EXPECT_EQ(ebb_device_open(name.c_str(), 1, &device), EBB_OK);
  EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
  EXPECT_EQ(ebb_graph_create(params, nullptr, true, &graph), EBB_OK);
  EXPECT_EQ(ebb_sequence_record(graph, &model, B, L, &v), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_params_place(params, 5), EBB_OK);
  EXPECT_EQ(ebb_graph_init_params(graph), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.input, tokens.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.lengths, lengths.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.labels, labels.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_write(graph, v.weights, weights.data()), EBB_OK);
  const EbbRun run = {device, true, 3, 1};
  Step step;
  step.logits.resize(size_t(B * model.d_output));
  EXPECT_EQ(ebb_graph_forward(graph, &run), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_params_zero_grad(params), EBB_OK);
  EXPECT_EQ(ebb_graph_write_grad(graph, v.loss, one.data()), EBB_OK);
  EXPECT_EQ(ebb_graph_backward(graph, &run), EBB_OK) << ebb_error();
  EXPECT_EQ(ebb_graph_read(graph, v.logits, step.logits.data()), EBB_OK);
  step.gradient = read_params(device, params);
  ebb_graph_destroy(graph);
  ebb_params_destroy(params);
  ebb_device_close(device);
  return step;
}

double distance(const std::vector<float> &a, const std::vector<float> &b) {
  EXPECT_EQ(a.size(), b.size());
  double most = 0;
  for (size_t i = 0; i < a.size(); i++)
    most = std::max(most, double(std::fabs(a[i] - b[i])) / (1 + double(std::fabs(a[i]))));
  return most;
}

TEST(SequenceLengths, BatchNormHeedsThemOnlyIfAsked) {
  for (const std::string &device : ebb_test::devices())
    for (const char *prenorm : {"true", "false"}) {
      const EbbSequence asked = model_of("exclude", prenorm), not_asked = model_of("include", prenorm);
      const Step exact = step_of(asked, 11, device), padded = step_of(asked, 24, device);
      const Step published = step_of(not_asked, 11, device), disturbed = step_of(not_asked, 24, device);
      EXPECT_LT(distance(exact.logits, published.logits), 1e-6) << "without padding there is one norm";
      EXPECT_LT(distance(exact.gradient, published.gradient), 1e-5);
      EXPECT_LT(distance(exact.logits, padded.logits), 1e-5);
      EXPECT_LT(distance(exact.gradient, padded.gradient), 1e-4);
      EXPECT_GT(distance(published.logits, disturbed.logits), 1e-2);
    }
}

} // namespace
