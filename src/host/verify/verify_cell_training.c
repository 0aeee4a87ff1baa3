/* Cases of kind "training" for recurrent cells: updates on one batch, cell and linear output layer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ebb/ops/cell.h"
#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/mse.h"
#include "ebb/ops/pool.h"
#include "ebb/ops/transpose.h"
#include "host/verify/case_cell.h"

static const CaseName names[] = {{"out_w", "out.weight"},
                                 {"out_b", "out.bias"},
                                 {"W_in_w", "W_in.weight"},
                                 {"W_in_b", "W_in.bias"},
                                 {"W_h_w", "W_h.weight"},
                                 {"W_h_b", "W_h.bias"},
                                 {NULL, NULL}};

typedef struct CellRun {
  EbbCell *cell;
  EbbGraph *graph;
  EbbOptimizer *optimizer;
  EbbAdamW adamw;
  EbbValue x, labels, loss;
  const EbbStoredTensor *in_x, *in_y;
  int64_t outputs, updates;
  bool classes; /* a class a step; else numbers at the last step */
} CellRun;

/* "Adam lr 0.01 beta .9 .999 eps 1e-8" */
static EbbStatus read_optimiser(const Case *c, CellRun *run) {
  const char *text = case_text(c, "optimizer", "");
  run->adamw = (EbbAdamW){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  if (sscanf(text, "Adam lr %lf", &run->adamw.lr) == 1 && run->adamw.lr > 0) return EBB_OK;
  return ebb_fail(EBB_FORMAT, "%s: the optimizer in its config is '%s', not Adam with its lr", c->path, text);
}

static EbbStatus record_output(EbbGraph *graph, const CellRun *run, EbbValue h, EbbValue *logits) {
  const EbbTransposeConfig transpose = {0};
  const EbbPoolConfig last = {.kind = EBB_POOL_LAST};
  const EbbLinearConfig linear = {.O = run->outputs};
  if (!run->classes) {
    EBB_TRY(ebb_graph_apply(graph, &ebb_transpose_op, "last", &transpose, sizeof transpose, &h, 1, &h, 1));
    EBB_TRY(ebb_graph_apply(graph, &ebb_pool_op, "last", &last, sizeof last, &h, 1, &h, 1));
  }
  return ebb_graph_apply(graph, &ebb_linear_op, "out", &linear, sizeof linear, &h, 1, logits, 1);
}

static EbbStatus record(Case *c, CellRun *run) {
  const EbbCellConfig config = {.cell = run->cell};
  EbbValue y[3], logits, loss[2];
  EBB_TRY(ebb_graph_create(c->params, NULL, true, &run->graph));
  EBB_TRY(ebb_graph_input(run->graph, "x", EBB_F32, run->in_x->shape, false, &run->x));
  EBB_TRY(ebb_graph_input(run->graph, "y", run->classes ? EBB_I32 : EBB_F32, run->in_y->shape, false,
                          &run->labels));
  EBB_TRY(ebb_graph_apply(run->graph, &ebb_cell_op, "", &config, sizeof config, &run->x, 1, y,
                          run->cell->rate.width ? 3 : 2));
  EBB_TRY(record_output(run->graph, run, y[0], &logits));
  const EbbValue inputs[] = {logits, run->labels};
  EBB_TRY(ebb_graph_apply(run->graph, run->classes ? &ebb_cross_entropy_op : &ebb_mse_op, "loss", NULL, 0,
                          inputs, 2, loss, 2));
  run->loss = loss[0];
  return ebb_graph_output(run->graph, run->loss);
}

static EbbStatus start(Case *c, CellRun *run) {
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  EBB_TRY(case_require_params(c));
  EBB_TRY(ebb_optimizer_create(c->params, NULL, &run->optimizer));
  EBB_TRY(ebb_graph_layout(run->graph));
  EBB_TRY(case_feed_floats(c, run->graph, run->x, run->in_x, 0));
  return run->classes ? case_feed_integers(c, run->graph, run->labels, run->in_y, 0)
                      : case_feed_floats(c, run->graph, run->labels, run->in_y, 0);
}

static EbbStatus train(Case *c, CellRun *run) {
  float *losses = malloc((size_t)run->updates * sizeof *losses);
  if (!losses) return ebb_fail(EBB_MEMORY, "no memory for %s", c->path);
  EbbStatus status = EBB_OK;
  for (int64_t step = 0; step < run->updates && status == EBB_OK; step++)
    status = case_update(c, run->graph, run->loss, run->optimizer, &run->adamw, step, &losses[step]);
  if (status == EBB_OK) status = case_compare(c, "expect.losses", "output", losses, run->updates);
  free(losses);
  return status == EBB_OK ? case_compare_params(c, "expect.param.final.", "param", false) : status;
}

static EbbStatus look(Case *c, CellRun *run) {
  const EbbStoredTensor *losses, *out;
  EBB_TRY(read_optimiser(c, run));
  EBB_TRY(case_require(c, "input.x", &run->in_x));
  EBB_TRY(case_require_rank(c, run->in_x, 3));
  EBB_TRY(case_require(c, "input.y", &run->in_y));
  EBB_TRY(case_require_rank(c, run->in_y, 2));
  EBB_TRY(case_require(c, "expect.losses", &losses));
  EBB_TRY(case_require_rank(c, losses, 1));
  EBB_TRY(case_require(c, "param.out_w", &out));
  EBB_TRY(case_require_rank(c, out, 2));
  run->updates = losses->shape.dim[0];
  run->outputs = out->shape.dim[0];
  run->classes = strstr(case_text(c, "loss", ""), "cross entropy") != NULL;
  return case_cell(c, ebb_safetensors_metadata(c->file, "layer"), run->in_x->shape.dim[2], out->shape.dim[1],
                   &run->cell);
}

EbbStatus verify_cell_training(Case *c) {
  CellRun run = {0};
  c->names = names;
  EbbStatus status = look(c, &run);
  if (status == EBB_OK) status = record(c, &run);
  if (status == EBB_OK) status = start(c, &run);
  if (status == EBB_OK) status = train(c, &run);
  ebb_optimizer_destroy(run.optimizer);
  ebb_graph_destroy(run.graph);
  ebb_cell_destroy(run.cell);
  return status;
}
