/* Linear encoder into channel-first layout. Inputs have few features (1 pixel, 3 colours), so that writing y
   (forward) and reading dy (backward) is nearly all there is to do; one kernel each serves every number of
   features in chunks, which makes a plain register-tiled product of many.

   Positions of a row are taken 128 at a time, four a lane: neighbours, where rows allow 16-byte accesses,
   else 32 apart. Forward: a block makes 64 channels, 8 a warp. Weight gradient: a block takes 32 channels, 4
   a warp, and a run of tiles of positions, and leaves its sums for ebb_add_parts. Input gradient (rarely
   wanted: inputs are data): one thread a position. */
#include "ebb/ops/encode_linear.h"

#include "kernels/launch.cuh"
#include "kernels/pack.cuh"
#include "kernels/parts.cuh"
#include "kernels/reduce.cuh"

enum { TILE = EBB_ENCODE_TILE, THREADS = 256, CHUNK = 16, POSITIONS = TILE / EBB_WARP };
enum { FORWARD_ROWS = 8, FORWARD_CHANNELS = FORWARD_ROWS * THREADS / EBB_WARP };
enum { BACKWARD_ROWS = 4 };
static_assert(BACKWARD_ROWS * THREADS / EBB_WARP == (int)EBB_ENCODE_CHANNELS, "channels of a block");

/* The k-th position of a lane in a tile. */
template <int N> static __device__ __forceinline__ int position(int k) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  return N == 4 ? 4 * lane + k : lane + EBB_WARP * k;
}

/* A lane's positions of a row that is `width` long from the tile on; 0 outside. */
template <int N, class S>
static __device__ __forceinline__ void load_positions(const S *x, int64_t width, float at[POSITIONS]) {
#pragma unroll
  for (int k = 0; k < POSITIONS; k += N) {
    Pack<N> pack = {};
    if (position<N>(k) < width) pack = load_pack<N>(x, position<N>(k));
#pragma unroll
    for (int j = 0; j < N; j++) at[k + j] = pack.at[j];
  }
}

/* Features i0 .. i0 + count - 1 of a tile of positions, to tile[i][position]; 0 outside. x: the tile's first
   position. */
static __device__ void load_inputs(const EbbEncodeLinearArgs &a, const float *x, int64_t width, int64_t i0,
                                   int count, float *tile) {
  for (int e = (int)threadIdx.x; e < count * TILE; e += (int)blockDim.x) {
    const int p = e / count, i = e % count;
    tile[i * TILE + p] = p < width && i0 + i < a.I ? x[p * a.I + i0 + i] : 0.0f;
  }
}

static __device__ __forceinline__ int chunk_of(int64_t left) { return left < CHUNK ? (int)left : (int)CHUNK; }

/* What a block of the forward pass keeps in shared memory. */
struct Operands {
  float x[CHUNK * TILE], weight[CHUNK * FORWARD_CHANNELS];
};

static __device__ void load_weights(const EbbEncodeLinearArgs &a, int64_t h0, int64_t i0, int count,
                                    float *weight) {
  for (int e = (int)threadIdx.x; e < count * FORWARD_CHANNELS; e += THREADS) {
    const int h = e / count, i = e % count;
    weight[i * FORWARD_CHANNELS + h] = h0 + h < a.H ? a.weight[(h0 + h) * a.I + i0 + i] : 0.0f;
  }
}

template <int N>
static __device__ void multiply_chunk(const Operands *shared, int count, float y[FORWARD_ROWS][POSITIONS]) {
  const float *weight = shared->weight + (int)threadIdx.x / EBB_WARP * FORWARD_ROWS;
  for (int i = 0; i < count; i++) {
    float x[POSITIONS];
    load_positions<N>(shared->x + i * TILE, TILE, x);
#pragma unroll
    for (int r = 0; r < FORWARD_ROWS; r++)
#pragma unroll
      for (int k = 0; k < POSITIONS; k++) y[r][k] += weight[i * FORWARD_CHANNELS + r] * x[k];
  }
}

