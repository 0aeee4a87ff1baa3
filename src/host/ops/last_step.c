#include "ebb/ops/last_step.h"

#include <string.h>

#include "ebb/fault.h"
#include "host/ops/sequence.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbLastStepArgs *a = out;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 3, false, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->T = shape.dim[1], a->H = shape.dim[2];
  if (ebb_setup_inputs(setup) > 1) EBB_TRY(ebb_setup_lengths(setup, 1, a->B, &a->lengths));
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_shape(a->B, a->H), false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static int64_t last_of(const EbbLastStepArgs *a, int64_t b) {
  return (b * a->T + (a->lengths ? a->lengths[b] : a->T) - 1) * a->H;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbLastStepArgs *a = args;
  (void)run;
  for (int64_t b = 0; b < a->B && a->lengths; b++)
    if (a->lengths[b] < 1 || a->lengths[b] > a->T)
      return ebb_fault_fail(EBB_FAULT_LAST_STEP, (double)b, (double)a->lengths[b], (double)a->T, 0);
  for (int64_t b = 0; b < a->B; b++)
    memcpy(a->y + b * a->H, a->x + last_of(a, b), (size_t)a->H * sizeof(float));
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbLastStepArgs *a = args;
  (void)run;
  if (!a->dx) return EBB_OK;
  if (!a->add_dx) memset(a->dx, 0, (size_t)(a->B * a->T * a->H) * sizeof(float));
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t h = 0; h < a->H; h++) a->dx[last_of(a, b) + h] += a->dy[b * a->H + h];
  return EBB_OK;
}

const EbbOp ebb_last_step_op = {.name = "last_step", .args_size = sizeof(EbbLastStepArgs), .setup = set_up};
const EbbKernels ebb_last_step_cpu = {forward, backward};
