#include "ebb/ops/linear.h"

#include <math.h>

#include "host/cpu.h"
#include "host/rows.h"

enum { BLOCK = 64 }; /* outputs of one task; rows of one task of the input gradient */

static EbbStatus params(EbbSetup *setup, const EbbLinearConfig *c, EbbLinearArgs *a) {
  const double fan_in = 1 / sqrt((double)a->I), glorot = sqrt(6 / (double)(a->I + a->O));
  const EbbParamSpec weight = {.name = c->weight ? c->weight : "weight",
                               .shape = c->inputs_first ? ebb_shape(a->I, a->O) : ebb_shape(a->O, a->I),
                               .draw = EBB_DRAW_UNIFORM,
                               .a = c->glorot ? glorot : fan_in};
  const EbbParamSpec bias = {.name = c->bias ? c->bias : "bias",
                             .shape = ebb_shape(a->O),
                             .draw = c->glorot ? EBB_DRAW_CONSTANT : EBB_DRAW_UNIFORM,
                             .a = c->glorot ? 0 : fan_in};
  EBB_TRY(ebb_setup_param(setup, &weight, &a->weight, &a->dweight));
  return ebb_setup_param(setup, &bias, &a->bias, &a->dbias);
}

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbLinearConfig *c = config;
  EbbLinearArgs *a = out;
  if (c->O < 1)
    return ebb_fail(EBB_INVALID, "%s: %lld outputs; at least 1 is needed", ebb_setup_where(setup),
                    (long long)c->O);
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  if (shape.rank < 1)
    return ebb_fail(EBB_SHAPE, "%s: a scalar has no features to project", ebb_setup_where(setup));
  a->I = shape.dim[shape.rank - 1], a->R = ebb_shape_size(&shape) / a->I, a->O = c->O;
  shape.dim[shape.rank - 1] = a->O;
  a->inputs_first = c->inputs_first;
  EBB_TRY(params(setup, c, a));
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static void outputs(const EbbLinearArgs *a, int64_t o) {
  int64_t width = ebb_min64(BLOCK, a->O - o);
  for (int64_t r = 0; r < a->R; r++) memcpy(a->y + r * a->O + o, a->bias + o, (size_t)width * sizeof(float));
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = !a->inputs_first,
                          .m = a->R,
                          .n = width,
                          .k = a->I,
                          .alpha = 1,
                          .a = a->x,
                          .lda = a->I,
                          .b = a->weight + ebb_linear_at(a, o, 0),
                          .ldb = a->inputs_first ? a->O : a->I,
                          .beta = 1,
                          .c = a->y + o,
                          .ldc = a->O});
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLinearArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t o = 0; o < a->O; o += BLOCK) outputs(a, o);
  return EBB_OK;
}

/* Columns o .. of dweight (I, O). */
static void column_gradient(const EbbLinearArgs *a, int64_t o) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_a = true,
                          .m = a->I,
                          .n = ebb_min64(BLOCK, a->O - o),
                          .k = a->R,
                          .alpha = 1,
                          .a = a->x,
                          .lda = a->I,
                          .b = a->dy + o,
                          .ldb = a->O,
                          .beta = 1,
                          .c = a->dweight + o,
                          .ldc = a->O});
}

/* Rows o .. of dweight (O, I). */
static void row_gradient(const EbbLinearArgs *a, int64_t o) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_a = true,
                          .m = ebb_min64(BLOCK, a->O - o),
                          .n = a->I,
                          .k = a->R,
                          .alpha = 1,
                          .a = a->dy + o,
                          .lda = a->O,
                          .b = a->x,
                          .ldb = a->I,
                          .beta = 1,
                          .c = a->dweight + o * a->I,
                          .ldc = a->I});
}

static void bias_gradient(const EbbLinearArgs *a, int64_t o) {
  int64_t width = ebb_min64(BLOCK, a->O - o);
  double sum[BLOCK] = {0};
  for (int64_t r = 0; r < a->R; r++)
    for (int64_t i = 0; i < width; i++) sum[i] += (double)a->dy[r * a->O + o + i];
  for (int64_t i = 0; i < width; i++) a->dbias[o + i] += (float)sum[i];
}

static void input_gradient(const EbbLinearArgs *a, int64_t r) {
  ebb_cpu_gemm(&(EbbGemm){.transpose_b = a->inputs_first,
                          .m = ebb_min64(BLOCK, a->R - r),
                          .n = a->I,
                          .k = a->O,
                          .alpha = 1,
                          .a = a->dy + r * a->O,
                          .lda = a->O,
                          .b = a->weight,
                          .ldb = a->inputs_first ? a->O : a->I,
                          .beta = a->add_dx ? 1.0f : 0.0f,
                          .c = a->dx + r * a->I,
                          .ldc = a->I});
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLinearArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t o = 0; o < a->O; o += BLOCK) {
    if (a->dweight && a->inputs_first)
      column_gradient(a, o);
    else if (a->dweight)
      row_gradient(a, o);
    if (a->dbias) bias_gradient(a, o);
  }
  if (!a->dx) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t r = 0; r < a->R; r += BLOCK) input_gradient(a, r);
  return EBB_OK;
}

const EbbOp ebb_linear_op = {.name = "linear", .args_size = sizeof(EbbLinearArgs), .setup = set_up};
const EbbKernels ebb_linear_cpu = {forward, backward};
