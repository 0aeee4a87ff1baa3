#include "ebb/ops/cross_entropy.h"

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/row_weights.h"

static EbbStatus take_class_weights(const EbbSetup *setup, const EbbCrossEntropyConfig *config,
                                    EbbCrossEntropyArgs *a) {
  a->config = (EbbCrossEntropyConfig){0};
  if (!config || config->n_class_weights == 0) return EBB_OK;
  if (config->n_class_weights != a->V || a->V > EBB_MOST_CLASS_WEIGHTS)
    return ebb_fail(EBB_INVALID, "%s: %d class weights for %lld classes; at most %d classes can have weights",
                    ebb_setup_where(setup), config->n_class_weights, (long long)a->V,
                    (int)EBB_MOST_CLASS_WEIGHTS);
  for (int v = 0; v < config->n_class_weights; v++)
    if (!(config->class_weight[v] >= 0 && isfinite(config->class_weight[v])))
      return ebb_fail(EBB_INVALID, "%s: class %d has weight %g; weights must be finite and at least 0",
                      ebb_setup_where(setup), v, (double)config->class_weight[v]);
  a->config = *config;
  return EBB_OK;
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  EbbCrossEntropyArgs *a = out;
  EbbShape rows;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->logits));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dlogits, &a->add_dlogits));
  EBB_TRY(ebb_setup_rows(setup, &rows, &a->B, &a->V));
  EBB_TRY(take_class_weights(setup, config, a));
  EBB_TRY(ebb_setup_row_input(setup, 1, EBB_I32, "labels", &rows, &a->labels));
  EBB_TRY(ebb_setup_row_weights(setup, 2, &rows, &a->weights));
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->B * 2) * sizeof(double), &a->rows));
  EBB_TRY(ebb_setup_saved(setup, (size_t)a->B * sizeof(float), &a->lse));
  EBB_TRY(ebb_setup_saved(setup, sizeof(double), &a->weight_sum));
  const EbbShape scalar = {0};
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, scalar, false, &a->loss));
  EBB_TRY(ebb_setup_output(setup, 1, EBB_F32, ebb_shape(EBB_SCORE_SUMS), false, &a->scores));
  return ebb_setup_output_grad(setup, 0, &a->dloss);
}

static EbbStatus check_labels(const EbbCrossEntropyArgs *a) {
  for (int64_t b = 0; b < a->B; b++)
    if (ebb_row_weight(a->weights, b) > 0 && (a->labels[b] < 0 || a->labels[b] >= a->V))
      return ebb_fault_fail(EBB_FAULT_LABEL, (double)a->labels[b], (double)b, (double)(a->V - 1), 0);
  return EBB_OK;
}

static void score_row(const EbbCrossEntropyArgs *a, int64_t b) {
  const float *logits = a->logits + b * a->V;
  int64_t best = 0;
  for (int64_t v = 1; v < a->V; v++)
    if (logits[v] > logits[best]) best = v;
  const double most = (double)logits[best];
  double sum = 0;
  for (int64_t v = 0; v < a->V; v++) sum += exp((double)logits[v] - most);
  const double lse = most + log(sum);
  a->lse[b] = (float)lse;
  a->rows[2 * b] = lse - (double)logits[a->labels[b]];
  a->rows[2 * b + 1] = (double)best;
}

static void join_rows(const EbbCrossEntropyArgs *a) {
  double loss = 0, scores[EBB_SCORE_SUMS] = {0};
  for (int64_t b = 0; b < a->B; b++) {
    const double w = (double)ebb_row_weight(a->weights, b);
    if (w <= 0) continue;
    const int32_t label = a->labels[b], predicted = (int32_t)a->rows[2 * b + 1];
    loss += w * (double)ebb_class_weight(&a->config, label) * a->rows[2 * b];
    for (int s = 0; s < EBB_SCORE_SUMS; s++) scores[s] += w * ebb_class_score(s, predicted, label);
  }
  *a->weight_sum = ebb_row_weight_sum(a->weights, a->B);
  *a->loss = (float)(loss / *a->weight_sum);
  for (int s = 0; s < EBB_SCORE_SUMS; s++) a->scores[s] = (float)scores[s];
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbCrossEntropyArgs *a = args;
  EBB_TRY(ebb_row_weights_check(EBB_FAULT_CROSS_ENTROPY_WEIGHT, EBB_FAULT_CROSS_ENTROPY_WEIGHTS, a->weights,
                                a->B));
  EBB_TRY(check_labels(a));
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++)
    if (ebb_row_weight(a->weights, b) > 0) score_row(a, b);
  join_rows(a);
  return EBB_OK;
}

/* share: dL/dloss times the row's weight, without its class weight. */
static void row_gradient(const EbbCrossEntropyArgs *a, int64_t b, double share) {
  const float *restrict logits = a->logits + b * a->V;
  float *restrict d = a->dlogits + b * a->V;
  if (!a->add_dlogits)
    for (int64_t v = 0; v < a->V; v++) d[v] = 0;
  if (share == 0) return; /* the label may be anything */
  const float scale = (float)(share * (double)ebb_class_weight(&a->config, a->labels[b]));
  const float lse = a->lse[b];
  for (int64_t v = 0; v < a->V; v++) d[v] += scale * ebb_class_probability(logits[v], lse);
  d[a->labels[b]] -= scale;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbCrossEntropyArgs *a = args;
  if (!a->dlogits) return EBB_OK;
  const double scale = (double)*a->dloss / *a->weight_sum;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++) row_gradient(a, b, scale * (double)ebb_row_weight(a->weights, b));
  return EBB_OK;
}

const EbbOp ebb_cross_entropy_op = {
    .name = "cross_entropy", .args_size = sizeof(EbbCrossEntropyArgs), .setup = set_up};
const EbbKernels ebb_cross_entropy_cpu = {forward, backward};
