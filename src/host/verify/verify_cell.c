/* Cases of kind "layer" for recurrent cells. */
#include <stdlib.h>
#include <string.h>

#include "ebb/ops/cell.h"
#include "host/verify/case_cell.h"

typedef struct CellValues {
  EbbValue x, state, elapsed, y, states;
  const EbbStoredTensor *in_x, *in_h0, *in_c0, *in_ts;
} CellValues;

static EbbStatus record_cell(Case *c, EbbGraph *graph, const EbbCell *cell, CellValues *v) {
  const int64_t B = v->in_x->shape.dim[0];
  EbbValue inputs[3], outputs[2];
  int n = 1;
  EBB_TRY(ebb_graph_input(graph, "x", EBB_F32, v->in_x->shape, true, &v->x));
  EBB_TRY(ebb_graph_input(graph, "state", EBB_F32, ebb_shape(B, cell->states), true, &v->state));
  inputs[0] = v->x, inputs[n++] = v->state;
  if (v->in_ts) EBB_TRY(ebb_graph_input(graph, "elapsed", EBB_F32, v->in_ts->shape, true, &v->elapsed));
  if (v->in_ts) inputs[n++] = v->elapsed;
  const EbbCellConfig config = {.cell = cell, .has_state = true, .has_elapsed = v->in_ts != NULL};
  const bool rates = cell->rate.width > 0;
  EbbValue out[3];
  EBB_TRY(ebb_graph_apply(graph, &ebb_cell_op, "", &config, sizeof config, inputs, n, out, rates ? 3 : 2));
  outputs[0] = v->y = out[0], outputs[1] = v->states = out[1];
  for (int i = 0; i < 2; i++) EBB_TRY(ebb_graph_output(graph, outputs[i]));
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  EBB_TRY(case_require_params(c));
  return ebb_graph_layout(graph);
}

/* Columns from .. from + width - 1 of rows of S floats, to or from a block (rows, width). */
static void copy_columns(float *rows, float *block, int64_t n, int64_t S, int64_t from, int64_t width,
                         bool gather) {
  for (int64_t r = 0; r < n; r++) {
    float *row = rows + r * S + from, *piece = block + r * width;
    memcpy(gather ? piece : row, gather ? row : piece, (size_t)width * sizeof *row);
  }
}

/* The state's parts: h and c of LSTM cells, otherwise h alone. */
typedef struct StatePart {
  const char *start, *sequence, *last, *grad;
  int64_t from, width;
} StatePart;

static int state_parts(const Case *c, const EbbCell *cell, StatePart parts[2]) {
  const int64_t S = cell->states, H = case_tensor(c, "input.c0") ? S / 2 : S;
  parts[0] = (StatePart){"input.h0", "expect.h_seq", "expect.h_T", "expect.grad.h0", 0, H};
  parts[1] = (StatePart){"input.c0", "expect.c_seq", "expect.c_T", "expect.grad.c0", H, H};
  return H < S ? 2 : 1;
}

static EbbStatus feed_state(Case *c, EbbGraph *graph, const EbbCell *cell, const CellValues *v) {
  const int64_t B = v->in_x->shape.dim[0], S = cell->states;
  float *rows = calloc((size_t)(B * S), 2 * sizeof *rows);
  if (!rows) return ebb_fail(EBB_MEMORY, "no memory for the state");
  StatePart parts[2];
  EbbStatus status = EBB_OK;
  for (int i = 0, n = state_parts(c, cell, parts); i < n && status == EBB_OK; i++) {
    const EbbStoredTensor *tensor = case_tensor(c, "%s", parts[i].start);
    if (!tensor) continue;
    status = case_require_shape(c, tensor, ebb_shape(B, parts[i].width));
    if (status == EBB_OK) status = ebb_stored_floats(tensor, rows + B * S, B * parts[i].width);
    copy_columns(rows, rows + B * S, B, S, parts[i].from, parts[i].width, false);
  }
  if (status == EBB_OK) status = ebb_graph_write(graph, v->state, rows);
  free(rows);
  return status;
}

