#include "ebb/ops/mse.h"

#include <string.h>

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/row_weights.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbMseArgs *a = out;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EBB_TRY(ebb_setup_input(setup, 1, EBB_F32, -1, true, &a->targets));
  EbbShape shape = ebb_setup_shape(setup, 0), targets = ebb_setup_shape(setup, 1), rows;
  char text[2][160];
  if (!ebb_shape_equal(&shape, &targets))
    return ebb_fail(EBB_SHAPE, "%s: the prediction is %s, the targets are %s", ebb_setup_where(setup),
                    ebb_shape_text(&shape, text[0], sizeof text[0]),
                    ebb_shape_text(&targets, text[1], sizeof text[1]));
  EBB_TRY(ebb_setup_rows(setup, &rows, &a->B, &a->O));
  EBB_TRY(ebb_setup_row_weights(setup, 2, &rows, &a->weights));
  const bool gpu = ebb_setup_backend(setup) != EBB_CPU;
  EBB_TRY(ebb_setup_scratch(setup, gpu ? 2 * EBB_MSE_PARTIALS * sizeof(double) : 0, &a->partials));
  EBB_TRY(ebb_setup_saved(setup, sizeof(double), &a->weight_sum));
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, (EbbShape){0}, false, &a->loss));
  EBB_TRY(ebb_setup_output(setup, 1, EBB_F32, ebb_shape(EBB_SCORE_SUMS), false, &a->scores));
  return ebb_setup_output_grad(setup, 0, &a->dloss);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  (void)run;
  const EbbMseArgs *a = args;
  EBB_TRY(ebb_row_weights_check(EBB_FAULT_MSE_WEIGHT, EBB_FAULT_MSE_WEIGHTS, a->weights, a->B));
  double loss = 0, absolute = 0;
  for (int64_t b = 0; b < a->B; b++) {
    const double w = (double)ebb_row_weight(a->weights, b);
    double squares = 0, sizes = 0;
    for (int64_t o = 0; o < a->O && w > 0; o++) {
      const double difference = (double)a->x[b * a->O + o] - (double)a->targets[b * a->O + o];
      squares += difference * difference, sizes += fabs(difference);
    }
    loss += w * squares / (double)a->O, absolute += w * sizes / (double)a->O;
  }
  *a->weight_sum = ebb_row_weight_sum(a->weights, a->B);
  *a->loss = (float)(loss / *a->weight_sum);
  memset(a->scores, 0, EBB_SCORE_SUMS * sizeof *a->scores);
  a->scores[EBB_SCORE_ABSOLUTE] = (float)absolute;
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbMseArgs *a = args;
  if (!a->dx) return EBB_OK;
  const double scale = 2 * (double)*a->dloss / ((double)a->O * *a->weight_sum);
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++) {
    const float w = (float)(scale * (double)ebb_row_weight(a->weights, b));
    for (int64_t i = b * a->O; i < (b + 1) * a->O; i++)
      a->dx[i] = (a->add_dx ? a->dx[i] : 0) + ebb_mse_dx(w, a->x[i], a->targets[i]);
  }
  return EBB_OK;
}

const EbbOp ebb_mse_op = {.name = "mse", .args_size = sizeof(EbbMseArgs), .setup = set_up};
const EbbKernels ebb_mse_cpu = {forward, backward};
