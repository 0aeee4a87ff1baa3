/* Features side by side: one thread an element of y. Bytes: 8 an element, 4 more where a gradient adds. */
#include "ebb/ops/join.h"

#include "kernels/launch.cuh"

enum { THREADS = 256 };

/* Where element i of y comes from: input and element of it. */
struct Origin {
  int input;
  int64_t at;
};
__device__ __forceinline__ Origin origin_of(const EbbJoinArgs &a, int64_t i) {
  const int64_t width = a.width[0] + a.width[1], row = i / width, c = i % width;
  if (c < a.width[0]) return {0, row * a.width[0] + c};
  return {1, row * a.width[1] + c - a.width[0]};
}

__global__ void join_forward(EbbJoinArgs a) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.rows * (a.width[0] + a.width[1])) return;
  const Origin origin = origin_of(a, i);
  a.y[i] = a.from[origin.input][origin.at];
}

__global__ void join_backward(EbbJoinArgs a) {
  const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i >= a.rows * (a.width[0] + a.width[1])) return;
  const Origin origin = origin_of(a, i);
  float *to = a.dfrom[origin.input];
  if (to) to[origin.at] = (a.add_dfrom[origin.input] ? to[origin.at] : 0.0f) + a.dy[i];
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbJoinArgs &a = *(const EbbJoinArgs *)args;
  return EBB_LAUNCH(run, join_forward, dim3(ebb_blocks(a.rows * (a.width[0] + a.width[1]), THREADS)),
                    dim3(THREADS), 0, a);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbJoinArgs &a = *(const EbbJoinArgs *)args;
  return EBB_LAUNCH(run, join_backward, dim3(ebb_blocks(a.rows * (a.width[0] + a.width[1]), THREADS)),
                    dim3(THREADS), 0, a);
}

extern "C" const EbbKernels ebb_join_cuda = {forward, backward};