static EbbStatus feed(Case *c, EbbGraph *graph, const EbbCell *cell, const CellValues *v) {
  EBB_TRY(case_feed_floats(c, graph, v->x, v->in_x, 0));
  if (v->in_ts) EBB_TRY(case_feed_floats(c, graph, v->elapsed, v->in_ts, 0));
  return feed_state(c, graph, cell, v);
}

/* A part's columns of `count` rows of states, if the case has the tensor. */
static EbbStatus compare_part(Case *c, const char *name, const char *class_name, float *rows, int64_t count,
                              int64_t S, const StatePart *part, float *block) {
  if (!case_tensor(c, "%s", name)) return EBB_OK;
  copy_columns(rows, block, count, S, part->from, part->width, true);
  return case_compare(c, name, class_name, block, count * part->width);
}

static EbbStatus compare_states(Case *c, EbbGraph *graph, const EbbCell *cell, const CellValues *v,
                                bool grad) {
  const int64_t B = v->in_x->shape.dim[0], T = v->in_x->shape.dim[1], S = cell->states;
  float *rows = malloc((size_t)(2 * B * (T + 1) * S) * sizeof *rows);
  if (!rows) return ebb_fail(EBB_MEMORY, "no memory for the states");
  float *block = rows + B * T * S;
  StatePart parts[2];
  EbbStatus status =
      grad ? ebb_graph_read_grad(graph, v->state, rows) : ebb_graph_read(graph, v->states, rows);
  for (int i = 0, n = state_parts(c, cell, parts); i < n && status == EBB_OK; i++) {
    if (grad) {
      status = compare_part(c, parts[i].grad, "grad", rows, B, S, &parts[i], block);
      continue;
    }
    status = compare_part(c, parts[i].sequence, "output", rows, B * T, S, &parts[i], block);
    for (int64_t b = 0; b < B; b++)
      memcpy(block + B * S + b * S, rows + (b * T + T - 1) * S, (size_t)S * sizeof *rows);
    if (status == EBB_OK)
      status = compare_part(c, parts[i].last, "output", block + B * S, B, S, &parts[i], block);
  }
  free(rows);
  return status;
}

static EbbStatus run_cell(Case *c, EbbGraph *graph, const EbbCell *cell, CellValues *v) {
  EBB_TRY(record_cell(c, graph, cell, v));
  EBB_TRY(feed(c, graph, cell, v));
  EbbRun run = {.device = c->device, .training = true};
  EBB_TRY(ebb_graph_forward(graph, &run));
  EBB_TRY(case_compare_value(c, "expect.y", "output", graph, v->y, false));
  EBB_TRY(compare_states(c, graph, cell, v, false));
  EBB_TRY(case_feed_cotangent(c, graph, v->y));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(graph, &run));
  EBB_TRY(case_compare_value(c, "expect.grad.x", "grad", graph, v->x, true));
  EBB_TRY(compare_states(c, graph, cell, v, true));
  if (v->in_ts) EBB_TRY(case_compare_value(c, "expect.grad.ts", "grad", graph, v->elapsed, true));
  return case_compare_params(c, "expect.grad.", "grad", true);
}

EbbStatus verify_cell_layer(Case *c) {
  if (case_tensor(c, "expect.v")) return verify_cell_trace(c);
  CellValues v = {.in_ts = case_tensor(c, "input.ts")};
  const EbbStoredTensor *y;
  EBB_TRY(case_require(c, "input.x", &v.in_x));
  EBB_TRY(case_require_rank(c, v.in_x, 3));
  EBB_TRY(case_require(c, "expect.y", &y));
  EBB_TRY(case_require_rank(c, y, 3));
  EbbCell *cell = NULL;
  EbbGraph *graph = NULL;
  EbbStatus status =
      case_cell(c, ebb_safetensors_metadata(c->file, "layer"), v.in_x->shape.dim[2], y->shape.dim[2], &cell);
  if (status == EBB_OK) status = ebb_graph_create(c->params, NULL, true, &graph);
  if (status == EBB_OK) status = run_cell(c, graph, cell, &v);
  ebb_graph_destroy(graph);
  ebb_cell_destroy(cell);
  return status;
}
