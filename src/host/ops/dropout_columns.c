#include "ebb/ops/dropout_columns.h"

#include "host/cpu.h"
#include "host/dropout.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbDropoutColumnsConfig *c = config;
  EbbDropoutColumnsArgs *a = out;
  if (!(c->dropout >= 0 && c->dropout < 1))
    return ebb_fail(EBB_INVALID, "%s: dropout %g is outside 0 <= p < 1", ebb_setup_where(setup), c->dropout);
  if (c->columns < 1)
    return ebb_fail(EBB_INVALID, "%s: %lld columns; at least 1 is needed", ebb_setup_where(setup),
                    (long long)c->columns);
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 3, false, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  a->rows = shape.dim[0] * shape.dim[1], a->I = shape.dim[2], a->W = c->columns;
  a->dropout = (float)c->dropout, a->node = ebb_setup_node(setup);
  EBB_TRY(
      ebb_setup_output(setup, 0, EBB_F32, ebb_shape(shape.dim[0], shape.dim[1], a->I + a->W), false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbDropoutColumnsArgs *a = args;
  const bool drops = run->training && a->dropout > 0;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t row = 0; row < a->rows; row++) {
    float *y = a->y + row * (a->I + a->W), *factor = y + a->I;
    memcpy(y, a->x + row * a->I, (size_t)a->I * sizeof *y);
    if (drops)
      ebb_dropout_row(run, a->node, a->dropout, (uint64_t)(row * a->W), a->W, factor);
    else
      for (int64_t i = 0; i < a->W; i++) factor[i] = 1;
  }
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbDropoutColumnsArgs *a = args;
  if (!a->dx) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t row = 0; row < a->rows; row++) {
    const float *restrict dy = a->dy + row * (a->I + a->W);
    float *restrict dx = a->dx + row * a->I;
    for (int64_t i = 0; i < a->I; i++) dx[i] = (a->add_dx ? dx[i] : 0) + dy[i];
  }
  return EBB_OK;
}

const EbbOp ebb_dropout_columns_op = {
    .name = "dropout_columns", .args_size = sizeof(EbbDropoutColumnsArgs), .setup = set_up};
const EbbKernels ebb_dropout_columns_cpu = {forward, backward};
