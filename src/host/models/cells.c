#include "host/models/cells.h"

#include <stdio.h>
#include <stdlib.h>

#include "ebb/ops/cell.h"
#include "host/models/cell_config.h"

static EbbStatus fill(const EbbConfig *config, int64_t d_input, EbbCells *cells) {
  const int64_t layers = ebb_config_integer(config, "model.n_layers");
  cells->cell = calloc((size_t)layers, sizeof(EbbCell *));
  if (!cells->cell) return ebb_fail(EBB_MEMORY, "no memory for %lld cells", (long long)layers);
  EbbUnstable unstable;
  EBB_TRY(ebb_unstable_from_config(config, &unstable));
  cells->unstable_fails = unstable == EBB_UNSTABLE_ERROR, cells->watched = unstable == EBB_UNSTABLE_WARN;
  cells->approximate = ebb_config_flag(config, "model.layer.approximate");
  cells->truncate = ebb_config_integer(config, "trainer.truncated_bptt_steps");
  for (int64_t i = 0, inputs = d_input; i < layers; i++) {
    EBB_TRY(ebb_cell_of_layer(config, i, inputs, &cells->cell[i]));
    cells->n = i + 1;
    inputs = cells->cell[i]->output.width;
  }
  return EBB_OK;
}

EbbStatus ebb_cells_from_config(const EbbConfig *config, int64_t d_input, EbbCells **out) {
  *out = NULL;
  EbbCells *cells = calloc(1, sizeof *cells);
  if (!cells) return ebb_fail(EBB_MEMORY, "no memory for a stack of cells");
  EbbStatus status = fill(config, d_input, cells);
  if (status == EBB_OK)
    *out = cells;
  else
    ebb_cells_destroy(cells);
  return status;
}

void ebb_cells_destroy(EbbCells *cells) {
  if (!cells) return;
  for (int64_t i = 0; i < cells->n; i++) ebb_cell_destroy(cells->cell[i]);
  free((void *)cells->cell);
  free(cells);
}

int64_t ebb_cells_outputs(const EbbCells *cells) { return cells->cell[cells->n - 1]->output.width; }

static EbbStatus record_layer(EbbGraph *graph, const EbbCells *cells, int64_t i, EbbValue elapsed,
                              EbbValue lengths, EbbRates *rates, EbbValue *x) {
  const EbbCell *cell = cells->cell[i];
  const EbbCellConfig config = {.cell = cell,
                                .has_elapsed = elapsed != EBB_NO_VALUE,
                                .has_lengths = lengths != EBB_NO_VALUE,
                                .unstable_fails = cells->unstable_fails && cell->rate_limit > 0,
                                .approximate = cells->approximate,
                                .truncate = cells->truncate};
  EbbValue inputs[3] = {*x}, outputs[3];
  int n = 1;
  if (config.has_elapsed) inputs[n++] = elapsed;
  if (config.has_lengths) inputs[n++] = lengths;
  char scope[64];
  snprintf(scope, sizeof scope, "layers.%lld.layer", (long long)i);
  EBB_TRY(ebb_graph_apply(graph, &ebb_cell_op, scope, &config, sizeof config, inputs, n, outputs,
                          cell->rate.width ? 3 : 2));
  *x = outputs[0];
  if (!cells->watched || cell->rate_limit <= 0) return EBB_OK;
  rates->met[rates->n++] = outputs[2], rates->limit = cell->rate_limit;
  return ebb_graph_output(graph, outputs[2]);
}

EbbStatus ebb_cells_record(EbbGraph *graph, const EbbCells *cells, EbbValue x, EbbValue elapsed,
                           EbbValue lengths, EbbRates *rates, EbbValue *y) {
  for (int64_t i = 0; i < cells->n; i++) EBB_TRY(record_layer(graph, cells, i, elapsed, lengths, rates, &x));
  *y = x;
  return EBB_OK;
}
