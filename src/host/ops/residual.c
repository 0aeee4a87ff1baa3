#include "ebb/ops/residual.h"

#include "host/cpu.h"
#include "host/dropout.h"
#include "host/rows.h"

enum { BLOCK = 1024 };

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbResidualConfig *c = config;
  EbbResidualArgs *a = out;
  char text[96];
  if (!(c->dropout >= 0 && c->dropout < 1))
    return ebb_fail(EBB_INVALID, "%s: dropout %g is outside 0 <= p < 1", ebb_setup_where(setup), c->dropout);
  const int r = ebb_setup_inputs(setup) - 1;
  EBB_TRY(ebb_setup_input(setup, r, EBB_F32, -1, false, &a->r));
  EBB_TRY(ebb_setup_input_grad(setup, r, &a->dr, &a->add_dr));
  if (r > 0) EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, false, &a->x));
  if (r > 0) EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0), other = ebb_setup_shape(setup, r);
  if (!ebb_shape_equal(&shape, &other))
    return ebb_fail(EBB_SHAPE, "%s: input 1 has shape %s, which is not that of input 0",
                    ebb_setup_where(setup), ebb_shape_text(&other, text, sizeof text));
  a->size = ebb_shape_size(&shape), a->dropout = (float)c->dropout, a->node = ebb_setup_node(setup);
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static void factors(const EbbResidualArgs *a, const EbbRun *run, int64_t at, int64_t n, float *factor) {
  if (run->training && a->dropout > 0)
    ebb_dropout_row(run, a->node, a->dropout, (uint64_t)at, n, factor);
  else
    for (int64_t i = 0; i < n; i++) factor[i] = 1;
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbResidualArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK) {
    const int64_t n = ebb_min64(BLOCK, a->size - at);
    const float *restrict x = a->x ? a->x + at : NULL, *restrict r = a->r + at;
    float *restrict y = a->y + at, factor[BLOCK];
    factors(a, run, at, n, factor);
    for (int64_t i = 0; i < n; i++) y[i] = factor[i] * r[i];
    for (int64_t i = 0; x && i < n; i++) y[i] += x[i];
  }
  return EBB_OK;
}

/* to = scale dy, or += where add is set. */
static void pass(int64_t n, const float *restrict dy, const float *restrict scale, bool add,
                 float *restrict to) {
  if (!add) memset(to, 0, (size_t)n * sizeof *to);
  for (int64_t i = 0; i < n; i++) to[i] += (scale ? scale[i] : 1.0f) * dy[i];
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbResidualArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK) {
    const int64_t n = ebb_min64(BLOCK, a->size - at);
    float factor[BLOCK];
    if (a->dx) pass(n, a->dy + at, NULL, a->add_dx, a->dx + at);
    if (!a->dr) continue;
    factors(a, run, at, n, factor);
    pass(n, a->dy + at, factor, a->add_dr, a->dr + at);
  }
  return EBB_OK;
}

const EbbOp ebb_residual_op = {.name = "residual", .args_size = sizeof(EbbResidualArgs), .setup = set_up};
const EbbKernels ebb_residual_cpu = {forward, backward};
