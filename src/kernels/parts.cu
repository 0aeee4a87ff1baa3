/* A block adds 32 neighbouring elements: eight warps take every eighth part each (so that many parts of few
   elements still make enough loads at once), then the first warp adds the eight sums. Bytes: the parts, once.
 */
#include "kernels/parts.cuh"

#include "kernels/launch.cuh"
#include "kernels/reduce.cuh"

enum { WARPS = 8 };

__global__ void add_parts(EbbParts first, EbbParts second, unsigned first_blocks) {
  EBB_SHARED(double, sums);
  const bool is_first = blockIdx.x < first_blocks;
  const EbbParts parts = is_first ? first : second;
  const int lane = (int)threadIdx.x % EBB_WARP, warp = (int)threadIdx.x / EBB_WARP;
  const int64_t i = (int64_t)(is_first ? blockIdx.x : blockIdx.x - first_blocks) * EBB_WARP + lane;
  double sum = 0;
  if (i < parts.size)
    for (int64_t g = warp; g < parts.count; g += WARPS) sum += (double)parts.part[g * parts.size + i];
  sums[threadIdx.x] = sum;
  __syncthreads();
  if (warp > 0 || i >= parts.size) return;
  for (int w = 1; w < WARPS; w++) sum += sums[w * EBB_WARP + lane];
  parts.to[i] += (float)sum;
}

static unsigned blocks_of(const EbbParts &parts) { return parts.to ? ebb_blocks(parts.size, EBB_WARP) : 0; }

EbbStatus ebb_add_parts(const EbbRun *run, const EbbParts &first, const EbbParts &second) {
  const unsigned first_blocks = blocks_of(first), blocks = first_blocks + blocks_of(second);
  if (blocks == 0) return EBB_OK;
  const int threads = WARPS * EBB_WARP;
  return EBB_LAUNCH(run, add_parts, dim3(blocks), dim3(threads), threads * sizeof(double), first, second,
                    first_blocks);
}
