// The op `cell` on a device with all of its inputs and gradients, and the cells whose steps multiply
// matrices.
#ifndef EBB_TESTS_CELL_CASES_H
#define EBB_TESTS_CELL_CASES_H

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ebb/cells.h"
#include "ebb/ops/cell.h"
#include "support/has_cuda.h"
#include "support/node_run.h"
#include "support/op_check.h"
#include "support/op_run.h"

namespace ebb_test {

using MakeCell = std::function<EbbStatus(EbbCell **)>;
using CellPointer = std::unique_ptr<EbbCell, void (*)(EbbCell *)>;
using CellResults = std::map<std::string, Floats>;

struct CellCase {
  std::string name;
  MakeCell make;
  int64_t B, T;
  bool state = false, elapsed = false, lengths = false;
  int64_t truncate = 0;
  double tolerance = 1e-4;
  bool approximate = false;
  EbbCellEngine engine = EBB_CELL_BY_SIZE;
  EbbPrecision precision = EBB_PRECISION_FLOAT32;
};

inline void PrintTo(const CellCase &c, std::ostream *out) { *out << c.name; }

// The op as a graph whose outputs y and states both get gradients.
class CellRun {
public:
  CellRun(const CellCase &c, const EbbCell *cell, const std::string &device) : c_(c), cell_(cell) {
    require(ebb_device_open(device.c_str(), 2, &device_));
    ebb_device_set_precision(device_, c.precision);
    require(ebb_params_create(device_, &params_));
    require(ebb_graph_create(params_, nullptr, true, &graph_));
    add("x", random_tensor({c.B, c.T, cell->inputs}, 1), 1);
    if (c.state) add("state", random_tensor({c.B, cell->states}, 2), 2);
    if (c.elapsed) add("elapsed", random_tensor({c.B, c.T}, 3, 0.2, 1.5), 3);
    if (c.lengths) add("lengths", integer_tensor({c.B}, lengths()), 0);
    const EbbCellConfig config = {cell,  c.state,    c.elapsed,     c.lengths,
                                  false, c.truncate, c.approximate, c.engine};
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

  CellResults results() {
    CellResults r;
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

  CellCase c_;
  const EbbCell *cell_;
  EbbDevice *device_ = nullptr;
  EbbParams *params_ = nullptr;
  EbbGraph *graph_ = nullptr;
  std::vector<EbbValue> inputs_;
  std::vector<Tensor> tensors_;
  std::vector<std::string> names_;
  EbbValue outputs_[3] = {EBB_NO_VALUE, EBB_NO_VALUE, EBB_NO_VALUE};
};

inline void compare_with_cpu(const CellCase &c) {
  SCOPED_TRACE(c.name);
  EbbCell *made = nullptr;
  require(c.make(&made));
  const CellPointer cell(made, ebb_cell_destroy);
  const CellResults cpu = CellRun(c, cell.get(), "cpu").results();
  CellRun cuda(c, cell.get(), "cuda");
  const CellResults first = cuda.results(), again = cuda.results();
  ASSERT_EQ(cpu.size(), first.size());
  for (const auto &[name, expected] : cpu) {
    EXPECT_LT(relative_error(first.at(name), expected), c.tolerance) << name;
    EXPECT_EQ(first.at(name), again.at(name)) << name << " differs from run to run";
  }
}

inline MakeCell cfc(int64_t I, int64_t H, std::function<void(EbbCfc &)> change = nullptr) {
  return [=](EbbCell **out) {
    EbbCfc config = ebb_cfc_defaults(I, H);
    config.backbone_units = 20;
    if (change) change(config);
    return ebb_cell_cfc(&config, out);
  };
}

inline std::vector<CellCase> dense_cells() {
  return {
      {"cfc", cfc(3, 10), 4, 6, true, true, true},
      {"cfc_truncated", cfc(3, 10), 4, 7, true, true, true, 3},
      {"cfc_pure", cfc(3, 10, [](EbbCfc &c) { c.mode = EBB_CFC_PURE; }), 2, 3, true, true},
      {"cfc_no_gate", cfc(3, 10, [](EbbCfc &c) { c.mode = EBB_CFC_NO_GATE, c.proj_size = 4; }), 2, 3, true,
       true},
      {"cfc_memory", cfc(3, 34, [](EbbCfc &c) { c.mixed_memory = true, c.backbone_layers = 2; }), 2, 3, true,
       true},
      {"cfc_dropout",
       cfc(3, 10, [](EbbCfc &c) { c.mixed_memory = c.backbone_dropout = true, c.backbone_layers = 3; }), 4, 6,
       true, true, true, 4},
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
}

} // namespace ebb_test

#endif
