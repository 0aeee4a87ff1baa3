// Cells whose steps run by tiles of samples: against the CPU in every precision, and when they do.
#include <cmath>
#include <cstdlib>

#include "host/ops/cell_gpu.h"
#include "support/cell_cases.h"

using namespace ebb_test;

namespace {

struct Mode {
  const char *name;
  EbbPrecision precision;
  int64_t B;
  // Of results and gradients against float32. Rounding an operand of a product costs 2^-12 (tf32) or 2^-9
  // (bf16) of it; steps and sub-steps carry that on. A wrong element shows as 0.1 and more.
  double tolerance;
};
const Mode kModes[] = {{"float32_one_sample", EBB_PRECISION_FLOAT32, 1, 5e-6},
                       {"float32_one_tile", EBB_PRECISION_FLOAT32, 8, 5e-6},
                       {"float32_one_more", EBB_PRECISION_FLOAT32, 9, 5e-6},
                       {"tf32", EBB_PRECISION_TF32, 13, 2e-3},
                       {"bf16", EBB_PRECISION_BF16, 13, 2e-2}};

// Slices that start anywhere, a transposed matrix, moves in all sections, groups, rates, x in a step, a
// parameter that a product multiplies.
EbbStatus everything(EbbCell **out) {
  const int64_t I = 21, H = 19;
  EbbCell *cell = nullptr;
  require(ebb_cell_create("everything", I, &cell));
  const auto param = [&](const char *name, std::vector<int64_t> shape, double low, double high) {
    EbbParamSpec spec = {};
    spec.name = name, spec.shape = ebb_shape_from(int(shape.size()), shape.data());
    spec.draw = EBB_DRAW_RANGE, spec.a = low, spec.b = high;
    return ebb_cell_param(cell, &spec, EBB_CELL_AS_IS, nullptr, nullptr);
  };
  const auto apply = [&](EbbCellCode code, std::vector<EbbCellRef> from) {
    return ebb_cell_apply(cell, code, from[0].width, int(from.size()), from.data());
  };
  const EbbCellRef x = ebb_cell_x(cell), h = ebb_cell_state(cell, H), c = ebb_cell_state(cell, 2 * H);
  const EbbCellRef Wt = param("Wt", {3 * H, 2 * H}, -0.3, 0.3), W = param("W", {H, H}, -0.5, 0.5),
                   Wp = param("Wp", {H, H}, -0.3, 0.3), p = param("p", {H}, 0.5, 1.5),
                   Wx = param("Wx", {2 * H, H}, -0.3, 0.3);
  const EbbCellRef elapsed = ebb_cell_elapsed(cell);

  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef driven = ebb_cell_linear(cell, ebb_cell_matrix(cell, Wx, 2 * H, H, false, 0, H),
                                            ebb_cell_slice(cell, x, 1, H), ebb_cell_absent());
  const EbbCellRef gates =
      ebb_cell_linear(cell, ebb_cell_matrix(cell, Wt, 2 * H, 3 * H, true, H, 2 * H), c, driven);
  const EbbCellRef soft = ebb_cell_grouped(cell, EBB_CELL_GROUP_SOFTMAX, 2, gates);
  const EbbCellRef constant =
      ebb_cell_linear(cell, ebb_cell_matrix(cell, Wp, H, H, false, 0, H), p, ebb_cell_absent());
  ebb_cell_move(cell, c, apply(EBB_CELL_ADD, {soft, c}));

  ebb_cell_begin(cell, EBB_CELL_BODY, 3);
  const EbbCellMatrix square = ebb_cell_matrix(cell, W, H, H, false, 0, H);
  const EbbCellRef first =
      ebb_cell_linear(cell, square, h, ebb_cell_grouped(cell, EBB_CELL_GROUP_SUM, 2, soft));
  const EbbCellRef second = ebb_cell_linear(cell, square, apply(EBB_CELL_TANH, {first}), constant);
  const EbbCellRef leak = apply(EBB_CELL_LEAK, {second, h, p});
  const double weights[] = {0.05, 0.2};
  const EbbCellRef terms[] = {leak, ebb_cell_slice(cell, c, 1, H)};
  ebb_cell_move(cell, h, ebb_cell_combine(cell, h, elapsed, 2, weights, terms));
  cell->rate = apply(EBB_CELL_VECTOR_RATE, {p, apply(EBB_CELL_SIGMOID, {first})}), cell->rate_limit = 2;

  ebb_cell_begin(cell, EBB_CELL_TAIL, 1);
  const EbbCellRef spread = ebb_cell_grouped(cell, EBB_CELL_REPEAT, 2, h);
  const EbbCellRef result = apply(EBB_CELL_TANH, {spread});
  ebb_cell_move(cell, c, apply(EBB_CELL_AFFINE, {c, ebb_cell_constant(0.25), result}));
  *out = cell;
  return ebb_cell_finish(cell, result);
}

std::vector<CellCase> tiled_cells() {
  std::vector<CellCase> cases = dense_cells();
  cases.push_back({"everything", everything, 3, 4, true, true, true, 2});
  cases.push_back(
      {"cfc_wide", cfc(5, 40, [](EbbCfc &c) { c.backbone_units = 130; }), 2, 3, true, true, true});
  return cases;
}

class Tiles : public ::testing::TestWithParam<std::tuple<CellCase, Mode>> {};

TEST_P(Tiles, GiveWhatTheCpuGives) {
  if (!has_cuda()) GTEST_SKIP() << "no CUDA device";
  CellCase c = std::get<0>(GetParam());
  const Mode mode = std::get<1>(GetParam());
  c.engine = EBB_CELL_BY_TILE, c.precision = mode.precision, c.B = mode.B, c.tolerance = mode.tolerance;
  compare_with_cpu(c);
}

INSTANTIATE_TEST_SUITE_P(All, Tiles,
                         ::testing::Combine(::testing::ValuesIn(tiled_cells()), ::testing::ValuesIn(kModes)),
                         [](const auto &test) {
                           return std::get<0>(test.param).name + "_" + std::get<1>(test.param).name;
                         });

} // namespace