template <class S, int N> __global__ void __launch_bounds__(THREADS) encode_forward(EbbEncodeLinearArgs a) {
  EBB_SHARED(Operands, shared);
  const int64_t tiles = ebb_encode_tiles(a.L), h_blocks = (a.H + FORWARD_CHANNELS - 1) / FORWARD_CHANNELS;
  const int64_t h0 = blockIdx.x % h_blocks * FORWARD_CHANNELS, rest = blockIdx.x / h_blocks;
  const int64_t b = rest / tiles, l0 = rest % tiles * TILE, width = a.L - l0;
  const int64_t first = h0 + threadIdx.x / EBB_WARP * FORWARD_ROWS;
  float y[FORWARD_ROWS][POSITIONS];
#pragma unroll
  for (int r = 0; r < FORWARD_ROWS; r++)
    for (int k = 0; k < POSITIONS; k++) y[r][k] = first + r < a.H ? a.bias[first + r] : 0.0f;
  for (int64_t i0 = 0; i0 < a.I; i0 += CHUNK) {
    const int count = chunk_of(a.I - i0);
    __syncthreads();
    load_inputs(a, a.x + (b * a.L + l0) * a.I, width, i0, count, shared->x);
    load_weights(a, h0, i0, count, shared->weight);
    __syncthreads();
    multiply_chunk<N>(shared, count, y);
  }
  S *to = as<S>(a.y) + (b * a.H + first) * a.L + l0;
#pragma unroll
  for (int r = 0; r < FORWARD_ROWS; r++)
    for (int k = 0; k < POSITIONS; k += N) {
      Pack<N> pack;
      for (int j = 0; j < N; j++) pack.at[j] = y[r][k + j];
      if (first + r < a.H && position<N>(k) < width) store_pack(to, r * a.L + position<N>(k), pack);
    }
}

/* Sums of a thread: products of its channels with F features, and the channels themselves. */
template <int F> struct Sums { float weight[BACKWARD_ROWS][F], bias[BACKWARD_ROWS]; };

template <int F, int N, class S>
static __device__ void add_tile(const EbbEncodeLinearArgs &a, const S *dy, int64_t rows, int64_t width,
                                const float *tile, Sums<F> *sums) {
  float g[BACKWARD_ROWS][POSITIONS];
#pragma unroll
  for (int r = 0; r < BACKWARD_ROWS; r++) load_positions<N>(dy + r * a.L, r < rows ? width : 0, g[r]);
#pragma unroll
  for (int r = 0; r < BACKWARD_ROWS; r++)
    for (int k = 0; k < POSITIONS; k++) sums->bias[r] += g[r][k];
#pragma unroll
  for (int i = 0; i < F; i++) {
    float x[POSITIONS];
    load_positions<N>(tile + i * TILE, TILE, x);
#pragma unroll
    for (int r = 0; r < BACKWARD_ROWS; r++)
      for (int k = 0; k < POSITIONS; k++) sums->weight[r][i] += g[r][k] * x[k];
  }
}

/* Adds the lanes up and leaves the group's part; only the first chunk of features leaves the bias. */
template <int F>
static __device__ void leave_part(const EbbEncodeLinearArgs &a, int64_t group, int64_t first, int64_t i0,
                                  Sums<F> *sums) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  float *weight = a.parts + group * a.H * a.I, *bias = a.parts + a.groups * a.H * a.I + group * a.H;
#pragma unroll
  for (int r = 0; r < BACKWARD_ROWS; r++) {
    const int64_t h = first + r;
#pragma unroll
    for (int i = 0; i < F; i++) {
      const float sum = warp_sum(sums->weight[r][i]);
      if (lane == 0 && h < a.H && i0 + i < a.I) weight[h * a.I + i0 + i] = sum;
    }
    const float sum = warp_sum(sums->bias[r]);
    if (lane == 0 && h < a.H && i0 == 0) bias[h] = sum;
  }
}

template <class S, int N, int F>
__global__ void __launch_bounds__(THREADS) encode_weight_gradient(EbbEncodeLinearArgs a) {
  EBB_SHARED(float, tile);
  const int64_t h_blocks = (a.H + EBB_ENCODE_CHANNELS - 1) / EBB_ENCODE_CHANNELS;
  const int64_t group = blockIdx.x / h_blocks % a.groups, i0 = blockIdx.x / h_blocks / a.groups * F;
  const int64_t first = blockIdx.x % h_blocks * EBB_ENCODE_CHANNELS + threadIdx.x / EBB_WARP * BACKWARD_ROWS;
  const int64_t row_tiles = ebb_encode_tiles(a.L), tiles = a.B * row_tiles;
  Sums<F> sums = {};
  for (int64_t t = group * tiles / a.groups; t < (group + 1) * tiles / a.groups; t++) {
    const int64_t b = t / row_tiles, l0 = t % row_tiles * TILE;
    __syncthreads();
    load_inputs(a, a.x + (b * a.L + l0) * a.I, a.L - l0, i0, F, tile);
    __syncthreads();
    const S *dy = as<S>(a.dy) + (b * a.H + first) * a.L + l0;
    add_tile<F, N>(a, dy, a.H - first, a.L - l0, tile, &sums);
  }
  leave_part<F>(a, group, first, i0, &sums);
}

