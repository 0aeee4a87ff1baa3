/* LINEAR of a tile of samples backward: the gradient of its input by the same blocks of weights. */
#ifndef EBB_KERNELS_CELL_TILE_BACK_CUH
#define EBB_KERNELS_CELL_TILE_BACK_CUH

#include "kernels/cell_ops_back.cuh"
#include "kernels/cell_tile.cuh"

static __device__ __forceinline__ void cell_linear_back(CellTile &m, const EbbCellOp &op) {
  cell_keep_linear(m, op);
  cell_added_back(m, op);
  if (op.grad[0] <= EBB_CELL_ELAPSED_GRAD) return;
  const int32_t to = op.grad[0];
  float *dx = (to >= 0 ? m.g + to * EBB_CELL_TILE : m.sums + ~to * EBB_CELL_TILE);
  const float *from = m.g + op.to * EBB_CELL_TILE + (int)threadIdx.x % EBB_WARP / 4;
  cell_tile_product<true>(m, op, from, EBB_CELL_TILE,
                          [&](int i, int sample, float sum) { dx[i * EBB_CELL_TILE + sample] += sum; });
}

static __device__ __forceinline__ void cell_synapses_back(CellTile &, const EbbCellOp &) {}

#endif
