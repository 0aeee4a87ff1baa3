#include "ebb/ops/swiglu.h"

#include "host/cpu.h"
#include "host/rows.h"

enum { BLOCK = 4096 };

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbSwigluArgs *a = out;
  char text[96];
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->gate));
  EBB_TRY(ebb_setup_input(setup, 1, EBB_F32, -1, true, &a->value));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dgate, &a->add_dgate));
  EBB_TRY(ebb_setup_input_grad(setup, 1, &a->dvalue, &a->add_dvalue));
  const EbbShape shape = ebb_setup_shape(setup, 0), other = ebb_setup_shape(setup, 1);
  if (!ebb_shape_equal(&shape, &other))
    return ebb_fail(EBB_SHAPE, "%s: the value's shape %s is not that of the gate", ebb_setup_where(setup),
                    ebb_shape_text(&other, text, sizeof text));
  a->size = ebb_shape_size(&shape);
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbSwigluArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK) {
    const int64_t n = ebb_min64(BLOCK, a->size - at);
    const float *restrict gate = a->gate + at, *restrict value = a->value + at;
    float *restrict y = a->y + at;
    for (int64_t i = 0; i < n; i++) y[i] = ebb_swiglu(gate[i], value[i]);
  }
  return EBB_OK;
}

static void gate_gradient(const EbbSwigluArgs *a, int64_t at, int64_t n) {
  const float *restrict gate = a->gate + at, *restrict value = a->value + at, *restrict dy = a->dy + at;
  float *restrict dgate = a->dgate + at;
  if (!a->add_dgate) memset(dgate, 0, (size_t)n * sizeof *dgate);
  for (int64_t i = 0; i < n; i++) dgate[i] += dy[i] * value[i] * ebb_activation_silu_grad(gate[i]);
}

static void value_gradient(const EbbSwigluArgs *a, int64_t at, int64_t n) {
  const float *restrict gate = a->gate + at, *restrict dy = a->dy + at;
  float *restrict dvalue = a->dvalue + at;
  if (!a->add_dvalue) memset(dvalue, 0, (size_t)n * sizeof *dvalue);
  for (int64_t i = 0; i < n; i++) dvalue[i] += dy[i] * ebb_activation_silu(gate[i]);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbSwigluArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK) {
    const int64_t n = ebb_min64(BLOCK, a->size - at);
    if (a->dgate) gate_gradient(a, at, n);
    if (a->dvalue) value_gradient(a, at, n);
  }
  return EBB_OK;
}

const EbbOp ebb_swiglu_op = {.name = "swiglu", .args_size = sizeof(EbbSwigluArgs), .setup = set_up};
const EbbKernels ebb_swiglu_cpu = {forward, backward};