template <class S, int F> __global__ void encode_input_gradient(EbbEncodeLinearArgs a) {
  const int64_t positions = a.B * a.L, blocks = (positions + THREADS - 1) / THREADS;
  const int64_t at = blockIdx.x % blocks * THREADS + threadIdx.x, i0 = blockIdx.x / blocks * F;
  if (at >= positions) return;
  const S *dy = as<S>(a.dy) + at / a.L * a.H * a.L + at % a.L;
  float dx[F] = {};
  for (int64_t h = 0; h < a.H; h++) {
    const float g = load(dy, h * a.L);
#pragma unroll
    for (int i = 0; i < F; i++)
      if (i0 + i < a.I) dx[i] += g * a.weight[h * a.I + i0 + i];
  }
#pragma unroll
  for (int i = 0; i < F; i++)
    if (i0 + i < a.I) store_or_add(a.dx, at * a.I + i0 + i, dx[i], a.add_dx);
}

static EbbStatus forward(const void *args, const EbbRun *run) {
  const EbbEncodeLinearArgs *a = (const EbbEncodeLinearArgs *)args;
  const dim3 blocks((unsigned)(a->B * ebb_encode_tiles(a->L)) * ebb_blocks(a->H, FORWARD_CHANNELS));
  EBB_STORAGE_DISPATCH(a->storage, S, {
    EBB_PACK_DISPATCH(a->L, N, {
      return EBB_LAUNCH(run, (encode_forward<S, N>), blocks, dim3(THREADS), sizeof(Operands), *a);
    });
  });
}

/* Runs `body` with the constant F: how many features a thread takes at a time. */
#define FEATURES_DISPATCH(I, F, ...)                                                                         \
  do {                                                                                                       \
    if ((I) == 1) {                                                                                          \
      constexpr int F = 1;                                                                                   \
      __VA_ARGS__                                                                                            \
    } else if ((I) <= 4) {                                                                                   \
      constexpr int F = 4;                                                                                   \
      __VA_ARGS__                                                                                            \
    } else {                                                                                                 \
      constexpr int F = CHUNK;                                                                               \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  } while (0)

static EbbStatus weight_gradient(const EbbEncodeLinearArgs *a, const EbbRun *run) {
  const unsigned blocks = (unsigned)a->groups * ebb_blocks(a->H, EBB_ENCODE_CHANNELS);
  EBB_STORAGE_DISPATCH(a->storage, S, {
    EBB_PACK_DISPATCH(a->L, N, {
      FEATURES_DISPATCH(a->I, F, {
        EBB_TRY(EBB_LAUNCH(run, (encode_weight_gradient<S, N, F>), dim3(blocks * ebb_blocks(a->I, F)),
                           dim3(THREADS), F * TILE * sizeof(float), *a));
      });
    });
  });
  const EbbParts weight = {a->dweight, a->parts, a->H * a->I, a->groups};
  const EbbParts bias = {a->dbias, a->parts + a->groups * a->H * a->I, a->H, a->groups};
  return ebb_add_parts(run, weight, bias);
}

static EbbStatus input_gradient(const EbbEncodeLinearArgs *a, const EbbRun *run) {
  const unsigned blocks = ebb_blocks(a->B * a->L, THREADS);
  EBB_STORAGE_DISPATCH(a->storage, S, {
    FEATURES_DISPATCH(a->I, F, {
      return EBB_LAUNCH(run, (encode_input_gradient<S, F>), dim3(blocks * ebb_blocks(a->I, F)), dim3(THREADS),
                        0, *a);
    });
  });
}

static EbbStatus backward(const void *args, const EbbRun *run) {
  const EbbEncodeLinearArgs *a = (const EbbEncodeLinearArgs *)args;
  if (a->dweight || a->dbias) EBB_TRY(weight_gradient(a, run));
  return a->dx ? input_gradient(a, run) : EBB_OK;
}

extern "C" const EbbKernels ebb_encode_linear_cuda = {forward, backward};
