#include "ebb/ops/layer_norm_scalar.h"

#include "host/columns.h"
#include "host/cpu.h"
#include "host/rows.h"

enum { TILE = EBB_NORM_TILE };

static int64_t tiles(const EbbLayerNormScalarArgs *a) { return (a->L + TILE - 1) / TILE; }

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbLayerNormScalarArgs *a = out;
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, a->storage, 3, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->H = shape.dim[1], a->L = shape.dim[2];
  a->parts = ebb_norm_parts(a->B, a->L, ebb_setup_backend(setup) == EBB_CUDA);
  if (a->H < 2)
    return ebb_fail(EBB_INVALID,
                    "%s: this norm divides by the standard deviation over channels, and one channel has "
                    "none; use norm 'layer' with transposed false, or more channels",
                    ebb_setup_where(setup));
  const EbbParamSpec s = {.name = "s", .shape = ebb_shape(1), .draw = EBB_DRAW_CONSTANT, .a = 1};
  const EbbParamSpec m = {.name = "m", .shape = ebb_shape(1), .draw = EBB_DRAW_CONSTANT, .a = 0};
  EBB_TRY(ebb_setup_param(setup, &s, &a->s, &a->ds));
  EBB_TRY(ebb_setup_param(setup, &m, &a->m, &a->dm));
  EBB_TRY(ebb_setup_saved(setup, (size_t)(a->B * a->L) * sizeof(float), &a->mean));
  EBB_TRY(ebb_setup_saved(setup, (size_t)(a->B * a->L) * sizeof(float), &a->rstd));
  EBB_TRY(ebb_setup_scratch(setup, (size_t)(a->parts * 2) * sizeof(double), &a->partial));
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static void normalise(const EbbLayerNormScalarArgs *a, int64_t b, int64_t l0) {
  int64_t width = ebb_min64(TILE, a->L - l0), at = b * a->H * a->L + l0;
  const float s = a->s[0], m = a->m[0];
  float mean[TILE], rstd[TILE];
  ebb_column_moments(a->x + at, a->H, a->L, width, mean, rstd);
  for (int64_t i = 0; i < width; i++) rstd[i] = ebb_norm_rstd(rstd[i], 0);
  for (int64_t h = 0; h < a->H; h++) {
    const float *restrict x = a->x + at + h * a->L;
    float *restrict y = a->y + at + h * a->L;
    for (int64_t i = 0; i < width; i++) y[i] = ebb_layer_norm_scalar_apply(x[i], mean[i], rstd[i], s, m);
  }
  memcpy(a->mean + b * a->L + l0, mean, (size_t)width * sizeof(float));
  memcpy(a->rstd + b * a->L + l0, rstd, (size_t)width * sizeof(float));
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLayerNormScalarArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l0 = 0; l0 < a->L; l0 += TILE) normalise(a, b, l0);
  return EBB_OK;
}

/* Column sums of dy and dy (x - mean). */
static void column_sums(const EbbLayerNormScalarArgs *a, int64_t at, int64_t width, const float *mean,
                        float *restrict sum_dy, float *restrict sum_dot) {
  for (int64_t i = 0; i < width; i++) sum_dy[i] = sum_dot[i] = 0;
  for (int64_t h = 0; h < a->H; h++) {
    const float *restrict x = a->x + at + h * a->L, *restrict dy = a->dy + at + h * a->L;
    for (int64_t i = 0; i < width; i++) {
      sum_dy[i] += dy[i];
      sum_dot[i] += dy[i] * (x[i] - mean[i]);
    }
  }
}

static void tile_gradient(const EbbLayerNormScalarArgs *a, int64_t b, int64_t l0) {
  int64_t width = ebb_min64(TILE, a->L - l0), at = b * a->H * a->L + l0;
  const float s = a->s[0], m = a->m[0], inverse = 1.0f / (float)a->H;
  const float *restrict mean = a->mean + b * a->L + l0, *restrict rstd = a->rstd + b * a->L + l0;
  float sum_dy[TILE], sum_dot[TILE];
  column_sums(a, at, width, mean, sum_dy, sum_dot);
  double *partial = a->partial + (b * tiles(a) + l0 / TILE) * 2;
  partial[0] = partial[1] = 0;
  for (int64_t i = 0; i < width; i++) {
    partial[0] += (double)(rstd[i] * (sum_dot[i] + m * sum_dy[i]));
    partial[1] += (double)(rstd[i] * s * sum_dy[i]);
  }
  if (!a->dx) return;
  for (int64_t i = 0; i < width; i++) sum_dy[i] *= inverse, sum_dot[i] *= inverse;
  for (int64_t h = 0; h < a->H; h++) {
    const float *restrict x = a->x + at + h * a->L, *restrict dy = a->dy + at + h * a->L;
    float *restrict dx = a->dx + at + h * a->L;
    float old[TILE];
    for (int64_t i = 0; i < width; i++) old[i] = a->add_dx ? dx[i] : 0.0f;
    for (int64_t i = 0; i < width; i++)
      dx[i] = old[i] + ebb_layer_norm_scalar_dx(dy[i], x[i] - mean[i], rstd[i], s, m, sum_dy[i], sum_dot[i]);
  }
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLayerNormScalarArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l0 = 0; l0 < a->L; l0 += TILE) tile_gradient(a, b, l0);
  double ds = 0, dm = 0;
  for (int64_t t = 0; t < a->parts; t++) ds += a->partial[2 * t], dm += a->partial[2 * t + 1];
  if (a->ds) a->ds[0] += (float)ds;
  if (a->dm) a->dm[0] += (float)dm;
  return EBB_OK;
}

const EbbOp ebb_layer_norm_scalar_op = {
    .name = "layer_norm_scalar", .args_size = sizeof(EbbLayerNormScalarArgs), .setup = set_up};
const EbbKernels ebb_layer_norm_scalar_cpu = {forward, backward};
