#include "ebb/ops/row_norm.h"

#include "host/cpu.h"
#include "host/rows.h"

static EbbStatus params(EbbSetup *setup, const EbbRowNormConfig *c, EbbRowNormArgs *a) {
  const EbbParamSpec weight = {.name = c->weight ? c->weight : "weight",
                               .shape = ebb_shape(a->H),
                               .draw = c->glorot ? EBB_DRAW_UNIFORM : EBB_DRAW_CONSTANT,
                               .a = c->glorot ? sqrt(3 / (double)a->H) : 1};
  const EbbParamSpec bias = {
      .name = c->bias ? c->bias : "bias", .shape = ebb_shape(a->H), .draw = EBB_DRAW_CONSTANT, .a = 0};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  return ebb_setup_param(setup, &bias, &a->bias, &a->dbias);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbRowNormConfig *c = config;
  EbbRowNormArgs *a = out;
  if (!(c->eps >= 0))
    return ebb_fail(EBB_INVALID, "%s: eps %g must be at least 0", ebb_setup_where(setup), c->eps);
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  if (shape.rank < 1)
    return ebb_fail(EBB_SHAPE, "%s: a scalar has no features to normalise", ebb_setup_where(setup));
  a->H = shape.dim[shape.rank - 1], a->R = ebb_shape_size(&shape) / a->H, a->eps = c->eps;
  a->part_rows = ebb_row_norm_part_rows(a->R), a->parts = (a->R + a->part_rows - 1) / a->part_rows;
  EBB_TRY(params(setup, c, a));
  EBB_TRY(ebb_setup_saved(setup, (size_t)a->R * sizeof(float), &a->mean));
  EBB_TRY(ebb_setup_saved(setup, (size_t)a->R * sizeof(float), &a->rstd));
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->parts * 2 * a->H) * sizeof(float), &a->partial));
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static void normalise(const EbbRowNormArgs *a, int64_t r) {
  const float *restrict x = a->x + r * a->H, *restrict weight = a->weight, *restrict bias = a->bias;
  float *restrict y = a->y + r * a->H;
  const float mean = (float)(ebb_row_sum(x, a->H) / (double)a->H);
  const float rstd = ebb_norm_rstd((float)(ebb_row_squares(x, mean, a->H) / (double)a->H), (float)a->eps);
  for (int64_t h = 0; h < a->H; h++) y[h] = ebb_norm_apply(x[h], mean, rstd * weight[h], bias[h]);
  a->mean[r] = mean, a->rstd[r] = rstd;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbRowNormArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t r = 0; r < a->R; r++) normalise(a, r);
  return EBB_OK;
}

static void input_gradient(const EbbRowNormArgs *a, int64_t r) {
  const float *restrict x = a->x + r * a->H, *restrict dy = a->dy + r * a->H, *restrict weight = a->weight;
  float *restrict dx = a->dx + r * a->H;
  const float mean = a->mean[r], rstd = a->rstd[r], inverse = 1.0f / (float)a->H;
  float sum_g = 0, sum_dot = 0;
#pragma omp simd reduction(+ : sum_g, sum_dot)
  for (int64_t h = 0; h < a->H; h++) {
    const float g = dy[h] * weight[h];
    sum_g += g, sum_dot += g * (x[h] - mean) * rstd;
  }
  if (!a->add_dx) memset(dx, 0, (size_t)a->H * sizeof *dx);
  for (int64_t h = 0; h < a->H; h++)
    dx[h] +=
        ebb_layer_norm_dx(dy[h] * weight[h], (x[h] - mean) * rstd, rstd, sum_g * inverse, sum_dot * inverse);
}

static void part_back(const EbbRowNormArgs *a, int64_t part) {
  float *restrict weight = a->partial + part * 2 * a->H, *restrict bias = weight + a->H;
  memset(weight, 0, (size_t)(2 * a->H) * sizeof *weight);
  const int64_t end = ebb_min64((part + 1) * a->part_rows, a->R);
  for (int64_t r = part * a->part_rows; r < end; r++) {
    const float *restrict x = a->x + r * a->H, *restrict dy = a->dy + r * a->H;
    const float mean = a->mean[r], rstd = a->rstd[r];
    for (int64_t h = 0; h < a->H; h++) {
      weight[h] += dy[h] * (x[h] - mean) * rstd;
      bias[h] += dy[h];
    }
    if (a->dx) input_gradient(a, r);
  }
}

/* to[h] += the sum over the parts. */
static void join(const EbbRowNormArgs *a, const float *partial, float *to) {
  for (int64_t h = 0; h < a->H && to; h++) {
    double sum = 0;
    for (int64_t part = 0; part < a->parts; part++) sum += (double)partial[part * 2 * a->H + h];
    to[h] += (float)sum;
  }
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbRowNormArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t part = 0; part < a->parts; part++) part_back(a, part);
  join(a, a->partial, a->dweight);
  join(a, a->partial + a->H, a->dbias);
  return EBB_OK;
}

const EbbOp ebb_row_norm_op = {.name = "row_norm", .args_size = sizeof(EbbRowNormArgs), .setup = set_up};
const EbbKernels ebb_row_norm_cpu = {forward, backward};
