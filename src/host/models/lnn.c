/* The published liquid network as a composition of ops. */
#include "ebb/lnn.h"

#include <stdio.h>
#include <string.h>

#include "ebb/ops/activation.h"
#include "ebb/ops/last_step.h"
#include "ebb/ops/linear.h"
#include "ebb/ops/residual.h"
#include "ebb/ops/row_norm.h"
#include "ebb/ops/swiglu.h"

enum { SCOPE_BYTES = 160, FFN_WIDTH = 4 };

static const float least_tau = 0.1f;

/* ---- settings ---- */

EbbStatus ebb_lnn_solver(const char *name, int64_t steps, EbbLnnScanConfig *out) {
  *out = (EbbLnnScanConfig){.tableau = ebb_tableau_find(name), .steps = steps, .first_step = 0.25};
  out->atol = 1e-4, out->rtol = 1e-2, out->attempts = 100;
  if (out->tableau) out->adaptive = out->tableau->adaptive;
  if (out->tableau || !strcmp(name, "exact")) return EBB_OK;
  char names[128] = "exact";
  for (int i = 0; i < ebb_tableau_count(); i++) {
    const size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, ", %s", ebb_tableau_at(i)->name);
  }
  return ebb_fail(EBB_INVALID, "no solver is called '%s'; there are %s", name, names);
}

EbbLnn ebb_lnn_defaults(int64_t input) {
  EbbLnn model = {.input = input, .hidden = 256, .layers = 4, .dropout = 0.1, .solver = {.steps = 1}};
  return model;
}

EbbLnn ebb_lnn_high_accuracy_defaults(int64_t input) {
  EbbLnn model = ebb_lnn_defaults(input);
  EbbStatus known = ebb_lnn_solver("dopri5", 1, &model.solver);
  (void)known;
  return model;
}

int64_t ebb_lnn_param_count(const EbbLnn *model) {
  const int64_t H = model->hidden, projection = model->input == H ? 0 : model->input * H;
  return projection + model->layers * 5 * H * H;
}

int64_t ebb_lnn_output_size(const EbbLnn *model) { return model->hidden; }

EbbLnnLinks ebb_lnn_no_links(void) {
  return (EbbLnnLinks){.elapsed = EBB_NO_VALUE, .lengths = EBB_NO_VALUE, .h0 = EBB_NO_VALUE};
}

/* ---- parts ---- */

static EbbStatus dense(EbbGraph *graph, const char *scope, const char *weight, const char *bias,
                       int64_t outputs, EbbValue x, EbbValue *y) {
  const EbbLinearConfig config = {
      .O = outputs, .inputs_first = true, .glorot = true, .weight = weight, .bias = bias};
  return ebb_graph_apply(graph, &ebb_linear_op, scope, &config, sizeof config, &x, 1, y, 1);
}

static EbbStatus activate(EbbGraph *graph, const char *scope, EbbActivation kind, float offset, EbbValue x,
                          EbbValue *y) {
  const EbbActivationConfig config = {.kind = kind, .offset = offset};
  return ebb_graph_apply(graph, &ebb_activation_op, scope, &config, sizeof config, &x, 1, y, 1);
}

static EbbStatus norm(EbbGraph *graph, const char *scope, const EbbLnn *model, const char *weight,
                      const char *bias, EbbValue x, EbbValue *y) {
  const EbbRowNormConfig config = {
      .eps = EBB_NORM_EPS, .glorot = !model->unit_norm, .weight = weight, .bias = bias};
  return ebb_graph_apply(graph, &ebb_row_norm_op, scope, &config, sizeof config, &x, 1, y, 1);
}

static EbbStatus add(EbbGraph *graph, const char *scope, double dropout, EbbValue x, EbbValue r,
                     EbbValue *y) {
  const EbbResidualConfig config = {.dropout = dropout};
  const EbbValue inputs[] = {x, r};
  return ebb_graph_apply(graph, &ebb_residual_op, scope, &config, sizeof config, inputs, 2, y, 1);
}

/* The scan with the inputs that are there and the outputs that are wanted. */
static EbbStatus scan(EbbGraph *graph, const char *scope, const EbbLnn *model, const EbbLnnLinks *links,
                      EbbLnnLayerValues *v) {
  EbbLnnScanConfig config = model->solver;
  EbbValue inputs[5] = {v->tau, v->activation}, outputs[4], *wanted[4] = {&v->h};
  int n_in = 2, n_out = 1;
  config.elapsed = links->elapsed != EBB_NO_VALUE, config.lengths = links->lengths != EBB_NO_VALUE;
  config.h0 = links->h0 != EBB_NO_VALUE, config.final = links->final, config.log = links->log;
  if (config.elapsed) inputs[n_in++] = links->elapsed;
  if (config.lengths) inputs[n_in++] = links->lengths;
  if (config.h0) inputs[n_in++] = links->h0;
  if (config.final) wanted[n_out++] = &v->final;
  if (config.log) wanted[n_out++] = &v->log;
  if (config.guard == EBB_LNN_WARN) wanted[n_out++] = &v->stiffness;
  EBB_TRY(
      ebb_graph_apply(graph, &ebb_lnn_scan_op, scope, &config, sizeof config, inputs, n_in, outputs, n_out));
  for (int i = 0; i < n_out; i++) *wanted[i] = outputs[i];
  return EBB_OK;
}

