/* Token embedding. Forward: a block transposes a tile of 64 positions by 64 channels through shared memory,
   so that rows of the table are read along h and y is written along l. Bytes: y once; the table comes from
   cache.

   Backward: dweight[v, h] is the sum of dy[b, h, l] over the positions whose token is v. A block has a tile
   of channels, a range of tokens and a run of positions; each of its warps owns a table of sums (tokens, 32)
   in shared memory, with a channel a lane, goes through its positions in order and adds, which needs no
   atomics. dy is read along l and transposed through shared memory. A vocabulary of one range (bytes,
   ListOps) reads dy once; of a larger one each range reads the tiles that hold a token of its own, and the
   tokens. Bytes: dy and the runs' sums, which ebb_add_parts joins in order. */
#include "ebb/ops/embedding.h"

#include "kernels/fault.cuh"
#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/parts.cuh"
#include "kernels/reduce.cuh"

enum { GATHER_TILE = 64, GATHER_STRIDE = GATHER_TILE + 1, GATHER_THREADS = 256 };

/* What a block of the gather keeps in shared memory. */
struct Gathered {
  float tile[GATHER_TILE * GATHER_STRIDE]; /* (l, h) */
  int tokens[GATHER_TILE];                 /* -1: outside the vocabulary */
};

/* Row b, positions from l0, channels from h0. */
struct GatherTile {
  int64_t b, l0, h0;
};

static __device__ GatherTile gather_tile(const EbbEmbeddingArgs &a) {
  const int64_t l_tiles = (a.L + GATHER_TILE - 1) / GATHER_TILE;
  const int64_t h_tiles = (a.H + GATHER_TILE - 1) / GATHER_TILE;
  const int64_t rest = blockIdx.x / h_tiles;
  return {rest / l_tiles, rest % l_tiles * GATHER_TILE, blockIdx.x % h_tiles * GATHER_TILE};
}

static __device__ void gather_tokens(const EbbEmbeddingArgs &a, const GatherTile &t, Gathered *shared,
                                     EbbFault *fault) {
  const int64_t l = t.l0 + threadIdx.x;
  if (threadIdx.x >= GATHER_TILE) return;
  int token = l < a.L ? a.tokens[t.b * a.L + l] : -1;
  if (l < a.L && (token < 0 || token >= a.V)) {
    ebb_fault(fault, EBB_FAULT_TOKEN, (double)token, (double)t.b, (double)l, (double)(a.V - 1));
    token = -1;
  }
  shared->tokens[threadIdx.x] = token;
}

template <class S, int N> __global__ void embedding_forward(EbbEmbeddingArgs a, EbbFault *fault) {
  EBB_SHARED(Gathered, shared);
  const GatherTile t = gather_tile(a);
  gather_tokens(a, t, shared, fault);
  __syncthreads();
  for (int e = (int)threadIdx.x; e < GATHER_TILE * GATHER_TILE; e += GATHER_THREADS) {
    const int l = e / GATHER_TILE, h = e % GATHER_TILE, token = shared->tokens[l];
    const bool inside = token >= 0 && t.h0 + h < a.H;
    shared->tile[l * GATHER_STRIDE + h] = inside ? a.weight[token * a.H + t.h0 + h] : 0.0f;
  }
  __syncthreads();
  S *y = as<S>(a.y) + (t.b * a.H + t.h0) * a.L + t.l0;
  for (int e = (int)threadIdx.x; e < GATHER_TILE * GATHER_TILE / N; e += GATHER_THREADS) {
    const int h = e / (GATHER_TILE / N), l = e % (GATHER_TILE / N) * N;
    if (t.h0 + h >= a.H || t.l0 + l >= a.L) continue;
    Pack<N> pack;
    for (int k = 0; k < N; k++) pack.at[k] = shared->tile[(l + k) * GATHER_STRIDE + h];
    store_pack(y, h * a.L + l, pack);
  }
}

enum {
  TILE = EBB_EMBEDDING_TILE,
  TILE_STRIDE = TILE + 1,
  WARPS = EBB_EMBEDDING_WARPS,
  SCATTER_THREADS = WARPS * EBB_WARP
};
static_assert((int)TILE == (int)EBB_WARP, "a lane takes a position when it reads and a channel when it adds");

/* A block's channels h0 .. h0 + 31, tokens v0 .. v0 + count - 1 and run of positions. */
struct ScatterBlock {
  int64_t h0, v0, split;
  int count;
};

static __device__ ScatterBlock scatter_block(const EbbEmbeddingArgs &a) {
  const int64_t h_tiles = ebb_embedding_tiles(a.H), ranges = ebb_embedding_ranges(a.V);
  const int64_t rest = blockIdx.x / h_tiles, v0 = rest % ranges * EBB_EMBEDDING_TOKENS;
  const int64_t left = a.V - v0;
  return {blockIdx.x % h_tiles * TILE, v0, rest / ranges,
          left < EBB_EMBEDDING_TOKENS ? (int)left : (int)EBB_EMBEDDING_TOKENS};
}

