// Streaming equals batch mode, and a saved state continues where it was.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "ebb/rng.h"
#include "ebb/stream.h"

namespace {

constexpr int64_t kRows = 2, kLength = 40;

EbbSequence tiny(EbbLiquid liquid, bool diagonal, EbbNorm norm, bool prenorm, EbbPooling pooling) {
  EbbSequence model = {};
  model.encoder = EBB_ENCODER_EMBEDDING;
  model.vocabulary = 7;
  model.d_input = 3;
  model.d_model = 6;
  model.n_layers = 2;
  model.prenorm = prenorm;
  model.residual = true;
  model.norm = norm;
  model.pooling = pooling;
  model.d_output = 4;
  EbbS4Layer &layer = model.layer;
  layer.ssm.N = 8;
  layer.ssm.l_max = 64;
  layer.ssm.rate = 1;
  layer.ssm.measure = diagonal ? EBB_SSM_DIAG_LIN : EBB_SSM_LEGS;
  layer.ssm.readout = EBB_SSM_ONES;
  layer.ssm.dt_min = 0.01, layer.ssm.dt_max = 0.2;
  layer.ssm.lr_dt = layer.ssm.lr_A = layer.ssm.lr_B = NAN;
  layer.diagonal = diagonal;
  layer.skip = layer.gelu = layer.glu = true;
  layer.tie_dropout = true;
  layer.liquid = liquid;
  layer.degree = 3;
  layer.scan_bound = 1;
  return model;
}

class Streaming : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(ebb_device_open("cpu", 1, &device), EBB_OK);
    ASSERT_EQ(ebb_params_create(device, &params), EBB_OK);
    ASSERT_EQ(ebb_graph_create(params, nullptr, false, &graph), EBB_OK);
    for (int64_t i = 0; i < kRows * kLength; i++)
      tokens.push_back(int32_t(ebb_below(ebb_random(1, 0, 0, uint64_t(i)), 7)));
    for (int64_t i = 0; i < kRows * kLength * 3; i++)
      values.push_back(ebb_unit_float(ebb_random(2, 0, 0, uint64_t(i))) - 0.5F);
  }
  void TearDown() override {
    ebb_graph_destroy(graph);
    ebb_params_destroy(params);
    ebb_device_close(device);
  }

  void build(const EbbSequence &model, int64_t length) {
    ASSERT_EQ(ebb_sequence_record(graph, &model, kRows, length, &v), EBB_OK) << ebb_error();
    if (ebb_params_placed(params)) return;
    ASSERT_EQ(ebb_params_place(params, 9), EBB_OK) << ebb_error();
    ASSERT_EQ(ebb_graph_init_params(graph), EBB_OK) << ebb_error();
    // Statistics as training would leave them.
    for (int p = 0; p < ebb_params_count(params); p++) {
      const EbbParam *param = ebb_params_at(params, p);
      std::string name = param->name;
      if (name.find("running_") == std::string::npos) continue;
      std::vector<float> stats(size_t(param->size));
      for (size_t i = 0; i < stats.size(); i++) stats[i] = 0.3F + 0.1F * float(i);
      ASSERT_EQ(ebb_params_write(params, param->name, stats.data(), param->size), EBB_OK);
    }
  }

  // The batch model's logits on the first `length` steps.
  std::vector<float> batch(const EbbSequence &model, int64_t length) {
    EbbGraph *keep = graph;
    EXPECT_EQ(ebb_graph_create(params, nullptr, false, &graph), EBB_OK);
    build(model, length);
    const size_t decisions = size_t(kRows * (model.per_step ? length : 1)), width = size_t(model.d_output);
    std::vector<int32_t> t, labels(decisions, 0);
    std::vector<float> x, ones(decisions, 1), logits(decisions * width);
    for (int64_t b = 0; b < kRows; b++) {
      t.insert(t.end(), tokens.begin() + b * kLength, tokens.begin() + b * kLength + length);
      x.insert(x.end(), values.begin() + b * kLength * 3, values.begin() + (b * kLength + length) * 3);
    }
    bool embedding = model.encoder == EBB_ENCODER_EMBEDDING;
    EXPECT_EQ(ebb_graph_write(graph, v.input, embedding ? static_cast<const void *>(t.data()) : x.data()),
              EBB_OK)
        << ebb_error();
    EXPECT_EQ(ebb_graph_write(graph, v.labels, labels.data()), EBB_OK);
    EXPECT_EQ(ebb_graph_write(graph, v.weights, ones.data()), EBB_OK);
    EbbRun run = {device, false, 0, 0};
    EXPECT_EQ(ebb_graph_forward(graph, &run), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_graph_read(graph, v.logits, logits.data()), EBB_OK);
    ebb_graph_destroy(graph);
    graph = keep;
    if (!model.per_step) return logits;
    std::vector<float> last;
    for (size_t b = 0; b < size_t(kRows); b++) {
      const auto end = logits.begin() + std::ptrdiff_t((b + 1) * size_t(length) * width);
      last.insert(last.end(), end - std::ptrdiff_t(width), end);
    }
    return last;
  }

  const void *frame(const EbbSequence &model, int64_t t) {
    frame_tokens.clear(), frame_values.clear();
    for (int64_t b = 0; b < kRows; b++) {
      frame_tokens.push_back(tokens[size_t(b * kLength + t)]);
      for (int i = 0; i < 3; i++) frame_values.push_back(values[size_t((b * kLength + t) * 3 + i)]);
    }
    return model.encoder == EBB_ENCODER_EMBEDDING ? static_cast<const void *>(frame_tokens.data())
                                                  : frame_values.data();
  }

  void check(const EbbSequence &model) {
    build(model, kLength);
    batch(model, kLength); // fixes the internal kernel length
    EbbStream *stream = nullptr;
    ASSERT_EQ(ebb_stream_create(params, &model, kRows, &stream), EBB_OK) << ebb_error();
    std::vector<float> logits(size_t(kRows * model.d_output)), again(logits.size());
    std::vector<char> state(ebb_stream_size(stream));
    for (int64_t t = 0; t < kLength; t++) {
      if (t == 17) ebb_stream_save(stream, state.data());
      ASSERT_EQ(ebb_stream_step(stream, frame(model, t), logits.data()), EBB_OK) << ebb_error();
      if (t != 0 && t != 20 && t != kLength - 1) continue;
      std::vector<float> expected = batch(model, t + 1);
      for (size_t i = 0; i < logits.size(); i++) EXPECT_NEAR(logits[i], expected[i], 1e-4) << "step " << t;
    }
    ebb_stream_restore(stream, state.data());
    for (int64_t t = 17; t < kLength; t++)
      ASSERT_EQ(ebb_stream_step(stream, frame(model, t), again.data()), EBB_OK);
    EXPECT_EQ(logits, again);
    ebb_stream_reset(stream);
    for (int64_t t = 0; t < kLength; t++)
      ASSERT_EQ(ebb_stream_step(stream, frame(model, t), again.data()), EBB_OK);
    EXPECT_EQ(logits, again);
    ebb_stream_destroy(stream);
  }

  EbbDevice *device = nullptr;
  EbbParams *params = nullptr;
  EbbGraph *graph = nullptr;
  EbbSequenceValues v = {};
  std::vector<int32_t> tokens, frame_tokens;
  std::vector<float> values, frame_values;
};

