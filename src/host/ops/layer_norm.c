#include "ebb/ops/layer_norm.h"

#include "host/columns.h"
#include "host/cpu.h"
#include "host/rows.h"

enum { TILE = EBB_NORM_TILE };

static int64_t tiles(const EbbLayerNormArgs *a) { return (a->L + TILE - 1) / TILE; }

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbLayerNormConfig *c = config;
  EbbLayerNormArgs *a = out;
  if (!(c->eps >= 0))
    return ebb_fail(EBB_INVALID, "%s: eps %g must be at least 0", ebb_setup_where(setup), c->eps);
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, a->storage, 3, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->H = shape.dim[1], a->L = shape.dim[2], a->eps = c->eps;
  a->parts = ebb_norm_parts(a->B, a->L, ebb_setup_backend(setup) == EBB_CUDA);
  const EbbParamSpec weight = {.name = "weight", .shape = ebb_shape(a->H), .draw = EBB_DRAW_CONSTANT, .a = 1};
  const EbbParamSpec bias = {.name = "bias", .shape = ebb_shape(a->H), .draw = EBB_DRAW_CONSTANT, .a = 0};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  EBB_TRY(ebb_setup_param(setup, &bias, &a->bias, &a->dbias));
  EBB_TRY(ebb_setup_saved(setup, (size_t)(a->B * a->L) * sizeof(float), &a->mean));
  EBB_TRY(ebb_setup_saved(setup, (size_t)(a->B * a->L) * sizeof(float), &a->rstd));
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->parts * 2 * a->H) * sizeof(float), &a->partial));
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static void normalise(const EbbLayerNormArgs *a, int64_t b, int64_t l0) {
  int64_t width = ebb_min64(TILE, a->L - l0), at = b * a->H * a->L + l0;
  float mean[TILE], rstd[TILE];
  ebb_column_moments(a->x + at, a->H, a->L, width, mean, rstd);
  for (int64_t i = 0; i < width; i++) rstd[i] = ebb_norm_rstd(rstd[i], (float)a->eps);
  for (int64_t h = 0; h < a->H; h++) {
    const float *restrict x = a->x + at + h * a->L;
    float *restrict y = a->y + at + h * a->L;
    const float weight = a->weight[h], bias = a->bias[h];
    for (int64_t i = 0; i < width; i++) y[i] = ebb_norm_apply(x[i], mean[i], rstd[i] * weight, bias);
  }
  memcpy(a->mean + b * a->L + l0, mean, (size_t)width * sizeof(float));
  memcpy(a->rstd + b * a->L + l0, rstd, (size_t)width * sizeof(float));
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLayerNormArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l0 = 0; l0 < a->L; l0 += TILE) normalise(a, b, l0);
  return EBB_OK;
}

/* First pass over a tile: column means of g and g xhat, and this tile's sums for dweight and dbias. */
static void tile_sums(const EbbLayerNormArgs *a, int64_t at, int64_t width, const float *mean,
                      const float *rstd, float *restrict mean_g, float *restrict mean_dot, float *partial) {
  for (int64_t i = 0; i < width; i++) mean_g[i] = mean_dot[i] = 0;
  for (int64_t h = 0; h < a->H; h++) {
    const float *restrict x = a->x + at + h * a->L, *restrict dy = a->dy + at + h * a->L;
    const float weight = a->weight[h];
    float product[TILE];
    for (int64_t i = 0; i < width; i++) {
      product[i] = dy[i] * (x[i] - mean[i]) * rstd[i];
      mean_g[i] += dy[i] * weight;
      mean_dot[i] += product[i] * weight;
    }
    partial[h] = (float)ebb_row_sum(product, width);
    partial[a->H + h] = (float)ebb_row_sum(dy, width);
  }
  const float inverse = 1.0f / (float)a->H;
  for (int64_t i = 0; i < width; i++) mean_g[i] *= inverse, mean_dot[i] *= inverse;
}

static void tile_gradient(const EbbLayerNormArgs *a, int64_t b, int64_t l0) {
  int64_t width = ebb_min64(TILE, a->L - l0), at = b * a->H * a->L + l0;
  float mean[TILE], rstd[TILE], mean_g[TILE], mean_dot[TILE];
  memcpy(mean, a->mean + b * a->L + l0, (size_t)width * sizeof(float));
  memcpy(rstd, a->rstd + b * a->L + l0, (size_t)width * sizeof(float));
  tile_sums(a, at, width, mean, rstd, mean_g, mean_dot, a->partial + (b * tiles(a) + l0 / TILE) * 2 * a->H);
  if (!a->dx) return;
  for (int64_t h = 0; h < a->H; h++) {
    const float *restrict x = a->x + at + h * a->L, *restrict dy = a->dy + at + h * a->L;
    float *restrict dx = a->dx + at + h * a->L;
    const float weight = a->weight[h];
    float old[TILE];
    for (int64_t i = 0; i < width; i++) old[i] = a->add_dx ? dx[i] : 0.0f;
    for (int64_t i = 0; i < width; i++)
      dx[i] = old[i] +
              ebb_layer_norm_dx(dy[i] * weight, (x[i] - mean[i]) * rstd[i], rstd[i], mean_g[i], mean_dot[i]);
  }
}

static void join_partials(const EbbLayerNormArgs *a, int64_t h) {
  double weight = 0, bias = 0;
  for (int64_t t = 0; t < a->parts; t++) {
    weight += (double)a->partial[t * 2 * a->H + h];
    bias += (double)a->partial[(t * 2 + 1) * a->H + h];
  }
  if (a->dweight) a->dweight[h] += (float)weight;
  if (a->dbias) a->dbias[h] += (float)bias;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLayerNormArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l0 = 0; l0 < a->L; l0 += TILE) tile_gradient(a, b, l0);
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t h = 0; h < a->H; h++) join_partials(a, h);
  return EBB_OK;
}

const EbbOp ebb_layer_norm_op = {
    .name = "layer_norm", .args_size = sizeof(EbbLayerNormArgs), .setup = set_up};
const EbbKernels ebb_layer_norm_cpu = {forward, backward};
