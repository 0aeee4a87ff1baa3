#include "ebb/ops/activation.h"

#include "host/cpu.h"
#include "host/rows.h"

enum { BLOCK = 4096 };

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  const EbbActivationConfig *c = config;
  EbbActivationArgs *a = out;
  if ((unsigned)c->kind >= EBB_ACTIVATIONS)
    return ebb_fail(EBB_INVALID, "%s: no activation has number %d", ebb_setup_where(setup), (int)c->kind);
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, -1, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  const EbbShape shape = ebb_setup_shape(setup, 0);
  a->size = ebb_shape_size(&shape), a->kind = c->kind, a->offset = c->offset;
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, shape, false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

/* The loops of every activation: y = f(x) + offset, and dx = dy df/dx, or += where add is set. */
typedef struct Loops {
  void (*forward)(int64_t n, const float *x, float offset, float *y);
  void (*backward)(int64_t n, const float *x, const float *dy, bool add, float *dx);
} Loops;

#define EBB_ACTIVATION(NAME, name)                                                                           \
  static void name##_forward(int64_t n, const float *restrict x, float offset, float *restrict y) {          \
    for (int64_t i = 0; i < n; i++) y[i] = ebb_activation_##name(x[i]) + offset;                             \
  }                                                                                                          \
  static void name##_backward(int64_t n, const float *restrict x, const float *restrict dy, bool add,        \
                              float *restrict dx) {                                                          \
    if (add)                                                                                                 \
      for (int64_t i = 0; i < n; i++) dx[i] += dy[i] * ebb_activation_##name##_grad(x[i]);                   \
    else                                                                                                     \
      for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * ebb_activation_##name##_grad(x[i]);                    \
  }
#include "ebb/ops/activations.def"
#undef EBB_ACTIVATION

static const Loops loops[EBB_ACTIVATIONS] = {
#define EBB_ACTIVATION(NAME, name) {name##_forward, name##_backward},
#include "ebb/ops/activations.def"
#undef EBB_ACTIVATION
};

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbActivationArgs *a = args;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK)
    loops[a->kind].forward(ebb_min64(BLOCK, a->size - at), a->x + at, a->offset, a->y + at);
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbActivationArgs *a = args;
  if (!a->dx) return EBB_OK;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t at = 0; at < a->size; at += BLOCK)
    loops[a->kind].backward(ebb_min64(BLOCK, a->size - at), a->x + at, a->dy + at, a->add_dx, a->dx + at);
  return EBB_OK;
}

const EbbOp ebb_activation_op = {
    .name = "activation", .args_size = sizeof(EbbActivationArgs), .setup = set_up};
const EbbKernels ebb_activation_cpu = {forward, backward};
