#include "host/models/cells.h"

#include <stdio.h>
#include <stdlib.h>

#include "ebb/ops/cell.h"
#include "ebb/ops/dropout_columns.h"
#include "ebb/ops/join.h"
#include "ebb/ops/residual.h"
#include "ebb/ops/reverse.h"
#include "host/models/cell_config.h"

static EbbStatus allocate(const EbbConfig *config, int64_t layers, EbbCells *cells) {
  const bool both = ebb_config_flag(config, "model.layer.bidirectional");
  cells->cell = calloc((size_t)layers, sizeof(EbbCell *));
  cells->dropped = calloc((size_t)layers, sizeof(EbbCell *));
  if (both) cells->backwards = calloc((size_t)layers, sizeof(EbbCell *));
  if (cells->cell && cells->dropped && (cells->backwards || !both)) return EBB_OK;
  return ebb_fail(EBB_MEMORY, "no memory for %lld cells", (long long)layers);
}

/* Features that a layer gives to the next one. */
static int64_t width_of(const EbbCells *cells, int64_t i) {
  return cells->cell[i]->output.width + (cells->backwards ? cells->backwards[i]->output.width : 0);
}

static EbbStatus fill(const EbbConfig *config, int64_t d_input, EbbCells *cells) {
  const int64_t layers = ebb_config_integer(config, "model.n_layers");
  EBB_TRY(allocate(config, layers, cells));
  EbbUnstable unstable;
  EBB_TRY(ebb_unstable_from_config(config, &unstable));
  cells->unstable_fails = unstable == EBB_UNSTABLE_ERROR, cells->watched = unstable == EBB_UNSTABLE_WARN;
  cells->approximate = ebb_config_flag(config, "model.layer.approximate");
  cells->truncate = ebb_config_integer(config, "trainer.truncated_bptt_steps");
  cells->dropout = ebb_config_number(config, "model.dropout");
  cells->inner_dropout = ebb_config_number(config, "model.layer.backbone_dropout");
  for (int64_t i = 0, inputs = d_input; i < layers; i++) {
    EBB_TRY(ebb_cell_of_layer(config, i, inputs, &cells->cell[i]));
    cells->n = i + 1;
    if (cells->backwards) EBB_TRY(ebb_cell_of_layer(config, layers + i, inputs, &cells->backwards[i]));
    EBB_TRY(ebb_cell_with_dropout(config, inputs, &cells->dropped[i]));
    inputs = width_of(cells, i);
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
  for (int64_t i = 0; i < cells->n; i++) {
    ebb_cell_destroy(cells->cell[i]);
    if (cells->backwards) ebb_cell_destroy(cells->backwards[i]);
    ebb_cell_destroy(cells->dropped[i]);
  }
  free((void *)cells->cell);
  free((void *)cells->backwards);
  free((void *)cells->dropped);
  free(cells);
}

int64_t ebb_cells_outputs(const EbbCells *cells) { return width_of(cells, cells->n - 1); }

/* A stack in a graph: what all its layers share. */
typedef struct Stack {
  EbbGraph *graph;
  const EbbCells *cells;
  EbbValue lengths, elapsed[2]; /* elapsed: of both directions */
  EbbRates *rates;
  int layer; /* the present one */
} Stack;

static EbbStatus turn(const Stack *stack, const char *scope, bool intervals, EbbValue x, EbbValue *y) {
  const EbbReverseConfig config = {.intervals = intervals};
  const EbbValue inputs[] = {x, stack->lengths};
  return ebb_graph_apply(stack->graph, &ebb_reverse_op, scope, &config, sizeof config, inputs, 2, y, 1);
}

/* Puts the factors of dropout inside of the cell behind x, and in its place the cell that reads them. */
static EbbStatus add_dropout(const Stack *stack, const char *scope, const EbbCell **cell, EbbValue *x) {
  const EbbCell *dropped = stack->cells->dropped ? stack->cells->dropped[stack->layer] : NULL;
  if (!dropped) return EBB_OK;
  const EbbDropoutColumnsConfig config = {.columns = dropped->inputs - (*cell)->inputs,
                                          .dropout = stack->cells->inner_dropout};
  *cell = dropped;
  return ebb_graph_apply(stack->graph, &ebb_dropout_columns_op, scope, &config, sizeof config, x, 1, x, 1);
}

static EbbStatus record_cell(const Stack *stack, const EbbCell *cell, const char *scope, EbbValue elapsed,
                             EbbValue x, EbbValue *y) {
  const EbbCells *cells = stack->cells;
  EBB_TRY(add_dropout(stack, scope, &cell, &x));
  const EbbCellConfig config = {.cell = cell,
                                .has_elapsed = elapsed != EBB_NO_VALUE,
                                .has_lengths = stack->lengths != EBB_NO_VALUE,
                                .unstable_fails = cells->unstable_fails && cell->rate_limit > 0,
                                .approximate = cells->approximate,
                                .truncate = cells->truncate};
  EbbValue inputs[3] = {x}, outputs[3];
  int n = 1;
  if (config.has_elapsed) inputs[n++] = elapsed;
  if (config.has_lengths) inputs[n++] = stack->lengths;
  EBB_TRY(ebb_graph_apply(stack->graph, &ebb_cell_op, scope, &config, sizeof config, inputs, n, outputs,
                          cell->rate.width ? 3 : 2));
  *y = outputs[0];
  if (!cells->watched || cell->rate_limit <= 0) return EBB_OK;
  EbbRates *rates = stack->rates;
  rates->layer[rates->n] = stack->layer, rates->limit = (double)cell->rate_limit;
  rates->met[rates->n++] = outputs[2];
  return ebb_graph_output(stack->graph, outputs[2]);
}

/* y = (y, cell backwards in time on x). */
static EbbStatus record_backwards(const Stack *stack, EbbValue x, EbbValue *y) {
  char scope[64];
  snprintf(scope, sizeof scope, "layers.%d.backwards", stack->layer);
  EbbValue back = EBB_NO_VALUE;
  EBB_TRY(turn(stack, scope, false, x, &back));
  EBB_TRY(record_cell(stack, stack->cells->backwards[stack->layer], scope, stack->elapsed[1], back, &back));
  EBB_TRY(turn(stack, scope, false, back, &back));
  const EbbValue both[] = {*y, back};
  return ebb_graph_apply(stack->graph, &ebb_join_op, scope, NULL, 0, both, 2, y, 1);
}

static EbbStatus record_layer(const Stack *stack, EbbValue *x) {
  const EbbResidualConfig dropout = {.dropout = stack->cells->dropout};
  char scope[64];
  snprintf(scope, sizeof scope, "layers.%d.layer", stack->layer);
  EbbValue y = EBB_NO_VALUE;
  EBB_TRY(record_cell(stack, stack->cells->cell[stack->layer], scope, stack->elapsed[0], *x, &y));
  if (stack->cells->backwards) EBB_TRY(record_backwards(stack, *x, &y));
  *x = y;
  if (dropout.dropout <= 0) return EBB_OK;
  return ebb_graph_apply(stack->graph, &ebb_residual_op, scope, &dropout, sizeof dropout, &y, 1, x, 1);
}

EbbStatus ebb_cells_record(EbbGraph *graph, const EbbCells *cells, EbbValue x, EbbValue elapsed,
                           EbbValue lengths, EbbRates *rates, EbbValue *y) {
  Stack stack = {graph, cells, lengths, {elapsed, EBB_NO_VALUE}, rates, 0};
  if (cells->backwards && elapsed != EBB_NO_VALUE)
    EBB_TRY(turn(&stack, "elapsed", true, elapsed, &stack.elapsed[1]));
  for (; stack.layer < cells->n; stack.layer++) EBB_TRY(record_layer(&stack, &x));
  *y = x;
  return EBB_OK;
}
