// Liquid networks: published settings and counts, lengths and the last step, states in and out, and the
// stream.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/lnn.h"
#include "support/expect_near.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace {

using ebb_test::expect_near;
using ebb_test::Floats;
using ebb_test::random_tensor;

void must(EbbStatus got) {
  if (got != EBB_OK) throw std::runtime_error(ebb_error());
}

EbbLnn small(int64_t input, const std::string &solver, int64_t steps = 1) {
  EbbLnn model = ebb_lnn_defaults(input);
  model.hidden = 6, model.layers = 2, model.ffn = true, model.unit_norm = true;
  must(ebb_lnn_solver(solver.c_str(), steps, &model.solver));
  return model;
}

// A model for B rows of T steps in its own parameters, which always start the same.
class Model {
public:
  Model(const EbbLnn &model, int64_t B, int64_t T, bool lengths, const std::string &device) : model_(model) {
    EbbValue values[3] = {EBB_NO_VALUE, EBB_NO_VALUE, EBB_NO_VALUE};
    must(ebb_device_open(device.c_str(), 2, &device_));
    must(ebb_params_create(device_, &params));
    must(ebb_graph_create(params, nullptr, true, &graph_));
    const int64_t x[] = {B, T, model.input}, times[] = {B, T};
    must(ebb_graph_input(graph_, "x", EBB_F32, ebb_shape_from(3, x), true, &values[0]));
    must(ebb_graph_input(graph_, "elapsed", EBB_F32, ebb_shape_from(2, times), false, &values[1]));
    if (lengths) must(ebb_graph_input(graph_, "lengths", EBB_I32, ebb_shape_from(1, x), false, &values[2]));
    x_ = values[0], elapsed_ = values[1], lengths_ = values[2];
    must(ebb_lnn_record(graph_, "net", &model_, x_, elapsed_, lengths_, nullptr, &y_));
    must(ebb_graph_output(graph_, y_));
    must(ebb_params_place(params, 3));
    must(ebb_graph_init_params(graph_));
    must(ebb_graph_layout(graph_));
  }
  Model(const Model &) = delete;
  Model &operator=(const Model &) = delete;
  ~Model() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params);
    ebb_device_close(device_);
  }
  Floats run(const Floats &x, const Floats &elapsed, const std::vector<int32_t> &lengths = {},
             bool training = false) {
    const EbbRun run = {device_, training, 5, 1};
    must(ebb_graph_write(graph_, x_, x.data()));
    must(ebb_graph_write(graph_, elapsed_, elapsed.data()));
    if (!lengths.empty()) must(ebb_graph_write(graph_, lengths_, lengths.data()));
    must(ebb_graph_forward(graph_, &run));
    const EbbShape shape = ebb_graph_shape(graph_, y_);
    Floats y(size_t(ebb_shape_size(&shape)));
    must(ebb_graph_read(graph_, y_, y.data()));
    return y;
  }
  EbbParams *params = nullptr;

private:
  EbbLnn model_;
  EbbDevice *device_ = nullptr;
  EbbGraph *graph_ = nullptr;
  EbbValue x_, elapsed_, lengths_, y_;
};

class Lnn : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Devices, Lnn, testing::ValuesIn(ebb_test::devices()));

TEST(LnnSettings, AreThosePublished) {
  const EbbLnn model = ebb_lnn_defaults(287), accurate = ebb_lnn_high_accuracy_defaults(256);
  EXPECT_EQ(model.hidden, 256);
  EXPECT_EQ(model.layers, 4);
  EXPECT_EQ(model.dropout, 0.1);
  EXPECT_EQ(model.solver.tableau, nullptr) << "exact";
  EXPECT_EQ(ebb_lnn_param_count(&model), 287 * 256 + 4 * 5 * 256 * 256);
  EXPECT_EQ(ebb_lnn_param_count(&accurate), 4 * 5 * 256 * 256);
  EXPECT_EQ(ebb_lnn_output_size(&model), 256);
  EXPECT_STREQ(accurate.solver.tableau->name, "dopri5");
  EXPECT_TRUE(accurate.solver.adaptive);
  EXPECT_EQ(accurate.solver.atol, 1e-4);
  EXPECT_EQ(accurate.solver.rtol, 1e-2);
  EXPECT_EQ(accurate.solver.first_step, 0.25);
  EXPECT_EQ(accurate.solver.attempts, 100);
  EbbLnnScanConfig unknown;
  EXPECT_EQ(ebb_lnn_solver("rk5", 1, &unknown), EBB_INVALID);
  for (const char *word : {"rk5", "exact", "euler", "rk4"})
    EXPECT_NE(std::string(ebb_error()).find(word), std::string::npos) << word;
}

// The published count has no biases, norms and SwiGLU; what is trained is more by exactly these.
TEST(LnnSettings, TheCountLeavesOutBiasesNormsAndSwiglu) {
  EbbLnn model = small(5, "exact");
  Model net(model, 1, 1, false, "cpu");
  const int64_t H = 6, dense = ebb_lnn_param_count(&model), biases = H + 2 * (H + 2 * H + H),
                norms = 2 * 2 * H + 2 * 2 * H + 2 * H, swiglu = 2 * (12 * H * H + 9 * H);
  EXPECT_EQ(ebb_params_trained(net.params), dense + biases + norms + swiglu);
  EXPECT_LT(ebb_params_find(net.params, "net.Wp"), ebb_params_count(net.params));
  model.input = H;
  Model square(model, 1, 1, false, "cpu");
  EXPECT_EQ(ebb_params_find(square.params, "net.Wp"), -1) << "no projection where E = H";
}