/* Adds tile `index` of positions to the warp's sums. */
template <class S>
static __device__ void scatter_tile(const EbbEmbeddingArgs &a, const ScatterBlock &block, int64_t index,
                                    float *tile, float *sums) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  const int64_t l_tiles = ebb_embedding_tiles(a.L), b = index / l_tiles, l = index % l_tiles * TILE + lane;
  const int64_t token = l < a.L ? a.tokens[b * a.L + l] - block.v0 : -1;
  const int mine = token >= 0 && token < block.count ? (int)token : -1;
  if (!__any_sync(EBB_FULL_WARP, mine >= 0)) return;
  const S *dy = as<S>(a.dy) + (b * a.H + block.h0) * a.L + l;
#pragma unroll
  for (int h = 0; h < TILE; h++)
    tile[lane * TILE_STRIDE + h] = l < a.L && block.h0 + h < a.H ? load(dy, h * a.L) : 0.0f;
  __syncwarp();
  for (int i = 0; i < TILE; i++) {
    const int v = __shfl_sync(EBB_FULL_WARP, mine, i);
    if (v >= 0) sums[v * TILE + lane] += tile[i * TILE_STRIDE + lane];
  }
  __syncwarp();
}

/* Adds the warps' tables up, into dweight or into the run's part. */
static __device__ void hand_over(const EbbEmbeddingArgs &a, const ScatterBlock &block, const float *sums) {
  const int size = block.count * TILE;
  for (int e = (int)threadIdx.x; e < size; e += SCATTER_THREADS) {
    const int64_t h = block.h0 + e % TILE, at = (block.v0 + e / TILE) * a.H + h;
    if (h >= a.H) continue;
    float sum = 0;
    for (int w = 0; w < WARPS; w++) sum += sums[w * size + e];
    if (a.parts)
      a.parts[block.split * a.V * a.H + at] = sum;
    else
      a.dweight[at] += sum;
  }
}

template <class S> __global__ void embedding_backward(EbbEmbeddingArgs a) {
  EBB_SHARED(float, shared);
  const ScatterBlock block = scatter_block(a);
  const int warp = (int)threadIdx.x / EBB_WARP, size = block.count * TILE;
  float *sums = shared + WARPS * TILE * TILE_STRIDE;
  for (int e = (int)threadIdx.x; e < WARPS * size; e += SCATTER_THREADS) sums[e] = 0;
  __syncthreads();
  const int64_t tiles = a.B * ebb_embedding_tiles(a.L), run = block.split * WARPS + warp;
  const int64_t first = run * tiles / (a.splits * WARPS), end = (run + 1) * tiles / (a.splits * WARPS);
  for (int64_t index = first; index < end; index++)
    scatter_tile<S>(a, block, index, shared + warp * TILE * TILE_STRIDE, sums + warp * size);
  __syncthreads();
  hand_over(a, block, sums);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbEmbeddingArgs *a = (const EbbEmbeddingArgs *)args;
  const dim3 blocks((unsigned)a->B * ebb_blocks(a->L, GATHER_TILE) * ebb_blocks(a->H, GATHER_TILE));
  EBB_STORAGE_DISPATCH(a->storage, S, {
    EBB_PACK_DISPATCH(a->L, N, {
      return EBB_LAUNCH(run, (embedding_forward<S, N>), blocks, dim3(GATHER_THREADS), sizeof(Gathered), *a,
                        ebb_fault_of(run));
    });
  });
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbEmbeddingArgs *a = (const EbbEmbeddingArgs *)args;
  if (!a->dweight) return EBB_OK;
  const int tokens = a->V < EBB_EMBEDDING_TOKENS ? (int)a->V : (int)EBB_EMBEDDING_TOKENS;
  const size_t bytes = (size_t)(WARPS * TILE * (TILE_STRIDE + tokens)) * sizeof(float);
  const dim3 blocks((unsigned)(ebb_embedding_tiles(a->H) * ebb_embedding_ranges(a->V) * a->splits));
  EBB_STORAGE_DISPATCH(a->storage, S, {
    EBB_TRY(EBB_LAUNCH(run, embedding_backward<S>, blocks, dim3(SCATTER_THREADS), bytes, *a));
  });
  if (!a->parts) return EBB_OK;
  const EbbParts parts = {a->dweight, a->parts, a->V * a->H, a->splits}, none = {};
  return ebb_add_parts(run, parts, none);
}

extern "C" const EbbKernels ebb_embedding_cuda = {forward, backward};
