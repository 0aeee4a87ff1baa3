// Cells on a GPU against the CPU: every cell of the literature, and sizes around what shared memory holds.
#include "ebb/cells.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>

#include "ebb/ops/cell.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

using namespace ebb_test;

namespace {

using CellPointer = std::unique_ptr<EbbCell, void (*)(EbbCell *)>;
using Results = std::map<std::string, Floats>;

struct Case {
  std::string name;
  std::function<EbbStatus(EbbCell **)> make;
  int64_t B, T;
  bool state = false, elapsed = false, lengths = false;
  int64_t truncate = 0;
  double tolerance = 1e-4;
  bool approximate = false;
};

void PrintTo(const Case &c, std::ostream *out) { *out << c.name; }

// The op as a graph whose outputs y and states both get gradients.
class CellRun {
public:
  CellRun(const Case &c, const EbbCell *cell, const std::string &device) : c_(c), cell_(cell) {
    require(ebb_device_open(device.c_str(), 2, &device_));
    require(ebb_params_create(device_, &params_));
    require(ebb_graph_create(params_, nullptr, true, &graph_));
    add("x", random_tensor({c.B, c.T, cell->inputs}, 1), 1);
    if (c.state) add("state", random_tensor({c.B, cell->states}, 2), 2);
    if (c.elapsed) add("elapsed", random_tensor({c.B, c.T}, 3, 0.2, 1.5), 3);
    if (c.lengths) add("lengths", integer_tensor({c.B}, lengths()), 0);
    const EbbCellConfig config = {cell, c.state, c.elapsed, c.lengths, false, c.truncate, c.approximate};
    const int outputs = cell->rate.space == EBB_CELL_ABSENT ? 2 : 3;
    require(ebb_graph_apply(graph_, ebb_op_find("cell"), "node", &config, sizeof config, inputs_.data(),
                            int(inputs_.size()), outputs_, outputs));
    for (int i = 0; i < outputs; i++) require(ebb_graph_output(graph_, outputs_[i]));
    require(ebb_params_place(params_, 5));
    require(ebb_graph_init_params(graph_));
    require(ebb_graph_layout(graph_));
  }
  CellRun(const CellRun &) = delete;
  CellRun &operator=(const CellRun &) = delete;
  ~CellRun() {
    ebb_graph_destroy(graph_);
    ebb_params_destroy(params_);
    ebb_device_close(device_);
  }

  Results results() {
    Results r;
    const EbbRun run = {device_, true, 11, 2};
    for (size_t i = 0; i < inputs_.size(); i++)
      require(ebb_graph_write(graph_, inputs_[i],
                              tensors_[i].integers.empty()
                                  ? static_cast<const void *>(tensors_[i].floats.data())
                                  : tensors_[i].integers.data()));
    require(ebb_graph_forward(graph_, &run));
    const char *const names[] = {"y", "states", "rates"};
    for (int i = 0; i < (cell_->rate.space == EBB_CELL_ABSENT ? 2 : 3); i++) r[names[i]] = read(outputs_[i]);
    require(ebb_params_zero_grad(params_));
    for (int i = 0; i < 2; i++) {
      const Floats cotangent = random_tensor({int64_t(r[names[i]].size())}, 20 + uint64_t(i)).floats;
      require(ebb_graph_write_grad(graph_, outputs_[i], cotangent.data()));
    }
    require(ebb_graph_backward(graph_, &run));
    for (size_t i = 0; i < inputs_.size(); i++) {
      if (!tensors_[i].integers.empty()) continue;
      Floats &grad = r["d" + names_[i]];
      grad.resize(tensors_[i].floats.size());
      require(ebb_graph_read_grad(graph_, inputs_[i], grad.data()));
    }
    for (int i = 0; i < ebb_params_count(params_); i++) {
      const EbbParam *param = ebb_params_at(params_, i);
      if (param->spec.buffer) continue;
      Floats &grad = r[std::string("d") + param->name];
      grad.resize(size_t(param->size));
      require(
          ebb_device_read(device_, grad.data(), ebb_params_grad(params_, i), grad.size() * sizeof(float)));
    }
    return r;
  }

private:
  std::vector<int32_t> lengths() const {
    std::vector<int32_t> values;
    for (int64_t b = 0; b < c_.B; b++)
      values.push_back(int32_t(c_.T - b * c_.T / std::max<int64_t>(1, c_.B - 1)));
    return values;
  }
  void add(const std::string &name, Tensor tensor, uint64_t) {
    EbbValue value;
    const bool integer = !tensor.integers.empty();
    require(ebb_graph_input(graph_, name.c_str(), integer ? EBB_I32 : EBB_F32,
                            ebb_shape_from(int(tensor.shape.size()), tensor.shape.data()), !integer, &value));
    inputs_.push_back(value), tensors_.push_back(tensor), names_.push_back(name);
  }
  Floats read(EbbValue value) {
    const EbbShape shape = ebb_graph_shape(graph_, value);
    Floats floats(size_t(ebb_shape_size(&shape)));
    require(ebb_graph_read(graph_, value, floats.data()));
    return floats;
  }

