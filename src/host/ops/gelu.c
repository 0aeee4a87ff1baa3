#include "ebb/ops/gelu.h"

#include "ebb/scalar.h"
#include "host/cpu.h"
#include "host/rows.h"

enum { BLOCK = 4096 };

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbGeluArgs *a = out;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->size = ebb_shape_size(&shape);
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbGeluArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK) {
    int64_t n = ebb_min64(BLOCK, a->size - at);
    const float *restrict x = a->x + at;
    float *restrict y = a->y + at;
    for (int64_t i = 0; i < n; i++) y[i] = ebb_gelu(x[i]);
  }
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbGeluArgs *a = args;
  if (!a->dx) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK) {
    int64_t n = ebb_min64(BLOCK, a->size - at);
    const float *restrict x = a->x + at, *restrict dy = a->dy + at;
    float *restrict dx = a->dx + at;
    if (a->add_dx)
      for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * ebb_gelu_grad(x[i]);
    else
      for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * ebb_gelu_grad(x[i]);
  }
  return EBB_OK;
}

const EbbOp ebb_gelu_op = {.name = "gelu", .args_size = sizeof(EbbGeluArgs), .setup = set_up};
const EbbKernels ebb_gelu_cpu = {forward, backward};
