#include "ebb/ops/batch_norm.h"

#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/rows.h"

static EbbStatus set_up_buffers(EbbSetup *setup, EbbBatchNormArgs *a) {
  EbbParamSpec weight = {.name = "weight", .shape = ebb_shape(a->H), .draw = EBB_DRAW_CONSTANT, .a = 1};
  EbbParamSpec bias = {.name = "bias", .shape = ebb_shape(a->H), .draw = EBB_DRAW_CONSTANT, .a = 0};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  EBB_TRY(ebb_setup_param(setup, &bias, &a->bias, &a->dbias));
  weight.buffer = bias.buffer = true;
  bias.name = "running_mean";
  weight.name = "running_var";
  EBB_TRY(ebb_setup_buffer(setup, &bias, &a->running_mean));
  EBB_TRY(ebb_setup_buffer(setup, &weight, &a->running_var));
  EBB_TRY(ebb_setup_saved(setup, (size_t)a->H * sizeof(float), &a->mean));
  EBB_TRY(ebb_setup_saved(setup, (size_t)a->H * sizeof(double), &a->count));
  return ebb_setup_saved(setup, (size_t)a->H * sizeof(float), &a->rstd);
}

static EbbStatus set_up_lengths(EbbSetup *setup, EbbBatchNormArgs *a) {
  a->lengths = NULL;
  if (ebb_setup_inputs(setup) < 2) return EBB_OK;
  EBB_TRY(ebb_setup_input(setup, 1, EBB_I32, 1, true, &a->lengths));
  const EbbShape lengths = ebb_setup_shape(setup, 1);
  if (lengths.dim[0] == a->B) return EBB_OK;
  return ebb_fail(EBB_SHAPE, "%s: %lld lengths for a batch of %lld", ebb_setup_where(setup),
                  (long long)lengths.dim[0], (long long)a->B);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbBatchNormConfig *c = config;
  EbbBatchNormArgs *a = out;
  if (!(c->eps >= 0) || !(c->momentum >= 0 && c->momentum <= 1))
    return ebb_fail(EBB_INVALID, "%s: eps %g must be at least 0 and momentum %g within 0..1",
                    ebb_setup_where(setup), c->eps, c->momentum);
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, a->storage, 3, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->H = shape.dim[1], a->L = shape.dim[2];
  a->eps = c->eps, a->momentum = c->momentum;
  EBB_TRY(set_up_lengths(setup, a));
  EBB_TRY(set_up_buffers(setup, a));
  if (ebb_setup_backend(setup) == EBB_CUDA) {
    a->segments = ebb_batch_norm_segments(a->B, a->H, a->L);
    EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->H * a->segments) * sizeof(EbbMoments), &a->partial));
  }
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbStatus check_lengths(const EbbBatchNormArgs *a, const EbbRun *run) {
  int64_t values = 0;
  for (int64_t b = 0; b < a->B; b++) {
    if (a->lengths && a->lengths[b] != ebb_batch_norm_valid(a, b))
      return ebb_fault_fail(EBB_FAULT_NORM_LENGTH, (double)b, (double)a->lengths[b], (double)a->L, 0);
    values += ebb_batch_norm_valid(a, b);
  }
  return run->training && values < 2 ? ebb_fault_fail(EBB_FAULT_NORM_VALUES, (double)values, 0, 0, 0)
                                     : EBB_OK;
}

static void batch_statistics(const EbbBatchNormArgs *a, int64_t h) {
  EbbMoments moments = {0};
  for (int64_t b = 0; b < a->B; b++)
    ebb_moments_add_row(&moments, a->x + (b * a->H + h) * a->L, ebb_batch_norm_valid(a, b));
  const double unbiased = moments.squares / (moments.count - 1);
  a->count[h] = moments.count;
  a->mean[h] = (float)moments.mean;
  a->rstd[h] = ebb_batch_norm_rstd(moments.squares / moments.count, a->eps);
  a->running_mean[h] = ebb_batch_norm_running(a->running_mean[h], moments.mean, a->momentum);
  a->running_var[h] = ebb_batch_norm_running(a->running_var[h], unbiased, a->momentum);
}

