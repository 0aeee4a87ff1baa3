/* LINEAR of a tile of samples on tensor cores. Its weights stay in shared memory for all steps, as many
   blocks of them as there is room for; the others are read from device memory (which means from L2). */
#ifndef EBB_KERNELS_CELL_TILE_CUH
#define EBB_KERNELS_CELL_TILE_CUH

#include "kernels/cell_blocks.cuh"
#include "kernels/cell_machine.cuh"

typedef CellMachine<EBB_CELL_TILE> CellTile;

static __device__ __forceinline__ int cell_blocks_of(int width) {
  return (width + CELL_BLOCK - 1) / CELL_BLOCK;
}

/* What a product multiplies: W, or backward its transpose, with `from` of `step` floats an element. */
struct CellTileProduct {
  int block; /* the first one of the weights */
  const float *from;
  int step, rows, depth, across;
};

template <class F, bool BACK>
static __device__ __forceinline__ void cell_tile_load(const CellTile &m, int block, typename F::Left &left) {
  const int lane = (int)threadIdx.x % EBB_WARP;
  if (block < m.a.places.resident)
    F::template load<BACK>(m.weights + block * F::WORDS, lane, left);
  else
    F::template load<BACK>(m.a.weights + (int64_t)block * F::WORDS, lane, left);
}

/* Rows 16 tile .. of the product, from block `first` to `end` of its depth. */
template <class F, bool BACK>
static __device__ __forceinline__ typename F::Sum cell_tile_sum(const CellTile &m, const CellTileProduct &p,
                                                                int tile, int first, int end) {
  typename F::Sum sum;
  for (int block = first; block < end; block++) {
    float x[4];
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const int k = CELL_BLOCK * block + cell_block_k<BACK>((int)threadIdx.x % 4, j);
      x[j] = k < p.depth ? p.from[p.step * k] : 0.0f;
    }
    typename F::Left left;
    cell_tile_load<F, BACK>(m, p.block + (BACK ? block * p.across + tile : tile * p.across + block), left);
    F::add(sum, left, x);
  }
  return sum;
}

/* put(row, sample, sum) once each. A warp takes 16 rows; where there are fewer such than warps, several share
   them, each with a part of the depth, and the parts are joined through scratch in their order. */
template <class F, bool BACK, class Put>
static __device__ __forceinline__ void cell_tile_multiply(const CellTile &m, const CellTileProduct &p,
                                                          Put put) {
  const int warp = (int)threadIdx.x / EBB_WARP, warps = (int)blockDim.x / EBB_WARP;
  const int g = (int)threadIdx.x % EBB_WARP / 4, t = (int)threadIdx.x % 4;
  const int tiles = cell_blocks_of(p.rows), blocks = cell_blocks_of(p.depth);
  int parts = 1;
  while (2 * parts * tiles <= warps && 2 * parts <= blocks) parts *= 2;
  const int each = (blocks + parts - 1) / parts, floats = tiles * CELL_BLOCK * EBB_CELL_TILE;
  for (int unit = warp; unit < tiles * parts; unit += warps) {
    const int tile = unit % tiles, part = unit / tiles;
    const typename F::Sum sum =
        cell_tile_sum<F, BACK>(m, p, tile, part * each, min(blocks, (part + 1) * each));
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int row = CELL_BLOCK * tile + F::template row<BACK>(g, i / 2), sample = 2 * t + i % 2;
      if (parts > 1)
        m.scratch[part * floats + row * EBB_CELL_TILE + sample] = sum.of(i);
      else if (row < p.rows)
        put(row, sample, sum.of(i));
    }
  }
  if (parts == 1) return;
  __syncthreads();
  for (int i = m.t; i < p.rows; i += m.n) {
    float sum = m.scratch[m.place(i)];
    for (int k = 1; k < parts; k++) sum += m.scratch[k * floats + m.place(i)];
    put(i, m.s, sum);
  }
  __syncthreads();
}

/* In the precision of the device. */
template <bool BACK, class Put>
static __device__ __forceinline__ void cell_tile_product(const CellTile &m, const EbbCellOp &op,
                                                         const float *from, int step, Put put) {
  const EbbCellMatrix &w = op.matrix;
  CellTileProduct p = {op.block, from, step, w.outputs, w.inputs, cell_blocks_of(w.inputs)};
  if (BACK) p.rows = w.inputs, p.depth = w.outputs;
  if (m.a.precision == EBB_PRECISION_BF16)
    cell_tile_multiply<CellBf16, BACK>(m, p, put);
  else if (m.a.precision == EBB_PRECISION_TF32)
    cell_tile_multiply<CellTf32, BACK>(m, p, put);
  else
    cell_tile_multiply<CellFloat32, BACK>(m, p, put);
}

static __device__ __forceinline__ void cell_linear(const CellTile &m, const EbbCellOp &op) {
  const CellOperand x(m, op, 0, (int)threadIdx.x % EBB_WARP / 4);
  float *to = m.v + op.to * EBB_CELL_TILE;
  cell_tile_product<false>(m, op, x.from, x.step, [&](int o, int sample, float sum) {
    to[o * EBB_CELL_TILE + sample] = sum + CellOperand(m, op, 1, sample)[o];
  });
}

/* The host gives no program with synapses to tiles. */
static __device__ __forceinline__ void cell_synapses(const CellTile &, const EbbCellOp &) {}

/* Planes of zeros, and the weights. Ends with a barrier. */
static __device__ __forceinline__ CellTile cell_tile_begin(const CellView &a, float *shared) {
  CellTile m = cell_begin<EBB_CELL_TILE>(a, shared);
  for (int i = m.t; i < a.program.at_scalars; i += m.n) m.v[m.place(i)] = 0.0f;
  const int words = a.precision == EBB_PRECISION_BF16 ? CellBf16::WORDS : CellWords::WORDS;
  const uint4 *from = reinterpret_cast<const uint4 *>(a.weights);
  uint4 *to = reinterpret_cast<uint4 *>(shared + a.places.weights);
  for (int i = (int)threadIdx.x; i < a.places.resident * words / 4; i += (int)blockDim.x) to[i] = from[i];
  __syncthreads();
  return m;
}

#endif
