#include "ebb/ops/transpose.h"

#include "host/cpu.h"
#include "host/rows.h"

enum { TILE = 32 };

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbTransposeConfig *c = config;
  EbbTransposeArgs *a = out;
  const EbbDtype activations = ebb_setup_activations(setup);
  a->x_type = c->x_activations ? activations : EBB_F32;
  a->y_type = c->y_activations ? activations : EBB_F32;
  EBB_TRY(ebb_setup_input(setup, 0, a->x_type, 3, false, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->R = shape.dim[1], a->C = shape.dim[2];
  EBB_TRY(ebb_setup_output(setup, 0, a->y_type, ebb_shape(a->B, a->C, a->R), false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

/* Rows r .. r + TILE - 1 of one matrix x (R, C) into y (C, R). */
static void transpose_rows(const float *restrict x, float *restrict y, int64_t R, int64_t C, int64_t r,
                           bool add) {
  const int64_t end = ebb_min64(r + TILE, R);
  for (int64_t c = 0; c < C; c++)
    for (int64_t i = r; i < end; i++) y[c * R + i] = (add ? y[c * R + i] : 0) + x[i * C + c];
}

static void transpose_all(const float *x, float *y, int64_t B, int64_t R, int64_t C, bool add,
                          const EbbRun *run) {
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < B; b++)
    for (int64_t r = 0; r < R; r += TILE) transpose_rows(x + b * R * C, y + b * R * C, R, C, r, add);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbTransposeArgs *a = args;
  transpose_all(a->x, a->y, a->B, a->R, a->C, false, run);
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbTransposeArgs *a = args;
  if (a->dx) transpose_all(a->dy, a->dx, a->B, a->C, a->R, a->add_dx, run);
  return EBB_OK;
}

const EbbOp ebb_transpose_op = {.name = "transpose", .args_size = sizeof(EbbTransposeArgs), .setup = set_up};
const EbbKernels ebb_transpose_cpu = {forward, backward};
