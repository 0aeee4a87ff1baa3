/* Kernels for the tests of the emulated device: which bugs are planted in which, and what the others compute.
 */
#ifndef EBB_EMULATOR_TESTS_KERNELS_H
#define EBB_EMULATOR_TESTS_KERNELS_H

#include "cuda_runtime.h"

constexpr int planted_threads = 64, planted_blocks = 2, planted_n = planted_threads * planted_blocks;

/* What kernels with planted bugs work on; each array has planted_n elements. */
struct PlantedMemory {
  float *in, *out;  /* on the device, written */
  float *unwritten; /* on the device */
  float *freed;     /* was on the device */
  float *host;      /* of the host */
};

struct Planted {
  const char *name;
  const char *says; /* all that the report must contain, in this order, separated by '|' */
  cudaError_t error;
  bool deadlock; /* found in every build; the others need the checks, */
  bool asan;     /* or AddressSanitizer */
  cudaError_t (*launch)(bool bug, PlantedMemory memory, cudaStream_t stream);
};
extern const Planted planted_bugs[];
extern const int planted_count;

/* Each of these writes one result a thread. */
cudaError_t launch_indices(int *out, dim3 grid, dim3 block, cudaStream_t stream);
cudaError_t launch_shuffles(int *out, cudaStream_t stream);   /* 32 threads, 6 results each */
cudaError_t launch_votes(unsigned *out, cudaStream_t stream); /* 64 threads, 4 results each */
cudaError_t launch_barriers(int *out, cudaStream_t stream);   /* 96 threads, 3 results each */
cudaError_t launch_atomics(int *counters, float *sum,
                           cudaStream_t stream); /* 2 blocks of 64 threads, 6 counters */
cudaError_t launch_grid_sync(int *cells, int *out, int blocks, bool cooperative, cudaStream_t stream);
cudaError_t launch_first_thread(int *out, cudaStream_t stream);    /* which thread of 64 runs first */
cudaError_t launch_half_words(uint16_t *out, cudaStream_t stream); /* 64 threads */
cudaError_t launch_scale(float *x, float factor, int n, cudaStream_t stream);
cudaError_t launch_recursion(int *out, int depth, cudaStream_t stream);
/* Of the launch's configuration only. */
cudaError_t launch_nothing(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream);

#define EBB_TEST_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                      \
  ebb_emulator_launch(#kernel, grid, block, shared_bytes, stream, [=] { kernel(__VA_ARGS__); })

#endif
