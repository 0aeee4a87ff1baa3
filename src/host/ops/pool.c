#include "ebb/ops/pool.h"

#include "ebb/fault.h"
#include "host/cpu.h"
#include "host/rows.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbPoolConfig *c = config;
  EbbPoolArgs *a = out;
  a->storage = ebb_setup_activations(setup);
  EBB_TRY(ebb_setup_input(setup, 0, a->storage, 3, false, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  a->B = shape.dim[0], a->H = shape.dim[1], a->L = shape.dim[2], a->kind = c->kind, a->lengths = NULL;
  if (ebb_setup_inputs(setup) > 1) {
    EBB_TRY(ebb_setup_input(setup, 1, EBB_I32, 1, true, &a->lengths));
    EbbShape lengths = ebb_setup_shape(setup, 1);
    if (lengths.dim[0] != a->B)
      return ebb_fail(EBB_SHAPE, "%s: %lld lengths for a batch of %lld", ebb_setup_where(setup),
                      (long long)lengths.dim[0], (long long)a->B);
  }
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_shape(a->B, a->H), false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbPoolSpan span_of(const EbbPoolArgs *a, int64_t b) {
  return ebb_pool_span(a->kind, a->lengths ? a->lengths[b] : a->L);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbPoolArgs *a = args;
  for (int64_t b = 0; b < a->B; b++) {
    int64_t end = span_of(a, b).end;
    if (end < 1 || end > a->L)
      return ebb_fault_fail(EBB_FAULT_LENGTH, (double)b, (double)end, (double)a->L, 0);
  }
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t h = 0; h < a->H; h++) {
      EbbPoolSpan span = span_of(a, b);
      int64_t row = b * a->H + h, steps = span.end - span.from;
      a->y[row] = (float)(ebb_row_sum(a->x + row * a->L + span.from, steps) / (double)steps);
    }
  return EBB_OK;
}

static void spread(const EbbPoolArgs *a, int64_t b, int64_t h) {
  EbbPoolSpan span = span_of(a, b);
  int64_t row = b * a->H + h;
  float *restrict dx = a->dx + row * a->L;
  const float share = a->dy[row] / (float)(span.end - span.from);
  if (!a->add_dx) memset(dx, 0, (size_t)a->L * sizeof(float));
  for (int64_t l = span.from; l < span.end; l++) dx[l] += share;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbPoolArgs *a = args;
  if (!a->dx) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run)) collapse(2)
  for (int64_t b = 0; b < a->B; b++)
    for (int64_t h = 0; h < a->H; h++) spread(a, b, h);
  return EBB_OK;
}

const EbbOp ebb_pool_op = {.name = "pool", .args_size = sizeof(EbbPoolArgs), .setup = set_up};
const EbbKernels ebb_pool_cpu = {forward, backward};
