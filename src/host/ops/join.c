#include "ebb/ops/join.h"

#include "host/cpu.h"
#include "host/ops/sequence.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbJoinArgs *a = out;
  for (int i = 0; i < 2; i++) {
    EBB_TRY(ebb_setup_input(setup, i, EBB_F32, 3, false, &a->from[i]));
    EBB_TRY(ebb_setup_input_grad(setup, i, &a->dfrom[i], &a->add_dfrom[i]));
    a->width[i] = ebb_setup_shape(setup, i).dim[2];
  }
  const EbbShape shape = ebb_setup_shape(setup, 0);
  EBB_TRY(ebb_setup_require_shape(setup, 1, ebb_shape(shape.dim[0], shape.dim[1], a->width[1]),
                                  "what is joined"));
  a->rows = shape.dim[0] * shape.dim[1];
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32,
                           ebb_shape(shape.dim[0], shape.dim[1], a->width[0] + a->width[1]), false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbJoinArgs *a = args;
  const int64_t width = a->width[0] + a->width[1];
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t row = 0; row < a->rows; row++)
    for (int i = 0; i < 2; i++)
      for (int64_t c = 0; c < a->width[i]; c++)
        a->y[row * width + (i ? a->width[0] : 0) + c] = a->from[i][row * a->width[i] + c];
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbJoinArgs *a = args;
  const int64_t width = a->width[0] + a->width[1];
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t row = 0; row < a->rows; row++)
    for (int i = 0; i < 2; i++)
      for (int64_t c = 0; a->dfrom[i] && c < a->width[i]; c++) {
        float *to = &a->dfrom[i][row * a->width[i] + c];
        *to = (a->add_dfrom[i] ? *to : 0) + a->dy[row * width + (i ? a->width[0] : 0) + c];
      }
  return EBB_OK;
}

const EbbOp ebb_join_op = {.name = "join", .args_size = sizeof(EbbJoinArgs), .setup = set_up};
const EbbKernels ebb_join_cpu = {forward, backward};