  Case c_;
  const EbbCell *cell_;
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  std::vector<EbbValue> inputs_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> names_;
  EbbValue outputs_[3] = {EBB_NO_VALUE, EBB_NO_VALUE, EBB_NO_VALUE};
};

bool has_cuda() {
  const auto names = devices();
  return std::find(names.begin(), names.end(), "cuda") != names.end();
}

void compare(const Case &c) {
  SCOPED_TRACE(c.name);
  EbbCell *made = nullptr;
  require(c.make(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  const Results cpu = CellRun(c, cell.get(), "cpu").results();
  CellRun cuda(c, cell.get(), "cuda");
  const Results first = cuda.results(), again = cuda.results();
  ASSERT_EQ(cpu.size(), first.size());
  for (const auto &[name, expected] : cpu) {
    EXPECT_LT(relative_error(first.at(name), expected), c.tolerance) << name;
    EXPECT_EQ(first.at(name), again.at(name)) << name << " differs from run to run";
  }
}

// ---- programs ----

std::function<EbbStatus(EbbCell **)> ltc(int64_t I, int64_t H,
                                         std::function<void(EbbLtc &)> change = nullptr) {
  return [=](EbbCell **out) {
    EbbLtc config = ebb_ltc_defaults(I, H);
    if (change) change(config);
    return ebb_cell_ltc(&config, out);
  };
}

std::function<EbbStatus(EbbCell **)> cfc(int64_t I, int64_t H,
                                         std::function<void(EbbCfc &)> change = nullptr) {
  return [=](EbbCell **out) {
    EbbCfc config = ebb_cfc_defaults(I, H);
    config.backbone_units = 20;
    if (change) change(config);
    return ebb_cell_cfc(&config, out);
  };
}

// Every third synapse is missing.
std::function<EbbStatus(EbbCell **)> sparse_ltc(int64_t I, int64_t H) {
  return [=](EbbCell **out) {
    Floats exists(size_t(H * H)), polarity(size_t(H * H));
    for (size_t i = 0; i < exists.size(); i++) exists[i] = i % 3 ? 1 : 0, polarity[i] = i % 2 ? 1 : -1;
    EbbLtc config = ebb_ltc_defaults(I, H);
    config.wiring.exists = exists.data(), config.wiring.polarity = polarity.data();
    return ebb_cell_ltc(&config, out);
  };
}

std::function<EbbStatus(EbbCell **)> aaai(int64_t I, int64_t H) {
  return [=](EbbCell **out) {
    const EbbLtcAaai config = ebb_ltc_aaai_defaults(I, H);
    return ebb_cell_ltc_aaai(&config, out);
  };
}

// On the emulated device tanh has the least accuracy that the instruction promises.
TEST(ApproximateLtc, IsNearTheExactOneAndNotIt) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  for (const int64_t H : {16, 32, 40}) {
    EbbCell *made = nullptr;
    require(ltc(3, H)(&made));
    const CellPointer cell(made, ebb_cell_destroy);
    Case c = {"ltc", nullptr, 2, 6, true, true, true};
    const Results exact = CellRun(c, cell.get(), "cuda").results();
    c.approximate = true;
    const Results near = CellRun(c, cell.get(), "cuda").results();
    for (const auto &[name, expected] : exact)
      EXPECT_LT(relative_error(near.at(name), expected), 5e-3) << name;
    EXPECT_GT(relative_error(near.at("y"), exact.at("y")), 1e-7);
    EXPECT_LT(relative_error(near.at("y"), exact.at("y")), 5e-4);
  }
}

// What the kernels of LTC cells note of times and lengths.
TEST(LtcFaults, AreTheSentencesOfTheCpu) {
  EbbCell *made = nullptr;
  require(ltc(3, 9)(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  EbbCellConfig config = {};
  config.cell = made, config.has_elapsed = config.has_lengths = true;
  const Tensor x = random_tensor({2, 3, 3}, 1);
  const auto sentence = [&](float elapsed, int32_t length, const std::string &device) {
    OpRun run("cell", config, {x, {{2, 3}, {1, 1, 1, 1, elapsed, 1}}, integer_tensor({2}, {3, length})}, 2, 1,
              true, device);
    require(run.status);
    EXPECT_EQ(run.forward(), EBB_INVALID);
    return std::string(ebb_error());
  };
  for (const std::string &device : devices()) {
    EXPECT_NE(sentence(-1, 3, device).find("elapsed time -1 of row 1, step 1"), std::string::npos) << device;
    EXPECT_NE(sentence(1, 4, device).find("length 4 of row 1 is outside 0..3"), std::string::npos) << device;
  }
}

class Cells : public ::testing::TestWithParam<Case> {};

TEST_P(Cells, CudaGivesWhatTheCpuGives) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  compare(GetParam());
}

const Case kCases[] = {
    {"ltc", ltc(3, 9), 3, 5, true, true, true},
    {"ltc_16", ltc(2, 16, [](EbbLtc &c) { c.output_mapping = EBB_MAPPING_LINEAR; }), 2, 3, true, true, true},
    {"ltc_17", ltc(2, 17, [](EbbLtc &c) { c.motors = 3; }), 2, 3, true, true, false, 2},
    {"ltc_64", ltc(2, 64, [](EbbLtc &c) { c.output_mapping = EBB_MAPPING_NONE, c.unfolds = 1; }), 2, 2, true,
     true},
    {"ltc_65", ltc(2, 65), 2, 2, true, true},
    {"ltc_sparse", sparse_ltc(3, 19), 3, 4, true, true, true},
    {"ltc_aaai", aaai(3, 32), 3, 4, true, true, true},
    {"ltc_plain", ltc(1, 1), 1, 1},
    {"ltc_motors", ltc(5, 33, [](EbbLtc &c) { c.motors = 7, c.with_rate = true; }), 2, 4, false, true},
    {"ltc_memory", ltc(4, 12, [](EbbLtc &c) { c.mixed_memory = true; }), 3, 4, true, true, true},
    {"ltc_rk4", ltc(3, 8, [](EbbLtc &c) { c.solver = EBB_LTC_RK4, c.unfolds = 2; }), 2, 3, false, true},
    {"ltc_euler", ltc(3, 8, [](EbbLtc &c) { c.solver = EBB_LTC_EULER, c.unfolds = 3; }), 2, 3, false, true,
     true},
    {"cfc", cfc(3, 10), 4, 6, true, true, true},
    {"cfc_truncated", cfc(3, 10), 4, 7, true, true, true, 3},
    {"cfc_pure", cfc(3, 10, [](EbbCfc &c) { c.mode = EBB_CFC_PURE; }), 2, 3, true, true},
    {"cfc_no_gate", cfc(3, 10, [](EbbCfc &c) { c.mode = EBB_CFC_NO_GATE, c.proj_size = 4; }), 2, 3, true,
     true},
    {"cfc_memory", cfc(3, 34, [](EbbCfc &c) { c.mixed_memory = true, c.backbone_layers = 2; }), 2, 3, true,
     true},
    {"lstm", [](EbbCell **out) { return ebb_cell_lstm(5, 17, out); }, 3, 4, true, false, true},
    {"gru_ode", [](EbbCell **out) { return ebb_cell_gru_ode(5, 17, 3, out); }, 3, 4, true, true, true},
    {"esn",
     [](EbbCell **out) {
       const Floats W_in = random_tensor({7, 5}, 1).floats, W = random_tensor({7, 7}, 2).floats;
       const EbbEsn config = {5, 7, 0.4, W_in.data(), W.data()};
       return ebb_cell_esn(&config, out);
     },
     3, 4, true, false, true},
    {"liquid_time_step", [](EbbCell **out) { return ebb_cell_liquid_time_step(5, 17, out); }, 3, 4, true,
     true},
    {"ct_gru",
     [](EbbCell **out) {
       const EbbCtGru config = {4, 6, 8, false};
       return ebb_cell_ct_gru(&config, out);
     },
     3, 4, true, true, true},
    {"neural_ode",
     [](EbbCell **out) {
       EbbNeuralOde config = ebb_neural_ode_defaults(4, 11);
       config.unfolds = 2, config.clip = 0.6;
       return ebb_cell_neural_ode(&config, out);
     },
     3, 4, true, true, true},
    {"ctrnn",
     [](EbbCell **out) {
       EbbCtrnn config = ebb_ctrnn_defaults(4, 11);
       return ebb_cell_ctrnn(&config, out);
     },
     3, 4, true, false, true},
    {"ltc_vector",
     [](EbbCell **out) {
       EbbLtcVector config = ebb_ltc_vector_defaults(4, 11);
       config.with_rate = true;
       return ebb_cell_ltc_vector(&config, out);
     },
     3, 4, true, true, true},
    {"ltc_textgen",
     [](EbbCell **out) {
       EbbLtcTextgen config = ebb_ltc_textgen_defaults(11, 2);
       config.solver = EBB_TEXTGEN_SEMI_IMPLICIT;
       return ebb_cell_ltc_textgen(&config, out);
     },
     3, 4, true, true, true},
    {"wired_cfc",
     [](EbbCell **out) {
       EbbWiredCfc config = {};
       config.I = 4, config.n_layers = 3, config.units[0] = 6, config.units[1] = 5, config.units[2] = 2;
       return ebb_cell_wired_cfc(&config, out);
     },
     3, 4, true, true, true},
};

// h' = tanh(h w + x) elapsed on more neurons than shared memory has room for.
EbbStatus wide_cell(EbbCell **out) {
  const int64_t S = 20000;
  EbbCell *cell = nullptr;
  require(ebb_cell_create("wide", 2, &cell));
  const EbbCellRef h = ebb_cell_state(cell, S);
  EbbParamSpec spec = {};
  spec.name = "w", spec.shape = ebb_shape_from(1, &S);
  const Floats values = random_tensor({S}, 8).floats;
  const EbbCellRef w = ebb_cell_param(cell, &spec, EBB_CELL_SOFTPLUS_OF, values.data(), nullptr);
  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef x = ebb_cell_grouped(cell, EBB_CELL_REPEAT, S / 2, ebb_cell_x(cell));
  const EbbCellRef affine[] = {h, w, x};
  const EbbCellRef sum = ebb_cell_apply(cell, EBB_CELL_AFFINE, S, 3, affine);
  const EbbCellRef open[] = {ebb_cell_apply(cell, EBB_CELL_TANH, S, 1, &sum), ebb_cell_elapsed(cell)};
  ebb_cell_move(cell, h, ebb_cell_apply(cell, EBB_CELL_MULTIPLY, S, 2, open));
  *out = cell;
  return ebb_cell_finish(cell, h);
}

// Vectors, parameters and sums that shared memory does not hold; more samples than blocks; launches of
// backward one after the other.
const Case kSizes[] = {
    {"wide_vectors", wide_cell, 2, 2, true, true},
    {"many_repetitions",
     [](EbbCell **out) {
       EbbNeuralOde config = ebb_neural_ode_defaults(2, 40);
       config.unfolds = 1500, config.step = 1e-3, config.solver = "euler";
       return ebb_cell_neural_ode(&config, out);
     },
     1, 2},
    {"many_synapses", ltc(2, 150, [](EbbLtc &c) { c.unfolds = 2; }), 2, 2, true, true},
    {"many_samples", ltc(2, 3), 700, 2, true, true, true},
    {"many_samples_cfc", cfc(2, 3), 700, 2, true, true, true},
    // 6e-6 where products are not fused, as in debug builds.
    {"many_steps_ltc", ltc(1, 2), 1, 700, true, true, false, 0, 1e-5},
    {"many_steps",
     [](EbbCell **out) {
       EbbCtrnn config = ebb_ctrnn_defaults(1, 2);
       config.unfolds = 2;
       return ebb_cell_ctrnn(&config, out);
     },
     2, 530, true, false, true},
};

INSTANTIATE_TEST_SUITE_P(Sizes, Cells, ::testing::ValuesIn(kSizes),
                         [](const auto &test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(All, Cells, ::testing::ValuesIn(kCases),
                         [](const auto &test) { return test.param.name; });

} // namespace