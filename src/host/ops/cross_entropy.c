#include "ebb/ops/cross_entropy.h"

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/row_weights.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbCrossEntropyArgs *a = out;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 2, true, &a->logits));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dlogits, &a->add_dlogits));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->V = shape.dim[1];
  EBB_TRY(ebb_setup_input(setup, 1, EBB_I32, 1, true, &a->labels));
  EbbShape labels = ebb_setup_shape(setup, 1);
  if (labels.dim[0] != a->B)
    return ebb_fail(EBB_SHAPE, "%s: %lld labels for a batch of %lld", ebb_setup_where(setup),
                    (long long)labels.dim[0], (long long)a->B);
  EBB_TRY(ebb_setup_row_weights(setup, 2, a->B, &a->weights));
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->B * 2) * sizeof(double), &a->rows));
  EBB_TRY(ebb_setup_saved(setup, (size_t)a->B * sizeof(float), &a->lse));
  EBB_TRY(ebb_setup_saved(setup, sizeof(double), &a->weight_sum));
  const EbbShape scalar = {0};
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, scalar, false, &a->loss));
  EBB_TRY(ebb_setup_output(setup, 1, EBB_F32, scalar, false, &a->correct));
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
  a->rows[2 * b + 1] = best == a->labels[b];
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbCrossEntropyArgs *a = args;
  EBB_TRY(ebb_row_weights_check(EBB_FAULT_CROSS_ENTROPY_WEIGHT, EBB_FAULT_CROSS_ENTROPY_WEIGHTS, a->weights,
                                a->B));
  EBB_TRY(check_labels(a));
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++)
    if (ebb_row_weight(a->weights, b) > 0) score_row(a, b);
  double loss = 0, correct = 0;
  for (int64_t b = 0; b < a->B; b++) {
    const double w = (double)ebb_row_weight(a->weights, b);
    if (w > 0) loss += w * a->rows[2 * b], correct += w * a->rows[2 * b + 1];
  }
  *a->weight_sum = ebb_row_weight_sum(a->weights, a->B);
  *a->loss = (float)(loss / *a->weight_sum);
  *a->correct = (float)correct;
  return EBB_OK;
}

static void row_gradient(const EbbCrossEntropyArgs *a, int64_t b, float scale) {
  const float *restrict logits = a->logits + b * a->V;
  float *restrict d = a->dlogits + b * a->V;
  if (!a->add_dlogits)
    for (int64_t v = 0; v < a->V; v++) d[v] = 0;
  if (scale == 0) return;
  const float lse = a->lse[b];
  for (int64_t v = 0; v < a->V; v++) d[v] += scale * ebb_class_probability(logits[v], lse);
  d[a->labels[b]] -= scale;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbCrossEntropyArgs *a = args;
  if (!a->dlogits) return EBB_OK;
  const double scale = (double)*a->dloss / *a->weight_sum;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++)
    row_gradient(a, b, (float)(scale * (double)ebb_row_weight(a->weights, b)));
  return EBB_OK;
}

const EbbOp ebb_cross_entropy_op = {
    .name = "cross_entropy", .args_size = sizeof(EbbCrossEntropyArgs), .setup = set_up};
const EbbKernels ebb_cross_entropy_cpu = {forward, backward};
