/* The S4 epilogue on the device: y = drop(act(x)) and g = dL/dx from dy. */
#ifndef EBB_KERNELS_S4_EPILOGUE_CUH
#define EBB_KERNELS_S4_EPILOGUE_CUH

#include "ebb/ops/s4_epilogue.h"
#include "kernels/dropout.cuh"
#include "kernels/reduce.cuh"
#include "kernels/storage.cuh"

/* Dropout of an epilogue in one launch. */
typedef struct S4Drop {
  EbbDrop drop;
  bool tie;
} S4Drop;
static inline S4Drop s4_drop_of(const EbbRun *run, const EbbS4Epilogue *epilogue) {
  S4Drop drop = {ebb_drop_of(run, epilogue->node, epilogue->dropout), epilogue->tie};
  return drop;
}

/* The factor of step t of row `row` = b H + h. */
__device__ __forceinline__ float s4_drop_factor(const S4Drop &d, int64_t row, int64_t L, int64_t t) {
  return drop_factor(d.drop, d.tie ? row : row * L + t);
}

/* Word j of lane 4 i + c becomes word c of lane 4 i + j. */
__device__ __forceinline__ void s4_transpose_quads(EbbRandom4 &random) {
  uint32_t *word = random.word;
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2)
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (j & bit) continue;
      const bool upper = threadIdx.x & bit;
      const uint32_t low = word[j], high = word[j | bit];
      const uint32_t got = __shfl_xor_sync(EBB_FULL_WARP, upper ? low : high, bit);
      word[j] = upper ? got : low, word[j | bit] = upper ? high : got;
    }
}

/* The factors of steps t + k STRIDE of rows row + k ROWS, k < 4, where neighbouring lanes have neighbouring t
   and lane 0 a multiple of 4. All lanes of the warp come here together. A Philox block serves four steps, so
   four lanes make the blocks of four k's for each other. */
template <int STRIDE, int ROWS = 0>
__device__ __forceinline__ void s4_drop_factors(const S4Drop &d, int64_t row, int64_t L, int64_t t,
                                                float (&factor)[4]) {
  static_assert(STRIDE % 4 == 0, "four steps share a Philox block");
  if (d.drop.p > 0.0f && !d.tie && L % 4 == 0) {
    const int mine = (int)threadIdx.x % 4;
    const int64_t first = (row + mine * ROWS) * L + t + mine * STRIDE;
    EbbRandom4 random = ebb_random4(d.drop.step->seed, d.drop.step->step, d.drop.node, (uint64_t)first / 4);
    s4_transpose_quads(random);
    for (int k = 0; k < 4; k++) factor[k] = ebb_dropout_factor(random.word[k], d.drop.p);
    return;
  }
  for (int k = 0; k < 4; k++) factor[k] = s4_drop_factor(d, row + k * ROWS, L, t + k * STRIDE);
}

/* Element i of (B, H, L): keeps x where backward wants it and stores y. */
template <class S>
__device__ __forceinline__ void s4_finish(const EbbS4Epilogue &e, S *y, int64_t i, float x, float factor) {
  if (e.pre) store(as<S>(e.pre), i, x);
  store(y, i, factor * ebb_s4_activate(e.activation, x));
}
template <class S>
__device__ __forceinline__ float s4_finish_back(const EbbS4Epilogue &e, const S *dy, int64_t i,
                                                float factor) {
  const float g = factor * load(dy, i);
  return e.pre ? g * ebb_s4_activate_grad(e.activation, load(as<S>(e.pre), i)) : g;
}

#endif
