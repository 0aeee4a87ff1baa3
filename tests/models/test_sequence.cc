// What lengths mean to a model: layers always mask by them, pooling heeds them only if asked to.
#include <gtest/gtest.h>

#include <vector>

#include "ebb/model.h"

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

} // namespace