EbbStatus ebb_lnn_record_layer(EbbGraph *graph, const char *scope, const EbbLnn *model, EbbValue x,
                               const EbbLnnLinks *links, EbbLnnLayerValues *out) {
  const int64_t H = model->hidden;
  EbbLnnLayerValues v = {.final = EBB_NO_VALUE, .log = EBB_NO_VALUE, .stiffness = EBB_NO_VALUE};
  EbbValue n = EBB_NO_VALUE, gate = EBB_NO_VALUE, inner = EBB_NO_VALUE;
  EBB_TRY(norm(graph, scope, model, "ln_g", "ln_b", x, &n));
  EBB_TRY(dense(graph, scope, "Wt", "bt", H, n, &gate));
  EBB_TRY(activate(graph, scope, EBB_ACTIVATION_SOFTPLUS, least_tau, gate, &v.tau));
  EBB_TRY(dense(graph, scope, "W1", "b1", 2 * H, n, &inner));
  EBB_TRY(activate(graph, scope, EBB_ACTIVATION_SILU, 0, inner, &inner));
  EBB_TRY(dense(graph, scope, "W2", "b2", H, inner, &v.activation));
  EBB_TRY(scan(graph, scope, model, links, &v));
  EBB_TRY(add(graph, scope, model->dropout, x, v.h, &v.y));
  *out = v;
  return EBB_OK;
}

/* x + (silu(n Wg + bg) * (n Wu + bu)) Wd + bd, n = norm(x). */
static EbbStatus record_ffn(EbbGraph *graph, const char *scope, const EbbLnn *model, EbbValue *x) {
  const int64_t inner = FFN_WIDTH * model->hidden;
  EbbValue n = EBB_NO_VALUE, gate[2] = {EBB_NO_VALUE, EBB_NO_VALUE}, y = EBB_NO_VALUE;
  EBB_TRY(norm(graph, scope, model, "ln_g", "ln_b", *x, &n));
  EBB_TRY(dense(graph, scope, "Wg", "bg", inner, n, &gate[0]));
  EBB_TRY(dense(graph, scope, "Wu", "bu", inner, n, &gate[1]));
  EBB_TRY(ebb_graph_apply(graph, &ebb_swiglu_op, scope, NULL, 0, gate, 2, &y, 1));
  EBB_TRY(dense(graph, scope, "Wd", "bd", model->hidden, y, &y));
  return add(graph, scope, 0, *x, y, x);
}

/* "scope.part.i", or "part.i" without a scope. */
static const char *part_scope(const char *scope, const char *part, int64_t i, char text[SCOPE_BYTES]) {
  snprintf(text, SCOPE_BYTES, "%s%s%s.%lld", scope, *scope ? "." : "", part, (long long)i);
  return text;
}

static EbbStatus record_block(EbbGraph *graph, const char *scope, const EbbLnn *model, int64_t i,
                              const EbbLnnLinks *links, EbbLnnLayerValues *v, EbbValue *x) {
  char text[SCOPE_BYTES];
  EBB_TRY(ebb_lnn_record_layer(graph, part_scope(scope, "layers", i, text), model, *x, links, v));
  *x = v->y;
  return model->ffn ? record_ffn(graph, part_scope(scope, "ffn", i, text), model, x) : EBB_OK;
}

static EbbStatus record_blocks(EbbGraph *graph, const char *scope, const EbbLnn *model, EbbLnnLinks links,
                               const EbbLnnStates *states, EbbValue *x) {
  for (int64_t i = 0; i < model->layers; i++) {
    EbbLnnLayerValues v;
    links.h0 = states && states->h0 ? states->h0[i] : EBB_NO_VALUE;
    links.final = states && states->final;
    EBB_TRY(record_block(graph, scope, model, i, &links, &v, x));
    if (links.final) states->final[i] = v.final;
    if (states && states->stiffness) states->stiffness[i] = v.stiffness;
  }
  return EBB_OK;
}

static EbbStatus check(const EbbGraph *graph, const char *scope, const EbbLnn *model, EbbValue x) {
  const EbbShape shape = ebb_graph_shape(graph, x);
  char text[96];
  if (model->hidden < 1 || model->layers < 1)
    return ebb_fail(EBB_INVALID, "lnn '%s': %lld layers of %lld units; at least 1 of each is needed", scope,
                    (long long)model->layers, (long long)model->hidden);
  if (shape.rank == 3 && shape.dim[2] == model->input) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "lnn '%s': input %s, where (B, T, %lld) is needed", scope,
                  ebb_shape_text(&shape, text, sizeof text), (long long)model->input);
}

EbbStatus ebb_lnn_record(EbbGraph *graph, const char *scope, const EbbLnn *model, EbbValue x,
                         EbbValue elapsed, EbbValue lengths, const EbbLnnStates *states, EbbValue *y) {
  const EbbLnnLinks links = {.elapsed = elapsed, .lengths = lengths, .h0 = EBB_NO_VALUE};
  EBB_TRY(check(graph, scope, model, x));
  if (model->input != model->hidden) EBB_TRY(dense(graph, scope, "Wp", "bp", model->hidden, x, &x));
  EBB_TRY(record_blocks(graph, scope, model, links, states, &x));
  /* The norm is of each step alone, so only those steps need it that come out. */
  const EbbValue inputs[] = {x, lengths};
  if (!model->all_steps) EBB_TRY(ebb_graph_apply(graph, &ebb_last_step_op, scope, NULL, 0, inputs, 2, &x, 1));
  return norm(graph, scope, model, "ng", "nb", x, y);
}
