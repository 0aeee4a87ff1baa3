// Echo-state networks as cells: the reservoir of reservoir.h, step by step, with weights that nothing trains.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "ebb/reservoir.h"
#include "ebb/rng.h"
#include "ebb/stream.h"

namespace {

constexpr int64_t kRows = 2, kLength = 9, kInputs = 3;

// A model of esn layers and a decoder of one output, recorded for training.
class Model {
public:
  Model(int64_t units, int64_t layers, double leak) {
    EXPECT_EQ(ebb_config_create(&config), EBB_OK);
    for (const std::string &key :
         {std::string("model.layer._name_=esn"), "model.d_model=" + std::to_string(units),
          "model.n_layers=" + std::to_string(layers), "model.layer.leak=" + std::to_string(leak),
          std::string("model.layer.density=0.3"), std::string("model.layer.spectral_radius=0.8"),
          std::string("model.layer.input_scale=0.5"), std::string("train.seed=5")})
      EXPECT_EQ(ebb_config_override(config, key.c_str()), EBB_OK) << ebb_error();
    EbbDataset dataset = {};
    dataset.d_input = kInputs, dataset.n_towers = 1, dataset.longest = kLength;
    dataset.per_step = true, dataset.d_output = 1;
    EXPECT_EQ(ebb_sequence_from_config(config, &dataset, &sequence), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_device_open("cpu", 2, &device), EBB_OK);
    EXPECT_EQ(ebb_params_create(device, &params), EBB_OK);
    EXPECT_EQ(ebb_graph_create(params, nullptr, true, &graph), EBB_OK);
    EXPECT_EQ(ebb_sequence_record(graph, &sequence, kRows, kLength, &values), EBB_OK) << ebb_error();
    EXPECT_EQ(ebb_params_place(params, 5), EBB_OK);
    EXPECT_EQ(ebb_graph_init_params(graph), EBB_OK) << ebb_error();
  }
  ~Model() {
    ebb_graph_destroy(graph);
    ebb_params_destroy(params);
    ebb_device_close(device);
    ebb_sequence_release(&sequence);
    ebb_config_destroy(config);
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;

  std::vector<float> read(const std::string &name) {
    const int index = ebb_params_find(params, name.c_str());
    EXPECT_GE(index, 0) << name;
    std::vector<float> out(index < 0 ? 0 : size_t(ebb_params_at(params, index)->size));
    EXPECT_EQ(ebb_params_read(params, name.c_str(), out.data(), int64_t(out.size())), EBB_OK);
    return out;
  }

  EbbConfig *config = nullptr;
  EbbSequence sequence = {};
  EbbSequenceValues values = {};
  EbbParams *params = nullptr;
  EbbDevice *device = nullptr;
  EbbGraph *graph = nullptr;
};

double input(int64_t t, int64_t i) {
  return double(2 * ebb_unit_float(ebb_random(8, 0, 0, uint64_t(t * kInputs + i))) - 1);
}

EbbReservoir *reservoir_of(int units, double leak, uint64_t seed, int inputs) {
  const EbbEcho echo = {leak};
  const EbbReservoirDraw draw = {0.3, 0.8, 0.5, seed};
  EbbReservoir *reservoir = nullptr;
  EXPECT_EQ(ebb_reservoir_echo_draw(&echo, inputs, units, &draw, &reservoir), EBB_OK) << ebb_error();
  return reservoir;
}

} // namespace

TEST(Esn, StepsAsTheReservoirDoes) {
  for (int units : {1, 17, 40})
    for (double leak : {0.25, 1.0}) {
      SCOPED_TRACE(std::to_string(units) + " units, leak " + std::to_string(leak));
      Model model(units, 1, leak);
      EbbStream *stream = nullptr;
      ASSERT_EQ(ebb_stream_create(model.params, &model.sequence, 1, &stream), EBB_OK) << ebb_error();
      EbbReservoir *reservoir = reservoir_of(units, leak, 5, kInputs);
      EbbReservoirState *state = nullptr;
      ASSERT_EQ(ebb_reservoir_state_create(reservoir, 1, &state), EBB_OK);
      for (int64_t t = 0; t < 30; t++) {
        std::vector<float> x;
        std::vector<double> u, h(static_cast<size_t>(units));
        for (int64_t i = 0; i < kInputs; i++) u.push_back(input(t, i)), x.push_back(float(u.back()));
        ASSERT_EQ(ebb_reservoir_step(reservoir, state, u.data(), h.data()), EBB_OK);
        ASSERT_EQ(ebb_stream_step(stream, x.data(), nullptr), EBB_OK);
        const float *ours = ebb_cell_stream_state(ebb_stream_cell(stream, 0));
        for (size_t j = 0; j < h.size(); j++) ASSERT_NEAR(double(ours[j]), h[j], 2e-6) << t << ", " << j;
      }
      ebb_reservoir_state_destroy(state);
      ebb_reservoir_destroy(reservoir);
      ebb_stream_destroy(stream);
    }
}

TEST(Esn, LayersAreDifferentDraws) {
  Model model(12, 3, 0.5);
  EXPECT_NE(model.read("layers.1.layer.W"), model.read("layers.2.layer.W"));
  EXPECT_NE(model.read("layers.0.layer.W"), model.read("layers.1.layer.W"));
}

TEST(Esn, NothingButTheReadoutTrains) {
  Model model(12, 2, 0.5);
  EXPECT_EQ(ebb_params_trained(model.params), 12 + 1);
  std::vector<float> x(size_t(kRows * kLength * kInputs)), targets(size_t(kRows * kLength), 0.7F),
      ones(size_t(kRows * kLength), 1.0F);
  for (size_t i = 0; i < x.size(); i++) x[i] = float(input(int64_t(i), 0));
  const EbbRun run = {model.device, true, 0, 0};
  ASSERT_EQ(ebb_graph_write(model.graph, model.values.input, x.data()), EBB_OK);
  ASSERT_EQ(ebb_graph_write(model.graph, model.values.labels, targets.data()), EBB_OK);
  ASSERT_EQ(ebb_graph_write(model.graph, model.values.weights, ones.data()), EBB_OK);
  ASSERT_EQ(ebb_params_zero_grad(model.params), EBB_OK);
  ASSERT_EQ(ebb_graph_forward(model.graph, &run), EBB_OK) << ebb_error();
  const float one = 1;
  ASSERT_EQ(ebb_graph_write_grad(model.graph, model.values.loss, &one), EBB_OK);
  ASSERT_EQ(ebb_graph_backward(model.graph, &run), EBB_OK) << ebb_error();
  const int weight = ebb_params_find(model.params, "decoder.weight");
  const float *grad = ebb_params_grad(model.params, weight);
  double sum = 0;
  for (int i = 0; i < 12; i++) sum += std::fabs(double(grad[i]));
  EXPECT_GT(sum, 1e-3);
}