static void normalise(const EbbBatchNormArgs *a, int64_t h) {
  const float mean = a->mean[h], scale = a->rstd[h] * a->weight[h], bias = a->bias[h];
  for (int64_t b = 0; b < a->B; b++) {
    const int64_t valid = ebb_batch_norm_valid(a, b);
    const float *restrict x = a->x + (b * a->H + h) * a->L;
    float *restrict y = a->y + (b * a->H + h) * a->L;
    for (int64_t l = 0; l < valid; l++) y[l] = ebb_norm_apply(x[l], mean, scale, bias);
    memset(y + valid, 0, (size_t)(a->L - valid) * sizeof *y);
  }
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs *a = args;
  EBB_TRY(ebb_batch_norm_check(a, run));
  EBB_TRY(check_lengths(a, run));
#pragma omp parallel for num_threads(EBB_THREADS(run)) schedule(dynamic)
  for (int64_t h = 0; h < a->H; h++) {
    if (run->training) {
      batch_statistics(a, h);
    } else {
      a->mean[h] = a->running_mean[h];
      a->rstd[h] = ebb_batch_norm_rstd((double)a->running_var[h], a->eps);
    }
    normalise(a, h); /* the channel is still in cache */
  }
  return EBB_OK;
}

static void row_gradient(const EbbBatchNormArgs *a, int64_t b, int64_t h, float mean_dy, float mean_dot) {
  const float mean = a->mean[h], scale = a->rstd[h] * a->weight[h];
  const int64_t row = (b * a->H + h) * a->L, valid = ebb_batch_norm_valid(a, b);
  const float *restrict x = a->x + row, *restrict dy = a->dy + row;
  float *restrict dx = a->dx + row;
  if (a->add_dx) {
    for (int64_t l = 0; l < valid; l++)
      dx[l] += ebb_batch_norm_dx(dy[l], x[l], mean, scale, mean_dy, mean_dot);
    return;
  }
  for (int64_t l = 0; l < valid; l++) dx[l] = ebb_batch_norm_dx(dy[l], x[l], mean, scale, mean_dy, mean_dot);
  memset(dx + valid, 0, (size_t)(a->L - valid) * sizeof *dx);
}

static void channel_gradient(const EbbBatchNormArgs *a, int64_t h, bool training) {
  const float mean = a->mean[h], rstd = a->rstd[h];
  double sum = 0, dot = 0;
  for (int64_t b = 0; b < a->B; b++) {
    const float *x = a->x + (b * a->H + h) * a->L, *dy = a->dy + (b * a->H + h) * a->L;
    const int64_t valid = ebb_batch_norm_valid(a, b);
    sum += ebb_row_sum(dy, valid);
    dot += ebb_row_dot(x, mean, dy, valid);
  }
  dot *= (double)rstd;
  if (a->dweight) a->dweight[h] += (float)dot;
  if (a->dbias) a->dbias[h] += (float)sum;
  if (!a->dx) return;
  const float mean_dy = training ? (float)(sum / a->count[h]) : 0;
  const float mean_dot = training ? (float)(dot * (double)rstd / a->count[h]) : 0;
  for (int64_t b = 0; b < a->B; b++) row_gradient(a, b, h, mean_dy, mean_dot);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) schedule(dynamic)
  for (int64_t h = 0; h < a->H; h++) channel_gradient(a, h, run->training);
  return EBB_OK;
}

const EbbOp ebb_batch_norm_op = {
    .name = "batch_norm", .args_size = sizeof(EbbBatchNormArgs), .setup = set_up};
const EbbKernels ebb_batch_norm_cpu = {forward, backward};
