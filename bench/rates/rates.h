// Kernels that wear out one part of a GPU, each called with the number of times that it is to do its work.
#ifndef EBB_BENCH_RATES_RATES_H
#define EBB_BENCH_RATES_RATES_H

#include <cuda_runtime_api.h>

#include "ebb/device.h"

namespace ebb_bench {

// What a rate is measured with: the device, its stream, and a float in its memory that is never written.
struct Bench {
  EbbDevice *device;
  cudaStream_t stream;
  float *out;
};

// Each starts one kernel and returns how many units of work it does: operations, or barriers.
typedef double (*Start)(const Bench &bench, int rounds);

double start_ex2(const Bench &bench, int rounds); // special functions, one instruction each
double start_rcp(const Bench &bench, int rounds);
double start_tanh(const Bench &bench, int rounds);
double start_fft_1024(const Bench &bench,
                      int rounds); // floating-point operations of transforms in shared memory
double start_fft_2048(const Bench &bench, int rounds);
double start_fft_4096(const Bench &bench, int rounds);
double start_fft_8192(const Bench &bench, int rounds);
double start_fft_16384(const Bench &bench, int rounds);
double start_grid_barriers(const Bench &bench, int rounds); // one block a multiprocessor
double start_cluster_barriers_2(const Bench &bench, int rounds);
double start_cluster_barriers_8(const Bench &bench, int rounds);
double start_block_barriers(const Bench &bench, int rounds);
bool has_clusters(const Bench &bench);

// `rounds` launches of a kernel that does nothing.
double start_nothing(const Bench &bench, int rounds);

// bfloat16 copies of float32 numbers.
void round_to_bf16(const Bench &bench, const float *from, void *to, int64_t size);

} // namespace ebb_bench

#endif
