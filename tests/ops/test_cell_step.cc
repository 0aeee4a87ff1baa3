#include "host/ops/cell_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ebb/cells.h"
#include "support/cell_programs.h"
#include "support/cell_run.h"

namespace {

using ebb_test::CellPtr;
using ebb_test::config_of;
using ebb_test::Floats;
using ebb_test::formula_cell;
using ebb_test::OpRun;
using ebb_test::outputs_of;
using ebb_test::params_of;
using ebb_test::random_tensor;
using ebb_test::sections_cell;
using ebb_test::Tensor;

struct StepperDeleter {
  void operator()(EbbCellStepper *stepper) const { ebb_cell_stepper_destroy(stepper); }
};
using StepperPtr = std::unique_ptr<EbbCellStepper, StepperDeleter>;

// One parameter set on a device of its own.
class Parameters {
public:
  Parameters(const EbbCell *cell, OpRun &run, const std::string &scope) {
    must(ebb_device_open("cpu", 1, &device_));
    must(ebb_params_create(device_, &params));
    int index = -1;
    for (int p = 0; p < cell->n_params; p++)
      if (!cell->param[p].constant)
        must(ebb_params_declare(params, scope.c_str(), &cell->param[p].spec, &index));
    must(ebb_params_place(params, 1));
    for (const auto &[name, value] : params_of(run, cell))
      must(ebb_params_write(params, (scope + "." + name).c_str(), value.data(), int64_t(value.size())));
  }
  Parameters(const Parameters &) = delete;
  Parameters &operator=(const Parameters &) = delete;
  ~Parameters() {
    ebb_params_destroy(params);
    ebb_device_close(device_);
  }
  EbbParams *params = nullptr;

private:
  static void must(EbbStatus status) {
    if (status != EBB_OK) throw std::runtime_error(ebb_error());
  }
  EbbDevice *device_ = nullptr;
};

Floats column(const Floats &all, size_t B, size_t T, size_t width, size_t t) {
  Floats rows;
  for (size_t b = 0; b < B; b++) {
    const auto from = all.begin() + long((b * T + t) * width);
    rows.insert(rows.end(), from, from + long(width));
  }
  return rows;
}

void stream(const EbbCell *cell, size_t B, size_t T) {
  SCOPED_TRACE(std::string(cell->name) + ", B " + std::to_string(B));
  const size_t I = size_t(cell->inputs), S = size_t(cell->states), O = size_t(cell->output.width);
  const Tensor x = random_tensor({int64_t(B), int64_t(T), cell->inputs}, 1),
               state = random_tensor({int64_t(B), cell->states}, 2),
               elapsed = random_tensor({int64_t(B), int64_t(T)}, 3, 0, 1);
  OpRun run("cell", config_of(cell, {true, true, false}), {x, state, elapsed}, outputs_of(cell), 2);
  ASSERT_EQ(run.forward(), EBB_OK) << ebb_error();
  const Parameters parameters(cell, run, "cell");
  EbbCellStepper *made = nullptr;
  ASSERT_EQ(ebb_cell_stepper_create(cell, parameters.params, "cell", int64_t(B), &made), EBB_OK)
      << ebb_error();
  const StepperPtr stepper(made);
  Floats now = state.floats, y(B * O), rate(B * size_t(cell->rate.width)), most(B);
  for (size_t t = 0; t < T; t++) {
    const Floats in = column(x.floats, B, T, I, t), times = column(elapsed.floats, B, T, 1, t);
    ASSERT_EQ(ebb_cell_stepper_step(made, in.data(), times.data(), now.data(), y.data(), rate.data()),
              EBB_OK);
    EXPECT_EQ(y, column(run.output(0), B, T, O, t)) << "step " << t;
    EXPECT_EQ(now, column(run.output(1), B, T, S, t)) << "step " << t;
    for (size_t b = 0; b < B && !rate.empty(); b++)
      for (size_t u = 0; u < size_t(cell->rate.width); u++)
        most[b] = std::fmax(most[b], rate[b * size_t(cell->rate.width) + u] * times[b] / float(cell->repeat));
  }
  // A sequence's largest is at least that of its last sub-steps.
  for (size_t b = 0; b < B && !rate.empty(); b++) EXPECT_GE(run.output(2)[b], most[b] * (1 - 1e-6F));
}

TEST(CellStepper, SameBitsAsTheSequence) {
  for (const size_t B : {1, 2, 3, 5, 16, 17, 33}) {
    stream(sections_cell(9, 7).get(), B, 9);
    EbbCfc cfc = ebb_cfc_defaults(3, 11);
    EbbCell *made = nullptr;
    ASSERT_EQ(ebb_cell_cfc(&cfc, &made), EBB_OK);
    stream(CellPtr(made).get(), B, 4);
  }
  stream(sections_cell(3, 4).get(), 1, 135);
}

TEST(CellStepper, SaysWhatIsWrong) {
  const CellPtr cell = formula_cell(EBB_CELL_ADD, 3);
  OpRun run("cell", config_of(cell.get()), {random_tensor({1, 1, 3}, 1)}, 2);
  const Parameters parameters(cell.get(), run, "cell");
  EbbCellStepper *made = nullptr;
  EXPECT_EQ(ebb_cell_stepper_create(cell.get(), parameters.params, "cell", 0, &made), EBB_INVALID);
  EXPECT_EQ(ebb_cell_stepper_create(cell.get(), parameters.params, "other", 1, &made), EBB_NOT_FOUND);
  EXPECT_EQ(made, nullptr);
  ASSERT_EQ(ebb_cell_stepper_create(cell.get(), parameters.params, "cell", 1, &made), EBB_OK);
  const StepperPtr stepper(made);
  Floats x(3), state(3), y(3);
  const float elapsed = -1;
  EXPECT_EQ(ebb_cell_stepper_step(made, x.data(), &elapsed, state.data(), y.data(), nullptr), EBB_INVALID);
}

} // namespace
