// Recurrent cells forward, and forward and backward, at the sizes of the LTC paper's tasks.
// ltc/<H>x<I>/<B>x<T>; sparse: half of the synapses exist; cfc: a backbone of 128 units. Gsyn/s counts each
// synapse of a sub-step once.
#include <memory>
#include <string>
#include <vector>

#include "ebb/cells.h"
#include "ebb/ops/cell.h"
#include "support/node.h"

namespace {

using ebb_bench::Kind;
using ebb_bench::must;

struct CellDeleter {
  void operator()(EbbCell *cell) const { ebb_cell_destroy(cell); }
};
using CellPtr = std::unique_ptr<EbbCell, CellDeleter>;

struct Row {
  const char *name;
  int64_t H, I, B, T;
};
const Row kRows[] = {{"ltc", 32, 32, 16, 32},   {"ltc", 32, 32, 1, 32},   {"ltc", 32, 32, 64, 32},
                     {"ltc", 32, 5, 16, 16},    {"ltc", 128, 32, 16, 32}, {"sparse", 32, 32, 16, 32},
                     {"sparse", 32, 32, 1, 32}, {"cfc", 32, 5, 16, 16},   {"cfc", 128, 32, 16, 32}};

CellPtr make_ltc(const Row &row, bool sparse) {
  EbbLtc ltc = ebb_ltc_defaults(row.I, row.H);
  std::vector<float> exists(size_t(row.H * row.H)), sensory(size_t(row.I * row.H));
  for (size_t i = 0; i < exists.size(); i++) exists[i] = float(i * 2654435761U >> 7 & 1);
  for (size_t i = 0; i < sensory.size(); i++) sensory[i] = float(i * 2654435761U >> 9 & 1);
  if (sparse) ltc.wiring.exists = exists.data(), ltc.wiring.sensory_exists = sensory.data();
  EbbCell *cell = nullptr;
  must(ebb_cell_ltc(&ltc, &cell));
  return CellPtr(cell);
}

CellPtr make_cell(const Row &row) {
  if (std::string(row.name) != "cfc") return make_ltc(row, std::string(row.name) == "sparse");
  const EbbCfc cfc = ebb_cfc_defaults(row.I, row.H);
  EbbCell *cell = nullptr;
  must(ebb_cell_cfc(&cfc, &cell));
  return CellPtr(cell);
}

void bench_cell(benchmark::State &state, const Row &row, bool backward) {
  const CellPtr cell = make_cell(row);
  EbbCellConfig config = {};
  config.cell = cell.get();
  ebb_bench::Node node("cell", config, {{Kind::kKernel, {row.B, row.T, row.I}}}, backward, 2);
  const double seconds = node.time(state);
  double synapses = 0;
  for (int t = 0; t < cell->n_tables; t++) synapses += cell->table[t].count * (t ? 1.0 : cell->repeat);
  if (cell->n_tables) state.counters["Gsyn/s"] = synapses * double(row.B * row.T) / seconds * 1e-9;
}

} // namespace

void ebb_bench::register_benches() {
  for (const Row &row : kRows)
    for (const bool backward : {false, true}) {
      const std::string name = std::string(row.name) + "/" + std::to_string(row.H) + "x" +
                               std::to_string(row.I) + "/" + std::to_string(row.B) + "x" +
                               std::to_string(row.T) + (backward ? "/backward" : "/forward");
      add(name, [row, backward](benchmark::State &state) { bench_cell(state, row, backward); });
    }
}
