// Small programs that together use everything that cells can do.
#ifndef EBB_TESTS_CELL_PROGRAMS_H
#define EBB_TESTS_CELL_PROGRAMS_H

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ebb/cell.h"
#include "ebb/rng.h"

namespace ebb_test {

struct CellDeleter {
  void operator()(EbbCell *cell) const { ebb_cell_destroy(cell); }
};
using CellPtr = std::unique_ptr<EbbCell, CellDeleter>;

// Writes a program bit by bit.
class CellWriter {
public:
  CellWriter(const char *name, int64_t I) {
    EbbCell *made = nullptr;
    if (ebb_cell_create(name, I, &made) != EBB_OK) throw std::runtime_error(ebb_error());
    cell.reset(made);
  }
  EbbCellRef param(const std::string &name, std::vector<int64_t> shape, double low, double high,
                   EbbCellMap map = EBB_CELL_AS_IS, const float *mask = nullptr) {
    EbbParamSpec spec = {};
    spec.name = name.c_str(), spec.shape = ebb_shape_from(int(shape.size()), shape.data());
    spec.draw = EBB_DRAW_RANGE, spec.a = low, spec.b = high;
    return ebb_cell_param(cell.get(), &spec, map, nullptr, mask);
  }
  EbbCellRef apply(EbbCellCode code, const std::vector<EbbCellRef> &from) {
    int64_t width = 0;
    for (const EbbCellRef &ref : from) width = ref.width ? ref.width : width;
    return ebb_cell_apply(cell.get(), code, width, int(from.size()), from.data());
  }
  EbbCellRef linear(EbbCellRef weight, int64_t outputs, int64_t inputs, bool transposed, EbbCellRef from,
                    EbbCellRef add = ebb_cell_absent(), int64_t first = 0) {
    const EbbCellMatrix m =
        ebb_cell_matrix(cell.get(), weight, outputs, inputs, transposed, first, from.width);
    return ebb_cell_linear(cell.get(), m, from, add);
  }
  EbbCellRef synapses(const std::string &prefix, int64_t sources, int64_t targets, const float *exists,
                      EbbCellRef from, EbbCellRef add = ebb_cell_absent()) {
    const EbbCellRef w = param(prefix + "w", {sources, targets}, 0.1, 1, EBB_CELL_SOFTPLUS_OF),
                     sigma = param(prefix + "sigma", {sources, targets}, 1, 3),
                     mu = param(prefix + "mu", {sources, targets}, -0.5, 0.5),
                     erev = param(prefix + "erev", {sources, targets}, -1, 1);
    const int table = ebb_cell_synapses(cell.get(), w, sigma, mu, erev, sources, targets, exists);
    return ebb_cell_synapse_sums(cell.get(), table, from, add);
  }
  EbbCellRef slice(EbbCellRef ref, int64_t from, int64_t width) {
    return ebb_cell_slice(cell.get(), ref, from, width);
  }
  CellPtr finish(EbbCellRef output) {
    if (ebb_cell_finish(cell.get(), output) != EBB_OK) throw std::runtime_error(ebb_error());
    return std::move(cell);
  }
  CellPtr cell;
};

// 0 and 1, about `density` ones.
inline std::vector<float> connections(int64_t size, double density, uint64_t stream) {
  std::vector<float> exists;
  for (int64_t i = 0; i < size; i++)
    exists.push_back(ebb_unit_double(ebb_random(3, stream, 0, uint64_t(i))) < density ? 1.0F : 0.0F);
  return exists;
}

// One formula in all sections that can hold it; operands: the state (or x), x, parameters, elapsed time and a
// constant in turn, all positive, so that nothing is divided by 0. y = h' = h / 2 + sigmoid(formula).
inline CellPtr formula_cell(EbbCellCode code, int64_t H, int64_t repeat = 2) {
  CellWriter w("formula", H);
  EbbCell *cell = w.cell.get();
  const EbbCellRef x = ebb_cell_x(cell), h = ebb_cell_state(cell, H), elapsed = ebb_cell_elapsed(cell);
  const EbbCellRef p = w.param("p", {H}, 0.5, 1.5), q = w.param("q", {H}, 0.5, 1.5),
                   two = w.param("two", {2 * H}, 0.5, 1.5);
  const auto operands = [&](EbbCellRef first) {
    const EbbCellRef all[] = {
        first, x, p, q, elapsed, w.slice(two, H, H), elapsed, ebb_cell_constant(0.5F), w.slice(two, 0, H)};
    std::vector<EbbCellRef> from(all, all + ebb_cell_code_operands(code));
    if (code == EBB_CELL_CLAMP) from = {first, ebb_cell_constant(0.7F), ebb_cell_constant(5)};
    // Elements alternate between the two sides of the limit, far from it.
    if (code == EBB_CELL_WITHIN) from[2] = x, from[3] = from[4] = from[5] = ebb_cell_constant(1);
    return from;
  };
  const EbbCellRef before = w.apply(code, operands(x));
  ebb_cell_begin(cell, EBB_CELL_BODY, repeat);
  const EbbCellRef sum = w.apply(EBB_CELL_ADD, {w.apply(code, operands(h)), before});
  const EbbCellRef next =
      w.apply(EBB_CELL_AFFINE, {h, ebb_cell_constant(0.5F), w.apply(EBB_CELL_SIGMOID, {sum})});
  ebb_cell_move(cell, h, next);
  return w.finish(h);
}

// All sections, all motions, two states, maps, masks, constants, slices; rates of a solver with BODY's steps.
inline CellPtr sections_cell(int64_t I, int64_t H, EbbCellSpace output = EBB_CELL_TEMP) {
  CellWriter w("sections", I);
  EbbCell *cell = w.cell.get();
  const std::vector<float> mask = connections(H * H, 0.6, 1), sparse = connections(H * H, 0.5, 2),
                           sensory = connections(I * H, 0.7, 3), third(size_t(2 * H), 0.25F);
  const EbbCellRef x = ebb_cell_x(cell), h = ebb_cell_state(cell, H), c = ebb_cell_state(cell, 2 * H);
  const EbbCellRef elapsed = ebb_cell_elapsed(cell);
  const EbbCellRef Wx = w.param("Wx", {2 * H, I}, -0.5, 0.5), b = w.param("b", {2 * H}, -0.5, 0.5);
  const EbbCellRef Wh = w.param("Wh", {H, H}, -0.5, 0.5, EBB_CELL_AS_IS, mask.data());
  const EbbCellRef Wt = w.param("Wt", {3 * H, 2 * H}, -0.3, 0.3);
  const EbbCellRef tau = w.param("tau", {H}, -1, 1, EBB_CELL_SOFTPLUS_OF);
  const EbbCellRef quarter = ebb_cell_constants(cell, third.data(), 2 * H);
  const EbbCellRef drive = w.linear(Wx, 2 * H, I, false, x, b);
  const EbbCellRef timed = w.apply(EBB_CELL_MULTIPLY, {drive, elapsed});
  const EbbCellRef sense = w.synapses("sensory_", I, H, sensory.data(), x);

  ebb_cell_begin(cell, EBB_CELL_STEP, 1);
  const EbbCellRef gates = w.linear(Wt, 2 * H, 3 * H, true, c, timed, H);
  const EbbCellRef soft = ebb_cell_grouped(cell, EBB_CELL_GROUP_SOFTMAX, 2, gates);
  ebb_cell_move(cell, c, w.apply(EBB_CELL_ADD, {w.apply(EBB_CELL_MULTIPLY, {soft, quarter}), c}));

  ebb_cell_begin(cell, EBB_CELL_BODY, 3);
  const EbbCellRef sums = w.synapses("", H, H, sparse.data(), h, sense);
  const EbbCellRef mixed = w.linear(Wh, H, H, false, h, ebb_cell_grouped(cell, EBB_CELL_GROUP_SUM, 2, soft));
  const EbbCellRef slope =
      w.apply(EBB_CELL_SUBTRACT, {w.slice(sums, 0, H), w.apply(EBB_CELL_MULTIPLY, {w.slice(sums, H, H), h})});
  const EbbCellRef leak =
      w.apply(EBB_CELL_LEAK, {mixed, h, w.apply(EBB_CELL_ADD, {tau, ebb_cell_constant(1)})});
  const double weights[] = {0.05, 0.3, 0.2};
  const EbbCellRef terms[] = {slope, leak, w.slice(c, 1, H)};
  ebb_cell_move(cell, h, ebb_cell_combine(cell, h, elapsed, 3, weights, terms));
  cell->rate = w.apply(EBB_CELL_VECTOR_RATE, {tau, w.slice(sums, H, H)}), cell->rate_limit = 2;

  ebb_cell_begin(cell, EBB_CELL_TAIL, 1);
  const EbbCellRef spread = ebb_cell_grouped(cell, EBB_CELL_REPEAT, 2, h);
  const double one[] = {0.5};
  const EbbCellRef out = w.apply(
      EBB_CELL_TANH, {ebb_cell_combine(cell, ebb_cell_absent(), ebb_cell_constant(2), 1, one, &spread)});
  ebb_cell_move(cell, c, w.apply(EBB_CELL_AFFINE, {c, quarter, out}));
  if (I >= H) ebb_cell_move(cell, h, w.apply(EBB_CELL_ADD, {h, w.slice(x, I - H, H)}));
  return w.finish(output == EBB_CELL_TEMP ? out : output == EBB_CELL_SEQ ? drive : h);
}

} // namespace ebb_test

#endif
