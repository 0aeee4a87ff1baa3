#include "ebb/ops/encode_linear.h"

#include <math.h>

#include "host/cpu.h"
#include "host/rows.h"

enum {
  ROWS = 32,
  TILE = 512
}; /* channels of one task of the weight gradient; positions of one task of the others */

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbEncodeLinearConfig *c = config;
  EbbEncodeLinearArgs *a = out;
  if (c->I < 1 || c->H < 1)
    return ebb_fail(EBB_INVALID, "%s: an encoder from %lld to %lld features; both must be at least 1",
                    ebb_setup_where(setup), (long long)c->I, (long long)c->H);
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 3, true, &a->x));
  EbbShape shape = ebb_setup_shape(setup, 0);
  if (shape.dim[2] != c->I)
    return ebb_fail(EBB_SHAPE, "%s: the input has %lld features, the encoder expects %lld",
                    ebb_setup_where(setup), (long long)shape.dim[2], (long long)c->I);
  a->B = shape.dim[0], a->L = shape.dim[1], a->I = c->I, a->H = c->H;
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const double bound = 1 / sqrt((double)c->I);
  const EbbParamSpec weight = {
      .name = "weight", .shape = ebb_shape(c->H, c->I), .draw = EBB_DRAW_UNIFORM, .a = bound};
  const EbbParamSpec bias = {.name = "bias", .shape = ebb_shape(c->H), .draw = EBB_DRAW_UNIFORM, .a = bound};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  EBB_TRY(ebb_setup_param(setup, &bias, &a->bias, &a->dbias));
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_output(setup, 0, a->storage, ebb_shape(a->B, a->H, a->L), false, &a->y));
  EBB_TRY(ebb_setup_output_grad(setup, 0, &a->dy));
  a->groups = ebb_encode_groups(a->B, a->L, a->I, a->H);
  bool parts = ebb_setup_backend(setup) == EBB_CUDA && ebb_setup_training(setup);
  size_t floats = parts ? (size_t)(a->groups * a->H * (a->I + 1)) : 0;
  return ebb_setup_scratch(setup, floats * sizeof(float), &a->parts);
}

static void encode(const EbbEncodeLinearArgs *a, int64_t b, int64_t l0) {
  int64_t width = ebb_min64(TILE, a->L - l0);
  const float *x = a->x + (b * a->L + l0) * a->I;
  float *y = a->y + b * a->H * a->L + l0;
  for (int64_t h = 0; h < a->H; h++) {
    float *restrict row = y + h * a->L;
    const float bias = a->bias[h], scale = a->I == 1 ? a->weight[h] : 0;
    if (a->I == 1)
      for (int64_t l = 0; l < width; l++) row[l] = bias + scale * x[l];
    else
      for (int64_t l = 0; l < width; l++) row[l] = bias;
  }
  if (a->I == 1) return;
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = true,
                          .m = a->H,
                          .n = width,
                          .k = a->I,
                          .alpha = 1,
                          .a = a->weight,
                          .lda = a->I,
                          .b = x,
                          .ldb = a->I,
                          .beta = 1,
                          .c = y,
                          .ldc = a->L});
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbEncodeLinearArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l0 = 0; l0 < a->L; l0 += TILE) encode(a, b, l0);
  return EBB_OK;
}

static void weight_gradient(const EbbEncodeLinearArgs *a, int64_t h0) {
  int64_t rows = ebb_min64(ROWS, a->H - h0);
  for (int64_t b = 0; b < a->B; b++) {
    const float *dy = a->dy + (b * a->H + h0) * a->L, *x = a->x + b * a->L * a->I;
    if (a->I == 1)
      for (int64_t h = 0; h < rows; h++) a->dweight[h0 + h] += (float)ebb_row_dot(dy + h * a->L, 0, x, a->L);
    else
      ebb_cpu_gemm(&(EbbGemm){.m = rows,
                              .n = a->I,
                              .k = a->L,
                              .alpha = 1,
                              .a = dy,
                              .lda = a->L,
                              .b = x,
                              .ldb = a->I,
                              .beta = 1,
                              .c = a->dweight + h0 * a->I,
                              .ldc = a->I});
  }
}

static void bias_gradient(const EbbEncodeLinearArgs *a, int64_t h0) {
  for (int64_t h = h0; h < ebb_min64(h0 + ROWS, a->H); h++) {
    double sum = 0;
    for (int64_t b = 0; b < a->B; b++) sum += ebb_row_sum(a->dy + (b * a->H + h) * a->L, a->L);
    a->dbias[h] += (float)sum;
  }
}

static void input_gradient(const EbbEncodeLinearArgs *a, int64_t b, int64_t l0) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_a = true,
                          .m = ebb_min64(TILE, a->L - l0),
                          .n = a->I,
                          .k = a->H,
                          .alpha = 1,
                          .a = a->dy + b * a->H * a->L + l0,
                          .lda = a->L,
                          .b = a->weight,
                          .ldb = a->I,
                          .beta = a->add_dx ? 1.0f : 0.0f,
                          .c = a->dx + (b * a->L + l0) * a->I,
                          .ldc = a->I});
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbEncodeLinearArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t h0 = 0; h0 < a->H; h0 += ROWS) {
    if (a->dweight) weight_gradient(a, h0);
    if (a->dbias) bias_gradient(a, h0);
  }
  if (!a->dx) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t l0 = 0; l0 < a->L; l0 += TILE) input_gradient(a, b, l0);
  return EBB_OK;
}

const EbbOp ebb_encode_linear_op = {
    .name = "encode_linear", .args_size = sizeof(EbbEncodeLinearArgs), .setup = set_up};
const EbbKernels ebb_encode_linear_cpu = {forward, backward};
