// Sequence models of recurrent cells: from the configuration to a graph, and the same step by step.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ebb/rng.h"
#include "ebb/stream.h"
#include "support/op_check.h"

namespace {

constexpr int64_t kRows = 3, kLength = 11, kInputs = 5;

struct Config {
  Config(std::vector<std::string> keys) {
    EXPECT_EQ(ebb_config_create(&config), EBB_OK);
    for (const std::string &key : keys)
      EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
  }
  ~Config() { ebb_config_destroy(config); }
  Config(const Config &) = delete;
  Config &operator=(const Config &) = delete;
  EbbConfig *config = nullptr;
};

// A data set of numbers, or of tokens, that is nothing but its sizes.
EbbDataset sizes(bool tokens, bool per_step, int64_t outputs) {
  EbbDataset dataset = {};
  dataset.vocabulary = tokens ? 9 : 0;
  dataset.d_input = tokens ? 0 : kInputs;
  dataset.n_towers = 1;
  dataset.longest = kLength;
  dataset.per_step = per_step;
  dataset.d_output = outputs;
  return dataset;
}

// A model recorded for batches, and whatever streams of it a test makes.
class Model {
public:
  Model(const std::vector<std::string> &keys, const EbbDataset &dataset, const std::string &on = "cpu")
      : config_(keys) {
    status = ebb_sequence_from_config(config_.config, &dataset, &sequence);
    if (status != EBB_OK) return;
    EXPECT_EQ(ebb_device_open(on.c_str(), 2, &device), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
    EXPECT_EQ(ebb_graph_create(params, nullptr, false, &graph), EBB_OK);
    EXPECT_EQ(ebb_sequence_record(graph, &sequence, kRows, kLength, &values), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_params_place(params, 3), EBB_OK);
    EXPECT_EQ(ebb_graph_init_params(graph), EBB_OK) << ebb_error();
  }
  ~Model() {
    ebb_graph_destroy(graph);
    ebb_params_destroy(params);
    ebb_device_close(device);
    ebb_sequence_release(&sequence);
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  // Logits of the whole batch.
  std::vector<float> batch(const std::vector<float> &x, const std::vector<int32_t> &tokens,
                           bool training = false, uint64_t step = 0) {
    const std::vector<float> ones(size_t(kRows * kLength), 1.0F);
    const EbbShape shape = ebb_graph_shape(graph, values.logits),
                   labels = ebb_graph_shape(graph, values.labels);
    const std::vector<float> targets(size_t(ebb_shape_size(&labels)), 0.5F);
    const EbbRun run = {device, training, 0, step};
    EXPECT_EQ(ebb_graph_write(graph, values.input,
                              tokens.empty() ? static_cast<const void *>(x.data()) : tokens.data()),
              EBB_OK);
    EXPECT_EQ(ebb_graph_write(graph, values.labels, targets.data()), EBB_OK);
    EXPECT_EQ(ebb_graph_write(graph, values.weights, ones.data()), EBB_OK);
    EXPECT_EQ(ebb_graph_forward(graph, &run), EBB_OK) << ebb_error();
    std::vector<float> logits(size_t(ebb_shape_size(&shape)));
    EXPECT_EQ(ebb_graph_read(graph, values.logits, logits.data()), EBB_OK);
    return logits;
  }

  EbbStatus status;
  EbbSequence sequence = {};
  EbbSequenceValues values = {};
  EbbParams *params = nullptr;
  EbbDevice *device = nullptr;
  EbbGraph *graph = nullptr;

private:
  Config config_;
};

std::vector<float> inputs() {
  std::vector<float> x(size_t(kRows * kLength * kInputs));
  for (size_t i = 0; i < x.size(); i++) x[i] = 2 * ebb_unit_float(ebb_random(8, 0, 0, i)) - 1;
  return x;
}
std::vector<int32_t> some_tokens() {
  std::vector<int32_t> tokens(size_t(kRows * kLength));
  for (size_t i = 0; i < tokens.size(); i++) tokens[i] = int32_t(ebb_below(ebb_random(9, 0, 0, i), 9));
  return tokens;
}

// What a row of a batch reads at step t, for all rows.
template <class T> std::vector<T> frame(const std::vector<T> &all, int64_t width, int64_t t) {
  std::vector<T> out;
  for (int64_t b = 0; b < kRows; b++)
    for (int64_t i = 0; i < width; i++) out.push_back(all[size_t((b * kLength + t) * width + i)]);
  return out;
}

// The stream gives at every step what the batch gives there (per step) or at the end.
void expect_stream_equals_batch(Model &model, bool tokens) {
  ASSERT_EQ(model.status, EBB_OK) << ebb_error();
  const auto x = inputs();
  const auto ids = tokens ? some_tokens() : std::vector<int32_t>();
  const std::vector<float> expected = model.batch(x, ids);
  const int64_t outputs = model.sequence.d_output;
  EbbStream *stream = nullptr;
  ASSERT_EQ(ebb_stream_create(model.params, &model.sequence, kRows, &stream), EBB_OK) << ebb_error();
  std::vector<float> logits(size_t(kRows * outputs)), again(logits.size());
  std::vector<char> state(ebb_stream_size(stream));
  const auto step = [&](int64_t t, std::vector<float> &out) {
    const auto values = frame(x, kInputs, t);
    const auto numbers = tokens ? frame(ids, 1, t) : std::vector<int32_t>();
    ASSERT_EQ(ebb_stream_step(stream, tokens ? static_cast<const void *>(numbers.data()) : values.data(),
                              out.data()),
              EBB_OK)
        << ebb_error();
  };
  for (int64_t t = 0; t < kLength; t++) {
    if (t == 4) ebb_stream_save(stream, state.data());
    step(t, logits);
    const bool per_step = model.sequence.per_step;
    if (!per_step && t + 1 < kLength) continue;
    for (int64_t b = 0; b < kRows; b++)
      for (int64_t o = 0; o < outputs; o++)
        EXPECT_NEAR(logits[size_t(b * outputs + o)],
                    expected[size_t(((per_step ? b * kLength + t : b)) * outputs + o)], 2e-5)
            << "row " << b << ", step " << t;
  }
  ebb_stream_restore(stream, state.data());
  for (int64_t t = 4; t < kLength; t++) step(t, again);
  EXPECT_EQ(logits, again);
  ebb_stream_destroy(stream);
}

const char *const kCells[] = {"ltc",   "ltc_aaai", "ltc_vector", "liquid_time_step", "cfc",  "wired_cfc",
                              "ctrnn", "ct_gru",   "neural_ode", "gru_ode",          "lstm", "esn"};

class EveryCell : public testing::TestWithParam<const char *> {};

TEST_P(EveryCell, StreamsAsInBatches) {
  const EbbDataset dataset = sizes(false, true, 2);
  Model model({std::string("model.layer._name_=") + GetParam(), "model.d_model=7", "model.n_layers=2"},
              dataset);
  expect_stream_equals_batch(model, false);
}

TEST_P(EveryCell, GivesOneAnswerAtTheEnd) {
  const EbbDataset dataset = sizes(false, false, 3);
  for (const char *mode : {"last", "pool"}) {
    Model model({std::string("model.layer._name_=") + GetParam(), "model.d_model=6", "model.n_layers=1",
                 std::string("decoder.mode=") + mode},
                dataset);
    expect_stream_equals_batch(model, false);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, EveryCell, testing::ValuesIn(kCells),
                         [](const auto &named) { return std::string(named.param); });

TEST(CellModels, ReadTokens) {
  const EbbDataset dataset = sizes(true, true, 4);
  for (const char *layer : {"ltc_textgen", "cfc"})
    for (const char *version : {"1", "2"}) {
      // Of version 1 the semi-implicit solver, for the explicit ones blow up.
      Model model({std::string("model.layer._name_=") + layer, "model.d_model=6", "model.n_layers=1",
                   std::string("model.layer.version=") + version, "model.layer.solver=fused"},
                  dataset);
      expect_stream_equals_batch(model, true);
    }
}

TEST(CellModels, MotorNeuronsAnswer) {
  const EbbDataset dataset = sizes(false, true, 4);
  for (const char *layer : {"ltc", "wired_cfc"}) {
    Model model({std::string("model.layer._name_=") + layer, "model.d_model=16", "model.n_layers=1",
                 "decoder._name_=identity", "model.layer.mixed_memory=true",
                 "model.layer.wiring=autoncp(units=16, motors=4)"},
                dataset);
    expect_stream_equals_batch(model, false);
    EXPECT_EQ(ebb_params_find(model.params, "decoder.weight"), -1);
  }
}

TEST(CellModels, StreamsTakeIrregularTime) {
  const EbbDataset dataset = sizes(false, true, 2);
  Model model({"model.layer._name_=ltc", "model.d_model=5", "model.n_layers=1"}, dataset);
  ASSERT_EQ(model.status, EBB_OK) << ebb_error();
  EbbStream *stream = nullptr;
  ASSERT_EQ(ebb_stream_create(model.params, &model.sequence, kRows, &stream), EBB_OK);
  const auto x = frame(inputs(), kInputs, 0);
  std::vector<float> once(size_t(kRows * 2)), still(once.size());
  const std::vector<float> no_time(kRows, 0.0F);
  ASSERT_EQ(ebb_stream_step(stream, x.data(), once.data()), EBB_OK);
  // Nothing happens in no time.
  ASSERT_EQ(ebb_stream_step_after(stream, x.data(), no_time.data(), still.data()), EBB_OK) << ebb_error();
  for (size_t i = 0; i < once.size(); i++) EXPECT_NEAR(once[i], still[i], 1e-6);
  const std::vector<float> backwards = {1, -1, 1};
  EXPECT_EQ(ebb_stream_step_after(stream, x.data(), backwards.data(), still.data()), EBB_INVALID);
  EXPECT_NE(std::string(ebb_error()).find("row 1"), std::string::npos) << ebb_error();
  ebb_stream_destroy(stream);
}

const std::vector<std::string> kBackbone = {"model.layer._name_=cfc", "model.d_model=7", "model.n_layers=2",
                                            "model.layer.backbone_layers=3", "model.layer.backbone_units=6"};

std::vector<std::string> with(std::vector<std::string> keys, const std::vector<std::string> &more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

TEST(CellModels, StreamsHaveNoDropoutInside) {
  for (const char *memory : {"false", "true"}) {
    Model model(with(kBackbone,
                     {"model.layer.backbone_dropout=0.4", std::string("model.layer.mixed_memory=") + memory}),
                sizes(false, true, 2));
    expect_stream_equals_batch(model, false);
  }
}

// Elapsed times and lengths, both directions: in evaluation the same bits as without dropout, in training
// other numbers at every step.
TEST(CellModels, DropoutOfABackboneRestsInEvaluation) {
  EbbDataset dataset = sizes(false, true, 2);
  std::vector<float> elapsed(size_t(kRows * kLength), 0.7F);
  dataset.split[EBB_TRAIN].elapsed = elapsed.data(), dataset.variable_length = true;
  const std::vector<int32_t> lengths = {kLength, 4, 1};
  for (const auto &more : std::vector<std::vector<std::string>>{
           {}, {"model.layer.bidirectional=true"}, {"model.layer.mixed_memory=true"}}) {
    Model plain(with(kBackbone, more), dataset);
    Model dropped(with(with(kBackbone, more), {"model.layer.backbone_dropout=0.4"}), dataset);
    for (Model *model : {&plain, &dropped}) {
      ASSERT_EQ(model->status, EBB_OK) << ebb_error();
      ASSERT_EQ(ebb_graph_write(model->graph, model->values.elapsed, elapsed.data()), EBB_OK);
      ASSERT_EQ(ebb_graph_write(model->graph, model->values.lengths, lengths.data()), EBB_OK);
    }
    const auto expected = plain.batch(inputs(), {});
    EXPECT_EQ(dropped.batch(inputs(), {}), expected);
    EXPECT_EQ(plain.batch(inputs(), {}, true), expected);
    const auto first = dropped.batch(inputs(), {}, true, 0), second = dropped.batch(inputs(), {}, true, 1);
    EXPECT_NE(first, expected);
    EXPECT_NE(first, second);
    EXPECT_EQ(dropped.batch(inputs(), {}, true, 0), first);
  }
}

// ncps drops what the second and further layers give; there is nothing to drop without them.
TEST(CellModels, OnlyFurtherLayersOfABackboneAreDropped) {
  for (const auto &more : std::vector<std::vector<std::string>>{{"model.layer.backbone_layers=1"},
                                                                {"model.layer.backbone_layers=0"},
                                                                {"model.layer._name_=wired_cfc"},
                                                                {"model.layer._name_=ltc"}}) {
    Model model(with(with(kBackbone, {"model.layer.backbone_dropout=0.9"}), more), sizes(false, true, 2));
    ASSERT_EQ(model.status, EBB_OK) << ebb_error();
    EXPECT_EQ(model.batch(inputs(), {}, true), model.batch(inputs(), {})) << more[0];
  }
}

// Batch mode of every solver; their streams stand in test_lnn.
TEST(CellModels, LiquidNetsRun) {
  for (const char *solver : {"auto", "euler", "rk4", "dopri5"})
    for (const bool per_step : {false, true}) {
      const EbbDataset dataset = sizes(false, per_step, 2);
      Model model({"model.layer._name_=lnn", "model.d_model=6", "model.n_layers=2", "model.layer.unfolds=30",
                   "model.layer.ffn=true", std::string("model.layer.solver=") + solver},
                  dataset);
      ASSERT_EQ(model.status, EBB_OK) << ebb_error();
      for (float logit : model.batch(inputs(), {})) EXPECT_TRUE(std::isfinite(logit)) << solver;
      EbbStream *stream = nullptr;
      EXPECT_EQ(ebb_stream_create(model.params, &model.sequence, 1, &stream), EBB_UNSUPPORTED);
    }
}

TEST(CellModels, SayWhatDoesNotFit) {
  const struct {
    std::vector<std::string> keys;
    const char *says;
  } cases[] = {
      {{"model.layer._name_=ltc", "model.layer.wiring=autoncp(units=20, motors=2)", "model.d_model=16"},
       "20 units, but model.d_model is 16"},
      {{"model.layer._name_=ltc", "model.layer.solver=heun", "model.d_model=16"}, "no solver heun"},
      {{"model.layer._name_=neural_ode", "model.layer.solver=fused"}, "no solver fused"},
      {{"model.layer._name_=lnn", "model.layer.solver=fused"}, "no solver fused"},
      {{"model.layer._name_=lnn", "decoder._name_=identity"}, "identity is for recurrent cells"},
      {{"model.layer._name_=cfc", "decoder._name_=identity", "model.d_model=16"}, "they are 16 and 2"},
      {{"model.layer._name_=ltc_textgen", "model.d_model=16"}, "the input has 5 features"},
      {{"decoder._name_=identity"}, "identity is for recurrent cells"},
      {{"model.layer._name_=ltc", "model.layer.wiring=autoncp(units=16)", "model.d_model=16"}, "motors"},
  };
  for (const auto &wrong : cases) {
    Model model(wrong.keys, sizes(false, true, 2));
    EXPECT_NE(model.status, EBB_OK) << wrong.says;
    EXPECT_NE(std::string(ebb_error()).find(wrong.says), std::string::npos) << ebb_error();
  }
}

TEST(CellModels, UnstableSolversAreAnError) {
  const EbbDataset dataset = sizes(false, true, 2);
  const std::vector<std::string> keys = {"model.layer._name_=ltc_aaai", "model.layer.solver=euler",
                                         "model.layer.step=20", "model.d_model=8", "model.n_layers=1"};
  Model model(keys, dataset);
  ASSERT_EQ(model.status, EBB_OK) << ebb_error();
  const std::vector<float> x = inputs(), ones(size_t(kRows * kLength * 2), 1.0F);
  ASSERT_EQ(ebb_graph_write(model.graph, model.values.input, x.data()), EBB_OK);
  ASSERT_EQ(ebb_graph_write(model.graph, model.values.labels, ones.data()), EBB_OK);
  ASSERT_EQ(ebb_graph_write(model.graph, model.values.weights, ones.data()), EBB_OK);
  const EbbRun run = {model.device, false, 0, 0};
  EXPECT_EQ(ebb_graph_forward(model.graph, &run), EBB_NUMERIC);
  EXPECT_NE(std::string(ebb_error()).find("stable"), std::string::npos) << ebb_error();
}

// Both directions of a layer: the second one gives at step t what the first one gives with the same weights
// on the reversed rows, lengths and times.
TEST(CellModels, TheSecondDirectionRunsBackwardsInTime) {
  EbbDataset dataset = sizes(false, true, 2);
  std::vector<float> elapsed(size_t(kRows * kLength)), turned(elapsed.size());
  for (size_t i = 0; i < elapsed.size(); i++) elapsed[i] = 0.5F + float(i % 7);
  dataset.split[EBB_TRAIN].elapsed = elapsed.data(), dataset.variable_length = true;
  const std::vector<int32_t> lengths = {kLength, 4, 1};
  for (const std::string cell : {"ltc", "cfc", "lstm"}) {
    const std::vector<std::string> keys = {"model.layer._name_=" + cell, "model.d_model=6",
                                           "model.n_layers=1", "decoder._name_=identity",
                                           "model.layer.bidirectional=true"};
    EbbDataset wide = dataset;
    wide.d_output = 12;
    Model both(keys, wide);
    ASSERT_EQ(both.status, EBB_OK) << ebb_error();
    std::vector<std::string> one = keys;
    one.pop_back();
    wide.d_output = 6;
    Model forwards(one, wide);
    ASSERT_EQ(forwards.status, EBB_OK) << ebb_error();
    for (int i = 0; i < ebb_params_count(forwards.params); i++) {
      const std::string name = ebb_params_at(forwards.params, i)->name;
      std::string back = name;
      back.replace(back.find(".layer."), 7, ".backwards.");
      std::vector<float> values(size_t(ebb_params_at(forwards.params, i)->size));
      ASSERT_EQ(ebb_params_read(both.params, back.c_str(), values.data(), int64_t(values.size())), EBB_OK);
      ASSERT_EQ(ebb_params_write(forwards.params, name.c_str(), values.data(), int64_t(values.size())),
                EBB_OK);
    }
    std::vector<float> x = inputs(), back_x = x;
    for (int64_t b = 0; b < kRows; b++)
      for (int64_t t = 0, n = lengths[size_t(b)]; t < n; t++) {
        for (int64_t c = 0; c < kInputs; c++)
          back_x[size_t((b * kLength + t) * kInputs + c)] =
              x[size_t((b * kLength + n - 1 - t) * kInputs + c)];
        turned[size_t(b * kLength + t)] = elapsed[size_t(b * kLength + (t ? n - t : 0))];
      }
    ASSERT_EQ(ebb_graph_write(both.graph, both.values.lengths, lengths.data()), EBB_OK);
    ASSERT_EQ(ebb_graph_write(both.graph, both.values.elapsed, elapsed.data()), EBB_OK);
    ASSERT_EQ(ebb_graph_write(forwards.graph, forwards.values.lengths, lengths.data()), EBB_OK);
    ASSERT_EQ(ebb_graph_write(forwards.graph, forwards.values.elapsed, turned.data()), EBB_OK);
    const std::vector<float> y = both.batch(x, {}), expected = forwards.batch(back_x, {});
    for (int64_t b = 0; b < kRows; b++)
      for (int64_t t = 0, n = lengths[size_t(b)]; t < n; t++)
        for (int64_t h = 0; h < 6; h++)
          EXPECT_EQ(y[size_t((b * kLength + t) * 12 + 6 + h)],
                    expected[size_t((b * kLength + n - 1 - t) * 6 + h)])
              << cell << ' ' << b << ' ' << t;
    EbbStream *stream = nullptr;
    EXPECT_EQ(ebb_stream_create(both.params, &both.sequence, 1, &stream), EBB_UNSUPPORTED);
  }
  Model lnn({"model.layer._name_=lnn", "model.layer.bidirectional=true"}, sizes(false, true, 2));
  EXPECT_EQ(lnn.status, EBB_UNSUPPORTED);
}

// What warnings go by: beyond the limit where a sub-step is long, on every layer, and not where it is short.
TEST(CellModels, WatchedLayersTellTheirRates) {
  const struct {
    std::string cell, far, near;
  } cases[] = {{"ltc_aaai", "model.layer.step=20", "model.layer.step=0.001"},
               {"lnn", "model.layer.unfolds=1", "model.layer.unfolds=100"}};
  for (const auto &c : cases)
    for (const std::string &step : {c.far, c.near}) {
      const std::vector<std::string> keys = {"model.layer._name_=" + c.cell,
                                             "model.layer.solver=euler",
                                             step,
                                             "model.d_model=8",
                                             "model.n_layers=2",
                                             "model.layer.unstable=warn",
                                             "model.layer.unit_norm=true"};
      Model model(keys, sizes(false, true, 2));
      ASSERT_EQ(model.status, EBB_OK) << ebb_error();
      std::vector<float> x = inputs();
      for (float &value : x) value *= 20;
      model.batch(x, {});
      ASSERT_EQ(model.values.rates.n, 2);
      EXPECT_EQ(model.values.rates.limit, 2);
      for (int layer = 0; layer < 2; layer++) {
        const EbbValue met = model.values.rates.met[layer];
        const EbbShape shape = ebb_graph_shape(model.graph, met);
        std::vector<float> rate(size_t(ebb_shape_size(&shape)));
        ASSERT_EQ(ebb_graph_read(model.graph, met, rate.data()), EBB_OK);
        for (float value : rate) EXPECT_EQ(value > 2, step == c.far) << c.cell << ' ' << value;
      }
    }
  Model deep({"model.layer._name_=lnn", "model.n_layers=65", "model.layer.unstable=warn"},
             sizes(false, true, 2));
  EXPECT_EQ(deep.status, EBB_INVALID);
}

// Neurons that would be unstable take the fused solver's sub-step: with all of them so, it is that solver.
TEST(CellModels, UnstableSolversFallBack) {
  const EbbDataset dataset = sizes(false, true, 2);
  const std::vector<std::string> keys = {"model.layer._name_=ltc", "model.d_model=48",
                                         "model.n_layers=1",       "model.layer.unfolds=1",
                                         "model.layer.epsilon=0",  "model.layer.unstable=fall_back"};
  std::vector<std::string> euler = keys;
  euler.emplace_back("model.layer.solver=euler");
  Model fused(keys, dataset), guarded(euler, dataset);
  ASSERT_EQ(fused.status, EBB_OK) << ebb_error();
  ASSERT_EQ(guarded.status, EBB_OK) << ebb_error();
  const std::vector<float> expected = fused.batch(inputs(), {}), got = guarded.batch(inputs(), {});
  for (size_t i = 0; i < got.size(); i++) EXPECT_NEAR(got[i], expected[i], 1e-5);
  // Where they are stable it is Euler's.
  euler.back() = "model.layer.solver=rk4", euler[3] = "model.layer.unfolds=200";
  Model fine(euler, dataset);
  euler[5] = "model.layer.unstable=error";
  Model plain(euler, dataset);
  EXPECT_EQ(fine.batch(inputs(), {}), plain.batch(inputs(), {}));
}

} // namespace
