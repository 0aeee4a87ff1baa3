// Barriers of a block, of a cluster and of the whole grid, one after the other in one kernel; and launches of
// nothing.
#include <cooperative_groups.h>

#include "kernels/launch.cuh"
#include "rates/rates.h"
#include "support/bench.h"

namespace cg = cooperative_groups;

namespace {

enum { kThreads = 256 };

__global__ void __launch_bounds__(kThreads) block_barriers(int rounds) {
  for (int r = 0; r < rounds; r++) __syncthreads();
}

__global__ void __launch_bounds__(kThreads) grid_barriers(int rounds) {
  for (int r = 0; r < rounds; r++) cg::this_grid().sync();
}

__global__ void __launch_bounds__(kThreads) cluster_barriers(int rounds) {
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
  for (int r = 0; r < rounds; r++) cg::this_cluster().sync();
#else
  (void)rounds;
#endif
}

__global__ void nothing(float *) {}

// A block of 256 threads a multiprocessor, `cluster` of them a cluster; cooperative: all of them at once.
void launch(const ebb_bench::Bench &bench, void (*kernel)(int), int rounds, int cluster, bool cooperative) {
  cudaLaunchAttribute attribute = {};
  if (cooperative) {
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
  } else {
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = (unsigned)cluster,
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  }
  cudaLaunchConfig_t config = {};
  const int blocks = ebb_cuda_multiprocessors(bench.device);
  config.gridDim = dim3((unsigned)(blocks / cluster * cluster));
  config.blockDim = dim3(kThreads);
  config.stream = bench.stream;
  config.attrs = &attribute;
  config.numAttrs = cooperative || cluster > 1 ? 1 : 0;
  ebb_bench::must(ebb_cuda_check(cudaLaunchKernelEx(&config, kernel, rounds), "launching barriers"));
}

} // namespace

double ebb_bench::start_block_barriers(const Bench &bench, int rounds) {
  launch(bench, block_barriers, rounds, 1, false);
  return rounds;
}

double ebb_bench::start_grid_barriers(const Bench &bench, int rounds) {
  launch(bench, grid_barriers, rounds, 1, true);
  return rounds;
}

double ebb_bench::start_cluster_barriers_2(const Bench &bench, int rounds) {
  launch(bench, cluster_barriers, rounds, 2, false);
  return rounds;
}

double ebb_bench::start_cluster_barriers_8(const Bench &bench, int rounds) {
  launch(bench, cluster_barriers, rounds, 8, false);
  return rounds;
}

bool ebb_bench::has_clusters(const Bench &) {
  int device = 0, major = 0;
  must(ebb_cuda_check(cudaGetDevice(&device), "asking for the GPU"));
  must(ebb_cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
                      "asking for the GPU's properties"));
  return major >= 9;
}

double ebb_bench::start_nothing(const Bench &bench, int rounds) {
  const EbbRun run = {bench.device, true, 1, 1};
  for (int r = 0; r < rounds; r++) must(EBB_LAUNCH(&run, nothing, dim3(1), dim3(32), 0, bench.out));
  return rounds;
}