TEST_P(Lnn, WhatLiesBeyondARowsLengthDoesNotMatter) {
  const int64_t B = 2, T = 7;
  Model net(small(4, "rk4", 2), B, T, true, GetParam());
  Floats x = random_tensor({B, T, 4}, 1).floats;
  const Floats dt(size_t(B * T), 0.5F), before = net.run(x, dt, {7, 3});
  for (size_t i = size_t((T + 3) * 4); i < x.size(); i++) x[i] += 3;
  EXPECT_EQ(net.run(x, dt, {7, 3}), before);
  EXPECT_NE(net.run(x, dt, {7, 4}), before);
}

TEST_P(Lnn, DropoutIsForTrainingOnly) {
  EbbLnn model = small(4, "exact");
  model.dropout = 0.5;
  Model net(model, 2, 3, false, GetParam());
  const Floats x = random_tensor({2, 3, 4}, 2).floats, dt(6, 1);
  model.dropout = 0;
  Model plain(model, 2, 3, false, GetParam());
  EXPECT_EQ(net.run(x, dt), plain.run(x, dt));
  EXPECT_NE(net.run(x, dt, {}, true), plain.run(x, dt));
}

// ---- the stream

struct StreamCloser {
  void operator()(EbbLnnStream *stream) const { ebb_lnn_stream_destroy(stream); }
};
using Stream = std::unique_ptr<EbbLnnStream, StreamCloser>;

Stream stream_of(Model &net, const EbbLnn &model, int64_t B) {
  EbbLnnStream *stream = nullptr;
  must(ebb_lnn_stream_create(net.params, "net", &model, B, &stream));
  return Stream(stream);
}

// Step t of x (B, T, E), and of elapsed (B, T).
Floats slice(const Floats &all, int64_t B, int64_t T, int64_t E, int64_t t) {
  Floats out;
  for (int64_t b = 0; b < B; b++)
    out.insert(out.end(), all.begin() + (b * T + t) * E, all.begin() + (b * T + t + 1) * E);
  return out;
}

TEST_P(Lnn, TheStreamGivesWhatBatchModeGives) {
  const int64_t B = 2, T = 5, E = 3;
  for (const char *solver : {"exact", "euler", "midpoint", "heun", "rk4", "dopri5"}) {
    SCOPED_TRACE(solver);
    const EbbLnn model = small(E, solver, 3);
    Model net(model, B, T, false, GetParam());
    Stream stream = stream_of(net, model, B);
    const Floats x = random_tensor({B, T, E}, 3).floats, dt = random_tensor({B, T}, 4, 0.1, 1.2).floats;
    Floats y(size_t(B * 6));
    for (int64_t t = 0; t < T; t++)
      must(ebb_lnn_stream_step(stream.get(), slice(x, B, T, E, t).data(), slice(dt, B, T, 1, t).data(),
                               y.data()));
    EXPECT_EQ(ebb_lnn_stream_steps(stream.get()), T);
    expect_near(y, net.run(x, dt), 1e-5, "last step");
  }
}

TEST_P(Lnn, AStreamGoesOnFromASavedState) {
  const EbbLnn model = small(3, "exact");
  Model net(model, 1, 1, false, GetParam());
  Stream stream = stream_of(net, model, 1), other = stream_of(net, model, 1);
  const Floats x = random_tensor({4, 3}, 5).floats;
  Floats first(6), later(6), again(6);
  auto step = [&](Stream &s, size_t t, Floats &y) {
    must(ebb_lnn_stream_step(s.get(), &x[3 * t], nullptr, y.data()));
  };
  step(stream, 0, first), step(stream, 1, later);
  std::vector<unsigned char> state(ebb_lnn_stream_size(stream.get()));
  ebb_lnn_stream_save(stream.get(), state.data());
  step(stream, 2, later);
  ebb_lnn_stream_restore(other.get(), state.data());
  EXPECT_EQ(ebb_lnn_stream_steps(other.get()), 2);
  step(other, 2, again);
  EXPECT_EQ(again, later);
  ebb_lnn_stream_reset(stream.get());
  EXPECT_EQ(ebb_lnn_stream_steps(stream.get()), 0);
  step(stream, 0, again);
  EXPECT_EQ(again, first);
}

TEST(LnnErrors, NameWhatIsWrong) {
  EbbLnn model = small(3, "exact");
  EbbLnnStream *stream = nullptr;
  Model net(model, 1, 1, false, "cpu");
  EXPECT_EQ(ebb_lnn_stream_create(net.params, "net", &model, 0, &stream), EBB_INVALID);
  EXPECT_EQ(ebb_lnn_stream_create(net.params, "nowhere", &model, 1, &stream), EBB_STATE) << ebb_error();
  EXPECT_EQ(stream, nullptr);
  EbbLnn none = model;
  none.layers = 0;
  EXPECT_THROW(Model(none, 1, 1, false, "cpu"), std::runtime_error);
  EXPECT_NE(std::string(ebb_error()).find("0 layers"), std::string::npos);
}

} // namespace
