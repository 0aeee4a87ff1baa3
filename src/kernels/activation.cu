/* Elementwise activations: one thread takes four neighbours. Bytes: 8 an element forward, 12 backward (16
   where it adds). */
#include "ebb/ops/activation.h"

#include "kernels/launch.cuh"
#include "kernels/pack.cuh"

enum { THREADS = 256 };

/* One type a row of the table, for the kernels to be compiled for. */
#define EBB_ACTIVATION(NAME, name)                                                                           \
  struct Function_##name {                                                                                   \
    static __device__ __forceinline__ float value(float x) { return ebb_activation_##name(x); }              \
    static __device__ __forceinline__ float slope(float x) { return ebb_activation_##name##_grad(x); }       \
  };
#include "ebb/ops/activations.def"
#undef EBB_ACTIVATION

template <class F, int N> __global__ void activation_forward(EbbActivationArgs a) {
  const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
  if (i >= a.size) return;
  Pack<N> x = load_pack<N>(a.x, i);
  for (int k = 0; k < N; k++) x.at[k] = F::value(x.at[k]) + a.offset;
  store_pack(a.y, i, x);
}

template <class F, int N> __global__ void activation_backward(EbbActivationArgs a) {
  const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
  if (i >= a.size) return;
  const Pack<N> x = load_pack<N>(a.x, i);
  Pack<N> dx = load_pack<N>(a.dy, i);
  for (int k = 0; k < N; k++) dx.at[k] *= F::slope(x.at[k]);
  store_or_add_pack(a.dx, i, dx, a.add_dx);
}

typedef EbbStatus (*Launch)(const EbbActivationArgs *a, const EbbRun *run);

template <class F> static EbbStatus launch_forward(const EbbActivationArgs *a, const EbbRun *run) {
  EBB_PACK_DISPATCH(a->size, N, {
    return EBB_LAUNCH(run, (activation_forward<F, N>), dim3(ebb_blocks(a->size, THREADS * N)), dim3(THREADS),
                      0, *a);
  });
}

template <class F> static EbbStatus launch_backward(const EbbActivationArgs *a, const EbbRun *run) {
  EBB_PACK_DISPATCH(a->size, N, {
    return EBB_LAUNCH(run, (activation_backward<F, N>), dim3(ebb_blocks(a->size, THREADS * N)), dim3(THREADS),
                      0, *a);
  });
}

static const struct {
  Launch forward, backward;
} launches[EBB_ACTIVATIONS] = {
#define EBB_ACTIVATION(NAME, name) {launch_forward<Function_##name>, launch_backward<Function_##name>},
#include "ebb/ops/activations.def"
#undef EBB_ACTIVATION
};

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbActivationArgs *a = (const EbbActivationArgs *)args;
  return launches[a->kind].forward(a, run);
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbActivationArgs *a = (const EbbActivationArgs *)args;
  return a->dx ? launches[a->kind].backward(a, run) : EBB_OK;
}

extern "C" const EbbKernels ebb_activation_cuda = {forward, backward};
