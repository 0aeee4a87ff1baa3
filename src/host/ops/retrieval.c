#include "ebb/ops/retrieval.h"

#include "host/cpu.h"

static EbbStatus set_up(EbbSetup *setup, const void *config, void *out) {
  (void)config;
  EbbRetrievalArgs *a = out;
  EBB_TRY(ebb_setup_input(setup, 0, EBB_F32, 2, true, &a->x));
  EBB_TRY(ebb_setup_input_grad(setup, 0, &a->dx, &a->add_dx));
  EbbShape shape = ebb_setup_shape(setup, 0);
  if (shape.dim[0] % 2)
    return ebb_fail(EBB_SHAPE,
                    "%s: %lld rows cannot be split into pairs; the first half of the batch holds the first "
                    "documents, the second half the second ones",
                    ebb_setup_where(setup), (long long)shape.dim[0]);
  a->B = shape.dim[0] / 2, a->H = shape.dim[1];
  EBB_TRY(ebb_setup_output(setup, 0, EBB_F32, ebb_shape(a->B, 4 * a->H), false, &a->y));
  return ebb_setup_output_grad(setup, 0, &a->dy);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbRetrievalArgs *a = args;
  const int64_t H = a->H;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++) {
    const float *restrict first = a->x + b * H, *restrict second = a->x + (a->B + b) * H;
    float *restrict y = a->y + b * 4 * H;
    for (int64_t h = 0; h < H; h++) {
      y[h] = first[h], y[H + h] = second[h];
      y[2 * H + h] = first[h] - second[h];
      y[3 * H + h] = first[h] * second[h];
    }
  }
  return EBB_OK;
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbRetrievalArgs *a = args;
  if (!a->dx) return EBB_OK;
  const int64_t H = a->H;
#pragma omp parallel for num_threads(EBB_THREADS(run))
  for (int64_t b = 0; b < a->B; b++) {
    const float *restrict first = a->x + b * H, *restrict second = a->x + (a->B + b) * H;
    const float *restrict dy = a->dy + b * 4 * H;
    float *restrict dfirst = a->dx + b * H, *restrict dsecond = a->dx + (a->B + b) * H;
    for (int64_t h = 0; h < H; h++) {
      float to_first = ebb_retrieval_dfirst(dy[h], dy[2 * H + h], dy[3 * H + h], second[h]);
      float to_second = ebb_retrieval_dsecond(dy[H + h], dy[2 * H + h], dy[3 * H + h], first[h]);
      dfirst[h] = (a->add_dx ? dfirst[h] : 0.0f) + to_first;
      dsecond[h] = (a->add_dx ? dsecond[h] : 0.0f) + to_second;
    }
  }
  return EBB_OK;
}

const EbbOp ebb_retrieval_op = {.name = "retrieval", .args_size = sizeof(EbbRetrievalArgs), .setup = set_up};
const EbbKernels ebb_retrieval_cpu = {forward, backward};
