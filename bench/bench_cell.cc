// Recurrent cells: <cell>/<H>x<I>/<B>x<T>/forward|backward. Without EBB_BENCH_CELLS these are the sizes of
// the LTC paper's tasks and around; with it, the ones that it lists: EBB_BENCH_CELLS="ltc/64x32/16x128
// cfc/..." sparse: half of the synapses exist; cfc: a backbone of 128 units; autoncp: H/8 motor neurons, as
// ncps draws them. Gsyn/s counts each synapse of a sub-step once. The label says which kernels a GPU runs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>

#include "ebb/config.h"
#include "ebb/ops/cell.h"
#include "support/node.h"

extern "C" {
#include "host/models/cell_config.h"
#include "host/ops/cell_gpu.h"
}
#if EBB_WITH_CUDA
#include "host/device/cuda.h"
#endif

namespace {

using ebb_bench::Kind;
using ebb_bench::must;

struct CellKind {
  const char *name, *layer, *wiring;
  bool mixed_memory;
};
const CellKind kKinds[] = {{"ltc", "ltc", "", false},
                           {"sparse", "ltc", "random", false},
                           {"ltc_autoncp", "ltc", "autoncp", false},
                           {"ltc_mixed", "ltc", "", true},
                           {"cfc", "cfc", "", false},
                           {"wired_cfc", "wired_cfc", "autoncp", false},
                           {"cfc_mixed", "cfc", "", true},
                           {"lstm", "lstm", "", false}};
const char *const kCases =
    "ltc/32x32/16x32 ltc/32x32/1x32 ltc/32x32/64x32 ltc/32x5/16x16 ltc/128x32/16x32 sparse/32x32/16x32 "
    "sparse/32x32/1x32 ltc_autoncp/32x32/16x32 cfc/32x5/16x16 cfc/128x32/16x32 cfc/64x32/1024x32 "
    "lstm/32x32/16x32";

struct Row {
  const CellKind *kind;
  int H, I, B, T;
};

Row row_of(const std::string &text) {
  const size_t slash = text.find('/');
  Row row = {};
  for (const CellKind &kind : kKinds)
    if (text.substr(0, slash) == kind.name) row.kind = &kind;
  const bool read = slash != std::string::npos &&
                    std::sscanf(text.c_str() + slash, "/%dx%d/%dx%d", &row.H, &row.I, &row.B, &row.T) == 4;
  if (!row.kind || !read || row.H < 1 || row.I < 1 || row.B < 1 || row.T < 1)
    throw std::runtime_error("EBB_BENCH_CELLS: '" + text + "' is no <cell>/<H>x<I>/<B>x<T>");
  return row;
}

std::string wiring_text(const Row &row) {
  const std::string units = std::to_string(row.H), kind = row.kind->wiring;
  if (kind == "random") return "random(units=" + units + ", motors=" + units + ", sparsity=0.5)";
  if (kind == "autoncp")
    return "autoncp(units=" + units + ", motors=" + std::to_string(std::max(row.H / 8, 1)) + ")";
  return "null";
}

struct Deleter {
  void operator()(EbbConfig *config) const { ebb_config_destroy(config); }
  void operator()(EbbCell *cell) const { ebb_cell_destroy(cell); }
};

std::unique_ptr<EbbCell, Deleter> make_cell(const Row &row) {
  EbbConfig *created = nullptr;
  must(ebb_config_create(&created));
  const std::unique_ptr<EbbConfig, Deleter> config(created);
  const std::string layer = "model.layer.";
  for (const std::string &assignment :
       {"model.d_model=" + std::to_string(row.H), layer + "_name_=" + row.kind->layer,
        layer + "wiring=" + wiring_text(row),
        layer + "mixed_memory=" + (row.kind->mixed_memory ? "true" : "false")})
    must(ebb_config_override(config.get(), assignment.c_str()));
  EbbCell *cell = nullptr;
  must(ebb_cell_from_config(config.get(), row.I, &cell));
  return std::unique_ptr<EbbCell, Deleter>(cell);
}

#if EBB_WITH_CUDA
std::string kernels_of(EbbCell &cell, int64_t B, bool backward) {
  if (!ebb_bench::on_gpu()) return "";
  const EbbDevice *device = ebb_bench::device();
  const EbbCellGpu gpu = {ebb_cuda_multiprocessors(device),
                          ebb_cuda_shared_limit(device) / int64_t(sizeof(float)), ebb_cuda_precision(device)};
  EbbCellArgs args = {};
  args.cell = &cell, args.B = B, args.S = cell.states;
  const auto writer = std::make_unique<EbbCellWriter>();
  must(ebb_cell_writer_begin(writer.get(), &cell, &args.cuda));
  ebb_cell_writer_end(writer.get());
  if (args.cuda.ltc.H) return "ltc";
  const char *why_not = ebb_cell_tile_refusal(&args, &gpu, backward);
  if (why_not) return std::string("sample a block: ") + why_not;
  const int away = args.cuda.tiling.blocks - ebb_cell_tile_places(&args, &gpu, backward).resident;
  return "tiles, " + std::to_string(away) + " of " + std::to_string(args.cuda.tiling.blocks) +
         " blocks of weights off chip";
}
#else
std::string kernels_of(EbbCell &, int64_t, bool) { return ""; }
#endif

void bench_cell(benchmark::State &state, const Row &row, bool backward) {
  const auto cell = make_cell(row);
  EbbCellConfig config = {};
  config.cell = cell.get();
  ebb_bench::Node node("cell", config, {{Kind::kKernel, {row.B, row.T, row.I}}}, backward, 2);
  const double seconds = node.time(state);
  double synapses = 0;
  for (int t = 0; t < cell->n_tables; t++) synapses += cell->table[t].count * (t ? 1.0 : cell->repeat);
  state.SetLabel(kernels_of(*cell, row.B, backward));
  if (cell->n_tables) state.counters["Gsyn/s"] = synapses * row.B * row.T / seconds * 1e-9;
}

} // namespace

void ebb_bench::register_benches() {
  const char *chosen = std::getenv("EBB_BENCH_CELLS");
  std::istringstream cases(chosen ? chosen : kCases);
  for (std::string text; cases >> text;) {
    const Row row = row_of(text);
    for (const bool backward : {false, true})
      add(text + (backward ? "/backward" : "/forward"),
          [row, backward](benchmark::State &state) { bench_cell(state, row, backward); });
  }
}
