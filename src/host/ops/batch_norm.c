#include "ebb/ops/batch_norm.h"

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
  return ebb_setup_saved(setup, (size_t)a->H * sizeof(float), &a->rstd);
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
  EBB_TRY(set_up_buffers(setup, a));
  if (ebb_setup_backend(setup) == EBB_CUDA) {
    a->segments = ebb_batch_norm_segments(a->B, a->H, a->L);
    EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->H * a->segments) * sizeof(EbbMoments), &a->partial));
  }
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static void batch_statistics(const EbbBatchNormArgs *a, int64_t h) {
  EbbMoments moments = {0};
  for (int64_t b = 0; b < a->B; b++) ebb_moments_add_row(&moments, a->x + (b * a->H + h) * a->L, a->L);
  const double unbiased = moments.squares / (moments.count - 1);
  a->mean[h] = (float)moments.mean;
  a->rstd[h] = ebb_batch_norm_rstd(moments.squares / moments.count, a->eps);
  a->running_mean[h] = ebb_batch_norm_running(a->running_mean[h], moments.mean, a->momentum);
  a->running_var[h] = ebb_batch_norm_running(a->running_var[h], unbiased, a->momentum);
}

static void normalise(const EbbBatchNormArgs *a, int64_t h) {
  const float mean = a->mean[h], scale = a->rstd[h] * a->weight[h], bias = a->bias[h];
  for (int64_t b = 0; b < a->B; b++) {
    const float *restrict x = a->x + (b * a->H + h) * a->L;
    float *restrict y = a->y + (b * a->H + h) * a->L;
    for (int64_t l = 0; l < a->L; l++) y[l] = ebb_norm_apply(x[l], mean, scale, bias);
  }
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbBatchNormArgs *a = args;
  EBB_TRY(ebb_batch_norm_check(a, run));
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

static void channel_gradient(const EbbBatchNormArgs *a, int64_t h, bool training) {
  const float mean = a->mean[h], rstd = a->rstd[h], scale = rstd * a->weight[h];
  double sum = 0, dot = 0;
  for (int64_t b = 0; b < a->B; b++) {
    const float *x = a->x + (b * a->H + h) * a->L, *dy = a->dy + (b * a->H + h) * a->L;
    sum += ebb_row_sum(dy, a->L);
    dot += ebb_row_dot(x, mean, dy, a->L);
  }
  dot *= (double)rstd;
  if (a->dweight) a->dweight[h] += (float)dot;
  if (a->dbias) a->dbias[h] += (float)sum;
  if (!a->dx) return;
  const double count = (double)(a->B * a->L);
  const float mean_dy = training ? (float)(sum / count) : 0;
  const float mean_dot = training ? (float)(dot * (double)rstd / count) : 0;
  for (int64_t b = 0; b < a->B; b++) {
    const float *restrict x = a->x + (b * a->H + h) * a->L, *restrict dy = a->dy + (b * a->H + h) * a->L;
    float *restrict dx = a->dx + (b * a->H + h) * a->L;
    if (a->add_dx)
      for (int64_t l = 0; l < a->L; l++)
        dx[l] += ebb_batch_norm_dx(dy[l], x[l], mean, scale, mean_dy, mean_dot);
    else
      for (int64_t l = 0; l < a->L; l++)
        dx[l] = ebb_batch_norm_dx(dy[l], x[l], mean, scale, mean_dy, mean_dot);
  }
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
