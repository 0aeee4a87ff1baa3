/* Dropout factors on the device: the draws of src/host/dropout.h. */
#ifndef EBB_KERNELS_DROPOUT_CUH
#define EBB_KERNELS_DROPOUT_CUH

#include "ebb/ops/dropout.h"
#include "kernels/launch.cuh"

/* What dropout does in one launch: p 0 keeps everything. tie: one draw for all t of a (b, h). */
typedef struct EbbDrop {
  const EbbCudaStep *step;
  uint32_t node;
  float p;
} EbbDrop;

static inline EbbDrop ebb_drop_of(const EbbRun *run, uint32_t node, float p) {
  EbbDrop drop = {ebb_step_of(run), node, run->training ? p : 0.0f};
  return drop;
}

/* The factor of one element. */
__device__ __forceinline__ float drop_factor(const EbbDrop &drop, int64_t element) {
  if (!(drop.p > 0.0f)) return 1.0f;
  return ebb_dropout_factor(ebb_random(drop.step->seed, drop.step->step, drop.node, (uint64_t)element),
                            drop.p);
}

/* Factors of the elements first .. first + 3; first is a multiple of 4, so one Philox block serves all. */
__device__ __forceinline__ void drop_factors4(const EbbDrop &drop, int64_t first, float factor[4]) {
  if (!(drop.p > 0.0f)) {
    factor[0] = factor[1] = factor[2] = factor[3] = 1.0f;
    return;
  }
  const EbbRandom4 random = ebb_random4(drop.step->seed, drop.step->step, drop.node, (uint64_t)first / 4);
  for (int i = 0; i < 4; i++) factor[i] = ebb_dropout_factor(random.word[i], drop.p);
}

#endif
