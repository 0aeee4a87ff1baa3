/* Cases of kind "layer" for the language model LTC-TextGen: embedding, cell, output layer, cross-entropy. Its
   first version divides by time constants that pass through zero, so that some cases turn the rounding of
   float32 into errors of any size: these are compared with the float64 reference, as far as float64 can tell.
 */
#include <string.h>

#include "ebb/ops/cell.h"
#include "ebb/ops/cross_entropy.h"
#include "ebb/ops/embedding.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/transpose.h"
#include "host/verify/textgen.h"

static EbbStatus make_cell(const Case *c, Textgen *t) {
  EBB_TRY(case_size(c, "vocab", -1, false, &t->V));
  EBB_TRY(case_size(c, "hidden", -1, false, &t->H));
  EbbLtcTextgen ltc = ebb_ltc_textgen_defaults(t->H, case_tensor(c, "param.rec.bias") ? 1 : 2);
  ltc.adaptive = case_flag(c, "adaptive", true);
  ltc.step = case_number(c, "h", ltc.step);
  ltc.solver = !strcmp(case_text(c, "solver", "euler"), "rk4") ? EBB_TEXTGEN_RK4 : EBB_TEXTGEN_EULER;
  EBB_TRY(case_size(c, "steps", 5, false, &ltc.unfolds));
  return ebb_cell_ltc_textgen(&ltc, &t->cell);
}

static EbbStatus record(Case *c, Textgen *t) {
  const EbbEmbeddingConfig embedding = {.V = t->V, .H = t->H};
  const EbbTransposeConfig transpose = {.x_activations = true};
  const EbbCellConfig config = {.cell = t->cell};
  const EbbLinearConfig linear = {.O = t->V};
  EbbGraph *graph;
  EbbValue x, y[2], loss[2];
  EBB_TRY(ebb_graph_create(c->params, NULL, true, &t->graph));
  graph = t->graph;
  EBB_TRY(ebb_graph_input(graph, "tokens", EBB_I32, t->in_tokens->shape, false, &t->tokens));
  EBB_TRY(ebb_graph_input(graph, "targets", EBB_I32, t->in_targets->shape, false, &t->targets));
  EBB_TRY(ebb_graph_apply(graph, &ebb_embedding_op, "embedding", &embedding, sizeof embedding, &t->tokens, 1,
                          &x, 1));
  EBB_TRY(ebb_graph_apply(graph, &ebb_transpose_op, "embedding", &transpose, sizeof transpose, &x, 1, &x, 1));
  EBB_TRY(ebb_graph_apply(graph, &ebb_cell_op, "", &config, sizeof config, &x, 1, y, 2));
  EBB_TRY(ebb_graph_apply(graph, &ebb_linear_op, "out", &linear, sizeof linear, y, 1, &t->logits, 1));
  const EbbValue inputs[] = {t->logits, t->targets};
  EBB_TRY(ebb_graph_apply(graph, &ebb_cross_entropy_op, "loss", NULL, 0, inputs, 2, loss, 2));
  t->states = y[1], t->loss = loss[0];
  EBB_TRY(ebb_graph_output(graph, t->states));
  EBB_TRY(ebb_graph_output(graph, t->logits));
  EBB_TRY(ebb_graph_output(graph, t->loss));
  EBB_TRY(ebb_params_place(c->params, 0));
  EBB_TRY(case_load_params(c, "param.", ""));
  return case_require_params(c);
}

static EbbStatus run(Case *c, Textgen *t) {
  const EbbRun at = {.device = c->device, .training = true};
  const float one = 1;
  EBB_TRY(ebb_graph_layout(t->graph));
  EBB_TRY(case_feed_integers(c, t->graph, t->tokens, t->in_tokens, 0));
  EBB_TRY(case_feed_integers(c, t->graph, t->targets, t->in_targets, 0));
  EBB_TRY(ebb_graph_forward(t->graph, &at));
  EBB_TRY(case_compare_value(c, "expect.h_seq", "output", t->graph, t->states, false));
  EBB_TRY(case_compare_value(c, "expect.logits", "output", t->graph, t->logits, false));
  EBB_TRY(case_compare_value(c, "expect.loss", "output", t->graph, t->loss, false));
  EBB_TRY(ebb_graph_write_grad(t->graph, t->loss, &one));
  EBB_TRY(ebb_params_zero_grad(c->params));
  EBB_TRY(ebb_graph_backward(t->graph, &at));
  return case_compare_params(c, "expect.grad.", "grad", true);
}

EbbStatus verify_textgen(Case *c) {
  Textgen t = {0};
  EBB_TRY(case_require(c, "input.tokens", &t.in_tokens));
  EBB_TRY(case_require_rank(c, t.in_tokens, 2));
  EBB_TRY(case_require(c, "input.targets", &t.in_targets));
  EBB_TRY(case_require_rank(c, t.in_targets, 2));
  EbbStatus status = make_cell(c, &t);
  bool float32 = true;
  if (status == EBB_OK) status = verify_textgen_reference(c, &t, &float32);
  if (status == EBB_OK && float32) status = record(c, &t);
  if (status == EBB_OK && float32) status = run(c, &t);
  ebb_graph_destroy(t.graph);
  ebb_cell_destroy(t.cell);
  return status;
}