TEST_F(Streaming, PlainNplr) { check(tiny(EBB_LIQUID_NONE, false, EBB_NORM_LAYER, true, EBB_POOLING_MEAN)); }
TEST_F(Streaming, PlainDiagonal) {
  check(tiny(EBB_LIQUID_NONE, true, EBB_NORM_BATCH, true, EBB_POOLING_LAST));
}
TEST_F(Streaming, ADecisionAStep) {
  EbbSequence model = tiny(EBB_LIQUID_NONE, false, EBB_NORM_LAYER, true, EBB_POOLING_MEAN);
  model.per_step = true;
  check(model);
}
TEST_F(Streaming, SeriesNplr) {
  check(tiny(EBB_LIQUID_SERIES, false, EBB_NORM_BATCH, false, EBB_POOLING_MEAN));
}
TEST_F(Streaming, SeriesOfRankTwo) {
  EbbSequence sequence = tiny(EBB_LIQUID_SERIES, false, EBB_NORM_BATCH, false, EBB_POOLING_MEAN);
  sequence.layer.ssm.measure = EBB_SSM_LEGT;
  sequence.layer.ssm.rank = 2;
  check(sequence);
}
TEST_F(Streaming, SeriesDiagonal) {
  check(tiny(EBB_LIQUID_SERIES, true, EBB_NORM_LAYER_SCALAR, true, EBB_POOLING_LAST));
}
TEST_F(Streaming, Scan) { check(tiny(EBB_LIQUID_SCAN, true, EBB_NORM_LAYER, false, EBB_POOLING_MEAN)); }
TEST_F(Streaming, LinearEncoderWithoutNorm) {
  EbbSequence model = tiny(EBB_LIQUID_NONE, true, EBB_NORM_NONE, true, EBB_POOLING_MEAN);
  model.encoder = EBB_ENCODER_LINEAR;
  model.layer.glu = false;
  check(model);
}
TEST_F(Streaming, LearnedReadout) {
  EbbSequence model = tiny(EBB_LIQUID_SERIES, true, EBB_NORM_LAYER, true, EBB_POOLING_LAST);
  model.layer.ssm.readout = EBB_SSM_LEARNED;
  check(model);
}

TEST_F(Streaming, NonCausalLayersAreRefused) {
  for (EbbLiquid liquid : {EBB_LIQUID_POLYB, EBB_LIQUID_KB}) {
    EbbSequence model = tiny(liquid, true, EBB_NORM_LAYER, true, EBB_POOLING_LAST);
    EbbStream *stream = nullptr;
    EbbS4Stream *layer = nullptr;
    EXPECT_EQ(ebb_s4_stream_create(params, "layers.0.layer", &model.layer, 1, &layer), EBB_UNSUPPORTED);
    EXPECT_NE(std::string(ebb_error()).find("not causal"), std::string::npos);
    EXPECT_EQ(layer, nullptr);
    model.decoder = EBB_DECODER_RETRIEVAL;
    EXPECT_EQ(ebb_stream_create(params, &model, 1, &stream), EBB_UNSUPPORTED);
  }
}

TEST_F(Streaming, NeedsARow) {
  EbbSequence model = tiny(EBB_LIQUID_NONE, true, EBB_NORM_LAYER, true, EBB_POOLING_LAST);
  build(model, kLength);
  EbbStream *stream = nullptr;
  for (int64_t rows : {-1, 0}) EXPECT_EQ(ebb_stream_create(params, &model, rows, &stream), EBB_INVALID);
}

TEST_F(Streaming, TokenOutsideTheVocabularyIsNamed) {
  EbbSequence model = tiny(EBB_LIQUID_NONE, true, EBB_NORM_LAYER, true, EBB_POOLING_LAST);
  build(model, kLength);
  EbbStream *stream = nullptr;
  ASSERT_EQ(ebb_stream_create(params, &model, kRows, &stream), EBB_OK) << ebb_error();
  const int32_t bad[kRows] = {3, 7};
  EXPECT_EQ(ebb_stream_step(stream, bad, nullptr), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("row 1: token 7"), std::string::npos) << ebb_error();
  ebb_stream_destroy(stream);
}

} // namespace
