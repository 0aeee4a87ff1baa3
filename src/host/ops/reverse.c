#include "ebb/ops/reverse.h"

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/ops/sequence.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  EbbReverseArgs *a = out;
  a->intervals = ((const EbbReverseConfig *)config)->intervals;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, a->intervals ? 2 : 3, a->intervals, &a->x));
  if (!a->intervals) EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->T = shape.dim[1], a->C = a->intervals ? 1 : shape.dim[2];
  if (ebb_setup_inputs(setup) > 1) EBB_TRY(ebb_setup_lengths(setup, 1, a->B, &a->lengths));
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, a->intervals, &a->y));
  return a->intervals ? EBB_OK : ebb_setup_output_grad(setup, 0, &a->dy);
}

/* to[t] = from[its step], or += where `add` is set; all rows. */
static void reverse(const EbbReverseArgs *a, const EbbRun *run, const float *from, float *to, bool add) {
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t t = 0; t < a->T; t++) {
      const int64_t n = a->lengths ? a->lengths[b] : a->T;
      const float *restrict row = from + (b * a->T + ebb_reverse_step(t, n, a->intervals)) * a->C;
      float *restrict into = to + (b * a->T + t) * a->C;
      for (int64_t c = 0; c < a->C; c++) into[c] = (add ? into[c] : 0) + row[c];
    }
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbReverseArgs *a = args;
  for (int64_t b = 0; b < a->B && a->lengths; b++)
    if (a->lengths[b] < 0 || a->lengths[b] > a->T)
      return ebb_fault_fail(EBB_FAULT_REVERSE, (double)b, (double)a->lengths[b], (double)a->T, 0);
  reverse(a, run, a->x, a->y, false);
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbReverseArgs *a = args;
  if (a->dx) reverse(a, run, a->dy, a->dx, a->add_dx);
  return EBB_OK;
}

const EbbOp ebb_reverse_op = {.name = "reverse", .args_size = sizeof(EbbReverseArgs), .setup = set_up};
const EbbKernels ebb_reverse_cpu = {forward, backward};
