// The op `cell` on a graph of its own, for tests.
#ifndef EBB_TESTS_CELL_RUN_H
#define EBB_TESTS_CELL_RUN_H

#include <map>
#include <string>

#include "ebb/ops/cell.h"
#include "support/op_run.h"

namespace ebb_test {

// Which inputs follow x.
struct CellInputs {
  bool state = false, elapsed = false, lengths = false;
};

inline EbbCellConfig config_of(const EbbCell *cell, const CellInputs &with = {}) {
  EbbCellConfig config = {};
  config.cell = cell, config.has_state = with.state, config.has_elapsed = with.elapsed,
  config.has_lengths = with.lengths;
  return config;
}

inline std::map<std::string, Floats> params_of(OpRun &run, const EbbCell *cell) {
  std::map<std::string, Floats> param;
  for (int p = 0; p < cell->n_params; p++)
    if (!cell->param[p].constant) param[cell->param[p].name] = run.param(cell->param[p].name);
  return param;
}

inline int outputs_of(const EbbCell *cell) { return cell->rate.width ? 3 : 2; }

} // namespace ebb_test

#endif
